//! What is archived already, from the records of `mdrop-store --known`.

use mdrop::error::{Error, Result};
use mdrop::frame;
use mdrop::identity::{Account, UidValidity};
use mdrop::octets::Octets;
use mdrop::record::{Known as KnownRecord, Record, RecordReader, Sample};
use mdrop::time::Time;
use mdrop::uids::UidSet;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};

/// What is archived of one mailbox and UIDVALIDITY.
#[derive(Default, Debug)]
pub struct KnownMailbox {
    /// The UIDs.
    pub uids: UidSet,
    /// What some of them looked like on the server.
    pub samples: Vec<Sample>,
    /// What the server called the mailbox.
    pub mailboxid: Option<String>,
}

/// What must be the same of all copies that have one EMAILID: the size the server claims, and the INTERNALDATE.
pub type Looks = (u64, Time);

/// What is archived of one account.
#[derive(Default, Debug)]
pub struct Known {
    mailboxes: HashMap<Octets, HashMap<UidValidity, KnownMailbox>>,
    /// By which names the mailboxes are known that the server has no more, by MAILBOXID and UIDVALIDITY; none where that is not clear.
    renamed: HashMap<(String, UidValidity), Option<Octets>>,
    /// The newest messages that have an EMAILID.
    pub emails: HashMap<String, Looks>,
    /// POP3: what size the server claimed for each unique-id.
    pub uidls: HashMap<Octets, Option<u64>>,
    /// On disk: what size the message of each mailbox and path had.
    pub paths: HashMap<(Octets, Octets), Option<u64>>,
}

impl Known {
    /// What is known of a mailbox under the UIDVALIDITY it has now.
    pub fn of(&self, mailbox: &Octets, uidvalidity: UidValidity) -> Option<&KnownMailbox> {
        self.mailboxes.get(mailbox)?.get(&uidvalidity)
    }

    /// Notes which mailboxes the server has: one that is known and gone may have another name now.
    pub fn note_names(&mut self, names: &HashSet<&Octets>) {
        let gone = self.mailboxes.iter().filter(|(name, _)| !names.contains(name));
        for (name, generations) in gone {
            for (uidvalidity, known) in generations {
                let Some(id) = &known.mailboxid else { continue };
                let other = self.renamed.entry((id.clone(), *uidvalidity));
                other.and_modify(|name| *name = None).or_insert_with(|| Some(name.clone()));
            }
        }
    }

    /// What is known of a mailbox that is not known by its name, but by another one that the server has no more.
    pub fn renamed(&self, mailbox: &Octets, uidvalidity: UidValidity, mailboxid: Option<&str>) -> Option<(&Octets, &KnownMailbox)> {
        if self.of(mailbox, uidvalidity).is_some() {
            return None;
        }
        let before = self.renamed.get(&(mailboxid?.to_owned(), uidvalidity))?.as_ref()?;
        Some((before, self.of(before, uidvalidity)?))
    }

    /// How many messages of a mailbox are known, under the UIDVALIDITY under which most are.
    pub fn most(&self, mailbox: &Octets) -> u64 {
        let generations = self.mailboxes.get(mailbox).into_iter().flat_map(HashMap::values);
        generations.map(|known| known.uids.len()).max().unwrap_or(0)
    }

    /// The UIDVALIDITY under which a mailbox is known, if it is another than the one it has now.
    pub fn other_generation(&self, mailbox: &Octets, uidvalidity: UidValidity) -> Option<UidValidity> {
        let generations = self.mailboxes.get(mailbox)?;
        let others = generations.keys().copied().max();
        others.filter(|_| !generations.contains_key(&uidvalidity))
    }

    fn add(&mut self, record: KnownRecord) {
        let KnownRecord { mailbox, uidvalidity, uids, samples, uidl, server_size, path, mailboxid, emails, .. } = record;
        self.emails.extend(emails.into_iter().map(|email| (email.emailid, (email.server_size, email.received))));
        match (mailbox, uidvalidity, uidl, path) {
            (Some(mailbox), Some(uidvalidity), _, _) => {
                let known = self.mailboxes.entry(mailbox).or_default().entry(uidvalidity).or_default();
                known.uids.insert_all(&uids);
                known.samples.extend(samples);
                known.mailboxid = mailboxid.or(known.mailboxid.take());
            }
            (_, _, Some(uidl), _) => {
                self.uidls.insert(uidl, server_size);
            }
            (Some(mailbox), None, _, Some(path)) => {
                self.paths.insert((mailbox, path), server_size);
            }
            _ => {}
        }
    }
}

/// Reads what `--known` names, to its end; records of other accounts are passed over.
pub fn read(from: Option<&str>, account: &Account) -> Result<Known> {
    let about = |e: Error| e.about("--known");
    match from {
        None => Ok(Known::default()),
        Some("-") => parse(BufReader::new(frame::stdin().map_err(about)?), account).map_err(about),
        Some(path) => {
            let about = |e: Error| e.about(path).about("--known");
            let file = File::open(path).map_err(|e| about(Error::io("open", e)))?;
            parse(BufReader::new(file), account).map_err(about)
        }
    }
}

fn parse(input: impl BufRead, account: &Account) -> Result<Known> {
    let mut known = Known::default();
    for record in RecordReader::new(input) {
        match record? {
            Record::Known(record) if record.account == account.name && record.login == account.login => known.add(*record),
            _ => {}
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Known> {
        parse(text.as_bytes(), &Account { name: "acme".into(), login: "u@h".into() })
    }

    #[test]
    fn only_records_of_this_account_and_login_count() -> Result<()> {
        let line = |account: &str, login: &str, uids: &str| {
            format!(r#"{{"type":"known","v":1,"account":"{account}","login":"{login}","mailbox":"INBOX","uidvalidity":9,"uids":"{uids}"}}"#)
                + "\n"
        };
        let text = [line("acme", "u@h", "1:3"), line("acme", "v@h", "4"), line("other", "u@h", "5"), line("acme", "u@h", "7")].concat();
        let known = read_text(&text)?;
        let uids = known.of(&"INBOX".into(), UidValidity(9)).map(|mailbox| mailbox.uids.to_string());
        assert_eq!(uids.as_deref(), Some("1:3,7"));
        assert_eq!(known.other_generation(&"INBOX".into(), UidValidity(10)), Some(UidValidity(9)));
        assert_eq!(known.other_generation(&"INBOX".into(), UidValidity(9)), None);
        Ok(())
    }

    #[test]
    fn a_mailbox_is_known_by_its_former_name_only_where_that_is_clear() -> Result<()> {
        let line = |mailbox: &str, validity: u32, id: &str| {
            format!(
                r#"{{"type":"known","v":1,"account":"acme","login":"u@h","mailbox":"{mailbox}","uidvalidity":{validity},"uids":"1:3","mailboxid":"{id}"}}"#
            ) + "\n"
        };
        let known =
            [line("Old", 7, "F1"), line("Kept", 7, "F2"), line("One", 7, "F3"), line("Two", 7, "F3"), line("New", 8, "F1")].concat();
        let mut known = read_text(&known)?;
        let now: Vec<Octets> = ["Kept", "New", "Other"].into_iter().map(Octets::from).collect();
        known.note_names(&now.iter().collect());
        let name =
            |mailbox: &str, validity, id| known.renamed(&mailbox.into(), UidValidity(validity), id).map(|(name, _)| name.to_string());
        assert_eq!(name("New", 7, Some("F1")).as_deref(), Some("Old"));
        // Another identifier, another UIDVALIDITY, a name that is still there, two former names, known by its own name, no identifier.
        for (mailbox, validity, id) in [
            ("New", 7, Some("F9")),
            ("New", 9, Some("F1")),
            ("New", 7, Some("F2")),
            ("New", 7, Some("F3")),
            ("New", 8, Some("F1")),
            ("New", 7, None),
        ] {
            assert_eq!(name(mailbox, validity, id), None, "{mailbox} {validity} {id:?}");
        }
        Ok(())
    }

    #[test]
    fn a_broken_or_cut_record_is_an_error_and_other_types_are_passed_over() {
        assert!(read_text("{\"type\":\"finding\",\"v\":1,\"finding\":\"x\",\"text\":\"y\"}\n").is_ok());
        for bad in ["{}\n", "x\n", "{\"type\":\"known\",\"v\":1,\"account\":\"acme\"}"] {
            assert_eq!(read_text(bad).map_err(|e| e.status().code()).err(), Some(65), "{bad}");
        }
    }
}
