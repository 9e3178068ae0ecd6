//! Whether a journal report may decide: anybody can write one, and send it to a user.
//!
//! Who may send reports is what journal-from says. The report's sender is From: a domain's policy (DMARC) guards that field and no other. Exchange
//! writes the author of the message there and itself into Sender, so Sender counts too, but only where the Return-Path does not belong to
//! somebody else; and the Return-Path counts, as the server that took the report wrote it. Without journal-from a report is believed,
//! but for what shows it to come from outside. A kind of report whose mark stands on other mail too needs more: an intercept must come from a
//! local domain, and a captured copy, which nothing tells from a delivery notification, from one of journal-from.

use crate::evidence::{Header, SenderCandidate};
use crate::judge::{Judged, Verdict};
use crate::policy::Policy;
use mdrop::address::Address;
use mdrop::journal::{Format, Line, Report, Source};

/// What is thought of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Belief {
    /// It decides.
    Credible,
    /// It decides, though the profile does not say who may send any.
    Unverified,
    /// It is plain mail, and why.
    Forged(String),
    /// It is plain mail, and nothing says that it wants to be more.
    Plain,
}

/// Judges a report by the mail that brought it, of whose hops so many are trusted.
#[must_use]
pub fn judge(policy: &Policy, header: &Header, judged: &[Judged], hops: u32, report: &Report) -> Belief {
    let listed = !policy.journal_from.is_empty();
    if report.format == Format::Capture && !(listed && is_listed(policy, header, hops)) {
        return Belief::Plain;
    }
    let forged = |why: &str| Belief::Forged(why.into());
    if let Some(address) = judged.iter().find_map(elsewhere).filter(|_| policy.directory.has_own()) {
        return forged(&format!("it was delivered to {}, which is not the mailbox's own address", address.normal()));
    }
    if listed {
        return if is_listed(policy, header, hops) { Belief::Credible } else { forged("its sender is not one of journal-from") };
    }
    if !policy.trusted_by.is_empty() && !first(header, "return-path").is_none_or(|path| is_ours(policy, path)) {
        return forged("its Return-Path is neither null nor of a local domain");
    }
    if report.format == Format::Zimbra && !first(header, "from").is_some_and(|from| is_ours(policy, from)) {
        return forged("its From field is not of a local domain");
    }
    Belief::Unverified
}

/// The address that the mail was delivered to, if it is a local one and not the mailbox's own. The mailing list's own address counts too, since
/// what makes it one is what the sender wrote, and so does what stands below the trusted hosts: a journaling server names no user there.
fn elsewhere<'j>(one: &'j Judged) -> Option<&'j Address> {
    let is_other = one.is_trace() && matches!(one.verdict, Verdict::Local(_) | Verdict::Untrusted(_) | Verdict::List(_));
    one.address.as_ref().filter(|_| is_other)
}

fn is_listed(policy: &Policy, header: &Header, hops: u32) -> bool {
    let listed = |one: &SenderCandidate| one.address.as_ref().is_some_and(|address| policy.journal_from.contains(&address.normal()));
    let path = first(header, "return-path");
    let fits = path.is_none_or(|path| is_ours(policy, path) || listed(path));
    first(header, "from").is_some_and(listed)
        || path.is_some_and(|path| path.place.hop < hops && listed(path))
        || fits && first(header, "sender").is_some_and(listed)
}

/// The topmost field of that name.
fn first<'h>(header: &'h Header, name: &str) -> Option<&'h SenderCandidate> {
    header.senders.iter().find(|one| one.place.field.as_str() == name)
}

/// Whether a sender is the null sender or of a local domain.
fn is_ours(policy: &Policy, one: &SenderCandidate) -> bool {
    one.address.as_ref().is_none_or(|address| is_local(policy, address))
}

fn is_local(policy: &Policy, address: &Address) -> bool {
    policy.directory.owns(address) || policy.directory.resolve(address).is_some()
}

/// The report that tells to whom the message went. Where one server journals what another one sends to this mailbox, the outer report is
/// about that delivery, to the mailbox's own address, and the inner one about the message. It is looked into only if who sent it may send
/// reports, or is of a local domain where nobody is named.
#[must_use]
pub fn innermost<'r>(policy: &Policy, report: &'r Report) -> &'r Report {
    let mut innermost = report;
    while let Some(nested) = innermost.nested.as_deref() {
        if !(nested.format.is_sure() && is_for_the_mailbox(policy, innermost) && is_from_a_journal(policy, innermost)) {
            break;
        }
        innermost = nested;
    }
    innermost
}

fn is_for_the_mailbox(policy: &Policy, report: &Report) -> bool {
    let mut addresses = report.recipients().flat_map(|line| line.addresses.iter().chain(forwarders(line)));
    report.recipients().flat_map(|line| &line.addresses).any(|address| policy.directory.owns(address))
        && !addresses.any(|address| policy.directory.is_personal(address))
}

fn is_from_a_journal(policy: &Policy, report: &Report) -> bool {
    let listed = |address: &Address| policy.journal_from.contains(&address.normal());
    let mut addresses = report.senders().flat_map(|line| &line.addresses);
    if policy.journal_from.is_empty() { addresses.all(|address| is_local(policy, address)) } else { addresses.any(listed) }
}

/// The addresses that forward to a line's.
pub fn forwarders(line: &Line) -> impl Iterator<Item = &Address> {
    line.sources.iter().flat_map(|source| match source {
        Source::Forwarded(by) => by.as_slice(),
        Source::Expanded(_) => &[],
    })
}

#[cfg(test)]
#[path = "credible_tests.rs"]
mod tests;
