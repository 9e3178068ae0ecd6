//! What a Received field says of its hop: who wrote it, from whom the message came, and for whom.
//!
//! Servers agree on the clauses' names and on little else (RFC 5321 section 4.4), so the field is cut into words and comments once,
//! and each clause is known by the word before it. A `for` inside a comment, or one that is followed by no address, names nobody.

use crate::peer::{self, Peer, host};
use mdrop::address::{self, Address};

/// How many words an address in angle brackets may be spread over.
const WORDS: usize = 8;

/// One Received field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The host that wrote it, in lower case.
    pub by: Option<String>,
    /// The host the message came from, as the writer knows it and not as that host calls itself; none if it came from no host.
    pub from: Option<String>,
    /// Whether it came over the loopback interface, or from no host at all.
    pub is_internal: bool,
    /// The addresses after `for`.
    pub recipients: Vec<Address>,
    /// What stood after `for` and is no address.
    pub other: Option<Vec<u8>>,
    /// The envelope's sender, where the writer noted it.
    pub envelope_from: Option<Address>,
    /// Whether the writer noted the null sender.
    pub is_null_sender: bool,
    /// The original recipient (RFC 3461 section 4.2), where the writer noted it.
    pub original: Option<Address>,
}

/// What a field is cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// What stands between blanks.
    Word(&'a [u8]),
    /// What stands in parentheses.
    Comment(&'a [u8]),
    /// What parts the clauses from the date.
    Semicolon,
}

/// Reads the field's value.
#[must_use]
pub fn read(value: &[u8]) -> Received {
    let tokens = tokens(value);
    let Peer { name, is_internal } = peer::read(&tokens);
    let mut received = Received { by: host_after(&tokens, b"by"), from: name, is_internal, ..Received::default() };
    for (at, token) in tokens.iter().enumerate() {
        // A host may call itself `for`.
        let is_told = at == 1 && tokens.first().is_some_and(|first| first.is_word(b"from"));
        match token {
            Token::Word(word) if is_for(word) && !is_told && received.recipients.is_empty() => {
                read_for(tokens.get(at + 1..).unwrap_or_default(), &mut received);
            }
            Token::Comment(comment) => read_comment(comment, &mut received),
            _ => {}
        }
    }
    received
}

/// Cuts the value at blanks, comments and semicolons; quoted strings stay whole.
fn tokens(value: &[u8]) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut rest, mut comments) = (value, true);
    while let Some(first) = rest.first() {
        let length = match first {
            b if b.is_ascii_whitespace() => 1,
            b';' => {
                tokens.push(Token::Semicolon);
                1
            }
            b'(' if comments => {
                let length = address::comment_length(rest);
                comments = length.is_some();
                tokens.extend(length.and_then(|length| rest.get(1..length - 1)).map(Token::Comment));
                length.unwrap_or(1)
            }
            _ => {
                let length = word_length(rest, comments);
                tokens.push(Token::Word(rest.get(..length).unwrap_or_default()));
                length
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    tokens
}

fn word_length(octets: &[u8], comments: bool) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    let end = octets.iter().position(|b| {
        let ends = !quoted && (b.is_ascii_whitespace() || *b == b';' || (*b == b'(' && comments));
        quoted ^= *b == b'"' && !escaped;
        escaped = quoted && *b == b'\\' && !escaped;
        // A quote that does not end on its line ends there.
        quoted &= *b != b'\n';
        ends
    });
    end.unwrap_or(octets.len()).max(1)
}

impl Token<'_> {
    /// Whether it is this word, in any case.
    pub fn is_word(&self, name: &[u8]) -> bool {
        matches!(self, Token::Word(word) if word.eq_ignore_ascii_case(name))
    }
}

/// `for`, or `730for`, as one server glues it to what stands before.
fn is_for(word: &[u8]) -> bool {
    let digits = word.iter().take_while(|b| b.is_ascii_digit()).count();
    word.get(digits..).is_some_and(|rest| rest.eq_ignore_ascii_case(b"for"))
}

fn host_after(tokens: &[Token], name: &[u8]) -> Option<String> {
    let at = tokens.iter().position(|token| token.is_word(name))?;
    match tokens.get(at + 1)? {
        Token::Word(word) => Some(host(word)),
        _ => None,
    }
}

/// What follows `for`: addresses, or at the clause's end a bare name, which the writer's host completes.
fn read_for(tokens: &[Token], received: &mut Received) {
    let Some(Token::Word(first)) = tokens.first() else { return };
    let mut text = first.to_vec();
    let mut used = 1;
    while text.starts_with(b"<") && !text.contains(&b'>') && used < WORDS {
        let Some(Token::Word(word)) = tokens.get(used) else { break };
        text.push(b' ');
        text.extend_from_slice(word);
        used += 1;
    }
    received.recipients = address::trace(&text);
    if !received.recipients.is_empty() {
        return;
    }
    let ends = tokens.get(used..).unwrap_or_default().iter().find(|token| !matches!(token, Token::Comment(_)));
    let bare = text.strip_prefix(b"<").and_then(|inner| inner.strip_suffix(b">")).unwrap_or(&text);
    let is_name = !bare.is_empty() && bare.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+'));
    if let (true, None | Some(Token::Semicolon), Some(by)) = (is_name, ends, &received.by) {
        received.recipients.extend(Address::from_parts(&String::from_utf8_lossy(bare), by));
    }
    if received.recipients.is_empty() {
        received.other = Some(text);
    }
}

fn read_comment(comment: &[u8], received: &mut Received) {
    for name in ["envelope-from", "envelope-sender"] {
        if received.envelope_from.is_none() {
            received.envelope_from = named(comment, name);
            received.is_null_sender |= behind(comment, name).is_some_and(|noted| noted.starts_with(b"<>"));
        }
    }
    if received.original.is_none() {
        received.original = named(comment, "orcpt");
    }
}

/// What follows `name` in a comment.
fn behind<'a>(comment: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let begins = |window: &[u8]| window.eq_ignore_ascii_case(name.as_bytes());
    let rest = comment.get(comment.windows(name.len()).position(begins)? + name.len()..)?;
    let rest = rest.trim_ascii_start();
    Some(rest.strip_prefix(b"=").unwrap_or(rest))
}

/// The address after `name` in a comment.
fn named(comment: &[u8], name: &str) -> Option<Address> {
    let rest = behind(comment, name)?;
    let word = rest.get(..word_length(rest, false))?;
    // A semicolon ends a word; the one of `rfc822;a@b` and `<rfc822;a@b>` does not.
    let bare = rest.strip_prefix(b"<").unwrap_or(rest);
    let typed = bare.get(..7).filter(|kind| kind.eq_ignore_ascii_case(b"rfc822;")).and_then(|_| bare.get(7..));
    let word = typed.map_or(word, |typed| typed.get(..word_length(typed, false)).unwrap_or_default());
    address::trace(word.strip_suffix(b">").filter(|_| typed.is_some()).unwrap_or(word)).into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_for_clause_names_recipients_in_every_form_and_nobody_where_it_is_a_trap() {
        let cases: [(&str, &[&str]); 20] = [
            ("from a by b with SMTP id 1 for <a@x.example>; Mon", &["a@x.example"]),
            ("from a by b for a@x.example; Mon", &["a@x.example"]),
            ("from a by b for a@x.example", &["a@x.example"]),
            ("from a by b id 7\r\n\tfor a@x.example (single-drop); Mon", &["a@x.example"]),
            ("from a by b for <a@x.example> from <b@x.example>; Mon", &["a@x.example"]),
            ("from a by b id 730for <a@x.example>; Mon", &["a@x.example"]),
            ("from a by b for \"a b;c\"@x.example; Mon", &["\"a b;c\"@x.example"]),
            ("from a by b for <\"a b\"@x.example>; Mon", &["\"a b\"@x.example"]),
            ("from a by b for <a@x.example>,<b@x.example>; Mon", &["a@x.example", "b@x.example"]),
            ("from a by Host.Example. (8.6) for nsb; Mon", &["nsb@host.example"]),
            ("from a by host.example for nsb (x)", &["nsb@host.example"]),
            ("from a (b by host(x).example for nsb; Mon", &[]),
            ("from a by b for <multiple recipients>; Mon", &[]),
            ("(qmail 12 invoked for bounce); Mon", &[]),
            ("from a by b via smtpd (for host [192.0.2.1]); Mon", &[]),
            ("from a by b (LSMTP for OpenVMS v1.1) with x; Mon", &[]),
            ("from a by b with LSMTP for OpenVMS v1.1 id <1@b>; Mon", &[]),
            ("from a (for c@x.example) by b; Mon", &[]),
            ("from a by b for", &[]),
            ("from for <c@x.example> (e.example [192.0.2.1]) by b for <a@x.example>; Mon", &["a@x.example"]),
        ];
        for (value, expected) in cases {
            let recipients: Vec<String> = read(value.as_bytes()).recipients.iter().map(|a| a.spelt().lossy().into_owned()).collect();
            assert_eq!(recipients, expected, "{value}");
        }
    }

    #[test]
    fn the_writer_is_believed_and_not_what_the_other_side_calls_itself() {
        let cases = [
            ("from liar.example (real.example [192.0.2.1]) by MX.Example. (Postfix)", Some("real.example"), Some("mx.example"), false),
            ("from real.example (HELO liar.example) (192.0.2.1) by mx.example", Some("real.example"), Some("mx.example"), false),
            ("from real.example ([192.0.2.1] helo=liar.example) by mx.example", Some("real.example"), Some("mx.example"), false),
            ("from localhost (localhost [127.0.0.1]) by mx.example", Some("localhost"), Some("mx.example"), true),
            ("from localhost (evil.example [192.0.2.1]) by mx.example", Some("evil.example"), Some("mx.example"), false),
            ("by mx.example (Postfix, from userid 0) id 1; Mon", None, Some("mx.example"), true),
            ("", None, None, true),
        ];
        for (value, from, by, internal) in cases {
            let received = read(value.as_bytes());
            assert_eq!((received.from.as_deref(), received.by.as_deref(), received.is_internal), (from, by, internal), "{value}");
        }
    }

    #[test]
    fn notes_in_comments_are_read() {
        let received =
            read(b"from \"abc@xyz\" by h with local (Exim) (envelope-from <\"abc@xyz\"@h.example>) (ORCPT rfc822;a@x.example) id 1");
        assert_eq!(received.envelope_from.map(|a| a.normal()).as_deref(), Some("\"abc@xyz\"@h.example"));
        assert_eq!(received.original.map(|a| a.normal()).as_deref(), Some("a@x.example"));
        for noted in
            ["(ORCPT <rfc822;a@x.example>)", "(ORCPT\n\t<rfc822;a@x.example>);", "(ORCPT a@x.example)", "(orcpt=rfc822;a@x.example)"]
        {
            let original = read(format!("from a by b id 1 {noted}; Mon").as_bytes()).original;
            assert_eq!(original.map(|a| a.normal()).as_deref(), Some("a@x.example"), "{noted}");
        }
    }
}
