//! The envelope of Exchange 2007 and later, of Microsoft 365 and of Amazon WorkMail (MS-XJRNL section 2.1).
//!
//! Its lines come in an order: the sender, then Subject and Message-ID (either first), then the recipients. The subject is the one
//! value that a stranger chooses, so the order is what protects the rest: senders count above Subject and Message-ID only, recipients
//! below both only. A label begins its line, so that a folded subject is none. Where the subject comes last of the two and has line
//! ends in it (an encoded word may hold any octet), the lines that follow it are compared with the Subject of the message inside, and
//! as far as they are the same they are the sender's and name nobody.

use super::{Envelope, Party, names};

/// The lines that name an address.
const LABELS: [(&str, Party); 6] = [
    ("sender", Party::Sender),
    ("on-behalf-of", Party::Sender),
    ("to", Party::Recipient),
    ("cc", Party::Recipient),
    ("bcc", Party::Recipient),
    ("recipient", Party::Recipient),
];

/// Where the lines stand that part the senders from the recipients, by their number.
#[derive(Debug, Default)]
struct Middle {
    first: Option<usize>,
    last: Option<usize>,
    /// How many lines behind the Subject's are part of it.
    spilt: Option<(usize, usize)>,
}

/// Reads the envelope from its text; `subject` is the Subject of the message inside, decoded.
pub fn read(text: &str, subject: &str) -> (Envelope, bool) {
    let middle = middle(text, subject);
    let is_spilt = |at: usize| middle.spilt.is_some_and(|(first, count)| (first..first + count).contains(&at));
    let above = |at: usize| middle.first.is_none_or(|first| at < first);
    let below = |at: usize| middle.last.is_none_or(|last| at > last);
    let mut envelope = Envelope::default();
    push(text, &mut envelope, |party, at| if party == Party::Sender { above(at) } else { below(at) && !is_spilt(at) });
    // No server is known to write it so; above the subject a line is the server's, too.
    if !envelope.has(Party::Recipient) {
        push(text, &mut envelope, |party, at| party == Party::Recipient && above(at));
    }
    let forged = text.lines().enumerate().any(|(at, line)| is_spilt(at) && label(line).is_some());
    (envelope, forged)
}

fn push(text: &str, envelope: &mut Envelope, counts: impl Fn(Party, usize) -> bool) {
    let mut senders = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let Some((label, party, value)) = label(line).filter(|(_, party, _)| counts(*party, at)) else { continue };
        if party == Party::Sender && senders.contains(&label) {
            continue;
        }
        if party == Party::Sender {
            senders.push(label);
            envelope.push(party, label, names::addresses(value), Vec::new(), value);
        } else {
            envelope.push_value(party, label, value);
        }
    }
}

fn label(line: &str) -> Option<(&'static str, Party, &str)> {
    let (name, value) = line.split_once(':')?;
    let (label, party) = LABELS.iter().find(|(label, _)| name.trim_end().eq_ignore_ascii_case(label))?;
    Some((label, *party, value))
}

fn middle(text: &str, subject: &str) -> Middle {
    let mut middle = Middle::default();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let is = |label: &str| name.trim_end().eq_ignore_ascii_case(label);
        if !is("subject") && !is("message-id") {
            continue;
        }
        middle.first = middle.first.or(Some(at));
        middle.last = Some(at);
        if is("subject") && middle.spilt.is_none() {
            let count = spilt(value, subject, lines.clone().map(|(_, line)| line));
            middle.spilt = Some((at + 1, count));
        }
    }
    middle
}

/// How many of the lines that follow the Subject's are the rest of a subject with line ends in it.
fn spilt<'a>(value: &str, subject: &str, following: impl Iterator<Item = &'a str>) -> usize {
    let mut parts = subject.trim().lines().map(str::trim);
    if parts.next() != Some(value.trim()) {
        return 0;
    }
    parts.zip(following).take_while(|(part, line)| *part == line.trim()).count()
}
