//! A trace as it stands in its file.

use super::mailserver::Mailbox;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A message that the trace's server holds.
pub struct Message {
    pub name: String,
    /// As it travels; `INBOX` for POP3.
    pub mailbox: String,
    pub uidvalidity: u32,
    pub uid: u32,
    /// POP3's unique-id.
    pub uidl: String,
    /// The size that the server claims, if it is not the true one.
    pub claimed: Option<u64>,
    /// Whether a server asked later no longer has it.
    pub gone: bool,
    pub octets: Vec<u8>,
}

/// A part of a line that the server sends.
#[derive(Clone)]
pub enum Piece {
    Text(Vec<u8>),
    /// Octets with their length before them.
    Literal(Vec<u8>),
    /// A message in another form.
    Body(Vec<u8>),
}

/// A line that the server sends.
pub struct Line {
    /// Where it stands in the file.
    pub number: usize,
    pub pieces: Vec<Piece>,
}

/// A line that the client has to send.
#[derive(Clone)]
pub struct Awaited {
    /// The placeholder for its tag.
    pub tag: Option<String>,
    pub pattern: String,
}

pub enum Step {
    Await(Awaited),
    Send(Line),
    Tls,
    Close,
}

#[derive(Default)]
pub struct Trace {
    /// `imap/dovecot`
    pub name: String,
    pub tls: String,
    pub profile: String,
    pub expect: i32,
    pub says: Vec<String>,
    pub comes: BTreeSet<String>,
    pub messages: Vec<Message>,
    /// The mailboxes and their UIDVALIDITYs; a later one of the same name is in place of the first.
    pub mailboxes: BTreeMap<String, u32>,
    pub connections: Vec<Vec<Step>>,
    /// What may be asked at any time, and the answers.
    pub asides: Vec<(Awaited, Vec<Line>)>,
    /// The mailbox of the messages that follow, and its UIDVALIDITY.
    mailbox: (String, u32),
    aside: bool,
}

/// All traces, by name.
pub fn traces() -> Vec<Trace> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
    let files = walkdir::WalkDir::new(&root).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path());
    let files = files.filter(|path| path.extension().is_some_and(|e| e == "trace"));
    files
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().with_extension("");
            Trace::parse(name.to_str().unwrap(), &std::fs::read_to_string(&path).unwrap())
        })
        .collect()
}

impl Trace {
    /// Reads a trace.
    ///
    /// # Panics
    /// If it is none, with the line.
    pub fn parse(name: &str, text: &str) -> Self {
        let mailbox = ("INBOX".to_owned(), 9);
        let mut trace = Self { name: name.into(), tls: "none".into(), connections: vec![Vec::new()], mailbox, ..Self::default() };
        if trace.protocol() == "pop3" {
            trace.mailboxes.insert("INBOX".into(), 9);
        }
        for (number, line) in (1..).zip(text.lines()) {
            trace.line(number, line).unwrap_or_else(|| panic!("tests/traces/{name}.trace:{number}: not understood: {line}"));
        }
        trace
    }

    pub fn protocol(&self) -> &'static str {
        if self.name.starts_with("pop3/") { "pop3" } else { "imap" }
    }

    /// The messages that a healthy server holds later: of each mailbox the last UIDVALIDITY's.
    pub fn healthy(&self) -> Vec<&Message> {
        self.messages.iter().filter(|m| !m.gone && self.mailboxes.get(&m.mailbox) == Some(&m.uidvalidity)).collect()
    }

    fn line(&mut self, number: usize, line: &str) -> Option<()> {
        if line.starts_with('#') {
            return Some(());
        }
        if line.trim().is_empty() {
            self.aside = false;
            return Some(());
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "C:" => self.step(Step::Await(self.awaited(rest))),
            "S:" => self.send(Line { number, pieces: self.pieces(rest)? }),
            "ON:" => {
                self.aside = true;
                self.asides.push((self.awaited(rest), Vec::new()));
            }
            "TLS" => self.step(Step::Tls),
            "CLOSE" => self.step(Step::Close),
            "connection" => self.connections.push(Vec::new()),
            _ => return self.fact(word, rest),
        }
        Some(())
    }

    fn fact(&mut self, word: &str, rest: &str) -> Option<()> {
        match word {
            "expect" => self.expect = rest.parse().ok()?,
            "says" => self.says.push(rest.into()),
            "comes" => self.comes = rest.split_whitespace().map(str::to_owned).collect(),
            "tls" => self.tls = rest.into(),
            "profile" => self.profile.extend([rest, "\n"]),
            "mailbox" => {
                let (name, validity) = rest.rsplit_once(' ')?;
                self.mailbox = (name.into(), validity.parse().ok()?);
                self.mailboxes.insert(name.into(), self.mailbox.1);
            }
            "message" => self.message(rest)?,
            "|" => self.messages.last_mut()?.octets.extend([&unescape(rest)?, b"\r\n".as_slice()].concat()),
            ">" => self.messages.last_mut()?.octets.extend(unescape(rest)?),
            _ => return None,
        }
        Some(())
    }

    fn message(&mut self, rest: &str) -> Option<()> {
        let mut words = rest.split_whitespace();
        let (name, id) = (words.next()?.to_owned(), words.next()?.to_owned());
        let (mut claimed, mut gone) = (None, false);
        while let Some(word) = words.next() {
            match word {
                "size" => claimed = Some(words.next()?.parse().ok()?),
                "gone" => gone = true,
                _ => return None,
            }
        }
        let pop3 = self.protocol() == "pop3";
        let uid = if pop3 { u32::try_from(self.messages.len()).ok()? + 1 } else { id.parse().ok()? };
        let (mailbox, uidvalidity) = self.mailbox.clone();
        self.messages.push(Message { name, mailbox, uidvalidity, uid, uidl: id, claimed, gone, octets: Vec::new() });
        Some(())
    }

    fn step(&mut self, step: Step) {
        self.connections.last_mut().unwrap().push(step);
    }

    fn send(&mut self, line: Line) {
        if self.aside {
            self.asides.last_mut().unwrap().1.push(line);
        } else {
            self.step(Step::Send(line));
        }
    }

    fn awaited(&self, text: &str) -> Awaited {
        match text.split_once(' ') {
            Some((tag, rest)) if self.protocol() == "imap" && is_tag(tag) => Awaited { tag: Some(tag.into()), pattern: rest.into() },
            _ => Awaited { tag: None, pattern: text.into() },
        }
    }

    /// Takes a line that is sent apart; each message in it must be declared before.
    fn pieces(&self, text: &str) -> Option<Vec<Piece>> {
        let mut pieces = Vec::new();
        let mut left = text;
        while let Some(at) = left.find('$') {
            let (before, rest) = (&left[..at], &left[at + 1..]);
            let name = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len())];
            let Some(message) = self.messages.iter().find(|message| message.name == name) else {
                // A flag such as $Forwarded.
                pieces.push(Piece::Text(unescape(&left[..=at])?));
                left = rest;
                continue;
            };
            let rest = &rest[name.len()..];
            if let Some(after) = rest.strip_prefix('}') {
                pieces.extend([Piece::Text(unescape(before.strip_suffix('{')?)?), Piece::Literal(message.octets.clone())]);
                left = after;
                continue;
            }
            let rest = rest.strip_prefix('.')?;
            let what = &rest[..rest.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len())];
            pieces.extend([Piece::Text(unescape(before)?), message.form(what)?]);
            left = &rest[what.len()..];
        }
        pieces.push(Piece::Text(unescape(left)?));
        Some(pieces)
    }
}

impl Message {
    pub fn size(&self) -> u64 {
        self.claimed.unwrap_or(self.octets.len() as u64)
    }

    /// The mailbox with this message alone, as the healthy server has it.
    pub fn alone(&self) -> Mailbox {
        let mut mailbox = Mailbox::new(&self.mailbox, self.uidvalidity);
        self.add_to(&mut mailbox);
        mailbox
    }

    /// Puts it into a mailbox, which holds lower UIDs only.
    pub fn add_to(&self, mailbox: &mut Mailbox) {
        mailbox.uid_next = self.uid;
        mailbox.add(&self.octets);
        mailbox.message_mut(self.uid).unwrap().uidl = Some(self.uidl.clone());
    }

    fn form(&self, what: &str) -> Option<Piece> {
        Some(match what {
            "size" => Piece::Text(self.size().to_string().into_bytes()),
            "date" => Piece::Text(super::mailserver::internal_date(self.alone().messages[0].received).into_bytes()),
            "uid" => Piece::Text(self.uid.to_string().into_bytes()),
            "uidl" => Piece::Text(self.uidl.clone().into_bytes()),
            "quoted" => Piece::Body(quoted(&self.octets)),
            "stuffed" => Piece::Body(stuffed(&self.octets)),
            _ => return None,
        })
    }
}

/// Whether a word is a placeholder: a capital letter and digits.
pub fn is_tag(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(|c| c.is_ascii_uppercase()) && word.len() > 1 && letters.all(|c| c.is_ascii_digit())
}

fn quoted(octets: &[u8]) -> Vec<u8> {
    let escaped = octets.iter().flat_map(|o| if matches!(o, b'"' | b'\\') { vec![b'\\', *o] } else { vec![*o] });
    [b"\"".as_slice(), &escaped.collect::<Vec<u8>>(), b"\""].concat()
}

/// With a dot before each that begins a line, and without the last line end, which the line that is sent has.
fn stuffed(octets: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for octet in octets {
        if *octet == b'.' && (all.is_empty() || all.ends_with(b"\r\n")) {
            all.push(b'.');
        }
        all.push(*octet);
    }
    all.strip_suffix(b"\r\n").map(<[u8]>::to_vec).unwrap_or(all)
}

/// A text with each `\xNN` as its octet.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    let mut left = text;
    while let Some((before, rest)) = left.split_once("\\x") {
        octets.extend_from_slice(before.as_bytes());
        octets.push(u8::from_str_radix(rest.get(..2)?, 16).ok()?);
        left = &rest[2..];
    }
    octets.extend_from_slice(left.as_bytes());
    Some(octets)
}
