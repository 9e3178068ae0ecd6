//! Cuts a value into elements, one at a time, so that a value of any length takes the memory of one element.
//!
//! What stands between the letters of an address matters: a blank beside a dot or an @ joins words (RFC 5322 section 4.4), any other
//! blank parts them, and a comment between two letters makes them no word at all. So text is gathered with marks for these, and no octet of
//! the value can be taken for a mark, since an address holds no control character.

/// Stands for a blank that parts words.
pub const BLANK: u8 = 1;
/// Stands for a blank beside a dot, an @ or a bracket of a domain literal.
pub const JOINT: u8 = 2;
/// Stands for what no address can hold: a control character, or a comment inside a word.
const BROKEN: u8 = 0x7f;
/// How much of an element is kept, in octets: one address has 1000 at most, but many may stand there with blanks between them.
const LONGEST: usize = 64 << 10;
/// How far behind its @ a domain literal is looked for, in octets.
const LITERAL: usize = 64;

/// One element of a list: what stands outside angle brackets, and what stands inside.
#[derive(Debug, Default)]
pub struct Element {
    /// What stands before and behind the angle brackets.
    pub plain: Text,
    /// What stands in them, if there are any.
    pub angle: Option<Text>,
    /// Whether a bracket is missing before the value's end, brackets stand in each other, or a word touches them from behind.
    pub is_broken: bool,
}

/// Text with marks for blanks and comments.
#[derive(Debug, Default)]
pub struct Text {
    /// The text with its marks; none at either end.
    pub octets: Vec<u8>,
    /// Whether the text goes on, but is too long to be kept.
    pub is_cut: bool,
    gap: Gap,
}

/// What was passed over since the last octet of a text.
#[derive(Debug, Default)]
struct Gap {
    blank: bool,
    comment: bool,
    /// A closing bracket, behind which no word goes on.
    closed: bool,
}

impl Text {
    /// Adds what is neither quoted nor a comment.
    fn push(&mut self, text: &[u8]) {
        for b in text {
            match b {
                b' ' | b'\t' | b'\r' | b'\n' => self.gap.blank = true,
                b => self.put(*b),
            }
        }
    }

    /// Adds a quoted string. Of a fold in it the blank remains, and a tab is one (RFC 5322 section 3.2.2).
    fn push_quoted(&mut self, quoted: &[u8]) {
        let is_fold = |at: usize| {
            let behind = quoted.iter().skip(at).take(3).find(|b| !matches!(b, b'\r' | b'\n'));
            matches!(behind, Some(b' ' | b'\t'))
        };
        for (at, b) in quoted.iter().enumerate() {
            match b {
                b'\r' | b'\n' if is_fold(at) => {}
                b'\t' => self.put(b' '),
                b => self.put(*b),
            }
        }
    }

    /// Adds one octet that is no blank, and before it the mark for what was passed over.
    fn put(&mut self, octet: u8) {
        let Gap { blank, comment, closed } = std::mem::take(&mut self.gap);
        let last = self.octets.last().copied();
        let joins = matches!(last, Some(b'.' | b'@' | b'[')) || matches!(octet, b'.' | b'@' | b']');
        let mark = match (blank, comment) {
            _ if last.is_none() => None,
            (true, _) => Some(if joins && !closed { JOINT } else { BLANK }),
            (false, comment) => (closed || (comment && !joins)).then_some(BROKEN),
        };
        if self.octets.len() + 1 < LONGEST {
            self.octets.extend(mark);
            self.octets.push(if octet.is_ascii_control() { BROKEN } else { octet });
        } else {
            self.is_cut = true;
        }
    }

    /// Whether this is the beginning of a source route, `@a,@b:`, or of a domain literal, `a@[IPv6:`, where a colon ends no group's name.
    fn takes_colon(&self) -> bool {
        let tail = self.octets.get(self.octets.len().saturating_sub(LITERAL)..).unwrap_or_default();
        let open = memchr::memrchr(b'[', tail).and_then(|at| tail.get(at.checked_sub(1)?..));
        let is_literal = open.is_some_and(|open| open.starts_with(b"@") && !open.contains(&b']'));
        self.octets.starts_with(b"@") || is_literal
    }
}

/// Cuts a value at commas and semicolons; a group's name is left out where there may be `groups`, else a colon is text.
pub fn elements(value: &[u8], groups: bool) -> Elements<'_> {
    let scanner = Scanner { value, at: 0, quotes: true, comments: true, bracket: None };
    Elements { scanner, groups, current: Element::default(), depth: 0, touches: false, separators: 0 }
}

/// See [`elements`].
pub struct Elements<'a> {
    scanner: Scanner<'a>,
    groups: bool,
    current: Element,
    /// How many angle brackets are open.
    depth: usize,
    /// Whether an angle bracket has just been closed.
    touches: bool,
    /// How many commas and semicolons have ended an element so far.
    pub separators: usize,
}

impl Iterator for Elements<'_> {
    type Item = Element;

    fn next(&mut self) -> Option<Element> {
        while let Some((kind, piece)) = self.scanner.piece() {
            if let Some(done) = self.take(kind, piece) {
                return Some(done);
            }
        }
        // A bracket that the value's end closes is one that a program forgot; an element's end closes none.
        self.depth = 0;
        self.end()
    }
}

impl Elements<'_> {
    /// Takes the next piece; hands out the element that it ends.
    fn take(&mut self, kind: Kind, piece: &[u8]) -> Option<Element> {
        let touched = std::mem::take(&mut self.touches);
        match (kind, piece) {
            (Kind::Mark, b"<") => return self.open(),
            (Kind::Mark, b">") => self.close(),
            (Kind::Mark, b"," | b";") if self.depth == 0 || !self.scanner.closes() => {
                self.separators += 1;
                return self.end();
            }
            (Kind::Mark, b":") if self.groups && self.depth == 0 && !self.current.plain.takes_colon() => {
                if self.current.angle.is_some() {
                    return self.end();
                }
                self.current.plain = Text::default();
            }
            (Kind::Comment, _) => self.text().gap.comment = true,
            (Kind::Quoted, quoted) => {
                self.current.is_broken |= touched;
                self.text().push_quoted(quoted);
            }
            (Kind::Text | Kind::Mark, text) => {
                self.current.is_broken |= touched && !text.first().is_some_and(u8::is_ascii_whitespace);
                self.text().push(text);
            }
        }
        None
    }

    /// Where text belongs now.
    fn text(&mut self) -> &mut Text {
        match &mut self.current.angle {
            Some(angle) if self.depth > 0 => angle,
            _ => &mut self.current.plain,
        }
    }

    fn open(&mut self) -> Option<Element> {
        let is_inside = self.depth > 0;
        let angle = match &self.current.angle {
            Some(angle) if is_inside && angle.octets.is_empty() => {
                self.depth += 1;
                return None;
            }
            // A bracket that touches the word before it inside a bracket: what follows is no whole address.
            Some(angle) if is_inside && !angle.gap.blank => Text { octets: vec![BROKEN], ..Text::default() },
            _ => Text::default(),
        };
        let done = if self.current.angle.is_some() { self.end() } else { None };
        self.depth = 1;
        self.current.angle = Some(angle);
        self.current.is_broken |= is_inside;
        done
    }

    fn close(&mut self) {
        self.current.is_broken |= self.depth == 0;
        self.text().gap.closed = true;
        self.depth = self.depth.saturating_sub(1);
        self.touches = self.depth == 0;
    }

    fn end(&mut self) -> Option<Element> {
        let mut done = std::mem::take(&mut self.current);
        done.is_broken |= std::mem::take(&mut self.depth) > 0;
        (done.angle.is_some() || !done.plain.octets.is_empty()).then_some(done)
    }
}

/// What a piece is.
#[derive(Clone, Copy)]
enum Kind {
    Quoted,
    Comment,
    /// One of the characters that `is_mark` names.
    Mark,
    Text,
}

/// Hands out a value in pieces.
struct Scanner<'a> {
    value: &'a [u8],
    at: usize,
    /// Whether a quote may still find its end.
    quotes: bool,
    /// Whether a comment may still find its end.
    comments: bool,
    /// The first angle bracket from where it was last asked for, or the value's end.
    bracket: Option<usize>,
}

impl<'a> Scanner<'a> {
    fn piece(&mut self) -> Option<(Kind, &'a [u8])> {
        let rest = self.value.get(self.at..).filter(|rest| !rest.is_empty())?;
        let (kind, length) = self.measure(rest);
        self.at += length;
        Some((kind, rest.get(..length).unwrap_or(rest)))
    }

    fn measure(&mut self, rest: &[u8]) -> (Kind, usize) {
        let closed = match rest.first() {
            Some(b'"') if self.quotes => quoted_length(rest).map(|length| (Kind::Quoted, length)),
            Some(b'(') if self.comments => comment_length(rest).map(|length| (Kind::Comment, length)),
            // Of a pair the second character means itself, also where no pair is allowed.
            Some(b'\\') => return (Kind::Text, 2),
            Some(b) if is_mark(*b) => return (Kind::Mark, 1),
            Some(b'"' | b'(') => None,
            _ => {
                let end = rest.iter().position(|b| is_mark(*b) || matches!(b, b'"' | b'(' | b'\\'));
                return (Kind::Text, end.unwrap_or(rest.len()));
            }
        };
        if closed.is_none() {
            // Nothing further on closes it either.
            if rest.starts_with(b"(") { self.comments = false } else { self.quotes = false }
        }
        closed.unwrap_or((Kind::Text, 1))
    }

    /// Whether the next angle bracket is a closing one.
    fn closes(&mut self) -> bool {
        let bracket = match self.bracket {
            Some(bracket) if bracket >= self.at => bracket,
            _ => {
                let found = memchr::memchr2(b'<', b'>', self.value.get(self.at..).unwrap_or_default());
                found.map_or(self.value.len(), |found| self.at + found)
            }
        };
        self.bracket = Some(bracket);
        self.value.get(bracket) == Some(&b'>')
    }
}

fn is_mark(b: u8) -> bool {
    matches!(b, b',' | b';' | b':' | b'<' | b'>')
}

/// How long the quoted string at the start is; none if it has no end.
fn quoted_length(octets: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', octets.get(at..)?)?;
        if octets.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// How long the comment at the start is, those inside it included (RFC 5322 section 3.2.2); none if it has no end.
#[must_use]
pub fn comment_length(octets: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        at += memchr::memchr3(b'(', b')', b'\\', octets.get(at..)?)?;
        match octets.get(at)? {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => at += 1,
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}
