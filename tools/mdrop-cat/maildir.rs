//! A Maildir (maildir(5), with sub-folders as Maildir++ has them): each message is written in tmp/ and linked into cur/.
//!
//! A message that is anywhere in the Maildir is not written again, whatever its flags have become and whichever folder it was moved to: its
//! name begins with its digest's digits, and programs keep that part of a name. Its file has the time at which it was received, which IMAP
//! servers hand out as INTERNALDATE.

use crate::Content;
use crate::names;
use crate::output::short;
use mdrop::durable;
use mdrop::error::{Error, Result};
use mdrop::stream::Meta;
use mdrop::time::Time;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Writes a Maildir.
pub struct MaildirWriter {
    root: PathBuf,
    /// The digits of the messages that were there before the run.
    there: HashSet<u128>,
    /// The folders that are made.
    made: HashSet<String>,
}

impl MaildirWriter {
    /// The Maildir at `root`, which need not be there.
    pub fn open(root: &Path) -> Result<Self> {
        let mut there = HashSet::new();
        list(root, &mut there)?;
        for name in entries(root)? {
            if name.starts_with('.') && name != ".." {
                list(&root.join(name), &mut there)?;
            }
        }
        Ok(Self { root: root.into(), there, made: HashSet::new() })
    }

    /// Adds a message, if it is not there.
    pub fn write(&mut self, meta: &Meta, folder: &str, flags: &[String], content: &mut Content) -> Result<()> {
        let digits = short(meta);
        if number(&digits).is_some_and(|number| self.there.contains(&number)) {
            return Ok(());
        }
        let folder = names::maildir(folder);
        let home = self.root.join(&folder);
        if self.made.insert(folder) {
            self.make(&home)?;
        }
        let received = meta.received.unwrap_or(Time::from_unix(0));
        let name = format!("{}.{digits}.mdrop,S={}:2,{}", received.unix(), meta.size, letters(flags));
        let target = home.join("cur").join(name);
        durable::write_dated(&home.join("tmp"), &target, meta.received, |file| content.write_octets(meta, file)).map(drop)
    }

    fn make(&self, home: &Path) -> Result<()> {
        ["tmp", "new", "cur"].iter().try_for_each(|part| durable::make_folder(&home.join(part)))?;
        if *home == self.root {
            return Ok(());
        }
        durable::mark(&home.join("maildirfolder"))
    }
}

/// Adds the digits of the messages in new/ and cur/.
fn list(home: &Path, there: &mut HashSet<u128>) -> Result<()> {
    for part in ["new", "cur"] {
        there.extend(entries(&home.join(part))?.iter().filter_map(|name| {
            let mut parts = name.split('.').skip(1);
            let digits = parts.next()?;
            parts.next()?.starts_with("mdrop").then(|| number(digits)).flatten()
        }));
    }
    Ok(())
}

/// The names in a folder; none if it is not there.
fn entries(folder: &Path) -> Result<Vec<String>> {
    let error = |e| Error::io("list", e).about(folder.display().to_string());
    let entries = match std::fs::read_dir(folder) {
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => return Ok(Vec::new()),
        entries => entries.map_err(error)?,
    };
    entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()).map_err(error)).collect()
}

/// The first 32 digits of a digest as a number.
fn number(digits: &str) -> Option<u128> {
    u128::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 32)
}

/// The flags as the letters of a Maildir name, in alphabetical order.
fn letters(flags: &[String]) -> String {
    let table = [("\\Draft", 'D'), ("\\Flagged", 'F'), ("$Forwarded", 'P'), ("\\Answered", 'R'), ("\\Seen", 'S')];
    table.iter().filter(|(name, _)| flags.iter().any(|flag| flag.eq_ignore_ascii_case(name))).map(|(_, letter)| letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_letters_in_alphabetical_order() {
        assert_eq!(letters(&["\\Seen".into(), "\\Answered".into(), "$Junk".into(), "\\flagged".into()]), "FRS");
    }
}
