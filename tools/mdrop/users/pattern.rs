//! The wildcards of one domain: what stands before the star, what stands behind it, and whose it is.
//!
//! They are found by their fixed texts' lengths, longest first, with a hash for each, so a search takes as long as there are
//! different lengths, however many wildcards there are.

use super::list::{Title, Titles};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The wildcards of one domain.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    by_prefix: HashMap<Box<str>, HashMap<Box<str>, Titles>>,
    /// The octets of fixed text, most first, and how many of them can stand before the star.
    shapes: BTreeMap<Reverse<usize>, BTreeSet<usize>>,
}

/// Two wildcards that fit the same addresses equally well, by their texts and titles.
pub struct Tie {
    pub texts: [String; 2],
    pub titles: [Title; 2],
}

impl Patterns {
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// The titles to a wildcard, to add one.
    pub fn titles_mut(&mut self, prefix: &str, suffix: &str) -> &mut Titles {
        self.shapes.entry(Reverse(prefix.len() + suffix.len())).or_default().insert(prefix.len());
        self.by_prefix.entry(prefix.into()).or_default().entry(suffix.into()).or_default()
    }

    /// The titles to the wildcard with the longest fixed text that fits one of these local parts; of two as long, that of the first
    /// local part.
    pub fn find(&self, locals: &[&str]) -> Option<&[Title]> {
        self.shapes.iter().find_map(|(Reverse(fixed), prefixes)| {
            locals.iter().find_map(|local| prefixes.iter().find_map(|prefix| self.fit(local, *prefix, fixed - prefix)))
        })
    }

    fn fit(&self, local: &str, prefix: usize, suffix: usize) -> Option<&[Title]> {
        let behind = local.len().checked_sub(suffix).filter(|behind| *behind >= prefix)?;
        self.by_prefix.get(local.get(..prefix)?)?.get(local.get(behind..)?).map(Vec::as_slice)
    }

    /// Each wildcard's text before and behind its star, and its titles.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &[Title])> {
        self.by_prefix.iter().flat_map(|(prefix, by_suffix)| {
            by_suffix.iter().map(move |(suffix, titles)| (prefix.as_ref(), suffix.as_ref(), titles.as_slice()))
        })
    }

    /// Two wildcards of different owners that fit one address, at one time and equally well; the first by their texts.
    pub fn tie(&self) -> Option<Tie> {
        let mixed = |length: &usize| self.shapes.get(&Reverse(*length)).is_some_and(|prefixes| prefixes.len() > 1);
        let ties = self.iter().filter(|(prefix, suffix, _)| mixed(&(prefix.len() + suffix.len())));
        ties.filter_map(|(prefix, suffix, titles)| self.tie_with(prefix, suffix, titles)).min_by(|a, b| a.texts.cmp(&b.texts))
    }

    /// A wildcard with less before the star and as much more behind it, that fits what this one fits.
    fn tie_with(&self, prefix: &str, suffix: &str, titles: &[Title]) -> Option<Tie> {
        let fixed = prefix.len() + suffix.len();
        let shorter = self.shapes.get(&Reverse(fixed))?.range(..prefix.len());
        let others = shorter.filter_map(|length| Some((prefix.get(..*length)?, self.by_prefix.get(prefix.get(..*length)?)?)));
        let ties = others.flat_map(|(other, by_suffix)| {
            let alike = by_suffix.iter().filter(move |(end, _)| other.len() + end.len() == fixed && end.ends_with(suffix));
            alike.filter_map(move |(end, theirs)| {
                let pairs = titles.iter().flat_map(|mine| theirs.iter().map(move |their| [*mine, *their]));
                let clash = pairs.into_iter().find(|[mine, their]| mine.owner != their.owner && mine.span.and(their.span).is_some())?;
                Some(Tie { texts: [format!("{prefix}*{suffix}"), format!("{other}*{end}")], titles: clash })
            })
        });
        ties.min_by(|a, b| a.texts.cmp(&b.texts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::span::Span;

    fn patterns(texts: &[&str]) -> Patterns {
        let mut patterns = Patterns::default();
        for (owner, text) in (0..).zip(texts) {
            let (prefix, suffix) = text.split_once('*').unwrap();
            patterns.titles_mut(prefix, suffix).push(Title { owner, span: Span::default() });
        }
        patterns
    }

    #[test]
    fn the_longest_fixed_text_wins_and_no_octet_counts_twice() {
        let patterns = patterns(&["*", "sales-*", "sales-eu-*", "*-news", "a*a", "\u{e9}*"]);
        let cases = [
            ("bob", 0),
            ("sales-", 1),
            ("sales-us", 1),
            ("sales-eu-x", 2),
            ("sales-eu-news", 2),
            ("x-news", 3),
            ("sales-news", 1),
            ("aa", 4),
            ("a", 0),
            ("\u{e9}mile", 5),
        ];
        for (local, owner) in cases {
            assert_eq!(patterns.find(&[local]).map(|titles| titles[0].owner), Some(owner), "{local}");
        }
        assert!(Patterns::default().find(&["a"]).is_none());
        assert_eq!(patterns.find(&["x-news+y", "x-news"]).map(|titles| titles[0].owner), Some(3));
    }

    #[test]
    fn a_tie_is_found_whichever_way_it_lies() {
        let tied = |texts: &[&str]| patterns(texts).tie().map(|tie| tie.texts);
        assert_eq!(tied(&["ab-*", "*-cd"]), Some(["ab-*".into(), "*-cd".into()]));
        assert_eq!(tied(&["*-cd", "ab-*"]), Some(["ab-*".into(), "*-cd".into()]));
        assert_eq!(tied(&["ab*c", "a*bc"]), Some(["ab*c".into(), "a*bc".into()]));
        for apart in [&["ab*c", "a*bd"][..], &["ab*c", "x*bc"], &["ab*", "ac*"], &["ab*", "*c"], &["*"]] {
            assert_eq!(tied(apart), None, "{apart:?}");
        }
    }
}
