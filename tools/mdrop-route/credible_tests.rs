//! What makes a report credible, sentence by sentence.

use super::*;
use crate::{evidence, judge};
use mdrop::journal;
use mdrop::profile::RouteSettings;

const BOX: &str = "Return-Path: <>\nDelivered-To: archive@example.com\nReceived: from a (a.example [192.0.2.1]) by mx.example.com\n";
const TENANT: &str = "MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@tenant.onmicrosoft.com";

fn settings() -> RouteSettings {
    RouteSettings { domains: vec!["example.com".into()], own_addresses: vec!["archive@example.com".into()], ..RouteSettings::default() }
}

fn listed() -> RouteSettings {
    RouteSettings { journal_from: vec!["journal@example.net".into(), TENANT.into()], ..settings() }
}

fn hosts() -> RouteSettings {
    RouteSettings { trusted_by: vec!["mx.example.com".into()], ..settings() }
}

const MARK: &str = "X-MS-Journal-Report:\n";
const ENVELOPE: &str = "\nSender: x@y.example\nTo: alice@example.com\n";

fn message(wrapper: &str, mark: &str, parts: &[&str]) -> String {
    let kind = if mark.is_empty() { "report" } else { "mixed" };
    let parts: String = parts.iter().flat_map(|part| ["--b\n", part, "\n"]).collect();
    format!(
        "{wrapper}{mark}Content-Type: multipart/{kind}; boundary=b\n\n{parts}--b\nContent-Type: message/rfc822\n\nFrom: x@y.example\n\nx\n--b--\n"
    )
}

fn belief(settings: &RouteSettings, message: &str) -> Belief {
    let policy = Policy::new(settings, None).unwrap();
    let header = evidence::read(&policy, message.as_bytes(), false);
    let report = journal::read(message.as_bytes()).unwrap();
    let hops = judge::trusted_hops(&policy, &header.received);
    judge(&policy, &header, &judge::judge(&policy, &header), hops, &report)
}

/// Credible, unverified, forged or plain.
fn word(belief: &Belief) -> &'static str {
    match belief {
        Belief::Credible => "credible",
        Belief::Unverified => "unverified",
        Belief::Forged(_) => "forged",
        Belief::Plain => "plain",
    }
}

fn all(settings: &RouteSettings, mark: &str, part: &str, cases: &[(&str, &str)]) {
    for (wrapper, expected) in cases {
        assert_eq!(word(&belief(settings, &message(wrapper, mark, &[part]))), *expected, "{mark}{wrapper}");
    }
}

#[test]
fn journal_from_lists_who_may_send_reports() {
    let from = |fields: &str| format!("{BOX}{fields}");
    let path = |path: &str, fields: &str| from(fields).replace("<>", path);
    let sender = format!("Sender: <{TENANT}>\nFrom: x@y.example\n");
    let cases = [
        (from("From: Journal <JOURNAL@example.net>\n"), "credible"),
        (from(&format!("From: \"Microsoft Outlook\" <{TENANT}>\n")), "credible"),
        (path("<bounces@relay.example>", "From: journal@example.net\n"), "credible"),
        (from("From: x@y.example\n"), "forged"),
        (from("From: \"journal@example.net\" <x@y.example>\n"), "forged"),
        (from(""), "forged"),
        // Exchange writes the author into From and itself into Sender.
        (from(&sender), "credible"),
        (path("<ndr@example.com>", &sender), "credible"),
        (path("<x@y.example>", &sender), "forged"),
        // What the server that took the report wrote.
        (path("<journal@example.net>", "From: x@y.example\n"), "credible"),
        (from("From: x@y.example\nReply-To: journal@example.net\n"), "forged"),
    ];
    let cases: Vec<_> = cases.iter().map(|(wrapper, expected)| (wrapper.as_str(), *expected)).collect();
    all(&listed(), MARK, ENVELOPE, &cases);
    let trusting = RouteSettings { trusted_by: hosts().trusted_by, ..listed() };
    let below = "Received: from y.example (y.example [192.0.2.9]) by mx.example.com\nReceived: by y.example\nReturn-Path: <journal@example.net>\nDelivered-To: archive@example.com\nFrom: x@y.example\n";
    all(&trusting, MARK, ENVELOPE, &[(below, "forged")]);
}

#[test]
fn without_journal_from_a_report_is_believed_unless_it_comes_from_outside() {
    let path = |path: &str| BOX.replace("<>", path);
    let (outside, ours, detail) = (path("<x@y.example>"), path("<j@example.com>"), path("<archive@example.com>"));
    let cases = [(BOX, "unverified"), (&outside, "forged"), (&ours, "unverified"), (&detail, "unverified")];
    all(&hosts(), MARK, ENVELOPE, &cases);
    let none = BOX.replace("Return-Path: <>\n", "");
    all(&hosts(), MARK, ENVELOPE, &[(&none, "unverified")]);
    all(&hosts(), MARK, ENVELOPE, &[("Return-Path: <x@y.example>\nReceived: by nobody.example\n", "forged")]);
    // Without trusted hosts nothing vouches for a Return-Path.
    all(&settings(), MARK, ENVELOPE, &[(BOX, "unverified"), (&outside, "unverified")]);
}

#[test]
fn a_report_that_was_delivered_to_somebody_else_is_not_believed() {
    let cases = [
        ("Delivered-To: bob@example.com\nFrom: journal@example.net\n", "forged"),
        // The catch-all wrote its own address, too, and the mailbox's copy was made of what went to a user.
        ("X-Original-To: bob@example.com\nDelivered-To: archive@example.com\nFrom: journal@example.net\n", "forged"),
        ("Delivered-To: archive@example.com\nReceived: by mx.example.com for <bob@example.com>\nFrom: journal@example.net\n", "forged"),
        // What the sender says of a list does not make a user one.
        (
            "Return-Path: <bob-bounces@example.com>\nDelivered-To: bob@example.com\nList-Post: <mailto:bob@example.com>\nFrom: journal@example.net\n",
            "forged",
        ),
        ("Delivered-To: archive+x@example.com\nFrom: journal@example.net\n", "credible"),
        ("Delivered-To: customer@hosting.example\nTo: bob@example.com\nFrom: journal@example.net\n", "credible"),
    ];
    all(&listed(), MARK, ENVELOPE, &cases);
    all(&hosts(), MARK, ENVELOPE, &[("Delivered-To: bob@example.com\nReceived: by nobody.example\n", "forged")]);
    let told = belief(&settings(), &message(cases[0].0, MARK, &[ENVELOPE]));
    assert!(matches!(told, Belief::Forged(why) if why.contains("bob@example.com")));
    // Where the box's own addresses are not configured nobody can tell.
    let unknown = RouteSettings { own_addresses: Vec::new(), ..listed() };
    all(&unknown, MARK, ENVELOPE, &[(cases[0].0, "credible")]);
}

#[test]
fn an_intercept_must_come_from_a_local_domain_and_a_captured_copy_from_journal_from() {
    let intercept = "\nIntercepted message for alice@example.com.\nOperation=add message, folder=Inbox, folder ID=2.\n";
    let subject = "Subject: Intercept message for alice@example.com x\n";
    let (ours, theirs) = (format!("{BOX}From: Postmaster <postmaster@example.com>\n"), format!("{BOX}From: x@y.example\n"));
    all(&settings(), subject, intercept, &[(&ours, "unverified"), (&theirs, "forged"), (BOX, "forged")]);
    let from = format!("{BOX}From: journal@example.net\n");
    all(&listed(), subject, intercept, &[(&ours, "forged"), (&from, "credible")]);
    let status = "Content-Type: message/delivery-status\n\nOriginal-Recipient: rfc822;alice@example.com\nAction: delivered\n";
    all(&settings(), "", status, &[(&ours, "plain")]);
    all(&listed(), "", status, &[(&ours, "plain"), (&from, "credible")]);
}

#[test]
fn a_report_on_the_delivery_of_a_report_is_looked_into_if_a_journal_sent_it() {
    let lower = message("From: j@example.com\n", MARK, &[ENVELOPE]).replace("boundary=b", "boundary=c").replace("--b", "--c");
    let upper = |sender: &str, to: &str| {
        format!(
            "X-MS-Journal-Report:\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nSender: {sender}\nTo: {to}\n\n--b\nContent-Type: message/rfc822\n\n{lower}\n--b--\n"
        )
    };
    let cases = [
        (settings(), "j@example.com", "archive@example.com", true),
        (settings(), "<>", "archive@example.com", true),
        (settings(), "x@y.example", "archive@example.com", false),
        (settings(), "j@example.com", "bob@example.com", false),
        (settings(), "j@example.com", "archive@example.com\nCc: bob@example.com", false),
        (settings(), "j@example.com", "x@y.example", false),
        (listed(), "journal@example.net", "archive@example.com", true),
        (listed(), "j@example.com", "archive@example.com", false),
    ];
    for (settings, sender, to, inside) in cases {
        let report = journal::read(upper(sender, to).as_bytes()).unwrap();
        let policy = Policy::new(&settings, None).unwrap();
        let named = innermost(&policy, &report).recipients().any(|line| line.addresses[0].normal() == "alice@example.com");
        assert_eq!(named, inside, "{sender} {to}");
    }
}
