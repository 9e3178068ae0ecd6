use super::*;
use crate::text;
use mdrop::identity::{Account, Digest, Origin, Place};
use mdrop::record::Stage;

fn summary(tool: &str, exit: u8, counts: &[(&str, u64, u64)]) -> Record {
    let volume = |&(name, messages, bytes): &(&str, u64, u64)| (name.to_owned(), Volume { messages, bytes });
    Record::Summary(Box::new(Summary {
        v: V1,
        tool: format!("{tool} 0.1.0"),
        profile: Some("acme".into()),
        started: Time::from_unix(1_795_000_000),
        seconds: 2.0,
        exit,
        counts: counts.iter().map(volume).collect(),
        users: BTreeMap::new(),
        evidence: BTreeMap::new(),
        head: None,
    }))
}

fn good() -> Vec<Record> {
    vec![
        summary("mdrop-fetch", 0, &[("listed", 10, 1000), ("known", 3, 300), ("fetched", 7, 700)]),
        summary("mdrop-route", 0, &[("routed", 4, 400), ("unknown", 2, 200), ("skipped", 1, 100)]),
        summary("mdrop-store", 0, &[("new", 5, 500), ("duplicate", 1, 100), ("refused", 1, 100)]),
    ]
}

fn origin(uidl: &str) -> Origin {
    Origin { account: Account { name: "acme".into(), login: String::new() }, place: Place::Pop3 { uidl: uidl.into() } }
}

fn failure(uidl: &str, why: &str) -> Record {
    Record::Failure(Box::new(Failure { v: V1, origin: Some(origin(uidl)), why: format!("acme: UIDL {uidl}: {why}"), status: 76 }))
}

fn stage(name: &str, exit: u8) -> Record {
    Record::Stage(Stage { v: V1, stage: name.into(), exit })
}

fn report(records: impl IntoIterator<Item = Record>) -> Report {
    let mut builder = Builder::default();
    records.into_iter().for_each(|record| builder.add(record));
    builder.finish()
}

#[test]
fn books_balance_when_each_stage_accounts_for_what_the_one_before_handed_on() {
    let report = report(good());
    assert!(report.books.balanced && report.is_good(), "{:?}", report.books);
    assert_eq!(report.totals.listed, Some(Volume { messages: 10, bytes: 1000 }));
    assert_eq!((report.pipeline_seconds, report.rate()), (2.0, Some((3.5, 350.0))));
    assert!(text::write(&report).contains("10 listed = 3 archived already + 5 new + 1 duplicate + 1\nrefused + 0 failed"));
}

#[test]
fn a_message_lost_in_a_stage_is_laid_at_that_stages_door() {
    for (at, tool, stage) in [(0, "mdrop-fetch", "fetch"), (1, "mdrop-route", "route"), (2, "mdrop-store", "store")] {
        let mut records = good();
        let Record::Summary(summary) = &mut records[at] else { panic!() };
        let outcome = ["known", "unknown", "new"][at];
        summary.counts.entry(outcome.into()).and_modify(|volume| volume.messages -= 1);
        let report = report(records);
        assert_eq!(report.books.gaps[0].stage, stage);
        assert!(report.books.gaps[0].to_string().starts_with(tool) && report.books.gaps[0].to_string().contains("1 are unaccounted for"));
        assert!(!report.is_good());
    }
}

#[test]
fn a_message_too_many_is_a_gap_as_well() {
    let mut records = good();
    records[2] = summary("mdrop-store", 0, &[("new", 9, 900)]);
    assert_eq!(report(records).books.gaps[0].to_string(), "mdrop-store had 7 messages and accounts for 9: 2 came from nowhere");
}

#[test]
fn a_stage_without_a_summary_is_named_with_how_it_ended() {
    let mut records = good();
    records.pop();
    let silent = report(good().into_iter().take(2));
    assert_eq!(silent.books.gaps[0].to_string(), "mdrop-store left no summary: what became of 7 messages is not known");
    assert!(text::write(&silent).contains("mdrop-store: no summary; killed, or no log"));
    records.extend([stage("known", 0), stage("fetch", 0), stage("route", 0), stage("store", 137)]);
    let killed = report(records);
    assert!(text::write(&killed).contains("mdrop-store: killed by signal 9"));
    assert_eq!(killed.totals.new, None);
}

#[test]
fn a_run_that_ended_before_anything_was_fetched_owes_no_books() {
    let report = report([stage("known", 65)]);
    assert!(report.books.balanced && !report.is_good());
    let text = text::write(&report);
    assert!(text.contains("no books") && text.contains("mdrop-store --known: bad data"), "{text}");
}

#[test]
fn an_early_end_says_how_many_messages_it_left_unanswered() {
    let mut records = good();
    records[0] = summary("mdrop-fetch", 75, &[("listed", 12, 1200), ("known", 3, 300), ("fetched", 7, 700)]);
    let report = report(records);
    let gap = report.books.gaps[0].to_string();
    assert_eq!(gap, "mdrop-fetch ended with status 75 before it had answered for 2 of 12 messages");
    assert!(text::write(&report).contains("mdrop-fetch 0.1.0: stopped; try again later"));
}

#[test]
fn failures_that_differ_only_in_the_message_are_counted_together() {
    let many = (0..5).map(|n| failure(&n.to_string(), "cut short"));
    let report = report(good().into_iter().chain(many).chain([failure("9", "NO \u{1b}[2J")]));
    let counted: Vec<_> = report.failures.iter().map(|group| (group.what.as_str(), group.number, group.named.len())).collect();
    assert_eq!(counted[0], ("cut short", 5, NAMED));
    let text = text::write(&report);
    assert!(text.contains("acme: UIDL 2\n             and 2 more"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn the_head_is_the_last_segment_that_any_stage_saw() {
    let head = |segment| Some(Head { archive: "a".into(), segment, blake3: Digest::of(b"x") });
    let mut records = good();
    for (record, segment) in records.iter_mut().zip([4, 9, 7]) {
        let Record::Summary(summary) = record else { panic!() };
        summary.head = head(segment);
    }
    assert_eq!(report(records).head, head(9));
    assert_eq!(report(good()).head, None);
}

#[test]
fn users_are_those_the_store_filed_under_and_the_most_come_first() {
    let users =
        |of: &[(&str, u64)]| of.iter().map(|(user, messages)| ((*user).to_owned(), Volume { messages: *messages, bytes: 0 })).collect();
    let mut records = good();
    for (at, of) in [(1, [("x", 9), ("y", 9)]), (2, [("a", 2), ("b", 5)])] {
        let Record::Summary(summary) = &mut records[at] else { panic!() };
        summary.users = users(&of);
    }
    let lines = report(records).users;
    assert_eq!(lines.iter().map(|line| line.user.as_str()).collect::<Vec<_>>(), ["b", "a"]);
}
