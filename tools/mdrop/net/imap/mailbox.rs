//! Mailboxes: which there are, opening one, and counting one without opening it.

use super::answer::{Token, number};
use super::{Session, quote, utf7};
use crate::error::{Error, Result, Status};
use crate::identity::UidValidity;
use crate::octets::Octets;
use std::collections::BTreeSet;

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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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

impl Session {
    /// All mailboxes, as the server lists them.
    ///
    /// # Errors
    /// What the server or the connection reports.
    pub fn mailboxes(&mut self) -> Result<Vec<Mailbox>> {
        let special = self.offers("SPECIAL-USE") && self.offers("LIST-EXTENDED");
        let command = if special { "LIST \"\" \"*\" RETURN (SPECIAL-USE)" } else { "LIST \"\" \"*\"" };
        let mut all: Vec<Mailbox> = Vec::new();
        self.command(command, "LIST", &mut |answer| {
            let Some(mut tokens) = answer.data("LIST") else { return Ok(()) };
            let (attributes, delimiter, name) = (tokens.list(), tokens.string(), tokens.string());
            let Some(((attributes, delimiter), name)) = attributes.zip(delimiter).zip(name) else {
                return Err(Error::new(Status::Protocol, format!("LIST answer not understood: {}", answer.excerpt())));
            };
            let text = String::from_utf8_lossy(&delimiter).into_owned();
            let delimiter = if text.eq_ignore_ascii_case("NIL") { None } else { text.chars().next() };
            let attributes = attributes.iter().map(|a| String::from_utf8_lossy(a).to_lowercase()).collect();
            let mailbox = Mailbox { name: utf7::decode(&name), delimiter, attributes, wire: name.into_owned() };
            match all.iter_mut().find(|other| other.name == mailbox.name) {
                Some(seen) => seen.attributes.extend(mailbox.attributes),
                None => all.push(mailbox),
            }
            Ok(())
        })?;
        Ok(all)
    }

    /// The account's namespaces; empty where the server does not tell.
    ///
    /// # Errors
    /// What the connection reports.
    pub fn namespaces(&mut self) -> Result<Namespaces> {
        let mut spaces = Namespaces::default();
        if !self.offers("NAMESPACE") {
            return Ok(spaces);
        }
        self.exchange("NAMESPACE", &mut |answer| {
            let Some(mut tokens) = answer.data("NAMESPACE") else { return Ok(()) };
            for kind in 0..3 {
                let prefixes = namespace_prefixes(&mut tokens).unwrap_or_default();
                if kind == 0 { spaces.personal.extend(prefixes) } else { spaces.foreign.extend(prefixes) }
            }
            Ok(())
        })?;
        Ok(spaces)
    }

    /// Opens a mailbox for reading only: nothing done in it changes even a flag (RFC 9051 section 6.3.3).
    ///
    /// # Errors
    /// What the server says if it refuses; [`Status::Protocol`] if it names no UIDVALIDITY.
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

    fn open(&mut self, verb: &str, mailbox: &Mailbox) -> Result<Opened> {
        let (mut exists, mut uidvalidity, mut highest_modseq, mut uids_are_not_kept) = (0, None, None, false);
        let condstore = if self.offers("CONDSTORE") { " (CONDSTORE)" } else { "" };
        let command = format!("{verb} {}{condstore}", quote(&mailbox.wire)?);
        let ended = self.command(&command, verb, &mut |answer| {
            if let Some((number, _)) = answer.numbered("EXISTS") {
                exists = number;
            }
            if let Some(condition) = answer.condition() {
                match condition.code.as_str() {
                    "UIDVALIDITY" => uidvalidity = number(condition.arguments.as_bytes()),
                    "HIGHESTMODSEQ" => highest_modseq = number(condition.arguments.as_bytes()),
                    "UIDNOTSTICKY" => uids_are_not_kept = true,
                    _ => {}
                }
            }
            Ok(())
        })?;
        let uidvalidity = uidvalidity.filter(|v| *v > 0).map(UidValidity);
        let missing = || Error::new(Status::Protocol, format!("{verb}: the server names no UIDVALIDITY"));
        let uidvalidity = uidvalidity.ok_or_else(missing)?;
        Ok(Opened { uidvalidity, exists, highest_modseq, uids_are_not_kept, read_only: ended.code == "READ-ONLY" })
    }

    /// Counts a mailbox without opening it (RFC 9051 section 6.3.11).
    ///
    /// # Errors
    /// What the server says if it refuses; [`Status::Protocol`] if it gives no count.
    pub fn status(&mut self, mailbox: &Mailbox) -> Result<Totals> {
        let size = if self.offers("STATUS=SIZE") { " SIZE" } else { "" };
        let command = format!("STATUS {} (MESSAGES{size})", quote(&mailbox.wire)?);
        let mut totals = None;
        self.command(&command, "STATUS", &mut |answer| {
            let Some(mut tokens) = answer.data("STATUS") else { return Ok(()) };
            tokens.string();
            let items = tokens.list().unwrap_or_default();
            let mut seen = Totals::default();
            for pair in items.chunks(2) {
                let [name, value] = pair else { continue };
                match name.to_ascii_uppercase().as_slice() {
                    b"MESSAGES" => seen.messages = number(value).unwrap_or_default(),
                    b"SIZE" => seen.bytes = number(value),
                    _ => {}
                }
            }
            totals = Some(seen);
            Ok(())
        })?;
        totals.ok_or_else(|| Error::new(Status::Protocol, "STATUS: the server gives no count"))
    }
}

/// One of the three lists of a NAMESPACE answer: `(("prefix" "delimiter" …) …)` or NIL.
fn namespace_prefixes(tokens: &mut super::answer::Tokens<'_>) -> Option<Vec<Octets>> {
    if tokens.next()? != Token::Open {
        return Some(Vec::new());
    }
    let mut prefixes = Vec::new();
    while tokens.next()? == Token::Open {
        prefixes.push(utf7::decode(&tokens.string()?));
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
