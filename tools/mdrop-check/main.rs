//! mdrop-check: re-reads a whole archive, proves it whole, and names what is damaged.

use mdrop::archive::Archive;
use mdrop::archive::check::{Checker, index_agrees};
use mdrop::config::archive_folder;
use mdrop::error::{Error, Result, Status};
use mdrop::frame::{self, Common, Run};
use mdrop::record::Record;
use std::io::Write;
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
}

impl AsRef<Common> for Arguments {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

fn main() -> ExitCode {
    frame::run("mdrop-check", |arguments: &Arguments, run| {
        let profile = arguments.common.load_optional_profile(run)?;
        let root = archive_folder(arguments.archive.as_deref(), profile.as_ref())?;
        check(&root, profile.as_ref().and_then(|profile| profile.store.index.as_deref()), run)
    })
}

/// Findings go to standard output as records, and to people as lines.
fn check(root: &Path, index: Option<&Path>, run: &mut Run) -> Result<()> {
    let mut output = frame::stdout()?;
    let checker = Checker::new(root, |finding| {
        run.find(finding.clone())?;
        Ok(output.write_all(&Record::Finding(Box::new(finding)).to_line()?)?)
    })?;
    let checked = checker.run()?;
    output.flush()?;
    run.counts.insert("checked".into(), checked.messages);
    run.head.clone_from(&checked.head);
    if checked.damage > 0 {
        return Err(Error::new(Status::Data, format!("{} findings of damage", checked.damage)).about(root.display().to_string()));
    }
    index_agrees(&Archive::open(root, index)?, &checked)?;
    let head = checked.head.map_or("no segment yet".into(), |head| format!("head: segment {} {}", head.segment, head.blake3));
    run.say(&format!("{}: whole: {} messages, {} octets; {head}", root.display(), checked.messages.messages, checked.messages.bytes));
    Ok(())
}
