//! From the statistics to the lines of the profile, each tried on the sample before it is proposed.
//!
//! A line is proposed only if nearly all messages show it and the replay decides no worse with it: a sender who wrote some of the messages
//! can bring no line about.

use super::domains::{self, Domain};
use super::own::{self, Own, Prefix};
use super::places::{self, Places, Stat, Worth};
use super::replay::{self, Outcome};
use super::sample::Kept;
use super::view::View;
use super::{FEW, hosts, is_most, is_part};
use crate::judge;
use crate::policy::Policy;
use mdrop::address::Address;
use mdrop::error::Result;
use mdrop::profile::RouteSettings;
use mdrop::users::Users;
use std::collections::BTreeMap;

/// The lines that are proposed, and everything they rest on.
#[derive(Debug, Default)]
pub struct Proposal {
    /// `[route]` as it should be.
    pub settings: RouteSettings,
    /// The domains that were found, where the profile names none.
    pub domains: Vec<Domain>,
    /// The prefixes that were found.
    pub prefixes: Vec<Prefix>,
    /// The mailbox's own addresses, and those that may be.
    pub own: Vec<Own>,
    /// All places.
    pub places: Places,
    /// The fields that are proposed, or would be if there were need.
    pub fields: Vec<Stat>,
    /// What became of them.
    pub fate: Fate,
    /// The hosts in the chain from the top.
    pub chain: Vec<(String, usize)>,
    /// Whether they are proposed.
    pub chain_fits: bool,
    /// Who sent the journal reports, and how many of them.
    pub reporters: Vec<(String, usize)>,
    /// How many messages are reports.
    pub reports: usize,
    /// How the messages are decided by the profile as it is.
    pub now: Vec<Outcome>,
    /// How they are decided by the lines before fields and hosts are named.
    pub plain: Vec<Outcome>,
    /// How they are decided by the lines.
    pub new: Vec<Outcome>,
}

/// What became of the fields that could be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// There are none.
    #[default]
    None,
    /// They are proposed.
    Proposed,
    /// Nothing else ever names anybody, so naming them would change nothing.
    Needless,
    /// Messages would be decided worse.
    Worse,
}

/// Draws up the lines for messages that were kept, from `[route]` as it is.
///
/// # Errors
/// As [`Policy::new`].
pub fn propose(current: &RouteSettings, users: Option<&Users>, messages: &[Kept]) -> Result<Proposal> {
    let policy = |settings: &RouteSettings| Policy::new(settings, users.cloned());
    let mut proposal = Proposal { settings: current.clone(), chain: hosts::chain(messages), ..Proposal::default() };
    if current.domains.is_empty() {
        proposal.domains = domains::find(messages);
        proposal.settings.domains = proposal.domains.iter().map(|domain| domain.name.clone()).collect();
    }
    if proposal.settings.domains.is_empty() {
        return Ok(proposal);
    }
    let as_it_is = policy(&proposal.settings)?;
    proposal.now = replay::replay(&as_it_is, &views(&as_it_is, messages));
    let mut settings = RouteSettings { trusted_fields: Vec::new(), trusted_by: Vec::new(), ..proposal.settings.clone() };
    proposal.prefixes = own::prefixes(&views(&policy(&settings)?, messages));
    settings.strip_prefix = joined(&settings.strip_prefix, proposal.prefixes.iter().map(|one| one.text.clone()));
    let before_own = policy(&settings)?;
    proposal.own = own::addresses(&before_own, &views(&before_own, messages));
    let own = proposal.own.iter().filter(|one| one.doubt.is_none()).map(|one| one.address.clone());
    settings.own_addresses = joined(&settings.own_addresses, own);
    let plain = policy(&settings)?;
    let views = views(&plain, messages);
    add_reporters(&mut proposal, &mut settings, &views);
    let with_hosts = policy(&RouteSettings { trusted_by: names(&proposal.chain), ..settings.clone() })?;
    proposal.places = places::count(&views, |view| trusted_hops(&with_hosts, view));
    proposal.plain = replay::replay(&policy(&settings)?, &views);
    add_fields(&mut proposal, &mut settings, &views, &policy)?;
    add_hosts(&mut proposal, &mut settings, current, &views, &policy)?;
    proposal.new = replay::replay(&policy(&settings)?, &views);
    proposal.settings = settings;
    Ok(proposal)
}

fn views<'k>(policy: &Policy, messages: &'k [Kept]) -> Vec<View<'k>> {
    messages.iter().map(|kept| View::new(policy, kept)).collect()
}

fn names(chain: &[(String, usize)]) -> Vec<String> {
    chain.iter().map(|(host, _)| host.clone()).collect()
}

fn joined(old: &[String], new: impl Iterator<Item = String>) -> Vec<String> {
    let mut all = old.to_vec();
    for one in new {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

/// How many hops from the top the mailbox's own servers have written: those of the chain, or the topmost field alone.
fn trusted_hops(with_hosts: &Policy, view: &View) -> u32 {
    let received = &view.kept.header.received;
    let known = if with_hosts.trusted_by.is_empty() { 0 } else { judge::trusted_hops(with_hosts, received) };
    known.max(u32::from(!received.is_empty()))
}

/// Who may send reports: whoever sent nearly all, where most of the mail is reports.
fn add_reporters(proposal: &mut Proposal, settings: &mut RouteSettings, views: &[View]) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for view in views.iter().filter(|view| view.is_report) {
        proposal.reports += 1;
        *counts.entry(view.reporter()).or_default() += 1;
    }
    proposal.reporters = counts.into_iter().filter(|(author, _)| Address::parse(author).is_some()).collect();
    proposal.reporters.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    let is_usual = views.len() >= FEW && is_part(proposal.reports, views.len(), 50);
    let one = proposal.reporters.first().filter(|(_, number)| is_usual && is_most(*number, proposal.reports));
    settings.journal_from = joined(&settings.journal_from, one.map(|(author, _)| author.clone()).into_iter());
}

type MakePolicy<'a> = dyn Fn(&RouteSettings) -> Result<Policy> + 'a;

/// The fields that the mailbox's servers write into nearly every message, and which name the recipients.
fn add_fields(proposal: &mut Proposal, settings: &mut RouteSettings, views: &[View], policy: &MakePolicy) -> Result<()> {
    let plain = views.iter().filter(|view| !view.is_report).count();
    let fits = |stat: &&Stat| {
        let is_field = !stat.place.starts_with("received:");
        let is_used = stat.names_recipients() && (!stat.added || stat.is_confirmed());
        is_field && plain >= FEW && stat.worth(plain) == Worth::Genuine && is_used
    };
    let mut fields: Vec<Stat> = proposal.places.stats.iter().filter(fits).cloned().collect();
    if let Some(first) = fields.first() {
        // One that agrees with To and Cc far more often than the one that would be first is nearer to the truth.
        let least = first.agreement() + 20;
        let better = fields.iter().position(|stat| stat.agreement() >= least);
        better.map(|at| fields.remove(at)).into_iter().for_each(|stat| fields.insert(0, stat));
    }
    let trusted: Vec<String> = fields.iter().map(|stat| stat.place.clone()).collect();
    let tried = RouteSettings { trusted_fields: trusted.clone(), ..settings.clone() };
    let outcomes = replay::replay(&policy(&tried)?, views);
    proposal.fate = if fields.is_empty() {
        Fate::None
    } else if !replay::is_as_good(&outcomes, &proposal.plain) {
        Fate::Worse
    } else if replay::differences(&outcomes, &proposal.plain) == 0 && places::rivals(views, &trusted) == 0 {
        Fate::Needless
    } else {
        Fate::Proposed
    };
    if proposal.fate == Fate::Proposed {
        *settings = tried;
    } else {
        settings.trusted_fields.clone_from(&proposal.settings.trusted_fields);
    }
    proposal.fields = fields;
    Ok(())
}

/// The hosts of the chain, beside those that the profile trusts already.
fn add_hosts(
    proposal: &mut Proposal,
    settings: &mut RouteSettings,
    current: &RouteSettings,
    views: &[View],
    policy: &MakePolicy,
) -> Result<()> {
    let without = replay::replay(&policy(settings)?, views);
    let hosts = joined(&current.trusted_by, names(&proposal.chain).into_iter());
    let tried = RouteSettings { trusted_by: hosts, ..settings.clone() };
    let is_enough = views.len() >= FEW && !proposal.chain.is_empty();
    proposal.chain_fits = is_enough && replay::is_as_good(&replay::replay(&policy(&tried)?, views), &without);
    if proposal.chain_fits {
        *settings = tried;
    } else {
        settings.trusted_by.clone_from(&current.trusted_by);
    }
    Ok(())
}
