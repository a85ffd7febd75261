//! Reading the rows of data files that are alive.

use crate::error::{CatalogError, Context};
use crate::snapshot::{DataFile, Snapshot};
use arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// Some rows of a file, dead ones among them.
pub struct Rows {
    /// The columns asked for that the file has.
    pub batch: RecordBatch,
    /// Place of the first row in the file.
    pub first_row: u64,
    dead: Vec<u64>,
}

impl Rows {
    /// Places in `batch` of the rows that are alive, ascending.
    pub fn live(&self) -> impl Iterator<Item = usize> {
        let mut dead = self.dead.iter().map(|row| (row - self.first_row) as usize).peekable();
        (0..self.batch.num_rows()).filter(move |row| dead.next_if_eq(row).is_none())
    }

    /// The live rows alone.
    pub fn live_batch(&self) -> Result<RecordBatch, arrow::error::ArrowError> {
        if self.dead.is_empty() {
            return Ok(self.batch.clone());
        }
        let mut keep = vec![true; self.batch.num_rows()];
        for row in &self.dead {
            keep[(row - self.first_row) as usize] = false;
        }
        filter_record_batch(&self.batch, &BooleanArray::from(keep))
    }

    /// Those of some places in the file, which ascend, that lie in this batch.
    pub(crate) fn among<'a>(&self, places: &'a [u64]) -> &'a [u64] {
        let end = self.first_row + self.batch.num_rows() as u64;
        let from = places.partition_point(|&place| place < self.first_row);
        let to = places.partition_point(|&place| place < end);
        &places[from..to]
    }

    /// The rows alone whose places in the file are among `places`, which ascend.
    pub(crate) fn batch_of(&self, places: &[u64]) -> Result<RecordBatch, arrow::error::ArrowError> {
        let mut keep = vec![false; self.batch.num_rows()];
        for place in self.among(places) {
            keep[(place - self.first_row) as usize] = true;
        }
        filter_record_batch(&self.batch, &BooleanArray::from(keep))
    }
}

/// Calls `visit` with every batch of a file, in order. `columns`: those to read; none: all.
pub fn for_each_batch(
    snapshot: &Snapshot,
    file: &DataFile,
    columns: Option<&[&str]>,
    mut visit: impl FnMut(Rows) -> Result<(), CatalogError>,
) -> Result<(), CatalogError> {
    let table = snapshot.table();
    let dead = snapshot.dead_rows(file)?;
    let (mut first_row, mut next_dead) = (0, 0);
    let place = table.place(&file.path)?;
    table.files().for_each_batch(&place, file.size_bytes, columns, &mut |batch| {
        let end = first_row + batch.num_rows() as u64;
        let here = dead[next_dead..].partition_point(|&row| row < end);
        let rows = Rows { batch, first_row, dead: dead[next_dead..next_dead + here].to_vec() };
        next_dead += here;
        visit(rows)?;
        first_row = end;
        Ok(())
    })
}

/// A batch in another schema: columns by name, those that are absent null.
pub fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, CatalogError> {
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
        Some(column) => cast(column, field.data_type()),
    });
    let columns =
        columns.collect::<Result<Vec<_>, _>>().context("read columns of", "a data file")?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .context("read columns of", "a data file")
}
