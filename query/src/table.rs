//! A Delta table of the catalog, as DataFusion reads it: the live rows of the files of one version.
//!
//! Files are chosen by their pipe before any is opened. A file's deletion vector becomes a row selection,
//! which the Parquet reader applies before everything else; row groups without live rows are not read.

use crate::{complain, external};
use arrow::array::{Array, RecordBatch, StringArray};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::cast::as_boolean_array;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, ScalarValue, Statistics, project_schema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::parquet::{
    CachedParquetFileReaderFactory, ParquetRowSelection,
};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::object_store::ObjectStore;
use datafusion::parquet::arrow::arrow_reader::RowSelection;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use feedfleet_catalog::schema::PARTITION;
use feedfleet_catalog::{CatalogError, DataFile, Snapshot, Table};
use std::fmt;
use std::iter::once;
use std::sync::Arc;

/// One version of a Delta table.
pub struct DeltaTable {
    /// Where the table is.
    address: String,
    /// The object store that it is in, and its address; none: on this machine, which every session reads.
    store: Option<(String, Arc<dyn ObjectStore>)>,
    /// None: the table has not been created.
    snapshot: Option<Snapshot>,
    /// Those with live rows.
    files: Vec<DataFile>,
    schema: SchemaRef,
    /// The same columns, the partition last, as DataFusion has it.
    layout: TableSchema,
}

impl DeltaTable {
    /// The newest version of the table. One that has not been created yet reads as empty, and a query that
    /// asks for it says so on the error stream.
    pub fn open(table: &Table) -> Result<Self, CatalogError> {
        let snapshot = table.snapshot()?;
        let mut files = match &snapshot {
            Some(snapshot) => snapshot.files(None)?,
            None => Vec::new(),
        };
        files.retain(|file| file.live_rows() > 0);
        let schema = table.spec().arrow_schema()?;
        let (partition, columns): (Vec<FieldRef>, Vec<FieldRef>) =
            schema.fields().iter().cloned().partition(|field| field.name() == PARTITION);
        let layout = TableSchema::builder(Arc::new(Schema::new(columns)))
            .with_table_partition_cols(partition)
            .build();
        let store = table.store().map(|(url, store)| (url.to_owned(), store));
        Ok(Self { address: table.address(), store, snapshot, files, schema, layout })
    }

    /// The files that may hold rows for these filters, by their pipe alone.
    fn files_for(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<DataFile>> {
        let pipes = StringArray::from_iter_values(self.files.iter().map(|file| &file.pipe));
        let schema = Arc::new(Schema::new(self.layout.table_partition_cols().clone()));
        let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(pipes)])?;
        let schema = DFSchema::try_from(schema)?;
        let mut wanted = vec![true; self.files.len()];
        for filter in filters.iter().filter(|filter| is_about_pipes(filter)) {
            let filter = state.create_physical_expr(filter.clone(), &schema)?;
            let matches = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
            let matches = as_boolean_array(matches.as_ref())?;
            for (file, wanted) in wanted.iter_mut().enumerate() {
                *wanted &= matches.is_valid(file) && matches.value(file);
            }
        }
        let files = self.files.iter().zip(wanted).filter(|(_, wanted)| *wanted);
        Ok(files.map(|(file, _)| file.clone()).collect())
    }

    /// Places in `layout` of columns of `schema`; none: of all.
    fn places(&self, columns: Option<&Vec<usize>>) -> Result<Vec<usize>> {
        let place = |column: usize| -> Result<usize> {
            let name = self.schema.field(column).name();
            Ok(self.layout.table_schema().index_of(name)?)
        };
        match columns {
            Some(columns) => columns.iter().copied().map(place).collect(),
            None => (0..self.schema.fields().len()).map(place).collect(),
        }
    }
}

#[async_trait]
impl TableProvider for DeltaTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let nothing = || -> Result<Arc<dyn ExecutionPlan>> {
            Ok(Arc::new(EmptyExec::new(project_schema(&self.schema, projection)?)))
        };
        let Some(snapshot) = self.snapshot.clone() else {
            complain(&format!("there is no table {} yet: it is read as empty", self.address));
            return nothing();
        };
        let mut files = self.files_for(state, filters)?;
        // Only where no other filter thins the rows out do these files' rows suffice.
        let limit = limit.filter(|_| filters.iter().all(is_about_pipes));
        if let Some(limit) = limit {
            keep_enough(&mut files, limit as u64);
        }
        if files.is_empty() {
            return nothing();
        }
        let rows: u64 = files.iter().map(DataFile::live_rows).sum();
        // DataFusion counts rows by this figure alone, where it is exact.
        let rows = Precision::Exact(rows as usize);
        let statistics = Statistics {
            num_rows: if limit.is_none() { rows } else { rows.to_inexact() },
            ..Statistics::new_unknown(self.layout.table_schema())
        };

        // Deletion vectors are read here and now.
        let open = move || -> Result<Vec<PartitionedFile>> {
            files.iter().map(|file| to_read(&snapshot, file)).collect()
        };
        let files = tokio::task::spawn_blocking(open).await.map_err(external)??;
        let groups = FileGroup::new(files).split_files(state.config().target_partitions());

        let runtime = state.runtime_env();
        let url = match &self.store {
            None => ObjectStoreUrl::local_filesystem(),
            Some((url, store)) => {
                let url = ObjectStoreUrl::parse(url)?;
                runtime.register_object_store(url.as_ref(), store.clone());
                url
            }
        };
        let reader = CachedParquetFileReaderFactory::new(
            runtime.object_store(&url)?,
            runtime.cache_manager.get_file_metadata_cache(),
        );
        let source = ParquetSource::new(self.layout.clone())
            .with_parquet_file_reader_factory(Arc::new(reader));
        let scan = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(Some(self.places(projection)?))?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(scan))
    }

    /// Filters on pipes are done with once the files are chosen. All others DataFusion applies itself, and
    /// hands down to the Parquet reader, which skips row groups by their statistics.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match is_about_pipes(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(support).collect())
    }
}

impl fmt::Debug for DeltaTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeltaTable")
            .field("address", &self.address)
            .field("version", &self.snapshot.as_ref().map(Snapshot::version))
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

/// Whether a filter's answer is the same for all rows of a file: it is made of the pipe, constants, and
/// operators that give one answer for one input.
fn is_about_pipes(filter: &Expr) -> bool {
    let other = filter.exists(|part| {
        Ok(match part {
            Expr::Column(column) => column.name != PARTITION,
            Expr::Literal(..)
            | Expr::BinaryExpr(_)
            | Expr::InList(_)
            | Expr::Like(_)
            | Expr::Between(_)
            | Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::Cast(_) => false,
            _ => true,
        })
    });
    matches!(other, Ok(false))
}

/// Keeps the first files that have this many live rows together.
fn keep_enough(files: &mut Vec<DataFile>, rows: u64) {
    let mut kept = 0;
    files.retain(|file| {
        let needed = kept < rows;
        kept += file.live_rows();
        needed
    });
}

fn to_read(snapshot: &Snapshot, file: &DataFile) -> Result<PartitionedFile> {
    let mut found = PartitionedFile::new("", file.size_bytes)
        .with_partition_values(vec![ScalarValue::from(file.pipe.as_str())]);
    found.object_meta.location = snapshot.store_path(file).map_err(external)?;
    if file.dead.is_some() {
        let dead = snapshot.dead_rows(file).map_err(external)?;
        found = found.with_extension(ParquetRowSelection::new(all_but(&dead, file.rows)));
    }
    Ok(found)
}

/// Selects the rows of a file of `rows` rows that are not dead. `dead` ascends.
fn all_but(dead: &[u64], rows: u64) -> RowSelection {
    let starts = once(0).chain(dead.iter().map(|row| row + 1));
    let ends = dead.iter().copied().chain(once(rows));
    let live = starts.zip(ends).map(|(start, end)| start as usize..end.min(rows) as usize);
    RowSelection::from_consecutive_ranges(live.filter(|range| !range.is_empty()), rows as usize)
}

#[cfg(test)]
mod tests;
