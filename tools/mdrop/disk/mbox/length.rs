//! Content-Length, which anybody may write and any program may leave behind when it changes a message: a claim, to be looked into.
//!
//! It holds only if a message ends where it says: at the end of the file, or before a line that begins the next message.

use super::separator::is_dated;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How much of a header is looked at in search of the field.
const LONGEST_HEADER: usize = 64 << 10;
/// How much of what follows a message is looked at.
const NEAR: usize = 1024;

/// What the header of a message claims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Claim {
    /// Nothing.
    #[default]
    None,
    /// This length of the body, in octets.
    Octets(u64),
    /// No length, or several.
    Bad,
}

impl Claim {
    /// Looks at a line of the header.
    pub(super) fn look(&mut self, line: &[u8]) {
        let Some((name, value)) = memchr::memchr(b':', line).and_then(|at| Some((line.get(..at)?, line.get(at + 1..)?))) else { return };
        if !name.trim_ascii_end().eq_ignore_ascii_case(b"content-length") {
            return;
        }
        let digits = std::str::from_utf8(value.trim_ascii()).ok().filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()));
        *self = match (&*self, digits.and_then(|text| text.parse().ok())) {
            (Self::None, Some(octets)) => Self::Octets(octets),
            (Self::Octets(before), Some(octets)) if *before == octets => Self::Octets(octets),
            _ => Self::Bad,
        };
    }
}

/// Whether a message that is said to end before octet `end` does. `undated`: see [`super::cut::MboxReader`].
pub(super) fn ends_message(file: &File, end: u64, undated: bool) -> io::Result<bool> {
    let near = read(file, end.saturating_sub(1), NEAR)?;
    let Some((last, rest)) = near.split_first() else { return Ok(false) };
    let after = rest.strip_prefix(b"\n").or_else(|| rest.strip_prefix(b"\r\n"));
    let begins = |octets: &[u8]| {
        let line = octets.split(|octet| *octet == b'\n').next().unwrap_or_default();
        line.starts_with(b"From ") && (undated || is_dated(line))
    };
    let is_between = after.is_some_and(|after| after.is_empty() || begins(after)) || (*last == b'\n' && begins(rest));
    Ok(rest.is_empty() || is_between)
}

/// Whether the message whose header begins at `start` has a claim of its own that holds.
pub(super) fn holds_at(file: &File, start: u64, undated: bool) -> io::Result<bool> {
    let header = read(file, start, LONGEST_HEADER)?;
    let (mut claim, mut at) = (Claim::None, start);
    for line in header.split_inclusive(|octet| *octet == b'\n') {
        at += line.len() as u64;
        if is_blank(line) {
            let end = if let Claim::Octets(octets) = claim { at.checked_add(octets) } else { None };
            return end.map_or(Ok(false), |end| ends_message(file, end, undated));
        }
        claim.look(line);
    }
    Ok(false)
}

/// Whether a line is empty.
pub(super) fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n")
}

/// What a range of the file holds: less where the file ends.
fn read(file: &File, at: u64, longest: usize) -> io::Result<Vec<u8>> {
    let mut octets = vec![0; longest];
    let mut filled = 0;
    while let Some(rest) = octets.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        // An offset beyond what files can have is an offset beyond the end.
        match at.checked_add(filled as u64).filter(|at| i64::try_from(*at).is_ok()).map_or(Ok(0), |at| file.read_at(rest, at)) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    octets.truncate(filled);
    Ok(octets)
}
