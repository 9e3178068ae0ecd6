//! A small IMAP and POP3 server for tests and the demo.
//!
//! Decision: our own server, not an installed one, because a test has to hand out octets that other servers mend (NUL,
//! mixed line ends, no final newline), to see each command that a client sends, and to fail at a chosen place. One thread
//! a connection, loopback only, one user. Everything but the command line is here, so that a test can take it in with
//! `#[path = "mailserver/server.rs"] mod mailserver;`.

#![allow(dead_code, unused_imports, reason = "each test that takes this in uses a part of it")]
#![allow(clippy::must_use_candidate, clippy::missing_errors_doc, reason = "it is not a library")]

mod base64;
mod faults;
mod imap;
mod imap_change;
mod imap_fetch;
mod parse;
mod pop3;
mod sasl;
mod store;
mod wire;

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use native_tls::{Identity, TlsAcceptor};

pub use faults::Faults;
pub use sasl::LoginFault;
pub use store::{Content, Mailbox, Message, internal_date};
use wire::{Traffic, Wire};

/// A certificate and its key, both PEM; the key as PKCS #8.
#[derive(Clone, Debug)]
pub struct Pem {
    /// The certificate, or a chain of them, the server's first.
    pub cert: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
}

/// What to serve. Port 0 lets the system choose; `None` doesn't listen.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The one user's name.
    pub user: String,
    /// The one user's password.
    pub password: String,
    /// The one user's OAuth 2 access token.
    pub token: Option<String>,
    /// The SASL mechanisms that are offered, in capitals, and APOP; none means PLAIN.
    pub mechanisms: BTreeSet<String>,
    /// Port for IMAP.
    pub imap: Option<u16>,
    /// Port for POP3.
    pub pop3: Option<u16>,
    /// Port for IMAP over TLS; needs `tls`.
    pub imaps: Option<u16>,
    /// Port for POP3 over TLS; needs `tls`.
    pub pop3s: Option<u16>,
    /// Turns on STARTTLS and STLS too.
    pub tls: Option<Pem>,
    /// Refuse passwords without TLS.
    pub require_tls: bool,
    /// The mailboxes; POP3 serves INBOX.
    pub mailboxes: Vec<Mailbox>,
    /// Prefix of other users' mailboxes, as NAMESPACE tells it (`Shared/`).
    pub shared_namespace: Option<String>,
    /// Capabilities to leave out, in capitals: UIDPLUS, CONDSTORE, ESEARCH, SASL-IR, UNSELECT, NAMESPACE, SPECIAL-USE, LITERAL+,
    /// STARTTLS, LOGIN; PIPELINING, UIDL, TOP, STLS, USER, CAPA.
    pub without: BTreeSet<String>,
    /// Whether it keeps object identifiers (RFC 8474).
    pub object_ids: bool,
    /// What goes wrong from the beginning.
    pub faults: Faults,
    /// Print commands on stderr as they come.
    pub echo: bool,
}

/// What all connections share.
struct Shared {
    config: Config,
    tls: Option<TlsAcceptor>,
    mailboxes: Mutex<Vec<Mailbox>>,
    faults: Mutex<Faults>,
    commands: Mutex<Vec<String>>,
    in_clear: Arc<Mutex<Vec<u8>>>,
    traffic: Arc<Traffic>,
    connections: Mutex<Vec<(TcpStream, JoinHandle<()>)>>,
    stopping: Arc<AtomicBool>,
}

impl Shared {
    fn offers(&self, capability: &str) -> bool {
        !self.config.without.contains(capability)
    }

    fn offers_tls(&self, capability: &str, wire: &Wire) -> bool {
        self.tls.is_some() && !wire.is_secure() && self.offers(capability)
    }

    fn admits(&self, user: &[u8], password: &[u8]) -> bool {
        user == self.config.user.as_bytes() && password == self.config.password.as_bytes()
    }

    /// The SASL mechanisms offered.
    fn mechanisms(&self) -> Vec<&str> {
        let named = self.config.mechanisms.iter().map(String::as_str).filter(|name| *name != "APOP");
        if self.config.mechanisms.is_empty() { vec!["PLAIN"] } else { named.collect() }
    }

    fn has_apop(&self) -> bool {
        self.config.mechanisms.contains("APOP")
    }

    fn log(&self, protocol: &str, command: &str) {
        if self.config.echo {
            eprintln!("{protocol} {command}");
        }
        lock(&self.commands).push(format!("{protocol} {command}"));
    }

    fn faults(&self) -> Faults {
        lock(&self.faults).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Copy)]
enum Protocol {
    Imap,
    Pop3,
}

/// A server that serves until it is dropped.
pub struct Running {
    /// Where IMAP listens.
    pub imap_addr: Option<SocketAddr>,
    /// Where POP3 listens.
    pub pop3_addr: Option<SocketAddr>,
    /// Where IMAP over TLS listens.
    pub imaps_addr: Option<SocketAddr>,
    /// Where POP3 over TLS listens.
    pub pop3s_addr: Option<SocketAddr>,
    shared: Arc<Shared>,
    listeners: Vec<(SocketAddr, JoinHandle<()>)>,
}

/// Starts a server.
///
/// # Errors
/// A port is taken, or the certificate and key can't be used.
pub fn start(config: Config) -> io::Result<Running> {
    let shared = Arc::new(share(config)?);
    let mut running = Running {
        imap_addr: None,
        pop3_addr: None,
        imaps_addr: None,
        pop3s_addr: None,
        shared: Arc::clone(&shared),
        listeners: Vec::new(),
    };
    running.imap_addr = running.listen(shared.config.imap, Protocol::Imap, false)?;
    running.pop3_addr = running.listen(shared.config.pop3, Protocol::Pop3, false)?;
    running.imaps_addr = running.listen(shared.config.imaps, Protocol::Imap, true)?;
    running.pop3s_addr = running.listen(shared.config.pop3s, Protocol::Pop3, true)?;
    Ok(running)
}

fn share(mut config: Config) -> io::Result<Shared> {
    let tls = config.tls.as_ref().map(acceptor).transpose()?;
    if tls.is_none() && (config.imaps.is_some() || config.pop3s.is_some()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "TLS ports need a certificate and a key"));
    }
    Ok(Shared {
        tls,
        mailboxes: Mutex::new(std::mem::take(&mut config.mailboxes)),
        faults: Mutex::new(std::mem::take(&mut config.faults)),
        commands: Mutex::default(),
        in_clear: Arc::default(),
        traffic: Arc::default(),
        connections: Mutex::default(),
        stopping: Arc::default(),
        config,
    })
}

fn acceptor(pem: &Pem) -> io::Result<TlsAcceptor> {
    Identity::from_pkcs8(&pem.cert, &pem.key).and_then(TlsAcceptor::new).map_err(io::Error::other)
}

impl Running {
    /// Looks at a mailbox, or changes it, between two commands of the clients; `None` if there is no such mailbox.
    pub fn with_mailbox<T>(&self, name: &str, look: impl FnOnce(&mut Mailbox) -> T) -> Option<T> {
        lock(&self.shared.mailboxes).iter_mut().find(|mailbox| mailbox.name == name).map(look)
    }

    /// Looks at all mailboxes, or changes them: to add one, to rename one.
    pub fn with_mailboxes<T>(&self, look: impl FnOnce(&mut Vec<Mailbox>) -> T) -> T {
        look(&mut lock(&self.shared.mailboxes))
    }

    /// The UIDs in a mailbox now; none if there is no such mailbox.
    pub fn uids(&self, name: &str) -> Vec<u32> {
        self.with_mailbox(name, |mailbox| mailbox.uids()).unwrap_or_default()
    }

    /// Replaces the faults. Octets are counted anew from the next connection on.
    pub fn set_faults(&self, faults: Faults) {
        *lock(&self.shared.faults) = faults;
    }

    /// The commands received so far, without tags and secrets: `IMAP UID FETCH 1:* (UID)`, `POP3 RETR 1`.
    pub fn commands(&self) -> Vec<String> {
        lock(&self.shared.commands).clone()
    }

    /// All octets received so far outside TLS, secrets and all.
    pub fn received_in_clear(&self) -> String {
        String::from_utf8_lossy(&lock(&self.shared.in_clear)).into_owned()
    }

    /// Forgets the commands received so far.
    pub fn clear_commands(&self) {
        lock(&self.shared.commands).clear();
    }

    /// How many octets were sent and received on all connections so far, those of TLS itself not counted.
    pub fn traffic(&self) -> (u64, u64) {
        (self.shared.traffic.sent(), self.shared.traffic.received())
    }

    /// Serves a connection that was accepted elsewhere, without implicit TLS.
    pub fn serve(&self, stream: TcpStream, pop3: bool) {
        begin(stream, &self.shared, if pop3 { Protocol::Pop3 } else { Protocol::Imap }, false);
    }

    /// Cuts all connections; the server goes on.
    pub fn cut_connections(&self) {
        for (stream, _) in lock(&self.shared.connections).iter() {
            // A connection that the client has closed is cut already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn listen(&mut self, port: Option<u16>, protocol: Protocol, tls: bool) -> io::Result<Option<SocketAddr>> {
        let Some(port) = port else { return Ok(None) };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let shared = Arc::clone(&self.shared);
        let thread = thread::spawn(move || accept(&listener, &shared, protocol, tls));
        self.listeners.push((address, thread));
        Ok(Some(address))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for (address, thread) in self.listeners.drain(..) {
            // The connection only wakes the listener; whether it comes about or not, the listener ends.
            let _ = TcpStream::connect(address);
            let _ = thread.join();
        }
        self.cut_connections();
        let connections = std::mem::take(&mut *lock(&self.shared.connections));
        for (_, thread) in connections {
            // A connection's thread that has panicked has said so on stderr.
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, protocol: Protocol, tls: bool) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        begin(stream, shared, protocol, tls);
    }
}

/// Serves a connection in a thread of its own.
fn begin(stream: TcpStream, shared: &Arc<Shared>, protocol: Protocol, tls: bool) {
    let Ok(handle) = stream.try_clone() else { return };
    let for_thread = Arc::clone(shared);
    let thread = thread::spawn(move || {
        // A connection that ends in an error is the client's to notice, or the fault that a test asked for.
        let _ = serve(stream, &for_thread, protocol, tls);
    });
    let mut connections = lock(&shared.connections);
    connections.retain(|(_, thread)| !thread.is_finished());
    connections.push((handle, thread));
}

fn serve(stream: TcpStream, shared: &Shared, protocol: Protocol, tls: bool) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let budget = shared.faults().cut_after_octets;
    let mut wire = Wire::new(stream, budget, Arc::clone(&shared.stopping), Arc::clone(&shared.traffic));
    wire.record_clear(Arc::clone(&shared.in_clear));
    if let (true, Some(acceptor)) = (tls, &shared.tls) {
        wire.start_tls(acceptor)?;
    }
    let served = match protocol {
        Protocol::Imap => imap::serve(&mut wire, shared),
        Protocol::Pop3 => pop3::serve(&mut wire, shared),
    };
    wire.finish();
    served
}
