//! Reading messages: batches by octets, four commands outstanding, each message straight from the wire into a [`Held`].
//!
//! The next commands are on their way before the last answer is read, so that the wire never waits for us: four, because with two a line
//! with a long way waits at the end of each 400 small messages. So few fit into any socket's buffer, so that a server that
//! blocks on writing never waits for us while we wait for it. BODY.PEEK alone is asked for, which leaves
//! `\Seen` as it is (RFC 9051 section 6.4.5).

use super::Session;
use super::answer::{Answer, Condition, Verdict};
use super::messages::{Body, Fetched};
use crate::error::{Error, Result, Status};
use crate::held::{Held, Taker};
use crate::identity::Uid;
use crate::uids::UidSet;
use std::collections::{HashSet, VecDeque};
use std::io::Write;

/// How many messages one command asks for.
const BATCH_MESSAGES: usize = 200;
/// For how many octets, unless one message has more.
const BATCH_OCTETS: u64 = 8 << 20;
/// How many commands may be unanswered.
const OUTSTANDING: usize = 4;

/// A message that is wanted, and how large it is said to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Its UID.
    pub uid: Uid,
    /// Its octets as listed; 0 if unknown.
    pub size: u64,
}

/// A message that comes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Coming {
    /// Its UID.
    pub uid: Uid,
    /// Its EMAILID, where the server keeps them (RFC 8474).
    pub emailid: Option<String>,
}

/// A command on its way.
struct Sent {
    tag: Vec<u8>,
    /// Whether it asks for EMAILIDs.
    with_ids: bool,
    /// The UIDs of it that have not come.
    awaited: HashSet<u32>,
}

/// Cuts what is wanted into batches.
fn batches(wanted: &[Wanted]) -> VecDeque<Vec<u32>> {
    let mut all = VecDeque::new();
    let (mut batch, mut octets) = (Vec::new(), 0_u64);
    for message in wanted {
        if batch.len() >= BATCH_MESSAGES || (octets.saturating_add(message.size) > BATCH_OCTETS && !batch.is_empty()) {
            all.push_back(std::mem::take(&mut batch));
            octets = 0;
        }
        batch.push(message.uid.0);
        octets = octets.saturating_add(message.size);
    }
    all.extend((!batch.is_empty()).then_some(batch));
    all
}

impl Session {
    /// Reads the octets of messages of the open mailbox, changing nothing, and hands each whole one to `taker`. A message that the
    /// server refuses or no longer has is a failure of that message alone.
    ///
    /// # Errors
    /// What the connection or `taker` reports. Messages handed over before are whole.
    pub fn fetch(&mut self, wanted: &[Wanted], taker: &mut dyn Taker<Coming>) -> Result<()> {
        let (sent, answer, held) = (VecDeque::new(), Answer::default(), Held::default());
        let mut reading = Reading { queue: batches(wanted), sent, answer, held, with_ids: self.keeps_object_ids() };
        let done = self.fetch_all(&mut reading, taker);
        self.broken_at = done.as_ref().err().and_then(|_| reading.awaited());
        if !reading.with_ids {
            self.give_up_object_ids();
        }
        self.noting_death(done)
    }

    fn fetch_all(&mut self, reading: &mut Reading, taker: &mut dyn Taker<Coming>) -> Result<()> {
        loop {
            while reading.sent.len() < OUTSTANDING {
                let Some(batch) = reading.queue.pop_front() else { break };
                let set: UidSet = batch.iter().copied().collect();
                let (ids, with_ids) = (if reading.with_ids { " EMAILID" } else { "" }, reading.with_ids);
                let tag = self.send(&format!("UID FETCH {set} (UID{ids} BODY.PEEK[])"))?;
                reading.sent.push_back(Sent { tag, with_ids, awaited: batch.into_iter().collect() });
            }
            if reading.sent.is_empty() {
                return Ok(());
            }
            let shared = self.shared.clone();
            let wire = &mut shared.lock().wire;
            if wire.would_wait() {
                taker.waiting()?;
            }
            reading.answer.read(wire, Some(&mut reading.held))?;
            reading.take(taker)?;
        }
    }
}

/// A reading under way.
struct Reading {
    queue: VecDeque<Vec<u32>>,
    sent: VecDeque<Sent>,
    answer: Answer,
    held: Held,
    /// Whether EMAILIDs are asked for, which a server may offer and not understand.
    with_ids: bool,
}

impl Reading {
    /// The message that an answer broken off is about, else the first that the oldest command still lacks.
    fn awaited(&self) -> Option<Uid> {
        let is_awaited = |uid: &Uid| self.sent.iter().any(|sent| sent.awaited.contains(&uid.0));
        let named = Fetched::of(&self.answer).and_then(|fetched| fetched.uid).filter(is_awaited);
        let next = || self.sent.iter().find_map(|sent| sent.awaited.iter().min()).map(|uid| Uid(*uid));
        named.or_else(next)
    }

    fn take(&mut self, taker: &mut dyn Taker<Coming>) -> Result<()> {
        if let Some(fetched) = Fetched::of(&self.answer) {
            return self.take_message(fetched, taker);
        }
        let Some(tag) = self.sent.front().map(|sent| sent.tag.as_slice()) else { return Ok(()) };
        match super::ending(&self.answer, tag)? {
            Some(ended) => self.end_command(&ended, taker),
            None => Ok(()),
        }
    }

    fn take_message(&mut self, fetched: Fetched, taker: &mut dyn Taker<Coming>) -> Result<()> {
        // Without a UID or a body it is a change of flags, told unasked.
        let Some(uid) = fetched.uid else { return Ok(()) };
        if fetched.body.is_none() && !fetched.malformed {
            return Ok(());
        }
        if !self.sent.iter_mut().any(|sent| sent.awaited.remove(&uid.0)) {
            return Ok(());
        }
        let coming = Coming { uid, emailid: fetched.emailid };
        match fetched.body {
            _ if fetched.malformed => {
                let what = format!("its answer is not understood: {}", self.answer.excerpt());
                taker.failed(&coming, Error::new(Status::Protocol, what))
            }
            Some(Body::Held) => taker.message(&coming, &mut self.held),
            Some(Body::Text(octets)) => {
                self.held.clear();
                self.held.write_all(&octets)?;
                taker.message(&coming, &mut self.held)
            }
            _ => taker.failed(&coming, Error::new(Status::Protocol, "the server has no octets for it (NIL)")),
        }
    }

    /// What did not come with a command that went well is gone; what did not come with one that was refused is asked for once
    /// more, one by one, so that one bad message does not take others along.
    fn end_command(&mut self, ended: &Condition, taker: &mut dyn Taker<Coming>) -> Result<()> {
        let Some(sent) = self.sent.pop_front() else { return Ok(()) };
        if ended.verdict != Verdict::Ok && ended.is_about_server() {
            self.sent.push_front(sent);
            return Err(ended.error("FETCH"));
        }
        let mut missing: Vec<u32> = sent.awaited.into_iter().collect();
        missing.sort_unstable();
        if ended.verdict == Verdict::Bad && sent.with_ids && !missing.is_empty() {
            self.with_ids = false;
            self.queue.push_front(missing);
            return Ok(());
        }
        if ended.verdict != Verdict::Ok && missing.len() > 1 {
            self.queue.extend(missing.into_iter().map(|uid| vec![uid]));
            return Ok(());
        }
        for uid in missing {
            let coming = Coming { uid: Uid(uid), emailid: None };
            match ended.verdict {
                Verdict::Ok => taker.absent(&coming)?,
                _ => taker.failed(&coming, ended.error("FETCH"))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_bounded_by_messages_and_by_octets() {
        let wanted = |sizes: &[u64]| -> Vec<Wanted> { (1..).zip(sizes).map(|(uid, size)| Wanted { uid: Uid(uid), size: *size }).collect() };
        let lengths = |sizes: &[u64]| batches(&wanted(sizes)).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(&[]), Vec::<usize>::new());
        assert_eq!(lengths(&[0; 401]), [200, 200, 1]);
        assert_eq!(lengths(&[5 << 20, 3 << 20, 1, u64::MAX, 1, 1]), [2, 1, 1, 2]);
    }
}
