//! Listing a mailbox: every message's UID, size, date and flags in one command, read as they come.

use super::Session;
use super::answer::{Answer, Token, Tokens, number};
use crate::error::{Error, Result, Status};
use crate::identity::Uid;
use crate::net::LARGEST_CLAIM;
use crate::time::Time;
use std::collections::HashMap;
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
    /// Messages whose listing could not be understood, and why.
    pub failed: Vec<(Option<Uid>, Error)>,
}

/// What a FETCH response says of a message.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub uid: Option<Uid>,
    pub size: Option<u64>,
    pub received: Option<Time>,
    /// The flag list as it came.
    pub flags: Option<Vec<String>>,
    pub body: Option<Body>,
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
                b"BODY[]" => self.body = Some(body(tokens.next()?)?),
                _ => tokens.pass_over()?,
            }
        }
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

impl Session {
    /// Lists the open mailbox. A line that can't be understood costs its message only.
    ///
    /// # Errors
    /// What the server or the connection reports.
    pub fn list_messages(&mut self) -> Result<Listing> {
        self.list_some("1:*")
    }

    /// Lists those messages of the open mailbox that `uids` names, such as `4:9,12`.
    ///
    /// # Errors
    /// As [`Session::list_messages`].
    pub fn list_some(&mut self, uids: &str) -> Result<Listing> {
        let mut listing = Listing::default();
        let mut flags: HashMap<Vec<String>, Arc<[String]>> = HashMap::new();
        let command = format!("UID FETCH {uids} (UID RFC822.SIZE INTERNALDATE FLAGS)");
        self.command(&command, "listing", &mut |answer| {
            let Some(fetched) = Fetched::of(answer) else { return Ok(()) };
            match (fetched.uid, fetched.malformed) {
                (Some(uid), false) => {
                    let named = kept_flags(fetched.flags);
                    let flags = flags.entry(named).or_insert_with_key(|named| named.as_slice().into()).clone();
                    listing.messages.push(Listed { uid, size: fetched.size, received: fetched.received, flags });
                }
                (uid, true) => {
                    let what = format!("its listing is not understood: {}", answer.excerpt());
                    listing.failed.push((uid, Error::new(Status::Protocol, what)));
                }
                // A change of flags that the server tells unasked names no UID.
                (None, false) => {}
            }
            Ok(())
        })?;
        listing.messages.sort_by_key(|message| message.uid);
        listing.messages.dedup_by(|later, first| later.uid == first.uid && take_over(first, later));
        Ok(listing)
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
