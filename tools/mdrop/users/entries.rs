//! The entries of a users list as TOML and JSON lines have them.

use super::span::{Bound, Span};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use std::fmt;

/// A user.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserEntry {
    pub name: String,
    #[serde(default)]
    pub aliases: Vec<AliasEntry>,
    #[serde(default)]
    pub from: Option<Bound>,
    #[serde(default)]
    pub until: Option<Bound>,
}

/// An address that several users have.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupEntry {
    pub address: String,
    pub members: Vec<String>,
    #[serde(default)]
    pub from: Option<Bound>,
    #[serde(default)]
    pub until: Option<Bound>,
}

/// An alias: an address, or a table of it and its dates.
#[derive(Debug)]
pub struct AliasEntry {
    pub address: String,
    pub from: Option<Bound>,
    pub until: Option<Bound>,
}

/// The span between two bounds; an error says that there is none.
pub fn span(from: Option<Bound>, until: Option<Bound>) -> Result<Span, String> {
    Span::new(from, until).ok_or_else(|| "from is not before until".into())
}

impl<'de> Deserialize<'de> for AliasEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            address: String,
            #[serde(default)]
            from: Option<Bound>,
            #[serde(default)]
            until: Option<Bound>,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = AliasEntry;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an address, or a table with address, from and until")
            }

            fn visit_str<E: Error>(self, address: &str) -> Result<AliasEntry, E> {
                Ok(AliasEntry { address: address.into(), from: None, until: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AliasEntry, A::Error> {
                let Table { address, from, until } = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(AliasEntry { address, from, until })
            }
        }
        deserializer.deserialize_any(Either)
    }
}
