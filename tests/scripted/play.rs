//! Plays one connection's script.

use super::fault::{At, Fault, Kind};
use super::trace::{Awaited, Line, Piece, Step, Trace, is_tag};
use super::wire::Wire;
use std::collections::HashMap;
use std::io;
use std::ops::Range;

/// Plays scripts of a trace on one connection.
pub struct Player<'a> {
    pub trace: &'a Trace,
    pub fault: Option<&'a Fault>,
    pub wire: Wire<'a>,
    /// The client's tags, by their placeholders.
    tags: HashMap<String, String>,
}

/// Why a script was not played to its end.
#[derive(Debug)]
pub enum Stop {
    /// The fault ended it.
    Fault,
    /// The client did what the trace does not have.
    Client(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Client(format!("the connection is lost: {error}"))
    }
}

/// A line as it travels.
struct Rendered {
    octets: Vec<u8>,
    bodies: Vec<Range<usize>>,
}

impl<'a> Player<'a> {
    pub fn new(trace: &'a Trace, fault: Option<&'a Fault>, wire: Wire<'a>) -> Self {
        Self { trace, fault, wire, tags: HashMap::new() }
    }

    /// Plays a script, and calls `at_end` when its end is reached, before the client can know it. Then answers what may be asked at any
    /// time, until the client goes.
    pub fn play(&mut self, script: &'a [Step], at_end: &dyn Fn()) -> Result<(), Stop> {
        for (left, step) in (0..script.len()).rev().zip(script) {
            match step {
                Step::Await(awaited) => self.await_line(awaited)?,
                Step::Send(line) => self.send(line)?,
                Step::Tls => self.wire.start_tls()?,
                Step::Close if left == 0 => {
                    at_end();
                    self.wire.cut();
                    return Ok(());
                }
                Step::Close => self.wire.cut(),
            }
        }
        at_end();
        while let Some(line) = self.wire.read_line()? {
            self.aside(&line, "nothing")?;
        }
        Ok(())
    }

    fn await_line(&mut self, awaited: &Awaited) -> Result<(), Stop> {
        loop {
            let line = self.wire.read_line()?;
            let line = line.ok_or_else(|| Stop::Client(format!("it went when this was awaited: {}", awaited.pattern)))?;
            if self.matches(awaited, &line) {
                return Ok(());
            }
            self.aside(&line, &awaited.pattern)?;
        }
    }

    fn aside(&mut self, line: &str, awaited: &str) -> Result<(), Stop> {
        let trace = self.trace;
        for (pattern, answers) in &trace.asides {
            if self.matches(pattern, line) {
                return answers.iter().try_for_each(|answer| self.send(answer));
            }
        }
        Err(Stop::Client(format!("{awaited} was awaited, and this came: {line}")))
    }

    /// Whether a line is the one awaited; if so its tag is kept.
    fn matches(&mut self, awaited: &Awaited, line: &str) -> bool {
        let Some(placeholder) = &awaited.tag else { return glob(awaited.pattern.as_bytes(), line.as_bytes()) };
        let Some((tag, rest)) = line.split_once(' ') else { return false };
        let fits = glob(awaited.pattern.as_bytes(), rest.as_bytes());
        if fits {
            self.tags.insert(placeholder.clone(), tag.to_owned());
        }
        fits
    }

    fn send(&mut self, line: &Line) -> Result<(), Stop> {
        let fault = self.fault.filter(|fault| fault.place.line == line.number);
        let stretch = if let Some(Kind::Stretch(n)) = fault.map(|fault| &fault.kind) { *n } else { 0 };
        let rendered = self.render(line, stretch);
        let Some(fault) = fault else { return Ok(self.wire.send(&rendered.octets)?) };
        let before = rendered.offset(fault.place.at);
        match &fault.kind {
            Kind::Garble(octets) => return Ok(self.wire.send(octets)?),
            Kind::Insert(octets) => self.wire.send(octets)?,
            Kind::Drip(pause) => self.wire.drips = Some(*pause),
            Kind::Stretch(_) => {}
            Kind::Cut | Kind::Reset | Kind::Stall => {
                self.wire.send(&rendered.octets[..before])?;
                match fault.kind {
                    Kind::Cut => self.wire.cut(),
                    Kind::Reset => self.wire.reset(),
                    _ => self.wire.stall(),
                }
                return Err(Stop::Fault);
            }
        }
        Ok(self.wire.send(&rendered.octets)?)
    }

    fn render(&self, line: &Line, stretch: i64) -> Rendered {
        let mut rendered = Rendered { octets: Vec::new(), bodies: Vec::new() };
        for piece in &line.pieces {
            match piece {
                Piece::Text(text) if rendered.octets.is_empty() => rendered.octets = self.with_tag(text),
                Piece::Text(text) => rendered.octets.extend(text),
                Piece::Literal(octets) => {
                    let length = octets.len().saturating_add_signed(isize::try_from(stretch).unwrap());
                    rendered.octets.extend(format!("{{{length}}}\r\n").bytes());
                    rendered.body(octets);
                }
                Piece::Body(octets) => rendered.body(octets),
            }
        }
        rendered.octets.extend(b"\r\n");
        rendered
    }

    /// A text whose first word, if it is a placeholder, is the client's tag.
    fn with_tag(&self, text: &[u8]) -> Vec<u8> {
        let end = text.iter().position(|octet| *octet == b' ').unwrap_or(text.len());
        let word = std::str::from_utf8(&text[..end]).ok().filter(|word| is_tag(word));
        let Some(tag) = word.and_then(|word| self.tags.get(word)) else { return text.to_vec() };
        [tag.as_bytes(), &text[end..]].concat()
    }
}

impl Rendered {
    fn body(&mut self, octets: &[u8]) {
        let begin = self.octets.len();
        self.octets.extend(octets);
        self.bodies.push(begin..self.octets.len());
    }

    /// How many octets stand before a place.
    fn offset(&self, at: At) -> usize {
        let body = |n: usize| self.bodies[n].clone();
        match at {
            At::Begin => 0,
            At::Half => self.octets.len() / 2,
            At::First(n) => body(n).start,
            At::Middle(n) => usize::midpoint(body(n).start, body(n).end),
            At::Last(n) => body(n).end.saturating_sub(1).max(body(n).start),
            At::Behind(n) => body(n).end,
        }
    }
}

/// Whether a text is what a pattern describes, in which `*` stands for anything; case counts for nothing.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skipped| glob(rest, &text[skipped..])),
        Some((wanted, rest)) => text.split_first().is_some_and(|(first, left)| first.eq_ignore_ascii_case(wanted) && glob(rest, left)),
    }
}
