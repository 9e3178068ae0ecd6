//! What a server's certificate says, for people: who it is for, who signed it, until when, and its SHA-256 for pinning.
//!
//! Only facts are read here; whether the certificate is good is OpenSSL's decision, in [`crate::net::tls`].

use crate::time::Time;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::net::IpAddr;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Facts about a certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// Whose it is, as a distinguished name.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The host names and addresses it is for.
    pub names: Vec<String>,
    /// From when it is valid.
    pub begins: Time,
    /// Until when.
    pub ends: Time,
    /// SHA-256 of its DER form.
    pub sha256: [u8; 32],
}

impl Certificate {
    /// Reads a certificate in DER; of one that can't be read only the SHA-256 is known.
    #[must_use]
    pub fn from_der(der: &[u8]) -> Self {
        let sha256 = Sha256::digest(der).into();
        let Ok((_, read)) = X509Certificate::from_der(der) else {
            let (unknown, never) = (String::from("unreadable"), Time::from_unix(0));
            return Self { subject: unknown.clone(), issuer: unknown, names: Vec::new(), begins: never, ends: never, sha256 };
        };
        Self {
            subject: read.subject().to_string(),
            issuer: read.issuer().to_string(),
            names: names(&read),
            begins: Time::from_unix(read.validity().not_before.timestamp()),
            ends: Time::from_unix(read.validity().not_after.timestamp()),
            sha256,
        }
    }

    /// The SHA-256 in the form that `pin-sha256` takes.
    #[must_use]
    pub fn pin(&self) -> String {
        hex(&self.sha256)
    }

    /// Whether it vouches for itself.
    #[must_use]
    pub fn is_self_signed(&self) -> bool {
        self.subject == self.issuer
    }
}

/// The alternative names; without any, the common name, which then counts.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        return common.map(str::to_owned).collect();
    };
    let named = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => address(octets),
        _ => None,
    });
    named.collect()
}

fn address(octets: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let sixteen = <[u8; 16]>::try_from(octets).map(IpAddr::from);
    four.or(sixteen).ok().map(|address| address.to_string())
}

/// Lower-case hex digits.
fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}
