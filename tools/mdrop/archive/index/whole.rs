//! What is asked of the index about all mail, and about all copies of one mail: for handing out whole archives, and for re-routing.

use super::ask::{HELD, held};
use super::apply::{ADOPTED, ARCHIVED, key, role};
use super::{Index, wrong};
use crate::archive::index::Held;
use crate::error::Result;
use crate::identity::{Account, Digest, Fingerprint, Origin, Place, Uid, UidValidity};
use crate::octets::Octets;
use crate::record::{Filing, Role};
use crate::time::Time;
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params};

/// A filing in force, and the message for which it was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filed {
    /// The filing; without its evidence.
    pub filing: Filing,
    /// The message.
    pub digest: Digest,
}

impl Index {
    /// Each message, in the order of the packs.
    ///
    /// # Errors
    /// What SQLite reports, and what `each` does.
    pub fn each_message(&self, mut each: impl FnMut(Held) -> Result<()>) -> Result<()> {
        let select = format!("SELECT {HELD} FROM messages m ORDER BY pack, frame_offset, position");
        let mut asked = self.db.prepare(&select).map_err(wrong)?;
        let mut rows = asked.query([]).map_err(wrong)?;
        while let Some(row) = rows.next().map_err(wrong)? {
            each(held(row).map_err(wrong)?)?;
        }
        Ok(())
    }

    /// Each mail of each user, with the user's name and the folder, in the order of the packs; one who is sender and recipient has it once.
    ///
    /// # Errors
    /// What SQLite reports, and what `each` does.
    pub fn each_filed(&self, mut each: impl FnMut(Held, String, String) -> Result<()>) -> Result<()> {
        let select = format!(
            "SELECT {HELD}, u.name, f.folder FROM filings f JOIN messages m ON m.id = f.message JOIN users u ON u.id = f.user
             WHERE f.role = 1 OR NOT EXISTS (SELECT 1 FROM filings g WHERE g.user = f.user AND g.fingerprint = f.fingerprint AND g.role = 1)
             ORDER BY m.pack, m.frame_offset, m.position"
        );
        let mut asked = self.db.prepare(&select).map_err(wrong)?;
        let mut rows = asked.query([]).map_err(wrong)?;
        while let Some(row) = rows.next().map_err(wrong)? {
            each(held(row).map_err(wrong)?, row.get(9).map_err(wrong)?, row.get(10).map_err(wrong)?)?;
        }
        Ok(())
    }

    /// The messages that are copies of one mail, in the order in which they were archived.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn copies(&self, fingerprint: &Fingerprint) -> Result<Vec<Held>> {
        let select = format!("SELECT {HELD} FROM messages m WHERE m.fingerprint = ?1 ORDER BY m.id");
        let mut asked = self.db.prepare_cached(&select).map_err(wrong)?;
        asked.query_map([key(fingerprint)], held).and_then(Iterator::collect).map_err(wrong)
    }

    /// The filings of a mail that are in force.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn filed(&self, fingerprint: &Fingerprint) -> Result<Vec<Filed>> {
        let select = "SELECT u.name, f.role, f.folder, m.digest FROM users u CROSS JOIN filings f ON f.user = u.id AND f.fingerprint = ?1
            JOIN messages m ON m.id = f.message ORDER BY f.user, f.role";
        let mut asked = self.db.prepare_cached(select).map_err(wrong)?;
        let rows = asked.query_map([key(fingerprint)], |row| {
            let as_what = if row.get::<_, i64>(1)? == role(Role::Sender) { Role::Sender } else { Role::Recipient };
            let filing = Filing { user: row.get(0)?, folder: row.get(2)?, role: as_what, evidence: None };
            Ok(Filed { filing, digest: Digest(row.get(3)?) })
        });
        rows.and_then(Iterator::collect).map_err(wrong)
    }

    /// Where the message lay last, as far as is known, and when the server received it there: an origin that still has it, else one that was
    /// purged, else one of which only its pack tells. None if another message has taken the place of each.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn newest_origin(&self, digest: Digest) -> Result<Option<(Origin, Option<Time>)>> {
        let select = "SELECT s.account, s.login, s.kind, s.mailbox, s.uidvalidity, o.name, o.received FROM origins o
            JOIN scopes s ON s.id = o.scope WHERE o.message = (SELECT id FROM messages WHERE digest = ?1)
            ORDER BY o.state = ?2 DESC, o.state <> ?3 DESC, o.archived DESC, o.segment DESC LIMIT 1";
        let mut asked = self.db.prepare_cached(select).map_err(wrong)?;
        let found = asked.query_row(params![digest.0, ARCHIVED, ADOPTED], |row| Ok((origin(row)?, row.get::<_, Option<i64>>(6)?)));
        let found = found.optional().map_err(wrong)?;
        Ok(found.and_then(|(origin, received)| Some((origin?, received.map(Time::from_unix)))))
    }
}

/// The origin that a row of its scope and name tells; none if it is not as it should be.
fn origin(row: &Row) -> rusqlite::Result<Option<Origin>> {
    let account = Account { name: row.get(0)?, login: row.get(1)? };
    let mailbox = Octets::from(row.get::<_, Vec<u8>>(3)?);
    let place = match (row.get::<_, i64>(2)?, row.get::<_, Value>(5)?) {
        (0, Value::Integer(uid)) => {
            u32::try_from(uid).ok().map(Uid).zip(row.get::<_, u32>(4).ok().map(UidValidity)).map(|(uid, uidvalidity)| Place::Imap {
                mailbox,
                uidvalidity,
                uid,
            })
        }
        (1, Value::Blob(uidl)) => Some(Place::Pop3 { uidl: uidl.into() }),
        (2, Value::Blob(path)) => Some(Place::Disk { mailbox, path: path.into() }),
        _ => None,
    };
    Ok(place.map(|place| Origin { account, place }))
}
