//! The folders of a Maildir and their names, in both layouts: `.Lists.a` is `Lists.a`, `Lists/a` is `Lists/a`, decoded from modified UTF-7.

use crate::disk::{Visitor, relative, walk};
use crate::error::{Error, Result, Status};
use crate::octets::Octets;
use crate::utf7;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use walkdir::DirEntry;

/// A folder that holds messages.
pub(super) struct Folder {
    /// Its name as people write it.
    pub(super) mailbox: Octets,
    /// What stands between the levels of its name.
    pub(super) delimiter: char,
    pub(super) path: PathBuf,
}

/// `INBOX`, then all others, by name.
pub(super) fn of(root: &Path, visitor: &mut dyn Visitor) -> Result<Vec<Folder>> {
    let mut inbox = None;
    let mut named = BTreeMap::new();
    walk::entries(
        root,
        visitor,
        may_hold_mail,
        |_| false,
        |entry, _| {
            let is_folder = entry.file_type().is_dir() && holds_mail(entry.path());
            if !is_folder {
                return Ok(());
            }
            if entry.depth() == 0 {
                inbox = Some(Folder { mailbox: "INBOX".into(), delimiter: '.', path: entry.into_path() });
                return Ok(());
            }
            let raw = relative(entry.path(), root);
            let (name, delimiter) = raw.as_bytes().strip_prefix(b".").map_or((raw.as_bytes(), '/'), |name| (name, '.'));
            let name = utf7::decode(name);
            let is_taken = |name: &Octets| named.contains_key(name) || (inbox.is_some() && name.as_bytes() == b"INBOX");
            // Two folders with one name, in the two layouts: the second keeps the name it has on disk, with a folder before it if need be.
            let mut mailbox = if is_taken(&name) { raw } else { name };
            while is_taken(&mailbox) {
                mailbox = [b"./", mailbox.as_bytes()].concat().into();
            }
            named.insert(mailbox.clone(), Folder { mailbox, delimiter, path: entry.into_path() });
            Ok(())
        },
    )?;
    if inbox.is_none() && named.is_empty() {
        return Err(Error::new(Status::Data, "not a Maildir: it has no folder cur").about(root.display().to_string()));
    }
    Ok(inbox.into_iter().chain(named.into_values()).collect())
}

/// Whether a folder has a cur or a new, or may have one that can't be seen: listing it will tell why.
fn holds_mail(folder: &Path) -> bool {
    ["cur", "new"].iter().any(|part| match std::fs::symlink_metadata(folder.join(part)) {
        Ok(metadata) => metadata.is_dir() || metadata.is_symlink(),
        Err(e) => !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    })
}

/// Messages and what is being delivered lie in cur, new and tmp; below the first level, where the Maildirs of several users may lie, what
/// begins with a dot is a mailbox or nothing.
fn may_hold_mail(folder: &DirEntry) -> bool {
    let name = folder.file_name();
    !["cur", "new", "tmp"].iter().any(|part| name == *part) && (folder.depth() == 1 || !walk::is_hidden(name) || holds_mail(folder.path()))
}
