//! mdrop-cat as the way back: whole users and whole archives as Maildirs that Dovecot serves, .eml files and zip files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::client::Client;
use common::dovecot::Dovecot;
use common::tools::{Ran, message, messages_of, run, run_command, shell, shipped, stream};
use mdrop::stream::Meta;
use mdrop::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";

struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn of(messages: &[(Meta, Vec<u8>)]) -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        run("mdrop-store", &["--archive", scene.path("archive").to_str().unwrap()], &stream(messages)).exits(0);
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn cat(&self, arguments: &[&str]) -> Ran {
        run("mdrop-cat", &[&["--archive", self.path("archive").to_str().unwrap()], arguments].concat(), b"")
    }

    fn to(&self, form: &str, target: &str, arguments: &[&str]) -> Ran {
        let target = self.path(target);
        self.cat(&[&[form, target.to_str().unwrap()], arguments].concat())
    }
}

/// A message in a folder of these users.
fn filed(uid: u32, octets: &[u8], users: &[&str], folder: &str) -> (Meta, Vec<u8>) {
    let (mut meta, octets) = message(uid, octets, users);
    meta.received = Some(Time::from_unix(1_600_000_000 + i64::from(uid)));
    meta.route.iter_mut().flat_map(|route| &mut route.filings).for_each(|filing| filing.folder = folder.into());
    (meta, octets)
}

fn mail(n: u32) -> Vec<u8> {
    format!("Delivered-To: {n}\r\nDate: Mon\r\nMessage-ID: <{n}@example.org>\r\nSubject: {n}\r\n\r\nmail {n}\r\n").into_bytes()
}

/// The files below a folder, by their paths in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let all = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.unwrap()).filter(|entry| entry.file_type().is_file());
    all.map(|entry| (entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

/// What Dovecot makes of a message: NUL becomes 0x80, and a bare LF gets its CR.
fn as_dovecot_serves(octets: &[u8]) -> Vec<u8> {
    let mut served = Vec::new();
    for octet in octets {
        if *octet == b'\n' && served.last() != Some(&b'\r') {
            served.push(b'\r');
        }
        served.push(if *octet == 0 { 0x80 } else { *octet });
    }
    served
}

const FOLDERS: [&str; 9] = ["INBOX", "Work/2026", "Entwürfe", "日本語/台北", "a&b", "v1.2", "~root", "INBOX/below", "../../etc"];

#[test]
fn dovecot_serves_a_restored_maildir_with_its_folders_messages_flags_and_dates() {
    let octets: Vec<Vec<u8>> = shipped().into_iter().collect::<BTreeSet<_>>().into_iter().filter(|octets| !octets.is_empty()).collect();
    let messages: Vec<(Meta, Vec<u8>)> = (1..)
        .zip(&octets)
        .map(|(uid, octets)| {
            let (mut meta, octets) = filed(uid, octets, &[ALICE], FOLDERS[uid as usize % FOLDERS.len()]);
            meta.flags = [vec!["\\Seen"], vec!["\\Answered", "\\Flagged"], vec![]][uid as usize % 3].iter().map(|f| (*f).into()).collect();
            (meta, octets)
        })
        .collect();
    let scene = Scene::of(&messages);
    let dovecot = Dovecot::start(&["alice"]);
    let maildir = dovecot.maildir("alice");
    scene.cat(&["--user", ALICE, "--maildir", maildir.to_str().unwrap()]).exits(0);
    dovecot.give_all(&maildir);
    // What has one fingerprint is one mail.
    let handed_out = messages_of(&scene.cat(&["--user", ALICE, "--stream"]).exits(0).stdout);
    assert!(handed_out.len() > 180);
    let mut wanted: BTreeMap<String, BTreeSet<(Vec<u8>, String, i64)>> = BTreeMap::new();
    for (meta, octets) in &handed_out {
        let (sent, _) = messages.iter().find(|(sent, _)| sent.digest == meta.digest).unwrap();
        let mut flags = sent.flags.clone();
        flags.sort();
        let folder = sent.route.as_ref().unwrap().filings[0].folder.clone();
        let row = (as_dovecot_serves(octets), flags.join(" "), sent.received.unwrap().unix());
        wanted.entry(folder).or_default().insert(row);
    }
    let mut client = Client::login(dovecot.imap, "alice");
    let lines = client.ask("LIST \"\" *").into_iter().filter(|(text, _)| !text.contains("\\Noselect"));
    let listed: BTreeSet<String> =
        lines.filter_map(|(text, _)| Some(text.strip_prefix("* LIST ")?.split_once("\"/\" ")?.1.trim_matches('"').to_owned())).collect();
    for (folder, wanted) in wanted {
        let wire = mdrop::utf7::encode(&folder);
        let plain = !folder.contains(['.', '~']);
        let found: Vec<&String> =
            listed.iter().filter(|name| if plain { **name == wire } else { !FOLDERS.contains(&name.as_str()) }).collect();
        assert!(plain && found.len() == 1 || found.len() >= 3, "{folder}: {found:?} of {listed:?}");
        let served = found.into_iter().map(|name| served(&mut client, name)).find(|served| *served == wanted);
        assert!(served.is_some(), "{folder}");
    }
}

/// Octets, flags and INTERNALDATE of all messages of a mailbox.
fn served(client: &mut Client, mailbox: &str) -> BTreeSet<(Vec<u8>, String, i64)> {
    client.ask(&format!("EXAMINE {}", common::client::quoted(mailbox)));
    let mut rows = BTreeSet::new();
    for (text, mut literals) in client.ask("UID FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])") {
        let Some((_, rest)) = text.split_once("FLAGS (") else { continue };
        let mut flags: Vec<&str> =
            rest.split(')').next().unwrap().split(' ').filter(|flag| !flag.is_empty() && *flag != "\\Recent").collect();
        flags.sort_unstable();
        let date = text.split_once("INTERNALDATE \"").unwrap().1.split('"').next().unwrap();
        rows.insert((literals.pop().unwrap(), flags.join(" "), Time::from_imap(date).unwrap().unix()));
    }
    rows
}

#[test]
fn a_maildir_gets_only_what_is_new_whatever_the_mail_program_has_done() {
    let scene = Scene::of(&(1..4).map(|n| filed(n, &mail(n), &[ALICE], "INBOX")).collect::<Vec<_>>());
    let maildir = scene.path("maildir");
    let restore = || scene.to("--maildir", "maildir", &["--user", ALICE]).exits(0);
    restore();
    let names: Vec<String> = files(&maildir).into_keys().collect();
    assert_eq!(names.len(), 3);
    let stem = |n: usize| names[n].trim_start_matches("cur/").split(':').next().unwrap();
    std::fs::rename(maildir.join(&names[0]), maildir.join(format!("new/{}", stem(0)))).unwrap();
    std::fs::rename(maildir.join(&names[1]), maildir.join(format!("cur/{}:2,FRS", stem(1)))).unwrap();
    std::fs::create_dir_all(maildir.join(".Done/cur")).unwrap();
    std::fs::rename(maildir.join(&names[2]), maildir.join(format!(".Done/cur/{},U=9:2,ST", stem(2)))).unwrap();
    let before = files(&maildir);
    restore();
    assert_eq!(files(&maildir), before);
    run("mdrop-store", &["--archive", scene.path("archive").to_str().unwrap()], &stream(&[filed(9, &mail(9), &[ALICE], "INBOX")])).exits(0);
    restore();
    let after = files(&maildir);
    assert_eq!(after.len(), 4);
    assert!(before.iter().all(|(name, octets)| after.get(name) == Some(octets)));
}

#[test]
fn folders_with_hostile_names_stay_in_their_place_and_apart_in_every_form() {
    let names = [
        "", ".", "..", "../x", "/etc", "a/../b", "cur", "new", "tmp", "~", "a.b", "a_b", "a/b", "a//b", "a\0b", "end.", "end", "CON",
        "INBOX", "Sent", "sent", ".tmp",
    ];
    let long = [format!("{}1", "y".repeat(300)), format!("{}2", "y".repeat(300))];
    let folders: Vec<&str> = names.into_iter().chain(long.iter().map(String::as_str)).collect();
    let messages: Vec<_> = (1..).zip(&folders).map(|(n, folder)| filed(n, &mail(n), &[ALICE], folder)).collect();
    let scene = Scene::of(&messages);
    let all: BTreeSet<Vec<u8>> = messages.into_iter().map(|(_, octets)| octets).collect();
    for form in ["--eml", "--maildir", "--zip"] {
        let target = format!("out{form}/inside");
        if form == "--zip" {
            std::fs::create_dir(scene.path("out--zip")).unwrap();
        }
        scene.to(form, &target, &["--user", ALICE]).exits(0);
        let inside = scene.path(&target);
        if form == "--zip" {
            shell(
                scene.folder.path(),
                "cd out--zip && mv inside i.zip && mkdir inside && cd inside && python3 -m zipfile -e ../i.zip . && rm ../i.zip",
            );
        }
        let outside: Vec<_> = std::fs::read_dir(inside.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(outside, ["inside"]);
        let mut found = files(&inside);
        found.retain(|name, _| !name.ends_with("maildirfolder"));
        assert_eq!(found.values().cloned().collect::<BTreeSet<_>>(), all);
        let places: BTreeSet<&str> = found.keys().map(|name| name.rsplit_once('/').unwrap().0).collect();
        assert_eq!(places.len(), folders.len(), "{form}: {places:?}");
    }
}

#[test]
fn a_zip_file_is_read_by_unzip_and_python_and_is_never_replaced() {
    let octets: Vec<Vec<u8>> = shipped();
    let messages: Vec<_> = (1..)
        .zip(&octets)
        .map(|(uid, octets)| filed(uid, octets, &[ALICE], if uid % 2 == 0 { "INBOX" } else { "Entwürfe/日本" }))
        .collect();
    let scene = Scene::of(&messages);
    scene.to("--zip", "alice.zip", &["--user", ALICE]).exits(0);
    scene.to("--eml", "eml", &["--user", ALICE]).exits(0);
    let whole = std::fs::read(scene.path("alice.zip")).unwrap();
    assert!(scene.to("--zip", "alice.zip", &["--user", ALICE]).exits(73).stderr.contains("nothing is replaced"));
    let piped = scene.cat(&["--user", ALICE, "--zip", "-"]).exits(0).stdout;
    assert!(piped == whole, "a pipe gets the same file");
    shell(
        scene.folder.path(),
        "unzip -tq alice.zip && mkdir un py && (cd un && unzip -qq ../alice.zip) && (cd py && python3 -m zipfile -e ../alice.zip .)",
    );
    let eml = files(&scene.path("eml"));
    assert!(eml.len() > 180 && eml.keys().all(|name| name.starts_with("INBOX/") || name.starts_with("Entwürfe/日本/")));
    assert!(files(&scene.path("un")) == eml && files(&scene.path("py")) == eml);
    let dates = shell(scene.folder.path(), "stat -c %Y un/INBOX/* eml/INBOX/* | sort | uniq -c | awk '$1 % 2'");
    assert_eq!(dates, "", "each file has the time at which its message was received");
    let left: BTreeSet<_> =
        std::fs::read_dir(scene.folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(left, ["alice.zip", "archive", "eml", "py", "un"].map(str::to_owned).into());
}

#[test]
fn a_whole_archive_is_handed_out_with_each_users_mail_apart() {
    let mut messages: Vec<_> = (1..9).map(|n| filed(n, &mail(n), if n % 2 == 0 { &[ALICE, BOB] } else { &[BOB] }, "Work")).collect();
    messages.push(filed(20, &mail(20), &["../evil", "x/y"], "INBOX"));
    let scene = Scene::of(&messages);
    for form in ["--eml", "--maildir"] {
        scene.to(form, &form[2..], &["--all"]).exits(0);
        let found = files(&scene.path(&form[2..]));
        let of =
            |user: &str| found.iter().filter(|(name, _)| name.starts_with(&format!("{user}/")) && !name.ends_with("maildirfolder")).count();
        assert_eq!((of(ALICE), of(BOB)), (4, 8), "{form}");
        let others: BTreeSet<&str> =
            found.keys().map(|name| name.split('/').next().unwrap()).filter(|user| !user.ends_with("example.com")).collect();
        assert_eq!(others.len(), 2, "{others:?}");
    }
    scene.to("--zip", "all.zip", &["--all"]).exits(0);
    let names = shell(scene.folder.path(), "python3 -m zipfile -l all.zip");
    assert_eq!(names.matches("alice@example.com/Work/").count(), 5);
    let octets = |messages: Vec<(Meta, Vec<u8>)>| messages.into_iter().map(|(_, octets)| octets).collect::<Vec<_>>();
    let stored = octets(messages.clone());
    assert_eq!(octets(messages_of(&scene.cat(&["--all", "--stream"]).exits(0).stdout)), stored);
    let archive = scene.path("archive");
    let null =
        std::process::Command::new(common::tools::path_of("mdrop-cat")).args(["--stream", "--archive"]).arg(&archive).output().unwrap();
    assert_eq!(octets(messages_of(&null.stdout)), stored, "without a question, everything");
    let mut mbox = std::process::Command::new(common::tools::path_of("mdrop-cat"));
    assert_eq!(run_command(mbox.args(["--all", "--archive"]).arg(&archive), b"").exits(0).text().matches("From MAILER-DAEMON").count(), 9);
}

#[test]
fn a_damaged_message_is_a_line_and_another_copy_of_the_mail_is_handed_out() {
    // Two copies of one mail that differ in how they travelled, in two packs.
    let copy = |n: u32, trace: &str| {
        let octets = format!("Delivered-To: {trace}\r\nDate: Mon\r\nMessage-ID: <m@x>\r\n\r\nthe mail\r\n");
        filed(n, octets.as_bytes(), &[ALICE], "INBOX")
    };
    let scene = Scene::of(&[copy(1, "first"), filed(2, &mail(2), &[ALICE], "INBOX")]);
    let archive = scene.path("archive");
    run("mdrop-store", &["--archive", archive.to_str().unwrap()], &stream(&[copy(3, "second"), filed(4, &mail(4), &[ALICE], "INBOX")]))
        .exits(0);
    let pack = archive.join("packs/0000/00000001.mbox.zst");
    let mut octets = std::fs::read(&pack).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 0xff;
    std::fs::write(&pack, octets).unwrap();
    let ran = scene.to("--eml", "eml", &["--user", ALICE]).exits(65);
    let found: Vec<String> = files(&scene.path("eml")).into_values().map(|octets| String::from_utf8(octets).unwrap()).collect();
    assert_eq!(found.len(), 2, "{}", ran.stderr);
    assert!(found.iter().any(|text| text.contains("second")) && found.iter().any(|text| text.contains("mail 4")));
    assert!(ran.stderr.contains("another copy of the same mail"), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 2, "{}", ran.stderr);
    assert_eq!(messages_of(&scene.cat(&["--all", "--stream"]).exits(65).stdout).len(), 2);
}
