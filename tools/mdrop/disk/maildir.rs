//! A Maildir: new and cur, and the same in folders called `.Name` beside them (Maildir++).
//!
//! A message keeps its base name when it moves from new to cur or its flags change; so that is its name here. new is listed before
//! cur, so that a message that moves meanwhile is seen at least once.

use super::{Buffers, Found, Visitor, hand_file};
use crate::error::{Error, Result, Status};
use crate::octets::Octets;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub(super) fn visit(root: &Path, visitor: &mut dyn Visitor) -> Result<()> {
    if !root.join("cur").is_dir() {
        return Err(Error::new(Status::Data, "not a Maildir: it has no folder cur").about(root.display().to_string()));
    }
    let mut buffers = Buffers::new();
    for (mailbox, folder) in folders(root)? {
        match messages(&folder) {
            Ok(messages) => {
                for (base, file) in messages {
                    let found = describe(&mailbox, base, &file);
                    hand_file(&file, &found, &mut buffers, visitor)?;
                }
            }
            Err(error) => visitor.unreadable(&mailbox, error)?,
        }
    }
    Ok(())
}

/// `INBOX`, then the folders beside it, by name.
fn folders(root: &Path) -> Result<Vec<(Octets, PathBuf)>> {
    let mut named = BTreeMap::new();
    for entry in std::fs::read_dir(root).map_err(|e| Error::io("list", e))? {
        let path = entry.map_err(|e| Error::io("list", e))?.path();
        let name = path.file_name().and_then(|name| name.as_bytes().strip_prefix(b".")).map(Octets::from);
        if let Some(name) = name.filter(|_| path.join("cur").is_dir()) {
            named.insert(name, path);
        }
    }
    Ok(std::iter::once(("INBOX".into(), root.to_path_buf())).chain(named).collect())
}

/// The messages of a folder, by base name.
fn messages(folder: &Path) -> Result<BTreeMap<Octets, PathBuf>> {
    let mut all = BTreeMap::new();
    for part in ["new", "cur"] {
        let entries = match std::fs::read_dir(folder.join(part)) {
            Ok(entries) => entries,
            Err(e) if part == "new" && e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::io("list", e).about(part)),
        };
        let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
        let mut paths = paths.map_err(|e| Error::io("list", e).about(part))?;
        paths.sort();
        for path in paths {
            let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
            if !name.starts_with(b".") && !path.is_dir() {
                // A second file of one base name, which should not be, goes by its whole name.
                let base = Octets::from(split(name).0);
                let key = if all.contains_key(&base) { name.into() } else { base };
                all.insert(key, path);
            }
        }
    }
    Ok(all)
}

/// A file's base name, and its flags.
fn split(name: &[u8]) -> (&[u8], &[u8]) {
    let at = memchr::memmem::rfind(name, b":2,");
    at.and_then(|at| Some((name.get(..at)?, name.get(at + 3..)?))).unwrap_or((name, b""))
}

fn describe(mailbox: &Octets, base: Octets, file: &Path) -> Found {
    let name = file.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    let size = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    let flags = split(name).1.iter().filter_map(|letter| flag(*letter)).map(str::to_owned).collect();
    Found { mailbox: mailbox.clone(), path: base, size, flags }
}

fn flag(letter: u8) -> Option<&'static str> {
    match letter {
        b'S' => Some("\\Seen"),
        b'R' => Some("\\Answered"),
        b'F' => Some("\\Flagged"),
        b'T' => Some("\\Deleted"),
        b'D' => Some("\\Draft"),
        b'P' => Some("$Forwarded"),
        _ => None,
    }
}
