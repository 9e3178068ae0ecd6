//! The stream of mdrop-stream(5): mbox of the mboxrd kind, each message led by an X-Mdrop line that makes it exact.
//!
//! The codec keeps every octet and notices every lost one: no crate does both. It never holds a message: bodies pass
//! through a fixed buffer, so that a message may have any size. A message is handed on in its *encoded* form (as it stands in the stream),
//! because the stages between fetch and cat only pass it on; decoding happens once, for the digest, on the way.

mod decode;
mod encode;
mod reader;
#[cfg(test)]
mod tests;

pub use decode::Decoder;
pub use encode::{Encoder, Measure};
pub use reader::{ReadError, StreamReader};

use crate::error::Result;
use crate::identity::{Digest, Origin};
use crate::record::{Eol, Filing, Finding, ObjectIds, Recipient, Sender, V1};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Read, Write};

/// What the X-Mdrop line says of its message.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Meta {
    /// The format's version.
    pub v: V1,
    /// Where the copy lies on the server.
    #[serde(flatten)]
    pub origin: Origin,
    /// The message's octets.
    pub size: u64,
    /// BLAKE3 of the message's octets.
    pub digest: Digest,
    /// How its line ends travel.
    pub eol: Eol,
    /// When the server received it (INTERNALDATE).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<Time>,
    /// What the server claimed its size to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_size: Option<u64>,
    /// Its flags on the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// What the server calls the message and its mailbox.
    #[serde(flatten)]
    pub objects: ObjectIds,
    /// What mdrop-route decided; none before it has. Its members stand beside the others.
    #[serde(flatten, with = "routing")]
    pub route: Option<Routing>,
}

/// [`Routing`] as members of the X-Mdrop line: it is there if `filings` or `skip` is. (Plain flattening of an option would take
/// a routing that is misspelt for none.)
mod routing {
    use super::Routing;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    struct Members {
        sender: Option<super::Sender>,
        recipients: Option<Vec<super::Recipient>>,
        filings: Option<Vec<super::Filing>>,
        journal: Option<super::Journal>,
        findings: Option<Vec<super::Finding>>,
        skip: Option<String>,
        settings: Option<super::Digest>,
    }

    #[expect(clippy::ref_option, reason = "serde's calling convention")]
    pub fn serialize<S: Serializer>(routing: &Option<Routing>, serializer: S) -> Result<S::Ok, S::Error> {
        routing.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Routing>, D::Error> {
        let Members { sender, recipients, filings, journal, findings, skip, settings } = Members::deserialize(deserializer)?;
        let routed = filings.is_some() || skip.is_some();
        let (recipients, filings, findings) = (recipients.unwrap_or_default(), filings.unwrap_or_default(), findings.unwrap_or_default());
        Ok(routed.then_some(Routing { sender, recipients, filings, journal, findings, skip, settings }))
    }
}

/// What mdrop-route adds to a message.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Routing {
    /// Who sent it.
    pub sender: Option<Sender>,
    /// To whom it was delivered.
    pub recipients: Vec<Recipient>,
    /// Under whom it is to be filed.
    pub filings: Vec<Filing>,
    /// What a journal report said, where the message is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<Journal>,
    /// What else was noticed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Why policy leaves the message out; none if it is to be archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<String>,
    /// The digest of the routing settings, where `skip` is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Digest>,
}

/// What mdrop-route found in a journal report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Journal {
    /// Which kind of report: `exchange`, `exchange-2003`, `workmail`, `zimbra`, `capture`.
    pub kind: String,
    /// Where in the decoded report the inner message begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// How many octets it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// How the part that holds it is encoded, where it is: `base64` or `quoted-printable`; offset and length are those of the encoded octets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
}

/// The beginning of the line that leads every message.
pub const FIELD: &str = "X-Mdrop: ";

/// Writes a stream. Nothing of a message is written unless the whole of it can be given.
pub struct StreamWriter<W: Write> {
    output: W,
    buffer: Vec<u8>,
}

impl<W: Write> StreamWriter<W> {
    /// A writer to `output`, which gets few and large writes for large messages and small ones for small: buffer it.
    pub fn new(output: W) -> Self {
        Self { output, buffer: Vec::new() }
    }

    /// Writes a message from its octets, which must be those that `meta` describes.
    ///
    /// # Errors
    /// What `octets` and the output report.
    pub fn write_octets(&mut self, meta: &Meta, octets: &mut dyn BufRead) -> Result<()> {
        self.write_head(meta)?;
        let mut encoder = Encoder::new(meta.eol, &mut self.output, &mut self.buffer);
        copy(octets, &mut encoder)?;
        encoder.finish()?;
        Ok(self.output.write_all(b"\n")?)
    }

    /// Writes a message from its encoded form, as a [`StreamReader`] gave it.
    ///
    /// # Errors
    /// What `encoded` and the output report.
    pub fn write_encoded(&mut self, meta: &Meta, encoded: &mut dyn Read) -> Result<()> {
        self.write_head(meta)?;
        io::copy(encoded, &mut self.output)?;
        Ok(self.output.write_all(b"\n")?)
    }

    /// The same for an encoded form that lies in memory.
    ///
    /// # Errors
    /// What the output reports.
    pub fn write_slice(&mut self, meta: &Meta, encoded: &[u8]) -> Result<()> {
        self.write_head(meta)?;
        self.output.write_all(encoded)?;
        Ok(self.output.write_all(b"\n")?)
    }

    fn write_head(&mut self, meta: &Meta) -> Result<()> {
        let date = meta.received.unwrap_or(Time::from_unix(0)).to_ctime();
        write!(self.output, "From MAILER-DAEMON {date}\n{FIELD}")?;
        serde_json::to_writer(&mut self.output, meta).map_err(io::Error::from)?;
        Ok(self.output.write_all(b"\n")?)
    }

    /// The output.
    pub fn output(&self) -> &W {
        &self.output
    }

    /// The output, to be ended: nothing else may be written to it.
    pub fn output_mut(&mut self) -> &mut W {
        &mut self.output
    }

    /// Hands on everything written so far.
    ///
    /// # Errors
    /// What the output reports.
    pub fn flush(&mut self) -> Result<()> {
        Ok(self.output.flush()?)
    }

    /// Ends the stream and gives the output back.
    ///
    /// # Errors
    /// What the output reports.
    pub fn finish(mut self) -> Result<W> {
        self.output.flush()?;
        Ok(self.output)
    }
}

/// As `io::copy`, but without a buffer between: what lies in memory goes over in one piece.
fn copy(from: &mut dyn BufRead, to: &mut dyn Write) -> io::Result<()> {
    loop {
        let piece = match from.fill_buf() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            piece => piece?,
        };
        if piece.is_empty() {
            return Ok(());
        }
        to.write_all(piece)?;
        let taken = piece.len();
        from.consume(taken);
    }
}
