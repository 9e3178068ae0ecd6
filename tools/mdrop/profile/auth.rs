//! How to log in: the names that the profile's `auth` knows, which are also those that messages use.
//!
//! One list for both protocols, so that a name means one thing; [`check`] says which of them fit together.

use super::{AccountSettings, Protocol};
use crate::error::{Error, Result, Status};
use serde::Deserialize;

/// A way to log in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// IMAP's LOGIN (RFC 9051 section 6.2.3).
    Login,
    /// POP3's USER and PASS (RFC 1939 section 7).
    User,
    /// POP3's APOP (RFC 1939 section 7).
    Apop,
    /// SASL PLAIN (RFC 4616).
    Plain,
    /// SASL CRAM-MD5 (RFC 2195).
    CramMd5,
    /// SASL SCRAM-SHA-256 (RFC 7677).
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// XOAUTH2, as Google and Microsoft describe it.
    Xoauth2,
    /// SASL OAUTHBEARER (RFC 7628).
    Oauthbearer,
}

impl Auth {
    /// Every one that goes through AUTHENTICATE or AUTH.
    pub const SASL: [Self; 5] = [Self::Plain, Self::CramMd5, Self::ScramSha256, Self::Xoauth2, Self::Oauthbearer];

    /// Its name on the wire: a SASL mechanism's, or the command's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Login => "LOGIN",
            Self::User => "USER",
            Self::Apop => "APOP",
            Self::Plain => "PLAIN",
            Self::CramMd5 => "CRAM-MD5",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Xoauth2 => "XOAUTH2",
            Self::Oauthbearer => "OAUTHBEARER",
        }
    }

    /// Whether it takes an OAuth 2 token, and not a password.
    #[must_use]
    pub fn takes_token(self) -> bool {
        matches!(self, Self::Xoauth2 | Self::Oauthbearer)
    }

    /// Whether the password is only proved to be known: who reads the line does not learn it, and a server that keeps a hash of it may be
    /// unable to check.
    #[must_use]
    pub fn proves(self) -> bool {
        matches!(self, Self::ScramSha256 | Self::CramMd5 | Self::Apop)
    }
}

/// Checks that a server's account says at most one place where the secret is, and an `auth` that fits it.
pub(super) fn check(account: &AccountSettings) -> Result<()> {
    let wrong = |what: String| Err(Error::new(Status::Config, what));
    let sources = [
        ("password-command", account.password_command.is_some()),
        ("password-file", account.password_file.is_some()),
        ("token-command", account.token_command.is_some()),
    ];
    let given: Vec<&str> = sources.iter().filter(|(_, given)| *given).map(|(key, _)| *key).collect();
    if let [first, second, ..] = given[..] {
        return wrong(format!("[account] has both {first} and {second}"));
    }
    let Some(auth) = account.auth else { return Ok(()) };
    let token = account.token_command.is_some();
    match (auth, account.protocol) {
        _ if auth.takes_token() && !token => wrong(format!("[account] auth asks for {}, which needs token-command", auth.name())),
        _ if token && !auth.takes_token() => wrong(format!("[account] auth asks for {}, which takes no token", auth.name())),
        (Auth::Login, Protocol::Pop3) => wrong("[account] auth = \"login\" is for IMAP; for POP3 it is \"user\"".into()),
        (Auth::User | Auth::Apop, Protocol::Imap) => wrong(format!("[account] auth asks for {}, which is for POP3", auth.name())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    fn told(protocol: &str, more: &str) -> std::result::Result<Option<Auth>, (u8, String)> {
        let text = format!("[account]\nprotocol = \"{protocol}\"\nhost = \"h\"\nusername = \"u\"\n{more}");
        Profile::parse("t", &text).map(|profile| profile.account.auth).map_err(|e| (e.status().code(), e.to_string()))
    }

    #[test]
    fn every_way_to_log_in_has_the_name_that_the_manual_gives_it() {
        let all = [
            ("imap", "login", "", Auth::Login),
            ("pop3", "user", "", Auth::User),
            ("pop3", "apop", "", Auth::Apop),
            ("imap", "plain", "", Auth::Plain),
            ("imap", "cram-md5", "", Auth::CramMd5),
            ("pop3", "scram-sha-256", "", Auth::ScramSha256),
            ("imap", "xoauth2", "token-command = \"t\"\n", Auth::Xoauth2),
            ("imap", "oauthbearer", "token-command = \"t\"\n", Auth::Oauthbearer),
        ];
        for (protocol, name, more, auth) in all {
            assert_eq!(told(protocol, &format!("auth = \"{name}\"\n{more}")), Ok(Some(auth)));
        }
        assert_eq!(told("imap", ""), Ok(None));
    }

    #[test]
    fn what_does_not_fit_together_is_refused_with_78() {
        let all = [
            ("imap", "auth = \"digest-md5\"\n", "unknown variant `digest-md5`"),
            ("imap", "auth = \"xoauth2\"\n", "XOAUTH2, which needs token-command"),
            ("imap", "auth = \"plain\"\ntoken-command = \"t\"\n", "PLAIN, which takes no token"),
            ("imap", "auth = \"apop\"\n", "APOP, which is for POP3"),
            ("imap", "auth = \"user\"\n", "USER, which is for POP3"),
            ("pop3", "auth = \"login\"\n", "is for IMAP"),
            ("imap", "token-command = \"t\"\npassword-command = \"p\"\n", "both password-command and token-command"),
            ("pop3", "token-command = \"t\"\npassword-file = \"p\"\n", "both password-file and token-command"),
            ("pop3", "password-command = \"t\"\npassword-file = \"p\"\n", "both password-command and password-file"),
        ];
        for (protocol, more, words) in all {
            let error = told(protocol, more).err();
            assert!(error.as_ref().is_some_and(|(code, text)| *code == 78 && text.contains(words)), "{more}: {error:?}");
        }
    }
}
