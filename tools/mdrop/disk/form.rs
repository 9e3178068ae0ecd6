//! The RFC 5322 form: a message on disk whose lines all end in LF gets CR LF; any other stays as it is.
//!
//! Unix keeps mail with LF alone, IMAP and POP3 hand it out with CR LF. A message that has a CR LF already was kept as it came, and
//! a mixed one is nobody's usual form: both are left alone, octet for octet.

use crate::error::Result;
use crate::held::Held;
use crate::spool::Spool;
use std::io::{Read, Write};

const PIECE: usize = 64 << 10;

/// Puts the RFC 5322 form of `raw` into `held`.
pub(super) fn convert(raw: &mut Spool, held: &mut Held) -> Result<()> {
    held.clear();
    let has_crlf = has_crlf(raw)?;
    pieces(raw, |piece| if has_crlf { held.write_all(piece) } else { write_crlf(piece, held) })
}

fn write_crlf(piece: &[u8], held: &mut Held) -> std::io::Result<()> {
    let mut rest = piece;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        held.write_all(line)?;
        held.write_all(b"\r\n")?;
        rest = after.get(1..).unwrap_or_default();
    }
    held.write_all(rest)
}

fn has_crlf(raw: &mut Spool) -> Result<bool> {
    let (mut found, mut last) = (false, 0);
    pieces(raw, |piece| {
        found |= (last == b'\r' && piece.first() == Some(&b'\n')) || memchr::memmem::find(piece, b"\r\n").is_some();
        last = piece.last().copied().unwrap_or(last);
        Ok(())
    })?;
    Ok(found)
}

fn pieces(raw: &mut Spool, mut each: impl FnMut(&[u8]) -> std::io::Result<()>) -> Result<()> {
    if let Some(octets) = raw.in_memory() {
        return Ok(each(octets)?);
    }
    let mut reader = raw.reader()?;
    let mut piece = vec![0; PIECE];
    loop {
        match reader.read(&mut piece)? {
            0 => return Ok(()),
            read => each(piece.get(..read).unwrap_or_default())?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_message_whose_lines_all_end_in_lf_is_changed() -> Result<()> {
        let cases = [
            ("a\nb\n", "a\r\nb\r\n"),
            ("a\nb", "a\r\nb"),
            ("a\r\nb\r\n", "a\r\nb\r\n"),
            ("a\r\nb\n", "a\r\nb\n"),
            ("", ""),
            ("a\rb\n", "a\rb\r\n"),
            ("\n\n", "\r\n\r\n"),
            ("\0\n", "\0\r\n"),
            ("a\r", "a\r"),
        ];
        // Held in memory, and in a file.
        for limit in [100, 0] {
            for (octets, expected) in cases {
                let (mut raw, mut held) = (Spool::new(limit), Held::default());
                octets.bytes().try_for_each(|octet| raw.write_all(&[octet]))?;
                convert(&mut raw, &mut held)?;
                let mut seen = String::new();
                held.reader()?.read_to_string(&mut seen)?;
                assert_eq!(seen, expected, "{octets:?}");
                assert_eq!(held.measured().1, crate::identity::Digest::of(expected.as_bytes()));
            }
        }
        Ok(())
    }
}
