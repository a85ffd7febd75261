//! A preset's mapping with the pipe's own lines over it.

use crate::error::FeedError;
use crate::header::plain;
use crate::presets::{Preset, PresetField};
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
pub(crate) fn rules(
    preset: Option<&Preset>,
    map: &[MapEntry],
    key: &[String],
    currency: Option<&str>,
) -> Result<Vec<Rule>, FeedError> {
    let fields = preset.map_or(&[][..], |preset| preset.fields);
    let mut entries: Vec<MapEntry> = fields.iter().filter_map(PresetField::entry).collect();
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
    if !key.is_empty() {
        rules.push(Rule::key(key));
    }
    if let Some(field) = preset.and_then(|preset| preset.change_field) {
        rules.push(Rule::change(field));
    }
    if !rules.iter().any(|rule| matches!(rule.action, Action::Id)) {
        let message = "neither [map] nor key in [source] says what a product's id is";
        return Err(FeedError::configuration(message));
    }
    rules.sort_by_key(Rule::order);
    Ok(rules)
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
        MapFrom::FirstOf(names) => {
            names.retain(is_other);
            !names.is_empty()
        }
        MapFrom::Fields { .. } | MapFrom::Constant(_) => true,
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
        let rules = rules(preset(Format::GoogleXml), &map, &[], None).unwrap();
        let is = |column| move |action: &Action| matches!(action, Action::Text(c) if *c == column);
        assert_eq!(sources(&rules, is(columns::TITLE)), [["name"]]);
        assert_eq!(sources(&rules, is(columns::DESCRIPTION)), [["description", "content"]]);
    }

    #[test]
    fn a_key_is_the_id() {
        let key = ["sku".to_owned(), "size".to_owned()];
        let map = [field(columns::ID, "sku")];
        let found = rules(None, &map, &key, None).unwrap();
        assert_eq!(sources(&found, |action| matches!(action, Action::Id)), [["sku", "size"]]);
        let error = rules(None, &[field(columns::TITLE, "t")], &[], None).unwrap_err();
        assert!(matches!(error, FeedError::Configuration { .. }));
    }
}
