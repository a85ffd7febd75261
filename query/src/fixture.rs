//! A small catalog for this crate's tests, filled by nightly runs as the real one is.

use crate::engine::{self, Engine};
use crate::output::{self, Format};
use datafusion::object_store::memory::InMemory;
use datafusion::prelude::SessionContext;
use feedfleet_catalog::diff::{Absent, Diff};
use feedfleet_catalog::{Catalog, CommitOutcome, Location, feed_app_id};
use feedfleet_model::{Row, RunId, RunKey, columns};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) struct Fixture {
    folder: TempDir,
    location: Location,
    runtime: Runtime,
}

/// What of a product the tests vary.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    pub number: u64,
    pub price: i64,
    pub title: String,
}

impl Product {
    pub fn new(number: u64, price: i64) -> Self {
        Self { number, price, title: format!("Product {number}") }
    }

    pub fn id(&self) -> String {
        format!("p{:06}", self.number)
    }

    fn row(&self) -> Row {
        let number = self.number;
        let mut row = Row::new();
        row.set_text(columns::ID, &self.id());
        row.set_text(columns::TITLE, &self.title);
        row.set_text(columns::BRAND, "Brand");
        row.set_decimal(columns::PRICE, self.price * 10_000);
        row.set_text(columns::PRICE_CURRENCY, "KRW");
        let images =
            [format!("https://shop/{number}/a.jpg"), format!("https://shop/{number}/b.jpg")];
        row.set_list(columns::ADDITIONAL_IMAGE_LINKS, images.iter().map(String::as_str));
        row.push_extra("colour", if number.is_multiple_of(2) { "red" } else { "blue" });
        row.settle_extra();
        row
    }
}

impl Fixture {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self { location: folder.path().join("catalog").into(), folder, runtime }
    }

    /// One whose catalog is in an object store.
    pub fn in_store() -> Self {
        let location = Location::s3("bucket", "a b/c", Arc::new(InMemory::new())).unwrap();
        Self { location, ..Self::new() }
    }

    pub fn location(&self) -> Location {
        self.location.clone()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn catalog(&self) -> PathBuf {
        self.folder().join("catalog")
    }

    pub fn objects(&self) -> PathBuf {
        self.folder().join("objects")
    }

    /// A run in which the source has these products and no others.
    pub fn night(&self, pipe: &str, run: i64, products: impl IntoIterator<Item = Product>) {
        let catalog = Catalog::open(self.location()).unwrap();
        let table = catalog.products();
        let snapshot = table.snapshot().unwrap();
        let key = RunKey { pipe: pipe.parse().unwrap(), run: RunId(run) };
        let mut diff = Diff::begin(table, snapshot.as_ref(), &key, 64 << 20, 1).unwrap();
        for product in products {
            diff.push(&product.row()).unwrap();
        }
        diff.end_pass(snapshot.as_ref()).unwrap();
        let (change, _) = diff.finish(&feed_app_id(&key.pipe), Absent::Remove).unwrap();
        let outcome = table.commit(&change).unwrap();
        assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
    }

    pub fn engine(&self) -> Engine {
        Engine::open(self.location(), &self.objects(), 256 << 20).unwrap()
    }

    pub fn csv(&self, engine: &Engine, sql: &str) -> anyhow::Result<String> {
        self.csv_of(engine, sql, None)
    }

    pub fn csv_of(
        &self,
        engine: &Engine,
        sql: &str,
        limit: Option<usize>,
    ) -> anyhow::Result<String> {
        self.runtime.block_on(async {
            let mut out = Vec::new();
            output::write(engine.query(sql, limit).await?, Format::Csv, &mut out).await?;
            Ok(String::from_utf8(out)?)
        })
    }

    /// The answer of a session that a test has set up itself.
    pub fn print(
        &self,
        context: &SessionContext,
        sql: &str,
        format: Format,
    ) -> anyhow::Result<String> {
        self.runtime.block_on(async {
            let mut out = Vec::new();
            output::write(engine::run(context, sql, None).await?, format, &mut out).await?;
            Ok(String::from_utf8(out)?)
        })
    }
}
