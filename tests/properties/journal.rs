//! Whatever a message holds, a report in it lies inside it, and is the same in whichever pieces the message comes.

use mdrop::address::Address;
use mdrop::journal::{self, Line, Reader, Report, Source};
use std::collections::HashMap;
use std::io::Write;

pub fn check(octets: &[u8]) {
    let report = journal::read(octets);
    assert_eq!(report, in_pieces(octets), "the pieces in which the message comes make a difference");
    let Some(report) = report else { return };
    if let Some(inner) = &report.inner {
        let end = inner.offset.checked_add(inner.length).unwrap();
        assert!(end <= octets.len() as u64, "the message inside ends outside");
    }
    check_report(&report);
}

/// Reads the message in pieces, as far as its reader asks for them.
fn in_pieces(octets: &[u8]) -> Option<Report> {
    let mut reader = Reader::default();
    for piece in octets.chunks(1 + octets.len() % 61) {
        if reader.is_done() {
            break;
        }
        reader.write_all(piece).unwrap();
    }
    reader.finish()
}

fn check_report(report: &Report) {
    let mut seen: HashMap<&str, u32> = HashMap::new();
    for line in &report.lines {
        let position = seen.entry(line.label).or_default();
        *position += 1;
        assert_eq!(line.position, *position);
        check_line(line);
    }
    assert_eq!(report.senders().count() + report.recipients().count(), report.lines.len());
    assert!(report.notes.iter().all(|(word, text)| !word.is_empty() && !text.is_empty()));
    if let Some(nested) = &report.nested {
        check_report(nested);
    }
}

fn check_line(line: &Line) {
    assert!(!line.addresses.is_empty() || !line.value.is_empty(), "a line that says nothing");
    for address in line.addresses.iter().chain(line.sources.iter().flat_map(Source::addresses)) {
        assert_eq!(Address::parse(&address.normal()).map(|again| again.normal()), Some(address.normal()));
    }
}
