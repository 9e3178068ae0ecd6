//! From the greeting to the login.
//!
//! APOP's timestamp comes with the greeting, so that after STLS there is none: what was received in clear is not used.

use super::{LONGEST_LINE, Reply, Session, failure, read_reply};
use crate::error::{Error, Result, Status};
use crate::net::sasl::{Dialogue, Means, apop_digest, choose, hinted};
use crate::net::secret::Secret;
use crate::net::wire::Wire;
use crate::profile::{AccountSettings, Auth};
use pop3_client::Command;

/// How long an AUTH command may be, in octets, with its line end (RFC 5034 section 4).
const LONGEST_COMMAND: usize = 255;

/// Reads the greeting; returns APOP's timestamp if it holds one.
pub(super) fn greet(wire: &mut Wire) -> Result<Option<String>> {
    let no_server = |e: Error| {
        let about = format!("no POP3 server on this port; {}", e.what());
        if e.status() == Status::Protocol { Error::new(Status::Protocol, about) } else { e }
    };
    match read_reply(wire).map_err(no_server)? {
        Reply::Ok(said) => Ok(timestamp(&said).map(str::to_owned)),
        Reply::Err(said) => Err(unavailable(&said)),
        Reply::More(_) => Err(Error::new(Status::Protocol, "no POP3 server on this port")),
    }
}

/// A server that begins with `-ERR` has no service to give, whatever code it has for that.
fn unavailable(said: &str) -> Error {
    let error = failure("greeting", said);
    if error.status() == Status::TryAgain { error } else { error.with_status(Status::Unavailable) }
}

/// The last message identifier in a greeting (RFC 1939 section 7), `<local@domain>`. Anything looser would let a stranger on the line
/// choose octets with which MD5 gives the password away, piece by piece.
fn timestamp(greeting: &str) -> Option<&str> {
    let text = greeting.get(greeting.rfind('<')?..=greeting.rfind('>')?)?;
    let (local, domain) = text.strip_prefix('<')?.strip_suffix('>')?.split_once('@')?;
    let is_name = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && !b"<>@()\",;:\\".contains(&b));
    (is_name(local) && is_name(domain) && text.len() <= 512).then_some(text)
}

/// STLS (RFC 2595 section 4).
pub(super) fn start_tls(wire: &mut Wire) -> Result<()> {
    wire.send(b"STLS\r\n")?;
    match read_reply(wire)? {
        Reply::Ok(_) => Ok(()),
        Reply::Err(said) => {
            let what = "the server does not offer STLS, so the connection is given up before the password is sent";
            Err(Error::new(Status::Protocol, format!("{what} (it says: {said})")))
        }
        Reply::More(_) => Err(Error::new(Status::Protocol, "STLS: the server's answer is not understood")),
    }
}

/// What a refused login deserves; without a code it is a wrong password.
fn refused(said: &str) -> Error {
    let error = failure("login", said);
    if error.status() == Status::TryAgain { error } else { error.with_status(Status::NoPermission) }
}

fn check_argument(text: &str) -> Result<()> {
    if text.contains(['\r', '\n', '\0']) {
        return Err(Error::new(Status::Config, "the user name or password holds a control character"));
    }
    Ok(())
}

impl Session {
    /// Logs in by the best way that server, profile and line allow; a mechanism that the server turns out not to have is left for the
    /// next, but never one by which it has refused the login.
    pub(super) fn log_in(&mut self, account: &AccountSettings, secret: &Secret, timestamp: Option<&str>) -> Result<Auth> {
        let simple = |text: &str| text.is_ascii() && text.trim() == text;
        let simple = simple(&account.username) && simple(secret.reveal()) && !account.username.contains(' ');
        let means = Means::of(account, secret, self.wire.tls().is_some(), simple);
        let (mut left, said) = self.ways(timestamp.is_some());
        loop {
            let auth = choose(&left, &said, means)?;
            let refused = match (auth, timestamp) {
                (Auth::User, _) => self.user_and_pass(&account.username, secret).map(|()| None),
                (Auth::Apop, Some(timestamp)) => self.apop(&account.username, secret, timestamp).map(|()| None),
                _ => self.authenticate(auth, account, secret),
            }?;
            match refused {
                None => return Ok(auth),
                Some(error) if means.wanted.is_some() => return Err(error),
                Some(_) => left.retain(|other| *other != auth),
            }
        }
    }

    /// The ways to log in that the server offers, and their names for a message. One that names nothing has USER, as all had once.
    fn ways(&self, apop: bool) -> (Vec<Auth>, String) {
        let sasl = self.capabilities.get("SASL");
        let user = Some(Auth::User).filter(|_| self.capabilities.is_empty() || self.offers("USER"));
        let apop = Some(Auth::Apop).filter(|_| apop);
        let known = Auth::SASL.into_iter().filter(|auth| sasl.is_some_and(|kinds| kinds.contains(auth.name())));
        let all = known.chain(user).chain(apop).collect();
        let mut names: Vec<&str> = sasl.into_iter().flatten().map(String::as_str).collect();
        let commands: Vec<&str> = user.into_iter().chain(apop).map(Auth::name).collect();
        names.extend(commands);
        (all, if names.is_empty() { "nothing".into() } else { names.join(", ") })
    }

    fn user_and_pass(&mut self, username: &str, secret: &Secret) -> Result<()> {
        check_argument(username).and_then(|()| check_argument(secret.reveal()))?;
        for command in [Command::User { data: username }, Command::Pass { data: secret.reveal() }] {
            self.request(&command)?;
            // Some servers repeat the command they refuse.
            if let Reply::Err(said) = self.reply().map_err(|e| e.without(secret.reveal()))? {
                return Err(refused(&said).without(secret.reveal()));
            }
        }
        Ok(())
    }

    fn apop(&mut self, username: &str, secret: &Secret, timestamp: &str) -> Result<()> {
        check_argument(username)?;
        if username.contains(' ') {
            return Err(Error::new(Status::Config, "APOP can't carry a user name with a blank"));
        }
        let digest = apop_digest(timestamp, secret.reveal());
        self.wire.send(format!("APOP {username} {digest}\r\n").as_bytes())?;
        match self.reply()? {
            Reply::Ok(_) => Ok(()),
            Reply::Err(said) => Err(hinted(refused(&said).without(secret.reveal()).without(&digest), Auth::Apop)),
            Reply::More(_) => Err(Error::new(Status::Protocol, "APOP: the server's answer is not understood")),
        }
    }

    /// AUTH (RFC 5034). Returns none if that was the login, or what the server said if it does not have the mechanism: it refuses the
    /// command before anything was said that it could refuse.
    fn authenticate(&mut self, auth: Auth, account: &AccountSettings, secret: &Secret) -> Result<Option<Error>> {
        let mut dialogue = Dialogue::new(auth, account, secret)?;
        let command = format!("AUTH {}\r\n", dialogue.begin(LONGEST_COMMAND - "AUTH \r\n".len()));
        self.wire.send(command.as_bytes())?;
        loop {
            match self.reply().map_err(|e| dialogue.explain(&e))? {
                Reply::Ok(_) => return dialogue.conclude().map(|()| None),
                Reply::Err(said) => {
                    let coded = said.starts_with('[');
                    let error = hinted(dialogue.explain(&refused(&said)), auth);
                    return if coded || dialogue.has_spoken() { Err(error) } else { Ok(Some(error)) };
                }
                Reply::More(challenge) => match dialogue.answer(&challenge) {
                    Ok(answer) => self.wire.send(format!("{answer}\r\n").as_bytes())?,
                    Err(error) => {
                        // The server is told that nothing more will come (RFC 5034 section 4); the connection is given up anyway.
                        let _ = self.wire.send(b"*\r\n");
                        return Err(dialogue.explain(&error));
                    }
                },
            }
        }
    }
}

/// A challenge fits into a line of this length.
const _: () = assert!(LONGEST_LINE >= 12_288, "RFC 5034 section 4");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_a_message_identifier_and_nothing_looser() {
        let good = "POP3 server ready <1896.697170952@dbc.mtview.ca.us>";
        assert_eq!(timestamp(good), Some("<1896.697170952@dbc.mtview.ca.us>"));
        assert_eq!(timestamp("<a@b> and <c@[127.0.0.1]> hello"), Some("<c@[127.0.0.1]>"));
        let long = format!("<{}@b>", "x".repeat(600));
        for bad in ["", "ready", "<>", "<a>", "<@b>", "<a@>", "<a b@c>", "<a@b@c>", "<a\x01@b>", "<é@b>", "> <", "<a@b", "a@b>", &long] {
            assert_eq!(timestamp(bad), None, "{bad}");
        }
    }
}
