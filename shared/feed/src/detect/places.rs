//! Where the products are: the element of XML, the array of JSON.

use quick_xml::events::Event;
use quick_xml::reader::Reader;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Names that the element of one product often has, where there is only one in the sample.
const ITEMS: [&str; 8] =
    ["item", "entry", "product", "offer", "article", "produkt", "artikel", "record"];
/// Levels at which it is looked for.
const MAX_DEPTH: usize = 6;
/// Errors after which the rest of a sample is left alone.
const MAX_ERRORS: usize = 20;
/// Different paths that are counted.
const MAX_PATHS: usize = 2_000;
/// Levels of JSON that are searched for arrays.
const MAX_LEVELS: usize = 6;

/// What is known of the elements at one path.
#[derive(Debug, Default)]
struct Element {
    count: u64,
    children: u64,
    names: BTreeSet<String>,
}

/// The element of XML that is one product, by its local name.
pub(super) fn item(text: &str) -> Option<String> {
    let elements = elements(text);
    let candidates: Vec<(&String, &Element)> =
        elements.iter().filter(|(path, element)| path.contains('/') && repeats(element)).collect();
    let is_outermost =
        |path: &str| !candidates.iter().any(|(around, _)| is_inside(path, around.as_str()));
    let outermost = candidates.iter().filter(|(path, _)| is_outermost(path.as_str()));
    if let Some((path, _)) = outermost.max_by_key(|(_, element)| element.children) {
        return Some(last(path.as_str()));
    }
    for path in elements.keys() {
        if ITEMS.contains(&last(path).to_lowercase().as_str()) {
            return Some(last(path));
        }
    }
    // A single product below the root, by its parts.
    let single =
        elements.iter().find(|(path, element)| path.contains('/') && element.names.len() > 2);
    single.map(|(path, _)| last(path))
}

fn repeats(element: &Element) -> bool {
    element.count >= 2 && element.names.len() >= 2
}

fn is_inside(path: &str, around: &str) -> bool {
    path.strip_prefix(around).is_some_and(|rest| rest.starts_with('/'))
}

/// The last step of a path.
fn last(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// The elements of a text by their path of local names.
fn elements(text: &str) -> BTreeMap<String, Element> {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    let mut elements: BTreeMap<String, Element> = BTreeMap::new();
    let mut open: Vec<String> = Vec::new();
    let mut errors = 0;
    loop {
        let (name, is_empty) = match reader.read_event() {
            Ok(Event::Start(tag)) => (tag.local_name().into_inner().to_owned(), false),
            Ok(Event::Empty(tag)) => (tag.local_name().into_inner().to_owned(), true),
            Ok(Event::End(tag)) => {
                let local = tag.local_name().into_inner().to_owned();
                if let Some(at) = open.iter().rposition(|name| *name == local) {
                    open.truncate(at);
                }
                continue;
            }
            Ok(Event::Eof) => return elements,
            Ok(_) => continue,
            Err(_) => {
                errors += 1;
                if errors > MAX_ERRORS {
                    return elements;
                }
                continue;
            }
        };
        if open.len() < MAX_DEPTH && elements.len() < MAX_PATHS {
            let around = open.join("/");
            let path = if around.is_empty() { name.clone() } else { format!("{around}/{name}") };
            elements.entry(path).or_default().count += 1;
            if let Some(parent) = elements.get_mut(&around) {
                parent.children += 1;
                parent.names.insert(name.clone());
            }
        }
        if !is_empty {
            open.push(name);
        }
    }
}

/// The arrays of objects in a JSON document, or in the beginning of one, as pointers, the one with the most in it first.
pub(super) fn arrays(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut document = serde_json::Deserializer::from_str(text);
    let place = Place { pointer: String::new(), level: 0, found: &mut found };
    // What was found before the text ends, or is none any more, counts.
    place.deserialize(&mut document).ok();
    found.retain(|(_, fields)| *fields > 0);
    found.sort_by_key(|(_, fields)| std::cmp::Reverse(*fields));
    found.into_iter().map(|(pointer, _)| pointer).collect()
}

/// A value of the document. Arrays, and the fields of the objects in them, are counted as they come.
struct Place<'f> {
    pointer: String,
    level: usize,
    found: &'f mut Vec<(String, usize)>,
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(key) = members.next_key::<String>()? {
            if self.level >= MAX_LEVELS || self.found.len() >= MAX_PATHS {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            let step = key.replace('~', "~0").replace('/', "~1");
            let pointer = format!("{}/{step}", self.pointer);
            let (level, found) = (self.level + 1, &mut *self.found);
            members.next_value_seed(Place { pointer, level, found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.found.push((self.pointer, 0));
        while let Some((_, fields)) = self.found.last_mut() {
            if items.next_element_seed(Item { fields })?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// An item of an array: if it is an object, its fields are counted.
struct Item<'f> {
    fields: &'f mut usize,
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while members.next_key::<IgnoredAny>()?.is_some() {
            members.next_value::<IgnoredAny>()?;
            *self.fields += 1;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_element_of_a_product_repeats_itself_and_has_parts() {
        let rss = "<rss><channel><title>x</title><item><id>1</id><title>a</title><image><url>u</url><alt>t</alt></image></item>\
                   <item><id>2</id><title>b</title><image><url>u</url><alt>t</alt></image></item></channel></rss>";
        let yml = "<catalog><shop><categories><category id='1'>a</category><category id='2'>b</category></categories>\
                   <offers><offer id='1'><price>1</price><name>a</name></offer><offer id='2'><price>2</price><name>b</name></offer></offers></shop></catalog>";
        let one = "<products><product><id>1</id><name>a</name></product></products>";
        let other = "<list><ware><id>1</id><name>a</name><price>2</price></ware></list>";
        let broken = "<p><ware><id>1</id><b>x</ware><ware><id>2</id><name>b & c</name></ware>";
        for (text, expected) in
            [(rss, "item"), (yml, "offer"), (one, "product"), (other, "ware"), (broken, "ware")]
        {
            assert_eq!(item(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(item("<a>x</a>"), None);
    }

    #[test]
    fn arrays_are_found_by_what_is_in_them() {
        let text =
            r#"{"meta":{"langs":["a"]},"facets":[{"n":1}],"data":{"a/b":[{"x":1,"y":2},{"x":3}]}}"#;
        assert_eq!(arrays(text), ["/data/a~1b", "/facets"]);
        assert_eq!(arrays("[{\"a\":1}]"), [""]);
        assert!(arrays("{\"a\":[1,2]}").is_empty() && arrays("[{\"a\":").is_empty());
        assert!(arrays("{\"a\":").is_empty() && arrays("nonsense").is_empty());
        // Its beginning will do.
        let beginning =
            r#"{"facets":[{"n":1}],"meta":"x","data":{"items":[{"id":1,"t":"a"},{"id":2,"t"#;
        assert_eq!(arrays(beginning), ["/data/items", "/facets"]);
    }
}
