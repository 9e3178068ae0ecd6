//! What is decided is the same with --explain and without it, where what can't matter is not kept.

use super::*;
use crate::{decide, evidence};
use mdrop::journal;
use mdrop::profile::RouteSettings;
use mdrop::users::Users;
use std::path::{Path, PathBuf};

const DELIVERY: decide::Delivery = decide::Delivery { account: "acme", mailbox: "INBOX", moment: None };

/// Everything but the explanation.
fn decided(policy: &Policy, octets: &[u8], explain: bool) -> impl PartialEq + std::fmt::Debug {
    let header = evidence::read(policy, octets, explain);
    let may_hold = header.report.is_some() || journal::may_hold_report(&header.content_type);
    let report = may_hold.then(|| journal::read(octets)).flatten();
    let decision = decide::decide(policy, &header, report.as_ref(), &DELIVERY, explain);
    let who = (decision.sender, decision.recipients, decision.filings);
    (who, decision.findings, decision.skip, decision.is_unknown, decision.is_sent, decision.journal.is_some(), header.is_cut)
}

fn policies() -> Vec<Policy> {
    let users = std::fs::read_to_string(messages().join("users.toml")).unwrap();
    let users = || Some(Users::parse(&users).unwrap());
    let domains = ["example.com", "example.org"].map(String::from).to_vec();
    let plain = RouteSettings { domains, own_addresses: vec!["archive@example.com".into()], ..RouteSettings::default() };
    let trusting = RouteSettings { trusted_by: vec!["mx.example.com".into()], ..plain.clone() };
    let fields = ["delivered-to:2", "x-local:2", "x-local:1", "envelope-to"].map(String::from).to_vec();
    let particular = RouteSettings { trusted_fields: fields, strip_prefix: vec!["pre-".into()], ..plain.clone() };
    let policy = |settings: &RouteSettings, users| Policy::new(settings, users).unwrap();
    vec![policy(&plain, users()), policy(&plain, None), policy(&trusting, users()), policy(&particular, None)]
}

fn messages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages")
}

#[test]
fn an_explanation_changes_no_decision_on_the_projects_messages() {
    let files: Vec<_> = std::fs::read_dir(messages()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let policies = policies();
    for path in files.iter().filter(|path| path.extension().is_some_and(|e| e == "eml")) {
        let octets = std::fs::read(path).unwrap();
        for policy in &policies {
            assert_eq!(decided(policy, &octets, false), decided(policy, &octets, true), "{}", path.display());
        }
    }
}

const NAMES: [&str; 18] = [
    "Delivered-To",
    "X-Original-To",
    "Envelope-To",
    "X-Local",
    "Apparently-To",
    "Return-Path",
    "Return-Path",
    "Return-Path",
    "X-Envelope-From",
    "X-Sender",
    "Sender",
    "From",
    "Resent-To",
    "Resent-From",
    "To",
    "Cc",
    "List-Post",
    "X-BeenThere",
];
const VALUES: [&str; 16] = [
    "alice@example.com",
    "bob@example.com",
    "<bob@example.org>",
    "archive@example.com",
    "pre-bob@example.com",
    "x@out.example, alice@example.com",
    "alice@mail.example.com, y@out.example",
    "<x@out.example>",
    "<y@out.example>",
    "<>",
    "mailing list bob@example.com",
    "<bob-bounces@example.com>",
    "<l-bounces@out.example>",
    "<l-7-bob=example.com@out.example>",
    "<mailto:alice@example.com>",
    "ghost@example.com",
];
const RECEIVED: [&str; 4] = [
    "Received: from a by mx.example.com for <alice@example.com>",
    "Received: from mx.example.com (mx.example.com [192.0.2.1]) by mx.example.com (envelope-from <x@out.example>)",
    "Received: from a by b (envelope-from <>) (ORCPT rfc822;bob@example.com)",
    "Received: by other.example for <x@out.example>",
];

#[test]
fn an_explanation_changes_no_decision_on_headers_put_together_at_random() {
    let policies = policies();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % limit
    };
    for _ in 0..4000 {
        let mut message = String::new();
        for _ in 0..=below(9) {
            let line = if below(5) == 0 {
                RECEIVED[below(RECEIVED.len())].to_owned()
            } else {
                format!("{}: {}", NAMES[below(NAMES.len())], VALUES[below(VALUES.len())])
            };
            message = message + &line + "\n";
        }
        for policy in &policies {
            assert_eq!(decided(policy, message.as_bytes(), false), decided(policy, message.as_bytes(), true), "{message}");
        }
    }
}
