//! A stranger finds an archive, ten years from now: its README, zstd, jq and a shell are all there is, and every message comes out.
//!
//! The commands are those of the README that lies in the archive, word for word, and they see no other programs than it names. What must come
//! out is what these tests put in; no mdrop tool is asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tools::{Ran, message, run, run_command, shipped, stream};
use mdrop::archive::Archive;
use mdrop::archive::commit::Writer;
use mdrop::identity::{Digest, Fingerprint};
use mdrop::record::{Filing, Record, Refiling, Role, V1};
use mdrop::stream::{Journal, Meta};
use mdrop::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the README says is needed, and what every Unix has.
const PROGRAMS: [&str; 15] =
    ["sh", "zstd", "jq", "sed", "find", "sort", "xargs", "head", "tail", "grep", "mkdir", "rm", "cat", "base64", "perl"];

/// A folder's files, as octets with how often each stands there.
type Files = BTreeMap<(String, Vec<u8>), usize>;

struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(scene.path("bin")).unwrap();
        for program in PROGRAMS {
            let found = run_command(Command::new("sh").args(["-c", &format!("command -v {program}")]), b"").exits(0).text();
            symlink(found.trim(), scene.path("bin").join(program)).unwrap();
        }
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self, messages: &[(Meta, Vec<u8>)]) -> Ran {
        run("mdrop-store", &["--archive", self.path("archive").to_str().unwrap()], &stream(messages)).exits(0)
    }

    /// Runs what the README says, in the archive's folder, with /tmp in its own place.
    fn follow(&self, line: &str) -> String {
        let line = line.replace("/tmp/", &format!("{}/", self.folder.path().display()));
        let mut command = Command::new("sh");
        command.arg("-c").arg(&line).current_dir(self.path("archive")).env_clear().env("PATH", self.path("bin"));
        let ran = run_command(&mut command, b"");
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{line}");
        ran.text()
    }

    /// The README's blocks of commands; each is a script.
    fn commands(&self) -> Vec<String> {
        let readme = std::fs::read_to_string(self.path("archive/README")).unwrap();
        let (before, program) = readme.split_once("#!/bin/sh\n").unwrap();
        let text = [before, program.split_once("# end\n").unwrap().1].concat();
        let blocks = text.split("\n\n").map(|block| block.trim_matches('\n'));
        let is_script = |block: &&str| block.starts_with("  find ") || block.starts_with("  sed ");
        // Only a person can run a mail program.
        let without_mutt = |block: &str| block.lines().filter(|line| !line.contains("mutt")).collect::<Vec<_>>().join("\n");
        blocks.filter(is_script).map(without_mutt).collect()
    }

    fn command(&self, words: &str) -> String {
        self.commands().into_iter().find(|command| command.contains(words)).unwrap_or_else(|| panic!("the README has no {words}"))
    }

    /// A user's mail by the README's program: folder and octets.
    fn mail_of(&self, user: &str) -> Files {
        let out = self.path("alice");
        let _ = std::fs::remove_dir_all(&out);
        self.follow(&self.command("sh /tmp/mail-of").replace("alice@example.com", user));
        files(&out)
    }
}

fn files(folder: &Path) -> Files {
    let mut files = Files::new();
    for entry in walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.unwrap()).filter(|entry| entry.file_type().is_file()) {
        let below = entry.path().parent().unwrap().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        *files.entry((below, std::fs::read(entry.path()).unwrap())).or_default() += 1;
    }
    files
}

/// A message, filed under these users, each with a folder.
fn filed(uid: u32, octets: &[u8], filings: &[(&str, &str)]) -> (Meta, Vec<u8>) {
    let mut message = message(uid, octets, &filings.iter().map(|(user, _)| *user).collect::<Vec<_>>());
    let route = message.0.route.as_mut().unwrap();
    route.filings.iter_mut().zip(filings).for_each(|(filing, (_, folder))| filing.folder = (*folder).into());
    message
}

fn filing(user: &str, folder: &str) -> Filing {
    Filing { user: user.into(), folder: folder.into(), role: Role::Recipient, evidence: None }
}

/// What a user is to have.
fn expected(mail: &[(&str, &[u8])]) -> Files {
    let mut files = Files::new();
    mail.iter().for_each(|(folder, octets)| *files.entry(((*folder).to_owned(), octets.to_vec())).or_default() += 1);
    files
}

#[test]
fn every_message_of_every_user_comes_out_octet_for_octet() {
    let scene = Scene::new();
    let octets: Vec<Vec<u8>> = shipped().into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let users = [("alice@example.com", "INBOX"), ("bob@example.com", "Work/2026"), ("@catchall", "INBOX")];
    let mut sent = Vec::new();
    let mut wanted: BTreeMap<&str, Vec<(&str, &[u8])>> = BTreeMap::new();
    let mut met = BTreeSet::new();
    for (n, octets) in octets.iter().enumerate() {
        let (user, folder) = users[n % 3];
        let to = if n % 5 == 0 { vec![(user, folder), ("carol@example.com", "Work")] } else { vec![(user, folder)] };
        let message = filed(u32::try_from(n).unwrap() + 1, octets, &to);
        for (user, folder) in to {
            // One mail of which there are several copies is filed once for each user.
            if met.insert((user, fingerprint(&message))) {
                wanted.entry(user).or_default().push((folder, octets));
            }
        }
        sent.push(message);
    }
    sent.chunks(100).for_each(|part| drop(scene.store(part)));
    let users_command = scene.command("[].user");
    assert_eq!(
        scene.follow(&users_command).lines().collect::<Vec<_>>(),
        ["@catchall", "alice@example.com", "bob@example.com", "carol@example.com"]
    );
    for (user, wanted) in wanted {
        let wanted: Vec<_> = wanted.iter().map(|(folder, octets)| (folder.replace('/', "_"), *octets)).collect();
        let wanted: Vec<_> = wanted.iter().map(|(folder, octets)| (folder.as_str(), *octets)).collect();
        let (got, wanted) = (scene.mail_of(user), expected(&wanted));
        assert!(got.len() > 20 && got == wanted, "{user}: {} files, {} were wanted", got.len(), wanted.len());
    }
}

fn fingerprint(message: &(Meta, Vec<u8>)) -> Fingerprint {
    let mut hasher = mdrop::fingerprint::FingerprintHasher::default();
    hasher.update(&message.1);
    hasher.finish(message.0.digest)
}

#[test]
fn filings_that_were_added_and_removed_later_are_followed_and_no_folder_leads_elsewhere() {
    let scene = Scene::new();
    let octets: Vec<Vec<u8>> =
        (0..4).map(|n| format!("Date: Mon\r\nMessage-ID: <{n}@x>\r\n\r\nFrom {n}\r\n>From x").into_bytes()).collect();
    let folders = ["INBOX", "../../etc", ".", "a\tb\\c"];
    let sent: Vec<_> =
        (1..).zip(&octets).zip(folders).map(|((n, octets), folder)| filed(n, octets, &[("alice@example.com", folder)])).collect();
    let receipts = scene.store(&sent).receipts();
    // The same message again, for another user.
    scene.store(&[filed(9, &octets[0], &[("bob@example.com", "INBOX")])]);
    let mut writer = Writer::new(Archive::open(&scene.path("archive"), None).unwrap(), "test").unwrap();
    let refiling = |added, removed| {
        let Refiling { v, digest, fingerprint, time, .. } = Refiling {
            v: V1,
            digest: receipts[0].digest,
            fingerprint: receipts[0].fingerprint,
            time: Time::from_unix(0),
            added: vec![],
            removed: vec![],
        };
        Record::Refiling(Box::new(Refiling { v, digest, fingerprint, time, added, removed }))
    };
    let (gained, lost) = (vec![filing("dave@example.com", "Old")], vec![filing("alice@example.com", "INBOX")]);
    writer.record(&[refiling(gained, lost)]).unwrap();
    assert_eq!(scene.mail_of("dave@example.com"), expected(&[("Old", &octets[0])]));
    assert_eq!(scene.mail_of("bob@example.com"), expected(&[("INBOX", &octets[0])]));
    assert_eq!(scene.mail_of("alice@example.com"), expected(&[("_._.._etc", &octets[1]), ("_", &octets[2]), ("a_b_c", &octets[3])]));
    assert_eq!(scene.mail_of("nobody@example.com"), Files::new());
}

#[test]
fn of_journal_reports_the_mail_inside_comes_out() {
    let scene = Scene::new();
    let inner = |n: u32| format!("Date: Mon\r\nMessage-ID: <{n}@x>\r\nSubject: inside\r\n\r\nGr\u{fc}\u{df}e = {n}\r\n").into_bytes();
    let base64 = |octets: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, octets).into_bytes();
    let quoted = |octets: &[u8]| {
        octets
            .iter()
            .map(|o| if *o > 126 || *o == b'=' { format!("={o:02X}") } else { char::from(*o).into() })
            .collect::<String>()
            .into_bytes()
    };
    let forms: [(Option<&str>, Vec<u8>); 3] =
        [(None, inner(1)), (Some("base64"), base64(&inner(2))), (Some("quoted-printable"), quoted(&inner(3)))];
    let sent: Vec<_> = (1..)
        .zip(&forms)
        .map(|(n, (encoding, form))| {
            let octets =
                [format!("Subject: report {n}\r\n\r\nRecipient: alice@example.com\r\n\r\n").as_bytes(), form, b"\r\n--end\r\n"].concat();
            let (offset, length) = (memchr::memmem::find(&octets, form).map(|at| at as u64), Some(form.len() as u64));
            let mut message = filed(n, &octets, &[("alice@example.com", "INBOX")]);
            let encoding = encoding.map(str::to_owned);
            message.0.route.as_mut().unwrap().journal = Some(Journal { kind: "exchange".into(), offset, length, encoding });
            message
        })
        .collect();
    scene.store(&sent);
    let inners: Vec<_> = (1..4).map(inner).collect();
    assert_eq!(scene.mail_of("alice@example.com"), expected(&inners.iter().map(|inner| ("INBOX", inner.as_slice())).collect::<Vec<_>>()));
}

#[test]
fn the_chain_can_be_followed_and_all_mail_is_one_mbox() {
    let scene = Scene::new();
    (1..5).for_each(|n| drop(scene.store(&[filed(n, format!("Subject: {n}\r\n\r\nFrom here\r\n").as_bytes(), &[("a@b", "INBOX")])])));
    scene.follow(&scene.command("all.mbox"));
    let mbox = std::fs::read_to_string(scene.path("all.mbox")).unwrap();
    assert_eq!((mbox.matches("\nX-Mdrop: ").count(), mbox.matches("\n>From here").count()), (4, 4));
    let digests = |series: &str| {
        let files = walkdir::WalkDir::new(scene.path("archive").join(series)).sort_by_file_name().into_iter().flatten();
        files
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| Digest::of(&std::fs::read(entry.path()).unwrap()).to_string())
            .collect::<Vec<_>>()
    };
    let (segments, packs) = (digests("catalog"), digests("packs"));
    let whole = scene.command(".previous");
    // What the README says of b3sum is shown with our own BLAKE3; it need not be installed here.
    let said = scene.follow(&whole.lines().filter(|line| !line.contains("b3sum")).collect::<Vec<_>>().join("\n"));
    let said: Vec<_> = said.lines().collect();
    for n in 0..4 {
        let previous = if n == 0 { "null" } else { &segments[n - 1] };
        assert_eq!(said[n * 3..n * 3 + 3], [&(n + 1).to_string(), previous, &packs[n]], "segment {}", n + 1);
    }
}
