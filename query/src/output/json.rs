//! JSON: an array with one object a line, columns that are null included, and what steers a terminal escaped.

use super::Sink;
use anyhow::{Result, bail};
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::json::writer::{JsonFormat, Writer, WriterBuilder};
use feedfleet_model::text::printable_json;
use std::collections::BTreeSet;
use std::io::Write;

/// Rows that are held as text at once.
const ROWS_AT_ONCE: usize = 1000;

/// Prints rows as JSON. Decimals are numbers, times ISO 8601, bytes hexadecimal.
pub(super) struct JsonSink<'a> {
    out: &'a mut dyn Write,
    writer: Writer<Vec<u8>, RowPerLine>,
}

impl<'a> JsonSink<'a> {
    /// Refuses columns of one name: an object would have the key twice.
    pub fn begin(out: &'a mut dyn Write, schema: &Schema) -> Result<Self> {
        let mut seen = BTreeSet::new();
        for field in schema.fields() {
            if !seen.insert(field.name()) {
                bail!("two columns are named '{}': rename one with AS", field.name());
            }
        }
        let writer = WriterBuilder::new().with_explicit_nulls(true).build(Vec::new());
        Ok(Self { out, writer })
    }

    /// Prints what has been written so far: whole rows.
    fn print(&mut self) -> Result<()> {
        let text = String::from_utf8(std::mem::take(self.writer.get_mut()))?;
        Ok(self.out.write_all(printable_json(&text).as_bytes())?)
    }
}

impl Sink for JsonSink<'_> {
    fn rows(&mut self, batch: &RecordBatch) -> Result<()> {
        for first in (0..batch.num_rows()).step_by(ROWS_AT_ONCE) {
            let rows = ROWS_AT_ONCE.min(batch.num_rows() - first);
            self.writer.write(&batch.slice(first, rows))?;
            self.print()?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.writer.finish()?;
        self.print()?;
        Ok(self.out.flush()?)
    }
}

#[derive(Debug, Default)]
struct RowPerLine;

impl JsonFormat for RowPerLine {
    fn start_stream<W: Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        Ok(writer.write_all(b"[")?)
    }

    fn start_row<W: Write>(&self, writer: &mut W, is_first_row: bool) -> Result<(), ArrowError> {
        let before = if is_first_row { "\n" } else { ",\n" };
        Ok(writer.write_all(before.as_bytes())?)
    }

    fn end_stream<W: Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        Ok(writer.write_all(b"\n]\n")?)
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Fixture, Product};
    use crate::output::Format;
    use datafusion::prelude::SessionContext;
    use serde_json::{Value, json};

    fn answer(sql: &str) -> anyhow::Result<String> {
        Fixture::new().print(&SessionContext::new(), sql, Format::Json)
    }

    #[test]
    fn every_answer_is_json() {
        let sql = "SELECT * FROM (VALUES (1, 'say \"x\"\n', 1.5), (2, NULL, -0.25)) AS t(a, b, c)
                   ORDER BY a";
        let text = answer(sql).unwrap();
        assert_eq!(text.lines().count(), 4, "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        let expected = json!([
            {"a": 1, "b": "say \"x\"\n", "c": 1.5},
            {"a": 2, "b": null, "c": -0.25},
        ]);
        assert_eq!(value, expected);
        let none: Value = serde_json::from_str(&answer("SELECT 1 AS a LIMIT 0").unwrap()).unwrap();
        assert_eq!(none, json!([]));
    }

    #[test]
    fn crawled_text_cannot_steer_the_terminal() {
        let text = answer("SELECT '\u{9b}31m\u{202e}a\u{7f}' AS \"x\u{2066}\"").unwrap();
        assert!(text.contains(r#"{"x\u2066":"\u009b31m\u202ea\u007f"}"#), "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value, json!([{"x\u{2066}": "\u{9b}31m\u{202e}a\u{7f}"}]));
    }

    #[test]
    fn a_long_answer_is_whole() {
        let sql = "SELECT value AS v FROM generate_series(1, 2500)";
        let value: Vec<Value> = serde_json::from_str(&answer(sql).unwrap()).unwrap();
        assert_eq!(value.len(), 2500);
        assert_eq!(value[2499], json!({"v": 2500}));
    }

    #[test]
    fn a_products_values_have_the_types_of_json() {
        let fixture = Fixture::new();
        fixture.night("acme", 86_400, [Product::new(1, 3)]);
        let table = feedfleet_catalog::Catalog::open(fixture.catalog()).unwrap();
        let table = crate::table::DeltaTable::open(table.products()).unwrap();
        let context = SessionContext::new();
        context.register_table("products", std::sync::Arc::new(table)).unwrap();
        let text = fixture.print(&context, "SELECT * FROM products", Format::Json).unwrap();
        let rows: Value = serde_json::from_str(&text).unwrap();
        let row = &rows[0];
        assert_eq!(row["pipe"], "acme");
        assert_eq!(row["price"], 3.0);
        assert_eq!(row["first_seen"], "1970-01-02T00:00:00Z");
        assert_eq!(row["extra"], json!({"colour": "blue"}));
        assert_eq!(
            row["additional_image_links"],
            json!(["https://shop/1/a.jpg", "https://shop/1/b.jpg"])
        );
        assert_eq!(row["content_hash"].as_str().map(str::len), Some(32));
        assert_eq!(row["adult"], Value::Null);
    }

    #[test]
    fn two_columns_of_one_name_are_refused() {
        let error = answer("SELECT * FROM (SELECT 1 AS a) x, (SELECT 2 AS a) y").unwrap_err();
        assert!(error.to_string().contains("'a'"), "{error}");
    }
}
