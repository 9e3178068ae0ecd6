//! What stands encoded in header fields: encoded words (RFC 2047), and the parameters of a part (RFC 2231).
//!
//! Our own reader of encoded words: mailparse takes quadratic time for hostile ones, and decodes each for itself, though many programs cut
//! them in the middle of a character. Parameters are read by mailparse, from values of bounded length.

use crate::journal::text::{base64, characters};
use std::borrow::Cow;

/// How long an encoded word may be; RFC 2047 section 2 allows 75, and many are longer.
const LONGEST: usize = 4096;
/// How much of a value with parameters is read.
const VALUE: usize = 16 << 10;

/// A field's value as text: unfolded, its encoded words undone, what is no UTF-8 read as Windows-1252.
#[must_use]
pub fn decoded(value: &[u8]) -> String {
    let unfolded: Vec<u8> = value.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    let mut text = String::with_capacity(unfolded.len());
    // Encoded words of one charset that stand side by side are one text.
    let mut open: Option<(Vec<u8>, Vec<u8>)> = None;
    let (mut plain, mut at) = (0, 0);
    while let Some(begin) = memchr::memmem::find(unfolded.get(at..).unwrap_or_default(), b"=?").map(|found| at + found) {
        let Some((charset, octets, length)) = unfolded.get(begin..).and_then(word) else {
            at = begin + 2;
            continue;
        };
        let between = unfolded.get(plain..begin).unwrap_or_default();
        match &mut open {
            Some((of, gathered)) if between.trim_ascii().is_empty() && of.eq_ignore_ascii_case(charset) => gathered.extend(octets),
            _ => {
                let joined = open.is_some() && between.trim_ascii().is_empty();
                end(&mut open, &mut text);
                text.push_str(&characters(if joined { b"" } else { between }, ""));
                open = Some((charset.to_vec(), octets));
            }
        }
        (plain, at) = (begin + length, begin + length);
    }
    end(&mut open, &mut text);
    text.push_str(&characters(unfolded.get(plain..).unwrap_or_default(), ""));
    text
}

fn end(open: &mut Option<(Vec<u8>, Vec<u8>)>, text: &mut String) {
    if let Some((charset, octets)) = open.take() {
        text.push_str(&characters(&octets, &String::from_utf8_lossy(&charset)));
    }
}

/// The encoded word at the beginning: its charset, its octets, and how long it is.
fn word(octets: &[u8]) -> Option<(&[u8], Vec<u8>, usize)> {
    let octets = octets.get(..octets.len().min(LONGEST))?;
    let inside = octets.strip_prefix(b"=?")?;
    let charset_end = memchr::memchr(b'?', inside.get(..inside.len().min(64))?)?;
    let (charset, rest) = (inside.get(..charset_end)?, inside.get(charset_end + 1..)?);
    let text = rest.get(2..).filter(|_| rest.get(1) == Some(&b'?'))?;
    let text = text.get(..memchr::memmem::find(text, b"?=")?)?;
    let decoded = match rest.first()? {
        b'b' | b'B' => base64(text),
        b'q' | b'Q' => q(text),
        _ => return None,
    };
    // Behind an asterisk a language may stand (RFC 2231 section 5).
    let charset = charset.split(|b| *b == b'*').next().filter(|charset| !charset.is_empty())?;
    Some((charset, decoded, charset_end + text.len() + 7))
}

/// The “Q” encoding (RFC 2047 section 4.2).
fn q(text: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(b) = rest.next() {
        let hex = |b: &u8| char::from(*b).to_digit(16);
        match (b, rest.as_slice()) {
            (b'=', [high, low, ..]) if hex(high).is_some() && hex(low).is_some() => {
                octets.extend(hex(high).zip(hex(low)).and_then(|(high, low)| u8::try_from(high << 4 | low).ok()));
                rest.nth(1);
            }
            (b'_', _) => octets.push(b' '),
            _ => octets.push(*b),
        }
    }
    octets
}

/// A value with parameters: the value in lower case, and each parameter asked for, decoded.
#[must_use]
pub fn parameters<const N: usize>(value: &[u8], names: [&str; N]) -> (String, [Option<String>; N]) {
    let text: Cow<str> = characters(value.get(..value.len().min(VALUE)).unwrap_or_default(), "").replace(['\r', '\n'], "").into();
    let mut parsed = mailparse::parse_content_disposition(&text);
    let found = names.map(|name| parsed.params.remove(name).filter(|value| !value.trim().is_empty()));
    let value = match text.split(';').next() {
        Some(value) => value.trim().to_ascii_lowercase(),
        None => String::new(),
    };
    (value, found.map(|found| found.map(|value| if value.contains("=?") { decoded(value.as_bytes()) } else { value })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_are_undone_however_they_are_cut() {
        let cases: [(&[u8], &str); 14] = [
            (b" plain =?x", " plain =?x"),
            (b"=?utf-8?q?J=C3=B6rg_M?= <j@x>", "J\u{f6}rg M <j@x>"),
            (b"=?ISO-8859-1?Q?Gr=FC=DFe?= aus =?iso-8859-1?B?S/ZsbiE=?=", "Gr\u{fc}\u{df}e aus K\u{f6}ln!"),
            (b"=?utf-8?B?5p2x5A==?=\r\n =?UTF-8?B?uqw=?= x", "\u{6771}\u{4eac} x"),
            (b"=?utf-8?B?5p2x?= =?utf-8?B?5LqsCg==?=", "\u{6771}\u{4eac}\n"),
            (b"=?utf-8*en?Q?a=?= b", "a= b"),
            (b"=?utf-8?Q?a?= =?iso-8859-1?Q?=E4?=", "a\u{e4}"),
            (b"=?iso-2022-jp?B?GyRCRWw1fhsoQg==?=", "\u{6771}\u{4eac}"),
            (b"=?nonsense?Q?a=41?=", "aA"),
            (b"=?utf-8?X?a?=", "=?utf-8?X?a?="),
            (b"=?utf-8?Q?unfinished", "=?utf-8?Q?unfinished"),
            (b"=??Q?a?=", "=??Q?a?="),
            (b"Gr\xfc\xdfe", "Gr\u{fc}\u{df}e"),
            ("Grüße".as_bytes(), "Grüße"),
        ];
        for (value, text) in cases {
            assert_eq!(decoded(value), text, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn hostile_encoded_words_take_no_time() {
        let began = std::time::Instant::now();
        for part in ["=?", "=?a?q?", "=?utf-8?q?=41?= ", "=?a?", "=?utf-8?b?"] {
            let _ = decoded(part.repeat(200_000 / part.len()).as_bytes());
        }
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    }

    #[test]
    fn parameters_are_found_in_every_encoding() {
        let name = |value: &str| parameters(value.as_bytes(), ["filename"]).1[0].clone();
        for value in [
            "attachment; filename=\"R\u{e9}sum\u{e9}.pdf\"",
            "attachment; filename*=utf-8''R%C3%A9sum%C3%A9.pdf",
            "attachment;\r\n filename*0*=iso-8859-1'fr'R%E9sum;\r\n filename*1*=%E9;\r\n filename*2=.pdf",
            "attachment; filename=\"=?utf-8?Q?R=C3=A9sum=C3=A9.pdf?=\"",
        ] {
            assert_eq!(name(value).as_deref(), Some("R\u{e9}sum\u{e9}.pdf"), "{value}");
        }
        assert_eq!((name("attachment"), name("attachment; filename=\"\"")), (None, None));
        assert_eq!(parameters(b" Text/HTML ; charset=x", ["charset"]), ("text/html".into(), [Some("x".into())]));
    }
}
