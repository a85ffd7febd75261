//! What was acknowledged survives a power cut: files and their folders are synced.

use crate::error::{CatalogError, Context};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Makes an entry of a table's log durable, and the one before it: its writer may not have come to that yet.
/// The library that writes them does not.
pub(crate) fn sync_commit(table: &Path, version: u64) -> Result<(), CatalogError> {
    let log = table.join("_delta_log");
    if let Some(before) = version.checked_sub(1).map(|before| entry(&log, before))
        && before.exists()
    {
        sync_file(&before)?;
    }
    sync_file(&entry(&log, version))?;
    sync_folder(&log)?;
    if version == 0 {
        sync_folder(table)?;
        table.parent().map_or(Ok(()), sync_folder)?;
    }
    Ok(())
}

/// Makes a version's checkpoint durable, and what points to it.
pub(crate) fn sync_checkpoint(table: &Path, version: u64) -> Result<(), CatalogError> {
    let log = table.join("_delta_log");
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

fn entry(log: &Path, version: u64) -> PathBuf {
    log.join(format!("{version:020}.json"))
}

pub(crate) fn sync_file(path: &Path) -> Result<(), CatalogError> {
    File::open(path).and_then(|file| file.sync_all()).at("sync", path)
}

pub(crate) fn sync_folder(path: &Path) -> Result<(), CatalogError> {
    File::open(path).and_then(|folder| folder.sync_all()).at("sync the folder", path)
}
