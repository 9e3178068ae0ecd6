//! mdrop-purge against a server that breaks off, refuses, lies or changes: what is not proved is kept, and what happened is known.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::served::mailserver::{Faults, Mailbox};
use common::served::{Served, archive, with_profile};
use common::tools::Ran;
use mdrop::record::{Purged, Record};
use std::collections::BTreeSet;
use std::path::Path;

const ON: &str = "enabled = true\nafter = \"0d\"\n";

fn mail(n: u32) -> Vec<u8> {
    format!("Delivered-To: alice@example.com\r\nSubject: {n}\r\n\r\nmail {n}\r\n").into_bytes()
}

fn three() -> [Vec<u8>; 3] {
    [1, 2, 3].map(mail)
}

fn purge(profile: &Path) -> Ran {
    let purgeable = with_profile("mdrop-store", profile, &["--purgeable"], b"").exits(0);
    with_profile("mdrop-purge", profile, &[], &purgeable.stdout)
}

fn outcomes(ran: &Ran) -> Vec<(Purged, String)> {
    let outcome = |record| if let Record::Purge(purge) = record { Some((purge.outcome, purge.why.unwrap_or_default())) } else { None };
    ran.records().into_iter().filter_map(outcome).collect()
}

/// All copies were kept, for a reason that says this.
#[track_caller]
fn all_kept(ran: &Ran, why: &str) {
    let outcomes = outcomes(ran);
    assert!(!outcomes.is_empty());
    assert!(outcomes.iter().all(|(outcome, said)| *outcome == Purged::Kept && said.contains(why)), "{outcomes:?}");
}

fn left(served: &Served) -> Vec<u32> {
    served.server.uids("INBOX")
}

fn check(profile: &Path) {
    with_profile("mdrop-check", profile, &[], b"").exits(0);
}

#[test]
fn a_purge_broken_off_at_any_command_is_finished_by_the_next() {
    let imap = ["SELECT", "UID FETCH", "UID STORE", "UID EXPUNGE"].map(|command| ("imap", command));
    let pop3 = ["LIST", "UIDL", "RETR", "DELE", "QUIT"].map(|command| ("pop3", command));
    for (protocol, command) in imap.into_iter().chain(pop3) {
        for done in [false, true] {
            let served = Served::new(three());
            let profile = served.profile(protocol, "archive", ON);
            assert_eq!(archive(&profile).receipts().len(), 3);
            let cut = Some(command.to_owned());
            let faults = if done {
                Faults { cut_before_answer: cut, ..Faults::default() }
            } else {
                Faults { cut_before_command: cut, ..Faults::default() }
            };
            served.server.set_faults(faults);
            let ran = purge(&profile);
            let what = format!("{protocol} {command}, done: {done}: {} {}", ran.code, ran.stderr);
            assert!([69, 76].contains(&ran.code), "{what}");
            assert!(outcomes(&ran).iter().all(|(outcome, _)| matches!(outcome, Purged::Unknown | Purged::Kept)), "{what}");
            served.server.set_faults(Faults::default());
            let before = left(&served).len();
            let again = purge(&profile).exits(0);
            let purged = outcomes(&again);
            let count = |outcome| purged.iter().filter(|(is, _)| *is == outcome).count();
            assert_eq!((count(Purged::Purged), count(Purged::Gone)), (before, 3 - before), "{what}");
            assert!(left(&served).is_empty(), "{what}");
            assert!(outcomes(&purge(&profile)).is_empty(), "{what}");
            check(&profile);
        }
    }
}

#[test]
fn without_uidplus_nothing_is_expunged_unless_the_profile_accepts_it_and_nothing_else_is_marked() {
    let served = Served::with(three(), |config| config.without = BTreeSet::from(["UIDPLUS".into()]));
    let profile = served.profile("imap", "archive", ON);
    archive(&profile);
    all_kept(&purge(&profile).exits(0), "the server lacks UIDPLUS");
    let profile = served.profile("imap", "archive", &format!("{ON}plain-expunge = true\n"));
    served.server.with_mailbox("INBOX", |mailbox| {
        let stranger = mailbox.add(b"Subject: not archived\r\n\r\n");
        mailbox.add_flag(stranger, "\\Deleted");
    });
    all_kept(&purge(&profile).exits(0), "1 other messages are marked");
    assert_eq!(left(&served), [1, 2, 3, 4]);
    served.server.with_mailbox("INBOX", |mailbox| mailbox.remove(|message| message.uid == 4));
    assert!(outcomes(&purge(&profile).exits(0)).iter().all(|(outcome, _)| *outcome == Purged::Purged));
    assert!(left(&served).is_empty());
}

#[test]
fn purge_refuses_when_uidvalidity_changed() {
    let served = Served::new(three());
    let profile = served.profile("imap", "archive", ON);
    archive(&profile);
    served.server.with_mailboxes(|all| *all = vec![Mailbox::with_messages("INBOX", 10, three())]);
    all_kept(&purge(&profile).exits(0), "UIDVALIDITY was 9 and is 10");
    assert_eq!(left(&served).len(), 3);
    // Its messages are fetched again under their new UIDs, stored no second time, and may then go.
    let again = archive(&profile).receipts();
    assert!(again.len() == 3 && again.iter().all(|receipt| receipt.outcome == mdrop::record::Outcome::Duplicate));
    let purged = purge(&profile).exits(0);
    assert_eq!(outcomes(&purged).iter().filter(|(outcome, _)| *outcome == Purged::Purged).count(), 3);
    assert!(left(&served).is_empty());
}

#[test]
fn a_message_exchanged_under_its_unique_id_is_kept() {
    let served = Served::new(three());
    let profile = served.profile("pop3", "archive", ON);
    archive(&profile);
    let uidl = served.server.with_mailbox("INBOX", |mailbox| mailbox.message(2).map(|message| mailbox.uidl(message))).flatten();
    served.server.with_mailbox("INBOX", |mailbox| {
        let mut other = Mailbox::with_messages("INBOX", 9, [mail(1), mail(9), mail(3)]);
        std::mem::swap(&mut mailbox.messages, &mut other.messages);
        mailbox.message_mut(2).unwrap().uidl.clone_from(&uidl);
    });
    let ran = purge(&profile).exits(0);
    assert_eq!(outcomes(&ran).iter().filter(|(_, why)| why.contains("the server hands out blake3:")).count(), 1, "{}", ran.stderr);
    assert_eq!(left(&served), [2]);
}

#[test]
fn a_copy_whose_size_is_claimed_differently_now_is_kept() {
    let served = Served::new(three());
    let profile = served.profile("imap", "archive", ON);
    archive(&profile);
    served.server.set_faults(Faults { lie_about_size: [(2, 4711)].into(), ..Faults::default() });
    let kept: Vec<String> =
        outcomes(&purge(&profile).exits(0)).into_iter().filter(|(o, _)| *o == Purged::Kept).map(|(_, why)| why).collect();
    assert_eq!(kept.len(), 1);
    assert!(kept[0].starts_with("the server claims 4711 octets for it now"), "{kept:?}");
    assert_eq!(left(&served), [2]);
}

#[test]
fn a_server_that_always_claims_another_size_than_it_hands_out_is_purged_all_the_same() {
    let lies = || Faults { lie_about_size: [(1, 1), (2, 99_999), (3, 0)].into(), ..Faults::default() };
    let served = Served::with(three(), |config| config.faults = lies());
    let profile = served.profile("imap", "archive", ON);
    let receipts = archive(&profile).receipts();
    assert!(receipts.iter().all(|receipt| receipt.server_size != Some(receipt.size)));
    purge(&profile).exits(0);
    assert!(left(&served).is_empty());
}

#[test]
fn flagged_messages_and_those_that_change_meanwhile_are_kept() {
    let served = Served::new(three());
    let profile = served.profile("imap", "archive", ON);
    archive(&profile);
    served.server.with_mailbox("INBOX", |mailbox| mailbox.add_flag(1, "\\Flagged"));
    purge(&profile).exits(0);
    assert_eq!(left(&served), [1]);
    let commands = served.server.commands();
    assert!(commands.iter().any(|command| command.starts_with("IMAP UID STORE 2:3 (UNCHANGEDSINCE ")), "{commands:?}");
    assert!(commands.iter().any(|command| command == "IMAP UID EXPUNGE 2:3"), "{commands:?}");
    assert!(!commands.iter().any(|command| command == "IMAP CLOSE" || command == "IMAP EXPUNGE"), "{commands:?}");
}
