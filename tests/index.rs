//! The index: what is made anew says the same as what was kept, whoever has the old one open meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tools::{Ran, message, run, stream};
use mdrop::archive::Archive;
use mdrop::archive::commit::Writer;
use mdrop::archive::shelf::Series;
use mdrop::identity::{Account, Digest, Origin, Place, Uid, UidValidity};
use mdrop::record::{By, Filing, Known, Move, ObjectIds, Outcome, Purge, Purged, Record, Refiling, Role, V1};
use mdrop::time::Time;
use rusqlite::Connection;
use std::path::{Path, PathBuf};

fn mail(n: u32) -> Vec<u8> {
    let date = format!("Date: {} Nov 2026 10:00:00 +0000", n % 28 + 1);
    format!("{date}\r\nMessage-ID: <{n}@example.org>\r\nFrom: A <a{}@example.org>\r\nSubject: {n}\r\n\r\nmail {n}\r\n", n % 7).into_bytes()
}

struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn archive(&self) -> PathBuf {
        self.folder.path().join("archive")
    }

    fn index(&self) -> PathBuf {
        self.archive().join("cache/index.sqlite")
    }

    fn store(&self, input: &[u8]) -> Ran {
        run("mdrop-store", &["--archive", self.archive().to_str().unwrap()], input)
    }

    fn open(&self) -> Archive {
        Archive::open(&self.archive(), None).unwrap()
    }
}

/// All rows of an index.
fn rows(index: &Path) -> Vec<String> {
    let db = Connection::open(index).unwrap();
    let select = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name";
    let mut asked = db.prepare(select).unwrap();
    let tables: Vec<String> = asked.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut all = Vec::new();
    for table in tables {
        let mut asked = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = asked.column_count();
        let row = |row: &rusqlite::Row| Ok(format!("{:?}", (0..columns).map(|n| row.get_ref(n).unwrap()).collect::<Vec<_>>()));
        let mut rows: Vec<String> = asked.query_map([], row).unwrap().map(|row| format!("{table}: {}", row.unwrap())).collect();
        rows.sort();
        all.append(&mut rows);
    }
    all
}

/// UIDs 2 to 4 go to another mailbox, as identifiers say, or stand there, too; the first goes back.
fn moves(like: &Origin) -> Vec<Record> {
    let at = |name: &str, uid| {
        let place = Place::Imap { mailbox: name.into(), uidvalidity: UidValidity(9), uid: Uid(uid) };
        Origin { account: like.account.clone(), place }
    };
    let moved =
        |n, origin, to, by| Box::new(Move { v: V1, origin, to, digest: Digest::of(&mail(n)), by, time: Time::from_unix(1_800_000_000) });
    vec![
        Record::Move(moved(2, at("INBOX", 2), at("Old", 1), By::Emailid)),
        Record::Move(moved(3, at("INBOX", 3), at("Old", 2), By::Mailboxid)),
        Record::Copy(moved(4, at("INBOX", 4), at("Old", 3), By::Emailid)),
        Record::Move(moved(2, at("Old", 1), at("INBOX", 2), By::Emailid)),
    ]
}

/// What happens to an archive: new mail, copies, duplicates, refusals, refilings, purges, moves, and a pack that is adopted.
fn live(scene: &Scene) {
    for run in 0..4 {
        let mut sent: Vec<_> =
            (1..40).map(|n| message(run * 100 + n, &mail(run * 30 + n), &["alice@example.com", "bob@example.com"])).collect();
        let copy = [b"Delivered-To: x@example.com\r\n".to_vec(), mail(run * 30 + 5)].concat();
        sent.push(message(run * 100 + 60, &copy, &["carol@example.com"]));
        for (n, (meta, _)) in sent.iter_mut().enumerate() {
            // Some EMAILIDs stand for several messages.
            meta.objects = ObjectIds { emailid: Some(format!("M{run}-{}", n % 30)), mailboxid: Some("F1".into()) };
        }
        let mut refused = message(run * 100 + 61, &mail(1000 + run), &[]);
        let route = refused.0.route.as_mut().unwrap();
        (route.skip, route.settings) = (Some("too large".into()), Some(Digest::of(b"settings")));
        sent.push(refused);
        scene.store(&stream(&sent)).exits(0);
    }
    let mut writer = Writer::new(scene.open(), "test").unwrap();
    let known = scene.store(&stream(&[message(1, &mail(1), &[])])).exits(0).receipts().remove(0);
    let time = Time::from_unix(1_800_000_000);
    let filing = |user: &str| Filing { user: user.into(), folder: "Other".into(), role: Role::Recipient, evidence: None };
    let refiling = Refiling {
        v: V1,
        digest: known.digest,
        fingerprint: known.fingerprint,
        time,
        added: vec![filing("dave@example.com")],
        removed: vec![filing("alice@example.com")],
    };
    // At the beginning of a range of UIDs, within it, and at its end.
    let purged = |uid| {
        let origin = message(uid, &mail(1), &[]).0.origin;
        let (server, by, outcome, why) = ("h:993".into(), "root@h".into(), Purged::Purged, None);
        Record::Purge(Box::new(Purge { v: V1, origin, digest: known.digest, time, server, by, outcome, why }))
    };
    let records = [Record::Refiling(Box::new(refiling)), purged(1), purged(120), purged(139)];
    writer.record(&records).unwrap();
    writer.record(&moves(&known.origin)).unwrap();
    // A pack that no segment names.
    let shelf = &writer.archive().shelf;
    let (first, next) = (shelf.root().join(Series::Pack.name(2)), shelf.root().join(Series::Pack.name(9)));
    std::fs::copy(first, next).unwrap();
    scene.store(&stream(&[message(7, &mail(7), &["erin@example.com"])])).exits(0);
}

#[test]
fn an_index_that_is_made_anew_has_the_rows_of_the_one_that_was_kept() {
    let scene = Scene::new();
    live(&scene);
    let kept = rows(&scene.index());
    assert!(
        ["mails", "messages", "filings", "correspondents", "origins", "uids", "unpurged", "packs", "emails", "mailboxids"]
            .iter()
            .all(|table| kept.iter().any(|row| row.starts_with(table)))
    );
    std::fs::remove_dir_all(scene.archive().join("cache")).unwrap();
    drop(scene.open());
    let anew = rows(&scene.index());
    let differs: Vec<_> = kept.iter().filter(|row| !anew.contains(row)).chain(anew.iter().filter(|row| !kept.contains(row))).collect();
    assert!(differs.is_empty(), "{differs:#?}");
    assert_eq!(kept.len(), anew.len());
    let left: Vec<_> = std::fs::read_dir(scene.archive().join("cache")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_str().unwrap().contains("-new")), "{left:?}");
}

/// The UIDs and the samples that are known.
fn known(archive: &Archive, settings: Option<Digest>, ids: bool) -> Vec<Known> {
    let mut all = Vec::new();
    let account = Account { name: "acme".into(), login: "a@h".into() };
    archive
        .index
        .each_known(&account, settings, ids, |known| {
            all.push(known);
            Ok(())
        })
        .unwrap();
    all
}

#[test]
fn uids_are_known_as_their_origins_are() {
    let scene = Scene::new();
    live(&scene);
    let archive = scene.open();
    let db = Connection::open(scene.index()).unwrap();
    for settings in [Some(Digest::of(b"settings")), Some(Digest::of(b"others")), None] {
        let select = "SELECT name FROM origins WHERE state = 0 OR state = 1 AND settings IS ?1 ORDER BY name";
        let mut asked = db.prepare(select).unwrap();
        let plain: Vec<u32> = asked.query_map([settings.map(|s| s.0)], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let known = known(&archive, settings, false).remove(0);
        assert_eq!(known.uids.iter().collect::<Vec<_>>(), plain);
        // The newest fifty that were archived are samples, and others are.
        let sampled: Vec<u32> = known.samples.iter().map(|sample| sample.uid).collect();
        let newest = plain.iter().rev().take(50).filter(|uid| *uid % 100 != 61);
        assert!(newest.clone().all(|uid| sampled.contains(uid)), "{sampled:?}");
        assert!(sampled.is_sorted() && sampled.len() > newest.count() + 20, "{sampled:?}");
    }
    assert!(!known(&archive, None, false)[0].uids.contains(1), "purged");
    let said = |ids| {
        let all = known(&archive, None, ids).into_iter().filter(|known| known.mailbox.is_some());
        all.map(|known| {
            (known.mailbox.unwrap().lossy().into_owned(), known.uids.iter().take_while(|uid| *uid < 7).collect(), known.mailboxid)
        })
        .collect::<Vec<(String, Vec<u32>, Option<String>)>>()
    };
    assert_eq!(said(false), [("INBOX".into(), vec![4, 5, 6], None)]);
    let mailboxid = Some("F1".to_owned());
    assert_eq!(said(true), [("INBOX".into(), vec![2, 4, 5, 6], mailboxid.clone()), ("Old".into(), vec![2, 3], mailboxid)]);
    assert!(known(&archive, Some(Digest::of(b"settings")), false)[0].uids.contains(161));
}

#[test]
fn what_lay_in_a_pack_that_is_gone_or_shorter_is_not_known() {
    let scene = Scene::new();
    for run in 0..3 {
        let sent: Vec<_> = (1..=5).map(|n| message(run * 5 + n, &mail(run * 5 + n), &["alice@example.com"])).collect();
        scene.store(&stream(&sent)).exits(0);
    }
    let uids = || known(&scene.open(), None, false).iter().map(|known| known.uids.to_string()).collect::<Vec<_>>();
    assert_eq!(uids(), ["1:15"]);
    let pack = |number| scene.archive().join(Series::Pack.name(number));
    std::fs::remove_file(pack(2)).unwrap();
    assert_eq!(uids(), ["1:5,11:15"]);
    let cut = std::fs::File::options().write(true).open(pack(3)).unwrap();
    cut.set_len(cut.metadata().unwrap().len() - 1).unwrap();
    assert_eq!(uids(), ["1:5"]);
    std::fs::remove_dir_all(scene.archive().join("packs")).unwrap();
    assert_eq!(uids(), [""; 0]);
}

#[test]
fn processes_that_find_an_old_index_together_make_it_once_and_all_go_on() {
    let scene = Scene::new();
    live(&scene);
    let good = rows(&scene.index());
    for damage in ["PRAGMA user_version = 1", "UPDATE applied SET blake3 = zeroblob(32)", "DELETE FROM applied"] {
        Connection::open(scene.index()).unwrap().execute_batch(damage).unwrap();
        let input = stream(&[message(7, &mail(7), &["erin@example.com"])]);
        let codes = std::thread::scope(|scope| {
            let ran: Vec<_> = (0..6).map(|_| scope.spawn(|| scene.store(&input))).collect();
            ran.into_iter().map(|ran| ran.join().unwrap()).map(|ran| (ran.code, ran.stderr)).collect::<Vec<_>>()
        });
        assert!(codes.iter().all(|(code, _)| *code == 0), "{damage}: {codes:?}");
        scene.store(b"").exits(0);
        assert_eq!(rows(&scene.index()), good, "{damage}");
    }
}

#[test]
fn whoever_has_an_old_index_open_goes_on_in_the_one_that_took_its_place() {
    let scene = Scene::new();
    live(&scene);
    let mut old = scene.open();
    let digest = Digest::of(&mail(3000));
    std::fs::remove_dir_all(scene.archive().join("cache")).unwrap();
    let mut input = stream(&[message(3000, &mail(3000), &["alice@example.com"])]);
    assert_eq!(scene.store(&input).exits(0).receipts()[0].outcome, Outcome::New);
    assert_eq!(old.held(digest).unwrap(), None);
    old.index.catch_up().unwrap();
    assert!(old.held(digest).unwrap().is_some());
    // Both write, in turn, into the one that is there.
    let mut writer = Writer::new(old, "test").unwrap();
    let (meta, octets) = message(3001, &mail(3001), &["alice@example.com"]);
    let mut learner = mdrop::archive::Learner::default();
    std::io::Write::write_all(&mut learner, &octets).unwrap();
    let encoded = stream(&[(meta.clone(), octets.clone())]);
    let mut body = mdrop::spool::Spool::new(1 << 20);
    mdrop::stream::StreamReader::new(encoded.as_slice()).read(&mut body, &mut std::io::sink()).unwrap();
    writer.add(learner.finish(meta), body).unwrap();
    assert_eq!(writer.commit().unwrap().len(), 1);
    let there = |db: Connection| db.query_row("SELECT segment FROM applied", [], |row| row.get::<_, u64>(0)).unwrap();
    assert_eq!(Some(there(Connection::open(scene.index()).unwrap())), writer.archive().head().unwrap().map(|head| head.segment));
    input = stream(&[message(3001, &octets, &["alice@example.com"])]);
    assert_eq!(scene.store(&input).exits(0).receipts()[0].outcome, Outcome::Duplicate);
    let kept = rows(&scene.index());
    drop(writer);
    std::fs::remove_dir_all(scene.archive().join("cache")).unwrap();
    drop(scene.open());
    assert_eq!(rows(&scene.index()), kept);
}

#[test]
fn an_index_that_is_far_behind_is_made_anew_and_says_the_same() {
    use std::os::unix::fs::MetadataExt;
    let scene = Scene::new();
    let inode = || std::fs::metadata(scene.index()).unwrap().ino();
    let add = |n| drop(scene.store(&stream(&[message(n, &mail(n), &["alice@example.com"])])).exits(0));
    (1..=3).for_each(add);
    let (old, was) = (std::fs::read(scene.index()).unwrap(), inode());
    (4..=25).for_each(add);
    let kept = rows(&scene.index());
    assert_eq!(inode(), was);
    // So that its number is not given to another file.
    let _held = std::fs::File::open(scene.index()).unwrap();
    // 22 segments behind three is caught up with; 23 are too many.
    for (last, anew) in [(25, false), (26, true)] {
        (last > 25).then(|| add(26));
        std::fs::write(scene.index(), &old).unwrap();
        drop(scene.open());
        assert_eq!(inode() != was, anew, "{last}");
        let said = rows(&scene.index());
        assert!(anew && said.len() > kept.len() || said == kept, "{last}");
    }
}
