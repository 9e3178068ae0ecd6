//! Whose an address most likely is: a hint for the administrator, who decides. Nothing is filed by it.
//!
//! Rules from the surest to the weakest; the first that fits anybody answers, and if it fits several it answers with all of them, since a
//! weaker rule that picks one would be a guess.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many users that are equally likely are named.
const NAMED: usize = 5;
/// How long a local part may be to be compared letter by letter; RFC 5321 section 4.5.3.1.1 allows 64 octets.
const LONGEST: usize = 64;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guess {
    /// It is like nobody's.
    Nobody,
    /// One user is likeliest.
    One {
        /// The user's name.
        user: String,
        /// What is alike.
        why: String,
    },
    /// These are equally likely.
    Several(Vec<String>),
}

/// An address of a user.
#[derive(Debug)]
struct Alias {
    address: String,
    user: String,
    words: Vec<String>,
}

/// The users' addresses, ready to be compared with.
#[derive(Debug, Default)]
pub struct Likeliest {
    aliases: Vec<Alias>,
    by_local: HashMap<String, Vec<usize>>,
    /// The local parts by how many letters they have.
    by_length: HashMap<usize, Vec<Letters>>,
    by_letters: HashMap<String, Vec<usize>>,
    /// By the given name's first letter and the surname.
    by_name: HashMap<(char, String), Vec<usize>>,
    /// By what people make of given name and surname in one word: alicesmith, asmith, smitha.
    by_short: HashMap<String, Vec<usize>>,
    by_surname: HashMap<String, Vec<usize>>,
    by_given_name: HashMap<String, Vec<usize>>,
}

/// The rules, the surest first, with what each says.
type Rule = (&'static str, fn(&Likeliest, &Asked) -> Vec<usize>);

/// What is asked for.
struct Asked {
    local: String,
    words: Vec<String>,
    /// The words of the display name, folded in each way.
    names: Vec<Vec<String>>,
}

const RULES: [Rule; 6] = [
    ("the same name in another domain", |all, asked| get(&all.by_local, &asked.local)),
    ("the same letters", |all, asked| get(&all.by_letters, &asked.words.concat())),
    ("the name in the mail", |all, asked| asked.names.iter().flat_map(|words| all.like_name(words)).collect()),
    ("given name and surname", |all, asked| all.like_name(&asked.words)),
    ("hardly a letter differs", |all, asked| all.nearest(&asked.local)),
    ("given name or surname", |all, asked| all.like_part(&asked.words)),
];

impl Likeliest {
    /// The users of a list, as pairs of address and user.
    pub fn new<'u>(addresses: impl IntoIterator<Item = (impl Into<String>, &'u str)>) -> Self {
        let mut all = Self::default();
        for (address, user) in addresses {
            let address: String = address.into();
            let Some((local, _)) = address.rsplit_once('@') else { continue };
            all.add(Alias { address: address.clone(), user: user.into(), words: words(local) }, local);
        }
        all
    }

    fn add(&mut self, alias: Alias, local: &str) {
        let at = self.aliases.len();
        if !self.by_local.contains_key(local) {
            let letters = Letters::new(local);
            self.by_length.entry(letters.letters.len()).or_default().push(letters);
        }
        let put = |map: &mut HashMap<String, Vec<usize>>, key: String| map.entry(key).or_default().push(at);
        put(&mut self.by_local, local.into());
        put(&mut self.by_letters, alias.words.concat());
        if let [first, .., last] = alias.words.as_slice() {
            shorts(first, last).into_iter().for_each(|short| put(&mut self.by_short, short));
            put(&mut self.by_surname, last.clone());
            put(&mut self.by_given_name, first.clone());
            for (first, last) in [(first, last), (last, first)] {
                let key = first.chars().next().map(|letter| (letter, last.clone()));
                key.into_iter().for_each(|key| self.by_name.entry(key).or_default().push(at));
            }
        }
        self.aliases.push(alias);
    }

    /// Whose an address (in normal form) most likely is, and what whoever has it is called in mail.
    #[must_use]
    pub fn guess(&self, address: &str, name: Option<&str>) -> Guess {
        let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
        let names = name.map(|name| folds(name).iter().map(|name| words(&ordered(name))).collect()).unwrap_or_default();
        let asked = Asked { local: local.into(), words: words(local), names };
        let found = RULES.iter().map(|(why, rule)| (why, rule(self, &asked))).find(|(_, found)| !found.is_empty());
        found.map_or(Guess::Nobody, |(why, found)| self.answer(why, &found))
    }

    fn answer(&self, why: &str, found: &[usize]) -> Guess {
        let mut users: BTreeMap<&str, &str> = BTreeMap::new();
        for alias in found.iter().filter_map(|at| self.aliases.get(*at)) {
            users.entry(&alias.user).or_insert(&alias.address);
        }
        match users.iter().next() {
            Some((user, address)) if users.len() == 1 => Guess::One { user: (*user).into(), why: format!("{why}: {address}") },
            _ => Guess::Several(users.keys().take(NAMED).map(|user| (*user).to_owned()).collect()),
        }
    }

    /// Given name and surname in any form: alice.smith, a.smith, smith.alice, alicesmith, asmith, smitha.
    fn like_name(&self, words: &[String]) -> Vec<usize> {
        let [first, .., last] = words else { return get(&self.by_short, &words.concat()) };
        let mut found = Vec::new();
        for (first, last) in [(first, last), (last, first)] {
            let Some(letter) = first.chars().next() else { continue };
            let alike = self.by_name.get(&(letter, last.clone())).into_iter().flatten().copied();
            found.extend(alike.filter(|at| self.aliases.get(*at).is_some_and(|alias| is_given_name(first, last, &alias.words))));
        }
        found.extend(shorts(first, last).iter().flat_map(|short| get(&self.by_letters, short)));
        found
    }

    /// Surname or given name alone, on either side.
    fn like_part(&self, words: &[String]) -> Vec<usize> {
        let sides = [&self.by_surname, &self.by_given_name];
        match words {
            [one] => sides.iter().map(|map| get(map, one)).find(|found| !found.is_empty()).unwrap_or_default(),
            [first, .., last] => {
                [last, first].into_iter().map(|word| get(&self.by_letters, word)).find(|found| !found.is_empty()).unwrap_or_default()
            }
            [] => Vec::new(),
        }
    }

    /// The local parts from which it differs least, if that is little for its length.
    fn nearest(&self, local: &str) -> Vec<usize> {
        let asked = Letters::new(local);
        let mut best = (usize::MAX, Vec::new());
        let lengths = asked.letters.len().saturating_sub(2)..=asked.letters.len() + 2;
        for known in lengths.filter_map(|length| self.by_length.get(&length)).flatten() {
            let shorter = known.letters.len().min(asked.letters.len());
            let most = if shorter >= 8 { 2 } else { 1 };
            // Each difference takes away one kind of letter and adds another, at most.
            if shorter < 4 || asked.letters.len() > LONGEST || (known.kinds ^ asked.kinds).count_ones() > 2 * most {
                continue;
            }
            let distance = distance(&asked.letters, &known.letters);
            if distance <= most as usize && distance <= best.0 {
                if distance < best.0 {
                    best = (distance, Vec::new());
                }
                best.1.extend(get(&self.by_local, &known.letters.iter().collect::<String>()));
            }
        }
        best.1
    }
}

/// The letters of a local part, and which kinds of letters there are, as far as 64 bits can tell them apart.
#[derive(Debug)]
struct Letters {
    letters: Vec<char>,
    kinds: u64,
}

impl Letters {
    fn new(local: &str) -> Self {
        let kinds = local.chars().fold(0, |kinds, c| kinds | 1 << (u32::from(c) % 64));
        Self { letters: local.chars().collect(), kinds }
    }
}

fn get(map: &HashMap<String, Vec<usize>>, key: &str) -> Vec<usize> {
    if key.chars().count() < 2 { Vec::new() } else { map.get(key).cloned().unwrap_or_default() }
}

/// Whether the name fits the words beside the surname: the same given name, or an initial of it on one side.
fn is_given_name(first: &str, last: &str, words: &[String]) -> bool {
    let [one, .., other] = words else { return false };
    let theirs = if other == last { one } else { other };
    first == theirs || first.chars().count() == 1 || theirs.chars().count() == 1
}

/// What people make of two names in one word.
fn shorts(first: &str, last: &str) -> BTreeSet<String> {
    let initial = |name: &str| name.chars().next().map(String::from).unwrap_or_default();
    let all = [
        format!("{first}{last}"),
        format!("{last}{first}"),
        initial(first) + last,
        last.to_owned() + &initial(first),
        first.to_owned() + &initial(last),
    ];
    all.into_iter().filter(|short| short.chars().count() > 3).collect()
}

/// The words of a local part, without digits.
fn words(local: &str) -> Vec<String> {
    let words = local.split(|c: char| !c.is_alphanumeric()).map(|word| word.chars().filter(|c| !c.is_numeric()).collect::<String>());
    words.filter(|word| !word.is_empty()).map(|word| word.to_lowercase()).collect()
}

/// `Smith, Alice` as `Alice Smith`.
fn ordered(name: &str) -> String {
    name.split_once(',').map_or_else(|| name.into(), |(last, first)| format!("{first} {last}"))
}

/// A name with the letters that addresses rarely have spelt as they are there: as in German, and bare.
fn folds(name: &str) -> BTreeSet<String> {
    let name = name.to_lowercase();
    let with = |pairs: &[(char, &str)]| {
        name.chars()
            .map(|c| pairs.iter().find(|(from, _)| *from == c).map_or_else(|| c.to_string(), |(_, to)| (*to).into()))
            .collect::<String>()
    };
    let german = with(&[('ä', "ae"), ('ö', "oe"), ('ü', "ue"), ('ß', "ss"), ('ø', "oe"), ('å', "aa"), ('æ', "ae")]);
    let bare: Vec<(char, &str)> = BARE.iter().flat_map(|(from, to)| from.chars().map(|c| (c, *to))).collect();
    BTreeSet::from([german, with(&bare)])
}

const BARE: [(&str, &str); 13] = [
    ("àáâãäåāăą", "a"),
    ("çćč", "c"),
    ("ďđ", "d"),
    ("èéêëēėęě", "e"),
    ("ğ", "g"),
    ("ìíîïī", "i"),
    ("ł", "l"),
    ("ñńň", "n"),
    ("òóôõöøő", "o"),
    ("śšşß", "s"),
    ("ţť", "t"),
    ("ùúûüūůű", "u"),
    ("źżž", "z"),
];

/// How many letters must be changed, put in, taken out, or exchanged with their neighbour (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let (mut before, mut last): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=b.len()).collect());
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut least = (at(&last, j) + usize::from(x != y)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let is_exchanged = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if is_exchanged {
                least = least.min(at(&before, j - 1) + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: [(&str, &str); 9] = [
        ("a.smith@example.com", "alice"),
        ("info@example.com", "alice"),
        ("bob.jones@example.com", "bob"),
        ("rob.jones@example.com", "rob"),
        ("jmueller@example.com", "joerg"),
        ("carol@example.com", "carol"),
        ("sales@example.com", "carol"),
        ("sales@example.org", "bob"),
        ("christopher.robin-white@example.com", "chris"),
    ];

    #[test]
    fn the_surest_rule_that_fits_answers_and_several_are_never_one() {
        let all = Likeliest::new(USERS);
        let cases: [(&str, Option<&str>, &str); 22] = [
            ("info@example.net", None, "alice: the same name in another domain: info@example.com"),
            ("sales@example.net", None, "several bob carol"),
            ("a-smith2@example.com", None, "alice: the same letters: a.smith@example.com"),
            ("asmith@example.com", None, "alice: the same letters: a.smith@example.com"),
            ("alice.smith@example.com", None, "alice: given name and surname: a.smith@example.com"),
            ("smith.alice@example.com", None, "alice: given name and surname: a.smith@example.com"),
            ("bjones@example.com", None, "bob: given name and surname: bob.jones@example.com"),
            ("b.jones@example.com", None, "bob: given name and surname: bob.jones@example.com"),
            ("jonesr@example.com", None, "rob: given name and surname: rob.jones@example.com"),
            ("jones@example.com", None, "several bob rob"),
            ("smith@example.com", None, "alice: given name or surname: a.smith@example.com"),
            ("bob@example.com", None, "bob: given name or surname: bob.jones@example.com"),
            ("carol.white@example.com", None, "carol: given name or surname: carol@example.com"),
            ("a.smyth@example.com", None, "alice: hardly a letter differs: a.smith@example.com"),
            ("a.simth@example.com", None, "alice: hardly a letter differs: a.smith@example.com"),
            ("dob.jones@example.com", None, "several bob rob"),
            ("x17@example.com", Some("J\u{f6}rg M\u{fc}ller"), "joerg: the name in the mail: jmueller@example.com"),
            ("x17@example.com", Some("Smith, A."), "alice: the name in the mail: a.smith@example.com"),
            ("x17@example.com", Some("Anna Jones"), "nobody"),
            ("anna.jones@example.com", None, "nobody"),
            ("caro@example.com", None, "carol: hardly a letter differs: carol@example.com"),
            ("zebra@example.com", None, "nobody"),
        ];
        for (address, name, expected) in cases {
            let told = match all.guess(address, name) {
                Guess::Nobody => "nobody".into(),
                Guess::One { user, why } => format!("{user}: {why}"),
                Guess::Several(users) => format!("several {}", users.join(" ")),
            };
            assert_eq!(told, expected, "{address} {name:?}");
        }
    }

    #[test]
    fn letters_are_counted_as_people_mistake_them() {
        let of = |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        let cases = [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("abc", "acb", 1),
            ("abcd", "abxd", 1),
            ("abcd", "bcd", 1),
            ("smith", "smyth", 1),
            ("kitten", "sitting", 3),
        ];
        for (a, b, expected) in cases {
            assert_eq!((of(a, b), of(b, a)), (expected, expected), "{a} {b}");
        }
    }
}
