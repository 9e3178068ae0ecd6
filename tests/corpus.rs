//! What fuzzing has kept is tried again: each file of tests/fuzz/corpus, without a fuzzer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, dead_code)]

#[path = "../tools/mdrop-route/peer.rs"]
mod peer;
mod properties;
#[path = "../tools/mdrop-route/received.rs"]
mod received;
#[path = "properties/received.rs"]
mod received_property;

use std::path::{Path, PathBuf};

/// The files of a folder in tests/fuzz, in the order of their names.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Tries each file, and small changes to it: the end cut off, and the octets twice.
fn try_all(target: &str, check: fn(&[u8])) {
    if !Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").exists() {
        return eprintln!("passed over: no tests/fuzz, which the published package lacks");
    }
    let files = files(&format!("corpus/{target}"));
    let size: u64 = files.iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(!files.is_empty() && files.len() < 100 && size < 100 << 10, "{target}: {} files, {size} octets", files.len());
    for path in files {
        eprintln!("{}", path.display());
        let octets = std::fs::read(&path).unwrap();
        check(&octets);
        check(&octets[..octets.len() / 2]);
        check(&[octets.as_slice(), &octets].concat());
    }
}

#[test]
fn what_must_hold_of_headers_holds_for_the_corpus() {
    try_all("header", properties::header::check);
}

#[test]
fn what_must_hold_of_addresses_holds_for_the_corpus() {
    try_all("address", properties::address::check);
}

#[test]
fn what_must_hold_of_received_fields_holds_for_the_corpus() {
    try_all("received", received_property::check);
}

#[test]
fn what_must_hold_of_journal_reports_holds_for_the_corpus() {
    try_all("journal", properties::journal::check);
}
