//! Journal reports: the envelope of a message, written by the server that handled it, round the message itself.
//!
//! A report is known by a mark in its header, and each kind is a row of one table: the mark, and how the envelope is read. The octets
//! are looked at once, as they come, and of all of them only the text that is the envelope is kept, so that a report of any size costs no
//! memory. A report that could not be delivered comes inside a non-delivery report; one that is merely attached to a mail is none. Of
//! the message inside nothing but its place is told, and lines in it that look like an envelope mean nothing.

mod capture;
mod exchange;
mod exchange2003;
mod header;
mod mail;
mod names;
mod report;
pub(crate) mod scan;
pub(crate) mod text;
mod zimbra;

use crate::address::Address;
use crate::header::Field;
pub use mail::Reader;
use std::io::Write;

/// The kinds of report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Exchange 2007 and later, Microsoft 365 (MS-XJRNL section 2.1).
    Exchange,
    /// Exchange 2000 and 2003, and servers that write the same.
    Exchange2003,
    /// Amazon WorkMail, whose envelope is Exchange's.
    WorkMail,
    /// Zimbra's legal intercept.
    Zimbra,
    /// The captured copies of Sun's and Oracle's Messaging Server, which look like non-delivery reports.
    Capture,
}

/// What marks a report: a field's name in lower case, how its value begins in lower case, and the kind.
const MARKS: [(&str, &str, Format); 8] = [
    ("x-ms-journal-report", "", Format::Exchange),
    ("x-ms-exchange-organization-journal-report", "", Format::Exchange),
    ("content-identifier", "exjournalreport", Format::Exchange2003),
    ("content-identifer", "exjournalreport", Format::Exchange2003),
    ("x-wm-journal-report", "journal", Format::WorkMail),
    ("auto-submitted", "auto-replied (zimbra; intercept", Format::Zimbra),
    ("subject", "intercept message for ", Format::Zimbra),
    ("subject", "intercepted message for ", Format::Zimbra),
];

/// How much of a field's value is looked at for a mark.
const MARK: usize = 200;

impl Format {
    /// The kind's name in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Exchange2003 => "exchange-2003",
            Self::WorkMail => "workmail",
            Self::Zimbra => "zimbra",
            Self::Capture => "capture",
        }
    }

    /// Whether a mark of this kind stands on nothing but reports. A subject can stand on any mail.
    #[must_use]
    pub fn is_sure(self) -> bool {
        !matches!(self, Self::Zimbra | Self::Capture)
    }
}

/// How a subject in an encoded word begins that may be a mark, undone only then: nearly all mail has a subject.
const ENCODED: [&[u8]; 2] = [b"?Intercept", b"?SW50ZXJjZXB0"];

/// The kind of report that a header field marks.
#[must_use]
pub fn mark(field: &Field) -> Option<Format> {
    let begun = field.value.trim_ascii_start();
    let first = begun.first().map(u8::to_ascii_lowercase);
    let may_be = |begin: &str| begin.is_empty() || first == Some(b'=') || first == begin.bytes().next();
    let mut rows = MARKS.iter().filter(|(name, begin, _)| may_be(begin) && field.is(name)).peekable();
    rows.peek()?;
    let mut value = field.unfolded(MARK);
    if value.starts_with(b"=?") && ENCODED.iter().any(|begin| memchr::memmem::find(&value, begin).is_some()) {
        value = header::decoded(&value).into_bytes();
    }
    value.make_ascii_lowercase();
    rows.find(|(_, begin, _)| value.starts_with(begin.as_bytes())).map(|(.., format)| *format)
}

/// Whether a message without a mark, but with this Content-Type, may hold a report: a non-delivery report round one.
#[must_use]
pub fn may_hold_report(content_type: &[u8]) -> bool {
    content_type.get(..16).is_some_and(|begin| begin.eq_ignore_ascii_case(b"multipart/report"))
}

/// Who stands in a line of the envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// Somebody who sent the message, or on whose behalf it was.
    Sender,
    /// Somebody to whom it went.
    Recipient,
}

/// How a recipient came to be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A list that it is a member of.
    Expanded(Vec<Address>),
    /// An address that forwards to it.
    Forwarded(Vec<Address>),
}

impl Source {
    /// Those addresses.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        match self {
            Self::Expanded(all) | Self::Forwarded(all) => all,
        }
    }
}

/// One line of a report's envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Who stands in it.
    pub party: Party,
    /// The line's label in lower case.
    pub label: &'static str,
    /// The how-manieth line of that label, from 1.
    pub position: u32,
    /// The addresses that it names.
    pub addresses: Vec<Address>,
    /// What stands behind them.
    pub sources: Vec<Source>,
    /// The value, where it is no address.
    pub value: String,
}

/// Where the message inside a report lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it begins, in octets of the report.
    pub offset: u64,
    /// How many octets it has there.
    pub length: u64,
    /// How they are encoded, where they are: `base64` or `quoted-printable`.
    pub encoding: Option<&'static str>,
}

/// A report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its kind.
    pub format: Format,
    /// Its envelope.
    pub lines: Vec<Line>,
    /// Where the message inside lies, if it is there whole.
    pub inner: Option<Place>,
    /// The report that the message inside is itself, as where one journaling server hands its reports to another.
    pub nested: Option<Box<Report>>,
    /// What is wrong with it: a word, and a text.
    pub notes: Vec<(&'static str, &'static str)>,
}

impl Report {
    /// Those who sent the message.
    pub fn senders(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.party == Party::Sender)
    }

    /// Those to whom it went.
    pub fn recipients(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.party == Party::Recipient)
    }
}

/// Reads the report that `octets`, a message in its original form, is, or that a non-delivery report holds. See [`Reader`] for a
/// message that is not in memory.
#[must_use]
pub fn read(octets: &[u8]) -> Option<Report> {
    let mut reader = Reader::default();
    // It takes everything.
    let _ = reader.write_all(octets);
    reader.finish()
}

/// Puts the lines of an envelope together, each with its position among those of its label.
#[derive(Debug, Default)]
struct Envelope {
    lines: Vec<Line>,
    /// Whether there is a sender among them, and a recipient.
    has: [bool; 2],
    /// Whether there were more than are read.
    is_cut: bool,
}

/// How many lines an envelope may have.
const LINES: usize = 100_000;
/// How much of a value that is no address is kept.
const SHOWN: usize = 200;

impl Envelope {
    /// Adds a line; one without a value names nobody.
    fn push(&mut self, party: Party, label: &'static str, addresses: Vec<Address>, sources: Vec<Source>, value: &str) {
        if self.lines.len() >= LINES {
            self.is_cut = true;
        } else if !addresses.is_empty() || !value.trim().is_empty() {
            let value = if addresses.is_empty() { value.trim().chars().take(SHOWN).collect() } else { String::new() };
            self.has[usize::from(party == Party::Recipient)] = true;
            self.lines.push(Line { party, label, position: 0, addresses, sources, value });
        }
    }

    /// Adds a line with a value of the form `member@example.com, Expanded: list@example.com`.
    fn push_value(&mut self, party: Party, label: &'static str, value: &str) {
        let (named, sources) = names::sources(value);
        self.push(party, label, names::addresses(named), sources, named);
    }

    fn has(&self, party: Party) -> bool {
        self.has[usize::from(party == Party::Recipient)]
    }

    /// Whether this is an envelope at all.
    fn is_one(&self) -> bool {
        self.has(Party::Sender) || self.lines.iter().any(|line| !line.addresses.is_empty())
    }
}

/// Numbers the lines of each label.
fn number(lines: &mut [Line]) {
    let mut seen: Vec<(&str, u32)> = Vec::new();
    for line in lines {
        let at = seen.iter().position(|(label, _)| *label == line.label).unwrap_or(seen.len());
        if at == seen.len() {
            seen.push((line.label, 0));
        }
        if let Some((_, count)) = seen.get_mut(at) {
            *count += 1;
            line.position = *count;
        }
    }
}

#[cfg(test)]
mod tests;
