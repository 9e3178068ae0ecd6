//! A server for tests that says what a script says, and then closes the connection.

use crate::error::Error;
use crate::held::{Held, Taker};
use crate::net::secret::Secret;
use crate::profile::{AccountSettings, Profile};
use std::fmt::Debug;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

/// Starts a server for one connection: it says `greeting`, then for each step waits for a line that holds the first text and answers
/// the second, in which TAG stands for the line's first word. Returns its port.
pub fn serve(greeting: &'static str, script: Vec<(&'static str, String)>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        stream.write_all(greeting.as_bytes()).unwrap();
        for (expected, reply) in script {
            let line = loop {
                match lines.next() {
                    Some(Ok(line)) if line.contains(expected) => break line,
                    Some(Ok(_)) => {}
                    _ => return,
                }
            };
            let tag = line.split(' ').next().unwrap_or_default();
            let _ = stream.write_all(reply.replace("TAG", tag).as_bytes());
        }
        let _ = stream.shutdown(std::net::Shutdown::Write);
        lines.for_each(drop);
    });
    port
}

/// An account on that server.
pub fn account(protocol: &str, port: u16, tls: &str) -> AccountSettings {
    let text = format!(
        "[account]\nprotocol = \"{protocol}\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"{tls}\"\nusername = \"u\"\ntimeout = \"1s\"\n"
    );
    Profile::parse("t", &text).unwrap().account
}

pub fn secret() -> Secret {
    Secret::new("p".into())
}

/// Remembers what it was given, as text.
#[derive(Default)]
pub struct Seen(pub Vec<String>);

impl<K: Debug> Taker<K> for Seen {
    fn message(&mut self, key: &K, octets: &mut Held) -> crate::error::Result<()> {
        let mut text = String::new();
        octets.reader()?.read_to_string(&mut text)?;
        self.0.push(format!("{key:?} {text:?}"));
        Ok(())
    }

    fn failed(&mut self, key: &K, error: Error) -> crate::error::Result<()> {
        self.0.push(format!("{key:?} failed {} {error}", error.status().code()));
        Ok(())
    }
}
