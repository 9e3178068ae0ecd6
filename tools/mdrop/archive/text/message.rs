//! The words of one message, read from its pack; of a journal report those of the mail in it.

use super::Level;
use crate::archive::pack::{PackReader, Place};
use crate::archive::shelf::Shelf;
use crate::error::Result;
use crate::identity::Digest;
use crate::inner::{Cutter, Inner};
use crate::stream::Journal;
use crate::words::{Reader, Words};
use std::io;

/// A message that is to be read.
#[derive(Clone)]
pub struct Job {
    pub digest: Digest,
    pub place: Place,
    pub journal: Option<Journal>,
    pub size: u64,
    /// Whether the archive had it before.
    pub again: bool,
}

impl Job {
    /// The message inside the report that is to be read in its place.
    fn inner(&self) -> Option<Inner> {
        self.journal.as_ref().and_then(|journal| Inner::of(journal).ok().flatten())
    }

    /// Whether there is one.
    pub fn has_inner(&self) -> bool {
        self.inner().is_some()
    }
}

/// Reads the messages of a chunk; the digest of each is checked on the way.
pub fn read_all(shelf: &Shelf, jobs: &[Job], level: Level) -> Vec<Result<Words>> {
    let mut packs = PackReader::default();
    jobs.iter().map(|job| read(&mut packs, shelf, job, level)).collect()
}

fn read(packs: &mut PackReader, shelf: &Shelf, job: &Job, level: Level) -> Result<Words> {
    let reader = || if level == Level::Heads { Reader::of_heads() } else { Reader::default() };
    if let Some(inner) = job.inner() {
        let mut cutter = Cutter::new(inner, reader());
        packs.read(shelf, job.place, job.digest, &mut io::sink(), &mut cutter)?;
        if let Ok(inner) = cutter.finish()? {
            return Ok(inner.finish());
        }
    }
    let mut whole = reader();
    packs.read(shelf, job.place, job.digest, &mut io::sink(), &mut whole)?;
    Ok(whole.finish())
}
