//! --test: each step from the name to the mailboxes, `ok` or `FAILED`, with what to do about it; nothing is fetched and nothing changes.

use crate::select;
use mdrop::disk::{self, Found, Notice, Visitor};
use mdrop::error::{Error, Result, Status};
use mdrop::held::{Held, Taker};
use mdrop::net::{imap, pop3, secret};
use mdrop::octets::Octets;
use mdrop::profile::{AccountSettings, Profile, Protocol, Tls};
use mdrop::record::Volume;
use std::collections::BTreeMap;
use std::io::Write;

/// Prints what works; ends with the first failure that leaves nothing more to try.
pub fn test(profile: &Profile) -> Result<()> {
    let mut steps = Steps { left: expected(profile), failed: None };
    let tried = match profile.account.protocol {
        Protocol::Imap => test_imap(profile, &mut steps),
        Protocol::Pop3 => test_pop3(profile, &mut steps),
        _ => test_disk(profile, &mut steps),
    };
    if let Err(error) = &tried {
        let step = steps.left.first().copied().unwrap_or("mailboxes");
        let token = profile.account.token_command.is_some();
        print("FAILED", step, &format!("{error}; {}", advice(step, error.status(), token)))?;
    }
    tried.and_then(|()| steps.failed.map_or(Ok(()), Err))
}

/// The steps that a profile asks for, in their order.
fn expected(profile: &Profile) -> Vec<&'static str> {
    let account = &profile.account;
    if account.protocol.is_disk() {
        return vec!["mailboxes"];
    }
    let all = ["password", "name", "connection", "tls", "login", "capabilities", "mailboxes"];
    all.into_iter().filter(|step| *step != "tls" || account.tls != Tls::None).collect()
}

/// What an administrator can do when a step fails.
fn advice(step: &str, status: Status, token: bool) -> &'static str {
    match (step, status) {
        ("password", _) if token => "run token-command by hand: its first line must be the access token and nothing else",
        ("password", _) => "set password-command, password-file or token-command in the profile, and try the command by hand",
        ("name" | "login", Status::Config) => "correct the profile",
        ("name", _) => "check host in the profile, and that this machine can resolve names",
        ("connection", _) => "check host and port, and whether a firewall is between",
        ("tls", Status::Protocol) => "check that tls in the profile fits the port: implicit is 993 or 995, starttls 143 or 110",
        ("tls", _) => "compare the certificate with what the server's administrator says before you trust it",
        ("login", Status::NoPermission) if token => {
            "check that username is the mailbox the token is for, that the token has not expired, and that it was asked for with the \
             provider's scope for this protocol"
        }
        ("login", Status::NoPermission) => {
            "check username and password; some providers want a password for this program alone, and some, as Microsoft 365, take none \
             any more: then set token-command"
        }
        ("login", Status::Protocol) => "check password-command, token-command and auth in the profile against what the server offers",
        ("login", Status::TryAgain) => "the server asks to try again later",
        (_, Status::NoInput) => "check the names in the profile",
        _ => "ask the server's administrator, with this line",
    }
}

/// The steps that have not been seen to work.
struct Steps {
    left: Vec<&'static str>,
    failed: Option<Error>,
}

impl Steps {
    fn ok(&mut self, step: &str, facts: &str) {
        self.left.retain(|left| *left != step);
        // A reader that has gone ends the run at its last line, which reports it.
        let _ = print("ok", step, facts);
    }

    /// A failure after which the next thing can be tried.
    fn fail(&mut self, step: &str, error: Error) -> Result<()> {
        print("FAILED", step, &format!("{error}; {}", advice(step, error.status(), false)))?;
        self.failed.get_or_insert(error);
        Ok(())
    }
}

fn print(verdict: &str, step: &str, facts: &str) -> Result<()> {
    let line = format!("{verdict:<6} {step}: {}\n", mdrop::error::printable(facts));
    std::io::stdout().write_all(line.as_bytes()).map_err(|e| Error::io("standard output", e))
}

fn password(profile: &Profile, steps: &mut Steps) -> Result<secret::Secret> {
    let secret = secret::of(profile)?;
    steps.ok("password", if secret.is_token() { "there is a token" } else { "there is one" });
    Ok(secret)
}

fn test_imap(profile: &Profile, steps: &mut Steps) -> Result<()> {
    let account = &profile.account;
    let secret = password(profile, steps)?;
    let mut session = imap::Session::connect(account, &secret, &mut |step, facts| steps.ok(step, facts))?;
    let (imap::Mailboxes { all: mailboxes, failed, .. }, spaces) = session.mailboxes()?;
    for error in failed {
        steps.fail("mailbox", error)?;
    }
    let choice = select::Choice::new(&mailboxes, &spaces, &account.mailboxes, &account.exclude);
    for mailbox in &mailboxes {
        let shown = choice.unread(mailbox).map(|why| format!(" (not read: {why})")).unwrap_or_default();
        if mailbox.is("\\noselect") || mailbox.is("\\nonexistent") {
            steps.ok("mailbox", &format!("{}{shown}", mailbox.name));
            continue;
        }
        match session.status(mailbox) {
            Ok(totals) => {
                let octets = totals.bytes.map(|bytes| format!(", {bytes} octets")).unwrap_or_default();
                steps.ok("mailbox", &format!("{}: {} messages{octets}{shown}", mailbox.name, totals.messages));
            }
            Err(error) if session.is_alive() => steps.fail("mailbox", error.about(mailbox.name.to_string()))?,
            Err(error) => return Err(error),
        }
    }
    for name in select::missing(&account.mailboxes, &mailboxes) {
        steps.fail("mailbox", Error::new(Status::NoInput, "no such mailbox").about(name))?;
    }
    session.logout();
    steps.ok("mailboxes", &format!("{} in all", mailboxes.len()));
    Ok(())
}

fn test_pop3(profile: &Profile, steps: &mut Steps) -> Result<()> {
    let secret = password(profile, steps)?;
    let mut session = pop3::Session::connect(&profile.account, &secret, &mut |step, facts| steps.ok(step, facts))?;
    let (messages, octets) = session.stat()?;
    let named = session.list()?;
    steps.ok("mailboxes", &format!("{messages} messages, {octets} octets, {} with a unique-id", named.messages.len()));
    session.quit()
}

fn test_disk(profile: &Profile, steps: &mut Steps) -> Result<()> {
    let account = &profile.account;
    let mut count = Count { steps, account, all: BTreeMap::new() };
    disk::visit(account, crate::disk::source(account)?, &mut count)?;
    let Count { steps, all, .. } = count;
    for (mailbox, (volume, unread)) in &all {
        let shown = unread.as_ref().map(|why| format!(" (not read: {why})")).unwrap_or_default();
        steps.ok("mailbox", &format!("{mailbox}: {} messages, {} octets{shown}", volume.messages, volume.bytes));
    }
    for name in select::missing_names(&account.mailboxes, all.keys()) {
        steps.fail("mailbox", Error::new(Status::NoInput, "no such mailbox").about(name))?;
    }
    steps.ok("mailboxes", &format!("{} in all", all.len()));
    Ok(())
}

/// Counts what lies on disk; of a Maildir and of .eml files nothing is read.
struct Count<'s> {
    steps: &'s mut Steps,
    account: &'s AccountSettings,
    all: BTreeMap<Octets, (Volume, Option<String>)>,
}

impl Visitor for Count<'_> {
    fn mailbox(&mut self, name: &Octets, delimiter: char) -> Result<bool> {
        let unread = || select::unread_name(name, delimiter, &self.account.mailboxes, &self.account.exclude);
        self.all.entry(name.clone()).or_insert_with(|| (Volume::default(), unread()));
        Ok(false)
    }

    fn wants(&mut self, found: &Found) -> Result<bool> {
        self.all.entry(found.mailbox.clone()).or_default().0.add(found.size);
        Ok(false)
    }

    fn unreadable(&mut self, mailbox: &Octets, error: Error) -> Result<()> {
        let is_read = self.all.get(mailbox).is_none_or(|(_, unread)| unread.is_none());
        if is_read { self.steps.fail("mailbox", error.about(mailbox.to_string())) } else { Ok(()) }
    }

    fn notice(&mut self, _: Option<&Found>, notice: Notice) -> Result<()> {
        self.steps.ok("mailbox", &format!("{}: {}", notice.finding, notice.text));
        Ok(())
    }
}

impl Taker<Found> for Count<'_> {
    fn message(&mut self, _: &Found, _: &mut Held) -> Result<()> {
        Ok(())
    }

    fn failed(&mut self, _: &Found, _: Error) -> Result<()> {
        Ok(())
    }
}
