//! What extruct expects of JSON-LD and microdata, as items, and how items are compared with it.

use feedfleet_pages::{Item, Value};
use serde_json::Value as Json;
use url::Url;

/// An object of JSON-LD.
pub fn from_json_ld(json: &Json) -> Item {
    let mut item = Item::default();
    for (name, value) in json.as_object().into_iter().flatten() {
        match name.as_str() {
            "@type" => item.types = strings(value),
            "@id" => item.id = value.as_str().map(str::to_owned),
            name if name.starts_with('@') => {}
            name => {
                for one in list(value) {
                    match one {
                        Json::Null => {}
                        Json::Object(_) => item.push(short(name), Value::Item(from_json_ld(one))),
                        Json::String(text) => item.push(short(name), Value::Text(text.clone())),
                        other => item.push(short(name), Value::Text(other.to_string())),
                    }
                }
            }
        }
    }
    item
}

/// An item of extruct's microdata.
pub fn from_microdata(json: &Json) -> Item {
    let mut item = Item {
        types: strings(&json["type"]),
        id: json["id"].as_str().map(str::to_owned),
        ..Item::default()
    };
    for (name, value) in json["properties"].as_object().into_iter().flatten() {
        for one in list(value) {
            match one {
                Json::String(text) => item.push(short(name), Value::Text(text.clone())),
                other => item.push(short(name), Value::Item(from_microdata(other))),
            }
        }
    }
    // The text of an item without properties is its name to us.
    if let Some(text) = json["value"].as_str() {
        item.push("name", Value::Text(text.to_owned()));
    }
    item
}

/// Whether two lists have the same items, in whichever order.
pub fn is_same(read: &[Item], expected: &[Item], base: &Url) -> bool {
    matches(read, expected, |read, expected| is_same_item(read, expected, base))
}

fn is_same_item(read: &Item, expected: &Item, base: &Url) -> bool {
    let is_same_text = |read: &String, expected: &String| is_same_text(read, expected, base);
    matches(&read.types, &expected.types, is_same_text)
        && matches(read.id.as_slice(), expected.id.as_slice(), is_same_text)
        && matches(&read.properties, &expected.properties, |read, expected| {
            let is_same_value =
                |read: &Value, expected: &Value| is_same_value(read, expected, base);
            read.0 == expected.0 && matches(&read.1, &expected.1, is_same_value)
        })
}

fn is_same_value(read: &Value, expected: &Value, base: &Url) -> bool {
    match (read, expected) {
        (Value::Text(read), Value::Text(expected)) => is_same_text(read, expected, base),
        (Value::Item(read), Value::Item(expected)) => is_same_item(read, expected, base),
        _ => false,
    }
}

/// White space counts as one space; extruct's URLs may be relative, and its numbers have lost their form.
fn is_same_text(read: &str, expected: &str, base: &Url) -> bool {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    squeezed(read) == squeezed(expected)
        || base.join(expected.trim()).is_ok_and(|url| url.as_str() == read)
        || number(read).is_some_and(|value| number(expected) == Some(value))
}

/// Whether two lists have the same elements.
fn matches<T>(read: &[T], expected: &[T], is_same: impl Fn(&T, &T) -> bool) -> bool {
    let mut left: Vec<&T> = read.iter().collect();
    let is_found = |one: &T| {
        let place = left.iter().position(|other| is_same(other, one));
        place.map(|place| left.swap_remove(place)).is_some()
    };
    read.len() == expected.len() && expected.iter().all(is_found)
}

/// A text with every white space one space.
pub fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A name without schema.org's prefix.
pub fn short(name: &str) -> &str {
    let rest = name.strip_prefix("http://schema.org/");
    rest.or_else(|| name.strip_prefix("https://schema.org/")).unwrap_or(name)
}

fn strings(json: &Json) -> Vec<String> {
    list(json).iter().filter_map(|one| one.as_str()).map(|name| short(name).to_owned()).collect()
}

fn list(json: &Json) -> &[Json] {
    match json {
        Json::Array(elements) => elements,
        one => std::slice::from_ref(one),
    }
}
