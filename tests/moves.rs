//! Messages that move: from mailbox to mailbox, with a mailbox that is renamed, over a change of UIDVALIDITY; with and without OBJECTID.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::client::{Client, quoted};
use common::dovecot::Dovecot;
use common::served::mailserver::{Faults, Mailbox, Message};
use common::served::{Served, with_profile};
use common::tools::Ran;
use mdrop::archive::Archive;
use mdrop::archive::commit::Writer;
use mdrop::archive::moves::{Book, Folders, Recorder, Seen};
use mdrop::archive::segment::Segment;
use mdrop::archive::shelf::Series;
use mdrop::error::{Error, Status};
use mdrop::profile::RouteSettings;
use mdrop::record::{By, Listing, Move, Purged, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const ALICE: &str = "alice@example.com";

fn mail(n: usize) -> Vec<u8> {
    let date = format!("Date: Sun, 1 Nov 2026 00:{:02}:{:02} +0000", n / 60 % 60, n % 60);
    format!(
        "Delivered-To: {ALICE}\r\nFrom: x@example.net\r\nTo: {ALICE}\r\nSubject: {n}\r\nMessage-ID: <{n}@x>\r\n{date}\r\n\r\nbody {n}\r\n"
    )
    .into_bytes()
}

/// A run of all stages, with what they logged and printed.
struct Pass {
    /// What mdrop-fetch logged.
    log: Vec<Record>,
    /// How many messages it handed on.
    fetched: usize,
    /// What mdrop-store --moves printed.
    moved: Vec<Record>,
}

impl Pass {
    fn listing(&self, mailbox: &str) -> &Listing {
        let of = |record: &&Record| matches!(record, Record::Listing(l) if l.mailbox.as_ref().is_some_and(|m| m.as_str() == Some(mailbox)));
        match self.log.iter().find(of) {
            Some(Record::Listing(listing)) => listing,
            _ => panic!("no listing of {mailbox}: {:?}", self.log),
        }
    }

    fn moves(&self) -> Vec<&Move> {
        self.moved.iter().filter_map(|record| if let Record::Move(moved) = record { Some(&**moved) } else { None }).collect()
    }

    /// `INBOX/1>Old/3 digest`, sorted.
    fn told(&self) -> Vec<String> {
        let short = |origin: &mdrop::identity::Origin| origin.to_string().split_once('/').unwrap().1.replace(": UID ", "/");
        let text = |word: &str, m: &Move| format!("{word} {}>{} {:?}", short(&m.origin), short(&m.to), m.by).to_lowercase();
        let all = self.moved.iter().filter_map(|record| match record {
            Record::Move(moved) => Some(text("move", moved)),
            Record::Copy(copied) => Some(text("copy", copied)),
            _ => None,
        });
        let mut all: Vec<String> = all.collect();
        all.sort();
        all
    }
}

/// Runs fetch, route and store, and leaves the log of the first.
fn fetch(profile: &Path, log: &Path) -> usize {
    let known = with_profile("mdrop-store", profile, &["--known"], b"").exits(0);
    let fetched = with_profile("mdrop-fetch", profile, &["-q", "--known", "-", "--log", log.to_str().unwrap()], &known.stdout).exits(0);
    let routed = with_profile("mdrop-route", profile, &["-q"], &fetched.stdout).exits(0);
    with_profile("mdrop-store", profile, &[], &routed.stdout).exits(0);
    fetched.messages().len()
}

fn moves(profile: &Path, log: &Path) -> Ran {
    with_profile("mdrop-store", profile, &["--moves", log.to_str().unwrap()], b"")
}

fn pass(profile: &Path) -> Pass {
    let log = profile.with_extension("log");
    let _ = std::fs::remove_file(&log);
    let fetched = fetch(profile, &log);
    let text = std::fs::read(&log).unwrap();
    let logged = text.split_inclusive(|b| *b == b'\n').map(|line| Record::parse(line).unwrap()).collect();
    Pass { log: logged, fetched, moved: moves(profile, &log).exits(0).records() }
}

/// How many mails a user has in each folder.
fn folders(archive: &Path, user: &str) -> BTreeMap<String, usize> {
    let archive = Archive::open(archive, None).unwrap();
    let mut folders = BTreeMap::new();
    let each = |_, folder| {
        *folders.entry(folder).or_default() += 1;
        Ok(())
    };
    archive.index.each_of_user(user, false, each).unwrap();
    folders
}

fn in_folders(all: &[(&str, usize)]) -> BTreeMap<String, usize> {
    all.iter().map(|(folder, mails)| ((*folder).to_owned(), *mails)).collect()
}

fn segments(archive: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(archive.join("catalog")).sort_by_file_name().into_iter().flatten();
    files.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

/// A server of our own with ten messages in INBOX.
struct Scene {
    served: Served,
    profile: PathBuf,
    archive: PathBuf,
}

impl Scene {
    fn new(object_ids: bool, purge: &str) -> Self {
        let served = Served::with((1..=10).map(mail), |config| config.object_ids = object_ids);
        let profile = served.profile("imap", "archive", purge);
        let archive = served.folder.path().join("archive");
        Self { served, profile, archive }
    }

    fn pass(&self) -> Pass {
        self.served.server.clear_commands();
        pass(&self.profile)
    }

    fn add_mailbox(&self, name: &str, uidvalidity: u32) {
        self.served.server.with_mailboxes(|all| all.push(Mailbox::new(name, uidvalidity)));
    }

    fn mailbox<T>(&self, name: &str, look: impl FnOnce(&mut Mailbox) -> T) -> T {
        self.served.server.with_mailbox(name, look).unwrap()
    }

    fn take(&self, from: &str, uid: u32) -> Message {
        self.mailbox(from, |mailbox| mailbox.take(uid)).unwrap()
    }

    fn put(&self, to: &str, message: Message) -> u32 {
        self.mailbox(to, |mailbox| mailbox.put(message))
    }

    fn move_to(&self, from: &str, uid: u32, to: &str) -> u32 {
        let message = self.take(from, uid);
        self.put(to, message)
    }

    fn copy_to(&self, from: &str, uid: u32, to: &str) -> u32 {
        let message = self.mailbox(from, |mailbox| mailbox.message(uid).cloned()).unwrap();
        self.put(to, message)
    }

    fn rename(&self, from: &str, to: &str) {
        self.mailbox(from, |mailbox| to.clone_into(&mut mailbox.name));
    }

    /// Whether the octets of any message were asked for since the last pass began.
    fn read_any(&self) -> bool {
        self.served.server.commands().iter().any(|command| command.contains("BODY"))
    }

    /// Nothing is fetched, known or recorded anew.
    #[track_caller]
    fn rests(&self) {
        let before = segments(&self.archive);
        let again = self.pass();
        assert_eq!((again.fetched, again.moved.len()), (0, 0), "{:?}", again.told());
        assert_eq!(segments(&self.archive), before, "a second run records nothing");
        with_profile("mdrop-check", &self.profile, &[], b"").exits(0);
    }

    fn alice(&self) -> BTreeMap<String, usize> {
        folders(&self.archive, ALICE)
    }
}

#[test]
fn without_object_ids_a_move_is_seen_by_its_digest_and_the_folder_follows() {
    let scene = Scene::new(false, "");
    scene.add_mailbox("Projects", 3);
    assert_eq!(scene.pass().fetched, 10);
    assert_eq!(scene.alice(), in_folders(&[("INBOX", 10)]));
    scene.move_to("INBOX", 4, "Projects");
    scene.copy_to("INBOX", 5, "Projects");
    scene.take("INBOX", 6);
    let pass = scene.pass();
    assert_eq!(pass.fetched, 2);
    // A copy is no move, and what was deleted has moved nowhere.
    assert_eq!(pass.told(), ["move inbox/4>projects/1 digest"]);
    let [Record::Move(_), Record::Refiling(refiling)] = pass.moved.as_slice() else { panic!("{:?}", pass.moved) };
    assert_eq!((refiling.removed[0].folder.as_str(), refiling.added[0].folder.as_str()), ("INBOX", "Projects"));
    assert_eq!(scene.alice(), in_folders(&[("INBOX", 9), ("Projects", 1)]));
    scene.rests();
    // The copy's first place goes: now it has moved.
    scene.take("INBOX", 5);
    assert_eq!(scene.pass().told(), ["move inbox/5>projects/2 digest"]);
    assert_eq!(scene.alice(), in_folders(&[("INBOX", 8), ("Projects", 2)]));
    scene.rests();
    // And back.
    scene.move_to("Projects", 1, "INBOX");
    assert_eq!(scene.pass().told(), ["move projects/1>inbox/11 digest"]);
    assert_eq!(scene.alice(), in_folders(&[("INBOX", 9), ("Projects", 1)]));
    scene.rests();
    // The history is all there.
    let archive = Archive::open(&scene.archive, None).unwrap();
    let numbers = archive.shelf.list(Series::Segment, 1).unwrap();
    let records = numbers.into_iter().flat_map(|number| Segment::open(&archive.shelf, number).unwrap()).map(Result::unwrap);
    assert_eq!(records.filter(|record| matches!(record, Record::Move(_))).count(), 3);
}

#[test]
fn the_index_that_is_made_anew_knows_the_same() {
    let scene = Scene::new(true, "");
    scene.add_mailbox("Projects", 3);
    scene.pass();
    scene.move_to("INBOX", 4, "Projects");
    scene.copy_to("INBOX", 5, "Projects");
    scene.pass();
    let known = || with_profile("mdrop-store", &scene.profile, &["--known"], b"").exits(0).stdout;
    let (before, filed) = (known(), scene.alice());
    std::fs::remove_dir_all(scene.archive.join("cache")).unwrap();
    assert_eq!(known(), before);
    assert_eq!(scene.alice(), filed);
    scene.rests();
}

#[test]
fn a_change_of_uidvalidity_moves_every_message_and_no_folder() {
    let scene = Scene::new(false, "");
    scene.pass();
    scene.mailbox("INBOX", |inbox| inbox.uid_validity = 10);
    let pass = scene.pass();
    assert_eq!((pass.fetched, pass.moves().len(), pass.moved.len()), (10, 10, 10));
    assert!(pass.moves().iter().all(|moved| moved.by == By::Digest));
    assert_eq!(scene.alice(), in_folders(&[("INBOX", 10)]));
    // What the old UIDVALIDITY had is known no more.
    let known = with_profile("mdrop-store", &scene.profile, &["--known"], b"").exits(0).records();
    let generations: Vec<u32> =
        known.iter().filter_map(|record| if let Record::Known(known) = record { known.uidvalidity } else { None }).map(|v| v.0).collect();
    assert_eq!(generations, [10]);
    scene.rests();
}

#[test]
fn a_renamed_mailbox_is_known_by_its_mailboxid_and_nothing_is_fetched_again() {
    let scene = Scene::new(true, "");
    scene.add_mailbox("Work", 3);
    for uid in 1..=3 {
        scene.move_to("INBOX", uid, "Work");
    }
    scene.pass();
    scene.rename("Work", "Done");
    // Until the moves are recorded, it is found out each time.
    let log = scene.profile.with_extension("first");
    assert_eq!(fetch(&scene.profile, &log), 0);
    let pass = scene.pass();
    assert!(!scene.read_any() && pass.fetched == 0);
    let done = pass.listing("Done");
    assert_eq!(
        (done.renamed.as_ref().and_then(|name| name.as_str()), done.known.to_string(), done.already.messages),
        (Some("Work"), "1:3".into(), 3)
    );
    assert_eq!(pass.told(), ["move work/1>done/1 mailboxid", "move work/2>done/2 mailboxid", "move work/3>done/3 mailboxid"]);
    assert_eq!(scene.alice(), in_folders(&[("INBOX", 7), ("Done", 3)]));
    scene.rests();
    // Renamed back, and with a message that came in between.
    scene.rename("Done", "Work");
    scene.mailbox("Work", |work| work.add(&mail(11)));
    let pass = scene.pass();
    assert_eq!((pass.fetched, pass.moves().len()), (1, 3));
    assert_eq!(scene.alice(), in_folders(&[("INBOX", 7), ("Work", 4)]));
    scene.rests();
}

#[test]
fn another_mailbox_under_an_old_name_and_another_uidvalidity_are_fetched() {
    let scene = Scene::new(true, "");
    scene.add_mailbox("Work", 3);
    scene.move_to("INBOX", 1, "Work");
    scene.pass();
    // The old name is in use again: then nothing is known by the identifier alone, but each message by its own.
    scene.rename("Work", "Done");
    scene.add_mailbox("Work", 4);
    let pass = scene.pass();
    assert!(pass.listing("Done").renamed.is_none());
    assert_eq!(pass.told(), ["move work/1>done/1 emailid"]);
    scene.rests();
}

#[test]
fn with_an_emailid_a_move_or_copy_is_not_fetched_again() {
    let scene = Scene::new(true, "");
    scene.add_mailbox("Projects", 3);
    scene.pass();
    scene.move_to("INBOX", 4, "Projects");
    scene.copy_to("INBOX", 5, "Projects");
    let pass = scene.pass();
    assert!(!scene.read_any() && pass.fetched == 0);
    let listing = pass.listing("Projects");
    assert_eq!((listing.emails.len(), listing.already.messages, listing.known.len()), (2, 2, 0));
    assert_eq!(pass.told(), ["copy inbox/5>projects/2 emailid", "move inbox/4>projects/1 emailid"]);
    assert_eq!(scene.alice(), in_folders(&[("INBOX", 9), ("Projects", 1)]));
    scene.rests();
    // What is known by its identifier can move on.
    scene.take("INBOX", 5);
    scene.move_to("Projects", 1, "INBOX");
    assert_eq!(scene.pass().told(), ["move inbox/5>projects/2 emailid", "move projects/1>inbox/11 emailid"]);
    assert!(!scene.read_any());
    assert_eq!(scene.alice(), in_folders(&[("INBOX", 9), ("Projects", 1)]));
    scene.rests();
}

#[test]
fn without_a_run_of_moves_nothing_is_lost_sight_of() {
    let scene = Scene::new(true, "");
    scene.add_mailbox("Projects", 3);
    scene.pass();
    scene.move_to("INBOX", 4, "Projects");
    let log = scene.profile.with_extension("log");
    for _ in 0..2 {
        std::fs::remove_file(&log).unwrap();
        assert_eq!(fetch(&scene.profile, &log), 0);
        let Some(Ok(Record::Summary(summary))) =
            std::fs::read(&log).unwrap().split_inclusive(|b| *b == b'\n').next_back().map(Record::parse)
        else {
            panic!("no summary")
        };
        assert_eq!((summary.counts["listed"].messages, summary.counts["known"].messages), (10, 10));
    }
    assert_eq!(moves(&scene.profile, &log).exits(0).records().len(), 2);
    scene.rests();
}

#[test]
fn an_emailid_that_two_messages_have_is_fetched() {
    let scene = Scene::new(true, "");
    // One EMAILID for two messages: of another size, of the same size and another date, of the same looks.
    let lie = |uid: u32, as_of: u32, received: bool| {
        scene.mailbox("INBOX", |inbox| {
            let model = inbox.message(as_of).cloned().unwrap();
            let message = inbox.message_mut(uid).unwrap();
            message.emailid = model.emailid;
            message.received = if received { model.received } else { message.received };
        });
    };
    lie(2, 1, true);
    assert_eq!(scene.pass().fetched, 10);
    // Both were read: the archive holds two messages of one EMAILID, and goes by none of them.
    scene.add_mailbox("Projects", 3);
    scene.move_to("INBOX", 1, "Projects");
    assert_eq!(scene.pass().fetched, 1);
    for (n, received) in [(11, true), (12, false)] {
        let uid = scene.mailbox("INBOX", |inbox| inbox.add(&[mail(n), b"longer".repeat(usize::from(received))].concat()));
        lie(uid, 5, received);
        assert_eq!(scene.pass().fetched, 1, "{n}");
    }
    scene.rests();
}

#[test]
fn where_uids_were_reused_no_identifier_is_believed() {
    let scene = Scene::new(true, "");
    scene.pass();
    scene.served.server.set_faults(Faults { lie_about_size: [(2, 99)].into(), ..Faults::default() });
    let pass = scene.pass();
    assert!(pass.listing("INBOX").doubt.as_ref().is_some_and(|why| why.contains("UID 2 had size")));
    assert_eq!((pass.fetched, pass.moved.len()), (10, 0));
}

#[test]
fn two_copies_in_one_mailbox_are_two_moves() {
    let scene = Scene::new(false, "");
    scene.add_mailbox("Projects", 3);
    scene.copy_to("INBOX", 4, "INBOX");
    scene.pass();
    scene.move_to("INBOX", 4, "Projects");
    assert_eq!(scene.pass().told(), ["move inbox/4>projects/1 digest"]);
    // The mail still stands in INBOX, so that is where it is found.
    assert_eq!(scene.alice(), in_folders(&[("INBOX", 10)]));
    scene.copy_to("Projects", 1, "Projects");
    scene.take("INBOX", 11);
    assert_eq!(scene.pass().told(), ["move inbox/11>projects/2 digest"]);
    assert_eq!(scene.alice(), in_folders(&[("INBOX", 9), ("Projects", 1)]));
    scene.add_mailbox("Old", 5);
    scene.move_to("Projects", 1, "Old");
    scene.move_to("Projects", 2, "Old");
    // Each goes to a place of its own.
    let told = scene.pass().told();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("move projects/1>old/") && told[1].starts_with("move projects/2>old/"), "{told:?}");
    assert_ne!(told[0].split_once('>').unwrap().1, told[1].split_once('>').unwrap().1);
    assert_eq!(scene.alice(), in_folders(&[("INBOX", 9), ("Old", 1)]));
    scene.rests();
}

#[test]
fn a_server_without_emailids_for_some_or_that_does_not_understand_is_read_as_ever() {
    let unread = Scene::new(true, "");
    unread.served.server.set_faults(Faults { refuse_emailids: true, ..Faults::default() });
    assert_eq!(unread.pass().fetched, 10);
    let scene = Scene::new(true, "");
    scene.add_mailbox("Projects", 3);
    scene.mailbox("INBOX", |inbox| inbox.message_mut(2).unwrap().emailid = None);
    scene.served.server.set_faults(Faults { without_emailid: [3].into(), ..Faults::default() });
    assert_eq!(scene.pass().fetched, 10);
    for uid in 1..=3 {
        scene.move_to("INBOX", uid, "Projects");
    }
    scene.served.server.set_faults(Faults { without_emailid: [3].into(), ..Faults::default() });
    assert_eq!(scene.pass().fetched, 2);
    scene.served.server.set_faults(Faults { refuse_emailids: true, ..Faults::default() });
    scene.move_to("INBOX", 4, "Projects");
    scene.mailbox("INBOX", |inbox| inbox.add(&mail(11)));
    assert_eq!(scene.pass().fetched, 2);
    assert_eq!(scene.alice(), in_folders(&[("INBOX", 7), ("Projects", 4)]));
    scene.rests();
}

#[test]
fn what_is_to_be_purged_is_read_whatever_its_identifiers_say() {
    let scene = Scene::new(true, "");
    scene.add_mailbox("Projects", 3);
    scene.pass();
    scene.move_to("INBOX", 4, "Projects");
    assert_eq!(scene.pass().fetched, 0);
    scene.served.profile("imap", "archive", "enabled = true\nafter = \"0d\"\n");
    let purge = || {
        let receipts = with_profile("mdrop-store", &scene.profile, &["--purgeable"], b"").exits(0).stdout;
        with_profile("mdrop-purge", &scene.profile, &["-q"], &receipts).exits(0)
    };
    // Known by its EMAILID alone, it is not purged; then it is read, though the server says what it is.
    purge();
    assert_eq!((scene.served.server.uids("INBOX").len(), scene.served.server.uids("Projects")), (0, vec![1]));
    let pass = scene.pass();
    assert!(scene.read_any() && pass.fetched == 1);
    purge();
    assert!(scene.served.server.uids("Projects").is_empty());
    scene.rests();
}

#[test]
fn a_receipt_of_an_origin_that_was_moved_away_purges_nothing() {
    let scene = Scene::new(false, "enabled = true\nafter = \"0d\"\n");
    scene.add_mailbox("Projects", 3);
    scene.pass();
    let before = with_profile("mdrop-store", &scene.profile, &["--purgeable"], b"").exits(0);
    assert_eq!(before.receipts().len(), 10);
    // UID 4 is somebody's copy of the very same message by the time that the purge looks.
    let message = scene.take("INBOX", 4);
    scene.put("Projects", message.clone());
    assert_eq!(scene.pass().told(), ["move inbox/4>projects/1 digest"]);
    scene.mailbox("INBOX", |inbox| inbox.messages.insert(3, message));
    let purged = with_profile("mdrop-purge", &scene.profile, &["-q"], &before.stdout).exits(0).records();
    let outcomes: Vec<_> =
        purged.iter().filter_map(|r| if let Record::Purge(p) = r { Some((p.origin.clone(), p.outcome)) } else { None }).collect();
    let kept: Vec<String> = outcomes.iter().filter(|(_, o)| *o == Purged::Kept).map(|(origin, _)| origin.to_string()).collect();
    assert_eq!((kept, outcomes.len()), (vec!["box/INBOX: UID 4".to_owned()], 10));
    assert_eq!((scene.served.server.uids("INBOX"), scene.served.server.uids("Projects")), (vec![4], vec![1]));
    // Where it stands now it has a receipt of its own, and it can go.
    let now = with_profile("mdrop-store", &scene.profile, &["--purgeable"], b"").exits(0);
    assert_eq!(now.receipts().iter().map(|receipt| receipt.origin.to_string()).collect::<Vec<_>>(), ["box/Projects: UID 1"]);
}

#[test]
fn what_was_not_looked_at_is_not_gone() {
    let scene = Scene::new(false, "");
    scene.add_mailbox("Work", 3);
    scene.add_mailbox("Copies", 4);
    scene.copy_to("INBOX", 1, "Work");
    scene.copy_to("INBOX", 2, "Work");
    scene.pass();
    let profile = std::fs::read_to_string(&scene.profile).unwrap();
    // Left out by the profile.
    common::dovecot::write_private(&scene.profile, &profile.replace("[route]", "exclude = [\"Work\"]\n[route]"));
    assert!(scene.pass().moved.is_empty());
    common::dovecot::write_private(&scene.profile, &profile);
    // Refused by the server.
    scene.served.server.set_faults(Faults { refuse_open: Some(("Work".into(), "NOPERM".into())), ..Faults::default() });
    let log = scene.profile.with_extension("log");
    std::fs::remove_file(&log).unwrap();
    let known = with_profile("mdrop-store", &scene.profile, &["--known"], b"").exits(0);
    let ran = with_profile("mdrop-fetch", &scene.profile, &["-q", "--known", "-", "--log", log.to_str().unwrap()], &known.stdout);
    assert_ne!(ran.code, 0);
    assert!(moves(&scene.profile, &log).exits(0).stdout.is_empty());
    scene.served.server.set_faults(Faults::default());
    // Gone from the server, but the run did not come to its end.
    scene.served.server.with_mailboxes(|all| all.retain(|mailbox| mailbox.name != "Work"));
    std::fs::remove_file(&log).unwrap();
    fetch(&scene.profile, &log);
    let text = std::fs::read_to_string(&log).unwrap();
    let cut: String = text.split_inclusive('\n').filter(|line| !line.contains("\"type\":\"summary\"")).collect();
    std::fs::write(&log, cut).unwrap();
    assert!(moves(&scene.profile, &log).exits(0).stdout.is_empty());
    std::fs::write(&log, &text).unwrap();
    assert_eq!(moves(&scene.profile, &log).exits(0).records().len(), 2);
    // Nor is what came after the run had looked.
    std::fs::write(&log, text.replace("\"time\":\"20", "\"time\":\"19")).unwrap();
    scene.move_to("INBOX", 7, "Copies");
    fetch(&scene.profile, &scene.profile.with_extension("other"));
    assert!(moves(&scene.profile, &log).exits(0).stdout.is_empty());
}

#[test]
fn a_dry_run_prints_the_moves_and_records_none_and_a_log_of_anything_else_holds_none() {
    let scene = Scene::new(false, "");
    scene.add_mailbox("Projects", 3);
    let log = scene.profile.with_extension("log");
    assert!(with_profile("mdrop-store", &scene.profile, &["--moves", "/nonexistent"], b"").exits(66).stderr.contains("--moves"));
    assert!(with_profile("mdrop-store", &scene.profile, &["--moves", "-"], b"").exits(0).stdout.is_empty(), "there is no archive yet");
    fetch(&scene.profile, &log);
    scene.move_to("INBOX", 4, "Projects");
    fetch(&scene.profile, &log);
    let before = segments(&scene.archive);
    let shown = with_profile("mdrop-store", &scene.profile, &["-n", "--moves", log.to_str().unwrap()], b"").exits(0).records();
    assert_eq!((shown.len(), segments(&scene.archive) == before), (2, true));
    let text = std::fs::read(&log).unwrap();
    assert_eq!(with_profile("mdrop-store", &scene.profile, &["--moves", "-"], &text).exits(0).records().len(), 2);
    assert!(with_profile("mdrop-store", &scene.profile, &["--moves", "-"], &text).exits(0).stdout.is_empty());
    let cut = with_profile("mdrop-store", &scene.profile, &["--moves", "-"], &text[..text.len() - 1]).exits(65);
    assert!(cut.stdout.is_empty() && cut.stderr.contains("cut off"), "{}", cut.stderr);
    assert!(with_profile("mdrop-store", &scene.profile, &["--moves", "-"], b"").exits(0).stdout.is_empty());
}

#[test]
fn killed_between_two_batches_and_repeated_it_comes_to_the_same_end() {
    let scene = Scene::new(false, "");
    scene.add_mailbox("Projects", 3);
    let log = scene.profile.with_extension("log");
    fetch(&scene.profile, &log);
    for uid in 1..=9 {
        scene.move_to("INBOX", uid, "Projects");
    }
    fetch(&scene.profile, &log);
    let account = mdrop::identity::Account { name: "box".into(), login: "box@127.0.0.1".into() };
    let mut seen = Seen::of(account);
    let text = std::fs::read(&log).unwrap();
    text.split_inclusive(|b| *b == b'\n').for_each(|line| seen.add(Record::parse(line).unwrap()));
    let folders = Folders::new("box", &RouteSettings::default()).unwrap();
    let run = |limit: usize| {
        let mut told = 0;
        let mut book = Book::Recording(Box::new(Writer::new(Archive::open(&scene.archive, None).unwrap(), "mdrop-store").unwrap()));
        let done = Recorder::new(&seen, &folders).in_batches_of(2).run(&mut book, &mut |record, _| {
            told += usize::from(matches!(record, Record::Move(_)));
            if told > limit { Err(Error::new(Status::Io, "the reader has gone")) } else { Ok(()) }
        });
        (told, done.is_ok())
    };
    let before = segments(&scene.archive).len();
    assert_eq!(run(2), (3, false));
    assert_eq!(segments(&scene.archive).len(), before + 2, "each batch is a segment");
    assert_eq!(scene.alice(), in_folders(&[("INBOX", 6), ("Projects", 4)]));
    assert_eq!(run(99), (5, true));
    assert_eq!(run(99), (0, true));
    assert_eq!(scene.alice(), in_folders(&[("INBOX", 1), ("Projects", 9)]));
    scene.rests();
}

const ROUTE: &str = "[route]\ndomains = [\"example.com\"]\nown-addresses = [\"archive@example.com\"]\n";

#[test]
fn on_dovecot_a_move_a_renamed_mailbox_and_a_new_uidvalidity_are_followed() {
    let dovecot = Dovecot::start(&["box"]);
    (1..=6).for_each(|n| drop(dovecot.deliver("box", &mail(n).into_iter().filter(|b| *b != b'\r').collect::<Vec<u8>>())));
    let archive = dovecot.folder().join("archive");
    let profile = dovecot.profile("moves", "imap", "none", "box", &format!("{ROUTE}[store]\narchive = \"{}\"\n", archive.display()));
    let rests = |what: &str| {
        let before = segments(&archive);
        let again = pass(&profile);
        assert_eq!((again.fetched, again.moved.len(), segments(&archive) == before), (0, 0, true), "{what}: {:?}", again.told());
    };
    let mut client = Client::login(dovecot.imap, "box");
    client.ask("CREATE Work");
    assert_eq!(pass(&profile).fetched, 6);
    client.ask("SELECT INBOX");
    client.ask("UID MOVE 1:2 Work");
    let moved = pass(&profile);
    assert_eq!((moved.fetched, moved.told()), (2, vec!["move inbox/1>work/1 digest".to_owned(), "move inbox/2>work/2 digest".to_owned()]));
    assert_eq!(folders(&archive, ALICE), in_folders(&[("INBOX", 4), ("Work", 2)]));
    rests("after a move");
    client.ask("RENAME Work Done");
    let renamed = pass(&profile);
    // Dovecot 2.3 has no OBJECTID, so they are fetched again.
    assert_eq!((renamed.fetched, renamed.moves().len()), (2, 2));
    assert_eq!(folders(&archive, ALICE), in_folders(&[("INBOX", 4), ("Done", 2)]));
    rests("after a rename");
    client.ask("LOGOUT");
    drop(client);
    std::fs::remove_file(dovecot.maildir("box").join("dovecot-uidlist")).unwrap();
    std::fs::remove_dir_all(dovecot.folder().join("index")).unwrap();
    let anew = pass(&profile);
    assert_eq!((anew.fetched, anew.moves().len(), anew.moved.len()), (4, 4, 4), "{:?}", anew.told());
    assert_eq!(folders(&archive, ALICE), in_folders(&[("INBOX", 4), ("Done", 2)]));
    rests("after a change of UIDVALIDITY");
}

#[test]
fn on_cyrus_object_ids_save_fetching_again() {
    let Some(cyrus) = common::cyrus::start(&["box"]) else { return };
    let mut client = Client::login(cyrus.imap, "box");
    if !client.ask("CAPABILITY").iter().any(|(line, _)| line.contains("OBJECTID")) {
        eprintln!("skipped: this Cyrus has no OBJECTID");
        return;
    }
    (1..=4).for_each(|n| assert!(client.append("INBOX", &mail(n))));
    client.ask("CREATE INBOX.Work");
    let archive = cyrus.folder().join("archive");
    let profile = cyrus.profile("moves", "imap", "none", "box", &format!("{ROUTE}[store]\narchive = \"{}\"\n", archive.display()));
    assert_eq!(pass(&profile).fetched, 4);
    client.ask("SELECT INBOX");
    client.ask("UID MOVE 1:2 INBOX.Work");
    client.ask("UID COPY 3 INBOX.Work");
    let moved = pass(&profile);
    let expected = ["copy inbox/3>inbox.work/3 emailid", "move inbox/1>inbox.work/1 emailid", "move inbox/2>inbox.work/2 emailid"];
    assert_eq!((moved.fetched, moved.told()), (0, expected.map(str::to_owned).to_vec()));
    assert_eq!(folders(&archive, ALICE), in_folders(&[("INBOX", 2), ("INBOX.Work", 2)]));
    client.ask("UNSELECT");
    client.ask(&format!("RENAME {} {}", quoted("INBOX.Work"), quoted("INBOX.Done")));
    let renamed = pass(&profile);
    assert_eq!((renamed.fetched, renamed.moves().len()), (0, 3), "{:?}", renamed.told());
    assert_eq!(folders(&archive, ALICE), in_folders(&[("INBOX", 2), ("INBOX.Done", 2)]));
    let again = pass(&profile);
    assert_eq!((again.fetched, again.moved.len()), (0, 0));
}

#[test]
fn what_is_known_stays_small_with_many_emailids() {
    let ids: BTreeSet<String> = (0..20_000).map(|n| format!("M{n:024x}")).collect();
    let known = |emailid: &String| mdrop::record::KnownEmail {
        emailid: emailid.clone(),
        server_size: 123_456,
        received: mdrop::time::Time::from_unix(1_795_000_000),
    };
    let account = mdrop::identity::Account { name: "acme".into(), login: "archive@mail.example.com".into() };
    let emails = ids.iter().map(known).collect::<Vec<_>>();
    let lines = emails.chunks(1000).map(|emails| {
        let known = mdrop::record::Known { emails: emails.to_vec(), ..mdrop::record::Known::nothing(&account) };
        Record::Known(Box::new(known)).to_line().unwrap()
    });
    let octets: usize = lines.map(|line| line.len()).sum();
    assert!(octets < 1 << 20, "{octets}");
}
