//! Approval of held removals: rows that a run found absent, and that were kept for an operator to decide, are
//! marked dead. It applies to the pipe as that run left it and to nothing else.

use crate::commit::{Change, CommitOutcome, Fence};
use crate::error::{CatalogError, Cause};
use crate::read::for_each_batch;
use crate::snapshot::{DataFile, Snapshot};
use crate::table::Table;
use crate::{approval_app_id, feed_app_id, rollback_app_id};
use arrow::array::{AsArray, StringArray};
use feedfleet_model::hash::id_hash;
use feedfleet_model::{PipeName, RunId};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// How an approval ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retirement {
    /// The rows are gone, durably.
    Done {
        /// Rows marked dead.
        removed: u64,
        /// The version that says so.
        version: u64,
    },
    /// It had been applied before.
    AlreadyIn,
    /// A newer run is in: what it held, or removed, counts now.
    MovedOn {
        /// That run.
        by: RunId,
    },
    /// The pipe was rolled back after the run.
    RolledBack,
    /// The run is not in the table.
    NotCommitted,
}

/// Why [`retire`] would remove nothing now; none: it would. Changes nothing.
pub fn refused(
    table: &Table,
    pipe: &PipeName,
    run: RunId,
) -> Result<Option<Retirement>, CatalogError> {
    match table.snapshot()? {
        Some(snapshot) => refusal(&snapshot, pipe, run),
        None => Ok(Some(Retirement::NotCommitted)),
    }
}

/// Compactions of the pipe can come in between a few times, not more.
const MAX_ROUNDS: u32 = 10;

/// Marks dead every live row of the pipe whose [`id_hash`] is in `ids`: the removals that `run` held. Nothing
/// is done if the pipe has moved on since that run. Safe to repeat.
pub fn retire(
    table: &Table,
    pipe: &PipeName,
    run: RunId,
    ids: &HashSet<u128>,
) -> Result<Retirement, CatalogError> {
    for _ in 0..MAX_ROUNDS {
        let Some(snapshot) = table.snapshot()? else { return Ok(Retirement::NotCommitted) };
        if let Some(refused) = refusal(&snapshot, pipe, run)? {
            return Ok(refused);
        }
        let (change, removed) = removal(&snapshot, pipe, run, ids)?;
        // A run that changed no file moves its fence alone; it may have seen the products again.
        let outcome =
            table.commit_if(&change, &[], |now| Ok(refusal(now, pipe, run)?.is_none()))?;
        if let CommitOutcome::Committed { version, .. } = outcome {
            return Ok(Retirement::Done { removed, version });
        }
    }
    Err(CatalogError {
        action: "approve the removals of",
        subject: pipe.to_string(),
        source: Cause::Contended(format!("its files changed {MAX_ROUNDS} times meanwhile")),
    })
}

/// Why the removals of a run are not to be applied to this version.
fn refusal(
    snapshot: &Snapshot,
    pipe: &PipeName,
    run: RunId,
) -> Result<Option<Retirement>, CatalogError> {
    let this = Some(run.0);
    if snapshot.fence(&rollback_app_id(pipe))? > this {
        return Ok(Some(Retirement::RolledBack));
    }
    // Before the pipe's own fence: an approval that went through stays one when the next run is in.
    let app_id = approval_app_id(pipe);
    let newest = snapshot.fence(&app_id)?;
    if newest == this || (newest > this && snapshot.table().commit_of(&app_id, run.0)?.is_some()) {
        snapshot.table().sync_log()?;
        return Ok(Some(Retirement::AlreadyIn));
    }
    Ok(match snapshot.fence(&feed_app_id(pipe))? {
        Some(by) if by > run.0 => Some(Retirement::MovedOn { by: RunId(by) }),
        newest if newest < this => Some(Retirement::NotCommitted),
        _ => None,
    })
}

/// The change that marks the rows dead, and how many they are.
fn removal(
    snapshot: &Snapshot,
    pipe: &PipeName,
    run: RunId,
    ids: &HashSet<u128>,
) -> Result<(Change, u64), CatalogError> {
    let base = snapshot.files(Some(pipe))?;
    let (mut dead, mut drops) = (BTreeMap::new(), BTreeSet::new());
    let mut removed = 0;
    for file in &base {
        let rows = live_rows_of(snapshot, file, ids)?;
        if rows.is_empty() {
            continue;
        }
        removed += rows.len() as u64;
        if file.dead_rows() + rows.len() as u64 >= file.rows {
            drops.insert(file.path.clone());
        } else {
            dead.insert(file.path.clone(), rows);
        }
    }
    let change = Change {
        pipe: pipe.clone(),
        base,
        adds: Vec::new(),
        dead,
        drops,
        fence: Fence { app_id: approval_app_id(pipe), run: run.0 },
        metrics: vec![("removed", removed)],
        data_change: true,
    };
    Ok((change, removed))
}

/// The live rows of a file whose id is one of these, by their place, ascending.
fn live_rows_of(
    snapshot: &Snapshot,
    file: &DataFile,
    ids: &HashSet<u128>,
) -> Result<Vec<u64>, CatalogError> {
    let mut found = Vec::new();
    for_each_batch(snapshot, file, Some(&["id"]), |rows| {
        let column = rows.batch.column_by_name("id").and_then(|c| c.as_string_opt::<i32>());
        let column: &StringArray = column.ok_or_else(|| CatalogError {
            action: "read the ids of",
            subject: file.path.clone(),
            source: Cause::Unusable("it lacks the columns that Feedfleet writes".into()),
        })?;
        for row in rows.live() {
            if ids.contains(&id_hash(column.value(row))) {
                found.push(rows.first_row + row as u64);
            }
        }
        Ok(())
    })?;
    Ok(found)
}
