//! Reading the stream in a thread of its own, so that checking digests and committing overlap.

use mdrop::archive::{Archive, Arrival, Learner};
use mdrop::error::{Error, Result, Status};
use mdrop::frame::{self, Run};
use mdrop::interrupt::Input;
use mdrop::record::Finding;
use mdrop::spool::Spool;
use mdrop::stream::{Meta, ReadError, StreamReader};
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// A message up to this size, in octets, waits in memory.
const IN_MEMORY: usize = 2 << 20;
/// How many messages may wait between the threads.
const WAITING: usize = 8;

/// What comes out of the stream.
pub enum Next {
    /// A whole message with its encoded form.
    Message(Box<(Arrival, Spool)>),
    /// A message that is cut or altered.
    Bad(Error),
    /// Nothing yet.
    Nothing,
    /// The stream's end, or why it could not be read on.
    End(Result<()>),
}

/// The reading thread.
pub struct Intake {
    messages: Receiver<Next>,
    thread: Option<JoinHandle<()>>,
}

impl Intake {
    /// Begins to read.
    pub fn start(input: Input) -> Self {
        let (sender, messages) = sync_channel(WAITING);
        let thread = std::thread::spawn(move || read(input, &sender));
        Self { messages, thread: Some(thread) }
    }

    /// What came next, within `wait`.
    pub fn next(&mut self, wait: Duration) -> Next {
        match self.messages.recv_timeout(wait) {
            Ok(next) => next,
            Err(RecvTimeoutError::Timeout) => Next::Nothing,
            Err(RecvTimeoutError::Disconnected) => Next::End(self.join()),
        }
    }

    /// The thread ends only after it has said so, unless it panicked.
    fn join(&mut self) -> Result<()> {
        let panicked = self.thread.take().is_none_or(|thread| thread.join().is_err());
        let what = if panicked { "the reading thread broke down" } else { "the reading thread ended without a word" };
        Err(Error::new(Status::Software, what))
    }
}

fn read(input: Input, sender: &SyncSender<Next>) {
    let mut reader = StreamReader::new(input);
    loop {
        let next = read_one(&mut reader);
        let end = matches!(next, Next::End(_));
        if sender.send(next).is_err() || end {
            return;
        }
    }
}

fn read_one(reader: &mut StreamReader<Input>) -> Next {
    let mut encoded = Spool::new(IN_MEMORY);
    let mut learner = Learner::default();
    let look = |meta: &Meta, learner: &mut Learner| {
        *learner = Learner::of(meta.route.as_ref().and_then(|route| route.journal.as_ref()));
        Ok(())
    };
    match reader.read_into(look, &mut encoded, &mut learner) {
        Ok(Some(meta)) => Next::Message(Box::new((learner.finish(meta), encoded))),
        Ok(None) => Next::End(Ok(())),
        Err(ReadError::Message(error)) => Next::Bad(error),
        Err(ReadError::Input(error) | ReadError::Sink(error)) => Next::End(Err(error)),
    }
}

/// Says that a journal report has no inner message where it was said to be.
pub fn tell(arrival: &Arrival, run: &mut Run) -> Result<()> {
    let Some(why) = &arrival.misplaced else { return Ok(()) };
    let (origin, digest, finding) = (Some(arrival.meta.origin.clone()), Some(arrival.meta.digest), "misleading".into());
    let text = format!("{why}; the report is archived as a message of its own");
    run.find(Finding { origin, digest, finding, text, ..Finding::default() })
}

/// Says for each message of the stream what would become of it; changes nothing.
pub fn dry_run(input: Input, root: &Path, index: Option<&Path>, run: &mut Run) -> Result<()> {
    let archive = match Archive::open(root, index) {
        Ok(archive) => Some(archive),
        Err(e) if e.status() == Status::NoInput => None,
        Err(e) => return Err(e),
    };
    let mut output = frame::stdout()?;
    let mut reader = StreamReader::new(input);
    loop {
        let (arrival, _) = match read_one(&mut reader) {
            Next::Message(message) => *message,
            Next::Bad(error) => {
                run.fail_message(None, &error)?;
                continue;
            }
            Next::End(ended) => {
                output.flush()?;
                return ended;
            }
            Next::Nothing => continue,
        };
        tell(&arrival, run)?;
        let held = archive.as_ref().map(|archive| archive.held(arrival.meta.digest)).transpose()?.flatten();
        let skip = arrival.meta.route.as_ref().is_some_and(|route| route.skip.is_some());
        let word = if skip {
            "refused"
        } else if held.is_some() {
            "duplicate"
        } else {
            "new"
        };
        run.count(word, arrival.meta.size);
        writeln!(output, "{}: {word}", mdrop::error::printable(&arrival.meta.origin.to_string()))?;
    }
}
