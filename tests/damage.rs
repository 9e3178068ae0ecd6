//! The matrix of damage: what is done to which file of an archive, and what each tool makes of it.
//!
//! Whatever is damaged: mdrop-check names it, mdrop-cat hands out everything else octet for octet and says what it can't, and mdrop-store goes
//! on, so that what comes again is whole again. No tool dies of a panic, hangs, or hands out a wrong octet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tools::{Ran, message, messages_of, path_of, run_command, stream};
use mdrop::identity::Digest;
use mdrop::record::{Finding, Frame, Receipt, Record};
use mdrop::stream::Meta;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const ALICE: &str = "alice@example.com";
const PACK: &str = "packs/0000/00000002.mbox.zst";
const SEGMENT: &str = "catalog/0000/00000002.jsonl.zst";
const INDEX: &str = "cache/index.sqlite";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Damage {
    Flip,
    Cut,
    Swap,
    Remove,
    Duplicate,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Pack,
    Frame,
    Segment,
    ArchiveJson,
    Index,
}

use Damage::{Cut, Duplicate, Flip, Remove, Swap};

const DAMAGES: [Damage; 5] = [Flip, Cut, Swap, Remove, Duplicate];

/// What mdrop-check makes of it.
#[derive(Debug)]
enum Check {
    /// Status 65, and a finding of damage about this file.
    Names(&'static str),
    /// Status 0, and a finding of this word about this file.
    Tells(&'static str, &'static str),
    /// Status 0 and no word, because there is nothing to be lost.
    Silent,
}

/// A cell of the matrix. How many of the nine messages can't be handed out does not depend on whether the index is the one from before the
/// damage or is made anew, unless a segment is damaged.
struct Cell {
    check: Check,
    /// How many of the messages mdrop-cat does not hand out: with the index from before, and with one that is made anew.
    lost: [usize; 2],
    /// Its exit status: where the index does not know a message, it is missed by nobody.
    cat: i32,
    /// How many mdrop-find does not find, and its exit status: its answers are in the catalog alone.
    find: [(usize, i32); 2],
    /// The exit status of mdrop-store.
    store: i32,
    /// How many are lost still when they have come again. A duplicate relies on what was stored, unread, if its pack has not become shorter:
    /// these are stored anew when the damaged pack has been taken away, as mdrop-safety(7) says.
    again: usize,
}

/// What is expected. Pack 2 has four messages in two frames, two in each.
fn cell(damage: Damage, place: Place) -> Cell {
    let sound = |check| Cell { check, lost: [0, 0], cat: 0, find: [(0, 0); 2], store: 0, again: 0 };
    let pack = |lost, again| Cell { lost: [lost; 2], cat: 65, again, ..sound(Check::Names(PACK)) };
    let segment = |lost, find| Cell { lost, find, ..sound(Check::Names(SEGMENT)) };
    let identity = |cat, store| Cell { lost: [9; 2], cat, find: [(9, cat); 2], store, ..sound(Check::Names("archive.json")) };
    match (place, damage) {
        // The flipped octet is in the first frame behind its first message.
        (Place::Pack | Place::Frame, Flip) => pack(1, 1),
        // What is cut off is part of the last frame.
        (Place::Pack, Cut) => pack(2, 0),
        // In the place of each lies a pack of other messages: that of pack 2 is shorter, that of pack 3 is not.
        (Place::Pack, Swap) => pack(6, 2),
        (Place::Pack, Remove) => pack(4, 0),
        (Place::Pack, Duplicate) => sound(Check::Tells("unnamed", "packs/0000/00000009.mbox.zst")),
        // Nothing stands where the receipts put it any more.
        (Place::Frame, Swap) => pack(4, 4),
        // The frame behind stands in its place, and the file is too short for what was behind.
        (Place::Frame, Remove) => pack(4, 2),
        // The frame behind keeps its place where one is cut; where one stands twice, it has moved.
        (Place::Frame, Cut | Duplicate) => pack(2, 2),
        // An index that has read the segment before goes on; one that is made anew does not know the messages until the pack is adopted.
        (Place::Segment, Flip | Cut | Remove) => segment([0, 4], [(4, 65), (4, 0)]),
        // The index notices that the segment it read last is another one.
        (Place::Segment, Swap) => segment([6, 6], [(6, 0), (6, 0)]),
        (Place::Segment, Duplicate) => sound(Check::Names("catalog/0000/00000004.jsonl.zst")),
        // Nobody may write to an archive of which it is not known which one it is.
        (Place::ArchiveJson, Flip | Cut | Swap) => identity(65, 65),
        (Place::ArchiveJson, Remove) => identity(66, 73),
        (Place::ArchiveJson, Duplicate) => sound(Check::Tells("unexpected", "archive.json.copy")),
        // By design: the index holds nothing that the catalog does not, and is made anew.
        (Place::Index, _) => sound(Check::Silent),
    }
}

/// An archive of three commits with three, four and two messages, all of alice.
struct Scene {
    folder: tempfile::TempDir,
    sent: Vec<(Meta, Vec<u8>)>,
    receipts: Vec<Receipt>,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut scene = Self { folder, sent: Vec::new(), receipts: Vec::new() };
        for (first, count, size) in [(1, 3, 900), (11, 4, 450_000), (21, 2, 900)] {
            let sent: Vec<_> = (first..first + count).map(|uid| message(uid, &mail(uid, size), &[ALICE])).collect();
            scene.receipts.extend(scene.tool("mdrop-store", &[], &stream(&sent)).exits(0).receipts());
            scene.sent.extend(sent);
        }
        scene
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("archive")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Runs a tool, which must not die of itself nor take for ever.
    #[track_caller]
    fn tool(&self, tool: &str, arguments: &[&str], input: &[u8]) -> Ran {
        let ran =
            run_command(Command::new("timeout").arg("60").arg(path_of(tool)).arg("--archive").arg(self.root()).args(arguments), input);
        assert!(![-1, 70, 101, 124, 134, 137].contains(&ran.code), "{tool} ended with {}: {}", ran.code, ran.stderr);
        ran
    }

    fn check(&self, arguments: &[&str]) -> Ran {
        self.tool("mdrop-check", arguments, b"")
    }

    /// What mdrop-cat hands out of alice's mail; every octet of it must be as it was sent.
    #[track_caller]
    fn cat(&self) -> (BTreeSet<Digest>, i32) {
        let ran = self.tool("mdrop-cat", &["--stream", "--user", ALICE], b"");
        let handed = messages_of(&ran.stdout);
        for (meta, octets) in &handed {
            assert!(self.sent.iter().any(|(sent, right)| sent.digest == meta.digest && right == octets), "{} was altered", meta.digest);
        }
        if ran.code != 0 {
            assert!(!ran.stderr.is_empty());
        }
        (handed.into_iter().map(|(meta, _)| meta.digest).collect(), ran.code)
    }

    /// What mdrop-find finds of alice's mail; all of it must have been sent.
    #[track_caller]
    fn find(&self) -> (usize, i32) {
        let ran = self.tool("mdrop-find", &["--json", "--user", ALICE], b"");
        let found: BTreeSet<Digest> = ran.receipts().into_iter().map(|receipt| receipt.digest).collect();
        assert!(found.iter().all(|digest| self.sent.iter().any(|(meta, _)| meta.digest == *digest)), "a message was found that never was");
        (found.len(), ran.code)
    }

    fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        common::tools::shell(folder.path(), &format!("cp -a '{}' archive", self.root().display()));
        Self { folder, sent: self.sent.clone(), receipts: self.receipts.clone() }
    }

    /// The first frame of pack 2.
    fn frame(&self) -> Frame {
        self.receipts.iter().find(|receipt| receipt.pack == 2).unwrap().frame
    }

    fn damage(&self, damage: Damage, place: Place) {
        let (name, other, twin) = match place {
            Place::Pack => (PACK, "packs/0000/00000003.mbox.zst", "packs/0000/00000009.mbox.zst"),
            Place::Frame => return self.damage_frame(damage),
            Place::Segment => (SEGMENT, "catalog/0000/00000003.jsonl.zst", "catalog/0000/00000004.jsonl.zst"),
            Place::ArchiveJson => ("archive.json", "", "archive.json.copy"),
            Place::Index => (INDEX, "", "cache/index.sqlite.copy"),
        };
        let path = self.path(name);
        let octets = std::fs::read(&path).unwrap();
        match damage {
            Flip => std::fs::write(&path, flipped(&octets, if place == Place::Index { 100 } else { octets.len() / 3 })).unwrap(),
            Cut => std::fs::write(&path, &octets[..octets.len() - octets.len() / 4]).unwrap(),
            Remove => std::fs::remove_file(&path).unwrap(),
            Duplicate => drop(std::fs::copy(&path, self.path(twin)).unwrap()),
            Swap if other.is_empty() => drop(std::fs::copy(Self::new().path(name), &path).unwrap()),
            Swap => common::tools::shell(&self.root(), &format!("mv {name} x; mv {other} {name}; mv x {other}")).clear(),
        }
    }

    fn damage_frame(&self, damage: Damage) {
        let path = self.path(PACK);
        let octets = std::fs::read(&path).unwrap();
        let (first, second) = octets.split_at(usize::try_from(self.frame().length).unwrap());
        let half = &first[..first.len() / 2];
        let parts: Vec<&[u8]> = match damage {
            // The frame behind it keeps its place.
            Flip | Cut => vec![],
            Swap => vec![second, first],
            Remove => vec![second],
            Duplicate => vec![first, first, second],
        };
        let zeros = vec![0; first.len() - half.len()];
        let octets = match damage {
            Flip => flipped(&octets, first.len() / 2),
            Cut => [half, &zeros, second].concat(),
            _ => parts.concat(),
        };
        std::fs::write(path, octets).unwrap();
    }
}

fn flipped(octets: &[u8], at: usize) -> Vec<u8> {
    let mut octets = octets.to_vec();
    octets[at] ^= 0x10;
    octets
}

/// A mail of about `size` octets, which do not compress much.
fn mail(uid: u32, size: usize) -> Vec<u8> {
    let mut noise = blake3::Hasher::new().update(&uid.to_be_bytes()).finalize_xof();
    let mut body = vec![0; size / 2];
    noise.fill(&mut body);
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap();
    let hex = |line: &[u8]| line.iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]).chain(['\r', '\n']).collect::<String>();
    let body: String = body.chunks(30).map(hex).collect();
    format!("Date: Mon\r\nMessage-ID: <{uid}@example.org>\r\nFrom: x@example.org\r\nSubject: {uid}\r\n\r\n{body}").into_bytes()
}

/// The findings on standard output.
fn findings(ran: &Ran) -> Vec<Finding> {
    ran.records().into_iter().filter_map(|record| if let Record::Finding(finding) = record { Some(*finding) } else { None }).collect()
}

/// What is not as it should be of what mdrop-check makes of a damaged archive.
fn check_differs(scene: &Scene, expected: &Check) -> Option<String> {
    let ran = scene.check(&[]);
    let found = findings(&ran);
    let tells = |word: &str, file: &str| found.iter().any(|finding| finding.finding == word && finding.file.as_deref() == Some(file));
    let right = match expected {
        Check::Names(file) => ran.code == 65 && tells("damaged", file),
        Check::Tells(word, file) => ran.code == 0 && tells(word, file),
        Check::Silent => ran.code == 0 && found.is_empty(),
    };
    let alone = scene.check(&["-j", "1"]);
    if (alone.code, &alone.stdout) != (ran.code, &ran.stdout) {
        return Some(format!("mdrop-check with one thread says something else: {}", alone.stderr));
    }
    (!right).then(|| format!("mdrop-check ended with {}, {expected:?} was expected: {}", ran.code, ran.stderr))
}

/// What is not as it should be when the tools meet a damaged archive one after the other.
fn differs(scene: &Scene, place: Place, expected: &Cell, anew: usize) -> Vec<String> {
    let all: BTreeSet<Digest> = scene.sent.iter().map(|(meta, _)| meta.digest).collect();
    let mut wrong: Vec<String> = check_differs(&scene.copy(), &expected.check).into_iter().collect();
    let (handed, status) = scene.cat();
    let cat = (all.len() - handed.len(), status);
    if cat != (expected.lost[anew], expected.cat) {
        wrong
            .push(format!("mdrop-cat lost {} and ended with {}; expected were {} and {}", cat.0, cat.1, expected.lost[anew], expected.cat));
    }
    let found = scene.find();
    let found = (all.len() - found.0, found.1);
    wrong.extend((found != expected.find[anew]).then(|| format!("mdrop-find missed {found:?}; expected was {:?}", expected.find[anew])));
    let before = files(&scene.root());
    let ran = scene.tool("mdrop-store", &[], b"");
    if ran.code != expected.store {
        wrong.push(format!("mdrop-store ended with {}: {}", ran.code, ran.stderr));
    }
    if ran.code != 0 {
        wrong.extend((files(&scene.root()) != before).then(|| "an archive that is not written to was changed".into()));
        return wrong;
    }
    wrong.extend((!scene.cat().0.is_superset(&handed)).then(|| "mdrop-store lost what was there".into()));
    let again = scene.tool("mdrop-store", &[], &stream(&scene.sent));
    wrong.extend((again.code != 0).then(|| format!("mdrop-store of what came again ended with {}: {}", again.code, again.stderr)));
    let (handed, status) = scene.cat();
    if (all.len() - handed.len(), status) != (expected.again, if expected.again > 0 { 65 } else { 0 }) {
        wrong.push(format!("of what came again {} of {} are handed out, status {status}", handed.len(), all.len()));
    }
    if place == Place::Segment && anew == 0 {
        // An index that has read the segment before does not look at it again; made anew, it has the pack adopted.
        std::fs::remove_dir_all(scene.path("cache")).unwrap();
        scene.tool("mdrop-store", &[], &stream(&scene.sent)).exits(0);
    }
    wrong.extend((scene.find() != (all.len(), 0)).then(|| format!("of what came again mdrop-find says {:?}", scene.find())));
    wrong.extend((!files(&scene.root()).is_superset(&before)).then(|| "a file was changed or removed".into()));
    if expected.again > 0 {
        wrong.extend(rescue_differs(scene, &handed, &all));
    }
    wrong
}

/// What is not as it should be when damaged packs are taken away: what mdrop-cat still hands out is stored anew, and so is what comes again.
fn rescue_differs(scene: &Scene, handed: &BTreeSet<Digest>, all: &BTreeSet<Digest>) -> Option<String> {
    let saved = scene.tool("mdrop-cat", &["--stream", "--user", ALICE], b"").stdout;
    for finding in findings(&scene.check(&[])) {
        let file = finding.file.filter(|file| file.starts_with("packs/") && finding.finding == "damaged");
        file.into_iter().for_each(|file| drop(std::fs::remove_file(scene.path(&file))));
    }
    let kept = scene.tool("mdrop-store", &[], &saved).code == 0 && scene.cat() == (handed.clone(), 65);
    let stored = scene.tool("mdrop-store", &[], &stream(&scene.sent)).code == 0 && scene.cat() == (all.clone(), 0);
    (!kept || !stored).then(|| format!("with the damaged pack taken away: kept {kept}, stored anew {stored}"))
}

fn matrix(place: Place) {
    let whole = Scene::new();
    whole.check(&[]).exits(0);
    let mut wrong = Vec::new();
    for damage in DAMAGES {
        for (anew, index) in ["as it was", "made anew"].iter().enumerate() {
            let scene = whole.copy();
            scene.damage(damage, place);
            if anew == 1 {
                std::fs::remove_dir_all(scene.path("cache")).unwrap();
            }
            let about = |what| format!("{damage:?} × {place:?}, index {index}: {what}");
            wrong.extend(differs(&scene, place, &cell(damage, place), anew).into_iter().map(about));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The packs and segments, each with its BLAKE3.
fn files(root: &Path) -> BTreeSet<(PathBuf, Digest)> {
    let entries = ["packs", "catalog"].iter().flat_map(|series| walkdir::WalkDir::new(root.join(series)));
    let files = entries.flatten().filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
    files.map(|path| (path.clone(), Digest::of(&std::fs::read(path).unwrap()))).collect()
}

#[test]
fn a_damaged_pack_costs_what_is_damaged_and_what_comes_again_is_whole() {
    matrix(Place::Pack);
}

#[test]
fn a_damaged_frame_costs_its_own_messages() {
    matrix(Place::Frame);
}

#[test]
fn a_damaged_segment_costs_no_message() {
    matrix(Place::Segment);
}

#[test]
fn nobody_writes_to_an_archive_whose_identity_is_damaged() {
    matrix(Place::ArchiveJson);
}

#[test]
fn a_damaged_index_costs_nothing() {
    matrix(Place::Index);
}

#[test]
fn damage_names_the_users_of_later_filings_and_the_copy_that_is_left() {
    let scene = Scene::new();
    // The second message of pack 2 is filed under bob later; of the third comes a copy that travelled otherwise.
    let other = [b"Received: by elsewhere\r\n".as_slice(), &scene.sent[5].1].concat();
    scene.tool("mdrop-store", &[], &stream(&[message(51, &scene.sent[4].1, &["bob@example.com"]), message(52, &other, &[ALICE])])).exits(0);
    scene.damage(Remove, Place::Pack);
    let found = findings(&scene.check(&[]).exits(65));
    assert!(found[0].text.contains("is missing; segment 2 names it, and 4 messages were in it"), "{}", found[0].text);
    let of = |n: usize| found.iter().find(|finding| finding.digest == Some(scene.sent[n].0.digest)).unwrap();
    assert_eq!(of(3).users, [ALICE]);
    assert_eq!(of(4).users, [ALICE, "bob@example.com"]);
    assert!(of(4).text.ends_with("the archive has no other copy") && of(4).origin.as_ref() == Some(&scene.sent[4].0.origin));
    assert!(of(5).text.ends_with(&format!("another copy of the mail is whole: {}", Digest::of(&other))), "{}", of(5).text);
    scene.tool("mdrop-store", &[], &stream(&scene.sent)).exits(0);
    let found = findings(&scene.check(&[]).exits(65));
    let lost = found.iter().find(|finding| finding.digest == Some(scene.sent[3].0.digest)).unwrap();
    assert!(lost.text.ends_with("it is whole in packs/0000/00000005.mbox.zst"), "{}", lost.text);
}

#[test]
fn a_catalog_that_was_cut_off_is_proved_by_a_head_seen_before() {
    let scene = Scene::new();
    let segment = |n: u32| scene.path(&format!("catalog/0000/{n:08}.jsonl.zst"));
    let heads: Vec<String> = (1..4).map(|n| Digest::of(&std::fs::read(segment(n)).unwrap()).to_string()).collect();
    assert!(scene.check(&[]).exits(0).stderr.contains(&format!("head: segment 3 {}", heads[2])));
    scene.check(&["--head", &heads[0], "--head", &heads[2]]).exits(0);
    std::fs::remove_file(segment(3)).unwrap();
    std::fs::remove_file(scene.path("packs/0000/00000003.mbox.zst")).unwrap();
    scene.check(&["--head", &heads[1]]).exits(0);
    assert!(scene.check(&["--head", &heads[2]]).exits(65).stderr.contains("was cut off or exchanged: no segment of it has"));
    scene.check(&["--head", "blake3:12"]).exits(64);
}

#[test]
fn since_and_sample_read_what_they_say_and_no_more() {
    let scene = Scene::new();
    std::fs::write(scene.path(PACK), flipped(&std::fs::read(scene.path(PACK)).unwrap(), 1000)).unwrap();
    scene.check(&["--since", "2"]).exits(65);
    assert!(scene.check(&["--since", "3"]).exits(0).stderr.contains("no damage in what was read, the catalog and "));
    scene.check(&["--since", "1d"]).exits(65);
    scene.check(&["--since", "2999-01-01"]).exits(0);
    scene.check(&["--since", "tomorrow"]).exits(64);
    scene.check(&["--sample", "100%"]).exits(65);
    let codes: BTreeSet<i32> = (0..12).map(|seed| scene.check(&["--sample", "50%", "--seed", &seed.to_string()]).code).collect();
    assert_eq!(codes, BTreeSet::from([0, 65]), "the damaged frame is read by some and not by others");
    // A whole file that is gone or cut is seen in any case.
    std::fs::write(scene.path(PACK), b"").unwrap();
    scene.check(&["--since", "3"]).exits(65);
    scene.check(&["--sample", "0.001%", "--seed", "1"]).exits(65);
}

#[test]
fn links_pipes_and_strange_files_are_neither_followed_nor_waited_for() {
    let scene = Scene::new();
    for name in [PACK, SEGMENT] {
        let path = scene.path(name);
        let aside = scene.folder.path().join("aside");
        std::fs::rename(&path, &aside).unwrap();
        std::os::unix::fs::symlink(&aside, &path).unwrap();
        assert!(scene.check(&[]).exits(65).stderr.contains(&format!("{name}: is a symbolic link, and is not followed")));
        std::fs::remove_file(&path).unwrap();
        common::tools::shell(&scene.root(), &format!("mkfifo {name}"));
        assert!(scene.check(&[]).exits(65).stderr.contains(&format!("{name}: is no regular file")));
        std::fs::remove_file(&path).unwrap();
        std::fs::rename(&aside, &path).unwrap();
    }
    for name in ["packs/0000/00000002.mbox.zst.orig", "packs/0000/2.mbox.zst", "packs/0001/00000002.mbox.zst", "catalog/x", "thesis.tex"] {
        std::fs::create_dir_all(scene.path(name).parent().unwrap()).unwrap();
        std::fs::write(scene.path(name), b"x").unwrap();
    }
    common::tools::shell(&scene.root(), &format!("chmod 644 {PACK}; chmod 755 packs/0001"));
    let found = findings(&scene.check(&[]).exits(0));
    let of = |word: &str| found.iter().filter(|finding| finding.finding == word).count();
    assert_eq!((of("unexpected"), of("exposed"), found.len()), (5, 1, 6), "{found:?}");
}

/// Writes a segment anew with other records, as somebody would who wants to fool the tools.
fn forge(scene: &Scene, number: u32, change: impl Fn(&str) -> String) {
    let path = scene.path(&format!("catalog/0000/{number:08}.jsonl.zst"));
    let lines = String::from_utf8(zstd::decode_all(std::fs::File::open(&path).unwrap()).unwrap()).unwrap();
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    std::io::Write::write_all(&mut encoder, change(&lines).as_bytes()).unwrap();
    std::fs::write(path, encoder.finish().unwrap()).unwrap();
}

/// What is done to an archive, and the file that mdrop-check must name.
type Hostile = (&'static str, fn(&Scene), &'static str);

const HOSTILE: [Hostile; 7] = [
    (
        "a frame that goes on for gigabytes",
        |scene| {
            let zeros = std::io::Read::take(std::io::repeat(b'\n'), 3 << 30);
            std::fs::write(scene.path(PACK), zstd::encode_all(zeros, 1).unwrap()).unwrap();
        },
        PACK,
    ),
    ("a segment of nothing", |scene| forge(scene, 2, |_| String::new()), SEGMENT),
    ("a segment of nonsense", |scene| forge(scene, 2, |lines| format!("{lines}{{\"type\":\"receipt\",\"v\":1,\"origin\":[]}}\n")), SEGMENT),
    ("a deep nest", |scene| forge(scene, 2, |lines| format!("{lines}{}\n", "[".repeat(1 << 20))), SEGMENT),
    (
        "a receipt that points at another message",
        |scene| {
            forge(scene, 3, |lines| lines.replace(&scene.sent[7].0.digest.to_string(), &Digest([7; 32]).to_string()));
        },
        "packs/0000/00000003.mbox.zst",
    ),
    (
        "a receipt with a place that no file has",
        |scene| {
            forge(scene, 3, |lines| lines.replace("\"frame\":{\"offset\":0,", "\"frame\":{\"offset\":18446744073709551615,"));
        },
        "packs/0000/00000003.mbox.zst",
    ),
    (
        "a number far away",
        |scene| {
            std::fs::create_dir_all(scene.path("catalog/922337203685477")).unwrap();
            std::fs::write(scene.path("catalog/922337203685477/9223372036854775807.jsonl.zst"), b"x").unwrap();
        },
        "catalog/922337203685477/9223372036854775807.jsonl.zst",
    ),
];

#[test]
fn hostile_contents_are_named_and_neither_kill_nor_hang_nor_fool_a_tool() {
    let whole = Scene::new();
    for (what, damage, file) in HOSTILE {
        let scene = whole.copy();
        damage(&scene);
        let ran = scene.check(&[]);
        let named = findings(&ran).iter().any(|finding| finding.finding == "damaged" && finding.file.as_deref() == Some(file));
        assert!(ran.code == 65 && named, "{what}: {} {}", ran.code, ran.stderr);
        scene.cat();
    }
}

#[test]
fn an_older_copy_of_the_catalog_loses_nothing_and_the_head_tells() {
    let scene = Scene::new();
    let older = scene.copy();
    let more: Vec<_> = (31..34).map(|uid| message(uid, &mail(uid, 900), &[ALICE])).collect();
    let scene = Scene { sent: [scene.sent.clone(), more.clone()].concat(), ..scene };
    scene.tool("mdrop-store", &[], &stream(&more)).exits(0);
    let head = Digest::of(&std::fs::read(scene.path("catalog/0000/00000004.jsonl.zst")).unwrap()).to_string();
    common::tools::shell(&scene.root(), &format!("rm -r catalog; cp -a '{}' .", older.path("catalog").display()));
    let ran = scene.check(&[]).exits(0);
    assert!(
        ran.stderr.contains("00000004.mbox.zst has no segment; the next mdrop-store will take it in; 3 messages in it are whole"),
        "{}",
        ran.stderr
    );
    scene.check(&["--head", &head]).exits(65);
    scene.tool("mdrop-store", &[], &stream(&scene.sent)).exits(0);
    assert_eq!(scene.cat().0.len(), 12);
}
