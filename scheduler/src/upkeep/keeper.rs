//! Compaction and checkpoints of one table.

use super::blocking;
use crate::newest::Newest;
use feedfleet_catalog::CatalogError;
use feedfleet_catalog::compact::{CompactionLimits, compact, worth_compacting};
use std::time::{Duration, Instant};

/// Log entries after which a checkpoint is worth its writing.
const COMMITS_PER_CHECKPOINT: u64 = 20;
/// Compactions that last longer wait for the next turn, so that a checkpoint that is due does not.
const LONG: Duration = Duration::from_secs(60);

/// What keeps a table quick to read.
pub(super) struct Keeper {
    newest: Newest,
    /// The version at which nothing was left to do.
    kept: Option<u64>,
}

impl Keeper {
    pub(super) fn new(newest: Newest) -> Self {
        Self { newest, kept: None }
    }

    pub(super) async fn keep(&mut self) {
        let (newest, kept) = (self.newest.clone(), self.kept);
        match blocking(move || keep_table(&newest, kept)).await {
            Ok(kept) => self.kept = kept,
            Err(e) => {
                let table = self.newest.table().spec().name;
                tracing::warn!(table, error = %e, "upkeep failed, will try again");
            }
        }
    }
}

/// Writes a checkpoint, and compacts pipes, where that is worth it. `kept`: the version at which there was nothing
/// left to do; so is the result. The log is read once for all pipes, and not at all where nothing was committed.
fn keep_table(newest: &Newest, kept: Option<u64>) -> Result<Option<u64>, CatalogError> {
    let Some(state) = newest.look()? else { return Ok(None) };
    let (table, snapshot) = (newest.table(), &state.snapshot);
    let name = table.spec().name;
    let version = snapshot.version();
    if kept == Some(version) {
        return Ok(kept);
    }
    if snapshot.commits_since_checkpoint() >= COMMITS_PER_CHECKPOINT {
        snapshot.checkpoint()?;
        tracing::info!(table = name, version, "checkpoint written");
    }
    let limits = CompactionLimits::default();
    let begun = Instant::now();
    let mut kept = Some(version);
    for (pipe, files) in &state.files {
        if worth_compacting(files, limits).is_empty() {
            continue;
        }
        match compact(table, snapshot, pipe, limits) {
            // A run got in between: there is a newer version.
            Ok(None) => {}
            Ok(Some(done)) => {
                tracing::info!(
                    table = name, %pipe, files_before = done.files_before,
                    files_after = done.files_after, dead_rows = done.dead_rows, "pipe compacted"
                );
                if begun.elapsed() > LONG {
                    return Ok(None);
                }
            }
            // The other pipes need not wait for this one.
            Err(e) => {
                tracing::warn!(table = name, %pipe, error = %e, "could not compact");
                kept = None;
            }
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    /// A table is looked through once for all its pipes, and not again before the next commit.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_table_is_kept_when_something_was_committed() {
        let world = World::new();
        let table = world.deps.catalog.products();
        let newest = Newest::new(table.clone());
        assert_eq!(keep_table(&newest, None).unwrap(), None, "there is no table");
        for run in 1..=COMMITS_PER_CHECKPOINT as i64 {
            world.add_rows(run, &[format!("picture-{run}").as_str()]);
        }
        let state = || {
            let snapshot = table.snapshot().unwrap().unwrap();
            let files = snapshot.files(None).unwrap().len();
            (snapshot.version(), snapshot.commits_since_checkpoint(), files)
        };
        assert_eq!(state(), (20, 20, 20));
        let kept = keep_table(&newest, None).unwrap();
        assert_eq!(kept, Some(20));
        assert_eq!(state(), (21, 1, 1), "a checkpoint, and a compaction after it");
        let kept = keep_table(&newest, kept).unwrap();
        assert_eq!(kept, Some(21));
        assert_eq!(keep_table(&newest, kept).unwrap(), kept);
        assert_eq!(state(), (21, 1, 1));
    }
}
