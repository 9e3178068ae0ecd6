//! mailserver: serves folders of `.eml` files over IMAP and POP3, on loopback, until it is killed.
//!
//! Decision: the flags and nothing else are here; one line of JSON on stdout says where it listens, so that a script needs no
//! fixed ports and no waiting loop.

#[path = "server.rs"]
mod server;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, thread};

use server::{Config, Mailbox, Pem, Running};

const USAGE: &str = "\
usage: mailserver --user NAME --password PW [--mailbox NAME=DIR] ... [--synthetic NAME=COUNT] ...
                  [--large NAME=UID:OCTETS] ... [--imap PORT] [--pop3 PORT]
                  [--imaps PORT] [--pop3s PORT] [--cert FILE --key FILE] [--require-tls]
                  [--uidvalidity N] [--shared PREFIX] [--without CAPABILITY] ... [--fault NAME=VALUE] ...
                  [--token TOKEN] [--mechanism NAME] ... [--log] [--until-eof]
Port 0 is any free one. A synthetic mailbox has messages of 1,000 to 5,000 octets, and --large makes one of
them larger. With --until-eof the last line on stdout tells the octets sent and received.
Faults: cut-after-octets, cut-at-message, stall-at-message, stall-seconds, bye-at-message, refuse,
lie-about-size=UID:SIZE, cut-before-command, cut-before-answer, login=wrong-signature, no-signature,
iterations:N, wrong-nonce, not-base64, huge, unknown, bye, echo.
Mechanisms: PLAIN (the default), CRAM-MD5, SCRAM-SHA-256, XOAUTH2, OAUTHBEARER, APOP.";

#[derive(Default)]
struct Flags {
    config: Config,
    mailboxes: Vec<(String, String)>,
    synthetic: Vec<(String, u32)>,
    large: Vec<(String, u32, u64)>,
    cert: Option<String>,
    key: Option<String>,
    uid_validity: u32,
    until_eof: bool,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mailserver: {error}");
            ExitCode::from(64)
        }
    }
}

fn run() -> Result<(), String> {
    let flags = flags(env::args().skip(1))?;
    let until_eof = flags.until_eof;
    let running = server::start(config(flags)?).map_err(|error| error.to_string())?;
    announce(&running).map_err(|error| error.to_string())?;
    if until_eof {
        // Whatever stdin says, its end or an error on it is the end.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        let (sent, received) = running.traffic();
        // Whoever closed stdin may have closed stdout too.
        let _ = writeln!(io::stdout(), "{{\"sent\":{sent},\"received\":{received}}}");
        return Ok(());
    }
    loop {
        thread::park();
    }
}

fn flags(mut args: impl Iterator<Item = String>) -> Result<Flags, String> {
    let mut flags = Flags { uid_validity: 1, ..Flags::default() };
    while let Some(flag) = args.next() {
        match flag.as_str() {
            "--require-tls" => flags.config.require_tls = true,
            "--log" => flags.config.echo = true,
            "--until-eof" => flags.until_eof = true,
            _ => {
                let value = args.next().ok_or_else(|| format!("{flag}: unknown, or its value is missing\n{USAGE}"))?;
                flags.set(&flag, value)?;
            }
        }
    }
    if flags.config.user.is_empty() || (flags.mailboxes.is_empty() && flags.synthetic.is_empty()) {
        return Err(format!("a user and a mailbox are needed\n{USAGE}"));
    }
    Ok(flags)
}

impl Flags {
    fn set(&mut self, flag: &str, value: String) -> Result<(), String> {
        let pair = || value.split_once('=').ok_or_else(|| format!("{flag}: {value:?} is not NAME=VALUE"));
        let number = || value.parse().map_err(|_| format!("{flag}: {value:?} is not a port"));
        match flag {
            "--imap" => self.config.imap = Some(number()?),
            "--pop3" => self.config.pop3 = Some(number()?),
            "--imaps" => self.config.imaps = Some(number()?),
            "--pop3s" => self.config.pop3s = Some(number()?),
            "--uidvalidity" => self.uid_validity = value.parse().map_err(|_| format!("{flag}: not a number"))?,
            "--mailbox" => {
                let (name, dir) = pair()?;
                self.mailboxes.push((name.to_owned(), dir.to_owned()));
            }
            "--synthetic" => {
                let (name, count) = pair()?;
                let count = count.parse().map_err(|_| format!("{flag}: {count:?} is not a number"))?;
                self.synthetic.push((name.to_owned(), count));
            }
            "--large" => {
                let (name, which) = pair()?;
                let parsed = which.split_once(':').and_then(|(uid, octets)| Some((uid.parse().ok()?, octets.parse().ok()?)));
                let (uid, octets) = parsed.ok_or_else(|| format!("{flag}: {which:?} is not UID:OCTETS"))?;
                self.large.push((name.to_owned(), uid, octets));
            }
            "--fault" => {
                let (name, value) = pair()?;
                self.config.faults.set(name, value)?;
            }
            "--without" => {
                self.config.without.insert(value.to_ascii_uppercase());
            }
            "--user" => self.config.user = value,
            "--password" => self.config.password = value,
            "--cert" => self.cert = Some(value),
            "--key" => self.key = Some(value),
            "--token" => self.config.token = Some(value),
            "--mechanism" => {
                self.config.mechanisms.insert(value.to_ascii_uppercase());
            }
            "--shared" => self.config.shared_namespace = Some(value),
            _ => return Err(format!("{flag}: no such flag\n{USAGE}")),
        }
        Ok(())
    }
}

fn config(flags: Flags) -> Result<Config, String> {
    let mut config = flags.config;
    for (name, dir) in &flags.mailboxes {
        let mailbox = Mailbox::from_dir(name, flags.uid_validity, Path::new(dir));
        config.mailboxes.push(mailbox.map_err(|error| format!("{dir}: {error}"))?);
    }
    for (name, count) in &flags.synthetic {
        let small = |uid: u32| 1_000 + u64::from(uid.wrapping_mul(2_654_435_761) >> 20);
        let large = |uid| flags.large.iter().find(|large| large.0 == *name && large.1 == uid).map(|large| large.2);
        let sizes = |uid| large(uid).unwrap_or_else(|| small(uid));
        config.mailboxes.push(Mailbox::synthetic(name, flags.uid_validity, *count, sizes));
    }
    config.tls = match (&flags.cert, &flags.key) {
        (Some(cert), Some(key)) => Some(Pem { cert: read(cert)?, key: read(key)? }),
        (None, None) => None,
        _ => return Err("--cert and --key go together".to_owned()),
    };
    Ok(config)
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{path}: {error}"))
}

/// `{"imap":1143,"pop3":1110}`, with those that listen.
fn announce(running: &Running) -> io::Result<()> {
    let ports: Vec<String> =
        [("imap", running.imap_addr), ("pop3", running.pop3_addr), ("imaps", running.imaps_addr), ("pop3s", running.pop3s_addr)]
            .into_iter()
            .filter_map(|(name, address)| Some(format!("\"{name}\":{}", address.as_ref().map(SocketAddr::port)?)))
            .collect();
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{{{}}}", ports.join(","))?;
    stdout.flush()
}
