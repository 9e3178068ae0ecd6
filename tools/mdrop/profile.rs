//! The profile: one TOML file that describes one multidrop mailbox and what is to be done with it (mdrop-profile(5)).
//!
//! Unknown keys are errors, because a key that is misspelt and passed over would be a setting the administrator believes in.

mod auth;
mod mistakes;

pub use auth::Auth;
pub use mistakes::{hint, parse_toml};

use crate::error::{Error, Result, Status};
use crate::identity::Account;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::path::PathBuf;
use std::time::Duration;

/// A whole profile.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name: the file's, without `.toml`.
    #[serde(skip)]
    pub name: String,
    /// Where the mail is.
    pub account: AccountSettings,
    /// Whose it is.
    #[serde(default)]
    pub route: RouteSettings,
    /// Where it goes.
    #[serde(default)]
    pub store: StoreSettings,
    /// What is deleted.
    #[serde(default)]
    pub purge: PurgeSettings,
}

/// How mail is got at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// IMAP4rev1 or rev2.
    Imap,
    /// POP3.
    Pop3,
    /// An mbox file, or a folder of them.
    Mbox,
    /// A Maildir.
    Maildir,
    /// A tree of files of one message each.
    Eml,
}

impl Protocol {
    /// Whether the mail lies on disk already.
    #[must_use]
    pub fn is_disk(self) -> bool {
        matches!(self, Self::Mbox | Self::Maildir | Self::Eml)
    }
}

/// How the messages of an mbox are told apart, and what is done with `From ` lines inside them (mdrop-profile(5)).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MboxFormat {
    /// `>` stands before each line of any number of `>` and `From `.
    #[default]
    Mboxrd,
    /// `>` stands before each line that begins with `From `.
    Mboxo,
    /// The same, and Content-Length.
    Mboxcl,
    /// Content-Length, and nothing is quoted.
    Mboxcl2,
}

/// How the connection is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// TLS from the first octet.
    #[default]
    Implicit,
    /// STARTTLS, or STLS; without it the connection is given up.
    Starttls,
    /// None.
    None,
}

/// What is done where a POP3 server has no unique-ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WithoutUidl {
    /// Nothing is fetched.
    #[default]
    Refuse,
    /// All messages are read in each run, and those whose digest is known are left out.
    Digest,
}

/// `[account]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AccountSettings {
    /// How mail is got at.
    pub protocol: Protocol,
    /// The server's name or address.
    #[serde(default)]
    pub host: String,
    /// Its port; by default what protocol and tls have it to be.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: Tls,
    /// Whether the server's certificate must be good.
    #[serde(default = "yes")]
    pub verify: bool,
    /// More authorities to trust, in PEM.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// SHA-256 digests of certificates (DER), in hex, of which the server must show one.
    #[serde(default)]
    pub pin_sha256: Vec<String>,
    /// The user name.
    #[serde(default)]
    pub username: String,
    /// A shell command whose first line of output is the password.
    #[serde(default)]
    pub password_command: Option<String>,
    /// A private file whose first line is the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// A shell command whose first line of output is an OAuth 2 access token.
    #[serde(default)]
    pub token_command: Option<String>,
    /// The way to log in, in place of the best that server and line allow.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Whether the password or token may be sent over an unencrypted line.
    #[serde(default)]
    pub cleartext_login: bool,
    /// What is done where a POP3 server has no UIDL.
    #[serde(default)]
    pub without_uidl: WithoutUidl,
    /// How long the server may be silent.
    #[serde(default = "minute", deserialize_with = "duration")]
    pub timeout: Duration,
    /// How long a name may take to be found, and a connection to be made to one address.
    #[serde(default = "half_minute", deserialize_with = "duration")]
    pub connect_timeout: Duration,
    /// How long all may take from the connection until the login is done.
    #[serde(default = "minute", deserialize_with = "duration")]
    pub login_timeout: Duration,
    /// How long a run may take.
    #[serde(default = "day", deserialize_with = "duration")]
    pub run_timeout: Duration,
    /// How often in a row a lost connection is made again with nothing fetched in between.
    #[serde(default = "five")]
    pub retries: u32,
    /// How long to wait before that; doubled each time, up to a minute.
    #[serde(default = "second", deserialize_with = "duration")]
    pub retry_pause: Duration,
    /// Which mailboxes are read; `*` stands for anything, `%` for anything within one level.
    #[serde(default = "every")]
    pub mailboxes: Vec<String>,
    /// Which of them are not.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Where the mail lies, for mail on disk; `-` is standard input.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// The kind of mbox.
    #[serde(default)]
    pub format: Option<MboxFormat>,
}

impl AccountSettings {
    /// Whether the mail comes from standard input.
    #[must_use]
    pub fn reads_stdin(&self) -> bool {
        self.protocol.is_disk() && self.path.as_ref().is_some_and(|path| path.as_os_str() == "-")
    }

    /// The port to connect to (RFC 9051 section 2.1, RFC 8314 section 3, RFC 1939 section 3).
    #[must_use]
    pub fn port(&self) -> u16 {
        let usual = match (self.protocol, self.tls) {
            (Protocol::Pop3, Tls::Implicit) => 995,
            (Protocol::Pop3, _) => 110,
            (_, Tls::Implicit) => 993,
            _ => 143,
        };
        self.port.unwrap_or(usual)
    }
}

/// What becomes of a message that belongs to nobody known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// It is filed under `@catchall`.
    #[default]
    Archive,
    /// It is not archived; a refusal says so.
    Skip,
}

/// The form of a users file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UsersFormat {
    /// TOML.
    Toml,
    /// A Postfix virtual(5) map.
    Virtual,
}

/// `[route]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RouteSettings {
    /// The local domains.
    pub domains: Vec<String>,
    /// The users file; without one, or a command, every address in the domains is its own user.
    pub users: Option<PathBuf>,
    /// In what form it is; by default as its name says.
    pub users_format: Option<UsersFormat>,
    /// A shell command that prints the users.
    pub users_command: Option<String>,
    /// What becomes of a message for nobody known.
    pub unknown: Unknown,
    /// Under whom it is filed then, in place of `@catchall`.
    pub catchall: Option<String>,
    /// In which folder a message is filed under a user: a template (mdrop-profile(5)).
    pub folder: String,
    /// The same for the mail that the user sent; `folder` where there is none.
    pub sent_folder: Option<String>,
    /// Envelope fields to trust, `name:position`, in place of those found.
    pub trusted_fields: Vec<String>,
    /// What the server puts before local parts in Delivered-To; the longest that fits is taken off.
    #[serde(deserialize_with = "one_or_more")]
    pub strip_prefix: Vec<String>,
    /// Addresses of the multidrop mailbox itself, which are never recipients.
    pub own_addresses: Vec<String>,
    /// Hosts whose Received fields are trusted.
    pub trusted_by: Vec<String>,
    /// Who may send journal reports.
    pub journal_from: Vec<String>,
    /// The characters of which each separates user and detail in a local part; empty for none.
    pub subaddress: String,
    /// Whether mail is filed under its sender, too.
    pub file_senders: bool,
}

impl RouteSettings {
    /// The form of the users file: as told, else TOML if its name ends in `.toml`, and a virtual(5) map if not.
    #[must_use]
    pub fn users_format(&self) -> UsersFormat {
        let is_toml = self.users.as_ref().is_some_and(|path| path.extension().is_some_and(|e| e == "toml"));
        self.users_format.unwrap_or(if is_toml { UsersFormat::Toml } else { UsersFormat::Virtual })
    }
}

impl Default for RouteSettings {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            users: None,
            users_format: None,
            users_command: None,
            unknown: Unknown::default(),
            catchall: None,
            folder: "{mailbox}".into(),
            sent_folder: None,
            trusted_fields: Vec::new(),
            strip_prefix: Vec::new(),
            own_addresses: Vec::new(),
            trusted_by: Vec::new(),
            journal_from: Vec::new(),
            subaddress: "+".into(),
            file_senders: true,
        }
    }
}

/// `[store]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct StoreSettings {
    /// The archive's folder.
    pub archive: Option<PathBuf>,
    /// Where the index lies, if not in the archive's cache folder.
    pub index: Option<PathBuf>,
}

/// How a message on the server is compared with the one in the archive before it is deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compare {
    /// By UIDVALIDITY, UID and the size the server claims.
    Size,
    /// By its octets, which the server must hand out again in the same session.
    Full,
}

/// `[purge]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PurgeSettings {
    /// Whether anything may be deleted at all.
    pub enabled: bool,
    /// How long a message must have been archived.
    #[serde(deserialize_with = "duration")]
    pub after: Duration,
    /// How it is compared; by default `size` for IMAP and `full` for POP3.
    pub compare: Option<Compare>,
    /// Whether plain EXPUNGE may be used where the server lacks UIDPLUS.
    pub plain_expunge: bool,
}

impl Default for PurgeSettings {
    fn default() -> Self {
        Self { enabled: false, after: Duration::from_hours(30 * 24), compare: None, plain_expunge: false }
    }
}

fn yes() -> bool {
    true
}

fn second() -> Duration {
    Duration::from_secs(1)
}

fn half_minute() -> Duration {
    Duration::from_secs(30)
}

fn minute() -> Duration {
    Duration::from_mins(1)
}

fn day() -> Duration {
    Duration::from_hours(24)
}

fn five() -> u32 {
    5
}

fn every() -> Vec<String> {
    vec!["*".into()]
}

/// A string, or a list of them.
fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<String>, D::Error> {
    struct Visitor;
    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = Vec<String>;
        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            f.write_str("a string or a list of strings")
        }
        fn visit_str<E>(self, text: &str) -> std::result::Result<Self::Value, E> {
            Ok(vec![text.to_owned()])
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Self::Value, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = list.next_element()? {
                texts.push(text);
            }
            Ok(texts)
        }
    }
    deserializer.deserialize_any(Visitor)
}

/// A number and a unit: `500ms`, `60s`, `5m`, `12h`, `30d`, `2w`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text)
        .ok_or_else(|| D::Error::custom(format!("“{text}” is not a time span such as \"60s\", \"5m\", \"12h\" or \"30d\"")))
}

/// A hundred years: longer is a mistake.
const LONGEST_SPAN: Duration = Duration::from_hours(876_600);

/// Reads a time span such as `30d`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return None,
    };
    let all = number.parse::<u64>().ok()?.checked_mul(milliseconds)?;
    Some(Duration::from_millis(all)).filter(|span| *span <= LONGEST_SPAN)
}

impl Profile {
    /// Reads a profile called `name` from its text.
    ///
    /// # Errors
    /// [`Status::Config`], with the line, what is wrong there, and the nearest key where one is unknown.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let mut profile: Self = parse_toml(text)?;
        profile.name = name.into();
        profile.check()?;
        Ok(profile)
    }

    /// The login that the profile describes.
    #[must_use]
    pub fn account(&self) -> Account {
        let AccountSettings { protocol, host, username, .. } = &self.account;
        let login = if protocol.is_disk() { String::new() } else { format!("{username}@{}", host.to_ascii_lowercase()) };
        Account { name: self.name.clone(), login }
    }

    /// How mail is compared before a purge.
    #[must_use]
    pub fn compare(&self) -> Compare {
        let usual = if self.account.protocol == Protocol::Pop3 { Compare::Full } else { Compare::Size };
        self.purge.compare.unwrap_or(usual)
    }

    fn check(&self) -> Result<()> {
        let account = &self.account;
        let wrong = |what: &str| Err(Error::new(Status::Config, what));
        if self.route.users.is_some() && self.route.users_command.is_some() {
            return wrong("[route] users and users-command can't both be set");
        }
        if self.route.users.is_none() && self.route.users_format.is_some() {
            return wrong("[route] users-format is for users");
        }
        if account.format.is_some() && account.protocol != Protocol::Mbox {
            return wrong("[account] format is for protocol = \"mbox\"");
        }
        if account.protocol == Protocol::Maildir && account.reads_stdin() {
            return wrong("a Maildir can't be read from standard input");
        }
        if account.protocol.is_disk() {
            if account.path.is_none() {
                return wrong("[account] needs path = \"…\", where the mail lies");
            }
            if self.purge.enabled {
                return wrong("[purge] is for servers; mail on disk is never deleted");
            }
            return Ok(());
        }
        if account.host.is_empty() {
            return wrong("[account] needs host = \"…\", the server's name");
        }
        if account.username.is_empty() {
            return wrong("[account] needs username = \"…\"");
        }
        let spans = [account.timeout, account.connect_timeout, account.login_timeout, account.run_timeout];
        if spans.iter().any(Duration::is_zero) {
            return wrong("[account] a timeout can't be zero");
        }
        auth::check(account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "[account]\nprotocol = \"imap\"\nhost = \"Mail.example.com\"\nusername = \"archive@example.com\"\n";

    #[test]
    fn a_short_profile_gets_the_documented_defaults() -> Result<()> {
        let profile = Profile::parse("acme", PROFILE)?;
        assert_eq!((profile.account.port(), profile.account.tls, profile.account.verify), (993, Tls::Implicit, true));
        assert_eq!(profile.account.timeout, Duration::from_mins(1));
        assert_eq!((profile.route.subaddress.as_str(), profile.route.file_senders), ("+", true));
        assert_eq!((profile.purge.enabled, profile.purge.after), (false, Duration::from_hours(720)));
        assert_eq!(profile.compare(), Compare::Size);
        assert_eq!(profile.account().login, "archive@example.com@mail.example.com");
        Ok(())
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_the_nearest_key() {
        let told = |more: &str| Profile::parse("acme", &format!("{PROFILE}{more}")).unwrap_err();
        let error = told("usrname = \"x\"\n");
        assert_eq!(error.to_string(), "line 5: unknown key “usrname”; did you mean “username”?");
        assert_eq!(error.status(), Status::Config);
        assert_eq!(told("timeout = \"soon\"\n").to_string().split(':').next(), Some("line 5"));
        assert!(told("[rout]\n").to_string().contains("did you mean “route”?"));
        assert!(told("tls = \"ssl\"\n").to_string().starts_with("line 5: unknown variant `ssl`"));
        assert!(told("timeout = \"0s\"\n").to_string().contains("zero"));
    }

    #[test]
    fn time_spans_have_a_unit() {
        assert_eq!(parse_duration("30d"), Some(Duration::from_hours(720)));
        assert_eq!(parse_duration("0d"), Some(Duration::ZERO));
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        for bad in ["", "30", "d", "-1d", "1y", "99999999999999999999d", "1000000000d", "3 d", "3é", "ms", "+3s"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
