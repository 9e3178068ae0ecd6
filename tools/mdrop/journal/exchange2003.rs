//! The envelope of Exchange 2000 and 2003, which other servers write too.
//!
//! `Sender: "Name" <SMTP:a@example.com>`, `Message-ID: <…>`, then `Recipients:` and one recipient a line, after a tab. A long name goes on
//! in further lines, and a name is what somebody chose: it is over only where its quotes and brackets are closed, and of a line that names
//! more than one address in brackets the last counts.

use super::{Envelope, Party};

/// The labels that a line begins with.
const LABELS: [&str; 3] = ["sender", "message-id", "recipients"];
/// Over how many lines one entry may go.
const FOLDED: usize = 15;

/// Reads the envelope from its text.
pub fn read(text: &str) -> Envelope {
    let mut envelope = Envelope::default();
    let mut section = None;
    let mut entry = Entry::default();
    for line in text.lines() {
        let begun = label(line).filter(|_| !entry.is_open());
        if let Some((label, rest)) = begun {
            entry.flush(section, &mut envelope);
            section = Some(label);
            entry.add(rest);
        } else if line.trim().is_empty() {
            entry.flush(section, &mut envelope);
            // The list of recipients ends with an empty line, once it has begun.
            section = section.filter(|label| *label == "recipients" && !envelope.has(Party::Recipient));
        } else if section.is_some() {
            entry.add(line);
        }
        if !entry.is_open() && section == Some("recipients") {
            entry.flush(section, &mut envelope);
        }
    }
    entry.flush(section, &mut envelope);
    envelope
}

fn label(line: &str) -> Option<(&'static str, &str)> {
    let (name, rest) = line.split_once(':')?;
    LABELS.into_iter().find(|label| name.trim_end().eq_ignore_ascii_case(label)).map(|label| (label, rest))
}

/// What belongs to one value, from as many lines as it has.
#[derive(Debug, Default)]
struct Entry {
    text: String,
    lines: usize,
    quoted: bool,
    escaped: bool,
    bracket: bool,
}

impl Entry {
    fn add(&mut self, line: &str) {
        self.lines += 1;
        if self.lines > FOLDED {
            return;
        }
        self.text.push_str(line);
        for c in line.chars() {
            match c {
                _ if self.escaped => self.escaped = false,
                '\\' if self.quoted => self.escaped = true,
                '"' => self.quoted = !self.quoted,
                '<' if !self.quoted => self.bracket = true,
                '>' if !self.quoted => self.bracket = false,
                _ => {}
            }
        }
    }

    /// Whether a quote or a bracket is not closed yet.
    fn is_open(&self) -> bool {
        (self.quoted || self.bracket) && self.lines < FOLDED
    }

    fn flush(&mut self, section: Option<&str>, envelope: &mut Envelope) {
        match section {
            Some("sender") if !envelope.has(Party::Sender) => envelope.push_value(Party::Sender, "sender", &self.text),
            Some("recipients") => envelope.push_value(Party::Recipient, "recipients", &self.text),
            _ => {}
        }
        *self = Self::default();
    }
}
