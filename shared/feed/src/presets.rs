//! Formats that are known by name: which of their fields fills which column. Tables only; adding a format
//! means adding one.

mod google;
mod naver;

use chrono_tz::Tz;
use feedfleet_config::{Format, From as MapFrom, MapEntry, Target, Transform};
use feedfleet_model::ColumnId;

/// A format's fields.
#[derive(Debug)]
pub(crate) struct Preset {
    pub(crate) fields: &'static [PresetField],
    /// Fields that the format requires; their absence from a header is told.
    pub(crate) required: &'static [&'static str],
    /// The field that says whether a record is an insert, an update or a removal.
    pub(crate) change_field: Option<&'static str>,
    /// Elements whose parts become one text (XML).
    pub(crate) compounds: &'static [Compound],
    /// The country it comes from, as a top-level domain: a help in telling legacy encodings apart.
    pub(crate) top_level_domain: Option<&'static [u8]>,
}

/// A field, or several of which the first that has a value counts.
#[derive(Debug)]
pub(crate) struct PresetField {
    pub(crate) names: &'static [&'static str],
    /// The column's name, or `category`.
    pub(crate) target: &'static str,
    pub(crate) fill: Fill,
}

/// What is done to a field's value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fill {
    /// What the column's type asks for.
    Column,
    /// An amount with a point, in the pipe's currency unless it names another.
    Money,
    /// An amount in this currency unless it names another.
    MoneyIn(&'static str),
    /// A list, cut at this.
    Split(&'static str),
    /// A category path, cut at this.
    Category(&'static str),
    /// A time in this zone unless it names another.
    Time(Tz),
}

/// An XML element whose parts become one text, joined by `:` in this order, as the text formats write it.
#[derive(Debug)]
pub(crate) struct Compound {
    pub(crate) name: &'static str,
    pub(crate) parts: &'static [&'static str],
}

/// The preset of a format; none for those with `[map]` alone.
pub(crate) fn preset(format: Format) -> Option<&'static Preset> {
    match format {
        Format::GoogleXml => Some(&google::XML),
        Format::GoogleTsv => Some(&google::TSV),
        Format::NaverEp => Some(&naver::EP),
        Format::NaverEpSummary => Some(&naver::SUMMARY),
        Format::Csv | Format::Tsv | Format::Json | Format::JsonLines | Format::Xml => None,
    }
}

/// A field that fills the column of its own name.
const fn same(names: &'static [&'static str]) -> PresetField {
    PresetField { names, target: names[0], fill: Fill::Column }
}

const fn field(names: &'static [&'static str], target: &'static str, fill: Fill) -> PresetField {
    PresetField { names, target, fill }
}

impl PresetField {
    /// The field as a line of `[map]`. None when the table names no column, which a test rules out.
    pub(crate) fn entry(&self) -> Option<MapEntry> {
        let target = match self.target {
            "category" => Target::Category,
            name => Target::Column(ColumnId::by_name(name)?),
        };
        let from = match self.names {
            [name] => MapFrom::Field((*name).to_owned()),
            names => MapFrom::FirstOf(names.iter().map(|name| (*name).to_owned()).collect()),
        };
        let money = |currency: Option<&str>| Transform::Money {
            currency: currency.map(str::to_owned),
            decimal: Some('.'),
            minor_units: 0,
        };
        let transform = match self.fill {
            Fill::Column => Transform::ByColumn,
            Fill::Money => money(None),
            Fill::MoneyIn(currency) => money(Some(currency)),
            Fill::Split(separator) => Transform::Split { separator: separator.to_owned() },
            Fill::Category(separator) => Transform::Category { separator: separator.to_owned() },
            Fill::Time(timezone) => Transform::Date { format: None, timezone },
        };
        Some(MapEntry { target, from, transform, lookup: None, line: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Rule;
    use std::collections::BTreeSet;

    #[test]
    fn tables_name_columns_that_are_there_and_each_once() {
        for format in
            [Format::GoogleXml, Format::GoogleTsv, Format::NaverEp, Format::NaverEpSummary]
        {
            let preset = preset(format).unwrap();
            let mut targets = BTreeSet::new();
            for field in preset.fields {
                let entry = field.entry().unwrap_or_else(|| panic!("no column {}", field.target));
                Rule::compile(&entry, None).unwrap();
                assert!(targets.insert(field.target), "{} twice", field.target);
            }
            for name in preset.required {
                let is_known = preset.fields.iter().any(|field| field.names.contains(name))
                    || preset.change_field == Some(*name);
                assert!(is_known, "{name}");
            }
        }
    }
}
