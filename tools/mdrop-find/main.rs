//! mdrop-find: prints the receipts of the messages that match a question, as mdrop-cat reads them, or as a table.
//!
//! What the index knows is asked of the index alone. Only a question for words, for attachments or for whom a mail was addressed to needs
//! the words of the messages, and reads what has been archived since somebody asked last. Results are printed as they are found.

mod progress;
mod question;
mod show;
mod table;

use mdrop::archive::Archive;
use mdrop::archive::index::{Found, Question, Set, Who};
use mdrop::archive::segment::PlaceReader;
use mdrop::archive::text::{Filled, Level, Texts};
use mdrop::config::archive_folder;
use mdrop::error::{Error, Result, Status};
use mdrop::frame::{self, Common, Run, Stdout};
use mdrop::record::Record;
use mdrop::words::{address_word, domain_word};
use question::Terms;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Print the receipts of the messages that match: all options must, and of one that is given several times, one of its values.
#[derive(clap::Parser)]
#[command(name = "mdrop-find", version)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option")]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    terms: Terms,
    /// The archive's folder, in place of the profile's.
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
    /// Print at most so many.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Print only how many there are.
    #[arg(long, conflicts_with_all = ["json", "table"])]
    count: bool,
    /// The newest first.
    #[arg(long)]
    reverse: bool,
    /// Print JSON lines, also on a terminal.
    #[arg(long)]
    json: bool,
    /// Print a table, also where there is no terminal.
    #[arg(long, conflicts_with = "json")]
    table: bool,
}

impl AsRef<Common> for Arguments {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

fn main() -> ExitCode {
    frame::run("mdrop-find", |arguments: &Arguments, run| {
        let mut question = arguments.terms.question();
        question.newest_first = arguments.reverse;
        let asked = arguments.terms.asked()?;
        let profile = arguments.common.load_optional_profile(run)?;
        let root = archive_folder(arguments.archive.as_deref(), profile.as_ref())?;
        let archive = Archive::open(&root, profile.as_ref().and_then(|profile| profile.store.index.as_deref()))?;
        if let Some(user) = &question.user
            && !archive.index.has_user(user)?
        {
            return Err(Error::new(Status::NoInput, "nothing was ever filed under this user").about(user));
        }
        if let Some((asked, level)) = asked {
            let texts = filled(&archive, level, run)?;
            let matches = archive.index.collect(Set::Matches, |take| texts.each_match(&asked, take))?;
            question.matches = Some(matches);
        }
        if !question.recipients.is_empty() {
            let texts = filled(&archive, Level::Heads, run)?;
            let words: Vec<String> = question.recipients.iter().filter_map(word).collect();
            archive.index.collect(Set::Addressed, |take| texts.each_addressed(&words, take))?;
        }
        let mut printer = Printer::new(arguments)?;
        printer.print_all(&archive, &question, run)?;
        printer.finish()
    })
}

/// The word of a recipient who is asked for.
fn word(who: &Who) -> Option<String> {
    match who {
        Who::Address(address) => mdrop::address::Address::parse(address).map(|address| address_word(&address)),
        Who::Domain(domain) => Some(domain_word(domain)),
    }
}

/// The words of the messages, up to date as far as they can be read.
fn filled(archive: &Archive, level: Level, run: &mut Run) -> Result<Texts> {
    let texts = Texts::open(&archive.shelf, &archive.id, archive.index.path())?;
    let mut progress = progress::Progress::new(run);
    let filled = texts.fill(level, &mut |what| match what {
        Filled::Message(octets) => {
            progress.done(octets);
            Ok(())
        }
        Filled::Damaged(error) => progress.aside(|| run.fail_message(None, error)),
    });
    progress.finish();
    filled.map(|()| texts)
}

/// As what the results are printed.
enum Form {
    Json,
    Table(table::Table),
    Count,
}

struct Printer {
    form: Form,
    output: Stdout,
    catalog: PlaceReader,
    limit: u64,
    printed: u64,
}

impl Printer {
    fn new(arguments: &Arguments) -> Result<Self> {
        let is_terminal = std::io::stdout().is_terminal();
        let form = match arguments {
            Arguments { count: true, .. } => Form::Count,
            Arguments { table: true, .. } => Form::Table(table::Table::new()),
            Arguments { json: false, .. } if is_terminal => Form::Table(table::Table::new()),
            _ => Form::Json,
        };
        let limit = arguments.limit.unwrap_or(u64::MAX);
        Ok(Self { form, output: frame::stdout()?, catalog: PlaceReader::default(), limit, printed: 0 })
    }

    fn print_all(&mut self, archive: &Archive, question: &Question, run: &mut Run) -> Result<()> {
        if self.limit == 0 {
            return Ok(());
        }
        archive.index.find(question, |found| {
            // A record that can't be read is a line and a status, and the next one follows.
            match self.print(archive, question, &found) {
                Ok(false) => return Ok(true),
                Err(e) if matches!(e.status(), Status::Data | Status::NoInput) => {
                    run.fail_message(None, &e.with_status(Status::Data).about(found.held.digest.to_string()))?;
                }
                printed => drop(printed?),
            }
            run.count("found", found.held.size);
            self.printed += 1;
            Ok(self.printed < self.limit)
        })
    }

    /// Prints what was found, unless all that matches is what the user may not know; whether it was found.
    fn print(&mut self, archive: &Archive, question: &Question, found: &Found) -> Result<bool> {
        let is_bounded = question.user.is_some() && !question.senders.is_empty();
        if matches!(self.form, Form::Count) && !is_bounded {
            return Ok(true);
        }
        let receipt = self.catalog.receipt(&archive.shelf, found.held.record, found.held.digest)?;
        let filings = archive.index.filings_in_force(found, question.user.as_deref(), &receipt.filings)?;
        let receipt = show::receipt(receipt, &found.held, filings, question.user.as_deref());
        if is_bounded && !show::is_from(&receipt, &question.senders) {
            return Ok(false);
        }
        match &mut self.form {
            Form::Count => {}
            Form::Table(table) => self.output.write_all(table.row(&receipt, found.date).as_bytes())?,
            Form::Json => self.output.write_all(&Record::Receipt(Box::new(receipt)).to_line()?)?,
        }
        Ok(true)
    }

    fn finish(mut self) -> Result<()> {
        if matches!(self.form, Form::Count) {
            writeln!(self.output, "{}", self.printed)?;
        }
        Ok(self.output.flush()?)
    }
}
