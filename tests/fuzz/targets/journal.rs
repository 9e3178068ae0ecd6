//! See tests/properties/journal.rs.
#![no_main]
#![allow(dead_code)]

#[path = "../../properties/mod.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| properties::journal::check(octets));
