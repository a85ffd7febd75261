//! One line of the mapping, checked and ready to be applied.

use crate::error::FeedError;
use crate::presets::{ChangeField, KeyPart};
use chrono_tz::Tz;
use feedfleet_config::{From as MapFrom, Lookup, MapEntry, Piece, Target, Transform};
use feedfleet_model::columns::{self, Filled};
use feedfleet_model::{ColumnId, ColumnType};

/// The columns that hold addresses.
const LINKS: [ColumnId; 7] = [
    columns::LINK,
    columns::MOBILE_LINK,
    columns::ADS_REDIRECT,
    columns::IMAGE_LINK,
    columns::VIRTUAL_MODEL_LINK,
    columns::ADDITIONAL_IMAGE_LINKS,
    columns::LIFESTYLE_IMAGE_LINKS,
];

/// The columns that hold codes of digits.
const CODES: [ColumnId; 4] = [
    columns::GTIN,
    columns::NAVER_CATEGORY,
    columns::NAVER_PRODUCT_ID,
    columns::GOOGLE_PRODUCT_CATEGORY,
];

/// How a value gets into a row.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// The fields' names; none for a constant.
    pub(crate) sources: Vec<String>,
    pub(crate) combine: Combine,
    pub(crate) lookup: Option<Lookup>,
    pub(crate) action: Action,
    /// Whether it is a line of the pipe's own file, and not a preset's.
    pub(crate) is_own: bool,
}

/// What becomes of several sources.
#[derive(Debug, Clone)]
pub(crate) enum Combine {
    /// The first that has a value.
    First,
    /// All that have one, with this between them.
    Join(String),
    /// The first item of the list in the first that has a value; this stands between items.
    FirstItem(String),
    /// All that have one, each for itself.
    All,
    /// All of them, in a text; an empty one makes the whole empty. Fields stand for the sources in turn.
    Template(Vec<Piece>),
    /// Parts of an id, joined by `:`.
    Key(Vec<Part>),
    /// This, whatever the record.
    Constant(String),
}

/// A part of a composite id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// How many of the rule's sources it has, of which the first with a value counts.
    pub(crate) sources: usize,
    /// Whether the id is empty where the part is.
    pub(crate) is_needed: bool,
}

/// What is done with the value.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Nothing: the field is taken away.
    Ignore,
    /// It says what kind of change the record is.
    Change(&'static ChangeField),
    Id,
    Text(ColumnId),
    /// A code of digits, which some programs take for a number.
    Code(ColumnId),
    /// A word of a known list, such as `in_stock`.
    Word(ColumnId),
    Link(ColumnId),
    List {
        column: ColumnId,
        separator: Option<String>,
        is_links: bool,
    },
    Integer {
        column: ColumnId,
        decimal: Option<char>,
        has_unit: bool,
    },
    Decimal {
        column: ColumnId,
        decimal: Option<char>,
    },
    Boolean(ColumnId),
    Money(MoneyRule),
    Currency {
        column: ColumnId,
        /// Only where this column has an amount.
        of: Option<ColumnId>,
    },
    Time {
        column: ColumnId,
        format: Option<String>,
        zone: Tz,
    },
    Category {
        separator: String,
    },
}

/// How an amount is read.
#[derive(Debug, Clone)]
pub(crate) struct MoneyRule {
    pub(crate) column: ColumnId,
    pub(crate) currency_column: Option<ColumnId>,
    /// For amounts that name none.
    pub(crate) currency: Option<String>,
    pub(crate) decimal: Option<char>,
    pub(crate) minor_units: u8,
}

impl Rule {
    /// Checks a line of `[map]`. `currency` is the pipe's own, for amounts whose line names none.
    pub(crate) fn compile(entry: &MapEntry, currency: Option<&str>) -> Result<Self, FeedError> {
        let (sources, combine) = match &entry.from {
            MapFrom::Field(name) => (vec![name.clone()], Combine::First),
            MapFrom::FirstOf(names) => (names.clone(), Combine::First),
            MapFrom::Fields { names, join } => (names.clone(), Combine::Join(join.clone())),
            MapFrom::FirstItem { names, separator } => {
                (names.clone(), Combine::FirstItem(separator.clone()))
            }
            MapFrom::AllOf(names) => (names.clone(), Combine::All),
            MapFrom::Template(pieces) => (named(pieces), Combine::Template(pieces.clone())),
            MapFrom::Constant(text) => (Vec::new(), Combine::Constant(text.trim().to_owned())),
        };
        let is_own = entry.line > 0;
        let mut action = match entry.target {
            Target::Ignore => Action::Ignore,
            Target::Category => Action::Category { separator: separator(&entry.transform) },
            Target::Column(column) => {
                action(column, &entry.transform, currency).ok_or_else(|| {
                    let name = column.column().name;
                    let line = entry.line;
                    FeedError::configuration(format!("[map] line {line} does not fit '{name}'"))
                })?
            }
        };
        // One field may tell the currency of several amounts; a product need not have each of them.
        if let Action::Currency { column, of } = &mut action
            && *column != columns::PRICE_CURRENCY
        {
            *of = amount_of(column.column().name);
        }
        if matches!(combine, Combine::All) && !matches!(action, Action::List { .. }) {
            let line = entry.line;
            let message = format!("[map] line {line} takes several values for one column");
            return Err(FeedError::configuration(message));
        }
        Ok(Self { sources, combine, lookup: entry.lookup.clone(), action, is_own })
    }

    /// The rule of an id that is made of these fields. One alone is the id as it is.
    pub(crate) fn key(fields: &[String]) -> Self {
        let combine = match fields {
            [_] => Combine::First,
            fields => Combine::Key(vec![Part { sources: 1, is_needed: true }; fields.len()]),
        };
        Self { sources: fields.to_vec(), combine, lookup: None, action: Action::Id, is_own: true }
    }

    /// The rule of an id that a preset makes of several fields.
    pub(crate) fn preset_key(parts: &[KeyPart]) -> Self {
        let names = parts.iter().flat_map(|part| part.names);
        let part = |part: &KeyPart| Part { sources: part.names.len(), is_needed: part.is_needed };
        Self {
            sources: names.map(|name| (*name).to_owned()).collect(),
            combine: Combine::Key(parts.iter().map(part).collect()),
            lookup: None,
            action: Action::Id,
            is_own: false,
        }
    }

    /// The rule of a field that says what kind of change the record is.
    pub(crate) fn change(field: &'static ChangeField) -> Self {
        Self {
            sources: field.names.iter().map(|name| (*name).to_owned()).collect(),
            combine: Combine::First,
            lookup: None,
            action: Action::Change(field),
            is_own: false,
        }
    }

    /// Rules are applied in this order: what can refuse the item first, a currency of its own after the
    /// amount that brings a default, further pictures after the main one, which is none of them.
    pub(crate) fn order(&self) -> u8 {
        match &self.action {
            Action::Change(_) => 0,
            Action::Id => 1,
            Action::Money(money) if money.column == columns::PRICE => 2,
            Action::Currency { .. }
            | Action::List { column: columns::ADDITIONAL_IMAGE_LINKS, .. } => 4,
            _ => 3,
        }
    }
}

/// The names in a template.
fn named(pieces: &[Piece]) -> Vec<String> {
    let name = |piece: &Piece| match piece {
        Piece::Field(name) => Some(name.clone()),
        Piece::Text(_) => None,
    };
    pieces.iter().filter_map(name).collect()
}

fn separator(transform: &Transform) -> String {
    match transform {
        Transform::Category { separator } => separator.clone(),
        _ => ">".to_owned(),
    }
}

/// None: the column can't hold what the transform gives.
fn action(column: ColumnId, transform: &Transform, currency: Option<&str>) -> Option<Action> {
    let facts = column.column();
    if facts.filled == Filled::ByFleet {
        return None;
    }
    let is_links = LINKS.contains(&column);
    let money = |own: Option<&String>, decimal, minor_units| {
        Action::Money(MoneyRule {
            column,
            currency_column: ColumnId::by_name(&format!("{}_currency", facts.name)),
            currency: own.cloned().or_else(|| currency.map(str::to_owned)),
            decimal,
            minor_units,
        })
    };
    Some(match (transform, facts.kind) {
        (Transform::ByColumn, ColumnType::Text) if column == columns::ID => Action::Id,
        (Transform::ByColumn, ColumnType::Text)
            if column == columns::AVAILABILITY || column == columns::CONDITION =>
        {
            Action::Word(column)
        }
        (Transform::ByColumn, ColumnType::Text) if is_links => Action::Link(column),
        (Transform::ByColumn, ColumnType::Text) if amount_of(facts.name).is_some() => {
            Action::Currency { column, of: None }
        }
        (Transform::ByColumn, ColumnType::Text) if CODES.contains(&column) => Action::Code(column),
        (Transform::ByColumn, ColumnType::Text) => Action::Text(column),
        (Transform::ByColumn, ColumnType::TextList) => {
            Action::List { column, separator: None, is_links }
        }
        (Transform::Split { separator }, ColumnType::TextList) if !separator.is_empty() => {
            Action::List { column, separator: Some(separator.clone()), is_links }
        }
        (Transform::ByColumn, ColumnType::Integer) => {
            Action::Integer { column, decimal: None, has_unit: false }
        }
        (Transform::Number { decimal }, ColumnType::Integer) => {
            Action::Integer { column, decimal: *decimal, has_unit: true }
        }
        (Transform::Number { decimal }, ColumnType::Decimal) => {
            Action::Decimal { column, decimal: *decimal }
        }
        (Transform::ByColumn, ColumnType::Decimal) => money(None, None, 0),
        (Transform::Money { currency, decimal, minor_units }, ColumnType::Decimal) => {
            money(currency.as_ref(), *decimal, *minor_units)
        }
        (Transform::ByColumn, ColumnType::Boolean) => Action::Boolean(column),
        (Transform::ByColumn, ColumnType::Timestamp) => {
            Action::Time { column, format: None, zone: Tz::UTC }
        }
        (Transform::Date { format, timezone }, ColumnType::Timestamp) => {
            Action::Time { column, format: format.clone(), zone: *timezone }
        }
        _ => return None,
    })
}

/// The column of the amount whose currency this one is; none where it is no currency.
fn amount_of(name: &str) -> Option<ColumnId> {
    let amount = name.strip_suffix("_currency").and_then(ColumnId::by_name);
    amount.filter(|column| column.column().kind == ColumnType::Decimal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::field;

    #[test]
    fn a_column_says_how_it_is_filled() {
        let action = |column| Rule::compile(&field(column, "x"), Some("EUR")).map(|r| r.action);
        assert!(matches!(action(columns::ID), Ok(Action::Id)));
        assert!(matches!(action(columns::IMAGE_LINK), Ok(Action::Link(_))));
        assert!(matches!(action(columns::PRICE_CURRENCY), Ok(Action::Currency { of: None, .. })));
        let Ok(Action::Money(money)) = action(columns::PRICE) else {
            panic!("no money");
        };
        assert_eq!(money.currency.as_deref(), Some("EUR"));
        assert_eq!(money.currency_column, Some(columns::PRICE_CURRENCY));
        assert!(matches!(action(columns::CONTENT_HASH), Err(FeedError::Configuration { .. })));
        assert!(matches!(action(columns::EXTRA), Err(FeedError::Configuration { .. })));
    }

    #[test]
    fn a_transform_must_fit_its_column() {
        let mut entry = field(columns::TITLE, "x");
        entry.transform = Transform::Number { decimal: None };
        assert!(Rule::compile(&entry, None).is_err());
    }
}
