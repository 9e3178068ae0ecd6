//! mdrop-purge: deletes from the server only what a receipt *and* the archive prove to be stored. There is no --force.
//!
//! The order is the safety: all receipts are read to the end; the archive proves from its own files what it holds; the server must show
//! the same copy; the intent is durable; then exactly those copies go; then what became of each is recorded.

mod decide;
mod imap;
mod pop3;
mod proof;

use decide::Demands;
use mdrop::archive::Archive;
use mdrop::archive::commit::Writer;
use mdrop::config::archive_folder;
use mdrop::error::{Error, Result, Status};
use mdrop::frame::{self, Common, Run, Stdout};
use mdrop::identity::Origin;
use mdrop::interrupt;
use mdrop::profile::{Compare, Profile, Protocol};
use mdrop::record::{Purge, PurgeIntent, Purged, Receipt, Record, RecordReader, V1};
use mdrop::time::Time;
use std::io::{BufReader, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Delete from the server the copies that the receipts on standard input name, if the archive proves that it holds them.
#[derive(clap::Parser)]
#[command(name = "mdrop-purge", version)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// The archive's folder, in place of the profile's.
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
}

impl AsRef<Common> for Arguments {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

fn main() -> ExitCode {
    frame::run("mdrop-purge", |arguments: &Arguments, run| {
        let profile = arguments.common.load_profile(run)?;
        let given = read_receipts(&profile, run)?;
        interrupt::limit_run(profile.account.run_timeout);
        if !profile.purge.enabled {
            run.detail("purge is off in this profile: nothing is deleted");
            return Ok(());
        }
        let root = archive_folder(arguments.archive.as_deref(), Some(&profile))?;
        let archive = Archive::open(&root, profile.store.index.as_deref())?;
        purge(&profile, archive, given, arguments.common.dry_run, run)
    })
}

/// Reads all receipts to the end. One line that is no record, and nothing is deleted: a mixed-up input proves nothing.
fn read_receipts(profile: &Profile, run: &mut Run) -> Result<Vec<Receipt>> {
    let account = profile.account();
    let mut given = Vec::new();
    for record in RecordReader::new(BufReader::new(frame::stdin()?)) {
        let record = record.map_err(|e| Error::new(e.status(), format!("{}; nothing is deleted", e.what())).about("standard input"))?;
        match record {
            Record::Receipt(receipt) if receipt.origin.account == account => given.push(*receipt),
            Record::Receipt(receipt) => {
                let what = "its receipt is for another account (another name, user or host); it is kept";
                run.fail(&Error::new(Status::Data, what).about(receipt.origin.to_string()));
            }
            _ => {}
        }
    }
    Ok(given)
}

fn purge(profile: &Profile, archive: Archive, given: Vec<Receipt>, dry_run: bool, run: &mut Run) -> Result<()> {
    let id = archive.id.clone();
    let demands = Demands { archive: &id, after: profile.purge.after, compare: profile.compare(), now: Time::now() };
    let (proved, kept) = proof::prove(&archive, given, &demands, run)?;
    let writer = if dry_run { None } else { Some(Writer::new(archive, "mdrop-purge")?) };
    let server = format!("{}:{}", profile.account.host, profile.account.port());
    let mut job = Job { profile, compare: demands.compare, writer, server, by: who(), output: frame::stdout()?, run };
    for proof::Kept { receipt, why, damage } in kept {
        if damage {
            job.run.fail(&Error::new(Status::Data, why.clone()).about(receipt.origin.to_string()));
        }
        job.keep(&receipt, why)?;
    }
    let done = match profile.account.protocol {
        _ if proved.is_empty() => Ok(()),
        Protocol::Imap => imap::purge(&mut job, proved),
        Protocol::Pop3 => pop3::purge(&mut job, proved),
        Protocol::Mbox | Protocol::Maildir | Protocol::Eml => Err(Error::new(Status::Config, "mail on disk is never deleted")),
    };
    job.run.head = job.writer.as_ref().map(|writer| writer.archive().head()).transpose()?.flatten();
    job.output.flush()?;
    done
}

/// `user@host`, for the records.
fn who() -> String {
    let user = std::env::var("LOGNAME").or_else(|_| std::env::var("USER"));
    let user = user.unwrap_or_else(|_| rustix::process::geteuid().as_raw().to_string());
    format!("{user}@{}", rustix::system::uname().nodename().to_string_lossy())
}

/// What both protocols need: the records, and where they go.
pub struct Job<'a> {
    profile: &'a Profile,
    compare: Compare,
    /// None in a dry run.
    writer: Option<Writer>,
    server: String,
    by: String,
    output: Stdout,
    run: &'a mut Run,
}

impl Job<'_> {
    /// A copy that is not deleted, and why: printed, not recorded, for nothing happened.
    fn keep(&mut self, receipt: &Receipt, why: String) -> Result<()> {
        self.run.detail(&format!("{}: kept: {why}", receipt.origin));
        let record = Record::Purge(Box::new(self.outcome(receipt, Purged::Kept, Some(why))));
        self.tell(&record)
    }

    /// Makes the intents durable. From here on the server may be asked. False in a dry run, which only prints them.
    fn intend(&mut self, receipts: &[Receipt]) -> Result<bool> {
        let time = Time::now();
        let intent = |receipt: &Receipt| {
            let (origin, digest) = (receipt.origin.clone(), receipt.digest);
            Record::PurgeIntent(Box::new(PurgeIntent { v: V1, origin, digest, time, server: self.server.clone(), by: self.by.clone() }))
        };
        let intents: Vec<Record> = receipts.iter().map(intent).collect();
        if receipts.is_empty() {
            return Ok(false);
        }
        match &mut self.writer {
            Some(writer) => writer.record(&intents).map(|()| true),
            None => intents.iter().try_for_each(|record| self.tell(record)).map(|()| false),
        }
    }

    /// Records, and prints, what became of copies.
    fn record(&mut self, outcomes: &[(Receipt, Purged, Option<String>)]) -> Result<()> {
        let purge = |(receipt, purged, why): &(Receipt, Purged, Option<String>)| {
            Record::Purge(Box::new(self.outcome(receipt, *purged, why.clone())))
        };
        let records: Vec<Record> = outcomes.iter().map(purge).collect();
        if let (Some(writer), false) = (&mut self.writer, records.is_empty()) {
            writer.record(&records)?;
        }
        records.iter().try_for_each(|record| self.tell(record))?;
        for (receipt, purged, why) in outcomes {
            if matches!(purged, Purged::Kept | Purged::Unknown) {
                let why = why.as_deref().unwrap_or("not deleted");
                self.run.fail(&Error::new(Status::Unavailable, why).about(receipt.origin.to_string()));
            }
        }
        Ok(())
    }

    fn outcome(&self, receipt: &Receipt, outcome: Purged, why: Option<String>) -> Purge {
        let (origin, digest, time): (Origin, _, _) = (receipt.origin.clone(), receipt.digest, Time::now());
        Purge { v: V1, origin, digest, time, server: self.server.clone(), by: self.by.clone(), outcome, why }
    }

    fn tell(&mut self, record: &Record) -> Result<()> {
        if let Record::Purge(purge) = record {
            let word = match purge.outcome {
                Purged::Purged => "purged",
                Purged::Gone => "gone",
                Purged::Kept => "kept",
                Purged::Unknown => "failed",
            };
            self.run.count(word, 0);
        }
        self.output.write_all(&record.to_line()?)?;
        self.run.log(record)
    }
}
