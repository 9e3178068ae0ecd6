//! mdrop-fetch when the connection breaks, the server says no, or the mailbox changes while it is read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::served::mailserver::{Faults, Mailbox};
use common::served::{Served, archive, with_profile};
use common::tools::Ran;
use mdrop::record::{Listing, Record};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const BOTH: [&str; 2] = ["imap", "pop3"];

fn messages(number: usize) -> Vec<Vec<u8>> {
    let text = |n| format!("From: a@example.com\r\nTo: b@example.com\r\nSubject: {n}\r\n\r\n{}\r\n", "text\r\n".repeat(n));
    (1..=number).map(|n| text(n).into_bytes()).collect()
}

fn server(number: usize, faults: Faults) -> Served {
    Served::with(messages(number), |config| config.faults = faults)
}

/// A profile with short pauses; `more` is for `[account]`.
fn profile(served: &Served, protocol: &str, more: &str) -> PathBuf {
    let path = served.profile(protocol, "archive", "");
    let text = std::fs::read_to_string(&path).unwrap();
    let more = format!("retry-pause = \"1ms\"\n{more}[route]\n");
    common::dovecot::write_private(&path, &text.replace("[route]\n", &more));
    path
}

fn fetch(profile: &Path) -> (Ran, Vec<Record>) {
    let log = profile.with_extension("log");
    let _ = std::fs::remove_file(&log);
    let ran = with_profile("mdrop-fetch", profile, &["--log", log.to_str().unwrap()], b"");
    let text = std::fs::read(&log).unwrap();
    (ran, text.split_inclusive(|b| *b == b'\n').map(|line| Record::parse(line).unwrap()).collect())
}

/// The messages that a run handed on, in the order of their sizes, which is that of their numbers.
fn numbers(ran: &Ran) -> Vec<usize> {
    let sent = messages(200);
    let mut seen: Vec<usize> = ran.messages().iter().map(|(_, octets)| sent.iter().position(|m| m == octets).unwrap() + 1).collect();
    seen.sort_unstable();
    seen
}

/// Messages by outcome, as the summary counts them.
fn counts(log: &[Record], outcomes: &[&str]) -> Vec<u64> {
    let Some(Record::Summary(summary)) = log.last() else { panic!("no summary") };
    outcomes.iter().map(|outcome| summary.counts.get(*outcome).map_or(0, |volume| volume.messages)).collect()
}

fn findings(log: &[Record], kind: &str) -> usize {
    log.iter().filter(|record| matches!(record, Record::Finding(finding) if finding.finding == kind)).count()
}

fn failures(log: &[Record]) -> Vec<String> {
    log.iter().filter_map(|record| if let Record::Failure(failure) = record { Some(failure.why.clone()) } else { None }).collect()
}

#[test]
fn a_connection_that_is_cut_again_and_again_costs_no_message() {
    for protocol in BOTH {
        let served = server(30, Faults { cut_at_message: Some(4), ..Faults::default() });
        let (ran, log) = fetch(&profile(&served, protocol, ""));
        assert_eq!(ran.code, 0, "{protocol}: {}", ran.stderr);
        assert_eq!(numbers(&ran), (1..=30).collect::<Vec<_>>(), "{protocol}");
        assert_eq!(findings(&log, "reconnect"), 9, "{protocol}");
        assert_eq!(counts(&log, &["listed", "fetched", "failed"]), [30, 30, 0], "{protocol}");
        assert!(ran.stderr.contains("connection closed by server; connecting again in"), "{protocol}: {}", ran.stderr);
    }
}

#[test]
fn a_bye_in_the_middle_of_a_message_is_a_lost_connection() {
    for protocol in BOTH {
        let served = server(8, Faults { bye_at_message: Some(3), ..Faults::default() });
        let (ran, _) = fetch(&profile(&served, protocol, ""));
        assert_eq!((ran.code, numbers(&ran).len()), (0, 8), "{protocol}: {}", ran.stderr);
    }
}

#[test]
fn a_message_that_breaks_two_connections_is_left_out_and_tried_again_in_the_next_run() {
    for protocol in BOTH {
        let served = server(12, Faults { cut_at_uid: [3, 4, 12].into(), ..Faults::default() });
        let profile = profile(&served, protocol, "retries = 2\n");
        let (ran, log) = fetch(&profile);
        assert_eq!(ran.code, 69, "{protocol}: {}", ran.stderr);
        assert_eq!(numbers(&ran), [1, 2, 5, 6, 7, 8, 9, 10, 11], "{protocol}");
        assert_eq!(counts(&log, &["listed", "fetched", "failed"]), [12, 9, 3], "{protocol}");
        let failed = failures(&log);
        assert!(failed.iter().all(|why| why.contains("left out until the next run")), "{failed:?}");
        let named = if protocol == "imap" { "UID 4" } else { "UIDL" };
        assert!(failed[1].contains(named), "{failed:?}");
        served.server.set_faults(Faults::default());
        assert_eq!(archive(&profile).receipts().len(), 12, "{protocol}");
    }
}

#[test]
fn a_server_that_breaks_at_every_message_is_given_up_and_all_is_accounted_for() {
    for protocol in BOTH {
        let served = server(40, Faults { cut_at_message: Some(1), ..Faults::default() });
        let (ran, log) = fetch(&profile(&served, protocol, "retries = 3\n"));
        assert_eq!((ran.code, ran.stdout.len()), (69, 0), "{protocol}: {}", ran.stderr);
        assert_eq!(counts(&log, &["listed", "fetched", "failed"]), [40, 0, 40], "{protocol}");
        assert_eq!(failures(&log).len(), 11, "{protocol}");
        assert!(failures(&log)[10].contains("30 messages not fetched"), "{:?}", failures(&log));
        let (ran, log) = fetch(&profile(&served, protocol, "retries = 0\n"));
        assert_eq!((ran.code, findings(&log, "reconnect")), (69, 0), "{protocol}");
    }
}

#[test]
fn a_server_that_is_away_is_tried_again_and_then_named() {
    for protocol in BOTH {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let served = server(1, Faults::default());
        let path = profile(&served, protocol, "retries = 3\n");
        let text = std::fs::read_to_string(&path).unwrap();
        let port = text.lines().find(|line| line.starts_with("port")).unwrap().to_owned();
        common::dovecot::write_private(&path, &text.replace(&port, &format!("port = {gone}")));
        let (ran, log) = fetch(&path);
        assert_eq!((ran.code, findings(&log, "reconnect")), (69, 3), "{protocol}: {}", ran.stderr);
        assert!(ran.stderr.lines().last().unwrap().contains("connection refused"), "{}", ran.stderr);
    }
}

#[test]
fn a_stalled_message_is_given_up_after_the_time_out_and_a_run_after_its_own() {
    for protocol in BOTH {
        let faults = Faults { stall_at_message: Some(2), stall: Duration::from_mins(1), ..Faults::default() };
        let served = server(3, faults);
        let began = Instant::now();
        let (ran, _) = fetch(&profile(&served, protocol, "").with_timeout("400ms"));
        assert_eq!((ran.code, numbers(&ran)), (0, vec![1, 2, 3]), "{protocol}: {}", ran.stderr);
        assert!(began.elapsed() < Duration::from_secs(10));
        let (ran, _) = fetch(&profile(&served, protocol, "run-timeout = \"700ms\"\n"));
        assert_eq!((ran.code, numbers(&ran)), (75, vec![1]), "{protocol}: {}", ran.stderr);
        assert!(ran.stderr.contains("stopped after 0.7 seconds, the run-timeout"), "{}", ran.stderr);
    }
}

#[test]
fn a_signal_ends_the_pause_before_a_retry() {
    let served = server(2, Faults { cut_at_message: Some(1), ..Faults::default() });
    let path = profile(&served, "imap", "");
    let text = std::fs::read_to_string(&path).unwrap().replace("retry-pause = \"1ms\"", "retry-pause = \"50s\"");
    common::dovecot::write_private(&path, &text);
    let began = Instant::now();
    let line = format!("{} -p {} & sleep 1; kill -TERM $!; wait $!", common::tools::path_of("mdrop-fetch").display(), path.display());
    let ran = common::tools::run_command(std::process::Command::new("bash").args(["-c", &line]), b"");
    assert_eq!(ran.code, 75, "{}", ran.stderr);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn what_is_deleted_while_it_is_read_is_told_and_no_failure() {
    let served = server(9, Faults { vanish: [4, 5, 9].into(), ..Faults::default() });
    let profile = profile(&served, "imap", "");
    let (ran, log) = fetch(&profile);
    assert_eq!((ran.code, numbers(&ran)), (0, vec![1, 2, 3, 6, 7, 8]), "{}", ran.stderr);
    assert_eq!(counts(&log, &["listed", "fetched", "vanished", "failed"]), [9, 6, 3, 0]);
    assert_eq!(findings(&log, "vanished"), 3);
    let report = with_profile("mdrop-report", &profile, &["--json", profile.with_extension("log").to_str().unwrap()], b"");
    assert!(!report.text().contains("\"stage\":\"fetch\",\"given\""), "the books of mdrop-fetch balance: {}", report.text());
}

#[test]
fn a_message_for_which_the_listing_is_refused_costs_that_message() {
    let served = server(50, Faults { refuse_listing: [7, 8, 33].into(), ..Faults::default() });
    let (ran, log) = fetch(&profile(&served, "imap", ""));
    assert_eq!((ran.code, numbers(&ran).len()), (75, 47), "{}", ran.stderr);
    assert_eq!(counts(&log, &["listed", "fetched", "failed"]), [50, 47, 3]);
    assert!(failures(&log)[0].contains("listing: the server says: [SERVERBUG]"), "{:?}", failures(&log));
}

#[test]
fn refused_messages_are_named_and_the_others_come() {
    for protocol in BOTH {
        let served = server(20, Faults { refuse: [2, 11].into(), ..Faults::default() });
        let (ran, log) = fetch(&profile(&served, protocol, ""));
        assert_eq!((ran.code, numbers(&ran).len(), failures(&log).len()), (75, 18, 2), "{protocol}: {}", ran.stderr);
    }
}

#[test]
fn a_uidvalidity_that_changes_between_two_connections_ends_that_mailbox_only() {
    let other = Mailbox::with_messages("Other", 3, messages(2));
    let faults = Faults { cut_at_message: Some(2), ..Faults::default() };
    let served = Served::with(messages(5), |config| {
        config.mailboxes.push(other);
        config.faults = faults;
    });
    let path = profile(&served, "imap", "");
    let text = std::fs::read_to_string(&path).unwrap().replace("retry-pause = \"1ms\"", "retry-pause = \"2s\"");
    common::dovecot::write_private(&path, &text);
    let (ran, log) = std::thread::scope(|scope| {
        let running = scope.spawn(|| fetch(&path));
        while !served.server.commands().iter().any(|command| command.contains("BODY.PEEK")) {
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(300));
        served.server.with_mailbox("INBOX", |mailbox| mailbox.uid_validity = 10).unwrap();
        served.server.set_faults(Faults::default());
        running.join().unwrap()
    });
    assert_eq!(ran.code, 75, "{}", ran.stderr);
    assert!(
        failures(&log).iter().any(|why| why.contains("box/INBOX: 4 messages not fetched, UID 2:5: UIDVALIDITY changed")),
        "{:?}",
        failures(&log)
    );
    assert_eq!(ran.messages().len(), 3);
}

#[test]
fn a_mailbox_that_the_server_never_opens_does_not_take_the_others_along() {
    let served = Served::with(messages(2), |config| {
        config.mailboxes.insert(0, Mailbox::with_messages("Full", 3, messages(1)));
        config.faults = Faults { refuse_open: Some(("Full".into(), "OVERQUOTA".into())), ..Faults::default() };
    });
    let (ran, log) = fetch(&profile(&served, "imap", "retries = 2\n"));
    assert_eq!((ran.code, numbers(&ran), findings(&log, "reconnect")), (75, vec![1, 2], 2), "{}", ran.stderr);
    assert!(failures(&log)[0].contains("box/Full: EXAMINE: the server says: [OVERQUOTA]"), "{:?}", failures(&log));
}

#[test]
fn a_mailbox_of_many_known_messages_is_listed_briefly_and_as_completely() {
    let served = server(3, Faults::default());
    served.server.with_mailbox("INBOX", |mailbox| {
        for message in messages(3).iter().cycle().take(12_000) {
            mailbox.add(message);
        }
    });
    let profile = profile(&served, "imap", "");
    let known = |samples: &str| {
        let line = format!(
            r#"{{"type":"known","v":1,"account":"box","login":"box@127.0.0.1","mailbox":"INBOX","uidvalidity":9,"uids":"2:11990","samples":[{samples}]}}"#
        );
        line + "\n"
    };
    let run = |known: &str| {
        served.server.clear_commands();
        let log = profile.with_extension("log");
        let _ = std::fs::remove_file(&log);
        let ran = with_profile("mdrop-fetch", &profile, &["--known", "-", "--log", log.to_str().unwrap()], known.as_bytes());
        let text = std::fs::read_to_string(&log).unwrap();
        let listing = text.lines().find_map(|line| match Record::parse(line.as_bytes()).unwrap() {
            Record::Listing(listing) => Some(*listing),
            _ => None,
        });
        (
            ran,
            listing.unwrap(),
            served.server.commands().iter().filter(|command| command.contains("RFC822.SIZE")).cloned().collect::<Vec<_>>(),
        )
    };
    let size = messages(3)[0].len();
    let (ran, listing, asked): (Ran, Listing, Vec<String>) = run(&known(&format!(r#"{{"uid":4,"server_size":{size}}}"#)));
    assert_eq!((ran.code, ran.messages().len()), (0, 14), "{}", ran.stderr);
    assert_eq!((listing.uids.to_string().as_str(), listing.known.to_string().as_str()), ("1:12003", "2:11990"));
    assert!(asked.len() == 1 && asked[0].contains("UID FETCH 1,4,11991:12003 ("), "{asked:?}");
    // A sample that differs: nothing that was known is believed, and all is listed.
    let (ran, listing, asked) = run(&known(r#"{"uid":4,"server_size":1}"#));
    assert_eq!((ran.messages().len(), listing.known.len(), asked.len()), (12_003, 0, 2), "{}", ran.stderr);
}

#[test]
fn of_messages_that_share_a_unique_id_the_one_that_is_left_is_fetched() {
    for cut in [1, 2, 3] {
        let sent =
            ["one", "two", "six"].map(|word| format!("From: a@example.com\r\nTo: b@example.com\r\nSubject: {word}\r\n\r\n").into_bytes());
        let faults = Faults { cut_at_message: Some(cut), ..Faults::default() };
        let served = Served::with(sent.clone(), |config| config.faults = faults);
        share_uidl(&served, &[1, 2, 3]);
        let profile = profile(&served, "pop3", "retries = 2\n");
        let (ran, log) = fetch(&profile);
        let mut came: Vec<Vec<u8>> = ran.messages().into_iter().map(|message| message.1).collect();
        came.sort();
        came.dedup();
        let [fetched, failed] = counts(&log, &["fetched", "failed"])[..] else { panic!() };
        assert_eq!((came.len() as u64, fetched + failed), (fetched, 3), "cut at {cut}: {}", ran.stderr);
        assert!(cut == 1 || fetched == 3, "cut at {cut}: {}", ran.stderr);
    }
}

/// Profiles with another time-out.
trait WithTimeout {
    fn with_timeout(self, span: &str) -> PathBuf;
}

impl WithTimeout for PathBuf {
    fn with_timeout(self, span: &str) -> PathBuf {
        let text = std::fs::read_to_string(&self).unwrap();
        common::dovecot::write_private(&self, &text.replace("timeout = \"10s\"", &format!("timeout = \"{span}\"")));
        self
    }
}

fn share_uidl(served: &Served, uids: &[u32]) {
    served.server.with_mailbox("INBOX", |mailbox| {
        for uid in uids {
            mailbox.message_mut(*uid).unwrap().uidl = Some("same".into());
        }
    });
}

#[test]
fn messages_of_one_size_may_share_a_unique_id_and_none_is_lost_or_deleted_unseen() {
    let [a, b] = ["one", "two"].map(|word| format!("From: a@example.com\r\nTo: b@example.com\r\nSubject: {word}\r\n\r\n\r\n").into_bytes());
    let served = Served::new([a.clone(), b.clone(), a.clone()]);
    share_uidl(&served, &[1, 2, 3]);
    let profile = served.profile("pop3", "archive", "enabled = true\nafter = \"0d\"\ncompare = \"size\"\n");
    let archived = archive(&profile);
    assert_eq!(archived.receipts().len(), 3);
    assert_eq!(archive(&profile).receipts().len(), 0, "the second run brings nothing");
    let kept = with_profile("mdrop-cat", &profile, &["--stream"], &archived.stdout).exits(0);
    let mut octets: Vec<Vec<u8>> = kept.messages().into_iter().map(|message| message.1).collect();
    octets.sort();
    octets.dedup();
    assert!(octets.contains(&a) && octets.contains(&b) && octets.len() == 2);
    let purgeable = with_profile("mdrop-store", &profile, &["--purgeable"], b"").exits(0);
    with_profile("mdrop-purge", &profile, &[], &purgeable.stdout);
    assert_eq!(served.server.uids("INBOX"), [1, 2, 3], "by their size they can't be told apart");
}

#[test]
fn messages_of_different_sizes_under_one_unique_id_cost_the_second() {
    let served = server(4, Faults::default());
    share_uidl(&served, &[2, 3]);
    let (ran, log) = fetch(&profile(&served, "pop3", ""));
    assert_eq!((ran.code, numbers(&ran)), (76, vec![1, 2, 4]), "{}", ran.stderr);
    assert!(failures(&log)[0].contains("message 3: the server gives UIDL same to two messages of different sizes"), "{:?}", failures(&log));
}

#[test]
fn a_server_without_uidl_is_refused_or_read_by_digest_as_the_profile_says() {
    let served = Served::with(messages(6), |config| {
        config.without.insert("UIDL".into());
        config.faults = Faults { cut_at_message: Some(3), ..Faults::default() };
    });
    let path = profile(&served, "pop3", "");
    let (ran, _) = fetch(&path);
    assert_eq!((ran.code, ran.stdout.len()), (76, 0));
    assert!(ran.stderr.contains("the server has no UIDL") && ran.stderr.contains("without-uidl"), "{}", ran.stderr);
    let path = profile(&served, "pop3", "without-uidl = \"digest\"\n");
    let (ran, log) = fetch(&path);
    assert_eq!((ran.code, numbers(&ran)), (0, (1..=6).collect()), "{}", ran.stderr);
    assert_eq!(counts(&log, &["listed", "known", "fetched", "failed"]), [6, 0, 6, 0]);
    served.server.set_faults(Faults::default());
    assert_eq!(archive(&path).receipts().len(), 6);
    served.server.with_mailbox("INBOX", |mailbox| {
        mailbox.add(&messages(7)[6]);
        mailbox.add(&messages(7)[0]);
    });
    let receipts = archive(&path).receipts();
    assert_eq!(receipts.len(), 1, "a copy of what is known is known");
    assert!(receipts[0].origin.to_string().contains("UIDL blake3:"), "{}", receipts[0].origin);
}
