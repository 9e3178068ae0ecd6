//! The network: the only rooms in which sockets are opened.
//!
//! One wire serves both protocols, with TLS or without; each session type on it speaks one protocol and offers what fetch and
//! purge need: list, read without changing anything, and delete what is named. Every wait is bounded by the profile's
//! time-out and looks at the stop flag.

pub mod certificate;
pub mod imap;
pub mod pop3;
pub mod sasl;
#[cfg(test)]
mod scripted;
pub mod secret;
pub mod tcp;
pub mod tls;
pub mod wire;

use crate::record::Finding;
use wire::TlsFacts;

/// A message that is claimed to be larger, in octets, is one of which nothing is claimed: nobody's mail is, and sums stay numbers.
pub const LARGEST_CLAIM: u64 = 1 << 36;

/// Told of each step of a login that succeeded: its name, and what is worth knowing of it.
pub type Narrator<'a> = &'a mut dyn FnMut(&str, &str);

/// What a run says each time where nothing vouches for the server.
#[must_use]
pub fn unverified(host: &str, tls: Option<&TlsFacts>) -> Option<Finding> {
    let text = format!("{host}: the server's certificate is not verified (verify = false): anybody could read the password");
    let finding = Finding { finding: "unverified".into(), text, ..Finding::default() };
    tls.is_some_and(|tls| !tls.verified).then_some(finding)
}

/// Whether a host is this machine by its name, so that nobody else reads the line.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_names_and_nothing_else_is() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["mail.example.com", "localhost.example.com", "0.0.0.0", "10.0.0.1", "[::]", ""] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
