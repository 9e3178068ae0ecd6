//! What goes wrong, and where: places of a trace, and what can happen there.

use super::trace::{Line, Piece, Step, Trace};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// A place in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Before it.
    Begin,
    /// In its middle.
    Half,
    /// Before the first octet of the n-th message in it.
    First(usize),
    /// In the middle of that message.
    Middle(usize),
    /// Before the last octet of that message.
    Last(usize),
    /// After that message, before what ends the line.
    Behind(usize),
}

/// A place in a trace: a line of its file, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub at: At,
}

/// What happens there.
#[derive(Clone, Debug)]
pub enum Kind {
    /// The connection ends.
    Cut,
    /// The connection ends with a reset.
    Reset,
    /// Nothing more is sent, and the connection stays open.
    Stall,
    /// From here on each octet is sent for itself, with a pause after it.
    Drip(Duration),
    /// Other octets are sent in place of the line.
    Garble(Vec<u8>),
    /// Other octets are sent before the line.
    Insert(Vec<u8>),
    /// The lengths of the line's literals are given with so much more or less.
    Stretch(i64),
}

/// A fault.
#[derive(Clone, Debug)]
pub struct Fault {
    pub place: Place,
    pub kind: Kind,
}

impl Kind {
    /// Whether it only ends a connection, so that another one can bring the rest.
    pub fn breaks_off(&self) -> bool {
        matches!(self, Self::Cut | Self::Reset | Self::Stall)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, at } = self.place;
        match &self.kind {
            Kind::Garble(octets) | Kind::Insert(octets) => {
                let verb = if matches!(self.kind, Kind::Garble(_)) { "garble" } else { "insert" };
                write!(f, "{line}: {verb} {:?}", String::from_utf8_lossy(octets.get(..60).unwrap_or(octets)))
            }
            kind => write!(f, "{line}: {kind:?} {at:?}"),
        }
    }
}

impl Trace {
    /// All lines that the server sends.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        let steps = self.connections.iter().flatten().filter_map(|step| if let Step::Send(line) = step { Some(line) } else { None });
        steps.chain(self.asides.iter().flat_map(|(_, lines)| lines))
    }

    /// Every place where the wire can break: before each line, in its middle, and around and in each message.
    pub fn places(&self) -> Vec<Place> {
        let places = self.lines().flat_map(|line| {
            let bodies = line.pieces.iter().filter(|piece| !matches!(piece, Piece::Text(_))).count();
            let inner = (0..bodies).flat_map(|n| [At::First(n), At::Middle(n), At::Last(n), At::Behind(n)]);
            let half = (bodies == 0).then_some(At::Half);
            let all: Vec<At> = [At::Begin].into_iter().chain(half).chain(inner).collect();
            all.into_iter().map(|at| Place { line: line.number, at })
        });
        places.collect()
    }

    /// What a server that is broken, or somebody in between, could send in place of a line. The lines of a POP3 message, and its last dot,
    /// are left alone: nothing tells what the message was.
    pub fn garbled(&self) -> Vec<Fault> {
        let noise: Vec<u8> = (0..200_u32).map(|i| chance(&self.name, i as usize).to_le_bytes()[0]).filter(|o| *o != b'\n').collect();
        let end = b"\r\n".as_slice();
        let mut kinds: Vec<Vec<u8>> = vec![
            [&noise, end].concat(),
            [&b"x".repeat(100_000), end].concat(),
            b"* 1 FETCH (UID 1 BODY[] {999999999999}\r\n".to_vec(),
            b"\0\r\n".to_vec(),
            b"+OK\rA1 OK\r-ERR\r\n".to_vec(),
            b"\r\n".to_vec(),
        ];
        kinds.extend(if self.protocol() == "imap" {
            ["zz9 OK done\r\n", "* BYE the server is going down\r\n", "* 1 FETCH (UID 1 BODY[] {18446744073709551615}\r\n", "+ \r\n"]
                .map(Into::into)
        } else {
            ["-ERR\r\n", "+OK\r\n", ".\r\n", "+ \r\n"].map(Into::into)
        });
        self.spread(&kinds, Kind::Garble)
    }

    /// What a server could say that is not true.
    pub fn lies(&self) -> Vec<Fault> {
        let mut all: Vec<Fault> = Vec::new();
        for line in self.lines().filter(|line| line.pieces.iter().any(|piece| matches!(piece, Piece::Literal(_)))) {
            let place = Place { line: line.number, at: At::Begin };
            all.extend([-7, -1, 1, 3, 1_000].map(|n| Fault { place, kind: Kind::Stretch(n) }));
        }
        if self.protocol() == "imap" {
            let unasked = [
                "* 1 FETCH (UID 4000000000 BODY[] {3}\r\nxyz)\r\n",
                "* 1 FETCH (FLAGS (\\Seen))\r\n",
                "* 1 EXPUNGE\r\n",
                "* 2000000000 EXISTS\r\n",
                "* LIST () \"/\" \"\\\"\r\n",
                "* 1 FE\rTCH (UI\rD 1)\r\n",
                "* NO [ALERT] the disk is full\r\n",
            ];
            all.extend(self.spread(&unasked.map(|text| text.as_bytes().to_vec()), Kind::Insert));
        }
        all
    }

    fn is_message_text(&self, line: &Line) -> bool {
        let dot = matches!(line.pieces.as_slice(), [Piece::Text(text)] if text == b".");
        self.protocol() == "pop3" && (dot || line.pieces.iter().any(|piece| matches!(piece, Piece::Body(_))))
    }

    /// One of the kinds for each line, chosen by the trace's name and the line; all of them if `MDROP_ALL` is set.
    fn spread(&self, kinds: &[Vec<u8>], make: fn(Vec<u8>) -> Kind) -> Vec<Fault> {
        let each = if std::env::var_os("MDROP_ALL").is_some() { kinds.len() } else { 1 };
        let faults = self.lines().filter(|line| !self.is_message_text(line)).flat_map(|line| {
            let first = usize::try_from(chance(&self.name, line.number) % 1_000).unwrap_or_default();
            let chosen = (0..each).filter_map(move |n| kinds.get((first + n) % kinds.len()));
            chosen.map(move |octets| Fault { place: Place { line: line.number, at: At::Begin }, kind: make(octets.clone()) })
        });
        faults.collect()
    }
}

/// The same number for the same words each time.
fn chance(words: &str, number: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    (words, number).hash(&mut hasher);
    hasher.finish()
}
