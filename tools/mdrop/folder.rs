//! In which folder of a user a message is filed: the profile's template, filled in.
//!
//! What is filled in was partly written by a sender (the detail of an address), so it is one level of a folder at most, never two, and
//! never a way out of it. Only a mailbox's name has levels of its own.

use crate::time::Time;

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
        if let Some(mailbox) = self.plain_mailbox(values) {
            return mailbox.to_owned();
        }
        let filled = normal(&self.0.iter().map(|part| part.fill(values)).collect::<String>());
        if filled.is_empty() { EMPTY.into() } else { filled }
    }
}

impl Template {
    /// In which folder a filing lies after its message was moved: what the template gives for `new`, if `folder` is what it gives for
    /// `old`; none if something else put it there. What only routing knew (the address, a date) is read out of `folder`.
    #[must_use]
    pub fn moved(&self, folder: &str, old: &Values, new: &Values) -> Option<String> {
        if let Some(plain) = self.plain_mailbox(old) {
            return (folder == plain).then(|| new.mailbox.to_owned());
        }
        let (before, after) = (self.pattern(old), self.pattern(new));
        let levels: Vec<&str> = if folder == EMPTY && normal(&before).is_empty() { Vec::new() } else { folder.split('/').collect() };
        let pattern: Vec<&str> = before.split('/').map(str::trim).filter(|level| !is_nothing(level)).collect();
        let mut values = read_levels(&pattern, &levels)?.into_iter();
        let filled: String = after.chars().map(|c| if c == OPEN { values.next().unwrap_or_default() } else { c.to_string() }).collect();
        Some(normal(&filled)).map(|filled| if filled.is_empty() { EMPTY.into() } else { filled })
    }

    /// The mailbox's name as it is, if the template is nothing else.
    fn plain_mailbox<'v>(&self, values: &Values<'v>) -> Option<&'v str> {
        let [Part::Text(before), Part::Field(Field::Mailbox), Part::Text(behind)] = self.0.as_slice() else { return None };
        (before.is_empty() && behind.is_empty()).then_some(values.mailbox)
    }

    /// The template filled in as far as can be, with [`OPEN`] for what only routing knew.
    fn pattern(&self, values: &Values) -> String {
        let known = |part: &Part| !matches!(part, Part::Field(field) if field.is_of_routing());
        self.0.iter().map(|part| if known(part) { part.fill(values) } else { OPEN.to_string() }).collect()
    }
}

/// Stands in a pattern for a value that is not known; no value and no template holds control characters.
const OPEN: char = '\u{1}';

fn is_nothing(level: &str) -> bool {
    matches!(level, "" | "." | "..")
}

/// A folder's levels without those that come to nothing.
fn normal(filled: &str) -> String {
    let levels: Vec<&str> = filled.split('/').map(str::trim).filter(|level| !is_nothing(level)).collect();
    levels.join("/")
}

/// The values for which these levels are what the pattern gives, in their order. A level that holds nothing else may be missing.
fn read_levels(pattern: &[&str], levels: &[&str]) -> Option<Vec<String>> {
    let Some((first, pattern)) = pattern.split_first() else { return levels.is_empty().then(Vec::new) };
    let opens = first.matches(OPEN).count();
    let here = levels.split_first().and_then(|(level, levels)| {
        let mut values = read_level(first, level)?;
        values.extend(read_levels(pattern, levels)?);
        Some(values)
    });
    let absent = || {
        let only_open = opens > 0 && first.chars().all(|c| c == OPEN);
        let rest = read_levels(pattern, levels).filter(|_| only_open)?;
        Some(std::iter::repeat_n(String::new(), opens).chain(rest).collect())
    };
    here.or_else(absent)
}

/// The values for which a level is what its pattern gives; each ends where the text behind it is met first, the last one at the end.
fn read_level(pattern: &str, level: &str) -> Option<Vec<String>> {
    let mut texts = pattern.split(OPEN);
    let (mut rest, mut values) = (level.strip_prefix(texts.next().unwrap_or_default())?, Vec::new());
    let texts: Vec<&str> = texts.collect();
    for (n, text) in texts.iter().enumerate() {
        let last = n + 1 == texts.len();
        let end = if last { rest.len().checked_sub(text.len()).filter(|_| rest.ends_with(text)) } else { rest.find(text) }?;
        let (value, behind) = rest.split_at(end);
        values.push(value.to_owned());
        rest = behind.get(text.len()..)?;
    }
    rest.is_empty().then_some(values)
}

impl Field {
    /// Whether only routing knew it: it is no matter of where the message lies.
    fn is_of_routing(self) -> bool {
        matches!(self, Self::Address | Self::Domain | Self::Detail | Self::Year | Self::Month | Self::Day)
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
    fn a_filing_follows_its_message_and_keeps_what_routing_knew() {
        let cases = [
            ("{mailbox}", "INBOX", Some("Archive/2026")),
            ("{mailbox}", "Other", None),
            ("{mailbox}/{detail}", "INBOX/news", Some("Archive/2026/news")),
            ("{mailbox}/{detail}", "INBOX", Some("Archive/2026")),
            ("{mailbox}/{detail}", "Other/news", None),
            ("{mailbox}/{detail}", "INBOX/a/b", None),
            ("{detail}/{mailbox}", "INBOX", Some("Archive/2026")),
            ("{year}-{month}/{mailbox}/x", "2026-11/INBOX/x", Some("2026-11/Archive/2026/x")),
            ("{year}-{month}/{mailbox}/x", "202611/INBOX/x", None),
            ("Mail/{user}", "Mail/a@example.com", Some("Mail/a@example.com")),
            ("Mail/{user}", "Mail/b@example.com", None),
            ("{detail}", "INBOX", Some("INBOX")),
            ("All", "All", Some("All")),
            ("All", "Else", None),
        ];
        let old = Values { mailbox: "INBOX", user: "a@example.com", role: "recipient", account: "acme", ..Values::default() };
        let new = Values { mailbox: "Archive/2026", ..old };
        for (template, folder, expected) in cases {
            assert_eq!(Template::parse(template).unwrap().moved(folder, &old, &new).as_deref(), expected, "{template} {folder}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_a_template_gives_follows_whatever_the_values(
            template in "(\\{mailbox\\}|\\{detail\\}|\\{year\\}|x|/|-){1,6}", mailbox in "[a-c/]{1,5}", detail in "[a-c-]{0,3}", year in 0i64..2_000_000_000,
        ) {
            let Ok(template) = Template::parse(&template) else { return Ok(()) };
            let values = Values { mailbox: &mailbox, detail: &detail, moment: Some(Time::from_unix(year)), ..Values::default() };
            let known = Values { mailbox: &mailbox, ..Values::default() };
            let folder = template.fill(&values);
            // To where it is already: whatever was read out of the folder, it comes to the same folder.
            proptest::prop_assert_eq!(template.moved(&folder, &known, &known), Some(folder));
        }
    }

    #[test]
    fn a_template_with_a_mistake_is_refused() {
        for wrong in ["", "/", "{nobody}", "{", "}", "{user", "a\nb", "{user}}"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Template::parse("{box}").is_err_and(|what| what.contains("{mailbox}")));
    }
}
