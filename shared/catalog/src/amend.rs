//! Amendments: rows of the table that are to say something else in some columns, such as a supplement's. Rows are
//! told by a reading of few columns; those that change, and no others, are read whole and written anew, with their
//! lineage as it was.

use crate::commit::{Change, Fence};
use crate::decode::{LineageColumns, RowColumns};
use crate::diff::nothing_changed;
use crate::encode::{Lineage, RowBatch};
use crate::error::CatalogError;
use crate::feed_app_id;
use crate::read::for_each_batch;
use crate::snapshot::{DataFile, Snapshot};
use crate::stage::{Stage, Staged};
use crate::table::Table;
use feedfleet_model::{ColumnId, Row, RunKey, columns};
use std::collections::{BTreeMap, BTreeSet};

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
/// is called again, and must do the same, for each row that it changes. The change carries the fence of the run.
pub fn amend(
    table: &Table,
    snapshot: Option<&Snapshot>,
    run: &RunKey,
    columns: &[ColumnId],
    mut amend: impl FnMut(&mut Row),
) -> Result<(Change, Amended), CatalogError> {
    let app_id = feed_app_id(&run.pipe);
    let mut amended = Amended::default();
    let Some(snapshot) = snapshot else {
        return Ok((nothing_changed(&run.pipe, run.run, &app_id, Vec::new()), amended));
    };
    let run = RunKey { pipe: run.pipe.pipe(), run: run.run };
    let base = snapshot.files(Some(&run.pipe))?;
    let mut writing = Writing::new(table, &run)?;
    let (mut dead, mut drops) = (BTreeMap::new(), BTreeSet::new());
    for file in &base {
        let (live, places) = places_of_changed(snapshot, file, columns, &mut amend)?;
        amended.live += live;
        if places.is_empty() {
            continue;
        }
        amended.changed += places.len() as u64;
        writing.write(snapshot, file, &places, &mut amend)?;
        if file.dead_rows() + places.len() as u64 >= file.rows {
            drops.insert(file.path.clone());
        } else {
            dead.insert(file.path.clone(), places);
        }
    }
    let change = Change {
        pipe: run.pipe,
        base,
        adds: writing.finish()?.files,
        dead,
        drops,
        fence: Fence { app_id, run: run.run.0 },
        metrics: Vec::new(),
        data_change: true,
    };
    Ok((change, amended))
}

/// How many rows of a file are live, and the places of those that change, ascending.
fn places_of_changed(
    snapshot: &Snapshot,
    file: &DataFile,
    columns: &[ColumnId],
    amend: &mut impl FnMut(&mut Row),
) -> Result<(u64, Vec<u64>), CatalogError> {
    let kept = [columns::ID, columns::SOURCE_VALUES];
    let names: Vec<&str> = kept.iter().chain(columns).map(|column| column.column().name).collect();
    let (mut row, mut scratch) = (Row::new(), Vec::new());
    let (mut live, mut places) = (0, Vec::new());
    for_each_batch(snapshot, file, Some(&names), |rows| {
        let columns = RowColumns::of(&rows.batch, file)?;
        for at in rows.live() {
            columns.read(at, &mut row);
            let before = row.content_hash(&mut scratch);
            amend(&mut row);
            if row.content_hash(&mut scratch) != before {
                places.push(rows.first_row + at as u64);
            }
            live += 1;
        }
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
    fn write(
        &mut self,
        snapshot: &Snapshot,
        file: &DataFile,
        places: &[u64],
        amend: &mut impl FnMut(&mut Row),
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
                amend(&mut self.row);
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
