//! What a check of a table asks beyond what its readers and writers do.

use crate::error::CatalogError;
use crate::log_files::{self, LogFiles, read_entries};
use crate::snapshot::Snapshot;
use crate::table::Table;
use std::time::SystemTime;

/// An entry of a table's log that cannot be read, or is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedEntry {
    /// The file's name, in the log's folder.
    pub name: String,
    /// Entries that came after it.
    pub newer: u64,
}

impl Table {
    /// The oldest entry of the log that cannot be read, or is missing, among those since its last checkpoint: without them the table
    /// cannot be read.
    pub fn damaged_entry(&self) -> Result<Option<DamagedEntry>, CatalogError> {
        let log = LogFiles::list(self)?;
        let first = log.checkpoint_up_to(log.newest).map_or(0, |file| file.version + 1);
        for version in first..=log.newest {
            for entry in read_entries(self, &[version])? {
                if !matches!(entry, Ok(Some(_))) {
                    let (name, newer) = (format!("{version:020}.json"), log.newest - version);
                    return Ok(Some(DamagedEntry { name, newer }));
                }
            }
        }
        Ok(None)
    }
}

impl Snapshot {
    /// When this version was committed, by the clock of whoever did.
    pub fn committed_at(&self) -> Result<SystemTime, CatalogError> {
        log_files::committed_at(self.table(), self.version())
    }

    /// Columns of this release that the table lacks; the next commit adds them. An error where a column has
    /// another type than this release writes.
    pub fn missing_columns(&self) -> Result<Vec<String>, CatalogError> {
        self.table().missing_columns(self)
    }
}
