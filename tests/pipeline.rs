//! The whole pipeline on a real Dovecot: every way in, every message compared, a second run that does nothing, and a purge.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::dovecot::{Dovecot, write_private};
use common::tools::{self, Ran, corpora, messages_of, run, run_command, shell, shipped};
use mdrop::identity::{Digest, Place};
use mdrop::record::{Outcome, Purged, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const ROUTE: &str = "[route]\ndomains = [\"example.com\", \"example.org\"]\nown-addresses = [\"archive@example.com\"]\n";

/// Some 500 real messages of every kind where ../shared/corpora is there, else those that ship with the project.
fn real_messages() -> Vec<Vec<u8>> {
    corpora(500).map_or_else(shipped, |all| all.into_iter().take(500).collect())
}

/// What an independent reader gets from the server: Python's imaplib, octets by UID.
fn handed_out(dovecot: &Dovecot, user: &str) -> BTreeMap<u32, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let script = "import imaplib, sys, os\n\
        box = imaplib.IMAP4('127.0.0.1', int(sys.argv[1])); box.login(sys.argv[2], sys.argv[3])\n\
        box.select('INBOX', readonly=True)\n\
        for part in box.uid('FETCH', '1:*', '(UID BODY.PEEK[])')[1]:\n\
        \x20   if isinstance(part, tuple):\n\
        \x20       uid = part[0].split(b'UID ')[1].split()[0].decode()\n\
        \x20       open(os.path.join(sys.argv[4], uid), 'wb').write(part[1])\n";
    let mut python = Command::new("python3");
    python.args(["-c", script, &dovecot.imap.to_string(), user, common::dovecot::PASSWORD]).arg(folder.path());
    let ran = run_command(&mut python, b"");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.file_name().unwrap().to_str().unwrap().parse().unwrap(), std::fs::read(&path).unwrap())).collect()
}

/// One account on a Dovecot, with an archive of its own.
struct Scene<'a> {
    dovecot: &'a Dovecot,
    profile: PathBuf,
    archive: PathBuf,
}

impl<'a> Scene<'a> {
    fn new(dovecot: &'a Dovecot, protocol: &str, tls: &str, user: &str, purge: &str) -> Self {
        let archive = dovecot.folder().join(format!("archive-{user}"));
        let trust = if tls == "none" { String::new() } else { format!("ca-file = \"{}\"\n", dovecot.cert.display()) };
        let more = format!("{trust}{ROUTE}[store]\narchive = \"{}\"\n[purge]\n{purge}", archive.display());
        let profile = dovecot.profile(&format!("profile-{user}"), protocol, tls, user, &more);
        Self { dovecot, profile, archive }
    }

    fn run(&self, tool: &str, arguments: &[&str], input: &[u8]) -> Ran {
        run(tool, &[&["-p", self.profile.to_str().unwrap()], arguments].concat(), input)
    }

    /// The whole pipeline once; what mdrop-store printed.
    fn archive(&self) -> Ran {
        let known = self.run("mdrop-store", &["--known"], b"").exits(0);
        let fetched = self.run("mdrop-fetch", &["--known", "-"], &known.stdout).exits(0);
        let routed = self.run("mdrop-route", &["-q"], &fetched.stdout).exits(0);
        self.run("mdrop-store", &[], &routed.stdout).exits(0)
    }

    fn purge(&self) -> Vec<(Purged, String)> {
        let purgeable = self.run("mdrop-store", &["--purgeable"], b"").exits(0);
        let records = self.run("mdrop-purge", &[], &purgeable.stdout).exits(0).records();
        let outcome = |record| if let Record::Purge(purge) = record { Some((purge.outcome, purge.why.unwrap_or_default())) } else { None };
        records.into_iter().filter_map(outcome).collect()
    }

    fn check(&self) {
        self.run("mdrop-check", &[], b"").exits(0);
    }

    fn segments(&self) -> usize {
        walkdir::WalkDir::new(self.archive.join("catalog")).into_iter().flatten().filter(|entry| entry.file_type().is_file()).count()
    }
}

fn every_way_in(protocol: &str) {
    let messages = real_messages();
    let ways = ["none", "starttls", "implicit"];
    let dovecot = Dovecot::start(&ways);
    for tls in ways {
        messages.iter().for_each(|octets| drop(dovecot.deliver(tls, octets)));
        let scene = Scene::new(&dovecot, protocol, tls, tls, "enabled = true\nafter = \"0d\"\n");
        let on_server = handed_out(&dovecot, tls);
        assert_eq!(on_server.len(), messages.len());
        // RETR makes Dovecot itself mark a message as seen; over IMAP not even a flag may change.
        let flags = |name: &Path| if protocol == "imap" { name.to_path_buf() } else { name.with_extension("") };
        let files = || dovecot.files(tls).iter().map(|name| flags(name)).collect::<Vec<_>>();
        let files_before = files();

        let stored = scene.archive();
        assert_eq!(stored.receipts().len(), messages.len());
        let back: BTreeMap<_, _> = scene
            .run("mdrop-cat", &["--stream"], &stored.stdout)
            .exits(0)
            .messages()
            .into_iter()
            .map(|(meta, octets)| (meta.digest, octets))
            .collect();
        let mut by_imap = on_server.clone();
        for receipt in stored.receipts() {
            let octets = &back[&receipt.digest];
            if let Place::Imap { uid, .. } = receipt.origin.place {
                assert!(by_imap.remove(&uid.0).as_ref() == Some(octets), "UID {}", uid.0);
            } else {
                // Over POP3 a message that does not end with a line end gains one, and Dovecot does not double a dot that begins it, so
                // that it is lost; over IMAP Dovecot turns NUL into 0x80.
                let octets = &octets.iter().map(|octet| if *octet == 0 { 0x80 } else { *octet }).collect::<Vec<u8>>();
                let same = |served: &Vec<u8>| {
                    let undotted = served.strip_prefix(b".").unwrap_or(served);
                    [served, undotted].iter().any(|served| served == octets || [served, b"\r\n".as_slice()].concat() == *octets)
                };
                let uid = by_imap.iter().find(|(_, served)| same(served)).map(|(uid, _)| *uid);
                by_imap.remove(&uid.unwrap_or_else(|| panic!("{tls}: {} is no message of the server", receipt.origin)));
            }
        }
        assert!(by_imap.is_empty(), "{tls}: UIDs {:?} are missing", by_imap.keys());
        assert!(files() == files_before, "{tls}: the mailbox was changed");

        let segments = scene.segments();
        assert!(scene.archive().stdout.is_empty(), "{tls}: the second run fetches nothing");
        assert_eq!(scene.segments(), segments, "{tls}: the second run stores nothing");
        scene.check();

        let purged = scene.purge();
        assert_eq!(purged.len(), messages.len());
        assert!(purged.iter().all(|(outcome, _)| *outcome == Purged::Purged), "{tls}: {purged:?}");
        assert!(handed_out(&dovecot, tls).is_empty(), "{tls}: the server is empty");
        scene.check();
        let after = scene.run("mdrop-cat", &["--stream"], &stored.stdout).exits(0).messages();
        assert_eq!(after.len(), back.len(), "{tls}: the archive is whole");
        assert!(scene.purge().is_empty(), "what is purged is not purgeable again");
        assert!(scene.archive().stdout.is_empty());
    }
}

#[test]
fn over_imap_every_message_is_archived_then_nothing_is_new_then_all_is_purged() {
    every_way_in("imap");
}

#[test]
fn over_pop3_every_message_is_archived_then_nothing_is_new_then_all_is_purged() {
    every_way_in("pop3");
}

#[test]
fn everybody_gets_their_mail_and_nobody_elses() {
    let dovecot = Dovecot::start(&["box"]);
    let scene = Scene::new(&dovecot, "imap", "none", "box", "");
    let to = |to: &str, n: u32| format!("Delivered-To: {to}\nDate: Mon\nMessage-ID: <{n}@x>\nFrom: Alice <alice@example.com>\n\n{n}\n");
    dovecot.deliver("box", to("bob@example.com", 1).as_bytes());
    dovecot.deliver("box", to("carol@example.org", 2).as_bytes());
    scene.archive();
    let of = |user: &str| {
        let ran = scene.run("mdrop-cat", &["--stream", "--user", user], b"");
        messages_of(&ran.exits(0).stdout).into_iter().map(|(_, octets)| octets).collect::<Vec<_>>()
    };
    assert_eq!((of("bob@example.com").len(), of("carol@example.org").len()), (1, 1));
    assert!(of("bob@example.com")[0].ends_with(b"\r\n1\r\n"));
    assert_eq!(of("alice@example.com").len(), 2, "the sender has what was sent");
    assert_eq!(scene.run("mdrop-cat", &["--user", "mallory@example.com"], b"").code, 66);
}

/// A run of the pipeline on some day at three in the morning.
fn nightly(scene: &Scene, day: u32) -> (String, Vec<u32>) {
    let tools = tools::path_of("mdrop-store").parent().unwrap().display().to_string();
    let clock = format!("faketime -f '@2026-03-{day:02} 03:00:00'");
    let clock = if day > 31 { format!("faketime -f '@2026-04-{:02} 03:00:00'", day - 31) } else { clock };
    let p = format!("-q -p {}", scene.profile.display());
    let line = format!(
        "set -e; export PATH={tools}:$PATH TZ=UTC; {clock} mdrop-store {p} --known > known; \
         {clock} mdrop-fetch {p} --known known > fetched; {clock} mdrop-route {p} < fetched > routed; {clock} mdrop-store {p} < routed > receipts; \
         {clock} mdrop-store {p} --purgeable > purgeable; {clock} mdrop-purge {p} < purgeable"
    );
    let printed = shell(scene.dovecot.folder(), &line);
    let left = handed_out(scene.dovecot, "box").into_keys().collect();
    (printed, left)
}

#[test]
fn after_thirty_days_means_that_day_31_deletes_what_came_on_day_1_and_nothing_younger() {
    let dovecot = Dovecot::start(&["box"]);
    let scene = Scene::new(&dovecot, "imap", "none", "box", "enabled = true\nafter = \"30d\"\n");
    for day in 1..=32_u32 {
        // The date in the mail lies: only the archive's own clock counts.
        dovecot.deliver(
            "box",
            format!("Delivered-To: a@example.com\nDate: Thu, 1 Jan 1970 00:00:00 +0000\nMessage-ID: <{day}@x>\n\n{day}\n").as_bytes(),
        );
        let (printed, left) = nightly(&scene, day);
        let purged = printed.lines().filter(|line| line.contains("\"outcome\":\"purged\"")).count();
        assert_eq!(purged, usize::from(day >= 31), "day {day}: {printed}");
        assert_eq!(left, (1.max(day.saturating_sub(29))..=day).collect::<Vec<u32>>(), "day {day}");
    }
    scene.check();
}

#[test]
fn purge_keeps_what_it_may_not_delete_and_says_why() {
    let dovecot = Dovecot::start(&["box"]);
    let scene = Scene::new(&dovecot, "imap", "none", "box", "enabled = true\nafter = \"0d\"\n");
    let paths: Vec<PathBuf> =
        (1..=4).map(|n| dovecot.deliver("box", format!("Delivered-To: a@example.com\nSubject: {n}\n\n{n}\n").as_bytes())).collect();
    let receipts = scene.archive().receipts();
    // 1 is flagged by somebody, 2 is not in the archive any more, 3's receipt is forged, 4 may go.
    std::fs::rename(&paths[0], paths[0].to_str().unwrap().replace(":2,", ":2,F")).unwrap();
    let line = |record: &mdrop::record::Receipt| Record::Receipt(Box::new(record.clone())).to_line().unwrap();
    let mut forged = receipts[2].clone();
    forged.digest = Digest::of(b"forged");
    let mut strange = receipts[1].clone();
    strange.origin.place =
        Place::Imap { mailbox: "INBOX".into(), uidvalidity: mdrop::identity::UidValidity(1), uid: mdrop::identity::Uid(2) };
    let input = [line(&receipts[0]), line(&strange), line(&forged), line(&receipts[3])].concat();
    let printed = scene.run("mdrop-purge", &["-n"], &input).exits(0);
    assert!(printed.records().iter().any(|record| matches!(record, Record::PurgeIntent(intent) if intent.digest == receipts[3].digest)));
    assert_eq!(handed_out(&dovecot, "box").len(), 4, "a dry run deletes nothing");
    let segments = scene.segments();

    let ran = scene.run("mdrop-purge", &[], &input).exits(0);
    let outcomes: BTreeSet<String> = ran
        .records()
        .iter()
        .filter_map(|record| if let Record::Purge(purge) = record { Some(purge) } else { None })
        .map(|purge| format!("{:?} {}", purge.outcome, purge.why.clone().unwrap_or_default()))
        .collect();
    let has = |what: &str| outcomes.iter().any(|outcome| outcome.contains(what));
    assert!(
        has("Kept it is flagged") && has("Kept the catalog says") && has("Kept the archive's catalog holds no receipt") && has("Purged"),
        "{outcomes:?}"
    );
    assert_eq!(handed_out(&dovecot, "box").into_keys().collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(scene.segments(), segments + 2, "an intent before, an outcome after");
}

#[test]
fn purge_deletes_nothing_that_the_archive_cannot_give_back() {
    let dovecot = Dovecot::start(&["box"]);
    let scene = Scene::new(&dovecot, "imap", "none", "box", "enabled = true\nafter = \"0d\"\n");
    dovecot.deliver("box", b"Delivered-To: a@example.com\nSubject: 1\n\n1\n");
    scene.archive();
    dovecot.deliver("box", b"Delivered-To: a@example.com\nSubject: 2\n\n2\n");
    scene.archive();
    let pack = scene.archive.join("packs/0000/00000001.mbox.zst");
    let mut octets = std::fs::read(&pack).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    std::fs::write(&pack, octets).unwrap();
    let purgeable = scene.run("mdrop-store", &["--purgeable"], b"").exits(0);
    assert_eq!(purgeable.receipts().len(), 2);
    let ran = scene.run("mdrop-purge", &[], &purgeable.stdout).exits(65);
    assert!(ran.stderr.contains("the archive can't give it back"), "{}", ran.stderr);
    assert_eq!(handed_out(&dovecot, "box").into_keys().collect::<Vec<_>>(), [1]);
}

#[test]
fn purge_is_off_unless_the_profile_turns_it_on_and_refuses_a_mixed_up_input_whole() {
    let dovecot = Dovecot::start(&["box"]);
    let off = Scene::new(&dovecot, "imap", "none", "box", "after = \"0d\"\n");
    dovecot.deliver("box", b"Delivered-To: a@example.com\n\n1\n");
    let stored = off.archive();
    assert!(off.run("mdrop-purge", &[], &stored.stdout).exits(0).stdout.is_empty());
    let text = std::fs::read_to_string(&off.profile).unwrap().replace("[purge]\n", "[purge]\nenabled = true\n");
    write_private(&off.profile, &text);
    let mixed = [stored.stdout.as_slice(), b"From MAILER-DAEMON\n"].concat();
    let ran = off.run("mdrop-purge", &[], &mixed).exits(65);
    assert!(ran.stderr.contains("nothing is deleted"), "{}", ran.stderr);
    assert_eq!(handed_out(&dovecot, "box").len(), 1);
    assert_eq!(stored.receipts()[0].outcome, Outcome::New);
    off.run("mdrop-purge", &[], &stored.stdout).exits(0);
    assert!(handed_out(&dovecot, "box").is_empty(), "receipts straight from mdrop-store do");
}
