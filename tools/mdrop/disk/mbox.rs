//! mbox files: one, a folder of them, or standard input.
//!
//! The file has no names for its messages, and a message's place in it changes when another is deleted; so a message's name is the beginning
//! of its digest.

mod cut;
mod length;
mod separator;
#[cfg(test)]
mod tests;

use super::{Buffers, Found, Visitor, digest_name, form, lock, open, walk};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::octets::Octets;
use crate::profile::{AccountSettings, MboxFormat};
use cut::MboxReader;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::path::Path;

pub(super) fn visit(root: &Path, account: &AccountSettings, visitor: &mut dyn Visitor) -> Result<()> {
    let mut buffers = Buffers::new();
    let visible = |path: &Path| path.file_name().is_some_and(|name| !walk::is_hidden(name)) && path.extension().is_none_or(|e| e != "lock");
    walk::files(
        root,
        visitor,
        |folder| !walk::is_hidden(folder.file_name()),
        visible,
        |file, mailbox, visitor| {
            let is_read = visitor.mailbox(&mailbox, '/')?;
            match open_mbox(&file, account, is_read) {
                Ok((reader, _locked)) => hand_all(reader, Mbox::new(&mailbox, b""), &mut buffers, visitor),
                Err(error) => visitor.unreadable(&mailbox, error),
            }
        },
    )
}

/// Standard input: INBOX, whose messages are named with a `-` in place of a file.
pub(super) fn visit_stdin(input: Box<dyn Read>, account: &AccountSettings, visitor: &mut dyn Visitor) -> Result<()> {
    let mailbox = "INBOX".into();
    visitor.mailbox(&mailbox, '/')?;
    match open::plain(input).and_then(|plain| reader(plain.input, None, account)) {
        Ok(reader) => hand_all(reader, Mbox::new(&mailbox, b"-:"), &mut Buffers::new(), visitor),
        Err(error) => Err(error.about("standard input")),
    }
}

/// A reader of a file, and what holds its lock: fcntl(2) gives the lock up as soon as one descriptor of the file is closed, whichever it is.
fn open_mbox(path: &Path, account: &AccountSettings, is_read: bool) -> Result<(MboxReader, File)> {
    let file = open::regular(path)?;
    if is_read {
        lock::shared(&file, path, account.timeout)?;
    }
    let same = |file: &File| file.try_clone().map_err(|e| Error::io("open", e));
    let locked = same(&file)?;
    let plain = open::plain(file)?;
    let ahead = if plain.was_compressed || !has_lengths(account) { None } else { Some(same(&locked)?) };
    Ok((reader(plain.input, ahead, account)?, locked))
}

fn has_lengths(account: &AccountSettings) -> bool {
    matches!(account.format.unwrap_or_default(), MboxFormat::Mboxcl | MboxFormat::Mboxcl2)
}

/// A reader of `input`. Where lengths count it must look ahead, as far as a length says; so what is not a plain `file` becomes one first.
fn reader(mut input: Box<dyn BufRead>, file: Option<File>, account: &AccountSettings) -> Result<MboxReader> {
    let format = account.format.unwrap_or_default();
    if !has_lengths(account) || file.is_some() {
        return MboxReader::new(input, format, file);
    }
    let temporary = |e| Error::io("temporary file", e);
    let mut file = crate::spool::temporary().map_err(temporary)?;
    let broken = copy(&mut input, &mut file).map_err(temporary)?;
    file.rewind().map_err(temporary)?;
    let ahead = file.try_clone().map_err(temporary)?;
    let input = BufReader::with_capacity(256 << 10, file).chain(Broken(broken));
    MboxReader::new(Box::new(BufReader::with_capacity(256 << 10, input)), format, Some(ahead))
}

/// Copies as much as can be read; why that is not all, if it is not.
fn copy(input: &mut dyn BufRead, file: &mut File) -> std::io::Result<Option<std::io::Error>> {
    loop {
        let octets = match input.fill_buf() {
            Ok([]) => return Ok(None),
            Ok(octets) => octets,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Ok(Some(e)),
        };
        file.write_all(octets)?;
        let length = octets.len();
        input.consume(length);
    }
}

/// An end that is none, if there is an error in it.
struct Broken(Option<std::io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// An mbox while it is read.
struct Mbox<'a> {
    name: &'a Octets,
    /// What stands before each message's digest.
    prefix: &'static [u8],
    /// How often each message was seen.
    copies: HashMap<Octets, u32>,
}

impl<'a> Mbox<'a> {
    fn new(name: &'a Octets, prefix: &'static [u8]) -> Self {
        Self { name, prefix, copies: HashMap::new() }
    }
}

/// Hands on every whole message, up to the end or to what can't be read.
fn hand_all(mut reader: MboxReader, mut mbox: Mbox<'_>, buffers: &mut Buffers, visitor: &mut dyn Visitor) -> Result<()> {
    loop {
        interrupt::check()?;
        match reader.next(&mut buffers.raw) {
            Ok(true) => hand(&mut mbox, &mut reader, buffers, visitor)?,
            Ok(false) => return Ok(()),
            Err(error) => return visitor.unreadable(mbox.name, error),
        }
    }
}

/// Names a message by its digest, and hands it on if it is wanted.
fn hand(mbox: &mut Mbox<'_>, reader: &mut MboxReader, buffers: &mut Buffers, visitor: &mut dyn Visitor) -> Result<()> {
    form::convert(&mut buffers.raw, &mut buffers.held)?;
    let mut path = digest_name(mbox.prefix, &buffers.held.measured().1);
    let copies = mbox.copies.entry(path.clone()).or_insert(0);
    *copies += 1;
    if *copies > 1 {
        path = [path.as_bytes(), format!("-{copies}").as_bytes()].concat().into();
    }
    let found = Found { mailbox: mbox.name.clone(), path, size: buffers.raw.size(), flags: Vec::new(), named_by_digest: true };
    if !visitor.wants(&found)? {
        return Ok(());
    }
    reader.notices().try_for_each(|notice| visitor.notice(Some(&found), notice))?;
    visitor.message(&found, &mut buffers.held)
}
