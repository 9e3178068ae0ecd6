//! What of an archive a check reads: all packs, those that were committed since some time, or a part by chance.
//!
//! The catalog is always read whole: it is small, and only as a whole it proves anything. A part by chance consists of frames, so that a
//! few percent of one large pack can be read too, and is chosen by a hash: every frame gets its turn in the course of many runs.

use crate::archive::segment::SegmentHeader;
use crate::error::{Error, Result, Status};
use crate::record::Frame;
use crate::time::Time;
use std::str::FromStr;

/// From when on packs are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Since {
    /// Those that this segment, or a later one, names.
    Segment(u64),
    /// Those that were committed at this time or later.
    Time(Time),
}

impl FromStr for Since {
    type Err = Error;

    /// A segment's number, a number of days such as `7d`, or a time as in RFC 3339.
    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::new(
                Status::Usage,
                format!("“{text}” is not a segment's number, a number of days such as 7d, or a time such as 2026-11-24T00:00:00Z"),
            )
        };
        if let Some(days) = text.strip_suffix('d') {
            let days: u32 = days.parse().map_err(|_| bad())?;
            return Ok(Self::Time(Time::from_unix(Time::now().unix() - i64::from(days) * 86_400)));
        }
        if let Ok(number) = text.parse() {
            return Ok(Self::Segment(number));
        }
        let day = format!("{text}T00:00:00Z");
        text.parse().or_else(|_| day.parse()).map(Self::Time).map_err(|_| bad())
    }
}

/// A share of all frames.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Share(f64);

impl FromStr for Share {
    type Err = Error;

    /// A percentage such as `1%` or `0.5%`.
    fn from_str(text: &str) -> Result<Self> {
        let percent = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
        let right = percent.filter(|percent| *percent > 0.0 && *percent <= 100.0);
        right
            .map(|percent| Self(percent / 100.0))
            .ok_or_else(|| Error::new(Status::Usage, format!("“{text}” is not a percentage such as 1%")))
    }
}

/// Which packs, and which of their frames, are read.
#[derive(Clone, Copy, Default, Debug)]
pub struct Choice {
    /// Only these packs.
    pub since: Option<Since>,
    /// Only this part of their frames, and the seed by which it is chosen.
    pub sample: Option<(Share, u64)>,
}

impl Choice {
    /// Whether everything is read.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.since.is_none() && self.sample.is_none()
    }

    /// Whether the pack that this segment names is among those to be read.
    pub(super) fn has_pack(&self, header: &SegmentHeader) -> bool {
        match self.since {
            None => true,
            Some(Since::Segment(first)) => header.segment >= first,
            Some(Since::Time(first)) => header.time >= first,
        }
    }

    /// Whether this frame of such a pack is.
    pub(super) fn has_frame(&self, pack: u64, frame: Frame) -> bool {
        let Some((Share(share), seed)) = self.sample else { return true };
        let numbers: Vec<u8> = [seed, pack, frame.offset].iter().flat_map(|number| number.to_le_bytes()).collect();
        let hash = blake3::hash(&numbers).as_bytes().first_chunk().map_or(0, |first| u32::from_le_bytes(*first));
        f64::from(hash) < share * (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_since_and_sample_take() {
        assert_eq!("12".parse::<Since>().unwrap(), Since::Segment(12));
        assert!(matches!("7d".parse::<Since>().unwrap(), Since::Time(time) if (Time::now().unix() - time.unix() - 7 * 86_400).abs() < 5));
        assert_eq!("2026-11-24".parse::<Since>().unwrap(), "2026-11-24T00:00:00Z".parse::<Since>().unwrap());
        for bad in ["", "d", "-1", "yesterday", "7 d", "99999999999d"] {
            assert!(bad.parse::<Since>().is_err(), "{bad}");
        }
        for bad in ["", "1", "0%", "101%", "-1%", "NaN%", "%"] {
            assert!(bad.parse::<Share>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_sample_is_about_the_share_that_was_asked_for_and_the_seed_decides_it() {
        let chosen = |share: &str, seed| {
            let choice = Choice { since: None, sample: Some((share.parse().unwrap(), seed)) };
            (0..10_000).filter(|n| choice.has_frame(n / 100, Frame { offset: n % 100 * 1000, length: 5 })).collect::<Vec<_>>()
        };
        assert!((80..120).contains(&chosen("1%", 1).len()) && chosen("100%", 1).len() == 10_000);
        assert_eq!(chosen("5%", 1), chosen("5%", 1));
        assert_ne!(chosen("5%", 1), chosen("5%", 2));
    }
}
