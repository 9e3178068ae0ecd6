//! What --explain shows besides what took part in the decision, so that every candidate is shown once: named again, left unused, or one
//! for the sender that lost.
//!
//! It works on the finished decision and adds what is not yet in it, so that no later rule can make a candidate vanish from the
//! explanation.

use crate::decide::{self, Decision, rejected};
use crate::evidence::Header;
use crate::judge::Judged;
use crate::policy::Policy;
use crate::verp;
use mdrop::address::Address;
use mdrop::journal::{Report, Source};
use mdrop::octets::Octets;
use mdrop::record::{Evidence, Kind, Role};
use mdrop::time::Time;
use std::collections::{HashMap, HashSet};

/// One candidate: what it names, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The address or value; empty for the null sender.
    pub address: Octets,
    /// Where it stands.
    pub evidence: Evidence,
}

/// Adds to what was rejected every candidate that the decision does not show.
pub fn complete(policy: &Policy, header: &Header, judged: &[Judged], report: Option<&Report>, hops: u32, decision: &mut Decision) {
    let mut shown = shown(decision);
    let named: HashSet<Octets> = decision.recipients.iter().filter_map(|one| one.address.clone()).collect();
    for candidate in recipients(header, judged, report).into_iter().chain(notes(policy, header)) {
        if !take(&mut shown, &candidate) {
            let why = if named.contains(&candidate.address) { "confirms what decided" } else { why_no_recipient(policy, &candidate, hops) };
            decision.rejected.push(rejected(candidate.address, &candidate.evidence, why));
        }
    }
    let hops = if report.is_some() { u32::MAX } else { hops };
    let authors = authors(decision);
    for candidate in senders(header, report) {
        if !is_sender(&candidate, decision) && !is_author(policy, &candidate, &authors, decision.moment) {
            let why = why_not_sender(&candidate, hops, decision);
            decision.rejected.push(rejected(candidate.address, &candidate.evidence, why));
        }
    }
}

/// By which a candidate and what is shown of it are matched: the place, and the address.
type Key = (String, u32, u32, Octets);

fn key(address: Option<&Octets>, evidence: &Evidence) -> Key {
    (evidence.field.clone(), evidence.position, evidence.hop, address.cloned().unwrap_or_default())
}

/// How often the decision shows each recipient or rejected candidate.
fn shown(decision: &Decision) -> HashMap<Key, u32> {
    let recipients = decision.recipients.iter().map(|one| key(one.address.as_ref(), &one.evidence));
    let rejected = decision.rejected.iter().map(|one| key(one.address.as_ref(), &one.evidence));
    recipients.chain(rejected).fold(HashMap::new(), |mut shown, key| {
        *shown.entry(key).or_default() += 1;
        shown
    })
}

/// Whether the candidate is shown; each time it is shown is for one.
fn take(shown: &mut HashMap<Key, u32>, candidate: &Shown) -> bool {
    let left = shown.get_mut(&key(Some(&candidate.address), &candidate.evidence)).filter(|left| **left > 0);
    left.map(|left| *left -= 1).is_some()
}

/// Whether the candidate is the sender; of a bounce the sender is null, whatever its From says.
fn is_sender(candidate: &Shown, decision: &Decision) -> bool {
    let Some(sender) = &decision.sender else { return false };
    let same = sender.address.as_ref().is_some_and(|address| *address == candidate.address || *address == Octets::from(""));
    same && sender.evidence == candidate.evidence
}

/// The filings of authors: the place that says so, and the user.
fn authors(decision: &Decision) -> HashSet<Key> {
    let filed = decision.filings.iter().filter(|filing| filing.role == Role::Sender);
    filed.filter_map(|filing| Some(key(Some(&filing.user.as_str().into()), filing.evidence.as_ref()?))).collect()
}

/// Whether the candidate is an author under whom the message is filed, which the filing shows.
fn is_author(policy: &Policy, candidate: &Shown, authors: &HashSet<Key>, at: Option<Time>) -> bool {
    let address = Address::parse(&candidate.address.lossy()).filter(|address| policy.directory.resolve(address).is_some());
    let users = address.map(|address| policy.directory.whose(&address, at).users).unwrap_or_default();
    users.iter().any(|user| authors.contains(&key(Some(&user.as_str().into()), &candidate.evidence)))
}

/// What may name a recipient: the header's fields, and the lines of a report.
pub fn recipients(header: &Header, judged: &[Judged], report: Option<&Report>) -> Vec<Shown> {
    debug_assert_eq!(header.candidates.len(), judged.len());
    let of = |one: &Judged| Shown {
        address: one.address.as_ref().map_or_else(|| Octets::from(one.candidate.value.as_slice()), Address::spelt),
        evidence: one.candidate.place.evidence(),
    };
    let mut all: Vec<Shown> = judged.iter().map(of).collect();
    for line in report.into_iter().flat_map(Report::recipients) {
        let evidence = decide::line_evidence(line);
        let sources = line.sources.iter().flat_map(Source::addresses);
        let named = line.addresses.iter().chain(sources).map(Address::spelt);
        let nothing = line.addresses.is_empty().then(|| Octets::from(line.value.as_str()));
        all.extend(named.chain(nothing).map(|address| Shown { address, evidence: evidence.clone() }));
    }
    all
}

/// What lists and Received fields note.
pub fn notes(policy: &Policy, header: &Header) -> Vec<Shown> {
    verp::noted(&policy.directory, header).map(|(address, evidence)| Shown { address: address.spelt(), evidence }).collect()
}

/// What may name the sender.
pub fn senders(header: &Header, report: Option<&Report>) -> Vec<Shown> {
    let lines = report.into_iter().flat_map(Report::senders);
    let of_report = lines.flat_map(|line| {
        let named = line.addresses.iter().map(Address::spelt);
        let null = || if line.value == "<>" { Octets::from("") } else { Octets::from(line.value.as_str()) };
        let nothing = line.addresses.is_empty().then(null);
        named.chain(nothing).map(|address| Shown { address, evidence: decide::line_evidence(line) })
    });
    let of_header = header.senders.iter().map(|one| Shown {
        address: one.address.as_ref().map_or_else(|| Octets::from(""), Address::spelt),
        evidence: one.place.evidence(),
    });
    of_report.chain(of_header).collect()
}

fn why_no_recipient(policy: &Policy, candidate: &Shown, hops: u32) -> &'static str {
    let Some(address) = Address::parse(&candidate.address.lossy()) else { return "not an address" };
    match policy.directory.resolve(&address) {
        None => "not in a local domain",
        Some(local) if local.own => "the mailbox's own address",
        Some(local) if !local.exact => "in a sub-domain only",
        Some(_) if candidate.evidence.hop >= hops => "below the lowest Received field of a trusted host",
        Some(_) => "weaker than what decided",
    }
}

fn why_not_sender(candidate: &Shown, hops: u32, decision: &Decision) -> &'static str {
    let sender = decision.sender.as_ref().and_then(|sender| sender.address.as_ref());
    if sender == Some(&candidate.address) {
        return "confirms the sender";
    }
    if candidate.evidence.kind == Kind::Journal && Address::parse(&candidate.address.lossy()).is_none() {
        return "not an address";
    }
    if candidate.evidence.hop >= hops {
        return "below the lowest Received field of a trusted host";
    }
    if decision.by_report() { "the journal report names the sender" } else { "another field names the sender" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{credible, decide, evidence, judge};
    use mdrop::journal;
    use mdrop::profile::RouteSettings;
    use mdrop::users::Users;
    use std::path::Path;

    const DELIVERY: decide::Delivery = decide::Delivery { account: "acme", mailbox: "INBOX", moment: None };

    fn settings() -> RouteSettings {
        let domains = ["example.com", "example.org"].map(String::from).to_vec();
        RouteSettings { domains, own_addresses: vec!["archive@example.com".into()], ..RouteSettings::default() }
    }

    /// Each candidate, and what is shown: as `field:position hop address`, sorted.
    fn in_and_out(policy: &Policy, octets: &[u8]) -> (Vec<String>, Vec<String>) {
        let header = evidence::read(policy, octets, true);
        let may_hold = header.report.is_some() || journal::may_hold_report(&header.content_type);
        let report = may_hold.then(|| journal::read(octets)).flatten();
        let decision = decide::decide(policy, &header, report.as_ref(), &DELIVERY, true);
        let report = report.as_ref().filter(|_| decision.by_report()).map(|report| credible::innermost(policy, report));
        let name = |address: &Octets, evidence: &Evidence| {
            let Evidence { field, position, hop, kind } = evidence;
            format!("{field}:{position} {hop} {kind:?} {}", address.lossy().to_lowercase())
        };
        let judged = judge::judge(policy, &header);
        let named = recipients(&header, &judged, report).into_iter().chain(notes(policy, &header));
        let given = named.chain(senders(&header, report));
        let mut given: Vec<String> = given.map(|one| name(&one.address, &one.evidence)).collect();
        let recipients = decision.recipients.iter().map(|one| name(one.address.as_ref().unwrap(), &one.evidence));
        let rejected = decision.rejected.iter().map(|one| name(one.address.as_ref().unwrap(), &one.evidence));
        let mut shown: Vec<String> = recipients.chain(rejected).collect();
        // The sender and the authors are candidates that stand elsewhere in the record.
        let elsewhere = |evidence: &Evidence| format!("{}:{} {} {:?} ", evidence.field, evidence.position, evidence.hop, evidence.kind);
        let filed = decision.filings.iter().filter(|filing| filing.role == Role::Sender).filter_map(|filing| filing.evidence.clone());
        let prefixes: Vec<String> =
            decision.sender.iter().map(|sender| sender.evidence.clone()).chain(filed).map(|e| elsewhere(&e)).collect();
        let is_elsewhere = |one: &&String| prefixes.iter().any(|prefix| one.starts_with(prefix.as_str()));
        let left: Vec<String> = given.iter().filter(is_elsewhere).filter(|one| !shown.contains(one)).cloned().collect();
        shown.extend(left);
        given.sort();
        shown.sort();
        (given, shown)
    }

    #[test]
    fn every_candidate_of_the_projects_messages_is_shown_once() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
        let users = Users::parse(&std::fs::read_to_string(folder.join("users.toml")).unwrap()).unwrap();
        let policy = Policy::new(&settings(), Some(users)).unwrap();
        let trusting = RouteSettings { trusted_by: vec!["mx.example.com".into()], ..settings() };
        let trusting = Policy::new(&RouteSettings { trusted_fields: vec!["delivered-to:1".into()], ..trusting }, None).unwrap();
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        let messages = files.iter().filter(|path| path.extension().is_some_and(|e| e == "eml"));
        let mut number = 0;
        for path in messages {
            let octets = std::fs::read(path).unwrap();
            for policy in [&policy, &trusting] {
                let (given, shown) = in_and_out(policy, &octets);
                assert_eq!(given, shown, "{}", path.display());
                number += given.len();
            }
        }
        assert!(number > 1000, "{number}");
    }

    #[test]
    fn what_is_named_twice_or_noted_or_lost_as_a_sender_is_shown_with_the_reason() {
        let policy = Policy::new(&settings(), None).unwrap();
        let why = |message: &str| {
            let header = evidence::read(&policy, message.as_bytes(), true);
            let decision = decide::decide(&policy, &header, None, &DELIVERY, true);
            let of = |one: &mdrop::record::Rejected| format!("{} {}: {}", one.evidence.field, one.address.as_ref().unwrap(), one.why);
            decision.rejected.iter().map(of).collect::<Vec<_>>()
        };
        let twice = why("Envelope-To: a@example.com, a@example.com\n");
        assert_eq!(twice, ["envelope-to a@example.com: confirms what decided"]);
        let noted =
            "Return-Path: <l-return-7-b=example.com@l.example>\nDelivered-To: a@example.com\nReceived: by h (ORCPT rfc822;c@example.com)\n";
        let expected = ["return-path b@example.com: weaker than what decided", "received c@example.com: weaker than what decided"];
        assert_eq!(why(noted), expected);
        let sent = "Return-Path: <x@y.example>\nDelivered-To: a@example.com\nSender: <x@y.example>\nFrom: z@y.example\n";
        assert_eq!(why(sent), ["sender x@y.example: confirms the sender", "from z@y.example: another field names the sender"]);
    }
}

#[cfg(test)]
mod both_ways;
