//! What a check of a table asks beyond what its readers and writers do.

use crate::error::CatalogError;
use crate::log_files;
use crate::snapshot::Snapshot;
use std::time::SystemTime;

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
