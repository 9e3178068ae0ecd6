//! The report as text for people: it must read well as a mail from cron, so it is plain, aligned, and at most 78 columns wide.
//!
//! Numbers come first and names last, so that a long name spoils no column.

use crate::mix;
use crate::report::{Group, Report, StageLine, to_f64};
use mdrop::error::printable;
use mdrop::record::Volume;
use std::fmt::Write;

/// How wide a line may be.
const WIDTH: usize = 78;
/// How many lines of one kind are printed; --json has all.
const LONGEST: usize = 50;

/// The whole text.
pub fn write(report: &Report) -> String {
    let mut out = heading(report);
    for section in [totals, mailboxes, users, failures, findings, evidence, stages, books, head] {
        let text = section(report);
        if !text.is_empty() {
            out.push('\n');
            out += &text;
        }
    }
    out
}

fn heading(report: &Report) -> String {
    let profile = report.profile.as_deref().map_or("no profile".into(), printable);
    let started = report.started.map(|time| format!(", {time}")).unwrap_or_default();
    let mut out = format!("mdrop: {profile}{started}, {}\n", duration(report.seconds));
    if let Some((messages, bytes)) = report.rate() {
        let _ = writeln!(out, "{messages:.1} messages/s, {}/s", size_of(bytes));
    }
    out
}

fn totals(report: &Report) -> String {
    let totals = &report.totals;
    let failed = Some(totals.failed);
    let always = [
        (totals.listed, "listed by the server"),
        (totals.known, "archived already"),
        (totals.fetched, "fetched"),
        (totals.new, "new"),
        (totals.duplicate, "duplicate: stored from another origin"),
        (totals.refused, "refused: left out by policy"),
        (failed, "failed: tried again in the next run"),
        (totals.unknown, "unknown: for none of the users"),
    ];
    let gone = (totals.vanished, "vanished: deleted on the server before they were fetched");
    let moved = (totals.moved, "moved: stands elsewhere on the server");
    let purge =
        [gone, moved, (totals.purged, "purged"), (totals.gone, "gone before they could be purged"), (totals.kept, "kept, not purged")];
    let worth_telling = |(volume, label): &(Option<Volume>, &str)| volume.is_some_and(|v| *label == "purged" || v.messages > 0);
    let lines = always.into_iter().chain(purge.into_iter().filter(worth_telling));
    let text = format!("{:>9} {:>14}\n", "messages", "octets");
    lines.fold(text, |text, (volume, label)| text + &line(volume, label))
}

/// One line of a table: the exact numbers, the size for people, the name.
fn line(volume: Option<Volume>, label: &str) -> String {
    let lead = match volume {
        Some(Volume { messages, bytes }) => format!("{messages:>9} {bytes:>14} {:>10}  ", size(bytes)),
        None => format!("{:>9} {:>14} {:>10}  ", "?", "?", ""),
    };
    wrapped(&lead, &printable(label))
}

fn mailboxes(report: &Report) -> String {
    let lines = report.mailboxes.iter().map(|mailbox| {
        let name = match &mailbox.unread {
            Some(why) => format!("{}: not read: {why}", mailbox.name),
            None => format!("{}: {} archived already", mailbox.name, mailbox.known.messages),
        };
        line(Some(mailbox.listed), &name)
    });
    section("mailboxes, as the server lists them", &lines.collect::<Vec<_>>(), "mailboxes")
}

fn users(report: &Report) -> String {
    let lines = report.users.iter().map(|line_of| line(Some(line_of.filed), &line_of.user));
    section("users, and what was newly filed under them", &lines.collect::<Vec<_>>(), "users")
}

fn failures(report: &Report) -> String {
    section("failures", &report.failures.iter().map(group).collect::<Vec<_>>(), "kinds of failures")
}

fn findings(report: &Report) -> String {
    section("findings", &report.findings.iter().map(group).collect::<Vec<_>>(), "kinds of findings")
}

/// What decided, the most frequent first, and what of it changed.
fn evidence(report: &Report) -> String {
    let Some(evidence) = &report.evidence else { return String::new() };
    let mut mix: Vec<(&String, &u64)> = evidence.mix.iter().collect();
    mix.sort_by_key(|(_, number)| std::cmp::Reverse(**number));
    let shown: Vec<String> = mix.into_iter().take(LONGEST).map(|(kind, number)| format!("{number} {}", mix::words(kind))).collect();
    let changes = evidence.changes.iter().map(|change| wrapped("", &format!("evidence changed: {change}")));
    changes.fold(wrapped("", &format!("evidence: {}", shown.join(", "))), |text, change| text + &change)
}

/// A title and its lines, or nothing; what is too much is counted.
fn section(title: &str, lines: &[String], what: &str) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let more = lines.len().saturating_sub(LONGEST);
    let mut out = format!("{title}\n");
    lines.iter().take(LONGEST).for_each(|line| out += line);
    if more > 0 {
        let _ = writeln!(out, "{more:>9} more {what}");
    }
    out
}

fn group(group: &Group) -> String {
    let mut out = wrapped(&format!("{:>9}  ", group.number), &printable(&group.what));
    for named in &group.named {
        out += &wrapped("             ", &printable(named));
    }
    let more = group.number.saturating_sub(group.named.len() as u64);
    if more > 0 && !group.named.is_empty() {
        let _ = writeln!(out, "             and {more} more");
    }
    out
}

fn stages(report: &Report) -> String {
    let lines = report.stages.iter().map(stage);
    section("stages, with their exit status and seconds", &lines.collect::<Vec<_>>(), "stages")
}

fn stage(line: &StageLine) -> String {
    let exit = line.exit.map_or("?".into(), |exit| exit.to_string());
    let seconds = line.counts.as_ref().map_or(String::new(), |_| format!("{:.1}", line.seconds));
    let name = line.tool.as_deref().map_or_else(|| stage_name(&line.stage), printable);
    wrapped(&format!("{exit:>9} {seconds:>9}  "), &format!("{name}{}", ended(line)))
}

fn stage_name(stage: &str) -> String {
    match stage {
        "known" | "moves" | "purgeable" => format!("mdrop-store --{stage}"),
        _ => format!("mdrop-{}", printable(stage)),
    }
}

/// How a stage ended that did not end well, in words.
fn ended(line: &StageLine) -> String {
    match (line.exit, line.counts.is_some() || !line.owes_summary()) {
        (Some(exit), _) if exit > 128 => format!(": killed by signal {}", exit - 128),
        (Some(0), true) => String::new(),
        (Some(exit), true) => format!(": {}", status(exit)),
        (Some(_), false) => ": no summary".into(),
        (None, _) => ": no summary; killed, or no log".into(),
    }
}

/// What an exit status says, from sysexits(3).
fn status(exit: u8) -> &'static str {
    match exit {
        64 => "wrong command line",
        65 => "bad data",
        66 => "no such input",
        68 => "unknown host",
        69 => "service unavailable",
        70 => "a bug in mdrop",
        71 => "the system refused",
        73 => "can't create a file",
        74 => "reading or writing failed",
        75 => "stopped; try again later",
        76 => "protocol error",
        77 => "login or permission refused",
        78 => "configuration error",
        _ => "failed",
    }
}

fn books(report: &Report) -> String {
    if !report.books.balanced {
        let gaps: String = report.books.gaps.iter().map(|gap| wrapped("  ", &gap.to_string())).collect();
        let comfort = "What is not accounted for is never purged, and is fetched in the next run.";
        return format!(
            "the books do not balance:
{gaps}{}",
            wrapped("  ", comfort)
        );
    }
    let totals = &report.totals;
    let number = |volume: Option<Volume>| volume.unwrap_or_default().messages;
    if totals.listed.is_none() {
        return "no books: no message was listed\n".into();
    }
    let parts = [
        (number(totals.known), "archived already"),
        (number(totals.new), "new"),
        (number(totals.duplicate), "duplicate"),
        (number(totals.refused), "refused"),
        (totals.failed.messages, "failed"),
    ];
    let vanished = Some((number(totals.vanished), "vanished")).filter(|(number, _)| *number > 0);
    let sum: Vec<String> = parts.iter().chain(&vanished).map(|(number, what)| format!("{number} {what}")).collect();
    wrapped("", &format!("the books balance: {} listed = {}", number(totals.listed), sum.join(" + ")))
}

fn head(report: &Report) -> String {
    report.head.as_ref().map_or(String::new(), |head| {
        let archive = printable(&head.archive);
        format!("archive {archive}, head: segment {}\n{}\n", head.segment, head.blake3)
    })
}

/// `1.2 MiB`, and nothing below 1 KiB, where the exact number says it as shortly.
pub fn size(bytes: u64) -> String {
    if bytes < 1024 { String::new() } else { size_of(to_f64(bytes)) }
}

fn size_of(bytes: f64) -> String {
    let mut size = bytes;
    for unit in ["octets", "KiB", "MiB", "GiB"] {
        if size < 1023.95 {
            return if unit == "octets" { format!("{size:.0} {unit}") } else { format!("{size:.1} {unit}") };
        }
        size /= 1024.0;
    }
    format!("{size:.1} TiB")
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a run takes less than 2^64 seconds, and not less than none")]
fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Lines of at most [`WIDTH`] characters, broken at blanks, all but the first indented below the first's text.
fn wrapped(lead: &str, text: &str) -> String {
    let indent = lead.chars().count();
    let mut out = String::from(lead);
    let mut column = indent;
    for word in text.split(' ').flat_map(|word| pieces(word, WIDTH.saturating_sub(indent).max(1))) {
        let width = word.chars().count();
        if column > indent && column + 1 + width > WIDTH {
            let _ = write!(out, "\n{:indent$}", "");
            column = indent;
        }
        if column > indent {
            out.push(' ');
            column += 1;
        }
        out += &word;
        column += width;
    }
    out.push('\n');
    out
}

/// A word in pieces that fit on a line.
fn pieces(word: &str, width: usize) -> Vec<String> {
    let chars: Vec<char> = word.chars().collect();
    if chars.is_empty() { vec![String::new()] } else { chars.chunks(width).map(|piece| piece.iter().collect()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_for_people() {
        let sizes = [0, 1023, 1024, 1_048_524, 1_048_576, 5 << 30, u64::MAX].map(size);
        assert_eq!(sizes, ["", "", "1.0 KiB", "1023.9 KiB", "1.0 MiB", "5.0 GiB", "16777216.0 TiB"]);
        assert_eq!([0.04, 59.4, 61.0, 3599.9, 86_400.0].map(duration), ["0.0 s", "59.4 s", "1 min 1 s", "1 h 0 min", "24 h 0 min"]);
    }

    #[test]
    fn no_line_is_wider_than_a_mail_allows() {
        let long = "x".repeat(200) + " and words, " + &"word ".repeat(40);
        let text = wrapped("         1  ", &long);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert_eq!(text.split_whitespace().skip(1).collect::<String>().len(), long.replace(' ', "").len());
    }
}
