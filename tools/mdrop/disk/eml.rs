//! A tree of .eml files, one message each; or one such file, whatever its name; or one message from standard input.
//!
//! Anybody may put another message under an old name, of the same size even; so every file is read in every run, and a message is named by
//! its file and its digest.

use super::{Buffers, Found, Visitor, digest_name, open, walk};
use crate::error::{Error, Result, Status};
use crate::interrupt;
use crate::octets::Octets;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(super) fn visit(root: &Path, visitor: &mut dyn Visitor) -> Result<()> {
    let mut buffers = Buffers::new();
    walk::files(root, visitor, |_| true, is_eml, |file, name, visitor| hand_file(&file, &name, &mut buffers, visitor))
}

/// `.eml`, and behind it what compressing programs append.
fn is_eml(path: &Path) -> bool {
    let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default().to_ascii_lowercase();
    [&b".eml"[..], b".eml.gz", b".eml.zst"].iter().any(|ending| name.ends_with(ending))
}

fn hand_file(file: &Path, name: &Octets, buffers: &mut Buffers, visitor: &mut dyn Visitor) -> Result<()> {
    interrupt::check()?;
    let folder = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes())).parent().map(|folder| folder.as_os_str().as_bytes());
    let mailbox = folder.filter(|folder| !folder.is_empty()).map_or_else(|| "INBOX".into(), Octets::from);
    let size = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    let mut found = Found { mailbox, path: name.clone(), size, flags: Vec::new(), named_by_digest: false };
    if !visitor.mailbox(&found.mailbox, '/')? {
        return visitor.wants(&found).map(drop);
    }
    match buffers.read_file(file) {
        Ok(()) => hand(&mut found, buffers, visitor),
        Err(error) if visitor.wants(&found)? => visitor.failed(&found, error),
        Err(_) => Ok(()),
    }
}

/// Names the message that was read, and hands it on if it is wanted.
fn hand(found: &mut Found, buffers: &mut Buffers, visitor: &mut dyn Visitor) -> Result<()> {
    found.path = digest_name(&[found.path.as_bytes(), b":"].concat(), &buffers.held.measured().1);
    (found.size, found.named_by_digest) = (buffers.raw.size(), true);
    if visitor.wants(found)? { visitor.message(found, &mut buffers.held) } else { Ok(()) }
}

pub(super) fn visit_stdin(input: Box<dyn Read>, visitor: &mut dyn Visitor) -> Result<()> {
    let about = |e: Error| e.about("standard input");
    let mut buffers = Buffers::new();
    buffers.read(&mut open::plain(input).map_err(about)?.input).map_err(about)?;
    if buffers.raw.size() == 0 {
        return Err(about(Error::new(Status::Data, "there is no message: it is empty")));
    }
    let mut found = Found { mailbox: "INBOX".into(), path: "-".into(), size: 0, flags: Vec::new(), named_by_digest: false };
    visitor.mailbox(&found.mailbox, '/')?;
    hand(&mut found, &mut buffers, visitor)
}
