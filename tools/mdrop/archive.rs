//! An archive: packs of mail, a catalog of what became of it, and an index that may be thrown away (mdrop-archive(5)).
//!
//! No file is changed after it has appeared, and the appearing of a segment's number is the commit. Everything else here
//! follows from these two.

pub mod adopt;
pub mod check;
pub mod commit;
pub mod index;
pub mod pack;
pub mod pending;
pub mod segment;
pub mod shelf;

use crate::durable;
use crate::error::{Error, Result, Status};
use crate::fingerprint::FingerprintHasher;
use crate::header;
use crate::identity::{Digest, Fingerprint};
use crate::octets::Octets;
use crate::record::{Head, V1};
use crate::stream::Meta;
use crate::time::Time;
use index::{Held, Index};
use serde::{Deserialize, Serialize};
use shelf::Shelf;
use std::io::{self, Write};
use std::path::Path;

/// What archive.json says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// The format's version.
    pub v: V1,
    /// The archive's id, a UUID.
    pub archive: String,
    /// When it was made.
    pub created: Time,
}

/// An open archive.
pub struct Archive {
    /// Its files.
    pub shelf: Shelf,
    /// Its id.
    pub id: String,
    /// Its index, which has caught up.
    pub index: Index,
}

/// What the archive's own README tells a stranger.
const README: &str = include_str!("archive/README.txt");

impl Archive {
    /// Opens the archive at `root`.
    ///
    /// # Errors
    /// [`Status::NoInput`] if there is none; [`Status::Data`] if archive.json is damaged; what the index reports.
    pub fn open(root: &Path, index: Option<&Path>) -> Result<Self> {
        let shelf = Shelf::new(root);
        let id = identity(root)?.archive;
        let mut index = Index::open(&shelf, &id, index)?;
        index.catch_up()?;
        Ok(Self { shelf, id, index })
    }

    /// Opens the archive at `root`, or makes one where there is nothing yet.
    ///
    /// # Errors
    /// [`Status::CantCreate`] if the folder holds something else; as [`Archive::open`].
    pub fn open_or_create(root: &Path, index: Option<&Path>) -> Result<Self> {
        if !root.join("archive.json").exists() {
            create(root)?;
        }
        Self::open(root, index)
    }

    /// The last segment.
    ///
    /// # Errors
    /// What the index reports.
    pub fn head(&self) -> Result<Option<Head>> {
        self.index.head()
    }

    /// Where the message with this digest lies. One whose pack is gone, or shorter than it was, is not held: it would be stored anew.
    ///
    /// # Errors
    /// What the index or the system reports.
    pub fn held(&self, digest: Digest) -> Result<Option<Held>> {
        let Some(held) = self.index.message(digest)? else { return Ok(None) };
        let size = self.shelf.size(shelf::Series::Pack, held.pack)?;
        Ok(size.filter(|size| *size >= held.frame.offset + held.frame.length).map(|_| held))
    }
}

/// Reads archive.json.
///
/// # Errors
/// [`Status::NoInput`] if there is no archive, [`Status::Data`] if the file is damaged.
pub fn identity(root: &Path) -> Result<Identity> {
    let path = root.join("archive.json");
    let about = |e: Error| e.about(path.display().to_string());
    let json = std::fs::read(&path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Error::new(Status::NoInput, "no archive here").about(root.display().to_string()),
        _ => about(Error::io("read", e)),
    })?;
    serde_json::from_slice(&json).map_err(|e| about(Error::new(Status::Data, format!("damaged: {e}"))))
}

/// Makes an archive in a folder that is new or empty. Two at once make one.
fn create(root: &Path) -> Result<()> {
    durable::make_folder(root)?;
    let entries = std::fs::read_dir(root).map_err(|e| Error::io("list", e).about(root.display().to_string()))?;
    let strange = entries.flatten().map(|e| e.file_name()).find(|name| name != "tmp" && name != "README" && name != "archive.json");
    // Another process may have made the archive, and more in it, since we looked.
    if let Some(name) = strange.filter(|_| !root.join("archive.json").exists()) {
        let what = format!("holds {} but no archive.json; an archive is made in a new or empty folder only", name.display());
        return Err(Error::new(Status::CantCreate, what).about(root.display().to_string()));
    }
    let tmp = root.join("tmp");
    let identity = Identity { v: V1, archive: uuid::Uuid::new_v4().to_string(), created: Time::now() };
    let mut json = serde_json::to_vec(&identity).map_err(|e| Error::new(Status::Software, e.to_string()))?;
    json.push(b'\n');
    durable::write_whole(&tmp, &root.join("README"), |file| Ok(file.write_all(README.as_bytes())?))?;
    durable::write_whole(&tmp, &root.join("archive.json"), |file| Ok(file.write_all(&json)?))?;
    Ok(())
}

/// What a receipt quotes from the header.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Quoted {
    /// Message-ID
    pub message_id: Option<Octets>,
    /// Date
    pub date: Option<Octets>,
    /// From
    pub from: Option<Octets>,
    /// Subject
    pub subject: Option<Octets>,
}

/// How much of a header is looked at for what a receipt quotes, and how much of one value is quoted, in octets.
const QUOTED_FROM: usize = 256 << 10;
const QUOTED_LONGEST: usize = 998;

impl Quoted {
    /// Quotes from the beginning of a message, encoded or not; of several fields of one name, the first.
    #[must_use]
    pub fn from(beginning: &[u8]) -> Self {
        let mut quoted = Self::default();
        for field in header::fields(&beginning[..beginning.len().min(QUOTED_FROM)]) {
            let place = match field.name.len() {
                10 if field.is("Message-ID") => &mut quoted.message_id,
                4 if field.is("Date") => &mut quoted.date,
                4 if field.is("From") => &mut quoted.from,
                7 if field.is("Subject") => &mut quoted.subject,
                _ => continue,
            };
            place.get_or_insert_with(|| field.unfolded(QUOTED_LONGEST).into());
        }
        quoted
    }
}

/// A message read from a stream, and what was learnt as it passed.
#[derive(Clone, PartialEq, Debug)]
pub struct Arrival {
    /// Its X-Mdrop line.
    pub meta: Meta,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// What its receipt will quote.
    pub quoted: Quoted,
}

/// Learns a message's fingerprint and what its receipt quotes while its octets pass.
#[derive(Default)]
pub struct Learner {
    hasher: FingerprintHasher,
    beginning: Vec<u8>,
}

impl Learner {
    /// What was learnt of the message that `meta` describes.
    #[must_use]
    pub fn finish(self, meta: Meta) -> Arrival {
        let fingerprint = self.hasher.finish(meta.digest);
        Arrival { meta, fingerprint, quoted: Quoted::from(&self.beginning) }
    }
}

impl Write for Learner {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.hasher.update(octets);
        let room = QUOTED_FROM - self.beginning.len();
        // Most headers end within a few KiB; the body need not be copied.
        if room > 0 && !ends_header(&self.beginning) {
            self.beginning.extend_from_slice(&octets[..octets.len().min(room)]);
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether an empty line behind some header line is among the octets.
fn ends_header(octets: &[u8]) -> bool {
    memchr::memmem::find(octets, b"\r\n\r\n").is_some() || memchr::memmem::find(octets, b"\n\n").is_some()
}
