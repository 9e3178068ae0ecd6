//! The one decision of mdrop-fetch, without I/O: which messages of a listing are to be fetched.
//!
//! A UID or UIDL that is known is trusted only as long as what the server says of it is what it said before. If one sample differs, the
//! server has given the number to another message, and then none of them means what it meant: everything is new.

use crate::known::{KnownMailbox, Looks};
use mdrop::net::imap::{Listed, Wanted};
use mdrop::net::pop3;
use mdrop::octets::Octets;
use mdrop::uids::UidSet;
use std::collections::{BTreeMap, HashMap};

/// What is to be fetched of a mailbox.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan<W> {
    /// What is wanted, in the listing's order.
    pub wanted: Vec<W>,
    /// Which listed UIDs are known and left out; none for POP3.
    pub known: UidSet,
    /// Why nothing that was known is believed, if so.
    pub reused: Option<String>,
    /// Those that are known by their EMAILID, by UID.
    pub emails: BTreeMap<u32, String>,
}

impl<W> Default for Plan<W> {
    fn default() -> Self {
        Self { wanted: Vec::new(), known: UidSet::new(), reused: None, emails: BTreeMap::new() }
    }
}

impl Plan<Wanted> {
    /// Leaves out what is known by its EMAILID, if it looks as what is known of that EMAILID looked: a server that gave one EMAILID to two
    /// messages would cost one of them. `found` has what the server says of messages that are wanted.
    pub fn recognise(&mut self, listing: &[Listed], found: BTreeMap<u32, String>, known: &HashMap<String, Looks>) {
        let same = |uid: u32, emailid: &String| {
            let looks = known.get(emailid).map(|(size, received)| (Some(*size), Some(*received)));
            let at = listing.binary_search_by_key(&uid, |message| message.uid.0).ok();
            let listed = at.and_then(|at| listing.get(at)).map(|message| (message.size, message.received));
            looks.is_some() && looks == listed
        };
        self.emails = found.into_iter().filter(|(uid, emailid)| same(*uid, emailid)).collect();
        self.wanted.retain(|wanted| !self.emails.contains_key(&wanted.uid.0));
    }
}

/// Plans an IMAP mailbox that holds `there`; the listing has all that is new.
pub fn imap(there: &UidSet, listing: &[Listed], known: Option<&KnownMailbox>) -> Plan<Wanted> {
    let reused = known.and_then(|known| reuse(known, listing));
    let known = known.filter(|_| reused.is_none()).map(|known| there.common(&known.uids)).unwrap_or_default();
    let new = listing.iter().filter(|message| !known.contains(message.uid.0));
    let wanted = new.map(|message| Wanted { uid: message.uid, size: message.size.unwrap_or(0) }).collect();
    Plan { wanted, known, reused, emails: BTreeMap::new() }
}

/// How a listing shows that UIDs which are known have been given to other messages, if it does.
pub fn reuse(known: &KnownMailbox, listing: &[Listed]) -> Option<String> {
    known.samples.iter().find_map(|sample| {
        let at = listing.binary_search_by_key(&sample.uid, |message| message.uid.0).ok()?;
        let listed = listing.get(at)?;
        let size = differs(sample.server_size, listed.size);
        let date = differs(sample.received, listed.received);
        let told = |what: &str, pair: (String, String)| format!("UID {} had {what} {} and has {} now", sample.uid, pair.0, pair.1);
        size.map(|pair| told("size", pair)).or_else(|| date.map(|pair| told("date", pair)))
    })
}

/// Which UIDs of those that are there a listing must tell about: the new ones, and of the known ones the samples.
pub fn worth_asking(there: &UidSet, known: &KnownMailbox) -> UidSet {
    let samples: UidSet = known.samples.iter().map(|sample| sample.uid).collect();
    there.without(&known.uids.without(&samples))
}

/// Plans a POP3 maildrop.
pub fn pop3(listing: &[pop3::Listed], known: &HashMap<Octets, Option<u64>>) -> Plan<pop3::Listed> {
    let reused = listing.iter().find_map(|message| {
        let (before, now) = differs(*known.get(&message.uidl)?, message.size)?;
        Some(format!("UIDL {} had size {before} and has {now} now", message.uidl))
    });
    let is_new = |message: &&pop3::Listed| reused.is_some() || !known.contains_key(&message.uidl);
    Plan { wanted: listing.iter().filter(is_new).cloned().collect(), known: UidSet::new(), reused, emails: BTreeMap::new() }
}

/// Both values as text, if both are there and differ.
fn differs<T: PartialEq + ToString>(before: Option<T>, now: Option<T>) -> Option<(String, String)> {
    before.zip(now).filter(|(before, now)| before != now).map(|(before, now)| (before.to_string(), now.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdrop::identity::Uid;
    use mdrop::record::Sample;
    use mdrop::time::Time;

    fn listed(uid: u32, size: u64) -> Listed {
        Listed { uid: Uid(uid), size: Some(size), received: Some(Time::from_unix(i64::from(uid))), flags: [].into() }
    }

    fn all(listing: &[Listed]) -> UidSet {
        listing.iter().map(|message| message.uid.0).collect()
    }

    #[test]
    fn only_what_is_new_and_samples_of_what_is_known_are_worth_asking_about() {
        let known = KnownMailbox {
            uids: "1:1000,2000".parse().unwrap(),
            samples: vec![sample(3, Some(1), None), sample(2000, None, None)],
            mailboxid: None,
        };
        let asked = worth_asking(&"2:1000,1500,2001".parse().unwrap(), &known);
        assert_eq!(asked.to_string(), "3,1500,2001");
        // What was not asked about is known all the same.
        let plan = imap(&"2:1000,1500".parse().unwrap(), &[listed(3, 1), listed(1500, 9)], Some(&known));
        assert_eq!((plan.known.to_string(), plan.wanted.len(), plan.reused), ("2:1000".into(), 1, None));
        let plan = imap(&"2:3".parse().unwrap(), &[listed(2, 9), listed(3, 7)], Some(&known));
        assert_eq!((plan.known.len(), plan.wanted.len(), plan.reused.is_some()), (0, 2, true));
    }

    fn sample(uid: u32, server_size: Option<u64>, received: Option<i64>) -> Sample {
        Sample { uid, server_size, received: received.map(Time::from_unix) }
    }

    #[test]
    fn what_is_known_is_left_out_unless_a_sample_differs() {
        let listing = [listed(2, 20), listed(3, 30), listed(5, 50)];
        let cases: [(&str, Vec<Sample>, &[u32]); 9] = [
            ("", vec![], &[2, 3, 5]),
            ("1:4", vec![], &[5]),
            ("2:5", vec![], &[]),
            ("2:5", vec![sample(2, Some(20), Some(2)), sample(5, Some(50), Some(5))], &[]),
            ("2:5", vec![sample(2, Some(20), Some(2)), sample(5, Some(51), Some(5))], &[2, 3, 5]),
            ("2:5", vec![sample(3, Some(30), Some(9))], &[2, 3, 5]),
            ("2:5", vec![sample(3, None, None)], &[]),
            // What was purged or deleted since is no sign of anything.
            ("1:5", vec![sample(1, Some(9), Some(9)), sample(4, Some(9), Some(9))], &[]),
            ("3", vec![sample(3, Some(30), Some(3))], &[2, 5]),
        ];
        for (uids, samples, expected) in cases {
            let known = KnownMailbox { uids: uids.parse().unwrap(), samples, mailboxid: None };
            let plan = imap(&all(&listing), &listing, Some(&known));
            let wanted: Vec<u32> = plan.wanted.iter().map(|w| w.uid.0).collect();
            assert_eq!(wanted, expected, "{known:?}");
            assert_eq!(plan.known.iter().count() + wanted.len(), listing.len(), "{known:?}");
            assert_eq!(plan.reused.is_some(), !known.uids.is_empty() && wanted.len() == 3, "{known:?}");
        }
        assert_eq!(imap(&all(&listing), &listing, None).wanted.len(), 3);
    }

    #[test]
    fn an_emailid_is_believed_only_where_size_and_date_are_what_they_were() {
        let listing = [
            listed(1, 10),
            listed(2, 20),
            listed(3, 30),
            Listed { size: None, ..listed(4, 0) },
            Listed { received: None, ..listed(5, 50) },
        ];
        let known = [("A", 10, 1), ("B", 21, 2), ("C", 30, 4), ("D", 0, 4), ("E", 50, 5)];
        let known = known.map(|(id, size, date)| (id.to_owned(), (size, Time::from_unix(date)))).into();
        let found = [(1, "A"), (2, "B"), (3, "C"), (4, "D"), (5, "E"), (9, "A")].map(|(uid, id)| (uid, id.to_owned())).into();
        let mut plan = imap(&all(&listing), &listing, None);
        plan.recognise(&listing, found, &known);
        assert_eq!(plan.emails, [(1, "A".to_owned())].into());
        assert_eq!(plan.wanted.iter().map(|wanted| wanted.uid.0).collect::<Vec<_>>(), [2, 3, 4, 5]);
    }

    #[test]
    fn a_unique_id_with_another_size_makes_the_whole_maildrop_new() {
        let message = |number, uidl: &str, size| pop3::Listed { number, size: Some(size), uidl: uidl.into() };
        let listing = [message(1, "a", 10), message(2, "b", 20)];
        let wanted = |known: &[(&str, Option<u64>)]| {
            let known = known.iter().map(|(uidl, size)| ((*uidl).into(), *size)).collect();
            let plan = pop3(&listing, &known);
            (plan.wanted.iter().map(|m| m.number).collect::<Vec<_>>(), plan.reused)
        };
        assert_eq!(wanted(&[]), (vec![1, 2], None));
        assert_eq!(wanted(&[("a", Some(10)), ("gone", Some(1))]), (vec![2], None));
        assert_eq!(wanted(&[("a", None), ("b", Some(20))]), (vec![], None));
        assert_eq!(wanted(&[("a", Some(11)), ("b", Some(20))]), (vec![1, 2], Some("UIDL a had size 11 and has 10 now".into())));
    }
}
