//! mdrop against the other real servers of Debian: Cyrus, which has every extension, and Courier, which has few and answers in ways
//! of its own. Both use the dot as delimiter and keep all mailboxes under INBOX.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::client::{Client, Snapshot, quoted};
use common::daemon::Daemon;
use common::served::{archive, with_profile};
use common::tools::{Ran, run, shipped};
use common::{courier, cyrus};
use mdrop::record::{Purged, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const PURGE: &str = "[purge]\nenabled = true\nafter = \"0d\"\n";

/// A profile for a user called `box` with an archive of its own.
fn profile(server: &Daemon, protocol: &str, tls: &str, more: &str) -> PathBuf {
    let folder = server.folder().display();
    let trust = if tls == "none" { String::new() } else { format!("ca-file = \"{folder}/cert.pem\"\n") };
    let route = "[route]\ndomains = [\"example.com\", \"example.org\"]\n";
    let text = format!("{trust}{route}[store]\narchive = \"{folder}/archive-{protocol}\"\n{more}");
    server.profile("box", protocol, tls, "box", &text)
}

fn fetch(profile: &Path, arguments: &[&str]) -> Ran {
    run("mdrop-fetch", &[&["-p", profile.to_str().unwrap()], arguments].concat(), b"")
}

/// Delivers the messages that the server takes; those it refuses are a few whose lines or header fields are malformed.
fn fill(client: &mut Client, mailbox: &str) -> usize {
    let messages = shipped();
    let taken = messages.iter().filter(|octets| client.append(mailbox, octets)).count();
    assert!(taken + 16 >= messages.len(), "{taken} of {} messages were taken", messages.len());
    taken
}

fn outcomes(profile: &Path) -> Vec<Purged> {
    let purgeable = with_profile("mdrop-store", profile, &["--purgeable"], b"").exits(0);
    let records = with_profile("mdrop-purge", profile, &[], &purgeable.stdout).exits(0).records();
    records.into_iter().filter_map(|record| if let Record::Purge(purge) = record { Some(purge.outcome) } else { None }).collect()
}

fn every_octet(server: &Daemon, over_pop3: fn(Vec<u8>) -> Vec<u8>) {
    let mut client = Client::login(server.imap, "box");
    let taken = fill(&mut client, "INBOX");
    let before = client.look("INBOX");
    assert_eq!(before.messages.len(), taken);
    for tls in ["none", "starttls", "implicit"] {
        let ran = fetch(&profile(server, "imap", tls, ""), &[]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{tls}");
        assert!(sorted(&ran) == before.octets(), "imap {tls}: other octets, or others");
        assert!(client.look("INBOX") == before, "{tls}: the mailbox was changed");
    }
    let mut expected: Vec<Vec<u8>> = before.octets().into_iter().map(over_pop3).collect();
    expected.sort();
    for tls in ["none", "starttls", "implicit"] {
        let ran = fetch(&profile(server, "pop3", tls, ""), &[]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{tls}");
        assert!(sorted(&ran) == expected, "pop3 {tls}: other octets, or others");
    }
    for (protocol, tls) in [("imap", "starttls"), ("pop3", "implicit")] {
        let ran = fetch(&profile(server, protocol, tls, ""), &["--test"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.text());
        assert!(ran.text().lines().all(|line| line.starts_with("ok ")), "{}", ran.text());
    }
}

fn sorted(ran: &Ran) -> Vec<Vec<u8>> {
    let mut octets: Vec<Vec<u8>> = ran.messages().into_iter().map(|(_, octets)| octets).collect();
    octets.sort();
    octets
}

/// Over POP3 a message that does not end with a line end gains one.
fn ended(octets: Vec<u8>) -> Vec<u8> {
    if octets.ends_with(b"\r\n") { octets } else { [octets.as_slice(), b"\r\n"].concat() }
}

/// Courier's POP3 does not double a dot that begins the message, though RFC 1939 section 3 asks for it: the dot is lost.
fn ended_and_the_first_dot_lost(octets: Vec<u8>) -> Vec<u8> {
    let octets = ended(octets);
    octets.strip_prefix(b".").map_or(octets.clone(), <[u8]>::to_vec)
}

#[test]
fn cyrus_hands_out_every_octet_by_every_way_in_and_nothing_changes() {
    cyrus::start(&["box"]).inspect(|server| every_octet(server, ended));
}

#[test]
fn courier_hands_out_every_octet_by_every_way_in_and_nothing_changes() {
    courier::start(&["box"]).inspect(|server| every_octet(server, ended_and_the_first_dot_lost));
}

fn the_whole_way(server: &Daemon) {
    let mut client = Client::login(server.imap, "box");
    for protocol in ["pop3", "imap"] {
        let taken = fill(&mut client, "INBOX");
        let profile = profile(server, protocol, "none", PURGE);
        let stored = archive(&profile);
        assert_eq!(stored.receipts().len(), taken, "{protocol}");
        let back = sorted(&with_profile("mdrop-cat", &profile, &["--stream"], &stored.stdout).exits(0));
        let on_server = client.look("INBOX");
        // What is there twice is handed out once.
        let expected: BTreeSet<Vec<u8>> = on_server.octets().into_iter().collect();
        assert!(protocol == "pop3" || back.iter().eq(&expected));
        assert!(archive(&profile).stdout.is_empty(), "{protocol}: the second run brings nothing");
        assert!(client.append("INBOX", b"Subject: came later\r\n\r\nnot archived\r\n"));
        let purged = outcomes(&profile);
        assert!(purged.len() == taken && purged.iter().all(|outcome| *outcome == Purged::Purged), "{protocol}: {purged:?}");
        let left: Vec<u32> = client.look("INBOX").messages.into_keys().collect();
        assert!(left.len() == 1 && !on_server.messages.contains_key(&left[0]), "{protocol}: {left:?}");
        assert!(outcomes(&profile).is_empty(), "{protocol}: what is purged is not purgeable again");
        with_profile("mdrop-check", &profile, &[], b"").exits(0);
        for command in ["SELECT INBOX", "STORE 1:* +FLAGS (\\Deleted)", "CLOSE"] {
            client.ask(command);
        }
    }
}

#[test]
fn on_cyrus_every_message_is_archived_then_nothing_is_new_then_exactly_those_are_purged() {
    cyrus::start(&["box"]).inspect(the_whole_way);
}

#[test]
fn on_courier_every_message_is_archived_then_nothing_is_new_then_exactly_those_are_purged() {
    courier::start(&["box"]).inspect(the_whole_way);
}

/// Names of mailboxes as they are on the wire, and as people read them.
const ODD: [(&str, &str); 9] = [
    ("INBOX.with a blank", "INBOX.with a blank"),
    ("INBOX.Gr&APwA3w-e", "INBOX.Grüße"),
    ("INBOX.Gr&APwA3w-e.&ZeVnLIqe-", "INBOX.Grüße.日本語"),
    ("INBOX.this &- that", "INBOX.this & that"),
    ("INBOX.say \"yes\"", "INBOX.say \"yes\""),
    ("INBOX.back\\slash", "INBOX.back\\slash"),
    ("INBOX.(list) {3}", "INBOX.(list) {3}"),
    ("INBOX.50% *", "INBOX.50% *"),
    ("INBOX.~a+b=c@d, e_f:g", "INBOX.~a+b=c@d, e_f:g"),
];

/// Makes mailboxes with odd names, those the server takes, with a message in each; `least` are demanded. By the name that people read,
/// the one on the wire.
fn odd_mailboxes(client: &mut Client, least: usize) -> BTreeMap<String, &'static str> {
    let mut made = BTreeMap::from([("INBOX".to_owned(), "INBOX")]);
    made.extend(
        ODD.into_iter().filter(|(wire, _)| client.tries(&format!("CREATE {}", quoted(wire)))).map(|(wire, name)| (name.into(), wire)),
    );
    assert!(made.len() > least, "{made:?}");
    for (name, wire) in &made {
        assert!(client.append(wire, format!("Delivered-To: a@example.com\r\nSubject: in {}\r\n\r\n.\r\n", name.len()).as_bytes()));
    }
    made
}

fn odd_names(server: &Daemon, least: usize) {
    let mut client = Client::login(server.imap, "box");
    let made = odd_mailboxes(&mut client, least);
    let before: Vec<Snapshot> = made.values().map(|wire| client.look(wire)).collect();
    let profile = profile(server, "imap", "none", PURGE);
    let receipts = archive(&profile).receipts();
    let read: BTreeSet<String> = receipts.iter().map(|receipt| receipt.origin.folder().to_string()).collect();
    assert_eq!(read, made.keys().cloned().collect());
    for (wire, before) in made.values().zip(&before) {
        assert_eq!(&client.look(wire), before, "{wire} was changed");
    }
    assert!(archive(&profile).stdout.is_empty());
    assert_eq!(outcomes(&profile), vec![Purged::Purged; made.len()]);
    assert!(made.values().all(|wire| client.look(wire).messages.is_empty()));
}

#[test]
fn mailboxes_of_cyrus_with_odd_names_are_read_and_purged() {
    cyrus::start(&["box"]).inspect(|server| odd_names(server, 5));
}

#[test]
fn mailboxes_of_courier_with_odd_names_are_read_and_purged() {
    courier::start(&["box"]).inspect(|server| odd_names(server, 8));
}

#[test]
fn on_cyrus_only_what_nobody_touched_is_deleted_and_each_copy_by_its_uid() {
    let Some(server) = cyrus::start(&["box"]) else { return };
    let mut client = Client::login(server.imap, "box");
    for n in 1..=3 {
        assert!(client.append("INBOX", format!("Delivered-To: a@example.com\r\nSubject: {n}\r\n\r\n{n}\r\n").as_bytes()));
    }
    let profile = profile(&server, "imap", "starttls", PURGE);
    assert_eq!(archive(&profile).receipts().len(), 3);
    for command in ["SELECT INBOX", "UID STORE 2 +FLAGS (\\Flagged)", "UNSELECT"] {
        client.ask(command);
    }
    let mut purged = outcomes(&profile);
    purged.sort_by_key(|outcome| *outcome == Purged::Kept);
    assert_eq!(purged, [Purged::Purged, Purged::Purged, Purged::Kept]);
    let left = client.look("INBOX").messages;
    assert!(left.len() == 1 && left.get(&2).is_some_and(|(flags, _)| flags.contains("\\Flagged") && !flags.contains("\\Deleted")));
    let dialogue = cyrus::dialogue(&server, "box");
    for said in ["UID STORE 1,3 (UNCHANGEDSINCE ", "UID EXPUNGE 1,3\r\n", "(CONDSTORE)"] {
        assert!(dialogue.contains(said), "{said}: {dialogue}");
    }
}

#[test]
fn on_cyrus_the_trash_is_left_out_by_its_special_use_and_named_mailboxes_are_read() {
    let Some(server) = cyrus::start(&["box"]) else { return };
    let mut client = Client::login(server.imap, "box");
    assert!(["INBOX", "INBOX.Sent", "INBOX.Trash"].iter().all(|mailbox| client.append(mailbox, b"Subject: x\r\n\r\nx\r\n")));
    let read = |mailboxes: &str| {
        let path = profile(&server, "imap", "none", "");
        let text = std::fs::read_to_string(&path).unwrap().replace("[account]\n", &format!("[account]\n{mailboxes}"));
        common::daemon::write_private(&path, &text);
        let ran = fetch(&path, &[]).exits(0);
        ran.messages().iter().map(|(meta, _)| meta.origin.folder().to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(read(""), "INBOX INBOX.Sent");
    assert_eq!(read("mailboxes = [\"INBOX.%\"]\n"), "INBOX.Sent INBOX.Trash");
}

#[test]
fn on_courier_mail_that_came_just_now_is_fetched_and_stays_recent() {
    let Some(server) = courier::start(&["box"]) else { return };
    let maildir = courier::maildir(&server, "box");
    let octets = b"Delivered-To: a@example.com\nSubject: new\n\nnew\n";
    for name in ["1700000001.M1P1.test", "1700000002.M2P1.test"] {
        std::fs::write(maildir.join("new").join(name), octets).unwrap();
    }
    common::daemon::give_away(&maildir, common::daemon::nobody());
    let ran = fetch(&profile(&server, "imap", "implicit", ""), &[]).exits(0);
    assert_eq!(sorted(&ran), vec![common::dovecot::to_crlf(octets); 2]);
    assert!(ran.messages().iter().all(|(meta, _)| meta.flags.is_empty()));
    assert!(Client::login(server.imap, "box").look("INBOX").opened.contains(&"* 2 RECENT".to_owned()));
}
