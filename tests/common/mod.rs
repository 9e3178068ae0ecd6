//! What the tests of whole tools share; each uses a part of it.
#![allow(dead_code)]

pub mod audit;
pub mod client;
pub mod courier;
pub mod cyrus;
pub mod daemon;
pub mod disk;
pub mod dovecot;
pub mod measure;
pub mod routing;
pub mod served;
pub mod slapd;
pub mod tools;
pub mod writer;
