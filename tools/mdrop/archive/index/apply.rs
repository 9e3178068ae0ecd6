//! What each record of the catalog changes in the index.

use super::{Index, wrong};
use crate::archive::segment::PackName;
use crate::error::Result;
use crate::identity::{Digest, Fingerprint, Origin, Place};
use crate::record::{Filing, Outcome, Purge, Purged, Receipt, Record, Refiling, Refusal, Role};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

/// An origin that was archived, refused, purged, or archived without being known to have been routed.
pub(super) const ARCHIVED: i64 = 0;
pub(super) const REFUSED: i64 = 1;
pub(super) const PURGED: i64 = 2;
pub(super) const ADOPTED: i64 = 3;

impl Index {
    /// Takes in the records of segment `number`, unless another process has done so already.
    ///
    /// # Errors
    /// What SQLite reports; then nothing of the segment was taken in.
    pub fn apply(&mut self, number: u64, blake3: Digest, pack: Option<PackName>, records: &[Record]) -> Result<()> {
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrong)?;
        let applied: u64 = transaction.query_row("SELECT segment FROM applied", [], |row| row.get(0)).map_err(wrong)?;
        if applied >= number {
            return Ok(());
        }
        if let Some(pack) = pack {
            transaction.execute("INSERT OR REPLACE INTO packs VALUES (?1, ?2, ?3)", (pack.pack, number, pack.size)).map_err(wrong)?;
        }
        for record in records {
            take_in(&transaction, number, record).map_err(wrong)?;
        }
        transaction.execute("UPDATE applied SET segment = ?1, blake3 = ?2", (number, blake3.0)).map_err(wrong)?;
        transaction.commit().map_err(wrong)
    }
}

type Sql<T> = rusqlite::Result<T>;

fn take_in(db: &Transaction, segment: u64, record: &Record) -> Sql<()> {
    match record {
        Record::Receipt(receipt) => take_receipt(db, segment, receipt),
        Record::Refusal(refusal) => take_refusal(db, segment, refusal),
        Record::Refiling(refiling) => take_refiling(db, refiling),
        Record::Purge(purge) => take_purge(db, segment, purge),
        _ => Ok(()),
    }
}

fn take_receipt(db: &Transaction, segment: u64, receipt: &Receipt) -> Sql<()> {
    let id = message_id(db, receipt)?;
    let adopted = receipt.outcome == Outcome::Adopted;
    if !adopted {
        db.prepare_cached("UPDATE messages SET adopted = 0 WHERE id = ?1 AND adopted = 1")?.execute([id])?;
    }
    if !adopted {
        understand(db, receipt, id)?;
    }
    // It was read anew where it lies, which says nothing of its origin.
    if receipt.outcome == Outcome::Refiled {
        return Ok(());
    }
    for filing in &receipt.filings {
        file(db, &receipt.fingerprint, filing, id)?;
    }
    let state = if adopted { ADOPTED } else { ARCHIVED };
    let (scope, name) = (scope_id(db, &receipt.origin)?, origin_name(&receipt.origin));
    // What is adopted says less than what was known of the origin before.
    let or = if adopted { "IGNORE" } else { "REPLACE" };
    let insert = &format!("INSERT OR {or} INTO origins VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL)");
    let received = receipt.received.map(crate::time::Time::unix);
    // A server may claim what no number of SQLite holds; then it has claimed nothing.
    let claimed = receipt.server_size.and_then(|size| i64::try_from(size).ok());
    db.prepare_cached(insert)?.execute(params![scope, name, state, id, segment, receipt.archived.unix(), claimed, received])?;
    Ok(())
}

/// The message's row, made if its digest is new. A message that was stored again because its pack was lost gets the new place.
fn message_id(db: &Transaction, receipt: &Receipt) -> Sql<i64> {
    let Receipt { digest, fingerprint, size, pack, frame, position, outcome, .. } = receipt;
    let upsert = "INSERT INTO messages (digest, fingerprint, size, pack, frame_offset, frame_length, position, adopted, journal)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (digest) DO UPDATE SET pack = ?4, frame_offset = ?5, frame_length = ?6, position = ?7 RETURNING id";
    let adopted = *outcome == Outcome::Adopted;
    let known: Option<i64> =
        db.prepare_cached("SELECT id FROM messages WHERE digest = ?1")?.query_row([digest.0], |row| row.get(0)).optional()?;
    match known {
        Some(id) if matches!(outcome, Outcome::Duplicate | Outcome::Refiled) => Ok(id),
        _ => {
            let values = params![digest.0, key(fingerprint), size, pack, frame.offset, frame.length, position, adopted, journal(receipt)];
            db.prepare_cached(upsert)?.query_row(values, |row| row.get(0))
        }
    }
}

/// What is said of a message as a journal report when it comes again counts from then on; what is adopted says nothing of that.
fn understand(db: &Transaction, receipt: &Receipt, id: i64) -> Sql<()> {
    let update = "UPDATE messages SET fingerprint = ?2, journal = ?3 WHERE id = ?1 AND (fingerprint <> ?2 OR journal IS NOT ?3)";
    db.prepare_cached(update)?.execute(params![id, key(&receipt.fingerprint), journal(receipt)]).map(drop)
}

fn journal(receipt: &Receipt) -> Option<String> {
    receipt.journal.as_ref().and_then(|journal| serde_json::to_string(journal).ok())
}

fn take_refusal(db: &Transaction, segment: u64, refusal: &Refusal) -> Sql<()> {
    let (scope, name) = (scope_id(db, &refusal.origin)?, origin_name(&refusal.origin));
    let settings = refusal.settings.map(|settings| settings.0);
    // An origin that is archived stays so, unless another message stands there by now.
    let insert = "INSERT INTO origins VALUES (?1, ?2, ?3, NULL, ?4, ?5, NULL, NULL, ?6)
        ON CONFLICT DO UPDATE SET state = ?3, message = NULL, segment = ?4, archived = ?5, settings = ?6
        WHERE state <> ?7 OR (?8 IS NOT NULL AND message IS NOT (SELECT id FROM messages WHERE digest = ?8))";
    db.prepare_cached(insert)?.execute(params![
        scope,
        name,
        REFUSED,
        segment,
        refusal.time.unix(),
        settings,
        ARCHIVED,
        refusal.digest.map(|d| d.0)
    ])?;
    Ok(())
}

fn take_refiling(db: &Transaction, refiling: &Refiling) -> Sql<()> {
    for filing in &refiling.removed {
        let delete = "DELETE FROM filings WHERE user = (SELECT id FROM users WHERE name = ?1) AND fingerprint = ?2 AND role = ?3
            AND message = (SELECT id FROM messages WHERE digest = ?4)";
        db.prepare_cached(delete)?.execute(params![filing.user, key(&refiling.fingerprint), role(filing.role), refiling.digest.0])?;
    }
    let asked =
        db.prepare_cached("SELECT id FROM messages WHERE digest = ?1")?.query_row([refiling.digest.0], |row| row.get(0)).optional()?;
    if let Some(id) = asked {
        for filing in &refiling.added {
            file(db, &refiling.fingerprint, filing, id)?;
        }
        db.prepare_cached("UPDATE messages SET adopted = 0 WHERE id = ?1")?.execute([id])?;
    }
    Ok(())
}

fn take_purge(db: &Transaction, segment: u64, purge: &Purge) -> Sql<()> {
    if !matches!(purge.outcome, Purged::Purged | Purged::Gone) {
        return Ok(());
    }
    let (scope, name) = (scope_id(db, &purge.origin)?, origin_name(&purge.origin));
    let update = "UPDATE origins SET state = ?3, segment = ?4 WHERE scope = ?1 AND name = ?2";
    db.prepare_cached(update)?.execute(params![scope, name, PURGED, segment])?;
    Ok(())
}

fn file(db: &Transaction, fingerprint: &Fingerprint, filing: &Filing, message: i64) -> Sql<()> {
    db.prepare_cached("INSERT OR IGNORE INTO users (name) VALUES (?1)")?.execute([&filing.user])?;
    // A filing of a message that was routed stands above the provisional one of an adopted copy.
    let insert = "INSERT INTO filings VALUES ((SELECT id FROM users WHERE name = ?1), ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE
        SET folder = ?4, message = ?5 WHERE (SELECT adopted FROM messages WHERE id = filings.message) = 1";
    db.prepare_cached(insert)?.execute(params![filing.user, key(fingerprint), role(filing.role), filing.folder, message])?;
    Ok(())
}

fn scope_id(db: &Transaction, origin: &Origin) -> Sql<i64> {
    let (kind, mailbox, uidvalidity) = scope(origin);
    let values = params![origin.account.name, origin.account.login, kind, mailbox, uidvalidity];
    let select = "SELECT id FROM scopes WHERE account = ?1 AND login = ?2 AND kind = ?3 AND mailbox = ?4 AND uidvalidity = ?5";
    match db.prepare_cached(select)?.query_row(values, |row| row.get(0)).optional()? {
        Some(id) => Ok(id),
        None => db.query_row(
            "INSERT INTO scopes (account, login, kind, mailbox, uidvalidity) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
            values,
            |row| row.get(0),
        ),
    }
}

/// An origin's kind, mailbox and UIDVALIDITY, as the table of scopes has them.
pub(super) fn scope(origin: &Origin) -> (i64, &[u8], i64) {
    match &origin.place {
        Place::Imap { mailbox, uidvalidity, .. } => (0, mailbox.as_bytes(), i64::from(uidvalidity.0)),
        Place::Pop3 { .. } => (1, b"", 0),
        Place::Disk { mailbox, .. } => (2, mailbox.as_bytes(), 0),
    }
}

/// An origin's name in its scope: a number for a UID, octets for anything else.
pub(super) fn origin_name(origin: &Origin) -> Value {
    match &origin.place {
        Place::Imap { uid, .. } => Value::Integer(i64::from(uid.0)),
        Place::Pop3 { uidl } => Value::Blob(uidl.as_bytes().to_vec()),
        Place::Disk { path, .. } => Value::Blob(path.as_bytes().to_vec()),
    }
}

/// A fingerprint's octets: its hash, behind a 1 where the hash is a digest, so that the two kinds never meet.
pub(super) fn key(fingerprint: &Fingerprint) -> Vec<u8> {
    let digest = matches!(fingerprint, Fingerprint::Digest(_));
    std::iter::once(1).filter(|_| digest).chain(fingerprint.hash().iter().copied()).collect()
}

/// The inverse of [`key`].
pub(super) fn from_key(key: &[u8]) -> Option<Fingerprint> {
    match key.len() {
        32 => key.try_into().ok().map(Fingerprint::F1),
        33 => key[1..].try_into().ok().map(|hash| Fingerprint::Digest(Digest(hash))),
        _ => None,
    }
}

pub(super) fn role(role: Role) -> i64 {
    match role {
        Role::Sender => 0,
        Role::Recipient => 1,
    }
}
