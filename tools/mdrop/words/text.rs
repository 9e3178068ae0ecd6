//! A part that is text: its transfer encoding and its charset undone, its words.

use super::fold::{self, Purpose};
use super::{LONGEST_TEXT, html};
use crate::journal::text::{base64, characters, quoted_printable};
use std::collections::HashSet;

/// How long a line of base64 is that stands in a text as it is.
const ARMOUR: usize = 60;

/// What a text is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Plain,
    Html,
    /// A whole message, encoded.
    Mail,
}

/// A part as it comes.
pub struct Text {
    pub kind: Kind,
    charset: String,
    encoding: String,
    octets: Vec<u8>,
}

impl Text {
    /// A part with these first octets.
    pub fn new(kind: Kind, charset: &str, encoding: &str, octets: Vec<u8>) -> Self {
        Self { kind, charset: charset.into(), encoding: encoding.into(), octets }
    }

    /// Takes octets.
    pub fn push(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// The octets, decoded.
    pub fn octets(&self) -> Vec<u8> {
        match self.encoding.as_str() {
            "base64" => base64(&self.octets),
            "quoted-printable" => quoted_printable(&self.octets),
            _ => self.octets.clone(),
        }
    }

    /// Adds its words to `body`. In an alternative, of which `plain` has the words that stand there as plain text, only those lines
    /// of the HTML count that say something else: most mail says all twice.
    pub fn add(&self, body: &mut String, plain: Option<&mut HashSet<String>>) {
        let text = characters(&self.octets(), &self.charset);
        match (self.kind, plain) {
            (Kind::Html, None) => fold::add(&html::text(&text), body, LONGEST_TEXT),
            (Kind::Html, Some(plain)) => {
                for line in html::text(&text).lines() {
                    let words = fold::words(line, Purpose::Index);
                    if words.iter().any(|word| !plain.contains(word)) {
                        fold::add(line, body, LONGEST_TEXT);
                    }
                }
            }
            (_, plain) => {
                text.lines().filter(|line| !is_armour(line)).for_each(|line| fold::add(line, body, LONGEST_TEXT));
                if let Some(plain) = plain {
                    fold::each_word(&text, Purpose::Index, &mut |word| {
                        plain.insert(word.to_owned());
                    });
                }
            }
        }
    }
}

/// Whether a line is no words but octets in base64, as of an encrypted message; digits in hexadecimal are words.
fn is_armour(line: &str) -> bool {
    let line = line.trim_end();
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    line.len() >= ARMOUR && line.bytes().all(is_letter) && !line.bytes().all(|b| b.is_ascii_hexdigit())
}
