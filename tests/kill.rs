//! Any stage of the pipeline is killed with -9 at any time; one more run, and everything is archived once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::served::Served;
use common::tools::{messages_of, path_of, run, shipped};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

fn tool(name: &str, profile: &Path, arguments: &[&str], stdin: Stdio, stdout: Stdio) -> Child {
    let mut command = Command::new(path_of(name));
    command.arg("-q").arg("-p").arg(profile).args(arguments).stdin(stdin).stdout(stdout).stderr(Stdio::null()).spawn().unwrap()
}

/// The pipeline; one of its stages is killed after some time, if `kill` says so. True if every stage ended well.
fn pipeline(scene: &Served, profile: &Path, kill: Option<(usize, Duration)>) -> bool {
    let known = run("mdrop-store", &["-p", profile.to_str().unwrap(), "--known"], b"").exits(0).stdout;
    let file = scene.folder.path().join("known");
    std::fs::write(&file, known).unwrap();
    let mut fetch = tool("mdrop-fetch", profile, &["--known", file.to_str().unwrap()], Stdio::null(), Stdio::piped());
    let mut route = tool("mdrop-route", profile, &[], fetch.stdout.take().unwrap().into(), Stdio::piped());
    let store = tool("mdrop-store", profile, &[], route.stdout.take().unwrap().into(), Stdio::null());
    let mut stages = [fetch, route, store];
    if let Some((stage, delay)) = kill {
        std::thread::sleep(delay);
        let _ = stages[stage].kill();
    }
    let ended: Vec<bool> = stages.iter_mut().map(|stage| stage.wait().unwrap().success()).collect();
    ended.into_iter().all(|well| well)
}

/// Each user's mail, as digests; nobody may have one twice.
fn end_state(profile: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let users = ["alice", "bob", "carol", "dave", "erin", "frank"].map(|name| format!("{name}@example.com"));
    let of = |user: String| {
        let ran = run("mdrop-cat", &["-p", profile.to_str().unwrap(), "--stream", "--user", &user], b"");
        let digests: Vec<String> = messages_of(&ran.stdout).into_iter().map(|(meta, _)| meta.digest.to_string()).collect();
        let distinct: BTreeSet<String> = digests.iter().cloned().collect();
        assert_eq!(distinct.len(), digests.len(), "{user} has a mail twice");
        (user, distinct)
    };
    users.into_iter().chain(["@catchall".to_owned()]).map(of).collect()
}

fn segments(archive: &Path) -> usize {
    walkdir::WalkDir::new(archive.join("catalog")).into_iter().flatten().filter(|entry| entry.file_type().is_file()).count()
}

fn killed_at_any_time(protocol: &str) {
    let scene = Served::new(shipped());
    let reference = scene.profile(protocol, "reference", "");
    let clock = std::time::Instant::now();
    assert!(pipeline(&scene, &reference, None));
    let usual = clock.elapsed();
    let wanted = end_state(&reference);
    assert!(wanted["alice@example.com"].len() > 10);
    let mut killed = 0;
    for round in 0..18_u32 {
        let name = format!("archive-{round}");
        let profile = scene.profile(protocol, &name, "");
        // Spread over the time that a run takes, each stage in turn.
        let delay = usual.mul_f64(f64::from(round * 7 % 18) / 18.0);
        killed += u32::from(!pipeline(&scene, &profile, Some((round as usize % 3, delay))));
        assert!(pipeline(&scene, &profile, None), "round {round}: the next run ends well");
        assert!(end_state(&profile) == wanted, "round {round}: everybody has exactly what an undisturbed run gives them");
        run("mdrop-check", &["-p", profile.to_str().unwrap()], b"").exits(0);
        let before = segments(&scene.folder.path().join(&name));
        assert!(pipeline(&scene, &profile, None));
        assert_eq!(segments(&scene.folder.path().join(&name)), before, "round {round}: once more, and nothing changes");
    }
    assert!(killed >= 6, "only {killed} runs were caught alive");
    let changing = ["IMAP SELECT", "IMAP STORE", "IMAP UID STORE", "IMAP EXPUNGE", "POP3 DELE"];
    let changes = |command: &String| changing.iter().any(|verb| command.starts_with(verb));
    assert_eq!(scene.server.commands().into_iter().find(changes), None);
}

#[test]
fn any_stage_killed_at_any_time_over_imap_costs_nothing_but_time() {
    killed_at_any_time("imap");
}

#[test]
fn any_stage_killed_at_any_time_over_pop3_costs_nothing_but_time() {
    killed_at_any_time("pop3");
}
