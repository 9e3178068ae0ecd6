//! SASL (RFC 4422): each mechanism as a machine that is given the server's challenges and gives our answers, without I/O.
//!
//! Written here on the `hmac`, `sha2`, `md-5`, `pbkdf2` and `stringprep` crates, because an exchange is a page of text to put together;
//! what is hard, the hashes and the preparation of strings, is theirs. A [`Dialogue`] wraps a machine in base64, the
//! same for IMAP's AUTHENTICATE and POP3's AUTH, and remembers what it sent, so that no error can repeat it.

mod bearer;
mod choose;
mod cram;
mod plain;
mod scram;

pub use choose::{Line, Means, choose};
pub use cram::apop_digest;

use crate::error::{Error, Result, Status};
use crate::net::secret::Secret;
use crate::profile::{AccountSettings, Auth};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Our half of an exchange.
trait Mechanism {
    /// What is said before the server has said anything, if this mechanism begins so.
    fn first(&mut self) -> Option<Vec<u8>>;

    /// The answer to a challenge.
    ///
    /// # Errors
    /// [`Status::Protocol`] if the challenge is none of this mechanism's; [`Status::NoPermission`] if it shows that the server is not
    /// to be trusted with an answer.
    fn answer(&mut self, challenge: &[u8]) -> Result<Vec<u8>>;

    /// Whether the server's OK may be believed.
    ///
    /// # Errors
    /// [`Status::NoPermission`] if the server has not proved what the mechanism has it prove.
    fn conclude(&self) -> Result<()> {
        Ok(())
    }

    /// What the server gave as its reason in a challenge.
    fn reason(&self) -> Option<&str> {
        None
    }
}

/// An exchange as it goes over the line.
pub struct Dialogue {
    auth: Auth,
    machine: Box<dyn Mechanism>,
    /// What is to be said first and has not been said.
    first: Option<Vec<u8>>,
    hidden: Vec<String>,
    spoken: bool,
}

impl Dialogue {
    /// Begins an exchange by a SASL mechanism.
    ///
    /// # Errors
    /// [`Status::Config`] if the name can't be sent; [`Status::Software`] if `auth` is no SASL mechanism; [`Status::System`] if there is
    /// no randomness.
    pub fn new(auth: Auth, account: &AccountSettings, secret: &Secret) -> Result<Self> {
        let (user, password) = (account.username.as_str(), secret.reveal());
        check_text(user)?;
        let mut machine: Box<dyn Mechanism> = match auth {
            Auth::Plain => Box::new(plain::Plain::new(user, password)),
            Auth::CramMd5 => Box::new(cram::CramMd5::new(user, password)),
            Auth::ScramSha256 => Box::new(scram::Scram::new(user, password, &nonce()?)),
            Auth::Xoauth2 => Box::new(bearer::Bearer::xoauth2(user, password)),
            Auth::Oauthbearer => Box::new(bearer::Bearer::oauthbearer(user, &account.host, account.port(), password)),
            Auth::Login | Auth::User | Auth::Apop => return Err(Error::new(Status::Software, "no SASL mechanism")),
        };
        let first = machine.first();
        Ok(Self { auth, machine, first, hidden: vec![password.into(), STANDARD.encode(password)], spoken: false })
    }

    /// The command's argument: the mechanism, and behind it what is said first if that has room in `longest` octets (RFC 4959
    /// section 3, RFC 5034 section 4).
    pub fn begin(&mut self, longest: usize) -> String {
        let name = self.auth.name();
        let fits = self.first.as_ref().is_some_and(|first| name.len() + 1 + first.len().div_ceil(3) * 4 <= longest);
        match self.first.take_if(|_| fits) {
            Some(first) if first.is_empty() => format!("{name} ="),
            Some(first) => format!("{name} {}", self.say(&first)),
            None => name.into(),
        }
    }

    /// The line that answers a challenge, which comes in base64.
    ///
    /// # Errors
    /// [`Status::Protocol`] if it is not base64; else as the mechanism has it. The exchange is then over.
    pub fn answer(&mut self, challenge: &str) -> Result<String> {
        // What comes with the first prompt means nothing where the client speaks first.
        if let Some(first) = self.first.take() {
            return Ok(self.say(&first));
        }
        let name = self.auth.name();
        let decoded = STANDARD.decode(challenge.trim());
        let challenge = decoded.map_err(|_| Error::new(Status::Protocol, format!("login by {name}: the challenge is not base64")))?;
        let answer = self.machine.answer(&challenge).map_err(|e| Error::new(e.status(), format!("login by {name}: {}", e.what())))?;
        Ok(self.say(&answer))
    }

    fn say(&mut self, octets: &[u8]) -> String {
        let line = STANDARD.encode(octets);
        self.spoken = true;
        // A few octets would be found by chance in anything that the server says.
        if line.len() > 4 {
            self.hidden.push(line.clone());
            self.hidden.push(String::from_utf8_lossy(octets).into_owned());
        }
        line
    }

    /// Whether anything was said beyond the mechanism's name.
    #[must_use]
    pub fn has_spoken(&self) -> bool {
        self.spoken
    }

    /// What the server's OK is worth.
    ///
    /// # Errors
    /// [`Status::NoPermission`] if the server has not proved that it knows the password, where the mechanism has it do so.
    pub fn conclude(&self) -> Result<()> {
        self.machine.conclude().map_err(|e| Error::new(e.status(), format!("login by {}: {}", self.auth.name(), e.what())))
    }

    /// A failure with the reason that the server gave in a challenge, and without anything that was said to it.
    #[must_use]
    pub fn explain(&self, error: &Error) -> Error {
        let reason = self.machine.reason().map(|reason| format!("; its reason: {reason}")).unwrap_or_default();
        let explained = Error::new(error.status(), format!("{}{reason}", error.what()));
        // What was sent holds the password, so that it goes first.
        self.hidden.iter().rev().fold(explained, |error, hidden| error.without(hidden))
    }
}

/// A refused login with what to do where the password may be right nevertheless. The secret is taken out before, so that it can't be
/// read from what is missing in our own words.
#[must_use]
pub fn hinted(refused: Error, auth: Auth) -> Error {
    if !auth.proves() || refused.status() != Status::NoPermission {
        return refused;
    }
    let (what, name) = (refused.what(), auth.name());
    let hint = "which a server that keeps passwords hashed can't check: if the password is right, set auth";
    Error::new(Status::NoPermission, format!("{what} (tried by {name}, {hint})"))
}

/// Refuses a name that would end a line or a field of the exchange.
fn check_text(user: &str) -> Result<()> {
    let what = "the user name holds a control character";
    if user.contains(char::is_control) { Err(Error::new(Status::Config, what)) } else { Ok(()) }
}

/// 144 random bits that nobody can foresee, as text without a comma.
fn nonce() -> Result<String> {
    let mut octets = [0; 18];
    getrandom::fill(&mut octets).map_err(|e| Error::new(Status::System, format!("no random numbers: {e}")))?;
    Ok(STANDARD.encode(octets))
}

/// What a mechanism says of a challenge that it does not expect.
fn unexpected(what: &str) -> Error {
    Error::new(Status::Protocol, format!("the server's challenge is not understood: {what}"))
}

/// The beginning of something a server sent, for a message.
fn excerpt(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    fn dialogue(auth: Auth, password: &str) -> Dialogue {
        let text = "[account]\nprotocol = \"imap\"\nhost = \"server.example.com\"\nport = 143\nusername = \"user@example.com\"\n";
        Dialogue::new(auth, &Profile::parse("t", text).unwrap().account, &Secret::new(password.into())).unwrap()
    }

    #[test]
    fn what_is_said_first_goes_with_the_command_only_where_it_has_room() {
        let mut short = dialogue(Auth::Plain, "p");
        assert_eq!((short.begin(100).as_str(), short.has_spoken()), ("PLAIN AHVzZXJAZXhhbXBsZS5jb20AcA==", true));
        let mut long = dialogue(Auth::Plain, "p");
        assert_eq!((long.begin(30).as_str(), long.has_spoken()), ("PLAIN", false));
        assert_eq!(long.answer("").unwrap(), "AHVzZXJAZXhhbXBsZS5jb20AcA==");
        assert!(long.answer("").is_err_and(|e| e.status() == Status::Protocol), "it has nothing more to say");
        assert_eq!(dialogue(Auth::CramMd5, "p").begin(1000), "CRAM-MD5");
    }

    #[test]
    fn a_challenge_that_is_not_base64_is_a_fault_of_the_server() {
        let told = dialogue(Auth::CramMd5, "p").answer("<hello>").map_err(|e| (e.status(), e.to_string()));
        assert_eq!(told, Err((Status::Protocol, "login by CRAM-MD5: the challenge is not base64".into())));
    }

    #[test]
    fn no_error_repeats_what_was_sent() {
        let mut plain = dialogue(Auth::Plain, "a very long secret");
        let line = plain.begin(1000);
        let said = format!("NO {line} and a very long secret and {}", STANDARD.encode("a very long secret"));
        let told = plain.explain(&Error::new(Status::NoPermission, said)).to_string();
        assert_eq!(told, "NO PLAIN *** and *** and ***");
    }

    #[test]
    fn a_name_with_a_control_character_is_not_sent() {
        let text = "[account]\nprotocol = \"imap\"\nhost = \"h\"\nusername = \"u\\u0001auth=x\"\n";
        let account = Profile::parse("t", text).unwrap().account;
        assert!(Dialogue::new(Auth::Xoauth2, &account, &Secret::new("t".into())).is_err_and(|e| e.status() == Status::Config));
    }
}
