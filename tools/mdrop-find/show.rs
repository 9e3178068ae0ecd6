//! What of a receipt is printed: the filings in force, where the message lies now, and, where one user's mail is asked for, nothing that this
//! user may not know.
//!
//! Who else was in Bcc stands in the catalog, and a user must not learn it: of the recipients only the user's own entry stays, of the filings only
//! the user's, and the envelope's sender only if the From field says the same, or it is the user. Questions are bounded in the same way.

use mdrop::address::{self, Address};
use mdrop::archive::index::Held;
use mdrop::record::{Filing, Receipt, Role};

/// The receipt as it is printed.
pub fn receipt(mut receipt: Receipt, held: &Held, filings: Vec<Filing>, user: Option<&str>) -> Receipt {
    (receipt.pack, receipt.frame, receipt.position) = (held.pack, held.frame, held.position);
    (receipt.fingerprint, receipt.journal) = (held.fingerprint, held.journal.clone());
    receipt.filings = filings;
    if let Some(user) = user {
        receipt.recipients.retain(|recipient| recipient.user.as_deref() == Some(user));
        if !may_know_sender(&receipt) {
            receipt.sender = None;
        }
    }
    receipt
}

fn may_know_sender(receipt: &Receipt) -> bool {
    let normal = |sender: &mdrop::record::Sender| Address::parse(sender.address.as_ref()?.as_str()?).map(|address| address.normal());
    let sender = receipt.sender.as_ref().and_then(normal);
    let from = receipt.from.as_ref().map(|from| address::list(from.as_bytes())).unwrap_or_default();
    receipt.filings.iter().any(|filing| filing.role == Role::Sender) || from.iter().any(|address| Some(address.normal()) == sender)
}
