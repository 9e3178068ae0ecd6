//! Fetching over IMAP: mailbox by mailbox, each with EXAMINE, so that nothing changes on the server; over as many connections as it takes.

mod mailbox;

use crate::job::Job;
use crate::retry::Patience;
use crate::select::{self, Choice};
use mdrop::error::{Error, Result, Status};
use mdrop::identity::Place;
use mdrop::net::imap::{Mailbox, Mailboxes, Session};
use mdrop::net::secret::{self, Secret};
use mdrop::record::Volume;

/// Reads every mailbox that the profile names.
pub fn read(job: &mut Job) -> Result<()> {
    let mut reader = Reader::connect(job)?;
    let (Mailboxes { all: mailboxes, failed, .. }, spaces) = reader.persist(&mut Session::mailboxes)?;
    reader.note_names(&mailboxes, !failed.is_empty())?;
    for error in failed {
        reader.job.fail_account(error)?;
    }
    let account = &reader.job.profile.account;
    let choice = Choice::new(&mailboxes, &spaces, &account.mailboxes, &account.exclude);
    for mailbox in &mailboxes {
        match choice.unread(mailbox) {
            None if !reader.given_up => reader.read_one(mailbox)?,
            None => reader.leave(mailbox, "the connection was lost before".into())?,
            Some(why) => reader.leave(mailbox, why)?,
        }
    }
    reader.name_missing(&mailboxes)?;
    reader.session.logout();
    Ok(())
}

/// A session, and what it takes to have another one.
struct Reader<'j, 'a> {
    job: &'j mut Job<'a>,
    secret: Secret,
    patience: Patience<Place>,
    session: Session,
    /// Whether the server is not worth another try in this run.
    given_up: bool,
}

fn connect(job: &mut Job, secret: &Secret, patience: &mut Patience<Place>) -> Result<Session> {
    job.connect(secret, patience, &mut |job, secret| {
        let session = Session::connect(&job.profile.account, secret, &mut |step, facts| job.run.detail(&format!("{step}: {facts}")))?;
        job.warn_unverified(session.tls().as_ref())?;
        Ok(session)
    })
}

impl<'j, 'a> Reader<'j, 'a> {
    fn connect(job: &'j mut Job<'a>) -> Result<Self> {
        let secret = secret::of(job.profile)?;
        let mut patience = Patience::of(job.profile);
        let session = connect(job, &secret, &mut patience)?;
        Ok(Self { job, secret, patience, session, given_up: false })
    }

    /// Asks the server something that can be asked again on another connection when this one breaks.
    fn persist<T>(&mut self, ask: &mut dyn FnMut(&mut Session) -> Result<T>) -> Result<T> {
        loop {
            match ask(&mut self.session) {
                Err(error) if !self.session.is_alive() => self.connect_again(error, None)?,
                answered => return answered.map_err(|e| e.about(&self.job.account.name)),
            }
        }
    }

    /// Connects again after the connection broke at a message or elsewhere, if that is any use; otherwise the error stands.
    fn connect_again(&mut self, error: Error, at: Option<Place>) -> Result<()> {
        let connected = self.job.try_again(error, at, &mut self.patience).and_then(|()| {
            self.secret = secret::again(&self.secret, self.job.profile)?;
            self.session = connect(self.job, &self.secret, &mut self.patience)?;
            Ok(())
        });
        self.given_up = connected.is_err();
        connected
    }

    /// Logs which mailboxes there are. Only where that is all of them can one that is not there have been renamed.
    fn note_names(&mut self, mailboxes: &[Mailbox], more: bool) -> Result<()> {
        self.job.log_names(mailboxes.iter().map(|mailbox| &mailbox.name), more)?;
        if !more {
            self.job.known.note_names(&mailboxes.iter().map(|mailbox| &mailbox.name).collect());
        }
        Ok(())
    }

    /// A name in the profile that no mailbox has is a mistake, or a mailbox that vanished.
    fn name_missing(&mut self, mailboxes: &[Mailbox]) -> Result<()> {
        for name in select::missing(&self.job.profile.account.mailboxes, mailboxes) {
            self.job.fail_mailbox(&name.into(), Error::new(Status::NoInput, "no such mailbox"))?;
        }
        Ok(())
    }

    /// Logs a mailbox that is not read, with its count where the server tells it.
    fn leave(&mut self, mailbox: &Mailbox, why: String) -> Result<()> {
        let mut listing = self.job.listing(Some(mailbox.name.clone()));
        let count = !self.given_up && !mailbox.is("\\noselect") && !mailbox.is("\\nonexistent");
        // A count is not worth another connection for a mailbox that nobody reads.
        if let Some(totals) = count.then(|| self.session.status(mailbox).ok()).flatten() {
            listing.listed = Volume { messages: totals.messages, bytes: totals.bytes.unwrap_or(0) };
        }
        self.job.run.detail(&format!("{}: not read: {why}", self.job.about(&mailbox.name)));
        listing.unread = Some(why);
        self.job.log_listing(listing)
    }

    fn read_one(&mut self, mailbox: &Mailbox) -> Result<()> {
        match self.read_mailbox(mailbox) {
            Err(error) if !self.job.is_over() && !self.job.run.stopping() => {
                self.job.fail_mailbox(&mailbox.name, error)?;
                self.forgive();
                Ok(())
            }
            done => done,
        }
    }

    /// A server that kept refusing one mailbox may let us read the next one: one more connection tells.
    fn forgive(&mut self) {
        if self.given_up && self.session.is_refused() {
            let fresh = Session::connect(&self.job.profile.account, &self.secret, &mut |_, _| {});
            self.patience = Patience::of(self.job.profile);
            self.given_up = fresh.map(|session| self.session = session).is_err();
        }
    }
}
