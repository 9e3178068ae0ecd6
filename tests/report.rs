//! mdrop-report as a program: what it prints, and its exit status.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

const FETCH: &str = r#"{"type":"listing","v":1,"account":"acme","mailbox":"INBOX","uidvalidity":9,"uids":"1:4","known":"1","listed":{"messages":4,"bytes":4096},"already":{"messages":1,"bytes":1000}}
{"type":"listing","v":1,"account":"acme","mailbox":"Spam","listed":{"messages":5,"bytes":9},"already":{"messages":0,"bytes":0},"unread":"left out by the profile"}
{"type":"hologram","v":1}
{"type":"summary","v":1,"tool":"mdrop-fetch 0.1.0","profile":"acme","started":"2026-11-22T18:54:00Z","seconds":1.5,"exit":0,"counts":{"listed":{"messages":4,"bytes":4096},"known":{"messages":1,"bytes":1000},"fetched":{"messages":3,"bytes":3096}}}
"#;
const ROUTE: &str = r#"{"type":"finding","v":1,"origin":{"account":"acme","mailbox":"INBOX","uidvalidity":9,"uid":2},"finding":"forged","text":"Delivered-To\u001b[31m below it"}
{"type":"summary","v":1,"tool":"mdrop-route 0.1.0","profile":"acme","started":"2026-11-22T18:54:00Z","seconds":1.5,"exit":0,"counts":{"routed":{"messages":3,"bytes":3096}}}
"#;
const STORE: &str = r#"{"type":"summary","v":1,"tool":"mdrop-store 0.1.0","profile":"acme","started":"2026-11-22T18:54:00Z","seconds":1.5,"exit":0,"counts":{"new":{"messages":2,"bytes":2000},"duplicate":{"messages":1,"bytes":1096}},"users":{"alice@example.com":{"messages":3,"bytes":3096}},"head":{"archive":"5f0c7a3e-0000-4000-8000-000000000000","segment":7,"blake3":"blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"}}
"#;

fn report(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mdrop-report"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let written = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    assert!(written.is_ok() || !output.status.success());
    output
}

fn text(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).unwrap()
}

#[test]
fn a_good_run_is_reported_in_lines_that_fit_a_mail() {
    let output = report(&["-"], &[FETCH, ROUTE, STORE].concat());
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    let text = text(&output.stdout);
    for wanted in [
        "mdrop: acme, 2026-11-22T18:54:00Z, 1.5 s",
        "2.0 messages/s",
        "        4           4096    4.0 KiB  listed by the server\n",
        "        2           2000    2.0 KiB  new\n",
        "        5              9             acme/Spam: not read: left out by the\n                                     profile\n",
        "        3           3096    3.0 KiB  alice@example.com\n",
        "        1  forged\n             acme/INBOX: UID 2: Delivered-To\\u{1b}[31m below it\n",
        "the books balance: 4 listed = 1 archived already + 2 new + 1 duplicate + 0\nrefused + 0 failed\n",
        "head: segment 7\nblake3:af1349b9",
    ] {
        assert!(text.contains(wanted), "{wanted:?} in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 78), "{text}");
}

#[test]
fn a_message_nobody_accounts_for_is_status_65_and_a_line_on_stderr() {
    let output = report(&["-"], &[FETCH, ROUTE, &STORE.replace("\"new\":{\"messages\":2", "\"new\":{\"messages\":1")].concat());
    assert_eq!(output.status.code(), Some(65));
    assert_eq!(text(&output.stderr), "mdrop-report: mdrop-store had 3 messages and accounts for 2: 1 are unaccounted for\n");
    assert!(text(&output.stdout).contains("the books do not balance"));
}

#[test]
fn quiet_prints_only_the_report_of_a_run_that_went_wrong() {
    let good = report(&["-q", "-"], &[FETCH, ROUTE, STORE].concat());
    assert_eq!((good.status.code(), good.stdout.len()), (Some(0), 0));
    let bad = report(&["-q", "-"], &[FETCH, ROUTE].concat());
    assert_eq!(bad.status.code(), Some(65));
    assert!(text(&bad.stdout).contains("mdrop-store: no summary"));
    let stopped = "{\"type\":\"stage\",\"v\":1,\"stage\":\"purge\",\"exit\":77}\n";
    assert!(!report(&["-q", "-"], &[FETCH, ROUTE, STORE, stopped].concat()).stdout.is_empty());
}

#[test]
fn json_is_one_object_with_the_exact_numbers() {
    let output = report(&["--json", "-"], &[FETCH, ROUTE, STORE].concat());
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((value["type"].as_str(), value["v"].as_u64(), value["profile"].as_str()), (Some("report"), Some(1), Some("acme")));
    assert_eq!(value["totals"]["listed"]["bytes"], 4096);
    assert_eq!(value["totals"]["purged"], serde_json::Value::Null);
    assert_eq!(value["books"]["balanced"], true);
    assert_eq!(value["mailboxes"][1]["unread"], "left out by the profile");
    assert_eq!(value["users"][0]["user"], "alice@example.com");
    assert_eq!(value["stages"][2]["counts"]["duplicate"]["messages"], 1);
    assert_eq!(value["head"]["segment"], 7);
}

#[test]
fn a_damaged_log_is_named_and_the_rest_is_reported() {
    let output = report(&["-"], &[FETCH, "no json\n", ROUTE, STORE, "{\"type\":"].concat());
    assert_eq!(output.status.code(), Some(65));
    let errors = text(&output.stderr);
    assert!(errors.contains("mdrop-report: -: line 5: not a record") && errors.contains("line 9: cut off before its end"), "{errors}");
    assert!(text(&output.stdout).contains("the books balance"));
}

#[test]
fn evidence_that_changed_since_the_runs_before_is_a_line_and_no_failure() {
    let route = |hour: u32, evidence: &str| {
        let with = format!("\"counts\":{{\"routed\":{{\"messages\":3,\"bytes\":3096}}}},\"evidence\":{evidence}");
        let summary = ROUTE.lines().last().unwrap().replace("T18:", &format!("T{hour}:"));
        summary.split("\"counts\"").next().unwrap().to_owned() + &with + "}\n"
    };
    let folder = tempfile::tempdir().unwrap();
    let before = folder.path().join("route.log");
    let earlier = [route(10, r#"{"envelope:delivered-to":28,"header":2}"#), "{\"type\":".into()].concat();
    std::fs::write(&before, earlier).unwrap();
    let now = route(18, r#"{"envelope:x-original-to":2,"none":1}"#);
    let same_log = report(&["-"], &[FETCH, &route(17, r#"{"envelope:x-original-to":30}"#), &now, STORE].concat());
    assert!(
        text(&same_log.stdout).contains("\nevidence: 2 by x-original-to, 1 without a local recipient\n\n"),
        "{}",
        text(&same_log.stdout)
    );
    let few = report(&["--before", before.to_str().unwrap(), "-"], &[FETCH, &now, STORE].concat());
    assert!(!text(&few.stdout).contains("changed"));
    let now = route(18, r#"{"envelope:x-original-to":20,"none":1}"#);
    let input = [FETCH, &now, STORE].concat();
    let changed = report(&["--before", before.to_str().unwrap(), "-"], &input);
    assert_eq!((changed.status.code(), text(&changed.stderr)), (Some(0), ""));
    for wanted in [
        "evidence changed: by delivered-to: 93 % of 30 messages before, none of 21 now\n",
        "evidence changed: by x-original-to: 95 % of 21 messages now, none of 30 before\n",
    ] {
        assert!(text(&changed.stdout).contains(wanted), "{}", text(&changed.stdout));
    }
    let json = report(&["--json", "--before", before.to_str().unwrap(), "-"], &input);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let first = &value["evidence"]["changes"][0];
    assert_eq!((first["how"].as_str(), first["before"].as_u64(), first["now"].as_u64()), (Some("gone"), Some(28), Some(0)));
    assert_eq!(report(&["--before", "/nonexistent", "-"], &input).status.code(), Some(66));
}

#[test]
fn a_log_that_is_missing_and_no_log_at_all_are_errors_of_their_own() {
    assert_eq!(report(&["/nonexistent/fetch.log"], "").status.code(), Some(65));
    assert_eq!(report(&[], "").status.code(), Some(64));
}
