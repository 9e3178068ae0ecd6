//! What the catalog says of chosen messages, in its order: the filings in force, where each lies, and which are copies of one mail.

use crate::archive::pack::Place;
use crate::archive::segment::Segment;
use crate::error::Result;
use crate::identity::{Digest, Fingerprint};
use crate::record::{Filing, Outcome, Record, Role};
use std::collections::{BTreeMap, BTreeSet};

/// The first half of a digest: by it a check remembers messages, for there may be ten million.
pub(super) type Key = u128;

/// See [`Key`].
pub(super) fn key(digest: Digest) -> Key {
    digest.0.first_chunk().map_or(0, |first| u128::from_be_bytes(*first))
}

/// As what a mail is filed under whom.
pub(super) type Filed = (String, Fingerprint, Role);

/// One record about a message.
pub(super) struct Event {
    pub digest: Digest,
    pub fingerprint: Fingerprint,
    /// Where a receipt says that it lies, and how large it is.
    pub stored: Option<(Place, u64)>,
    /// Whether it was adopted.
    pub adopted: bool,
    pub added: Vec<Filed>,
    pub removed: Vec<Filed>,
}

impl Event {
    /// What a record says of a message, if it says something of one that is wanted.
    pub(super) fn of(record: &Record, wanted: impl Fn(Digest, &Fingerprint) -> bool) -> Option<Self> {
        let filed = |filings: &[Filing], fingerprint: Fingerprint| {
            filings.iter().map(|filing| (filing.user.clone(), fingerprint, filing.role)).collect()
        };
        match record {
            Record::Receipt(receipt) if wanted(receipt.digest, &receipt.fingerprint) => {
                let place = (receipt.pack, receipt.frame, receipt.position);
                Some(Self {
                    digest: receipt.digest,
                    fingerprint: receipt.fingerprint,
                    stored: matches!(receipt.outcome, Outcome::New | Outcome::Adopted).then_some((place, receipt.size)),
                    adopted: receipt.outcome == Outcome::Adopted,
                    added: filed(&receipt.filings, receipt.fingerprint),
                    removed: Vec::new(),
                })
            }
            Record::Refiling(refiling) if wanted(refiling.digest, &refiling.fingerprint) => Some(Self {
                digest: refiling.digest,
                fingerprint: refiling.fingerprint,
                stored: None,
                adopted: false,
                added: filed(&refiling.added, refiling.fingerprint),
                removed: filed(&refiling.removed, refiling.fingerprint),
            }),
            _ => None,
        }
    }

    /// All of a segment; none if it can't be read whole, for then no tool believes any of it.
    pub(super) fn all(segment: Segment, wanted: impl Fn(Digest, &Fingerprint) -> bool) -> Vec<Self> {
        let read: Result<Vec<Option<Self>>> = segment.map(|record| record.map(|record| Self::of(&record, &wanted))).collect();
        read.unwrap_or_default().into_iter().flatten().collect()
    }
}

/// What is known of a message from the events so far.
#[derive(Default, Debug)]
pub(super) struct Known {
    /// Where it was stored, each time, and its octets.
    pub stored: Vec<(Place, u64)>,
    /// The filings in force that were added for it, and whether each was by a record of a message that was routed.
    pub filed: BTreeMap<Filed, bool>,
}

impl Known {
    pub(super) fn learn(&mut self, event: Event) {
        self.stored.extend(event.stored);
        self.filed.retain(|filed, _| !event.removed.contains(filed));
        self.filed.extend(event.added.into_iter().map(|filed| (filed, !event.adopted)));
    }

    /// The users who have it.
    pub(super) fn users(&self) -> BTreeSet<&str> {
        self.filed.keys().map(|(user, ..)| user.as_str()).collect()
    }
}
