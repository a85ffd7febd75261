//! What is asked of an object store, and how often.

use crate::faulty::Fault;
use crate::store::{data_files, in_store, night, products, version};
use crate::support::{prepare, run, stored};
use feedfleet_catalog::CommitOutcome;
use std::sync::atomic::Ordering;

/// However many commits come first, a change's deletion vectors are written once.
#[test]
fn an_attempt_that_was_overtaken_leaves_its_vectors_to_the_next() {
    let (store, catalog) = in_store();
    let mut records = products(1, 200);
    run(&catalog, &night("acme", 1, &records));
    records[3].price = 7;
    let (change, _) = prepare(&catalog, &night("acme", 2, &records));
    assert!(!change.dead.is_empty() && change.drops.is_empty(), "{change:?}");
    store.expect(&[Fault::Overtaken; 3]);
    let outcome = catalog.products().commit(&change).unwrap();
    let CommitOutcome::Committed { version: 5, vector_bytes } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(store.is_done() && vector_bytes > 0);
    let vectors = data_files(&store).iter().filter(|f| f.contains("deletion_vector_")).count();
    assert_eq!(vectors, 1);
    let rows = stored(&catalog, "acme");
    assert_eq!((rows.len(), rows["p3"].price, rows["p4"].price), (200, 7, 1));
}

/// A store that fails is not asked for its whole log, and what it refuses to show is not taken for absent.
#[test]
fn a_store_that_fails_is_not_asked_for_more() {
    let (store, catalog) = in_store();
    run(&catalog, &night("acme", 1, &products(1, 10)));
    let before = store.reads();
    store.is_down.store(true, Ordering::Relaxed);
    let e = catalog.products().snapshot().err().unwrap();
    assert!(e.is_retryable() && e.to_string().contains("SlowDown"), "{e}");
    assert_eq!(store.reads(), before + 2, "once more for an answer that broke off");
    store.is_down.store(false, Ordering::Relaxed);
    assert_eq!(version(&catalog), 1);
}

#[test]
fn the_sizes_of_all_files_are_one_listing() {
    let (store, catalog) = in_store();
    for name in ["acme", "beta", "gamma"] {
        run(&catalog, &night(name, 1, &products(1, 10)));
    }
    let snapshot = catalog.products().snapshot().unwrap().unwrap();
    let files = snapshot.files(None).unwrap();
    let before = store.reads();
    let found = snapshot.stored_bytes(&files).unwrap();
    assert_eq!(store.reads(), before + 1);
    let expected: Vec<_> = files.iter().map(|file| Some(file.size_bytes)).collect();
    assert_eq!((found, files.len()), (expected, 3));
}

#[test]
fn whether_a_version_is_the_newest_is_two_requests() {
    let (store, catalog) = in_store();
    let table = catalog.products();
    run(&catalog, &night("acme", 1, &products(1, 10)));
    let before = store.reads();
    assert!(table.is_newest(1).unwrap());
    assert_eq!(store.reads(), before + 2);
    assert!(!table.is_newest(0).unwrap());
    run(&catalog, &night("acme", 2, &products(2, 10)));
    assert!(!table.is_newest(1).unwrap() && table.is_newest(2).unwrap());
}
