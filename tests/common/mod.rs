//! What the tests of whole tools share.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod dovecot;

use mdrop::stream::{Meta, StreamReader};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a tool printed, and how it ended.
pub struct Ran {
    /// Its exit status; -1 if a signal ended it.
    pub status: i32,
    /// Its standard output.
    pub out: Vec<u8>,
    /// Its standard error.
    pub err: String,
}

impl Ran {
    /// The messages of the stream it wrote.
    pub fn messages(&self) -> Vec<(Meta, Vec<u8>)> {
        let mut reader = StreamReader::new(self.out.as_slice());
        let mut all = Vec::new();
        loop {
            let (mut encoded, mut octets) = (Vec::new(), Vec::new());
            match reader.read(&mut encoded, &mut octets) {
                Ok(None) => return all,
                Ok(Some(meta)) => all.push((meta, octets)),
                Err(error) => panic!("{}", error.into_error()),
            }
        }
    }

    /// Its standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

/// Runs one of the tools on a profile.
pub fn run(tool: &str, profile: &Path, arguments: &[&str], input: &[u8]) -> Ran {
    let mut child = Command::new(tool)
        .arg("-p")
        .arg(profile)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool can't be started");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("the tool's end");
    let _ = feeder.join();
    Ran { status: output.status.code().unwrap_or(-1), out: output.stdout, err: String::from_utf8_lossy(&output.stderr).into_owned() }
}
