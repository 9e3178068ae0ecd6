//! The inner message of a journal report: cut out of the report's octets as they pass, and decoded where it travels encoded.
//!
//! Where it lies is told by mdrop-route, and never believed: it counts only if both its ends lie in the report and every octet of it can be
//! decoded. What is doubtful is not guessed at, since the report itself is always there.

use crate::stream::Journal;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::io::{self, Write};

/// How the part that holds an inner message is encoded (RFC 2045 section 6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Encoding {
    /// Not at all.
    Identity,
    Base64,
    QuotedPrintable,
}

/// Where in a report's octets its inner message lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inner {
    offset: u64,
    length: u64,
    encoding: Encoding,
}

impl Inner {
    /// The place that a report's `journal` member names; none if it names none.
    ///
    /// # Errors
    /// In words, if the member can't be right.
    pub fn of(journal: &Journal) -> Result<Option<Self>, String> {
        let (offset, length) = match (journal.offset, journal.length) {
            (None, None) => return Ok(None),
            (Some(offset), Some(length)) => (offset, length),
            _ => return Err("only one end of the inner message is told".into()),
        };
        let encoding = match journal.encoding.as_deref() {
            None => Encoding::Identity,
            Some("base64") => Encoding::Base64,
            Some("quoted-printable") => Encoding::QuotedPrintable,
            Some(other) => return Err(format!("the inner message is encoded in an unknown way: {other}")),
        };
        Ok(Some(Self { offset, length, encoding }))
    }
}

/// How long a line of quoted-printable may be, in octets; RFC 2045 section 6.7 has 76.
const LONGEST_LINE: usize = 1 << 20;
/// How many letters of base64 are decoded at once; a multiple of four.
const LETTERS: usize = 32 << 10;
/// Encoders differ in whether they pad, and in what they leave in the last letter's spare bits; neither changes an octet.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Hands the inner message on out of a report's octets, which are written to it in pieces of any size.
pub struct Cutter<W> {
    /// How many octets stand before it still.
    before: u64,
    /// How many octets of it are still to come.
    left: u64,
    encoding: Encoding,
    /// Of a line, or of letters, what waits for its rest.
    waiting: Vec<u8>,
    /// Whether padding has ended the base64.
    padded: bool,
    handed_on: u64,
    wrong: Option<&'static str>,
    output: W,
}

impl<W: Write> Cutter<W> {
    /// Cuts out what lies at `inner`, for `output`.
    pub fn new(inner: Inner, output: W) -> Self {
        let Inner { offset, length, encoding } = inner;
        Self { before: offset, left: length, encoding, waiting: Vec::new(), padded: false, handed_on: 0, wrong: None, output }
    }

    /// Ends the report, and gives back the output if it has the whole inner message; else says in words why not.
    ///
    /// # Errors
    /// What the output reports.
    pub fn finish(mut self) -> io::Result<Result<W, String>> {
        self.rest()?;
        Ok(if self.before > 0 || self.left > 0 {
            Err("the inner message is said to lie where the report has no octets".into())
        } else if let Some(wrong) = self.wrong {
            Err(wrong.into())
        } else if self.handed_on == 0 {
            Err("the inner message is said to be empty".into())
        } else {
            Ok(self.output)
        })
    }

    fn hand_on(&mut self, octets: &[u8]) -> io::Result<()> {
        self.handed_on += octets.len() as u64;
        self.output.write_all(octets)
    }

    fn take(&mut self, part: &[u8]) -> io::Result<()> {
        match self.encoding {
            Encoding::Identity => self.hand_on(part),
            _ if self.wrong.is_some() => Ok(()),
            Encoding::Base64 => self.letters(part),
            Encoding::QuotedPrintable => self.lines(part),
        }
    }

    fn rest(&mut self) -> io::Result<()> {
        match self.encoding {
            Encoding::Identity => Ok(()),
            Encoding::Base64 => self.decode_letters(),
            Encoding::QuotedPrintable => self.decode_line(),
        }
    }

    /// Gathers letters of base64; white space between them means nothing, and nothing but padding may stand behind padding.
    fn letters(&mut self, part: &[u8]) -> io::Result<()> {
        for octet in part {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'=' => self.padded = true,
                _ if self.padded => self.wrong = Some("the inner message's base64 goes on behind its end"),
                _ => self.waiting.push(*octet),
            }
            if self.waiting.len() == LETTERS {
                self.decode_letters()?;
            }
        }
        Ok(())
    }

    fn decode_letters(&mut self) -> io::Result<()> {
        let decoded = BASE64.decode(&self.waiting);
        self.waiting.clear();
        if let Ok(octets) = decoded {
            return self.hand_on(&octets);
        }
        self.wrong = Some("the inner message is not in base64, as is said");
        Ok(())
    }

    fn lines(&mut self, mut part: &[u8]) -> io::Result<()> {
        while !part.is_empty() {
            let end = memchr::memchr(b'\n', part);
            let (line, rest) = part.split_at(end.map_or(part.len(), |end| end + 1));
            if self.waiting.len() + line.len() > LONGEST_LINE {
                self.wrong = Some("the inner message has a line longer than any of quoted-printable");
                self.waiting.clear();
                return Ok(());
            }
            self.waiting.extend_from_slice(line);
            if end.is_some() {
                self.decode_line()?;
            }
            part = rest;
        }
        Ok(())
    }

    /// Decodes one line: blanks at its end were added on the way, and `=` at its end takes the line end away.
    fn decode_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.waiting);
        let content = line.strip_suffix(b"\n").unwrap_or(&line);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        let end = &line[content.len()..];
        let blanks = content.iter().rev().take_while(|octet| matches!(octet, b' ' | b'\t')).count();
        let content = &content[..content.len() - blanks];
        let (content, end) = content.strip_suffix(b"=").map_or((content, end), |content| (content, b"".as_slice()));
        let mut decoded = Vec::with_capacity(line.len());
        let mut pieces = content.split(|octet| *octet == b'=');
        decoded.extend_from_slice(pieces.next().unwrap_or_default());
        for piece in pieces {
            match piece {
                [high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    decoded.push(hex(*high) << 4 | hex(*low));
                    decoded.extend_from_slice(rest);
                }
                _ => self.wrong = Some("the inner message is not in quoted-printable, as is said"),
            }
        }
        decoded.extend_from_slice(end);
        self.hand_on(&decoded)
    }
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a').wrapping_add(10),
    }
}

impl<W: Write> Write for Cutter<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let length = octets.len() as u64;
        let skipped = self.before.min(length);
        self.before -= skipped;
        let taken = self.left.min(length - skipped);
        self.left -= taken;
        // Neither is more than the length, which fits.
        let (skipped, taken) = (usize::try_from(skipped).unwrap_or(0), usize::try_from(taken).unwrap_or(0));
        if let Some(part) = octets.get(skipped..skipped + taken).filter(|part| !part.is_empty()) {
            self.take(part)?;
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(offset: u64, length: u64, encoding: Option<&str>) -> Journal {
        Journal { kind: "exchange".into(), offset: Some(offset), length: Some(length), encoding: encoding.map(str::to_owned) }
    }

    fn cut(octets: &[u8], journal: &Journal, piece: usize) -> Result<Vec<u8>, String> {
        let mut cutter = Cutter::new(Inner::of(journal)?.unwrap(), Vec::new());
        octets.chunks(piece).for_each(|piece| cutter.write_all(piece).unwrap());
        cutter.finish().unwrap()
    }

    fn encoded(octets: &[u8], encoding: &str) -> Result<Vec<u8>, String> {
        let whole = [b"before".as_slice(), octets, b"behind"].concat();
        let journal = journal(6, octets.len() as u64, Some(encoding));
        let results: Vec<_> = [1, 2, 5, 64, 100_000].iter().map(|piece| cut(&whole, &journal, *piece)).collect();
        assert!(results.iter().all(|result| *result == results[0]), "in pieces of any size");
        results[0].clone()
    }

    #[test]
    fn what_lies_at_the_place_is_cut_out_in_pieces_of_any_size() {
        for piece in [1, 2, 3, 100] {
            assert_eq!(cut(b"0123456789", &journal(3, 4, None), piece), Ok(b"3456".to_vec()));
            assert_eq!(cut(b"0123456789", &journal(0, 10, None), piece), Ok(b"0123456789".to_vec()));
        }
    }

    #[test]
    fn a_place_that_is_not_in_the_report_is_refused() {
        for (offset, length) in [(0, 11), (10, 1), (11, 0), (u64::MAX, u64::MAX), (3, u64::MAX), (5, 0)] {
            assert!(cut(b"0123456789", &journal(offset, length, None), 4).is_err(), "{offset} {length}");
        }
        assert_eq!(Inner::of(&Journal { offset: None, length: None, ..journal(0, 0, None) }), Ok(None));
        assert!(Inner::of(&Journal { offset: None, ..journal(0, 1, None) }).is_err());
        assert!(Inner::of(&journal(0, 1, Some("uuencode"))).is_err());
    }

    #[test]
    fn base64_is_decoded_and_anything_else_in_it_refused() {
        let octets: Vec<u8> = (0..100_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
        for length in [1, 2, 3, 24_575, 24_576, 100_000] {
            let text = BASE64.encode(&octets[..length]);
            let lines: Vec<&[u8]> = text.as_bytes().chunks(76).collect();
            assert_eq!(encoded(&lines.join(b"\r\n".as_slice()), "base64").as_deref(), Ok(&octets[..length]));
            assert_eq!(encoded(text.trim_end_matches('=').as_bytes(), "base64").as_deref(), Ok(&octets[..length]));
        }
        for wrong in [b"QUJD!".as_slice(), b"QUI=QUI=", b"Q", b"--b", b""] {
            assert!(encoded(wrong, "base64").is_err(), "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn quoted_printable_is_decoded_and_anything_else_in_it_refused() {
        for (text, octets) in [
            ("a=3D=e4=\r\nb \t\r\n=20\r\n\n=0A=\r\n", b"a=\xe4b\r\n \r\n\n\n".as_slice()),
            ("soft= \t\r\nend=", b"softend"),
            ("bare\rcr \u{fc}\r\r\n", "bare\rcr \u{fc}\r\r\n".as_bytes()),
        ] {
            assert_eq!(encoded(text.as_bytes(), "quoted-printable").as_deref(), Ok(octets), "{text:?}");
        }
        for wrong in ["a=b\r\n", "=G0", "==\r\n", "=\r\n"] {
            assert!(encoded(wrong.as_bytes(), "quoted-printable").is_err(), "{wrong:?}");
        }
        let mut long = b"x".repeat(LONGEST_LINE);
        assert!(encoded(&long, "quoted-printable").is_ok());
        long.push(b'x');
        assert!(encoded(&long, "quoted-printable").is_err());
    }
}
