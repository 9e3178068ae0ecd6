//! XOAUTH2 and OAUTHBEARER (RFC 7628): an OAuth 2 access token in place of a password.
//!
//! Where the token is refused the server says why in a challenge, as JSON, and wants one empty answer before its NO:
//! nothing at all for XOAUTH2, one octet 1 for OAUTHBEARER (RFC 7628 section 3.2.3).

use super::{Mechanism, excerpt, unexpected};
use crate::error::Result;

/// Our half.
pub(super) struct Bearer {
    first: Vec<u8>,
    /// What an error is answered with.
    dummy: &'static [u8],
    reason: Option<String>,
}

impl Bearer {
    /// As <https://developers.google.com/workspace/gmail/imap/xoauth2-protocol> has it.
    pub fn xoauth2(user: &str, token: &str) -> Self {
        Self { first: format!("user={user}\x01auth=Bearer {token}\x01\x01").into_bytes(), dummy: b"", reason: None }
    }

    /// As RFC 7628 section 3.1 has it.
    pub fn oauthbearer(user: &str, host: &str, port: u16, token: &str) -> Self {
        let user = super::scram::escaped(user);
        let first = format!("n,a={user},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01");
        Self { first: first.into_bytes(), dummy: b"\x01", reason: None }
    }
}

impl Mechanism for Bearer {
    fn first(&mut self) -> Option<Vec<u8>> {
        Some(std::mem::take(&mut self.first))
    }

    fn answer(&mut self, challenge: &[u8]) -> Result<Vec<u8>> {
        if self.reason.is_some() {
            return Err(unexpected("an error was told already"));
        }
        self.reason = Some(status_of(challenge));
        Ok(self.dummy.to_vec())
    }

    fn conclude(&self) -> Result<()> {
        // An OK after an error means that the two ends do not understand each other.
        self.reason.as_ref().map_or(Ok(()), |reason| Err(unexpected(&format!("an error ({reason}), and then OK"))))
    }

    fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

/// The `status` of the server's JSON (RFC 7628 section 3.2.2), or what it says in place of that.
fn status_of(challenge: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(challenge).ok();
    let status = json.and_then(|json| match json.get("status")? {
        serde_json::Value::String(status) => Some(excerpt(status.as_bytes())),
        serde_json::Value::Number(status) => Some(status.to_string()),
        _ => None,
    });
    status.map_or_else(|| excerpt(challenge), |status| format!("status {status}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oauthbearer_says_what_rfc_7628_section_4_shows() {
        let mut bearer = Bearer::oauthbearer("user@example.com", "server.example.com", 143, "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
        let said = bearer.first().unwrap();
        let shown = "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
        assert_eq!(String::from_utf8(said).unwrap(), shown);
        let error = br#"{"status":"invalid_token","scope":"example_scope","openid-configuration":"https://example.com/"}"#;
        assert_eq!(bearer.answer(error).unwrap(), b"\x01");
        assert_eq!(bearer.reason(), Some("status invalid_token"));
        assert!(bearer.conclude().is_err() && bearer.answer(error).is_err());
    }

    #[test]
    fn xoauth2_says_what_google_shows_and_answers_an_error_with_nothing() {
        let mut bearer = Bearer::xoauth2("someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg");
        let shown = "user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01";
        assert_eq!(String::from_utf8(bearer.first().unwrap()).unwrap(), shown);
        assert_eq!(bearer.answer(br#"{"status":"401","schemes":"bearer","scope":"https://mail.google.com/"}"#).unwrap(), b"");
        assert_eq!(bearer.reason(), Some("status 401"));
    }

    #[test]
    fn an_error_that_is_no_json_is_told_as_it_is_and_cut() {
        for (challenge, reason) in [(&b"nope"[..], "nope".to_owned()), (b"{\"status\":400}", "status 400".into()), (b"", String::new())] {
            assert_eq!(status_of(challenge), reason);
        }
        assert_eq!(status_of(&[b'x'; 5000]).len(), 200);
    }

    #[test]
    fn a_comma_in_a_name_begins_no_other_field() {
        let said = Bearer::oauthbearer("a,b=c", "h", 1, "t").first().unwrap();
        assert!(said.starts_with(b"n,a=a=2Cb=3Dc,\x01host=h\x01"));
    }
}
