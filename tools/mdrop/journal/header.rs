//! The few fields of a mail's or a part's header that tell what it is, gathered line by line from a header of any length.

use super::{Format, MARKS, mark};
use crate::header::{self, Field};

/// How much of one field is kept.
const FIELD: usize = 4096;

/// What a header says.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// The kind of report that it marks; where several are marked, the first of the table.
    pub format: Option<Format>,
    /// The Content-Type, unfolded.
    pub content_type: String,
    /// The Content-Transfer-Encoding, in lower case.
    pub encoding: String,
    /// The Subject, as it stands there.
    pub subject: Vec<u8>,
    /// The From field, as it stands there.
    pub from: Vec<u8>,
}

impl Header {
    /// The media type in lower case, and the boundary where there is a usable one.
    pub fn media_type(&self) -> (String, Option<Vec<u8>>) {
        let mut parsed = mailparse::parse_content_type(&self.content_type);
        let boundary = parsed.params.remove("boundary").map(String::into_bytes);
        (parsed.mimetype.to_ascii_lowercase(), boundary.filter(|boundary| !boundary.is_empty() && boundary.len() <= BOUNDARY))
    }

    /// The Subject with its encoded words undone.
    pub fn decoded_subject(&self) -> String {
        decoded(&self.subject)
    }

    fn take(&mut self, field: &Field) {
        let text = || String::from_utf8_lossy(&field.unfolded(FIELD)).into_owned();
        if field.is("content-type") && self.content_type.is_empty() {
            self.content_type = text();
        } else if field.is("content-transfer-encoding") && self.encoding.is_empty() {
            self.encoding = text().split(|c: char| c.is_whitespace() || c == ';').next().unwrap_or_default().to_ascii_lowercase();
        } else if field.is("subject") && self.subject.is_empty() {
            self.subject = field.value.to_vec();
        } else if field.is("from") && self.from.is_empty() {
            self.from = field.value.to_vec();
        }
        if let Some(format) = mark(field) {
            self.format = Some(self.format.map_or(format, |other| other.min(format)));
        }
    }
}

/// How long a boundary may be; RFC 2046 section 5.1.1 allows 70.
const BOUNDARY: usize = 250;

/// A field's value with its encoded words (RFC 2047) undone.
pub fn decoded(value: &[u8]) -> String {
    let line = [b"Subject: ", value].concat();
    mailparse::parse_header(&line).map_or_else(|_| String::from_utf8_lossy(value).into_owned(), |(field, _)| field.get_value())
}

/// Gathers a header from its lines, in the same way as [`crate::header::fields`].
#[derive(Debug)]
pub struct Collector {
    header: Header,
    /// Whether what may stand above a mail's header (empty lines, `From `) is over.
    begun: bool,
    field: Vec<u8>,
    /// Whether the field is one to keep.
    keep: bool,
}

impl Collector {
    /// Gathers the header of a mail, or of a part, above which nothing may stand.
    pub fn new(is_mail: bool) -> Self {
        Self { header: Header::default(), begun: !is_mail, field: Vec::new(), keep: false }
    }

    /// Takes a piece of a line, which may begin it; whether it was the empty line that ends the header.
    pub fn take(&mut self, mut piece: &[u8], begins: bool) -> bool {
        if !begins {
            self.add(piece);
            return false;
        }
        if !self.begun {
            piece = piece.strip_prefix(b"\xef\xbb\xbf").unwrap_or(piece);
        }
        if piece.ends_with(b"\n") && piece.iter().all(|b| matches!(b, b'\r' | b'\n')) {
            return self.begun;
        }
        if !self.begun && (piece.starts_with(b"From ") || piece.starts_with(b">From ")) {
            return false;
        }
        self.begun = true;
        if !piece.starts_with(b" ") && !piece.starts_with(b"\t") {
            self.settle();
            self.keep = is_wanted(piece);
        }
        self.add(piece);
        false
    }

    fn add(&mut self, piece: &[u8]) {
        let room = if self.keep { FIELD.saturating_sub(self.field.len()) } else { 0 };
        self.field.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
    }

    fn settle(&mut self) {
        let field = std::mem::take(&mut self.field);
        if let Some(field) = header::fields(&field).next() {
            self.header.take(&field);
        }
    }

    /// What was gathered.
    pub fn finish(mut self) -> Header {
        self.settle();
        self.header
    }
}

fn is_wanted(line: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', line) else { return false };
    let name = line.get(..colon).unwrap_or_default().trim_ascii();
    let others = ["content-type", "content-transfer-encoding", "from"];
    MARKS.iter().map(|(mark, ..)| *mark).chain(others).any(|wanted| name.eq_ignore_ascii_case(wanted.as_bytes()))
}
