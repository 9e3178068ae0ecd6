//! When a message was delivered, for addresses that passed from one person to another.
//!
//! The date in the Received field of the hop that decided, if that is trusted: the server wrote it when it took the message for that
//! address. Else the server's own note (INTERNALDATE), which a move between servers may have lost; else the Date field, which the
//! sender wrote.

use mdrop::header::Field;
use mdrop::time::Time;

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
            self.date = Time::from_mail(field.value);
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
        let found = [end, value.len()].into_iter().find_map(|end| Time::from_mail(value.get(at + 1..end)?));
        if found.is_some() {
            return found;
        }
        end = at;
    }
    None
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
