//! Cuts octets that come in pieces of any size into what a reader of multiparts needs: whole lines of headers, lines that may be
//! boundaries, and the rest in pieces as large as they come.
//!
//! Each octet is looked at once. No more than one line's beginning is held, so that neither a line without end nor a million boundaries
//! take memory.

/// How much of a line is held at most; a boundary has 250 octets, a field's name 1000.
const LINE: usize = 1024;

/// What is told of the octets.
pub trait Sink {
    /// Whether the octets that follow are a header's, so that its lines are needed whole.
    fn in_header(&self) -> bool;
    /// A line that begins with two dashes (of a very long one the beginning), at the offset `at`, before which `line_end` octets are the
    /// end of another line; whether it was a boundary.
    fn boundary(&mut self, line: &[u8], at: u64, line_end: u64) -> bool;
    /// Other octets, which may begin a line; `until` is the offset behind them.
    fn piece(&mut self, piece: &[u8], begins: bool, until: u64);
    /// Whether nothing more is needed.
    fn is_done(&self) -> bool;
}

/// The state between two pieces.
#[derive(Debug, Default)]
pub struct Scan {
    /// How many octets were told of.
    at: u64,
    /// The last two of them, the last one first.
    last: [u8; 2],
    /// The beginning of a line of which it is not known yet what it is.
    held: Vec<u8>,
    /// Whether the octets that follow are the rest of a line.
    inside: bool,
}

impl Scan {
    /// Takes octets, as many as are needed.
    pub fn take(&mut self, octets: &[u8], sink: &mut impl Sink) {
        let mut rest = octets;
        while !rest.is_empty() && !sink.is_done() {
            let used = if self.inside { self.go_on(rest, sink) } else { self.begin(rest, sink) };
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    /// Tells of what is held; nothing follows.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        if !self.held.is_empty() && !sink.is_done() {
            self.settle(sink);
        }
    }

    /// At a line's beginning: returns how many octets were used.
    fn begin(&mut self, octets: &[u8], sink: &mut impl Sink) -> usize {
        if self.held.is_empty() && !sink.in_header() && octets.first() != Some(&b'-') {
            self.inside = true;
            return 0;
        }
        let end = memchr::memchr(b'\n', octets).map_or(octets.len(), |at| at + 1);
        let used = end.min(LINE - self.held.len());
        self.held.extend_from_slice(octets.get(..used).unwrap_or_default());
        if self.held.ends_with(b"\n") || self.held.len() == LINE {
            self.settle(sink);
        }
        used
    }

    fn settle(&mut self, sink: &mut impl Sink) {
        let line = std::mem::take(&mut self.held);
        let line_end = match self.last {
            [b'\n', b'\r'] => 2,
            [b'\n', _] => 1,
            _ => 0,
        };
        let (begin, is_boundary) = (self.at, line.starts_with(b"--"));
        self.count(&line);
        if !(is_boundary && sink.boundary(&line, begin, line_end)) {
            sink.piece(&line, true, self.at);
        }
        self.inside = !line.ends_with(b"\n");
        self.held = line;
        self.held.clear();
    }

    /// Inside a line: goes on to the next one that may matter; returns how many octets were used.
    fn go_on(&mut self, octets: &[u8], sink: &mut impl Sink) -> usize {
        let next = if sink.in_header() { memchr::memchr(b'\n', octets) } else { memchr::memmem::find(octets, b"\n--") };
        // A line may begin at the end, and be a boundary.
        let ends = || match octets {
            [.., b'\n'] => Some(octets.len() - 1),
            [.., b'\n', b'-'] => Some(octets.len() - 2),
            _ => None,
        };
        let next = next.or_else(ends);
        let used = next.map_or(octets.len(), |at| at + 1);
        self.inside = next.is_none();
        let piece = octets.get(..used).unwrap_or_default();
        self.count(piece);
        sink.piece(piece, false, self.at);
        used
    }

    fn count(&mut self, piece: &[u8]) {
        self.at += piece.len() as u64;
        self.last = match piece {
            [.., second, first] => [*first, *second],
            [first] => [*first, self.last[0]],
            [] => self.last,
        };
    }
}
