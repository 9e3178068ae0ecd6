//! Whose an address is: the users file of mdrop-users(5), and the directory made of it and the profile.
//!
//! An address belongs to one user or to nobody. Two claims to one address are an error, because either answer would put mail
//! into the wrong person's archive.

use crate::address::{Address, fold_domain};
use crate::error::{Error, Result, Status};
use crate::identity::Digest;
use crate::profile::{RouteSettings, parse_toml};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The people of a users file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    names: BTreeSet<String>,
    /// The user's name by address in its normal form.
    by_address: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    user: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
}

impl Users {
    /// Reads a users file from its text.
    ///
    /// # Errors
    /// [`Status::Config`] for unknown keys, names that can't be used, aliases that are no addresses, and an address that two
    /// users claim.
    pub fn parse(text: &str) -> Result<Self> {
        let file: File = parse_toml(text)?;
        let mut users = Self::default();
        for entry in &file.user {
            users.add(entry).map_err(|what| Error::new(Status::Config, what).about(format!("user “{}”", entry.name)))?;
        }
        Ok(users)
    }

    fn add(&mut self, entry: &Entry) -> std::result::Result<(), String> {
        let name = entry.name.as_str();
        if name.is_empty() || name.starts_with('@') || name.contains(char::is_control) {
            return Err("a name can't be empty, begin with @, or hold control characters".into());
        }
        if !self.names.insert(name.into()) {
            return Err("stands in the file twice".into());
        }
        let own = name.contains('@').then_some(&entry.name);
        for alias in own.into_iter().chain(&entry.aliases) {
            let address = Address::parse(alias).ok_or_else(|| format!("“{alias}” is not an address"))?;
            match self.by_address.insert(address.normal(), name.into()) {
                Some(other) if other != name => return Err(format!("“{alias}” belongs to user “{other}”, too")),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether there is a user of that name.
    #[must_use]
    pub fn has_name(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// All addresses, in normal form, each with the user who has it.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, &str)> {
        self.by_address.iter().map(|(address, user)| (address.as_str(), user.as_str()))
    }

    /// The user who has an address, given in its normal form.
    #[must_use]
    pub fn get(&self, normal: &str) -> Option<&str> {
        self.by_address.get(normal).map(String::as_str)
    }
}

/// What the directory knows of an address in the local domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// Whether its domain is one of the local domains; else it is a sub-domain of one.
    pub exact: bool,
    /// Whether it is the multidrop mailbox's own address.
    pub own: bool,
    /// The user who has it; none where nobody of the users file does.
    pub user: Option<String>,
}

/// Says of an address whether it is local, and whose.
#[derive(Clone, Debug)]
pub struct Directory {
    domains: HashSet<String>,
    own: HashSet<String>,
    /// The domains of those.
    own_domains: HashSet<String>,
    subaddress: String,
    users: Option<Users>,
}

impl Directory {
    /// The directory of a profile. Without users every address in the local domains is its own user.
    ///
    /// # Errors
    /// [`Status::Config`] if a domain or an own address can't be one, or if there is no domain.
    pub fn new(settings: &RouteSettings, users: Option<Users>) -> Result<Self> {
        let wrong = |what: String| Error::new(Status::Config, what).about("[route]");
        if settings.domains.is_empty() {
            return Err(wrong("needs domains = [\"example.com\"], your mail domains: without them no address is local".into()));
        }
        let domain = |name: &String| fold_domain(name).ok_or_else(|| wrong(format!("domains: “{name}” is not a domain")));
        let own = |name: &String| Address::parse(name).ok_or_else(|| wrong(format!("own-addresses: “{name}” is not an address")));
        let owns = settings.own_addresses.iter().map(own).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            domains: settings.domains.iter().map(domain).collect::<Result<_>>()?,
            own: owns.iter().map(Address::normal).collect(),
            own_domains: owns.iter().map(|address| address.domain().to_owned()).collect(),
            subaddress: settings.subaddress.to_lowercase(),
            users,
        })
    }

    /// What is known of an address; none if it is not local. A subaddress that the users file names itself comes before the user
    /// whose address it details.
    #[must_use]
    pub fn resolve(&self, address: &Address) -> Option<Local> {
        let exact = self.domains.contains(address.domain());
        if !exact && !self.is_sub_domain(address.domain()) {
            return None;
        }
        let whole = address.normal();
        let base = self.detail(address).map(|(user, _)| address.normal_with(user));
        let own = self.owns(address);
        let user = match &self.users {
            Some(users) => users.get(&whole).or_else(|| users.get(base.as_deref()?)).map(str::to_owned),
            None => Some(base.unwrap_or(whole)),
        };
        Some(Local { exact, own, user })
    }

    /// Whether it is one of the mailbox's own addresses, in whichever domain, with a detail or without.
    #[must_use]
    pub fn owns(&self, address: &Address) -> bool {
        let with = |local| self.own.contains(&address.normal_with(local));
        self.has_own() && (with(address.local()) || self.detail(address).is_some_and(|(user, _)| with(user)))
    }

    /// Whether an address can be anything but an outsider's: its domain is a local one, a sub-domain of one, or that of the mailbox.
    #[must_use]
    pub fn concerns(&self, address: &Address) -> bool {
        let domain = address.domain();
        self.domains.contains(domain) || self.is_sub_domain(domain) || self.own_domains.contains(domain)
    }

    /// Whether the mailbox's own addresses are configured.
    #[must_use]
    pub fn has_own(&self) -> bool {
        !self.own.is_empty()
    }

    /// Whether there is a users file.
    #[must_use]
    pub fn has_users(&self) -> bool {
        self.users.is_some()
    }

    /// The local part's user and detail (RFC 5233 section 1), where it has a detail.
    #[must_use]
    pub fn detail<'a>(&self, address: &'a Address) -> Option<(&'a str, &'a str)> {
        if self.subaddress.is_empty() {
            return None;
        }
        address.local().split_once(self.subaddress.as_str()).filter(|(user, _)| !user.is_empty())
    }

    fn is_sub_domain(&self, domain: &str) -> bool {
        let dots = memchr::memchr_iter(b'.', domain.as_bytes());
        dots.into_iter().any(|at| domain.get(at + 1..).is_some_and(|parent| self.domains.contains(parent)))
    }
}

/// All that decides how a message is routed, in an order and a spelling of its own.
#[derive(Serialize)]
struct Canonical<'a> {
    domains: BTreeSet<String>,
    unknown: crate::profile::Unknown,
    trusted_fields: Vec<String>,
    strip_prefix: BTreeSet<&'a String>,
    own_addresses: BTreeSet<String>,
    trusted_by: BTreeSet<String>,
    journal_from: BTreeSet<String>,
    subaddress: &'a str,
    file_senders: bool,
    users: Option<(&'a BTreeSet<String>, &'a BTreeMap<String, String>)>,
}

/// The digest of the routing settings: it changes when a message could be routed otherwise, not when a comment, the order of
/// keys or the users file's name does. A refusal carries it, so that its message is asked for again only then.
#[must_use]
pub fn settings_digest(settings: &RouteSettings, users: Option<&Users>) -> Digest {
    let address = |text: &String| Address::parse(text).map_or_else(|| text.to_lowercase(), |a| a.normal());
    let canonical = Canonical {
        domains: settings.domains.iter().map(|name| fold_domain(name).unwrap_or_else(|| name.clone())).collect(),
        unknown: settings.unknown,
        trusted_fields: settings.trusted_fields.iter().map(|field| field.to_ascii_lowercase()).collect(),
        strip_prefix: settings.strip_prefix.iter().collect(),
        own_addresses: settings.own_addresses.iter().map(address).collect(),
        trusted_by: settings.trusted_by.iter().map(|host| host.to_ascii_lowercase()).collect(),
        journal_from: settings.journal_from.iter().map(address).collect(),
        subaddress: &settings.subaddress,
        file_senders: settings.file_senders,
        users: users.map(|users| (&users.names, &users.by_address)),
    };
    // Strings, numbers and maps with string keys can't fail to become JSON.
    Digest::of(&serde_json::to_vec(&canonical).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[[user]]\nname = \"alice@example.com\"\naliases = [\"Info@Example.com\", \"alice+x@example.com\"]\n\n[[user]]\nname = \"bob\"\naliases = [\"bob@example.com\", \"bob@b\u{fc}cher.example\", \"alice+bob@example.com\"]\n";

    fn settings() -> RouteSettings {
        let domains = ["Example.com", "xn--bcher-kva.example"].map(String::from).to_vec();
        RouteSettings { domains, own_addresses: vec!["archive@example.com".into()], ..RouteSettings::default() }
    }

    fn resolve(directory: &Directory, address: &str) -> Option<(bool, bool, Option<String>)> {
        directory.resolve(&Address::parse(address).unwrap()).map(|local| (local.exact, local.own, local.user))
    }

    #[test]
    fn an_address_is_resolved_to_the_user_who_has_it() -> Result<()> {
        let directory = Directory::new(&settings(), Some(Users::parse(FILE)?))?;
        let cases = [
            ("ALICE@example.COM", Some((true, false, Some("alice@example.com")))),
            ("info+shop@example.com", Some((true, false, Some("alice@example.com")))),
            ("alice+bob@example.com", Some((true, false, Some("bob")))),
            ("alice+other@example.com", Some((true, false, Some("alice@example.com")))),
            ("bob@B\u{dc}CHER.example", Some((true, false, Some("bob")))),
            ("ghost@example.com", Some((true, false, None))),
            ("+x@example.com", Some((true, false, None))),
            ("alice@mail.example.com", Some((false, false, None))),
            ("archive+x@example.com", Some((true, true, None))),
            ("alice@example.org", None),
            ("alice@notexample.com", None),
        ];
        for (address, expected) in cases {
            let expected = expected.map(|(exact, own, user)| (exact, own, user.map(str::to_owned)));
            assert_eq!(resolve(&directory, address), expected, "{address}");
        }
        Ok(())
    }

    #[test]
    fn without_a_users_file_every_local_address_is_its_own_user() -> Result<()> {
        let directory = Directory::new(&settings(), None)?;
        let user = |address| resolve(&directory, address).and_then(|(_, _, user)| user);
        assert_eq!(user("Alice+News@EXAMPLE.com").as_deref(), Some("alice@example.com"));
        assert_eq!(user("\"A B\"@mail.example.com").as_deref(), Some("\"a b\"@mail.example.com"));
        let plain = Directory::new(&RouteSettings { subaddress: String::new(), ..settings() }, None)?;
        assert_eq!(resolve(&plain, "a+b@example.com").and_then(|(_, _, user)| user).as_deref(), Some("a+b@example.com"));
        Ok(())
    }

    #[test]
    fn a_users_file_with_a_mistake_is_refused_by_name() {
        let told = |text: &str| Users::parse(text).map_err(|e| (e.status(), e.to_string())).unwrap_err();
        let twice = "[[user]]\nname = \"a@x.example\"\n[[user]]\nname = \"b@x.example\"\naliases = [\"A@X.example\"]\n";
        assert_eq!(told(twice), (Status::Config, "user “b@x.example”: “A@X.example” belongs to user “a@x.example”, too".into()));
        assert_eq!(told("[[user]]\nname = \"a\"\nalias = []\n").1, "line 3: unknown key “alias”; did you mean “aliases”?");
        assert!(told("[[user]]\nname = \"a\"\naliases = [\"b\"]\n").1.contains("“b” is not an address"));
        assert!(told("[[user]]\nname = \"@catchall\"\n").1.contains("begin with @"));
        assert!(told("[[user]]\nname = \"a\"\n[[user]]\nname = \"a\"\n").1.contains("twice"));
    }

    #[test]
    fn a_directory_needs_domains_that_are_domains() {
        let told = |settings: RouteSettings| Directory::new(&settings, None).map_err(|e| (e.status().code(), e.to_string())).unwrap_err();
        assert!(matches!(told(RouteSettings::default()), (78, what) if what.contains("domains = [\"example.com\"]")));
        assert!(told(RouteSettings { domains: vec!["a@b".into()], ..RouteSettings::default() }).1.contains("“a@b”"));
        assert!(told(RouteSettings { own_addresses: vec!["a".into()], ..settings() }).1.contains("own-addresses: “a”"));
    }

    #[test]
    fn the_settings_digest_changes_only_with_what_decides() -> Result<()> {
        let one = Users::parse(FILE)?;
        let other = Users::parse(
            "# hello\n[[user]]\naliases = [\"alice+bob@example.com\", \"bob@xn--bcher-kva.example\", \"BOB@example.com\"]\nname = \"bob\"\n[[user]]\nname = \"alice@example.com\"\naliases = [\"alice+x@example.com\", \"info@example.com\"]\n",
        )?;
        let mut reordered = settings();
        reordered.domains.reverse();
        reordered.users = Some("elsewhere.toml".into());
        assert_eq!(settings_digest(&settings(), Some(&one)), settings_digest(&reordered, Some(&other)));
        assert_ne!(settings_digest(&settings(), Some(&one)), settings_digest(&settings(), None));
        let skipping = RouteSettings { unknown: crate::profile::Unknown::Skip, ..settings() };
        assert_ne!(settings_digest(&settings(), None), settings_digest(&skipping, None));
        Ok(())
    }
}
