//! Whether the evidence that decides has changed: a server writes other fields after an upgrade, and nobody tells the archive.
//!
//! Runs are compared in messages and not in runs, since one of cron's may have three: the newest runs, until they have [`FEWEST`]
//! messages, with those before them, back to [`MOST`]. What changes by less than the thresholds is chance: one in four messages is absent
//! from twenty by chance less than once in three hundred times.

use mdrop::error::printable;
use mdrop::time::Time;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Messages by the evidence that decided them.
pub type Mix = BTreeMap<String, u64>;

/// How many messages either side must have.
pub const FEWEST: u64 = 20;
/// How many messages of earlier runs are looked back to.
pub const MOST: u64 = 1000;
/// From which share on a kind of evidence is missed when it is gone, or noticed when it is new, in percent.
const SHARE: u64 = 25;
/// By how many percent of all messages the guesses, or the messages for nobody, must rise; they must double, too.
const RISE: u64 = 20;

/// One run of mdrop-route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunMix {
    /// The profile's name.
    pub profile: Option<String>,
    /// When it began.
    pub started: Time,
    /// What decided.
    pub mix: Mix,
}

/// The evidence of the run, and how it differs from that of the runs before.
#[derive(Serialize, Debug, PartialEq, Eq, Default)]
pub struct Evidence {
    /// What decided in this run.
    pub mix: Mix,
    /// How many earlier runs it was compared with.
    pub runs_before: usize,
    /// What changed.
    pub changes: Vec<Change>,
}

/// How the share of one kind of evidence changed.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// It decided before, and no longer.
    Gone,
    /// It decides, and did not before.
    New,
    /// It decides much more often.
    More,
}

/// A change that is worth a line.
#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The kind of evidence.
    pub evidence: String,
    /// How it changed.
    pub how: How,
    /// How many messages it decided before.
    pub before: u64,
    /// Of how many.
    pub of_before: u64,
    /// How many it decides now.
    pub now: u64,
    /// Of how many.
    pub of_now: u64,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, of_before, now, of_now, .. } = self;
        let share = |part: u64, of: u64| format!("{} % of {of}", part.saturating_mul(100).checked_div(of).unwrap_or(0));
        let name = words(&self.evidence);
        match self.how {
            How::Gone => write!(f, "{name}: {} messages before, none of {of_now} now", share(*before, *of_before)),
            How::New => write!(f, "{name}: {} messages now, none of {of_before} before", share(*now, *of_now)),
            How::More => write!(f, "{name}: {} messages now, {} before", share(*now, *of_now), share(*before, *of_before)),
        }
    }
}

/// A kind of evidence for people.
pub fn words(evidence: &str) -> String {
    match evidence {
        "journal" => "by journal report".into(),
        "received" => "by Received".into(),
        "resent" => "guessed from Resent fields".into(),
        "header" => "guessed from To, Cc and Bcc".into(),
        "none" => "without a local recipient".into(),
        _ => format!("by {}", printable(evidence.strip_prefix("envelope:").unwrap_or(evidence))),
    }
}

/// The evidence of the newest run of `runs` that began no later than the others; `before` are runs of other logs. None if no run says.
#[must_use]
pub fn evidence(runs: Vec<RunMix>, before: Vec<RunMix>) -> Option<Evidence> {
    let newest = runs.iter().max_by_key(|run| run.started)?.clone();
    let same = |run: &RunMix| run.profile == newest.profile && run.started <= newest.started;
    let mut all: Vec<RunMix> = runs.into_iter().chain(before).filter(same).collect();
    all.sort_by_key(|run| std::cmp::Reverse(run.started));
    // A log that was given twice is one run.
    all.dedup();
    let (now, rest) = take(&all, FEWEST);
    let (earlier, _) = take(rest, MOST);
    let runs_before = all.len() - 1;
    Some(Evidence { mix: newest.mix, runs_before, changes: changes(&earlier, &now) })
}

/// The first runs, until they have `enough` messages, as one; and the others.
fn take(runs: &[RunMix], enough: u64) -> (Mix, &[RunMix]) {
    let mut sum = Mix::new();
    let mut rest = runs;
    while let [first, others @ ..] = rest {
        if total(&sum) >= enough {
            break;
        }
        add(&mut sum, &first.mix);
        rest = others;
    }
    (sum, rest)
}

fn total(mix: &Mix) -> u64 {
    mix.values().fold(0, |sum, number| sum.saturating_add(*number))
}

fn add(sum: &mut Mix, more: &Mix) {
    for (evidence, number) in more {
        let all = sum.entry(evidence.clone()).or_default();
        *all = all.saturating_add(*number);
    }
}

/// What changed between two mixes, if both have enough messages to tell.
#[must_use]
pub fn changes(before: &Mix, now: &Mix) -> Vec<Change> {
    let (of_before, of_now) = (total(before), total(now));
    if of_before < FEWEST || of_now < FEWEST {
        return Vec::new();
    }
    let percent = |part: u64, of: u64| part.saturating_mul(100) / of;
    let kinds: std::collections::BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let change = |evidence: &String| {
        let count = |mix: &Mix| mix.get(evidence).copied().unwrap_or(0);
        let (before, now) = (count(before), count(now));
        let (was, is) = (percent(before, of_before), percent(now, of_now));
        let is_weak = matches!(evidence.as_str(), "resent" | "header" | "none");
        let how = match (before, now) {
            (1.., 0) if was >= SHARE && !is_weak => How::Gone,
            (0, 1..) if is >= SHARE => How::New,
            (1.., 1..) if is_weak && is >= was + RISE && is >= was * 2 => How::More,
            _ => return None,
        };
        Some(Change { evidence: evidence.clone(), how, before, of_before, now, of_now })
    };
    kinds.into_iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Of = &'static [(&'static str, u64)];

    fn mix(of: &[(&str, u64)]) -> Mix {
        of.iter().map(|(evidence, number)| ((*evidence).to_owned(), *number)).collect()
    }

    #[test]
    fn a_change_is_told_from_chance_by_its_share_and_by_how_many_messages_there_are() {
        let cases: [(Of, Of, &[&str]); 13] = [
            (&[("envelope:delivered-to", 100)], &[("envelope:delivered-to", 20)], &[]),
            (
                &[("envelope:delivered-to", 100)],
                &[("envelope:x-original-to", 20)],
                &[
                    "by delivered-to: 100 % of 100 messages before, none of 20 now",
                    "by x-original-to: 100 % of 20 messages now, none of 100 before",
                ],
            ),
            (&[("envelope:delivered-to", 100)], &[("envelope:x-original-to", 19)], &[]),
            (&[("envelope:delivered-to", 19)], &[("envelope:x-original-to", 20)], &[]),
            (&[("envelope:delivered-to", 76), ("received", 24)], &[("envelope:delivered-to", 40)], &[]),
            (
                &[("envelope:delivered-to", 75), ("received", 25)],
                &[("envelope:delivered-to", 40)],
                &["by Received: 25 % of 100 messages before, none of 40 now"],
            ),
            (&[("envelope:delivered-to", 40)], &[("envelope:delivered-to", 76), ("journal", 24)], &[]),
            (
                &[("envelope:delivered-to", 40)],
                &[("envelope:delivered-to", 75), ("journal", 25)],
                &["by journal report: 25 % of 100 messages now, none of 40 before"],
            ),
            (&[("envelope:delivered-to", 75), ("header", 25)], &[("envelope:delivered-to", 100)], &[]),
            (
                &[("envelope:delivered-to", 90), ("none", 10)],
                &[("envelope:delivered-to", 70), ("none", 30)],
                &["without a local recipient: 30 % of 100 messages now, 10 % of 100 before"],
            ),
            (&[("envelope:delivered-to", 90), ("none", 10)], &[("envelope:delivered-to", 71), ("none", 29)], &[]),
            (&[("envelope:delivered-to", 60), ("header", 40)], &[("envelope:delivered-to", 30), ("header", 70)], &[]),
            (&[("envelope:delivered-to", 90), ("received", 10)], &[("envelope:delivered-to", 10), ("received", 90)], &[]),
        ];
        for (before, now, expected) in cases {
            let told: Vec<String> = changes(&mix(before), &mix(now)).iter().map(Change::to_string).collect();
            assert_eq!(told, expected, "{before:?} {now:?}");
        }
    }

    fn run(profile: &str, started: i64, of: &[(&str, u64)]) -> RunMix {
        RunMix { profile: Some(profile.into()), started: Time::from_unix(started), mix: mix(of) }
    }

    #[test]
    fn the_newest_runs_are_joined_until_they_are_enough_to_compare() {
        let old: Vec<RunMix> = (0..5).map(|n| run("acme", n, &[("received", 10)])).collect();
        let new: Vec<RunMix> = (5..10).map(|n| run("acme", n, &[("header", 4)])).collect();
        let told = |runs: Vec<RunMix>, before: Vec<RunMix>| evidence(runs, before).map(|e| (e.mix, e.runs_before, e.changes.len()));
        assert_eq!(told([old.clone(), new.clone()].concat(), Vec::new()), Some((mix(&[("header", 4)]), 9, 2)));
        assert_eq!(told(new.clone(), old.clone()), Some((mix(&[("header", 4)]), 9, 2)));
        // One run fewer, and the joined ones hold some of the old kind: new it is, and not yet gone.
        assert_eq!(told(new[..4].to_vec(), old.clone()), Some((mix(&[("header", 4)]), 8, 1)));
        assert_eq!(told(old[..1].to_vec(), new.clone()), Some((mix(&[("received", 10)]), 0, 0)), "later runs are not before");
        let other: Vec<RunMix> = (0..5).map(|n| run("other", n, &[("journal", 10)])).collect();
        assert_eq!(told(new.clone(), other), Some((mix(&[("header", 4)]), 4, 0)));
        assert_eq!(told(Vec::new(), old), None);
    }
}
