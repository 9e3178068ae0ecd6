//! INT, TERM and HUP ask for an end at the next safe place; a second one ends at once, as KILL does. So does the end of a run's time.
//!
//! One flag for the process, since a signal is sent to the process, and a run is one. Whoever waits (for a socket, for a pipe) waits
//! in short steps and looks at the flag between them.

use crate::error::{Error, Result, Status};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
static TIME: OnceLock<(Instant, Duration)> = OnceLock::new();

/// How long a wait may last before the flag is looked at, in milliseconds.
pub const STEP: i64 = 200;

fn flag() -> &'static Arc<AtomicBool> {
    FLAG.get_or_init(|| Arc::new(AtomicBool::new(false)))
}

/// Catches the signals from now on. One that is ignored already stays so, as nohup(1) wants it.
///
/// # Errors
/// [`Status::System`] if the system refuses.
pub fn catch() -> Result<()> {
    let ignored = ignored();
    for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0) {
        let code = i32::from(Status::TryAgain.code());
        let caught = signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(flag()))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(flag())));
        caught.map_err(|e| Error::io("catch signals", e).with_status(Status::System))?;
    }
    Ok(())
}

/// The signals that were ignored when the process began, a bit each (proc(5), `SigIgn`); none where the system does not tell.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// From now on the run has so much time; asked again, the first answer holds.
pub fn limit_run(time: Duration) {
    TIME.get_or_init(|| (Instant::now(), time));
}

/// Whether an end was asked for, or the run's time is over.
#[must_use]
pub fn requested() -> bool {
    signalled() || TIME.get().is_some_and(|(began, time)| began.elapsed() >= *time)
}

fn signalled() -> bool {
    flag().load(Ordering::Relaxed)
}

/// Goes on, unless an end is asked for.
///
/// # Errors
/// As [`error`].
pub fn check() -> Result<()> {
    if requested() { Err(error()) } else { Ok(()) }
}

/// Waits, unless an end is asked for.
///
/// # Errors
/// As [`error`].
pub fn pause(time: Duration) -> Result<()> {
    let began = Instant::now();
    loop {
        check()?;
        let left = time.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_millis(STEP.unsigned_abs())));
    }
}

/// The error with which a tool stops when an end was asked for.
#[must_use]
pub fn error() -> Error {
    let what = match TIME.get().filter(|_| !signalled()) {
        Some((_, time)) => format!("stopped after {} seconds, the run-timeout; run it again to go on", time.as_secs_f64()),
        None => "stopped by a signal; run it again to go on".into(),
    };
    Error::new(Status::TryAgain, what)
}

/// Standard input, whose wait for data ends when an end is asked for.
pub struct Input(File);

impl Input {
    /// A reader of `file`, usually standard input.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self(file)
    }
}

impl Read for Input {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let step = Timespec { tv_sec: 0, tv_nsec: STEP * 1_000_000 };
        loop {
            if requested() {
                return Err(error().into());
            }
            let mut waiting = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
            match poll(&mut waiting, Some(&step)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.0.read(to),
                Err(e) => return Err(e.into()),
            }
        }
    }
}
