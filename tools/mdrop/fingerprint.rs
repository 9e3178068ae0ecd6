//! The fingerprint f1: BLAKE3 of a message without its trace fields (mdrop-archive(5)).
//!
//! It is computed while the octets pass, a line at a time, and holds only the beginning of a line: a header may be of
//! any size. Only LF ends a line here, so that the definition fits in one sentence and can be checked by a stranger.

use crate::identity::{Digest, Fingerprint};

/// The fields that are left out, with all their folded lines. Exactly these: everything else counts.
pub const TRACE_FIELDS: [&str; 16] = [
    "received",
    "return-path",
    "delivered-to",
    "x-original-to",
    "envelope-to",
    "x-envelope-to",
    "x-envelope-from",
    "delivery-date",
    "x-delivered-to",
    "x-apparently-to",
    "x-rcpt-to",
    "x-uidl",
    "status",
    "x-status",
    "content-length",
    "lines",
];

/// A colon behind this many octets names no field here, so that no more of a line than this is ever held back.
const LONGEST_NAME: usize = 64;

/// What becomes of a line.
#[derive(Clone, Copy, PartialEq)]
enum Line {
    Kept,
    LeftOut,
}

/// How much of what counts is gathered before it is hashed: BLAKE3 takes a small mail at once several times as fast as line by line.
const GATHER: usize = 16 << 10;

/// Computes a fingerprint from octets handed over in pieces.
pub struct FingerprintHasher {
    kept: blake3::Hasher,
    gathered: Vec<u8>,
    /// The beginning of a line that is not decided yet.
    start: Vec<u8>,
    /// What becomes of the line that is passing; none at its beginning.
    line: Option<Line>,
    /// What became of the line before, which folded lines share.
    previous: Line,
    in_header: bool,
    has_date: bool,
    has_message_id: bool,
}

impl Default for FingerprintHasher {
    fn default() -> Self {
        let (kept, start) = (blake3::Hasher::new(), Vec::with_capacity(LONGEST_NAME));
        Self {
            kept,
            gathered: Vec::new(),
            start,
            line: None,
            previous: Line::Kept,
            in_header: true,
            has_date: false,
            has_message_id: false,
        }
    }
}

impl FingerprintHasher {
    /// Takes the next octets of the message.
    pub fn update(&mut self, mut octets: &[u8]) {
        while self.in_header && !octets.is_empty() {
            let length = memchr::memchr(b'\n', octets).map_or(octets.len(), |at| at + 1);
            let (part, rest) = octets.split_at(length);
            self.header_part(part);
            octets = rest;
        }
        self.keep(octets);
    }

    fn keep(&mut self, octets: &[u8]) {
        if self.gathered.len() + octets.len() <= GATHER {
            self.gathered.extend_from_slice(octets);
            return;
        }
        self.kept.update(&self.gathered);
        self.gathered.clear();
        self.kept.update(octets);
    }

    /// The fingerprint of the message, whose digest is `digest`.
    #[must_use]
    pub fn finish(mut self, digest: Digest) -> Fingerprint {
        self.decide();
        self.kept.update(&self.gathered);
        if self.has_date && self.has_message_id { Fingerprint::F1(*self.kept.finalize().as_bytes()) } else { Fingerprint::Digest(digest) }
    }

    /// Takes a part of one header line.
    fn header_part(&mut self, part: &[u8]) {
        let ends = part.last() == Some(&b'\n');
        match self.line {
            Some(Line::Kept) => self.keep(part),
            Some(Line::LeftOut) => {}
            None => {
                self.start.extend_from_slice(part);
                if ends || self.start.len() >= LONGEST_NAME || self.start.contains(&b':') {
                    self.decide();
                }
            }
        }
        if ends {
            self.previous = self.line.take().unwrap_or(Line::Kept);
        }
    }

    /// Decides what becomes of the line of which `start` is the beginning.
    fn decide(&mut self) {
        let folded = matches!(self.start.first(), Some(b' ' | b'\t'));
        let line = if folded { self.previous } else { self.judge() };
        if line == Line::Kept {
            let start = std::mem::take(&mut self.start);
            self.keep(&start);
            self.start = start;
        }
        self.in_header = !matches!(self.start.as_slice(), b"\n" | b"\r\n");
        self.start.clear();
        self.line = Some(line);
    }

    fn judge(&mut self) -> Line {
        let colon = self.start.iter().take(LONGEST_NAME).position(|b| *b == b':').unwrap_or(0);
        let name = self.start[..colon].trim_ascii_end();
        self.has_date |= name.eq_ignore_ascii_case(b"date");
        self.has_message_id |= name.eq_ignore_ascii_case(b"message-id");
        let trace = TRACE_FIELDS.iter().any(|trace| name.eq_ignore_ascii_case(trace.as_bytes()));
        if trace { Line::LeftOut } else { Line::Kept }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(octets: &[u8], piece: usize) -> Fingerprint {
        let mut hasher = FingerprintHasher::default();
        octets.chunks(piece).for_each(|chunk| hasher.update(chunk));
        hasher.finish(Digest::of(octets))
    }

    const MAIL: &[u8] = b"Return-Path: <a@b>\r\nReceived: from x\r\n\tby y;\r\n Mon\r\nDate: Mon\r\nRECEIVED : z\r\nMessage-ID: <1>\r\nX-Long-Name-That-Is-No-Trace-Field-At-All-But-Goes-On-And-On-And-On: 1\r\n\r\nReceived: body\r\n";
    const KEPT: &[u8] =
        b"Date: Mon\r\nMessage-ID: <1>\r\nX-Long-Name-That-Is-No-Trace-Field-At-All-But-Goes-On-And-On-And-On: 1\r\n\r\nReceived: body\r\n";

    #[test]
    fn the_fingerprint_is_blake3_without_exactly_the_trace_fields() {
        for piece in [1, 2, 3, 7, 64, 1000] {
            assert_eq!(of(MAIL, piece), Fingerprint::F1(*blake3::hash(KEPT).as_bytes()), "in pieces of {piece}");
        }
    }

    #[test]
    fn without_a_date_or_a_message_id_the_fingerprint_is_the_digest() {
        for mail in [&b"Date: x\r\n\r\n"[..], b"Message-ID: x\r\n", b"", b"\r\nDate: 1\r\nMessage-ID: 2\r\n", b" Date: 1\nMessage-ID: 2\n"]
        {
            assert_eq!(of(mail, 4), Fingerprint::Digest(Digest::of(mail)));
        }
        assert!(matches!(of(b"Date:\nMessage-ID:", 4), Fingerprint::F1(_)));
    }
}
