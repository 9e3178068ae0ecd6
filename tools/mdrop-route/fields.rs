//! The fields of a header that say anything of senders and recipients, as a table.
//!
//! The order of the envelope fields inside one hop is part of it: servers write what was addressed before what it expanded to, and
//! Delivered-To often after aliases.

/// For what a field is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// An envelope trace field: to whom this copy was delivered.
    Envelope,
    /// What a server writes when it takes a message.
    Received,
    /// To whom a message was sent on.
    Resent,
    /// To whom it was written.
    Guess,
    /// Who sent it.
    Sender,
    /// The mailing list that it came through.
    List,
    /// What may mark a journal report.
    Report,
    /// What the body is.
    ContentType,
}

/// The fields that are read; what else looks like evidence of a recipient (X-Forwarded-To, X-Sympa-To, X-SMTP-RCPT, Reply-To) is none.
/// Those of use `Envelope` (and Received) stand in the order in which they count inside a hop, those of use `Sender` in the order in
/// which they are believed.
pub const FIELDS: [(&str, Use); 44] = [
    ("x-original-to", Use::Envelope),
    ("envelope-to", Use::Envelope),
    ("x-envelope-to", Use::Envelope),
    ("x-real-to", Use::Envelope),
    ("x-rcpt-to", Use::Envelope),
    ("x-rcptto", Use::Envelope),
    ("x-delivered-to", Use::Envelope),
    ("x-apparently-to", Use::Envelope),
    ("apparently-to", Use::Envelope),
    ("original-recipient", Use::Envelope),
    ("x-mdrcpt-to", Use::Envelope),
    ("x-mdaemon-deliver-to", Use::Envelope),
    ("x-deliver-to", Use::Envelope),
    ("x-gm-original-to", Use::Envelope),
    ("x-receiver", Use::Envelope),
    ("received", Use::Received),
    ("x-resolved-to", Use::Envelope),
    ("delivered-to", Use::Envelope),
    ("resent-to", Use::Resent),
    ("resent-cc", Use::Resent),
    ("resent-bcc", Use::Resent),
    ("resent-from", Use::Sender),
    ("to", Use::Guess),
    ("cc", Use::Guess),
    ("bcc", Use::Guess),
    ("return-path", Use::Sender),
    ("x-envelope-from", Use::Sender),
    ("x-mail-from", Use::Sender),
    ("x-mailfrom", Use::Sender),
    ("x-sender", Use::Sender),
    ("sender", Use::Sender),
    ("from", Use::Sender),
    ("list-post", Use::List),
    ("x-beenthere", Use::List),
    ("mailing-list", Use::List),
    ("x-mailing-list", Use::List),
    ("x-ms-journal-report", Use::Report),
    ("x-ms-exchange-organization-journal-report", Use::Report),
    ("x-wm-journal-report", Use::Report),
    ("content-identifier", Use::Report),
    ("content-identifer", Use::Report),
    ("auto-submitted", Use::Report),
    ("subject", Use::Report),
    ("content-type", Use::ContentType),
];
