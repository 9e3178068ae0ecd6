//! What servers do that Dovecot does not.

use super::*;
use crate::net::scripted::{Seen, account, secret, serve};

fn session(more: &[(&'static str, &str)], pipelining: bool) -> Result<Session> {
    let capa = if pipelining { "+OK\r\nUSER\r\nPIPELINING\r\n.\r\n" } else { "-ERR what\r\n" };
    let begin = [("CAPA", capa), ("USER u", "+OK\r\n"), ("PASS p", "+OK\r\n"), ("CAPA", capa)];
    let script = begin.iter().chain(more).map(|(expected, reply)| (*expected, (*reply).to_owned())).collect();
    Session::connect(&account("pop3", serve("+OK hello\r\n", script), "none"), &secret(), &mut |_, _| {})
}

fn fetched(answers: &[(&'static str, &str)], pipelining: bool) -> (Vec<String>, Option<u8>) {
    let (mut session, mut seen) = (session(answers, pipelining).unwrap(), Seen::default());
    let wanted: Vec<Listed> = (1..=2).map(|number| Listed { number, size: None, uidl: format!("u{number}").into() }).collect();
    let ended = session.fetch(&wanted, &mut seen).err().map(|e| e.status().code());
    let short = |text: String| {
        text.replace("Listed { number: ", "").replace(", size: None, uidl: \"u1\" }", "").replace(", size: None, uidl: \"u2\" }", "")
    };
    (seen.0.into_iter().map(short).collect(), ended)
}

#[test]
fn dots_are_unstuffed_and_every_other_octet_stays() {
    let cases = [
        (".\r\n", ""),
        ("\r\n.\r\n", "\r\n"),
        ("a\r\n.\r\n", "a\r\n"),
        ("..\r\n.\r\n", ".\r\n"),
        ("...\r\n..a\r\n.\r\n", "..\r\n.a\r\n"),
        ("a.\r\n\r\n..\r\n\r\n.\r\n", "a.\r\n\r\n.\r\n\r\n"),
        ("a\n.b\r.c\n.\r\n.\r\n", "a\n.b\r.c\n.\r\n"),
        ("\r\r\n..\n.\r\n.\r\n", "\r\r\n.\n.\r\n"),
        (".\n", ""),
    ];
    for (sent, expected) in cases {
        for pipelining in [false, true] {
            let answer = format!("+OK\r\n{sent}");
            let (seen, ended) = fetched(&[("RETR 1", &answer), ("RETR 2", "-ERR no\r\n")], pipelining);
            assert_eq!((seen.first(), ended), (Some(&format!("1 {expected:?}")), None), "{sent:?}");
        }
    }
}

#[test]
fn one_refused_message_is_its_own_failure() {
    let (seen, ended) = fetched(&[("RETR 1", "-ERR [SYS/TEMP] busy\r\n"), ("RETR 2", "+OK\r\nb\r\n.\r\n")], true);
    assert_eq!(seen, ["1 failed 75 RETR: the server says: [SYS/TEMP] busy", "2 \"b\\r\\n\""]);
    assert_eq!(ended, None);
}

#[test]
fn a_connection_cut_anywhere_ends_the_fetch_and_gives_whole_messages_only() {
    let answer = "+OK\r\na\r\n..b\r\n.\r\n";
    for cut in 0..=answer.len() {
        let (seen, ended) = fetched(&[("RETR 1", &answer[..cut])], false);
        assert_eq!((seen.len(), ended), (usize::from(cut == answer.len()), Some(69)), "cut at {cut}: {seen:?}");
    }
}

#[test]
fn a_listing_needs_unique_ids_and_a_bad_line_costs_its_message() {
    let list = ("LIST", "+OK\r\n1 10\r\n2 20\r\n3 x\r\n4 40 more\r\n.\r\n");
    let uidl = ("UIDL", "+OK\r\n1 a\r\n2 a\r\n3 c\r\n.\r\n");
    let listing = session(&[list, uidl], true).unwrap().list().unwrap();
    let messages: Vec<_> = listing.messages.iter().map(|m| (m.number, m.size, m.uidl.to_string())).collect();
    assert_eq!(messages, [(1, Some(10), "a".into()), (3, None, "c".into())]);
    assert_eq!(listing.failed.iter().map(|failed| failed.0).collect::<Vec<_>>(), [2, 4]);
    let without = session(&[list, ("UIDL", "-ERR unknown\r\n")], true).unwrap().list();
    assert!(without.is_err_and(|e| e.status() == Status::Protocol && e.what().contains("no UIDL")));
}

#[test]
fn a_message_that_only_a_broken_line_of_list_could_name_is_missed() {
    let failed = |uidl: &str| {
        let listing = session(&[("LIST", "+OK\r\n1 10\r\n?\r\n.\r\n"), ("UIDL", uidl)], true).unwrap().list().unwrap();
        listing.failed.iter().map(|(number, error)| format!("{number} {error}")).collect::<Vec<_>>()
    };
    assert_eq!(failed("+OK\r\n1 a\r\n.\r\n"), ["0 LIST answer not understood: ?"]);
    assert!(failed("+OK\r\n1 a\r\n2 b\r\n.\r\n").is_empty());
}

#[test]
fn a_login_is_refused_in_the_servers_words() {
    for (answer, status) in [("-ERR [AUTH] wrong\r\n", 77), ("-ERR wrong\r\n", 77), ("-ERR [IN-USE] locked\r\n", 75), ("what\r\n", 76)] {
        let script = vec![("CAPA", "-ERR\r\n".to_owned()), ("USER", "+OK\r\n".to_owned()), ("PASS", answer.to_owned())];
        let port = serve("+OK\r\n", script);
        let error = Session::connect(&account("pop3", port, "none"), &secret(), &mut |_, _| {}).err();
        assert_eq!(error.map(|e| e.status().code()), Some(status), "{answer}");
    }
}

#[test]
fn utf8_is_asked_for_before_the_login_where_it_is_offered_and_may_be_refused() {
    for answer in ["+OK\r\n", "-ERR not now\r\n"] {
        let capa = ("CAPA", "+OK\r\nUSER\r\nUTF8 USER\r\n.\r\n".to_owned());
        let login = [("USER u", "+OK\r\n".to_owned()), ("PASS p", "+OK\r\n".to_owned())];
        let script = [vec![capa.clone(), ("UTF8", answer.to_owned())], login.to_vec(), vec![capa]].concat();
        let session = Session::connect(&account("pop3", serve("+OK\r\n", script), "none"), &secret(), &mut |_, _| {});
        assert!(session.is_ok_and(|session| session.offers("UTF8")), "{answer}");
    }
}

#[test]
fn stls_can_neither_be_stripped_nor_injected_into() {
    for (answer, words) in [("-ERR no\r\n", "does not offer STLS"), ("+OK\r\n+OK\r\n", "received in clear before the TLS handshake")] {
        let port = serve("+OK\r\n", vec![("STLS", answer.to_owned())]);
        let error = Session::connect(&account("pop3", port, "starttls"), &secret(), &mut |_, _| {}).err();
        assert!(error.is_some_and(|e| e.status() == Status::Protocol && e.what().contains(words)), "{answer}");
    }
}

#[test]
fn nothing_is_deleted_without_a_clean_quit() {
    let mut clean = session(&[("DELE 3", "+OK\r\n"), ("DELE 4", "-ERR none\r\n"), ("RSET", "+OK\r\n"), ("QUIT", "+OK\r\n")], true).unwrap();
    assert!(clean.dele(3).is_ok() && clean.dele(4).is_err() && clean.rset().is_ok() && clean.quit().is_ok());
    assert!(session(&[("QUIT", "-ERR some not deleted\r\n")], true).unwrap().quit().is_err());
    assert!(session(&[("QUIT", "+O")], true).unwrap().quit().is_err());
}

#[test]
fn every_message_that_list_counts_is_listed_or_failed() {
    let list = ("LIST", "+OK\r\n1 10\r\n2 20\r\n3 30\r\n4 40\r\n.\r\n");
    for (uidl, messages, failed) in [
        ("+OK\r\n1 a\r\nrubbish\r\n.\r\n", 1, 3),
        ("+OK\r\nx\r\ny\r\nz\r\n4 d\r\n.\r\n", 1, 3),
        ("+OK\r\n4 a\r\n3 a\r\n2 b\r\n1 b\r\n.\r\n", 2, 2),
        ("+OK\r\n.\r\n", 0, 4),
    ] {
        let listing = session(&[list, ("UIDL", uidl)], true).unwrap().list().unwrap();
        assert_eq!((listing.messages.len(), listing.failed.len()), (messages, failed), "{uidl:?}");
    }
}

#[test]
fn a_number_with_two_unique_ids_is_fetched_under_neither() {
    let list = ("LIST", "+OK\r\n1 10\r\n2 20\r\n3 30\r\n.\r\n");
    let uidl = ("UIDL", "+OK\r\n1 a\r\n1 b\r\n3 c\r\n3 c\r\n.\r\n");
    let listing = session(&[list, uidl], true).unwrap().list().unwrap();
    let messages: Vec<_> = listing.messages.iter().map(|m| (m.number, m.size, m.uidl.to_string())).collect();
    assert_eq!(messages, [(3, Some(30), "c".into())]);
    let failed: Vec<_> = listing.failed.iter().map(|(number, error)| format!("{number} {error}")).collect();
    assert_eq!(failed, ["1 the server gives it two UIDLs", "2 the server gives it no UIDL"]);
}
