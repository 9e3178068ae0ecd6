//! Servers that neither answer nor go away: each of the profile's time-outs ends the wait that it is for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::dovecot::write_private;
use common::tools::{Ran, run};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// A server that does this with each connection. Returns its port.
fn server(each: impl Fn(TcpStream) + Send + Sync + Copy + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            std::thread::spawn(move || each(stream));
        }
    });
    port
}

/// Sends octet after octet, with pauses, until the other side has gone.
fn drip(stream: &mut TcpStream, octets: &[u8]) {
    for octet in octets {
        if stream.write_all(&[*octet]).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Fetches from a port with these settings, and demands that it takes no longer than this.
fn fetch(protocol: &str, port: u16, more: &str, most: Duration) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("acme.toml");
    write_private(&folder.path().join("pw"), "pw\n");
    let account = "tls = \"none\"\nhost = \"127.0.0.1\"\nusername = \"u\"\npassword-file = \"pw\"\nretries = 0\n";
    write_private(&profile, &format!("[account]\nprotocol = \"{protocol}\"\nport = {port}\n{account}{more}"));
    let began = Instant::now();
    let ran = run("mdrop-fetch", &["-p", profile.to_str().unwrap()], b"");
    assert!(began.elapsed() < most, "took {:?}", began.elapsed());
    ran
}

#[test]
fn a_greeting_that_drips_ends_with_the_login_timeout() {
    let port = server(|mut stream| drip(&mut stream, &[b'x'; 10_000]));
    for protocol in ["imap", "pop3"] {
        let ran = fetch(protocol, port, "login-timeout = \"600ms\"\n", Duration::from_secs(10));
        assert!(ran.stderr.contains("no login within 0.6 seconds, the login-timeout"), "{}", ran.stderr);
        assert_eq!(ran.code, 69);
    }
}

#[test]
fn a_message_that_drips_ends_with_the_run_timeout() {
    let imap = server(|mut stream| play_imap(&mut stream));
    let ran = fetch("imap", imap, "run-timeout = \"1s\"\n", Duration::from_secs(10));
    assert!(ran.stderr.contains("stopped after 1 seconds, the run-timeout"), "{}", ran.stderr);
    assert_eq!((ran.code, ran.stdout.len()), (75, 0));
}

/// One message that never ends.
fn play_imap(stream: &mut TcpStream) {
    let mut seen = Vec::new();
    let _ = stream.write_all(b"* OK ready\r\n");
    let mut octet = [0];
    while stream.read(&mut octet).is_ok_and(|read| read == 1) {
        seen.push(octet[0]);
        if octet[0] != b'\n' {
            continue;
        }
        let line = String::from_utf8(std::mem::take(&mut seen)).unwrap();
        let (tag, command) = line.trim().split_once(' ').unwrap();
        let untagged = match command.split(' ').next().unwrap() {
            "CAPABILITY" => "* CAPABILITY IMAP4rev1\r\n",
            "LIST" => "* LIST () \"/\" INBOX\r\n",
            "EXAMINE" => "* 1 EXISTS\r\n* OK [UIDVALIDITY 1]\r\n",
            _ if command.contains("RFC822.SIZE") => "* 1 FETCH (UID 1 RFC822.SIZE 9000 FLAGS ())\r\n",
            _ if command.contains("BODY.PEEK") => {
                let _ = stream.write_all(b"* 1 FETCH (UID 1 BODY[] {9000}\r\n");
                return drip(stream, &[b'x'; 9000]);
            }
            _ => "",
        };
        let _ = stream.write_all(format!("{untagged}{tag} OK\r\n").as_bytes());
    }
}

#[test]
fn a_server_that_takes_no_connection_ends_with_the_connect_timeout() {
    // Connections beyond what its queue holds are not answered, and those in it are never taken.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let full: Vec<_> = (0..8).map_while(|_| TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok()).collect();
    assert!(full.len() < 8, "the queue takes all");
    let ran = fetch("imap", address.port(), "connect-timeout = \"700ms\"\n", Duration::from_secs(10));
    assert!(ran.stderr.contains("no answer from the server for 0.7 seconds"), "{}", ran.stderr);
    assert_eq!(ran.code, 69);
}

#[test]
fn a_silent_server_ends_with_the_timeout() {
    let port = server(|mut stream| {
        let _ = stream.write_all(b"* OK ready\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let ran = fetch("imap", port, "timeout = \"500ms\"\n", Duration::from_secs(10));
    assert!(ran.stderr.contains("no answer from the server for 0.5 seconds"), "{}", ran.stderr);
    assert_eq!(ran.code, 69);
}
