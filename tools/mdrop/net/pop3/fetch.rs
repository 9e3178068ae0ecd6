//! RETR: up to 512 outstanding where the server names PIPELINING (RFC 2449 section 6.6), else one by one.
//!
//! So many short commands (7 KiB) fit into any socket's buffer, so that both sides can never wait for each other; with 64 a line with a long
//! way waits eight times for 500 messages.

use super::unstuff::read_message;
use super::{Reply, Session, failure, read_reply};
use crate::error::{Error, Result, Status};
use crate::held::{Held, Taker};
use crate::octets::Octets;
use pop3_client::Command;
use std::collections::VecDeque;

/// How many commands may be unanswered.
const OUTSTANDING: usize = 512;

/// A message as the server lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its number in this session.
    pub number: u64,
    /// Its octets, as the server claims (LIST).
    pub size: Option<u64>,
    /// Its unique-id.
    pub uidl: Octets,
}

impl Session {
    /// Reads the octets of messages, and hands each whole one to `taker`; a refused one is a failure of that message alone.
    ///
    /// # Errors
    /// What the connection or `taker` reports. Messages handed over before are whole.
    pub fn fetch(&mut self, wanted: &[Listed], taker: &mut dyn Taker<Listed>) -> Result<()> {
        let done = self.fetch_all(wanted, taker);
        self.noting_death(done)
    }

    fn fetch_all(&mut self, wanted: &[Listed], taker: &mut dyn Taker<Listed>) -> Result<()> {
        let window = if self.offers("PIPELINING") { OUTSTANDING } else { 1 };
        let mut held = Held::default();
        let mut coming = VecDeque::new();
        let mut queue = wanted.iter();
        loop {
            // Filled again when half of it is answered, so that commands go out many at a time.
            if coming.len() <= window / 2 {
                let more: Vec<&Listed> = queue.by_ref().take(window - coming.len()).collect();
                self.request_all(&more)?;
                coming.extend(more);
            }
            let Some(message) = coming.pop_front() else {
                self.broken_at = None;
                return Ok(());
            };
            self.broken_at = Some(message.clone());
            if self.wire.would_wait() {
                taker.waiting()?;
            }
            match read_reply(&mut self.wire)? {
                Reply::Ok(_) => {
                    held.clear();
                    read_message(&mut self.wire, &mut held)?;
                    taker.message(message, &mut held)?;
                }
                Reply::Err(said) => taker.failed(message, failure("RETR", &said))?,
                Reply::More(_) => return Err(Error::new(Status::Protocol, "RETR: the server's answer is not understood")),
            }
        }
    }

    fn request_all(&mut self, messages: &[&Listed]) -> Result<()> {
        let requests: String = messages.iter().map(|message| Command::Retr { id: message.number }.to_request()).collect();
        if requests.is_empty() { Ok(()) } else { self.wire.send(requests.as_bytes()) }
    }
}
