//! May this copy be deleted? The tool's one decision, without I/O: everything that is known about a copy goes in, a verdict
//! comes out. Every condition must hold; the first that does not is the reason that is told.

use mdrop::identity::Digest;
use mdrop::profile::Compare;
use mdrop::record::Receipt;
use mdrop::time::Time;
use std::time::Duration;

/// What the archive's own files say of a copy.
pub struct Proof<'a> {
    /// The newest receipt of this origin in the committed catalog.
    pub committed: Option<&'a Receipt>,
    /// Whether a later record says that it was purged.
    pub purged: bool,
    /// Why the message can't be read back from its pack with this digest, if it can't.
    pub unreadable: Option<&'a str>,
}

/// What the server says of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The size it claims.
    pub size: Option<u64>,
    /// Whether the copy is flagged.
    pub flagged: bool,
    /// The digest of the octets it handed out just now, where they were asked for.
    pub digest: Option<Digest>,
}

/// What the profile demands.
pub struct Demands<'a> {
    /// The archive's id.
    pub archive: &'a str,
    /// How long a message must have been archived.
    pub after: Duration,
    /// How it is compared.
    pub compare: Compare,
    /// The time.
    pub now: Time,
}

/// Why a copy is kept, from the archive's side: the receipt that was given, against what the archive proves.
pub fn unproved(given: &Receipt, proof: &Proof, demands: &Demands) -> Option<String> {
    let Some(committed) = proof.committed else {
        return Some("the archive's catalog holds no receipt of it, or is damaged behind it".into());
    };
    let age = demands.now.unix().saturating_sub(committed.archived.unix());
    let after = i64::try_from(demands.after.as_secs()).unwrap_or(i64::MAX);
    if given.archive != demands.archive || committed.archive != demands.archive {
        Some("its receipt is from another archive".into())
    } else if given.digest != committed.digest {
        Some(format!("the catalog says that it is {}, the receipt {}", committed.digest, given.digest))
    } else if proof.purged {
        Some("it was purged already".into())
    } else if let Some(why) = proof.unreadable {
        Some(format!("the archive can't give it back: {why}"))
    } else if age < 0 {
        Some("it was archived in the future; the clock was set back".into())
    } else if age < after {
        Some(format!("it was archived only {age} seconds ago"))
    } else {
        None
    }
}

/// Why a copy is kept, from the server's side.
pub fn differs(committed: &Receipt, seen: &Seen, compare: Compare) -> Option<String> {
    if seen.flagged {
        return Some("it is flagged".into());
    }
    let claimed = committed.server_size;
    if claimed.is_none() || seen.size != claimed {
        let said = |size: Option<u64>| size.map_or("nothing".into(), |size| format!("{size} octets"));
        return Some(format!("the server claims {} for it now, {} when it was archived", said(seen.size), said(claimed)));
    }
    match seen.digest {
        Some(digest) if digest != committed.digest => Some(format!("the server hands out {digest} for it now")),
        None if compare == Compare::Full => Some("the server did not hand it out again".into()),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use mdrop::identity::{Account, Fingerprint, Origin, Place};
    use mdrop::record::{Frame, ObjectIds, Outcome, V1};

    const ARCHIVE: &str = "id";
    const DAY: u64 = 86_400;

    pub(crate) fn receipt() -> Receipt {
        let account = Account { name: "a".into(), login: String::new() };
        Receipt {
            v: V1,
            origin: Origin { account, place: Place::Pop3 { uidl: "1".into() } },
            digest: Digest::of(b"x"),
            fingerprint: Fingerprint::Digest(Digest::of(b"x")),
            size: 1,
            server_size: Some(3),
            received: None,
            archived: Time::from_unix(1000),
            message_id: None,
            date: None,
            from: None,
            subject: None,
            archive: ARCHIVE.into(),
            segment: 1,
            pack: 1,
            frame: Frame { offset: 0, length: 1 },
            position: 0,
            flags: Vec::new(),
            objects: ObjectIds::default(),
            sender: None,
            recipients: Vec::new(),
            journal: None,
            filings: Vec::new(),
            same_message_id: None,
            outcome: Outcome::New,
        }
    }

    fn demands(now: i64) -> Demands<'static> {
        Demands { archive: ARCHIVE, after: Duration::from_secs(30 * DAY), compare: Compare::Size, now: Time::from_unix(now) }
    }

    const OLD_ENOUGH: i64 = 1000 + 30 * 86_400;

    fn why(given: &Receipt, proof: &Proof, now: i64) -> String {
        unproved(given, proof, &demands(now)).unwrap_or_default()
    }

    #[test]
    fn what_the_archive_proves_and_is_old_enough_may_go() {
        let committed = receipt();
        let proof = Proof { committed: Some(&committed), purged: false, unreadable: None };
        assert_eq!(why(&receipt(), &proof, OLD_ENOUGH), "");
        assert_eq!(why(&receipt(), &proof, OLD_ENOUGH - 1), "it was archived only 2591999 seconds ago");
        assert_eq!(why(&receipt(), &proof, 999), "it was archived in the future; the clock was set back");
    }

    #[test]
    fn each_missing_proof_keeps_the_copy() {
        let good = receipt();
        let elsewhere = Receipt { archive: "other".into(), ..receipt() };
        let other = Receipt { digest: Digest::of(b"y"), ..receipt() };
        let proof = |committed, purged, unreadable| Proof { committed, purged, unreadable };
        let cases = [
            (&good, proof(None, false, None), "no receipt"),
            (&elsewhere, proof(Some(&good), false, None), "another archive"),
            (&good, proof(Some(&elsewhere), false, None), "another archive"),
            (&other, proof(Some(&good), false, None), "the catalog says"),
            (&good, proof(Some(&good), true, None), "purged already"),
            (&good, proof(Some(&good), false, Some("bits")), "can't give it back: bits"),
        ];
        for (given, proof, wanted) in cases {
            let why = why(given, &proof, OLD_ENOUGH);
            assert!(why.contains(wanted), "{why} / {wanted}");
        }
    }

    #[test]
    fn the_age_that_stdin_claims_means_nothing() {
        let young = Receipt { archived: Time::from_unix(OLD_ENOUGH - 5), ..receipt() };
        let proof = Proof { committed: Some(&young), purged: false, unreadable: None };
        assert_eq!(why(&receipt(), &proof, OLD_ENOUGH), "it was archived only 5 seconds ago");
    }

    #[test]
    fn a_copy_that_looks_different_on_the_server_is_kept() {
        let seen = |size, flagged, digest| Seen { size, flagged, digest };
        let (same, other) = (Some(Digest::of(b"x")), Some(Digest::of(b"y")));
        let differs = |seen: &Seen, compare| differs(&receipt(), seen, compare).unwrap_or_default();
        assert_eq!(differs(&seen(Some(3), false, None), Compare::Size), "");
        assert_eq!(differs(&seen(Some(3), false, same), Compare::Full), "");
        assert!(differs(&seen(Some(3), true, same), Compare::Full).contains("flagged"));
        assert!(differs(&seen(Some(4), false, same), Compare::Full).contains("claims 4 octets"));
        assert!(differs(&seen(None, false, None), Compare::Size).contains("claims nothing"));
        assert!(differs(&seen(Some(3), false, other), Compare::Size).contains("hands out"));
        assert!(differs(&seen(Some(3), false, None), Compare::Full).contains("did not hand it out"));
    }

    #[test]
    fn without_a_size_from_the_server_nothing_is_deleted() {
        let unsized_ = Receipt { server_size: None, ..receipt() };
        let seen = Seen { size: None, flagged: false, digest: None };
        assert!(super::differs(&unsized_, &seen, Compare::Size).is_some());
    }
}
