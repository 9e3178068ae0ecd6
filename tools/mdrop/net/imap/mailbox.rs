//! Mailboxes: which there are, opening one, and counting one without opening it.

use super::answer::{Answer, Token, number};
use super::messages::{Listing, list_command};
use super::{Session, Verdict, quote};
use crate::error::{Error, Result, Status};
use crate::identity::UidValidity;
use crate::octets::Octets;
use crate::record::is_object_id;
use crate::utf7;
use std::collections::{BTreeSet, HashMap};

/// More octets than any mailbox has: a larger sum is none.
const LARGEST_SUM: u64 = 1 << 56;
/// More mailboxes than any account has.
const MOST_MAILBOXES: usize = 1_000_000;

/// A mailbox as LIST names it (RFC 9051 section 7.3.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mailbox {
    /// Its name, decoded from modified UTF-7; `INBOX` in capitals.
    pub name: Octets,
    /// What separates the levels of its name; none if it has only one.
    pub delimiter: Option<char>,
    /// Its attributes, such as `\noselect` or `\trash`, in lower case.
    pub attributes: BTreeSet<String>,
    /// The name as the server writes it.
    wire: Vec<u8>,
}

impl Mailbox {
    /// Whether it has an attribute, given in lower case.
    #[must_use]
    pub fn is(&self, attribute: &str) -> bool {
        self.attributes.contains(attribute)
    }

    /// A mailbox as it would be listed, for tests and for decisions made without a server.
    #[must_use]
    pub fn named(name: &str, delimiter: Option<char>, attributes: &[&str]) -> Self {
        let attributes = attributes.iter().map(|a| a.to_lowercase()).collect();
        Self { name: name.into(), delimiter, attributes, wire: utf7::encode(name).into_bytes() }
    }
}

/// A mailbox that is open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// The generation of its UIDs.
    pub uidvalidity: UidValidity,
    /// How many messages it holds.
    pub exists: u32,
    /// The highest modification sequence, where the server keeps one (RFC 7162).
    pub highest_modseq: Option<u64>,
    /// Whether UIDs do not outlive the session (`UIDNOTSTICKY`), so that nothing may be concluded from them later.
    pub uids_are_not_kept: bool,
    /// Whether the server opened it for reading only.
    pub read_only: bool,
    /// What the server calls it, whatever its name is (RFC 8474 section 4.1).
    pub mailboxid: Option<String>,
}

/// What STATUS tells of a mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// How many messages it holds.
    pub messages: u64,
    /// Their octets, where the server tells them (RFC 8438).
    pub bytes: Option<u64>,
}

/// The prefixes of mailbox names that are not the account's own (RFC 2342).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Namespaces {
    /// Prefixes of the account's own mailboxes, decoded.
    pub personal: Vec<Octets>,
    /// Prefixes of other users' and of shared mailboxes, decoded.
    pub foreign: Vec<Octets>,
}

impl Namespaces {
    /// Whether a mailbox belongs to others or is shared: the longest prefix that fits decides.
    #[must_use]
    pub fn is_foreign(&self, name: &Octets) -> bool {
        let longest = |prefixes: &[Octets]| {
            let fitting = prefixes.iter().filter(|prefix| begins_with(name.as_bytes(), prefix.as_bytes()));
            fitting.map(|prefix| prefix.as_bytes().len()).max()
        };
        longest(&self.foreign) > longest(&self.personal)
    }
}

/// Whether a name lies under a prefix; `Shared/` covers the mailbox `Shared` too.
fn begins_with(name: &[u8], prefix: &[u8]) -> bool {
    name.starts_with(prefix) || prefix.split_last().is_some_and(|(_, stem)| !stem.is_empty() && name == stem)
}

/// What LIST tells.
#[derive(Debug, Default)]
pub struct Mailboxes {
    /// The mailboxes, in the server's order.
    pub all: Vec<Mailbox>,
    /// What is wrong with those that can't be read.
    pub failed: Vec<Error>,
    places: HashMap<Octets, usize>,
}

impl Mailboxes {
    /// Adds what a LIST answer names.
    fn take(&mut self, answer: &Answer, utf8: bool) {
        let Some(mut tokens) = answer.data("LIST") else { return };
        let (attributes, delimiter, name) = (tokens.list(), tokens.string(), tokens.string());
        let Some(((attributes, delimiter), wire)) = attributes.zip(delimiter).zip(name) else {
            let what = format!("LIST answer not understood: {}", answer.excerpt());
            return self.failed.push(Error::new(Status::Protocol, what));
        };
        let text = String::from_utf8_lossy(&delimiter).into_owned();
        let delimiter = if text.eq_ignore_ascii_case("NIL") { None } else { text.chars().next() };
        let attributes = attributes.iter().map(|a| String::from_utf8_lossy(a).to_lowercase()).collect();
        self.add(Mailbox { name: decode(&wire, utf8), delimiter, attributes, wire: wire.into_owned() });
    }

    /// A mailbox that is named twice is one; two whose names are one after decoding could never be told apart in the archive.
    fn add(&mut self, mailbox: Mailbox) {
        let next = self.all.len();
        let place = *self.places.entry(mailbox.name.clone()).or_insert(next);
        match self.all.get_mut(place) {
            None => self.all.push(mailbox),
            Some(seen) if seen.wire == mailbox.wire || seen.name.as_str() == Some("INBOX") => seen.attributes.extend(mailbox.attributes),
            Some(seen) => {
                let wire = |mailbox: &Mailbox| String::from_utf8_lossy(&mailbox.wire).into_owned();
                let what = format!("not read: its name “{}” on the server means the same as “{}”", wire(&mailbox), wire(seen));
                self.failed.push(Error::new(Status::Protocol, what).about(mailbox.name.to_string()));
            }
        }
    }
}

/// A name as the server writes it: in modified UTF-7, or in UTF-8 once that is enabled.
fn decode(wire: &[u8], utf8: bool) -> Octets {
    match utf8 {
        true if wire.eq_ignore_ascii_case(b"INBOX") => "INBOX".into(),
        true => wire.into(),
        false => utf7::decode(wire),
    }
}

impl Session {
    /// All mailboxes, as the server lists them, and the account's namespaces, which are empty where the server does not tell. A line that
    /// can't be understood costs its mailbox only.
    ///
    /// # Errors
    /// What the server or the connection reports; [`Status::Protocol`] if there are none.
    pub fn mailboxes(&mut self) -> Result<(Mailboxes, Namespaces)> {
        let special = self.offers("SPECIAL-USE") && self.offers("LIST-EXTENDED");
        let list = self.send(if special { "LIST \"\" \"*\" RETURN (SPECIAL-USE)" } else { "LIST \"\" \"*\"" })?;
        let spaces = if self.offers("NAMESPACE") { Some(self.send("NAMESPACE")?) } else { None };
        let (mut listed, utf8) = (Mailboxes::default(), self.utf8);
        let ended = self.finish(&list, &mut |answer| {
            listed.take(answer, utf8);
            let most = || format!("the server lists more than {MOST_MAILBOXES} mailboxes and does not end");
            let few = listed.all.len() + listed.failed.len() <= MOST_MAILBOXES;
            if few { Ok(()) } else { Err(Error::new(Status::Protocol, most())) }
        })?;
        let spaces = spaces.map(|tag| self.namespaces(&tag)).transpose()?.unwrap_or_default();
        if ended.verdict != Verdict::Ok {
            return Err(self.refused(&ended, "LIST"));
        }
        if listed.all.is_empty() && listed.failed.is_empty() {
            // Every account has an INBOX (RFC 9051 section 5.1).
            return Err(Error::new(Status::Protocol, "LIST: the server lists no mailbox"));
        }
        Ok((listed, spaces))
    }

    /// Asks for names and messages in UTF-8 where the server offers it (RFC 6855): without, it may alter messages whose header is.
    pub(super) fn enable_utf8(&mut self) -> Result<()> {
        if !self.offers("ENABLE") || !(self.offers("UTF8=ACCEPT") || self.offers("UTF8=ONLY")) {
            return Ok(());
        }
        let mut enabled = false;
        self.exchange("ENABLE UTF8=ACCEPT", &mut |answer| {
            let mut names = answer.data("ENABLED").into_iter().flatten();
            enabled |= names.any(|name| matches!(name, Token::Atom(name) if name.eq_ignore_ascii_case(b"UTF8=ACCEPT")));
            Ok(())
        })?;
        self.utf8 = enabled;
        Ok(())
    }

    fn namespaces(&mut self, tag: &[u8]) -> Result<Namespaces> {
        let (mut spaces, utf8) = (Namespaces::default(), self.utf8);
        self.finish(tag, &mut |answer| {
            let Some(mut tokens) = answer.data("NAMESPACE") else { return Ok(()) };
            for kind in 0..3 {
                let prefixes = namespace_prefixes(&mut tokens, utf8).unwrap_or_default();
                if kind == 0 { spaces.personal.extend(prefixes) } else { spaces.foreign.extend(prefixes) }
            }
            Ok(())
        })?;
        Ok(spaces)
    }

    /// Opens a mailbox for reading only: nothing done in it changes even a flag (RFC 9051 section 6.3.3).
    ///
    /// # Errors
    /// What the server says if it refuses; [`Status::Protocol`] if it names no UIDVALIDITY or no count.
    pub fn examine(&mut self, mailbox: &Mailbox) -> Result<Opened> {
        self.open("EXAMINE", mailbox)
    }

    /// Opens a mailbox for reading and writing.
    ///
    /// # Errors
    /// As [`Session::examine`].
    pub fn select(&mut self, mailbox: &Mailbox) -> Result<Opened> {
        self.open("SELECT", mailbox)
    }

    /// Opens a mailbox for reading only and lists it, in one round trip. The mailbox may be empty, and then nothing else is in the listing.
    ///
    /// # Errors
    /// As [`Session::examine`] and [`Session::list_messages`].
    pub fn examine_and_list(&mut self, mailbox: &Mailbox) -> Result<(Opened, Listing)> {
        let open = self.send(&self.open_command("EXAMINE", mailbox)?)?;
        let list = self.send(&list_command("1:*"))?;
        let opened = self.opened("EXAMINE", &open);
        if !self.alive && !self.refused {
            return opened.map(|opened| (opened, Listing::default()));
        }
        // Whatever became of the first, the answer to the second is on its way.
        let listing = self.list_on(&list, opened.as_ref().ok().map(|opened| opened.exists));
        opened.and_then(|opened| listing.map(|listing| (opened, listing)))
    }

    fn open(&mut self, verb: &str, mailbox: &Mailbox) -> Result<Opened> {
        let tag = self.send(&self.open_command(verb, mailbox)?)?;
        self.opened(verb, &tag)
    }

    fn open_command(&self, verb: &str, mailbox: &Mailbox) -> Result<String> {
        let condstore = if self.offers("CONDSTORE") { " (CONDSTORE)" } else { "" };
        Ok(format!("{verb} {}{condstore}", quote(&mailbox.wire)?))
    }

    fn opened(&mut self, verb: &str, tag: &[u8]) -> Result<Opened> {
        let (mut exists, mut uidvalidity, mut highest_modseq, mut uids_are_not_kept, mut mailboxid) = (None, None, None, false, None);
        let ended = self.finish(tag, &mut |answer| {
            if let Some((number, _)) = answer.numbered("EXISTS") {
                exists = Some(number);
            }
            if let Some(condition) = answer.condition() {
                match condition.code.as_str() {
                    "UIDVALIDITY" => uidvalidity = number(condition.arguments.as_bytes()),
                    "HIGHESTMODSEQ" => highest_modseq = number(condition.arguments.as_bytes()),
                    "UIDNOTSTICKY" => uids_are_not_kept = true,
                    "MAILBOXID" => mailboxid = object_id(&condition.arguments),
                    _ => {}
                }
            }
            Ok(())
        })?;
        if ended.verdict != Verdict::Ok {
            return Err(self.refused(&ended, verb));
        }
        let uidvalidity = uidvalidity.filter(|v| *v > 0).map(UidValidity);
        let missing = |what: &str| Error::new(Status::Protocol, format!("{verb}: the server {what}"));
        let uidvalidity = uidvalidity.ok_or_else(|| missing("names no UIDVALIDITY"))?;
        // Both must be told (RFC 9051 section 6.3.2); a count that is lost on the way makes no empty mailbox.
        let exists = exists.ok_or_else(|| missing("does not say how many messages there are"))?;
        self.exists = exists;
        Ok(Opened { uidvalidity, exists, highest_modseq, uids_are_not_kept, read_only: ended.code == "READ-ONLY", mailboxid })
    }

    /// Counts a mailbox without opening it (RFC 9051 section 6.3.11).
    ///
    /// # Errors
    /// What the server says if it refuses; [`Status::Protocol`] if it gives no count.
    pub fn status(&mut self, mailbox: &Mailbox) -> Result<Totals> {
        let size = if self.offers("STATUS=SIZE") { " SIZE" } else { "" };
        let command = format!("STATUS {} (MESSAGES{size})", quote(&mailbox.wire)?);
        let mut totals = None;
        // Not worth the session, whatever the server says.
        let ended = self.exchange(&command, &mut |answer| {
            let Some(mut tokens) = answer.data("STATUS") else { return Ok(()) };
            tokens.string();
            let items = tokens.list().unwrap_or_default();
            let mut seen = Totals::default();
            for pair in items.chunks(2) {
                let [name, value] = pair else { continue };
                match name.to_ascii_uppercase().as_slice() {
                    b"MESSAGES" => seen.messages = number(value).unwrap_or_default(),
                    b"SIZE" => seen.bytes = number(value).filter(|size| *size <= LARGEST_SUM),
                    _ => {}
                }
            }
            totals = Some(seen);
            Ok(())
        })?;
        if ended.verdict != Verdict::Ok {
            return Err(ended.error("STATUS"));
        }
        totals.ok_or_else(|| Error::new(Status::Protocol, "STATUS: the server gives no count"))
    }

    /// The octets of all messages of a mailbox, where the server keeps their sum (RFC 8438).
    ///
    /// # Errors
    /// What the connection reports.
    pub fn octets(&mut self, mailbox: &Mailbox) -> Result<Option<u64>> {
        if !self.offers("STATUS=SIZE") {
            return Ok(None);
        }
        match self.status(mailbox) {
            Err(error) if !self.alive => Err(error),
            told => Ok(told.ok().and_then(|totals| totals.bytes)),
        }
    }
}

/// An object identifier in its parentheses; none if it is not one.
fn object_id(text: &str) -> Option<String> {
    let id = text.trim().strip_prefix('(')?.strip_suffix(')')?;
    is_object_id(id).then(|| id.to_owned())
}

/// One of the three lists of a NAMESPACE answer: `(("prefix" "delimiter" …) …)` or NIL.
fn namespace_prefixes(tokens: &mut super::answer::Tokens<'_>, utf8: bool) -> Option<Vec<Octets>> {
    if tokens.next()? != Token::Open {
        return Some(Vec::new());
    }
    let mut prefixes = Vec::new();
    while tokens.next()? == Token::Open {
        prefixes.push(decode(&tokens.string()?, utf8));
        let mut depth = 1;
        while depth > 0 {
            match tokens.next()? {
                Token::Open => depth += 1,
                Token::Close => depth -= 1,
                _ => {}
            }
        }
    }
    Some(prefixes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_fitting_prefix_says_whose_a_mailbox_is() {
        let spaces = Namespaces { personal: vec!["".into()], foreign: vec!["Other/".into(), "Shared/".into()] };
        let cases = [("INBOX", false), ("Other/bob/INBOX", true), ("Shared", true), ("Sharedness", false), ("Others/x", false)];
        for (name, foreign) in cases {
            assert_eq!(spaces.is_foreign(&name.into()), foreign, "{name}");
        }
        let cyrus = Namespaces { personal: vec!["INBOX.".into()], foreign: vec!["".into()] };
        assert!(!cyrus.is_foreign(&"INBOX.a".into()) && !cyrus.is_foreign(&"INBOX".into()) && cyrus.is_foreign(&"lists".into()));
    }
}
