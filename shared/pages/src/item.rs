//! The shape that JSON-LD, microdata and RDFa are all read into: an item has types, perhaps an identifier, and
//! properties with values, each a text or another item.

/// Names of properties that one thing has at most; further ones are left out. Each new one is compared with those before.
pub(crate) const MAX_PROPERTIES: usize = 1_000;
/// Types that one thing has at most, likewise.
pub(crate) const MAX_TYPES: usize = 100;

/// A thing that a page describes, such as a product or an offer.
///
/// Names of types and properties are as the page writes them, less what says that they are schema.org's:
/// `https://schema.org/Product` and `schema:Product` are `Product`. Names of other vocabularies stay whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// Its types, in the page's order.
    pub types: Vec<String>,
    /// Its identifier (`@id`, `itemid`, `resource`), a URL as a rule.
    pub id: Option<String>,
    /// Its properties in the page's order, each name once.
    pub properties: Vec<(String, Vec<Value>)>,
}

/// A value of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text, number, date or URL, as written.
    Text(String),
    /// Another item.
    Item(Item),
}

impl Item {
    /// Whether it is of a type; upper and lower case count as the same.
    pub fn is_a(&self, type_name: &str) -> bool {
        self.types.iter().any(|own| own.eq_ignore_ascii_case(type_name))
    }

    /// The values of a property, in the page's order.
    pub fn values<'a>(&'a self, property: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let found = self.properties.iter().find(|(name, _)| name == property);
        found.into_iter().flat_map(|(_, values)| values)
    }

    /// The first text of a property that is not blank, trimmed.
    pub fn text(&self, property: &str) -> Option<&str> {
        self.values(property).find_map(Value::text)
    }

    /// The items among a property's values.
    pub fn items<'a>(&'a self, property: &str) -> impl Iterator<Item = &'a Item> + use<'a> {
        self.values(property).filter_map(Value::item)
    }

    /// Adds a value to a property. Of a thing that has more properties than any has, the last are left out.
    pub fn push(&mut self, property: &str, value: Value) {
        let is_full = self.properties.len() >= MAX_PROPERTIES;
        match self.properties.iter_mut().find(|(name, _)| name == property) {
            Some((_, values)) => values.push(value),
            None if is_full => {}
            None => self.properties.push((property.to_owned(), vec![value])),
        }
    }
}

impl Value {
    /// The text, trimmed; none for a blank one and for an item.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.trim()).filter(|text| !text.is_empty()),
            Self::Item(_) => None,
        }
    }

    /// The item; none for a text.
    pub fn item(&self) -> Option<&Item> {
        match self {
            Self::Item(item) => Some(item),
            Self::Text(_) => None,
        }
    }
}

/// A type's or property's name without what says that it is schema.org's.
pub(crate) fn short_name(name: &str) -> &str {
    let name = name.trim();
    if let Some(rest) = strip_prefix_any_case(name, "schema:") {
        return rest;
    }
    let after_scheme = strip_prefix_any_case(name, "https://")
        .or_else(|| strip_prefix_any_case(name, "http://"))
        .or_else(|| name.strip_prefix("//"))
        .unwrap_or(name);
    let host = strip_prefix_any_case(after_scheme, "www.").unwrap_or(after_scheme);
    match strip_prefix_any_case(host, "schema.org/") {
        // `http://schema.org/#Product` and `http://schema.org/` itself are seen, too.
        Some(rest) => match rest.trim_start_matches(['/', '#']) {
            "" => name,
            short => short,
        },
        None => name,
    }
}

fn strip_prefix_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_schema_org_is_short_in_every_spelling() {
        for name in [
            "http://schema.org/name",
            "https://schema.org/name",
            "https://www.schema.org/name",
            "HTTP://Schema.org/name",
            "//schema.org/name",
            "schema.org/name",
            "schema:name",
            "http://schema.org/#name",
            " name ",
        ] {
            assert_eq!(short_name(name), "name", "{name:?}");
        }
    }

    #[test]
    fn a_name_of_another_vocabulary_stays_whole() {
        for name in ["http://purl.org/dc/terms/title", "og:title", "http://schema.org/", "é"] {
            assert_eq!(short_name(name), name);
        }
    }

    /// Promise 15: what a page writes a million times is not compared a million times a million.
    #[test]
    fn a_thing_has_so_many_properties_and_no_more() {
        let mut item = Item::default();
        for n in 0..2 * MAX_PROPERTIES {
            item.push(&n.to_string(), Value::Text("x".into()));
        }
        item.push("0", Value::Text("y".into()));
        assert_eq!(item.properties.len(), MAX_PROPERTIES);
        assert_eq!(item.values("0").count(), 2);
    }

    #[test]
    fn text_is_the_first_that_is_not_blank() {
        let mut item = Item { types: vec!["Product".into()], ..Item::default() };
        item.push("name", Value::Item(Item::default()));
        item.push("name", Value::Text("  ".into()));
        item.push("name", Value::Text(" Pan ".into()));
        item.push("sku", Value::Text("1".into()));
        assert_eq!(item.text("name"), Some("Pan"));
        assert_eq!(item.values("name").count(), 3);
        assert_eq!(item.items("name").count(), 1);
        assert_eq!(item.properties.len(), 2);
        assert_eq!(item.text("brand"), None);
        assert!(item.is_a("product"));
    }
}
