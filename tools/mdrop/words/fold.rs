//! Text cut into words, folded as people expect: case, accents, ligatures and widths make no difference.
//!
//! What is indexed and what is asked go through the same code. A word is a run of letters, digits and marks; `alice@example.com`,
//! `e-mail` and `don't` are several, and are found whole as a phrase. Scripts written without blanks, and Korean, whose endings stick
//! to the word, are cut into overlapping pairs of characters, so that any two of them in a row are found without a dictionary of the
//! language. Marks are taken away only where they are an accent or a vowel sign that is left out as often as not: Latin, Greek, Cyrillic,
//! Hebrew, Arabic; those of Thai or Hindi are the word.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// How many characters of a word count; what is longer is seldom a word.
const LONGEST: usize = 40;

/// For what a text is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// To be found.
    Index,
    /// To find: the last character of an unspaced run at the text's end does not stand alone behind its pair, since more may follow.
    Ask,
}

/// The words of a text, folded, in their order.
#[must_use]
pub fn words(text: &str, purpose: Purpose) -> Vec<String> {
    let mut words = Vec::new();
    each_word(text, purpose, &mut |word| words.push(word.to_owned()));
    words
}

/// Adds the words of a text to `to`, with blanks between them, as long as it has at most `most` octets.
pub fn add(text: &str, to: &mut String, most: usize) {
    each_word(text, Purpose::Index, &mut |word| {
        if to.len() + word.len() < most {
            if !to.is_empty() {
                to.push(' ');
            }
            to.push_str(word);
        }
    });
}

/// Hands on each word of a text.
pub fn each_word(text: &str, purpose: Purpose, take: &mut dyn FnMut(&str)) {
    let mut cutter = Cutter { word: String::new(), length: 0, units: Vec::new(), alone: None, take };
    // Most texts are ASCII but for a few words, and that is ten times as fast.
    for piece in text.split_inclusive(|c: char| c.is_ascii_whitespace()) {
        if piece.is_ascii() {
            piece.bytes().for_each(|b| cutter.add(char::from(b.to_ascii_lowercase())));
        } else {
            let chars = piece.nfkd().filter(|c| !is_dropped(*c)).flat_map(fold);
            chars.nfc().for_each(|c| cutter.add(c));
        }
    }
    cutter.end_word();
    cutter.end_run();
    if purpose == Purpose::Index {
        cutter.end_alone();
    }
}

/// Gathers characters until a word ends.
struct Cutter<'a> {
    word: String,
    length: usize,
    /// Of an unspaced run the last characters, each with its marks.
    units: Vec<String>,
    /// The last character of a run whose pairs were handed on.
    alone: Option<String>,
    take: &'a mut dyn FnMut(&str),
}

impl Cutter<'_> {
    fn add(&mut self, c: char) {
        if c.is_ascii() && !c.is_ascii_alphanumeric() {
            self.end_word();
            self.end_run();
        } else if is_combining_mark(c) && !self.units.is_empty() {
            self.units.last_mut().into_iter().filter(|unit| unit.len() < LONGEST).for_each(|unit| unit.push(c));
        } else if is_unspaced(c) {
            self.end_word();
            self.end_alone();
            self.units.push(c.into());
            if let [first, second, _] = self.units.as_slice() {
                (self.take)(&format!("{first}{second}"));
                self.units.remove(0);
            }
        } else if c.is_alphanumeric() || is_combining_mark(c) {
            self.end_run();
            self.end_alone();
            self.length += 1;
            if self.length <= LONGEST {
                self.word.push(c);
            }
        } else {
            self.end_word();
            self.end_run();
        }
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            (self.take)(&self.word);
            self.word.clear();
        }
        self.length = 0;
    }

    /// The last pair of a run; its last character follows alone, or nobody who asks for that one would find it.
    fn end_run(&mut self) {
        let mut units = std::mem::take(&mut self.units);
        match (units.pop(), units.pop()) {
            (Some(last), Some(first)) => {
                (self.take)(&format!("{first}{last}"));
                self.alone = Some(last);
            }
            (Some(only), None) => (self.take)(&only),
            _ => {}
        }
    }

    fn end_alone(&mut self) {
        if let Some(alone) = self.alone.take() {
            (self.take)(&alone);
        }
    }
}

/// Whether the character belongs to a script that has no blanks between words, or is a syllable of Korean.
#[must_use]
pub fn is_unspaced(c: char) -> bool {
    // Thai to Tibetan, Myanmar, Khmer, the rest of the Tai scripts, kana, Han and their extensions.
    matches!(u32::from(c), 0xe00..=0xeff | 0xf00..=0xfff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x1950..=0x19df | 0x1a20..=0x1aaf
        | 0x3005..=0x3007 | 0x3021..=0x3029 | 0x3031..=0x3035 | 0x3040..=0x30ff | 0x3105..=0x312f | 0x31a0..=0x31bf | 0x31f0..=0x31ff
        | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xa9e0..=0xa9ff | 0xaa60..=0xaadf | 0xac00..=0xd7af | 0xf900..=0xfaff | 0x1b000..=0x1b16f
        | 0x20000..=0x3ffff)
        && (c.is_alphanumeric() || is_combining_mark(c))
}

/// Full case folding: what is one letter when it is large is one letter. `ß` and `ẞ` become `ss`, all sigmas one, and so all of Turkish `I`.
fn fold(c: char) -> impl Iterator<Item = char> {
    let folded = c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    folded.filter(|c| !is_dropped(*c)).flat_map(|c| {
        let text = plain(c);
        text.chars().chain(text.is_empty().then_some(digit(c)))
    })
}

/// The letters that people without them on their keyboard write so.
fn plain(c: char) -> &'static str {
    match c {
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ł' => "l",
        'þ' => "th",
        'ħ' => "h",
        'ŧ' => "t",
        // Arabic: the forms of yeh, kaf and teh that keyboards mix up.
        'ى' | 'ی' => "ي",
        'ک' => "ك",
        'ة' => "ه",
        _ => "",
    }
}

/// The zeros of the scripts whose digits are in use beside ASCII's.
const ZEROS: [u32; 11] = [0x660, 0x6f0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xe50, 0x1040];

/// A decimal digit as ASCII's.
fn digit(c: char) -> char {
    let code = u32::from(c);
    let value = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code)).map(|zero| code - zero);
    value.and_then(|value| char::from_digit(value, 10)).unwrap_or(c)
}

/// What is taken away: accents, vowel points, and what is not seen (soft hyphens, joiners, marks of direction, the Arabic tatweel).
fn is_dropped(c: char) -> bool {
    matches!(u32::from(c), 0x300..=0x36f | 0x483..=0x487 | 0x591..=0x5bd | 0x5bf | 0x5c1..=0x5c2 | 0x5c4..=0x5c5 | 0x5c7 | 0x610..=0x61a
        | 0x640 | 0x64b..=0x65f | 0x670 | 0x6d6..=0x6dc | 0x6df..=0x6e4 | 0x6e7..=0x6e8 | 0x6ea..=0x6ed | 0xad | 0x61c
        | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x200c..=0x200f | 0x202a..=0x202e | 0x2060..=0x2064 | 0x2066..=0x2069 | 0x20d0..=0x20ff
        | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f | 0xfeff | 0xe0100..=0xe01ef)
}

#[cfg(test)]
mod tests;
