//! The folders of an archive: which numbers are there, what else lies there, and who may read it.

use crate::archive::shelf::{Series, Shelf};
use crate::error::{Error, Result};
use crate::record::Finding;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What may lie in an archive's folder.
const NAMES: [&str; 7] = ["archive.json", "README", "lock", "tmp", "cache", "packs", "catalog"];

/// What lies in a folder.
#[derive(Default)]
pub(super) struct Listed {
    /// The numbers of the series, ascending.
    pub numbers: Vec<u64>,
    /// What does not belong there.
    pub strange: Vec<Finding>,
    /// What others than the owner may read.
    pub exposed: Vec<String>,
}

impl Listed {
    fn strange(&mut self, path: &str) {
        let text = format!("{path}: is no part of the archive");
        self.strange.push(Finding { file: Some(path.into()), finding: "unexpected".into(), text, ..Finding::default() });
    }

    fn look(&mut self, shelf: &Shelf, path: &str) {
        let mode = std::fs::metadata(shelf.root().join(path)).map_or(0, |metadata| metadata.permissions().mode());
        if mode & 0o077 != 0 {
            self.exposed.push(if path.is_empty() { "the archive's folder".into() } else { path.into() });
        }
    }
}

/// The files of a series.
pub(super) fn list(shelf: &Shelf, series: Series) -> Result<Listed> {
    let mut listed = Listed::default();
    let folder = series.folder();
    listed.look(shelf, folder);
    for group in names(&shelf.root().join(folder))? {
        let path = format!("{folder}/{group}");
        if group.parse::<u64>().ok().is_none_or(|number| format!("{number:04}") != group) || !shelf.root().join(&path).is_dir() {
            listed.strange(&path);
            continue;
        }
        listed.look(shelf, &path);
        for name in names(&shelf.root().join(&path))? {
            match series.number(&group, &name) {
                Some(number) => listed.numbers.push(number),
                None => listed.strange(&format!("{path}/{name}")),
            }
        }
    }
    listed.numbers.sort_unstable();
    Ok(listed)
}

/// The archive's own folder.
pub(super) fn root(shelf: &Shelf) -> Result<Listed> {
    let mut listed = Listed::default();
    listed.look(shelf, "");
    listed.look(shelf, "archive.json");
    for name in names(shelf.root())? {
        if !NAMES.contains(&name.as_str()) {
            listed.strange(&name);
        }
    }
    Ok(listed)
}

/// The names in a folder, sorted; none if it is not there.
fn names(folder: &Path) -> Result<Vec<String>> {
    let error = |e| Error::io("list", e).about(folder.display().to_string());
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(error(e)),
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<String>>>().map_err(error)?;
    names.sort_unstable();
    Ok(names)
}
