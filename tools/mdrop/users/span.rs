//! From when until when something holds, as a users list says it.
//!
//! A day is a whole day in UTC, at either end, so that "until 30 June" holds on 30 June; an instant is the second at which the
//! one ends and the other begins. Inside, the end is always the first second that no longer belongs to it.

use crate::time::Time;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;

/// A span of time, each end open or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    from: Option<Time>,
    /// The first second behind it.
    end: Option<Time>,
}

impl Span {
    /// The span between two bounds; none if nothing lies between them.
    pub fn new(from: Option<Bound>, until: Option<Bound>) -> Option<Self> {
        let first = from.map(|bound| bound.first);
        Self { from: first, end: until.and_then(|bound| bound.end) }.unless_empty()
    }

    /// What both have in common.
    pub fn and(self, other: Self) -> Option<Self> {
        let earlier = match (self.end, other.end) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self { from: self.from.max(other.from), end: earlier }.unless_empty()
    }

    /// Both as one, if there is no gap between them.
    pub fn joined(self, other: Self) -> Option<Self> {
        let reaches = |a: Self, b: Self| a.end.is_none_or(|end| b.from.is_none_or(|from| from <= end));
        let later = |a: Option<Time>, b: Option<Time>| a.zip(b).map(|(a, b)| a.max(b));
        (reaches(self, other) && reaches(other, self)).then(|| Self { from: self.from.min(other.from), end: later(self.end, other.end) })
    }

    fn unless_empty(self) -> Option<Self> {
        let empty = self.from.zip(self.end).is_some_and(|(from, end)| from >= end);
        (!empty).then_some(self)
    }

    /// Whether it has neither beginning nor end.
    pub fn is_always(self) -> bool {
        self == Self::default()
    }

    /// Whether it holds at a moment; none if that can't be told because the moment is not known.
    pub fn holds(self, at: Option<Time>) -> Option<bool> {
        if self.is_always() {
            return Some(true);
        }
        at.map(|at| self.from.is_none_or(|from| from <= at) && self.end.is_none_or(|end| at < end))
    }

    /// The ends as seconds since 1970, for a digest.
    pub fn ends(self) -> (Option<i64>, Option<i64>) {
        (self.from.map(Time::unix), self.end.map(Time::unix))
    }
}

impl fmt::Display for Span {
    /// ` from … until …`, each only where there is one; the end is the first second behind it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.from.map_or(Ok(()), |from| write!(f, " from {from}"))?;
        self.end.map_or(Ok(()), |end| write!(f, " until {end}"))
    }
}

/// One end of a span: a day (`2023-06-30`) or an instant (`2023-06-30T12:00:00+02:00`), as TOML's own type or as a string (RFC 3339).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    first: Time,
    end: Option<Time>,
}

impl Bound {
    fn parse(text: &str) -> Option<Self> {
        let midnight = |date: jiff::civil::Date| {
            let days = date.since(jiff::civil::date(1970, 1, 1)).ok()?.get_days();
            Some(Time::from_unix(i64::from(days) * 86_400))
        };
        if text.len() == "2023-06-30".len() {
            let date: jiff::civil::Date = text.parse().ok()?;
            return Some(Self { first: midnight(date)?, end: date.tomorrow().ok().and_then(midnight) });
        }
        let instant = Time::from_unix(text.parse::<jiff::Timestamp>().ok()?.as_second());
        Some(Self { first: instant, end: Some(instant) })
    }
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Bound;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a date such as 2023-06-30, or a time with its offset such as 2023-06-30T12:00:00Z")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Bound, E> {
                let wrong = || {
                    E::custom(format!("“{text}” is not a date such as 2023-06-30, nor a time with its offset such as 2023-06-30T12:00:00Z"))
                };
                Bound::parse(text).ok_or_else(wrong)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Bound, A::Error> {
                let datetime = toml::value::Datetime::deserialize(MapAccessDeserializer::new(map))?;
                self.visit_str(&datetime.to_string())
            }
        }
        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: &str, until: &str) -> Option<Span> {
        let bound = |text: &str| (!text.is_empty()).then(|| Bound::parse(text).unwrap());
        Span::new(bound(from), bound(until))
    }

    #[test]
    fn a_day_is_whole_at_either_end_and_an_instant_ends_what_it_begins() {
        let cases = [
            ("2020-01-01", "2023-06-30", "2019-12-31T23:59:59Z", false),
            ("2020-01-01", "2023-06-30", "2020-01-01T00:00:00Z", true),
            ("2020-01-01", "2023-06-30", "2023-06-30T23:59:59Z", true),
            ("2020-01-01", "2023-06-30", "2023-07-01T00:00:00Z", false),
            ("", "2023-06-30T12:00:00+02:00", "2023-06-30T09:59:59Z", true),
            ("", "2023-06-30T12:00:00+02:00", "2023-06-30T10:00:00Z", false),
            ("2023-06-30T12:00:00+02:00", "", "2023-06-30T10:00:00Z", true),
            ("", "9999-12-31", "9999-12-30T12:00:00Z", true),
        ];
        for (from, until, at, holds) in cases {
            assert_eq!(span(from, until).unwrap().holds(at.parse().ok()), Some(holds), "{from} {until} {at}");
        }
        assert_eq!(span("2020-01-01", "").unwrap().holds(None), None);
        assert_eq!(Span::default().holds(None), Some(true));
    }

    #[test]
    fn what_two_spans_share_and_whether_they_join() {
        let shown = |span: Option<Span>| span.map(|span| span.to_string());
        let (old, new) = (span("", "2020-12-31").unwrap(), span("2021-01-01", "").unwrap());
        assert_eq!(shown(old.and(new)), None);
        assert_eq!(shown(old.joined(new)).as_deref(), Some(""));
        let day = span("2020-12-31", "2021-01-01").unwrap();
        assert_eq!(shown(old.and(day)).as_deref(), Some(" from 2020-12-31T00:00:00Z until 2021-01-01T00:00:00Z"));
        assert_eq!(shown(new.joined(day)).as_deref(), Some(" from 2020-12-31T00:00:00Z"));
        assert_eq!(span("2019-01-01", "2019-12-31").unwrap().joined(new), None);
        assert_eq!((span("2021-01-02", "2021-01-01"), span("2021-01-01T00:00:00Z", "2021-01-01T00:00:00Z")), (None, None));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for bad in ["", "2023-6-30", "2023-02-30", "12:00:00", "2023-06-30T12:00:00", "30.06.2023", "soon", "99999-01-01"] {
            assert_eq!(Bound::parse(bad), None, "{bad}");
        }
    }
}
