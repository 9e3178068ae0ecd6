//! The catalog as the index reads it: segment for segment, whatever state each is in.

use crate::archive::segment::{PackName, RecordPlace, Segment};
use crate::archive::shelf::{Series, Shelf};
use crate::error::{Error, Result, Status};
use crate::identity::Digest;
use crate::record::Record;

/// What there is of a segment.
pub(super) enum Found {
    /// It can be read.
    Whole {
        /// The BLAKE3 of its file.
        blake3: Digest,
        /// The pack it names.
        pack: Option<PackName>,
        /// Its records.
        records: Vec<(RecordPlace, Record)>,
    },
    /// It can't be; it is passed over, and its pack, which then no segment names, is adopted by the next writer.
    Damaged {
        /// The BLAKE3 of its file.
        blake3: Digest,
        /// Why it can't.
        why: String,
    },
    /// It is not there.
    Missing,
}

/// How many numbers in a row may be missing. What stands behind a larger gap no mdrop has written.
const GAP: u64 = 1_000_000;

/// The last segment from `first` on; one less than that if there is none.
pub(super) fn last(shelf: &Shelf, first: u64) -> Result<u64> {
    let mut last = first.saturating_sub(1);
    for number in shelf.list(Series::Segment, first)? {
        if number.saturating_sub(last) > GAP {
            break;
        }
        last = number;
    }
    Ok(last)
}

/// Reads segment `number` of the archive with this id.
pub(super) fn find(shelf: &Shelf, archive: &str, number: u64) -> Result<Found> {
    // A listing taken while others commit may lack a number that is there.
    if shelf.size(Series::Segment, number)?.is_none() {
        return Ok(Found::Missing);
    }
    match read(shelf, archive, number) {
        Err(e) if e.status() == Status::Data => {
            let blake3 = Digest::of(&shelf.read_all(Series::Segment, number)?);
            Ok(Found::Damaged { blake3, why: e.to_string() })
        }
        found => found?,
    }
}

/// The error inside is damage; that outside is another archive's segment, or what the system reports.
fn read(shelf: &Shelf, archive: &str, number: u64) -> Result<Result<Found>> {
    let segment = Segment::open(shelf, number)?;
    let (blake3, pack) = (segment.blake3, segment.header.pack);
    if segment.header.archive != archive {
        let what = format!("belongs to the archive {}", segment.header.archive);
        return Ok(Err(Error::new(Status::Data, what).about(Series::Segment.name(number))));
    }
    let records: Vec<(RecordPlace, Record)> = segment.placed().collect::<Result<_>>()?;
    if !(records.iter().all(|(_, record)| fits(record)) && pack.is_none_or(|pack| [pack.pack, pack.size].into_iter().all(small))) {
        return Err(Error::new(Status::Data, "names a place that no file has").about(Series::Segment.name(number)));
    }
    Ok(Ok(Found::Whole { blake3, pack, records }))
}

/// Whether a receipt names a place that can be; SQLite holds no larger number either.
fn fits(record: &Record) -> bool {
    let Record::Receipt(receipt) = record else { return true };
    [receipt.pack, receipt.frame.offset, receipt.frame.length, receipt.position, receipt.size].into_iter().all(small)
}

fn small(number: u64) -> bool {
    number <= i64::MAX.unsigned_abs()
}
