//! Asking for words: how a question is written, and what FTS5 is asked for it.

use super::Texts;
use crate::error::{Error, Result, Status};
use crate::identity::Digest;
use crate::interrupt;
use crate::words::fold::{Purpose, is_unspaced, words};
use rusqlite::params_from_iter;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// How people without the letter write it; who has it finds both.
const LONG_FORMS: [(char, &str); 5] = [('ä', "ae"), ('ö', "oe"), ('ü', "ue"), ('å', "aa"), ('ø', "oe")];

/// A word, a phrase or the beginning of one: the expressions of FTS5 that find it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Term(String);

impl Term {
    /// The terms of a question: words, `"phrases"`, and either with an asterisk for what begins so. What holds no letter and no digit is passed
    /// over.
    ///
    /// # Errors
    /// [`Status::Usage`] if nothing is left, or a phrase has no end.
    pub fn parse(question: &str) -> Result<Vec<Self>> {
        let mut terms = Vec::new();
        let mut rest = question.trim_start();
        while let Some(first) = rest.chars().next() {
            let quoted = matches!(first, '"' | '\u{201c}' | '\u{201d}' | '\u{201e}');
            let inside = if quoted { rest.get(first.len_utf8()..).unwrap_or_default() } else { rest };
            let ends = |c: char| if quoted { matches!(c, '"' | '\u{201c}' | '\u{201d}') } else { c.is_whitespace() };
            let unended = || Error::new(Status::Usage, format!("the phrase “{inside}” has no end"));
            let end = inside.find(ends).map_or_else(|| if quoted { Err(unended()) } else { Ok(inside.len()) }, Ok)?;
            let (text, after) = inside.split_at(end);
            let after = if quoted { after.get(after.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default() } else { after };
            let behind = after.strip_prefix('*').filter(|_| quoted);
            let begins = if quoted { behind.is_some() } else { text.ends_with('*') };
            terms.extend(Self::of(text, begins));
            rest = behind.unwrap_or(after).trim_start();
        }
        if terms.is_empty() {
            return Err(Error::new(Status::Usage, format!("“{question}” has no word in it")));
        }
        Ok(terms)
    }

    fn of(text: &str, begins: bool) -> Option<Self> {
        let mut long = text.nfc().flat_map(char::to_lowercase).collect::<String>();
        LONG_FORMS.iter().for_each(|(letter, form)| long = long.replace(*letter, form));
        let mut phrases: Vec<String> = [text, &long].iter().filter_map(|text| phrase(text, begins)).collect();
        phrases.dedup();
        (!phrases.is_empty()).then(|| Self(format!("({})", phrases.join(" OR "))))
    }
}

/// The words of the text in a row. One character of an unspaced script stands at a pair's beginning as well as alone.
fn phrase(text: &str, begins: bool) -> Option<String> {
    let words = words(text, Purpose::Ask);
    let last = words.last()?;
    let is_alone =
        last.chars().all(|c| is_unspaced(c) || is_combining_mark(c)) && last.chars().filter(|c| !is_combining_mark(*c)).count() == 1;
    Some(format!("\"{}\"{}", words.join(" "), if begins || is_alone { " *" } else { "" }))
}

/// What is asked of the words. All of it must be so.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// These stand anywhere.
    pub words: Vec<Term>,
    /// These stand in the subject.
    pub subject: Vec<Term>,
    /// These stand nowhere.
    pub without: Vec<Term>,
    /// There is an attachment.
    pub has_attachment: bool,
}

const ANYWHERE: &str =
    "SELECT id FROM (SELECT rowid AS id FROM heads WHERE heads MATCH ? UNION SELECT rowid FROM bodies WHERE bodies MATCH ?)";

impl Asked {
    fn sql(&self) -> (String, Vec<String>) {
        let (mut parts, mut values) = (Vec::new(), Vec::new());
        for term in &self.subject {
            parts.push("SELECT rowid FROM heads WHERE heads MATCH ?");
            values.push(format!("subject : {}", term.0));
        }
        for term in &self.words {
            parts.push(ANYWHERE);
            values.extend([term.0.clone(), term.0.clone()]);
        }
        if self.has_attachment {
            parts.push("SELECT id FROM messages WHERE attached = 1");
        }
        if parts.is_empty() {
            parts.push("SELECT id FROM messages");
        }
        let mut sql = parts.join(" INTERSECT ");
        for term in &self.without {
            sql = format!("{sql} EXCEPT {ANYWHERE}");
            values.extend([term.0.clone(), term.0.clone()]);
        }
        (format!("SELECT digest FROM messages WHERE id IN ({sql})"), values)
    }
}

impl Texts {
    /// Each message of which this is so.
    ///
    /// # Errors
    /// What SQLite reports, and what `take` does.
    pub fn each_match(&self, asked: &Asked, take: &mut dyn FnMut(Digest) -> Result<()>) -> Result<()> {
        let (sql, values) = asked.sql();
        self.each_digest(&sql, &values, take)
    }

    /// Each message in whose To or Cc one of these stands, addresses or domains as [`crate::words`] makes words of them.
    ///
    /// # Errors
    /// What SQLite reports, and what `take` does.
    pub fn each_addressed(&self, words: &[String], take: &mut dyn FnMut(Digest) -> Result<()>) -> Result<()> {
        let any: Vec<String> = words.iter().map(|word| format!("\"{}\"", word.replace('"', ""))).collect();
        let sql = "SELECT digest FROM messages WHERE id IN (SELECT rowid FROM heads WHERE heads MATCH ?)";
        self.each_digest(sql, &[format!("recipients : ({})", any.join(" OR "))], take)
    }

    fn each_digest(&self, sql: &str, values: &[String], take: &mut dyn FnMut(Digest) -> Result<()>) -> Result<()> {
        let wrong = |e| self.wrong(&e);
        let mut asked = self.db.prepare(sql).map_err(wrong)?;
        let mut rows = asked.query(params_from_iter(values)).map_err(wrong)?;
        while let Some(row) = rows.next().map_err(wrong)? {
            interrupt::check()?;
            take(Digest(row.get(0).map_err(wrong)?))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(question: &str) -> Vec<String> {
        Term::parse(question).unwrap().into_iter().map(|term| term.0).collect()
    }

    #[test]
    fn words_phrases_and_beginnings_become_expressions() {
        assert_eq!(parse("Invoice 2026"), ["(\"invoice\")", "(\"2026\")"]);
        assert_eq!(parse(" \"annual report\"  invoi* \"the end\"* "), ["(\"annual report\")", "(\"invoi\" *)", "(\"the end\" *)"]);
        assert_eq!(parse("alice@example.com & Co"), ["(\"alice example com\")", "(\"co\")"]);
        assert_eq!(parse("M\u{fc}ller STRA\u{df}E"), ["(\"muller\" OR \"mueller\")", "(\"strasse\")"]);
        assert_eq!(parse("\u{6771} \u{6771}\u{4eac}"), ["(\"\u{6771}\" *)", "(\"\u{6771}\u{4eac}\")"]);
        assert_eq!(parse("\u{201e}a b\u{201c}"), ["(\"a b\")"]);
        assert_eq!(parse("x) OR heads : \u{2019}NEAR(\""[..].trim_end_matches('"')), ["(\"x\")", "(\"or\")", "(\"heads\")", "(\"near\")"]);
    }

    #[test]
    fn a_question_without_a_word_or_with_an_open_phrase_is_wrong_usage() {
        for question in ["", "--", "\"\"", "\"open", "*"] {
            assert!(Term::parse(question).is_err_and(|e| e.status() == Status::Usage), "{question}");
        }
    }
}
