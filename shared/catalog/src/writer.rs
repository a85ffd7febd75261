//! Data files: Parquet, written beside the table's others and invisible until a commit names them.

use crate::error::{CatalogError, Context};
use crate::files::{Draft, FilePlace, Files, NewObject};
use crate::schema::PARTITION;
use crate::table::Table;
use arrow::array::{RecordBatch, StructArray};
use arrow::datatypes::SchemaRef;
use delta_kernel::expressions::ColumnName;
use delta_kernel_default_engine::stats::FileStatsAccumulator;
use feedfleet_model::PipeName;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A finished data file, ready to be committed. It goes with the value, unless it was committed or may have been.
#[derive(Debug)]
pub struct NewFile {
    /// Its path below the table's folder.
    pub path: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// When it was finished, in milliseconds since the epoch.
    pub modified_ms: i64,
    /// Its statistics, for the log.
    pub(crate) stats: StructArray,
    uncommitted: Uncommitted,
}

impl NewFile {
    /// A commit may name the file from now on.
    pub(crate) fn keep(&self) {
        self.uncommitted.is_kept.store(true, Ordering::Relaxed);
    }

    /// It is certain that no commit names the file.
    pub(crate) fn release(&self) {
        self.uncommitted.is_kept.store(false, Ordering::Relaxed);
    }
}

/// A row group is closed when it holds about this many bytes in memory: what a writer needs does not grow
/// with the file.
const ROW_GROUP_BYTES: usize = 48 * 1024 * 1024;
const ROW_GROUP_ROWS: usize = 256 * 1024;
const PAGE_BYTES: usize = 128 * 1024;

/// Writes one data file of one pipe. The file goes with the value, unless it is finished. Beside the row group in
/// progress, one that goes to an object store keeps up to three parts of 8 MiB in memory.
pub struct PartWriter {
    writer: ArrowWriter<NewObject>,
    stats: FileStatsAccumulator,
    files: Files,
    place: FilePlace,
    path: String,
    rows: u64,
}

/// A finished file that no commit names. It goes with the value, unless it is kept: a disk that was too small for a run
/// has its room again when the run has failed.
struct Uncommitted {
    files: Files,
    place: FilePlace,
    is_kept: AtomicBool,
}

impl Drop for Uncommitted {
    fn drop(&mut self) {
        if !*self.is_kept.get_mut() {
            self.files.discard(&self.place);
        }
    }
}

impl fmt::Debug for Uncommitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uncommitted").field("place", &self.place).finish_non_exhaustive()
    }
}

impl PartWriter {
    /// Begins a file. `label` becomes a part of its name, for people who look into the folder.
    pub fn create(
        table: &Table,
        pipe: &PipeName,
        label: &str,
        schema: SchemaRef,
    ) -> Result<Self, CatalogError> {
        // Whoever asks which rows there are must not overlook those that are on their way.
        Self::begin(table, pipe, label, schema, Draft::Listed)
    }

    /// As [`PartWriter::create`]. [`Draft::Unlisted`] is for rows that are in other files of the table too.
    pub(crate) fn begin(
        table: &Table,
        pipe: &PipeName,
        label: &str,
        schema: SchemaRef,
        draft: Draft,
    ) -> Result<Self, CatalogError> {
        let path = format!("{PARTITION}={pipe}/{label}-{}.parquet", uuid::Uuid::new_v4());
        let place = table.place(&path)?;
        let files = table.files().clone();
        let file = files.create(&place, draft)?;
        let writer =
            ArrowWriter::try_new(file, schema, Some(properties())).with("begin", &place)?;
        let columns: Vec<ColumnName> =
            table.spec().stats_columns.iter().map(|c| ColumnName::new([*c])).collect();
        let stats = FileStatsAccumulator::new(&columns, &table.spec().schema);
        Ok(Self { writer, stats, files, place, path, rows: 0 })
    }

    /// Adds rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), CatalogError> {
        self.writer.write(batch).with("write", &self.place)?;
        self.stats.merge(batch).with("measure", &self.place)?;
        self.rows += batch.num_rows() as u64;
        if self.writer.in_progress_size() >= ROW_GROUP_BYTES {
            self.writer.flush().with("write", &self.place)?;
        }
        Ok(())
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes written so far, and held for the row group in progress.
    pub fn bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// Closes the file and makes it durable. None, and no file, when it has no rows.
    pub fn finish(self) -> Result<Option<NewFile>, CatalogError> {
        let Self { writer, stats, files, place, path, rows } = self;
        let stats = stats.finish().with("measure", &place)?;
        let file = writer.into_inner().with("finish", &place)?;
        let Some(stats) = stats.filter(|_| rows > 0) else { return Ok(None) };
        let size_bytes = file.finish()?;
        let uncommitted = Uncommitted { files, place, is_kept: AtomicBool::new(false) };
        let modified = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let modified_ms = modified.as_millis() as i64;
        Ok(Some(NewFile { path, size_bytes, rows, modified_ms, stats, uncommitted }))
    }
}

fn properties() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_dictionary_page_size_limit(PAGE_BYTES)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(crate::table::ENGINE_INFO.to_owned());
    // Values that hardly ever repeat: a dictionary would only be built and thrown away.
    for column in [
        "id",
        "content_hash",
        "source_hash",
        "title",
        "description",
        "link",
        "image_link",
        "image_key",
        "key",
        "url",
    ] {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(column), false);
    }
    for column in ["content_hash", "source_hash", "image_key", "description"] {
        properties = properties
            .set_column_statistics_enabled(ColumnPath::from(column), EnabledStatistics::None);
    }
    properties.build()
}
