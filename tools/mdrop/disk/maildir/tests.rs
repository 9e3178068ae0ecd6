//! A Maildir that a mail client works on while it is read.

use super::visit;
use crate::disk::{Found, Notice, Visitor};
use crate::error::{Error, Result, Status};
use crate::held::{Held, Taker};
use crate::octets::Octets;
use std::path::Path;

/// Wants everything, and does something to the Maildir whenever it is told of a message.
struct Meddler<F> {
    meddle: F,
    got: Vec<(String, Vec<String>)>,
    failed: Vec<(String, Status)>,
}

impl<F: FnMut(&Found)> Visitor for Meddler<F> {
    fn mailbox(&mut self, _: &Octets, _: char) -> Result<bool> {
        Ok(true)
    }

    fn wants(&mut self, found: &Found) -> Result<bool> {
        (self.meddle)(found);
        Ok(true)
    }

    fn unreadable(&mut self, _: &Octets, error: Error) -> Result<()> {
        Err(error)
    }

    fn notice(&mut self, _: Option<&Found>, _: Notice) -> Result<()> {
        Ok(())
    }
}

impl<F> Taker<Found> for Meddler<F> {
    fn message(&mut self, found: &Found, _: &mut Held) -> Result<()> {
        self.got.push((found.path.to_string(), found.flags.clone()));
        Ok(())
    }

    fn failed(&mut self, found: &Found, error: Error) -> Result<()> {
        self.failed.push((found.path.to_string(), error.status()));
        Ok(())
    }
}

fn meddled<F: FnMut(&Found)>(root: &Path, meddle: F) -> Result<Meddler<F>> {
    let mut visitor = Meddler { meddle, got: Vec::new(), failed: Vec::new() };
    visit(root, &mut visitor).map(|()| visitor)
}

fn maildir() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    ["cur", "new"].iter().for_each(|part| std::fs::create_dir(folder.path().join(part)).unwrap());
    ["cur/1:2,", "cur/2:2,", "new/3"].iter().for_each(|name| std::fs::write(folder.path().join(name), "A: b\n\n").unwrap());
    folder
}

#[test]
fn a_message_that_moves_or_gets_flags_while_it_is_read_is_found_again() -> Result<()> {
    let folder = maildir();
    let root = folder.path();
    // A client moves what is new and marks everything as seen, between the listing and the reading of each message.
    let seen = meddled(root, |_| {
        for (old, new) in [("cur/1:2,", "cur/1:2,S"), ("cur/2:2,", "cur/2:2,FS"), ("new/3", "cur/3:2,S")] {
            let _ = std::fs::rename(root.join(old), root.join(new));
        }
    })?;
    let names: Vec<&str> = seen.got.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names, seen.failed), (vec!["1", "2", "3"], vec![]));
    assert_eq!(seen.got[1].1, ["\\Flagged", "\\Seen"]);
    Ok(())
}

#[test]
fn a_message_that_is_deleted_while_it_is_read_fails_if_it_was_listed_and_is_none_if_not() -> Result<()> {
    let folder = maildir();
    let root = folder.path();
    let mut told = Vec::new();
    let seen = meddled(root, |found| {
        told.push(found.path.to_string());
        for name in ["cur/1:2,", "cur/2:2,"] {
            let _ = std::fs::remove_file(root.join(name));
        }
    })?;
    assert_eq!(seen.failed, [("1".to_owned(), Status::NoInput)]);
    assert_eq!(seen.got.len(), 1);
    assert_eq!(told, ["1", "3"]);
    Ok(())
}
