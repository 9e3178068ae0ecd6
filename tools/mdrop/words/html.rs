//! HTML as text: tags, scripts and styles are left out, a new line begins where a browser begins one, references become characters.
//!
//! No parser of HTML: what is wanted is words. It is linear, keeps nothing, and what is broken costs no more than itself.

/// Elements that stand within a line, so that a word may go on behind their tags.
const INLINE: [&str; 29] = [
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd", "mark", "q", "s",
    "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "wbr",
];
/// Elements whose content is no text.
const HIDDEN: [&str; 4] = ["script", "style", "head", "noscript"];

/// The text of an HTML document.
#[must_use]
pub fn text(html: &str) -> String {
    let mut text = String::with_capacity(html.len() / 2);
    let mut rest = html;
    // Which of the hidden elements are known to have no end any more.
    let mut endless = [false; HIDDEN.len()];
    while let Some(at) = memchr::memchr(b'<', rest.as_bytes()) {
        let (before, tag) = rest.split_at(at);
        text.push_str(before);
        rest = skip(tag, &mut text, &mut endless);
    }
    text.push_str(rest);
    html_escape::decode_html_entities(&text).into_owned()
}

/// Passes over the tag at the beginning; returns what follows.
fn skip<'a>(tag: &'a str, text: &mut String, endless: &mut [bool]) -> &'a str {
    if tag.starts_with("<!--") {
        return tag.find("-->").and_then(|end| tag.get(end + 3..)).unwrap_or_default();
    }
    let inside = tag.get(1..).unwrap_or_default();
    if !inside.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
        text.push('<');
        return inside;
    }
    let Some(end) = memchr::memchr(b'>', inside.as_bytes()) else {
        text.push('\n');
        text.push_str(inside);
        return "";
    };
    let after = inside.get(end + 1..).unwrap_or_default();
    let closing = inside.starts_with('/');
    let name = inside.trim_start_matches('/').split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    if !INLINE.iter().any(|inline| name.eq_ignore_ascii_case(inline)) {
        text.push('\n');
    }
    let hidden = HIDDEN.iter().zip(endless).find(|(hidden, endless)| !closing && !**endless && name.eq_ignore_ascii_case(hidden));
    let Some((hidden, endless)) = hidden else { return after };
    // Without an end it is wrong, and its content is better than nothing.
    behind(after, hidden).unwrap_or_else(|| {
        *endless = true;
        after
    })
}

/// What follows the end of an element.
fn behind<'a>(content: &'a str, name: &str) -> Option<&'a str> {
    let closes = |at: &usize| content.get(at + 2..at + 2 + name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name));
    content.get(memchr::memmem::find_iter(content.as_bytes(), b"</").find(closes)?..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(html: &str) -> String {
        text(html).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_a_reader_sees_is_the_text() {
        for (html, seen) in [
            ("<p>one<br>two</p><P>three", "one two three"),
            ("<b>A</b>pple <span style='x'>pie</span>", "Apple pie"),
            ("<td>a</td><td>b</td>", "a b"),
            ("<HEAD><title>no</title></head><style>p { x }</style>yes<SCRIPT>if (a < b) {}</script> again", "yes again"),
            ("a<!-- not <b>this</b> -->b", "ab"),
            (
                "1 < 2 &amp;&amp; 3 &gt; 2; Gr&uuml;&szlig;e &#x6771;&#20140; &unknown;",
                "1 < 2 && 3 > 2; Gr\u{fc}\u{df}e \u{6771}\u{4eac} &unknown;",
            ),
            ("<style>without end", "without end"),
            ("text <unfinished", "text unfinished"),
            ("<a href=\"http://example.com/?a>b\">link</a>", "b\">link"),
            ("\u{e4}<\u{e4}", "\u{e4}<\u{e4}"),
            ("", ""),
        ] {
            assert_eq!(words(html), seen, "{html}");
        }
    }

    #[test]
    fn hostile_html_takes_no_time() {
        let began = std::time::Instant::now();
        for part in ["<", "<a", "<!--", "<style>", "<style></", "&", "&#", "</", "<a>"] {
            let _ = text(&part.repeat(400_000 / part.len()));
        }
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    }
}
