//! Who is who: accounts, mailboxes, UIDs, origins, digests and fingerprints, each a type of its own.
//!
//! A mix-up of two numbers can delete the wrong mail, so none of them is a bare number or string.

use crate::error::{Error, Result, Status};
use crate::octets::{self, Base64, Octets};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A message's UID, 1 to 2^32-1; means nothing without its mailbox and [`UidValidity`] (RFC 9051 section 2.3.1.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uid(pub u32);

/// The generation of a mailbox's UIDs; when it changes, all of them mean other messages (RFC 9051 section 2.3.1.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UidValidity(pub u32);

/// The login a profile describes. Two profiles, or one after its host or user name changed, are two accounts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Account {
    /// The profile's name.
    pub name: String,
    /// `user@host`, or the empty string for mail from disk.
    pub login: String,
}

/// Where in its account a copy lies.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Place {
    /// In an IMAP mailbox; the name is decoded from modified UTF-7, `INBOX` in capitals.
    Imap {
        /// The mailbox's name.
        mailbox: Octets,
        /// The generation of its UIDs.
        uidvalidity: UidValidity,
        /// The message's UID.
        uid: Uid,
    },
    /// In a POP3 maildrop, under its unique-id (RFC 1939 section 7).
    Pop3 {
        /// The unique-id.
        uidl: Octets,
    },
    /// On disk: the mbox or folder, and a name in it that stays the same from run to run.
    Disk {
        /// The mbox file or the Maildir folder, relative to the profile's path.
        mailbox: Octets,
        /// The message's stable name in it.
        path: Octets,
    },
}

/// Where one copy lies on the server, or lay when it was fetched.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "RawOrigin", into = "RawOrigin")]
pub struct Origin {
    /// The account.
    pub account: Account,
    /// The place in it.
    pub place: Place,
}

impl Origin {
    /// The mailbox's name; none for POP3, which has only one.
    #[must_use]
    pub fn mailbox(&self) -> Option<&Octets> {
        match &self.place {
            Place::Imap { mailbox, .. } | Place::Disk { mailbox, .. } => Some(mailbox),
            Place::Pop3 { .. } => None,
        }
    }

    /// The folder under which the message is filed when nothing else is said: its mailbox, or `INBOX`.
    #[must_use]
    pub fn folder(&self) -> Octets {
        self.mailbox().cloned().unwrap_or_else(|| "INBOX".into())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.account.name;
        match &self.place {
            Place::Imap { mailbox, uid, .. } => write!(f, "{name}/{mailbox}: UID {}", uid.0),
            Place::Pop3 { uidl } => write!(f, "{name}: UIDL {uidl}"),
            Place::Disk { mailbox, path } => write!(f, "{name}/{mailbox}: {path}"),
        }
    }
}

/// The JSON members of an origin, flat.
#[derive(Serialize, Deserialize)]
struct RawOrigin {
    account: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    login: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mailbox: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mailbox_b64: Option<Base64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uidvalidity: Option<UidValidity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<Uid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uidl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uidl_b64: Option<Base64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_b64: Option<Base64>,
}

impl From<Origin> for RawOrigin {
    fn from(origin: Origin) -> Self {
        let Account { name, login } = origin.account;
        let (mut mailbox, mut uidl, mut path) = (None, None, None);
        let (mut uidvalidity, mut uid) = (None, None);
        match origin.place {
            Place::Imap { mailbox: m, uidvalidity: v, uid: u } => {
                (mailbox, uidvalidity, uid) = (Some(m), Some(v), Some(u));
            }
            Place::Pop3 { uidl: u } => uidl = Some(u),
            Place::Disk { mailbox: m, path: p } => (mailbox, path) = (Some(m), Some(p)),
        }
        let pair = |octets: Option<Octets>| {
            let (text, b64) = octets.as_ref().map_or((None, None), octets::split);
            (text.map(str::to_owned), b64)
        };
        let ((mailbox, mailbox_b64), (uidl, uidl_b64), (path, path_b64)) = (pair(mailbox), pair(uidl), pair(path));
        Self { account: name, login, mailbox, mailbox_b64, uidvalidity, uid, uidl, uidl_b64, path, path_b64 }
    }
}

impl TryFrom<RawOrigin> for Origin {
    type Error = &'static str;

    fn try_from(raw: RawOrigin) -> std::result::Result<Self, Self::Error> {
        let mailbox = octets::join(raw.mailbox, raw.mailbox_b64);
        let uidl = octets::join(raw.uidl, raw.uidl_b64);
        let path = octets::join(raw.path, raw.path_b64);
        let place = match (mailbox, raw.uidvalidity, raw.uid, uidl, path) {
            (Some(mailbox), Some(uidvalidity), Some(uid), None, None) => Place::Imap { mailbox, uidvalidity, uid },
            (None, None, None, Some(uidl), None) => Place::Pop3 { uidl },
            (Some(mailbox), None, None, None, Some(path)) => Place::Disk { mailbox, path },
            _ => return Err("an origin is account with mailbox, uidvalidity and uid, or with uidl, or with mailbox and path"),
        };
        Ok(Self { account: Account { name: raw.account, login: raw.login }, place })
    }
}

/// BLAKE3 of a message's octets, or of a file's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `octets`.
    #[must_use]
    pub fn of(octets: &[u8]) -> Self {
        Self(*blake3::hash(octets).as_bytes())
    }
}

/// By which copies of one mail that differ only in how they travelled are recognised as one (mdrop-archive(5)).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fingerprint {
    /// Version f1: the message without its trace fields.
    F1([u8; 32]),
    /// The digest itself, for a message without a Date or a Message-ID field.
    Digest(Digest),
}

impl Fingerprint {
    /// The hash, whichever kind it is.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        match self {
            Self::F1(hash) | Self::Digest(Digest(hash)) => hash,
        }
    }
}

fn hex(f: &mut fmt::Formatter<'_>, prefix: &str, hash: &[u8; 32]) -> fmt::Result {
    f.write_str(prefix)?;
    f.write_str(&blake3::Hash::from_bytes(*hash).to_hex())
}

fn unhex(text: &str, prefix: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix(prefix)?;
    let lower = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    blake3::Hash::from_hex(digits).ok().filter(|_| lower).map(|hash| *hash.as_bytes())
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(f, "blake3:", &self.0)
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::new(Status::Data, format!("“{text}” is not blake3: and 64 hex digits"));
        unhex(text, "blake3:").map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::F1(hash) => hex(f, "f1:", hash),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl FromStr for Fingerprint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        unhex(text, "f1:").map(Self::F1).map_or_else(|| text.parse().map(Self::Digest), Ok)
    }
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}
as_text!(Digest, Fingerprint);

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account { name: "acme".into(), login: String::new() }
    }

    #[test]
    fn origins_have_the_documented_json_and_come_back() -> serde_json::Result<()> {
        let imap = Place::Imap { mailbox: "INBOX".into(), uidvalidity: UidValidity(9), uid: Uid(42) };
        let odd = Place::Imap { mailbox: Octets::from(&b"\xff"[..]), uidvalidity: UidValidity(9), uid: Uid(42) };
        let disk = Place::Disk { mailbox: "old".into(), path: "cur/1".into() };
        let cases = [
            (imap, r#"{"account":"acme","mailbox":"INBOX","uidvalidity":9,"uid":42}"#),
            (odd, r#"{"account":"acme","mailbox_b64":"/w==","uidvalidity":9,"uid":42}"#),
            (Place::Pop3 { uidl: "x1".into() }, r#"{"account":"acme","uidl":"x1"}"#),
            (disk, r#"{"account":"acme","mailbox":"old","path":"cur/1"}"#),
        ];
        for (place, json) in cases {
            let origin = Origin { account: account(), place };
            assert_eq!(serde_json::to_string(&origin)?, json);
            assert_eq!(serde_json::from_str::<Origin>(json)?, origin);
        }
        Ok(())
    }

    #[test]
    fn half_an_origin_is_refused() {
        for json in [r#"{"account":"a"}"#, r#"{"account":"a","mailbox":"I","uid":1}"#, r#"{"account":"a","uidl":"x","uid":1}"#] {
            assert!(serde_json::from_str::<Origin>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_digest_is_blake3_and_64_lower_case_hex_digits() {
        let text = "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(Digest::of(b"").to_string(), text);
        assert_eq!(text.parse::<Digest>().ok(), Some(Digest::of(b"")));
        assert!(text.to_uppercase().parse::<Digest>().is_err() && text[..70].parse::<Digest>().is_err());
        assert_eq!(text.replace("blake3", "f1").parse::<Fingerprint>().ok(), Some(Fingerprint::F1(Digest::of(b"").0)));
    }
}
