//! The sample that is calibrated from: the evidence of some thousand messages, in bounded memory.
//!
//! A fair sample of the whole stream and not its beginning, since the oldest mail may have come through another server: each message has the
//! same chance to stay (reservoir sampling). The random numbers are always the same ones, so that the same mail gives the same answer.

use crate::evidence::{self, Candidate, Header, Name, Place};
use crate::policy::Policy;
use mdrop::address;
use mdrop::header;
use mdrop::journal::{Line, Report};
use mdrop::record::Kind;

/// How many messages are kept.
pub const MOST: usize = 10_000;
/// How much memory all of them may take, in octets, roughly.
const MEMORY: usize = 128 << 20;
/// How much one of them may take; more than that only a hostile header needs.
const LARGEST: usize = 128 << 10;
/// How many fields of unknown names a message is searched for.
const EXTRA: usize = 100;

/// Names of fields whose addresses name no recipient, besides those that begin with `list-` or end with `-id`.
const NO_RECIPIENT: [&str; 12] = [
    "reply-to",
    "mail-reply-to",
    "mail-followup-to",
    "errors-to",
    "in-reply-to",
    "references",
    "disposition-notification-to",
    "return-receipt-to",
    "x-forwarded-to",
    "x-sympa-to",
    "x-smtp-rcpt",
    "x-confirm-reading-to",
];

/// What is kept of a message.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What its header says; fields of unknown names that hold nothing but addresses are among the candidates.
    pub header: Header,
    /// The journal report that it is.
    pub report: Option<Report>,
    /// Where it lies.
    pub origin: String,
}

/// The sample.
#[derive(Debug, Default)]
pub struct Sample {
    /// The messages that were kept.
    pub kept: Vec<Kept>,
    /// How many were read.
    pub seen: u64,
    /// How many of them had a header too large to be kept.
    pub large: u64,
    memory: usize,
    random: u64,
}

impl Sample {
    /// Takes one message in; `octets` are its beginning, where they lie in memory.
    pub fn add(&mut self, policy: &Policy, origin: String, mut header: Header, report: Option<Report>, octets: Option<&[u8]>) {
        header.candidates.extend(octets.map(|octets| extra(policy, octets)).unwrap_or_default());
        let kept = Kept { header, report, origin };
        let size = memory(&kept);
        if size > LARGEST {
            self.seen += 1;
            self.large += 1;
            return;
        }
        let fair = self.seen - self.large;
        self.seen += 1;
        if self.kept.len() < MOST && self.memory + size <= MEMORY {
            self.memory += size;
            return self.kept.push(kept);
        }
        let at = usize::try_from(self.next_random() % (fair + 1)).unwrap_or(usize::MAX);
        if let Some(place) = self.kept.get_mut(at) {
            let left = self.memory - memory(place);
            if left + size <= MEMORY {
                self.memory = left + size;
                *place = kept;
            }
        }
    }

    /// `SplitMix64`.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// How much memory a message takes, roughly.
fn memory(kept: &Kept) -> usize {
    let header = &kept.header;
    let text: usize = header.candidates.iter().filter_map(|one| one.address.as_ref()).map(|address| 2 * address.local().len()).sum();
    let values: usize = header.candidates.iter().map(|one| one.value.len()).sum();
    let reports = std::iter::successors(kept.report.as_ref(), |report| report.nested.as_deref());
    let lines: usize = reports.flat_map(|report| &report.lines).map(line_memory).sum();
    200 * (1 + header.candidates.len() + header.senders.len() + header.received.len() + header.lists.len()) + text + values + lines
}

fn line_memory(line: &Line) -> usize {
    let sources = line.sources.iter().map(|source| source.addresses().len());
    200 + line.value.len() + 200 * (line.addresses.len() + sources.sum::<usize>())
}

/// The fields of unknown names that hold nothing but addresses, as candidates: a server may write its own.
fn extra(policy: &Policy, octets: &[u8]) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    let (mut hop, mut line) = (0, 0);
    for field in header::fields(octets) {
        line += 1;
        hop += u32::from(field.is("received"));
        let is_named = policy.trusted_fields.iter().any(|trusted| field.is(&trusted.name));
        if is_named || found.len() >= EXTRA || field.value.len() > 2000 || evidence::knows(&field) || !may_name(field.name) {
            continue;
        }
        let name = String::from_utf8_lossy(field.name).to_ascii_lowercase();
        let above = found.iter().filter(|one| one.place.field.as_str() == name).map(|one| one.place.position).max();
        let place = Place { field: Name::Added(name), position: above.unwrap_or(0) + 1, hop, line, rank: usize::MAX, kind: Kind::Envelope };
        let addresses = address::trace(field.value).into_iter().take(EXTRA);
        found.extend(addresses.map(|address| Candidate { address: Some(address), value: Vec::new(), place: place.clone() }));
    }
    found
}

fn may_name(field: &[u8]) -> bool {
    let begins = |text: &[u8]| field.get(..text.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(text));
    let ends = |text: &[u8]| field.len() >= text.len() && field[field.len() - text.len()..].eq_ignore_ascii_case(text);
    let is_other = NO_RECIPIENT.iter().any(|name| field.eq_ignore_ascii_case(name.as_bytes()));
    !is_other && !begins(b"list-") && !begins(b"arc-") && !begins(b"dkim-") && !ends(b"-id") && !ends(b"-from")
}
