//! FETCH and UID FETCH.
//!
//! Decision: what is told is written in the order it was asked for, so that a test can ask for the awkward order (attributes
//! after the literal). Literals hold the exact octets, NUL included, which RFC 3501 forbids and servers have done.
//! No ENVELOPE, BODYSTRUCTURE or numbered parts: a client that archives whole messages has no use for them.

use std::borrow::Cow;
use std::io;

use super::faults::Faults;
use super::imap::{Fail, Outcome, Reply, Session, bad};
use super::parse::Args;
use super::store::{Message, internal_date};

#[derive(Clone, Debug)]
enum Section {
    All,
    Header,
    Text,
    Fields { names: Vec<String>, but: bool },
}

#[derive(Clone, Debug)]
enum Item {
    Uid,
    Flags,
    InternalDate,
    Size,
    ModSeq,
    EmailId,
    Body { label: String, section: Section, partial: Option<(usize, usize)>, peek: bool },
}

impl Session<'_> {
    /// FETCH, or UID FETCH.
    pub fn fetch(&mut self, mut args: Args, by_uid: bool) -> Outcome {
        let set = args.set().ok_or_else(bad)?;
        let mut list = match args.list().ok_or_else(bad)? {
            Some(list) => list,
            None => Args([args.0.pop_front().ok_or_else(bad)?].into()),
        };
        let changed_since = changed_since(&mut args)?;
        let mut items = items(&mut list).ok_or_else(bad)?;
        if items.iter().any(|item| matches!(item, Item::EmailId))
            && (!self.shared.config.object_ids || self.shared.faults().refuse_emailids)
        {
            return Err(bad());
        }
        if by_uid && !items.iter().any(|item| matches!(item, Item::Uid)) {
            items.insert(0, Item::Uid);
        }
        self.condstore |= changed_since.is_some() || items.iter().any(|item| matches!(item, Item::ModSeq));
        if changed_since.is_some() && !items.iter().any(|item| matches!(item, Item::ModSeq)) {
            items.push(Item::ModSeq);
        }
        if self.condstore && !self.shared.offers("CONDSTORE") {
            self.condstore = false;
            return Err(bad());
        }
        let mut refused = false;
        for (number, uid) in self.numbered(&set, by_uid) {
            refused |= !self.fetch_one(number, uid, &items, changed_since)?;
        }
        Ok(if refused { Reply::no("[SERVERBUG] some messages can't be read") } else { Reply::ok("fetched") })
    }

    /// Tells about one message; false if it was refused.
    fn fetch_one(&mut self, number: usize, uid: u32, items: &[Item], since: Option<u64>) -> Result<bool, Fail> {
        let wants_text = items.iter().any(|item| matches!(item, Item::Body { .. }));
        let vanish = self.shared.faults().vanish;
        if wants_text && !vanish.is_empty() {
            self.with_selected(|_, mailbox| mailbox.remove(|message| vanish.contains(&message.uid)))?;
        }
        let marks = items.iter().any(|item| matches!(item, Item::Body { peek: false, .. }));
        let (message, newly_seen) = self.with_selected(|selected, mailbox| {
            let seen = |message: &Message| message.flags.contains("\\Seen");
            let newly_seen = marks && !selected.read_only && mailbox.message(uid).is_some_and(|message| !seen(message));
            if newly_seen {
                mailbox.add_flag(uid, "\\Seen");
            }
            (mailbox.message(uid).cloned(), newly_seen)
        })?;
        let Some(message) = message.filter(|message| since.is_none_or(|since| message.modseq > since)) else {
            return Ok(true);
        };
        let faults = self.shared.faults();
        let refused = if wants_text { &faults.refuse } else { &faults.refuse_listing };
        if refused.contains(&uid) {
            return Ok(false);
        }
        let mut items = items.to_vec();
        items.retain(|item| !matches!(item, Item::EmailId) || !faults.without_emailid.contains(&uid));
        if newly_seen && !items.iter().any(|item| matches!(item, Item::Flags)) {
            items.push(Item::Flags);
        }
        self.tell(number, &message, &items, &faults)?;
        Ok(true)
    }

    fn tell(&mut self, number: usize, message: &Message, items: &[Item], faults: &Faults) -> io::Result<()> {
        self.wire.send(format!("* {number} FETCH (").as_bytes())?;
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.wire.send(b" ")?;
            }
            match item {
                Item::Body { label, section, partial, .. } => {
                    self.tell_body(message, label, section, *partial, faults)?;
                }
                _ => self.wire.send(attribute(item, message, faults).as_bytes())?,
            }
        }
        self.wire.send(b")\r\n")
    }

    fn tell_body(
        &mut self,
        message: &Message,
        label: &str,
        section: &Section,
        partial: Option<(usize, usize)>,
        faults: &Faults,
    ) -> io::Result<()> {
        let octets = message.octets()?;
        let whole = section_of(&octets, section);
        let start = partial.map_or(0, |(start, _)| start.min(whole.len()));
        let end = partial.map_or(whole.len(), |(_, count)| start.saturating_add(count).min(whole.len()));
        let octets = &whole[start..end];
        self.handed_out += 1;
        self.wire.send(format!("{label} {{{}}}\r\n", octets.len()).as_bytes())?;
        self.wire.send_message(octets, faults.trouble(self.handed_out, message.uid), b"\r\n* BYE going down\r\n")
    }
}

fn changed_since(args: &mut Args) -> Result<Option<u64>, Fail> {
    let Some(mut list) = args.list().ok_or_else(bad)? else { return Ok(None) };
    match list.keyword().as_deref() {
        Some("CHANGEDSINCE") => list.number().map(Some).ok_or_else(bad),
        _ => Err(bad()),
    }
}

fn items(list: &mut Args) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    while !list.0.is_empty() {
        let word = list.keyword()?;
        match word.as_str() {
            "FAST" => items.extend([Item::Flags, Item::InternalDate, Item::Size]),
            _ => items.push(item(&word)?),
        }
    }
    (!items.is_empty()).then_some(items)
}

fn item(word: &str) -> Option<Item> {
    let whole = |label: &str, section, peek| Item::Body { label: label.to_owned(), section, partial: None, peek };
    Some(match word {
        "UID" => Item::Uid,
        "FLAGS" => Item::Flags,
        "INTERNALDATE" => Item::InternalDate,
        "RFC822.SIZE" => Item::Size,
        "MODSEQ" => Item::ModSeq,
        "EMAILID" => Item::EmailId,
        "RFC822" => whole("RFC822", Section::All, false),
        "RFC822.HEADER" => whole("RFC822.HEADER", Section::Header, true),
        "RFC822.TEXT" => whole("RFC822.TEXT", Section::Text, false),
        _ => return body_item(word),
    })
}

/// `BODY[section]<start.count>` or `BODY.PEEK[…]…`.
fn body_item(word: &str) -> Option<Item> {
    let (peek, rest) = match word.strip_prefix("BODY.PEEK[") {
        Some(rest) => (true, rest),
        None => (false, word.strip_prefix("BODY[")?),
    };
    let (name, rest) = rest.split_once(']')?;
    let partial = match rest.strip_prefix('<') {
        Some(rest) => {
            let (start, count) = rest.strip_suffix('>')?.split_once('.')?;
            Some((start.parse().ok()?, count.parse().ok()?))
        }
        None if rest.is_empty() => None,
        None => return None,
    };
    let origin = partial.map_or_else(String::new, |(start, _): (usize, usize)| format!("<{start}>"));
    Some(Item::Body { label: format!("BODY[{name}]{origin}"), section: section(name)?, partial, peek })
}

fn section(name: &str) -> Option<Section> {
    Some(match name {
        "" => Section::All,
        "HEADER" => Section::Header,
        "TEXT" => Section::Text,
        _ => {
            let (kind, names) = name.split_once(' ')?;
            let names = names.strip_prefix('(')?.strip_suffix(')')?;
            let names = names.split(' ').map(|name| name.trim_matches('"').to_owned()).collect();
            Section::Fields { names, but: fields_but(kind)? }
        }
    })
}

fn fields_but(kind: &str) -> Option<bool> {
    match kind {
        "HEADER.FIELDS" => Some(false),
        "HEADER.FIELDS.NOT" => Some(true),
        _ => None,
    }
}

fn attribute(item: &Item, message: &Message, faults: &Faults) -> String {
    match item {
        Item::Uid => format!("UID {}", message.uid),
        Item::Flags => flags(message),
        Item::InternalDate => format!("INTERNALDATE \"{}\"", internal_date(message.received)),
        Item::Size => format!("RFC822.SIZE {}", faults.size(message.uid, message.size)),
        Item::ModSeq => format!("MODSEQ ({})", message.modseq),
        Item::EmailId => message.emailid.as_ref().map_or_else(|| "EMAILID NIL".to_owned(), |id| format!("EMAILID ({id})")),
        Item::Body { .. } => String::new(),
    }
}

/// `FLAGS (…)`.
pub fn flags(message: &Message) -> String {
    let flags: Vec<&str> = message.flags.iter().map(String::as_str).collect();
    format!("FLAGS ({})", flags.join(" "))
}

fn section_of<'a>(octets: &'a [u8], section: &Section) -> Cow<'a, [u8]> {
    let header = header_length(octets);
    match section {
        Section::All => octets.into(),
        Section::Header => octets[..header].into(),
        Section::Text => octets[header..].into(),
        Section::Fields { names, but } => fields(&octets[..header], names, *but).into(),
    }
}

/// Where the body begins: after the first blank line, or at the end.
fn header_length(octets: &[u8]) -> usize {
    let mut length = 0;
    for line in octets.split_inclusive(|&octet| octet == b'\n') {
        length += line.len();
        if line == b"\r\n" || line == b"\n" {
            break;
        }
    }
    length
}

fn fields(header: &[u8], names: &[String], but: bool) -> Vec<u8> {
    let (mut kept, mut keep) = (Vec::new(), false);
    for line in header.split_inclusive(|&octet| octet == b'\n') {
        if line == b"\r\n" || line == b"\n" {
            break;
        }
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|&octet| octet == b':').next().unwrap_or_default().trim_ascii();
            keep = names.iter().any(|wanted| wanted.as_bytes().eq_ignore_ascii_case(name)) != but;
        }
        if keep {
            kept.extend_from_slice(line);
        }
    }
    kept.extend_from_slice(b"\r\n");
    kept
}
