//! Opening what may hold mail: regular files only, and what is compressed with gzip or zstd is recognised by its first octets, not by its
//! name.
//!
//! Compressed mail is read as a stream, of any number of members or frames, in memory that does not depend on what is in it.

use crate::error::{Error, Result, Status};
use rustix::fs::OFlags;
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const BUFFER: usize = 256 << 10;
/// How many octets tell by what an input is compressed.
const LONGEST_MAGIC: u64 = 10;
/// The largest window that zstd may ask for, as a power of two: what zstd -d accepts.
const WINDOW: u32 = 27;

/// Opens a regular file. A pipe would wait for its other end and a device may do anything, so neither is opened, even if it has taken
/// the file's place a moment ago.
pub(super) fn regular(path: &Path) -> Result<File> {
    let is_file = |metadata: Metadata| if metadata.is_file() { Ok(()) } else { Err(Error::new(Status::Data, "is no file")) };
    std::fs::metadata(path).map_err(|e| Error::io("open", e)).and_then(is_file)?;
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(|e| Error::io("open", e))?;
    file.metadata().map_err(|e| Error::io("open", e)).and_then(is_file)?;
    Ok(file)
}

/// What an input holds, decompressed if it was compressed.
pub(super) struct Plain {
    pub(super) input: Box<dyn BufRead>,
    pub(super) was_compressed: bool,
}

/// Looks at the first octets of `input`.
pub(super) fn plain(mut input: impl Read + 'static) -> Result<Plain> {
    let mut magic = Vec::new();
    input.by_ref().take(LONGEST_MAGIC).read_to_end(&mut magic).map_err(failed)?;
    let kind = Kind::of(&magic);
    let whole = BufReader::with_capacity(BUFFER, Cursor::new(magic).chain(input));
    let decoder: Box<dyn Read> = match kind {
        Kind::Foreign(program) => return Err(Error::new(Status::Data, format!("compressed with {program}, which is not read"))),
        Kind::Plain => return Ok(Plain { input: Box::new(whole), was_compressed: false }),
        Kind::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
        Kind::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(whole).map_err(failed)?;
            decoder.window_log_max(WINDOW).map_err(failed)?;
            Box::new(decoder)
        }
    };
    Ok(Plain { input: Box::new(BufReader::with_capacity(BUFFER, Decompressed(decoder))), was_compressed: true })
}

enum Kind {
    Plain,
    Gzip,
    Zstd,
    /// By a program whose work would pass for a message, if it were not known.
    Foreign(&'static str),
}

impl Kind {
    /// By the magic numbers of RFC 1952 section 2.3.1 and RFC 8878 sections 3.1.1 and 3.1.2; the latter's skippable frames come first
    /// in what pzstd writes. The others are those that mail servers and people use for mail.
    fn of(magic: &[u8]) -> Self {
        match magic {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&', b'S', b'Y'] => Self::Foreign("bzip2"),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Foreign("xz"),
            [0x04, 0x22, 0x4d, 0x18, ..] | [b'D', b'o', b'v', b'e', b'c', b'o', b't', b'-', b'L', b'Z', ..] => Self::Foreign("lz4"),
            [0x1f, 0x9d, ..] => Self::Foreign("compress"),
            _ => Self::Plain,
        }
    }
}

/// Tells damage in compressed data, which no second try mends, from a failure of the disk below.
struct Decompressed(Box<dyn Read>);

impl Read for Decompressed {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.0.read(to).map_err(|e| match e.downcast::<Error>() {
            Ok(ours) => ours.into(),
            Err(e) if e.raw_os_error().is_some() || e.kind() == io::ErrorKind::Interrupted => e,
            Err(e) => Error::new(Status::Data, format!("the compressed data is damaged or cut off: {e}")).into(),
        })
    }
}

/// A failure to read, in the words of whoever knows more of it.
pub(super) fn failed(error: io::Error) -> Error {
    error.downcast().unwrap_or_else(|e| Error::io("read", e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(octets: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(octets).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(octets: &[u8]) -> Vec<u8> {
        zstd::encode_all(octets, 3).unwrap()
    }

    fn read(octets: Vec<u8>) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        plain(Cursor::new(octets))?.input.read_to_end(&mut all).map_err(failed)?;
        Ok(all)
    }

    #[test]
    fn what_is_compressed_is_known_by_its_first_octets_in_any_number_of_parts() {
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9][..], &zstd(b"ab")].concat();
        let cases: [(Vec<u8>, &[u8]); 8] = [
            (b"ab".to_vec(), b"ab"),
            (b"".to_vec(), b""),
            (gzip(b"ab"), b"ab"),
            ([gzip(b"a"), gzip(b""), gzip(b"b")].concat(), b"ab"),
            (zstd(b"ab"), b"ab"),
            ([zstd(b"a"), zstd(b""), zstd(b"b")].concat(), b"ab"),
            (skippable, b"ab"),
            (gzip(b""), b""),
        ];
        for (octets, expected) in cases {
            assert_eq!(read(octets.clone()).unwrap(), expected, "{octets:?}");
        }
    }

    #[test]
    fn damage_anywhere_in_compressed_data_is_bad_data_and_never_an_early_end() {
        let text: Vec<u8> = (0..20_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for whole in [gzip(&text), zstd(&text), [gzip(b"a"), gzip(&text)].concat()] {
            for cut in [5, 11, 100, whole.len() / 2, whole.len() - 1].map(|end| whole.get(..end).unwrap().to_vec()) {
                assert_eq!(read(cut).map_err(|e| e.status()).err(), Some(Status::Data));
            }
            let garbage = [whole.as_slice(), b"garbage"].concat();
            assert_eq!(read(garbage).map_err(|e| e.status()).err(), Some(Status::Data));
        }
        let mut flipped = gzip(&text);
        let last = flipped.len() - 5;
        flipped[last] ^= 1;
        assert_eq!(read(flipped).map_err(|e| e.status()).err(), Some(Status::Data));
    }
}
