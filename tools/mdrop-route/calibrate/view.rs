//! One message of the sample as the statistics see it: the places that name addresses, and the people it was written to.

use super::sample::Kept;
use crate::evidence::Name;
use crate::judge::{self, Judged, Verdict};
use crate::policy::Policy;
use mdrop::address::Address;
use mdrop::record::Kind;
use std::collections::{BTreeMap, BTreeSet};

/// How many addresses of a place, and people, are looked at.
const ADDRESSES: usize = 200;

/// A set of addresses in normal form.
pub type Addresses = BTreeSet<String>;

/// A field at a position of one message.
#[derive(Clone, Debug)]
pub struct Trace {
    /// `delivered-to:1`.
    pub place: String,
    /// Whether only the profile can name such a field.
    pub added: bool,
    /// What kind of evidence it is.
    pub kind: Kind,
    /// The number of Received fields above it.
    pub hop: u32,
    /// In which order fields of one hop count.
    pub rank: usize,
    /// All addresses that it names.
    pub named: Addresses,
    /// Those that are local and not the mailbox's own.
    pub local: Addresses,
    /// Whether the mailbox's own is among them.
    pub own: bool,
}

/// A message.
#[derive(Debug)]
pub struct View<'k> {
    /// What was kept of it.
    pub kept: &'k Kept,
    /// Its trace fields, from top to bottom.
    pub traces: Vec<Trace>,
    /// To whom it was written: To, Cc, Bcc and the Resent fields, or what a journal report says.
    pub people: Addresses,
    /// Those of them who are local and not the mailbox's own.
    pub local_people: Addresses,
    /// Whether it is a journal report.
    pub is_report: bool,
}

impl<'k> View<'k> {
    /// The message under a policy.
    #[must_use]
    pub fn new(policy: &Policy, kept: &'k Kept) -> Self {
        let judged = judge::judge(policy, &kept.header);
        let people: Vec<Address> = match &kept.report {
            Some(report) => report.recipients().flat_map(|line| line.addresses.iter().cloned()).take(ADDRESSES).collect(),
            None => judged.iter().filter(|one| is_guess(one)).filter_map(|one| one.address.clone()).take(ADDRESSES).collect(),
        };
        let is_local = |address: &&Address| policy.directory.resolve(address).is_some_and(|local| !local.own);
        Self {
            kept,
            traces: traces(&judged),
            local_people: people.iter().filter(is_local).map(Address::normal).collect(),
            people: people.iter().map(Address::normal).collect(),
            is_report: kept.report.is_some(),
        }
    }

    /// Who wrote it; empty where it does not say.
    #[must_use]
    pub fn author(&self) -> String {
        let authors = crate::sender::authors(&self.kept.header);
        authors.first().and_then(|one| one.address.as_ref()).map(Address::normal).unwrap_or_default()
    }

    /// Who sent it, if it is a report: Sender where there is one, since Exchange writes the message's author into From.
    #[must_use]
    pub fn reporter(&self) -> String {
        let sender = self.kept.header.senders.iter().find(|one| one.place.field == Name::Known("sender"));
        sender.and_then(|one| one.address.as_ref()).map_or_else(|| self.author(), Address::normal)
    }
}

fn is_guess(one: &Judged) -> bool {
    matches!(one.candidate.place.kind, Kind::Resent | Kind::Header)
}

fn traces(judged: &[Judged]) -> Vec<Trace> {
    let mut by_place: BTreeMap<(u32, String), Trace> = BTreeMap::new();
    for one in judged.iter().filter(|one| one.is_trace()) {
        let place = &one.candidate.place;
        let name = format!("{}:{}", place.field.as_str(), place.position);
        let trace = by_place.entry((place.line, name.clone())).or_insert_with(|| Trace {
            place: name,
            added: matches!(place.field, Name::Added(_)),
            kind: place.kind,
            hop: place.hop,
            rank: place.rank,
            named: Addresses::new(),
            local: Addresses::new(),
            own: false,
        });
        let Some(address) = one.address.as_ref().filter(|_| trace.named.len() < ADDRESSES) else { continue };
        trace.named.insert(address.normal());
        trace.own |= one.verdict == Verdict::Own;
        if matches!(one.verdict, Verdict::Local(_) | Verdict::Untrusted(_) | Verdict::NotTrusted(_)) {
            trace.local.insert(address.normal());
        }
    }
    by_place.into_values().collect()
}
