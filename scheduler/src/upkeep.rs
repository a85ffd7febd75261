//! Upkeep of the tables: compaction of pipes past their limits, and checkpoints of the logs.

use crate::deps::Deps;
use feedfleet_catalog::compact::{CompactionLimits, compact};
use feedfleet_catalog::{CatalogError, Table};
use feedfleet_model::PipeName;
use std::collections::BTreeSet;

/// Log entries after which a checkpoint is worth its writing.
const COMMITS_PER_CHECKPOINT: u64 = 20;

/// Looks at both tables, and does what is due.
pub(crate) async fn keep_in_shape(deps: &Deps) {
    for table in [deps.catalog.products(), deps.catalog.images()] {
        let (work, name) = (table.clone(), table.spec().name);
        match tokio::task::spawn_blocking(move || keep_table(&work)).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::warn!(table = name, error = %e, "upkeep failed, will try again"),
            Err(e) => tracing::error!(table = name, error = %e, "upkeep panicked"),
        }
    }
}

fn keep_table(table: &Table) -> Result<(), CatalogError> {
    let Some(snapshot) = table.snapshot()? else { return Ok(()) };
    if snapshot.commits_since_checkpoint() >= COMMITS_PER_CHECKPOINT {
        snapshot.checkpoint()?;
        tracing::info!(
            table = table.spec().name,
            version = snapshot.version(),
            "checkpoint written"
        );
    }
    let pipes: BTreeSet<PipeName> =
        snapshot.files(None)?.iter().filter_map(|f| f.pipe.parse().ok()).collect();
    for pipe in pipes {
        if let Some(done) = compact(table, &snapshot, &pipe, CompactionLimits::default())? {
            tracing::info!(
                table = table.spec().name, %pipe, files_before = done.files_before,
                files_after = done.files_after, dead_rows = done.dead_rows, "pipe compacted"
            );
        }
    }
    Ok(())
}
