//! Reading a message back from its pack: the report, or the message inside it. Neither ever lies in memory as a whole.

use mdrop::archive::index::Held as HeldMessage;
use mdrop::archive::pack::{PackReader, Place, decode};
use mdrop::archive::shelf::Shelf;
use mdrop::error::{Error, Result, Status};
use mdrop::frame::Run;
use mdrop::held::Held;
use mdrop::identity::{Digest, Fingerprint};
use mdrop::inner::{Cutter, Inner};
use mdrop::spool::Spool;
use mdrop::stream::{Encoder, Journal, Meta};
use std::io::{self, Write};

/// A message up to this size, in octets, waits in memory until it is known to be whole.
const IN_MEMORY: usize = 16 << 20;

/// What is to be handed out.
#[derive(Clone)]
pub struct Wanted {
    pub digest: Digest,
    pub place: Place,
    pub journal: Option<Journal>,
    /// The mail, of which another copy will do if this one is damaged.
    pub mail: Option<Fingerprint>,
    pub flags: Vec<String>,
    /// Under whom, and in which folders.
    pub targets: Vec<Target>,
}

/// Where a message goes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Target {
    /// The user, if those of several are handed out apart.
    pub user: Option<String>,
    /// The folder, if messages are handed out in folders.
    pub folder: Option<String>,
}

impl Wanted {
    /// A message that the archive holds, for any target.
    pub fn of(held: HeldMessage) -> Self {
        let place = (held.pack, held.frame, held.position);
        Self { digest: held.digest, place, journal: held.journal, mail: None, flags: Vec::new(), targets: vec![Target::default()] }
    }
}

/// A message that is known to be whole.
pub enum Content {
    /// In the form in which it travels.
    Encoded(Spool),
    /// Its octets.
    Octets(Box<Held>),
}

impl Content {
    /// Writes the form in which the message travels.
    pub fn write_encoded(&mut self, meta: &Meta, output: &mut dyn Write) -> Result<()> {
        match self {
            Self::Encoded(encoded) => io::copy(&mut encoded.reader()?, output).map(drop)?,
            Self::Octets(octets) => {
                let mut buffer = Vec::new();
                let mut encoder = Encoder::new(meta.eol, output, &mut buffer);
                io::copy(&mut octets.reader()?, &mut encoder)?;
                encoder.finish()?;
            }
        }
        Ok(())
    }

    /// Writes the message's octets.
    pub fn write_octets(&mut self, meta: &Meta, output: &mut dyn Write) -> Result<()> {
        match self {
            Self::Encoded(encoded) => decode(meta, &mut encoded.reader()?, output),
            Self::Octets(octets) => Ok(io::copy(&mut octets.reader()?, output).map(drop)?),
        }
    }
}

/// Reads messages back.
pub struct Reader {
    packs: PackReader,
    as_received: bool,
}

impl Reader {
    /// A reader that gives journal reports, or the messages in them.
    pub fn new(as_received: bool) -> Self {
        Self { packs: PackReader::default(), as_received }
    }

    /// What is to be handed out for `wanted`, and what there is to say of it. An inner message that can't be had is a line and a status, and
    /// the report takes its place: then nothing is lost.
    pub fn read(&mut self, shelf: &Shelf, wanted: &Wanted, run: &mut Run) -> Result<(Meta, Content)> {
        let inner = wanted.journal.as_ref().filter(|_| !self.as_received).and_then(|journal| Inner::of(journal).transpose());
        let why = match inner {
            None => None,
            Some(Err(why)) => Some(why),
            Some(Ok(inner)) => match self.read_inner(shelf, wanted, inner)? {
                Ok(read) => return Ok(read),
                Err(why) => Some(why),
            },
        };
        if let Some(why) = why {
            let error = Error::new(Status::Data, format!("{why}; the journal report is handed out in its place"));
            run.fail_message(None, &error.about(wanted.digest.to_string()))?;
        }
        let mut encoded = Spool::new(IN_MEMORY);
        let meta = self.packs.read(shelf, wanted.place, wanted.digest, &mut encoded, &mut io::sink())?;
        Ok((meta, Content::Encoded(encoded)))
    }

    /// The inner message, or in words why it can't be had.
    fn read_inner(&mut self, shelf: &Shelf, wanted: &Wanted, inner: Inner) -> Result<std::result::Result<(Meta, Content), String>> {
        let mut cutter = Cutter::new(inner, Held::default());
        let report = self.packs.read(shelf, wanted.place, wanted.digest, &mut io::sink(), &mut cutter)?;
        Ok(cutter.finish()?.map(|mut octets| {
            let (size, digest, eol) = octets.measured();
            (Meta { size, digest, eol, ..report }, Content::Octets(Box::new(octets)))
        }))
    }
}
