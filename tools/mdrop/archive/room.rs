//! Where the octets of messages wait for a commit: in memory while they are few, else in a file without a name.
//!
//! A message that was read into memory stays where it is; nothing is copied until it goes into its frame. What goes to the file
//! is gathered first, since mail is small and a write is not.

use crate::error::{Error, Result};
use crate::spool::{Spool, temporary};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// How much stays in memory, in octets.
const IN_MEMORY: usize = 8 << 20;
/// How much is gathered before it is written to the file.
const GATHER: usize = 256 << 10;

/// Where one message's octets wait.
pub enum Kept {
    /// In memory.
    Memory(Vec<u8>),
    /// In the room's file.
    File(Range<u64>),
}

impl Kept {
    /// How many octets there are.
    pub fn length(&self) -> u64 {
        match self {
            Self::Memory(octets) => octets.len() as u64,
            Self::File(range) => range.end - range.start,
        }
    }
}

/// See the module.
#[derive(Default)]
pub struct Room {
    in_memory: usize,
    file: Option<File>,
    written: u64,
    gathered: Vec<u8>,
}

impl Room {
    /// Takes the octets of one message.
    ///
    /// # Errors
    /// What the temporary files report.
    pub fn keep(&mut self, spool: Spool) -> Result<Kept> {
        let mut spool = match spool.into_memory() {
            Ok(octets) if self.in_memory + octets.capacity() <= IN_MEMORY => {
                self.in_memory += octets.capacity();
                return Ok(Kept::Memory(octets));
            }
            Ok(octets) => return self.write(&mut octets.as_slice()),
            Err(spool) => spool,
        };
        self.write(&mut spool.reader()?)
    }

    fn write(&mut self, octets: &mut dyn io::BufRead) -> Result<Kept> {
        let start = self.written + self.gathered.len() as u64;
        let error = |e| Error::io("hold a message for the next commit", e);
        loop {
            let piece = octets.fill_buf().map_err(error)?;
            if piece.is_empty() {
                return Ok(Kept::File(start..self.written + self.gathered.len() as u64));
            }
            let taken = piece.len();
            self.gather(piece).map_err(error)?;
            octets.consume(taken);
        }
    }

    fn gather(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.gathered.len() + piece.len() > GATHER {
            self.settle()?;
        }
        if piece.len() > GATHER {
            return self.append(piece);
        }
        self.gathered.extend_from_slice(piece);
        Ok(())
    }

    /// Writes what was gathered.
    fn settle(&mut self) -> io::Result<()> {
        let mut gathered = std::mem::take(&mut self.gathered);
        let done = self.append(&gathered);
        if done.is_ok() {
            gathered.clear();
        }
        self.gathered = gathered;
        done
    }

    /// Writes behind what is written. If that fails, what is there stays, and the next attempt begins at the same place.
    fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => temporary()?,
        };
        let done = file.write_all_at(octets, self.written);
        self.file = Some(file);
        done?;
        self.written += octets.len() as u64;
        Ok(())
    }

    /// Must be called between the last [`Room::keep`] and the first [`Room::reader`].
    ///
    /// # Errors
    /// What the temporary file reports.
    pub fn close(&mut self) -> Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        self.settle().map_err(|e| Error::io("hold a message for the next commit", e))
    }

    /// Reads a message's octets.
    pub fn reader<'a>(&'a self, kept: &'a Kept) -> Box<dyn Read + 'a> {
        match (kept, &self.file) {
            (Kept::Memory(octets), _) => Box::new(octets.as_slice()),
            (Kept::File(range), Some(file)) => Box::new(Piece { file, range: range.clone() }),
            (Kept::File(_), None) => Box::new(Nothing),
        }
    }
}

/// What should be in a file that is not there: no message, not even an empty one.
struct Nothing;

impl Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// A range of a file, read without moving its position.
struct Piece<'a> {
    file: &'a File,
    range: Range<u64>,
}

impl Read for Piece<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..wanted], self.range.start)?;
        if read == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.range.start += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_could_not_be_written_costs_nothing_that_waited_before() {
        let mut room = Room { in_memory: IN_MEMORY, ..Room::default() };
        let spool = |octets: &[u8]| {
            let mut spool = Spool::new(1 << 20);
            spool.write_all(octets).unwrap();
            spool
        };
        let (large, small) = (vec![1; 400 << 10], vec![2; 200 << 10]);
        let kept = [&large, &small].map(|octets| room.keep(spool(octets)).unwrap());
        // Nothing can be written for a while.
        let file = room.file.replace(File::open("/dev/null").unwrap());
        assert!(room.keep(spool(&large)).is_err() && room.keep(spool(&small)).is_err() && room.close().is_err());
        room.file = file;
        let third = room.keep(spool(b"three")).unwrap();
        room.close().unwrap();
        for (kept, octets) in kept.iter().zip([&large, &small]).chain([(&third, &b"three".to_vec())]) {
            let mut back = Vec::new();
            room.reader(kept).read_to_end(&mut back).unwrap();
            assert!(back == *octets);
        }
        let empty = Room::default();
        assert!(empty.reader(&kept[0]).read_to_end(&mut Vec::new()).is_err(), "without a file there is nothing to be read");
    }

    #[test]
    fn each_message_comes_back_from_wherever_it_waited() {
        let mut room = Room::default();
        let sizes = [0, 1, 100 << 10, 300 << 10, 7 << 20, 0, 5, 700 << 10, 3 << 20, 200 << 10, 200 << 10, 2];
        let octets = |n: usize| (0..sizes[n]).map(|i| u8::try_from((i * 7 + n) % 251).unwrap()).collect::<Vec<u8>>();
        let mut kept = Vec::new();
        for n in 0..sizes.len() {
            let mut spool = Spool::new(1 << 20);
            spool.write_all(&octets(n)).unwrap();
            kept.push(room.keep(spool).unwrap());
        }
        room.close().unwrap();
        assert!(kept.iter().any(|kept| matches!(kept, Kept::Memory(_))) && kept.iter().any(|kept| matches!(kept, Kept::File(_))));
        for (n, kept) in kept.iter().enumerate() {
            let mut back = Vec::new();
            room.reader(kept).read_to_end(&mut back).unwrap();
            assert!(back == octets(n) && kept.length() == sizes[n] as u64, "message {n}");
        }
    }
}
