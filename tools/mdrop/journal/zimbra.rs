//! Zimbra's legal intercept: a copy of what an account receives, sends or drafts, under a text that names the account.
//!
//! `Intercepted message for ACCOUNT.` and, on a line of its own or not, `Operation=add message, folder=Inbox, folder ID=2.` The
//! envelope is not told. What arrives was for the account; what is sent, or lies among the sent mail or the drafts, is the account's own.
//! A folder's name is its owner's choice, so its number decides where there is one: 5 is Sent, 6 is Drafts.

use super::{Envelope, Party, names};

/// How the text begins.
const BEGINNINGS: [&str; 2] = ["intercepted message for ", "intercept message for "];

/// Reads the envelope from its text.
pub fn read(text: &str) -> Envelope {
    let mut envelope = Envelope::default();
    let text = text.trim_start();
    let Some(rest) = BEGINNINGS.iter().find_map(|begin| names::after(text, begin)) else { return envelope };
    let Some(at) = find(rest, "operation=") else { return envelope };
    let account = rest.get(..at).unwrap_or_default().trim().trim_end_matches('.');
    let operation = rest.get(at..).unwrap_or_default().lines().next().unwrap_or_default();
    let party = if is_own(&operation.to_ascii_lowercase()) { Party::Sender } else { Party::Recipient };
    envelope.push(party, "account", names::addresses(account), Vec::new(), account);
    envelope
}

fn find(text: &str, word: &str) -> Option<usize> {
    text.as_bytes().windows(word.len()).position(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether the account's owner sent or wrote the message: `operation=add message, folder=inbox, folder id=2.`
fn is_own(line: &str) -> bool {
    let (line, number) = line.rsplit_once(", folder id=").unwrap_or((line, ""));
    let (operation, folder) = line.split_once(", folder=").unwrap_or((line, ""));
    let is_own_folder = match number.trim_end_matches('.').parse::<u32>() {
        Ok(number) => matches!(number, 5 | 6),
        Err(_) => matches!(folder, "sent" | "drafts"),
    };
    is_own_folder || operation.ends_with("=send message") || operation.ends_with("=save draft")
}
