//! Journal reports, from a folder on disk to the message that a person gets back: several reports of one mail are one mail, the report is
//! kept as it came, and the message inside is handed out octet for octet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use base64::Engine;
use common::dovecot::write_private;
use common::served::{Served, archive, with_profile};
use common::tools::{Ran, message, messages_of, run, shell, stream};
use mdrop::identity::{Digest, Fingerprint};
use mdrop::record::{Outcome, Purged, Receipt, Record};
use mdrop::stream::{Journal, Meta};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const INNER: &str = "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <inner@example.com>\r\nFrom: Alice <alice@example.com>\r\nTo: all@example.com\r\nSubject: the mail itself\r\n\r\nhello\r\n";

/// A report as Exchange writes it, number `n`, which names these recipients.
fn report(n: u32, to: &[&str], inner: &[u8]) -> Vec<u8> {
    let lines = to.iter().map(|to| format!("Recipient: {to}\r\n")).collect::<Vec<_>>().concat();
    let head = format!(
        "Received: from exchange.example.com by mx.example.com; Mon, 23 Nov 2026 10:00:0{n} +0000\r\nFrom: <journal@example.com>\r\nTo: <archive@example.com>\r\n\
         Date: Mon, 23 Nov 2026 10:00:0{n} +0000\r\nMessage-ID: <report-{n}@exchange.example.com>\r\nSubject: report {n}\r\nX-MS-Journal-Report: \r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed;\r\n\tboundary=\"b{n}\"\r\n\r\n--b{n}\r\nContent-Type: text/plain; charset=\"us-ascii\"\r\n\r\n\
         Sender: alice@example.com\r\nSubject: the mail itself\r\nMessage-Id: <inner@example.com>\r\n{lines}\r\n--b{n}\r\nContent-Type: message/rfc822\r\n\r\n"
    );
    [head.as_bytes(), inner, format!("\r\n--b{n}--\r\n").as_bytes()].concat()
}

/// A folder of .eml files, a profile for it, and the archive it goes to.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        let text = "[account]\nprotocol = \"eml\"\npath = \"in\"\n[route]\ndomains = [\"example.com\"]\nown-addresses = [\"archive@example.com\"]\njournal-from = [\"journal@example.com\"]\n[store]\narchive = \"archive\"\n";
        write_private(&folder.path().join("box.toml"), text);
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn eml(&self, name: &str, octets: &[u8]) {
        std::fs::write(self.path("in").join(format!("{name}.eml")), octets).unwrap();
    }

    fn run(&self, tool: &str, arguments: &[&str], input: &[u8]) -> Ran {
        with_profile(tool, &self.path("box.toml"), arguments, input)
    }

    /// The pipeline once; what mdrop-store printed.
    fn archive(&self) -> Ran {
        archive(&self.path("box.toml"))
    }

    fn store(&self, messages: &[(Meta, Vec<u8>)]) -> Ran {
        self.run("mdrop-store", &[], &stream(messages)).exits(0)
    }

    fn cat(&self, arguments: &[&str], input: &[u8]) -> Ran {
        self.run("mdrop-cat", arguments, input)
    }

    /// What is handed out as .eml files.
    fn files(&self, arguments: &[&str], input: &[u8]) -> BTreeSet<Vec<u8>> {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap();
        self.cat(&[arguments, &["--eml", folder.path().to_str().unwrap()]].concat(), input).exits(0);
        read_all(folder.path())
    }

    /// A user's mail.
    fn mail_of(&self, user: &str) -> BTreeSet<Vec<u8>> {
        self.files(&["--user", user], b"")
    }

    fn catalog(&self) -> Vec<PathBuf> {
        let all = walkdir::WalkDir::new(self.path("archive/catalog")).sort_by_file_name();
        all.into_iter().flatten().filter(|e| e.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
    }

    fn check(&self) -> Ran {
        self.run("mdrop-check", &[], b"")
    }

    /// The same, once the index has been made anew from the catalog.
    fn forget_index(&self) {
        let _ = std::fs::remove_dir_all(self.path("archive/cache"));
    }
}

fn read_all(folder: &Path) -> BTreeSet<Vec<u8>> {
    let files = walkdir::WalkDir::new(folder).into_iter().map(|e| e.unwrap()).filter(|e| e.file_type().is_file());
    let files: Vec<Vec<u8>> = files.map(|e| std::fs::read(e.path()).unwrap()).collect();
    let distinct: BTreeSet<Vec<u8>> = files.iter().cloned().collect();
    assert_eq!(distinct.len(), files.len(), "each once");
    distinct
}

fn once(octets: impl AsRef<[u8]>) -> BTreeSet<Vec<u8>> {
    BTreeSet::from([octets.as_ref().to_vec()])
}

/// A message that mdrop-route found to be a report whose inner message lies at `offset`.
fn routed(uid: u32, octets: &[u8], users: &[&str], offset: u64, length: u64, encoding: Option<&str>) -> (Meta, Vec<u8>) {
    let mut message = message(uid, octets, users);
    let journal = Journal { kind: "exchange".into(), offset: Some(offset), length: Some(length), encoding: encoding.map(str::to_owned) };
    message.0.route.as_mut().unwrap().journal = Some(journal);
    message
}

/// The same, where `inner` stands in the octets.
fn found(uid: u32, octets: &[u8], users: &[&str], inner: &[u8], encoding: Option<&str>) -> (Meta, Vec<u8>) {
    let offset = memchr::memmem::find(octets, inner).unwrap();
    routed(uid, octets, users, offset as u64, inner.len() as u64, encoding)
}

fn place(receipt: &Receipt) -> (usize, usize) {
    let journal = receipt.journal.as_ref().unwrap();
    (journal.offset.unwrap().try_into().unwrap(), journal.length.unwrap().try_into().unwrap())
}

const USERS: [&str; 5] = ["bob@example.com", "carol@example.com", "dave@example.com", "erin@example.com", "frank@example.com"];

#[test]
fn five_reports_of_one_mail_are_five_reports_and_one_mail_for_each_person() {
    let scene = Scene::new();
    let lines = (0..40_000_u32).map(|n| format!("{:08x}\r\n", n.wrapping_mul(2_654_435_761))).collect::<Vec<_>>().concat();
    let inner = format!("{INNER}{lines}");
    let reports: Vec<Vec<u8>> = USERS.iter().zip(1..).map(|(user, n)| report(n, &[user, USERS[0]], inner.as_bytes())).collect();
    reports.iter().enumerate().for_each(|(n, report)| scene.eml(&format!("{n}"), report));
    // The same mail once more, as it came to one of them without a report.
    scene.eml("plain", format!("Delivered-To: bob@example.com\r\nReceived: x; y\r\n{inner}").as_bytes());
    let stored = scene.archive();
    let receipts = stored.receipts();
    assert_eq!(receipts.len(), 6);
    assert_eq!(receipts.iter().map(|r| r.fingerprint).collect::<BTreeSet<_>>().len(), 1);
    assert!(receipts.iter().all(|r| r.outcome == Outcome::New && r.subject == Some("the mail itself".into())), "{receipts:?}");
    assert!(receipts.iter().all(|r| r.same_message_id.is_none()), "one Message-ID, and one mail");
    assert_eq!(receipts.iter().map(|r| r.filings.len()).sum::<usize>(), USERS.len() + 1, "and the sender's, each once");
    assert_eq!(receipts.iter().map(|r| r.frame).collect::<BTreeSet<_>>().len(), 1, "they share a frame");
    let one = zstd::encode_all(stream(&[message(1, &reports[0], &[])]).as_slice(), 3).unwrap().len() as u64;
    assert!(receipts[0].frame.length * 100 < one * 105, "{} octets for six copies, {one} for one", receipts[0].frame.length);

    let count = |arguments: &[&str]| scene.cat(arguments, &stored.stdout).exits(0).text().matches("From MAILER-DAEMON").count();
    assert_eq!((count(&[]), count(&["--as-received"]), count(&["--stream"])), (2, 6, 6), "the message inside once, and the plain copy");
    for user in USERS.iter().chain(&["alice@example.com"]) {
        let mail = scene.mail_of(user);
        let plain = format!("Delivered-To: bob@example.com\r\nReceived: x; y\r\n{inner}");
        assert!(mail == once(&inner) || mail == once(plain), "{user}");
        let as_received = scene.files(&["--user", user, "--as-received"], b"");
        assert!(reports.iter().all(|report| as_received.contains(report)), "{user}");
    }
    scene.forget_index();
    assert_eq!(scene.mail_of(USERS[3]), once(&inner));
    scene.check().exits(0);
}

#[test]
fn a_second_run_records_nothing() {
    let scene = Scene::new();
    scene.eml("1", &report(1, &USERS, INNER.as_bytes()));
    scene.eml("2", &report(2, &USERS[..1], INNER.as_bytes()));
    let fetched = scene.run("mdrop-fetch", &[], b"").exits(0);
    let store = || {
        let routed = scene.run("mdrop-route", &["-q"], &fetched.stdout).exits(0);
        scene.run("mdrop-store", &[], &routed.stdout).exits(0).receipts()
    };
    let first = store();
    let second = store();
    assert!(second.iter().all(|receipt| receipt.outcome == Outcome::Duplicate && receipt.segment == 1 && receipt.filings.is_empty()));
    assert_eq!(first.iter().map(|r| &r.journal).collect::<Vec<_>>(), second.iter().map(|r| &r.journal).collect::<Vec<_>>());
    assert_eq!(scene.catalog().len(), 1);
    assert!(scene.archive().stdout.is_empty());
}

/// Inner messages with every ending.
fn odd_inners() -> Vec<Vec<u8>> {
    let head = |n: usize| format!("Date: Mon\r\nMessage-ID: <odd-{n}@example.com>\r\nFrom: x@example.org\r\n\r\n");
    let bodies: [&[u8]; 9] = [
        b"",
        b"plain\r\n",
        b"no line end at its end",
        b"From the beginning\r\n>From quoted\r\n>>From twice\r\nFrom the end",
        b"8-bit \xe4\xf6\xfc \xff and NUL \0 and CR \r in a line\r\n",
        b"many line ends\r\n\r\n\r\n\r\n",
        b"bare LF\nin some\nlines\r\n",
        b"--b1 looks like a boundary, and so does\r\n --b1--\r\n",
        b"Sender: mallory@example.com\r\nRecipient: trap@example.com\r\n",
    ];
    let mut inners: Vec<Vec<u8>> = bodies.iter().enumerate().map(|(n, body)| [head(n).as_bytes(), body].concat()).collect();
    inners.push(b"From: no@body.example\r\nDate: Mon\r\nMessage-ID: <head@only>\r\n".to_vec());
    inners.push(b"From someone who put an mbox line here\r\nDate: Mon\r\nMessage-ID: <from@line>\r\n\r\n1\r\n".to_vec());
    inners
}

#[test]
fn inner_messages_come_back_octet_for_octet_in_every_form() {
    let scene = Scene::new();
    let inners = odd_inners();
    let reports: Vec<Vec<u8>> = inners.iter().zip(1..).map(|(inner, n)| report(n % 10, &["bob@example.com"], inner)).collect();
    reports.iter().enumerate().for_each(|(n, report)| scene.eml(&format!("{n:02}"), report));
    let stored = scene.archive();
    let wanted: BTreeSet<Vec<u8>> = inners.iter().cloned().collect();
    assert_eq!(scene.files(&[], &stored.stdout), wanted);
    assert_eq!(scene.mail_of("bob@example.com"), wanted);

    let maildir = scene.path("maildir");
    for _ in 0..2 {
        scene.cat(&["--maildir", maildir.to_str().unwrap()], &stored.stdout).exits(0);
        assert_eq!(read_all(&maildir.join("cur")), wanted);
    }
    // An mbox has LF, and is quoted; what is read back from it is the same mail.
    let mbox = scene.cat(&[], &stored.stdout).exits(0).stdout;
    let lf =
        |octets: &[u8]| String::from_utf8_lossy(octets).replace("\r\n", "\n").replace(">From ", ">>From ").replace("\nFrom ", "\n>From ");
    for inner in inners.iter().filter(|inner| !inner.starts_with(b"From ") && !inner.windows(6).any(|w| w == b"bare L")) {
        let text = lf(inner);
        let end = if text.ends_with('\n') { "\n" } else { "\n\n" };
        assert!(String::from_utf8_lossy(&mbox).contains(&format!("{text}{end}")), "{}", inner.escape_ascii());
    }
    assert!(memchr::memmem::find(&mbox, b"X-MS-Journal-Report").is_none());

    let as_received: BTreeSet<Vec<u8>> = reports.iter().cloned().collect();
    assert_eq!(scene.files(&["--as-received"], &stored.stdout), as_received);
    assert_eq!(scene.files(&["--as-received", "--user", "bob@example.com"], b""), as_received);
    assert_eq!(stored.receipts().iter().map(|r| r.digest).collect::<BTreeSet<_>>(), reports.iter().map(|r| Digest::of(r)).collect());
    scene.check().exits(0);
}

#[test]
fn a_stream_is_always_of_reports_and_goes_through_the_tools_again() {
    let scene = Scene::new();
    scene.eml("1", &report(1, &USERS, INNER.as_bytes()));
    let stored = scene.archive();
    for arguments in [&["--stream"][..], &["--stream", "--as-received"], &["--stream", "--user", USERS[0]]] {
        let again = messages_of(&scene.cat(arguments, &stored.stdout).exits(0).stdout);
        assert_eq!(again.len(), 1, "{arguments:?}");
        assert_eq!(again[0].1, report(1, &USERS, INNER.as_bytes()), "{arguments:?}");
    }
    let again = scene.cat(&["--stream"], &stored.stdout).exits(0).stdout;
    let routed = scene.run("mdrop-route", &["-q"], &again).exits(0);
    let other = scene.path("other");
    let receipts = run("mdrop-store", &["--archive", other.to_str().unwrap()], &routed.stdout).exits(0).receipts();
    assert_eq!(receipts[0].journal, stored.receipts()[0].journal);
    assert_eq!(receipts[0].fingerprint, stored.receipts()[0].fingerprint);
}

#[test]
fn a_report_on_disk_with_lf_alone_is_the_same_as_over_imap() {
    let scene = Scene::new();
    let octets = report(1, &["bob@example.com"], INNER.as_bytes());
    scene.eml("1", String::from_utf8(octets.clone()).unwrap().replace("\r\n", "\n").as_bytes());
    assert_eq!(scene.archive().receipts()[0].digest, Digest::of(&octets));
    assert_eq!(scene.mail_of("bob@example.com"), once(INNER));
}

#[test]
fn an_encoded_inner_message_is_decoded_and_is_the_same_mail() {
    let scene = Scene::new();
    let base64 = base64::engine::general_purpose::STANDARD.encode(INNER);
    let base64: Vec<&[u8]> = base64.as_bytes().chunks(76).collect();
    let base64 = base64.join(b"\r\n".as_slice());
    let quoted = INNER.replace("hello", "h=65l=\r\nlo").into_bytes();
    let sent = [
        found(1, &report(1, &[], INNER.as_bytes()), &["bob@example.com"], INNER.as_bytes(), None),
        found(2, &report(2, &[], &base64), &["bob@example.com", "carol@example.com"], &base64, Some("base64")),
        found(3, &report(3, &[], &quoted), &["dave@example.com"], &quoted, Some("quoted-printable")),
    ];
    let receipts = scene.store(&sent).receipts();
    assert_eq!(receipts.iter().map(|r| r.fingerprint).collect::<BTreeSet<_>>().len(), 1);
    assert_eq!(receipts.iter().map(|r| r.filings.len()).collect::<Vec<_>>(), [1, 1, 1]);
    for user in &USERS[..3] {
        assert_eq!(scene.mail_of(user), once(INNER));
    }
    scene.check().exits(0);
}

#[test]
fn reports_of_a_mail_without_a_message_id_are_one_mail() {
    let scene = Scene::new();
    let inner = INNER.replace("Message-ID: <inner@example.com>\r\n", "");
    scene.eml("1", &report(1, &["bob@example.com"], inner.as_bytes()));
    scene.eml("2", &report(2, &["bob@example.com"], inner.as_bytes()));
    let receipts = scene.archive().receipts();
    assert!(receipts.iter().all(|receipt| receipt.fingerprint == Fingerprint::Digest(Digest::of(inner.as_bytes()))));
    assert_eq!(scene.mail_of("bob@example.com"), once(inner));
}

#[test]
fn a_report_whose_inner_message_is_not_where_it_is_said_to_be_is_archived_as_it_is() {
    let scene = Scene::new();
    let octets = report(1, &[], INNER.as_bytes());
    let size = octets.len() as u64;
    let plain = scene.store(&[message(1, &octets, &["bob@example.com"])]).receipts();
    for (offset, length, encoding) in [
        (0, size + 1, None),
        (size, 1, None),
        (u64::MAX, u64::MAX, None),
        (7, 0, None),
        (0, size, Some("base64")),
        (0, size, Some("rot13")),
    ] {
        let scene = Scene::new();
        let ran = scene.store(&[routed(1, &octets, &["bob@example.com"], offset, length, encoding)]);
        assert!(ran.stderr.contains("misleading: ") && ran.stderr.contains("a message of its own"), "{}", ran.stderr);
        let receipt = &ran.receipts()[0];
        let journal = receipt.journal.as_ref().unwrap();
        assert_eq!((receipt.fingerprint, journal.kind.as_str(), journal.offset), (plain[0].fingerprint, "exchange", None));
        assert_eq!(receipt.subject, Some("report 1".into()));
        assert_eq!(scene.mail_of("bob@example.com"), once(&octets));
        scene.check().exits(0);
    }
}

#[test]
fn a_report_that_was_adopted_is_its_own_message_until_it_is_routed_again() {
    let scene = Scene::new();
    let octets = report(1, &["bob@example.com", "carol@example.com"], INNER.as_bytes());
    scene.eml("1", &octets);
    let receipt = scene.archive().receipts().remove(0);
    std::fs::remove_file(&scene.catalog()[0]).unwrap();
    scene.forget_index();
    scene.store(&[]);
    assert_eq!(scene.mail_of("@catchall"), once(&octets));
    scene.check().exits(0);
    for _ in 0..2 {
        let again = scene.archive().receipts();
        assert!(again.iter().all(|again| again.fingerprint == receipt.fingerprint && again.journal == receipt.journal));
        for _ in 0..2 {
            assert_eq!(scene.mail_of("bob@example.com"), once(INNER));
            assert_eq!(scene.mail_of("carol@example.com"), once(INNER));
            assert!(scene.mail_of("@catchall").is_empty());
            scene.forget_index();
        }
        assert_eq!(scene.catalog().len(), 2);
        scene.check().exits(0);
    }
}

#[test]
fn a_report_that_was_stored_as_a_plain_message_takes_its_filings_along_once_it_is_known_for_one() {
    let scene = Scene::new();
    let [first, second] = [1, 2].map(|n| report(n, &[], INNER.as_bytes()));
    // Under the older rules bob and erin had it; under the newer ones bob and carol.
    scene.store(&[message(1, &first, &["bob@example.com", "erin@example.com"]), message(2, &second, &["dave@example.com"])]);
    assert_eq!(scene.mail_of("bob@example.com"), once(&first));
    let again = [found(1, &first, &["bob@example.com", "carol@example.com"], INNER.as_bytes(), None)];
    let receipts = scene.store(&again).receipts();
    assert_eq!((receipts[0].outcome, receipts[0].segment), (Outcome::Duplicate, 2));
    let other = [found(2, &second, &["bob@example.com", "dave@example.com"], INNER.as_bytes(), None)];
    assert_eq!(scene.store(&other).receipts()[0].filings.len(), 1, "bob has it already");
    let third = found(3, &report(3, &[], INNER.as_bytes()), &["erin@example.com"], INNER.as_bytes(), None);
    assert!(scene.store(&[third]).receipts()[0].filings.is_empty(), "erin's filing went along");
    let segments = scene.catalog().len();
    for _ in 0..2 {
        for user in ["bob@example.com", "carol@example.com", "dave@example.com", "erin@example.com"] {
            assert_eq!(scene.mail_of(user), once(INNER), "{user}");
        }
        assert_eq!(
            scene.files(&["--user", "bob@example.com", "--as-received"], b""),
            BTreeSet::from([first.clone(), second.clone(), report(3, &[], INNER.as_bytes())])
        );
        scene.check().exits(0);
        scene.store(&again);
        scene.store(&other);
        assert_eq!(scene.catalog().len(), segments, "and once more, nothing changes");
        scene.forget_index();
    }
}

#[test]
fn a_report_that_comes_again_without_having_been_routed_stays_a_report() {
    let scene = Scene::new();
    let octets = report(1, &[], INNER.as_bytes());
    let mut unrouted = message(7, &octets, &[]);
    unrouted.0.route = None;
    let report = found(1, &octets, &["bob@example.com"], INNER.as_bytes(), None);
    // In a commit of its own, and in one with the report.
    for messages in [&[report.clone()][..], &[report, unrouted.clone()], &[unrouted]] {
        scene.store(messages);
        assert_eq!(scene.mail_of("bob@example.com"), once(INNER));
    }
    assert_eq!(scene.mail_of("@catchall"), once(INNER));
    scene.check().exits(0);
}

/// Changes the catalog's first segment.
fn forge(scene: &Scene, change: impl Fn(&mut Receipt)) {
    let segment = &scene.catalog()[0];
    let text = zstd::decode_all(std::fs::File::open(segment).unwrap()).unwrap();
    let mut lines = text.split_inclusive(|octet| *octet == b'\n');
    let mut forged = lines.next().unwrap().to_vec();
    for line in lines {
        let Record::Receipt(mut receipt) = Record::parse(line).unwrap() else { panic!() };
        change(&mut receipt);
        forged.extend(Record::Receipt(receipt).to_line().unwrap());
    }
    std::fs::write(segment, zstd::encode_all(forged.as_slice(), 3).unwrap()).unwrap();
    scene.forget_index();
}

#[test]
fn a_catalog_that_says_the_wrong_place_is_found_out_and_the_report_is_handed_out() {
    let scene = Scene::new();
    let octets = report(1, &["bob@example.com"], INNER.as_bytes());
    scene.eml("1", &octets);
    let stored = scene.archive();
    let (offset, length) = place(&stored.receipts()[0]);
    assert_eq!(&octets[offset..offset + length], INNER.as_bytes());
    scene.check().exits(0);
    let set = |offset: u64, length: u64| {
        forge(&scene, |receipt| {
            let journal = receipt.journal.as_mut().unwrap();
            (journal.offset, journal.length) = (Some(offset), Some(length));
        });
    };
    set(offset as u64 + 1, length as u64);
    let told = scene.check().exits(65);
    assert!(told.stderr.contains("its receipt says f1:"), "{}", told.stderr);
    set(octets.len() as u64, 5);
    let told = scene.check().exits(65);
    assert!(told.stderr.contains("where the report has no octets"), "{}", told.stderr);
    let folder = scene.path("out");
    let ran = scene.cat(&["--user", "bob@example.com", "--eml", folder.to_str().unwrap()], b"").exits(65);
    assert!(ran.stderr.contains("the journal report is handed out in its place"), "{}", ran.stderr);
    assert_eq!(read_all(&folder), once(&octets));
}

#[test]
fn a_place_that_only_a_later_receipt_says_is_checked_too() {
    let scene = Scene::new();
    let octets = report(1, &[], INNER.as_bytes());
    scene.store(&[message(1, &octets, &["bob@example.com"])]);
    let text = scene.store(&[found(1, &octets, &["bob@example.com"], INNER.as_bytes(), None)]);
    scene.check().exits(0);
    let segment = scene.catalog().pop().unwrap();
    let old = zstd::decode_all(std::fs::File::open(&segment).unwrap()).unwrap();
    let fingerprint = text.receipts()[0].fingerprint.to_string();
    let forged = String::from_utf8(old).unwrap().replacen(&fingerprint, &Fingerprint::F1([7; 32]).to_string(), 1);
    std::fs::write(&segment, zstd::encode_all(forged.as_bytes(), 3).unwrap()).unwrap();
    let told = scene.check().exits(65);
    assert!(told.stderr.contains(&format!("has the fingerprint {fingerprint}, its receipt says f1:0707")), "{}", told.stderr);
}

#[test]
fn a_stranger_cuts_the_inner_message_out_with_zstd_and_jq() {
    let scene = Scene::new();
    let base64 = base64::engine::general_purpose::STANDARD.encode(INNER).into_bytes();
    let quoted = INNER.replace("hello", "h=65l=\r\nlo").into_bytes();
    let perl = r"| perl -0777 -pe 's/[ \t]+(\r?\n|\z)/$1/g; s/=(\r?\n|\z)//g; s/=([\da-fA-F]{2})/chr hex $1/ge'";
    let forms = [(INNER.as_bytes(), None, ""), (&base64, Some("base64"), "| base64 -d"), (&quoted, Some("quoted-printable"), perl)];
    let sent: Vec<_> =
        forms.iter().zip(1..).map(|((form, encoding, _), n)| found(n, &report(n, &[], form), &USERS, form, *encoding)).collect();
    scene.store(&[&[message(9, b"Subject: something else\r\n\r\n1\r\n", &USERS)], &sent[..]].concat());

    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("man/mdrop-archive.5")).unwrap().replace("\\e", "\\");
    let script = page[page.find("jq -r --arg digest").unwrap()..].split(".Ed").next().unwrap();
    let readme = std::fs::read_to_string(scene.path("archive/README")).unwrap();
    assert!(readme.contains(".journal.offset") && readme.contains("base64 -d"), "{readme}");
    shell(&scene.path("archive"), "find catalog -name '*.jsonl.zst' | sort | xargs zstd -dc > ../records");
    for ((meta, _), (_, _, decode)) in sent.iter().zip(forms) {
        assert!(page.contains(decode), "{decode}");
        let script = script.replace("/tmp/records", "../records").replace("blake3:5af2...", &meta.digest.to_string());
        let line = format!("{}{decode} > ../inner", script.trim_end());
        shell(&scene.path("archive"), &line);
        assert_eq!(std::fs::read_to_string(scene.path("inner")).unwrap(), INNER, "{line}");
    }
}

#[test]
fn other_programs_read_the_inner_messages() {
    let scene = Scene::new();
    for n in 0..9 {
        let inner = INNER.replace("hello", &format!("From the start\r\nmail {n}")).replace("inner@", &format!("inner-{n}@"));
        scene.eml(&format!("{n}"), &report(n, &USERS, inner.as_bytes()));
    }
    let stored = scene.archive();
    std::fs::write(scene.path("all.mbox"), scene.cat(&[], &stored.stdout).exits(0).stdout).unwrap();
    let maildir = scene.path("maildir");
    scene.cat(&["--maildir", maildir.to_str().unwrap(), "--user", USERS[1]], b"").exits(0);
    let root = scene.folder.path();
    let subjects = "the mail itself\n".repeat(9);
    assert_eq!(shell(root, "formail -Y -s formail -zx Subject: < all.mbox"), subjects, "formail");
    assert_eq!(shell(root, "mlist maildir | mhdr -h Subject"), subjects, "mblaze");
    let settings = "set folder=/tmp\nset status_format=\"COUNT=%m=\"\nset quit=yes\nset mbox_type=mbox\npush <quit>\n";
    std::fs::write(scene.path("muttrc"), settings).unwrap();
    let mutt = "TERM=xterm timeout 60 script -qec 'mutt -n -F muttrc -R -f all.mbox' /dev/null </dev/null | grep -ao 'COUNT=[0-9]*' | tail -1 | tr -dc 0-9";
    assert_eq!(shell(root, mutt).trim(), "9", "mutt");
}

#[test]
fn a_report_is_purged_by_its_own_digest() {
    let octets = report(1, &["alice@example.com"], INNER.as_bytes());
    let served = Served::new([&octets]);
    let profile = served.profile("imap", "archive", "enabled = true\nafter = \"0d\"\n");
    let receipts = archive(&profile).receipts();
    assert_eq!(receipts[0].digest, Digest::of(&octets));
    let (offset, length) = place(&receipts[0]);
    assert_eq!(&octets[offset..offset + length], INNER.as_bytes());
    let purgeable = with_profile("mdrop-store", &profile, &["--purgeable"], b"").exits(0);
    let purged = with_profile("mdrop-purge", &profile, &[], &purgeable.stdout).exits(0).records();
    assert!(
        matches!(&purged[..], [.., Record::Purge(purge)] if purge.outcome == Purged::Purged && purge.digest == receipts[0].digest),
        "{purged:?}"
    );
    assert!(served.server.uids("INBOX").is_empty());
    with_profile("mdrop-check", &profile, &[], b"").exits(0);
}
