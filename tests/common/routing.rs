//! mdrop-route run on made streams, with a profile that is written for the test.

use mdrop::identity::{Account, Origin, Place, Uid, UidValidity};
use mdrop::record::{ObjectIds, Record, Route, V1};
use mdrop::stream::{Measure, Meta, StreamWriter};
use mdrop::time::Time;
use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A stream of messages, with UIDs from 1.
pub fn stream(messages: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut stream = Vec::new();
    write_stream(&mut stream, messages);
    stream
}

/// A stream of messages, each with when the server took it.
pub fn stream_received(messages: &[(impl AsRef<[u8]>, Option<Time>)]) -> Vec<u8> {
    let mut stream = Vec::new();
    write_received(&mut stream, messages.iter().map(|(octets, received)| (octets.as_ref(), *received)));
    stream
}

/// Writes a stream of messages, with UIDs from 1.
pub fn write_stream(output: impl Write, messages: &[impl AsRef<[u8]>]) {
    write_received(output, messages.iter().map(|octets| (octets.as_ref(), None)));
}

fn write_received<'a>(output: impl Write, messages: impl Iterator<Item = (&'a [u8], Option<Time>)>) {
    let mut writer = StreamWriter::new(output);
    for (uid, (octets, received)) in (1..).zip(messages) {
        let mut measure = Measure::default();
        measure.update(octets);
        let (size, digest, eol) = measure.finish();
        let place = Place::Imap { mailbox: "INBOX".into(), uidvalidity: UidValidity(9), uid: Uid(uid) };
        let origin = Origin { account: Account { name: "acme".into(), login: "a@b".into() }, place };
        let meta = Meta {
            v: V1,
            origin,
            size,
            digest,
            eol,
            received,
            server_size: None,
            flags: Vec::new(),
            objects: ObjectIds::default(),
            route: None,
        };
        writer.write_octets(&meta, &mut { octets }).unwrap();
    }
    writer.finish().unwrap();
}

/// A folder with a profile.
pub struct Profile(pub tempfile::TempDir);

impl Profile {
    /// One whose `[route]` says `settings`.
    pub fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("[account]\nprotocol = \"mbox\"\npath = \"mail\"\n[route]\n{settings}");
        let path = folder.path().join("acme.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        Self(folder)
    }

    /// A file beside the profile.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file beside the profile.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Runs mdrop-route with it.
    pub fn run(&self, more: &[&str], input: &[u8]) -> Output {
        let mut command = Command::new(super::tools::path_of("mdrop-route"));
        command.arg("-p").arg(self.0.path().join("acme.toml")).args(more);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // A tool that ends early closes its end; the output says why.
                let _ = pipe.write_all(input);
            });
            child.wait_with_output().unwrap()
        })
    }

    /// What mdrop-route --explain says of a stream.
    pub fn explain(&self, input: &[u8]) -> Vec<Route> {
        let output = self.run(&["--explain", "-q"], input);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        routes(&output.stdout)
    }
}

/// The `route` records in lines of JSON.
pub fn routes(lines: &[u8]) -> Vec<Route> {
    let route = |line: &[u8]| match Record::parse(line).unwrap() {
        Record::Route(route) => *route,
        other => panic!("not a route: {other:?}"),
    };
    lines.split_inclusive(|b| *b == b'\n').map(route).collect()
}

/// The users under whom a message is filed.
pub fn users(route: &Route) -> BTreeSet<&str> {
    route.filings.iter().map(|filing| filing.user.as_str()).collect()
}

/// The recipients of a record, in lower case.
pub fn recipients(route: &Route) -> BTreeSet<String> {
    route.recipients.iter().map(|r| r.address.as_ref().unwrap().lossy().to_lowercase()).collect()
}

/// The folder of material that is not part of the project.
pub fn shared(below: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("MDROP_SHARED").map_or(beside, PathBuf::from);
    if folder.join(below).exists() {
        return Some(folder);
    }
    eprintln!("passed over: there is no {}", folder.join(below).display());
    None
}

/// The messages of a file, which is an mbox if it begins with `From `.
pub fn messages(octets: &[u8]) -> Vec<&[u8]> {
    if !octets.starts_with(b"From ") {
        return vec![octets];
    }
    let begins = memchr::memmem::find_iter(octets, b"\nFrom ").filter(|at| {
        let before = &octets[..*at];
        before.ends_with(b"\n") || before.ends_with(b"\n\r")
    });
    let mut starts: Vec<usize> = std::iter::once(0).chain(begins.map(|at| at + 1)).collect();
    starts.push(octets.len());
    starts.windows(2).map(|pair| &octets[pair[0]..pair[1]]).collect()
}
