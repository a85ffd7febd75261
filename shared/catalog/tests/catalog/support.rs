//! A catalog in a temporary folder, and what a reader that knows nothing of indexes sees in it.

use arrow::array::AsArray;
use arrow::datatypes::{Decimal128Type, Int64Type, TimestampMicrosecondType};
use feedfleet_catalog::compact::{CompactionLimits, compact};
use feedfleet_catalog::diff::{Absent, Diff, Tally};
use feedfleet_catalog::{Catalog, CommitOutcome, Snapshot, feed_app_id, read};
use feedfleet_model::hash::bytes_hash;
use feedfleet_model::{PipeName, Row, RunId, RunKey, columns};
use std::collections::BTreeMap;
use tempfile::TempDir;

/// A product as the tests know it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Product {
    pub id: String,
    pub title: String,
    pub price: i64,
    pub image: u8,
}

/// What the table says of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub title: String,
    pub price: i64,
    pub first_seen: i64,
    pub run: i64,
    pub images_run: i64,
}

pub fn pipe(name: &str) -> PipeName {
    name.parse().unwrap()
}

pub fn key(name: &str, run: i64) -> RunKey {
    RunKey { pipe: pipe(name), run: RunId(run) }
}

pub fn catalog() -> (TempDir, Catalog) {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(folder.path()).unwrap();
    (folder, catalog)
}

pub fn row(product: &Product) -> Row {
    let mut row = Row::new();
    row.set_text(columns::ID, &product.id);
    row.set_text(columns::TITLE, &product.title);
    row.set_decimal(columns::PRICE, product.price);
    row.set_text(columns::PRICE_CURRENCY, "EUR");
    row.set_text(columns::IMAGE_LINK, &format!("http://h/{}.jpg", product.image));
    row.set_list(columns::SEARCH_TAG, ["a", "b"]);
    row.push_extra("colour", &product.title);
    row.settle_extra();
    row.set_source_hash(source_hash(product));
    row
}

/// Stands for the hash of the record. Some records are never recognised.
pub fn source_hash(product: &Product) -> Option<u128> {
    let hash = bytes_hash(format!("{product:?}").as_bytes());
    (product.price != 20_000).then_some(hash)
}

/// How a night went through.
pub struct Night<'a> {
    pub run: RunKey,
    pub records: &'a [Product],
    pub absent: Absent,
    pub shares: u32,
}

/// Runs one night up to, but without, its commit.
pub fn prepare(catalog: &Catalog, night: &Night<'_>) -> (feedfleet_catalog::Change, Tally) {
    let table = catalog.products();
    let snapshot = table.snapshot().unwrap();
    let mut diff =
        Diff::begin(table, snapshot.as_ref(), &night.run, 64 << 20, night.shares).unwrap();
    loop {
        for product in night.records {
            if source_hash(product).is_some_and(|hash| diff.recognise(hash)) {
                continue;
            }
            match diff.push(&row(product)) {
                Ok(_) => {}
                Err(e) => panic!("{e}"),
            }
        }
        if !diff.end_pass(snapshot.as_ref()).unwrap() {
            break;
        }
    }
    diff.finish(&feed_app_id(&night.run.pipe), night.absent).unwrap()
}

/// Runs one night and commits it.
pub fn run(catalog: &Catalog, night: &Night<'_>) -> Tally {
    let (change, tally) = prepare(catalog, night);
    let outcome = catalog.products().commit(&change).unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
    tally
}

/// Every live row of a pipe.
pub fn stored(catalog: &Catalog, name: &str) -> BTreeMap<String, Stored> {
    let snapshot = catalog.products().snapshot().unwrap();
    snapshot.map(|snapshot| stored_in(&snapshot, name)).unwrap_or_default()
}

/// Every live row of a pipe at one version.
pub fn stored_in(snapshot: &Snapshot, name: &str) -> BTreeMap<String, Stored> {
    let mut found = BTreeMap::new();
    for file in snapshot.files(Some(&pipe(name))).unwrap() {
        read::for_each_batch(snapshot, &file, None, |rows| {
            let batch = rows.live_batch().unwrap();
            let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
            let long = |name: &str| {
                batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone()
            };
            let price = batch.column_by_name("price").unwrap().as_primitive::<Decimal128Type>();
            let seen = batch
                .column_by_name("first_seen")
                .unwrap()
                .as_primitive::<TimestampMicrosecondType>();
            for i in 0..batch.num_rows() {
                let value = Stored {
                    title: text("title").value(i).to_owned(),
                    price: i64::try_from(price.value(i)).unwrap(),
                    first_seen: seen.value(i) / 1_000_000,
                    run: long("run").value(i),
                    images_run: long("images_run").value(i),
                };
                let before = found.insert(text("id").value(i).to_owned(), value);
                assert!(before.is_none(), "an id is alive twice");
            }
            Ok(())
        })
        .unwrap();
    }
    found
}

/// Puts all files together, and so rewrites them.
pub fn compact_all(catalog: &Catalog, name: &str) {
    let snapshot = catalog.products().snapshot().unwrap().unwrap();
    let limits = CompactionLimits { dead_share: 0.0, small_files: 0, small_bytes: u64::MAX };
    compact(catalog.products(), &snapshot, &pipe(name), limits).unwrap();
}
