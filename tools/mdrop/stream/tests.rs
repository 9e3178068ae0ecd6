//! Every octet comes back, and every lost or changed one is noticed.

use super::*;
use crate::error::Status;
use crate::identity::{Account, Place};
use proptest::prelude::*;
use std::io::BufReader;

fn meta_of(octets: &[u8], uidl: &str) -> Meta {
    let mut measure = Measure::default();
    octets.chunks(5).for_each(|part| measure.update(part));
    let (size, digest, eol) = measure.finish();
    let origin = Origin { account: Account { name: "t".into(), login: String::new() }, place: Place::Pop3 { uidl: uidl.into() } };
    Meta {
        v: V1,
        origin,
        size,
        digest,
        eol,
        received: None,
        server_size: None,
        flags: Vec::new(),
        objects: ObjectIds::default(),
        route: None,
    }
}

fn stream_of(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = StreamWriter::new(Vec::new());
    for (i, octets) in messages.iter().enumerate() {
        writer.write_octets(&meta_of(octets, &i.to_string()), &mut BufReader::with_capacity(3, Dribble(octets))).unwrap();
    }
    writer.finish().unwrap()
}

/// Hands out few octets at a time, as a slow pipe does.
struct Dribble<'a>(&'a [u8]);

impl Read for Dribble<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = 3.min(self.0.len()).min(to.len());
        to[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

/// A message with its encoded form and its octets.
type Message = (Meta, Vec<u8>, Vec<u8>);

/// Every message, or the error in its place.
fn read_all(input: impl Read) -> Vec<Result<Message>> {
    let mut reader = StreamReader::new(input);
    let mut all = Vec::new();
    loop {
        let (mut encoded, mut octets) = (Vec::new(), Vec::new());
        match reader.read(&mut encoded, &mut octets) {
            Ok(None) => return all,
            Ok(Some(meta)) => all.push(Ok((meta, encoded, octets))),
            Err(e) => all.push(Err(e.into_error())),
        }
    }
}

/// The cases that the format's page names, and their neighbours.
fn hard_cases() -> Vec<Vec<u8>> {
    let mut cases: Vec<Vec<u8>> = [
        "",
        "\n",
        "\r\n",
        "\r",
        "a",
        "a\r",
        "a\n",
        "a\r\n",
        "\r\r\n",
        "a\n\r\n",
        "a\r\nb",
        "a\r\nb\r",
        "a\r\nb\n",
        "\n\n",
        "\r\n\r\n",
        "From ",
        "From a",
        "From a\r\n",
        "\r\nFrom a\r\n",
        ">From a\r\n",
        ">>From a",
        "a\r\n>From\r\n>>>From b\r\n",
        "From\r\n",
        "Fro",
        ">",
        ">>",
        ">\r\n>",
        "> From a\r\n",
        " leading blank\r\n",
        "X-Mdrop: {}\r\n\r\n",
        "A: b\r\n\r\n\r\n\r\n",
        "a\0b\r\n",
        "Content-Length: 0\r\n\r\nFrom x\r\n",
        "a\r\n\r\nFrom b Mon\r\nX-Mdrop: {\"v\":1}\r\n\r\n",
        "F",
        "F\r\n",
        "Fr\nom ",
        ">F\n",
        "From \n",
        "\nFrom \nFrom ",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    cases.push(vec![0xff, 0, b'\n', 0x80]);
    cases.push(vec![b'>'; 300_000]);
    cases.push([vec![b'>'; 100_000], b"From x\r\n".to_vec()].concat());
    cases.push(b"x\r\n".repeat(200_000));
    cases.push(vec![b'y'; 700_000]);
    cases
}

#[test]
fn every_hard_case_comes_back_octet_for_octet() {
    let cases = hard_cases();
    let stream = stream_of(&cases);
    for (i, input) in [read_all(stream.as_slice()), read_all(Dribble(&stream))].into_iter().enumerate() {
        assert_eq!(input.len(), cases.len(), "reading {i}");
        for (message, octets) in input.into_iter().zip(&cases) {
            let (meta, encoded, got) = message.unwrap();
            assert_eq!(&got, octets);
            let mut again = StreamWriter::new(Vec::new());
            again.write_slice(&meta, &encoded).unwrap();
            assert_eq!(read_all(again.finish().unwrap().as_slice()).remove(0).unwrap().2, *octets);
        }
    }
}

#[test]
fn a_message_in_which_every_lf_follows_a_cr_travels_with_lf() {
    assert_eq!(meta_of(b"a\r\nb", "1").eol, Eol::Crlf);
    assert_eq!(meta_of(b"", "1").eol, Eol::Crlf);
    assert_eq!(meta_of(b"a\r\nb\n", "1").eol, Eol::Raw);
    assert_eq!(meta_of(b"\n", "1").eol, Eol::Raw);
    let stream = stream_of(&[b"A: b\r\n\r\nFrom c\r\n".to_vec()]);
    assert!(stream.ends_with(b"\nA: b\n\n>From c\n\n"), "{}", stream.escape_ascii());
}

#[test]
fn the_x_mdrop_line_is_the_first_line_of_a_message() {
    let stream = String::from_utf8(stream_of(&[b"A: b\r\n".to_vec()])).unwrap();
    let lines: Vec<&str> = stream.split('\n').collect();
    assert!(lines[0].starts_with("From MAILER-DAEMON Thu Jan  1 00:00:00 1970"), "{stream}");
    assert!(lines[1].starts_with("X-Mdrop: {\"v\":1,\"account\":\"t\",\"uidl\":\"0\",\"size\":6,\"digest\":\"blake3:"), "{stream}");
}

#[test]
fn a_message_without_the_line_is_refused_and_the_next_one_is_read() {
    let good = stream_of(&[b"A: b\r\n".to_vec()]);
    for bad in [&b"From x\nSubject: y\n\n\n"[..], b"garbage\n\n", b"From x\n", b"From x\nX-Mdrop: {\"v\":1}\n\n", b"\n\n"] {
        let all = read_all([bad, &good].concat().as_slice());
        assert_eq!(all.len(), 2, "{}", bad.escape_ascii());
        assert!(all[0].as_ref().is_err_and(|e| e.status() == Status::Data));
        assert!(all[1].is_ok());
    }
}

#[test]
fn a_hostile_size_is_an_error_and_no_panic() {
    let stream = String::from_utf8(stream_of(&[b"A: b\r\n".to_vec()])).unwrap();
    let stream = stream.replace("\"size\":6", "\"size\":18446744073709551615");
    assert!(read_all(stream.as_bytes())[0].is_err());
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"From ".to_vec()),
        Just(b">".to_vec()),
        Just(b"\0".to_vec()),
        Just(b"Fro".to_vec()),
        Just(b"X-Mdrop: {}".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_octets_come_back(messages in proptest::collection::vec(message(), 0..6)) {
        let stream = stream_of(&messages);
        let read: Vec<Vec<u8>> = read_all(stream.as_slice()).into_iter().map(|m| m.unwrap().2).collect();
        prop_assert_eq!(&read, &messages);
        let slowly: Vec<Vec<u8>> = read_all(Dribble(&stream)).into_iter().map(|m| m.unwrap().2).collect();
        prop_assert_eq!(&slowly, &messages);
    }

    #[test]
    fn a_cut_stream_never_gives_a_message_that_was_not_there(messages in proptest::collection::vec(message(), 1..4), cut in any::<prop::sample::Index>()) {
        let stream = stream_of(&messages);
        let cut = cut.index(stream.len());
        let all = read_all(&stream[..cut]);
        let whole: Vec<&Vec<u8>> = all.iter().filter_map(|m| m.as_ref().ok().map(|m| &m.2)).collect();
        prop_assert!(whole.len() <= messages.len());
        prop_assert!(whole.iter().zip(&messages).all(|(got, sent)| *got == sent));
        let boundaries: Vec<usize> = (0..=messages.len()).map(|n| stream_of(&messages[..n]).len()).collect();
        prop_assert_eq!(all.iter().any(std::result::Result::is_err), !boundaries.contains(&cut));
    }

    #[test]
    fn a_changed_octet_is_never_taken_for_the_message(messages in proptest::collection::vec(message(), 1..4), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut stream = stream_of(&messages);
        // A boundary that is gone takes the messages on both its sides along.
        let at = at.index(stream.len());
        stream[at] ^= 1 << bit;
        let got: Vec<Vec<u8>> = read_all(stream.as_slice()).into_iter().filter_map(|m| m.ok().map(|m| m.2)).collect();
        prop_assert!(got.iter().all(|octets| messages.contains(octets)));
        prop_assert!(got.len() + 2 >= messages.len());
    }

    #[test]
    fn garbage_is_no_panic_and_ends(octets in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(read_all(octets.as_slice()).iter().all(std::result::Result::is_err));
    }
}
