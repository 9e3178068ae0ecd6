//! What the tools ask the index.

use super::tables::{
    ADOPTED, ARCHIVED, MOVED, PURGED, RECOGNISED, REFUSED, RENAMED, from_key, from_role, key, message_id_key, origin_from, origin_name,
    role, scope,
};
use super::{Index, standing, wrong};
use crate::archive::segment::RecordPlace;
use crate::error::Result;
use crate::identity::{Account, Digest, Fingerprint, Origin, UidValidity};
use crate::octets::Octets;
use crate::record::{Filing, Frame, Role};
use crate::stream::Journal;
use crate::time::Time;
use crate::uids::UidSet;
use rusqlite::{OptionalExtension, Row, params};

/// A message the archive holds, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// The message.
    pub digest: Digest,
    /// The mail.
    pub fingerprint: Fingerprint,
    /// Its octets.
    pub size: u64,
    /// The pack.
    pub pack: u64,
    /// The frame in it.
    pub frame: Frame,
    /// Where in the decompressed frame it begins.
    pub position: u64,
    /// Whether it is only known from its pack.
    pub adopted: bool,
    /// What it is a journal report of, and where its inner message lies.
    pub journal: Option<Journal>,
    /// Where its receipt stands in the catalog: the first, or a later one that says more.
    pub record: RecordPlace,
}

/// What is known of an origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OriginState {
    /// The message it held when it was last looked at; none if it was refused.
    pub digest: Option<Digest>,
    /// The segment that says so.
    pub segment: u64,
    /// When that was.
    pub archived: Time,
    /// What has become of it since.
    pub state: State,
    /// The size the server claimed for it.
    pub server_size: Option<u64>,
    /// When the server received it.
    pub received: Option<Time>,
    /// The settings that refused it, where it was refused.
    pub refused_by: Option<Digest>,
}

/// In what state an origin is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Its message was read there and is archived.
    Archived,
    /// It was refused.
    Refused,
    /// It was purged.
    Purged,
    /// Its message was adopted, and not seen there since.
    Adopted,
    /// Its message stands elsewhere by now.
    Moved,
    /// Its message is known by its EMAILID alone, and was never read there.
    Recognised,
    /// The same by the MAILBOXID of its mailbox.
    Renamed,
}

impl State {
    fn of(number: i64) -> Self {
        match number {
            ARCHIVED => Self::Archived,
            PURGED => Self::Purged,
            ADOPTED => Self::Adopted,
            MOVED => Self::Moved,
            RECOGNISED => Self::Recognised,
            RENAMED => Self::Renamed,
            _ => Self::Refused,
        }
    }
}

impl OriginState {
    /// Whether the archive holds the message that stands there.
    #[must_use]
    pub fn is_known(&self) -> bool {
        matches!(self.state, State::Archived | State::Recognised | State::Renamed)
    }

    /// Whether it does, and the message was read there.
    #[must_use]
    pub fn was_read(&self) -> bool {
        self.state == State::Archived
    }
}

/// That a message m has the digest ?1.
const IS_DIGEST: &str = "substr(m.digest, 1, 8) = substr(?1, 1, 8) AND m.digest = ?1";
/// The columns of [`held`], of messages m and their mails x.
pub(super) const HELD: &str = "m.digest, x.fingerprint, m.size, m.pack, m.frame_offset, m.frame_length, m.position, m.adopted, m.journal,
    m.segment, m.record_frame, m.record_position";
/// How many they are.
pub(super) const HELD_COLUMNS: usize = 12;
/// The columns of [`state`], of origins o and their messages m.
const STATE: &str = "m.digest, o.segment, o.archived, o.state, o.settings, o.server_size, o.received";

fn state(row: &Row) -> rusqlite::Result<OriginState> {
    let state: i64 = row.get(3)?;
    Ok(OriginState {
        digest: row.get::<_, Option<[u8; 32]>>(0)?.map(Digest),
        segment: row.get(1)?,
        archived: Time::from_unix(row.get(2)?),
        state: State::of(state),
        server_size: row.get(5)?,
        received: row.get::<_, Option<i64>>(6)?.map(Time::from_unix),
        refused_by: row.get::<_, Option<[u8; 32]>>(4)?.map(Digest).filter(|_| state == REFUSED),
    })
}

pub(super) fn held(row: &Row) -> rusqlite::Result<Held> {
    let digest = Digest(row.get(0)?);
    let fingerprint: Vec<u8> = row.get(1)?;
    Ok(Held {
        digest,
        fingerprint: from_key(&fingerprint).unwrap_or(Fingerprint::Digest(digest)),
        size: row.get(2)?,
        pack: row.get(3)?,
        frame: Frame { offset: row.get(4)?, length: row.get(5)? },
        position: row.get(6)?,
        adopted: row.get(7)?,
        journal: row.get::<_, Option<String>>(8)?.and_then(|json| serde_json::from_str(&json).ok()),
        record: RecordPlace { segment: row.get(9)?, frame: row.get(10)?, position: row.get(11)? },
    })
}

impl Index {
    /// The message with this digest.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn message(&self, digest: Digest) -> Result<Option<Held>> {
        let select = &format!("SELECT {HELD} FROM messages m JOIN mails x ON x.id = m.mail WHERE {IS_DIGEST}");
        let mut asked = self.db.prepare_cached(select).map_err(wrong)?;
        asked.query_row([digest.0], held).optional().map_err(wrong)
    }

    /// What is known of an origin.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn origin(&self, origin: &Origin) -> Result<Option<OriginState>> {
        let (kind, mailbox, uidvalidity) = scope(origin);
        let select = &format!(
            "SELECT {STATE} FROM origins o LEFT JOIN messages m ON m.id = o.message WHERE o.name = ?6 AND o.scope =
             (SELECT id FROM scopes WHERE account = ?1 AND login = ?2 AND kind = ?3 AND mailbox = ?4 AND uidvalidity = ?5)"
        );
        let mut asked = self.db.prepare_cached(select).map_err(wrong)?;
        let values = params![origin.account.name, origin.account.login, kind, mailbox, uidvalidity, origin_name(origin)];
        let found = asked.query_row(values, state);
        found.optional().map_err(wrong)
    }

    /// Whether the mail is filed under this user in this role. The provisional filing of an adopted message does not count.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn is_filed(&self, user: &str, fingerprint: &Fingerprint, as_what: Role) -> Result<bool> {
        let select = "SELECT 1 FROM mails x CROSS JOIN filings f ON f.user = (SELECT id FROM users WHERE name = ?1) AND f.date = x.date
            AND f.mail = x.id AND f.role = ?3 CROSS JOIN messages m ON m.id = f.message AND m.adopted = 0
            WHERE substr(x.fingerprint, 1, 8) = substr(?2, 1, 8) AND x.fingerprint = ?2";
        let mut asked = self.db.prepare_cached(select).map_err(wrong)?;
        asked.exists(params![user, key(fingerprint), role(as_what)]).map_err(wrong)
    }

    /// The filings of which this very message is the copy.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn filings_of(&self, digest: Digest) -> Result<Vec<Filing>> {
        let select = &format!(
            "SELECT u.name, f.role, d.name FROM messages m CROSS JOIN filings f ON f.mail = m.mail AND f.message = m.id
             JOIN users u ON u.id = f.user JOIN folders d ON d.id = f.folder WHERE {IS_DIGEST} ORDER BY u.id, f.role"
        );
        let mut asked = self.db.prepare_cached(select).map_err(wrong)?;
        let rows = asked.query_map(params![digest.0], |row| {
            Ok(Filing { user: row.get(0)?, folder: row.get(2)?, role: from_role(row.get(1)?), evidence: None })
        });
        rows.and_then(Iterator::collect).map_err(wrong)
    }

    /// Each mail filed under the user, once, with its folder, in the order in which it was archived; with `reports` also every other journal
    /// report of the same mail.
    ///
    /// # Errors
    /// What SQLite reports, and what `each` does.
    pub fn each_of_user(&self, user: &str, reports: bool, mut each: impl FnMut(Held, String) -> Result<()>) -> Result<()> {
        // A user who is sender and recipient has one copy: the delivered one.
        let filed = |which: &str| {
            format!(
                "SELECT {HELD}, d.name FROM filings f JOIN messages m ON {which} JOIN mails x ON x.id = m.mail JOIN folders d ON d.id = f.folder
                 WHERE f.user = (SELECT id FROM users WHERE name = ?1) AND (f.role = 1 OR NOT EXISTS
                 (SELECT 1 FROM filings g WHERE g.user = f.user AND g.date = f.date AND g.mail = f.mail AND g.role = 1))"
            )
        };
        let mut select = filed("m.id = f.message");
        if reports {
            select = format!("{select} UNION {}", filed("m.mail = f.mail AND m.journal IS NOT NULL"));
        }
        let select = format!("{select} ORDER BY pack, frame_offset, position");
        let mut asked = self.db.prepare(&select).map_err(wrong)?;
        let mut rows = asked.query([user]).map_err(wrong)?;
        while let Some(row) = rows.next().map_err(wrong)? {
            each(held(row).map_err(wrong)?, row.get(HELD_COLUMNS).map_err(wrong)?)?;
        }
        Ok(())
    }

    /// Whether anything was ever filed under this user.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn has_user(&self, user: &str) -> Result<bool> {
        self.db.prepare_cached("SELECT 1 FROM users WHERE name = ?1").and_then(|mut asked| asked.exists([user])).map_err(wrong)
    }

    /// The packs from `from` on that segments name, ascending.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn packs(&self, from: u64) -> Result<Vec<u64>> {
        let mut asked = self.db.prepare_cached("SELECT pack FROM packs WHERE pack >= ?1 ORDER BY pack").map_err(wrong)?;
        let rows = asked.query_map([from], |row| row.get(0));
        rows.and_then(Iterator::collect).map_err(wrong)
    }

    /// The highest pack that a segment names.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn last_pack(&self) -> Result<u64> {
        self.db.query_row("SELECT coalesce(max(pack), 0) FROM packs", [], |row| row.get(0)).map_err(wrong)
    }

    /// The segments that are missing or could not be read, and why.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn damaged(&self) -> Result<Vec<(u64, String)>> {
        let mut asked = self.db.prepare("SELECT segment, why FROM damaged ORDER BY segment").map_err(wrong)?;
        let rows = asked.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.and_then(Iterator::collect).map_err(wrong)
    }

    /// The segments that hold receipts of an account's origins which are not purged and were archived no later than `before`, ascending.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn purgeable_segments(&self, account: &Account, before: Time) -> Result<Vec<u64>> {
        let select = "SELECT DISTINCT segment FROM unpurged WHERE archived <= ?1
            AND scope IN (SELECT id FROM scopes WHERE account = ?2 AND login = ?3) ORDER BY segment";
        let mut asked = self.db.prepare(select).map_err(wrong)?;
        let rows = asked.query_map(params![before.unix(), account.name, account.login], |row| row.get(0));
        rows.and_then(Iterator::collect).map_err(wrong)
    }

    /// Where the receipt of the message with this digest stands: the first, or a later one that says more. Its filings are those that it
    /// added, and its place in the pack is where the message lay then.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn record_place(&self, digest: Digest) -> Result<Option<RecordPlace>> {
        Ok(self.message(digest)?.map(|held| held.record))
    }

    /// The messages of a mail, in the order in which they came.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn copies_of(&self, fingerprint: &Fingerprint) -> Result<Vec<Digest>> {
        let select = "SELECT m.digest FROM mails x CROSS JOIN messages m ON m.mail = x.id
            WHERE substr(x.fingerprint, 1, 8) = substr(?1, 1, 8) AND x.fingerprint = ?1 ORDER BY m.id";
        let mut asked = self.db.prepare_cached(select).map_err(wrong)?;
        let rows = asked.query_map([key(fingerprint)], |row| row.get(0).map(Digest));
        rows.and_then(Iterator::collect).map_err(wrong)
    }

    /// Whether any message is taken for the mail with this fingerprint.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn has_mail(&self, fingerprint: &Fingerprint) -> Result<bool> {
        let select = "SELECT 1 FROM mails x CROSS JOIN messages m ON m.mail = x.id
            WHERE substr(x.fingerprint, 1, 8) = substr(?1, 1, 8) AND x.fingerprint = ?1";
        self.db.prepare_cached(select).and_then(|mut asked| asked.exists([key(fingerprint)])).map_err(wrong)
    }

    /// The first message of the first mail with this Message-ID; none if the value is empty. Two are taken for the same if the first 64 bits of
    /// their BLAKE3 are.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn with_message_id(&self, message_id: &[u8]) -> Result<Option<Digest>> {
        let Some(key) = message_id_key(message_id) else { return Ok(None) };
        let select =
            "SELECT m.digest FROM mails x CROSS JOIN messages m ON m.mail = x.id WHERE x.message_id = ?1 ORDER BY x.id, m.id LIMIT 1";
        let mut asked = self.db.prepare_cached(select).map_err(wrong)?;
        asked.query_row([key], |row| row.get(0).map(Digest)).optional().map_err(wrong)
    }

    /// The origins at which the message with this digest was last seen, and what is known of them.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn origins_of(&self, digest: Digest) -> Result<Vec<(Origin, OriginState)>> {
        let select = &format!(
            "SELECT {STATE}, s.account, s.login, s.kind, s.mailbox, s.uidvalidity, o.name FROM messages m
             CROSS JOIN origins o ON o.message = m.id JOIN scopes s ON s.id = o.scope WHERE {IS_DIGEST} ORDER BY o.scope, o.name"
        );
        let mut asked = self.db.prepare_cached(select).map_err(wrong)?;
        let rows = asked.query_map([digest.0], |row| {
            let account = Account { name: row.get(7)?, login: row.get(8)? };
            let origin = origin_from(account, row.get(9)?, row.get::<_, Vec<u8>>(10)?.into(), row.get(11)?, row.get(12)?);
            Ok((origin, state(row)?))
        });
        rows.and_then(Iterator::collect).map_err(wrong)
    }

    /// The UIDs of a mailbox that are archived and neither purged, refused nor moved since; whether their packs are there is not asked.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn archived_uids(&self, account: &Account, mailbox: &Octets, uidvalidity: UidValidity) -> Result<UidSet> {
        let select = "SELECT id FROM scopes WHERE account = ?1 AND login = ?2 AND kind = 0 AND mailbox = ?3 AND uidvalidity = ?4";
        let values = params![account.name, account.login, mailbox.as_bytes(), uidvalidity.0];
        let scope = self.db.query_row(select, values, |row| row.get(0)).optional().map_err(wrong)?;
        scope.map_or(Ok(UidSet::new()), |scope| standing::known_uids(&self.db, scope, true)).map_err(wrong)
    }

    /// How many messages the archive holds, and their octets.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn totals(&self) -> Result<(u64, u64)> {
        let asked = self.db.query_row("SELECT count(*), coalesce(sum(size), 0) FROM messages", [], |row| Ok((row.get(0)?, row.get(1)?)));
        asked.map_err(wrong)
    }

    /// The sum of the second quarters of all messages' digests, each read as a big-endian number, without what does not fit into 64 bits.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn sum_of_digests(&self) -> Result<u64> {
        let mut asked = self.db.prepare("SELECT digest FROM messages").map_err(wrong)?;
        let mut rows = asked.query([]).map_err(wrong)?;
        let mut sum = 0_u64;
        while let Some(row) = rows.next().map_err(wrong)? {
            let digest: [u8; 32] = row.get(0).map_err(wrong)?;
            let quarter = digest.get(8..).and_then(|rest| rest.first_chunk()).map_or(0, |octets| u64::from_be_bytes(*octets));
            sum = sum.wrapping_add(quarter);
        }
        Ok(sum)
    }
}
