//! What a run's commit says of the run: the figures that its worker gave it, found again in the log. Whoever ends a
//! run that another worker has committed tells it by these.

use crate::error::{CatalogError, Cause};
use crate::log_files::{LogFiles, read_entries};
use crate::table::Table;
use feedfleet_model::report::{Counts, Lists};
use feedfleet_model::{RunKey, keys};
use std::collections::BTreeMap;

/// Entries that are read at once from a store: few, since the one that is looked for is among the newest.
const ENTRIES_AT_ONCE: usize = 8;

/// The commit of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunCommit {
    /// The table's version that it made.
    pub version: u64,
    /// Its [`metrics`](crate::Change::metrics).
    pub figures: BTreeMap<String, u64>,
}

/// The figures with which a run's commit says what the run did: its [`metrics`](crate::Change::metrics).
pub fn run_figures(mut counts: Counts, lists: &Lists) -> Vec<(&'static str, u64)> {
    let mut figures = COUNTS.map(|(name, field)| (name, *field(&mut counts))).to_vec();
    for (name, list) in [(HELD_LIST, &lists.held), (ABSENT_LIST, &lists.absent)] {
        figures.extend(list.as_deref().and_then(keys::content_of_list).map(|hash| (name, hash)));
    }
    figures
}

impl RunCommit {
    /// What the run did. A count that the commit does not have is that of `otherwise`.
    pub fn counts(&self, otherwise: Counts) -> Counts {
        let mut counts = otherwise;
        for (name, field) in COUNTS {
            if let Some(figure) = self.figures.get(name) {
                *field(&mut counts) = *figure;
            }
        }
        counts
    }

    /// The lists of the run, whose commit this is.
    pub fn lists(&self, run: &RunKey) -> Lists {
        let key = |name: &str, key_of: fn(&RunKey, u64) -> keys::ObjectKey| {
            self.figures.get(name).map(|content| key_of(run, *content).to_string())
        };
        Lists { held: key(HELD_LIST, keys::held), absent: key(ABSENT_LIST, keys::absent) }
    }
}

impl Table {
    /// The commit that let this run of an application in. None: the run is not in, or its entry is not in the log any
    /// more, or cannot be read.
    pub fn commit_of(&self, app_id: &str, run: i64) -> Result<Option<RunCommit>, CatalogError> {
        if !self.has_log_entry()? {
            return Ok(None);
        }
        let versions: Vec<u64> = LogFiles::list(self)?.versions_newest_first().collect();
        // Reading ahead saves time where each reading waits for a store.
        let at_once = if self.folder().is_some() { 1 } else { ENTRIES_AT_ONCE };
        // Runs are asked for soon after their commit: it is among the newest.
        for some in versions.chunks(at_once) {
            for (&version, entry) in some.iter().zip(read_entries(self, some)?) {
                let entry = match entry {
                    Ok(Some(entry)) => entry,
                    // Upkeep may take the oldest while this goes on.
                    Ok(None) => return Ok(None),
                    // Behind a checkpoint nobody else reads it, and it need not be the run's.
                    Err(e) if matches!(e.source, Cause::Unusable(_)) => {
                        tracing::warn!(version, error = %e, "passed over a log entry that is damaged");
                        continue;
                    }
                    Err(e) => return Err(e),
                };
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

/// A count that a commit has, by its name there.
type Figure = (&'static str, fn(&mut Counts) -> &mut u64);

const COUNTS: [Figure; 10] = [
    ("seen", |counts| &mut counts.seen),
    ("new", |counts| &mut counts.new),
    ("changed", |counts| &mut counts.changed),
    ("unchanged", |counts| &mut counts.unchanged),
    ("removed", |counts| &mut counts.removed),
    ("held", |counts| &mut counts.held),
    ("absent", |counts| &mut counts.absent),
    ("refused", |counts| &mut counts.refused),
    ("duplicates", |counts| &mut counts.duplicates),
    ("live", |counts| &mut counts.live),
];
/// Names in a commit of what its run's lists are named by.
const HELD_LIST: &str = "heldList";
const ABSENT_LIST: &str = "absentList";
