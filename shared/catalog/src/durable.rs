//! What was acknowledged survives a power cut: files and their folders are synced.

use crate::error::{CatalogError, Context};
use crate::files::DRAFT;
use crate::table::LOG;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use uuid::Uuid;

/// What the name of an entry's draft begins with.
const ENTRY: &str = "log_entry_";

/// Whether an entry of a log is called so while it is being written. A writer that is killed leaves it.
pub(crate) fn is_entry_draft(name: &str) -> bool {
    name.starts_with(ENTRY) && name.ends_with(DRAFT)
}

/// Writes an entry of a log if there is none of its name; whether the entry of that name is this one. What it holds is
/// on the disk before it has its name, and the name when this ends. No two may hold the same.
///
/// Its draft is not in the log's folder but in the table's: the kernel takes whatever it finds in a log for a table, and
/// a draft there would keep the first writers of a table from making it.
pub(crate) fn put_entry(path: &Path, content: &[u8]) -> io::Result<bool> {
    let Some((log, table)) = path.parent().and_then(|log| Some((log, log.parent()?))) else {
        return Err(io::Error::from(ErrorKind::InvalidFilename));
    };
    let draft = table.join(format!("{ENTRY}{}{DRAFT}", Uuid::new_v4()));
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
    File::open(log)?.sync_all()?;
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
    use std::path::PathBuf;

    fn names(folder: &Path) -> Vec<PathBuf> {
        folder.read_dir().unwrap().map(|file| file.unwrap().path()).collect()
    }

    #[test]
    fn a_new_entry_replaces_none_and_leaves_no_draft() {
        let table = tempfile::tempdir().unwrap();
        let log = table.path().join(LOG);
        std::fs::create_dir(&log).unwrap();
        let path = log.join("00000000000000000001.json");
        assert!(put_entry(&path, b"ours").unwrap());
        assert!(!put_entry(&path, b"of others").unwrap());
        assert!(put_entry(&path, b"ours").unwrap(), "it was there because it had been done");
        assert_eq!(std::fs::read(&path).unwrap(), b"ours");
        assert_eq!((names(&log), names(table.path()).len()), (vec![path], 1));
    }

    #[test]
    fn an_entry_that_cannot_be_written_is_not_there() {
        let table = tempfile::tempdir().unwrap();
        let path = table.path().join("absent").join("00000000000000000001.json");
        assert_eq!(put_entry(&path, b"ours").unwrap_err().kind(), ErrorKind::NotFound);
        let taken = table.path().join("log").join("00000000000000000001.json");
        std::fs::create_dir_all(&taken).unwrap();
        assert!(put_entry(&taken, b"ours").is_err());
        assert_eq!(names(table.path()).len(), 1);
    }
}
