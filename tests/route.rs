//! mdrop-route as a whole: streams made with the library go through the binary, and what comes out is compared.
//!
//! Two sets of labelled messages are tried: the project's own, which must be there, and a larger one of real mail, which is passed over
//! with a line on stderr where it is not (`MDROP_SHARED`, or `../shared` beside the project).

// Helper functions, too, are tests here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::routing::{Profile, messages, recipients, routes, shared, stream, users};
use mdrop::record::{Role, Route};
use mdrop::stream::{Journal, Routing, StreamReader};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;

const DOMAINS: &str = "domains = [\"example.com\", \"example.org\"]\nown-addresses = [\"archive@example.com\"]\n";

#[test]
fn a_message_passes_with_its_octets_and_what_was_decided() {
    let messages = ["Delivered-To: a@example.com\r\nFrom: b@example.com\r\n\r\nFrom here\r\n", "no header", ""];
    let output = Profile::new(DOMAINS).run(&[], &stream(&messages));
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut reader = StreamReader::new(&output.stdout[..]);
    for message in messages {
        let mut octets = Vec::new();
        let meta = reader.read(&mut std::io::sink(), &mut octets).ok().flatten().unwrap();
        assert_eq!(octets, message.as_bytes());
        let route = meta.route.unwrap();
        let filings: Vec<_> = route.filings.iter().map(|f| (f.user.as_str(), f.folder.as_str(), f.role)).collect();
        let expected = if message.starts_with('D') {
            vec![("a@example.com", "INBOX", Role::Recipient), ("b@example.com", "INBOX", Role::Sender)]
        } else {
            vec![("@catchall", "INBOX", Role::Recipient)]
        };
        assert_eq!(filings, expected);
    }
}

#[test]
fn routing_twice_gives_what_routing_once_gives() {
    let profile = Profile::new(DOMAINS);
    let once = profile.run(&[], &stream(&["To: a@example.com\r\n\r\nx\r\n", "To: b@example.net\n\ny"])).stdout;
    assert_eq!(profile.run(&[], &once).stdout, once);
    let elsewhere = Profile::new("domains = [\"example.net\"]\n").run(&["--explain"], &once);
    assert_eq!(users(&routes(&elsewhere.stdout)[1]), BTreeSet::from(["b@example.net"]));
}

#[test]
fn explain_and_dry_run_print_every_candidate_with_its_reason() {
    let profile = Profile::new(DOMAINS);
    let input = stream(&["Delivered-To: archive@example.com\r\nTo: a@example.com, c@example.net\r\n\r\n"]);
    let route = profile.explain(&input).remove(0);
    let why: Vec<_> = route.rejected.iter().map(|r| (r.evidence.field.as_str(), r.why.as_str())).collect();
    assert_eq!(why, [("delivered-to", "the mailbox's own address"), ("to", "not in a local domain")]);
    assert_eq!(recipients(&route), BTreeSet::from(["a@example.com".to_owned()]));
    assert_eq!(profile.run(&["-n"], &input).stdout, profile.run(&["--explain"], &input).stdout);
}

#[test]
fn a_damaged_message_costs_only_itself() {
    let mut input = stream(&["To: a@example.com\r\n\r\none\r\n", "To: b@example.com\r\n\r\ntwo\r\n", "To: c@example.com\r\n\r\nthree\r\n"]);
    let at = memchr::memmem::find(&input, b"two").unwrap();
    input[at] = b'T';
    let output = Profile::new(DOMAINS).run(&["--explain"], &input);
    assert_eq!(output.status.code(), Some(65));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.starts_with("mdrop-route: acme/INBOX: UID 2: ") && stderr.lines().count() == 1, "{stderr}");
    let named: Vec<_> = routes(&output.stdout).iter().flat_map(recipients).collect();
    assert_eq!(named, ["a@example.com", "c@example.com"]);
}

#[test]
fn the_policy_for_unknown_addresses_archives_or_skips() {
    let write_users =
        |profile: &Profile| std::fs::write(profile.0.path().join("users.toml"), "[[user]]\nname = \"a@example.com\"\n").unwrap();
    let input = stream(&["To: a@example.com\r\n\r\n", "To: ghost@example.com\r\n\r\n"]);
    let archive = Profile::new(&format!("{DOMAINS}users = \"users.toml\"\n"));
    write_users(&archive);
    assert_eq!(archive.explain(&input).iter().map(users).collect::<Vec<_>>(), [["a@example.com"].into(), ["@catchall"].into()]);
    let skip = Profile::new(&format!("{DOMAINS}users = \"users.toml\"\nunknown = \"skip\"\n"));
    write_users(&skip);
    let output = skip.run(&[], &input);
    let mut reader = StreamReader::new(&output.stdout[..]);
    let mut next = || reader.read(&mut std::io::sink(), &mut std::io::sink()).ok().flatten().unwrap().route.unwrap();
    let (known, ghost) = (next(), next());
    assert_eq!((known.skip, known.settings), (None, None));
    assert!(ghost.filings.is_empty() && ghost.settings.is_some());
    assert_eq!(ghost.skip.as_deref(), Some("no user has the address ghost@example.com"));
}

#[test]
fn without_domains_nothing_is_routed_and_the_advice_is_printed() {
    let output = Profile::new("").run(&[], &stream(&["To: a@example.com\r\n\r\n"]));
    assert_eq!((output.status.code(), output.stdout.len()), (Some(78), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("needs domains"), "{output:?}");
}

#[test]
fn a_header_is_read_to_its_end_however_long_it_is() {
    let junk = "y".repeat(17 << 20);
    let long = format!("X-Long: {junk}\r\nDelivered-To: a@example.com\r\nTo: b@example.com\r\n\r\nx\r\n");
    let many = format!("{}Delivered-To: a@example.com\n\nTo: b@example.com\n", "To: b@example.com\n".repeat(200_000));
    let loops = format!("{}Delivered-To: b@example.com\nTo: a@example.com\n\n", "Received: by x\n".repeat(1001));
    let output = Profile::new(DOMAINS).run(&["--explain"], &stream(&[long, many, loops]));
    let routes = routes(&output.stdout);
    assert!(routes.len() == 3 && routes.iter().all(|route| users(route) == BTreeSet::from(["a@example.com"])), "{routes:?}");
    let told: Vec<bool> = routes.iter().map(|route| route.findings.iter().any(|finding| finding.finding == "damaged")).collect();
    assert_eq!(told, [false, false, true]);
}

#[test]
fn a_message_with_line_ends_of_bare_cr_is_routed_as_one_with_lf() {
    let message = "Return-Path: <>\nDelivered-To: a@example.com\nReceived: by x\nTo: b@example.com\n\nbody\n";
    let all = [message.to_owned(), message.replace('\n', "\r"), message.replace('\n', "\r\n"), message.trim_end().replace('\n', "\r")];
    let routes = Profile::new(DOMAINS).explain(&stream(&all));
    assert!(routes.iter().all(|route| recipients(route) == BTreeSet::from(["a@example.com".to_owned()])), "{routes:?}");
}

#[test]
fn a_journal_report_that_names_only_outsiders_is_an_answer_and_is_not_left_out() {
    let report = |sender: &str, to: &str| {
        format!(
            "X-MS-Journal-Report:\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSender: {sender}\r\nTo: {to}\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nx\r\n--b--\r\n"
        )
    };
    let messages = [
        report("a@example.com", "x@y.example"),
        report("ghost@example.com", "x@y.example"),
        report("x@y.example", "ghost@example.com"),
        report("x@y.example", "y@y.example"),
    ];
    let profile = |more: &str| {
        let profile = Profile::new(&format!("{DOMAINS}users = \"users.toml\"\nunknown = \"skip\"\n{more}"));
        std::fs::write(profile.0.path().join("users.toml"), "[[user]]\nname = \"a@example.com\"\n").unwrap();
        profile
    };
    let outcome = |route: &Route| route.skip.clone().unwrap_or_else(|| users(route).into_iter().collect());
    let skipped = ["no user has the address ghost@example.com", "names no address in the local domains"];
    let outcomes: Vec<String> = profile("").explain(&stream(&messages)).iter().map(outcome).collect();
    assert_eq!(outcomes, ["a@example.com", "@catchall", skipped[0], skipped[1]]);
    let unfiled = profile("file-senders = false\n");
    let log = unfiled.0.path().join("run.log");
    let output = unfiled.run(&["--explain", "-q", "--log", log.to_str().unwrap()], &stream(&messages));
    let outcomes: Vec<String> = routes(&output.stdout).iter().map(outcome).collect();
    assert_eq!(outcomes, ["@catchall", "@catchall", skipped[0], skipped[1]]);
    let log = std::fs::read_to_string(log).unwrap();
    let unverified = log.lines().filter(|line| line.contains("\"unverified\"")).count();
    let summary: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    let count = |word: &str| summary["counts"][word]["messages"].as_u64().unwrap_or_default();
    assert_eq!((unverified, count("routed"), count("skipped"), count("unknown")), (1, 2, 2, 0), "{summary}");
}

#[test]
fn the_message_in_a_report_of_many_megabytes_is_found_from_end_to_end() {
    let line = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab\r\n";
    let inner = format!("From: a@example.com\r\n\r\nFrom here\r\n>From there\r\n{}", line.repeat(400_000));
    let wrapper = "X-MS-Journal-Report:\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSender: a@example.com\r\nTo: b@example.com\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n";
    let message = format!("{wrapper}{inner}\r\n--b--\r\n");
    let routing = routings(&Profile::new(DOMAINS).run(&["-q"], &stream(&[message])).stdout).remove(0);
    let place = routing.journal.and_then(|journal| journal.offset.zip(journal.length));
    assert_eq!(place, Some((wrapper.len() as u64, inner.len() as u64)));
}

/// What mdrop-route added to each message of a stream.
fn routings(stream: &[u8]) -> Vec<Routing> {
    let mut reader = StreamReader::new(stream);
    let mut next = || reader.read(&mut std::io::sink(), &mut std::io::sink()).ok().flatten().map(|meta| meta.route.unwrap());
    std::iter::from_fn(&mut next).collect()
}

#[derive(Deserialize)]
struct Own {
    file: String,
    sender: Option<String>,
    recipients: BTreeSet<String>,
    users: BTreeSet<String>,
    confidence: String,
    journal: Option<Journal>,
    #[serde(default)]
    findings: BTreeSet<String>,
}

#[test]
fn the_projects_own_messages_are_routed_as_labelled() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    let labels = std::fs::read_to_string(folder.join("labels.jsonl")).unwrap();
    let rows: Vec<Own> = labels.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let messages: Vec<_> = rows.iter().map(|row| std::fs::read(folder.join(&row.file)).unwrap()).collect();
    let profile = Profile::new(&format!("{DOMAINS}users = {:?}\n", folder.join("users.toml")));
    let routes = profile.explain(&stream(&messages));
    let carried = routings(&profile.run(&["-q"], &stream(&messages)).stdout);
    assert_eq!((routes.len(), carried.len()), (rows.len(), rows.len()));
    let mut wrong = Vec::new();
    for ((row, route), carried) in rows.iter().zip(&routes).zip(&carried) {
        let sender = route.sender.as_ref().map(|s| s.address.as_ref().unwrap().lossy().into_owned());
        let labelled = row.sender.as_deref().map(|s| if s == "<>" { "" } else { s }.to_owned());
        let filed = users(route);
        let kind = route.recipients.first().map_or("unknown", |r| match r.evidence.kind {
            mdrop::record::Kind::Header => "guess",
            mdrop::record::Kind::Envelope => "envelope",
            mdrop::record::Kind::Received => "received",
            mdrop::record::Kind::Resent => "resent",
            _ => "journal",
        });
        let right = recipients(route) == row.recipients.iter().map(|a| a.to_lowercase()).collect()
            && filed == row.users.iter().map(String::as_str).collect()
            && sender == labelled
            && (kind == row.confidence || route.recipients.is_empty())
            && carried.journal == row.journal
            && carried.findings.iter().all(|finding| row.findings.contains(&finding.finding) || row.journal.is_none())
            && row.findings.iter().all(|word| carried.findings.iter().any(|finding| finding.finding == *word));
        if !right {
            let told: Vec<_> = carried.findings.iter().map(|finding| &finding.finding).collect();
            let (named, journal) = (recipients(route), &carried.journal);
            wrong.push(format!("{}: {kind} {named:?} {filed:?} from {sender:?}, {journal:?} {told:?}", row.file));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[derive(Deserialize)]
struct Labelled {
    file: String,
    msg: usize,
    local_domains: Vec<String>,
    sender: String,
    recipients: BTreeSet<String>,
}

/// Rows whose label's sender is argued to be wrong: what it is instead, with the reason. No row's recipients are.
const ARGUED: [(&str, &str); 2] = [
    // `Return-Path: <email@mydomain.de>` stands in the hop that decides; that it was rewritten can't be seen, and the label is
    // neither that nor the null sender which its note calls the true one.
    ("flufl.bounce/tests/data/simple_08.txt", "email@mydomain.de"),
    // No Return-Path and nothing in its place; `Sender: <gpc-talk-bounces@grizz.org>` comes before From.
    ("flufl.bounce/tests/data/microsoft_03.txt", "gpc-talk-bounces@grizz.org"),
];

#[test]
fn real_messages_are_routed_as_labelled() {
    let Some(shared) = shared("routing/labelled.jsonl") else { return };
    route_as_labelled(&shared, &std::fs::read_to_string(shared.join("routing/labelled.jsonl")).unwrap());
}

/// The labels are the project's own, made by reading the headers without knowing the program's answer. Left out of them are eleven rows on which
/// two readings of the header are possible.
#[test]
fn more_real_messages_are_routed_as_labelled() {
    let Some(shared) = shared("corpora/INDEX.tsv") else { return };
    let labels = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages/real.jsonl")).unwrap();
    assert!(labels.lines().count() > 500);
    route_as_labelled(&shared, &labels);
}

fn route_as_labelled(shared: &Path, labels: &str) {
    let (mut wrong, mut rows) = (Vec::new(), 0);
    for row in labels.lines().map(|line| serde_json::from_str::<Labelled>(line).unwrap()) {
        // Not every machine has been given all that is labelled.
        let Ok(octets) = std::fs::read(shared.join("corpora").join(&row.file)) else { continue };
        rows += 1;
        let message = messages(&octets)[row.msg];
        let settings = format!("domains = {:?}\n", row.local_domains);
        let route = Profile::new(&settings).explain(&stream(&[message])).remove(0);
        let sender = route.sender.as_ref().map(|s| s.address.as_ref().unwrap().lossy().into_owned()).unwrap_or_default();
        let expected: BTreeSet<String> = row.recipients.iter().map(|a| a.to_lowercase()).collect();
        let argued = ARGUED.iter().find(|(file, _)| *file == row.file).map_or(row.sender.as_str(), |(_, sender)| sender);
        if recipients(&route) != expected || !sender.eq_ignore_ascii_case(argued) {
            wrong.push(format!(
                "{} {}: {:?} from {sender:?}, not {expected:?} from {:?}",
                row.file,
                row.msg,
                recipients(&route),
                row.sender
            ));
        }
    }
    assert!(rows > 0 && wrong.is_empty(), "{} of {rows} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

const CORPORA_DOMAINS: [&str; 10] = [
    "example.com",
    "example.net",
    "example.org",
    "gmail.com",
    "jmason.org",
    "test.ex",
    "linux.ie",
    "xent.com",
    "spamassassin.taint.org",
    "notmuchmail.org",
];

/// Whether an address in one of the domains stands in a field that may name a recipient, looked for without any of the program's code.
fn names_one_of(domains: &[&str], message: &[u8]) -> bool {
    let text = String::from_utf8_lossy(message).to_lowercase().replace("\r\n", "\n");
    let header = text.trim_start().split("\n\n").next().unwrap_or_default().replace("\n ", " ").replace("\n\t", " ");
    let fields = ["to:", "cc:", "bcc:", "delivered-to:", "x-original-to:", "envelope-to:", "x-envelope-to:", "resent-to:"];
    let resent = header.lines().any(|line| line.starts_with("resent-to:"));
    let mut lines = header.lines().filter(|line| fields.iter().any(|field| line.starts_with(field)));
    lines.any(|line| {
        let guess = ["to:", "cc:", "bcc:"].iter().any(|field| line.starts_with(field));
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '.' || c == '-' || c == '_');
        let named = |domain: &&str| line.match_indices(&format!("@{domain}")).any(|(at, found)| ends(&line[at + found.len()..]));
        !(guess && resent) && domains.iter().any(named)
    })
}

#[test]
fn every_message_of_the_corpora_is_routed_without_an_error() {
    let Some(shared) = shared("corpora/INDEX.tsv") else { return };
    let index = std::fs::read_to_string(shared.join("corpora/INDEX.tsv")).unwrap();
    let listed = index.lines().skip(1).filter_map(|line| line.split('\t').next());
    // The index names more than every machine has been given.
    let files: Vec<&str> = listed.filter(|file| shared.join("corpora").join(file).exists()).collect();
    let profile = Profile::new(&format!("domains = {CORPORA_DOMAINS:?}\n"));
    assert!(!files.is_empty());
    let mut count = 0;
    for batch in files.chunks(2000) {
        let octets: Vec<_> = batch.iter().map(|file| std::fs::read(shared.join("corpora").join(file)).unwrap()).collect();
        let all: Vec<&[u8]> = octets.iter().flat_map(|octets| messages(octets)).collect();
        for (message, route) in all.iter().zip(profile.explain(&stream(&all))) {
            let is_unknown = route.recipients.is_empty() && users(&route) == BTreeSet::from(["@catchall"]);
            let is_list = route.rejected.iter().any(|one| one.why == "the mailing list's own address");
            assert!(!is_unknown || is_list || !names_one_of(&CORPORA_DOMAINS, message), "{}", String::from_utf8_lossy(message));
        }
        let output = profile.run(&["-q"], &stream(&all));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut reader = StreamReader::new(&output.stdout[..]);
        while let Some(meta) =
            reader.read(&mut std::io::sink(), &mut std::io::sink()).map_err(mdrop::stream::ReadError::into_error).unwrap()
        {
            assert!(meta.route.is_some_and(|route| !route.filings.is_empty()), "{}", meta.origin);
            count += 1;
        }
    }
    assert!(count >= files.len(), "{count} of {}", files.len());
}

#[test]
fn the_run_log_says_what_decided() {
    let profile = Profile::new(DOMAINS);
    let log = profile.0.path().join("route.log");
    let messages = [
        "Delivered-To: a@example.com\r\n\r\n",
        "Delivered-To: b@example.com\r\nTo: a@example.com\r\n\r\n",
        "Received: by h for <a@example.com>\r\n\r\n",
        "Cc: a@example.com\r\n\r\n",
        "To: a@elsewhere.example\r\n\r\n",
    ];
    assert!(profile.run(&["--log", log.to_str().unwrap()], &stream(&messages)).status.success());
    let text = std::fs::read_to_string(&log).unwrap();
    let summary: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(summary["evidence"], serde_json::json!({"envelope:delivered-to": 2, "header": 1, "none": 1, "received": 1}));
}
