//! Rollback: after it a pipe holds exactly what it held after the run, and every other pipe what it held
//! before.

use crate::support::{
    Night, Product, Stored, catalog, compact_all, key, pipe, run, stored, stored_in,
};
use feedfleet_catalog::diff::Absent;
use feedfleet_catalog::restore::{RestoreError, plan_restore, restore, version_of};
use feedfleet_catalog::{Catalog, Snapshot, rollback_app_id};
use feedfleet_model::RunId;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn products(price: i64, n: usize) -> Vec<Product> {
    (0..n).map(|i| Product { id: format!("p{i}"), title: "t".into(), price, image: 0 }).collect()
}

fn night(catalog: &Catalog, name: &str, run_id: i64, records: &[Product]) {
    let work = Night { run: key(name, run_id), records, absent: Absent::Remove, shares: 1 };
    run(catalog, &work);
}

fn version(catalog: &Catalog) -> u64 {
    catalog.products().snapshot().unwrap().unwrap().version()
}

fn product() -> impl Strategy<Value = Product> {
    (0..30u8, 0..2u8, 0..3i64).prop_map(|(id, image, price)| Product {
        id: format!("p{id}"),
        title: "t".into(),
        price: price * 10_000,
        image,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn each_night_can_be_gone_back_to(
        nights in prop::collection::vec(
            (prop::collection::vec(product(), 0..40), any::<bool>()), 2..6),
        targets in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let (_folder, catalog) = catalog();
        let table = catalog.products();
        let mut after: Vec<BTreeMap<String, Stored>> = Vec::new();
        for (place, (records, compacted)) in nights.iter().enumerate() {
            night(&catalog, "acme", 100 + place as i64, records);
            night(&catalog, "other", 100 + place as i64, &products(place as i64, 10));
            after.push(stored(&catalog, "acme"));
            if *compacted {
                compact_all(&catalog, "acme");
            }
        }
        let other = stored(&catalog, "other");
        for target in targets {
            let place = target.index(after.len());
            let run_id = RunId(100 + place as i64);
            let before = version(&catalog);
            let plan = plan_restore(table, &pipe("acme"), run_id).unwrap();
            prop_assert_eq!(version(&catalog), before, "a plan changes nothing");
            prop_assert_eq!(plan.live_before() as usize, stored(&catalog, "acme").len());
            let then = table.snapshot_at(plan.from_version).unwrap().unwrap();
            prop_assert_eq!(&stored_in(&then, "acme"), &after[place]);

            let done = restore(table, &pipe("acme"), run_id, &[]).unwrap();
            prop_assert_eq!(done.plan, plan);
            prop_assert_eq!(&stored(&catalog, "acme"), &after[place]);
            prop_assert_eq!(plan.live_after() as usize, after[place].len());
            prop_assert_eq!(&stored(&catalog, "other"), &other);

            let again = restore(table, &pipe("acme"), run_id, &[]).unwrap();
            prop_assert!(again.plan.is_empty(), "there is nothing left to do");
            prop_assert_eq!(&stored(&catalog, "acme"), &after[place]);
        }
        night(&catalog, "acme", 999, &products(7, 5));
        prop_assert_eq!(stored(&catalog, "acme").len(), 5, "the next night goes through");
    }
}

#[test]
fn only_what_differs_is_written() {
    let (_folder, catalog) = catalog();
    let mut records = products(1, 100);
    night(&catalog, "acme", 1, &records);
    records[7].price = 2;
    records.truncate(90);
    records.push(Product { id: "new".into(), ..records[0].clone() });
    night(&catalog, "acme", 2, &records);
    let plan = restore(catalog.products(), &pipe("acme"), RunId(1), &[]).unwrap().plan;
    assert_eq!((plan.put_back, plan.taken_out, plan.stays), (11, 2, 89));
    assert_eq!(stored(&catalog, "acme").len(), 100);
    assert_eq!(stored(&catalog, "acme")["p7"].run, 1, "with the lineage that it had");
}

#[test]
fn the_newest_run_is_gone_back_to_by_its_fence_alone() {
    let (_folder, catalog) = catalog();
    night(&catalog, "acme", 1, &products(1, 10));
    compact_all(&catalog, "acme");
    let before = catalog.products().snapshot().unwrap().unwrap();
    let rows = stored(&catalog, "acme");
    let done = restore(catalog.products(), &pipe("acme"), RunId(1), &[]).unwrap();
    assert!(done.plan.is_empty() && done.plan.stays == 10, "{:?}", done.plan);
    let after = catalog.products().snapshot().unwrap().unwrap();
    assert_eq!((done.version, after.version()), (before.version() + 1, before.version() + 1));
    assert_eq!(stored(&catalog, "acme"), rows);
    let files = |snapshot: &Snapshot| {
        let files = snapshot.files(Some(&pipe("acme"))).unwrap();
        files.into_iter().map(|file| file.path).collect::<Vec<_>>()
    };
    assert_eq!(files(&after), files(&before), "not a file is written anew");
    assert!(after.fence(&rollback_app_id(&pipe("acme"))).unwrap() > Some(1));
}

#[test]
fn a_run_that_never_was_is_refused() {
    let (_folder, catalog) = catalog();
    let table = catalog.products();
    let refused = |run: i64| {
        let e = restore(table, &pipe("acme"), RunId(run), &[]).unwrap_err();
        assert!(matches!(e, RestoreError::NotCommitted { .. }), "{e}");
    };
    refused(1);
    night(&catalog, "acme", 2, &products(1, 10));
    night(&catalog, "acme", 4, &products(2, 10));
    for run in [1, 3, 5] {
        refused(run);
    }
    night(&catalog, "other", 5, &products(2, 10));
    refused(5);
}

#[test]
fn a_run_ends_where_the_next_begins() {
    let (_folder, catalog) = catalog();
    for run_id in 1..=3 {
        night(&catalog, "acme", run_id, &products(run_id, 10));
        night(&catalog, "other", run_id, &products(run_id, 10));
    }
    let of = |run: i64| version_of(catalog.products(), &pipe("acme"), RunId(run)).unwrap();
    // Version 0 creates the table; the other pipe's commits change nothing for this one.
    assert_eq!([of(1), of(2), of(3)], [2, 4, 6]);
    restore(catalog.products(), &pipe("acme"), RunId(1), &[]).unwrap();
    assert_eq!([of(1), of(2), of(3)], [2, 4, 6], "a rollback is not a run");
}

/// Its rows are lost whatever is done; the pipe can be put back all the same.
#[test]
fn a_live_file_that_is_lost_stands_in_no_way() {
    let files_of = |catalog: &Catalog| {
        let now = catalog.products().snapshot().unwrap().unwrap();
        let files = now.files(Some(&pipe("acme"))).unwrap();
        files.iter().map(|file| now.local_path(file).unwrap()).collect::<BTreeSet<_>>()
    };
    for changed in [1, 10] {
        let (_folder, catalog) = catalog();
        let table = catalog.products();
        night(&catalog, "acme", 1, &products(1, 10));
        night(&catalog, "other", 1, &products(1, 10));
        let (acme, other) = (stored(&catalog, "acme"), stored(&catalog, "other"));
        let before = files_of(&catalog);
        let mut records = products(2, changed);
        records.extend(products(1, 10).split_off(changed));
        night(&catalog, "acme", 2, &records);
        for file in files_of(&catalog).difference(&before) {
            std::fs::remove_file(file).unwrap();
        }

        let e = plan_restore(table, &pipe("acme"), RunId(2)).unwrap_err();
        assert!(matches!(e, RestoreError::Gone { files: 1, oldest: None, .. }), "{e}");
        let planned = plan_restore(table, &pipe("acme"), RunId(1)).unwrap();
        let done = restore(table, &pipe("acme"), RunId(1), &[]).unwrap().plan;
        assert_eq!(done, planned);
        let n = changed as u64;
        assert_eq!((done.put_back, done.taken_out, done.stays), (n, n, 10 - n));
        assert_eq!(stored(&catalog, "acme"), acme);
        assert_eq!(stored(&catalog, "other"), other);
        night(&catalog, "acme", 3, &records);
        assert_eq!(stored(&catalog, "acme").len(), 10, "the next night goes through");
    }
}

#[test]
fn a_deletion_vector_that_is_lost_stands_in_no_way() {
    let (_folder, catalog) = catalog();
    let table = catalog.products();
    night(&catalog, "acme", 1, &products(1, 10));
    let acme = stored(&catalog, "acme");
    let mut records = products(1, 10);
    records[7].price = 2;
    night(&catalog, "acme", 2, &records);
    let mut lost = 0;
    for entry in std::fs::read_dir(table.folder().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "bin") {
            std::fs::remove_file(path).unwrap();
            lost += 1;
        }
    }
    assert_eq!(lost, 1);
    let done = restore(table, &pipe("acme"), RunId(1), &[]).unwrap().plan;
    assert_eq!((done.put_back, done.taken_out, done.stays), (10, 10, 0));
    assert_eq!(stored(&catalog, "acme"), acme);
}

#[test]
fn what_is_gone_is_said_before_anything_is_done() {
    let (_folder, catalog) = catalog();
    for run_id in 1..=3 {
        night(&catalog, "acme", run_id, &products(run_id, 10));
    }
    let table = catalog.products();
    let first = table.snapshot_at(1).unwrap().unwrap();
    for file in first.files(None).unwrap() {
        std::fs::remove_file(first.local_path(&file).unwrap()).unwrap();
    }
    let before = (
        version(&catalog),
        std::fs::read_dir(table.folder().unwrap().join("pipe=acme")).unwrap().count(),
    );
    let e = restore(table, &pipe("acme"), RunId(1), &[]).unwrap_err();
    let RestoreError::Gone { files, rows, oldest, .. } = e else { panic!("{e}") };
    assert_eq!((files, rows, oldest), (1, 10, Some(RunId(2))));
    assert!(plan_restore(table, &pipe("acme"), RunId(1)).is_err());
    let after = (
        version(&catalog),
        std::fs::read_dir(table.folder().unwrap().join("pipe=acme")).unwrap().count(),
    );
    assert_eq!(before, after, "nothing was written");
    restore(table, &pipe("acme"), RunId(2), &[]).unwrap();
    assert!(stored(&catalog, "acme").values().all(|p| p.price == 2));
}
