//! mdrop-store: makes each message of a stream durable, files it, and prints a receipt once that is so.
//!
//! Reading and checking the stream goes on in one thread while the other compresses and syncs; between them at most a few
//! messages wait. Nothing is printed before the commit that holds it.

mod ask;
mod intake;
mod refile;

use mdrop::archive::Archive;
use mdrop::archive::commit::Writer;
use mdrop::config::archive_folder;
use mdrop::error::Result;
use mdrop::frame::{self, Common, Run};
use mdrop::record::{Outcome, Record};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Make each message of the stream on standard input durable, file it, and print a receipt for it.
#[derive(clap::Parser)]
#[command(name = "mdrop-store", version)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// The archive's folder, in place of the profile's.
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
    /// Print what is archived already of the profile's account, for mdrop-fetch.
    #[arg(long, conflicts_with = "purgeable")]
    known: bool,
    /// Print the receipts of the profile's account that may be purged by now, for mdrop-purge.
    #[arg(long)]
    purgeable: bool,
    /// File messages that are archived anew, as the routed stream on standard input says; store nothing.
    #[arg(long, conflicts_with_all = ["known", "purgeable"])]
    refile: bool,
}

impl AsRef<Common> for Arguments {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

/// A commit is made when this much waits, in octets of the stream.
const COMMIT_OCTETS: u64 = 64 << 20;
/// Or when the first of what waits has waited this long.
const COMMIT_AFTER: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    frame::run("mdrop-store", |arguments: &Arguments, run| {
        if arguments.known || arguments.purgeable {
            let profile = arguments.common.load_profile(run)?;
            return ask::print(&profile, &archive_folder(arguments.archive.as_deref(), Some(&profile))?, arguments.known, run);
        }
        let profile = arguments.common.load_optional_profile(run)?;
        let root = archive_folder(arguments.archive.as_deref(), profile.as_ref())?;
        let input = frame::stdin()?;
        let index = profile.as_ref().and_then(|profile| profile.store.index.as_deref());
        if arguments.refile {
            let account = profile.as_ref().map(|profile| profile.name.as_str());
            return refile::refile(Archive::open(&root, index)?, account, arguments.common.dry_run, input, run);
        }
        if arguments.common.dry_run {
            return intake::dry_run(input, &root, index, run);
        }
        let archive = Archive::open_or_create(&root, index)?;
        store(Writer::new(archive, "mdrop-store")?, input, run)
    })
}

/// Commits what comes in until the stream ends. A stream that breaks off, or a signal, ends it too, after one last commit.
fn store(mut writer: Writer, input: mdrop::interrupt::Input, run: &mut Run) -> Result<()> {
    let mut output = frame::stdout()?;
    let mut intake = intake::Intake::start(input);
    let mut since: Option<Instant> = None;
    let ended = loop {
        let wait = since.map_or(COMMIT_AFTER, |since| COMMIT_AFTER.saturating_sub(since.elapsed()));
        match intake.next(wait) {
            intake::Next::Message(message) => {
                let (arrival, mut octets) = *message;
                let told = intake::tell(&arrival, run);
                // What can't be held any more ends the run, and so does a run log that can't be written, but what has come before is committed.
                if let Err(e) = octets.reader().and_then(|mut encoded| writer.add(arrival, &mut encoded)).and(told) {
                    break Err(e);
                }
                since.get_or_insert_with(Instant::now);
            }
            // A run log that can't be written ends the run, but what has come is committed first.
            intake::Next::Bad(error) => {
                if let Err(log) = run.fail_message(None, &error) {
                    break Err(log);
                }
            }
            intake::Next::Nothing => {}
            intake::Next::End(ended) => break ended,
        }
        if writer.pending() >= COMMIT_OCTETS || since.is_some_and(|since| since.elapsed() >= COMMIT_AFTER) {
            commit(&mut writer, &mut output, run)?;
            since = None;
        }
    };
    commit(&mut writer, &mut output, run)?;
    run.head = writer.archive().head()?;
    ended
}

/// One commit, and then, never before, its receipts.
fn commit(writer: &mut Writer, output: &mut impl Write, run: &mut Run) -> Result<()> {
    for answer in writer.commit()? {
        account(&answer, run);
        output.write_all(&answer.to_line()?)?;
    }
    Ok(output.flush()?)
}

fn account(answer: &Record, run: &mut Run) {
    match answer {
        Record::Receipt(receipt) => {
            run.count(if receipt.outcome == Outcome::New { "new" } else { "duplicate" }, receipt.size);
            let users: std::collections::BTreeSet<&String> = receipt.filings.iter().map(|filing| &filing.user).collect();
            users.into_iter().for_each(|user| run.users.entry(user.clone()).or_default().add(receipt.size));
        }
        Record::Refusal(refusal) => {
            run.count("refused", refusal.size.unwrap_or(0));
            run.detail(&format!("{}: refused: {}", refusal.origin, refusal.why));
        }
        _ => {}
    }
}
