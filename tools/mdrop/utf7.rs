//! Modified UTF-7, in which IMAP and Maildir++ write mailbox names (RFC 3501 section 5.1.3).
//!
//! Our own few lines, because the crate for it panics on bad base64. A name is decoded only if encoding it again gives the very
//! octets the server sent; a name that is not what it should be stays as it is.

use crate::octets::Octets;
use base64::Engine;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::NO_PAD;

const BASE64: GeneralPurpose = GeneralPurpose::new(&IMAP_MUTF7, NO_PAD);

/// The name as people write it, `INBOX` in capitals; the server's octets where they are not modified UTF-7.
#[must_use]
pub fn decode(wire: &[u8]) -> Octets {
    if wire.eq_ignore_ascii_case(b"INBOX") {
        return "INBOX".into();
    }
    match decode_exactly(wire).filter(|name| encode(name).as_bytes() == wire) {
        Some(name) => name.into(),
        None => wire.into(),
    }
}

/// The name as it goes over the wire.
#[must_use]
pub fn encode(name: &str) -> String {
    let mut out = String::new();
    let mut shifted: Vec<u8> = Vec::new();
    for c in name.chars() {
        if !matches!(c, ' '..='~') {
            let mut units = [0; 2];
            shifted.extend(c.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_be_bytes()));
            continue;
        }
        flush(&mut shifted, &mut out);
        out.push(c);
        if c == '&' {
            out.push('-');
        }
    }
    flush(&mut shifted, &mut out);
    out
}

fn flush(shifted: &mut Vec<u8>, out: &mut String) {
    if !shifted.is_empty() {
        out.push('&');
        BASE64.encode_string(std::mem::take(shifted), out);
        out.push('-');
    }
}

fn decode_exactly(wire: &[u8]) -> Option<String> {
    let mut rest = std::str::from_utf8(wire).ok()?;
    let mut name = String::new();
    while let Some((plain, after)) = rest.split_once('&') {
        let (shifted, tail) = after.split_once('-')?;
        name.push_str(plain);
        name.push_str(&if shifted.is_empty() { "&".into() } else { unshift(shifted)? });
        rest = tail;
    }
    name.push_str(rest);
    Some(name)
}

fn unshift(shifted: &str) -> Option<String> {
    let octets = BASE64.decode(shifted).ok()?;
    let units: Option<Vec<u16>> = octets.chunks(2).map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?))).collect();
    String::from_utf16(&units?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_name_comes_back(name in ".*") {
            prop_assume!(!name.eq_ignore_ascii_case("inbox"));
            prop_assert!(encode(&name).bytes().all(|b| (b' '..=b'~').contains(&b)));
            prop_assert_eq!(decode(encode(&name).as_bytes()), Octets::from(name));
        }

        #[test]
        fn what_is_decoded_can_be_sent_back_and_what_is_not_stays(wire in "[&A-Za-c,-]{0,9}") {
            prop_assume!(!wire.eq_ignore_ascii_case("inbox"));
            let name = decode(wire.as_bytes());
            let back = name.as_str().map(encode);
            prop_assert!(name.as_bytes() == wire.as_bytes() || back.as_deref() == Some(wire.as_str()));
        }
    }

    #[test]
    fn names_are_decoded_as_the_rfc_shows() {
        let cases =
            [("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"), ("a&-b", "a&b"), ("inbox", "INBOX"), ("&2D3eAA-", "😀")];
        for (wire, name) in cases {
            assert_eq!(decode(wire.as_bytes()), Octets::from(name));
        }
        for bad in ["&", "&!-", "&AGE-", "&2D0-", "a&b", "&-&", "Gr\u{fc}n"] {
            assert_eq!(decode(bad.as_bytes()), Octets::from(bad));
        }
        assert_eq!(decode(b"\xff&-").as_bytes(), b"\xff&-");
    }
}
