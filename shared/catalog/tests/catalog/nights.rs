//! Random nights: the table holds what a model without any cleverness says it should.

use crate::support::{Night, Product, Stored, catalog, key, pipe, row, run, stored};
use feedfleet_catalog::compact::{CompactionLimits, compact};
use feedfleet_catalog::diff::{Absent, Diff};
use feedfleet_catalog::{CommitOutcome, feed_app_id};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The smallest content hash wins; nothing else is known of the rule here.
fn winner<'a>(records: &[&'a Product]) -> &'a Product {
    let hash = |p: &Product| row(p).content_hash(&mut Vec::new());
    records.iter().copied().min_by_key(|p| hash(p)).unwrap()
}

fn model_night(
    model: &mut BTreeMap<String, (Stored, Product)>,
    records: &[Product],
    night: i64,
    absent: Absent,
) {
    let mut by_id: BTreeMap<&str, Vec<&Product>> = BTreeMap::new();
    for record in records {
        by_id.entry(&record.id).or_default().push(record);
    }
    if absent == Absent::Remove {
        model.retain(|id, _| by_id.contains_key(id.as_str()));
    }
    for (id, records) in by_id {
        let product = winner(&records);
        let before = model.get(id);
        if before.is_some_and(|(_, known)| known == product) {
            continue;
        }
        let same_image = before.filter(|(_, known)| known.image == product.image);
        let stored = Stored {
            title: product.title.clone(),
            price: product.price,
            first_seen: before.map_or(night, |(known, _)| known.first_seen),
            run: night,
            images_run: same_image.map_or(night, |(known, _)| known.images_run),
        };
        model.insert(id.to_owned(), (stored, product.clone()));
    }
}

fn product() -> impl Strategy<Value = Product> {
    (0..40u8, 0..3u8, 0..3i64, 0..3u8).prop_map(|(id, title, price, image)| Product {
        id: format!("p{id}"),
        title: format!("title {title}"),
        price: price * 10_000,
        image,
    })
}

fn absent() -> impl Strategy<Value = Absent> {
    prop_oneof![3 => Just(Absent::Remove), 1 => Just(Absent::Hold), 1 => Just(Absent::Keep)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn the_table_is_what_the_model_says(
        nights in prop::collection::vec(
            (prop::collection::vec(product(), 0..60), absent(), 1..4u32, any::<bool>()), 1..6),
    ) {
        let (_folder, catalog) = catalog();
        let mut model = BTreeMap::new();
        for (place, (records, absent, shares, compacted)) in nights.into_iter().enumerate() {
            let night = 1_000 + place as i64;
            let work = Night { run: key("acme", night), records: &records, absent, shares };
            let tally = run(&catalog, &work);
            model_night(&mut model, &records, night, absent);
            let expected: BTreeMap<String, Stored> =
                model.iter().map(|(id, (stored, _))| (id.clone(), stored.clone())).collect();
            prop_assert_eq!(stored(&catalog, "acme"), expected.clone());
            prop_assert_eq!(tally.live_before + tally.new - tally.removed, expected.len() as u64);
            if compacted {
                let snapshot = catalog.products().snapshot().unwrap().unwrap();
                let limits = CompactionLimits { dead_share: 0.0, small_files: 0, small_bytes: u64::MAX };
                compact(catalog.products(), &snapshot, &pipe("acme"), limits).unwrap();
                prop_assert_eq!(stored(&catalog, "acme"), expected);
            }
        }
    }
}

#[test]
fn order_does_not_decide_between_duplicates() {
    let product = |title: &str| Product { id: "x".into(), title: title.into(), price: 1, image: 1 };
    let mut records = vec![product("a"), product("b"), product("c"), product("b")];
    let mut seen = Vec::new();
    for turn in 0..4 {
        let (_folder, catalog) = catalog();
        records.rotate_left(turn);
        let work =
            Night { run: key("acme", 5), records: &records, absent: Absent::Remove, shares: 1 };
        assert_eq!(run(&catalog, &work).duplicates, 3);
        seen.push(stored(&catalog, "acme"));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
}

#[test]
fn a_night_without_change_writes_no_row() {
    let (_folder, catalog) = catalog();
    let records: Vec<Product> = (0..100)
        .map(|n| Product { id: n.to_string(), title: "t".into(), price: n, image: 0 })
        .collect();
    for night in [1, 2] {
        let work =
            Night { run: key("acme", night), records: &records, absent: Absent::Remove, shares: 1 };
        run(&catalog, &work);
    }
    let snapshot = catalog.products().snapshot().unwrap().unwrap();
    let files = snapshot.files(None).unwrap();
    assert_eq!((files.len(), files[0].dead_rows()), (1, 0));
    assert_eq!(
        snapshot.fence(&feed_app_id(&pipe("acme"))).unwrap(),
        Some(2),
        "but the fence moves"
    );
}

#[test]
fn what_a_source_deletes_is_gone_whatever_else_it_says() {
    let (_folder, catalog) = catalog();
    let product = |id: &str| Product { id: id.into(), title: "t".into(), price: 1, image: 0 };
    let records = [product("a"), product("b")];
    let work = Night { run: key("acme", 1), records: &records, absent: Absent::Keep, shares: 1 };
    run(&catalog, &work);

    let table = catalog.products();
    let snapshot = table.snapshot().unwrap();
    let run_key = key("acme", 2);
    let mut diff = Diff::begin(table, snapshot.as_ref(), &run_key, 1 << 20, 1).unwrap();
    diff.push(&row(&Product { price: 9, ..product("a") })).unwrap();
    diff.delete("a").unwrap();
    diff.push(&row(&product("new"))).unwrap();
    diff.delete("new").unwrap();
    diff.delete("never heard of").unwrap();
    diff.end_pass(snapshot.as_ref()).unwrap();
    let (change, tally) = diff.finish(&feed_app_id(&run_key.pipe), Absent::Keep).unwrap();
    assert!(matches!(table.commit(&change).unwrap(), CommitOutcome::Committed { .. }));
    assert_eq!((tally.new, tally.removed), (0, 1));
    assert_eq!(stored(&catalog, "acme").into_keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn past_its_budget_the_diff_asks_for_shares() {
    let (_folder, catalog) = catalog();
    let mut diff = Diff::begin(catalog.products(), None, &key("acme", 1), 1, 1).unwrap();
    let refused = (0..5_000).any(|n| {
        let product = Product { id: n.to_string(), title: "t".into(), price: 1, image: 0 };
        diff.push(&row(&product)).is_err()
    });
    assert!(refused);
}
