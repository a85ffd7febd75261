//! The end of a diff: what becomes of the rows that the source did not mention, and the change to commit.

use super::Diff;
use super::budget::parts_needed;
use crate::commit::{Change, Fence};
use crate::error::CatalogError;
use crate::snapshot::{DataFile, Snapshot};
use crate::stage::Staged;
use crate::tally::{Absent, Tally};
use crate::unmentioned::{Page, Unmentioned, count, for_each_page, for_each_text, successors};
use feedfleet_model::{Night, Nights, PipeName, RunId};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// A product that is gone needs this while it is looked for under another id: its page, its link among those wanted,
/// and the page of a product that may be the same. Each in a collection that may be half empty.
const BYTES_PER_PAGE: usize = 2 * (2 * size_of::<Page>() + size_of::<u64>());

impl Diff {
    /// Rows that the source has not mentioned and that are due to be removed or held: all of them, until
    /// some are [let wait](Self::let_wait).
    pub fn absent(&self) -> u64 {
        count(&self.unmentioned.due)
    }

    /// Lets those unmentioned rows wait that have not been absent for as many nights as are
    /// [needed](Nights::are_enough), this one included. To be called once, after the last pass.
    pub fn let_wait(&mut self, needed: u8, night: Night) {
        self.unmentioned.let_wait(needed, night);
    }

    /// Rows that wait.
    pub fn waiting(&self) -> u64 {
        count(&self.unmentioned.waiting)
    }

    /// Calls `visit` with the id of every row that is due, and the runs in a row that have not mentioned it.
    /// After the last pass, with the snapshot that the diff began with.
    pub fn for_each_due(
        &self,
        snapshot: Option<&Snapshot>,
        visit: &mut dyn FnMut(&str, Nights),
    ) -> Result<(), CatalogError> {
        for_each_text(snapshot, &self.base, &self.unmentioned.due, "id", visit)
    }

    /// As [`Diff::for_each_due`], of the rows that wait.
    pub fn for_each_waiting(
        &self,
        snapshot: Option<&Snapshot>,
        visit: &mut dyn FnMut(&str, Nights),
    ) -> Result<(), CatalogError> {
        for_each_text(snapshot, &self.base, &self.unmentioned.waiting, "id", visit)
    }

    /// How many of the rows that are due have the link of a row that came after them, in this run or in one
    /// before: products that are still there, under other ids. After the last pass, with the snapshot that
    /// the diff began with. At least so many: there may have been no room for all links of this run.
    pub fn renamed(&self, snapshot: Option<&Snapshot>) -> Result<u64, CatalogError> {
        let Some(snapshot) = snapshot else { return Ok(0) };
        // The index has gone: what it could take is free, and the links are gone through in parts of that.
        let free_bytes = self.budget_bytes - self.places_bytes.min(self.budget_bytes / 2);
        let parts = u64::from(parts_needed(self.absent(), BYTES_PER_PAGE, free_bytes));
        let mut renamed = 0;
        for part in 0..parts {
            renamed += self.renamed_among(snapshot, |link| link % parts == part)?;
        }
        Ok(renamed)
    }

    /// As [`Diff::renamed`], of the rows with these links.
    fn renamed_among(
        &self,
        snapshot: &Snapshot,
        is_among: impl Fn(u64) -> bool,
    ) -> Result<u64, CatalogError> {
        let due = &self.unmentioned.due;
        let mut gone = Vec::new();
        for_each_page(snapshot, &self.base, due, &mut |page, is_due| {
            if is_due && is_among(page.link) {
                gone.push(page);
            }
        })?;
        let wanted: HashSet<u64> = gone.iter().map(|page| page.link).collect();
        let new = self.new_links.iter().map(|&link| Page { link, first_seen: i64::MAX });
        let mut others: Vec<Page> = new.filter(|page| wanted.contains(&page.link)).collect();
        for_each_page(snapshot, &self.base, due, &mut |page, is_due| {
            if !is_due && wanted.contains(&page.link) {
                others.push(page);
            }
        })?;
        Ok(successors(gone, others))
    }

    /// Ends the diff: the change to commit, without figures for the table's history, and what it consists of.
    pub fn finish(mut self, app_id: &str, absent: Absent) -> Result<(Change, Tally), CatalogError> {
        self.tally.waiting = self.waiting();
        match absent {
            Absent::Remove => {
                self.tally.removed += self.absent();
                for (dead, due) in self.dead.iter_mut().zip(&self.unmentioned.due) {
                    dead.reserve_exact(due.len());
                    dead.extend(due.iter().map(|missing| missing.row));
                }
            }
            Absent::Hold => self.tally.held += self.absent(),
            Absent::Keep => {}
        }
        // They are counted, and named among the dead where they are to go: their memory is needed for the change.
        self.unmentioned = Unmentioned::of(0);
        self.new_links = Vec::new();
        if self.batch.rows() > 0 {
            self.stage.write(self.batch.take()?)?;
        }
        let Staged { files } = self.stage.finish()?;
        let (mut dead, mut drops) = (BTreeMap::new(), BTreeSet::new());
        for (file, rows) in self.base.iter().zip(self.dead) {
            if rows.is_empty() {
                continue;
            }
            if file.dead_rows() + rows.len() as u64 >= file.rows {
                drops.insert(file.path.clone());
            } else {
                dead.insert(file.path.clone(), rows.into_iter().map(u64::from).collect());
            }
        }
        let tally = self.tally;
        let change = Change {
            pipe: self.run.pipe.clone(),
            base: self.base,
            adds: files,
            dead,
            drops,
            fence: Fence { app_id: app_id.to_owned(), run: self.run.run.0 },
            metrics: Vec::new(),
            data_change: true,
        };
        Ok((change, tally))
    }
}

/// A change that only moves the fence: the run, of a pipe or of a supplement, found nothing to change.
pub fn nothing_changed(pipe: &PipeName, run: RunId, app_id: &str, base: Vec<DataFile>) -> Change {
    Change {
        pipe: pipe.pipe(),
        base,
        adds: Vec::new(),
        dead: BTreeMap::new(),
        drops: BTreeSet::new(),
        fence: Fence { app_id: app_id.to_owned(), run: run.0 },
        metrics: Vec::new(),
        data_change: true,
    }
}
