//! EMAILIDs (RFC 8474): asked for by themselves, of those messages alone that nothing is known of, so that a listing stays as small as it is.

use super::Session;
use super::answer::Verdict;
use super::messages::{Fetched, LONGEST_SET};
use crate::error::{Error, Result, Status};
use crate::identity::Uid;
use crate::uids::UidSet;

impl Session {
    /// Whether the server keeps object identifiers, and understands what it is asked about them.
    #[must_use]
    pub fn keeps_object_ids(&self) -> bool {
        self.offers("OBJECTID")
    }

    /// After a BAD nothing more is asked about them.
    pub(super) fn give_up_object_ids(&mut self) {
        self.capabilities.remove("OBJECTID");
    }

    /// Hands the EMAILID of each of these messages of the open mailbox that has one to `each`, in any order.
    ///
    /// # Errors
    /// What the connection reports. A refusal is none: then nothing more is known.
    pub fn emailids(&mut self, uids: &UidSet, each: &mut dyn FnMut(Uid, String)) -> Result<()> {
        let most = self.most_messages();
        for part in uids.pieces(LONGEST_SET) {
            if !self.keeps_object_ids() {
                return Ok(());
            }
            let mut answers = 0;
            let ended = self.exchange(&format!("UID FETCH {part} (UID EMAILID)"), &mut |answer| {
                answers += 1;
                if answers > most {
                    return Err(Error::new(Status::Protocol, format!("the server tells of more than {most} messages and does not end")));
                }
                let fetched = Fetched::of(answer).filter(|fetched| !fetched.malformed);
                if let Some((uid, emailid)) =
                    fetched.and_then(|fetched| fetched.uid.zip(fetched.emailid)).filter(|(uid, _)| part.contains(uid.0))
                {
                    each(uid, emailid);
                }
                Ok(())
            })?;
            if ended.verdict == Verdict::Bad {
                self.give_up_object_ids();
            }
            if ended.verdict != Verdict::Ok {
                let refused = self.refused(&ended, "EMAILID");
                return if self.alive { Ok(()) } else { Err(refused) };
            }
        }
        Ok(())
    }
}
