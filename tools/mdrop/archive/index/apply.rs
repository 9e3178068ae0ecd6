//! What each record of the catalog changes in the index.

use super::bulk::{self, Bulk, Keys};
use super::catalog::Found;
use super::moves;
use super::names::Db;
use super::standing::changing;
use super::tables::{ADOPTED, ARCHIVED, PURGED, REFUSED, key, message_id_key, origin_name, role};
use crate::address::{self, Address};
use crate::archive::segment::{PackName, RecordPlace};
use crate::identity::{Digest, Fingerprint};
use crate::record::{Filing, Outcome, Purge, Purged, Receipt, Record, Refiling, Refusal, Role};
use crate::time::Time;
use rusqlite::{OptionalExtension, Row, params};
use std::collections::HashMap;

pub(super) type Sql<T> = rusqlite::Result<T>;

/// Takes in what was found of a segment.
pub(super) fn take_found(db: &Db, number: u64, found: &Found) -> Sql<()> {
    let note = |why: &str| db.prepare_cached("INSERT OR REPLACE INTO damaged VALUES (?1, ?2)")?.execute((number, why)).map(drop);
    match found {
        Found::Whole { blake3, pack, records } => {
            take_segment(db, number, *blake3, *pack, records.iter().map(|(place, record)| (*place, record)))
        }
        Found::Damaged { blake3, why } => {
            note(why)?;
            take_segment(db, number, *blake3, None, std::iter::empty())
        }
        Found::Missing => note("is missing"),
    }
}

/// Takes in a segment, and that it was.
pub(super) fn take_segment<'a>(
    db: &Db,
    number: u64,
    blake3: Digest,
    pack: Option<PackName>,
    records: impl Iterator<Item = (RecordPlace, &'a Record)>,
) -> Sql<()> {
    if let Some(pack) = pack {
        db.prepare_cached("INSERT OR REPLACE INTO packs VALUES (?1, ?2, ?3)")?.execute((pack.pack, number, pack.size))?;
    }
    for (place, record) in records {
        take_in(db, place, record)?;
    }
    moves::trim(db, number)?;
    db.anew.as_ref().map_or(Ok(()), |bulk| bulk.borrow_mut().flush_if_much(db))?;
    db.prepare_cached("UPDATE applied SET segment = ?1, blake3 = ?2")?.execute((number, blake3.0)).map(drop)
}

fn take_in(db: &Db, place: RecordPlace, record: &Record) -> Sql<()> {
    match record {
        Record::Receipt(receipt) => take_receipt(db, place, receipt),
        Record::Refusal(refusal) => take_refusal(db, place.segment, refusal),
        Record::Refiling(refiling) => take_refiling(db, refiling),
        Record::Move(moved) => moves::take_move(db, place.segment, moved, true),
        Record::Copy(copied) => moves::take_move(db, place.segment, copied, false),
        Record::Purge(purge) => take_purge(db, place.segment, purge),
        _ => Ok(()),
    }
}

fn take_receipt(db: &Db, place: RecordPlace, receipt: &Receipt) -> Sql<()> {
    let mail = mail(db, receipt)?;
    let id = message(db, place, receipt, mail)?;
    for filing in &receipt.filings {
        file(db, mail, filing, id, None)?;
    }
    correspond(db, receipt, mail)?;
    // It was routed anew where it lies, which says nothing of its origin.
    if receipt.outcome == Outcome::Refiled {
        return Ok(());
    }
    take_origin(db, place.segment, receipt, id)
}

fn take_origin(db: &Db, segment: u64, receipt: &Receipt, message: i64) -> Sql<()> {
    let adopted = receipt.outcome == Outcome::Adopted;
    let state = if adopted { ADOPTED } else { ARCHIVED };
    let (scope, name) = (db.scope_id(&receipt.origin)?, origin_name(&receipt.origin));
    let name = &name;
    // What is adopted says less than what was known of the origin before.
    let or = if adopted { "IGNORE" } else { "REPLACE" };
    let insert = &format!("INSERT OR {or} INTO origins VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL)");
    let received = receipt.received.map(Time::unix);
    // A server may claim what no number of SQLite holds; then it has claimed nothing.
    let claimed = receipt.server_size.and_then(|size| i64::try_from(size).ok());
    changing(db, scope, name, || {
        let values = params![scope, name, state, message, segment, receipt.archived.unix(), claimed, received];
        db.prepare_cached(insert)?.execute(values).map(drop)
    })?;
    moves::take_ids(db, receipt, scope, message)
}

/// A mail: its row, and its date.
#[derive(Clone, Copy)]
struct Mail {
    id: i64,
    date: i64,
}

fn mail_of(db: &Db, fingerprint: &Fingerprint) -> Sql<Option<Mail>> {
    let select = "SELECT id, date FROM mails WHERE";
    let mail = |row: &Row| Ok(Mail { id: row.get(0)?, date: row.get(1)? });
    hash_row(db, select, "fingerprint", &key(fingerprint), |bulk| &bulk.mails, mail)
}

/// The row with a hash: by its first octets, or, while the index is made anew, by what is known of those.
fn hash_row<T>(
    db: &Db,
    select: &str,
    column: &str,
    hash: &[u8],
    keys: impl FnOnce(&Bulk) -> &Keys,
    read: impl Fn(&Row) -> Sql<T>,
) -> Sql<Option<T>> {
    let Some(bulk) = &db.anew else {
        let select = format!("{select} substr({column}, 1, 8) = substr(?1, 1, 8) AND {column} = ?1");
        return db.prepare_cached(&select)?.query_row([hash], read).optional();
    };
    for id in keys(&bulk.borrow()).find(db, bulk::key(hash))? {
        let mut asked = db.prepare_cached(&format!("{select} id = ?1 AND {column} = ?2"))?;
        if let Some(found) = asked.query_row(params![id, hash], &read).optional()? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The mail's row, made if its fingerprint is new. Its first receipt says its date for ever.
fn mail(db: &Db, receipt: &Receipt) -> Sql<Mail> {
    if let Some(mail) = mail_of(db, &receipt.fingerprint)? {
        return Ok(mail);
    }
    let message_id = receipt.message_id.as_ref().and_then(|id| message_id_key(id.as_bytes()));
    new_mail(db, &receipt.fingerprint, receipt.mail_date().unix(), message_id)
}

fn new_mail(db: &Db, fingerprint: &Fingerprint, date: i64, message_id: Option<i64>) -> Sql<Mail> {
    let insert = "INSERT INTO mails (fingerprint, date, message_id) VALUES (?1, ?2, ?3)";
    let key = key(fingerprint);
    let id = db.prepare_cached(insert)?.insert(params![key, date, message_id])?;
    if let Some(bulk) = &db.anew {
        bulk.borrow_mut().mails.add(bulk::key(&key), id);
    }
    Ok(Mail { id, date })
}

/// What is known of a message when another receipt of it comes.
pub(super) struct Before {
    pub(super) id: i64,
    mail: i64,
    adopted: bool,
    journal: Option<String>,
}

pub(super) fn message_before(db: &Db, digest: Digest) -> Sql<Option<Before>> {
    let select = "SELECT id, mail, adopted, journal FROM messages WHERE";
    let before = |row: &Row| Ok(Before { id: row.get(0)?, mail: row.get(1)?, adopted: row.get(2)?, journal: row.get(3)? });
    hash_row(db, select, "digest", &digest.0, |bulk| &bulk.messages, before)
}

/// The message's row, made if its digest is new.
fn message(db: &Db, place: RecordPlace, receipt: &Receipt, mail: Mail) -> Sql<i64> {
    if let Some(before) = message_before(db, receipt.digest)? {
        return learn(db, place, receipt, mail, &before).map(|()| before.id);
    }
    let Receipt { digest, size, pack, frame, position, outcome, .. } = receipt;
    let insert = "INSERT INTO messages VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let adopted = *outcome == Outcome::Adopted;
    let RecordPlace { segment, frame: at, position: line } = place;
    let id = db.prepare_cached(insert)?.insert(params![
        digest.0,
        mail.id,
        size,
        pack,
        frame.offset,
        frame.length,
        position,
        adopted,
        journal(receipt),
        segment,
        at,
        line
    ])?;
    if let Some(bulk) = &db.anew {
        bulk.borrow_mut().messages.add(bulk::key(&digest.0), id);
    }
    Ok(id)
}

/// What a later receipt says of a message. One that was stored again because its pack was lost gets the new place; what is said of it as a
/// journal report counts from then on; what is adopted says nothing of that.
fn learn(db: &Db, place: RecordPlace, receipt: &Receipt, mail: Mail, before: &Before) -> Sql<()> {
    let Receipt { pack, frame, position, outcome, .. } = receipt;
    if !matches!(outcome, Outcome::Duplicate | Outcome::Refiled) {
        let update = "UPDATE messages SET pack = ?2, frame_offset = ?3, frame_length = ?4, position = ?5 WHERE id = ?1";
        db.prepare_cached(update)?.execute(params![before.id, pack, frame.offset, frame.length, position])?;
    }
    let journal = journal(receipt);
    let says_more = *outcome == Outcome::New || before.adopted || before.mail != mail.id || before.journal != journal;
    if *outcome != Outcome::Adopted && says_more {
        let update =
            "UPDATE messages SET adopted = 0, mail = ?2, journal = ?3, segment = ?4, record_frame = ?5, record_position = ?6 WHERE id = ?1";
        let RecordPlace { segment, frame: at, position: line } = place;
        db.prepare_cached(update)?.execute(params![before.id, mail.id, journal, segment, at, line])?;
    }
    Ok(())
}

fn journal(receipt: &Receipt) -> Option<String> {
    receipt.journal.as_ref().and_then(|journal| serde_json::to_string(journal).ok())
}

/// How many addresses of a From field are taken in: people write one, and somebody may write a million.
const AUTHORS: usize = 16;

/// Who sent the mail and to whom it was delivered.
fn correspond(db: &Db, receipt: &Receipt, mail: Mail) -> Sql<()> {
    let mut rows = Vec::new();
    let mut take = |addresses: Vec<i64>, as_what| rows.extend(addresses.into_iter().map(|id| [id, role(as_what), mail.date, mail.id]));
    if let Some(from) = &receipt.from {
        let authors = |from: &[u8]| address::list_iter(from).take(AUTHORS).map(|author| author.normal()).collect();
        // A field is not the address that looks the same: people write lists and names into it.
        let field = [b"From: ", from.as_bytes()].concat();
        take(db.address_ids(&field, |field| authors(field.get(6..).unwrap_or_default()))?, Role::Sender);
    }
    let sender = receipt.sender.iter().filter_map(|sender| sender.address.as_ref());
    let recipients = receipt.recipients.iter().filter_map(|recipient| recipient.address.as_ref());
    for (address, as_what) in sender.map(|a| (a, Role::Sender)).chain(recipients.map(|a| (a, Role::Recipient))) {
        take(db.address_ids(address.as_bytes(), |address| normal(&String::from_utf8_lossy(address)).into_iter().collect())?, as_what);
    }
    rows.sort_unstable();
    rows.dedup();
    if let Some(bulk) = &db.anew {
        bulk.borrow_mut().correspondents.append(&mut rows);
        return Ok(());
    }
    let mut insert = db.prepare_cached("INSERT OR IGNORE INTO correspondents VALUES (?1, ?2, ?3, ?4)")?;
    rows.into_iter().try_for_each(|row| insert.execute(row).map(drop))
}

/// The form in which an address is looked for; none of the null sender.
fn normal(address: &str) -> Option<String> {
    let normal = Address::parse(address).map_or_else(|| address.trim().to_lowercase(), |address| address.normal());
    Some(normal).filter(|normal| !normal.is_empty())
}

fn take_refusal(db: &Db, segment: u64, refusal: &Refusal) -> Sql<()> {
    let (scope, name) = (db.scope_id(&refusal.origin)?, origin_name(&refusal.origin));
    let settings = refusal.settings.map(|settings| settings.0);
    let digest = refusal.digest.map(|digest| message_before(db, digest)).transpose()?;
    // An origin that is archived stays so, unless another message stands there by now.
    let (told, message) = (digest.is_some(), digest.flatten().map(|message| message.id));
    let insert = "INSERT INTO origins VALUES (?1, ?2, ?3, NULL, ?4, ?5, NULL, NULL, ?6)
        ON CONFLICT DO UPDATE SET state = ?3, message = NULL, segment = ?4, archived = ?5, settings = ?6
        WHERE state <> ?7 OR (?8 AND message IS NOT ?9)";
    changing(db, scope, &name, || {
        let values = params![scope, name, REFUSED, segment, refusal.time.unix(), settings, ARCHIVED, told, message];
        db.prepare_cached(insert)?.execute(values).map(drop)
    })
}

fn take_refiling(db: &Db, refiling: &Refiling) -> Sql<()> {
    let Some(message) = message_before(db, refiling.digest)? else { return Ok(()) };
    let mut evidence: HashMap<(&str, i64), i64> = HashMap::new();
    if let Some(mail) = mail_of(db, &refiling.fingerprint)? {
        for filing in &refiling.removed {
            let delete = "DELETE FROM filings WHERE user = (SELECT id FROM users WHERE name = ?1) AND date = ?2 AND mail = ?3 AND role = ?4
                AND message = ?5 RETURNING evidence";
            let values = params![filing.user, mail.date, mail.id, role(filing.role), message.id];
            let had: Option<Option<i64>> = db.prepare_cached(delete)?.query_row(values, |row| row.get(0)).optional()?;
            evidence.extend(had.flatten().map(|evidence| ((filing.user.as_str(), role(filing.role)), evidence)));
        }
    }
    if !refiling.added.is_empty() {
        let mail = refiled_mail(db, &refiling.fingerprint, message.mail)?;
        for filing in &refiling.added {
            // What said that it is this user's is still so when the folder changes.
            file(db, mail, filing, message.id, evidence.get(&(filing.user.as_str(), role(filing.role))).copied())?;
        }
    }
    db.prepare_cached("UPDATE messages SET adopted = 0 WHERE id = ?1 AND adopted = 1")?.execute([message.id]).map(drop)
}

/// The mail that a refiling names. Only if its receipts stood in a segment that is damaged it is new, and is dated as the message is.
fn refiled_mail(db: &Db, fingerprint: &Fingerprint, before: i64) -> Sql<Mail> {
    if let Some(mail) = mail_of(db, fingerprint)? {
        return Ok(mail);
    }
    let date = db.query_row("SELECT date FROM mails WHERE id = ?1", [before], |row| row.get(0))?;
    new_mail(db, fingerprint, date, None)
}

fn take_purge(db: &Db, segment: u64, purge: &Purge) -> Sql<()> {
    if !matches!(purge.outcome, Purged::Purged | Purged::Gone) {
        return Ok(());
    }
    let (scope, name) = (db.scope_id(&purge.origin)?, origin_name(&purge.origin));
    let update = "UPDATE origins SET state = ?3, segment = ?4 WHERE scope = ?1 AND name = ?2";
    changing(db, scope, &name, || db.prepare_cached(update)?.execute(params![scope, name, PURGED, segment]).map(drop))
}

fn file(db: &Db, mail: Mail, filing: &Filing, message: i64, former: Option<i64>) -> Sql<()> {
    let evidence = filing.evidence.as_ref().map(|evidence| db.evidence_id(evidence)).transpose()?.or(former);
    // A filing of a message that was routed stands above the provisional one of an adopted copy.
    let insert = "INSERT INTO filings VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE
        SET folder = ?5, message = ?6, evidence = ?7 WHERE (SELECT adopted FROM messages WHERE id = filings.message) = 1";
    let (user, folder) = (db.user_id(&filing.user)?, db.folder_id(&filing.folder)?);
    db.prepare_cached(insert)?.execute(params![user, mail.date, mail.id, role(filing.role), folder, message, evidence]).map(drop)
}
