//! The forms in which messages are handed out.
//!
//! Files are named by the message's digest, so that handing out again adds only what is new; octets in files are exactly the original
//! ones, CR LF where they were. An mbox is a Unix text file: its line ends are LF, as in mdrop-stream(5), but without X-Mdrop lines.

use crate::Content;
use mdrop::durable;
use mdrop::error::{Error, Result};
use mdrop::frame::{self, Stdout};
use mdrop::stream::{Meta, StreamWriter};
use mdrop::time::Time;
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where messages go.
pub enum Output {
    /// Standard output, as an mbox.
    Mbox(Stdout),
    /// Standard output, as a stream.
    Stream(StreamWriter<Stdout>),
    /// A Maildir.
    Maildir(MaildirWriter),
    /// A folder of .eml files.
    Eml(PathBuf),
}

impl Output {
    pub fn mbox() -> Result<Self> {
        Ok(Self::Mbox(frame::stdout()?))
    }

    pub fn stream() -> Result<Self> {
        Ok(Self::Stream(StreamWriter::new(frame::stdout()?)))
    }

    pub fn maildir(folder: &Path) -> Self {
        Self::Maildir(MaildirWriter { root: folder.into(), there: HashMap::new() })
    }

    pub fn eml(folder: &Path) -> Self {
        Self::Eml(folder.into())
    }

    /// Hands out one message, which has been checked.
    pub fn write(&mut self, meta: &Meta, folder: &str, flags: &[String], content: &mut Content) -> Result<()> {
        match self {
            Self::Mbox(output) => {
                let date = meta.received.unwrap_or(Time::from_unix(0)).to_ctime();
                writeln!(output, "From MAILER-DAEMON {date}")?;
                content.write_encoded(meta, output)?;
                Ok(output.write_all(b"\n")?)
            }
            Self::Stream(writer) => match content {
                Content::Encoded(encoded) => writer.write_encoded(meta, &mut encoded.reader()?),
                Content::Octets(octets) => writer.write_octets(meta, &mut octets.reader()?),
            },
            Self::Maildir(maildir) => maildir.write(meta, folder, flags, content),
            Self::Eml(root) => {
                let target = root.join(format!("{}.eml", short(meta)));
                write_file(&root.join(".tmp"), &target, meta, content)
            }
        }
    }

    /// Hands on what is buffered, and removes what was only needed while writing.
    pub fn finish(self) -> Result<()> {
        match self {
            Self::Mbox(mut output) => Ok(output.flush()?),
            Self::Stream(writer) => writer.finish().map(drop),
            Self::Maildir(_) => Ok(()),
            Self::Eml(root) => {
                let _ = durable::remove_folder(&root.join(".tmp"));
                Ok(())
            }
        }
    }
}

/// The digest's first 32 hex digits: enough to tell any messages apart, short enough for any file system.
fn short(meta: &Meta) -> String {
    meta.digest.to_string().trim_start_matches("blake3:").chars().take(32).collect()
}

fn write_file(tmp: &Path, target: &Path, meta: &Meta, content: &mut Content) -> Result<()> {
    if target.exists() {
        return Ok(());
    }
    durable::write_whole(tmp, target, |file| content.write_octets(meta, file)).map(drop)
}

/// Writes a Maildir (maildir(5)): each message is written in tmp/ and linked into cur/. One that is there is not written again, whatever its
/// flags have become.
pub struct MaildirWriter {
    root: PathBuf,
    /// The names in each folder's new/ and cur/, without their flags, as they were when it was first met.
    there: HashMap<PathBuf, HashSet<String>>,
}

impl MaildirWriter {
    fn write(&mut self, meta: &Meta, folder: &str, flags: &[String], content: &mut Content) -> Result<()> {
        let home = self.root.join(maildir_folder(folder));
        let seconds = meta.received.unwrap_or(Time::from_unix(0)).unix();
        let stem = format!("{seconds}.{}.mdrop,S={}", short(meta), meta.size);
        if !self.there.contains_key(&home) {
            let names = self.open(&home)?;
            self.there.insert(home.clone(), names);
        }
        if !self.there.entry(home.clone()).or_default().insert(stem.clone()) {
            return Ok(());
        }
        write_file(&home.join("tmp"), &home.join("cur").join(format!("{stem}:2,{}", letters(flags))), meta, content)
    }

    /// Makes a folder if need be, and lists what is in it.
    fn open(&self, home: &Path) -> Result<HashSet<String>> {
        ["tmp", "new", "cur"].iter().try_for_each(|part| durable::make_folder(&home.join(part)))?;
        if home != self.root {
            durable::mark(&home.join("maildirfolder"))?;
        }
        let mut names = HashSet::new();
        for part in ["new", "cur"] {
            let part = home.join(part);
            let entries = std::fs::read_dir(&part).map_err(|e| Error::io("list", e).about(part.display().to_string()))?;
            names.extend(entries.flatten().map(|entry| stem(&entry.file_name().to_string_lossy()).to_owned()));
        }
        Ok(names)
    }
}

/// A Maildir name without its flags.
fn stem(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}

/// The flags as the letters of a Maildir name, in alphabetical order.
fn letters(flags: &[String]) -> String {
    let table = [("\\Draft", 'D'), ("\\Flagged", 'F'), ("\\Answered", 'R'), ("\\Seen", 'S')];
    table.iter().filter(|(name, _)| flags.iter().any(|flag| flag.eq_ignore_ascii_case(name))).map(|(_, letter)| letter).collect()
}

/// The sub-folder for a mail folder, as Maildir++ has it: `.Name`, levels parted by dots. What could lead out of the Maildir, or hide,
/// becomes `_`, so that no name from a server reaches any other place.
fn maildir_folder(folder: &str) -> String {
    if folder.eq_ignore_ascii_case("INBOX") {
        return String::new();
    }
    let safe = |c: char| if c.is_control() || c == '\\' { '_' } else { c };
    let levels = folder.split('/').filter(|level| !level.is_empty());
    let levels: Vec<String> = levels.map(|level| level.replace('.', "_").chars().map(safe).collect()).collect();
    let name: String = levels.join(".").chars().take(60).collect();
    format!(".{}", if name.is_empty() { "_" } else { &name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_folder_name_leads_out_of_the_maildir() {
        for (folder, wanted) in [
            ("INBOX", ""),
            ("inbox", ""),
            ("Work/2026", ".Work.2026"),
            ("../../etc", ".__.__.etc"),
            ("..", ".__"),
            ("/", "._"),
            ("", "._"),
            ("a\0b\n", ".a_b_"),
        ] {
            assert_eq!(maildir_folder(folder), wanted, "{folder:?}");
        }
        assert!(maildir_folder(&"x".repeat(1000)).len() <= 61);
    }

    #[test]
    fn flags_become_letters_in_alphabetical_order() {
        assert_eq!(letters(&["\\Seen".into(), "\\Answered".into(), "$Junk".into(), "\\flagged".into()]), "FRS");
    }
}
