//! A segment of the catalog: one header line, then records, compressed as one zstd frame (mdrop-archive(5)).
//!
//! The header names the segment before by its BLAKE3, so the segments are a chain in which no link can be changed,
//! and the pack by its BLAKE3, so the chain covers the messages too.

use crate::archive::shelf::{Series, Shelf};
use crate::durable::Unfinished;
use crate::error::{Error, Result, Status};
use crate::identity::Digest;
use crate::record::{Record, RecordReader, V1};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::io::{BufReader, Read, Write};

/// The compression level of segments: they are small.
const LEVEL: i32 = 6;

/// The first line of a segment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SegmentHeader {
    /// Always `segment`.
    #[serde(rename = "type")]
    pub kind: SegmentType,
    /// The format's version.
    pub v: V1,
    /// The archive's id.
    pub archive: String,
    /// The segment's number.
    pub segment: u64,
    /// The BLAKE3 of the file of the segment before; null in the first.
    pub previous: Option<Digest>,
    /// The pack whose messages this segment commits, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pack: Option<PackName>,
    /// When it was committed.
    pub time: Time,
    /// The tool that wrote it, with its version.
    pub tool: String,
}

/// The word `segment` in a header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SegmentType {
    /// `segment`
    Segment,
}

/// The one member that every version has.
#[derive(Deserialize)]
struct Versioned {
    v: u64,
}

/// A pack as a segment names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PackName {
    /// Its number.
    pub pack: u64,
    /// Its file's octets.
    pub size: u64,
    /// The BLAKE3 of its file.
    pub blake3: Digest,
}

/// A segment as it was read.
pub struct Segment {
    /// Its first line.
    pub header: SegmentHeader,
    /// The BLAKE3 of its file.
    pub blake3: Digest,
    records: RecordReader<Box<dyn std::io::BufRead>>,
    number: u64,
}

impl Segment {
    /// Opens segment `number` and reads its header. The records follow as an iterator.
    ///
    /// # Errors
    /// [`Status::NoInput`] if it is not there, [`Status::Data`] if it is damaged or not the segment its name says.
    pub fn open(shelf: &Shelf, number: u64) -> Result<Self> {
        let file = shelf.read_all(Series::Segment, number)?;
        let blake3 = Digest::of(&file);
        let about = |e: Error| e.about(Series::Segment.name(number));
        let bad = |what: String| about(Error::new(Status::Data, what));
        let decoder = zstd::Decoder::new(std::io::Cursor::new(file)).map_err(|e| bad(format!("not zstd: {e}")))?;
        let mut lines: Box<dyn std::io::BufRead> = Box::new(BufReader::new(decoder));
        let mut first = Vec::new();
        let read = Read::take(&mut lines, 1 << 20).read_until_lf(&mut first);
        read.map_err(|e| bad(format!("damaged: {e}")))?;
        if let Ok(Versioned { v: 2.. }) = serde_json::from_slice(&first) {
            let what = "was written by a later version of mdrop; this one must not touch the archive";
            return Err(about(Error::new(Status::Config, what)));
        }
        let header: SegmentHeader = serde_json::from_slice(&first).map_err(|e| bad(format!("its first line is no segment header: {e}")))?;
        if header.segment != number {
            return Err(bad(format!("says that it is segment {}", header.segment)));
        }
        Ok(Self { header, blake3, records: RecordReader::new(lines), number })
    }
}

impl Iterator for Segment {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Result<Record>> {
        let about = |e: Error| e.with_status(Status::Data).about(Series::Segment.name(self.number));
        Some(self.records.next()?.map_err(about))
    }
}

/// `BufRead::read_until` for LF, on anything that reads.
trait ReadLine {
    fn read_until_lf(self, to: &mut Vec<u8>) -> std::io::Result<usize>;
}

impl<R: std::io::BufRead> ReadLine for R {
    fn read_until_lf(mut self, to: &mut Vec<u8>) -> std::io::Result<usize> {
        self.read_until(b'\n', to)
    }
}

/// Writes a segment to tmp/ and syncs it; returns the file and its BLAKE3. It has no number until it is linked.
///
/// # Errors
/// What writing reports.
pub fn write(shelf: &Shelf, header: &SegmentHeader, records: &[Record]) -> Result<(Unfinished, Digest)> {
    let error = |e| Error::io("write a segment", e).about(shelf.tmp().display().to_string());
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL).map_err(error)?;
    encoder.include_checksum(true).map_err(error)?;
    let mut first = serde_json::to_vec(header).map_err(|e| Error::new(Status::Software, e.to_string()))?;
    first.push(b'\n');
    encoder.write_all(&first).map_err(error)?;
    for record in records {
        encoder.write_all(&record.to_line()?).map_err(error)?;
    }
    let octets = encoder.finish().map_err(error)?;
    let mut file = shelf.create()?;
    file.write_all(&octets).map_err(error)?;
    file.sync()?;
    Ok((file, Digest::of(&octets)))
}
