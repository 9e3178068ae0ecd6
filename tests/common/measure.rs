//! Runs mdrop-route on a stream in a file, and measures what that costs.

use super::routing::{Profile, write_stream};
use super::tools::path_of;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Command, Stdio};

/// What a run cost, and what it said.
#[derive(Debug)]
pub struct Measured {
    /// The most memory it held, in octets.
    pub peak: u64,
    /// The processor's time, in seconds.
    pub seconds: f64,
    /// The users for whom the message is filed.
    pub users: BTreeSet<String>,
    /// What was found, a word each.
    pub findings: Vec<String>,
    /// What it said on stderr.
    pub stderr: String,
}

/// Routes one message, which must come out with its size, and with status 0.
#[track_caller]
pub fn route(profile: &Profile, message: &[u8]) -> Measured {
    let (stream, figures) = (profile.0.path().join("stream"), profile.0.path().join("figures"));
    write_stream(File::create(&stream).unwrap(), &[message]);
    // What wait4(2) says of a child is never less than this process's own memory; what it says of time's child is.
    let mut command = Command::new("/usr/bin/time");
    command.args(["-f", "%M %U %S", "-o"]).arg(&figures).arg(path_of("mdrop-route"));
    command.arg("-p").arg(profile.0.path().join("acme.toml")).stdin(File::open(&stream).unwrap());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (said, octets) = read(child.stdout.take().unwrap());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(octets >= message.iter().filter(|b| **b != b'\r').count() as u64, "it is not whole");
    let text = std::fs::read_to_string(figures).unwrap();
    let numbers: Vec<f64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
    let kilobytes: u64 = text.split_whitespace().next().unwrap().parse().unwrap();
    let words = |list: &str, name: &str| -> Vec<String> {
        let members = said[list].as_array().into_iter().flatten();
        members.map(|member| member[name].as_str().unwrap().to_owned()).collect()
    };
    let (users, findings) = (words("filings", "user").into_iter().collect(), words("findings", "finding"));
    Measured { peak: kilobytes << 10, seconds: numbers[1] + numbers[2], users, findings, stderr }
}

/// What a stream's first line says of its message, and how many octets follow; the library's reader would take longer than what is tested.
fn read(stream: impl Read) -> (serde_json::Value, u64) {
    let mut reader = BufReader::with_capacity(1 << 20, stream);
    let mut line = Vec::new();
    while !line.starts_with(b"X-Mdrop: ") {
        line.clear();
        assert_ne!(reader.read_until(b'\n', &mut line).unwrap(), 0, "no message came out");
    }
    (serde_json::from_slice(&line[9..]).unwrap(), io::copy(&mut reader, &mut io::sink()).unwrap())
}
