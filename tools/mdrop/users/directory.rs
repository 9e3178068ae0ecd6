//! The directory: whether an address is local, and whose it is, from the profile and the users list.
//!
//! The most particular entry that names an address decides, and nothing less particular is asked then, also where nobody holds the
//! address at that time: mail for somebody who has left must not fall to whoever has the rest of the domain.

use super::list::{Title, Users};
use super::locality::Locality;
use crate::address::Address;
use crate::error::{Error, Result, Status};
use crate::profile::RouteSettings;
use crate::time::Time;
use std::collections::HashSet;

/// What the directory knows of an address in the local domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// Whether its domain is one of the local domains, or the users list has the address; else it is in a sub-domain of one.
    pub exact: bool,
    /// Whether it is the multidrop mailbox's own address.
    pub own: bool,
}

/// Whose an address is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whose {
    /// The users who have it, each once; empty where nobody does.
    pub users: Vec<String>,
    /// Whether somebody has it for a time only, and the moment is not known.
    pub undated: bool,
}

impl Whose {
    pub(super) fn add(&mut self, name: &str) {
        if !self.users.iter().any(|user| user == name) {
            self.users.push(name.to_owned());
        }
    }
}

/// Says of an address whether it is local, and whose.
#[derive(Clone, Debug)]
pub struct Directory {
    locality: Locality,
    own: HashSet<String>,
    /// The domains of those.
    own_domains: HashSet<String>,
    users: Option<Users>,
}

impl Directory {
    /// The directory of a profile. Without users every address in the local domains is its own user.
    ///
    /// # Errors
    /// [`Status::Config`] if a domain, an own address or the subaddress can't be one, if there is no domain, or if a domain alias stands
    /// for a domain that is not local.
    pub fn new(settings: &RouteSettings, users: Option<Users>) -> Result<Self> {
        let wrong = |what: String| Error::new(Status::Config, what).about("[route]");
        let mut locality = Locality::new(settings)?;
        if let Some(users) = &users {
            locality.add_aliases(users)?;
        }
        let own = |name: &String| Address::parse(name).ok_or_else(|| wrong(format!("own-addresses: “{name}” is not an address")));
        let owns = settings.own_addresses.iter().map(own).collect::<Result<Vec<_>>>()?;
        let own_domains = owns.iter().map(|address| address.domain().to_owned()).collect();
        Ok(Self { locality, own: owns.iter().map(Address::normal).collect(), own_domains, users })
    }

    /// Whether an address is local; none if it is not.
    #[must_use]
    pub fn resolve(&self, address: &Address) -> Option<Local> {
        let is_listed = || self.users.as_ref().is_some_and(|users| self.titles(users, address).is_some());
        let exact = self.locality.standing(address.domain())? || is_listed();
        Some(Local { exact, own: self.owns(address) })
    }

    /// Whether it is a local address, and not the mailbox's own.
    #[must_use]
    pub fn is_personal(&self, address: &Address) -> bool {
        self.resolve(address).is_some_and(|local| !local.own)
    }

    /// Whose a local address is at a moment, which is that of the message's delivery. Where the moment is not known, what somebody has
    /// for a time only is nobody's.
    #[must_use]
    pub fn whose(&self, address: &Address, at: Option<Time>) -> Whose {
        let Some(users) = &self.users else { return Whose { users: vec![self.itself(address)], undated: false } };
        self.titles(users, address).map(|titles| users.holders(titles, at, &self.itself(address))).unwrap_or_default()
    }

    /// Whether the users list names an address itself, for whatever time: not as a subaddress, nor by a wildcard.
    #[must_use]
    pub fn names(&self, address: &Address) -> bool {
        self.users.as_ref().is_some_and(|users| domains(users, address).any(|domain| users.exact(address.local(), domain).is_some()))
    }

    /// Whether the users list names an address, or one whose subaddress it is.
    #[must_use]
    pub fn names_base(&self, address: &Address) -> bool {
        self.users.as_ref().is_some_and(|users| self.named(users, address).is_some())
    }

    /// The titles that decide: the address, it without its subaddress, the wildcards.
    fn titles<'u>(&self, users: &'u Users, address: &Address) -> Option<&'u [Title]> {
        self.named(users, address).or_else(|| {
            let patterns = &users.domains.get(domains(users, address).last()?)?.patterns;
            if patterns.is_empty() {
                return None;
            }
            let locals: Vec<&str> = std::iter::once(address.local()).chain(self.locality.bases(address.local())).collect();
            patterns.find(&locals)
        })
    }

    /// The titles to the address or, the longest first, to what it is a subaddress of: in its own domain, then in the one that this
    /// stands for.
    fn named<'u>(&self, users: &'u Users, address: &Address) -> Option<&'u [Title]> {
        let in_domain = |domain: &str| {
            let exact = |local| users.exact(local, domain);
            exact(address.local()).or_else(|| self.locality.bases(address.local()).find_map(exact))
        };
        domains(users, address).find_map(in_domain)
    }

    /// The user that an address is where each is its own.
    fn itself(&self, address: &Address) -> String {
        self.locality.shortest_base(address.local()).map_or_else(|| address.normal(), |base| address.normal_with(base))
    }

    /// Whether it is one of the mailbox's own addresses, in whichever domain, with a detail or without; also in a domain that stands for
    /// another, unless the users list names it there.
    #[must_use]
    pub fn owns(&self, address: &Address) -> bool {
        if !self.has_own() {
            return false;
        }
        let with = |address: &Address, local: &str| self.own.contains(&address.normal_with(local));
        let is_own =
            |address: &Address| with(address, address.local()) || self.locality.bases(address.local()).any(|base| with(address, base));
        let other = || {
            let users = self.users.as_ref()?;
            let domain = users.aliases.get(address.domain())?;
            let named = users.exact(address.local(), address.domain()).is_some();
            if named { None } else { Address::from_parts(address.local(), domain) }
        };
        is_own(address) || other().is_some_and(|other| is_own(&other))
    }

    /// Whether an address can be anything but an outsider's: its domain is a local one, a sub-domain of one, or that of the mailbox.
    #[must_use]
    pub fn concerns(&self, address: &Address) -> bool {
        self.locality.standing(address.domain()).is_some() || self.own_domains.contains(address.domain())
    }

    /// The local part's user and detail (RFC 5233 section 1), where it has a detail: what the users list does not name is cut at the
    /// first delimiter.
    #[must_use]
    pub fn detail<'a>(&self, address: &'a Address) -> Option<(&'a str, &'a str)> {
        let local = address.local();
        let known = |local: &str| {
            let users = self.users.as_ref()?;
            domains(users, address).find_map(|domain| users.exact(local, domain))
        };
        if known(local).is_some() {
            return None;
        }
        let base = self.locality.bases(local).find(|base| known(base).is_some()).or_else(|| self.locality.shortest_base(local))?;
        let mut rest = local.get(base.len()..)?.chars();
        rest.next()?;
        Some((base, rest.as_str()))
    }

    /// Whether the mailbox's own addresses are configured.
    #[must_use]
    pub fn has_own(&self) -> bool {
        !self.own.is_empty()
    }

    /// Whether there is a users list.
    #[must_use]
    pub fn has_users(&self) -> bool {
        self.users.is_some()
    }

    /// Whether somebody has an address for a time only, so that the moment of delivery matters.
    #[must_use]
    pub fn is_dated(&self) -> bool {
        self.users.as_ref().is_some_and(|users| users.dated)
    }
}

/// The address's domain, and the one that it stands for.
fn domains<'a>(users: &'a Users, address: &'a Address) -> impl Iterator<Item = &'a str> {
    let other = users.aliases.get(address.domain()).map(AsRef::as_ref);
    std::iter::once(address.domain()).chain(other)
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
