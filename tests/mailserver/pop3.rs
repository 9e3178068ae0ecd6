//! POP3 (RFC 1939, 2449, 2595, 5034).
//!
//! Decision: the maildrop is INBOX as it was at login, and only a QUIT after it removes anything. A line begins after CR LF
//! and nowhere else: only there is a dot doubled, so that every message that ends in CR LF, and the empty one, comes through
//! octet by octet. A message without a final CR LF has no exact form in POP3: RETR adds one, and LIST and STAT tell the size
//! without it.

use std::collections::BTreeSet;
use std::io;

use super::faults::Trouble;
use super::sasl::{self, LoginFault};
use super::store::Message;
use super::wire::Wire;
use super::{Shared, lock};

/// The messages of one login.
struct Maildrop {
    messages: Vec<(Message, String)>,
    deleted: BTreeSet<usize>,
}

struct Session<'a> {
    wire: &'a mut Wire,
    shared: &'a Shared,
    user: Option<String>,
    maildrop: Option<Maildrop>,
    handed_out: u32,
}

/// What to say: after `+OK ` or `-ERR `.
type Answer = Result<String, String>;

/// Serves one connection to its end.
pub fn serve(wire: &mut Wire, shared: &Shared) -> io::Result<()> {
    let mut session = Session { wire, shared, user: None, maildrop: None, handed_out: 0 };
    let timestamp = if shared.has_apop() { format!(" {}", sasl::TIMESTAMP) } else { String::new() };
    let greeting = shared.faults().greeting.unwrap_or_else(|| format!("+OK mailserver ready{timestamp}\r\n"));
    session.wire.send(greeting.as_bytes())?;
    while let Some(line) = session.wire.read_line()? {
        if !session.shared.offers("PIPELINING") {
            session.wire.forget_input();
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        if !session.command(&line)? {
            break;
        }
    }
    Ok(())
}

/// What the log may hold of a command.
fn without_secret(verb: &str, line: &str) -> String {
    match verb {
        "PASS" | "APOP" => verb.to_owned(),
        "AUTH" => line.split(' ').take(2).collect::<Vec<_>>().join(" "),
        _ => line.to_owned(),
    }
}

impl Session<'_> {
    /// Answers one command; false after QUIT.
    fn command(&mut self, line: &str) -> io::Result<bool> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let verb = verb.to_ascii_uppercase();
        let logged = without_secret(&verb, line);
        self.shared.log("POP3", &logged);
        let faults = self.shared.faults();
        if faults.cuts_before(&logged) {
            self.wire.close();
            return Ok(false);
        }
        if verb == "QUIT" {
            self.update();
        }
        if faults.cuts_answer(&logged) {
            self.wire.close();
            return Ok(false);
        }
        self.answer(&verb, rest.trim_end())?;
        Ok(verb != "QUIT")
    }

    fn answer(&mut self, verb: &str, rest: &str) -> io::Result<()> {
        let answer = match verb {
            "QUIT" => Ok("bye".to_owned()),
            "CAPA" if self.shared.offers("CAPA") => return self.capa(),
            "APOP" if self.shared.has_apop() => self.apop(rest),
            "STLS" => return self.stls(),
            "AUTH" => self.auth(rest)?,
            "USER" => self.user(rest),
            "PASS" => self.pass(rest),
            _ if self.maildrop.is_none() => Err("log in first".to_owned()),
            "STAT" => Ok(self.stat()),
            "LIST" => return self.listing(rest, |session, index| session.claimed_size(index).to_string()),
            "UIDL" if self.shared.offers("UIDL") => return self.listing(rest, Self::uidl),
            "RETR" => return self.retr(rest),
            "TOP" if self.shared.offers("TOP") => return self.top(rest),
            "DELE" => self.dele(rest),
            "RSET" => Ok(self.rset()),
            "NOOP" => Ok(String::new()),
            _ => Err("unknown command".to_owned()),
        };
        self.say(&answer)
    }

    fn say(&mut self, answer: &Answer) -> io::Result<()> {
        let (sign, text) = match answer {
            Ok(text) => ("+OK", text),
            Err(text) => ("-ERR", text),
        };
        self.wire.send_line(format!("{sign} {text}").trim_end())
    }

    fn capa(&mut self) -> io::Result<()> {
        self.wire.send_line("+OK")?;
        for name in ["TOP", "UIDL", "PIPELINING"] {
            if self.shared.offers(name) {
                self.wire.send_line(name)?;
            }
        }
        if self.shared.offers_tls("STLS", self.wire) {
            self.wire.send_line("STLS")?;
        }
        if self.may_log_in() {
            if self.shared.offers("USER") {
                self.wire.send_line("USER")?;
            }
            let names = self.shared.mechanisms().join(" ");
            self.wire.send_line(&format!("SASL {names}"))?;
        }
        self.wire.send_line("RESP-CODES\r\nAUTH-RESP-CODE\r\n.")
    }

    fn may_log_in(&self) -> bool {
        !self.shared.config.require_tls || self.wire.is_secure()
    }

    fn stls(&mut self) -> io::Result<()> {
        if self.maildrop.is_some() || !self.shared.offers_tls("STLS", self.wire) {
            return self.say(&Err("not now".to_owned()));
        }
        let answer = self.shared.faults().starttls_answer.unwrap_or_else(|| "+OK begin\r\n".to_owned());
        self.wire.send(answer.as_bytes())?;
        if !answer.starts_with("+OK") {
            return Ok(());
        }
        match &self.shared.tls {
            Some(acceptor) => self.wire.start_tls(acceptor),
            None => Ok(()),
        }
    }

    fn user(&mut self, name: &str) -> Answer {
        self.may_begin()?;
        self.user = Some(name.to_owned());
        Ok("and the password".to_owned())
    }

    fn pass(&mut self, password: &str) -> Answer {
        self.may_begin()?;
        let user = self.user.take().ok_or("USER first")?;
        if self.shared.faults().login == Some(LoginFault::Echo) {
            return Err(format!("PASS {password}"));
        }
        self.log_in(self.shared.admits(user.as_bytes(), password.as_bytes()))
    }

    fn apop(&mut self, rest: &str) -> Answer {
        self.may_begin()?;
        let (user, digest) = rest.rsplit_once(' ').ok_or("APOP takes a name and a digest")?;
        self.log_in(sasl::admits_apop(&self.shared.config, user, digest))
    }

    fn auth(&mut self, rest: &str) -> io::Result<Answer> {
        let (mechanism, initial) = rest.split_once(' ').map_or((rest, None), |(name, initial)| (name, Some(initial)));
        if let Err(refusal) = self.may_begin() {
            return Ok(Err(refusal));
        }
        let (mechanism, fault) = (mechanism.to_ascii_uppercase(), self.shared.faults().login);
        if !self.shared.mechanisms().contains(&mechanism.as_str()) || fault == Some(LoginFault::Unknown) {
            return Ok(Err("unsupported mechanism".to_owned()));
        }
        let shared = self.shared;
        let mut last = Vec::new();
        let admitted = sasl::exchange(shared, &mechanism, initial.map(str::as_bytes), &mut |challenge| {
            self.wire.send_line(&format!("+ {challenge}"))?;
            let line = self.wire.read_line()?;
            last = line.clone().unwrap_or_default();
            Ok(line)
        })?;
        if fault == Some(LoginFault::Echo) {
            let said = initial.map_or(last, |initial| initial.as_bytes().to_vec());
            return Ok(Err(format!("wrong: {}", String::from_utf8_lossy(&said))));
        }
        Ok(self.log_in(admitted))
    }

    fn may_begin(&self) -> Result<(), String> {
        if self.maildrop.is_some() {
            Err("you are logged in".to_owned())
        } else if self.may_log_in() {
            Ok(())
        } else {
            Err("only with TLS".to_owned())
        }
    }

    fn log_in(&mut self, admitted: bool) -> Answer {
        if !admitted {
            return Err("[AUTH] wrong user or password".to_owned());
        }
        let mailboxes = lock(&self.shared.mailboxes);
        let inbox = mailboxes.iter().find(|mailbox| mailbox.name == "INBOX").ok_or("no INBOX")?;
        let messages = inbox.messages.iter().map(|message| (message.clone(), inbox.uidl(message))).collect();
        self.maildrop = Some(Maildrop { messages, deleted: BTreeSet::new() });
        Ok("welcome".to_owned())
    }

    /// The messages that are not deleted, by index.
    fn present(&self) -> Vec<usize> {
        let count = self.maildrop.as_ref().map_or(0, |maildrop| maildrop.messages.len());
        (0..count).filter(|&index| self.is_present(index)).collect()
    }

    fn is_present(&self, index: usize) -> bool {
        self.message(index).is_some() && self.maildrop.as_ref().is_some_and(|maildrop| !maildrop.deleted.contains(&index))
    }

    fn message(&self, index: usize) -> Option<&(Message, String)> {
        self.maildrop.as_ref()?.messages.get(index)
    }

    fn claimed_size(&self, index: usize) -> u64 {
        let faults = lock(&self.shared.faults);
        self.message(index).map_or(0, |(message, _)| faults.size(message.uid, message.size))
    }

    fn uidl(&self, index: usize) -> String {
        self.message(index).map_or_else(String::new, |(_, uidl)| uidl.clone())
    }

    fn stat(&self) -> String {
        let present = self.present();
        let octets: u64 = present.iter().map(|&index| self.claimed_size(index)).sum();
        format!("{} {octets}", present.len())
    }

    /// The index that a message number means.
    fn index(&self, number: &str) -> Result<usize, String> {
        let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        index.filter(|&index| self.is_present(index)).ok_or_else(|| "no such message".to_owned())
    }

    fn listing(&mut self, rest: &str, tell: impl Fn(&Self, usize) -> String) -> io::Result<()> {
        if !rest.is_empty() {
            let answer = self.index(rest).map(|index| format!("{} {}", index + 1, tell(self, index)));
            return self.say(&answer);
        }
        self.wire.send_line("+OK")?;
        for index in self.present() {
            let line = format!("{} {}", index + 1, tell(self, index));
            self.wire.send_line(&line)?;
        }
        self.wire.send_line(".")
    }

    fn retr(&mut self, rest: &str) -> io::Result<()> {
        match self.text(rest) {
            Ok(octets) => {
                self.handed_out += 1;
                let uid = self.index(rest).ok().and_then(|index| self.message(index)).map_or(0, |(message, _)| message.uid);
                let trouble = self.shared.faults().trouble(self.handed_out, uid);
                self.send_text(&octets, trouble)
            }
            Err(refusal) => self.say(&Err(refusal)),
        }
    }

    fn top(&mut self, rest: &str) -> io::Result<()> {
        let (number, lines) = rest.split_once(' ').unwrap_or((rest, ""));
        let wanted = lines.trim().parse::<usize>().map_err(|_| "how many lines?".to_owned());
        match wanted.and_then(|lines| Ok(first_lines(&self.text(number)?, lines).to_vec())) {
            Ok(octets) => self.send_text(&octets, Trouble::None),
            Err(refusal) => self.say(&Err(refusal)),
        }
    }

    fn text(&self, number: &str) -> Result<Vec<u8>, String> {
        let index = self.index(number)?;
        let (message, _) = self.message(index).ok_or("no such message")?;
        if self.shared.faults().refuse.contains(&message.uid) {
            return Err("[SYS/TEMP] this one can't be read now".to_owned());
        }
        message.octets().map(|octets| octets.to_vec()).map_err(|error| error.to_string())
    }

    fn send_text(&mut self, octets: &[u8], trouble: Trouble) -> io::Result<()> {
        self.wire.send_line("+OK message follows")?;
        self.wire.send_message(&stuffed(octets), trouble, b"")?;
        self.wire.send(b".\r\n")
    }

    fn dele(&mut self, number: &str) -> Answer {
        let index = self.index(number)?;
        if let Some(maildrop) = &mut self.maildrop {
            maildrop.deleted.insert(index);
        }
        Ok("deleted".to_owned())
    }

    fn rset(&mut self) -> String {
        if let Some(maildrop) = &mut self.maildrop {
            maildrop.deleted.clear();
        }
        self.stat()
    }

    /// What QUIT does before it is answered.
    fn update(&mut self) {
        let Some(maildrop) = &self.maildrop else { return };
        let gone: BTreeSet<u32> =
            maildrop.deleted.iter().filter_map(|&index| self.message(index)).map(|(message, _)| message.uid).collect();
        let mut mailboxes = lock(&self.shared.mailboxes);
        if let Some(inbox) = mailboxes.iter_mut().find(|mailbox| mailbox.name == "INBOX" && !gone.is_empty()) {
            inbox.remove(|message| gone.contains(&message.uid));
        }
    }
}

/// The octets with each dot that begins a line doubled, and a final CR LF.
fn stuffed(octets: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(octets.len() + 64);
    for (at, &octet) in octets.iter().enumerate() {
        if octet == b'.' && (at == 0 || octets[..at].ends_with(b"\r\n")) {
            stuffed.push(b'.');
        }
        stuffed.push(octet);
    }
    if !octets.is_empty() && !octets.ends_with(b"\r\n") {
        stuffed.extend_from_slice(b"\r\n");
    }
    stuffed
}

/// The header, the blank line, and so many lines of the body.
fn first_lines(octets: &[u8], lines: usize) -> &[u8] {
    let (mut end, mut left) = (0, None);
    for line in octets.split_inclusive(|&octet| octet == b'\n') {
        if left == Some(0) {
            break;
        }
        end += line.len();
        match &mut left {
            Some(left) => *left -= 1,
            None if line == b"\r\n" || line == b"\n" => left = Some(lines),
            None => {}
        }
    }
    &octets[..end]
}
