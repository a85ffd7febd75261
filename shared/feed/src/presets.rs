//! The registry of formats that are known by name: what kind of text each is, which of its fields fills
//! which column, what it requires of them, which values it allows and how long they may be. Tables only;
//! adding a format means adding one. To write a format, more is wanted than stands here: namespaces, and how
//! amounts and times are written.

mod affiliates;
mod checks;
mod field;
mod google;
mod layout;
mod meta;
mod naver;
mod naver_legacy;
mod pages;
mod rakuten;
mod shopify;
mod woocommerce;

use feedfleet_config::Format;

pub use checks::{Checks, Fault, Finding};
pub use field::{Fill, OtherField, PresetField, Take};
pub use layout::{Compound, Frame, Layout, Lists, Paging, RowGroup, Tags};

/// A format.
#[derive(Debug)]
pub struct Preset {
    /// Its name.
    pub format: Format,
    /// What its text looks like.
    pub layout: Layout,
    /// Its fields. Each column occurs once at most.
    pub fields: &'static [PresetField],
    /// Its fields that no column is for: they go to `extra`.
    pub others: &'static [OtherField],
    /// What tells it from another format that has the same names. None: its own names do.
    pub signs: Option<&'static Signs>,
    /// What must be there: of each group of fields, one. A field stands under the first of its names.
    pub required: &'static [&'static [&'static str]],
    /// The fields that make a product's id together; none: the one that fills `id`.
    pub key: &'static [KeyPart],
    /// The fields that say that a record is to be inserted, updated or removed.
    pub changes: &'static [ChangeField],
    /// Character encodings in which it comes, by WHATWG label, the usual one first.
    pub encodings: &'static [&'static str],
    /// The country it comes from, as a top-level domain: a help in telling legacy encodings apart.
    pub top_level_domain: Option<&'static [u8]>,
    /// The ends of its files' names when they are compressed, the usual one first. What is read is told by
    /// the first bytes.
    pub compressions: &'static [&'static str],
}

/// A part of an id that is made of several fields.
#[derive(Debug, Clone, Copy)]
pub struct KeyPart {
    /// The names that the field comes under.
    pub names: &'static [&'static str],
    /// Whether a product without a value of it has no id.
    pub is_needed: bool,
}

/// A field whose words say what is to be done with the record. Case does not count.
#[derive(Debug, Clone, Copy)]
pub struct ChangeField {
    /// The names that the field comes under.
    pub names: &'static [&'static str],
    /// Words that mean a product; none: all that do not mean its removal.
    pub upserts: &'static [&'static str],
    /// Words that mean that the product is gone, or was never on offer.
    pub deletes: &'static [&'static str],
}

/// What tells a format from another one that has the same names: any of these.
#[derive(Debug, Clone, Copy)]
pub struct Signs {
    /// Names of fields that only it has.
    pub fields: &'static [&'static str],
    /// Names of fields that, of those formats, only it has, and that anybody may have added.
    pub common_fields: &'static [&'static str],
    /// Values that only it has, each with the field that has them. Case does not count.
    pub values: &'static [(&'static str, &'static [&'static str])],
    /// Values that it has as a rule, and others at times.
    pub hints: &'static [Hint],
}

/// Values of a field that a format has as a rule. Case does not count.
#[derive(Debug, Clone, Copy)]
pub struct Hint {
    /// The field.
    pub field: &'static str,
    /// The values.
    pub words: &'static [&'static str],
    /// Values that speak for another format, whatever else the field has.
    pub others: &'static [&'static str],
}

/// What a format's table is completed with.
const BASE: Preset = Preset {
    format: Format::Csv,
    layout: Layout::JsonLines,
    fields: &[],
    others: &[],
    signs: None,
    required: &[],
    key: &[],
    changes: &[],
    encodings: &["utf-8"],
    top_level_domain: None,
    compressions: &[],
};

/// Every preset.
static ALL: [&Preset; 17] = [
    &google::XML,
    &google::TSV,
    &google::CSV,
    &naver::EP,
    &naver::SUMMARY,
    &naver_legacy::LEGACY,
    &meta::XML,
    &meta::CSV,
    &meta::TSV,
    &shopify::CSV,
    &shopify::JSON,
    &woocommerce::CSV,
    &affiliates::AWIN,
    &affiliates::CJ_XML,
    &affiliates::CJ_CSV,
    &rakuten::RAKUTEN,
    &pages::SCHEMA_ORG,
];

/// Every preset, in the order in which their names are listed.
pub fn all() -> impl Iterator<Item = &'static Preset> {
    ALL.iter().copied()
}

/// The preset of a format; none for those with `[map]` alone.
pub fn preset(format: Format) -> Option<&'static Preset> {
    all().find(|preset| preset.format == format)
}

impl Preset {
    /// The field that comes under this name, compared without regard to case and word separators.
    pub fn field(&self, name: &str) -> Option<&'static PresetField> {
        self.fields.iter().find(|field| field.has_name(name))
    }

    /// Whether the format has a field of this name, whatever becomes of it.
    pub fn knows(&self, name: &str) -> bool {
        let is_one = |names: &[&str]| names.iter().any(|own| field::is_same_name(own, name));
        self.field(name).is_some()
            || self.key.iter().any(|part| is_one(part.names))
            || self.changes.iter().any(|change| is_one(change.names))
            || self.others.iter().any(|other| other.has_name(name))
    }

    /// The field that fills the column of this name.
    pub fn field_of(&self, column: &str) -> Option<&'static PresetField> {
        self.fields.iter().find(|field| field.target == column)
    }

    /// Whether a column is filled with where the source is.
    pub fn uses_origin(&self) -> bool {
        let is_there =
            |take: Take| matches!(take, Take::Template(text) if text.contains("{origin}"));
        self.fields.iter().any(|field| is_there(field.take))
    }

    /// The names of the fields that make a product's id, the first name of each.
    pub fn key_names(&self) -> Vec<&'static str> {
        if self.key.is_empty() {
            return self.field_of("id").map(|field| field.names[0]).into_iter().collect();
        }
        self.key.iter().map(|part| part.names[0]).collect()
    }

    /// The fields of which one is required along with this one; only itself when it always is. None: it is
    /// not required.
    pub fn requirement(&self, field: &PresetField) -> Option<&'static [&'static str]> {
        self.required.iter().copied().find(|group| group.iter().any(|name| field.has_name(name)))
    }

    /// The groups of required fields of which `names` has none, under whatever of their names.
    pub fn missing<'n>(
        &'static self,
        names: impl Iterator<Item = &'n str> + Clone,
    ) -> impl Iterator<Item = &'static [&'static str]> {
        self.required.iter().copied().filter(move |group| {
            let is_there = |known: &'static str| {
                names
                    .clone()
                    .any(|name| field::is_same_name(name, known) || self.is_in_cell_of(name, known))
            };
            !group.iter().any(|&required| self.other_names(required).any(is_there))
        })
    }

    /// Whether a field comes as JSON in the cells of a column of this name, as `image[0].url` does in those of `image`.
    fn is_in_cell_of(&self, column: &str, field: &str) -> bool {
        let Layout::Delimited { json_cells, .. } = self.layout else { return false };
        json_cells.iter().any(|cell| {
            let is_below = field.strip_prefix(*cell).is_some_and(|rest| rest.starts_with('['));
            is_below && field::is_same_name(column, cell)
        })
    }

    /// All names of the field that comes under this one.
    fn other_names(&'static self, name: &'static str) -> impl Iterator<Item = &'static str> {
        const NONE: &[&str] = &[];
        let names = self.field(name).map_or(NONE, |field| field.names);
        let part = self.key.iter().find(|part| part.names.contains(&name));
        let part = part.map_or(NONE, |part| part.names);
        names.iter().chain(part).copied().chain([name])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Rule;
    use std::collections::BTreeSet;

    #[test]
    fn every_format_with_a_preset_has_one() {
        for format in Format::ALL {
            assert_eq!(preset(format).is_some(), format.is_preset(), "{}", format.name());
        }
        assert!(all().all(|preset| preset.layout.kind() == preset.format.text_kind()));
    }

    #[test]
    fn tables_name_columns_that_are_there_and_each_once() {
        for preset in all() {
            let name = preset.format.name();
            let mut targets = BTreeSet::new();
            for field in preset.fields {
                let entry = field.entry(Some("https://shop.example"));
                let entry = entry.unwrap_or_else(|| panic!("{name}: no column {}", field.target));
                Rule::compile(&entry, None).unwrap();
                assert!(targets.insert(field.target), "{name}: {} twice", field.target);
            }
            assert!(!preset.key_names().is_empty(), "{name} has no key");
        }
    }

    #[test]
    fn what_is_required_is_a_field() {
        for preset in all() {
            for required in preset.required.iter().copied().flatten() {
                let is_known = preset.field(required).is_some()
                    || preset.changes.iter().any(|change| change.names.contains(required))
                    || preset.key.iter().any(|part| part.names.contains(required));
                assert!(is_known, "{}: {required}", preset.format.name());
            }
        }
    }

    #[test]
    fn formats_know_fields_that_fill_no_column() {
        let woocommerce = preset(Format::WooCommerceCsv).unwrap();
        for name in ["Attribute 1 value(s)", "meta: _x", "type", "Published", "Regular price"] {
            assert!(woocommerce.knows(name), "{name}");
        }
        assert!(!woocommerce.knows("Metal") && !woocommerce.knows("Types"));
        for preset in all() {
            for other in preset.others {
                let is_one = preset.field(other.name).is_some();
                assert!(!is_one, "{}: {} fills a column", preset.format.name(), other.name);
            }
        }
    }

    #[test]
    fn one_of_several_may_be_required() {
        let meta = preset(Format::MetaCsv).unwrap();
        let all = ["ID", "title", "description", "availability", "condition", "price", "link"];
        let names = all.into_iter().chain(["image[0].url"]);
        let missing: Vec<_> = meta.missing(names.clone()).collect();
        assert_eq!(missing, [["brand", "mpn", "gtin"]]);
        assert_eq!(meta.missing(names.chain(["GTIN"])).count(), 0);
        // Pictures as JSON in one cell.
        let names = all.into_iter().chain(["gtin", "image"]);
        assert_eq!(meta.missing(names).count(), 0);
        let mpn = meta.field("mpn").unwrap();
        assert_eq!(meta.requirement(mpn), Some(&["brand", "mpn", "gtin"][..]));
        assert!(meta.requirement(meta.field("color").unwrap()).is_none());
    }
}
