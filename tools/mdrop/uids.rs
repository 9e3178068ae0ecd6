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

    /// Adds all UIDs of another set.
    pub fn insert_all(&mut self, other: &Self) {
        other.ranges.iter().for_each(|(first, last)| self.insert_range(*first, *last));
    }

    /// The UIDs of this set that the other does not hold.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        let mut cuts = other.ranges.iter().copied().peekable();
        for (mut first, last) in self.ranges.iter().copied() {
            while cuts.next_if(|cut| cut.1 < first).is_some() {}
            let mut whole = true;
            while let Some(cut) = cuts.peek().filter(|cut| whole && cut.0 <= last) {
                if cut.0 > first {
                    left.push((first, cut.0 - 1));
                }
                whole = cut.1 < last;
                if whole {
                    first = cut.1 + 1;
                    cuts.next();
                }
            }
            left.extend(whole.then_some((first, last)));
        }
        Self { ranges: left }
    }

    /// The UIDs that both sets hold.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        self.without(&self.without(other))
    }

    /// The set in pieces, none of which takes more than about `longest` octets to write.
    #[must_use]
    pub fn pieces(&self, longest: usize) -> Vec<Self> {
        // A range takes 22 octets at most, two numbers of ten digits.
        self.ranges.chunks((longest / 22).max(1)).map(|ranges| Self { ranges: ranges.to_vec() }).collect()
    }

    /// The set in two halves, the first one's UIDs below the second's.
    #[must_use]
    pub fn halves(&self) -> [Self; 2] {
        let mut left = self.len() / 2;
        let mut halves = [Self::new(), Self::new()];
        for (first, last) in self.ranges.iter().copied() {
            let all = u64::from(last - first) + 1;
            let here = all.min(left);
            left -= here;
            // The last UID of the first half in this range, if one is.
            let split = here.checked_sub(1).and_then(|more| u32::try_from(more).ok()).map(|more| first + more);
            halves[0].ranges.extend(split.map(|split| (first, split)));
            halves[1].ranges.extend((here < all).then(|| (split.map_or(first, |split| split + 1), last)));
        }
        halves
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
        let mut ranges = Vec::new();
        for range in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = range.split_once(':').unwrap_or((range, range));
            let parse = |n: &str| n.parse::<u32>().ok().filter(|n| *n > 0).ok_or_else(bad);
            ranges.push((parse(first)?, parse(last)?));
        }
        // In ascending order, in which they are quickly put in.
        ranges.sort_unstable();
        let mut set = Self::new();
        ranges.into_iter().for_each(|(first, last)| set.insert_range(first, last));
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

        #[test]
        fn sets_are_taken_apart_as_plain_sets_are(
            a in proptest::collection::btree_set(1u32..40, 0..40),
            b in proptest::collection::btree_set(1u32..40, 0..40),
            longest in 0usize..100,
        ) {
            let set = |uids: &BTreeSet<u32>| uids.iter().copied().collect::<UidSet>();
            let (left, right) = (set(&a), set(&b));
            prop_assert_eq!(left.without(&right), set(&a.difference(&b).copied().collect()));
            prop_assert_eq!(left.common(&right), set(&a.intersection(&b).copied().collect()));
            let pieces = left.pieces(longest);
            prop_assert!(pieces.iter().all(|piece| piece.to_string().len() <= longest.max(22)));
            prop_assert_eq!(pieces.iter().flat_map(UidSet::iter).collect::<UidSet>(), left.clone());
            let [first, second] = left.halves();
            prop_assert_eq!(first.iter().chain(second.iter()).collect::<Vec<_>>(), left.iter().collect::<Vec<_>>());
            prop_assert_eq!(first.len(), left.len() / 2);
        }
    }

    #[test]
    fn the_largest_set_is_taken_apart_too() {
        let all: UidSet = "1:4294967295".parse().unwrap();
        assert_eq!(all.halves().map(|half| half.to_string()), ["1:2147483647", "2147483648:4294967295"]);
        assert_eq!(all.without(&"7".parse().unwrap()).to_string(), "1:6,8:4294967295");
        assert!(all.without(&all).is_empty());
    }

    #[test]
    fn what_is_not_a_set_is_refused() {
        for bad in ["0", "1,", "*", "1:*", "a", "1:2:3", "4294967296", " 1"] {
            assert!(bad.parse::<UidSet>().is_err(), "{bad}");
        }
        assert_eq!("4294967295,1".parse::<UidSet>().map(|s| s.to_string()).ok().as_deref(), Some("1,4294967295"));
    }
}
