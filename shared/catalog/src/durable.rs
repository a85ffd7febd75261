//! What was acknowledged survives a power cut: files and their folders are synced.

use crate::error::{CatalogError, Context};
use std::fs::File;
use std::path::Path;

/// Makes an entry of a table's log durable. The library that writes it does not.
pub(crate) fn sync_commit(table: &Path, version: u64) -> Result<(), CatalogError> {
    let log = table.join("_delta_log");
    let entry = log.join(format!("{version:020}.json"));
    sync_file(&entry)?;
    sync_folder(&log)?;
    if version == 0 {
        sync_folder(table)?;
        table.parent().map_or(Ok(()), sync_folder)?;
    }
    Ok(())
}

pub(crate) fn sync_file(path: &Path) -> Result<(), CatalogError> {
    File::open(path).and_then(|file| file.sync_all()).at("sync", path)
}

pub(crate) fn sync_folder(path: &Path) -> Result<(), CatalogError> {
    File::open(path).and_then(|folder| folder.sync_all()).at("sync the folder", path)
}
