//! The index: answers “is this digest known”, “is this filed”, “which origins are known” from SQLite.
//!
//! It is disposable. It holds how far it has read the catalog and the BLAKE3 of the segment it read last; if that one no longer
//! stands on the chain, or the schema differs, or SQLite calls the file corrupt, it is made anew. WAL with
//! synchronous=NORMAL keeps it consistent through a crash, though it may forget the last segments, which are read again.

mod apply;
mod ask;
mod known;
mod names;
mod tables;
mod whole;

pub use ask::{Held, OriginState};
pub use whole::Filed;

use crate::archive::segment::Segment;
use crate::archive::shelf::{Series, Shelf};
use crate::durable;
use crate::error::{Error, Result, Status};
use crate::identity::Digest;
use crate::interrupt;
use crate::record::Head;
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tables::{INDEXES, SCHEMA, TABLES};

/// How long another process may keep the index busy.
const BUSY: Duration = Duration::from_mins(2);

/// The open index of one archive.
pub struct Index {
    db: Connection,
    shelf: Shelf,
    archive: String,
}

/// Where the index of this process lies, so that one that turns out to be corrupt can be removed from wherever that is seen.
static PATH: OnceLock<PathBuf> = OnceLock::new();

/// How SQLite's failures are reported. A corrupt index is removed: it is made anew by the next run, and nothing is lost with it.
#[expect(clippy::needless_pass_by_value, reason = "it serves map_err")]
pub(super) fn wrong(error: rusqlite::Error) -> Error {
    let code = match &error {
        rusqlite::Error::SqliteFailure(failure, _) => Some(failure.code),
        rusqlite::Error::ToSqlConversionFailure(_) => return Error::new(Status::Software, format!("index: {error}")),
        _ => None,
    };
    let status = match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Status::TryAgain,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) | None => {
            PATH.get().into_iter().for_each(|path| remove(path));
            return Error::new(Status::TryAgain, format!("index: {error}; it was removed, and the next run makes it anew"));
        }
        Some(_) => Status::Io,
    };
    Error::new(status, format!("index: {error}"))
}

fn remove(path: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{ending}", path.display()));
    }
}

impl Index {
    /// Opens the index of the archive with this id, at `path` or in the archive's cache folder, or, where that can't be written, in
    /// the user's; makes it anew if it is not to be used. It still has to catch up.
    ///
    /// # Errors
    /// What SQLite or the file system reports.
    pub fn open(shelf: &Shelf, archive: &str, path: Option<&Path>) -> Result<Self> {
        let path = place(shelf, archive, path)?;
        let _ = PATH.set(path.clone());
        Self::open_patiently(shelf, archive, &path).map_err(|e| e.about(path.display().to_string()))
    }

    /// Switching a new file to WAL is refused at once while another process does the same, whatever the busy time-out, so it is tried
    /// again; and so is opening one that turned out to be corrupt, which is gone by then.
    fn open_patiently(shelf: &Shelf, archive: &str, path: &Path) -> Result<Self> {
        let began = Instant::now();
        loop {
            match Self::open_usable(shelf, archive, path) {
                Err(e) if e.status() == Status::TryAgain && began.elapsed() < BUSY && !interrupt::requested() => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                done => return done,
            }
        }
    }

    fn open_usable(shelf: &Shelf, archive: &str, path: &Path) -> Result<Self> {
        let index = Self::open_at(shelf, archive, path)?;
        let usable = match index.is_usable() {
            // Busy is not unusable: others may be at work in it.
            Err(e) if e.status() == Status::TryAgain => return Err(e),
            usable => usable.unwrap_or(false),
        };
        if usable {
            return Ok(index);
        }
        drop(index);
        remove(path);
        Self::open_at(shelf, archive, path)
    }

    fn open_at(shelf: &Shelf, archive: &str, path: &Path) -> Result<Self> {
        let db = Connection::open(path).map_err(wrong)?;
        private(path)?;
        db.busy_timeout(BUSY).map_err(wrong)?;
        let pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-8000; PRAGMA wal_autocheckpoint=2000; PRAGMA mmap_size=0;";
        db.execute_batch(pragmas).map_err(wrong)?;
        let mut index = Self { db, shelf: shelf.clone(), archive: archive.into() };
        index.make_tables()?;
        Ok(index)
    }

    /// Makes the tables of an empty file, in one transaction, so that two processes do it once.
    fn make_tables(&mut self) -> Result<()> {
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrong)?;
        let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(wrong)?;
        if version == 0 {
            transaction.execute_batch(TABLES).and_then(|()| transaction.execute_batch(INDEXES)).map_err(wrong)?;
            transaction.execute("INSERT INTO applied VALUES (1, ?1, 0, NULL)", [&self.archive]).map_err(wrong)?;
            transaction.pragma_update(None, "user_version", SCHEMA).map_err(wrong)?;
        }
        transaction.commit().map_err(wrong)
    }

    /// Whether it is of this schema and archive, and what it read last still stands on the chain.
    fn is_usable(&self) -> Result<bool> {
        let version: i64 = self.db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(wrong)?;
        if version != SCHEMA {
            return Ok(false);
        }
        let asked = self.db.query_row("SELECT archive, segment, blake3 FROM applied", [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?, row.get::<_, Option<[u8; 32]>>(2)?))
        });
        let Some((archive, segment, blake3)) = asked.optional().map_err(wrong)? else { return Ok(false) };
        let stands = segment == 0 || self.shelf.read_all(Series::Segment, segment).is_ok_and(|file| Some(Digest::of(&file).0) == blake3);
        Ok(archive == self.archive && stands)
    }

    /// The last segment it has read.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn head(&self) -> Result<Option<Head>> {
        let asked = self.db.query_row("SELECT segment, blake3 FROM applied WHERE segment > 0", [], |row| Ok((row.get(0)?, row.get(1)?)));
        let head = asked.optional().map_err(wrong)?;
        Ok(head.map(|(segment, blake3)| Head { archive: self.archive.clone(), segment, blake3: Digest(blake3) }))
    }

    /// Reads the segments that have appeared since it last looked. A damaged one is passed over and noted.
    ///
    /// # Errors
    /// What SQLite reports; [`Status::Data`] if a segment belongs to another archive.
    pub fn catch_up(&mut self) -> Result<()> {
        let first = self.head()?.map_or(0, |head| head.segment) + 1;
        let last = self.shelf.list(Series::Segment, first)?.last().copied();
        for number in first..=last.unwrap_or(0) {
            // A listing taken while others commit may lack a number that is there.
            if self.shelf.size(Series::Segment, number)?.is_none() {
                self.note(number, "is missing")?;
                continue;
            }
            match Segment::open(&self.shelf, number) {
                Ok(segment) if segment.header.archive != self.archive => {
                    let what = format!("belongs to the archive {}", segment.header.archive);
                    return Err(Error::new(Status::Data, what).about(Series::Segment.name(number)));
                }
                Ok(segment) => self.apply_segment(number, segment)?,
                Err(e) if e.status() == Status::Data => self.note_damaged(number, &e)?,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn apply_segment(&mut self, number: u64, segment: Segment) -> Result<()> {
        let (blake3, pack) = (segment.blake3, segment.header.pack);
        let records: Result<Vec<_>> = segment.placed().collect();
        match records {
            Ok(records) => self.apply(number, blake3, pack, records.iter().map(|(place, record)| (*place, record))),
            Err(e) => self.note_damaged(number, &e),
        }
    }

    /// A segment that can't be read is passed over; its pack, which then no segment names, is adopted by the next writer.
    fn note_damaged(&mut self, number: u64, why: &Error) -> Result<()> {
        let blake3 = Digest::of(&self.shelf.read_all(Series::Segment, number)?);
        self.note(number, &why.to_string())?;
        let update = "UPDATE applied SET segment = ?1, blake3 = ?2 WHERE segment < ?1";
        self.db.execute(update, (number, blake3.0)).map(drop).map_err(wrong)
    }

    fn note(&mut self, number: u64, why: &str) -> Result<()> {
        self.db.execute("INSERT OR REPLACE INTO damaged VALUES (?1, ?2)", (number, why)).map(drop).map_err(wrong)
    }
}

/// Where the index lies.
fn place(shelf: &Shelf, archive: &str, path: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = path {
        durable::make_folder(path.parent().unwrap_or(Path::new("")))?;
        return Ok(path.to_path_buf());
    }
    let cache = shelf.root().join("cache");
    let writable = durable::make_folder(&cache).is_ok() && rustix::fs::access(&cache, rustix::fs::Access::WRITE_OK).is_ok();
    if writable {
        return Ok(cache.join("index.sqlite"));
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let user = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let folder = user
        .ok_or_else(|| Error::new(Status::CantCreate, "the archive can't be written, and there is no HOME for its index"))?
        .join("mdrop");
    durable::make_folder(&folder)?;
    Ok(folder.join(format!("{archive}.sqlite")))
}

/// Access is private whatever the umask: subjects and addresses are not in it, but who got mail is.
fn private(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(|e| Error::io("make private", e))
}
