//! What servers do that Dovecot does not.

use super::*;
use crate::identity::Uid;
use crate::net::scripted::{Seen, account, secret, serve};

type Script = Vec<(&'static str, String)>;

fn login() -> Script {
    [
        ("CAPABILITY", "* CAPABILITY IMAP4rev1\r\nTAG OK\r\n"),
        ("LOGIN", "TAG OK in\r\n"),
        ("CAPABILITY", "* CAPABILITY IMAP4rev1 UIDPLUS\r\nTAG OK\r\n"),
    ]
    .map(|(expected, reply)| (expected, reply.to_owned()))
    .to_vec()
}

fn connect(greeting: &'static str, script: Script) -> Result<Session> {
    Session::connect(&account("imap", serve(greeting, script), "none"), &secret(), &mut |_, _| {})
}

fn session(more: &[(&'static str, &str)]) -> Session {
    let script = login().into_iter().chain(more.iter().map(|(expected, reply)| (*expected, (*reply).to_owned()))).collect();
    connect("* OK hello\r\n", script).unwrap()
}

/// What comes of fetching UIDs 1, 2 and 3 when the server answers so: what was handed on, and the end.
fn fetched(answers: &[(&'static str, &str)]) -> (Vec<String>, Option<(u8, String)>, bool) {
    let (mut session, mut seen) = (session(answers), Seen::default());
    let wanted = [1, 2, 3].map(|uid| Wanted { uid: Uid(uid), size: 0 });
    let ended = session.fetch(&wanted, &mut seen).err().map(|e| (e.status().code(), e.to_string()));
    let plain = |line: String| line.replace("Coming { uid: ", "").replace(", emailid: None }", "");
    (seen.0.into_iter().map(plain).collect(), ended, session.is_alive())
}

#[test]
fn a_message_may_come_in_any_order_and_form() {
    let answer = "* 2 FETCH (BODY[] {3}\r\na)\n FLAGS (\\Seen) UID 2 X-ODD (a (b \"c)\")) X-LIT {1}\r\n))\r\n* 9 EXISTS\r\n* 3 FETCH (FLAGS ())\r\n\
                  * 1 FETCH (UID 1 BODY[] \"q\\\"\")\r\n* 7 FETCH (UID 7 BODY[] {4}\r\nmine)\r\n* 3 FETCH (UID 3 BODY[] {0}\r\n)\r\nTAG OK done\r\n";
    let (seen, ended, alive) = fetched(&[("UID FETCH 1:3 (UID BODY.PEEK[])", answer)]);
    assert_eq!(seen, [r#"Uid(2) "a)\n""#, r#"Uid(1) "q\"""#, r#"Uid(3) """#]);
    assert_eq!((ended, alive), (None, true));
}

#[test]
fn what_one_message_lacks_costs_that_message() {
    let answer = "* 1 FETCH (UID 1 BODY[] NIL)\r\n* 2 EXPUNGE\r\n* 3 FETCH (UID 3 BODY[] {2}\r\nok)\r\nTAG OK done\r\n";
    let (seen, ended, alive) = fetched(&[("UID FETCH", answer)]);
    assert_eq!(seen[..2], ["Uid(1) failed 76 the server has no octets for it (NIL)", "Uid(3) \"ok\""]);
    assert!(seen[2].starts_with("Uid(2) failed 75"), "{seen:?}");
    assert_eq!((seen.len(), ended, alive), (3, None, true));
}

#[test]
fn a_refused_batch_is_asked_for_again_one_by_one() {
    let first = "* 1 FETCH (UID 1 BODY[] {1}\r\na)\r\nTAG NO [SERVERBUG] no\r\n";
    let answers = [
        ("UID FETCH 1:3", first),
        ("UID FETCH 2 ", "TAG NO [SERVERBUG] bad\r\n"),
        ("UID FETCH 3 ", "* 3 FETCH (UID 3 BODY[] {1}\r\nc)\r\nTAG OK\r\n"),
    ];
    let (seen, ended, _) = fetched(&answers);
    assert_eq!(seen, ["Uid(1) \"a\"", "Uid(2) failed 75 FETCH: the server says: [SERVERBUG] bad", "Uid(3) \"c\""]);
    assert_eq!(ended, None);
}

#[test]
fn a_connection_cut_anywhere_ends_the_fetch_and_gives_whole_messages_only() {
    let answer = "* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\n* 2 FETCH (UID 2 BODY[] {3}\r\ndef FLAGS ())\r\n* BYE [UNAVAILABLE] so long\r\n";
    for cut in 0..=answer.len() {
        let (seen, ended, alive) = fetched(&[("UID FETCH", &answer[..cut])]);
        let whole = ["abc)\r\n", "())\r\n"].into_iter().filter(|end| answer.find(end).is_some_and(|at| cut >= at + end.len())).count();
        assert_eq!(seen.len(), whole, "cut at {cut}: {seen:?}");
        let said_bye = cut == answer.len();
        assert_eq!(ended.as_ref().map(|e| e.0), Some(if said_bye { 75 } else { 69 }), "cut at {cut}: {ended:?}");
        assert!(!alive && ended.is_some_and(|e| e.1.contains(if said_bye { "so long" } else { "closed by server" })));
    }
}

#[test]
fn garbage_ends_the_session_and_is_no_panic() {
    for garbage in [
        "hello\r\n",
        "a999 OK\r\n",
        "\r\n",
        "* 1 FETCH (UID 1 BODY[] {99999999999999999999}\r\n",
        "* 1 FETCH (UID 1 X {9999999}\r\n",
        "+ go\r\n",
    ] {
        let (seen, ended, alive) = fetched(&[("UID FETCH", garbage)]);
        assert!(seen.iter().all(|s| s.contains("failed")) && ended.is_some() && !alive, "{garbage}: {seen:?}");
    }
}

#[test]
fn greetings_that_promise_no_login_are_refused() {
    let cases = [("* BYE busy\r\n", 69), ("* PREAUTH hi\r\n", 76), ("+OK pop\r\n", 76), ("", 69), ("* OK", 69), ("SSH-2.0-x\r\n", 76)];
    for (greeting, status) in cases {
        assert_eq!(connect(greeting, Vec::new()).err().map(|e| e.status().code()), Some(status), "{greeting:?}");
    }
}

#[test]
fn a_login_is_refused_in_the_servers_words() {
    let cases = [
        ("TAG NO wrong\r\n", 77, "wrong"),
        ("TAG NO [UNAVAILABLE] later\r\n", 75, "later"),
        ("TAG NO gr\u{f6}be\r\n", 77, "gr\u{f6}be"),
        ("* BYE gone\r\n", 69, "gone"),
        ("* BYE g\u{f6}ne\r\n", 69, "g\u{f6}ne"),
        ("* BYE [AUTHENTICATIONFAILED] gone\r\n", 69, "gone"),
        ("* BYE [UNAVAILABLE] gone\r\n", 75, "gone"),
        ("TAG BAD what\r\n", 76, "what"),
    ];
    for (answer, status, words) in cases {
        let script = vec![("CAPABILITY", "TAG OK\r\n".to_owned()), ("LOGIN", answer.to_owned())];
        let error = connect("* OK\r\n", script).err().map(|e| (e.status().code(), e.to_string()));
        assert!(error.as_ref().is_some_and(|e| e.0 == status && e.1.contains(words)), "{answer}: {error:?}");
    }
}

#[test]
fn an_answer_to_the_login_that_does_not_end_is_not_kept() {
    for (mechanism, command, words) in
        [("", "LOGIN", "more than 4194304 octets"), ("AUTH=SCRAM-SHA-256", "AUTHENTICATE", "no end of answers to AUTHENTICATE")]
    {
        let endless = "* OK patience, please, there is still more to come\r\n".repeat(100_000);
        let script = vec![("CAPABILITY", format!("* CAPABILITY {mechanism}\r\nTAG OK\r\n")), (command, endless)];
        let error = connect("* OK\r\n", script).err().map(|e| (e.status().code(), e.to_string()));
        assert!(error.as_ref().is_some_and(|e| e.0 == 76 && e.1.contains(words)), "{error:?}");
    }
}

#[test]
fn starttls_can_neither_be_stripped_nor_injected_into() {
    let cases =
        [("TAG BAD no\r\n", "does not offer STARTTLS"), ("TAG OK go\r\n* CAPABILITY X\r\n", "received in clear before the TLS handshake")];
    for (answer, words) in cases {
        let port = serve("* OK\r\n", vec![("STARTTLS", answer.to_owned())]);
        let error = Session::connect(&account("imap", port, "starttls"), &secret(), &mut |_, _| {})
            .err()
            .map(|e| (e.status().code(), e.to_string()));
        assert!(error.as_ref().is_some_and(|e| e.0 == 76 && e.1.contains(words)), "{error:?}");
    }
}

#[test]
fn a_silent_server_is_left_after_the_time_out() {
    let began = std::time::Instant::now();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let error =
        Session::connect(&account("imap", port, "none"), &secret(), &mut |_, _| {}).err().map(|e| (e.status().code(), e.to_string()));
    assert!(error.as_ref().is_some_and(|e| e.0 == 69 && e.1.contains("no answer from the server for 1 seconds")), "{error:?}");
    assert!(began.elapsed().as_secs() < 4);
}

#[test]
fn a_malformed_line_of_a_listing_costs_its_message() {
    let answer = "* 2 FETCH (UID 8 RFC822.SIZE 5 FLAGS (\\Seen \\Recent) INTERNALDATE \" 1-Feb-2026 03:04:05 +0000\")\r\n\
                  * 1 FETCH (UID 7 RFC822.SIZE x)\r\n* 3 FETCH (FLAGS (a))\r\n* 4 FETCH (RFC822.SIZE 1\r\nTAG OK\r\n";
    let mut session = session(&[("UID FETCH 1:* (UID RFC822.SIZE INTERNALDATE FLAGS)", answer)]);
    let listing = session.list_messages().unwrap();
    let messages: Vec<_> =
        listing.messages.iter().map(|m| (m.uid.0, m.size, m.received.map(|r| r.to_string()), m.flags.to_vec())).collect();
    assert_eq!(messages, [(8, Some(5), Some("2026-02-01T03:04:05Z".into()), vec!["\\Seen".to_owned()])]);
    assert_eq!(listing.failed.iter().map(|(uid, _)| *uid).collect::<Vec<_>>(), [Some(Uid(7)), None]);
}

#[test]
fn mailboxes_have_their_names_decoded_and_are_opened_by_the_servers_own() {
    let list = "* LIST (\\Noselect) \"/\" \"a \\\"b\\\"\"\r\n* LIST () NIL {5}\r\n&AOQ-\r\n* LIST (\\Trash) \".\" inbox\r\nTAG OK\r\n";
    let examine = "* 3 EXISTS\r\n* NO almost full\r\n* OK [UIDVALIDITY 9] x\r\n* OK [HIGHESTMODSEQ 12]\r\nTAG OK [READ-ONLY] ok\r\n";
    let mut session =
        session(&[("LIST", list), ("EXAMINE \"&AOQ-\"", examine), ("EXAMINE", "TAG NO [NONEXISTENT] gone\r\n"), ("EXAMINE", "TAG OK\r\n")]);
    let all = session.mailboxes().unwrap().0.all;
    let names: Vec<String> = all.iter().map(|mailbox| mailbox.name.to_string()).collect();
    assert_eq!(names, ["a \"b\"", "ä", "INBOX"]);
    assert!(all[0].is("\\noselect") && all[2].is("\\trash"));
    assert_eq!(all.iter().map(|mailbox| mailbox.delimiter).collect::<Vec<_>>(), [Some('/'), None, Some('.')]);
    let opened = session.examine(&all[1]).unwrap();
    assert_eq!((opened.uidvalidity.0, opened.exists, opened.highest_modseq, opened.read_only), (9, 3, Some(12), true));
    assert_eq!(session.examine(&all[1]).err().map(|e| e.status()), Some(Status::NoInput));
    assert!(session.is_alive());
    assert!(session.examine(&all[1]).is_err_and(|e| e.what().contains("no UIDVALIDITY")));
}

#[test]
fn a_purge_marks_and_expunges_exactly_what_it_names() {
    let store = "* 1 FETCH (UID 4 FLAGS (\\Deleted))\r\n* 2 FETCH (UID 5 FLAGS (\\Seen))\r\nTAG OK [MODIFIED 5,7] x\r\n";
    let answers = [
        ("UID STORE 4:5,7 (UNCHANGEDSINCE 12) +FLAGS (\\Deleted)", store),
        ("UID EXPUNGE 4", "* 1 EXPUNGE\r\nTAG OK\r\n"),
        ("UID SEARCH DELETED", "* SEARCH 5 9\r\nTAG OK\r\n"),
        ("UID EXPUNGE", "TAG NO no\r\n"),
    ];
    let mut session = session(&answers);
    let stored = session.uid_store_deleted(&"4:5,7".parse().unwrap(), Some(12)).unwrap();
    assert_eq!((stored.deleted.to_string(), stored.modified.to_string()), ("4".into(), "5,7".into()));
    assert_eq!(session.uid_expunge(&stored.deleted).ok(), Some(1));
    assert_eq!(session.search_deleted().map(|set| set.to_string()).ok().as_deref(), Some("5,9"));
    assert!(session.uid_expunge(&stored.deleted).is_err_and(|e| e.status() == Status::Unavailable));
}

#[test]
fn a_search_is_read_in_either_form_and_an_odd_answer_is_no_lost_connection() {
    let answers = [
        ("UID SEARCH ALL", "* SEARCH 3 1 2\r\n* SEARCH\r\n* SEARCH 9 (MODSEQ 917)\r\nTAG OK\r\n"),
        ("UID SEARCH ALL", "* ESEARCH (TAG \"x\") UID COUNT 3 ALL 2:4,7 X-ODD (a b)\r\nTAG OK\r\n"),
        ("UID SEARCH ALL", "* ESEARCH (TAG \"x\") UID\r\nTAG OK\r\n"),
        ("UID SEARCH ALL", "* ESEARCH UID ALL 1:*\r\nTAG OK\r\n"),
        ("UID SEARCH ALL", "* SEARCH 0\r\nTAG OK\r\n"),
        ("UID SEARCH UID 1:3", "* SEARCH 2 8\r\nTAG OK\r\n"),
    ];
    let mut session = session(&answers);
    let mut all = || session.search_all().map(|set| set.to_string()).ok();
    assert_eq!([all(), all(), all()], [Some("1:3,9".into()), Some("2:4,7".into()), Some(String::new())]);
    assert_eq!([all(), all()], [None, None]);
    assert!(session.is_alive());
    assert_eq!(session.search_some(&"1:3".parse().unwrap()).map(|set| set.to_string()).ok().as_deref(), Some("2"));
}

#[test]
fn names_are_in_utf8_where_the_server_lets_it_be_enabled() {
    let capabilities = "* CAPABILITY IMAP4rev1 ENABLE UTF8=ACCEPT\r\nTAG OK\r\n".to_owned();
    let enabled = "* ENABLED UTF8=ACCEPT\r\nTAG OK\r\n".to_owned();
    let list = "* LIST () \"/\" \"Entw\u{fc}rfe & mehr\"\r\n* LIST () \"/\" inbox\r\nTAG OK\r\n".to_owned();
    let script = vec![
        ("CAPABILITY", "TAG OK\r\n".to_owned()),
        ("LOGIN", "TAG OK\r\n".to_owned()),
        ("CAPABILITY", capabilities),
        ("ENABLE UTF8=ACCEPT", enabled),
        ("LIST", list),
        ("EXAMINE \"Entw\u{fc}rfe & mehr\"", "* 0 EXISTS\r\n* OK [UIDVALIDITY 1]\r\nTAG OK\r\n".to_owned()),
    ];
    let mut session = connect("* OK\r\n", script).unwrap();
    let all = session.mailboxes().unwrap().0.all;
    assert_eq!(all.iter().map(|mailbox| mailbox.name.to_string()).collect::<Vec<_>>(), ["Entwürfe & mehr", "INBOX"]);
    assert!(session.examine(&all[0]).is_ok());
}

#[test]
fn a_line_of_list_that_is_not_understood_costs_its_mailbox_and_so_does_a_name_that_means_another() {
    let list = "* LIST (\\Sent\r\n* LIST () \"/\" &AOQ-\r\n* LIST () \"/\" \"\u{e4}\"\r\n* LIST (\\Marked) \"/\" &AOQ-\r\n* LIST () \"/\" b\r\nTAG OK\r\n";
    let (listed, _) = session(&[("LIST", list)]).mailboxes().unwrap();
    assert_eq!(listed.all.iter().map(|mailbox| mailbox.name.to_string()).collect::<Vec<_>>(), ["ä", "b"]);
    assert!(listed.all[0].is("\\marked"));
    let failed: Vec<String> = listed.failed.iter().map(ToString::to_string).collect();
    assert!(failed[0].contains("LIST answer not understood"), "{failed:?}");
    assert!(failed[1].contains("means the same as “&AOQ-”") && failed.len() == 2, "{failed:?}");
}

#[test]
fn a_listing_without_end_is_left() {
    let endless = (1..100_010).map(|n| format!("* {n} FETCH (UID {n} RFC822.SIZE 1)\r\n")).collect::<Vec<_>>().concat();
    let mut session = session(&[("EXAMINE", "* 3 EXISTS\r\n* OK [UIDVALIDITY 9]\r\nTAG OK\r\n"), ("UID FETCH", &endless)]);
    session.examine(&Mailbox::named("INBOX", None, &[])).unwrap();
    let error = session.list_messages().err().map(|e| (e.status(), e.to_string())).unwrap();
    assert!(error.0 == Status::Protocol && error.1.contains("does not end"), "{error:?}");
}

#[test]
fn a_refusal_that_is_about_the_server_ends_the_session_so_that_there_is_a_pause() {
    for code in ["THROTTLED", "OVERQUOTA", "UNAVAILABLE", "LIMIT", "INUSE"] {
        let answer = format!("* 1 FETCH (UID 1 BODY[] {{1}}\r\na)\r\nTAG NO [{code}] slow down\r\n");
        let (seen, ended, alive) = fetched(&[("UID FETCH 1:3", &answer)]);
        assert_eq!((seen.len(), ended.map(|e| e.0), alive), (1, Some(75), false), "{code}");
        let no = format!("TAG NO [{code}] slow down\r\n");
        let mut listing = session(&[("UID FETCH 1:*", &no)]);
        assert_eq!((listing.list_messages().err().map(|e| e.status()), listing.is_alive()), (Some(Status::TryAgain), false), "{code}");
        let mut counting = session(&[("STATUS", &no)]);
        let mailbox = Mailbox::named("INBOX", None, &[]);
        assert_eq!((counting.status(&mailbox).err().map(|e| e.status()), counting.is_alive()), (Some(Status::TryAgain), true), "{code}");
    }
}

#[test]
fn a_message_whose_length_is_not_the_true_one_is_never_handed_on_short() {
    let (seen, ..) = fetched(&[("UID FETCH", "* 1 FETCH (UID 1 BODY[] {4}\r\nOnce upon)\r\nTAG OK done\r\n")]);
    assert!(seen.first().is_some_and(|first| first.starts_with("Uid(1) failed 76 its answer is not understood")), "{seen:?}");
}

#[test]
fn a_goodbye_ends_the_session_at_once_whatever_follows() {
    let (seen, ended, alive) =
        fetched(&[("UID FETCH", "* BYE [UNAVAILABLE] so long\r\n* 1 FETCH (UID 1 BODY[] {1}\r\na)\r\nTAG OK done\r\n")]);
    assert_eq!((seen.len(), ended.map(|e| e.0), alive), (0, Some(75), false));
}

#[test]
fn an_answer_that_lacks_what_it_must_have_is_no_empty_one() {
    let told = |error: Option<Error>| error.map(|e| (e.status(), e.to_string()));
    let protocol = |what: &str| Some((Status::Protocol, what.to_owned()));
    let examined = session(&[("EXAMINE", "* OK [UIDVALIDITY 9] ok\r\nTAG OK\r\n")]).examine(&Mailbox::named("INBOX", None, &[]));
    assert_eq!(told(examined.err()), protocol("EXAMINE: the server does not say how many messages there are"));
    assert_eq!(told(session(&[("LIST", "TAG OK\r\n")]).mailboxes().err()), protocol("LIST: the server lists no mailbox"));
    let searched = |answer: &'static str| session(&[("UID SEARCH", answer)]).search_all();
    assert_eq!(told(searched("TAG OK\r\n").err()), protocol("UID SEARCH: the server does not say what it found"));
    assert!(searched("* SEARCH\r\nTAG OK\r\n").is_ok_and(|found| found.is_empty()));
}

#[test]
fn a_message_is_listed_or_missed_once_however_often_the_server_speaks_of_it() {
    let answer = "* 1 FETCH (UID 7 RFC822.SIZE x)\r\n* 1 FETCH (UID 7 RFC822.SIZE 5)\r\n* 2 FETCH (UID 8 RFC822.SIZE x)\r\n\
                  * 2 FETCH (UID 8 RFC822.SIZE x)\r\n* 3 FETCH (RFC822.SIZE x\r\nTAG OK\r\n";
    let listing = session(&[("UID FETCH 1:*", answer)]).list_messages().unwrap();
    assert_eq!(listing.messages.iter().map(|m| (m.uid.0, m.size)).collect::<Vec<_>>(), [(7, Some(5))]);
    assert_eq!(listing.failed.iter().map(|(uid, _)| *uid).collect::<Vec<_>>(), [Some(Uid(8)), None]);
}

#[test]
fn a_few_octets_that_name_all_uids_there_can_be_do_not_fill_the_memory() {
    let no = "TAG NO not now\r\n";
    let all = "* ESEARCH (TAG \"x\") UID ALL 1:4294967295\r\nTAG OK\r\n";
    let steps = [("UID FETCH 1:*", no), ("UID SEARCH ALL", all)].into_iter().chain([("UID FETCH", no); 200]);
    let mut session = session(&steps.collect::<Vec<_>>());
    let error = session.list_messages().err().map(|e| e.to_string());
    assert_eq!(error.as_deref(), Some("listing: the server says: not now"));
}

#[test]
fn a_search_answered_in_descending_order_is_read_in_time() {
    let uids = (1..600_000_u32).rev().map(|n| (2 * n).to_string()).collect::<Vec<_>>().join(" ");
    let (answer, began) = (format!("* SEARCH {uids}\r\nTAG OK\r\n"), std::time::Instant::now());
    let examined = "* 600000 EXISTS\r\n* OK [UIDVALIDITY 9] ok\r\nTAG OK\r\n";
    let mut session = session(&[("EXAMINE", examined), ("UID SEARCH", &answer)]);
    session.examine(&Mailbox::named("INBOX", None, &[])).unwrap();
    assert_eq!(session.search_all().unwrap().len(), 599_999);
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
}
