//! Journal reports: the envelope of a message, written by the server that handled it, round the message itself.
//!
//! Exchange and Microsoft 365 (MS-XJRNL section 2.1): a multipart/mixed whose first text part lists the sender and all recipients, Bcc and
//! expanded lists included. Lines that look alike inside the inner message mean nothing. A report that could not be delivered comes inside
//! a non-delivery report. Other kinds of report become further formats of the one table.

use mdrop::address::{self, Address};
use mdrop::header;
use std::ops::Range;

/// How many parts of a multipart are looked at.
const PARTS: usize = 16;
/// How much text an envelope may have.
const LONGEST_TEXT: usize = 4 << 20;
/// How much of a Content-Type value is read.
const CONTENT_TYPE: usize = 2000;

/// The kinds of report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Exchange 2007 and later, Microsoft 365.
    Exchange,
}

impl Format {
    /// The kind's name in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
        }
    }
}

/// The fields that mark a report.
const MARKS: [(&str, Format); 2] =
    [("x-ms-journal-report", Format::Exchange), ("x-ms-exchange-organization-journal-report", Format::Exchange)];
/// The lines of a report that name an address.
const LABELS: [&str; 6] = ["sender", "on-behalf-of", "to", "cc", "bcc", "recipient"];

/// How a recipient came to be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A list that it is a member of.
    Expanded(Vec<Address>),
    /// An address that forwards to it.
    Forwarded(Vec<Address>),
}

/// One line of a report's envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The line's label in lower case.
    pub label: &'static str,
    /// The how-manieth line of that label, from 1.
    pub position: u32,
    /// The addresses it names.
    pub addresses: Vec<Address>,
    /// What stands behind them.
    pub source: Option<Source>,
    /// The value as it stands there.
    pub value: String,
}

/// A report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its kind.
    pub format: Format,
    /// Its envelope.
    pub lines: Vec<Line>,
    /// Where in the octets the inner message lies, if both its ends are there.
    pub inner: Option<Range<usize>>,
}

impl Report {
    /// Those who sent it: Sender, and On-Behalf-Of.
    pub fn senders(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| is_sender(line))
    }

    /// Those to whom it went.
    pub fn recipients(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| !is_sender(line))
    }
}

fn is_sender(line: &Line) -> bool {
    matches!(line.label, "sender" | "on-behalf-of")
}

/// Whether a message with such a header may hold a report: one of the marks, or a non-delivery report round one.
#[must_use]
pub fn may_hold_report(is_report: bool, content_type: &[u8]) -> bool {
    is_report || content_type.get(..16).is_some_and(|begin| begin.eq_ignore_ascii_case(b"multipart/report"))
}

/// Reads the report that `octets`, a message in its original form, is, or that a non-delivery report holds.
#[must_use]
pub fn read(octets: &[u8]) -> Option<Report> {
    if let Some(format) = format(octets) {
        return read_marked(octets, format);
    }
    let report = split(octets)?;
    let mut parts = report.into_iter().filter(|part| part.kind == "message/rfc822" || part.kind == "message/global");
    parts.find_map(|part| {
        let inside = octets.get(part.body.clone())?;
        let mut report = read_marked(inside, format(inside)?)?;
        report.inner = report.inner.map(|inner| inner.start + part.body.start..inner.end + part.body.start);
        Some(report)
    })
}

fn format(octets: &[u8]) -> Option<Format> {
    header::fields(octets).find_map(|field| MARKS.iter().find(|(name, _)| field.is(name)).map(|(_, format)| *format))
}

fn read_marked(octets: &[u8], format: Format) -> Option<Report> {
    let parts = split(octets)?;
    let text = parts.iter().find(|part| part.kind == "text/plain")?;
    let lines = read_lines(&text.text(octets)?);
    let inner = parts.iter().find(|part| part.kind == "message/rfc822" && part.is_whole && part.encoding.is_empty());
    let report = Report { format, lines, inner: inner.map(|part| part.body.clone()) };
    let is_envelope = report.senders().next().is_some() || report.recipients().any(|line| !line.addresses.is_empty());
    is_envelope.then_some(report)
}

/// One part of a multipart.
#[derive(Debug)]
struct Part {
    /// The media type, in lower case.
    kind: String,
    content_type: String,
    /// The Content-Transfer-Encoding, if it changes octets.
    encoding: String,
    body: Range<usize>,
    /// Whether the boundary that ends it was found.
    is_whole: bool,
}

impl Part {
    /// The part's text, transfer encoding and charset undone.
    fn text(&self, octets: &[u8]) -> Option<String> {
        let body = octets.get(self.body.clone())?;
        let body = body.get(..body.len().min(LONGEST_TEXT))?;
        let head = format!("Content-Type: {}\r\nContent-Transfer-Encoding: {}\r\n\r\n", self.content_type, self.encoding);
        let part = [head.as_bytes(), body].concat();
        let decoded = mailparse::parse_mail(&part).and_then(|mail| mail.get_body());
        Some(decoded.unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned()))
    }
}

/// The parts of the multipart that `octets` is.
fn split(octets: &[u8]) -> Option<Vec<Part>> {
    let content_type = field(octets, "content-type");
    let boundary = mailparse::parse_content_type(&content_type).params.remove("boundary").filter(|boundary| !boundary.is_empty())?;
    let start = body_start(octets);
    let body = octets.get(start..)?;
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut begin: Option<usize> = None;
    for at in memchr::memmem::find_iter(body, delimiter.as_bytes()) {
        let behind = body.get(at + delimiter.len()..).unwrap_or_default();
        let fits = at.checked_sub(1).is_none_or(|before| body.get(before) == Some(&b'\n'));
        if !fits || !behind.first().is_none_or(|b| b.is_ascii_whitespace() || *b == b'-') {
            continue;
        }
        if let Some(begin) = begin {
            parts.push(part(octets, start + begin..start + line_end_before(body, at), true));
        }
        begin = memchr::memchr(b'\n', behind).map(|end| at + delimiter.len() + end + 1);
        if behind.starts_with(b"--") || parts.len() >= PARTS {
            begin = None;
            break;
        }
    }
    parts.extend(begin.map(|begin| part(octets, start + begin..octets.len(), false)));
    Some(parts)
}

/// Where the line end before a boundary begins; it belongs to the boundary (RFC 2046 section 5.1.1).
fn line_end_before(body: &[u8], at: usize) -> usize {
    let line = body.get(..at).unwrap_or_default();
    line.strip_suffix(b"\n").map_or(at, |line| line.strip_suffix(b"\r").unwrap_or(line).len())
}

fn part(octets: &[u8], range: Range<usize>, is_whole: bool) -> Part {
    let whole = octets.get(range.clone()).unwrap_or_default();
    let content_type = field(whole, "content-type");
    let kind = if content_type.is_empty() { "text/plain".into() } else { mailparse::parse_content_type(&content_type).mimetype };
    let encoding = field(whole, "content-transfer-encoding").trim().to_ascii_lowercase();
    let changes = !matches!(encoding.as_str(), "7bit" | "8bit" | "binary");
    let body = (range.start + body_start(whole)).min(range.end)..range.end.max(range.start);
    Part { kind: kind.to_ascii_lowercase(), content_type, encoding: if changes { encoding } else { String::new() }, body, is_whole }
}

/// The first field of that name, unfolded.
fn field(octets: &[u8], name: &str) -> String {
    let found = header::fields(octets).find(|field| field.is(name));
    found.map(|field| String::from_utf8_lossy(&field.unfolded(CONTENT_TYPE)).into_owned()).unwrap_or_default()
}

/// Where the body begins.
fn body_start(octets: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let rest = octets.get(at..).unwrap_or_default();
        let Some(end) = memchr::memchr(b'\n', rest) else { return octets.len() };
        at += end + 1;
        if matches!(rest.get(..end), Some(b"" | b"\r")) {
            return at;
        }
    }
}

fn read_lines(text: &str) -> Vec<Line> {
    let mut seen = [0_u32; LABELS.len()];
    let mut lines = Vec::new();
    for line in text.lines() {
        let Some((label, value)) = line.split_once(':') else { continue };
        let Some(at) = LABELS.iter().position(|known| label.trim().eq_ignore_ascii_case(known)) else { continue };
        let (Some(label), Some(seen)) = (LABELS.get(at), seen.get_mut(at)) else { continue };
        *seen += 1;
        let (named, source) = split_source(value);
        let addresses = address::trace(named.as_bytes());
        lines.push(Line { label, position: *seen, addresses, source, value: value.trim().into() });
    }
    lines
}

/// `member@example.com, Expanded: list@example.com`.
fn split_source(value: &str) -> (&str, Option<Source>) {
    let lower = value.to_ascii_lowercase();
    let cut = |mark: &str| {
        let at = lower.find(mark)?;
        Some((value.get(..at)?, address::trace(value.get(at + mark.len()..)?.as_bytes())))
    };
    let expanded = cut(", expanded:").map(|(named, source)| (named, Some(Source::Expanded(source))));
    let forwarded = || cut(", forwarded:").map(|(named, source)| (named, Some(Source::Forwarded(source))));
    expanded.or_else(forwarded).unwrap_or((value, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: &str = "From: a@example.com\r\nTo: x@y.example\r\n\r\nBcc: trap@example.com\r\n";

    fn report(encoding: &str, text: &str) -> String {
        format!(
            "X-MS-Journal-Report: \r\nContent-Type: multipart/mixed;\r\n boundary=\"b 1\"\r\n\r\npre\r\n--b 1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{text}\r\n--b 1\r\nContent-Type: message/rfc822\r\n\r\n{INNER}\r\n--b 1--\r\n"
        )
    }

    fn shown(report: &Report) -> Vec<String> {
        let addresses = |all: &[Address]| all.iter().map(Address::normal).collect::<Vec<_>>().join(" ");
        let source = |line: &Line| match &line.source {
            Some(Source::Expanded(list)) => format!(" expanded {}", addresses(list)),
            Some(Source::Forwarded(by)) => format!(" forwarded {}", addresses(by)),
            None => String::new(),
        };
        report.lines.iter().map(|line| format!("{}:{} {}{}", line.label, line.position, addresses(&line.addresses), source(line))).collect()
    }

    #[test]
    fn a_report_is_read_in_every_transfer_encoding() {
        let plain = "Sender: a@example.com\r\nSubject: To: x\r\nTo: b@example.com, Expanded: list@example.com\r\nBcc: c@example.com\r\nTo: d@other.example, Forwarded: e@example.com\r\n";
        let quoted = plain.replace("list@", "li=\r\nst=40");
        let base64 = "U2VuZGVyOiBhQGV4YW1wbGUuY29tDQpTdWJqZWN0OiBUbzogeA0KVG86IGJAZXhhbXBsZS5jb20sIEV4\r\ncGFuZGVkOiBsaXN0QGV4YW1wbGUuY29tDQpCY2M6IGNAZXhhbXBsZS5jb20NClRvOiBkQG90aGVy\r\nLmV4YW1wbGUsIEZvcndhcmRlZDogZUBleGFtcGxlLmNvbQ0K\r\n";
        let expected = [
            "sender:1 a@example.com",
            "to:1 b@example.com expanded list@example.com",
            "bcc:1 c@example.com",
            "to:2 d@other.example forwarded e@example.com",
        ];
        for (encoding, text) in [("7bit", plain), ("quoted-printable", quoted.as_str()), ("base64", base64)] {
            let octets = report(encoding, text);
            let report = read(octets.as_bytes()).unwrap();
            assert_eq!(shown(&report), expected, "{encoding}");
            assert_eq!(report.inner.and_then(|inner| octets.get(inner)), Some(INNER), "{encoding}");
        }
    }

    #[test]
    fn a_report_inside_a_non_delivery_report_is_found() {
        let inside = report("7bit", "Sender: a@example.com\r\nTo: b@example.com\r\n");
        let octets = format!(
            "Content-Type: multipart/report; boundary=o\r\n\r\n--o\r\n\r\nfailed\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n{inside}\r\n--o--\r\n"
        );
        let report = read(octets.as_bytes()).unwrap();
        assert_eq!(shown(&report), ["sender:1 a@example.com", "to:1 b@example.com"]);
        assert_eq!(report.inner.and_then(|inner| octets.get(inner)), Some(INNER));
    }

    #[test]
    fn what_is_cut_or_no_report_is_none() {
        let whole = report("7bit", "Sender: a@example.com\r\nTo: b@example.com\r\n");
        for end in 0..whole.len() {
            let _ = read(&whole.as_bytes()[..end]);
        }
        assert_eq!(read(report("7bit", "Hello\r\n").as_bytes()), None);
        assert_eq!(read(b"X-MS-Journal-Report:\r\n\r\nSender: a@example.com\r\n"), None);
        assert!(read(&whole.as_bytes()[..whole.len() - 20]).is_some_and(|cut| cut.inner.is_none()));
    }
}
