//! The end of a diff: what becomes of the rows that the source did not mention, and the change to commit.

use super::Diff;
use crate::commit::{Change, Fence};
use crate::error::CatalogError;
use crate::snapshot::{DataFile, Snapshot};
use crate::stage::Staged;
use crate::tally::{Absent, Tally};
use crate::unmentioned::{Page, count, for_each_page, for_each_text, successors};
use feedfleet_model::{PipeName, RunId};
use std::collections::{BTreeMap, BTreeSet, HashSet};

impl Diff {
    /// Rows that the source has not mentioned and that are due to be removed or held: all of them, until
    /// some are [let wait](Self::let_wait).
    pub fn absent(&self) -> u64 {
        count(&self.unmentioned.due)
    }

    /// Lets those unmentioned rows wait that fewer than `nights` complete runs in a row have not mentioned,
    /// this run among them if it is `complete`. To be called once, after the last pass.
    pub fn let_wait(&mut self, nights: u8, complete: bool) {
        self.unmentioned.let_wait(nights, complete);
    }

    /// Rows that wait.
    pub fn waiting(&self) -> u64 {
        count(&self.unmentioned.waiting)
    }

    /// Calls `visit` with the id of every row that is due, and the complete runs in a row that have not
    /// mentioned it. After the last pass, with the snapshot that the diff began with.
    pub fn for_each_due(
        &self,
        snapshot: Option<&Snapshot>,
        visit: &mut dyn FnMut(&str, u8),
    ) -> Result<(), CatalogError> {
        for_each_text(snapshot, &self.base, &self.unmentioned.due, "id", visit)
    }

    /// As [`Diff::for_each_due`], of the rows that wait.
    pub fn for_each_waiting(
        &self,
        snapshot: Option<&Snapshot>,
        visit: &mut dyn FnMut(&str, u8),
    ) -> Result<(), CatalogError> {
        for_each_text(snapshot, &self.base, &self.unmentioned.waiting, "id", visit)
    }

    /// How many of the rows that are due have the link of a row that came after them, in this run or in one
    /// before: products that are still there, under other ids. After the last pass, with the snapshot that
    /// the diff began with.
    pub fn renamed(&self, snapshot: Option<&Snapshot>) -> Result<u64, CatalogError> {
        let Some(snapshot) = snapshot else { return Ok(0) };
        let due = &self.unmentioned.due;
        let mut gone = Vec::new();
        for_each_page(snapshot, &self.base, due, &mut |page, is_due| {
            if is_due {
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

    /// Ends the diff: the change to commit, and what it consists of.
    pub fn finish(mut self, app_id: &str, absent: Absent) -> Result<(Change, Tally), CatalogError> {
        self.tally.waiting = self.waiting();
        match absent {
            Absent::Remove => {
                self.tally.removed += self.absent();
                for (dead, due) in self.dead.iter_mut().zip(&self.unmentioned.due) {
                    dead.extend(due.iter().map(|missing| u64::from(missing.row)));
                }
            }
            Absent::Hold => self.tally.held += self.absent(),
            Absent::Keep => {}
        }
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
                dead.insert(file.path.clone(), rows);
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
            metrics: metrics(&tally),
            data_change: true,
        };
        Ok((change, tally))
    }
}

/// A change that only moves the fence: the run found nothing to change.
pub fn nothing_changed(pipe: &PipeName, run: RunId, app_id: &str, base: Vec<DataFile>) -> Change {
    let live = base.iter().map(|f| f.rows - f.dead_rows().min(f.rows)).sum();
    Change {
        pipe: pipe.clone(),
        base,
        adds: Vec::new(),
        dead: BTreeMap::new(),
        drops: BTreeSet::new(),
        fence: Fence { app_id: app_id.to_owned(), run: run.0 },
        metrics: metrics(&Tally { live_before: live, unchanged: live, ..Tally::default() }),
        data_change: true,
    }
}

fn metrics(tally: &Tally) -> Vec<(&'static str, u64)> {
    vec![
        ("new", tally.new),
        ("changed", tally.changed),
        ("unchanged", tally.unchanged),
        ("removed", tally.removed),
        ("held", tally.held),
        ("duplicates", tally.duplicates),
    ]
}
