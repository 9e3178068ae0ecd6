//! What records say of a message's place on the server: object identifiers (RFC 8474), and moves.

use super::V1;
use crate::identity::{Digest, Origin};
use crate::octets::{self, Octets};
use crate::time::Time;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::borrow::Cow;

/// What a server that keeps object identifiers (RFC 8474) calls a message and its mailbox, wherever they go. They are a server's word:
/// nothing is deleted on it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ObjectIds {
    /// EMAILID: the same for all copies of one message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emailid: Option<String>,
    /// MAILBOXID: stays when the mailbox is renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailboxid: Option<String>,
}

/// Whether a server's word is an object identifier (RFC 8474 section 4).
#[must_use]
pub fn is_object_id(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// An archived message that has an EMAILID, with what must be the same wherever it stands: written `EMAILID SIZE SECONDS`, since there are
/// many of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownEmail {
    /// Its EMAILID.
    pub emailid: String,
    /// The size the server claimed.
    pub server_size: u64,
    /// Its INTERNALDATE.
    pub received: Time,
}

impl Serialize for KnownEmail {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{} {} {}", self.emailid, self.server_size, self.received.unix()))
    }
}

impl<'de> Deserialize<'de> for KnownEmail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let mut words = text.split(' ');
        let (emailid, size, received) =
            (words.next(), words.next().and_then(|w| w.parse().ok()), words.next().and_then(|w| w.parse().ok()));
        match (emailid, size, received, words.next()) {
            (Some(emailid), Some(server_size), Some(received), None) if is_object_id(emailid) => {
                Ok(Self { emailid: emailid.to_owned(), server_size, received: Time::from_unix(received) })
            }
            _ => Err(D::Error::custom(format!("“{text}” is not an EMAILID, a size and a time"))),
        }
    }
}

/// How it is known that a message stands at an origin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Its octets were read there, and have the digest.
    Digest,
    /// The mailbox was renamed, as its MAILBOXID says; nothing was read.
    Mailboxid,
    /// It has the EMAILID; nothing was read.
    Emailid,
}

/// A message known at one origin now stands at another; in a `copy`, it still stands at the first, too.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Move {
    /// The format's version.
    pub v: V1,
    /// Where it was.
    pub origin: Origin,
    /// Where it is.
    pub to: Origin,
    /// The message.
    pub digest: Digest,
    /// How it is known that it is there.
    pub by: By,
    /// When this was noticed.
    pub time: Time,
}

/// A message that is listed, with its EMAILID.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ListedEmail {
    /// Its UID.
    pub uid: u32,
    /// Its EMAILID.
    pub emailid: String,
}

/// Which mailboxes the server has: the first record of a run of mdrop-fetch over IMAP.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MailboxNames {
    /// The format's version.
    pub v: V1,
    /// The account's name.
    pub account: String,
    /// The account's login.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub login: String,
    /// When it was asked.
    pub time: Time,
    /// All of them, read or not.
    pub names: Vec<MailboxName>,
    /// Whether there may be others, whose names were not understood.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// A mailbox's name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MailboxName {
    /// The name.
    #[serde(flatten, with = "octets::mailbox")]
    pub mailbox: Option<Octets>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_emailid_is_three_words_and_anything_else_is_refused() {
        let email = KnownEmail { emailid: "M6d-9_9".into(), server_size: 1234, received: Time::from_unix(1_795_000_000) };
        let json = serde_json::to_string(&email).unwrap();
        assert_eq!(json, r#""M6d-9_9 1234 1795000000""#);
        assert_eq!(serde_json::from_str::<KnownEmail>(&json).unwrap(), email);
        for bad in ["", "M6", "M6 1", "M6 1 x", "M6 -1 2", "M6 1 2 3", "Mü 1 2", " 1 2"] {
            assert!(serde_json::from_str::<KnownEmail>(&format!("\"{bad}\"")).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_object_identifier_is_short_and_plain() {
        let long = "x".repeat(256);
        for (text, expected) in [("F2212ea87-6097_x", true), ("", false), ("a b", false), ("ä", false), (&long, false), (&long[1..], true)]
        {
            assert_eq!(is_object_id(text), expected, "{text}");
        }
    }
}
