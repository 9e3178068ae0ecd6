//! What the archive says of an account: what is known of it, for mdrop-fetch, and what may be purged, for mdrop-purge.

use mdrop::archive::Archive;
use mdrop::archive::segment::Segment;
use mdrop::error::{Result, Status};
use mdrop::frame::{self, Run};
use mdrop::identity::{Account, Origin};
use mdrop::profile::Profile;
use mdrop::record::{Receipt, Record};
use mdrop::time::Time;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

/// Prints `known` records, or the receipts that may be purged. An archive that is not there yet knows nothing.
pub fn print(profile: &Profile, root: &Path, known: bool, run: &mut Run) -> Result<()> {
    let archive = match Archive::open(root, profile.store.index.as_deref()) {
        Ok(archive) => archive,
        Err(e) if e.status() == Status::NoInput && known && !root.join("packs").exists() => return Ok(()),
        Err(e) => return Err(e),
    };
    let mut output = frame::stdout()?;
    let account = profile.account();
    if known {
        let users = mdrop::config::load_users(&profile.route)?;
        let settings = mdrop::users::settings_digest(&profile.route, users.as_ref());
        let mut print = |known| Ok(output.write_all(&Record::Known(Box::new(known)).to_line()?)?);
        // What is to be deleted from a server must have been read from it: then its identifiers are not enough to leave a message out.
        archive.index.each_known(&account, Some(settings), !profile.purge.enabled, &mut print)?;
    } else if profile.purge.enabled {
        let age = i64::try_from(profile.purge.after.as_secs()).unwrap_or(i64::MAX);
        let before = Time::from_unix(Time::now().unix() - age);
        for receipt in purgeable(&archive, &account, before, run)? {
            output.write_all(&Record::Receipt(Box::new(receipt)).to_line()?)?;
        }
    }
    Ok(output.flush()?)
}

/// The newest receipt of each origin that was archived before `before` and not purged, read from the catalog itself.
fn purgeable(archive: &Archive, account: &Account, before: Time, run: &mut Run) -> Result<Vec<Receipt>> {
    let mut receipts: HashMap<Origin, Receipt> = HashMap::new();
    for number in archive.index.purgeable_segments(account, before)? {
        // A damaged segment proves nothing; the others still do.
        let records: Result<Vec<Record>> = Segment::open(&archive.shelf, number).and_then(Iterator::collect);
        let records = match records {
            Err(e) if e.status() == Status::Data => {
                run.fail(&e);
                continue;
            }
            other => other?,
        };
        for record in records {
            let Record::Receipt(receipt) = record else { continue };
            if receipt.origin.account != *account || receipt.archived > before {
                continue;
            }
            let current = archive.index.origin(&receipt.origin)?;
            let right = |state: &mdrop::archive::index::OriginState| {
                state.segment == number && state.digest == Some(receipt.digest) && state.was_read()
            };
            if current.as_ref().is_some_and(right) {
                receipts.insert(receipt.origin.clone(), *receipt);
            }
        }
    }
    let mut receipts: Vec<Receipt> = receipts.into_values().collect();
    receipts.sort_by(|a, b| a.origin.cmp(&b.origin));
    Ok(receipts)
}
