//! Commits one behind the other, each stage in a thread of its own: while one batch gathers, the one before is compressed, the
//! one before that is synced, and the one before that is committed.
//!
//! Compressing keeps a processor busy and a sync keeps none, so any of it alone leaves half the machine idle. The batches are committed in their
//! order and by themselves, as [`Writer::commit`] would; an error ends the run, and the batches before it have their receipts.

use crate::archive::commit::Writer;
use crate::archive::pending::{Built, Pending};
use crate::archive::shelf::Shelf;
use crate::archive::{Archive, Arrival};
use crate::error::{Error, Result, Status};
use crate::identity::Digest;
use crate::record::{Head, Record};
use crate::spool::Spool;
use std::collections::{HashSet, VecDeque};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::{JoinHandle, spawn};

/// What the stages hand on: a batch with its pack, or why there is none.
type Handed = Result<(Pending, Option<Built>)>;
/// What comes out of a commit.
type Answers = Result<Vec<Record>>;

/// Writes to an archive, some commits ahead of the disk. Nothing that was added is durable before its answer is there.
pub struct Pipeline {
    /// Answers what is held already; the writer has an index of its own.
    archive: Archive,
    pending: Pending,
    /// The digests of the batches on their way.
    in_flight: VecDeque<HashSet<Digest>>,
    batches: Option<SyncSender<Pending>>,
    answers: Receiver<Answers>,
    helpers: Vec<JoinHandle<()>>,
    committer: Option<JoinHandle<Writer>>,
}

impl Pipeline {
    /// Begins; `archive` is the writer's, opened a second time.
    #[must_use]
    pub fn start(writer: Writer, archive: Archive) -> Self {
        let shelf = archive.shelf.clone();
        // No batch waits between two stages, so four are held at most.
        let (batches, to_build) = sync_channel(0);
        let (built, to_sync) = sync_channel(0);
        let (synced, to_commit) = sync_channel(0);
        let (committed, answers) = channel();
        let helpers = vec![spawn(move || build(&shelf, &to_build, &built)), spawn(move || sync(&to_sync, &synced))];
        let committer = spawn(move || commit(writer, &to_commit, &|answers| committed.send(answers).is_ok()));
        let (pending, in_flight) = (Pending::default(), VecDeque::new());
        Self { archive, pending, in_flight, batches: Some(batches), answers, helpers, committer: Some(committer) }
    }

    /// Takes a message, with its encoded form, for the next commit.
    ///
    /// # Errors
    /// What the index or the temporary file reports.
    pub fn add(&mut self, arrival: Arrival, encoded: Spool) -> Result<()> {
        let on_its_way = self.in_flight.iter().any(|digests| digests.contains(&arrival.meta.digest));
        self.pending.take(&self.archive, arrival, encoded, on_its_way)
    }

    /// How many octets wait for the next commit, with what is remembered of their messages.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.pending.weight()
    }

    /// Whether a commit is on its way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Lets everything that was added be committed; waits only for room. Why there is none the answers say.
    pub fn commit(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if let Some(batches) = self.batches.as_ref().filter(|_| !pending.is_empty()) {
            self.in_flight.push_back(pending.digests().clone());
            let _ = batches.send(pending);
        }
    }

    /// What the oldest commit on its way answers, if it is done: a receipt or a refusal for each arrival, in the order of the stream.
    ///
    /// # Errors
    /// Whatever prevented it.
    pub fn answers(&mut self) -> Result<Option<Vec<Record>>> {
        match self.answers.try_recv() {
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => self.done(None),
            Ok(answers) => self.done(Some(answers)),
        }
    }

    /// The same, but waits for it; none if no commit is on its way.
    ///
    /// # Errors
    /// Whatever prevented it.
    pub fn wait(&mut self) -> Result<Option<Vec<Record>>> {
        if self.in_flight.is_empty() {
            return Ok(None);
        }
        let answers = self.answers.recv().ok();
        self.done(answers)
    }

    fn done(&mut self, answers: Option<Answers>) -> Result<Option<Vec<Record>>> {
        let Some(answers) = answers else {
            let silent = self.in_flight.pop_front().is_none();
            let broken = || Error::new(Status::Software, "a writing thread broke down");
            return if silent { Ok(None) } else { Err(broken()) };
        };
        self.in_flight.pop_front();
        answers.map(Some)
    }

    /// Ends; what was added and not committed is forgotten. Returns the last segment.
    ///
    /// # Errors
    /// What the index reports.
    pub fn finish(mut self) -> Result<Option<Head>> {
        let broken = || Error::new(Status::Software, "a writing thread broke down");
        self.end().ok_or_else(broken)?.archive().head()
    }

    fn end(&mut self) -> Option<Writer> {
        self.batches = None;
        let broken = self.helpers.drain(..).map(JoinHandle::join).filter(std::thread::Result::is_err).count() > 0;
        self.committer.take()?.join().ok().filter(|_| !broken)
    }
}

impl Drop for Pipeline {
    /// What is on its way is committed before the program ends, however it ends.
    fn drop(&mut self) {
        self.end();
    }
}

/// Compresses batch after batch, until there are no more or one fails.
fn build(shelf: &Shelf, batches: &Receiver<Pending>, built: &SyncSender<Handed>) {
    for mut pending in batches {
        let handed = pending.build(shelf, &HashSet::new()).map(|pack| (pending, pack));
        let failed = handed.is_err();
        if built.send(handed).is_err() || failed {
            return;
        }
    }
}

/// Syncs pack after pack, likewise.
fn sync(packs: &Receiver<Handed>, synced: &SyncSender<Handed>) {
    for handed in packs {
        let handed = handed.and_then(|(pending, pack)| {
            pack.iter().try_for_each(|pack| pack.file.sync())?;
            Ok((pending, pack))
        });
        let failed = handed.is_err();
        if synced.send(handed).is_err() || failed {
            return;
        }
    }
}

/// Commits batch after batch, likewise.
fn commit(mut writer: Writer, batches: &Receiver<Handed>, answer: &dyn Fn(Answers) -> bool) -> Writer {
    for handed in batches {
        let answers = handed.and_then(|(mut pending, pack)| writer.commit_built(&mut pending, pack));
        let failed = answers.is_err();
        if !answer(answers) || failed {
            break;
        }
    }
    writer
}
