//! An archive: packs of mail, a catalog of what became of it, and an index that may be thrown away (mdrop-archive(5)).
//!
//! No file is changed after it has appeared, and the appearing of a segment's number is the commit. Everything else here
//! follows from these two.

pub mod adopt;
mod arrival;
pub mod check;
pub mod commit;
mod decide;
pub mod index;
pub mod moves;
pub mod pack;
pub mod pending;
pub mod pipeline;
pub mod refile;
mod room;
pub mod segment;
pub mod shelf;
pub mod text;

pub use arrival::{Arrival, Learner, Quoted};

use crate::durable;
use crate::error::{Error, Result, Status};
use crate::identity::Digest;
use crate::record::{Head, V1};
use crate::time::Time;
use index::{Held, Index};
use serde::{Deserialize, Serialize};
use shelf::Shelf;
use std::io;
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
        self.still_held(self.index.message(digest)?)
    }

    /// The same for what the index says of a message.
    fn still_held(&self, known: Option<Held>) -> Result<Option<Held>> {
        let Some(held) = known else { return Ok(None) };
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
