//! mdrop-fetch when a listing and what comes of it do not agree: each message ends in one state, and none that is kept back goes unnoticed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::served::with_profile;
use common::tools::Ran;
use mdrop::record::Record;
use std::io::{BufRead, BufReader, Write};

/// Messages by outcome, as the summary counts them.
fn counts(log: &[Record], outcomes: &[&str]) -> Vec<u64> {
    let Some(Record::Summary(summary)) = log.last() else { panic!("no summary") };
    outcomes.iter().map(|outcome| summary.counts.get(*outcome).map_or(0, |volume| volume.messages)).collect()
}

fn failures(log: &[Record]) -> Vec<String> {
    log.iter().filter_map(|record| if let Record::Failure(failure) = record { Some(failure.why.clone()) } else { None }).collect()
}

/// What mdrop-fetch does with a server that plays these answers, for each connection some: it waits for a line that holds the first text,
/// then sends the second, in which TAG stands for the line's first word.
fn played(known: &str, connections: Vec<Vec<(&'static str, String)>>) -> (Ran, Vec<Record>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for (nth, script) in connections.into_iter().enumerate() {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            stream.write_all(b"* OK\r\n").unwrap();
            let begin = [("CAPABILITY", "TAG OK\r\n"), ("LOGIN", "TAG OK [CAPABILITY IMAP4rev1] in\r\n")]
                .map(|(line, reply)| (line, reply.to_owned()));
            let list = [("LIST", "* LIST () \"/\" INBOX\r\nTAG OK\r\n".to_owned())];
            for (expected, reply) in begin.into_iter().chain(list.into_iter().filter(|_| nth == 0)).chain(script) {
                let line = lines.by_ref().map_while(Result::ok).find(|line| line.contains(expected));
                let Some(line) = line else { break };
                let _ = stream.write_all(reply.replace("TAG", line.split(' ').next().unwrap()).as_bytes());
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("box.toml");
    let text = format!(
        "[account]\nprotocol = \"imap\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nusername = \"u\"\n\
         password-command = \"echo p\"\nretry-pause = \"1ms\"\nretries = 1\ntimeout = \"2s\"\n"
    );
    common::dovecot::write_private(&path, &text);
    let log = path.with_extension("log");
    let ran = with_profile("mdrop-fetch", &path, &["--known", "-", "--log", log.to_str().unwrap()], known.as_bytes());
    let text = std::fs::read(&log).unwrap();
    (ran, text.split_inclusive(|b| *b == b'\n').map(|line| Record::parse(line).unwrap()).collect())
}

fn known_uids(uids: &str) -> String {
    let account = r#""account":"box","login":"u@127.0.0.1","mailbox":"INBOX","uidvalidity":9"#;
    format!("{{\"type\":\"known\",\"v\":1,{account},\"uids\":\"{uids}\"}}\n")
}

/// EXAMINE's answer.
fn examined(exists: u32, more: &str) -> (&'static str, String) {
    ("EXAMINE", format!("* {exists} EXISTS\r\n* OK [UIDVALIDITY 9]\r\n{more}TAG OK\r\n"))
}

#[test]
fn a_message_that_the_server_finds_and_does_not_list_is_a_failure_though_another_came_in_between() {
    // 10,001 are there when the mailbox is opened; one comes; the listing keeps 10,001 back.
    let numbers = (1..=10_002).map(|uid: u32| uid.to_string()).collect::<Vec<_>>().join(" ");
    let script = vec![
        examined(10_001, ""),
        ("UID SEARCH ALL", format!("* SEARCH {numbers}\r\nTAG OK\r\n")),
        ("UID FETCH 10001:10002", "* 10002 FETCH (UID 10002 RFC822.SIZE 1)\r\nTAG OK\r\n".into()),
        ("UID SEARCH UID 10001", "* SEARCH 10001\r\nTAG OK\r\n".into()),
        ("UID FETCH 10002", "* 10002 FETCH (UID 10002 BODY[] {1}\r\na)\r\nTAG OK\r\n".into()),
    ];
    let (ran, log) = played(&known_uids("1:10000"), vec![script]);
    assert_eq!((ran.code, ran.messages().len()), (75, 1), "{}", ran.stderr);
    assert_eq!(counts(&log, &["listed", "known", "fetched", "failed"]), [10_002, 10_000, 1, 1], "{}", ran.stderr);
    assert!(failures(&log)[0].contains("UID 10001: the server finds it and does not list it"), "{:?}", failures(&log));
}

#[test]
fn a_known_message_whose_listing_is_not_understood_is_counted_once() {
    let list = "* 1 FETCH (UID 1 RFC822.SIZE 1)\r\n* 2 FETCH (UID 2 RFC822.SIZE x)\r\nTAG OK\r\n";
    let script = vec![examined(2, ""), ("UID FETCH 1:*", list.into()), ("LOGOUT", "TAG OK\r\n".into())];
    let (ran, log) = played(&known_uids("1:2"), vec![script]);
    assert_eq!((ran.code, counts(&log, &["listed", "known", "failed"])), (76, vec![2, 1, 1]), "{}", ran.stderr);
}

#[test]
fn uids_that_the_server_does_not_keep_mean_nothing_on_another_connection() {
    let not_kept = "* NO [UIDNOTSTICKY] no\r\n";
    let list = "* 1 FETCH (UID 1 RFC822.SIZE 1)\r\n* 2 FETCH (UID 2 RFC822.SIZE 1)\r\nTAG OK\r\n";
    let first = vec![
        examined(2, not_kept),
        ("UID FETCH 1:*", list.into()),
        ("UID FETCH 1:2", "* 1 FETCH (UID 1 BODY[] {1}\r\na)\r\n* BYE\r\n".into()),
    ];
    let second = vec![examined(1, not_kept), ("UID FETCH 2", "* 1 FETCH (UID 2 BODY[] {1}\r\na)\r\nTAG OK\r\n".into())];
    let (ran, log) = played("", vec![first, second]);
    assert_eq!((ran.code, ran.messages().len()), (75, 1), "{}", ran.stderr);
    assert_eq!(counts(&log, &["listed", "fetched", "failed"]), [2, 1, 1], "{}", ran.stderr);
}
