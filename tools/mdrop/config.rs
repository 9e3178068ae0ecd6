//! Where profiles lie, and reading them: by name in the user's or the system's folder, or by path.
//!
//! A profile names secrets and commands that are run, so one that others may read or write is not used.

use crate::command::Running;
use crate::error::{Error, Result, Status};
use crate::profile::{Profile, RouteSettings, UsersFormat};
use crate::users::Users;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Reads the profile that `-p` names: a path if it holds a `/` or ends in `.toml`, else a name.
///
/// # Errors
/// [`Status::NoInput`] if there is none, [`Status::Config`] if others may read it or its text is wrong. Relative paths in it
/// are relative to its folder.
pub fn load(wanted: &str) -> Result<Profile> {
    let path = locate(wanted)?;
    let shown = path.display().to_string();
    let text = read_private(&path).map_err(|e| e.about(&shown))?;
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let mut profile = Profile::parse(&name, &text).map_err(|e| e.about(&shown))?;
    let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let mail = if profile.account.reads_stdin() { &mut None } else { &mut profile.account.path };
    let paths = [&mut profile.account.ca_file, &mut profile.account.password_file, mail];
    let more = [&mut profile.route.users, &mut profile.store.archive, &mut profile.store.index];
    paths.into_iter().chain(more).flatten().for_each(|path| *path = folder.join(&*path));
    Ok(profile)
}

/// How long a users-command may take.
const USERS_TIMEOUT: Duration = Duration::from_mins(1);

/// How much a users-command may print, in octets.
const LONGEST_USERS: u64 = 256 << 20;

/// Reads the users list that the settings name, from its file or its command; none if they name none.
///
/// # Errors
/// [`Status::NoInput`] if there is no such file; [`Status::TryAgain`] if the command fails or prints nothing, since the directory it asks may
/// be down; [`Status::Config`] if the list's text is wrong.
pub fn load_users(settings: &RouteSettings) -> Result<Option<Users>> {
    if let Some(command) = &settings.users_command {
        return users_of_command(command).map(Some).map_err(|e| e.about("users-command"));
    }
    let Some(path) = &settings.users else { return Ok(None) };
    let about = |error: Error| error.about(path.display().to_string());
    let text = std::fs::read(path).map_err(|e| about(Error::io("read", e)))?;
    let text = String::from_utf8(text).map_err(|_| about(Error::new(Status::Config, "not UTF-8 text")))?;
    let users = match settings.users_format() {
        UsersFormat::Toml => Users::parse(&text),
        UsersFormat::Virtual => Users::parse_virtual(&text, settings),
    };
    users.map(Some).map_err(about)
}

fn users_of_command(command: &str) -> Result<Users> {
    let run = Running { command, timeout: USERS_TIMEOUT, longest: LONGEST_USERS, failure: Status::TryAgain };
    let text = run.output()?;
    let text = String::from_utf8(text).map_err(|_| Error::new(Status::Config, "its output is not UTF-8"))?;
    if text.trim().is_empty() {
        return Err(Error::new(Status::TryAgain, "printed nothing"));
    }
    Users::parse_lines(&text)
}

/// The archive's folder: the one named on the command line, else the profile's.
///
/// # Errors
/// [`Status::Config`] if the profile names none, [`Status::Usage`] if there is no profile either.
pub fn archive_folder(named: Option<&Path>, profile: Option<&Profile>) -> Result<PathBuf> {
    let of_profile = profile.and_then(|profile| profile.store.archive.as_deref());
    let missing = || match profile {
        Some(_) => Error::new(Status::Config, "no archive given: [store] archive = \"…\" in the profile, or --archive DIR"),
        None => Error::new(Status::Usage, "no archive given: use -p NAME or --archive DIR"),
    };
    named.or(of_profile).map(Path::to_path_buf).ok_or_else(missing)
}

/// Reads a text file that only its owner may read: a profile, a password file.
///
/// # Errors
/// [`Status::Config`] if group or others have any access, or if it is not UTF-8; what the system reports.
pub fn read_private(path: &Path) -> Result<String> {
    let text = std::fs::read(path).map_err(|e| Error::io("read", e))?;
    let mode = std::fs::metadata(path).map_err(|e| Error::io("read", e))?.mode();
    if mode & 0o077 != 0 {
        let what = format!("others have access to it (mode {:04o}); it must be private: chmod 600", mode & 0o7777);
        return Err(Error::new(Status::Config, what));
    }
    String::from_utf8(text).map_err(|_| Error::new(Status::Config, "not UTF-8"))
}

fn locate(wanted: &str) -> Result<PathBuf> {
    let is_path = wanted.contains('/') || Path::new(wanted).extension().is_some_and(|e| e == "toml");
    if is_path {
        return Ok(PathBuf::from(wanted));
    }
    let folders = folders();
    let found = folders.iter().map(|folder| folder.join(format!("{wanted}.toml"))).find(|path| path.exists());
    found.ok_or_else(|| {
        let looked: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        Error::new(Status::NoInput, format!("no profile of this name in {}", looked.join(" or "))).about(wanted)
    })
}

/// `$XDG_CONFIG_HOME/mdrop` (else `~/.config/mdrop`), then `/etc/mdrop`.
#[must_use]
pub fn folders() -> Vec<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    let xdg = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let own = xdg.or_else(home).map(|config| config.join("mdrop"));
    own.into_iter().chain([PathBuf::from("/etc/mdrop")]).collect()
}
