//! The forms in which messages are handed out.
//!
//! Files are named by the message's digest, so that handing out again adds only what is new; octets in files are exactly the original
//! ones, CR LF where they were. An mbox is a Unix text file: its line ends are LF, as in mdrop-stream(5), but without X-Mdrop lines.

use crate::maildir::MaildirWriter;
use crate::names::Paths;
use crate::zip::ZipWriter;
use crate::{Content, Target};
use mdrop::durable::{self, Unfinished};
use mdrop::error::{Error, Result, Status};
use mdrop::frame::{self, Stdout};
use mdrop::stream::{Meta, StreamWriter};
use mdrop::time::Time;
use std::collections::{HashMap, HashSet};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Where messages go.
pub enum Output {
    /// Standard output, as an mbox.
    Mbox(Stdout),
    /// Standard output, as a stream.
    Stream(StreamWriter<Stdout>),
    /// A Maildir, or one for each user.
    Maildirs(PathBuf, HashMap<Option<String>, MaildirWriter>, Paths),
    /// A folder of .eml files.
    Eml(PathBuf, Paths),
    /// A zip file of .eml files.
    Zip(Box<Zip>),
}

/// A zip file on its way.
pub struct Zip {
    writer: ZipWriter<BufWriter<ZipTarget>>,
    /// Where it is to appear.
    path: Option<PathBuf>,
    paths: Paths,
    folders: HashSet<String>,
}

/// Where a zip file is written.
pub enum ZipTarget {
    Stdout(Stdout),
    File(Unfinished),
}

impl Write for ZipTarget {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(octets),
            Self::File(file) => file.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

impl Output {
    pub fn mbox() -> Result<Self> {
        Ok(Self::Mbox(frame::stdout()?))
    }

    pub fn stream() -> Result<Self> {
        Ok(Self::Stream(StreamWriter::new(frame::stdout()?)))
    }

    pub fn maildir(folder: &Path) -> Self {
        Self::Maildirs(folder.into(), HashMap::new(), Paths::default())
    }

    /// What a killed run left is removed first.
    pub fn eml(folder: &Path) -> Result<Self> {
        durable::sweep(&folder.join(".tmp"))?;
        Ok(Self::Eml(folder.into(), Paths::default()))
    }

    /// A zip file that appears at `path` when it is whole, or goes to standard output if that is `-`.
    pub fn zip(path: &Path) -> Result<Self> {
        let (target, path) = if path == Path::new("-") {
            if io::stdout().is_terminal() {
                return Err(Error::new(Status::Usage, "standard output is a terminal; a zip file goes to a pipe or a file"));
            }
            (ZipTarget::Stdout(frame::stdout()?), None)
        } else {
            refuse_existing(path)?;
            durable::sweep(&beside(path))?;
            (ZipTarget::File(Unfinished::create(&beside(path))?), Some(path.to_path_buf()))
        };
        let writer = ZipWriter::new(BufWriter::with_capacity(256 << 10, target));
        Ok(Self::Zip(Box::new(Zip { writer, path, paths: Paths::default(), folders: HashSet::new() })))
    }

    /// Whether messages are handed out to be read by mdrop.
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// Whether messages go into folders, and those of several users apart.
    pub fn has_folders(&self) -> bool {
        !matches!(self, Self::Stream(_) | Self::Mbox(_))
    }

    /// Hands out one message, which has been checked.
    pub fn write(&mut self, meta: &Meta, target: &Target, flags: &[String], content: &mut Content) -> Result<()> {
        match self {
            Self::Mbox(output) => {
                let date = meta.received.unwrap_or(Time::from_unix(0)).to_ctime();
                writeln!(output, "From MAILER-DAEMON {date}")?;
                content.write_encoded(meta, output)?;
                Ok(output.write_all(b"\n")?)
            }
            Self::Stream(writer) => match content {
                Content::Encoded(encoded) => match encoded.in_memory() {
                    Some(octets) => writer.write_slice(meta, octets),
                    None => writer.write_encoded(meta, &mut encoded.reader()?),
                },
                Content::Octets(octets) => writer.write_octets(meta, &mut octets.reader()?),
            },
            Self::Maildirs(root, maildirs, paths) => {
                if !maildirs.contains_key(&target.user) {
                    let home = target.user.as_deref().map_or_else(|| root.clone(), |user| root.join(paths.user(user)));
                    maildirs.insert(target.user.clone(), MaildirWriter::open(&home)?);
                }
                let folder = target.folder.as_deref().unwrap_or("INBOX");
                maildirs.get_mut(&target.user).map_or(Ok(()), |maildir| maildir.write(meta, folder, flags, content))
            }
            Self::Eml(root, paths) => write_file(root, &name(paths, meta, target), meta, content),
            Self::Zip(zip) => zip.write(meta, target, content),
        }
    }

    /// Hands on what is buffered, and removes what was only needed while writing.
    pub fn finish(self) -> Result<()> {
        match self {
            Self::Mbox(mut output) => Ok(output.flush()?),
            Self::Stream(writer) => writer.finish().map(drop),
            Self::Maildirs(..) => Ok(()),
            Self::Eml(root, _) => {
                let _ = durable::remove_folder(&root.join(".tmp"));
                Ok(())
            }
            Self::Zip(zip) => zip.finish(),
        }
    }
}

impl Zip {
    fn write(&mut self, meta: &Meta, target: &Target, content: &mut Content) -> Result<()> {
        let name = name(&mut self.paths, meta, target);
        for (at, _) in name.match_indices('/') {
            let folder = name.get(..=at).unwrap_or_default();
            if !self.folders.contains(folder) {
                self.writer.folder(folder)?;
                self.folders.insert(folder.to_owned());
            }
        }
        self.writer.file(&name, meta.received, |file| content.write_octets(meta, file))
    }

    /// Lets the file appear, which happens only if all of it could be written.
    fn finish(self) -> Result<()> {
        let buffered = self.writer.finish()?;
        let target = buffered.into_inner().map_err(|e| Error::io("write the zip file", e.into_error()))?;
        match (target, self.path) {
            (ZipTarget::File(file), Some(path)) => {
                file.sync()?;
                if !file.appear(&path)? {
                    return refuse_existing(&path);
                }
                drop(file);
                let _ = durable::remove_folder(&beside(&path));
                Ok(())
            }
            (ZipTarget::Stdout(mut stdout), _) => Ok(stdout.flush()?),
            (ZipTarget::File(_), None) => Err(Error::new(Status::Software, "a zip file without a name")),
        }
    }
}

fn refuse_existing(path: &Path) -> Result<()> {
    let there = path.symlink_metadata().is_ok();
    let what = "is there already; a zip file is made anew, and nothing is replaced";
    if there { Err(Error::new(Status::CantCreate, what).about(path.display().to_string())) } else { Ok(()) }
}

/// The folder in which a zip file is written.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// The name of a message's file, with its folders.
fn name(paths: &mut Paths, meta: &Meta, target: &Target) -> String {
    let folder = target.folder.as_deref().map(|folder| paths.of(target.user.as_deref(), folder) + "/").unwrap_or_default();
    format!("{folder}{}.eml", short(meta))
}

/// The digest's first 32 hex digits: enough to tell any messages apart, short enough for any file system.
pub fn short(meta: &Meta) -> String {
    meta.digest.to_string().trim_start_matches("blake3:").chars().take(32).collect()
}

fn write_file(root: &Path, name: &str, meta: &Meta, content: &mut Content) -> Result<()> {
    let target = root.join(name);
    if target.exists() {
        return Ok(());
    }
    durable::write_dated(&root.join(".tmp"), &target, meta.received, |file| content.write_octets(meta, file)).map(drop)
}
