//! A pack, against what its segment says: its size and BLAKE3, its frames, and each message at its place.
//!
//! The file is read once: what is decompressed is what was hashed. Only frames that do not lie one behind the other, as no mdrop writes them,
//! and what follows a fault of the disk, are looked up each for itself.

use crate::archive::check::event::key;
use crate::archive::check::file::{self, Opened, Tee};
use crate::archive::check::unit::{Context, Lost, Unit};
use crate::archive::pack::{self as packs, Place};
use crate::archive::segment::{PackName, SegmentHeader};
use crate::archive::shelf::Series;
use crate::archive::{Arrival, Learner};
use crate::error::{Error, Result, Status};
use crate::identity::{Digest, Fingerprint, Origin};
use crate::record::{Frame, LONGEST_LINE};
use crate::stream::{Journal, ReadError, StreamReader};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};

/// What a receipt says of a message that its commit stored.
pub(super) struct Stored {
    pub origin: Origin,
    pub digest: Digest,
    pub fingerprint: Fingerprint,
    pub size: u64,
    pub journal: Option<Journal>,
    pub users: Vec<String>,
}

/// A pack while it is checked.
struct Checking<'a> {
    context: &'a Context,
    unit: &'a mut Unit,
    name: PackName,
    segment: u64,
    file: String,
    /// The messages that have not been found whole, by frame and position.
    stored: BTreeMap<(Frame, u64), Stored>,
    /// How many they were at first.
    messages: usize,
}

/// Checks the pack that a segment names; `stored` is what its receipts say.
pub(super) fn check(
    context: &Context,
    header: &SegmentHeader,
    name: PackName,
    stored: BTreeMap<(Frame, u64), Stored>,
    unit: &mut Unit,
) -> Result<()> {
    let (messages, file) = (stored.len(), Series::Pack.name(name.pack));
    let mut checking = Checking { context, unit, name, segment: header.segment, file, stored, messages };
    let what = match file::open(&context.shelf, Series::Pack, name.pack)? {
        Opened::File { file, size, exposed } => {
            checking.unit.exposed.extend(exposed.then(|| checking.file.clone()));
            if context.choice.has_pack(header) {
                return checking.read(file, size);
            }
            checking.trust(|_| true);
            if size != name.size {
                checking.damaged(&format!("has {size} octets; segment {} says {}", header.segment, name.size));
            }
            return Ok(());
        }
        Opened::Missing => "is missing".to_owned(),
        Opened::Wrong(what) => what,
    };
    checking.damaged(&format!("{what}; segment {} names it, and {messages} messages were in it", header.segment));
    checking.lose();
    Ok(())
}

impl Checking<'_> {
    fn damaged(&mut self, what: &str) {
        self.unit.damaged(&self.file, format!("{}: {what}", self.file));
    }

    /// Takes messages of these frames for held without reading them.
    fn trust(&mut self, which: impl Fn(Frame) -> bool) {
        let unit = &mut *self.unit;
        self.stored.retain(|(frame, _), stored| {
            let trusted = which(*frame);
            unit.held.extend(trusted.then(|| (key(stored.digest), stored.size)));
            !trusted
        });
    }

    /// What is left has not been found whole.
    fn lose(&mut self) {
        let pack = self.name.pack;
        let lost = std::mem::take(&mut self.stored).into_iter().map(|((frame, position), stored)| {
            let Stored { origin, digest, fingerprint, users, .. } = stored;
            Lost { place: (pack, frame, position), origin, digest, fingerprint, users }
        });
        self.unit.lost.extend(lost);
    }

    fn read(mut self, file: File, size: u64) -> Result<()> {
        self.unit.packs += 1;
        let frames: BTreeSet<Frame> = self.stored.keys().map(|(frame, _)| *frame).collect();
        let before = self.unit.damage.len();
        let wrong = if self.context.choice.sample.is_some() {
            self.some(&frames)?;
            (size != self.name.size).then(|| format!("has {size} octets; segment {} says {}", self.segment, self.name.size))
        } else {
            self.all(Tee::new(file), &frames)?
        };
        if let Some(wrong) = wrong {
            let whole = self.messages - self.stored.len();
            let text = format!("{}: {wrong}; {whole} of {} messages in it are whole", self.file, self.messages);
            self.unit.damage.insert(before, super::unit::damage(&self.file, text));
        }
        self.covered(&frames);
        self.lose();
        Ok(())
    }

    /// Reads the frames that were chosen.
    fn some(&mut self, frames: &BTreeSet<Frame>) -> Result<()> {
        let chosen = |frame: Frame| self.context.choice.has_frame(self.name.pack, frame);
        let read: Vec<Frame> = frames.iter().copied().filter(|frame| chosen(*frame)).collect();
        let (context, pack) = (self.context, self.name.pack);
        self.trust(|frame| !context.choice.has_frame(pack, frame));
        for frame in read {
            self.unit.read += frame.length;
            self.look_up(frame)?;
        }
        Ok(())
    }

    /// Reads everything; returns what is wrong with the file.
    fn all(&mut self, mut tee: Tee, frames: &BTreeSet<Frame>) -> Result<Option<String>> {
        for frame in frames {
            if tee.at == frame.offset && tee.error.is_none() {
                let decoder = zstd::Decoder::new((&mut tee).take(frame.length)).and_then(|mut decoder| {
                    decoder.window_log_max(packs::LARGEST_WINDOW)?;
                    Ok(decoder)
                });
                let decoder = decoder.map_err(|e| Error::io("decompress", e).about(self.file.clone()))?;
                self.frame(*frame, decoder)?;
                tee.pass_to(frame.offset.saturating_add(frame.length));
            } else {
                self.look_up(*frame)?;
            }
        }
        tee.pass_to(u64::MAX);
        self.unit.read += tee.at;
        if let Some(error) = tee.error {
            return Ok(Some(format!("can't be read from octet {} on: {error}", tee.at)));
        }
        let (size, blake3) = (tee.at, tee.finish());
        let wrong = (size, blake3) != (self.name.size, self.name.blake3);
        Ok(wrong
            .then(|| format!("has {size} octets and {blake3}; segment {} says {} and {}", self.segment, self.name.size, self.name.blake3)))
    }

    /// Reads one frame at its place.
    fn look_up(&mut self, frame: Frame) -> Result<()> {
        match packs::open_frame(&self.context.shelf, self.name.pack, frame) {
            Ok(octets) => self.frame(frame, octets),
            Err(e) if e.status() == Status::Data => {
                self.unit.damaged(&self.file, e.to_string());
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    /// Reads a frame's messages; each that is whole, and where its receipt says, is struck off.
    fn frame(&mut self, frame: Frame, octets: impl Read) -> Result<()> {
        let (first, last) = ((frame, 0), (frame, u64::MAX));
        let promised = self.stored.range(first..=last).count();
        // A frame that goes on and on holds nothing that was promised.
        let ends = self
            .stored
            .range(first..=last)
            .next_back()
            .map_or(0, |((_, position), last)| position.saturating_add(last.size.saturating_mul(2)));
        let mut reader = StreamReader::new(octets.take(ends.saturating_add(LONGEST_LINE as u64)));
        let mut wrong = Vec::new();
        loop {
            crate::interrupt::check()?;
            let position = reader.position();
            let mut learner = Learner::of(self.stored.get(&(frame, position)).and_then(|stored| stored.journal.as_ref()));
            match reader.read(&mut io::sink(), &mut learner) {
                Ok(None) => break,
                Ok(Some(meta)) => wrong.extend(self.found((frame, position), &learner.finish(meta))),
                Err(ReadError::Message(e)) => wrong.push(e.to_string()),
                Err(e) => {
                    wrong.push(e.into_error().to_string());
                    break;
                }
            }
        }
        let whole = promised - self.stored.range(first..=last).count();
        for wrong in wrong {
            let end = frame.offset.saturating_add(frame.length);
            self.damaged(&format!("frame of octets {} to {end}: {wrong}; {whole} of {promised} messages in it are whole", frame.offset));
        }
        Ok(())
    }

    /// A message that is whole; returns what else is wrong with it.
    fn found(&mut self, (frame, position): (Frame, u64), read: &Arrival) -> Option<String> {
        let right = |stored: &Stored| stored.digest == read.meta.digest && stored.size == read.meta.size;
        let Some(stored) = self.stored.get(&(frame, position)).filter(|stored| right(stored)) else {
            return Some(format!("position {position}: {} stands where no receipt puts it", read.meta.digest));
        };
        self.unit.messages.add(stored.size);
        self.unit.held.push((key(stored.digest), stored.size));
        let wrong = taken_for((self.name.pack, frame, position), &stored.origin, stored.fingerprint, read);
        self.stored.remove(&(frame, position));
        if let Some(wrong) = wrong {
            self.unit.damaged(&self.file, wrong);
        }
        None
    }

    /// The frames that the receipts name lie one behind the other and fill the file.
    fn covered(&mut self, frames: &BTreeSet<Frame>) {
        let end = frames.iter().try_fold(0_u64, |end, frame| end.checked_add(frame.length).filter(|_| frame.offset == end));
        if end != Some(self.name.size) {
            self.damaged("the frames that its receipts name do not fill it");
        }
    }
}

/// What is wrong with what a receipt takes a message for: the fingerprint is that of the message, or of the inner message where the receipt
/// says that one lies.
pub(super) fn taken_for((pack, frame, position): Place, origin: &Origin, fingerprint: Fingerprint, read: &Arrival) -> Option<String> {
    let digest = read.meta.digest;
    let at = format!("{}: frame at octet {}, position {position}", Series::Pack.name(pack), frame.offset);
    match &read.misplaced {
        Some(why) => Some(format!("{at}: {why}: {origin} {digest}")),
        None if read.fingerprint == fingerprint => None,
        None => Some(format!("{at}: {digest} has the fingerprint {}, its receipt says {fingerprint}", read.fingerprint)),
    }
}
