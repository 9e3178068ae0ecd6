//! Who has which address, and when: what every form of a users list becomes.
//!
//! An address, or a wildcard, has titles: each an owner and a span of time. Two titles of different owners never hold at once, because
//! either answer would put mail into the wrong person's archive; an address of several is a group, which says so on purpose.

use super::pattern::Patterns;
use super::span::Span;
use crate::address::Address;
use std::collections::HashMap;

/// What an owner holds an address by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Title {
    /// The owner's place among the owners.
    pub owner: u32,
    /// When it holds.
    pub span: Span,
}

/// The titles to one address.
pub type Titles = Vec<Title>;

/// Who may own an address.
#[derive(Clone, Debug)]
pub enum Owner {
    /// A user, by name.
    User(Box<str>),
    /// Several users: titles whose owners are users.
    Group(Titles),
    /// Every address is a user by itself.
    Itself,
}

/// The addresses of one domain.
#[derive(Clone, Debug, Default)]
pub struct Domain {
    /// By local part, folded.
    pub exact: HashMap<Box<str>, Titles>,
    pub patterns: Patterns,
}

/// An address or a wildcard that can be owned.
#[derive(Clone, Debug)]
pub enum Claimed {
    One(Address),
    /// What stands before the star and behind it, and the domain.
    Pattern(String, String, String),
}

impl Claimed {
    /// Reads an address or a wildcard; an error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let address = Address::parse(text).ok_or_else(|| format!("“{text}” is not an address"))?;
        match address.local().split_once('*') {
            Some(_) if address.is_quoted() => Ok(Self::One(address)),
            Some((_, suffix)) if suffix.contains('*') => Err(format!("“{text}” has more than one *")),
            Some((prefix, suffix)) => Ok(Self::Pattern(prefix.into(), suffix.into(), address.domain().into())),
            None => Ok(Self::One(address)),
        }
    }

    /// Whether both are the same.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::One(a), Self::One(b)) => (a.local(), a.domain()) == (b.local(), b.domain()),
            (Self::Pattern(prefix, suffix, domain), Self::Pattern(p, s, d)) => (prefix, suffix, domain) == (p, s, d),
            _ => false,
        }
    }
}

/// The people of a users list, and their addresses.
#[derive(Clone, Debug, Default)]
pub struct Users {
    pub(super) owners: Vec<Owner>,
    pub(super) domains: HashMap<Box<str>, Domain>,
    /// The domains that stand for another, each with that other; never one of them itself.
    pub(super) aliases: HashMap<Box<str>, Box<str>>,
    /// Whether any title has a beginning or an end.
    pub(super) dated: bool,
}

impl Users {
    /// Whether there is a user of that name.
    #[must_use]
    pub fn has_name(&self, name: &str) -> bool {
        self.owners.iter().any(|owner| matches!(owner, Owner::User(user) if user.as_ref() == name))
    }

    /// All addresses, in normal form, each with every user who has it at any time; in their order. Wildcards are none.
    #[must_use]
    pub fn addresses(&self) -> Vec<(String, &str)> {
        let exact = self.domains.iter().flat_map(|(domain, all)| all.exact.iter().map(move |(local, titles)| (domain, local, titles)));
        let mut all: Vec<(String, &str)> = exact
            .filter_map(|(domain, local, titles)| Some((Address::from_parts(local, domain)?.normal(), titles)))
            .flat_map(|(address, titles)| self.names(titles).into_iter().map(move |name| (address.clone(), name)))
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The users who hold any of the titles at any time.
    fn names(&self, titles: &[Title]) -> Vec<&str> {
        let mut names = Vec::new();
        for title in titles {
            match self.owners.get(title.owner as usize) {
                Some(Owner::User(name)) => names.push(name.as_ref()),
                Some(Owner::Group(members)) => names.extend(self.names(members)),
                Some(Owner::Itself) | None => {}
            }
        }
        names
    }

    /// Adds an owner, and says where it stands.
    pub(super) fn own(&mut self, owner: Owner) -> u32 {
        self.owners.push(owner);
        u32::try_from(self.owners.len() - 1).unwrap_or(u32::MAX)
    }

    /// Gives an address to an owner. The error is the title of another that holds at the same time, and when.
    pub(super) fn give(&mut self, claimed: &Claimed, title: Title) -> Result<(), (Title, Span)> {
        self.dated |= !title.span.is_always();
        let titles = match claimed {
            Claimed::One(address) => self.domain_mut(address.domain()).exact.entry(address.local().into()).or_default(),
            Claimed::Pattern(prefix, suffix, domain) => self.domain_mut(domain).patterns.titles_mut(prefix, suffix),
        };
        let shared = |other: &Title| other.span.and(title.span).filter(|_| other.owner != title.owner);
        if let Some(clash) = titles.iter().find_map(|other| Some((*other, shared(other)?))) {
            return Err(clash);
        }
        titles.push(title);
        Ok(())
    }

    fn domain_mut(&mut self, domain: &str) -> &mut Domain {
        // Most lists have few domains; a name is copied only for a new one.
        if !self.domains.contains_key(domain) {
            self.domains.insert(domain.into(), Domain::default());
        }
        self.domains.entry(domain.into()).or_default()
    }

    /// The titles to exactly this local part in a domain, whether they hold or not.
    pub(super) fn exact(&self, local: &str, domain: &str) -> Option<&[Title]> {
        self.domains.get(domain)?.exact.get(local).map(Vec::as_slice)
    }

    /// The users who hold one of the titles, and whether one could not be told for want of a moment. `itself` is the user that an address
    /// is by itself.
    pub(super) fn holders(&self, titles: &[Title], at: Option<crate::time::Time>, itself: &str) -> super::Whose {
        let mut whose = super::Whose::default();
        for title in titles {
            match (title.span.holds(at), self.owners.get(title.owner as usize)) {
                (None, _) => whose.undated = true,
                (Some(true), Some(Owner::User(name))) => whose.add(name),
                (Some(true), Some(Owner::Itself)) => whose.add(itself),
                (Some(true), Some(Owner::Group(members))) => {
                    let members = self.holders(members, at, itself);
                    members.users.iter().for_each(|name| whose.add(name));
                    whose.undated |= members.undated;
                }
                (Some(false), _) | (_, None) => {}
            }
        }
        whose
    }
}
