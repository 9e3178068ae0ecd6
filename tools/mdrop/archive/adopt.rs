//! Adoption: a pack that no segment names is never deleted but read, and a segment written for it.
//!
//! A crash between the two, a damaged segment or a catalog restored from yesterday leaves such packs, and the server may be
//! purged already. A pack does not say whose its messages are, so they are filed under @catchall, and their origins are
//! not called known: where the server still has them, the next run fetches, routes and files them, and stores nothing twice.

use crate::archive::pack::{self, Frames, Place};
use crate::archive::segment::{PackName, SegmentHeader};
use crate::archive::shelf::{Series, Shelf};
use crate::archive::{Archive, Arrival, Learner};
use crate::error::{Error, Result, Status};
use crate::identity::Digest;
use crate::record::{CATCHALL, Filing, Finding, Frame, ObjectIds, Outcome, Receipt, Record, Role, V1};
use crate::stream::{Meta, ReadError, StreamReader};
use std::io;

/// The packs that no readable segment names. Only under the lock is this true of all it returns.
///
/// # Errors
/// What listing or the index reports.
pub fn orphans(archive: &Archive) -> Result<Vec<u64>> {
    // Only a damaged segment can leave one below the last pack that is named.
    let last = archive.index.last_pack()?;
    let from = if archive.index.damaged()?.is_empty() { last + 1 } else { 1 };
    let present = archive.shelf.list(Series::Pack, from)?;
    if present.is_empty() {
        return Ok(present);
    }
    let named = archive.index.packs(from)?;
    Ok(present.into_iter().filter(|pack| named.binary_search(pack).is_err()).collect())
}

/// The pack's file as a segment names it.
///
/// # Errors
/// What reading reports.
pub fn name(shelf: &Shelf, pack: u64) -> Result<PackName> {
    let (size, blake3) = hash(shelf, pack)?;
    Ok(PackName { pack, size, blake3 })
}

/// A pack's octets and BLAKE3.
///
/// # Errors
/// What reading reports.
pub fn hash(shelf: &Shelf, pack: u64) -> Result<(u64, Digest)> {
    let mut hasher = blake3::Hasher::new();
    let mut file = shelf.open(Series::Pack, pack)?;
    let size = io::copy(&mut file, &mut hasher).map_err(|e| Error::io("read", e).about(Series::Pack.name(pack)))?;
    Ok((size, Digest(*hasher.finalize().as_bytes())))
}

/// The records of a pack's new segment: a receipt for each message that can be read, and a finding for what can't.
///
/// # Errors
/// What the system reports; damage is no error here.
pub fn read(archive: &Archive, header: &SegmentHeader, pack: u64) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    let mut adopted = 0;
    for frame in Frames::open(&archive.shelf, pack)? {
        match frame.and_then(|frame| messages(archive, pack, frame)) {
            Ok((found, damage)) => {
                for (place, arrival) in found {
                    adopted += 1;
                    // Mail that is filed already needs no provisional filing, which nothing would take back.
                    let filed = archive.index.message(arrival.meta.digest)?.is_some_and(|held| !held.adopted);
                    records.push(Record::Receipt(Box::new(receipt(header, place, arrival, !filed))));
                }
                records.extend(damage.iter().map(|e| finding("damaged", e.to_string())));
            }
            // Behind a damaged frame the next one is looked for.
            Err(e) if e.status() == Status::Data => records.push(finding("damaged", e.to_string())),
            Err(e) => return Err(e),
        }
    }
    let text = format!("{} had no segment: {adopted} messages were taken in", Series::Pack.name(pack));
    records.insert(0, finding("adopted", text));
    Ok(records)
}

fn finding(word: &str, text: String) -> Record {
    Record::Finding(Box::new(Finding { finding: word.into(), text, ..Finding::default() }))
}

/// The messages of a frame with their places, and what is damaged in it.
type Readable = (Vec<(Place, Arrival)>, Vec<Error>);

/// Reads one frame.
fn messages(archive: &Archive, pack: u64, frame: Frame) -> Result<Readable> {
    let mut reader = StreamReader::new(pack::open_frame(&archive.shelf, pack, frame)?);
    let (mut found, mut damage) = (Vec::new(), Vec::new());
    loop {
        let position = reader.position();
        let mut learner = Learner::default();
        let look = |meta: &Meta, learner: &mut Learner| {
            *learner = Learner::of(archive.index.message(meta.digest)?.and_then(|known| known.journal).as_ref());
            Ok(())
        };
        match reader.read_into(look, &mut io::sink(), &mut learner) {
            Ok(None) => return Ok((found, damage)),
            Ok(Some(meta)) => found.push(((pack, frame, position), learner.finish(meta))),
            Err(ReadError::Message(e)) => damage.push(e.about(Series::Pack.name(pack))),
            Err(e) => {
                damage.push(e.into_error().about(Series::Pack.name(pack)));
                return Ok((found, damage));
            }
        }
    }
}

fn receipt(header: &SegmentHeader, (pack, frame, position): Place, arrival: Arrival, file: bool) -> Receipt {
    let Arrival { meta, fingerprint, quoted, journal, .. } = arrival;
    let folder = meta.origin.folder().lossy().into_owned();
    Receipt {
        v: V1,
        origin: meta.origin,
        digest: meta.digest,
        fingerprint,
        size: meta.size,
        server_size: None,
        received: meta.received,
        archived: header.time,
        message_id: quoted.message_id,
        date: quoted.date,
        from: quoted.from,
        subject: quoted.subject,
        archive: header.archive.clone(),
        segment: header.segment,
        pack,
        frame,
        position,
        flags: Vec::new(),
        objects: ObjectIds::default(),
        sender: None,
        recipients: Vec::new(),
        journal,
        filings: file.then_some(Filing { user: CATCHALL.into(), folder, role: Role::Recipient, evidence: None }).into_iter().collect(),
        same_message_id: None,
        outcome: Outcome::Adopted,
    }
}
