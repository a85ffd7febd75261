//! Approval removes what was held, once, and only while the pipe is as the run left it.

use crate::support::{Night, Product, catalog, compact_all, key, pipe, run, stored};
use feedfleet_catalog::diff::Absent;
use feedfleet_catalog::restore::{RestoreError, plan_restore, restore, shown_since_rollback};
use feedfleet_catalog::retire::{Retirement, refused, retire};
use feedfleet_catalog::{Catalog, Table};
use feedfleet_model::RunId;
use feedfleet_model::hash::id_hash;
use std::collections::HashSet;

fn products(ids: std::ops::Range<usize>) -> Vec<Product> {
    let product = |i| Product { id: format!("p{i}"), title: "t".into(), price: 1, image: 0 };
    ids.map(product).collect()
}

fn night(catalog: &Catalog, name: &str, run_id: i64, records: &[Product], absent: Absent) {
    run(catalog, &Night { run: key(name, run_id), records, absent, shares: 1 });
}

/// Ten products; in run 2 the source names the first four only, and the removal of the others is held.
fn held() -> (tempfile::TempDir, Catalog, HashSet<u128>) {
    let (folder, catalog) = catalog();
    night(&catalog, "other", 1, &products(0..10), Absent::Remove);
    night(&catalog, "acme", 1, &products(0..10), Absent::Remove);
    night(&catalog, "acme", 2, &products(0..4), Absent::Hold);
    let ids = products(4..10).iter().map(|p| id_hash(&p.id)).collect();
    (folder, catalog, ids)
}

fn version(table: &Table) -> u64 {
    table.snapshot().unwrap().unwrap().version()
}

/// Promise 12: what a run held back goes only when an operator says so, and then exactly that.
#[test]
fn approval_removes_exactly_what_was_held_and_only_once() {
    let (_folder, catalog, ids) = held();
    let table = catalog.products();
    let other = stored(&catalog, "other");
    assert_eq!(stored(&catalog, "acme").len(), 10);
    let before = version(table);
    assert_eq!(refused(table, &pipe("acme"), RunId(2)).unwrap(), None);
    assert_eq!(version(table), before, "a look changes nothing");

    let done = retire(table, &pipe("acme"), RunId(2), &ids).unwrap();
    assert_eq!(done, Retirement::Done { removed: 6, version: version(table) });
    assert_eq!(stored(&catalog, "acme").into_keys().collect::<Vec<_>>(), ["p0", "p1", "p2", "p3"]);
    assert_eq!(stored(&catalog, "other"), other);

    let before = version(table);
    let again = retire(table, &pipe("acme"), RunId(2), &ids).unwrap();
    assert_eq!((again, version(table)), (Retirement::AlreadyIn, before));
    assert_eq!(refused(table, &pipe("acme"), RunId(2)).unwrap(), Some(Retirement::AlreadyIn));
}

#[test]
fn a_compaction_in_between_does_not_matter() {
    let (_folder, catalog, ids) = held();
    night(&catalog, "acme", 3, &products(0..2), Absent::Hold);
    compact_all(&catalog, "acme");
    let done = retire(catalog.products(), &pipe("acme"), RunId(3), &ids).unwrap();
    assert!(matches!(done, Retirement::Done { removed: 6, .. }), "{done:?}");
    assert_eq!(stored(&catalog, "acme").len(), 4);
}

#[test]
fn a_file_of_which_nothing_is_left_goes_whole() {
    let (_folder, catalog, _) = held();
    let all = products(0..10).iter().map(|p| id_hash(&p.id)).collect();
    let done = retire(catalog.products(), &pipe("acme"), RunId(2), &all).unwrap();
    assert!(matches!(done, Retirement::Done { removed: 10, .. }), "{done:?}");
    let snapshot = catalog.products().snapshot().unwrap().unwrap();
    assert!(snapshot.files(Some(&pipe("acme"))).unwrap().is_empty());
}

#[test]
fn a_pipe_that_moved_on_is_left_alone() {
    let (_folder, catalog, ids) = held();
    let table = catalog.products();
    // It changes no row, and no file: the fence alone tells.
    night(&catalog, "acme", 3, &products(0..10), Absent::Remove);
    let before = version(table);
    let refused = retire(table, &pipe("acme"), RunId(2), &ids).unwrap();
    assert_eq!(refused, Retirement::MovedOn { by: RunId(3) });
    let unknown = retire(table, &pipe("acme"), RunId(4), &ids).unwrap();
    assert_eq!(unknown, Retirement::NotCommitted);
    assert_eq!((stored(&catalog, "acme").len(), version(table)), (10, before));
}

#[test]
fn a_rollback_in_between_ends_it() {
    let (_folder, catalog, ids) = held();
    let table = catalog.products();
    night(&catalog, "acme", 5, &products(4..12), Absent::Hold);
    restore(table, &pipe("acme"), RunId(2), &[]).unwrap();
    let before = version(table);
    let refused = retire(table, &pipe("acme"), RunId(5), &ids).unwrap();
    assert_eq!((refused, version(table)), (Retirement::RolledBack, before));
    assert_eq!(stored(&catalog, "acme").len(), 10);

    night(&catalog, "acme", 9, &products(0..4), Absent::Hold);
    let done = retire(table, &pipe("acme"), RunId(9), &ids).unwrap();
    assert!(matches!(done, Retirement::Done { removed: 6, .. }), "the next run counts again");
}

/// Promise 12: the held run changed nothing itself, so that its rollback finds nothing to do; it counts all the same.
#[test]
fn a_rollback_that_finds_nothing_to_do_ends_it_too() {
    let (_folder, catalog, ids) = held();
    let table = catalog.products();
    let done = restore(table, &pipe("acme"), RunId(1), &[]).unwrap();
    assert!(done.plan.is_empty(), "{:?}", done.plan);
    let refused = retire(table, &pipe("acme"), RunId(2), &ids).unwrap();
    assert_eq!(refused, Retirement::RolledBack);
    assert_eq!(stored(&catalog, "acme").len(), 10);
}

#[test]
fn an_approval_is_undone_by_going_back_to_the_run_before() {
    let (_folder, catalog, ids) = held();
    let table = catalog.products();
    let before = stored(&catalog, "acme");
    retire(table, &pipe("acme"), RunId(2), &ids).unwrap();
    let restored = restore(table, &pipe("acme"), RunId(1), &[]).unwrap();
    assert_eq!((restored.plan.put_back, restored.plan.taken_out), (6, 0));
    let shown = shown_since_rollback(&table.snapshot().unwrap().unwrap(), &pipe("acme"));
    assert_eq!(shown.unwrap(), Some(RunId(1)));
    assert_eq!(stored(&catalog, "acme"), before);
    let again = retire(table, &pipe("acme"), RunId(2), &ids).unwrap();
    assert_eq!(again, Retirement::RolledBack);
}

/// A rollback to a run that was approved does not bring back what was approved. One to a run that was not keeps what
/// that held.
#[test]
fn a_run_is_gone_back_to_with_its_approval() {
    for (approved, compacted) in [(true, false), (true, true), (false, false)] {
        let (_folder, catalog, ids) = held();
        let table = catalog.products();
        if approved {
            retire(table, &pipe("acme"), RunId(2), &ids).unwrap();
        }
        if compacted {
            compact_all(&catalog, "acme");
        }
        let after = stored(&catalog, "acme");
        let live: usize = if approved { 4 } else { 10 };
        assert_eq!(after.len(), live);
        let wrong: Vec<_> =
            products(0..10).into_iter().map(|p| Product { price: 2, ..p }).collect();
        night(&catalog, "acme", 3, &wrong, Absent::Remove);

        let plan = plan_restore(table, &pipe("acme"), RunId(2)).unwrap();
        assert_eq!((plan.put_back, plan.taken_out, plan.stays), (live as u64, 10, 0));
        assert_eq!(restore(table, &pipe("acme"), RunId(2), &[]).unwrap().plan, plan);
        assert_eq!(stored(&catalog, "acme"), after);
        let refused = retire(table, &pipe("acme"), RunId(2), &ids).unwrap();
        assert_eq!(refused, Retirement::RolledBack);
        // Once more, now that a rollback lies behind the night.
        let again = restore(table, &pipe("acme"), RunId(2), &[]).unwrap().plan;
        assert!(again.is_empty() && again.stays == live as u64, "{again:?}");
        assert_eq!(stored(&catalog, "acme"), after);
    }
}

/// What only the approved rows were in is needed by no rollback to the run.
#[test]
fn a_run_can_be_gone_back_to_without_the_files_of_what_was_approved() {
    let (_folder, catalog) = catalog();
    let table = catalog.products();
    night(&catalog, "acme", 1, &products(0..10), Absent::Remove);
    let first = table.snapshot().unwrap().unwrap();
    let other =
        |price| -> Vec<_> { products(0..4).into_iter().map(|p| Product { price, ..p }).collect() };
    night(&catalog, "acme", 2, &other(2), Absent::Hold);
    let ids = products(4..10).iter().map(|p| id_hash(&p.id)).collect();
    retire(table, &pipe("acme"), RunId(2), &ids).unwrap();
    let after = stored(&catalog, "acme");
    assert_eq!(after.len(), 4);
    for file in first.files(Some(&pipe("acme"))).unwrap() {
        std::fs::remove_file(first.local_path(&file).unwrap()).unwrap();
    }
    night(&catalog, "acme", 3, &other(3), Absent::Remove);

    let e = restore(table, &pipe("acme"), RunId(1), &[]).unwrap_err();
    assert!(matches!(e, RestoreError::Gone { oldest: Some(RunId(2)), .. }), "{e}");
    restore(table, &pipe("acme"), RunId(2), &[]).unwrap();
    assert_eq!(stored(&catalog, "acme"), after);
}
