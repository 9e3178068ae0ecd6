//! mdrop-check: re-reads a whole archive, proves it whole, and names what is damaged.

use mdrop::archive::Archive;
use mdrop::archive::check::choice::{Choice, Share, Since};
use mdrop::archive::check::{Checked, Settings, check, index_agrees};
use mdrop::config::archive_folder;
use mdrop::error::{Error, Result, Status};
use mdrop::frame::{self, Common, Run};
use mdrop::identity::Digest;
use mdrop::record::Record;
use std::io::Write;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Re-read an archive, recompute every digest and the chain of the catalog, and print what is damaged.
#[derive(clap::Parser)]
#[command(name = "mdrop-check", version)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// The archive's folder, in place of the profile's.
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
    /// A BLAKE3 that was the head's once: prove that nothing up to it was cut off. Can be given more than once.
    #[arg(long, value_name = "BLAKE3")]
    head: Vec<Digest>,
    /// Read only packs that were committed since: a time, a number of days such as 7d, or a segment's number.
    #[arg(long, value_name = "TIME|DAYS|SEGMENT")]
    since: Option<Since>,
    /// Read only so much of the packs, such as 1%, chosen by chance.
    #[arg(long, value_name = "PERCENT")]
    sample: Option<Share>,
    /// With --sample: the number that decides what is chosen.
    #[arg(long, value_name = "N", requires = "sample")]
    seed: Option<u64>,
    /// How many threads read; by default one for each processor.
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZero<u16>>,
}

impl AsRef<Common> for Arguments {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

impl Arguments {
    fn settings(&self) -> Result<Settings> {
        let processors = || std::thread::available_parallelism().map_or(1, NonZero::get);
        let jobs = self.jobs.map_or_else(processors, |jobs| jobs.get().into());
        let chance = || getrandom::u64().map_err(|e| Error::new(Status::System, format!("no random number: {e}")));
        let sample = self.sample.map(|share| self.seed.map_or_else(chance, Ok).map(|seed| (share, seed))).transpose()?;
        Ok(Settings { jobs, heads: self.head.clone(), choice: Choice { since: self.since, sample } })
    }
}

fn main() -> ExitCode {
    frame::run("mdrop-check", |arguments: &Arguments, run| {
        let profile = arguments.common.load_optional_profile(run)?;
        let root = archive_folder(arguments.archive.as_deref(), profile.as_ref())?;
        prove(&root, &arguments.settings()?, profile.as_ref().and_then(|profile| profile.store.index.as_deref()), run)
    })
}

/// Findings go to standard output as records, and to people as lines.
fn prove(root: &Path, settings: &Settings, index: Option<&Path>, run: &mut Run) -> Result<()> {
    let mut output = frame::stdout()?;
    let checked = check(root, settings, |finding| {
        run.find(finding.clone())?;
        Ok(output.write_all(&Record::Finding(Box::new(finding)).to_line()?)?)
    })?;
    output.flush()?;
    run.counts.insert("checked".into(), checked.messages);
    run.head.clone_from(&checked.head);
    if checked.damage > 0 {
        return Err(Error::new(Status::Data, format!("{} findings of damage", checked.damage)).about(root.display().to_string()));
    }
    index_agrees(&Archive::open(root, index)?, &checked)?;
    run.say(&format!("{}: {}", root.display(), verdict(&checked, settings)));
    Ok(())
}

/// What is said of an archive in which no damage was found.
fn verdict(checked: &Checked, settings: &Settings) -> String {
    let head = checked.head.as_ref().map_or("no segment yet".into(), |head| format!("head: segment {} {}", head.segment, head.blake3));
    let messages = checked.messages;
    let all = format!("{} messages, {} octets; {head}", messages.messages, messages.bytes);
    if settings.choice.is_all() {
        return format!("whole: {all}");
    }
    let seed = settings.choice.sample.map_or(String::new(), |(_, seed)| format!(", seed {seed}"));
    #[expect(clippy::cast_precision_loss, reason = "it is a percentage for people")]
    let percent = if checked.named == 0 { 100.0 } else { checked.read as f64 * 100.0 / checked.named as f64 };
    format!("no damage in what was read, the catalog and {percent:.1}% of the packs{seed}: {all}")
}
