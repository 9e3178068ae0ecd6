//! A shared lock on an mbox, so that it is not read while a program delivers into it or rewrites it.
//!
//! Programs lock in three ways, and which one is a matter of the site: fcntl(2), flock(2), and a file `NAME.lock` beside it. The first two
//! are taken, the third is waited for; none is ever made, since nothing is written where the mail lies.

use crate::error::{Error, Result, Status};
use crate::interrupt;
use rustix::fs::{FlockOperation, fcntl_lock, flock};
use rustix::io::Errno;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long to wait before the next try.
const STEP: Duration = Duration::from_millis(100);
/// A lock file of this age was forgotten, as most programs see it.
const FORGOTTEN: Duration = Duration::from_mins(5);

/// Takes the lock, which ends with the file; waits `longest` for others.
pub(super) fn shared(file: &File, path: &Path, longest: Duration) -> Result<()> {
    let began = Instant::now();
    loop {
        let Some(holder) = holder(file, path) else { return Ok(()) };
        if began.elapsed() >= longest {
            return Err(Error::new(Status::TryAgain, format!("locked by another program ({holder})")));
        }
        interrupt::pause(STEP)?;
    }
}

/// By what another program holds the file, if one does.
fn holder(file: &File, path: &Path) -> Option<String> {
    let lock_file = lock_file(path);
    let age = std::fs::symlink_metadata(&lock_file).and_then(|metadata| metadata.modified()).map(|then| then.elapsed().unwrap_or_default());
    if age.is_ok_and(|age| age < FORGOTTEN) {
        return Some(lock_file.display().to_string());
    }
    // A file system without locks has none to respect.
    let held = |taken| matches!(taken, Err(Errno::AGAIN | Errno::ACCESS | Errno::INTR));
    if held(fcntl_lock(file, FlockOperation::NonBlockingLockShared)) {
        return Some("fcntl".into());
    }
    held(flock(file, FlockOperation::NonBlockingLockShared)).then(|| "flock".into())
}

fn lock_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}
