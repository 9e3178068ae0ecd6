//! The port that a client connects to: scripts first, then whatever comes afterwards.

use super::fault::Fault;
use super::mailserver::{Config, Mailbox, Running, start};
use super::play::{Player, Stop};
use super::trace::Trace;
use super::wire::{Wire, certificate};
use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a client finds that connects when the scripts are over, or when one broke off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Afterwards {
    /// Each connection is closed at once.
    Gone,
    /// A healthy server with the same messages.
    Healthy,
}

struct Shared {
    trace: Arc<Trace>,
    fault: Option<Fault>,
    healthy: Running,
    /// Whether connections go there when the scripts are over.
    heals: AtomicBool,
    /// How many scripts were played to their end.
    played: AtomicUsize,
    /// How many connections have begun.
    begun: AtomicUsize,
    over: AtomicBool,
    /// What the client did that the trace does not have.
    notes: Mutex<Vec<String>>,
}

/// A listening server that is played a trace on.
pub struct Front {
    pub port: u16,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

impl Front {
    pub fn start(trace: &Arc<Trace>, fault: Option<Fault>, afterwards: Afterwards) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            trace: Arc::clone(trace),
            fault,
            healthy: healthy(trace),
            heals: AtomicBool::new(afterwards == Afterwards::Healthy),
            played: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            notes: Mutex::default(),
        });
        let for_thread = Arc::clone(&shared);
        let listener = std::thread::spawn(move || accept(&listener, &for_thread));
        Self { port, shared, listener: Some(listener) }
    }

    /// From now on every client finds a healthy server.
    pub fn heal(&self) {
        self.shared.heals.store(true, Ordering::SeqCst);
        self.shared.begun.store(usize::MAX / 2, Ordering::SeqCst);
    }

    /// What the client did that the trace does not have, and scripts that it did not play to their end.
    pub fn notes(&self) -> Vec<String> {
        let all = self.shared.trace.connections.len();
        // A client may be gone before the script knows that it was its end.
        let began = Instant::now();
        while self.shared.played.load(Ordering::SeqCst) < all && began.elapsed() < Duration::from_secs(1) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut notes = self.shared.notes.lock().unwrap().clone();
        let played = self.shared.played.load(Ordering::SeqCst);
        if played < all {
            notes.push(format!("{played} of {all} scripts were played to their end"));
        }
        notes
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // The connection only wakes the listener.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let ended = self.listener.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || ended.is_none_or(|ended| ended.is_ok()), "the scripted server panicked");
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut connections = Vec::new();
    for stream in listener.incoming().map_while(Result::ok) {
        if shared.over.load(Ordering::SeqCst) {
            break;
        }
        let number = shared.begun.fetch_add(1, Ordering::SeqCst);
        let script_is_left = number < shared.trace.connections.len() && shared.played.load(Ordering::SeqCst) == number;
        if script_is_left {
            let shared = Arc::clone(shared);
            connections.push(std::thread::spawn(move || play(&shared, stream, number)));
        } else if shared.heals.load(Ordering::SeqCst) {
            shared.healthy.serve(stream, shared.trace.protocol() == "pop3");
        }
    }
    for connection in connections {
        connection.join().unwrap();
    }
}

fn play(shared: &Shared, stream: TcpStream, number: usize) {
    let Ok(wire) = Wire::new(stream, &shared.over) else { return };
    let mut player = Player::new(&shared.trace, shared.fault.as_ref(), wire);
    let played = player.play(&shared.trace.connections[number], &|| {
        shared.played.fetch_add(1, Ordering::SeqCst);
    });
    if let Err(Stop::Client(note)) = played {
        shared.notes.lock().unwrap().push(format!("connection {}: {note}", number + 1));
    }
}

/// A server that holds what the trace's server holds, and has no faults.
fn healthy(trace: &Trace) -> Running {
    let mut mailboxes: Vec<Mailbox> = trace.mailboxes.iter().map(|(name, validity)| Mailbox::new(name, *validity)).collect();
    for message in trace.healthy() {
        message.add_to(mailboxes.iter_mut().find(|mailbox| mailbox.name == message.mailbox).unwrap());
    }
    let mut config = Config { user: "box".into(), password: "pw".into(), mailboxes, without: BTreeSet::new(), ..Config::default() };
    config.tls = (trace.tls != "none").then(|| certificate().clone());
    config.faults.lie_about_size = trace.messages.iter().filter_map(|m| Some((m.uid, m.claimed?))).collect();
    start(config).unwrap()
}
