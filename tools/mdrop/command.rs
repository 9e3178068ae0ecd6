//! Commands that a profile names: run by the shell, watched, and what they print.
//!
//! A command may leave something behind that keeps its output open, so one of which a line is wanted is waited for until the line and its
//! end are there. One of which everything is wanted must also close its output, else its end could not be told from a stop in the
//! middle. Whatever a command prints counts only once it has ended well.

use crate::error::{Error, Result, Status};
use crate::interrupt;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{BufRead, BufReader, Read, Take};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A command that is to be run, and within what bounds.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    /// What the shell is given.
    pub command: &'a str,
    /// How long it may take.
    pub timeout: Duration,
    /// How many octets are read of it.
    pub longest: u64,
    /// The status of a failure.
    pub failure: Status,
}

/// What a command prints, up to a bound.
type Output = Take<BufReader<ChildStdout>>;

/// What was read of it.
type Gathered = std::io::Result<Vec<u8>>;

impl Running<'_> {
    /// Its first line, the line end included; empty if it prints nothing.
    ///
    /// # Errors
    /// The status of a failure if it can't be started, ends badly or takes too long.
    pub fn first_line(&self) -> Result<Vec<u8>> {
        self.run(false, |stdout| {
            let mut line = Vec::new();
            stdout.read_until(b'\n', &mut line)?;
            Ok(line)
        })
    }

    /// All that it prints. It runs in a process group of its own, so that nothing of it is left when it takes too long.
    ///
    /// # Errors
    /// As [`Running::first_line`], and if it prints too much.
    pub fn output(&self) -> Result<Vec<u8>> {
        let all = self.run(true, |stdout| {
            let mut all = Vec::new();
            stdout.read_to_end(&mut all)?;
            Ok(all)
        })?;
        let longest = self.longest;
        if all.len() as u64 > longest { Err(self.failed(format!("printed more than {longest} octets"))) } else { Ok(all) }
    }

    fn run(&self, group: bool, read: fn(&mut Output) -> Gathered) -> Result<Vec<u8>> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", self.command]).stdin(Stdio::null()).stdout(Stdio::piped());
        if group {
            command.process_group(0);
        }
        let mut child = command.spawn().map_err(|e| self.failed(format!("can't be started: {e}")))?;
        let (sender, receiver) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            let mut stdout = BufReader::new(stdout).take(self.longest.saturating_add(1));
            std::thread::spawn(move || {
                let _ = sender.send(read(&mut stdout));
                // Whoever writes more than is wanted must not be ended for it.
                let _ = std::io::copy(stdout.get_mut(), &mut std::io::sink());
            });
        }
        let ended = self.wait(&mut child, &receiver);
        if ended.is_err() {
            stop(&mut child, group);
        }
        let (status, octets) = ended?;
        if status.success() { Ok(octets) } else { Err(self.failed(format!("failed with {status}"))) }
    }

    /// Waits for the command's end and for what is read of it, in steps that look at the stop flag.
    fn wait(&self, child: &mut Child, reads: &mpsc::Receiver<Gathered>) -> Result<(ExitStatus, Vec<u8>)> {
        let error = |e| Error::io("wait", e).with_status(Status::System);
        let began = Instant::now();
        let mut octets = None;
        loop {
            if octets.is_none() {
                octets = reads.recv_timeout(Duration::from_millis(20)).ok().transpose().map_err(error)?;
            } else {
                std::thread::sleep(Duration::from_millis(5));
            }
            if let Some(status) = child.try_wait().map_err(error)? {
                if let Some(octets) = octets.take() {
                    return Ok((status, octets));
                }
                if !status.success() {
                    return Ok((status, Vec::new()));
                }
            }
            interrupt::check()?;
            if began.elapsed() > self.timeout {
                return Err(self.failed(format!("gave nothing within {} seconds", self.timeout.as_secs())));
            }
        }
    }

    fn failed(&self, what: String) -> Error {
        Error::new(self.failure, what)
    }
}

fn stop(child: &mut Child, group: bool) {
    let leader = i32::try_from(child.id()).ok().and_then(Pid::from_raw).filter(|_| group);
    if let Some(leader) = leader {
        let _ = kill_process_group(leader, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(command: &str) -> Running<'_> {
        Running { command, timeout: Duration::from_millis(1500), longest: 100, failure: Status::TryAgain }
    }

    fn told(result: Result<Vec<u8>>) -> std::result::Result<String, (Status, String)> {
        result.map(|octets| String::from_utf8(octets).unwrap()).map_err(|e| (e.status(), e.to_string()))
    }

    #[test]
    fn everything_counts_only_once_the_command_has_ended_well() {
        assert_eq!(told(running("echo a; echo b").output()), Ok("a\nb\n".into()));
        assert_eq!(told(running("true").output()), Ok(String::new()));
        for (command, why) in [
            ("echo a; exit 3", "failed with exit status: 3"),
            ("echo a; kill -KILL $$", "failed with signal: 9 (SIGKILL)"),
            ("head -c 101 /dev/zero", "printed more than 100 octets"),
            ("echo a; sleep 9", "gave nothing within 1 seconds"),
            ("echo a; sleep 9 &", "gave nothing within 1 seconds"),
            ("no-such-command 2>/dev/null", "failed with exit status: 127"),
        ] {
            assert_eq!(told(running(command).output()), Err((Status::TryAgain, why.into())), "{command}");
        }
    }

    #[test]
    fn a_line_is_taken_though_something_keeps_the_output_open() {
        assert_eq!(told(running("echo a; echo b").first_line()), Ok("a\n".into()));
        assert_eq!(told(running("echo a; sleep 0.2; echo b && head -c 200000 /dev/zero").first_line()), Ok("a\n".into()));
        assert_eq!(told(running("echo a; sleep 3 &").first_line()), Ok("a\n".into()));
        assert_eq!(told(running("echo a; exit 3").first_line()), Err((Status::TryAgain, "failed with exit status: 3".into())));
    }

    #[test]
    fn nothing_of_a_command_that_took_too_long_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let command = format!("(sleep 2; touch {0}/left) & wait", folder.path().display());
        assert!(Running { timeout: Duration::from_millis(100), ..running(&command) }.output().is_err());
        std::thread::sleep(Duration::from_millis(2500));
        assert!(!folder.path().join("left").exists());
    }
}
