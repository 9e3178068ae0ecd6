//! A Postfix virtual(5) map as a users list: who ends up with the mail for each address.
//!
//! Each address of the map is followed to its end, as Postfix follows it: an address with an entry is what its right-hand side says, and
//! one that its own entry names is an end. Addresses at the ends are users where they are local. Where mail leaves for elsewhere, the last
//! local address before is the user, because somebody here has it. What can't be told without Postfix's configuration (an address
//! without its domain on the left) is refused, not guessed.

use super::list::{Claimed, Owner, Title, Users};
use super::locality::Locality;
use super::span::Span;
use crate::address::{Address, fold_domain};
use crate::error::{Error, Result, Status};
use crate::profile::RouteSettings;
use std::collections::{BTreeMap, HashMap, HashSet};

/// How many steps may lead from an address to its end.
const LONGEST_CHAIN: usize = 100;
/// How many addresses one address may come to.
const MOST: usize = 10_000;

/// One address of a right-hand side.
#[derive(Clone, Debug)]
enum Target {
    Address(Address),
    /// A name without a domain: an account of the mail server.
    Name(String),
}

/// What a whole domain is.
#[derive(Clone, Debug)]
enum Rest {
    /// `@domain @other`
    Domain(String),
    /// `@domain address, …`
    Targets(Vec<Target>),
}

/// The map as it was read.
struct Map {
    locality: Locality,
    exact: BTreeMap<String, (usize, Address, Vec<Target>)>,
    rest: BTreeMap<String, (usize, Rest)>,
    /// All addresses of right-hand sides.
    named: HashSet<String>,
}

type Told<T> = std::result::Result<T, String>;

impl Users {
    /// Reads a Postfix virtual(5) map from its text. Which of its addresses are local, the settings say.
    ///
    /// # Errors
    /// [`Status::Config`], with the line, for what is no entry of such a map, an address that leads to itself through others, and a map
    /// that names nobody.
    pub fn parse_virtual(text: &str, settings: &RouteSettings) -> Result<Self> {
        let wrong = |line: usize, what: String| Error::new(Status::Config, what).about(format!("line {line}"));
        let mut locality = Locality::new(settings)?;
        let mut map = Map { locality: locality.clone(), exact: BTreeMap::new(), rest: BTreeMap::new(), named: HashSet::new() };
        for (line, entry) in logical_lines(text).map_err(|line| wrong(line, "continues no entry: it begins with a blank".into()))? {
            map.add(line, &entry).map_err(|what| wrong(line, what))?;
        }
        for alias in map.rest.keys().filter(|alias| map.locality.standing(map.end(alias)).is_some()) {
            locality.add(alias.clone());
        }
        map.locality = locality;
        map.users().map_err(|(line, what)| wrong(line, what))
    }
}

/// The entries, each with the line on which it begins: a line that begins with a blank continues the one before (postmap(1)).
fn logical_lines(text: &str) -> std::result::Result<Vec<(usize, String)>, usize> {
    let mut entries: Vec<(usize, String)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let content = line.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        if !line.starts_with(char::is_whitespace) {
            entries.push((number, content.to_owned()));
            continue;
        }
        let (_, entry) = entries.last_mut().ok_or(number)?;
        entry.push(' ');
        entry.push_str(content);
    }
    Ok(entries)
}

/// Cuts at what `at` fits, outside quotes, into as many parts as `most`.
fn cut(text: &str, most: usize, at: impl Fn(char) -> bool) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let outside = move |c: char| {
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        !quoted && at(c)
    };
    text.splitn(most, outside).map(str::trim).collect()
}

impl Map {
    fn add(&mut self, line: usize, entry: &str) -> Told<()> {
        let mut parts = cut(entry, 2, char::is_whitespace).into_iter();
        let (key, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if value.is_empty() {
            let toml = if key.starts_with('[') { "; is this TOML? set users-format = \"toml\"" } else { "" };
            return Err(format!("“{key}” has nothing to its right{toml}"));
        }
        if let Some(domain) = key.strip_prefix('@') {
            let domain = fold_domain(domain).ok_or_else(|| format!("“{key}” is not a domain"))?;
            let rest = self.rest_of(value)?;
            return twice(key, self.rest.insert(domain, (line, rest)).map(|(other, _)| other));
        }
        if !key.contains('@') {
            return self.without_domain(key, value);
        }
        let address = Address::parse(key).ok_or_else(|| format!("“{key}” is not an address"))?;
        let targets = self.targets(value)?;
        twice(key, self.exact.insert(address.normal(), (line, address, targets)).map(|(other, _, _)| other))
    }

    /// `domain anything` says that Postfix takes mail for a domain; a name alone is an address whose domain only Postfix knows.
    fn without_domain(&self, key: &str, value: &str) -> Told<()> {
        let domain = fold_domain(key).filter(|domain| domain.contains('.'));
        let local = domain.as_ref().is_some_and(|domain| self.locality.standing(domain).is_some());
        if local || (domain.is_some() && !value.contains('@')) {
            return Ok(());
        }
        Err(format!("“{key}” is an address without its domain, which only Postfix's configuration tells; write {key}@ and the domain"))
    }

    fn rest_of(&mut self, value: &str) -> Told<Rest> {
        let parts = elements(value);
        match parts.as_slice() {
            [only] if only.starts_with('@') => fold_domain(&only[1..]).map(Rest::Domain).ok_or_else(|| format!("“{only}” is not a domain")),
            parts if parts.iter().any(|part| part.starts_with('@')) => Err("a domain can't stand beside other addresses".into()),
            _ => self.targets(value).map(Rest::Targets),
        }
    }

    fn targets(&mut self, value: &str) -> Told<Vec<Target>> {
        let targets: Vec<Target> = elements(value).into_iter().map(target).collect::<Told<_>>()?;
        if targets.is_empty() {
            return Err("has no address to its right".into());
        }
        self.named.extend(targets.iter().filter_map(|target| if let Target::Address(a) = target { Some(a.normal()) } else { None }));
        Ok(targets)
    }

    /// The domain at the end of a chain of domains.
    fn end<'a>(&'a self, domain: &'a str) -> &'a str {
        let mut end = domain;
        for _ in 0..self.rest.len() {
            match self.rest.get(end) {
                Some((_, Rest::Domain(next))) if next != end => end = next,
                _ => break,
            }
        }
        end
    }

    /// What an address is: an entry's right-hand side, or the same address of another domain; none where it is an end.
    fn next(&self, address: &Address) -> Option<Vec<Target>> {
        let entry = |local: &str| self.exact.get(&address.normal_with(local)).map(|(_, _, targets)| targets.clone());
        let whole = entry(address.local()).or_else(|| self.locality.bases(address.local()).find_map(entry));
        whole.or_else(|| match &self.rest.get(address.domain())?.1 {
            Rest::Domain(other) => Address::from_parts(address.local(), other).map(|address| vec![Target::Address(address)]),
            Rest::Targets(targets) => Some(targets.clone()),
        })
    }

    fn users(&self) -> std::result::Result<Users, (usize, String)> {
        let mut list = List::default();
        let mut ends: BTreeMap<String, Address> = BTreeMap::new();
        for (line, address, _) in self.exact.values() {
            let walk = self.walk(|walk| walk.visit(address, None)).map_err(|what| (*line, what))?;
            list.give(&Claimed::One(address.clone()), &walk);
            ends.extend(walk.ends);
        }
        for (domain, (line, rest)) in &self.rest {
            self.add_rest(domain, rest, &mut list, &mut ends).map_err(|what| (*line, what))?;
        }
        for (_, address) in ends.into_iter().filter(|(normal, _)| !self.exact.contains_key(normal)) {
            let walk = self.walk(|walk| walk.visit(&address, None)).map_err(|what| (1, what))?;
            list.give(&Claimed::One(address), &walk);
        }
        if list.users.aliases.is_empty() && !list.users.domains.keys().any(|domain| self.locality.standing(domain).is_some()) {
            return Err((1, "names no user in the local domains".into()));
        }
        Ok(list.users)
    }

    /// An entry for all of a domain: it stands for another, or its mail goes to certain addresses.
    fn add_rest(&self, domain: &str, rest: &Rest, list: &mut List, ends: &mut BTreeMap<String, Address>) -> Told<()> {
        let any = |domain: &str| Claimed::Pattern(String::new(), String::new(), domain.to_owned());
        match rest {
            Rest::Targets(targets) => {
                let walk = self.walk(|walk| walk.follow(None, targets, None))?;
                list.give(&any(domain), &walk);
                ends.extend(walk.ends);
            }
            Rest::Domain(other) if other == domain => list.give_itself(&any(domain)),
            Rest::Domain(_) => {
                let end = self.end(domain);
                if end == domain || matches!(self.rest.get(end), Some((_, Rest::Domain(next))) if next != end) {
                    return Err(format!("“@{domain}” leads round, through other domains, to itself"));
                }
                // At the end of a way that leads out of the local domains, the address with which it began is the user.
                if self.locality.standing(end).is_none() && !self.rest.contains_key(end) {
                    list.give_itself(&any(end));
                }
                // What stands for a domain is local; that of others, who share the map, is not.
                if self.locality.standing(domain).is_some() {
                    list.users.aliases.insert(domain.into(), end.into());
                }
            }
        }
        Ok(())
    }

    fn walk(&self, go: impl FnOnce(&mut Walk) -> Told<()>) -> Told<Walk<'_>> {
        let mut walk = Walk { map: self, seen: HashSet::new(), path: Vec::new(), names: Vec::new(), ends: Vec::new(), itself: false };
        go(&mut walk)?;
        Ok(walk)
    }
}

fn twice(key: &str, other: Option<usize>) -> Told<()> {
    other.map_or(Ok(()), |other| Err(format!("“{key}” has an entry on line {other}, too")))
}

fn elements(value: &str) -> Vec<&str> {
    let mut parts = cut(value, usize::MAX, |c| c == ',');
    parts.retain(|part| !part.is_empty());
    parts
}

fn target(text: &str) -> Told<Target> {
    let wrong = || format!("“{text}” is not an address");
    if text.contains('@') {
        return Address::parse(text).map(Target::Address).ok_or_else(wrong);
    }
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '=');
    let address = text.chars().all(fits).then(|| Address::parse(&format!("{text}@x"))).flatten().ok_or_else(wrong)?;
    Ok(Target::Name(address.local().to_owned()))
}

/// The way from an address to all its ends.
struct Walk<'m> {
    map: &'m Map,
    seen: HashSet<String>,
    /// The addresses from the beginning to here.
    path: Vec<String>,
    /// The users' names.
    names: Vec<String>,
    /// The addresses among them.
    ends: Vec<(String, Address)>,
    /// Whether a way leads out of the local domains that began in them with no address of its own.
    itself: bool,
}

impl Walk<'_> {
    /// Goes on from an address; `last` is the last local one before it.
    fn visit(&mut self, address: &Address, last: Option<&Address>) -> Told<()> {
        let normal = address.normal();
        let last = if self.map.locality.standing(address.domain()).is_some() { Some(address) } else { last };
        let Some(targets) = self.map.next(address) else {
            self.end(address, last);
            return Ok(());
        };
        let is_itself = |target: &Target| matches!(target, Target::Address(next) if next.normal() == normal);
        if self.path.contains(&normal) && !targets.iter().any(is_itself) {
            return Err(format!("“{normal}” leads round, by {}, to itself", self.path.join(", ")));
        }
        if !self.seen.insert(normal.clone()) {
            return Ok(());
        }
        if self.path.len() >= LONGEST_CHAIN || self.seen.len() > MOST {
            return Err(format!("“{normal}” is more than {LONGEST_CHAIN} steps away, or one of more than {MOST} addresses"));
        }
        self.path.push(normal);
        self.follow(Some(address), &targets, last)?;
        self.path.pop();
        Ok(())
    }

    fn follow(&mut self, of: Option<&Address>, targets: &[Target], last: Option<&Address>) -> Told<()> {
        for target in targets {
            match target {
                Target::Name(name) => self.name(name.clone()),
                // An address that its own entry names is an end.
                Target::Address(next) if of.is_some_and(|of| of.normal() == next.normal()) => self.end(next, last),
                Target::Address(next) => self.visit(next, last)?,
            }
        }
        Ok(())
    }

    fn end(&mut self, address: &Address, last: Option<&Address>) {
        let Some(user) = last else {
            self.itself = true;
            return;
        };
        let base = || self.map.locality.bases(user.local()).find(|base| self.map.named.contains(&user.normal_with(base)));
        let base = if user == address { base().and_then(|base| Address::from_parts(base, user.domain())) } else { None };
        let user = base.as_ref().unwrap_or(user);
        self.name(user.normal());
        self.ends.push((user.normal(), user.clone()));
    }

    fn name(&mut self, name: String) {
        if !self.names.contains(&name) {
            self.names.push(name);
        }
    }
}

/// The list as it grows.
#[derive(Default)]
struct List {
    users: Users,
    by_name: HashMap<String, u32>,
}

impl List {
    /// Gives an address to those to whom it leads.
    fn give(&mut self, claimed: &Claimed, walk: &Walk) {
        let mut owners: Vec<u32> = walk.names.iter().map(|name| self.owner(name)).collect();
        if walk.itself {
            owners.push(self.users.own(Owner::Itself));
        }
        let owner = match owners.as_slice() {
            [only] => *only,
            several => {
                let members = several.iter().map(|owner| Title { owner: *owner, span: Span::default() }).collect();
                self.users.own(Owner::Group(members))
            }
        };
        self.hold(claimed, owner);
    }

    fn give_itself(&mut self, claimed: &Claimed) {
        let owner = self.users.own(Owner::Itself);
        self.hold(claimed, owner);
    }

    /// Each address is given once, but for a domain in which every address is its own, to which several domains may lead.
    fn hold(&mut self, claimed: &Claimed, owner: u32) {
        let _ = self.users.give(claimed, Title { owner, span: Span::default() });
    }

    fn owner(&mut self, name: &str) -> u32 {
        if let Some(owner) = self.by_name.get(name) {
            return *owner;
        }
        let owner = self.users.own(Owner::User(name.into()));
        self.by_name.insert(name.into(), owner);
        owner
    }
}

#[cfg(test)]
#[path = "virtual_map_tests.rs"]
mod tests;
