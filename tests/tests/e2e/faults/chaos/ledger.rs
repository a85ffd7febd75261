//! What the table must hold of a pipe, run by run.

use super::pipe::Night;
use crate::faults::nights::{Item, Row};
use std::collections::{BTreeMap, BTreeSet};

/// A pipe's rows by id; each knows the run that last changed it.
#[derive(Default)]
pub(super) struct Ledger(BTreeMap<String, Item>);

impl Ledger {
    /// Enters a night that was read whole: what it does not mention goes.
    pub(super) fn load(&mut self, night: &Night) {
        for (id, item) in &night.items {
            self.enter(night.run, id, item);
        }
        self.0.retain(|id, _| night.items.contains_key(id));
    }

    /// Enters a night whose transfer ended after so many bytes: what came whole is loaded, and everything else
    /// stays. How many rows it does not mention.
    pub(super) fn load_part(&mut self, night: &Night, bytes: usize) -> usize {
        let came = whole_items(&night.body[..bytes]);
        for (id, item) in night.items.iter().filter(|(id, _)| came.contains(*id)) {
            self.enter(night.run, id, item);
        }
        self.0.keys().filter(|id| !came.contains(*id)).count()
    }

    fn enter(&mut self, run: i64, id: &str, item: &Item) {
        let known = self.0.get(id).map(content);
        if known != Some(content(item)) {
            self.0.insert(id.to_owned(), Item { run, ..item.clone() });
        }
    }

    /// The rows.
    pub(super) fn rows(&self) -> Vec<Row> {
        let row = |(id, item): (&String, &Item)| {
            (id.clone(), item.title.clone(), item.price_cents.map(|cents| cents * 100), item.run)
        };
        self.0.iter().map(row).collect()
    }

    /// The numbers of the pictures that are shown.
    pub(super) fn images(&self) -> BTreeSet<u64> {
        self.0.values().filter_map(|item| item.image).collect()
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
