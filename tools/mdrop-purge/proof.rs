//! What the archive proves of the copies that are to be deleted, from its files alone: the catalog along its chain, and each
//! message read back from its pack. Neither standard input nor the index is believed.

use crate::decide::{Demands, Proof, unproved};
use mdrop::archive::Archive;
use mdrop::archive::pack;
use mdrop::archive::segment::Segment;
use mdrop::archive::shelf::Series;
use mdrop::error::{Error, Result, Status};
use mdrop::frame::Run;
use mdrop::identity::{Digest, Origin};
use mdrop::record::{Frame, Move, Outcome, Purged, Receipt, Record};
use std::collections::{BTreeMap, HashMap};

/// The catalog's last word on an origin.
struct LastWord {
    receipt: Receipt,
    purged: bool,
}

/// A copy that the archive does not prove to hold.
pub struct Kept {
    /// The receipt that was given for it.
    pub receipt: Receipt,
    /// Why it is kept.
    pub why: String,
    /// Whether that is because the archive is damaged.
    pub damage: bool,
}

/// Parts the given receipts into those whose copies the archive proves to hold, as the catalog has them, and the others.
pub fn prove(archive: &Archive, given: Vec<Receipt>, demands: &Demands, run: &mut Run) -> Result<(Vec<Receipt>, Vec<Kept>)> {
    let last_words = walk(archive, &given, run)?;
    let unreadable = read_back(archive, last_words.values().map(|last| &last.receipt))?;
    let (mut proved, mut kept) = (Vec::new(), Vec::new());
    let mut met = std::collections::HashSet::new();
    for receipt in given {
        if !met.insert(receipt.origin.clone()) {
            continue;
        }
        let last = last_words.get(&receipt.origin);
        let committed = last.map(|last| &last.receipt);
        let unreadable = committed.and_then(|committed| unreadable.get(&committed.digest)).map(String::as_str);
        let proof = Proof { committed, purged: last.is_some_and(|last| last.purged), unreadable };
        match (unproved(&receipt, &proof, demands), committed) {
            (None, Some(committed)) => proved.push(committed.clone()),
            (why, _) => kept.push(Kept { receipt, why: why.unwrap_or_default(), damage: unreadable.is_some() }),
        }
    }
    Ok((proved, kept))
}

/// Walks the catalog from the oldest segment that a receipt claims to the head, along the chain. Only what stands behind the last break
/// of the chain counts.
fn walk(archive: &Archive, given: &[Receipt], run: &mut Run) -> Result<HashMap<Origin, LastWord>> {
    let wanted: std::collections::HashSet<&Origin> = given.iter().map(|receipt| &receipt.origin).collect();
    let mut last_words = HashMap::new();
    let Some(first) = given.iter().map(|receipt| receipt.segment).min() else { return Ok(last_words) };
    let mut previous: Option<(u64, Digest)> = None;
    for number in archive.shelf.list(Series::Segment, first)? {
        let segment = match Segment::open(&archive.shelf, number) {
            Ok(segment) => Some(segment),
            Err(e) if e.status() == Status::Data => None,
            Err(e) => return Err(e),
        };
        let follows = |segment: &Segment| previous.is_none_or(|(n, blake3)| n + 1 == number && segment.header.previous == Some(blake3));
        if !segment.as_ref().is_some_and(follows) {
            // What a damaged part of the catalog may have said is not known: nothing that stands before it proves anything.
            broken(number, run);
            last_words.clear();
        }
        previous = segment.as_ref().map(|segment| (number, segment.blake3));
        for record in segment.into_iter().flatten() {
            let Ok(record) = record else {
                broken(number, run);
                last_words.clear();
                previous = None;
                break;
            };
            take(record, &wanted, &mut last_words);
        }
    }
    Ok(last_words)
}

fn broken(segment: u64, run: &mut Run) {
    let what = "the catalog is damaged here; no copy is deleted whose receipt stands before it";
    run.fail(&Error::new(Status::Data, what).about(Series::Segment.name(segment)));
}

fn take(record: Record, wanted: &std::collections::HashSet<&Origin>, last_words: &mut HashMap<Origin, LastWord>) {
    match record {
        Record::Receipt(receipt) if wanted.contains(&receipt.origin) && !matches!(receipt.outcome, Outcome::Adopted | Outcome::Refiled) => {
            last_words.insert(receipt.origin.clone(), LastWord { receipt: *receipt, purged: false });
        }
        // Another message stands there, and policy left it out: what was archived before proves nothing of it.
        Record::Refusal(refusal) => {
            last_words.retain(|origin, last| *origin != refusal.origin || refusal.digest == Some(last.receipt.digest));
        }
        // It stands elsewhere now; what this origin holds, if it holds anything, is another message.
        Record::Move(moved) => {
            last_words.remove(&moved.origin);
            displace(&moved, last_words);
        }
        Record::Copy(copied) => displace(&copied, last_words),
        Record::Purge(purge) if matches!(purge.outcome, Purged::Purged | Purged::Gone) => {
            if let Some(last) = last_words.get_mut(&purge.origin) {
                last.purged = true;
            }
        }
        _ => {}
    }
}

/// Where the server's identifiers say that another message stands by now, what was archived before proves nothing of it.
fn displace(event: &Move, last_words: &mut HashMap<Origin, LastWord>) {
    if last_words.get(&event.to).is_some_and(|last| last.receipt.digest != event.digest) {
        last_words.remove(&event.to);
    }
}

/// Reads each message back from its pack, a frame at a time; returns why for each that can't be.
fn read_back<'a>(archive: &Archive, receipts: impl Iterator<Item = &'a Receipt>) -> Result<HashMap<Digest, String>> {
    let mut frames: BTreeMap<(u64, Frame), Vec<(u64, Digest)>> = BTreeMap::new();
    for receipt in receipts {
        frames.entry((receipt.pack, receipt.frame)).or_default().push((receipt.position, receipt.digest));
    }
    let mut unreadable = HashMap::new();
    for ((number, frame), wanted) in frames {
        let (whole, why) = match pack::whole_messages(&archive.shelf, number, frame) {
            Ok(whole) => (whole, "its pack does not hold it there".to_owned()),
            Err(e) if matches!(e.status(), Status::Data | Status::NoInput) => (HashMap::new(), e.to_string()),
            Err(e) => return Err(e),
        };
        let missing = wanted.into_iter().filter(|(position, digest)| whole.get(position) != Some(digest));
        unreadable.extend(missing.map(|(_, digest)| (digest, why.clone())));
    }
    Ok(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::tests::receipt;
    use mdrop::identity::Place;
    use mdrop::record::{By, V1};
    use mdrop::time::Time;

    #[test]
    fn an_origin_at_which_another_message_is_known_to_stand_is_proved_by_no_older_receipt() {
        let (here, other) = (receipt(), Digest::of(b"y"));
        let elsewhere = Origin { account: here.origin.account.clone(), place: Place::Pop3 { uidl: "2".into() } };
        let event = |from: &Origin, to: &Origin, digest| {
            Box::new(Move { v: V1, origin: from.clone(), to: to.clone(), digest, by: By::Emailid, time: Time::from_unix(2000) })
        };
        let cases = [
            (Record::Move(event(&elsewhere, &here.origin, other)), false),
            (Record::Copy(event(&elsewhere, &here.origin, other)), false),
            (Record::Move(event(&elsewhere, &here.origin, here.digest)), true),
            (Record::Copy(event(&here.origin, &elsewhere, here.digest)), true),
            (Record::Move(event(&here.origin, &elsewhere, here.digest)), false),
        ];
        for (record, proves) in cases {
            let (wanted, mut last_words) = ([&here.origin].into(), HashMap::new());
            take(Record::Receipt(Box::new(here.clone())), &wanted, &mut last_words);
            let text = format!("{record:?}");
            take(record, &wanted, &mut last_words);
            assert_eq!(last_words.contains_key(&here.origin), proves, "{text}");
        }
    }
}
