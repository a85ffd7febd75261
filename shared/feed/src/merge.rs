//! A preset's mapping with the pipe's own lines over it.

use crate::error::FeedError;
use crate::header::plain;
use crate::presets::{ChangeField, Preset};
use crate::rule::{Action, Rule};
use feedfleet_config::{From as MapFrom, MapEntry, Target};
use feedfleet_model::columns;

/// The columns that a line for `category` fills.
const CATEGORY_COLUMNS: [Target; 5] = [
    Target::Column(columns::CATEGORY_1),
    Target::Column(columns::CATEGORY_2),
    Target::Column(columns::CATEGORY_3),
    Target::Column(columns::CATEGORY_4),
    Target::Column(columns::PRODUCT_TYPE),
];

/// The rules of a pipe: the preset's where the pipe says nothing, and the composite id if there is one.
/// `origin` is where the source is, as in `https://shop.example`, if it is at an address.
pub(crate) fn rules(
    preset: Option<&'static Preset>,
    map: &[MapEntry],
    key: &[String],
    currency: Option<&str>,
    origin: Option<&str>,
) -> Result<Vec<Rule>, FeedError> {
    let fields = preset.map_or(&[][..], |preset| preset.fields);
    let mut entries: Vec<MapEntry> =
        fields.iter().filter_map(|field| field.entry(origin)).collect();
    entries.retain(|entry| !map.iter().any(|own| replaces(own, entry)));
    for ignored in map.iter().filter(|own| own.target == Target::Ignore) {
        entries.retain_mut(|entry| keep_without(entry, &ignored.from));
    }
    entries.extend_from_slice(map);
    if !key.is_empty() {
        entries.retain(|entry| entry.target != Target::Column(columns::ID));
    }
    let mut rules = entries
        .iter()
        .map(|entry| Rule::compile(entry, currency))
        .collect::<Result<Vec<_>, _>>()?;
    let has_id = |rules: &[Rule]| rules.iter().any(|rule| matches!(rule.action, Action::Id));
    if !key.is_empty() {
        rules.push(Rule::key(key));
    } else if let Some(preset) = preset.filter(|preset| !preset.key.is_empty())
        && !has_id(&rules)
    {
        rules.push(Rule::preset_key(preset.key));
    }
    let changes: &'static [ChangeField] = preset.map_or(&[], |preset| preset.changes);
    rules.extend(changes.iter().filter(|change| !is_ignored(change, map)).map(Rule::change));
    if !has_id(&rules) {
        let message = "neither [map] nor key in [source] says what a product's id is";
        return Err(FeedError::configuration(message));
    }
    rules.sort_by_key(Rule::order);
    Ok(rules)
}

/// Whether the pipe ignores a field that would say what kind of change a record is.
fn is_ignored(change: &ChangeField, map: &[MapEntry]) -> bool {
    let is_named = |from: &MapFrom| match from {
        MapFrom::Field(name) => change.names.iter().any(|own| plain(own) == plain(name)),
        _ => false,
    };
    map.iter().any(|own| own.target == Target::Ignore && is_named(&own.from))
}

/// Whether the pipe's line stands in for the preset's.
fn replaces(own: &MapEntry, preset: &MapEntry) -> bool {
    own.target == preset.target
        || (own.target == Target::Category && CATEGORY_COLUMNS.contains(&preset.target))
}

/// Takes ignored fields out of a preset's line. False: nothing is left of it.
fn keep_without(entry: &mut MapEntry, ignored: &MapFrom) -> bool {
    let MapFrom::Field(ignored) = ignored else {
        return true;
    };
    let is_other = |name: &String| plain(name) != plain(ignored);
    match &mut entry.from {
        MapFrom::Field(name) => is_other(name),
        MapFrom::FirstOf(names) | MapFrom::FirstItem { names, .. } | MapFrom::AllOf(names) => {
            names.retain(is_other);
            !names.is_empty()
        }
        MapFrom::Fields { .. } | MapFrom::Template(_) | MapFrom::Constant(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets::preset;
    use crate::testing::field;
    use feedfleet_config::{Format, Transform};

    fn sources(rules: &[Rule], find: impl Fn(&Action) -> bool) -> Vec<Vec<String>> {
        rules.iter().filter(|r| find(&r.action)).map(|r| r.sources.clone()).collect()
    }

    #[test]
    fn the_pipe_outdoes_the_preset() {
        let ignore = MapEntry {
            target: Target::Ignore,
            from: MapFrom::Field("Summary".to_owned()),
            transform: Transform::ByColumn,
            lookup: None,
            line: 2,
        };
        let map = [field(columns::TITLE, "name"), ignore];
        let rules = rules(preset(Format::GoogleXml), &map, &[], None, None).unwrap();
        let is = |column| move |action: &Action| matches!(action, Action::Text(c) if *c == column);
        assert_eq!(sources(&rules, is(columns::TITLE)), [["name"]]);
        assert_eq!(sources(&rules, is(columns::DESCRIPTION)), [["description", "content"]]);
    }

    #[test]
    fn a_key_is_the_id() {
        let key = ["sku".to_owned(), "size".to_owned()];
        let map = [field(columns::ID, "sku")];
        let found = rules(None, &map, &key, None, None).unwrap();
        assert_eq!(sources(&found, |action| matches!(action, Action::Id)), [["sku", "size"]]);
        let error = rules(None, &[field(columns::TITLE, "t")], &[], None, None).unwrap_err();
        assert!(matches!(error, FeedError::Configuration { .. }));
    }

    #[test]
    fn a_presets_key_gives_way() {
        let shopify = preset(Format::ShopifyCsv);
        let ids = |map: &[MapEntry], key: &[String]| {
            let found = rules(shopify, map, key, None, None).unwrap();
            sources(&found, |action| matches!(action, Action::Id))
        };
        let preset_key =
            ["Handle", "URL handle", "Option1 Value", "Option2 Value", "Option3 Value"];
        assert_eq!(ids(&[], &[]), [preset_key]);
        assert_eq!(ids(&[], &["Variant SKU".to_owned()]), [["Variant SKU"]]);
        assert_eq!(ids(&[field(columns::ID, "SKU")], &[]), [["SKU"]]);
    }

    #[test]
    fn what_says_that_a_product_is_gone_can_be_ignored() {
        let ignore = MapEntry {
            target: Target::Ignore,
            from: MapFrom::Field("status".to_owned()),
            transform: Transform::ByColumn,
            lookup: None,
            line: 2,
        };
        let changes = |map: &[MapEntry]| {
            let found = rules(preset(Format::ShopifyCsv), map, &[], None, None).unwrap();
            sources(&found, |action| matches!(action, Action::Change(_))).len()
        };
        assert_eq!((changes(&[]), changes(&[ignore])), (2, 1));
    }
}
