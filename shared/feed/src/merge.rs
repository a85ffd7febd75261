//! A preset's mapping with the pipe's own lines over it.

use crate::error::FeedError;
use crate::header::plain;
use crate::presets::{ChangeField, Layout, Preset};
use crate::rule::{Action, Rule};
use feedfleet_config::{From as MapFrom, MapEntry, Target, distance};
use feedfleet_model::columns;

/// Letters that a field's name has at least if a misspelt one is taken for it: too many are near to a shorter one.
const LEAST_LETTERS: usize = 6;
/// Letters that a misspelt name may differ in: one in five, and so many at most.
const MOST_WRONG: usize = 2;

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

/// The required fields that a header of these names lacks, each with the one name in it that is near to the field's and
/// that nobody knows. `catagory_name1` is `category_name1`; `category_name5` is not. What makes the preset's id is not
/// guessed at.
pub(crate) fn misspelt<'n>(
    preset: &'static Preset,
    names: &[&'n str],
) -> Vec<(&'static str, &'n str)> {
    if !matches!(preset.layout, Layout::Delimited { frame: None, .. }) {
        return Vec::new();
    }
    let absent: Vec<&'static [&'static str]> = preset.missing(names.iter().copied()).collect();
    if absent.is_empty() {
        return Vec::new();
    }
    let unknown: Vec<&'n str> = names.iter().copied().filter(|name| !preset.knows(name)).collect();
    let mut found: Vec<(&'static str, &'n str)> = Vec::new();
    for missing in absent {
        let &[field] = missing else { continue };
        if makes_id(preset, field) {
            continue;
        }
        let mut near = unknown.iter().copied().filter(|name| is_near(field, name));
        if let (Some(name), None) = (near.next(), near.next()) {
            found.push((field, name));
        }
    }
    let all = found.clone();
    found.retain(|(_, name)| all.iter().filter(|(_, other)| other == name).count() == 1);
    found
}

/// Whether a preset's id is made of this field.
fn makes_id(preset: &Preset, field: &str) -> bool {
    preset.key.iter().any(|part| part.names.contains(&field))
        || preset.field_of("id").is_some_and(|id| id.has_name(field))
}

fn is_near(field: &str, name: &str) -> bool {
    let (field, name) = (plain(field), plain(name));
    let (letters, others) = (field.chars().count(), name.chars().count());
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    letters >= LEAST_LETTERS
        && others >= LEAST_LETTERS
        && letters.abs_diff(others) <= MOST_WRONG
        && digits(&field) == digits(&name)
        && distance(&field, &name) <= (letters / 5).min(MOST_WRONG)
}

/// Lets the rules of required fields take the misspelt names in a header of these names; gives each field with the name
/// that is taken for it. What makes the pipe's id is not guessed at, and what the pipe itself speaks of is left alone.
pub(crate) fn respell(
    rules: &mut [Rule],
    preset: &'static Preset,
    names: &[&str],
) -> Vec<(&'static str, String)> {
    let mut taken = Vec::new();
    for (field, name) in misspelt(preset, names) {
        let has = |rule: &Rule, name: &str| {
            rule.sources.iter().any(|source| plain(source) == plain(name))
        };
        let is_id = |rule: &Rule| matches!(rule.action, Action::Id) && has(rule, field);
        if rules.iter().any(|rule| has(rule, name) || is_id(rule)) {
            continue;
        }
        let sources = rules.iter_mut().flat_map(|rule| rule.sources.iter_mut());
        let mut is_taken = false;
        for source in sources.filter(|source| plain(source.as_str()) == plain(field)) {
            name.clone_into(source);
            is_taken = true;
        }
        if is_taken {
            taken.push((field, name.to_owned()));
        }
    }
    taken
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
    fn a_required_field_is_known_by_a_misspelt_name() {
        let naver = preset(Format::NaverEp).unwrap();
        let found = |names: &[&str]| {
            let found = misspelt(naver, names).into_iter();
            found.map(|(field, name)| format!("{field} {name}")).collect::<Vec<_>>()
        };
        let rest = ["id", "title", "link", "shipping"];
        let with = |names: &[&'static str]| [&rest[..], names].concat();
        let wrong = with(&["price_pc", "imgae_link", "catagory_name1"]);
        assert_eq!(found(&wrong), ["image_link imgae_link", "category_name1 catagory_name1"]);
        // Another category, another price, two that are as near, one that is known.
        for name in ["category_name5", "category_name2", "price_us", "priceless"] {
            let names = with(&["image_link", name]);
            assert!(found(&names).is_empty(), "{name}");
        }
        let two = with(&["price_pc", "image_link", "catagory_name1", "categorie_name1"]);
        assert!(found(&two).is_empty());

        let image = |map: &[MapEntry], names: &[&str]| {
            let mut rules = rules(Some(naver), map, &[], None, None).unwrap();
            let told = respell(&mut rules, naver, names);
            let is = |action: &Action| matches!(action, Action::Link(columns::IMAGE_LINK));
            (sources(&rules, is), told.len())
        };
        assert_eq!(image(&[], &wrong), (vec![vec!["imgae_link".to_owned()]], 2));
        let own = [field(columns::IMAGE_LINK, "picture")];
        assert_eq!(image(&own, &wrong), (vec![vec!["picture".to_owned()]], 1));
        let other = [field(columns::MOBILE_LINK, "imgae_link")];
        assert_eq!(image(&other, &wrong), (vec![vec!["image_link".to_owned()]], 1));
    }

    #[test]
    fn what_makes_the_id_is_not_guessed_at() {
        let awin = preset(Format::Awin).unwrap();
        let names = ["aw_product_ld", "product_name", "aw_deep_link", "search_prise"];
        let mut rules = rules(Some(awin), &[], &[], None, None).unwrap();
        let told = respell(&mut rules, awin, &names);
        assert_eq!(told, [("search_price", "search_prise".to_owned())]);
        assert_eq!(misspelt(awin, &names), [("search_price", "search_prise")]);
        let shopify = preset(Format::ShopifyCsv).unwrap();
        let names = ["Handles", "Title", "Variant Prise"];
        assert_eq!(misspelt(shopify, &names), [("Variant Price", "Variant Prise")]);
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
