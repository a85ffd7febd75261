//! One JSON object as a record: `a.b` for a key in a key, `a[0].b` for an object in a list, the list's own
//! name for plain values in a list.

use crate::clean::push_clean;
use crate::fields::{Names, Record};
use crate::number::push_whole;
use crate::presets::Lists;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt::{self, Write};
use std::ops::Range;

/// Levels of objects and lists.
const MAX_DEPTH: usize = 64;

/// Why an object is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FlattenError {
    pub(crate) is_too_deep: bool,
    pub(crate) message: String,
}

/// The lists of objects whose fields are not told apart by their number, and where in the record the members
/// of the one list are that are products each.
#[derive(Debug, Default)]
pub(crate) struct Members {
    lists: Option<&'static Lists>,
    /// The places of each member's values.
    pub(crate) ranges: Vec<Range<usize>>,
}

impl Members {
    pub(crate) fn new(lists: Option<&'static Lists>) -> Self {
        Self { lists, ranges: Vec::new() }
    }

    fn is_members(&self, path: &str) -> bool {
        self.lists.is_some_and(|lists| lists.members == path)
    }

    fn is_merged(&self, path: &str) -> bool {
        self.is_members(path) || self.lists.is_some_and(|lists| lists.merged.contains(&path))
    }
}

/// Adds the values of the JSON object `text` to `record`. `path` is working memory.
pub(crate) fn flatten(
    text: &str,
    record: &mut Record,
    names: &mut Names,
    path: &mut String,
    members: &mut Members,
) -> Result<(), FlattenError> {
    members.ranges.clear();
    if !text.trim_start().starts_with('{') {
        let message = "this is no JSON object".to_owned();
        return Err(FlattenError { is_too_deep: false, message });
    }
    path.clear();
    let mut out = Out::new(record, names, path, members);
    let mut parser = serde_json::Deserializer::from_str(text);
    let parsed =
        Value { out: &mut out, item: None }.deserialize(&mut parser).and_then(|()| parser.end());
    let is_too_deep = out.is_too_deep;
    parsed.map_err(|error| FlattenError { is_too_deep, message: told(&error) })
}

/// The parser's word. It counts lines from the object's beginning, and the object's own line is told beside it.
fn told(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let place = format!(" at line {line} column {column}");
    match text.strip_suffix(place.as_str()) {
        Some(what) if line == 1 => format!("{what} at column {column} of the record"),
        Some(what) => format!("{what} at line {line}, column {column} of the record"),
        None => text.clone(),
    }
}

/// Adds the values of any JSON text to `record`, as if it were an object that has the text under `name`.
/// False: it is no JSON, and has to be kept as it is. `path` is working memory.
pub(crate) fn flatten_cell(
    text: &str,
    name: &str,
    record: &mut Record,
    names: &mut Names,
    path: &mut String,
) -> bool {
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        return false;
    }
    path.clear();
    path.push_str(name);
    let mut members = Members::default();
    let mut out = Out::new(record, names, path, &mut members);
    let mut parser = serde_json::Deserializer::from_str(text);
    Value { out: &mut out, item: None }.deserialize(&mut parser).is_ok()
}

struct Out<'a> {
    record: &'a mut Record,
    names: &'a mut Names,
    path: &'a mut String,
    members: &'a mut Members,
    previous: Option<u32>,
    depth: usize,
    is_too_deep: bool,
}

impl<'a> Out<'a> {
    fn new(
        record: &'a mut Record,
        names: &'a mut Names,
        path: &'a mut String,
        members: &'a mut Members,
    ) -> Self {
        Self { record, names, path, members, previous: None, depth: 0, is_too_deep: false }
    }

    fn field(&mut self) -> Option<u32> {
        let field = self.names.intern_after(self.previous, self.path.as_str())?;
        self.previous = Some(field);
        Some(field)
    }

    /// Adds a value without control characters.
    fn push(&mut self, value: &str) {
        self.push_with(|text| text.push_str(value));
    }

    /// Adds a value that had escapes: what stands as `\u0000` in the text was not there to be taken out of it.
    fn push_unescaped(&mut self, value: &str) {
        let mut removed = 0;
        self.push_with(|text| removed = push_clean(value, text));
        self.names.count_removed(removed);
    }

    fn push_with(&mut self, write: impl FnOnce(&mut String)) {
        if let Some(field) = self.field() {
            self.record.push_with(field, write);
        }
    }

    fn enter<E: Error>(&mut self, item: Option<usize>) -> Result<(), E> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            self.is_too_deep = true;
            return Err(E::custom(format_args!("more than {MAX_DEPTH} levels")));
        }
        if let Some(item) = item
            && !self.members.is_merged(self.path.as_str())
        {
            self.path.push('[');
            push_whole(item as u64, self.path);
            self.path.push(']');
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
        self.out.push_with(|text| {
            if value < 0 {
                text.push('-');
            }
            push_whole(value.unsigned_abs(), text);
        });
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.out.push_with(|text| push_whole(value, text));
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.out.push_with(|text| {
            write!(text, "{value}").expect("writing to a String does not fail");
        });
        Ok(())
    }

    /// A text as it stands in the JSON: without escapes, and control characters stand there as nothing else.
    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<(), E> {
        self.out.push(value);
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.out.push_unescaped(value);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let out = self.out;
        let is_member = self.item.is_some() && out.members.is_members(out.path.as_str());
        out.enter::<A::Error>(self.item)?;
        let start = out.record.len();
        let mark = out.path.len();
        while map.next_key_seed(Key { path: &mut *out.path })?.is_some() {
            map.next_value_seed(Value { out: &mut *out, item: None })?;
            out.path.truncate(mark);
        }
        if is_member {
            out.members.ranges.push(start..out.record.len());
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

    /// As a value that stands in the JSON as it is.
    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<(), E> {
        begin_key(self.path);
        self.path.push_str(key);
        Ok(())
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        begin_key(self.path);
        push_clean(key, self.path);
        Ok(())
    }
}

/// Separates a key from what the path has already.
fn begin_key(path: &mut String) {
    if !path.is_empty() {
        path.push('.');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Result<Vec<(String, String)>, FlattenError> {
        let (mut names, mut record) = (Names::default(), Record::default());
        flatten(text, &mut record, &mut names, &mut String::new(), &mut Members::default())?;
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

    proptest::proptest! {
        /// A text with escapes in it and one without say the same.
        #[test]
        fn escapes_change_no_value(
            text in "[ -!#-\\[\\]-~가é]{1,12}",
            key in "[a-z가]{1,4}",
            number in proptest::num::i64::ANY,
        ) {
            let units = |text: &str| {
                text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>()
            };
            let plain = format!(r#"{{"{key}": "{text}", "n": {number}}}"#);
            let escaped = format!(r#"{{"{}": "{}", "n": "{number}"}}"#, units(&key), units(&text));
            proptest::prop_assert_eq!(values(&plain), values(&escaped));
        }
    }

    #[test]
    fn control_characters_do_not_hide_in_escapes() {
        let values = values(r#"{"a\u0000b": "x\u0001y\n", "c": "\u0000"}"#).unwrap();
        assert_eq!(values, [("ab".to_owned(), "xy".to_owned())]);
    }

    #[test]
    fn places_are_those_within_the_record() {
        let told = |text: &str| values(text).unwrap_err().message;
        assert_eq!(told("{\"a\": }"), "expected value at column 7 of the record");
        assert_eq!(told("{\n\"a\": }"), "expected value at line 2, column 6 of the record");
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

    #[test]
    fn lists_of_products_have_members() {
        static LISTS: Lists = Lists { members: "variants", merged: &["images"] };
        let text = r#"{"id": 1, "variants": [{"id": 2, "p": {"a": 3}}, {}, {"id": 4}],
            "images": [{"src": "x"}, {"src": "y"}], "others": [{"id": 5}]}"#;
        let (mut names, mut whole) = (Names::default(), Record::default());
        let mut members = Members::new(Some(&LISTS));
        flatten(text, &mut whole, &mut names, &mut String::new(), &mut members).unwrap();
        assert_eq!(members.ranges, [1..3, 3..3, 3..4]);
        let mut record = Record::default();
        record.copy_member(&whole, &members.ranges, 2);
        let values: Vec<_> = record.all().map(|(field, v)| (names.name(field), v)).collect();
        let expected = [
            ("id", "1"),
            ("variants.id", "4"),
            ("images.src", "x"),
            ("images.src", "y"),
            ("others[0].id", "5"),
        ];
        assert_eq!(values, expected);
    }

    #[test]
    fn a_cell_may_be_json() {
        let (mut names, mut record) = (Names::default(), Record::default());
        let mut cell =
            |text| flatten_cell(text, "image", &mut record, &mut names, &mut String::new());
        assert!(cell(r#"[{"url": "u", "tag": ["a", "b"]}]"#) && cell(r#"["v"]"#));
        assert!(!cell("[not JSON]"));
        let values: Vec<_> = record.all().map(|(field, v)| (names.name(field), v)).collect();
        let expected =
            [("image[0].url", "u"), ("image[0].tag", "a"), ("image[0].tag", "b"), ("image", "v")];
        assert_eq!(values, expected);
    }
}
