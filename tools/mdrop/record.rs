//! The records: one JSON object a line, with `type` and `v`. What a tool prints, what a run log holds and what the catalog
//! keeps are the same records (mdrop-stream(5) and mdrop-archive(5) name every member).
//!
//! All types are defined from the first version on, so that a catalog of today is whole for the reader of tomorrow.

mod place;

pub use place::{By, KnownEmail, ListedEmail, MailboxName, MailboxNames, Move, ObjectIds, is_object_id};

use crate::error::{Error, Result, Status};
use crate::identity::{Account, Digest, Fingerprint, Origin, UidValidity};
use crate::octets::{self, Octets};
use crate::stream::Journal;
use crate::time::Time;
use crate::uids::UidSet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::collections::BTreeMap;
use std::io::BufRead;

/// The version of the formats this library writes, and the newest it reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct V1;

impl Serialize for V1 {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_u8(1)
    }
}

impl<'de> Deserialize<'de> for V1 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self),
            v => Err(D::Error::custom(format!("format version {v} is not known to this version of mdrop"))),
        }
    }
}

/// The catch-all user, under whom mail is filed that belongs to nobody known.
pub const CATCHALL: &str = "@catchall";

/// How line ends travel in the stream (mdrop-stream(5)).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Eol {
    /// Every LF of the message follows a CR; it travels with LF alone.
    Crlf,
    /// The message travels as it is.
    Raw,
}

/// The kinds of evidence, from the strongest to the weakest (mdrop-route(1)).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A journal report's envelope.
    Journal,
    /// An envelope trace field, such as Delivered-To.
    Envelope,
    /// `for` in a Received field.
    Received,
    /// Resent-To, Resent-Cc, Resent-Bcc.
    Resent,
    /// To, Cc, Bcc: the marked guess.
    Header,
    /// Who sent it.
    Sender,
}

impl Kind {
    /// Whether a server wrote it on the way, or a sender who pretends to be one.
    #[must_use]
    pub fn is_trace(self) -> bool {
        matches!(self, Self::Envelope | Self::Received)
    }
}

/// Which field, at which position, named an address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Evidence {
    /// The field's name in lower case.
    pub field: String,
    /// The how-manieth field of that name it is, from the top, counting from 1.
    pub position: u32,
    /// How many Received fields stand above it: 0 was written last, nearest to the mailbox.
    pub hop: u32,
    /// How strong it is.
    pub kind: Kind,
}

/// An address with what named it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sender {
    /// The address; empty for the null sender `<>`.
    #[serde(flatten, with = "octets::address")]
    pub address: Option<Octets>,
    /// What named it.
    pub evidence: Evidence,
}

/// A local envelope recipient as it was addressed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recipient {
    /// The address.
    #[serde(flatten, with = "octets::address")]
    pub address: Option<Octets>,
    /// The user it belongs to; null where nobody of the users file has it.
    pub user: Option<String>,
    /// What named it.
    pub evidence: Evidence,
}

/// An address that was seen and did not become a recipient, with why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rejected {
    /// The address or value.
    #[serde(flatten, with = "octets::address")]
    pub address: Option<Octets>,
    /// What named it.
    pub evidence: Evidence,
    /// Why it lost, in words.
    pub why: String,
}

/// As what a user has a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The user wrote it.
    Sender,
    /// It was delivered to the user.
    Recipient,
}

/// Under whom, in which folder and as what a message is found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Filing {
    /// The user's name in the users file, or `@catchall`.
    pub user: String,
    /// The folder, usually the mailbox it was found in.
    pub folder: String,
    /// As what.
    pub role: Role,
    /// What said so; none for a message that was adopted and not routed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// Something worth telling that is no error: forged, contradictory, changed, adopted.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Finding {
    /// The format's version.
    #[serde(default)]
    pub v: V1,
    /// What it is about, where that is one message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The message, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The archive's file, relative to its folder, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The users whom it concerns, where it is about one message of an archive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// One lower-case word: `forged`, `contradictory`, `changed`, `adopted`, `reused`, `unverified`, `damaged`, `unnamed`, `unexpected`, `exposed`.
    pub finding: String,
    /// What was found, in words.
    pub text: String,
}

/// What `mdrop-route --explain` prints for a message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Route {
    /// The format's version.
    pub v: V1,
    /// Where the copy lies.
    pub origin: Origin,
    /// The message.
    pub digest: Digest,
    /// Who sent it.
    pub sender: Option<Sender>,
    /// To whom it was delivered.
    pub recipients: Vec<Recipient>,
    /// Under whom it is filed.
    pub filings: Vec<Filing>,
    /// Every other candidate.
    pub rejected: Vec<Rejected>,
    /// What else was noticed.
    pub findings: Vec<Finding>,
    /// Why policy leaves it out, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<String>,
}

/// A local address that belongs to nobody of the users list: what `mdrop-route --users-missing` prints.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Missing {
    /// The format's version.
    pub v: V1,
    /// The address in its normal form, without a detail.
    pub address: String,
    /// In how many messages it was a recipient, or the sender.
    pub messages: u64,
    /// In how many more it may have been before it was counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missed: u64,
    /// In how many it was a recipient.
    pub recipient: u64,
    /// In how many it was the sender.
    pub sender: u64,
    /// What said that it was a recipient, and how often.
    pub evidence: BTreeMap<Kind, u64>,
    /// When the first of the messages was received, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Time>,
    /// When the last was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Time>,
    /// What whoever has it is called in one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whose it most likely is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likeliest: Option<Likeliest>,
    /// Several users who are equally likely.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undecided: Vec<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The user whose an address most likely is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Likeliest {
    /// The user's name.
    pub user: String,
    /// What is alike, in words.
    pub why: String,
}

/// A place in a pack: octets from `offset`, `length` of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Frame {
    /// Where in the pack's file the zstd frame begins.
    pub offset: u64,
    /// How many octets of the file it takes.
    pub length: u64,
}

/// Whether a receipt's message was stored by that commit or had been before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Its octets were stored by this commit.
    New,
    /// Its octets had been stored before.
    Duplicate,
    /// Its pack was found without a segment and taken in; it is not known to have been routed.
    Adopted,
    /// It was routed anew where it lies, and is taken for another mail than before. It says nothing of its origin.
    Refiled,
}

/// This message, from this origin, is durable here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// The format's version.
    pub v: V1,
    /// Where the copy lies on the server.
    pub origin: Origin,
    /// The message.
    pub digest: Digest,
    /// The mail, apart from how it travelled.
    pub fingerprint: Fingerprint,
    /// Its octets, as the server handed them out.
    pub size: u64,
    /// What the server claimed its size to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_size: Option<u64>,
    /// When the server received it (INTERNALDATE).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<Time>,
    /// When it was committed here.
    pub archived: Time,
    /// The Message-ID field's value.
    #[serde(flatten, with = "octets::message_id")]
    pub message_id: Option<Octets>,
    /// The Date field's value.
    #[serde(flatten, with = "octets::date")]
    pub date: Option<Octets>,
    /// The From field's value.
    #[serde(flatten, with = "octets::from")]
    pub from: Option<Octets>,
    /// The Subject field's value.
    #[serde(flatten, with = "octets::subject")]
    pub subject: Option<Octets>,
    /// The archive's id.
    pub archive: String,
    /// The segment that holds this receipt.
    pub segment: u64,
    /// The pack that holds the message.
    pub pack: u64,
    /// The frame in the pack.
    pub frame: Frame,
    /// Where in the decompressed frame the message's `From ` line begins.
    pub position: u64,
    /// Flags on the server when it was fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// What the server calls the message and its mailbox.
    #[serde(flatten)]
    pub objects: ObjectIds,
    /// Who sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Sender>,
    /// To whom it was delivered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<Recipient>,
    /// What it is a journal report of, with the inner message's place where it has been found there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<Journal>,
    /// The first message that was archived with the same Message-ID and another fingerprint, where this is the first of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_message_id: Option<Digest>,
    /// The filings this receipt adds.
    pub filings: Vec<Filing>,
    /// Whether its octets are new.
    pub outcome: Outcome,
}

impl Receipt {
    /// When the mail was written, as far as that can be believed: its Date field, where that can be read and is not later than a day after
    /// the server received it, or else it was archived; without such a field, when it was received, or else archived.
    #[must_use]
    pub fn mail_date(&self) -> Time {
        const DAY: i64 = 86_400;
        let came = self.received.unwrap_or(self.archived);
        let written = self.date.as_ref().and_then(|date| Time::from_mail(date.as_bytes()));
        written.filter(|written| written.unix() <= came.unix().saturating_add(DAY)).unwrap_or(came)
    }
}

/// Not archived, and why. Its origin is asked again only when the routing settings that said so change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// The format's version.
    pub v: V1,
    /// Where the copy lies.
    pub origin: Origin,
    /// The message, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Its octets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When.
    pub time: Time,
    /// Why, in words.
    pub why: String,
    /// Whether the same settings would always refuse it.
    pub permanent: bool,
    /// The digest of the routing settings that said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Digest>,
}

/// A message that could not be carried through a stage; it is tried again in the next run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The format's version.
    #[serde(default)]
    pub v: V1,
    /// Where the copy lies, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Why, in words.
    pub why: String,
    /// The exit status it deserves.
    pub status: u8,
}

/// What is archived already of one mailbox and UIDVALIDITY, or of one POP3 unique-id, or of one message on disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Known {
    /// The format's version.
    pub v: V1,
    /// The account's name.
    pub account: String,
    /// The account's login.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub login: String,
    /// The mailbox.
    #[serde(flatten, with = "octets::mailbox")]
    pub mailbox: Option<Octets>,
    /// The generation of its UIDs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uidvalidity: Option<UidValidity>,
    /// The UIDs that are archived, or refused under the settings in force.
    #[serde(default, skip_serializing_if = "UidSet::is_empty")]
    pub uids: UidSet,
    /// What some of them looked like, so that a reused UIDVALIDITY is noticed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Sample>,
    /// The unique-id.
    #[serde(flatten, with = "octets::uidl")]
    pub uidl: Option<Octets>,
    /// What the server claimed as the size of the message with that unique-id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_size: Option<u64>,
    /// The stable name on disk.
    #[serde(flatten, with = "octets::path")]
    pub path: Option<Octets>,
    /// What the server called the mailbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailboxid: Option<String>,
    /// The newest messages of the account that have an EMAILID, in whatever mailbox.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<KnownEmail>,
}

impl Known {
    /// What is known of an account, of which nothing is known yet.
    #[must_use]
    pub fn nothing(account: &Account) -> Self {
        Self {
            v: V1,
            account: account.name.clone(),
            login: account.login.clone(),
            mailbox: None,
            uidvalidity: None,
            uids: UidSet::new(),
            samples: Vec::new(),
            uidl: None,
            server_size: None,
            path: None,
            mailboxid: None,
            emails: Vec::new(),
        }
    }
}

/// What an archived message looked like on the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Its UID.
    pub uid: u32,
    /// The size the server claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_size: Option<u64>,
    /// Its INTERNALDATE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<Time>,
}

/// A later change of a message's filings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refiling {
    /// The format's version.
    pub v: V1,
    /// The message.
    pub digest: Digest,
    /// The mail, whose filings they are.
    pub fingerprint: Fingerprint,
    /// When.
    pub time: Time,
    /// Filings it gains.
    pub added: Vec<Filing>,
    /// Filings it loses.
    pub removed: Vec<Filing>,
}

/// Written, and made durable, before the server is asked to delete.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PurgeIntent {
    /// The format's version.
    pub v: V1,
    /// The copy that is to be deleted.
    pub origin: Origin,
    /// The message that was proved to be in the archive.
    pub digest: Digest,
    /// When.
    pub time: Time,
    /// Which server, `host:port`.
    pub server: String,
    /// Who ran the purge, `user@host`.
    pub by: String,
}

/// What became of a purge-intent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Purge {
    /// The format's version.
    pub v: V1,
    /// The copy.
    pub origin: Origin,
    /// The message.
    pub digest: Digest,
    /// When.
    pub time: Time,
    /// Which server, `host:port`.
    pub server: String,
    /// Who ran the purge, `user@host`.
    pub by: String,
    /// What the server was seen to do.
    pub outcome: Purged,
    /// Why it was not deleted, where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What became of a copy that was to be purged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purged {
    /// The server deleted it.
    Purged,
    /// It was no longer there.
    Gone,
    /// It is still there; why says the reason.
    Kept,
    /// The connection broke: it may be there or not. The next run finds out.
    Unknown,
}

/// A lawful erasure: the message was taken out of its pack. The only deletion an archive knows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Forget {
    /// The format's version.
    pub v: V1,
    /// The message.
    pub digest: Digest,
    /// When.
    pub time: Time,
    /// Who asked for it.
    pub by: String,
    /// On which ground.
    pub why: String,
}

/// What a mailbox held when mdrop-fetch looked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Listing {
    /// The format's version.
    pub v: V1,
    /// The account's name.
    pub account: String,
    /// The account's login.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub login: String,
    /// The mailbox; none for POP3.
    #[serde(flatten, with = "octets::mailbox")]
    pub mailbox: Option<Octets>,
    /// The generation of its UIDs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uidvalidity: Option<UidValidity>,
    /// All UIDs the server lists.
    #[serde(default, skip_serializing_if = "UidSet::is_empty")]
    pub uids: UidSet,
    /// Those of them that were known.
    #[serde(default, skip_serializing_if = "UidSet::is_empty")]
    pub known: UidSet,
    /// The unique-ids the server lists, or the names on disk, that were not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// How many messages the server lists, and their octets as it claims them.
    pub listed: Volume,
    /// How many of them were known.
    pub already: Volume,
    /// Why the mailbox was not read, where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
    /// What the server calls the mailbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailboxid: Option<String>,
    /// Under which name it was known, where it has been renamed since.
    #[serde(flatten, with = "octets::renamed")]
    pub renamed: Option<Octets>,
    /// Those messages that are known by their EMAILID alone, and were not fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<ListedEmail>,
    /// Why nothing follows from a UID that is listed or absent, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
}

/// A number of messages and their octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Volume {
    /// How many messages.
    pub messages: u64,
    /// How many octets.
    pub bytes: u64,
}

impl Volume {
    /// Counts one message more, of so many octets.
    pub fn add(&mut self, bytes: u64) {
        self.messages = self.messages.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// The end of a tool's run, the last record of its log.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// The format's version.
    pub v: V1,
    /// The tool, and its version.
    pub tool: String,
    /// The profile's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// When it began.
    pub started: Time,
    /// How long it took.
    pub seconds: f64,
    /// Its exit status.
    pub exit: u8,
    /// Messages and octets by outcome.
    pub counts: BTreeMap<String, Volume>,
    /// Messages and octets by user, where the tool knows them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<String, Volume>,
    /// Messages by the evidence that decided them, where the tool knows it: `journal`, `envelope:FIELD`, `received`, `resent`, `header`
    /// or `none`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<String, u64>,
    /// The archive's head: the last segment's number and BLAKE3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Head>,
}

/// The last segment of the chain, by which a cut-off end is noticed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Head {
    /// The archive's id.
    pub archive: String,
    /// The segment's number.
    pub segment: u64,
    /// The BLAKE3 of its file.
    pub blake3: Digest,
}

/// How one process of a run ended, as the shell saw it: written by mdrop-archive(1), since a process that was killed can't say so.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stage {
    /// The format's version.
    pub v: V1,
    /// `known`, `fetch`, `route`, `store`, `moves`, `purgeable` or `purge`.
    pub stage: String,
    /// Its exit status; 128 and the signal's number if a signal ended it.
    pub exit: u8,
}

/// Any record. A type this version does not know is [`Record::Unknown`], which readers pass over.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Record {
    /// `route`
    Route(Box<Route>),
    /// `missing`
    Missing(Box<Missing>),
    /// `receipt`
    Receipt(Box<Receipt>),
    /// `refusal`
    Refusal(Box<Refusal>),
    /// `known`
    Known(Box<Known>),
    /// `refiling`
    Refiling(Box<Refiling>),
    /// `move`
    Move(Box<Move>),
    /// `copy`
    Copy(Box<Move>),
    /// `purge-intent`
    PurgeIntent(Box<PurgeIntent>),
    /// `purge`
    Purge(Box<Purge>),
    /// `forget`
    Forget(Box<Forget>),
    /// `mailboxes`
    Mailboxes(Box<MailboxNames>),
    /// `listing`
    Listing(Box<Listing>),
    /// `failure`
    Failure(Box<Failure>),
    /// `finding`
    Finding(Box<Finding>),
    /// `summary`
    Summary(Box<Summary>),
    /// `stage`
    Stage(Stage),
    /// A type of a later version.
    #[serde(other, skip_serializing)]
    Unknown,
}

/// How long one line of JSON may be: a message to a hundred thousand recipients still fits.
pub const LONGEST_LINE: usize = 256 << 20;

impl Record {
    /// Reads one line.
    ///
    /// # Errors
    /// [`Status::Data`] if the line is not a record of a version this library reads.
    pub fn parse(line: &[u8]) -> Result<Self> {
        serde_json::from_slice(line).map_err(|e| Error::new(Status::Data, format!("not a record: {e}")))
    }

    /// The record as one line, its LF included.
    ///
    /// # Errors
    /// [`Status::Software`] for [`Record::Unknown`], which nothing writes.
    pub fn to_line(&self) -> Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self).map_err(|e| Error::new(Status::Software, format!("record: {e}")))?;
        line.push(b'\n');
        Ok(line)
    }
}

/// Reads records, one a line, and says which line was wrong.
pub struct RecordReader<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> RecordReader<R> {
    /// A reader of `input`.
    pub fn new(input: R) -> Self {
        Self { input, line: Vec::new(), number: 0 }
    }

    /// What it reads, which stands behind the last record that was read.
    pub fn input(&mut self) -> &mut R {
        &mut self.input
    }
}

impl<R: BufRead> Iterator for RecordReader<R> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.line.clear();
            let longest = LONGEST_LINE as u64 + 1;
            let read = match std::io::Read::take(&mut self.input, longest).read_until(b'\n', &mut self.line) {
                Ok(0) => return None,
                Ok(read) => read,
                Err(source) => return Some(Err(Error::io("read", source))),
            };
            self.number += 1;
            let about = |error: Error| error.about(format!("line {}", self.number));
            if read > LONGEST_LINE {
                return Some(Err(about(Error::new(Status::Data, "longer than any record"))));
            }
            if self.line.last() != Some(&b'\n') {
                return Some(Err(about(Error::new(Status::Data, "cut off before its end"))));
            }
            if !self.line.trim_ascii().is_empty() {
                return Some(Record::parse(&self.line).map_err(about));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Place;

    #[test]
    fn a_record_carries_its_type_and_version() -> Result<()> {
        let origin = Origin { account: Account { name: "acme".into(), login: String::new() }, place: Place::Pop3 { uidl: "x".into() } };
        let purge = Forget { v: V1, digest: Digest::of(b""), time: Time::from_unix(0), by: "root".into(), why: "law".into() };
        let line = Record::Forget(Box::new(purge)).to_line()?;
        assert!(line.starts_with(br#"{"type":"forget","v":1,"#), "{}", line.escape_ascii());
        let failure = Failure { v: V1, origin: Some(origin), why: "x".into(), status: 65 };
        let record = Record::Failure(Box::new(failure));
        assert_eq!(Record::parse(&record.to_line()?)?, record);
        Ok(())
    }

    #[test]
    fn a_mail_is_dated_by_its_date_field_unless_that_is_later_than_a_day_after_it_came() -> Result<()> {
        let line = r#"{"v":1,"account":"a","uidl":"x","digest":"D","fingerprint":"D","size":1,"archived":"2026-11-23T00:00:00Z","archive":"x",
            "segment":1,"pack":1,"frame":{"offset":0,"length":1},"position":0,"filings":[],"outcome":"new","origin":{"account":"a","uidl":"x"}}"#;
        let receipt: Receipt =
            serde_json::from_str(&line.replace('D', &Digest::of(b"").to_string())).map_err(|e| Error::new(Status::Data, e.to_string()))?;
        let received = Some("2026-11-20T12:00:00Z".parse::<Time>()?);
        let cases = [
            (Some("Fri, 20 Nov 2026 10:00:00 +0100"), received, "2026-11-20T09:00:00Z"),
            (Some("Sat, 21 Nov 2026 12:00:00 +0000"), received, "2026-11-21T12:00:00Z"),
            (Some("Sat, 21 Nov 2026 12:00:01 +0000"), received, "2026-11-20T12:00:00Z"),
            (Some("Tue, 24 Nov 2026 00:00:00 +0000"), None, "2026-11-24T00:00:00Z"),
            (Some("Tue, 24 Nov 2026 00:00:01 +0000"), None, "2026-11-23T00:00:00Z"),
            (Some("yesterday"), received, "2026-11-20T12:00:00Z"),
            (None, None, "2026-11-23T00:00:00Z"),
        ];
        for (date, received, expected) in cases {
            let receipt = Receipt { date: date.map(Octets::from), received, ..receipt.clone() };
            assert_eq!(receipt.mail_date().to_string(), expected, "{date:?}");
        }
        Ok(())
    }

    #[test]
    fn a_later_type_is_passed_over_and_a_later_version_is_refused() -> Result<()> {
        assert_eq!(Record::parse(br#"{"type":"hologram","v":1}"#)?, Record::Unknown);
        let later = br#"{"type":"forget","v":2,"digest":"x"}"#;
        assert!(Record::parse(later).is_err_and(|e| e.to_string().contains("format version 2")));
        Ok(())
    }

    #[test]
    fn a_record_without_its_line_end_was_cut() {
        let mut reader = RecordReader::new(&b"{\"type\":\"later\"}\n\n{\"type\":\"later\"}"[..]);
        assert!(matches!(reader.next(), Some(Ok(Record::Unknown))));
        assert!(reader.next().is_some_and(|r| r.is_err_and(|e| e.to_string().contains("line 3: cut off"))));
    }
}
