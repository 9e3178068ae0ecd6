//! One mailbox: its listing, what of it is wanted, and the messages, over this connection and, if it breaks, over later ones.

use super::Reader;
use crate::job::{Facts, Job};
use crate::known::{Known, KnownMailbox};
use crate::plan::{self, Plan};
use crate::retry::Patience;
use mdrop::error::{Error, Result, Status};
use mdrop::held::{Held, Taker};
use mdrop::identity::{Place, Uid, UidValidity};
use mdrop::net::imap::{Coming, Listed, Listing, Mailbox, Opened, Session, Wanted};
use mdrop::octets::Octets;
use mdrop::record::{ListedEmail, ObjectIds, Volume};
use mdrop::uids::UidSet;
use std::collections::BTreeMap;

/// From how many known messages on it pays to ask first which UIDs there are.
const MANY: u64 = 10_000;
/// How many ranges of UIDs are asked about by themselves; beyond, all messages are listed.
const SCATTERED: usize = 2000;

/// What a mailbox holds.
struct Contents {
    opened: Opened,
    /// All UIDs.
    uids: UidSet,
    /// What the server says of those messages it was asked about.
    listing: Listing,
    /// The octets of all messages, where they were not added up from the listing.
    bytes: Option<u64>,
}

impl Reader<'_, '_> {
    pub(super) fn read_mailbox(&mut self, mailbox: &Mailbox) -> Result<()> {
        let contents = match self.look(mailbox) {
            Ok(contents) => contents,
            Err(error) => {
                let mut unread = self.job.listing(Some(mailbox.name.clone()));
                unread.unread = Some(error.to_string());
                self.job.log_listing(unread)?;
                return Err(error);
            }
        };
        let mut planned = plan_mailbox(self.job, &mailbox.name, &contents)?;
        self.recognise(&contents, &mut planned)?;
        log(self.job, &mailbox.name, &contents, &planned)?;
        let (Planned { plan, .. }, Contents { opened, listing, .. }) = (planned, contents);
        let at = Spot { mailbox, validity: opened.uidvalidity, id: opened.mailboxid, listed: &listing.messages };
        for (uid, error) in listing.failed {
            self.job.fail(uid.map(|uid| at.place(uid)), error, None)?;
        }
        if self.job.dry_run {
            return Ok(());
        }
        self.job.progress.expect(plan.wanted.len(), plan.wanted.iter().map(|wanted| wanted.size).sum());
        self.fetch(&at, plan.wanted)
    }

    /// Leaves out what is known by its EMAILID, where nothing speaks against the server's word.
    fn recognise(&mut self, contents: &Contents, planned: &mut Planned) -> Result<()> {
        let unsure = planned.doubt.is_some() || self.job.known.emails.is_empty() || !self.session.keeps_object_ids();
        let asked: UidSet = planned.plan.wanted.iter().filter(|_| !unsure).map(|wanted| wanted.uid.0).collect();
        let (mut found, known) = (BTreeMap::new(), &self.job.known.emails);
        let told = self.session.emailids(&asked, &mut |uid, emailid| {
            if known.contains_key(&emailid) {
                found.insert(uid.0, emailid);
            }
        });
        // Whatever is not known by then is fetched, over this connection or another.
        match told {
            Err(error) if self.job.is_over() || self.job.run.stopping() => return Err(error),
            _ => planned.plan.recognise(&contents.listing.messages, found, &self.job.known.emails),
        }
        Ok(())
    }

    fn look(&mut self, mailbox: &Mailbox) -> Result<Contents> {
        loop {
            let known = &self.job.known;
            match look(&mut self.session, mailbox, known) {
                Err(error) if !self.session.is_alive() => self.connect_again(error, None)?,
                seen => return seen,
            }
        }
    }

    /// Fetches what is wanted; when the connection breaks, goes on with what was not handed on yet.
    fn fetch(&mut self, at: &Spot, mut wanted: Vec<Wanted>) -> Result<()> {
        let mut absent = UidSet::new();
        while !wanted.is_empty() {
            let suspect = self.patience.suspect().and_then(|place| at.uid(place));
            let Self { job, patience, session, .. } = self;
            let mut messages = Messages { job, patience, at, answered: UidSet::new(), absent: &mut absent };
            let done = fetch_alone_first(session, &wanted, suspect, &mut messages);
            let answered = messages.answered;
            wanted.retain(|message| !answered.contains(message.uid.0));
            let Err(error) = done else { break };
            let broken_at = self.session.broken_at().filter(|uid| wanted.iter().any(|message| message.uid == *uid));
            let again = self.connect_again(error, broken_at.map(|uid| at.place(uid)));
            let again = again.and_then(|()| self.open_again(at));
            let dropped = self.patience.dropped().and_then(|place| at.uid(place));
            wanted.retain(|message| Some(message.uid) != dropped);
            if let Err(error) = again {
                return Err(self.fail_rest(&wanted, &absent, error));
            }
        }
        self.tell_absent(at, &absent)
    }

    fn open_again(&mut self, at: &Spot) -> Result<()> {
        let opened = self.persist(&mut |session| session.examine(at.mailbox))?;
        let anew = |what: &str| Err(Error::new(Status::TryAgain, format!("{what}; the next run reads it anew")));
        match opened.uidvalidity == at.validity {
            true if opened.uids_are_not_kept => anew("the connection broke, and the server does not keep its UIDs (UIDNOTSTICKY)"),
            true => Ok(()),
            false => anew("UIDVALIDITY changed while it was read"),
        }
    }

    /// What a command that went well did not bring has usually been deleted meanwhile, which is no failure; but the server must say so.
    fn tell_absent(&mut self, at: &Spot, absent: &UidSet) -> Result<()> {
        let there = if absent.is_empty() { UidSet::new() } else { self.still_there(at, absent) };
        for uid in absent.iter() {
            let place = at.place(Uid(uid));
            if there.contains(uid) {
                self.job.fail(Some(place), Error::new(Status::TryAgain, "the server listed it and does not hand it out"), None)?;
            } else {
                self.job.vanished(place)?;
            }
        }
        Ok(())
    }

    /// Those messages that the server still has, asked on another connection if this one breaks; all of them if that can't be found out.
    fn still_there(&mut self, at: &Spot, uids: &UidSet) -> UidSet {
        let mut found = self.session.search_some(uids);
        if let Err(error) = found {
            let again = !self.session.is_alive();
            found = if again { self.connect_again(error, None).and_then(|()| self.open_again(at)) } else { Err(error) }
                .and_then(|()| self.session.search_some(uids));
        }
        found.unwrap_or_else(|_| uids.clone())
    }

    /// Names what is left of a mailbox that can't be read on, and what may be gone, which nobody can be asked now.
    fn fail_rest(&mut self, rest: &[Wanted], absent: &UidSet, error: Error) -> Error {
        let uids: UidSet = rest.iter().map(|message| message.uid.0).chain(absent.iter()).collect();
        if uids.is_empty() || self.job.is_over() || self.job.run.stopping() {
            return error;
        }
        self.job.count_failed(uids.len());
        error.about(format!("{} messages not fetched, UID {uids}", uids.len()))
    }
}

/// Asks for the message at which the last connection broke by itself: if that happens again, it is known which one it is.
fn fetch_alone_first(session: &mut Session, wanted: &[Wanted], suspect: Option<Uid>, messages: &mut Messages) -> Result<()> {
    let (alone, others): (Vec<Wanted>, Vec<Wanted>) = wanted.iter().partition(|message| Some(message.uid) == suspect);
    session.fetch(&alone, messages)?;
    session.fetch(&others, messages)
}

/// Opens a mailbox and lists it: of many known messages only which UIDs there are, and what is new or a sample of what is known.
fn look(session: &mut Session, mailbox: &Mailbox, known: &Known) -> Result<Contents> {
    let all = |opened: Opened, listing: Listing| Contents { opened, uids: uids_of(&listing).collect(), listing, bytes: None };
    if known.most(&mailbox.name) < MANY {
        return session.examine_and_list(mailbox).map(|(opened, listing)| all(opened, listing));
    }
    let opened = session.examine(mailbox)?;
    if opened.exists == 0 {
        return Ok(all(opened, Listing::default()));
    }
    let known = known.of(&mailbox.name, opened.uidvalidity).filter(|known| known.uids.len() >= MANY && !opened.uids_are_not_kept);
    let brief = known.map(|known| look_briefly(session, mailbox, opened.clone(), known)).transpose()?.flatten();
    brief.map_or_else(|| session.list_messages().map(|listing| all(opened, listing)), Ok)
}

/// None where the server's answers are no basis for that.
fn look_briefly(session: &mut Session, mailbox: &Mailbox, opened: Opened, known: &KnownMailbox) -> Result<Option<Contents>> {
    let there = match session.search_all() {
        Ok(there) => there,
        Err(error) if !session.is_alive() => return Err(error),
        Err(_) => return Ok(None),
    };
    let asked = plan::worth_asking(&there, known);
    if asked.ranges().len() > SCATTERED {
        return Ok(None);
    }
    let mut listing = session.list_some(&asked)?;
    // What was found and is not listed is gone, or kept back; another message that came in between must not hide that.
    let missing = asked.without(&uids_of(&listing).collect());
    if !missing.is_empty() {
        let kept_back = || Error::new(Status::TryAgain, "the server finds it and does not list it");
        listing.failed.extend(session.search_some(&missing)?.iter().map(|uid| (Some(Uid(uid)), kept_back())));
    }
    if plan::reuse(known, &listing.messages).is_some() {
        return Ok(None);
    }
    let bytes = session.octets(mailbox)?;
    let uids = there.common(&known.uids).iter().chain(uids_of(&listing)).collect();
    Ok(Some(Contents { opened, uids, listing, bytes: Some(bytes.unwrap_or(0)) }))
}

fn uids_of(listing: &Listing) -> impl Iterator<Item = u32> {
    listing.messages.iter().map(|message| message.uid).chain(listing.failed.iter().filter_map(|(uid, _)| *uid)).map(|uid| uid.0)
}

/// What was decided of a mailbox.
#[derive(Default)]
struct Planned {
    plan: Plan<Wanted>,
    /// By which name it is known, where it was renamed.
    renamed: Option<Octets>,
    /// Why its listing is no basis to conclude that messages were moved.
    doubt: Option<String>,
}

fn plan_mailbox(job: &mut Job, mailbox: &Octets, contents: &Contents) -> Result<Planned> {
    let about = job.about(mailbox);
    let Contents { opened, uids, listing, .. } = contents;
    let told = uids.len() + unnamed(listing);
    let mut planned = Planned::default();
    if told < u64::from(opened.exists) {
        // Some may have been expunged meanwhile; one that the server keeps back must not go unnoticed.
        let what = format!("the server says that there are {} messages and lists {told}", opened.exists);
        planned.doubt = Some(what.clone());
        job.fail_mailbox(mailbox, Error::new(Status::TryAgain, what))?;
    }
    if opened.uids_are_not_kept {
        planned.doubt = Some("the server does not keep its UIDs (UIDNOTSTICKY)".into());
        job.find("reused", format!("{about}: the server does not keep its UIDs (UIDNOTSTICKY): every message is fetched anew"))?;
        planned.plan = plan::imap(uids, &listing.messages, None);
        return Ok(planned);
    }
    let renamed = job.known.renamed(mailbox, opened.uidvalidity, opened.mailboxid.as_deref());
    planned.renamed = renamed.map(|(before, _)| before.clone());
    if let Some(before) = &planned.renamed {
        job.find("renamed", format!("{about}: was {before}, as its MAILBOXID says"))?;
    } else if let Some(UidValidity(before)) = job.known.other_generation(mailbox, opened.uidvalidity) {
        let now = opened.uidvalidity.0;
        job.find("changed", format!("{about}: UIDVALIDITY was {before} and is {now}: every message is fetched anew"))?;
    }
    let known_as = planned.renamed.as_ref().unwrap_or(mailbox);
    let mut plan = plan::imap(uids, &listing.messages, job.known.of(known_as, opened.uidvalidity));
    // What the server does not tell about is a failure, and in the books nothing else.
    plan.known = plan.known.without(&listing.failed.iter().filter_map(|(uid, _)| *uid).map(|uid| uid.0).collect());
    if let Some(how) = &plan.reused {
        planned.doubt = Some(format!("{how}: UIDs were reused"));
        planned.renamed = None;
        job.find("reused", format!("{about}: {how}: UIDs were reused, so every message is fetched anew"))?;
    }
    planned.plan = plan;
    Ok(planned)
}

/// How many messages a listing has of which not even the UID is known.
fn unnamed(listing: &Listing) -> u64 {
    listing.failed.iter().filter(|(uid, _)| uid.is_none()).count() as u64
}

fn log(job: &mut Job, mailbox: &Octets, contents: &Contents, planned: &Planned) -> Result<()> {
    let plan = &planned.plan;
    let messages = &contents.listing.messages;
    let sum = |messages: &mut dyn Iterator<Item = &Listed>| messages.filter_map(|message| message.size).sum::<u64>();
    let new = sum(&mut messages.iter().filter(|message| !plan.known.contains(message.uid.0) && !plan.emails.contains_key(&message.uid.0)));
    let bytes = contents.bytes.unwrap_or_else(|| sum(&mut messages.iter())).max(new);
    let mut listing = job.listing(Some(mailbox.clone()));
    listing.uidvalidity = Some(contents.opened.uidvalidity);
    listing.uids = contents.uids.clone();
    listing.known = plan.known.clone();
    listing.listed = Volume { messages: listing.uids.len() + unnamed(&contents.listing), bytes };
    listing.already = Volume { messages: plan.known.len() + plan.emails.len() as u64, bytes: bytes - new };
    listing.mailboxid.clone_from(&contents.opened.mailboxid);
    listing.renamed.clone_from(&planned.renamed);
    listing.emails = plan.emails.iter().map(|(uid, emailid)| ListedEmail { uid: *uid, emailid: emailid.clone() }).collect();
    listing.doubt.clone_from(&planned.doubt);
    job.log_listing(listing)
}

/// A mailbox that is being read.
struct Spot<'s> {
    mailbox: &'s Mailbox,
    validity: UidValidity,
    /// What the server calls it.
    id: Option<String>,
    listed: &'s [Listed],
}

impl Spot<'_> {
    fn place(&self, uid: Uid) -> Place {
        Place::Imap { mailbox: self.mailbox.name.clone(), uidvalidity: self.validity, uid }
    }

    /// The UID of a place in this mailbox.
    fn uid(&self, place: &Place) -> Option<Uid> {
        match place {
            Place::Imap { uid, .. } if *place == self.place(*uid) => Some(*uid),
            _ => None,
        }
    }

    fn listed(&self, uid: Uid) -> Option<&Listed> {
        let at = self.listed.binary_search_by_key(&uid, |message| message.uid).ok()?;
        self.listed.get(at)
    }
}

/// Puts the messages of one mailbox into the stream.
struct Messages<'m, 'a> {
    job: &'m mut Job<'a>,
    patience: &'m mut Patience<Place>,
    at: &'m Spot<'m>,
    /// The UIDs of which the server has said all that it will.
    answered: UidSet,
    /// Those it was asked for and passed over.
    absent: &'m mut UidSet,
}

impl Taker<Coming> for Messages<'_, '_> {
    fn message(&mut self, Coming { uid, emailid }: &Coming, octets: &mut Held) -> Result<()> {
        let listed = self.at.listed(*uid);
        let facts = Facts {
            place: self.at.place(*uid),
            received: listed.and_then(|message| message.received),
            server_size: listed.and_then(|message| message.size),
            flags: listed.map(|message| message.flags.to_vec()).unwrap_or_default(),
            objects: ObjectIds { emailid: emailid.clone(), mailboxid: self.at.id.clone() },
        };
        self.answered.insert(uid.0);
        self.patience.progressed();
        self.job.write(facts, octets)
    }

    fn failed(&mut self, Coming { uid, .. }: &Coming, error: Error) -> Result<()> {
        self.answered.insert(uid.0);
        let size = self.at.listed(*uid).and_then(|message| message.size);
        self.job.fail(Some(self.at.place(*uid)), error, size)
    }

    fn absent(&mut self, Coming { uid, .. }: &Coming) -> Result<()> {
        self.answered.insert(uid.0);
        self.absent.insert(uid.0);
        Ok(())
    }

    fn waiting(&mut self) -> Result<()> {
        self.job.flush()
    }
}
