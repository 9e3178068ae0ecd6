//! What each record of the catalog changes in the index.

use super::names::{address_id, evidence_id, folder_id, scope_id, user_id};
use super::tables::{ADOPTED, ARCHIVED, PURGED, REFUSED, key, message_id_key, origin_name, role};
use super::{Index, wrong};
use crate::address::{self, Address};
use crate::archive::segment::{PackName, RecordPlace};
use crate::error::Result;
use crate::identity::{Digest, Fingerprint};
use crate::record::{Filing, Outcome, Purge, Purged, Receipt, Record, Refiling, Refusal, Role};
use crate::time::Time;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

impl Index {
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
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrong)?;
        let applied: u64 = transaction.query_row("SELECT segment FROM applied", [], |row| row.get(0)).map_err(wrong)?;
        if applied >= number {
            return Ok(());
        }
        if let Some(pack) = pack {
            transaction.execute("INSERT OR REPLACE INTO packs VALUES (?1, ?2, ?3)", (pack.pack, number, pack.size)).map_err(wrong)?;
        }
        for (place, record) in records {
            take_in(&transaction, place, record).map_err(wrong)?;
        }
        transaction.execute("UPDATE applied SET segment = ?1, blake3 = ?2", (number, blake3.0)).map_err(wrong)?;
        transaction.commit().map_err(wrong)
    }
}

type Sql<T> = rusqlite::Result<T>;

fn take_in(db: &Connection, place: RecordPlace, record: &Record) -> Sql<()> {
    match record {
        Record::Receipt(receipt) => take_receipt(db, place, receipt),
        Record::Refusal(refusal) => take_refusal(db, place.segment, refusal),
        Record::Refiling(refiling) => take_refiling(db, refiling),
        Record::Purge(purge) => take_purge(db, place.segment, purge),
        _ => Ok(()),
    }
}

fn take_receipt(db: &Connection, place: RecordPlace, receipt: &Receipt) -> Sql<()> {
    let mail = mail(db, receipt)?;
    let id = message(db, place, receipt, mail)?;
    for filing in &receipt.filings {
        file(db, mail, filing, id)?;
    }
    correspond(db, receipt, mail)?;
    // It was routed anew where it lies, which says nothing of its origin.
    if receipt.outcome == Outcome::Refiled {
        return Ok(());
    }
    take_origin(db, place.segment, receipt, id)
}

fn take_origin(db: &Connection, segment: u64, receipt: &Receipt, message: i64) -> Sql<()> {
    let adopted = receipt.outcome == Outcome::Adopted;
    let state = if adopted { ADOPTED } else { ARCHIVED };
    let (scope, name) = (scope_id(db, &receipt.origin)?, origin_name(&receipt.origin));
    // What is adopted says less than what was known of the origin before.
    let or = if adopted { "IGNORE" } else { "REPLACE" };
    let insert = &format!("INSERT OR {or} INTO origins VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL)");
    let received = receipt.received.map(Time::unix);
    // A server may claim what no number of SQLite holds; then it has claimed nothing.
    let claimed = receipt.server_size.and_then(|size| i64::try_from(size).ok());
    db.prepare_cached(insert)?.execute(params![scope, name, state, message, segment, receipt.archived.unix(), claimed, received])?;
    Ok(())
}

/// A mail: its row, and its date.
#[derive(Clone, Copy)]
struct Mail {
    id: i64,
    date: i64,
}

fn mail_of(db: &Connection, fingerprint: &Fingerprint) -> Sql<Option<Mail>> {
    let select = "SELECT id, date FROM mails WHERE substr(fingerprint, 1, 8) = substr(?1, 1, 8) AND fingerprint = ?1";
    db.prepare_cached(select)?.query_row([key(fingerprint)], |row| Ok(Mail { id: row.get(0)?, date: row.get(1)? })).optional()
}

/// The mail's row, made if its fingerprint is new. Its first receipt says its date for ever.
fn mail(db: &Connection, receipt: &Receipt) -> Sql<Mail> {
    if let Some(mail) = mail_of(db, &receipt.fingerprint)? {
        return Ok(mail);
    }
    let message_id = receipt.message_id.as_ref().and_then(|id| message_id_key(id.as_bytes()));
    new_mail(db, &receipt.fingerprint, receipt.mail_date().unix(), message_id)
}

fn new_mail(db: &Connection, fingerprint: &Fingerprint, date: i64, message_id: Option<i64>) -> Sql<Mail> {
    let insert = "INSERT INTO mails (fingerprint, date, message_id) VALUES (?1, ?2, ?3)";
    let id = db.prepare_cached(insert)?.insert(params![key(fingerprint), date, message_id])?;
    Ok(Mail { id, date })
}

/// What is known of a message when another receipt of it comes.
struct Before {
    id: i64,
    mail: i64,
    adopted: bool,
    journal: Option<String>,
}

fn message_before(db: &Connection, digest: Digest) -> Sql<Option<Before>> {
    let select = "SELECT id, mail, adopted, journal FROM messages WHERE substr(digest, 1, 8) = substr(?1, 1, 8) AND digest = ?1";
    let before = |row: &rusqlite::Row| Ok(Before { id: row.get(0)?, mail: row.get(1)?, adopted: row.get(2)?, journal: row.get(3)? });
    db.prepare_cached(select)?.query_row([digest.0], before).optional()
}

/// The message's row, made if its digest is new.
fn message(db: &Connection, place: RecordPlace, receipt: &Receipt, mail: Mail) -> Sql<i64> {
    if let Some(before) = message_before(db, receipt.digest)? {
        return learn(db, place, receipt, mail, &before).map(|()| before.id);
    }
    let Receipt { digest, size, pack, frame, position, outcome, .. } = receipt;
    let insert = "INSERT INTO messages VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let adopted = *outcome == Outcome::Adopted;
    let RecordPlace { segment, frame: at, position: line } = place;
    db.prepare_cached(insert)?.insert(params![
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
    ])
}

/// What a later receipt says of a message. One that was stored again because its pack was lost gets the new place; what is said of it as a
/// journal report counts from then on; what is adopted says nothing of that.
fn learn(db: &Connection, place: RecordPlace, receipt: &Receipt, mail: Mail, before: &Before) -> Sql<()> {
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
fn correspond(db: &Connection, receipt: &Receipt, mail: Mail) -> Sql<()> {
    let insert = "INSERT OR IGNORE INTO correspondents VALUES (?1, ?2, ?3, ?4)";
    let take = |address: String, as_what: Role| -> Sql<()> {
        if !address.is_empty() {
            let address = address_id(db, &address)?;
            db.prepare_cached(insert)?.execute(params![address, role(as_what), mail.date, mail.id])?;
        }
        Ok(())
    };
    let from = receipt.from.iter().flat_map(|from| address::list_iter(from.as_bytes()).take(AUTHORS));
    for author in from {
        take(author.normal(), Role::Sender)?;
    }
    let sender = receipt.sender.iter().filter_map(|sender| sender.address.as_ref());
    let recipients = receipt.recipients.iter().filter_map(|recipient| recipient.address.as_ref());
    for (address, as_what) in sender.map(|a| (a, Role::Sender)).chain(recipients.map(|a| (a, Role::Recipient))) {
        take(normal(&address.lossy()), as_what)?;
    }
    Ok(())
}

/// The form in which an address is looked for.
fn normal(address: &str) -> String {
    Address::parse(address).map_or_else(|| address.trim().to_lowercase(), |address| address.normal())
}

fn take_refusal(db: &Connection, segment: u64, refusal: &Refusal) -> Sql<()> {
    let (scope, name) = (scope_id(db, &refusal.origin)?, origin_name(&refusal.origin));
    let settings = refusal.settings.map(|settings| settings.0);
    let digest = refusal.digest.map(|digest| message_before(db, digest)).transpose()?;
    // An origin that is archived stays so, unless another message stands there by now.
    let (told, message) = (digest.is_some(), digest.flatten().map(|message| message.id));
    let insert = "INSERT INTO origins VALUES (?1, ?2, ?3, NULL, ?4, ?5, NULL, NULL, ?6)
        ON CONFLICT DO UPDATE SET state = ?3, message = NULL, segment = ?4, archived = ?5, settings = ?6
        WHERE state <> ?7 OR (?8 AND message IS NOT ?9)";
    let values = params![scope, name, REFUSED, segment, refusal.time.unix(), settings, ARCHIVED, told, message];
    db.prepare_cached(insert)?.execute(values).map(drop)
}

fn take_refiling(db: &Connection, refiling: &Refiling) -> Sql<()> {
    let Some(message) = message_before(db, refiling.digest)? else { return Ok(()) };
    if let Some(mail) = mail_of(db, &refiling.fingerprint)? {
        for filing in &refiling.removed {
            let delete = "DELETE FROM filings WHERE user = (SELECT id FROM users WHERE name = ?1) AND date = ?2 AND mail = ?3 AND role = ?4
                AND message = ?5";
            db.prepare_cached(delete)?.execute(params![filing.user, mail.date, mail.id, role(filing.role), message.id])?;
        }
    }
    if !refiling.added.is_empty() {
        let mail = refiled_mail(db, &refiling.fingerprint, message.mail)?;
        for filing in &refiling.added {
            file(db, mail, filing, message.id)?;
        }
    }
    db.prepare_cached("UPDATE messages SET adopted = 0 WHERE id = ?1 AND adopted = 1")?.execute([message.id]).map(drop)
}

/// The mail that a refiling names. Only if its receipts stood in a segment that is damaged it is new, and is dated as the message is.
fn refiled_mail(db: &Connection, fingerprint: &Fingerprint, before: i64) -> Sql<Mail> {
    if let Some(mail) = mail_of(db, fingerprint)? {
        return Ok(mail);
    }
    let date = db.query_row("SELECT date FROM mails WHERE id = ?1", [before], |row| row.get(0))?;
    new_mail(db, fingerprint, date, None)
}

fn take_purge(db: &Connection, segment: u64, purge: &Purge) -> Sql<()> {
    if !matches!(purge.outcome, Purged::Purged | Purged::Gone) {
        return Ok(());
    }
    let (scope, name) = (scope_id(db, &purge.origin)?, origin_name(&purge.origin));
    let update = "UPDATE origins SET state = ?3, segment = ?4 WHERE scope = ?1 AND name = ?2";
    db.prepare_cached(update)?.execute(params![scope, name, PURGED, segment])?;
    Ok(())
}

fn file(db: &Connection, mail: Mail, filing: &Filing, message: i64) -> Sql<()> {
    let evidence = filing.evidence.as_ref().map(|evidence| evidence_id(db, evidence)).transpose()?;
    // A filing of a message that was routed stands above the provisional one of an adopted copy.
    let insert = "INSERT INTO filings VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE
        SET folder = ?5, message = ?6, evidence = ?7 WHERE (SELECT adopted FROM messages WHERE id = filings.message) = 1";
    let (user, folder) = (user_id(db, &filing.user)?, folder_id(db, &filing.folder)?);
    db.prepare_cached(insert)?.execute(params![user, mail.date, mail.id, role(filing.role), folder, message, evidence]).map(drop)
}
