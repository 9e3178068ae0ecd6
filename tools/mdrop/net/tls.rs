//! TLS by native-tls: at least 1.2, the certificate verified against the system's authorities and the profile's, or pinned.
//!
//! A pin replaces the authorities and the name check: the administrator has said that it is this certificate and no other.
//! When a certificate is refused, the server is asked for it once more on a connection that carries nothing else, only to be able to
//! say what is wrong with it.

use crate::error::{Error, Result, Status};
use crate::net::Narrator;
use crate::net::certificate::Certificate;
use crate::net::tcp::{Tcp, resolve};
use crate::net::wire::{TlsFacts, Wire};
use crate::profile::{AccountSettings, Tls};
use crate::time::Time;
use native_tls::{HandshakeError, Protocol, TlsConnector, TlsStream};
use std::error::Error as _;
use std::io;
use std::net::SocketAddr;

/// What makes a server trustworthy.
pub struct Trust {
    host: String,
    verify: bool,
    roots: Vec<native_tls::Certificate>,
    pins: Vec<[u8; 32]>,
}

impl Trust {
    /// What the profile asks for.
    ///
    /// # Errors
    /// [`Status::Config`] if a pin is no SHA-256 or ca-file holds no certificate; what reading it reports.
    pub fn of(account: &AccountSettings) -> Result<Self> {
        let pins = account.pin_sha256.iter().map(|pin| parse_pin(pin)).collect::<Result<_>>()?;
        let roots = match &account.ca_file {
            Some(path) => read_roots(path).map_err(|e| e.about(path.display().to_string()).about("ca-file"))?,
            None => Vec::new(),
        };
        Ok(Self { host: account.host.trim_matches(['[', ']']).to_owned(), verify: account.verify, roots, pins })
    }

    /// Trust in nobody: for looking at a certificate only.
    fn blind(&self) -> Self {
        Self { host: self.host.clone(), verify: false, roots: Vec::new(), pins: Vec::new() }
    }

    fn asks_authorities(&self) -> bool {
        self.verify && self.pins.is_empty()
    }
}

fn read_roots(path: &std::path::Path) -> Result<Vec<native_tls::Certificate>> {
    let pem = std::fs::read(path).map_err(|e| Error::io("read", e))?;
    let roots = native_tls::Certificate::stack_from_pem(&pem).unwrap_or_default();
    if roots.is_empty() { Err(Error::new(Status::Config, "no certificate in PEM in it")) } else { Ok(roots) }
}

/// A SHA-256 in hex, with colons or without.
fn parse_pin(text: &str) -> Result<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b':').collect();
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let octets: Option<Vec<u8>> = digits.chunks(2).map(|pair| Some(value(*pair.first()?)? << 4 | value(*pair.get(1)?)?)).collect();
    let pin = octets.and_then(|octets| octets.try_into().ok());
    pin.ok_or_else(|| Error::new(Status::Config, format!("pin-sha256 “{text}” is not 64 hex digits")))
}

/// Opens a wire as the profile describes it, on which the login-timeout runs. `upgrade` talks the server into STARTTLS.
///
/// # Errors
/// [`Status::NoHost`], [`Status::Unavailable`]; [`Status::NoPermission`] if the server's certificate is refused;
/// [`Status::Protocol`] if there is no TLS to be had; [`Status::Config`] if the profile's trust is wrong.
pub fn open(account: &AccountSettings, upgrade: &mut dyn FnMut(&mut Wire) -> Result<()>, narrate: Narrator) -> Result<Wire> {
    let trust = Trust::of(account)?;
    let server = |e: Error| e.about(format!("{}:{}", account.host, account.port()));
    let addresses = resolve(&account.host, account.port(), account.connect_timeout)?;
    let all: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    narrate("name", &format!("{} is {}", account.host, all.join(", ")));
    let connect = |addresses: &[SocketAddr]| {
        let mut tcp = Tcp::connect(addresses, account.connect_timeout, account.timeout)?;
        tcp.limit_login(Some(account.login_timeout));
        Ok(Wire::new(tcp))
    };
    let mut wire = connect(&addresses).map_err(server)?;
    narrate("connection", &wire.peer().map(|peer| peer.to_string()).unwrap_or_default());
    let peer = wire.peer();
    let protected = protect(&mut wire, account.tls, &trust, upgrade);
    if let Err(error) = protected {
        let seen = peer.filter(|_| error.status() == Status::NoPermission && trust.asks_authorities()).and_then(|peer| {
            let mut wire = connect(&[peer]).ok()?;
            protect(&mut wire, account.tls, &trust.blind(), upgrade).ok()?;
            wire.tls()?.certificate.clone()
        });
        return Err(server(seen.map_or_else(
            || Error::new(error.status(), error.what()),
            |certificate| refused(&certificate, &account.host, error.what(), Time::now()),
        )));
    }
    if let Some(tls) = wire.tls() {
        narrate("tls", &describe(tls));
    }
    Ok(wire)
}

fn protect(wire: &mut Wire, tls: Tls, trust: &Trust, upgrade: &mut dyn FnMut(&mut Wire) -> Result<()>) -> Result<()> {
    match tls {
        Tls::None => Ok(()),
        Tls::Implicit => wire.start_tls(trust),
        Tls::Starttls => upgrade(wire).and_then(|()| wire.start_tls(trust)),
    }
}

/// One line of facts about a connection's TLS.
fn describe(tls: &TlsFacts) -> String {
    let Some(certificate) = &tls.certificate else { return tls.version.into() };
    let Certificate { subject, issuer, names, begins, ends, .. } = certificate;
    let verified = if tls.verified { "" } else { "; NOT VERIFIED (verify = false)" };
    let (names, pin) = (names.join(", "), certificate.pin());
    format!("{}; subject {subject}; issuer {issuer}; for {names}; valid {begins} to {ends}; sha256 {pin}{verified}", tls.version)
}

/// What is wrong with a certificate that OpenSSL refused, and what can be done about it.
fn refused(certificate: &Certificate, host: &str, verdict: &str, now: Time) -> Error {
    let Certificate { issuer, names, begins, ends, .. } = certificate;
    let pin = certificate.pin();
    let name = host.trim_matches(['[', ']']);
    let what = if *ends < now {
        format!("the certificate expired at {ends}; the server's administrator must renew it")
    } else if *begins > now {
        format!("the certificate is valid only from {begins}; is this machine's clock right?")
    } else if verdict.contains("mismatch") {
        format!("the certificate is for {} and not for {name}; set host to a name it is for", names.join(", "))
    } else if certificate.is_self_signed() {
        format!("the certificate is self-signed by {issuer}; if it is the right one, set ca-file, or pin-sha256 = [\"{pin}\"]")
    } else if verdict.contains("expired") {
        format!("the certificate is good, but one of the authorities behind {issuer}, which signed it, has expired")
    } else if ["unable to", "self-signed", "self signed"].iter().any(|words| verdict.contains(words)) {
        format!("the certificate is signed by {issuer}, which this machine does not trust; set ca-file, or pin-sha256 = [\"{pin}\"]")
    } else {
        format!("{verdict} (signed by {issuer}); if it is the right one, set pin-sha256 = [\"{pin}\"]")
    };
    Error::new(Status::NoPermission, what)
}

/// Shakes hands.
///
/// # Errors
/// [`Status::NoPermission`] if the certificate is refused, [`Status::Protocol`] if the server does not speak TLS as it should.
pub fn handshake(mut tcp: Tcp, trust: &Trust) -> Result<(TlsStream<Tcp>, TlsFacts)> {
    let mut builder = TlsConnector::builder();
    let distrust = !trust.asks_authorities();
    builder.min_protocol_version(Some(Protocol::Tlsv12)).danger_accept_invalid_certs(distrust);
    builder.danger_accept_invalid_hostnames(distrust);
    trust.roots.iter().for_each(|root| {
        builder.add_root_certificate(root.clone());
    });
    let connector = builder.build().map_err(|e| Error::new(Status::System, format!("TLS can't be set up: {e}")))?;
    tcp.keep_beginning();
    let stream = connector.connect(&trust.host, tcp).map_err(handshake_error)?;
    let der = stream.peer_certificate().ok().flatten().and_then(|certificate| certificate.to_der().ok());
    let certificate = der.map(|der| Certificate::from_der(&der));
    check_pin(&trust.pins, certificate.as_ref())?;
    let version = version(stream.get_ref().beginning());
    let verified = trust.verify || !trust.pins.is_empty();
    Ok((stream, TlsFacts { version, certificate, verified }))
}

fn check_pin(pins: &[[u8; 32]], certificate: Option<&Certificate>) -> Result<()> {
    if pins.is_empty() || certificate.is_some_and(|certificate| pins.contains(&certificate.sha256)) {
        return Ok(());
    }
    let shown = certificate.map_or_else(|| "none".into(), Certificate::pin);
    Err(Error::new(Status::NoPermission, format!("the certificate is not one that pin-sha256 names; the server shows {shown}")))
}

fn handshake_error(error: HandshakeError<Tcp>) -> Error {
    let HandshakeError::Failure(error) = error else {
        return Error::new(Status::Software, "TLS handshake: interrupted");
    };
    if let Some(own) = find_own(&error) {
        return own;
    }
    let text = error.to_string();
    let verdict = text.rsplit_once('(').map_or("no reason given", |(_, verdict)| verdict.trim_end_matches(')'));
    if text.contains("certificate verify failed") {
        return Error::new(Status::NoPermission, format!("the certificate is refused: {verdict}"));
    }
    let what = if text.contains("wrong version number") || text.contains("packet length too long") {
        "the server does not speak TLS on this port; is tls = \"starttls\" or another port meant?".into()
    } else if text.contains("unsupported protocol") || text.contains("protocol version") {
        "the server speaks no TLS newer than 1.1, which is not safe any more".into()
    } else if text.contains("unexpected EOF") || text.contains("unexpected eof") || text.contains("EOF") {
        "TLS handshake: connection closed by server".into()
    } else {
        format!("TLS handshake failed: {text}")
    };
    Error::new(Status::Protocol, what)
}

/// Our own error from beneath native-tls, if that is where it comes from.
fn find_own(error: &native_tls::Error) -> Option<Error> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(own) = inner.downcast_ref::<io::Error>().and_then(own_of) {
            return Some(own);
        }
        source = inner.source();
    }
    None
}

fn own_of(error: &io::Error) -> Option<Error> {
    let own = error.get_ref()?.downcast_ref::<Error>()?;
    Some(Error::new(own.status(), own.what()))
}

/// An error of a read or write on the wire: our own from beneath, or TLS's.
#[must_use]
pub fn wire_error(error: io::Error) -> Error {
    if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Error>) {
        return error.into();
    }
    let text = error.to_string();
    let closed = error.kind() == io::ErrorKind::UnexpectedEof || text.contains("unexpected eof");
    if closed {
        return Error::new(Status::Unavailable, "connection closed by server");
    }
    Error::new(Status::Unavailable, format!("connection lost: {text}"))
}

/// The TLS version from the server's hello (RFC 8446 sections 4.1.3 and 4.2.1), which native-tls does not tell.
fn version(hello: &[u8]) -> &'static str {
    match version_octets(hello) {
        Some([3, 4]) => "TLS 1.3",
        Some([3, 3]) => "TLS 1.2",
        _ => "TLS",
    }
}

fn version_octets(hello: &[u8]) -> Option<[u8; 2]> {
    let legacy = [*hello.get(9)?, *hello.get(10)?];
    let session = usize::from(*hello.get(43)?);
    let mut rest = hello.get(44 + session + 2 + 1 + 2..).unwrap_or_default();
    while let [high, low, long, length, value @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*long, *length]));
        if [*high, *low] == [0, 43] {
            return Some([*value.first()?, *value.get(1)?]);
        }
        rest = value.get(length..).unwrap_or_default();
    }
    Some(legacy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_64_hex_digits_with_colons_or_without() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        assert_eq!(parse_pin(&plain).ok(), Some([0xab; 32]));
        assert_eq!(parse_pin(&colons).ok(), Some([0xab; 32]));
        for bad in ["", "ab", &plain[1..], &format!("{plain}a"), &format!("{plain}ab"), &"é".repeat(32)] {
            assert_eq!(parse_pin(bad).map_err(|e| e.status()), Err(Status::Config), "{bad}");
        }
    }

    #[test]
    fn each_fault_of_a_certificate_has_its_own_words() {
        let good = Certificate {
            subject: "CN=a".into(),
            issuer: "CN=ca".into(),
            names: vec!["*.example.com".into()],
            begins: Time::from_unix(100),
            ends: Time::from_unix(200),
            sha256: [0; 32],
        };
        let said =
            |certificate: &Certificate, verdict, now| refused(certificate, "mail.example.com", verdict, Time::from_unix(now)).to_string();
        let told = |certificate: &Certificate, now| said(certificate, "unable to get local issuer certificate", now);
        assert!(told(&good, 300).contains("expired at 1970-01-01T00:03:20Z"));
        assert!(told(&good, 50).contains("valid only from"));
        assert!(told(&good, 150).contains("signed by CN=ca, which this machine does not trust"));
        assert!(told(&Certificate { issuer: "CN=a".into(), ..good.clone() }, 150).contains("self-signed by CN=a"));
        assert!(said(&good, "certificate has expired", 150).contains("one of the authorities behind CN=ca"));
        assert!(
            said(&good, "the certificate is refused: EE key too small", 150).starts_with("the certificate is refused: EE key too small")
        );
        let other = refused(&good, "mail.example.org", "hostname mismatch", Time::from_unix(150)).to_string();
        assert!(other.contains("is for *.example.com and not for mail.example.org"));
    }

    #[test]
    fn the_version_is_read_from_the_servers_hello_and_nothing_else_is_a_panic() {
        let mut hello = vec![22, 3, 3, 0, 90, 2, 0, 0, 86, 3, 3];
        hello.extend([0; 32]);
        hello.push(0);
        hello.extend([0x13, 1, 0]);
        assert_eq!(version(&hello), "TLS 1.2");
        hello.extend([0, 12, 0, 51, 0, 2, 9, 9, 0, 43, 0, 2, 3, 4]);
        assert_eq!(version(&hello), "TLS 1.3");
        for cut in 0..hello.len() {
            version(&hello[..cut]);
        }
    }
}
