//! One JSON object as a record: `a.b` for a key in a key, `a[0].b` for an object in a list, the list's own
//! name for plain values in a list.

use crate::clean::push_clean;
use crate::fields::{Names, Record};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt::{self, Display, Write};

/// Levels of objects and lists.
const MAX_DEPTH: usize = 64;

/// Why an object is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FlattenError {
    pub(crate) is_too_deep: bool,
    pub(crate) message: String,
}

/// Adds the values of the JSON object `text` to `record`. `path` is working memory.
pub(crate) fn flatten(
    text: &str,
    record: &mut Record,
    names: &mut Names,
    path: &mut String,
) -> Result<(), FlattenError> {
    if !text.trim_start().starts_with('{') {
        let message = "this is no JSON object".to_owned();
        return Err(FlattenError { is_too_deep: false, message });
    }
    path.clear();
    let mut out = Out { record, names, path, previous: None, depth: 0, is_too_deep: false };
    let mut parser = serde_json::Deserializer::from_str(text);
    let parsed =
        Value { out: &mut out, item: None }.deserialize(&mut parser).and_then(|()| parser.end());
    let is_too_deep = out.is_too_deep;
    parsed.map_err(|error| FlattenError { is_too_deep, message: error.to_string() })
}

struct Out<'a> {
    record: &'a mut Record,
    names: &'a mut Names,
    path: &'a mut String,
    previous: Option<u32>,
    depth: usize,
    is_too_deep: bool,
}

impl Out<'_> {
    fn field(&mut self) -> Option<u32> {
        let field = self.names.intern_after(self.previous, self.path.as_str())?;
        self.previous = Some(field);
        Some(field)
    }

    fn push(&mut self, value: &str) {
        if let Some(field) = self.field() {
            // What stands as `\u0000` in the text was not there to be taken out of it.
            let mut removed = 0;
            self.record.push_with(field, |text| removed = push_clean(value, text));
            self.names.count_removed(removed);
        }
    }

    fn push_number(&mut self, value: impl Display) {
        if let Some(field) = self.field() {
            self.record.push_with(field, |text| {
                write!(text, "{value}").expect("writing to a String does not fail");
            });
        }
    }

    fn enter<E: Error>(&mut self, item: Option<usize>) -> Result<(), E> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            self.is_too_deep = true;
            return Err(E::custom(format_args!("more than {MAX_DEPTH} levels")));
        }
        if let Some(item) = item {
            write!(self.path, "[{item}]").expect("writing to a String does not fail");
        }
        Ok(())
    }
}

/// A value at the current path; `item`: its place when it is in a list.
struct Value<'o, 'a> {
    out: &'o mut Out<'a>,
    item: Option<usize>,
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.out.push(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.out.push_number(value);
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.out.push_number(value);
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.out.push_number(value);
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.out.push(value);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let out = self.out;
        out.enter::<A::Error>(self.item)?;
        let mark = out.path.len();
        while map.next_key_seed(Key { path: &mut *out.path })?.is_some() {
            map.next_value_seed(Value { out: &mut *out, item: None })?;
            out.path.truncate(mark);
        }
        out.depth -= 1;
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let out = self.out;
        out.enter::<A::Error>(self.item)?;
        let mark = out.path.len();
        let mut item = 0;
        while items.next_element_seed(Value { out: &mut *out, item: Some(item) })?.is_some() {
            out.path.truncate(mark);
            item += 1;
        }
        out.depth -= 1;
        Ok(())
    }
}

/// A key: adds itself to the path.
struct Key<'p> {
    path: &'p mut String,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        if !self.path.is_empty() {
            self.path.push('.');
        }
        push_clean(key, self.path);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Result<Vec<(String, String)>, FlattenError> {
        let (mut names, mut record) = (Names::default(), Record::default());
        flatten(text, &mut record, &mut names, &mut String::new())?;
        Ok(record.all().map(|(f, v)| (names.name(f).to_owned(), v.to_owned())).collect())
    }

    #[test]
    fn paths_have_dots_and_places() {
        let text = r#"{"id": 7, "p": {"eur": 12.90, "n": null, "ok": true}, "tags": ["a", "b\n", ""],
            "v": [{"sku": "x"}, {"sku": "y"}], "big": 18446744073709551615, "neg": -1}"#;
        let values = values(text).unwrap();
        let pairs: Vec<_> = values.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let expected = [
            ("id", "7"),
            ("p.eur", "12.9"),
            ("p.ok", "true"),
            ("tags", "a"),
            ("tags", "b"),
            ("v[0].sku", "x"),
            ("v[1].sku", "y"),
            ("big", "18446744073709551615"),
            ("neg", "-1"),
        ];
        assert_eq!(pairs, expected);
    }

    #[test]
    fn control_characters_do_not_hide_in_escapes() {
        let values = values(r#"{"a\u0000b": "x\u0001y\n", "c": "\u0000"}"#).unwrap();
        assert_eq!(values, [("ab".to_owned(), "xy".to_owned())]);
    }

    #[test]
    fn what_is_no_object_or_too_deep_is_refused() {
        assert!(values("[1]").is_err());
        assert!(values("{\"a\": }").is_err());
        assert!(values("{} {}").is_err());
        let deep = format!("{}1{}", "{\"a\":".repeat(65), "}".repeat(65));
        assert!(values(&deep).unwrap_err().is_too_deep);
        let fits = format!("{}1{}", "{\"a\":".repeat(64), "}".repeat(64));
        assert!(values(&fits).is_ok());
    }
}
