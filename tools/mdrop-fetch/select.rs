//! Which mailboxes are read, without I/O: the profile's patterns, less what it excludes, less what can't be opened.
//!
//! Left to the default, mail that nobody wants archived twice or at all (\Trash, \Junk, \Drafts) and mailboxes that are not the
//! account's own stay out; what a profile names is read whatever it is.

use mdrop::net::imap::{Mailbox, Namespaces};
use mdrop::octets::Octets;

/// Whether a mailbox is read, or why it is not.
pub fn unread(mailbox: &Mailbox, spaces: &Namespaces, patterns: &[String], exclude: &[String]) -> Option<String> {
    if let Some(attribute) = ["\\noselect", "\\nonexistent"].into_iter().find(|a| mailbox.is(a)) {
        return Some(format!("it can't be opened ({attribute})"));
    }
    if let Some(pattern) = exclude.iter().find(|pattern| covers(pattern, mailbox)) {
        return Some(format!("excluded by “{pattern}”"));
    }
    if !patterns.iter().any(|pattern| covers(pattern, mailbox)) {
        return Some("not among the profile's mailboxes".into());
    }
    if patterns != ["*"] {
        return None;
    }
    if spaces.is_foreign(&mailbox.name) {
        return Some("it belongs to another user or is shared, and is not named in the profile".into());
    }
    let special = ["\\trash", "\\junk", "\\drafts"].into_iter().find(|attribute| mailbox.is(attribute));
    special.map(|attribute| format!("left out by default ({attribute})"))
}

/// The same for a mailbox on disk, which has a name and nothing else.
pub fn unread_name(name: &Octets, patterns: &[String], exclude: &[String]) -> Option<String> {
    let mailbox = Mailbox::named(&name.lossy(), Some('/'), &[]);
    unread(&mailbox, &Namespaces::default(), patterns, exclude)
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
            unread(mailbox, &spaces, &owned(patterns), &owned(exclude)).is_some()
        };
        let plain = Mailbox::named("Lists", Some('/'), &[]);
        let trash = Mailbox::named("Bin", Some('/'), &["\\Trash"]);
        let shared = Mailbox::named("Shared/x", Some('/'), &[]);
        let folder = Mailbox::named("F", Some('/'), &["\\Noselect"]);
        assert!(!unread(&plain, &["*"], &[]) && unread(&plain, &["*"], &["L%"]) && unread(&plain, &["INBOX"], &[]));
        assert!(unread(&trash, &["*"], &[]) && !unread(&trash, &["Bin"], &[]));
        assert!(unread(&shared, &["*"], &[]) && !unread(&shared, &["Shared/*"], &[]));
        assert!(unread(&folder, &["F"], &[]));
    }
}
