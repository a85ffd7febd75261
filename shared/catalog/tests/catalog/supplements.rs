//! Supplements: rows that say something else than their source does, and what the source says again when asked.

use crate::support::{
    Night, Product, Stored, catalog, compact_all, key, pipe, prepare, run, stored,
};
use feedfleet_catalog::amend::{Amended, amend, amend_rest, for_each_shown};
use feedfleet_catalog::diff::Absent;
use feedfleet_catalog::restore::{RestoreError, restore, shown_since_rollback};
use feedfleet_catalog::retire::{Retirement, retire};
use feedfleet_catalog::{Catalog, Change, CommitOutcome, Snapshot, feed_app_id, rollback_app_id};
use feedfleet_model::columns::PRICE;
use feedfleet_model::hash::id_hash;
use feedfleet_model::{Row, RunId, ValueRef};
use std::ops::ControlFlow;

const STOCK: &str = "acme.stock";

fn products(price: i64, n: usize) -> Vec<Product> {
    (0..n).map(|i| Product { id: format!("p{i}"), title: "t".into(), price, image: 0 }).collect()
}

fn night<'a>(run: i64, records: &'a [Product]) -> Night<'a> {
    Night { run: key("acme", run), records, absent: Absent::Remove, shares: 1 }
}

/// A run of the supplement, which says what these products cost, up to its commit.
fn worked_out(catalog: &Catalog, run: i64, ids: &[&str], price: i64) -> (Change, Amended) {
    let snapshot = catalog.products().snapshot().unwrap();
    let work = key(STOCK, run);
    amend(catalog.products(), snapshot.as_ref(), &work, &[PRICE], |row| {
        row.restore_source_value(PRICE);
        if ids.contains(&row.id()) {
            row.supplement(PRICE, ValueRef::Integer(price));
        }
        ControlFlow::Continue(())
    })
    .unwrap()
    .unwrap()
}

fn supplement(catalog: &Catalog, run: i64, ids: &[&str], price: i64) -> Amended {
    let (change, amended) = worked_out(catalog, run, ids, price);
    let outcome = catalog.products().commit_run(&change, &[]).unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
    amended
}

fn prices(catalog: &Catalog) -> Vec<i64> {
    stored(catalog, "acme").into_values().map(|row| row.price).collect()
}

#[test]
fn a_supplement_changes_what_it_speaks_of_and_nothing_else() {
    let (_folder, catalog) = catalog();
    assert_eq!(supplement(&catalog, 1, &["p0"], 9), Amended::default(), "there is no table");
    run(&catalog, &night(1, &products(1, 4)));
    let before = stored(&catalog, "acme");
    assert_eq!(supplement(&catalog, 5, &["p1", "p2", "p9"], 9), Amended { live: 4, changed: 2 });
    for (id, row) in stored(&catalog, "acme") {
        let expected = match id.as_str() {
            "p1" | "p2" => Stored { price: 9, run: 5, ..before[&id].clone() },
            _ => before[&id].clone(),
        };
        assert_eq!(row, expected, "{id}");
    }
    // The same again, also from other files.
    compact_all(&catalog, "acme");
    let (change, amended) = worked_out(&catalog, 6, &["p1", "p2"], 9);
    assert_eq!((amended.changed, change.adds.len(), change.dead.len()), (0, 0, 0));
    // It speaks of them no more.
    assert_eq!(supplement(&catalog, 7, &["p2", "p3"], 9).changed, 2);
    assert_eq!(prices(&catalog), [1, 1, 9, 9]);
    assert_eq!(supplement(&catalog, 8, &[], 0).changed, 2);
    assert_eq!(prices(&catalog), [1; 4]);
}

/// Promise 5: what a night finds as it was, it leaves as the supplement made it.
#[test]
fn a_night_does_not_undo_a_supplement() {
    let (_folder, catalog) = catalog();
    run(&catalog, &night(100, &products(1, 4)));
    supplement(&catalog, 150, &["p1"], 9);
    let tally = run(&catalog, &night(200, &products(1, 4)));
    assert_eq!((tally.unchanged, tally.changed), (4, 0));
    assert_eq!(prices(&catalog), [1, 9, 1, 1]);
}

/// Promise 4: each source has a fence of its own, and a night that was worked out with what a supplement said does not
/// go in after that has said something else, though no row changed.
#[test]
fn sources_of_a_pipe_pass_by_fences_of_their_own() {
    let (_folder, catalog) = catalog();
    let table = catalog.products();
    run(&catalog, &night(100, &products(1, 4)));
    supplement(&catalog, 900, &["p1"], 9);
    let (late, _) = prepare(&catalog, &night(200, &products(2, 4)));
    let ground = || {
        let snapshot = table.snapshot().unwrap().unwrap();
        snapshot.ground(feed_app_id(&pipe(STOCK))).unwrap()
    };
    let seen = ground();
    assert_eq!(seen.run, Some(900));
    assert_eq!(supplement(&catalog, 901, &["p1"], 9).changed, 0);
    assert_eq!(table.commit_run(&late, &[seen]).unwrap(), CommitOutcome::Moved);

    // Numbers of the one are nothing to the other.
    let (anew, _) = prepare(&catalog, &night(200, &products(2, 4)));
    let outcome = table.commit_run(&anew, &[ground()]).unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
    let (older, _) = worked_out(&catalog, 300, &["p1"], 7);
    assert_eq!(table.commit_run(&older, &[]).unwrap(), CommitOutcome::Superseded { by: 901 });
}

#[test]
fn a_pipe_goes_back_to_a_supplements_run() {
    let (_folder, catalog) = catalog();
    let table = catalog.products();
    run(&catalog, &night(100, &products(1, 4)));
    supplement(&catalog, 50, &["p1"], 9);
    run(&catalog, &night(200, &products(1, 5)));
    supplement(&catalog, 60, &["p0", "p1", "p2", "p3", "p4"], 0);
    let done = restore(table, &pipe(STOCK), RunId(50), &[]).unwrap();
    assert_eq!((done.plan.put_back, done.plan.taken_out), (5, 5));
    // As it was before the run that was wrong, with the night that came before that.
    assert_eq!(prices(&catalog), [1, 9, 1, 1, 1]);
    let snapshot = table.snapshot().unwrap().unwrap();
    // Ahead of the pipe's newest run too: what that held cannot be approved any more.
    assert_eq!(snapshot.fence(&rollback_app_id(&pipe(STOCK))).unwrap(), Some(201));
    assert_eq!(rollback_app_id(&pipe(STOCK)), rollback_app_id(&pipe("acme")));
    let shown = |snapshot: &Snapshot| shown_since_rollback(snapshot, &pipe("acme")).unwrap();
    assert_eq!(shown(&snapshot), Some(RunId(200)), "of the pipe, and not of the supplement");
    // Once more, to where it was put back to: which run that was is not known from there.
    supplement(&catalog, 70, &["p4"], 3);
    assert_eq!(prices(&catalog), [1, 1, 1, 1, 3]);
    restore(table, &pipe(STOCK), RunId(70), &[]).unwrap();
    assert_eq!(shown(&table.snapshot().unwrap().unwrap()), None);
    // What the supplement says next makes the rows right.
    supplement(&catalog, 80, &["p4"], 3);
    assert_eq!(prices(&catalog), [1, 1, 1, 1, 3]);
}

/// A rollback of the pipe may have a number below the supplement's: its rows are whole then, but not as that run left
/// them.
#[test]
fn a_supplements_run_that_is_refused_is_not_named_as_the_way_out() {
    let (_folder, catalog) = catalog();
    let table = catalog.products();
    run(&catalog, &night(100, &products(1, 4)));
    run(&catalog, &night(110, &products(2, 4)));
    let second = table.snapshot().unwrap().unwrap();
    supplement(&catalog, 800, &["p1"], 8);
    supplement(&catalog, 900, &["p1"], 9);
    restore(table, &pipe("acme"), RunId(100), &[]).unwrap();
    let snapshot = table.snapshot().unwrap().unwrap();
    assert_eq!(snapshot.fence(&rollback_app_id(&pipe("acme"))).unwrap(), Some(111));
    for file in second.files(Some(&pipe("acme"))).unwrap() {
        std::fs::remove_file(second.local_path(&file).unwrap()).unwrap();
    }
    for run in [800, 900] {
        let e = restore(table, &pipe(STOCK), RunId(run), &[]).unwrap_err();
        assert!(matches!(e, RestoreError::Gone { oldest: None, .. }), "{e}");
    }
    supplement(&catalog, 901, &["p1"], 9);
    for run in [800, 900] {
        let e = restore(table, &pipe(STOCK), RunId(run), &[]).unwrap_err();
        assert!(matches!(e, RestoreError::Gone { oldest: Some(RunId(901)), .. }), "{e}");
    }
}

/// As it was before the supplement's next run: with what was approved by then.
#[test]
fn a_supplements_run_is_gone_back_to_with_an_approval_that_came_before_the_next() {
    let (_folder, catalog) = catalog();
    let table = catalog.products();
    run(&catalog, &night(100, &products(1, 4)));
    run(&catalog, &Night { absent: Absent::Hold, ..night(200, &products(1, 2)) });
    supplement(&catalog, 50, &["p1"], 9);
    let ids = ["p2", "p3"].into_iter().map(id_hash).collect();
    let done = retire(table, &pipe("acme"), RunId(200), &ids).unwrap();
    assert!(matches!(done, Retirement::Done { removed: 2, .. }), "{done:?}");
    supplement(&catalog, 60, &["p0", "p1"], 0);
    restore(table, &pipe(STOCK), RunId(50), &[]).unwrap();
    assert_eq!(prices(&catalog), [1, 9]);
}

/// A night amends the rows that its source does not speak of, in its own commit, and leaves its own alone.
#[test]
fn a_night_takes_back_what_no_supplement_says_any_more() {
    let (_folder, catalog) = catalog();
    run(&catalog, &night(100, &products(1, 4)));
    let before = stored(&catalog, "acme");
    supplement(&catalog, 150, &["p1", "p2", "p3"], 9);
    // It speaks of p0 and p1 alone, and names changes only.
    let records = products(2, 2);
    let changes = Night { absent: Absent::Keep, ..night(200, &records) };
    let (mut change, _) = prepare(&catalog, &changes);
    let snapshot = catalog.products().snapshot().unwrap().unwrap();
    let take_back = |row: &mut Row| {
        row.restore_source_value(PRICE);
        ControlFlow::Continue(())
    };
    let amended = amend_rest(catalog.products(), &snapshot, &mut change, &[], take_back);
    assert_eq!(amended.unwrap(), Some(Amended { live: 2, changed: 2 }));
    let outcome = catalog.products().commit_run(&change, &[]).unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
    assert_eq!(prices(&catalog), [2, 2, 1, 1]);
    for id in ["p2", "p3"] {
        let expected = Stored { run: 200, ..before[id].clone() };
        assert_eq!(stored(&catalog, "acme")[id], expected, "{id}");
    }
}

#[test]
fn going_through_rows_ends_where_it_is_told_to() {
    let (_folder, catalog) = catalog();
    run(&catalog, &night(100, &products(1, 4)));
    let snapshot = catalog.products().snapshot().unwrap().unwrap();
    let mut seen = 0;
    let mut second = |row: &mut Row| {
        row.supplement(PRICE, ValueRef::Integer(9));
        seen += 1;
        if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let ended = amend(catalog.products(), Some(&snapshot), &key(STOCK, 150), &[PRICE], &mut second);
    assert!(ended.unwrap().is_none());
    assert_eq!(seen, 2);
    let mut shown = Vec::new();
    let all = for_each_shown(&snapshot, &pipe(STOCK), &[PRICE], |row| {
        shown.push((row.id().to_owned(), row.get(PRICE) == ValueRef::Integer(1)));
        ControlFlow::Continue(())
    });
    assert!(all.unwrap());
    shown.sort();
    let expected: Vec<_> = (0..4).map(|n| (format!("p{n}"), true)).collect();
    assert_eq!(shown, expected);
    assert!(!for_each_shown(&snapshot, &pipe(STOCK), &[], |_| ControlFlow::Break(())).unwrap());
}
