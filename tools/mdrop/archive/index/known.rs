//! What is known of an account: what `mdrop-store --known` prints.

use super::tables::{ARCHIVED, REFUSED};
use super::{Index, standing, wrong};
use crate::archive::shelf::{Series, Shelf};
use crate::error::{Error, Result, Status};
use crate::identity::{Account, Digest, UidValidity};
use crate::octets::Octets;
use crate::record::{Known, Sample};
use crate::time::Time;
use crate::uids::UidSet;
use rusqlite::{OptionalExtension, params};

/// How many of a mailbox's newest messages stand in `known` as samples, and about how many of the others.
const SAMPLES: u64 = 50;
/// How many EMAILIDs one record names.
const EMAILS_A_LINE: usize = 1000;

/// From how many packs on it pays to look at them in two threads.
const MANY: usize = 2000;

/// Which origins of a scope are known: archived in a pack that is there, or refused under the settings in force.
const KNOWN: &str = "FROM origins WHERE scope = ?1 AND (state = ?2 OR state = ?3 AND settings IS ?4)
    AND (NOT EXISTS (SELECT 1 FROM lost) OR message IS NULL OR message NOT IN (SELECT m.id FROM messages m JOIN lost USING (pack)))";

impl Index {
    /// What `mdrop-store --known` prints for an account: what is archived, and what was refused under `settings`.
    /// With `ids` that includes what is known by the server's object identifiers alone, and the identifiers by which more may be.
    ///
    /// # Errors
    /// What SQLite reports, and what `each` does.
    pub fn each_known(
        &self,
        account: &Account,
        settings: Option<Digest>,
        ids: bool,
        mut each: impl FnMut(Known) -> Result<()>,
    ) -> Result<()> {
        self.note_lost_packs()?;
        let select = "SELECT id, kind, mailbox, uidvalidity FROM scopes WHERE account = ?1 AND login = ?2 ORDER BY id";
        let mut asked = self.db.prepare(select).map_err(wrong)?;
        let rows = asked
            .query_map(params![account.name, account.login], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?, row.get(3)?)));
        let scopes: Vec<(i64, i64, Vec<u8>, u32)> = rows.and_then(Iterator::collect).map_err(wrong)?;
        for (id, kind, mailbox, uidvalidity) in scopes {
            let (mailbox, uidvalidity) = ((kind != 1).then(|| mailbox.into()), (kind == 0).then_some(UidValidity(uidvalidity)));
            let mut known = Known { mailbox, uidvalidity, ..Known::nothing(account) };
            if kind == 0 {
                self.known_uids(id, settings, ids, &mut known)?;
                known.mailboxid = if ids { self.mailboxid(id)? } else { None };
                if !known.uids.is_empty() {
                    each(known)?;
                }
            } else {
                self.known_names(id, settings, &known, kind == 1, &mut each)?;
            }
        }
        let emails = if ids { self.newest_emails(account)? } else { Vec::new() };
        emails.chunks(EMAILS_A_LINE).try_for_each(|emails| each(Known { emails: emails.to_vec(), ..Known::nothing(account) }))
    }

    /// Puts into a temporary table the packs that segments name and that are gone or shorter than they were: what was in them is not known.
    fn note_lost_packs(&self) -> Result<()> {
        self.db.execute_batch("CREATE TEMP TABLE IF NOT EXISTS lost (pack INTEGER PRIMARY KEY); DELETE FROM lost").map_err(wrong)?;
        let mut asked = self.db.prepare("SELECT pack, size FROM packs ORDER BY pack").map_err(wrong)?;
        let named = asked.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        let named: Vec<(u64, u64)> = named.and_then(Iterator::collect).map_err(wrong)?;
        for pack in lost(&self.shelf, &named)? {
            self.db.execute("INSERT INTO lost VALUES (?1)", [pack]).map_err(wrong)?;
        }
        Ok(())
    }

    fn known_uids(&self, scope: i64, settings: Option<Digest>, ids: bool, known: &mut Known) -> Result<()> {
        let mut uids = standing::known_uids(&self.db, scope, ids).map_err(wrong)?;
        let digest = settings.map(|settings| settings.0.to_vec()).unwrap_or_default();
        let refused = self.db.query_row("SELECT id FROM settings WHERE digest = ?1", [digest], |row| row.get(0)).optional();
        if let Some(refused) = refused.map_err(wrong)? {
            uids.insert_all(&standing::uids(&self.db, scope, refused).map_err(wrong)?);
        }
        known.uids = uids.without(&self.lost_uids(scope)?);
        for uid in samples(&known.uids) {
            known.samples.extend(self.sample(scope, uid)?);
        }
        Ok(())
    }

    /// The UIDs whose messages lay in packs that are lost.
    fn lost_uids(&self, scope: i64) -> Result<UidSet> {
        // The messages one by one: it takes long, but only when packs are lost.
        let select = "SELECT o.name FROM messages m CROSS JOIN origins o ON o.message = m.id AND o.scope = ?1
            WHERE EXISTS (SELECT 1 FROM lost) AND m.pack IN (SELECT pack FROM lost) ORDER BY o.name";
        let mut asked = self.db.prepare(select).map_err(wrong)?;
        let rows = asked.query_map([scope], |row| row.get::<_, u32>(0));
        rows.and_then(Iterator::collect).map_err(wrong)
    }

    fn sample(&self, scope: i64, uid: u32) -> Result<Option<Sample>> {
        let select = "SELECT server_size, received FROM origins WHERE scope = ?1 AND name = ?2";
        let mut asked = self.db.prepare_cached(select).map_err(wrong)?;
        let found = asked.query_row(params![scope, uid], |row| {
            Ok(Sample { uid, server_size: row.get(0)?, received: row.get::<_, Option<i64>>(1)?.map(Time::from_unix) })
        });
        Ok(found.optional().map_err(wrong)?.filter(|sample| sample.server_size.is_some() || sample.received.is_some()))
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

/// Which of the packs that segments name are gone, or shorter. Tens of thousands of them are looked at by two threads.
fn lost(shelf: &Shelf, named: &[(u64, u64)]) -> Result<Vec<u64>> {
    let look = |part: &[(u64, u64)]| -> Result<Vec<u64>> {
        let mut sizes = shelf.sizes(Series::Pack);
        let mut lost = Vec::new();
        for (pack, size) in part {
            lost.extend(sizes.of(*pack)?.is_none_or(|now| now < *size).then_some(*pack));
        }
        Ok(lost)
    };
    if named.len() < MANY {
        return look(named);
    }
    let (first, second) = named.split_at(named.len() / 2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| look(second));
        let mut lost = look(first)?;
        let broken = |_| Err(Error::new(Status::Software, "looking at packs broke off"));
        lost.append(&mut other.join().unwrap_or_else(broken)?);
        Ok(lost)
    })
}

/// Those of a mailbox that stand as samples: the newest, and others evenly among the rest.
fn samples(uids: &UidSet) -> impl Iterator<Item = u32> {
    let total = uids.len();
    let every = (total / SAMPLES).max(1);
    let mut before = 0;
    uids.ranges().iter().flat_map(move |(first, last)| {
        let (start, count) = (before, u64::from(last - first) + 1);
        before += count;
        let spread = (start.div_ceil(every) * every..before).step_by(usize::try_from(every).unwrap_or(usize::MAX));
        let newest = total.saturating_sub(SAMPLES).max(start)..before;
        let chosen: std::collections::BTreeSet<u64> = spread.chain(newest).collect();
        chosen.into_iter().filter_map(move |rank| u32::try_from(rank - start).ok().map(|above| first + above))
    })
}
