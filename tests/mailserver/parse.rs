//! How IMAP commands are written (RFC 3501, section 9).
//!
//! Decision: a command is read whole, its literals inside, and cut into tokens once; commands then take tokens from the
//! front. It reads what clients write, and is in places wider than the grammar, never narrower.

use std::collections::{BTreeSet, VecDeque};

/// A piece of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// `(`
    Open,
    /// `)`
    Close,
    /// An atom, with anything in `[…]` that belongs to it.
    Atom(String),
    /// A quoted string's or a literal's octets.
    Text(Vec<u8>),
}

/// If a line ends in `{n}` or `{n+}`: n, and whether the client waits to be asked.
pub fn literal(line: &[u8]) -> Option<(usize, bool)> {
    let inside = line.strip_suffix(b"}")?;
    let start = inside.iter().rposition(|&octet| octet == b'{')? + 1;
    let (digits, waits) = match inside[start..].strip_suffix(b"+") {
        Some(digits) => (digits, false),
        None => (&inside[start..], true),
    };
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, waits))
}

/// Cuts a command into tokens; `None` if it isn't well formed.
pub fn tokens(mut command: &[u8]) -> Option<VecDeque<Token>> {
    let mut tokens = VecDeque::new();
    while let Some((&first, rest)) = command.split_first() {
        command = match first {
            b' ' => rest,
            b'(' => {
                tokens.push_back(Token::Open);
                rest
            }
            b')' => {
                tokens.push_back(Token::Close);
                rest
            }
            b'"' => quoted(rest, &mut tokens)?,
            b'{' => counted(command, &mut tokens)?,
            _ => atom(command, &mut tokens)?,
        };
    }
    Some(tokens)
}

fn quoted<'a>(text: &'a [u8], tokens: &mut VecDeque<Token>) -> Option<&'a [u8]> {
    let (mut octets, mut at) = (Vec::new(), 0);
    loop {
        match text.get(at)? {
            b'"' => break,
            b'\\' => at += 1,
            _ => {}
        }
        octets.push(*text.get(at)?);
        at += 1;
    }
    tokens.push_back(Token::Text(octets));
    Some(&text[at + 1..])
}

fn counted<'a>(text: &'a [u8], tokens: &mut VecDeque<Token>) -> Option<&'a [u8]> {
    let end = text.iter().position(|&octet| octet == b'\n')?;
    let (count, _) = literal(text[..end].strip_suffix(b"\r")?)?;
    let octets = text.get(end + 1..end + 1 + count)?;
    tokens.push_back(Token::Text(octets.to_vec()));
    Some(&text[end + 1 + count..])
}

fn atom<'a>(text: &'a [u8], tokens: &mut VecDeque<Token>) -> Option<&'a [u8]> {
    let (mut depth, mut end) = (0_u32, 0);
    while let Some(&octet) = text.get(end) {
        match octet {
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            b' ' | b'(' | b')' | b'"' if depth == 0 => break,
            b'\r' | b'\n' => return None,
            _ => {}
        }
        end += 1;
    }
    tokens.push_back(Token::Atom(String::from_utf8_lossy(&text[..end]).into_owned()));
    Some(&text[end..])
}

/// The arguments of a command, taken from the front. `None` means that the command is not well formed.
pub struct Args(pub VecDeque<Token>);

impl Args {
    /// The next word, atom or string, as octets.
    pub fn octets(&mut self) -> Option<Vec<u8>> {
        match self.0.pop_front()? {
            Token::Atom(atom) => Some(atom.into_bytes()),
            Token::Text(octets) => Some(octets),
            Token::Open | Token::Close => None,
        }
    }

    /// The next word, atom or string.
    pub fn word(&mut self) -> Option<String> {
        String::from_utf8(self.octets()?).ok()
    }

    /// The next word, in capitals.
    pub fn keyword(&mut self) -> Option<String> {
        Some(self.word()?.to_ascii_uppercase())
    }

    /// The next word as a number.
    pub fn number<T: std::str::FromStr>(&mut self) -> Option<T> {
        self.word()?.parse().ok()
    }

    /// The next word as a sequence set.
    pub fn set(&mut self) -> Option<Set> {
        Set::parse(&self.word()?)
    }

    /// The words of a parenthesised list, or all that is left where there are no parentheses.
    pub fn words(&mut self) -> Option<Vec<String>> {
        let mut list = match self.list()? {
            Some(list) => list,
            None => Self(std::mem::take(&mut self.0)),
        };
        let mut words = Vec::new();
        while !list.0.is_empty() {
            words.push(list.word()?);
        }
        Some(words)
    }

    /// What stands in parentheses, if they come next.
    #[allow(clippy::option_option, reason = "outside: well formed or not; inside: there or not")]
    pub fn list(&mut self) -> Option<Option<Self>> {
        if self.0.front() != Some(&Token::Open) {
            return Some(None);
        }
        self.0.pop_front();
        let mut depth = 1;
        let mut inside = VecDeque::new();
        loop {
            let token = self.0.pop_front()?;
            match token {
                Token::Open => depth += 1,
                Token::Close => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(Some(Self(inside)));
            }
            inside.push_back(token);
        }
    }
}

/// A sequence set: `1,3:5,7:*`. `*` is kept as 0, which is no number of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set(Vec<(u32, u32)>);

impl Set {
    /// Reads a set.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| match text {
            "*" => Some(0),
            _ => text.parse::<u32>().ok().filter(|&number| number > 0),
        };
        text.split(',')
            .map(|range| {
                let (from, to) = range.split_once(':').unwrap_or((range, range));
                Some((number(from)?, number(to)?))
            })
            .collect::<Option<Vec<_>>>()
            .map(Self)
    }

    /// Whether it holds a number, `*` being `last`.
    pub fn contains(&self, number: u32, last: u32) -> bool {
        self.ranges(last).any(|(from, to)| (from..=to).contains(&number))
    }

    /// Those of ascending UIDs that it holds, each with its place: found range by range, because a large mailbox has many.
    pub fn uids_in<'a>(&self, uids: &'a [u32]) -> impl Iterator<Item = (usize, u32)> + 'a {
        let mut places = BTreeSet::new();
        for (from, to) in self.ranges(uids.last().copied().unwrap_or(0)) {
            places.extend(uids.partition_point(|&uid| uid < from)..uids.partition_point(|&uid| uid <= to));
        }
        places.into_iter().map(|place| (place, uids[place]))
    }

    fn ranges(&self, last: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.0.iter().map(move |&(from, to)| {
            let (from, to) = (if from == 0 { last } else { from }, if to == 0 { last } else { to });
            (from.min(to), from.max(to))
        })
    }
}

/// Whether a mailbox name matches a LIST pattern, `*` for anything and `%` for anything but `/`.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|at| matches(rest, &name[at..])),
        Some((b'%', rest)) => {
            let end = name.iter().position(|&octet| octet == b'/').unwrap_or(name.len());
            (0..=end).any(|at| matches(rest, &name[at..]))
        }
        Some((first, rest)) => name.split_first().is_some_and(|(octet, name)| octet == first && matches(rest, name)),
    }
}

/// A quoted string.
pub fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
