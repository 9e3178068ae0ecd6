//! From the records of a run to its report, without I/O.
//!
//! Whatever a log holds is added up and nothing is asked back, so that the logs may come in any order.

use crate::books::{self, Books};
use crate::mix::{self, Evidence, RunMix};
use mdrop::identity::Origin;
use mdrop::record::{Failure, Finding, Head, Listing, Record, Summary, V1, Volume};
use mdrop::time::Time;
use serde::Serialize;
use std::collections::BTreeMap;

/// How many messages of a group are named.
const NAMED: usize = 3;

/// The stages through which every message goes, in order.
const PIPELINE: [&str; 3] = ["fetch", "route", "store"];

/// The whole report.
#[derive(Serialize, PartialEq, Debug)]
pub struct Report {
    #[serde(rename = "type")]
    kind: &'static str,
    v: V1,
    /// The profile's name.
    pub profile: Option<String>,
    /// When the first stage began.
    pub started: Option<Time>,
    /// How long the run took.
    pub seconds: f64,
    /// How long messages were fetched, routed and stored, of this.
    pub pipeline_seconds: f64,
    /// Messages and octets by outcome.
    pub totals: Totals,
    /// What was listed, in the order of the logs.
    pub mailboxes: Vec<MailboxLine>,
    /// What was newly filed, by user, the most first.
    pub users: Vec<UserLine>,
    /// Failures, alike ones together, the most frequent first.
    pub failures: Vec<Group>,
    /// Findings, alike ones together, the most frequent first.
    pub findings: Vec<Group>,
    /// What decided to whom the messages belong; none if mdrop-route does not say.
    pub evidence: Option<Evidence>,
    /// How each stage ended.
    pub stages: Vec<StageLine>,
    /// Whether every message is accounted for.
    pub books: Books,
    /// The archive's head.
    pub head: Option<Head>,
}

/// Messages and octets by outcome; none where the stage that knows left no summary.
#[derive(Serialize, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// What the server listed.
    pub listed: Option<Volume>,
    /// What of it was archived or refused before.
    pub known: Option<Volume>,
    /// What was fetched.
    pub fetched: Option<Volume>,
    /// What was deleted on the server after it was listed, and before it was fetched.
    pub vanished: Option<Volume>,
    /// What was stored.
    pub new: Option<Volume>,
    /// What was in the archive under another origin.
    pub duplicate: Option<Volume>,
    /// What policy left out.
    pub refused: Option<Volume>,
    /// What is tried again in the next run: the failures of all stages that left a summary.
    pub failed: Volume,
    /// What belonged to no known user.
    pub unknown: Option<Volume>,
    /// What stood elsewhere on the server than before.
    pub moved: Option<Volume>,
    /// What was deleted on the server.
    pub purged: Option<Volume>,
    /// What was to be deleted and was gone before.
    pub gone: Option<Volume>,
    /// What was to be deleted and was kept.
    pub kept: Option<Volume>,
}

/// A mailbox.
#[derive(Serialize, PartialEq, Eq, Debug)]
pub struct MailboxLine {
    /// `account/mailbox`; for POP3 the account.
    pub name: String,
    /// What the server lists there.
    pub listed: Volume,
    /// What of it was known.
    pub known: Volume,
    /// Why it was not read, where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
}

/// A user.
#[derive(Serialize, PartialEq, Eq, Debug)]
pub struct UserLine {
    /// The user's name.
    pub user: String,
    /// What was newly filed.
    #[serde(flatten)]
    pub filed: Volume,
}

/// Failures or findings of one kind.
#[derive(Serialize, PartialEq, Eq, Debug)]
pub struct Group {
    /// What they have in common.
    pub what: String,
    /// How many there are.
    pub number: u64,
    /// The first of them.
    pub named: Vec<String>,
}

/// A stage.
#[derive(Serialize, PartialEq, Debug, Clone, Default)]
pub struct StageLine {
    /// `known`, `fetch`, `route`, `store`, `moves`, `purgeable` or `purge`.
    pub stage: String,
    /// The tool and its version; none without a summary.
    pub tool: Option<String>,
    /// Its exit status; the shell's where that is known.
    pub exit: Option<u8>,
    /// How long it took.
    pub seconds: f64,
    /// Messages and octets by outcome; none without a summary.
    pub counts: Option<BTreeMap<String, Volume>>,
}

impl StageLine {
    /// Whether it ran to its end without a failure.
    pub fn is_good(&self) -> bool {
        self.exit == Some(0) && (self.counts.is_some() || !self.owes_summary())
    }

    /// Whether its summary should be there; the two questions to the archive write none.
    pub fn owes_summary(&self) -> bool {
        !matches!(self.stage.as_str(), "known" | "purgeable")
    }

    fn count(&self, outcome: &str) -> Option<Volume> {
        self.counts.as_ref().map(|counts| counts.get(outcome).copied().unwrap_or_default())
    }

    /// How many messages it counted under these outcomes.
    pub fn sum(&self, outcomes: &[&str]) -> Option<u64> {
        let counts: Option<Vec<u64>> = outcomes.iter().map(|outcome| self.count(outcome).map(|volume| volume.messages)).collect();
        counts.map(|counts| counts.into_iter().fold(0, u64::saturating_add))
    }

    fn take(&mut self, summary: Summary) {
        self.tool = Some(summary.tool);
        self.seconds = self.seconds.max(summary.seconds);
        self.exit = self.exit.filter(|exit| *exit != 0).or(Some(summary.exit));
        let counts = self.counts.get_or_insert_default();
        add_all(counts, summary.counts);
    }
}

impl Report {
    /// Whether there is nothing a person must look at.
    pub fn is_good(&self) -> bool {
        self.books.balanced && self.failures.is_empty() && self.stages.iter().all(StageLine::is_good)
    }

    /// Messages a second while messages were fetched; none for a run too short to tell.
    pub fn rate(&self) -> Option<(f64, f64)> {
        let fetched = self.totals.fetched.filter(|fetched| fetched.messages > 0)?;
        let seconds = self.pipeline_seconds;
        (seconds >= 0.001).then(|| (to_f64(fetched.messages) / seconds, to_f64(fetched.bytes) / seconds))
    }
}

/// A count as a number to divide; exact below 2^53.
#[allow(clippy::cast_precision_loss, reason = "a rate for people")]
pub fn to_f64(number: u64) -> f64 {
    number as f64
}

/// Takes the records of a run in, one by one, in any order.
#[derive(Default)]
pub struct Builder {
    profile: Option<String>,
    started: Option<Time>,
    mailboxes: Vec<MailboxLine>,
    users: BTreeMap<String, Volume>,
    failures: BTreeMap<String, Group>,
    findings: BTreeMap<String, Group>,
    stages: BTreeMap<String, StageLine>,
    shell: Vec<(String, u8)>,
    mixes: Vec<RunMix>,
    before: Vec<RunMix>,
    head: Option<Head>,
}

impl Builder {
    /// Takes in one record; those that are not of a run log are passed over.
    pub fn add(&mut self, record: Record) {
        match record {
            Record::Listing(listing) => self.mailboxes.push(mailbox_line(*listing)),
            Record::Failure(failure) => add_failure(&mut self.failures, *failure),
            Record::Finding(finding) => add_finding(&mut self.findings, *finding),
            Record::Summary(summary) => self.add_summary(*summary),
            Record::Stage(stage) => self.shell.push((stage.stage, stage.exit)),
            _ => {}
        }
    }

    /// Takes in one record of an earlier run, of which only the evidence counts.
    pub fn add_before(&mut self, record: Record) {
        if let Record::Summary(mut summary) = record {
            self.before.extend(take_mix(&mut summary));
        }
    }

    fn add_summary(&mut self, mut summary: Summary) {
        let name = stage_name(&summary.tool);
        self.mixes.extend(take_mix(&mut summary));
        self.profile = self.profile.take().or(summary.profile.take());
        self.started = Some(self.started.map_or(summary.started, |started| started.min(summary.started)));
        let head = summary.head.take();
        if head.as_ref().map(|head| head.segment) >= self.head.as_ref().map(|head| head.segment) {
            self.head = head.or(self.head.take());
        }
        if name == "store" {
            add_all(&mut self.users, std::mem::take(&mut summary.users));
        }
        let line = self.stages.entry(name.clone()).or_insert_with(|| StageLine { stage: name, ..StageLine::default() });
        line.take(summary);
    }

    /// Draws up the report.
    pub fn finish(mut self) -> Report {
        let stages = self.take_stages();
        let find = |name: &str| stages.iter().find(|line| line.stage == name);
        let seconds = |name: &str| find(name).map_or(0.0, |line| line.seconds);
        let pipeline_seconds = PIPELINE.iter().map(|name| seconds(name)).fold(0.0, f64::max);
        Report {
            kind: "report",
            v: V1,
            profile: self.profile,
            started: self.started,
            seconds: pipeline_seconds + seconds("purge"),
            pipeline_seconds,
            totals: totals(&stages),
            mailboxes: self.mailboxes,
            users: user_lines(self.users),
            failures: groups(self.failures),
            findings: groups(self.findings),
            evidence: mix::evidence(self.mixes, self.before),
            books: books::balance(&stages),
            stages,
            head: self.head,
        }
    }

    /// The stages in the order in which they ran. What mdrop-archive saw says which ones there were; without it, the pipeline is owed.
    fn take_stages(&mut self) -> Vec<StageLine> {
        let mut stages = std::mem::take(&mut self.stages);
        let seen = std::mem::take(&mut self.shell);
        let owed = PIPELINE.iter().map(|name| (*name).to_owned()).filter(|_| seen.is_empty());
        for name in owed {
            stages.entry(name.clone()).or_insert_with(|| StageLine { stage: name, ..StageLine::default() });
        }
        for (name, exit) in seen {
            let line = stages.entry(name.clone()).or_insert_with(|| StageLine { stage: name, ..StageLine::default() });
            line.exit = Some(exit);
        }
        let order = ["known", "fetch", "route", "store", "moves", "purgeable", "purge"];
        let mut stages: Vec<StageLine> = stages.into_values().collect();
        stages.sort_by_key(|line| order.iter().position(|name| *name == line.stage).unwrap_or(order.len()));
        stages
    }
}

/// `fetch`, from `mdrop-fetch 0.1.0`, and `moves`, from `mdrop-store --moves 0.1.0`.
fn stage_name(tool: &str) -> String {
    let mut words = tool.split(' ');
    let name = words.next().unwrap_or_default();
    if let Some(mode) = words.next().and_then(|word| word.strip_prefix("--")) {
        return mode.to_owned();
    }
    name.strip_prefix("mdrop-").unwrap_or(name).to_owned()
}

fn add_all(to: &mut BTreeMap<String, Volume>, more: BTreeMap<String, Volume>) {
    for (name, volume) in more {
        let sum = to.entry(name).or_default();
        sum.messages = sum.messages.saturating_add(volume.messages);
        sum.bytes = sum.bytes.saturating_add(volume.bytes);
    }
}

fn take_mix(summary: &mut Summary) -> Option<RunMix> {
    let mix = std::mem::take(&mut summary.evidence);
    (!mix.is_empty()).then(|| RunMix { profile: summary.profile.clone(), started: summary.started, mix })
}

fn mailbox_line(listing: Listing) -> MailboxLine {
    let name = match &listing.mailbox {
        Some(mailbox) => format!("{}/{mailbox}", listing.account),
        None => listing.account,
    };
    MailboxLine { name, listed: listing.listed, known: listing.already, unread: listing.unread }
}

fn user_lines(users: BTreeMap<String, Volume>) -> Vec<UserLine> {
    let mut lines: Vec<UserLine> = users.into_iter().map(|(user, filed)| UserLine { user, filed }).collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.filed.messages));
    lines
}

/// Failures that differ only in the message they are about are alike.
fn add_failure(groups: &mut BTreeMap<String, Group>, failure: Failure) {
    let (named, what) = match failure.origin {
        Some(origin) => (Some(origin.to_string()), without_origin(&failure.why, &origin)),
        None => (None, failure.why),
    };
    add_to_group(groups, what, named);
}

fn add_finding(groups: &mut BTreeMap<String, Group>, finding: Finding) {
    let about = finding.origin.map(|origin| format!("{origin}: ")).unwrap_or_default();
    add_to_group(groups, finding.finding, Some(about + &finding.text));
}

fn add_to_group(groups: &mut BTreeMap<String, Group>, what: String, named: Option<String>) {
    let group = groups.entry(what.clone()).or_insert_with(|| Group { what, number: 0, named: Vec::new() });
    group.number += 1;
    if group.named.len() < NAMED {
        group.named.extend(named);
    }
}

/// The words of a failure without the message's name before them.
fn without_origin(why: &str, origin: &Origin) -> String {
    let name = mdrop::error::printable(&origin.to_string());
    let rest = why.strip_prefix(&name).and_then(|rest| rest.strip_prefix(": "));
    rest.unwrap_or(why).to_owned()
}

fn groups(groups: BTreeMap<String, Group>) -> Vec<Group> {
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.number));
    groups
}

fn totals(stages: &[StageLine]) -> Totals {
    let count = |stage: &str, outcome: &str| stages.iter().find(|line| line.stage == stage).and_then(|line| line.count(outcome));
    let sum = |all: Volume, one: Volume| Volume {
        messages: all.messages.saturating_add(one.messages),
        bytes: all.bytes.saturating_add(one.bytes),
    };
    Totals {
        listed: count("fetch", "listed"),
        known: count("fetch", "known"),
        fetched: count("fetch", "fetched"),
        vanished: count("fetch", "vanished"),
        new: count("store", "new"),
        duplicate: count("store", "duplicate"),
        refused: count("store", "refused"),
        failed: PIPELINE.iter().filter_map(|stage| count(stage, "failed")).fold(Volume::default(), sum),
        unknown: count("route", "unknown"),
        moved: count("moves", "moved"),
        purged: count("purge", "purged"),
        gone: count("purge", "gone"),
        kept: count("purge", "kept"),
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
