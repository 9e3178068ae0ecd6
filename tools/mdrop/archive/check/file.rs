//! A file of the archive as a check opens it: itself and nothing that it points to, and hashed while it is read.

use crate::archive::shelf::{Series, Shelf};
use crate::error::{Error, Result};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;

/// What there is under a file's name.
pub(super) enum Opened {
    /// The file.
    File {
        /// Open for reading.
        file: File,
        /// Its octets.
        size: u64,
        /// Whether others than its owner may read it.
        exposed: bool,
    },
    /// Nothing.
    Missing,
    /// Something that can't be a file of the archive, and what.
    Wrong(String),
}

/// Opens a file, unless it is a link, a device or a pipe.
pub(super) fn open(shelf: &Shelf, series: Series, number: u64) -> Result<Opened> {
    let name = series.name(number);
    // A pipe without a writer must not be waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match rustix::fs::open(shelf.root().join(&name), flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Opened::Missing),
        Err(Errno::LOOP) => return Ok(Opened::Wrong("is a symbolic link, and is not followed".into())),
        Err(Errno::NXIO) => return Ok(Opened::Wrong("is no regular file".into())),
        Err(Errno::IO) => return Ok(Opened::Wrong("can't be opened: the disk reports an error".into())),
        Err(e) => return Err(Error::io("open", e.into()).about(name)),
    };
    let metadata = file.metadata().map_err(|e| Error::io("look at", e).about(name))?;
    if !metadata.is_file() {
        return Ok(Opened::Wrong("is no regular file".into()));
    }
    Ok(Opened::File { file, size: metadata.len(), exposed: metadata.permissions().mode() & 0o077 != 0 })
}

/// A file that is hashed while it is read from its beginning to its end.
pub(super) struct Tee {
    file: File,
    hasher: blake3::Hasher,
    /// How far it has been read.
    pub at: u64,
    /// What the disk reported, after which nothing is read on.
    pub error: Option<String>,
}

impl Tee {
    pub(super) fn new(file: File) -> Self {
        Self { file, hasher: blake3::Hasher::new(), at: 0, error: None }
    }

    /// Reads what is left before octet `end`, for the hash alone.
    pub(super) fn pass_to(&mut self, end: u64) {
        let left = end.saturating_sub(self.at);
        // An error has been noted.
        let _ = io::copy(&mut self.take(left), &mut io::sink());
    }

    /// The whole file's BLAKE3.
    pub(super) fn finish(self) -> crate::identity::Digest {
        crate::identity::Digest(*self.hasher.finalize().as_bytes())
    }
}

impl Read for Tee {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(to).inspect_err(|e| {
            if e.kind() != io::ErrorKind::Interrupted {
                self.error = Some(e.to_string());
            }
        })?;
        self.hasher.update(to.get(..read).unwrap_or_default());
        self.at += read as u64;
        Ok(read)
    }
}
