//! A disk that forgets: from the steps that runs have listed, what a power failure may leave of them.
//!
//! What was not synced may be there, or not, or in part: of a file its end, nothing, zeros or what lay there before; of a folder
//! each entry by itself. That is worse than any one file system, and no better than what POSIX promises of fsync.

use super::writer::Listed;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What an entry stands for: a folder, or a file by number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Node {
    Folder,
    File(usize),
}

/// What may have become of octets that were not synced.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Damage {
    Empty,
    Half,
    Zeros,
    Garbage,
}

const DAMAGES: [Damage; 4] = [Damage::Empty, Damage::Half, Damage::Zeros, Damage::Garbage];

impl Damage {
    fn of(self, mut octets: Vec<u8>) -> Vec<u8> {
        let half = octets.len() / 2;
        match self {
            Self::Empty => octets.clear(),
            Self::Half => octets.truncate(half),
            Self::Zeros => octets[half..].fill(0),
            Self::Garbage => octets[half..].fill(0xa5),
        }
        octets
    }
}

type Entries = BTreeMap<PathBuf, Node>;

/// What lies on the disk after the cut.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct State {
    pub entries: Entries,
    pub damaged: BTreeMap<usize, Damage>,
}

/// The disk as the programs see it, and what of it is safe.
#[derive(Clone, Default)]
pub struct Disk {
    now: Entries,
    safe: Entries,
    /// Of each file, the octets written and those of them that are safe.
    files: Vec<(u64, u64)>,
}

impl Disk {
    /// Does a step.
    pub fn take(&mut self, step: &Listed) {
        let Some(object) = step.objects.first().cloned() else { return };
        match step.name.as_str() {
            "make-folder" => drop(self.now.entry(object).or_insert(Node::Folder)),
            // A file without a name leaves nothing.
            "create" if !self.now.contains_key(&object) => {
                self.now.insert(object, Node::File(self.files.len()));
                self.files.push((0, 0));
            }
            "write" => self.file(&object, |file| file.0 += step.octets),
            "sync" => self.file(&object, |file| file.1 = file.0),
            "link" => drop(self.now.get(&object).copied().map(|node| self.now.insert(step.objects[1].clone(), node))),
            "remove" | "remove-folder" => drop(self.now.remove(&object)),
            "sync-folder" => self.sync_folder(&object),
            "rename" => panic!("links are known here"),
            _ => {}
        }
    }

    fn file(&mut self, path: &Path, change: impl FnOnce(&mut (u64, u64))) {
        if let Some(Node::File(number)) = self.now.get(path) {
            change(&mut self.files[*number]);
        }
    }

    fn sync_folder(&mut self, folder: &Path) {
        let of =
            |entries: &Entries| entries.iter().filter(|(path, _)| path.parent() == Some(folder)).map(|(p, n)| (p.clone(), *n)).collect();
        let (now, safe): (Entries, Entries) = (of(&self.now), of(&self.safe));
        self.safe.retain(|path, _| !safe.contains_key(path));
        self.safe.extend(now);
    }

    /// What a cut may leave: all that is uncertain kept, all lost, each thing alone kept or lost, each unsynced file damaged in each way.
    pub fn states(&self) -> BTreeSet<State> {
        let paths: BTreeSet<&PathBuf> = self.now.keys().chain(self.safe.keys()).collect();
        let uncertain: Vec<&PathBuf> = paths.into_iter().filter(|path| self.now.get(*path) != self.safe.get(*path)).collect();
        let damageable: Vec<usize> = (0..self.files.len()).filter(|n| self.files[*n].0 > self.files[*n].1).collect();
        let mut states = BTreeSet::new();
        let mut add = |kept: &dyn Fn(&PathBuf) -> bool, damaged: &dyn Fn(usize) -> Option<Damage>| {
            let mut entries = self.safe.clone();
            for path in uncertain.iter().filter(|path| kept(path)) {
                match self.now.get(*path) {
                    Some(node) => drop(entries.insert((*path).clone(), *node)),
                    None => drop(entries.remove(*path)),
                }
            }
            let damaged = damageable.iter().filter_map(|n| Some((*n, damaged(*n)?))).collect();
            states.insert(State { entries, damaged });
        };
        add(&|_| true, &|_| None);
        add(&|_| false, &|_| None);
        for one in &uncertain {
            add(&|path| path == *one, &|_| None);
            add(&|path| path != *one, &|_| None);
        }
        for damage in DAMAGES {
            add(&|_| true, &|_| Some(damage));
            damageable.iter().for_each(|one| add(&|_| true, &|n| (n == *one).then_some(damage)));
        }
        states
    }

    /// The octets of each file as it was written, found in what the runs have left below `root`.
    pub fn contents(&self) -> Vec<Vec<u8>> {
        let mut contents: Vec<Vec<u8>> = self.files.iter().map(|(written, _)| vec![b'x'; usize::try_from(*written).unwrap()]).collect();
        for (path, node) in &self.now {
            if let Node::File(number) = node {
                contents[*number] = std::fs::read(path).unwrap();
            }
        }
        contents
    }
}

impl State {
    /// Makes it, with what lay below `root` below `target`. What lies in a folder that is lost is lost.
    pub fn make(&self, root: &Path, target: &Path, contents: &[Vec<u8>]) {
        folder(target);
        for (path, node) in &self.entries {
            let path = target.join(path.strip_prefix(root).unwrap());
            if !path.parent().unwrap().is_dir() {
                continue;
            }
            match node {
                Node::Folder => folder(&path),
                Node::File(number) => {
                    let octets = contents[*number].clone();
                    let octets = self.damaged.get(number).map_or(octets.clone(), |damage| damage.of(octets));
                    std::fs::write(&path, octets).unwrap();
                    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
                }
            }
        }
    }
}

/// A folder as the tools make them: what others may read is a finding.
fn folder(path: &Path) {
    std::fs::create_dir(path).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
}
