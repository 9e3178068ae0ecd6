//! The dictionaries of the index: names that stand in many rows are written once, and stand there as numbers.

use super::tables::{kind, scope};
use crate::identity::Origin;
use crate::record::Evidence;
use rusqlite::{Connection, OptionalExtension, Params, params};

type Sql<T> = rusqlite::Result<T>;

/// The row that `select` finds, or that `insert` makes.
fn found_or_made(db: &Connection, select: &str, insert: &str, values: impl Params + Copy) -> Sql<i64> {
    match db.prepare_cached(select)?.query_row(values, |row| row.get(0)).optional()? {
        Some(id) => Ok(id),
        None => db.prepare_cached(insert)?.insert(values),
    }
}

pub(super) fn user_id(db: &Connection, name: &str) -> Sql<i64> {
    found_or_made(db, "SELECT id FROM users WHERE name = ?1", "INSERT INTO users (name) VALUES (?1)", [name])
}

pub(super) fn folder_id(db: &Connection, name: &str) -> Sql<i64> {
    found_or_made(db, "SELECT id FROM folders WHERE name = ?1", "INSERT INTO folders (name) VALUES (?1)", [name])
}

pub(super) fn address_id(db: &Connection, address: &str) -> Sql<i64> {
    let insert = "INSERT INTO addresses (address) VALUES (?1)";
    found_or_made(db, "SELECT id FROM addresses WHERE address = ?1", insert, [address])
}

pub(super) fn evidence_id(db: &Connection, evidence: &Evidence) -> Sql<i64> {
    let select = "SELECT id FROM evidences WHERE kind = ?1 AND field = ?2";
    let insert = "INSERT INTO evidences (kind, field) VALUES (?1, ?2)";
    found_or_made(db, select, insert, (kind(evidence.kind), evidence.field.as_str()))
}

pub(super) fn scope_id(db: &Connection, origin: &Origin) -> Sql<i64> {
    let (kind, mailbox, uidvalidity) = scope(origin);
    let values = params![origin.account.name, origin.account.login, kind, mailbox, uidvalidity];
    let select = "SELECT id FROM scopes WHERE account = ?1 AND login = ?2 AND kind = ?3 AND mailbox = ?4 AND uidvalidity = ?5";
    let insert = "INSERT INTO scopes (account, login, kind, mailbox, uidvalidity) VALUES (?1, ?2, ?3, ?4, ?5)";
    found_or_made(db, select, insert, values)
}
