//! When a message was delivered, for addresses that passed from one person to another.
//!
//! The date in the Received field of the hop that decided, if that is trusted: the server wrote it when it took the message for that
//! address. Else the server's own note (INTERNALDATE), which a move between servers may have lost; else the Date field, which the
//! sender wrote. jiff reads the dates, obsolete zones and comments included (RFC 5322 section 4.3); mailparse's reader counts up to a year
//! one by one and takes as long as the sender likes.

use jiff::fmt::rfc2822::DateTimeParser;
use mdrop::header::Field;
use mdrop::time::Time;

/// How long a date may be, in octets.
const LONGEST_DATE: usize = 200;
/// Behind how many semicolons a date is looked for, from the last one on.
const SEMICOLONS: usize = 3;

/// How many Received fields are looked at.
const HOPS: usize = 1000;

/// What a header says of when its message was delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// The dates of the Received fields, from the top.
    hops: Vec<Option<Time>>,
    /// The Date field's.
    date: Option<Time>,
}

impl Clock {
    /// Reads one more field of the header.
    pub fn read(&mut self, field: &Field) {
        if field.is("received") && self.hops.len() < HOPS {
            self.hops.push(behind_semicolon(field.value));
        } else if field.is("date") && self.date.is_none() {
            self.date = date(field.value);
        }
    }

    /// The moment of delivery, for what the hop decided; `trusted` hops from the top are. `noted` is when the server took the message.
    #[must_use]
    pub fn at(&self, hop: u32, trusted: u32, noted: Option<Time>) -> Option<Time> {
        let place = usize::try_from(hop).ok().filter(|_| hop < trusted);
        let received = place.and_then(|place| self.hops.get(place).copied().flatten());
        received.or(noted).or(self.date)
    }
}

/// The date of a Received field (RFC 5321 section 4.4); some writers add more behind it.
fn behind_semicolon(value: &[u8]) -> Option<Time> {
    let mut end = value.len();
    for at in memchr::memrchr_iter(b';', value).take(SEMICOLONS) {
        // A comment may hold a semicolon, too.
        let found = [end, value.len()].into_iter().find_map(|end| date(value.get(at + 1..end)?));
        if found.is_some() {
            return found;
        }
        end = at;
    }
    None
}

fn date(value: &[u8]) -> Option<Time> {
    let value = value.trim_ascii();
    if value.len() > LONGEST_DATE {
        return None;
    }
    let unfolded: Vec<u8> = value.iter().map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { *b }).collect();
    let parsed = DateTimeParser::new().relaxed_weekday(true).parse_timestamp(unfolded).ok()?;
    Some(Time::from_unix(parsed.as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(header: &[u8]) -> Clock {
        let mut clock = Clock::default();
        mdrop::header::fields(header).for_each(|field| clock.read(&field));
        clock
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
            assert_eq!(date(text.as_bytes()).map(|time| time.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_hop_that_decided_comes_first_if_it_is_trusted() {
        let header = "Received: by a; x; Mon, 1 Jan 2024 00:00:00 +0000\nReceived: by b; Sun, 1 Jan 2023 00:00:00 +0000; x y\nReceived: by c\nDate: Sat, 1 Jan 2022 00:00:00 +0000\nDate: Fri, 1 Jan 2021 00:00:00 +0000\n\nReceived: by d; 1 Jan 2020 00:00:00 +0000\n";
        let clock = clock(header.as_bytes());
        let year = |hop, trusted, noted| clock.at(hop, trusted, noted).map(|time| time.to_string()[..4].to_owned());
        let cases = [(0, u32::MAX, "2024"), (1, u32::MAX, "2023"), (1, 1, "2022"), (2, u32::MAX, "2022"), (9, u32::MAX, "2022")];
        for (hop, trusted, expected) in cases {
            assert_eq!(year(hop, trusted, None).as_deref(), Some(expected), "{hop} of {trusted}");
        }
        let noted = Some(Time::from_unix(1_735_689_600));
        assert_eq!((year(2, 9, noted).as_deref(), year(0, 9, noted).as_deref()), (Some("2025"), Some("2024")));
        assert_eq!(Clock::default().at(0, u32::MAX, None), None);
    }

    #[test]
    fn the_date_of_a_received_field_stands_behind_a_semicolon() {
        let cases = [
            ("by b; 1 Jan 2023 00:00:00 +0000", true),
            ("by b; 1 Jan 2023 00:00:00 +0000; x y", true),
            ("by b (x; y) ; 1 Jan 2023 00:00:00 +0000 (a; b)", true),
            ("by b; x; 1 Jan 2023 00:00:00 +0000; y; z", true),
            ("by b; 1 Jan 2023 00:00:00 +0000; x; y; z", false),
            ("1 Jan 2023 00:00:00 +0000", false),
            ("", false),
        ];
        for (value, found) in cases {
            assert_eq!(behind_semicolon(value.as_bytes()).is_some(), found, "{value}");
        }
    }

    #[test]
    fn hostile_fields_take_linear_time() {
        let started = std::time::Instant::now();
        for unit in [";", "(", "; 1 Jan 2020 ", "\n ;", "9"] {
            let value = unit.repeat((1 << 20) / unit.len());
            assert!(clock(format!("Received: {value}\nDate: {value}\n").as_bytes()).at(0, 1, None).is_none());
        }
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    }
}
