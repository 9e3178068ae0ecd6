//! The question as it stands on the command line.

use mdrop::address::{Address, fold_domain};
use mdrop::archive::index::{Question, Who};
use mdrop::archive::text::{Asked, Level, Term};
use mdrop::error;
use mdrop::identity::Digest;
use mdrop::profile::parse_duration;
use mdrop::record::{Kind, Role};
use mdrop::time::Time;

/// What is asked for.
#[derive(clap::Args)]
pub struct Terms {
    /// Words, "phrases" and begin* that stand in the subject, the text, names, addresses or names of attachments.
    #[arg(value_name = "WORDS")]
    words: Vec<String>,
    /// The same, and none of them may stand there.
    #[arg(long, value_name = "WORDS")]
    not: Vec<String>,
    /// The same, in the subject.
    #[arg(long, value_name = "WORDS")]
    subject: Vec<String>,
    /// Filed under this user; only what this user may know is printed.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Filed in this folder.
    #[arg(long, value_name = "NAME")]
    folder: Option<String>,
    /// Filed under somebody who is its sender, or recipient.
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: Option<Role>,
    /// Filed on this evidence: a kind, and perhaps a field.
    #[arg(long, value_name = "KIND[:FIELD]", value_parser = evidence)]
    evidence: Option<(Kind, Option<String>)>,
    /// Sent by this address, or by anybody at @domain.
    #[arg(long, value_name = "ADDRESS", value_parser = who)]
    from: Vec<Who>,
    /// Delivered or addressed to this address, or to anybody at @domain.
    #[arg(long, value_name = "ADDRESS", value_parser = who)]
    to: Vec<Who>,
    /// With this Message-ID, with or without angle brackets.
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// The message with this digest.
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    digest: Option<Digest>,
    /// Dated no earlier: a day, a time, or so long ago.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Time>,
    /// Dated before.
    #[arg(long, value_name = "TIME", value_parser = time)]
    before: Option<Time>,
    /// Of more octets, such as 500k or 10M.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    larger: Option<u64>,
    /// Of fewer octets.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    smaller: Option<u64>,
    /// Seen in this account: a profile's name.
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// With an attachment.
    #[arg(long)]
    has_attachment: bool,
}

impl Terms {
    /// What the index is asked.
    pub fn question(&self) -> Question {
        let Self { user, folder, role, evidence, from, to, message_id, digest, since, before, larger, smaller, account, .. } = self;
        Question {
            user: user.clone(),
            folder: folder.clone(),
            role: *role,
            evidence: evidence.clone(),
            senders: from.clone(),
            recipients: to.clone(),
            message_id: message_id.clone(),
            digest: *digest,
            since: *since,
            before: *before,
            larger: *larger,
            smaller: *smaller,
            account: account.clone(),
            matches: None,
            newest_first: false,
        }
    }

    /// What the words are asked, and how much of the messages that takes; none if nothing is.
    pub fn asked(&self) -> error::Result<Option<(Asked, Level)>> {
        let all = |texts: &[String]| -> error::Result<Vec<Term>> {
            Ok(texts.iter().map(|text| Term::parse(text)).collect::<error::Result<Vec<_>>>()?.concat())
        };
        let asked =
            Asked { words: all(&self.words)?, subject: all(&self.subject)?, without: all(&self.not)?, has_attachment: self.has_attachment };
        let needs_text = !asked.words.is_empty() || !asked.without.is_empty() || asked.has_attachment;
        let level = if needs_text { Level::Bodies } else { Level::Heads };
        Ok((asked != Asked::default()).then_some((asked, level)))
    }
}

fn role(text: &str) -> Result<Role, String> {
    match text {
        "sender" => Ok(Role::Sender),
        "recipient" => Ok(Role::Recipient),
        _ => Err("a role is sender or recipient".into()),
    }
}

fn evidence(text: &str) -> Result<(Kind, Option<String>), String> {
    let (kind, field) = text.split_once(':').map_or((text, None), |(kind, field)| (kind, Some(field.to_ascii_lowercase())));
    let kind = serde_json::from_value(kind.into()).map_err(|_| "a kind is journal, envelope, received, resent, header or sender")?;
    Ok((kind, field))
}

fn who(text: &str) -> Result<Who, String> {
    if let Some(domain) = text.strip_prefix('@') {
        return fold_domain(domain).map(Who::Domain).ok_or_else(|| "not a domain".into());
    }
    Address::parse(text).map(|address| Who::Address(address.normal())).ok_or_else(|| "neither an address nor @domain".into())
}

fn digest(text: &str) -> Result<Digest, String> {
    let digest = if text.starts_with("blake3:") { text.to_owned() } else { format!("blake3:{text}") };
    serde_json::from_value(digest.to_ascii_lowercase().into()).map_err(|_| "a digest is blake3: and 64 hexadecimal digits".into())
}

/// A day (its beginning in UTC), a time of RFC 3339, or how long ago.
fn time(text: &str) -> Result<Time, String> {
    let day = || format!("{text}T00:00:00Z").parse().ok();
    let ago = || {
        let span = i64::try_from(parse_duration(text)?.as_secs()).ok()?;
        Some(Time::from_unix(Time::now().unix().saturating_sub(span)))
    };
    text.parse()
        .ok()
        .or_else(day)
        .or_else(ago)
        .ok_or_else(|| "a time is 2026-11-01, 2026-11-01T08:00:00Z or, so long ago, 12h, 7d or 4w".into())
}

/// Octets: a number, or one of KiB (`k`), MiB (`M`) or GiB (`G`).
fn size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "" => 0,
        "k" | "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err("a size is a number, with k, M or G behind it for 1024 octets and so on".into()),
    };
    let number = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    number.ok_or_else(|| "not a number of octets".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_as_people_write_them() {
        assert_eq!(time("2026-11-01").map(|time| time.to_string()).as_deref(), Ok("2026-11-01T00:00:00Z"));
        assert_eq!(time("2026-11-01T08:00:00+01:00").map(|time| time.to_string()).as_deref(), Ok("2026-11-01T07:00:00Z"));
        let week = Time::now().unix() - 7 * 86_400;
        assert!((week - 5..=week + 5).contains(&time("7d").unwrap().unix()));
        assert_eq!((size("10M"), size("0"), size("3k")), (Ok(10 << 20), Ok(0), Ok(3072)));
        assert!(["", "-1", "x", "2026-13-01", "7y"].iter().all(|text| time(text).is_err()));
        assert!(["", "M", "-1", "1T", "99999999999999999999", "99999999999G"].iter().all(|text| size(text).is_err()));
    }

    #[test]
    fn addresses_digests_and_evidence_are_read_in_any_case() {
        assert_eq!(who("Alice <x"), Err("neither an address nor @domain".into()));
        assert_eq!(who("Alice@Example.COM"), Ok(Who::Address("alice@example.com".into())));
        assert_eq!(who("@M\u{fc}ller.example"), Ok(Who::Domain("xn--mller-kva.example".into())));
        assert_eq!(evidence("envelope:Delivered-To"), Ok((Kind::Envelope, Some("delivered-to".into()))));
        assert!(evidence("guess").is_err() && role("owner").is_err() && digest("abc").is_err());
        let one = Digest::of(b"x");
        assert_eq!((digest(&one.to_string()), digest(&one.to_string().to_uppercase()[7..])), (Ok(one), Ok(one)));
    }
}
