//! The header, read as servers really write it: tolerant, in one pass, without copying.
//!
//! Broken mail must not be lost, and a sender must not be able to hide a field from us by writing a broken one above it. So a
//! line that is no field neither ends the header nor refuses the message; only an empty line ends it (RFC 5322
//! section 2.1). mailparse refuses a whole header for a lone CR or a leading blank, which 0.9 % of fuzzed messages have.

pub mod long;

/// One header field as it stands in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, as written.
    pub name: &'a [u8],
    /// Everything after the colon, folds and the last line end included.
    pub value: &'a [u8],
}

impl Field<'_> {
    /// Whether the field has this name; names are compared without case (RFC 5322 section 1.2.2).
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value unfolded (RFC 5322 section 2.2.3) and without white space at its ends, `longest` octets of it at most.
    #[must_use]
    pub fn unfolded(&self, longest: usize) -> Vec<u8> {
        let kept = self.value.trim_ascii().iter().copied().filter(|b| !matches!(b, b'\r' | b'\n'));
        kept.take(longest).collect()
    }
}

/// The fields of a header from top to bottom, up to the empty line or the end of `octets`.
///
/// A byte-order mark, empty lines and mbox `From ` lines before the first field are passed over. Line ends are LF or
/// CRLF, also with more than one CR; where the header has no LF at all, bare CR.
#[must_use]
pub fn fields(octets: &[u8]) -> Fields<'_> {
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    let eol = line_end(octets);
    Fields { rest: skip_preamble(octets, eol), eol }
}

/// See [`fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
    eol: u8,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            let length = field_length(self.rest, self.eol)?;
            let (field, rest) = self.rest.split_at(length);
            self.rest = rest;
            if let Some(field) = split(field) {
                return Some(field);
            }
        }
    }
}

/// How many octets the line (with its end) at the start of `octets` takes.
fn line_length(octets: &[u8], eol: u8) -> usize {
    memchr::memchr(eol, octets).map_or(octets.len(), |at| at + 1)
}

/// Whether the line holds nothing but its end. Programs that turn LF into CRLF twice write CR CR LF.
fn is_empty_line(line: &[u8]) -> bool {
    line.iter().all(|b| matches!(b, b'\r' | b'\n'))
}

/// How many octets the field at the start of `octets` takes with its folded lines; none where the header ends.
fn field_length(octets: &[u8], eol: u8) -> Option<usize> {
    let mut length = line_length(octets, eol);
    if is_empty_line(&octets[..length]) {
        return None;
    }
    while matches!(octets.get(length), Some(b' ' | b'\t')) {
        length += line_length(&octets[length..], eol);
    }
    Some(length)
}

/// A field's name and value; none for a junk line. The name is printable ASCII (RFC 5322 section 3.6.8), blanks before the
/// colon allowed as in section 4.5; no fold, or a junk line would take its name from the one below. A CR before it belongs to a
/// line end that was written the wrong way round.
fn split(line: &[u8]) -> Option<Field<'_>> {
    let colon = memchr::memchr(b':', &line[..line.len().min(1000)])?;
    let blanks = line[..colon].iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let name = &line[..colon - blanks];
    let name = &name[name.iter().take_while(|b| **b == b'\r').count()..];
    // The stream quotes a line that begins as a message of an mbox does, this field among them (mdrop-stream(5)).
    let name = if blanks > 0 && is_from(name) { b"From" } else { name };
    let fits = !name.is_empty() && name.iter().all(|b| (33..=126).contains(b));
    fits.then_some(Field { name, value: &line[colon + 1..] })
}

/// LF where the octets up to the first empty line hold one, else CR. An LF that is the last octet may be the stream's own.
fn line_end(octets: &[u8]) -> u8 {
    let first = memchr::memchr(b'\n', octets).filter(|at| at + 1 < octets.len());
    let is_bare = match first {
        Some(at) => memchr::memmem::find(trim_cr(&octets[..at]), b"\r\r").is_some(),
        None => memchr::memchr(b'\r', trim_cr(octets.strip_suffix(b"\n").unwrap_or(octets))).is_some(),
    };
    if is_bare { b'\r' } else { b'\n' }
}

/// The octets without CRs at their beginning and end.
fn trim_cr(octets: &[u8]) -> &[u8] {
    let begin = octets.iter().take_while(|b| **b == b'\r').count();
    let rest = &octets[begin..];
    let end = rest.iter().rev().take_while(|b| **b == b'\r').count();
    &rest[..rest.len() - end]
}

fn skip_preamble(octets: &[u8], eol: u8) -> &[u8] {
    let mut rest = octets;
    loop {
        let (line, after) = rest.split_at(line_length(rest, eol));
        if !is_preamble(line) || line.is_empty() {
            return rest;
        }
        rest = after;
    }
}

/// Whether a line above the first field is passed over: an empty one, or one that begins a message of an mbox, unless it is the field From
/// with a blank before its colon.
fn is_preamble(line: &[u8]) -> bool {
    let begins = line.starts_with(b"From ") || line.starts_with(b">From ");
    is_empty_line(line) || (begins && split(line).is_none())
}

/// `From`, quoted as an mbox has it.
fn is_from(name: &[u8]) -> bool {
    name.iter().position(|b| *b != b'>').is_some_and(|at| &name[at..] == b"From")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(octets: &[u8]) -> Vec<String> {
        fields(octets).map(|f| format!("{}={}", String::from_utf8_lossy(f.name), String::from_utf8_lossy(&f.unfolded(99)))).collect()
    }

    #[test]
    fn junk_neither_ends_the_header_nor_hides_a_field() {
        let octets = b"\xef\xbb\xbfFrom x Mon\r\n\r\nA: 1\r\njunk line\r\n folded junk\r\nB : 2\r\n\t3\r\n\xff: 4\r\nC:\r\n \r\n5\r\nD: 6\r\n\r\nE: body\r\n";
        assert_eq!(names(octets), ["A=1", "B=2\t3", "C=", "D=6"]);
    }

    #[test]
    fn every_line_end_is_read() {
        assert_eq!(names(b"A: 1\nB: 2\n\nC: 3"), ["A=1", "B=2"]);
        assert_eq!(names(b"A: 1\rB: 2\r\rC: 3"), ["A=1", "B=2"]);
        assert_eq!(names(b"A: 1\rx\nB: 2"), ["A=1x", "B=2"]);
        assert!(names(b"").is_empty() && names(b"\r\n\r\n").is_empty() && names(b"no header").is_empty());
    }

    #[test]
    fn a_blank_before_the_colon_makes_from_no_line_of_an_mbox() {
        assert_eq!(names(b">From  : a@b\nTo: c\n"), ["From=a@b", "To=c"]);
        assert_eq!(names(b"From : a@b\nTo: c\n"), ["From=a@b", "To=c"]);
        assert_eq!(names(b"To: c\n>>From : a@b\n"), ["To=c", "From=a@b"]);
        assert_eq!(names(b"From a@b Mon Jan  1 10:00:00 2026\n>From x\nTo: c\n"), ["To=c"]);
        assert_eq!(names(b">From: a\nTo: c\n"), [">From=a", "To=c"]);
    }

    #[test]
    fn line_ends_that_are_mixed_lose_no_field() {
        assert_eq!(names(b"A: 1\r\nB: 2\nC: 3\r\n D\n\r\nE: 4\n"), ["A=1", "B=2", "C=3 D"]);
        assert_eq!(names(b"A: 1\r\r\nB: 2\r\r\n\r\r\nC: body\r\r\n"), ["A=1", "B=2"], "CR CR LF");
        assert_eq!(names(b"A: 1\rB: 2\r\rbody\nC: body\n"), ["A=1", "B=2"], "a header of bare CR before a body with LF");
        assert_eq!(names(b"A: 1\rB: 2\n"), ["A=1", "B=2"], "an LF of the stream behind a header of bare CR");
        assert_eq!(names(b"\r\rA: 1\nB: 2\n"), ["A=1", "B=2"]);
        assert_eq!(names(b"A: 1\n\rB: 2\n\r\n\rC: body"), ["A=1", "B=2"], "LF CR");
    }

    #[test]
    fn a_junk_line_takes_no_name_from_its_fold_and_no_fold_from_a_field() {
        assert_eq!(names(b"Delivered-To\n : x\nA: 1\n"), ["A=1"]);
        assert_eq!(names(b"A: 1\n\x00\n\x0c: 2\n:\n: 3\nB\x0c: 4\nC\t : 5\n"), ["A=1", "C=5"]);
    }
}
