//! mdrop-cat: hands messages out again, byte for byte, as an mbox, a Maildir or .eml files.
//!
//! Every message is read back from its pack and its digest checked before a single octet of it is handed out. Of a journal report the inner
//! message is handed out, since that is the mail; where it can't be had, and where it is asked for, the report itself.

mod output;
mod read;

use mdrop::archive::Archive;
use mdrop::config::archive_folder;
use mdrop::error::{Error, Result, Status};
use mdrop::frame::{self, Common, Run};
use mdrop::identity::Digest;
use mdrop::record::{Receipt, Record, RecordReader};
use output::Output;
use read::{Content, Wanted};
use std::collections::HashSet;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;

/// Hand out the messages that the records on standard input name, or all of a user's.
#[derive(clap::Parser)]
#[command(name = "mdrop-cat", version)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// The archive's folder, in place of the profile's.
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
    /// All of this user's messages, and read no records.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Write a Maildir.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["eml", "stream"])]
    maildir: Option<PathBuf>,
    /// Hand out journal reports as they came, in place of the messages in them.
    #[arg(long)]
    as_received: bool,
    /// Write a file for each message.
    #[arg(long, value_name = "DIR", conflicts_with = "stream")]
    eml: Option<PathBuf>,
    /// Write a stream, whose X-Mdrop lines the other tools read.
    #[arg(long)]
    stream: bool,
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
            reader: read::Reader::new(arguments.as_received || arguments.stream),
            archive,
            output: output(arguments)?,
            handed_out: HashSet::new(),
            reports: arguments.as_received,
            dry_run: arguments.common.dry_run,
        };
        match &arguments.user {
            Some(user) => cat.user(user, run)?,
            None => cat.records(run)?,
        }
        cat.output.finish()
    })
}

fn output(arguments: &Arguments) -> Result<Output> {
    match (&arguments.maildir, &arguments.eml) {
        (Some(folder), _) => Ok(Output::maildir(folder)),
        (_, Some(folder)) => Ok(Output::eml(folder)),
        _ if arguments.stream => Output::stream(),
        _ => Output::mbox(),
    }
}

struct Cat {
    archive: Archive,
    reader: read::Reader,
    output: Output,
    /// The digests of what was handed out.
    handed_out: HashSet<Digest>,
    /// Whether a user's mail takes in every journal report of it.
    reports: bool,
    dry_run: bool,
}

impl Cat {
    /// All mail of one user, each once.
    fn user(&mut self, user: &str, run: &mut Run) -> Result<()> {
        if !self.archive.index.has_user(user)? {
            return Err(Error::new(Status::NoInput, "nothing was ever filed under this user").about(user));
        }
        let mut wanted = Vec::new();
        self.archive.index.each_of_user(user, self.reports, |held, folder| {
            let place = (held.pack, held.frame, held.position);
            wanted.push(Wanted { digest: held.digest, place, folder, flags: Vec::new(), journal: held.journal });
            Ok(())
        })?;
        wanted.iter().try_for_each(|wanted| self.hand_out(wanted, run))
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
        Ok(Wanted { digest: receipt.digest, place, folder, flags: receipt.flags.clone(), journal })
    }

    /// One message; a damaged one is a line and a status, and the next one follows.
    fn hand_out(&mut self, wanted: &Wanted, run: &mut Run) -> Result<()> {
        if run.stopping() {
            return Err(mdrop::interrupt::error());
        }
        match self.reader.read(&self.archive.shelf, wanted, run) {
            // Several reports of one mail hold the same message.
            Ok((meta, _)) if !self.handed_out.insert(meta.digest) => Ok(()),
            Ok((meta, mut content)) => {
                run.count("handed-out", meta.size);
                if self.dry_run { Ok(()) } else { self.output.write(&meta, &wanted.folder, &wanted.flags, &mut content) }
            }
            Err(e) if matches!(e.status(), Status::Data | Status::NoInput) => {
                run.fail_message(None, &e.with_status(Status::Data).about(wanted.digest.to_string()))
            }
            Err(e) => Err(e),
        }
    }
}
