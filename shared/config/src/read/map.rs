//! Reads `[map]`: which column gets its value from where.

use super::transform;
use crate::pipe::{From as MapFrom, Lookup, MapEntry, Target, Transform};
use crate::suggest::nearest;
use crate::table::Table;
use crate::value::Value;
use chrono_tz::Tz;
use feedfleet_model::columns::Filled;
use feedfleet_model::{ColumnId, ColumnType};
use std::collections::BTreeMap;

/// Names of `[map]` that are no columns.
const CATEGORY: &str = "category";
const IGNORE: &str = "ignore";

/// The lines of the table, in the file's order. Times without a zone are in `timezone`.
pub(super) fn map(table: &mut Table<'_>, timezone: Tz) -> Vec<MapEntry> {
    let mut entries = Vec::new();
    for value in table.entries() {
        if value.key() == IGNORE {
            ignored(&value, &mut entries);
        } else if let Some(target) = target(&value) {
            entries.extend(entry(&value, target, timezone));
        }
    }
    entries
}

fn target(value: &Value<'_>) -> Option<Target> {
    let name = value.key();
    if name == CATEGORY {
        return Some(Target::Category);
    }
    match ColumnId::by_name(name) {
        Some(column) if is_mapped(column) => Some(Target::Column(column)),
        Some(_) => {
            let message = format!("column '{name}' in [map] is filled by Feedfleet");
            value.refuse_key(message, "expected a column of the partner's data");
            None
        }
        None => {
            let columns = ColumnId::from_source().filter(|column| is_mapped(*column));
            let names = columns.map(|column| column.column().name).chain([CATEGORY, IGNORE]);
            let expected = match nearest(name, names) {
                Some(near) => format!("did you mean '{near}'?"),
                None => "expected a column of the product table, 'category' or 'ignore'".to_owned(),
            };
            value.refuse_key(format!("unknown column '{name}' in [map]"), expected);
            None
        }
    }
}

/// Whether a line may fill the column. What no column is for goes to `extra` by itself.
fn is_mapped(column: ColumnId) -> bool {
    let column = column.column();
    column.filled == Filled::BySource && column.kind != ColumnType::TextMap
}

fn ignored(value: &Value<'_>, entries: &mut Vec<MapEntry>) {
    for field in value.words().unwrap_or_default() {
        entries.push(MapEntry {
            target: Target::Ignore,
            from: MapFrom::Field(field),
            transform: Transform::ByColumn,
            lookup: None,
            line: value.line(),
        });
    }
}

fn entry(value: &Value<'_>, target: Target, timezone: Tz) -> Option<MapEntry> {
    let line = value.line();
    if value.is_text() {
        let from = MapFrom::Field(value.word()?);
        let transform = transform::by_target(target, timezone);
        return Some(MapEntry { target, from, transform, lookup: None, line });
    }
    let expected = "a field's name, or a table with field, fields, first_of or const";
    let mut table = value.table_or(expected)?;
    let from = from(&mut table);
    let lookup = lookup(&mut table);
    let transform = transform::transform(&mut table, value, target, timezone);
    table.finish();
    Some(MapEntry { target, from: from?, transform: transform?, lookup, line })
}

fn from(table: &mut Table<'_>) -> Option<MapFrom> {
    let field = table.take("field");
    let fields = table.take("fields");
    let first_of = table.take("first_of");
    let constant = table.take("const");
    let join = table.take("join");

    if let Some(join) = &join
        && fields.is_none()
    {
        join.refuse_key(format!("{} has no use here", join.name()), "expected it with fields only");
    }
    match (field, fields, first_of, constant) {
        (Some(field), None, None, None) => Some(MapFrom::Field(field.word()?)),
        (None, Some(fields), None, None) => {
            let join = match join {
                Some(join) => join.plain()?,
                None => " ".to_owned(),
            };
            Some(MapFrom::Fields { names: some_words(&fields)?, join })
        }
        (None, None, Some(first_of), None) => Some(MapFrom::FirstOf(some_words(&first_of)?)),
        (None, None, None, Some(constant)) => Some(MapFrom::Constant(constant.scalar()?)),
        (None, None, None, None) => {
            let message = format!("{} doesn't say where its value comes from", table.name());
            table.mistake(message, "expected one of field, fields, first_of, const");
            None
        }
        _ => {
            let message = format!("{} takes its value from two places", table.name());
            table.mistake(message, "expected only one of field, fields, first_of, const");
            None
        }
    }
}

fn some_words(value: &Value<'_>) -> Option<Vec<String>> {
    let words = value.words()?;
    if words.is_empty() {
        value.refuse(format!("{} is empty", value.name()), "expected a list of fields");
        return None;
    }
    Some(words)
}

fn lookup(table: &mut Table<'_>) -> Option<Lookup> {
    let lookup = table.take("lookup");
    let default = table.take("default");
    let Some(lookup) = lookup else {
        if let Some(default) = default {
            let message = format!("{} has no use here", default.name());
            default.refuse_key(message, "expected it with lookup only");
        }
        return None;
    };
    let mut values = BTreeMap::new();
    for entry in lookup.table()?.entries() {
        if let Some(value) = entry.scalar() {
            values.insert(entry.key().trim().to_owned(), value);
        }
    }
    Some(Lookup { values, default: default.and_then(|default| default.scalar()) })
}
