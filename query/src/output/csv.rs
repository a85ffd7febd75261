//! CSV, safe to open in a spreadsheet and to print on a terminal.

use super::Sink;
use super::cells::{self, Cells};
use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::json::writer::EncoderOptions;
use feedfleet_model::text::{formula_safe, printable_field};
use std::borrow::Cow;
use std::io::{self, Write};

/// Prints rows as CSV. A null is an empty field, an empty text is `""`.
pub(super) struct CsvSink<'a> {
    out: &'a mut dyn Write,
    options: EncoderOptions,
}

impl<'a> CsvSink<'a> {
    /// Writes the header.
    pub fn begin(out: &'a mut dyn Write, schema: &Schema) -> Result<Self> {
        let names: Vec<_> =
            schema.fields().iter().map(|field| formula_safe(field.name())).collect();
        write_line(out, names.iter().map(|name| Some(printable_field(name))))?;
        Ok(Self { out, options: cells::options() })
    }
}

impl Sink for CsvSink<'_> {
    fn rows(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut columns = Cells::of(batch, &self.options)?;
        let mut line: Vec<Option<String>> = Vec::with_capacity(columns.len());
        for row in 0..batch.num_rows() {
            line.clear();
            for column in &mut columns {
                let value = column.value(row)?;
                let is_text = column.is_text;
                line.push(value.map(|v| if is_text { formula_safe(&v).into_owned() } else { v }));
            }
            let fields = line.iter().map(|field| field.as_deref().map(printable_field));
            write_line(self.out, fields)?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }
}

fn write_line<'a>(
    out: &mut dyn Write,
    fields: impl ExactSizeIterator<Item = Option<Cow<'a, str>>>,
) -> io::Result<()> {
    // Readers skip an empty line: a lone null must not become one.
    let alone = fields.len() == 1;
    for (i, field) in fields.enumerate() {
        if i > 0 {
            out.write_all(b",")?;
        }
        match field {
            Some(text) if needs_quotes(&text) => {
                write!(out, "\"{}\"", text.replace('"', "\"\""))?;
            }
            Some(text) => out.write_all(text.as_bytes())?,
            None if alone => out.write_all(b"\"\"")?,
            None => {}
        }
    }
    out.write_all(b"\n")
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty()
        || text.contains([',', '"', '\n', '\r'])
        || text.starts_with(' ')
        || text.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Fixture, Product};

    fn answer(sql: &str) -> String {
        let fixture = Fixture::new();
        fixture.csv(&fixture.engine(), sql).unwrap()
    }

    #[test]
    fn formulas_are_disarmed_in_text_and_numbers_left_alone() {
        let sql = "SELECT '=1+1' AS a, '+1' AS b, '-1' AS c, '@x' AS d, -1 AS e, -1.50 AS f,
                   '1-1' AS g, [-1, 2] AS h";
        assert_eq!(answer(sql), "a,b,c,d,e,f,g,h\n'=1+1,'+1,'-1,'@x,-1,-1.5,1-1,\"[-1,2]\"\n");
        assert_eq!(answer("SELECT 1 AS \"=x\""), "'=x\n1\n");
    }

    #[test]
    fn nothing_steers_a_terminal() {
        let sql = "SELECT chr(27) || '[2J' || chr(155) || chr(8238) AS a, [chr(155)] AS b,
                   'x' || chr(13) || '=y' AS c, chr(13) || '=z' AS d, 'e' || chr(8205) AS e";
        let expected = "a,b,c,d,e\n\\u001b[2J\\u009b\\u202e,\"[\"\"\\u009b\"\"]\",x\\u000d=y,'\\u000d=z,e\u{200d}\n";
        assert_eq!(answer(sql), expected);
        assert_eq!(answer("SELECT 1 AS \"x\u{9b}\""), "x\\u009b\n1\n");
    }

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let sql = "SELECT 'a,b' AS a, 'say \"x\"' AS b, '' AS c, NULL AS d, ' e' AS e, 'f\ng' AS f";
        let expected = "a,b,c,d,e,f\n\"a,b\",\"say \"\"x\"\"\",\"\",,\" e\",\"f\ng\"\n";
        assert_eq!(answer(sql), expected);
        assert_eq!(answer("SELECT CAST(NULL AS VARCHAR) AS a"), "a\n\"\"\n");
    }

    #[test]
    fn values_of_every_kind_have_a_form() {
        let fixture = Fixture::new();
        fixture.night("acme", 86_400, [Product::new(1, 3)]);
        let sql = "SELECT pipe, price, first_seen, adult, extra, content_hash FROM products";
        let rows = fixture.csv(&fixture.engine(), sql).unwrap();
        let line = rows.lines().nth(1).unwrap();
        let (values, hash) = line.rsplit_once(',').unwrap();
        assert_eq!(values, "acme,3.0000,1970-01-02T00:00:00Z,,\"{\"\"colour\"\":\"\"blue\"\"}\"");
        assert!(hash.len() == 32 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{hash}");
    }
}
