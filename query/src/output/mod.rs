//! Printing rows while they come: as a table for people, as CSV, as JSON.

mod cells;
mod csv;
mod json;
mod table;

use anyhow::Result;
use arrow::array::RecordBatch;
use clap::ValueEnum;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use std::io::Write;

/// What rows are printed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for people: long values are shortened, control characters escaped.
    Table,
    /// RFC 4180, with a header. Text that a spreadsheet would take for a formula has a ' before it; control characters,
    /// and those that reorder text, are escaped as in JSON.
    Csv,
    /// An array of objects, one a line.
    Json,
}

/// Prints all rows of a query's answer. No more of it is held than a page.
pub async fn write(
    mut rows: SendableRecordBatchStream,
    format: Format,
    out: &mut dyn Write,
) -> Result<()> {
    let schema = rows.schema();
    let mut sink: Box<dyn Sink + '_> = match format {
        Format::Table => Box::new(table::TableSink::new(out, schema)),
        Format::Csv => Box::new(csv::CsvSink::begin(out, &schema)?),
        Format::Json => Box::new(json::JsonSink::begin(out, &schema)?),
    };
    while let Some(batch) = rows.next().await {
        sink.rows(&batch?)?;
    }
    sink.end()
}

/// Where rows go.
trait Sink {
    /// Takes rows.
    fn rows(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Writes what follows the last row.
    fn end(&mut self) -> Result<()>;
}
