//! Who sent a message: the envelope's sender for the record, the person who wrote it for the filing.

use crate::evidence::{Header, Name, SenderCandidate};
use mdrop::address::Address;
use mdrop::octets::Octets;
use mdrop::record::Sender;

/// What the envelope's sender may be taken from, besides Return-Path.
const ENVELOPE: [&str; 3] = ["x-envelope-from", "x-mail-from", "x-mailfrom"];

/// The envelope's sender as the hop that decided has it: its Return-Path, or what stands in for one. Envelope fields at `hops` and
/// below are not trusted. Where nothing but Sender or From is left and that is MAILER-DAEMON, the sender was null (RFC 5321 section 4.5.5).
#[must_use]
pub fn envelope(header: &Header, hop: u32, hops: u32) -> Option<Sender> {
    let senders = &header.senders;
    let is = |one: &SenderCandidate, names: &[&str]| names.contains(&one.place.field.as_str()) && one.place.hop < hops;
    let path = |one: &&SenderCandidate| is(one, &["return-path"]);
    let named = |names: &'static [&str]| {
        let of = move |name: &&'static str| senders.iter().find(|one| is(one, &[*name]));
        names.iter().find_map(of)
    };
    // Above a Received field the lowest was written with it, and one above that when the message was handed on; below the last one, a
    // sender may write more of them.
    let mut here = senders.iter().filter(path).filter(|one| one.place.hop == hop);
    let is_server = (hop as usize) < header.received.len();
    let here = if is_server { here.next_back() } else { here.next() };
    // Some servers write the Return-Path below the Received fields of their own that follow; it is theirs down to the next delivery.
    let lower = header.deliveries.iter().find(|(lower, _)| *lower > hop).map_or(u32::MAX, |(_, line)| *line);
    let found = here
        .or_else(|| senders.iter().find(|one| is(one, &ENVELOPE) && one.place.hop == hop))
        .or_else(|| senders.iter().filter(path).find(|one| one.place.hop > hop && one.place.line < lower))
        .or_else(|| senders.iter().filter(path).rfind(|one| one.place.hop < hop))
        .or_else(|| named(&ENVELOPE))
        // Some mail programs write their login into X-Sender: it counts only where a server may have written it.
        .or_else(|| senders.iter().find(|one| is(one, &["x-sender"]) && one.place.hop <= hop))
        .or_else(|| named(&["received", "x-sender"]))
        .or_else(|| senders.iter().find(path))
        .or_else(|| senders.iter().find(|one| one.place.field == Name::Known("sender")))
        .or_else(|| senders.iter().find(|one| one.place.field == Name::Known("from")))?;
    let is_bounce = |address: &&Address| address.local() == "mailer-daemon" && matches!(found.place.field, Name::Known("from" | "sender"));
    let address = found.address.as_ref().filter(|address| !is_bounce(address)).map_or_else(|| Octets::from(""), Address::spelt);
    Some(Sender { address: Some(address), evidence: found.place.evidence() })
}

/// Who sent it on (RFC 5322 section 3.6.6).
#[must_use]
pub fn resenders(header: &Header) -> Vec<&SenderCandidate> {
    header.senders.iter().filter(|one| one.place.field == Name::Known("resent-from")).collect()
}

/// Who wrote it: From, or Sender where From names nobody.
#[must_use]
pub fn authors(header: &Header) -> Vec<&SenderCandidate> {
    let of = |name| header.senders.iter().filter(move |one| one.place.field == Name::Known(name)).collect::<Vec<_>>();
    let from = of("from");
    if from.is_empty() { of("sender") } else { from }
}
