//! One run: the profile, what is known, and where messages and words go.
//!
//! Whatever the source, a message becomes part of the stream here and nowhere else, after it has come whole.

use crate::known::Known;
use crate::output::Output;
use crate::progress::Progress;
use crate::retry::{Next, Patience};
use mdrop::error::{Error, Result, Status};
use mdrop::frame::Run;
use mdrop::held::Held;
use mdrop::identity::{Account, Origin, Place};
use mdrop::interrupt;
use mdrop::net::secret::Secret;
use mdrop::net::wire::TlsFacts;
use mdrop::octets::Octets;
use mdrop::profile::Profile;
use mdrop::record::{Failure, Finding, Listing, MailboxName, MailboxNames, ObjectIds, Record, V1, Volume};
use mdrop::stream::{Meta, StreamWriter};
use mdrop::time::Time;
use std::io::Write;
use std::time::Duration;

/// What a source says of a message besides its octets.
pub struct Facts {
    /// Where the copy lies.
    pub place: Place,
    /// When the server received it.
    pub received: Option<Time>,
    /// What the server claims its size to be.
    pub server_size: Option<u64>,
    /// Its flags.
    pub flags: Vec<String>,
    /// What the server calls it and its mailbox.
    pub objects: ObjectIds,
}

/// A run of mdrop-fetch.
pub struct Job<'a> {
    /// The profile.
    pub profile: &'a Profile,
    /// Its account.
    pub account: Account,
    /// What is archived already.
    pub known: Known,
    /// Whether only listings are printed.
    pub dry_run: bool,
    /// Counts, messages, the log.
    pub run: &'a mut Run,
    /// The bar.
    pub progress: Progress,
    output: StreamWriter<Output>,
    /// Whether the run must end: the output is broken, or an end was asked for.
    over: bool,
    /// Whether it was said that nothing vouches for the server.
    warned: bool,
}

impl<'a> Job<'a> {
    /// A run that writes to standard output.
    pub fn new(profile: &'a Profile, known: Known, dry_run: bool, run: &'a mut Run) -> Result<Self> {
        let output = StreamWriter::new(Output::open()?);
        let progress = Progress::new(run);
        Ok(Self { profile, account: profile.account(), known, dry_run, run, progress, output, over: false, warned: false })
    }

    /// The name of a mailbox in messages: `acme/INBOX`.
    pub fn about(&self, mailbox: &Octets) -> String {
        format!("{}/{mailbox}", self.account.name)
    }

    /// A place in this account.
    pub fn origin(&self, place: Place) -> Origin {
        Origin { account: self.account.clone(), place }
    }

    /// Whether the run must end, whatever else there is to do.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Puts a whole message into the stream.
    pub fn write(&mut self, facts: Facts, octets: &mut Held) -> Result<()> {
        let (size, digest, eol) = octets.measured();
        let Facts { place, received, server_size, flags, objects } = facts;
        if size == 0 && server_size.is_some_and(|size| size > 0) {
            let what = "the server hands out nothing for it, though it claims that there is something";
            return self.fail(Some(place), Error::new(Status::TryAgain, what), server_size);
        }
        let origin = self.origin(place);
        let meta = Meta { v: V1, origin, size, digest, eol, received, server_size, flags, objects, route: None };
        let written = octets.reader().and_then(|mut reader| self.output.write_octets(&meta, &mut reader));
        self.over |= written.is_err();
        written?;
        self.run.count("fetched", size);
        self.progress.done(server_size.unwrap_or(size));
        self.go_on()
    }

    /// Counts and names a message that could not be had.
    pub fn fail(&mut self, place: Option<Place>, error: Error, size: Option<u64>) -> Result<()> {
        let origin = place.map(|place| self.origin(place));
        let about = origin.as_ref().map_or_else(|| self.account.name.clone(), ToString::to_string);
        let error = error.about(about);
        self.progress.done(size.unwrap_or(0));
        let Self { progress, run, .. } = self;
        progress.aside(|| run.fail_message(origin.as_ref(), &error))?;
        self.go_on()
    }

    /// Counts and names a message that was deleted on the server between its listing and its fetching.
    pub fn vanished(&mut self, place: Place) -> Result<()> {
        self.progress.done(0);
        self.run.count("vanished", 0);
        let text = "deleted on the server after it was listed, and not by this run".into();
        self.find_of(Some(self.origin(place)), "vanished", text)?;
        self.go_on()
    }

    /// Counts messages whose failure is told in one line for all.
    pub fn count_failed(&mut self, messages: u64) {
        self.run.counts.entry("failed".into()).or_default().messages += messages;
    }

    /// Opens a session, and tries again where what prevents it may pass.
    pub fn connect<S>(
        &mut self,
        secret: &Secret,
        patience: &mut Patience<Place>,
        open: &mut dyn FnMut(&mut Self, &Secret) -> Result<S>,
    ) -> Result<S> {
        loop {
            match open(self, secret) {
                Err(error) if matches!(error.status(), Status::Unavailable | Status::TryAgain) => {
                    self.try_again(error, None, patience)?;
                }
                done => return done,
            }
        }
    }

    /// After the connection broke, at a message or elsewhere: waits, if it is any use to connect again; otherwise the error stands.
    /// A message that is left out from now on is counted here, and then is what `patience` dropped.
    pub fn try_again(&mut self, error: Error, at: Option<Place>, patience: &mut Patience<Place>) -> Result<()> {
        if self.over || self.run.stopping() {
            return Err(error);
        }
        let (pause, left_out) = match patience.broke(at) {
            Next::Again(pause) => (pause, None),
            Next::LeaveOut(pause, place) => (pause, Some(place)),
            Next::GiveUp => return Err(error),
        };
        if let Some(place) = left_out {
            let what = format!("left out until the next run, since the connection broke at it twice: {}", error.what());
            self.fail(Some(place), Error::new(error.status(), what), None)?;
        }
        self.wait(&error, pause)
    }

    fn wait(&mut self, error: &Error, pause: Duration) -> Result<()> {
        self.flush()?;
        let text = format!("{}: {error}; connecting again in {} seconds", self.account.name, pause.as_secs_f64());
        self.find("reconnect", text)?;
        interrupt::pause(pause)
    }

    /// Names a failure of something larger than a message: a mailbox.
    pub fn fail_mailbox(&mut self, mailbox: &Octets, error: Error) -> Result<()> {
        self.fail_larger(&error.about(self.about(mailbox)))
    }

    /// The same for something of the account.
    pub fn fail_account(&mut self, error: Error) -> Result<()> {
        self.fail_larger(&error.about(&self.account.name))
    }

    fn fail_larger(&mut self, error: &Error) -> Result<()> {
        let Self { progress, run, .. } = self;
        progress.aside(|| run.fail(error));
        let (why, status) = (error.to_string(), error.status().code());
        run.log(&Record::Failure(Box::new(Failure { v: V1, origin: None, why, status })))
    }

    /// The end that a signal asked for comes after a whole message.
    fn go_on(&mut self) -> Result<()> {
        if !self.run.stopping() {
            return Ok(());
        }
        self.over = true;
        Err(interrupt::error())
    }

    /// Sends what was written so far on its way.
    pub fn flush(&mut self) -> Result<()> {
        let flushed = self.output.flush();
        self.over |= flushed.is_err();
        flushed
    }

    /// Something worth telling that is no error.
    pub fn find(&mut self, finding: &str, text: String) -> Result<()> {
        self.find_of(None, finding, text)
    }

    /// The same, of a message.
    pub fn find_of(&mut self, origin: Option<Origin>, finding: &str, text: String) -> Result<()> {
        let finding = Finding { origin, finding: finding.into(), text, ..Finding::default() };
        let Self { progress, run, .. } = self;
        progress.aside(|| run.find(finding))
    }

    /// Says so when nothing vouches for the server.
    pub fn warn_unverified(&mut self, tls: Option<&TlsFacts>) -> Result<()> {
        let finding = mdrop::net::unverified(&self.profile.account.host, tls);
        let Some(finding) = finding.filter(|_| !std::mem::replace(&mut self.warned, true)) else { return Ok(()) };
        let Self { progress, run, .. } = self;
        progress.aside(|| run.find(finding))
    }

    /// An empty listing of a mailbox.
    pub fn listing(&self, mailbox: Option<Octets>) -> Listing {
        Listing {
            v: V1,
            account: self.account.name.clone(),
            login: self.account.login.clone(),
            mailbox,
            uidvalidity: None,
            uids: mdrop::uids::UidSet::new(),
            known: mdrop::uids::UidSet::new(),
            names: Vec::new(),
            listed: Volume::default(),
            already: Volume::default(),
            unread: None,
            mailboxid: None,
            renamed: None,
            emails: Vec::new(),
            doubt: None,
        }
    }

    /// Logs which mailboxes there are; `more` if there may be others.
    pub fn log_names<'m>(&mut self, names: impl Iterator<Item = &'m Octets>, more: bool) -> Result<()> {
        let names = names.map(|name| MailboxName { mailbox: Some(name.clone()) }).collect();
        let Account { name: account, login } = self.account.clone();
        self.run.log(&Record::Mailboxes(Box::new(MailboxNames { v: V1, account, login, time: Time::now(), names, more })))
    }

    /// Logs a listing, and counts it; with --dry-run prints it, too.
    pub fn log_listing(&mut self, listing: Listing) -> Result<()> {
        let read = listing.unread.is_none();
        for (outcome, volume) in [("listed", listing.listed), ("known", listing.already)].into_iter().filter(|_| read) {
            let counted = self.run.counts.entry(outcome.into()).or_default();
            counted.messages = counted.messages.saturating_add(volume.messages);
            counted.bytes = counted.bytes.saturating_add(volume.bytes);
        }
        let record = Record::Listing(Box::new(listing));
        if self.dry_run {
            let line = record.to_line()?;
            let printed = std::io::stdout().write_all(&line).map_err(|e| Error::io("standard output", e));
            self.over |= printed.is_err();
            printed?;
        }
        self.run.log(&record)
    }

    /// Ends the run: messages that came whole are handed on even if it failed later.
    pub fn finish(mut self, done: Result<()>) -> Result<()> {
        let broken = self.over && !self.run.stopping();
        let written = if broken { Ok(()) } else { self.output.output_mut().finish() };
        self.progress.finish();
        done.and(written)
    }
}
