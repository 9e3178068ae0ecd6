//! A Maildir: new and cur, and the same in its folders, which are called `.Name` beside them (Maildir++) or are folders in folders
//! (Dovecot's LAYOUT=fs).
//!
//! A message keeps its base name when it moves from new to cur or its flags change, and no other message ever has it; so that is its name
//! here. new is listed before cur, so that a message that moves meanwhile is seen at least once, and one that is no longer where it was
//! listed is looked for again.

mod folders;
#[cfg(test)]
mod tests;

use super::{Buffers, Found, Visitor};
use crate::error::{Error, Result, Status};
use crate::interrupt;
use crate::octets::Octets;
use folders::Folder;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How often a message is looked for before it is believed to be gone.
const LOOKS: usize = 5;
/// How much of dovecot-keywords is read, in octets.
const LONGEST_KEYWORDS: u64 = 64 << 10;

pub(super) fn visit(root: &Path, visitor: &mut dyn Visitor) -> Result<()> {
    let mut buffers = Buffers::new();
    for folder in folders::of(root, visitor)? {
        visitor.mailbox(&folder.mailbox, folder.delimiter)?;
        Listing::new(&folder).hand_all(&mut buffers, visitor)?;
    }
    Ok(())
}

/// The messages of a folder, by base name.
type Messages = BTreeMap<Octets, PathBuf>;

/// A folder whose messages have been listed.
struct Listing<'a> {
    folder: &'a Folder,
    keywords: Vec<String>,
}

/// A message that was listed.
struct Listed {
    base: Octets,
    file: PathBuf,
    /// What was said of it, if it was counted.
    counted: Option<Found>,
}

impl<'a> Listing<'a> {
    fn new(folder: &'a Folder) -> Self {
        Self { folder, keywords: keywords(&folder.path) }
    }

    /// Hands all on. What is not where it was listed is looked for when the others are done: so a few listings do, however many messages
    /// are moved or deleted meanwhile.
    fn hand_all(&self, buffers: &mut Buffers, visitor: &mut dyn Visitor) -> Result<()> {
        let mut missed = Vec::new();
        for look in 0..LOOKS {
            let mut listed = match messages(&self.folder.path) {
                Ok(listed) => listed,
                Err(error) => {
                    visitor.unreadable(&self.folder.mailbox, error)?;
                    break;
                }
            };
            let left: Vec<Listed> = if look == 0 {
                listed.into_iter().map(|(base, file)| Listed { base, file, counted: None }).collect()
            } else {
                let again = |message: Listed| Listed { file: listed.remove(&message.base).unwrap_or(message.file), ..message };
                missed.into_iter().map(again).collect()
            };
            missed = self.hand_some(left, buffers, visitor)?;
            if missed.is_empty() {
                return Ok(());
            }
        }
        // One that was gone before it was counted is no message of this run.
        let gone = || Error::new(Status::NoInput, "it was deleted while the Maildir was read");
        missed.into_iter().filter_map(|message| message.counted).try_for_each(|found| visitor.failed(&found, gone()))
    }

    /// Hands messages on; those that were not found come back.
    fn hand_some(&self, messages: Vec<Listed>, buffers: &mut Buffers, visitor: &mut dyn Visitor) -> Result<Vec<Listed>> {
        let mut missed = Vec::new();
        for message in messages {
            interrupt::check()?;
            missed.extend(self.hand(message, buffers, visitor)?);
        }
        Ok(missed)
    }

    /// Hands a message on, if it is wanted; gives it back if it is not there.
    fn hand(&self, message: Listed, buffers: &mut Buffers, visitor: &mut dyn Visitor) -> Result<Option<Listed>> {
        let Some(found) = self.describe(&message.base, &message.file) else { return Ok(Some(message)) };
        if message.counted.is_none() && !visitor.wants(&found)? {
            return Ok(None);
        }
        match buffers.read_file(&message.file) {
            Ok(()) => visitor.message(&found, &mut buffers.held)?,
            Err(_) if std::fs::symlink_metadata(&message.file).is_err() => return Ok(Some(Listed { counted: Some(found), ..message })),
            Err(error) => visitor.failed(&found, error)?,
        }
        Ok(None)
    }

    /// What is known of a message without reading it; none if its file is not there.
    fn describe(&self, base: &Octets, file: &Path) -> Option<Found> {
        let size = match std::fs::metadata(file) {
            Ok(metadata) => metadata.len(),
            Err(e) if e.kind() == ErrorKind::NotFound && std::fs::symlink_metadata(file).is_err() => return None,
            Err(_) => 0,
        };
        let letters = split(file.file_name().map(OsStrExt::as_bytes).unwrap_or_default()).1;
        let flags = letters.iter().filter_map(|letter| self.flag(*letter)).collect();
        Some(Found { mailbox: self.folder.mailbox.clone(), path: base.clone(), size, flags, named_by_digest: false })
    }

    fn flag(&self, letter: u8) -> Option<String> {
        let usual = match letter {
            b'S' => "\\Seen",
            b'R' => "\\Answered",
            b'F' => "\\Flagged",
            b'T' => "\\Deleted",
            b'D' => "\\Draft",
            b'P' => "$Forwarded",
            _ => return self.keywords.get(usize::from(letter.checked_sub(b'a')?)).filter(|name| !name.is_empty()).cloned(),
        };
        Some(usual.into())
    }
}

fn messages(folder: &Path) -> Result<Messages> {
    let mut all = Messages::new();
    for part in ["new", "cur"] {
        let mut paths = match list(&folder.join(part)) {
            Err(e) if e.kind() == ErrorKind::NotFound && std::fs::symlink_metadata(folder.join(part)).is_err() => continue,
            listed => listed.map_err(|e| Error::io("list", e).about(part))?,
        };
        paths.sort();
        for path in paths {
            let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
            let base = Octets::from(split(name).0);
            // A second file of one base name, which should not be, goes by its whole name; one that has just moved is the same.
            let is_other = all.get(&base).is_some_and(|first| std::fs::symlink_metadata(first).is_ok());
            all.insert(if is_other { name.into() } else { base }, path);
        }
    }
    Ok(all)
}

/// The files of new or cur; what begins with a dot is no message.
fn list(part: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(part)? {
        let entry = entry?;
        if !super::walk::is_hidden(&entry.file_name()) && !entry.file_type()?.is_dir() {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

/// A file's base name, and its flags.
fn split(name: &[u8]) -> (&[u8], &[u8]) {
    let at = memchr::memmem::rfind(name, b":2,");
    at.and_then(|at| Some((name.get(..at)?, name.get(at + 3..)?))).unwrap_or((name, b""))
}

/// The names of the flags `a` to `z`, as Dovecot keeps them: a number and a name a line.
fn keywords(folder: &Path) -> Vec<String> {
    let mut text = Vec::new();
    let read = File::open(folder.join("dovecot-keywords")).and_then(|file| file.take(LONGEST_KEYWORDS).read_to_end(&mut text));
    let mut names = vec![String::new(); 26];
    for line in String::from_utf8_lossy(&text).lines().filter(|_| read.is_ok()) {
        let (number, name) = line.split_once(' ').unwrap_or_default();
        if let Some(slot) = number.parse().ok().and_then(|number: usize| names.get_mut(number)) {
            name.clone_into(slot);
        }
    }
    names
}
