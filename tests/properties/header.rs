//! Any octets are a header, of which no field is lost.

use super::offset;
use mdrop::header::{Field, fields, long};
use std::io::BufReader;

/// Lines that are no fields and must neither end the header nor hide what follows.
const JUNK: [&[u8]; 6] = [b"junk\n", b":\n", b"\x00\xff: 1\n", b"a b: c\n", b"From x\n", b"\x0b\n\tfolded: junk\n"];

pub fn check(octets: &[u8]) {
    let all: Vec<Field> = fields(octets).collect();
    lie_in_order(octets, &all);
    are_read_in_pieces(octets, &all);
    survive_junk(octets, &all);
}

fn lie_in_order(octets: &[u8], all: &[Field]) {
    let mut end = 0;
    for field in all {
        assert!(!field.name.is_empty() && field.name.iter().all(u8::is_ascii_graphic) && !field.name.contains(&b':'));
        assert!(field.is(std::str::from_utf8(field.name).unwrap()));
        let value = offset(octets, field.value);
        // As the stream quotes it, From is spelt anew.
        let is_quoted = field.name == b"From" && !octets[..value].ends_with(b"From:");
        assert!(is_quoted || end <= offset(octets, field.name) && offset(octets, field.name) + field.name.len() < value);
        assert!(end < value);
        end = value + field.value.len();
        let unfolded = field.unfolded(100);
        assert!(unfolded.len() <= 100 && !unfolded.contains(&b'\n') && !unfolded.contains(&b'\r'));
    }
}

fn are_read_in_pieces(octets: &[u8], all: &[Field]) {
    let piece = 3 + octets.len() % 61;
    let reader = || BufReader::with_capacity(piece, octets);
    let eol = long::line_end(&mut reader()).unwrap();
    let mut at = 0;
    long::each_field(&mut reader(), eol, usize::MAX, &mut |field, cut| {
        assert!(!cut);
        assert_eq!(Some(field), all.get(at), "field {at}");
        at += 1;
    })
    .unwrap();
    assert_eq!(at, all.len());
}

/// The fields written again with junk between them are the same fields.
fn survive_junk(octets: &[u8], all: &[Field]) {
    if long::line_end(&mut &octets[..]).unwrap() != b'\n' {
        return;
    }
    let mut again = JUNK[0].to_vec();
    for (at, field) in all.iter().enumerate() {
        again.extend_from_slice(&[field.name, b":", field.value].concat());
        if !again.ends_with(b"\n") {
            again.push(b'\n');
        }
        again.extend_from_slice(JUNK[at % JUNK.len()]);
    }
    again.extend_from_slice(b"Last: 1\n\nBody: 1\n");
    let mut found: Vec<(&[u8], &[u8])> = fields(&again).map(|field| (field.name, field.value)).collect();
    assert_eq!(found.pop(), Some((&b"Last"[..], &b" 1\n"[..])));
    let without_end = |value| <[u8]>::strip_suffix(value, b"\n").unwrap_or(value);
    assert_eq!(found.len(), all.len());
    for (found, field) in found.iter().zip(all) {
        assert_eq!((found.0, without_end(found.1)), (field.name, without_end(field.value)));
    }
}
