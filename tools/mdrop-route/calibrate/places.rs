//! What stands at each field and position over the whole sample: how often, who can have written it, and whether it agrees.

use super::view::{Trace, View};
use super::{is_most, is_part};
use mdrop::record::Kind;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// How many different values of a place are counted.
const DISTINCT: usize = 10_000;
/// How many places, and how many pairs of places, are counted: a hostile header can have very many.
const PLACES: usize = 2000;
/// How many messages that disagree are named.
pub const NAMED: usize = 3;
/// How many different authors make a sample that no single sender can have made.
const AUTHORS: usize = 3;

/// A place.
#[derive(Clone, Debug, Default)]
pub struct Stat {
    /// `delivered-to:1`.
    pub place: String,
    /// Whether only the profile can name such a field.
    pub added: bool,
    /// In which order fields of one hop count.
    pub rank: usize,
    /// In how many messages it stands, by the hop.
    pub hops: BTreeMap<u32, usize>,
    /// In how many messages it stands.
    pub messages: usize,
    /// In how many of them the mailbox's own servers must have written it.
    pub trusted: usize,
    /// In how many it names an address.
    pub named: usize,
    /// In how many it names the mailbox's own.
    pub own: usize,
    /// In how many it names a local address that is not the mailbox's own.
    pub local: usize,
    /// In how many of these that address is one of those the message was written to.
    pub agree: usize,
    /// In how many the message was written to other local addresses.
    pub disagree: usize,
    /// How often each of the local values stands there.
    pub values: HashMap<String, usize>,
    /// Whether there are more than are counted.
    pub many: bool,
    authors: HashSet<String>,
}

/// What a place is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// The mailbox's own servers write it, in nearly every message.
    Genuine,
    /// They write it, in some messages.
    Partial,
    /// A sender or a forwarder can have written it.
    Foreign,
    /// No field of a server of the mailbox stands below it, by which that could be told.
    Unclear,
}

impl Stat {
    /// What it is worth, of so many messages.
    #[must_use]
    pub fn worth(&self, of: usize) -> Worth {
        match (is_part(self.trusted, self.messages, 95), is_most(self.messages, of)) {
            (true, true) => Worth::Genuine,
            (true, false) => Worth::Partial,
            (false, _) if self.trusted > 0 || self.hops.keys().any(|hop| *hop > 0) => Worth::Foreign,
            (false, _) => Worth::Unclear,
        }
    }

    /// Whether it names the recipients: local addresses that vary, in mail of various senders.
    #[must_use]
    pub fn names_recipients(&self) -> bool {
        self.values.len() > 1 && is_part(self.local, self.named, 50) && self.authors.len() >= AUTHORS
    }

    /// Whether To and Cc confirm it in most of the messages where they can, as is asked of a field that no known server writes.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.agree >= 5 && is_part(self.agree, self.agree + self.disagree, 50)
    }

    /// The hop at which it stands most often.
    #[must_use]
    pub fn hop(&self) -> u32 {
        self.hops.iter().max_by_key(|(_, number)| **number).map_or(0, |(hop, _)| *hop)
    }

    /// The value that stands there in nearly all messages, if there is one.
    #[must_use]
    pub fn constant(&self) -> Option<&str> {
        let (value, number) = self.values.iter().max_by_key(|(_, number)| **number)?;
        is_most(*number, self.local).then_some(value.as_str())
    }

    /// The share of the messages with local people that it agrees with, in percent.
    #[must_use]
    pub fn agreement(&self) -> usize {
        (100 * self.agree).checked_div(self.agree + self.disagree).unwrap_or(0)
    }

    fn add(&mut self, trace: &Trace, view: &View, is_trusted: bool, author: &str) {
        self.messages += 1;
        *self.hops.entry(trace.hop).or_default() += 1;
        self.trusted += usize::from(is_trusted);
        self.named += usize::from(!trace.named.is_empty());
        self.own += usize::from(trace.own);
        if trace.local.is_empty() {
            return;
        }
        self.local += 1;
        if !view.local_people.is_empty() {
            let agrees = !trace.local.is_disjoint(&view.local_people);
            *if agrees { &mut self.agree } else { &mut self.disagree } += 1;
        }
        if self.authors.len() < AUTHORS {
            self.authors.insert(author.to_owned());
        }
        for value in &trace.local {
            if self.values.len() < DISTINCT || self.values.contains_key(value) {
                *self.values.entry(value.clone()).or_default() += 1;
            } else {
                self.many = true;
            }
        }
    }
}

/// Two places of one message that name different people.
#[derive(Clone, Debug, Default)]
pub struct Dispute {
    /// How many messages there are.
    pub messages: usize,
    /// The first of them.
    pub origins: Vec<String>,
}

/// Everything that was counted.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The places, those nearest to the mailbox first.
    pub stats: Vec<Stat>,
    /// Which of them disagree, and with `to and cc`.
    pub disputes: BTreeMap<(String, String), Dispute>,
}

/// Counts every place. `hops` says of a message how many hops from the top its mailbox's servers have written.
#[must_use]
pub fn count(views: &[View], hops: impl Fn(&View) -> u32) -> Places {
    let mut stats: BTreeMap<String, Stat> = BTreeMap::new();
    let mut disputes = BTreeMap::new();
    for view in views.iter().filter(|view| !view.is_report) {
        let (trusted, author) = (hops(view), view.author());
        for trace in &view.traces {
            if stats.len() < PLACES || stats.contains_key(&trace.place) {
                let first = || Stat { place: trace.place.clone(), added: trace.added, rank: trace.rank, ..Stat::default() };
                stats.entry(trace.place.clone()).or_insert_with(first).add(trace, view, trace.hop < trusted, &author);
            }
        }
        dispute(view, &mut disputes);
    }
    let mut stats: Vec<Stat> = stats.into_values().collect();
    stats.sort_by_key(|stat| (stat.hop(), stat.rank, stat.place.clone()));
    Places { stats, disputes }
}

fn dispute(view: &View, disputes: &mut BTreeMap<(String, String), Dispute>) {
    let local: Vec<&Trace> = view.traces.iter().filter(|trace| !trace.local.is_empty()).take(20).collect();
    let pairs = local.iter().enumerate().flat_map(|(at, one)| local.iter().skip(at + 1).map(move |other| (one, other)));
    let others =
        pairs.filter(|(one, other)| one.local.is_disjoint(&other.local)).map(|(one, other)| (one.place.clone(), other.place.clone()));
    let with_people = local.iter().filter(|one| !view.local_people.is_empty() && one.local.is_disjoint(&view.local_people));
    let keys: BTreeSet<(String, String)> = others.chain(with_people.map(|one| (one.place.clone(), "to and cc".into()))).collect();
    for key in keys {
        if disputes.len() < PLACES || disputes.contains_key(&key) {
            let dispute = disputes.entry(key).or_default();
            dispute.messages += 1;
            if dispute.origins.len() < NAMED {
                dispute.origins.push(view.kept.origin.clone());
            }
        }
    }
}

/// How many messages have a local address in an envelope field that is none of `places`.
#[must_use]
pub fn rivals(views: &[View], places: &[String]) -> usize {
    let is_rival =
        |trace: &Trace| trace.kind == Kind::Envelope && !trace.added && !trace.local.is_empty() && !places.contains(&trace.place);
    views.iter().filter(|view| !view.is_report && view.traces.iter().any(is_rival)).count()
}
