//! Follows a message's parts as its octets come, and gathers the words of those that are text.
//!
//! Parts of kinds that nobody reads are passed over; of these only the name counts. Messages in it are part of its text.

use super::encoded::{decoded, parameters};
use super::text::{Kind, Text};
use super::{LONGEST_FIELDS, Words, address_word, domain_word, fold};
use crate::address;
use crate::header::{self, Field};
use crate::journal::scan::{Scan, Sink};
use std::collections::HashSet;
use std::io::{self, Write};

/// How many multiparts may lie in each other.
const LEVELS: usize = 32;
/// How many parts of a message are looked at.
const PARTS: usize = 1000;
/// How many encoded messages may lie in each other.
const DEPTH: usize = 4;
/// How much of a header is read, and how much of one field, in octets.
const HEADER: usize = 256 << 10;
const FIELD: usize = 64 << 10;
/// How much of all texts is kept, still encoded, in octets.
const TEXTS: usize = 4 << 20;
/// How many addresses of a message are words.
const ADDRESSES: usize = 5000;

/// Reads a message's words from octets that are written to it in pieces of any size.
#[derive(Default)]
pub struct Reader {
    scan: Scan,
    tree: Tree,
}

impl Reader {
    /// A reader that goes no further than the header: subject, sender and recipients.
    #[must_use]
    pub fn of_heads() -> Self {
        let mut reader = Self::default();
        reader.tree.only_head = true;
        reader
    }

    /// The words.
    #[must_use]
    pub fn finish(mut self) -> Words {
        self.scan.finish(&mut self.tree);
        self.tree.end_part();
        self.tree.words
    }
}

impl Write for Reader {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.scan.take(octets, &mut self.tree);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Of what the octets are that come.
enum State {
    /// A header: of a message, or of a part.
    Header {
        octets: Vec<u8>,
        is_mail: bool,
        begun: bool,
    },
    Text(Text),
    Skip,
}

/// A multipart whose end has not come.
struct Level {
    boundary: Vec<u8>,
    is_digest: bool,
    /// In an alternative: the words that it has as plain text.
    plain: Option<HashSet<String>>,
}

struct Tree {
    levels: Vec<Level>,
    state: State,
    words: Words,
    parts: usize,
    mails: usize,
    depth: usize,
    /// How many octets of text may be kept still.
    room: usize,
    addresses: usize,
    only_head: bool,
}

impl Default for Tree {
    fn default() -> Self {
        let state = State::Header { octets: Vec::new(), is_mail: true, begun: false };
        Self {
            levels: Vec::new(),
            state,
            words: Words::default(),
            parts: 0,
            mails: 0,
            depth: 0,
            room: TEXTS,
            addresses: 0,
            only_head: false,
        }
    }
}

/// What a part's header says of it.
#[derive(Default)]
struct About {
    kind: String,
    charset: String,
    boundary: Option<Vec<u8>>,
    encoding: String,
    disposition: String,
    name: Option<String>,
    has_id: bool,
}

impl About {
    fn take(&mut self, field: &Field) {
        let value = field.value.get(..field.value.len().min(FIELD)).unwrap_or_default();
        if field.is("Content-Type") && self.kind.is_empty() {
            let (kind, [charset, boundary, name]) = parameters(value, ["charset", "boundary", "name"]);
            (self.kind, self.charset) = (kind, charset.unwrap_or_default());
            self.boundary = boundary.map(String::into_bytes);
            self.name = self.name.take().or(name);
        } else if field.is("Content-Disposition") && self.disposition.is_empty() {
            let (disposition, [name]) = parameters(value, ["filename"]);
            self.disposition = disposition;
            self.name = name.or(self.name.take());
        } else if field.is("Content-Transfer-Encoding") && self.encoding.is_empty() {
            self.encoding = String::from_utf8_lossy(value.trim_ascii()).to_ascii_lowercase();
        } else if field.is("Content-ID") {
            self.has_id = true;
        }
    }

    /// Whether people would call it an attachment: not a signature, and not a picture that the text shows.
    fn is_attachment(&self) -> bool {
        let is_shown = self.has_id && self.disposition != "attachment";
        let is_signature = ["application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"];
        (self.disposition == "attachment" || self.name.is_some()) && !is_shown && !is_signature.contains(&self.kind.as_str())
    }

    fn is_encoded(&self) -> bool {
        matches!(self.encoding.as_str(), "base64" | "quoted-printable")
    }
}

impl Tree {
    fn end_part(&mut self) {
        match std::mem::replace(&mut self.state, State::Skip) {
            State::Header { octets, is_mail, .. } => self.header(&octets, is_mail),
            State::Text(text) => self.text(&text),
            State::Skip => {}
        }
        // A header that ended without an empty line may have begun a text.
        if let State::Text(text) = std::mem::replace(&mut self.state, State::Skip) {
            self.text(&text);
        }
    }

    /// What a header says; sets what follows it.
    fn header(&mut self, octets: &[u8], is_mail: bool) {
        let mut about = About::default();
        let mut any = false;
        for field in header::fields(octets) {
            any = true;
            about.take(&field);
            if is_mail {
                self.mail_field(&field);
            }
        }
        if !any && is_mail {
            // A message without a header is all text.
            return self.text(&Text::new(Kind::Plain, &about.charset, &about.encoding, octets.to_vec()));
        }
        self.mails += usize::from(is_mail);
        self.parts += 1;
        if about.is_attachment() {
            self.words.has_attachment = true;
        }
        if let Some(name) = &about.name {
            fold::add(name, &mut self.words.attachments, LONGEST_FIELDS);
        }
        self.state = if self.parts < PARTS { self.begin(&mut about) } else { State::Skip };
    }

    fn begin(&mut self, about: &mut About) -> State {
        if about.kind.is_empty() && self.levels.last().is_some_and(|level| level.is_digest) {
            about.kind = "message/rfc822".into();
        }
        let (main, sub) = about.kind.split_once('/').unwrap_or(("text", "plain"));
        match (main, sub, about.boundary.take()) {
            ("multipart", sub, Some(boundary)) if self.levels.len() < LEVELS => {
                let plain = (sub == "alternative").then(HashSet::new);
                self.levels.push(Level { boundary, is_digest: sub == "digest", plain });
                State::Skip
            }
            ("message", "rfc822" | "global" | "news", _) if about.is_encoded() => {
                State::Text(Text::new(Kind::Mail, "", &about.encoding, Vec::new()))
            }
            ("message", "rfc822" | "global" | "news", _) => State::Header { octets: Vec::new(), is_mail: true, begun: false },
            ("text", "html", _) | ("application", "xhtml+xml", _) => {
                State::Text(Text::new(Kind::Html, &about.charset, &about.encoding, Vec::new()))
            }
            ("text" | "message" | "multipart", _, _) => State::Text(Text::new(Kind::Plain, &about.charset, &about.encoding, Vec::new())),
            _ => State::Skip,
        }
    }

    /// A field of a message's own header; what one inside it says belongs to the text.
    fn mail_field(&mut self, field: &Field) {
        let value = field.value.get(..field.value.len().min(FIELD)).unwrap_or_default();
        let is_inner = self.mails > 0;
        let place = if field.is("Subject") {
            &mut self.words.subject
        } else if field.is("From") || field.is("Sender") {
            &mut self.words.sender
        } else if field.is("To") || field.is("Cc") {
            &mut self.words.recipients
        } else {
            return;
        };
        if is_inner {
            return fold::add(&decoded(value), &mut self.words.body, super::LONGEST_TEXT);
        }
        fold::add(&decoded(value), place, LONGEST_FIELDS);
        if !field.is("Subject") {
            for address in address::list_iter(field.value).take(ADDRESSES - self.addresses.min(ADDRESSES)) {
                self.addresses += 1;
                for word in [address_word(&address), domain_word(address.domain())] {
                    place.push(' ');
                    place.push_str(&word);
                }
            }
        }
    }

    fn text(&mut self, text: &Text) {
        if text.kind == Kind::Mail {
            return self.encoded_mail(text);
        }
        let plain = self.levels.last_mut().and_then(|level| level.plain.as_mut());
        text.add(&mut self.words.body, plain);
    }

    /// A message inside that travels encoded.
    fn encoded_mail(&mut self, text: &Text) {
        if self.depth >= DEPTH {
            return;
        }
        let mut inner = Reader::default();
        (inner.tree.depth, inner.tree.mails, inner.tree.parts, inner.tree.room) = (self.depth + 1, 1, self.parts, self.room);
        inner.tree.words = std::mem::take(&mut self.words);
        inner.scan.take(&text.octets(), &mut inner.tree);
        inner.scan.finish(&mut inner.tree);
        inner.tree.end_part();
        (self.words, self.parts, self.room) = (inner.tree.words, inner.tree.parts, inner.tree.room);
    }
}

impl Sink for Tree {
    fn in_header(&self) -> bool {
        matches!(self.state, State::Header { .. })
    }

    fn boundary(&mut self, line: &[u8], _: u64, _: u64) -> bool {
        let line = line.trim_ascii_end().strip_prefix(b"--").unwrap_or_default();
        let begins = |level: &Level| line == level.boundary.as_slice();
        let ends = |level: &Level| line.strip_suffix(b"--") == Some(level.boundary.as_slice());
        let Some(at) = self.levels.iter().rposition(|level| begins(level) || ends(level)) else { return false };
        self.end_part();
        let goes_on = self.levels.get(at).is_some_and(begins);
        self.levels.truncate(if goes_on { at + 1 } else { at });
        self.state = if goes_on { State::Header { octets: Vec::new(), is_mail: false, begun: true } } else { State::Skip };
        true
    }

    fn piece(&mut self, piece: &[u8], begins: bool, _: u64) {
        match &mut self.state {
            State::Header { octets, is_mail, begun } => {
                let is_empty = begins && piece.iter().all(|b| matches!(b, b'\r' | b'\n'));
                if is_empty && *begun {
                    let (octets, is_mail) = (std::mem::take(octets), *is_mail);
                    return self.header(&octets, is_mail);
                }
                *begun |= !is_empty;
                octets.extend_from_slice(piece.get(..piece.len().min(HEADER - octets.len().min(HEADER))).unwrap_or_default());
            }
            State::Text(text) => {
                let kept = piece.len().min(self.room);
                self.room -= kept;
                text.push(piece.get(..kept).unwrap_or_default());
            }
            State::Skip => {}
        }
    }

    fn is_done(&self) -> bool {
        self.parts >= PARTS || (self.only_head && self.parts > 0)
    }
}

#[cfg(test)]
mod tests;
