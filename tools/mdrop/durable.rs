//! Making things durable: the only module that creates, links, syncs and removes files. Each time it does so is a numbered step.
//!
//! Durable means that the file *and* its directory entry are fsynced, new ancestors included. Files appear by link(2), which
//! never replaces one that is there; rename would. After a failed fsync the kernel may have dropped what it could not
//! write, so the file is not tried again but given up (fsync(2), “EIO”).

mod step;

pub use step::{Step, step};

use crate::error::{Error, Result, Status};
use crate::interrupt;
use crate::time::Time;
use rustix::fs::{Advice, FlockOperation, Mode, OFlags, RenameFlags};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long a file of tmp/ is left alone, so that its writer has surely locked it.
const GRACE: Duration = Duration::from_mins(1);

fn about(path: &Path, doing: &str, error: impl Into<io::Error>) -> Error {
    Error::io(doing, error.into()).about(path.display().to_string())
}

/// Makes a folder and those above it, private, and makes their entries durable. One that is there stays as it is.
///
/// # Errors
/// [`Status::CantCreate`], naming the folder.
pub fn make_folder(path: &Path) -> Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new(""));
    make_folder(parent)?;
    let error = |e: io::Error| about(path, "create the folder", e).with_status(Status::CantCreate);
    step(Step::MakeFolder, &[path], 0).map_err(error)?;
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => sync_folder(parent),
        Err(e) => Err(error(e.into())),
    }
}

/// Makes the entries of a folder durable.
///
/// # Errors
/// [`Status::Io`], naming the folder.
pub fn sync_folder(path: &Path) -> Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let synced = step(Step::SyncFolder, &[path], 0).and_then(|()| File::open(path)?.sync_all());
    synced.map_err(|e| about(path, "sync the folder", e).with_status(Status::Io))
}

/// Makes durable the entries that lead to a folder that is there already, as far up as its file system goes: a run that was killed may
/// have made some of them. A folder that we may not open was not ours to make either.
///
/// # Errors
/// [`Status::Io`], naming the folder.
pub fn sync_above(path: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let path = std::fs::canonicalize(path).map_err(|e| about(path, "look at", e))?;
    let device = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.dev());
    let own = device(&path).map_err(|e| about(&path, "look at", e))?;
    for above in path.ancestors().skip(1) {
        if device(above).is_ok_and(|device| device != own) || File::open(above).is_err() {
            break;
        }
        sync_folder(above)?;
    }
    Ok(())
}

/// Makes a file that is there already durable, with its entry.
///
/// # Errors
/// What opening or syncing reports, naming the file.
pub fn sync_file(path: &Path) -> Result<()> {
    let synced = step(Step::Sync, &[path], 0).and_then(|()| File::open(path)?.sync_all());
    synced.map_err(|e| about(path, "sync", e).with_status(Status::Io))?;
    sync_folder(path.parent().unwrap_or(Path::new("")))
}

/// A file in tmp/ that has no number yet. It is removed when dropped, and locked, so that nobody else removes it.
#[derive(Debug)]
pub struct Unfinished {
    path: PathBuf,
    file: File,
}

impl Unfinished {
    /// Creates one in `folder`, private.
    ///
    /// # Errors
    /// [`Status::CantCreate`], naming the file.
    pub fn create(folder: &Path) -> Result<Self> {
        make_folder(folder)?;
        let path = folder.join(uuid::Uuid::new_v4().simple().to_string());
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        let error = |e: io::Error| about(&path, "create", e).with_status(Status::CantCreate);
        step(Step::Create, &[&path], 0).map_err(error)?;
        let fd = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR).map_err(|e| error(e.into()))?;
        // From here on it is removed when given up.
        let made = Self { path, file: File::from(fd) };
        step(Step::Lock, &[&made.path], 0).map_err(|e| about(&made.path, "lock", e))?;
        rustix::fs::flock(made.file.as_fd(), FlockOperation::NonBlockingLockExclusive).map_err(|e| about(&made.path, "lock", e))?;
        Ok(made)
    }

    /// Asks the disk to begin writing these octets, and drops what is written already; that is all it does, and it may do nothing.
    pub fn write_back(&self, offset: u64, length: u64) {
        if step(Step::Drop, &[&self.path], 0).is_ok() {
            let _ = rustix::fs::fadvise(&self.file, offset, std::num::NonZeroU64::new(length), Advice::DontNeed);
        }
    }

    /// Makes its octets durable and drops them from the page cache, which a large run would fill.
    ///
    /// # Errors
    /// [`Status::Io`]; then nothing of the file is to be trusted.
    pub fn sync(&self) -> Result<()> {
        let synced = step(Step::Sync, &[&self.path], 0).and_then(|()| self.file.sync_data());
        synced.map_err(|e| about(&self.path, "sync", e).with_status(Status::Io))?;
        if step(Step::Drop, &[&self.path], 0).is_ok() {
            let _ = rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed);
        }
        Ok(())
    }

    /// Lets the synced file appear as `target` and makes its entry durable. False, and nothing done, if `target` is there.
    ///
    /// # Errors
    /// [`Status::CantCreate`] or [`Status::Io`], naming the file.
    pub fn appear(&self, target: &Path) -> Result<bool> {
        let folder = target.parent().unwrap_or(Path::new(""));
        make_folder(folder)?;
        match link_or_rename(&self.path, target) {
            Ok(()) => sync_folder(folder).map(|()| true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(about(target, "create", e).with_status(Status::CantCreate)),
        }
    }
}

/// Some file systems know no hard links; there a rename that does not replace serves (rename(2), `RENAME_NOREPLACE`).
fn link_or_rename(from: &Path, to: &Path) -> io::Result<()> {
    step(Step::Link, &[from, to], 0)?;
    match rustix::fs::link(from, to) {
        Err(rustix::io::Errno::PERM | rustix::io::Errno::OPNOTSUPP) => {
            step(Step::Rename, &[from, to], 0)?;
            Ok(rustix::fs::renameat_with(rustix::fs::CWD, from, rustix::fs::CWD, to, RenameFlags::NOREPLACE)?)
        }
        other => Ok(other?),
    }
}

impl Write for Unfinished {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        step(Step::Write, &[&self.path], octets.len() as u64)?;
        self.file.write_all(octets)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = remove(&self.path);
    }
}

/// Removes a file that is of no value: an unfinished one, an index. Its entry is not synced; if it comes back nothing is lost.
///
/// # Errors
/// What the system reports.
pub fn remove(path: &Path) -> io::Result<()> {
    step(Step::Remove, &[path], 0)?;
    std::fs::remove_file(path)
}

/// Removes a folder if it is empty.
///
/// # Errors
/// What the system reports.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    step(Step::RemoveFolder, &[path], 0)?;
    std::fs::remove_dir(path)
}

/// A file without a name in `folder`, which is gone with its process.
///
/// # Errors
/// What the system reports.
pub fn nameless(folder: &Path) -> io::Result<File> {
    step(Step::Create, &[folder], 0)?;
    tempfile::tempfile_in(folder)
}

/// Makes an empty file where there is none, as a mark.
///
/// # Errors
/// [`Status::CantCreate`], naming the file.
pub fn mark(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let made = step(Step::Create, &[path], 0).and_then(|()| File::options().create(true).append(true).open(path));
    made.map(drop).map_err(|e| about(path, "create", e).with_status(Status::CantCreate))
}

/// Removes from tmp/ what no live process holds: what a killed run left.
///
/// # Errors
/// [`Status::Io`] if the folder can't be listed; a file that can't be removed does no harm and is left.
pub fn sweep(folder: &Path) -> Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(about(folder, "list", e)),
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let Ok(file) = File::open(&path) else { continue };
        // A young file is not even locked for a moment: its writer may be about to.
        let age = file.metadata().and_then(|m| m.modified()).ok().and_then(|t| t.elapsed().ok());
        if age.is_some_and(|age| age > GRACE) && rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = remove(&path);
        }
    }
    Ok(())
}

/// A file that appears whole under its final name, for what an archive hands out: a Maildir's messages, .eml files.
///
/// # Errors
/// What creating, writing or linking reports, naming the file. True if it is new, false if the name was taken.
pub fn write_whole(tmp: &Path, target: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<bool> {
    let mut file = Unfinished::create(tmp)?;
    write(&mut file)?;
    file.sync()?;
    file.appear(target)
}

/// The same, and the file has `modified` as the time of its last change, where that is told.
///
/// # Errors
/// As [`write_whole`].
pub fn write_dated(tmp: &Path, target: &Path, modified: Option<Time>, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<bool> {
    let mut file = Unfinished::create(tmp)?;
    write(&mut file)?;
    if let Some(seconds) = modified.and_then(|time| u64::try_from(time.unix()).ok()) {
        let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        time.map_or(Ok(()), |time| file.file.set_modified(time)).map_err(|e| about(target, "set the time", e))?;
    }
    file.sync()?;
    file.appear(target)
}

/// A lock file, held until dropped, or until the process ends however it ends (flock(2)).
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "closing the file gives the lock back")] File);

/// Waits for the lock, for as long as no signal asks for an end.
///
/// # Errors
/// [`Status::CantCreate`] if the file can't be made, [`Status::TryAgain`] if a signal came.
pub fn lock(path: &Path) -> Result<Lock> {
    step(Step::Lock, &[path], 0).map_err(|e| about(path, "lock", e))?;
    loop {
        if let Some(lock) = try_lock(path)? {
            return Ok(lock);
        }
        if interrupt::requested() {
            return Err(interrupt::error());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The lock if nobody holds it.
///
/// # Errors
/// [`Status::CantCreate`] if the file can't be made.
pub fn try_lock(path: &Path) -> Result<Option<Lock>> {
    let file = lock_file(path)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Lock(file))),
        Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(None),
        Err(e) => Err(about(path, "lock", e)),
    }
}

fn lock_file(path: &Path) -> Result<File> {
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC;
    let error = |e| about(path, "create", e).with_status(Status::CantCreate);
    Ok(File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map_err(error)?))
}

/// The lock, shared with others who want it shared, for as long as no signal asks for an end.
///
/// # Errors
/// As [`lock`].
pub fn lock_shared(path: &Path) -> Result<Lock> {
    step(Step::Lock, &[path], 0).map_err(|e| about(path, "lock", e))?;
    loop {
        let file = lock_file(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => return Ok(Lock(file)),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
            Err(e) => return Err(about(path, "lock", e)),
        }
        if interrupt::requested() {
            return Err(interrupt::error());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Makes a whole file durable and gives it its name, in the place of whatever has it. For what can be made anew, and for nothing else.
///
/// # Errors
/// [`Status::Io`] or [`Status::CantCreate`], naming the file.
pub fn replace(from: &Path, to: &Path) -> Result<()> {
    let synced = step(Step::Sync, &[from], 0).and_then(|()| File::open(from)?.sync_all());
    synced.map_err(|e| about(from, "sync", e).with_status(Status::Io))?;
    step(Step::Rename, &[from, to], 0)
        .and_then(|()| std::fs::rename(from, to))
        .map_err(|e| about(to, "create", e).with_status(Status::CantCreate))
}

/// How many octets the file system that holds `path` still takes from us.
///
/// # Errors
/// What the system reports, naming the path.
pub fn free_space(path: &Path) -> Result<u64> {
    let stat = rustix::fs::statvfs(path).map_err(|e| about(path, "ask for the free space", e))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}
