//! What waits for the next commit: arrivals in the order of the stream, and the octets of those that are new.
//!
//! The octets wait in memory while they are few, else in an unlinked file: 64 MiB must not stay resident, and copies of
//! one mail that lie apart in the stream are to be put side by side.

use crate::archive::Arrival;
use crate::archive::pack::{FRAME, PackWriter};
use crate::archive::shelf::Shelf;
use crate::error::{Error, Result};
use crate::identity::{Digest, Fingerprint};
use crate::record::{Frame, ObjectIds};
use crate::spool::Spool;
use crate::stream::Meta;
use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::ops::Range;

/// How much of the waiting octets stays in memory.
const IN_MEMORY: usize = 12 << 20;
/// The compression level of packs: beyond it zstd takes several times as long for a few percent.
pub const LEVEL: i32 = 3;

/// What is remembered of an arrival, and of each name in it, in octets, about.
const EACH: u64 = 8 << 10;
const EACH_NAME: u64 = 1 << 10;

/// One arrival; `octets` is where its encoded form waits, none if the archive holds it already or it is refused.
pub struct Waiting {
    /// The message.
    pub arrival: Arrival,
    octets: Option<Range<u64>>,
}

/// See the module.
pub struct Pending {
    waiting: Vec<Waiting>,
    digests: HashSet<Digest>,
    spool: Spool,
    remembered: u64,
}

/// A pack in tmp/, synced, with where each message lies in it.
pub struct Built {
    /// The file.
    pub file: crate::durable::Unfinished,
    /// Its octets.
    pub size: u64,
    /// Its BLAKE3.
    pub blake3: Digest,
    /// Frame, and position in it, of each message.
    pub places: HashMap<Digest, (Frame, u64)>,
}

impl Default for Pending {
    fn default() -> Self {
        Self { waiting: Vec::new(), digests: HashSet::new(), spool: Spool::new(IN_MEMORY), remembered: 0 }
    }
}

impl Pending {
    /// Whether a message with this digest waits already.
    #[must_use]
    pub fn holds(&self, digest: Digest) -> bool {
        self.digests.contains(&digest)
    }

    /// Adds an arrival whose octets need not be stored.
    pub fn add(&mut self, arrival: Arrival) {
        self.remember(arrival, None);
    }

    /// Adds an arrival with its encoded form.
    ///
    /// # Errors
    /// What reading it or the temporary file reports; then nothing is added.
    pub fn add_new(&mut self, arrival: Arrival, encoded: &mut dyn Read) -> Result<()> {
        let start = self.spool.size();
        io::copy(encoded, &mut self.spool).map_err(|e| Error::io("hold a message for the next commit", e))?;
        self.digests.insert(arrival.meta.digest);
        self.remember(arrival, Some(start..self.spool.size()));
        Ok(())
    }

    fn remember(&mut self, arrival: Arrival, octets: Option<Range<u64>>) {
        let named = arrival.meta.route.as_ref().map_or(0, |route| route.recipients.len() + route.filings.len());
        self.remembered += EACH + named as u64 * EACH_NAME;
        self.waiting.push(Waiting { arrival, octets });
    }

    /// How many octets wait, with an estimate of what is remembered of each arrival besides: many small messages, or a few for very many
    /// people, must not fill the memory.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.spool.size() + self.remembered
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The arrivals, in the order of the stream.
    pub fn arrivals(&self) -> impl Iterator<Item = &Arrival> {
        self.waiting.iter().map(|waiting| &waiting.arrival)
    }

    /// Forgets everything, after a commit.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.digests.clear();
        self.spool.clear();
        self.remembered = 0;
    }

    /// Writes the pack of what is new, without what `skip` says the archive holds by now. None if nothing is left.
    ///
    /// # Errors
    /// What writing reports.
    pub fn build(&mut self, shelf: &Shelf, skip: impl Fn(Digest) -> Result<bool>) -> Result<Option<Built>> {
        let frames = self.frames(skip)?;
        if frames.is_empty() {
            return Ok(None);
        }
        shelf.require_space(self.spool.size())?;
        let mut pack = PackWriter::create(shelf, LEVEL)?;
        let mut places = HashMap::new();
        for frame in frames {
            self.write_frame(&mut pack, &frame, &mut places)?;
        }
        let (file, size, blake3) = pack.finish()?;
        Ok(Some(Built { file, size, blake3, places }))
    }

    fn write_frame(&mut self, pack: &mut PackWriter, frame: &[usize], places: &mut HashMap<Digest, (Frame, u64)>) -> Result<()> {
        let size = frame.iter().map(|i| length(&self.waiting[*i])).sum();
        let mut writer = pack.frame(size)?;
        let mut positions = Vec::with_capacity(frame.len());
        for i in frame {
            let Waiting { arrival, octets } = &self.waiting[*i];
            let mut encoded = self.spool.range(octets.clone().unwrap_or_default())?;
            positions.push((arrival.meta.digest, writer.add(&packed(&arrival.meta), &mut encoded)?));
        }
        let place = writer.finish()?;
        places.extend(positions.into_iter().map(|(digest, position)| (digest, (place, position))));
        Ok(())
    }

    /// Which messages share a frame: in the order of the stream, but copies of one mail side by side in one frame.
    fn frames(&self, skip: impl Fn(Digest) -> Result<bool>) -> Result<Vec<Vec<usize>>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut group_of: HashMap<Fingerprint, usize> = HashMap::new();
        for (i, waiting) in self.waiting.iter().enumerate() {
            if waiting.octets.is_some() && !skip(waiting.arrival.meta.digest)? {
                let group = *group_of.entry(waiting.arrival.fingerprint).or_insert(groups.len());
                groups.resize(groups.len().max(group + 1), Vec::new());
                groups[group].push(i);
            }
        }
        let size = |group: &[usize]| group.iter().map(|i| length(&self.waiting[*i])).sum::<u64>();
        let mut frames: Vec<Vec<usize>> = Vec::new();
        let mut filled = 0;
        for group in groups {
            let more = size(&group);
            if frames.is_empty() || filled + more > FRAME {
                frames.push(Vec::new());
                filled = 0;
            }
            filled += more;
            frames.last_mut().into_iter().for_each(|frame| frame.extend(&group));
        }
        Ok(frames)
    }
}

fn length(waiting: &Waiting) -> u64 {
    waiting.octets.as_ref().map_or(0, |octets| octets.end - octets.start)
}

/// What a pack says of a message: nothing of whom it was filed under or delivered to.
fn packed(meta: &Meta) -> Meta {
    Meta { server_size: None, flags: Vec::new(), objects: ObjectIds::default(), route: None, ..meta.clone() }
}
