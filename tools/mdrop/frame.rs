//! The frame round a tool's main: common options, messages, the run log, signals, and the one place where a run becomes
//! an exit status.
//!
//! A main returns its first fatal error; failures of single messages go through [`Run::fail`] and only mark the run.

use crate::error::{Error, Result, Status};
use crate::identity::Origin;
use crate::interrupt::{self, Input};
use crate::profile::Profile;
use crate::record::{Failure, Finding, Head, Record, Summary, V1, Volume};
use crate::time::Time;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// The options that every tool has.
#[derive(clap::Args, Debug, Default)]
pub struct Common {
    /// The profile: its name, or the path of its file.
    #[arg(short, long, value_name = "NAME|FILE")]
    pub profile: Option<String>,
    /// Print what would be done, and do nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Print nothing but errors.
    #[arg(short, long)]
    pub quiet: bool,
    /// Say more; twice, still more.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Append the run log, JSON lines, to FILE.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

impl Common {
    /// The profile that `-p` names, if it names one.
    ///
    /// # Errors
    /// As [`crate::config::load`].
    pub fn load_optional_profile(&self, run: &mut Run) -> Result<Option<Profile>> {
        self.profile.as_ref().map(|_| self.load_profile(run)).transpose()
    }

    /// The profile that `-p` names.
    ///
    /// # Errors
    /// [`Status::Usage`] without `-p`; see [`crate::config::load`].
    pub fn load_profile(&self, run: &mut Run) -> Result<Profile> {
        let wanted = self.profile.as_deref().ok_or_else(|| Error::new(Status::Usage, "no profile given: use -p NAME"))?;
        let profile = crate::config::load(wanted)?;
        run.profile = Some(profile.name.clone());
        Ok(profile)
    }
}

/// One run of one tool: where it talks, what it counts, how bad it was.
pub struct Run {
    tool: &'static str,
    quiet: bool,
    verbose: u8,
    log: Option<File>,
    worst: Status,
    started: Time,
    clock: Instant,
    /// The profile's name, for the summary.
    pub profile: Option<String>,
    /// The option that makes it another stage than the tool's own, for the summary.
    pub mode: Option<&'static str>,
    /// Messages and octets by outcome, for the summary.
    pub counts: BTreeMap<String, Volume>,
    /// Messages and octets by user, for the summary.
    pub users: BTreeMap<String, Volume>,
    /// Messages by the evidence that decided them, for the summary.
    pub evidence: BTreeMap<String, u64>,
    /// The archive's head, for the summary.
    pub head: Option<Head>,
}

impl Run {
    fn new(tool: &'static str) -> Self {
        Self {
            tool,
            quiet: false,
            verbose: 0,
            log: None,
            worst: Status::Ok,
            started: Time::now(),
            clock: Instant::now(),
            profile: None,
            mode: None,
            counts: BTreeMap::new(),
            users: BTreeMap::new(),
            evidence: BTreeMap::new(),
            head: None,
        }
    }

    fn begin(&mut self, common: &Common) -> Result<()> {
        (self.quiet, self.verbose) = (common.quiet, common.verbose);
        interrupt::catch()?;
        if let Some(path) = &common.log {
            let opened = File::options().append(true).create(true).mode(0o600).open(path);
            let error = |e| Error::io("open the run log", e).with_status(Status::CantCreate).about(path.display().to_string());
            self.log = Some(opened.map_err(error)?);
        }
        Ok(())
    }

    /// Whether an end was asked for by a signal.
    #[must_use]
    pub fn stopping(&self) -> bool {
        interrupt::requested()
    }

    /// A failure that ends one message, not the run: a line on stderr and a status.
    pub fn fail(&mut self, error: &Error) {
        self.worst = self.worst.worse(error.status());
        if !error.is_broken_pipe() {
            complain(&format!("{}: {error}", self.tool));
        }
    }

    /// A message that could not be carried on: the same, and a `failure` in the run log.
    ///
    /// # Errors
    /// What the run log reports.
    pub fn fail_message(&mut self, origin: Option<&Origin>, error: &Error) -> Result<()> {
        self.fail(error);
        self.count("failed", 0);
        let (origin, why, status) = (origin.cloned(), error.to_string(), error.status().code());
        self.log(&Record::Failure(Box::new(Failure { v: V1, origin, why, status })))
    }

    /// Something worth telling that is no error: a line on stderr unless quiet, and a `finding` in the run log.
    ///
    /// # Errors
    /// What the run log reports.
    pub fn find(&mut self, finding: Finding) -> Result<()> {
        let about = finding.origin.as_ref().map(|origin| format!("{origin}: ")).unwrap_or_default();
        self.say(&format!("{about}{}: {}", finding.finding, finding.text));
        self.log(&Record::Finding(Box::new(finding)))
    }

    /// A line for people on stderr, unless quiet.
    pub fn say(&self, what: &str) {
        if !self.quiet {
            complain(&format!("{}: {}", self.tool, crate::error::printable(what)));
        }
    }

    /// A line for people who asked for more, with `-v`.
    pub fn detail(&self, what: &str) {
        if self.verbose > 0 {
            self.say(what);
        }
    }

    /// Whether a progress bar would be seen and understood.
    #[must_use]
    pub fn shows_progress(&self) -> bool {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        !self.quiet && !dumb && std::io::stderr().is_terminal()
    }

    /// A record for the run log.
    ///
    /// # Errors
    /// [`Status::Io`] if it can't be written.
    pub fn log(&mut self, record: &Record) -> Result<()> {
        let Some(log) = &mut self.log else { return Ok(()) };
        log.write_all(&record.to_line()?).map_err(|e| Error::io("write the run log", e))
    }

    /// Counts a message of so many octets under an outcome.
    pub fn count(&mut self, outcome: &str, bytes: u64) {
        self.counts.entry(outcome.into()).or_default().add(bytes);
    }

    fn end(&mut self) -> Status {
        let mode = self.mode.map(|mode| format!(" {mode}")).unwrap_or_default();
        let summary = Summary {
            v: V1,
            tool: format!("{}{mode} {}", self.tool, env!("CARGO_PKG_VERSION")),
            profile: self.profile.take(),
            started: self.started,
            seconds: (self.clock.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
            exit: self.worst.code(),
            counts: std::mem::take(&mut self.counts),
            users: std::mem::take(&mut self.users),
            evidence: std::mem::take(&mut self.evidence),
            head: self.head.take(),
        };
        if let Err(error) = self.log(&Record::Summary(Box::new(summary))) {
            self.fail(&error);
        }
        self.worst
    }
}

/// A line on stderr, if anybody takes it: a full disk under cron's log must not end a run.
fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Runs a tool: reads its command line, calls `body`, and turns what happened into an exit status.
pub fn run<A: clap::Parser + AsRef<Common>>(tool: &'static str, body: impl FnOnce(&A, &mut Run) -> Result<()>) -> ExitCode {
    std::panic::set_hook(Box::new(move |info| {
        complain(&format!("{tool}: this is a bug in mdrop: {}", crate::error::printable(&info.to_string())));
    }));
    let arguments = match A::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => return usage_exit(&usage),
    };
    let mut run = Run::new(tool);
    let caught =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.begin(arguments.as_ref()).and_then(|()| body(&arguments, &mut run))));
    match caught {
        Ok(Ok(())) => {}
        Ok(Err(error)) => run.fail(&error),
        Err(_) => run.worst = Status::Software,
    }
    ExitCode::from(run.end().code())
}

/// `--help` and `--version` are answers; anything else clap has to say is a usage error.
fn usage_exit(usage: &clap::Error) -> ExitCode {
    let answered = usage.print();
    let status = match (usage.use_stderr(), answered) {
        (true, _) => Status::Usage,
        (false, Ok(())) => Status::Ok,
        (false, Err(_)) => Status::Io,
    };
    ExitCode::from(status.code())
}

/// Standard input, for a tool that reads mail or records from it.
///
/// # Errors
/// [`Status::Usage`] if it is a terminal, where a wait would look like a hang; [`Status::NoInput`] if it is closed.
pub fn stdin() -> Result<Input> {
    if std::io::stdin().is_terminal() {
        return Err(Error::new(Status::Usage, "standard input is a terminal; feed it from a pipe or a file"));
    }
    let fd = rustix::stdio::stdin().try_clone_to_owned().map_err(|e| Error::io("standard input", e).with_status(Status::NoInput))?;
    Ok(Input::new(File::from(fd)))
}

/// Whether nobody feeds standard input: it is a terminal, or the null device.
#[must_use]
pub fn stdin_is_idle() -> bool {
    use std::os::unix::fs::MetadataExt;
    let stdin = rustix::fs::fstat(std::io::stdin());
    let null = std::fs::metadata("/dev/null").map(|null| null.rdev());
    let is_device = |stat: &rustix::fs::Stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::CharacterDevice;
    std::io::stdin().is_terminal() || stdin.is_ok_and(|stat| is_device(&stat) && null.is_ok_and(|null| null == stat.st_rdev))
}

/// Standard output, with a large buffer: flush it where the reader must see what was written.
///
/// # Errors
/// [`Status::Io`] if it is closed.
pub fn stdout() -> Result<Stdout> {
    let fd = std::io::stdout().as_fd().try_clone_to_owned().map_err(|e| Error::io("standard output", e).with_status(Status::Io))?;
    Ok(BufWriter::with_capacity(256 << 10, Output(File::from(fd))))
}

/// Whether standard output has a reader that can make a writer wait.
#[must_use]
pub fn stdout_is_pipe() -> bool {
    let kind = rustix::fs::fstat(std::io::stdout()).map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode));
    kind.is_ok_and(|kind| kind.is_fifo() || kind.is_socket())
}

/// Standard output with its buffer.
pub type Stdout = BufWriter<Output>;

/// Standard output; its errors say what they are about.
#[derive(Debug)]
pub struct Output(File);

impl Write for Output {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        // An interrupted write is repeated by the buffer.
        let named =
            |e: io::Error| if e.kind() == io::ErrorKind::Interrupted { e } else { Error::io("write", e).about("standard output").into() };
        self.0.write(octets).map_err(named)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
