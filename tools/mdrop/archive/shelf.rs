//! Where an archive's files lie: the one narrow interface through which everything reads and writes them.
//!
//! Files are only ever made whole, listed, and read by range. A folder offers that, and an object store does too.

use crate::durable::{self, Unfinished};
use crate::error::{Error, Result, Status};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The two numbered series of files.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Series {
    /// packs/
    Pack,
    /// catalog/
    Segment,
}

impl Series {
    /// The folder's name.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Pack => "packs",
            Self::Segment => "catalog",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Pack => ".mbox.zst",
            Self::Segment => ".jsonl.zst",
        }
    }

    /// A file's name for messages: `packs/0000/00000042.mbox.zst`.
    #[must_use]
    pub fn name(self, number: u64) -> String {
        format!("{}/{:04}/{number:08}{}", self.folder(), number / 10_000, self.ending())
    }

    /// The number of a file from its folder's and its own name; none of a name that [`Series::name`] does not give.
    #[must_use]
    pub fn number(self, group: &str, name: &str) -> Option<u64> {
        let number = name.strip_suffix(self.ending())?.parse().ok()?;
        let rest = self.name(number);
        let right = rest.strip_prefix(self.folder())?.strip_prefix('/')?.strip_prefix(group)?.strip_prefix('/')? == name;
        right.then_some(number)
    }
}

/// An archive's folder.
#[derive(Clone, Debug)]
pub struct Shelf {
    root: PathBuf,
}

impl Shelf {
    /// The folder at `root`, which need not be there yet.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where unfinished files lie.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Makes durable what a killed run may have left half durable: the entries of the folders in which files appear.
    ///
    /// # Errors
    /// [`Status::Io`], naming the folder.
    pub fn settle(&self) -> Result<()> {
        for series in [Series::Pack, Series::Segment] {
            if let Some(group) = names(&self.root.join(series.folder()))?.last() {
                durable::sync_folder(&self.root.join(series.folder()).join(group))?;
                durable::sync_folder(&self.root.join(series.folder()))?;
            }
        }
        durable::sync_folder(&self.root)?;
        durable::sync_above(&self.root)
    }

    /// Makes a file that is there already, and its name, durable.
    ///
    /// # Errors
    /// What opening or syncing reports, naming the file.
    pub fn sync(&self, series: Series, number: u64) -> Result<()> {
        durable::sync_file(&self.root.join(series.name(number)))
    }

    /// A file's octets; none if it is not there.
    ///
    /// # Errors
    /// What the system reports.
    pub fn size(&self, series: Series, number: u64) -> Result<Option<u64>> {
        match std::fs::metadata(self.root.join(series.name(number))) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("look at", e).about(series.name(number))),
        }
    }

    /// The sizes of many files.
    #[must_use]
    pub fn sizes(&self, series: Series) -> Sizes<'_> {
        Sizes { shelf: self, series, open: None }
    }

    /// A file that has no name yet.
    ///
    /// # Errors
    /// [`Status::CantCreate`].
    pub fn create(&self) -> Result<Unfinished> {
        Unfinished::create(&self.tmp())
    }

    /// Gives a synced file its number; false if the number is taken.
    ///
    /// # Errors
    /// What [`Unfinished::appear`] reports.
    pub fn put(&self, file: &Unfinished, series: Series, number: u64) -> Result<bool> {
        file.appear(&self.root.join(series.name(number)))
    }

    /// The numbers, ascending, that exist from `from` on.
    ///
    /// # Errors
    /// What listing the folders reports.
    pub fn list(&self, series: Series, from: u64) -> Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for group in names(&self.root.join(series.folder()))? {
            if group.parse::<u64>().is_ok_and(|group| group >= from / 10_000) {
                let files = names(&self.root.join(series.folder()).join(&group))?;
                let numbered = files.iter().filter_map(|name| series.number(&group, name));
                numbers.extend(numbered.filter(|number| *number >= from));
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The highest number that exists.
    ///
    /// # Errors
    /// What listing the folders reports.
    pub fn last(&self, series: Series) -> Result<Option<u64>> {
        let groups = names(&self.root.join(series.folder()))?;
        let last = groups.iter().filter_map(|group| group.parse::<u64>().ok()).max();
        last.map_or(Ok(None), |group| Ok(self.list(series, group * 10_000)?.last().copied()))
    }

    /// Opens a whole file for reading.
    ///
    /// # Errors
    /// [`Status::NoInput`] if it is not there.
    pub fn open(&self, series: Series, number: u64) -> Result<File> {
        let opened = File::open(self.root.join(series.name(number)));
        opened.map_err(|e| Error::io("open", e).about(series.name(number)))
    }

    /// Reads `length` octets from `offset` on, as they are asked for.
    ///
    /// # Errors
    /// [`Status::Data`] if the file ends before; what the system reports.
    pub fn range(&self, series: Series, number: u64, offset: u64, length: u64) -> Result<impl Read + use<>> {
        let about = |e: Error| e.about(series.name(number));
        let mut file = self.open(series, number)?;
        let size = file.metadata().map_err(|e| about(Error::io("read", e)))?.len();
        if offset.checked_add(length).is_none_or(|end| end > size) {
            return Err(about(Error::new(Status::Data, format!("ends at octet {size}, before {offset}+{length}"))));
        }
        file.seek(SeekFrom::Start(offset)).map_err(|e| about(Error::io("read", e)))?;
        Ok(file.take(length))
    }

    /// Reads a whole small file.
    ///
    /// # Errors
    /// [`Status::NoInput`] if it is not there.
    pub fn read_all(&self, series: Series, number: u64) -> Result<Vec<u8>> {
        let mut octets = Vec::new();
        let mut file = self.open(series, number)?;
        file.read_to_end(&mut octets).map_err(|e| Error::io("read", e).about(series.name(number)))?;
        Ok(octets)
    }

    /// Fails early where less than `wanted` octets, and a reserve for the catalog, are free.
    ///
    /// # Errors
    /// [`Status::Io`] in words.
    pub fn require_space(&self, wanted: u64) -> Result<()> {
        const RESERVE: u64 = 16 << 20;
        let free = durable::free_space(&self.root)?;
        if free < wanted.saturating_add(RESERVE) {
            let what = format!("the disk is full: {} MiB are free, {} MiB are needed", free >> 20, (wanted + RESERVE) >> 20);
            return Err(Error::new(Status::Io, what).about(self.root.display().to_string()));
        }
        Ok(())
    }
}

/// Asks for the sizes of many files. It keeps the folder it looked into last open: a file there is found in half the time.
pub struct Sizes<'a> {
    shelf: &'a Shelf,
    series: Series,
    open: Option<(u64, OwnedFd)>,
}

impl Sizes<'_> {
    /// As [`Shelf::size`].
    ///
    /// # Errors
    /// What the system reports.
    pub fn of(&mut self, number: u64) -> Result<Option<u64>> {
        let (group, name) = (number / 10_000, self.series.name(number));
        if self.open.as_ref().is_none_or(|(open, _)| *open != group) {
            self.open = None;
            let folder = self.shelf.root.join(&name);
            let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
            match rustix::fs::open(folder.parent().unwrap_or(&folder), flags, Mode::empty()) {
                Ok(folder) => self.open = Some((group, folder)),
                Err(Errno::NOENT) => return Ok(None),
                Err(e) => return Err(Error::io("open", e.into()).about(name)),
            }
        }
        let Some((_, folder)) = &self.open else { return Ok(None) };
        let file = name.rsplit('/').next().unwrap_or_default();
        match rustix::fs::statat(folder, file, AtFlags::empty()) {
            Ok(stat) => Ok(u64::try_from(stat.st_size).ok()),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(Error::io("look at", e.into()).about(name)),
        }
    }
}

/// The names in a folder, sorted; none if it is not there.
fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("list", e).about(folder.display().to_string())),
    };
    let error = |e| Error::io("list", e).about(folder.display().to_string());
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<String>>>().map_err(error)?;
    names.sort_unstable();
    Ok(names)
}
