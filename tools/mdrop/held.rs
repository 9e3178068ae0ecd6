//! One message while it comes in: its octets, and what its X-Mdrop line will have to say of them.
//!
//! Nothing of a message may enter the stream before all of it is there; so whoever receives one writes it here first. One of these
//! serves a whole run, and keeps the memory it has allocated.

use crate::error::Result;
use crate::identity::Digest;
use crate::record::Eol;
use crate::spool::Spool;
use crate::stream::Measure;
use std::io::{self, BufRead, Write};

/// How much of a message lies in memory, in octets; beyond that it lies in an unlinked temporary file.
pub const IN_MEMORY: usize = 16 << 20;

/// The octets of one message, measured as they come.
pub struct Held {
    spool: Spool,
    measure: Measure,
}

impl Default for Held {
    fn default() -> Self {
        Self { spool: Spool::new(IN_MEMORY), measure: Measure::default() }
    }
}

impl Held {
    /// Makes room for the next message.
    pub fn clear(&mut self) {
        self.spool.clear();
        self.measure = Measure::default();
    }

    /// Size in octets, digest, and how the line ends can travel.
    #[must_use]
    pub fn measured(&self) -> (u64, Digest, Eol) {
        self.measure.finish()
    }

    /// How many octets have come.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.spool.size()
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
        self.spool.write_all(octets)?;
        self.measure.update(octets);
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
