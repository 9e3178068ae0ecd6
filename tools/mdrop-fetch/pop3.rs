//! Fetching over POP3: one maildrop, by unique-id, and never a DELE; over as many connections as it takes.
//!
//! Numbers mean something in one session only, so after each connection the maildrop is listed again and what is left is looked up by
//! unique-id. Where the server has none and the profile says so, every message is read and its digest is its unique-id.

use crate::job::{Facts, Job};
use crate::plan;
use crate::retry::Patience;
use mdrop::error::{Error, Result, Status};
use mdrop::held::{Held, Taker};
use mdrop::identity::Place;
use mdrop::net::pop3::{Listed, Listing, Session};
use mdrop::net::secret::{self, Secret};
use mdrop::octets::Octets;
use mdrop::profile::WithoutUidl;
use mdrop::record::{ObjectIds, Volume};
use std::collections::{HashMap, HashSet};

/// Reads the maildrop.
pub fn read(job: &mut Job) -> Result<()> {
    let secret = secret::of(job.profile)?;
    let mut patience = Patience::of(job.profile);
    let session = connect(job, &secret, &mut patience)?;
    let mut reader = Reader { job, secret, patience, session, by_digest: false, known: Volume::default(), suspect: None };
    let listing = reader.list()?;
    let Listing { messages, failed } = listing;
    let (wanted, unlisted) = (reader.plan(&messages, failed.len())?, failed.len());
    for (number, error) in failed {
        reader.job.fail(None, error.about(format!("message {number}")), None)?;
    }
    if !reader.job.dry_run {
        reader.job.progress.expect(wanted.len(), wanted.iter().filter_map(|message| message.size).sum());
        let fetched = reader.fetch(wanted);
        if reader.by_digest {
            reader.log(&messages, unlisted, reader.known, Vec::new())?;
        }
        match fetched {
            Err(error) if !reader.job.is_over() && !reader.job.run.stopping() => return reader.job.fail_account(error),
            fetched => fetched?,
        }
    }
    reader.session.quit().or(Ok(()))
}

/// A session, and what it takes to have another one.
struct Reader<'j, 'a> {
    job: &'j mut Job<'a>,
    secret: Secret,
    patience: Patience<Place>,
    session: Session,
    /// Whether messages are told apart by their digests, since the server has no unique-ids.
    by_digest: bool,
    /// What turned out to be known, by its digest.
    known: Volume,
    /// The message at which the last connection broke.
    suspect: Option<Listed>,
}

fn connect(job: &mut Job, secret: &Secret, patience: &mut Patience<Place>) -> Result<Session> {
    job.connect(secret, patience, &mut |job, secret| {
        let session = Session::connect(&job.profile.account, secret, &mut |step, facts| job.run.detail(&format!("{step}: {facts}")))?;
        job.warn_unverified(session.tls().as_ref())?;
        Ok(session)
    })
}

impl Reader<'_, '_> {
    /// Lists the maildrop, and finds out how messages are told apart.
    fn list(&mut self) -> Result<Listing> {
        match self.list_again() {
            Err(error) if self.session.is_alive() && error.status() == Status::Protocol && !self.by_digest => {
                self.without_uidl(&error)?;
                self.list_again()
            }
            listed => listed,
        }
    }

    /// Lists the maildrop, on another connection if this one breaks. A server that has lost its unique-ids since has no answer here: what
    /// is left could not be found again.
    fn list_again(&mut self) -> Result<Listing> {
        loop {
            let listed = if self.by_digest { self.session.list_numbers() } else { self.session.list() };
            match listed {
                Err(error) if !self.session.is_alive() => self.connect_again(error, None)?,
                listed => return listed.map_err(|e| e.about(&self.job.account.name)),
            }
        }
    }

    fn without_uidl(&mut self, error: &Error) -> Result<()> {
        if self.job.profile.account.without_uidl == WithoutUidl::Refuse {
            let what = format!("{}; without-uidl = \"digest\" in the profile reads all of it in each run instead", error.what());
            return Err(Error::new(Status::Protocol, what).about(&self.job.account.name));
        }
        let text = format!("{}: the server has no UIDL: all messages are read, and told apart by their digests", self.job.account.name);
        self.by_digest = true;
        self.job.find("without-uidl", text)
    }

    fn connect_again(&mut self, error: Error, at: Option<Place>) -> Result<()> {
        self.job.try_again(error, at, &mut self.patience)?;
        self.secret = secret::again(&self.secret, self.job.profile)?;
        self.session = connect(self.job, &self.secret, &mut self.patience)?;
        Ok(())
    }

    /// What is to be fetched. The listing is logged, unless only the messages themselves tell what is known.
    fn plan(&mut self, messages: &[Listed], failed: usize) -> Result<Vec<Listed>> {
        if self.by_digest && !self.job.dry_run {
            return Ok(messages.to_vec());
        }
        let plan = plan::pop3(messages, &self.job.known.uidls);
        if let Some(how) = &plan.reused {
            let text = format!("{}: {how}: unique-ids were reused, so every message is fetched anew", self.job.account.name);
            self.job.find("reused", text)?;
        }
        let (all, new) = (volume(messages), volume(&plan.wanted));
        let already = Volume { messages: all.messages - new.messages, bytes: all.bytes - new.bytes };
        let names = plan.wanted.iter().map(|message| message.uidl.to_string()).collect();
        self.log(messages, failed, already, names)?;
        Ok(plan.wanted)
    }

    fn log(&mut self, messages: &[Listed], failed: usize, already: Volume, names: Vec<String>) -> Result<()> {
        let all = volume(messages);
        let mut listing = self.job.listing(None);
        listing.names = names;
        listing.listed = Volume { messages: all.messages + failed as u64, bytes: all.bytes };
        listing.already = already;
        self.job.log_listing(listing)
    }

    /// Fetches what is wanted; when the connection breaks, goes on with what was not handed on yet.
    fn fetch(&mut self, mut wanted: Vec<Listed>) -> Result<()> {
        while !wanted.is_empty() {
            let suspect = self.suspect.take();
            let Self { job, patience, session, by_digest, known, .. } = self;
            let mut messages = Messages { job, patience, by_digest: *by_digest, answered: HashSet::new(), known };
            let (alone, others): (Vec<Listed>, Vec<Listed>) = wanted.iter().cloned().partition(|message| Some(message) == suspect.as_ref());
            let done = session.fetch(&alone, &mut messages).and_then(|()| session.fetch(&others, &mut messages));
            let answered = messages.answered;
            wanted.retain(|message| !answered.contains(&message.number));
            match done {
                Ok(()) => return Ok(()),
                Err(error) => wanted = self.go_on(wanted, error)?,
            }
        }
        Ok(())
    }

    /// After the connection broke: connects again, and finds what is left in the maildrop as it is now.
    fn go_on(&mut self, mut left: Vec<Listed>, error: Error) -> Result<Vec<Listed>> {
        let at = self.session.broken_at().filter(|message| left.contains(message)).cloned();
        let resumed = self.connect_again(error, at.as_ref().map(place)).and_then(|()| self.list_again());
        if let Some(dropped) = at.as_ref().filter(|at| self.patience.dropped() == Some(&place(at))) {
            left.retain(|message| message != dropped);
        }
        let now = resumed.map_err(|error| self.fail_rest(&left, error))?;
        // What is in none of the lines is gone only if all of them were understood.
        let is_whole = now.failed.is_empty();
        let mut there: HashMap<(u64, Octets), Vec<Listed>> = HashMap::new();
        now.messages.into_iter().for_each(|message| there.entry(self.key(&message)).or_default().push(message));
        let mut wanted = Vec::new();
        for message in left {
            match there.get_mut(&self.key(&message)).and_then(|same| take_alike(same, message.number)) {
                Some(found) => {
                    self.suspect = self.suspect.take().or_else(|| (Some(&message) == at.as_ref()).then(|| found.clone()));
                    wanted.push(found);
                }
                None if is_whole => self.job.vanished(place(&message))?,
                None => {
                    let what = "it is not in the maildrop's listing any more, of which a part is not understood";
                    self.job.fail(Some(place(&message)), Error::new(Status::TryAgain, what), message.size)?;
                }
            }
        }
        Ok(wanted)
    }

    /// What makes a message of one session that of another. Without unique-ids it is the number; should another message have got it,
    /// the next run reads what this one missed.
    fn key(&self, message: &Listed) -> (u64, Octets) {
        (if self.by_digest { message.number } else { 0 }, message.uidl.clone())
    }

    /// Names what is left of a maildrop that can't be read on.
    fn fail_rest(&mut self, rest: &[Listed], error: Error) -> Error {
        if rest.is_empty() || self.job.is_over() || self.job.run.stopping() {
            return error;
        }
        self.job.count_failed(rest.len() as u64);
        error.about(format!("{} messages not fetched", rest.len()))
    }
}

/// Of messages that share a unique-id the one with this number, which it has kept unless others were deleted; else the last.
fn take_alike(same: &mut Vec<Listed>, number: u64) -> Option<Listed> {
    let at = same.iter().position(|message| message.number == number).or_else(|| same.len().checked_sub(1))?;
    Some(same.remove(at))
}

fn volume(messages: &[Listed]) -> Volume {
    Volume { messages: messages.len() as u64, bytes: messages.iter().filter_map(|message| message.size).sum() }
}

fn place(message: &Listed) -> Place {
    let number = || format!("message {}", message.number).as_str().into();
    Place::Pop3 { uidl: if message.uidl.as_bytes().is_empty() { number() } else { message.uidl.clone() } }
}

/// Puts the messages of the maildrop into the stream.
struct Messages<'m, 'a> {
    job: &'m mut Job<'a>,
    patience: &'m mut Patience<Place>,
    by_digest: bool,
    /// The numbers of those that the server has answered for.
    answered: HashSet<u64>,
    /// What is known, by its digest.
    known: &'m mut Volume,
}

impl Taker<Listed> for Messages<'_, '_> {
    fn message(&mut self, message: &Listed, octets: &mut Held) -> Result<()> {
        self.answered.insert(message.number);
        self.patience.progressed();
        let mut place = place(message);
        // Nothing at all is not what the message holds, and tells it apart from nothing.
        let hollow = octets.size() == 0 && message.size.is_some_and(|size| size > 0);
        if self.by_digest && !hollow {
            let uidl = Octets::from(octets.measured().1.to_string().as_str());
            if self.job.known.uidls.insert(uidl.clone(), message.size).is_some() {
                self.known.add(message.size.unwrap_or(0));
                self.job.progress.done(message.size.unwrap_or(0));
                return Ok(());
            }
            place = Place::Pop3 { uidl };
        }
        self.job.write(Facts { place, received: None, server_size: message.size, flags: Vec::new(), objects: ObjectIds::default() }, octets)
    }

    fn failed(&mut self, message: &Listed, error: Error) -> Result<()> {
        self.answered.insert(message.number);
        if self.by_digest {
            return self.job.fail(None, error.about(format!("message {}", message.number)), message.size);
        }
        self.job.fail(Some(place(message)), error, message.size)
    }

    fn waiting(&mut self) -> Result<()> {
        self.job.flush()
    }
}
