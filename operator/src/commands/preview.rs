//! `feedfleet pipes preview`.

use super::pipes::no_such_pipe;
use super::preview_page;
use super::runs::told_sample;
use crate::context::Context;
use crate::view;
use anyhow::{Result, bail};
use feedfleet_config::{Location, Pipe};
use feedfleet_feed::{Change, Refusal};
use feedfleet_model::columns::{COLUMNS, ColumnId, ColumnType};
use feedfleet_model::report::RefusalSample;
use feedfleet_model::{PipeName, Row, ValueRef, text};
use feedfleet_worker::preview::{Preview, preview as fetch};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::process::ExitCode;

/// A value is cut here on a terminal.
const WIDTH: usize = 100;

/// Fetches a few records and shows them as they would be mapped.
pub async fn preview(
    folder: &Path,
    name: &PipeName,
    records: usize,
    url: Option<&str>,
    json: bool,
) -> Result<ExitCode> {
    let context = Context::load_existing(folder)?;
    let Some(pipe) = context.config.sources().find(|p| p.name == *name) else {
        bail!("{}", no_such_pipe(&context, name));
    };
    if matches!(pipe.source.location, Location::Site(_)) {
        return preview_page::preview(&context, pipe, url, json).await;
    }
    if url.is_some() {
        bail!("{name}: --url is for pipes whose source is a site");
    }
    let preview = match fetch(&context.http()?, &context.remote(), pipe, records).await {
        Ok(preview) => preview,
        Err(reason) => bail!("{name}: {}", text::printable(&reason.to_string())),
    };
    if json {
        view::print_json(&as_json(&preview))?;
    } else {
        show(&preview, pipe);
    }
    Ok(if preview.rows.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn show(preview: &Preview, pipe: &Pipe) {
    for (place, (row, change)) in preview.rows.iter().enumerate() {
        let gone = if *change == Change::Delete { " (the source says: gone)" } else { "" };
        view::print(format!("── {} of {}{gone}", place + 1, preview.rows.len()));
        for (name, value) in fields(row) {
            let name = text::printable(&name);
            let value = value.replace('\n', "⏎");
            let value = text::shorten(&value, WIDTH);
            view::print(format!("  {name:28} {}", text::printable(&value)));
        }
    }
    complaints("refused", &preview.refused);
    let Told { mended, emptied, noted } = Told::of(preview);
    complaints("emptied", &emptied);
    complaints("noted", &noted);
    complaints("mended", &mended);
    view::print(format!(
        "{} records read, {} refused; encoding {}, compression {}; nothing was written",
        preview.records,
        preview.refused.len(),
        preview.encoding,
        preview.compression
    ));
    if let Some((found, remedy)) = preview.told_empty(pipe) {
        view::print(text::printable(&format!("{found}; {remedy}")));
    }
}

/// What is told of a source besides what is refused.
struct Told {
    mended: Vec<Refusal>,
    emptied: Vec<Refusal>,
    noted: Vec<Refusal>,
}

impl Told {
    fn of(preview: &Preview) -> Self {
        let (mended, others): (Vec<_>, Vec<_>) =
            preview.warnings.iter().cloned().partition(|warning| warning.reason.is_mended());
        let (emptied, noted) = others.into_iter().partition(|told| told.reason.empties_field());
        Self { mended, emptied, noted }
    }
}

pub(super) fn complaints(what: &str, diagnostics: &[Refusal]) {
    for d in diagnostics {
        let sample = RefusalSample {
            position: d.place(),
            field: d.field.clone(),
            value: d.value.clone(),
            message: d.message.to_string(),
        };
        view::print(format!("{what}: {}", text::printable(&told_sample(&sample))));
    }
}

fn source_columns() -> impl Iterator<Item = ColumnId> {
    ColumnId::from_source().filter(|c| c.column().kind != ColumnType::TextMap)
}

fn fields(row: &Row) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for column in source_columns() {
        let value = match row.get(column) {
            ValueRef::Null => continue,
            ValueRef::Text(text) => text.to_owned(),
            ValueRef::Boolean(value) => value.to_string(),
            ValueRef::Integer(value) => number(column, value),
            ValueRef::List(_) => row.list(column).collect::<Vec<_>>().join(" | "),
        };
        fields.push((column.column().name.to_owned(), value));
    }
    fields.extend(row.extras().map(|(name, value)| (format!("extra.{name}"), value.to_owned())));
    fields
}

fn number(column: ColumnId, value: i64) -> String {
    match column.column().kind {
        ColumnType::Decimal => {
            let sign = if value < 0 { "-" } else { "" };
            let value = value.unsigned_abs();
            let text = format!("{sign}{}.{:04}", value / 10_000, value % 10_000);
            let short = text.trim_end_matches('0');
            short.trim_end_matches('.').to_owned()
        }
        ColumnType::Timestamp => {
            chrono::DateTime::from_timestamp_micros(value).map_or_else(String::new, view::moment)
        }
        _ => value.to_string(),
    }
}

fn as_json(preview: &Preview) -> Value {
    let rows: Vec<Value> =
        preview.rows.iter().map(|(row, change)| row_json(row, *change)).collect();
    let diagnostics = |list: &[Refusal]| -> Vec<Value> {
        let one = |d: &Refusal| {
            json!({
                "reason": d.reason.name(), "position": d.place(), "field": d.field,
                "value": d.value, "message": d.message,
            })
        };
        list.iter().map(one).collect()
    };
    let Told { mended, emptied, noted } = Told::of(preview);
    json!({
        "rows": rows,
        "refused": diagnostics(&preview.refused),
        "emptied": diagnostics(&emptied),
        "noted": diagnostics(&noted),
        "mended": diagnostics(&mended),
        "records": preview.records,
        "encoding": preview.encoding,
        "compression": preview.compression,
    })
}

pub(super) fn row_json(row: &Row, change: Change) -> Value {
    let mut object = Map::new();
    for column in source_columns() {
        let value = match row.get(column) {
            ValueRef::Null => continue,
            ValueRef::Text(text) => json!(text),
            ValueRef::Boolean(value) => json!(value),
            ValueRef::Integer(value)
                if COLUMNS[usize::from(column.0)].kind == ColumnType::Integer =>
            {
                json!(value)
            }
            ValueRef::Integer(value) => json!(number(column, value)),
            ValueRef::List(_) => json!(row.list(column).collect::<Vec<_>>()),
        };
        object.insert(column.column().name.to_owned(), value);
    }
    let extra: Map<String, Value> = row.extras().map(|(n, v)| (n.to_owned(), json!(v))).collect();
    if !extra.is_empty() {
        object.insert("extra".to_owned(), Value::Object(extra));
    }
    if change == Change::Delete {
        object.insert("_deleted".to_owned(), json!(true));
    }
    Value::Object(object)
}
