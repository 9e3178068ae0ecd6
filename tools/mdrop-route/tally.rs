//! What decided a message, in one word, and how often each did: the evidence mix of a run, by which a server that writes other fields since
//! its upgrade is noticed.
//!
//! The words are few (our fields and those the profile names), so that a sender can't make them many: the guess is one word, whichever of
//! To, Cc and Bcc named the first recipient.

use crate::decide::Decision;
use mdrop::record::Kind;
use std::collections::BTreeMap;

/// Messages by what decided them.
pub type Tally = BTreeMap<String, u64>;

/// What named the recipients: `journal`, `envelope:FIELD`, `received`, `resent` or `header`; `none` where nobody local is named.
#[must_use]
pub fn decided_by(decision: &Decision) -> String {
    if decision.by_report() {
        return "journal".into();
    }
    let Some(first) = decision.recipients.first() else { return "none".into() };
    match first.evidence.kind {
        Kind::Journal => "journal".into(),
        Kind::Envelope => format!("envelope:{}", first.evidence.field),
        Kind::Received => "received".into(),
        Kind::Resent => "resent".into(),
        Kind::Header | Kind::Sender => "header".into(),
    }
}

/// Counts one message more.
pub fn add(tally: &mut Tally, word: String) {
    *tally.entry(word).or_default() += 1;
}
