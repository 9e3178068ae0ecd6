//! Tests of cutting an mbox, kind by kind.

use super::cut::MboxReader;
use crate::error::{Result, Status};
use crate::profile::MboxFormat::{self, Mboxcl, Mboxcl2, Mboxo, Mboxrd};
use crate::spool::Spool;
use std::io::{Cursor, Write};

/// The messages, and the notices of all of them.
fn read(mbox: &str, format: MboxFormat) -> Result<(Vec<String>, Vec<&'static str>)> {
    let mut file = tempfile::tempfile()?;
    file.write_all(mbox.as_bytes())?;
    let mut reader = MboxReader::new(Box::new(Cursor::new(mbox.as_bytes().to_vec())), format, Some(file))?;
    let (mut raw, mut all, mut notices) = (Spool::new(1 << 20), Vec::new(), Vec::new());
    while reader.next(&mut raw)? {
        all.push(String::from_utf8_lossy(raw.in_memory().unwrap_or_default()).into_owned());
        notices.extend(reader.notices().map(|notice| notice.finding));
    }
    Ok((all, notices))
}

/// A dated separator.
const FROM: &str = "From a@example.com Mon Nov 23 00:00:00 2026\n";

#[test]
fn an_mbox_is_cut_where_from_follows_an_empty_line_and_unquoted_once() -> Result<()> {
    let cases: [(&str, &[&str]); 10] = [
        ("", &[]),
        ("From a\nA: b\n\nx\n\nFrom b\nC: d\n\ny\n\n", &["A: b\n\nx\n", "C: d\n\ny\n"]),
        ("From a\nA: b\n\nx\nFrom c\n\n", &["A: b\n\nx\nFrom c\n"]),
        ("From a\nA: b\n\n>From c\n>>From d\n> From e\n\n", &["A: b\n\nFrom c\n>From d\n> From e\n"]),
        ("From a\r\nA: b\r\n\r\nx\r\n\r\nFrom b\r\n\r\n", &["A: b\r\n\r\nx\r\n", ""]),
        ("From a\nA: b\n\n\n\nFrom b\nno end", &["A: b\n\n\n", "no end"]),
        ("From a\n\n", &[""]),
        ("From a", &[""]),
        ("From a\n\n\nFrom b\n\n\n\n", &["\n", "\n\n"]),
        ("From a\nA: b\n\nx\n", &["A: b\n\nx\n"]),
    ];
    for (mbox, expected) in cases {
        for format in [Mboxrd, Mboxo, Mboxcl, Mboxcl2].into_iter().filter(|format| !mbox.contains('>') || *format == Mboxrd) {
            assert_eq!(read(mbox, format)?.0, expected, "{mbox:?} {format:?}");
        }
    }
    assert_eq!(read("A: b\n", Mboxrd).map_err(|e| e.status()).err(), Some(Status::Data));
    Ok(())
}

#[test]
fn each_kind_takes_away_the_quoting_it_has() -> Result<()> {
    let mbox = format!("{FROM}A: b\n\n>From c\n>>From d\n>>>From e\n > From f\n\n");
    let cases = [
        (Mboxrd, "From c\n>From d\n>>From e\n > From f\n"),
        (Mboxo, "From c\n>>From d\n>>>From e\n > From f\n"),
        (Mboxcl, "From c\n>>From d\n>>>From e\n > From f\n"),
        (Mboxcl2, ">From c\n>>From d\n>>>From e\n > From f\n"),
    ];
    for (format, body) in cases {
        assert_eq!(read(&mbox, format)?, (vec![format!("A: b\n\n{body}")], vec![]), "{format:?}");
    }
    Ok(())
}

#[test]
fn a_line_without_a_date_is_text_and_told_unless_no_line_of_the_file_has_one() -> Result<()> {
    let text = "A: b\n\nx\n\nFrom here on it rains\n";
    let mbox = format!("{FROM}{text}\n{FROM}C: d\n\n");
    assert_eq!(read(&mbox, Mboxrd)?, (vec![text.to_owned(), "C: d\n".to_owned()], vec!["unquoted"]));
    let glued = format!("{FROM}A: b\n\nx\n{FROM}C: d\n\n");
    assert_eq!(read(&glued, Mboxrd)?, (vec![format!("A: b\n\nx\n{FROM}C: d\n")], vec!["unquoted"]));
    let undated = mbox.replace(FROM, "From a\n");
    assert_eq!(read(&undated, Mboxrd)?.0, ["A: b\n\nx\n", "", "C: d\n"]);
    Ok(())
}

/// A message with its length, as a program that writes mboxcl2 has it.
fn with_length(header: &str, body: &str) -> String {
    format!("{header}Content-Length: {}\n\n{body}", body.len())
}

#[test]
fn a_length_that_holds_keeps_lines_that_look_like_a_beginning() -> Result<()> {
    let quoting = with_length("A: b\n", &format!("x\n\n{FROM}Subject: inside\n\ny\n\n"));
    let plain = with_length("C: d\n", "z\n");
    for end in ["\n", ""] {
        let mbox = format!("{FROM}{quoting}\n{FROM}{plain}{end}");
        assert_eq!(read(&mbox, Mboxcl2)?, (vec![quoting.clone(), plain.clone()], vec!["unquoted"]));
    }
    // Some count the empty line between messages, too.
    let counted = with_length("A: b\n", &format!("x\n\n{FROM}y\n\n"));
    assert_eq!(read(&format!("{FROM}{counted}{FROM}{plain}"), Mboxcl2)?.0, [counted, plain]);
    Ok(())
}

#[test]
fn in_an_mbox_with_crlf_lengths_hold_as_well() -> Result<()> {
    let crlf = |text: &str| text.replace('\n', "\r\n");
    let body = crlf(&format!("x\n\n{FROM}y\n"));
    let message = format!("A: b\r\ncontent-LENGTH:  {} \r\n\r\n{body}", body.len());
    let mbox = format!("{0}{message}\r\n{0}C: d\r\n\r\n", crlf(FROM));
    assert_eq!(read(&mbox, Mboxcl2)?.0, [message, "C: d\r\n".into()]);
    Ok(())
}

#[test]
fn a_length_that_lies_neither_loses_nor_merges_messages() -> Result<()> {
    let second = with_length("C: d\n", "y\n");
    let (after, all) = (format!("\n{FROM}{second}\n"), |claim: u64| claim.to_string());
    let body = "x\n\nmore\n";
    let reaching = (body.len() + after.len()) as u64;
    let claims = [
        all(0),
        all(1),
        all(3),
        all(body.len() as u64 + 3),
        all(reaching - 1),
        all(reaching),
        all(1 << 40),
        all(u64::MAX),
        "99999999999999999999999".into(),
        "-1".into(),
        "8 octets".into(),
        String::new(),
        "8\nContent-Length: 9".into(),
    ];
    for format in [Mboxcl, Mboxcl2] {
        for claim in &claims {
            let first = format!("A: b\nContent-Length: {claim}\n\n{body}");
            let (messages, notices) = read(&format!("{FROM}{first}{after}"), format)?;
            assert_eq!(messages, [first, second.clone()], "{claim} {format:?}");
            assert_eq!(notices, if claim == "0" { vec![] } else { vec!["misleading"] }, "{claim} {format:?}");
        }
    }
    // Where lengths are not asked for, they are not even looked at.
    let first = format!("A: b\nContent-Length: {reaching}\n\n{body}");
    assert_eq!(read(&format!("{FROM}{first}{after}"), Mboxrd)?, (vec![first, second], vec![]));
    Ok(())
}

#[test]
fn where_lines_are_quoted_a_beginning_is_one_whatever_a_length_says() -> Result<()> {
    let inside = "C: d\n\ny\n";
    let first = format!("A: b\nContent-Length: {}\n\nx\n", "x\n".len() + 1 + FROM.len() + inside.len());
    let mbox = format!("{FROM}{first}\n{FROM}{inside}\n{FROM}E: f\n\n");
    assert_eq!(read(&mbox, Mboxcl)?, (vec![first, inside.to_owned(), "E: f\n".to_owned()], vec!["misleading"]));
    Ok(())
}

#[test]
fn lines_longer_than_a_piece_stay_whole() -> Result<()> {
    let long = "x".repeat(200_000);
    let mbox = format!("From {long}\nA: {long}\n\n{long}\nFrom {long}\n\nFrom b\n\n");
    assert_eq!(read(&mbox, Mboxrd)?.0, [format!("A: {long}\n\n{long}\nFrom {long}\n"), String::new()]);
    let message = with_length("A: b\n", &format!("{long}\n\n{FROM}{long}\n"));
    assert_eq!(read(&format!("{FROM}{message}\n{FROM}\n"), Mboxcl2)?.0, [message, String::new()]);
    Ok(())
}
