//! The file of the index: where it lies, how it is opened, and how a new one takes the place of one that is not to be used.
//!
//! SQLite finds the two files that belong to a database by its name. Whoever opened the old database while the new one appeared could
//! take the new one's files for the old one's. So whoever opens one holds a lock beside it, shared, until those are open, and whoever
//! replaces or removes it holds the same lock for himself alone. Those that have an old one open work on in it, undisturbed, until they
//! next look whether it still has its name.

use super::tables::{INDEXES, SCHEMA, TABLES};
use super::{Index, rebuild};
use crate::archive::shelf::{Series, Shelf};
use crate::durable;
use crate::error::{Error, Result, Status};
use crate::identity::Digest;
use crate::interrupt;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long another process may keep the index busy.
const BUSY: Duration = Duration::from_mins(2);
/// How many segments, besides twice those it has, make an index be far behind.
const FAR: u64 = 20;
/// How often it is tried to get the lock for removing a damaged one.
const TRIES: u32 = 20;

/// A file, whatever its name is by now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Inode(u64, u64);

/// The index that this process has open, so that it can be removed from wherever it is seen to be damaged.
static OPEN: Mutex<Option<(PathBuf, Inode)>> = Mutex::new(None);

/// The file that now has this name.
pub(super) fn inode(path: &Path) -> Option<Inode> {
    std::fs::metadata(path).ok().map(|metadata| Inode(metadata.dev(), metadata.ino()))
}

/// The path with something at its end.
pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// How SQLite's failures are reported. A corrupt index is removed: it is made anew by the next run, and nothing is lost with it.
#[expect(clippy::needless_pass_by_value, reason = "it serves map_err")]
pub(in crate::archive) fn wrong(error: rusqlite::Error) -> Error {
    if is_corrupt(&error) {
        remove_open();
        return Error::new(Status::TryAgain, format!("index: {error}; it was removed, and the next run makes it anew"));
    }
    let status = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Status::TryAgain,
        None => Status::Software,
        Some(_) => Status::Io,
    };
    Error::new(status, format!("index: {error}"))
}

/// Whether the file is to blame. A value of a strange type was written by nobody who made these tables.
fn is_corrupt(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase),
        None => !matches!(error, rusqlite::Error::ToSqlConversionFailure(_)),
    }
}

/// Removes the index that this process has open, unless another has taken its place.
fn remove_open() {
    let Some((path, open)) = OPEN.lock().ok().and_then(|open| open.clone()) else { return };
    for _ in 0..TRIES {
        if let Ok(Some(_lock)) = durable::try_lock(&with_ending(&path, "-lock")) {
            if inode(&path) == Some(open) {
                remove(&path);
            }
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Removes a database, with the files that belong to it.
pub(super) fn remove(path: &Path) {
    for ending in ["", "-wal", "-shm", "-journal"] {
        let _ = durable::remove(&with_ending(path, ending));
    }
}

/// Opens the index at `path`; makes it anew if it is not to be used. A busy one is tried again.
pub(super) fn open(shelf: &Shelf, archive: &str, path: &Path) -> Result<Connection> {
    let began = Instant::now();
    loop {
        match open_or_make(shelf, archive, path) {
            Err(e) if e.status() == Status::TryAgain && began.elapsed() < BUSY && !interrupt::requested() => {
                std::thread::sleep(Duration::from_millis(10));
            }
            done => return done,
        }
    }
}

fn open_or_make(shelf: &Shelf, archive: &str, path: &Path) -> Result<Connection> {
    let lock = with_ending(path, "-lock");
    {
        let _opening = durable::lock_shared(&lock)?;
        if let Some(db) = open_usable(shelf, archive, path)? {
            return Ok(db);
        }
    }
    let _making = durable::lock(&lock)?;
    // Another process may have been quicker.
    if let Some(db) = open_usable(shelf, archive, path)? {
        return Ok(db);
    }
    remove(path);
    rebuild::make(shelf, archive, path)?;
    open_usable(shelf, archive, path)?.ok_or_else(|| Error::new(Status::TryAgain, "index: made anew, and not to be used"))
}

/// Opens it if it is there and to be used.
fn open_usable(shelf: &Shelf, archive: &str, path: &Path) -> Result<Option<Connection>> {
    let Some(inode) = inode(path) else { return Ok(None) };
    match connect(path).and_then(|db| Ok(is_usable(shelf, archive, &db)?.then_some(db))) {
        Ok(db) => {
            if let Ok(mut open) = OPEN.lock() {
                *open = db.as_ref().map(|_| (path.to_path_buf(), inode));
            }
            Ok(db)
        }
        Err(e) if is_corrupt(&e) => Ok(None),
        Err(e) => Err(wrong(e)),
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(64);
    db.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32000; PRAGMA wal_autocheckpoint=2000; PRAGMA mmap_size=0;",
    )?;
    Ok(db)
}

/// Whether it is of this schema and archive, what it read last still stands on the chain, and it is not so far behind that making it anew
/// takes less time than catching up.
fn is_usable(shelf: &Shelf, archive: &str, db: &Connection) -> rusqlite::Result<bool> {
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != SCHEMA {
        return Ok(false);
    }
    let asked = db.query_row("SELECT archive, segment, blake3 FROM applied", [], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?, row.get::<_, Option<[u8; 32]>>(2)?))
    });
    let Some((of, segment, blake3)) = asked.optional()? else { return Ok(false) };
    let stands = segment == 0 || shelf.read_all(Series::Segment, segment).is_ok_and(|file| Some(Digest::of(&file).0) == blake3);
    let far = segment.saturating_mul(2).saturating_add(FAR);
    let near = shelf.size(Series::Segment, far).is_ok_and(|size| size.is_none());
    Ok(of == archive && stands && near)
}

/// Makes an empty database that only this process uses, private whatever the umask: subjects are not in it, but who got mail is.
pub(super) fn create(path: &Path) -> Result<Connection> {
    remove(path);
    let db = Connection::open(path).map_err(wrong)?;
    let private = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
    private.map_err(|e| Error::io("make private", e).about(path.display().to_string()))?;
    Ok(db)
}

/// Makes the tables, without the indexes, which are made when those are filled.
pub(super) fn make_tables(db: &Connection, archive: &str) -> rusqlite::Result<()> {
    db.execute_batch(TABLES)?;
    db.execute("INSERT INTO applied VALUES (1, ?1, 0, NULL)", [archive]).map(drop)
}

/// Makes the indexes, and says that the database is whole.
pub(super) fn finish(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(INDEXES)?;
    db.pragma_update(None, "user_version", SCHEMA)
}

/// Where the index lies.
pub(super) fn place(shelf: &Shelf, archive: &str, path: Option<&Path>) -> Result<PathBuf> {
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

impl Index {
    /// Opens the index of the archive with this id, at `path` or in the archive's cache folder, or, where that can't be written, in
    /// the user's; makes it anew if it is not to be used. It still has to catch up.
    ///
    /// # Errors
    /// What SQLite or the file system reports.
    pub fn open(shelf: &Shelf, archive: &str, path: Option<&Path>) -> Result<Self> {
        let path = place(shelf, archive, path)?;
        Self::open_at(shelf, archive, &path).map_err(|e| e.about(path.display().to_string()))
    }

    fn open_at(shelf: &Shelf, archive: &str, path: &Path) -> Result<Self> {
        let db = open(shelf, archive, path)?;
        let inode = OPEN.lock().ok().and_then(|open| open.as_ref().map(|(_, inode)| *inode));
        Ok(Self { db, shelf: shelf.clone(), archive: archive.into(), path: path.to_path_buf(), inode })
    }

    /// Opens the index that has taken the place of the one that is open, where one has.
    pub(super) fn follow(&mut self) -> Result<()> {
        if inode(&self.path) != self.inode {
            *self = Self::open_at(&self.shelf, &self.archive, &self.path)?;
        }
        Ok(())
    }
}
