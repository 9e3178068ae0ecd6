//! All that a header says of senders and recipients, in one pass from top to bottom: each item with its field, position and hop.
//!
//! Nothing is judged here. A hop is the number of Received fields above a field: hop 0 was written last, nearest to the mailbox.

use crate::fields::{FIELDS, Use};
use crate::moment::Clock;
use crate::policy::{Policy, TrustedField};
use crate::received::{self, Received};
use mdrop::address::{self, Address};
use mdrop::error::Result;
use mdrop::header::{self, Field};
use mdrop::journal::{self, Format};
use mdrop::record::{self, Kind};
use mdrop::spool::Spool;
use std::collections::HashSet;

/// How much of a value that is no address is shown.
const SHOWN: usize = 200;

/// One value that may name a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The address; none where the value is no address.
    pub address: Option<Address>,
    /// The value, where it is no address.
    pub value: Vec<u8>,
    /// Where it stands.
    pub place: Place,
}

/// Where a value stands in the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The field's name in lower case.
    pub field: Name,
    /// The how-manieth field of that name, from 1.
    pub position: u32,
    /// The number of Received fields above it.
    pub hop: u32,
    /// The how-manieth field of the header, by which values of one field are known.
    pub line: u32,
    /// In which order fields of one hop count.
    pub rank: usize,
    /// What kind of evidence it is.
    pub kind: Kind,
}

impl Place {
    /// The place as records show it.
    #[must_use]
    pub fn evidence(&self) -> record::Evidence {
        record::Evidence { field: self.field.as_str().into(), position: self.position, hop: self.hop, kind: self.kind }
    }
}

/// A field's name: one of ours, or one that the profile adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A field that every profile knows.
    Known(&'static str),
    /// A field that this profile trusts.
    Added(String),
}

impl Name {
    /// The name in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(name) => name,
            Self::Added(name) => name,
        }
    }
}

/// A value that may name the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderCandidate {
    /// The address; none for the null sender.
    pub address: Option<Address>,
    /// Where it stands.
    pub place: Place,
}

/// What a header says.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// Everything that may name a recipient, from top to bottom. What can't become one is there only to be explained.
    pub candidates: Vec<Candidate>,
    /// Whether a field was cut, or passed over because too many stand above it.
    pub is_cut: bool,
    /// Whether a Resent field names anybody.
    pub is_resent: bool,
    /// Everything that may name the sender, from top to bottom.
    pub senders: Vec<SenderCandidate>,
    /// In which hops an envelope field stands, each with the topmost one's line.
    pub deliveries: Vec<(u32, u32)>,
    /// The addresses of mailing lists that the message came through, in normal form.
    pub lists: Vec<String>,
    /// The Received fields from the top.
    pub received: Vec<Received>,
    /// The kind of journal report that a field says the message is.
    pub report: Option<Format>,
    /// The Content-Type field's value, unfolded; empty where there is none.
    pub content_type: Vec<u8>,
    /// When it was delivered; read only where that decides.
    pub clock: Clock,
}

/// Whether a field of this name is read in any case.
#[must_use]
pub fn knows(field: &Field) -> bool {
    FIELDS.iter().any(|(name, _)| field.is(name))
}

/// How much of a Content-Type value is read.
const CONTENT_TYPE: usize = 2000;
/// How much of one field is read where the message is not in memory, in octets.
const LONGEST_FIELD: usize = 8 << 20;
/// How much of one Received field is read, in octets; no server writes a tenth of it.
const LONGEST_RECEIVED: usize = 64 << 10;
/// How many Received fields are read. RFC 5321 section 6.3 takes a hundred for a loop; whatever stands further down was written into the
/// message by its sender.
const HOPS: u32 = 1000;
/// How many addresses of ours a header may name, and how many others are explained. No server takes a message for as many recipients.
const ADDRESSES: usize = 20_000;
/// How many outsiders a header may name as its senders. Any of them can matter: the Return-Path of a list outside tells what a list is.
const SENDERS: usize = 2000;
/// How many addresses of mailing lists are kept; one message came through few.
const LISTS: usize = 100;

/// Reads a header; `octets` may go on behind it, and may be the encoded form of a stream. With `explain` it holds every candidate, else
/// those that can matter.
#[must_use]
pub fn read(policy: &Policy, octets: &[u8], explain: bool) -> Header {
    let mut reader = Reader::new(policy, explain);
    for field in header::fields(octets) {
        reader.field(&field, false);
    }
    reader.header
}

/// The same for a message that is not in memory.
///
/// # Errors
/// What the temporary file reports.
pub fn read_long(policy: &Policy, message: &mut Spool, explain: bool) -> Result<Header> {
    let mut reader = Reader::new(policy, explain);
    let eol = header::long::line_end(&mut *message.reader()?)?;
    header::long::each_field(&mut *message.reader()?, eol, LONGEST_FIELD, &mut |field, cut| reader.field(field, cut))?;
    Ok(reader.header)
}

struct Reader<'a> {
    policy: &'a Policy,
    explain: bool,
    /// How many fields of each name have been seen.
    seen: [u32; FIELDS.len()],
    added: Vec<u32>,
    line: u32,
    hop: u32,
    /// What was kept, by the field's rank and hop: the same once more would change nothing.
    kept: HashSet<(usize, u32, String)>,
    /// How many addresses were kept because they can decide, and how many values to be explained.
    deciding: usize,
    shown: usize,
    header: Header,
}

impl<'a> Reader<'a> {
    fn new(policy: &'a Policy, explain: bool) -> Self {
        let (added, header) = (vec![0; policy.trusted_fields.len()], Header::default());
        Self { policy, explain, seen: [0; FIELDS.len()], added, line: 0, hop: 0, kept: HashSet::new(), deciding: 0, shown: 0, header }
    }

    fn field(&mut self, field: &Field, cut: bool) {
        self.line = self.line.saturating_add(1);
        if self.policy.needs_moment {
            self.header.clock.read(field);
        }
        let Some((rank, (name, kind))) = FIELDS.iter().enumerate().find(|(_, (name, _))| field.is(name)) else {
            return self.added_field(field, cut);
        };
        let position = self.seen.get_mut(rank).map_or(1, |seen| {
            *seen += 1;
            *seen
        });
        self.header.is_cut |= cut;
        let place = |kind| Place { field: Name::Known(name), position, hop: self.hop, line: self.line, rank, kind };
        match kind {
            Use::Received => self.received(&place(Kind::Received), field.value),
            Use::Resent => self.recipients(&place(Kind::Resent), address::list_iter(field.value), field.value),
            Use::Guess => self.recipients(&place(Kind::Header), address::list_iter(field.value), field.value),
            Use::List => self.lists(field.value),
            Use::Report => self.header.report = self.header.report.into_iter().chain(journal::mark(field)).min(),
            Use::ContentType if position == 1 => self.header.content_type = field.unfolded(CONTENT_TYPE),
            Use::ContentType => {}
            Use::Sender if self.hop >= HOPS => self.header.is_cut = true,
            Use::Envelope => self.envelope(&place(Kind::Envelope), field.value),
            Use::Sender => self.senders(&place(Kind::Sender), field.value),
        }
    }

    /// A field that only the profile names.
    fn added_field(&mut self, field: &Field, cut: bool) {
        let Some(at) = self.policy.trusted_fields.iter().position(|trusted| field.is(&trusted.name)) else { return };
        let (Some(trusted), Some(seen)) = (self.policy.trusted_fields.get(at), self.added.get_mut(at)) else { return };
        *seen += 1;
        self.header.is_cut |= cut;
        let (name, position) = (Name::Added(trusted.name.clone()), *seen);
        let place = Place { field: name, position, hop: self.hop, line: self.line, rank: FIELDS.len() + at, kind: Kind::Envelope };
        self.envelope(&place, field.value);
    }

    fn envelope(&mut self, place: &Place, value: &[u8]) {
        if place.hop >= HOPS {
            self.header.is_cut = true;
            return;
        }
        if self.header.deliveries.last().is_none_or(|(hop, _)| *hop != place.hop) {
            self.header.deliveries.push((place.hop, place.line));
        }
        self.recipients(place, address::trace_iter(value), value);
    }

    fn recipients(&mut self, place: &Place, addresses: impl Iterator<Item = Address>, value: &[u8]) {
        let mut is_empty = true;
        for address in addresses {
            is_empty = false;
            if self.decides(place, &address) || self.is_shown() {
                self.header.candidates.push(Candidate { address: Some(address), value: Vec::new(), place: place.clone() });
            }
        }
        self.header.is_resent |= place.kind == Kind::Resent && !is_empty;
        let value = value.trim_ascii();
        if is_empty && !value.is_empty() && self.is_shown() {
            let value = value.get(..value.len().min(SHOWN)).unwrap_or_default().to_vec();
            self.header.candidates.push(Candidate { address: None, value, place: place.clone() });
        }
    }

    /// Whether an address can change what is decided: a hostile header must not fill the memory with others, nor with too many.
    fn decides(&mut self, place: &Place, address: &Address) -> bool {
        let is_asked = |field: &TrustedField| field.position == Some(place.position) && field.name == place.field.as_str();
        let concerns = self.policy.directory.concerns(address);
        if concerns && self.deciding >= ADDRESSES {
            self.header.is_cut = true;
        } else if concerns
            && (self.policy.trusted_fields.iter().any(is_asked) || self.kept.insert((place.rank, place.hop, address.normal())))
        {
            self.deciding += 1;
            return true;
        }
        false
    }

    /// Whether there is room for what is only explained.
    fn is_shown(&mut self) -> bool {
        self.shown = self.shown.saturating_add(usize::from(self.explain));
        self.explain && self.shown <= ADDRESSES
    }

    fn received(&mut self, place: &Place, value: &[u8]) {
        self.hop = self.hop.saturating_add(1);
        if place.hop >= HOPS {
            self.header.is_cut = true;
            return;
        }
        self.header.is_cut |= value.len() > LONGEST_RECEIVED;
        let mut received = received::read(value.get(..LONGEST_RECEIVED).unwrap_or(value));
        let address = received.envelope_from.take();
        if address.is_some() || received.is_null_sender {
            self.header.senders.push(SenderCandidate { address, place: Place { kind: Kind::Sender, ..place.clone() } });
        }
        let other = received.other.take().unwrap_or_default();
        self.recipients(place, std::mem::take(&mut received.recipients).into_iter(), &other);
        self.header.received.push(received);
    }

    fn senders(&mut self, place: &Place, value: &[u8]) {
        let is_list = matches!(place.field, Name::Known("from" | "sender" | "resent-from"));
        let named: Box<dyn Iterator<Item = Address>> =
            if is_list { Box::new(address::list_iter(value)) } else { Box::new(address::trace_iter(value)) };
        let is_null = !is_list && is_null(value);
        let addresses = is_null.then_some(None).into_iter().chain(named.map(Some));
        for address in addresses {
            let fits = self.header.senders.len() < SENDERS;
            self.header.is_cut |= !fits;
            if fits || address.as_ref().is_some_and(|address| self.decides(place, address)) {
                self.header.senders.push(SenderCandidate { address, place: place.clone() });
            }
        }
    }

    fn lists(&mut self, value: &[u8]) {
        for address in list_addresses(value.get(..LONGEST_RECEIVED).unwrap_or(value)) {
            if self.header.lists.len() < LISTS && !self.header.lists.contains(&address) {
                self.header.lists.push(address);
            }
        }
    }
}

/// `<>`, nothing at all, or the name that sendmail puts there.
fn is_null(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let bare = value.strip_prefix(b"<").and_then(|inner| inner.strip_suffix(b">")).unwrap_or(value);
    value.is_empty() || bare.eq_ignore_ascii_case(b"mailer-daemon") || address::is_null(value)
}

/// `<mailto:list@example.com>`, `list@example.com`, `contact list-help@example.com; run by …`, `list list@example.com; contact …`.
fn list_addresses(value: &[u8]) -> Vec<String> {
    let words = value.split(|b| b.is_ascii_whitespace() || matches!(b, b'<' | b'>' | b',' | b';' | b'?'));
    let addresses = words.filter_map(|word| std::str::from_utf8(word).ok().and_then(Address::parse));
    addresses.map(|address| address.normal()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdrop::profile::RouteSettings;

    fn read_with(trusted: &[&str], text: &str) -> Header {
        let trusted_fields = trusted.iter().map(|field| (*field).to_owned()).collect();
        let settings = RouteSettings { domains: vec!["example.com".into()], trusted_fields, ..RouteSettings::default() };
        read(&Policy::new(&settings, None).unwrap(), text.as_bytes(), true)
    }

    fn shown(header: &Header) -> Vec<String> {
        let show = |c: &Candidate| {
            let what = c.address.as_ref().map_or_else(|| format!("({})", c.value.escape_ascii()), Address::normal);
            format!("{}:{} hop {} {what}", c.place.field.as_str(), c.place.position, c.place.hop)
        };
        header.candidates.iter().map(show).collect()
    }

    #[test]
    fn every_item_has_its_field_position_and_hop() {
        let header = read_with(
            &["x-local:1"],
            "Delivered-To: a@example.com\nReceived: from x by y for <b@example.com>; Mon\nDELIVERED-TO: mailing list c@example.com\nX-Local: d@example.com\nReceived: by z\nTo: E <e@example.com>,\n f@example.com\nX-Forwarded-To: g@example.com\n\nTo: body@example.com\n",
        );
        let expected = [
            "delivered-to:1 hop 0 a@example.com",
            "received:1 hop 0 b@example.com",
            "delivered-to:2 hop 1 (mailing list c@example.com)",
            "x-local:1 hop 1 d@example.com",
            "to:1 hop 2 e@example.com",
            "to:1 hop 2 f@example.com",
        ];
        assert_eq!(shown(&header), expected);
        assert_eq!(header.received.len(), 2);
    }

    #[test]
    fn the_addresses_of_lists_are_found_in_every_form() {
        let header = read_with(
            &[],
            "List-Post: <mailto:a@l.example?subject=x>\nMailing-List: contact b@l.example; run by ezmlm\nX-BeenThere: c@l.example\n",
        );
        assert_eq!(header.lists, ["a@l.example", "b@l.example", "c@l.example"]);
    }

    #[test]
    fn the_null_sender_is_a_sender() {
        let header = read_with(&[], "Return-Path: <>\nFrom: A <a@example.com>, b@example.com\n");
        let senders: Vec<_> = header.senders.iter().map(|s| s.address.as_ref().map(Address::normal)).collect();
        assert_eq!(senders, [None, Some("a@example.com".into()), Some("b@example.com".into())]);
    }
}
