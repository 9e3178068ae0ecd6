//! What a commit records of each arrival, and what it answers: decided under the lock, from the index and what this commit has met so far.

use crate::archive::index::{Held, OriginState, message_id_key};
use crate::archive::pack::Place;
use crate::archive::segment::SegmentHeader;
use crate::archive::{Archive, Arrival, Quoted};
use crate::error::{Error, Result, Status};
use crate::identity::{Digest, Fingerprint};
use crate::record::{CATCHALL, Filing, Outcome, Receipt, Record, Refiling, Refusal, Role, V1};
use crate::stream::{Journal, Routing};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// What was decided of an arrival before it came here.
pub(super) fn routing(arrival: &Arrival) -> Option<&Routing> {
    arrival.meta.route.as_ref()
}

/// What a commit records, and what it answers for each arrival.
#[derive(Default)]
pub(super) struct Decided {
    /// What the segment is to hold.
    pub records: Vec<Record>,
    /// A receipt or a refusal for each arrival, in their order.
    pub answers: Vec<Record>,
}

/// Decides, for each arrival in turn, what it adds to the archive.
pub(super) struct Decision<'a> {
    archive: &'a Archive,
    header: &'a SegmentHeader,
    /// Where the messages of this commit's pack lie; each is new the first time it is met.
    fresh: HashMap<Digest, Place>,
    met: HashMap<Digest, Place>,
    /// Filings that this commit adds.
    filed: HashSet<(String, Vec<u8>, Role)>,
    /// What each message of this commit is taken for; what is said of it first counts.
    taken_for: HashMap<Digest, (Fingerprint, Option<Journal>)>,
    /// The mails that were new in this commit, and the first message that brought each Message-ID, by its key.
    mails: HashSet<Fingerprint>,
    message_ids: HashMap<i64, Digest>,
    decided: Decided,
}

impl<'a> Decision<'a> {
    pub(super) fn new(archive: &'a Archive, header: &'a SegmentHeader, fresh: HashMap<Digest, Place>) -> Self {
        let (met, filed, taken_for) = (HashMap::new(), HashSet::new(), HashMap::new());
        let (mails, message_ids) = (HashSet::new(), HashMap::new());
        Self { archive, header, fresh, met, filed, taken_for, mails, message_ids, decided: Decided::default() }
    }

    pub(super) fn decide<'b>(mut self, arrivals: impl Iterator<Item = &'b Arrival>) -> Result<Decided> {
        for arrival in arrivals {
            match routing(arrival).and_then(|routing| routing.skip.clone()) {
                Some(why) => self.refuse(arrival, why)?,
                None => self.receive(arrival)?,
            }
        }
        Ok(self.decided)
    }

    /// A message that policy leaves out: a refusal, recorded once for the settings that said so.
    fn refuse(&mut self, arrival: &Arrival, why: String) -> Result<()> {
        let settings = routing(arrival).and_then(|routing| routing.settings);
        let meta = &arrival.meta;
        let refusal = Record::Refusal(Box::new(Refusal {
            v: V1,
            origin: meta.origin.clone(),
            digest: Some(meta.digest),
            size: Some(meta.size),
            time: self.header.time,
            why,
            permanent: true,
            settings,
        }));
        let known = self.archive.index.origin(&meta.origin)?;
        let other = |state: OriginState| state.digest.is_some_and(|digest| digest != meta.digest);
        let is_new = |state: OriginState| {
            (state.digest.is_some() && !state.was_read()) || other(state) || (state.digest.is_none() && state.refused_by != settings)
        };
        if known.is_none_or(is_new) {
            self.decided.records.push(refusal.clone());
        }
        self.decided.answers.push(refusal);
        Ok(())
    }

    fn receive(&mut self, arrival: &Arrival) -> Result<()> {
        let digest = arrival.meta.digest;
        let before = self.archive.index.message(digest)?;
        let held = self.archive.still_held(before.clone())?;
        let (outcome, place) = self.place(digest, held.as_ref())?;
        let is_first = !self.taken_for.contains_key(&digest);
        let arrival = &*self.take(arrival, before.as_ref());
        let differs = |before: &Held| before.adopted || before.fingerprint != arrival.fingerprint || before.journal != arrival.journal;
        let same_message_id = if before.is_none() { self.same_message_id(arrival)? } else { None };
        let changed = before.filter(|before| is_first && differs(before));
        let filings = self.new_filings(arrival)?;
        let known = self.archive.index.origin(&arrival.meta.origin)?;
        // What stands in the catalog already, and needs no second record.
        let meta = &arrival.meta;
        let looks = |state: &OriginState| {
            meta.server_size.is_none_or(|size| state.server_size == Some(size))
                && meta.received.is_none_or(|time| state.received == Some(time))
        };
        let is_same = |state: &OriginState| state.digest == Some(digest) && state.was_read() && looks(state);
        let same = known.filter(|state| is_same(state) && outcome == Outcome::Duplicate);
        let unchanged = same.filter(|_| filings.is_empty() && changed.is_none());
        let mut receipt = self.receipt(arrival, outcome, place, filings);
        receipt.same_message_id = same_message_id;
        receipt.archived = same.map_or(receipt.archived, |state| state.archived);
        if let Some(state) = unchanged {
            receipt.segment = state.segment;
        } else {
            self.decided.records.push(Record::Receipt(Box::new(receipt.clone())));
        }
        if let Some(before) = changed {
            self.move_filings(arrival, &before)?;
        }
        self.decided.answers.push(Record::Receipt(Box::new(receipt)));
        Ok(())
    }

    /// The first message with the Message-ID of this one, if this one is the first of a mail that is new.
    fn same_message_id(&mut self, arrival: &Arrival) -> Result<Option<Digest>> {
        let Some(value) = &arrival.quoted.message_id else { return Ok(None) };
        let Some(key) = message_id_key(value.as_bytes()) else { return Ok(None) };
        if !self.mails.insert(arrival.fingerprint) || self.archive.index.has_mail(&arrival.fingerprint)? {
            return Ok(None);
        }
        let first = self.archive.index.with_message_id(value.as_bytes())?.or_else(|| self.message_ids.get(&key).copied());
        self.message_ids.entry(key).or_insert(arrival.meta.digest);
        Ok(first)
    }

    /// Where the message lies, and whether this commit put it there.
    fn place(&mut self, digest: Digest, held: Option<&Held>) -> Result<(Outcome, Place)> {
        if let Some(place) = self.fresh.remove(&digest) {
            self.met.insert(digest, place);
            return Ok((Outcome::New, place));
        }
        let place = self.met.get(&digest).copied().or(held.map(|held| (held.pack, held.frame, held.position)));
        place
            .map(|place| (Outcome::Duplicate, place))
            .ok_or_else(|| Error::new(Status::Software, "was neither stored before nor by this commit").about(digest.to_string()))
    }

    /// The filings this arrival adds: each (user, fingerprint, role) is filed once. Mail that was not routed is everybody's unknown.
    fn new_filings(&mut self, arrival: &Arrival) -> Result<Vec<Filing>> {
        let folder = arrival.meta.origin.folder().lossy().into_owned();
        let unrouted = || vec![Filing { user: CATCHALL.into(), folder, role: Role::Recipient, evidence: None }];
        let wanted = routing(arrival).map_or_else(unrouted, |routing| routing.filings.clone());
        let mut added = Vec::new();
        for filing in wanted {
            if self.file(&filing, &arrival.fingerprint)? {
                added.push(filing);
            }
        }
        Ok(added)
    }

    /// Whether a filing of the mail with this fingerprint is one that this commit adds; it is from now on.
    fn file(&mut self, filing: &Filing, fingerprint: &Fingerprint) -> Result<bool> {
        let filed = self.archive.index.is_filed(&filing.user, fingerprint, filing.role)?;
        Ok(!filed && self.filed.insert((filing.user.clone(), fingerprint.to_string().into_bytes(), filing.role)))
    }

    /// The arrival, as what it is taken for. A message that is met twice in a commit is the same both times, and one that is known and comes
    /// again without having been routed stays what it was taken for: nobody has looked whether it is a journal report.
    fn take<'b>(&mut self, arrival: &'b Arrival, before: Option<&Held>) -> Cow<'b, Arrival> {
        let own = || (arrival.fingerprint, arrival.journal.clone());
        let known = before.filter(|before| routing(arrival).is_none() && !before.adopted);
        let first = || known.map_or_else(own, |known| (known.fingerprint, known.journal.clone()));
        let (fingerprint, journal) = self.taken_for.entry(arrival.meta.digest).or_insert_with(first).clone();
        if fingerprint == arrival.fingerprint && journal == arrival.journal {
            return Cow::Borrowed(arrival);
        }
        // Its own header was read, and not that of the message by which it goes.
        Cow::Owned(Arrival { fingerprint, journal, quoted: Quoted::default(), ..arrival.clone() })
    }

    /// A known message is taken for another mail than before: its filings go along. Only the provisional one of an adopted message, if it
    /// has now been routed to somebody, is taken back.
    fn move_filings(&mut self, arrival: &Arrival, before: &Held) -> Result<()> {
        let stays = before.fingerprint == arrival.fingerprint;
        let filed_again = routing(arrival).is_none_or(|routing| routing.filings.iter().any(|filing| filing.user == CATCHALL));
        if stays && (!before.adopted || filed_again) {
            return Ok(());
        }
        let removed = self.archive.index.filings_of(before.digest)?;
        let mut added = Vec::new();
        for filing in removed.iter().filter(|_| !before.adopted) {
            if self.file(filing, &arrival.fingerprint)? {
                added.push(filing.clone());
            }
        }
        self.refile(before.digest, before.fingerprint, Vec::new(), removed);
        self.refile(before.digest, arrival.fingerprint, added, Vec::new());
        Ok(())
    }

    fn refile(&mut self, digest: Digest, fingerprint: Fingerprint, added: Vec<Filing>, removed: Vec<Filing>) {
        if added.is_empty() && removed.is_empty() {
            return;
        }
        let refiling = Refiling { v: V1, digest, fingerprint, time: self.header.time, added, removed };
        self.decided.records.push(Record::Refiling(Box::new(refiling)));
    }

    pub(super) fn receipt(&self, arrival: &Arrival, outcome: Outcome, (pack, frame, position): Place, filings: Vec<Filing>) -> Receipt {
        let Arrival { meta, fingerprint, quoted, journal, .. } = arrival;
        let quoted = quoted.clone();
        let routing = routing(arrival);
        Receipt {
            v: V1,
            origin: meta.origin.clone(),
            digest: meta.digest,
            fingerprint: *fingerprint,
            size: meta.size,
            server_size: meta.server_size,
            received: meta.received,
            archived: self.header.time,
            message_id: quoted.message_id,
            date: quoted.date,
            from: quoted.from,
            subject: quoted.subject,
            archive: self.header.archive.clone(),
            segment: self.header.segment,
            pack,
            frame,
            position,
            flags: meta.flags.clone(),
            objects: meta.objects.clone(),
            sender: routing.and_then(|routing| routing.sender.clone()),
            recipients: routing.map(|routing| routing.recipients.clone()).unwrap_or_default(),
            journal: journal.clone(),
            same_message_id: None,
            filings,
            outcome,
        }
    }
}
