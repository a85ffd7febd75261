//! A table for people, in pages: a column's width is known once its values are, and an answer may be long.

use super::Sink;
use super::cells::{self, Cells};
use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::json::writer::EncoderOptions;
use comfy_table::{CellAlignment, Table, presets};
use feedfleet_model::text::{count, printable, shorten};
use std::io::Write;

/// Rows that share widths, and one header.
const PAGE_ROWS: usize = 1000;
/// Longer values are cut, and end in an ellipsis.
const MAX_CHARS: usize = 120;

/// Prints rows as a table.
pub(super) struct TableSink<'a> {
    out: &'a mut dyn Write,
    schema: SchemaRef,
    options: EncoderOptions,
    page: Table,
    rows: u64,
}

impl<'a> TableSink<'a> {
    pub fn new(out: &'a mut dyn Write, schema: SchemaRef) -> Self {
        let page = empty_page(&schema);
        Self { out, schema, options: cells::options(), page, rows: 0 }
    }

    fn print_page(&mut self) -> Result<()> {
        writeln!(self.out, "{}", self.page)?;
        self.page = empty_page(&self.schema);
        Ok(())
    }
}

impl Sink for TableSink<'_> {
    fn rows(&mut self, batch: &RecordBatch) -> Result<()> {
        let options = self.options.clone();
        let mut columns = Cells::of(batch, &options)?;
        for row in 0..batch.num_rows() {
            let mut line = Vec::with_capacity(columns.len());
            for column in &mut columns {
                let value = column.value(row)?.unwrap_or_default();
                line.push(printable(&shorten(&value, MAX_CHARS)).into_owned());
            }
            self.page.add_row(line);
            self.rows += 1;
            if self.page.row_count() == PAGE_ROWS {
                self.print_page()?;
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if self.page.row_count() > 0 || self.rows == 0 {
            self.print_page()?;
        }
        let noun = if self.rows == 1 { "row" } else { "rows" };
        writeln!(self.out, "{} {noun}", count(self.rows))?;
        Ok(self.out.flush()?)
    }
}

/// A table with a header only; numbers stand at the right.
fn empty_page(schema: &SchemaRef) -> Table {
    let mut page = Table::new();
    page.load_preset(presets::UTF8_FULL_CONDENSED);
    let names = schema.fields().iter().map(|field| printable(field.name()).into_owned());
    page.set_header(names.collect::<Vec<String>>());
    for (column, field) in page.column_iter_mut().zip(schema.fields()) {
        if field.data_type().is_numeric() {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use crate::output::Format;
    use datafusion::prelude::SessionContext;

    fn answer(sql: &str) -> String {
        Fixture::new().print(&SessionContext::new(), sql, Format::Table).unwrap()
    }

    #[test]
    fn crawled_text_cannot_steer_the_terminal() {
        let text = answer("SELECT 'a\u{1b}[2Jb\nc' AS x, 12 AS n");
        assert!(text.contains("a\\u{1b}[2Jb\\u{a}c"), "{text}");
        assert!(!text.contains('\u{1b}'));
        assert!(text.ends_with("1 row\n"), "{text}");
    }

    #[test]
    fn long_values_are_cut_visibly() {
        let text = answer(&format!("SELECT '{}' AS x", "x".repeat(500)));
        assert!(text.contains("x…") && !text.contains(&"x".repeat(121)), "{text}");
    }

    #[test]
    fn a_long_answer_comes_in_pages_and_an_empty_one_has_its_header() {
        let text = answer("SELECT value AS v FROM generate_series(1, 2500)");
        assert_eq!(text.matches(" v ").count(), 3, "{text}");
        assert!(text.ends_with("2,500 rows\n"));
        let text = answer("SELECT 1 AS v LIMIT 0");
        assert!(text.contains(" v ") && text.ends_with("0 rows\n"), "{text}");
    }
}
