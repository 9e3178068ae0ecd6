//! What waits for the next commit: arrivals in the order of the stream, and the octets of those that are new.
//!
//! All of them wait until the commit, since copies of one mail that lie apart in the stream are to be put side by side; 64 MiB must
//! not stay resident, so most wait in a file.

use crate::archive::decide::routing;
use crate::archive::pack::{FRAME, PackWriter};
use crate::archive::room::{Kept, Room};
use crate::archive::shelf::Shelf;
use crate::archive::{Archive, Arrival};
use crate::error::Result;
use crate::identity::{Digest, Fingerprint};
use crate::record::{Frame, ObjectIds};
use crate::spool::Spool;
use crate::stream::Meta;
use std::collections::{HashMap, HashSet};

/// The compression level of packs: beyond it zstd takes several times as long for a few percent.
pub const LEVEL: i32 = 3;

/// What is remembered of an arrival, and of each name in it, in octets, about.
const EACH: u64 = 8 << 10;
const EACH_NAME: u64 = 1 << 10;
/// Of a copy of a mail that waits already this part counts, since it takes next to no room beside it, and none if it comes too late.
const COPY: u64 = 8;

/// One arrival; `octets` is where its encoded form waits, none if the archive holds it already or it is refused.
struct Waiting {
    arrival: Arrival,
    octets: Option<Kept>,
}

/// See the module.
#[derive(Default)]
pub struct Pending {
    waiting: Vec<Waiting>,
    digests: HashSet<Digest>,
    mails: HashSet<Fingerprint>,
    room: Room,
    octets: u64,
    copies: u64,
    remembered: u64,
}

/// A pack in tmp/, not synced yet, with where each message lies in it.
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

impl Pending {
    /// The digests of the messages that wait with their octets.
    #[must_use]
    pub fn digests(&self) -> &HashSet<Digest> {
        &self.digests
    }

    /// Takes a message. Its octets are kept only if they are new: neither held by the archive, nor waiting here, nor `on_its_way` to it.
    ///
    /// # Errors
    /// What the index or the temporary file reports; then nothing is taken.
    pub fn take(&mut self, archive: &Archive, arrival: Arrival, encoded: Spool, on_its_way: bool) -> Result<()> {
        let digest = arrival.meta.digest;
        let skip = routing(&arrival).is_some_and(|routing| routing.skip.is_some());
        if skip || on_its_way || self.digests.contains(&digest) || archive.held(digest)?.is_some() {
            self.remember(arrival, None);
            return Ok(());
        }
        let octets = self.room.keep(encoded)?;
        self.octets += octets.length();
        if !self.mails.insert(arrival.fingerprint) {
            self.copies += octets.length();
        }
        self.digests.insert(digest);
        self.remember(arrival, Some(octets));
        Ok(())
    }

    fn remember(&mut self, arrival: Arrival, octets: Option<Kept>) {
        let named = arrival.meta.route.as_ref().map_or(0, |route| route.recipients.len() + route.filings.len());
        self.remembered += EACH + named as u64 * EACH_NAME;
        self.waiting.push(Waiting { arrival, octets });
    }

    /// How many octets wait, of copies an eighth, with an estimate of what is remembered of each arrival besides: many small messages, or a
    /// few for very many people, must not fill the memory.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.octets - self.copies + self.copies / COPY + self.remembered
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

    /// Writes the pack of what is new, `without` what the archive turned out to hold by now. None if nothing is left.
    ///
    /// # Errors
    /// What writing reports.
    pub fn build(&mut self, shelf: &Shelf, without: &HashSet<Digest>) -> Result<Option<Built>> {
        let frames = self.frames(without);
        if frames.is_empty() {
            return Ok(None);
        }
        shelf.require_space(self.octets)?;
        self.room.close()?;
        let mut pack = PackWriter::create(shelf, LEVEL)?;
        let mut places = HashMap::new();
        for frame in frames {
            self.write_frame(&mut pack, &frame, &mut places)?;
        }
        let (file, size, blake3) = pack.finish();
        Ok(Some(Built { file, size, blake3, places }))
    }

    fn write_frame(&self, pack: &mut PackWriter, frame: &[usize], places: &mut HashMap<Digest, (Frame, u64)>) -> Result<()> {
        let lengths = || frame.iter().map(|i| length(&self.waiting[*i]));
        let mut writer = pack.frame(lengths().sum(), lengths().max().unwrap_or(0))?;
        let mut positions = Vec::with_capacity(frame.len());
        for i in frame {
            let Waiting { arrival, octets: Some(octets) } = &self.waiting[*i] else { continue };
            positions.push((arrival.meta.digest, writer.add(&packed(&arrival.meta), &mut *self.room.reader(octets))?));
        }
        let place = writer.finish()?;
        places.extend(positions.into_iter().map(|(digest, position)| (digest, (place, position))));
        Ok(())
    }

    /// Which messages share a frame: in the order of the stream, but copies of one mail side by side in one frame.
    fn frames(&self, without: &HashSet<Digest>) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut group_of: HashMap<Fingerprint, usize> = HashMap::new();
        for (i, waiting) in self.waiting.iter().enumerate() {
            if waiting.octets.is_some() && !without.contains(&waiting.arrival.meta.digest) {
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
        frames
    }
}

fn length(waiting: &Waiting) -> u64 {
    waiting.octets.as_ref().map_or(0, Kept::length)
}

/// What a pack says of a message: nothing of whom it was filed under or delivered to.
fn packed(meta: &Meta) -> Meta {
    let Meta { v, origin, size, digest, eol, received, .. } = meta;
    Meta {
        v: *v,
        origin: origin.clone(),
        size: *size,
        digest: *digest,
        eol: *eol,
        received: *received,
        server_size: None,
        flags: Vec::new(),
        objects: ObjectIds::default(),
        route: None,
    }
}
