//! What mdrop-archive(5) promises is tested: each of its lines that says never, always, only, must, no or nothing stands here, with the tests that
//! would fail if it were no longer so.
//!
//! A promise without a test is withdrawn one day without anybody's noticing. So a line that is added needs a row, and a row needs its line and its
//! tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tools::{message, path_of, run, run_command, stream};
use rustix::fs::FlockOperation;
use std::collections::BTreeSet;
use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// Part of a line of the page, and tests by their names.
const PROMISES: [(&str, &[&str]); 25] = [
    ("It is the only state that mdrop has", &["over_imap_every_message_is_archived_then_nothing_is_new_then_all_is_purged"]),
    (
        "it can be deleted whenever no tool runs",
        &["the_index_can_be_thrown_away_or_damaged_at_any_time", "an_index_that_is_made_anew_has_the_rows_of_the_one_that_was_kept"],
    ),
    (".Ss What never changes", &["no_run_changes_a_file_that_has_appeared"]),
    (
        "No pack and no segment is changed or replaced",
        &[
            "no_run_changes_a_file_that_has_appeared",
            "every_frozen_archive_is_written_on_and_nothing_in_it_changes",
            "durable_alone_makes_and_removes_files",
        ],
    ),
    ("A frame has whole messages only", &["a_receipt_says_where_plain_zstd_finds_the_message"]),
    ("line in a pack has only the origin", &["a_pack_says_of_a_message_where_it_came_from_and_nothing_of_whom_it_was_for"]),
    ("A frame has whole lines only", &["a_receipt_is_read_back_from_the_one_frame_of_the_catalog_in_which_it_stands"]),
    ("The end of the chain is vouched for by nothing", &["the_chain_can_be_followed_and_all_mail_is_one_mbox"]),
    ("A commit with nothing new has no pack", &["one_message_at_two_places_is_stored_once", "a_second_run_records_nothing"]),
    (
        "Only if its pack is gone, or shorter",
        &[
            "a_message_whose_pack_is_gone_is_no_longer_known_and_is_stored_anew",
            "a_pack_that_was_cut_off_is_not_known_and_its_messages_are_stored_anew",
        ],
    ),
    ("could not be read proves nothing", &["what_was_not_looked_at_is_not_gone", "some_of_the_names_prove_no_mailbox_gone"]),
    (
        "that differ only in how they travelled",
        &["the_fingerprint_is_blake3_without_exactly_the_trace_fields", "copies_for_many_users_are_one_mail_for_each_and_share_a_frame"],
    ),
    ("Only LF ends a line", &["the_fingerprint_is_blake3_without_exactly_the_trace_fields"]),
    (
        "Nothing else in the archive says so",
        &["a_stranger_cuts_the_inner_message_out_with_zstd_and_jq", "of_journal_reports_the_mail_inside_comes_out"],
    ),
    ("records a place only if it lies in the report", &["a_report_whose_inner_message_is_not_where_it_is_said_to_be_is_archived_as_it_is"]),
    ("and says nothing of its origin", &["a_report_that_was_stored_as_a_plain_message_takes_its_filings_along_once_it_is_known_for_one"]),
    ("In base64 white space means nothing", &["base64_is_decoded_and_anything_else_in_it_refused"]),
    ("in quoted-printable blanks and tabs", &["quoted_printable_is_decoded_and_anything_else_in_it_refused"]),
    (
        "Any other deviation from RFC 2045",
        &["base64_is_decoded_and_anything_else_in_it_refused", "quoted_printable_is_decoded_and_anything_else_in_it_refused"],
    ),
    ("Behind a frame that cannot be decompressed", &["a_damaged_frame_costs_an_adopted_pack_only_its_own_messages"]),
    ("and nothing is stored twice", &["a_pack_without_a_segment_is_adopted_and_the_next_fetch_files_it_rightly"]),
    ("cannot be written,", &["the_index_of_an_archive_that_cannot_be_written_lies_in_the_users_cache"]),
    (
        "All writers must see each other's locks",
        &[
            "four_writers_at_once_store_each_message_once",
            "four_writers_that_are_killed_at_any_step_never_leave_a_segment_whose_pack_is_not_there",
        ],
    ),
    (
        "Nothing else in the archive is ever removed",
        &["durable_alone_makes_and_removes_files", "what_is_left_in_tmp_is_removed_when_it_is_old_and_nobody_holds_it"],
    ),
    ("the archive is the only copy of the mail", &["purge_deletes_nothing_that_the_archive_cannot_give_back"]),
];

const WORDS: [&str; 10] = ["never", "Never", "always", "Always", "only", "Only", "must", "nothing", "Nothing", "cannot"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether a line of the page promises something.
fn promises(line: &str) -> bool {
    let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric()).collect();
    words.iter().any(|word| WORDS.contains(word)) || words.windows(2).any(|pair| pair[0] == "no" && pair[1] == "tool") || words[0] == "No"
}

#[test]
fn each_promise_of_the_format_has_a_test_and_each_test_is_there() {
    let page = std::fs::read_to_string(root().join("man/mdrop-archive.5")).unwrap();
    let missing: Vec<&str> = page.lines().filter(|line| promises(line) && !PROMISES.iter().any(|(part, _)| line.contains(part))).collect();
    assert_eq!(missing, Vec::<&str>::new(), "lines that promise something and have no test");
    let gone: Vec<&str> = PROMISES.iter().map(|(part, _)| *part).filter(|part| !page.contains(part)).collect();
    assert_eq!(gone, Vec::<&str>::new(), "promises that the page no longer makes");
    let sources = ["tests", "tools"].iter().flat_map(|folder| walkdir::WalkDir::new(root().join(folder))).map(Result::unwrap);
    let sources: Vec<String> = sources
        .filter(|entry| entry.path().extension().is_some_and(|ending| ending == "rs"))
        .map(|entry| std::fs::read_to_string(entry.path()).unwrap())
        .collect();
    let tests = PROMISES.iter().flat_map(|(_, tests)| *tests);
    let untested: Vec<&&str> = tests
        .filter(|test| {
            !sources
                .iter()
                .any(|source| source.contains(&format!("#[test]\nfn {test}(")) || source.contains(&format!("#[test]\n    fn {test}(")))
        })
        .collect();
    assert_eq!(untested, Vec::<&&str>::new(), "tests that are not there");
}

/// An archive of one message in a folder of its own.
fn archive() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive");
    let mut message = message(42, b"Subject: one\r\n\r\none\r\n", &["alice@example.com"]);
    (message.0.flags, message.0.server_size) = (vec!["\\Seen".into()], Some(99));
    run("mdrop-store", &["--archive", archive.to_str().unwrap()], &stream(&[message])).exits(0);
    (folder, archive)
}

#[test]
fn a_pack_says_of_a_message_where_it_came_from_and_nothing_of_whom_it_was_for() {
    let (_folder, archive) = archive();
    let pack = zstd::decode_all(File::open(archive.join("packs/0000/00000001.mbox.zst")).unwrap()).unwrap();
    let pack = String::from_utf8(pack).unwrap();
    let line = pack.lines().find_map(|line| line.strip_prefix("X-Mdrop: ")).unwrap();
    let said: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
    let said: BTreeSet<&str> = said.keys().map(String::as_str).collect();
    assert_eq!(said, BTreeSet::from(["v", "account", "login", "mailbox", "uidvalidity", "uid", "size", "digest", "eol"]));
    assert!(!pack.contains("alice"), "{pack}");
}

#[test]
fn the_index_of_an_archive_that_cannot_be_written_lies_in_the_users_cache() {
    let (folder, archive) = archive();
    std::fs::remove_dir_all(archive.join("cache")).unwrap();
    std::fs::create_dir(archive.join("cache")).unwrap();
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    // Whoever runs the tests may be root, whom modes do not stop; so somebody else reads.
    let tool = folder.path().join("mdrop-cat");
    std::fs::copy(path_of("mdrop-cat"), &tool).unwrap();
    for entry in walkdir::WalkDir::new(folder.path()).into_iter().map(Result::unwrap) {
        std::fs::set_permissions(entry.path(), Permissions::from_mode(0o555)).unwrap();
    }
    std::fs::set_permissions(&home, Permissions::from_mode(0o777)).unwrap();
    let mut command = Command::new(&tool);
    if rustix::process::geteuid().is_root() {
        command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&tool);
    }
    command.arg("--archive").arg(&archive).args(["--user", "alice@example.com"]).env("HOME", &home).env_remove("XDG_CACHE_HOME");
    let ran = run_command(&mut command, b"").exits(0);
    assert!(ran.text().contains("Subject: one"), "{}", ran.stderr);
    let names: Vec<_> =
        std::fs::read_dir(home.join(".cache/mdrop")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let id = std::fs::read_to_string(archive.join("archive.json")).unwrap();
    assert!(names.iter().any(|name| name.strip_suffix(".sqlite").is_some_and(|name| id.contains(name))), "{names:?}");
    assert_eq!(std::fs::read_dir(archive.join("cache")).unwrap().count(), 0);
    for path in [folder.path(), &archive, &archive.join("cache"), &archive.join("packs/0000"), &archive.join("catalog/0000")] {
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn what_is_left_in_tmp_is_removed_when_it_is_old_and_nobody_holds_it() {
    let (_folder, archive) = archive();
    let make = |name: &str, age: u64| {
        let file = File::create(archive.join("tmp").join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        file
    };
    let held = make("held", 3600);
    rustix::fs::flock(&held, FlockOperation::LockExclusive).unwrap();
    drop((make("old", 3600), make("young", 5)));
    let again = stream(&[message(43, b"Subject: two\r\n\r\n", &["alice@example.com"])]);
    run("mdrop-store", &["--archive", archive.to_str().unwrap()], &again).exits(0);
    let left: BTreeSet<_> =
        std::fs::read_dir(archive.join("tmp")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(left, BTreeSet::from(["held".to_owned(), "young".to_owned()]));
}
