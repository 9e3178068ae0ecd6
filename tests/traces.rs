//! mdrop-fetch against a server that plays traces of real servers, and plays them wrong.
//!
//! Whatever the server does, and wherever it stops: the run ends in time, with a status of sysexits(3), a line that names the object, and
//! whole messages only; and a run against a healthy server brings exactly the rest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
mod scripted;

use scripted::{Afterwards, At, Case, Checked, Fault, Kind, Trace, check_all, traces};
use std::sync::Arc;
use std::time::Duration;

const BOTH: [Afterwards; 2] = [Afterwards::Gone, Afterwards::Healthy];

type Plan = Vec<(Option<Fault>, Afterwards)>;

/// The cases that `plan` has for each trace. `MDROP_TRACE` names the traces, if not all.
fn cases(plan: impl Fn(&Trace) -> Plan) -> Vec<Case> {
    let named = std::env::var("MDROP_TRACE").unwrap_or_default();
    let mut cases = Vec::new();
    for trace in traces().into_iter().filter(|trace| trace.name.contains(&named)).map(Arc::new) {
        let case = |(fault, afterwards)| Case { trace: Arc::clone(&trace), fault, afterwards };
        cases.extend(plan(&trace).into_iter().map(case));
    }
    cases
}

/// One kind of fault at these places of a trace: before each line with both that can come afterwards, elsewhere with one of them in turn.
fn everywhere(trace: &Trace, kind: &Kind, at: fn(At) -> bool) -> Plan {
    let places = trace.places().into_iter().filter(|place| at(place.at)).enumerate().flat_map(|(n, place)| {
        let afterwards = if place.at == At::Begin { BOTH.to_vec() } else { vec![BOTH[n % 2]] };
        afterwards.into_iter().map(move |afterwards| (place, afterwards))
    });
    places.map(|(place, afterwards)| (Some(Fault { place, kind: kind.clone() }), afterwards)).collect()
}

/// Each fault, with what can come afterwards in turn.
fn in_turn(faults: Vec<Fault>) -> Plan {
    faults.into_iter().zip(BOTH.into_iter().cycle()).map(|(fault, afterwards)| (Some(fault), afterwards)).collect()
}

#[test]
fn every_trace_ends_as_it_says_and_a_healthy_server_brings_the_rest() {
    check_all(cases(|_| BOTH.map(|afterwards| (None, afterwards)).to_vec()));
}

#[test]
fn an_answer_that_drips_octet_by_octet_is_as_good_as_any() {
    let kind = Kind::Drip(Duration::from_micros(100));
    check_all(cases(|trace| {
        // An octet that is injected counts as such only if it comes with the consent to TLS.
        let first = trace.places().into_iter().take(usize::from(trace.name != "imap/starttls-injected"));
        first.map(|place| (Some(Fault { place, kind: kind.clone() }), Afterwards::Gone)).collect()
    }));
}

/// A run against a server that sends an octet now and then, so that it is never silent.
fn drips_for_ever(more: &str) -> Checked {
    let text = std::fs::read_to_string("tests/traces/imap/dovecot.trace").unwrap();
    let trace = Arc::new(Trace::parse("imap/dovecot", &format!("{more}\n{text}")));
    let place = trace.places()[0];
    let fault = Some(Fault { place, kind: Kind::Drip(Duration::from_millis(30)) });
    Case { trace, fault, afterwards: Afterwards::Healthy }.check().unwrap()
}

#[test]
fn a_server_that_drips_for_ever_ends_with_the_login_timeout_or_the_run_timeout() {
    let login = drips_for_ever("profile login-timeout = \"500ms\"\nprofile retries = 0");
    assert!(login.code == 69 && login.told.contains("the login-timeout"), "{} {}", login.code, login.told);
    let run = drips_for_ever("profile run-timeout = \"1s\"\nprofile retries = 0");
    assert!(run.code == 75 && run.told.contains("run-timeout"), "{} {}", run.code, run.told);
    assert!(login.took.max(run.took) < Duration::from_secs(8), "{:?} {:?}", login.took, run.took);
}

/// What a run says of a server that plays this POP3 dialogue after the login, one for each connection, and is then gone.
fn told_of(profile: &str, dialogues: &[&str]) -> Checked {
    let aside = "ON: CAPA\nS: -ERR unknown command\n\nON: QUIT\nS: +OK\n\n";
    let login = "S: +OK\nC: USER box\nS: +OK\nC: PASS pw\nS: +OK\n";
    let connections: Vec<String> = dialogues.iter().map(|dialogue| format!("{login}{dialogue}")).collect();
    let text = format!("{profile}\n{aside}{}", connections.join("\nconnection\n"));
    Case { trace: Arc::new(Trace::parse("pop3/x", &text)), fault: None, afterwards: Afterwards::Gone }.check().unwrap()
}

const TWO: &str = "message a u1\n| Subject: one\nmessage b u2\n| Subject: two\n";
const LISTED: &str = "C: LIST\nS: +OK\nS: 1 $a.size\nS: 2 $b.size\nS: .\nC: UIDL\nS: +OK\nS: 1 u1\nS: 2 u2\nS: .\n";

#[test]
fn a_server_that_loses_its_unique_ids_between_two_connections_loses_no_message() {
    let (first, second) =
        (format!("{LISTED}C: RETR 1\nS: +OK\nCLOSE\n"), "C: LIST\nS: +OK\nS: 1 $a.size\nS: 2 $b.size\nS: .\nC: UIDL\nS: -ERR\n");
    let ran = told_of(&format!("expect 76\nprofile without-uidl = \"digest\"\n{TWO}"), &[&first, second]);
    assert!(ran.told.contains("2 messages not fetched") && !ran.told.contains("vanished"), "{}", ran.told);
}

#[test]
fn a_message_that_is_left_out_is_counted_once_when_the_server_is_gone_then() {
    let broken = format!("{LISTED}C: RETR 1\nS: +OK\nCLOSE\n");
    let ran = told_of(&format!("expect 69\nprofile retries = 1\n{TWO}"), &[&broken, &broken]);
    assert!(ran.told.contains("UIDL u1: left out until the next run"), "{}", ran.told);
    assert!(ran.told.contains(": 1 messages not fetched"), "{}", ran.told);
}

#[test]
fn what_may_have_vanished_before_the_server_is_gone_is_accounted_for_too() {
    let messages = "mailbox INBOX 9\nmessage a 1\n| x\nmessage b 2\n| y\nmessage c 3\n| z\n";
    let asides = "ON: N1 CAPABILITY\nS: N1 OK\n\nON: N2 LOGOUT\nS: N2 OK\n";
    let listed = [1, 2, 3].map(|n| format!("S: * {n} FETCH (UID {n} RFC822.SIZE 3 FLAGS ())\n")).concat();
    let begin = format!(
        "S: * OK\nC: A1 LOGIN *\nS: A1 OK\nC: A2 LIST *\nS: * LIST () \"/\" INBOX\nS: A2 OK\nC: A3 EXAMINE *\nC: A4 UID FETCH 1:* *\n\
         S: * 3 EXISTS\nS: * OK [UIDVALIDITY 9]\nS: A3 OK\n{listed}S: A4 OK\n"
    );
    let fetch =
        "C: A5 UID FETCH 1:3 *\nS: * 1 FETCH (UID 1 BODY[] {$a})\nS: A5 NO\nC: A6 UID FETCH 2 *\nC: A7 UID FETCH 3 *\nS: A6 OK\nCLOSE\n";
    let text = format!("expect 69\ncomes a\nprofile retries = 0\n{messages}\n{asides}\n{begin}{fetch}");
    let ran = Case { trace: Arc::new(Trace::parse("imap/x", &text)), fault: None, afterwards: Afterwards::Gone }.check().unwrap();
    assert!(ran.told.contains("2 messages not fetched, UID 2:3: connection closed"), "{}", ran.told);
}

#[test]
fn where_messages_are_told_apart_by_digest_one_that_comes_empty_is_not_known() {
    let listed = "C: LIST\nS: +OK\nS: 1 $a.size\nS: 2 $b.size\nS: .\nC: UIDL\nS: -ERR\n";
    let dialogue = format!("{listed}C: LIST\nS: +OK\nS: 1 $a.size\nS: 2 $b.size\nS: .\nC: RETR 1\nS: +OK\nS: .\nC: RETR 2\nS: +OK\nS: .\n");
    let ran = told_of(&format!("expect 75\nprofile without-uidl = \"digest\"\n{TWO}"), &[&dialogue]);
    assert_eq!(ran.told.matches("hands out nothing for it").count(), 2, "{}", ran.told);
}

#[test]
fn a_client_that_does_not_follow_a_trace_is_noticed() {
    let trace = |text: &str| Arc::new(Trace::parse("imap/x", text));
    let check = |text: &str| Case { trace: trace(text), fault: None, afterwards: Afterwards::Gone }.check().err().unwrap_or_default();
    let begin = "expect 69\nmailbox INBOX 9\nmessage a 1\n| x\n\nON: N1 CAPABILITY\nS: N1 OK\n\nS: * OK\n";
    let other = check(&format!("{begin}C: A1 LOGIN \"somebody\" \"pw\"\nS: A1 OK\n"));
    assert!(other.contains("LOGIN \"somebody\" \"pw\" was awaited, and this came: "), "{other}");
    let early = check(&format!("{begin}C: A1 LOGIN *\nS: A1 BAD no\nC: A2 NOOP\n"));
    assert!(early.contains("it went when this was awaited: NOOP"), "{early}");
    let status = check(&format!("{begin}C: A1 LOGIN *\nS: A1 BAD no\n"));
    assert!(status.contains("69 was expected: exit status 76"), "{status}");
}

#[test]
fn a_connection_cut_at_any_place_leaves_whole_messages_and_a_status() {
    check_all(cases(|trace| everywhere(trace, &Kind::Cut, |_| true)));
}

#[test]
fn a_connection_reset_at_every_other_line_or_message_leaves_whole_messages_and_a_status() {
    check_all(cases(|trace| {
        let places = trace.places().into_iter().filter(|place| matches!(place.at, At::Begin | At::Middle(_)));
        in_turn(places.step_by(2).map(|place| Fault { place, kind: Kind::Reset }).collect())
    }));
}

#[test]
fn a_server_silent_from_any_place_on_ends_the_run_in_time() {
    check_all(cases(|trace| everywhere(trace, &Kind::Stall, |at| at != At::Half)));
}

#[test]
fn a_garbled_line_costs_no_message_and_makes_none_up() {
    check_all(cases(|trace| in_turn(trace.garbled())));
}

#[test]
fn a_server_that_lies_costs_no_message_and_makes_none_up() {
    check_all(cases(|trace| in_turn(trace.lies())));
}
