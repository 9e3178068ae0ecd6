//! Whole headers, and what they come to.

use super::*;
use crate::evidence;
use mdrop::journal;
use mdrop::profile::RouteSettings;
use mdrop::users::Users;

const USERS: &str = "[[user]]\nname = \"alice@example.com\"\naliases = [\"info@example.com\"]\n[[user]]\nname = \"bob@example.com\"\n";

fn settings() -> RouteSettings {
    let domains = ["example.com", "example.org"].map(String::from).to_vec();
    RouteSettings { domains, own_addresses: vec!["archive@example.com".into()], ..RouteSettings::default() }
}

fn decide_with(settings: &RouteSettings, users: Option<&str>, message: &str) -> Decision {
    let policy = Policy::new(settings, users.map(|text| Users::parse(text).unwrap())).unwrap();
    let header = evidence::read(&policy, message.as_bytes(), true);
    let report =
        (header.report.is_some() || journal::may_hold_report(&header.content_type)).then(|| journal::read(message.as_bytes())).flatten();
    let delivery = Delivery { account: "acme", mailbox: "INBOX", moment: Some(mdrop::time::Time::from_unix(1_795_000_000)) };
    decide(&policy, &header, report.as_ref(), &delivery, true)
}

/// Recipients as `field:position address`.
fn recipients(decision: &Decision) -> Vec<String> {
    let show = |r: &Recipient| {
        let address = r.address.as_ref().map(|a| a.lossy().into_owned()).unwrap_or_default();
        format!("{}:{} {address}", r.evidence.field, r.evidence.position)
    };
    decision.recipients.iter().map(show).collect()
}

fn filings(decision: &Decision) -> Vec<String> {
    decision.filings.iter().map(|f| format!("{} {}", f.user, if f.role == Role::Sender { "sender" } else { "recipient" })).collect()
}

#[test]
fn the_topmost_hop_with_a_local_address_decides() {
    let cases: [(&str, &[&str]); 17] = [
        ("Delivered-To: x@host.example\nReceived: by h\nX-Original-To: a@example.com\n", &["x-original-to:1 a@example.com"]),
        ("Delivered-To: b@example.com\nReceived: by h for <a@example.com>\n", &["received:1 a@example.com"]),
        ("Delivered-To: b@example.com\nX-Original-To: a@example.com\n", &["x-original-to:1 a@example.com"]),
        ("Delivered-To: a@example.com\nDelivered-To: b@example.com\n", &["delivered-to:1 a@example.com"]),
        ("Delivered-To: a@example.com\nReceived: by h\nDelivered-To: b@example.com\n", &["delivered-to:1 a@example.com"]),
        (
            "Delivered-To: mailing list a@example.com\nDelivered-To: : archiv\nDelivered-To: b@example.com\n",
            &["delivered-to:3 b@example.com"],
        ),
        ("Delivered-To: archive@example.com\nReceived: by h\nReceived: by i for <a@example.com>\n", &["received:2 a@example.com"]),
        (
            "Envelope-To: a@example.com, x@host.example,\n b@example.org\nTo: c@example.com\n",
            &["envelope-to:1 a@example.com", "envelope-to:1 b@example.org"],
        ),
        ("X-Original-To: a@mail.example.com\nReceived: by h for <b@example.com>\n", &["received:1 b@example.com"]),
        ("X-Original-To: a@mail.example.com\nTo: x@host.example\n", &["x-original-to:1 a@mail.example.com"]),
        ("X-Original-To: a@mail.example.com\nTo: b@example.com\n", &["x-original-to:1 a@mail.example.com"]),
        ("X-Original-To: a@mail.example.com\nTo: b@example.com, A@example.com\n", &["x-original-to:1 A@example.com"]),
        ("Return-Path: <l-7-b=example.com@l.example>\nDelivered-To: a@mail.example.com\n", &["return-path:1 b@example.com"]),
        ("To: a@mail.example.com\n", &[]),
        ("To: a@example.com, x@host.example\nCc: b@example.com, A@Example.com\n", &["to:1 a@example.com", "cc:1 b@example.com"]),
        ("Resent-To: x@host.example\nResent-Bcc: a@example.com\nTo: b@example.com\n", &["resent-bcc:1 a@example.com"]),
        ("Delivered-To: archive+a=example.org@example.com\n", &["delivered-to:1 a@example.org"]),
    ];
    for (message, expected) in cases {
        assert_eq!(recipients(&decide_with(&settings(), None, message)), expected, "{message}");
    }
}

#[test]
fn a_mailing_list_is_not_its_reader() {
    let list = "Return-Path: <team-bounces@example.com>\nX-Original-To: team@example.com\nDelivered-To: bob@example.com\n";
    assert_eq!(recipients(&decide_with(&settings(), None, list)), ["delivered-to:1 bob@example.com"]);
    let host = "Return-Path: <team-bounces@example.com>\nDelivered-To: team@lists.example.com\nTo: team@example.com\n";
    assert!(recipients(&decide_with(&settings(), None, host)).is_empty());
    let outgoing = "Return-Path: <owner-team@example.com>\nReceived: by h for <team-outgoing@example.com>\n";
    assert!(recipients(&decide_with(&settings(), None, outgoing)).is_empty());
    let original = "Return-Path: <team-owner@example.com>\nReceived: by h id 1 (ORCPT <rfc822;team@example.com>)\n";
    assert!(recipients(&decide_with(&settings(), None, original)).is_empty());
    let subscriber = "Return-Path: <info-bounces@lists.example.com>\nDelivered-To: info@example.com\n";
    assert_eq!(recipients(&decide_with(&settings(), None, subscriber)), ["delivered-to:1 info@example.com"]);
    let verp = "Return-Path: <roses-return-7-bob=example.com@l.example>\nTo: roses@l.example, alice@example.com\n";
    assert_eq!(recipients(&decide_with(&settings(), None, verp)), ["return-path:1 bob@example.com"]);
}

#[test]
fn trusted_fields_take_the_place_of_those_found() {
    let message =
        "X-Original-To: a@example.com\nDelivered-To: pre-pre-b@example.com\nReceived: by h for <c@example.com>\nX-Local: d@example.com\n";
    let with = |fields: &[&str]| {
        let trusted_fields = fields.iter().map(|field| (*field).to_owned()).collect();
        let settings = RouteSettings { trusted_fields, strip_prefix: vec!["pre-".into()], ..settings() };
        recipients(&decide_with(&settings, None, message))
    };
    assert_eq!(with(&[]), ["x-original-to:1 a@example.com"]);
    assert_eq!(with(&["delivered-to:1", "x-original-to"]), ["delivered-to:1 pre-b@example.com"]);
    assert_eq!(with(&["delivered-to:2", "X-Local:1"]), ["x-local:1 d@example.com"]);
    assert_eq!(with(&["delivered-to:2"]), ["received:1 c@example.com"]);
}

#[test]
fn a_field_below_what_a_trusted_host_wrote_does_not_count_and_is_told() {
    let settings = RouteSettings { trusted_by: vec!["MX.example.com".into(), "in.example.com".into()], ..settings() };
    let top = "Received: from mx.example.com (mx.example.com [192.0.2.2]) by in.example.com\n";
    let mx = "Received: from mx.example.com (evil.example [192.0.2.1]) by mx.example.com for <alice@example.com>\n";
    let forged = "Received: from a by mx.example.com for <bob@example.com>\nDelivered-To: bob@example.com\n";
    let decision = decide_with(&settings, None, &format!("{top}{mx}{forged}"));
    assert_eq!(recipients(&decision), ["received:2 alice@example.com"]);
    assert!(matches!(decision.findings.as_slice(), [("forged", text)] if text.contains("bob@example.com")), "{:?}", decision.findings);
    let filter = "Received: from mx.example.com ([127.0.0.1]) by localhost (mx.example.com [127.0.0.1]) (amavisd-new)\n";
    let inside = "Received: from localhost (localhost [127.0.0.1]) by mx.example.com for <alice@example.com>\n";
    let filtered = decide_with(&settings, None, &format!("{inside}{filter}{mx}{forged}").replacen(" for <alice@example.com>", "", 1));
    assert_eq!(recipients(&filtered), ["received:3 alice@example.com"]);
    let unmarked = decide_with(&settings, None, "Delivered-To: bob@example.com\nReceived: by other.example\nTo: alice@example.com\n");
    assert_eq!(recipients(&unmarked), ["to:1 alice@example.com"]);
}

#[test]
fn everybody_known_is_filed_once_a_role_and_the_rest_is_left_to_the_policy() {
    let skip = RouteSettings { unknown: Unknown::Skip, ..settings() };
    let unfiled = RouteSettings { file_senders: false, ..settings() };
    let (both, ghost) = ("X-Original-To: alice@example.com, INFO@example.com\n", "Delivered-To: ghost@example.com\n");
    let mixed = "Envelope-To: ghost@example.com, bob@example.com\n";
    let sent = "From: Alice <info@example.com>, alice@example.com\nTo: x@host.example\n";
    let cases: [(&RouteSettings, &str, &[&str], bool); 9] = [
        (&settings(), both, &["alice@example.com recipient"], false),
        (&settings(), ghost, &["@catchall recipient"], false),
        (&settings(), mixed, &["bob@example.com recipient"], false),
        (&settings(), sent, &["alice@example.com sender"], false),
        (&settings(), "", &["@catchall recipient"], false),
        (&skip, ghost, &[], true),
        (&skip, mixed, &["bob@example.com recipient"], false),
        (&skip, sent, &["alice@example.com sender"], false),
        (&unfiled, sent, &["@catchall recipient"], false),
    ];
    for (settings, message, expected, skipped) in cases {
        let decision = decide_with(settings, Some(USERS), message);
        assert_eq!(
            (filings(&decision), decision.skip.is_some()),
            (expected.iter().map(|f| (*f).to_owned()).collect(), skipped),
            "{message}"
        );
    }
    let told = decide_with(&skip, Some(USERS), ghost).skip;
    assert_eq!(told.as_deref(), Some("no user has the address ghost@example.com"));
}

#[test]
fn the_profile_says_in_which_folder_and_under_whom_what_is_left_over_is_filed() {
    let settings = RouteSettings {
        catchall: Some("bob@example.com".into()),
        folder: "{mailbox}/{detail}".into(),
        sent_folder: Some("Sent/{year}".into()),
        ..settings()
    };
    let filed = |users, message: &str| {
        let decision = decide_with(&settings, users, message);
        decision.filings.iter().map(|f| format!("{} {}", f.user, f.folder)).collect::<Vec<_>>()
    };
    let message = "Delivered-To: alice+news@example.com\nFrom: Bob@example.com\n";
    assert_eq!(filed(Some(USERS), message), ["alice@example.com INBOX/news", "bob@example.com Sent/2026"]);
    assert_eq!(filed(None, message), ["alice@example.com INBOX/news", "bob@example.com Sent/2026"]);
    let dated = format!("{message}Received: by x; Mon, 02 Jan 2023 10:00:00 +0000\n");
    assert_eq!(filed(None, &dated), ["alice@example.com INBOX/news", "bob@example.com Sent/2023"]);
    assert_eq!(filed(Some(USERS), "To: ghost@example.com\n"), ["bob@example.com INBOX"]);
    assert!(decide_with(&settings, Some(USERS), "To: ghost@example.com\n").is_unknown);
    let refused = |settings: RouteSettings| Policy::new(&settings, Some(Users::parse(USERS).unwrap())).unwrap_err().to_string();
    assert_eq!(refused(RouteSettings { catchall: Some("bib".into()), ..settings.clone() }), "[route]: catchall: there is no user “bib”");
    assert!(refused(RouteSettings { folder: "{mail}".into(), ..settings.clone() }).contains("folder = \"{mail}\""));
}

#[test]
fn the_longest_prefix_that_fits_is_stripped_once_and_only_from_delivered_to() {
    let strip_prefix = ["x-", "x-y-"].map(String::from).to_vec();
    let settings = RouteSettings { strip_prefix, ..settings() };
    for (message, expected) in [
        ("Delivered-To: x-y-alice@example.com\n", "delivered-to:1 alice@example.com"),
        ("Delivered-To: X-x-alice@example.com\n", "delivered-to:1 x-alice@example.com"),
        ("Delivered-To: x-y-x-y-z@example.com\n", "delivered-to:1 x-y-z@example.com"),
        ("X-Original-To: x-alice@example.com\n", "x-original-to:1 x-alice@example.com"),
    ] {
        assert_eq!(recipients(&decide_with(&settings, None, message)), [expected], "{message}");
    }
}

#[test]
fn apparently_to_is_guessed_from_where_it_is_not_trusted() {
    let trusted = RouteSettings { trusted_fields: vec!["delivered-to:1".into()], ..settings() };
    let decision = decide_with(&trusted, None, "Apparently-To: alice@example.com\nTo: bob@example.com\n");
    assert_eq!(recipients(&decision), ["apparently-to:1 alice@example.com", "to:1 bob@example.com"]);
    assert!(decision.recipients.iter().all(|recipient| recipient.evidence.kind == Kind::Header));
}

#[test]
fn a_message_sent_on_to_outsiders_belongs_to_who_sent_it_on() {
    let message = "Resent-From: Bob@example.com\nResent-To: x@host.example\nFrom: y@host.example\nTo: alice@example.com\n";
    let decision = decide_with(&settings(), None, message);
    assert_eq!((recipients(&decision), filings(&decision)), (vec![], vec!["bob@example.com sender".to_owned()]));
    let written = message.replace("y@host.example", "alice@example.com");
    assert_eq!(filings(&decide_with(&settings(), None, &written)), ["alice@example.com sender"]);
    let nobody = decide_with(&settings(), None, "Resent-To: x@host.example\nTo: alice@example.com\n");
    assert_eq!(filings(&nobody), ["@catchall recipient"]);
}

#[test]
fn a_person_whose_address_ends_like_a_lists_is_no_list() {
    let person = "Return-Path: <shop-admin@example.com>\nDelivered-To: shop@example.com\nFrom: shop-admin@example.com\n";
    assert_eq!(recipients(&decide_with(&settings(), None, person)), ["delivered-to:1 shop@example.com"]);
    let list = person.replace("From:", "List-Post: <mailto:shop@example.com>\nFrom:");
    assert!(recipients(&decide_with(&settings(), None, &list)).is_empty());
}

fn report(wrapper: &str, envelope: &str) -> String {
    format!(
        "{wrapper}X-MS-Journal-Report:\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n{envelope}\n--b\nContent-Type: message/rfc822\n\nTo: y\n\n--b--\n"
    )
}

#[test]
fn a_journal_report_decides_with_bcc_lists_and_forwarders() {
    let envelope =
        "Sender: alice@example.com\nTo: x@host.example, Forwarded: info@example.com\nBcc: bob@example.com, Expanded: staff@example.com\n";
    let decision = decide_with(
        &settings(),
        Some(USERS),
        &report("Return-Path: <>\nDelivered-To: archive@example.com\nTo: archive@example.com\n", envelope),
    );
    assert_eq!(recipients(&decision), ["to:1 info@example.com", "bcc:1 bob@example.com"]);
    assert_eq!(filings(&decision), ["alice@example.com recipient", "bob@example.com recipient", "alice@example.com sender"]);
    assert!(decision.journal.is_some() && decision.is_unverified);
    let why = |address: &str| decision.rejected.iter().find(|r| r.address == Some(address.into())).map(|r| r.why.clone());
    assert_eq!(why("staff@example.com").as_deref(), Some("a list; its members are the recipients"));
    assert_eq!(why("x@host.example").as_deref(), Some("not in a local domain"));
}

#[test]
fn a_report_that_is_not_credible_is_routed_as_plain_mail() {
    let envelope = "Sender: x@host.example\nTo: alice@example.com\n";
    let from = RouteSettings { journal_from: vec!["journal@example.com".into()], ..settings() };
    let hosts = RouteSettings { trusted_by: vec!["mx.example.com".into()], ..settings() };
    let to_box = "Delivered-To: archive@example.com\n";
    let cases = [
        (&settings(), "Delivered-To: bob@example.com\n".to_owned(), false),
        (&settings(), to_box.to_owned(), true),
        (&from, format!("{to_box}From: x@host.example\n"), false),
        (&from, format!("{to_box}From: Journal <JOURNAL@example.com>\n"), true),
        (&hosts, format!("Return-Path: <x@host.example>\n{to_box}Received: by mx.example.com\n"), false),
        (&hosts, format!("Return-Path: <>\n{to_box}Received: by mx.example.com\n"), true),
        (&hosts, format!("Return-Path: <j@example.org>\n{to_box}Received: by mx.example.com\n"), true),
    ];
    for (settings, wrapper, credible) in cases {
        let decision = decide_with(settings, Some(USERS), &report(&wrapper, envelope));
        let forged = decision.findings.iter().any(|(word, _)| *word == "forged");
        assert_eq!((decision.journal.is_some(), forged), (credible, !credible), "{wrapper}");
        let alice = recipients(&decision).contains(&"to:1 alice@example.com".to_owned());
        assert_eq!(alice, credible, "{wrapper}");
    }
}

#[test]
fn the_sender_is_that_of_the_hop_that_decided() {
    let sender = |message: &str| {
        let found = decide_with(&settings(), None, message).sender;
        found.map(|s| format!("{} {}", s.evidence.field, s.address.map(|a| a.lossy().into_owned()).unwrap_or_default()))
    };
    let cases = [
        ("Return-Path: <>\nDelivered-To: a@example.com\nFrom: x@y.example\n", Some("return-path ")),
        (
            "Return-Path: <top@y.example>\nReceived: by h\nReturn-Path: <low@y.example>\nDelivered-To: a@example.com\n",
            Some("return-path low@y.example"),
        ),
        ("Return-Path: <top@y.example>\nReceived: by h\nDelivered-To: a@example.com\n", Some("return-path top@y.example")),
        (
            "Return-Path: <again@y.example>\nReturn-Path: <first@y.example>\nReceived: by h for <a@example.com>\n",
            Some("return-path first@y.example"),
        ),
        (
            "Delivered-To: a@example.com\nReturn-Path: <server@y.example>\nReturn-Path: <forged@y.example>\n",
            Some("return-path server@y.example"),
        ),
        (
            "Delivered-To: a@example.com\nReceived: by h (envelope-from <x@y.example>)\nX-Sender: login@y.example\n",
            Some("received x@y.example"),
        ),
        ("X-Sender: x@y.example\nX-Receiver: a@example.com\nFrom: z@y.example\n", Some("x-sender x@y.example")),
        (
            "Return-Path: <top@y.example>\nReceived: by h\nDelivered-To: a@example.com\nReceived: by i\nReturn-Path: <low@y.example>\n",
            Some("return-path low@y.example"),
        ),
        ("From: MAILER-DAEMON@y.example\nTo: a@example.com\n", Some("from ")),
        ("Sender: MAILER-DAEMON@y.example\nFrom: x@y.example\n", Some("sender ")),
        ("Return-Path: <MAILER-DAEMON>\nFrom: x@y.example\n", Some("return-path ")),
        ("Return-Path: \nFrom: x@y.example\n", Some("return-path ")),
        ("Return-Path: <postmaster>\nFrom: x@y.example\n", Some("from x@y.example")),
        ("X-Envelope-From: <x@y.example>\nFrom: z@y.example\n", Some("x-envelope-from x@y.example")),
        ("Received: by h (envelope-from <x@y.example>)\nSender: z@y.example\n", Some("received x@y.example")),
        ("Sender: z@y.example\nFrom: x@y.example\n", Some("sender z@y.example")),
        ("Subject: x\n", None),
    ];
    for (message, expected) in cases {
        assert_eq!(sender(message).as_deref(), expected, "{message}");
    }
}

#[test]
fn the_reader_in_a_return_path_is_known_by_name_and_not_by_a_wildcard() {
    let message = "Return-Path: <roses-return-7-frank=example.com@l.example>\nTo: roses@l.example\n";
    let of = |users: &str| filings(&decide_with(&settings(), Some(users), message));
    let rest = "[[user]]\nname = \"boss\"\naliases = [\"*@example.com\"]\n";
    assert_eq!(of(rest), ["@catchall recipient"]);
    assert_eq!(of(&format!("{rest}[[user]]\nname = \"frank@example.com\"\n")), ["frank@example.com recipient"]);
}

#[test]
fn what_may_be_somebodys_for_a_time_is_not_left_out_because_the_moment_is_not_known() {
    let users =
        "[[user]]\nname = \"alice@example.com\"\naliases = [{ address = \"office@example.com\", from = 2020-01-01, until = 2021-01-01 }]\n";
    let settings = RouteSettings { unknown: Unknown::Skip, ..settings() };
    let policy = Policy::new(&settings, Some(Users::parse(users).unwrap())).unwrap();
    let header = evidence::read(&policy, b"X-Original-To: office@example.com\nFrom: x@out.example\n", true);
    let at = |moment| decide(&policy, &header, None, &Delivery { account: "acme", mailbox: "INBOX", moment }, true);
    assert_eq!((filings(&at(None)).concat(), at(None).skip), ("@catchall recipient".into(), None));
    assert!(at(Some(mdrop::time::Time::from_unix(1_795_000_000))).skip.is_some(), "then nobody has it, which is known");
}

#[test]
fn the_null_sender_that_a_received_field_notes_is_kept() {
    let message = "Received: from a by h (envelope-from <>) for <alice@example.com>; Mon\nFrom: x@evil.example\n";
    let sender = decide_with(&settings(), Some(USERS), message).sender.unwrap();
    assert_eq!((sender.address.unwrap().lossy().into_owned(), sender.evidence.field), (String::new(), "received".into()));
}

const REPORT: &str = "X-MS-Journal-Report:\nContent-Type: multipart/mixed; boundary=b\nFrom: j@example.com\n\n--b\nContent-Type: text/plain\n\nENVELOPE\n--b\nContent-Type: message/rfc822\n\nFrom: x\n\nHi\n--b--\n";

#[test]
fn an_address_of_the_users_list_counts_in_a_sub_domain_too() {
    let users = format!("{USERS}[[user]]\nname = \"eve@sales.example.com\"\n");
    let envelope = "Sender: x@out.example\nSubject: s\nMessage-Id: <1@x>\nTo: alice@example.com\nTo: eve@sales.example.com\n";
    let report = REPORT.replace("ENVELOPE", envelope);
    let traced = "Envelope-To: alice@example.com, eve@sales.example.com, alice@mail.example.com\n";
    for message in [report.as_str(), traced] {
        let decision = decide_with(&settings(), Some(&users), message);
        assert_eq!(filings(&decision), ["alice@example.com recipient", "eve@sales.example.com recipient"], "{message}");
    }
}

#[test]
fn a_report_that_names_somebody_by_no_address_or_nobody_at_all_says_so() {
    let envelope = "Sender: alice@example.com\nSubject: s\nMessage-Id: <1@x>\nTo: /o=ExchangeLabs/ou=x/cn=Recipients/cn=bob\n";
    let decision = decide_with(&settings(), Some(USERS), &REPORT.replace("ENVELOPE", envelope));
    assert!(matches!(decision.findings.as_slice(), [("damaged", text)] if text.contains("no address")), "{:?}", decision.findings);
    let nobody = "Sender: alice@example.com\nMessage-Id: <1@x>\nSubject: s\nTo: bob@example.com\n\nDisclaimer\nSubject: to change\n";
    let decision = decide_with(&settings(), Some(USERS), &REPORT.replace("ENVELOPE", nobody));
    assert!(matches!(decision.findings.as_slice(), [("damaged", text)] if text.contains("no recipient")), "{:?}", decision.findings);
}

#[test]
fn no_stranger_hides_a_message_by_calling_a_user_a_list() {
    let list = "List-Post: <mailto:alice@example.com>\n";
    let hidden = [
        format!("Return-Path: <x-bounces@evil.example>\nX-Original-To: alice@example.com\nReceived: by h\n{list}To: x@evil.example\n"),
        format!(
            "Return-Path: <x-bounces@evil.example>\nX-Original-To: alice@example.com\nReceived: by h\nDelivered-To: bob@example.com\n{list}"
        ),
        format!("Return-Path: <x-return-7-bob=example.com@evil.example>\nDelivered-To: alice@example.com\nReceived: by h\n{list}"),
        format!("Return-Path: <x-bounces@evil.example>\nReceived: by h for <alice@example.com>\n{list}To: bob@example.com\n"),
        "Return-Path: <alice-bounces@example.com>\nTo: alice@example.com\n".into(),
    ];
    for message in hidden {
        assert_eq!(filings(&decide_with(&settings(), Some(USERS), &message)), ["alice@example.com recipient"], "{message}");
    }
    let read = "Return-Path: <info-bounces@example.com>\nX-Original-To: info@example.com\nDelivered-To: bob@example.com\n";
    assert_eq!(filings(&decide_with(&settings(), Some(USERS), read)), ["bob@example.com recipient"]);
    let guessed = "Return-Path: <info-bounces@example.com>\nTo: info@example.com, bob@example.com\n";
    assert_eq!(filings(&decide_with(&settings(), Some(USERS), guessed)), ["bob@example.com recipient"]);
}
