//! A message as POP3 sends it: up to a line of one dot, with a dot less where a line begins with one (RFC 1939 section 3).
//!
//! Line ends are CR LF and nothing else: a bare LF or CR is an octet of the message, and the CR LF before the last dot belongs to it.

use crate::error::Result;
use crate::net::wire::Wire;
use memchr::memmem::Finder;
use std::io::Write;

/// Hands the message that comes next on the wire to `sink`.
pub(super) fn read_message(wire: &mut Wire, sink: &mut dyn Write) -> Result<()> {
    let stuffed = Finder::new(b"\r\n.");
    let mut last = *b"\r\n";
    loop {
        let filled = wire.fill()?;
        let first = filled.first().copied();
        if last == *b"\r\n" && first == Some(b'.') {
            if ends(wire)? {
                return Ok(());
            }
            wire.consume(1);
            // The dot is gone: whatever follows is no line's beginning, a second dot included.
            last = *b"\0.";
            continue;
        }
        let whole = if last[1] == b'\r' && first == Some(b'\n') { Some(1) } else { stuffed.find(filled).map(|at| at + 2) };
        let part = filled.get(..whole.unwrap_or(filled.len())).unwrap_or_default();
        sink.write_all(part)?;
        last = match part {
            [.., a, b] => [*a, *b],
            [b] => [last[1], *b],
            [] => last,
        };
        let taken = part.len();
        wire.consume(taken);
    }
}

/// Whether the dot at hand ends the message; if so it is consumed with its line end.
fn ends(wire: &mut Wire) -> Result<bool> {
    let next = wire.fill_at_least(2)?.get(1).copied();
    let length = match next {
        Some(b'\n') => 2,
        Some(b'\r') if wire.fill_at_least(3)?.get(2) == Some(&b'\n') => 3,
        _ => return Ok(false),
    };
    wire.consume(length);
    Ok(true)
}
