//! From the greeting to the login: what is said before the `imap` crate has the connection, and who says it.
//!
//! LOGIN is the crate's. SASL is spoken here, because the crate sends no first answer with the command (RFC 4959), can't break an
//! exchange off, and keeps nothing of a refusal; afterwards the crate is told over its tap that it has logged in.

use super::answer::{Condition, Verdict};
use super::tap::{Shared, Tap};
use super::{crate_error, last_words};
use crate::error::{Error, Result, Status};
use crate::net::sasl::{Dialogue, Means, choose, hinted};
use crate::net::secret::Secret;
use crate::net::wire::Wire;
use crate::profile::{AccountSettings, Auth};
use std::collections::BTreeSet;

/// How long a greeting or an answer before login may be, in octets.
const LONGEST_GREETING: usize = 64 << 10;

/// How many lines may come before the answer to a command, before login.
const MOST_LINES: usize = 100;

/// How long a command line may become by a first answer, in octets; RFC 7162 section 4 has servers take 8192.
const LONGEST_COMMAND: usize = 8000;

/// Reads the greeting: OK is the only one with which a login can follow.
pub(super) fn greet(wire: &mut Wire) -> Result<Condition> {
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

/// A command before the crate has the wire. Each continuation request is given to `more`, whose line is sent; untagged lines go into
/// `lines`. Returns how the command ended.
fn converse(wire: &mut Wire, tag: &str, command: &str, more: &mut dyn FnMut(&str) -> Result<String>) -> Result<(Condition, Vec<Vec<u8>>)> {
    wire.send(format!("{tag} {command}\r\n").as_bytes())?;
    let (mut lines, mut goodbye) = (Vec::new(), None);
    // A mechanism ends every exchange after a few answers, so that only lines need a bound.
    while lines.len() <= MOST_LINES {
        let mut line = Vec::new();
        wire.read_line(&mut line, LONGEST_GREETING).map_err(|e| last_words(e, goodbye.as_ref()))?;
        if let Some(ended) = line.strip_prefix(tag.as_bytes()).and_then(|rest| Condition::parse(rest.trim_ascii_start())) {
            return Ok((ended, lines));
        }
        if let Some(challenge) = line.strip_prefix(b"+") {
            match more(String::from_utf8_lossy(challenge).trim()) {
                Ok(answer) => wire.send(format!("{answer}\r\n").as_bytes())?,
                Err(error) => {
                    // The server is told that nothing more will come (RFC 9051 section 6.2.2); the connection is given up anyway.
                    let _ = wire.send(b"*\r\n");
                    return Err(error);
                }
            }
            continue;
        }
        let said = line.strip_prefix(b"* ").and_then(Condition::parse);
        goodbye = said.filter(|said| said.verdict == Verdict::Bye).or(goodbye);
        lines.push(line);
    }
    let name = command.split(' ').next().unwrap_or_default();
    Err(Error::new(Status::Protocol, format!("no end of answers to {name}")))
}

fn ask(wire: &mut Wire, tag: &str, command: &str) -> Result<(Condition, Vec<Vec<u8>>)> {
    let unasked = || Error::new(Status::Protocol, format!("{command}: the server asks for more, where there is no more"));
    converse(wire, tag, command, &mut |_| Err(unasked()))
}

pub(super) fn start_tls(wire: &mut Wire) -> Result<()> {
    let (ended, _) = ask(wire, "s1", "STARTTLS")?;
    if ended.verdict == Verdict::Ok {
        return Ok(());
    }
    let what = "the server does not offer STARTTLS, so the connection is given up before the password is sent";
    Err(Error::new(Status::Protocol, format!("{what} (it says: {})", ended.text)))
}

/// What the server offers before login.
pub(super) fn ask_capabilities(wire: &mut Wire) -> Result<BTreeSet<String>> {
    let (_, lines) = ask(wire, "c1", "CAPABILITY")?;
    let named = lines.iter().filter_map(|line| line.strip_prefix(b"* CAPABILITY "));
    Ok(named.flat_map(|names| String::from_utf8_lossy(names).split_whitespace().map(str::to_ascii_uppercase).collect::<Vec<_>>()).collect())
}

/// A connection on which the login is done.
pub(super) struct LoggedIn {
    pub carrier: imap::Session<Tap>,
    pub shared: Shared,
    /// The way it went.
    pub auth: Auth,
    /// What the server offers from now on, if it said so.
    pub capabilities: Option<BTreeSet<String>>,
}

/// Logs in by the best way that server, profile and line allow; a mechanism that the server turns out not to have is left for the
/// next, but never one by which it has refused the login.
pub(super) fn log_in(mut wire: Wire, offered: &BTreeSet<String>, account: &AccountSettings, secret: &Secret) -> Result<LoggedIn> {
    if account.username.contains(['\r', '\n', '\0']) {
        return Err(Error::new(Status::Config, "the user name holds a control character"));
    }
    let simple = account.username.is_ascii() && secret.reveal().is_ascii();
    let means = Means::of(account, secret, wire.tls().is_some(), simple);
    let (mut left, said) = ways(offered);
    // It is a part of IMAP4rev2 (RFC 9051 appendix E).
    let at_once = ["SASL-IR", "IMAP4REV2"].iter().any(|name| offered.contains(*name));
    loop {
        let auth = choose(&left, &said, means)?;
        if auth == Auth::Login {
            let shared = Shared::new(wire);
            let carrier = login(&shared, &account.username, secret)?;
            let capabilities = shared.lock().ended().as_ref().and_then(told_capabilities);
            return Ok(LoggedIn { carrier, shared, auth, capabilities });
        }
        match authenticate(&mut wire, auth, account, secret, at_once)? {
            Ok(ended) => {
                let (carrier, shared) = adopted(wire)?;
                return Ok(LoggedIn { carrier, shared, auth, capabilities: told_capabilities(&ended) });
            }
            Err(error) if means.wanted.is_some() => return Err(error),
            Err(_) => left.retain(|other| *other != auth),
        }
    }
}

/// The ways to log in among the capabilities, and their names for a message.
fn ways(offered: &BTreeSet<String>) -> (Vec<Auth>, String) {
    let login = Some(Auth::Login).filter(|_| !offered.contains("LOGINDISABLED"));
    let mut names: Vec<&str> = offered.iter().filter_map(|name| name.strip_prefix("AUTH=")).collect();
    let sasl = Auth::SASL.into_iter().filter(|auth| names.contains(&auth.name()));
    let all = sasl.chain(login).collect();
    names.extend(login.map(Auth::name));
    (all, if names.is_empty() { "nothing (LOGINDISABLED)".into() } else { names.join(", ") })
}

/// What the server offers after login, if it says so with its consent (RFC 9051 section 7.1, CAPABILITY).
fn told_capabilities(ended: &Condition) -> Option<BTreeSet<String>> {
    let names = Some(&ended.arguments).filter(|_| ended.verdict == Verdict::Ok && ended.code == "CAPABILITY")?;
    Some(names.split_whitespace().map(str::to_ascii_uppercase).collect())
}

/// AUTHENTICATE (RFC 9051 section 6.2.2). Returns how it ended if that was the login, or what the server said if it does not have the
/// mechanism.
fn authenticate(
    wire: &mut Wire,
    auth: Auth,
    account: &AccountSettings,
    secret: &Secret,
    at_once: bool,
) -> Result<std::result::Result<Condition, Error>> {
    let mut dialogue = Dialogue::new(auth, account, secret)?;
    let command = format!("AUTHENTICATE {}", dialogue.begin(if at_once { LONGEST_COMMAND } else { 0 }));
    let mut challenges = 0;
    let ended = converse(wire, "l1", &command, &mut |challenge| {
        challenges += 1;
        dialogue.answer(challenge)
    });
    let (ended, _) = ended.map_err(|e| dialogue.explain(&e))?;
    if ended.verdict == Verdict::Ok {
        return dialogue.conclude().map(|()| Ok(ended));
    }
    let error = hinted(dialogue.explain(&refusal(&ended)), auth);
    let unknown = challenges == 0 && is_unknown(&ended, dialogue.has_spoken());
    if unknown { Ok(Err(error)) } else { Err(error) }
}

/// Whether the server says with its first word that it does not have the mechanism. After a password or a proof went with
/// the command, a plain NO is a refusal of that.
fn is_unknown(ended: &Condition, spoken: bool) -> bool {
    match ended.verdict {
        Verdict::Bad => true,
        Verdict::No if ended.code.is_empty() => !spoken,
        _ => ended.code == "CANNOT",
    }
}

/// LOGIN (RFC 9051 section 6.2.3), by the crate.
fn login(shared: &Shared, username: &str, secret: &Secret) -> Result<imap::Session<Tap>> {
    let client = imap::Client::new(Tap(shared.clone()));
    client.login(username, secret.reveal()).map_err(|(error, _)| {
        let said = shared.lock().ended();
        let error = said.map_or_else(|| crate_error(shared, error, "login"), |said| refusal(&said));
        // Some servers repeat the command they refuse.
        error.without(secret.reveal()).without(&secret.reveal().replace('\\', "\\\\").replace('"', "\\\""))
    })
}

/// What a refused login deserves. A NO without a code is the usual way to refuse a password.
fn refusal(ended: &Condition) -> Error {
    let error = ended.error("login");
    let plain = ended.verdict == Verdict::No && error.status() == Status::Unavailable;
    if plain { error.with_status(Status::NoPermission) } else { error }
}

/// Gives the crate a connection on which the login is over.
fn adopted(wire: Wire) -> Result<(imap::Session<Tap>, Shared)> {
    let shared = Shared::new(wire);
    shared.lock().adopt();
    let session = imap::Client::new(Tap(shared.clone())).login("", "");
    session.map(|session| (session, shared)).map_err(|_| Error::new(Status::Software, "the session can't be taken over"))
}
