//! Reads `[supplements]` of a pipe's file.

use super::guard::{self, without_nights};
use super::pipe::schedule;
use super::source::{self, Mapped};
use super::{images, map, timezone};
use crate::document::Document;
use crate::pipe::{MapEntry, Pipe, Target};
use crate::supplement::{Layer, LayerMode};
use crate::table::Table;
use crate::value::Value;
use chrono_tz::Tz;
use feedfleet_model::{ColumnId, PipeName, columns};
use std::collections::BTreeMap;
use std::time::Duration;

const MODES: [(&str, LayerMode); 2] =
    [("override", LayerMode::Override), ("fill", LayerMode::Fill)];
const LONGEST_AGE: Duration = Duration::from_secs(366 * 86_400);

/// The columns that a category path fills.
const CATEGORY: [ColumnId; 5] = [
    columns::CATEGORY_1,
    columns::CATEGORY_2,
    columns::CATEGORY_3,
    columns::CATEGORY_4,
    columns::PRODUCT_TYPE,
];

/// The supplements of the pipe of this name, in the file's order. Times are in `zone`, unless they say otherwise.
pub(super) fn supplements(
    table: &mut Table<'_>,
    document: &Document<'_>,
    pipe: &PipeName,
    zone: Tz,
) -> Vec<Pipe> {
    let mut supplements = Vec::new();
    let mut filled: BTreeMap<ColumnId, String> = BTreeMap::new();
    for entry in table.entries() {
        let Ok(name) = pipe.with_supplement(entry.key()) else {
            let expected = "expected a-z, 0-9 and '-', with the pipe's name no more than 63 in all";
            entry.refuse_key(format!("'{}' is not a supplement's name", entry.key()), expected);
            continue;
        };
        let Some(mut table) = entry.table() else { continue };
        let Some(supplement) = supplement(&mut table, document, name, zone) else { continue };
        for column in supplement.layer.iter().flat_map(|layer| &layer.columns) {
            if let Some(other) = filled.insert(*column, entry.key().to_owned()) {
                let column = column.column().name;
                let message = format!("both '{other}' and '{}' fill {column}", entry.key());
                entry.refuse_key(message, "expected one supplement a column");
            }
        }
        supplements.push(supplement);
    }
    supplements
}

fn supplement(
    table: &mut Table<'_>,
    document: &Document<'_>,
    name: PipeName,
    zone: Tz,
) -> Option<Pipe> {
    let zone = table.read("timezone", zone, timezone);
    let schedule = schedule(table, zone);
    let mode = table.read("mode", LayerMode::Override, |v| v.text()?.choose("a mode", &MODES));
    let max_age =
        table.take("max_age").and_then(|v| v.duration(Duration::from_secs(60), LONGEST_AGE));
    let named = table.take("columns");
    let source = table.required("source", "expected a table with url and format");
    let mut mapping = table.take("map").and_then(|value| value.table());
    let guard = table.section("guard", guard::defaults(), without_nights);
    table.finish();

    let mapped = Mapped::by(mapping.as_ref());
    let mut source = source.and_then(|value| value.table());
    let source = source.as_mut().and_then(|table| {
        if let Some(kind) = table.take("kind").filter(|kind| kind.written() != Some("feed")) {
            kind.refuse("a supplement is a feed", "expected feed, or nothing");
        }
        let source = source::source(table, mapped);
        table.finish();
        source
    });
    let map = mapping.as_mut().map(|table| map::map(table, zone)).unwrap_or_default();
    let columns = match &named {
        Some(named) => named_columns(named),
        None => mapped_columns(table, &map),
    };
    if columns.is_empty() {
        let expected = "expected a [map] of more than id, or columns = [\"price\"]";
        table.mistake(format!("{} fills no column", table.name()), expected);
    }
    let mut images = images::defaults();
    images.mirror = false;
    Some(Pipe {
        name,
        file: document.file().to_owned(),
        schedule,
        source: source?,
        map,
        guard,
        images,
        supplements: Vec::new(),
        layer: Some(Layer { columns: with_currencies(columns), mode, max_age }),
    })
}

/// The columns of a list of names.
fn named_columns(named: &Value<'_>) -> Vec<ColumnId> {
    let mut columns = Vec::new();
    for name in named.words().unwrap_or_default() {
        match ColumnId::by_name(&name).filter(|column| column.can_be_supplemented()) {
            Some(column) => columns.push(column),
            None => named.refuse(not_supplemented(&name), SUPPLEMENTED),
        }
    }
    columns
}

/// The columns that a mapping fills, but for the id.
fn mapped_columns(table: &Table<'_>, map: &[MapEntry]) -> Vec<ColumnId> {
    let mut columns = Vec::new();
    for entry in map {
        match entry.target {
            Target::Column(columns::ID) | Target::Ignore => {}
            Target::Category => columns.extend(CATEGORY),
            Target::Column(column) if column.can_be_supplemented() => columns.push(column),
            Target::Column(column) => {
                table.mistake(not_supplemented(column.column().name), SUPPLEMENTED);
            }
        }
    }
    columns
}

const SUPPLEMENTED: &str = "expected columns of one value, and not id, link or image_link";

fn not_supplemented(column: &str) -> String {
    format!("a supplement cannot fill '{column}'")
}

/// These columns and the currencies of the amounts among them, in the table's order.
fn with_currencies(columns: Vec<ColumnId>) -> Vec<ColumnId> {
    let currency =
        |column: &ColumnId| ColumnId::by_name(&format!("{}_currency", column.column().name));
    let currencies: Vec<ColumnId> = columns.iter().filter_map(currency).collect();
    let mut all = columns;
    all.extend(currencies);
    all.sort_unstable();
    all.dedup();
    all
}
