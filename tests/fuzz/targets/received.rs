//! See tests/properties/received.rs.
#![no_main]
#![allow(dead_code)]

#[path = "../../../tools/mdrop-route/peer.rs"]
mod peer;
#[path = "../../properties/mod.rs"]
mod properties;
#[path = "../../../tools/mdrop-route/received.rs"]
mod received;
#[path = "../../properties/received.rs"]
mod received_property;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| received_property::check(octets));
