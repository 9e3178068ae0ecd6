//! Deleting over POP3: in one session the copies are handed out again, compared, marked with DELE, and go with a clean QUIT.
//! Without that QUIT the server deletes nothing (RFC 1939 section 6).

use crate::Job;
use crate::decide::{Seen, differs};
use mdrop::error::{Error, Result};
use mdrop::held::{Held, Taker};
use mdrop::identity::{Digest, Place};
use mdrop::net::pop3::{Listed, Session};
use mdrop::net::secret;
use mdrop::octets::Octets;
use mdrop::profile::Compare;
use mdrop::record::{Purged, Receipt};
use std::collections::{HashMap, HashSet};

/// Deletes what may go.
pub fn purge(job: &mut Job, proved: Vec<Receipt>) -> Result<()> {
    let secret = secret::of(job.profile)?;
    let account = &job.profile.account;
    let mut session = Session::connect(account, &secret, &mut |step, facts| job.run.detail(&format!("{step}: {facts}")))?;
    mdrop::net::unverified(&account.host, session.tls().as_ref()).map_or(Ok(()), |finding| job.run.find(finding))?;
    let done = purge_maildrop(job, &mut session, proved).map_err(|e| e.about(&job.profile.name))?;
    let Some((chosen, refused)) = done else { return session.quit().or(Ok(())) };
    // Whether the marked ones went, only the answer to QUIT tells.
    let ended = session.quit();
    let outcomes = chosen.into_iter().map(|receipt| match (refused.get(&receipt.origin.place), &ended) {
        (Some(why), _) => (receipt, Purged::Kept, Some(why.clone())),
        (None, Ok(())) => (receipt, Purged::Purged, None),
        (None, Err(e)) => (receipt, Purged::Unknown, Some(e.to_string())),
    });
    job.record(&outcomes.collect::<Vec<_>>())?;
    ended.map_err(|e| e.about(&job.profile.name))
}

/// What was marked, and which of it the server refused to mark.
type Marked = (Vec<Receipt>, HashMap<Place, String>);

/// Compares and marks; none if there is nothing to delete.
fn purge_maildrop(job: &mut Job, session: &mut Session, proved: Vec<Receipt>) -> Result<Option<Marked>> {
    let listing = session.list()?;
    let mut shared: HashSet<Octets> = HashSet::new();
    let mut listed: HashMap<Octets, Listed> = HashMap::new();
    for message in listing.messages {
        let uidl = message.uidl.clone();
        if listed.insert(uidl.clone(), message).is_some() {
            shared.insert(uidl);
        }
    }
    let uidl = |receipt: &Receipt| if let Place::Pop3 { uidl } = &receipt.origin.place { listed.get(uidl) } else { None };
    // Where the server's listing was not understood, a copy that is not seen may still be there.
    let unclear = !listing.failed.is_empty();
    let (there, missing): (Vec<Receipt>, Vec<Receipt>) = proved.into_iter().partition(|receipt| uidl(receipt).is_some());
    for receipt in missing {
        if unclear {
            job.keep(&receipt, "the server's listing is not understood".into())?;
        } else {
            job.record(&[(receipt, Purged::Gone, None)])?;
        }
    }
    let digests = hand_out_again(job, session, there.iter().filter_map(uidl))?;
    let mut chosen = Vec::new();
    for receipt in there {
        let Some(message) = uidl(&receipt) else { continue };
        if job.compare != Compare::Full && shared.contains(&message.uidl) {
            job.keep(
                &receipt,
                "the server gives its unique-id to another message too, and only compare = \"full\" can tell which it is".into(),
            )?;
            continue;
        }
        let seen = Seen { size: message.size, flagged: false, digest: digests.get(&message.number).copied() };
        match differs(&receipt, &seen, job.compare) {
            Some(why) => job.keep(&receipt, why)?,
            None => chosen.push((message.number, receipt)),
        }
    }
    let receipts: Vec<Receipt> = chosen.iter().map(|(_, receipt)| receipt.clone()).collect();
    if !job.intend(&receipts)? {
        return Ok(None);
    }
    mark(job, session, &chosen).map(|refused| Some((receipts, refused)))
}

/// The digest of each message, by its number in this session, as the server hands it out now.
fn hand_out_again<'a>(job: &Job, session: &mut Session, messages: impl Iterator<Item = &'a Listed>) -> Result<HashMap<u64, Digest>> {
    let mut digests = Digests(HashMap::new());
    if job.compare == Compare::Full {
        let wanted: Vec<Listed> = messages.cloned().collect();
        session.fetch(&wanted, &mut digests)?;
    }
    Ok(digests.0)
}

struct Digests(HashMap<u64, Digest>);

impl Taker<Listed> for Digests {
    fn message(&mut self, message: &Listed, octets: &mut Held) -> Result<()> {
        self.0.insert(message.number, octets.measured().1);
        Ok(())
    }

    /// Without a digest it is kept.
    fn failed(&mut self, _: &Listed, _: Error) -> Result<()> {
        Ok(())
    }
}

fn mark(job: &Job, session: &mut Session, chosen: &[(u64, Receipt)]) -> Result<HashMap<Place, String>> {
    let mut refused = HashMap::new();
    for (number, receipt) in chosen {
        if job.run.stopping() {
            // Given up before QUIT, the session deletes nothing.
            return Err(mdrop::interrupt::error());
        }
        match session.dele(*number) {
            Ok(()) => {}
            Err(e) if session.is_alive() => drop(refused.insert(receipt.origin.place.clone(), e.to_string())),
            Err(e) => return Err(e),
        }
    }
    Ok(refused)
}
