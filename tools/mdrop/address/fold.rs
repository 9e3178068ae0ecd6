//! The form in which local parts are compared: lower case, composed (Unicode NFC, RFC 6532 section 3.1).
//!
//! So neither the shift key nor the keyboard that made the accent decides whose mail it is. Nothing else is made alike: not dots, not `ß` and
//! `ss`, no compatibility forms; and what is not ASCII never becomes ASCII, since nobody would see the difference to another's address.

use unicode_normalization::UnicodeNormalization;

/// The characters beyond ASCII of which lower case or composition would make ASCII: the sign of the unit kelvin, the Greek question mark, the
/// Greek varia.
const BEYOND: [char; 3] = ['\u{212a}', '\u{37e}', '\u{1fef}'];

/// A local part folded for comparing; octets that are not UTF-8 are kept apart by an escape, so that no two of them become one user. None
/// where control characters would be in it, or nothing.
#[must_use]
pub fn fold_local(local: &[u8]) -> Option<String> {
    let folded = match std::str::from_utf8(local) {
        Ok(text) if text.is_ascii() => text.to_ascii_lowercase(),
        Ok(text) => text.split_inclusive(BEYOND).flat_map(|part| fold(part).chars().collect::<Vec<_>>()).collect(),
        Err(_) => local.escape_ascii().to_string().to_lowercase(),
    };
    (!folded.is_empty() && !folded.contains(char::is_control)).then_some(folded)
}

/// Folds a text of which only the last character may be one of those that stay as they are. The two small forms of sigma are one: which
/// of them a capital becomes depends on what stands beside it.
fn fold(text: &str) -> String {
    let (text, last) = text.strip_suffix(BEYOND).map_or((text, ""), |rest| text.split_at(rest.len()));
    let lower = text.to_lowercase().replace('\u{3c2}', "\u{3c3}");
    lower.nfc().chain(last.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_local_part_are_one() {
        let cases = [
            ("Alice.B", "alice.b"),
            ("E\u{301}mile", "\u{e9}mile"),
            ("\u{c9}MILE", "\u{e9}mile"),
            ("GR\u{dc}\u{1e9e}E", "gr\u{fc}\u{df}e"),
            ("\u{39d}\u{399}\u{39a}\u{39f}\u{3a3}.\u{3a0}", "\u{3bd}\u{3b9}\u{3ba}\u{3bf}\u{3c3}.\u{3c0}"),
            ("\u{3bd}\u{3b9}\u{3ba}\u{3bf}\u{3c2}.\u{3c0}", "\u{3bd}\u{3b9}\u{3ba}\u{3bf}\u{3c3}.\u{3c0}"),
            ("o\u{323}\u{308}", "\u{1ecd}\u{308}"),
            ("o\u{308}\u{323}", "\u{1ecd}\u{308}"),
            ("\u{ff21}", "\u{ff41}"),
            ("\u{212a}E\u{301}\u{37e}\u{1fef}B", "\u{212a}\u{e9}\u{37e}\u{1fef}b"),
        ];
        for (spelt, folded) in cases {
            assert_eq!(fold_local(spelt.as_bytes()).as_deref(), Some(folded), "{spelt}");
            assert_eq!(fold_local(folded.as_bytes()).as_deref(), Some(folded), "{folded} again");
        }
        assert_ne!(fold_local(b"\xff"), fold_local(b"\xfe"));
        assert_ne!(fold_local("stra\u{df}e".as_bytes()), fold_local(b"strasse"));
        assert_eq!((fold_local(b""), fold_local("\u{85}".as_bytes())), (None, None));
    }

    #[test]
    fn nothing_beyond_ascii_becomes_ascii() {
        for c in ('\u{80}'..=char::MAX).filter(|c| !c.is_control()) {
            let folded = fold_local(c.to_string().as_bytes()).unwrap();
            assert!(!folded.is_ascii(), "{c:?} becomes {folded}");
        }
    }
}
