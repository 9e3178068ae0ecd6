//! Mail that already lies on disk: an mbox, a Maildir, a tree of .eml files; or an mbox or a message from standard input.
//!
//! Nothing is ever written there. A message gets a name that is the same in every run and that no other message can get: what is in a
//! Maildir has one, anything else is named by its digest, since a place in a file, or a file's name, may hold another message
//! tomorrow. And it gets its RFC 5322 form, so that the same mail has the same digest whether it comes from a server or from a file.

mod eml;
mod form;
mod lock;
mod maildir;
mod mbox;
mod open;
mod walk;

use crate::error::{Error, Result};
use crate::held::{Held, Taker};
use crate::identity::Digest;
use crate::octets::Octets;
use crate::profile::{AccountSettings, Protocol};
use crate::spool::Spool;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A message on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The mbox file, the Maildir's folder or the .eml file's folder, relative to the profile's path; `INBOX` for the path itself, and
    /// for standard input.
    pub mailbox: Octets,
    /// Its name in the mailbox, which stays the same from run to run.
    pub path: Octets,
    /// Its octets, as they lie there.
    pub size: u64,
    /// Its flags, as IMAP names them.
    pub flags: Vec<String>,
    /// Whether the name was made from the octets, so that no other message can have it.
    pub named_by_digest: bool,
}

/// Takes the messages it wants.
pub trait Visitor: Taker<Found> {
    /// Told of a mailbox before its messages, once or more; whether they are to be read, or only listed. `delimiter` stands between
    /// the levels of its name.
    ///
    /// # Errors
    /// Any error ends the visit.
    fn mailbox(&mut self, name: &Octets, delimiter: char) -> Result<bool>;

    /// Told of every message; whether its octets are wanted.
    ///
    /// # Errors
    /// Any error ends the visit.
    fn wants(&mut self, found: &Found) -> Result<bool>;

    /// Something that should hold messages can't be read; the rest goes on.
    ///
    /// # Errors
    /// Any error ends the visit.
    fn unreadable(&mut self, mailbox: &Octets, error: Error) -> Result<()>;

    /// Something worth telling that is no error, of a wanted message or of the folder as a whole.
    ///
    /// # Errors
    /// Any error ends the visit.
    fn notice(&mut self, found: Option<&Found>, notice: Notice) -> Result<()>;
}

/// What is worth telling.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// One word, as in a `finding` (mdrop-stream(5)).
    pub finding: &'static str,
    /// What was seen.
    pub text: String,
}

/// Where the mail comes from.
pub enum Source<'a> {
    /// A file or a folder.
    Path(&'a Path),
    /// Standard input.
    Stdin(Box<dyn Read>),
}

/// Shows all messages of `source` to `visitor`, in an order that depends on names only.
///
/// # Errors
/// What reading the path itself reports, and what `visitor` does.
pub fn visit(account: &AccountSettings, source: Source<'_>, visitor: &mut dyn Visitor) -> Result<()> {
    let path = match source {
        Source::Path(path) => path,
        Source::Stdin(input) if account.protocol == Protocol::Eml => return eml::visit_stdin(input, visitor),
        Source::Stdin(input) => return mbox::visit_stdin(input, account, visitor),
    };
    let about = |e: Error| e.about(path.display().to_string());
    std::fs::metadata(path).map_err(|e| about(Error::io("open", e)))?;
    match account.protocol {
        Protocol::Mbox => mbox::visit(path, account, visitor),
        Protocol::Maildir => maildir::visit(path, visitor),
        _ => eml::visit(path, visitor),
    }
}

/// A path as octets, relative to `root`.
fn relative(path: &Path, root: &Path) -> Octets {
    path.strip_prefix(root).unwrap_or(path).as_os_str().as_bytes().into()
}

/// The name a digest gives to a message: half of its digits, behind `before`.
fn digest_name(before: &[u8], digest: &Digest) -> Octets {
    let text = digest.to_string();
    let digits = text.trim_start_matches("blake3:").as_bytes();
    [before, digits.get(..32).unwrap_or(digits)].concat().into()
}

/// What serves every message of a visit: its octets as they lie, and in their RFC 5322 form.
struct Buffers {
    raw: Spool,
    held: Held,
}

impl Buffers {
    fn new() -> Self {
        Self { raw: Spool::new(crate::held::IN_MEMORY), held: Held::default() }
    }

    /// Takes one message, all that `input` has.
    fn read(&mut self, input: &mut dyn Read) -> Result<()> {
        self.raw.clear();
        std::io::copy(input, &mut self.raw).map_err(open::failed)?;
        form::convert(&mut self.raw, &mut self.held)
    }

    /// Takes the message that a file holds.
    fn read_file(&mut self, path: &Path) -> Result<()> {
        self.read(&mut open::plain(open::regular(path)?)?.input)
    }
}
