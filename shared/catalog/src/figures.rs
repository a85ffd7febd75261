//! What a run's commit says of the run: the figures that its worker gave it, found again in the log. Whoever ends a
//! run that another worker has committed tells it by these.

use crate::error::CatalogError;
use crate::log_files::{LogFiles, find_entry};
use crate::table::Table;
use std::collections::BTreeMap;

/// The commit of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunCommit {
    /// The table's version that it made.
    pub version: u64,
    /// Its [`metrics`](crate::Change::metrics).
    pub figures: BTreeMap<String, u64>,
}

impl Table {
    /// The commit that let this run of an application in. None: the run is not in, or its entry is not in the log any
    /// more.
    pub fn commit_of(&self, app_id: &str, run: i64) -> Result<Option<RunCommit>, CatalogError> {
        if !self.folder().join("_delta_log").is_dir() {
            return Ok(None);
        }
        // Runs are asked for soon after their commit: it is among the newest.
        for version in LogFiles::list(self)?.versions_newest_first() {
            // Upkeep may take the oldest while this goes on.
            let Some(entry) = find_entry(self, version)? else { return Ok(None) };
            match entry.fences.get(app_id) {
                Some(fence) if *fence == run => {
                    return Ok(Some(RunCommit { version, figures: entry.figures }));
                }
                Some(fence) if *fence < run => return Ok(None),
                _ => {}
            }
        }
        Ok(None)
    }
}
