//! What the server puts into or round the addresses: the mailbox's own address, and a prefix before local parts.

use super::view::{Addresses, View};
use super::{FEW, is_most, is_part};
use crate::policy::Policy;
use mdrop::address::Address;
use mdrop::record::Kind;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many different addresses are counted.
const DISTINCT: usize = 10_000;

/// An address that may be the mailbox's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// The address.
    pub address: String,
    /// How many messages name it in a trace field.
    pub messages: usize,
    /// How many are written to it.
    pub written: usize,
    /// Why it is not proposed, though nearly all messages name it.
    pub doubt: Option<&'static str>,
}

/// The addresses that nearly all messages name in a trace field.
#[must_use]
pub fn addresses(policy: &Policy, views: &[View]) -> Vec<Own> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for view in views {
        let named: BTreeSet<String> =
            view.traces.iter().filter(|trace| !trace.added).flat_map(|trace| &trace.named).flat_map(|a| forms(a)).collect();
        for address in named {
            if counts.len() < DISTINCT || counts.contains_key(&address) {
                *counts.entry(address).or_default() += 1;
            }
        }
    }
    let often = counts.into_iter().filter(|(_, number)| views.len() >= FEW && is_most(*number, views.len()));
    let mut found: Vec<Own> = often.filter_map(|(address, messages)| own(policy, views, address, messages)).collect();
    found.sort_by(|a, b| a.address.cmp(&b.address));
    found
}

/// An address; and of `archive+user=domain@archive.example` what stands before the detail.
fn forms(address: &str) -> Vec<String> {
    let encoded = || {
        let (local, domain) = address.rsplit_once('@').filter(|(local, _)| local.contains('='))?;
        let (base, _) = local.split_once(['+', '-']).filter(|(base, _)| !base.is_empty())?;
        Some(format!("{base}@{domain}"))
    };
    std::iter::once(address.to_owned()).chain(encoded()).collect()
}

fn own(policy: &Policy, views: &[View], address: String, messages: usize) -> Option<Own> {
    let read = Address::parse(&address)?;
    if policy.directory.owns(&read) {
        return None;
    }
    let is_local = policy.directory.resolve(&read).is_some();
    let is_encoded =
        || views.iter().any(|view| view.traces.iter().flat_map(|trace| &trace.named).any(|a| *a != address && forms(a).contains(&address)));
    let reports = views.iter().filter(|view| view.is_report).count();
    if !is_local && reports == 0 && !is_encoded() {
        return None;
    }
    let written = views.iter().filter(|view| view.people.contains(&address)).count();
    let others = views.iter().filter(|view| names_another(policy, view, &address)).count();
    let doubt = if is_part(written, views.len(), 10) {
        Some("too many messages are written to it: it may be a person's")
    } else if !is_part(others, views.len(), 50) {
        Some("most messages name nobody else")
    } else if stands_among_others(views, &address) {
        Some("it stands among the others where addresses vary: it may be a person's, whose mailbox takes everything")
    } else {
        None
    };
    Some(Own { address, messages, written, doubt })
}

/// Whether somebody local besides that address is named.
fn names_another(policy: &Policy, view: &View, address: &String) -> bool {
    let is_other = |one: &&String| *one != address;
    let local = |one: &String| Address::parse(one).is_some_and(|one| policy.directory.resolve(&one).is_some());
    view.local_people.iter().any(|one| is_other(&one))
        || view.traces.iter().flat_map(|trace| &trace.named).any(|one| is_other(&one) && (local(one) || forms(one).len() > 1))
}

/// Whether there is a place whose values vary, and the address is one of them now and then.
fn stands_among_others(views: &[View], address: &String) -> bool {
    let mut places: BTreeMap<&str, (usize, usize, BTreeSet<&String>)> = BTreeMap::new();
    for trace in views.iter().flat_map(|view| &view.traces).filter(|trace| trace.kind == Kind::Envelope && !trace.added) {
        let (all, with, values) = places.entry(trace.place.as_str()).or_default();
        *all += 1;
        *with += usize::from(trace.named.contains(address));
        if values.len() < 10 {
            values.extend(trace.local.iter().take(10));
        }
    }
    places.values().any(|(all, with, values)| values.len() > 3 && is_part(*with, *all, 2) && !is_part(*with, *all, 50))
}

/// A prefix that stands before local parts in Delivered-To.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// What it is.
    pub text: String,
    /// How many Delivered-To fields of its domain begin with it.
    pub fields: usize,
    /// Of how many.
    pub of: usize,
    /// In how many of these messages another field names what is left.
    pub confirmed: usize,
}

/// The prefixes, one a domain at most.
#[must_use]
pub fn prefixes(views: &[View]) -> Vec<Prefix> {
    let mut by_domain: BTreeMap<&str, Vec<(&str, Addresses)>> = BTreeMap::new();
    for view in views {
        let mut others = view.local_people.clone();
        others.extend(view.traces.iter().filter(|trace| !is_delivered(&trace.place)).flat_map(|trace| trace.local.iter().cloned()));
        for address in view.traces.iter().filter(|trace| is_delivered(&trace.place)).flat_map(|trace| &trace.local).take(10) {
            let Some((local, domain)) = address.rsplit_once('@') else { continue };
            by_domain.entry(domain).or_default().push((local, others.clone()));
        }
    }
    by_domain.into_iter().filter_map(|(domain, fields)| prefix(domain, &fields)).collect()
}

fn is_delivered(place: &str) -> bool {
    place.starts_with("delivered-to:")
}

/// What stands before a name that another field has; or else the domain with hyphens, as qmail and vpopmail write it.
fn prefix(domain: &str, fields: &[(&str, Addresses)]) -> Option<Prefix> {
    let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
    for (local, others) in fields {
        let prefixes = others.iter().filter_map(|other| local.strip_suffix(other.rsplit_once('@')?.0));
        let prefixes: BTreeSet<&str> = prefixes.filter(|prefix| prefix.len() > 1 && prefix.ends_with(['-', '_', '.', '='])).collect();
        prefixes.into_iter().for_each(|prefix| *votes.entry(prefix).or_default() += 1);
    }
    let hyphens = format!("{}-", domain.replace('.', "-"));
    let voted = votes.iter().max_by_key(|(_, number)| **number).map(|(prefix, _)| (*prefix).to_owned());
    let prefix = Some(&hyphens).filter(|prefix| fields.iter().any(|(local, _)| local.starts_with(prefix.as_str()))).cloned().or(voted)?;
    let with: Vec<&str> =
        fields.iter().filter_map(|(local, _)| local.strip_prefix(prefix.as_str())).filter(|rest| !rest.is_empty()).collect();
    let confirmed = votes.get(prefix.as_str()).copied().unwrap_or(0);
    let names: BTreeSet<&&str> = with.iter().collect();
    let is_sure = prefix == hyphens || is_part(confirmed, fields.len(), 50);
    let fits = fields.len() >= FEW && is_most(with.len(), fields.len()) && names.len() > 1 && is_sure;
    fits.then_some(Prefix { fields: with.len(), of: fields.len(), confirmed, text: prefix })
}
