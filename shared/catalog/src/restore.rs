//! Rollback: a pipe is put back as a run left it, by a new commit; other pipes, and history, stay as they are.
//! What is dead and should live is read from the old files and written anew, with its lineage as it was; what
//! lives and should not is marked dead. A file that is lost, or whose deletion vector is, cannot be read: it is taken
//! out whole.

use crate::commit::{Change, CommitOutcome, Fence};
use crate::error::{CatalogError, Context};
use crate::history::{History, Marks};
use crate::log_files::{is_present, read_entries, snapshot_at};
use crate::moved::{Part, settle, without};
use crate::read;
use crate::snapshot::{DataFile, FileIdentity, Snapshot};
use crate::stage::Parts;
use crate::table::Table;
use crate::writer::NewFile;
use crate::{feed_app_id, rollback_app_id};
use feedfleet_model::{PipeName, RunId};
use std::collections::{BTreeMap, BTreeSet};

/// The name of a figure in a rollback's commit: the run of the pipe's own source that it shows since.
const SHOWN_RUN: &str = "shownRun";

/// What a rollback does to a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestorePlan {
    /// The version that holds the pipe as the run left it.
    pub from_version: u64,
    /// Rows to put back.
    pub put_back: u64,
    /// Rows to take out.
    pub taken_out: u64,
    /// Rows that stay as they are.
    pub stays: u64,
}

impl RestorePlan {
    /// Live rows of the pipe before the rollback.
    pub fn live_before(&self) -> u64 {
        self.stays + self.taken_out
    }

    /// Live rows of the pipe after it.
    pub fn live_after(&self) -> u64 {
        self.stays + self.put_back
    }

    /// Whether the pipe is already as the run left it.
    pub fn is_empty(&self) -> bool {
        self.put_back == 0 && self.taken_out == 0
    }
}

/// What a rollback did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// What was done.
    pub plan: RestorePlan,
    /// The version that says so.
    pub version: u64,
}

/// Why a pipe cannot be put back. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The run never was in the table.
    #[error("run {run} of pipe '{pipe}' is not in the table")]
    NotCommitted {
        /// The pipe.
        pipe: PipeName,
        /// The run.
        run: RunId,
    },
    /// The table's history begins after the run.
    #[error("run {run} of pipe '{pipe}' is older than the table's history{}", and_since(.oldest))]
    TooOld {
        /// The pipe.
        pipe: PipeName,
        /// The run.
        run: RunId,
        /// The oldest run of the pipe that can be gone back to.
        oldest: Option<RunId>,
    },
    /// Files that held the rows have been deleted.
    #[error(
        "run {run} of pipe '{pipe}' cannot be gone back to: {files} of its files, with {rows} rows, \
         are deleted{}", and_since(.oldest)
    )]
    Gone {
        /// The pipe.
        pipe: PipeName,
        /// The run.
        run: RunId,
        /// Files that are not there.
        files: u64,
        /// Rows that were live in them.
        rows: u64,
        /// The oldest run of the pipe, from this one on, that can be gone back to. None: an earlier one may be.
        oldest: Option<RunId>,
    },
    /// Others changed the pipe again and again.
    #[error("pipe '{pipe}' changed {} times while it was to be rolled back", MAX_ROUNDS)]
    Busy {
        /// The pipe.
        pipe: PipeName,
    },
    /// The table failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl RestoreError {
    /// Whether the same work may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Busy { .. } => true,
            Self::Catalog(e) => e.is_retryable(),
            Self::NotCommitted { .. } | Self::TooOld { .. } | Self::Gone { .. } => false,
        }
    }
}

fn and_since(oldest: &Option<RunId>) -> String {
    match oldest {
        Some(run) => format!("; the oldest after it that can be gone back to is run {run}"),
        None => String::new(),
    }
}

/// Runs of the pipe can come in between a few times, not more.
const MAX_ROUNDS: u32 = 5;

/// The version that holds the pipe as `run` left it: the newest such, if there are several.
pub fn version_of(table: &Table, pipe: &PipeName, run: RunId) -> Result<u64, RestoreError> {
    let Some(now) = table.snapshot()? else {
        return Err(RestoreError::NotCommitted { pipe: pipe.clone(), run });
    };
    History::up_to(&now, pipe)?.version_of(run)
}

/// What [`restore`] would do now. Changes nothing.
pub fn plan_restore(
    table: &Table,
    pipe: &PipeName,
    run: RunId,
) -> Result<RestorePlan, RestoreError> {
    Ok(Draft::make(table, pipe, run)?.plan)
}

/// Puts a pipe back as `run`, of the pipe or of a supplement, left it. Safe to repeat. Where there is nothing to do, the
/// fence is committed all the same: what was worked out before it, such as a run whose worker sleeps, or an approval, is
/// void from now on. `said`, such as who asked for it and why, stands in the table's history, by name.
pub fn restore(
    table: &Table,
    pipe: &PipeName,
    run: RunId,
    said: &[(&'static str, String)],
) -> Result<Restored, RestoreError> {
    for _ in 0..MAX_ROUNDS {
        let draft = Draft::make(table, pipe, run)?;
        let (plan, marks, newest) = (draft.plan, draft.marks, draft.newest);
        let change = draft.into_change(table, pipe)?;
        // A run that changed no file moves its fence alone, and the rollback's must stay ahead of it.
        let outcome = table.commit_if(&change, said, |now| {
            Ok(Marks::of(now, pipe)? == marks && newest_of_pipe(now, pipe)? == newest)
        })?;
        if let CommitOutcome::Committed { version, .. } = outcome {
            return Ok(Restored { plan, version });
        }
    }
    Err(RestoreError::Busy { pipe: pipe.clone() })
}

/// The run of its own source that a pipe shows since its newest rollback. None: there is no rollback, or nobody knows; its
/// entry may not be in the log any more, or something there be damaged.
pub fn shown_since_rollback(
    snapshot: &Snapshot,
    pipe: &PipeName,
) -> Result<Option<RunId>, CatalogError> {
    match shown_by_log(snapshot, pipe) {
        Err(e) if e.is_damage() || !e.is_retryable() => {
            tracing::warn!(%pipe, error = %e, "which run a rollback shows cannot be read");
            Ok(None)
        }
        shown => shown,
    }
}

fn shown_by_log(snapshot: &Snapshot, pipe: &PipeName) -> Result<Option<RunId>, CatalogError> {
    let app_id = rollback_app_id(pipe);
    let Some(rollback) = snapshot.fence(&app_id)? else { return Ok(None) };
    let history = History::up_to(snapshot, pipe)?;
    let Some(version) = history.version_of_rollback(rollback)? else { return Ok(None) };
    let entry = read_entries(snapshot.table(), &[version])?.next().transpose()?.flatten();
    let entry = entry.filter(|entry| entry.fences.get(&app_id) == Some(&rollback));
    let run = entry.and_then(|entry| entry.figures.get(SHOWN_RUN).copied());
    Ok(run.and_then(|run| i64::try_from(run).ok()).map(RunId))
}

/// A rollback, worked out.
struct Draft {
    plan: RestorePlan,
    /// The pipe's fences that it was worked out at.
    marks: Marks,
    /// The newest run of the pipe's own source.
    newest: Option<i64>,
    then: Snapshot,
    base: Vec<DataFile>,
    /// Rows to put back, in files as they were then.
    back: Vec<Part>,
    /// Rows to take out, in files as they are now.
    out: Vec<Part>,
    /// Files of now that are not there any more, to take out whole.
    lost: BTreeSet<String>,
}

impl Draft {
    fn make(table: &Table, pipe: &PipeName, run: RunId) -> Result<Self, RestoreError> {
        let Some(now) = table.snapshot()? else {
            return Err(RestoreError::NotCommitted { pipe: pipe.clone(), run });
        };
        let history = History::up_to(&now, pipe)?;
        let from_version = history.version_of(run)?;
        let then = snapshot_at(table, from_version)?;
        let base = now.files(Some(pipe))?;
        let files = then.files(Some(pipe))?;

        let gone = missing(table, &files)?;
        if !gone.is_empty() {
            return Err(RestoreError::Gone {
                pipe: pipe.clone(),
                run,
                files: gone.len() as u64,
                rows: gone.iter().map(|file| file.live_rows()).sum(),
                oldest: history.oldest_restorable(from_version, run)?,
            });
        }
        let whole: BTreeSet<FileIdentity> = files.iter().map(DataFile::identity).collect();
        let lost = missing(table, base.iter().filter(|file| !whole.contains(&file.identity())))?;
        let lost_rows: u64 = lost.iter().map(|file| file.live_rows()).sum();
        let lost: BTreeSet<String> = lost.into_iter().map(|file| file.path.clone()).collect();
        let present: Vec<DataFile> =
            base.iter().filter(|file| !lost.contains(&file.path)).cloned().collect();

        let (mut back, mut out) =
            differences((&then, files.as_slice()), (&now, present.as_slice()))?;
        settle((&then, back.as_mut_slice()), (&now, out.as_mut_slice()))?;
        back.retain(|part| !part.rows.is_empty());
        out.retain(|part| !part.rows.is_empty());
        let taken_out = count(&out) + lost_rows;
        let stays = base.iter().map(DataFile::live_rows).sum::<u64>().saturating_sub(taken_out);
        let plan = RestorePlan { from_version, put_back: count(&back), taken_out, stays };
        let (marks, newest) = (Marks::of(&now, pipe)?, newest_of_pipe(&now, pipe)?);
        Ok(Self { plan, marks, newest, then, base, back, out, lost })
    }

    /// Writes the rows to put back, and says what to commit.
    fn into_change(self, table: &Table, pipe: &PipeName) -> Result<Change, CatalogError> {
        let pipe = pipe.pipe();
        let mut metrics = vec![("restored", self.plan.put_back), ("removed", self.plan.taken_out)];
        // Of the pipe's own source, be it that a run of a supplement is gone back to.
        let shown = newest_of_pipe(&self.then, &pipe)?;
        let rolled_back = self.then.fence(&rollback_app_id(&pipe))?;
        if let Some(run) = shown.filter(|run| rolled_back < Some(*run)) {
            metrics.push((SHOWN_RUN, run.unsigned_abs()));
        }
        let adds = self.write(table, &pipe)?;
        let (mut dead, mut drops) = (BTreeMap::new(), self.lost);
        for Part { file, rows } in self.out {
            if rows.len() as u64 >= file.live_rows() {
                drops.insert(file.path);
            } else {
                dead.insert(file.path, rows);
            }
        }
        // Ahead of the pipe's newest run, and so of the approval of its removals. No clock is asked.
        let run = self.marks.feed.max(self.newest).max(self.marks.rollback).unwrap_or(0) + 1;
        Ok(Change {
            base: self.base,
            adds,
            dead,
            drops,
            fence: Fence { app_id: rollback_app_id(&pipe), run },
            pipe,
            metrics,
            data_change: true,
        })
    }

    fn write(&self, table: &Table, pipe: &PipeName) -> Result<Vec<NewFile>, CatalogError> {
        let schema = table.spec().file_schema()?;
        let label = format!("restored-{}", self.plan.from_version);
        let mut parts = Parts::new(table, pipe, label, schema.clone());
        for Part { file, rows: places } in &self.back {
            read::for_each_batch(&self.then, file, None, |rows| {
                let chosen = rows.batch_of(places).context("read", &file.path)?;
                parts.write(&read::conform(&chosen, &schema)?)
            })?;
        }
        parts.finish()
    }
}

fn newest_of_pipe(snapshot: &Snapshot, pipe: &PipeName) -> Result<Option<i64>, CatalogError> {
    snapshot.fence(&feed_app_id(&pipe.pipe()))
}

/// Rows, by their place, that were live then and are not now, and those that are live now and were not then.
fn differences(
    (then, files): (&Snapshot, &[DataFile]),
    (now, base): (&Snapshot, &[DataFile]),
) -> Result<(Vec<Part>, Vec<Part>), CatalogError> {
    let (mut back, mut out) = (Vec::new(), Vec::new());
    let mut present: BTreeMap<&str, &DataFile> =
        base.iter().map(|file| (file.path.as_str(), file)).collect();
    for file in files {
        match present.remove(file.path.as_str()) {
            None => back.push(Part::live(then, file)?),
            Some(same) if same.identity() == file.identity() => {}
            Some(other) => {
                let (dead_then, dead_now) = (then.dead_rows(file)?, now.dead_rows(other)?);
                back.push(Part { file: file.clone(), rows: without(&dead_now, &dead_then) });
                out.push(Part { file: other.clone(), rows: without(&dead_then, &dead_now) });
            }
        }
    }
    for file in present.into_values() {
        out.push(Part::live(now, file)?);
    }
    Ok((back, out))
}

/// Those of the files that are not there any more.
fn missing<'a>(
    table: &Table,
    files: impl IntoIterator<Item = &'a DataFile>,
) -> Result<Vec<&'a DataFile>, CatalogError> {
    let mut missing = Vec::new();
    for file in files {
        if !is_present(table, file)? {
            missing.push(file);
        }
    }
    Ok(missing)
}

fn count(parts: &[Part]) -> u64 {
    parts.iter().map(|part| part.rows.len() as u64).sum()
}
