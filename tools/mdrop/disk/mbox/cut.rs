//! Cuts an mbox into its messages.
//!
//! A line that begins with `From ` and has a date, at the file's beginning or after an empty line, begins a message, whatever the kind of
//! mbox. Only where the profile calls it mboxcl2 can a length say that such a line is text, since nothing else can there; and a length is
//! believed only if it holds, and if no message that has a length of its own would vanish in it. Where in doubt, a message is cut in two
//! rather than that two become one: what is cut is still there, and what vanishes in another's body is lost to its recipients.

use super::length::{Claim, ends_message, holds_at, is_blank};
use super::separator::is_dated;
use crate::disk::{Notice, open};
use crate::error::{Error, Result, Status};
use crate::profile::MboxFormat;
use crate::spool::Spool;
use std::fs::File;
use std::io::{BufRead, Read, Write};

/// The longest piece of a line that is looked at at once, in octets.
const PIECE: u64 = 64 << 10;
/// How much of a line is shown.
const SHOWN: usize = 60;

/// Reads an mbox message by message.
pub(super) struct MboxReader {
    input: Box<dyn BufRead>,
    format: MboxFormat,
    /// The same octets, to look ahead in.
    ahead: Option<File>,
    /// Whether the file's first line has no date, so that the others need none.
    undated: bool,
    /// The piece of a line that was read last, and where it begins.
    piece: Vec<u8>,
    piece_at: u64,
    /// Where the next piece begins.
    position: u64,
    /// Whether the piece is the `From ` line of the next message.
    at_message: bool,
    /// How many messages have begun.
    number: u64,
    notices: Vec<Notice>,
}

/// A message while it is read.
#[derive(Default)]
struct Message {
    /// Whether the last piece was not the end of its line.
    within_line: bool,
    /// The empty line that was read last, if nothing has followed: the last one belongs to the mbox.
    blank: Vec<u8>,
    /// Whether the header has been passed.
    in_body: bool,
    claim: Claim,
    /// Where the message ends, if its claim holds.
    end: Option<u64>,
}

impl MboxReader {
    /// A reader of `input`; `ahead` is a file with the same octets, without which lengths are not believed.
    ///
    /// # Errors
    /// [`Status::Data`] if it is no mbox; what `input` reports.
    pub(super) fn new(input: Box<dyn BufRead>, format: MboxFormat, ahead: Option<File>) -> Result<Self> {
        let ahead = ahead.filter(|_| matches!(format, MboxFormat::Mboxcl | MboxFormat::Mboxcl2));
        let (piece, notices) = (Vec::new(), Vec::new());
        let mut reader =
            Self { input, format, ahead, undated: false, piece, piece_at: 0, position: 0, at_message: false, number: 0, notices };
        reader.read_piece(PIECE).map_err(|e| e.about("message 1, which begins at octet 0"))?;
        reader.at_message = reader.piece.starts_with(b"From ");
        reader.undated = !is_dated(&reader.piece);
        if reader.at_message && reader.piece.windows(2).any(|pair| matches!(pair, [b'\r', next] if !matches!(next, b'\r' | b'\n'))) {
            return Err(Error::new(Status::Data, "its lines end in CR alone, as those of old Macintosh files do: convert them first"));
        }
        if reader.piece.is_empty() || reader.at_message {
            return Ok(reader);
        }
        Err(Error::new(Status::Data, "not an mbox: its first line does not begin with “From ”"))
    }

    fn read_piece(&mut self, longest: u64) -> Result<()> {
        self.piece.clear();
        self.piece_at = self.position;
        (&mut self.input).take(longest).read_until(b'\n', &mut self.piece).map_err(open::failed)?;
        self.position += self.piece.len() as u64;
        Ok(())
    }

    /// Puts the next message into `raw`, unquoted; false at the end.
    ///
    /// # Errors
    /// What the input reports: what is in `raw` then is no whole message.
    pub(super) fn next(&mut self, raw: &mut Spool) -> Result<bool> {
        raw.clear();
        self.notices.clear();
        if !std::mem::take(&mut self.at_message) {
            return Ok(false);
        }
        self.number += 1;
        let (number, began) = (self.number, self.piece_at);
        self.message(raw).map_err(|e| e.about(format!("message {number}, which begins at octet {began}")))?;
        Ok(true)
    }

    /// What was noticed of the message that was read last.
    pub(super) fn notices(&mut self) -> impl Iterator<Item = Notice> {
        self.notices.drain(..)
    }

    fn message(&mut self, raw: &mut Spool) -> Result<()> {
        // What is left of a very long From line belongs to it.
        while !self.piece.ends_with(b"\n") && !self.piece.is_empty() {
            self.read_piece(PIECE)?;
        }
        let mut message = Message::default();
        loop {
            let longest = message.end.map_or(PIECE, |end| PIECE.min(end.saturating_sub(self.position)));
            if longest == 0 {
                raw.write_all(&message.blank)?;
                return self.claimed_end();
            }
            self.read_piece(longest)?;
            if self.piece.is_empty() {
                return Ok(());
            }
            if !message.within_line && self.begins_message(&message)? {
                self.at_message = true;
                return Ok(());
            }
            self.take_piece(&mut message, raw)?;
        }
    }

    fn take_piece(&mut self, message: &mut Message, raw: &mut Spool) -> Result<()> {
        let begins_line = !message.within_line;
        if begins_line {
            raw.write_all(&message.blank)?;
            message.blank.clear();
            if is_blank(&self.piece) {
                if !std::mem::replace(&mut message.in_body, true) {
                    message.end = self.claimed(&message.claim)?;
                }
                std::mem::swap(&mut message.blank, &mut self.piece);
                return Ok(());
            }
            if !message.in_body && self.ahead.is_some() {
                message.claim.look(&self.piece);
            }
        }
        let quoted = begins_line && self.is_quoted();
        raw.write_all(self.piece.get(usize::from(quoted)..).unwrap_or_default())?;
        message.within_line = !self.piece.ends_with(b"\n");
        Ok(())
    }

    fn is_quoted(&self) -> bool {
        let quotes = self.piece.iter().take_while(|octet| **octet == b'>').count();
        let usual = match self.format {
            MboxFormat::Mboxrd => quotes > 0,
            MboxFormat::Mboxo | MboxFormat::Mboxcl => quotes == 1,
            MboxFormat::Mboxcl2 => false,
        };
        usual && self.piece.get(quotes..).is_some_and(|rest| rest.starts_with(b"From "))
    }

    /// Whether the piece, which begins a line, begins the next message.
    fn begins_message(&mut self, message: &Message) -> Result<bool> {
        if !self.piece.starts_with(b"From ") {
            return Ok(false);
        }
        let (after_blank, dated) = (!message.blank.is_empty(), is_dated(&self.piece));
        let looks_so = after_blank && (dated || self.undated);
        let claimed = message.end.is_some();
        if looks_so && !claimed {
            return Ok(true);
        }
        if !looks_so {
            if (after_blank || dated) && !claimed {
                let why = if after_blank { "has no date" } else { "does not follow an empty line" };
                self.notice("unquoted", format!("the line “{}” {why} and is taken as text", self.shown()));
            }
            return Ok(false);
        }
        if self.format == MboxFormat::Mboxcl2 && !self.claims_itself()? {
            self.notice("unquoted", format!("the line “{}” lies within Content-Length and is taken as text", self.shown()));
            return Ok(false);
        }
        self.notice("misleading", "Content-Length reaches beyond the beginning of another message and is not believed".into());
        Ok(true)
    }

    /// The piece, which is a `From ` line, for people.
    fn shown(&self) -> String {
        String::from_utf8_lossy(self.piece.get(..SHOWN).unwrap_or(&self.piece)).trim_end().to_owned()
    }

    /// Whether the message behind the `From ` line has a length of its own that holds.
    fn claims_itself(&self) -> Result<bool> {
        let file = self.ahead.as_ref().filter(|_| self.piece.ends_with(b"\n"));
        file.map_or(Ok(false), |file| holds_at(file, self.position, self.undated)).map_err(|e| Error::io("read", e))
    }

    /// Where the message ends whose body begins here, if its claim holds.
    fn claimed(&mut self, claim: &Claim) -> Result<Option<u64>> {
        let Some(file) = &self.ahead else { return Ok(None) };
        let octets = match claim {
            // An empty body needs no help, and the line before it may be the mbox's.
            Claim::None | Claim::Octets(0) => return Ok(None),
            Claim::Bad => {
                self.notice("misleading", "Content-Length is no number, or there are several, and is not believed".into());
                return Ok(None);
            }
            Claim::Octets(octets) => *octets,
        };
        let end = self.position.checked_add(octets);
        if end.map_or(Ok(false), |end| ends_message(file, end, self.undated)).map_err(|e| Error::io("read", e))? {
            return Ok(end);
        }
        self.notice("misleading", format!("Content-Length is {octets}, where no message ends, and is not believed"));
        Ok(None)
    }

    /// What follows a message whose length held: an empty line, as a rule, and the next message or the end.
    fn claimed_end(&mut self) -> Result<()> {
        self.read_piece(PIECE)?;
        if is_blank(&self.piece) {
            self.read_piece(PIECE)?;
        }
        self.at_message = self.piece.starts_with(b"From ");
        if self.at_message || self.piece.is_empty() {
            Ok(())
        } else {
            Err(Error::new(Status::Data, "the file was changed while it was read"))
        }
    }

    /// Keeps one notice of a kind.
    fn notice(&mut self, finding: &'static str, text: String) {
        if self.notices.iter().all(|notice| notice.finding != finding) {
            self.notices.push(Notice { finding, text });
        }
    }
}
