//! Addresses as header fields hold them, and the form in which two of them are compared.
//!
//! Our own scanner, because a trace field must be read strictly: `mailing list x@example.com` names no recipient, and an address
//! that is nearly right must not become another one. mailparse reads To, Cc and Bcc first; it refuses a whole list for one bad
//! element and keeps source routes and some commas inside addresses, so what it says is taken only if our reader agrees with
//! every address, and else the list is read element by element. Everything is linear in the value's length: an unclosed quote or
//! comment is looked for once.

use crate::octets::Octets;
use std::fmt::Write as _;

/// How long one address may be, in octets; RFC 5321 section 4.5.3.1 allows 320.
const LONGEST: usize = 1000;
/// How long a domain may be (RFC 5321 section 4.5.3.1.2).
const LONGEST_DOMAIN: usize = 255;
/// How much of a list mailparse is asked to read; longer ones are read by our own scanner alone.
const LONGEST_LIST: usize = 64 << 10;

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
        match <[Self; 1]>::try_from(trace(value.as_bytes())) {
            Ok([only]) if !value.contains([',', ';']) || only.local.contains([',', ';']) => Some(only),
            _ => None,
        }
    }

    /// The address from a local part that is not quoted, already folded, and a domain.
    #[must_use]
    pub fn from_parts(local: &str, domain: &str) -> Option<Self> {
        spec(format!("{}@{domain}", quoted(local)).as_bytes())
    }

    /// The address as it was spelt, without comments and folds.
    #[must_use]
    pub fn spelt(&self) -> Octets {
        Octets::from(self.spelt.as_slice())
    }

    /// The local part, unquoted and in lower case.
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

    /// The same address with the first octets of its local part taken away, where they are `prefix` in any case.
    #[must_use]
    pub fn without_prefix(&self, prefix: &str) -> Option<Self> {
        let rest = self.spelt.get(prefix.len()..)?;
        let begins = self.spelt[..prefix.len()].eq_ignore_ascii_case(prefix.as_bytes());
        if begins && !prefix.is_empty() { spec(rest) } else { None }
    }
}

/// A domain folded for comparing: lower case, A-labels, no dot at its end. None if it can't be one.
#[must_use]
pub fn fold_domain(domain: &str) -> Option<String> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    if domain.is_empty() || domain.len() > LONGEST_DOMAIN {
        return None;
    }
    if domain.starts_with('[') && domain.ends_with(']') {
        let literal = domain.bytes().all(|b| b.is_ascii_alphanumeric() || b"[]:.".contains(&b));
        return literal.then(|| domain.to_ascii_lowercase());
    }
    let fits = |b: u8| b.is_ascii_alphanumeric() || b >= 0x80 || matches!(b, b'-' | b'_' | b'.');
    if !domain.bytes().all(fits) || domain.split('.').any(str::is_empty) {
        return None;
    }
    let folded = if domain.is_ascii() { None } else { idna::domain_to_ascii(domain).ok() };
    Some(folded.unwrap_or_else(|| domain.to_lowercase()))
}

/// The addresses that an envelope trace field's value names; none if it is made of words. One field may name several.
#[must_use]
pub fn trace(value: &[u8]) -> Vec<Address> {
    elements(value).iter().flat_map(Element::strict).collect()
}

/// Whether the value is the null sender, `<>` (RFC 5321 section 4.5.5).
#[must_use]
pub fn is_null(value: &[u8]) -> bool {
    match elements(value).as_slice() {
        [only] => only.angle.as_ref().is_some_and(|angle| angle.trim_ascii().is_empty()),
        _ => false,
    }
}

/// The addresses of a list such as To: groups opened, each address as often as it stands there.
#[must_use]
pub fn list(value: &[u8]) -> Vec<Address> {
    by_mailparse(value).unwrap_or_else(|| elements(value).iter().filter_map(Element::lenient).collect())
}

/// What mailparse reads, where our reader agrees that each of it is one address.
fn by_mailparse(value: &[u8]) -> Option<Vec<Address>> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.len() <= LONGEST_LIST)?;
    let read = mailparse::addrparse(text).ok()?;
    let mut addresses = Vec::with_capacity(read.len());
    for address in read.iter() {
        match address {
            mailparse::MailAddr::Single(single) => addresses.push(spec(single.addr.as_bytes())?),
            mailparse::MailAddr::Group(group) => {
                for single in &group.addrs {
                    addresses.push(spec(single.addr.as_bytes())?);
                }
            }
        }
    }
    Some(addresses)
}

/// One element of a list: what stands outside angle brackets, and what stands inside.
#[derive(Debug, Default)]
struct Element {
    plain: Vec<u8>,
    angle: Option<Vec<u8>>,
}

impl Element {
    /// `<a>`, `Name <a>`, `a`, `a via …`, or nothing but addresses with blanks between them.
    fn strict(&self) -> Vec<Address> {
        if let Some(angle) = &self.angle {
            return spec(angle).into_iter().collect();
        }
        let plain = join(&self.plain);
        let mut addresses = Vec::new();
        for word in words(&plain) {
            match spec(word) {
                Some(address) => addresses.push(address),
                None if word.eq_ignore_ascii_case(b"via") => break,
                None => return Vec::new(),
            }
        }
        addresses
    }

    /// The same, but in a list that people write, an address among words is one.
    fn lenient(&self) -> Option<Address> {
        if let Some(angle) = &self.angle {
            return spec(angle);
        }
        words(&join(&self.plain)).into_iter().rev().find_map(spec)
    }

    fn is_empty(&self) -> bool {
        self.angle.is_none() && self.plain.trim_ascii().is_empty()
    }
}

/// Cuts a value into elements at commas and semicolons; comments become blanks, and a group's name is left out.
fn elements(value: &[u8]) -> Vec<Element> {
    let mut scanner = Scanner { value, at: 0, quotes: true, comments: true };
    let mut done = Vec::new();
    let mut current = Element::default();
    let mut inside = false;
    while let Some(piece) = scanner.piece() {
        match piece {
            b"," if !(inside && is_route(current.angle.as_deref())) => {
                inside = false;
                done.push(std::mem::take(&mut current));
            }
            b";" => {
                inside = false;
                done.push(std::mem::take(&mut current));
            }
            b":" if !inside && !is_route(Some(&current.plain)) => current.plain.clear(),
            b"<" => {
                if current.angle.is_some() {
                    done.push(std::mem::take(&mut current));
                }
                current.angle = Some(Vec::new());
                inside = true;
            }
            b">" => inside = false,
            piece => match &mut current.angle {
                Some(angle) if inside => append(angle, piece),
                _ => append(&mut current.plain, piece),
            },
        }
    }
    done.push(current);
    done.retain(|element| !element.is_empty());
    done
}

/// Adds to what was gathered; white space at its beginning means nothing, and would have to be looked at again and again.
fn append(gathered: &mut Vec<u8>, piece: &[u8]) {
    gathered.extend_from_slice(if gathered.is_empty() { piece.trim_ascii_start() } else { piece });
}

/// Whether this is the beginning of a source route, `@a,@b:` (RFC 5322 section 4.4).
fn is_route(begun: Option<&[u8]>) -> bool {
    begun.is_some_and(|begun| begun.starts_with(b"@"))
}

/// Hands out a value in pieces: a quoted string, a blank for a comment, or what lies between special characters.
struct Scanner<'a> {
    value: &'a [u8],
    at: usize,
    /// Whether a quote may still find its end.
    quotes: bool,
    /// Whether a comment may still find its end.
    comments: bool,
}

impl<'a> Scanner<'a> {
    fn piece(&mut self) -> Option<&'a [u8]> {
        let rest = self.value.get(self.at..).filter(|rest| !rest.is_empty())?;
        let length = match rest.first() {
            Some(b'"') => self.quotes.then(|| quoted_length(rest)).flatten(),
            Some(b'(') => self.comments.then(|| comment_length(rest)).flatten(),
            Some(b) if is_special(*b) => Some(1),
            _ => rest.iter().position(|b| is_special(*b) || matches!(b, b'"' | b'(')).or(Some(rest.len())),
        };
        let is_comment = rest.starts_with(b"(") && length.is_some();
        if length.is_none() {
            // Nothing further on closes it either.
            if rest.starts_with(b"(") { self.comments = false } else { self.quotes = false }
        }
        let length = length.unwrap_or(1);
        self.at += length;
        Some(if is_comment { b" " } else { rest.get(..length).unwrap_or_default() })
    }
}

fn is_special(b: u8) -> bool {
    matches!(b, b',' | b';' | b':' | b'<' | b'>')
}

/// How long the quoted string at the start is; none if it has no end.
fn quoted_length(octets: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', octets.get(at..)?)?;
        if octets.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// How long the comment at the start is, those inside it included (RFC 5322 section 3.2.2); none if it has no end.
#[must_use]
pub fn comment_length(octets: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        at += memchr::memchr3(b'(', b')', b'\\', octets.get(at..)?)?;
        match octets.get(at)? {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => at += 1,
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Blanks, tabs and line ends made one blank, or none beside a dot or an @, where a fold may stand (RFC 5322 section 4.4).
fn join(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    let mut blank = false;
    let mut quoted = false;
    let mut escaped = false;
    for b in octets.iter().copied() {
        if b.is_ascii_whitespace() && !quoted {
            blank = true;
            continue;
        }
        let glued = matches!(out.last(), None | Some(b'.' | b'@')) || matches!(b, b'.' | b'@');
        if std::mem::take(&mut blank) && !glued {
            out.push(b' ');
        }
        quoted ^= b == b'"' && !escaped;
        escaped = quoted && b == b'\\' && !escaped;
        out.push(b);
    }
    out
}

/// The words between blanks; quoted strings stay whole.
fn words(joined: &[u8]) -> Vec<&[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let split = joined.split(|b| {
        quoted ^= *b == b'"' && !escaped;
        escaped = quoted && *b == b'\\' && !escaped;
        *b == b' ' && !quoted
    });
    split.collect()
}

/// Reads `local@domain`, a source route before it passed over; the last @ outside quotes decides.
fn spec(octets: &[u8]) -> Option<Address> {
    if octets.len() > LONGEST {
        return None;
    }
    let joined = join(octets);
    let mut spelt = joined.as_slice();
    if is_route(Some(spelt)) {
        spelt = spelt.get(memchr::memchr(b':', spelt)? + 1..)?;
    }
    if let [b'\'', inner @ .., b'\''] = spelt {
        spelt = inner;
    }
    let at = last_at(spelt)?;
    let (local, domain) = (spelt.get(..at)?, spelt.get(at + 1..)?);
    let local = unquote(local)?;
    let domain = fold_domain(std::str::from_utf8(domain).ok()?)?;
    Some(Address { spelt: spelt.to_vec(), local: fold_local(&local), domain })
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

/// The local part without its quotes; none if it holds what only quotes allow. More than RFC 5322 allows is let through where
/// servers do: dots in any place, a second @.
fn unquote(local: &[u8]) -> Option<Vec<u8>> {
    let (mut quoted, mut escaped) = (false, false);
    let mut out = Vec::with_capacity(local.len());
    for b in local.iter().copied() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => {
                escaped = true;
                continue;
            }
            b'"' => {
                quoted = !quoted;
                continue;
            }
            _ if quoted => {}
            0..=b' ' | 0x7f | b'<' | b'>' | b'(' | b')' | b'[' | b']' | b'\\' | b',' | b';' | b':' => return None,
            _ => {}
        }
        out.push(b);
    }
    (!quoted && !escaped && !out.is_empty()).then_some(out)
}

/// Lower case; octets that are not UTF-8 are kept apart by an escape, so that no two of them become one user.
fn fold_local(local: &[u8]) -> String {
    match std::str::from_utf8(local) {
        Ok(text) if text.is_ascii() => text.to_ascii_lowercase(),
        Ok(text) => text.to_lowercase(),
        Err(_) => local.escape_ascii().to_string().to_lowercase(),
    }
}

/// The local part as it must be written before an @ (RFC 5322 section 3.4.1).
fn quoted(local: &str) -> String {
    let atom = |c: char| c.is_ascii_alphanumeric() || !c.is_ascii() || "!#$%&'*+-/=?^_`{|}~.@".contains(c);
    if local.chars().all(atom) && !local.contains('@') {
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
