//! A tree of .eml files, one message each; or one such file, whatever its name.

use super::{Buffers, Found, Visitor, files, hand_file, relative};
use crate::error::Result;
use std::path::Path;

pub(super) fn visit(root: &Path, visitor: &mut dyn Visitor) -> Result<()> {
    let mut buffers = Buffers::new();
    let is_eml = |path: &Path| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("eml"));
    for file in files(root, visitor, is_eml)? {
        let inside = if file == root { root.parent().unwrap_or(root) } else { root };
        let path = relative(&file, inside);
        let folder = file.parent().map(|folder| relative(folder, inside)).filter(|folder| !folder.as_bytes().is_empty());
        let size = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
        let found = Found { mailbox: folder.unwrap_or_else(|| "INBOX".into()), path, size, flags: Vec::new() };
        hand_file(&file, &found, &mut buffers, visitor)?;
    }
    Ok(())
}
