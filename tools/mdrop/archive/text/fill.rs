//! Filling the words: what the catalog has and they have not, in batches, each of which is kept whole.
//!
//! A batch ends after some seconds or some mail, or when an end is asked for, so whoever is killed loses little, and others who wait to
//! write, or to ask, come in between. Packs are read and cut into words on all cores but one, which is SQLite's.

use super::message::{self, Job};
use super::{Level, Texts, lanes};
use crate::archive::segment::Segment;
use crate::archive::shelf::Series;
use crate::error::{Error, Result, Status};
use crate::identity::Digest;
use crate::interrupt;
use crate::record::{Frame, Outcome, Receipt, Record};
use crate::words::Words;
use rusqlite::{OptionalExtension, params};
use std::num::NonZero;
use std::time::{Duration, Instant};

/// A batch ends after so much mail, in octets, or so much time.
const BATCH: u64 = 256 << 20;
const BATCH_TIME: Duration = Duration::from_secs(10);
/// For how long others may begin to write between two batches.
const TURN: Duration = Duration::from_millis(20);

/// What filling tells while it goes on.
pub enum Filled<'a> {
    /// One message more, of so many octets.
    Message(u64),
    /// A segment, pack or message can't be read; its words are missing.
    Damaged(&'a Error),
}

/// How far one level has read: all of a segment, and so many messages of the next.
struct Mark {
    segment: u64,
    done: usize,
}

/// What is held of a message.
struct Row {
    id: i64,
    level: i64,
    inner: bool,
}

/// A batch on its way.
struct Batch<'a> {
    texts: &'a Texts,
    /// Whether the heads are written, and whether the bodies.
    heads: bool,
    bodies: bool,
    began: Instant,
    octets: u64,
    tell: &'a mut dyn FnMut(Filled) -> Result<()>,
}

impl Texts {
    /// Reads what has been archived since it was read last, up to this level. What can't be read is told, now and each time again, until
    /// it can be; it ends nothing.
    ///
    /// # Errors
    /// What SQLite, the system or `tell` report; [`Status::TryAgain`] if an end is asked for, and then all but the last batch is kept.
    pub fn fill(&self, level: Level, tell: &mut dyn FnMut(Filled) -> Result<()>) -> Result<()> {
        if self.is_full(level)? {
            return Ok(());
        }
        let mut first = true;
        loop {
            self.begin()?;
            let again = if first { self.read_unread(tell) } else { Ok(()) };
            let filled = self.end(again.and_then(|()| self.fill_batch(level, tell)))?;
            interrupt::check()?;
            first = false;
            if !filled {
                return Ok(());
            }
            std::thread::sleep(TURN);
        }
    }

    /// Whether nothing is left to read; then nothing need be written, and many can ask at once, even where they may not write.
    fn is_full(&self, level: Level) -> Result<bool> {
        let unread: u64 = self.db.query_row("SELECT count(*) FROM unread", [], |row| row.get(0)).map_err(|e| self.wrong(&e))?;
        let last = self.shelf.last(Series::Segment)?.unwrap_or(0);
        Ok(unread == 0 && self.mark(level)?.segment >= last)
    }

    /// Fills one batch; whether there may be more.
    fn fill_batch(&self, level: Level, tell: &mut dyn FnMut(Filled) -> Result<()>) -> Result<bool> {
        let heads = self.mark(Level::Heads)?;
        let lower =
            if level == Level::Heads { (heads.segment, heads.done) } else { self.mark(level).map(|mark| (mark.segment, mark.done))? };
        let also_heads = lower == (heads.segment, heads.done);
        let mut batch = Batch { texts: self, heads: also_heads, bodies: level == Level::Bodies, began: Instant::now(), octets: 0, tell };
        let mut mark = Mark { segment: lower.0, done: lower.1 };
        let last = self.shelf.last(Series::Segment)?.unwrap_or(0);
        while mark.segment < last {
            // What has heads already gets its bodies first, then both are read at once.
            let limit = if also_heads || mark.segment < heads.segment { None } else { Some(heads.done) };
            let ended = batch.segment(&mut mark, limit)?;
            if !ended || batch.is_full() || (!also_heads && (mark.segment, mark.done) >= (heads.segment, heads.done)) {
                break;
            }
        }
        batch.keep(&mark)?;
        let again = mark.segment < last;
        Ok(again)
    }

    fn mark(&self, level: Level) -> Result<Mark> {
        let select = "SELECT segment, done FROM applied WHERE level = ?1";
        self.db.query_row(select, [level.number()], |row| Ok(Mark { segment: row.get(0)?, done: row.get(1)? })).map_err(|e| self.wrong(&e))
    }

    /// What could not be read before may have been mended since.
    fn read_unread(&self, tell: &mut dyn FnMut(Filled) -> Result<()>) -> Result<()> {
        let wrong = |e| self.wrong(&e);
        let mut asked = self.db.prepare("SELECT digest, pack, frame_offset, frame_length, position, journal FROM unread").map_err(wrong)?;
        let rows = asked.query_map([], |row| {
            let frame = Frame { offset: row.get(2)?, length: row.get(3)? };
            let journal: Option<String> = row.get(5)?;
            let journal = journal.and_then(|json| serde_json::from_str(&json).ok());
            Ok(Job { digest: Digest(row.get(0)?), place: (row.get(1)?, frame, row.get(4)?), journal, size: 0, again: false })
        });
        let jobs: Vec<Job> = rows.and_then(Iterator::collect).map_err(wrong)?;
        let mut batch = Batch { texts: self, heads: true, bodies: true, began: Instant::now(), octets: 0, tell };
        for job in jobs {
            interrupt::check()?;
            let words = message::read_all(&self.shelf, std::slice::from_ref(&job), Level::Bodies);
            words.into_iter().try_for_each(|words| batch.take(&job, words))?;
        }
        Ok(())
    }
}

impl Batch<'_> {
    /// Takes in the next segment, as far as the batch has room, or `limit` says; whether all of it.
    fn segment(&mut self, mark: &mut Mark, limit: Option<usize>) -> Result<bool> {
        let number = mark.segment + 1;
        let jobs = match jobs(self.texts, number) {
            Ok(jobs) => jobs,
            Err(e) if matches!(e.status(), Status::Data | Status::NoInput) => {
                (self.tell)(Filled::Damaged(&e.with_status(Status::Data)))?;
                Vec::new()
            }
            Err(e) => return Err(e),
        };
        let all = jobs.len();
        let wanted = jobs.get(mark.done..limit.unwrap_or(all).min(all)).unwrap_or_default();
        let wanted = wanted.iter().map(|job| Ok((job, self.is_wanted(job)?))).collect::<Result<Vec<_>>>()?;
        let chunks: Vec<_> = wanted.chunk_by(|(a, _), (b, _)| (a.place.0, a.place.1) == (b.place.0, b.place.1)).collect();
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let level = if self.bodies { Level::Bodies } else { Level::Heads };
        let (shelf, mut done) = (&self.texts.shelf, mark.done);
        let work = |chunk: &&[(&Job, bool)]| {
            let jobs: Vec<Job> = chunk.iter().filter(|(_, wanted)| *wanted).map(|(job, _)| (*job).clone()).collect();
            let words = message::read_all(shelf, &jobs, level);
            (chunk.len(), jobs, words)
        };
        let mut full = false;
        let ended = lanes::in_order(&chunks, cores, work, |(count, jobs, words)| {
            jobs.iter().zip(words).try_for_each(|(job, words)| self.take(job, words))?;
            done += count;
            full = self.is_full() || interrupt::requested();
            if full { Err(Error::new(Status::TryAgain, "the batch is full")) } else { Ok(()) }
        });
        mark.done = done;
        if let Err(e) = ended
            && !full
        {
            return Err(e);
        }
        if mark.done >= all {
            *mark = Mark { segment: number, done: 0 };
        }
        Ok(!full)
    }

    /// Whether a message is to be read: it has not been, or it has been found to be a journal report since, or no longer counts as one. Then what
    /// the report says beside the message inside it, who was in Bcc, must no longer be found by its users.
    fn is_wanted(&self, job: &Job) -> Result<bool> {
        let level = if self.bodies { Level::Bodies } else { Level::Heads };
        Ok(self.row(job.digest)?.is_none_or(|row| {
            let is_other = row.inner != job.has_inner();
            if is_other { job.again } else { row.level < level.number() }
        }))
    }

    fn is_full(&self) -> bool {
        self.octets >= BATCH || self.began.elapsed() >= BATCH_TIME
    }

    /// Takes in one message's words, or notes that it can't be read.
    fn take(&mut self, job: &Job, words: Result<Words>) -> Result<()> {
        self.octets += job.size;
        let is_other = self.row(job.digest)?.is_some_and(|row| row.inner != job.has_inner());
        if is_other && job.again {
            self.write("DELETE FROM messages WHERE digest = ?1", [job.digest.0])?;
        }
        let words = match words {
            Ok(words) => words,
            Err(e) if matches!(e.status(), Status::Data | Status::NoInput) => {
                let note = "INSERT OR REPLACE INTO unread VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
                let (pack, frame, position) = job.place;
                let journal = job.journal.as_ref().and_then(|journal| serde_json::to_string(journal).ok());
                self.write(note, params![job.digest.0, pack, frame.offset, frame.length, position, journal])?;
                return (self.tell)(Filled::Damaged(&e.with_status(Status::Data).about(job.digest.to_string())));
            }
            Err(e) => return Err(e),
        };
        self.write("DELETE FROM unread WHERE digest = ?1", [job.digest.0])?;
        if is_other && !job.again {
            return Ok(());
        }
        if self.row(job.digest)?.is_none() {
            self.write_heads(job, &words)?;
        }
        if let Some(row) = self.row(job.digest)?.filter(|row| self.bodies && row.level < Level::Bodies.number()) {
            self.write(
                "INSERT INTO bodies (rowid, body, attachments) VALUES (?1, ?2, ?3)",
                params![row.id, words.body, words.attachments],
            )?;
            let update = "UPDATE messages SET level = ?2, attached = ?3 WHERE id = ?1";
            self.write(update, params![row.id, Level::Bodies.number(), words.has_attachment])?;
        }
        (self.tell)(Filled::Message(job.size))
    }

    fn write_heads(&self, job: &Job, words: &Words) -> Result<()> {
        let insert = "INSERT INTO messages (digest, level, inner, attached) VALUES (?1, ?2, ?3, 0)";
        self.write(insert, params![job.digest.0, Level::Heads.number(), job.has_inner()])?;
        let insert = "INSERT INTO heads (rowid, subject, sender, recipients) VALUES (last_insert_rowid(), ?1, ?2, ?3)";
        self.write(insert, params![words.subject, words.sender, words.recipients])
    }

    fn row(&self, digest: Digest) -> Result<Option<Row>> {
        let wrong = |e| self.texts.wrong(&e);
        let mut asked = self.texts.db.prepare_cached("SELECT id, level, inner FROM messages WHERE digest = ?1").map_err(wrong)?;
        let row = |row: &rusqlite::Row| Ok(Row { id: row.get(0)?, level: row.get(1)?, inner: row.get(2)? });
        asked.query_row([digest.0], row).optional().map_err(wrong)
    }

    fn write(&self, sql: &str, values: impl rusqlite::Params) -> Result<()> {
        let written = self.texts.db.prepare_cached(sql).and_then(|mut statement| statement.execute(values));
        written.map(drop).map_err(|e| self.texts.wrong(&e))
    }

    /// Notes how far it has come.
    fn keep(&self, mark: &Mark) -> Result<()> {
        let blake3 = if mark.segment == 0 { None } else { self.blake3(mark.segment)? };
        for (level, written) in [(Level::Heads, self.heads), (Level::Bodies, self.bodies)] {
            if written {
                let update = "UPDATE applied SET segment = ?2, blake3 = ?3, done = ?4 WHERE level = ?1";
                self.write(update, params![level.number(), mark.segment, blake3, mark.done])?;
            }
        }
        Ok(())
    }

    fn blake3(&self, segment: u64) -> Result<Option<[u8; 32]>> {
        match self.texts.shelf.read_all(Series::Segment, segment) {
            Ok(file) => Ok(Some(Digest::of(&file).0)),
            Err(e) if e.status() == Status::NoInput => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// The messages of a segment's receipts, in the order in which they lie in packs.
fn jobs(texts: &Texts, number: u64) -> Result<Vec<Job>> {
    let mut jobs = Vec::new();
    for record in Segment::open(&texts.shelf, number)? {
        if let Record::Receipt(receipt) = record? {
            let Receipt { digest, pack, frame, position, journal, size, outcome, .. } = *receipt;
            let again = matches!(outcome, Outcome::Duplicate | Outcome::Refiled);
            jobs.push(Job { digest, place: (pack, frame, position), journal, size, again });
        }
    }
    jobs.sort_by_key(|job| job.place);
    Ok(jobs)
}
