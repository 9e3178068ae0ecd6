//! A header of any length, read as it comes: for messages that are too large to be held in memory.
//!
//! What it hands out is what [`super::fields`] finds in the same octets, but for a field longer than is asked for, which is cut. No
//! more than one field is in memory.

use super::{Field, is_empty_line, is_preamble, split};
use std::io::{self, BufRead};

/// Hands every field of a header to `take`, from top to bottom, with whether it was cut because it has more than `longest` octets. The
/// header's line ends are `eol`, of which [`line_end`] tells.
///
/// # Errors
/// What the reader reports.
pub fn each_field(reader: &mut dyn BufRead, eol: u8, longest: usize, take: &mut dyn FnMut(&Field, bool)) -> io::Result<()> {
    let mut field = Vec::new();
    let mut total = 0;
    let mut begun = false;
    skip_mark(reader)?;
    loop {
        let first = reader.fill_buf()?.first().copied();
        let folded = total > 0 && matches!(first, Some(b' ' | b'\t'));
        if !folded && total > 0 {
            if let Some(found) = split(&field) {
                take(&found, total > field.len());
            }
            field.clear();
            total = 0;
        }
        if first.is_none() {
            return Ok(());
        }
        let length = line(reader, eol, longest, &mut field)?;
        total += length;
        if !begun && is_preamble(&field) {
            field.clear();
            total = 0;
        } else if total == length && is_empty_line(&field) {
            return Ok(());
        } else {
            begun = true;
        }
    }
}

/// What [`super::fields`] takes for the end of a line: LF where one stands before the first empty line, else CR.
///
/// # Errors
/// What the reader reports.
pub fn line_end(reader: &mut dyn BufRead) -> io::Result<u8> {
    // Of the octets before the first LF: whether any is no CR, how many CRs stand last, and whether some stand between others.
    let (mut begun, mut last, mut bare) = (false, 0_u8, false);
    skip_mark(reader)?;
    loop {
        let octets = reader.fill_buf()?;
        let end = memchr::memchr(b'\n', octets);
        for octet in octets.get(..end.unwrap_or(octets.len())).unwrap_or_default() {
            if *octet == b'\r' {
                last = last.saturating_add(u8::from(begun));
                continue;
            }
            if last >= 2 {
                return Ok(b'\r');
            }
            bare |= last > 0;
            (begun, last) = (true, 0);
        }
        let length = end.map_or(octets.len(), |at| at + 1);
        reader.consume(length);
        if length == 0 || (end.is_some() && reader.fill_buf()?.is_empty()) {
            return Ok(if bare { b'\r' } else { b'\n' });
        }
        if end.is_some() {
            return Ok(b'\n');
        }
    }
}

/// Passes over a byte-order mark, which no reader of ours cuts in two.
fn skip_mark(reader: &mut dyn BufRead) -> io::Result<()> {
    if reader.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    Ok(())
}

/// Adds the next line to `field`, which grows to `longest` octets at most; returns the line's length.
fn line(reader: &mut dyn BufRead, eol: u8, longest: usize, field: &mut Vec<u8>) -> io::Result<usize> {
    let mut length = 0;
    loop {
        let octets = reader.fill_buf()?;
        let end = memchr::memchr(eol, octets).map(|at| at + 1);
        let part = end.unwrap_or(octets.len());
        let room = longest.saturating_sub(field.len()).min(part);
        field.extend_from_slice(octets.get(..room).unwrap_or_default());
        reader.consume(part);
        length += part;
        if end.is_some() || part == 0 {
            return Ok(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    type Shown = Vec<(Vec<u8>, Vec<u8>, bool)>;

    fn read(octets: &[u8], longest: usize, piece: usize) -> Shown {
        let reader = || BufReader::with_capacity(piece, octets);
        let eol = line_end(&mut reader()).unwrap();
        let mut shown = Vec::new();
        each_field(&mut reader(), eol, longest, &mut |field, cut| shown.push((field.name.to_vec(), field.value.to_vec(), cut))).unwrap();
        shown
    }

    #[test]
    fn a_header_read_in_pieces_has_the_fields_of_one_in_memory() {
        let headers: [&[u8]; 18] = [
            b"A: 1\rB: 2\n",
            b"From x\n>From  : a@b\nTo: c\n",
            b"A: 1\r\r\nB: 2\r\r\n\r\r\nC: body\r\r\n",
            b"A: 1\rB: 2\r\rbody\nC: body\n",
            b"\r\rA: 1\nB: 2\n",
            b"A: 1\n\rB: 2\n\r\n\rC: body",
            b"A: 1\r",
            b"A: 1\r\n",
            b"",
            b"\n\n",
            b"A: 1\r\nB:2\r\n\t3\r\n\r\nC: body\r\n",
            b"\xef\xbb\xbfFrom x Mon\r\n\r\nA: 1\r\njunk line\r\n folded junk\r\nB : 2\r\n\t3\r\n\xff: 4\r\nC:\r\n \r\n5\r\nD: 6\r\n\r\nE: body\r\n",
            b"A: 1\rB: 2\r\rC: 3",
            b"A: 1\rx\nB: 2",
            b"\xef\xbb\xbf\rA: 1\n",
            b"\n>From y\nA: 1\nFrom x\nB: 2",
            b" folded first\nA: 1",
            b"no field at all",
        ];
        for octets in headers {
            let whole: Shown = super::super::fields(octets).map(|f| (f.name.to_vec(), f.value.to_vec(), false)).collect();
            for piece in [3, 4, 7, 100] {
                assert_eq!(read(octets, 1000, piece), whole, "{} in pieces of {piece}", octets.escape_ascii());
            }
        }
    }

    #[test]
    fn a_field_that_is_too_long_is_cut_and_the_next_one_is_whole() {
        let octets = [b"A: ".as_slice(), &[b'x'; 5000], b"\n ", &[b'y'; 5000], b"\nB: 2\n\nC: 3\n"].concat();
        let shown = read(&octets, 100, 64);
        assert_eq!((shown[0].1.len(), shown[0].2), (98, true));
        assert_eq!(shown[1..], [(b"B".to_vec(), b" 2\n".to_vec(), false)]);
    }
}
