//! Checking: walks the whole archive from its files alone, recomputes every BLAKE3, and names what is damaged and whom that concerns.
//!
//! Threads read a segment and its pack each; what they found is put together here, in the order of the segments, so that the chain is
//! followed and the same is told however many threads there are. The index is no witness; it is compared with the catalog last. Memory
//! holds what a few segments say, and half a digest of each message.

mod against;
pub mod choice;
mod concern;
mod crew;
mod event;
mod file;
mod folders;
mod pack;
mod unit;

pub use against::index_agrees;

use crate::archive::pack::{Frames, PackReader, whole_messages};
use crate::archive::segment::Segment;
use crate::archive::shelf::{Series, Shelf};
use crate::archive::{Learner, identity};
use crate::error::{Result, Status};
use crate::identity::Digest;
use crate::record::{Finding, Head, Volume};
use against::Asked;
use choice::Choice;
use concern::Concerned;
use event::{Key, key};
use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use unit::{Again, Context, Lost, Unit, damage};

/// Of how many lost messages users and other copies are looked for. Of more than that each is told with what its own receipt says.
const MOST_LOST: usize = 100_000;
/// How many reports wait until what later receipts say of them is looked at.
const MOST_AGAIN: usize = 4096;
/// How many numbers of a gap are looked for one by one.
const GAP: u64 = 1000;

/// How to check.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many threads read.
    pub jobs: usize,
    /// BLAKE3s of segments that were the last once; the chain must have them all.
    pub heads: Vec<Digest>,
    /// Which packs are read.
    pub choice: Choice,
}

/// What a check saw.
#[derive(Debug, Default)]
pub struct Checked {
    /// Segments read.
    pub segments: u64,
    /// Packs read.
    pub packs: u64,
    /// Messages whose digest was recomputed.
    pub messages: Volume,
    /// The different messages that the packs hold, with those that were not to be read.
    pub distinct: Volume,
    /// Octets of the pack files that were read.
    pub read: u64,
    /// Octets of all pack files that segments name.
    pub named: u64,
    /// The last segment.
    pub head: Option<Head>,
    /// How many findings were damage.
    pub damage: u64,
    /// The sum over the digests of the different messages, as the index can make it.
    sum: u64,
    asked: Asked,
}

/// What the next segment must name as the one before it.
#[derive(Clone, Copy)]
enum Previous {
    /// None: it is the first.
    None,
    /// The file with this BLAKE3.
    Is(Digest),
    /// The one before is damaged or missing, as has been told.
    Unknown,
}

impl Previous {
    fn is(self, named: Option<Digest>) -> bool {
        match self {
            Self::None => named.is_none(),
            Self::Is(blake3) => named == Some(blake3),
            Self::Unknown => true,
        }
    }
}

/// What is put together while the threads read.
struct Walk<'a, T> {
    context: &'a Context,
    settings: &'a Settings,
    tell: T,
    checked: Checked,
    previous: Previous,
    /// The number of the last segment.
    last: u64,
    heads: BTreeSet<Digest>,
    packs: BTreeSet<u64>,
    held: HashSet<Key>,
    lost: Vec<Lost>,
    lost_keys: HashSet<Key>,
    /// Messages that segments rely on and that no earlier pack holds.
    relied_on: Vec<(Digest, &'static str, u64)>,
    again: Vec<Again>,
    exposed: Vec<String>,
    exposures: u64,
}

/// Checks the archive at `root`; `tell` gets each finding. Damage is told, not returned.
///
/// # Errors
/// [`Status::NoInput`] if there is no archive; what the system reports, and what `tell` does.
pub fn check<T: FnMut(Finding) -> Result<()>>(root: &Path, settings: &Settings, mut tell: T) -> Result<Checked> {
    let shelf = Shelf::new(root);
    let catalog = folders::list(&shelf, Series::Segment)?;
    let (archive, wrong) = archive_id(&shelf, &catalog.numbers)?;
    let damages = wrong.is_some().into();
    wrong.map_or(Ok(()), &mut tell)?;
    let segments = without_gaps(&shelf, catalog.numbers)?;
    let context = Context { shelf, archive, choice: settings.choice, below: AtomicU64::new(u64::MAX) };
    let mut walk = Walk {
        context: &context,
        settings,
        tell,
        checked: Checked { damage: damages, ..Checked::default() },
        previous: Previous::None,
        last: 0,
        heads: settings.heads.iter().copied().collect(),
        packs: BTreeSet::new(),
        held: HashSet::new(),
        lost: Vec::new(),
        lost_keys: HashSet::new(),
        relied_on: Vec::new(),
        again: Vec::new(),
        exposed: Vec::new(),
        exposures: 0,
    };
    crew::in_order(settings.jobs, &segments, |number| unit::check(&context, *number), |unit| walk.take(unit))?;
    walk.finish(&segments, catalog.strange, catalog.exposed)
}

/// The archive's id, by archive.json, or by the first segment if that is damaged; and what is wrong with archive.json.
fn archive_id(shelf: &Shelf, segments: &[u64]) -> Result<(Option<String>, Option<Finding>)> {
    let of = |number: &u64| Segment::open(shelf, *number).ok().map(|segment| segment.header.archive);
    let ends = || segments.first().into_iter().chain(segments.last()).filter_map(of).collect::<Vec<_>>();
    let about = |text: String| Some(damage("archive.json", text));
    match identity(shelf.root()) {
        Ok(identity) => {
            let ends = ends();
            let id = ends.first().filter(|_| !ends.contains(&identity.archive)).cloned();
            let wrong = id
                .as_ref()
                .and_then(|id| about(format!("archive.json: is that of the archive {}, the catalog is that of {id}", identity.archive)));
            Ok((Some(id.unwrap_or(identity.archive)), wrong))
        }
        Err(e) if e.status() == Status::Data || (e.status() == Status::NoInput && !segments.is_empty()) => {
            let id = ends().into_iter().next();
            let known =
                id.as_ref().map_or("no segment says the archive's id either".into(), |id| format!("by its catalog the archive is {id}"));
            let what = if e.status() == Status::Data { e.what().to_owned() } else { "is missing".into() };
            Ok((id, about(format!("archive.json: {what}; {known}"))))
        }
        Err(e) => Err(e),
    }
}

/// The numbers with those that a listing, taken while others commit, may have lacked.
fn without_gaps(shelf: &Shelf, listed: Vec<u64>) -> Result<Vec<u64>> {
    let mut numbers = Vec::with_capacity(listed.len());
    let mut next = 1_u64;
    for number in listed {
        for between in next..number.min(next.saturating_add(GAP)) {
            numbers.extend(shelf.size(Series::Segment, between)?.map(|_| between));
        }
        numbers.push(number);
        next = number.saturating_add(1);
    }
    Ok(numbers)
}

impl<T: FnMut(Finding) -> Result<()>> Walk<'_, T> {
    fn damaged(&mut self, finding: Finding) -> Result<()> {
        self.checked.damage += 1;
        (self.tell)(finding)
    }

    /// Takes in what was found of the next segment.
    fn take(&mut self, unit: Unit) -> Result<()> {
        self.link(&unit)?;
        let Unit { number, damage, exposed, held, lost, relied_on, again, events, .. } = unit;
        damage.into_iter().try_for_each(|finding| self.damaged(finding))?;
        self.checked.segments += 1;
        self.checked.packs += unit.packs;
        self.checked.read += unit.read;
        self.checked.named += unit.named;
        self.checked.messages.messages += unit.messages.messages;
        self.checked.messages.bytes += unit.messages.bytes;
        self.packs.extend(unit.header.and_then(|header| header.pack).map(|name| name.pack));
        held.into_iter().for_each(|(key, size)| self.hold(key, size));
        self.lose(lost)?;
        let unknown = relied_on.into_iter().filter(|(digest, _)| !self.held.contains(&key(*digest)));
        self.relied_on.extend(unknown.map(|(digest, what)| (digest, what, number)));
        exposed.into_iter().for_each(|file| self.expose(file));
        self.again.extend(again);
        if self.again.len() > MOST_AGAIN {
            self.reports()?;
        }
        self.context.below.store(self.checked.asked.take(events), Ordering::Relaxed);
        Ok(())
    }

    /// Segments are numbered without gaps, and each names the one before it.
    fn link(&mut self, unit: &Unit) -> Result<()> {
        let (number, expected) = (unit.number, self.last + 1);
        if number != expected {
            let what = match number - expected {
                1 => format!("segment {expected} is missing; {ADOPTED}"),
                _ => format!("segments {expected} to {} are missing; {ADOPTED}", number - 1),
            };
            self.damaged(damage(&Series::Segment.name(expected), what))?;
            self.previous = Previous::Unknown;
        }
        if unit.header.as_ref().is_some_and(|header| !self.previous.is(header.previous)) {
            let file = Series::Segment.name(number);
            let what = format!("{file}: does not name the segment before it; one of the two was changed or exchanged");
            self.damaged(damage(&file, what))?;
        }
        self.previous = unit.blake3.filter(|_| unit.header.is_some()).map_or(Previous::Unknown, Previous::Is);
        self.last = number;
        if let Some(blake3) = unit.blake3 {
            self.heads.remove(&blake3);
            let archive = self.context.archive.clone().unwrap_or_default();
            self.checked.head = Some(Head { archive, segment: number, blake3 });
        }
        Ok(())
    }

    fn hold(&mut self, key: Key, size: u64) {
        if self.held.insert(key) {
            self.checked.distinct.add(size);
            let quarter = u64::try_from(key & u128::from(u64::MAX)).unwrap_or_default();
            self.checked.sum = self.checked.sum.wrapping_add(quarter);
        }
    }

    /// Notes messages that can't be read; told are they when the catalog has been read for whom they concern.
    fn lose(&mut self, lost: Vec<Lost>) -> Result<()> {
        for lost in lost {
            self.lost_keys.insert(key(lost.digest));
            if self.lost.len() < MOST_LOST {
                self.lost.push(lost);
            } else {
                let finding = Concerned::default().finding(&lost, &self.held);
                self.damaged(finding)?;
            }
        }
        Ok(())
    }

    fn expose(&mut self, file: String) {
        self.exposures += 1;
        if self.exposed.len() < 3 {
            self.exposed.push(file);
        }
    }

    /// What later receipts say of journal reports, which may be more than the first one did.
    fn reports(&mut self) -> Result<()> {
        let mut packs = PackReader::default();
        let mut again = std::mem::take(&mut self.again);
        again.sort_by_key(|again| again.place);
        for Again { place, origin, digest, fingerprint, journal } in again {
            if !self.settings.choice.has_frame(place.0, place.1) {
                continue;
            }
            let mut learner = Learner::of(Some(&journal));
            match packs.read(&self.context.shelf, place, digest, &mut io::sink(), &mut learner) {
                Ok(meta) => {
                    let wrong = pack::taken_for(place, &origin, fingerprint, &learner.finish(meta));
                    wrong.map_or(Ok(()), |wrong| self.damaged(damage(&Series::Pack.name(place.0), wrong)))?;
                }
                // Where its pack was damaged that has been told.
                Err(e) if matches!(e.status(), Status::Data | Status::NoInput) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// What can be said only when all segments have been read.
    fn finish(mut self, segments: &[u64], strange: Vec<Finding>, exposed: Vec<String>) -> Result<Checked> {
        self.reports()?;
        for head in std::mem::take(&mut self.heads) {
            let what = format!("the archive was cut off or exchanged: no segment of it has {head}, which was the last one once");
            self.damaged(damage("catalog", what))?;
        }
        let (packs, root) = (folders::list(&self.context.shelf, Series::Pack)?, folders::root(&self.context.shelf)?);
        self.unnamed(&packs.numbers)?;
        self.missing()?;
        self.tell_lost(segments)?;
        [root.strange, strange, packs.strange].into_iter().flatten().try_for_each(&mut self.tell)?;
        [root.exposed, exposed, packs.exposed].into_iter().flatten().for_each(|file| self.expose(file));
        self.tell_exposed()?;
        Ok(self.checked)
    }

    /// Packs without a segment are no damage: the next mdrop-store adopts them. What they hold is not lost.
    fn unnamed(&mut self, packs: &[u64]) -> Result<()> {
        let later = self.named_since()?;
        let last = self.packs.last().copied().unwrap_or(0);
        for pack in packs.iter().copied().filter(|pack| !later.contains(pack)).collect::<Vec<_>>() {
            // Behind the last one that is named others may be storing just now.
            if self.packs.contains(&pack) || (pack > last && !later.is_empty()) {
                continue;
            }
            let messages = self.hold_all_of(pack)?;
            let read = if self.settings.choice.is_all() { format!("; {messages} messages in it are whole") } else { String::new() };
            let file = Series::Pack.name(pack);
            let text = format!("{file} has no segment; the next mdrop-store will take it in{read}");
            (self.tell)(Finding { file: Some(file), finding: "unnamed".into(), text, ..Finding::default() })?;
        }
        Ok(())
    }

    /// The packs that segments name which have appeared since the catalog was listed.
    fn named_since(&self) -> Result<HashSet<u64>> {
        let later = self.context.shelf.list(Series::Segment, self.last + 1)?;
        let header = |number: &u64| Segment::open(&self.context.shelf, *number).ok().map(|segment| segment.header);
        Ok(later.iter().filter_map(header).filter_map(|header| header.pack).map(|name| name.pack).collect())
    }

    /// Reads a pack that no segment names; returns how many messages in it are whole.
    fn hold_all_of(&mut self, pack: u64) -> Result<usize> {
        let file::Opened::File { .. } = file::open(&self.context.shelf, Series::Pack, pack)? else { return Ok(0) };
        let mut messages = 0;
        if self.settings.choice.is_all() {
            for frame in Frames::open(&self.context.shelf, pack)? {
                crate::interrupt::check()?;
                let whole = frame.and_then(|frame| whole_messages(&self.context.shelf, pack, frame));
                let whole = whole.unwrap_or_default();
                messages += whole.len();
                self.held.extend(whole.values().map(|digest| key(*digest)));
            }
        }
        Ok(messages)
    }

    /// What segments say of messages that other commits stored.
    fn missing(&mut self) -> Result<()> {
        let mut told = HashSet::new();
        for (digest, what, segment) in std::mem::take(&mut self.relied_on) {
            let known = self.held.contains(&key(digest)) || self.lost_keys.contains(&key(digest));
            if !known && told.insert(digest) {
                let text = format!("{digest}: segment {segment} {what}, but no pack holds it whole");
                let finding = damage(&Series::Segment.name(segment), text);
                self.damaged(Finding { digest: Some(digest), ..finding })?;
            }
        }
        Ok(())
    }

    fn tell_lost(&mut self, segments: &[u64]) -> Result<()> {
        let lost = std::mem::take(&mut self.lost);
        if lost.is_empty() {
            return Ok(());
        }
        let concerned = Concerned::read(self.context, self.settings.jobs, segments, &lost, &self.held)?;
        for lost in lost {
            let finding = concerned.finding(&lost, &self.held);
            self.damaged(finding)?;
        }
        Ok(())
    }

    fn tell_exposed(&mut self) -> Result<()> {
        let Some(first) = self.exposed.first() else { return Ok(()) };
        let text = match self.exposures {
            1 => format!("{first} can be read or entered by others than its owner"),
            n => format!("{n} files and folders can be read or entered by others than their owner: {} and so on", self.exposed.join(", ")),
        };
        (self.tell)(Finding { file: Some(first.clone()), finding: "exposed".into(), text, ..Finding::default() })
    }
}

/// What happens to the packs of segments that are gone.
const ADOPTED: &str = "what packs have no segment now, the next mdrop-store takes in when the cache folder has been deleted";
