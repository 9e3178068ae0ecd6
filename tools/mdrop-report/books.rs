//! The books: whether every message is accounted for.
//!
//! They are drawn up from the counts that each stage gave of itself, so that a message which vanished *between* two stages shows
//! as a difference between what one handed on and what the next one saw.

use crate::report::StageLine;
use serde::Serialize;
use std::fmt;

/// Whether every message is accounted for.
#[derive(Serialize, PartialEq, Eq, Debug, Default)]
pub struct Books {
    /// Whether there is no gap.
    pub balanced: bool,
    /// Where messages are unaccounted for.
    pub gaps: Vec<Gap>,
}

/// A stage that does not account for what it was given.
#[derive(Serialize, PartialEq, Eq, Debug)]
pub struct Gap {
    /// The stage.
    pub stage: String,
    /// How many messages it was given; none where nobody says.
    pub given: Option<u64>,
    /// How many it accounts for; none where it left no summary.
    pub accounted: Option<u64>,
    /// Its exit status.
    pub exit: Option<u8>,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tool = format!("mdrop-{}", self.stage);
        match (self.given, self.accounted, self.exit) {
            (Some(given), Some(accounted), Some(exit @ 1..)) if given > accounted => {
                write!(f, "{tool} ended with status {exit} before it had answered for {} of {given} messages", given - accounted)
            }
            (Some(given), Some(accounted), _) if given >= accounted => {
                write!(f, "{tool} had {given} messages and accounts for {accounted}: {} are unaccounted for", given - accounted)
            }
            (Some(given), Some(accounted), _) => {
                write!(f, "{tool} had {given} messages and accounts for {accounted}: {} came from nowhere", accounted - given)
            }
            (Some(given), None, _) => write!(f, "{tool} left no summary: what became of {given} messages is not known"),
            (None, ..) => write!(f, "{tool} left no summary: what became of its messages is not known"),
        }
    }
}

/// Sets what each stage handed on against what the next one accounts for. Stages that never ran owe nothing.
#[must_use]
pub fn balance(stages: &[StageLine]) -> Books {
    let find = |name: &str| stages.iter().find(|line| line.stage == name);
    let sum = |name: &str, outcomes: &[&str]| find(name).and_then(|line| line.sum(outcomes));
    let fetched = sum("fetch", &["fetched"]);
    let handed_on = sum("route", &["routed", "unknown", "skipped"]);
    let entries = [
        ("fetch", sum("fetch", &["listed"]), sum("fetch", &["known", "fetched", "vanished", "failed"])),
        ("route", fetched, sum("route", &["routed", "unknown", "skipped", "failed"])),
        ("store", handed_on.or(fetched), sum("store", &["new", "duplicate", "refused", "judged", "other-account", "failed"])),
    ];
    let gap = |(stage, given, accounted): (&str, Option<u64>, Option<u64>)| {
        let is_gap = accounted.is_none() || given.is_some_and(|given| Some(given) != accounted);
        let line = find(stage).filter(|_| is_gap)?;
        Some(Gap { stage: stage.into(), given, accounted, exit: line.exit })
    };
    let gaps: Vec<Gap> = entries.into_iter().filter_map(gap).collect();
    Books { balanced: gaps.is_empty(), gaps }
}
