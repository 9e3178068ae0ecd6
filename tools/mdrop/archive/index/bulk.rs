//! What is known while the index is made anew, instead of SQLite's indexes, which are made at the end.
//!
//! Each message has to be looked for by its digest and its fingerprint, and nearly always is new. Searching and filling an index of ten
//! million hashes in the order of their coming touches a page for each; so a filter of bits says at once that one is new, the keys of the last
//! messages wait in memory, and they go to a table for those rare occasions in the order of that table. Correspondents wait with
//! them, since each has a place of his own in the file.

use rusqlite::Connection;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

type Sql<T> = rusqlite::Result<T>;

/// How many keys, or three times as many correspondents, wait.
const WAITING: usize = 250_000;
/// How many octets a filter has at most.
const LARGEST: usize = 64 << 20;
/// How many bits a filter has for each key, and how many of them it sets.
const BITS: u64 = 16;
const SET: u32 = 4;

/// Tables that are there only meanwhile.
const TABLES: &str = "
CREATE TABLE message_keys (key INTEGER, id INTEGER, PRIMARY KEY (key, id)) WITHOUT ROWID;
CREATE TABLE mail_keys (key INTEGER, id INTEGER, PRIMARY KEY (key, id)) WITHOUT ROWID;
";

/// See the module.
pub(super) struct Bulk {
    pub(super) messages: Keys,
    pub(super) mails: Keys,
    /// Rows of correspondents, in the order of their columns.
    pub(super) correspondents: Vec<[i64; 4]>,
}

impl Bulk {
    /// For about so many messages.
    pub(super) fn begin(db: &Connection, messages: u64) -> Sql<Self> {
        db.execute_batch(TABLES)?;
        Ok(Self { messages: Keys::new("message_keys", messages), mails: Keys::new("mail_keys", messages), correspondents: Vec::new() })
    }

    /// Writes what waits, if it is much.
    pub(super) fn flush_if_much(&mut self, db: &Connection) -> Sql<()> {
        let much = self.messages.waiting.len() >= WAITING || self.correspondents.len() >= 3 * WAITING;
        if much { self.flush(db) } else { Ok(()) }
    }

    fn flush(&mut self, db: &Connection) -> Sql<()> {
        self.messages.flush(db)?;
        self.mails.flush(db)?;
        self.correspondents.sort_unstable();
        let mut insert = db.prepare_cached("INSERT OR IGNORE INTO correspondents VALUES (?1, ?2, ?3, ?4)")?;
        self.correspondents.drain(..).try_for_each(|row| insert.execute(row).map(drop))
    }

    /// Writes the rest, and removes what was there meanwhile.
    pub(super) fn end(&mut self, db: &Connection) -> Sql<()> {
        self.flush(db)?;
        db.execute_batch("DROP TABLE message_keys; DROP TABLE mail_keys")
    }
}

/// The first eight octets of the hashes that were met, each with the row it stands in.
pub(super) struct Keys {
    table: &'static str,
    filter: Vec<u64>,
    waiting: HashMap<i64, i64>,
    /// Of those that share their first octets, all but the first.
    twins: Vec<(i64, i64)>,
}

/// A hash's first eight octets.
pub(super) fn key(hash: &[u8]) -> i64 {
    hash.first_chunk::<8>().map_or(0, |first| i64::from_be_bytes(*first))
}

impl Keys {
    fn new(table: &'static str, entries: u64) -> Self {
        let words = usize::try_from(entries.saturating_mul(BITS) / 64).unwrap_or(usize::MAX).clamp(1 << 10, LARGEST / 8);
        Self { table, filter: vec![0; words], waiting: HashMap::new(), twins: Vec::new() }
    }

    /// The places in the filter of a key: which word, and which bit.
    fn places(&self, key: i64) -> impl Iterator<Item = (usize, u64)> + use<> {
        let words = self.filter.len() as u64;
        (0..SET).map(move |n| {
            let mixed = (key.cast_unsigned() ^ u64::from(n)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(n * 16 + 7);
            (usize::try_from((mixed >> 6) % words).unwrap_or_default(), 1 << (mixed & 63))
        })
    }

    /// The rows that may have the hash with this key, the first first.
    pub(super) fn find(&self, db: &Connection, key: i64) -> Sql<Vec<i64>> {
        if !self.places(key).all(|(word, bit)| self.filter.get(word).is_some_and(|word| word & bit != 0)) {
            return Ok(Vec::new());
        }
        let mut asked = db.prepare_cached(&format!("SELECT id FROM {} WHERE key = ?1 ORDER BY id", self.table))?;
        let mut rows = asked.query_map([key], |row| row.get(0))?.collect::<Sql<Vec<i64>>>()?;
        rows.extend(self.waiting.get(&key));
        rows.extend(self.twins.iter().filter(|twin| twin.0 == key).map(|twin| twin.1));
        Ok(rows)
    }

    /// Adds a row.
    pub(super) fn add(&mut self, key: i64, row: i64) {
        for (word, bit) in self.places(key) {
            self.filter.get_mut(word).into_iter().for_each(|word| *word |= bit);
        }
        match self.waiting.entry(key) {
            Entry::Vacant(entry) => drop(entry.insert(row)),
            Entry::Occupied(_) => self.twins.push((key, row)),
        }
    }

    fn flush(&mut self, db: &Connection) -> Sql<()> {
        let mut rows: Vec<(i64, i64)> = self.waiting.drain().chain(self.twins.drain(..)).collect();
        rows.sort_unstable();
        let mut insert = db.prepare_cached(&format!("INSERT INTO {} VALUES (?1, ?2)", self.table))?;
        rows.into_iter().try_for_each(|row| insert.execute(row).map(drop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_key_whether_it_waits_or_was_written() -> Sql<()> {
        let db = Connection::open_in_memory()?;
        db.execute_batch("CREATE TABLE correspondents (a, b, c, d, PRIMARY KEY (a, b, c, d)) WITHOUT ROWID")?;
        let mut bulk = Bulk::begin(&db, 100)?;
        // Three hashes share a key, one of which is written before the others come.
        for (row, key) in [(1, 7), (2, -9), (3, 7), (4, 0)] {
            bulk.messages.add(key, row);
            bulk.correspondents.push([1, 0, 5, row % 2]);
            bulk.flush(&db)?;
        }
        bulk.messages.add(7, 5);
        bulk.messages.add(7, 6);
        assert_eq!(bulk.messages.find(&db, 7)?, [1, 3, 5, 6]);
        assert_eq!((bulk.messages.find(&db, -9)?, bulk.messages.find(&db, 0)?, bulk.messages.find(&db, 8)?), (vec![2], vec![4], vec![]));
        assert!(bulk.mails.find(&db, 7)?.is_empty());
        bulk.end(&db)?;
        assert_eq!(db.query_row("SELECT count(*) FROM correspondents", [], |row| row.get::<_, i64>(0))?, 2);
        assert_eq!(db.query_row("SELECT count(*) FROM sqlite_schema WHERE name LIKE '%keys'", [], |row| row.get::<_, i64>(0))?, 0);
        Ok(())
    }
}
