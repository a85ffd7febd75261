//! The catalog in an object store: as in a folder, and sure of its commits whatever their answers say.

use crate::faulty::{Fault, Faulty};
use crate::support::{
    Night, Product, compact_all, key, pipe, prepare, row, run, stored, stored_in,
};
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use feedfleet_catalog::compact::{CompactionLimits, compact};
use feedfleet_catalog::diff::Absent;
use feedfleet_catalog::restore::restore;
use feedfleet_catalog::vacuum::{VacuumLimits, Vacuumed, vacuum};
use feedfleet_catalog::writer::PartWriter;
use feedfleet_catalog::{
    Catalog, Change, CommitOutcome, Fence, Location, RunCommit, feed_app_id, pictures, read,
};
use feedfleet_model::hash::id_hash;
use feedfleet_model::{RunId, columns, keys};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use url::Url;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub fn in_store() -> (Arc<Faulty>, Catalog) {
    let store = Arc::new(Faulty::default());
    let url = Url::parse("s3://bucket/some/prefix").unwrap();
    let catalog = Catalog::open(Location::Store { url, store: store.clone() }).unwrap();
    (store, catalog)
}

pub fn products(price: i64, n: usize) -> Vec<Product> {
    (0..n).map(|i| Product { id: format!("p{i}"), title: "t".into(), price, image: 0 }).collect()
}

pub fn night<'a>(name: &str, run: i64, records: &'a [Product]) -> Night<'a> {
    Night { run: key(name, run), records, absent: Absent::Remove, shares: 1 }
}

/// Names of all objects, below the prefix.
fn objects(store: &Faulty) -> BTreeSet<String> {
    let listed: Vec<ObjectMeta> = wait(store.inner.list(None).try_collect()).unwrap();
    listed.iter().map(|meta| meta.location.as_ref().replace("some/prefix/", "")).collect()
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

pub fn data_files(store: &Faulty) -> BTreeSet<String> {
    objects(store).into_iter().filter(|path| !path.contains("_delta_log")).collect()
}

pub fn version(catalog: &Catalog) -> u64 {
    catalog.products().snapshot().unwrap().unwrap().version()
}

fn compacting() -> CompactionLimits {
    CompactionLimits { dead_share: -1.0, small_files: 0, small_bytes: u64::MAX }
}

#[test]
fn nights_go_as_in_a_folder() {
    let (store, catalog) = in_store();
    let table = catalog.products();
    assert!(table.snapshot().unwrap().is_none());
    assert_eq!(objects(&store), BTreeSet::new(), "nothing is made before the first commit");

    let (_folder, beside) = crate::support::catalog();
    let mut records = products(1, 200);
    for night_id in 1..=4 {
        for catalog in [&catalog, &beside] {
            run(catalog, &night("acme", night_id, &records));
            run(catalog, &night("other", night_id, &products(night_id, 20)));
        }
        assert_eq!(stored(&catalog, "acme"), stored(&beside, "acme"), "night {night_id}");
        records[3 * night_id as usize].price += 7;
        records.remove(50);
        records.push(Product { id: format!("new-{night_id}"), ..records[0].clone() });
        if night_id == 2 {
            compact_all(&catalog, "acme");
            table.snapshot().unwrap().unwrap().checkpoint().unwrap();
        }
    }
    assert!(data_files(&store).iter().any(|path| path.contains("deletion_vector_")));
    let expected = stored(&beside, "acme");
    restore(beside.products(), &pipe("acme"), RunId(2), &[]).unwrap();
    restore(table, &pipe("acme"), RunId(2), &[]).unwrap();
    assert_eq!(stored(&catalog, "acme"), stored(&beside, "acme"));
    assert_ne!(stored(&catalog, "acme"), expected);
}

#[test]
fn pipes_commit_side_by_side_and_first_commits_do_not_mix() {
    let (_, catalog) = in_store();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let catalog = catalog.clone();
            scope.spawn(move || {
                for round in 1..=5 {
                    let records = products(round, 20);
                    run(&catalog, &night(&format!("pipe-{worker}"), round, &records));
                }
            });
        }
    });
    assert_eq!(version(&catalog), 20, "the creation, and one version a run");
    for worker in 0..4 {
        let rows = stored(&catalog, &format!("pipe-{worker}"));
        assert!(rows.len() == 20 && rows.values().all(|p| p.price == 5));
    }
}

/// Promise 5: whoever finds a run in the table learns from its commit what it did.
#[test]
fn a_commit_says_what_its_run_did() {
    let (_, catalog) = in_store();
    let table = catalog.products();
    let app_id = feed_app_id(&pipe("acme"));
    assert_eq!(table.commit_of(&app_id, 1).unwrap(), None, "there is no table");
    let (mut change, _) = prepare(&catalog, &night("acme", 3, &products(1, 10)));
    change.metrics = vec![("seen", 10)];
    table.commit(&change).unwrap();
    // More than are read at once.
    for run_id in 1..=9 {
        run(&catalog, &night("other", run_id, &products(run_id, 3)));
    }
    let figures = BTreeMap::from([("seen".to_owned(), 10)]);
    assert_eq!(table.commit_of(&app_id, 3).unwrap(), Some(RunCommit { version: 1, figures }));
    assert_eq!(table.commit_of(&app_id, 2).unwrap(), None);
}

/// Promise 6: a commit whose reply was lost is found in the log, and not repeated.
#[test]
fn a_commit_is_in_once_whatever_it_was_answered() {
    let faults: [&[Fault]; 6] = [
        &[Fault::LostReply],
        &[Fault::MetItself],
        &[Fault::Unavailable, Fault::Unavailable, Fault::LostReply],
        &[Fault::Conflict],
        &[Fault::Conflict, Fault::MetItself],
        &[Fault::Unavailable, Fault::Conflict, Fault::Unavailable],
    ];
    let (store, catalog) = in_store();
    run(&catalog, &night("acme", 1, &products(1, 10)));
    for (run_id, faults) in (2..).zip(faults) {
        let (change, _) = prepare(&catalog, &night("acme", run_id, &products(run_id, 10)));
        let before = version(&catalog);
        store.expect(faults);
        let outcome = catalog.products().commit(&change).unwrap();
        let CommitOutcome::Committed { version: at, .. } = outcome else {
            panic!("{faults:?}: {outcome:?}")
        };
        assert!(store.is_done(), "{faults:?}");
        assert_eq!((at, version(&catalog)), (before + 1, before + 1), "{faults:?}");
        assert!(stored(&catalog, "acme").values().all(|p| p.price == run_id));
        assert_eq!(catalog.products().commit(&change).unwrap(), CommitOutcome::AlreadyIn);
    }
}

#[test]
fn a_table_is_created_once_whatever_that_was_answered() {
    for fault in [Fault::LostReply, Fault::MetItself, Fault::Unavailable, Fault::Conflict] {
        let (store, catalog) = in_store();
        store.expect(&[fault]);
        run(&catalog, &night("acme", 1, &products(1, 10)));
        assert!(store.is_done());
        assert_eq!((version(&catalog), stored(&catalog, "acme").len()), (1, 10), "{fault:?}");
    }
}

#[test]
fn what_cannot_be_found_out_is_an_error_and_the_next_try_goes_on_from_the_log() {
    let (store, catalog) = in_store();
    run(&catalog, &night("acme", 1, &products(1, 10)));
    let (change, _) = prepare(&catalog, &night("acme", 2, &products(2, 10)));
    store.expect(&[Fault::Denied]);
    let e = catalog.products().commit(&change).unwrap_err();
    assert!(e.is_retryable() && e.to_string().contains("403"), "{e}");
    store.expect(&[Fault::Unavailable; 6]);
    let e = catalog.products().commit(&change).unwrap_err();
    assert!(e.is_retryable() && e.to_string().contains("SlowDown"), "{e}");
    assert!(store.is_done());
    assert_eq!(version(&catalog), 1, "nothing was written");
    assert!(matches!(
        catalog.products().commit(&change).unwrap(),
        CommitOutcome::Committed { version: 2, .. }
    ));
}

/// What a compaction or a rollback has written is deleted if its commit was not its own. It must know its own.
#[test]
fn files_of_a_commit_whose_reply_was_lost_stay() {
    for fault in [Fault::LostReply, Fault::MetItself] {
        let (store, catalog) = in_store();
        let table = catalog.products();
        run(&catalog, &night("acme", 1, &products(1, 10)));
        let first = stored(&catalog, "acme");
        run(&catalog, &night("acme", 2, &products(2, 10)));
        let rows = stored(&catalog, "acme");

        store.expect(&[fault]);
        let snapshot = table.snapshot().unwrap().unwrap();
        let done = compact(table, &snapshot, &pipe("acme"), compacting()).unwrap();
        assert!(done.is_some() && store.is_done());
        assert_eq!(stored(&catalog, "acme"), rows);

        store.expect(&[fault]);
        assert!(!restore(table, &pipe("acme"), RunId(1), &[]).unwrap().plan.is_empty());
        assert!(store.is_done());
        assert_eq!(stored(&catalog, "acme"), first);
    }
}

/// What did not go in leaves its room at once; what may have, stays.
#[test]
fn the_files_of_a_change_go_with_it_unless_it_may_be_in() {
    let (store, catalog) = in_store();
    let table = catalog.products();
    let files = || data_files(&store).len();
    run(&catalog, &night("acme", 1, &products(1, 10)));
    assert_eq!(files(), 1);
    drop(prepare(&catalog, &night("acme", 9, &products(9, 10))));
    assert_eq!(files(), 1, "it was not tried");

    let (moved, _) = prepare(&catalog, &night("acme", 9, &products(9, 10)));
    let (change, _) = prepare(&catalog, &night("acme", 2, &products(2, 10)));
    assert_eq!(files(), 3);
    store.expect(&[Fault::LostReply]);
    assert!(matches!(table.commit(&change).unwrap(), CommitOutcome::Committed { .. }));
    drop(change);
    assert_eq!(table.commit(&moved).unwrap(), CommitOutcome::Moved);
    drop(moved);
    assert_eq!(files(), 2);

    let (unsure, _) = prepare(&catalog, &night("acme", 3, &products(3, 10)));
    store.expect(&[Fault::Denied]);
    assert!(table.commit(&unsure).is_err());
    drop(unsure);
    assert_eq!(files(), 3);
}

#[test]
fn a_compaction_that_was_overtaken_takes_its_files_back() {
    let (store, catalog) = in_store();
    let table = catalog.products();
    run(&catalog, &night("acme", 1, &products(1, 10)));
    let before = table.snapshot().unwrap().unwrap();
    run(&catalog, &night("acme", 2, &products(2, 10)));
    let files = data_files(&store);
    let done = compact(table, &before, &pipe("acme"), compacting()).unwrap();
    assert_eq!(done, None);
    assert_eq!(data_files(&store), files);
}

/// Promise 13: upkeep never deletes live or in-progress files.
#[test]
fn a_vacuum_spares_the_window_and_work_in_progress() {
    let (store, catalog) = in_store();
    let table = catalog.products();
    for run_id in 1..=6 {
        run(&catalog, &night("acme", run_id, &products(run_id, 10)));
        if run_id == 5 {
            table.snapshot().unwrap().unwrap().checkpoint().unwrap();
        }
    }
    let rows: Vec<_> = (1..=6).map(|v| table.snapshot_at(v).unwrap().unwrap()).collect();
    let rows: Vec<_> = rows.iter().map(|snapshot| stored_in(snapshot, "acme")).collect();
    let schema = table.spec().file_schema().unwrap();
    let slow = PartWriter::create(table, &pipe("acme"), "slow", schema).unwrap();
    let notes = Path::from("some/prefix/products/pipe=acme/notes.txt");
    wait(store.inner.put(&notes, "12345".into())).unwrap();
    let before = objects(&store);

    let limits = |days| VacuumLimits { keep: DAY * days, grace: VacuumLimits::GRACE };
    let soon = SystemTime::now() + Duration::from_secs(60 * 60);
    assert_eq!(vacuum(table, limits(0), soon, true).unwrap().files, 0, "all files are young");
    let later = SystemTime::now() + DAY * 2;
    let only_the_slow = vacuum(table, limits(3), later, true).unwrap();
    assert_eq!((only_the_slow.files, only_the_slow.log_entries), (1, 0), "all versions are kept");
    assert_eq!(objects(&store), before, "dry runs delete nothing");

    drop(slow);
    wait_until("the draft is taken back", || objects(&store).len() < before.len());
    let planned = vacuum(table, limits(0), later, true).unwrap();
    let done = vacuum(table, limits(0), later, false).unwrap();
    assert_eq!(done, planned);
    assert_eq!((done.files, done.log_entries), (5, 5), "{done:?}");
    assert_eq!(data_files(&store).len(), 2, "one file, and the notes");
    for v in 5..=6 {
        let there = table.snapshot_at(v).is_ok();
        assert!(there, "version {v} has its log");
    }
    assert_eq!(stored(&catalog, "acme"), rows[5]);
    assert!(table.snapshot_at(1).is_err());
    assert_eq!(vacuum(table, limits(0), later, false).unwrap(), Vacuumed::default());
    run(&catalog, &night("acme", 7, &products(7, 3)));
    assert_eq!(stored(&catalog, "acme").len(), 3);
}

#[test]
fn a_table_that_lacks_a_file_is_not_vacuumed_and_a_writer_that_lost_one_does_not_commit() {
    let (store, catalog) = in_store();
    let table = catalog.products();
    run(&catalog, &night("acme", 1, &products(1, 10)));
    let (change, _) = prepare(&catalog, &night("acme", 2, &products(2, 10)));
    let path = format!("some/prefix/products/{}", change.adds[0].path);
    wait(store.inner.put(&Path::from(path.as_str()), "cut off".into())).unwrap();
    let e = table.commit(&change).unwrap_err();
    assert!(e.is_retryable() && e.to_string().contains("it has 7 bytes of"), "{e}");
    wait(store.inner.delete(&Path::from(path.as_str()))).unwrap();
    let e = table.commit(&change).unwrap_err();
    assert!(e.is_retryable() && e.to_string().contains("it is gone"), "{e}");

    let snapshot = table.snapshot().unwrap().unwrap();
    let live = snapshot.store_path(&snapshot.files(None).unwrap()[0]).unwrap();
    wait(store.inner.delete(&live)).unwrap();
    let limits = VacuumLimits { keep: DAY, grace: VacuumLimits::GRACE };
    let e = vacuum(table, limits, SystemTime::now() + DAY * 9, false).unwrap_err();
    assert!(e.to_string().contains("is missing, so nothing is deleted"), "{e}");
    assert_eq!(snapshot.stored_bytes(&snapshot.files(None).unwrap()).unwrap()[0], None);
}

/// Pictures are deleted when no file names them: a file on its way must not be overlooked.
#[test]
fn rows_on_their_way_are_not_overlooked() {
    let (_, catalog) = in_store();
    let table = catalog.products();
    run(&catalog, &night("acme", 1, &products(1, 3)));
    let named = || {
        let mut found = BTreeSet::new();
        let read = pictures::for_each_named(table, &pipe("acme"), &mut |hash| {
            found.insert(hash);
        });
        read.map(|()| found)
    };
    let product = row(&products(1, 1)[0]);
    let picture = keys::address_hash(product.text(columns::IMAGE_LINK).unwrap());
    assert!(named().unwrap().contains(&picture));
    let schema = table.spec().file_schema().unwrap();
    let writer = PartWriter::create(table, &pipe("acme"), "slow", schema).unwrap();
    assert!(named().is_err(), "a file is being written");
    drop(writer);
    wait_until("the draft is taken back", || named().is_ok());
}

/// More rows than a group holds: the next group is fetched while one is read.
#[test]
fn large_files_are_read_group_by_group() {
    const ROWS: i64 = 600_000;
    const PIECE: i64 = 20_000;
    let (_, catalog) = in_store();
    let table = catalog.products();
    let schema = table.spec().file_schema().unwrap();
    let mut writer = PartWriter::create(table, &pipe("acme"), "large", schema.clone()).unwrap();
    for first in (0..ROWS).step_by(PIECE as usize) {
        let ids = (first..first + PIECE).map(|n| format!("{:x}", id_hash(&n.to_string())));
        let runs = Int64Array::from_iter_values(first..first + PIECE);
        let batch = RecordBatch::try_from_iter([
            ("id", Arc::new(StringArray::from_iter_values(ids)) as ArrayRef),
            ("run", Arc::new(runs)),
        ]);
        writer.write(&read::conform(&batch.unwrap(), &schema).unwrap()).unwrap();
    }
    let file = writer.finish().unwrap().unwrap();
    assert!(file.size_bytes > 8 * 1024 * 1024, "it went up whole: {} bytes", file.size_bytes);
    let change = Change {
        pipe: pipe("acme"),
        base: Vec::new(),
        adds: vec![file],
        dead: BTreeMap::new(),
        drops: BTreeSet::new(),
        fence: Fence { app_id: feed_app_id(&pipe("acme")), run: 1 },
        metrics: Vec::new(),
        data_change: true,
    };
    table.commit(&change).unwrap();

    let snapshot = table.snapshot().unwrap().unwrap();
    let file = &snapshot.files(None).unwrap()[0];
    for wanted in [None, Some(&["run"][..]), Some(&["run", "id", "absent"][..])] {
        let mut next = 0;
        read::for_each_batch(&snapshot, file, wanted, |rows| {
            assert_eq!(rows.first_row, next as u64);
            let runs: &Int64Array = rows.batch.column_by_name("run").unwrap().as_primitive();
            assert!(runs.values().iter().copied().eq(next..next + rows.batch.num_rows() as i64));
            next += rows.batch.num_rows() as i64;
            Ok(())
        })
        .unwrap();
        assert_eq!(next, ROWS, "{wanted:?}");
    }
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
