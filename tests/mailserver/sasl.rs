//! The server's half of SASL: PLAIN, CRAM-MD5, SCRAM-SHA-256, XOAUTH2 and OAUTHBEARER, for IMAP and POP3 alike, and what can be wrong with it.
//!
//! Decision: written apart from the tools' half, from the RFCs; only the hashes are the same crates. A challenge is put and the answer
//! awaited through one closure, so that a mechanism reads from top to bottom as the RFC shows it.

use std::io;

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha2::Sha256;

use super::base64::{decode, encode};
use super::{Config, Shared};

/// A lie or a mistake at login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginFault {
    /// SCRAM: a signature that another password would give.
    WrongSignature,
    /// SCRAM: no signature, but OK at once.
    NoSignature,
    /// SCRAM: this iteration count.
    Iterations(u32),
    /// SCRAM: a nonce that is not the client's.
    WrongNonce,
    /// A challenge that is not base64.
    NotBase64,
    /// A challenge of a mebibyte.
    Huge,
    /// The mechanism is offered, and unknown when asked for.
    Unknown,
    /// Goodbye in place of an answer to the password.
    Bye,
    /// The command that is refused is repeated in the refusal.
    Echo,
}

impl LoginFault {
    /// From its name on the command line.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "wrong-signature" => Self::WrongSignature,
            "no-signature" => Self::NoSignature,
            "wrong-nonce" => Self::WrongNonce,
            "not-base64" => Self::NotBase64,
            "huge" => Self::Huge,
            "unknown" => Self::Unknown,
            "bye" => Self::Bye,
            "echo" => Self::Echo,
            _ => Self::Iterations(name.strip_prefix("iterations:")?.parse().ok()?),
        })
    }
}

/// What is put to the client, in base64, and its line in answer; none if it is gone.
pub type Prompt<'a> = &'a mut dyn FnMut(&str) -> io::Result<Option<Vec<u8>>>;

/// The APOP timestamp of every greeting.
pub const TIMESTAMP: &str = "<1896.697170952@mailserver.example.com>";

/// Whether APOP's digest is that of the password.
pub fn admits_apop(config: &Config, user: &str, digest: &str) -> bool {
    user == config.user && digest == hex(&Md5::digest(format!("{TIMESTAMP}{}", config.password)))
}

/// Carries one exchange out; true if it lets the client in. `initial` is what came with the command.
pub fn exchange(shared: &Shared, mechanism: &str, initial: Option<&[u8]>, prompt: Prompt) -> io::Result<bool> {
    match shared.faults().login {
        Some(LoginFault::NotBase64) => return prompt("***").map(|_| false),
        Some(LoginFault::Huge) => return prompt(&"QUJD".repeat(1 << 18)).map(|_| false),
        _ => {}
    }
    let config = &shared.config;
    match mechanism {
        "PLAIN" => Ok(first(initial, prompt)?.is_some_and(|plain| admits_plain(config, &plain))),
        "CRAM-MD5" => cram_md5(config, prompt),
        "SCRAM-SHA-256" => scram(shared, &first(initial, prompt)?.unwrap_or_default(), prompt),
        _ => bearer(config, mechanism, &first(initial, prompt)?.unwrap_or_default(), prompt),
    }
}

fn answer(line: Option<Vec<u8>>) -> Option<Vec<u8>> {
    line.filter(|line| line != b"*").and_then(|line| decode(&line))
}

/// What the client says first, with the command or when asked.
fn first(initial: Option<&[u8]>, prompt: Prompt) -> io::Result<Option<Vec<u8>>> {
    match initial {
        Some(b"=") => Ok(Some(Vec::new())),
        Some(initial) => Ok(answer(Some(initial.to_vec()))),
        None => prompt("").map(answer),
    }
}

/// Authorisation identity, NUL, user, NUL, password (RFC 4616).
fn admits_plain(config: &Config, plain: &[u8]) -> bool {
    plain == format!("\0{}\0{}", config.user, config.password).as_bytes()
}

fn cram_md5(config: &Config, prompt: Prompt) -> io::Result<bool> {
    let mut mac = Hmac::<Md5>::new_from_slice(config.password.as_bytes()).map_err(io::Error::other)?;
    mac.update(TIMESTAMP.as_bytes());
    let expected = format!("{} {}", config.user, hex(&mac.finalize().into_bytes()));
    Ok(answer(prompt(&encode(TIMESTAMP.as_bytes()))?).is_some_and(|answer| answer == expected.as_bytes()))
}

fn scram(shared: &Shared, first: &[u8], prompt: Prompt) -> io::Result<bool> {
    let (config, fault) = (&shared.config, shared.faults().login);
    let first = String::from_utf8_lossy(first).into_owned();
    let Some((name, nonce)) = first.strip_prefix("n,,n=").and_then(|rest| rest.split_once(",r=")) else { return Ok(false) };
    let nonce = if fault == Some(LoginFault::WrongNonce) { "another" } else { nonce };
    let iterations = if let Some(LoginFault::Iterations(count)) = fault { count } else { 4096 };
    let salt = b"salt of the sea";
    let challenge = format!("r={nonce}%server,s={},i={iterations}", encode(salt));
    let Some(last) = answer(prompt(&encode(challenge.as_bytes()))?) else { return Ok(false) };
    let last = String::from_utf8_lossy(&last).into_owned();
    let Some((without_proof, proof)) = last.split_once(",p=") else { return Ok(false) };
    let all = format!("{},{challenge},{without_proof}", &first[3..]);
    let salted = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(config.password.as_bytes(), salt, iterations);
    let stored = Sha256::digest(hmac(&salted, "Client Key"));
    let signature = hmac(&stored, &all);
    let key: Vec<u8> = decode(proof.as_bytes()).unwrap_or_default().iter().zip(signature).map(|(a, b)| a ^ b).collect();
    let proved = Sha256::digest(&key) == stored && without_proof == format!("c=biws,r={nonce}%server") && name == config.user;
    if !proved {
        prompt(&encode(b"e=invalid-proof"))?;
        return Ok(false);
    }
    let mut signed = hmac(&hmac(&salted, "Server Key"), &all);
    match fault {
        Some(LoginFault::NoSignature) => return Ok(true),
        Some(LoginFault::WrongSignature) => signed[0] ^= 1,
        _ => {}
    }
    Ok(answer(prompt(&encode(format!("v={}", encode(&signed)).as_bytes()))?).is_some_and(|empty| empty.is_empty()))
}

/// XOAUTH2 and OAUTHBEARER: a wrong token is told why, and must answer that in its mechanism's way.
fn bearer(config: &Config, mechanism: &str, said: &[u8], prompt: Prompt) -> io::Result<bool> {
    let token = config.token.as_deref().unwrap_or_default();
    let (expected, dummy): (_, &[u8]) = if mechanism == "XOAUTH2" {
        (format!("user={}\x01auth=Bearer {token}\x01\x01", config.user), b"")
    } else {
        let all = String::from_utf8_lossy(said).into_owned();
        let place = all.split('\x01').filter(|field| field.starts_with("host=") || field.starts_with("port="));
        let place: Vec<&str> = place.collect();
        (format!("n,a={},\x01{}\x01auth=Bearer {token}\x01\x01", config.user, place.join("\x01")), b"\x01")
    };
    if said == expected.as_bytes() && !token.is_empty() {
        return Ok(true);
    }
    let error = encode(br#"{"status":"invalid_token","schemes":"bearer","scope":"mail"}"#);
    if answer(prompt(&error)?).is_none_or(|answer| answer != dummy) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "an error was not answered as the mechanism demands"));
    }
    Ok(false)
}

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    // A key may have any length.
    let mac = Hmac::<Sha256>::new_from_slice(key);
    mac.map_or([0; 32], |mac| mac.chain_update(text.as_bytes()).finalize().into_bytes().into())
}

fn hex(octets: &[u8]) -> String {
    octets.iter().flat_map(|octet| [octet >> 4, octet & 15]).filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}
