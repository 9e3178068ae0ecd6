//! Steps: everything that changes the disk passes here first, by name and in the order of its doing, and so has a number in its run.
//!
//! For whoever wants to see a run break: `MDROP_STEPS` lists the steps, stops the program dead at one, or lets one fail (mdrop-safety(7)).
//! It is compiled in always, so that what is tested is what runs, and it can do no harm that a kill or a bad disk can't: it leaves no
//! step out and goes on. A value that is misspelt makes every step fail.

use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is done to the disk. Each has its line in mdrop-safety(7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A folder is made.
    MakeFolder,
    /// A file is made, in tmp/ or without a name.
    Create,
    /// A lock is asked for.
    Lock,
    /// Octets are written to a file.
    Write,
    /// A file's octets are synced.
    Sync,
    /// Synced octets are dropped from the page cache.
    Drop,
    /// A file gets its number.
    Link,
    /// The same, where the file system knows no links.
    Rename,
    /// A folder's entries are synced.
    SyncFolder,
    /// A file is removed.
    Remove,
    /// A folder is removed.
    RemoveFolder,
    /// The index is told of a segment.
    Index,
    /// Receipts are printed.
    Answer,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::MakeFolder,
        Self::Create,
        Self::Lock,
        Self::Write,
        Self::Sync,
        Self::Drop,
        Self::Link,
        Self::Rename,
        Self::SyncFolder,
        Self::Remove,
        Self::RemoveFolder,
        Self::Index,
        Self::Answer,
    ];

    /// Its name in a list of steps.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MakeFolder => "make-folder",
            Self::Create => "create",
            Self::Lock => "lock",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Drop => "drop",
            Self::Link => "link",
            Self::Rename => "rename",
            Self::SyncFolder => "sync-folder",
            Self::Remove => "remove",
            Self::RemoveFolder => "remove-folder",
            Self::Index => "index",
            Self::Answer => "answer",
        }
    }
}

/// What `MDROP_STEPS` asks for.
#[derive(Default, PartialEq, Debug)]
struct Plan {
    list: Option<PathBuf>,
    stop: Option<u64>,
    fail: Option<(u64, i32)>,
}

/// The errors that a step can be made to fail with.
const ERRORS: [(&str, Errno); 5] =
    [("ENOSPC", Errno::NOSPC), ("EIO", Errno::IO), ("EDQUOT", Errno::DQUOT), ("EROFS", Errno::ROFS), ("EACCES", Errno::ACCESS)];

impl Plan {
    /// Reads `list=FILE,stop=N,fail=N:ERROR`, any of them; the file's name must not have a comma.
    fn parse(text: &str) -> Option<Self> {
        let mut plan = Self::default();
        for wish in text.split(',') {
            match wish.split_once('=')? {
                ("list", file) => plan.list = Some(file.into()),
                ("stop", number) => plan.stop = Some(number.parse().ok()?),
                ("fail", which) => {
                    let (number, error) = which.split_once(':')?;
                    let (_, error) = ERRORS.iter().find(|(name, _)| *name == error)?;
                    plan.fail = Some((number.parse().ok()?, error.raw_os_error()));
                }
                _ => return None,
            }
        }
        Some(plan)
    }

    /// Does what is asked for at step `number`.
    fn meet(&self, number: u64, step: Step, objects: &[&Path], octets: u64) -> io::Result<()> {
        if self.stop == Some(number) {
            let _ = kill_process(getpid(), Signal::KILL);
            std::process::abort();
        }
        if let Some((_, error)) = self.fail.filter(|(at, _)| *at == number) {
            return Err(io::Error::from_raw_os_error(error));
        }
        let Some(list) = &self.list else { return Ok(()) };
        let objects: Vec<_> = objects.iter().map(|path| path.to_string_lossy()).collect();
        let line = serde_json::json!({"n": number, "step": step.name(), "objects": objects, "octets": octets});
        let mut file = File::options().append(true).create(true).open(list)?;
        file.write_all(format!("{line}\n").as_bytes())
    }
}

static COUNT: AtomicU64 = AtomicU64::new(0);

/// The plan of this process: none in ordinary life, `Err` if it is misspelt.
fn plan() -> &'static Result<Option<Plan>, ()> {
    static PLAN: OnceLock<Result<Option<Plan>, ()>> = OnceLock::new();
    PLAN.get_or_init(|| match std::env::var_os("MDROP_STEPS") {
        None => Ok(None),
        Some(text) => text.to_str().and_then(Plan::parse).map(Some).ok_or(()),
    })
}

/// Must be called before the step is done, which is not done if this fails. `octets` are those written, or, of receipts, how many are printed.
///
/// # Errors
/// None, unless `MDROP_STEPS` asks for one.
pub fn step(step: Step, objects: &[&Path], octets: u64) -> io::Result<()> {
    match plan() {
        Ok(None) => Ok(()),
        Ok(Some(plan)) => plan.meet(COUNT.fetch_add(1, Ordering::Relaxed) + 1, step, objects, octets),
        Err(()) => Err(io::Error::new(io::ErrorKind::InvalidInput, "MDROP_STEPS says something else than list=, stop= and fail=")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_whole_or_not_at_all() {
        let plan = Plan { list: Some("/a b".into()), stop: Some(3), fail: Some((4, 28)) };
        assert_eq!(Plan::parse("list=/a b,stop=3,fail=4:ENOSPC"), Some(plan));
        for wrong in ["", "stop", "stop=x", "fail=3", "fail=3:EFOO", "stop=3,", "skip=3"] {
            assert_eq!(Plan::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn each_step_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Step::ALL.iter().map(|step| step.name()).collect();
        assert_eq!(names.len(), Step::ALL.len());
    }
}
