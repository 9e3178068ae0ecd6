//! Each candidate's standing, and which field decides.
//!
//! The topmost hop that names a local address decides, and in it the field that counts first; never the topmost field, a fixed
//! name or the last one, since a forwarder writes above and a list below. Lower hops are never added, even where they are local.
//! What makes an address a list's is what the sender wrote, so the address of somebody in the users list is passed over only for another one
//! of the same hop: no stranger may hide a message from the one that it was delivered to.

use crate::evidence::{Candidate, Header, Name, SenderCandidate};
use crate::policy::Policy;
use crate::received::Received;
use crate::verp;
use mdrop::address::Address;
use mdrop::record::Kind;
use mdrop::users::{Directory, Local};
use std::collections::HashSet;

/// A trace field of some servers, which sendmail made of the envelope where To was missing.
const APPARENTLY: Name = Name::Known("apparently-to");

/// What a candidate is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The value is no address.
    NoAddress,
    /// Its domain is not ours.
    Outside,
    /// It is the multidrop mailbox itself.
    Own,
    /// It is the mailing list that the message came through; with what is known of it, if the users list has it as somebody's.
    List(Option<Local>),
    /// It stands below the lowest trusted Received field.
    Untrusted(Local),
    /// The profile trusts other fields.
    NotTrusted(Local),
    /// It may be a recipient.
    Local(Local),
}

/// A candidate with its verdict.
#[derive(Clone, Debug)]
pub struct Judged<'h> {
    /// The candidate as it stands in the header.
    pub candidate: &'h Candidate,
    /// Its address, a prefix stripped and an encoded form undone.
    pub address: Option<Address>,
    /// What it is worth.
    pub verdict: Verdict,
}

impl Judged<'_> {
    /// What is known of its address, if it may be a recipient in such a domain: an exact one, or a sub-domain.
    fn local(&self, exact: bool) -> Option<&Local> {
        match &self.verdict {
            Verdict::Local(local) | Verdict::List(Some(local)) if local.exact == exact => Some(local),
            _ => None,
        }
    }

    /// Whether it is the mailing list that the message came through.
    fn is_list(&self) -> bool {
        matches!(self.verdict, Verdict::List(_))
    }

    /// The same for the guess: what Apparently-To says counts there even if it is not trusted, no less than To.
    #[must_use]
    pub fn guessed(&self) -> Option<&Local> {
        match &self.verdict {
            Verdict::Untrusted(local) | Verdict::NotTrusted(local) if self.candidate.place.field == APPARENTLY => {
                Some(local).filter(|local| local.exact)
            }
            _ => self.local(true),
        }
    }

    /// Whether a server wrote it on the way, or a sender who pretends to be one.
    pub fn is_trace(&self) -> bool {
        self.candidate.place.kind.is_trace()
    }
}

/// Judges every candidate of a header by itself.
#[must_use]
pub fn judge<'h>(policy: &Policy, header: &'h Header) -> Vec<Judged<'h>> {
    let lists = lists(header);
    let hops = trusted_hops(policy, &header.received);
    let each = |candidate: &'h Candidate| {
        let address = candidate.address.as_ref().map(|address| clean(policy, candidate, address));
        let verdict = address.as_ref().map_or(Verdict::NoAddress, |address| verdict(policy, candidate, address, &lists, hops));
        Judged { candidate, address, verdict }
    };
    header.candidates.iter().map(each).collect()
}

fn verdict(policy: &Policy, candidate: &Candidate, address: &Address, lists: &HashSet<String>, hops: u32) -> Verdict {
    if policy.directory.owns(address) {
        return Verdict::Own;
    }
    let Some(local) = policy.directory.resolve(address) else { return Verdict::Outside };
    if candidate.place.kind == Kind::Envelope && !policy.trusted_fields.is_empty() && trusted_at(policy, candidate).is_none() {
        return Verdict::NotTrusted(local);
    }
    if candidate.place.kind.is_trace() && candidate.place.hop >= hops {
        return Verdict::Untrusted(local);
    }
    if is_list(lists, address) {
        let whose = policy.directory.has_users().then(|| policy.directory.whose(address, None));
        return Verdict::List(whose.filter(|whose| whose.undated || !whose.users.is_empty()).map(|_| local));
    }
    Verdict::Local(local)
}

/// The address without what the server puts before it, or the address that the mailbox's own address encodes.
fn clean(policy: &Policy, candidate: &Candidate, address: &Address) -> Address {
    let prefixed = candidate.place.field == Name::Known("delivered-to");
    let prefixes = policy.strip_prefix.iter().filter(|_| prefixed);
    let stripped = prefixes.into_iter().find_map(|prefix| address.without_prefix(prefix));
    let address = stripped.unwrap_or_else(|| address.clone());
    encoded(&policy.directory, &address).unwrap_or(address)
}

/// `archive+user=domain@archive.example`: the address that the own address's detail holds.
fn encoded(directory: &Directory, address: &Address) -> Option<Address> {
    if !directory.has_own() || !address.local().contains('=') {
        return None;
    }
    let cuts = address.local().match_indices(['+', '-']).take(8);
    cuts.into_iter().find_map(|(at, _)| {
        let own = Address::from_parts(address.local().get(..at)?, address.domain())?;
        let (user, domain) = address.local().get(at + 1..)?.rsplit_once('=')?;
        let inner = Address::from_parts(user, domain)?;
        (directory.owns(&own) && directory.resolve(&inner).is_some()).then_some(inner)
    })
}

/// The addresses of the list that a message came through; none unless a Return-Path looks like a list's.
#[must_use]
pub fn lists(header: &Header) -> HashSet<String> {
    let of = |name: &'static str| header.senders.iter().filter(move |one| one.place.field == Name::Known(name));
    // Who writes from team-admin@ to team@ is no list: a list leaves From as it was.
    let is_author = |path: &Address| of("from").any(|one| one.address.as_ref() == Some(path));
    let base = |one: &SenderCandidate| {
        let path = one.address.as_ref().filter(|path| !header.lists.is_empty() || !is_author(path))?;
        verp::list_base(path)
    };
    let bases: Vec<String> = of("return-path").filter_map(base).collect();
    if bases.is_empty() { HashSet::new() } else { header.lists.iter().cloned().chain(bases).collect() }
}

/// Whether it is the list's own address: as the list writes it, at the host that runs it (a sub-domain), or the one by which list
/// software hands the mail on. Not the other way round: a list at a sub-domain may have a reader of its own name.
#[must_use]
pub fn is_list(lists: &HashSet<String>, address: &Address) -> bool {
    if lists.is_empty() {
        return false;
    }
    let local = address.local();
    let locals = [local, local.strip_suffix("-outgoing").unwrap_or(local)];
    let dots = address.domain().match_indices('.').filter_map(|(at, _)| address.domain().get(at + 1..));
    let mut domains = std::iter::once(address.domain()).chain(dots.filter(|domain| domain.contains('.')));
    domains.any(|domain| locals.iter().any(|local| Address::from_parts(local, domain).is_some_and(|one| lists.contains(&one.normal()))))
}

/// How many hops from the top are trusted. Without trusted hosts, all. With them, those down to the lowest Received field that one
/// of them *wrote*: a field below it that only bears such a host's name counts if the one above says that the message came from there.
#[must_use]
pub fn trusted_hops(policy: &Policy, received: &[Received]) -> u32 {
    if policy.trusted_by.is_empty() {
        return u32::MAX;
    }
    let trusted = |host: &Option<String>| host.as_ref().is_some_and(|host| policy.trusted_by.contains(host));
    let Some(top) = received.iter().position(|one| trusted(&one.by)) else { return 0 };
    let pairs = received.iter().skip(top).zip(received.iter().skip(top + 1));
    // A filter on the same machine writes itself down as localhost.
    let writes = |above: &Received, below: &Received| trusted(&below.by) || (above.is_internal && below.by.as_deref() == Some("localhost"));
    let further = pairs.take_while(|(above, below)| writes(above, below) && (above.is_internal || trusted(&above.from))).count();
    u32::try_from(top + further + 1).unwrap_or(u32::MAX)
}

/// The place of a candidate's field among those that the profile trusts.
fn trusted_at(policy: &Policy, candidate: &Candidate) -> Option<usize> {
    let place = &candidate.place;
    let fits = |position: Option<u32>| position.is_none_or(|position| position == place.position);
    policy.trusted_fields.iter().position(|trusted| trusted.name == place.field.as_str() && fits(trusted.position))
}

/// The candidates of the field that decides: all addresses that it names in the local domains, `exact`, or else in their sub-domains.
#[must_use]
pub fn choose<'j, 'h>(policy: &Policy, judged: &'j [Judged<'h>], exact: bool) -> Vec<&'j Judged<'h>> {
    let local = judged.iter().filter(|one| one.is_trace() && one.local(exact).is_some());
    let first = local.min_by_key(|one| {
        let place = &one.candidate.place;
        let trusted = trusted_at(policy, one.candidate).unwrap_or(policy.trusted_fields.len());
        (trusted, place.hop, one.is_list(), place.rank, place.line)
    });
    let Some(first) = first else { return Vec::new() };
    let fits = |one: &&Judged| one.candidate.place.line == first.candidate.place.line && one.is_list() == first.is_list();
    judged.iter().filter(|one| fits(one) && one.local(exact).is_some()).collect()
}

/// The guess: Resent-To, Resent-Cc and Resent-Bcc if they name anybody, else To, Cc, Bcc and Apparently-To; exact local domains only.
#[must_use]
pub fn guess<'j, 'h>(header: &Header, judged: &'j [Judged<'h>]) -> Vec<&'j Judged<'h>> {
    let fits = |one: &Judged| match one.candidate.place.kind {
        Kind::Resent => header.is_resent,
        Kind::Header => !header.is_resent,
        _ => !header.is_resent && one.candidate.place.field == APPARENTLY,
    };
    let guessed = || judged.iter().filter(|one| fits(one) && one.guessed().is_some());
    let has_reader = guessed().any(|one| !one.is_list());
    guessed().filter(|one| !has_reader || !one.is_list()).collect()
}
