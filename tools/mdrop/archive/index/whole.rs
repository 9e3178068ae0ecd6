//! What is asked of the index about all mail, and about all copies of one mail: for handing out whole archives, and for re-routing.

use super::ask::{HELD, HELD_COLUMNS, held};
use super::tables::{from_role, key};
use super::{Index, wrong};
use crate::archive::index::{Held, State};
use crate::error::Result;
use crate::identity::{Digest, Fingerprint, Origin};
use crate::record::Filing;
use crate::time::Time;

/// A filing in force, and the message for which it was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filed {
    /// The filing; without its evidence.
    pub filing: Filing,
    /// The message.
    pub digest: Digest,
}

/// That a mail x has the fingerprint ?1.
const IS_MAIL: &str = "substr(x.fingerprint, 1, 8) = substr(?1, 1, 8) AND x.fingerprint = ?1";

impl Index {
    /// Each message, in the order of the packs.
    ///
    /// # Errors
    /// What SQLite reports, and what `each` does.
    pub fn each_message(&self, mut each: impl FnMut(Held) -> Result<()>) -> Result<()> {
        let select = format!("SELECT {HELD} FROM messages m JOIN mails x ON x.id = m.mail ORDER BY m.pack, m.frame_offset, m.position");
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
            "SELECT {HELD}, u.name, d.name FROM filings f JOIN messages m ON m.id = f.message JOIN mails x ON x.id = m.mail
             JOIN users u ON u.id = f.user JOIN folders d ON d.id = f.folder WHERE f.role = 1 OR NOT EXISTS
             (SELECT 1 FROM filings g WHERE g.user = f.user AND g.date = f.date AND g.mail = f.mail AND g.role = 1)
             ORDER BY m.pack, m.frame_offset, m.position, u.name"
        );
        let mut asked = self.db.prepare(&select).map_err(wrong)?;
        let mut rows = asked.query([]).map_err(wrong)?;
        while let Some(row) = rows.next().map_err(wrong)? {
            let (user, folder) = (row.get(HELD_COLUMNS).map_err(wrong)?, row.get(HELD_COLUMNS + 1).map_err(wrong)?);
            each(held(row).map_err(wrong)?, user, folder)?;
        }
        Ok(())
    }

    /// The messages that are copies of one mail, in the order in which they were archived.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn copies(&self, fingerprint: &Fingerprint) -> Result<Vec<Held>> {
        let select = &format!("SELECT {HELD} FROM mails x CROSS JOIN messages m ON m.mail = x.id WHERE {IS_MAIL} ORDER BY m.id");
        let mut asked = self.db.prepare_cached(select).map_err(wrong)?;
        asked.query_map([key(fingerprint)], held).and_then(Iterator::collect).map_err(wrong)
    }

    /// The filings of a mail that are in force.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn filed(&self, fingerprint: &Fingerprint) -> Result<Vec<Filed>> {
        let select = &format!(
            "SELECT u.name, f.role, d.name, m.digest FROM mails x CROSS JOIN filings f ON f.mail = x.id JOIN messages m ON m.id = f.message
             JOIN users u ON u.id = f.user JOIN folders d ON d.id = f.folder WHERE {IS_MAIL} ORDER BY u.id, f.role"
        );
        let mut asked = self.db.prepare_cached(select).map_err(wrong)?;
        let rows = asked.query_map([key(fingerprint)], |row| {
            let filing = Filing { user: row.get(0)?, folder: row.get(2)?, role: from_role(row.get(1)?), evidence: None };
            Ok(Filed { filing, digest: Digest(row.get(3)?) })
        });
        rows.and_then(Iterator::collect).map_err(wrong)
    }

    /// Where the message lay last, as far as is known, and when the server received it there: an origin that still has it, else one that was
    /// purged or that it has left, else one of which only its pack tells. None if another message has taken the place of each.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn newest_origin(&self, digest: Digest) -> Result<Option<(Origin, Option<Time>)>> {
        let origins = self.origins_of(digest)?;
        let newest =
            origins.into_iter().max_by_key(|(_, state)| (state.is_known(), state.state != State::Adopted, state.archived, state.segment));
        Ok(newest.map(|(origin, state)| (origin, state.received)))
    }
}
