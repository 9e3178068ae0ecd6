//! mdrop-store: makes each message of a stream durable, files it, and prints a receipt once that is so.
//!
//! Reading and checking the stream goes on in a thread of its own, and so do compressing and committing; between them at most a few
//! messages, and three batches, wait. Nothing is printed before the commit that holds it.

mod ask;
mod intake;
mod moves;
mod refile;

use mdrop::archive::Archive;
use mdrop::archive::commit::Writer;
use mdrop::archive::pipeline::Pipeline;
use mdrop::config::archive_folder;
use mdrop::durable::{self, Step};
use mdrop::error::Result;
use mdrop::frame::{self, Common, Run};
use mdrop::record::{Finding, Outcome, Record};
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
    /// Record which messages have moved, from what mdrop-fetch saw: its run log FILE; - is standard input.
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["known", "purgeable"])]
    moves: Option<String>,
    /// File messages that are archived anew, as the routed stream on standard input says; store nothing.
    #[arg(long, conflicts_with_all = ["known", "purgeable", "moves"])]
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
/// How long receipts may wait for a message that does not come.
const GLANCE: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    frame::run("mdrop-store", |arguments: &Arguments, run| {
        if arguments.known || arguments.purgeable {
            let profile = arguments.common.load_profile(run)?;
            return ask::print(&profile, &archive_folder(arguments.archive.as_deref(), Some(&profile))?, arguments.known, run);
        }
        if let Some(log) = &arguments.moves {
            run.mode = Some("--moves");
            let profile = arguments.common.load_profile(run)?;
            let root = archive_folder(arguments.archive.as_deref(), Some(&profile))?;
            return moves::record(&profile, &root, log, arguments.common.dry_run, run);
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
        let writer = Writer::new(Archive::open_or_create(&root, index)?, "mdrop-store")?;
        store(Pipeline::start(writer, Archive::open(&root, index)?), input, run)
    })
}

/// Commits what comes in until the stream ends. A stream that breaks off, or a signal, ends it too, after one last commit.
fn store(mut pipeline: Pipeline, input: mdrop::interrupt::Input, run: &mut Run) -> Result<()> {
    let mut output = frame::stdout()?;
    let mut intake = intake::Intake::start(input);
    let mut since: Option<Instant> = None;
    let ended = loop {
        match intake.next(patience(&pipeline, since)) {
            intake::Next::Message(message) => {
                let (arrival, octets) = *message;
                let told = intake::tell(&arrival, run);
                // What can't be held any more ends the run, and so does a run log that can't be written, but what has come before is committed.
                if let Err(e) = pipeline.add(arrival, octets).and(told) {
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
        while let Some(answers) = pipeline.answers()? {
            print(&answers, &mut output, run)?;
        }
        if pipeline.pending() >= COMMIT_OCTETS || since.is_some_and(|since| since.elapsed() >= COMMIT_AFTER) {
            pipeline.commit();
            since = None;
        }
    };
    pipeline.commit();
    while let Some(answers) = pipeline.wait()? {
        print(&answers, &mut output, run)?;
    }
    run.head = pipeline.finish()?;
    ended
}

/// How long to wait for the next message: not beyond the time of the next commit, and shortly while receipts may come.
fn patience(pipeline: &Pipeline, since: Option<Instant>) -> Duration {
    let left = since.map_or(COMMIT_AFTER, |since| COMMIT_AFTER.saturating_sub(since.elapsed()));
    if pipeline.is_busy() { left.min(GLANCE) } else { left }
}

/// The receipts of a commit, after it and never before.
fn print(answers: &[Record], output: &mut impl Write, run: &mut Run) -> Result<()> {
    durable::step(Step::Answer, &[], answers.len() as u64)?;
    for answer in answers {
        account(answer, run);
        tell_twin(answer, run)?;
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

/// A Message-ID that two mails bear is worth telling: one may be the other altered.
fn tell_twin(answer: &Record, run: &mut Run) -> Result<()> {
    let Record::Receipt(receipt) = answer else { return Ok(()) };
    let Some(first) = receipt.same_message_id else { return Ok(()) };
    let text = format!("has the Message-ID of {first} and is another mail; both are kept");
    run.find(Finding {
        origin: Some(receipt.origin.clone()),
        digest: Some(receipt.digest),
        finding: "ambiguous".into(),
        text,
        ..Finding::default()
    })
}
