//! What the tests of whole tools share; each uses a part of it.
#![allow(dead_code)]

pub mod client;
pub mod courier;
pub mod cyrus;
pub mod daemon;
pub mod dovecot;
pub mod measure;
pub mod routing;
pub mod served;
pub mod slapd;
pub mod tools;
