//! Which mailboxes are read, without I/O: the profile's patterns, less what it excludes, less what can't be opened.
//!
//! Left to the default, mail that nobody wants archived twice or at all (\Trash, \Junk, \Drafts) and mailboxes that are not the
//! account's own stay out, and all others where one mailbox holds every message (\All, RFC 6154), since there mail without a label is found
//! too. What a profile names is read whatever it is.

use mdrop::net::imap::{Mailbox, Namespaces};
use mdrop::octets::Octets;

/// The profile's choice among the mailboxes of an account.
pub struct Choice<'c> {
    spaces: &'c Namespaces,
    patterns: &'c [String],
    exclude: &'c [String],
    /// The mailbox that holds the messages of all others, where the server has one and the profile leaves the choice to us.
    all: Option<&'c Mailbox>,
}

impl<'c> Choice<'c> {
    /// What `patterns` and `exclude` choose among these mailboxes.
    pub fn new(mailboxes: &'c [Mailbox], spaces: &'c Namespaces, patterns: &'c [String], exclude: &'c [String]) -> Self {
        let choice = Self { spaces, patterns, exclude, all: None };
        let all = mailboxes.iter().find(|mailbox| mailbox.is("\\all") && choice.unread(mailbox).is_none());
        Self { all, ..choice }
    }

    /// Whether the profile names a mailbox, and does not only leave the choice to us with `*`.
    fn names(&self, mailbox: &Mailbox) -> bool {
        self.patterns.iter().any(|pattern| pattern != "*" && covers(pattern, mailbox))
    }

    /// Whether the profile names a mailbox so that it can only mean what is others' or shared.
    fn names_foreign(&self, mailbox: &Mailbox) -> bool {
        let named = |pattern: &String| -> Octets { pattern.split(['*', '%']).next().unwrap_or_default().into() };
        // One that begins with a wildcard means nothing of others, even where their namespace has no prefix, as Cyrus has it.
        let foreign = |name: &Octets| !name.as_bytes().is_empty() && self.spaces.is_foreign(name);
        self.patterns.iter().any(|pattern| covers(pattern, mailbox) && foreign(&named(pattern)))
    }

    /// Why a mailbox is not read; none if it is.
    pub fn unread(&self, mailbox: &Mailbox) -> Option<String> {
        if let Some(attribute) = ["\\noselect", "\\nonexistent"].into_iter().find(|a| mailbox.is(a)) {
            return Some(format!("it can't be opened ({attribute})"));
        }
        if let Some(pattern) = self.exclude.iter().find(|pattern| covers(pattern, mailbox)) {
            return Some(format!("excluded by “{pattern}”"));
        }
        if !self.patterns.iter().any(|pattern| covers(pattern, mailbox)) {
            return Some("not among the profile's mailboxes".into());
        }
        if self.spaces.is_foreign(&mailbox.name) && !self.names_foreign(mailbox) {
            return Some("it belongs to another user or is shared, and is not named in the profile".into());
        }
        if self.names(mailbox) {
            return None;
        }
        if let Some(attribute) = ["\\trash", "\\junk", "\\drafts"].into_iter().find(|attribute| mailbox.is(attribute)) {
            return Some(format!("left out by default ({attribute})"));
        }
        let other = self.all.filter(|all| all.name != mailbox.name);
        other.map(|all| format!("its messages are read in “{}”, which holds those of all mailboxes (\\all)", all.name))
    }
}

/// The names in the profile that no mailbox has.
pub fn missing(patterns: &[String], mailboxes: &[Mailbox]) -> Vec<String> {
    let names = patterns.iter().filter(|pattern| !pattern.contains(['*', '%']));
    names.filter(|name| !mailboxes.iter().any(|mailbox| covers(name, mailbox))).cloned().collect()
}

/// The same for a mailbox on disk, which has a name and nothing else.
pub fn unread_name(name: &Octets, delimiter: char, patterns: &[String], exclude: &[String]) -> Option<String> {
    let mailbox = Mailbox::named(&name.lossy(), Some(delimiter), &[]);
    Choice::new(&[], &Namespaces::default(), patterns, exclude).unread(&mailbox)
}

/// The names in the profile that none of these mailboxes on disk has.
pub fn missing_names<'a>(patterns: &[String], names: impl Iterator<Item = &'a Octets>) -> Vec<String> {
    let mailboxes: Vec<Mailbox> = names.map(|name| Mailbox::named(&name.lossy(), None, &[])).collect();
    missing(patterns, &mailboxes)
}

/// Whether a pattern names a mailbox: `*` stands for anything, `%` for anything but the delimiter (RFC 9051 section 6.3.9).
pub fn covers(pattern: &str, mailbox: &Mailbox) -> bool {
    let name: Vec<char> = mailbox.name.lossy().chars().collect();
    let pattern = if pattern.eq_ignore_ascii_case("INBOX") { "INBOX" } else { pattern };
    // reached[i]: the pattern so far can end just before name[i].
    let mut reached = vec![false; name.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    for wanted in pattern.chars() {
        reached = step(&reached, &name, wanted, mailbox.delimiter);
    }
    reached.last() == Some(&true)
}

fn step(reached: &[bool], name: &[char], wanted: char, delimiter: Option<char>) -> Vec<bool> {
    let mut next = Vec::with_capacity(reached.len());
    let mut open = false;
    for (at, here) in reached.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| Some((*name.get(at)?, *reached.get(at)?)));
        let now = match (wanted, before) {
            ('*', _) => open || *here,
            ('%', Some((c, _))) => *here || (open && Some(c) != delimiter),
            ('%', None) => *here,
            (wanted, before) => before.is_some_and(|(c, reached)| reached && c == wanted),
        };
        open = now;
        next.push(now);
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_mailboxes_as_list_does() {
        let cases = [
            ("*", "a/b/c", true),
            ("%", "a/b", false),
            ("%", "a", true),
            ("%/b", "a/b", true),
            ("%/b", "a/c/b", false),
            ("*/b", "a/c/b", true),
            ("inbox", "INBOX", true),
            ("Inbox/x", "INBOX/x", false),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "ab", false),
            ("", "", true),
            ("", "a", false),
            ("**", "x", true),
            ("a%b*", "a-b/c", true),
            ("Grü%", "Grüße", true),
            ("*a*a*a*b", "aaaaaaaaaaaa", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(covers(pattern, &Mailbox::named(name, Some('/'), &[])), expected, "{pattern} {name}");
        }
        assert!(covers("%", &Mailbox::named("a/b", None, &[])));
    }

    #[test]
    fn the_default_leaves_out_what_a_profile_can_still_name() {
        let spaces = Namespaces { personal: vec!["".into()], foreign: vec!["Shared/".into()] };
        let unread = |mailbox: &Mailbox, patterns: &[&str], exclude: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
            Choice::new(&[], &spaces, &owned(patterns), &owned(exclude)).unread(mailbox).is_some()
        };
        let plain = Mailbox::named("Lists", Some('/'), &[]);
        let trash = Mailbox::named("Bin", Some('/'), &["\\Trash"]);
        let shared = Mailbox::named("Shared/x", Some('/'), &[]);
        let folder = Mailbox::named("F", Some('/'), &["\\Noselect"]);
        assert!(!unread(&plain, &["*"], &[]) && unread(&plain, &["*"], &["L%"]) && unread(&plain, &["INBOX"], &[]));
        assert!(unread(&trash, &["*"], &[]) && !unread(&trash, &["Bin"], &[]));
        assert!(unread(&shared, &["*"], &[]) && !unread(&shared, &["Shared/*"], &[]) && !unread(&shared, &["*", "Shared/x"], &[]));
        assert!(unread(&shared, &["%", "S*", "INBOX"], &[]), "a pattern that begins elsewhere names nothing of others");
        assert!(unread(&trash, &["*", "INBOX"], &[]) && !unread(&plain, &["*", "Shared/*"], &[]));
        assert!(unread(&folder, &["F"], &[]));
    }

    #[test]
    fn where_foreign_names_have_no_prefix_a_wildcard_brings_in_none() {
        let spaces = Namespaces { personal: vec!["INBOX.".into()], foreign: vec!["user.".into(), "".into()] };
        let unread = |name: &str, pattern: &str| {
            Choice::new(&[], &spaces, &[pattern.to_owned()], &[]).unread(&Mailbox::named(name, Some('.'), &[])).is_some()
        };
        assert!(!unread("INBOX.a", "*") && unread("user.bob", "*") && unread("lists", "%") && unread("lists", "*"));
        assert!(!unread("user.bob", "user.*") && !unread("lists", "lists"));
    }

    #[test]
    fn a_mailbox_that_holds_all_messages_is_read_in_place_of_the_others() {
        let spaces = Namespaces { personal: vec!["".into()], foreign: Vec::new() };
        let gmail = [
            Mailbox::named("INBOX", Some('/'), &[]),
            Mailbox::named("[Gmail]", Some('/'), &["\\Noselect"]),
            Mailbox::named("[Gmail]/All Mail", Some('/'), &["\\All"]),
            Mailbox::named("[Gmail]/Trash", Some('/'), &["\\Trash"]),
            Mailbox::named("Work", Some('/'), &[]),
        ];
        let read = |patterns: &[&str], exclude: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
            let (patterns, exclude) = (owned(patterns), owned(exclude));
            let choice = Choice::new(&gmail, &spaces, &patterns, &exclude);
            gmail.iter().filter(|mailbox| choice.unread(mailbox).is_none()).map(|mailbox| mailbox.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(read(&["*"], &[]), ["[Gmail]/All Mail"]);
        assert_eq!(read(&["*"], &["*All*"]), ["INBOX", "Work"]);
        assert_eq!(read(&["INBOX", "*"], &[]), ["INBOX", "[Gmail]/All Mail"]);
        assert_eq!(read(&["INBOX", "%"], &[]), ["INBOX", "Work"]);
        assert_eq!(read(&["*", "*/Trash"], &[]), ["[Gmail]/All Mail", "[Gmail]/Trash"]);
        assert_eq!(missing(&["Work".into(), "Wrok".into(), "%x".into()], &gmail), ["Wrok"]);
    }
}
