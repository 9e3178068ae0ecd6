//! Reading what an IMAP server answers: one response at a time, its message literal straight into a [`Held`].
//!
//! Only what fetch and purge ask for is understood; everything else is passed over, since a server may send anything unasked.
//! Names and other short literals are kept; nothing a server sends can make this grow without bound or panic.

use crate::error::{Error, Result, Status};
use crate::held::Held;
use crate::net::wire::Wire;
use std::borrow::Cow;

/// The longest line, in octets: a SEARCH answer names a million UIDs in less.
const LONGEST_LINE: usize = 16 << 20;
/// How much literals other than a message may hold together, in octets.
const LONGEST_LITERALS: u64 = 1 << 20;

/// A literal of a response.
enum Literal {
    /// Kept, since it is short.
    Kept(Vec<u8>),
    /// A message, which went into the [`Held`].
    Message,
}

/// One response, tagged or untagged (RFC 9051 section 7).
#[derive(Default)]
pub(super) struct Answer {
    text: Vec<u8>,
    literals: Vec<Literal>,
}

/// What a piece of a response is.
#[derive(Debug, PartialEq)]
pub(super) enum Token<'a> {
    Open,
    Close,
    Atom(&'a [u8]),
    /// A quoted string, or a literal.
    Text(Cow<'a, [u8]>),
    /// A literal that went into the [`Held`].
    Message,
}

impl Answer {
    /// Reads the next response.
    pub fn read(&mut self, wire: &mut Wire, mut message: Option<&mut Held>) -> Result<()> {
        self.text.clear();
        self.literals.clear();
        let mut kept = 0_u64;
        loop {
            let line_begins = self.text.len();
            wire.read_line(&mut self.text, LONGEST_LINE)?;
            self.strip_line_end();
            let Some((length, begins)) = self.literal_ahead(line_begins) else { return Ok(()) };
            let before = self.text.get(..begins).unwrap_or_default().trim_ascii_end();
            let is_message = before.len() >= 6 && before.get(before.len() - 6..).is_some_and(|end| end.eq_ignore_ascii_case(b"BODY[]"));
            if let Some(held) = message.as_deref_mut().filter(|_| is_message) {
                held.clear();
                wire.read_message(length, held)?;
                self.literals.push(Literal::Message);
                continue;
            }
            kept = kept.saturating_add(length);
            if kept > LONGEST_LITERALS {
                return Err(Error::new(Status::Protocol, format!("the server sent a literal of {length} octets that nobody asked for")));
            }
            let mut octets = Vec::new();
            wire.read_exact(length, &mut octets)?;
            self.literals.push(Literal::Kept(octets));
        }
    }

    fn strip_line_end(&mut self) {
        for end in [b'\n', b'\r'] {
            if self.text.last() == Some(&end) {
                self.text.pop();
            }
        }
    }

    /// The length of the literal that the text ends with, and where `{` stands, which is after `line_begins`: what stands before is a
    /// literal that was read. Free text may end like one and is none.
    fn literal_ahead(&self, line_begins: usize) -> Option<(u64, usize)> {
        if self.text.last() != Some(&b'}') || self.condition().is_some() || !self.text.starts_with(b"* ") {
            return None;
        }
        let begins = memchr::memrchr(b'{', &self.text).filter(|at| *at >= line_begins)?;
        let digits = self.text.get(begins + 1..self.text.len() - 1)?;
        let digits = digits.strip_suffix(b"+").unwrap_or(digits);
        let length = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
        Some((length, begins))
    }

    /// The response's text, for messages: its first octets.
    pub fn excerpt(&self) -> String {
        String::from_utf8_lossy(self.text.get(..120).unwrap_or(&self.text)).into_owned()
    }

    /// Its first word: a tag, `*` or `+`.
    pub fn tag(&self) -> &[u8] {
        self.text.split(|b| *b == b' ').next().unwrap_or_default()
    }

    /// What it says about a command or the connection, if it is a status response (RFC 9051 section 7.1).
    pub fn condition(&self) -> Option<Condition> {
        Condition::parse(self.text.get(self.tag().len() + 1..)?)
    }

    /// For an untagged response its tokens after `*`.
    pub fn untagged(&self) -> Option<Tokens<'_>> {
        let text = self.text.strip_prefix(b"* ")?;
        Some(Tokens { text, literals: self.literals.iter() })
    }

    /// For untagged data of a kind, such as LIST: the tokens after its name.
    pub fn data(&self, kind: &str) -> Option<Tokens<'_>> {
        let mut tokens = self.untagged()?;
        tokens.atom().filter(|name| name.eq_ignore_ascii_case(kind.as_bytes()))?;
        Some(tokens)
    }

    /// For untagged data about a message or the mailbox's size, such as `12 EXISTS`: the number, and the tokens after the name.
    pub fn numbered(&self, kind: &str) -> Option<(u32, Tokens<'_>)> {
        let mut tokens = self.untagged()?;
        let number = number(tokens.atom()?)?;
        tokens.atom().filter(|name| name.eq_ignore_ascii_case(kind.as_bytes()))?;
        Some((number, tokens))
    }
}

/// A decimal number.
pub(super) fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(digits).ok()?;
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The tokens of a response, from left to right.
pub(super) struct Tokens<'a> {
    text: &'a [u8],
    literals: std::slice::Iter<'a, Literal>,
}

impl<'a> Tokens<'a> {
    /// The next token if it is an atom.
    pub fn atom(&mut self) -> Option<&'a [u8]> {
        match self.next()? {
            Token::Atom(atom) => Some(atom),
            _ => None,
        }
    }

    /// The next token as a string: an atom, a quoted string or a literal.
    pub fn string(&mut self) -> Option<Cow<'a, [u8]>> {
        match self.next()? {
            Token::Atom(atom) => Some(Cow::Borrowed(atom)),
            Token::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The atoms and strings of a parenthesised list.
    pub fn list(&mut self) -> Option<Vec<Cow<'a, [u8]>>> {
        if self.next()? != Token::Open {
            return None;
        }
        let mut all = Vec::new();
        loop {
            match self.next()? {
                Token::Close => return Some(all),
                Token::Atom(atom) => all.push(Cow::Borrowed(atom)),
                Token::Text(text) => all.push(text),
                Token::Open | Token::Message => return None,
            }
        }
    }

    /// Passes over one value, however deeply nested.
    pub fn pass_over(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.next()? {
                Token::Open => depth += 1,
                Token::Close => depth = depth.checked_sub(1)?,
                _ => {}
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.text.split_at_checked(n).unwrap_or((self.text, &[]));
        self.text = rest;
        taken
    }

    fn quoted(&mut self) -> Option<Token<'a>> {
        let inner = self.text.get(1..)?;
        let mut end = 0;
        while *inner.get(end)? != b'"' {
            end += if inner.get(end) == Some(&b'\\') { 2 } else { 1 };
        }
        let raw = inner.get(..end)?;
        self.take(end + 2);
        Some(Token::Text(unescape(raw)))
    }

    fn literal(&mut self) -> Option<Token<'a>> {
        let end = memchr::memchr(b'}', self.text)?;
        self.take(end + 1);
        // With anything else behind it its length was not the true one.
        let ends = matches!(self.text.first(), None | Some(b' ' | b'(' | b')'));
        Some(match self.literals.next().filter(|_| ends)? {
            Literal::Kept(octets) => Token::Text(Cow::Borrowed(octets)),
            Literal::Message => Token::Message,
        })
    }
}

/// A quoted string without its backslashes.
fn unescape(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.contains(&b'\\') {
        return Cow::Borrowed(raw);
    }
    let mut plain = Vec::with_capacity(raw.len());
    let mut octets = raw.iter();
    while let Some(octet) = octets.next() {
        plain.push(if *octet == b'\\' { *octets.next().unwrap_or(octet) } else { *octet });
    }
    Cow::Owned(plain)
}

/// How long the atom at the beginning is; what stands in brackets belongs to it, as in `BODY[HEADER.FIELDS (DATE)]`.
fn atom_length(text: &[u8]) -> usize {
    let mut in_brackets = false;
    let end = text.iter().position(|octet| {
        in_brackets = (in_brackets || *octet == b'[') && *octet != b']';
        !in_brackets && matches!(octet, b' ' | b'(' | b')' | b'"')
    });
    end.unwrap_or(text.len())
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    /// None at the end, and where the text is no token.
    fn next(&mut self) -> Option<Token<'a>> {
        let blanks = self.text.iter().take_while(|b| **b == b' ').count();
        self.take(blanks);
        match self.text.first()? {
            b'(' => {
                self.take(1);
                Some(Token::Open)
            }
            b')' => {
                self.take(1);
                Some(Token::Close)
            }
            b'"' => self.quoted(),
            b'{' => self.literal(),
            b'~' if self.text.get(1) == Some(&b'{') => self.literal(),
            _ => {
                let length = atom_length(self.text);
                Some(Token::Atom(self.take(length)))
            }
        }
    }
}

/// How a command ended, or what the server thinks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// OK
    Ok,
    /// NO
    No,
    /// BAD
    Bad,
    /// PREAUTH
    Preauth,
    /// BYE
    Bye,
}

/// A status response: a verdict, perhaps a code, and words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// The verdict.
    pub verdict: Verdict,
    /// The code in brackets, in capitals, without its arguments; empty if there is none.
    pub code: String,
    /// The code's arguments.
    pub arguments: String,
    /// The words.
    pub text: String,
}

impl Condition {
    /// Reads a status response from after its tag; a line end is no part of it.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let line = line.trim_ascii_end();
        let word = line.split(|b| *b == b' ').next()?;
        let verdict = match word.to_ascii_uppercase().as_slice() {
            b"OK" => Verdict::Ok,
            b"NO" => Verdict::No,
            b"BAD" => Verdict::Bad,
            b"PREAUTH" => Verdict::Preauth,
            b"BYE" => Verdict::Bye,
            _ => return None,
        };
        let text = String::from_utf8_lossy(line.get(word.len()..).unwrap_or_default()).trim().to_owned();
        let coded = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let Some((inside, words)) = coded else {
            return Some(Self { verdict, code: String::new(), arguments: String::new(), text });
        };
        let (code, arguments) = inside.split_once(' ').unwrap_or((inside, ""));
        let (code, arguments, text) = (code.to_ascii_uppercase(), arguments.to_owned(), words.trim().to_owned());
        Some(Self { verdict, code, arguments, text })
    }

    /// Whether a refusal speaks of the server's state and not of what was asked for, so that asking for something else is no use either
    /// (RFC 5530; THROTTLED and OVERQUOTA as some providers use them for their limits of traffic).
    #[must_use]
    pub fn is_about_server(&self) -> bool {
        matches!(self.code.as_str(), "UNAVAILABLE" | "INUSE" | "LIMIT" | "OVERQUOTA" | "THROTTLED")
    }

    /// The failure that NO, BAD or BYE is: `doing` names the command.
    #[must_use]
    pub fn error(&self, doing: &str) -> Error {
        let status = match (self.verdict, self.code.as_str()) {
            (Verdict::Bye, code) if !is_temporary(code) => Status::Unavailable,
            (_, "AUTHENTICATIONFAILED" | "AUTHORIZATIONFAILED" | "EXPIRED" | "PRIVACYREQUIRED" | "NOPERM") => Status::NoPermission,
            (_, code) if is_temporary(code) => Status::TryAgain,
            (Verdict::No, "NONEXISTENT") => Status::NoInput,
            (Verdict::Bad, _) => Status::Protocol,
            _ => Status::Unavailable,
        };
        let code = if self.code.is_empty() { String::new() } else { format!("[{}] ", self.code) };
        Error::new(status, format!("{doing}: the server says: {code}{}", self.text))
    }
}

/// Whether a code (RFC 5530 section 3) is of something that passes.
fn is_temporary(code: &str) -> bool {
    matches!(code, "UNAVAILABLE" | "INUSE" | "LIMIT" | "OVERQUOTA" | "THROTTLED" | "SERVERBUG" | "CONTACTADMIN")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str, literals: &[&str]) -> Answer {
        let literals = literals.iter().map(|octets| Literal::Kept(octets.as_bytes().to_vec())).collect();
        Answer { text: text.as_bytes().to_vec(), literals }
    }

    #[test]
    fn tokens_are_atoms_strings_and_parentheses() {
        let answer = answer(r#"* LIST (\A (b)) "a\"\\b" {3} BODY[HEADER.FIELDS (X Y)]<0> ~{1}"#, &["x)(", "y"]);
        let tokens: Vec<Token> = answer.data("list").into_iter().flatten().collect();
        let text = |text: &'static str| Token::Text(Cow::Borrowed(text.as_bytes()));
        let expected = [
            Token::Open,
            Token::Atom(b"\\A"),
            Token::Open,
            Token::Atom(b"b"),
            Token::Close,
            Token::Close,
            text("a\"\\b"),
            text("x)("),
            Token::Atom(b"BODY[HEADER.FIELDS (X Y)]<0>"),
            text("y"),
        ];
        assert_eq!(tokens, expected);
    }

    #[test]
    fn free_text_that_ends_like_a_literal_is_none() {
        for text in ["* OK hello {5}", "a1 NO no {5}", "+ go {5}", "* BYE {5}", "* LIST () NIL {x}", "* LIST () NIL {}", "* LIST {-1}"] {
            assert_eq!(answer(text, &[]).literal_ahead(0), None, "{text}");
        }
        assert_eq!(answer("* LIST () NIL {5}", &[]).literal_ahead(0), Some((5, 14)));
        assert_eq!(answer("* 1 FETCH (BODY[] {7+}", &[]).literal_ahead(0), Some((7, 18)));
    }

    #[test]
    fn conditions_have_a_verdict_a_code_and_words() {
        let seen = Condition::parse(b"NO [AUTHENTICATIONFAILED] Wrong.").map(|c| c.error("login"));
        assert_eq!(seen.as_ref().map(Error::status), Some(Status::NoPermission));
        assert_eq!(seen.map(|e| e.to_string()).as_deref(), Some("login: the server says: [AUTHENTICATIONFAILED] Wrong."));
        let code = Condition::parse(b"ok [UIDVALIDITY 7] x").map(|c| (c.code, c.arguments, c.text));
        assert_eq!(code, Some(("UIDVALIDITY".into(), "7".into(), "x".into())));
        assert_eq!(Condition::parse(b"EXISTS"), None);
        assert_eq!(Condition::parse(b"OK").map(|c| c.verdict), Some(Verdict::Ok));
    }

    #[test]
    fn a_broken_response_ends_its_tokens_and_is_no_panic() {
        for text in ["* ", "*", "", "* 1", "* LIST (", "* LIST \"a", "* LIST \"a\\", "* LIST {3}", "* LIST ~{", "* LIST [", "* LIST ))"] {
            let answer = answer(text, &[]);
            let _ = answer.untagged().map(Iterator::count);
            let _ = (answer.condition(), answer.data("LIST").map(|mut t| (t.list(), t.pass_over())), answer.numbered("X").is_some());
        }
    }
}
