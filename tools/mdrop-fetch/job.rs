//! One run: the profile, what is known, and where messages and words go.
//!
//! Whatever the source, a message becomes part of the stream here and nowhere else, after it has come whole.

use crate::known::Known;
use crate::progress::Progress;
use mdrop::error::{Error, Result};
use mdrop::frame::{self, Run, Stdout};
use mdrop::held::Held;
use mdrop::identity::{Account, Origin, Place};
use mdrop::interrupt;
use mdrop::net::wire::TlsFacts;
use mdrop::octets::Octets;
use mdrop::profile::Profile;
use mdrop::record::{Failure, Finding, Listing, Record, V1, Volume};
use mdrop::stream::{Meta, StreamWriter};
use mdrop::time::Time;

use std::io::Write;

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
    output: StreamWriter<Stdout>,
    /// Whether the run must end: the output is broken, or an end was asked for.
    over: bool,
}

impl<'a> Job<'a> {
    /// A run that writes to standard output.
    pub fn new(profile: &'a Profile, known: Known, dry_run: bool, run: &'a mut Run) -> Result<Self> {
        let output = StreamWriter::new(frame::stdout()?);
        let progress = Progress::new(run);
        Ok(Self { profile, account: profile.account(), known, dry_run, run, progress, output, over: false })
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
        let Facts { place, received, server_size, flags } = facts;
        let origin = self.origin(place);
        let meta = Meta { v: V1, origin, size, digest, eol, received, server_size, flags, route: None };
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

    /// Names a failure of something larger than a message: a mailbox.
    pub fn fail_mailbox(&mut self, mailbox: &Octets, error: Error) -> Result<()> {
        let error = error.about(self.about(mailbox));
        let Self { progress, run, .. } = self;
        progress.aside(|| run.fail(&error));
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

    /// Hands on what was written so far.
    pub fn flush(&mut self) -> Result<()> {
        let flushed = self.output.flush();
        self.over |= flushed.is_err();
        flushed
    }

    /// Something worth telling that is no error.
    pub fn find(&mut self, finding: &str, text: String) -> Result<()> {
        let finding = Finding { v: V1, origin: None, digest: None, finding: finding.into(), text };
        let Self { progress, run, .. } = self;
        progress.aside(|| run.find(finding))
    }

    /// Says so when nothing vouches for the server.
    pub fn warn_unverified(&mut self, tls: Option<&TlsFacts>) -> Result<()> {
        if tls.is_some_and(|tls| !tls.verified) {
            let host = &self.profile.account.host;
            let text = format!("{host}: the server's certificate is not verified (verify = false): anybody could read the password");
            return self.find("unverified", text);
        }
        Ok(())
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
        }
    }

    /// Logs a listing, and counts it; with --dry-run prints it, too.
    pub fn log_listing(&mut self, listing: Listing) -> Result<()> {
        let read = listing.unread.is_none();
        for (outcome, volume) in [("listed", listing.listed), ("known", listing.already)].into_iter().filter(|_| read) {
            let counted = self.run.counts.entry(outcome.into()).or_default();
            counted.messages += volume.messages;
            counted.bytes += volume.bytes;
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
        let flushed = if broken { Ok(()) } else { self.flush() };
        self.progress.finish();
        done.and(flushed)
    }
}
