//! See tests/properties/address.rs.
#![no_main]
#![allow(dead_code)]

#[path = "../../properties/mod.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| properties::address::check(octets));
