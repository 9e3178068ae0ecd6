//! What of a receipt is printed: the filings in force, where the message lies now, and, where one user's mail is asked for, nothing that this
//! user may not know.
//!
//! Who else was in Bcc stands in the catalog, and a user must not learn it: of the recipients only the user's own entry stays, of the filings only
//! the user's, and the envelope's sender only if the From field says the same, or it is the user. Which other mail has the same Message-ID
//! is not told either: it may be somebody else's. Questions are bounded in the same way.

use mdrop::address::{self, Address};
use mdrop::archive::index::{Held, Who};
use mdrop::record::{Filing, Receipt, Role};

/// The receipt as it is printed.
pub fn receipt(mut receipt: Receipt, held: &Held, filings: Vec<Filing>, user: Option<&str>) -> Receipt {
    (receipt.pack, receipt.frame, receipt.position) = (held.pack, held.frame, held.position);
    (receipt.fingerprint, receipt.journal) = (held.fingerprint, held.journal.clone());
    receipt.filings = filings;
    if let Some(user) = user {
        receipt.recipients.retain(|recipient| recipient.user.as_deref() == Some(user));
        receipt.same_message_id = None;
        if !may_know_sender(&receipt) {
            receipt.sender = None;
        }
    }
    receipt
}

/// Whether what is printed of a receipt says that one of these sent it. The index knows the envelope's sender of every copy, which may name
/// whoever got that copy.
pub fn is_from(receipt: &Receipt, senders: &[Who]) -> bool {
    let from = receipt.from.as_ref().map(|from| address::list(from.as_bytes())).unwrap_or_default();
    let sender = receipt.sender.as_ref().and_then(|sender| Address::parse(sender.address.as_ref()?.as_str()?));
    let addresses: Vec<String> = from.iter().chain(&sender).map(Address::normal).collect();
    let is = |who: &Who, address: &String| match who {
        Who::Address(asked) => address == asked,
        Who::Domain(domain) => address.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('@')),
    };
    senders.iter().any(|who| addresses.iter().any(|address| is(who, address)))
}

fn may_know_sender(receipt: &Receipt) -> bool {
    let normal = |sender: &mdrop::record::Sender| Address::parse(sender.address.as_ref()?.as_str()?).map(|address| address.normal());
    let sender = receipt.sender.as_ref().and_then(normal);
    let from = receipt.from.as_ref().map(|from| address::list(from.as_bytes())).unwrap_or_default();
    receipt.filings.iter().any(|filing| filing.role == Role::Sender) || from.iter().any(|address| Some(address.normal()) == sender)
}
