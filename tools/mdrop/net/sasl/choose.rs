//! Which way to log in: one pure function of what the server offers, what the profile has, and what the line hides.
//!
//! On a line with TLS everything is hidden, so what every server can check comes early; on one without, what does not show the
//! password does. A password is never shown there to another machine, nor a token to any, unless the profile says so aloud.

use crate::error::{Error, Result, Status};
use crate::net::is_loopback;
use crate::net::secret::Secret;
use crate::profile::{AccountSettings, Auth};

/// What a line hides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    /// Everything: it has TLS.
    Encrypted,
    /// Nothing; but nobody else reads it, or the profile accepts that.
    Accepted,
    /// Nothing.
    Clear,
}

/// What the profile and the line allow.
#[derive(Clone, Copy, Debug)]
pub struct Means {
    /// Whether the secret is an OAuth 2 token.
    pub token: bool,
    /// Whether LOGIN or USER can carry name and password as they are.
    pub simple: bool,
    /// What the line hides.
    pub line: Line,
    /// The one way that the profile wants.
    pub wanted: Option<Auth>,
}

impl Means {
    /// What a profile and a line allow; `simple` is for the protocol to say.
    #[must_use]
    pub fn of(account: &AccountSettings, secret: &Secret, encrypted: bool, simple: bool) -> Self {
        let token = secret.is_token();
        let accepted = account.cleartext_login || is_loopback(&account.host) && !token;
        let line = match (encrypted, accepted) {
            (true, _) => Line::Encrypted,
            (false, true) => Line::Accepted,
            (false, false) => Line::Clear,
        };
        Self { token, simple, line, wanted: account.auth }
    }

    /// What could be used, the best first.
    fn order(self) -> &'static [Auth] {
        use Auth::{Apop, CramMd5, Login, Oauthbearer, Plain, ScramSha256, User, Xoauth2};
        match (self.token, self.line == Line::Encrypted, self.simple) {
            (true, _, _) => &[Oauthbearer, Xoauth2],
            (false, true, true) => &[ScramSha256, Login, User, Plain, CramMd5, Apop],
            (false, true, false) => &[ScramSha256, Plain, Login, User, CramMd5, Apop],
            (false, false, true) => &[ScramSha256, CramMd5, Apop, Login, User, Plain],
            (false, false, false) => &[ScramSha256, CramMd5, Apop, Plain, Login, User],
        }
    }

    fn allows(self, auth: Auth) -> bool {
        self.line != Line::Clear || auth.proves()
    }
}

/// The way to log in. `offered` is what the server can do and has not refused yet; `said` is what it offers in its own words.
///
/// # Errors
/// [`Status::Config`] if what it offers would show the password or token to whoever reads the line; [`Status::Protocol`] if it offers
/// nothing that the profile can use.
pub fn choose(offered: &[Auth], said: &str, means: Means) -> Result<Auth> {
    let usable = means.order().iter().copied().filter(|auth| means.wanted.is_none_or(|wanted| wanted == *auth));
    let mut usable = usable.filter(|auth| offered.contains(auth)).peekable();
    let shown = usable.peek().copied();
    usable.find(|auth| means.allows(*auth)).ok_or_else(|| match shown {
        Some(auth) => would_reveal(auth, said, means.token),
        None => nothing_fits(said, means),
    })
}

fn would_reveal(auth: Auth, said: &str, token: bool) -> Error {
    let (what, name) = (if token { "token" } else { "password" }, auth.name());
    let ways = "use \"implicit\" or \"starttls\", or set cleartext-login = true";
    Error::new(Status::Config, format!("tls = \"none\" would send the {what} in clear (by {name}; the server offers {said}); {ways}"))
}

fn nothing_fits(said: &str, means: Means) -> Error {
    let lacks = match means.wanted {
        Some(wanted) => format!("the server does not offer {}, which auth asks for", wanted.name()),
        None if means.token => "the server offers no way to log in with a token".into(),
        None => "the server offers no way to log in with a password that mdrop knows".into(),
    };
    Error::new(Status::Protocol, format!("login: {lacks}; it offers {said}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Auth::{Apop, CramMd5, Login, Oauthbearer, Plain, ScramSha256, User, Xoauth2};

    const TLS: Means = Means { token: false, simple: true, line: Line::Encrypted, wanted: None };
    const HERE: Means = Means { line: Line::Accepted, ..TLS };
    const OPEN: Means = Means { line: Line::Clear, ..TLS };

    fn chosen(offered: &[Auth], means: Means) -> std::result::Result<Auth, Status> {
        choose(offered, "X", means).map_err(|e| e.status())
    }

    #[test]
    fn a_password_goes_the_best_way_that_the_server_and_the_line_allow() {
        let imap = [Login, Plain, CramMd5, ScramSha256, Xoauth2, Oauthbearer];
        let pop3 = [User, Apop, Plain, CramMd5];
        let odd = |means| Means { simple: false, ..means };
        let table: &[(&[Auth], Means, std::result::Result<Auth, Status>)] = &[
            (&imap, TLS, Ok(ScramSha256)),
            (&imap, HERE, Ok(ScramSha256)),
            (&imap, OPEN, Ok(ScramSha256)),
            (&[Login, Plain, CramMd5], TLS, Ok(Login)),
            (&[Login, Plain, CramMd5], odd(TLS), Ok(Plain)),
            (&[Login, CramMd5], odd(TLS), Ok(Login)),
            (&[Login, Plain, CramMd5], HERE, Ok(CramMd5)),
            (&[Login, Plain, CramMd5], OPEN, Ok(CramMd5)),
            (&[Login, Plain], HERE, Ok(Login)),
            (&[Login, Plain], odd(HERE), Ok(Plain)),
            (&[Login, Plain], OPEN, Err(Status::Config)),
            (&[Plain], TLS, Ok(Plain)),
            (&[CramMd5], TLS, Ok(CramMd5)),
            (&pop3, TLS, Ok(User)),
            (&pop3, odd(TLS), Ok(Plain)),
            (&pop3, OPEN, Ok(CramMd5)),
            (&[User, Apop], TLS, Ok(User)),
            (&[User, Apop], HERE, Ok(Apop)),
            (&[User, Apop], OPEN, Ok(Apop)),
            (&[User], OPEN, Err(Status::Config)),
            (&[Xoauth2, Oauthbearer], TLS, Err(Status::Protocol)),
            (&[], TLS, Err(Status::Protocol)),
            (&[], OPEN, Err(Status::Protocol)),
        ];
        for (offered, means, expected) in table {
            assert_eq!(chosen(offered, *means), *expected, "{offered:?} {means:?}");
        }
    }

    #[test]
    fn a_token_goes_only_where_tokens_are_taken_and_never_in_clear() {
        let token = |means| Means { token: true, ..means };
        assert_eq!(chosen(&[Login, Plain, Xoauth2], token(TLS)), Ok(Xoauth2));
        assert_eq!(chosen(&[Xoauth2, Oauthbearer], token(TLS)), Ok(Oauthbearer));
        assert_eq!(chosen(&[Xoauth2], token(OPEN)), Err(Status::Config));
        assert_eq!(chosen(&[Login, Plain, ScramSha256], token(TLS)), Err(Status::Protocol));
        let account = |more: &str| {
            let text = format!("[account]\nprotocol = \"imap\"\nusername = \"u\"\ntls = \"none\"\n{more}");
            crate::profile::Profile::parse("t", &text).unwrap().account
        };
        let (token, password) = (Secret::token("t".into()), Secret::new("p".into()));
        for (more, secret, line) in [
            ("host = \"localhost\"\n", &token, Line::Clear),
            ("host = \"localhost\"\n", &password, Line::Accepted),
            ("host = \"mail.example.com\"\n", &password, Line::Clear),
            ("host = \"mail.example.com\"\ncleartext-login = true\n", &password, Line::Accepted),
            ("host = \"mail.example.com\"\ncleartext-login = true\n", &token, Line::Accepted),
        ] {
            assert_eq!(Means::of(&account(more), secret, false, true).line, line, "{more}");
            assert_eq!(Means::of(&account(more), secret, true, true).line, Line::Encrypted);
        }
    }

    #[test]
    fn auth_is_used_or_refused_and_nothing_is_put_in_its_place() {
        let want = |wanted, means| Means { wanted: Some(wanted), ..means };
        assert_eq!(chosen(&[Login, Plain, ScramSha256], want(Plain, TLS)), Ok(Plain));
        assert_eq!(chosen(&[Login, Plain], want(ScramSha256, TLS)), Err(Status::Protocol));
        assert_eq!(chosen(&[Plain, ScramSha256], want(Plain, OPEN)), Err(Status::Config));
        assert_eq!(chosen(&[User, Apop], want(Apop, OPEN)), Ok(Apop));
    }

    #[test]
    fn a_refusal_says_what_the_server_offers_and_what_can_be_done() {
        let told = |offered: &[Auth], means: Means| choose(offered, "GSSAPI, LOGIN", means).unwrap_err().to_string();
        let clear = told(&[Login], OPEN);
        assert!(
            clear.contains("password in clear (by LOGIN; the server offers GSSAPI, LOGIN)") && clear.contains("cleartext-login = true")
        );
        assert!(told(&[Xoauth2], Means { token: true, ..OPEN }).contains("token in clear"));
        assert!(told(&[], TLS).contains("no way to log in with a password that mdrop knows; it offers GSSAPI, LOGIN"));
        assert!(told(&[], Means { token: true, ..TLS }).contains("no way to log in with a token; it offers GSSAPI, LOGIN"));
        assert!(told(&[], Means { wanted: Some(CramMd5), ..TLS }).contains("does not offer CRAM-MD5, which auth asks for"));
    }
}
