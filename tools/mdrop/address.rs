//! Addresses as header fields hold them, and the form in which two of them are compared.
//!
//! Our own reader, because a trace field must be read strictly: `mailing list x@example.com` names no recipient, and an address
//! that is nearly right must not become another one. Lists that people write (To, Cc, Bcc) go through the same reader, which is more
//! patient with them: mailparse refuses a whole list for one bad element and keeps source routes and some commas inside addresses.
//! Everything is linear in the value's length, and a value of any length takes the memory of one element.

mod fold;
mod scan;

use crate::octets::Octets;
use fold::fold_local;
use scan::{BLANK, Element, JOINT, Text, elements};
use std::fmt::Write as _;

pub use scan::comment_length;

/// How long one address may be, in octets; RFC 5321 section 4.5.3.1 allows 320.
const LONGEST: usize = 1000;
/// How long a domain may be (RFC 5321 section 4.5.3.1.2).
const LONGEST_DOMAIN: usize = 255;
/// How long a domain literal may be; the longest, of an IPv6 address, has 47 octets (RFC 5321 section 4.1.3).
const LONGEST_LITERAL: usize = 60;
/// What some programs write before an address.
const SCHEMES: [&[u8]; 2] = [b"mailto:", b"smtp:"];
/// One address: as it was spelt, and folded for comparing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    spelt: Vec<u8>,
    local: String,
    domain: String,
}

impl Address {
    /// Reads a value that is one address and nothing else, as a profile or a users file has it: `a@example.com` or `<a@example.com>`.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let mut all = elements(value.as_bytes(), false);
        let only = all.next().filter(|only| !only.is_broken)?;
        if all.next().is_some() || all.separators > 0 {
            return None;
        }
        match &only.angle {
            None => spec(&only.plain),
            Some(angle) if only.plain.octets.is_empty() => spec(angle),
            Some(_) => None,
        }
    }

    /// The address from a local part that is not quoted, already folded, and a domain.
    #[must_use]
    pub fn from_parts(local: &str, domain: &str) -> Option<Self> {
        Self::new(format!("{}@{domain}", quoted(local)).into_bytes(), local.as_bytes(), domain.as_bytes())
    }

    fn new(spelt: Vec<u8>, local: &[u8], domain: &[u8]) -> Option<Self> {
        let domain = fold_domain(std::str::from_utf8(domain).ok()?)?;
        let local = fold_local(local)?;
        let address = Self { spelt, local, domain };
        // What is folded or quoted may be longer, and must be an address, too.
        let fits = address.spelt.len() < LONGEST / 8 || address.normal().len() <= LONGEST;
        fits.then_some(address)
    }

    /// The address as it was spelt, without comments and folds.
    #[must_use]
    pub fn spelt(&self) -> Octets {
        Octets::from(self.spelt.as_slice())
    }

    /// The local part, unquoted, in lower case and composed.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain, in lower case, as A-labels (RFC 5890 section 2.3.2.1).
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// By which two spellings of one address are recognised: folded, its local part quoted only where it must be.
    #[must_use]
    pub fn normal(&self) -> String {
        self.normal_with(&self.local)
    }

    /// The same with another local part in place of its own.
    #[must_use]
    pub fn normal_with(&self, local: &str) -> String {
        format!("{}@{}", quoted(local), self.domain)
    }

    /// Whether any of the local part was written in quotes, in which nothing has a meaning of its own.
    #[must_use]
    pub fn is_quoted(&self) -> bool {
        self.spelt.contains(&b'"')
    }

    /// The same address with the first octets of its local part taken away, where they are `prefix` in any case.
    #[must_use]
    pub fn without_prefix(&self, prefix: &str) -> Option<Self> {
        let rest = self.spelt.get(prefix.len()..)?;
        let begins = self.spelt.get(..prefix.len())?.eq_ignore_ascii_case(prefix.as_bytes());
        if begins && !prefix.is_empty() { plain_spec(rest) } else { None }
    }
}

/// A domain folded for comparing: lower case, A-labels, no dot at its end. None if it can't be one.
#[must_use]
pub fn fold_domain(domain: &str) -> Option<String> {
    if domain.len() > LONGEST_DOMAIN {
        return None;
    }
    if let Some(literal) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let fits =
            (1..LONGEST_LITERAL).contains(&literal.len()) && literal.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'.'));
        return fits.then(|| domain.to_ascii_lowercase());
    }
    let fits = |b: u8| b.is_ascii_alphanumeric() || b >= 0x80 || matches!(b, b'-' | b'_' | b'.');
    if !domain.bytes().all(fits) {
        return None;
    }
    let mut folded = if domain.is_ascii() { domain.to_ascii_lowercase() } else { idna::domain_to_ascii(domain).ok()? };
    if folded.ends_with('.') {
        folded.pop();
    }
    // Beyond ASCII some characters fold to dots, and to what no domain holds.
    let is_domain = !folded.split('.').any(str::is_empty) && folded.len() <= LONGEST_DOMAIN && folded.bytes().all(fits);
    is_domain.then_some(folded)
}

/// The addresses that an envelope trace field's value names; none if it is made of words. One field may name several.
#[must_use]
pub fn trace(value: &[u8]) -> Vec<Address> {
    trace_iter(value).collect()
}

/// The same, one after the other: a hostile value may name more than fit into memory.
pub fn trace_iter(value: &[u8]) -> impl Iterator<Item = Address> {
    elements(value, false).flat_map(|element| strict(&element))
}

/// Whether the value is the null sender, `<>` (RFC 5321 section 4.5.5).
#[must_use]
pub fn is_null(value: &[u8]) -> bool {
    let mut all = elements(value, false);
    let is_null = |element: Element| element.angle.is_some_and(|angle| angle.octets.is_empty());
    all.next().is_some_and(is_null) && all.next().is_none()
}

/// The addresses of a list such as To: groups opened, each address as often as it stands there.
#[must_use]
pub fn list(value: &[u8]) -> Vec<Address> {
    list_iter(value).collect()
}

/// The same, one after the other.
pub fn list_iter(value: &[u8]) -> impl Iterator<Item = Address> {
    elements(value, true).flat_map(|element| lenient(&element))
}

/// `<a>`, `Name <a>`, `a`, `a via …`, `GMX delivery to a`, or nothing but addresses with blanks between them.
fn strict(element: &Element) -> Vec<Address> {
    if element.is_broken {
        return Vec::new();
    }
    if let Some(angle) = &element.angle {
        return spec(angle).into_iter().collect();
    }
    if element.plain.octets.starts_with(b"@") {
        return spec(&element.plain).into_iter().collect();
    }
    let text = behind_words(&element.plain.octets, [b"delivery", b"to"]);
    let mut addresses = Vec::new();
    for word in text.split(|b| *b == BLANK) {
        match plain_spec(word) {
            Some(address) => addresses.push(address),
            None if word.eq_ignore_ascii_case(b"via") => break,
            None => return Vec::new(),
        }
    }
    if element.plain.is_cut { Vec::new() } else { addresses }
}

/// The same, but in a list that people write, an address among words is one, and brackets may hold several or not end.
fn lenient(element: &Element) -> Vec<Address> {
    if let Some(angle) = &element.angle {
        let several = || angle.octets.split(|b| matches!(b, b',' | b';')).map(|part| plain_spec(trim(part))).collect::<Option<_>>();
        return spec(angle).map(|one| vec![one]).or_else(several).unwrap_or_default();
    }
    let plain = &element.plain;
    if !plain.octets.contains(&BLANK) {
        return spec(plain).into_iter().collect();
    }
    // Among words a dot ends a sentence or an abbreviation.
    let mut words: Vec<&[u8]> = plain.octets.split(|b| matches!(*b, BLANK | JOINT)).collect();
    if plain.is_cut {
        words.pop();
    }
    words.into_iter().filter_map(plain_spec).collect()
}

/// The last word, if these two stand before it; else the whole text.
fn behind_words<'a>(text: &'a [u8], expected: [&[u8]; 2]) -> &'a [u8] {
    let mut words = text.rsplitn(4, |b| *b == BLANK);
    let (last, second, first) = (words.next(), words.next(), words.next());
    let fits = |word: Option<&[u8]>, name: &[u8]| word.is_some_and(|word| word.eq_ignore_ascii_case(name));
    last.filter(|_| fits(first, expected[0]) && fits(second, expected[1])).unwrap_or(text)
}

fn without_scheme(word: &[u8]) -> &[u8] {
    let begins = |scheme: &&&[u8]| word.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    SCHEMES.iter().find(begins).and_then(|scheme| word.get(scheme.len()..)).unwrap_or(word)
}

fn trim(part: &[u8]) -> &[u8] {
    let is_blank = |b: Option<&u8>| matches!(b, Some(&(BLANK | JOINT)));
    let part = if is_blank(part.first()) { part.get(1..).unwrap_or_default() } else { part };
    if is_blank(part.last()) { part.get(..part.len() - 1).unwrap_or_default() } else { part }
}

/// Reads a text that is one address and nothing else.
fn spec(text: &Text) -> Option<Address> {
    if text.is_cut { None } else { plain_spec(&text.octets) }
}

/// Reads `local@domain`, a source route before it passed over; the last @ outside quotes decides.
fn plain_spec(octets: &[u8]) -> Option<Address> {
    if octets.len() > LONGEST {
        return None;
    }
    let mut spelt = without_scheme(behind_route(octets)?);
    if let [b'\'', inner @ .., b'\''] = spelt {
        spelt = inner;
    }
    let spelt: Vec<u8> = spelt.iter().copied().filter(|b| *b != JOINT).collect();
    let at = last_at(&spelt)?;
    let (local, domain) = (unquote(spelt.get(..at)?)?, spelt.get(at + 1..)?.to_vec());
    Address::new(spelt, &local, &domain)
}

/// What follows the source route `@a,@b:`, if there is one (RFC 5322 section 4.4); none if it is no route.
fn behind_route(octets: &[u8]) -> Option<&[u8]> {
    let is_list = |b: &&u8| matches!(**b, b',' | BLANK | JOINT);
    if octets.iter().find(|b| !is_list(b)) != Some(&b'@') {
        return Some(octets);
    }
    let (route, rest) = octets.split_at(memchr::memchr(b':', octets)?);
    let is_host = |host: &[u8]| {
        let name: Vec<u8> = host.iter().copied().filter(|b| *b != JOINT).collect();
        name.strip_prefix(b"@").and_then(|name| std::str::from_utf8(name).ok()).is_some_and(|name| fold_domain(name).is_some())
    };
    let is_route = route.split(|b| *b == b',').map(trim).all(|host| host.is_empty() || is_host(host));
    is_route.then(|| trim(rest.get(1..).unwrap_or_default()))
}

/// Where the last @ outside quotes stands.
fn last_at(spelt: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped, mut last) = (false, false, None);
    for (at, b) in spelt.iter().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'@' if !quoted => last = Some(at),
            _ => {}
        }
    }
    last
}

/// The local part without its quotes; none if it holds what only quotes allow, or a quoted string that is not a whole word: `a"b"` is not
/// `ab`. More than RFC 5322 allows is let through where servers do: dots in any place, a second @, a colon.
fn unquote(local: &[u8]) -> Option<Vec<u8>> {
    let (mut quoted, mut escaped, mut before) = (false, false, b'.');
    let mut out = Vec::with_capacity(local.len());
    for b in local.iter().copied() {
        let last = std::mem::replace(&mut before, b);
        match b {
            0..b' ' | 0x7f => return None,
            _ if escaped => {
                escaped = false;
                // Not the end of the quoted string.
                before = b' ';
            }
            b'\\' if quoted => {
                escaped = true;
                continue;
            }
            b'"' if quoted || last == b'.' => {
                quoted = !quoted;
                continue;
            }
            _ if quoted => {}
            b' ' | b'"' | b'<' | b'>' | b'(' | b')' | b'[' | b']' | b'\\' | b',' | b';' => return None,
            b'.' => {}
            _ if last == b'"' => return None,
            _ => {}
        }
        out.push(b);
    }
    (!quoted && !out.is_empty()).then_some(out)
}

/// The local part as it must be written before an @ (RFC 5322 section 3.4.1).
fn quoted(local: &str) -> String {
    let atom = |c: char| c.is_ascii_alphanumeric() || !c.is_ascii() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    if local.chars().all(atom) {
        return local.to_owned();
    }
    let mut out = String::from("\"");
    for c in local.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        let _ = out.write_char(c);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
