//! TCP with a limit to silence: a wait is made of short steps, and after each the stop flag is looked at.
//!
//! The steps are made here, under TLS, so that nothing above ever sees a read that is merely not ready yet.

use crate::error::{Error, Result, Status};
use crate::interrupt;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How much of what a server says first is kept: enough for its half of a TLS handshake's beginning.
const BEGINNING: usize = 512;

/// A connection on which no wait is longer than its limit.
pub struct Tcp {
    stream: TcpStream,
    limit: Duration,
    beginning: Option<Vec<u8>>,
}

/// Looks a name up.
///
/// # Errors
/// [`Status::NoHost`] if it is not known, [`Status::TryAgain`] if the name server does not answer.
pub fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>> {
    let name = host.trim_matches(['[', ']']);
    let unknown = |what: String| Error::new(Status::NoHost, what).about(host);
    let found = (name, port).to_socket_addrs().map_err(|e| unknown(format!("unknown host ({})", reason(&e))))?;
    let addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() { Err(unknown("unknown host (it has no address)".into())) } else { Ok(addresses) }
}

/// The resolver's words without the standard library's preface.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.rsplit_once("information: ").map_or(text.as_str(), |(_, words)| words);
    words.to_lowercase()
}

impl Tcp {
    /// Connects to the first of the addresses that answers; `limit` holds for each, and for every silence later.
    ///
    /// # Errors
    /// [`Status::Unavailable`] if none does, with what the last one said; [`Status::TryAgain`] if an end was asked for.
    pub fn connect(addresses: &[SocketAddr], limit: Duration) -> Result<Self> {
        let mut last = Error::new(Status::Unavailable, "no address to connect to");
        for address in addresses {
            match connect_one(*address, limit) {
                Ok(stream) => return Self::new(stream, limit).map_err(|e| Error::io("connect", e).with_status(Status::System)),
                Err(error) if error.status() == Status::TryAgain => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn new(stream: TcpStream, limit: Duration) -> io::Result<Self> {
        let step = Some(Duration::from_millis(interrupt::STEP.unsigned_abs()));
        stream.set_read_timeout(step)?;
        stream.set_write_timeout(step)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, limit, beginning: None })
    }

    /// The address that answered.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer_addr().ok()
    }

    /// From now on the first octets received are kept.
    pub fn keep_beginning(&mut self) {
        self.beginning = Some(Vec::with_capacity(BEGINNING));
    }

    /// The first octets received since then.
    #[must_use]
    pub fn beginning(&self) -> &[u8] {
        self.beginning.as_deref().unwrap_or_default()
    }

    /// Whether a read would have to wait.
    #[must_use]
    pub fn would_wait(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        matches!(poll(&mut [PollFd::new(&self.stream, PollFlags::IN)], Some(&now)), Ok(0))
    }

    /// Repeats `step` until it gets somewhere, the limit is over, or an end is asked for.
    fn patiently(&mut self, mut step: impl FnMut(&mut TcpStream) -> io::Result<usize>) -> io::Result<usize> {
        let began = Instant::now();
        loop {
            match step(&mut self.stream) {
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                Err(e) => return Err(broken(&e).into()),
                done => return done,
            }
            if interrupt::requested() {
                return Err(interrupt::error().into());
            }
            if began.elapsed() >= self.limit {
                return Err(silent(self.limit).into());
            }
        }
    }
}

fn silent(limit: Duration) -> Error {
    Error::new(Status::Unavailable, format!("no answer from the server for {} seconds", limit.as_secs()))
}

fn broken(error: &io::Error) -> Error {
    Error::new(Status::Unavailable, format!("connection lost: {}", words(error)))
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".into(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => "connection closed by server".into(),
        _ => error.to_string().to_lowercase(),
    }
}

/// Connects in a thread of its own, so that this one can wait in steps; a thread left behind ends with its time-out.
fn connect_one(address: SocketAddr, limit: Duration) -> Result<TcpStream> {
    let began = Instant::now();
    let told = |what: String| Error::new(Status::Unavailable, what).about(address.to_string());
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(TcpStream::connect_timeout(&address, limit)));
    loop {
        match receiver.recv_timeout(Duration::from_millis(interrupt::STEP.unsigned_abs())) {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(e)) if e.kind() == ErrorKind::TimedOut => return Err(told(silent(limit).what().to_owned())),
            Ok(Err(e)) => return Err(told(words(&e))),
            Err(_) if interrupt::requested() => return Err(interrupt::error()),
            Err(_) if began.elapsed() > limit * 2 => return Err(told(silent(limit).what().to_owned())),
            Err(_) => {}
        }
    }
}

impl Read for Tcp {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.patiently(|stream| stream.read(to))?;
        if let Some(kept) = &mut self.beginning {
            let room = BEGINNING.saturating_sub(kept.len()).min(read);
            kept.extend_from_slice(to.get(..room).unwrap_or_default());
        }
        Ok(read)
    }
}

impl Write for Tcp {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.patiently(|stream| stream.write(octets))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
