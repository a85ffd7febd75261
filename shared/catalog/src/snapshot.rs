//! One version of a table: its files, its fences, and the rows that are dead.

use crate::commit::Ground;
use crate::durable;
use crate::error::{CatalogError, Cause, Context};
use crate::files::FilePlace;
use crate::schema::PARTITION;
use crate::table::Table;
use arrow::array::{Array, AsArray, Int32Array, Int64Array, RecordBatch, StringArray};
use delta_kernel::actions::deletion_vector::DeletionVectorDescriptor;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::engine_data::FilteredEngineData;
use delta_kernel::expressions::{ColumnName, Expression, Predicate, Scalar};
use delta_kernel::snapshot::SnapshotRef;
use feedfleet_model::PipeName;
use object_store::path::Path as ObjectPath;
use std::path::PathBuf;
use std::sync::Arc;

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
    pub(crate) fn new(table: Table, inner: SnapshotRef) -> Self {
        Self { table, inner }
    }

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

    /// The fence of an application as a ground on which a change may rest.
    pub fn ground(&self, app_id: String) -> Result<Ground, CatalogError> {
        Ok(Ground { run: self.fence(&app_id)?, app_id })
    }

    /// The files of one pipe, or of all, in the order of their paths. A supplement's are those of its pipe.
    pub fn files(&self, pipe: Option<&PipeName>) -> Result<Vec<DataFile>, CatalogError> {
        let pipe = pipe.map(PipeName::pipe);
        let pipe = pipe.as_ref();
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

    /// Where a file is on this machine. An error where the table is in an object store.
    pub fn local_path(&self, file: &DataFile) -> Result<PathBuf, CatalogError> {
        match self.table.place(&file.path)? {
            FilePlace::Disk(path) => Ok(path),
            FilePlace::Object(path) => Err(CatalogError {
                action: "find the file",
                subject: path.to_string(),
                source: Cause::Unusable("it is not on this machine".into()),
            }),
        }
    }

    /// A file's path in the table's object store, or in one that is this machine's whole disk.
    pub fn store_path(&self, file: &DataFile) -> Result<ObjectPath, CatalogError> {
        match self.table.place(&file.path)? {
            FilePlace::Disk(path) => ObjectPath::from_absolute_path(&path)
                .map_err(object_store::Error::from)
                .at("name the file", &path),
            FilePlace::Object(path) => Ok(path),
        }
    }

    /// The sizes in bytes of files as they are stored, in their order; none where one is missing. A store is asked
    /// for a thousand with each request.
    pub fn stored_bytes(&self, files: &[DataFile]) -> Result<Vec<Option<u64>>, CatalogError> {
        let places: Result<Vec<FilePlace>, CatalogError> =
            files.iter().map(|file| self.table.place(&file.path)).collect();
        self.table.files().sizes(&self.table.place("./")?, &places?)
    }

    /// Entries in the log since its last checkpoint.
    pub fn commits_since_checkpoint(&self) -> u64 {
        self.version() - self.checkpoint_version().unwrap_or(0)
    }

    /// The checkpoint that this version was read from. One without a byte is passed over.
    pub(crate) fn checkpoint_version(&self) -> Option<u64> {
        self.inner.log_segment().checkpoint_version
    }

    /// Writes a checkpoint of this version, so that readers need not read the whole log.
    pub fn checkpoint(&self) -> Result<(), CatalogError> {
        self.inner
            .checkpoint(self.table.engine(), None)
            .context("write a checkpoint of table", self.table.url().as_str())?;
        let sync = |folder| durable::sync_checkpoint(folder, self.version());
        self.table.folder().map_or(Ok(()), sync)
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
