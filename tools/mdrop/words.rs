//! What a message says, as words to be found: its subject, its people, its text, and what its attachments are called.
//!
//! It is read as its octets pass, and what is kept is bounded whatever comes: so many levels and parts, and so much text. Nothing is an
//! error: mail that is broken has fewer words.

mod encoded;
pub mod fold;
mod html;
mod parts;
mod text;

pub use encoded::decoded;
pub use parts::Reader;

use crate::address::Address;

/// How much text of a message is indexed, in octets of its words.
pub const LONGEST_TEXT: usize = 1 << 20;
/// How much there is of what stands in header fields, and of names of attachments.
const LONGEST_FIELDS: usize = 128 << 10;

/// A message's words, folded, with blanks between them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Words {
    /// Of its Subject.
    pub subject: String,
    /// Of From and Sender.
    pub sender: String,
    /// Of To and Cc; not of Bcc, which not everybody who may ask has seen.
    pub recipients: String,
    /// Of its text, and of the messages in it.
    pub body: String,
    /// Of the names of its attachments.
    pub attachments: String,
    /// Whether it has any.
    pub has_attachment: bool,
}

/// An address as one word, in which no other word occurs: what is no letter and no digit stands in a private area of Unicode.
#[must_use]
pub fn address_word(address: &Address) -> String {
    as_one_word(&address.normal())
}

/// The same for a domain with the `@` before it.
#[must_use]
pub fn domain_word(domain: &str) -> String {
    as_one_word(&format!("@{domain}"))
}

fn as_one_word(text: &str) -> String {
    let hide = |c: char| if c.is_ascii() && !c.is_ascii_alphanumeric() { char::from_u32(0xe000 + u32::from(c)).unwrap_or(c) } else { c };
    text.chars().map(hide).collect()
}
