//! Runs the built tools, and makes streams for them.

use mdrop::identity::{Account, Origin, Place, Uid, UidValidity};
use mdrop::record::{Evidence, Filing, Kind, Known, ObjectIds, Receipt, Record, Role, Sample, V1};
use mdrop::stream::{Measure, Meta, Routing, StreamReader, StreamWriter};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a tool printed, and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// Its exit status; -1 if a signal ended it.
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ran {
    /// Demands this exit status.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stderr: {}", self.stderr);
        self
    }

    /// The records on stdout.
    pub fn records(&self) -> Vec<Record> {
        self.stdout.split_inclusive(|b| *b == b'\n').map(|line| Record::parse(line).unwrap()).collect()
    }

    /// The messages of the stream on stdout.
    pub fn messages(&self) -> Vec<(Meta, Vec<u8>)> {
        messages_of(&self.stdout)
    }

    /// Stdout as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The receipts on stdout.
    pub fn receipts(&self) -> Vec<Receipt> {
        self.records().into_iter().filter_map(|r| if let Record::Receipt(r) = r { Some(*r) } else { None }).collect()
    }
}

/// The path of a built tool.
pub fn path_of(tool: &str) -> PathBuf {
    // All tools are built into one folder.
    Path::new(env!("CARGO_BIN_EXE_mdrop-store")).with_file_name(tool)
}

/// Runs a tool on `input`.
pub fn run(tool: &str, arguments: &[&str], input: &[u8]) -> Ran {
    run_command(Command::new(path_of(tool)).args(arguments), input)
}

/// Runs a command on `input`.
pub fn run_command(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A tool that fails early closes its input; that is its business.
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    Ran { code: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
}

/// Runs a shell command line and demands success.
#[track_caller]
pub fn shell(folder: &Path, line: &str) -> String {
    let ran = run_command(Command::new("sh").arg("-c").arg(line).current_dir(folder), b"");
    assert_eq!(ran.code, 0, "{line}: {}", ran.stderr);
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// A message of INBOX, UIDVALIDITY 9, delivered to `users`.
pub fn message(uid: u32, octets: &[u8], users: &[&str]) -> (Meta, Vec<u8>) {
    let mut measure = Measure::default();
    measure.update(octets);
    let (size, digest, eol) = measure.finish();
    let place = Place::Imap { mailbox: "INBOX".into(), uidvalidity: UidValidity(9), uid: Uid(uid) };
    let origin = Origin { account: Account { name: "acme".into(), login: "a@h".into() }, place };
    let evidence = Some(Evidence { field: "delivered-to".into(), position: 1, hop: 0, kind: Kind::Envelope });
    let filing = |user: &&str| Filing { user: (*user).into(), folder: "INBOX".into(), role: Role::Recipient, evidence: evidence.clone() };
    let filings = users.iter().map(filing).collect();
    let route = Routing { sender: None, recipients: Vec::new(), filings, journal: None, findings: Vec::new(), skip: None, settings: None };
    let meta = Meta {
        v: V1,
        origin,
        size,
        digest,
        eol,
        received: None,
        server_size: Some(size),
        flags: Vec::new(),
        objects: ObjectIds::default(),
        route: Some(route),
    };
    (meta, octets.to_vec())
}

/// The stream of these messages.
pub fn stream(messages: &[(Meta, Vec<u8>)]) -> Vec<u8> {
    let mut writer = StreamWriter::new(Vec::new());
    for (meta, octets) in messages {
        writer.write_octets(meta, &mut octets.as_slice()).unwrap();
    }
    writer.finish().unwrap()
}

/// The messages of a stream.
pub fn messages_of(stream: &[u8]) -> Vec<(Meta, Vec<u8>)> {
    let mut reader = StreamReader::new(stream);
    let mut all = Vec::new();
    loop {
        let mut octets = Vec::new();
        match reader.read(&mut std::io::sink(), &mut octets).map_err(mdrop::stream::ReadError::into_error).unwrap() {
            Some(meta) => all.push((meta, octets)),
            None => return all,
        }
    }
}

/// What mdrop-store --known would say of a message for which the server claims this size.
pub fn known_record(meta: &Meta, server_size: Option<u64>) -> Vec<u8> {
    let account = meta.origin.account.clone();
    let mut known = Known::nothing(&account);
    match &meta.origin.place {
        Place::Imap { mailbox, uidvalidity, uid } => {
            known.mailbox = Some(mailbox.clone());
            known.uidvalidity = Some(*uidvalidity);
            known.uids.insert(uid.0);
            known.samples = vec![Sample { uid: uid.0, server_size, received: meta.received }];
        }
        Place::Pop3 { uidl } => {
            known.uidl = Some(uidl.clone());
            known.server_size = server_size;
        }
        Place::Disk { mailbox, path } => {
            known.mailbox = Some(mailbox.clone());
            known.path = Some(path.clone());
        }
    }
    Record::Known(Box::new(known)).to_line().unwrap()
}

/// Real messages from ../shared/corpora, `number` or a few more; none where it is missing, which is told.
pub fn corpora(number: usize) -> Option<Vec<Vec<u8>>> {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora");
    let Ok(index) = std::fs::read_to_string(corpora.join("INDEX.tsv")) else {
        eprintln!("skipped: no ../shared/corpora; the project's own messages are used");
        return None;
    };
    let single = index.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>()).filter(|row| row[1] == "1");
    let files: Vec<PathBuf> = single.map(|row| corpora.join(row[0])).filter(|path| path.exists()).collect();
    let step = (files.len() / number).max(1);
    Some(files.iter().step_by(step).map(|path| std::fs::read(path).unwrap()).collect())
}

/// The messages that ship with the project, in the order of their names.
pub fn shipped() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "eml"));
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}
