//! Results as a table for people: date, sender, subject, whose it is, size; one line each.
//!
//! What stands in mail is written by strangers: no control character of it reaches the terminal, and none that turns the direction of
//! what follows. On a terminal a line is cut to its width; elsewhere only what is cut for the columns' sake is.

use mdrop::record::Receipt;
use mdrop::time::Time;
use mdrop::words::decoded;
use unicode_width::UnicodeWidthChar;

/// The widths of the columns before and behind the subject.
const FROM: usize = 24;
const FILED: usize = 30;
/// How many columns are left for the subject at least, and how many it has where there is no terminal.
const LEAST: usize = 10;
const USUAL: usize = 60;
/// Between two columns.
const GAP: usize = 2;
/// Date and size, and three gaps.
const OTHERS: usize = 16 + 6 + 3 * GAP;

/// The layout.
pub struct Table {
    subject: usize,
    filed: usize,
}

impl Table {
    /// For standard output, as wide as it is.
    pub fn new() -> Self {
        let width = rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
        width.map_or(Self { subject: USUAL, filed: FILED }, Self::of_width)
    }

    /// As wide as this; under whom it is filed gives way first where there is no room.
    fn of_width(width: usize) -> Self {
        let room = width.saturating_sub(OTHERS + FROM);
        let (filed, taken) = if room >= FILED + GAP + LEAST { (FILED, FILED + GAP) } else { (0, 0) };
        Self { subject: room.saturating_sub(taken).max(LEAST), filed }
    }

    /// One line, its LF included.
    pub fn row(&self, receipt: &Receipt, date: Time) -> String {
        let text = |value: &Option<mdrop::octets::Octets>| value.as_ref().map(|value| decoded(value.as_bytes())).unwrap_or_default();
        let date = date.to_string().replace('T', " ");
        let from = text(&receipt.from);
        let mut line = format!("{}  {}  ", date.get(..16).unwrap_or_default(), fit(name(&from), FROM));
        line += &fit(&text(&receipt.subject), self.subject);
        if self.filed > 0 {
            line += "  ";
            line += &fit(&filed(receipt), self.filed);
        }
        format!("{line}  {:>6}\n", size(receipt.size))
    }
}

/// The name before an address, or the address.
fn name(from: &str) -> &str {
    let name = from.split('<').next().unwrap_or_default().trim().trim_matches('"');
    if name.is_empty() { from.trim().trim_matches(['<', '>']) } else { name }
}

/// Under whom it is filed, and where.
fn filed(receipt: &Receipt) -> String {
    let first = receipt.filings.first().map(|filing| format!("{}/{}", filing.user, filing.folder)).unwrap_or_default();
    let more = receipt.filings.len().saturating_sub(1);
    if more > 0 { format!("+{more} {first}") } else { first }
}

/// Octets for people, in at most six characters.
fn size(octets: u64) -> String {
    let units = ["", "k", "M", "G", "T", "P", "E"];
    let step = units.iter().enumerate().find(|(n, _)| octets >> (10 * n) < 1024).unwrap_or((6, &"E"));
    format!("{}{}", octets >> (10 * step.0), step.1)
}

/// The text in exactly so many columns of a terminal, without anything that a terminal obeys.
fn fit(text: &str, width: usize) -> String {
    let (mut fitted, mut used, mut before) = (String::new(), 0, (0, 0));
    for c in text.chars().map(harmless) {
        let wide = c.width().unwrap_or(0);
        if used + wide > width {
            // The last character gives way to the sign that something is missing.
            fitted.truncate(before.0);
            used = before.1;
            fitted.push('…');
            used += 1;
            break;
        }
        if wide > 0 && used + wide < width {
            before = (fitted.len() + c.len_utf8(), used + wide);
        }
        fitted.push(c);
        used += wide;
    }
    fitted.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
    fitted
}

/// Controls and line ends are blanks or signs; characters that turn the direction are signs.
fn harmless(c: char) -> char {
    match c {
        '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr;

    #[test]
    fn a_text_takes_exactly_its_columns() {
        for (text, fitted) in [("abc", "abc     "), ("abcdefgh", "abcdefgh"), ("abcdefghi", "abcdefg…"), ("", "        ")] {
            assert_eq!(fit(text, 8), fitted);
        }
        for text in [
            "\u{6771}\u{4eac}\u{90fd}\u{5e81}\u{3067}\u{4f1a}\u{8b70}",
            "a\u{6771}\u{4eac}\u{90fd}\u{5e81}\u{3067}",
            "e\u{301}e\u{301}e\u{301}",
            "\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}",
        ] {
            assert_eq!(fit(text, 8).width(), 8, "{text}: {}", fit(text, 8));
        }
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_printed() {
        let fitted = fit("a\x1b[31mred\x07\r\nb\u{9b}x\u{202e}y\0", 40);
        assert!(!fitted.chars().any(|c| c.is_control() || c == '\u{202e}'), "{fitted:?}");
    }

    #[test]
    fn sizes_have_at_most_six_characters() {
        assert_eq!([0, 1023, 1024, 10 << 20, u64::MAX].map(size), ["0", "1023", "1k", "10M", "15E"]);
    }

    #[test]
    fn the_table_is_as_wide_as_the_terminal_if_that_is_wide_enough() {
        for (width, filed) in [(80, 0), (100, FILED), (200, FILED)] {
            let table = Table::of_width(width);
            let gap = if filed > 0 { GAP } else { 0 };
            assert_eq!((table.filed, OTHERS + FROM + table.subject + gap + table.filed), (filed, width));
        }
    }
}
