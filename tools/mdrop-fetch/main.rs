//! mdrop-fetch(1): copies out what is not archived yet, and never changes the mailbox.
//!
//! What is known is read to its end before a connection is made, so that a broken catalog means no run and not a run that fetches
//! everything again.

mod disk;
mod imap;
mod job;
mod known;
mod output;
mod plan;
mod pop3;
mod progress;
mod retry;
mod select;
mod test;

use clap::Parser;
use mdrop::error::{Error, Result, Status};
use mdrop::frame::{self, Common, Run};
use mdrop::interrupt;
use mdrop::profile::Protocol;
use std::process::ExitCode;

/// Copy the messages of a mailbox that are not archived yet to standard output.
#[derive(Parser, Debug)]
#[command(name = "mdrop-fetch", version)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Leave out what these records name, as mdrop-store --known prints them; - is standard input.
    #[arg(long, value_name = "FILE|-")]
    known: Option<String>,
    /// Try each step of reaching the mailbox, say what works, and fetch nothing.
    #[arg(long)]
    test: bool,
}

impl AsRef<Common> for Arguments {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

fn main() -> ExitCode {
    frame::run("mdrop-fetch", fetch)
}

fn fetch(arguments: &Arguments, run: &mut Run) -> Result<()> {
    let profile = arguments.common.load_profile(run)?;
    if arguments.test {
        return test::test(&profile);
    }
    if profile.account.reads_stdin() && arguments.known.as_deref() == Some("-") {
        let what = "standard input can't be both the mail (path = \"-\") and what is known: give --known a file";
        return Err(Error::new(Status::Usage, what));
    }
    interrupt::limit_run(profile.account.run_timeout);
    let known = known::read(arguments.known.as_deref(), &profile.account())?;
    let mut job = job::Job::new(&profile, known, arguments.common.dry_run, run)?;
    let done = match profile.account.protocol {
        Protocol::Imap => imap::read(&mut job),
        Protocol::Pop3 => pop3::read(&mut job),
        Protocol::Mbox | Protocol::Maildir | Protocol::Eml => disk::read(&mut job),
    };
    job.finish(done)
}
