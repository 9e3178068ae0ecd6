//! The digest of all that decides how a message is routed.
//!
//! A refusal carries it, and its message is asked for again when it changes: so it must change whenever the answer could, and should not
//! when it can't. What is digested is therefore what the settings come to: addresses and who has them when, not how that was written.

use super::list::{Owner, Title, Users};
use super::locality::delimiters;
use crate::address::{Address, fold_domain};
use crate::identity::Digest;
use crate::profile::{RouteSettings, Unknown};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Who has an address: the names, each with the seconds between which it is theirs. No name stands for the address itself.
type Holders<'a> = Vec<(Option<&'a str>, (Option<i64>, Option<i64>))>;

/// All that decides, in an order and a spelling of its own.
#[derive(Serialize)]
struct Canonical<'a> {
    domains: BTreeSet<String>,
    unknown: Unknown,
    trusted_fields: Vec<String>,
    strip_prefix: BTreeSet<&'a String>,
    own_addresses: BTreeSet<String>,
    trusted_by: BTreeSet<String>,
    journal_from: BTreeSet<String>,
    subaddress: BTreeSet<char>,
    file_senders: bool,
    users: Option<CanonicalUsers<'a>>,
}

#[derive(Serialize)]
struct CanonicalUsers<'a> {
    /// By domain, then by local part.
    addresses: BTreeMap<&'a str, BTreeMap<&'a str, Holders<'a>>>,
    /// Domain, text before the star, text behind it, holders.
    patterns: BTreeSet<(&'a str, &'a str, &'a str, Holders<'a>)>,
    aliases: BTreeMap<&'a str, &'a str>,
}

/// The digest of the routing settings: it changes when a message could be routed otherwise, not when a comment, the order of
/// keys, the form of the users list or its file's name does.
#[must_use]
pub fn settings_digest(settings: &RouteSettings, users: Option<&Users>) -> Digest {
    let address = |text: &String| Address::parse(text).map_or_else(|| text.to_lowercase(), |a| a.normal());
    let aliases = users.iter().flat_map(|users| users.aliases.keys()).map(|alias| alias.as_ref().to_owned());
    let domains = settings.domains.iter().map(|name| fold_domain(name).unwrap_or_else(|| name.clone()));
    let canonical = Canonical {
        domains: domains.chain(aliases).collect(),
        unknown: settings.unknown,
        trusted_fields: settings.trusted_fields.iter().map(|field| field.to_ascii_lowercase()).collect(),
        strip_prefix: settings.strip_prefix.iter().collect(),
        own_addresses: settings.own_addresses.iter().map(address).collect(),
        trusted_by: settings.trusted_by.iter().map(|host| host.to_ascii_lowercase()).collect(),
        journal_from: settings.journal_from.iter().map(address).collect(),
        subaddress: delimiters(settings),
        file_senders: settings.file_senders,
        users: users.map(canonical_users),
    };
    // Strings, numbers and maps with string keys can't fail to become JSON.
    Digest::of(&serde_json::to_vec(&canonical).unwrap_or_default())
}

fn canonical_users(users: &Users) -> CanonicalUsers<'_> {
    let mut all = CanonicalUsers { addresses: BTreeMap::new(), patterns: BTreeSet::new(), aliases: BTreeMap::new() };
    for (name, domain) in &users.domains {
        let exact = domain.exact.iter().map(|(local, titles)| (local.as_ref(), holders(users, titles)));
        let exact: BTreeMap<_, _> = exact.collect();
        if !exact.is_empty() {
            all.addresses.insert(name, exact);
        }
        let patterns = domain.patterns.iter();
        all.patterns.extend(patterns.map(|(prefix, suffix, titles)| (name.as_ref(), prefix, suffix, holders(users, titles))));
    }
    all.aliases.extend(users.aliases.iter().map(|(alias, other)| (alias.as_ref(), other.as_ref())));
    all
}

/// Who has an address when, groups opened, spans of one user that meet made one.
fn holders<'u>(users: &'u Users, titles: &[Title]) -> Holders<'u> {
    let mut each = Vec::new();
    for title in titles {
        match users.owners.get(title.owner as usize) {
            Some(Owner::User(name)) => each.push((Some(name.as_ref()), title.span)),
            Some(Owner::Itself) => each.push((None, title.span)),
            Some(Owner::Group(members)) => each.extend(members.iter().filter_map(|member| match users.owners.get(member.owner as usize) {
                Some(Owner::User(name)) => Some((Some(name.as_ref()), member.span.and(title.span)?)),
                _ => None,
            })),
            None => {}
        }
    }
    each.sort_unstable();
    let joined = each.into_iter().fold(Vec::new(), |mut joined: Vec<(Option<&str>, _)>, (name, span)| {
        let last = joined.last_mut().filter(|(before, _)| *before == name);
        match last.and_then(|(_, last)| super::span::Span::joined(*last, span).map(|both| *last = both)) {
            Some(()) => {}
            None => joined.push((name, span)),
        }
        joined
    });
    joined.into_iter().map(|(name, span)| (name, span.ends())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;

    const FILE: &str = "[[user]]\nname = \"alice\"\naliases = [\"alice@example.com\", { address = \"info@example.com\", until = 2020-12-31 }]\n[[user]]\nname = \"bob@example.com\"\n[[group]]\naddress = \"team@example.com\"\nmembers = [\"alice\", \"bob@example.com\"]\n[domain-aliases]\n\"example.net\" = \"example.com\"\n";

    fn settings() -> RouteSettings {
        RouteSettings { domains: vec!["Example.com".into(), "b\u{fc}cher.example".into()], ..RouteSettings::default() }
    }

    fn digest(text: &str) -> Digest {
        settings_digest(&settings(), Some(&Users::parse(text).unwrap()))
    }

    #[test]
    fn order_comments_spelling_and_the_form_of_the_list_change_nothing() -> Result<()> {
        let other = "# hello\n[domain-aliases]\n\"EXAMPLE.net\" = \"example.com.\"\n[[group]]\nmembers = [\"BOB@example.com\", \"alice\"]\naddress = \"TEAM@Example.com\"\n[[user]]\naliases = [\"bob@example.com\"]\nname = \"bob@example.com\"\n[[user]]\nname = \"alice\"\naliases = [\"Alice@example.com\", { address = \"info@example.com\", until = \"2015-12-31\" }, { address = \"info@example.com\", from = \"2016-01-01\", until = \"2021-01-01T01:00:00+01:00\" }]\n[[user]]\nname = \"nobody\"\n";
        assert_eq!(digest(FILE), digest(other));
        let lines = "{\"name\":\"alice\",\"aliases\":[\"alice@example.com\",{\"address\":\"info@example.com\",\"until\":\"2020-12-31\"}]}\n{\"name\":\"bob@example.com\"}\n{\"address\":\"team@example.com\",\"members\":[\"alice\",\"bob@example.com\"]}\n{\"domain-aliases\":{\"example.net\":\"example.com\"}}\n";
        assert_eq!(digest(FILE), settings_digest(&settings(), Some(&Users::parse_lines(lines)?)));
        let reordered = RouteSettings {
            domains: ["xn--bcher-kva.example", "example.net", "example.com"].map(String::from).to_vec(),
            users: Some("elsewhere.toml".into()),
            ..settings()
        };
        let users = Users::parse(FILE)?;
        assert_eq!(settings_digest(&settings(), Some(&users)), settings_digest(&reordered, Some(&users)));
        let ways = ["+-", "-+", "+-+"].map(|subaddress| RouteSettings { subaddress: subaddress.into(), ..settings() });
        assert!(ways.windows(2).all(|two| settings_digest(&two[0], None) == settings_digest(&two[1], None)));
        Ok(())
    }

    #[test]
    fn whatever_could_decide_changes_it() -> Result<()> {
        let changes = [
            ("until = 2020-12-31", "until = 2020-12-30"),
            ("until = 2020-12-31", "from = 2020-12-31"),
            ("name = \"alice\"", "name = \"alise\""),
            ("\"info@", "\"inf@"),
            ("\"info@", "\"inf*@"),
            ("\"info@example.com", "\"info@example.org"),
            ("\"alice\", \"bob@example.com\"]", "\"bob@example.com\"]"),
            ("example.net", "example.org"),
            ("[[user]]\nname = \"bob", "[[user]]\nfrom = 2000-01-01\nname = \"bob"),
        ];
        for (old, new) in changes {
            let text = FILE.replacen(old, new, 1).replace("\"alise\"]", "\"alice\"]");
            let text = if new.contains("alise") { text.replace("[\"alice\", ", "[\"alise\", ") } else { text };
            assert_ne!(digest(FILE), digest(&text), "{new}");
        }
        let star = |text| digest(&format!("[[user]]\nname = \"a\"\naliases = [\"{text}\"]\n"));
        assert_ne!(star("*a@example.com"), star("a*@example.com"));
        let users = Users::parse(FILE)?;
        let base = settings_digest(&settings(), Some(&users));
        assert_ne!(base, settings_digest(&settings(), None));
        let others = [
            RouteSettings { unknown: Unknown::Skip, ..settings() },
            RouteSettings { subaddress: "-".into(), ..settings() },
            RouteSettings { file_senders: false, ..settings() },
            RouteSettings { domains: vec!["example.com".into()], ..settings() },
        ];
        others.iter().for_each(|other| assert_ne!(base, settings_digest(other, Some(&users))));
        Ok(())
    }
}
