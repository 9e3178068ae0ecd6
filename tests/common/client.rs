//! An IMAP client of the tests' own, which knows lines and literals and shares nothing with mdrop: it delivers, and tells what a
//! server hands out.

use super::dovecot::PASSWORD;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A session, logged in.
pub struct Client {
    stream: BufReader<TcpStream>,
    commands: u32,
}

/// One answer: its text, each literal in it, and how the command ended, as the last.
pub type Answers = Vec<(String, Vec<Vec<u8>>)>;

/// A mailbox as a client sees it that opens it for reading only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// All that the server says to EXAMINE, which includes how many messages are recent.
    pub opened: Vec<String>,
    /// By UID: the flags and the octets.
    pub messages: BTreeMap<u32, (String, Vec<u8>)>,
}

impl Snapshot {
    /// The octets of all messages, sorted.
    pub fn octets(&self) -> Vec<Vec<u8>> {
        let mut octets: Vec<Vec<u8>> = self.messages.values().map(|(_, octets)| octets.clone()).collect();
        octets.sort();
        octets
    }
}

/// A mailbox name, or another string, as it is written in a command.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Client {
    /// Logs in; the greeting must hold `name`. A server that still starts is asked again, for ten seconds.
    pub fn reach(port: u16, user: &str, name: &str) -> Option<Self> {
        for _ in 0..100 {
            if let Ok(client) = Self::begin(port, user, name) {
                return Some(client);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        None
    }

    /// Logs in.
    pub fn login(port: u16, user: &str) -> Self {
        Self::begin(port, user, "").unwrap()
    }

    fn begin(port: u16, user: &str, name: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut client = Self { stream: BufReader::new(stream), commands: 0 };
        let greeted = client.line()?.contains(name);
        let answers = client.command(&format!("LOGIN {user} {}", quoted(PASSWORD)), None)?;
        let ended = answers.last().is_some_and(|(end, _)| end.starts_with("OK"));
        if greeted && ended { Ok(client) } else { Err(io::Error::other(format!("{answers:?}"))) }
    }

    /// Gives a command that must succeed.
    #[track_caller]
    pub fn ask(&mut self, command: &str) -> Answers {
        let answers = self.command(command, None).unwrap();
        assert!(answers.last().unwrap().0.starts_with("OK"), "{command}: {answers:?}");
        answers
    }

    /// Gives a command, and says whether it succeeded.
    pub fn tries(&mut self, command: &str) -> bool {
        self.command(command, None).unwrap().last().unwrap().0.starts_with("OK")
    }

    /// Delivers a message, and says whether the server took it.
    pub fn append(&mut self, mailbox: &str, octets: &[u8]) -> bool {
        let command = format!("APPEND {} {{{}}}", quoted(mailbox), octets.len());
        self.command(&command, Some(octets)).unwrap().last().unwrap().0.starts_with("OK")
    }

    /// What a mailbox holds now.
    pub fn look(&mut self, mailbox: &str) -> Snapshot {
        let opened: Vec<String> = self.ask(&format!("EXAMINE {}", quoted(mailbox))).into_iter().map(|(text, _)| text).collect();
        let mut messages = BTreeMap::new();
        if !opened.iter().any(|line| line == "* 0 EXISTS") {
            for (text, mut literals) in self.ask("UID FETCH 1:* (UID FLAGS BODY.PEEK[])") {
                let Some(uid) = after(&text, "UID ") else { continue };
                let uid = uid.split([' ', ')']).next().unwrap().parse().unwrap();
                let flags = after(&text, "FLAGS (").unwrap().split(')').next().unwrap().to_owned();
                assert!(messages.insert(uid, (flags, literals.pop().unwrap())).is_none());
            }
        }
        self.ask("CLOSE");
        Snapshot { opened, messages }
    }

    /// Sends one command, with a literal after it once the server asks for it, and reads what comes until its end.
    fn command(&mut self, command: &str, literal: Option<&[u8]>) -> io::Result<Answers> {
        self.commands += 1;
        let tag = format!("x{} ", self.commands);
        self.send(format!("{tag}{command}\r\n").as_bytes())?;
        let mut answers = Answers::new();
        loop {
            let (text, literals) = self.answer()?;
            if let (true, Some(octets)) = (text.starts_with('+'), literal) {
                self.send(&[octets, b"\r\n"].concat())?;
            } else if let Some(end) = text.strip_prefix(&tag) {
                answers.push((end.to_owned(), literals));
                return Ok(answers);
            } else {
                answers.push((text, literals));
            }
        }
    }

    fn answer(&mut self) -> io::Result<(String, Vec<Vec<u8>>)> {
        let (mut text, mut literals) = (String::new(), Vec::new());
        loop {
            text += &self.line()?;
            let count = text.strip_suffix('}').and_then(|text| text.rsplit_once('{')).and_then(|(_, count)| count.parse().ok());
            let Some(count) = count else { return Ok((text, literals)) };
            let mut octets = vec![0; count];
            self.stream.read_exact(&mut octets)?;
            literals.push(octets);
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(&line).into_owned();
        text.strip_suffix("\r\n").map(str::to_owned).ok_or_else(|| io::Error::other(format!("the server went away: {text}")))
    }

    fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(octets)
    }
}

/// What follows the first `mark`.
fn after<'t>(text: &'t str, mark: &str) -> Option<&'t str> {
    text.split_once(mark).map(|(_, rest)| rest)
}
