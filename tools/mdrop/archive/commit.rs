//! The commit: how arrivals become durable. What is new and what is filed is decided in decide.rs, under the lock.
//!
//! The steps, and what each leaves behind if the program dies after it, are drawn in mdrop-safety(7): the pack is written and synced in tmp/;
//! under the lock, what others committed is caught up with and packs without a segment are adopted; then what is still new is decided,
//! the pack gets its number, the segment is synced and gets its number. That last step is the commit; receipts come after.

use crate::archive::decide::Decision;
use crate::archive::pending::{Built, Pending};
use crate::archive::segment::{self, PackName, SegmentHeader, SegmentType};
use crate::archive::shelf::Series;
use crate::archive::{Archive, Arrival};
use crate::durable;
use crate::error::{Error, Result, Status};
use crate::identity::Digest;
use crate::record::{Record, V1};
use crate::spool::Spool;
use crate::time::Time;
use std::collections::{HashMap, HashSet};

/// Writes to an archive. Nothing that was added is durable before [`Writer::commit`] has returned.
pub struct Writer {
    archive: Archive,
    pending: Pending,
    tool: String,
}

impl Writer {
    /// A writer for `tool`, which is named in the segments it writes. Packs that no segment names are adopted at once.
    ///
    /// # Errors
    /// What opening reports; [`Status::Io`] if the disk is full.
    pub fn new(archive: Archive, tool: &str) -> Result<Self> {
        archive.shelf.require_space(0)?;
        durable::sweep(&archive.shelf.tmp())?;
        let tool = format!("{tool} {}", env!("CARGO_PKG_VERSION"));
        let mut writer = Self { archive, pending: Pending::default(), tool };
        let lock = writer.lock()?;
        writer.archive.shelf.settle()?;
        writer.catch_up()?;
        drop(lock);
        Ok(writer)
    }

    /// The archive.
    #[must_use]
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Takes a message, with its encoded form, for the next commit.
    ///
    /// # Errors
    /// What the index or the temporary file reports.
    pub fn add(&mut self, arrival: Arrival, encoded: Spool) -> Result<()> {
        self.pending.take(&self.archive, arrival, encoded, false)
    }

    /// Makes everything that was added durable. Returns a receipt or a refusal for each, in the order of the stream.
    ///
    /// # Errors
    /// Whatever prevents it; then nothing that was added has a receipt, though it may be archived: a run that is repeated finds out.
    pub fn commit(&mut self) -> Result<Vec<Record>> {
        let mut pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return Ok(Vec::new());
        }
        let built = pending.build(&self.archive.shelf, &HashSet::new())?;
        built.iter().try_for_each(|built| built.file.sync())?;
        self.commit_built(&mut pending, built)
    }

    /// The same for a batch whose pack is written and synced.
    pub(super) fn commit_built(&mut self, pending: &mut Pending, mut built: Option<Built>) -> Result<Vec<Record>> {
        let lock = self.lock()?;
        self.catch_up()?;
        let overtaken = self.overtaken(built.as_ref())?;
        if !overtaken.is_empty() {
            built = pending.build(&self.archive.shelf, &overtaken)?;
            built.iter().try_for_each(|built| built.file.sync())?;
        }
        let answers = self.settle(pending, built)?;
        drop(lock);
        Ok(answers)
    }

    /// Records that are no arrivals: purges and their intents, moves, refilings.
    ///
    /// # Errors
    /// Whatever prevents it; then they may or may not be recorded.
    pub fn record(&mut self, records: &[Record]) -> Result<()> {
        self.record_with(|_, _| Ok(records.to_vec())).map(drop)
    }

    /// Records, that are no arrivals, which `decide` makes under the lock of what the archive then holds. Returns them; without any there is
    /// no segment.
    ///
    /// # Errors
    /// What `decide` reports; whatever prevents the commit: then they may or may not be recorded.
    pub fn record_with(&mut self, decide: impl FnOnce(&Archive, &SegmentHeader) -> Result<Vec<Record>>) -> Result<Vec<Record>> {
        let lock = self.lock()?;
        self.catch_up()?;
        let header = self.header(None)?;
        let records = decide(&self.archive, &header)?;
        if !records.is_empty() {
            self.append(&header, &records)?;
        }
        drop(lock);
        Ok(records)
    }

    fn lock(&self) -> Result<durable::Lock> {
        durable::lock(&self.archive.shelf.root().join("lock"))
    }

    /// Under the lock: takes in what others committed, and adopts what a killed one left.
    fn catch_up(&mut self) -> Result<()> {
        self.archive.index.catch_up()?;
        for pack in super::adopt::orphans(&self.archive)? {
            let name = super::adopt::name(&self.archive.shelf, pack)?;
            let header = self.header(Some(name))?;
            // Whoever linked it may have died before its entry was durable.
            self.archive.shelf.sync(Series::Pack, pack)?;
            let records = super::adopt::read(&self.archive, &header, pack)?;
            self.append(&header, &records)?;
        }
        Ok(())
    }

    /// Which of the messages in our pack another writer committed meanwhile.
    fn overtaken(&self, built: Option<&Built>) -> Result<HashSet<Digest>> {
        let mut overtaken = HashSet::new();
        let _reading = self.archive.index.reading()?;
        for digest in built.iter().flat_map(|built| built.places.keys()) {
            if self.archive.held(*digest)?.is_some() {
                overtaken.insert(*digest);
            }
        }
        Ok(overtaken)
    }

    /// Under the lock: gives the pack its number, decides what is to be recorded, and commits it.
    fn settle(&mut self, pending: &Pending, built: Option<Built>) -> Result<Vec<Record>> {
        let mut name = None;
        let mut places = HashMap::new();
        if let Some(Built { file, size, blake3, places: at }) = built {
            let pack = self.free_pack()?;
            if !self.archive.shelf.put(&file, Series::Pack, pack)? {
                return Err(Error::new(Status::Software, "appeared while the lock was held").about(Series::Pack.name(pack)));
            }
            places = at.into_iter().map(|(digest, (frame, position))| (digest, (pack, frame, position))).collect();
            name = Some(PackName { pack, size, blake3 });
        }
        let header = self.header(name)?;
        let reading = self.archive.index.reading()?;
        let decided = Decision::new(&self.archive, &header, places).decide(pending.arrivals())?;
        drop(reading);
        if !decided.records.is_empty() {
            self.append(&header, &decided.records)?;
        }
        Ok(decided.answers)
    }

    /// The next pack's number: the next segment's, unless a pack stands there already.
    fn free_pack(&self) -> Result<u64> {
        let last = self.archive.shelf.last(Series::Pack)?.unwrap_or(0);
        Ok((last + 1).max(self.next_segment()?))
    }

    fn next_segment(&self) -> Result<u64> {
        Ok(self.archive.head()?.map_or(0, |head| head.segment) + 1)
    }

    fn header(&self, pack: Option<PackName>) -> Result<SegmentHeader> {
        Ok(SegmentHeader {
            kind: SegmentType::Segment,
            v: V1,
            archive: self.archive.id.clone(),
            segment: self.next_segment()?,
            previous: self.archive.head()?.map(|head| head.blake3),
            pack,
            time: Time::now(),
            tool: self.tool.clone(),
        })
    }

    /// Writes a segment and lets its number appear: the commit. Then the index is told; one that can't be told catches up later.
    fn append(&mut self, header: &SegmentHeader, records: &[Record]) -> Result<()> {
        let written = segment::write(&self.archive.shelf, header, records)?;
        if !self.archive.shelf.put(&written.file, Series::Segment, header.segment)? {
            return Err(Error::new(Status::Software, "appeared while the lock was held").about(Series::Segment.name(header.segment)));
        }
        let told = durable::step(durable::Step::Index, &[], 0).map_err(|e| Error::io("tell the index", e));
        told.and_then(|()| self.archive.index.apply(header.segment, written.blake3, header.pack, written.places.into_iter().zip(records)))
    }
}
