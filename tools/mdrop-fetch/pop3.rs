//! Fetching over POP3: one maildrop, by unique-id, and never a DELE.

use crate::job::{Facts, Job};
use crate::plan;
use mdrop::error::{Error, Result, Status};
use mdrop::held::{Held, Taker};
use mdrop::identity::Place;
use mdrop::net::pop3::{Listed, Session};
use mdrop::net::secret;
use mdrop::record::Volume;

/// Reads the maildrop.
pub fn read(job: &mut Job) -> Result<()> {
    let secret = secret::of(job.profile)?;
    let account = &job.profile.account;
    let mut session = Session::connect(account, &secret, &mut |step, facts| job.run.detail(&format!("{step}: {facts}")))?;
    job.warn_unverified(session.tls().as_ref())?;
    let about = |e: Error| e.about(&job.account.name);
    let listing = session.list().map_err(about)?;
    let plan = plan::pop3(&listing.messages, &job.known.uidls);
    if let Some(how) = &plan.reused {
        job.find("reused", format!("{}: {how}: unique-ids were reused, so every message is fetched anew", job.account.name))?;
    }
    log(job, &listing.messages, listing.failed.len(), &plan.wanted)?;
    for (number, error) in listing.failed {
        job.fail(None, error.about(format!("message {number}")), None)?;
    }
    if !job.dry_run && !plan.wanted.is_empty() {
        job.progress.expect(plan.wanted.len(), plan.wanted.iter().filter_map(|message| message.size).sum());
        let fetched = session.fetch(&plan.wanted, &mut Messages { job });
        fetched.map_err(|e| if e.status() == Status::TryAgain { e } else { e.about(&job.account.name) })?;
    }
    session.quit().or(Ok(()))
}

fn log(job: &mut Job, listed: &[Listed], failed: usize, wanted: &[Listed]) -> Result<()> {
    let volume = |messages: &[Listed]| {
        let bytes = messages.iter().filter_map(|message| message.size).sum();
        Volume { messages: messages.len() as u64, bytes }
    };
    let (all, new) = (volume(listed), volume(wanted));
    let mut listing = job.listing(None);
    listing.names = wanted.iter().map(|message| message.uidl.to_string()).collect();
    listing.listed = Volume { messages: all.messages + failed as u64, bytes: all.bytes };
    listing.already = Volume { messages: all.messages - new.messages, bytes: all.bytes - new.bytes };
    job.log_listing(listing)
}

/// Puts the messages of the maildrop into the stream.
struct Messages<'j, 'a> {
    job: &'j mut Job<'a>,
}

fn place(message: &Listed) -> Place {
    Place::Pop3 { uidl: message.uidl.clone() }
}

impl Taker<Listed> for Messages<'_, '_> {
    fn message(&mut self, message: &Listed, octets: &mut Held) -> Result<()> {
        let facts = Facts { place: place(message), received: None, server_size: message.size, flags: Vec::new() };
        self.job.write(facts, octets)
    }

    fn failed(&mut self, message: &Listed, error: Error) -> Result<()> {
        self.job.fail(Some(place(message)), error, message.size)
    }

    fn waiting(&mut self) -> Result<()> {
        self.job.flush()
    }
}
