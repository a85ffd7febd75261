//! Which pictures rows refer to: the live rows of one version, or every row whose file is still there.

use crate::error::{CatalogError, Cause};
use crate::files::Found;
use crate::read::for_each_batch;
use crate::schema::PARTITION;
use crate::snapshot::{DataFile, Snapshot};
use crate::table::Table;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use feedfleet_model::{PipeName, keys};
use std::collections::BTreeSet;

/// Columns that hold addresses of pictures that are mirrored.
const LINKS: [&str; 2] = ["image_link", "additional_image_links"];
/// Columns that hold their keys.
const KEYS: [&str; 2] = ["image_key", "additional_image_keys"];

/// Calls `visit` with every picture address of the pipe's live rows, and with the run that last changed the
/// addresses of its row. An address that several rows have comes several times.
pub fn for_each_live_link(
    snapshot: &Snapshot,
    pipe: &PipeName,
    visit: impl FnMut(i64, &str),
) -> Result<(), CatalogError> {
    for_each_live_link_in(snapshot, &snapshot.files(Some(pipe))?, visit)
}

/// As [`for_each_live_link`], of the rows in these files of the snapshot.
pub fn for_each_live_link_in(
    snapshot: &Snapshot,
    files: &[DataFile],
    mut visit: impl FnMut(i64, &str),
) -> Result<(), CatalogError> {
    let columns = ["images_run", LINKS[0], LINKS[1]];
    for file in files {
        for_each_batch(snapshot, file, Some(&columns), |rows| {
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
    let mut unread: BTreeSet<String> = BTreeSet::new();
    for file in snapshot.files(Some(pipe))? {
        unread.extend(products.place(&file.path)?.name().map(str::to_owned));
    }
    // Whatever is committed from here on was in the folder, or will be found unreadable there; what a compaction is
    // writing is not found, but has its rows from files that are.
    let folder = products.place(&format!("{PARTITION}={pipe}/"))?;
    for found in products.files().list(&folder)? {
        let Some(name) = found.place.name().filter(|name| name.ends_with(".parquet")) else {
            continue;
        };
        visit_file(products, &found, visit)?;
        unread.remove(name);
    }
    match unread.first() {
        None => Ok(()),
        Some(absent) => Err(CatalogError {
            action: "read the file",
            subject: absent.clone(),
            source: Cause::Unusable("the table refers to it, and it is not there".into()),
        }),
    }
}

fn visit_file(
    products: &Table,
    file: &Found,
    visit: &mut dyn FnMut(u128),
) -> Result<(), CatalogError> {
    let columns = [LINKS[0], LINKS[1], KEYS[0], KEYS[1]];
    products.files().for_each_batch(&file.place, file.bytes, Some(&columns), &mut |batch| {
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
        Ok(())
    })
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
