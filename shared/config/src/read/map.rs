//! Reads `[map]`: which column gets its value from where.

use super::transform;
use crate::pipe::{From as MapFrom, Lookup, MapEntry, Piece, Target, Transform};
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
/// The settings that say where a value comes from.
const SOURCES: &str = "field, fields, first_of, all_of, template, const";

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

/// Takes a field away that no line of the file speaks of.
pub(super) fn ignored_field(name: &str) -> MapEntry {
    MapEntry {
        target: Target::Ignore,
        from: MapFrom::Field(name.to_owned()),
        transform: Transform::ByColumn,
        lookup: None,
        line: 0,
    }
}

fn entry(value: &Value<'_>, target: Target, timezone: Tz) -> Option<MapEntry> {
    let line = value.line();
    if value.is_text() {
        let from = MapFrom::Field(value.word()?);
        let transform = transform::by_target(target, timezone);
        return Some(MapEntry { target, from, transform, lookup: None, line });
    }
    let mut table = value.table_or(&format!("a field's name, or a table with one of {SOURCES}"))?;
    let from = from(&mut table);
    let lookup = lookup(&mut table);
    let transform = transform::transform(&mut table, value, target, timezone);
    table.finish();
    let from = from?;
    if matches!(from, MapFrom::AllOf(_)) && !is_list(target) {
        let message = format!("all_of does not fit '{}', which holds one value", value.key());
        value.refuse(message, "expected field, fields or first_of");
        return None;
    }
    Some(MapEntry { target, from, transform: transform?, lookup, line })
}

fn is_list(target: Target) -> bool {
    matches!(target, Target::Column(column) if column.column().kind == ColumnType::TextList)
}

/// Where a line's value comes from, by the settings that say so.
fn from(table: &mut Table<'_>) -> Option<MapFrom> {
    let sources = [
        table.take("field"),
        table.take("fields"),
        table.take("first_of"),
        table.take("all_of"),
        table.take("template"),
        table.take("const"),
    ];
    let first = table.take("first");
    let join = table.take("join");

    let mut given = sources.into_iter().flatten();
    let (source, other) = (given.next(), given.next());
    let Some(source) = source.filter(|_| other.is_none()) else {
        let message = if other.is_some() {
            format!("{} takes its value from two places", table.name())
        } else {
            format!("{} doesn't say where its value comes from", table.name())
        };
        let only = if other.is_some() { "only " } else { "" };
        table.mistake(message, format!("expected {only}one of {SOURCES}"));
        return None;
    };
    let kind = source.key();
    refuse_useless(&join, kind == "fields", "fields");
    refuse_useless(&first, matches!(kind, "field" | "first_of"), "field and first_of");
    match kind {
        "field" => {
            let name = source.word()?;
            match first {
                Some(first) => first_item(vec![name], &first),
                None => Some(MapFrom::Field(name)),
            }
        }
        "first_of" => {
            let names = some_words(&source)?;
            match first {
                Some(first) => first_item(names, &first),
                None => Some(MapFrom::FirstOf(names)),
            }
        }
        "fields" => {
            let join = match join {
                Some(join) => join.plain()?,
                None => " ".to_owned(),
            };
            Some(MapFrom::Fields { names: some_words(&source)?, join })
        }
        "all_of" => Some(MapFrom::AllOf(some_words(&source)?)),
        "template" => Some(MapFrom::Template(template(&source)?)),
        _ => Some(MapFrom::Constant(source.scalar()?)),
    }
}

fn first_item(names: Vec<String>, first: &Value<'_>) -> Option<MapFrom> {
    let separator = first.plain()?;
    if separator.is_empty() {
        first.refuse(format!("{} is empty", first.name()), "expected what stands between items");
        return None;
    }
    Some(MapFrom::FirstItem { names, separator })
}

fn refuse_useless(setting: &Option<Value<'_>>, fits: bool, with: &str) {
    if let Some(setting) = setting
        && !fits
    {
        let message = format!("{} has no use here", setting.name());
        setting.refuse_key(message, format!("expected it with {with} only"));
    }
}

/// The pieces of a text such as `https://shop.example/{Handle}`.
fn template(value: &Value<'_>) -> Option<Vec<Piece>> {
    let text = value.word()?;
    let wrong = || {
        let message = format!("{} has a brace without its other half", value.name());
        value.refuse(message, "expected fields' names in braces, such as '{Handle}'");
        None
    };
    let mut pieces = Vec::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else {
            return wrong();
        };
        if before.contains('}') || name.contains('{') || name.trim().is_empty() {
            return wrong();
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(Piece::Field(name.trim().to_owned()));
        rest = behind;
    }
    if rest.contains('}') {
        return wrong();
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Some(pieces)
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
