//! mdrop-find on archives of their own: what each question finds, what one user is not told, and words that are read bit by bit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tools::{Ran, message, messages_of, path_of, run, run_command, shell, shipped, stream};
use mdrop::record::{Evidence, Kind, Receipt, Recipient, Role, Sender};
use mdrop::stream::Meta;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

type Message = (Meta, Vec<u8>);

struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new(messages: &[Message]) -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        scene.store(messages);
        scene
    }

    fn archive(&self) -> String {
        self.path("archive").to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self, messages: &[Message]) -> Ran {
        run("mdrop-store", &["--archive", &self.archive()], &stream(messages)).exits(0)
    }

    fn ask(&self, arguments: &[&str]) -> Ran {
        run("mdrop-find", &[&["--archive", &self.archive()], arguments].concat(), b"")
    }

    fn find(&self, arguments: &[&str]) -> Vec<Receipt> {
        self.ask(arguments).exits(0).receipts()
    }

    /// The subjects of what is found, in its order.
    fn subjects(&self, arguments: &[&str]) -> Vec<String> {
        self.find(arguments).iter().map(subject).collect()
    }

    fn files(&self, series: &str) -> Vec<PathBuf> {
        let all = walkdir::WalkDir::new(self.path("archive").join(series)).sort_by_file_name();
        all.into_iter().flatten().filter(|e| e.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
    }
}

fn subject(receipt: &Receipt) -> String {
    receipt.subject.as_ref().unwrap().lossy().into_owned()
}

/// A mail of a day in October, from somebody, with a subject and a text, filed under these users.
fn mail(day: u32, from: &str, subject: &str, text: &str, users: &[&str]) -> Message {
    let head = format!("Date: {day} Oct 2026 08:00:00 +0000\r\nMessage-ID: <{day}@example.net>\r\nFrom: {from}\r\nSubject: {subject}\r\n");
    message(day, format!("{head}To: Team <team@example.com>, outsider@example.net\r\n\r\n{text}\r\n").as_bytes(), users)
}

fn evidence(field: &str, kind: Kind) -> Evidence {
    Evidence { field: field.into(), position: 1, hop: 0, kind }
}

fn recipient(address: &str) -> Recipient {
    Recipient { address: Some(address.into()), user: Some(address.into()), evidence: evidence("envelope-to", Kind::Envelope) }
}

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";

/// Five mails that differ in everything that can be asked for.
fn five() -> Vec<Message> {
    let mut all = vec![
        mail(1, "Zoe <zoe@example.net>", "one", "about the invoice 2026-0042 of Mu\u{308}ller", &[ALICE]),
        mail(2, "Zoe <zoe@example.net>", "two invoices", "nothing", &[ALICE, BOB]),
        mail(3, "Bob <bob@example.com>", "three", "an invoice again, and \u{6771}\u{4eac}\u{90fd}\u{5e81}", &[BOB]),
        mail(4, "carol@sub.example.net", "four", &"long ".repeat(500), &[BOB]),
        mail(5, "carol@sub.example.net", "five", "the end", &["@catchall"]),
    ];
    let route = |n: usize, all: &mut Vec<Message>| all[n].0.route.as_ref().unwrap().clone();
    let mut third = route(2, &mut all);
    third.filings[0].role = Role::Sender;
    third.filings[0].folder = "Sent".into();
    third.filings[0].evidence = Some(evidence("from", Kind::Sender));
    all[2].0.route = Some(third);
    let mut fourth = route(3, &mut all);
    fourth.recipients = vec![recipient(BOB)];
    fourth.sender = Some(Sender { address: Some("bounce@mailer.example.net".into()), evidence: evidence("return-path", Kind::Sender) });
    all[3].0.route = Some(fourth);
    all[4].0.origin.account.name = "other".into();
    let with = b"MIME-Version: 1.0\r\nContent-Type: application/pdf; name=\"Rechnung M=?utf-8?Q?=C3=A4?=rz.pdf\"\r\nContent-Disposition: attachment\r\n";
    let octets = [with.as_slice(), &all[4].1].concat();
    let (meta, _) = message(5, &octets, &["@catchall"]);
    all[4].1 = octets;
    (all[4].0.digest, all[4].0.size, all[4].0.server_size) = (meta.digest, meta.size, meta.server_size);
    all
}

#[test]
fn each_question_finds_what_it_asks_for() {
    let five = five();
    let scene = Scene::new(&five);
    let digest = five[2].0.digest.to_string();
    let cases: [(&[&str], &[&str]); 43] = [
        (&[], &["one", "two invoices", "three", "four", "five"]),
        (&["--reverse"], &["five", "four", "three", "two invoices", "one"]),
        (&["--limit", "2"], &["one", "two invoices"]),
        (&["--limit", "0"], &[]),
        (&["--user", ALICE], &["one", "two invoices"]),
        (&["--user", ALICE, "--reverse"], &["two invoices", "one"]),
        (&["--user", "@catchall"], &["five"]),
        (&["--folder", "Sent"], &["three"]),
        (&["--folder", "INBOX", "--user", BOB], &["two invoices", "four"]),
        (&["--role", "sender"], &["three"]),
        (&["--role", "sender", "--user", ALICE], &[]),
        (&["--from", "ZOE@Example.Net"], &["one", "two invoices"]),
        (&["--from", "@sub.example.net"], &["four", "five"]),
        (&["--from", "bounce@mailer.example.net"], &["four"]),
        (&["--from", "zoe@example.net", "--from", "bob@example.com"], &["one", "two invoices", "three"]),
        (&["--from", "nobody@example.net"], &[]),
        (&["--to", BOB], &["four"]),
        (&["--to", "team@example.com", "--user", ALICE], &["one", "two invoices"]),
        (&["--to", "@example.net", "--since", "2026-10-04"], &["four", "five"]),
        (&["--to", "am@example.com"], &[]),
        (&["--message-id", "2@example.net"], &["two invoices"]),
        (&["--message-id", "<2@example.net>", "--user", BOB], &["two invoices"]),
        (&["--message-id", "<2@example.net>", "--user", "@catchall"], &[]),
        (&["--digest", &digest], &["three"]),
        (&["--digest", &digest["blake3:".len()..], "--user", ALICE], &[]),
        (&["--since", "2026-10-02", "--before", "2026-10-04T08:00:00Z"], &["two invoices", "three"]),
        (&["--since", "2026-10-02T08:00:00Z", "--user", ALICE], &["two invoices"]),
        (&["--larger", "2k"], &["four"]),
        (&["--smaller", "2k", "--larger", "0"], &["one", "two invoices", "three", "five"]),
        (&["--account", "other"], &["five"]),
        (&["--account", "acme", "--limit", "1"], &["one"]),
        (&["--evidence", "sender"], &["three"]),
        (&["--evidence", "envelope:delivered-to", "--user", BOB], &["two invoices", "four"]),
        (&["--evidence", "envelope:x-none"], &[]),
        (&["--has-attachment"], &["five"]),
        (&["invoice"], &["one", "three"]),
        (&["INVOIC*"], &["one", "two invoices", "three"]),
        (&["invoice", "--user", BOB], &["three"]),
        (&["invoice", "2026-0042"], &["one"]),
        (&["\"the invoice\""], &["one"]),
        (&["--subject", "invoices", "--user", ALICE], &["two invoices"]),
        (&["--subject", "invoice"], &[]),
        (&["--not", "invoice invoices", "--not", "m\u{e4}rz"], &["four"]),
    ];
    for (arguments, subjects) in cases {
        assert_eq!(scene.subjects(arguments), subjects, "{arguments:?}");
        let count = scene.ask(&[arguments, &["--count"]].concat()).exits(0).text();
        assert_eq!(count.trim(), subjects.len().to_string(), "{arguments:?}");
    }
}

#[test]
fn words_are_found_as_people_spell_them_in_any_language() {
    let scene = Scene::new(&five());
    for (words, subject) in [
        ("M\u{dc}LLER", "one"),
        ("muller", "one"),
        ("\u{4eac}\u{90fd}", "three"),
        ("\u{5e81}", "three"),
        ("rechnung m\u{e4}rz pdf", "five"),
        ("rechnung*", "five"),
        ("outsider@example.net 0042", "one"),
        ("carol rechnung", "five"),
    ] {
        assert_eq!(scene.subjects(&[words]), [subject], "{words}");
    }
    for words in ["\u{90fd}\u{4eac}", "invoic", "\"invoice the\"", "tsider@example.net"] {
        assert!(scene.find(&[words]).is_empty(), "{words}");
    }
}

#[test]
fn wrong_questions_are_usage_errors_and_unknown_users_are_named() {
    let scene = Scene::new(&five());
    for wrong in [
        &["--since", "yesterday"][..],
        &["--larger", "huge"],
        &["--from", "not an address"],
        &["--digest", "abc"],
        &["--evidence", "guess"],
        &["--role", "owner"],
        &["\"open phrase"],
        &["--subject", "..."],
        &["--json", "--table"],
    ] {
        assert!(scene.ask(wrong).exits(64).stdout.is_empty(), "{wrong:?}");
    }
    assert!(scene.ask(&["--user", "eve@example.com"]).exits(66).stderr.contains("eve@example.com: nothing was ever filed"));
    assert!(run("mdrop-find", &["--archive", "/nonexistent"], b"").exits(66).stderr.contains("no archive here"));
}

/// One message for Alice, of which Bob and an outsider got a blind copy.
fn with_bcc() -> Message {
    let mut one = mail(1, "Zoe <zoe@example.net>", "secret", "text", &[ALICE, BOB]);
    let route = one.0.route.as_mut().unwrap();
    route.recipients = vec![recipient(ALICE), recipient(BOB)];
    route.sender = Some(Sender { address: Some("hidden-sender@example.com".into()), evidence: evidence("return-path", Kind::Sender) });
    one
}

#[test]
fn a_user_is_not_told_who_was_in_bcc() {
    let scene = Scene::new(&[with_bcc()]);
    for arguments in [&["--user", ALICE][..], &["--user", ALICE, "text"], &["--user", ALICE, "--table"]] {
        let told = scene.ask(arguments).exits(0).text();
        assert!(told.contains("secret") && !told.contains("bob") && !told.contains("hidden-sender"), "{told}");
    }
    let receipt = scene.find(&["--user", ALICE]).remove(0);
    assert_eq!(receipt.filings.iter().map(|filing| filing.user.as_str()).collect::<Vec<_>>(), [ALICE]);
    assert_eq!(receipt.recipients, [recipient(ALICE)]);
    assert_eq!(receipt.filings[0].evidence.as_ref().map(|evidence| evidence.field.as_str()), Some("delivered-to"));
    // Nor by what matches.
    for asked in [&["--to", BOB][..], &["bob"], &["bob@example.com"]] {
        assert!(scene.find(&[&["--user", ALICE], asked].concat()).is_empty(), "{asked:?}");
    }
    assert_eq!(scene.subjects(&["--user", BOB, "--to", BOB]), ["secret"], "his own");
    assert_eq!(scene.subjects(&["--to", BOB]), ["secret"], "whoever has the archive sees all");
    let all = scene.find(&[]).remove(0);
    assert_eq!((all.filings.len(), all.recipients.len(), all.sender.is_some()), (2, 2, true));
}

/// A journal report of a mail to Alice, of which Bob got a blind copy; routed, or not found to be one.
fn report(is_found: bool) -> Message {
    let inner = "Date: 1 Oct 2026 08:00:00 +0000\r\nMessage-ID: <j@example.net>\r\nFrom: zoe@example.net\r\nTo: alice@example.com\r\nSubject: inside\r\n\r\nplan\r\n";
    let head = "From: journal@example.com\r\nSubject: report\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\nRecipient: bob@example.com\r\n        --B\r\nContent-Type: message/rfc822\r\n\r\n";
    let octets = format!("{head}{inner}--B--\r\n");
    let mut message = message(1, octets.as_bytes(), &[ALICE, BOB]);
    if is_found {
        let (offset, length) = (Some(head.len() as u64), Some(inner.len() as u64));
        message.0.route.as_mut().unwrap().journal =
            Some(mdrop::stream::Journal { kind: "exchange".into(), offset, length, encoding: None });
    }
    message
}

#[test]
fn what_a_journal_report_says_beside_the_mail_in_it_is_not_found() {
    let scene = Scene::new(&[report(true)]);
    assert_eq!(scene.subjects(&["--user", ALICE, "plan"]), ["inside"]);
    assert!(scene.find(&["bob"]).is_empty() && scene.find(&["--subject", "report"]).is_empty());
    // One that is found to be a report only later, whether its words were read before or not, and however many at once.
    let again = |scene: &Scene| drop(scene.store(&[report(true)]));
    let refiled = |scene: &Scene| {
        run("mdrop-store", &["--archive", &scene.archive(), "--refile"], &stream(&[report(true)])).exits(0);
    };
    let hows = [("stored again", &again as &dyn Fn(&Scene)), ("filed anew", &refiled)];
    let before = [&["--subject", "report"][..], &["bob"], &[]];
    for (asked_before, (how, learn)) in before.into_iter().flat_map(|asked| hows.map(|how| (asked, how))) {
        let scene = Scene::new(&[report(false)]);
        if !asked_before.is_empty() {
            assert_eq!(scene.subjects(asked_before), ["report"]);
        }
        learn(&scene);
        for asked in [&["bob"][..], &["--subject", "report"], &["recipient"]] {
            assert!(scene.find(asked).is_empty(), "{asked:?} after {asked_before:?}, {how}");
        }
        assert_eq!(scene.subjects(&["--user", ALICE, "plan"]), ["inside"], "after {asked_before:?}, {how}");
        assert_eq!(scene.subjects(&["--to", ALICE, "--not", "bob"]), ["inside"]);
    }
}

#[test]
fn of_copies_of_one_mail_a_user_sees_the_one_that_was_filed() {
    let copy = |n: u32, user: &str| {
        let octets = [format!("Delivered-To: {user}\r\n").into_bytes(), mail(7, "zoe@example.net", "copies", "text", &[]).1].concat();
        message(n, &octets, &[user])
    };
    let scene = Scene::new(&[copy(1, ALICE), copy(2, BOB)]);
    assert_eq!(scene.find(&[]).len(), 2);
    let of_bob = scene.find(&["--user", BOB, "text"]);
    assert_eq!(of_bob.iter().map(|receipt| receipt.digest).collect::<Vec<_>>(), [copy(2, BOB).0.digest]);
}

#[test]
fn a_user_is_not_told_by_the_envelopes_sender_who_else_got_a_copy() {
    // A list names the recipient in the sender of each copy; the copies are one mail.
    let copy = |n: u32, user: &str| {
        let octets = [format!("Delivered-To: {user}\r\n").into_bytes(), mail(7, "Zoe <zoe@example.net>", "copies", "text", &[]).1].concat();
        let mut copy = message(n, &octets, &[user]);
        let address = Some(format!("bounce-{}@list.example.org", user.replace('@', "=")).as_str().into());
        copy.0.route.as_mut().unwrap().sender = Some(Sender { address, evidence: evidence("return-path", Kind::Sender) });
        copy
    };
    let scene = Scene::new(&[copy(1, ALICE), copy(2, BOB)]);
    for sender in ["bounce-bob=example.com@list.example.org", "bounce-alice=example.com@list.example.org", "@list.example.org"] {
        assert!(scene.find(&["--user", ALICE, "--from", sender]).is_empty(), "{sender}");
        assert_eq!(scene.ask(&["--user", ALICE, "--from", sender, "--count"]).exits(0).text(), "0\n", "{sender}");
        assert!(!scene.find(&["--from", sender]).is_empty(), "{sender}");
    }
    for sender in ["zoe@example.net", "@example.net"] {
        assert_eq!(scene.subjects(&["--user", ALICE, "--from", sender, "--limit", "1"]), ["copies"]);
        assert_eq!(scene.ask(&["--user", ALICE, "--from", sender, "--count"]).exits(0).text(), "1\n");
    }
}

#[test]
fn a_user_is_not_told_of_another_mail_with_the_same_message_id() {
    let scene =
        Scene::new(&[mail(1, "zoe@example.net", "with Bcc", "text", &[BOB]), mail(1, "zoe@example.net", "without", "text", &[ALICE])]);
    assert!(scene.find(&[]).iter().any(|receipt| receipt.same_message_id.is_some()));
    assert!(scene.find(&["--user", ALICE])[0].same_message_id.is_none());
}

#[test]
fn the_filings_are_those_in_force() {
    let scene = Scene::new(&[]);
    let one = mail(1, "zoe@example.net", "adopted", "text", &[ALICE]);
    scene.store(std::slice::from_ref(&one));
    // The catalog is lost, so the pack is adopted; then the mail is routed again.
    scene.files("catalog").iter().for_each(|path| std::fs::remove_file(path).unwrap());
    std::fs::remove_dir_all(scene.path("archive/cache")).unwrap();
    scene.store(&[mail(2, "zoe@example.net", "other", "x", &[BOB])]);
    assert_eq!(scene.subjects(&["--user", "@catchall", "text"]), ["adopted"]);
    scene.store(&[one]);
    let users = |arguments: &[&str]| {
        let found = scene.find(arguments);
        found.iter().flat_map(|receipt| receipt.filings.iter().map(|filing| filing.user.clone())).collect::<Vec<_>>()
    };
    assert_eq!(users(&["text"]), [ALICE]);
    assert!(scene.find(&["--user", "@catchall"]).is_empty());
}

#[test]
fn words_are_read_once_and_only_when_they_are_asked_for() {
    let scene = Scene::new(&five()[..2]);
    let words = scene.path("archive/cache/text.sqlite");
    scene.find(&["--user", ALICE, "--since", "2026-10-01"]);
    assert!(!words.exists(), "no question for words");
    assert_eq!(scene.subjects(&["--subject", "invoices"]), ["two invoices"]);
    assert_eq!(std::fs::metadata(&words).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(scene.subjects(&["invoice"]), ["one"]);
    scene.store(&five()[2..]);
    // What was read is not read again: these packs are gone, and their words are still found.
    let pack = &scene.files("packs")[0];
    std::fs::rename(pack, scene.path("pack")).unwrap();
    assert_eq!(scene.subjects(&["invoice"]), ["one", "three"]);
    std::fs::rename(scene.path("pack"), pack).unwrap();
    // Another archive's, damaged or missing words are made anew.
    std::fs::write(&words, "no database at all, but long enough to look at".repeat(100)).unwrap();
    assert_eq!(scene.subjects(&["invoice"]), ["one", "three"]);
    std::fs::remove_file(&words).unwrap();
    assert_eq!(scene.subjects(&["invoice"]), ["one", "three"]);
    let other = Scene::new(&five()[3..]);
    other.find(&["end"]);
    std::fs::copy(other.path("archive/cache/text.sqlite"), &words).unwrap();
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{ending}", words.display()));
    }
    assert_eq!(scene.subjects(&["invoice"]), ["one", "three"]);
}

#[test]
fn what_is_damaged_is_told_and_the_others_are_found() {
    let scene = Scene::new(&five()[..1]);
    scene.store(&five()[1..]);
    let packs = scene.files("packs");
    let whole = std::fs::read(&packs[0]).unwrap();
    for damaged in [None, Some(whole[..whole.len() / 2].to_vec()), Some(vec![b'x'; whole.len()])] {
        match damaged {
            Some(octets) => std::fs::write(&packs[0], octets).unwrap(),
            None => std::fs::remove_file(&packs[0]).unwrap(),
        }
        let _ = std::fs::remove_file(scene.path("archive/cache/text.sqlite"));
        for _ in 0..2 {
            let told = scene.ask(&["invoice"]).exits(65);
            assert_eq!(told.receipts().iter().map(subject).collect::<Vec<_>>(), ["three"]);
            assert!(told.stderr.contains(&five()[0].0.digest.to_string()), "{}", told.stderr);
        }
        assert_eq!(scene.subjects(&["--user", ALICE]), ["one", "two invoices"], "no words are asked for");
        std::fs::write(&packs[0], &whole).unwrap();
        assert_eq!(scene.subjects(&["invoice"]), ["one", "three"], "mended");
    }
}

/// So many mails in several segments.
fn many(scene: &Scene, segments: u32) {
    for segment in 0..segments {
        let mails: Vec<_> = (0..50)
            .map(|n| {
                let n = segment * 50 + n + 1;
                let text: Vec<String> = (0..2000).map(|word| format!("word{}", (n * 7919 + word * 104_729) % 5000)).collect();
                let text = text.join(" ");
                let octets =
                    format!("Message-ID: <{n}@example.net>\r\nDate: 1 Oct 2026 08:00:00 +0000\r\nSubject: {n}\r\n\r\ncommon {text}\r\n");
                message(n, octets.as_bytes(), &[ALICE])
            })
            .collect();
        scene.store(&mails);
    }
}

#[test]
fn two_at_once_and_one_that_is_killed_find_all_in_the_end() {
    let scene = Scene::new(&[]);
    many(&scene, 6);
    let start = || {
        let mut command = Command::new(path_of("mdrop-find"));
        command.args(["--archive", &scene.archive(), "common", "--count"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for wait in [20, 60, 120] {
        let mut killed = start();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        killed.kill().unwrap();
        killed.wait().unwrap();
    }
    let children = [start(), start(), start()];
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "300", "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(scene.ask(&["word17", "--count"]).exits(0).text(), {
        let _ = std::fs::remove_file(scene.path("archive/cache/text.sqlite"));
        scene.ask(&["word17", "--count"]).exits(0).text()
    });
}

#[test]
fn a_signal_stops_the_reading_and_the_next_run_goes_on() {
    let scene = Scene::new(&[]);
    many(&scene, 6);
    let line =
        format!("env --default-signal=TERM timeout -s TERM 0.15 {} --archive archive common --count", path_of("mdrop-find").display());
    let ran = run_command(Command::new("sh").arg("-c").arg(&line).current_dir(scene.folder.path()), b"");
    assert!(ran.code == 124 || ran.code == 0, "{}: {}", ran.code, ran.stderr);
    if ran.code == 124 {
        assert!(ran.stderr.contains("stopped by a signal; run it again to go on"), "{}", ran.stderr);
    }
    assert_eq!(scene.ask(&["common", "--count"]).exits(0).text().trim(), "300");
}

#[test]
fn every_shipped_message_is_found_by_its_own_subject() {
    let sent: Vec<_> = shipped().iter().zip(1..).map(|(octets, uid)| message(uid, octets, &[ALICE])).collect();
    let scene = Scene::new(&sent);
    let all = scene.find(&[]);
    let distinct: BTreeSet<_> = sent.iter().map(|(meta, _)| meta.digest).collect();
    assert_eq!(all.iter().map(|receipt| receipt.digest).collect::<BTreeSet<_>>(), distinct);
    let mut asked = 0;
    for receipt in all.iter().filter(|receipt| receipt.subject.is_some()).step_by(5) {
        let words = mdrop::words::decoded(receipt.subject.as_ref().unwrap().as_bytes()).replace(['"', '*'], " ");
        let ran = scene.ask(&["--subject", &words]);
        if ran.code == 0 {
            asked += 1;
            assert!(ran.receipts().iter().any(|found| found.digest == receipt.digest), "{words}");
        }
    }
    assert!(asked > 20, "{asked}");
}

#[test]
fn the_table_is_for_people_and_obeys_no_stranger() {
    let scene = Scene::new(&[mail(1, "\"Zoe \u{1b}[31m\" <zoe@example.net>", "=?utf-8?B?4oCuG1szMW1yZWQHIOadseS6rA==?=", "x", &[ALICE])]);
    let text = scene.ask(&["--table"]).exits(0).text();
    assert!(
        text.starts_with("2026-10-01 08:00  Zoe") && text.contains("\u{6771}\u{4eac}") && text.contains("alice@example.com/INBOX"),
        "{text}"
    );
    assert!(!text.trim_end().chars().any(char::is_control) && text.lines().count() == 1, "{text:?}");
    // On a terminal it is the default, as wide as that, and JSON is an option.
    let tool = path_of("mdrop-find");
    let on_terminal = |options: &str| {
        let line = format!("TERM=xterm script -qec 'stty cols 80; {} --archive archive {options}' /dev/null </dev/null", tool.display());
        shell(scene.folder.path(), &line)
    };
    let line = on_terminal("");
    assert_eq!(line.trim_end_matches(['\r', '\n']).chars().count(), 80 - 2, "{line}: two characters are two columns wide");
    assert!(on_terminal("--json").starts_with("{\"type\":\"receipt\""));
}

/// The page's examples, with a folder in place of the profile.
fn example(begins: &str) -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("man/mdrop-find.1")).unwrap();
    let at = page.find(begins).unwrap_or_else(|| panic!("{begins}"));
    let rest = &page[at..];
    let rest = rest.split("\n.").next().unwrap();
    rest.replace("\\e\n", "\\\n").replace("-p acme", "--archive archive")
}

#[test]
fn the_pages_examples_work_with_mutt_jq_and_mdrop_cat() {
    let scene = Scene::new(&five());
    let tools = path_of("mdrop-find").parent().unwrap().display().to_string();
    let settings = "set folder=/tmp\nset status_format=\"COUNT=%m=\"\nset quit=yes\nset mbox_type=mbox\npush <quit>\n";
    std::fs::write(scene.path("muttrc"), settings).unwrap();
    let mutt = example("mutt -f <(").replace("mutt -f", "mutt -n -F muttrc -R -f").replace("invoice ", "invoice* ");
    std::fs::write(scene.path("line"), format!("PATH={tools}:$PATH\n{mutt}\n")).unwrap();
    let line = "TERM=xterm timeout 60 script -qec 'bash line' /dev/null </dev/null | grep -ao 'COUNT=[0-9]*' | tail -1 | tr -dc 0-9";
    assert_eq!(shell(scene.folder.path(), line), "2", "mutt");
    let with_tools = |line: &str| shell(scene.folder.path(), &format!("PATH={tools}:$PATH; {line}"));
    let maildir = example("mdrop-find -p acme --since 2026-10-01").replace("@example.net", "@sub.example.net");
    with_tools(&maildir);
    assert_eq!(with_tools("ls october/cur october/new | grep -c ."), with_tools("ls october/cur october/new | grep -c ."));
    assert!(with_tools("cat october/*/*").contains("Subject: five"));
    let most = with_tools(&example("mdrop-find -p acme --since 7d").replace("7d", "2026-10-01"));
    assert!(most.lines().any(|line| line.trim() == "2 Zoe <zoe@example.net>"), "{most}");
    let cat = run("mdrop-cat", &["--archive", &scene.archive(), "--stream"], &scene.ask(&["invoice"]).stdout).exits(0);
    assert_eq!(messages_of(&cat.stdout).len(), 2);
}
