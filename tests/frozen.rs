//! Archives that earlier versions wrote lie in tests/frozen/ and are read by every later one. They are never made again.
//!
//! Each folder there has an `archive`, and in `expected.json` what was in it when it was frozen. When the format gains something, a new one is frozen:
//! `FREEZE=NAME cargo test --test frozen -- --ignored`, and its name is added to the list below; a folder that isn't listed fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tools::{Ran, message, messages_of, run, shell, stream};
use mdrop::archive::Archive;
use mdrop::archive::commit::Writer;
use mdrop::identity::{Digest, Origin, Place, Uid};
use mdrop::record::{By, CATCHALL, Filing, Move, Purge, PurgeIntent, Purged, Record, Refiling, Role, Sender, V1};
use mdrop::stream::{Journal, Meta};
use mdrop::time::Time;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every archive that must be read, oldest first.
const FROZEN: [&str; 1] = ["0.1.0"];

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frozen")
}

fn tool(name: &str, archive: &Path, arguments: &[&str], input: &[u8]) -> Ran {
    run(name, &[&["--archive", archive.to_str().unwrap()], arguments].concat(), input)
}

/// A copy that may be written to, since a checkout may not.
fn thaw(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive");
    for entry in walkdir::WalkDir::new(home().join(name).join("archive")).into_iter().map(Result::unwrap) {
        let target = archive.join(entry.path().strip_prefix(home().join(name).join("archive")).unwrap());
        if entry.file_type().is_dir() {
            std::fs::create_dir(target).unwrap();
        } else {
            std::fs::copy(entry.path(), target).map(drop).unwrap();
        }
    }
    (folder, archive)
}

/// Packs and segments, by name.
fn files(archive: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = ["packs", "catalog"].map(|series| walkdir::WalkDir::new(archive.join(series)));
    let files = all.into_iter().flatten().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    files.map(|entry| (entry.path().to_path_buf(), std::fs::read(entry.path()).unwrap())).collect()
}

/// What an archive holds, as a later version is to find it: each user's mail by digest, with its size, as it came and as it is handed out.
fn contents(archive: &Path) -> Value {
    let records = shell(archive, "find catalog -name '*.jsonl.zst' | sort | xargs zstd -dcq");
    let records: Vec<Value> = records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let filings = |record: &Value| {
        ["filings", "added"].into_iter().flat_map(|at| record[at].as_array().cloned().unwrap_or_default()).collect::<Vec<_>>()
    };
    let users: BTreeSet<String> = records.iter().flat_map(filings).map(|filing| filing["user"].as_str().unwrap().to_owned()).collect();
    let mail = |user: &String, form: &str| {
        let ran = tool("mdrop-cat", archive, &["--user", user, form], b"").exits(0);
        if form == "--stream" {
            let mail = messages_of(&ran.stdout).into_iter();
            return json!(mail.map(|(meta, octets)| format!("{} {} {}", meta.digest, octets.len(), meta.origin)).collect::<BTreeSet<_>>());
        }
        json!(Digest::of(&ran.stdout).to_string())
    };
    let of: BTreeMap<&String, Value> = users.iter().map(|user| (user, json!([mail(user, "--stream"), mail(user, "--quiet")]))).collect();
    let (profile, known) = (archive.with_file_name("acme.toml"), ["--known", "--archive", archive.to_str().unwrap()]);
    common::daemon::write_private(
        &profile,
        "[account]\nprotocol = \"imap\"\nhost = \"h\"\nusername = \"a\"\n[route]\ndomains = [\"example.com\"]\n",
    );
    let known = run("mdrop-store", &[&["-p", profile.to_str().unwrap()], &known[..]].concat(), b"").exits(0);
    std::fs::remove_file(&profile).unwrap();
    let known: Vec<Value> = known.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let head = records.iter().rfind(|record| record["type"] == "segment").map(|record| record["segment"].clone());
    let types: BTreeSet<&str> = records.iter().map(|record| record["type"].as_str().unwrap()).collect();
    json!({"users": of, "segments": head, "types": types, "known": known})
}

#[test]
fn every_frozen_archive_is_listed() {
    let there = std::fs::read_dir(home())
        .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<BTreeSet<_>>());
    assert_eq!(there.unwrap_or_default(), FROZEN.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>());
}

#[test]
fn every_frozen_archive_is_read_as_it_was() {
    for name in FROZEN {
        let (_folder, archive) = thaw(name);
        let expected: Value = serde_json::from_slice(&std::fs::read(home().join(name).join("expected.json")).unwrap()).unwrap();
        tool("mdrop-check", &archive, &[], b"").exits(0);
        assert_eq!(contents(&archive), expected, "{name}");
    }
}

#[test]
fn every_frozen_archive_is_written_on_and_nothing_in_it_changes() {
    for name in FROZEN {
        let (_folder, archive) = thaw(name);
        let before = files(&archive);
        let mine = message(4711, b"Subject: later\r\n\r\nfrom a later version\r\n", &["later@example.com"]);
        tool("mdrop-store", &archive, &[], &stream(std::slice::from_ref(&mine))).exits(0);
        let handed_out = tool("mdrop-cat", &archive, &["--stream", "--user", "later@example.com"], b"").exits(0).messages();
        assert_eq!(handed_out.iter().map(|(_, octets)| octets).collect::<Vec<_>>(), [&mine.1], "{name}");
        tool("mdrop-check", &archive, &[], b"").exits(0);
        let after = files(&archive);
        assert!(before.iter().all(|(path, octets)| after.get(path) == Some(octets)), "{name}: a file was changed");
        assert_eq!(after.len(), before.len() + 2, "{name}: one pack and one segment more");
    }
}

/// One of everything that the format knows.
struct Maker {
    archive: PathBuf,
    uid: u32,
}

impl Maker {
    fn store(&mut self, octets: &[u8], users: &[&str], change: impl Fn(&mut Meta)) -> Meta {
        self.uid += 1;
        let (mut meta, octets) = message(self.uid, octets, users);
        meta.received = Some(Time::from_unix(1_700_000_000 + i64::from(self.uid)));
        change(&mut meta);
        tool("mdrop-store", &self.archive, &[], &stream(&[(meta.clone(), octets)])).exits(0);
        meta
    }

    fn record(&self, records: &[Record]) {
        Writer::new(Archive::open(&self.archive, None).unwrap(), "freeze").unwrap().record(records).unwrap();
    }
}

fn text(n: u32, body: &str) -> Vec<u8> {
    format!("Date: Mon, 2 Nov 2026 10:00:{n:02} +0000\r\nMessage-ID: <{n}@example.org>\r\nFrom: Gr\u{fc}n <g@example.org>\r\nSubject: frozen {n}\r\n\r\n{body}\r\n").into_bytes()
}

#[test]
#[ignore = "makes a new frozen archive; see the beginning of this file"]
fn freeze() {
    let name = std::env::var("FREEZE").expect("FREEZE=NAME");
    let root = home().join(name);
    std::fs::create_dir_all(&root).unwrap();
    let mut maker = Maker { archive: root.join("archive"), uid: 0 };
    let (alice, bob, time) = ("alice@example.com", "bob@example.com", Time::from_unix(1_750_000_000));
    let first = maker.store(&text(1, "From me\r\n>From you"), &[alice], |_| ());
    maker.store(&text(1, "From me\r\n>From you"), &[bob], |_| ());
    maker.store(b"no date\nno message-id\n\nbare LF, no end, NUL \0, 8-bit \xff", &[bob], |_| ());
    maker.store(b"", &[alice], |_| ());
    maker.store(&text(2, "sent"), &[bob], |meta| {
        let route = meta.route.as_mut().unwrap();
        let evidence = route.filings[0].evidence.clone().unwrap();
        route.sender = Some(Sender { address: Some("alice@example.com".into()), evidence });
        route.filings.push(Filing { user: "alice@example.com".into(), folder: "Sent".into(), role: Role::Sender, evidence: None });
    });
    // Copies of one mail that meet in a commit: a frame with a window of its own.
    let large = "0123456789abcdef".repeat(200_000);
    let copies: Vec<_> = [alice, bob]
        .iter()
        .map(|user| {
            maker.uid += 1;
            message(maker.uid, &[format!("Delivered-To: {user}\r\n").into_bytes(), text(3, &large)].concat(), &[user])
        })
        .collect();
    tool("mdrop-store", &maker.archive, &[], &stream(&copies)).exits(0);
    let inner = text(4, "inside");
    for (encoding, form) in
        [(None, inner.clone()), (Some("base64"), base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &inner).into_bytes())]
    {
        let octets = [b"Subject: report\r\n\r\n", form.as_slice(), b"\r\n--end"].concat();
        maker.store(&octets, &[alice, bob], |meta| {
            let (offset, length, encoding) = (Some(19), Some(form.len() as u64), encoding.map(str::to_owned));
            meta.route.as_mut().unwrap().journal = Some(Journal { kind: "exchange".into(), offset, length, encoding });
        });
    }
    maker.store(&text(5, "left out"), &[], |meta| meta.route.as_mut().unwrap().skip = Some("no user of ours".into()));
    maker.store(&text(6, "unrouted"), &[], |meta| meta.route = None);
    maker.store(&text(7, "from disk"), &[alice], |meta| {
        meta.origin.place = Place::Disk { mailbox: "M\u{fc}ll".into(), path: b"a\xffb".to_vec().into() }
    });
    maker.store(&text(8, "over POP3"), &[alice], |meta| meta.origin.place = Place::Pop3 { uidl: "uidl-8".into() });
    // A pack whose segment was lost is adopted by the next run.
    maker.store(&text(9, "adopted"), &[bob], |_| ());
    let last = files(&maker.archive).into_keys().rfind(|path| path.to_str().unwrap().ends_with(".jsonl.zst")).unwrap();
    std::fs::remove_file(last).unwrap();
    std::fs::remove_dir_all(maker.archive.join("cache")).unwrap();
    let moved = maker.store(&text(10, "moved"), &[bob], |meta| meta.objects.emailid = Some("M10".into()));
    let account = moved.origin.account.clone();
    let v = V1;
    let at = |uid| Origin {
        account: account.clone(),
        place: Place::Imap { mailbox: "Work/2026".into(), uidvalidity: mdrop::identity::UidValidity(9), uid: Uid(uid) },
    };
    let receipt = tool("mdrop-store", &maker.archive, &[], &stream(&[(moved.clone(), text(10, "moved"))])).exits(0).receipts().remove(0);
    let filing = |folder: &str| vec![Filing { user: bob.into(), folder: folder.into(), role: Role::Recipient, evidence: None }];
    let (digest, fingerprint) = (moved.digest, receipt.fingerprint);
    maker.record(&[
        Record::Move(Box::new(Move { v, origin: moved.origin, to: at(77), digest, by: By::Digest, time })),
        Record::Copy(Box::new(Move { v, origin: at(77), to: at(78), digest, by: By::Emailid, time })),
        Record::Refiling(Box::new(Refiling { v, digest, fingerprint, time, added: filing("Work/2026"), removed: filing("INBOX") })),
    ]);
    let (server, by) = ("mail.example.com:993".to_owned(), "root@example.com".to_owned());
    let intent = PurgeIntent { v, origin: first.origin.clone(), digest: first.digest, time, server: server.clone(), by: by.clone() };
    maker.record(&[Record::PurgeIntent(Box::new(intent))]);
    maker.record(&[Record::Purge(Box::new(Purge {
        v,
        origin: first.origin,
        digest: first.digest,
        time,
        server,
        by,
        outcome: Purged::Purged,
        why: None,
    }))]);
    tool("mdrop-check", &maker.archive, &[], b"").exits(0);
    std::fs::remove_dir_all(maker.archive.join("cache")).unwrap();
    let expected = contents(&maker.archive);
    assert!(expected["users"][CATCHALL].is_array(), "{expected}");
    ["cache", "tmp"].iter().for_each(|part| std::fs::remove_dir_all(maker.archive.join(part)).unwrap());
    std::fs::write(root.join("expected.json"), serde_json::to_string_pretty(&expected).unwrap() + "\n").unwrap();
}
