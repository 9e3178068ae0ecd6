//! Reading a stream: finds each message's beginning and end, and checks its size and digest as it passes.
//!
//! A line that begins with `From ` is always a boundary, since one inside a message is quoted; so a damaged message is
//! left behind at the next boundary and costs only itself. Content-Length and Lines are never looked at.

use super::{Decoder, FIELD, Meta};
use crate::error::{Error, Result, Status};
use crate::identity::Digest;
use crate::record::LONGEST_LINE;
use std::io::{self, Read, Write};

/// How much is read at once.
const BUFFER: usize = 256 << 10;
/// The boundary between two messages, with the LF of the line before.
const BOUNDARY: &[u8] = b"\nFrom ";

/// Why a message could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// This message is cut or altered; the reader stands at the next one.
    Message(Error),
    /// The input itself can't be read on.
    Input(Error),
    /// What was to take the message can't; the stream may be whole.
    Sink(Error),
}

impl ReadError {
    /// The failure, whichever kind it is.
    #[must_use]
    pub fn into_error(self) -> Error {
        match self {
            Self::Message(error) | Self::Input(error) | Self::Sink(error) => error,
        }
    }
}

/// Reads a stream message by message.
pub struct StreamReader<R: Read> {
    input: R,
    /// Of which `start..end` is what was read and not used yet.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    /// Where in the stream `start` is, in octets.
    position: u64,
    /// Memory for decoding, kept from one message to the next.
    spare: Vec<u8>,
}

type ReadResult<T> = std::result::Result<T, ReadError>;

impl<R: Read> StreamReader<R> {
    /// A reader of `input`; it buffers itself.
    pub fn new(input: R) -> Self {
        Self { input, buffer: vec![0; BUFFER], start: 0, end: 0, ended: false, position: 0, spare: Vec::new() }
    }

    /// Where in the stream, in octets, the next message begins.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Reads the next message: its encoded form goes to `encoded`, its octets to `octets` (a second hash, or
    /// [`io::sink`]). None at the end of the input. On any error what was written to them is to be thrown away.
    ///
    /// # Errors
    /// [`ReadError::Message`], with [`Status::Data`], if the message has no X-Mdrop line, or was cut or altered: size or digest
    /// differ from what the line promises. Then the next call reads the next message.
    pub fn read(&mut self, encoded: &mut dyn Write, octets: &mut dyn Write) -> ReadResult<Option<Meta>> {
        self.read_as(|_| Ok(()), encoded, octets)
    }

    /// The same, but `look` sees what the line says before the body is read, and may refuse the message.
    ///
    /// # Errors
    /// As [`StreamReader::read`], and what `look` reports.
    pub fn read_as(
        &mut self,
        look: impl FnOnce(&Meta) -> Result<()>,
        encoded: &mut dyn Write,
        mut octets: &mut dyn Write,
    ) -> ReadResult<Option<Meta>> {
        self.read_into(|meta, _| look(meta), encoded, &mut octets)
    }

    /// The same, but `look` also sees what the octets will go to, and may prepare it for them.
    ///
    /// # Errors
    /// As [`StreamReader::read_as`].
    pub fn read_into<O: Write>(
        &mut self,
        look: impl FnOnce(&Meta, &mut O) -> Result<()>,
        encoded: &mut dyn Write,
        octets: &mut O,
    ) -> ReadResult<Option<Meta>> {
        let at = self.position;
        if self.available(1)? == 0 {
            return Ok(None);
        }
        let bad = |error: Error| error.about(format!("message at octet {at} of the stream"));
        let meta = match self.head() {
            Ok(meta) => meta,
            Err(ReadError::Message(error)) => {
                self.skip_to_boundary()?;
                return Err(ReadError::Message(bad(error)));
            }
            Err(other) => return Err(other),
        };
        if let Err(refused) = look(&meta, octets) {
            self.skip_to_boundary()?;
            return Err(ReadError::Message(refused.about(meta.origin.to_string())));
        }
        let sink = Digesting { hasher: blake3::Hasher::new(), octets };
        let decoder = Decoder::with_buffer(meta.eol, meta.size, sink, std::mem::take(&mut self.spare));
        let mut body = Body { encoded, decoder, held: false, at_line_start: true };
        self.body(|part| body.take(part))?;
        let (verdict, spare) = body.finish(&meta).map_err(|e| ReadError::Sink(Error::io("write", e)))?;
        self.spare = spare;
        verdict.map_err(|why| ReadError::Message(bad(Error::new(Status::Data, why)).about(meta.origin.to_string())))?;
        Ok(Some(meta))
    }

    /// Reads the `From ` line and the X-Mdrop line. The LF of the latter stays, so that a boundary right behind it is seen.
    fn head(&mut self) -> ReadResult<Meta> {
        let bad = |what: &str| ReadError::Message(Error::new(Status::Data, what));
        let first = self.line_end(0)?;
        if !self.buffer[self.start..self.start + first].starts_with(b"From ") {
            return Err(bad("does not begin with a From line"));
        }
        self.consume(first - 1);
        let second = self.line_end(1)?;
        let Some(json) = self.buffer[self.start + 1..self.start + second].strip_prefix(FIELD.as_bytes()) else {
            return Err(bad("has no X-Mdrop line; all mail enters through mdrop-fetch"));
        };
        if json.last() != Some(&b'\n') {
            return Err(bad("cut off in its X-Mdrop line"));
        }
        let meta = serde_json::from_slice(json).map_err(|e| bad(&format!("X-Mdrop line: {e}")))?;
        self.consume(second - 1);
        Ok(meta)
    }

    /// Passes everything behind the octet at `start` up to the next boundary, or the end. At least that octet is consumed,
    /// so that no input can hold the reader.
    fn body(&mut self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> ReadResult<()> {
        let mut skip = 1;
        loop {
            let available = self.available(BOUNDARY.len())?;
            let window = &self.buffer[self.start..self.start + available];
            let boundary = memchr::memmem::find(window, BOUNDARY);
            let partial = if self.ended { 0 } else { BOUNDARY.len() - 1 };
            let length = boundary.map_or(available.saturating_sub(partial), |at| at + 1);
            take(&window[skip.min(length)..length]).map_err(|e| ReadError::Sink(Error::io("write", e)))?;
            skip = 0;
            self.consume(length);
            if boundary.is_some() || (self.ended && self.start == self.end) {
                return Ok(());
            }
        }
    }

    /// Leaves a damaged message behind.
    fn skip_to_boundary(&mut self) -> ReadResult<()> {
        self.body(|_| Ok(()))
    }

    /// Where the line that begins `from` octets behind `start` ends, its LF included; without LF only at the end of the input.
    fn line_end(&mut self, from: usize) -> ReadResult<usize> {
        let mut wanted = from + 1;
        let mut searched = from;
        loop {
            let available = self.available(wanted)?;
            let window = &self.buffer[self.start..self.start + available];
            if let Some(at) = window.get(searched..).and_then(|rest| memchr::memchr(b'\n', rest)) {
                return Ok(searched + at + 1);
            }
            if available < wanted {
                return Ok(available);
            }
            if available > LONGEST_LINE {
                return Err(ReadError::Message(Error::new(Status::Data, "a line longer than any X-Mdrop line")));
            }
            searched = available;
            wanted = available + 1;
        }
    }

    fn consume(&mut self, octets: usize) {
        self.start += octets;
        self.position += octets as u64;
    }

    /// Reads until at least `wanted` octets lie in the buffer, or the input ends; returns how many do.
    fn available(&mut self, wanted: usize) -> ReadResult<usize> {
        while self.end - self.start < wanted && !self.ended {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.end * 2 > self.buffer.len() {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(read) => self.end += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(ReadError::Input(Error::from(e))),
            }
        }
        Ok(self.end - self.start)
    }
}

/// One message's body on its way: to the sinks, and through the decoder for its digest.
struct Body<'a> {
    encoded: &'a mut dyn Write,
    decoder: Decoder<Digesting<'a>>,
    /// Whether an LF is held back, which may be the empty line that ends the message.
    held: bool,
    /// Whether what was passed on so far ends where a line does.
    at_line_start: bool,
}

impl Body<'_> {
    fn take(&mut self, part: &[u8]) -> io::Result<()> {
        let Some((last, _)) = part.split_last() else { return Ok(()) };
        if self.held {
            self.put(b"\n")?;
        }
        self.held = *last == b'\n';
        self.put(&part[..part.len() - usize::from(self.held)])
    }

    fn put(&mut self, part: &[u8]) -> io::Result<()> {
        self.at_line_start = part.last().map_or(self.at_line_start, |last| *last == b'\n');
        self.encoded.write_all(part)?;
        self.decoder.write_all(part)
    }

    /// Whether the message is whole; if not, why. With the memory that decoding took.
    fn finish(self, meta: &Meta) -> io::Result<(std::result::Result<(), String>, Vec<u8>)> {
        let ended = self.held && self.at_line_start;
        let (sink, whole, buffer) = self.decoder.finish_with_buffer()?;
        let digest = Digest(*sink.hasher.finalize().as_bytes());
        let verdict = if !ended {
            Err("cut off before the empty line that ends it".into())
        } else if !whole {
            Err(format!("altered or cut: it does not have the {} octets its X-Mdrop line promises", meta.size))
        } else if digest != meta.digest {
            Err(format!("altered: its digest is {digest}, its X-Mdrop line promises {}", meta.digest))
        } else {
            Ok(())
        };
        Ok((verdict, buffer))
    }
}

/// Hashes octets on their way.
struct Digesting<'a> {
    hasher: blake3::Hasher,
    octets: &'a mut dyn Write,
}

impl Write for Digesting<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.hasher.update(octets);
        self.octets.write_all(octets)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.octets.flush()
    }
}
