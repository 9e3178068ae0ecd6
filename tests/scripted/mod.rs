//! A scripted IMAP and POP3 server: it plays a trace from a file, and can cut, stall, drip, garble and lie at any line of it.
//!
//! Decision: a trace is one file that a person can read beside an RFC, and holds all that a test needs: what is in the mailbox, what each
//! side says, and how mdrop-fetch ends. Faults are no part of it; each is a place in the trace and a kind, so that every trace is
//! played with every fault without being written again.
//!
//! # The format
//!
//! `#` begins a comment, and an empty line means nothing. First come the facts:
//!
//! ```text
//! expect 75                     the exit status of mdrop-fetch; 0 if left out
//! says UID 43: the server       words that its standard error holds; may be repeated
//! comes a b                     the messages that come
//! tls starttls                  the profile's `tls`; `none` if left out
//! profile exclude = ["Spam"]    a further line of the profile's [account]; may be repeated
//! mailbox INBOX 9               name and UIDVALIDITY of the mailbox that the next messages lie in; not for POP3
//! message a 42                  name and UID (POP3: unique-id); then perhaps `size 999`, the size that the server claims if it is not
//! | Subject: one                the true one, and `gone`, if another server no longer has it. Lines of the message follow,
//! |                             each ending in CR LF;
//! > no line end                 or each as it is
//! ```
//!
//! Then what is said. A part that begins with `connection` is for one connection, in order; the first needs no such line.
//!
//! ```text
//! S: * OK ready                                     the server sends a line
//! C: A1 LOGIN "box" "pw"                            the client must send one; case is ignored, `*` stands for anything
//! S: A1 OK done                                     A1, a capital letter and digits, stands for the tag that came with it
//! S: * 1 FETCH (UID 42 RFC822.SIZE $a.size INTERNALDATE "$a.date" FLAGS ())
//! S: * 1 FETCH (UID 42 BODY[] {$a})                 the message as a literal
//! S: * 1 FETCH (UID 42 BODY[] $a.quoted)            the message as a quoted string
//! S: $a.stuffed                                     the message as POP3 sends it, without the last dot
//! TLS                                               the handshake
//! CLOSE                                             the server ends the connection
//! ON: N1 NOOP                                       what the client may send at any time, not only here: the lines that follow, up to
//! S: N1 OK done                                     an empty line, answer it
//! ```
//!
//! A C: line without a tag, such as the answer to a `+`, is matched as it is. `\xNN` in a line is one octet.
//!
//! # Afterwards
//!
//! When a connection did not reach its script's end, or no script is left, each later one is closed at once, or goes to a server that is
//! healthy and holds the same messages: [`Afterwards`].

mod case;
mod fault;
mod front;
mod play;
mod trace;
mod wire;

use crate::common::served::mailserver;

pub use case::{Case, Checked, check_all};
pub use fault::{At, Fault, Kind};
pub use front::Afterwards;
pub use trace::{Trace, traces};
