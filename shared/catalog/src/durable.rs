//! What was acknowledged survives a power cut: files and their folders are synced.

use crate::error::{CatalogError, Context};
use crate::files::DRAFT;
use crate::table::LOG;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use uuid::Uuid;

/// Writes a file if there is none of its name; whether the file of that name is this one. What it holds is on the disk
/// before it has its name, and the name when this ends. No two may hold the same.
pub(crate) fn put_new(path: &Path, content: &[u8]) -> io::Result<bool> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str))
    else {
        return Err(io::Error::from(ErrorKind::InvalidFilename));
    };
    let draft = folder.join(format!(".{name}.{}{DRAFT}", Uuid::new_v4()));
    let placed = File::create_new(&draft)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::hard_link(&draft, path));
    // If it cannot be removed, vacuum will.
    std::fs::remove_file(&draft).ok();
    let is_ours = match placed {
        // A disk over a network may have done it, and repeated it as its answer was lost.
        Err(e) if e.kind() == ErrorKind::AlreadyExists => std::fs::read(path)? == content,
        placed => placed.map(|()| true)?,
    };
    File::open(folder)?.sync_all()?;
    Ok(is_ours)
}

/// Makes the folder of a table's log durable, and those above it. Whoever made them may not have come to that yet.
pub(crate) fn sync_log_folder(table: &Path) -> Result<(), CatalogError> {
    make_folder(&table.join(LOG))?;
    sync_folder(table)?;
    table.parent().map_or(Ok(()), sync_folder)
}

/// Makes a version's checkpoint durable, and what points to it.
pub(crate) fn sync_checkpoint(table: &Path, version: u64) -> Result<(), CatalogError> {
    let log = table.join(LOG);
    let begins = format!("{version:020}.checkpoint");
    for file in std::fs::read_dir(&log).at("list", &log)? {
        let file = file.at("list", &log)?;
        let name = file.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&begins) || name == "_last_checkpoint" {
            sync_file(&file.path())?;
        }
    }
    sync_folder(&log)
}

/// Makes a folder where it is absent, and those above it, each durable in the one that holds it.
pub(crate) fn make_folder(path: &Path) -> Result<(), CatalogError> {
    let Some(above) = path.parent().filter(|_| !path.is_dir()) else { return Ok(()) };
    make_folder(above)?;
    match std::fs::create_dir(path) {
        // Somebody else was faster.
        Err(e) if e.kind() == ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made.at("create the folder", path)?,
    }
    sync_folder(above)
}

pub(crate) fn sync_file(path: &Path) -> Result<(), CatalogError> {
    File::open(path).and_then(|file| file.sync_all()).at("sync", path)
}

pub(crate) fn sync_folder(path: &Path) -> Result<(), CatalogError> {
    File::open(path).and_then(|folder| folder.sync_all()).at("sync the folder", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_replaces_none_and_leaves_no_draft() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000000000000000001.json");
        assert!(put_new(&path, b"ours").unwrap());
        assert!(!put_new(&path, b"of others").unwrap());
        assert!(put_new(&path, b"ours").unwrap(), "it was there because it had been done");
        assert_eq!(std::fs::read(&path).unwrap(), b"ours");
        let names: Vec<_> =
            folder.path().read_dir().unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(names, [path]);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent").join("00000000000000000001.json");
        assert_eq!(put_new(&path, b"ours").unwrap_err().kind(), ErrorKind::NotFound);
        let taken = folder.path().join("taken");
        std::fs::create_dir(&taken).unwrap();
        assert!(put_new(&taken, b"ours").is_err());
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }
}
