//! Tests of [`super::DeltaTable`] against tables that nightly runs have made, and a naive model of them.

use super::{DeltaTable, all_but, is_about_pipes};
use crate::fixture::{Fixture, Product};
use crate::output::Format;
use arrow::array::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::logical_expr::Expr;
use datafusion::parquet::arrow::arrow_reader::RowSelector;
use datafusion::prelude::{SessionConfig, SessionContext, col, lit};
use feedfleet_catalog::Catalog;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Products of the larger pipe's first night.
const MANY: u64 = 20_000;
const FEW: u64 = 300;

/// The live rows' prices by number.
type Model = BTreeMap<u64, i64>;

/// Two pipes; the second night takes products out of the larger one, a long stretch of them among others,
/// and changes prices.
fn two_nights() -> (Fixture, Model) {
    two_nights_of(Fixture::new())
}

fn two_nights_of(fixture: Fixture) -> (Fixture, Model) {
    let price = |n: u64| (scattered(n) % 1000) as i64;
    fixture.night("acme", 1, (0..MANY).map(|n| Product::new(n, price(n))));
    fixture.night("bolt", 1, (0..FEW).map(|n| Product::new(1_000_000 + n, 5)));
    let gone = |n: u64| (5_000..8_000).contains(&n) || scattered(n).is_multiple_of(7);
    let new_price =
        |n: u64| if scattered(n).is_multiple_of(5) { price(n) + 1000 } else { price(n) };
    let second: Model = (0..MANY + 100).filter(|&n| !gone(n)).map(|n| (n, new_price(n))).collect();
    fixture.night("acme", 2, second.iter().map(|(&n, &price)| Product::new(n, price)));
    (fixture, second)
}

fn scattered(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// A session that cuts even small files into parts for four threads.
fn session(table: DeltaTable) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(4).with_repartition_file_min_size(1);
    let context = SessionContext::new_with_config(config);
    context.register_table("products", Arc::new(table)).unwrap();
    context
}

fn open(fixture: &Fixture) -> DeltaTable {
    DeltaTable::open(Catalog::open(fixture.location()).unwrap().products()).unwrap()
}

/// The lines of an answer below its header.
fn ask(fixture: &Fixture, context: &SessionContext, sql: &str) -> Vec<String> {
    let answer = fixture.print(context, sql, Format::Csv).unwrap_or_else(|e| panic!("{sql}: {e}"));
    answer.lines().skip(1).map(str::to_owned).collect()
}

/// Asks for the same facts in every way that reads files differently.
fn compare(fixture: &Fixture, context: &SessionContext, model: &Model) {
    let ask = |sql: &str| ask(fixture, context, sql);
    let live = model.len() as u64;
    assert_eq!(ask("SELECT count(*) FROM products"), [(live + FEW).to_string()]);
    assert_eq!(ask("SELECT count(*) FROM products WHERE pipe = 'acme'"), [live.to_string()]);
    assert_eq!(
        ask("SELECT pipe, count(*) FROM products GROUP BY pipe ORDER BY pipe"),
        [format!("acme,{live}"), format!("bolt,{FEW}")]
    );
    let id = |n: &u64| Product::new(*n, 0).id();
    let every: Vec<String> = model.iter().map(|(n, price)| format!("{},{price}", id(n))).collect();
    let sql = "SELECT id, CAST(price AS BIGINT) FROM products WHERE pipe = 'acme' ORDER BY id";
    assert_eq!(ask(sql), every);

    let dear = model.values().filter(|&&price| price >= 1500).count();
    let sql = "SELECT count(*) FROM products WHERE price >= 1500";
    assert_eq!(ask(sql), [dear.to_string()]);
    let mut by_price: Vec<(i64, String)> = model.iter().map(|(n, price)| (-price, id(n))).collect();
    by_price.sort();
    let best: Vec<String> = by_price[..25].iter().map(|(_, id)| id.clone()).collect();
    assert_eq!(ask("SELECT id FROM products ORDER BY price DESC, id LIMIT 25"), best);

    assert_eq!(ask("SELECT pipe FROM products WHERE id = 'p005500'"), Vec::<String>::new());
    assert_eq!(ask("SELECT pipe FROM products WHERE id = 'p1000007'"), ["bolt"]);
    assert_eq!(ask("SELECT count(*) FROM (SELECT id FROM products LIMIT 10)"), ["10"]);
    for limit in [1, 10, 16_000] {
        let rows = ask(&format!("SELECT id FROM products WHERE pipe = 'acme' LIMIT {limit}"));
        let rows: BTreeSet<String> = rows.into_iter().collect();
        assert_eq!(rows.len(), limit.min(model.len()));
        assert!(rows.iter().all(|id| model.contains_key(&id[1..].parse::<u64>().unwrap())));
    }
}

#[test]
fn dead_rows_are_not_seen_whatever_is_asked() {
    let (fixture, model) = two_nights();
    compare(&fixture, &session(open(&fixture)), &model);
}

#[test]
fn a_table_in_an_object_store_reads_the_same() {
    let (fixture, model) = two_nights_of(Fixture::in_store());
    compare(&fixture, &session(open(&fixture)), &model);
}

#[test]
fn dead_rows_are_not_seen_in_files_of_many_row_groups() {
    let (fixture, model) = two_nights();
    let mut table = open(&fixture);
    let snapshot = table.snapshot.clone().unwrap();
    for file in &mut table.files {
        let path = snapshot.local_path(file).unwrap();
        file.size_bytes = rewrite(&path, 700, None);
    }
    compare(&fixture, &session(table), &model);
}

#[test]
fn columns_that_an_old_file_lacks_are_null() {
    let (fixture, model) = two_nights();
    let mut table = open(&fixture);
    let snapshot = table.snapshot.clone().unwrap();
    for file in table.files.iter_mut().filter(|file| file.pipe == "bolt") {
        let path = snapshot.local_path(file).unwrap();
        file.size_bytes = rewrite(&path, 700, Some("brand"));
    }
    let context = session(table);
    let sql = "SELECT pipe, count(*), count(brand) FROM products GROUP BY pipe ORDER BY pipe";
    let live = model.len();
    let expected = [format!("acme,{live},{live}"), format!("bolt,{FEW},0")];
    assert_eq!(ask(&fixture, &context, sql), expected);
    let sql = "SELECT count(*) FROM products WHERE brand IS NULL";
    assert_eq!(ask(&fixture, &context, sql), [FEW.to_string()]);
    let sql = "SELECT count(*) FROM products WHERE brand = 'Brand'";
    assert_eq!(ask(&fixture, &context, sql), [live.to_string()]);
}

/// Writes a data file again, rows in the same order, with smaller row groups; its size in bytes.
fn rewrite(path: &Path, rows_a_group: usize, without: Option<&str>) -> u64 {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    let schema = batches[0].schema();
    let kept: Vec<usize> = (0..schema.fields().len())
        .filter(|&column| Some(schema.field(column).name().as_str()) != without)
        .collect();
    let properties =
        WriterProperties::builder().set_max_row_group_row_count(Some(rows_a_group)).build();
    let schema = Arc::new(schema.project(&kept).unwrap());
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).unwrap();
    for batch in &batches {
        writer.write(&batch.project(&kept).unwrap()).unwrap();
    }
    writer.close().unwrap();
    std::fs::metadata(path).unwrap().len()
}

#[test]
fn files_of_other_pipes_are_not_opened() {
    let fixture = Fixture::new();
    for (n, pipe) in ["acme", "bolt", "coil"].into_iter().enumerate() {
        fixture.night(pipe, 1, [Product::new(n as u64, 1)]);
    }
    let table = open(&fixture);
    let state = SessionContext::new().state();
    let pipes = |filter: Expr| -> Result<Vec<String>, DataFusionError> {
        Ok(table.files_for(&state, &[filter])?.into_iter().map(|file| file.pipe).collect())
    };
    let all = ["acme", "bolt", "coil"];
    assert_eq!(pipes(col("pipe").eq(lit("bolt"))).unwrap(), ["bolt"]);
    assert_eq!(pipes(col("pipe").in_list(vec![lit("coil"), lit("x")], false)).unwrap(), ["coil"]);
    assert_eq!(pipes(col("pipe").not_eq(lit("bolt"))).unwrap(), ["acme", "coil"]);
    assert_eq!(pipes(col("pipe").like(lit("%o%"))).unwrap(), ["bolt", "coil"]);
    assert_eq!(pipes(col("pipe").is_null()).unwrap(), Vec::<String>::new());
    assert_eq!(pipes(col("id").eq(lit("bolt"))).unwrap(), all);
    // A file that cannot be read is no hindrance to a query about another pipe.
    let snapshot = table.snapshot.clone().unwrap();
    std::fs::write(snapshot.local_path(&table.files[0]).unwrap(), "damaged").unwrap();
    let context = session(open(&fixture));
    assert_eq!(ask(&fixture, &context, "SELECT id FROM products WHERE pipe = 'bolt'"), ["p000001"]);
    assert!(fixture.print(&context, "SELECT id FROM products", Format::Csv).is_err());
}

#[test]
fn only_filters_made_of_pipes_and_constants_are_final() {
    let pipe = || col("pipe").eq(lit("acme"));
    assert!(is_about_pipes(&pipe()));
    assert!(is_about_pipes(&pipe().or(col("pipe").is_null())));
    assert!(!is_about_pipes(&pipe().or(col("price").gt(lit(5)))));
    assert!(!is_about_pipes(&col("id").eq(col("pipe"))));
    assert!(!is_about_pipes(&datafusion::prelude::starts_with(col("pipe"), lit("a"))));
}

#[test]
fn a_selection_has_every_row_of_the_file_once() {
    let selectors = |dead: &[u64], rows| Vec::<RowSelector>::from(all_but(dead, rows));
    let (select, skip) = (RowSelector::select, RowSelector::skip);
    assert_eq!(selectors(&[0, 1, 4, 9], 10), [skip(2), select(2), skip(1), select(4), skip(1)]);
    assert_eq!(selectors(&[], 3), [select(3)]);
    assert_eq!(selectors(&[2], 3), [select(2), skip(1)]);
    // Not to be expected; not to be harmful either.
    assert_eq!(selectors(&[1, 1, 7], 3), [select(1), skip(1), select(1)]);
}
