//! Mail that already lies on disk: an mbox, a Maildir, a tree of .eml files.
//!
//! Each message gets a name that is the same in every run, since the files are never touched; and its RFC 5322 form, so that the same
//! mail has the same digest whether it comes from a server or from a file.

mod eml;
mod form;
mod maildir;
mod mbox;

use crate::error::{Error, Result, Status};
use crate::held::{Held, Taker};
use crate::octets::Octets;
use crate::profile::Protocol;
use crate::spool::Spool;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A message on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The mbox file, the Maildir's folder or the .eml file's folder, relative to the profile's path; `INBOX` for the path itself.
    pub mailbox: Octets,
    /// Its name in the mailbox, which stays the same from run to run.
    pub path: Octets,
    /// Its octets, as they lie there.
    pub size: u64,
    /// Its flags, as IMAP names them.
    pub flags: Vec<String>,
}

/// Takes the messages it wants.
pub trait Visitor: Taker<Found> {
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
}

/// Shows all messages under `path` to `visitor`, in an order that depends on names only.
///
/// # Errors
/// What reading `path` itself reports, and what `visitor` does.
pub fn visit(protocol: Protocol, path: &Path, visitor: &mut dyn Visitor) -> Result<()> {
    let about = |e: Error| e.about(path.display().to_string());
    std::fs::metadata(path).map_err(|e| about(Error::io("open", e)))?;
    match protocol {
        Protocol::Mbox => mbox::visit(path, visitor),
        Protocol::Maildir => maildir::visit(path, visitor),
        _ => eml::visit(path, visitor),
    }
}

/// A path as octets, relative to `root`.
fn relative(path: &Path, root: &Path) -> Octets {
    path.strip_prefix(root).unwrap_or(path).as_os_str().as_bytes().into()
}

/// The regular files under `root`, sorted by name, that `wanted` says yes to; `root` itself if it is a file.
fn files(root: &Path, visitor: &mut dyn Visitor, wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    if std::fs::metadata(root).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        return Err(Error::new(Status::NoInput, "is neither a file nor a folder").about(root.display().to_string()));
    }
    let mut all = Vec::new();
    for entry in walkdir::WalkDir::new(root).follow_links(true).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.file_type().is_file() && (entry.depth() == 0 || wanted(entry.path())) => all.push(entry.into_path()),
            Ok(_) => {}
            Err(error) => {
                let name = error.path().map(|path| relative(path, root)).unwrap_or_default();
                let error = error.into_io_error().unwrap_or_else(|| std::io::Error::other("a link leads back to its own folder"));
                visitor.unreadable(&name, Error::io("read", error))?;
            }
        }
    }
    Ok(all)
}

/// Hands a message that has a file of its own to `visitor`, if it is wanted.
fn hand_file(file: &Path, found: &Found, buffers: &mut Buffers, visitor: &mut dyn Visitor) -> Result<()> {
    if !visitor.wants(found)? {
        return Ok(());
    }
    match buffers.read(file) {
        Ok(()) => visitor.message(found, &mut buffers.held),
        Err(error) => visitor.failed(found, error),
    }
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

    fn read(&mut self, file: &Path) -> Result<()> {
        self.raw.clear();
        // Opening a pipe would wait for its other end.
        if std::fs::metadata(file).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(Error::new(Status::Data, "is no file"));
        }
        let mut file = File::open(file).map_err(|e| Error::io("open", e))?;
        std::io::copy(&mut file, &mut self.raw).map_err(|e| Error::io("read", e))?;
        form::convert(&mut self.raw, &mut self.held)
    }
}
