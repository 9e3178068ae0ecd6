//! Which lines begin a message: those that begin with `From ` and have a date, in any of the forms that programs write.
//!
//! `From here on it rains`, after an empty line of a text that nobody quoted, is no message; so a line needs a date, unless it has none in
//! all of the file (its first line tells).

/// Whether a line that begins with `From ` has a date and a time: `Nov 23 18:54:00`, `23 Nov 2026 18:54:00`, `2026-11-23T18:54:00Z`.
pub(super) fn is_dated(line: &[u8]) -> bool {
    let words: Vec<&[u8]> = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).skip(1).collect();
    let ctime = |w: &[&[u8]]| matches!(w, [month, day, time, ..] if is_month(month) && is_day(day) && is_time(time));
    let rfc =
        |w: &[&[u8]]| matches!(w, [day, month, year, time, ..] if is_day(day) && is_month(month) && is_number(year, 2, 4) && is_time(time));
    let iso = |w: &[&[u8]]| w.first().is_some_and(|word| is_iso_date(word));
    (0..words.len()).filter_map(|at| words.get(at..)).any(|rest| ctime(rest) || rfc(rest) || iso(rest))
}

fn is_number(word: &[u8], shortest: usize, longest: usize) -> bool {
    (shortest..=longest).contains(&word.len()) && word.iter().all(u8::is_ascii_digit)
}

fn is_month(word: &[u8]) -> bool {
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    months.iter().any(|month| word.eq_ignore_ascii_case(month.as_bytes()))
}

fn is_day(word: &[u8]) -> bool {
    is_number(word, 1, 2)
}

fn is_time(word: &[u8]) -> bool {
    let parts = word.split(|octet| *octet == b':');
    (2..=3).contains(&parts.clone().count()) && parts.clone().all(|part| is_number(part, 1, 2))
}

fn is_iso_date(word: &[u8]) -> bool {
    let is_like = |(octet, like): (&u8, &u8)| if *like == b'0' { octet.is_ascii_digit() } else { octet == like };
    word.len() >= 10 && word.iter().zip(b"0000-00-00").all(is_like)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_separator_has_a_date_in_one_of_the_usual_forms() {
        let yes = [
            "MAILER-DAEMON Sun Nov 22 18:54:00 2026\n",
            "- Mon Nov 23 00:00:00 2026\r\n",
            "a@b  Mon Nov  2 00:00 2026\n",
            "1234@xxx Mon Nov 23 00:00:00 +0000 2026\n",
            "a@b Mon, 23 Nov 2026 00:00:00 +0000\n",
            "a@b Mon Nov 23 00:00:00 CET 2026 remote from host\n",
            "\"a b\"@c Mon Nov 23 00:00:00 2026",
            "a@b 2026-11-23T18:54:00Z\n",
            " Mon Nov 23 00:00:00 2026\n",
        ];
        yes.iter().for_each(|line| assert!(is_dated(format!("From {line}").as_bytes()), "{line}"));
        let no =
            ["here on\n", "\n", "", "May to June\n", "10:30 on Nov 23\n", "Nov 23 to Dec 3 2026\n", "the desk, 23 Nov 2026\n", "1-2-3\n"];
        no.iter().for_each(|line| assert!(!is_dated(format!("From {line}").as_bytes()), "{line}"));
    }
}
