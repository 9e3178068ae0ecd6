//! Deleting over IMAP: marks exactly the copies that were compared, and expunges exactly those.

use crate::Job;
use crate::decide::{Seen, differs};
use mdrop::error::{Error, Result};
use mdrop::held::{Held, Taker};
use mdrop::identity::{Digest, Place, UidValidity};
use mdrop::net::imap::{Coming, Listed, Mailbox, Namespaces, Opened, Session, Wanted};
use mdrop::net::secret;
use mdrop::octets::Octets;
use mdrop::profile::Compare;
use mdrop::record::{Purged, Receipt};
use mdrop::uids::UidSet;
use std::collections::{BTreeMap, HashMap};

/// How many UIDs one command names: a line stays below what servers accept.
const BATCH: usize = 500;

type Copies = BTreeMap<u32, Receipt>;

/// Deletes what may go, mailbox by mailbox.
pub fn purge(job: &mut Job, proved: Vec<Receipt>) -> Result<()> {
    let mut mailboxes: BTreeMap<(Octets, UidValidity), Copies> = BTreeMap::new();
    for receipt in proved {
        if let Place::Imap { mailbox, uidvalidity, uid } = receipt.origin.place.clone() {
            mailboxes.entry((mailbox, uidvalidity)).or_default().insert(uid.0, receipt);
        }
    }
    let secret = secret::of(job.profile)?;
    let account = &job.profile.account;
    let mut session = Session::connect(account, &secret, &mut |step, facts| job.run.detail(&format!("{step}: {facts}")))?;
    mdrop::net::unverified(&account.host, session.tls().as_ref()).map_or(Ok(()), |finding| job.run.find(finding))?;
    let (listed, spaces) = session.mailboxes()?;
    for ((name, uidvalidity), copies) in mailboxes {
        if job.run.stopping() {
            return Err(mdrop::interrupt::error());
        }
        let about = format!("{}/{name}", job.profile.name);
        match open(&mut session, &listed.all, &spaces, (&name, uidvalidity), job.writer.is_some()) {
            Ok(Ok(opened)) => purge_mailbox(job, &mut session, &opened, copies).map_err(|e| e.about(&about))?,
            Ok(Err(why)) => copies.values().try_for_each(|receipt| job.keep(receipt, why.clone()))?,
            Err(e) => return Err(e.about(&about)),
        }
    }
    session.logout();
    Ok(())
}

/// A mailbox opened for deleting, or why nothing in it may be deleted.
type Deletable = std::result::Result<Opened, String>;

fn open(
    session: &mut Session,
    listed: &[Mailbox],
    spaces: &Namespaces,
    (name, uidvalidity): (&Octets, UidValidity),
    for_deleting: bool,
) -> Result<Deletable> {
    let Some(mailbox) = listed.iter().find(|mailbox| mailbox.name == *name) else {
        return Ok(Err("the mailbox is not there".into()));
    };
    if spaces.is_foreign(name) {
        return Ok(Err("the mailbox is not in the personal namespace".into()));
    }
    // Even SELECT changes something: it takes \Recent away.
    let opened = if for_deleting { session.select(mailbox)? } else { session.examine(mailbox)? };
    Ok(if for_deleting && opened.read_only {
        Err("the server opens the mailbox for reading only".into())
    } else if opened.uids_are_not_kept {
        Err("the server does not keep its UIDs".into())
    } else if opened.uidvalidity != uidvalidity {
        Err(format!("UIDVALIDITY was {} and is {}", uidvalidity.0, opened.uidvalidity.0))
    } else {
        Ok(opened)
    })
}

fn purge_mailbox(job: &mut Job, session: &mut Session, opened: &Opened, copies: Copies) -> Result<()> {
    let (seen, gone) = look(job, session, &copies)?;
    let mut chosen = Copies::new();
    for (uid, receipt) in copies {
        match seen.get(&uid) {
            None if gone.contains(uid) => job.record(&[(receipt, Purged::Gone, None)])?,
            None => job.keep(&receipt, "the server's listing of it is not understood".into())?,
            Some(seen) => match differs(&receipt, seen, job.compare) {
                Some(why) => job.keep(&receipt, why)?,
                None => drop(chosen.insert(uid, receipt)),
            },
        }
    }
    if let Some(why) = cannot_expunge(job, session, &chosen)? {
        return chosen.values().try_for_each(|receipt| job.keep(receipt, why.clone()));
    }
    let receipts: Vec<Receipt> = chosen.values().cloned().collect();
    if job.intend(&receipts)? { delete(job, session, opened, &chosen) } else { Ok(()) }
}

/// What the server says of the copies now, and which of them are gone.
fn look(job: &Job, session: &mut Session, copies: &Copies) -> Result<(HashMap<u32, Seen>, UidSet)> {
    let mut listed: Vec<Listed> = Vec::new();
    let mut unclear = false;
    for batch in batches(copies) {
        let listing = session.list_some(&batch)?;
        listed.extend(listing.messages);
        unclear |= !listing.failed.is_empty();
    }
    let mut seen: HashMap<u32, Seen> = HashMap::new();
    for message in listed.iter().filter(|message| copies.contains_key(&message.uid.0)) {
        let flagged = message.flags.iter().any(|flag| flag.eq_ignore_ascii_case("\\Flagged"));
        seen.insert(message.uid.0, Seen { size: message.size, flagged, digest: None });
    }
    if job.compare == Compare::Full {
        let wanted: Vec<Wanted> = listed.iter().map(|message| Wanted { uid: message.uid, size: message.size.unwrap_or(0) }).collect();
        session.fetch(&wanted, &mut Compared(&mut seen))?;
    }
    // Where a line of the listing was not understood, a copy that is not seen may still be there.
    let gone = copies.keys().copied().filter(|uid| !seen.contains_key(uid) && !unclear).collect();
    Ok((seen, gone))
}

/// Notes the digest of each message that is handed out again.
struct Compared<'a>(&'a mut HashMap<u32, Seen>);

impl Taker<Coming> for Compared<'_> {
    fn message(&mut self, Coming { uid, .. }: &Coming, octets: &mut Held) -> Result<()> {
        let digest: Digest = octets.measured().1;
        if let Some(seen) = self.0.get_mut(&uid.0) {
            seen.digest = Some(digest);
        }
        Ok(())
    }

    /// Without a digest it is kept.
    fn failed(&mut self, _: &Coming, _: Error) -> Result<()> {
        Ok(())
    }
}

/// Why this server can't delete exactly what is chosen. Plain EXPUNGE takes whatever is marked, so nothing else may be.
fn cannot_expunge(job: &Job, session: &mut Session, chosen: &Copies) -> Result<Option<String>> {
    if session.offers("UIDPLUS") || session.offers("IMAP4REV2") || chosen.is_empty() {
        return Ok(None);
    }
    if !job.profile.purge.plain_expunge {
        let why = "the server lacks UIDPLUS, so others' marked messages could go along; plain-expunge = true would accept that";
        return Ok(Some(why.into()));
    }
    let others = session.search_deleted()?.iter().filter(|uid| !chosen.contains_key(uid)).count();
    Ok((others > 0).then(|| format!("the server lacks UIDPLUS, and {others} other messages are marked as deleted")))
}

/// Deletes batch by batch, and records what became of each copy. After an error the rest is left; its intents stand
/// without an outcome, and the next run finds out.
fn delete(job: &mut Job, session: &mut Session, opened: &Opened, chosen: &Copies) -> Result<()> {
    let unchanged_since = opened.highest_modseq.filter(|_| session.offers("CONDSTORE"));
    for batch in batches(chosen) {
        if job.run.stopping() {
            return Err(mdrop::interrupt::error());
        }
        let deleted = delete_batch(session, &batch, unchanged_since);
        let outcome = |uid: u32| match &deleted {
            Ok(kept) => kept.get(&uid).map_or((Purged::Purged, None), |why| (Purged::Kept, Some(why.clone()))),
            Err(e) if session.is_alive() => (Purged::Kept, Some(e.to_string())),
            Err(e) => (Purged::Unknown, Some(e.to_string())),
        };
        let copies = chosen.iter().filter(|(uid, _)| batch.contains(**uid));
        let outcomes: Vec<_> = copies.map(|(uid, receipt)| (receipt.clone(), outcome(*uid))).map(|(r, (p, why))| (r, p, why)).collect();
        job.record(&outcomes)?;
        if let Err(e) = deleted {
            return if session.is_alive() { Ok(()) } else { Err(e) };
        }
    }
    Ok(())
}

/// Marks, expunges and looks again; returns why for each copy that is still there, or may be.
fn delete_batch(session: &mut Session, batch: &UidSet, unchanged_since: Option<u64>) -> Result<HashMap<u32, String>> {
    let stored = session.uid_store_deleted(batch, unchanged_since)?;
    let (marked, unmarked): (Vec<u32>, Vec<u32>) = batch.iter().partition(|uid| stored.deleted.contains(*uid));
    let why = |uid: &u32| if stored.modified.contains(*uid) { "it was changed meanwhile" } else { "the server did not confirm its mark" };
    let mut kept: HashMap<u32, String> = unmarked.iter().map(|uid| (*uid, why(uid).to_owned())).collect();
    let marked: UidSet = marked.into_iter().collect();
    let untouched = take_back(session, &unmarked.into_iter().filter(|uid| !stored.modified.contains(*uid)).collect());
    if untouched.is_err() && session.is_alive() {
        take_back(session, &marked)?;
    }
    untouched?;
    if marked.is_empty() {
        return Ok(kept);
    }
    let left = expunge(session, &marked).and_then(|()| still_there(session, &marked));
    if left.is_err() && session.is_alive() {
        take_back(session, &marked)?;
    }
    let left = left?;
    kept.extend(left.iter().map(|uid| (uid, "the server did not expunge it".to_owned())));
    take_back(session, &left)?;
    Ok(kept)
}

/// Expunges exactly `marked`. Without UIDPLUS that holds only if nothing else is marked, which is asked once more right before.
fn expunge(session: &mut Session, marked: &UidSet) -> Result<()> {
    if session.offers("UIDPLUS") || session.offers("IMAP4REV2") {
        return session.uid_expunge(marked).map(drop);
    }
    if session.search_deleted()?.iter().all(|uid| marked.contains(uid)) {
        return session.expunge().map(drop);
    }
    Ok(())
}

fn still_there(session: &mut Session, uids: &UidSet) -> Result<UidSet> {
    let listing = session.list_some(uids)?;
    if let Some((_, error)) = listing.failed.into_iter().next() {
        return Err(error);
    }
    Ok(listing.messages.iter().map(|message| message.uid.0).filter(|uid| uids.contains(*uid)).collect())
}

/// Leaves no mark on a copy that stays.
fn take_back(session: &mut Session, uids: &UidSet) -> Result<()> {
    if uids.is_empty() { Ok(()) } else { session.uid_store_undeleted(uids) }
}

/// The UIDs in parts that fit a command line.
fn batches(copies: &Copies) -> Vec<UidSet> {
    let uids: Vec<u32> = copies.keys().copied().collect();
    uids.chunks(BATCH).map(|batch| batch.iter().copied().collect()).collect()
}
