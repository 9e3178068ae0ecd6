//! Making the index anew: from the whole catalog, into a new file beside the old one's place, which then gets its name.
//!
//! Nobody else sees the file before it is whole, so it is written without a journal and without syncing, and most of SQLite's indexes are
//! made when all rows are there. One thread reads segments, another fills the tables.

use super::bulk::Bulk;
use super::catalog::{Found, find};
use super::names::Db;
use super::{apply, catalog, file, standing, wrong};
use crate::archive::shelf::{Series, Shelf};
use crate::durable;
use crate::error::{Error, Result};
use crate::interrupt;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};

/// How many segments are read ahead.
const AHEAD: usize = 1;

/// Makes the index of the archive at `path`, where none is. The caller holds the lock.
pub(super) fn make(shelf: &Shelf, archive: &str, path: &Path) -> Result<()> {
    let new = file::with_ending(path, "-new");
    let made = fill(shelf, archive, &new).and_then(|()| durable::replace(&new, path));
    if made.is_err() {
        file::remove(&new);
    }
    made
}

fn fill(shelf: &Shelf, archive: &str, new: &Path) -> Result<()> {
    let db = file::create(new)?;
    db.execute_batch(
        "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE; PRAGMA cache_size=-65536; PRAGMA threads=1;",
    )
    .map_err(wrong)?;
    db.set_prepared_statement_cache_capacity(64);
    db.execute_batch("BEGIN").and_then(|()| file::make_tables(&db, archive)).map_err(wrong)?;
    let entries = entries(shelf)?;
    let (sender, receiver) = sync_channel(AHEAD);
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || read(shelf, archive, &sender));
        let bulk = Bulk::begin(&db, entries).map_err(wrong)?;
        let rows = Db::new(&db, Some(bulk));
        // When taking in fails, the receiver is dropped with this closure, and reading ends.
        let taken = receiver.into_iter().try_for_each(|(number, found)| apply::take_found(&rows, number, &found).map_err(wrong));
        let read =
            reading.join().unwrap_or_else(|_| Err(Error::new(crate::error::Status::Software, "index: reading the catalog broke off")));
        taken.and(read)?;
        rows.end_bulk().and_then(|()| standing::derive(&rows)).map_err(wrong)
    })?;
    db.execute_batch("COMMIT").and_then(|()| file::finish(&db)).map_err(wrong)
}

/// How many messages the catalog has, roughly: two hashes of each can't be compressed, and its other members take as much again.
fn entries(shelf: &Shelf) -> Result<u64> {
    let mut sizes = shelf.sizes(Series::Segment);
    let all = shelf.list(Series::Segment, 1)?;
    let octets = all.into_iter().try_fold(0, |sum: u64, number| Ok(sum.saturating_add(sizes.of(number)?.unwrap_or(0))));
    octets.map(|octets| octets / 128)
}

/// Reads all segments, and hands them on until nobody takes them.
fn read(shelf: &Shelf, archive: &str, sender: &SyncSender<(u64, Found)>) -> Result<()> {
    for number in 1..=catalog::last(shelf, 1)? {
        if interrupt::requested() {
            return Err(interrupt::error());
        }
        if sender.send((number, find(shelf, archive, number)?)).is_err() {
            break;
        }
    }
    Ok(())
}
