//! A run is in once, an older one never, and one whose pipe moved is worked out anew.

use crate::support::{Night, Product, catalog, key, pipe, prepare, run, stored};
use feedfleet_catalog::compact::{CompactionLimits, compact};
use feedfleet_catalog::diff::Absent;
use feedfleet_catalog::restore::restore;
use feedfleet_catalog::{CommitOutcome, RunCommit, feed_app_id, rollback_app_id};
use feedfleet_model::RunId;
use std::collections::BTreeMap;
use std::sync::Barrier;

fn products(price: i64, n: usize) -> Vec<Product> {
    (0..n).map(|i| Product { id: format!("p{i}"), title: "t".into(), price, image: 0 }).collect()
}

fn night<'a>(name: &str, run: i64, records: &'a [Product]) -> Night<'a> {
    Night { run: key(name, run), records, absent: Absent::Remove, shares: 1 }
}

#[test]
fn a_redelivery_changes_nothing() {
    let (_folder, catalog) = catalog();
    let records = products(1, 10);
    let (change, _) = prepare(&catalog, &night("acme", 7, &records));
    assert!(matches!(
        catalog.products().commit(&change).unwrap(),
        CommitOutcome::Committed { version: 1, .. }
    ));
    for _ in 0..3 {
        assert_eq!(catalog.products().commit(&change).unwrap(), CommitOutcome::AlreadyIn);
    }
    assert_eq!(catalog.products().snapshot().unwrap().unwrap().version(), 1);
}

/// Promise 5: whoever finds a run in the table learns from its commit what it did.
#[test]
fn a_commit_says_what_its_run_did() {
    let (_folder, catalog) = catalog();
    let table = catalog.products();
    let app_id = feed_app_id(&pipe("acme"));
    assert_eq!(table.commit_of(&app_id, 1).unwrap(), None, "there is no table");
    for (number, price) in [(3, 1), (7, 2)] {
        let (mut change, _) = prepare(&catalog, &night("acme", number, &products(price, 10)));
        change.metrics = vec![("seen", 10), ("held_list", u64::MAX - number.unsigned_abs())];
        table.commit(&change).unwrap();
        run(&catalog, &night("other", number, &products(price, 3)));
    }
    let figures = |run: u64| {
        let of = |name: &str, figure| (name.to_owned(), figure);
        BTreeMap::from([of("seen", 10), of("held_list", u64::MAX - run)])
    };
    let commit = |run| table.commit_of(&app_id, run).unwrap();
    assert_eq!(commit(7), Some(RunCommit { version: 3, figures: figures(7) }));
    assert_eq!(commit(3), Some(RunCommit { version: 1, figures: figures(3) }));
    assert_eq!((commit(5), commit(8)), (None, None));

    // One entry that is damaged hides no other; of a run whose own it is, nothing is known.
    let log = table.folder().unwrap().join("_delta_log");
    for damage in [b"{\"txn\":".as_slice(), b"\xff\xfe".as_slice()] {
        std::fs::write(log.join(format!("{:020}.json", 3)), damage).unwrap();
        let found = |run| table.commit_of(&app_id, run).unwrap().map(|commit| commit.version);
        assert_eq!((found(3), found(7)), (Some(1), None));
    }
}

#[test]
fn a_run_that_was_overtaken_commits_nothing() {
    let (_folder, catalog) = catalog();
    let (late, _) = prepare(&catalog, &night("acme", 7, &products(1, 10)));
    run(&catalog, &night("acme", 8, &products(2, 10)));
    let outcome = catalog.products().commit(&late).unwrap();
    assert_eq!(outcome, CommitOutcome::Superseded { by: 8 });
    assert!(stored(&catalog, "acme").values().all(|p| p.price == 2));
}

/// Promise 3: a change that was worked out from other rows than the pipe has by now does not go in.
#[test]
fn stale_row_positions_are_noticed() {
    let (_folder, catalog) = catalog();
    run(&catalog, &night("acme", 1, &products(1, 10)));
    let (newer, _) = prepare(&catalog, &night("acme", 9, &products(3, 10)));
    run(&catalog, &night("acme", 5, &products(2, 12)));
    assert_eq!(catalog.products().commit(&newer).unwrap(), CommitOutcome::Moved);
    run(&catalog, &night("acme", 9, &products(3, 10)));
    assert!(stored(&catalog, "acme").values().all(|p| p.price == 3));
}

/// Promise 3: two runs of one pipe that were both worked out before there was a table do not mix.
#[test]
fn two_first_commits_of_one_pipe_do_not_mix() {
    let (_folder, catalog) = catalog();
    let (older, newer) = (products(1, 10), products(2, 12));
    let (first, _) = prepare(&catalog, &night("acme", 1, &older));
    let (second, _) = prepare(&catalog, &night("acme", 2, &newer));
    let table = catalog.products();
    assert!(matches!(table.commit(&first).unwrap(), CommitOutcome::Committed { .. }));
    assert_eq!(table.commit(&second).unwrap(), CommitOutcome::Moved);
    assert!(stored(&catalog, "acme").values().all(|p| p.price == 1));
    run(&catalog, &night("acme", 2, &newer));
    let rows = stored(&catalog, "acme");
    assert!(rows.len() == 12 && rows.values().all(|p| p.price == 2));
}

/// A rollback counts on what it found, also where there was nothing to do: a run that was worked out before it, by a
/// worker that slept, does not go in. Worked out anew, it does.
#[test]
fn a_run_that_was_rolled_back_before_it_committed_is_void() {
    let (_folder, catalog) = catalog();
    let table = catalog.products();
    run(&catalog, &night("acme", 1, &products(1, 10)));
    let rollback = || {
        let snapshot = table.snapshot().unwrap().unwrap();
        snapshot.ground(rollback_app_id(&pipe("acme"))).unwrap()
    };
    for again in 0..2 {
        let seen = rollback();
        let (late, _) = prepare(&catalog, &night("acme", 7, &products(2, 10)));
        let done = restore(table, &pipe("acme"), RunId(1), &[]).unwrap();
        assert!(done.plan.is_empty(), "{:?}", done.plan);
        assert!(rollback().run > seen.run, "rollback {again} left no trace");
        assert_eq!(table.commit_run(&late, &[seen]).unwrap(), CommitOutcome::Moved);
    }
    assert!(stored(&catalog, "acme").values().all(|p| p.price == 1));

    let (anew, _) = prepare(&catalog, &night("acme", 7, &products(2, 10)));
    let outcome = table.commit_run(&anew, &[rollback()]).unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
    assert_eq!(table.commit_run(&anew, &[]).unwrap(), CommitOutcome::AlreadyIn);
    assert!(stored(&catalog, "acme").values().all(|p| p.price == 2));
}

/// What did not go in leaves its room at once; what did, or may have, stays.
#[test]
fn the_files_of_a_change_go_with_it_unless_it_is_in() {
    let (_folder, catalog) = catalog();
    let table = catalog.products();
    let files = || std::fs::read_dir(table.folder().unwrap().join("pipe=acme")).unwrap().count();
    run(&catalog, &night("acme", 1, &products(1, 10)));
    assert_eq!(files(), 1);

    drop(prepare(&catalog, &night("acme", 9, &products(9, 10))));
    assert_eq!(files(), 1, "it was not tried");
    let (moved, _) = prepare(&catalog, &night("acme", 9, &products(9, 10)));
    let (older, _) = prepare(&catalog, &night("acme", 2, &products(2, 10)));
    let (twin, _) = prepare(&catalog, &night("acme", 3, &products(3, 10)));
    let (change, _) = prepare(&catalog, &night("acme", 3, &products(3, 10)));
    assert!(matches!(table.commit(&change).unwrap(), CommitOutcome::Committed { .. }));
    assert_eq!(files(), 5);
    for (void, outcome) in [
        (moved, CommitOutcome::Moved),
        (older, CommitOutcome::Superseded { by: 3 }),
        (twin, CommitOutcome::AlreadyIn),
    ] {
        assert_eq!(table.commit(&void).unwrap(), outcome);
    }
    assert_eq!(files(), 2);
    assert_eq!(table.commit(&change).unwrap(), CommitOutcome::AlreadyIn);
    drop(change);
    assert_eq!(files(), 2);
    assert!(stored(&catalog, "acme").values().all(|p| p.price == 3));
}

#[test]
fn a_compaction_that_was_overtaken_commits_nothing() {
    let (_folder, catalog) = catalog();
    run(&catalog, &night("acme", 1, &products(1, 10)));
    let before = catalog.products().snapshot().unwrap().unwrap();
    run(&catalog, &night("acme", 2, &products(2, 10)));
    let limits = CompactionLimits { dead_share: -1.0, small_files: 0, small_bytes: u64::MAX };
    let done = compact(catalog.products(), &before, &pipe("acme"), limits).unwrap();
    assert_eq!(done, None);
    assert!(stored(&catalog, "acme").values().all(|p| p.price == 2));
}

#[test]
fn pipes_commit_side_by_side_and_first_commits_do_not_mix() {
    let (_folder, catalog) = catalog();
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
    let snapshot = catalog.products().snapshot().unwrap().unwrap();
    assert_eq!(snapshot.version(), 20, "the creation, and one version a run");
    for worker in 0..4 {
        let rows = stored(&catalog, &format!("pipe-{worker}"));
        assert_eq!(rows.len(), 20);
        assert!(rows.values().all(|p| p.price == 5));
    }
}

/// A table comes to be while its first writers race for it, and one of them may be killed at any moment.
#[test]
fn first_writers_stand_in_no_way_of_each_other() {
    const WRITERS: usize = 8;
    for _ in 0..40 {
        let (_folder, catalog) = catalog();
        let table = catalog.products();
        let folder = table.folder().unwrap();
        std::fs::create_dir_all(folder.join("_delta_log")).unwrap();
        std::fs::write(folder.join("log_entry_of-one-that-was-killed.draft"), "{").unwrap();
        let all = Barrier::new(WRITERS);
        std::thread::scope(|scope| {
            for _ in 0..WRITERS {
                scope.spawn(|| {
                    all.wait();
                    assert_eq!(table.ensure().unwrap().version(), 0);
                });
            }
        });
    }
}

/// The kernel takes any file in a log for a table.
#[test]
fn what_is_in_the_way_of_the_first_entry_is_named() {
    let (folder, catalog) = catalog();
    let log = folder.path().join("products/_delta_log");
    std::fs::create_dir_all(&log).unwrap();
    let other = log.join("00000000000000000000.json.copy");
    std::fs::write(&other, "").unwrap();
    let told = catalog.products().ensure().map(|_| ()).unwrap_err();
    let way_out = format!("but another file, '{}': move that out of there", other.display());
    assert!(told.to_string().ends_with(&way_out), "{told}");
    assert!(told.is_retryable());
    std::fs::remove_file(other).unwrap();
    assert_eq!(catalog.products().ensure().unwrap().version(), 0);
}

#[test]
fn a_checkpointed_log_reads_the_same() {
    let (_folder, catalog) = catalog();
    for round in 1..=5 {
        run(&catalog, &night("acme", round, &products(round, 10 + round as usize)));
    }
    let expected = stored(&catalog, "acme");
    let snapshot = catalog.products().snapshot().unwrap().unwrap();
    assert_eq!(snapshot.commits_since_checkpoint(), 5);
    snapshot.checkpoint().unwrap();
    assert_eq!(catalog.products().snapshot().unwrap().unwrap().commits_since_checkpoint(), 0);
    assert_eq!(stored(&catalog, "acme"), expected);
    run(&catalog, &night("acme", 6, &products(6, 5)));
    assert_eq!(stored(&catalog, "acme").len(), 5);
}

/// What cannot be written is an error, and not somebody else's commit that is waited for.
#[test]
fn a_log_that_cannot_be_written_is_an_error() {
    let (folder, catalog) = catalog();
    // A folder has the name of the first entry, so that none can be put there.
    let entry = folder.path().join("products/_delta_log/00000000000000000000.json");
    std::fs::create_dir_all(entry).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(catalog.products().ensure().map(|_| ())).ok());
    let ended = told.recv_timeout(std::time::Duration::from_secs(30)).expect("it ends");
    assert!(ended.unwrap_err().is_retryable());
}
