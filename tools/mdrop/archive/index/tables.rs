//! The tables of the index, and how their values stand for what records say.
//!
//! They hold each structured member of a receipt, and none of its texts, in less than 600 octets a message. A message is octets with one
//! digest; a mail is what has one fingerprint, and has one message or several. A mail's date is that of its first message and never changes,
//! so that filings and correspondents can be kept in its order: what a user got in a month lies in one piece of the file.

use crate::identity::{Account, Digest, Fingerprint, Origin, Place, Uid, UidValidity};
use crate::octets::Octets;
use crate::record::{Kind, Role};
use rusqlite::types::Value;

/// Changes whenever the tables do; another number means: make it anew.
pub(super) const SCHEMA: i64 = 5;

/// All tables. Times are seconds since 1970 in UTC.
pub(super) const TABLES: &str = "
-- How far the catalog has been read.
CREATE TABLE applied (one INTEGER PRIMARY KEY CHECK (one = 1), archive TEXT NOT NULL, segment INTEGER NOT NULL, blake3 BLOB);
-- The packs that segments name, each with its file's octets.
CREATE TABLE packs (pack INTEGER PRIMARY KEY, segment INTEGER NOT NULL, size INTEGER NOT NULL);
-- Segments that are missing or could not be read.
CREATE TABLE damaged (segment INTEGER PRIMARY KEY, why TEXT NOT NULL);

-- The mails. fingerprint: 32 octets, behind a 1 if it is a digest (33). date: that of its first receipt, by Receipt::mail_date.
-- message_id: the first 8 octets of the BLAKE3 of the Message-ID, as a big-endian number; null without one.
-- One that no message is taken for any more, because a journal report was read anew, stays.
CREATE TABLE mails (id INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL, date INTEGER NOT NULL, message_id INTEGER);

-- The messages. mail: what it is taken for now. pack to position: where its octets lie. adopted: 1 while it is only known from its pack.
-- journal: JSON of its receipt's journal. segment, record_frame, record_position: the receipt that holds (the first, or a later one that
-- says more: routed after it was adopted, stored again, taken for another mail).
CREATE TABLE messages (
  id INTEGER PRIMARY KEY, digest BLOB NOT NULL, mail INTEGER NOT NULL, size INTEGER NOT NULL, pack INTEGER NOT NULL,
  frame_offset INTEGER NOT NULL, frame_length INTEGER NOT NULL, position INTEGER NOT NULL, adopted INTEGER NOT NULL, journal TEXT,
  segment INTEGER NOT NULL, record_frame INTEGER NOT NULL, record_position INTEGER NOT NULL);

-- The mailboxes of an account, and generations of them. kind: 0 IMAP, 1 POP3 (no mailbox), 2 disk (no uidvalidity: 0).
CREATE TABLE scopes (
  id INTEGER PRIMARY KEY, account TEXT NOT NULL, login TEXT NOT NULL, kind INTEGER NOT NULL, mailbox BLOB NOT NULL, uidvalidity INTEGER NOT NULL,
  UNIQUE (account, login, kind, mailbox, uidvalidity));
-- What a server calls a mailbox, and a message (RFC 8474). account: its first scope. message: null if several have the EMAILID, or if what
-- has it looked different once. Only the newest are kept.
CREATE TABLE mailboxids (scope INTEGER PRIMARY KEY, mailboxid TEXT NOT NULL);
CREATE TABLE emails (
  id INTEGER PRIMARY KEY, account INTEGER NOT NULL, emailid TEXT NOT NULL, message INTEGER, server_size INTEGER, received INTEGER,
  UNIQUE (account, emailid));
CREATE INDEX emails_by_account ON emails (account, id);
-- The origins. name: the UID as a number, else octets. state: 0 archived, 1 refused, 2 purged, 3 adopted, 4 moved (its message stands
-- elsewhere), 5 recognised by its EMAILID and never read, 6 by its mailbox's MAILBOXID. message: null if it was refused.
-- segment: which says so. archived: when. settings: the digest of those that refused it.
CREATE TABLE origins (
  scope INTEGER NOT NULL, name NOT NULL, state INTEGER NOT NULL, message INTEGER, segment INTEGER NOT NULL, archived INTEGER NOT NULL,
  server_size INTEGER, received INTEGER, settings BLOB, PRIMARY KEY (scope, name)) WITHOUT ROWID;

-- Derived from the origins. uids: those of a scope that are archived (settings 0), known by identifiers alone (-1: states 5 and 6), or that
-- settings of that row refused, as ranges.
-- unpurged: how many origins of a scope are archived by the receipts of a segment, and the earliest time that they name.
CREATE TABLE settings (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE);
CREATE TABLE uids (
  scope INTEGER NOT NULL, settings INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (scope, settings, first)) WITHOUT ROWID;
CREATE TABLE unpurged (
  scope INTEGER NOT NULL, segment INTEGER NOT NULL, origins INTEGER NOT NULL, archived INTEGER NOT NULL, PRIMARY KEY (scope, segment)) WITHOUT ROWID;

-- What filings and correspondents name. address: in its normal form, or in lower case if it is none.
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE folders (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE evidences (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, field TEXT NOT NULL, UNIQUE (kind, field));
CREATE TABLE addresses (id INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE);

-- The filings in force, in the order of the mail's date. role: 0 sender, 1 recipient. message: the copy for which it was filed.
-- evidence: null where nothing said so.
CREATE TABLE filings (
  user INTEGER NOT NULL, date INTEGER NOT NULL, mail INTEGER NOT NULL, role INTEGER NOT NULL, folder INTEGER NOT NULL,
  message INTEGER NOT NULL, evidence INTEGER, PRIMARY KEY (user, date, mail, role)) WITHOUT ROWID;
-- Who sent a mail, and to whom it was delivered, as its receipts say. role: as in filings. The senders are the envelope's and those in From.
CREATE TABLE correspondents (
  address INTEGER NOT NULL, role INTEGER NOT NULL, date INTEGER NOT NULL, mail INTEGER NOT NULL,
  PRIMARY KEY (address, role, date, mail)) WITHOUT ROWID;
";

/// The other ways into the tables. For hashes, ask for the whole value beside the first eight octets:
/// `WHERE substr(digest, 1, 8) = substr(?1, 1, 8) AND digest = ?1`.
pub(super) const INDEXES: &str = "
CREATE INDEX mails_by_fingerprint ON mails (substr(fingerprint, 1, 8));
CREATE INDEX messages_by_digest ON messages (substr(digest, 1, 8));
CREATE INDEX mails_by_message_id ON mails (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX mails_by_date ON mails (date);
CREATE INDEX messages_by_mail ON messages (mail);
CREATE INDEX filings_by_mail ON filings (mail);
CREATE INDEX correspondents_by_mail ON correspondents (mail);
CREATE INDEX origins_by_message ON origins (message) WHERE message IS NOT NULL;
";

/// An origin that was archived, refused, purged, or archived without being known to have been routed.
pub(super) const ARCHIVED: i64 = 0;
pub(super) const REFUSED: i64 = 1;
pub(super) const PURGED: i64 = 2;
pub(super) const ADOPTED: i64 = 3;
/// One whose message stands elsewhere now; and those at which a message is known by its EMAILID, or its mailbox's MAILBOXID, alone.
pub(super) const MOVED: i64 = 4;
pub(super) const RECOGNISED: i64 = 5;
pub(super) const RENAMED: i64 = 6;
/// The states in which a message is known to stand at an origin: [`ARCHIVED`], [`RECOGNISED`], [`RENAMED`].
pub(super) const STANDING: &str = "(0, 5, 6)";

/// An origin's kind, mailbox and UIDVALIDITY, as the table of scopes has them.
pub(super) fn scope(origin: &Origin) -> (i64, &[u8], i64) {
    match &origin.place {
        Place::Imap { mailbox, uidvalidity, .. } => (0, mailbox.as_bytes(), i64::from(uidvalidity.0)),
        Place::Pop3 { .. } => (1, b"", 0),
        Place::Disk { mailbox, .. } => (2, mailbox.as_bytes(), 0),
    }
}

/// An origin's name in its scope: a number for a UID, octets for anything else.
pub(super) fn origin_name(origin: &Origin) -> Value {
    match &origin.place {
        Place::Imap { uid, .. } => Value::Integer(i64::from(uid.0)),
        Place::Pop3 { uidl } => Value::Blob(uidl.as_bytes().to_vec()),
        Place::Disk { path, .. } => Value::Blob(path.as_bytes().to_vec()),
    }
}

/// The inverse of [`scope`] and [`origin_name`].
pub(super) fn origin_from(account: Account, kind: i64, mailbox: Octets, uidvalidity: u32, name: Value) -> Origin {
    let octets = |name: Value| if let Value::Blob(octets) = name { octets.into() } else { Octets::from("") };
    let place = match (kind, name) {
        (0, Value::Integer(uid)) => {
            Place::Imap { mailbox, uidvalidity: UidValidity(uidvalidity), uid: Uid(u32::try_from(uid).unwrap_or_default()) }
        }
        (1, name) => Place::Pop3 { uidl: octets(name) },
        (_, name) => Place::Disk { mailbox, path: octets(name) },
    };
    Origin { account, place }
}

/// A fingerprint's octets: its hash, behind a 1 where the hash is a digest, so that the two kinds never meet.
pub(super) fn key(fingerprint: &Fingerprint) -> Vec<u8> {
    let digest = matches!(fingerprint, Fingerprint::Digest(_));
    std::iter::once(1).filter(|_| digest).chain(fingerprint.hash().iter().copied()).collect()
}

/// The inverse of [`key`].
pub(super) fn from_key(key: &[u8]) -> Option<Fingerprint> {
    match key {
        [1, hash @ ..] if hash.len() == 32 => hash.try_into().ok().map(|hash| Fingerprint::Digest(Digest(hash))),
        hash => hash.try_into().ok().map(Fingerprint::F1),
    }
}

/// By which a Message-ID is found; none if there is nothing in it.
pub(in crate::archive) fn message_id_key(value: &[u8]) -> Option<i64> {
    let value = value.trim_ascii();
    let inside = value.strip_prefix(b"<").and_then(|value| value.strip_suffix(b">")).unwrap_or(value);
    let hash = blake3::hash(value);
    let first = hash.as_bytes().first_chunk::<8>().map(|first| i64::from_be_bytes(*first));
    first.filter(|_| !inside.trim_ascii().is_empty())
}

pub(super) fn role(role: Role) -> i64 {
    match role {
        Role::Sender => 0,
        Role::Recipient => 1,
    }
}

/// The inverse of [`role`].
pub(super) fn from_role(role: i64) -> Role {
    if role == 0 { Role::Sender } else { Role::Recipient }
}

/// The word of a kind of evidence, as records have it.
pub(super) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Journal => "journal",
        Kind::Envelope => "envelope",
        Kind::Received => "received",
        Kind::Resent => "resent",
        Kind::Header => "header",
        Kind::Sender => "sender",
    }
}
