//! From the form in which a message travels back to its octets.

use super::encode::FROM;
use crate::record::Eol;
use std::io::{self, Write};

/// How much is decoded before it is handed on, always exactly so much but for the end: BLAKE3 takes whole powers of two almost twice as
/// fast as what lies across them.
const BUFFER: usize = 128 << 10;

/// Decodes an encoded form written to it, in pieces of any size, and hands on exactly the message's octets.
pub struct Decoder<W: Write> {
    crlf: bool,
    /// The size that the X-Mdrop line promises.
    size: u64,
    /// Octets handed on.
    handed_on: u64,
    output: W,
    buffer: Vec<u8>,
    at_line_start: bool,
    /// Whether a `>` at the beginning of the line is held back, which is a quote if `From ` follows.
    quote: bool,
    /// How much of `From ` has been seen after it.
    matched: usize,
}

impl<W: Write> Decoder<W> {
    /// A decoder for a message of `size` octets whose line ends travel as `eol`.
    pub fn new(eol: Eol, size: u64, output: W) -> Self {
        Self::with_buffer(eol, size, output, Vec::new())
    }

    /// The same, with memory that served another one before.
    pub(super) fn with_buffer(eol: Eol, size: u64, output: W, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self { crlf: eol == Eol::Crlf, size, handed_on: 0, output, buffer, at_line_start: true, quote: false, matched: 0 }
    }

    /// What the octets are handed to.
    pub fn output(&self) -> &W {
        &self.output
    }

    /// Ends the message and gives back the output and whether it got exactly the promised number of octets.
    ///
    /// # Errors
    /// What the output reports.
    pub fn finish(self) -> io::Result<(W, bool)> {
        self.finish_with_buffer().map(|(output, whole, _)| (output, whole))
    }

    /// The same; gives the memory back, too.
    pub(super) fn finish_with_buffer(mut self) -> io::Result<(W, bool, Vec<u8>)> {
        self.settle();
        let line_end: &[u8] = if self.crlf { b"\r\n" } else { b"\n" };
        let total = self.handed_on + self.buffer.len() as u64;
        // The encoder ends every message with LF; one that had no line end at its end is told by its size.
        let added = total.checked_sub(line_end.len() as u64) == Some(self.size) && self.buffer.ends_with(line_end);
        if added {
            self.buffer.truncate(self.buffer.len() - line_end.len());
        }
        self.output.write_all(&self.buffer)?;
        Ok((self.output, added || total == self.size, self.buffer))
    }

    /// Puts out a line's beginning that was held back: it was no quoted `From ` line.
    fn settle(&mut self) {
        if std::mem::take(&mut self.quote) {
            self.buffer.push(b'>');
        }
        self.buffer.extend_from_slice(&FROM[..std::mem::take(&mut self.matched)]);
        self.at_line_start = false;
    }

    /// Looks at the beginning of a line for a quote; returns what of `part` is left to put out.
    fn unquote<'a>(&mut self, mut part: &'a [u8]) -> &'a [u8] {
        while let Some((first, rest)) = part.split_first() {
            if *first == b'>' && self.matched == 0 {
                // Of a run of quotes one goes; which one makes no difference.
                if std::mem::replace(&mut self.quote, true) {
                    self.buffer.push(b'>');
                }
            } else if self.quote && *first == FROM[self.matched] {
                self.matched += 1;
                if self.matched == FROM.len() {
                    self.quote = false;
                    self.settle_from();
                    return rest;
                }
            } else {
                self.settle();
                return part;
            }
            part = rest;
        }
        part
    }

    fn settle_from(&mut self) {
        self.matched = 0;
        self.buffer.extend_from_slice(FROM);
        self.at_line_start = false;
    }

    /// Decodes line after line, as far as one that begins with a quote or the buffer's room; returns how many octets that took.
    fn lines(&mut self, encoded: &[u8]) -> usize {
        let line_end: &[u8] = if self.crlf { b"\r\n" } else { b"\n" };
        let mut done = 0;
        for at in memchr::memchr_iter(b'\n', encoded) {
            self.buffer.extend_from_slice(&encoded[done..at]);
            self.buffer.extend_from_slice(line_end);
            done = at + 1;
            if encoded.get(done) == Some(&b'>') || self.buffer.len() >= BUFFER {
                self.at_line_start = true;
                return done;
            }
        }
        self.at_line_start = encoded.last() == Some(&b'\n');
        self.buffer.extend_from_slice(&encoded[done..]);
        encoded.len()
    }

    /// Hands on what is full, but for the last two octets, which may be a line end that was added.
    fn drain(&mut self) -> io::Result<()> {
        let full = self.buffer.len().saturating_sub(2) / BUFFER * BUFFER;
        self.output.write_all(&self.buffer[..full])?;
        self.handed_on += full as u64;
        self.buffer.drain(..full);
        Ok(())
    }
}

impl<W: Write> Write for Decoder<W> {
    fn write(&mut self, encoded: &[u8]) -> io::Result<usize> {
        let mut rest = encoded;
        while !rest.is_empty() {
            if self.at_line_start {
                if self.quote || rest[0] == b'>' {
                    rest = self.unquote(rest);
                    continue;
                }
                self.at_line_start = false;
            }
            rest = &rest[self.lines(rest)..];
            if self.buffer.len() >= BUFFER {
                self.drain()?;
            }
        }
        Ok(encoded.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
