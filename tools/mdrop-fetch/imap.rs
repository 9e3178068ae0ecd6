//! Fetching over IMAP: mailbox by mailbox, each with EXAMINE, so that nothing changes on the server.

use crate::job::{Facts, Job};
use crate::plan::{self, Plan};
use crate::select;
use mdrop::error::{Error, Result, Status};
use mdrop::held::{Held, Taker};
use mdrop::identity::{Place, Uid, UidValidity};
use mdrop::net::imap::{Listed, Listing, Mailbox, Opened, Session, Wanted};
use mdrop::net::secret;
use mdrop::octets::Octets;
use mdrop::record::Volume;

/// Reads every mailbox that the profile names.
pub fn read(job: &mut Job) -> Result<()> {
    let secret = secret::of(job.profile)?;
    let account = &job.profile.account;
    let mut session = Session::connect(account, &secret, &mut |step, facts| job.run.detail(&format!("{step}: {facts}")))?;
    job.warn_unverified(session.tls().as_ref())?;
    let about = |e: Error| e.about(&job.account.name);
    let mailboxes = session.mailboxes().map_err(about)?;
    let spaces = session.namespaces().map_err(about)?;
    for mailbox in &mailboxes {
        let unread = select::unread(mailbox, &spaces, &account.mailboxes, &account.exclude);
        match unread {
            Some(why) => leave(job, &mut session, mailbox, why)?,
            None if session.is_alive() => read_one(job, &mut session, mailbox)?,
            None => leave(job, &mut session, mailbox, "the connection was lost before".into())?,
        }
    }
    name_missing(job, &mailboxes)?;
    session.logout();
    Ok(())
}

/// A name in the profile that no mailbox has is a mistake, or a mailbox that vanished.
fn name_missing(job: &mut Job, mailboxes: &[Mailbox]) -> Result<()> {
    let names = job.profile.account.mailboxes.iter().filter(|pattern| !pattern.contains(['*', '%']));
    for name in names.filter(|name| !mailboxes.iter().any(|mailbox| select::covers(name, mailbox))) {
        job.fail_mailbox(&name.as_str().into(), Error::new(Status::NoInput, "no such mailbox"))?;
    }
    Ok(())
}

/// Logs a mailbox that is not read, with its count where the server tells it.
fn leave(job: &mut Job, session: &mut Session, mailbox: &Mailbox, why: String) -> Result<()> {
    let mut listing = job.listing(Some(mailbox.name.clone()));
    let closed = mailbox.is("\\noselect") || mailbox.is("\\nonexistent");
    if let Some(totals) = (!closed && session.is_alive()).then(|| session.status(mailbox).ok()).flatten() {
        listing.listed = Volume { messages: totals.messages, bytes: totals.bytes.unwrap_or(0) };
    }
    job.run.detail(&format!("{}: not read: {why}", job.about(&mailbox.name)));
    listing.unread = Some(why);
    job.log_listing(listing)
}

fn read_one(job: &mut Job, session: &mut Session, mailbox: &Mailbox) -> Result<()> {
    match read_mailbox(job, session, mailbox) {
        Err(error) if !job.is_over() && !job.run.stopping() => job.fail_mailbox(&mailbox.name, error),
        done => done,
    }
}

fn read_mailbox(job: &mut Job, session: &mut Session, mailbox: &Mailbox) -> Result<()> {
    let listed = session.examine(mailbox).and_then(|opened| {
        let listing = if opened.exists == 0 { Ok(Listing::default()) } else { session.list_messages() };
        listing.map(|listing| (opened, listing))
    });
    let (opened, listing) = match listed {
        Ok(listed) => listed,
        Err(error) => {
            let mut unread = job.listing(Some(mailbox.name.clone()));
            unread.unread = Some(error.to_string());
            job.log_listing(unread)?;
            return Err(error);
        }
    };
    let plan = plan_mailbox(job, &mailbox.name, &opened, &listing.messages)?;
    let failed: Vec<Option<Uid>> = listing.failed.iter().map(|(uid, _)| *uid).collect();
    log(job, &mailbox.name, opened.uidvalidity, &listing.messages, &failed, &plan)?;
    let told = listing.messages.len() + listing.failed.len();
    if told < opened.exists as usize {
        // Some may have been expunged meanwhile; one that the server keeps back must not go unnoticed.
        let what = format!("the server says that there are {} messages and lists {told}", opened.exists);
        job.fail_mailbox(&mailbox.name, Error::new(Status::TryAgain, what))?;
    }
    for (uid, error) in listing.failed {
        let place = uid.map(|uid| place(&mailbox.name, opened.uidvalidity, uid));
        job.fail(place, error, None)?;
    }
    if job.dry_run || plan.wanted.is_empty() {
        return Ok(());
    }
    job.progress.expect(plan.wanted.len(), plan.wanted.iter().map(|wanted| wanted.size).sum());
    let mut messages = Messages { job, mailbox: &mailbox.name, uidvalidity: opened.uidvalidity, listed: &listing.messages };
    session.fetch(&plan.wanted, &mut messages)
}

fn place(mailbox: &Octets, uidvalidity: UidValidity, uid: Uid) -> Place {
    Place::Imap { mailbox: mailbox.clone(), uidvalidity, uid }
}

fn plan_mailbox(job: &mut Job, mailbox: &Octets, opened: &Opened, listed: &[Listed]) -> Result<Plan<Wanted>> {
    let about = job.about(mailbox);
    if opened.uids_are_not_kept {
        job.find("reused", format!("{about}: the server does not keep its UIDs (UIDNOTSTICKY): every message is fetched anew"))?;
        return Ok(plan::imap(listed, None));
    }
    if let Some(UidValidity(before)) = job.known.other_generation(mailbox, opened.uidvalidity) {
        let now = opened.uidvalidity.0;
        job.find("changed", format!("{about}: UIDVALIDITY was {before} and is {now}: every message is fetched anew"))?;
    }
    let plan = plan::imap(listed, job.known.of(mailbox, opened.uidvalidity));
    if let Some(how) = &plan.reused {
        job.find("reused", format!("{about}: {how}: UIDs were reused, so every message is fetched anew"))?;
    }
    Ok(plan)
}

fn log(
    job: &mut Job,
    mailbox: &Octets,
    validity: UidValidity,
    listed: &[Listed],
    failed: &[Option<Uid>],
    plan: &Plan<Wanted>,
) -> Result<()> {
    let mut listing = job.listing(Some(mailbox.clone()));
    listing.uidvalidity = Some(validity);
    listing.uids = listed.iter().map(|message| message.uid.0).chain(failed.iter().flatten().map(|uid| uid.0)).collect();
    let unnamed = failed.iter().filter(|uid| uid.is_none()).count() as u64;
    listing.known = plan.known.clone();
    let bytes = |messages: &mut dyn Iterator<Item = &Listed>| messages.filter_map(|message| message.size).sum();
    let known = &mut listed.iter().filter(|message| plan.known.contains(message.uid.0));
    listing.listed = Volume { messages: listing.uids.len() + unnamed, bytes: bytes(&mut listed.iter()) };
    listing.already = Volume { messages: plan.known.len(), bytes: bytes(known) };
    job.log_listing(listing)
}

/// Puts the messages of one mailbox into the stream.
struct Messages<'j, 'a> {
    job: &'j mut Job<'a>,
    mailbox: &'j Octets,
    uidvalidity: UidValidity,
    listed: &'j [Listed],
}

impl Messages<'_, '_> {
    fn listed(&self, uid: Uid) -> Option<&Listed> {
        let at = self.listed.binary_search_by_key(&uid, |message| message.uid).ok()?;
        self.listed.get(at)
    }
}

impl Taker<Uid> for Messages<'_, '_> {
    fn message(&mut self, uid: &Uid, octets: &mut Held) -> Result<()> {
        let listed = self.listed(*uid);
        let claimed = listed.and_then(|message| message.size);
        if octets.size() == 0 && claimed.is_some_and(|size| size > 0) {
            let what = "the server hands out nothing for it, though it claims that there is something";
            return self.failed(uid, Error::new(Status::TryAgain, what));
        }
        let facts = Facts {
            place: place(self.mailbox, self.uidvalidity, *uid),
            received: listed.and_then(|message| message.received),
            server_size: listed.and_then(|message| message.size),
            flags: listed.map(|message| message.flags.to_vec()).unwrap_or_default(),
        };
        self.job.write(facts, octets)
    }

    fn failed(&mut self, uid: &Uid, error: Error) -> Result<()> {
        let size = self.listed(*uid).and_then(|message| message.size);
        self.job.fail(Some(place(self.mailbox, self.uidvalidity, *uid)), error, size)
    }

    fn waiting(&mut self) -> Result<()> {
        self.job.flush()
    }
}
