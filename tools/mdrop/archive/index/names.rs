//! The dictionaries of the index: names that stand in many rows are written once, and stand there as numbers.
//!
//! While one segment is taken in, or all of them, the numbers are remembered: they are asked for ten times a message.

use super::bulk::Bulk;
use super::tables::{kind, scope};
use crate::identity::Origin;
use crate::record::Evidence;
use rusqlite::{Connection, OptionalExtension, Params, params};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Deref;

type Sql<T> = rusqlite::Result<T>;

/// How many names of one kind are remembered.
const REMEMBERED: usize = 100_000;

/// A transaction on the index, with the numbers it has met.
pub(super) struct Db<'a> {
    connection: &'a Connection,
    /// While the index is made anew. Then what is derived from other tables is derived at the end.
    pub(super) anew: Option<RefCell<Bulk>>,
    met: RefCell<Met>,
}

#[derive(Default)]
struct Met {
    scope: Option<(Origin, i64)>,
    users: HashMap<String, i64>,
    folders: HashMap<String, i64>,
    evidences: HashMap<String, i64>,
    addresses: HashMap<Vec<u8>, Vec<i64>>,
}

impl Deref for Db<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

/// The row that `select` finds, or that `insert` makes.
fn found_or_made(db: &Connection, select: &str, insert: &str, values: impl Params + Copy) -> Sql<i64> {
    match db.prepare_cached(select)?.query_row(values, |row| row.get(0)).optional()? {
        Some(id) => Ok(id),
        None => db.prepare_cached(insert)?.insert(values),
    }
}

/// The number that is remembered for `name`, or that `ask` finds.
fn remembered(met: &mut HashMap<String, i64>, name: &str, ask: impl FnOnce() -> Sql<i64>) -> Sql<i64> {
    if let Some(id) = met.get(name) {
        return Ok(*id);
    }
    let id = ask()?;
    if met.len() >= REMEMBERED {
        met.clear();
    }
    met.insert(name.to_owned(), id);
    Ok(id)
}

impl<'a> Db<'a> {
    pub(super) fn new(connection: &'a Connection, anew: Option<Bulk>) -> Self {
        Self { connection, anew: anew.map(RefCell::new), met: RefCell::default() }
    }

    /// Ends what was known while the index was made anew.
    pub(super) fn end_bulk(&self) -> Sql<()> {
        self.anew.as_ref().map_or(Ok(()), |bulk| bulk.borrow_mut().end(self))
    }

    pub(super) fn user_id(&self, name: &str) -> Sql<i64> {
        remembered(&mut self.met.borrow_mut().users, name, || {
            found_or_made(self, "SELECT id FROM users WHERE name = ?1", "INSERT INTO users (name) VALUES (?1)", [name])
        })
    }

    pub(super) fn folder_id(&self, name: &str) -> Sql<i64> {
        remembered(&mut self.met.borrow_mut().folders, name, || {
            found_or_made(self, "SELECT id FROM folders WHERE name = ?1", "INSERT INTO folders (name) VALUES (?1)", [name])
        })
    }

    pub(super) fn evidence_id(&self, evidence: &Evidence) -> Sql<i64> {
        let (kind, field) = (kind(evidence.kind), evidence.field.as_str());
        remembered(&mut self.met.borrow_mut().evidences, &format!("{kind} {field}"), || {
            let select = "SELECT id FROM evidences WHERE kind = ?1 AND field = ?2";
            found_or_made(self, select, "INSERT INTO evidences (kind, field) VALUES (?1, ?2)", (kind, field))
        })
    }

    /// The numbers of the addresses that `read` finds in a text.
    pub(super) fn address_ids(&self, text: &[u8], read: impl FnOnce(&[u8]) -> Vec<String>) -> Sql<Vec<i64>> {
        if let Some(ids) = self.met.borrow().addresses.get(text) {
            return Ok(ids.clone());
        }
        let select = "SELECT id FROM addresses WHERE address = ?1";
        let insert = "INSERT INTO addresses (address) VALUES (?1)";
        let ids = read(text).iter().map(|address| found_or_made(self, select, insert, [address])).collect::<Sql<Vec<i64>>>()?;
        let met = &mut self.met.borrow_mut().addresses;
        if met.len() >= REMEMBERED {
            met.clear();
        }
        met.insert(text.to_vec(), ids.clone());
        Ok(ids)
    }

    pub(super) fn scope_id(&self, origin: &Origin) -> Sql<i64> {
        let (kind, mailbox, uidvalidity) = scope(origin);
        if let Some((last, id)) = &self.met.borrow().scope
            && last.account == origin.account
            && scope(last) == (kind, mailbox, uidvalidity)
        {
            return Ok(*id);
        }
        let values = params![origin.account.name, origin.account.login, kind, mailbox, uidvalidity];
        let select = "SELECT id FROM scopes WHERE account = ?1 AND login = ?2 AND kind = ?3 AND mailbox = ?4 AND uidvalidity = ?5";
        let insert = "INSERT INTO scopes (account, login, kind, mailbox, uidvalidity) VALUES (?1, ?2, ?3, ?4, ?5)";
        let id = found_or_made(self, select, insert, values)?;
        self.met.borrow_mut().scope = Some((origin.clone(), id));
        Ok(id)
    }

    /// The number of the settings with this digest, or of none: never 0.
    pub(super) fn settings_id(&self, settings: Option<&[u8]>) -> Sql<i64> {
        let settings = settings.unwrap_or_default();
        found_or_made(self, "SELECT id FROM settings WHERE digest = ?1", "INSERT INTO settings (digest) VALUES (?1)", [settings])
    }
}
