//! Finds the moves of an account and records them: a batch at a time, each a segment of its own, so that ten million messages under a new
//! UIDVALIDITY take no more memory than ten thousand.
//!
//! Each batch is decided under the lock, from what stands in the archive then. What is recorded is no source of a move any more, so that a
//! run that was killed is repeated, and a second run records nothing.

use super::{Event, Folders, Seen, Stand, Standing, decide};
use crate::archive::Archive;
use crate::archive::commit::Writer;
use crate::archive::index::State;
use crate::error::Result;
use crate::identity::{Digest, Origin, Place, Uid};
use crate::interrupt;
use crate::record::{By, Move, Record, Refiling, V1};
use crate::time::Time;
use std::collections::BTreeMap;

/// How many messages a batch has.
const BATCH: usize = 10_000;

/// The archive, to be written to or, in a dry run, to be looked at.
pub enum Book {
    /// What is found is recorded.
    Recording(Box<Writer>),
    /// Nothing is.
    Showing(Box<Archive>),
}

impl Book {
    fn archive(&self) -> &Archive {
        match self {
            Self::Recording(writer) => writer.archive(),
            Self::Showing(archive) => archive,
        }
    }

    fn record(&mut self, decide: impl FnOnce(&Archive, Time) -> Result<Vec<Record>>) -> Result<Vec<Record>> {
        match self {
            Self::Recording(writer) => writer.record_with(|archive, header| decide(archive, header.time)),
            Self::Showing(archive) => decide(archive, Time::now()),
        }
    }
}

/// Whoever is told what was recorded, with the message's octets.
pub type Told<'t> = &'t mut dyn FnMut(&Record, u64) -> Result<()>;

/// Compares what was seen with what the archive holds.
pub struct Recorder<'a> {
    seen: &'a Seen,
    folders: &'a Folders,
    /// At which origins the server names a message that the archive holds.
    named: BTreeMap<Digest, Vec<Origin>>,
    batch: usize,
}

/// A message to look at, and the origin that is gone, where that is why.
type Found = (Option<Origin>, Digest);

impl<'a> Recorder<'a> {
    /// For what was seen, by the templates of the same profile.
    #[must_use]
    pub fn new(seen: &'a Seen, folders: &'a Folders) -> Self {
        Self { seen, folders, named: BTreeMap::new(), batch: BATCH }
    }

    /// The same, so many messages at a time.
    #[must_use]
    pub fn in_batches_of(self, messages: usize) -> Self {
        Self { batch: messages.max(1), ..self }
    }

    /// Records all moves and copies, and tells each after its commit.
    ///
    /// # Errors
    /// What the archive, `told` or a signal reports; what was told before is recorded.
    pub fn run(mut self, book: &mut Book, told: Told) -> Result<()> {
        self.named = self.named(book.archive())?;
        let mut found: Vec<Found> = self.named.keys().map(|digest| (None, *digest)).collect();
        self.settle_full(book, &mut found, told)?;
        for mailbox in book.archive().index.mailboxes_of(self.seen.account())? {
            let uids = book.archive().index.archived_uids(self.seen.account(), &mailbox.name, mailbox.uidvalidity)?;
            let gone = self.seen.gone(&mailbox.name, mailbox.uidvalidity, &uids);
            // Only a renamed mailbox need not have been read elsewhere.
            let anywhere = self.seen.renamed(&mailbox.name, mailbox.uidvalidity).is_some();
            for (first, last) in gone.ranges().iter().copied() {
                let mut next = Some(first);
                while let Some(first) = next {
                    let more = book.archive().index.standing_elsewhere(mailbox.scope, (first, last), anywhere, self.batch)?;
                    next = more.last().filter(|(uid, _)| more.len() == self.batch && *uid < last).map(|(uid, _)| uid + 1);
                    let origin = |uid| {
                        let place = Place::Imap { mailbox: mailbox.name.clone(), uidvalidity: mailbox.uidvalidity, uid: Uid(uid) };
                        Origin { account: self.seen.account().clone(), place }
                    };
                    found.extend(more.into_iter().map(|(uid, digest)| (Some(origin(uid)), digest)));
                    self.settle_full(book, &mut found, told)?;
                }
            }
        }
        self.settle(book, &found, told)
    }

    /// Settles whole batches, and leaves the rest for more.
    fn settle_full(&self, book: &mut Book, found: &mut Vec<Found>, told: Told) -> Result<()> {
        while found.len() >= self.batch {
            let rest = found.split_off(self.batch);
            self.settle(book, &std::mem::replace(found, rest), told)?;
        }
        Ok(())
    }

    /// One batch.
    fn settle(&self, book: &mut Book, found: &[Found], told: Told) -> Result<()> {
        if found.is_empty() {
            return Ok(());
        }
        if interrupt::requested() {
            return Err(interrupt::error());
        }
        let mut sizes = Vec::new();
        let recorded = book.record(|archive, time| {
            let mut records = Vec::new();
            for (gone, digest) in found {
                let size = self.look_at(archive, gone.as_ref(), *digest, time, &mut records)?;
                sizes.resize(records.len(), size);
            }
            Ok(records)
        })?;
        recorded.iter().zip(sizes).try_for_each(|(record, size)| told(record, size))
    }

    /// Adds what became of one message, and returns its octets.
    fn look_at(&self, archive: &Archive, gone: Option<&Origin>, digest: Digest, time: Time, records: &mut Vec<Record>) -> Result<u64> {
        // A message is decided at once: by its name, or at the first of its origins that are gone.
        if gone.is_some() && self.named.contains_key(&digest) {
            return Ok(0);
        }
        let standing = self.standing(archive, digest)?;
        if gone.is_some_and(|gone| standing.gone.first() != Some(gone)) {
            return Ok(0);
        }
        let (moves, copies) = decide(&standing);
        let Some(held) = archive.index.message(digest)?.filter(|_| !moves.is_empty() || !copies.is_empty()) else { return Ok(0) };
        let event = |Event { from, to, by }: &Event| Box::new(Move { v: V1, origin: from.clone(), to: to.clone(), digest, by: *by, time });
        records.extend(moves.iter().map(|moved| Record::Move(event(moved))));
        records.extend(copies.iter().map(|copied| Record::Copy(event(copied))));
        if moves.iter().any(|moved| moved.from.mailbox() != moved.to.mailbox()) {
            let events = moves.iter().chain(&copies).map(|event| event.to.clone());
            let here: Vec<Origin> = standing.here.iter().map(|(origin, _)| origin.clone()).chain(events).collect();
            let (added, removed) = self.folders.refile(&archive.index.filings_of(digest)?, &moves, &here);
            let refiling = Refiling { v: V1, digest, fingerprint: held.fingerprint, time, added, removed };
            records.extend((!refiling.added.is_empty()).then(|| Record::Refiling(Box::new(refiling))));
        }
        Ok(held.size)
    }

    /// Where a message stands, as far as is known.
    fn standing(&self, archive: &Archive, digest: Digest) -> Result<Standing> {
        let mut standing = Standing::default();
        let mut here = Vec::new();
        for (origin, state) in archive.index.origins_of(digest)?.into_iter().filter(|(_, state)| state.is_known()) {
            let by = match state.state {
                State::Recognised => By::Emailid,
                State::Renamed => By::Mailboxid,
                _ => By::Digest,
            };
            match self.seen.stand(&origin, state.archived) {
                Stand::Here => here.push((std::cmp::Reverse(state.segment), origin, by)),
                Stand::Gone => standing.gone.push(origin),
                Stand::Unclear => {}
            }
        }
        here.sort();
        standing.here = here.into_iter().map(|(_, origin, by)| (origin, by)).collect();
        standing.gone.sort();
        let now = |gone: &Origin| Some((gone.clone(), self.seen.now_named(gone)?));
        standing.renamed = standing.gone.iter().filter_map(now).collect();
        let known = |origin: &&Origin| !standing.here.iter().any(|(here, _)| here == *origin);
        standing.named = self.named.get(&digest).into_iter().flatten().filter(known).cloned().collect();
        Ok(standing)
    }

    /// The origins that are known by an EMAILID of which the archive holds the message, and by nothing else yet.
    fn named(&self, archive: &Archive) -> Result<BTreeMap<Digest, Vec<Origin>>> {
        let mut named: BTreeMap<Digest, Vec<Origin>> = BTreeMap::new();
        for (origin, emailid) in self.seen.emails() {
            let Some(digest) = archive.index.message_with_emailid(self.seen.account(), emailid)? else { continue };
            let known = archive.index.origin(&origin)?.is_some_and(|state| state.is_known() && state.digest == Some(digest));
            if !known {
                named.entry(digest).or_default().push(origin);
            }
        }
        named.values_mut().for_each(|origins| origins.sort());
        Ok(named)
    }
}
