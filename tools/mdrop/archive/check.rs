//! Checking: walks the whole archive from its files alone, recomputes every BLAKE3, and names what is damaged.
//!
//! The index is no witness here; it is compared with the catalog last. Memory holds what one pack's receipts say, and of
//! the rest only digests.

use crate::archive::pack::{self, PackReader, Place};
use crate::archive::segment::{PackName, Segment};
use crate::archive::shelf::{Series, Shelf};
use crate::archive::{Arrival, Learner, adopt, identity};
use crate::error::{Error, Result, Status};
use crate::identity::Digest;
use crate::record::{Finding, Frame, Head, Outcome, Receipt, Record, V1, Volume};
use crate::stream::StreamReader;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::Path;

/// What a check saw.
#[derive(Debug, Default)]
pub struct Checked {
    /// Segments read.
    pub segments: u64,
    /// Packs read.
    pub packs: u64,
    /// Messages whose digest was recomputed.
    pub messages: Volume,
    /// How many different messages these are.
    pub distinct: u64,
    /// The last segment.
    pub head: Option<Head>,
    /// How many findings were damage.
    pub damage: u64,
}

/// A walk through an archive; `tell` gets each finding.
pub struct Checker<'a> {
    shelf: Shelf,
    archive: String,
    tell: Box<dyn FnMut(Finding) -> Result<()> + 'a>,
    checked: Checked,
    /// Packs that a segment names.
    named: BTreeSet<u64>,
    /// Messages that were read whole.
    whole: HashSet<Digest>,
    /// Messages that a receipt of another pack's segment relies on, with that segment.
    relied_on: HashMap<Digest, u64>,
    /// Journal reports of which a receipt of another pack's segment says something.
    told_again: BTreeMap<(Place, u64), Receipt>,
}

impl<'a> Checker<'a> {
    /// A check of the archive at `root`.
    ///
    /// # Errors
    /// As [`identity`].
    pub fn new(root: &Path, tell: impl FnMut(Finding) -> Result<()> + 'a) -> Result<Self> {
        let (shelf, archive) = (Shelf::new(root), identity(root)?.archive);
        let (named, whole, relied_on, told_again) = (BTreeSet::new(), HashSet::new(), HashMap::new(), BTreeMap::new());
        Ok(Self { shelf, archive, tell: Box::new(tell), checked: Checked::default(), named, whole, relied_on, told_again })
    }

    /// Walks everything.
    ///
    /// # Errors
    /// What the system reports, and what `tell` does. Damage is told, not returned.
    pub fn run(mut self) -> Result<Checked> {
        let mut previous: Option<Head> = None;
        for number in self.shelf.list(Series::Segment, 0)? {
            if crate::interrupt::requested() {
                return Err(crate::interrupt::error());
            }
            self.gap(previous.as_ref(), number)?;
            let blake3 = Digest::of(&self.shelf.read_all(Series::Segment, number)?);
            match Segment::open(&self.shelf, number) {
                Ok(segment) => self.segment(segment, previous.as_ref())?,
                Err(e) if e.status() == Status::Data => self.damaged(e.to_string())?,
                Err(e) => return Err(e),
            }
            previous = Some(Head { archive: self.archive.clone(), segment: number, blake3 });
        }
        self.checked.head = previous;
        self.checked.distinct = self.whole.len() as u64;
        self.unnamed()?;
        self.missing()?;
        self.reports()?;
        Ok(self.checked)
    }

    fn damaged(&mut self, text: String) -> Result<()> {
        self.checked.damage += 1;
        (self.tell)(Finding { v: V1, origin: None, digest: None, finding: "damaged".into(), text })
    }

    /// Segments are numbered without gaps.
    fn gap(&mut self, previous: Option<&Head>, number: u64) -> Result<()> {
        let expected = previous.map_or(1, |head| head.segment + 1);
        if number == expected {
            return Ok(());
        }
        let what = if number == expected + 1 {
            format!("segment {expected} is missing")
        } else {
            format!("segments {expected} to {} are missing", number - 1)
        };
        self.damaged(what)
    }

    fn segment(&mut self, segment: Segment, previous: Option<&Head>) -> Result<()> {
        self.checked.segments += 1;
        let header = segment.header.clone();
        let about = |what: String| format!("{}: {what}", Series::Segment.name(header.segment));
        if header.archive != self.archive {
            self.damaged(about(format!("belongs to the archive {}", header.archive)))?;
        }
        if header.previous != previous.map(|head| head.blake3) {
            self.damaged(about("does not name the segment before it; one of the two was changed or exchanged".into()))?;
        }
        let mut stored: HashMap<(Frame, u64), Receipt> = HashMap::new();
        for record in segment {
            match record {
                Ok(Record::Receipt(receipt)) => self.receipt(*receipt, header.pack, header.segment, &mut stored),
                Ok(_) => {}
                Err(e) => {
                    self.damaged(e.to_string())?;
                    break;
                }
            }
        }
        header.pack.map_or(Ok(()), |name| self.pack(name, header.segment, stored))
    }

    fn receipt(&mut self, mut receipt: Receipt, pack: Option<PackName>, segment: u64, stored: &mut HashMap<(Frame, u64), Receipt>) {
        let here = pack.is_some_and(|name| name.pack == receipt.pack);
        if here && receipt.outcome != Outcome::Duplicate {
            stored.insert((receipt.frame, receipt.position), receipt);
            return;
        }
        self.relied_on.entry(receipt.digest).or_insert(segment);
        if receipt.journal.as_ref().is_some_and(|journal| journal.offset.is_some()) {
            (receipt.recipients, receipt.filings) = (Vec::new(), Vec::new());
            self.told_again.insert(((receipt.pack, receipt.frame, receipt.position), segment), receipt);
        }
    }

    /// A pack, against what its segment says: its BLAKE3, its frames, and each message at its place.
    fn pack(&mut self, name: PackName, segment: u64, mut stored: HashMap<(Frame, u64), Receipt>) -> Result<()> {
        self.named.insert(name.pack);
        let file = Series::Pack.name(name.pack);
        match adopt::hash(&self.shelf, name.pack) {
            Ok(found) if found == (name.size, name.blake3) => {}
            Ok((size, blake3)) => {
                let what = format!("{file}: has {size} octets and {blake3}; segment {segment} says {} and {}", name.size, name.blake3);
                self.damaged(what)?;
            }
            Err(e) if e.status() == Status::NoInput => {
                let what = format!("{file}: is missing; segment {segment} names it, and {} messages were in it", stored.len());
                return self.damaged(what);
            }
            Err(e) => return Err(e),
        }
        self.checked.packs += 1;
        let frames: BTreeSet<Frame> = stored.keys().map(|(frame, _)| *frame).collect();
        for frame in &frames {
            self.frame(name.pack, *frame, &mut stored)?;
        }
        for ((frame, position), receipt) in stored {
            let users: Vec<&str> = receipt.filings.iter().map(|filing| filing.user.as_str()).collect();
            let at = format!("{file}: frame at octet {}, position {position}", frame.offset);
            self.damaged(format!("{at}: can't be read whole: {} {} of {}", receipt.origin, receipt.digest, users.join(", ")))?;
        }
        self.frames_cover(name, &frames)
    }

    /// Reads a frame's messages; each that is whole, and where its receipt says, is struck off `stored`.
    fn frame(&mut self, pack: u64, frame: Frame, stored: &mut HashMap<(Frame, u64), Receipt>) -> Result<()> {
        let frame_octets = match pack::open_frame(&self.shelf, pack, frame) {
            Ok(octets) => octets,
            Err(e) if e.status() == Status::Data => return self.damaged(e.to_string()),
            Err(e) => return Err(e),
        };
        let mut reader = StreamReader::new(frame_octets);
        loop {
            let position = reader.position();
            let mut learner = Learner::of(stored.get(&(frame, position)).and_then(|receipt| receipt.journal.as_ref()));
            match reader.read(&mut io::sink(), &mut learner) {
                Ok(None) => return Ok(()),
                Ok(Some(meta)) => {
                    let place = (frame, position);
                    let right = |receipt: &Receipt| receipt.digest == meta.digest && receipt.size == meta.size;
                    if stored.get(&place).is_some_and(right)
                        && let Some(receipt) = stored.remove(&place)
                    {
                        self.checked.messages.add(meta.size);
                        self.whole.insert(meta.digest);
                        self.fingerprint(&receipt, &learner.finish(meta))?;
                    } else {
                        self.damaged(format!("{}: {} stands where no receipt puts it", Series::Pack.name(pack), meta.digest))?;
                    }
                }
                Err(crate::stream::ReadError::Message(e)) => self.damaged(e.about(Series::Pack.name(pack)).to_string())?,
                Err(e) => return self.damaged(e.into_error().about(Series::Pack.name(pack)).to_string()),
            }
        }
    }

    /// A receipt's fingerprint is that of the message, or of the inner message where the receipt says that one lies.
    fn fingerprint(&mut self, receipt: &Receipt, read: &Arrival) -> Result<()> {
        let at = format!("{}: frame at octet {}, position {}", Series::Pack.name(receipt.pack), receipt.frame.offset, receipt.position);
        if let Some(why) = &read.misplaced {
            return self.damaged(format!("{at}: {why}: {} {}", receipt.origin, receipt.digest));
        }
        if read.fingerprint == receipt.fingerprint {
            return Ok(());
        }
        let what = format!("has the fingerprint {}, its receipt says {}", read.fingerprint, receipt.fingerprint);
        self.damaged(format!("{at}: {} {what}", receipt.digest))
    }

    /// What later receipts say of journal reports, which may be more than the first one did.
    fn reports(&mut self) -> Result<()> {
        let mut packs = PackReader::default();
        for ((place, _), receipt) in std::mem::take(&mut self.told_again) {
            let mut learner = Learner::of(receipt.journal.as_ref());
            match packs.read(&self.shelf, place, receipt.digest, &mut io::sink(), &mut learner) {
                Ok(meta) => self.fingerprint(&receipt, &learner.finish(meta))?,
                // Where its pack was damaged that has been told.
                Err(e) if matches!(e.status(), Status::Data | Status::NoInput) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// The frames that the receipts name lie one behind the other and fill the file.
    fn frames_cover(&mut self, name: PackName, frames: &BTreeSet<Frame>) -> Result<()> {
        let end = frames.iter().try_fold(0, |end, frame| (frame.offset == end).then_some(end + frame.length));
        if end == Some(name.size) {
            return Ok(());
        }
        self.damaged(format!("{}: the frames that its receipts name do not fill it", Series::Pack.name(name.pack)))
    }

    /// Packs without a segment are no damage: the next mdrop-store adopts them.
    fn unnamed(&mut self) -> Result<()> {
        for pack in self.shelf.list(Series::Pack, 0)? {
            if !self.named.contains(&pack) {
                let text = format!("{} has no segment; the next mdrop-store will take it in", Series::Pack.name(pack));
                (self.tell)(Finding { v: V1, origin: None, digest: None, finding: "unnamed".into(), text })?;
            }
        }
        Ok(())
    }

    /// Receipts of duplicates rely on messages that other commits stored.
    fn missing(&mut self) -> Result<()> {
        let missing: Vec<(Digest, u64)> =
            self.relied_on.iter().filter(|(digest, _)| !self.whole.contains(digest)).map(|(d, s)| (*d, *s)).collect();
        for (digest, segment) in missing {
            self.damaged(format!("{digest}: segment {segment} says that it is held, but no pack holds it whole"))?;
        }
        Ok(())
    }
}

/// Whether an index says the same as the catalog as to how many messages are held.
///
/// # Errors
/// What the index reports.
pub fn index_agrees(archive: &crate::archive::Archive, checked: &Checked) -> Result<()> {
    let (messages, _) = archive.index.totals()?;
    // What was committed while the check was walking says nothing about it.
    if archive.head()? != checked.head || messages == checked.distinct {
        return Ok(());
    }
    let what = format!("holds {messages} messages, the packs hold {}; delete the cache folder to have it made anew", checked.distinct);
    Err(Error::new(Status::Data, what).about("index"))
}
