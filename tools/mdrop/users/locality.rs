//! Which domains are local, and where a local part's subaddress begins (RFC 5233 section 1).

use super::list::Users;
use crate::address::fold_domain;
use crate::error::{Error, Result, Status};
use crate::profile::RouteSettings;
use std::collections::{BTreeSet, HashSet};

/// The local domains, and the characters that separate a subaddress.
#[derive(Clone, Debug)]
pub struct Locality {
    domains: HashSet<String>,
    delimiters: Vec<char>,
}

impl Locality {
    /// What a profile says of both.
    ///
    /// # Errors
    /// [`Status::Config`] if a domain can't be one, if there is none, or if a character can't separate.
    pub fn new(settings: &RouteSettings) -> Result<Self> {
        let wrong = |what: String| Error::new(Status::Config, what).about("[route]");
        if settings.domains.is_empty() {
            return Err(wrong("needs domains = [\"example.com\"], your mail domains: without them no address is local".into()));
        }
        let domain = |name: &String| fold_domain(name).ok_or_else(|| wrong(format!("domains: “{name}” is not a domain")));
        let unfit = |c: &char| c.is_alphanumeric() || c.is_whitespace() || c.is_control() || matches!(c, '@' | '"' | '\\');
        if let Some(c) = settings.subaddress.chars().find(unfit) {
            return Err(wrong(format!("subaddress: “{c}” can't separate a subaddress")));
        }
        let domains = settings.domains.iter().map(domain).collect::<Result<_>>()?;
        Ok(Self { domains, delimiters: delimiters(settings).into_iter().collect() })
    }

    /// Makes the domains local that stand for another.
    ///
    /// # Errors
    /// [`Status::Config`] if that other is neither local nor has any address in the list.
    pub fn add_aliases(&mut self, users: &Users) -> Result<()> {
        for (alias, other) in &users.aliases {
            if !self.domains.contains(other.as_ref()) && !users.domains.contains_key(other) {
                let what = format!("the domain {alias} stands for {other} in the users list, which is not one of the domains");
                return Err(Error::new(Status::Config, what).about("[route]"));
            }
        }
        self.domains.extend(users.aliases.keys().map(|alias| alias.as_ref().to_owned()));
        Ok(())
    }

    /// Makes one more domain local.
    pub fn add(&mut self, domain: String) {
        self.domains.insert(domain);
    }

    /// Whether a domain is a local one (true) or a sub-domain of one (false); none if neither.
    pub fn standing(&self, domain: &str) -> Option<bool> {
        if self.domains.contains(domain) {
            return Some(true);
        }
        let dots = memchr::memchr_iter(b'.', domain.as_bytes());
        let below = dots.into_iter().any(|at| domain.get(at + 1..).is_some_and(|parent| self.domains.contains(parent)));
        below.then_some(false)
    }

    /// What a local part may be a subaddress of, the longest first.
    pub fn bases<'a>(&self, local: &'a str) -> impl Iterator<Item = &'a str> + use<'a, '_> {
        let cuts = local.char_indices().rev().filter(|(at, c)| *at > 0 && self.delimiters.contains(c));
        cuts.filter_map(|(at, _)| local.get(..at))
    }

    /// What stands before the first character that separates, where no list says more.
    pub fn shortest_base<'a>(&self, local: &'a str) -> Option<&'a str> {
        let cut = local.char_indices().find(|(at, c)| *at > 0 && self.delimiters.contains(c));
        cut.and_then(|(at, _)| local.get(..at))
    }
}

/// The characters that separate a subaddress, in an order of their own.
pub fn delimiters(settings: &RouteSettings) -> BTreeSet<char> {
    settings.subaddress.chars().collect()
}
