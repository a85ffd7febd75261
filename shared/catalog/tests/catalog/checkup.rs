//! What is wrong with a log that cannot be read, and that what is said to be spare can be taken away.

use crate::support::{Night, Product, Stored, catalog, key, run, stored};
use feedfleet_catalog::diff::Absent;
use feedfleet_catalog::{Catalog, DamagedCheckpoint, DamagedEntry, LogDamage};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A table with versions 0 to 6 and checkpoints of 2 and 5; what is in it, and its log.
struct Nights {
    _folder: tempfile::TempDir,
    catalog: Catalog,
    rows: BTreeMap<String, Stored>,
    log: PathBuf,
}

impl Nights {
    fn new() -> Self {
        let (folder, catalog) = catalog();
        for number in 1..=6 {
            let product =
                |i| Product { id: format!("p{i}"), title: "t".into(), price: number, image: 0 };
            let records: Vec<Product> = (0..20).map(product).collect();
            let absent = Absent::Remove;
            run(
                &catalog,
                &Night { run: key("acme", number), records: &records, absent, shares: 1 },
            );
            if number == 2 || number == 5 {
                catalog.products().snapshot().unwrap().unwrap().checkpoint().unwrap();
            }
        }
        let log = catalog.products().folder().unwrap().join("_delta_log");
        Self { _folder: folder, rows: stored(&catalog, "acme"), catalog, log }
    }

    fn entry(&self, version: u64) -> PathBuf {
        self.log.join(format!("{version:020}.json"))
    }

    fn checkpoint(&self, version: u64) -> PathBuf {
        self.log.join(format!("{version:020}.checkpoint.parquet"))
    }

    /// Asserts that the table cannot be read, and that this is why.
    #[track_caller]
    fn assert_damage(&self, expected: &LogDamage) {
        let table = self.catalog.products();
        let read = table.snapshot().and_then(|snapshot| snapshot.unwrap().files(None));
        assert!(read.is_err(), "it can be read");
        assert_eq!(table.log_damage().unwrap().as_ref(), Some(expected));
    }

    /// Asserts that the table is as it was.
    #[track_caller]
    fn assert_whole(&self) {
        assert_eq!(stored(&self.catalog, "acme"), self.rows);
        assert_eq!(self.catalog.products().log_damage().unwrap(), None);
    }
}

/// Cuts a file in half.
fn damage(file: &Path) {
    let bytes = fs::read(file).unwrap();
    fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
}

fn checkpoint(version: u64, is_spare: bool) -> LogDamage {
    let name = format!("{version:020}.checkpoint.parquet");
    LogDamage::Checkpoint(DamagedCheckpoint { name, is_spare })
}

#[test]
fn a_damaged_checkpoint_is_spare_where_an_older_one_is_there() {
    let nights = Nights::new();
    nights.assert_whole();
    damage(&nights.checkpoint(5));
    nights.assert_damage(&checkpoint(5, true));
    fs::remove_file(nights.checkpoint(5)).unwrap();
    // The log's note of it is there yet.
    nights.assert_damage(&checkpoint(5, true));
    fs::remove_file(nights.log.join("_last_checkpoint")).unwrap();
    nights.assert_whole();

    // Without any, the first entry is begun with.
    damage(&nights.checkpoint(2));
    nights.assert_damage(&checkpoint(2, true));
    fs::remove_file(nights.checkpoint(2)).unwrap();
    nights.assert_whole();
}

#[test]
fn a_damaged_checkpoint_is_not_spare_where_what_came_before_has_gone() {
    let nights = Nights::new();
    damage(&nights.checkpoint(5));
    damage(&nights.entry(4));
    nights.assert_damage(&checkpoint(5, false));

    // As a vacuum leaves it.
    let nights = Nights::new();
    for version in 0..5 {
        fs::remove_file(nights.entry(version)).unwrap();
    }
    fs::remove_file(nights.checkpoint(2)).unwrap();
    nights.assert_whole();
    damage(&nights.checkpoint(5));
    nights.assert_damage(&checkpoint(5, false));
    fs::remove_file(nights.checkpoint(5)).unwrap();
    nights.assert_damage(&checkpoint(5, false));
    fs::remove_file(nights.log.join("_last_checkpoint")).unwrap();
    nights.assert_damage(&checkpoint(5, false));
}

#[test]
fn a_damaged_entry_is_named_with_those_after_it() {
    let nights = Nights::new();
    damage(&nights.entry(6));
    let entry = DamagedEntry { name: format!("{:020}.json", 6), newer: 0 };
    nights.assert_damage(&LogDamage::Entry(entry));

    // A checkpoint stands for those before it.
    let nights = Nights::new();
    damage(&nights.entry(4));
    nights.assert_whole();
}

#[test]
fn an_empty_entry_is_found_in_a_log_that_can_be_read() {
    let nights = Nights::new();
    let products = nights.catalog.products();
    let entry = |version, newer| DamagedEntry { name: format!("{version:020}.json"), newer };
    assert_eq!(products.empty_entry().unwrap(), None);
    fs::write(nights.entry(6), "").unwrap();
    products.snapshot().and_then(|snapshot| snapshot.unwrap().files(None)).unwrap();
    assert_eq!(products.empty_entry().unwrap(), Some(entry(6, 0)));
    assert_eq!(products.log_damage().unwrap(), None);

    // A checkpoint stands for those before it.
    let nights = Nights::new();
    let products = nights.catalog.products();
    fs::write(nights.entry(4), "").unwrap();
    assert_eq!(products.empty_entry().unwrap(), None);
    nights.assert_whole();
    fs::remove_file(nights.checkpoint(5)).unwrap();
    assert_eq!(products.empty_entry().unwrap(), Some(entry(4, 2)));

    // It is not to blame for the damage of another.
    fs::remove_file(nights.log.join("_last_checkpoint")).unwrap();
    damage(&nights.entry(6));
    nights.assert_damage(&LogDamage::Entry(entry(6, 0)));
}
