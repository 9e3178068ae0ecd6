//! The users file in TOML, and the same as JSON lines: read, checked, and made one list.

use super::entries::{GroupEntry, UserEntry, span};
use super::list::{Claimed, Owner, Title, Users};
use super::span::Span;
use crate::address::{Address, fold_domain};
use crate::error::{Error, Result, Status};
use crate::profile::{hint, parse_toml};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    user: Vec<Spanned<UserEntry>>,
    #[serde(default)]
    group: Vec<Spanned<GroupEntry>>,
    #[serde(default)]
    domain_aliases: BTreeMap<Spanned<String>, String>,
}

/// A line of JSON: one kind of entry, known by its keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Line {
    name: Option<String>,
    aliases: Option<Vec<super::entries::AliasEntry>>,
    address: Option<String>,
    members: Option<Vec<String>>,
    from: Option<super::span::Bound>,
    until: Option<super::span::Bound>,
    domain_aliases: Option<BTreeMap<String, String>>,
}

/// An entry, and the line on which it begins.
type Placed<T> = (usize, T);

/// Everything that was read.
#[derive(Default)]
struct Read {
    users: Vec<Placed<UserEntry>>,
    groups: Vec<Placed<GroupEntry>>,
    /// A domain, and the one that it stands for.
    aliases: Vec<Placed<(String, String)>>,
}

impl Users {
    /// Reads a users file in TOML from its text.
    ///
    /// # Errors
    /// [`Status::Config`], with the line, for unknown keys, names that can't be used, aliases that are no addresses, an address that two
    /// claim at one time, and a file that names nobody.
    pub fn parse(text: &str) -> Result<Self> {
        let file: File = parse_toml(text)?;
        let ends: Vec<usize> = memchr::memchr_iter(b'\n', text.as_bytes()).collect();
        let line = |at: usize| ends.partition_point(|end| *end < at) + 1;
        let aliases = file.domain_aliases.into_iter();
        let aliases = aliases.map(|(alias, other)| (line(alias.span().start), (alias.into_inner(), other))).collect();
        Builder::build(&Read { users: place(line, file.user), groups: place(line, file.group), aliases })
    }

    /// Reads JSON lines, each of which is what a table of the users file is.
    ///
    /// # Errors
    /// As [`Users::parse`].
    pub fn parse_lines(text: &str) -> Result<Self> {
        let mut read = Read::default();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            read.add(number, line).map_err(|what| Error::new(Status::Config, what).about(format!("line {number}")))?;
        }
        Builder::build(&read)
    }
}

fn place<T>(line: impl Fn(usize) -> usize, entries: Vec<Spanned<T>>) -> Vec<Placed<T>> {
    entries.into_iter().map(|entry| (line(entry.span().start), entry.into_inner())).collect()
}

impl Read {
    fn add(&mut self, number: usize, line: &str) -> std::result::Result<(), String> {
        // serde would take an array for an object whose keys are in order.
        if !line.trim_start().starts_with('{') {
            return Err("is not a JSON object".into());
        }
        let line: Line = serde_json::from_str(line).map_err(|e| {
            let what = e.to_string();
            hint(&what).unwrap_or_else(|| what.rsplit_once(" at line ").map_or_else(|| what.clone(), |(what, _)| what.to_owned()))
        })?;
        match line {
            Line { name: Some(name), aliases, address: None, members: None, from, until, domain_aliases: None } => {
                self.users.push((number, UserEntry { name, aliases: aliases.unwrap_or_default(), from, until }));
            }
            Line { name: None, aliases: None, address: Some(address), members: Some(members), from, until, domain_aliases: None } => {
                self.groups.push((number, GroupEntry { address, members, from, until }));
            }
            Line { name: None, aliases: None, address: None, members: None, from: None, until: None, domain_aliases: Some(aliases) } => {
                self.aliases.extend(aliases.into_iter().map(|pair| (number, pair)));
            }
            _ => return Err("is neither a user (name), nor a group (address and members), nor domain-aliases".into()),
        }
        Ok(())
    }
}

/// Who owns addresses, as messages show it.
struct Known {
    shown: String,
    line: usize,
    span: Span,
}

#[derive(Default)]
struct Builder {
    users: Users,
    /// Beside the list's owners.
    known: Vec<Known>,
    by_name: HashMap<String, u32>,
}

impl Builder {
    fn build(read: &Read) -> Result<Users> {
        if read.users.is_empty() && read.groups.is_empty() {
            return Err(Error::new(Status::Config, "names no user"));
        }
        let mut builder = Self::default();
        for (line, entry) in &read.users {
            let about = |what: String| wrong(*line, &format!("user “{}”", entry.name), what);
            builder.add_user(*line, entry).map_err(about)?;
        }
        for (line, entry) in &read.groups {
            let about = |what: String| wrong(*line, &format!("group “{}”", entry.address), what);
            builder.add_group(*line, entry).map_err(about)?;
        }
        builder.add_aliases(&read.aliases)?;
        builder.refuse_ties()?;
        Ok(builder.users)
    }

    fn add_user(&mut self, line: usize, entry: &UserEntry) -> std::result::Result<(), String> {
        let name = entry.name.as_str();
        if name.is_empty() || name.starts_with('@') || name.contains(char::is_control) {
            return Err("a name can't be empty, begin with @, or hold control characters".into());
        }
        // Two spellings of one address would be two archives of one name, and one person's mail in the wrong one of them by a slip.
        let key = Self::key(name);
        if let Some(other) = self.by_name.get(&key).and_then(|owner| self.known.get(*owner as usize)) {
            return Err(format!("stands in the list twice, on line {} too", other.line));
        }
        let whole = span(entry.from, entry.until)?;
        let owner = self.own(Owner::User(name.into()), Known { shown: format!("user “{name}”"), line, span: whole });
        self.by_name.insert(key, owner);
        let own = name.contains('@').then(|| Claimed::parse(name)).transpose()?;
        if matches!(own, Some(Claimed::Pattern(..))) {
            return Err("a name can't be a wildcard; give it as an alias".into());
        }
        let mut own = own;
        for alias in &entry.aliases {
            let claimed = Claimed::parse(&alias.address)?;
            let of_alias = |what| format!("“{}”: {what}", alias.address);
            let dates = span(alias.from, alias.until).map_err(of_alias)?;
            let dates = dates.and(whole).ok_or_else(|| of_alias(format!("is theirs{dates}, and the user is one only{whole}")))?;
            // An alias with dates says when the address by which a user is called is theirs.
            own = own.filter(|own| !own.is(&claimed));
            self.give(&claimed, &alias.address, Title { owner, span: dates })?;
        }
        own.map_or(Ok(()), |own| self.give(&own, name, Title { owner, span: whole }))
    }

    /// By what names are told apart: those that are addresses as addresses are.
    fn key(name: &str) -> String {
        Address::parse(name).map_or_else(|| name.to_owned(), |address| address.normal())
    }

    fn add_group(&mut self, line: usize, entry: &GroupEntry) -> std::result::Result<(), String> {
        let claimed = Claimed::parse(&entry.address)?;
        let span = span(entry.from, entry.until)?;
        let mut members = Vec::new();
        for member in &entry.members {
            members.extend(self.member(member)?);
        }
        if members.is_empty() {
            return Err("has no members".into());
        }
        let shown = format!("group “{}”", entry.address);
        let owner = self.own(Owner::Group(members), Known { shown, line, span });
        self.give(&claimed, &entry.address, Title { owner, span })
    }

    /// The users that a member is: one by name, or those who have an address, each while it is theirs.
    fn member(&self, member: &str) -> std::result::Result<Vec<Title>, String> {
        if let Some(owner) = self.by_name.get(&Self::key(member)) {
            let span = self.known.get(*owner as usize).map(|known| known.span).unwrap_or_default();
            return Ok(vec![Title { owner: *owner, span }]);
        }
        let unknown = || format!("its member “{member}” is neither a user's name nor an address of one");
        let Ok(Claimed::One(address)) = Claimed::parse(member) else { return Err(unknown()) };
        let titles = self.users.exact(address.local(), address.domain()).ok_or_else(unknown)?;
        let is_user = |title: &Title| matches!(self.users.owners.get(title.owner as usize), Some(Owner::User(_)));
        if titles.iter().all(is_user) {
            Ok(titles.to_vec())
        } else {
            Err(format!("its member “{member}” is a group; name its members"))
        }
    }

    fn own(&mut self, owner: Owner, known: Known) -> u32 {
        self.users.dated |= !known.span.is_always();
        self.known.push(known);
        self.users.own(owner)
    }

    fn give(&mut self, claimed: &Claimed, shown: &str, title: Title) -> std::result::Result<(), String> {
        self.users.give(claimed, title).map_err(|(other, span)| format!("“{shown}” belongs to {}, too{span}", self.shown(other.owner)))
    }

    fn shown(&self, owner: u32) -> String {
        let known = self.known.get(owner as usize);
        known.map(|known| format!("{} (line {})", known.shown, known.line)).unwrap_or_default()
    }

    /// Each domain alias, with the domain at the end of its chain.
    fn add_aliases(&mut self, aliases: &[Placed<(String, String)>]) -> Result<()> {
        let mut by_name: BTreeMap<String, (usize, String)> = BTreeMap::new();
        for (line, (alias, other)) in aliases {
            let wrong = |what| wrong(*line, &format!("domain-aliases: “{alias}”"), what);
            let fold = |name: &str| fold_domain(name).ok_or_else(|| wrong(format!("“{name}” is not a domain")));
            if by_name.insert(fold(alias)?, (*line, fold(other)?)).is_some() {
                return Err(wrong("stands there twice".into()));
            }
        }
        for (alias, (line, other)) in &by_name {
            let wrong = |what| wrong(*line, &format!("domain-aliases: “{alias}”"), what);
            let mut end = other;
            // As many steps as there are entries lead to the end, or round.
            for _ in 0..by_name.len() {
                end = by_name.get(end).map_or(end, |(_, next)| next);
            }
            if by_name.contains_key(end) {
                return Err(wrong("stands, through others or at once, for itself".into()));
            }
            let domain = self.users.domains.get(alias.as_str());
            let title = domain.and_then(|domain| domain.patterns.iter().flat_map(|(_, _, titles)| titles).next());
            if let Some(title) = title {
                let what = format!("{} has a wildcard there; give it in {end}, which the domain stands for", self.shown(title.owner));
                return Err(wrong(what));
            }
            self.users.aliases.insert(alias.as_str().into(), end.as_str().into());
        }
        Ok(())
    }

    fn refuse_ties(&self) -> Result<()> {
        let ties = self.users.domains.iter().filter_map(|(name, domain)| Some((name, domain.patterns.tie()?)));
        let Some((domain, tie)) = ties.min_by(|a, b| (a.0, &a.1.texts).cmp(&(b.0, &b.1.texts))) else { return Ok(()) };
        let ([one, other], [first, second]) = (&tie.texts, tie.titles);
        let (first, second) = (self.shown(first.owner), self.shown(second.owner));
        let what = format!(
            "“{one}@{domain}” of {first} and “{other}@{domain}” of {second} fit the same addresses equally well; make one of them longer"
        );
        Err(Error::new(Status::Config, what))
    }
}

fn wrong(line: usize, about: &str, what: String) -> Error {
    Error::new(Status::Config, what).about(about).about(format!("line {line}"))
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
