//! mdrop-store is killed at every step that touches the disk, and each of these steps is made to fail; then it is run again.
//!
//! strace(1) counts the system calls and injects the kill or the error, so that the program itself knows nothing of the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tools::{self, Ran, message, messages_of, run, run_command, stream};
use mdrop::record::Outcome;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Every system call by which the tools make, name, sync and remove files.
const CALLS: [&str; 10] = ["fsync", "fdatasync", "linkat", "rename", "renameat2", "unlink", "unlinkat", "mkdirat", "flock", "ftruncate"];

fn mail(n: u32) -> Vec<u8> {
    format!("Date: Mon\r\nMessage-ID: <{n}@example.org>\r\nSubject: {n}\r\n\r\nmail {n}\r\n").into_bytes()
}

/// What an archive holds for each user, as digests.
type EndState = BTreeMap<&'static str, BTreeSet<String>>;

fn end_state(archive: &Path) -> EndState {
    let of = |user: &'static str| {
        let ran = run("mdrop-cat", &["--archive", archive.to_str().unwrap(), "--stream", "--user", user], b"");
        let messages = if ran.code == 66 { Vec::new() } else { messages_of(&ran.exits(0).stdout) };
        let digests: Vec<String> = messages.iter().map(|(meta, _)| meta.digest.to_string()).collect();
        let distinct: BTreeSet<String> = digests.iter().cloned().collect();
        assert_eq!(distinct.len(), digests.len(), "{user} has a mail twice");
        (user, distinct)
    };
    ["alice@example.com", "bob@example.com", "@catchall"].map(of).into()
}

/// Two runs' worth of mail: the second has a duplicate of the first, a copy for another user, and new mail.
fn streams() -> [Vec<u8>; 2] {
    let first = [message(1, &mail(1), &["alice@example.com"]), message(2, &mail(2), &["bob@example.com"])];
    let second = [message(3, &mail(1), &["bob@example.com"]), message(4, &mail(4), &["alice@example.com", "bob@example.com"])];
    [stream(&first), stream(&second)]
}

fn store(archive: &Path, input: &[u8]) -> Ran {
    run("mdrop-store", &["--archive", archive.to_str().unwrap()], input)
}

/// Runs mdrop-store with `fault` at its `step`th `call`; false if it made fewer of them.
fn store_with_fault(archive: &Path, input: &[u8], fault: &str, call: &str, step: u32) -> (Ran, bool) {
    let trace = archive.with_extension("trace");
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-o", trace.to_str().unwrap()])
        .arg(format!("--trace={call}"))
        .arg(format!("--inject={call}:{fault}:when={step}"));
    command.arg(tools::path_of("mdrop-store")).arg("--archive").arg(archive);
    let ran = run_command(&mut command, input);
    let traced = std::fs::read_to_string(&trace).expect("strace is needed for this test: scripts/check installs it");
    let reached = traced.contains("INJECTED") || traced.contains("killed by SIGKILL");
    (ran, reached)
}

/// An archive that had an undisturbed first run, so that the second one is disturbed, or nothing yet.
fn disturbed_at_every_step(fault: &str) {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = streams();
    let reference = folder.path().join("reference");
    store(&reference, &first).exits(0);
    let after_first = end_state(&reference);
    store(&reference, &second).exits(0);
    let after_both = end_state(&reference);
    let mut steps = 0;
    for (before, input, wanted) in [(None, &first, &after_first), (Some(&first), &second, &after_both)] {
        for call in CALLS {
            let archive = |step: u32| folder.path().join(format!("{}-{call}-{step}", before.is_some()));
            let disturbed = |step: &u32| disturb(&archive(*step), before, input, wanted, (fault, call, *step));
            steps += (1..1000).take_while(disturbed).count();
        }
    }
    assert!(steps > 50, "only {steps} steps were disturbed");
}

/// Disturbs one step of a run, runs it again, and demands the undisturbed end state; false if there is no such step.
fn disturb(archive: &Path, before: Option<&Vec<u8>>, input: &[u8], wanted: &EndState, (fault, call, step): (&str, &str, u32)) -> bool {
    before.into_iter().for_each(|before| drop(store(archive, before).exits(0)));
    let (ran, reached) = store_with_fault(archive, input, fault, call, step);
    if !reached {
        return false;
    }
    let what = format!("{fault} at {call} {step}, {} run: {}", if before.is_some() { "second" } else { "first" }, ran.stderr);
    assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("bug"), "{what}");
    let receipted: BTreeSet<String> = ran.receipts().iter().map(|receipt| receipt.digest.to_string()).collect();
    assert!(ran.code != 0 || receipted.len() == 2, "{what}");
    let again = store(archive, input).exits(0).receipts();
    let mut stored_again = again.iter().filter(|receipt| receipt.outcome == Outcome::New).map(|receipt| receipt.digest.to_string());
    assert!(stored_again.all(|digest| !receipted.contains(&digest)), "had a receipt and was lost: {what}");
    assert_eq!(&end_state(archive), wanted, "{what}");
    run("mdrop-check", &["--archive", archive.to_str().unwrap()], b"").exits(0);
    let files = || walkdir::WalkDir::new(archive.join("catalog")).into_iter().count();
    let before_third = files();
    store(archive, input).exits(0);
    assert_eq!(files(), before_third, "once more, and nothing changes: {what}");
    std::fs::remove_dir_all(archive).unwrap();
    true
}

#[test]
fn killed_at_any_step_and_run_again_everything_is_archived_once() {
    disturbed_at_every_step("signal=KILL");
}

#[test]
fn a_full_disk_at_any_step_loses_nothing() {
    disturbed_at_every_step("error=ENOSPC");
}

#[test]
fn an_error_of_the_disk_at_any_step_loses_nothing() {
    disturbed_at_every_step("error=EIO");
}

/// The calls of a kind in a trace, without those of the index, which SQLite makes, of the list itself, and of what is only read.
fn calls(trace: &str, names: &[&str]) -> usize {
    let own = |line: &&str| !line.contains("/cache") && !line.contains(".list") && !line.contains("= -1 ");
    let of =
        |line: &&str| names.iter().any(|name| line.split_whitespace().nth(1).is_some_and(|call| call.starts_with(&format!("{name}("))));
    trace.lines().filter(own).filter(of).count()
}

#[test]
fn each_call_that_changes_the_disk_is_a_numbered_step() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, list) = (folder.path().join("archive"), folder.path().join("steps.list"));
    let trace = archive.with_extension("trace");
    for input in streams() {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-y", "-o", trace.to_str().unwrap()]);
        command.args([
            "-e",
            "trace=fsync,fdatasync,sync,syncfs,sync_file_range,/^link,/^rename,/^unlink,rmdir,/^mkdir,/^open,creat,truncate,ftruncate",
        ]);
        command.arg(tools::path_of("mdrop-store")).arg("--archive").arg(&archive).env("MDROP_STEPS", format!("list={}", list.display()));
        run_command(&mut command, &input).exits(0);
        let traced = std::fs::read_to_string(&trace).unwrap();
        let listed = common::writer::read_list(&list);
        let own = |step: &&common::writer::Listed| step.objects.iter().all(|object| !object.to_str().unwrap().contains("/cache"));
        let steps = |names: &[&str]| listed.iter().filter(own).filter(|step| names.contains(&step.name.as_str())).count();
        let made: Vec<&str> = traced.lines().filter(|line| line.contains("O_CREAT") || line.contains("O_TMPFILE")).collect();
        let created = made.join("\n");
        let locks = listed.iter().filter(|step| step.name == "lock" && step.objects[0].ends_with("lock")).count();
        assert_eq!(calls(&traced, &["fsync", "fdatasync"]), steps(&["sync", "sync-folder"]), "{traced}");
        assert_eq!(calls(&traced, &["link", "linkat"]), steps(&["link"]), "{traced}");
        assert_eq!(calls(&traced, &["mkdir", "mkdirat"]), steps(&["make-folder"]), "{traced}");
        assert_eq!(calls(&traced, &["unlink", "unlinkat", "rmdir"]), steps(&["remove", "remove-folder"]), "{traced}");
        assert_eq!(calls(&created, &["open", "openat", "creat"]), steps(&["create"]) + locks, "{traced}");
        assert_eq!(calls(&traced, &["rename", "renameat", "renameat2", "truncate", "ftruncate", "sync", "syncfs"]), 0, "{traced}");
        std::fs::remove_file(&list).unwrap();
    }
}
