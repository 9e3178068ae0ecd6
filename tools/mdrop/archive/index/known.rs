//! What is known of an account: what `mdrop-store --known` prints.

use super::tables::{ARCHIVED, REFUSED};
use super::{Index, wrong};
use crate::archive::shelf::Series;
use crate::error::Result;
use crate::identity::{Account, Digest, UidValidity};
use crate::octets::Octets;
use crate::record::{Known, Sample, V1};
use crate::time::Time;
use crate::uids::UidSet;
use rusqlite::params;

/// How many of a mailbox's newest messages stand in `known` as samples, and about how many of the others.
const SAMPLES: u64 = 50;

/// Which origins of a scope are known: archived in a pack that is there, or refused under the settings in force.
const KNOWN: &str = "FROM origins WHERE scope = ?1 AND (state = ?2 OR state = ?3 AND settings IS ?4)
    AND (NOT EXISTS (SELECT 1 FROM lost) OR message IS NULL OR message NOT IN (SELECT m.id FROM messages m JOIN lost USING (pack)))";

impl Index {
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
}
