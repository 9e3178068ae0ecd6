//! The tool's one decision: from what a header says to sender, recipients and filings, with the reason for everything.
//!
//! A credible journal report decides; else the field that [`crate::judge`] chooses; else what a list wrote into the Return-Path; else
//! the guess. Nothing is dropped: whatever belongs to nobody known goes to the policy for unknown addresses. A sub-domain counts only
//! where no exact domain is named.

use crate::credible::{self, Belief};
use crate::evidence::{Header, SenderCandidate};
use crate::judge::{self, Judged, Verdict};
use crate::policy::Policy;
use crate::whose::Lookup;
use crate::{explain, sender, verp};
use mdrop::address::Address;
use mdrop::folder::Values;
use mdrop::journal::{Format, Line, Report, Source};
use mdrop::octets::Octets;
use mdrop::profile::Unknown;
use mdrop::record::{Evidence, Filing, Kind, Recipient, Rejected, Role, Sender};
use mdrop::stream::Journal;
use mdrop::time::Time;
use mdrop::users::Local;
use std::collections::HashSet;

/// What was decided for one message.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// Who sent it.
    pub sender: Option<Sender>,
    /// To whom it was delivered.
    pub recipients: Vec<Recipient>,
    /// Under whom it is filed.
    pub filings: Vec<Filing>,
    /// Every other candidate.
    pub rejected: Vec<Rejected>,
    /// What else was noticed: a word, and a text.
    pub findings: Vec<(&'static str, String)>,
    /// Whether a journal report says that somebody of a local domain sent it.
    pub is_sent: bool,
    /// At which moment it was asked whose an address is; none if it is not known.
    pub moment: Option<Time>,
    /// Whether nobody known has it.
    pub is_unknown: bool,
    /// Why policy leaves it out.
    pub skip: Option<String>,
    /// The journal report, if it decided.
    pub journal: Option<Journal>,
    /// Whether a report was believed though the profile does not say who may send any.
    pub is_unverified: bool,
}

impl Decision {
    /// Whether a journal report decided.
    #[must_use]
    pub fn by_report(&self) -> bool {
        self.journal.is_some()
    }
}

/// A recipient that was found, with all that is known of it.
struct Found {
    address: Address,
    local: Local,
    evidence: Evidence,
}

/// What the evidence says before policy is asked.
struct Answer {
    found: Vec<Found>,
    /// The hop that decided.
    hop: u32,
    kind: Option<Kind>,
}

/// What is known of a message besides its octets.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The profile's name.
    pub account: &'a str,
    /// The mailbox that it was found in.
    pub mailbox: &'a str,
    /// When the server took it, as far as the server tells.
    pub moment: Option<Time>,
}

/// Decides for one message. Why the candidates of the header lost is only said if `explaining`.
#[must_use]
pub fn decide(policy: &Policy, header: &Header, report: Option<&Report>, delivery: &Delivery, explaining: bool) -> Decision {
    let judged = judge::judge(policy, header);
    let hops = judge::trusted_hops(policy, &header.received);
    let mut decision = Decision::default();
    if report.is_none() && header.report.is_some_and(Format::is_sure) {
        decision.findings.push(("damaged", "marked as a journal report, but has no envelope that can be read".into()));
    }
    let report = report.filter(|report| is_credible(credible::judge(policy, header, &judged, hops, report), &mut decision));
    let report = report.map(|report| credible::innermost(policy, report));
    if let Some(report) = report {
        decision.findings.extend(report.notes.iter().map(|(word, text)| (*word, (*text).to_owned())));
        decision.journal = Some(journal_member(report));
    }
    let answer = match report {
        Some(report) => from_report(policy, report, &mut decision),
        None => from_header(policy, header, &judged, hops),
    };
    decision.sender = match report {
        Some(report) => report_sender(report),
        None => sender::envelope(header, answer.hop, hops),
    };
    let named: HashSet<String> = answer.found.iter().map(|found| found.address.normal()).collect();
    if explaining {
        reject(&judged, &answer, &named, &mut decision);
    }
    report_forgery(&judged, &named, &mut decision);
    decision.moment = header.clock.at(answer.hop, hops, delivery.moment);
    let delivery = &Delivery { moment: decision.moment, ..*delivery };
    let mut lookup = Lookup::new(&policy.directory, decision.moment);
    let authors = authors(policy, header, report, &answer.found, &mut lookup);
    decision.is_sent = report.is_some_and(|report| is_ours(policy, report));
    file(policy, answer.found, &authors, delivery, &mut lookup, &mut decision);
    decision.findings.extend(lookup.findings());
    if explaining {
        explain::complete(policy, header, &judged, report, hops, &mut decision);
    }
    decision
}

/// Whether a report may decide. What is not believed is routed as the plain mail it is, with a finding.
fn is_credible(belief: Belief, decision: &mut Decision) -> bool {
    decision.is_unverified = belief == Belief::Unverified;
    let is_believed = matches!(belief, Belief::Credible | Belief::Unverified);
    if let Belief::Forged(why) = belief {
        decision.findings.push(("forged", format!("looks like a journal report and is not believed: {why}")));
    }
    is_believed
}

fn journal_member(report: &Report) -> Journal {
    let place = report.inner.as_ref();
    Journal {
        kind: report.format.name().into(),
        offset: place.map(|place| place.offset),
        length: place.map(|place| place.length),
        encoding: place.and_then(|place| place.encoding).map(str::to_owned),
    }
}

/// The recipients that a report names, and the lists that it says were expanded.
fn from_report(policy: &Policy, report: &Report, decision: &mut Decision) -> Answer {
    let mut found = Vec::new();
    for line in report.recipients() {
        let evidence = line_evidence(line);
        if line.addresses.is_empty() {
            decision.rejected.push(rejected(Octets::from(line.value.as_str()), &evidence, "not an address"));
        }
        for address in line.addresses.iter().chain(credible::forwarders(line)) {
            match policy.directory.resolve(address) {
                _ if policy.directory.owns(address) => {
                    decision.rejected.push(rejected(address.spelt(), &evidence, "the mailbox's own address"));
                }
                Some(local) => found.push(Found { address: address.clone(), local, evidence: evidence.clone() }),
                None => decision.rejected.push(rejected(address.spelt(), &evidence, "not in a local domain")),
            }
        }
        for list in line.sources.iter().filter_map(|source| if let Source::Expanded(lists) = source { Some(lists) } else { None }).flatten()
        {
            decision.rejected.push(rejected(list.spelt(), &evidence, "a list; its members are the recipients"));
        }
    }
    Answer { found, hop: 0, kind: Some(Kind::Journal) }
}

/// Where a line of a report stands, as records show it.
#[must_use]
pub fn line_evidence(line: &Line) -> Evidence {
    Evidence { field: line.label.into(), position: line.position, hop: 0, kind: Kind::Journal }
}

/// The sender that a report names; none where what it names is no address.
fn report_sender(report: &Report) -> Option<Sender> {
    let line = report.senders().find(|line| line.label == "sender").or_else(|| report.senders().next())?;
    let null = (line.value == "<>").then(|| Octets::from(""));
    let address = line.addresses.first().map(Address::spelt).or(null)?;
    Some(Sender { address: Some(address), evidence: line_evidence(line) })
}

/// The recipients that the header names: by a trace field in an exact local domain, else as a list's Return-Path has the reader, else by a
/// trace field in a sub-domain, else by the guess.
fn from_header(policy: &Policy, header: &Header, judged: &[Judged], hops: u32) -> Answer {
    let traced = |found: Vec<Found>| Some(Answer { hop: found.first()?.evidence.hop, kind: Some(Kind::Envelope), found });
    if let Some(answer) = traced(found(&judge::choose(policy, judged, true))) {
        return answer;
    }
    if let Some(last_resort) = last_resort(policy, header, hops) {
        return Answer { hop: last_resort.evidence.hop, kind: Some(last_resort.evidence.kind), found: vec![last_resort] };
    }
    let mut guessed = found(&judge::guess(header, judged));
    if let Some(answer) = traced(found(&judge::choose(policy, judged, false)).into_iter().map(|one| spell_exactly(one, &guessed)).collect())
    {
        return answer;
    }
    for one in guessed.iter_mut().filter(|one| one.evidence.kind == Kind::Envelope) {
        one.evidence.kind = Kind::Header;
    }
    Answer { hop: 0, kind: guessed.first().map(|one| one.evidence.kind), found: guessed }
}

/// A server inside may write `user@host.domain` of what was sent to `user@domain`: where To or Cc has the latter, it is that.
fn spell_exactly(traced: Found, guessed: &[Found]) -> Found {
    let same = |one: &&Found| {
        let host = traced.address.domain().strip_suffix(one.address.domain());
        one.address.local() == traced.address.local() && host.is_some_and(|host| host.ends_with('.'))
    };
    let exact = guessed.iter().find(same).map(|one| (one.address.clone(), one.local.clone()));
    match exact {
        Some((address, local)) => Found { address, local, evidence: traced.evidence },
        None => traced,
    }
}

fn found(chosen: &[&Judged]) -> Vec<Found> {
    let of = |one: &&Judged| match &one.verdict {
        Verdict::Local(local) | Verdict::List(Some(local)) | Verdict::Untrusted(local) | Verdict::NotTrusted(local) => {
            Some(Found { address: one.address.clone()?, local: local.clone(), evidence: one.candidate.place.evidence() })
        }
        _ => None,
    };
    chosen.iter().filter_map(of).collect()
}

/// The reader's address in a list's Return-Path, or the original recipient that a Received field notes.
fn last_resort(policy: &Policy, header: &Header, hops: u32) -> Option<Found> {
    let lists = judge::lists(header);
    let fit = |address: Address, evidence: Evidence| {
        let local = policy.directory.resolve(&address).filter(|local| local.exact && !local.own && !judge::is_list(&lists, &address))?;
        Some(Found { address, local, evidence })
    };
    let noted = verp::noted(&policy.directory, header).filter(|(_, evidence)| evidence.hop < hops);
    noted.into_iter().find_map(|(address, evidence)| fit(address, evidence))
}

/// Says of every candidate that is no recipient why.
fn reject(judged: &[Judged], answer: &Answer, named: &HashSet<String>, decision: &mut Decision) {
    let place = |evidence: &Evidence, address: &Address| (evidence.field.clone(), evidence.position, address.normal());
    let chosen: HashSet<_> = answer.found.iter().map(|found| place(&found.evidence, &found.address)).collect();
    let first = answer.found.first().map(|found| &found.evidence);
    for one in judged {
        let evidence = one.candidate.place.evidence();
        if one.address.as_ref().is_some_and(|address| chosen.contains(&place(&evidence, address))) {
            continue;
        }
        let shown = one.address.as_ref().map_or_else(|| Octets::from(one.candidate.value.as_slice()), Address::spelt);
        let is_named = one.address.as_ref().is_some_and(|address| named.contains(&address.normal()));
        let why = match &one.verdict {
            Verdict::NoAddress => "not an address",
            Verdict::Outside => "not in a local domain",
            Verdict::Own => "the mailbox's own address",
            Verdict::List(_) => "the mailing list's own address",
            Verdict::Untrusted(_) => "below the lowest Received field of a trusted host",
            Verdict::NotTrusted(_) => "the profile trusts other fields",
            Verdict::Local(_) if is_named => "confirms what decided",
            Verdict::Local(local) => loss(local, &evidence, first, answer.kind),
        };
        decision.rejected.push(rejected(shown, &evidence, why));
    }
}

/// Why a local address lost.
fn loss(local: &Local, evidence: &Evidence, first: Option<&Evidence>, kind: Option<Kind>) -> &'static str {
    let Some(first) = first else { return "only an exact local domain is guessed from" };
    if kind == Some(Kind::Journal) || !evidence.kind.is_trace() {
        return if local.exact || kind == Some(Kind::Journal) { "weaker than what decided" } else { "in a sub-domain only" };
    }
    if !local.exact {
        return "in a sub-domain, where an exact domain is named";
    }
    if evidence.hop == first.hop { "another field of this hop comes first" } else { "another hop decided" }
}

/// A candidate that lost, with why.
#[must_use]
pub fn rejected(address: Octets, evidence: &Evidence, why: &str) -> Rejected {
    Rejected { address: Some(address), evidence: evidence.clone(), why: why.into() }
}

/// A field below what is trusted that names somebody else than what decided.
fn report_forgery(judged: &[Judged], named: &HashSet<String>, decision: &mut Decision) {
    let contradicts = |one: &&Judged| {
        let address = one.address.as_ref().filter(|_| matches!(one.verdict, Verdict::Untrusted(_)));
        address.is_some_and(|address| !named.contains(&address.normal()))
    };
    let Some(one) = judged.iter().find(contradicts) else { return };
    let (field, address) = (one.candidate.place.field.as_str(), one.address.as_ref().map(Address::normal).unwrap_or_default());
    let text = format!("{field} names {address} below the lowest Received field of a trusted host, and does not count");
    decision.findings.push(("forged", text));
}

/// A user who wrote the message, by which address, and what says so.
type Author = (String, Address, Evidence);

/// Those of ours who wrote the message.
fn authors(policy: &Policy, header: &Header, report: Option<&Report>, found: &[Found], lookup: &mut Lookup) -> Vec<Author> {
    let mut author = |address: &Address, evidence: &Evidence| -> Vec<Author> {
        let users = if policy.directory.is_personal(address) { lookup.users(address) } else { Vec::new() };
        users.into_iter().map(|user| (user, address.clone(), evidence.clone())).collect()
    };
    if let Some(report) = report {
        let lines = report.senders().flat_map(|line| line.addresses.iter().map(move |address| (address, line_evidence(line))));
        return lines.flat_map(|(address, evidence)| author(address, &evidence)).collect();
    }
    let mut of = |senders: Vec<&SenderCandidate>| -> Vec<Author> {
        let named = senders.into_iter().filter_map(|one| Some((one.address.as_ref()?, one.place.evidence())));
        named.flat_map(|(address, evidence)| author(address, &evidence)).collect()
    };
    let authors = of(sender::authors(header));
    // What one of ours sent on to outsiders is that user's, where it is nobody else's.
    if authors.is_empty() && header.is_resent && found.is_empty() { of(sender::resenders(header)) } else { authors }
}

/// Whether a report says that the message was sent from a local domain.
fn is_ours(policy: &Policy, report: &Report) -> bool {
    let mut addresses = report.senders().flat_map(|line| &line.addresses);
    addresses.any(|address| policy.directory.is_personal(address))
}

/// Files the message under everybody known, once a role, and asks the policy about the rest.
fn file(policy: &Policy, found: Vec<Found>, authors: &[Author], delivery: &Delivery, lookup: &mut Lookup, decision: &mut Decision) {
    let mut named = HashSet::new();
    let mut filed = HashSet::new();
    let exact = found.iter().any(|one| one.local.exact);
    for Found { address, local, evidence } in found {
        if !named.insert(address.normal()) || local.exact != exact {
            continue;
        }
        let users = lookup.users(&address);
        for user in users.iter().filter(|user| filed.insert((*user).clone())) {
            decision.filings.push(filing(policy, user, Role::Recipient, Some((&address, &evidence)), delivery));
        }
        let nobody = users.is_empty().then_some(None);
        for user in users.into_iter().map(Some).chain(nobody) {
            decision.recipients.push(Recipient { address: Some(address.spelt()), user, evidence: evidence.clone() });
        }
    }
    let mut sent = HashSet::new();
    for (user, address, evidence) in authors.iter().filter(|(user, ..)| policy.file_senders && sent.insert(user.clone())) {
        decision.filings.push(filing(policy, user, Role::Sender, Some((address, evidence)), delivery));
    }
    let nobody = decision.filings.is_empty();
    // That all its recipients are outsiders is an answer, where a report says so of what one of ours sent.
    let is_answer = decision.recipients.is_empty() && decision.is_sent;
    decision.is_unknown = nobody && !is_answer;
    let unknown = decision.recipients.iter().find(|recipient| recipient.user.is_none());
    // Where its sender is known and not filed by this profile, or it may be somebody's for a time, nothing is dropped for that.
    let skip = policy.unknown == Unknown::Skip && authors.is_empty() && !is_answer && !lookup.is_undated();
    if nobody && skip {
        decision.skip = Some(why_skipped(unknown));
    } else if nobody {
        let evidence = unknown.map(|recipient| recipient.evidence.clone());
        let catchall = filing(policy, &policy.catchall, Role::Recipient, None, delivery);
        decision.filings.push(Filing { evidence, ..catchall });
    }
}

fn filing(policy: &Policy, user: &str, role: Role, named: Option<(&Address, &Evidence)>, delivery: &Delivery) -> Filing {
    let (template, word) = match role {
        Role::Sender => (&policy.sent_folder, "sender"),
        Role::Recipient => (&policy.folder, "recipient"),
    };
    let address = named.map(|(address, _)| address.normal()).unwrap_or_default();
    let values = Values {
        account: delivery.account,
        mailbox: delivery.mailbox,
        user,
        role: word,
        address: &address,
        domain: named.map_or("", |(address, _)| address.domain()),
        detail: named.and_then(|(address, _)| policy.directory.detail(address)).map_or("", |(_, detail)| detail),
        moment: delivery.moment,
    };
    Filing { user: user.into(), folder: template.fill(&values), role, evidence: named.map(|(_, evidence)| evidence.clone()) }
}

fn why_skipped(unknown: Option<&Recipient>) -> String {
    let address = unknown.and_then(|recipient| recipient.address.as_ref());
    address.map_or_else(|| "names no address in the local domains".into(), |address| format!("no user has the address {address}"))
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
