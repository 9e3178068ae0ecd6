//! --users-missing: the local addresses that belong to nobody, with how often they were seen and whose they most likely are.
//!
//! Counted are the recipients that were decided on and the authors, not everybody in To: an address that stands only there changes nothing.
//! Memory is bounded, because a spammer may try a million addresses: the most frequent are kept, and what the others cost the
//! counts is said.

mod likeliest;
mod names;

use crate::credible;
use crate::decide::Decision;
use crate::evidence::Header;
use crate::policy::Policy;
use crate::sender;
use likeliest::{Guess, Likeliest};
use mdrop::address::Address;
use mdrop::error::{Error, Result, Status};
use mdrop::journal::Report;
use mdrop::record::{self, Kind, Record, V1};
use mdrop::time::Time;
use mdrop::users::Users;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;

/// How many addresses are printed; twice as many are counted at a time.
const MOST: usize = 10_000;

/// One address.
#[derive(Clone, Debug, Default)]
struct Entry {
    messages: u64,
    recipient: u64,
    sender: u64,
    evidence: BTreeMap<Kind, u64>,
    first: Option<Time>,
    last: Option<Time>,
    /// What people call whoever has it.
    name: Option<String>,
    /// In how many messages more it may have been before it was counted.
    missed: u64,
}

/// As what one message shows an address.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    recipient: Option<Kind>,
    sender: bool,
}

/// All addresses that belong to nobody.
pub struct Missing {
    likeliest: Likeliest,
    entries: HashMap<String, Entry>,
    /// The highest count among the addresses that were given up.
    given_up: u64,
}

impl Missing {
    /// Nobody yet.
    ///
    /// # Errors
    /// [`Status::Config`] without a users list, since every local address is a user then.
    pub fn new(users: Option<&Users>) -> Result<Self> {
        let advice = "--users-missing needs a users list: users = \"users.toml\"; without one every local address is its own user";
        let users = users.ok_or_else(|| Error::new(Status::Config, advice).about("[route]"))?;
        Ok(Self { likeliest: Likeliest::new(users.addresses()), entries: HashMap::new(), given_up: 0 })
    }

    /// Counts what one message shows. `octets` hands out its beginning, where it is asked for what people are called.
    ///
    /// # Errors
    /// What `octets` reports.
    pub fn add(
        &mut self,
        policy: &Policy,
        header: &Header,
        report: Option<&Report>,
        decision: &Decision,
        moment: Option<Time>,
        octets: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<()> {
        let report = report.filter(|_| decision.by_report()).map(|report| credible::innermost(policy, report));
        let seen = seen(policy, header, report, decision);
        for (address, seen) in &seen {
            let given_up = self.given_up;
            let entry = self.entries.entry(address.clone()).or_insert_with(|| Entry { missed: given_up, ..Entry::default() });
            entry.add(*seen, moment);
        }
        let unnamed = |address: &&String| self.entries.get(*address).is_some_and(|entry| entry.name.is_none());
        let unnamed: HashSet<&String> = seen.keys().filter(unnamed).collect();
        if !unnamed.is_empty() {
            for (address, name) in names::find(&octets()?, &unnamed) {
                self.entries.entry(address).and_modify(|entry| entry.name = Some(name));
            }
        }
        if self.entries.len() > 2 * MOST {
            self.give_up();
        }
        Ok(())
    }

    /// Keeps the most frequent.
    fn give_up(&mut self) {
        let mut all = self.take_sorted();
        let rest = all.split_off(all.len().min(MOST));
        let highest = rest.iter().map(|(_, entry)| entry.messages + entry.missed).max();
        self.given_up = self.given_up.max(highest.unwrap_or(0));
        self.entries = all.into_iter().collect();
    }

    /// Takes all addresses out, the most frequent first.
    fn take_sorted(&mut self) -> Vec<(String, Entry)> {
        let mut all: Vec<(String, Entry)> = self.entries.drain().collect();
        all.sort_by(|(a, one), (b, other)| (other.messages, a).cmp(&(one.messages, b)));
        all
    }

    /// Whether there were more addresses than are counted.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.given_up > 0
    }

    /// Writes one record an address, the most frequent first.
    ///
    /// # Errors
    /// What the output reports; that a signal came.
    pub fn write(mut self, output: &mut impl Write) -> Result<()> {
        if self.entries.len() > MOST {
            self.give_up();
        }
        for (address, entry) in self.take_sorted() {
            // With a long list and many addresses this takes minutes.
            mdrop::interrupt::check()?;
            let guess = self.likeliest.guess(&address, entry.name.as_deref());
            output.write_all(&Record::Missing(Box::new(entry.record(address, guess))).to_line()?)?;
        }
        Ok(())
    }
}

impl Entry {
    fn add(&mut self, seen: Seen, moment: Option<Time>) {
        self.messages += 1;
        self.sender += u64::from(seen.sender);
        if let Some(kind) = seen.recipient {
            self.recipient += 1;
            *self.evidence.entry(kind).or_default() += 1;
        }
        if moment.is_some() {
            self.first = self.first.min(moment).or(moment);
            self.last = self.last.max(moment);
        }
    }

    fn record(self, address: String, guess: Guess) -> record::Missing {
        let (likeliest, undecided) = match guess {
            Guess::Nobody => (None, Vec::new()),
            Guess::One { user, why } => (Some(record::Likeliest { user, why }), Vec::new()),
            Guess::Several(users) => (None, users),
        };
        record::Missing {
            v: V1,
            address,
            messages: self.messages,
            missed: self.missed,
            recipient: self.recipient,
            sender: self.sender,
            evidence: self.evidence,
            first: self.first,
            last: self.last,
            name: self.name,
            likeliest,
            undecided,
        }
    }
}

/// The addresses of nobody that one message shows; a subaddress counts for the address that it details.
fn seen(policy: &Policy, header: &Header, report: Option<&Report>, decision: &Decision) -> BTreeMap<String, Seen> {
    let base = |address: &Address| policy.directory.detail(address).map_or_else(|| address.normal(), |(user, _)| address.normal_with(user));
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    for recipient in decision.recipients.iter().filter(|recipient| recipient.user.is_none()) {
        let Some(address) = recipient.address.as_ref().and_then(|address| Address::parse(&address.lossy())) else { continue };
        seen.entry(base(&address)).or_default().recipient.get_or_insert(recipient.evidence.kind);
    }
    let written = if report.is_none() { sender::authors(header) } else { Vec::new() };
    let reported = report.into_iter().flat_map(Report::senders).flat_map(|line| &line.addresses);
    for address in written.into_iter().filter_map(|one| one.address.as_ref()).chain(reported) {
        if is_nobodys(policy, address, decision.moment) {
            seen.entry(base(address)).or_default().sender = true;
        }
    }
    seen
}

fn is_nobodys(policy: &Policy, address: &Address, at: Option<Time>) -> bool {
    policy.directory.resolve(address).is_some_and(|local| !local.own) && policy.directory.whose(address, at).users.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_addresses_costs_neither_the_memory_nor_those_that_are_seen_often() {
        let users = Users::parse("[[user]]\nname = \"a.smith@example.com\"\n").unwrap();
        let mut missing = Missing::new(Some(&users)).unwrap();
        let mut count = |address: &str| {
            let given_up = missing.given_up;
            let entry = missing.entries.entry(address.into()).or_insert_with(|| Entry { missed: given_up, ..Entry::default() });
            entry.add(Seen { recipient: Some(Kind::Envelope), sender: false }, None);
            if missing.entries.len() > 2 * MOST {
                missing.give_up();
            }
            assert!(missing.entries.len() <= 2 * MOST);
        };
        for n in 0..200_000 {
            count(&format!("x{n}@example.com"));
            if n % 100 == 0 {
                count("smith@example.com");
            }
        }
        assert!(missing.is_incomplete());
        let mut out = Vec::new();
        missing.write(&mut out).unwrap();
        let lines: Vec<Record> = out.split_inclusive(|b| *b == b'\n').map(|line| Record::parse(line).unwrap()).collect();
        assert_eq!(lines.len(), MOST);
        let Record::Missing(first) = &lines[0] else { panic!() };
        assert_eq!((first.address.as_str(), first.messages, first.missed), ("smith@example.com", 2000, 0));
        let Record::Missing(second) = &lines[1] else { panic!() };
        assert_eq!(second.messages, 1);
        assert!(lines.iter().any(|line| matches!(line, Record::Missing(one) if one.missed > 0)));
    }
}
