//! Vacuum: what a version within the window needs, and what is being written, stays; all else goes.

use crate::support::{
    Night, Product, Stored, catalog, compact_all, key, pipe, prepare, run, stored, stored_in,
};
use feedfleet_catalog::diff::Absent;
use feedfleet_catalog::restore::{RestoreError, restore};
use feedfleet_catalog::vacuum::{VacuumLimits, Vacuumed, vacuum};
use feedfleet_catalog::{Catalog, CommitOutcome, Table, feed_app_id};
use feedfleet_model::RunId;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn at_day(day: f64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000) + DAY.mul_f64(day)
}

fn keeping(days: f64) -> VacuumLimits {
    VacuumLimits { keep: DAY.mul_f64(days), grace: VacuumLimits::GRACE }
}

/// In even nights half of the products change, in odd ones all.
fn products(night: i64) -> Vec<Product> {
    let price = |i: i64| if i % 2 == 0 { night } else { (night + 1) / 2 };
    let product = |i| Product { id: format!("p{i}"), title: "t".into(), price: price(i), image: 0 };
    (0..20).map(product).collect()
}

fn night<'a>(name: &str, run: i64, records: &'a [Product]) -> Night<'a> {
    Night { run: key(name, run), records, absent: Absent::Remove, shares: 1 }
}

/// Says of each version that it was committed on the day of its number, and of each file that it was written
/// before them all.
fn backdate(table: &Table) {
    let newest = table.snapshot().unwrap().unwrap().version();
    for version in 0..=newest {
        let path = table.folder().unwrap().join(format!("_delta_log/{version:020}.json"));
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let (before, rest) = text.split_once("\"timestamp\":").unwrap();
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let millis = at_day(version as f64).duration_since(UNIX_EPOCH).unwrap().as_millis();
        std::fs::write(&path, format!("{before}\"timestamp\":{millis}{}", &rest[digits..]))
            .unwrap();
    }
    for path in data_files(table) {
        date(&path, at_day(0.0));
    }
}

fn date(path: &Path, time: SystemTime) {
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// Everything below the table's folder but its log.
fn data_files(table: &Table) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![table.folder().unwrap().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if !path.is_dir() {
                found.push(path);
            } else if !path.ends_with("_delta_log") {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

fn at_version(table: &Table, version: u64) -> BTreeMap<String, Stored> {
    stored_in(&table.snapshot_at(version).unwrap().unwrap(), "acme")
}

/// Six nights, versions 1 to 6, with checkpoints at 2 and 5.
fn six_nights() -> (tempfile::TempDir, Catalog) {
    let (folder, catalog) = catalog();
    for run_id in 1..=6 {
        run(&catalog, &night("acme", run_id, &products(run_id)));
        if run_id == 2 || run_id == 5 {
            catalog.products().snapshot().unwrap().unwrap().checkpoint().unwrap();
        }
    }
    backdate(catalog.products());
    (folder, catalog)
}

/// Promise 13: upkeep never deletes live or in-progress files.
#[test]
fn the_window_and_work_in_progress_are_spared() {
    let (_folder, catalog) = six_nights();
    let table = catalog.products();
    let rows: Vec<_> = (0..=6).map(|version| at_version(table, version)).collect();

    let now = at_day(7.0);
    let folder = table.folder().unwrap().join("pipe=acme");
    let young = folder.join("run-9-young.parquet");
    let orphans = [
        folder.join("run-9-orphan.parquet"),
        folder.join("compacted-9-orphan.parquet.draft"),
        table.folder().unwrap().join("deletion_vector_0b7a6d1c-5e0f-4f3b-9a53-3a0a3a1f2b77.bin"),
        table.folder().unwrap().join("log_entry_0b7a6d1c-5e0f-4f3b-9a53-3a0a3a1f2b77.draft"),
    ];
    let notes = folder.join("notes.txt");
    let old = orphans.iter().map(|path| (path, 5.5));
    for (path, day) in old.chain([(&young, 6.5), (&notes, 0.0)]) {
        std::fs::write(path, "12345").unwrap();
        date(path, at_day(day));
    }

    // Three and a half days before day 7 version 3 was the newest. Files 1 and 2, and a deletion vector of
    // file 1, are needed by versions 1 and 2 alone.
    let before = data_files(table);
    let planned = vacuum(table, keeping(3.5), now, true).unwrap();
    assert_eq!(data_files(table), before, "a dry run deletes nothing");
    let done = vacuum(table, keeping(3.5), now, false).unwrap();
    assert_eq!(done, planned);
    assert_eq!((done.files, done.log_entries), (7, 2));
    assert_eq!(data_files(table).len(), before.len() - 7);
    assert!(young.exists() && notes.exists());
    assert!(!orphans.iter().any(|path| path.exists()));

    for (version, rows) in (0..).zip(&rows).skip(3).take(4) {
        assert_eq!(at_version(table, version), *rows, "version {version}");
    }
    assert!(table.snapshot_at(1).is_err(), "the log was cut off behind version 2");
    let snapshot = table.snapshot().unwrap().unwrap();
    assert_eq!(snapshot.fence(&feed_app_id(&pipe("acme"))).unwrap(), Some(6));

    let again = vacuum(table, keeping(3.5), now, false).unwrap();
    assert_eq!(again, Vacuumed::default());
}

/// Promise 13: a checkpoint stands for what is before it only if it can be read. A power cut may leave an empty one, which
/// readers pass over.
#[test]
fn a_log_is_not_cut_off_behind_an_empty_checkpoint() {
    let (_folder, catalog) = six_nights();
    let table = catalog.products();
    let rows: Vec<_> = (0..=6).map(|version| at_version(table, version)).collect();
    let log = table.folder().unwrap().join("_delta_log");
    std::fs::write(log.join(format!("{:020}.checkpoint.parquet", 5)), "").unwrap();
    std::fs::remove_file(log.join("_last_checkpoint")).unwrap();
    for dry_run in [true, false] {
        let done = vacuum(table, keeping(1.5), at_day(7.0), dry_run).unwrap();
        assert_eq!(done.log_entries, 0);
    }
    for (version, rows) in (0..).zip(&rows).skip(5) {
        assert_eq!(at_version(table, version), *rows, "version {version}");
    }
}

/// A writer of a checkpoint that is killed leaves it under another name.
#[test]
fn half_a_checkpoint_goes_with_its_version() {
    let (_folder, catalog) = six_nights();
    let table = catalog.products();
    let half = |version| {
        table.folder().unwrap().join(format!("_delta_log/{version:020}.checkpoint.parquet#1"))
    };
    let (past, needed) = (half(1), half(5));
    for path in [&past, &needed] {
        std::fs::write(path, "PAR1").unwrap();
    }
    vacuum(table, keeping(3.5), at_day(7.0), false).unwrap();
    assert!(!past.exists() && needed.exists());
}

#[test]
fn rollback_says_what_a_vacuum_has_taken() {
    let (_folder, catalog) = six_nights();
    let table = catalog.products();
    let night_3 = at_version(table, 3);
    vacuum(table, keeping(3.5), at_day(7.0), false).unwrap();

    let before = data_files(table);
    let e = restore(table, &pipe("acme"), RunId(1), &[]).unwrap_err();
    assert!(
        matches!(e, RestoreError::TooOld { oldest: Some(RunId(3)), .. }),
        "its log entry is gone: {e}"
    );
    let e = restore(table, &pipe("acme"), RunId(2), &[]).unwrap_err();
    assert!(
        matches!(e, RestoreError::Gone { files: 2, rows: 20, oldest: Some(RunId(3)), .. }),
        "its files are gone: {e}"
    );
    assert_eq!(data_files(table), before);
    assert_eq!(table.snapshot().unwrap().unwrap().version(), 6);

    restore(table, &pipe("acme"), RunId(3), &[]).unwrap();
    assert_eq!(stored(&catalog, "acme"), night_3);
}

#[test]
fn a_quiet_pipe_keeps_the_run_that_the_window_began_with() {
    let (_folder, catalog) = catalog();
    let table = catalog.products();
    run(&catalog, &night("acme", 1, &products(1)));
    run(&catalog, &night("acme", 2, &products(2)));
    let wanted = stored(&catalog, "acme");
    compact_all(&catalog, "acme");
    for run_id in 1..=4 {
        run(&catalog, &night("other", run_id, &products(run_id)));
    }
    table.snapshot().unwrap().unwrap().checkpoint().unwrap();
    run(&catalog, &night("acme", 9, &products(9)));
    backdate(table);
    let done = vacuum(table, keeping(1.0), at_day(8.5), false).unwrap();
    assert_eq!(done.log_entries, 7, "the run's own entry is among them");
    restore(table, &pipe("acme"), RunId(2), &[]).unwrap();
    assert_eq!(stored(&catalog, "acme"), wanted);
}

/// Promise 13: a writer that takes its time commits what it wrote; one that overslept commits nothing.
#[test]
fn a_slow_writer_loses_its_files_only_after_the_grace() {
    let (_folder, catalog) = catalog();
    let table = catalog.products();
    run(&catalog, &night("acme", 1, &products(1)));
    let (slow, _) = prepare(&catalog, &night("acme", 2, &products(2)));
    let soon = SystemTime::now() + Duration::from_secs(60 * 60);
    assert_eq!(vacuum(table, keeping(0.0), soon, false).unwrap(), Vacuumed::default());
    assert!(matches!(table.commit(&slow).unwrap(), CommitOutcome::Committed { .. }));
    let rows = stored(&catalog, "acme");
    assert!(rows["p0"].price == 2 && rows["p1"].price == 1);

    let (asleep, _) = prepare(&catalog, &night("acme", 3, &products(3)));
    let late = SystemTime::now() + DAY * 2;
    assert_eq!(vacuum(table, keeping(0.0), late, false).unwrap().files, 1);
    let e = table.commit(&asleep).unwrap_err();
    assert!(e.is_retryable(), "{e}");
    assert_eq!(stored(&catalog, "acme"), rows);
}

#[test]
fn a_table_that_lacks_a_file_is_not_vacuumed() {
    let (_folder, catalog) = six_nights();
    let table = catalog.products();
    let snapshot = table.snapshot().unwrap().unwrap();
    let file = &snapshot.files(None).unwrap()[0];
    std::fs::remove_file(snapshot.local_path(file).unwrap()).unwrap();
    let before = data_files(table);
    let e = vacuum(table, keeping(0.0), at_day(30.0), false).unwrap_err();
    assert!(e.to_string().contains("is missing, so nothing is deleted"), "{e}");
    assert_eq!(data_files(table), before);
}

#[test]
fn a_commit_with_a_late_clock_does_not_shorten_the_window() {
    let (_folder, catalog) = six_nights();
    let table = catalog.products();
    let path = table.folder().unwrap().join(format!("_delta_log/{:020}.json", 6));
    let text = std::fs::read_to_string(&path).unwrap();
    let day_6 = at_day(6.0).duration_since(UNIX_EPOCH).unwrap().as_millis().to_string();
    std::fs::write(&path, text.replace(&day_6, "1000")).unwrap();
    let rows: Vec<_> = (3..=6).map(|version| at_version(table, version)).collect();
    vacuum(table, keeping(3.5), at_day(7.0), false).unwrap();
    for (version, rows) in (3..=6).zip(rows) {
        assert_eq!(at_version(table, version), rows);
    }
}

fn change() -> impl Strategy<Value = (Vec<u8>, bool, bool)> {
    (prop::collection::vec(0..15u8, 0..15), any::<bool>(), any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]

    #[test]
    fn every_version_of_the_window_reads_the_same_afterwards(
        nights in prop::collection::vec(change(), 1..8),
        kept in 0..12u32,
    ) {
        let (_folder, catalog) = catalog();
        let table = catalog.products();
        for (place, (ids, compacted, checkpointed)) in nights.iter().enumerate() {
            let product = |id: &u8| {
                let price = i64::from(*id) * (place as i64 / 2);
                Product { id: format!("p{id}"), title: "t".into(), price, image: 0 }
            };
            let records: Vec<Product> = ids.iter().map(product).collect();
            run(&catalog, &night("acme", 1 + place as i64, &records));
            if *compacted {
                compact_all(&catalog, "acme");
            }
            if *checkpointed {
                table.snapshot().unwrap().unwrap().checkpoint().unwrap();
            }
        }
        backdate(table);
        let newest = table.snapshot().unwrap().unwrap().version();
        let rows: Vec<_> = (0..=newest).map(|version| at_version(table, version)).collect();
        // Half a day after version `newest`; so the window begins with the version that was the newest
        // `kept` days before.
        let now = at_day(newest as f64 + 0.5 + 20.0);
        let start = newest.saturating_sub(u64::from(kept));
        vacuum(table, keeping(f64::from(kept) + 20.0), now, false).unwrap();
        for version in start..=newest {
            prop_assert_eq!(&at_version(table, version), &rows[version as usize]);
        }
        let files = data_files(table).len();
        let nothing = vacuum(table, keeping(0.0), now, true).unwrap();
        let live = table.snapshot().unwrap().unwrap().files(None).unwrap().len();
        prop_assert!(files as u64 - nothing.files >= live as u64);
    }
}
