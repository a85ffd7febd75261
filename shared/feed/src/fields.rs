//! The record between the readers of formats and the mapping: values by field number.
//!
//! Names are looked up once a feed (headers) or once a new name (XML, JSON); after that a field is a
//! number, and the mapping indexes by it.

use std::collections::HashMap;

/// Different field names that one feed may have. Arrays of objects make names without end.
const MAX_NAMES: usize = 10_000;
/// Bytes of a field name.
const MAX_NAME_BYTES: usize = 512;
/// No place, no field.
const NONE: u32 = u32::MAX;

/// The names of a feed's fields, numbered in the order in which they first occur.
#[derive(Debug, Default)]
pub(crate) struct Names {
    names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
    /// By field number plus one: the field that came after it the last time; records repeat themselves.
    followers: Vec<u32>,
    turned_away: u64,
    /// Control characters taken out of values.
    removed: u64,
}

impl Names {
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn name(&self, field: u32) -> &str {
        &self.names[field as usize]
    }

    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Values dropped because there are too many names, or a name is too long.
    pub(crate) fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// Control characters taken out of values.
    pub(crate) fn removed(&self) -> u64 {
        self.removed
    }

    /// Counts control characters taken out of a value.
    pub(crate) fn count_removed(&mut self, characters: u64) {
        self.removed += characters;
    }

    /// The number of a name, which is new or known. None when the feed has too many.
    pub(crate) fn intern(&mut self, name: &str) -> Option<u32> {
        if let Some(field) = self.find(name) {
            return Some(field);
        }
        if self.names.len() >= MAX_NAMES || name.len() > MAX_NAME_BYTES {
            self.turned_away += 1;
            return None;
        }
        let field = self.names.len() as u32;
        self.names.push(name.into());
        self.numbers.insert(name.into(), field);
        Some(field)
    }

    /// As [`Names::intern`], and without hashing where the name follows `previous` as it did before.
    pub(crate) fn intern_after(&mut self, previous: Option<u32>, name: &str) -> Option<u32> {
        let place = previous.map_or(0, |field| field as usize + 1);
        if let Some(&guess) = self.followers.get(place)
            && guess != NONE
            && self.name(guess) == name
        {
            return Some(guess);
        }
        let field = self.intern(name)?;
        if self.followers.len() <= place {
            self.followers.resize(place + 1, NONE);
        }
        self.followers[place] = field;
        Some(field)
    }
}

#[derive(Debug, Clone, Copy)]
struct Value {
    field: u32,
    start: u32,
    end: u32,
    /// The next value of the same field, by its place.
    next: u32,
    preferred: bool,
}

#[derive(Debug, Clone, Copy)]
struct Ends {
    first: u32,
    last: u32,
}

impl Ends {
    const NONE: Self = Self { first: NONE, last: NONE };
}

/// One record's values. All are trimmed, none is empty; a field may have several. Memory is used again.
#[derive(Debug, Default, Clone)]
pub(crate) struct Record {
    text: String,
    values: Vec<Value>,
    /// By field number.
    ends: Vec<Ends>,
}

impl Record {
    pub(crate) fn clear(&mut self) {
        for value in &self.values {
            self.ends[value.field as usize] = Ends::NONE;
        }
        self.values.clear();
        self.text.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Writes the record as bytes that are the same for the same fields and values in the same order.
    pub(crate) fn describe(&self, names: &Names, out: &mut Vec<u8>) {
        out.clear();
        for value in &self.values {
            let text = self.slice(value);
            out.extend_from_slice(names.name(value.field).as_bytes());
            out.push(0);
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Adds text that is not a value yet; gives where it begins. For [`Record::push_span`].
    pub(crate) fn append(&mut self, text: &str) -> usize {
        let start = self.text.len();
        self.text.push_str(text);
        start
    }

    /// Adds a value that lies in the text already.
    pub(crate) fn push_span(&mut self, field: u32, start: usize, end: usize) {
        let whole = &self.text[start..end];
        let (start, end) = match whole.as_bytes() {
            [] => return,
            [first, .., last] if is_solid(*first) && is_solid(*last) => (start, end),
            _ => {
                let rest = whole.trim_start();
                let start = start + whole.len() - rest.len();
                (start, start + rest.trim_end().len())
            }
        };
        if start < end {
            self.link(field, start, end, false);
        }
    }

    /// Adds a value.
    pub(crate) fn push(&mut self, field: u32, value: &str) {
        self.push_with(field, |text| text.push_str(value));
    }

    /// Adds the value that `write` appends to the text.
    pub(crate) fn push_with(&mut self, field: u32, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(&mut self.text);
        self.push_span(field, start, self.text.len());
    }

    /// Adds a value that comes before the field's values that were added by other calls.
    pub(crate) fn push_preferred(&mut self, field: u32, value: &str) {
        let value = value.trim();
        if !value.is_empty() {
            let start = self.append(value);
            self.link(field, start, self.text.len(), true);
        }
    }

    fn link(&mut self, field: u32, start: usize, end: usize, preferred: bool) {
        let place = self.values.len() as u32;
        if self.ends.len() <= field as usize {
            self.ends.resize(field as usize + 1, Ends::NONE);
        }
        let ends = &mut self.ends[field as usize];
        let mut next = NONE;
        if ends.first == NONE {
            *ends = Ends { first: place, last: place };
        } else if preferred && !self.values[ends.first as usize].preferred {
            next = ends.first;
            ends.first = place;
        } else {
            self.values[ends.last as usize].next = place;
            ends.last = place;
        }
        self.values.push(Value { field, start: start as u32, end: end as u32, next, preferred });
    }

    fn slice(&self, value: &Value) -> &str {
        &self.text[value.start as usize..value.end as usize]
    }

    fn first_place(&self, field: u32) -> Option<u32> {
        self.ends.get(field as usize).map(|ends| ends.first).filter(|place| *place != NONE)
    }

    /// A field's first value.
    pub(crate) fn first(&self, field: u32) -> Option<&str> {
        self.first_place(field).map(|place| self.slice(&self.values[place as usize]))
    }

    /// Whether a field had a value when the record had this many.
    pub(crate) fn had(&self, field: u32, values: usize) -> bool {
        self.first_place(field).is_some_and(|place| (place as usize) < values)
    }

    /// A field's values.
    pub(crate) fn values(&self, field: u32) -> impl Iterator<Item = &str> {
        let mut place = self.first_place(field);
        std::iter::from_fn(move || {
            let value = &self.values[place? as usize];
            place = Some(value.next).filter(|next| *next != NONE);
            Some(self.slice(value))
        })
    }

    /// Every value with its field, in the order in which they came.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u32, &str)> {
        self.values.iter().map(|value| (value.field, self.slice(value)))
    }
}

/// An ASCII byte that is no white space: the quick way to see that there is nothing to trim.
fn is_solid(byte: u8) -> bool {
    byte > b' ' && byte < 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_trimmed_and_kept_by_field() {
        let mut record = Record::default();
        let start = record.append("  a \u{a0}|b");
        record.push_span(3, start, start + 6);
        record.push(0, "   ");
        record.push(3, "c");
        assert_eq!(record.values(3).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!((record.first(0), record.first(99), record.len()), (None, None, 2));
        record.clear();
        assert_eq!(record.first(3), None);
        record.push(3, "x");
        assert_eq!(record.first(3), Some("x"));
    }

    #[test]
    fn preferred_values_come_first_and_keep_their_order() {
        let mut record = Record::default();
        record.push(0, "plain");
        record.push_preferred(0, "one");
        assert_eq!(record.values(0).collect::<Vec<_>>(), ["one", "plain"]);
        record.clear();
        record.push_preferred(0, "one");
        record.push_preferred(0, "two");
        assert_eq!(record.values(0).collect::<Vec<_>>(), ["one", "two"]);
    }

    #[test]
    fn names_are_numbered_once() {
        let mut names = Names::default();
        for _ in 0..2 {
            let id = names.intern_after(None, "id");
            assert_eq!(id, Some(0));
            assert_eq!(names.intern_after(id, "title"), Some(1));
        }
        assert_eq!(names.intern_after(None, "title"), Some(1));
        assert_eq!((names.len(), names.find("title"), names.find("x")), (2, Some(1), None));
    }

    #[test]
    fn names_without_end_are_turned_away() {
        let mut names = Names::default();
        for number in 0..MAX_NAMES + 5 {
            names.intern(&format!("a[{number}]"));
        }
        assert_eq!((names.len(), names.turned_away()), (MAX_NAMES, 5));
        assert_eq!(names.intern(&"x".repeat(MAX_NAME_BYTES + 1)), None);
    }
}
