//! The words of an archive's messages, in SQLite's FTS5: made from the packs, beside the index, only when a question asks for words.
//!
//! It is disposable, as the index is, and for the same reasons: it holds how far it has read the catalog, with the BLAKE3 of the segment
//! it read last. Storing mail costs nothing for it; whoever asks first pays, and later questions pay for what is new. Subjects and people are
//! read apart from the text, ten times as fast, since many questions need no more; so there are two levels, each with a mark of its own.
//! The tables are contentless: the words point to messages, and the messages stay where they are.

mod ask;
mod fill;
mod lanes;
mod message;

pub use ask::{Asked, Term};
pub use fill::Filled;

use crate::archive::shelf::{Series, Shelf};
use crate::durable;
use crate::error::{Error, Result, Status};
use crate::identity::Digest;
use crate::interrupt;
use rusqlite::{Connection, ErrorCode, OptionalExtension};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Changes whenever the tables do, or what is a word.
const SCHEMA: i64 = 1;
/// How long opening may wait for another process that opens it, too.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two attempts to write while another process does.
const STEP: Duration = Duration::from_millis(5);

/// The words come cut and folded, with blanks between them, and whatever is beyond ASCII belongs to a word; so the simplest tokenizer
/// does. Positions are kept, since phrases need them: `example.com` is one, and any word in Chinese. Of 10,279 real messages with 105 MB all
/// this takes 10.5 MB (with columns and no positions 7.3, with neither 4.2), and is made in 1.2 seconds.
/// A message's row in `messages` is what makes its words count; where it is read anew it gets another one. inner: whether they are those of
/// the message inside a journal report.
const TABLES: &str = "
CREATE TABLE applied (level INTEGER PRIMARY KEY, archive TEXT NOT NULL, segment INTEGER NOT NULL, blake3 BLOB, done INTEGER NOT NULL);
CREATE TABLE messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, level INTEGER NOT NULL, inner INTEGER NOT NULL, attached INTEGER NOT NULL);
CREATE INDEX attached ON messages (attached) WHERE attached = 1;
CREATE TABLE unread (digest BLOB PRIMARY KEY, pack INTEGER NOT NULL, frame_offset INTEGER NOT NULL, frame_length INTEGER NOT NULL,
  position INTEGER NOT NULL, journal TEXT) WITHOUT ROWID;
CREATE VIRTUAL TABLE heads USING fts5(subject, sender, recipients, content='', columnsize=0, tokenize='ascii');
CREATE VIRTUAL TABLE bodies USING fts5(body, attachments, content='', columnsize=0, tokenize='ascii');
INSERT INTO heads (heads, rank) VALUES ('hashsize', 16777216);
INSERT INTO bodies (bodies, rank) VALUES ('hashsize', 33554432);
";

/// What is read of the messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Subject, sender and recipients.
    Heads,
    /// The text and the names of attachments, too.
    Bodies,
}

impl Level {
    fn number(self) -> i64 {
        match self {
            Self::Heads => 1,
            Self::Bodies => 2,
        }
    }
}

/// The open words of one archive.
pub struct Texts {
    db: Connection,
    shelf: Shelf,
    archive: String,
    path: PathBuf,
}

impl Texts {
    /// Opens the words beside the index at `index`; makes them anew if they are not to be used. They still have to be filled.
    ///
    /// # Errors
    /// What SQLite or the file system reports.
    pub fn open(shelf: &Shelf, archive: &str, index: &Path) -> Result<Self> {
        let path = beside(index);
        let began = Instant::now();
        loop {
            match Self::open_usable(shelf, archive, &path) {
                Err(e) if e.status() == Status::TryAgain && began.elapsed() < PATIENCE => {
                    interrupt::check()?;
                    std::thread::sleep(STEP);
                }
                done => return done.map_err(|e| e.about(path.display().to_string())),
            }
        }
    }

    fn open_usable(shelf: &Shelf, archive: &str, path: &Path) -> Result<Self> {
        let texts = Self::open_at(shelf, archive, path)?;
        match texts.is_usable() {
            Ok(true) => return Ok(texts),
            Err(e) if e.status() == Status::TryAgain => return Err(e),
            _ => {}
        }
        drop(texts);
        remove(path);
        Self::open_at(shelf, archive, path)
    }

    fn open_at(shelf: &Shelf, archive: &str, path: &Path) -> Result<Self> {
        let db = Connection::open(path).map_err(|e| wrong(path, &e))?;
        private(path)?;
        let texts = Self { db, shelf: shelf.clone(), archive: archive.into(), path: path.to_path_buf() };
        let pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32000; PRAGMA wal_autocheckpoint=8000;";
        texts.db.busy_timeout(Duration::ZERO).and_then(|()| texts.db.execute_batch(pragmas)).map_err(|e| texts.wrong(&e))?;
        texts.begin()?;
        let made = texts.make_tables();
        texts.end(made)?;
        Ok(texts)
    }

    fn make_tables(&self) -> Result<()> {
        let wrong = |e| self.wrong(&e);
        let version: i64 = self.db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(wrong)?;
        if version == 0 {
            self.db.execute_batch(TABLES).map_err(wrong)?;
            for level in [Level::Heads, Level::Bodies] {
                let insert = "INSERT INTO applied VALUES (?1, ?2, 0, NULL, 0)";
                self.db.execute(insert, (level.number(), &self.archive)).map_err(wrong)?;
            }
            self.db.pragma_update(None, "user_version", SCHEMA).map_err(wrong)?;
        }
        Ok(())
    }

    /// Whether they are of this schema and archive, and what was read last still stands on the chain.
    fn is_usable(&self) -> Result<bool> {
        let wrong = |e| self.wrong(&e);
        let version: i64 = self.db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(wrong)?;
        if version != SCHEMA {
            return Ok(false);
        }
        for level in [Level::Heads, Level::Bodies] {
            let select = "SELECT archive, segment, blake3 FROM applied WHERE level = ?1";
            let row = |row: &rusqlite::Row| Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?, row.get::<_, Option<[u8; 32]>>(2)?));
            let Some((archive, segment, blake3)) = self.db.query_row(select, [level.number()], row).optional().map_err(wrong)? else {
                return Ok(false);
            };
            let now = self.shelf.read_all(Series::Segment, segment).ok().map(|file| Digest::of(&file).0);
            let stands = segment == 0 || now == blake3;
            if archive != self.archive || !stands {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Begins to write, as soon as no other process does.
    fn begin(&self) -> Result<()> {
        loop {
            match self.db.execute_batch("BEGIN IMMEDIATE") {
                Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                    interrupt::check()?;
                    std::thread::sleep(STEP);
                }
                begun => return begun.map_err(|e| self.wrong(&e)),
            }
        }
    }

    /// Keeps what was written, or, after an error, does not.
    fn end<T>(&self, done: Result<T>) -> Result<T> {
        let how = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = self.db.execute_batch(how).map_err(|e| self.wrong(&e));
        done.and_then(|done| ended.map(|()| done))
    }

    fn wrong(&self, error: &rusqlite::Error) -> Error {
        wrong(&self.path, error)
    }
}

/// How SQLite's failures are reported. What is corrupt is removed: the next question makes it anew, and nothing is lost with it.
fn wrong(path: &Path, error: &rusqlite::Error) -> Error {
    let status = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Status::TryAgain,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            remove(path);
            let what = format!("words: {error}; they were removed, and the next run makes them anew");
            return Error::new(Status::TryAgain, what).about(path.display().to_string());
        }
        Some(_) => Status::Io,
        None => Status::Software,
    };
    Error::new(status, format!("words: {error}")).about(path.display().to_string())
}

fn remove(path: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let _ = durable::remove(Path::new(&format!("{}{ending}", path.display())));
    }
}

/// Where they lie: `text.sqlite` beside `index.sqlite`; beside another name, that name with `-text`.
fn beside(index: &Path) -> PathBuf {
    let stem = index.file_stem().unwrap_or_default().to_string_lossy();
    index.with_file_name(if stem == "index" { "text.sqlite".into() } else { format!("{stem}-text.sqlite") })
}

/// Access is private whatever the umask: what people wrote is in it.
fn private(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(|e| Error::io("make private", e))
}
