//! Re-routing: what the routing says of mail that is archived already, against the filings in force.
//!
//! A mail is filed for all of its copies together, so what is wanted for it is what is wanted for any of them. A mail with one copy is judged as
//! it comes; one with several waits until all have come, or the end. Nothing is taken away on account of a copy that never came. What changes
//! is recorded as refilings; packs, origins and receipts stay.

use crate::archive::commit::Writer;
use crate::archive::decide::{Decision, routing};
use crate::archive::index::{Filed, Held};
use crate::archive::segment::{PlaceReader, SegmentHeader};
use crate::archive::{Archive, Arrival};
use crate::error::{Error, Result, Status};
use crate::identity::{Digest, Fingerprint};
use crate::record::{CATCHALL, Filing, Outcome, Record, Refiling, Role, V1};
use crate::time::Time;
use std::collections::{BTreeMap, HashMap, HashSet};

/// How many mails whose filings change are decided in one commit, and how many filings they may have, about.
const MAILS: usize = 4096;
const FILINGS: usize = 64 << 10;

/// A message as it is routed now.
#[derive(Clone, PartialEq, Debug)]
pub struct Given {
    /// The message.
    pub digest: Digest,
    /// The filings that the routing gives it; none if the policy would leave it out.
    pub wanted: Vec<Filing>,
    /// The folder in which it was found.
    pub folder: String,
}

/// A mail, with those of its copies that have come.
#[derive(Clone, PartialEq, Debug)]
pub struct Mail {
    /// The mail.
    pub fingerprint: Fingerprint,
    /// Its copies, in their order.
    pub given: Vec<Given>,
}

/// What becomes of a mail.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Verdict {
    /// The filings it loses, each with the message for which it was made.
    pub removed: Vec<Filed>,
    /// The filings it gains.
    pub added: Vec<Filed>,
    /// The filings that only a copy which did not come can account for.
    pub kept: Vec<Filed>,
}

impl Verdict {
    /// The verdict on a mail that has these copies and filings.
    #[must_use]
    pub fn of(mail: &Mail, copies: &[Held], current: &[Filed]) -> Self {
        let came: HashSet<Digest> = mail.given.iter().map(|given| given.digest).collect();
        let all_came = copies.iter().all(|copy| came.contains(&copy.digest));
        let provisional: HashSet<Digest> = copies.iter().filter(|copy| copy.adopted).map(|copy| copy.digest).collect();
        let wanted = mail.wanted(all_came || current.is_empty());
        let mut verdict = Self::default();
        let mut settled = HashSet::new();
        for filed in current {
            let same = |other: &&Filed| other.filing.user == filed.filing.user && other.filing.role == filed.filing.role;
            let candidates: Vec<&Filed> = wanted.iter().filter(same).collect();
            let in_folder = |other: &&&Filed| other.filing.folder == filed.filing.folder;
            let fits = candidates.iter().any(|other| in_folder(&other) && other.digest == filed.digest);
            let is_ours = came.contains(&filed.digest);
            let stays = fits || !is_ours && !all_came;
            if !candidates.is_empty() {
                settled.insert((filed.filing.user.clone(), filed.filing.role));
                let better = candidates.iter().find(in_folder).or(candidates.first()).filter(|_| !stays);
                if let Some(better) = better {
                    verdict.removed.push(filed.clone());
                    verdict.added.push((*better).clone());
                }
            } else if all_came || (is_ours && provisional.contains(&filed.digest) && !wanted.is_empty()) {
                verdict.removed.push(filed.clone());
            } else if is_ours {
                verdict.kept.push(filed.clone());
            }
        }
        for filed in wanted {
            if settled.insert((filed.filing.user.clone(), filed.filing.role)) {
                verdict.added.push(filed);
            }
        }
        verdict
    }

    /// The refilings that say so: what is taken away stands before what is given, since a user has a mail once in a role.
    fn records(&self, fingerprint: Fingerprint, time: Time) -> Vec<Record> {
        let one = |filed: &[Filed]| filed.iter().map(|filed| filed.digest).collect::<HashSet<_>>();
        let (from, to) = (one(&self.removed), one(&self.added));
        let mut records = Vec::new();
        if from.union(&to).count() == 1 {
            records.extend(from.union(&to).map(|digest| refiling(*digest, fingerprint, time, &self.added, &self.removed)));
        } else {
            records
                .extend(by_digest(&self.removed).into_iter().map(|(digest, removed)| refiling(digest, fingerprint, time, &[], &removed)));
            records.extend(by_digest(&self.added).into_iter().map(|(digest, added)| refiling(digest, fingerprint, time, &added, &[])));
        }
        records
    }

    fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

fn by_digest(filed: &[Filed]) -> BTreeMap<Digest, Vec<Filed>> {
    let mut groups: BTreeMap<Digest, Vec<Filed>> = BTreeMap::new();
    filed.iter().for_each(|filed| groups.entry(filed.digest).or_default().push(filed.clone()));
    groups
}

fn refiling(digest: Digest, fingerprint: Fingerprint, time: Time, added: &[Filed], removed: &[Filed]) -> Record {
    let filings = |filed: &[Filed]| filed.iter().map(|filed| filed.filing.clone()).collect();
    Record::Refiling(Box::new(Refiling { v: V1, digest, fingerprint, time, added: filings(added), removed: filings(removed) }))
}

impl Mail {
    /// The filings that any of the copies wants. If nobody is left and `whole`, so that nothing else can say whose it is, it is everybody's
    /// unknown.
    fn wanted(&self, whole: bool) -> Vec<Filed> {
        let each =
            |given: &Given| given.wanted.iter().map(|filing| Filed { filing: filing.clone(), digest: given.digest }).collect::<Vec<_>>();
        let wanted: Vec<Filed> = self.given.iter().flat_map(each).collect();
        let unknown = self.given.first().filter(|_| wanted.is_empty() && whole).map(|given| {
            let filing = Filing { user: CATCHALL.into(), folder: given.folder.clone(), role: Role::Recipient, evidence: None };
            Filed { filing, digest: given.digest }
        });
        wanted.into_iter().chain(unknown).collect()
    }

    fn weight(&self) -> usize {
        self.given.iter().map(|given| 1 + given.wanted.len()).sum()
    }

    fn verdict(&self, archive: &Archive) -> Result<Verdict> {
        let index = &archive.index;
        Ok(Verdict::of(self, &index.copies(&self.fingerprint)?, &index.filed(&self.fingerprint)?))
    }
}

/// Gathers mails, and judges each when it can be.
#[derive(Default)]
pub struct Refiler {
    /// Mails of which copies have not come, and how many copies they have.
    waiting: HashMap<Fingerprint, (usize, Mail)>,
    /// Mails whose filings change, with the next commit.
    changing: Vec<Mail>,
    queued: HashSet<Fingerprint>,
    weight: usize,
    /// Messages that are taken for another mail than before, with the next commit.
    anew: Vec<Arrival>,
}

/// What came of a step.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// The verdicts, each with the mail.
    pub verdicts: Vec<(Mail, Verdict)>,
    /// The refilings that were recorded.
    pub records: Vec<Record>,
}

/// What is to be changed: an archive, or nothing.
pub enum Target<'a> {
    /// Changes are recorded.
    Writer(&'a mut Writer),
    /// They are only told.
    Look(&'a Archive),
}

impl Target<'_> {
    /// The archive.
    #[must_use]
    pub fn archive(&self) -> &Archive {
        match self {
            Self::Writer(writer) => writer.archive(),
            Self::Look(archive) => archive,
        }
    }
}

impl Refiler {
    /// Takes a message that was routed anew.
    ///
    /// # Errors
    /// [`Status::Data`] if the archive does not hold it, or nobody has routed it; what the index and the commit report.
    pub fn take(&mut self, target: &mut Target, arrival: Arrival) -> Result<Outcomes> {
        let digest = arrival.meta.digest;
        let bad = |what: &str| Error::new(Status::Data, what).about(digest.to_string());
        let held = target.archive().index.message(digest)?.ok_or_else(|| bad("the archive does not hold this message"))?;
        if routing(&arrival).is_none() {
            return Err(bad("was not routed; mdrop-route comes before"));
        }
        if held.fingerprint == arrival.fingerprint && held.journal == arrival.journal {
            return self.give(target, arrival.fingerprint, given(&arrival), false);
        }
        self.weight += 1 + given(&arrival).wanted.len();
        self.anew.push(arrival);
        self.flush_if_full(target)
    }

    /// Judges what is left, after the last message.
    ///
    /// # Errors
    /// As [`Refiler::take`].
    pub fn finish(&mut self, target: &mut Target) -> Result<Outcomes> {
        let mut all = self.flush(target)?;
        // What was taken for another mail may have joined others that wait, so all copies are known only now.
        let mut waiting: Vec<Mail> = std::mem::take(&mut self.waiting).into_values().map(|(_, mail)| mail).collect();
        waiting.sort_by_key(|mail| mail.given.first().map(|given| given.digest));
        for mail in waiting {
            all.add(self.judge(target, mail)?);
        }
        all.add(self.flush(target)?);
        Ok(all)
    }

    /// One copy of a mail, which is judged if no other is to come. How many copies there are is asked once, and when one has joined since.
    fn give(&mut self, target: &mut Target, fingerprint: Fingerprint, given: Given, joined: bool) -> Result<Outcomes> {
        let known = self.waiting.get(&fingerprint).map(|(copies, _)| *copies).filter(|_| !joined);
        let copies = known.map_or_else(|| target.archive().index.copies(&fingerprint).map(|copies| copies.len()), Ok)?;
        let (expected, mail) = self.waiting.entry(fingerprint).or_insert_with(|| (copies, Mail { fingerprint, given: Vec::new() }));
        *expected = copies;
        mail.given.retain(|other| other.digest != given.digest);
        mail.given.push(given);
        if mail.given.len() < copies {
            return Ok(Outcomes::default());
        }
        self.waiting.remove(&fingerprint).map_or_else(|| Ok(Outcomes::default()), |(_, mail)| self.judge(target, mail))
    }

    /// Looks what would change; what does is decided for good under the lock of the next commit.
    fn judge(&mut self, target: &mut Target, mail: Mail) -> Result<Outcomes> {
        let mut all = if self.queued.contains(&mail.fingerprint) { self.flush(target)? } else { Outcomes::default() };
        let verdict = mail.verdict(target.archive())?;
        if verdict.is_empty() {
            all.verdicts.push((mail, verdict));
            return Ok(all);
        }
        self.queued.insert(mail.fingerprint);
        self.weight += mail.weight();
        self.changing.push(mail);
        all.add(self.flush_if_full(target)?);
        Ok(all)
    }

    fn flush_if_full(&mut self, target: &mut Target) -> Result<Outcomes> {
        let full = self.changing.len() + self.anew.len() >= MAILS || self.weight >= FILINGS;
        if full { self.flush(target) } else { Ok(Outcomes::default()) }
    }

    /// Commits what changes.
    fn flush(&mut self, target: &mut Target) -> Result<Outcomes> {
        let (changing, anew) = (std::mem::take(&mut self.changing), std::mem::take(&mut self.anew));
        self.queued.clear();
        self.weight = 0;
        let mut all = Outcomes::default();
        match target {
            Target::Look(archive) => {
                for mail in changing {
                    let verdict = mail.verdict(archive)?;
                    all.verdicts.push((mail, verdict));
                }
                let now = taken_for(&anew);
                for arrival in &anew {
                    all.verdicts.extend(leave(archive, arrival, &now)?);
                }
            }
            Target::Writer(writer) if !changing.is_empty() || !anew.is_empty() => {
                let verdicts = &mut all.verdicts;
                all.records = writer.record_with(|archive, header| decide(archive, header, changing, &anew, verdicts))?;
            }
            Target::Writer(_) => {}
        }
        // They belong to their new mails by now.
        for arrival in &anew {
            all.add(self.give(target, arrival.fingerprint, given(arrival), true)?);
        }
        Ok(all)
    }
}

impl Outcomes {
    fn add(&mut self, more: Self) {
        self.verdicts.extend(more.verdicts);
        self.records.extend(more.records);
    }
}

/// Under the lock: what is recorded.
fn decide(
    archive: &Archive,
    header: &SegmentHeader,
    changing: Vec<Mail>,
    anew: &[Arrival],
    verdicts: &mut Vec<(Mail, Verdict)>,
) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for mail in changing {
        let verdict = mail.verdict(archive)?;
        records.extend(verdict.records(mail.fingerprint, header.time));
        verdicts.push((mail, verdict));
    }
    let (mut met, mut filed, now) = (HashSet::new(), HashSet::new(), taken_for(anew));
    for arrival in anew.iter().filter(|arrival| met.insert(arrival.meta.digest)) {
        records.extend(take_anew(archive, header, arrival, &now, verdicts)?);
        if let Some((mail, verdict)) = join(archive, arrival, &mut filed)? {
            records.extend(verdict.records(mail.fingerprint, header.time));
            verdicts.push((mail, verdict));
        }
    }
    Ok(records)
}

/// A message that is taken for another mail: a receipt says so. What it brought the former mail goes.
fn take_anew(
    archive: &Archive,
    header: &SegmentHeader,
    arrival: &Arrival,
    now: &TakenFor,
    verdicts: &mut Vec<(Mail, Verdict)>,
) -> Result<Vec<Record>> {
    let digest = arrival.meta.digest;
    let Some(held) = archive.index.message(digest)? else { return Ok(Vec::new()) };
    let place = (held.pack, held.frame, held.position);
    let mut receipt = Decision::new(archive, header, HashMap::new()).receipt(arrival, Outcome::Refiled, place, Vec::new());
    // A pack does not say what its message looked like on the server; the former receipt does, if it can be read.
    if let Ok(former) = PlaceReader::default().receipt(&archive.shelf, held.record, digest) {
        (receipt.flags, receipt.server_size) = (former.flags, former.server_size);
    }
    let mut records = vec![Record::Receipt(Box::new(receipt))];
    if let Some((mail, verdict)) = leave(archive, arrival, now)? {
        records.extend(verdict.records(mail.fingerprint, header.time));
        verdicts.push((mail, verdict));
    }
    Ok(records)
}

/// Which mail each message of a commit is taken for now.
type TakenFor = HashMap<Digest, Fingerprint>;

fn taken_for(anew: &[Arrival]) -> TakenFor {
    anew.iter().map(|arrival| (arrival.meta.digest, arrival.fingerprint)).collect()
}

/// What a message gives at once to the mail that it is taken for now, so that it is somebody's whatever prevents the next commit; what the
/// mail has stays until it is judged.
fn join(archive: &Archive, arrival: &Arrival, filed: &mut HashSet<(Fingerprint, String, Role)>) -> Result<Option<(Mail, Verdict)>> {
    let is_other = |held: &Held| held.fingerprint != arrival.fingerprint;
    if !archive.index.message(arrival.meta.digest)?.as_ref().is_some_and(is_other) {
        return Ok(None);
    }
    let mail = Mail { fingerprint: arrival.fingerprint, given: vec![given(arrival)] };
    let mut verdict = mail.verdict(archive)?;
    // A filing without a message of this mail is for its judgement, when the message belongs to it.
    verdict.removed.clear();
    let current = archive.index.filed(&arrival.fingerprint)?;
    let same = |added: &Filed, had: &Filed| had.filing.user == added.filing.user && had.filing.role == added.filing.role;
    verdict.added.retain(|added| {
        !current.iter().any(|had| same(added, had)) && filed.insert((arrival.fingerprint, added.filing.user.clone(), added.filing.role))
    });
    Ok((!verdict.added.is_empty()).then_some((mail, verdict)))
}

/// What a message brought the mail that it is no longer taken for; another copy of that mail, if one stays, keeps it until it is judged.
fn leave(archive: &Archive, arrival: &Arrival, now: &TakenFor) -> Result<Option<(Mail, Verdict)>> {
    let digest = arrival.meta.digest;
    let former = archive.index.message(digest)?.map(|held| held.fingerprint).filter(|former| *former != arrival.fingerprint);
    let Some(fingerprint) = former else { return Ok(None) };
    let filed = archive.index.filed(&fingerprint)?;
    let removed: Vec<Filed> = filed.into_iter().filter(|filed| filed.digest == digest).collect();
    let leaves = |copy: &Held| now.get(&copy.digest).is_some_and(|now| *now != fingerprint);
    let other = archive.index.copies(&fingerprint)?.into_iter().find(|copy| !leaves(copy));
    let keep = |other: Held| removed.iter().map(move |filed| Filed { digest: other.digest, ..filed.clone() }).collect();
    let added = other.map(keep).unwrap_or_default();
    Ok(Some((Mail { fingerprint, given: vec![given(arrival)] }, Verdict { removed, added, kept: Vec::new() })))
}

fn given(arrival: &Arrival) -> Given {
    let wanted = routing(arrival).filter(|routing| routing.skip.is_none()).map(|routing| routing.filings.clone()).unwrap_or_default();
    Given { digest: arrival.meta.digest, wanted, folder: arrival.meta.origin.folder().lossy().into_owned() }
}
