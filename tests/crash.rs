//! mdrop-store is killed at every step that touches the disk, and each of these steps is made to fail; then it is run again.
//!
//! strace(1) counts the system calls and injects the kill or the error, so that the program itself knows nothing of the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "common/tools.rs"]
#[allow(dead_code)]
mod tools;

use mdrop::record::Outcome;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use tools::{Ran, message, messages_of, run, run_command, stream};

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
        let messages = if ran.code == Some(66) { Vec::new() } else { messages_of(&ran.exits(0).stdout) };
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
    command.args(["-f", "-qq", "-o", trace.to_str().unwrap()]).arg(format!("--trace={call}")).arg(format!("--inject={call}:{fault}:when={step}"));
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
            steps += (1..).take_while(disturbed).count();
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
    assert!(ran.code != Some(0) || receipted.len() == 2, "{what}");
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
