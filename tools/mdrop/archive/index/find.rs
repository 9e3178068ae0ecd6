//! The questions of mdrop-find: which messages match, in the order of their mail's date.
//!
//! One statement a question, with the order of its tables given by us: SQLite has no statistics to guess it from. What narrows most comes
//! first: a digest, a Message-ID, the few messages that have the words, a user's filings, a correspondent's mails, or all mails by date.
//! What has the words is put into temporary tables before; they hold numbers only, and lie on disk when there are many.

use super::ask::{HELD, HELD_COLUMNS, Held, held};
use super::tables::{from_role, kind, message_id_key, role};
use super::{Index, wrong};
use crate::error::Result;
use crate::identity::Digest;
use crate::interrupt;
use crate::record::{Evidence, Filing, Kind, Role};
use crate::time::Time;
use rusqlite::types::Value;
use rusqlite::{params, params_from_iter};
use std::path::Path;

/// Up to so many messages that have the words, or mails of the senders, they are looked at first.
const FEW: u64 = 20_000;

/// A correspondent who is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// An address in its normal form.
    Address(String),
    /// Any address of a domain in its normal form.
    Domain(String),
}

/// Messages found by their words, as a question refers to them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Set {
    /// Those that have the words.
    Matches,
    /// Those whose To or Cc names a recipient who is asked for.
    Addressed,
}

impl Set {
    fn table(self) -> &'static str {
        match self {
            Self::Matches => "temp.matches",
            Self::Addressed => "temp.addressed",
        }
    }
}

/// What is asked for; all of it must be so, and of several values one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Question {
    /// Filed under this user.
    pub user: Option<String>,
    /// Filed in this folder.
    pub folder: Option<String>,
    /// Filed in this role.
    pub role: Option<Role>,
    /// Filed on evidence of this kind, perhaps of this field.
    pub evidence: Option<(Kind, Option<String>)>,
    /// Sent by one of these.
    pub senders: Vec<Who>,
    /// Delivered or addressed to one of these; the latter are in [`Set::Addressed`].
    pub recipients: Vec<Who>,
    /// With this Message-ID.
    pub message_id: Option<String>,
    /// With this digest.
    pub digest: Option<Digest>,
    /// Dated at or after this.
    pub since: Option<Time>,
    /// Dated before this.
    pub before: Option<Time>,
    /// Of more octets.
    pub larger: Option<u64>,
    /// Of fewer octets.
    pub smaller: Option<u64>,
    /// Seen in this account.
    pub account: Option<String>,
    /// Only those in [`Set::Matches`], which has so many.
    pub matches: Option<u64>,
    /// The newest first.
    pub newest_first: bool,
}

/// A message that matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The message, and where its receipt stands.
    pub held: Held,
    /// The mail's date.
    pub date: Time,
    /// Which message of the index it is.
    id: i64,
}

/// A statement in the making: its parts, and the values in them, in the order in which they stand there.
#[derive(Default)]
struct Statement {
    from: String,
    bound: Vec<Value>,
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Statement {
    fn when(&mut self, condition: impl Into<String>, values: impl IntoIterator<Item = Value>) {
        self.conditions.push(condition.into());
        self.values.extend(values);
    }
}

const FILING: &str = "f.user = (SELECT id FROM users WHERE name = ?)";
const OF_SENDERS: &str = "FROM correspondents WHERE role = 0 AND address IN (SELECT id FROM temp.senders)";
/// The plus keeps SQLite from trying each of a domain's addresses for each mail.
const BY_SENDER: &str = "EXISTS (SELECT 1 FROM correspondents c INDEXED BY correspondents_by_mail
    WHERE c.mail = x.id AND c.role = 0 AND +c.address IN (SELECT id FROM temp.senders))";
const TO_RECIPIENT: &str = "EXISTS (SELECT 1 FROM correspondents c INDEXED BY correspondents_by_mail
    WHERE c.mail = x.id AND c.role = 1 AND +c.address IN (SELECT id FROM temp.recipients))";

impl Question {
    /// Where the search begins, and in which order it meets the mails.
    fn begin(&self, few_mails: bool) -> (Statement, &'static str) {
        let mut s = Statement::default();
        let few = self.matches.is_some_and(|matches| matches <= FEW);
        let (from, order) = if let Some(digest) = self.digest {
            s.when("substr(m.digest, 1, 8) = substr(?, 1, 8) AND m.digest = ?", [digest.0.to_vec().into(), digest.0.to_vec().into()]);
            ("messages m CROSS JOIN mails x ON x.id = m.mail", "x.date, x.id, m.id")
        } else if let Some(id) = &self.message_id {
            let keys = [id.clone(), format!("<{id}>")].map(|id| message_id_key(id.as_bytes()).into());
            s.when("x.message_id IN (?, ?)", keys);
            ("mails x CROSS JOIN messages m ON m.mail = x.id", "x.date, x.id, m.id")
        } else if few {
            ("temp.matches h CROSS JOIN messages m ON m.id = h.message CROSS JOIN mails x ON x.id = m.mail", "x.date, x.id, m.id")
        } else if let Some(user) = &self.user {
            s.when(FILING, [user.clone().into()]);
            let from = "filings f CROSS JOIN mails x ON x.id = f.mail CROSS JOIN messages m ON m.id = f.message";
            self.dates(&mut s, "f.date");
            s.from = from.into();
            return (s, "f.date, f.mail, f.role");
        } else if few_mails {
            s.from =
                format!("(SELECT DISTINCT mail {OF_SENDERS}) c CROSS JOIN mails x ON x.id = c.mail CROSS JOIN messages m ON m.mail = x.id");
            self.dates(&mut s, "x.date");
            return (s, "x.date, x.id, m.id");
        } else {
            ("mails x INDEXED BY mails_by_date CROSS JOIN messages m ON m.mail = x.id", "x.date, x.id")
        };
        self.dates(&mut s, "x.date");
        s.from = from.into();
        if let Some(user) = &self.user {
            s.from = format!("{from} CROSS JOIN filings f ON {FILING} AND f.date = x.date AND f.mail = x.id AND f.message = m.id");
            s.bound.push(user.clone().into());
        }
        (s, order)
    }

    fn dates(&self, s: &mut Statement, date: &str) {
        for (time, how) in [(self.since, ">="), (self.before, "<")] {
            if let Some(time) = time {
                s.when(format!("{date} {how} ?"), [time.unix().into()]);
            }
        }
    }

    fn statement(&self, few_mails: bool) -> (String, Vec<Value>) {
        let (mut s, order) = self.begin(few_mails);
        self.filed(&mut s);
        if !self.senders.is_empty() {
            s.when(BY_SENDER, []);
        }
        if !self.recipients.is_empty() {
            let mine = self.user.iter().any(|user| self.recipients.contains(&Who::Address(user.clone())));
            let other = match (&self.user, mine) {
                // Who else got a mail may be known to nobody who got it: only To and Cc count, and the user's own filing.
                (Some(_), true) => "OR f.role = 1".into(),
                (Some(_), false) => String::new(),
                (None, _) => format!("OR {TO_RECIPIENT}"),
            };
            s.when(format!("(m.id IN (SELECT message FROM temp.addressed) {other})"), []);
        }
        for (size, how) in [(self.larger, ">"), (self.smaller, "<")] {
            if let Some(size) = size {
                s.when(format!("m.size {how} ?"), [i64::try_from(size).unwrap_or(i64::MAX).into()]);
            }
        }
        if let Some(account) = &self.account {
            let seen = "EXISTS (SELECT 1 FROM origins o JOIN scopes s ON s.id = o.scope WHERE o.message = m.id AND s.account = ?)";
            s.when(seen, [account.clone().into()]);
        }
        if self.matches.is_some() {
            s.when("m.id IN (SELECT message FROM temp.matches)", []);
        }
        let conditions = if s.conditions.is_empty() { "1".into() } else { s.conditions.join(" AND ") };
        let order = if self.newest_first { order.replace(',', " DESC,") + " DESC" } else { order.into() };
        s.bound.extend(s.values);
        (format!("SELECT {HELD}, x.date, m.id FROM {} WHERE {conditions} ORDER BY {order}", s.from), s.bound)
    }

    /// What is asked of the filing: of the user's own, or of any.
    fn filed(&self, s: &mut Statement) {
        let (mut parts, mut values) = (Vec::new(), Vec::new());
        if let Some(folder) = &self.folder {
            parts.push("f.folder = (SELECT id FROM folders WHERE name = ?)");
            values.push(folder.clone().into());
        }
        if let Some(as_what) = self.role {
            parts.push("f.role = ?");
            values.push(role(as_what).into());
        }
        if let Some((of, field)) = &self.evidence {
            parts.push("f.evidence IN (SELECT id FROM evidences WHERE kind = ? AND (? IS NULL OR field = ?))");
            let field = || field.clone().map_or(Value::Null, Value::from);
            values.extend([kind(*of).to_owned().into(), field(), field()]);
        }
        if parts.is_empty() {
            return;
        }
        let conditions = parts.join(" AND ");
        let any = format!("EXISTS (SELECT 1 FROM filings f WHERE f.mail = x.id AND f.message = m.id AND {conditions})");
        s.when(if self.user.is_some() { conditions } else { any }, values);
    }
}

impl Index {
    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fills a set with the messages that `fill` names; returns how many the archive has of them.
    ///
    /// # Errors
    /// What SQLite reports, and what `fill` does.
    pub fn collect(&self, set: Set, fill: impl FnOnce(&mut dyn FnMut(Digest) -> Result<()>) -> Result<()>) -> Result<u64> {
        let table = set.table();
        let make = format!("CREATE TABLE IF NOT EXISTS {table} (message INTEGER PRIMARY KEY); DELETE FROM {table}; BEGIN");
        self.db.execute_batch(&make).map_err(wrong)?;
        let insert = &format!(
            "INSERT OR IGNORE INTO {table} SELECT m.id FROM messages m WHERE substr(m.digest, 1, 8) = substr(?1, 1, 8) AND m.digest = ?1"
        );
        let mut count = 0;
        let filled = self.db.prepare_cached(insert).map_err(wrong).and_then(|mut insert| {
            fill(&mut |digest| {
                count += insert.execute([digest.0]).map_err(wrong)? as u64;
                Ok(())
            })
        });
        let ended = self.db.execute_batch("COMMIT").map_err(wrong);
        filled.and(ended).map(|()| count)
    }

    /// Each message that matches, once, by the date of its mail. The sets that the question refers to are filled before.
    ///
    /// # Errors
    /// What SQLite reports, what `each` does, and [`crate::error::Status::TryAgain`] if an end is asked for.
    pub fn find(&self, question: &Question, mut each: impl FnMut(Found) -> Result<bool>) -> Result<()> {
        self.note_addresses("temp.senders", &question.senders)?;
        self.note_addresses("temp.recipients", &question.recipients)?;
        let few_mails = !question.senders.is_empty() && self.few_mails()?;
        let (sql, values) = question.statement(few_mails);
        let mut asked = self.db.prepare(&sql).map_err(wrong)?;
        let mut rows = asked.query(params_from_iter(values)).map_err(wrong)?;
        // A user who is sender and recipient has two filings of a mail, which stand side by side, and perhaps one message.
        let mut last = Vec::new();
        let mut mail = None;
        while let Some(row) = rows.next().map_err(wrong)? {
            interrupt::check()?;
            let found = (|| {
                let (date, id) = (Time::from_unix(row.get(HELD_COLUMNS)?), row.get(HELD_COLUMNS + 1)?);
                Ok(Found { held: held(row)?, date, id })
            })();
            let found = found.map_err(wrong)?;
            if mail.as_ref() != Some(&found.held.fingerprint) {
                mail = Some(found.held.fingerprint);
                last.clear();
            }
            if last.contains(&found.id) {
                continue;
            }
            last.push(found.id);
            if !each(found)? {
                break;
            }
        }
        Ok(())
    }

    /// The filings in force of which this message is the copy; those of one user alone where one is given. Of the evidence the index
    /// has kind and field only: the position is that of the receipt, if the filing stands in it.
    ///
    /// # Errors
    /// What SQLite reports.
    pub fn filings_in_force(&self, found: &Found, user: Option<&str>, said: &[Filing]) -> Result<Vec<Filing>> {
        let select =
            "SELECT u.name, d.name, f.role, e.kind, e.field FROM messages m CROSS JOIN filings f ON f.mail = m.mail AND f.message = m.id
            JOIN users u ON u.id = f.user JOIN folders d ON d.id = f.folder LEFT JOIN evidences e ON e.id = f.evidence
            WHERE m.id = ?1 AND (?2 IS NULL OR u.name = ?2) ORDER BY u.name, f.role DESC";
        let mut asked = self.db.prepare_cached(select).map_err(wrong)?;
        let rows = asked.query_map(params![found.id, user], |row| {
            let mut filing = Filing { user: row.get(0)?, folder: row.get(1)?, role: from_role(row.get(2)?), evidence: None };
            let (of, field): (Option<String>, Option<String>) = (row.get(3)?, row.get(4)?);
            filing.evidence = said.iter().filter(|said| said.user == filing.user && said.role == filing.role).find_map(|said| {
                let evidence: &Evidence = said.evidence.as_ref()?;
                (of.as_deref() == Some(kind(evidence.kind)) && field.as_ref() == Some(&evidence.field)).then(|| evidence.clone())
            });
            Ok(filing)
        });
        rows.and_then(Iterator::collect).map_err(wrong)
    }

    /// Whether the senders who are asked for wrote so few mails that these are looked at first.
    fn few_mails(&self) -> Result<bool> {
        let select = format!("SELECT count(*) FROM (SELECT 1 {OF_SENDERS} LIMIT ?1)");
        let count: u64 = self.db.query_row(&select, [FEW], |row| row.get(0)).map_err(wrong)?;
        Ok(count < FEW)
    }

    /// Puts the numbers of the addresses that are asked for into a temporary table.
    fn note_addresses(&self, table: &str, who: &[Who]) -> Result<()> {
        let make = format!("CREATE TABLE IF NOT EXISTS {table} (id INTEGER PRIMARY KEY); DELETE FROM {table}");
        self.db.execute_batch(&make).map_err(wrong)?;
        for one in who {
            let (how, value) = match one {
                Who::Address(address) => ("address = ?1", address.clone()),
                Who::Domain(domain) => ("substr(address, -length(?1)) = ?1", format!("@{domain}")),
            };
            let insert = format!("INSERT OR IGNORE INTO {table} SELECT id FROM addresses WHERE {how}");
            self.db.execute(&insert, [value]).map_err(wrong)?;
        }
        Ok(())
    }
}
