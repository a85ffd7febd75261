//! One Delta table: its snapshots and its files. The only place, with [`crate::commit`], that speaks to the
//! Delta kernel.

use crate::error::{CatalogError, Cause, Context};
use crate::schema::{PARTITION, TableSpec};
use arrow::array::{Array, AsArray, Int32Array, Int64Array, RecordBatch, StringArray};
use delta_kernel::Engine;
use delta_kernel::actions::deletion_vector::DeletionVectorDescriptor;
use delta_kernel::committer::FileSystemCommitter;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::engine_data::FilteredEngineData;
use delta_kernel::expressions::{ColumnName, Expression, Predicate, Scalar};
use delta_kernel::snapshot::SnapshotRef;
use delta_kernel::transaction::CommitResult;
use delta_kernel::transaction::UpdateTableOperation;
use delta_kernel::transaction::create_table::create_table;
use delta_kernel::transaction::data_layout::DataLayout;
use delta_kernel_default_engine::DefaultEngine;
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use feedfleet_model::PipeName;
use object_store::local::LocalFileSystem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use url::Url;

/// Written into every commit.
pub(crate) const ENGINE_INFO: &str = concat!("feedfleet/", env!("CARGO_PKG_VERSION"));

/// A Delta table in a folder. Cheap to clone.
#[derive(Clone)]
pub struct Table {
    inner: Arc<Inner>,
}

struct Inner {
    spec: TableSpec,
    folder: PathBuf,
    url: Url,
    engine: Arc<dyn Engine>,
}

/// What reads and writes logs.
#[derive(Clone)]
pub(crate) struct LogEngine(Arc<DefaultEngine<TokioMultiThreadExecutor>>);

impl LogEngine {
    pub(crate) fn new() -> Result<Self, CatalogError> {
        let executor = TokioMultiThreadExecutor::new(log_runtime()?.handle().clone());
        let store = Arc::new(LocalFileSystem::new());
        let engine = DefaultEngine::builder(store).with_task_executor(Arc::new(executor)).build();
        Ok(Self(Arc::new(engine)))
    }
}

/// The threads that logs are read and written on: one set a process, which ends with it. A runtime that
/// belonged to a catalog could not be dropped where other runtimes' tasks drop catalogs.
fn log_runtime() -> Result<&'static tokio::runtime::Runtime, CatalogError> {
    static RUNTIME: LazyLock<std::io::Result<tokio::runtime::Runtime>> = LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(4)
            .thread_name("catalog-log")
            .enable_all()
            .build()
    });
    RUNTIME.as_ref().map_err(|e| CatalogError {
        action: "start the threads of",
        subject: "the catalog".to_owned(),
        source: Cause::Unusable(e.to_string()),
    })
}

impl Table {
    pub(crate) fn new(
        catalog: &Path,
        spec: TableSpec,
        engine: &LogEngine,
    ) -> Result<Self, CatalogError> {
        let folder = std::path::absolute(catalog.join(spec.name)).at("find", catalog)?;
        let url = Url::from_directory_path(&folder).map_err(|()| CatalogError {
            action: "name the table",
            subject: folder.display().to_string(),
            source: Cause::Unusable("its folder cannot be written as a URL".into()),
        })?;
        let engine = engine.0.clone() as Arc<dyn Engine>;
        Ok(Self { inner: Arc::new(Inner { spec, folder, url, engine }) })
    }

    /// What the table looks like.
    pub fn spec(&self) -> &TableSpec {
        &self.inner.spec
    }

    /// The table's folder.
    pub fn folder(&self) -> &Path {
        &self.inner.folder
    }

    /// The table's address.
    pub fn url(&self) -> &Url {
        &self.inner.url
    }

    pub(crate) fn engine(&self) -> &dyn Engine {
        self.inner.engine.as_ref()
    }

    /// Where a path is on this machine; `path` as the log writes it, that is, as a relative URL.
    pub(crate) fn local_path(&self, path: &str) -> Result<PathBuf, CatalogError> {
        local(self.url().join(path).ok(), path)
    }

    /// Where a deletion vector is on this machine; none if the log itself holds it.
    pub(crate) fn vector_path(
        &self,
        vector: &DeletionVectorDescriptor,
    ) -> Result<Option<PathBuf>, CatalogError> {
        let subject = vector.path_or_inline_dv.as_str();
        let url = vector.absolute_path(self.url()).context("find the deletion vector", subject)?;
        url.map(|url| local(Some(url), subject)).transpose()
    }

    /// The newest state; none while the table has not been created.
    pub fn snapshot(&self) -> Result<Option<Snapshot>, CatalogError> {
        if !self.folder().join("_delta_log").is_dir() {
            return Ok(None);
        }
        self.load(None)
    }

    /// The state at a version.
    pub fn snapshot_at(&self, version: u64) -> Result<Option<Snapshot>, CatalogError> {
        self.load(Some(version))
    }

    fn load(&self, version: Option<u64>) -> Result<Option<Snapshot>, CatalogError> {
        let mut builder = delta_kernel::Snapshot::builder_for(self.url());
        if let Some(version) = version {
            builder = builder.at_version(version);
        }
        match builder.build(self.engine()) {
            Ok(inner) => Ok(Some(Snapshot { table: self.clone(), inner })),
            // The log's folder is made a moment before the first entry.
            Err(_) if version.is_none() && !self.has_log_entry() => Ok(None),
            Err(e) => Err(e).context("read the log of table", self.url().as_str()),
        }
    }

    fn has_log_entry(&self) -> bool {
        let log = std::fs::read_dir(self.folder().join("_delta_log"));
        log.is_ok_and(|entries| {
            entries.flatten().any(|e| e.path().extension().is_some_and(|x| x == "json"))
        })
    }

    /// The newest state of a table that exists and has every column of this build: created, or given the
    /// columns it lacks, if need be. Safe beside others doing the same.
    pub fn ensure(&self) -> Result<Snapshot, CatalogError> {
        loop {
            let created = match self.snapshot()? {
                None => self.create()?,
                Some(snapshot) => {
                    let missing = self.missing_columns(&snapshot)?;
                    if missing.is_empty() {
                        return Ok(snapshot);
                    }
                    self.evolve(&snapshot, &missing)?
                }
            };
            if created {
                tracing::info!(
                    table = self.spec().name,
                    "the table has all columns of this release"
                );
            }
        }
    }

    fn create(&self) -> Result<bool, CatalogError> {
        crate::durable::make_folder(self.folder())?;
        let context = "create table";
        let made =
            create_table(self.url().as_str(), self.spec().schema.clone(), ENGINE_INFO, false)
                .with_table_properties([
                    ("delta.enableDeletionVectors", "true".to_owned()),
                    ("delta.dataSkippingStatsColumns", self.spec().stats_columns.join(",")),
                ])
                .with_data_layout(DataLayout::partitioned([PARTITION]))
                .build(self.engine(), Box::new(FileSystemCommitter::new()))
                .and_then(|transaction| transaction.commit(self.engine()));
        match made {
            Ok(CommitResult::Committed(_)) => {
                crate::durable::sync_commit(self.folder(), 0)?;
                Ok(true)
            }
            Ok(_) => Ok(false),
            // Somebody else created it meanwhile.
            Err(_) if self.has_log_entry() => Ok(false),
            Err(e) => Err(e).context(context, self.url().as_str()),
        }
    }

    pub(crate) fn missing_columns(&self, snapshot: &Snapshot) -> Result<Vec<String>, CatalogError> {
        let present = snapshot.inner.schema();
        let mut missing = Vec::new();
        for field in self.spec().schema.fields() {
            match present.field(field.name()) {
                None => missing.push(field.name().to_owned()),
                Some(found) if found.data_type() != field.data_type() => {
                    return Err(CatalogError {
                        action: "use table",
                        subject: self.url().to_string(),
                        source: Cause::Unusable(format!(
                            "column '{}' is {}, this release needs {}",
                            field.name(),
                            found.data_type(),
                            field.data_type()
                        )),
                    });
                }
                Some(_) => {}
            }
        }
        Ok(missing)
    }

    fn evolve(&self, snapshot: &Snapshot, missing: &[String]) -> Result<bool, CatalogError> {
        let mut builder = snapshot.inner.clone().update_table(
            UpdateTableOperation::AlterTable,
            ENGINE_INFO,
            false,
        );
        for field in self.spec().schema.fields().filter(|f| missing.contains(f.name())) {
            builder = builder.add_column(field.clone());
        }
        let result = builder
            .build(self.engine(), Box::new(FileSystemCommitter::new()))
            .and_then(|transaction| transaction.commit(self.engine()))
            .context("add columns to table", self.url().as_str())?;
        match result {
            CommitResult::Committed(done) => {
                crate::durable::sync_commit(self.folder(), done.commit_version())?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// Where a file of the log is on this machine.
fn local(url: Option<Url>, subject: &str) -> Result<PathBuf, CatalogError> {
    url.and_then(|url| url.to_file_path().ok()).ok_or_else(|| CatalogError {
        action: "find the file",
        subject: subject.to_owned(),
        source: Cause::Unusable("it is not on this machine".into()),
    })
}

/// One version of a table.
#[derive(Clone)]
pub struct Snapshot {
    table: Table,
    pub(crate) inner: SnapshotRef,
}

/// A file of the table, as one snapshot sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct DataFile {
    /// Its path below the table's folder, as the log writes it.
    pub path: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Rows in the file, dead ones included.
    pub rows: u64,
    /// The pipe whose rows it holds.
    pub pipe: String,
    /// The rows that are dead.
    pub dead: Option<DeletionVectorDescriptor>,
}

impl DataFile {
    /// Rows that are dead.
    pub fn dead_rows(&self) -> u64 {
        self.dead.as_ref().map_or(0, |d| d.cardinality.unsigned_abs())
    }

    /// Rows that are not.
    pub fn live_rows(&self) -> u64 {
        self.rows.saturating_sub(self.dead_rows())
    }

    /// Two snapshots in which a file has the same identity see the same rows of it.
    pub fn identity(&self) -> FileIdentity {
        let dead = self.dead.as_ref().map(|d| (d.path_or_inline_dv.clone(), d.offset));
        FileIdentity { path: self.path.clone(), dead }
    }
}

/// A file and its deletion vector, named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileIdentity {
    path: String,
    dead: Option<(String, Option<i32>)>,
}

impl Snapshot {
    /// The version.
    pub fn version(&self) -> u64 {
        self.inner.version()
    }

    /// The table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The newest run of an application that is in the table: its fence.
    pub fn fence(&self, app_id: &str) -> Result<Option<i64>, CatalogError> {
        self.inner
            .get_app_id_version(app_id, self.table.engine())
            .context("read the fence of table", self.table.url().as_str())
    }

    /// The files of one pipe, or of all, in the order of their paths.
    pub fn files(&self, pipe: Option<&PipeName>) -> Result<Vec<DataFile>, CatalogError> {
        let mut files = Vec::new();
        for batch in self.scan_files(pipe)? {
            let (data, selected) = batch.into_parts();
            let data = ArrowEngineData::try_from_engine_data(data)
                .context("read the log of table", self.table.url().as_str())?;
            self.read_files(data.record_batch(), &selected, &mut files)?;
        }
        files.retain(|f| pipe.is_none_or(|p| p.as_str() == f.pipe));
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    pub(crate) fn scan_files(
        &self,
        pipe: Option<&PipeName>,
    ) -> Result<Vec<FilteredEngineData>, CatalogError> {
        let predicate = pipe.map(|pipe| {
            let column = Expression::column(ColumnName::new([PARTITION]));
            let value = Expression::literal(Scalar::from(pipe.as_str().to_owned()));
            Arc::new(Predicate::eq(column, value))
        });
        let subject = self.table.url().as_str();
        let scan = self
            .inner
            .clone()
            .scan_builder()
            .with_predicate(predicate)
            .build()
            .context("list the files of table", subject)?;
        let found =
            scan.scan_metadata(self.table.engine()).context("list the files of table", subject)?;
        found.map(|m| m.map(|m| m.scan_files).context("list the files of table", subject)).collect()
    }

    fn read_files(
        &self,
        batch: &RecordBatch,
        selected: &[bool],
        files: &mut Vec<DataFile>,
    ) -> Result<(), CatalogError> {
        let rows = ScanRows::of(batch).ok_or_else(|| self.unreadable("its shape is unknown"))?;
        for row in 0..batch.num_rows() {
            // Rows past the end of the selection vector are selected.
            if selected.get(row).is_some_and(|selected| !selected) {
                continue;
            }
            let stats = if rows.stats.is_valid(row) { rows.stats.value(row) } else { "" };
            let count =
                num_records(stats).ok_or_else(|| self.unreadable("a file has no row count"))?;
            files.push(DataFile {
                path: rows.path.value(row).to_owned(),
                size_bytes: rows.size.value(row).unsigned_abs(),
                rows: count,
                pipe: rows.pipe(row).ok_or_else(|| self.unreadable("a file names no pipe"))?,
                dead: rows
                    .dead(row)
                    .context("read a deletion vector of", self.table.url().as_str())?,
            });
        }
        Ok(())
    }

    fn unreadable(&self, why: &str) -> CatalogError {
        CatalogError {
            action: "read the log of table",
            subject: self.table.url().to_string(),
            source: Cause::Unusable(why.to_owned()),
        }
    }

    /// The dead rows of a file, ascending.
    pub fn dead_rows(&self, file: &DataFile) -> Result<Vec<u64>, CatalogError> {
        let Some(dead) = &file.dead else { return Ok(Vec::new()) };
        let mut rows = dead
            .row_indexes(self.table.engine().storage_handler(), self.table.url())
            .context("read the deletion vector of", &file.path)?;
        rows.sort_unstable();
        Ok(rows)
    }

    /// Where a file is on this machine.
    pub fn local_path(&self, file: &DataFile) -> Result<PathBuf, CatalogError> {
        self.table.local_path(&file.path)
    }

    /// Entries in the log since its last checkpoint.
    pub fn commits_since_checkpoint(&self) -> u64 {
        let checkpoint = self.inner.log_segment().checkpoint_version;
        self.version() - checkpoint.unwrap_or(0)
    }

    /// Writes a checkpoint of this version, so that readers need not read the whole log.
    pub fn checkpoint(&self) -> Result<(), CatalogError> {
        self.inner
            .checkpoint(self.table.engine(), None)
            .context("write a checkpoint of table", self.table.url().as_str())?;
        crate::durable::sync_checkpoint(self.table.folder(), self.version())
    }
}

/// The columns of the kernel's file listing.
struct ScanRows<'a> {
    path: &'a StringArray,
    size: &'a Int64Array,
    stats: &'a StringArray,
    vectors: &'a arrow::array::StructArray,
    partitions: &'a arrow::array::MapArray,
}

impl<'a> ScanRows<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        Some(Self {
            path: batch.column_by_name("path")?.as_string_opt()?,
            size: batch.column_by_name("size")?.as_primitive_opt()?,
            stats: batch.column_by_name("stats")?.as_string_opt()?,
            vectors: batch.column_by_name("deletionVector")?.as_struct_opt()?,
            partitions: batch
                .column_by_name("fileConstantValues")?
                .as_struct_opt()?
                .column_by_name("partitionValues")?
                .as_map_opt()?,
        })
    }

    fn pipe(&self, row: usize) -> Option<String> {
        let entries = self.partitions.value(row);
        let names: &StringArray = entries.column(0).as_string_opt()?;
        let values: &StringArray = entries.column(1).as_string_opt()?;
        let place = (0..names.len()).find(|&i| names.value(i) == PARTITION)?;
        values.is_valid(place).then(|| values.value(place).to_owned())
    }

    fn dead(
        &self,
        row: usize,
    ) -> Result<Option<DeletionVectorDescriptor>, delta_kernel::KernelError> {
        let text = |name: &str| -> Option<&str> {
            let column: &StringArray = self.vectors.column_by_name(name)?.as_string_opt()?;
            column.is_valid(row).then(|| column.value(row))
        };
        let int = |name: &str| -> Option<i32> {
            let column: &Int32Array = self.vectors.column_by_name(name)?.as_primitive_opt()?;
            column.is_valid(row).then(|| column.value(row))
        };
        let long = |name: &str| -> Option<i64> {
            let column: &Int64Array = self.vectors.column_by_name(name)?.as_primitive_opt()?;
            column.is_valid(row).then(|| column.value(row))
        };
        let (Some(kind), Some(path)) = (text("storageType"), text("pathOrInlineDv")) else {
            return Ok(None);
        };
        DeletionVectorDescriptor::try_new(
            kind.parse()?,
            path,
            int("offset"),
            int("sizeInBytes").unwrap_or(-1),
            long("cardinality").unwrap_or(-1),
        )
        .map(Some)
    }
}

/// `numRecords` of a file's statistics, which the log holds as JSON.
fn num_records(stats: &str) -> Option<u64> {
    let (_, rest) = stats.split_once("\"numRecords\"")?;
    let digits = rest.trim_start().strip_prefix(':')?.trim_start();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::num_records;

    #[test]
    fn the_row_count_is_found_in_statistics() {
        assert_eq!(num_records(r#"{"numRecords":42,"minValues":{}}"#), Some(42));
        assert_eq!(num_records(r#"{"tightBounds":false, "numRecords" : 7}"#), Some(7));
        assert_eq!(num_records("{}"), None);
    }
}
