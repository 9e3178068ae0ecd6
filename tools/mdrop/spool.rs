//! Holds one message until it is known to be whole: in memory while it is small, else in an unlinked temporary file.
//!
//! A message's size, digest and line ends must be known before its first line is written, and memory must stay flat whatever
//! comes; the file has no name, so that a killed process leaves nothing behind.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Octets of one message, in memory or in a file without a name.
#[derive(Debug)]
pub struct Spool {
    memory: Vec<u8>,
    limit: usize,
    file: Option<File>,
    size: u64,
}

impl Spool {
    /// An empty spool that holds up to `limit` octets in memory.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { memory: Vec::new(), limit, file: None, size: 0 }
    }

    /// How many octets it holds.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The octets, where they lie in memory.
    #[must_use]
    pub fn in_memory(&self) -> Option<&[u8]> {
        self.file.is_none().then_some(&self.memory)
    }

    /// The octets themselves, if they lie in memory; else the spool again.
    ///
    /// # Errors
    /// None that is one: the spool.
    pub fn into_memory(self) -> std::result::Result<Vec<u8>, Self> {
        if self.file.is_none() { Ok(self.memory) } else { Err(self) }
    }

    /// The first octets, `longest` at most: where the header is.
    ///
    /// # Errors
    /// What the temporary file reports.
    pub fn beginning(&mut self, longest: usize) -> Result<Vec<u8>> {
        let mut octets = Vec::new();
        self.reader()?.take(longest as u64).read_to_end(&mut octets)?;
        Ok(octets)
    }

    /// Reads the octets from the first to the last; where they lie in memory, `fill_buf` gives them all at once.
    ///
    /// # Errors
    /// What the temporary file reports.
    pub fn reader(&mut self) -> Result<Box<dyn BufRead + '_>> {
        Ok(match &mut self.file {
            None => Box::new(self.memory.as_slice()),
            Some(file) => {
                file.seek(SeekFrom::Start(0)).map_err(|e| Error::io("rewind the temporary file", e))?;
                Box::new(BufReader::with_capacity(64 << 10, file))
            }
        })
    }

    /// Reads the octets of a range of it.
    ///
    /// # Errors
    /// What the temporary file reports.
    pub fn range(&mut self, range: std::ops::Range<u64>) -> Result<Box<dyn Read + '_>> {
        let length = range.end.saturating_sub(range.start);
        Ok(match &mut self.file {
            None => {
                let from = usize::try_from(range.start).unwrap_or(usize::MAX);
                Box::new(self.memory.get(from..).unwrap_or_default().take(length))
            }
            Some(file) => {
                file.seek(SeekFrom::Start(range.start)).map_err(|e| Error::io("seek in the temporary file", e))?;
                Box::new(file.take(length))
            }
        })
    }

    /// Reads up to `most` octets straight into memory, which must have room for them below its limit; returns how many came before the
    /// reader's end.
    ///
    /// # Errors
    /// What the reader reports; what came before is there.
    pub fn read_from(&mut self, reader: &mut dyn Read, most: usize) -> io::Result<usize> {
        let before = self.memory.len();
        self.memory.reserve(most);
        let read = reader.take(most as u64).read_to_end(&mut self.memory);
        let came = self.memory.len() - before;
        self.size += came as u64;
        read.map(|_| came)
    }

    /// Makes it empty, keeping the memory it has allocated.
    pub fn clear(&mut self) {
        self.memory.clear();
        self.file = None;
        self.size = 0;
    }
}

impl Write for Spool {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.file.is_none() && self.memory.len() + octets.len() > self.limit {
            let mut file = temporary()?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        match &mut self.file {
            None => self.memory.extend_from_slice(octets),
            Some(file) => file.write_all(octets)?,
        }
        self.size += octets.len() as u64;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file without a name, for what must be held and does not fit into memory.
pub(crate) fn temporary() -> io::Result<File> {
    crate::durable::nameless(&folder())
}

/// `$TMPDIR`, else /var/tmp, which unlike /tmp is seldom held in memory.
fn folder() -> std::path::PathBuf {
    let named = std::env::var_os("TMPDIR").map(std::path::PathBuf::from);
    named.unwrap_or_else(|| {
        let var = Path::new("/var/tmp");
        if var.is_dir() { var.to_path_buf() } else { std::env::temp_dir() }
    })
}
