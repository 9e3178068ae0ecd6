//! From a message's octets to the form in which it travels.

use crate::identity::Digest;
use crate::record::Eol;
use std::io::{self, Write};

/// Learns from a message's octets what its X-Mdrop line must say.
#[derive(Default)]
pub struct Measure {
    hasher: blake3::Hasher,
    size: u64,
    last: u8,
    raw: bool,
}

impl Measure {
    /// Takes the next octets.
    pub fn update(&mut self, octets: &[u8]) {
        self.hasher.update(octets);
        self.size += octets.len() as u64;
        if !self.raw {
            self.raw = octets.first() == Some(&b'\n') && self.last != b'\r' || has_bare_lf(octets);
        }
        self.last = octets.last().copied().unwrap_or(self.last);
    }

    /// Size in octets, digest, and how the line ends can travel.
    #[must_use]
    pub fn finish(&self) -> (u64, Digest, Eol) {
        let eol = if self.raw { Eol::Raw } else { Eol::Crlf };
        (self.size, Digest(*self.hasher.finalize().as_bytes()), eol)
    }
}

/// Whether an LF after the first octet follows anything but a CR. Without a branch, so that it compiles to vector instructions: 5
/// times as fast as a search from LF to LF in mail, which has many.
fn has_bare_lf(octets: &[u8]) -> bool {
    let pairs = octets.iter().zip(octets.iter().skip(1));
    pairs.fold(0, |bare, (before, this)| bare | (u8::from(*this == b'\n') & u8::from(*before != b'\r'))) != 0
}

impl Write for Measure {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.update(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How much encoded form is gathered before it is written: as much as standard output's buffer holds, which then takes no copy of it.
const BUFFER: usize = 256 << 10;
/// What makes a line a boundary, and so must be quoted.
pub(super) const FROM: &[u8; 5] = b"From ";

/// Encodes octets written to it, in pieces of any size.
pub struct Encoder<'b, W: Write> {
    eol: Eol,
    output: W,
    buffer: &'b mut Vec<u8>,
    at_line_start: bool,
    /// How much of `From ` has been seen at the beginning of the line; it is held back.
    matched: usize,
    /// A CR that may be part of a CR LF.
    pending_cr: bool,
    last: Option<u8>,
}

impl<'b, W: Write> Encoder<'b, W> {
    /// An encoder for a message whose line ends travel as `eol`; what `buffer` holds is lost, and its memory serves the next one again.
    pub fn new(eol: Eol, output: W, buffer: &'b mut Vec<u8>) -> Self {
        buffer.clear();
        Self { eol, output, buffer, at_line_start: true, matched: 0, pending_cr: false, last: None }
    }

    /// Ends the message: the encoded form of one that is not empty ends with LF.
    ///
    /// # Errors
    /// What the output reports.
    pub fn finish(mut self) -> io::Result<()> {
        self.buffer.extend_from_slice(&FROM[..self.matched]);
        if self.pending_cr {
            self.buffer.push(b'\r');
        }
        if self.last.is_some_and(|last| last != b'\n') {
            self.buffer.push(b'\n');
        }
        self.output.write_all(self.buffer)
    }

    /// Looks at the beginning of a line for `From ` after any number of `>`; returns what of `part` is left to put out.
    fn quote<'a>(&mut self, mut part: &'a [u8]) -> &'a [u8] {
        if self.matched == 0 {
            let quotes = part.iter().take_while(|b| **b == b'>').count();
            self.buffer.extend_from_slice(&part[..quotes]);
            part = &part[quotes..];
        }
        while let Some((first, rest)) = part.split_first() {
            if *first != FROM[self.matched] {
                self.buffer.extend_from_slice(&FROM[..self.matched]);
                self.leave_line_start();
                break;
            }
            self.matched += 1;
            part = rest;
            if self.matched == FROM.len() {
                self.buffer.extend_from_slice(b">From ");
                self.leave_line_start();
                break;
            }
        }
        part
    }

    fn leave_line_start(&mut self) {
        self.matched = 0;
        self.at_line_start = false;
    }

    /// Puts out octets of a line, CR LF as LF where line ends travel so.
    fn put(&mut self, mut part: &[u8]) {
        if self.eol == Eol::Crlf && !part.is_empty() {
            if std::mem::take(&mut self.pending_cr) && part != b"\n" {
                self.buffer.push(b'\r');
            }
            if let Some(line) = part.strip_suffix(b"\r\n") {
                self.buffer.extend_from_slice(line);
                part = b"\n";
            } else if let Some(line) = part.strip_suffix(b"\r") {
                self.pending_cr = true;
                part = line;
            }
        }
        self.buffer.extend_from_slice(part);
    }
}

impl<W: Write> Write for Encoder<'_, W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut rest = octets;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest);
            let (mut part, after) = rest.split_at(end.map_or(rest.len(), |at| at + 1));
            if self.at_line_start {
                if self.matched == 0 && !matches!(part[0], b'>' | b'F') {
                    self.at_line_start = false;
                } else {
                    part = self.quote(part);
                }
            }
            match part {
                // Almost every line of mail: one copy, its CR LF as LF.
                [.., b'\r', b'\n'] if self.eol == Eol::Crlf && !self.pending_cr => {
                    self.buffer.extend_from_slice(&part[..part.len() - 1]);
                    if let Some(end) = self.buffer.last_mut() {
                        *end = b'\n';
                    }
                }
                _ => self.put(part),
            }
            self.at_line_start |= end.is_some();
            rest = after;
            if self.buffer.len() >= BUFFER {
                self.output.write_all(self.buffer)?;
                self.buffer.clear();
            }
        }
        self.last = octets.last().copied().or(self.last);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
