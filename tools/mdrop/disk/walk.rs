//! Walking through folders: by name, through links, never in circles, and past what can't be read, which is named.

use super::{Notice, Visitor, relative};
use crate::error::{Error, Result, Status};
use crate::octets::Octets;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// Whether a name begins with a dot.
pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// The entries under `root`, itself included, sorted by name; folders for which `enters` is false are left out with all that is in them.
/// `is_mail` says for which links it is an error that they lead nowhere.
pub(super) fn entries(
    root: &Path,
    visitor: &mut dyn Visitor,
    enters: impl Fn(&DirEntry) -> bool,
    is_mail: impl Fn(&Path) -> bool,
    mut each: impl FnMut(DirEntry, &mut dyn Visitor) -> Result<()>,
) -> Result<()> {
    let walk = WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(|entry| entry.depth() == 0 || !entry.file_type().is_dir() || enters(entry)) {
        match entry {
            Ok(entry) => each(entry, visitor)?,
            Err(error) => missed(error, root, visitor, &is_mail)?,
        }
    }
    Ok(())
}

/// What could not be walked into.
fn missed(error: walkdir::Error, root: &Path, visitor: &mut dyn Visitor, is_mail: &dyn Fn(&Path) -> bool) -> Result<()> {
    let name = error.path().map(|path| relative(path, root)).unwrap_or_default();
    if error.loop_ancestor().is_some() {
        let text = format!("{name}: a link that leads back to a folder it lies in; passed over");
        return visitor.notice(None, Notice { finding: "looped", text });
    }
    let path = error.path().map(Path::to_path_buf).unwrap_or_default();
    let error = error.into_io_error().unwrap_or_else(|| ErrorKind::Other.into());
    let is_dangling = error.kind() == ErrorKind::NotFound;
    if is_dangling && !is_mail(&path) {
        // A disk that is not mounted looks so, too.
        let text = format!("{name}: a link that leads nowhere; what lay behind it is not read");
        return visitor.notice(None, Notice { finding: "dangling", text });
    }
    visitor.unreadable(&name, Error::io("read", error))
}

/// The regular files under `root` that `is_mail` says yes to, and folders are walked into that `enters` says yes to; `root` itself if it is
/// a file.
pub(super) fn files(
    root: &Path,
    visitor: &mut dyn Visitor,
    enters: impl Fn(&DirEntry) -> bool,
    is_mail: impl Fn(&Path) -> bool,
    mut each: impl FnMut(PathBuf, Octets, &mut dyn Visitor) -> Result<()>,
) -> Result<()> {
    if std::fs::metadata(root).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        let what = "is neither a file nor a folder; path = \"-\" reads standard input";
        return Err(Error::new(Status::NoInput, what).about(root.display().to_string()));
    }
    entries(root, visitor, enters, &is_mail, |entry, visitor| {
        if entry.file_type().is_dir() || (entry.depth() > 0 && !is_mail(entry.path())) {
            return Ok(());
        }
        let inside = if entry.depth() == 0 { root.parent().unwrap_or(root) } else { root };
        let name = relative(entry.path(), inside);
        if !entry.file_type().is_file() {
            return visitor.unreadable(&name, Error::new(Status::Data, "is no file"));
        }
        each(entry.into_path(), name, visitor)
    })
}
