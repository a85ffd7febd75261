//! What a run's commit says of the run: the figures that its worker gave it, found again in the log. Whoever ends a
//! run that another worker has committed tells it by these.

use crate::error::CatalogError;
use crate::log_files::{LogFiles, read_entries};
use crate::table::Table;
use std::collections::BTreeMap;

/// Entries that are read at once: few, since the one that is looked for is among the newest.
const ENTRIES_AT_ONCE: usize = 8;

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
        if !self.has_log_entry()? {
            return Ok(None);
        }
        let versions: Vec<u64> = LogFiles::list(self)?.versions_newest_first().collect();
        // Runs are asked for soon after their commit: it is among the newest.
        for some in versions.chunks(ENTRIES_AT_ONCE) {
            for (&version, entry) in some.iter().zip(read_entries(self, some)?) {
                // Upkeep may take the oldest while this goes on.
                let Some(entry) = entry? else { return Ok(None) };
                match entry.fences.get(app_id) {
                    Some(fence) if *fence == run => {
                        return Ok(Some(RunCommit { version, figures: entry.figures }));
                    }
                    Some(fence) if *fence < run => return Ok(None),
                    _ => {}
                }
            }
        }
        Ok(None)
    }
}
