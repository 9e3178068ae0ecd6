//! mdrop-route --calibrate on made mailboxes of the servers and providers there are: each answer holds the lines that are right for it, and
//! with the answer in the profile every message goes to those it was made for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::routing::{Profile, messages, recipients, shared, stream};
use std::collections::BTreeSet;
use std::fmt::Write;

const PEOPLE: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];

/// What a made message is about: its number, who wrote it, and for whom it is.
struct Mail {
    number: usize,
    author: String,
    to: Vec<String>,
}

impl Mail {
    /// Mail number `number`: for one of ours, every fifth for two, every seventh in Bcc only.
    fn new(number: usize) -> Self {
        let at = |n: usize| format!("{}@example.com", PEOPLE[n % PEOPLE.len()]);
        let to = if number % 5 == 1 { vec![at(number), at(number + 1)] } else { vec![at(number)] };
        Self { number, author: format!("writer{}@host{}.example", number % 17, number % 17), to }
    }

    fn is_bcc(&self) -> bool {
        self.number % 7 == 3
    }

    /// Whether a sender wrote envelope fields into it, which name somebody else.
    fn is_forged(&self) -> bool {
        self.number % 19 == 4
    }

    /// The Received field of the server that took it in; `for` stands there where there is one recipient.
    fn received(&self, by: &str) -> String {
        let to = if self.to.len() == 1 { format!(" for <{}>", self.to[0]) } else { String::new() };
        let host = self.number % 17;
        format!(
            "Received: from host{host}.example (host{host}.example [192.0.2.{host}]) by {by} with ESMTPS id {}{to}; Mon, 1 Jun 2026 10:00:00 +0000\n",
            self.number
        )
    }

    /// What the sender wrote.
    fn written(&self) -> String {
        let mut text = String::new();
        if self.is_forged() {
            text += "X-Original-To: frank@example.com\nDelivered-To: frank@example.com\nEnvelope-To: frank@example.com\nX-Recipient: frank@example.com\n";
        }
        let to = if self.is_bcc() { "undisclosed-recipients:;".to_owned() } else { self.to.join(", ") };
        let _ = write!(
            text,
            "Message-ID: <{}@host.example>\nFrom: {}\nTo: {to}\nSubject: {}\n\nText.\n",
            self.number, self.author, self.number
        );
        text
    }
}

/// A mailbox of `number` messages as `make` has them, with the recipients of each.
fn mailbox(number: usize, make: impl Fn(&Mail) -> (String, Vec<String>)) -> (Vec<String>, Vec<BTreeSet<String>>) {
    (0..number).map(|n| make(&Mail::new(n))).map(|(text, to)| (text.replace('\n', "\r\n"), to.into_iter().collect())).unzip()
}

/// Each recipient gets a copy, which begins with what `top` writes for them.
fn copies(number: usize, top: impl Fn(&Mail, &str) -> String) -> (Vec<String>, Vec<BTreeSet<String>>) {
    mailbox(number, |mail| (top(mail, &mail.to[0]) + &mail.written(), vec![mail.to[0].clone()]))
}

/// The answer for a mailbox under `settings`.
fn calibrate(settings: &str, messages: &[String]) -> String {
    let output = Profile::new(settings).run(&["--calibrate"], &stream(messages));
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The lines of an answer that are no comments.
fn lines(answer: &str) -> Vec<&str> {
    answer.lines().filter(|line| !line.starts_with('#')).collect()
}

/// An answer whose comments are not wrapped.
fn unwrapped(answer: &str) -> String {
    answer.replace("\n#   ", " ")
}

/// Demands these lines, and that the answer routes every message to those it is for.
#[track_caller]
fn proposes(settings: &str, (messages, truth): (Vec<String>, Vec<BTreeSet<String>>), expected: &[&str]) -> String {
    let answer = calibrate(settings, &messages);
    assert_eq!(lines(&answer), [&["[route]"], expected].concat(), "{answer}");
    let section = answer.split_once("[route]\n").unwrap().1;
    let routes = Profile::new(section).explain(&stream(&messages));
    let wrong = routes.iter().zip(&truth).filter(|(route, truth)| recipients(route) != **truth);
    let wrong: Vec<String> = wrong.map(|(route, truth)| format!("{}: {:?}, not {truth:?}", route.origin, recipients(route))).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}\n{answer}", wrong.len(), wrong.join("\n"));
    unwrapped(&answer)
}

const DOMAINS: &str = "domains = [\"example.com\"]\n";
const DOMAIN: &str = "domains = [\"example.com\"]";

#[test]
fn postfix_with_always_bcc_names_the_mailbox_on_top_and_the_recipient_in_received() {
    let made = mailbox(120, |mail| {
        let top = "Return-Path: <x@y.example>\nX-Original-To: archive@example.com\nDelivered-To: archive@example.com\n".to_owned();
        // Who is hidden and not alone can't be known from such a mailbox.
        let mail = &Mail {
            number: if mail.to.len() > 1 { mail.number / 7 * 7 } else { mail.number },
            author: mail.author.clone(),
            to: mail.to.clone(),
        };
        (top + &mail.received("mx.example.com") + &mail.written(), mail.to.clone())
    });
    let expected = [DOMAIN, "own-addresses = [\"archive@example.com\"]", "trusted-by = [\"mx.example.com\"]"];
    let answer = proposes(DOMAINS, made, &expected);
    assert!(
        answer.contains("# archive@example.com: a trace field names it in 120 of 120 (100 %) messages, and 0 are written to it"),
        "{answer}"
    );
}

#[test]
fn exim_writes_envelope_to_and_what_senders_write_does_not_count() {
    let made = mailbox(120, |mail| {
        let top =
            format!("Return-path: <{}>\nEnvelope-to: {}\nDelivery-date: Mon, 1 Jun 2026 10:00:00 +0000\n", mail.author, mail.to.join(", "));
        (top + &mail.received("mail.example.net") + &mail.written(), mail.to.clone())
    });
    let expected = [DOMAIN, "trusted-fields = [\"envelope-to:1\"]", "trusted-by = [\"mail.example.net\"]"];
    let answer = proposes(DOMAINS, made.clone(), &expected);
    assert!(answer.contains("# envelope-to:1: in 120 of 120 (100 %) messages, hop 0;"), "{answer}");
    assert!(answer.contains("# envelope-to:1 decides 120 of 120 (100 %) messages"), "{answer}");
    assert!(answer.contains("not genuine: a sender or a forwarder can have written it"), "{answer}");
    assert!(answer.contains("# with the lines below: 120 envelope:envelope-to\n"), "{answer}");
    let found = proposes("", made, &expected);
    assert!(found.contains("# example.com: named by 120 messages in the topmost trace fields, 6 different addresses"), "{found}");
}

#[test]
fn qmail_puts_a_prefix_before_local_parts() {
    let top = |mail: &Mail, to: &str| {
        format!("Return-Path: <{}>\nDelivered-To: example-com-{to}\n", mail.author)
            + "Received: (qmail 123 invoked by uid 89); 1 Jun 2026 10:00:00 -0000\n"
            + &mail.received("mx.hoster.example")
    };
    let expected =
        [DOMAIN, "strip-prefix = [\"example-com-\"]", "trusted-fields = [\"delivered-to:1\"]", "trusted-by = [\"mx.hoster.example\"]"];
    proposes(DOMAINS, copies(60, top), &expected);
}

#[test]
fn fastmail_says_to_whom_it_delivers_and_where_that_leads() {
    let top = |mail: &Mail, to: &str| {
        let host = "Received: from mx1.internal (unknown [10.0.0.1]) by sloti1n1.example.net (Cyrus 3.9) with LMTPA; Mon, 1 Jun 2026 10:00:00 +0000\n";
        format!(
            "Return-Path: <{}>\n{host}X-Delivered-to: {to}\nX-Resolved-to: archive@example.com\nX-Mail-from: {}\n",
            mail.author, mail.author
        ) + &mail.received("mx1.internal")
    };
    let answer = calibrate(DOMAINS, &copies(80, top).0);
    assert!(lines(&answer).contains(&"own-addresses = [\"archive@example.com\"]"), "{answer}");
    let expected = [
        DOMAIN,
        "own-addresses = [\"archive@example.com\"]",
        "trusted-fields = [\"x-delivered-to:1\"]",
        "trusted-by = [\"sloti1n1.example.net\", \"mx1.internal\"]",
    ];
    let top = move |mail: &Mail, to: &str| {
        top(mail, to).replace("from mx1.internal (unknown [10.0.0.1])", "from mx1.internal (mx1.internal [10.0.0.1])")
    };
    proposes(DOMAINS, copies(80, top), &expected);
}

#[test]
fn hmailserver_writes_two_fields_of_the_same_kind() {
    let top = |mail: &Mail, to: &str| {
        format!("Return-Path: {}\nX-Envelope-To: <{to}>\nX-RCPT-TO: <{to}>\n", mail.author) + &mail.received("mail.example.com")
    };
    let expected = [DOMAIN, "trusted-fields = [\"x-envelope-to:1\", \"x-rcpt-to:1\"]", "trusted-by = [\"mail.example.com\"]"];
    proposes("", copies(60, top), &expected);
}

#[test]
fn google_names_the_mailbox_on_top_under_hosts_without_a_name() {
    let top = |mail: &Mail, to: &str| {
        let host =
            format!("Received: by 2002:a05:6a10:{:x} with SMTP id x{}; Mon, 1 Jun 2026 10:00:00 -0700 (PDT)\n", mail.number, mail.number);
        let mx = mail.received("mx.google.com");
        // Google notes the recipient always.
        let mx = if mx.contains(" for ") { mx } else { mx.replace("; Mon", &format!(" for <{to}>; Mon")) };
        format!("Delivered-To: archive@example.com\n{host}Return-Path: <{}>\n", mail.author) + &mx
    };
    let expected = [DOMAIN, "own-addresses = [\"archive@example.com\"]", "trusted-by = [\"mx.google.com\"]"];
    proposes("", copies(60, top), &expected);
}

#[test]
fn a_field_that_no_other_server_writes_is_found() {
    let top = |mail: &Mail, to: &str| {
        format!("X-Hoster-Spam: no\nX-Recipient: {to}\n") + &mail.received("mx.hoster.example").replace(" for <", " sort <")
    };
    let expected = [DOMAIN, "trusted-fields = [\"x-recipient:1\"]", "trusted-by = [\"mx.hoster.example\"]"];
    let answer = proposes(DOMAINS, copies(60, top), &expected);
    assert!(answer.contains("# x-recipient:1: in 60 of 60 (100 %) messages"), "{answer}");
}

#[test]
fn the_mailbox_of_a_person_that_takes_everything_stays_that_persons() {
    let top = |mail: &Mail, to: &str| {
        format!("Return-Path: <{}>\nX-Original-To: {to}\nDelivered-To: alice@example.com\n", mail.author) + &mail.received("mx.example.com")
    };
    let expected = [DOMAIN, "trusted-fields = [\"x-original-to:1\"]", "trusted-by = [\"mx.example.com\"]"];
    let answer = proposes(DOMAINS, copies(120, top), &expected);
    assert!(answer.contains("# alice@example.com: a trace field names it in 120 of 120 (100 %) messages"), "{answer}");
    assert!(answer.contains("not proposed, too many messages are written to it"), "{answer}");
    // The same where that person gets little mail.
    let made = mailbox(120, |mail| {
        let to = if mail.number % 40 == 0 { "zoe@example.com" } else { &mail.to[0] };
        (top(mail, to).replace("Delivered-To: alice@", "Delivered-To: zoe@") + &mail.written(), vec![to.to_owned()])
    });
    let answer = proposes(DOMAINS, made, &expected);
    assert!(answer.contains("not proposed, it stands among the others where addresses vary"), "{answer}");
}

#[test]
fn journal_reports_say_who_may_send_them() {
    let made = mailbox(40, |mail| {
        let recipients = format!("Bcc: {}\n", mail.to.join("\nBcc: "));
        let text = format!(
            "Return-Path: <>\nDelivered-To: journal@example.com\nReceived: from a (a [192.0.2.1]) by mx.example.com; Mon, 1 Jun 2026 10:00:00 +0000\nX-MS-Journal-Report:\nFrom: MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@example.com\nTo: journal@example.com\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nSender: {}\nMessage-ID: <x@y>\n{recipients}\n--b\nContent-Type: message/rfc822\n\n{}\n--b--\n",
            mail.author,
            mail.written()
        );
        (text, mail.to.clone())
    });
    let expected = [
        DOMAIN,
        "own-addresses = [\"journal@example.com\"]",
        "trusted-by = [\"mx.example.com\"]",
        "journal-from = [\"microsoftexchange329e71ec88ae4615bbc36ab6ce41109e@example.com\"]",
    ];
    proposes(DOMAINS, made, &expected);
}

#[test]
fn a_sender_who_wrote_less_than_nearly_all_of_the_mail_brings_no_line_about() {
    // No server notes anything here, and four of five messages are one sender's, who writes whatever he likes.
    let made = mailbox(100, |mail| {
        let received = format!("Received: from a (a [192.0.2.1]) by mx{}.example.com; Mon, 1 Jun 2026 10:00:00 +0000\n", mail.number % 5);
        let forged = if mail.number % 5 == 0 {
            ""
        } else {
            "X-Original-To: mallory@example.com\nDelivered-To: frank@example.com\nX-Recipient: bob@example.com\nReceived: from b (b [192.0.2.1]) by evil.example for <dave@example.com>; Mon\nX-MS-Journal-Report:\n"
        };
        (format!("{received}{forged}{}", mail.written()), mail.to.clone())
    });
    let answer = calibrate(DOMAINS, &made.0);
    assert_eq!(lines(&answer), ["[route]", DOMAIN], "{answer}");
    assert!(
        unwrapped(&answer).contains("no host wrote the topmost Received field of nearly all messages; mx0.example.com 20 of 100"),
        "{answer}"
    );
}

#[test]
fn too_few_messages_are_said_to_be_few_and_what_the_profile_says_stays() {
    let top = |mail: &Mail, to: &str| format!("Envelope-to: {to}\n") + &mail.received("mail.example.net");
    let settings = "domains = [\"example.com\"]\ntrusted-fields = [\"x-foo:1\"]\ntrusted-by = [\"old.example.net\"]\nunknown = \"skip\"\nfile-senders = false\n";
    let answer = calibrate(settings, &copies(9, top).0);
    let kept = [
        "[route]",
        DOMAIN,
        "trusted-fields = [\"x-foo:1\"]",
        "trusted-by = [\"old.example.net\"]",
        "file-senders = false",
        "unknown = \"skip\"",
    ];
    assert_eq!(lines(&answer), kept, "{answer}");
    assert!(answer.contains("fewer than 10 messages") && answer.contains("by old.example.net: strike it out"), "{answer}");
    assert!(calibrate(DOMAINS, &copies(20, top).0).contains("# A small sample, with fewer than 50 messages"));
    assert!(!calibrate(DOMAINS, &copies(60, top).0).contains("small"));
    let none = calibrate("", &[]);
    assert!(none.contains("0 messages read") && none.contains("No domain stands often enough"), "{none}");
}

#[test]
fn every_answer_is_toml_whatever_stands_in_the_mail() {
    let odd = "Delivered-To: \"a\\\"]\u{1b}[31m\u{7f}\u{85}\u{2028}b\"@example.com\r\nReceived: by \u{1b}]0;x\u{7}\"host\\\r\n (c); x\r\nFrom: \"x\r\n\r\n";
    let messages: Vec<String> = (0..30).map(|n| odd.replace("[31m", &n.to_string())).collect();
    for settings in ["", DOMAINS] {
        let answer = calibrate(settings, &messages);
        assert!(toml::from_str::<toml::Table>(&answer).is_ok(), "{answer}");
        assert!(!answer.contains('\u{1b}') && !answer.contains('\u{2028}'), "{answer}");
    }
}

#[test]
fn a_sample_of_many_messages_is_taken_from_all_of_them() {
    // The server wrote another field for the older half.
    let made = mailbox(12_000, |mail| {
        let field = if mail.number < 6000 { "Delivered-To" } else { "X-Original-To" };
        (format!("{field}: {}\n{}From: {}\n\n", mail.to[0], mail.received("mx.example.com"), mail.author), vec![mail.to[0].clone()])
    });
    let answer = calibrate(DOMAINS, &made.0);
    assert!(answer.contains("12000 messages read, 10000 looked at"), "{answer}");
    let share = |place: &str| {
        let line = answer.lines().find(|line| line.starts_with(&format!("# {place}:1: in "))).unwrap();
        line.split(' ').nth(3).unwrap().parse::<i32>().unwrap()
    };
    assert!((share("delivered-to") - 5000).abs() < 200 && (share("x-original-to") - 5000).abs() < 200, "{answer}");
    assert_eq!(lines(&answer), ["[route]", DOMAIN, "trusted-by = [\"mx.example.com\"]"], "{answer}");
}

#[test]
fn the_flags_that_say_something_else_than_the_stream_exclude_each_other() {
    let profile = Profile::new(DOMAINS);
    assert_eq!(profile.run(&["--calibrate", "--explain"], b"").status.code(), Some(64));
    assert_eq!(profile.run(&["--calibrate", "-n"], b"").status.code(), Some(0));
    let mut damaged = stream(&["To: a@example.com\r\n\r\none\r\n"]);
    let at = memchr::memmem::find(&damaged, b"one").unwrap();
    damaged[at] = b'O';
    let output = profile.run(&["--calibrate"], &damaged);
    assert_eq!(output.status.code(), Some(65));
    assert!(String::from_utf8_lossy(&output.stdout).contains("0 messages read"));
}

#[test]
fn real_mail_is_calibrated_without_an_error() {
    let Some(shared) = shared("corpora/INDEX.tsv") else { return };
    let index = std::fs::read_to_string(shared.join("corpora/INDEX.tsv")).unwrap();
    let files = index.lines().skip(1).filter_map(|line| line.split('\t').next()).map(|file| shared.join("corpora").join(file));
    let octets: Vec<Vec<u8>> = files.filter(|file| file.exists()).step_by(3).map(|file| std::fs::read(file).unwrap()).collect();
    let all: Vec<&[u8]> = octets.iter().flat_map(|octets| messages(octets)).collect();
    for settings in ["", "domains = [\"jmason.org\", \"example.com\"]\n"] {
        let output = Profile::new(settings).run(&["--calibrate"], &stream(&all));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answer = String::from_utf8(output.stdout).unwrap();
        assert!(toml::from_str::<toml::Table>(&answer).is_ok(), "{answer}");
        // Mail of many mailboxes: nothing stands in nearly all of it.
        assert!(!answer.contains("\ntrusted-") && !answer.contains("\nown-addresses"), "{answer}");
    }
}
