//! What is learnt of a message while its octets pass: its fingerprint, and what its receipt quotes.
//!
//! Of a journal report both are those of its inner message, so that several reports of one mail are one mail, and a search finds it; if the
//! inner message does not lie where mdrop-route says, the report is archived as the message it is.

use crate::fingerprint::FingerprintHasher;
use crate::header;
use crate::identity::{Digest, Fingerprint};
use crate::inner::{Cutter, Inner};
use crate::octets::Octets;
use crate::stream::{Journal, Meta};
use std::io::{self, Write};

/// What a receipt quotes from the header.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Quoted {
    /// Message-ID
    pub message_id: Option<Octets>,
    /// Date
    pub date: Option<Octets>,
    /// From
    pub from: Option<Octets>,
    /// Subject
    pub subject: Option<Octets>,
}

/// How much of a header is looked at for what a receipt quotes, and how much of one value is quoted, in octets.
const QUOTED_FROM: usize = 256 << 10;
const QUOTED_LONGEST: usize = 998;
/// How much is looked at at once for the header's end.
const LOOK: usize = 4 << 10;

impl Quoted {
    /// Quotes from the beginning of a message, encoded or not; of several fields of one name, the first.
    #[must_use]
    pub fn from(beginning: &[u8]) -> Self {
        let mut quoted = Self::default();
        for field in header::fields(&beginning[..beginning.len().min(QUOTED_FROM)]) {
            let place = match field.name.len() {
                10 if field.is("Message-ID") => &mut quoted.message_id,
                4 if field.is("Date") => &mut quoted.date,
                4 if field.is("From") => &mut quoted.from,
                7 if field.is("Subject") => &mut quoted.subject,
                _ => continue,
            };
            place.get_or_insert_with(|| field.unfolded(QUOTED_LONGEST).into());
        }
        quoted
    }
}

/// A message read from a stream, and what was learnt as it passed.
#[derive(Clone, PartialEq, Debug)]
pub struct Arrival {
    /// Its X-Mdrop line.
    pub meta: Meta,
    /// Its fingerprint; that of the inner message, where it has one.
    pub fingerprint: Fingerprint,
    /// What its receipt will quote, from the same header.
    pub quoted: Quoted,
    /// What mdrop-route said of it as a journal report, with the inner message's place only if that was found right.
    pub journal: Option<Journal>,
    /// Why that place was not right, where it was not.
    pub misplaced: Option<String>,
}

/// Learns of a message while its octets, in their original form, pass.
#[derive(Default)]
pub struct Learner {
    message: Header,
    journal: Option<Journal>,
    inner: Option<Result<Cutter<Digesting>, String>>,
}

impl Learner {
    /// For a message of which mdrop-route said this.
    #[must_use]
    pub fn of(journal: Option<&Journal>) -> Self {
        let inner = journal.and_then(|journal| Inner::of(journal).transpose());
        let inner = inner.map(|inner| inner.map(|inner| Cutter::new(inner, Digesting::default())));
        Self { message: Header::default(), journal: journal.cloned(), inner }
    }

    /// What was learnt of the message that `meta` describes.
    #[must_use]
    pub fn finish(self, meta: Meta) -> Arrival {
        let Self { message, mut journal, inner } = self;
        let cut = inner.map(|inner| inner.and_then(|cutter| cutter.finish().map_err(|e| e.to_string())?));
        let (learnt, misplaced) = match cut {
            Some(Ok(inner)) => {
                let digest = Digest(*inner.hasher.finalize().as_bytes());
                (inner.header.finish(digest), None)
            }
            other => (message.finish(meta.digest), other.and_then(Result::err)),
        };
        if misplaced.is_some() {
            journal = journal.map(|journal| Journal { offset: None, length: None, encoding: None, ..journal });
        }
        let (fingerprint, quoted) = learnt;
        Arrival { meta, fingerprint, quoted, journal, misplaced }
    }
}

impl Write for Learner {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.message.update(octets);
        if let Some(Ok(cutter)) = &mut self.inner {
            cutter.write_all(octets)?;
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An inner message on its way: its header, and its digest, which is its fingerprint where it lacks what a fingerprint needs.
#[derive(Default)]
struct Digesting {
    header: Header,
    hasher: blake3::Hasher,
}

impl Write for Digesting {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.header.update(octets);
        self.hasher.update(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A message's fingerprint in the making, and the beginning of its header.
#[derive(Default)]
struct Header {
    hasher: FingerprintHasher,
    beginning: Vec<u8>,
    ended: bool,
}

impl Header {
    fn update(&mut self, octets: &[u8]) {
        self.hasher.update(octets);
        // Most headers end within a few KiB; the body need not be copied.
        for piece in octets.chunks(LOOK) {
            let room = QUOTED_FROM - self.beginning.len();
            if self.ended || room == 0 {
                return;
            }
            let from = self.beginning.len().saturating_sub(3);
            self.beginning.extend_from_slice(&piece[..piece.len().min(room)]);
            self.ended = ends_header(&self.beginning[from..]);
        }
    }

    fn finish(self, digest: Digest) -> (Fingerprint, Quoted) {
        (self.hasher.finish(digest), Quoted::from(&self.beginning))
    }
}

/// Whether an empty line behind some header line is among the octets.
fn ends_header(octets: &[u8]) -> bool {
    memchr::memmem::find(octets, b"\r\n\r\n").is_some() || memchr::memmem::find(octets, b"\n\n").is_some()
}
