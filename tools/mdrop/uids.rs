//! Sets of UIDs as ranges, written the IMAP way: `1:4,7,9:12` (RFC 9051 section 9, sequence-set, without `*`).
//!
//! Ranges, because a mailbox of a million archived messages is usually one range, and must cost a line, not a megabyte.

use crate::error::{Error, Result, Status};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A set of UIDs (1 to 2^32-1), held as sorted ranges that neither touch nor overlap.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UidSet {
    ranges: Vec<(u32, u32)>,
}

impl UidSet {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the set holds `uid`.
    #[must_use]
    pub fn contains(&self, uid: u32) -> bool {
        let after = self.ranges.partition_point(|range| range.0 <= uid);
        after > 0 && self.ranges[after - 1].1 >= uid
    }

    /// Adds one UID; cheap where UIDs come in ascending order.
    pub fn insert(&mut self, uid: u32) {
        self.insert_range(uid, uid);
    }

    /// Adds all UIDs from `first` to `last`, both included.
    pub fn insert_range(&mut self, first: u32, last: u32) {
        let (first, last) = (first.min(last), first.max(last));
        let from = self.ranges.partition_point(|range| range.1.saturating_add(1) < first);
        let to = self.ranges.partition_point(|range| range.0 <= last.saturating_add(1));
        let joined = self.ranges[from..to].iter().fold((first, last), |all, r| (all.0.min(r.0), all.1.max(r.1)));
        self.ranges.splice(from..to, [joined]);
    }

    /// The ranges, ascending.
    #[must_use]
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// All UIDs, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges.iter().flat_map(|range| range.0..=range.1)
    }

    /// How many UIDs the set holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|range| u64::from(range.1 - range.0) + 1).sum()
    }

    /// Whether the set holds no UID.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

impl FromIterator<u32> for UidSet {
    fn from_iter<I: IntoIterator<Item = u32>>(uids: I) -> Self {
        let mut set = Self::new();
        uids.into_iter().for_each(|uid| set.insert(uid));
        set
    }
}

impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            if first == last { write!(f, "{comma}{first}")? } else { write!(f, "{comma}{first}:{last}")? }
        }
        Ok(())
    }
}

impl FromStr for UidSet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::new(Status::Data, format!("“{text}” is not a set of UIDs"));
        let mut set = Self::new();
        for range in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = range.split_once(':').unwrap_or((range, range));
            let parse = |n: &str| n.parse::<u32>().ok().filter(|n| *n > 0).ok_or_else(bad);
            set.insert_range(parse(first)?, parse(last)?);
        }
        Ok(set)
    }
}

impl Serialize for UidSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UidSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_uid_set_equals_the_plain_set_and_survives_its_text(uids in proptest::collection::vec(1u32..60, 0..60)) {
            let plain: BTreeSet<u32> = uids.iter().copied().collect();
            let set: UidSet = uids.into_iter().collect();
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), plain.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.len(), plain.len() as u64);
            prop_assert!((0..70).all(|uid| set.contains(uid) == plain.contains(&uid)));
            prop_assert!(set.ranges().windows(2).all(|w| w[0].1 + 1 < w[1].0));
            prop_assert_eq!(set.to_string().parse::<UidSet>().ok(), Some(set));
        }
    }

    #[test]
    fn what_is_not_a_set_is_refused() {
        for bad in ["0", "1,", "*", "1:*", "a", "1:2:3", "4294967296", " 1"] {
            assert!(bad.parse::<UidSet>().is_err(), "{bad}");
        }
        assert_eq!("4294967295,1".parse::<UidSet>().map(|s| s.to_string()).ok().as_deref(), Some("1,4294967295"));
    }
}
