//! CRAM-MD5 (RFC 2195), and APOP's digest (RFC 1939 section 7): the password is proved to be known and not shown.
//!
//! MD5 is broken for much, but what is sent here is of no use on another day; both stand behind everything better.

use super::{Mechanism, unexpected};
use crate::error::Result;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use std::fmt::Write;

/// Our half of CRAM-MD5.
pub(super) struct CramMd5 {
    user: String,
    password: String,
    answered: bool,
}

impl CramMd5 {
    pub fn new(user: &str, password: &str) -> Self {
        Self { user: user.into(), password: password.into(), answered: false }
    }
}

impl Mechanism for CramMd5 {
    fn first(&mut self) -> Option<Vec<u8>> {
        None
    }

    fn answer(&mut self, challenge: &[u8]) -> Result<Vec<u8>> {
        if challenge.is_empty() || self.answered {
            return Err(unexpected("CRAM-MD5 answers one challenge, which says something"));
        }
        self.answered = true;
        let mut mac = Hmac::<Md5>::new_from_slice(self.password.as_bytes()).map_err(|_| unexpected("no key"))?;
        mac.update(challenge);
        Ok(format!("{} {}", self.user, hex(&mac.finalize().into_bytes())).into_bytes())
    }
}

/// What APOP sends behind the user name.
#[must_use]
pub fn apop_digest(timestamp: &str, password: &str) -> String {
    hex(&Md5::new().chain_update(timestamp).chain_update(password).finalize())
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cram_md5_answers_as_rfc_2195_section_2_shows() {
        let mut cram = CramMd5::new("tim", "tanstaaftanstaaf");
        let answer = cram.answer(b"<1896.697170952@postoffice.reston.mci.net>").unwrap();
        assert_eq!(answer, b"tim b913a602c7eda7a495b4e6e7334d3890");
        assert!(cram.answer(b"<again>").is_err());
        assert!(CramMd5::new("tim", "x").answer(b"").is_err());
    }

    #[test]
    fn apop_digests_as_rfc_1939_section_7_shows() {
        assert_eq!(apop_digest("<1896.697170952@dbc.mtview.ca.us>", "tanstaaf"), "c4c9334bac560ecc979e58001b3e22fb");
    }
}
