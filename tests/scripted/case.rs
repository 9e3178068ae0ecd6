//! One case: a trace, perhaps a fault, and what is there afterwards; mdrop-fetch is run on it, and everything it did is judged.

use super::fault::{Fault, Kind};
use super::front::{Afterwards, Front};
use super::trace::{Message, Trace};
use super::wire::certificate;
use crate::common::dovecot::write_private;
use crate::common::tools::{known_record, path_of};
use mdrop::identity::Place;

use mdrop::stream::{Meta, ReadError, StreamReader};
use mdrop::utf7;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The profile's limits for a server that may be silent on purpose, and for one that never is but may share a busy machine.
const IMPATIENT: &str = "timeout = \"300ms\"\nretry-pause = \"20ms\"\n";
const PATIENT: &str = "timeout = \"10s\"\nretry-pause = \"20ms\"\n";
/// What is said of a server that is silent for the former's time-out, and how often such a case is tried again.
const LATE: &str = "no answer from the server for 0.3 seconds";
const TRIES: usize = 2;
/// How long a run may take: a silence for each connection and the pauses are about a second, the rest is a busy machine's.
const LONGEST: Duration = Duration::from_secs(15);
/// How many cases run at a time; most of them wait.
const AT_A_TIME: usize = 40;
/// The statuses that a server's faults may lead to (mdrop-fetch(1)).
const STATUSES: [i32; 6] = [0, 66, 69, 75, 76, 77];

/// A case.
pub struct Case {
    pub trace: Arc<Trace>,
    pub fault: Option<Fault>,
    pub afterwards: Afterwards,
}

/// How a run of mdrop-fetch went.
pub struct Checked {
    pub code: i32,
    /// What it said on standard error.
    pub told: String,
    pub took: Duration,
    /// The messages that came whole, by name.
    pub came: BTreeSet<String>,
    metas: Vec<Meta>,
}

type Judged<T> = Result<T, String>;

impl Case {
    fn name(&self) -> String {
        let fault = self.fault.as_ref().map(|fault| format!(":{fault}")).unwrap_or_default();
        format!("{}.trace{fault}, then {:?}", self.trace.name, self.afterwards)
    }

    /// Runs the case and judges it.
    pub fn check(&self) -> Judged<Checked> {
        let front = Front::start(&self.trace, self.fault.clone(), self.afterwards);
        let folder = tempfile::tempdir().unwrap();
        let first = self.run(folder.path(), front.port, &self.limits(), &[])?;
        self.judge(&first, &front).map_err(|why| format!("{why}: exit status {}, came {:?}; {}", first.code, first.came, first.told))?;
        if self.is_first_with(&first.came) {
            front.heal();
            let rest = self.run(folder.path(), front.port, PATIENT, &first.metas)?;
            self.judge_rest(&first, &rest).map_err(|why| format!("the run after it: {why}; {}", rest.told))?;
        }
        Ok(first)
    }

    /// A trace that is played as it stands, with nothing after it, ends with what it has; otherwise another connection is tried.
    fn limits(&self) -> String {
        if self.trace.profile.contains("retries") {
            return IMPATIENT.into();
        }
        match (self.is_undisturbed(), self.afterwards) {
            (true, Afterwards::Gone) => format!("{PATIENT}retries = {}\n", self.trace.connections.len() - 1),
            (true, Afterwards::Healthy) => format!("{PATIENT}retries = 2\n"),
            (false, Afterwards::Gone) => format!("{IMPATIENT}retries = 1\n"),
            (false, Afterwards::Healthy) => format!("{IMPATIENT}retries = 3\n"),
        }
    }

    /// Whether all goes as the trace has it.
    fn is_undisturbed(&self) -> bool {
        self.fault.as_ref().is_none_or(|fault| matches!(fault.kind, Kind::Drip(_)))
    }

    /// Whether no run before left just these messages of the trace to the next: what follows is always the same.
    fn is_first_with(&self, came: &BTreeSet<String>) -> bool {
        static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
        SEEN.lock().unwrap().insert(format!("{} {came:?}", self.trace.name))
    }

    fn judge(&self, ran: &Checked, front: &Front) -> Judged<()> {
        let trace = &self.trace;
        if self.is_undisturbed() && self.afterwards == Afterwards::Gone {
            let notes = front.notes();
            holds(notes.is_empty(), || format!("the trace was not followed: {}", notes.join("; ")))?;
            holds(ran.code == trace.expect, || format!("{} was expected", trace.expect))?;
            holds(ran.came == trace.comes, || format!("these were expected: {:?}", trace.comes))?;
            // A drip may tell what it is sooner than a whole answer.
            let unsaid = trace.says.iter().find(|words| self.fault.is_none() && !ran.told.contains(*words));
            return holds(unsaid.is_none(), || format!("it does not say {unsaid:?}"));
        }
        let missing: Vec<&str> =
            trace.healthy().iter().map(|message| message.name.as_str()).filter(|name| !ran.came.contains(*name)).collect();
        holds(ran.code != 0 || missing.is_empty(), || format!("success without {missing:?}"))?;
        let recovers = self.afterwards == Afterwards::Healthy && self.fault.as_ref().is_none_or(|fault| fault.kind.breaks_off());
        // A message at which a connection breaks for the second time is left to the next run.
        let left_out = trace.connections.len() > 1 && ran.told.contains("left out until the next run");
        holds(!recovers || ran.code == 0 || ran.code == trace.expect || left_out, || "it did not recover".into())
    }

    fn judge_rest(&self, first: &Checked, rest: &Checked) -> Judged<()> {
        holds(rest.code == 0, || format!("exit status {}", rest.code))?;
        let wanted: BTreeSet<String> = self.trace.healthy().iter().map(|message| message.name.clone()).collect();
        let expected: BTreeSet<String> = wanted.difference(&first.came).cloned().collect();
        holds(rest.came == expected, || format!("{:?} came, not {expected:?}", rest.came))
    }

    /// Runs mdrop-fetch, which knows some messages already; what would be wrong in any case is an error.
    fn run(&self, folder: &Path, port: u16, limits: &str, known: &[Meta]) -> Judged<Checked> {
        let profile = self.write_profile(folder, port, limits);
        std::fs::write(folder.join("known"), known.iter().flat_map(|meta| known_record(meta, meta.server_size)).collect::<Vec<u8>>())
            .unwrap();
        let mut command = Command::new(path_of("mdrop-fetch"));
        command.arg("-p").arg(profile).arg("--known").arg(folder.join("known"));
        let (code, took) = run_for(command.current_dir(folder), folder);
        let told = std::fs::read_to_string(folder.join("stderr")).unwrap();
        holds(took < LONGEST, || format!("it did not end within {LONGEST:?}: {told}"))?;
        holds(STATUSES.contains(&code), || format!("exit status {code}: {told}"))?;
        let lines_are_ours = told.lines().all(|line| line.starts_with("mdrop-fetch: ") && !line.contains("panicked"));
        holds(lines_are_ours, || format!("standard error has other lines: {told}"))?;
        let named = told.contains("mdrop-fetch: acme") || told.contains(&format!("mdrop-fetch: 127.0.0.1:{port}"));
        holds(code == 0 || named, || format!("exit status {code}, and nothing is named: {told}"))?;
        let ran = Checked { code, told, took, came: BTreeSet::new(), metas: Vec::new() };
        self.identify(ran, &std::fs::read(folder.join("stdout")).unwrap())
    }

    fn write_profile(&self, folder: &Path, port: u16, limits: &str) -> std::path::PathBuf {
        let trace = &self.trace;
        write_private(&folder.join("pw"), "pw");
        let trust = if trace.tls == "none" { "" } else { "ca-file = \"ca\"\n" };
        if trace.tls != "none" {
            std::fs::write(folder.join("ca"), &certificate().cert).unwrap();
        }
        let text = format!(
            "[account]\nprotocol = \"{}\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"{}\"\nusername = \"box\"\npassword-file = \"pw\"\n\
             {trust}{limits}{}",
            trace.protocol(),
            trace.tls,
            trace.profile
        );
        let path = folder.join("acme.toml");
        write_private(&path, &text);
        path
    }

    /// Finds out which messages came; that they are the trace's, whole, and none twice.
    fn identify(&self, mut checked: Checked, stream: &[u8]) -> Judged<Checked> {
        let mut reader = StreamReader::new(stream);
        loop {
            let mut octets = Vec::new();
            let read = reader.read(&mut std::io::sink(), &mut octets).map_err(ReadError::into_error);
            let Some(meta) = read.map_err(|e| format!("the stream is broken: {e}; {}", checked.told))? else { return Ok(checked) };
            let message = self.trace.messages.iter().find(|message| message.lies_at(&meta.origin.place));
            let same = message.filter(|message| message.octets == octets);
            let text = String::from_utf8_lossy(&octets);
            let same = same.ok_or_else(|| format!("{:?} came as what the server does not have: {text:?}", meta.origin.place))?;
            holds(checked.came.insert(same.name.clone()), || format!("{} came twice", same.name))?;
            checked.metas.push(meta);
        }
    }
}

impl Message {
    fn lies_at(&self, place: &Place) -> bool {
        match place {
            Place::Imap { mailbox, uidvalidity, uid } => {
                *mailbox == utf7::decode(self.mailbox.as_bytes()) && uidvalidity.0 == self.uidvalidity && uid.0 == self.uid
            }
            Place::Pop3 { uidl } => uidl.as_bytes() == self.uidl.as_bytes(),
            Place::Disk { .. } => false,
        }
    }
}

fn holds(so: bool, else_why: impl FnOnce() -> String) -> Judged<()> {
    if so { Ok(()) } else { Err(else_why()) }
}

/// Runs a command, its output into files, and ends it if it does not end; its exit status (-1: a signal's), and how long it took.
fn run_for(command: &mut Command, folder: &Path) -> (i32, Duration) {
    let file = |name: &str| File::create(folder.join(name)).unwrap();
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
    let running = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
    let longest = Timespec { tv_sec: LONGEST.as_secs().try_into().unwrap(), tv_nsec: 0 };
    if poll(&mut [PollFd::new(&running, PollFlags::IN)], Some(&longest)).unwrap() == 0 {
        child.kill().unwrap();
    }
    (child.wait().unwrap().code().unwrap_or(-1), began.elapsed())
}

/// Runs all cases, many at a time.
///
/// # Panics
/// If one is not as it must be, with what is wrong in each.
pub fn check_all(cases: Vec<Case>) {
    let count = cases.len();
    assert!(count > 0, "nothing to check");
    let queue = Mutex::new(VecDeque::from(cases));
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(case) = { queue.lock().unwrap().pop_front() } {
                    let mut checked = case.check();
                    for _ in 0..TRIES {
                        // On a busy machine a healthy server may not answer within the time-out, either.
                        if checked.as_ref().is_err_and(|why| why.contains(LATE)) {
                            checked = case.check();
                        }
                    }
                    if let Err(why) = checked {
                        wrong.lock().unwrap().push(format!("{}: {why}", case.name()));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    let shown = wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {count} cases are wrong:\n{shown}", wrong.len());
}
