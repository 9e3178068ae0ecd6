//! mdrop-cat: hands messages out again, byte for byte, as an mbox, a Maildir or .eml files.
//!
//! Every message is read back from its pack and its digest checked before a single octet of it is handed out. Of a journal report the inner
//! message is handed out, since that is the mail; where it can't be had, and where it is asked for, the report itself.

mod maildir;
mod names;
mod output;
mod read;
mod zip;

use mdrop::archive::Archive;
use mdrop::archive::index::Held;
use mdrop::archive::segment::PlaceReader;
use mdrop::config::archive_folder;
use mdrop::error::{Error, Result, Status};
use mdrop::frame::{self, Common, Run};
use mdrop::identity::Digest;
use mdrop::record::{Receipt, Record, RecordReader};
use mdrop::stream::Meta;
use output::Output;
use read::{Content, Target, Wanted};
use std::collections::HashSet;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;

/// Hand out the messages that the records on standard input name, or all of a user's, or all.
#[derive(clap::Parser)]
#[command(name = "mdrop-cat", version)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// The archive's folder, in place of the profile's.
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
    /// All mail, and read no records.
    #[arg(long, conflicts_with = "user")]
    all: bool,
    /// All of this user's messages, and read no records.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Write a Maildir.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["eml", "stream", "zip"])]
    maildir: Option<PathBuf>,
    /// Hand out journal reports as they came, in place of the messages in them.
    #[arg(long)]
    as_received: bool,
    /// Write a file for each message.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["stream", "zip"])]
    eml: Option<PathBuf>,
    /// Write a stream, whose X-Mdrop lines the other tools read.
    #[arg(long, conflicts_with = "zip")]
    stream: bool,
    /// Write a zip file with a file for each message; - is standard output.
    #[arg(long, value_name = "FILE")]
    zip: Option<PathBuf>,
}

impl AsRef<Common> for Arguments {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

fn main() -> ExitCode {
    frame::run("mdrop-cat", |arguments: &Arguments, run| {
        let profile = arguments.common.load_optional_profile(run)?;
        let root = archive_folder(arguments.archive.as_deref(), profile.as_ref())?;
        let index = profile.as_ref().and_then(|profile| profile.store.index.as_deref());
        let archive = Archive::open(&root, index)?;
        let mut cat = Cat {
            arguments,
            reader: read::Reader::new(arguments.as_received || arguments.stream),
            archive: &archive,
            output: output(arguments)?,
            handed_out: HashSet::new(),
            each_once: arguments.user.is_some() && !arguments.as_received,
            all: false,
            records: PlaceReader::default(),
        };
        match &arguments.user {
            Some(user) => cat.user(user, run)?,
            None if arguments.all || arguments.stream && frame::stdin_is_idle() => cat.all(run)?,
            None => cat.records(run)?,
        }
        cat.output.finish()
    })
}

fn output(arguments: &Arguments) -> Result<Output> {
    match (&arguments.maildir, &arguments.eml, &arguments.zip) {
        // Nothing is to be made.
        _ if arguments.common.dry_run && !arguments.stream => Output::mbox(),
        (Some(folder), ..) => Ok(Output::maildir(folder)),
        (_, Some(folder), _) => Output::eml(folder),
        (.., Some(file)) => Output::zip(file),
        _ if arguments.stream => Output::stream(),
        _ => Output::mbox(),
    }
}

struct Cat<'a> {
    arguments: &'a Arguments,
    archive: &'a Archive,
    reader: read::Reader,
    output: Output,
    /// What was handed out and may come again.
    handed_out: HashSet<u128>,
    /// Whether each mail is met only once.
    each_once: bool,
    /// Whether all mail goes to a stream.
    all: bool,
    records: PlaceReader,
}

impl Cat<'_> {
    /// All mail of one user, each once.
    fn user(&mut self, user: &str, run: &mut Run) -> Result<()> {
        let archive = self.archive;
        if !archive.index.has_user(user)? {
            return Err(Error::new(Status::NoInput, "nothing was ever filed under this user").about(user));
        }
        archive.index.each_of_user(user, self.arguments.as_received, |held, folder| {
            let mail = Some(held.fingerprint);
            let targets = vec![Target { user: None, folder: Some(folder) }];
            let flags = self.flags(&held, run)?;
            self.hand_out(&Wanted { mail, flags, targets, ..Wanted::of(held) }, run)
        })
    }

    /// All mail: every message, or, where mail goes into folders, each user's.
    fn all(&mut self, run: &mut Run) -> Result<()> {
        let archive = self.archive;
        if !self.output.has_folders() {
            self.all = self.output.is_stream();
            return archive.index.each_message(|held| self.hand_out(&Wanted::of(held), run));
        }
        self.each_once = true;
        let mut waiting: Option<Wanted> = None;
        archive.index.each_filed(|held, user, folder| {
            let target = Target { user: Some(user), folder: Some(folder) };
            if let Some(wanted) = waiting.as_mut().filter(|wanted| wanted.digest == held.digest) {
                wanted.targets.push(target);
                return Ok(());
            }
            let (mail, flags) = (Some(held.fingerprint), self.flags(&held, run)?);
            let next = Wanted { mail, flags, targets: vec![target], ..Wanted::of(held) };
            waiting.replace(next).map_or(Ok(()), |wanted| self.hand_out(&wanted, run))
        })?;
        waiting.map_or(Ok(()), |wanted| self.hand_out(&wanted, run))
    }

    /// The flags that the message's receipt in the catalog has; only a Maildir has room for them. A damaged segment costs the flags alone.
    fn flags(&mut self, held: &Held, run: &mut Run) -> Result<Vec<String>> {
        if !matches!(self.output, Output::Maildirs(..)) {
            return Ok(Vec::new());
        }
        match self.records.receipt(&self.archive.shelf, held.record, held.digest) {
            Ok(receipt) => Ok(receipt.flags),
            Err(e) if is_damage(&e) => {
                run.fail(&e.with_status(Status::Data).about(held.digest.to_string()));
                Ok(Vec::new())
            }
            Err(e) => Err(e),
        }
    }

    /// What the receipts on standard input name. Other records are passed over.
    fn records(&mut self, run: &mut Run) -> Result<()> {
        let mut met = HashSet::new();
        for record in RecordReader::new(BufReader::new(frame::stdin()?)) {
            match record {
                Ok(Record::Receipt(receipt)) => {
                    if met.insert(receipt.digest) {
                        let wanted = self.wanted(&receipt)?;
                        self.hand_out(&wanted, run)?;
                    }
                }
                Ok(_) => {}
                // A line that is no record costs itself; an input that can't be read is the end.
                Err(e) if e.status() == Status::Data => run.fail(&e),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Where the receipt's message lies: what the archive itself says, else what the receipt does.
    fn wanted(&self, receipt: &Receipt) -> Result<Wanted> {
        let (said, inside) = ((receipt.pack, receipt.frame, receipt.position), receipt.journal.clone());
        let held = self.archive.index.message(receipt.digest)?;
        let (place, journal) = held.map_or((said, inside), |held| ((held.pack, held.frame, held.position), held.journal));
        let folder = receipt.filings.first().map_or_else(|| receipt.origin.folder().lossy().into_owned(), |filing| filing.folder.clone());
        // Files of single messages lie side by side.
        let folder = Some(folder).filter(|_| matches!(self.output, Output::Maildirs(..)));
        let targets = vec![Target { user: None, folder }];
        Ok(Wanted { digest: receipt.digest, place, journal, mail: None, flags: receipt.flags.clone(), targets })
    }

    /// One message; a damaged one is a line and a status, and the next one follows.
    fn hand_out(&mut self, wanted: &Wanted, run: &mut Run) -> Result<()> {
        if run.stopping() {
            return Err(mdrop::interrupt::error());
        }
        match self.read(wanted, run) {
            // Several reports of one mail hold the same message.
            Ok((meta, content)) if self.may_repeat(&content) && !self.handed_out.insert(half(meta.digest)) => Ok(()),
            Ok((meta, mut content)) => {
                run.count("handed-out", meta.size);
                if self.arguments.common.dry_run {
                    return Ok(());
                }
                let meta = self.described(meta)?;
                wanted.targets.iter().try_for_each(|target| self.output.write(&meta, target, &wanted.flags, &mut content))
            }
            Err(e) if is_damage(&e) => run.fail_message(None, &e.with_status(Status::Data).about(wanted.digest.to_string())),
            Err(e) => Err(e),
        }
    }

    /// Whether the message may be met again: a report and a copy of its mail, or several reports, hold the same one. In a stream nothing
    /// is taken out of its report, and among a user's mail each mail is met once.
    fn may_repeat(&self, content: &Content) -> bool {
        matches!(content, Content::Octets(_)) || !self.output.is_stream() && !self.each_once
    }

    /// Reads a message, or, if it is damaged and a mail is wanted, another copy of that.
    fn read(&mut self, wanted: &Wanted, run: &mut Run) -> Result<(Meta, Content)> {
        let damage = match self.reader.read(&self.archive.shelf, wanted, run) {
            Err(e) if is_damage(&e) => e,
            other => return other,
        };
        let Some(mail) = wanted.mail else { return Err(damage) };
        let copies: Vec<Held> = self.archive.index.copies(&mail)?;
        for copy in copies.into_iter().filter(|copy| copy.digest != wanted.digest) {
            let digest = copy.digest;
            match self.reader.read(&self.archive.shelf, &Wanted::of(copy), run) {
                Ok(read) => {
                    let what = format!("{damage}; another copy of the same mail, {digest}, is handed out in its place");
                    run.fail_message(None, &Error::new(Status::Data, what).about(wanted.digest.to_string()))?;
                    return Ok(read);
                }
                Err(e) if is_damage(&e) => {}
                Err(e) => return Err(e),
            }
        }
        Err(damage)
    }

    /// In a stream of all mail, a message is said to lie where it was seen last; its pack says where it was first.
    fn described(&self, meta: Meta) -> Result<Meta> {
        if !self.all {
            return Ok(meta);
        }
        let newest = self.archive.index.newest_origin(meta.digest)?;
        Ok(match newest {
            Some((origin, received)) => Meta { origin, received: received.or(meta.received), ..meta },
            None => meta,
        })
    }
}

/// Enough of a digest to know it again.
fn half(digest: Digest) -> u128 {
    u128::from_be_bytes(*digest.0.first_chunk().unwrap_or(&[0; 16]))
}

fn is_damage(error: &Error) -> bool {
    matches!(error.status(), Status::Data | Status::NoInput)
}
