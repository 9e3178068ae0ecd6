//! A run that writes to an archive is stopped dead at each of its steps, and each step is made to fail; then it is run again.
//!
//! The steps are those that the program counts itself (mdrop-safety(7)). That it counts all of them is shown by strace(1); crash.rs
//! disturbs the system calls without the program's help.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::writer::{self, Act, Scenario, copy_folder, list, quick_folder, recovers, scenarios};
use std::path::Path;

#[test]
fn a_writer_in_a_process_of_its_own() {
    writer::act();
}

/// Disturbs each step of each kind of run.
fn disturbed(wish: impl Fn(u64) -> String) {
    let folder = quick_folder();
    let mut count = 0;
    for scenario in scenarios() {
        let at = |name: &str| folder.path().join(name);
        let wanted = scenario.reference(&at("reference"));
        scenario.prepare(&at("before"));
        copy_folder_if_any(&at("before"), &at("listed"));
        let steps = list(scenario.act, &at("listed"), &scenario.input);
        for step in &steps {
            copy_folder_if_any(&at("before"), &at("disturbed"));
            let wish = wish(step.n);
            let ran = writer::run(scenario.act, &at("disturbed"), &scenario.input, Some(&wish));
            let what = format!("{}, {wish} ({step:?}): {}", scenario.name, ran.stderr);
            assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("bug"), "{what}");
            assert!(ran.code != 0 || complete(&scenario, ran.receipts().len()), "{what}");
            let again = recovers(&at("disturbed"), (scenario.act, &scenario.input), &ran.receipts(), &wanted);
            again.unwrap_or_else(|e| panic!("{what}: {e}"));
            std::fs::remove_dir_all(at("disturbed")).unwrap();
            count += 1;
        }
        ["reference", "before", "listed"].iter().for_each(|name| drop(std::fs::remove_dir_all(at(name))));
    }
    assert!(count > 200, "only {count} steps were disturbed");
}

/// A run that ends well has answered every message.
fn complete(scenario: &Scenario, receipts: usize) -> bool {
    matches!(scenario.act, Act::Purge) || receipts == common::tools::messages_of(&scenario.input).len()
}

fn copy_folder_if_any(from: &Path, to: &Path) {
    if from.exists() {
        copy_folder(from, to);
    }
}

#[test]
fn stopped_dead_at_any_step_and_run_again_everything_is_archived_once() {
    disturbed(|n| format!("stop={n}"));
}

#[test]
fn a_full_disk_at_any_step_loses_nothing() {
    disturbed(|n| format!("fail={n}:ENOSPC"));
}

#[test]
fn an_error_of_the_disk_at_any_step_loses_nothing() {
    disturbed(|n| format!("fail={n}:EIO"));
}

#[test]
fn a_quota_that_is_used_up_at_any_step_loses_nothing() {
    disturbed(|n| format!("fail={n}:EDQUOT"));
}
