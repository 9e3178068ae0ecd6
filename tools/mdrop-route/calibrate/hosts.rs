//! The hosts that write the topmost Received fields, from which `trusted-by` is proposed.
//!
//! Only a host that stands in the chain from the top in nearly all messages: what a sender writes stands below, and none writes nearly all.
//! A pool of hosts that take turns is shown and not proposed, because a new host's name would make all evidence below it worthless.

use super::{is_most, sample::Kept};
use crate::received::Received;
use std::collections::{BTreeMap, BTreeSet};

/// How far from the top the first of the hosts may stand: some servers write internal hops above it, under names that change.
const TOP: usize = 3;
/// How many hosts are proposed at most.
const HOSTS: usize = 10;

/// The hosts that are proposed, and how many messages each stands in.
#[must_use]
pub fn chain(messages: &[Kept]) -> Vec<(String, usize)> {
    let mut chain: Vec<(String, usize)> = Vec::new();
    while chain.len() < HOSTS {
        let names: BTreeSet<&str> = chain.iter().map(|(host, _)| host.as_str()).collect();
        let next = count(messages.iter().map(|kept| next_hosts(&names, &kept.header.received)));
        let Some((host, number)) = next.into_iter().max_by_key(|(_, number)| *number) else { break };
        if !is_most(number, messages.len()) {
            break;
        }
        chain.push((host.to_owned(), number));
    }
    chain
}

/// The hosts that could be the next of a chain in one message: at the top, or where a trusted host says that the message came from.
fn next_hosts<'k>(chain: &BTreeSet<&str>, received: &'k [Received]) -> BTreeSet<&'k str> {
    let is_in = |host: &Option<String>| host.as_ref().is_some_and(|host| chain.contains(host.as_str()));
    let Some(top) = received.iter().position(|one| is_in(&one.by)) else {
        return if chain.is_empty() { received.iter().take(TOP).filter_map(|one| one.by.as_deref()).collect() } else { BTreeSet::new() };
    };
    let pairs = received.iter().skip(top).zip(received.iter().skip(top + 1));
    for (above, below) in pairs {
        let Some(by) = &below.by else { break };
        if !is_in(&below.by) {
            let came_from = above.is_internal || above.from.as_ref() == Some(by);
            return if came_from { BTreeSet::from([by.as_str()]) } else { BTreeSet::new() };
        }
    }
    BTreeSet::new()
}

fn count<'k>(sets: impl Iterator<Item = BTreeSet<&'k str>>) -> BTreeMap<&'k str, usize> {
    let mut counts = BTreeMap::new();
    sets.flatten().for_each(|host| *counts.entry(host).or_default() += 1);
    counts
}

/// The hosts that write the topmost Received field, the most frequent first.
#[must_use]
pub fn at_the_top(messages: &[Kept]) -> Vec<(String, usize)> {
    let top = messages.iter().map(|kept| kept.header.received.first().and_then(|one| one.by.as_deref()).into_iter().collect());
    let mut hosts: Vec<(String, usize)> = count(top).into_iter().map(|(host, number)| (host.to_owned(), number)).collect();
    hosts.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    hosts
}

/// Those of the hosts that wrote no Received field of the sample.
#[must_use]
pub fn unseen<'h>(hosts: &'h [String], messages: &[Kept]) -> Vec<&'h str> {
    let seen: BTreeSet<&str> = messages.iter().flat_map(|kept| kept.header.received.iter().filter_map(|one| one.by.as_deref())).collect();
    hosts.iter().map(String::as_str).filter(|host| !seen.contains(host.trim_end_matches('.').to_lowercase().as_str())).collect()
}
