//! What a format's table says against a product: what is missing, too long, too many or none of the values
//! that are allowed. Nothing of it refuses a product; it is for diagnostics, and for whoever writes formats.

use super::{Preset, PresetField};
use feedfleet_model::{ColumnId, Row, ValueRef, columns};

/// A format's rules about its columns, found once a feed.
#[derive(Debug)]
pub struct Checks {
    /// For each group of required fields, the columns that they fill.
    required: Vec<Vec<ColumnId>>,
    limits: Vec<(ColumnId, &'static PresetField)>,
}

/// Something that a product lacks, or has and should not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Finding {
    /// The column; of several that are required in turn, the first.
    pub column: ColumnId,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// It is required, or one of those that are, and empty.
    Missing,
    /// It has more characters than the format allows.
    TooLong {
        /// The format's limit.
        max_chars: u32,
    },
    /// It has more items than the format allows.
    TooMany {
        /// The format's limit.
        max_items: u32,
    },
    /// It is none of the values that the format allows.
    NotAllowed,
}

impl Fault {
    /// The name in reports, such as `too-long`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::TooLong { .. } => "too-long",
            Self::TooMany { .. } => "too-many",
            Self::NotAllowed => "not-allowed",
        }
    }
}

/// The columns that hold what a field fills.
fn targets(field: &PresetField) -> Option<ColumnId> {
    match field.target {
        "category" => Some(columns::PRODUCT_TYPE),
        _ => field.column(),
    }
}

impl Checks {
    /// The rules of a format.
    pub fn of(preset: &'static Preset) -> Self {
        let column = |name: &&'static str| preset.field(name).and_then(targets);
        let required =
            preset.required.iter().map(|group| group.iter().filter_map(column).collect::<Vec<_>>());
        let has_limits = |field: &&PresetField| {
            field.max_chars.is_some() || field.max_items.is_some() || !field.allowed.is_empty()
        };
        let limited = preset.fields.iter().filter(has_limits);
        Self {
            required: required.filter(|group| !group.is_empty()).collect(),
            limits: limited.filter_map(|field| Some((targets(field)?, field))).collect(),
        }
    }

    /// Whether a product without a value of this column is told.
    pub fn requires(&self, column: ColumnId) -> bool {
        self.required.iter().any(|group| group.first() == Some(&column))
    }

    /// Tells what there is against a product.
    pub fn check(&self, row: &Row, mut tell: impl FnMut(Finding)) {
        let is_missing = |column: &ColumnId| row.get(*column) == ValueRef::Null;
        for group in &self.required {
            if group.iter().all(is_missing) {
                tell(Finding { column: group[0], fault: Fault::Missing });
            }
        }
        for (column, field) in &self.limits {
            if let Some(fault) = fault(row, *column, field) {
                tell(Finding { column: *column, fault });
            }
        }
    }
}

fn fault(row: &Row, column: ColumnId, field: &PresetField) -> Option<Fault> {
    let fault_of = |text: &str| {
        // Counting is for those that have as many bytes.
        let is_long =
            |max: &u32| text.len() > *max as usize && text.chars().count() > *max as usize;
        if let Some(max_chars) = field.max_chars.filter(is_long) {
            return Some(Fault::TooLong { max_chars });
        }
        let is_allowed = field.allowed.is_empty() || field.allowed.contains(&text);
        (!is_allowed).then_some(Fault::NotAllowed)
    };
    match row.get(column) {
        ValueRef::Text(text) => fault_of(text),
        ValueRef::List(items) => match field.max_items {
            Some(max_items) if items > max_items as usize => Some(Fault::TooMany { max_items }),
            _ => row.list(column).find_map(fault_of),
        },
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Boolean(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets::preset;
    use feedfleet_config::Format;

    #[test]
    fn a_product_is_held_against_the_format() {
        let checks = Checks::of(preset(Format::MetaCsv).unwrap());
        let mut row = Row::new();
        row.set_text(columns::ID, "1");
        row.set_text(columns::TITLE, &"가".repeat(201));
        row.set_text(columns::AVAILABILITY, "soon");
        row.set_text(columns::BRAND, &"가".repeat(100));
        row.set_list(columns::ADDITIONAL_IMAGE_LINKS, (0..21).map(|_| "https://i.example/1"));
        let mut found = Vec::new();
        checks.check(&row, |finding| found.push((finding.column, finding.fault)));
        let expected = [
            (columns::DESCRIPTION, Fault::Missing),
            (columns::CONDITION, Fault::Missing),
            (columns::PRICE, Fault::Missing),
            (columns::LINK, Fault::Missing),
            (columns::IMAGE_LINK, Fault::Missing),
            (columns::TITLE, Fault::TooLong { max_chars: 200 }),
            (columns::ADDITIONAL_IMAGE_LINKS, Fault::TooMany { max_items: 20 }),
            (columns::AVAILABILITY, Fault::NotAllowed),
        ];
        assert_eq!(found, expected);
    }
}
