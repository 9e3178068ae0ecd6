//! From which host a Received field says that the message came: as its writer found out, never as that host calls itself.
//!
//! Writers differ in where they put the name they looked up and where the one they were told (HELO), and a sender chooses the latter, so
//! each form is known by its marks, and in doubt there is no name. The address counts only where the writer has put it.

use crate::received::Token;
use std::net::IpAddr;

/// The other side of a hop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The host's name as the writer looked it up, in lower case.
    pub name: Option<String>,
    /// Whether the message came over the loopback interface, or from no host at all.
    pub is_internal: bool,
}

/// Reads the `from` clause.
#[must_use]
pub fn read(tokens: &[Token]) -> Peer {
    let internal = Peer { name: None, is_internal: true };
    let [first, rest @ ..] = tokens else { return internal };
    if !first.is_word(b"from") || is_local(tokens) {
        return internal;
    }
    let [Token::Word(said), rest @ ..] = rest else { return Peer::default() };
    let comments: Vec<&[u8]> = rest.iter().map_while(|token| if let Token::Comment(text) = token { Some(*text) } else { None }).collect();
    let address = comments.iter().find_map(|comment| address_in(comment)).or_else(|| literal(said));
    let exim = tokens.iter().any(|token| matches!(token, Token::Comment(text) if text.starts_with(b"Exim ")));
    Peer { name: name(said, &comments, address, exim), is_internal: address.is_some_and(is_loopback) }
}

/// The name that was looked up: `helo (name [ip])`, `name ([ip] helo=helo)` of Exim, `name (HELO helo) (ip)` of qmail. Where a name that was
/// told is all there is, it is taken only from a machine of the same network.
fn name(said: &[u8], comments: &[&[u8]], address: Option<IpAddr>, exim: bool) -> Option<String> {
    if comments.iter().any(|comment| memchr::memmem::find(comment, b"may be forged").is_some()) {
        return None;
    }
    let first = comments.first().copied().unwrap_or_default();
    let word = first.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()).unwrap_or_default();
    let is_told = |mark: &[u8]| word.eq_ignore_ascii_case(mark);
    let found = word.rsplit(|b| *b == b'@').next().unwrap_or_default();
    let is_name = !found.is_empty() && !found.starts_with(b"[") && !found.contains(&b'=') && literal(found).is_none();
    if is_name && ![&b"helo"[..], b"ehlo", b"lhlo", b"unknown"].into_iter().any(is_told) {
        return Some(host(found));
    }
    let is_exim = exim || memchr::memmem::find(first, b"helo=").is_some();
    let is_qmail = is_told(b"helo") && comments.get(1).is_some_and(|second| address_in(second).is_some());
    let is_near = address.is_some_and(|address| is_loopback(address) || is_private(address));
    ((is_exim || is_qmail || is_near) && literal(said).is_none() && !said.eq_ignore_ascii_case(b"unknown")).then(|| host(said))
}

/// Whether the message was handed over by a program on the same machine: Exim's `with local`.
fn is_local(tokens: &[Token]) -> bool {
    let with = tokens.windows(2).find_map(|pair| match pair {
        [with, Token::Word(protocol)] if with.is_word(b"with") => Some(*protocol),
        _ => None,
    });
    with.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"local"))
}

/// The peer's address in a comment: `[ip]`, `[IPv6:ip]`, `[ip]:port`, `ip`, `user@ip`; not what stands behind HELO or `helo=`.
fn address_in(comment: &[u8]) -> Option<IpAddr> {
    let mut told = false;
    comment.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).find_map(|word| {
        let was_told = std::mem::replace(&mut told, [&b"helo"[..], b"ehlo", b"lhlo"].iter().any(|mark| word.eq_ignore_ascii_case(mark)));
        if was_told || word.contains(&b'=') {
            return None;
        }
        literal(word.rsplit(|b| *b == b'@').next()?)
    })
}

/// An address, in brackets or not.
fn literal(word: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(word).ok()?;
    let inner = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => text,
    };
    let bare = if inner.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("ipv6:")) { inner.get(5..)? } else { inner };
    bare.parse().ok()
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// A host's name for comparing.
#[must_use]
pub fn host(word: &[u8]) -> String {
    let word = word.strip_suffix(b".").unwrap_or(word);
    String::from_utf8_lossy(word).to_lowercase()
}
