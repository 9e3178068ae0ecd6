//! mdrop-report: reads the run logs of one run and prints its protocol (mdrop-report(1)).
//!
//! A log that is damaged is named and the rest is read all the same: after a bad run the report matters most.

mod books;
mod mix;
mod report;
mod text;

use clap::Parser;
use mdrop::error::{Error, Result, Status};
use mdrop::frame::{self, Common, Run};
use mdrop::record::RecordReader;
use report::{Builder, Report};
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Print the protocol of a run from its logs: volume, errors, and whether the books balance.
#[derive(Parser, Debug)]
#[command(name = "mdrop-report", version)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Print one JSON object in place of the text.
    #[arg(long)]
    json: bool,
    /// The log of an earlier run of mdrop-route, with whose evidence this run's is compared; may be given several times.
    #[arg(long, value_name = "LOG")]
    before: Vec<PathBuf>,
    /// The logs that the tools of one run wrote with --log; - is standard input.
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
}

impl AsRef<Common> for Arguments {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

fn main() -> ExitCode {
    frame::run("mdrop-report", report)
}

fn report(arguments: &Arguments, run: &mut Run) -> Result<()> {
    let mut builder = Builder::default();
    for log in &arguments.logs {
        read(log, &mut builder, run);
    }
    for log in &arguments.before {
        if let Err(error) = read_before(log, &mut builder) {
            run.fail(&error.about(log.display().to_string()));
        }
    }
    let report = builder.finish();
    if !arguments.common.quiet || !report.is_good() {
        print(&report, arguments.json)?;
    }
    let gaps = report.books.gaps.iter().map(|gap| Error::new(Status::Data, gap.to_string()));
    gaps.for_each(|gap| run.fail(&gap));
    Ok(())
}

/// Takes in one log, all of it that can be read.
fn read(log: &Path, builder: &mut Builder, run: &mut Run) {
    let about = |error: Error| error.about(log.display().to_string());
    let input = match open(log) {
        Ok(input) => input,
        Err(error) => return run.fail(&about(error)),
    };
    for record in RecordReader::new(BufReader::new(input)) {
        match record {
            Ok(record) => builder.add(record),
            Err(error) => {
                let is_over = error.status() != Status::Data;
                run.fail(&about(error));
                if is_over {
                    return;
                }
            }
        }
    }
}

/// Takes in the log of an earlier run. What is damaged in it was told when it was new.
fn read_before(log: &Path, builder: &mut Builder) -> Result<()> {
    for record in RecordReader::new(BufReader::new(open(log)?)) {
        match record {
            Ok(record) => builder.add_before(record),
            Err(error) if error.status() == Status::Data => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn open(log: &Path) -> Result<Box<dyn Read>> {
    if log == Path::new("-") {
        return Ok(Box::new(frame::stdin()?));
    }
    let file = File::open(log).map_err(|e| Error::io("open", e))?;
    Ok(Box::new(file))
}

fn print(report: &Report, json: bool) -> Result<()> {
    let mut output = frame::stdout()?;
    let text = if json { as_json(report)? } else { text::write(report) };
    output.write_all(text.as_bytes())?;
    Ok(output.flush()?)
}

fn as_json(report: &Report) -> Result<String> {
    let json = serde_json::to_string(report).map_err(|e| Error::new(Status::Software, format!("report: {e}")))?;
    Ok(json + "\n")
}
