//! What the server holds.
//!
//! Decision: mailboxes are plain values behind one lock, so that a test can look at them and change them while a client
//! is connected. Octets are shared, or read from their `.eml` file at each request, and never rewritten: what is handed
//! out is what was put in. Dates and identifiers are fixed by position, so that two runs show a client the same mailbox.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

/// 2026-11-01 00:00:00 UTC: message `n` of a mailbox arrived `n` minutes later.
const FIRST_ARRIVAL: i64 = 1_793_491_200;

/// Where a message's octets are.
#[derive(Clone, Debug)]
pub enum Content {
    /// Nowhere: they are made from the UID and the size at each request, always the same.
    Made,
    /// In memory.
    Octets(Arc<[u8]>),
    /// In a file that is read at each request.
    File(PathBuf),
}

/// One message of a mailbox. All members may be changed by a test.
#[derive(Clone, Debug)]
pub struct Message {
    /// IMAP's UID; POP3's UIDL is made from it unless `uidl` says otherwise.
    pub uid: u32,
    /// The octets, or where they are.
    pub content: Content,
    /// How many octets there are.
    pub size: u64,
    /// System flags in their canonical spelling, and keywords.
    pub flags: BTreeSet<String>,
    /// INTERNALDATE, in seconds since 1970.
    pub received: i64,
    /// CONDSTORE's modification sequence.
    pub modseq: u64,
    /// What UIDL says, instead of `UIDVALIDITY.UID`.
    pub uidl: Option<String>,
    /// EMAILID; none is NIL.
    pub emailid: Option<String>,
}

impl Message {
    /// The message's octets, exactly.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn octets(&self) -> io::Result<Arc<[u8]>> {
        match &self.content {
            Content::Made => Ok(Arc::from(made(self.uid, self.size))),
            Content::Octets(octets) => Ok(Arc::clone(octets)),
            Content::File(path) => fs::read(path).map(Arc::from),
        }
    }
}

/// One mailbox.
#[derive(Clone, Debug)]
pub struct Mailbox {
    /// Its name as it travels: ASCII, modified UTF-7 for anything else.
    pub name: String,
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// The UID that the next message gets.
    pub uid_next: u32,
    /// The modification sequence given last.
    pub highest_modseq: u64,
    /// Its messages, in the order of their UIDs.
    pub messages: Vec<Message>,
    /// MAILBOXID, made from its first name; it stays when a test gives it another.
    pub id: String,
}

impl Mailbox {
    /// An empty mailbox.
    pub fn new(name: &str, uid_validity: u32) -> Self {
        let name = canonical_name(name);
        let id = format!("F{:x}", name.bytes().fold(7_u64, |id, octet| id.wrapping_mul(257).wrapping_add(octet.into())));
        Self { name, uid_validity, uid_next: 1, highest_modseq: 1, messages: Vec::new(), id }
    }

    /// A mailbox with these messages, UIDs 1 to n.
    pub fn with_messages<I>(name: &str, uid_validity: u32, messages: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        let mut mailbox = Self::new(name, uid_validity);
        for octets in messages {
            mailbox.add(octets.as_ref());
        }
        mailbox
    }

    /// A mailbox with the `.eml` files of a directory, UIDs 1 to n in the order of their names.
    ///
    /// # Errors
    /// The directory can't be listed.
    pub fn from_dir(name: &str, uid_validity: u32, dir: &Path) -> io::Result<Self> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "eml") {
                paths.push(path);
            }
        }
        paths.sort();
        let mut mailbox = Self::new(name, uid_validity);
        for path in paths {
            let size = fs::metadata(&path)?.len();
            mailbox.push(Content::File(path), size);
        }
        Ok(mailbox)
    }

    /// A mailbox of many messages that are made when they are asked for, UIDs 1 to `count`; `sizes` tells how many octets each has.
    pub fn synthetic(name: &str, uid_validity: u32, count: u32, sizes: impl Fn(u32) -> u64) -> Self {
        let mut mailbox = Self::new(name, uid_validity);
        for uid in 1..=count {
            mailbox.push(Content::Made, sizes(uid));
        }
        mailbox
    }

    /// Appends a message and returns its UID.
    pub fn add(&mut self, octets: &[u8]) -> u32 {
        self.push(Content::Octets(Arc::from(octets)), octets.len() as u64)
    }

    fn push(&mut self, content: Content, size: u64) -> u32 {
        let uid = self.uid_next;
        self.uid_next += 1;
        self.highest_modseq += 1;
        self.messages.push(Message {
            uid,
            content,
            size,
            flags: BTreeSet::new(),
            received: arrival(uid),
            modseq: self.highest_modseq,
            uidl: None,
            emailid: Some(format!("M{}-{uid}", self.id)),
        });
        uid
    }

    /// Takes a message out, for another mailbox or this one.
    pub fn take(&mut self, uid: u32) -> Option<Message> {
        self.highest_modseq += 1;
        self.place(uid).map(|place| self.messages.remove(place))
    }

    /// Puts a message in, with all that it has but the UID, which it returns: what MOVE and COPY do.
    pub fn put(&mut self, message: Message) -> u32 {
        let uid = self.uid_next;
        self.uid_next += 1;
        self.highest_modseq += 1;
        self.messages.push(Message { uid, modseq: self.highest_modseq, ..message });
        uid
    }

    /// The message with this UID.
    pub fn message(&self, uid: u32) -> Option<&Message> {
        self.place(uid).map(|place| &self.messages[place])
    }

    /// The message with this UID, to be changed.
    pub fn message_mut(&mut self, uid: u32) -> Option<&mut Message> {
        self.place(uid).map(|place| &mut self.messages[place])
    }

    fn place(&self, uid: u32) -> Option<usize> {
        self.messages.binary_search_by_key(&uid, |message| message.uid).ok()
    }

    /// Gives a message other flags and, if they differ, a new modification sequence.
    pub fn set_flags(&mut self, uid: u32, flags: BTreeSet<String>) {
        let modseq = self.highest_modseq + 1;
        let Some(message) = self.message_mut(uid) else { return };
        if message.flags != flags {
            message.flags = flags;
            message.modseq = modseq;
            self.highest_modseq = modseq;
        }
    }

    /// Sets one flag of a message.
    pub fn add_flag(&mut self, uid: u32, flag: &str) {
        if let Some(message) = self.message(uid) {
            let mut flags = message.flags.clone();
            flags.insert(canonical_flag(flag));
            self.set_flags(uid, flags);
        }
    }

    /// Removes every message that `gone` names.
    pub fn remove(&mut self, gone: impl Fn(&Message) -> bool) {
        self.messages.retain(|message| !gone(message));
        self.highest_modseq += 1;
    }

    /// The UIDs it holds.
    pub fn uids(&self) -> Vec<u32> {
        self.messages.iter().map(|message| message.uid).collect()
    }

    /// What UIDL says about a message.
    pub fn uidl(&self, message: &Message) -> String {
        message.uidl.clone().unwrap_or_else(|| format!("{}.{}", self.uid_validity, message.uid))
    }
}

/// A message of exactly `size` octets, or its header if that alone is larger.
fn made(uid: u32, size: u64) -> Vec<u8> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let header = format!(
        "From: sender{uid}@example.org\r\nTo: archive@example.com\r\nSubject: message {uid}\r\nMessage-ID: <{uid}@made.example.org>\r\n\
         Date: {}\r\n\r\n",
        internal_date(arrival(uid))
    );
    let mut octets = Vec::with_capacity(size.max(header.len()));
    octets.extend_from_slice(header.as_bytes());
    let line = format!("{uid:<74.74}.\r\n");
    while octets.len() + line.len() < size {
        octets.extend_from_slice(line.as_bytes());
    }
    let rest = size.saturating_sub(octets.len());
    octets.extend(std::iter::repeat_n(b'x', rest.saturating_sub(2)));
    octets.extend_from_slice(&b"\r\n"[2 - rest.min(2)..]);
    octets
}

fn arrival(uid: u32) -> i64 {
    FIRST_ARRIVAL + i64::from(uid) * 60
}

/// INBOX in capitals, any other name as it is (RFC 3501, section 5.1).
pub fn canonical_name(name: &str) -> String {
    if name.eq_ignore_ascii_case("INBOX") { "INBOX".to_owned() } else { name.to_owned() }
}

/// The canonical spelling of a system flag; a keyword as it is.
pub fn canonical_flag(flag: &str) -> String {
    ["\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(flag))
        .unwrap_or(flag)
        .to_owned()
}

/// A time as INTERNALDATE writes it: `01-Nov-2026 00:01:00 +0000`.
pub fn internal_date(seconds: i64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (mut days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let mut year = 1970;
    while days >= year_days(year) {
        days -= year_days(year);
        year += 1;
    }
    let mut month = 0;
    while days >= month_days(year, month) {
        days -= month_days(year, month);
        month += 1;
    }
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{:02}-{}-{year} {hour:02}:{minute:02}:{second:02} +0000", days + 1, MONTHS[month])
}

fn year_days(year: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if leap { 366 } else { 365 }
}

fn month_days(year: i64, month: usize) -> i64 {
    const DAYS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    if month == 1 { year_days(year) - 337 } else { DAYS[month] }
}
