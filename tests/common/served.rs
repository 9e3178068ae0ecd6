//! A mail server of our own with one account, and profiles for it.

#[path = "../mailserver/server.rs"]
pub mod mailserver;

use super::dovecot::write_private;
use super::tools::{Ran, run};
use mailserver::{Config, Mailbox, Running};
use std::path::{Path, PathBuf};

/// A server that runs until it is dropped, and a folder for profiles and archives.
pub struct Served {
    pub folder: tempfile::TempDir,
    pub server: Running,
}

impl Served {
    /// A server with these messages in INBOX, UIDs from 1.
    pub fn new<I: IntoIterator<Item: AsRef<[u8]>>>(messages: I) -> Self {
        Self::with(messages, |_| {})
    }

    /// The same, after `change` has had its say.
    pub fn with<I: IntoIterator<Item: AsRef<[u8]>>>(messages: I, change: impl FnOnce(&mut Config)) -> Self {
        let mailbox = Mailbox::with_messages("INBOX", 9, messages);
        let mut config = Config {
            user: "box".into(),
            password: "pw".into(),
            imap: Some(0),
            pop3: Some(0),
            mailboxes: vec![mailbox],
            ..Config::default()
        };
        change(&mut config);
        let folder = tempfile::tempdir().unwrap();
        write_private(&folder.path().join("pw"), "pw\n");
        Self { folder, server: mailserver::start(config).unwrap() }
    }

    /// Writes the profile for an archive called `name`; `more` is TOML for `[purge]`.
    pub fn profile(&self, protocol: &str, name: &str, more: &str) -> PathBuf {
        let address = if protocol == "imap" { self.server.imap_addr } else { self.server.pop3_addr };
        let users = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages/users.toml");
        let text = format!(
            "[account]\nprotocol = \"{protocol}\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nusername = \"box\"\npassword-file = \"pw\"\n\
             timeout = \"10s\"\n[route]\ndomains = [\"example.com\", \"example.org\"]\nusers = \"{}\"\nown-addresses = [\"archive@example.com\"]\n\
             [store]\narchive = \"{name}\"\n[purge]\n{more}",
            address.unwrap().port(),
            users.display()
        );
        let path = self.folder.path().join("box.toml");
        write_private(&path, &text);
        path
    }
}

/// Runs a tool with a profile.
pub fn with_profile(tool: &str, profile: &Path, arguments: &[&str], input: &[u8]) -> Ran {
    run(tool, &[&["-p", profile.to_str().unwrap()], arguments].concat(), input)
}

/// The pipeline once, stage after stage; what mdrop-store printed.
pub fn archive(profile: &Path) -> Ran {
    let known = with_profile("mdrop-store", profile, &["--known"], b"").exits(0);
    let fetched = with_profile("mdrop-fetch", profile, &["--known", "-"], &known.stdout).exits(0);
    let routed = with_profile("mdrop-route", profile, &["-q"], &fetched.stdout).exits(0);
    with_profile("mdrop-store", profile, &[], &routed.stdout).exits(0)
}
