//! A pipe's history in a table: which versions hold it as a certain run left it, and the approval of what that
//! held. The fences of a pipe only grow from version to version, so its runs are found by halving.

use crate::error::CatalogError;
use crate::log_files::{LogFiles, is_present, snapshot_at};
use crate::restore::RestoreError;
use crate::snapshot::Snapshot;
use crate::table::Table;
use crate::{approval_app_id, feed_app_id, rollback_app_id};
use feedfleet_model::{PipeName, RunId};

/// One pipe's part of the versions that can be loaded, by the runs of its own source or of a supplement.
pub(crate) struct History<'a> {
    table: &'a Table,
    /// The pipe, or the supplement.
    pipe: &'a PipeName,
    oldest: u64,
    newest: u64,
}

/// Everything that changes a pipe's rows moves one of these, but for runs of other sources of the pipe; a compaction
/// moves none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    pub feed: Option<i64>,
    pub approval: Option<i64>,
    pub rollback: Option<i64>,
}

impl Marks {
    pub fn of(snapshot: &Snapshot, pipe: &PipeName) -> Result<Self, CatalogError> {
        Ok(Self {
            feed: snapshot.fence(&feed_app_id(pipe))?,
            approval: snapshot.fence(&approval_app_id(pipe))?,
            rollback: snapshot.fence(&rollback_app_id(pipe))?,
        })
    }

    /// Whether the pipe is no longer as its newest run left it.
    fn rolled_back(self) -> bool {
        self.rollback > self.feed
    }

    /// Whether no other run of the source, and no rollback, lies between these and those. An approval may: only the
    /// pipe's newest run can be approved, so it carries out what that run held.
    fn are_of_the_same_run(self, other: Self) -> bool {
        (self.feed, self.rollback) == (other.feed, other.rollback)
    }
}

impl<'a> History<'a> {
    /// The history of a pipe up to this snapshot.
    pub fn up_to(snapshot: &'a Snapshot, pipe: &'a PipeName) -> Result<Self, CatalogError> {
        let table = snapshot.table();
        let oldest = LogFiles::list(table)?.oldest_loadable(table)?;
        // A checkpoint taken, and the log cut off, since the snapshot was loaded.
        let newest = snapshot.version().max(oldest);
        Ok(Self { table, pipe, oldest, newest })
    }

    /// The newest version in which the pipe is as `run` left it: of several, it is the one whose files are
    /// the likeliest to be there still. Removals that were approved are in it, and so is what other sources of the pipe,
    /// such as its supplements, have made of it until the next run of this one.
    pub fn version_of(&self, run: RunId) -> Result<u64, RestoreError> {
        let not_committed = || RestoreError::NotCommitted { pipe: self.pipe.clone(), run };
        let first = self.first(self.oldest, |v| Ok(self.marks(v)?.feed >= Some(run.0)))?;
        let first = first.ok_or_else(not_committed)?;
        let marks = self.marks(first)?;
        let cut_off = first == self.oldest && self.oldest > 0;
        if cut_off && (marks.feed != Some(run.0) || marks.rolled_back()) {
            let oldest = self.oldest_restorable(self.oldest, run)?;
            return Err(RestoreError::TooOld { pipe: self.pipe.clone(), run, oldest });
        }
        if marks.feed != Some(run.0) {
            return Err(not_committed());
        }
        let next = self.first(first, |v| Ok(!self.marks(v)?.are_of_the_same_run(marks)))?;
        Ok(next.map_or(self.newest, |next| next - 1))
    }

    /// The oldest run after `refused`, of those in `from` and later versions, whose files are all there. Where files of
    /// the newest version are lost, there may be one that is not found; one that is found is whole.
    pub fn oldest_restorable(
        &self,
        from: u64,
        refused: RunId,
    ) -> Result<Option<RunId>, CatalogError> {
        let Some(there) = self.first(from, |v| self.is_whole(v))? else { return Ok(None) };
        let marks = self.marks(there)?;
        let begun = self.first(from, |v| Ok(self.marks(v)?.feed >= marks.feed))?.unwrap_or(there);
        // A supplement's fence may be ahead of a rollback of its pipe, and tells nothing of that: it can be the refused
        // run's still, or one's whose own files are gone.
        let is_as_left = !marks.rolled_back() && self.marks(begun)?.are_of_the_same_run(marks);
        if marks.feed > Some(refused.0) && is_as_left {
            return Ok(marks.feed.map(RunId));
        }
        let next = self.first(there, |v| Ok(self.marks(v)?.feed > marks.feed))?;
        let next = next.map(|version| self.marks(version)).transpose()?;
        Ok(next.and_then(|marks| marks.feed).map(RunId))
    }

    /// The version that the pipe's newest rollback made; the oldest one, where that was before it.
    pub fn version_of_rollback(&self, rollback: i64) -> Result<Option<u64>, CatalogError> {
        self.first(self.oldest, |v| Ok(self.marks(v)?.rollback >= Some(rollback)))
    }

    fn marks(&self, version: u64) -> Result<Marks, CatalogError> {
        Marks::of(&snapshot_at(self.table, version)?, self.pipe)
    }

    /// Whether all files of the pipe at a version are still there. Vacuum takes files that only old versions
    /// need, so what holds of a version holds of the later ones, unless files that newer ones need are lost.
    fn is_whole(&self, version: u64) -> Result<bool, CatalogError> {
        for file in snapshot_at(self.table, version)?.files(Some(self.pipe))? {
            if !is_present(self.table, &file)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The first version, not before `from`, of which `past` holds; it must hold of all later ones.
    fn first(
        &self,
        from: u64,
        past: impl Fn(u64) -> Result<bool, CatalogError>,
    ) -> Result<Option<u64>, CatalogError> {
        let (mut low, mut high) = (from, self.newest + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if past(middle)? { high = middle } else { low = middle + 1 }
        }
        Ok((low <= self.newest).then_some(low))
    }
}
