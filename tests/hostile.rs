//! Messages that were made to do harm, through the built tools: the right answer, in memory and time that the size bounds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::measure::{self, Measured};
use common::routing::{Profile, stream};
use common::tools::run;
use std::collections::BTreeSet;
use std::fmt::Write as _;

const DOMAINS: &str = "domains = [\"example.com\"]\n";
const MIB: u64 = 1 << 20;
/// What a run may hold beside one message.
const MEMORY: u64 = 32 * MIB;
/// Seconds of the processor that any run may take: starting, and what the clock can't tell.
const START: f64 = 0.1;
const FIELDS: usize = 1_000_000;
/// The same for fields with addresses, which a debug build reads ten times slower.
const NAMING: usize = 100_000;
const LONG: usize = 100 << 20;

fn is_damaged(measured: &Measured) -> bool {
    measured.findings.contains(&"damaged".to_owned())
}

/// Routes the message of that size, and of a quarter of it: the right users, memory that the size bounds, and time that grows as it does.
#[track_caller]
fn check(name: &str, size: usize, users: &[&str], message: impl Fn(usize) -> Vec<u8>) -> Measured {
    let users: BTreeSet<String> = users.iter().map(|user| (*user).to_owned()).collect();
    let (small, large) = (message(size / 4), message(size));
    let octets = large.len() as u64;
    let profile = Profile::new(DOMAINS);
    let (quarter, whole) = (measure::route(&profile, &small), measure::route(&profile, &large));
    let figures = format!(
        "{name}: {octets} octets, {} and {} KiB, {} and {} s",
        quarter.peak >> 10,
        whole.peak >> 10,
        quarter.seconds,
        whole.seconds
    );
    eprintln!("{figures}");
    assert_eq!((&quarter.users, &whole.users), (&users, &users), "{figures}");
    assert!(whole.peak < MEMORY + octets, "{figures}");
    assert!(whole.seconds + START < 8.0 * (quarter.seconds + START), "{figures}");
    whole
}

/// A header with that many lines, and Delivered-To below them.
fn above(lines: usize, line: impl Fn(usize) -> String) -> Vec<u8> {
    let mut message = String::new();
    for at in 0..lines {
        message.push_str(&line(at));
    }
    message.push_str("Delivered-To: a@example.com\r\nTo: b@example.com\r\n\r\nbody\r\n");
    message.into_bytes()
}

/// The same with one line of that many octets: what begins it, and what is repeated in it.
fn long_line(octets: usize, begin: &str, unit: &str) -> Vec<u8> {
    above(1, |_| format!("{begin}{}\r\n", unit.repeat(octets / unit.len())))
}

#[test]
fn any_number_of_fields_hides_none_below_them() {
    let alice = ["a@example.com"];
    check("junk", FIELDS, &alice, |n| above(n, |_| "junk\r\n".into()));
    check("junk with NUL and bare CR", FIELDS, &alice, |n| above(n, |_| "\0:\rTo: x\r\n".into()));
    check("fields", FIELDS, &alice, |n| above(n, |at| format!("X-{at}: {at}\r\n")));
    check("To", NAMING, &alice, |n| above(n, |at| format!("To: u{at}@example.net\r\n")));
    check("Delivered-To outside", NAMING, &alice, |n| above(n, |at| format!("Delivered-To: u{at}@example.net\r\n")));
    check("Delivered-To of words", NAMING, &alice, |n| above(n, |_| "Delivered-To: mailing list x\r\n".into()));
    check("From", NAMING, &alice, |n| above(n, |at| format!("From: u{at}@example.net\r\n")));
    check("List-Post", NAMING, &alice, |n| above(n, |at| format!("List-Post: <mailto:u{at}@example.net>\r\n")));
    check("folds", FIELDS, &alice, |n| above(1, |_| format!("X-Folded:{}", " x\r\n".repeat(n))));
}

#[test]
fn of_any_number_of_trace_fields_the_topmost_decides_and_the_rest_is_told() {
    let whole = check("Delivered-To here", NAMING, &["u0@example.com"], |n| above(n, |at| format!("Delivered-To: u{at}@example.com\r\n")));
    assert!(is_damaged(&whole), "100,000 addresses of ours were not all looked at");
    let top = "Delivered-To: c@example.com\r\n";
    let received = |n| [top.as_bytes(), &above(n, |at| format!("Received: from h{at} by h for <u{at}@example.net>\r\n"))].concat();
    let whole = check("Received", FIELDS, &["c@example.com"], received);
    assert!(is_damaged(&whole), "a million Received fields were not all looked at");
}

#[test]
fn a_line_of_100_mb_hides_no_field_below_it() {
    let lines = [
        (LONG, "", "junk"),
        (LONG / 4, "X-Foo: ", "x"),
        (LONG, "To: ", "x"),
        (LONG / 8, "To: ", "u@example.net, "),
        (LONG / 8, "Delivered-To: ", "((<"),
        (LONG, "Delivered-To: ", "u@example.net "),
        (LONG, "Content-Type: ", "multipart/report; "),
    ];
    for (octets, begin, unit) in lines {
        check(&format!("{begin}{unit}…"), octets, &["a@example.com"], |n| long_line(n, begin, unit));
    }
    let whole = check("Received", LONG, &["a@example.com"], |n| long_line(n, "Received: ", "by h for x "));
    assert!(is_damaged(&whole));
    let folded = |n: usize| above(1, |_| format!("X-Foo: x\r\n{}", format!(" {}\r\n", "x".repeat(70)).repeat(n / 73)));
    check("folded lines", LONG / 4, &["a@example.com"], folded);
}

#[test]
fn a_header_without_an_end_is_read_to_the_messages_end() {
    let endless = |n: usize| {
        [b"Delivered-To: a@example.com\r\n".as_slice(), &b"X-Foo: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n".repeat(n / 51)].concat()
    };
    check("no end", LONG / 4, &["a@example.com"], endless);
    check("no line end", LONG / 4, &["@catchall"], |n| b"x".repeat(n));
    check("bare CR", LONG / 10, &["@catchall"], |n| b"\rx".repeat(n / 2));
    check("nothing but line ends", LONG / 10, &["@catchall"], |n| b"\r\n".repeat(n / 2));
    check("NUL", LONG / 10, &["@catchall"], |n| b"\0".repeat(n));
}

/// A message that claims to be a report, its parts one in the other.
fn nested(mark: &str, depth: usize) -> Vec<u8> {
    let mut message = format!("Delivered-To: a@example.com\r\n{mark}");
    for at in 0..depth {
        let _ = write!(message, "Content-Type: multipart/mixed; boundary=b{at}\r\n\r\n--b{at}\r\n");
    }
    message.push_str("Content-Type: text/plain\r\n\r\nSender: x@example.com\r\nTo: x@example.com\r\n");
    for at in (0..depth).rev() {
        let _ = write!(message, "\r\n--b{at}--\r\n");
    }
    message.into_bytes()
}

#[test]
fn parts_without_measure_cost_no_more_than_their_octets() {
    let report = "X-MS-Journal-Report:\r\n";
    check("nested", 10_000, &["a@example.com"], |n| nested(report, n));
    check("nested deeper", 200_000, &["a@example.com"], |n| nested(report, n));
    let bounce = "Content-Type: multipart/report; boundary=r\r\n\r\n--r\r\n";
    check("nested in a bounce", 10_000, &["a@example.com"], |n| nested(bounce, n));
    let messages = |n: usize| {
        let begin = format!("Delivered-To: a@example.com\r\n{bounce}").into_bytes();
        [begin, b"Content-Type: message/rfc822\r\n\r\n".repeat(n)].concat()
    };
    check("messages in messages", 10_000, &["a@example.com"], messages);
    let parts = |n: usize| {
        let begin = format!("Delivered-To: a@example.com\r\n{report}Content-Type: multipart/mixed; boundary=b\r\n\r\n");
        [begin.into_bytes(), b"--b\r\n\r\nx\r\n".repeat(n)].concat()
    };
    check("a million parts", FIELDS, &["a@example.com"], parts);
    let boundary = |n: usize| {
        let boundary = "b".repeat(n);
        format!(
            "Delivered-To: a@example.com\r\n{report}Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n--{boundary}\r\n\r\nx\r\n"
        )
        .into()
    };
    check("a boundary of 10 MB", 10 << 20, &["a@example.com"], boundary);
}

/// A header with junk lines between the fields, and in front of it.
const JUNK: &str = "junk\n\u{0}\nDelivered-To: a@example.com\n: x\n  folded\nFrom x\n\u{fc}: y\nDate: Mon, 23 Nov 2026 10:00:00 +0000\nTo\nMessage-ID: <1@x>\n \nX\u{b}: y\nFrom: c@example.com\nSubject: s\n t\n";

#[test]
fn junk_neither_refuses_a_message_nor_ends_its_header_whatever_ends_its_lines() {
    let body = |begin: &str| format!("{JUNK}{begin}");
    for text in [body("\nDelivered-To: b@example.com\n"), body(""), body("\n")] {
        for (at, end) in ["\n", "\r\n", "\r", "\r\r\n", "\n\r"].iter().enumerate() {
            let measured = measure::route(&Profile::new(DOMAINS), text.replace('\n', end).as_bytes());
            let users: BTreeSet<String> = ["a@example.com", "c@example.com"].map(str::to_owned).into();
            assert_eq!(measured.users, users, "{text:?}, line end {at}");
            assert!(measured.stderr.is_empty(), "{}", measured.stderr);
        }
    }
}

#[test]
fn what_was_made_to_do_harm_is_stored_and_handed_out_again() {
    let messages = [
        above(20_000, |_| "junk\r\n".into()),
        above(20_000, |at| format!("Received: {at}\r\n")),
        above(20_000, |at| format!("Delivered-To: u{at}@example.com\n")),
        long_line(8 << 20, "Subject: ", "x"),
        long_line(8 << 20, "Message-ID: ", "<"),
        long_line(8 << 20, "", "\0"),
        nested("X-MS-Journal-Report:\r\n", 10_000),
        JUNK.replace('\n', "\r").into_bytes(),
        JUNK.replace('\n', "\r\r\n").into_bytes(),
        b"\r\n".repeat(10_000),
        b"\0".repeat(10_000),
    ];
    let routed = Profile::new(DOMAINS).run(&[], &stream(&messages));
    assert_eq!(routed.status.code(), Some(0));
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive");
    let receipts = run("mdrop-store", &["--archive", archive.to_str().unwrap(), "-q"], &routed.stdout).exits(0);
    assert_eq!(receipts.receipts().len(), messages.len());
    let out = run("mdrop-cat", &["--archive", archive.to_str().unwrap(), "--stream"], &receipts.stdout).exits(0);
    let out: Vec<Vec<u8>> = out.messages().into_iter().map(|(_, octets)| octets).collect();
    assert!(out == messages, "every octet comes out again");
}
