//! SCRAM-SHA-256 (RFC 5802, RFC 7677): both ends prove that they know the password, and neither shows it.
//!
//! Without channel binding (gs2 flag `n`). The server's part is checked as strictly as ours is computed: a nonce that is not ours, an
//! iteration count that would make guessing cheap or this machine busy for minutes, or a missing or wrong signature ends the login.

use super::{Mechanism, excerpt, unexpected};
use crate::error::{Error, Result, Status};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// How often a server may have the password hashed: at least what RFC 7677 section 4 demands, at most some seconds' work.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4096..=5_000_000;

/// No channel binding, no other identity.
const GS2_HEADER: &str = "n,,";

enum State {
    /// Our first message is out.
    Begun,
    /// Our proof is out; so must the server sign.
    Proved([u8; 32]),
    /// The server has proved itself.
    Done,
    /// The server has said that it refuses, and why.
    Refused(String),
}

/// Our half.
pub(super) struct Scram {
    bare: String,
    nonce: String,
    password: String,
    state: State,
}

impl Scram {
    pub fn new(user: &str, password: &str, nonce: &str) -> Self {
        let bare = format!("n={},r={nonce}", escaped(&prepared(user)));
        Self { bare, nonce: nonce.into(), password: prepared(password).into_owned(), state: State::Begun }
    }

    /// The proof (RFC 5802 section 3).
    fn prove(&mut self, challenge: &[u8]) -> Result<Vec<u8>> {
        let text = std::str::from_utf8(challenge).map_err(|_| unexpected("it is not UTF-8"))?;
        if let Some(error) = text.strip_prefix("e=") {
            return Ok(self.refused(error));
        }
        let Challenge { nonce, salt, iterations } = Challenge::parse(text, &self.nonce)?;
        let salted = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(self.password.as_bytes(), &salt, iterations);
        let client_key = hmac(&salted, b"Client Key")?;
        let ours = format!("c={},r={nonce}", STANDARD.encode(GS2_HEADER));
        let all = format!("{},{text},{ours}", self.bare);
        let signature = hmac(&Sha256::digest(client_key), all.as_bytes())?;
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, signature)| key ^ signature).collect();
        self.state = State::Proved(hmac(&hmac(&salted, b"Server Key")?, all.as_bytes())?);
        Ok(format!("{ours},p={}", STANDARD.encode(proof)).into_bytes())
    }

    /// Checks the server's signature; its challenge is answered with nothing.
    fn check(&mut self, challenge: &[u8], expected: &[u8; 32]) -> Result<Vec<u8>> {
        let text = std::str::from_utf8(challenge).map_err(|_| unexpected("it is not UTF-8"))?;
        if let Some(error) = text.strip_prefix("e=") {
            return Ok(self.refused(error));
        }
        let verifier = text.strip_prefix("v=").map(|rest| rest.split(',').next().unwrap_or_default());
        let verifier = verifier.ok_or_else(|| unexpected(&excerpt(challenge)))?;
        if STANDARD.decode(verifier).is_ok_and(|signature| signature == expected) {
            self.state = State::Done;
            return Ok(Vec::new());
        }
        Err(Error::new(Status::NoPermission, "the server's signature is wrong: it does not know the password, and is not to be trusted"))
    }

    fn refused(&mut self, error: &str) -> Vec<u8> {
        self.state = State::Refused(excerpt(error.split(',').next().unwrap_or_default().as_bytes()));
        Vec::new()
    }
}

impl Mechanism for Scram {
    fn first(&mut self) -> Option<Vec<u8>> {
        Some(format!("{GS2_HEADER}{}", self.bare).into_bytes())
    }

    fn answer(&mut self, challenge: &[u8]) -> Result<Vec<u8>> {
        match &self.state {
            State::Begun => self.prove(challenge),
            State::Proved(expected) => {
                let expected = *expected;
                self.check(challenge, &expected)
            }
            State::Done | State::Refused(_) => Err(unexpected("SCRAM has nothing more to say")),
        }
    }

    fn conclude(&self) -> Result<()> {
        if matches!(self.state, State::Done) {
            return Ok(());
        }
        let what = "the server has not proved that it knows the password, and is not to be trusted";
        Err(Error::new(Status::NoPermission, what))
    }

    fn reason(&self) -> Option<&str> {
        if let State::Refused(reason) = &self.state { Some(reason) } else { None }
    }
}

/// The server's first message (RFC 5802 section 5.1).
struct Challenge<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'a> Challenge<'a> {
    fn parse(text: &'a str, ours: &str) -> Result<Self> {
        let mut fields = text.split(',');
        let mut field = |name: &str| fields.next().and_then(|field| field.strip_prefix(name));
        let (nonce, salt, iterations) = (field("r="), field("s="), field("i="));
        let (Some(nonce), Some(salt), Some(iterations)) = (nonce, salt, iterations) else {
            return Err(unexpected(&excerpt(text.as_bytes())));
        };
        let longer = nonce.strip_prefix(ours).is_some_and(|more| !more.is_empty());
        if !longer || !nonce.bytes().all(|b| b.is_ascii_graphic()) {
            let what = "the server does not answer with our nonce: its answer was made for another login, and is not to be trusted";
            return Err(Error::new(Status::NoPermission, what));
        }
        let salt = STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty()).ok_or_else(|| unexpected("its salt is not base64"))?;
        let iterations: u32 = iterations.parse().map_err(|_| refused_count(iterations))?;
        if !ITERATIONS.contains(&iterations) {
            return Err(refused_count(&iterations.to_string()));
        }
        Ok(Self { nonce, salt, iterations })
    }
}

fn refused_count(count: &str) -> Error {
    let (least, most) = ITERATIONS.into_inner();
    let what = format!("the server asks for {} iterations, where {least} to {most} are accepted", excerpt(count.as_bytes()));
    Error::new(Status::Protocol, what)
}

fn hmac(key: &[u8], text: &[u8]) -> Result<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| Error::new(Status::Software, "no key"))?;
    mac.update(text);
    Ok(mac.finalize().into_bytes().into())
}

/// A name as SCRAM and RFC 7628 write it: `=` and `,` mean something there (RFC 5802 section 5.1).
pub(super) fn escaped(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// Text prepared with `stringprep`'s profile for names and passwords (RFC 4013); what may not be prepared is sent as it is, since some servers prepare nothing.
fn prepared(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { stringprep::saslprep(text).unwrap_or(Cow::Borrowed(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677 section 3.
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn proved() -> Scram {
        let mut scram = Scram::new("user", "pencil", NONCE);
        scram.first();
        scram.answer(FIRST.as_bytes()).unwrap();
        scram
    }

    #[test]
    fn scram_says_what_rfc_7677_section_3_shows() {
        let mut scram = Scram::new("user", "pencil", NONCE);
        assert_eq!(scram.first().unwrap(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let proof = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(String::from_utf8(scram.answer(FIRST.as_bytes()).unwrap()).unwrap(), proof);
        assert!(scram.conclude().is_err(), "the server has proved nothing yet");
        assert_eq!(scram.answer(FINAL.as_bytes()).unwrap(), b"");
        assert!(scram.conclude().is_ok());
    }

    #[test]
    fn a_server_that_does_not_prove_itself_is_refused() {
        assert!(proved().conclude().is_err_and(|e| e.status() == Status::NoPermission && e.what().contains("has not proved")));
        for lie in ["v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", "v=AAAA", "v=", "v=???"] {
            let mut scram = proved();
            let told = scram.answer(lie.as_bytes());
            assert!(told.is_err_and(|e| e.status() == Status::NoPermission && e.what().contains("signature is wrong")), "{lie}");
            assert!(scram.conclude().is_err());
        }
    }

    #[test]
    fn a_challenge_that_is_wrong_anywhere_is_refused() {
        let nonce = "rOprNGfwEbeRWgbNEkqOmore";
        let all = [
            (format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095"), Status::Protocol, "4095 iterations"),
            (format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=5000001"), Status::Protocol, "5000001 iterations"),
            (format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999999999999999"), Status::Protocol, "iterations"),
            (format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=-1"), Status::Protocol, "iterations"),
            (format!("r={NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"), Status::NoPermission, "our nonce"),
            ("r=another,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".into(), Status::NoPermission, "our nonce"),
            (format!("r={nonce} x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"), Status::NoPermission, "our nonce"),
            (format!("r={nonce},s=?,i=4096"), Status::Protocol, "salt"),
            (format!("r={nonce},s=,i=4096"), Status::Protocol, "salt"),
            (format!("m=x,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"), Status::Protocol, "not understood"),
            (format!("r={nonce},i=4096"), Status::Protocol, "not understood"),
            (String::new(), Status::Protocol, "not understood"),
        ];
        for (challenge, status, words) in all {
            let told = Scram::new("user", "pencil", NONCE).answer(challenge.as_bytes()).err();
            assert!(told.as_ref().is_some_and(|e| e.status() == status && e.what().contains(words)), "{challenge}: {told:?}");
        }
        assert!(Scram::new("user", "pencil", NONCE).answer(&[0xff]).is_err());
    }

    #[test]
    fn an_error_of_the_server_is_heard_and_no_success_after_it_is_believed() {
        for mut scram in [Scram::new("user", "pencil", NONCE), proved()] {
            assert_eq!(scram.answer(b"e=unknown-user,x=1").unwrap(), b"");
            assert_eq!(scram.reason(), Some("unknown-user"));
            assert!(scram.conclude().is_err() && scram.answer(FINAL.as_bytes()).is_err());
        }
    }

    #[test]
    fn names_and_passwords_are_prepared_and_escaped() {
        // RFC 4013 section 3: a soft hyphen goes, a compatibility character becomes what it stands for.
        assert_eq!(prepared("I\u{ad}X"), "IX");
        assert_eq!(prepared("\u{2168}"), "IX");
        assert_eq!(prepared("\u{aa}"), "a");
        assert_eq!(prepared("\u{627}1"), "\u{627}1", "what may not be prepared stays");
        assert_eq!(Scram::new("a=b,\u{2168}", "x", "n").bare, "n=a=3Db=2CIX,r=n");
        assert_eq!(prepared("p\u{7}"), "p\u{7}");
    }
}
