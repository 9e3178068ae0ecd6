//! The addresses in an envelope's line, as the servers of all these years wrote them.
//!
//! `a@example.com`, `Name <a@example.com>`, `"Name" <SMTP:a@example.com>`. An X.500 name or an address of another network is none of
//! ours; Exchange makes it look like one (`IMCEAEX-_O=…@example.com`), and hides SMTP addresses in the same way, which are undone.

use super::Source;
use crate::address::{self, Address};

/// The addresses of a value that names somebody.
pub fn addresses(value: &str) -> Vec<Address> {
    let value = value.trim();
    let value = in_brackets(value).unwrap_or(value).trim();
    let value = after(value, "smtp:").unwrap_or(value);
    if after(value, "/o=").is_some() || after(value, "ex:").is_some() || after(value, "x400:").is_some() {
        return Vec::new();
    }
    if let Some(rest) = after(value, "imceasmtp-") {
        return decapsulated(rest).into_iter().collect();
    }
    if after(value, "imcea").is_some() && value.contains('-') {
        return Vec::new();
    }
    address::trace(value.as_bytes())
}

/// What follows `begin`, in whichever case.
pub fn after<'a>(value: &'a str, begin: &str) -> Option<&'a str> {
    let head = value.get(..begin.len())?;
    if head.eq_ignore_ascii_case(begin) { value.get(begin.len()..) } else { None }
}

/// What stands in the last angle brackets, if they end the value: whatever stands before them is a name, which a sender may have chosen.
fn in_brackets(value: &str) -> Option<&str> {
    let inside = value.trim_end_matches([',', ';', ' ']).strip_suffix('>')?;
    inside.rfind('<').and_then(|at| inside.get(at + 1..))
}

/// `alice+40example+2Ecom@example.net`: an SMTP address as the local part of another.
fn decapsulated(value: &str) -> Option<Address> {
    let local = value.rsplit_once('@')?.0;
    let mut octets = Vec::with_capacity(local.len());
    let mut rest = local.bytes();
    while let Some(b) = rest.next() {
        octets.push(match b {
            b'_' => b'/',
            b'+' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    std::str::from_utf8(&octets).ok().and_then(Address::parse)
}

/// Cuts what a recipient came from off a value: `member@example.com, Expanded: list@example.com`.
pub fn sources(value: &str) -> (&str, Vec<Source>) {
    let mut sources = Vec::new();
    let mut named = value;
    while let Some((at, end, expanded)) = last_source(named) {
        let addresses = addresses(named.get(end..).unwrap_or_default());
        sources.push(if expanded { Source::Expanded(addresses) } else { Source::Forwarded(addresses) });
        named = named.get(..at).unwrap_or_default();
    }
    sources.reverse();
    (named, sources)
}

/// The last source in a value: where it begins with its comma, where its address does, and whether it was expanded.
fn last_source(value: &str) -> Option<(usize, usize, bool)> {
    let (at, _) = value.rmatch_indices(':').find(|(at, _)| label_before(value, *at).is_some())?;
    let (begin, expanded) = label_before(value, at)?;
    let head = value.get(..begin)?.trim_end();
    let head = head.strip_suffix(',').unwrap_or(head);
    Some((head.len(), at + 1, expanded))
}

/// Where the label that a colon ends begins, and whether it is `Expanded`; a blank or a comma must stand before it.
fn label_before(value: &str, colon: usize) -> Option<(usize, bool)> {
    let head = value.get(..colon)?;
    let fits = |label: &str| {
        let begin = head.len().checked_sub(label.len())?;
        let is_label = head.get(begin..)?.eq_ignore_ascii_case(label) && head.get(..begin)?.ends_with([',', ' ', '\t']);
        is_label.then_some(begin)
    };
    fits("expanded").map(|begin| (begin, true)).or_else(|| fits("forwarded").map(|begin| (begin, false)))
}
