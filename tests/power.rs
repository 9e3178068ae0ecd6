//! The power fails at any step of any run: whatever of the unsynced is lost or torn, what had a receipt is there, and the next run mends the rest.
//!
//! The program lists its steps (mdrop-safety(7)); from the list the test makes what the disk may hold at each cut, and runs the
//! program on it. That the test would notice is shown by the test itself: if any one sync were left out, something is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::audit::{Audit, audit};
use common::disk::{Disk, State};
use common::tools::message;
use common::writer::{self, Act, Listed, copy_folder, mail, mails, orphan, quick_folder, read_list, recovers};
use mdrop::record::Receipt;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

#[test]
fn a_writer_in_a_process_of_its_own() {
    writer::act();
}

/// How a run ends: well, or killed when its pack has its number, which is not synced, or killed at a step.
#[derive(Clone, Copy)]
enum Ends {
    Well,
    AfterPack,
    At(u64),
}

/// Runs on one archive, the last of which is looked at.
struct Story {
    folder: tempfile::TempDir,
    act: Act,
    input: Vec<u8>,
    /// The steps of all runs, and which are the last one's.
    steps: Vec<Listed>,
    from: usize,
    /// Receipts in the order in which they were printed, and how many of them before the last run.
    receipts: Vec<Receipt>,
    before: usize,
    wanted: Audit,
    contents: Vec<Vec<u8>>,
}

/// What is done in the cache folder is no part of the story: the index is made anew, and what may become of it is tried with every state.
fn without_cache(step: Listed) -> Listed {
    let below = |object: &PathBuf| object.parent().is_some_and(|folder| folder.ends_with("cache"));
    if step.objects.iter().any(below) { Listed { name: "in-cache".into(), objects: Vec::new(), ..step } } else { step }
}

impl Story {
    /// Plays it.
    fn play(runs: &[(Act, Vec<u8>, Ends)]) -> Self {
        let folder = quick_folder();
        let list = folder.path().join("list");
        // Folders above the archive are made, too.
        let archive = folder.path().join("disk/new/archive");
        std::fs::create_dir(folder.path().join("disk")).unwrap();
        let (mut receipts, mut from, mut before) = (Vec::new(), 0, 0);
        for (number, (act, input, ends)) in runs.iter().enumerate() {
            (from, before) = (if list.exists() { read_list(&list).len() } else { 0 }, receipts.len());
            if archive.join("cache").exists() {
                copy_folder(&archive.join("cache"), &folder.path().join(format!("cache-{number}")));
            }
            let listed = format!("list={}", list.display());
            let ran = match ends {
                Ends::Well => writer::run(*act, &archive, input, Some(&listed)).exits(0),
                Ends::AfterPack => orphan(*act, &archive, input, Some(&list)),
                Ends::At(step) => writer::run(*act, &archive, input, Some(&format!("{listed},stop={step}"))).exits(-1),
            };
            receipts.extend(ran.receipts());
        }
        let (act, input, _) = runs.last().unwrap().clone();
        let mut story = Self {
            act,
            input,
            steps: read_list(&list).into_iter().map(without_cache).collect(),
            from,
            receipts,
            before,
            wanted: audit(&archive).unwrap(),
            contents: Vec::new(),
            folder,
        };
        let mut disk = Disk::default();
        story.steps.iter().for_each(|step| disk.take(step));
        story.contents = disk.contents();
        std::fs::rename(archive.join("cache"), story.folder.path().join("cache-after")).unwrap();
        let last = story.folder.path().join(format!("cache-{}", runs.len() - 1));
        if last.exists() {
            std::fs::rename(last, story.folder.path().join("cache-before")).unwrap();
        }
        story
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// What the disk may hold when the power fails in the last run, each with how many receipts have been printed by then. One that
    /// several cuts leave stands for the last of them. Steps can be left out, as if the program had not done them.
    fn states(&self, without: &[usize]) -> Vec<(State, usize)> {
        let mut disk = Disk::default();
        let mut cuts = Vec::new();
        let mut printed = self.before;
        for (n, step) in self.steps.iter().enumerate() {
            if n >= self.from {
                cuts.push((disk.states(), printed));
                printed += if step.name == "answer" { usize::try_from(step.octets).unwrap() } else { 0 };
            }
            if !without.contains(&n) {
                disk.take(step);
            }
        }
        cuts.push((disk.states(), printed));
        assert_eq!(printed, self.receipts.len());
        let mut seen = BTreeSet::new();
        let all = cuts.into_iter().rev().flat_map(|(states, printed)| states.into_iter().map(move |state| (state, printed)));
        all.filter(|(state, _)| seen.insert(state.clone())).collect()
    }

    /// Makes a state anew; the index, which is no file of ours, may be lost, as before the run, as after it, or damaged.
    fn make(&self, state: &State, index: usize) -> PathBuf {
        let disk = self.folder.path().join("after");
        let _ = std::fs::remove_dir_all(&disk);
        state.make(&self.root(), &disk, &self.contents);
        let archive = disk.join("new/archive");
        let cache = archive.join("cache");
        if cache.exists() {
            match index % 4 {
                0 => {}
                1 => common::daemon::write_private(&cache.join("index.sqlite"), &"x".repeat(5000)),
                which => {
                    let from = self.folder.path().join(if which == 2 { "cache-before" } else { "cache-after" });
                    if from.exists() {
                        copy_folder(&from, &cache);
                    }
                }
            }
        }
        archive
    }

    /// Demands that nothing is lost in any state; returns how many there were.
    fn survives(&self) -> usize {
        let states = self.states(&[]);
        for (n, (state, printed)) in states.iter().enumerate() {
            let archive = self.make(state, n);
            let done = recovers(&archive, (self.act, &self.input), &self.receipts[..*printed], &self.wanted);
            done.unwrap_or_else(|e| panic!("{e}, index {}, after {printed} receipts: {state:#?}", n % 4));
        }
        states.len()
    }

    /// Whether leaving out these steps would lose what had a receipt, or leave a segment without its pack.
    fn needs(&self, steps: &[usize], usual: &BTreeMap<State, usize>) -> bool {
        let unusual = |state: &State, printed: usize| usual.get(state).is_none_or(|usual| *usual < printed);
        let states = self.states(steps).into_iter().filter(|(state, printed)| unusual(state, *printed));
        states.into_iter().any(|(state, printed)| self.is_loss(&self.make(&state, 0), printed))
    }

    fn is_loss(&self, archive: &Path, printed: usize) -> bool {
        let unnamed = printed > 0 && mdrop::archive::identity(archive).is_err();
        unnamed || audit(archive).map_or(true, |audit| self.receipts[..printed].iter().any(|receipt| !audit.has(receipt)))
    }

    /// What the last run syncs, once or several times, and whether something would be lost if it did not.
    fn weigh(&self) -> BTreeMap<String, bool> {
        let usual: BTreeMap<State, usize> = self.states(&[]).into_iter().collect();
        let mut syncs: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (n, step) in self.steps.iter().enumerate().skip(self.from).filter(|(_, step)| step.name.starts_with("sync")) {
            let becomes = self.steps[n..].iter().find(|later| later.name == "link" && later.objects[0] == step.objects[0]);
            let object = becomes.map_or(&step.objects[0], |link| &link.objects[1]);
            // The machine's own folders are no part of the story.
            let Ok(object) = object.strip_prefix(self.root()) else { continue };
            let object = object.display();
            syncs.entry(format!("{} {object}", step.name)).or_default().push(n);
        }
        syncs.into_iter().map(|(what, steps)| (what, self.needs(&steps, &usual))).collect()
    }
}

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";

fn first_input() -> Vec<u8> {
    mails(&[(1, 1, ALICE), (2, 2, BOB)])
}

fn second() -> Vec<u8> {
    let copies = [message(3, &mail(1), &[BOB]), message(4, &mail(4), &[ALICE, BOB]), message(5, &writer::copy(4, BOB), &[BOB])];
    common::tools::stream(&copies)
}

fn first_run() -> Story {
    Story::play(&[(Act::Store, first_input(), Ends::Well)])
}

#[test]
fn the_power_fails_in_a_first_run() {
    let states = first_run().survives();
    assert!(states > 30, "only {states} states");
}

#[test]
fn the_power_fails_in_a_run_of_several_commits() {
    let states = Story::play(&[(Act::Store, first_input(), Ends::Well), (Act::Commits(1), second(), Ends::Well)]).survives();
    assert!(states > 20, "only {states} states");
}

fn adopting() -> Story {
    Story::play(&[(Act::Store, first_input(), Ends::Well), (Act::Store, second(), Ends::AfterPack), (Act::Store, second(), Ends::Well)])
}

#[test]
fn the_power_fails_in_a_run_that_adopts_what_a_killed_one_left() {
    let states = adopting().survives();
    assert!(states > 20, "only {states} states");
}

#[test]
fn the_power_fails_while_a_purge_is_recorded() {
    let states = Story::play(&[(Act::Store, first_input(), Ends::Well), (Act::Purge, first_input(), Ends::Well)]).survives();
    assert!(states > 10, "only {states} states");
}

/// Stories of a first run that was killed just before it synced a folder, and then run again.
fn killed_before_a_sync() -> Vec<Story> {
    let steps = first_run().steps;
    let stops = steps.iter().filter(|step| step.name == "sync-folder").map(|step| step.n);
    stops.map(|n| Story::play(&[(Act::Store, first_input(), Ends::At(n)), (Act::Store, first_input(), Ends::Well)])).collect()
}

#[test]
fn what_a_killed_run_left_unsynced_is_synced_by_the_next_before_it_relies_on_it() {
    let stories = killed_before_a_sync();
    assert!(stories.len() > 8, "only {} stories", stories.len());
    for story in stories {
        for (state, printed) in story.states(&[]) {
            assert!(!story.is_loss(&story.make(&state, 0), printed), "lost: {state:#?} {:#?}", story.steps);
        }
    }
}

#[test]
fn each_sync_is_there_because_something_would_be_lost_without_it() {
    let first = first_run().weigh();
    let idle: Vec<&String> = first.iter().filter(|(_, needed)| !**needed).map(|(what, _)| what).collect();
    // A README that is torn costs nobody a mail.
    assert_eq!(idle, ["sync new/archive/README"]);
    assert_eq!(first.len(), 11, "{first:#?}");
    // Later runs need what they make; the folders above are synced for the sake of one that was killed while it made them.
    let later = Story::play(&[(Act::Store, first_input(), Ends::Well), (Act::Commits(1), second(), Ends::Well)]).weigh();
    let needed: BTreeSet<&str> = later.iter().filter(|(_, needed)| **needed).map(|(what, _)| what.as_str()).collect();
    let files = ["catalog/0000/00000002.jsonl.zst", "catalog/0000/00000003.jsonl.zst", "catalog/0000/00000004.jsonl.zst"];
    let packs = ["packs/0000/00000003.mbox.zst", "packs/0000/00000004.mbox.zst"];
    let synced: BTreeSet<String> = files.iter().chain(&packs).map(|file| format!("sync new/archive/{file}")).collect();
    assert!(synced.iter().all(|sync| needed.contains(sync.as_str())), "{later:#?}");
    assert!(["sync-folder new/archive/catalog/0000", "sync-folder new/archive/packs/0000"].iter().all(|sync| needed.contains(sync)));
    let mut needed = BTreeSet::new();
    for story in killed_before_a_sync() {
        needed.extend(story.weigh().into_iter().filter(|(_, needed)| *needed).map(|(what, _)| what));
    }
    for above in
        ["sync-folder ", "sync-folder new", "sync-folder new/archive", "sync-folder new/archive/catalog", "sync-folder new/archive/packs"]
    {
        assert!(needed.contains(above), "{above}: {needed:#?}");
    }
}
