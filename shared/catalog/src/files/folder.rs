//! Files on this machine.

use super::{BATCH_ROWS, DRAFT, Draft, FilePlace, Found, Visit, elsewhere};
use crate::durable;
use crate::error::{CatalogError, Context};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::{DirEntry, File, FileType, Metadata};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

pub(super) fn list(folder: &Path) -> Result<Vec<Found>, CatalogError> {
    let mut files = Vec::new();
    for_each_entry(folder, &mut |entry, kind| {
        // Links are followed, as they are where a file is read.
        if !kind.is_dir() {
            files.extend(find(&entry.path())?);
        }
        Ok(())
    })?;
    Ok(files)
}

pub(super) fn list_below(folder: &Path) -> Result<Vec<Found>, CatalogError> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for_each_entry(&folder, &mut |entry, kind| {
            let name = entry.file_name();
            if name.to_str().is_none_or(|name| name.starts_with(['_', '.'])) {
                return Ok(());
            }
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.extend(measure(entry)?);
            }
            Ok(())
        })?;
    }
    Ok(files)
}

fn for_each_entry(
    folder: &Path,
    visit: &mut dyn FnMut(&DirEntry, FileType) -> Result<(), CatalogError>,
) -> Result<(), CatalogError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e).at("list", folder),
    };
    for entry in entries {
        let entry = entry.at("list", folder)?;
        let kind = entry.file_type().at("list", &entry.path())?;
        visit(&entry, kind)?;
    }
    Ok(())
}

/// None: whoever wrote it has taken it back.
fn measure(entry: &DirEntry) -> Result<Option<Found>, CatalogError> {
    found(entry.path(), entry.metadata())
}

pub(super) fn find(path: &Path) -> Result<Option<Found>, CatalogError> {
    found(path.to_owned(), std::fs::metadata(path))
}

fn found(path: PathBuf, metadata: io::Result<Metadata>) -> Result<Option<Found>, CatalogError> {
    match metadata {
        Ok(metadata) => {
            let modified = metadata.modified().at("measure", &path)?;
            Ok(Some(Found { bytes: metadata.len(), modified, place: FilePlace::Disk(path) }))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).at("measure", &path),
    }
}

/// None where there is no such file.
pub(super) fn read(place: &FilePlace) -> Result<Option<Bytes>, CatalogError> {
    let FilePlace::Disk(path) = place else { return Err(elsewhere(place)) };
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).at("read", path),
    }
}

/// False when it was gone already.
pub(super) fn remove(place: &FilePlace) -> Result<bool, CatalogError> {
    let FilePlace::Disk(path) = place else { return Err(elsewhere(place)) };
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e).at("delete", path),
    }
}

pub(super) fn for_each_batch(
    path: &Path,
    columns: Option<&[&str]>,
    visit: &mut Visit<'_>,
) -> Result<(), CatalogError> {
    let opened = File::open(path).at("open", path)?;
    let mut builder = ParquetRecordBatchReaderBuilder::try_new(opened)
        .at("read", path)?
        .with_batch_size(BATCH_ROWS);
    if let Some(columns) = columns {
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        builder = builder.with_projection(mask);
    }
    for batch in builder.build().at("read", path)? {
        visit(batch.at("read", path)?)?;
    }
    Ok(())
}

/// A file that is being written.
pub(crate) struct DiskFile {
    file: File,
    /// Where it is to be.
    path: PathBuf,
    /// Where it is now.
    written: PathBuf,
    is_kept: bool,
}

impl DiskFile {
    /// Begins it, in a folder that is made where it is absent.
    pub fn create(path: &Path, draft: Draft) -> Result<Self, CatalogError> {
        path.parent().map_or(Ok(()), durable::make_folder)?;
        let mut written = path.as_os_str().to_owned();
        if draft == Draft::Unlisted {
            written.push(DRAFT);
        }
        let written = PathBuf::from(written);
        let file = File::create_new(&written).at("create", &written)?;
        Ok(Self { file, path: path.to_owned(), written, is_kept: false })
    }

    /// Makes it and its name durable; its size in bytes.
    pub fn finish(mut self) -> Result<u64, CatalogError> {
        self.file.sync_all().at("sync", &self.written)?;
        if self.written != self.path {
            std::fs::rename(&self.written, &self.path).at("name", &self.path)?;
            self.written.clone_from(&self.path);
        }
        self.path.parent().map_or(Ok(()), durable::sync_folder)?;
        let bytes = self.file.metadata().at("measure", &self.path)?.len();
        self.is_kept = true;
        Ok(bytes)
    }
}

impl Write for DiskFile {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.file.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for DiskFile {
    fn drop(&mut self) {
        if !self.is_kept {
            // If it cannot be removed, vacuum will.
            std::fs::remove_file(&self.written).ok();
        }
    }
}
