//! Deleting, for mdrop-purge alone: marking exactly the UIDs named, and expunging exactly those.

use super::messages::Fetched;
use super::{Session, Verdict};
use crate::error::{Error, Result, Status};
use crate::identity::Uid;
use crate::uids::UidSet;

/// What UID STORE did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stored {
    /// The UIDs that the server echoed with `\Deleted`.
    pub deleted: UidSet,
    /// The UIDs it left alone because they had changed since (RFC 7162 section 3.1.3, MODIFIED).
    pub modified: UidSet,
}

impl Session {
    /// Marks messages of the selected mailbox as deleted. With `unchanged_since`, a modification sequence, only those that did
    /// not change after it; ask first whether the server [offers](Session::offers) CONDSTORE.
    ///
    /// # Errors
    /// What the server says if it refuses; what the connection reports.
    pub fn uid_store_deleted(&mut self, uids: &UidSet, unchanged_since: Option<u64>) -> Result<Stored> {
        let unless = unchanged_since.map(|modseq| format!("(UNCHANGEDSINCE {modseq}) ")).unwrap_or_default();
        let mut stored = Stored::default();
        let command = format!("UID STORE {uids} {unless}+FLAGS (\\Deleted)");
        let ended = self.exchange(&command, &mut |answer| {
            let Some(Fetched { uid: Some(Uid(uid)), flags: Some(flags), malformed: false, .. }) = Fetched::of(answer) else {
                return Ok(());
            };
            if flags.iter().any(|flag| flag.eq_ignore_ascii_case("\\Deleted")) {
                stored.deleted.insert(uid);
            }
            Ok(())
        })?;
        if ended.code == "MODIFIED" {
            stored.modified = ended.arguments.parse()?;
            return Ok(stored);
        }
        if ended.verdict == Verdict::Ok { Ok(stored) } else { Err(ended.error("UID STORE")) }
    }

    /// Takes a mark of deletion back.
    ///
    /// # Errors
    /// As [`Session::uid_store_deleted`].
    pub fn uid_store_undeleted(&mut self, uids: &UidSet) -> Result<()> {
        self.command(&format!("UID STORE {uids} -FLAGS.SILENT (\\Deleted)"), "UID STORE", &mut |_| Ok(())).map(drop)
    }

    /// Expunges exactly the UIDs named, of those that are marked (RFC 4315 section 2.1); returns how many the server says are gone.
    ///
    /// # Errors
    /// [`Status::Protocol`] if the server does not offer UIDPLUS; what it says if it refuses; what the connection reports.
    pub fn uid_expunge(&mut self, uids: &UidSet) -> Result<u64> {
        if !self.offers("UIDPLUS") && !self.offers("IMAP4REV2") {
            return Err(Error::new(Status::Protocol, "the server can't expunge by UID (no UIDPLUS)"));
        }
        self.expunge_with(&format!("UID EXPUNGE {uids}"))
    }

    /// Expunges everything that is marked, whoever marked it. Only for a server without UIDPLUS, and only if the profile accepts it.
    ///
    /// # Errors
    /// As [`Session::uid_expunge`].
    pub fn expunge(&mut self) -> Result<u64> {
        self.expunge_with("EXPUNGE")
    }

    fn expunge_with(&mut self, command: &str) -> Result<u64> {
        let mut gone = 0;
        self.command(command, "EXPUNGE", &mut |answer| {
            gone += u64::from(answer.numbered("EXPUNGE").is_some());
            Ok(())
        })?;
        Ok(gone)
    }
}
