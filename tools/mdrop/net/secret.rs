//! Where the password or token comes from, and a type that can't be printed by accident.
//!
//! A command, a private file or a systemd credential; never an argument or the environment, which other users can read.

use crate::command::Running;
use crate::config::read_private;
use crate::error::{Error, Result, Status};
use crate::profile::Profile;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// More than any password has, in octets.
const LONGEST_OUTPUT: u64 = 64 << 10;

/// A password, or an OAuth 2 access token.
#[derive(Clone)]
pub struct Secret {
    text: String,
    token: bool,
}

impl Secret {
    /// A password that is at hand already.
    #[must_use]
    pub fn new(password: String) -> Self {
        Self { text: password, token: false }
    }

    /// An access token that is at hand already.
    #[must_use]
    pub fn token(token: String) -> Self {
        Self { text: token, token: true }
    }

    /// The password or token itself: for the wire only.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Whether it is an access token, which expires: a later connection needs a new one from [`of`].
    #[must_use]
    pub fn is_token(&self) -> bool {
        self.token
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The secret of a profile: from its token-command, password-command or password-file, else systemd's credential `mdrop-PROFILE`.
///
/// # Errors
/// [`Status::Config`] if none is set or it is empty or holds what can't be sent; [`Status::NoPermission`] if the command fails; what
/// the file reports.
pub fn of(profile: &Profile) -> Result<Secret> {
    let account = &profile.account;
    if let Some(command) = &account.token_command {
        let text = from_command("token-command", command, account.timeout)?;
        return token_in(&text).map_err(|e| e.about("token-command"));
    }
    let text = match (&account.password_command, &account.password_file) {
        (Some(command), _) => from_command("password-command", command, account.timeout)?,
        (None, Some(path)) => read_private(path).map_err(|e| e.about(path.display().to_string()))?,
        (None, None) => from_credential(&profile.name)?,
    };
    let wrong = |what: &str| Err(Error::new(Status::Config, what));
    match first_line(&text) {
        "" => wrong("the password is empty"),
        text if text.contains(['\r', '\0']) => wrong("the password holds a control character that neither IMAP nor POP3 can carry"),
        text => Ok(Secret::new(text.to_owned())),
    }
}

/// The secret for another connection: a token may have expired meanwhile and is asked for anew; a password stays.
///
/// # Errors
/// As [`of`].
pub fn again(before: &Secret, profile: &Profile) -> Result<Secret> {
    if before.is_token() { of(profile) } else { Ok(before.clone()) }
}

fn first_line(text: &str) -> &str {
    let line = text.split('\n').next().unwrap_or_default();
    line.strip_suffix('\r').unwrap_or(line)
}

/// A token is visible ASCII without blanks (RFC 6750 section 2.1); anything else is more likely a message of the command.
fn token_in(text: &str) -> Result<Secret> {
    let line = first_line(text);
    let wrong = |what: &str| Err(Error::new(Status::Config, what));
    match line {
        "" => wrong("the token is empty"),
        line if line.bytes().all(|b| b.is_ascii_graphic()) => Ok(Secret::token(line.to_owned())),
        _ => wrong("its first line is no access token, which has neither blanks nor control characters"),
    }
}

/// The first line that the command prints, once it has ended well; both within `timeout`.
fn from_command(key: &str, command: &str, timeout: Duration) -> Result<String> {
    let run = Running { command, timeout, longest: LONGEST_OUTPUT, failure: Status::NoPermission };
    let line = run.first_line().map_err(|e| e.about(key))?;
    String::from_utf8(line).map_err(|_| Error::new(Status::NoPermission, "its output is not UTF-8").about(key))
}

fn from_credential(profile: &str) -> Result<String> {
    let missing =
        || Error::new(Status::Config, "no password: set password-command, password-file or token-command, or give systemd's credential");
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).ok_or_else(missing)?;
    let name = format!("mdrop-{profile}");
    let about = |e: Error| e.about(format!("credential {name}"));
    match std::fs::read_to_string(folder.join(Path::new(&name))) {
        Ok(text) => Ok(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(about(missing())),
        Err(e) => Err(about(Error::io("read", e))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn of_account(more: &str) -> Result<String> {
        let text = format!("[account]\nprotocol = \"imap\"\nhost = \"h\"\nusername = \"u\"\n{more}");
        of(&Profile::parse("t", &text)?).map(|secret| secret.reveal().to_owned())
    }

    #[test]
    fn a_password_command_gives_its_first_line() {
        assert_eq!(of_account("password-command = \"printf 'p w\\\\nmore\\\\n'\"").ok().as_deref(), Some("p w"));
        let status = |more: &str| of_account(more).map_err(|e| e.status()).err();
        assert_eq!(status("password-command = \"exit 3\""), Some(Status::NoPermission));
        assert_eq!(status("password-command = \"true\""), Some(Status::Config));
    }

    #[test]
    fn a_token_command_gives_a_token_and_nothing_that_looks_otherwise_is_one() {
        let told = |command: &str| {
            let text = "[account]\nprotocol = \"imap\"\nhost = \"h\"\nusername = \"u\"\n";
            let secret = of(&Profile::parse("t", &format!("{text}token-command = \"{command}\"\n"))?)?;
            Ok::<_, Error>((secret.reveal().to_owned(), secret.is_token()))
        };
        assert_eq!(told("echo ya29.a0-_~+/==").ok(), Some(("ya29.a0-_~+/==".into(), true)));
        for (command, status) in [("echo please log in first", Status::Config), ("true", Status::Config), ("exit 1", Status::NoPermission)]
        {
            let error = told(command).err();
            assert!(error.as_ref().is_some_and(|e| e.status() == status && e.to_string().starts_with("token-command: ")), "{error:?}");
        }
        assert!(!Secret::new("p".into()).is_token());
    }

    #[test]
    fn a_password_file_must_be_private_and_is_never_quoted_in_an_error() -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new()?;
        std::io::Write::write_all(&mut file, b"hush\r\n")?;
        let more = format!("password-file = \"{}\"", file.path().display());
        assert_eq!(of_account(&more).ok().as_deref(), Some("hush"));
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644))?;
        let error = of_account(&more).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains("must be private") && !error.contains("hush"), "{error}");
        assert_eq!(format!("{:?}", Secret::new("hush".into())), "Secret");
        Ok(())
    }
}
