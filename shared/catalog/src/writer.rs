//! Data files: Parquet, written beside the table's others and invisible until a commit names them.

use crate::durable;
use crate::error::{CatalogError, Context};
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
use std::fs::File;
use std::path::PathBuf;
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
    on_disk: Uncommitted,
}

impl NewFile {
    /// A commit may name the file from now on.
    pub(crate) fn keep(&self) {
        self.on_disk.is_kept.store(true, Ordering::Relaxed);
    }

    /// It is certain that no commit names the file.
    pub(crate) fn release(&self) {
        self.on_disk.is_kept.store(false, Ordering::Relaxed);
    }
}

/// A row group is closed when it holds about this many bytes in memory: what a writer needs does not grow
/// with the file.
const ROW_GROUP_BYTES: usize = 48 * 1024 * 1024;
const ROW_GROUP_ROWS: usize = 256 * 1024;
const PAGE_BYTES: usize = 128 * 1024;

/// Writes one data file of one pipe.
pub struct PartWriter {
    writer: ArrowWriter<File>,
    stats: FileStatsAccumulator,
    folder: PathBuf,
    on_disk: Uncommitted,
    path: String,
    rows: u64,
}

/// A file that no commit names, finished or not. It goes with the value, unless it is kept: a disk that was too small
/// for a run has its room again when the run has failed.
#[derive(Debug)]
struct Uncommitted {
    path: PathBuf,
    is_kept: AtomicBool,
}

impl Drop for Uncommitted {
    fn drop(&mut self) {
        if !*self.is_kept.get_mut() {
            // If it cannot be removed, vacuum will.
            std::fs::remove_file(&self.path).ok();
        }
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
        let folder = table.folder().join(format!("pipe={pipe}"));
        durable::make_folder(&folder)?;
        let name = format!("{label}-{}.parquet", uuid::Uuid::new_v4());
        let full_path = folder.join(&name);
        let path = format!("pipe={pipe}/{name}");
        let file = File::create_new(&full_path).at("create", &full_path)?;
        let on_disk = Uncommitted { path: full_path, is_kept: AtomicBool::new(false) };
        let writer =
            ArrowWriter::try_new(file, schema, Some(properties())).at("begin", &on_disk.path)?;
        let columns: Vec<ColumnName> =
            table.spec().stats_columns.iter().map(|c| ColumnName::new([*c])).collect();
        let stats = FileStatsAccumulator::new(&columns, &table.spec().schema);
        Ok(Self { writer, stats, folder, on_disk, path, rows: 0 })
    }

    /// Adds rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), CatalogError> {
        self.writer.write(batch).at("write", &self.on_disk.path)?;
        self.stats.merge(batch).at("measure", &self.on_disk.path)?;
        self.rows += batch.num_rows() as u64;
        if self.writer.in_progress_size() >= ROW_GROUP_BYTES {
            self.writer.flush().at("write", &self.on_disk.path)?;
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
        let Self { writer, stats, folder, on_disk, path, rows } = self;
        let full_path = on_disk.path.as_path();
        let stats = stats.finish().at("measure", full_path)?;
        let file = writer.into_inner().at("finish", full_path)?;
        let Some(stats) = stats.filter(|_| rows > 0) else { return Ok(None) };
        file.sync_all().at("sync", full_path)?;
        durable::sync_folder(&folder)?;
        let size_bytes = file.metadata().at("measure", full_path)?.len();
        let modified = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let modified_ms = modified.as_millis() as i64;
        Ok(Some(NewFile { path, size_bytes, rows, modified_ms, stats, on_disk }))
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
