//! The profile's `[route]`, checked and made ready once, so that no message pays for it.

use mdrop::address::Address;
use mdrop::error::{Error, Result, Status};
use mdrop::folder::Template;
use mdrop::identity::Digest;
use mdrop::profile::{RouteSettings, Unknown};
use mdrop::record::CATCHALL;
use mdrop::users::{Directory, Users, settings_digest};
use std::collections::HashSet;

/// A field that the profile trusts: `name:position`, or `name` for any position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedField {
    /// The name in lower case.
    pub name: String,
    /// The how-manieth of that name from the top, from 1; any where there is none.
    pub position: Option<u32>,
}

/// The settings by which messages are routed.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Which addresses are local, and whose.
    pub directory: Directory,
    /// The envelope fields that count, in the order in which they do; empty: those found.
    pub trusted_fields: Vec<TrustedField>,
    /// What is taken off the local part in Delivered-To, the longest first.
    pub strip_prefix: Vec<String>,
    /// The hosts whose Received fields are trusted, in lower case; empty: all.
    pub trusted_by: HashSet<String>,
    /// Who may send journal reports, in normal form; empty: anybody.
    pub journal_from: HashSet<String>,
    /// What becomes of a message for nobody known.
    pub unknown: Unknown,
    /// Under whom it is filed then.
    pub catchall: String,
    /// In which folder mail is filed under its recipients.
    pub folder: Template,
    /// In which folder it is filed under its sender.
    pub sent_folder: Template,
    /// Whether it matters when a message was delivered.
    pub needs_moment: bool,
    /// Whether mail is filed under its sender.
    pub file_senders: bool,
    /// The digest of all this.
    pub digest: Digest,
}

impl Policy {
    /// The policy of a profile.
    ///
    /// # Errors
    /// [`Status::Config`], naming the value that can't be used.
    pub fn new(settings: &RouteSettings, users: Option<Users>) -> Result<Self> {
        let wrong = |what: String| Error::new(Status::Config, what).about("[route]");
        let sender = |text: &String| Address::parse(text).ok_or_else(|| wrong(format!("journal-from: “{text}” is not an address")));
        let field = |text: &String| {
            let advice =
                || wrong(format!("trusted-fields: “{text}” is not an envelope field's name and position, such as \"delivered-to:1\""));
            trusted_field(text).ok_or_else(advice)
        };
        let template = |key: &str, text: &str| Template::parse(text).map_err(|what| wrong(format!("{key} = \"{text}\": {what}")));
        let mut strip_prefix: Vec<String> = settings.strip_prefix.iter().filter(|prefix| !prefix.is_empty()).cloned().collect();
        strip_prefix.sort_by_key(|prefix| std::cmp::Reverse(prefix.len()));
        let folder = template("folder", &settings.folder)?;
        let sent_folder = template("sent-folder", settings.sent_folder.as_deref().unwrap_or(&settings.folder))?;
        let digest = settings_digest(settings, users.as_ref());
        let catchall = catchall(settings.catchall.as_deref(), users.as_ref()).map_err(wrong)?;
        let directory = Directory::new(settings, users)?;
        Ok(Self {
            digest,
            catchall,
            needs_moment: directory.is_dated() || folder.is_dated() || sent_folder.is_dated(),
            folder,
            sent_folder,
            directory,
            trusted_fields: settings.trusted_fields.iter().map(field).collect::<Result<_>>()?,
            strip_prefix,
            trusted_by: settings.trusted_by.iter().map(|host| host.trim_end_matches('.').to_ascii_lowercase()).collect(),
            journal_from: settings.journal_from.iter().map(|text| sender(text).map(|a| a.normal())).collect::<Result<_>>()?,
            unknown: settings.unknown,
            file_senders: settings.file_senders,
        })
    }
}

/// Under whom mail for nobody known is filed. With a users list only somebody of it, so that a name that is misspelt is noticed.
fn catchall(name: Option<&str>, users: Option<&Users>) -> std::result::Result<String, String> {
    let Some(name) = name else { return Ok(CATCHALL.into()) };
    if users.is_some_and(|users| !users.has_name(name)) {
        return Err(format!("catchall: there is no user “{name}”"));
    }
    let name =
        Address::parse(name).map_or_else(|| name.to_owned(), |address| if users.is_some() { name.to_owned() } else { address.normal() });
    let fits = !name.is_empty() && !name.starts_with('@') && !name.contains(char::is_control);
    if fits { Ok(name) } else { Err("catchall: a user's name can't be empty, begin with @, or hold control characters".into()) }
}

/// Fields that name whom a message is written to: what is guessed from last, whatever is trusted.
const WRITTEN: [&str; 8] = ["to", "cc", "bcc", "from", "sender", "resent-to", "resent-cc", "resent-bcc"];

fn trusted_field(text: &str) -> Option<TrustedField> {
    let (name, position) = match text.split_once(':') {
        Some((name, position)) => (name, Some(position.trim().parse().ok().filter(|position| *position > 0)?)),
        None => (text, None),
    };
    let name = name.trim().to_ascii_lowercase();
    let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()) && !WRITTEN.contains(&name.as_str());
    fits.then_some(TrustedField { name, position })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusted_fields_are_a_name_and_a_position_from_one() {
        let field = |name: &str, position| Some(TrustedField { name: name.into(), position });
        assert_eq!(trusted_field("Delivered-To:1"), field("delivered-to", Some(1)));
        assert_eq!(trusted_field("x-rcpt-to"), field("x-rcpt-to", None));
        for bad in ["", "to:1", "Resent-To", ":1", "delivered-to:0", "delivered-to:x", "delivered to:1", "a:1:2"] {
            assert_eq!(trusted_field(bad), None, "{bad}");
        }
    }
}
