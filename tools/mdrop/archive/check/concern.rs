//! Whom damage concerns: a second walk through the catalog, only if messages were lost, for the users who have them and for other copies.

use crate::archive::check::crew;
use crate::archive::check::event::{Event, Key, Known, key};
use crate::archive::check::file::{self, Opened};
use crate::archive::check::unit::{Context, Lost};
use crate::archive::segment::Segment;
use crate::archive::shelf::Series;
use crate::error::Result;
use crate::identity::{Digest, Fingerprint};
use crate::record::Finding;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::Read;

/// What the catalog says of the lost messages, and of copies of the same mails.
#[derive(Default)]
pub(super) struct Concerned {
    known: HashMap<Digest, Known>,
    copies: HashMap<Fingerprint, BTreeSet<Digest>>,
}

impl Concerned {
    /// Reads the catalog for these messages; `whole` are those that some pack holds.
    pub(super) fn read(context: &Context, jobs: usize, segments: &[u64], lost: &[Lost], whole: &HashSet<Key>) -> Result<Self> {
        let digests: HashSet<Digest> = lost.iter().map(|lost| lost.digest).collect();
        let mails: HashSet<Fingerprint> = lost.iter().map(|lost| lost.fingerprint).collect();
        let mut concerned = Self::default();
        let wanted = |digest: Digest, fingerprint: &Fingerprint| digests.contains(&digest) || mails.contains(fingerprint);
        crew::in_order(
            jobs,
            segments,
            |number| events(context, *number, wanted),
            |events| {
                for event in events {
                    if digests.contains(&event.digest) {
                        concerned.known.entry(event.digest).or_default().learn(event);
                    } else if whole.contains(&key(event.digest)) {
                        concerned.copies.entry(event.fingerprint).or_default().insert(event.digest);
                    }
                }
                Ok(())
            },
        )?;
        Ok(concerned)
    }

    /// A lost message in words: where it was, whose it is, and whether there is another copy.
    pub(super) fn finding(&self, lost: &Lost, whole: &HashSet<Key>) -> Finding {
        let (pack, frame, position) = lost.place;
        let known = self.known.get(&lost.digest);
        let users: BTreeSet<&str> = known.map_or_else(|| lost.users.iter().map(String::as_str).collect(), Known::users);
        let users: Vec<String> = users.into_iter().map(str::to_owned).collect();
        let file = Series::Pack.name(pack);
        let copy = if whole.contains(&key(lost.digest)) {
            let elsewhere = known.and_then(|known| known.stored.iter().rev().find(|(place, _)| *place != lost.place));
            elsewhere.map_or("it is whole elsewhere".into(), |((pack, ..), _)| format!("it is whole in {}", Series::Pack.name(*pack)))
        } else if let Some(copy) = self.copies.get(&lost.fingerprint).and_then(BTreeSet::first) {
            format!("another copy of the mail is whole: {copy}")
        } else {
            "the archive has no other copy".into()
        };
        let whose = if users.is_empty() { "of nobody".into() } else { format!("of {}", users.join(", ")) };
        let at = format!("{file}: frame at octet {}, position {position}", frame.offset);
        let text = format!("{at}: can't be read whole: {} {} {whose}; {copy}", lost.origin, lost.digest);
        let (origin, digest) = (Some(lost.origin.clone()), Some(lost.digest));
        Finding { origin, digest, file: Some(file), users, finding: "damaged".into(), text, ..Finding::default() }
    }
}

/// What a segment says of the messages that are wanted; nothing if it can't be read.
fn events(context: &Context, number: u64, wanted: impl Fn(Digest, &Fingerprint) -> bool) -> Result<Vec<Event>> {
    let Opened::File { mut file, .. } = file::open(&context.shelf, Series::Segment, number)? else { return Ok(Vec::new()) };
    let mut octets = Vec::new();
    if file.read_to_end(&mut octets).is_err() {
        return Ok(Vec::new());
    }
    Ok(Segment::read(octets, number).map_or(Vec::new(), |segment| Event::all(segment, wanted)))
}
