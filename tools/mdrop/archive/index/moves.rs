//! Where a message stands, and by which object identifiers it is known: what moves change in the index, and what is asked to find them.

use super::apply::{Sql, message_before};
use super::names::Db;
use super::standing::changing;
use super::tables::{ARCHIVED, MOVED, RECOGNISED, RENAMED, STANDING, origin_name};
use super::{Index, wrong};
use crate::error::Result;
use crate::identity::{Account, Digest, UidValidity};
use crate::octets::Octets;
use crate::record::{By, KnownEmail, Move, Receipt};
use crate::time::Time;
use rusqlite::{OptionalExtension, params};

/// How many EMAILIDs of an account mdrop-fetch is told, the newest.
const EMAILS_TOLD: u32 = 20_000;
/// How many are kept, since others may become known between two runs.
const EMAILS_KEPT: u32 = 2 * EMAILS_TOLD;
/// After which segments the others are forgotten: those whose number this divides, however the index is filled.
const TRIMMED_EVERY: u64 = 16;

/// An account's number: that of its first scope.
const ACCOUNT: &str = "(SELECT min(id) FROM scopes WHERE account = ?1 AND login = ?2)";

/// A mailbox of an account, under one UIDVALIDITY.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailboxScope {
    /// Its number in the index.
    pub scope: i64,
    /// Its name.
    pub name: Octets,
    /// The generation of its UIDs.
    pub uidvalidity: UidValidity,
}

/// What a receipt says of identifiers.
pub(super) fn take_ids(db: &Db, receipt: &Receipt, scope: i64, message: i64) -> Sql<()> {
    if let Some(mailboxid) = &receipt.objects.mailboxid {
        db.prepare_cached("INSERT OR REPLACE INTO mailboxids VALUES (?1, ?2)")?.execute(params![scope, mailboxid])?;
    }
    let Some(emailid) = &receipt.objects.emailid else { return Ok(()) };
    let (account, size) = (&receipt.origin.account, receipt.server_size.and_then(|size| i64::try_from(size).ok()));
    let insert = format!(
        "INSERT INTO emails (account, emailid, message, server_size, received) VALUES ({ACCOUNT}, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET message = NULL WHERE message IS NOT ?4 OR server_size IS NOT ?5 OR received IS NOT ?6"
    );
    db.prepare_cached(&insert)?.execute(params![account.name, account.login, emailid, message, size, receipt.received.map(Time::unix)])?;
    Ok(())
}

/// Forgets the EMAILIDs that are told to nobody any more, once in a while.
pub(super) fn trim(db: &Db, segment: u64) -> Sql<()> {
    if !segment.is_multiple_of(TRIMMED_EVERY) {
        return Ok(());
    }
    let accounts: Vec<i64> =
        db.prepare_cached("SELECT DISTINCT account FROM emails")?.query_map([], |row| row.get(0))?.collect::<Sql<_>>()?;
    let delete = "DELETE FROM emails WHERE account = ?1
        AND id <= (SELECT id FROM emails WHERE account = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
    accounts.iter().try_for_each(|account| db.prepare_cached(delete)?.execute(params![account, EMAILS_KEPT]).map(drop))
}

/// The origin's message stands elsewhere now; there it is known, if not by a receipt then by the identifiers of this record.
pub(super) fn take_move(db: &Db, segment: u64, moved: &Move, is_gone: bool) -> Sql<()> {
    let Move { origin, to, digest, by, time, .. } = moved;
    let Some(message) = message_before(db, *digest)?.map(|message| message.id) else { return Ok(()) };
    let (from_scope, from_name) = (db.scope_id(origin)?, origin_name(origin));
    let (to_scope, to_name) = (db.scope_id(to)?, origin_name(to));
    let insert = "INSERT INTO origins (scope, name, state, message, segment, archived, server_size, received)
        SELECT ?1, ?2, ?3, ?4, ?5, ?6, (SELECT server_size FROM origins WHERE scope = ?7 AND name = ?8),
            (SELECT received FROM origins WHERE scope = ?7 AND name = ?8) WHERE true
        ON CONFLICT DO UPDATE SET state = ?3, message = ?4, segment = ?5, archived = ?6, server_size = excluded.server_size,
            received = excluded.received, settings = NULL WHERE state <> ?9 OR message IS NOT ?4";
    let state = if *by == By::Mailboxid { RENAMED } else { RECOGNISED };
    changing(db, to_scope, &to_name, || {
        let values = params![to_scope, to_name, state, message, segment, time.unix(), from_scope, from_name, ARCHIVED];
        db.prepare_cached(insert)?.execute(values).map(drop)
    })?;
    if *by == By::Mailboxid {
        let copy = "INSERT OR IGNORE INTO mailboxids SELECT ?1, mailboxid FROM mailboxids WHERE scope = ?2";
        db.prepare_cached(copy)?.execute([to_scope, from_scope])?;
    }
    if is_gone {
        let update =
            format!("UPDATE origins SET state = ?3, segment = ?4 WHERE scope = ?1 AND name = ?2 AND message = ?5 AND state IN {STANDING}");
        let values = params![from_scope, from_name, MOVED, segment, message];
        changing(db, from_scope, &from_name, || db.prepare_cached(&update)?.execute(values).map(drop))?;
    }
    Ok(())
}

impl Index {
    /// The mailboxes in which messages of an account are or were known, under each UIDVALIDITY they had.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn mailboxes_of(&self, account: &Account) -> Result<Vec<MailboxScope>> {
        let select = "SELECT id, mailbox, uidvalidity FROM scopes WHERE account = ?1 AND login = ?2 AND kind = 0 ORDER BY id";
        let mut asked = self.db.prepare_cached(select).map_err(wrong)?;
        let rows = asked.query_map([&account.name, &account.login], |row| {
            let (name, uidvalidity) = (Octets::from(row.get::<_, Vec<u8>>(1)?), UidValidity(row.get(2)?));
            Ok(MailboxScope { scope: row.get(0)?, name, uidvalidity })
        });
        rows.and_then(Iterator::collect).map_err(wrong)
    }

    /// Those of a mailbox's standing UIDs, from the first to the last of a range, whose message is known at another origin, too, or all of
    /// them (`anywhere`), with the message: the first `most` of them.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn standing_elsewhere(&self, scope: i64, range: (u32, u32), anywhere: bool, most: usize) -> Result<Vec<(u32, Digest)>> {
        let select = format!(
            "SELECT o.name, m.digest FROM origins o JOIN messages m ON m.id = o.message
             WHERE o.scope = ?1 AND o.name BETWEEN ?2 AND ?3 AND o.state IN {STANDING} AND (?4 OR EXISTS (
                 SELECT 1 FROM origins p WHERE p.message = o.message AND p.state IN {STANDING} AND (p.scope <> o.scope OR p.name <> o.name)))
             ORDER BY o.name LIMIT ?5"
        );
        let mut asked = self.db.prepare_cached(&select).map_err(wrong)?;
        let values = params![scope, range.0, range.1, anywhere, most];
        let rows = asked.query_map(values, |row| Ok((row.get(0)?, Digest(row.get(1)?))));
        rows.and_then(Iterator::collect).map_err(wrong)
    }

    /// The message that has an EMAILID in an account; none if there is none, or if that is not clear.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn message_with_emailid(&self, account: &Account, emailid: &str) -> Result<Option<Digest>> {
        let select =
            format!("SELECT m.digest FROM emails e JOIN messages m ON m.id = e.message WHERE e.account = {ACCOUNT} AND e.emailid = ?3");
        let mut asked = self.db.prepare_cached(&select).map_err(wrong)?;
        let found = asked.query_row([&account.name, &account.login, emailid], |row| Ok(Digest(row.get(0)?)));
        found.optional().map_err(wrong)
    }

    /// What a mailbox was called by its server.
    pub(super) fn mailboxid(&self, scope: i64) -> Result<Option<String>> {
        let mut asked = self.db.prepare_cached("SELECT mailboxid FROM mailboxids WHERE scope = ?1").map_err(wrong)?;
        asked.query_row([scope], |row| row.get(0)).optional().map_err(wrong)
    }

    /// The newest messages of an account that have an EMAILID, are known there now, and lie in packs that are not lost.
    pub(super) fn newest_emails(&self, account: &Account) -> Result<Vec<KnownEmail>> {
        let select = format!(
            "SELECT e.emailid, e.server_size, e.received FROM emails e JOIN messages m ON m.id = e.message
             WHERE e.account = {ACCOUNT} AND e.server_size IS NOT NULL AND e.received IS NOT NULL AND m.pack NOT IN (SELECT pack FROM lost)
             AND EXISTS (SELECT 1 FROM origins o JOIN scopes s ON s.id = o.scope AND s.account = ?1 AND s.login = ?2
                 WHERE o.message = e.message AND o.state IN {STANDING})
             ORDER BY e.id DESC LIMIT ?3"
        );
        let mut asked = self.db.prepare_cached(&select).map_err(wrong)?;
        let rows = asked.query_map(params![account.name, account.login, EMAILS_TOLD], |row| {
            Ok(KnownEmail { emailid: row.get(0)?, server_size: row.get(1)?, received: Time::from_unix(row.get(2)?) })
        });
        rows.and_then(Iterator::collect).map_err(wrong)
    }
}
