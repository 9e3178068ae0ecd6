//! The captured copies of Sun's and Oracle's Messaging Server: the form of a delivery status notification (RFC 3464), whose
//! `Original-Recipient: rfc822;a@example.com` are the envelope's recipients.
//!
//! A real notification looks the same. One that tells of a failure or a delay is none of these; what is left is told apart by who
//! sent it alone, which is not decided here.

use super::{Envelope, Party};
use crate::address;

/// What a captured copy never says.
const FAILURES: [&str; 2] = ["failed", "delayed"];

/// Reads the envelope from the text of the notification's second part.
pub fn read(text: &str) -> Envelope {
    let mut envelope = Envelope::default();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let (name, value) = (name.trim_end(), value.trim());
        if name.eq_ignore_ascii_case("action") && FAILURES.iter().any(|word| value.eq_ignore_ascii_case(word)) {
            return Envelope::default();
        }
        if name.eq_ignore_ascii_case("original-recipient") {
            envelope.push(Party::Recipient, "original-recipient", address::trace(value.as_bytes()), Vec::new(), value);
        }
    }
    envelope
}
