//! A DataFusion session over the catalog: its tables, its limits, and no way to write.

use crate::runs::{ReportsPlace, RunsTable};
use crate::table::DeltaTable;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use feedfleet_catalog::{Catalog, Location};
use feedfleet_plan::{plan, start};
use std::sync::Arc;

/// Answers queries on one state of the catalog: that of the moment in which it was opened.
///
/// It holds threads of its own for the Delta log: open and drop it outside of asynchronous code.
pub struct Engine {
    context: SessionContext,
}

impl Engine {
    /// Opens the catalog in this folder or object store, with the run reports in that place.
    /// Operators that sort, join or aggregate share `memory_bytes`, and go on on disk beyond them. As many
    /// threads as there are cores work at a query.
    pub fn open(
        catalog: impl Into<Location>,
        reports: impl Into<ReportsPlace>,
        memory_bytes: usize,
    ) -> anyhow::Result<Self> {
        let catalog = Catalog::open(catalog)?;
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(memory_bytes)))
            .build_arc()?;
        // For SHOW TABLES and SHOW COLUMNS.
        let config = SessionConfig::new().with_information_schema(true);
        let context = SessionContext::new_with_config_rt(config, runtime);
        for table in [catalog.products(), catalog.images()] {
            context.register_table(table.spec().name, Arc::new(DeltaTable::open(table)?))?;
        }
        context.register_table("runs", Arc::new(RunsTable::new(reports.into())?))?;
        Ok(Self { context })
    }

    /// Plans a query and starts it. `limit`: rows at most. What would change data, files or settings is
    /// refused.
    pub async fn query(
        &self,
        sql: &str,
        limit: Option<usize>,
    ) -> Result<SendableRecordBatchStream> {
        run(&self.context, sql, limit).await
    }
}

pub(crate) async fn run(
    context: &SessionContext,
    sql: &str,
    limit: Option<usize>,
) -> Result<SendableRecordBatchStream> {
    let read_only =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let mut rows = plan(context, sql, read_only).await?;
    // These must stay the root of their plan, and their answers are short.
    let about_a_query = matches!(
        rows.logical_plan(),
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)
    );
    if limit.is_some() && !about_a_query {
        rows = rows.limit(0, limit)?;
    }
    start(rows).await
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Fixture, Product};

    fn two_products() -> Fixture {
        let fixture = Fixture::new();
        fixture.night("acme", 1, [Product::new(1, 100), Product::new(2, 200)]);
        fixture
    }

    #[test]
    fn lists_and_maps_can_be_asked_for_their_items() {
        let fixture = two_products();
        let sql = "SELECT extra['colour'], extra['absent'], additional_image_links[2],
                   cardinality(additional_image_links) FROM products ORDER BY id";
        let rows = fixture.csv(&fixture.engine(), sql).unwrap();
        let rows: Vec<&str> = rows.lines().skip(1).collect();
        assert_eq!(rows, ["blue,,https://shop/1/b.jpg,2", "red,,https://shop/2/b.jpg,2"]);
        let sql = "SELECT id FROM products WHERE extra['colour'] = 'red'
                   AND array_has(additional_image_links, 'https://shop/2/a.jpg')";
        assert_eq!(fixture.csv(&fixture.engine(), sql).unwrap(), "id\np000002\n");
    }

    #[test]
    fn what_would_write_is_refused() {
        let fixture = two_products();
        let engine = fixture.engine();
        let target = fixture.folder().join("out.csv");
        let copy = format!("COPY products TO '{}'", target.display());
        let external = format!(
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{}'",
            fixture.folder().display()
        );
        for sql in [
            "CREATE TABLE t AS SELECT 1",
            "CREATE VIEW v AS SELECT 1",
            "DROP TABLE products",
            "INSERT INTO products SELECT * FROM products",
            "DELETE FROM products",
            "UPDATE products SET title = 'x'",
            "SET datafusion.execution.batch_size = 1",
            "EXPLAIN ANALYZE INSERT INTO products SELECT * FROM products",
            &copy,
            &external,
        ] {
            assert!(fixture.csv(&engine, sql).is_err(), "{sql}");
        }
        assert!(!target.exists());
        assert_eq!(fixture.csv(&engine, "SELECT count(*) AS n FROM products").unwrap(), "n\n2\n");
    }

    #[test]
    fn files_are_no_tables() {
        let fixture = two_products();
        let file = fixture.folder().join("secret.csv");
        std::fs::write(&file, "a\n1\n").unwrap();
        let sql = format!("SELECT * FROM '{}'", file.display());
        assert!(fixture.csv(&fixture.engine(), &sql).is_err());
    }

    #[test]
    fn an_unknown_column_is_named() {
        let fixture = two_products();
        let error = fixture.csv(&fixture.engine(), "SELECT prize FROM products").unwrap_err();
        assert!(error.to_string().contains("prize"), "{error}");
    }

    #[test]
    fn a_limit_bounds_rows_and_leaves_explanations_alone() {
        let fixture = two_products();
        let engine = fixture.engine();
        let sql = "SELECT id FROM products ORDER BY id DESC";
        assert_eq!(fixture.csv_of(&engine, sql, Some(1)).unwrap(), "id\np000002\n");
        assert!(fixture.csv_of(&engine, "EXPLAIN SELECT id FROM products", Some(1)).is_ok());
        assert!(fixture.csv_of(&engine, "DESCRIBE products", Some(1)).is_ok());
    }

    #[test]
    fn tables_that_do_not_exist_yet_are_empty() {
        let fixture = Fixture::new();
        let engine = fixture.engine();
        for table in ["products", "images", "runs"] {
            let sql = format!("SELECT count(*) AS n FROM {table}");
            assert_eq!(fixture.csv(&engine, &sql).unwrap(), "n\n0\n", "{table}");
        }
        let sql = "SELECT p.id, i.status FROM products p JOIN images i ON i.key = p.image_key";
        assert_eq!(fixture.csv(&engine, sql).unwrap(), "id,status\n");
        assert!(fixture.csv(&engine, "SHOW TABLES").unwrap().contains("products"));
    }
}
