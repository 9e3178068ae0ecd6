//! Moves: a message that was known at one origin is there no more and stands at another, so its filings follow.
//!
//! A move needs both: an origin that was looked for and is gone, and one at which the same message stands now. A message that stands at both
//! was copied, and one that stands at none was deleted; neither changes a filing. A filing follows only if the folder it lies in is the one
//! that the profile's template gives for where the message was: anything else was decided otherwise.

mod record;
mod seen;

pub use record::{Book, Recorder};
pub use seen::{Seen, Stand};

use crate::error::{Error, Result, Status};
use crate::folder::{Template, Values};
use crate::identity::Origin;
use crate::profile::RouteSettings;
use crate::record::{By, Filing, Role};

/// Where one message stands, and where it stood.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// Its origins that are gone, in order.
    pub gone: Vec<Origin>,
    /// Its known origins that were listed, the newest first, and how it is known there.
    pub here: Vec<(Origin, By)>,
    /// Where a gone origin stands now, as a MAILBOXID says: (gone, now).
    pub renamed: Vec<(Origin, Origin)>,
    /// Where else it stands, as its EMAILID says.
    pub named: Vec<Origin>,
}

/// A message moved, or was copied, from one origin to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Where it was.
    pub from: Origin,
    /// Where it is.
    pub to: Origin,
    /// How that is known.
    pub by: By,
}

/// What became of a message's origins: moves, one for each that is gone, and copies.
///
/// Two gone origins go to two places where there are two: first to the one that a MAILBOXID names, then to those that were known before, the
/// newest first, then to those that an EMAILID names.
#[must_use]
pub fn decide(standing: &Standing) -> (Vec<Event>, Vec<Event>) {
    let Standing { gone, here, renamed, named } = standing;
    let now_named = |from: &Origin| renamed.iter().find(|(before, _)| before == from).map(|(_, now)| (now.clone(), By::Mailboxid));
    let targets: Vec<(Origin, By)> = here.iter().cloned().chain(named.iter().map(|to| (to.clone(), By::Emailid))).collect();
    let mut free = targets.iter();
    let mut moves: Vec<Event> = Vec::new();
    for from in gone {
        let target = now_named(from).or_else(|| free.next().or(targets.first()).cloned());
        moves.extend(target.map(|(to, by)| Event { from: from.clone(), to, by }));
    }
    let source = here.first().map(|(origin, _)| origin.clone()).or_else(|| moves.first().map(|event| event.to.clone()));
    let copied = free.filter(|(to, _)| named.contains(to)).map(|(to, _)| to.clone());
    let copies = source.map(|from| copied.map(|to| Event { from: from.clone(), to, by: By::Emailid }).collect());
    (moves, copies.unwrap_or_default())
}

/// The templates by which a profile files mail.
#[derive(Clone, Debug)]
pub struct Folders {
    account: String,
    folder: Template,
    sent_folder: Template,
}

impl Folders {
    /// Those of a profile.
    ///
    /// # Errors
    /// [`Status::Config`] for a template that is none.
    pub fn new(account: &str, settings: &RouteSettings) -> Result<Self> {
        let parse = |key: &str, text: &str| {
            let wrong = |what| Error::new(Status::Config, format!("{key} = \"{text}\": {what}")).about("[route]");
            Template::parse(text).map_err(wrong)
        };
        let folder = parse("folder", &settings.folder)?;
        let sent_folder = parse("sent-folder", settings.sent_folder.as_deref().unwrap_or(&settings.folder))?;
        Ok(Self { account: account.to_owned(), folder, sent_folder })
    }

    /// The folder into which a filing goes when its message goes from one origin to another; none if it does not lie where the first put it.
    fn after(&self, filing: &Filing, from: &Origin, to: &Origin) -> Option<String> {
        let (template, role) = match filing.role {
            Role::Sender => (&self.sent_folder, "sender"),
            Role::Recipient => (&self.folder, "recipient"),
        };
        let (before, now) = (from.folder().lossy().into_owned(), to.folder().lossy().into_owned());
        let values = |mailbox| Values { account: &self.account, mailbox, user: &filing.user, role, ..Values::default() };
        template.moved(&filing.folder, &values(&before), &values(&now))
    }

    /// Which filings a message gains and loses by these moves, if it still stands at those origins: (added, removed).
    #[must_use]
    pub fn refile(&self, filings: &[Filing], moves: &[Event], here: &[Origin]) -> (Vec<Filing>, Vec<Filing>) {
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for filing in filings {
            let folder = moves.iter().find_map(|event| self.after(filing, &event.from, &event.to));
            let Some(folder) = folder.filter(|folder| *folder != filing.folder) else { continue };
            // Another copy of it still stands where this folder comes from.
            if here.iter().any(|origin| self.after(filing, origin, origin).is_some()) {
                continue;
            }
            added.push(Filing { folder, ..filing.clone() });
            removed.push(filing.clone());
        }
        (added, removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Account, Place, Uid, UidValidity};

    /// `INBOX/7` is UID 7 of INBOX.
    fn origin(name: &str) -> Origin {
        let (mailbox, uid) = name.rsplit_once('/').unwrap();
        let place = Place::Imap { mailbox: mailbox.into(), uidvalidity: UidValidity(9), uid: Uid(uid.parse().unwrap()) };
        Origin { account: Account { name: "acme".into(), login: "u@h".into() }, place }
    }

    fn origins(names: &str) -> Vec<Origin> {
        names.split_whitespace().map(origin).collect()
    }

    fn text(events: &[Event]) -> String {
        let short = |origin: &Origin| origin.to_string().replace("acme/", "").replace(": UID ", "/");
        let all: Vec<String> = events.iter().map(|e| format!("{}>{} {:?}", short(&e.from), short(&e.to), e.by)).collect();
        all.join(", ").to_lowercase()
    }

    #[test]
    fn a_move_needs_an_origin_that_is_gone_and_one_that_is_there() {
        // gone; here; renamed; named; moves; copies
        let cases = [
            ("a/1", "b/7", "", "", "a/1>b/7 digest", ""),
            ("", "a/1 b/7", "", "", "", ""),
            ("a/1", "", "", "", "", ""),
            ("a/1 a/2", "b/7 b/8", "", "", "a/1>b/7 digest, a/2>b/8 digest", ""),
            ("a/1 a/2 a/3", "b/7 b/8", "", "", "a/1>b/7 digest, a/2>b/8 digest, a/3>b/7 digest", ""),
            ("a/1", "b/7 b/8", "", "", "a/1>b/7 digest", ""),
            ("a/1", "", "", "b/7", "a/1>b/7 emailid", ""),
            ("a/1", "c/3", "", "b/7", "a/1>c/3 digest", "c/3>b/7 emailid"),
            ("", "a/1", "", "b/7 c/8", "", "a/1>b/7 emailid, a/1>c/8 emailid"),
            ("a/1", "", "", "b/7 c/8", "a/1>b/7 emailid", "b/7>c/8 emailid"),
            ("", "", "", "b/7", "", ""),
            ("a/1", "", "a/1>b/1", "", "a/1>b/1 mailboxid", ""),
            ("a/1 a/2", "c/3", "a/1>b/1", "", "a/1>b/1 mailboxid, a/2>c/3 digest", ""),
            ("", "c/3", "a/1>b/1", "", "", ""),
        ];
        for (gone, here, renamed, named, moves, copies) in cases {
            let renamed = renamed.split_whitespace().filter_map(|pair| pair.split_once('>')).map(|(a, b)| (origin(a), origin(b))).collect();
            let here_by = origins(here).into_iter().map(|origin| (origin, By::Digest)).collect();
            let standing = Standing { gone: origins(gone), here: here_by, renamed, named: origins(named) };
            let (moved, copied) = decide(&standing);
            assert_eq!((text(&moved), text(&copied)), (moves.to_owned(), copies.to_owned()), "{gone}; {here}; {named}");
        }
    }

    fn filing(user: &str, folder: &str, role: Role) -> Filing {
        Filing { user: user.into(), folder: folder.into(), role, evidence: None }
    }

    #[test]
    fn a_filing_follows_from_the_folder_that_the_old_origin_gave_and_from_no_other() {
        let settings = RouteSettings { sent_folder: Some("Sent/{mailbox}".into()), ..RouteSettings::default() };
        let folders = Folders::new("acme", &settings).unwrap();
        let (sent, got) = (Role::Sender, Role::Recipient);
        // filed; moves; still there; what becomes of it
        let cases = [
            (filing("u", "INBOX", got), "INBOX/1>Old/7", "Old/7", Some("Old")),
            (filing("u", "Elsewhere", got), "INBOX/1>Old/7", "Old/7", None),
            (filing("u", "Sent/INBOX", sent), "INBOX/1>Old/7", "Old/7", Some("Sent/Old")),
            (filing("u", "INBOX", sent), "INBOX/1>Old/7", "Old/7", None),
            // Another copy still stands in the mailbox that gave the folder.
            (filing("u", "INBOX", got), "INBOX/1>Old/7", "Old/7 INBOX/2", None),
            // A new UID in the same mailbox.
            (filing("u", "INBOX", got), "INBOX/1>INBOX/7", "INBOX/7", None),
            // Of two moves the one that began there counts.
            (filing("u", "INBOX", got), "Else/1>New/2 INBOX/1>Old/7", "New/2 Old/7", Some("Old")),
            (filing("u", "INBOX", got), "", "Old/7", None),
        ];
        for (filed, moves, here, expected) in cases {
            let pair = |pair: &str| pair.split_once('>').map(|(from, to)| Event { from: origin(from), to: origin(to), by: By::Digest });
            let moves: Vec<Event> = moves.split_whitespace().filter_map(pair).collect();
            let (added, removed) = folders.refile(std::slice::from_ref(&filed), &moves, &origins(here));
            assert_eq!(added.first().map(|filing| filing.folder.as_str()), expected, "{filed:?} {here}");
            assert_eq!(removed, if expected.is_some() { vec![filed.clone()] } else { Vec::new() });
            assert!(added.iter().all(|new| (&new.user, new.role) == (&filed.user, filed.role)));
        }
    }
}
