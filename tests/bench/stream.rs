//! How fast the stream codec is: writing, and reading with the digest, on mail of usual sizes. `cargo bench --bench stream`
#![allow(clippy::unwrap_used, missing_docs)]

use divan::Bencher;
use divan::counter::BytesCount;
use mdrop::identity::{Account, Origin, Place};
use mdrop::record::{ObjectIds, V1};
use mdrop::stream::{Measure, Meta, StreamReader, StreamWriter};
use std::io;

fn main() {
    divan::main();
}

/// Octets that look like mail: a header of 3 KiB, and text or base64 in lines; sizes as in a usual mailbox: most are small, a few are large.
fn mailbox() -> Vec<(Meta, Vec<u8>)> {
    let sizes = [3_000, 5_000, 9_000, 14_000, 30_000, 60_000, 110_000, 400_000];
    (0..400).map(|n| (n, sizes[n % sizes.len()])).map(|(n, size)| message(n, size)).collect()
}

fn message(n: usize, size: usize) -> (Meta, Vec<u8>) {
    let mut seed = n as u64 + 1;
    let mut octets = format!("Date: Mon\r\nMessage-ID: <{n}@example.org>\r\n").into_bytes();
    while octets.len() < size {
        let length = if octets.len() < 3000 { 60 } else { 76 };
        for _ in 0..length {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            octets.push(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[(seed >> 58) as usize]);
        }
        octets.extend_from_slice(b"\r\n");
    }
    let mut measure = Measure::default();
    measure.update(&octets);
    let (size, digest, eol) = measure.finish();
    let origin = Origin { account: Account { name: "b".into(), login: String::new() }, place: Place::Pop3 { uidl: n.to_string().into() } };
    (
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
        },
        octets,
    )
}

fn total(mailbox: &[(Meta, Vec<u8>)]) -> BytesCount {
    BytesCount::new(mailbox.iter().map(|(_, octets)| octets.len()).sum::<usize>())
}

fn written(mailbox: &[(Meta, Vec<u8>)], output: impl io::Write) {
    let mut writer = StreamWriter::new(output);
    for (meta, octets) in mailbox {
        writer.write_octets(meta, &mut octets.as_slice()).unwrap();
    }
    writer.finish().unwrap();
}

#[divan::bench]
fn write(bencher: Bencher) {
    let mailbox = mailbox();
    bencher.counter(total(&mailbox)).bench_local(|| written(&mailbox, io::sink()));
}

#[divan::bench]
fn read_with_digest(bencher: Bencher) {
    let mailbox = mailbox();
    let mut stream = Vec::new();
    written(&mailbox, &mut stream);
    bencher.counter(total(&mailbox)).bench_local(|| {
        let mut reader = StreamReader::new(stream.as_slice());
        let mut n = 0;
        while reader.read(&mut io::sink(), &mut io::sink()).unwrap().is_some() {
            n += 1;
        }
        assert_eq!(n, mailbox.len());
    });
}

#[divan::bench]
fn measure(bencher: Bencher) {
    let mailbox = mailbox();
    bencher.counter(total(&mailbox)).bench_local(|| {
        for (meta, octets) in &mailbox {
            let mut measure = Measure::default();
            measure.update(octets);
            assert_eq!(measure.finish().1, meta.digest);
        }
    });
}
