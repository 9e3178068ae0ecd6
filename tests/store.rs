//! mdrop-store, mdrop-cat and mdrop-check on archives of their own: what is kept, what is filed, and what a crash leaves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tools::{self, Ran, message, messages_of, run, shell, shipped, stream};
use mdrop::identity::{Digest, Place};
use mdrop::record::{Outcome, Record};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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

    fn store(&self, stream: &[u8]) -> Ran {
        run("mdrop-store", &["--archive", self.archive().to_str().unwrap()], stream)
    }

    fn cat(&self, arguments: &[&str], input: &[u8]) -> Ran {
        run("mdrop-cat", &[&["--archive", self.archive().to_str().unwrap()], arguments].concat(), input)
    }

    fn check(&self) -> Ran {
        run("mdrop-check", &["--archive", self.archive().to_str().unwrap()], b"")
    }

    fn files(&self, series: &str) -> Vec<PathBuf> {
        let all = walkdir::WalkDir::new(self.archive().join(series)).sort_by_file_name();
        all.into_iter().flatten().filter(|e| e.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
    }

    /// The digests of a user's mail.
    fn mail_of(&self, user: &str) -> BTreeSet<Digest> {
        let ran = self.cat(&["--stream", "--user", user], b"");
        if ran.code == 66 { BTreeSet::new() } else { messages_of(&ran.exits(0).stdout).into_iter().map(|m| m.0.digest).collect() }
    }
}

fn mail(n: u32) -> Vec<u8> {
    format!("Date: Mon\r\nMessage-ID: <{n}@example.org>\r\nFrom: x@example.org\r\nSubject: {n}\r\n\r\nmail {n}\r\n").into_bytes()
}

#[test]
fn every_shipped_message_comes_back_octet_for_octet_in_every_form() {
    let scene = Scene::new();
    let octets = shipped();
    assert!(octets.len() >= 200);
    let sent: Vec<_> = octets.iter().zip(1..).map(|(octets, uid)| message(uid, octets, &["alice@example.com"])).collect();
    let stored = scene.store(&stream(&sent)).exits(0);
    assert_eq!(stored.receipts().len(), sent.len());
    let distinct: BTreeSet<&Vec<u8>> = octets.iter().collect();

    let back = messages_of(&scene.cat(&["--stream"], &stored.stdout).exits(0).stdout);
    assert_eq!(back.iter().map(|m| &m.1).collect::<BTreeSet<_>>(), distinct);
    assert!(back.iter().all(|(meta, _)| meta.route.is_none()), "a pack says nothing of who got a message");

    let eml = scene.folder.path().join("eml");
    for _ in 0..2 {
        scene.cat(&["--eml", eml.to_str().unwrap()], &stored.stdout).exits(0);
        let files: Vec<Vec<u8>> = std::fs::read_dir(&eml).unwrap().map(|e| std::fs::read(e.unwrap().path()).unwrap()).collect();
        assert_eq!(files.len(), distinct.len());
        assert_eq!(files.iter().collect::<BTreeSet<_>>(), distinct);
    }
    let maildir = scene.folder.path().join("maildir");
    for _ in 0..2 {
        scene.cat(&["--maildir", maildir.to_str().unwrap()], &stored.stdout).exits(0);
        let files: Vec<Vec<u8>> =
            std::fs::read_dir(maildir.join("cur")).unwrap().map(|e| std::fs::read(e.unwrap().path()).unwrap()).collect();
        assert_eq!(files.iter().collect::<BTreeSet<_>>(), distinct);
    }
    let mbox = scene.cat(&[], &stored.stdout).exits(0).stdout;
    assert!(memchr::memmem::find(&mbox, b"\"account\":\"acme\",\"login\":\"a@h\"").is_none(), "an mbox for people has no X-Mdrop lines");
    scene.check().exits(0);
}

#[test]
fn a_second_run_records_nothing() {
    let scene = Scene::new();
    let input = stream(&[message(1, &mail(1), &["alice@example.com"]), message(2, &mail(2), &["bob@example.com"])]);
    let first = scene.store(&input).exits(0).receipts();
    assert!(first.iter().all(|r| r.outcome == Outcome::New && r.segment == 1));
    let second = scene.store(&input).exits(0).receipts();
    assert!(second.iter().all(|r| r.outcome == Outcome::Duplicate && r.segment == 1 && r.filings.is_empty()));
    assert_eq!(first.iter().map(|r| r.digest).collect::<Vec<_>>(), second.iter().map(|r| r.digest).collect::<Vec<_>>());
    assert_eq!((scene.files("packs").len(), scene.files("catalog").len()), (1, 1));
}

#[test]
fn an_empty_message_can_be_the_first_of_a_commit() {
    let scene = Scene::new();
    let receipts = scene.store(&stream(&[message(1, b"", &["alice@example.com"]), message(2, &mail(2), &[])])).exits(0).receipts();
    assert_eq!(receipts.iter().map(|receipt| receipt.size).collect::<Vec<_>>(), [0, mail(2).len() as u64]);
    scene.check().exits(0);
    assert_eq!(scene.mail_of("alice@example.com"), BTreeSet::from([Digest::of(b"")]));
}

#[test]
fn a_receipt_says_where_plain_zstd_finds_the_message() {
    let scene = Scene::new();
    let sent: Vec<_> = (1..50).map(|n| message(n, &mail(n), &["alice@example.com"])).collect();
    for receipt in scene.store(&stream(&sent)).exits(0).receipts() {
        let pack = format!("packs/0000/{:08}.mbox.zst", receipt.pack);
        let (frame, at) = (receipt.frame, receipt.position);
        let line = format!("tail -c +{} {pack} | head -c {} | zstd -dc | tail -c +{} | head -2", frame.offset + 1, frame.length, at + 1);
        let found = shell(&scene.archive(), &line);
        assert!(found.contains(&receipt.digest.to_string()) && found.starts_with("From MAILER-DAEMON "), "{found}");
    }
}

#[test]
fn copies_for_many_users_are_one_mail_for_each_and_share_a_frame() {
    let scene = Scene::new();
    let lines: Vec<String> = (0..40_000_u32).map(|n| format!("{:08x}\r\n", n.wrapping_mul(2_654_435_761))).collect();
    let body = lines.concat();
    let copy =
        |user: &str| format!("Delivered-To: {user}\r\nReceived: for {user}\r\nDate: Mon\r\nMessage-ID: <1@x>\r\n\r\n{body}").into_bytes();
    let users: Vec<String> = (0..5).map(|n| format!("user{n}@example.com")).collect();
    let mut sent: Vec<_> = users.iter().zip(1..).map(|(user, uid)| message(uid, &copy(user), &[user])).collect();
    // The same mail once more to the first user, by another way.
    sent.push(message(9, &copy("other-way"), &[&users[0]]));
    for uid in 20..30 {
        sent.insert(2, message(uid, &mail(uid), &["bob@example.com"]));
    }
    let receipts = scene.store(&stream(&sent)).exits(0).receipts();
    let copies: Vec<_> = receipts.iter().filter(|r| r.size > 10_000).collect();
    assert_eq!(copies.iter().map(|r| r.frame).collect::<BTreeSet<_>>().len(), 1, "copies share a frame");
    let one = zstd::encode_all(stream(&[message(1, &copy("x"), &[])]).as_slice(), 3).unwrap().len() as u64;
    assert!(copies[0].frame.length * 100 < one * 105, "{} octets for six copies, {one} for one", copies[0].frame.length);
    assert!(copies.last().unwrap().filings.is_empty(), "a (user, fingerprint, role) is filed once");
    for user in &users {
        assert_eq!(scene.mail_of(user), BTreeSet::from([Digest::of(&copy(user))]));
    }
    scene.check().exits(0);
}

#[test]
fn twenty_copies_of_a_mail_of_five_megabytes_take_at_most_a_fifth_more_room_than_one_and_plain_zstd_reads_them() {
    let body = (0..500_000_u32).map(|n| format!("{:08x}\r\n", n.wrapping_mul(2_654_435_761))).collect::<Vec<_>>().concat();
    let copy = |n: u32| {
        let trace = format!(
            "Delivered-To: user{n}@example.com\r\nReceived: from mx by mail for user{n}@example.com; Mon, 2 Nov 2026 10:00:{n:02} +0000\r\n"
        );
        format!("{trace}Date: Mon\r\nMessage-ID: <1@x>\r\n\r\n{body}").into_bytes()
    };
    let scenes = [Scene::new(), Scene::new()];
    let room = scenes.iter().zip([1, 20]).map(|(scene, copies)| {
        let sent: Vec<_> = (0..copies).map(|n| message(n + 1, &copy(n), &[&format!("user{n}@example.com")])).collect();
        scene.store(&stream(&sent)).exits(0);
        scene
            .files("")
            .iter()
            .filter(|file| !file.to_str().unwrap().contains("/cache/"))
            .map(|file| file.metadata().unwrap().len())
            .sum::<u64>()
    });
    let room: Vec<u64> = room.collect();
    assert!(room[1] * 10 <= room[0] * 12, "{room:?} octets for one and for twenty copies");
    let found = shell(&scenes[1].archive(), "zstd -dc packs/*/*.zst | grep -ac '^Delivered-To: user'");
    assert_eq!(found.trim(), "20");
}

#[test]
fn one_message_at_two_places_is_stored_once() {
    let scene = Scene::new();
    let sent = [message(1, &mail(1), &["alice@example.com"]), message(2, &mail(1), &["bob@example.com"])];
    let receipts = scene.store(&stream(&sent)).exits(0).receipts();
    assert_eq!(receipts.iter().map(|r| r.outcome).collect::<Vec<_>>(), [Outcome::New, Outcome::Duplicate]);
    assert_eq!(receipts[0].position, receipts[1].position);
    assert_eq!(scene.mail_of("bob@example.com").len(), 1);
    scene.check().exits(0);
}

#[test]
fn a_cut_stream_gives_receipts_for_whole_messages_only_and_a_status() {
    let scene = Scene::new();
    let input = stream(&[message(1, &mail(1), &["a"]), message(2, &mail(2), &["a"]), message(3, &mail(3), &["a"])]);
    let ran = scene.store(&input[..input.len() - 5]).exits(65);
    assert_eq!(ran.receipts().len(), 2);
    assert!(ran.stderr.contains("acme/INBOX: UID 3: message at octet"), "{}", ran.stderr);
    let altered = String::from_utf8(input).unwrap().replace("mail 2", "mail X");
    let ran = scene.store(altered.as_bytes()).exits(65);
    assert_eq!(ran.receipts().len(), 2);
    assert_eq!(scene.mail_of("a").len(), 3);
}

#[test]
fn a_refusal_is_recorded_once_for_its_settings() {
    let scene = Scene::new();
    let mut skipped = message(1, &mail(1), &[]);
    let route = skipped.0.route.as_mut().unwrap();
    (route.skip, route.settings) = (Some("nobody's".into()), Some(Digest::of(b"settings")));
    let input = stream(&[skipped]);
    let ran = scene.store(&input).exits(0);
    let Record::Refusal(refusal) = &ran.records()[0] else { panic!("{}", ran.stderr) };
    assert_eq!((refusal.why.as_str(), refusal.permanent), ("nobody's", true));
    scene.store(&input).exits(0);
    assert_eq!((scene.files("packs").len(), scene.files("catalog").len()), (0, 1));
}

#[test]
fn a_pack_without_a_segment_is_adopted_and_the_next_fetch_files_it_rightly() {
    let scene = Scene::new();
    let input = stream(&[message(1, &mail(1), &["alice@example.com"]), message(2, &mail(2), &["bob@example.com"])]);
    let first = scene.store(&input).exits(0).receipts();
    // What a kill between the pack's and the segment's appearing leaves.
    std::fs::remove_file(&scene.files("catalog")[0]).unwrap();
    scene.store(b"").exits(0);
    let catchall = scene.mail_of("@catchall");
    assert_eq!(catchall.len(), 2, "nothing is lost");
    assert_eq!(scene.mail_of("alice@example.com").len(), 0);
    scene.check().exits(0);

    let again = scene.store(&input).exits(0).receipts();
    assert!(again.iter().all(|r| r.outcome == Outcome::Duplicate), "nothing is stored twice");
    assert_eq!(scene.mail_of("alice@example.com"), BTreeSet::from([first[0].digest]));
    assert_eq!(scene.mail_of("bob@example.com"), BTreeSet::from([first[1].digest]));
    assert!(scene.mail_of("@catchall").is_empty(), "the provisional filing is taken back");
    assert_eq!(scene.files("packs").len(), 1);
    scene.check().exits(0);
    let segments = scene.files("catalog").len();
    scene.store(&input).exits(0);
    assert_eq!(scene.files("catalog").len(), segments, "once more, and nothing changes");
}

#[test]
fn the_index_can_be_thrown_away_or_damaged_at_any_time() {
    let scene = Scene::new();
    let input = stream(&[message(1, &mail(1), &["alice@example.com"])]);
    scene.store(&input).exits(0);
    let index = scene.archive().join("cache/index.sqlite");
    for damage in
        [&b""[..], b"garbage that is no database at all, and long enough to be read as a header page of one......................"]
    {
        std::fs::write(&index, damage).unwrap();
        assert!(scene.store(&input).exits(0).receipts().iter().all(|r| r.outcome == Outcome::Duplicate));
    }
    std::fs::remove_dir_all(scene.archive().join("cache")).unwrap();
    assert_eq!(scene.mail_of("alice@example.com").len(), 1);
    assert_eq!(scene.files("packs").len(), 1);
}

#[test]
fn check_names_what_is_damaged() {
    let scene = Scene::new();
    let sent: Vec<_> = (1..20).map(|n| message(n, &mail(n), &["alice@example.com"])).collect();
    scene.store(&stream(&sent)).exits(0);
    scene.store(&stream(&[message(30, &mail(30), &["bob@example.com"])])).exits(0);
    let (pack, segment) = (scene.files("packs")[0].clone(), scene.files("catalog")[0].clone());
    for path in [&pack, &segment] {
        let good = std::fs::read(path).unwrap();
        for at in [5, good.len() / 2, good.len() - 3] {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            std::fs::write(path, &bad).unwrap();
            let ran = scene.check().exits(65);
            let name = path.file_name().unwrap().to_str().unwrap();
            let after = path == &segment && ran.stderr.contains("00000002.jsonl.zst: does not name the segment before it");
            assert!(ran.stderr.contains(name) || after, "octet {at} of {name}: {}", ran.stderr);
        }
        std::fs::write(path, &good[..good.len() - 1]).unwrap();
        scene.check().exits(65);
        std::fs::write(path, &good).unwrap();
        scene.check().exits(0);
    }
    std::fs::remove_file(&pack).unwrap();
    assert!(scene.check().exits(65).stderr.contains("is missing; segment 1 names it, and 19 messages were in it"));
}

#[test]
fn a_folder_that_is_no_archive_is_left_alone() {
    let scene = Scene::new();
    std::fs::create_dir(scene.archive()).unwrap();
    std::fs::write(scene.archive().join("thesis.tex"), "x").unwrap();
    let ran = scene.store(&stream(&[message(1, &mail(1), &["a"])])).exits(73);
    assert!(ran.stderr.contains("holds thesis.tex but no archive.json"), "{}", ran.stderr);
    assert_eq!(std::fs::read_dir(scene.archive()).unwrap().count(), 1);
    assert!(run("mdrop-cat", &["--archive", "/nonexistent"], b"").exits(66).stderr.contains("no archive here"));
}

#[test]
fn everything_is_private_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new();
    let input = scene.folder.path().join("stream");
    std::fs::write(&input, stream(&[message(1, &mail(1), &["a"])])).unwrap();
    let store = tools::path_of("mdrop-store");
    shell(scene.folder.path(), &format!("umask 000; {} --archive archive < stream", store.display()));
    for entry in walkdir::WalkDir::new(scene.archive()) {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if entry.file_type().is_dir() { 0o700 } else { 0o600 }, "{}", entry.path().display());
    }
}

#[test]
fn other_programs_read_all_packs_as_one_mbox_and_the_catalog_as_json() {
    let scene = Scene::new();
    let octets = shipped();
    let sent: Vec<_> = octets.iter().zip(1..).map(|(octets, uid)| message(uid, octets, &["alice@example.com"])).collect();
    for part in sent.chunks(60) {
        scene.store(&stream(part)).exits(0);
    }
    let distinct = octets.iter().collect::<BTreeSet<_>>().len();
    let archive = scene.archive();
    shell(&archive, "find packs -name '*.mbox.zst' | sort | xargs zstd -dc > ../all.mbox");
    let count = |line: &str| shell(&archive, line).trim().parse::<usize>().unwrap();
    assert_eq!(count("formail -Y -s sh -c 'cat > /dev/null; echo x' < ../all.mbox | wc -l"), distinct, "formail");
    let python = "import mailbox; print(len(mailbox.mbox('../all.mbox')))";
    assert_eq!(count(&format!("python3 -c \"{python}\"")), distinct, "Python's mailbox");
    assert_eq!(
        count("mkdir -p ../md/cur ../md/new ../md/tmp; mdeliver -M ../md < ../all.mbox; find ../md -type f | wc -l"),
        distinct,
        "mblaze"
    );
    let subjects =
        count("find catalog -name '*.jsonl.zst' | sort | xargs zstd -dc | jq -r 'select(.type==\"receipt\") | .digest' | sort -u | wc -l");
    assert_eq!(subjects, distinct, "jq");
    // mutt wants a terminal, which script(1) plays; its status line says how many messages it sees.
    let settings = "set folder=/tmp\nset status_format=\"COUNT=%m=\"\nset quit=yes\nset mbox_type=mbox\npush <quit>\n";
    std::fs::write(scene.folder.path().join("muttrc"), settings).unwrap();
    let mutt = "TERM=xterm script -qec 'mutt -n -F ../muttrc -R -f ../all.mbox' /dev/null </dev/null | grep -ao 'COUNT=[0-9]*' | tail -1 | tr -dc 0-9";
    assert_eq!(count(mutt), distinct, "mutt");
    assert!(Path::new(&archive.join("README")).exists());
}

#[test]
fn the_account_and_uids_that_are_archived_are_known() {
    let scene = Scene::new();
    let profile = scene.folder.path().join("acme.toml");
    let text = format!(
        "[account]\nprotocol = \"imap\"\nhost = \"h\"\nusername = \"a\"\n[route]\ndomains = [\"example.com\"]\n[store]\narchive = \"{}\"\n[purge]\nenabled = true\nafter = \"0d\"\n",
        scene.archive().display()
    );
    std::fs::write(&profile, text).unwrap();
    shell(scene.folder.path(), "chmod 600 acme.toml");
    let profile = profile.to_str().unwrap();
    assert!(run("mdrop-store", &["-p", profile, "--known"], b"").exits(0).stdout.is_empty(), "no archive knows nothing");
    let sent: Vec<_> = [1, 2, 3, 7].iter().map(|n| message(*n, &mail(*n), &["alice@example.com"])).collect();
    scene.store(&stream(&sent)).exits(0);
    let ran = run("mdrop-store", &["-p", profile, "--known"], b"").exits(0);
    let records = ran.records();
    let [Record::Known(known)] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((known.uids.to_string().as_str(), known.samples.len(), known.login.as_str()), ("1:3,7", 4, "a@h"));
    let purgeable = run("mdrop-store", &["-p", profile, "--purgeable"], b"").exits(0).receipts();
    let uids: Vec<u32> = purgeable.iter().map(|r| if let Place::Imap { uid, .. } = r.origin.place { uid.0 } else { 0 }).collect();
    assert_eq!(uids, [1, 2, 3, 7]);
}

fn known_uids(scene: &Scene) -> String {
    let profile = scene.folder.path().join("acme.toml");
    let text = format!(
        "[account]\nprotocol = \"imap\"\nhost = \"h\"\nusername = \"a\"\n[route]\ndomains = [\"example.com\"]\n[store]\narchive = \"{}\"\n",
        scene.archive().display()
    );
    common::dovecot::write_private(&profile, &text);
    let records = run("mdrop-store", &["-p", profile.to_str().unwrap(), "--known"], b"").exits(0).records();
    let uids = |record: &Record| if let Record::Known(known) = record { known.uids.to_string() } else { panic!("{record:?}") };
    records.iter().map(uids).collect()
}

/// Two runs: UIDs 1 and 2 in the first pack and segment, 3 in the second.
fn two_runs(scene: &Scene) -> [Vec<u8>; 2] {
    let first = stream(&[message(1, &mail(1), &["alice@example.com"]), message(2, &mail(2), &["bob@example.com"])]);
    let second = stream(&[message(3, &mail(3), &["alice@example.com"])]);
    scene.store(&first).exits(0);
    scene.store(&second).exits(0);
    [first, second]
}

#[test]
fn a_message_whose_pack_is_gone_is_no_longer_known_and_is_stored_anew() {
    let scene = Scene::new();
    let [first, _] = two_runs(&scene);
    assert_eq!(known_uids(&scene), "1:3");
    std::fs::remove_file(&scene.files("packs")[0]).unwrap();
    assert_eq!(known_uids(&scene), "3");
    let again = scene.store(&first).exits(0).receipts();
    assert!(again.iter().all(|receipt| receipt.outcome == Outcome::New), "{again:?}");
    assert_eq!(known_uids(&scene), "1:3");
    assert_eq!(scene.mail_of("bob@example.com").len(), 1);
}

#[test]
fn a_pack_whose_segment_is_damaged_or_missing_is_adopted() {
    for remove in [true, false] {
        let scene = Scene::new();
        let [first, _] = two_runs(&scene);
        let segment = &scene.files("catalog")[0];
        if remove {
            std::fs::remove_file(segment).unwrap();
        } else {
            std::fs::write(segment, b"garbage").unwrap();
        }
        std::fs::remove_dir_all(scene.archive().join("cache")).unwrap();
        scene.store(b"").exits(0);
        assert_eq!(scene.mail_of("@catchall").len(), 2, "removed: {remove}");
        assert_eq!(known_uids(&scene), "3");
        let again = scene.store(&first).exits(0).receipts();
        assert!(again.iter().all(|receipt| receipt.outcome == Outcome::Duplicate));
        assert_eq!((scene.mail_of("alice@example.com").len(), scene.mail_of("bob@example.com").len()), (2, 1));
        assert!(scene.mail_of("@catchall").is_empty());
        assert_eq!(scene.files("packs").len(), 2);
    }
}

#[test]
fn a_catalog_of_yesterday_loses_nothing() {
    let scene = Scene::new();
    let [_, second] = two_runs(&scene);
    std::fs::remove_file(scene.files("catalog").last().unwrap()).unwrap();
    scene.store(&second).exits(0);
    assert_eq!(scene.mail_of("alice@example.com").len(), 2);
    assert_eq!(scene.files("packs").len(), 2);
    scene.check().exits(0);
}

#[test]
fn a_damaged_frame_costs_an_adopted_pack_only_its_own_messages() {
    let scene = Scene::new();
    let large = |n: u32| [mail(n), format!("{n}").repeat(300_000).into_bytes()].concat();
    let sent: Vec<_> = (1..=8).map(|n| message(n, &large(n), &["alice@example.com"])).collect();
    let receipts = scene.store(&stream(&sent)).exits(0).receipts();
    let frames: BTreeSet<u64> = receipts.iter().map(|receipt| receipt.frame.offset).collect();
    assert!(frames.len() > 1, "{frames:?}");
    let pack = &scene.files("packs")[0];
    let mut octets = std::fs::read(pack).unwrap();
    octets[20] ^= 0xff;
    std::fs::write(pack, octets).unwrap();
    std::fs::remove_file(&scene.files("catalog")[0]).unwrap();
    scene.store(b"").exits(0);
    let saved = receipts.iter().filter(|receipt| receipt.frame.offset > 0).count();
    assert_eq!(scene.mail_of("@catchall").len(), saved);
}

#[test]
fn an_adopted_message_that_policy_now_leaves_out_is_refused_once() {
    let scene = Scene::new();
    let input = stream(&[message(1, &mail(1), &["alice@example.com"])]);
    scene.store(&input).exits(0);
    std::fs::remove_file(&scene.files("catalog")[0]).unwrap();
    let mut skipped = message(1, &mail(1), &[]);
    let route = skipped.0.route.as_mut().unwrap();
    (route.skip, route.settings) = (Some("nobody's".into()), Some(Digest::of(b"settings")));
    let skipped = stream(&[skipped]);
    scene.store(&skipped).exits(0);
    let segments = scene.files("catalog").len();
    scene.store(&skipped).exits(0);
    assert_eq!(scene.files("catalog").len(), segments);
}

#[test]
fn mail_that_was_not_routed_is_filed_under_catchall() {
    let scene = Scene::new();
    let mut plain = message(1, &mail(1), &[]);
    plain.0.route = None;
    scene.store(&stream(&[plain])).exits(0);
    assert_eq!(scene.mail_of("@catchall").len(), 1);
}

#[test]
fn four_writers_at_once_store_each_message_once() {
    let scene = Scene::new();
    let sent: Vec<_> = (1..120).map(|n| message(n, &mail(n), &["alice@example.com"])).collect();
    let input = stream(&sent);
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..3 {
                    assert_eq!(scene.store(&input).exits(0).receipts().len(), sent.len());
                }
            });
        }
    });
    scene.check().exits(0);
    let back = messages_of(&scene.cat(&["--stream", "--user", "alice@example.com"], b"").exits(0).stdout);
    assert_eq!(back.len(), sent.len());
    let stored =
        scene.files("packs").into_iter().map(|pack| messages_of(&zstd::decode_all(std::fs::File::open(pack).unwrap()).unwrap()).len());
    assert_eq!(stored.sum::<usize>(), sent.len(), "no message is in two packs");
}

#[test]
fn no_run_changes_a_file_that_has_appeared() {
    let scene = Scene::new();
    let [first, second] = two_runs(&scene);
    let all = || -> Vec<(PathBuf, Vec<u8>)> {
        let files = scene.files("packs").into_iter().chain(scene.files("catalog")).chain([scene.archive().join("archive.json")]);
        files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    };
    let before = all();
    scene.store(&stream(&[message(9, &mail(9), &["bob@example.com"])])).exits(0);
    scene.store(&[first, second].concat()).exits(0);
    scene.check().exits(0);
    let after = all();
    assert!(before.iter().all(|file| after.contains(file)));
}

#[test]
fn an_index_that_is_damaged_anywhere_is_made_anew_by_the_next_run() {
    let scene = Scene::new();
    let sent: Vec<_> = (1..200).map(|n| message(n, &mail(n), &["alice@example.com"])).collect();
    let input = stream(&sent);
    scene.store(&input).exits(0);
    let index = scene.archive().join("cache/index.sqlite");
    let good = std::fs::read(&index).unwrap();
    for page in 1..good.len() / 4096 {
        let mut bad = good.clone();
        bad[page * 4096..(page + 1) * 4096].fill(0x5a);
        std::fs::write(&index, bad).unwrap();
        let ran = scene.store(&input);
        assert!(ran.code == 0 || ran.code == 75, "page {page}: {} {}", ran.code, ran.stderr);
        assert_eq!(scene.store(&input).exits(0).receipts().len(), sent.len(), "page {page}");
        // What only a reader looks at, only a reader finds damaged.
        let ran = scene.cat(&["--user", "alice@example.com"], b"");
        assert!(ran.code == 0 || ran.code == 75, "page {page}: {} {}", ran.code, ran.stderr);
        assert_eq!(scene.mail_of("alice@example.com").len(), sent.len(), "page {page}");
        scene.check().exits(0);
    }
    assert_eq!(scene.files("packs").len(), 1, "nothing was stored twice");
}

#[test]
fn an_archive_of_a_later_version_is_left_alone() {
    let scene = Scene::new();
    two_runs(&scene);
    let segment = &scene.files("catalog")[1];
    let text = String::from_utf8(zstd::decode_all(std::fs::File::open(segment).unwrap()).unwrap()).unwrap();
    std::fs::write(segment, zstd::encode_all(text.replacen("\"v\":1", "\"v\":2", 1).as_bytes(), 3).unwrap()).unwrap();
    std::fs::remove_dir_all(scene.archive().join("cache")).unwrap();
    let ran = scene.store(&stream(&[message(9, &mail(9), &["bob@example.com"])])).exits(78);
    assert!(ran.stderr.contains("later version"), "{}", ran.stderr);
    assert_eq!(scene.files("packs").len(), 2);
}

#[test]
fn a_size_that_no_server_can_mean_is_no_size() {
    let scene = Scene::new();
    let mut odd = message(1, &mail(1), &["alice@example.com"]);
    odd.0.server_size = Some(u64::MAX);
    for _ in 0..2 {
        scene.store(&stream(std::slice::from_ref(&odd))).exits(0);
    }
    assert_eq!(known_uids(&scene), "1");
    scene.check().exits(0);
}

#[test]
fn a_message_that_looks_different_on_the_server_now_is_recorded_so() {
    let scene = Scene::new();
    let mut one = message(1, &mail(1), &["alice@example.com"]);
    scene.store(&stream(std::slice::from_ref(&one))).exits(0);
    one.0.server_size = Some(4711);
    let receipts = scene.store(&stream(std::slice::from_ref(&one))).exits(0).receipts();
    assert_eq!((receipts[0].segment, receipts[0].outcome), (2, Outcome::Duplicate));
    scene.store(&stream(&[one])).exits(0);
    assert_eq!(scene.files("catalog").len(), 2, "and only once");
}

#[test]
fn another_message_under_a_known_uid_that_policy_leaves_out_ends_what_the_old_receipt_proves() {
    let scene = Scene::new();
    scene.store(&stream(&[message(1, &mail(1), &["alice@example.com"])])).exits(0);
    assert_eq!(known_uids(&scene), "1");
    let mut skipped = message(1, &mail(2), &[]);
    let route = skipped.0.route.as_mut().unwrap();
    (route.skip, route.settings) = (Some("nobody's".into()), Some(Digest::of(b"settings")));
    scene.store(&stream(&[skipped])).exits(0);
    assert_eq!(scene.files("catalog").len(), 2, "the refusal is recorded");
    assert_eq!(known_uids(&scene), "", "under other settings it is asked again");
    let profile = scene.folder.path().join("acme.toml");
    let text = std::fs::read_to_string(&profile).unwrap() + "[purge]\nenabled = true\nafter = \"0d\"\n";
    common::dovecot::write_private(&profile, &text);
    assert!(run("mdrop-store", &["-p", profile.to_str().unwrap(), "--purgeable"], b"").exits(0).stdout.is_empty());
}

#[test]
fn a_pack_that_was_cut_off_is_not_known_and_its_messages_are_stored_anew() {
    let scene = Scene::new();
    let [first, _] = two_runs(&scene);
    let pack = std::fs::File::options().write(true).open(&scene.files("packs")[0]).unwrap();
    pack.set_len(100).unwrap();
    assert_eq!(known_uids(&scene), "3");
    assert!(scene.store(&first).exits(0).receipts().iter().all(|receipt| receipt.outcome == Outcome::New));
    assert_eq!(known_uids(&scene), "1:3");
    assert_eq!(scene.mail_of("bob@example.com").len(), 1);
}

#[test]
fn mail_that_is_filed_already_is_not_filed_under_catchall_when_its_pack_is_adopted() {
    let scene = Scene::new();
    let [first, _] = two_runs(&scene);
    // A third segment has a receipt for a second copy of the first pack's message.
    scene.store(&stream(&[message(7, &mail(1), &["carol@example.com"])])).exits(0);
    std::fs::write(&scene.files("catalog")[0], b"garbage").unwrap();
    std::fs::remove_dir_all(scene.archive().join("cache")).unwrap();
    scene.store(b"").exits(0);
    assert_eq!(scene.mail_of("@catchall").len(), 1, "only the one that nothing else files");
    scene.store(&first).exits(0);
    assert!(scene.mail_of("@catchall").is_empty());
    assert_eq!((scene.mail_of("alice@example.com").len(), scene.mail_of("carol@example.com").len()), (2, 1));
}

#[test]
fn an_input_that_cannot_be_read_ends_mdrop_cat() {
    let scene = Scene::new();
    two_runs(&scene);
    let cat = tools::path_of("mdrop-cat");
    let line = format!("timeout 10 {} --archive archive < . ; test $? = 74", cat.display());
    shell(scene.folder.path(), &line);
}

/// The archive of a scene, opened by this process.
fn open(scene: &Scene) -> mdrop::archive::Archive {
    mdrop::archive::Archive::open(&scene.archive(), None).unwrap()
}

#[test]
fn a_receipt_is_read_back_from_the_one_frame_of_the_catalog_in_which_it_stands() {
    let scene = Scene::new();
    let sent: Vec<_> = (1..=1500).map(|n| message(n, &mail(n), &["alice@example.com"])).collect();
    let receipts = scene.store(&stream(&sent)).exits(0).receipts();
    let archive = open(&scene);
    let mut places = mdrop::archive::segment::PlaceReader::default();
    let mut frames = BTreeSet::new();
    for receipt in &receipts {
        let place = archive.index.record_place(receipt.digest).unwrap().unwrap();
        assert_eq!(places.receipt(&archive.shelf, place, receipt.digest).unwrap(), *receipt);
        frames.insert(place.frame);
    }
    assert!(frames.len() > 3, "{frames:?}");
    // A stranger finds the same with zstd alone.
    let place = archive.index.record_place(receipts[1499].digest).unwrap().unwrap();
    let segment = std::fs::read(&scene.files("catalog")[0]).unwrap();
    let mut frame = zstd::Decoder::new(&segment[usize::try_from(place.frame).unwrap()..]).unwrap().single_frame();
    let mut lines = Vec::new();
    std::io::Read::read_to_end(&mut frame, &mut lines).unwrap();
    assert!(lines.len() <= 256 << 10 && lines.ends_with(b"\n"), "whole lines");
    let line = lines[usize::try_from(place.position).unwrap()..].split(|b| *b == b'\n').next().unwrap();
    assert_eq!(mdrop::record::Record::parse(line).unwrap(), mdrop::record::Record::Receipt(Box::new(receipts[1499].clone())));
}

#[test]
fn a_place_where_no_receipt_of_the_message_stands_is_an_error_and_no_other_record() {
    let scene = Scene::new();
    two_runs(&scene);
    let archive = open(&scene);
    let digest = scene.mail_of("alice@example.com").into_iter().next().unwrap();
    let right = archive.index.record_place(digest).unwrap().unwrap();
    let mut places = mdrop::archive::segment::PlaceReader::default();
    places.receipt(&archive.shelf, right, digest).unwrap();
    for (frame, position) in
        [(right.frame, 0), (right.frame, right.position + 1), (right.frame, 1 << 40), (right.frame + 1, 0), (1 << 40, 0)]
    {
        let wrong = mdrop::archive::segment::RecordPlace { frame, position, ..right };
        let error = places.receipt(&archive.shelf, wrong, digest).unwrap_err();
        assert_eq!(error.status(), mdrop::error::Status::Data, "{error}");
    }
    assert!(places.receipt(&archive.shelf, right, Digest::of(b"another")).is_err());
}

#[test]
fn the_index_names_the_origins_of_a_message_and_the_messages_of_a_mail() {
    let scene = Scene::new();
    let copy = |n: u32| [format!("Delivered-To: u{n}@example.com\r\n").as_bytes(), &mail(1)].concat();
    let (one, other) = (copy(1), copy(2));
    let to = ["alice@example.com"];
    let sent = [message(5, &one, &to), message(7, &one, &to), message(9, &other, &to), message(11, &mail(2), &to)];
    let receipts = scene.store(&stream(&sent)).exits(0).receipts();
    let archive = open(&scene);
    let origins = archive.index.origins_of(Digest::of(&one)).unwrap();
    assert_eq!(origins.iter().map(|(origin, _)| origin).collect::<Vec<_>>(), [&receipts[0].origin, &receipts[1].origin]);
    assert!(origins.iter().all(|(origin, state)| archive.index.origin(origin).unwrap() == Some(*state)));
    assert_eq!(archive.index.copies_of(&receipts[0].fingerprint).unwrap(), [Digest::of(&one), Digest::of(&other)]);
    let mdrop::identity::Place::Imap { mailbox, uidvalidity, .. } = &receipts[0].origin.place else { panic!("not IMAP") };
    let uids = archive.index.archived_uids(&receipts[0].origin.account, mailbox, *uidvalidity).unwrap();
    assert_eq!(uids.to_string(), "5,7,9,11");
}

/// A mail with this Message-ID field's value, whatever it is, and this text.
fn named(id: &str, text: &str) -> Vec<u8> {
    format!("Date: Mon\r\nMessage-ID: {id}\r\nSubject: x\r\n\r\n{text}\r\n").into_bytes()
}

#[test]
fn another_mail_with_a_known_message_id_is_kept_and_names_the_first() {
    let scene = Scene::new();
    let to = ["alice@example.com"];
    let (first, altered, again) = (named("<x@y>", "pay 10"), named(" <x@y>", "pay 1000"), named("<x@y>", "pay 99"));
    let copy = |of: &[u8]| [b"Delivered-To: b@example.com\r\n", of].concat();
    let twins = |ran: &Ran| ran.receipts().iter().map(|receipt| receipt.same_message_id).collect::<Vec<_>>();
    let none = [first.clone(), copy(&first), named("<other@y>", "pay 10")];
    let sent: Vec<_> = none.iter().zip(1..).map(|(octets, uid)| message(uid, octets, &to)).collect();
    assert_eq!(twins(&scene.store(&stream(&sent)).exits(0)), [None, None, None]);
    // In a later commit, from the first mail's first message on, and once for each mail; then what is known already names nobody.
    let log = scene.folder.path().join("store.log");
    let sent = [message(4, &altered, &to), message(5, &copy(&altered), &to), message(6, &again, &to), message(7, &first, &to)];
    let root = scene.archive();
    let arguments = ["--archive", root.to_str().unwrap(), "--log", log.to_str().unwrap()];
    let ran = run("mdrop-store", &arguments, &stream(&sent)).exits(0);
    let digest = Some(Digest::of(&first));
    assert_eq!(twins(&ran), [digest, None, digest, None]);
    assert_eq!(twins(&scene.store(&stream(&sent)).exits(0)), [None; 4]);
    assert_eq!(scene.mail_of("alice@example.com").len(), 4, "each mail once");
    let report = run("mdrop-report", &[log.to_str().unwrap()], b"").text();
    assert!(report.contains("2  ambiguous") && report.contains("UID 4: has the Message-ID of") && report.contains("UID 6"), "{report}");
    let told = std::fs::read_to_string(&log).unwrap();
    assert!(told.contains(&format!("has the Message-ID of {} and", Digest::of(&first))), "{told}");
}

#[test]
fn mails_with_one_message_id_in_one_commit_are_linked_and_an_empty_one_links_nothing() {
    let scene = Scene::new();
    let (one, two) = (named("<x@y>", "one"), named("<x@y>", "two"));
    let empty = [named("", "three"), named("", "four"), named("<>", "five"), named("< >", "six"), b"Subject: x\r\n\r\nseven\r\n".to_vec()];
    let all = [&[one.clone(), two], empty.as_slice()].concat();
    let sent: Vec<_> = all.iter().zip(1..).map(|(octets, uid)| message(uid, octets, &["alice@example.com"])).collect();
    let receipts = scene.store(&stream(&sent)).exits(0).receipts();
    let twins: Vec<_> = receipts.iter().map(|receipt| receipt.same_message_id).collect();
    assert_eq!(twins, [None, Some(Digest::of(&one)), None, None, None, None, None]);
    // What the catalog says is what was printed.
    let archive = open(&scene);
    let place = archive.index.record_place(receipts[1].digest).unwrap().unwrap();
    let mut places = mdrop::archive::segment::PlaceReader::default();
    assert_eq!(places.receipt(&archive.shelf, place, receipts[1].digest).unwrap(), receipts[1]);
}

#[test]
fn where_no_more_can_wait_for_a_commit_no_receipt_is_given_for_what_is_lost() {
    let scene = Scene::new();
    let text = |n: u32| [mail(n), "all work and no play\r\n".repeat(5000).into_bytes()].concat();
    let sent: Vec<_> = (1..=300).map(|n| message(n, &text(n), &["alice@example.com"])).collect();
    // What waits is too much for the limit, which what is archived of it never reaches.
    let script = "trap '' XFSZ; ulimit -f 20000; exec \"$0\" --archive \"$1\"";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script]).arg(tools::path_of("mdrop-store")).arg(scene.archive());
    let ran = tools::run_command(&mut command, &stream(&sent));
    assert_ne!(ran.code, 0, "{}", ran.stderr);
    scene.check().exits(0);
    let back = messages_of(&scene.cat(&["--stream"], &ran.stdout).exits(0).stdout);
    assert_eq!(back.len(), ran.receipts().len());
    assert_eq!(scene.store(&stream(&sent)).exits(0).receipts().len(), 300);
    assert_eq!(scene.mail_of("alice@example.com").len(), 300);
}
