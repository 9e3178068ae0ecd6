//! mdrop-fetch against a real Dovecot, and against mail on disk.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::dovecot::{Dovecot, to_crlf, write_private};
use common::tools::{Ran, known_record, run};
use mdrop::record::Record;
use mdrop::stream::Meta;
use std::collections::BTreeSet;
use std::path::Path;

fn fetch_known(profile: &Path, arguments: &[&str], known: &[u8]) -> Ran {
    run("mdrop-fetch", &[&["-p", profile.to_str().unwrap()], arguments].concat(), known)
}

fn fetch(profile: &Path, arguments: &[&str]) -> Ran {
    fetch_known(profile, arguments, b"")
}

/// Messages that a careless reader would break. Dovecot alters NUL and mixed line ends itself, so those are the codec's tests.
fn messages() -> Vec<Vec<u8>> {
    let header = "From: a@example.com\nTo: b@example.com\nSubject: t\nDate: Mon, 23 Nov 2026 00:00:00 +0000\n";
    let mut all: Vec<Vec<u8>> = [
        ".\n",
        "..\n.\n...\n",
        ".a\n\n.\n",
        "From here\n>From there\n>>From\nFrom \n",
        "",
        "\n\n\n",
        "a\n.\n",
        "* 1 FETCH (UID 1 BODY[] {3}\na1 OK\n",
        "-ERR\n+OK\n",
        "{5}\n",
        ")\n",
        "   \n\t\n",
    ]
    .iter()
    .map(|body| format!("{header}\n{body}").into_bytes())
    .collect();
    all.push(header.as_bytes().to_vec());
    all.push([header.as_bytes(), b"\n\xff\xfe 8-bit \x80 \x01\n"].concat());
    all.push([header.as_bytes(), b"\n", "x".repeat(70_000).as_bytes(), b"\n"].concat());
    let lines = (0..30_000).map(|i| format!(".line {i}\n")).collect::<Vec<_>>().concat();
    all.push([header.as_bytes(), b"\n", lines.as_bytes()].concat());
    // Dots and line ends at every place relative to the 16 KiB of a TLS record.
    all.extend((0..8).map(|i| [header.as_bytes(), b"\n", ".\n".repeat(20_000 + i).as_bytes(), "y".repeat(i).as_bytes(), b"\n"].concat()));
    all
}

fn full(users: &[&str]) -> Dovecot {
    let dovecot = Dovecot::start(users);
    for user in users {
        for octets in messages() {
            dovecot.deliver(user, &octets);
        }
    }
    dovecot
}

fn trusting(dovecot: &Dovecot) -> String {
    format!("ca-file = \"{}\"\n", dovecot.cert.display())
}

#[test]
fn every_protocol_hands_out_every_octet_with_and_without_tls() {
    let dovecot = full(&["alice"]);
    let mut expected = dovecot.messages("alice");
    expected.sort();
    for protocol in ["imap", "pop3"] {
        for tls in ["none", "starttls", "implicit"] {
            let before = dovecot.files("alice");
            let ran = fetch(&dovecot.profile("acme", protocol, tls, "alice", &trusting(&dovecot)), &[]);
            assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{protocol} {tls}");
            let mut seen: Vec<Vec<u8>> = ran.messages().into_iter().map(|message| message.1).collect();
            seen.sort();
            assert!(seen == expected, "{protocol} {tls}: {} messages of {}, or other octets", seen.len(), expected.len());
            if protocol == "imap" {
                assert_eq!(dovecot.files("alice"), before, "{tls}: flags changed");
            }
        }
    }
}

#[test]
fn imap_tells_what_the_server_says_of_a_message() {
    let dovecot = Dovecot::start(&["alice"]);
    let octets = b"Subject: x\n\nbody\n";
    let path = dovecot.deliver("alice", octets);
    std::fs::rename(&path, path.with_file_name("1700000000.M0P1.test:2,FS")).unwrap();
    dovecot.deliver_to("alice", ".Gr&APwA3w-e", octets);
    let ran = fetch(&dovecot.profile("acme", "imap", "none", "alice", ""), &[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let all: Vec<Meta> = ran.messages().into_iter().map(|message| message.0).collect();
    let mailboxes: BTreeSet<String> = all.iter().filter_map(|meta| Some(meta.origin.mailbox()?.to_string())).collect();
    assert_eq!(mailboxes, ["Grüße".to_owned(), "INBOX".to_owned()].into());
    let inbox = all.iter().find(|meta| meta.origin.folder().as_str() == Some("INBOX")).unwrap();
    assert_eq!((inbox.size, inbox.server_size), (20, Some(20)));
    assert_eq!(inbox.flags, ["\\Flagged", "\\Seen"]);
    assert!(inbox.received.is_some());
    assert_eq!(inbox.origin.account.login, "alice@localhost");
}

/// The known records that mdrop-store would print for what a run brought.
fn known(messages: &[(Meta, Vec<u8>)], altered: bool) -> Vec<u8> {
    let size = |meta: &Meta| meta.server_size.map(|size| size + u64::from(altered));
    messages.iter().flat_map(|(meta, _)| known_record(meta, size(meta))).collect()
}

#[test]
fn what_is_known_is_not_fetched_again_unless_its_number_was_reused() {
    let dovecot = full(&["alice"]);
    for protocol in ["imap", "pop3"] {
        let profile = dovecot.profile("acme", protocol, "none", "alice", "");
        let first = fetch(&profile, &[]).messages();
        let again = |input: &[u8]| fetch_known(&profile, &["--known", "-"], input);
        let nothing = again(&known(&first, false));
        assert_eq!((nothing.code, nothing.stdout.len(), nothing.stderr.as_str()), (0, 0, ""), "{protocol}");
        let rest = again(&known(first.get(3..).unwrap(), false));
        assert_eq!((rest.code, rest.messages().len()), (0, 3), "{protocol}");
        let reused = again(&known(&first[..1], true));
        assert_eq!((reused.code, reused.messages().len()), (0, first.len()), "{protocol}");
        assert!(reused.stderr.contains("reused"), "{}", reused.stderr);
        let other = String::from_utf8(known(&first, false)).unwrap().replace("alice@", "bob@");
        assert_eq!(again(other.as_bytes()).messages().len(), first.len(), "{protocol}: another login's records count");
        let broken = again(b"{\"type\":\"known\"");
        assert_eq!((broken.code, broken.stdout.len()), (65, 0), "{}", broken.stderr);
    }
}

#[test]
fn a_dry_run_lists_and_fetches_nothing() {
    let dovecot = full(&["alice"]);
    for protocol in ["imap", "pop3"] {
        let log = dovecot.folder().join("log");
        let ran = fetch(&dovecot.profile("acme", protocol, "none", "alice", ""), &["-n", "--log", log.to_str().unwrap()]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        let Ok(Record::Listing(listing)) = Record::parse(ran.text().lines().next().unwrap().as_bytes()) else { panic!("{}", ran.text()) };
        assert_eq!(listing.listed.messages, messages().len() as u64);
        assert!(std::fs::read_to_string(&log).unwrap().contains("\"type\":\"summary\""));
    }
}

#[test]
fn a_failure_is_told_in_words_and_by_its_status() {
    let dovecot = Dovecot::start(&["alice"]);
    dovecot.deliver("alice", b"Subject: x\n\n");
    let trust = trusting(&dovecot);
    for protocol in ["imap", "pop3"] {
        let with = |tls: &str, more: &str, from: &str, to: &str| {
            let path = dovecot.profile("acme", protocol, tls, "alice", &format!("retries = 0\n{more}"));
            let text = std::fs::read_to_string(&path).unwrap().replace(from, to);
            write_private(&path, &text);
            let ran = fetch(&path, &[]);
            assert!(ran.stdout.is_empty() && ran.stderr.lines().count() == 1, "{}", ran.stderr);
            (ran.code, ran.stderr)
        };
        let check = |(status, err): (i32, String), expected: i32, words: &str| {
            assert!(status == expected && err.contains(words), "{protocol}: {status} {err}");
        };
        let password = dovecot.folder().join("secret");
        let wrong = dovecot.folder().join("wrong");
        write_private(&wrong, "no");
        check(with("none", "", password.to_str().unwrap(), wrong.to_str().unwrap()), 77, "login: the server says: [AUTH");
        let port = if protocol == "imap" { dovecot.imap } else { dovecot.pop3 }.to_string();
        check(with("none", "", &port, "1"), 69, "connection refused");
        check(with("implicit", "", "localhost", "no-such-host.invalid"), 68, "unknown host");
        // It leads to this machine, too, but is none of its names.
        check(with("none", "", "localhost", "0.0.0.0"), 78, "cleartext-login");
        for tls in ["implicit", "starttls"] {
            check(with(tls, "", "", ""), 77, "self-signed by CN=localhost");
            check(with(tls, &format!("pin-sha256 = [\"{}\"]\n", "00".repeat(32)), "", ""), 77, "not one that pin-sha256 names");
            check(with(tls, "pin-sha256 = [\"x\"]\n", "", ""), 78, "64 hex digits");
            check(with(tls, "ca-file = \"/dev/null\"\n", "", ""), 78, "no certificate");
        }
        let tls_port = if protocol == "imap" { dovecot.imaps } else { dovecot.pop3s }.to_string();
        check(with("implicit", &trust, &tls_port, &port), 76, "does not speak TLS on this port");
        let other = if protocol == "imap" { dovecot.pop3 } else { dovecot.imap }.to_string();
        check(with("none", "", &port, &other), 76, "server on this port");
    }
}

#[test]
fn a_certificate_is_trusted_by_its_authority_its_pin_or_on_the_profiles_word() {
    let dovecot = Dovecot::start(&["alice"]);
    dovecot.deliver("alice", b"Subject: x\n\n");
    let tested = fetch(&dovecot.profile("acme", "imap", "implicit", "alice", &trusting(&dovecot)), &["--test"]).text();
    let pin = tested.split("sha256 ").nth(1).and_then(|rest| rest.get(..64)).unwrap().to_owned();
    for tls in ["implicit", "starttls"] {
        for protocol in ["imap", "pop3"] {
            for more in [trusting(&dovecot), format!("pin-sha256 = [\"{pin}\"]\n")] {
                let ran = fetch(&dovecot.profile("acme", protocol, tls, "alice", &more), &[]);
                assert_eq!((ran.code, ran.stderr.as_str(), ran.messages().len()), (0, "", 1), "{protocol} {tls} {more}");
            }
            let ran = fetch(&dovecot.profile("acme", protocol, tls, "alice", "verify = false\n"), &[]);
            assert_eq!((ran.code, ran.messages().len()), (0, 1));
            assert!(ran.stderr.contains("unverified"), "{}", ran.stderr);
        }
    }
}

#[test]
fn a_test_says_step_by_step_what_works_and_what_to_do() {
    let dovecot = full(&["alice"]);
    dovecot.deliver_to("alice", ".Trash", b"Subject: x\n\n");
    let files = dovecot.files("alice");
    let imap = fetch(&dovecot.profile("acme", "imap", "starttls", "alice", &trusting(&dovecot)), &["--test"]);
    assert_eq!((imap.code, imap.stderr.as_str()), (0, ""), "{}", imap.text());
    let steps = ["password", "name", "connection", "tls", "login", "capabilities", "mailbox", "mailbox", "mailboxes"];
    let seen: Vec<String> =
        imap.text().lines().map(|line| line.split([' ', ':']).filter(|w| !w.is_empty()).nth(1).unwrap().into()).collect();
    assert_eq!(seen, steps, "{}", imap.text());
    let text = imap.text();
    let inbox = format!("INBOX: {} messages", messages().len());
    let all =
        ["TLS 1.", "issuer CN=localhost", "valid 20", "sha256 ", "UIDPLUS", &inbox, "Trash: 1 messages", "left out by default (\\trash)"];
    for words in all {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(dovecot.files("alice"), files);
    let pop3 = fetch(&dovecot.profile("acme", "pop3", "implicit", "alice", &trusting(&dovecot)), &["--test"]);
    assert!(pop3.code == 0 && pop3.text().contains("with a unique-id"), "{}", pop3.text());
    let refused = fetch(&dovecot.profile("acme", "imap", "implicit", "alice", ""), &["--test"]);
    assert_eq!(refused.code, 77);
    assert!(refused.text().contains("FAILED tls: ") && refused.text().contains("ok     connection"), "{}", refused.text());
    assert!(!refused.text().contains("login"), "{}", refused.text());
}

#[test]
fn mailboxes_are_read_left_out_and_missed_as_the_profile_says() {
    let dovecot = Dovecot::start(&["alice"]);
    for folder in ["", ".Lists.a", ".Lists.b", ".Trash"] {
        dovecot.deliver_to("alice", folder, b"Subject: x\n\n");
    }
    let log = dovecot.folder().join("log");
    let read = |more: &str| {
        let ran = fetch(&dovecot.profile("acme", "imap", "none", "alice", more), &["--log", log.to_str().unwrap()]);
        let read: BTreeSet<String> = ran.messages().iter().map(|message| message.0.origin.folder().to_string()).collect();
        (ran.code, read.into_iter().collect::<Vec<_>>().join(" "), ran.stderr)
    };
    assert_eq!(read(""), (0, "INBOX Lists/a Lists/b".into(), String::new()));
    let logged = std::fs::read_to_string(&log).unwrap();
    let trash = logged.lines().find(|line| line.contains("\"listing\"") && line.contains("\"mailbox\":\"Trash\"")).unwrap();
    assert!(trash.contains("left out by default") && trash.contains("\"listed\":{\"messages\":1,"), "{trash}");
    assert_eq!(read("exclude = [\"Lists/%\"]\n").1, "INBOX");
    assert_eq!(read("mailboxes = [\"Lists/b\", \"Trash\"]\n").1, "Lists/b Trash");
    let missed = read("mailboxes = [\"inbox\", \"Gone\"]\n");
    assert_eq!((missed.0, missed.1.as_str()), (66, "INBOX"));
    assert!(missed.2.contains("acme/Gone: no such mailbox"), "{}", missed.2);
}

#[test]
fn mail_on_disk_has_the_octets_it_has_over_imap_and_names_that_last() {
    let dovecot = full(&["alice"]);
    dovecot.deliver_to("alice", ".Lists.a", b"Subject: y\n\n");
    let tree = dovecot.folder().join("tree/a/b");
    std::fs::create_dir_all(&tree).unwrap();
    let mut mbox = Vec::new();
    for (i, octets) in messages().iter().enumerate() {
        std::fs::write(tree.join(format!("{i:02}.eml")), octets).unwrap();
        let quoted = String::from_utf8_lossy(octets).replace("\n>From ", "\n>>From ").replace("\nFrom ", "\n>From ");
        let quoted = if octets.contains(&0xff) { octets.clone() } else { quoted.into_bytes() };
        mbox.extend([b"From x Mon Nov 23 00:00:00 2026\n", quoted.as_slice(), b"\n"].concat());
    }
    let file = dovecot.folder().join("old.mbox");
    std::fs::write(&file, &mbox).unwrap();
    let mut expected: Vec<Vec<u8>> = messages().iter().map(|octets| to_crlf(octets)).collect();
    expected.sort();
    let sources = [("maildir", dovecot.maildir("alice")), ("eml", dovecot.folder().join("tree")), ("mbox", file)];
    for (protocol, path) in sources {
        let profile = dovecot.folder().join("disk.toml");
        let more = if protocol == "maildir" { "exclude = [\"Lists*\"]\n" } else { "" };
        write_private(&profile, &format!("[account]\nprotocol = \"{protocol}\"\npath = \"{}\"\n{more}", path.display()));
        let ran = fetch(&profile, &[]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{protocol}");
        let mut seen: Vec<Vec<u8>> = ran.messages().into_iter().map(|message| message.1).collect();
        seen.sort();
        assert!(seen == expected, "{protocol}");
        let again = fetch_known(&profile, &["--known", "-"], &known(&ran.messages(), false));
        assert_eq!((again.code, again.stdout.len(), again.stderr.as_str()), (0, 0, ""), "{protocol}");
        assert!(fetch(&profile, &["--test"]).text().contains("ok     mailboxes"));
    }
}

#[test]
fn on_disk_another_message_under_a_known_name_is_fetched_and_what_is_no_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let maildir = folder.path().join("M");
    for part in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(maildir.join(part)).unwrap();
    }
    std::fs::write(maildir.join("cur/1.x:2,"), "Subject: a\n\n1\n").unwrap();
    std::fs::write(maildir.join("cur/1.x:2,S"), "Subject: b\n\n2\n").unwrap();
    common::tools::shell(folder.path(), "mkfifo M/new/pipe");
    let profile = folder.path().join("disk.toml");
    write_private(&profile, "[account]\nprotocol = \"maildir\"\npath = \"M\"\n");
    let ran = fetch(&profile, &[]);
    assert_eq!((ran.code, ran.messages().len()), (65, 2), "{}", ran.stderr);
    assert!(ran.stderr.contains("pipe: is no file"), "{}", ran.stderr);
    let known: Vec<u8> = ran
        .messages()
        .iter()
        .flat_map(|(meta, _)| {
            let mdrop::identity::Place::Disk { mailbox, path } = meta.origin.place.clone() else { panic!() };
            let account = mdrop::identity::Account { name: "disk".into(), login: String::new() };
            let known = mdrop::record::Known {
                mailbox: Some(mailbox),
                server_size: meta.server_size,
                path: Some(path),
                ..mdrop::record::Known::nothing(&account)
            };
            mdrop::record::Record::Known(Box::new(known)).to_line().unwrap()
        })
        .collect();
    std::fs::remove_file(maildir.join("new/pipe")).unwrap();
    assert!(fetch_known(&profile, &["--known", "-"], &known).messages().is_empty());
    std::fs::write(maildir.join("cur/1.x:2,"), "Subject: exported anew\n\n1\n").unwrap();
    assert_eq!(fetch_known(&profile, &["--known", "-"], &known).messages().len(), 1);
}

#[test]
fn a_password_command_that_hangs_ends_with_the_time_out_and_one_that_leaves_something_behind_does_not_hang() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("slow.toml");
    let with = |command: &str| {
        let account = "[account]\nprotocol = \"imap\"\nhost = \"127.0.0.1\"\nport = 1\ntls = \"none\"\nusername = \"u\"\ntimeout = \"1s\"\nretries = 0\n";
        write_private(&profile, &format!("{account}password-command = \"{command}\"\n"));
        let began = std::time::Instant::now();
        let ran = fetch(&profile, &[]);
        assert!(began.elapsed() < std::time::Duration::from_secs(10));
        (ran.code, ran.stderr)
    };
    let (code, told) = with("exec sleep 60");
    assert!(code == 77 && told.contains("gave nothing within 1 seconds"), "{code}: {told}");
    let (code, told) = with("sleep 20 >/dev/null 2>&1 & echo pw");
    assert!(code == 69, "the password came, the server did not: {code}: {told}");
}
