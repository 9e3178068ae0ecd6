//! The decision itself, made once more for every message of the sample: what a proposal would change is counted and not supposed.

use super::sample::Kept;
use super::view::{Addresses, View};
use crate::decide::{self, Delivery};
use crate::evidence::Name;
use crate::policy::Policy;
use crate::tally::{self, Tally};
use mdrop::octets::Octets;
use std::borrow::Cow;

/// What was decided for one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// To whom it was delivered, in lower case.
    pub recipients: Addresses,
    /// What decided.
    pub word: String,
    /// The field and position that named the first recipient.
    pub place: Option<String>,
    /// Whether a recipient stands among the people it was written to; none where nobody local does.
    pub agrees: Option<bool>,
}

impl Outcome {
    /// Whether it was decided and not guessed.
    #[must_use]
    pub fn is_sure(&self) -> bool {
        !matches!(self.word.as_str(), "resent" | "header" | "none")
    }
}

/// Decides for every message.
#[must_use]
pub fn replay(policy: &Policy, views: &[View]) -> Vec<Outcome> {
    views.iter().map(|view| decide(policy, view)).collect()
}

fn decide(policy: &Policy, view: &View) -> Outcome {
    let header = seen_by(policy, view.kept);
    let delivery = Delivery { account: "", mailbox: "INBOX", moment: None };
    let decision = decide::decide(policy, &header, view.kept.report.as_ref(), &delivery, false);
    let lower = |address: &Octets| address.lossy().to_lowercase();
    let recipients: Addresses = decision.recipients.iter().filter_map(|one| one.address.as_ref().map(lower)).collect();
    let agrees = (!view.local_people.is_empty()).then(|| !recipients.is_disjoint(&view.local_people));
    let place = decision.recipients.first().map(|one| format!("{}:{}", one.evidence.field, one.evidence.position));
    Outcome { recipients, word: tally::decided_by(&decision), place, agrees }
}

/// The header without the fields that this policy would not read.
fn seen_by<'k>(policy: &Policy, kept: &'k Kept) -> Cow<'k, crate::evidence::Header> {
    let is_seen = |name: &Name| match name {
        Name::Known(_) => true,
        Name::Added(name) => policy.trusted_fields.iter().any(|trusted| trusted.name == *name),
    };
    if kept.header.candidates.iter().all(|one| is_seen(&one.place.field)) {
        return Cow::Borrowed(&kept.header);
    }
    let mut header = kept.header.clone();
    header.candidates.retain(|one| is_seen(&one.place.field));
    Cow::Owned(header)
}

/// How often each kind of evidence decided.
#[must_use]
pub fn tally(outcomes: &[Outcome]) -> Tally {
    let mut tally = Tally::new();
    outcomes.iter().for_each(|outcome| tally::add(&mut tally, outcome.word.clone()));
    tally
}

/// Whether other settings decide as well: hardly fewer messages surely, and hardly more against To and Cc.
#[must_use]
pub fn is_as_good(new: &[Outcome], old: &[Outcome]) -> bool {
    let sure = |all: &[Outcome]| all.iter().filter(|one| one.is_sure()).count();
    let against = |all: &[Outcome]| all.iter().filter(|one| one.agrees == Some(false)).count();
    let some = old.len() / 20;
    sure(new) + some >= sure(old) && against(new) <= against(old) + some / 5
}

/// How many messages are decided differently.
#[must_use]
pub fn differences(new: &[Outcome], old: &[Outcome]) -> usize {
    new.iter().zip(old).filter(|(new, old)| new.recipients != old.recipients).count()
}
