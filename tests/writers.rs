//! Many processes at one archive at once: writers, some of them killed at any moment, and readers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::audit::{audit, numbered, packs_are_there, records};
use common::dovecot::write_private;
use common::tools::{Ran, message, path_of, run_command, stream};
use common::writer::{self, Act, command, mail, quick_folder};
use mdrop::record::{Outcome, Receipt, Record};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[test]
fn a_writer_in_a_process_of_its_own() {
    writer::act();
}

/// Numbers that look random and are the same each time (Marsaglia's xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 % u64::from(end)).unwrap()
    }
}

const COMMITS: usize = 400;
const USERS: [&str; 3] = ["alice@example.com", "bob@example.com", "carol@example.com"];

/// Four messages, of which some are everybody's and some nobody else's; for whom, and which mail, is noted.
fn batch(writer: u32, first: u32, chance: &mut Chance, noted: &mut BTreeSet<(&'static str, u32)>) -> Vec<u8> {
    let mut messages = Vec::new();
    for uid in first..first + 4 {
        let shared = chance.below(2) == 0;
        let (n, user) = (if shared { chance.below(200) } else { 1000 + uid }, USERS[usize::try_from(chance.below(3)).unwrap()]);
        messages.push(message(uid, &mail(n), &[user]));
        noted.insert((user, n));
    }
    assert!(writer < 4);
    stream(&messages)
}

/// One of the four: writes until there are commits enough, killed at any step every other time, and then run again.
fn write(number: u32, archive: &Path) -> (Vec<Receipt>, BTreeSet<(&'static str, u32)>, u32) {
    let (mut chance, mut receipts, mut noted, mut killed) = (Chance(u64::from(number) + 11), Vec::new(), BTreeSet::new(), 0);
    let mut uid = number * 1_000_000 + 1;
    while numbered(archive, "catalog").len() < COMMITS {
        let input = batch(number, uid, &mut chance, &mut noted);
        uid += 4;
        let act = Act::Commits(1 + usize::try_from(chance.below(2)).unwrap());
        while chance.below(2) == 0 {
            let ran = writer::run(act, archive, &input, Some(&format!("stop={}", 1 + chance.below(60))));
            killed += u32::from(ran.code == -1);
            receipts.extend(ran.receipts());
        }
        receipts.extend(writer::run(act, archive, &input, None).exits(0).receipts());
    }
    (receipts, noted, killed)
}

#[test]
fn four_writers_that_are_killed_at_any_step_never_leave_a_segment_whose_pack_is_not_there() {
    let folder = quick_folder();
    let archive = folder.path().join("archive");
    let ended = AtomicBool::new(false);
    let results = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|number| {
                scope.spawn({
                    let archive = &archive;
                    move || write(number, archive)
                })
            })
            .collect();
        let watcher = scope.spawn(|| {
            let mut looks = 0;
            while !ended.load(Ordering::Relaxed) {
                packs_are_there(&archive).unwrap();
                looks += 1;
            }
            looks
        });
        let results: Vec<_> = writers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        ended.store(true, Ordering::Relaxed);
        assert!(watcher.join().unwrap() > 3);
        results.into_iter().map(Result::unwrap).collect::<Vec<_>>()
    });
    let audit = audit(&archive).unwrap();
    let killed: u32 = results.iter().map(|(_, _, killed)| killed).sum();
    assert!(killed > 30, "only {killed} were killed");
    let adopted = |record: &Record| matches!(record, Record::Receipt(receipt) if receipt.outcome == Outcome::Adopted);
    assert!(records(&archive).iter().any(adopted), "no pack was left to be adopted");
    assert!(results.iter().flat_map(|(receipts, _, _)| receipts).all(|receipt| audit.has(receipt)));
    let wanted: BTreeSet<_> = results.iter().flat_map(|(_, noted, _)| noted).collect();
    assert_eq!(audit.filings.len(), wanted.len(), "everybody has each mail once, and nothing is left that belongs to nobody known");
    check(&archive).exits(0);
}

fn check(archive: &Path) -> Ran {
    run_command(Command::new(path_of("mdrop-check")).arg("-q").arg("--archive").arg(archive), b"")
}

const PROFILES: u32 = 10;

fn tool(name: &str, profile: &Path, arguments: &[&str], input: &[u8]) -> Ran {
    run_command(Command::new(path_of(name)).arg("-q").arg("-p").arg(profile).args(arguments), input)
}

#[test]
fn ten_profiles_store_into_one_archive_while_others_read_it() {
    let folder = quick_folder();
    let archive = folder.path().join("archive");
    let profile = |n: u32| folder.path().join(format!("acme{n}.toml"));
    for n in 0..PROFILES {
        let text =
            format!("[account]\nprotocol = \"imap\"\nhost = \"h\"\nusername = \"a\"\n[store]\narchive = \"{}\"\n", archive.display());
        write_private(&profile(n), &text);
    }
    // So that the readers find an archive.
    tool("mdrop-store", &profile(0), &[], &stream(&[message(1, &mail(1), &["alice@example.com"])])).exits(0);
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reading = |name: &'static str, arguments: &'static [&'static str]| {
            let (ended, profile) = (&ended, profile(0));
            scope.spawn(move || {
                let mut times = 0;
                while !ended.load(Ordering::Relaxed) {
                    tool(name, &profile, arguments, b"").exits(0);
                    times += 1;
                }
                assert!(times > 1, "{name}");
            })
        };
        let readers = [reading("mdrop-cat", &["--stream"]), reading("mdrop-check", &[]), reading("mdrop-store", &["--known"])];
        let store = |n: u32| {
            let profile = profile(n);
            move || {
                for round in 0..4 {
                    let of = |i: u32| {
                        message(n * 1000 + round * 10 + i, &mail(if i < 3 { i } else { n * 1000 + round * 10 + i }), &["alice@example.com"])
                    };
                    let receipts = tool("mdrop-store", &profile, &[], &stream(&(0..10).map(of).collect::<Vec<_>>())).exits(0).receipts();
                    assert_eq!(receipts.len(), 10);
                }
            }
        };
        let writers: Vec<_> = (0..PROFILES).map(|n| scope.spawn(store(n))).collect();
        let ended_well: Vec<_> = writers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        ended.store(true, Ordering::Relaxed);
        readers.into_iter().map(std::thread::ScopedJoinHandle::join).chain(ended_well).for_each(Result::unwrap);
    });
    let audit = audit(&archive).unwrap();
    assert_eq!(audit.readable.len(), 3 + (PROFILES as usize) * 4 * 7);
    assert_eq!(audit.filings.len(), audit.readable.len(), "each mail is filed once");
    check(&archive).exits(0);
}

const KILLED: u32 = 200;

/// Starts a run and kills it after a while; what it printed, but for a line that was cut.
fn killed_after(archive: &Path, input: &[u8], delay: Duration) -> (bool, Vec<Receipt>) {
    let mut command = command(Act::Commits(2), archive);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(input);
    drop(stdin);
    std::thread::sleep(delay);
    let _ = child.kill();
    let mut printed = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut printed).unwrap();
    let whole = printed.split_inclusive(|octet| *octet == b'\n').filter(|line| line.starts_with(b"{") && line.ends_with(b"\n"));
    let ran = Ran { code: child.wait().unwrap().code().unwrap_or(-1), stdout: whole.collect::<Vec<_>>().concat(), stderr: String::new() };
    (ran.code == -1, ran.receipts())
}

#[test]
fn after_two_hundred_runs_killed_at_any_moment_nothing_with_a_receipt_is_missing() {
    let folder = quick_folder();
    let archive = folder.path().join("archive");
    let mut chance = Chance(5);
    // Some mail that was in the run before, and new mail.
    let input = |run: u32| stream(&(0..16).map(|i| message(run * 12 + i, &mail(run * 12 + i), &["alice@example.com"])).collect::<Vec<_>>());
    let clock = Instant::now();
    writer::run(Act::Commits(2), &folder.path().join("other"), &input(0), None).exits(0);
    let usual = clock.elapsed();
    let (mut killed, mut receipts) = (0, Vec::new());
    for run in 0..KILLED {
        let delay = usual * chance.below(1000) / 900;
        let (was, printed) = killed_after(&archive, &input(run), delay);
        killed += u32::from(was);
        receipts.extend(printed);
    }
    assert!(killed > KILLED / 3, "only {killed} were killed");
    let now = audit(&archive).unwrap();
    assert!(receipts.len() > 200 && receipts.iter().all(|receipt| now.has(receipt)), "of {} receipts", receipts.len());
    (0..KILLED).for_each(|run| drop(writer::run(Act::Store, &archive, &input(run), None).exits(0)));
    let after = audit(&archive).unwrap();
    let all = (KILLED * 12 + 4) as usize;
    assert_eq!((after.readable.len(), after.filings.len(), after.origins.len()), (all, all, all));
    check(&archive).exits(0);
}
