//! mbox files: one, or a folder of them.
//!
//! A line that begins with `From ` at the file's beginning or after an empty line begins a message; one `>` is taken from every
//! `>From ` (mboxrd, and mboxo as well as it can be read). Content-Length is never believed. The file has no names for its messages, so a
//! message's name is the beginning of its digest.

use super::{Buffers, Found, Visitor, files, form, relative};
use crate::error::{Error, Result, Status};
use crate::octets::Octets;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

/// The longest piece of a line that is looked at at once, in octets.
const PIECE: u64 = 64 << 10;

pub(super) fn visit(root: &Path, visitor: &mut dyn Visitor) -> Result<()> {
    let mut buffers = Buffers::new();
    let visible = |path: &Path| path.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."));
    for file in files(root, visitor, visible)? {
        let mailbox = relative(&file, if file == root { root.parent().unwrap_or(root) } else { root });
        let opened = File::open(&file).map_err(|e| Error::io("open", e));
        let mut names = HashMap::new();
        let mut reader = match opened.and_then(|file| MboxReader::new(BufReader::with_capacity(256 << 10, file))) {
            Ok(reader) => reader,
            Err(error) => {
                visitor.unreadable(&mailbox, error)?;
                continue;
            }
        };
        loop {
            match reader.next(&mut buffers.raw) {
                Ok(true) => hand(&mailbox, &mut names, &mut buffers, visitor)?,
                Ok(false) => break,
                Err(error) => {
                    visitor.unreadable(&mailbox, error)?;
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Names a message by its digest, and hands it on if it is wanted.
fn hand(mailbox: &Octets, names: &mut HashMap<String, u32>, buffers: &mut Buffers, visitor: &mut dyn Visitor) -> Result<()> {
    form::convert(&mut buffers.raw, &mut buffers.held)?;
    let (_, digest, _) = buffers.held.measured();
    let mut name: String = digest.to_string().chars().skip_while(|c| *c != ':').skip(1).take(32).collect();
    let copies = names.entry(name.clone()).or_insert(0);
    *copies += 1;
    if *copies > 1 {
        name = format!("{name}-{copies}");
    }
    let found = Found { mailbox: mailbox.clone(), path: name.into(), size: buffers.raw.size(), flags: Vec::new() };
    if visitor.wants(&found)? { visitor.message(&found, &mut buffers.held) } else { Ok(()) }
}

/// Cuts an mbox into its messages.
struct MboxReader<R> {
    input: R,
    /// The piece of a line that was read last.
    piece: Vec<u8>,
    /// Whether the piece is the `From ` line of the next message.
    at_message: bool,
}

impl<R: BufRead> MboxReader<R> {
    fn new(input: R) -> Result<Self> {
        let mut reader = Self { input, piece: Vec::new(), at_message: false };
        reader.read_piece()?;
        reader.at_message = reader.piece.starts_with(b"From ");
        if reader.piece.is_empty() || reader.at_message {
            return Ok(reader);
        }
        Err(Error::new(Status::Data, "not an mbox: its first line does not begin with “From ”"))
    }

    fn read_piece(&mut self) -> Result<()> {
        self.piece.clear();
        (&mut self.input).take(PIECE).read_until(b'\n', &mut self.piece).map(drop).map_err(|e| Error::io("read", e))
    }

    /// Puts the next message into `raw`, unquoted; false at the end of the file.
    fn next(&mut self, raw: &mut crate::spool::Spool) -> Result<bool> {
        raw.clear();
        if !std::mem::take(&mut self.at_message) {
            return Ok(false);
        }
        // What is left of a very long From line belongs to it.
        while !self.piece.ends_with(b"\n") && !self.piece.is_empty() {
            self.read_piece()?;
        }
        let (mut line_begins, mut blank) = (true, Vec::new());
        loop {
            self.read_piece()?;
            if self.piece.is_empty() {
                return Ok(true);
            }
            if line_begins {
                if !blank.is_empty() && self.piece.starts_with(b"From ") {
                    self.at_message = true;
                    return Ok(true);
                }
                raw.write_all(&blank)?;
                blank.clear();
                if matches!(self.piece.as_slice(), b"\n" | b"\r\n") {
                    std::mem::swap(&mut blank, &mut self.piece);
                    continue;
                }
            }
            let quoted = line_begins && is_quoted(&self.piece);
            raw.write_all(self.piece.get(usize::from(quoted)..).unwrap_or_default())?;
            line_begins = self.piece.ends_with(b"\n");
        }
    }
}

fn is_quoted(line: &[u8]) -> bool {
    let quotes = line.iter().take_while(|octet| **octet == b'>').count();
    quotes > 0 && line.get(quotes..).is_some_and(|rest| rest.starts_with(b"From "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::Spool;

    fn messages(mbox: &str) -> Result<Vec<String>> {
        let mut reader = MboxReader::new(mbox.as_bytes())?;
        let (mut raw, mut all) = (Spool::new(1 << 20), Vec::new());
        while reader.next(&mut raw)? {
            all.push(String::from_utf8_lossy(raw.in_memory().unwrap_or_default()).into_owned());
        }
        Ok(all)
    }

    #[test]
    fn an_mbox_is_cut_where_from_follows_an_empty_line_and_unquoted_once() -> Result<()> {
        let cases: [(&str, &[&str]); 8] = [
            ("", &[]),
            ("From a\nA: b\n\nx\n\nFrom b\nC: d\n\ny\n\n", &["A: b\n\nx\n", "C: d\n\ny\n"]),
            ("From a\nA: b\n\nx\nFrom c\n\n", &["A: b\n\nx\nFrom c\n"]),
            ("From a\nA: b\n\n>From c\n>>From d\n> From e\n\n", &["A: b\n\nFrom c\n>From d\n> From e\n"]),
            ("From a\r\nA: b\r\n\r\nx\r\n\r\nFrom b\r\n\r\n", &["A: b\r\n\r\nx\r\n", ""]),
            ("From a\nA: b\n\n\n\nFrom b\nno end", &["A: b\n\n\n", "no end"]),
            ("From a\n\n", &[""]),
            ("From a", &[""]),
        ];
        for (mbox, expected) in cases {
            assert_eq!(messages(mbox)?, expected, "{mbox:?}");
        }
        assert_eq!(messages("A: b\n").map_err(|e| e.status()).err(), Some(Status::Data));
        Ok(())
    }

    #[test]
    fn lines_longer_than_a_piece_stay_whole() -> Result<()> {
        let long = "x".repeat(200_000);
        let mbox = format!("From {long}\nA: {long}\n\n{long}\nFrom {long}\n\nFrom b\n\n");
        assert_eq!(messages(&mbox)?, [format!("A: {long}\n\n{long}\nFrom {long}\n"), String::new()]);
        Ok(())
    }
}
