//! Which origins are known, in few rows: UIDs as ranges, and segments with how many of their origins are still to be purged.
//!
//! Ten million rows of origins take seconds to walk, and `mdrop-store --known` is asked in every run. So each change of an origin's row
//! goes through [`changing`], which keeps these two tables; when the index is made anew they are made from the origins at the end.

use super::names::Db;
use super::tables::{ARCHIVED, RECOGNISED, REFUSED, RENAMED};
use crate::uids::UidSet;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{BTreeMap, HashMap};

type Sql<T> = rusqlite::Result<T>;

/// The set of the UIDs whose messages were read there and are archived; those above are what some settings refused.
const ARCHIVED_SET: i64 = 0;
/// That of those at which a message is known by the server's identifiers alone.
const NAMED_SET: i64 = -1;

/// What these tables need to know of an origin.
struct Standing {
    state: i64,
    segment: i64,
    archived: i64,
    settings: Option<Vec<u8>>,
}

/// Changes the row of the origin with this name; every change of a row of origins has to go through here.
pub(super) fn changing(db: &Db, scope: i64, name: &Value, change: impl FnOnce() -> Sql<()>) -> Sql<()> {
    if db.anew.is_some() {
        return change();
    }
    let before = standing(db, scope, name)?;
    change()?;
    let after = standing(db, scope, name)?;
    count(db, scope, before.as_ref(), -1)?;
    count(db, scope, after.as_ref(), 1)?;
    let Value::Integer(uid) = *name else { return Ok(()) };
    let (before, after) = (set_of(db, before)?, set_of(db, after)?);
    if before == after {
        return Ok(());
    }
    before.map_or(Ok(()), |set| take_out(db, scope, set, uid))?;
    after.map_or(Ok(()), |set| put_in(db, scope, set, uid))
}

fn standing(db: &Db, scope: i64, name: &Value) -> Sql<Option<Standing>> {
    let select = "SELECT state, segment, archived, settings FROM origins WHERE scope = ?1 AND name = ?2";
    let mut asked = db.prepare_cached(select)?;
    let found = asked.query_row(params![scope, name], |row| {
        Ok(Standing { state: row.get(0)?, segment: row.get(1)?, archived: row.get(2)?, settings: row.get(3)? })
    });
    found.optional()
}

/// In which set of UIDs an origin belongs.
fn set_of(db: &Db, standing: Option<Standing>) -> Sql<Option<i64>> {
    match standing {
        Some(Standing { state: ARCHIVED, .. }) => Ok(Some(ARCHIVED_SET)),
        Some(Standing { state: RECOGNISED | RENAMED, .. }) => Ok(Some(NAMED_SET)),
        Some(Standing { state: REFUSED, settings, .. }) => db.settings_id(settings.as_deref()).map(Some),
        _ => Ok(None),
    }
}

/// Counts an archived origin where its segment is counted. `archived` stays that of the earliest.
fn count(db: &Db, scope: i64, standing: Option<&Standing>, by: i64) -> Sql<()> {
    let Some(Standing { segment, archived, .. }) = standing.filter(|standing| standing.state == ARCHIVED) else { return Ok(()) };
    let upsert = "INSERT INTO unpurged VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE
        SET origins = origins + ?3, archived = min(archived, ?4)";
    db.prepare_cached(upsert)?.execute(params![scope, segment, by, archived])?;
    if by < 0 {
        let delete = "DELETE FROM unpurged WHERE scope = ?1 AND segment = ?2 AND origins <= 0";
        db.prepare_cached(delete)?.execute(params![scope, segment])?;
    }
    Ok(())
}

/// The range of the set that begins at or before `uid`, last.
fn range_at(db: &Connection, scope: i64, set: i64, uid: i64) -> Sql<Option<(i64, i64)>> {
    let select = "SELECT first, last FROM uids WHERE scope = ?1 AND settings = ?2 AND first <= ?3 ORDER BY first DESC LIMIT 1";
    db.prepare_cached(select)?.query_row([scope, set, uid], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

fn put(db: &Connection, scope: i64, set: i64, first: i64, last: i64) -> Sql<()> {
    db.prepare_cached("INSERT OR REPLACE INTO uids VALUES (?1, ?2, ?3, ?4)")?.execute([scope, set, first, last]).map(drop)
}

fn remove(db: &Connection, scope: i64, set: i64, first: i64) -> Sql<()> {
    db.prepare_cached("DELETE FROM uids WHERE scope = ?1 AND settings = ?2 AND first = ?3")?.execute([scope, set, first]).map(drop)
}

/// Adds a UID to a set, joined with the ranges it touches.
fn put_in(db: &Connection, scope: i64, set: i64, uid: i64) -> Sql<()> {
    let below = range_at(db, scope, set, uid)?;
    if below.is_some_and(|(_, last)| last >= uid) {
        return Ok(());
    }
    let first = below.filter(|(_, last)| last + 1 == uid).map_or(uid, |(first, _)| first);
    let above = range_at(db, scope, set, uid + 1)?.filter(|(first, _)| *first == uid + 1);
    if let Some((first, _)) = above {
        remove(db, scope, set, first)?;
    }
    put(db, scope, set, first, above.map_or(uid, |(_, last)| last))
}

/// Takes a UID out of a set, whose range it may cut in two.
fn take_out(db: &Connection, scope: i64, set: i64, uid: i64) -> Sql<()> {
    let Some((first, last)) = range_at(db, scope, set, uid)?.filter(|(_, last)| *last >= uid) else { return Ok(()) };
    remove(db, scope, set, first)?;
    if first < uid {
        put(db, scope, set, first, uid - 1)?;
    }
    if uid < last {
        put(db, scope, set, uid + 1, last)?;
    }
    Ok(())
}

/// Makes both tables from the origins.
pub(super) fn derive(db: &Db) -> Sql<()> {
    let select = "SELECT scope, name, state, settings, segment, archived FROM origins WHERE state IN (?1, ?2, ?3, ?4) ORDER BY scope, name";
    let mut asked = db.prepare(select)?;
    let mut rows = asked.query([ARCHIVED, REFUSED, RECOGNISED, RENAMED])?;
    // Of each scope and set, the range that is still growing; of each scope and segment, how many and when.
    let (mut open, mut unpurged) = (HashMap::new(), BTreeMap::new());
    while let Some(row) = rows.next()? {
        let scope: i64 = row.get(0)?;
        let standing = Standing { state: row.get(2)?, settings: row.get(3)?, segment: row.get(4)?, archived: row.get(5)? };
        if standing.state == ARCHIVED {
            let counted = unpurged.entry([scope, standing.segment]).or_insert([0, i64::MAX]);
            *counted = [counted[0] + 1, counted[1].min(standing.archived)];
        }
        if let (Some(set), Value::Integer(uid)) = (set_of(db, Some(standing))?, row.get(1)?) {
            let range: &mut [i64; 2] = open.entry([scope, set]).or_insert([uid, uid - 1]);
            if range[1] + 1 != uid {
                put(db, scope, set, range[0], range[1])?;
                range[0] = uid;
            }
            range[1] = uid;
        }
    }
    open.into_iter().try_for_each(|([scope, set], [first, last])| put(db, scope, set, first, last))?;
    let mut insert = db.prepare("INSERT INTO unpurged VALUES (?1, ?2, ?3, ?4)")?;
    unpurged
        .into_iter()
        .try_for_each(|([scope, segment], [origins, archived])| insert.execute([scope, segment, origins, archived]).map(drop))
}

/// The UIDs whose messages are archived; with `ids` also those that are known by the server's identifiers alone.
pub(super) fn known_uids(db: &Connection, scope: i64, ids: bool) -> Sql<UidSet> {
    let mut known = uids(db, scope, ARCHIVED_SET)?;
    if ids {
        known.insert_all(&uids(db, scope, NAMED_SET)?);
    }
    Ok(known)
}

/// The UIDs of a set.
pub(super) fn uids(db: &Connection, scope: i64, set: i64) -> Sql<UidSet> {
    let mut asked = db.prepare_cached("SELECT first, last FROM uids WHERE scope = ?1 AND settings = ?2 ORDER BY first")?;
    let mut rows = asked.query([scope, set])?;
    let mut uids = UidSet::new();
    while let Some(row) = rows.next()? {
        uids.insert_range(row.get(0)?, row.get(1)?);
    }
    Ok(uids)
}
