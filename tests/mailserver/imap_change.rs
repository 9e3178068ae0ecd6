//! STORE, EXPUNGE, CLOSE, SEARCH and ESEARCH (RFC 4731).
//!
//! Decision: nothing changes in a mailbox opened by EXAMINE, and a STORE with UNCHANGEDSINCE is decided and done under one
//! lock, message by message, as RFC 7162 asks, so that a test of a client's caution rests on the server's.

use std::collections::BTreeSet;

use super::imap::{Fail, Outcome, Reply, Selected, Session, bad};
use super::imap_fetch::flags;
use super::parse::{Args, Set, Token, quote};
use super::store::{Mailbox, Message, canonical_flag};

/// A search key (RFC 3501, section 6.4.4), of those that need no look into the text.
enum Key {
    Every,
    Numbers(Set),
    Uids(Set),
    Flag(String),
    Larger(u64),
    Smaller(u64),
    ModSeq(u64),
    Not(Box<Key>),
    Or(Box<Key>, Box<Key>),
    And(Vec<Key>),
}

#[derive(Clone, Copy)]
enum How {
    Add,
    Remove,
    Replace,
}

struct Change {
    how: How,
    silent: bool,
    flags: BTreeSet<String>,
    unchanged_since: Option<u64>,
}

impl Change {
    fn applied(&self, flags: &BTreeSet<String>) -> BTreeSet<String> {
        match self.how {
            How::Add => flags | &self.flags,
            How::Remove => flags - &self.flags,
            How::Replace => self.flags.clone(),
        }
    }
}

impl Session<'_> {
    /// Sequence number and UID of each message of a set that the client knows of.
    pub fn numbered(&self, set: &Set, by_uid: bool) -> Vec<(usize, u32)> {
        let Some(selected) = &self.selected else { return Vec::new() };
        if by_uid {
            return set.uids_in(&selected.view).map(|(at, uid)| (at + 1, uid)).collect();
        }
        numbers(selected).filter(|&(number, uid)| in_set(set, by_uid, number, uid, selected)).collect()
    }

    fn may_change(&self) -> Result<(), Fail> {
        match &self.selected {
            Some(selected) if selected.read_only => Err(Fail::Reply(Reply::no("[READ-ONLY] opened by EXAMINE"))),
            _ => Ok(()),
        }
    }

    /// STORE, or UID STORE.
    pub fn store(&mut self, mut args: Args, by_uid: bool) -> Outcome {
        let set = args.set().ok_or_else(bad)?;
        let change = change(&mut args).ok_or_else(bad)?;
        if change.unchanged_since.is_some() && !self.shared.offers("CONDSTORE") {
            return Err(bad());
        }
        self.may_change()?;
        self.condstore |= change.unchanged_since.is_some();
        let mut modified = Vec::new();
        for (number, uid) in self.numbered(&set, by_uid) {
            match self.store_one(uid, &change)? {
                Some(message) => self.tell_stored(number, &message, by_uid, change.silent)?,
                None => modified.push(if by_uid { uid.to_string() } else { number.to_string() }),
            }
        }
        Ok(if modified.is_empty() {
            Reply::ok("stored")
        } else {
            Reply::Ok(format!("[MODIFIED {}] some were changed by others", modified.join(",")))
        })
    }

    /// Changes one message and returns it, or `None` if it had been changed, or was gone.
    fn store_one(&self, uid: u32, change: &Change) -> Result<Option<Message>, Fail> {
        self.with_selected(|_, mailbox| {
            let message = mailbox.message(uid)?;
            if change.unchanged_since.is_some_and(|since| message.modseq > since) {
                return None;
            }
            let flags = change.applied(&message.flags);
            mailbox.set_flags(uid, flags);
            mailbox.message(uid).cloned()
        })
    }

    fn tell_stored(&mut self, number: usize, message: &Message, by_uid: bool, silent: bool) -> Result<(), Fail> {
        let mut told = Vec::new();
        if by_uid {
            told.push(format!("UID {}", message.uid));
        }
        if !silent {
            told.push(flags(message));
        }
        if self.condstore {
            told.push(format!("MODSEQ ({})", message.modseq));
        }
        if !silent || self.condstore {
            self.wire.send_line(&format!("* {number} FETCH ({})", told.join(" ")))?;
        }
        Ok(())
    }

    /// EXPUNGE, or UID EXPUNGE of a set. What is gone is told with the changes that follow every command.
    pub fn expunge(&mut self, set: Option<&Set>) -> Outcome {
        self.may_change()?;
        self.with_selected(|selected, mailbox| remove_deleted(selected, mailbox, set))?;
        Ok(Reply::ok("expunged"))
    }

    /// CLOSE: removes what is marked \Deleted, without a word.
    pub fn close(&mut self) -> Outcome {
        self.with_selected(|selected, mailbox| {
            if !selected.read_only {
                remove_deleted(selected, mailbox, None);
            }
        })?;
        self.selected = None;
        Ok(Reply::ok("closed"))
    }

    /// SEARCH, or UID SEARCH; with RETURN it is ESEARCH.
    pub fn search(&mut self, mut args: Args, by_uid: bool) -> Outcome {
        let wanted = wanted_of_search(&mut args).ok_or_else(bad)?;
        if wanted.is_some() && !self.shared.offers("ESEARCH") {
            return Err(bad());
        }
        if args.0.front() == Some(&Token::Atom("CHARSET".to_owned())) {
            args.0.drain(..args.0.len().min(2));
        }
        let key = all_keys(&mut args).ok_or_else(bad)?;
        let found = self.with_selected(|selected, mailbox| {
            let hits =
                numbers(selected).filter(|&(number, uid)| mailbox.message(uid).is_some_and(|message| hit(&key, number, message, selected)));
            hits.map(|(number, uid)| if by_uid { uid } else { as_u32(number) }).collect::<Vec<u32>>()
        })?;
        let line = match wanted {
            Some(wanted) => extended(&self.tag, by_uid, &wanted, &found),
            None => format!("* SEARCH {}", joined(found.iter(), " ")).trim_end().to_owned(),
        };
        self.wire.send_line(&line)?;
        Ok(Reply::ok("searched"))
    }
}

/// What `RETURN (…)` asks for, if it is there; an empty list asks for ALL.
#[allow(clippy::option_option, reason = "outside: well formed or not; inside: there or not")]
fn wanted_of_search(args: &mut Args) -> Option<Option<Vec<String>>> {
    match args.0.front() {
        Some(Token::Atom(word)) if word.eq_ignore_ascii_case("RETURN") => args.0.pop_front(),
        _ => return Some(None),
    };
    let words: Vec<String> = args.list()??.words()?.iter().map(|word| word.to_ascii_uppercase()).collect();
    let known = words.iter().all(|word| matches!(word.as_str(), "ALL" | "MIN" | "MAX" | "COUNT"));
    known.then_some(Some(if words.is_empty() { vec!["ALL".to_owned()] } else { words }))
}

/// An ESEARCH response; what there is none of is left out.
fn extended(tag: &str, by_uid: bool, wanted: &[String], found: &[u32]) -> String {
    let values = wanted.iter().filter_map(|what| {
        let value = match (what.as_str(), found.first(), found.last()) {
            ("COUNT", _, _) => found.len().to_string(),
            ("MIN", Some(first), _) => first.to_string(),
            ("MAX", _, Some(last)) => last.to_string(),
            ("ALL", Some(_), _) => joined(ranges(found), ","),
            _ => return None,
        };
        Some(format!(" {what} {value}"))
    });
    format!("* ESEARCH (TAG {}){}{}", quote(tag), if by_uid { " UID" } else { "" }, joined(values, ""))
}

fn joined(parts: impl Iterator<Item = impl ToString>, with: &str) -> String {
    parts.map(|part| part.to_string()).collect::<Vec<_>>().join(with)
}

/// Ascending numbers as `1:3` and `7`.
fn ranges(numbers: &[u32]) -> impl Iterator<Item = String> + '_ {
    numbers.chunk_by(|one, next| one + 1 == *next).filter_map(|run| match run {
        [] => None,
        [only] => Some(only.to_string()),
        [first, .., last] => Some(format!("{first}:{last}")),
    })
}

fn as_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn numbers(selected: &Selected) -> impl Iterator<Item = (usize, u32)> + '_ {
    selected.view.iter().enumerate().map(|(at, &uid)| (at + 1, uid))
}

fn in_set(set: &Set, by_uid: bool, number: usize, uid: u32, selected: &Selected) -> bool {
    if by_uid {
        set.contains(uid, selected.view.last().copied().unwrap_or(0))
    } else {
        set.contains(as_u32(number), as_u32(selected.view.len()))
    }
}

fn remove_deleted(selected: &Selected, mailbox: &mut Mailbox, set: Option<&Set>) {
    let last = selected.view.last().copied().unwrap_or(0);
    mailbox.remove(|message| message.flags.contains("\\Deleted") && set.is_none_or(|set| set.contains(message.uid, last)));
}

fn change(args: &mut Args) -> Option<Change> {
    let unchanged_since = match args.list()? {
        Some(mut list) => match list.keyword()?.as_str() {
            "UNCHANGEDSINCE" => Some(list.number()?),
            _ => return None,
        },
        None => None,
    };
    let word = args.keyword()?;
    let (name, silent) = word.strip_suffix(".SILENT").map_or((word.as_str(), false), |name| (name, true));
    let how = match name {
        "FLAGS" => How::Replace,
        "+FLAGS" => How::Add,
        "-FLAGS" => How::Remove,
        _ => return None,
    };
    let flags = args.words()?.iter().map(|flag| canonical_flag(flag)).collect();
    Some(Change { how, silent, flags, unchanged_since })
}

fn all_keys(args: &mut Args) -> Option<Key> {
    let mut keys = Vec::new();
    while !args.0.is_empty() {
        keys.push(key(args)?);
    }
    (!keys.is_empty()).then_some(Key::And(keys))
}

fn key(args: &mut Args) -> Option<Key> {
    if let Some(mut list) = args.list()? {
        return all_keys(&mut list);
    }
    let word = args.keyword()?;
    let flag = |name: &str| Key::Flag(canonical_flag(name));
    Some(match word.as_str() {
        "ALL" | "OLD" => Key::Every,
        "UID" => Key::Uids(args.set()?),
        "KEYWORD" => Key::Flag(args.word()?),
        "UNKEYWORD" => Key::Not(Box::new(Key::Flag(args.word()?))),
        "LARGER" => Key::Larger(args.number()?),
        "SMALLER" => Key::Smaller(args.number()?),
        "MODSEQ" => Key::ModSeq(args.number()?),
        "NOT" => Key::Not(Box::new(key(args)?)),
        "OR" => Key::Or(Box::new(key(args)?), Box::new(key(args)?)),
        "ANSWERED" | "DELETED" | "DRAFT" | "FLAGGED" | "SEEN" => flag(&format!("\\{word}")),
        "UNANSWERED" | "UNDELETED" | "UNDRAFT" | "UNFLAGGED" | "UNSEEN" => {
            Key::Not(Box::new(flag(&format!("\\{}", word.strip_prefix("UN")?))))
        }
        _ => Key::Numbers(Set::parse(&word)?),
    })
}

fn hit(key: &Key, number: usize, message: &Message, selected: &Selected) -> bool {
    let holds = |key: &Key| hit(key, number, message, selected);
    match key {
        Key::Every => true,
        Key::Numbers(set) => in_set(set, false, number, message.uid, selected),
        Key::Uids(set) => in_set(set, true, number, message.uid, selected),
        Key::Flag(flag) => message.flags.contains(flag),
        Key::Larger(size) => message.size > *size,
        Key::Smaller(size) => message.size < *size,
        Key::ModSeq(modseq) => message.modseq >= *modseq,
        Key::Not(key) => !holds(key),
        Key::Or(one, other) => holds(one) || holds(other),
        Key::And(keys) => keys.iter().all(holds),
    }
}
