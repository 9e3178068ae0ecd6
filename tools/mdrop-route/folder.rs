//! In which folder of a user a message is filed: the profile's template, filled in.
//!
//! What is filled in was partly written by a sender (the detail of an address), so it is one level of a folder at most, never two, and
//! never a way out of it. Only a mailbox's name has levels of its own.

use mdrop::time::Time;

/// How long one level may be, in characters.
const LONGEST_LEVEL: usize = 100;
/// Where a template comes to nothing.
const EMPTY: &str = "INBOX";

/// A template such as `{mailbox}/{detail}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

/// What can be filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Account,
    Mailbox,
    User,
    Role,
    Address,
    Domain,
    Detail,
    Year,
    Month,
    Day,
}

const FIELDS: [(&str, Field); 10] = [
    ("account", Field::Account),
    ("mailbox", Field::Mailbox),
    ("user", Field::User),
    ("role", Field::Role),
    ("address", Field::Address),
    ("domain", Field::Domain),
    ("detail", Field::Detail),
    ("year", Field::Year),
    ("month", Field::Month),
    ("day", Field::Day),
];

/// What is known of one filing. What is not known is empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Values<'a> {
    /// The profile's name.
    pub account: &'a str,
    /// The mailbox that the message was found in.
    pub mailbox: &'a str,
    /// Under whom it is filed.
    pub user: &'a str,
    /// `sender` or `recipient`.
    pub role: &'a str,
    /// The address that made it theirs.
    pub address: &'a str,
    /// That address's domain.
    pub domain: &'a str,
    /// That address's detail (RFC 5233 section 1).
    pub detail: &'a str,
    /// When the message was delivered.
    pub moment: Option<Time>,
}

impl Template {
    /// Reads a template: text with names in braces; `{{` and `}}` stand for a brace.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, behind) = rest.split_at(at);
            plain.push_str(before);
            if let Some(after) = behind.strip_prefix("{{").or_else(|| behind.strip_prefix("}}")) {
                plain.extend(behind.chars().next());
                rest = after;
                continue;
            }
            let (name, after) =
                behind.strip_prefix('{').and_then(|inner| inner.split_once('}')).ok_or("a brace stands alone; {{ is one brace")?;
            let known = FIELDS.iter().find(|(known, _)| *known == name);
            let names = || FIELDS.map(|(name, _)| format!("{{{name}}}")).join(", ");
            let (_, field) = known.ok_or_else(|| format!("“{{{name}}}” is none of {}", names()))?;
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Field(*field));
            rest = after;
        }
        plain.push_str(rest);
        if plain.contains(char::is_control) || (parts.is_empty() && plain.trim_matches('/').is_empty()) {
            return Err("a folder's name can't be empty or hold control characters".into());
        }
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }

    /// Whether the moment of delivery is in it.
    #[must_use]
    pub fn is_dated(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Field(Field::Year | Field::Month | Field::Day)))
    }

    /// The folder for one filing. Levels that come to nothing are left out; if all of them do, it is `INBOX`.
    #[must_use]
    pub fn fill(&self, values: &Values) -> String {
        if let [Part::Text(before), Part::Field(Field::Mailbox), Part::Text(behind)] = self.0.as_slice()
            && before.is_empty()
            && behind.is_empty()
        {
            return values.mailbox.to_owned();
        }
        let filled: String = self.0.iter().map(|part| part.fill(values)).collect();
        let levels: Vec<&str> = filled.split('/').map(str::trim).filter(|level| !matches!(*level, "" | "." | "..")).collect();
        if levels.is_empty() { EMPTY.into() } else { levels.join("/") }
    }
}

impl Part {
    fn fill(&self, values: &Values) -> String {
        // RFC 3339: 2026-11-23T…
        let date =
            |part: std::ops::Range<usize>| values.moment.and_then(|at| at.to_string().get(part).map(str::to_owned)).unwrap_or_default();
        match self {
            Self::Text(text) => text.clone(),
            Self::Field(Field::Mailbox) => values.mailbox.to_owned(),
            Self::Field(Field::Account) => level(values.account),
            Self::Field(Field::User) => level(values.user),
            Self::Field(Field::Role) => level(values.role),
            Self::Field(Field::Address) => level(values.address),
            Self::Field(Field::Domain) => level(values.domain),
            Self::Field(Field::Detail) => level(values.detail),
            Self::Field(Field::Year) => date(0..4),
            Self::Field(Field::Month) => date(5..7),
            Self::Field(Field::Day) => date(8..10),
        }
    }
}

/// A value as one level: what would part it, or can't be seen, is replaced.
fn level(value: &str) -> String {
    let safe = |c: char| if c == '/' || c.is_control() { '_' } else { c };
    value.chars().take(LONGEST_LEVEL).map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str, values: &Values) -> String {
        Template::parse(template).unwrap().fill(values)
    }

    #[test]
    fn a_template_is_filled_in_level_by_level() {
        let moment = Some(Time::from_unix(1_795_000_000));
        let (address, domain) = ("a+news@example.com", "example.com");
        let values = Values {
            account: "acme",
            mailbox: "Lists/Rust",
            user: "a@example.com",
            role: "recipient",
            address,
            domain,
            detail: "news",
            moment,
        };
        for (template, expected) in [
            ("{mailbox}", "Lists/Rust"),
            ("{mailbox}/{detail}", "Lists/Rust/news"),
            ("{role}/{year}-{month}", "recipient/2026-11"),
            ("{domain}/{user}/{address}", "example.com/a@example.com/a+news@example.com"),
            ("x{{{detail}}}", "x{news}"),
            ("Archive", "Archive"),
        ] {
            assert_eq!(filled(template, &values), expected, "{template}");
        }
        assert_eq!(filled("{detail}", &Values::default()), "INBOX");
        assert_eq!(filled("{mailbox}/{detail}", &Values { mailbox: "INBOX", ..Values::default() }), "INBOX");
    }

    #[test]
    fn what_a_sender_wrote_is_one_level_at_most() {
        for detail in ["../../etc", "/", "a/b", "..", "\n", "x\0"] {
            let folder = filled("Mail/{detail}", &Values { detail, ..Values::default() });
            assert!(
                folder.split('/').count() <= 2 && !folder.contains(char::is_control) && !folder.split('/').any(|l| l == ".."),
                "{folder}"
            );
        }
        assert_eq!(filled("{detail}", &Values { detail: &"x".repeat(5000), ..Values::default() }).len(), LONGEST_LEVEL);
    }

    #[test]
    fn a_template_with_a_mistake_is_refused() {
        for wrong in ["", "/", "{nobody}", "{", "}", "{user", "a\nb", "{user}}"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Template::parse("{box}").is_err_and(|what| what.contains("{mailbox}")));
    }
}
