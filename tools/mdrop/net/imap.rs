//! IMAP (RFC 9051, and RFC 3501 for older servers): the session that mdrop-fetch reads with and mdrop-purge deletes with.
//!
//! The `imap` crate counts the tags and writes the commands; the answers to all but LOGIN and LOGOUT are read here, because
//! the crate reads a whole answer into memory, parses it again after every line, and panics or loses its place on answers
//! that some servers give. After any error but NO or BAD the connection is not used again: what is left on it may be a piece of a
//! message, which a sender wrote.

mod answer;
mod fetch;
mod login;
mod mailbox;
mod messages;
mod objects;
mod search;
mod store;
mod tap;
#[cfg(test)]
mod tests;

pub use answer::{Condition, Verdict};
pub use fetch::{Coming, Wanted};
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
use login::LoggedIn;
use std::collections::BTreeSet;
use tap::{Shared, Tap};

/// A session that is logged in.
pub struct Session {
    carrier: imap::Session<Tap>,
    shared: Shared,
    capabilities: BTreeSet<String>,
    alive: bool,
    /// Whether that is because of a refusal, and not because the connection broke.
    refused: bool,
    /// Whether names are in UTF-8 and no more in modified UTF-7.
    utf8: bool,
    /// How many messages the open mailbox held when it was opened.
    exists: u32,
    /// At which message the connection broke.
    broken_at: Option<Uid>,
}

impl Session {
    /// Connects, protects the connection, and logs in.
    ///
    /// # Errors
    /// As [`tls::open`]; [`Status::NoPermission`] if the login is refused, [`Status::TryAgain`] if it is for now;
    /// [`Status::Protocol`] if the server is no IMAP server or lacks STARTTLS or a way to log in; [`Status::Config`] if the login would
    /// show the password or token to whoever reads the line.
    pub fn connect(account: &AccountSettings, secret: &Secret, narrate: Narrator) -> Result<Self> {
        let implicit = account.tls == crate::profile::Tls::Implicit;
        let mut upgrade = |wire: &mut Wire| login::greet(wire).and_then(|_| login::start_tls(wire));
        let mut wire = tls::open(account, &mut upgrade, narrate)?;
        let about = |e: Error| e.about(format!("{}:{}", account.host, account.port()));
        if implicit || wire.tls().is_none() {
            login::greet(&mut wire).map_err(about)?;
        }
        let offered = login::ask_capabilities(&mut wire).map_err(about)?;
        let logged_in = login::log_in(wire, &offered, account, secret).map_err(about)?;
        let LoggedIn { carrier, shared, auth, capabilities } = logged_in;
        shared.lock().wire.logged_in();
        narrate("login", &format!("{} by {}", account.username, auth.name()));
        let mut session =
            Self { carrier, shared, capabilities: BTreeSet::new(), alive: true, refused: false, utf8: false, exists: 0, broken_at: None };
        session.capabilities = capabilities.map_or_else(|| session.ask_capabilities(), Ok).map_err(about)?;
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

    /// Whether the connection was given up after a refusal that is about the server, and did not break.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused
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
        self.finish(&tag, each)
    }

    /// The second half of [`Session::exchange`], for the command that was sent with `tag`.
    fn finish(&mut self, tag: &[u8], each: &mut dyn FnMut(&Answer) -> Result<()>) -> Result<Condition> {
        let shared = self.shared.clone();
        let ended = read_until(&mut shared.lock().wire, tag, each);
        self.noting_death(ended)
    }

    /// The same, where NO and BAD are failures.
    fn command(&mut self, command: &str, doing: &str, each: &mut dyn FnMut(&Answer) -> Result<()>) -> Result<Condition> {
        let ended = self.exchange(command, each)?;
        if ended.verdict == Verdict::Ok { Ok(ended) } else { Err(self.refused(&ended, doing)) }
    }

    /// The failure that a refusal is. After one that is about the server the session is given up, so that there is a pause.
    fn refused(&mut self, ended: &Condition, doing: &str) -> Error {
        self.refused |= ended.is_about_server();
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
    loop {
        answer.read(wire, None)?;
        if let Some(ended) = ending(&answer, tag)? {
            return Ok(ended);
        }
        each(&answer)?;
    }
}

/// Whether an answer ends the command `tag`. A BYE ends all of them (RFC 9051 section 7.1.5), whatever may follow.
fn ending(answer: &Answer, tag: &[u8]) -> Result<Option<Condition>> {
    let condition = answer.condition();
    if answer.tag() == b"*" {
        let goodbye = condition.filter(|c| c.verdict == Verdict::Bye);
        return goodbye.map_or(Ok(None), |bye| Err(bye.error("the server ended the connection")));
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
