//! Runs that write to an archive, to be disturbed: mdrop-store, and what no tool does in a small run, in a process of the test's own program.
//!
//! A test that uses them has a test of the name [`NAME`], which calls [`act`].

use super::audit::{Audit, audit, numbered};
use super::tools::{Ran, message, path_of, run_command, stream};
use mdrop::archive::commit::Writer;
use mdrop::archive::pipeline::Pipeline;
use mdrop::archive::{Archive, Arrival, Learner};
use mdrop::durable::{Step, step};
use mdrop::error::Result;
use mdrop::record::{Purge, Purged, Receipt, Record, V1};
use mdrop::spool::Spool;
use mdrop::stream::{Meta, StreamReader};
use mdrop::time::Time;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The test that becomes a writer.
pub const NAME: &str = "a_writer_in_a_process_of_its_own";
const ACT: &str = "MDROP_TEST_ACT";

/// What a run does.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// mdrop-store.
    Store,
    /// The same, but with a commit for so many messages each.
    Commits(usize),
    /// Records, for each message of the stream that is known, that its copy was purged.
    Purge,
}

/// A mail that is no other's.
pub fn mail(n: u32) -> Vec<u8> {
    format!("Date: Mon\r\nMessage-ID: <{n}@example.org>\r\nSubject: {n}\r\n\r\nmail {n}\r\n").into_bytes()
}

/// A copy of a mail that came another way.
pub fn copy(n: u32, to: &str) -> Vec<u8> {
    [format!("Delivered-To: {to}\r\n").as_bytes(), &mail(n)].concat()
}

/// Mail with a stream of its own; `of` are the numbers of its origin and mail, and for whom it is.
pub fn mails(of: &[(u32, u32, &str)]) -> Vec<u8> {
    stream(&of.iter().map(|(uid, n, to)| message(*uid, &mail(*n), &[to])).collect::<Vec<_>>())
}

/// A command that does it to the archive.
pub fn command(act: Act, archive: &Path) -> Command {
    if let Act::Store = act {
        let mut command = Command::new(path_of("mdrop-store"));
        command.arg("-q").arg("--archive").arg(archive);
        return command;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    let what = if let Act::Commits(size) = act { size } else { 0 };
    command.args(["--exact", NAME, "--nocapture"]).env(ACT, format!("{what} {}", archive.display()));
    command
}

/// Does it, with a wish for `MDROP_STEPS`.
pub fn run(act: Act, archive: &Path, input: &[u8], steps: Option<&str>) -> Ran {
    let mut command = command(act, archive);
    command.envs(steps.map(|steps| ("MDROP_STEPS", steps)));
    let mut ran = run_command(&mut command, input);
    // What the test's own program says of itself is no record.
    ran.stdout = ran.stdout.split_inclusive(|octet| *octet == b'\n').filter(|line| line.starts_with(b"{")).collect::<Vec<_>>().concat();
    ran
}

/// In a process that was started as a writer: what it was started for. In any other: nothing.
pub fn act() {
    let Ok(what) = std::env::var(ACT) else { return };
    let (size, archive) = what.split_once(' ').unwrap();
    let done = match size.parse().unwrap() {
        0 => purge(Path::new(archive)),
        size => commits(Path::new(archive), size),
    };
    if let Err(error) = done {
        eprintln!("{error}");
        std::process::exit(i32::from(error.status().code()));
    }
    std::process::exit(0);
}

fn arrivals() -> Result<Vec<(Arrival, Spool)>> {
    let mut reader = StreamReader::new(std::io::stdin());
    let mut all = Vec::new();
    loop {
        let (mut encoded, mut learner) = (Spool::new(1 << 20), Learner::default());
        match reader.read(&mut encoded, &mut learner).map_err(mdrop::stream::ReadError::into_error)? {
            Some(meta) => all.push((learner.finish(meta), encoded)),
            None => return Ok(all),
        }
    }
}

fn commits(archive: &Path, size: usize) -> Result<()> {
    let writer = Writer::new(Archive::open_or_create(archive, None)?, "a test")?;
    let mut pipeline = Pipeline::start(writer, Archive::open(archive, None)?);
    for (n, (arrival, encoded)) in arrivals()?.into_iter().enumerate() {
        if n > 0 && n % size == 0 {
            pipeline.commit();
            pipeline.answers()?.map_or(Ok(()), |answers| print(&answers))?;
        }
        pipeline.add(arrival, encoded)?;
    }
    pipeline.commit();
    while let Some(answers) = pipeline.wait()? {
        print(&answers)?;
    }
    pipeline.finish().map(drop)
}

fn print(answers: &[Record]) -> Result<()> {
    step(Step::Answer, &[], answers.len() as u64)?;
    let lines: Vec<Vec<u8>> = answers.iter().map(Record::to_line).collect::<Result<_>>()?;
    Ok(std::io::stdout().write_all(&[b"\n", lines.concat().as_slice()].concat())?)
}

fn purge(archive: &Path) -> Result<()> {
    let mut writer = Writer::new(Archive::open(archive, None)?, "a test")?;
    for (arrival, _) in arrivals()? {
        let Meta { origin, digest, .. } = arrival.meta;
        if writer.archive().index.origin(&origin)?.is_some_and(|state| state.state != mdrop::archive::index::State::Purged) {
            let (server, by, time) = ("host:993".into(), "a test".into(), Time::now());
            let purge = Purge { v: V1, origin, digest, time, server, by, outcome: Purged::Purged, why: None };
            writer.record(&[Record::Purge(Box::new(purge))])?;
        }
    }
    Ok(())
}

/// A kind of run: what lies there before, and what is done then.
pub struct Scenario {
    pub name: &'static str,
    /// Runs on the way to it, each with what it reads, and whether it is stopped when its pack has its number.
    pub before: Vec<(Act, Vec<u8>, bool)>,
    pub act: Act,
    pub input: Vec<u8>,
    /// What is done to the archive's files last, without a tool.
    pub then: fn(&Path),
}

/// The kinds of runs.
pub fn scenarios() -> Vec<Scenario> {
    let (alice, bob) = ("alice@example.com", "bob@example.com");
    let first = mails(&[(1, 1, alice), (2, 2, bob)]);
    let copies = [message(3, &mail(1), &[bob]), message(4, &mail(4), &[alice, bob]), message(5, &copy(4, bob), &[bob])];
    let second = stream(&copies);
    let nothing: fn(&Path) = |_| {};
    let scenario = |name, before, act, input: &Vec<u8>, then| Scenario { name, before, act, input: input.clone(), then };
    let after_first = || vec![(Act::Store, first.clone(), false)];
    vec![
        scenario("first run", vec![], Act::Store, &first, nothing),
        scenario("second run", after_first(), Act::Store, &second, nothing),
        scenario("adoption", vec![(Act::Store, first.clone(), false), (Act::Store, second.clone(), true)], Act::Store, &second, nothing),
        scenario("purge", after_first(), Act::Purge, &first, nothing),
        scenario("several commits", after_first(), Act::Commits(1), &second, nothing),
        scenario("index missing", after_first(), Act::Store, &second, |archive| std::fs::remove_dir_all(archive.join("cache")).unwrap()),
        scenario("index corrupt", after_first(), Act::Store, &second, |archive| {
            std::fs::write(archive.join("cache/index.sqlite"), [b'x'; 9000]).unwrap();
        }),
    ]
}

impl Scenario {
    /// Makes what lies there before.
    pub fn prepare(&self, archive: &Path) {
        for (act, input, stopped) in &self.before {
            if *stopped {
                orphan(*act, archive, input, None);
            } else {
                run(*act, archive, input, None).exits(0);
            }
        }
        (self.then)(archive);
    }

    /// What an undisturbed run leaves.
    pub fn reference(&self, archive: &Path) -> Audit {
        self.prepare(archive);
        run(self.act, archive, &self.input, None).exits(0);
        audit(archive).unwrap()
    }
}

/// Stops a run when its pack has its number and its segment has none, before the number is synced; its steps are listed too, if wanted.
pub fn orphan(act: Act, archive: &Path, input: &[u8], to: Option<&Path>) -> Ran {
    let twin = archive.with_extension("twin");
    if archive.exists() {
        copy_folder(archive, &twin);
    }
    let steps = list(act, &twin, input);
    std::fs::remove_dir_all(&twin).unwrap();
    let linked = steps.iter().find(|step| step.name == "link" && step.objects[1].to_str().unwrap().contains("/packs/")).unwrap();
    let to = to.map(|file| format!(",list={}", file.display())).unwrap_or_default();
    let ran = run(act, archive, input, Some(&format!("stop={}{to}", linked.n + 1)));
    assert_eq!(ran.code, -1, "{}", ran.stderr);
    ran
}

/// A step as `MDROP_STEPS` lists it.
#[derive(Clone, PartialEq, Debug, serde::Deserialize)]
pub struct Listed {
    pub n: u64,
    #[serde(rename = "step")]
    pub name: String,
    pub objects: Vec<PathBuf>,
    pub octets: u64,
}

/// The steps of an undisturbed run.
pub fn list(act: Act, archive: &Path, input: &[u8]) -> Vec<Listed> {
    let file = archive.with_extension("list");
    run(act, archive, input, Some(&format!("list={}", file.display()))).exits(0);
    let steps = read_list(&file);
    std::fs::remove_file(file).unwrap();
    steps
}

/// The steps in a list.
pub fn read_list(file: &Path) -> Vec<Listed> {
    std::fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Demands what holds after any disturbance: what had a receipt is there; the same run again ends well, in the same state and a
/// clean check; and once more nothing changes.
pub fn recovers(archive: &Path, (act, input): (Act, &[u8]), receipts: &[Receipt], wanted: &Audit) -> std::result::Result<(), String> {
    let now = audit(archive)?;
    if let Some(lost) = receipts.iter().find(|receipt| !now.has(receipt)) {
        return Err(format!("{} had a receipt and is lost", lost.origin));
    }
    let ended_well = |ran: Ran, what: &str| if ran.code == 0 { Ok(()) } else { Err(format!("{what}: {}: {}", ran.code, ran.stderr)) };
    ended_well(run(act, archive, input, None), "run again")?;
    if audit(archive)? != *wanted {
        return Err(format!("another end state: {:#?}", audit(archive)?));
    }
    let check = run_command(Command::new(path_of("mdrop-check")).arg("-q").arg("--archive").arg(archive), b"");
    if !check.stdout.is_empty() {
        return Err(format!("mdrop-check finds: {}", check.text()));
    }
    ended_well(check, "mdrop-check")?;
    let segments = numbered(archive, "catalog").len();
    ended_well(run(act, archive, input, None), "once more")?;
    let after = numbered(archive, "catalog").len();
    if after == segments { Ok(()) } else { Err(format!("once more, and there are {after} segments in place of {segments}")) }
}

/// A folder in memory, where that can be had: what is tested here is order, not the disk.
pub fn quick_folder() -> tempfile::TempDir {
    let shm = Path::new("/dev/shm");
    if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.unwrap()
}

/// Copies a folder.
pub fn copy_folder(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            // What others may read is a finding.
            std::fs::set_permissions(&target, entry.metadata().unwrap().permissions()).unwrap();
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
