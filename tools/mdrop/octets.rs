//! Octets from elsewhere inside JSON: text where they are UTF-8, else base64 under the name with `_b64` appended.
//!
//! JSON must be UTF-8, mail need not be. One reversible escape for all of them lets jq users read the usual case as it
//! is and lets us get the exact octets back in every case (mdrop-stream(5)).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::borrow::Cow;
use std::fmt;

/// Octets that are usually, but not always, UTF-8 text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Octets(Vec<u8>);

impl Octets {
    /// The octets themselves.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The octets as text, each that is not UTF-8 replaced by U+FFFD: for people, never for comparing.
    #[must_use]
    pub fn lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// The octets if they are UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl From<Vec<u8>> for Octets {
    fn from(octets: Vec<u8>) -> Self {
        Self(octets)
    }
}

impl From<&[u8]> for Octets {
    fn from(octets: &[u8]) -> Self {
        Self(octets.to_vec())
    }
}

impl From<&str> for Octets {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<String> for Octets {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl fmt::Display for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lossy())
    }
}

/// The base64 form, which stands under a name ending in `_b64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map(Self).map_err(D::Error::custom)
    }
}

/// Splits octets into the two JSON members of which exactly one is present.
#[must_use]
pub fn split(octets: &Octets) -> (Option<&str>, Option<Base64>) {
    match octets.as_str() {
        Some(text) => (Some(text), None),
        None => (None, Some(Base64(octets.0.clone()))),
    }
}

/// Joins the two JSON members; the base64 one wins, since it is only there when it is needed.
#[must_use]
pub fn join(text: Option<String>, b64: Option<Base64>) -> Option<Octets> {
    b64.map(|b| Octets(b.0)).or(text.map(Octets::from))
}

/// Defines modules for `#[serde(flatten, with = "…")]` on fields of type `Option<Octets>`, one for each member name.
macro_rules! octets_members {
    ($($name:ident $b64:literal),* $(,)?) => {$(
        /// The JSON member of this name, or of this name with `_b64`.
        pub mod $name {
            use super::{Base64, Octets};
            use serde::{Deserialize, Deserializer, Serialize, Serializer};

            #[derive(Serialize)]
            struct Out<'a> {
                #[serde(skip_serializing_if = "Option::is_none")]
                $name: Option<&'a str>,
                #[serde(rename = $b64, skip_serializing_if = "Option::is_none")]
                b64: Option<Base64>,
            }

            #[derive(Deserialize)]
            struct In {
                #[serde(default)]
                $name: Option<String>,
                #[serde(default, rename = $b64)]
                b64: Option<Base64>,
            }

            /// Writes one of the two members, or none.
            ///
            /// # Errors
            /// The serializer's.
            pub fn serialize<S: Serializer>(value: &Option<Octets>, serializer: S) -> Result<S::Ok, S::Error> {
                let (text, b64) = value.as_ref().map_or((None, None), super::split);
                Out { $name: text, b64 }.serialize(serializer)
            }

            /// Reads whichever of the two members is there.
            ///
            /// # Errors
            /// The deserializer's, and base64 that is none.
            pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Octets>, D::Error> {
                let members = In::deserialize(deserializer)?;
                Ok(super::join(members.$name, members.b64))
            }
        }
    )*};
}

octets_members! {
    message_id "message_id_b64",
    date "date_b64",
    from "from_b64",
    subject "subject_b64",
    address "address_b64",
    mailbox "mailbox_b64",
    renamed "renamed_b64",
    uidl "uidl_b64",
    path "path_b64",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Sample {
        #[serde(flatten, with = "super::subject")]
        subject: Option<Octets>,
        #[serde(flatten, with = "super::from")]
        from: Option<Octets>,
        size: u64,
    }

    #[test]
    fn text_stays_text_and_other_octets_come_back_from_base64() -> Result<(), serde_json::Error> {
        let sample = Sample { subject: Some("Grüße".into()), from: Some(Octets(vec![b'a', 0xff, 0])), size: 7 };
        let json = serde_json::to_string(&sample)?;
        assert_eq!(json, r#"{"subject":"Grüße","from_b64":"Yf8A","size":7}"#);
        assert_eq!(serde_json::from_str::<Sample>(&json)?, sample);
        Ok(())
    }

    #[test]
    fn members_that_are_absent_or_unknown_are_no_error() -> Result<(), serde_json::Error> {
        let sample: Sample = serde_json::from_str(r#"{"size":1,"from":null,"later":{"x":[1]}}"#)?;
        assert_eq!(sample, Sample { subject: None, from: None, size: 1 });
        assert!(serde_json::from_str::<Sample>(r#"{"size":1,"from_b64":"%"}"#).is_err());
        Ok(())
    }
}
