//! TCP with a limit to silence, and one to the login: a wait is made of short steps, and after each the stop flag is looked at.
//!
//! The flag is looked at before each read, too: a server that sends an octet now and then is never silent, and could hold a run for ever.
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
    login: Option<(Instant, Duration)>,
    beginning: Option<Vec<u8>>,
}

/// Looks a name up, which may take `limit`.
///
/// # Errors
/// [`Status::NoHost`] if it is not known, [`Status::TryAgain`] if the name server does not answer or an end was asked for.
pub fn resolve(host: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>> {
    let name = host.trim_matches(['[', ']']).to_owned();
    let later = |what: String| Error::new(Status::TryAgain, what).about(host);
    let unknown = |what: &str| Error::new(Status::NoHost, format!("unknown host ({what})")).about(host);
    let found = apart(limit, move || (name, port).to_socket_addrs().map(Iterator::collect::<Vec<_>>))?;
    match found {
        None => Err(later(format!("the name server gave no answer within {} seconds", limit.as_secs_f64()))),
        Some(Ok(addresses)) if addresses.is_empty() => Err(unknown("it has no address")),
        Some(Ok(addresses)) => Ok(addresses),
        // EAI_AGAIN, which the standard library keeps as words only.
        Some(Err(e)) if reason(&e).contains("temporary failure") || reason(&e) == "try again" => Err(later(reason(&e))),
        Some(Err(e)) => Err(unknown(&reason(&e))),
    }
}

/// Does `work` in a thread of its own, so that this one can wait in steps; none if the time is over, and the thread is left behind.
fn apart<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Result<Option<T>> {
    let began = Instant::now();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    loop {
        let left = limit.saturating_sub(began.elapsed());
        match receiver.recv_timeout(left.min(Duration::from_millis(interrupt::STEP.unsigned_abs()))) {
            Ok(done) => return Ok(Some(done)),
            Err(_) if interrupt::requested() => return Err(interrupt::error()),
            Err(_) if began.elapsed() >= limit => return Ok(None),
            Err(_) => {}
        }
    }
}

/// The resolver's words without the standard library's preface.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.rsplit_once("information: ").map_or(text.as_str(), |(_, words)| words);
    words.to_lowercase()
}

impl Tcp {
    /// Connects to the first of the addresses that answers. No address gets more than `to_connect`, and `silence` holds for every wait
    /// later.
    ///
    /// # Errors
    /// [`Status::Unavailable`] if none does, with what the last one said; [`Status::TryAgain`] if an end was asked for.
    pub fn connect(addresses: &[SocketAddr], to_connect: Duration, silence: Duration) -> Result<Self> {
        let mut last = Error::new(Status::Unavailable, "no address to connect to");
        for address in addresses {
            match connect_one(*address, to_connect) {
                Ok(stream) => return Self::new(stream, silence).map_err(|e| Error::io("connect", e).with_status(Status::System)),
                Err(error) if error.status() == Status::TryAgain => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn new(stream: TcpStream, limit: Duration) -> io::Result<Self> {
        let step = Some(Duration::from_millis(interrupt::STEP.unsigned_abs()).min(limit));
        stream.set_read_timeout(step)?;
        stream.set_write_timeout(step)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, limit, login: None, beginning: None })
    }

    /// The address that answered.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer_addr().ok()
    }

    /// From now on `limit` is left for the login; none once it is done.
    pub fn limit_login(&mut self, limit: Option<Duration>) {
        self.login = limit.map(|limit| (Instant::now(), limit));
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
            if interrupt::requested() {
                return Err(interrupt::error().into());
            }
            if let Some((_, limit)) = self.login.filter(|(began, limit)| began.elapsed() >= *limit) {
                let what = format!("no login within {} seconds, the login-timeout", limit.as_secs_f64());
                return Err(Error::new(Status::Unavailable, what).into());
            }
            match step(&mut self.stream) {
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                Err(e) => return Err(broken(&e).into()),
                done => return done,
            }
            if began.elapsed() >= self.limit {
                return Err(silent(self.limit).into());
            }
        }
    }
}

fn silent(limit: Duration) -> Error {
    Error::new(Status::Unavailable, format!("no answer from the server for {} seconds", limit.as_secs_f64()))
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

fn connect_one(address: SocketAddr, limit: Duration) -> Result<TcpStream> {
    let told = |what: String| Error::new(Status::Unavailable, what).about(address.to_string());
    match apart(limit, move || TcpStream::connect_timeout(&address, limit))? {
        Some(Ok(stream)) => Ok(stream),
        Some(Err(e)) if e.kind() != ErrorKind::TimedOut => Err(told(words(&e))),
        _ => Err(told(silent(limit).what().to_owned())),
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
