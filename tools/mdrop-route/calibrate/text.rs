//! The answer: a `[route]` section that can be put into the profile as it is, with everything that speaks for it and against it in comments.

use super::own::Own;
use super::places::{NAMED, Stat, Worth};
use super::propose::{Fate, Proposal};
use super::replay::{self, Outcome};
use super::sample::Sample;
use super::{FEW, hosts, is_part};
use crate::tally::Tally;
use mdrop::error::{Error, Result, Status, printable};
use mdrop::profile::RouteSettings;
use std::fmt::Write;

/// How wide a comment is.
const WIDTH: usize = 100;
/// How many places and hosts are shown.
const SHOWN: usize = 20;
/// How many pairs of places that disagree are shown.
const PAIRS: usize = 10;
/// Below how many messages a sample is called small.
const SMALL: usize = 50;

/// The keys of `[route]` in the order in which they are printed.
const KEYS: [&str; 5] = ["domains", "own-addresses", "strip-prefix", "trusted-fields", "trusted-by"];

/// The whole text.
///
/// # Errors
/// [`Status::Software`] if the settings can't become TOML.
pub fn write(profile: &str, sample: &Sample, proposal: &Proposal) -> Result<String> {
    let mut out = String::new();
    head(&mut out, profile, sample);
    if !proposal.settings.domains.is_empty() {
        places(&mut out, proposal);
        disputes(&mut out, proposal);
        outcomes(&mut out, sample, proposal);
    }
    comment(&mut out, "");
    let advice = "The whole [route] section as it should be, to stand in place of the profile's:";
    comment(&mut out, advice);
    out += "[route]\n";
    section(&mut out, sample, proposal)?;
    Ok(out)
}

/// A comment, wrapped; nothing in it can end it.
fn comment(out: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in printable(text).split(' ').filter(|word| !word.is_empty()) {
        if line.len() > 1 && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = String::from("#  ");
        }
        line.push(' ');
        line.push_str(word);
    }
    out.push_str(&line);
    out.push('\n');
}

fn head(out: &mut String, profile: &str, sample: &Sample) {
    let kept = sample.kept.len();
    comment(out, &format!("mdrop-route --calibrate, profile {profile}: {} messages read, {kept} looked at", sample.seen));
    if sample.large > 0 {
        comment(out, &format!("{} were left out, because their headers are too large.", sample.large));
    }
    match kept {
        0..FEW => comment(out, "With fewer than 10 messages nothing can be said but what stands in them; no line is proposed from that."),
        FEW..SMALL => {
            comment(out, "A small sample, with fewer than 50 messages: look at each line, and calibrate again when there is more mail.");
        }
        _ => {}
    }
}

fn percent(part: usize, of: usize) -> String {
    format!("{part} of {of} ({} %)", (100 * part).checked_div(of).unwrap_or(0))
}

fn places(out: &mut String, proposal: &Proposal) {
    let plain = proposal.now.len() - proposal.reports;
    comment(out, "");
    comment(out, "Where addresses stand, nearest to the mailbox first:");
    // Of fields that no known server writes only those that could become a line: any value with an address is one.
    let is_worth = |stat: &&Stat| !stat.added || (stat.local > 0 && is_part(stat.messages, plain, 10));
    let stats: Vec<&Stat> = proposal.places.stats.iter().filter(is_worth).collect();
    for stat in stats.iter().copied().take(SHOWN) {
        comment(out, &place(stat, plain));
    }
    if stats.is_empty() {
        comment(out, "nowhere above To and Cc: no server notes to whom it delivers.");
    }
    if stats.len() > SHOWN {
        comment(out, &format!("and {} more places", stats.len() - SHOWN));
    }
}

fn place(stat: &Stat, plain: usize) -> String {
    let mut text = format!("{}: in {} messages", stat.place, percent(stat.messages, plain));
    let hops: Vec<String> = stat.hops.keys().take(5).map(u32::to_string).collect();
    let _ = write!(text, ", hop {}", hops.join(", "));
    let _ = write!(text, "; an address in {}", stat.named);
    if stat.own > 0 {
        let _ = write!(text, ", the mailbox's own in {}", stat.own);
    }
    let _ = write!(text, ", another local one in {}", stat.local);
    match stat.constant() {
        _ if stat.local == 0 => {}
        Some(value) if stat.local > 1 => {
            let _ = write!(text, ", nearly always {value}");
        }
        _ => {
            let _ = write!(text, ", {}{} different", stat.values.len(), if stat.many { " and more" } else { "" });
        }
    }
    if stat.local > 0 {
        let _ = write!(text, "; To and Cc agree in {} and disagree in {}", stat.agree, stat.disagree);
    }
    let worth = match stat.worth(plain) {
        Worth::Genuine => "genuine",
        Worth::Partial => "genuine where it stands, which is not everywhere",
        Worth::Foreign => "not genuine: a sender or a forwarder can have written it",
        Worth::Unclear => "unclear: no Received field stands below it",
    };
    text + ": " + worth
}

fn disputes(out: &mut String, proposal: &Proposal) {
    let mut disputes: Vec<_> = proposal.places.disputes.iter().collect();
    disputes.sort_by_key(|(_, dispute)| std::cmp::Reverse(dispute.messages));
    if !disputes.is_empty() {
        comment(out, "");
        comment(out, "What disagrees:");
    }
    for ((one, other), dispute) in disputes.iter().take(PAIRS) {
        let more = if dispute.messages > NAMED { ", …" } else { "" };
        comment(out, &format!("{one} and {other}: {} messages: {}{more}", dispute.messages, dispute.origins.join(", ")));
    }
    if disputes.len() > PAIRS {
        comment(out, &format!("and {} more pairs", disputes.len() - PAIRS));
    }
}

fn mix(tally: &Tally) -> String {
    let mut kinds: Vec<_> = tally.iter().collect();
    kinds.sort_by_key(|(_, number)| std::cmp::Reverse(**number));
    kinds.iter().map(|(kind, number)| format!("{number} {kind}")).collect::<Vec<_>>().join(", ")
}

fn outcomes(out: &mut String, sample: &Sample, proposal: &Proposal) {
    comment(out, "");
    comment(out, "What decides (resent and header are guesses, none names nobody local):");
    let as_it_is = if proposal.domains.is_empty() { "with the profile as it is" } else { "with these domains alone" };
    comment(out, &format!("{as_it_is}: {}", mix(&replay::tally(&proposal.now))));
    comment(out, &format!("with the lines below: {}", mix(&replay::tally(&proposal.new))));
    let number = replay::differences(&proposal.new, &proposal.now);
    comment(out, &format!("{number} messages are decided differently{}", if number > 0 { ", for example" } else { "" }));
    let both = proposal.now.iter().zip(&proposal.new).zip(&sample.kept);
    for ((now, new), kept) in both.filter(|((now, new), _)| now.recipients != new.recipients).take(NAMED) {
        comment(out, &format!("{}: {} now, {} with the lines below", kept.origin, who(now), who(new)));
    }
}

fn who(outcome: &Outcome) -> String {
    let names: Vec<&str> = outcome.recipients.iter().take(5).map(String::as_str).collect();
    if names.is_empty() { "nobody".into() } else { names.join(" and ") }
}

/// The settings that are not the default ones, each below what there is to say of it.
fn section(out: &mut String, sample: &Sample, proposal: &Proposal) -> Result<()> {
    let table = |settings: &RouteSettings| {
        toml::Table::try_from(settings).map_err(|e| Error::new(Status::Software, format!("the settings can't be written: {e}")))
    };
    let (mut values, usual) = (table(&proposal.settings)?, table(&RouteSettings::default())?);
    let mut line = |out: &mut String, key: &str| {
        if let Some(value) = values.remove(key).filter(|value| usual.get(key) != Some(value)) {
            let _ = writeln!(out, "{key} = {value}");
        }
    };
    for key in KEYS {
        about(out, key, sample, proposal);
        line(out, key);
    }
    about(out, "journal-from", sample, proposal);
    line(out, "journal-from");
    let others: Vec<String> = usual.keys().cloned().chain(["users", "catchall", "sent-folder"].map(String::from)).collect();
    others.iter().for_each(|key| line(out, key));
    Ok(())
}

fn about(out: &mut String, key: &str, sample: &Sample, proposal: &Proposal) {
    let total = sample.kept.len();
    match key {
        "domains" => domains(out, proposal),
        "own-addresses" => proposal.own.iter().for_each(|own| comment(out, &own_line(own, total))),
        "strip-prefix" => proposal.prefixes.iter().for_each(|one| {
            let text = format!(
                "{}: before {} local parts in Delivered-To; {} times another field names what is left",
                one.text,
                percent(one.fields, one.of),
                one.confirmed
            );
            comment(out, &text);
        }),
        "trusted-fields" => fields(out, proposal),
        "trusted-by" => trusted_by(out, sample, proposal),
        _ => reporters(out, proposal),
    }
}

fn domains(out: &mut String, proposal: &Proposal) {
    for domain in &proposal.domains {
        let place = if domain.by_trace { "in the topmost trace fields" } else { "in To and Cc only, which is a guess" };
        comment(out, &format!("{}: named by {} messages {place}, {} different addresses", domain.name, domain.messages, domain.addresses));
    }
    if !proposal.domains.is_empty() {
        comment(out, "The profile names no domains: strike out those that are not yours, and add those that are missing.");
    }
    if proposal.settings.domains.is_empty() {
        comment(out, "No domain stands often enough to be proposed; name yours here and calibrate again: domains = [\"…\"]");
    }
}

fn own_line(own: &Own, total: usize) -> String {
    let seen = format!(
        "{}: a trace field names it in {} messages, and {} are written to it",
        own.address,
        percent(own.messages, total),
        own.written
    );
    match own.doubt {
        None => seen + ": the mailbox itself",
        Some(doubt) => format!("{seen}: not proposed, {doubt}"),
    }
}

fn fields(out: &mut String, proposal: &Proposal) {
    let names: Vec<&str> = proposal.fields.iter().map(|stat| stat.place.as_str()).collect();
    let is_listed = |outcome: &&Outcome| outcome.place.as_ref().is_some_and(|place| names.contains(&place.as_str()));
    match proposal.fate {
        Fate::None => {}
        Fate::Needless => {
            let text =
                format!("trusted-fields = {names:?} would change nothing: no other envelope field of these messages names anybody local.");
            comment(out, &text);
        }
        Fate::Worse => comment(out, &format!("trusted-fields = {names:?} is not proposed: fewer messages would be decided surely.")),
        Fate::Proposed => {
            for name in &names {
                let number = proposal.new.iter().filter(|outcome| outcome.place.as_deref() == Some(*name)).count();
                comment(out, &format!("{name} decides {} messages", percent(number, proposal.new.len())));
            }
            let rest: Vec<Outcome> =
                proposal.new.iter().zip(&proposal.plain).filter(|(new, _)| !is_listed(new)).map(|(_, old)| old.clone()).collect();
            if !rest.is_empty() {
                comment(out, &format!("Without this line the other {} would be decided by: {}", rest.len(), mix(&replay::tally(&rest))));
            }
            let advice = "With it no other envelope field counts, whoever wrote it. When the server writes other fields after an upgrade, mdrop-report says so; calibrate again then.";
            comment(out, advice);
        }
    }
}

fn trusted_by(out: &mut String, sample: &Sample, proposal: &Proposal) {
    let total = sample.kept.len();
    let unseen = hosts::unseen(&proposal.settings.trusted_by, &sample.kept);
    if !unseen.is_empty() {
        comment(out, &format!("No Received field of this sample is by {}: strike it out unless you know it.", unseen.join(", ")));
    }
    let show = |hosts: &[(String, usize)]| {
        hosts.iter().take(SHOWN).map(|(host, number)| format!("{host} {}", percent(*number, total))).collect::<Vec<_>>().join(", ")
    };
    if proposal.chain_fits {
        comment(out, &format!("Hosts that wrote the topmost Received fields: {}.", show(&proposal.chain)));
        let advice = "With trusted-by, fields below theirs do not count, which a sender can have written. It hurts when a host gets another name: then no trace field counts until it is named here, and mail is guessed from To and Cc.";
        return comment(out, advice);
    }
    if !proposal.chain.is_empty() && total >= FEW {
        return comment(out, &format!("trusted-by is not proposed, as fewer messages would be decided surely: {}", show(&proposal.chain)));
    }
    let top = hosts::at_the_top(&sample.kept);
    if total >= FEW && !top.is_empty() {
        comment(
            out,
            &format!("trusted-by is not proposed: no host wrote the topmost Received field of nearly all messages; {}", show(&top)),
        );
    }
}

fn reporters(out: &mut String, proposal: &Proposal) {
    if proposal.reports == 0 {
        return;
    }
    let from: Vec<String> = proposal.reporters.iter().take(SHOWN).map(|(author, number)| format!("{author} {number}")).collect();
    comment(out, &format!("{} are journal reports, from {}", percent(proposal.reports, proposal.now.len()), from.join(", ")));
    if proposal.settings.journal_from.is_empty() {
        comment(out, "journal-from is not proposed: that needs most of the mail to be reports, nearly all of one sender.");
    }
}
