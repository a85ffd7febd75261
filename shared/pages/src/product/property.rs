//! Properties of items, as shops spell and fill them: in any case, as text or as a thing with a name.

use crate::extract::normal;
use crate::item::{Item, Value};

/// The values of a property; shops write `lowprice` for `lowPrice`.
pub(super) fn values<'a>(item: &'a Item, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    let exact = item.properties.iter().find(|(own, _)| own == name);
    let found =
        exact.or_else(|| item.properties.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)));
    found.into_iter().flat_map(|(_, values)| values)
}

/// The items among a property's values.
pub(super) fn items<'a>(item: &'a Item, name: &str) -> impl Iterator<Item = &'a Item> + use<'a> {
    values(item, name).filter_map(Value::item)
}

/// The texts of a property; for a thing, its name or value.
pub(super) fn texts<'a>(item: &'a Item, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    values(item, name).filter_map(|value| match value {
        Value::Text(_) => value.text(),
        Value::Item(inner) => {
            ["name", "@value", "value", "alternateName"].iter().find_map(|name| inner.text(name))
        }
    })
}

/// The first text of a property.
pub(super) fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    texts(item, name).next()
}

/// The first of a property's texts that is a number of a shop or manufacturer.
pub(super) fn number(item: &Item, name: &str) -> Option<String> {
    texts(item, name).find_map(normal::number)
}

/// The URLs of a property: texts, or things with a URL, such as pictures.
pub(super) fn urls<'a>(item: &'a Item, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    values(item, name).filter_map(|value| match value {
        Value::Text(_) => value.text(),
        Value::Item(inner) => ["url", "contentUrl", "image"]
            .iter()
            .find_map(|name| inner.text(name))
            .or(inner.id.as_deref()),
    })
}
