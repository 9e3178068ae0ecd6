//! Which UIDs there are, without asking anything about them: a million known messages cost a line and not a hundred megabytes.
//!
//! ESEARCH names them as ranges (RFC 4731, RFC 9051 section 7.3.4); SEARCH, which every server has, one by one.

use super::Session;
use super::answer::{Answer, Token, Tokens, number};
use super::messages::LONGEST_SET;
use crate::error::{Error, Result, Status};
use crate::uids::UidSet;

impl Session {
    /// The UIDs of all messages in the open mailbox.
    ///
    /// # Errors
    /// What the server or the connection reports; [`Status::Protocol`] if the answer is not understood.
    pub fn search_all(&mut self) -> Result<UidSet> {
        let brief = self.offers("ESEARCH") || self.offers("IMAP4REV2");
        self.search(if brief { "UID SEARCH RETURN (ALL) ALL" } else { "UID SEARCH ALL" })
    }

    /// Those of `uids` that are still there.
    ///
    /// # Errors
    /// As [`Session::search_all`].
    pub fn search_some(&mut self, uids: &UidSet) -> Result<UidSet> {
        let mut there = UidSet::new();
        for part in uids.pieces(LONGEST_SET) {
            let found = self.search(&format!("UID SEARCH UID {part}"))?;
            there.insert_all(&found.common(&part));
        }
        Ok(there)
    }

    /// The UIDs in the open mailbox that are marked as deleted, whoever marked them.
    ///
    /// # Errors
    /// As [`Session::search_all`].
    pub fn search_deleted(&mut self) -> Result<UidSet> {
        self.search("UID SEARCH DELETED")
    }

    fn search(&mut self, command: &str) -> Result<UidSet> {
        let mut found = UidSet::new();
        // Judged at the end, so that an odd answer costs an error and not the connection.
        let (mut odd, mut answered, most) = (None, false, self.most_messages());
        self.command(command, "UID SEARCH", &mut |answer| {
            answered |= answer.data("SEARCH").is_some() || answer.data("ESEARCH").is_some();
            if take(answer, &mut found).is_none() {
                odd = Some(format!("SEARCH answer not understood: {}", answer.excerpt()));
            }
            // A few octets name four thousand million; and no end of answers is no connection to go on with.
            let endless =
                || Error::new(Status::Protocol, format!("UID SEARCH: the server finds more than {most} messages and does not end"));
            if found.len() > most as u64 {
                odd = Some(endless().what().to_owned());
            }
            if found.ranges().len() > most { Err(endless()) } else { Ok(()) }
        })?;
        // A server that finds nothing says so (RFC 9051 section 6.4.4).
        let odd = odd.or_else(|| (!answered).then(|| "UID SEARCH: the server does not say what it found".to_owned()));
        odd.map_or(Ok(found), |what| Err(Error::new(Status::Protocol, what)))
    }
}

/// Adds what an answer names; none if it is an answer to SEARCH and is not understood.
fn take(answer: &Answer, found: &mut UidSet) -> Option<()> {
    if let Some(tokens) = answer.data("SEARCH") {
        return take_numbers(tokens, found);
    }
    let Some(mut tokens) = answer.data("ESEARCH") else { return Some(()) };
    while let Some(token) = tokens.next() {
        match token {
            Token::Open => (0..2).try_for_each(|_| tokens.string().map(drop)).filter(|()| tokens.next() == Some(Token::Close))?,
            Token::Atom(name) if name.eq_ignore_ascii_case(b"ALL") => {
                let set: UidSet = std::str::from_utf8(tokens.atom()?).ok()?.parse().ok()?;
                found.insert_all(&set);
            }
            Token::Atom(name) if name.eq_ignore_ascii_case(b"UID") => {}
            Token::Atom(_) => tokens.pass_over()?,
            _ => return None,
        }
    }
    Some(())
}

fn take_numbers(tokens: Tokens<'_>, found: &mut UidSet) -> Option<()> {
    // Sorted first: a set takes them one by one quickly only in ascending order.
    let mut uids: Vec<u32> = Vec::new();
    for token in tokens {
        match token {
            Token::Atom(digits) => uids.push(number(digits).filter(|uid| *uid > 0)?),
            // `(MODSEQ 17)` ends the answer where somebody asked for it (RFC 7162 section 3.1.5).
            Token::Open => break,
            _ => return None,
        }
    }
    uids.sort_unstable();
    uids.into_iter().for_each(|uid| found.insert(uid));
    Some(())
}
