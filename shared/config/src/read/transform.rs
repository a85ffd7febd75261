//! Reads what a line of `[map]` does to its value, and refuses what the column can't hold.

use super::{currency, timezone};
use crate::pipe::{Target, Transform};
use crate::table::Table;
use crate::value::Value;
use chrono::format::{Item, StrftimeItems};
use chrono_tz::Tz;
use feedfleet_model::ColumnType;

/// The values of `as`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Money,
    Number,
    Integer,
    Boolean,
    Date,
    Category,
    Split,
}

const KINDS: [(&str, Kind); 8] = [
    ("text", Kind::Text),
    ("money", Kind::Money),
    ("number", Kind::Number),
    ("integer", Kind::Integer),
    ("boolean", Kind::Boolean),
    ("date", Kind::Date),
    ("category", Kind::Category),
    ("split", Kind::Split),
];

/// What stands between the levels of a category, where the pipe doesn't say.
const CATEGORY_SEPARATOR: &str = ">";
/// What stands between the items of a list, where the pipe doesn't say.
const LIST_SEPARATOR: &str = ",";

/// What is done for a line that says nothing about it. Times that name no zone are in `timezone`.
pub(super) fn by_target(target: Target, timezone: Tz) -> Transform {
    match target {
        Target::Category => Transform::Category { separator: CATEGORY_SEPARATOR.to_owned() },
        Target::Column(column) if column.column().kind == ColumnType::Timestamp => {
            Transform::Date { format: None, timezone }
        }
        Target::Column(_) | Target::Ignore => Transform::ByColumn,
    }
}

/// The settings of a line that belong to one kind of transform or another.
struct Settings<'d> {
    currency: Option<Value<'d>>,
    decimal: Option<Value<'d>>,
    minor_units: Option<Value<'d>>,
    format: Option<Value<'d>>,
    timezone: Option<Value<'d>>,
    separator: Option<Value<'d>>,
    split: Option<Value<'d>>,
}

/// Reads the transform of the line `entry`, whose fields are in `table`.
pub(super) fn transform(
    table: &mut Table<'_>,
    entry: &Value<'_>,
    target: Target,
    pipe_timezone: Tz,
) -> Option<Transform> {
    let named = table.take("as");
    let settings = Settings {
        currency: table.take("currency"),
        decimal: table.take("decimal"),
        minor_units: table.take("minor_units"),
        format: table.take("format"),
        timezone: table.take("timezone"),
        separator: table.take("separator"),
        split: table.take("split"),
    };
    let kind = match &named {
        Some(value) => Some(value.text()?.choose("a transform", &KINDS)?),
        None => settings.implied(target),
    };
    if let Some(kind) = kind
        && !fits(kind, target)
    {
        let place = named.as_ref().or(settings.split.as_ref()).unwrap_or(entry);
        refuse(place, kind, target, entry.key());
        return None;
    }
    settings.refuse_useless(kind);
    let plain = by_target(target, pipe_timezone);
    Some(match kind {
        None | Some(Kind::Text | Kind::Integer | Kind::Boolean) => plain,
        Some(Kind::Money) => Transform::Money {
            currency: settings.currency.and_then(|v| currency(&v)),
            decimal: settings.decimal.and_then(|v| decimal_mark(&v)),
            minor_units: settings.minor_units.and_then(|v| v.count(0, 9)).unwrap_or(0) as u8,
        },
        Some(Kind::Number) => {
            Transform::Number { decimal: settings.decimal.and_then(|v| decimal_mark(&v)) }
        }
        Some(Kind::Date) => Transform::Date {
            format: settings.format.and_then(|v| date_format(&v)),
            timezone: settings.timezone.and_then(|v| timezone(&v)).unwrap_or(pipe_timezone),
        },
        Some(Kind::Category) => {
            Transform::Category { separator: separator(settings.separator, CATEGORY_SEPARATOR) }
        }
        Some(Kind::Split) => Transform::Split {
            separator: separator(settings.split.or(settings.separator), LIST_SEPARATOR),
        },
    })
}

impl Settings<'_> {
    /// The kind that is meant where `as` is absent.
    fn implied(&self, target: Target) -> Option<Kind> {
        if self.split.is_some() {
            return Some(Kind::Split);
        }
        let amount = self.currency.is_some() || self.minor_units.is_some();
        let date = self.format.is_some() || self.timezone.is_some();
        let column = match target {
            Target::Category => return Some(Kind::Category),
            Target::Column(column) => column.column().kind,
            Target::Ignore => return None,
        };
        match column {
            ColumnType::Decimal if amount || self.decimal.is_some() => Some(Kind::Money),
            ColumnType::Integer if self.decimal.is_some() => Some(Kind::Number),
            ColumnType::Timestamp if date => Some(Kind::Date),
            ColumnType::TextList if self.separator.is_some() => Some(Kind::Split),
            _ => None,
        }
    }

    /// Refuses settings that do nothing for this kind of transform.
    fn refuse_useless(&self, kind: Option<Kind>) {
        let uses: [(&Option<Value<'_>>, &[Kind], &str); 7] = [
            (&self.currency, &[Kind::Money], "money"),
            (&self.minor_units, &[Kind::Money], "money"),
            (&self.decimal, &[Kind::Money, Kind::Number], "money and number"),
            (&self.format, &[Kind::Date], "date"),
            (&self.timezone, &[Kind::Date], "date"),
            (&self.separator, &[Kind::Category, Kind::Split], "category and split"),
            (&self.split, &[Kind::Split], "split"),
        ];
        for (setting, kinds, names) in uses {
            if let Some(setting) = setting
                && kind.is_none_or(|kind| !kinds.contains(&kind))
            {
                let message = format!("{} has no use here", setting.name());
                setting.refuse_key(message, format!("expected it with {names} only"));
            }
        }
        if let (Some(split), Some(_)) = (&self.split, &self.separator) {
            split.refuse_key(format!("{} repeats separator", split.name()), "expected only one");
        }
    }
}

/// Whether the target can hold what the transform gives.
fn fits(kind: Kind, target: Target) -> bool {
    match target {
        Target::Category => kind == Kind::Category,
        Target::Ignore => false,
        Target::Column(column) => matches!(
            (kind, column.column().kind),
            (Kind::Text, ColumnType::Text)
                | (Kind::Money, ColumnType::Decimal)
                | (Kind::Number, ColumnType::Decimal | ColumnType::Integer)
                | (Kind::Integer, ColumnType::Integer)
                | (Kind::Boolean, ColumnType::Boolean)
                | (Kind::Date, ColumnType::Timestamp)
                | (Kind::Split, ColumnType::TextList)
        ),
    }
}

fn refuse(place: &Value<'_>, kind: Kind, target: Target, name: &str) {
    let holds = match target {
        Target::Category | Target::Ignore => "a category path",
        Target::Column(column) => match column.column().kind {
            ColumnType::Text => "a text",
            ColumnType::TextList => "a list of texts",
            ColumnType::Integer => "a whole number",
            ColumnType::Decimal => "a decimal number",
            ColumnType::Boolean => "true or false",
            ColumnType::Timestamp => "a time",
            ColumnType::Binary => "bytes",
            ColumnType::TextMap => "texts by name",
        },
    };
    let given = KINDS.iter().find(|(_, other)| *other == kind).map_or("?", |(name, _)| *name);
    let fitting: Vec<&str> =
        KINDS.iter().filter(|(_, kind)| fits(*kind, target)).map(|(name, _)| *name).collect();
    let message = format!("'{given}' does not fit '{name}', which holds {holds}");
    place.refuse(message, format!("expected {}", fitting.join(" or ")));
}

fn decimal_mark(value: &Value<'_>) -> Option<char> {
    value.text()?.choose("a decimal mark", &[(".", '.'), (",", ',')])
}

fn date_format(value: &Value<'_>) -> Option<String> {
    let format = value.word()?;
    if StrftimeItems::new(&format).any(|item| matches!(item, Item::Error)) {
        return value
            .text()?
            .refuse("a strftime pattern", "expected one such as '%Y-%m-%d %H:%M:%S'");
    }
    Some(format)
}

/// The separator as written; spaces may be meant, so that only the empty text is refused.
fn separator(value: Option<Value<'_>>, default: &str) -> String {
    let Some(value) = value else {
        return default.to_owned();
    };
    let separator = value.plain().unwrap_or_default();
    if separator.is_empty() && value.is_text() {
        value.refuse(format!("{} is empty", value.name()), "expected what stands between items");
    }
    separator
}
