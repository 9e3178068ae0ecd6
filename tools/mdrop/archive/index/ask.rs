//! What the tools ask the index.

use super::apply::{ADOPTED, ARCHIVED, PURGED, REFUSED, from_key, key, origin_name, role, scope};
use super::{Index, wrong};
use crate::archive::shelf::Series;
use crate::error::Result;
use crate::identity::{Account, Digest, Fingerprint, Origin, UidValidity};
use crate::octets::Octets;
use crate::record::{Filing, Frame, Known, Role, Sample, V1};
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
    /// Whether it was purged since.
    pub purged: bool,
    /// Whether it was adopted and not seen since.
    pub adopted: bool,
    /// The size the server claimed for it.
    pub server_size: Option<u64>,
    /// When the server received it.
    pub received: Option<Time>,
    /// The settings that refused it, where it was refused.
    pub refused_by: Option<Digest>,
}

/// How many of a mailbox's newest messages stand in `known` as samples, and about how many of the others.
const SAMPLES: u64 = 50;

/// Which origins of a scope are known: archived in a pack that is there, or refused under the settings in force.
const KNOWN: &str = "FROM origins WHERE scope = ?1 AND (state = ?2 OR state = ?3 AND settings IS ?4)
    AND (NOT EXISTS (SELECT 1 FROM lost) OR message IS NULL OR message NOT IN (SELECT m.id FROM messages m JOIN lost USING (pack)))";

pub(super) const HELD: &str = "m.digest, m.fingerprint, m.size, m.pack, m.frame_offset, m.frame_length, m.position, m.adopted, m.journal";

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
    })
}

impl Index {
    /// The message with this digest.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn message(&self, digest: Digest) -> Result<Option<Held>> {
        let mut asked = self.db.prepare_cached(&format!("SELECT {HELD} FROM messages m WHERE digest = ?1")).map_err(wrong)?;
        asked.query_row([digest.0], held).optional().map_err(wrong)
    }

    /// What is known of an origin.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn origin(&self, origin: &Origin) -> Result<Option<OriginState>> {
        let (kind, mailbox, uidvalidity) = scope(origin);
        let select = "SELECT m.digest, o.segment, o.archived, o.state, o.settings, o.server_size, o.received FROM origins o LEFT JOIN messages m ON m.id = o.message
            WHERE o.name = ?6 AND o.scope = (SELECT id FROM scopes WHERE account = ?1 AND login = ?2 AND kind = ?3 AND mailbox = ?4 AND uidvalidity = ?5)";
        let mut asked = self.db.prepare_cached(select).map_err(wrong)?;
        let values = params![origin.account.name, origin.account.login, kind, mailbox, uidvalidity, origin_name(origin)];
        let found = asked.query_row(values, |row| {
            let state: i64 = row.get(3)?;
            Ok(OriginState {
                digest: row.get::<_, Option<[u8; 32]>>(0)?.map(Digest),
                segment: row.get(1)?,
                archived: Time::from_unix(row.get(2)?),
                purged: state == PURGED,
                adopted: state == ADOPTED,
                server_size: row.get(5)?,
                received: row.get::<_, Option<i64>>(6)?.map(Time::from_unix),
                refused_by: row.get::<_, Option<[u8; 32]>>(4)?.map(Digest).filter(|_| state == REFUSED),
            })
        });
        found.optional().map_err(wrong)
    }

    /// Whether the mail is filed under this user in this role. The provisional filing of an adopted message does not count.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn is_filed(&self, user: &str, fingerprint: &Fingerprint, as_what: Role) -> Result<bool> {
        let select = "SELECT 1 FROM filings f JOIN messages m ON m.id = f.message AND m.adopted = 0
            WHERE f.user = (SELECT id FROM users WHERE name = ?1) AND f.fingerprint = ?2 AND f.role = ?3";
        let mut asked = self.db.prepare_cached(select).map_err(wrong)?;
        asked.exists(params![user, key(fingerprint), role(as_what)]).map_err(wrong)
    }

    /// The filings of which this very message is the copy.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn filings_of(&self, digest: Digest) -> Result<Vec<Filing>> {
        // The users one by one: filings are found by user and fingerprint, and by nothing else.
        let select = "SELECT u.name, f.role, f.folder FROM messages m CROSS JOIN users u
            CROSS JOIN filings f ON f.user = u.id AND f.fingerprint = m.fingerprint AND f.message = m.id WHERE m.digest = ?1";
        let mut asked = self.db.prepare_cached(select).map_err(wrong)?;
        let rows = asked.query_map(params![digest.0], |row| {
            let as_what = if row.get::<_, i64>(1)? == role(Role::Sender) { Role::Sender } else { Role::Recipient };
            Ok(Filing { user: row.get(0)?, folder: row.get(2)?, role: as_what, evidence: None })
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
                "SELECT {HELD}, f.folder FROM filings f JOIN messages m ON {which} WHERE f.user = (SELECT id FROM users WHERE name = ?1)
                 AND (f.role = 1 OR NOT EXISTS (SELECT 1 FROM filings g WHERE g.user = f.user AND g.fingerprint = f.fingerprint AND g.role = 1))"
            )
        };
        let mut select = filed("m.id = f.message");
        if reports {
            select = format!("{select} UNION {}", filed("m.fingerprint = f.fingerprint AND m.journal IS NOT NULL"));
        }
        let select = format!("{select} ORDER BY pack, frame_offset, position");
        let mut asked = self.db.prepare(&select).map_err(wrong)?;
        let mut rows = asked.query([user]).map_err(wrong)?;
        while let Some(row) = rows.next().map_err(wrong)? {
            each(held(row).map_err(wrong)?, row.get(9).map_err(wrong)?)?;
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

    /// Whether a segment names this pack.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn has_pack(&self, pack: u64) -> Result<bool> {
        self.db.prepare_cached("SELECT 1 FROM packs WHERE pack = ?1").and_then(|mut asked| asked.exists([pack])).map_err(wrong)
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
        let select = "SELECT DISTINCT segment FROM origins WHERE state = ?1 AND archived <= ?2
            AND scope IN (SELECT id FROM scopes WHERE account = ?3 AND login = ?4) ORDER BY segment";
        let mut asked = self.db.prepare(select).map_err(wrong)?;
        let rows = asked.query_map(params![ARCHIVED, before.unix(), account.name, account.login], |row| row.get(0));
        rows.and_then(Iterator::collect).map_err(wrong)
    }

    /// What `mdrop-store --known` prints for an account: what is archived, and what was refused under `settings`.
    ///
    /// # Errors
    /// What SQLite reports, and what `each` does.
    pub fn each_known(&self, account: &Account, settings: Option<Digest>, mut each: impl FnMut(Known) -> Result<()>) -> Result<()> {
        self.note_lost_packs()?;
        let select = "SELECT id, kind, mailbox, uidvalidity FROM scopes WHERE account = ?1 AND login = ?2 ORDER BY id";
        let mut asked = self.db.prepare(select).map_err(wrong)?;
        let rows = asked
            .query_map(params![account.name, account.login], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?, row.get(3)?)));
        let scopes: Vec<(i64, i64, Vec<u8>, u32)> = rows.and_then(Iterator::collect).map_err(wrong)?;
        for (id, kind, mailbox, uidvalidity) in scopes {
            let mut known = Known {
                v: V1,
                account: account.name.clone(),
                login: account.login.clone(),
                mailbox: (kind != 1).then(|| mailbox.into()),
                uidvalidity: (kind == 0).then_some(UidValidity(uidvalidity)),
                uids: UidSet::new(),
                samples: Vec::new(),
                uidl: None,
                server_size: None,
                path: None,
            };
            if kind == 0 {
                self.known_uids(id, settings, &mut known)?;
                if !known.uids.is_empty() {
                    each(known)?;
                }
            } else {
                self.known_names(id, settings, &known, kind == 1, &mut each)?;
            }
        }
        Ok(())
    }

    /// Puts into a temporary table the packs that segments name and that are gone or shorter than they were: what was in them is not known.
    fn note_lost_packs(&self) -> Result<()> {
        self.db.execute_batch("CREATE TEMP TABLE IF NOT EXISTS lost (pack INTEGER PRIMARY KEY); DELETE FROM lost").map_err(wrong)?;
        let mut asked = self.db.prepare("SELECT pack, size FROM packs").map_err(wrong)?;
        let named: rusqlite::Result<Vec<(u64, u64)>> =
            asked.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).and_then(Iterator::collect);
        for (pack, size) in named.map_err(wrong)? {
            if self.shelf.size(Series::Pack, pack)?.is_none_or(|now| now < size) {
                self.db.execute("INSERT INTO lost VALUES (?1)", [pack]).map_err(wrong)?;
            }
        }
        Ok(())
    }

    fn known_uids(&self, scope: i64, settings: Option<Digest>, known: &mut Known) -> Result<()> {
        let values = params![scope, ARCHIVED, REFUSED, settings.map(|s| s.0)];
        let total: u64 = self.db.query_row(&format!("SELECT count(*) {KNOWN}"), values, |row| row.get(0)).map_err(wrong)?;
        let mut asked = self.db.prepare(&format!("SELECT name, server_size, received {KNOWN} ORDER BY name")).map_err(wrong)?;
        let mut rows = asked.query(values).map_err(wrong)?;
        let every = (total / SAMPLES).max(1);
        for n in 0.. {
            let Some(row) = rows.next().map_err(wrong)? else { break };
            let uid: u32 = row.get(0).map_err(wrong)?;
            known.uids.insert(uid);
            if n + SAMPLES >= total || n % every == 0 {
                let received: Option<i64> = row.get(2).map_err(wrong)?;
                let sample = Sample { uid, server_size: row.get(1).map_err(wrong)?, received: received.map(Time::from_unix) };
                known.samples.extend((sample.server_size.is_some() || sample.received.is_some()).then_some(sample));
            }
        }
        Ok(())
    }

    fn known_names(
        &self,
        scope: i64,
        settings: Option<Digest>,
        like: &Known,
        pop3: bool,
        each: &mut impl FnMut(Known) -> Result<()>,
    ) -> Result<()> {
        let mut asked = self.db.prepare(&format!("SELECT name, server_size {KNOWN} ORDER BY name")).map_err(wrong)?;
        let mut rows = asked.query(params![scope, ARCHIVED, REFUSED, settings.map(|s| s.0)]).map_err(wrong)?;
        while let Some(row) = rows.next().map_err(wrong)? {
            let name = Octets::from(row.get::<_, Vec<u8>>(0).map_err(wrong)?);
            let server_size = row.get(1).map_err(wrong)?;
            let (uidl, path) = if pop3 { (Some(name), None) } else { (None, Some(name)) };
            each(Known { uidl, server_size, path, ..like.clone() })?;
        }
        Ok(())
    }

    /// How many messages the archive holds, and their octets.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn totals(&self) -> Result<(u64, u64)> {
        let asked = self.db.query_row("SELECT count(*), coalesce(sum(size), 0) FROM messages", [], |row| Ok((row.get(0)?, row.get(1)?)));
        asked.map_err(wrong)
    }
}
