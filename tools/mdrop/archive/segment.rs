//! A segment of the catalog: one header line, then records, in zstd frames of whole lines (mdrop-archive(5)).
//!
//! The header names the segment before by its BLAKE3, so the segments are a chain in which no link can be changed,
//! and the pack by its BLAKE3, so the chain covers the messages too. The frames are small, so that one record is read back by
//! decompressing one of them; a finder over millions of messages reads nothing else of the catalog.

use crate::archive::pack::Hashing;
use crate::archive::shelf::{Series, Shelf};
use crate::durable::Unfinished;
use crate::error::{Error, Result, Status};
use crate::identity::Digest;
use crate::record::{LONGEST_LINE, Receipt, Record, RecordReader, V1};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};

/// The compression level of segments: they are small.
const LEVEL: i32 = 6;
/// A frame is closed when the next line would make it more than this, uncompressed.
const FRAME: usize = 256 << 10;
/// What a frame that is read may hold: one line of any length, or lines of a frame that another program wrote.
const LARGEST_FRAME: usize = LONGEST_LINE + FRAME;

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

/// Where a record stands in the catalog.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RecordPlace {
    /// The segment.
    pub segment: u64,
    /// Where in the segment's file the zstd frame begins.
    pub frame: u64,
    /// Where in the decompressed frame the record's line begins.
    pub position: u64,
}

/// A segment as it was read.
pub struct Segment {
    /// Its first line.
    pub header: SegmentHeader,
    /// The BLAKE3 of its file.
    pub blake3: Digest,
    records: RecordReader<Lines>,
    number: u64,
}

impl Segment {
    /// Opens segment `number` and reads its header. The records follow as an iterator.
    ///
    /// # Errors
    /// [`Status::NoInput`] if it is not there, [`Status::Data`] if it is damaged or not the segment its name says.
    pub fn open(shelf: &Shelf, number: u64) -> Result<Self> {
        Self::read(shelf.read_all(Series::Segment, number)?, number)
    }

    /// The same of a file that has been read.
    ///
    /// # Errors
    /// [`Status::Data`] if it is damaged or not the segment its name says.
    pub fn read(file: Vec<u8>, number: u64) -> Result<Self> {
        let blake3 = Digest::of(&file);
        let about = |e: Error| e.about(Series::Segment.name(number));
        let bad = |what: String| about(Error::new(Status::Data, what));
        let mut lines = Lines { file, next: 0, begins: 0, frame: Vec::new(), at: 0 };
        let mut first = Vec::new();
        let read = Read::take(&mut lines, 1 << 20).read_until(b'\n', &mut first);
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

    /// Its records, each with its place.
    pub fn placed(mut self) -> impl Iterator<Item = Result<(RecordPlace, Record)>> {
        std::iter::from_fn(move || {
            let place = self.records.input().place();
            let (frame, position) = match place {
                Ok(place) => place,
                Err(e) => return Some(Err(Error::io("read", e).with_status(Status::Data).about(Series::Segment.name(self.number)))),
            };
            let place = RecordPlace { segment: self.number, frame, position };
            Some(self.next()?.map(|record| (place, record)))
        })
    }
}

impl Iterator for Segment {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Result<Record>> {
        let about = |e: Error| e.with_status(Status::Data).about(Series::Segment.name(self.number));
        Some(self.records.next()?.map_err(about))
    }
}

/// The lines of a segment's file, of which one frame is decompressed at a time.
struct Lines {
    file: Vec<u8>,
    /// Where in the file the frame after this one begins.
    next: usize,
    /// Where this one does.
    begins: usize,
    frame: Vec<u8>,
    at: usize,
}

impl Lines {
    /// Where the next line begins: its frame, and the place in it.
    fn place(&mut self) -> io::Result<(u64, u64)> {
        self.fill_buf()?;
        Ok((self.begins as u64, self.at as u64))
    }
}

impl BufRead for Lines {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.frame.len() && self.next < self.file.len() {
            let rest = self.file.get(self.next..).unwrap_or_default();
            let mut decoder = zstd::Decoder::with_buffer(rest)?.single_frame();
            self.at = 0;
            decompress(&mut decoder, &mut self.frame)?;
            self.begins = self.next;
            self.next = self.file.len() - decoder.finish().len();
        }
        Ok(self.frame.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.at = self.frame.len().min(self.at + amount);
    }
}

impl Read for Lines {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(to)?;
        self.consume(read);
        Ok(read)
    }
}

/// Puts a whole frame into `frame`.
fn decompress(decoder: &mut impl Read, frame: &mut Vec<u8>) -> io::Result<()> {
    frame.clear();
    if decoder.take(LARGEST_FRAME as u64 + 1).read_to_end(frame)? > LARGEST_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame longer than any record"));
    }
    Ok(())
}

/// Puts the frame that begins at `offset` into `frame`.
fn read_frame(mut file: std::fs::File, offset: u64, frame: &mut Vec<u8>) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    decompress(&mut zstd::Decoder::new(file)?.single_frame(), frame)
}

/// Reads records back from their places. It keeps the frame it read last, so that records that stand side by side cost one decompression.
#[derive(Default)]
pub struct PlaceReader {
    open: Option<(u64, u64)>,
    frame: Vec<u8>,
}

impl PlaceReader {
    /// The record at a place.
    ///
    /// # Errors
    /// [`Status::NoInput`] if the segment is not there, [`Status::Data`] if no record can be read there.
    pub fn record(&mut self, shelf: &Shelf, place: RecordPlace) -> Result<Record> {
        let about = |e: Error| e.about(Series::Segment.name(place.segment));
        let none = || about(Error::new(Status::Data, format!("no record at {} of the frame at octet {}", place.position, place.frame)));
        if self.open != Some((place.segment, place.frame)) {
            self.open = None;
            let read = shelf.open(Series::Segment, place.segment).map(|file| read_frame(file, place.frame, &mut self.frame))?;
            read.map_err(|e| about(Error::io("read", e).with_status(Status::Data)))?;
            self.open = Some((place.segment, place.frame));
        }
        let line = usize::try_from(place.position).ok().and_then(|position| self.frame.get(position..)).ok_or_else(none)?;
        RecordReader::new(line).next().ok_or_else(none)?.map_err(|e| about(e.with_status(Status::Data)))
    }

    /// The receipt at a place, which must be of the message `wanted`.
    ///
    /// # Errors
    /// As [`PlaceReader::record`].
    pub fn receipt(&mut self, shelf: &Shelf, place: RecordPlace, wanted: Digest) -> Result<Receipt> {
        match self.record(shelf, place)? {
            Record::Receipt(receipt) if receipt.digest == wanted => Ok(*receipt),
            _ => {
                let what = format!("no receipt of {wanted} at {} of the frame at octet {}", place.position, place.frame);
                Err(Error::new(Status::Data, what).about(Series::Segment.name(place.segment)))
            }
        }
    }
}

/// Writes a segment to tmp/, frame by frame.
pub struct SegmentWriter {
    output: Hashing,
    /// The lines of the frame that is open.
    frame: Vec<u8>,
    segment: u64,
}

/// A segment in tmp/, synced. It has no number until it is linked.
pub struct Written {
    /// The file.
    pub file: Unfinished,
    /// Its BLAKE3.
    pub blake3: Digest,
    /// Where each record stands, in their order.
    pub places: Vec<RecordPlace>,
}

impl SegmentWriter {
    /// A segment in tmp/ that begins with this header.
    ///
    /// # Errors
    /// What writing reports.
    pub fn create(shelf: &Shelf, header: &SegmentHeader) -> Result<Self> {
        let mut frame = serde_json::to_vec(header).map_err(|e| Error::new(Status::Software, e.to_string()))?;
        frame.push(b'\n');
        Ok(Self { output: Hashing::create(shelf)?, frame, segment: header.segment })
    }

    /// Adds a record; returns where it stands.
    ///
    /// # Errors
    /// What writing reports.
    pub fn add(&mut self, record: &Record) -> Result<RecordPlace> {
        let line = record.to_line()?;
        if self.frame.len() + line.len() > FRAME {
            self.close().map_err(|e| Error::io("write a segment", e))?;
        }
        let place = RecordPlace { segment: self.segment, frame: self.output.size, position: self.frame.len() as u64 };
        self.frame.extend_from_slice(&line);
        Ok(place)
    }

    /// Closes the open frame.
    fn close(&mut self) -> io::Result<()> {
        if !self.frame.is_empty() {
            let mut encoder = zstd::Encoder::new(&mut self.output, LEVEL)?;
            encoder.include_checksum(true)?;
            encoder.set_pledged_src_size(Some(self.frame.len() as u64))?;
            encoder.write_all(&self.frame)?;
            encoder.finish()?;
            self.frame.clear();
        }
        Ok(())
    }

    /// Syncs the segment; returns the file and its BLAKE3.
    ///
    /// # Errors
    /// What writing and syncing report.
    pub fn finish(mut self) -> Result<(Unfinished, Digest)> {
        self.close().map_err(|e| Error::io("write a segment", e))?;
        let (file, _, blake3) = self.output.finish();
        file.sync()?;
        Ok((file, blake3))
    }
}

/// Writes a segment to tmp/ and syncs it.
///
/// # Errors
/// What writing reports.
pub fn write(shelf: &Shelf, header: &SegmentHeader, records: &[Record]) -> Result<Written> {
    let about = |e: Error| e.about(shelf.tmp().display().to_string());
    let mut segment = SegmentWriter::create(shelf, header)?;
    let places = records.iter().map(|record| segment.add(record)).collect::<Result<_>>().map_err(about)?;
    let (file, blake3) = segment.finish().map_err(about)?;
    Ok(Written { file, blake3, places })
}
