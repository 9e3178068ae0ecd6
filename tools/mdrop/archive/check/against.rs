//! The index against the catalog: how many messages, their octets, a sum over all digests, and some thousand messages in every detail.
//!
//! To compare everything would be to make the index anew. A row that is missing, or of another message, changes the sum; what is wrong with
//! many rows shows in those that are asked for, which are chosen by their digests.

use crate::archive::Archive;
use crate::archive::check::Checked;
use crate::archive::check::event::{Event, Known};
use crate::archive::check::unit::begins;
use crate::error::{Error, Result, Status};
use crate::identity::Digest;
use std::collections::HashMap;

/// How many messages are asked for, at most.
const MOST: usize = 4096;

/// The messages that are to be asked for, and what the catalog says of them.
#[derive(Debug)]
pub(super) struct Asked {
    below: u64,
    known: HashMap<Digest, Known>,
}

impl Default for Asked {
    fn default() -> Self {
        Self { below: u64::MAX, known: HashMap::new() }
    }
}

impl Asked {
    /// Takes in what a segment says; returns the number with which the digest of a message must begin, or with a lower one, to be asked for.
    pub(super) fn take(&mut self, events: Vec<Event>) -> u64 {
        for event in events {
            if begins(event.digest) < self.below {
                self.known.entry(event.digest).or_default().learn(event);
            }
        }
        while self.known.len() > MOST {
            self.below /= 2;
            self.known.retain(|digest, _| begins(*digest) < self.below);
        }
        self.below
    }
}

/// Whether an index says the same as a catalog in which no damage was found.
///
/// # Errors
/// [`Status::Data`] if it does not; what the index reports.
pub fn index_agrees(archive: &Archive, checked: &Checked) -> Result<()> {
    let wrong = |what: String| Error::new(Status::Data, format!("{what}; delete the cache folder to have it made anew")).about("index");
    // What was committed while the check was walking says nothing about it.
    if archive.head()? != checked.head {
        return Ok(());
    }
    let (messages, octets) = archive.index.totals()?;
    if (messages, octets) != (checked.distinct.messages, checked.distinct.bytes) {
        let Checked { distinct, .. } = checked;
        let what = format!("holds {messages} messages of {octets} octets, the packs hold {} of {}", distinct.messages, distinct.bytes);
        return Err(wrong(what));
    }
    if archive.index.sum_of_digests()? != checked.sum {
        return Err(wrong("holds other messages than the packs".into()));
    }
    for (digest, known) in &checked.asked.known {
        if let Some(what) = differs(archive, *digest, known)? {
            return Err(wrong(format!("{digest}: {what}")));
        }
    }
    Ok(())
}

/// What the index says differently of a message.
fn differs(archive: &Archive, digest: Digest, known: &Known) -> Result<Option<String>> {
    let Some(held) = archive.index.message(digest)? else { return Ok(Some("is not known to it".into())) };
    let place = ((held.pack, held.frame, held.position), held.size);
    if known.stored.last().is_some_and(|stored| *stored != place) {
        return Ok(Some("lies somewhere else".into()));
    }
    for ((user, fingerprint, role), routed) in &known.filed {
        if *routed && !archive.index.is_filed(user, fingerprint, *role)? {
            return Ok(Some(format!("is not filed under {user}")));
        }
    }
    Ok(None)
}
