//! Instants, to the second, written as RFC 3339 in UTC.
//!
//! Seconds, because INTERNALDATE has no more and because a stream must compare equal after a round trip.

use crate::error::{Error, Result, Status};
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A second in time, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Time(i64);

/// Years 0000 to 9999, which is what RFC 3339 can write.
const RANGE: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_207_200;

/// How long the value of a Date field may be, in octets.
const LONGEST_DATE: usize = 200;

impl Time {
    /// The system's clock now.
    #[must_use]
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_second())
    }

    /// The instant `seconds` after 1970-01-01T00:00:00Z, held within the years 0000 to 9999.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        Self(seconds.clamp(*RANGE.start(), *RANGE.end()))
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix(self) -> i64 {
        self.0
    }

    /// Reads an IMAP date-time such as `" 1-Feb-2026 03:04:05 +0100"` (RFC 9051 section 9, date-time).
    #[must_use]
    pub fn from_imap(text: &str) -> Option<Self> {
        let (date, rest) = text.trim_start().split_once(' ')?;
        let (clock, zone) = rest.split_once(' ')?;
        let mut date = date.splitn(3, '-');
        let (day, month, year) = (date.next()?.parse().ok()?, date.next()?, date.next()?.parse().ok()?);
        let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))?;
        let mut clock = clock.splitn(3, ':').map(str::parse::<i8>);
        let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
        let month = i8::try_from(month + 1).ok()?;
        let civil = jiff::civil::DateTime::new(year, month, day, hour, minute, second.min(59), 0).ok()?;
        let local = civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
        Some(Self::from_unix(local - zone_offset(zone.trim())?))
    }

    /// Reads a Date field's value, obsolete zones and comments included (RFC 5322 sections 3.3 and 4.3). jiff reads it; mailparse's reader
    /// counts up to a year one by one and takes as long as the sender likes.
    #[must_use]
    pub fn from_mail(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        if value.len() > LONGEST_DATE {
            return None;
        }
        let unfolded: Vec<u8> = value.iter().map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { *b }).collect();
        let parsed = DateTimeParser::new().relaxed_weekday(true).parse_timestamp(unfolded).ok()?;
        Some(Self::from_unix(parsed.as_second()))
    }

    /// The form of ctime(3) without its newline, as the `From ` line of an mbox has it: `Sun Nov 22 18:54:00 2026`.
    #[must_use]
    pub fn to_ctime(self) -> String {
        self.civil().map_or_else(|| "Thu Jan  1 00:00:00 1970".into(), |civil| civil.strftime("%a %b %e %H:%M:%S %Y").to_string())
    }

    fn civil(self) -> Option<jiff::civil::DateTime> {
        Some(jiff::Timestamp::from_second(self.0).ok()?.to_zoned(TimeZone::UTC).datetime())
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `+0130` as seconds east of Greenwich.
fn zone_offset(zone: &str) -> Option<i64> {
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits: i64 = zone.strip_prefix(['+', '-'])?.parse().ok()?;
    (zone.len() == 5).then_some(sign * (digits / 100 * 3600 + digits % 100 * 60))
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.civil() {
            Some(civil) => write!(f, "{}", civil.strftime("%Y-%m-%dT%H:%M:%SZ")),
            None => f.write_str("1970-01-01T00:00:00Z"),
        }
    }
}

impl FromStr for Time {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.parse::<jiff::Timestamp>();
        parsed.map(|t| Self::from_unix(t.as_second())).map_err(|_| Error::new(Status::Data, format!("“{text}” is not an RFC 3339 time")))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_imap_date_time_becomes_utc() {
        let time = Time::from_imap(" 1-Feb-2026 03:04:05 +0130").map(|t| t.to_string());
        assert_eq!(time.as_deref(), Some("2026-02-01T01:34:05Z"));
        assert_eq!(Time::from_imap("31-Dec-1999 23:59:60 -0800").map(|t| t.to_string()).as_deref(), Some("2000-01-01T07:59:59Z"));
        for bad in ["", "x", "32-Jan-2026 00:00:00 +0000", "1-Feb-2026 03:04 +0000", "1-Feb-2026 03:04:05 UTC"] {
            assert_eq!(Time::from_imap(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_are_read_as_servers_write_them() {
        let cases = [
            ("Mon, 23 Nov 2026 10:00:00 +0100", Some("2026-11-23T09:00:00Z")),
            ("Mon, 23 Nov 2026 10:00:00 +0100 (CET)", Some("2026-11-23T09:00:00Z")),
            ("Tue, 23 Nov 2026 10:00:00 -0000", Some("2026-11-23T10:00:00Z")),
            ("23 Nov 26 10:00 EST", Some("2026-11-23T15:00:00Z")),
            ("Mon, 23 Nov 2026\r\n\t10:00:00 GMT", Some("2026-11-23T10:00:00Z")),
            ("Mon,  2 Nov 2026 10:00:00 +0000 (envelope-from <a@b.example>)", Some("2026-11-02T10:00:00Z")),
            ("Mon, 2 Nov 1998 23:59:60 +0000", Some("1998-11-02T23:59:59Z")),
            ("Mon, 32 Nov 2026 10:00:00 +0000", None),
            ("Mon, 2 Nov 999999999999999999999 10:00:00 +0000", None),
            ("Mon, 2 Nov 2026 10:00:00 +9999", None),
            ("yesterday", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Time::from_mail(text.as_bytes()).map(|time| time.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_from_line_has_the_form_of_ctime() -> Result<()> {
        assert_eq!("2026-11-02T08:54:00Z".parse::<Time>()?.to_ctime(), "Mon Nov  2 08:54:00 2026");
        assert_eq!(Time::from_unix(i64::MAX).to_string().len(), 20);
        Ok(())
    }
}
