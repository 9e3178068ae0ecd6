//! One message while it comes in: its octets, and what its X-Mdrop line will have to say of them.
//!
//! Nothing of a message may enter the stream before all of it is there; so whoever receives one writes it here first. One of these
//! serves a whole run, and keeps the memory it has allocated.

use crate::error::Result;
use crate::identity::Digest;
use crate::record::Eol;
use crate::spool::Spool;
use crate::stream::Measure;
use std::io::{self, BufRead, Read, Write};

/// How much of a message lies in memory, in octets; beyond that it lies in an unlinked temporary file.
pub const IN_MEMORY: usize = 16 << 20;

/// In what pieces octets in memory are measured: BLAKE3 is twice as fast on pieces of a power of two as on the 16 KiB less something
/// that TLS hands out, and a piece is still in the processor's cache.
const PIECE: usize = 128 << 10;

/// The octets of one message, measured as they come.
pub struct Held {
    spool: Spool,
    measure: Measure,
    /// How much of what lies in memory is measured.
    measured: usize,
}

impl Default for Held {
    fn default() -> Self {
        Self { spool: Spool::new(IN_MEMORY), measure: Measure::default(), measured: 0 }
    }
}

impl Held {
    /// Makes room for the next message.
    pub fn clear(&mut self) {
        self.spool.clear();
        (self.measure, self.measured) = (Measure::default(), 0);
    }

    /// Size in octets, digest, and how the line ends can travel.
    #[must_use]
    pub fn measured(&mut self) -> (u64, Digest, Eol) {
        self.measure_up_to(|length| length);
        self.measure.finish()
    }

    fn measure_pieces(&mut self) {
        if self.spool.in_memory().is_some_and(|memory| memory.len() - self.measured >= PIECE) {
            self.measure_up_to(|length| length - length % PIECE);
        }
    }

    /// Measures what lies in memory, as much of it as `until` says.
    fn measure_up_to(&mut self, until: impl FnOnce(usize) -> usize) {
        let memory = self.spool.in_memory().unwrap_or_default();
        if let Some(octets) = memory.get(self.measured..until(memory.len())).filter(|octets| !octets.is_empty()) {
            self.measure.update(octets);
            self.measured += octets.len();
        }
    }

    /// How many octets have come.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.spool.size()
    }

    /// Reads up to `most` octets from `reader`, if there is room for them in memory; returns how many came before its end.
    ///
    /// # Errors
    /// What the reader reports.
    pub fn read_from(&mut self, reader: &mut dyn Read, most: usize) -> Option<io::Result<usize>> {
        self.spool.in_memory().filter(|memory| memory.len() + most <= IN_MEMORY)?;
        let read = self.spool.read_from(reader, most);
        self.measure_pieces();
        Some(read)
    }

    /// Reads the octets from the first to the last.
    ///
    /// # Errors
    /// What the temporary file reports.
    pub fn reader(&mut self) -> Result<Box<dyn BufRead + '_>> {
        self.spool.reader()
    }
}

impl Write for Held {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.spool.in_memory().is_some_and(|memory| memory.len() + octets.len() > IN_MEMORY) {
            self.measure_up_to(|length| length);
        }
        self.spool.write_all(octets)?;
        match self.spool.in_memory() {
            None => self.measure.update(octets),
            Some(_) => self.measure_pieces(),
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes messages as a source hands them out, one at a time; `K` names a message in its source.
pub trait Taker<K: ?Sized> {
    /// A whole message.
    ///
    /// # Errors
    /// Any error ends the reading: it is the taker's own, such as an output that can't be written.
    fn message(&mut self, key: &K, octets: &mut Held) -> Result<()>;

    /// A message that could not be had, and why; the others go on.
    ///
    /// # Errors
    /// As for [`Taker::message`].
    fn failed(&mut self, key: &K, error: crate::error::Error) -> Result<()>;

    /// A message that was listed, and is passed over by the source without a word.
    ///
    /// # Errors
    /// As for [`Taker::message`].
    fn absent(&mut self, key: &K) -> Result<()> {
        let what = "the server listed it and does not hand it out; it may have been deleted since";
        self.failed(key, crate::error::Error::new(crate::error::Status::TryAgain, what))
    }

    /// The source has nothing at hand now: what was held back may be handed on.
    ///
    /// # Errors
    /// As for [`Taker::message`].
    fn waiting(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_measured_alike_in_pieces_of_any_size_in_memory_and_beyond() {
        let line = b"a line of mail\r\n".repeat(9000);
        let mut held = Held::default();
        for (size, piece, bare) in [(0, 1, false), (1, 1, true), (130_000, 999, false), (140_000, 16_371, true), (17 << 20, 250_000, false)]
        {
            let mut octets: Vec<u8> = line.iter().copied().cycle().take(size).collect();
            if bare {
                octets[size / 2] = b'\n';
            }
            let mut expected = Measure::default();
            expected.update(&octets);
            held.clear();
            octets.chunks(piece).for_each(|part| held.write_all(part).unwrap());
            assert_eq!(held.measured(), expected.finish(), "{size} {piece}");
            assert_eq!(held.measured(), expected.finish(), "asked again");
        }
    }
}
