//! What must hold for any octets: the readers of headers, addresses, Received fields and journal reports.
//!
//! The same functions are fuzzed (tests/fuzz) and tried on what fuzzing has kept (tests/corpus.rs). Each panics where something does not
//! hold.

pub mod address;
pub mod header;
pub mod journal;

/// Where `part` lies in `whole`, of which it is a slice.
pub fn offset(whole: &[u8], part: &[u8]) -> usize {
    let at = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize).unwrap();
    assert!(at + part.len() <= whole.len(), "not a part of the octets");
    at
}

/// The octets without any white space.
pub fn squeezed(octets: &[u8]) -> Vec<u8> {
    octets.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect()
}

/// Whether the octets of `part` stand in `whole` in this order.
pub fn is_subsequence(part: &[u8], whole: &[u8]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|b| rest.any(|other| other == b))
}
