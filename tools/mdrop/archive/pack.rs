//! A pack: a stream of mdrop-stream(5), cut into zstd frames that hold whole messages (mdrop-archive(5)).
//!
//! A frame of about 1 MiB costs one small decompression to read one message back, and compresses many small mails together.
//! Copies of one mail lie side by side in one frame, whatever its size, so that the second copy costs almost nothing.

use crate::archive::shelf::{Series, Shelf};
use crate::durable::Unfinished;
use crate::error::{Error, Result, Status};
use crate::identity::Digest;
use crate::record::Frame;
use crate::stream::{Decoder, Meta, ReadError, StreamReader, StreamWriter};
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};

/// A frame is closed when it holds this much, uncompressed.
pub const FRAME: u64 = 1 << 20;
/// The largest window that plain zstd -d reads: 2^27.
pub(super) const LARGEST_WINDOW: u32 = 27;
/// Above this a frame gets a window for two of its messages, and if it has several, long-distance matching: twenty copies of a mail of 5 MB
/// then take little more room than one. With the window alone that is so of what can't be compressed; of text, whose every place goes into
/// the tables, they take twenty times the room, since the tables have forgotten the copy before when they come to the next.
const USUAL_WINDOW: u32 = 21;

/// How much of a pack is written before the disk is asked to begin with it, so that the sync has little left to wait for.
const WRITE_BACK: u64 = 4 << 20;

/// Writes a pack to tmp/, frame by frame.
pub struct PackWriter {
    output: Hashing,
    level: i32,
    /// For frames of the usual size, which are gathered whole: its tables are allocated once.
    compressor: zstd::bulk::Compressor<'static>,
    gathered: Vec<u8>,
    compressed: Vec<u8>,
}

/// The unfinished file, with the BLAKE3 and the size of what was written.
pub(super) struct Hashing {
    file: Unfinished,
    hasher: blake3::Hasher,
    /// The octets written so far.
    pub(super) size: u64,
    /// How many of them the disk was asked to write.
    begun: u64,
}

impl Hashing {
    /// A file in tmp/.
    pub(super) fn create(shelf: &Shelf) -> Result<Self> {
        Ok(Self { file: shelf.create()?, hasher: blake3::Hasher::new(), size: 0, begun: 0 })
    }

    /// The file, which is not synced, its size and its BLAKE3.
    pub(super) fn finish(self) -> (Unfinished, u64, Digest) {
        (self.file, self.size, Digest(*self.hasher.finalize().as_bytes()))
    }
}

impl Write for Hashing {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.file.write_all(octets)?;
        self.hasher.update(octets);
        self.size += octets.len() as u64;
        if self.size - self.begun > WRITE_BACK {
            self.file.write_back(self.begun, self.size - self.begun);
            self.begun = self.size;
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Messages on their way into one frame.
pub struct FrameWriter<'a> {
    filling: Filling<'a>,
    offset: u64,
}

/// A frame of the usual size is gathered and compressed at once, a large one as it comes.
enum Filling<'a> {
    Whole(&'a mut PackWriter, StreamWriter<Vec<u8>>),
    Large(StreamWriter<Counting<zstd::Encoder<'static, &'a mut Hashing>>>),
}

/// Counts what passes, to know where in the decompressed frame a message begins.
struct Counting<W> {
    inner: W,
    count: u64,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(octets)?;
        self.count += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl PackWriter {
    /// A pack in tmp/.
    ///
    /// # Errors
    /// [`Status::CantCreate`].
    pub fn create(shelf: &Shelf, level: i32) -> Result<Self> {
        let mut compressor = zstd::bulk::Compressor::new(level).map_err(failed)?;
        compressor.include_checksum(true).map_err(failed)?;
        Ok(Self { output: Hashing::create(shelf)?, level, compressor, gathered: Vec::new(), compressed: Vec::new() })
    }

    /// Opens a frame that will hold about `size` octets, its largest message about `largest`.
    ///
    /// # Errors
    /// What zstd reports.
    pub fn frame(&mut self, size: u64, largest: u64) -> Result<FrameWriter<'_>> {
        let offset = self.output.size;
        if bits(size) <= USUAL_WINDOW {
            let mut gathered = std::mem::take(&mut self.gathered);
            gathered.clear();
            return Ok(FrameWriter { filling: Filling::Whole(self, StreamWriter::new(gathered)), offset });
        }
        let mut encoder = zstd::Encoder::new(&mut self.output, self.level).map_err(failed)?;
        encoder.include_checksum(true).map_err(failed)?;
        encoder.window_log(bits(size.min(largest.saturating_mul(2))).clamp(USUAL_WINDOW, LARGEST_WINDOW)).map_err(failed)?;
        encoder.long_distance_matching(size > largest).map_err(failed)?;
        Ok(FrameWriter { filling: Filling::Large(StreamWriter::new(Counting { inner: encoder, count: 0 })), offset })
    }

    /// Compresses a frame that was gathered whole.
    fn write_whole(&mut self, gathered: Vec<u8>) -> Result<()> {
        self.compressed.clear();
        self.compressed.reserve(zstd::zstd_safe::compress_bound(gathered.len()));
        self.compressor.compress_to_buffer(&gathered, &mut self.compressed).map_err(failed)?;
        self.gathered = gathered;
        Ok(self.output.write_all(&self.compressed)?)
    }

    /// The pack, which is not synced and has no number yet, its size and its BLAKE3.
    #[must_use]
    pub fn finish(self) -> (Unfinished, u64, Digest) {
        self.output.finish()
    }
}

/// The window that holds so many octets, as the power of two.
fn bits(octets: u64) -> u32 {
    64 - octets.leading_zeros()
}

fn failed(error: io::Error) -> Error {
    Error::io("compress", error)
}

impl FrameWriter<'_> {
    /// Adds a message in its encoded form; returns where in the decompressed frame it begins.
    ///
    /// # Errors
    /// What writing reports.
    pub fn add(&mut self, meta: &Meta, encoded: &mut dyn Read) -> Result<u64> {
        match &mut self.filling {
            Filling::Whole(_, stream) => {
                let position = stream.output().len() as u64;
                stream.write_encoded(meta, encoded).map(|()| position)
            }
            Filling::Large(stream) => {
                let position = stream.output().count;
                stream.write_encoded(meta, encoded).map(|()| position)
            }
        }
    }

    /// Closes the frame; returns its place in the pack.
    ///
    /// # Errors
    /// What writing reports.
    pub fn finish(self) -> Result<Frame> {
        let end = match self.filling {
            Filling::Whole(pack, stream) => {
                pack.write_whole(stream.finish()?)?;
                pack.output.size
            }
            Filling::Large(stream) => stream.finish()?.inner.finish().map_err(failed)?.size,
        };
        Ok(Frame { offset: self.offset, length: end - self.offset })
    }
}

/// The decompressed octets of one frame, as a stream of messages. Its window is bounded, so a damaged or hostile frame
/// can't ask for more than 2^27 octets of memory.
///
/// # Errors
/// [`Status::Data`] if the place is not in the pack; what reading reports.
pub fn open_frame(shelf: &Shelf, pack: u64, frame: Frame) -> Result<impl Read + use<>> {
    let compressed = shelf.range(Series::Pack, pack, frame.offset, frame.length)?;
    let error = |e| Error::io("decompress", e).with_status(Status::Data).about(Series::Pack.name(pack));
    let mut decoder = zstd::Decoder::new(compressed).map_err(error)?;
    decoder.window_log_max(LARGEST_WINDOW).map_err(error)?;
    Ok(decoder)
}

/// Where a message lies: its pack, the frame in it, and where in the decompressed frame it begins.
pub type Place = (u64, Frame, u64);

/// Reads messages back. It stays in the frame it has opened, so that reading them in their order decompresses each frame once.
#[derive(Default)]
pub struct PackReader {
    open: Option<OpenFrame>,
}

/// Which frame of which pack, and its messages.
type OpenFrame = ((u64, Frame), StreamReader<Box<dyn Read>>);

impl PackReader {
    /// Reads the message at `place`: its encoded form goes to `encoded`, its octets to `octets`.
    ///
    /// # Errors
    /// [`Status::Data`], naming the pack, if it is not there, or not with the digest `wanted`.
    pub fn read(&mut self, shelf: &Shelf, place: Place, wanted: Digest, encoded: &mut dyn Write, octets: &mut dyn Write) -> Result<Meta> {
        let (pack, frame, position) = place;
        let about = |e: Error| e.about(Series::Pack.name(pack));
        let mut reader = match self.open.take() {
            Some((at, reader)) if at == (pack, frame) && reader.position() <= position => reader,
            _ => StreamReader::new(Box::new(open_frame(shelf, pack, frame)?) as Box<dyn Read>),
        };
        while reader.position() < position {
            match reader.read(&mut io::sink(), &mut io::sink()) {
                Ok(Some(_)) | Err(ReadError::Message(_)) => {}
                Ok(None) => {
                    return Err(about(Error::new(Status::Data, format!("the frame at octet {} ends before {position}", frame.offset))));
                }
                Err(e) => return Err(about(e.into_error().with_status(Status::Data))),
            }
        }
        let right = |meta: &Meta| {
            let right = meta.digest == wanted;
            right.then_some(()).ok_or_else(|| Error::new(Status::Data, format!("{wanted} was wanted where {} stands", meta.digest)))
        };
        let read = if reader.position() == position { reader.read_as(right, encoded, octets) } else { Ok(None) };
        let meta = read.map_err(|e| match e {
            ReadError::Sink(error) => error,
            ReadError::Message(error) | ReadError::Input(error) => about(error.with_status(Status::Data)),
        })?;
        self.open = Some(((pack, frame), reader));
        meta.ok_or_else(|| about(Error::new(Status::Data, format!("no message at {position} of the frame at octet {}", frame.offset))))
    }
}

/// The messages of a frame that are whole: the digest of each, recomputed, by its position.
///
/// # Errors
/// [`Status::Data`] if the frame can't be read; a damaged message in it is only left out.
pub fn whole_messages(shelf: &Shelf, pack: u64, frame: Frame) -> Result<HashMap<u64, Digest>> {
    let mut reader = StreamReader::new(open_frame(shelf, pack, frame)?);
    let mut whole = HashMap::new();
    loop {
        let position = reader.position();
        match reader.read(&mut io::sink(), &mut io::sink()) {
            Ok(None) => return Ok(whole),
            Ok(Some(meta)) => drop(whole.insert(position, meta.digest)),
            Err(ReadError::Message(_)) => {}
            Err(e) => return Err(e.into_error().with_status(Status::Data).about(Series::Pack.name(pack))),
        }
    }
}

/// Decodes an encoded form into its octets.
///
/// # Errors
/// What `encoded` and `octets` report.
pub fn decode(meta: &Meta, encoded: &mut dyn Read, octets: &mut dyn Write) -> Result<()> {
    let mut decoder = Decoder::new(meta.eol, meta.size, octets);
    io::copy(encoded, &mut decoder)?;
    decoder.finish()?;
    Ok(())
}

/// The frames of a whole pack, in order, found by zstd itself: for a pack whose segment is lost.
pub struct Frames {
    octets: BufReader<std::fs::File>,
    offset: u64,
    pack: u64,
}

/// The first octets of every zstd frame (RFC 8878 section 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

impl Frames {
    /// The frames of pack `number`.
    ///
    /// # Errors
    /// What opening reports.
    pub fn open(shelf: &Shelf, number: u64) -> Result<Self> {
        Ok(Self { octets: BufReader::new(shelf.open(Series::Pack, number)?), offset: 0, pack: number })
    }

    /// How many octets the frame at the current place takes; none at the end of the pack.
    fn measure(&mut self) -> io::Result<Option<u64>> {
        self.octets.seek(SeekFrom::Start(self.offset))?;
        if self.octets.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut decoder = zstd::Decoder::with_buffer(&mut self.octets)?.single_frame();
        decoder.window_log_max(LARGEST_WINDOW)?;
        io::copy(&mut decoder, &mut io::sink())?;
        decoder.finish();
        Ok(Some(self.octets.stream_position()? - self.offset))
    }

    /// Goes on where, behind the current place, a frame seems to begin; else at the end.
    fn skip(&mut self) -> io::Result<()> {
        let mut rest = Vec::new();
        self.octets.seek(SeekFrom::Start(self.offset + 1))?;
        self.octets.read_to_end(&mut rest)?;
        let next = memchr::memmem::find(&rest, &MAGIC).unwrap_or(rest.len());
        self.offset += 1 + next as u64;
        Ok(())
    }
}

impl Iterator for Frames {
    type Item = Result<Frame>;

    /// The next frame, which has been decompressed once and found whole; [`Status::Data`] for a damaged one, behind which the iterator goes on.
    fn next(&mut self) -> Option<Result<Frame>> {
        let file = Series::Pack.name(self.pack);
        match self.measure() {
            Ok(None) => None,
            Ok(Some(length)) => {
                let frame = Frame { offset: self.offset, length };
                self.offset += length;
                Some(Ok(frame))
            }
            // What the disk reports has a number; what zstd finds has none.
            Err(e) if e.raw_os_error().is_some() => Some(Err(Error::io("read", e).with_status(Status::Io).about(file))),
            Err(e) => {
                let at = format!("frame at octet {}", self.offset);
                let skipped = self.skip();
                let damaged = Error::io("decompress", e).with_status(Status::Data);
                Some(Err(skipped.map_or_else(|e| Error::io("read", e), |()| damaged).about(at).about(file)))
            }
        }
    }
}
