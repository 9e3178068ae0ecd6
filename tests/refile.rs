//! mdrop-store --refile: archived mail is filed anew after the users file or the routing has changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tools::{Ran, message, messages_of, run, stream};
use mdrop::identity::{Place, Uid, UidValidity};
use mdrop::record::{Record, Refiling};
use mdrop::stream::Meta;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// An archive with a profile and a users file.
struct Scene {
    folder: tempfile::TempDir,
}

const ALICE: &str = "[[user]]\nname = \"alice@example.com\"\n";
const BOB: &str = "[[user]]\nname = \"bob@example.com\"\n";

impl Scene {
    fn new(users: &str) -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        scene.profile("");
        scene.users(users);
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the profile; `more` goes to `[route]`.
    fn profile(&self, more: &str) {
        let profile = format!(
            "[account]\nprotocol = \"imap\"\nhost = \"h\"\nusername = \"a\"\npassword-command = \"true\"\n\
             [route]\ndomains = [\"example.com\"]\nusers = \"users.toml\"\ntrusted-fields = [\"delivered-to:1\"]\n{more}\n\
             [store]\narchive = \"archive\"\n"
        );
        self.write("acme.toml", &profile);
    }

    fn users(&self, users: &str) {
        self.write("users.toml", users);
    }

    fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn run(&self, tool: &str, arguments: &[&str], input: &[u8]) -> Ran {
        run(tool, &[&["-p", self.path("acme.toml").to_str().unwrap()], arguments].concat(), input)
    }

    fn route(&self, stream: &[u8]) -> Vec<u8> {
        self.run("mdrop-route", &[], stream).exits(0).stdout
    }

    /// Routes and stores messages.
    fn store(&self, messages: &[(Meta, Vec<u8>)]) {
        self.run("mdrop-store", &[], &self.route(&stream(messages))).exits(0);
    }

    fn all(&self) -> Vec<u8> {
        self.run("mdrop-cat", &["--all", "--stream"], b"").exits(0).stdout
    }

    /// The whole archive through the routing, filed anew.
    fn refile(&self) -> Vec<Refiling> {
        refilings(&self.refile_of(&self.all(), &[]).exits(0))
    }

    fn refile_of(&self, stream: &[u8], arguments: &[&str]) -> Ran {
        self.run("mdrop-store", &[&["--refile"], arguments].concat(), &self.route(stream))
    }

    /// The subjects of a user's mail with their folders, as the index says, and as it does when it is made anew.
    fn mail_of(&self, user: &str) -> BTreeSet<String> {
        let now = self.subjects_of(user);
        std::fs::remove_dir_all(self.path("archive/cache")).unwrap();
        assert_eq!(self.subjects_of(user), now, "the catalog says the same as the index");
        now
    }

    fn subjects_of(&self, user: &str) -> BTreeSet<String> {
        let eml = tempfile::tempdir().unwrap();
        let ran = self.run("mdrop-cat", &["--user", user, "--eml", eml.path().to_str().unwrap()], b"");
        if ran.code == 66 {
            return BTreeSet::new();
        }
        ran.exits(0);
        let files = walkdir::WalkDir::new(eml.path()).into_iter().map(|entry| entry.unwrap()).filter(|entry| entry.file_type().is_file());
        files
            .map(|entry| {
                let folder = entry.path().parent().unwrap().strip_prefix(eml.path()).unwrap().to_str().unwrap().to_owned();
                let text = std::fs::read_to_string(entry.path()).unwrap();
                let subject = text.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap();
                format!("{folder}/{subject}")
            })
            .collect()
    }

    fn check(&self) {
        self.run("mdrop-check", &[], b"").exits(0);
    }

    fn segments(&self) -> usize {
        let files = walkdir::WalkDir::new(self.path("archive/catalog")).into_iter().map(|entry| entry.unwrap());
        files.filter(|entry| entry.file_type().is_file()).count()
    }
}

fn refilings(ran: &Ran) -> Vec<Refiling> {
    ran.records().into_iter().filter_map(|record| if let Record::Refiling(refiling) = record { Some(*refiling) } else { None }).collect()
}

/// A message that was delivered to these addresses' mailbox, not routed yet.
fn mail(uid: u32, delivered_to: &str, subject: &str) -> (Meta, Vec<u8>) {
    let octets = format!(
        "Delivered-To: {delivered_to}\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{subject}@example.org>\r\n\
         From: x@example.org\r\nTo: undisclosed\r\nSubject: {subject}\r\n\r\nmail {subject}\r\n"
    );
    let (mut meta, octets) = message(uid, octets.as_bytes(), &[]);
    meta.route = None;
    (meta, octets)
}

fn set(subjects: &[&str]) -> BTreeSet<String> {
    subjects.iter().map(|subject| (*subject).to_owned()).collect()
}

#[test]
fn the_catchall_empties_as_users_are_added_and_a_second_run_records_nothing() {
    let scene = Scene::new(ALICE);
    scene.store(&[mail(1, "alice@example.com", "one"), mail(2, "bob@example.com", "two"), mail(3, "carol@example.com", "three")]);
    assert_eq!(scene.mail_of("@catchall"), set(&["INBOX/two", "INBOX/three"]));
    scene.users(&format!("{ALICE}{BOB}"));
    let refilings = scene.refile();
    assert_eq!(refilings.len(), 1);
    assert_eq!((refilings[0].added[0].user.as_str(), refilings[0].removed[0].user.as_str()), ("bob@example.com", "@catchall"));
    assert_eq!(refilings[0].added[0].evidence.as_ref().unwrap().field, "delivered-to");
    assert_eq!(scene.mail_of("bob@example.com"), set(&["INBOX/two"]));
    assert_eq!(scene.mail_of("@catchall"), set(&["INBOX/three"]));
    assert_eq!(scene.mail_of("alice@example.com"), set(&["INBOX/one"]));
    let segments = scene.segments();
    assert_eq!(scene.refile(), []);
    assert_eq!(scene.segments(), segments);
    scene.check();
}

#[test]
fn a_user_who_is_removed_loses_all_mail_to_the_catchall_also_where_policy_would_skip_it() {
    for policy in ["", "unknown = \"skip\""] {
        let scene = Scene::new(&format!("{ALICE}{BOB}"));
        scene.store(&[mail(1, "alice@example.com", "one"), mail(2, "bob@example.com", "two")]);
        scene.profile(policy);
        scene.users(ALICE);
        assert_eq!(scene.refile().len(), 1);
        assert_eq!(scene.mail_of("bob@example.com"), set(&[]));
        assert_eq!(scene.mail_of("@catchall"), set(&["INBOX/two"]));
        assert_eq!(scene.refile(), []);
        scene.check();
    }
}

#[test]
fn an_alias_that_passes_to_another_user_takes_its_mail_along() {
    let alias = "aliases = [\"info@example.com\"]\n";
    let scene = Scene::new(&format!("{ALICE}{alias}{BOB}"));
    scene.store(&[mail(1, "alice@example.com", "one"), mail(2, "info@example.com", "two")]);
    scene.users(&format!("{ALICE}{BOB}{alias}"));
    scene.refile();
    assert_eq!(scene.mail_of("alice@example.com"), set(&["INBOX/one"]));
    assert_eq!(scene.mail_of("bob@example.com"), set(&["INBOX/two"]));
    scene.check();
}

#[test]
fn a_folder_that_changed_is_lost_and_gained() {
    let scene = Scene::new(ALICE);
    scene.store(&[mail(1, "alice@example.com", "one")]);
    scene.profile("folder = \"Old/{mailbox}\"");
    let refilings = scene.refile();
    assert_eq!((refilings[0].removed[0].folder.as_str(), refilings[0].added[0].folder.as_str()), ("INBOX", "Old/INBOX"));
    assert_eq!(scene.mail_of("alice@example.com"), set(&["Old/INBOX/one"]));
    assert_eq!(scene.refile(), []);
}

#[test]
fn what_any_copy_of_a_mail_says_counts_and_a_copy_that_did_not_come_costs_nobody_a_mail() {
    let scene = Scene::new(&format!("{ALICE}{BOB}"));
    scene.store(&[mail(1, "alice@example.com", "one"), mail(2, "bob@example.com", "one"), mail(3, "alice@example.com", "two")]);
    assert_eq!(scene.refile(), []);
    // Alice is gone: of the mail with two copies, Bob's stays.
    scene.users(BOB);
    let all = messages_of(&scene.all());
    let part: Vec<_> = all.iter().filter(|(_, octets)| octets.starts_with(b"Delivered-To: alice")).cloned().collect();
    assert_eq!(part.len(), 2);
    let ran = scene.refile_of(&stream(&part), &[]).exits(0);
    assert!(ran.stderr.contains("unseen: ") && ran.stderr.contains("stays filed under alice@example.com"), "{}", ran.stderr);
    assert_eq!(scene.mail_of("alice@example.com"), set(&["INBOX/one"]));
    assert_eq!(scene.mail_of("@catchall"), set(&["INBOX/one", "INBOX/two"]));
    scene.refile();
    assert_eq!(scene.mail_of("alice@example.com"), set(&[]));
    assert_eq!(scene.mail_of("bob@example.com"), set(&["INBOX/one"]));
    assert_eq!(scene.refile(), []);
    scene.check();
}

#[test]
fn a_filing_passes_to_the_copy_that_names_the_user() {
    let scene = Scene::new(&format!("{ALICE}aliases = [\"info@example.com\", \"sales@example.com\"]\n"));
    scene.store(&[mail(1, "info@example.com", "one"), mail(2, "sales@example.com", "one")]);
    let copy = |scene: &Scene| scene.run("mdrop-cat", &["--user", "alice@example.com"], b"").exits(0).text();
    assert!(copy(&scene).contains("Delivered-To: info"));
    scene.users(&format!("{ALICE}aliases = [\"sales@example.com\"]\n"));
    scene.refile();
    assert!(copy(&scene).contains("Delivered-To: sales"));
    assert_eq!(scene.mail_of("alice@example.com"), set(&["INBOX/one"]));
    assert_eq!(scene.refile(), []);
}

#[test]
fn a_journal_report_is_taken_for_its_mail_once_the_profile_knows_it() {
    let report = include_bytes!("messages/109-journal-expanded.eml");
    let subject_of = |text: &[u8]| {
        String::from_utf8_lossy(text).lines().filter_map(|l| l.strip_prefix("Subject: ").map(str::to_owned)).next_back().unwrap()
    };
    let scene = Scene::new(&format!("{ALICE}{BOB}"));
    scene.profile("journal = \"never\"");
    let (mut meta, octets) = message(7, report, &[]);
    meta.route = None;
    if scene.run("mdrop-route", &[], &stream(&[(meta.clone(), octets.clone())])).code == 78 {
        scene.profile("journal-from = [\"nobody@example.org\"]");
    }
    scene.store(&[(meta, octets.clone()), mail(8, "alice@example.com", "other")]);
    let before = scene.segments();
    scene.profile("");
    let refilings = scene.refile();
    assert!(!refilings.is_empty() && scene.segments() > before);
    let inner = subject_of(&octets);
    let users: BTreeSet<String> = refilings.iter().flat_map(|r| r.added.iter().map(|f| f.user.clone())).collect();
    for user in users {
        assert!(scene.mail_of(&user).iter().any(|subject| subject.ends_with(&inner)), "{user} {inner}");
    }
    assert_eq!(scene.refile(), []);
    scene.check();
}

/// Two copies of a journal report, archived before the profile knew that it is one, and then filed anew.
fn two_reports_filed_anew() -> (Scene, usize) {
    let report = include_bytes!("messages/109-journal-expanded.eml");
    let scene = Scene::new("[[user]]\nname = \"carol@example.com\"\n[[user]]\nname = \"dave@example.com\"\n");
    scene.profile("journal-from = [\"nobody@example.org\"]");
    let copy = |n: u32| {
        let (mut meta, octets) = message(n, &[format!("X-UIDL: {n}\r\n").as_bytes(), report].concat(), &[]);
        meta.route = None;
        (meta, octets)
    };
    scene.store(&[copy(1), copy(2)]);
    let before = scene.segments();
    assert_eq!(scene.mail_of("@catchall").len(), 1, "they are copies of one mail");
    scene.profile("");
    scene.refile();
    (scene, before)
}

#[test]
fn copies_that_are_all_taken_for_another_mail_leave_nothing_behind() {
    let (scene, _) = two_reports_filed_anew();
    assert_eq!(scene.mail_of("@catchall"), set(&[]));
    assert!(!scene.mail_of("carol@example.com").is_empty());
    scene.check();
}

#[test]
fn a_message_that_is_taken_for_another_mail_is_somebodys_after_each_commit() {
    let (scene, before) = two_reports_filed_anew();
    let all = scene.mail_of("carol@example.com");
    // As a crash behind the first commit leaves it.
    let files = walkdir::WalkDir::new(scene.path("archive/catalog")).sort_by_file_name().into_iter().map(|entry| entry.unwrap());
    let files = files.filter(|entry| entry.file_type().is_file());
    files.skip(before + 1).for_each(|entry| std::fs::remove_file(entry.path()).unwrap());
    std::fs::remove_dir_all(scene.path("archive/cache")).unwrap();
    assert_eq!(scene.mail_of("carol@example.com"), all);
}

#[test]
fn a_dry_run_says_who_gains_and_who_loses_and_changes_nothing() {
    let scene = Scene::new(ALICE);
    scene.store(&[mail(1, "alice@example.com", "one"), mail(2, "bob@example.com", "two")]);
    scene.users(BOB);
    let segments = scene.segments();
    let ran = scene.refile_of(&scene.all(), &["--dry-run"]).exits(0);
    let text = ran.text();
    let digests: Vec<String> = messages_of(&scene.all()).iter().map(|(meta, _)| meta.digest.to_string()).collect();
    let line = |user: &str, word: &str, n: usize, subject: &str| format!("{user}\t{word}\trecipient\tINBOX\t{}\t{subject}", digests[n]);
    let lines: BTreeSet<&str> = text.lines().collect();
    let wanted = [
        line("alice@example.com", "loses", 0, "one"),
        line("@catchall", "gains", 0, "one"),
        line("@catchall", "loses", 1, "two"),
        line("bob@example.com", "gains", 1, "two"),
    ];
    assert_eq!(lines, wanted.iter().map(String::as_str).collect());
    assert!(ran.stderr.contains("alice@example.com gains 0 and loses 1 messages"), "{}", ran.stderr);
    assert_eq!(scene.segments(), segments);
    assert_eq!(scene.mail_of("alice@example.com"), set(&["INBOX/one"]));
}

#[test]
fn what_the_archive_does_not_hold_was_not_routed_or_is_another_accounts_is_passed_over() {
    let scene = Scene::new(ALICE);
    scene.store(&[mail(1, "bob@example.com", "one")]);
    scene.users(BOB);
    let strange = stream(&[mail(9, "bob@example.com", "strange")]);
    assert!(scene.refile_of(&strange, &[]).exits(65).stderr.contains("the archive does not hold this message"));
    assert!(scene.run("mdrop-store", &["--refile"], &scene.all()).exits(65).stderr.contains("was not routed"));
    let mut others = messages_of(&scene.all());
    others[0].0.origin.account.name = "other".into();
    let ran = scene.refile_of(&stream(&others), &[]).exits(0);
    assert!(ran.stdout.is_empty() && ran.stderr.contains("1 messages of other accounts"), "{}", ran.stderr);
    assert_eq!(scene.mail_of("@catchall"), set(&["INBOX/one"]));
    let archive = scene.path("archive");
    let ran = run("mdrop-store", &["--archive", archive.to_str().unwrap(), "--refile"], &scene.route(&stream(&others))).exits(0);
    assert_eq!(refilings(&ran).len(), 1);
    scene.check();
}

#[test]
fn a_message_lies_where_it_was_seen_last_and_origins_stay_as_they_are() {
    let scene = Scene::new(ALICE);
    let (first, octets) = mail(1, "alice@example.com", "one");
    let mut moved = first.clone();
    moved.origin.place = Place::Imap { mailbox: "Archive".into(), uidvalidity: UidValidity(3), uid: Uid(5) };
    scene.store(&[(first, octets.clone())]);
    // The moment of archiving is told in seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    scene.store(&[(moved.clone(), octets)]);
    let known = || scene.run("mdrop-store", &["--known"], b"").exits(0).text();
    let before = known();
    let all = messages_of(&scene.all());
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].0.origin, moved.origin);
    scene.refile();
    assert_eq!(scene.mail_of("alice@example.com"), set(&["Archive/one"]));
    assert_eq!(known(), before);
}

#[test]
fn a_run_that_is_cut_short_and_repeated_ends_as_if_it_had_not_been() {
    let scene = Scene::new(ALICE);
    let messages: Vec<_> =
        (1..40).map(|n| mail(n, if n % 3 == 0 { "alice@example.com" } else { "bob@example.com" }, &format!("s{}", n / 2))).collect();
    scene.store(&messages);
    scene.users(BOB);
    let routed = scene.route(&scene.all());
    let cut = scene.run("mdrop-store", &["--refile"], &routed[..routed.len() / 2]);
    assert_eq!(cut.code, 65);
    scene.refile();
    let bobs: BTreeSet<String> = (1..40).filter(|n| n % 3 != 0).map(|n| format!("INBOX/s{}", n / 2)).collect();
    assert_eq!(scene.mail_of("bob@example.com"), bobs);
    assert_eq!(scene.mail_of("alice@example.com"), set(&[]));
    assert_eq!(scene.refile(), []);
    scene.check();
}

#[test]
fn adopted_mail_gets_its_filings_and_a_report_is_known_again() {
    let scene = Scene::new(&format!("{ALICE}{BOB}"));
    let (mut report, octets) = message(7, include_bytes!("messages/109-journal-expanded.eml"), &[]);
    report.route = None;
    scene.store(&[mail(1, "alice@example.com", "one"), mail(2, "carol@example.com", "two"), (report, octets)]);
    let before = [scene.mail_of("alice@example.com"), scene.mail_of("bob@example.com"), scene.mail_of("@catchall")];
    assert!(before[0] == set(&["INBOX/one"]) && before[2].len() == 2, "{before:?}");
    std::fs::remove_dir_all(scene.path("archive/catalog")).unwrap();
    std::fs::remove_dir_all(scene.path("archive/cache")).unwrap();
    scene.run("mdrop-store", &[], b"").exits(0);
    assert_eq!(scene.mail_of("@catchall").len(), 3);
    scene.refile();
    assert_eq!([scene.mail_of("alice@example.com"), scene.mail_of("bob@example.com"), scene.mail_of("@catchall")], before);
    assert_eq!(scene.refile(), []);
    scene.check();
}

#[test]
fn the_run_log_says_who_gained_and_who_lost_and_accounts_for_every_message() {
    let scene = Scene::new(ALICE);
    scene.store(&[mail(1, "alice@example.com", "one"), mail(2, "bob@example.com", "two")]);
    scene.users(BOB);
    let log = scene.path("log");
    let routed = scene.run("mdrop-route", &["--log", log.to_str().unwrap()], &scene.all()).exits(0).stdout;
    scene.run("mdrop-store", &["--refile", "--log", log.to_str().unwrap()], &routed).exits(0);
    let report = run("mdrop-report", &[log.to_str().unwrap()], b"");
    assert!(!report.stderr.contains("accounts for"), "{}", report.stderr);
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(
        text.contains("\"gained:bob@example.com\":{\"messages\":1") && text.contains("\"lost:alice@example.com\":{\"messages\":1"),
        "{text}"
    );
}
