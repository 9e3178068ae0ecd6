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
        match Listing::of(&folder) {
            Ok(listing) => listing.hand_all(&mut buffers, visitor)?,
            Err(error) => visitor.unreadable(&folder.mailbox, error)?,
        }
    }
    Ok(())
}

/// The messages of a folder, by base name.
type Messages = BTreeMap<Octets, PathBuf>;

/// A folder whose messages have been listed.
struct Listing<'a> {
    folder: &'a Folder,
    keywords: Vec<String>,
    messages: Messages,
    /// What was listed when a message was looked for again.
    fresh: Option<Messages>,
}

impl<'a> Listing<'a> {
    fn of(folder: &'a Folder) -> Result<Self> {
        Ok(Self { folder, keywords: keywords(&folder.path), messages: messages(&folder.path)?, fresh: None })
    }

    fn hand_all(mut self, buffers: &mut Buffers, visitor: &mut dyn Visitor) -> Result<()> {
        std::mem::take(&mut self.messages).into_iter().try_for_each(|(base, file)| self.hand(&base, &file, buffers, visitor))
    }

    /// Hands a message on, if it is wanted; it may move or be given flags meanwhile.
    fn hand(&mut self, base: &Octets, listed: &Path, buffers: &mut Buffers, visitor: &mut dyn Visitor) -> Result<()> {
        let mut wanted = None;
        for _ in 0..LOOKS {
            let file = self.fresh.as_ref().and_then(|fresh| fresh.get(base)).map_or_else(|| listed.to_path_buf(), PathBuf::clone);
            let Some(found) = self.describe(base, &file) else {
                self.look_again()?;
                continue;
            };
            if wanted.is_none() && !visitor.wants(&found)? {
                return Ok(());
            }
            match buffers.read_file(&file) {
                Ok(()) => return visitor.message(&found, &mut buffers.held),
                Err(_) if std::fs::symlink_metadata(&file).is_err() => self.look_again()?,
                Err(error) => return visitor.failed(&found, error),
            }
            wanted = Some(found);
        }
        // One that was gone before it was counted is no message of this run.
        let gone = || Error::new(Status::NoInput, "it was deleted while the Maildir was read");
        wanted.map_or(Ok(()), |found| visitor.failed(&found, gone()))
    }

    fn look_again(&mut self) -> Result<()> {
        self.fresh = Some(messages(&self.folder.path)?);
        Ok(())
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
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
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
