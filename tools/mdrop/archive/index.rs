//! The index: answers “is this digest known”, “is this filed”, “which origins are known” from SQLite.
//!
//! It is disposable. It holds how far it has read the catalog and the BLAKE3 of the segment it read last; if that one no longer
//! stands on the chain, or the schema differs, or SQLite calls the file corrupt, it is made anew. WAL with
//! synchronous=NORMAL keeps it consistent through a crash, though it may forget the last segments, which are read again.

mod apply;
mod ask;
mod bulk;
mod catalog;
mod file;
mod find;
mod known;
mod moves;
mod names;
mod rebuild;
mod standing;
mod tables;
mod whole;

pub use ask::{Held, OriginState, State};
pub(super) use file::wrong;
pub use find::{Found, Question, Set, Who};
pub use moves::MailboxScope;
pub(super) use tables::message_id_key;
pub use whole::Filed;

use crate::archive::segment::{PackName, RecordPlace};
use crate::archive::shelf::Shelf;
use crate::error::Result;
use crate::identity::Digest;
use crate::interrupt;
use crate::record::{Head, Record};
use names::Db;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use std::path::PathBuf;

/// The open index of one archive.
pub struct Index {
    db: Connection,
    shelf: Shelf,
    archive: String,
    path: PathBuf,
    inode: Option<file::Inode>,
}

impl Index {
    /// Answers many questions from one state, until dropped: each by itself would take and give back SQLite's locks. It must be dropped
    /// before anything is applied.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn reading(&self) -> Result<rusqlite::Transaction<'_>> {
        self.db.unchecked_transaction().map_err(wrong)
    }

    /// The last segment it has read.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn head(&self) -> Result<Option<Head>> {
        let asked = self.db.query_row("SELECT segment, blake3 FROM applied WHERE segment > 0", [], |row| Ok((row.get(0)?, row.get(1)?)));
        let head = asked.optional().map_err(wrong)?;
        Ok(head.map(|(segment, blake3)| Head { archive: self.archive.clone(), segment, blake3: Digest(blake3) }))
    }

    /// Reads the segments that have appeared since it last looked. A damaged one is passed over and noted.
    ///
    /// # Errors
    /// What SQLite reports; [`crate::error::Status::Data`] if a segment belongs to another archive.
    pub fn catch_up(&mut self) -> Result<()> {
        self.follow()?;
        let first = self.head()?.map_or(0, |head| head.segment) + 1;
        for number in first..=catalog::last(&self.shelf, first)? {
            if interrupt::requested() {
                return Err(interrupt::error());
            }
            let found = catalog::find(&self.shelf, &self.archive, number)?;
            self.in_turn(number, |db| apply::take_found(db, number, &found))?;
        }
        Ok(())
    }

    /// Takes in the records of segment `number`, each with its place, unless another process has done so already.
    ///
    /// # Errors
    /// What SQLite reports; then nothing of the segment was taken in.
    pub fn apply<'a>(
        &mut self,
        number: u64,
        blake3: Digest,
        pack: Option<PackName>,
        records: impl Iterator<Item = (RecordPlace, &'a Record)>,
    ) -> Result<()> {
        self.in_turn(number, |db| apply::take_segment(db, number, blake3, pack, records))
    }

    /// Does what a segment asks for, whole or not at all.
    fn in_turn(&mut self, number: u64, take: impl FnOnce(&Db) -> rusqlite::Result<()>) -> Result<()> {
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrong)?;
        let applied: u64 = transaction.query_row("SELECT segment FROM applied", [], |row| row.get(0)).map_err(wrong)?;
        if applied >= number {
            return Ok(());
        }
        take(&Db::new(&transaction, None)).map_err(wrong)?;
        transaction.commit().map_err(wrong)
    }
}
