//! Names of folders and users on disk. A server, or the sender of a mail, may have chosen them: none leads out of its place, and two that are
//! different stay different.
//!
//! Where a name can't stand as it is, what is left of it gets a hash of the whole behind it. One that looks as if it had one gets one, too,
//! so nobody can name a folder like another one that was changed.

use mdrop::utf7;
use std::collections::HashMap;
use unicode_normalization::UnicodeNormalization;

/// How long a name may be, in octets; file systems take 255.
const LONGEST: usize = 180;
/// How many levels a folder may have.
const DEEPEST: usize = 16;
/// How many digits of a hash a changed name has.
const DIGITS: usize = 16;
/// What Windows takes for devices, whatever follows behind a dot.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// The sub-folder for a mail folder, as Maildir++ has it and Dovecot reads it: `.Name`, levels parted by dots, in modified UTF-7. `INBOX` is
/// the Maildir itself, and empty.
pub fn maildir(folder: &str) -> String {
    if folder.eq_ignore_ascii_case("INBOX") {
        return String::new();
    }
    let safe = |c: char| if c.is_control() || c == '.' || c == '\\' { '_' } else { c };
    let levels: Vec<String> = folder.split('/').map(|level| tilde(&level.chars().map(safe).collect::<String>())).collect();
    let levels: Vec<&str> = levels.iter().map(|level| if level.is_empty() { "_" } else { level.as_str() }).collect();
    let mut name = levels.join(".");
    let is_same = name.replace('.', "/") == folder && !is_marked(&name) && utf7::encode(&name).len() <= LONGEST;
    while utf7::encode(&name).len() > LONGEST {
        name.pop();
    }
    let name = if is_same { name } else { marked(name.trim_end_matches('.'), folder) };
    format!(".{}", utf7::encode(&name))
}

/// Dovecot takes no name that begins with `~`.
fn tilde(level: &str) -> String {
    level.strip_prefix('~').map_or_else(|| level.to_owned(), |rest| format!("_{rest}"))
}

/// One level that every file system takes, Windows' too.
fn level(original: &str) -> String {
    let safe = |c: char| if c.is_control() || "<>:\"/\\|?*".contains(c) { '_' } else { c };
    let mut name: String = original.chars().map(safe).collect();
    while name.len() > LONGEST {
        name.pop();
    }
    let mut name = name.trim_end_matches(['.', ' ']).trim_start_matches(' ').to_owned();
    if name.starts_with('.') {
        name.replace_range(..1, "_");
    }
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    let numbered = ["com", "lpt"].iter().filter_map(|port| stem.strip_prefix(port)).any(|rest| rest.chars().count() == 1);
    let bad = name.is_empty() || numbered || DEVICES.contains(&stem.as_str()) || name.to_lowercase().ends_with(".eml");
    if bad {
        name.insert(0, '_');
    }
    if name == original && !is_marked(&name) { name } else { marked(&name, original) }
}

/// A folder as a path that every file system takes.
fn path(folder: &str) -> String {
    if folder.eq_ignore_ascii_case("INBOX") {
        return "INBOX".into();
    }
    let levels: Vec<String> = folder.splitn(DEEPEST, '/').map(level).collect();
    levels.join("/")
}

fn marked(name: &str, original: &str) -> String {
    let hash = blake3::hash(original.as_bytes()).to_hex();
    format!("{name}-{}", hash.get(..DIGITS).unwrap_or_default())
}

fn is_marked(name: &str) -> bool {
    let digits = name.rsplit_once('-').map_or("", |(_, digits)| digits);
    digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The paths given out in a run: where a file system knows no case, two names that differ in nothing else would be one.
#[derive(Default)]
pub struct Paths {
    /// By user and folder.
    given: HashMap<(Option<String>, String), String>,
    /// What each path was given out for, by the path in small letters.
    taken: HashMap<String, (Option<String>, String)>,
}

impl Paths {
    /// The path of a user's folder, or of the folder alone.
    pub fn of(&mut self, user: Option<&str>, folder: &str) -> String {
        let asked = (user.map(str::to_owned), folder.to_owned());
        if let Some(path) = self.given.get(&asked) {
            return path.clone();
        }
        let home = user.map(|user| self.user(user) + "/").unwrap_or_default();
        let path = self.distinct(format!("{home}{}", path(folder)), &asked);
        self.given.insert(asked, path.clone());
        path
    }

    /// The folder of a user.
    pub fn user(&mut self, user: &str) -> String {
        self.distinct(level(user), &(Some(user.to_owned()), String::new()))
    }

    fn distinct(&mut self, path: String, asked: &(Option<String>, String)) -> String {
        let fold = |path: &str| path.nfc().collect::<String>().to_lowercase();
        match self.taken.get(&fold(&path)) {
            None => drop(self.taken.insert(fold(&path), asked.clone())),
            Some(other) if other == asked => {}
            Some(_) => return marked(&path, &format!("{}\0{}", asked.0.as_deref().unwrap_or_default(), asked.1)),
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const HOSTILE: [&str; 40] = [
        "",
        "/",
        "//",
        ".",
        "..",
        "../x",
        "../../etc",
        "a/../b",
        "a//b",
        "a/b",
        "/a/b",
        "a/b/",
        "a.b",
        "a_b",
        "cur",
        "new",
        "tmp",
        "~",
        "~root",
        "_root",
        "a\0b",
        "a\nb",
        "a\\b",
        "a:b",
        "a*b",
        "CON",
        "nul.txt",
        "com1",
        "end.",
        "end..",
        "end ",
        " end",
        "a.eml",
        "x|y",
        "Entwürfe",
        "日本語/台北",
        "a&b",
        "INBOX/x",
        "Sent",
        "sent",
    ];

    fn one_name(name: &str) -> bool {
        let clean = !name.is_empty() && name != "." && name != ".." && name.len() < 255 && !name.contains(['/', '\0', '\\']);
        clean && !name.chars().any(char::is_control)
    }

    #[test]
    fn hostile_names_stay_in_their_place_and_stay_different() {
        let long = [format!("{}a", "x".repeat(300)), format!("{}b", "x".repeat(300)), "ü".repeat(300), "a/".repeat(2000)];
        let names: Vec<&str> = HOSTILE.into_iter().chain(long.iter().map(String::as_str)).collect();
        let maildirs: HashSet<String> = names.iter().map(|name| maildir(name)).collect();
        assert_eq!(maildirs.len(), names.len());
        assert!(maildirs.iter().all(|name| one_name(name) && name.starts_with('.') && !name[1..].starts_with(['.', '~'])), "{maildirs:?}");
        let mut paths = Paths::default();
        let found: HashSet<String> = names.iter().map(|name| paths.of(Some("a@x"), name).to_lowercase()).collect();
        assert_eq!(found.len(), names.len());
        let good = |path: &String| {
            path.len() < 3500 && path.split('/').all(|level| one_name(level) && !level.ends_with(['.', ' ']) && !level.starts_with('.'))
        };
        assert!(found.iter().all(good), "{found:?}");
        let again: HashSet<String> = names.iter().map(|name| paths.of(Some("a@x"), name).to_lowercase()).collect();
        assert_eq!(again, found);
    }

    #[test]
    fn plain_names_stay_as_they_are() {
        for (folder, wanted, path) in [
            ("INBOX", "", "INBOX"),
            ("inbox", "", "INBOX"),
            ("Work/2026", ".Work.2026", "Work/2026"),
            ("Entwürfe", ".Entw&APw-rfe", "Entwürfe"),
            ("a&b", ".a&-b", "a&b"),
        ] {
            assert_eq!((maildir(folder).as_str(), super::path(folder).as_str()), (wanted, path));
        }
        assert_eq!(Paths::default().of(Some("alice@example.com"), "Sent"), "alice@example.com/Sent");
        assert_eq!(Paths::default().user("@catchall"), "@catchall");
    }

    #[test]
    fn nobody_can_name_a_folder_like_another_one_that_was_changed() {
        assert_ne!(maildir("a.b"), maildir(maildir("a.b").trim_start_matches('.')));
        assert_ne!(level("a:b"), level(&level("a:b")));
        let mut paths = Paths::default();
        assert_ne!(paths.of(None, "Work"), paths.of(None, "work"));
        assert_ne!(paths.user("a/b"), paths.user("a_b"));
    }

    proptest! {
        #[test]
        fn any_name_is_one_name(name in "\\PC{0,40}|[./~a\\x00-\\x1f]{0,9}") {
            let folder = maildir(&name);
            prop_assert!(folder.is_empty() || one_name(&folder));
            prop_assert!(path(&name).split('/').all(one_name));
        }
    }
}
