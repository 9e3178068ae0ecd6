//! What one thread checks: a segment, and the pack that it names.
//!
//! Nothing of the rest of the archive is looked at here; what a segment says of messages in other packs is handed on, to be compared when all
//! have been read.

use crate::archive::check::choice::Choice;
use crate::archive::check::event::{Event, Key};
use crate::archive::check::file::{self, Opened};
use crate::archive::check::pack::{self, Stored};
use crate::archive::pack::Place;
use crate::archive::segment::{PackName, Segment, SegmentHeader};
use crate::archive::shelf::{Series, Shelf};
use crate::error::{Result, Status};
use crate::identity::{Digest, Fingerprint, Origin};
use crate::interrupt;
use crate::record::{Finding, Frame, Outcome, Purged, Receipt, Record, Volume};
use crate::stream::Journal;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

/// What all threads know.
pub(super) struct Context {
    pub shelf: Shelf,
    /// The archive's id; none if nothing says it.
    pub archive: Option<String>,
    pub choice: Choice,
    /// Of messages whose digest begins with a lower number the records are kept, to be compared with the index.
    pub below: AtomicU64,
}

/// A message that can't be read whole.
pub(super) struct Lost {
    pub place: Place,
    pub origin: Origin,
    pub digest: Digest,
    pub fingerprint: Fingerprint,
    /// The users whom its receipt names.
    pub users: Vec<String>,
}

/// What a later receipt says of a journal report.
pub(super) struct Again {
    pub place: Place,
    pub origin: Origin,
    pub digest: Digest,
    pub fingerprint: Fingerprint,
    pub journal: Journal,
}

/// What was found of a segment and its pack.
#[derive(Default)]
pub(super) struct Unit {
    pub number: u64,
    /// The BLAKE3 of the segment's file; none if it can't be read.
    pub blake3: Option<Digest>,
    /// Its header, if all of it can be read.
    pub header: Option<SegmentHeader>,
    /// Damage, in the order in which it stands.
    pub damage: Vec<Finding>,
    /// Files that others may read.
    pub exposed: Vec<String>,
    /// Packs read.
    pub packs: u64,
    /// Messages whose digest was recomputed.
    pub messages: Volume,
    /// Octets of pack files: read, and named.
    pub read: u64,
    pub named: u64,
    /// Messages that the pack holds, and their octets.
    pub held: Vec<(Key, u64)>,
    pub lost: Vec<Lost>,
    /// Messages that this segment takes for held, and what it says of them.
    pub relied_on: Vec<(Digest, &'static str)>,
    pub again: Vec<Again>,
    pub events: Vec<Event>,
}

impl Unit {
    /// Notes that a file is damaged.
    pub(super) fn damaged(&mut self, file: &str, text: String) {
        self.damage.push(damage(file, text));
    }
}

/// A finding of damage in a file.
pub(super) fn damage(file: &str, text: String) -> Finding {
    Finding { file: Some(file.into()), finding: "damaged".into(), text, ..Finding::default() }
}

/// Checks segment `number` and its pack.
pub(super) fn check(context: &Context, number: u64) -> Result<Unit> {
    interrupt::check()?;
    let mut unit = Unit { number, ..Unit::default() };
    let name = Series::Segment.name(number);
    let octets = match open(context, number, &mut unit)? {
        Ok(octets) => octets,
        Err(what) => {
            unit.damaged(&name, format!("{name}: {what}; {ADOPTS}"));
            return Ok(unit);
        }
    };
    unit.blake3 = Some(Digest::of(&octets));
    let segment = match Segment::read(octets, number) {
        Ok(segment) => segment,
        Err(e) if e.status() == Status::Data => {
            unit.damaged(&name, format!("{e}; {ADOPTS}"));
            return Ok(unit);
        }
        Err(e) => return Err(e),
    };
    if context.archive.as_ref().is_some_and(|archive| *archive != segment.header.archive) {
        unit.damaged(&name, format!("{name}: belongs to the archive {}", segment.header.archive));
        return Ok(unit);
    }
    read(context, segment, unit)
}

/// What happens to the pack of a segment that can't be read.
const ADOPTS: &str = "the pack that it names has no segment now; delete the cache folder, and the next mdrop-store takes it in";

/// The segment's octets, or why there are none.
fn open(context: &Context, number: u64, unit: &mut Unit) -> Result<std::result::Result<Vec<u8>, String>> {
    match file::open(&context.shelf, Series::Segment, number)? {
        Opened::Missing => Ok(Err("is missing".into())),
        Opened::Wrong(what) => Ok(Err(what)),
        Opened::File { mut file, exposed, .. } => {
            unit.exposed.extend(exposed.then(|| Series::Segment.name(number)));
            let mut octets = Vec::new();
            Ok(file.read_to_end(&mut octets).map(|_| octets).map_err(|e| format!("can't be read: {e}")))
        }
    }
}

/// Takes in what the segment says, and checks its pack against that.
fn read(context: &Context, mut segment: Segment, mut unit: Unit) -> Result<Unit> {
    let header = segment.header.clone();
    let mut stored = BTreeMap::new();
    for record in segment.by_ref() {
        match record {
            Ok(record) => take(context, &mut unit, &mut stored, header.pack, record),
            Err(e) => {
                // Of a segment that is damaged anywhere no tool believes anything.
                let Unit { blake3, exposed, .. } = unit;
                let mut unit = Unit { number: header.segment, blake3, exposed, ..Unit::default() };
                let pack = header.pack.map_or(String::new(), |pack| {
                    format!(
                        "; its pack {} has no segment now; delete the cache folder, and the next mdrop-store takes it in",
                        Series::Pack.name(pack.pack)
                    )
                });
                unit.damaged(&Series::Segment.name(header.segment), format!("{e}{pack}"));
                return Ok(unit);
            }
        }
    }
    if let Some(name) = header.pack {
        unit.named = name.size;
        pack::check(context, &header, name, stored, &mut unit)?;
    }
    unit.header = Some(header);
    Ok(unit)
}

fn take(context: &Context, unit: &mut Unit, stored: &mut BTreeMap<(Frame, u64), Stored>, pack: Option<PackName>, record: Record) {
    let below = context.below.load(Ordering::Relaxed);
    unit.events.extend(Event::of(&record, |digest, _| begins(digest) < below));
    match record {
        Record::Receipt(receipt) => take_receipt(unit, stored, pack, *receipt),
        Record::Refiling(refiling) => unit.relied_on.push((refiling.digest, "files it anew")),
        Record::Move(moved) => unit.relied_on.push((moved.digest, "says that it has moved on the server")),
        Record::PurgeIntent(intent) => unit.relied_on.push((intent.digest, "says that it was to be deleted from the server")),
        Record::Purge(purge) if matches!(purge.outcome, Purged::Purged | Purged::Gone) => {
            unit.relied_on.push((purge.digest, "says that it is no longer on the server"));
        }
        _ => {}
    }
}

/// The number with which a digest begins.
pub(super) fn begins(digest: Digest) -> u64 {
    digest.0.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

fn take_receipt(unit: &mut Unit, stored: &mut BTreeMap<(Frame, u64), Stored>, pack: Option<PackName>, receipt: Receipt) {
    let Receipt { origin, digest, fingerprint, size, journal, pack: number, frame, position, .. } = receipt;
    if pack.is_some_and(|name| name.pack == number) && matches!(receipt.outcome, Outcome::New | Outcome::Adopted) {
        let users = receipt.filings.into_iter().map(|filing| filing.user).collect();
        stored.insert((frame, position), Stored { origin, digest, fingerprint, size, journal, users });
        return;
    }
    unit.relied_on.push((digest, "says that it is held"));
    if let Some(journal) = journal.filter(|journal| journal.offset.is_some()) {
        unit.again.push(Again { place: (number, frame, position), origin, digest, fingerprint, journal });
    }
}
