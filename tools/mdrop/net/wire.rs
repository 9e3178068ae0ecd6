//! The wire: a TCP connection with TLS or without, read line by line or in large pieces through one buffer.
//!
//! One buffer of our own, so that it is known at every moment which octets the server has sent and nobody has looked at yet: that
//! decides whether a handshake may begin (STARTTLS), and whether output should be flushed before a wait.

use crate::error::{Error, Result, Status};
use crate::held::Held;
use crate::net::certificate::Certificate;
use crate::net::tcp::Tcp;
use crate::net::tls::{self, Trust};
use native_tls::TlsStream;
use std::io::{Read, Write};
use std::net::SocketAddr;

/// How much is read at a time, in octets: TLS hands out 16 KiB at most, a bare socket all of it.
const BUFFER: usize = 256 << 10;
/// How much of a large message is read at a time, in octets.
const DIRECT: usize = 128 << 10;

/// What a TLS handshake established.
#[derive(Clone, Debug)]
pub struct TlsFacts {
    /// `TLS 1.3`, or another version.
    pub version: &'static str,
    /// What the server showed.
    pub certificate: Option<Certificate>,
    /// Whether anything vouches for the server: an authority, or a pin.
    pub verified: bool,
}

enum Line {
    Plain(Tcp),
    Tls(Box<TlsStream<Tcp>>),
    /// A handshake on it failed.
    Gone,
}

/// A connection to a server.
pub struct Wire {
    line: Line,
    buffer: Vec<u8>,
    from: usize,
    to: usize,
    facts: Option<TlsFacts>,
    peer: Option<SocketAddr>,
}

impl Wire {
    /// A wire on a fresh connection, without TLS.
    #[must_use]
    pub fn new(tcp: Tcp) -> Self {
        let peer = tcp.peer();
        Self { line: Line::Plain(tcp), buffer: vec![0; BUFFER], from: 0, to: 0, facts: None, peer }
    }

    /// Begins TLS.
    ///
    /// # Errors
    /// [`Status::Protocol`] if the server has sent more than its consent: a stranger may have put it there (RFC 8314 section 3,
    /// RFC 9051 section 6.2.1); else as [`tls::handshake`].
    pub fn start_tls(&mut self, trust: &Trust) -> Result<()> {
        if self.from != self.to {
            let what = "data received in clear before the TLS handshake; somebody may be tampering with the connection";
            return Err(Error::new(Status::Protocol, what));
        }
        let Line::Plain(tcp) = std::mem::replace(&mut self.line, Line::Gone) else {
            return Err(Error::new(Status::Software, "TLS begun twice"));
        };
        let (stream, facts) = tls::handshake(tcp, trust)?;
        self.line = Line::Tls(Box::new(stream));
        self.facts = Some(facts);
        Ok(())
    }

    /// Says that the login is done, so that its time runs no more.
    pub fn logged_in(&mut self) {
        match &mut self.line {
            Line::Plain(tcp) => tcp.limit_login(None),
            Line::Tls(tls) => tls.get_mut().limit_login(None),
            Line::Gone => {}
        }
    }

    /// What the handshake established; none without TLS.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.facts.as_ref()
    }

    /// The address at the other end.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Sends octets at once.
    ///
    /// # Errors
    /// [`Status::Unavailable`] if the connection is lost or the server takes nothing; [`Status::TryAgain`] if an end was asked for.
    pub fn send(&mut self, octets: &[u8]) -> Result<()> {
        match &mut self.line {
            Line::Plain(tcp) => tcp.write_all(octets),
            Line::Tls(tls) => tls.write_all(octets).and_then(|()| tls.flush()),
            Line::Gone => return Err(closed()),
        }
        .map_err(tls::wire_error)
    }

    /// Whether the next read would have to wait for the server.
    #[must_use]
    pub fn would_wait(&self) -> bool {
        self.from == self.to
            && match &self.line {
                Line::Plain(tcp) => tcp.would_wait(),
                Line::Tls(tls) => tls.buffered_read_size().is_ok_and(|n| n == 0) && tls.get_ref().would_wait(),
                Line::Gone => false,
            }
    }

    /// The octets received and not consumed, at least one.
    ///
    /// # Errors
    /// [`Status::Unavailable`] if the connection is closed or lost, or the server silent; [`Status::TryAgain`] if an end was asked for.
    pub fn fill(&mut self) -> Result<&[u8]> {
        if self.from == self.to {
            self.from = 0;
            self.to = 0;
            self.more()?;
        }
        Ok(self.buffered())
    }

    /// The octets received and not consumed, at least `least` of them; `least` is small.
    ///
    /// # Errors
    /// As [`Wire::fill`].
    pub fn fill_at_least(&mut self, least: usize) -> Result<&[u8]> {
        while self.to - self.from < least {
            if self.buffer.len() - self.from < least {
                self.buffer.copy_within(self.from..self.to, 0);
                self.to -= self.from;
                self.from = 0;
            }
            self.more()?;
        }
        Ok(self.buffered())
    }

    fn buffered(&self) -> &[u8] {
        self.buffer.get(self.from..self.to).unwrap_or_default()
    }

    fn more(&mut self) -> Result<()> {
        let room = self.buffer.get_mut(self.to..).unwrap_or_default();
        let read = match &mut self.line {
            Line::Plain(tcp) => tcp.read(room),
            Line::Tls(tls) => tls.read(room),
            Line::Gone => Ok(0),
        };
        match read.map_err(tls::wire_error)? {
            0 => Err(closed()),
            read => {
                self.to += read;
                Ok(())
            }
        }
    }

    /// Takes `n` of the octets that [`Wire::fill`] gave.
    pub fn consume(&mut self, n: usize) {
        self.from = (self.from + n).min(self.to);
    }

    /// Appends one line to `line`, its LF included.
    ///
    /// # Errors
    /// [`Status::Protocol`] if `line` grows beyond `longest` octets; else as [`Wire::fill`].
    pub fn read_line(&mut self, line: &mut Vec<u8>, longest: usize) -> Result<()> {
        loop {
            let filled = self.fill()?;
            let end = memchr::memchr(b'\n', filled);
            let part = filled.get(..end.map_or(filled.len(), |at| at + 1)).unwrap_or_default();
            let taken = part.len();
            line.extend_from_slice(part);
            self.consume(taken);
            if line.len() > longest {
                return Err(Error::new(Status::Protocol, format!("the server sent a line of more than {longest} octets")));
            }
            if end.is_some() {
                return Ok(());
            }
        }
    }

    /// Puts the next `length` octets into `held`: what the buffer has from there, and the rest of a large message straight into its
    /// memory, which spares a copy.
    ///
    /// # Errors
    /// What `held` reports; else as [`Wire::fill`].
    pub fn read_message(&mut self, length: u64, held: &mut Held) -> Result<()> {
        let mut left = length;
        let mut buffered = (self.to - self.from) as u64;
        while left > buffered.saturating_add(DIRECT as u64) {
            self.read_exact(buffered, held)?;
            left -= std::mem::take(&mut buffered);
            let read = match &mut self.line {
                Line::Plain(tcp) => held.read_from(tcp, DIRECT),
                Line::Tls(tls) => held.read_from(tls, DIRECT),
                Line::Gone => return Err(closed()),
            };
            let Some(read) = read else { break };
            if read.map_err(tls::wire_error)? < DIRECT {
                return Err(closed());
            }
            left -= DIRECT as u64;
        }
        self.read_exact(left, held)
    }

    /// Hands the next `length` octets to `sink`.
    ///
    /// # Errors
    /// What `sink` reports; else as [`Wire::fill`].
    pub fn read_exact(&mut self, length: u64, sink: &mut dyn Write) -> Result<()> {
        let mut left = length;
        while left > 0 {
            let filled = self.fill()?;
            let take = usize::try_from(left).map_or(filled.len(), |left| left.min(filled.len()));
            sink.write_all(filled.get(..take).unwrap_or_default())?;
            self.consume(take);
            left -= take as u64;
        }
        Ok(())
    }
}

fn closed() -> Error {
    Error::new(Status::Unavailable, "connection closed by server")
}
