//! Which pictures rows refer to: the live rows of one version, or every row whose file is still there.

use crate::error::{CatalogError, Cause, Context};
use crate::read::for_each_batch;
use crate::schema::PARTITION;
use crate::table::{Snapshot, Table};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use feedfleet_model::{PipeName, keys};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Columns that hold addresses of pictures that are mirrored.
const LINKS: [&str; 2] = ["image_link", "additional_image_links"];
/// Columns that hold their keys.
const KEYS: [&str; 2] = ["image_key", "additional_image_keys"];

/// Calls `visit` with every picture address of the pipe's live rows, and with the run that last changed the
/// addresses of its row. An address that several rows have comes several times.
pub fn for_each_live_link(
    snapshot: &Snapshot,
    pipe: &PipeName,
    mut visit: impl FnMut(i64, &str),
) -> Result<(), CatalogError> {
    let columns = ["images_run", LINKS[0], LINKS[1]];
    for file in snapshot.files(Some(pipe))? {
        for_each_batch(snapshot, &file, Some(&columns), |rows| {
            let runs = rows.batch.column_by_name("images_run");
            let Some(runs) = runs.and_then(|c| c.as_primitive_opt::<Int64Type>()) else {
                return Ok(());
            };
            for row in rows.live().filter(|&row| runs.is_valid(row)) {
                let run = runs.value(row);
                for column in LINKS {
                    for_each_text(&rows.batch, column, row, &mut |link| visit(run, link));
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Calls `visit` with the [`keys::address_hash`] of every picture that a row of the pipe refers to, be the row
/// live or dead, in any data file that lies in the pipe's folder: more than any version that can still be
/// had refers to.
///
/// # Errors
///
/// A file cannot be read, such as one that is being written, or one of the present version is not there.
/// Then nothing may be concluded from what was visited.
pub fn for_each_named(
    products: &Table,
    pipe: &PipeName,
    visit: &mut dyn FnMut(u128),
) -> Result<(), CatalogError> {
    // A table that is not there must not look like one whose products are gone.
    let snapshot = products.snapshot()?.ok_or_else(|| CatalogError {
        action: "read the rows of table",
        subject: products.url().to_string(),
        source: Cause::Unusable("there is no table".into()),
    })?;
    let mut unread: BTreeSet<OsString> = BTreeSet::new();
    for file in snapshot.files(Some(pipe))? {
        unread.extend(snapshot.local_path(&file)?.file_name().map(OsString::from));
    }
    // Whatever is committed from here on was in the folder, or will be found unreadable there.
    for path in data_files(&products.folder().join(format!("{PARTITION}={pipe}")))? {
        visit_file(&path, visit)?;
        if let Some(name) = path.file_name() {
            unread.remove(name);
        }
    }
    match unread.first() {
        None => Ok(()),
        Some(absent) => Err(CatalogError {
            action: "read the file",
            subject: absent.to_string_lossy().into_owned(),
            source: Cause::Unusable("the table refers to it, and it is not there".into()),
        }),
    }
}

/// The Parquet files in a folder; none where there is no folder.
fn data_files(folder: &Path) -> Result<Vec<PathBuf>, CatalogError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).at("list the folder", folder),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.at("list the folder", folder)?.path();
        if path.extension().is_some_and(|extension| extension == "parquet") {
            files.push(path);
        }
    }
    Ok(files)
}

fn visit_file(path: &Path, visit: &mut dyn FnMut(u128)) -> Result<(), CatalogError> {
    let opened = File::open(path).at("open", path)?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(opened).at("read", path)?.with_batch_size(8192);
    let columns = LINKS.into_iter().chain(KEYS);
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
    let reader = builder.with_projection(mask).build().at("read", path)?;
    for batch in reader {
        let batch = batch.at("read", path)?;
        for row in 0..batch.num_rows() {
            for column in LINKS {
                for_each_text(&batch, column, row, &mut |link| visit(keys::address_hash(link)));
            }
            // The same pictures once more: a key is what readers of the table go by.
            for column in KEYS {
                for_each_text(&batch, column, row, &mut |key| {
                    if let Some(hash) = keys::picture_hash(key) {
                        visit(hash);
                    }
                });
            }
        }
    }
    Ok(())
}

/// The text in a cell, or those in its list.
fn for_each_text(batch: &RecordBatch, column: &str, row: usize, visit: &mut dyn FnMut(&str)) {
    let Some(column) = batch.column_by_name(column).filter(|column| column.is_valid(row)) else {
        return;
    };
    if let Some(texts) = column.as_string_opt::<i32>() {
        visit(texts.value(row));
    } else if let Some(lists) = column.as_list_opt::<i32>() {
        let items = lists.value(row);
        if let Some(items) = items.as_string_opt::<i32>() {
            for item in items.iter().flatten() {
                visit(item);
            }
        }
    }
}
