//! A mistake in a file of ours, told so that it can be found: with its line, and with the key that was probably meant.

use crate::error::{Error, Result, Status};

/// Reads TOML; an error has its line and, for an unknown key, the nearest one that is known.
///
/// # Errors
/// [`Status::Config`].
pub fn parse_toml<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    toml::from_str(text).map_err(|e| {
        let line = e.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let plain = || e.message().lines().next().unwrap_or("not TOML").to_owned();
        Error::new(Status::Config, hint(e.message()).unwrap_or_else(plain)).about(format!("line {line}"))
    })
}

/// Of serde's words for an unknown key: the key, and the nearest one that is known. None if they are about something else.
#[must_use]
pub fn hint(message: &str) -> Option<String> {
    let (unknown, known) = unknown_key(message)?;
    let nearest = known.into_iter().min_by_key(|key| distance(key, unknown));
    let nearest = nearest.map(|nearest| format!("; did you mean “{nearest}”?")).unwrap_or_default();
    Some(format!("unknown key “{unknown}”{nearest}"))
}

/// The unknown key and the known ones from serde's words for it: names in back quotes, the unknown one first.
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let names = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    let mut names = names.map(|name| name.trim_end_matches(','));
    Some((names.next()?, names.collect()))
}

/// The Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
