//! Follows a mail's parts as its octets come, as far down as a report can lie: into multiparts, into the messages that a non-delivery
//! report returns, into a report that another one encloses. Everything else is passed over.
//!
//! What is kept is bounded whatever comes: so many levels, mails and texts, and so many octets of text. Whatever goes beyond is not a
//! report that a server writes.

use super::header::{Collector, Header};
use super::scan::{Scan, Sink};
use super::text::Text;
use super::{Report, report};
use std::io::{self, Write};

/// How many multiparts may lie in each other.
const LEVELS: usize = 16;
/// How many messages may lie in each other.
const DEPTH: usize = 4;
/// How many mails are looked at, and how many messages of one.
const MAILS: usize = 32;
/// How many texts of one mail may be its envelope.
const TEXTS: usize = 8;
/// How much text is kept, in octets.
const LONGEST_TEXT: usize = 4 << 20;

/// Reads a report from octets that are written to it in pieces of any size.
#[derive(Debug, Default)]
pub struct Reader {
    scan: Scan,
    tree: Tree,
}

impl Reader {
    /// Whether what has been written is enough: the octets that follow make no difference.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.tree.done
    }

    /// The report, if there was one.
    #[must_use]
    pub fn finish(mut self) -> Option<Report> {
        self.scan.finish(&mut self.tree);
        self.tree.end_header();
        report::build(&mut self.tree.mails, 0)
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

/// A mail: the whole one, or a message in it.
#[derive(Debug, Default)]
pub struct Mail {
    /// Its header.
    pub header: Header,
    /// Whether it is a non-delivery report, or looks like one.
    pub is_returned: bool,
    /// The parts that may be its envelope.
    pub texts: Vec<Text>,
    /// Whether there was more text than is kept.
    pub is_cut: bool,
    /// The messages in it.
    pub inners: Vec<Inner>,
    /// Whether only the header of the message is there.
    pub only_header: bool,
}

impl Mail {
    fn is_report(&self) -> bool {
        self.header.format.is_some() || self.is_returned
    }
}

/// A message in a mail.
#[derive(Clone, Copy, Debug)]
pub struct Inner {
    /// Where it begins.
    pub offset: u64,
    /// How many octets it has; none if its end is not there.
    pub length: Option<u64>,
    /// How it is encoded.
    pub encoding: Encoding,
    /// Which mail it is, if it was looked at.
    pub mail: Option<usize>,
}

/// How a part is encoded (RFC 2045 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// In one of the two ways.
    Named(&'static str),
    /// In a way that nobody knows to undo.
    Unknown,
}

impl Encoding {
    fn parse(value: &str) -> Self {
        match value {
            "" | "7bit" | "8bit" | "binary" => Self::Identity,
            "base64" => Self::Named("base64"),
            "quoted-printable" => Self::Named("quoted-printable"),
            _ => Self::Unknown,
        }
    }
}

/// A multipart whose end has not come.
#[derive(Debug)]
struct Level {
    boundary: Vec<u8>,
    owner: usize,
    /// Whether its parts are messages where they don't say what they are (RFC 2046 section 5.1.5).
    is_digest: bool,
}

/// A message whose end has not come: whose it is, and in which multipart it lies.
#[derive(Clone, Copy, Debug)]
struct Open {
    owner: usize,
    inner: usize,
    level: usize,
}

#[derive(Debug)]
enum State {
    /// The header of a mail, by its number.
    Mail(Collector, usize),
    /// The header of a part of the innermost multipart.
    Part(Collector),
    /// A text of this mail.
    Text(usize),
    Other,
}

#[derive(Debug)]
struct Tree {
    mails: Vec<Mail>,
    levels: Vec<Level>,
    open: Vec<Open>,
    state: State,
    /// How many octets of text are kept.
    kept: usize,
    done: bool,
}

impl Default for Tree {
    fn default() -> Self {
        let state = State::Mail(Collector::new(true), 0);
        Self { mails: vec![Mail::default()], levels: Vec::new(), open: Vec::new(), state, kept: 0, done: false }
    }
}

impl Sink for Tree {
    fn in_header(&self) -> bool {
        matches!(self.state, State::Mail(..) | State::Part(_))
    }

    fn boundary(&mut self, line: &[u8], at: u64, line_end: u64) -> bool {
        let found = self.levels.iter().enumerate().rev().find_map(|(number, level)| Some((number, closes(line, &level.boundary)?)));
        let Some((number, closing)) = found else { return false };
        self.end_header();
        self.end_parts(number, at - line_end.min(at));
        self.levels.truncate(number + usize::from(!closing));
        self.state = if closing { State::Other } else { State::Part(Collector::new(false)) };
        self.done |= self.levels.is_empty();
        true
    }

    fn piece(&mut self, piece: &[u8], begins: bool, until: u64) {
        match &mut self.state {
            State::Mail(header, _) => {
                if header.take(piece, begins) {
                    self.end_header();
                }
            }
            State::Part(header) => {
                if header.take(piece, begins) {
                    let header = std::mem::replace(header, Collector::new(false)).finish();
                    self.part(header, until);
                }
            }
            State::Text(owner) => {
                let owner = *owner;
                self.keep(owner, piece);
            }
            State::Other => {}
        }
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

/// Whether a line is a boundary's, and if it is, whether it is the last of its multipart (RFC 2046 section 5.1.1).
fn closes(line: &[u8], boundary: &[u8]) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?.trim_ascii_end();
    match rest {
        b"" => Some(false),
        b"--" => Some(true),
        _ => None,
    }
}

impl Tree {
    /// The header of a mail is over: it says what the mail is, and so whether its body matters.
    fn end_header(&mut self) {
        if !matches!(self.state, State::Mail(..)) {
            return;
        }
        let State::Mail(header, number) = std::mem::replace(&mut self.state, State::Other) else { return };
        let header = header.finish();
        let (kind, boundary) = header.media_type();
        let Some(mail) = self.mails.get_mut(number) else { return };
        mail.header = header;
        mail.is_returned = kind == "multipart/report";
        let is_report = mail.is_report();
        match boundary.filter(|_| is_report && kind.starts_with("multipart/")) {
            Some(boundary) => self.go_into(boundary, number, &kind),
            None if number == 0 => self.done = true,
            // What the whole mail returns is no report, so there is none in it.
            None if !is_report && self.open.last().is_some_and(|open| open.owner == 0) => {
                self.done |= self.mails.first().is_some_and(|whole| !report::may_be_one(whole));
            }
            None => {}
        }
    }

    fn go_into(&mut self, boundary: Vec<u8>, owner: usize, kind: &str) {
        if self.levels.len() < LEVELS {
            self.levels.push(Level { boundary, owner, is_digest: kind == "multipart/digest" });
        }
    }

    /// The header of a part is over.
    fn part(&mut self, header: Header, until: u64) {
        self.state = State::Other;
        let Some(level) = self.levels.last() else { return };
        let owner = level.owner;
        let (mut kind, boundary) = header.media_type();
        if header.content_type.is_empty() {
            kind = if level.is_digest { "message/rfc822" } else { "text/plain" }.into();
        }
        match (kind.as_str(), boundary) {
            ("message/rfc822" | "message/global", _) => self.message(owner, &header.encoding, until),
            ("text/rfc822-headers" | "message/rfc822-headers" | "message/global-headers", _) => {
                if let Some(mail) = self.mails.get_mut(owner) {
                    mail.only_header = true;
                }
            }
            (multipart, Some(boundary)) if multipart.starts_with("multipart/") => self.go_into(boundary, owner, &kind),
            ("text/plain" | "text/html" | "message/delivery-status" | "message/global-delivery-status", _) => {
                let Some(mail) = self.mails.get_mut(owner).filter(|mail| mail.texts.len() < TEXTS) else { return };
                let (content_type, encoding) = (header.content_type, header.encoding);
                mail.texts.push(Text { kind, content_type, encoding, octets: Vec::new(), is_whole: false });
                self.state = State::Text(owner);
            }
            _ => {}
        }
    }

    /// A part is a message: its place is noted, and its header read where it can be.
    fn message(&mut self, owner: usize, encoding: &str, until: u64) {
        let (next, depth) = (self.mails.len(), self.open.len());
        let Some(mail) = self.mails.get_mut(owner) else { return };
        // A report is about one message; a non-delivery report may return several.
        let wanted = if mail.is_returned { MAILS } else { 1 };
        if mail.inners.len() >= wanted {
            return;
        }
        let encoding = Encoding::parse(encoding);
        let number = (encoding == Encoding::Identity && next < MAILS && depth < DEPTH).then_some(next);
        self.open.push(Open { owner, inner: mail.inners.len(), level: self.levels.len().saturating_sub(1) });
        mail.inners.push(Inner { offset: until, length: None, encoding, mail: number });
        if let Some(number) = number {
            self.mails.push(Mail::default());
            self.state = State::Mail(Collector::new(true), number);
        }
    }

    /// Ends what lies in the multipart of this number and in those inside it. What lies further inside was cut off.
    fn end_parts(&mut self, number: usize, at: u64) {
        if let State::Text(owner) = self.state {
            let is_whole = self.levels.len() == number + 1;
            if let Some(text) = self.mails.get_mut(owner).and_then(|mail| mail.texts.last_mut()) {
                text.is_whole = is_whole;
            }
        }
        while let Some(open) = self.open.pop_if(|open| open.level >= number) {
            let inner = self.mails.get_mut(open.owner).and_then(|mail| mail.inners.get_mut(open.inner));
            if let Some(inner) = inner.filter(|_| open.level == number) {
                inner.length = Some(at.saturating_sub(inner.offset));
            }
        }
    }

    fn keep(&mut self, owner: usize, piece: &[u8]) {
        let Some(mail) = self.mails.get_mut(owner) else { return };
        let room = LONGEST_TEXT - self.kept;
        mail.is_cut |= piece.len() > room;
        let piece = piece.get(..piece.len().min(room)).unwrap_or_default();
        if let Some(text) = mail.texts.last_mut() {
            text.octets.extend_from_slice(piece);
            self.kept += piece.len();
        }
    }
}
