//! Listing a mailbox: every message's UID, size, date and flags in one command, read as they come.

use super::Session;
use super::answer::{Answer, Condition, Token, Tokens, Verdict, number};
use crate::error::{Error, Result, Status};
use crate::identity::Uid;
use crate::net::LARGEST_CLAIM;
use crate::record::is_object_id;
use crate::time::Time;
use crate::uids::UidSet;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A message as the server lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its UID.
    pub uid: Uid,
    /// Its octets, as the server claims (RFC822.SIZE).
    pub size: Option<u64>,
    /// When the server received it (INTERNALDATE).
    pub received: Option<Time>,
    /// Its flags; messages with the same flags share them.
    pub flags: Arc<[String]>,
}

/// What a mailbox lists.
#[derive(Debug, Default)]
pub struct Listing {
    /// The messages, by UID.
    pub messages: Vec<Listed>,
    /// Messages whose listing was refused or could not be understood, and why.
    pub failed: Vec<(Option<Uid>, Error)>,
    /// The flags seen so far: most messages have one of few sets.
    flags: HashMap<Vec<String>, Arc<[String]>>,
}

/// How long a set of UIDs in a command may be, in octets (RFC 9051 section 4 asks for less than 8,000 a line).
pub(super) const LONGEST_SET: usize = 4000;
/// The most messages that a server is believed to hold in one mailbox.
const MOST_MESSAGES: u32 = 20_000_000;
/// How many messages are named one by one when the rest of a listing is refused; of more, the listing has failed.
const MOST_NAMED: u64 = 100_000;
/// After how many refusals the rest of a listing is taken as refused.
const MOST_REFUSALS: u32 = 100;

/// What a FETCH response says of a message.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub uid: Option<Uid>,
    pub size: Option<u64>,
    pub received: Option<Time>,
    /// The flag list as it came.
    pub flags: Option<Vec<String>>,
    pub body: Option<Body>,
    /// EMAILID (RFC 8474 section 5.1).
    pub emailid: Option<String>,
    /// Whether a part of the response could not be understood.
    pub malformed: bool,
}

/// The `BODY[]` of a FETCH response.
#[derive(Debug, PartialEq)]
pub(super) enum Body {
    /// In the [`crate::held::Held`] given.
    Held,
    /// Short, and so a quoted string.
    Text(Vec<u8>),
    /// The server has no octets for it.
    Nil,
}

impl Fetched {
    /// Reads a FETCH response; none if the answer is something else.
    pub fn of(answer: &Answer) -> Option<Self> {
        let (_, mut tokens) = answer.numbered("FETCH")?;
        let mut fetched = Self::default();
        fetched.malformed = tokens.next() != Some(Token::Open) || fetched.items(&mut tokens).is_none();
        Some(fetched)
    }

    fn items(&mut self, tokens: &mut Tokens<'_>) -> Option<()> {
        loop {
            let name = match tokens.next()? {
                Token::Close => return Some(()),
                Token::Atom(name) => name,
                _ => return None,
            };
            match name.to_ascii_uppercase().as_slice() {
                b"UID" => self.uid = Some(Uid(number(tokens.atom()?).filter(|n| *n > 0)?)),
                b"RFC822.SIZE" => self.size = Some(number(tokens.atom()?)?).filter(|size| *size <= LARGEST_CLAIM),
                b"INTERNALDATE" => self.received = Time::from_imap(&String::from_utf8_lossy(&tokens.string()?)),
                b"FLAGS" => self.flags = Some(tokens.list()?.iter().map(|f| String::from_utf8_lossy(f).into_owned()).collect()),
                b"EMAILID" => self.emailid = Some(emailid(tokens)?).filter(|id| is_object_id(id)),
                b"BODY[]" => self.body = Some(body(tokens.next()?)?),
                _ => tokens.pass_over()?,
            }
        }
    }
}

/// `(M6d99)`; a server that has none for a message says NIL, which is none.
fn emailid(tokens: &mut Tokens<'_>) -> Option<String> {
    match tokens.next()? {
        Token::Open => {
            let id = tokens.string()?;
            let ends = tokens.next()? == Token::Close;
            ends.then(|| String::from_utf8_lossy(&id).into_owned())
        }
        Token::Atom(nil) if nil.eq_ignore_ascii_case(b"NIL") => Some(String::new()),
        _ => None,
    }
}

fn body(token: Token<'_>) -> Option<Body> {
    match token {
        Token::Message => Some(Body::Held),
        Token::Text(text) => Some(Body::Text(text.into_owned())),
        Token::Atom(nil) if nil.eq_ignore_ascii_case(b"NIL") => Some(Body::Nil),
        _ => None,
    }
}

/// The command that lists messages.
pub(super) fn list_command(uids: &str) -> String {
    format!("UID FETCH {uids} (UID RFC822.SIZE INTERNALDATE FLAGS)")
}

impl Session {
    /// Lists the open mailbox. A line that can't be understood costs its message only, and so does a message for which the server
    /// refuses to list all: the others are asked for without it.
    ///
    /// # Errors
    /// What the server or the connection reports.
    pub fn list_messages(&mut self) -> Result<Listing> {
        let tag = self.send(&list_command("1:*"))?;
        self.list_on(&tag, Some(self.exists.max(1)))
    }

    /// The second half of it, for a mailbox that holds so many messages; none if it could not be opened, and there is nothing to list.
    pub(super) fn list_on(&mut self, tag: &[u8], exists: Option<u32>) -> Result<Listing> {
        let mut listing = Listing::default();
        let ended = self.take_listing(tag, &mut listing)?;
        if exists.is_none() || (exists == Some(0) && ended.verdict != Verdict::Ok) {
            // Of an empty mailbox 1:* names nothing, which some servers call BAD.
            return Ok(Listing::default());
        }
        if ended.verdict != Verdict::Ok {
            let refused = self.refused(&ended, "listing");
            if ended.verdict == Verdict::Bad || !self.alive {
                return Err(refused);
            }
            // Refused for one message's sake, or altogether: which UIDs there are tells.
            let all = self.search_all().map_err(|e| if self.alive { refused } else { e })?;
            let listed: UidSet = listing.messages.iter().map(|message| message.uid.0).collect();
            self.list_around(all.without(&listed), &mut listing)?;
        }
        Ok(listing.in_order())
    }

    /// Lists those messages of the open mailbox that `uids` names.
    ///
    /// # Errors
    /// As [`Session::list_messages`].
    pub fn list_some(&mut self, uids: &UidSet) -> Result<Listing> {
        let mut listing = Listing::default();
        for part in uids.pieces(LONGEST_SET) {
            self.list_around(part, &mut listing)?;
        }
        Ok(listing.in_order())
    }

    /// Lists, and where the server refuses halves what it is asked for, until the messages for which it does stand alone.
    fn list_around(&mut self, uids: UidSet, listing: &mut Listing) -> Result<()> {
        let mut queue = vec![uids];
        let mut refusals = 0;
        while let Some(uids) = queue.pop().filter(|uids| !uids.is_empty()) {
            let ended = self.list_into(&uids.to_string(), listing)?;
            if ended.verdict == Verdict::Ok {
                continue;
            }
            let refused = self.refused(&ended, "listing");
            if !self.alive {
                return Err(refused);
            }
            refusals += 1;
            if refusals >= MOST_REFUSALS && uids.len() > MOST_NAMED {
                return Err(refused);
            }
            if uids.len() > 1 && refusals < MOST_REFUSALS {
                queue.extend(uids.halves());
            } else {
                listing.failed.extend(uids.iter().map(|uid| (Some(Uid(uid)), ended.error("listing"))));
            }
        }
        Ok(())
    }

    fn list_into(&mut self, uids: &str, listing: &mut Listing) -> Result<Condition> {
        let tag = self.send(&list_command(uids))?;
        self.take_listing(&tag, listing)
    }

    /// The most messages that the open mailbox is believed to hold: some may have come since it was opened, but not as many again.
    pub(super) fn most_messages(&self) -> usize {
        (self.exists.min(MOST_MESSAGES) as usize).saturating_mul(2).saturating_add(100_000)
    }

    fn take_listing(&mut self, tag: &[u8], listing: &mut Listing) -> Result<Condition> {
        let most = self.most_messages();
        self.finish(tag, &mut |answer| {
            if listing.messages.len() + listing.failed.len() > most {
                return Err(Error::new(Status::Protocol, format!("the server lists more than {most} messages and does not end")));
            }
            listing.take(answer);
            Ok(())
        })
    }
}

impl Listing {
    fn take(&mut self, answer: &Answer) {
        let Some(fetched) = Fetched::of(answer) else { return };
        match (fetched.uid, fetched.malformed) {
            (Some(uid), false) => {
                let named = kept_flags(fetched.flags);
                let flags = self.flags.entry(named).or_insert_with_key(|named| named.as_slice().into()).clone();
                self.messages.push(Listed { uid, size: fetched.size, received: fetched.received, flags });
            }
            (uid, true) => {
                let what = format!("its listing is not understood: {}", answer.excerpt());
                self.failed.push((uid, Error::new(Status::Protocol, what)));
            }
            // A change of flags that the server tells unasked names no UID.
            (None, false) => {}
        }
    }

    fn in_order(mut self) -> Self {
        self.messages.sort_by_key(|message| message.uid);
        self.messages.dedup_by(|later, first| later.uid == first.uid && take_over(first, later));
        // Of a message that is listed a second time a line may be odd; and one that is missed is missed once.
        let (listed, mut missed) = (&self.messages, HashSet::new());
        self.failed.retain(|(uid, _)| {
            uid.is_none_or(|uid| listed.binary_search_by_key(&uid, |message| message.uid).is_err() && missed.insert(uid))
        });
        self
    }
}

/// The flags that outlive the session: `\Recent` is about the session, not about the message (RFC 3501 section 2.3.2).
fn kept_flags(flags: Option<Vec<String>>) -> Vec<String> {
    let mut flags = flags.unwrap_or_default();
    flags.retain(|flag| !flag.eq_ignore_ascii_case("\\Recent"));
    flags
}

/// A second response about a message, sent unasked, may lack what the first has.
fn take_over(first: &mut Listed, later: &mut Listed) -> bool {
    first.size = first.size.or(later.size);
    first.received = first.received.or(later.received);
    if first.flags.is_empty() {
        first.flags = Arc::clone(&later.flags);
    }
    true
}
