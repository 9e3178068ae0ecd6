//! POP3 (RFC 1939, 2449, 2595): the session that mdrop-fetch reads with and mdrop-purge deletes with.
//!
//! `pop3-client` encodes the requests; everything else is done here, because the crate undoes no dot-stuffing, has no TLS that
//! compiles, no time-outs, and waits one round trip for each message. Arguments are checked for line ends before it sees them.

mod fetch;
mod login;
#[cfg(test)]
mod tests;
mod unstuff;

pub use fetch::Listed;

use crate::error::{Error, Result, Status};
use crate::net::secret::Secret;
use crate::net::wire::{TlsFacts, Wire};
use crate::net::{LARGEST_CLAIM, Narrator, tls};
use crate::octets::Octets;
use crate::profile::{AccountSettings, Tls};
use pop3_client::Command;
use std::collections::{BTreeMap, BTreeSet};

/// The longest line of an answer, in octets; RFC 2449 section 4 allows 512.
const LONGEST_LINE: usize = 64 << 10;
/// The most lines of CAPA that are believed.
const MOST_CAPABILITIES: usize = 1000;
/// The most messages that one maildrop is believed to hold.
const MOST_MESSAGES: usize = 20_000_000;

/// What LIST claims of each number.
type Sizes = BTreeMap<u64, Option<u64>>;

/// A session that is logged in.
pub struct Session {
    wire: Wire,
    capabilities: BTreeMap<String, BTreeSet<String>>,
    alive: bool,
    /// At which message the connection broke.
    broken_at: Option<Listed>,
}

/// A one-line answer.
enum Reply {
    /// `+OK`
    Ok(String),
    /// `-ERR`
    Err(String),
    /// `+ `, which asks for more (RFC 5034 section 4), and the challenge.
    More(String),
}

impl Session {
    /// Connects, protects the connection, and logs in.
    ///
    /// # Errors
    /// As [`tls::open`]; [`Status::NoPermission`] if the login is refused, [`Status::TryAgain`] if it is for now;
    /// [`Status::Protocol`] if the server is no POP3 server or lacks STLS or a way to log in; [`Status::Config`] if the login would show
    /// the password or token to whoever reads the line.
    pub fn connect(account: &AccountSettings, secret: &Secret, narrate: Narrator) -> Result<Self> {
        let mut upgrade = |wire: &mut Wire| {
            login::greet(wire)?;
            login::start_tls(wire)
        };
        let wire = tls::open(account, &mut upgrade, narrate)?;
        let mut session = Self { wire, capabilities: BTreeMap::new(), alive: true, broken_at: None };
        let about = |e: Error| e.about(format!("{}:{}", account.host, account.port()));
        session.begin(account, secret, narrate).map_err(about)?;
        Ok(session)
    }

    fn begin(&mut self, account: &AccountSettings, secret: &Secret, narrate: Narrator) -> Result<()> {
        let timestamp = if account.tls == Tls::Starttls { None } else { login::greet(&mut self.wire)? };
        self.capabilities = self.ask_capabilities()?;
        self.ask_for_utf8()?;
        let auth = self.log_in(account, secret, timestamp.as_deref())?;
        self.wire.logged_in();
        narrate("login", &format!("{} by {}", account.username, auth.name()));
        // What is offered may differ after login (RFC 2449 section 5).
        let after = self.ask_capabilities()?;
        self.capabilities.extend(after);
        let all: Vec<&str> = self.capabilities.keys().map(String::as_str).collect();
        narrate("capabilities", &if all.is_empty() { "none named (no CAPA)".into() } else { all.join(" ") });
        Ok(())
    }

    /// Whether the server offers something, such as `PIPELINING` or `UIDL`.
    #[must_use]
    pub fn offers(&self, capability: &str) -> bool {
        self.capabilities.contains_key(capability)
    }

    /// What the TLS handshake established; none without TLS.
    #[must_use]
    pub fn tls(&self) -> Option<TlsFacts> {
        self.wire.tls().cloned()
    }

    /// Whether the connection can still be used.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.alive
    }

    /// The message that was awaited next when the connection broke, if one was.
    #[must_use]
    pub fn broken_at(&self) -> Option<&Listed> {
        self.broken_at.as_ref()
    }

    fn ask_capabilities(&mut self) -> Result<BTreeMap<String, BTreeSet<String>>> {
        // The crate's own encoding of CAPA lacks its line end.
        self.wire.send(b"CAPA\r\n")?;
        let mut all = BTreeMap::new();
        if let Reply::Ok(_) = self.reply()? {
            self.lines(MOST_CAPABILITIES, &mut |line| {
                let text = String::from_utf8_lossy(line).to_ascii_uppercase();
                let mut words = text.split_whitespace().map(str::to_owned);
                if let Some(name) = words.next() {
                    all.insert(name, words.collect());
                }
            })?;
        }
        Ok(all)
    }

    /// UTF8 (RFC 6856 section 2), where it is offered: without it Courier puts a message with 8-bit octets in its header into one of
    /// its own making, another each time. It is refused at no cost.
    fn ask_for_utf8(&mut self) -> Result<()> {
        if self.offers("UTF8") {
            self.wire.send(b"UTF8\r\n")?;
            self.reply()?;
        }
        Ok(())
    }

    fn request(&mut self, command: &Command<'_>) -> Result<()> {
        if !self.alive {
            return Err(Error::new(Status::Unavailable, "the connection is lost"));
        }
        let sent = self.wire.send(command.to_request().as_bytes());
        self.noting_death(sent)
    }

    fn noting_death<T>(&mut self, result: Result<T>) -> Result<T> {
        self.alive &= result.is_ok();
        result
    }

    fn reply(&mut self) -> Result<Reply> {
        let reply = read_reply(&mut self.wire);
        self.noting_death(reply)
    }

    /// Sends a command whose refusal is a failure; returns the words after `+OK`.
    fn command(&mut self, command: &Command<'_>, doing: &str) -> Result<String> {
        self.request(command)?;
        match self.reply()? {
            Reply::Ok(said) => Ok(said),
            Reply::Err(said) => Err(failure(doing, &said)),
            Reply::More(_) => Err(Error::new(Status::Protocol, format!("{doing}: the server's answer is not understood"))),
        }
    }

    /// The lines of a multi-line answer, without their line ends; `most` of them.
    fn lines(&mut self, most: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        let mut line = Vec::new();
        let mut left = most;
        loop {
            line.clear();
            let read = self.wire.read_line(&mut line, LONGEST_LINE);
            self.noting_death(read)?;
            let text = line.trim_ascii_end();
            match text.strip_prefix(b".") {
                Some(b"") => return Ok(()),
                Some(stuffed) => each(stuffed),
                None => each(text),
            }
            let endless = || Error::new(Status::Protocol, format!("the server answers with more than {most} lines and does not end"));
            left = self.noting_death(left.checked_sub(1).ok_or_else(endless))?;
        }
    }

    /// How many messages the maildrop holds, and their octets as the server claims them (STAT).
    ///
    /// # Errors
    /// What the server or the connection reports.
    pub fn stat(&mut self) -> Result<(u64, u64)> {
        let said = self.command(&Command::Stat, "STAT")?;
        let mut numbers = said.split_whitespace().map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(messages)), Some(Ok(octets))) => Ok((messages, octets)),
            _ => Err(Error::new(Status::Protocol, format!("STAT: answer not understood: {said}"))),
        }
    }

    /// Lists the maildrop: LIST and UIDL together. A line that can't be understood costs its message only. Messages may share a
    /// unique-id if they have one size: RFC 1939 section 7 allows a server to derive it from the octets.
    ///
    /// # Errors
    /// [`Status::Protocol`] if the server has no UIDL; what it or the connection reports.
    pub fn list(&mut self) -> Result<Listing> {
        let (mut sizes, unread) = self.sizes()?;
        let lines = sizes.len() + unread.len();
        let mut listing = Listing::default();
        self.command(&Command::Uidl { id: None }, "UIDL").map_err(|e| {
            let what = format!("the server has no UIDL, without which messages can't be told apart ({})", e.what());
            if self.alive { Error::new(Status::Protocol, what) } else { e }
        })?;
        let most = sizes.len().saturating_mul(2).saturating_add(100_000);
        self.lines(most, &mut |line| {
            let wrong = |what: String| Error::new(Status::Protocol, what);
            let Some((number, uidl)) = numbered(line).filter(|(_, uidl)| !uidl.is_empty()) else {
                let what = format!("UIDL answer not understood: {}", excerpt(line));
                return listing.failed.push((0, wrong(what)));
            };
            listing.messages.push(Listed { number, size: sizes.remove(&number).flatten(), uidl: Octets::from(uidl) });
        })?;
        // A line that is not understood stands for one of the messages that have none.
        let unnamed = sizes.into_keys().skip(listing.failed.len());
        listing.failed.extend(unnamed.map(|number| (number, Error::new(Status::Protocol, "the server gives it no UIDL"))));
        listing.part_numbers_named_twice();
        listing.part_from_namesakes();
        // A line of LIST that is not understood costs a size, unless UIDL does not name the message either.
        let lost = lines.saturating_sub(listing.messages.len() + listing.failed.len());
        listing.failed.extend(unread.into_iter().take(lost).map(|error| (0, error)));
        Ok(listing)
    }

    /// Lists a maildrop whose server has no UIDL: by number, which means something in this session only.
    ///
    /// # Errors
    /// What the server or the connection reports.
    pub fn list_numbers(&mut self) -> Result<Listing> {
        let (sizes, unread) = self.sizes()?;
        let messages = sizes.into_iter().map(|(number, size)| Listed { number, size, uidl: Octets::default() });
        Ok(Listing { messages: messages.collect(), failed: unread.into_iter().map(|error| (0, error)).collect() })
    }

    /// The octets of each message as the server claims them (LIST), and what is wrong with lines that are not understood.
    fn sizes(&mut self) -> Result<(Sizes, Vec<Error>)> {
        self.command(&Command::List { id: None }, "LIST")?;
        let (mut sizes, mut unread) = (Sizes::new(), Vec::new());
        self.lines(MOST_MESSAGES, &mut |line| {
            if let Some((number, size)) = numbered(line).and_then(|(n, rest)| Some((n, leading_number(rest)?))) {
                sizes.insert(number, Some(size).filter(|size| *size <= LARGEST_CLAIM));
            } else {
                unread.push(Error::new(Status::Protocol, format!("LIST answer not understood: {}", excerpt(line))));
            }
        })?;
        Ok((sizes, unread))
    }

    /// Marks a message as deleted; it goes with a clean [`Session::quit`] and not before.
    ///
    /// # Errors
    /// What the server or the connection reports.
    pub fn dele(&mut self, number: u64) -> Result<()> {
        self.command(&Command::Dele { id: number }, "DELE").map(drop)
    }

    /// Takes all marks of deletion back.
    ///
    /// # Errors
    /// What the server or the connection reports.
    pub fn rset(&mut self) -> Result<()> {
        self.command(&Command::Rset, "RSET").map(drop)
    }

    /// Ends the session; messages marked are deleted now. Only a clean answer means that they were (RFC 1939 section 6).
    ///
    /// # Errors
    /// What the server or the connection reports.
    pub fn quit(mut self) -> Result<()> {
        self.command(&Command::Quit, "QUIT").map(drop)
    }
}

/// What a maildrop lists.
#[derive(Debug, Default)]
pub struct Listing {
    /// The messages, by number.
    pub messages: Vec<Listed>,
    /// Messages, by number (0: not known), that can't be told apart, and why.
    pub failed: Vec<(u64, Error)>,
}

impl Listing {
    /// A number that two unique-ids name is fetched under neither: one of them is another message's, which would count as archived. A line
    /// that is merely repeated is one.
    fn part_numbers_named_twice(&mut self) {
        self.messages.sort_by_key(|message| message.number);
        self.messages.dedup_by(|later, first| (later.number, &later.uidl) == (first.number, &first.uidl));
        let pairs = self.messages.windows(2).filter_map(|pair| Some((pair.first()?.number, pair.last()?.number)));
        let twice: BTreeSet<u64> = pairs.filter(|(one, next)| one == next).map(|(number, _)| number).collect();
        self.messages.retain(|message| !twice.contains(&message.number));
        let why = || Error::new(Status::Protocol, "the server gives it two UIDLs");
        self.failed.extend(twice.into_iter().map(|number| (number, why())));
    }

    /// Takes out messages whose unique-id an earlier one of another size has. Sorted and not hashed: of a million messages that costs no
    /// copy of their unique-ids.
    fn part_from_namesakes(&mut self) {
        let mut order: Vec<usize> = (0..self.messages.len()).collect();
        order.sort_unstable_by_key(|at| self.messages.get(*at).map(|message| (&message.uidl, *at)));
        let mut others = BTreeSet::new();
        let mut first: Option<&Listed> = None;
        for message in order.into_iter().filter_map(|at| self.messages.get(at)) {
            match first.filter(|first| first.uidl == message.uidl) {
                None => first = Some(message),
                Some(first) if first.size != message.size => drop(others.insert(message.number)),
                Some(_) => {}
            }
        }
        for message in self.messages.extract_if(.., |message| others.contains(&message.number)) {
            let what = format!("the server gives UIDL {} to two messages of different sizes", message.uidl);
            self.failed.push((message.number, Error::new(Status::Protocol, what)));
        }
        self.failed.sort_by_key(|(number, _)| *number);
    }
}

/// The beginning of a line, for messages.
fn excerpt(line: &[u8]) -> String {
    String::from_utf8_lossy(line.get(..80).unwrap_or(line)).into_owned()
}

fn numbered(line: &[u8]) -> Option<(u64, &[u8])> {
    let blank = memchr::memchr(b' ', line)?;
    Some((leading_number(line)?, line.get(blank..)?.trim_ascii()))
}

fn leading_number(text: &[u8]) -> Option<u64> {
    let digits = text.split(|b| *b == b' ').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn read_reply(wire: &mut Wire) -> Result<Reply> {
    let mut line = Vec::new();
    wire.read_line(&mut line, LONGEST_LINE)?;
    let text = String::from_utf8_lossy(&line).trim_end().to_owned();
    if let Some(words) = text.strip_prefix("+OK") {
        return Ok(Reply::Ok(words.trim_start().to_owned()));
    }
    if let Some(words) = text.strip_prefix("-ERR") {
        return Ok(Reply::Err(words.trim_start().to_owned()));
    }
    if let Some(challenge) = text.strip_prefix('+').filter(|rest| rest.is_empty() || rest.starts_with(' ')) {
        return Ok(Reply::More(challenge.trim().to_owned()));
    }
    let shown: String = text.chars().take(80).collect();
    Err(Error::new(Status::Protocol, format!("the server sent what is no answer: {shown}")))
}

/// The failure that `-ERR` is; the code in brackets (RFC 2449 section 8, RFC 3206) says whether it will pass.
fn failure(doing: &str, said: &str) -> Error {
    let code = said.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(code, _)| code.to_ascii_uppercase());
    let status = match code.as_deref() {
        Some("IN-USE" | "LOGIN-DELAY" | "SYS/TEMP") => Status::TryAgain,
        Some("AUTH" | "SYS/PERM") => Status::NoPermission,
        _ => Status::Unavailable,
    };
    Error::new(status, format!("{doing}: the server says: {said}"))
}
