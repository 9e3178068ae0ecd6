//! The server's end of a connection: lines in, octets out, and four ways of being no good server.

use super::mailserver::Pem;
use native_tls::{Identity, TlsAcceptor, TlsStream};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a read waits before it looks whether the case is over.
const STEP: Duration = Duration::from_millis(100);

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Closed,
}

/// One connection.
pub struct Wire<'a> {
    stream: Stream,
    input: Vec<u8>,
    over: &'a AtomicBool,
    /// Whether each octet is sent for itself.
    pub drips: Option<Duration>,
}

impl<'a> Wire<'a> {
    /// A connection that ends when `over` says so.
    pub fn new(stream: TcpStream, over: &'a AtomicBool) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(STEP))?;
        Ok(Self { stream: Stream::Plain(stream), input: Vec::new(), over, drips: None })
    }

    /// The next line without its end; none when the client has gone.
    pub fn read_line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.input.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.input.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    fn fill(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 16 << 10];
        while !self.over.load(Ordering::SeqCst) {
            let read = match &mut self.stream {
                Stream::Plain(stream) => stream.read(&mut buffer),
                Stream::Tls(stream) => stream.read(&mut buffer),
                Stream::Closed => Ok(0),
            };
            match read {
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                Err(e) => return Err(e),
                Ok(read) => {
                    self.input.extend_from_slice(&buffer[..read]);
                    return Ok(read > 0);
                }
            }
        }
        Ok(false)
    }

    /// Sends octets.
    pub fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        let Some(pause) = self.drips else { return self.send_at_once(octets) };
        for octet in octets.chunks(1) {
            self.send_at_once(octet)?;
            std::thread::sleep(pause);
        }
        Ok(())
    }

    fn send_at_once(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(octets),
            Stream::Tls(stream) => stream.write_all(octets).and_then(|()| stream.flush()),
            Stream::Closed => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Begins TLS; only what was read in clear before counts as the client's.
    pub fn start_tls(&mut self) -> io::Result<()> {
        let Stream::Plain(stream) = std::mem::replace(&mut self.stream, Stream::Closed) else {
            return Err(ErrorKind::InvalidInput.into());
        };
        stream.set_read_timeout(None)?;
        let Pem { cert, key } = certificate();
        let acceptor = Identity::from_pkcs8(cert, key).and_then(TlsAcceptor::new).map_err(io::Error::other)?;
        let tls = acceptor.accept(stream).map_err(|e| io::Error::other(e.to_string()))?;
        tls.get_ref().set_read_timeout(Some(STEP))?;
        self.stream = Stream::Tls(Box::new(tls));
        Ok(())
    }

    /// Ends the connection without TLS's farewell.
    pub fn cut(&mut self) {
        if let Some(stream) = self.socket() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.stream = Stream::Closed;
    }

    /// Ends the connection with a reset, as a machine that has restarted does.
    pub fn reset(&mut self) {
        if let Some(stream) = self.socket() {
            rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
        }
        self.stream = Stream::Closed;
    }

    /// Says nothing until the client goes.
    pub fn stall(&mut self) {
        while matches!(self.fill(), Ok(true)) {}
    }

    fn socket(&self) -> Option<&TcpStream> {
        match &self.stream {
            Stream::Plain(stream) => Some(stream),
            Stream::Tls(stream) => Some(stream.get_ref()),
            Stream::Closed => None,
        }
    }
}

/// A certificate for 127.0.0.1 that signs itself, made once.
pub fn certificate() -> &'static Pem {
    static MADE: OnceLock<Pem> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let arguments =
            "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout key -out cert";
        let made = Command::new("openssl").args(arguments.split(' ')).current_dir(&folder).stderr(Stdio::null()).status();
        assert!(made.is_ok_and(|status| status.success()), "openssl is needed to make a certificate: scripts/check installs it");
        let read = |name: &str| std::fs::read(Path::new(folder.path()).join(name)).unwrap();
        Pem { cert: read("cert"), key: read("key") }
    })
}
