//! A zip file (PKWARE's APPNOTE 6.3), written from its first octet to its last without going back, so that it can go to a pipe.
//!
//! Each file is whole before its header is written, so the header has its sizes and its checksum, which every reader understands, and zip64
//! is used only where a number does not fit. The list at the end waits in a temporary file once it is long. Our own few lines, because the
//! crate for it writes sizes behind the data when it can't go back, and keeps the list in memory.

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use mdrop::error::{Error, Result, Status};
use mdrop::spool::Spool;
use mdrop::time::Time;
use std::io::{self, Write};

/// How much of a compressed file, and of the list of files, lies in memory.
const IN_MEMORY: usize = 8 << 20;
/// In 32 bits: the number stands in the zip64 part.
const ELSEWHERE: u32 = u32::MAX;
/// Names are UTF-8.
const UTF8: u16 = 1 << 11;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Made on Unix, by the version of the format that knows zip64.
const MADE_BY: u16 = 0x032d;

/// Writes a zip file.
pub struct ZipWriter<W: Write> {
    output: W,
    offset: u64,
    list: Spool,
    entries: u64,
}

/// What the two headers of a file say of it.
struct Entry<'a> {
    name: &'a str,
    modified: Option<Time>,
    method: u16,
    crc: u32,
    size: u64,
    compressed: u64,
    offset: u64,
    mode: u32,
}

impl<W: Write> ZipWriter<W> {
    /// A zip file that goes to `output`.
    pub fn new(output: W) -> Self {
        Self { output, offset: 0, list: Spool::new(IN_MEMORY), entries: 0 }
    }

    /// Adds a folder; its name ends with `/`.
    pub fn folder(&mut self, name: &str) -> Result<()> {
        let entry = Entry { name, modified: None, method: STORED, crc: 0, size: 0, compressed: 0, offset: self.offset, mode: 0o40_700 };
        self.enter(&entry)
    }

    /// Adds a file, whose octets `content` writes.
    pub fn file(&mut self, name: &str, modified: Option<Time>, content: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        let mut packer = Packer { crc: Crc::new(), size: 0, encoder: DeflateEncoder::new(Spool::new(IN_MEMORY), Compression::new(4)) };
        content(&mut packer)?;
        let Packer { crc, size, encoder } = packer;
        let mut packed = encoder.finish().map_err(|e| Error::io("compress", e))?;
        let method = if size == 0 { STORED } else { DEFLATED };
        let compressed = if size == 0 { 0 } else { packed.size() };
        let entry = Entry { name, modified, method, crc: crc.sum(), size, compressed, offset: self.offset, mode: 0o100_600 };
        self.enter(&entry)?;
        if size > 0 {
            self.offset += io::copy(&mut packed.reader()?, &mut self.output)?;
        }
        Ok(())
    }

    fn enter(&mut self, entry: &Entry) -> Result<()> {
        let header = entry.local()?;
        self.output.write_all(&header)?;
        self.offset += header.len() as u64;
        self.list.write_all(&entry.central()?)?;
        self.entries += 1;
        Ok(())
    }

    /// Writes the list and the end, and gives the output back.
    pub fn finish(mut self) -> Result<W> {
        let (start, length) = (self.offset, self.list.size());
        io::copy(&mut self.list.reader()?, &mut self.output)?;
        let fits = |number: u64| u32::try_from(number).is_ok_and(|number| number < ELSEWHERE);
        let few = u16::try_from(self.entries).ok().filter(|entries| *entries < u16::MAX);
        if few.is_none() || !fits(start) || !fits(length) {
            self.output.write_all(&zip64_end(self.entries, length, start))?;
        }
        let mut end = Vec::new();
        put32(&mut end, 0x0605_4b50);
        put32(&mut end, 0);
        let entries = few.unwrap_or(u16::MAX);
        put16(&mut end, entries);
        put16(&mut end, entries);
        put32(&mut end, short(length));
        put32(&mut end, short(start));
        put16(&mut end, 0);
        self.output.write_all(&end)?;
        Ok(self.output)
    }
}

/// The end of a zip file whose numbers are large (sections 4.3.14 and 4.3.15).
fn zip64_end(entries: u64, length: u64, start: u64) -> Vec<u8> {
    let mut end = Vec::new();
    put32(&mut end, 0x0606_4b50);
    put64(&mut end, 44);
    put16(&mut end, MADE_BY);
    put16(&mut end, 45);
    put64(&mut end, 0);
    [entries, entries, length, start].into_iter().for_each(|number| put64(&mut end, number));
    put32(&mut end, 0x0706_4b50);
    put32(&mut end, 0);
    put64(&mut end, start + length);
    put32(&mut end, 1);
    end
}

impl Entry<'_> {
    fn is_large(&self) -> bool {
        [self.size, self.compressed, self.offset].into_iter().any(|number| short(number) == ELSEWHERE)
    }

    /// What both headers have between the version and the name's length, sizes included.
    fn common(&self, to: &mut Vec<u8>, large: bool) {
        let (time, date) = dos_time(self.modified);
        put16(to, if large { 45 } else { 20 });
        [UTF8, self.method, time, date].into_iter().for_each(|number| put16(to, number));
        put32(to, self.crc);
        put32(to, if large { ELSEWHERE } else { short(self.compressed) });
        put32(to, if large { ELSEWHERE } else { short(self.size) });
    }

    fn name_length(&self) -> Result<u16> {
        u16::try_from(self.name.len()).map_err(|_| Error::new(Status::Software, "a name is too long for a zip file").about(self.name))
    }

    /// The header before the data (section 4.3.7).
    fn local(&self) -> Result<Vec<u8>> {
        let large = self.is_large();
        let mut extra = self.timestamp();
        if large {
            zip64(&mut extra, &[self.size, self.compressed]);
        }
        let mut header = Vec::new();
        put32(&mut header, 0x0403_4b50);
        self.common(&mut header, large);
        put16(&mut header, self.name_length()?);
        put16(&mut header, u16::try_from(extra.len()).unwrap_or(0));
        header.extend_from_slice(self.name.as_bytes());
        header.extend_from_slice(&extra);
        Ok(header)
    }

    /// The header in the list (section 4.3.12).
    fn central(&self) -> Result<Vec<u8>> {
        let large = self.is_large();
        let mut extra = self.timestamp();
        if large {
            zip64(&mut extra, &[self.size, self.compressed, self.offset]);
        }
        let mut header = Vec::new();
        put32(&mut header, 0x0201_4b50);
        put16(&mut header, MADE_BY);
        self.common(&mut header, large);
        put16(&mut header, self.name_length()?);
        put16(&mut header, u16::try_from(extra.len()).unwrap_or(0));
        [0, 0, 0].into_iter().for_each(|none| put16(&mut header, none));
        let folder = u32::from(self.name.ends_with('/')) << 4;
        put32(&mut header, (self.mode << 16) | folder);
        put32(&mut header, if large { ELSEWHERE } else { short(self.offset) });
        header.extend_from_slice(self.name.as_bytes());
        header.extend_from_slice(&extra);
        Ok(header)
    }

    /// When it was received, in UTC: the plain header has local time of no zone.
    fn timestamp(&self) -> Vec<u8> {
        let mut extra = Vec::new();
        if let Some(seconds) = self.modified.and_then(|time| i32::try_from(time.unix()).ok()) {
            put16(&mut extra, 0x5455);
            put16(&mut extra, 5);
            extra.push(1);
            extra.extend_from_slice(&seconds.to_le_bytes());
        }
        extra
    }
}

/// A number as the 32 bits that a plain header has for it.
fn short(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(ELSEWHERE)
}

fn zip64(extra: &mut Vec<u8>, numbers: &[u64]) {
    put16(extra, 1);
    put16(extra, u16::try_from(numbers.len() * 8).unwrap_or(0));
    numbers.iter().for_each(|number| put64(extra, *number));
}

/// Time and date as DOS had them, from 1980 to 2107 (section 4.4.6).
fn dos_time(time: Option<Time>) -> (u16, u16) {
    let seconds = time.map_or(0, Time::unix).clamp(315_532_800, 4_354_819_199);
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days since 1970 to a date of the Gregorian calendar, in years that begin in March.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let date = ((year - 1980) << 9) | (month << 5) | day;
    let time = ((of_day / 3600) << 11) | ((of_day / 60 % 60) << 5) | (of_day % 60 / 2);
    (u16::try_from(time).unwrap_or(0), u16::try_from(date).unwrap_or(33))
}

fn put16(to: &mut Vec<u8>, number: u16) {
    to.extend_from_slice(&number.to_le_bytes());
}

fn put32(to: &mut Vec<u8>, number: u32) {
    to.extend_from_slice(&number.to_le_bytes());
}

fn put64(to: &mut Vec<u8>, number: u64) {
    to.extend_from_slice(&number.to_le_bytes());
}

/// Compresses a file's octets, and learns what its header must say.
struct Packer {
    crc: Crc,
    size: u64,
    encoder: DeflateEncoder<Spool>,
}

impl Write for Packer {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.encoder.write_all(octets)?;
        self.crc.update(octets);
        self.size += octets.len() as u64;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        let fields =
            |(time, date): (u16, u16)| ((date >> 9) + 1980, date >> 5 & 15, date & 31, time >> 11, time >> 5 & 63, (time & 31) * 2);
        assert_eq!(fields(dos_time(Some(Time::from_unix(1_709_210_096)))), (2024, 2, 29, 12, 34, 56));
        assert_eq!(fields(dos_time(Some(Time::from_unix(946_684_799)))), (1999, 12, 31, 23, 59, 58));
        assert_eq!(fields(dos_time(None)), (1980, 1, 1, 0, 0, 0));
        assert_eq!(fields(dos_time(Some(Time::from_unix(i64::MAX)))), (2107, 12, 31, 23, 59, 58));
    }

    #[test]
    fn numbers_that_do_not_fit_stand_in_the_zip64_part() {
        let size = 5 << 30;
        let entry = Entry { name: "x", modified: None, method: DEFLATED, crc: 7, size, compressed: 6, offset: 8, mode: 0 };
        let local = entry.local().unwrap();
        assert_eq!(local[18..26], [255; 8]);
        assert_eq!(local[31..], [&[1, 0, 16, 0][..], &u64::to_le_bytes(size), &6_u64.to_le_bytes()].concat());
        let central = entry.central().unwrap();
        assert_eq!((&central[20..28], &central[42..46]), (&[255; 8][..], &[255; 4][..]));
        assert!(central.ends_with(&8_u64.to_le_bytes()));
    }
}
