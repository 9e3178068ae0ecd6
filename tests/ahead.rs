//! A reader of mdrop-fetch that is slow does not stop the wire at once, and however long it waits, memory stays flat.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::served::{Served, mailserver::Mailbox};
use common::tools::path_of;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;
const MESSAGES: u32 = 300;

/// 300 messages of 100 KiB; number 200 has 32 MiB, more than is held in memory.
fn served() -> Served {
    let sizes = |uid| if uid == 200 { 32 * MIB } else { 100 << 10 };
    Served::with([b""; 0], |config| config.mailboxes = vec![Mailbox::synthetic("INBOX", 9, MESSAGES, sizes)])
}

/// The octets that lie in the sockets of connections with this port, as `proc_pid_net(5)` tells them.
fn queued(port: u16) -> u64 {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = format!(":{port:04X}");
    let hex = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let queues = table.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let concerned = columns[3] == "01" && (columns[1].ends_with(&port) || columns[2].ends_with(&port));
        concerned.then(|| columns[4].split_once(':').map(|(sent, received)| hex(sent) + hex(received)).unwrap())
    });
    queues.sum()
}

/// What a client has read of what the server sent, once that changes no more.
fn read_from_the_wire(served: &Served) -> u64 {
    let port = served.server.imap_addr.unwrap().port();
    let began = Instant::now();
    let mut before = (0, Instant::now());
    while before.1.elapsed() < Duration::from_secs(1) || before.0 < MIB {
        assert!(began.elapsed() < Duration::from_mins(1), "the wire does not come to rest, or nothing is read");
        std::thread::sleep(Duration::from_millis(50));
        let sent = served.server.traffic().0;
        if sent != before.0 {
            before = (sent, Instant::now());
        }
    }
    before.0 - queued(port)
}

fn peak_memory(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn the_wire_is_read_on_while_nobody_reads_the_stream_up_to_a_bound() {
    let served = served();
    let profile = served.profile("imap", "archive", "");
    let mut child = Command::new(path_of("mdrop-fetch")).arg("-p").arg(&profile).stdout(Stdio::piped()).spawn().unwrap();
    let read = read_from_the_wire(&served);
    assert!(read > 5 * MIB, "only {read} octets were read ahead");
    assert!(read < 16 * MIB, "{read} octets were read ahead");
    let mut stdout = child.stdout.take().unwrap();
    // So far that the large message has come, and not so far that the tool can be gone.
    let first = std::io::copy(&mut (&mut stdout).take(52 * MIB), &mut std::io::sink()).unwrap();
    let peak = peak_memory(&child);
    let octets = first + std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(octets > 55 * MIB, "the stream had {octets} octets only");
    assert!(peak < 48 * MIB, "it took {peak} octets of memory");
}
