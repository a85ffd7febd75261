//! The `images` table: what is known of every mirrored picture, folded from the workers' receipts.

use crate::commit::{Change, CommitOutcome, Fence};
use crate::encode::list_builder;
use crate::error::{CatalogError, Cause, Context};
use crate::read::for_each_batch;
use crate::snapshot::{DataFile, Snapshot};
use crate::stage::Parts;
use crate::table::Table;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Int32Builder, Int64Builder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use feedfleet_model::image::ImageEntry;
use feedfleet_model::{PipeName, RunId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Where the current entry of a picture lies, and when it was made.
type Current = HashMap<String, (usize, u64, i64)>;

/// Rounds in which a change may lose to others.
const ROUNDS: usize = 10;

/// Folds entries of one pipe into the table: of several for a key, the newest stays. Folding the same
/// entries twice changes nothing. The number of entries that became current.
pub fn fold(table: &Table, pipe: &PipeName, entries: &[ImageEntry]) -> Result<usize, CatalogError> {
    for _ in 0..ROUNDS {
        let snapshot = table.ensure()?;
        let base = snapshot.files(Some(pipe))?;
        let newest = newest(entries);
        let current = current(&snapshot, &base, &newest)?;
        let mut dead: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let mut fresh = Vec::new();
        for (key, entry) in newest {
            match current.get(key) {
                Some((_, _, at)) if *at >= entry.checked_at.timestamp_micros() => continue,
                Some(&(file, row, _)) => {
                    dead.entry(base[file].path.clone()).or_default().push(row);
                }
                None => {}
            }
            fresh.push(entry);
        }
        if fresh.is_empty() {
            return Ok(0);
        }
        if publish(&snapshot, pipe, base, dead, &fresh)? {
            return Ok(fresh.len());
        }
    }
    Err(contended("fold image receipts into", table))
}

/// Takes entries of one pipe out of the table: those of which `is_gone` says so, by the picture's key and
/// the time at which it was last looked at, in epoch microseconds. How many there were.
pub fn remove(
    table: &Table,
    pipe: &PipeName,
    is_gone: &dyn Fn(&str, i64) -> bool,
) -> Result<usize, CatalogError> {
    for _ in 0..ROUNDS {
        let Some(snapshot) = table.snapshot()? else { return Ok(0) };
        let base = snapshot.files(Some(pipe))?;
        let mut dead: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let mut removed = 0;
        for_each_place(&snapshot, &base, |file, row, key, checked_at_us| {
            if is_gone(key, checked_at_us) {
                dead.entry(base[file].path.clone()).or_default().push(row);
                removed += 1;
            }
        })?;
        if removed == 0 || publish(&snapshot, pipe, base, dead, &[])? {
            return Ok(removed);
        }
    }
    Err(contended("take image entries out of", table))
}

/// What the table knows of one picture.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The picture's key.
    pub key: &'a str,
    /// The run that asked for it.
    pub run: RunId,
    /// What came of the last look, as [`feedfleet_model::image::ImageStatus::word`] says it.
    pub status: &'a str,
    /// Whether asking again later may help.
    pub retry: bool,
    /// When it was last looked at, in epoch microseconds.
    pub checked_at_us: i64,
}

/// Calls `visit` with every current entry of a pipe.
pub fn for_each_entry(
    snapshot: &Snapshot,
    pipe: &PipeName,
    visit: impl FnMut(Known<'_>),
) -> Result<(), CatalogError> {
    for_each_entry_in(snapshot, &snapshot.files(Some(pipe))?, visit)
}

/// As [`for_each_entry`], of those in these files of the snapshot.
pub fn for_each_entry_in(
    snapshot: &Snapshot,
    files: &[DataFile],
    mut visit: impl FnMut(Known<'_>),
) -> Result<(), CatalogError> {
    const COLUMNS: [&str; 5] = ["key", "run", "status", "retry", "checked_at"];
    for file in files {
        for_each_batch(snapshot, file, Some(&COLUMNS), |rows| {
            let column = |name| rows.batch.column_by_name(name);
            let keys = column("key").and_then(|c| c.as_string_opt::<i32>());
            let runs = column("run").and_then(|c| c.as_primitive_opt::<Int64Type>());
            let statuses = column("status").and_then(|c| c.as_string_opt::<i32>());
            let retries = column("retry").and_then(|c| c.as_boolean_opt());
            let times =
                column("checked_at").and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
            let (Some(keys), Some(runs), Some(statuses), Some(retries), Some(times)) =
                (keys, runs, statuses, retries, times)
            else {
                return Ok(());
            };
            for row in rows.live().filter(|&row| keys.is_valid(row)) {
                visit(Known {
                    key: keys.value(row),
                    run: RunId(runs.value(row)),
                    status: statuses.value(row),
                    retry: retries.value(row),
                    checked_at_us: times.value(row),
                });
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Commits entries and the death of those before them. False: somebody else was first, and the change must
/// be worked out anew.
fn publish(
    snapshot: &Snapshot,
    pipe: &PipeName,
    base: Vec<DataFile>,
    mut dead: BTreeMap<String, Vec<u64>>,
    fresh: &[&ImageEntry],
) -> Result<bool, CatalogError> {
    let table = snapshot.table();
    let whole = |f: &DataFile| {
        dead.get(&f.path).is_some_and(|rows| f.dead_rows() + rows.len() as u64 >= f.rows)
    };
    let drops: BTreeSet<String> =
        base.iter().filter(|f| whole(f)).map(|f| f.path.clone()).collect();
    dead.retain(|path, _| !drops.contains(path));
    let app_id = format!("{pipe}/images");
    let run = snapshot.fence(&app_id)?.unwrap_or(0) + 1;
    let change = Change {
        pipe: pipe.clone(),
        base,
        adds: write(table, pipe, run, fresh)?,
        dead,
        drops,
        fence: Fence { app_id, run },
        metrics: vec![("entries", fresh.len() as u64)],
        data_change: true,
    };
    Ok(matches!(table.commit(&change)?, CommitOutcome::Committed { .. }))
}

fn contended(action: &'static str, table: &Table) -> CatalogError {
    CatalogError {
        action,
        subject: table.url().to_string(),
        source: Cause::Contended("others change it all the time".into()),
    }
}

fn newest(entries: &[ImageEntry]) -> BTreeMap<&str, &ImageEntry> {
    let mut newest: BTreeMap<&str, &ImageEntry> = BTreeMap::new();
    for entry in entries {
        let place = newest.entry(&entry.key).or_insert(entry);
        if place.checked_at < entry.checked_at {
            *place = entry;
        }
    }
    newest
}

fn current(
    snapshot: &Snapshot,
    files: &[DataFile],
    wanted: &BTreeMap<&str, &ImageEntry>,
) -> Result<Current, CatalogError> {
    let mut current = Current::new();
    for_each_place(snapshot, files, |file, row, key, checked_at_us| {
        if wanted.contains_key(key) {
            current.insert(key.to_owned(), (file, row, checked_at_us));
        }
    })?;
    Ok(current)
}

/// Calls `visit` with every current entry of some files: the file's place among them, the row's in the file, the
/// picture's key, and when it was last looked at, in epoch microseconds.
fn for_each_place(
    snapshot: &Snapshot,
    files: &[DataFile],
    mut visit: impl FnMut(usize, u64, &str, i64),
) -> Result<(), CatalogError> {
    for (place, file) in files.iter().enumerate() {
        for_each_batch(snapshot, file, Some(&["key", "checked_at"]), |rows| {
            let keys = rows.batch.column_by_name("key").and_then(|c| c.as_string_opt::<i32>());
            let times = rows
                .batch
                .column_by_name("checked_at")
                .and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
            let (Some(keys), Some(times)) = (keys, times) else { return Ok(()) };
            for row in rows.live().filter(|&row| keys.is_valid(row)) {
                visit(place, rows.first_row + row as u64, keys.value(row), times.value(row));
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn write(
    table: &Table,
    pipe: &PipeName,
    run: i64,
    entries: &[&ImageEntry],
) -> Result<Vec<crate::writer::NewFile>, CatalogError> {
    let text = |value: fn(&ImageEntry) -> Option<&str>| -> ArrayRef {
        let mut b = StringBuilder::new();
        entries.iter().for_each(|e| b.append_option(value(e)));
        Arc::new(b.finish())
    };
    let long = |value: fn(&ImageEntry) -> Option<i64>| -> ArrayRef {
        let mut b = Int64Builder::new();
        entries.iter().for_each(|e| b.append_option(value(e)));
        Arc::new(b.finish())
    };
    let int = |value: fn(&ImageEntry) -> Option<i32>| -> ArrayRef {
        let mut b = Int32Builder::new();
        entries.iter().for_each(|e| b.append_option(value(e)));
        Arc::new(b.finish())
    };
    let mut retry = BooleanBuilder::new();
    let mut renditions = list_builder();
    let mut checked = TimestampMicrosecondBuilder::new().with_timezone("UTC");
    for entry in entries {
        retry.append_value(entry.retry);
        entry.renditions.iter().for_each(|r| renditions.values().append_value(r));
        renditions.append(true);
        checked.append_value(entry.checked_at.timestamp_micros());
    }
    // In the order of `TableSpec::images`.
    let columns: Vec<ArrayRef> = vec![
        text(|e| Some(&e.key)),
        text(|e| Some(&e.url)),
        long(|e| Some(e.run.0)),
        text(|e| Some(e.status.word())),
        text(|e| e.error.as_deref()),
        Arc::new(retry.finish()),
        text(|e| e.etag.as_deref()),
        text(|e| e.last_modified.as_deref()),
        text(|e| e.hash.as_deref()),
        long(|e| e.size_bytes),
        text(|e| e.format.as_deref()),
        int(|e| e.width),
        int(|e| e.height),
        Arc::new(renditions.finish()),
        Arc::new(checked.finish()),
    ];
    let schema = table.spec().file_schema()?;
    let batch = RecordBatch::try_new(schema.clone(), columns)
        .context("encode image entries of", pipe.as_str())?;
    let mut parts = Parts::new(table, pipe, format!("images-{run}"), schema);
    parts.write(&batch)?;
    parts.finish()
}
