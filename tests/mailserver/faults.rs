//! What can be made to go wrong.
//!
//! Decision: a fault is a plain value that a test sets, before or between connections; it never depends on time or chance.
//! Counts begin anew with each connection, so that a client that resumes comes further each time, or visibly doesn't.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::sasl::LoginFault;

/// The faults in force. The default is none.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Cut each connection after this many octets were sent on it.
    pub cut_after_octets: Option<u64>,
    /// Cut the connection half-way through the K-th message handed out on it (1 is the first).
    pub cut_at_message: Option<u32>,
    /// Stop half-way through the K-th message for `stall`, then go on.
    pub stall_at_message: Option<u32>,
    /// How long to stall.
    pub stall: Duration,
    /// Break off half-way through the K-th message with `* BYE` (IMAP) or nothing (POP3), then close.
    pub bye_at_message: Option<u32>,
    /// Cut each connection half-way through the message with one of these UIDs.
    pub cut_at_uid: BTreeSet<u32>,
    /// Answer NO or -ERR when one of these UIDs' text is asked for.
    pub refuse: BTreeSet<u32>,
    /// Answer NO when a FETCH without text names one of these UIDs.
    pub refuse_listing: BTreeSet<u32>,
    /// Somebody deletes these UIDs between the listing and the text of the first message.
    pub vanish: BTreeSet<u32>,
    /// Claim this size for a UID; the literal still has the true one.
    pub lie_about_size: BTreeMap<u32, u64>,
    /// Answer NO with this code when this mailbox is opened: name, code.
    pub refuse_open: Option<(String, String)>,
    /// Cut the connection when a command that begins so arrives (`UID EXPUNGE`, `QUIT`), before it has any effect.
    pub cut_before_command: Option<String>,
    /// Let a command that begins so have its effect, then cut the connection in place of the answer.
    pub cut_before_answer: Option<String>,
    /// Answer BAD to a FETCH of EMAILIDs.
    pub refuse_emailids: bool,
    /// Leave EMAILID out of what is told of these UIDs.
    pub without_emailid: BTreeSet<u32>,
    /// What is wrong with the login.
    pub login: Option<LoginFault>,
    /// Greet with these octets.
    pub greeting: Option<String>,
    /// Answer STARTTLS or STLS with these octets, in one piece; TAG is the command's. Only after OK or `+OK` does TLS begin.
    pub starttls_answer: Option<String>,
}

/// What happens half-way through one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// The connection ends.
    Cut,
    /// Nothing is sent for a while.
    Stall(Duration),
    /// The server says goodbye in the middle.
    Bye,
}

impl Faults {
    /// What happens to the `nth` message of a connection.
    pub fn trouble(&self, nth: u32, uid: u32) -> Trouble {
        if self.cut_at_message == Some(nth) || self.cut_at_uid.contains(&uid) {
            Trouble::Cut
        } else if self.bye_at_message == Some(nth) {
            Trouble::Bye
        } else if self.stall_at_message == Some(nth) {
            Trouble::Stall(self.stall)
        } else {
            Trouble::None
        }
    }

    /// The size claimed for a message.
    pub fn size(&self, uid: u32, size: u64) -> u64 {
        self.lie_about_size.get(&uid).copied().unwrap_or(size)
    }

    /// Whether the connection ends before this command has an effect.
    pub fn cuts_before(&self, command: &str) -> bool {
        begins(command, self.cut_before_command.as_deref())
    }

    /// Whether the connection ends in place of this command's answer.
    pub fn cuts_answer(&self, command: &str) -> bool {
        begins(command, self.cut_before_answer.as_deref())
    }

    /// Sets one fault from its name on the command line.
    ///
    /// # Errors
    /// The name or the value isn't one.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let wrong = |_| format!("fault {name}: {value:?} is not a number");
        match name {
            "cut-after-octets" => self.cut_after_octets = Some(value.parse().map_err(wrong)?),
            "cut-at-message" => self.cut_at_message = Some(value.parse().map_err(wrong)?),
            "stall-at-message" => self.stall_at_message = Some(value.parse().map_err(wrong)?),
            "stall-seconds" => self.stall = Duration::from_secs(value.parse().map_err(wrong)?),
            "bye-at-message" => self.bye_at_message = Some(value.parse().map_err(wrong)?),
            "cut-before-command" => self.cut_before_command = Some(value.to_owned()),
            "cut-before-answer" => self.cut_before_answer = Some(value.to_owned()),
            "login" => self.login = Some(LoginFault::named(value).ok_or_else(|| format!("fault login: {value:?} is none"))?),
            "refuse" => {
                self.refuse.insert(value.parse().map_err(wrong)?);
            }
            "lie-about-size" => {
                let (uid, size) = value.split_once(':').ok_or("lie-about-size takes UID:SIZE")?;
                self.lie_about_size.insert(uid.parse().map_err(wrong)?, size.parse().map_err(wrong)?);
            }
            _ => return Err(format!("no fault is named {name:?}")),
        }
        Ok(())
    }
}

fn begins(command: &str, with: Option<&str>) -> bool {
    with.is_some_and(|with| command.as_bytes().get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes())))
}
