//! JSON: an array with one object a line, columns that are null included.

use super::Sink;
use anyhow::{Result, bail};
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::json::writer::{JsonFormat, Writer, WriterBuilder};
use std::collections::BTreeSet;
use std::io::Write;

/// Prints rows as JSON. Decimals are numbers, times ISO 8601, bytes hexadecimal.
pub(super) struct JsonSink<'a> {
    writer: Writer<&'a mut dyn Write, RowPerLine>,
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
        let writer = WriterBuilder::new().with_explicit_nulls(true).build(out);
        Ok(Self { writer })
    }
}

impl Sink for JsonSink<'_> {
    fn rows(&mut self, batch: &RecordBatch) -> Result<()> {
        Ok(self.writer.write(batch)?)
    }

    fn end(&mut self) -> Result<()> {
        self.writer.finish()?;
        Ok(self.writer.get_mut().flush()?)
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
    fn a_products_values_have_the_types_of_json() {
        let fixture = Fixture::new();
        fixture.night("acme", 86_400, [Product::new(1, 3)]);
        let table = feedfleet_catalog::Catalog::open(&fixture.catalog()).unwrap();
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
