//! The local domains, where the profile does not name them: those that the server writes into the topmost trace fields.
//!
//! Counted only at the hop where they usually stand or above, since a sender can only write below it.

use super::{is_most, sample::Kept};
use mdrop::address::Address;
use mdrop::record::Kind;
use std::collections::{BTreeMap, BTreeSet};

/// In how many messages a domain must stand, at least.
const FEWEST: usize = 3;
/// In one of how many messages it must stand.
const ONE_OF: usize = 20;
/// From how many messages on an address that nearly all of them name is taken for the mailbox's own.
const ENOUGH: usize = 10;

/// A domain that may be local.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Its name.
    pub name: String,
    /// How many messages name it at the place that counts.
    pub messages: usize,
    /// How many different addresses of it they name.
    pub addresses: usize,
    /// Whether trace fields name it; else only To and Cc do.
    pub by_trace: bool,
}

/// The domains that are proposed, the most frequent first.
#[must_use]
pub fn find(messages: &[Kept]) -> Vec<Domain> {
    let boxes = boxes(messages);
    let tops: Vec<(u32, Vec<&Address>)> = messages.iter().filter_map(|kept| top(kept, &boxes)).collect();
    let mut hops: BTreeMap<u32, usize> = BTreeMap::new();
    tops.iter().for_each(|(hop, _)| *hops.entry(*hop).or_default() += 1);
    let usual = hops.iter().max_by_key(|(hop, number)| (**number, std::cmp::Reverse(**hop))).map_or(0, |(hop, _)| *hop);
    let counted = tops.into_iter().filter(|(hop, _)| *hop <= usual).map(|(_, addresses)| addresses);
    let found = often(counted.collect(), true);
    if !found.is_empty() {
        return found;
    }
    let written = messages.iter().map(|kept| named(kept, |kind| matches!(kind, Kind::Header | Kind::Resent)).map(|(_, one)| one).collect());
    often(written.collect(), false).into_iter().filter(|domain| 2 * domain.messages >= messages.len()).collect()
}

fn named(kept: &Kept, fits: fn(Kind) -> bool) -> impl Iterator<Item = (u32, &Address)> {
    let candidates = kept.header.candidates.iter().filter(move |one| fits(one.place.kind) && one.place.rank != usize::MAX);
    candidates.filter_map(|one| Some((one.place.hop, one.address.as_ref()?)))
}

fn traces(kept: &Kept) -> impl Iterator<Item = (u32, &Address)> {
    named(kept, Kind::is_trace)
}

/// The addresses that nearly all messages name.
fn boxes(messages: &[Kept]) -> BTreeSet<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for kept in messages.iter().filter(|_| messages.len() >= ENOUGH) {
        let all: BTreeSet<String> = traces(kept).map(|(_, address)| address.normal()).collect();
        all.into_iter().for_each(|address| *counts.entry(address).or_default() += 1);
    }
    counts.into_iter().filter(|(_, number)| is_most(*number, messages.len())).map(|(address, _)| address).collect()
}

/// The topmost hop that names somebody else than the mailbox, and whom.
fn top<'k>(kept: &'k Kept, boxes: &BTreeSet<String>) -> Option<(u32, Vec<&'k Address>)> {
    let others = || traces(kept).filter(|(_, address)| !boxes.contains(&address.normal()));
    let top = others().map(|(hop, _)| hop).min()?;
    Some((top, others().filter(|(hop, _)| *hop == top).map(|(_, address)| address).collect()))
}

fn often(messages: Vec<Vec<&Address>>, by_trace: bool) -> Vec<Domain> {
    let total = messages.len();
    let mut counts: BTreeMap<&str, (usize, BTreeSet<&str>)> = BTreeMap::new();
    for addresses in messages {
        let domains: BTreeSet<&str> = addresses.iter().map(|address| address.domain()).collect();
        domains.into_iter().for_each(|domain| counts.entry(domain).or_default().0 += 1);
        addresses.into_iter().for_each(|address| {
            counts.entry(address.domain()).or_default().1.insert(address.local());
        });
    }
    let domain = |(name, (messages, addresses)): (&str, (usize, BTreeSet<&str>))| Domain {
        name: name.into(),
        messages,
        addresses: addresses.len(),
        by_trace,
    };
    let mut domains: Vec<Domain> =
        counts.into_iter().map(domain).filter(|one| one.messages >= FEWEST && one.messages * ONE_OF >= total).collect();
    domains.sort_by_key(|domain| std::cmp::Reverse(domain.messages));
    domains
}
