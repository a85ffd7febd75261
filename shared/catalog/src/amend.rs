//! Amendments: rows of the table that are to say something else in some columns, such as a supplement's. Rows are
//! told by a reading of few columns; those that change, and no others, are read whole and written anew, with their
//! lineage as it was.

use crate::commit::Change;
use crate::decode::{LineageColumns, RowColumns};
use crate::diff::nothing_changed;
use crate::encode::{Lineage, RowBatch};
use crate::error::{CatalogError, Cause};
use crate::feed_app_id;
use crate::read::for_each_batch;
use crate::snapshot::{DataFile, Snapshot};
use crate::stage::{Stage, Staged};
use crate::table::Table;
use feedfleet_model::{ColumnId, PipeName, Row, RunId, RunKey, columns};
use std::ops::ControlFlow;

/// What an amendment does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amended {
    /// Live rows of the pipe.
    pub live: u64,
    /// Of those, the ones that are to say something else.
    pub changed: u64,
}

const BATCH_ROWS: usize = 4096;
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Works out the change by which each live row of the run's pipe is as `amend` leaves it. `amend` may read the id and
/// these columns of a row, and [supplement](Row::supplement) or [restore](Row::restore_source_value) these columns; it
/// is called again, and must do the same, for each row that it changes. The change carries the fence of the run. None:
/// `amend` said that it is to end.
pub fn amend(
    table: &Table,
    snapshot: Option<&Snapshot>,
    run: &RunKey,
    columns: &[ColumnId],
    amend: impl FnMut(&mut Row) -> ControlFlow<()>,
) -> Result<Option<(Change, Amended)>, CatalogError> {
    let base = match snapshot {
        Some(snapshot) => snapshot.files(Some(&run.pipe.pipe()))?,
        None => Vec::new(),
    };
    let mut change = nothing_changed(&run.pipe, run.run, &feed_app_id(&run.pipe), base);
    let Some(snapshot) = snapshot else { return Ok(Some((change, Amended::default()))) };
    let amended = amend_rest(table, snapshot, &mut change, columns, amend)?;
    Ok(amended.map(|amended| (change, amended)))
}

/// Has a change amend those rows that it would leave as they are, as [`amend`] does. Of these, what is told of them.
/// None: `amend` said that it is to end, and the change is good for nothing.
pub fn amend_rest(
    table: &Table,
    snapshot: &Snapshot,
    change: &mut Change,
    columns: &[ColumnId],
    amend: impl FnMut(&mut Row) -> ControlFlow<()>,
) -> Result<Option<Amended>, CatalogError> {
    let mut amend = Until { visit: amend, has_ended: false };
    let amended = rewrite(table, snapshot, change, columns, &mut amend);
    amend.end(amended)
}

/// Calls `visit` with each live row of a pipe: its id, these columns, and what its source says otherwise. False: it
/// said that it is to end.
pub fn for_each_shown(
    snapshot: &Snapshot,
    pipe: &PipeName,
    columns: &[ColumnId],
    visit: impl FnMut(&mut Row) -> ControlFlow<()>,
) -> Result<bool, CatalogError> {
    let mut visit = Until { visit, has_ended: false };
    for file in &snapshot.files(Some(&pipe.pipe()))? {
        let read = scan(snapshot, file, columns, |_, row| visit.call(row, file));
        if visit.end(read)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What is called for each row, until it says that it is to end. That passes as an error through what reads the rows.
struct Until<F> {
    visit: F,
    has_ended: bool,
}

impl<F: FnMut(&mut Row) -> ControlFlow<()>> Until<F> {
    fn call(&mut self, row: &mut Row, file: &DataFile) -> Result<(), CatalogError> {
        if (self.visit)(row).is_continue() {
            return Ok(());
        }
        self.has_ended = true;
        let (subject, source) = (file.path.clone(), Cause::Unusable("it was ended".to_owned()));
        Err(CatalogError { action: "go through", subject, source })
    }

    /// None where it has ended.
    fn end<T>(&self, result: Result<T, CatalogError>) -> Result<Option<T>, CatalogError> {
        match result {
            Err(_) if self.has_ended => Ok(None),
            result => result.map(Some),
        }
    }
}

fn rewrite<F: FnMut(&mut Row) -> ControlFlow<()>>(
    table: &Table,
    snapshot: &Snapshot,
    change: &mut Change,
    columns: &[ColumnId],
    amend: &mut Until<F>,
) -> Result<Amended, CatalogError> {
    let run = RunKey { pipe: change.pipe.clone(), run: RunId(change.fence.run) };
    let mut writing = Writing::new(table, &run)?;
    let mut amended = Amended::default();
    let Change { base, adds, dead, drops, .. } = change;
    for file in base.iter() {
        if drops.contains(&file.path) {
            continue;
        }
        let mut gone = dead.get(&file.path).cloned().unwrap_or_default();
        gone.sort_unstable();
        let (live, places) = places_of_changed(snapshot, file, &gone, columns, amend)?;
        amended.live += live;
        if places.is_empty() {
            continue;
        }
        amended.changed += places.len() as u64;
        writing.write(snapshot, file, &places, amend)?;
        gone.extend(places);
        if file.dead_rows() + gone.len() as u64 >= file.rows {
            dead.remove(&file.path);
            drops.insert(file.path.clone());
        } else {
            dead.insert(file.path.clone(), gone);
        }
    }
    adds.extend(writing.finish()?.files);
    Ok(amended)
}

/// Calls `visit` with the place and the named columns of each live row of a file.
fn scan(
    snapshot: &Snapshot,
    file: &DataFile,
    columns: &[ColumnId],
    mut visit: impl FnMut(u64, &mut Row) -> Result<(), CatalogError>,
) -> Result<(), CatalogError> {
    let kept = [columns::ID, columns::SOURCE_VALUES];
    let names: Vec<&str> = kept.iter().chain(columns).map(|column| column.column().name).collect();
    let mut row = Row::new();
    for_each_batch(snapshot, file, Some(&names), |rows| {
        let columns = RowColumns::of(&rows.batch, file)?;
        for at in rows.live() {
            columns.read(at, &mut row);
            visit(rows.first_row + at as u64, &mut row)?;
        }
        Ok(())
    })
}

/// How many rows of a file are live, and the places of those that change, ascending; but for those that are `gone`,
/// which ascend too.
fn places_of_changed<F: FnMut(&mut Row) -> ControlFlow<()>>(
    snapshot: &Snapshot,
    file: &DataFile,
    gone: &[u64],
    columns: &[ColumnId],
    amend: &mut Until<F>,
) -> Result<(u64, Vec<u64>), CatalogError> {
    let mut scratch = Vec::new();
    let (mut live, mut places) = (0, Vec::new());
    scan(snapshot, file, columns, |place, row| {
        if gone.binary_search(&place).is_ok() {
            return Ok(());
        }
        let before = row.content_hash(&mut scratch);
        amend.call(row, file)?;
        if row.content_hash(&mut scratch) != before {
            places.push(place);
        }
        live += 1;
        Ok(())
    })?;
    Ok((live, places))
}

/// Rows on their way into new files.
struct Writing {
    run: i64,
    batch: RowBatch,
    stage: Stage,
    row: Row,
    scratch: Vec<u8>,
}

impl Writing {
    fn new(table: &Table, run: &RunKey) -> Result<Self, CatalogError> {
        let schema = table.spec().file_schema()?;
        Ok(Self {
            run: run.run.0,
            batch: RowBatch::new(schema.clone(), run.pipe.clone()),
            stage: Stage::new(table.clone(), run, schema),
            row: Row::new(),
            scratch: Vec::new(),
        })
    }

    /// Writes the rows of a file at these places as they shall be.
    fn write<F: FnMut(&mut Row) -> ControlFlow<()>>(
        &mut self,
        snapshot: &Snapshot,
        file: &DataFile,
        places: &[u64],
        amend: &mut Until<F>,
    ) -> Result<(), CatalogError> {
        for_each_batch(snapshot, file, None, |rows| {
            let chosen = rows.among(places);
            if chosen.is_empty() {
                return Ok(());
            }
            let columns = RowColumns::of(&rows.batch, file)?;
            let kept = LineageColumns::of(&rows.batch, file)?;
            for place in chosen {
                let at = (place - rows.first_row) as usize;
                columns.read(at, &mut self.row);
                amend.call(&mut self.row, file)?;
                let lineage = Lineage {
                    first_seen: kept.first_seen.value(at) / 1_000_000,
                    run: self.run,
                    images_run: kept.images_run.value(at),
                    images_hash: kept.images_hash.value(at) as i32,
                    content_hash: self.row.content_hash(&mut self.scratch),
                    source_hash: kept.source_hash(at),
                };
                self.stage.next_ordinal();
                self.batch.push(&self.row, &lineage);
                if self.batch.rows() >= BATCH_ROWS || self.batch.bytes() >= BATCH_BYTES {
                    self.stage.write(self.batch.take()?)?;
                }
            }
            Ok(())
        })
    }

    fn finish(mut self) -> Result<Staged, CatalogError> {
        if self.batch.rows() > 0 {
            self.stage.write(self.batch.take()?)?;
        }
        self.stage.finish()
    }
}
