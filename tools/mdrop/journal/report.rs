//! From a mail and what lies in it to a report: which text is the envelope, and where the message is.

use super::header::Header;
use super::mail::{Encoding, Inner, Mail};
use super::text::Text;
use super::{Envelope, Format, Party, Place, Report, capture, exchange, exchange2003, number, zimbra};
use crate::address;

/// Whether a non-delivery report may be a captured copy: what it returns need not be a report then.
pub fn may_be_one(mail: &Mail) -> bool {
    mail.header.format.is_some() || captured(mail).is_some()
}

/// The report that the mail of this number is, or holds. No mail is built twice.
pub fn build(mails: &mut [Mail], number: usize) -> Option<Report> {
    let mail = std::mem::take(mails.get_mut(number)?);
    let first = mail.inners.first().and_then(|inner| mails.get(inner.mail?));
    let inner_header = first.map(|mail| mail.header.clone()).unwrap_or_default();
    let mut nested: Vec<Report> = mail.inners.iter().filter_map(|inner| build(mails, inner.mail?)).collect();
    let whole = match mail.header.format {
        Some(format) => marked(&mail, format, &inner_header),
        None => None,
    };
    match whole {
        Some(report) => Some(Report { nested: nested.pop().map(Box::new), ..report }),
        None if mail.is_returned && nested.is_empty() => {
            captured(&mail).map(|envelope| of(&mail, Format::Capture, envelope, &inner_header))
        }
        None if mail.is_returned => together(nested),
        None => None,
    }
}

/// A report by the mark in its header.
fn marked(mail: &Mail, format: Format, inner: &Header) -> Option<Report> {
    let is_there = !mail.inners.is_empty() || mail.only_header;
    if !format.is_sure() && !is_there {
        return None;
    }
    let subject = inner.decoded_subject();
    let plain = mail.texts.iter().filter(|text| text.kind == "text/plain");
    let others = mail.texts.iter().filter(|text| text.kind == "text/html");
    let (envelope, forged, is_whole) = plain.chain(others).find_map(|text| read(text, format, &subject))?;
    let mut report = of(mail, format, envelope, inner);
    if forged {
        report
            .notes
            .push(("forged", "the Subject of the message in the journal report holds lines that look like recipients; they are none"));
    }
    if !is_whole {
        report.notes.push(("damaged", "the journal report's envelope is cut; recipients may be missing"));
    }
    Some(report)
}

/// The envelope that a text is, whether its subject pretends to be more of it, and whether it is whole. Servers have been seen to use each
/// other's marks, so both of Exchange's forms are tried.
fn read(text: &Text, format: Format, subject: &str) -> Option<(Envelope, bool, bool)> {
    let decoded = text.decoded();
    let newer = || exchange::read(&decoded, subject);
    let older = || (exchange2003::read(&decoded), false);
    let (first, other) = match format {
        Format::Zimbra => ((zimbra::read(&decoded), false), None),
        Format::Exchange2003 => (older(), Some(&newer as &dyn Fn() -> (Envelope, bool))),
        _ => (newer(), Some(&older as &dyn Fn() -> (Envelope, bool))),
    };
    let other = other.filter(|_| !first.0.has(Party::Recipient)).map(|read| read());
    let (envelope, forged) = other.filter(|(envelope, _)| envelope.has(Party::Recipient)).unwrap_or(first);
    envelope.is_one().then_some((envelope, forged, text.is_whole))
}

/// The envelope of a captured copy.
fn captured(mail: &Mail) -> Option<Envelope> {
    let statuses = mail.texts.iter().filter(|text| text.kind.ends_with("delivery-status"));
    let mut envelopes = statuses.map(|text| capture::read(&text.decoded()));
    envelopes.find(Envelope::is_one)
}

fn of(mail: &Mail, format: Format, mut envelope: Envelope, inner: &Header) -> Report {
    // These say nothing of the sender; who wrote the message inside is what is known.
    if !format.is_sure() && !envelope.has(Party::Sender) {
        let from = String::from_utf8_lossy(&inner.from);
        envelope.push(Party::Sender, "from", address::list(&inner.from), Vec::new(), &from);
    }
    number(&mut envelope.lines);
    let place = mail.inners.first().and_then(place);
    let mut notes = Vec::new();
    if mail.is_cut || envelope.is_cut {
        notes.push(("damaged", "the journal report's envelope is longer than is read; recipients may be missing"));
    }
    if envelope.lines.iter().any(|line| line.party == Party::Recipient && line.addresses.is_empty()) {
        notes.push(("damaged", "the journal report names a recipient by what is no address, so who that is is not known"));
    }
    if format.is_sure() && !envelope.lines.iter().any(|line| line.party == Party::Recipient) {
        notes.push(("damaged", "the journal report names no recipient that can be read"));
    }
    if place.is_none() {
        notes.push(("damaged", missing(mail)));
    }
    Report { format, lines: envelope.lines, inner: place, nested: None, notes }
}

fn missing(mail: &Mail) -> &'static str {
    match mail.inners.first() {
        Some(Inner { length: None, .. }) => "the message in the journal report is cut",
        Some(_) => "the message in the journal report is encoded in a way that is not known",
        None if mail.only_header => "the journal report holds only the header of its message",
        None => "the journal report holds no message",
    }
}

fn place(inner: &Inner) -> Option<Place> {
    let encoding = match inner.encoding {
        Encoding::Identity => None,
        Encoding::Named(name) => Some(name),
        Encoding::Unknown => return None,
    };
    Some(Place { offset: inner.offset, length: inner.length?, encoding })
}

/// Several reports that lie in one mail: their recipients add up. Where they are about more than one message no place is told, since a
/// reader would be given one of them for all.
fn together(reports: Vec<Report>) -> Option<Report> {
    let count = reports.len();
    let mut reports = reports.into_iter();
    let mut all = reports.next()?;
    for report in reports {
        all.lines.extend(report.lines);
        all.notes.extend(report.notes);
    }
    number(&mut all.lines);
    if count > 1 {
        all.inner = None;
        all.nested = None;
        all.notes.push(("contradictory", "it holds several journal reports, so no message is told apart in it"));
    }
    Some(all)
}
