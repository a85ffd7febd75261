//! What the table must hold of a pipe, run by run.

use super::pipe::{Night, Pipe};
use crate::faults::nights::{Item, Row};
use std::collections::{BTreeMap, BTreeSet};

/// A pipe's rows by id; each knows the run that last changed it.
pub(super) struct Ledger {
    rows: BTreeMap<String, Item>,
    /// Whether rows go only when they have been absent for two complete nights in a row.
    is_patient: bool,
    /// Those that have been absent for one. Nothing that a night lacks ever comes back.
    absent: BTreeSet<String>,
}

impl Ledger {
    /// No rows yet.
    pub(super) fn of(pipe: &Pipe) -> Self {
        Self { rows: BTreeMap::new(), is_patient: pipe.is_patient, absent: BTreeSet::new() }
    }

    /// Enters a night that was read whole: what it does not mention goes, or waits for another night. `may_count_anew`:
    /// whether what the night before knew of absent products may have been lost to it.
    pub(super) fn load(&mut self, night: &Night, may_count_anew: bool) {
        for (id, item) in &night.items {
            self.enter(night.run, id, item);
        }
        if may_count_anew && night.report["counts"]["removed"] == 0 {
            self.absent.clear();
        }
        let (is_patient, absent) = (self.is_patient, std::mem::take(&mut self.absent));
        self.rows
            .retain(|id, _| night.items.contains_key(id) || (is_patient && !absent.contains(id)));
        let waits = self.rows.keys().filter(|id| !night.items.contains_key(*id));
        self.absent = waits.cloned().collect();
    }

    /// Enters a night whose transfer ended after so many bytes: what came whole is loaded, and everything else
    /// stays. How many rows it does not mention that are held.
    pub(super) fn load_part(&mut self, night: &Night, bytes: usize, may_count_anew: bool) -> usize {
        let came = whole_items(&night.body[..bytes]);
        for (id, item) in night.items.iter().filter(|(id, _)| came.contains(*id)) {
            self.enter(night.run, id, item);
        }
        if may_count_anew && night.report["lists"]["absent"].is_null() {
            self.absent.clear();
        }
        if self.is_patient {
            // They wait, and this night does not count.
            return 0;
        }
        self.rows.keys().filter(|id| !came.contains(*id)).count()
    }

    fn enter(&mut self, run: i64, id: &str, item: &Item) {
        let known = self.rows.get(id).map(content);
        if known != Some(content(item)) {
            self.rows.insert(id.to_owned(), Item { run, ..item.clone() });
        }
    }

    /// The rows.
    pub(super) fn rows(&self) -> Vec<Row> {
        let row = |(id, item): (&String, &Item)| {
            (id.clone(), item.title.clone(), item.price_cents.map(|cents| cents * 100), item.run)
        };
        self.rows.iter().map(row).collect()
    }

    /// The numbers of the pictures that are shown.
    pub(super) fn images(&self) -> BTreeSet<u64> {
        self.rows.values().filter_map(|item| item.image).collect()
    }
}

/// What makes a row another one.
fn content(item: &Item) -> (&str, Option<i64>, Option<u64>) {
    (&item.title, item.price_cents, item.image)
}

/// The ids of the items that end before the end of the text.
fn whole_items(feed: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(feed);
    let mut items: Vec<&str> = text.split("</item>").collect();
    items.pop();
    let id = |item: &str| Some(item.split_once("<g:id>")?.1.split_once("</g:id>")?.0.to_owned());
    items.into_iter().map(|item| id(item).expect("an item has an id")).collect()
}
