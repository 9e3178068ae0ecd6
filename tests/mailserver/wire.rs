//! Lines and literals over a socket, with or without TLS.
//!
//! Decision: one buffer each way, flushed before the server waits for input, so that pipelined commands are answered
//! together as real servers do. All octets pass `flush`, so that is the one place that counts them and cuts.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use native_tls::{TlsAcceptor, TlsStream};

use super::faults::Trouble;

const FLUSH_AT: usize = 64 * 1024;
const LONGEST_LINE: usize = 1024 * 1024;

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Closed,
}

impl Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
            Self::Closed => Err(cut()),
        }
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(octets),
            Self::Tls(stream) => stream.write_all(octets).and_then(|()| stream.flush()),
            Self::Closed => Err(cut()),
        }
    }
}

/// How much went over all connections of a server, in octets before TLS.
#[derive(Debug, Default)]
pub struct Traffic {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Traffic {
    /// What the server sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// What its clients sent.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

/// One connection.
pub struct Wire {
    stream: Stream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Octets until the connection is cut.
    budget: Option<u64>,
    stopping: Arc<AtomicBool>,
    in_clear: Arc<Mutex<Vec<u8>>>,
    traffic: Arc<Traffic>,
}

impl Wire {
    /// A connection without TLS, to be cut after `budget` octets.
    pub fn new(stream: TcpStream, budget: Option<u64>, stopping: Arc<AtomicBool>, traffic: Arc<Traffic>) -> Self {
        let stream = Stream::Plain(stream);
        Self { stream, input: Vec::new(), output: Vec::new(), budget, stopping, in_clear: Arc::default(), traffic }
    }

    /// From now on what comes outside TLS is kept there.
    pub fn record_clear(&mut self, kept: Arc<Mutex<Vec<u8>>>) {
        self.in_clear = kept;
    }

    /// Whether TLS is on.
    pub fn is_secure(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// Begins TLS. What the client sent in plain text before is thrown away: it could have been put there by anyone.
    pub fn start_tls(&mut self, acceptor: &TlsAcceptor) -> io::Result<()> {
        self.flush()?;
        self.input.clear();
        let Stream::Plain(stream) = std::mem::replace(&mut self.stream, Stream::Closed) else {
            return Err(cut());
        };
        let stream = acceptor.accept(stream).map_err(|error| io::Error::other(error.to_string()))?;
        self.stream = Stream::Tls(Box::new(stream));
        Ok(())
    }

    /// The next line without its end, or `None` when the client has closed the connection.
    pub fn read_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.input[searched..].iter().position(|&octet| octet == b'\n') {
                let mut line: Vec<u8> = self.input.drain(..=searched + at).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(Some(line));
            }
            searched = self.input.len();
            if searched > LONGEST_LINE {
                return Err(io::Error::new(ErrorKind::InvalidData, "line too long"));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// The next `count` octets.
    pub fn read_octets(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.input.len() < count {
            if !self.fill()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.input.drain(..count).collect())
    }

    /// Throws away what the client sent without waiting for an answer.
    pub fn forget_input(&mut self) {
        self.input.clear();
    }

    fn fill(&mut self) -> io::Result<bool> {
        self.flush()?;
        let mut buffer = [0; 16 * 1024];
        let count = self.stream.read(&mut buffer)?;
        self.input.extend_from_slice(&buffer[..count]);
        if !self.is_secure() {
            self.in_clear.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
        }
        self.traffic.received.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count > 0)
    }

    /// Puts octets in line to be sent.
    pub fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.output.extend_from_slice(octets);
        if self.output.len() >= FLUSH_AT { self.flush() } else { Ok(()) }
    }

    /// Puts a line in line to be sent.
    pub fn send_line(&mut self, line: &str) -> io::Result<()> {
        self.send(line.as_bytes())?;
        self.send(b"\r\n")
    }

    /// Sends a message, with trouble half-way; `goodbye` is what `Trouble::Bye` says.
    pub fn send_message(&mut self, octets: &[u8], trouble: Trouble, goodbye: &[u8]) -> io::Result<()> {
        let (first, second) = octets.split_at(octets.len() / 2);
        self.send(first)?;
        match trouble {
            Trouble::None => {}
            Trouble::Cut => return self.end(),
            Trouble::Stall(time) => {
                self.flush()?;
                self.wait(time);
            }
            Trouble::Bye => {
                self.send(goodbye)?;
                return self.end();
            }
        }
        self.send(second)
    }

    fn wait(&self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end && !self.stopping.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn end(&mut self) -> io::Result<()> {
        self.flush()?;
        self.close();
        Err(cut())
    }

    /// Sends what is in line, as far as the budget goes.
    pub fn flush(&mut self) -> io::Result<()> {
        let output = std::mem::take(&mut self.output);
        let count = match self.budget {
            Some(budget) => output.len().min(usize::try_from(budget).unwrap_or(usize::MAX)),
            None => output.len(),
        };
        if count > 0 {
            self.stream.write(&output[..count])?;
            self.traffic.sent.fetch_add(count as u64, Ordering::Relaxed);
        }
        if let Some(budget) = &mut self.budget {
            *budget -= count as u64;
        }
        if count < output.len() {
            self.close();
            return Err(cut());
        }
        Ok(())
    }

    /// Closes the connection without another octet, and without TLS's farewell.
    pub fn close(&mut self) {
        self.output.clear();
        let stream = std::mem::replace(&mut self.stream, Stream::Closed);
        // Nothing is left to do when a connection that is being cut is already gone.
        let _ = match &stream {
            Stream::Plain(stream) => stream.shutdown(Shutdown::Both),
            Stream::Tls(stream) => stream.get_ref().shutdown(Shutdown::Both),
            Stream::Closed => Ok(()),
        };
    }

    /// Ends the connection in good order.
    pub fn finish(&mut self) {
        if self.flush().is_ok()
            && let Stream::Tls(stream) = &mut self.stream
        {
            // A client that has gone needs no farewell.
            let _ = stream.shutdown();
        }
        self.close();
    }
}

fn cut() -> io::Error {
    io::Error::new(ErrorKind::ConnectionAborted, "connection cut")
}
