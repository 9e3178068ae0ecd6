//! The network: the only rooms in which sockets are opened.
//!
//! One wire serves both protocols, with TLS or without; each session type on it speaks one protocol and offers what fetch and
//! purge need: list, read without changing anything, and delete what is named. Every wait is bounded by the profile's
//! time-out and looks at the stop flag.

pub mod certificate;
pub mod imap;
pub mod pop3;
#[cfg(test)]
mod scripted;
pub mod secret;
pub mod tcp;
pub mod tls;
pub mod wire;

use crate::error::{Error, Result, Status};
use crate::profile::{AccountSettings, Tls};

/// A message that is claimed to be larger, in octets, is one of which nothing is claimed: nobody's mail is, and sums stay numbers.
pub const LARGEST_CLAIM: u64 = 1 << 40;

/// Told of each step of a login that succeeded: its name, and what is worth knowing of it.
pub type Narrator<'a> = &'a mut dyn FnMut(&str, &str);

/// Refuses to let a password go over an unencrypted line to another machine, unless the profile says so aloud.
///
/// # Errors
/// [`Status::Config`] if it would.
pub fn check_cleartext(account: &AccountSettings) -> Result<()> {
    let local = is_loopback(&account.host);
    if account.tls != Tls::None || account.cleartext_login || local {
        return Ok(());
    }
    let what = "tls = \"none\" would send the password in clear; use \"implicit\" or \"starttls\", or set cleartext-login = true";
    Err(Error::new(Status::Config, what).about(&account.host))
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    #[test]
    fn a_password_goes_in_clear_to_this_machine_only_unless_the_profile_says_so() {
        let told = |host: &str, more: &str| {
            let text = format!("[account]\nprotocol = \"imap\"\nusername = \"u\"\nhost = \"{host}\"\n{more}");
            check_cleartext(&Profile::parse("t", &text).unwrap().account).map_err(|e| e.status())
        };
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "[::1]"] {
            assert_eq!(told(host, "tls = \"none\""), Ok(()), "{host}");
        }
        assert_eq!(told("mail.example.com", "tls = \"none\""), Err(Status::Config));
        assert_eq!(told("localhost.example.com", "tls = \"none\""), Err(Status::Config));
        assert_eq!(told("mail.example.com", "tls = \"none\"\ncleartext-login = true"), Ok(()));
        assert_eq!(told("mail.example.com", "tls = \"starttls\""), Ok(()));
    }
}
