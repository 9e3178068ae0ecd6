//! `IMAP4rev1` (RFC 3501) as far as real clients use it: the session, login, and mailboxes.
//!
//! Decision: a session keeps the UIDs that it has told its client of, in order; sequence numbers are places in that list and
//! change only when the client is told. Read-only means that no command of the session changes anything. Mailboxes can't be
//! made, renamed or appended to: a test does that through `Running`.

use std::io;

use super::parse::{self, Args, Token};
use super::sasl::{self, LoginFault};
use super::store::{Mailbox, canonical_name};
use super::wire::Wire;
use super::{Shared, lock};

/// The largest literal taken from a client.
const LARGEST_LITERAL: usize = 64 * 1024 * 1024;

/// The tagged answer to a command.
pub enum Reply {
    /// OK
    Ok(String),
    /// NO
    No(String),
    /// BAD
    Bad(String),
}

impl Reply {
    /// OK with this text.
    pub fn ok(text: &str) -> Self {
        Self::Ok(text.to_owned())
    }

    /// NO with this text.
    pub fn no(text: &str) -> Self {
        Self::No(text.to_owned())
    }

    fn line(&self, tag: &str) -> String {
        match self {
            Self::Ok(text) => format!("{tag} OK {text}"),
            Self::No(text) => format!("{tag} NO {text}"),
            Self::Bad(text) => format!("{tag} BAD {text}"),
        }
    }
}

/// Why a command came to no OK.
pub enum Fail {
    /// The connection is of no more use.
    Io(io::Error),
    /// The client is told.
    Reply(Reply),
}

impl From<io::Error> for Fail {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What a command comes to.
pub type Outcome = Result<Reply, Fail>;

/// BAD, for arguments that can't be read.
pub fn bad() -> Fail {
    Fail::Reply(Reply::Bad("can't read the arguments".to_owned()))
}

/// The mailbox that is open.
pub struct Selected {
    /// Its name.
    pub name: String,
    /// Whether it was opened by EXAMINE.
    pub read_only: bool,
    /// The UIDs the client knows of; a sequence number is a place in here.
    pub view: Vec<u32>,
}

/// One connection.
pub struct Session<'a> {
    /// The connection.
    pub wire: &'a mut Wire,
    /// What all connections share.
    pub shared: &'a Shared,
    /// The open mailbox.
    pub selected: Option<Selected>,
    /// Whether MODSEQ is told unasked.
    pub condstore: bool,
    /// The tag of the command that is being answered.
    pub tag: String,
    /// Messages handed out on this connection.
    pub handed_out: u32,
    logged_in: bool,
    done: bool,
}

/// Serves one connection to its end.
pub fn serve(wire: &mut Wire, shared: &Shared) -> io::Result<()> {
    let mut session =
        Session { wire, shared, selected: None, condstore: false, tag: String::new(), handed_out: 0, logged_in: false, done: false };
    let greeting = format!("* OK [CAPABILITY {}] mailserver ready", session.capabilities());
    match session.shared.faults().greeting {
        Some(greeting) => session.wire.send(greeting.as_bytes())?,
        None => session.wire.send_line(&greeting)?,
    }
    while !session.done {
        let Some(command) = session.read_command()? else { break };
        session.command(&command)?;
    }
    Ok(())
}

impl Session<'_> {
    fn read_command(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut command = Vec::new();
        loop {
            let Some(line) = self.wire.read_line()? else { return Ok(None) };
            command.extend_from_slice(&line);
            let Some((count, waits)) = parse::literal(&line) else { return Ok(Some(command)) };
            if count > LARGEST_LITERAL {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "literal too large"));
            }
            if waits {
                self.wire.send_line("+ go on")?;
            }
            command.extend_from_slice(b"\r\n");
            command.extend(self.wire.read_octets(count)?);
        }
    }

    fn command(&mut self, command: &[u8]) -> io::Result<()> {
        let mut args = Args(parse::tokens(command).unwrap_or_default());
        let (Some(tag), Some(mut verb)) = (args.word(), args.keyword()) else {
            return self.wire.send_line("* BAD can't read the command");
        };
        if verb == "UID" {
            verb = format!("UID {}", args.keyword().unwrap_or_default());
        }
        let logged = logged(&verb, &tag, command);
        self.tag.clone_from(&tag);
        self.shared.log("IMAP", &logged);
        let faults = self.shared.faults();
        if faults.cuts_before(&logged) {
            self.cut();
            return Ok(());
        }
        let reply = match self.run(&verb, args) {
            Ok(reply) | Err(Fail::Reply(reply)) => reply,
            Err(Fail::Io(error)) => return Err(error),
        };
        if faults.cuts_answer(&logged) {
            self.cut();
            return Ok(());
        }
        if !matches!(verb.as_str(), "FETCH" | "STORE" | "SEARCH") {
            self.tell_changes()?;
        }
        let line = reply.line(&tag) + "\r\n";
        let line = faults.starttls_answer.filter(|_| verb == "STARTTLS").map_or(line, |answer| answer.replace("TAG", &tag));
        self.wire.send(line.as_bytes())?;
        if verb == "STARTTLS" && line.starts_with(&format!("{tag} OK")) {
            self.begin_tls()?;
        }
        Ok(())
    }

    fn cut(&mut self) {
        self.wire.close();
        self.done = true;
    }

    fn run(&mut self, verb: &str, args: Args) -> Outcome {
        match verb {
            "CAPABILITY" => self.capability(),
            "NOOP" => Ok(Reply::ok("nothing done")),
            "LOGOUT" => self.logout(),
            "ID" => self.id(),
            "STARTTLS" => Ok(self.starttls()),
            "LOGIN" => self.login(args),
            "AUTHENTICATE" => self.authenticate(args),
            _ if !self.logged_in => Err(Fail::Reply(Reply::no("log in first"))),
            _ => self.run_logged_in(verb, args),
        }
    }

    fn run_logged_in(&mut self, verb: &str, mut args: Args) -> Outcome {
        match verb {
            "LIST" | "LSUB" => self.list(verb, args),
            "NAMESPACE" if self.shared.offers("NAMESPACE") => self.namespace(),
            "STATUS" => self.status(args),
            "SELECT" => self.select(args, false),
            "EXAMINE" => self.select(args, true),
            "ENABLE" => self.enable(&args.words().ok_or_else(bad)?),
            "CREATE" | "DELETE" | "RENAME" | "SUBSCRIBE" | "UNSUBSCRIBE" | "APPEND" => {
                Ok(Reply::no("[CANNOT] mailboxes are not changed here"))
            }
            _ if self.selected.is_none() => Err(Fail::Reply(Reply::Bad("no mailbox is open".to_owned()))),
            _ => self.run_selected(verb, args),
        }
    }

    fn run_selected(&mut self, verb: &str, mut args: Args) -> Outcome {
        match verb {
            "FETCH" => self.fetch(args, false),
            "UID FETCH" => self.fetch(args, true),
            "STORE" => self.store(args, false),
            "UID STORE" => self.store(args, true),
            "SEARCH" => self.search(args, false),
            "UID SEARCH" => self.search(args, true),
            "EXPUNGE" => self.expunge(None),
            "UID EXPUNGE" if self.shared.offers("UIDPLUS") => {
                let set = args.set().ok_or_else(bad)?;
                self.expunge(Some(&set))
            }
            "CHECK" => Ok(Reply::ok("checked")),
            "CLOSE" => self.close(),
            "UNSELECT" if self.shared.offers("UNSELECT") => {
                self.selected = None;
                Ok(Reply::ok("closed"))
            }
            _ => Ok(Reply::Bad("unknown command".to_owned())),
        }
    }

    fn capabilities(&self) -> String {
        let mut names = vec!["IMAP4rev1", "ID", "ENABLE", "CHILDREN"];
        let optional = ["LITERAL+", "SASL-IR", "UIDPLUS", "CONDSTORE", "ESEARCH", "UNSELECT", "NAMESPACE", "SPECIAL-USE"];
        names.extend(optional.into_iter().filter(|name| self.shared.offers(name)));
        if self.shared.config.object_ids {
            names.push("OBJECTID");
        }
        if self.shared.offers_tls("STARTTLS", self.wire) {
            names.push("STARTTLS");
        }
        let mechanisms: Vec<String> = self.shared.mechanisms().iter().map(|name| format!("AUTH={name}")).collect();
        if self.may_log_in() {
            names.extend(mechanisms.iter().map(String::as_str));
        }
        if !self.may_log_in() || !self.shared.offers("LOGIN") {
            names.push("LOGINDISABLED");
        }
        names.join(" ")
    }

    fn capability(&mut self) -> Outcome {
        let line = format!("* CAPABILITY {}", self.capabilities());
        self.wire.send_line(&line)?;
        Ok(Reply::ok("that is all"))
    }

    fn id(&mut self) -> Outcome {
        self.wire.send_line("* ID (\"name\" \"mailserver\")")?;
        Ok(Reply::ok("pleased to meet you"))
    }

    fn logout(&mut self) -> Outcome {
        self.done = true;
        self.selected = None;
        self.wire.send_line("* BYE until next time")?;
        Ok(Reply::ok("bye"))
    }

    /// Ends the connection in the middle of a command.
    fn leave(&mut self) -> Outcome {
        self.wire.send_line("* BYE [ALERT] going down")?;
        Err(Fail::Io(io::ErrorKind::ConnectionAborted.into()))
    }

    fn starttls(&self) -> Reply {
        if self.shared.offers_tls("STARTTLS", self.wire) && !self.logged_in { Reply::ok("begin") } else { Reply::Bad("not now".to_owned()) }
    }

    fn begin_tls(&mut self) -> io::Result<()> {
        match &self.shared.tls {
            Some(acceptor) => self.wire.start_tls(acceptor),
            None => Ok(()),
        }
    }

    fn may_log_in(&self) -> bool {
        !self.shared.config.require_tls || self.wire.is_secure()
    }

    fn login(&mut self, mut args: Args) -> Outcome {
        self.may_begin()?;
        let (user, password) = (args.octets().ok_or_else(bad)?, args.octets().ok_or_else(bad)?);
        match self.shared.faults().login {
            Some(LoginFault::Bye) => return self.leave(),
            Some(LoginFault::Echo) => return Ok(Reply::no(&format!("LOGIN \"{}\"", String::from_utf8_lossy(&password)))),
            _ => {}
        }
        Ok(self.log_in(self.shared.admits(&user, &password)))
    }

    fn authenticate(&mut self, mut args: Args) -> Outcome {
        self.may_begin()?;
        let mechanism = args.keyword().ok_or_else(bad)?;
        let (initial, fault) = (args.octets(), self.shared.faults().login);
        if !self.shared.mechanisms().contains(&mechanism.as_str()) || fault == Some(LoginFault::Unknown) {
            return Ok(Reply::no("unsupported mechanism"));
        }
        if initial.is_some() && !self.shared.offers("SASL-IR") {
            return Ok(Reply::Bad("one word too many".to_owned()));
        }
        if fault == Some(LoginFault::Bye) {
            return self.leave();
        }
        let shared = self.shared;
        let mut last = Vec::new();
        let admitted = sasl::exchange(shared, &mechanism, initial.as_deref(), &mut |challenge| {
            self.wire.send_line(&format!("+ {challenge}"))?;
            let line = self.wire.read_line()?;
            last = line.clone().unwrap_or_default();
            Ok(line)
        })?;
        if fault == Some(LoginFault::Echo) {
            let said = initial.unwrap_or(last);
            return Ok(Reply::no(&format!("wrong: {}", String::from_utf8_lossy(&said))));
        }
        Ok(self.log_in(admitted))
    }

    fn may_begin(&self) -> Result<(), Fail> {
        if self.logged_in {
            Err(Fail::Reply(Reply::Bad("you are logged in".to_owned())))
        } else if self.may_log_in() {
            Ok(())
        } else {
            Err(Fail::Reply(Reply::no("[PRIVACYREQUIRED] only with TLS")))
        }
    }

    fn log_in(&mut self, admitted: bool) -> Reply {
        self.logged_in = admitted;
        if admitted {
            Reply::Ok(format!("[CAPABILITY {}] welcome", self.capabilities()))
        } else {
            Reply::no("[AUTHENTICATIONFAILED] wrong user or password")
        }
    }

    fn enable(&mut self, names: &[String]) -> Outcome {
        let wanted = names.iter().any(|name| name.eq_ignore_ascii_case("CONDSTORE"));
        self.condstore |= wanted && self.shared.offers("CONDSTORE");
        let line = if self.condstore { "* ENABLED CONDSTORE" } else { "* ENABLED" };
        self.wire.send_line(line)?;
        Ok(Reply::ok("enabled"))
    }

    fn list(&mut self, verb: &str, mut args: Args) -> Outcome {
        if matches!(args.0.front(), Some(Token::Open)) {
            args.list().ok_or_else(bad)?;
        }
        let (reference, pattern) = (args.word().ok_or_else(bad)?, args.word().ok_or_else(bad)?);
        let lines = if pattern.is_empty() {
            vec![format!("* {verb} (\\Noselect) \"/\" \"\"")]
        } else {
            let pattern = canonical_name(&(reference + &pattern));
            let mailboxes = lock(&self.shared.mailboxes);
            let names: Vec<&str> = mailboxes.iter().map(|mailbox| mailbox.name.as_str()).collect();
            let found = names.iter().filter(|name| parse::matches(pattern.as_bytes(), name.as_bytes()));
            found.map(|name| format!("* {verb} ({}) \"/\" {}", attributes(name, &names), parse::quote(name))).collect()
        };
        self.send_lines(&lines)?;
        Ok(Reply::ok("listed"))
    }

    fn namespace(&mut self) -> Outcome {
        let shared = self.shared.config.shared_namespace.as_ref();
        let others = shared.map_or_else(|| "NIL".to_owned(), |prefix| format!("(({} \"/\"))", parse::quote(prefix)));
        self.wire.send_line(&format!("* NAMESPACE ((\"\" \"/\")) {others} NIL"))?;
        Ok(Reply::ok("that is all"))
    }

    fn status(&mut self, mut args: Args) -> Outcome {
        let name = args.word().ok_or_else(bad)?;
        let items = args.words().ok_or_else(bad)?;
        let line = self.with_named(&name, |mailbox| {
            let told: Option<Vec<String>> = items.iter().map(|item| status_item(mailbox, item)).collect();
            told.map(|told| format!("* STATUS {} ({})", parse::quote(&mailbox.name), told.join(" ")))
        })?;
        self.wire.send_line(&line.ok_or_else(bad)?)?;
        Ok(Reply::ok("that is all"))
    }

    fn select(&mut self, mut args: Args, read_only: bool) -> Outcome {
        self.selected = None;
        let name = args.word().ok_or_else(bad)?;
        if let Some((_, code)) = self.shared.faults().refuse_open.filter(|(refused, _)| *refused == name) {
            return Ok(Reply::no(&format!("[{code}] not this one")));
        }
        let wants = args.list().ok_or_else(bad)?.is_some_and(|mut list| list.keyword().as_deref() == Some("CONDSTORE"));
        let condstore = self.shared.offers("CONDSTORE");
        self.condstore |= wants && condstore;
        let ids = self.shared.config.object_ids;
        let (lines, view) = self.with_named(&name, |mailbox| {
            let mut lines = select_lines(mailbox, read_only, condstore);
            lines.extend(ids.then(|| format!("* OK [MAILBOXID ({})] its identifier", mailbox.id)));
            (lines, mailbox.uids())
        })?;
        self.send_lines(&lines)?;
        self.selected = Some(Selected { name: canonical_name(&name), read_only, view });
        Ok(Reply::ok(if read_only { "[READ-ONLY] open" } else { "[READ-WRITE] open" }))
    }

    /// Sends lines.
    pub fn send_lines(&mut self, lines: &[String]) -> io::Result<()> {
        lines.iter().try_for_each(|line| self.wire.send_line(line))
    }

    fn with_named<T>(&self, name: &str, look: impl FnOnce(&Mailbox) -> T) -> Result<T, Fail> {
        let name = canonical_name(name);
        let mailboxes = lock(&self.shared.mailboxes);
        let mailbox = mailboxes.iter().find(|mailbox| mailbox.name == name);
        mailbox.map(look).ok_or_else(|| Fail::Reply(Reply::no("[NONEXISTENT] no such mailbox")))
    }

    /// Looks at the open mailbox, or changes it.
    pub fn with_selected<T>(&self, look: impl FnOnce(&Selected, &mut Mailbox) -> T) -> Result<T, Fail> {
        let gone = || Fail::Reply(Reply::no("the mailbox is gone"));
        let selected = self.selected.as_ref().ok_or_else(gone)?;
        let mut mailboxes = lock(&self.shared.mailboxes);
        let mailbox = mailboxes.iter_mut().find(|mailbox| mailbox.name == selected.name);
        mailbox.map(|mailbox| look(selected, mailbox)).ok_or_else(gone)
    }

    /// Tells what has come and gone since the client was told last.
    fn tell_changes(&mut self) -> io::Result<()> {
        let Ok(now) = self.with_selected(|_, mailbox| mailbox.uids()) else { return Ok(()) };
        let Some(selected) = &mut self.selected else { return Ok(()) };
        if selected.view == now {
            return Ok(());
        }
        let mut lines = Vec::new();
        for at in (0..selected.view.len()).rev() {
            if now.binary_search(&selected.view[at]).is_err() {
                lines.push(format!("* {} EXPUNGE", at + 1));
            }
        }
        selected.view.retain(|uid| now.binary_search(uid).is_ok());
        if now.len() > selected.view.len() {
            lines.push(format!("* {} EXISTS", now.len()));
        }
        selected.view = now;
        self.send_lines(&lines)
    }
}

/// What the log may hold of a command: no tag, no secret, literals as they are.
fn logged(verb: &str, tag: &str, command: &[u8]) -> String {
    match verb {
        "LOGIN" => verb.to_owned(),
        "AUTHENTICATE" => {
            let command = String::from_utf8_lossy(command);
            format!("AUTHENTICATE {}", command.split(' ').nth(2).unwrap_or_default())
        }
        _ => String::from_utf8_lossy(command.get(tag.len() + 1..).unwrap_or_default()).into_owned(),
    }
}

fn attributes(name: &str, names: &[&str]) -> String {
    let has_children = names.iter().any(|other| other.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')));
    let children = if has_children { "\\HasChildren" } else { "\\HasNoChildren" };
    match name {
        "Sent" | "Drafts" | "Trash" | "Junk" | "Archive" => format!("{children} \\{name}"),
        _ => children.to_owned(),
    }
}

fn status_item(mailbox: &Mailbox, item: &str) -> Option<String> {
    let item = item.to_ascii_uppercase();
    let value = match item.as_str() {
        "MESSAGES" => mailbox.messages.len() as u64,
        "RECENT" => 0,
        "UIDNEXT" => mailbox.uid_next.into(),
        "UIDVALIDITY" => mailbox.uid_validity.into(),
        "UNSEEN" => mailbox.messages.iter().filter(|message| !message.flags.contains("\\Seen")).count() as u64,
        "HIGHESTMODSEQ" => mailbox.highest_modseq,
        "SIZE" => mailbox.messages.iter().map(|message| message.size).sum(),
        _ => return None,
    };
    Some(format!("{item} {value}"))
}

fn select_lines(mailbox: &Mailbox, read_only: bool, condstore: bool) -> Vec<String> {
    let flags = "\\Answered \\Flagged \\Deleted \\Seen \\Draft";
    let permanent = if read_only { String::new() } else { format!("{flags} \\*") };
    let mut lines = vec![
        format!("* FLAGS ({flags})"),
        format!("* OK [PERMANENTFLAGS ({permanent})] flags that stay"),
        format!("* {} EXISTS", mailbox.messages.len()),
        "* 0 RECENT".to_owned(),
        format!("* OK [UIDVALIDITY {}] UIDs are valid", mailbox.uid_validity),
        format!("* OK [UIDNEXT {}] the next UID", mailbox.uid_next),
    ];
    if condstore {
        lines.push(format!("* OK [HIGHESTMODSEQ {}] the highest", mailbox.highest_modseq));
    }
    lines
}
