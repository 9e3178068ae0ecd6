//! --moves: what mdrop-fetch saw, against what the archive knows.

use mdrop::archive::Archive;
use mdrop::archive::commit::Writer;
use mdrop::archive::moves::{Book, Folders, Recorder, Seen};
use mdrop::error::{Error, Result, Status};
use mdrop::frame::{self, Run};
use mdrop::profile::Profile;
use mdrop::record::{Record, RecordReader};
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;

/// Records, and prints, the moves that a run log of mdrop-fetch shows. An archive that is not there yet holds nothing that could move.
pub fn record(profile: &Profile, root: &Path, log: &str, dry_run: bool, run: &mut Run) -> Result<()> {
    let seen = read(profile, log).map_err(|e| e.about(log).about("--moves"))?;
    let folders = Folders::new(&profile.name, &profile.route)?;
    let archive = match Archive::open(root, profile.store.index.as_deref()) {
        Ok(archive) => archive,
        Err(e) if e.status() == Status::NoInput && !root.join("packs").exists() => return Ok(()),
        Err(e) => return Err(e),
    };
    if !seen.is_anything() {
        run.detail("the log tells of no run over IMAP: there are no moves to be seen");
        return Ok(());
    }
    let mut book = if dry_run { Book::Showing(Box::new(archive)) } else { Book::Recording(Box::new(Writer::new(archive, "mdrop-store")?)) };
    let mut output = frame::stdout()?;
    let done = Recorder::new(&seen, &folders).run(&mut book, &mut |record, size| {
        count(record, size, run);
        Ok(output.write_all(&record.to_line()?)?)
    });
    if let Book::Recording(writer) = &book {
        run.head = writer.archive().head()?;
    }
    let flushed = output.flush();
    done.and(Ok(flushed?))
}

fn read(profile: &Profile, log: &str) -> Result<Seen> {
    let input: Box<dyn Read> =
        if log == "-" { Box::new(frame::stdin()?) } else { Box::new(File::open(log).map_err(|e| Error::io("open", e))?) };
    let mut seen = Seen::of(profile.account());
    for record in RecordReader::new(BufReader::new(input)) {
        seen.add(record?);
    }
    Ok(seen)
}

fn count(record: &Record, size: u64, run: &mut Run) {
    match record {
        Record::Move(moved) => {
            run.count("moved", size);
            run.detail(&format!("{}: moved to {}", moved.origin, moved.to));
        }
        Record::Copy(_) => run.count("copied", size),
        Record::Refiling(_) => run.count("refiled", size),
        _ => {}
    }
}
