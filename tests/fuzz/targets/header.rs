//! See tests/properties/header.rs.
#![no_main]
#![allow(dead_code)]

#[path = "../../properties/mod.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| properties::header::check(octets));
