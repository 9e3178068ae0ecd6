//! What a Return-Path gives away: the list it belongs to, and the reader's address that a list wrote into it.
//!
//! Both are conventions of list software and no standard, so the reader's address is only the last resort before the guess, and
//! only where its domain is one of ours.

use crate::evidence::{Header, Name};
use mdrop::address::Address;
use mdrop::record::{Evidence, Kind};
use mdrop::users::Directory;

/// What a list wrote into the Return-Path, and then the original recipients that Received fields note (RFC 3461 section 4.2), each with where it
/// stands.
pub fn noted<'h>(directory: &'h Directory, header: &'h Header) -> impl Iterator<Item = (Address, Evidence)> + 'h {
    let paths = header.senders.iter().filter(|one| one.place.field == Name::Known("return-path"));
    let readers = paths.filter_map(|path| {
        let address = reader(directory, path.address.as_ref()?)?;
        Some((address, Evidence { kind: Kind::Envelope, ..path.place.evidence() }))
    });
    let originals = (0..).zip(&header.received).filter_map(|(hop, received)| {
        let evidence = Evidence { field: "received".into(), position: hop + 1, hop, kind: Kind::Received };
        Some((received.original.clone()?, evidence))
    });
    readers.chain(originals)
}

/// What list software puts before or behind a list's name.
const SUFFIXES: [&str; 5] = ["-bounces", "-bounce", "-admin", "-owner", "-request"];

/// The list's own address, if the Return-Path looks like a list's.
#[must_use]
pub fn list_base(sender: &Address) -> Option<String> {
    let local = sender.local();
    let begins = local.strip_prefix("owner-").or_else(|| local.strip_prefix("bounce-"));
    let ends = || SUFFIXES.iter().find_map(|suffix| local.strip_suffix(suffix));
    let plus = || SUFFIXES.iter().find_map(|suffix| local.split_once('+')?.0.strip_suffix(suffix));
    let inside = || local.split_once("-return-").or_else(|| local.split_once("-bounces-")).map(|(base, _)| base);
    let google = || local.split_once("+bnc").map(|(base, _)| base);
    let group = || local.starts_with("sentto-").then_some(local);
    begins.or_else(ends).or_else(plus).or_else(inside).or_else(google).or_else(group).map(|base| sender.normal_with(base))
}

/// The reader's address inside a Return-Path: `list-77-user=domain@`, `+caf_=user=domain@`, `user=40domain-X@`. SRS0 and SRS1 hold the
/// sender's instead.
#[must_use]
pub fn reader(directory: &Directory, sender: &Address) -> Option<Address> {
    let local = sender.local();
    if local.starts_with("srs0") || local.starts_with("srs1") {
        return None;
    }
    local.match_indices('=').take(8).find_map(|(at, _)| {
        let behind = local.get(at + 1..)?;
        let domain = local_domain(directory, behind.strip_prefix("40").unwrap_or(behind)).or_else(|| local_domain(directory, behind))?;
        user_before(directory, local.get(..at)?, domain)
    })
}

/// The domain of ours with which `text` begins.
fn local_domain<'a>(directory: &Directory, text: &'a str) -> Option<&'a str> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '.' || c == '-')).unwrap_or(text.len());
    let whole = text.get(..end)?;
    let shorter = whole.rmatch_indices('-').take(8).filter_map(|(at, _)| whole.get(..at));
    std::iter::once(whole).chain(shorter).find(|domain| {
        let probe = Address::from_parts("x", domain);
        probe.and_then(|probe| directory.resolve(&probe)).is_some_and(|local| local.exact)
    })
}

/// The user whose name stands last in `text`: the longest that is known; without a users list what stands behind a mark that list software
/// writes before it, or all of it. A hyphen is no such mark: it may as well stand in a name.
fn user_before(directory: &Directory, text: &str, domain: &str) -> Option<Address> {
    if directory.has_users() {
        let delimiters: Vec<usize> = text.match_indices(['-', '+', '=', '_']).map(|(at, _)| at + 1).collect();
        let recent = delimiters.get(delimiters.len().saturating_sub(8)..).unwrap_or_default();
        let starts = || std::iter::once(0).chain(recent.iter().copied());
        let whole = || starts().filter_map(|start| Address::from_parts(text.get(start..)?, domain));
        // What a wildcard fits is not known by name, and what stands before a hyphen may be the list's.
        let is_detailed = |address: &Address| !address.local().contains('-') && directory.names_base(address);
        return whole().find(|address| directory.names(address)).or_else(|| whole().find(is_detailed));
    }
    Address::from_parts(behind_mark(text).or_else(|| behind_number(text)).or_else(|| (!text.contains(DELIMITERS)).then_some(text))?, domain)
}

/// What may part a name from what stands before it.
const DELIMITERS: [char; 4] = ['-', '+', '=', '_'];

/// What stands behind the words with which list software and forwarders begin the reader's part.
fn behind_mark(text: &str) -> Option<&str> {
    if let Some((_, numbered)) = text.split_once("-return-") {
        let (number, user) = numbered.split_once('-')?;
        return (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(user);
    }
    MARKS.iter().find_map(|mark| {
        let at = text.find(mark)?;
        let is_word = at == 0 || mark.starts_with(DELIMITERS) || text.get(..at)?.ends_with(DELIMITERS);
        // Some count or date their messages there.
        let user = text.get(at + mark.len()..).filter(|_| is_word)?;
        let digits = user.bytes().take_while(u8::is_ascii_digit).count();
        Some(user.get(digits..)?.strip_prefix('-').filter(|_| digits > 0).unwrap_or(user))
    })
}

const MARKS: [&str; 6] = ["+caf_=", "bounces+", "bounce+", "owner+", "errors+", "bounces-"];

/// What stands behind the only group of numbers between hyphens: a list's count of its messages.
fn behind_number(text: &str) -> Option<&str> {
    let is_number = |segment: &str| !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit());
    let (mut at, mut begins, mut was_number) = (0, Vec::new(), false);
    for segment in text.split('-') {
        if was_number && !is_number(segment) {
            begins.push(at);
        }
        was_number = is_number(segment);
        at += segment.len() + 1;
    }
    match begins.as_slice() {
        [only] => text.get(*only..),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdrop::profile::RouteSettings;
    use mdrop::users::Users;

    fn directory(users: Option<&str>) -> Directory {
        let settings = RouteSettings { domains: vec!["example.org".into()], ..RouteSettings::default() };
        Directory::new(&settings, users.map(|text| Users::parse(text).unwrap())).unwrap()
    }

    #[test]
    fn the_reader_is_found_in_every_convention() {
        let cases = [
            ("roses-return-77-frank=example.org@l.example", Some("frank@example.org")),
            ("roses-return-77-frank-m=example.org@l.example", Some("frank-m@example.org")),
            ("ann+caf_=frank=example.org@l.example", Some("frank@example.org")),
            ("owner+frank=40example.org-S266206@l.example", Some("frank@example.org")),
            ("frank=example.org@l.example", Some("frank@example.org")),
            ("l-bounces+ann-marie=example.org@l.example", Some("ann-marie@example.org")),
            ("l-bounces+ann+tag=example.org@l.example", Some("ann+tag@example.org")),
            ("x+caf_=ann-marie=example.org@l.example", Some("ann-marie@example.org")),
            ("roses-return-77-frank-9-m=example.org@l.example", Some("frank-9-m@example.org")),
            ("23-19-5-frank=example.org@l.example", Some("frank@example.org")),
            ("bounces+20181025-frank=example.org@l.example", Some("frank@example.org")),
            ("l-7-ann-8-marie=example.org@l.example", None),
            ("l-ann-marie=example.org@l.example", None),
            ("srs0=ab=cd=example.org=frank@l.example", None),
            ("frank=example.net@l.example", None),
            ("frank@l.example", None),
            ("====@l.example", None),
        ];
        for (sender, expected) in cases {
            let found = reader(&directory(None), &Address::parse(sender).unwrap());
            assert_eq!(found.map(|a| a.normal()).as_deref(), expected, "{sender}");
        }
        let known = directory(Some("[[user]]\nname = \"m-frank@example.org\"\n"));
        let found = reader(&known, &Address::parse("list-7-m-frank=example.org@l.example").unwrap());
        assert_eq!(found.map(|a| a.normal()).as_deref(), Some("m-frank@example.org"));
    }

    #[test]
    fn the_list_is_known_by_its_return_path() {
        let cases = [
            ("team-bounces@x.example", Some("team@x.example")),
            ("team-bounces+a=b@x.example", Some("team@x.example")),
            ("owner-team@x.example", Some("team@x.example")),
            ("team-return-7-a=b@x.example", Some("team@x.example")),
            ("team-admin@x.example", Some("team@x.example")),
            ("team+bncbdabc@x.example", Some("team@x.example")),
            ("ann@x.example", None),
        ];
        for (sender, expected) in cases {
            assert_eq!(list_base(&Address::parse(sender).unwrap()).as_deref(), expected, "{sender}");
        }
    }
}
