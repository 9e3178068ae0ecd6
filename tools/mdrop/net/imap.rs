//! IMAP (RFC 9051, and RFC 3501 for older servers): the session that mdrop-fetch reads with and mdrop-purge deletes with.
//!
//! The `imap` crate logs in, counts the tags and writes the commands; the answers to all but login and logout are read here, because
//! the crate reads a whole answer into memory, parses it again after every line, and panics or loses its place on answers
//! that some servers give. After any error but NO or BAD the connection is not used again: what is left on it may be a piece of a
//! message, which a sender wrote.

mod answer;
mod fetch;
mod mailbox;
mod messages;
mod search;
mod store;
mod tap;
#[cfg(test)]
mod tests;

pub use answer::{Condition, Verdict};
pub use fetch::Wanted;
pub use mailbox::{Mailbox, Mailboxes, Namespaces, Opened, Totals};
pub use messages::{Listed, Listing};
pub use store::Stored;

use crate::error::{Error, Result, Status};
use crate::identity::Uid;
use crate::net::secret::Secret;
use crate::net::wire::{TlsFacts, Wire};
use crate::net::{Narrator, tls};
use crate::profile::AccountSettings;
use answer::Answer;
use std::collections::BTreeSet;
use tap::{Shared, Tap};

/// How long a greeting or an answer before login may be, in octets.
const LONGEST_GREETING: usize = 64 << 10;

/// A session that is logged in.
pub struct Session {
    carrier: imap::Session<Tap>,
    shared: Shared,
    capabilities: BTreeSet<String>,
    alive: bool,
    /// Whether names are in UTF-8 and no more in modified UTF-7.
    utf8: bool,
    /// How many messages the open mailbox held when it was opened.
    exists: u32,
    /// At which message the connection broke.
    broken_at: Option<Uid>,
}

/// Answers SASL PLAIN (RFC 4616).
struct Plain(String);

impl imap::Authenticator for Plain {
    type Response = String;

    fn process(&self, _: &[u8]) -> String {
        self.0.clone()
    }
}

impl Session {
    /// Connects, protects the connection, and logs in.
    ///
    /// # Errors
    /// As [`tls::open`]; [`Status::NoPermission`] if the login is refused, [`Status::TryAgain`] if it is for now;
    /// [`Status::Protocol`] if the server is no IMAP server or lacks STARTTLS or a way to log in.
    pub fn connect(account: &AccountSettings, secret: &Secret, narrate: Narrator) -> Result<Self> {
        let implicit = account.tls == crate::profile::Tls::Implicit;
        let mut upgrade = |wire: &mut Wire| greet(wire).and_then(|_| start_tls(wire));
        let mut wire = tls::open(account, &mut upgrade, narrate)?;
        let about = |e: Error| e.about(format!("{}:{}", account.host, account.port()));
        if implicit || wire.tls().is_none() {
            greet(&mut wire).map_err(about)?;
        }
        let offered = ask(&mut wire, "c1", "CAPABILITY").map(|(_, lines)| capabilities_in(&lines)).map_err(about)?;
        let shared = Shared::new(wire);
        let carrier = log_in(&shared, &offered, &account.username, secret).map_err(about)?;
        shared.lock().wire.logged_in();
        narrate("login", &account.username);
        let mut session = Self { carrier, shared, capabilities: BTreeSet::new(), alive: true, utf8: false, exists: 0, broken_at: None };
        session.capabilities = session.ask_capabilities().map_err(about)?;
        let all: Vec<&str> = session.capabilities.iter().map(String::as_str).collect();
        narrate("capabilities", &all.join(" "));
        session.enable_utf8().map_err(about)?;
        Ok(session)
    }

    /// Whether the server offers something, such as `UIDPLUS` or `CONDSTORE`.
    #[must_use]
    pub fn offers(&self, capability: &str) -> bool {
        self.capabilities.contains(capability)
    }

    /// What the TLS handshake established; none without TLS.
    #[must_use]
    pub fn tls(&self) -> Option<TlsFacts> {
        self.shared.lock().wire.tls().cloned()
    }

    /// Whether the connection can still be used.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.alive
    }

    /// The message that was awaited next when the connection broke, if one was.
    #[must_use]
    pub fn broken_at(&self) -> Option<Uid> {
        self.broken_at
    }

    /// Ends the session politely; what goes wrong then is of no consequence.
    pub fn logout(mut self) {
        if self.alive {
            let _ = self.carrier.logout();
        }
    }

    fn ask_capabilities(&mut self) -> Result<BTreeSet<String>> {
        let mut all = BTreeSet::new();
        self.command("CAPABILITY", "CAPABILITY", &mut |answer| {
            let names = answer.data("CAPABILITY").into_iter().flatten();
            all.extend(names.filter_map(|token| match token {
                answer::Token::Atom(name) => Some(String::from_utf8_lossy(name).to_ascii_uppercase()),
                _ => None,
            }));
            Ok(())
        })?;
        Ok(all)
    }

    /// Sends a command and returns its tag.
    fn send(&mut self, command: &str) -> Result<Vec<u8>> {
        if !self.alive {
            return Err(Error::new(Status::Unavailable, "the connection is lost"));
        }
        let sent = self.carrier.run_command(command).map_err(|e| self.crate_error(e, "send"));
        self.noting_death(sent)?;
        Ok(self.shared.lock().tag.clone())
    }

    /// Marks the session unusable if `result` is an error.
    fn noting_death<T>(&mut self, result: Result<T>) -> Result<T> {
        self.alive &= result.is_ok();
        result
    }

    /// Runs a command, hands each untagged answer to `each`, and returns what the server says at its end: OK, NO or BAD.
    fn exchange(&mut self, command: &str, each: &mut dyn FnMut(&Answer) -> Result<()>) -> Result<Condition> {
        let tag = self.send(command)?;
        let shared = self.shared.clone();
        let ended = read_until(&mut shared.lock().wire, &tag, each);
        self.noting_death(ended)
    }

    /// The same, where NO and BAD are failures.
    fn command(&mut self, command: &str, doing: &str, each: &mut dyn FnMut(&Answer) -> Result<()>) -> Result<Condition> {
        let ended = self.exchange(command, each)?;
        if ended.verdict == Verdict::Ok { Ok(ended) } else { Err(self.refused(&ended, doing)) }
    }

    /// The failure that a refusal is. After one that is about the server the session is given up, so that there is a pause.
    fn refused(&mut self, ended: &Condition, doing: &str) -> Error {
        self.alive &= !ended.is_about_server();
        ended.error(doing)
    }

    fn crate_error(&self, error: imap::Error, doing: &str) -> Error {
        crate_error(&self.shared, error, doing)
    }
}

/// Reads answers until the one with `tag`.
fn read_until(wire: &mut Wire, tag: &[u8], each: &mut dyn FnMut(&Answer) -> Result<()>) -> Result<Condition> {
    let mut answer = Answer::default();
    let mut goodbye = None;
    loop {
        answer.read(wire, None).map_err(|e| last_words(e, goodbye.as_ref()))?;
        if let Some(ended) = ending(&answer, tag, &mut goodbye)? {
            return Ok(ended);
        }
        each(&answer)?;
    }
}

/// Whether an answer ends the command `tag`; notes a BYE on the way.
fn ending(answer: &Answer, tag: &[u8], goodbye: &mut Option<Condition>) -> Result<Option<Condition>> {
    let condition = answer.condition();
    if answer.tag() == b"*" {
        if condition.as_ref().is_some_and(|c| c.verdict == Verdict::Bye) {
            *goodbye = condition;
        }
        return Ok(None);
    }
    let ended = condition.filter(|c| answer.tag() == tag && matches!(c.verdict, Verdict::Ok | Verdict::No | Verdict::Bad));
    let unexpected = || Error::new(Status::Protocol, format!("the server sent what is no answer: {}", answer.excerpt()));
    ended.map(Some).ok_or_else(unexpected)
}

/// A lost connection is explained by what the server said before it.
fn last_words(error: Error, goodbye: Option<&Condition>) -> Error {
    match goodbye {
        Some(bye) if error.status() == Status::Unavailable => bye.error("the server ended the connection"),
        _ => error,
    }
}

/// Reads the greeting: OK is the only one with which a login can follow.
fn greet(wire: &mut Wire) -> Result<Condition> {
    let mut line = Vec::new();
    wire.read_line(&mut line, LONGEST_GREETING)?;
    let said = line.strip_prefix(b"* ").and_then(Condition::parse);
    match said {
        Some(said) if said.verdict == Verdict::Ok => Ok(said),
        Some(said) if said.verdict == Verdict::Bye => Err(said.error("greeting")),
        Some(said) if said.verdict == Verdict::Preauth => {
            Err(Error::new(Status::Protocol, "the server greets as if logged in already (PREAUTH), which can't be trusted"))
        }
        _ => {
            let seen = String::from_utf8_lossy(line.get(..80).unwrap_or(&line)).trim_end().to_owned();
            Err(Error::new(Status::Protocol, format!("no IMAP server on this port; it says: {seen}")))
        }
    }
}

/// A command before the crate has the wire; returns how it ended and the untagged lines.
fn ask(wire: &mut Wire, tag: &str, command: &str) -> Result<(Condition, Vec<Vec<u8>>)> {
    wire.send(format!("{tag} {command}\r\n").as_bytes())?;
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        wire.read_line(&mut line, LONGEST_GREETING)?;
        if let Some(ended) = line.strip_prefix(tag.as_bytes()).and_then(|rest| Condition::parse(rest.trim_ascii_start())) {
            return Ok((ended, lines));
        }
        lines.push(line);
        if lines.len() > 100 {
            return Err(Error::new(Status::Protocol, format!("no end of answers to {command}")));
        }
    }
}

fn start_tls(wire: &mut Wire) -> Result<()> {
    let (ended, _) = ask(wire, "s1", "STARTTLS")?;
    if ended.verdict == Verdict::Ok {
        return Ok(());
    }
    let what = "the server does not offer STARTTLS, so the connection is given up before the password is sent";
    Err(Error::new(Status::Protocol, format!("{what} (it says: {})", ended.text)))
}

fn capabilities_in(lines: &[Vec<u8>]) -> BTreeSet<String> {
    let named = lines.iter().filter_map(|line| line.strip_prefix(b"* CAPABILITY "));
    named.flat_map(|names| String::from_utf8_lossy(names).split_whitespace().map(str::to_ascii_uppercase).collect::<Vec<_>>()).collect()
}

/// Logs in with LOGIN; with AUTHENTICATE PLAIN where LOGIN is disabled or can't carry the password.
fn log_in(shared: &Shared, offered: &BTreeSet<String>, username: &str, secret: &Secret) -> Result<imap::Session<Tap>> {
    if username.contains(['\r', '\n', '\0']) {
        return Err(Error::new(Status::Config, "the user name holds a control character"));
    }
    let disabled = offered.contains("LOGINDISABLED");
    let plain = offered.contains("AUTH=PLAIN");
    let client = imap::Client::new(Tap(shared.clone()));
    let ended = if plain && (disabled || !username.is_ascii() || !secret.reveal().is_ascii()) {
        client.authenticate("PLAIN", &Plain(format!("\0{username}\0{}", secret.reveal())))
    } else if disabled {
        return Err(Error::new(Status::Protocol, "the server offers no way to log in that mdrop knows (LOGINDISABLED, no AUTH=PLAIN)"));
    } else {
        client.login(username, secret.reveal())
    };
    ended.map_err(|(error, _)| {
        // Some servers repeat the command they refuse.
        let error = crate_error(shared, error, "login").without(secret.reveal()).without(&quoted_secret(secret));
        // A NO without a code is the usual way to refuse a password.
        if error.status() == Status::Unavailable && error.what().starts_with("login: the server says") {
            return error.with_status(Status::NoPermission);
        }
        error
    })
}

/// The password as a quoted string has it, without the quotes.
fn quoted_secret(secret: &Secret) -> String {
    secret.reveal().replace('\\', "\\\\").replace('"', "\\\"")
}

/// The crate's error in our words: what the wire reported, or the server's own line, which the crate does not always keep.
fn crate_error(shared: &Shared, error: imap::Error, doing: &str) -> Error {
    let core = shared.lock();
    if let imap::Error::Io(error) = error {
        return last_words(tls::wire_error(error), core.goodbye.as_ref());
    }
    let rest = core.line.strip_prefix(core.tag.as_slice()).or_else(|| core.line.strip_prefix(b"*"));
    let said = rest.and_then(|rest| Condition::parse(rest.trim_ascii_start()));
    let bad = |c: &Condition| matches!(c.verdict, Verdict::No | Verdict::Bad | Verdict::Bye);
    match said.filter(bad) {
        Some(condition) => condition.error(doing),
        None => Error::new(Status::Protocol, format!("{doing}: the server's answer is not understood: {}", excerpt(&core.line))),
    }
}

fn excerpt(line: &[u8]) -> String {
    String::from_utf8_lossy(line.get(..120).unwrap_or(line)).trim_end().to_owned()
}

/// A string for a command, quoted (RFC 9051 section 4.3).
fn quote(text: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(text).ok().filter(|text| !text.contains(['\r', '\n', '\0']));
    let text = text.ok_or_else(|| Error::new(Status::Protocol, "its name can't be sent to the server"))?;
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}
