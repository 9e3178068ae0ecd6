//! What a run of mdrop-fetch saw of an account, from its run log: the mailboxes that the server has, and the UIDs in those that were read.
//!
//! Only what was looked at can be gone. A mailbox that was left out, could not be read, or whose listing is in doubt tells nothing of its
//! messages, and a mailbox that is missing is gone only if the run came to its end and all names were understood.

use crate::identity::{Account, Origin, Place, UidValidity};
use crate::octets::Octets;
use crate::record::{ListedEmail, Listing, Record};
use crate::time::Time;
use crate::uids::UidSet;
use std::collections::{HashMap, HashSet};

/// The last run in a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    account: Account,
    /// When it began to look; none before the first run.
    time: Option<Time>,
    /// The names of all mailboxes, if they are all.
    names: Option<HashSet<Octets>>,
    /// Whether it came to its end.
    ended: bool,
    /// The mailboxes of which it tells; none for one that it did not look at.
    mailboxes: HashMap<Octets, Option<SeenMailbox>>,
}

/// A mailbox as it was listed.
#[derive(Clone, PartialEq, Eq, Debug)]
struct SeenMailbox {
    uidvalidity: UidValidity,
    uids: UidSet,
    known: UidSet,
    renamed: Option<Octets>,
    emails: Vec<ListedEmail>,
}

/// What the run says of an origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stand {
    /// It was listed.
    Here,
    /// It was looked for and is not there.
    Gone,
    /// Nobody looked, or nothing follows from what was seen.
    Unclear,
}

impl Seen {
    /// Of this account nothing has been seen yet.
    #[must_use]
    pub fn of(account: Account) -> Self {
        Self { account, time: None, names: None, ended: false, mailboxes: HashMap::new() }
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Whether there was a run over IMAP at all.
    #[must_use]
    pub fn is_anything(&self) -> bool {
        self.time.is_some()
    }

    /// Takes in a record of the log; a run that begins takes the place of the one before.
    pub fn add(&mut self, record: Record) {
        match record {
            Record::Mailboxes(names) if names.account == self.account.name && names.login == self.account.login => {
                let all = names.names.into_iter().filter_map(|name| name.mailbox).collect();
                *self = Self { time: Some(names.time), names: (!names.more).then_some(all), ..Self::of(self.account.clone()) };
            }
            Record::Listing(listing) if listing.account == self.account.name && listing.login == self.account.login => self.list(*listing),
            Record::Summary(summary) if summary.tool.starts_with("mdrop-fetch ") => {
                self.ended |= summary.profile.as_ref() == Some(&self.account.name);
            }
            _ => {}
        }
    }

    fn list(&mut self, listing: Listing) {
        let Listing { mailbox: Some(mailbox), uidvalidity, uids, known, renamed, emails, unread, doubt, .. } = listing else { return };
        let clear = unread.is_none() && doubt.is_none();
        let seen = uidvalidity.filter(|_| clear).map(|uidvalidity| SeenMailbox { uidvalidity, uids, known, renamed, emails });
        self.mailboxes.insert(mailbox, seen);
    }

    /// What is to be said of an origin that was archived then.
    #[must_use]
    pub fn stand(&self, origin: &Origin, archived: Time) -> Stand {
        let Place::Imap { mailbox, uidvalidity, uid } = &origin.place else { return Stand::Unclear };
        let of_this = origin.account == self.account;
        match self.mailboxes.get(mailbox).filter(|_| of_this) {
            Some(Some(seen)) if seen.uidvalidity == *uidvalidity && seen.uids.contains(uid.0) => Stand::Here,
            // What came after the run looked was not there to be seen.
            _ if !of_this || self.time.is_none_or(|time| archived > time) => Stand::Unclear,
            Some(Some(_)) => Stand::Gone,
            None if self.is_missing(mailbox) => Stand::Gone,
            _ => Stand::Unclear,
        }
    }

    fn is_missing(&self, mailbox: &Octets) -> bool {
        self.ended && self.names.as_ref().is_some_and(|names| !names.contains(mailbox))
    }

    /// Those UIDs of a mailbox that are not there any more, as far as that was looked at.
    #[must_use]
    pub fn gone(&self, mailbox: &Octets, uidvalidity: UidValidity, uids: &UidSet) -> UidSet {
        match self.mailboxes.get(mailbox) {
            Some(Some(seen)) if seen.uidvalidity == uidvalidity => uids.without(&seen.uids),
            Some(Some(_)) => uids.clone(),
            None if self.is_missing(mailbox) => uids.clone(),
            _ => UidSet::new(),
        }
    }

    /// Under which name a mailbox that is gone was read.
    #[must_use]
    pub fn renamed(&self, mailbox: &Octets, uidvalidity: UidValidity) -> Option<&Octets> {
        let is_it = |seen: &SeenMailbox| seen.renamed.as_ref() == Some(mailbox) && seen.uidvalidity == uidvalidity;
        self.mailboxes.iter().find(|(_, seen)| seen.as_ref().is_some_and(is_it)).map(|(name, _)| name)
    }

    /// Where an origin stands in a mailbox that was renamed since, if it was taken for known there.
    #[must_use]
    pub fn now_named(&self, origin: &Origin) -> Option<Origin> {
        let Place::Imap { mailbox, uidvalidity, uid } = &origin.place else { return None };
        let name = self.renamed(mailbox, *uidvalidity)?;
        let seen = self.mailboxes.get(name)?.as_ref().filter(|seen| seen.known.contains(uid.0));
        let place = Place::Imap { mailbox: name.clone(), uidvalidity: *uidvalidity, uid: *uid };
        seen.map(|_| Origin { account: self.account.clone(), place })
    }

    /// Each origin at which a message stands that was taken for known by its EMAILID, with that.
    pub fn emails(&self) -> impl Iterator<Item = (Origin, &str)> {
        let seen = self.mailboxes.iter().filter_map(|(mailbox, seen)| Some((mailbox, seen.as_ref()?)));
        seen.flat_map(|(mailbox, seen)| {
            seen.emails.iter().map(|email| {
                let (uidvalidity, uid) = (seen.uidvalidity, crate::identity::Uid(email.uid));
                let place = Place::Imap { mailbox: mailbox.clone(), uidvalidity, uid };
                (Origin { account: self.account.clone(), place }, email.emailid.as_str())
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Uid;

    const SUMMARY: &str = r#"{"type":"summary","v":1,"tool":"mdrop-fetch 0.1.0","profile":"acme","started":"2026-11-22T18:54:00Z","seconds":1,"exit":0,"counts":{}}"#;

    fn names(names: &str) -> String {
        let names: Vec<String> = names.split_whitespace().map(|name| format!(r#"{{"mailbox":"{name}"}}"#)).collect();
        format!(
            r#"{{"type":"mailboxes","v":1,"account":"acme","login":"u@h","time":"2026-11-22T18:54:00Z","names":[{}]}}"#,
            names.join(",")
        )
    }

    fn listing(mailbox: &str, validity: u32, uids: &str, more: &str) -> String {
        let volume = r#"{"messages":0,"bytes":0}"#;
        format!(
            r#"{{"type":"listing","v":1,"account":"acme","login":"u@h","mailbox":"{mailbox}","uidvalidity":{validity},"uids":"{uids}","listed":{volume},"already":{volume}{more}}}"#
        )
    }

    fn seen(lines: &[String]) -> Seen {
        let mut seen = Seen::of(Account { name: "acme".into(), login: "u@h".into() });
        lines.iter().for_each(|line| seen.add(Record::parse(line.as_bytes()).unwrap()));
        seen
    }

    fn origin(mailbox: &str, validity: u32, uid: u32) -> Origin {
        let place = Place::Imap { mailbox: mailbox.into(), uidvalidity: UidValidity(validity), uid: Uid(uid) };
        Origin { account: Account { name: "acme".into(), login: "u@h".into() }, place }
    }

    #[test]
    fn only_what_was_looked_at_can_be_gone() {
        let run = [
            names("INBOX Other Unread Doubt Silent"),
            listing("INBOX", 9, "1:4", ""),
            listing("Unread", 9, "1", r#","unread":"why""#),
            listing("Doubt", 9, "1", r#","doubt":"why""#),
        ];
        let ended = [&run[..], &[SUMMARY.to_owned()]].concat();
        let cases = [
            (("INBOX", 9, 4), Stand::Here, Stand::Here),
            (("INBOX", 9, 5), Stand::Gone, Stand::Gone),
            (("INBOX", 8, 4), Stand::Gone, Stand::Gone),
            (("Unread", 9, 1), Stand::Unclear, Stand::Unclear),
            (("Doubt", 9, 1), Stand::Unclear, Stand::Unclear),
            (("Doubt", 9, 2), Stand::Unclear, Stand::Unclear),
            // Listed by name, and then never read.
            (("Silent", 9, 1), Stand::Unclear, Stand::Unclear),
            // Not on the server: sure only once the run has ended.
            (("Missing", 9, 1), Stand::Unclear, Stand::Gone),
        ];
        let before = Time::from_unix(0);
        for ((mailbox, validity, uid), while_running, after) in cases {
            let origin = origin(mailbox, validity, uid);
            assert_eq!((seen(&run).stand(&origin, before), seen(&ended).stand(&origin, before)), (while_running, after), "{origin:?}");
            // Archived after the run looked: not seen is not gone.
            let later = seen(&ended).stand(&origin, "2026-11-22T18:54:01Z".parse().unwrap());
            assert_eq!(later, if after == Stand::Here { Stand::Here } else { Stand::Unclear }, "{origin:?}");
        }
        let all: UidSet = "2:6".parse().unwrap();
        let gone = |mailbox: &str, validity| seen(&ended).gone(&mailbox.into(), UidValidity(validity), &all).to_string();
        assert_eq!(
            [gone("INBOX", 9), gone("INBOX", 8), gone("Missing", 9), gone("Unread", 9), gone("Silent", 9)],
            ["5:6", "2:6", "2:6", "", ""]
        );
    }

    #[test]
    fn the_last_run_of_this_account_counts_and_nothing_else_does() {
        let other = [names("INBOX").replace("acme", "other"), listing("INBOX", 9, "7", "").replace("acme", "other")];
        let first = [names("INBOX Old"), listing("INBOX", 9, "1", ""), listing("Old", 9, "1", ""), SUMMARY.to_owned()];
        let second = [names("INBOX"), listing("INBOX", 9, "2", "")];
        let seen = seen(&[&first[..], &other[..], &second[..], &[SUMMARY.replace("acme", "other")]].concat());
        let stand = |mailbox: &str, uid| seen.stand(&origin(mailbox, 9, uid), Time::from_unix(0));
        assert_eq!([stand("INBOX", 1), stand("INBOX", 2), stand("Old", 1)], [Stand::Gone, Stand::Here, Stand::Unclear]);
    }

    #[test]
    fn some_of_the_names_prove_no_mailbox_gone() {
        let some = names("INBOX").replace("]}", r#"],"more":true}"#);
        let seen = seen(&[some, SUMMARY.to_owned()]);
        assert_eq!(seen.stand(&origin("Missing", 9, 1), Time::from_unix(0)), Stand::Unclear);
    }

    #[test]
    fn a_renamed_mailbox_holds_what_was_known_in_it() {
        let run = [names("New"), listing("New", 9, "1:5", r#","known":"1:3","renamed":"Old""#), SUMMARY.to_owned()];
        let seen = seen(&run);
        let now = |mailbox: &str, validity, uid| seen.now_named(&origin(mailbox, validity, uid)).map(|origin| origin.to_string());
        assert_eq!(now("Old", 9, 3).as_deref(), Some("acme/New: UID 3"));
        assert_eq!([now("Old", 9, 4), now("Old", 8, 3), now("Else", 9, 3)], [None, None, None]);
    }
}
