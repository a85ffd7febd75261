//! Compaction: a pipe whose dead rows or files have become many is written anew, without changing a row.

use crate::commit::{Change, CommitOutcome, Fence};
use crate::error::{CatalogError, Context};
use crate::read;
use crate::snapshot::{DataFile, Snapshot};
use crate::stage::Parts;
use crate::table::Table;
use feedfleet_model::PipeName;
use std::collections::BTreeMap;

/// When a pipe is worth compacting.
#[derive(Debug, Clone, Copy)]
pub struct CompactionLimits {
    /// Share of dead rows, 0 to 1, past which a file is rewritten.
    pub dead_share: f64,
    /// Small files past which they are put together.
    pub small_files: usize,
    /// What a small file is, in bytes.
    pub small_bytes: u64,
}

impl Default for CompactionLimits {
    fn default() -> Self {
        Self { dead_share: 0.25, small_files: 16, small_bytes: 64 * 1024 * 1024 }
    }
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compaction {
    /// Files before, of those rewritten.
    pub files_before: usize,
    /// Files they became.
    pub files_after: usize,
    /// Dead rows left behind.
    pub dead_rows: u64,
}

/// Files of a pipe that should be rewritten; none when it is well as it is.
pub fn worth_compacting(files: &[DataFile], limits: CompactionLimits) -> Vec<DataFile> {
    let too_dead = |f: &DataFile| f.dead_rows() as f64 > limits.dead_share * f.rows as f64;
    let small = |f: &DataFile| f.size_bytes < limits.small_bytes;
    let many_small = files.iter().filter(|f| small(f)).count() > limits.small_files;
    files.iter().filter(|f| too_dead(f) || (many_small && small(f))).cloned().collect()
}

/// Rewrites a pipe's files where that is worth it. None when it was not, or when a run got in between: the
/// next time will do.
pub fn compact(
    table: &Table,
    snapshot: &Snapshot,
    pipe: &PipeName,
    limits: CompactionLimits,
) -> Result<Option<Compaction>, CatalogError> {
    let base = snapshot.files(Some(pipe))?;
    let chosen = worth_compacting(&base, limits);
    if chosen.is_empty() {
        return Ok(None);
    }
    let schema = table.spec().file_schema()?;
    let label = format!("compacted-{}", snapshot.version());
    let mut parts = Parts::new(table, pipe, label, schema.clone()).unlisted();
    for file in &chosen {
        read::for_each_batch(snapshot, file, None, |rows| {
            let live = rows.live_batch().context("read", &file.path)?;
            parts.write(&read::conform(&live, &schema)?)
        })?;
    }
    let adds = parts.finish()?;
    let result = Compaction {
        files_before: chosen.len(),
        files_after: adds.len(),
        dead_rows: chosen.iter().map(DataFile::dead_rows).sum(),
    };
    let app_id = format!("{pipe}/compaction");
    let run = snapshot.fence(&app_id)?.unwrap_or(0) + 1;
    let change = Change {
        pipe: pipe.clone(),
        base,
        adds,
        dead: BTreeMap::new(),
        drops: chosen.into_iter().map(|f| f.path).collect(),
        fence: Fence { app_id, run },
        metrics: vec![("numDeadRowsLeftBehind", result.dead_rows)],
        data_change: false,
    };
    match table.commit(&change)? {
        CommitOutcome::Committed { .. } => Ok(Some(result)),
        _ => Ok(None),
    }
}
