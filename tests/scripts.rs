//! scripts/mdrop-archive against a mail server of our own: the whole process, and what becomes of it when a stage does not do its part.
//!
//! A stage that misbehaves is a shell script of that stage's name, in a folder of tools that are otherwise the real ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "mailserver/server.rs"]
mod mailserver;

use mailserver::{Config, Faults, Mailbox, Running};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const TOOLS: [&str; 5] = ["mdrop-fetch", "mdrop-route", "mdrop-store", "mdrop-purge", "mdrop-report"];

struct Scene {
    folder: tempfile::TempDir,
    server: Running,
    all: usize,
}

impl Scene {
    fn new() -> Self {
        let messages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
        let mailbox = Mailbox::from_dir("INBOX", 7, &messages).unwrap();
        let all = mailbox.uids().len();
        let config = Config { user: "u".into(), password: "pw".into(), imap: Some(0), mailboxes: vec![mailbox], ..Config::default() };
        let scene = Self { folder: tempfile::tempdir().unwrap(), server: mailserver::start(config).unwrap(), all };
        fs::copy(messages.join("users.toml"), scene.path("users.toml")).unwrap();
        scene.write_private("password", "pw\n");
        scene.write_profile("");
        fs::create_dir(scene.path("bin")).unwrap();
        let real = Path::new(env!("CARGO_BIN_EXE_mdrop-fetch")).parent().unwrap();
        for tool in TOOLS {
            symlink(real.join(tool), scene.path("bin").join(tool)).unwrap();
        }
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_private(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn write_profile(&self, more: &str) {
        let port = self.server.imap_addr.unwrap().port();
        let account = format!("[account]\nprotocol = \"imap\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nusername = \"u\"\n");
        let route =
            "[route]\ndomains = [\"example.com\", \"example.org\"]\nusers = \"users.toml\"\nown-addresses = [\"archive@example.com\"]\n";
        let text = format!("{account}password-file = \"password\"\n{route}[store]\narchive = \"archive\"\n{more}");
        self.write_private("acme.toml", &text);
    }

    /// Puts a script in a tool's place; `$real` is the tool.
    fn fake(&self, tool: &str, script: &str) {
        let path = self.path("bin").join(tool);
        let real = fs::canonicalize(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, format!("#!/bin/bash\nreal={}\n{script}\n", real.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn restore(&self, tool: &str) {
        fs::remove_file(self.path("bin").join(tool)).unwrap();
        let real = Path::new(env!("CARGO_BIN_EXE_mdrop-fetch")).parent().unwrap();
        symlink(real.join(tool), self.path("bin").join(tool)).unwrap();
    }

    fn start(&self, arguments: &[&str]) -> Child {
        // Whoever started the tests may ignore signals (nohup does), which a shell could then not catch.
        let mut command = Command::new("env");
        command.arg("--default-signal=INT,TERM,HUP").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/mdrop-archive"));
        command.args(arguments).arg(self.path("acme.toml")).env("STATE_DIRECTORY", self.path("state")).env("MDROP_BIN", self.path("bin"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn archive(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.start(arguments).wait_with_output().unwrap())
    }

    fn runs(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.path("state/acme")) else { return Vec::new() };
        let mut runs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
        runs.sort();
        runs
    }

    /// The names in the newest run folder.
    fn files(&self) -> Vec<String> {
        let run = self.runs().pop().unwrap();
        let mut names: Vec<String> = fs::read_dir(run).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

struct Ran {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |octets| String::from_utf8(octets).unwrap();
        Self { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{}{}", self.out, self.err);
        self
    }

    /// How many messages the report counts under a word.
    #[track_caller]
    fn counts(&self, number: usize, word: &str) {
        let line = self.out.lines().find(|line| line.ends_with(&format!("  {word}"))).unwrap_or_else(|| panic!("{word}: {}", self.out));
        assert_eq!(line.split_whitespace().next(), Some(number.to_string().as_str()), "{line}");
    }
}

#[test]
fn a_mailbox_is_archived_once_and_the_second_run_does_nothing() {
    let scene = Scene::new();
    let first = scene.archive(&[]).exits(0);
    first.counts(scene.all, "fetched");
    assert!(first.out.contains("the books balance") && first.out.contains("head: segment 1"), "{}", first.out);
    let logs = [
        "fetch.log",
        "moved.jsonl",
        "moves.log",
        "purge.log",
        "purged.jsonl",
        "receipts.jsonl",
        "report.txt",
        "route.log",
        "run.log",
        "store.log",
    ];
    assert_eq!(scene.files(), logs);
    let second = scene.archive(&[]).exits(0);
    for word in ["fetched", "new", "purged"] {
        second.counts(0, word);
    }
    second.counts(scene.all, "archived already");
    assert_eq!((second.err.as_str(), scene.server.uids("INBOX").len()), ("", scene.all));
}

#[test]
fn run_folders_are_private_and_only_the_newest_thirty_stay() {
    let scene = Scene::new();
    for n in 0..40 {
        fs::create_dir_all(scene.path(&format!("state/acme/202001{:02}T000000Z.abcdef/sub", n + 1))).unwrap();
    }
    fs::create_dir(scene.path("state/acme/keep-me")).unwrap();
    scene.archive(&["-q"]).exits(0);
    let runs = scene.runs();
    assert_eq!(runs.len(), 31, "thirty runs, and a folder that is none: {runs:?}");
    assert!(scene.path("state/acme/keep-me").exists() && scene.path("state/acme/20200140T000000Z.abcdef").exists());
    let newest = &runs[29];
    assert_eq!(fs::metadata(newest).unwrap().permissions().mode() & 0o777, 0o700);
    let receipts = fs::metadata(newest.join("receipts.jsonl")).unwrap();
    assert_eq!(receipts.permissions().mode() & 0o777, 0o600);
}

#[test]
fn quiet_is_silent_on_success_and_reports_a_failure() {
    let mut scene = Scene::new();
    let good = scene.archive(&["-q"]).exits(0);
    assert_eq!((good.out.as_str(), good.err.as_str()), ("", ""));
    let config = Config { user: "u".into(), password: "other".into(), imap: Some(0), ..Config::default() };
    scene.server = mailserver::start(config).unwrap();
    scene.write_profile("");
    let bad = scene.archive(&["-q"]).exits(77);
    assert!(bad.out.contains("mdrop-fetch 0.1.0: login or permission refused"), "{}", bad.out);
}

#[test]
fn a_dry_run_lists_and_leaves_no_trace() {
    let scene = Scene::new();
    let dry = scene.archive(&["-n"]).exits(0);
    assert!(dry.out.contains(r#""type":"listing""#), "{}", dry.out);
    assert!(scene.runs().is_empty() && !scene.path("archive").exists());
}

#[test]
fn a_second_run_of_one_profile_leaves_with_75_and_says_so() {
    let scene = Scene::new();
    fs::create_dir_all(scene.path("state/acme")).unwrap();
    let lock = fs::File::create(scene.path("state/acme/lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let ran = scene.archive(&[]).exits(75);
    assert_eq!(ran.err, "mdrop-archive: acme: another run is still going on; this one leaves\n");
    drop(lock);
    scene.archive(&["-q"]).exits(0);
}

#[test]
fn what_moved_is_reported_and_a_failure_to_find_out_is_one_of_the_run() {
    let scene = Scene::new();
    scene.archive(&["-q"]).exits(0);
    scene.server.with_mailboxes(|all| all.push(Mailbox::new("Old", 8)));
    let message = scene.server.with_mailbox("INBOX", |inbox| inbox.take(3)).flatten().unwrap();
    scene.server.with_mailbox("Old", |old| old.put(message));
    scene.fake("mdrop-store", r#"[[ "$*" = *--moves* ]] && exit 74; exec "$real" "$@""#);
    let failed = scene.archive(&[]).exits(74);
    assert!(failed.out.contains("mdrop-store --moves: no summary"), "{}", failed.out);
    scene.restore("mdrop-store");
    let moved = scene.archive(&[]).exits(0);
    moved.counts(1, "moved: stands elsewhere on the server");
    assert!(moved.out.contains("mdrop-store --moves 0."), "{}", moved.out);
    assert!(!scene.archive(&[]).exits(0).out.contains("moved: "));
}

#[test]
fn a_signal_reaches_the_stages_and_the_next_run_goes_on() {
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT, rustix::process::Signal::HUP] {
        let scene = Scene::new();
        scene.server.set_faults(Faults { stall_at_message: Some(50), stall: Duration::from_secs(5), ..Faults::default() });
        let child = scene.start(&[]);
        let began = Instant::now();
        while !scene.server.commands().iter().any(|command| command.contains("FETCH") && command.contains("BODY.PEEK")) {
            assert!(began.elapsed() < Duration::from_secs(20), "nothing is fetched");
            std::thread::sleep(Duration::from_millis(20));
        }
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, signal).unwrap();
        let ran = Ran::of(child.wait_with_output().unwrap()).exits(75);
        assert!(ran.out.contains("mdrop-store 0.1.0"), "the store ends with a summary: {}", ran.out);
        assert!(!scene.files().iter().any(|name| name == "fetched" || name == "routed"), "{:?}", scene.files());
        scene.server.set_faults(Faults::default());
        let next = scene.archive(&[]).exits(0);
        assert!(next.out.contains(&format!("the books balance: {} listed", scene.all)), "{}", next.out);
        scene.archive(&[]).exits(0).counts(0, "fetched");
    }
}

#[test]
fn a_stage_killed_is_temporary_and_a_crash_is_a_fault() {
    let scene = Scene::new();
    for (signal, status) in [("KILL", 75), ("TERM", 75), ("SEGV", 70), ("ABRT", 70)] {
        scene.fake("mdrop-route", &format!("ulimit -c 0; kill -{signal} $$"));
        let ran = scene.archive(&[]).exits(status);
        assert!(ran.out.contains("killed by signal") && ran.out.contains("mdrop-route left no summary"), "{}", ran.out);
        scene.restore("mdrop-route");
    }
    scene.archive(&[]).exits(0).counts(scene.all, "fetched");
}

#[test]
fn the_cause_counts_and_not_the_broken_pipe_it_makes() {
    let scene = Scene::new();
    scene.write_private("users.toml", "[[usr]]\nname = \"x\"\n");
    scene.fake("mdrop-store", r#"[[ "$*" = *--known* ]] && exit 0; exec "$real" "$@""#);
    scene.archive(&["-q"]).exits(78);
}

#[test]
fn nothing_is_fetched_when_the_archive_cannot_say_what_it_knows() {
    let scene = Scene::new();
    scene.fake("mdrop-store", r#"[[ "$*" = *--known* ]] && exit 65; exec "$real" "$@""#);
    let ran = scene.archive(&[]).exits(65);
    assert!(ran.out.contains("mdrop-store --known: bad data"), "{}", ran.out);
    assert!(scene.server.commands().is_empty());
}

#[test]
fn a_message_lost_in_a_stage_is_found_by_the_books() {
    let scene = Scene::new();
    scene.fake("mdrop-route", r#""$real" "$@" >/dev/null"#);
    let ran = scene.archive(&["-q"]).exits(65);
    let gap = format!("mdrop-store had {0} messages and accounts for 0: {0} are unaccounted for", scene.all);
    assert!(ran.err.contains(&gap) && ran.out.contains("the books do not balance"), "{}{}", ran.err, ran.out);
}

#[test]
fn purging_follows_the_profile_and_is_left_out_after_a_failure_of_this_machine() {
    let scene = Scene::new();
    scene.write_profile("[purge]\nenabled = true\nafter = \"0d\"\n");
    scene.fake("mdrop-route", "cat >/dev/null; exit 74");
    scene.archive(&["-q"]).exits(74);
    assert!(!scene.files().iter().any(|name| name == "purge.log"), "{:?}", scene.files());
    scene.restore("mdrop-route");
    assert_eq!(scene.server.uids("INBOX").len(), scene.all);
    scene.archive(&[]).exits(0).counts(scene.all, "purged");
    assert_eq!(scene.server.uids("INBOX").len(), 0);
    scene.archive(&[]).exits(0).counts(0, "purged");
}

#[test]
fn a_wrong_command_line_is_64_and_a_profile_that_is_not_there_66() {
    let scene = Scene::new();
    scene.archive(&["--frobnicate"]).exits(64);
    scene.archive(&["another-profile"]).exits(64);
    let help = scene.archive(&["-h"]).exits(0);
    assert!(help.out.starts_with("usage: mdrop-archive"));
    fs::remove_file(scene.path("acme.toml")).unwrap();
    scene.archive(&["-q"]).exits(66);
}
