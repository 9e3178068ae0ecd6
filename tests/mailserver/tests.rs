//! The mail server's own tests: each speaks to it over a socket.
//!
//! Decision: the client here is a socket and `read`, nothing that could forgive a mistake.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use super::server::{Config, Faults, Mailbox, Pem, Running, start};

const ONE: &[u8] = b"Subject: one\r\n\r\nfirst\r\n.\r\n..two\r\n";
const TWO: &[u8] = b"Subject: two\r\n\r\nno end\0\xff\n.bare";

fn config() -> Config {
    Config {
        user: "archive".to_owned(),
        password: "se cret".to_owned(),
        imap: Some(0),
        pop3: Some(0),
        mailboxes: vec![Mailbox::with_messages("INBOX", 9, [ONE, TWO, b""]), Mailbox::new("Old/2025", 9), Mailbox::new("Old", 9)],
        ..Config::default()
    }
}

struct Client(TcpStream);

impl Client {
    fn new(address: Option<SocketAddr>) -> Self {
        let stream = TcpStream::connect(address.unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(stream)
    }

    fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// All octets up to and including `end`.
    fn until(&mut self, end: &str) -> String {
        let mut got = Vec::new();
        while !got.ends_with(end.as_bytes()) {
            let mut octet = [0];
            assert_eq!(self.0.read(&mut octet).unwrap(), 1, "ended after {:?}", String::from_utf8_lossy(&got));
            got.push(octet[0]);
        }
        latin(&got)
    }

    /// Sends an IMAP command and returns all up to its tagged line.
    fn ask(&mut self, command: &str) -> String {
        self.send(&format!("a1 {command}\r\n"));
        let mut got = String::new();
        while !got.lines().last().is_some_and(|line| line.starts_with("a1 ")) {
            got += &self.until("\r\n");
        }
        got
    }

    /// Sends a POP3 command and returns one line.
    fn say(&mut self, command: &str) -> String {
        self.send(&format!("{command}\r\n"));
        self.until("\r\n")
    }

    /// Whatever comes until the server closes.
    fn rest(&mut self) -> String {
        let mut got = Vec::new();
        // A reset is an end like any other here.
        let _ = self.0.read_to_end(&mut got);
        latin(&got)
    }
}

/// Octets as characters of the same number, so that none is lost.
fn latin(octets: &[u8]) -> String {
    octets.iter().map(|&octet| char::from(octet)).collect()
}

fn imap(running: &Running) -> Client {
    let mut client = Client::new(running.imap_addr);
    assert!(client.until("\r\n").starts_with("* OK [CAPABILITY IMAP4rev1 "));
    assert!(client.ask("LOGIN archive \"se cret\"").starts_with("a1 OK"));
    client
}

fn pop3(running: &Running) -> Client {
    let mut client = Client::new(running.pop3_addr);
    assert!(client.until("\r\n").starts_with("+OK"));
    assert!(client.say("USER archive").starts_with("+OK"));
    assert!(client.say("PASS se cret").starts_with("+OK"));
    client
}

#[test]
fn imap_hands_out_the_exact_octets() {
    let running = start(config()).unwrap();
    let mut client = imap(&running);
    client.ask("EXAMINE INBOX");
    let answer = client.ask("UID FETCH 1:* (RFC822.SIZE BODY.PEEK[] INTERNALDATE)");
    let expected: String = [(1, ONE), (2, TWO), (3, b"".as_slice())]
        .map(|(uid, octets)| {
            let (size, text) = (octets.len(), latin(octets));
            format!(
                "* {uid} FETCH (UID {uid} RFC822.SIZE {size} BODY[] {{{size}}}\r\n{text} \
                 INTERNALDATE \"01-Nov-2026 00:0{uid}:00 +0000\")\r\n"
            )
        })
        .concat();
    assert_eq!(answer, expected + "a1 OK fetched\r\n");
}

#[test]
fn imap_hands_out_parts() {
    let running = start(config()).unwrap();
    let mut client = imap(&running);
    client.ask("EXAMINE INBOX");
    assert_eq!(
        client.ask("FETCH 1 (BODY.PEEK[]<9.3> BODY.PEEK[HEADER.FIELDS (X-None SUBJECT)] BODY.PEEK[TEXT]<0.5>)"),
        "* 1 FETCH (BODY[]<9> {3}\r\none BODY[HEADER.FIELDS (X-NONE SUBJECT)] {16}\r\nSubject: one\r\n\r\n \
         BODY[TEXT]<0> {5}\r\nfirst)\r\na1 OK fetched\r\n"
    );
    assert!(client.ask("FETCH 1 BODY[1]").starts_with("a1 BAD"));
}

#[test]
fn examine_changes_nothing_and_select_sets_seen() {
    let running = start(config()).unwrap();
    let mut client = imap(&running);
    assert!(client.ask("EXAMINE INBOX").ends_with("a1 OK [READ-ONLY] open\r\n"));
    client.ask("FETCH 1 BODY[]");
    assert!(client.ask("UID STORE 1 +FLAGS (\\Deleted)").starts_with("a1 NO"));
    assert!(client.ask("EXPUNGE").starts_with("a1 NO"));
    let flags = |uid| running.with_mailbox("INBOX", |inbox| inbox.message(uid).unwrap().flags.clone()).unwrap();
    assert!(flags(1).is_empty());
    assert!(client.ask("SELECT INBOX").ends_with("a1 OK [READ-WRITE] open\r\n"));
    client.ask("FETCH 1 BODY.PEEK[]");
    assert!(flags(1).is_empty());
    assert!(client.ask("FETCH 1 BODY[]").contains(" FLAGS (\\Seen))"));
    assert!(flags(1).contains("\\Seen"));
}

#[test]
fn uid_expunge_removes_only_what_it_names() {
    let running = start(config()).unwrap();
    let (mut client, mut other) = (imap(&running), imap(&running));
    client.ask("SELECT INBOX");
    other.ask("SELECT INBOX");
    assert_eq!(client.ask("UID STORE 1,3 +FLAGS.SILENT (\\deleted)"), "a1 OK stored\r\n");
    assert_eq!(client.ask("UID SEARCH DELETED"), "* SEARCH 1 3\r\na1 OK searched\r\n");
    assert_eq!(client.ask("UID EXPUNGE 1:2"), "* 1 EXPUNGE\r\na1 OK expunged\r\n");
    assert_eq!(running.uids("INBOX"), [2, 3]);
    assert_eq!(other.ask("SEARCH ALL"), "* SEARCH 2 3\r\na1 OK searched\r\n");
    running.with_mailbox("INBOX", |inbox| inbox.add(b"new")).unwrap();
    assert_eq!(other.ask("NOOP"), "* 1 EXPUNGE\r\n* 3 EXISTS\r\na1 OK nothing done\r\n");
    assert_eq!(other.ask("UID SEARCH UID 4:*"), "* SEARCH 4\r\na1 OK searched\r\n");
    assert_eq!(client.ask("CLOSE"), "a1 OK closed\r\n");
    assert_eq!(running.uids("INBOX"), [2, 4]);
}

#[test]
fn unchangedsince_leaves_alone_what_has_changed() {
    let running = start(config()).unwrap();
    let mut client = imap(&running);
    assert!(client.ask("SELECT INBOX (CONDSTORE)").contains("[HIGHESTMODSEQ 4]"));
    running.with_mailbox("INBOX", |inbox| inbox.add_flag(2, "\\Flagged")).unwrap();
    assert_eq!(
        client.ask("UID STORE 1:2 (UNCHANGEDSINCE 4) +FLAGS.SILENT (\\Deleted)"),
        "* 1 FETCH (UID 1 MODSEQ (6))\r\na1 OK [MODIFIED 2] some were changed by others\r\n"
    );
    assert_eq!(client.ask("UID FETCH 2 (FLAGS MODSEQ)"), "* 2 FETCH (UID 2 FLAGS (\\Flagged) MODSEQ (5))\r\na1 OK fetched\r\n");
}

#[test]
fn what_is_left_out_is_neither_offered_nor_done() {
    let without = ["UIDPLUS", "CONDSTORE", "UIDL", "PIPELINING"].map(str::to_owned).into();
    let running = start(Config { without, ..config() }).unwrap();
    let mut client = imap(&running);
    let offered = client.ask("CAPABILITY");
    assert!(!offered.contains("UIDPLUS") && !offered.contains("CONDSTORE"));
    assert!(!client.ask("SELECT INBOX").contains("MODSEQ"));
    assert!(client.ask("UID EXPUNGE 1").starts_with("a1 BAD"));
    assert!(client.ask("UID STORE 1 (UNCHANGEDSINCE 9) +FLAGS (\\Seen)").starts_with("a1 BAD"));
    let mut client = pop3(&running);
    assert!(client.say("UIDL").starts_with("-ERR"));
    client.say("CAPA");
    assert!(!client.until("\r\n.\r\n").contains("PIPELINING"));
    client.send("NOOP\r\nSTAT\r\n");
    assert_eq!(client.until("\r\n"), "+OK\r\n");
    assert!(client.say("LIST 1").starts_with("+OK 1 "), "STAT came too early and was thrown away");
}

#[test]
fn esearch_tells_uids_as_ranges_and_only_where_it_is_offered() {
    let synthetic = || Config { mailboxes: vec![Mailbox::synthetic("INBOX", 9, 1000, |_| 1000)], ..config() };
    let running = start(synthetic()).unwrap();
    running.with_mailbox("INBOX", |mailbox| mailbox.remove(|message| [5, 999].contains(&message.uid)));
    let mut client = imap(&running);
    assert!(client.ask("CAPABILITY").contains(" ESEARCH "));
    client.ask("EXAMINE INBOX");
    let cases = [
        ("UID SEARCH RETURN (ALL) ALL", "* ESEARCH (TAG \"a1\") UID ALL 1:4,6:998,1000"),
        ("UID SEARCH RETURN () UID 3:7", "* ESEARCH (TAG \"a1\") UID ALL 3:4,6:7"),
        ("UID SEARCH RETURN (MIN MAX COUNT) UID 998:*", "* ESEARCH (TAG \"a1\") UID MIN 998 MAX 1000 COUNT 2"),
        ("UID SEARCH RETURN (ALL COUNT) UID 5", "* ESEARCH (TAG \"a1\") UID COUNT 0"),
        ("SEARCH RETURN (ALL) UID 6", "* ESEARCH (TAG \"a1\") ALL 5"),
        ("UID SEARCH UID 3:6", "* SEARCH 3 4 6"),
    ];
    for (command, expected) in cases {
        assert_eq!(client.ask(command), format!("{expected}\r\na1 OK searched\r\n"), "{command}");
    }
    assert!(client.ask("UID SEARCH RETURN (SAVE) ALL").starts_with("a1 BAD"));
    let running = start(Config { without: ["ESEARCH".to_owned()].into(), ..synthetic() }).unwrap();
    let mut client = imap(&running);
    assert!(!client.ask("CAPABILITY").contains("ESEARCH"));
    client.ask("EXAMINE INBOX");
    assert!(client.ask("UID SEARCH RETURN (ALL) ALL").starts_with("a1 BAD"));
}

#[test]
fn a_synthetic_message_is_always_the_same_and_has_the_size_that_is_told() {
    let sizes = [0, 250, 1000, 4321, 100_000];
    let mailbox = Mailbox::synthetic("INBOX", 9, 5, |uid| sizes[uid as usize - 1]);
    let running = start(Config { mailboxes: vec![mailbox], ..config() }).unwrap();
    let mut client = imap(&running);
    client.ask("EXAMINE INBOX");
    for (uid, size) in (1..).zip(sizes).skip(1) {
        let told = client.ask(&format!("UID FETCH {uid} (RFC822.SIZE BODY.PEEK[])"));
        assert!(told.contains(&format!("RFC822.SIZE {size} BODY[] {{{size}}}\r\nFrom: sender{uid}@")), "{told}");
        let again = client.ask(&format!("UID FETCH {uid} (RFC822.SIZE BODY.PEEK[])"));
        assert!(told == again && told.contains(&format!("\r\nMessage-ID: <{uid}@")) && told.ends_with("\r\n)\r\na1 OK fetched\r\n"));
    }
    let (sent, received) = running.traffic();
    assert!(sent > 2 * (250 + 1000 + 4321 + 100_000) && received > 0 && received < 1000, "{sent} {received}");
}

#[test]
fn list_follows_the_pattern() {
    let running = start(config()).unwrap();
    let mut client = imap(&running);
    assert_eq!(client.ask("LIST \"\" \"\""), "* LIST (\\Noselect) \"/\" \"\"\r\na1 OK listed\r\n");
    assert_eq!(
        client.ask("LIST \"\" %"),
        "* LIST (\\HasNoChildren) \"/\" \"INBOX\"\r\n* LIST (\\HasChildren) \"/\" \"Old\"\r\na1 OK listed\r\n"
    );
    assert_eq!(client.ask("LIST \"\" *").matches("* LIST").count(), 3);
    assert_eq!(
        client.ask("STATUS inbox (MESSAGES UIDNEXT UIDVALIDITY)"),
        "* STATUS \"INBOX\" (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 9)\r\na1 OK that is all\r\n"
    );
}

#[test]
fn login_takes_literals_and_sasl_and_refuses_the_wrong_password() {
    let running = start(config()).unwrap();
    let mut client = Client::new(running.imap_addr);
    client.until("\r\n");
    assert!(client.ask("EXAMINE INBOX").starts_with("a1 NO"));
    assert!(client.ask("LOGIN archive wrong").starts_with("a1 NO [AUTHENTICATIONFAILED]"));
    client.send("a1 LOGIN {7}\r\n");
    assert_eq!(client.until("\r\n"), "+ go on\r\n");
    assert!(client.ask_more("archive {7+}\r\nse cret").starts_with("a1 OK"));
    let mut client = Client::new(running.imap_addr);
    client.until("\r\n");
    assert!(client.ask("AUTHENTICATE PLAIN AGFyY2hpdmUAc2UgY3JldA==").starts_with("a1 OK"));
    let mut client = Client::new(running.pop3_addr);
    client.until("\r\n");
    assert!(client.say("STAT").starts_with("-ERR"));
    assert_eq!(client.say("AUTH PLAIN"), "+ \r\n");
    assert!(client.say("AGFyY2hpdmUAc2UgY3JldA==").starts_with("+OK"));
    assert!(!running.commands().concat().contains("cret"));
}

impl Client {
    fn ask_more(&mut self, rest: &str) -> String {
        self.send(rest);
        self.send("\r\n");
        self.until("\r\n")
    }
}

#[test]
fn pop3_stuffs_dots_and_ends_what_has_no_end() {
    let running = start(config()).unwrap();
    let mut client = pop3(&running);
    assert_eq!(client.say("STAT"), format!("+OK 3 {}\r\n", ONE.len() + TWO.len()));
    assert_eq!(client.say("LIST 2"), format!("+OK 2 {}\r\n", TWO.len()));
    assert_eq!(client.say("UIDL 2"), "+OK 2 9.2\r\n");
    client.say("RETR 1");
    assert_eq!(client.until("\r\n.\r\n"), "Subject: one\r\n\r\nfirst\r\n..\r\n...two\r\n.\r\n");
    client.say("RETR 2");
    assert_eq!(client.until("\r\n.\r\n"), latin(TWO) + "\r\n.\r\n");
    client.say("RETR 3");
    assert_eq!(client.until("\r\n"), ".\r\n");
    client.say("TOP 1 1");
    assert_eq!(client.until("\r\n.\r\n"), "Subject: one\r\n\r\nfirst\r\n.\r\n");
}

#[test]
fn pop3_removes_at_quit_and_only_then() {
    let running = start(config()).unwrap();
    let mut client = pop3(&running);
    client.say("DELE 1");
    assert!(client.say("RETR 1").starts_with("-ERR"));
    drop(client);
    let mut client = pop3(&running);
    client.say("DELE 1");
    client.say("RSET");
    client.say("DELE 3");
    assert_eq!(running.uids("INBOX"), [1, 2, 3]);
    assert_eq!(client.say("QUIT"), "+OK bye\r\n");
    assert_eq!(running.uids("INBOX"), [1, 2]);
}

#[test]
fn pop3_answers_pipelined_commands_in_order() {
    let running = start(config()).unwrap();
    let mut client = pop3(&running);
    client.send("STAT\r\nUIDL 1\r\nRETR 3\r\nNOOP\r\nQUIT\r\n");
    assert_eq!(client.rest(), format!("+OK 3 {}\r\n+OK 1 9.1\r\n+OK message follows\r\n.\r\n+OK\r\n+OK bye\r\n", ONE.len() + TWO.len()));
}

#[test]
fn faults_cut_in_the_middle() {
    let running = start(config()).unwrap();
    running.set_faults(Faults { cut_after_octets: Some(20), ..Faults::default() });
    assert_eq!(Client::new(running.imap_addr).rest().len(), 20);
    running.set_faults(Faults { cut_at_message: Some(2), ..Faults::default() });
    let mut client = imap(&running);
    client.ask("EXAMINE INBOX");
    client.send("a1 UID FETCH 1:2 BODY.PEEK[]\r\n");
    assert!(client.rest().ends_with(&latin(&TWO[..TWO.len() / 2])));
    let mut client = pop3(&running);
    client.say("RETR 1");
    client.until("\r\n.\r\n");
    client.send("RETR 2\r\n");
    assert!(client.rest().ends_with(&latin(&TWO[..TWO.len().midpoint(2)])), "with the CR LF that POP3 adds");
    running.set_faults(Faults { bye_at_message: Some(1), ..Faults::default() });
    let mut client = imap(&running);
    client.ask("EXAMINE INBOX");
    client.send("a1 UID FETCH 1:2 BODY.PEEK[]\r\n");
    assert!(client.rest().ends_with(&(latin(&ONE[..ONE.len() / 2]) + "\r\n* BYE going down\r\n")));
}

#[test]
fn faults_stall_refuse_and_lie() {
    let running = start(config()).unwrap();
    running.set_faults(Faults {
        stall_at_message: Some(1),
        stall: Duration::from_millis(200),
        refuse: [2].into(),
        lie_about_size: [(3, 77)].into(),
        ..Faults::default()
    });
    let mut client = imap(&running);
    client.ask("EXAMINE INBOX");
    let begun = Instant::now();
    let answer = client.ask("UID FETCH 1:3 BODY.PEEK[]");
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert_eq!(answer.matches(" FETCH (").count(), 2);
    assert!(answer.ends_with("a1 NO [SERVERBUG] some messages can't be read\r\n"));
    assert!(client.ask("FETCH 3 RFC822.SIZE").contains("RFC822.SIZE 77)"));
    assert!(pop3(&running).say("RETR 2").starts_with("-ERR"));
    assert_eq!(pop3(&running).say("LIST 3"), "+OK 3 77\r\n");
}

#[test]
fn faults_cut_before_a_command_or_in_place_of_its_answer() {
    let running = start(config()).unwrap();
    let delete = |client: &mut Client| {
        client.ask("SELECT INBOX");
        client.ask("UID STORE 1 +FLAGS (\\Deleted)");
        client.send("a1 UID EXPUNGE 1\r\n");
        client.rest()
    };
    running.set_faults(Faults { cut_before_command: Some("UID EXPUNGE".to_owned()), ..Faults::default() });
    assert_eq!(delete(&mut imap(&running)), "");
    assert_eq!(running.uids("INBOX"), [1, 2, 3]);
    running.set_faults(Faults { cut_before_answer: Some("UID EXPUNGE".to_owned()), ..Faults::default() });
    assert_eq!(delete(&mut imap(&running)), "");
    assert_eq!(running.uids("INBOX"), [2, 3]);
}

#[test]
fn the_log_tells_what_a_client_did() {
    let running = start(config()).unwrap();
    let mut client = imap(&running);
    running.clear_commands();
    client.ask("examine INBOX");
    client.ask("UID FETCH 1 (BODY.PEEK[])");
    pop3(&running).say("DELE 1");
    let expected = ["IMAP examine INBOX", "IMAP UID FETCH 1 (BODY.PEEK[])", "POP3 USER archive", "POP3 PASS", "POP3 DELE 1"];
    assert_eq!(running.commands(), expected);
}

#[test]
fn dropping_the_server_ends_connections_and_stalls() {
    let running = start(config()).unwrap();
    running.set_faults(Faults { stall_at_message: Some(1), stall: Duration::from_mins(1), ..Faults::default() });
    let mut client = imap(&running);
    client.ask("EXAMINE INBOX");
    client.send("a1 FETCH 1 BODY.PEEK[]\r\n");
    client.until("\r\n");
    let begun = Instant::now();
    drop(running);
    client.rest();
    assert!(begun.elapsed() < Duration::from_secs(5));
}

/// A certificate for 127.0.0.1, or none where there is no openssl(1).
fn pem() -> Option<Pem> {
    let dir = std::env::temp_dir().join(format!("mailserver-test-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout"])
        .args([&key, std::path::Path::new("-out"), &cert])
        .output()
        .ok()?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let pem = Pem { cert: std::fs::read(cert).unwrap(), key: std::fs::read(key).unwrap() };
    std::fs::remove_dir_all(dir).unwrap();
    Some(pem)
}

#[test]
fn tls_from_the_start_or_on_request() {
    let Some(pem) = pem() else { return eprintln!("no openssl: nothing tested") };
    let running = start(Config { tls: Some(pem), imaps: Some(0), pop3s: Some(0), require_tls: true, ..config() }).unwrap();
    let connector = native_tls::TlsConnector::builder().danger_accept_invalid_certs(true).build().unwrap();
    for address in [running.imaps_addr, running.pop3s_addr] {
        let stream = TcpStream::connect(address.unwrap()).unwrap();
        let mut greeting = [0; 4];
        connector.connect("localhost", stream).unwrap().read_exact(&mut greeting).unwrap();
        assert!(greeting == *b"* OK" || greeting == *b"+OK ");
    }
    let mut client = Client::new(running.imap_addr);
    assert!(client.until("\r\n").contains("STARTTLS LOGINDISABLED"));
    assert!(client.ask("LOGIN archive \"se cret\"").starts_with("a1 NO [PRIVACYREQUIRED]"));
    client.send("a1 STARTTLS\r\n");
    client.until("a1 OK begin\r\n");
    let mut secure = connector.connect("localhost", client.0).unwrap();
    secure.write_all(b"a2 LOGIN archive \"se cret\"\r\n").unwrap();
    let mut answer = [0; 5];
    secure.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"a2 OK");
    let mut client = Client::new(running.pop3_addr);
    client.until("\r\n");
    assert!(client.say("USER archive").starts_with("-ERR"));
    assert!(client.say("STLS").starts_with("+OK"));
    connector.connect("localhost", client.0).unwrap().write_all(b"NOOP\r\n").unwrap();
}
