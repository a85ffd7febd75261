//! The record between the readers of formats and the mapping: values by field number.
//!
//! Names are looked up once a feed (headers) or once a new name (XML, JSON); after that a field is a
//! number, and the mapping indexes by it.

use crate::diagnostics::RefusalReason;
use std::ops::Range;

pub(crate) use crate::names::Names;

/// Characters of a mended value that are kept: as many as a diagnostic shows.
const MEND_CHARS: usize = 200;
/// No place, no field.
const NONE: u32 = u32::MAX;

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

/// What a field has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lone<'r> {
    /// Nothing.
    None,
    /// One value.
    One(&'r str),
    /// More than one.
    Several,
}

/// Something of a record that was mended.
#[derive(Debug, Clone)]
pub(crate) struct Mend {
    pub(crate) reason: RefusalReason,
    pub(crate) count: u64,
    /// The field, where it is of one.
    pub(crate) field: String,
    pub(crate) value: String,
}

/// One record's values. All are trimmed, none is empty; a field may have several. Memory is used again.
#[derive(Debug, Default, Clone)]
pub(crate) struct Record {
    text: String,
    values: Vec<Value>,
    /// By field number.
    ends: Vec<Ends>,
    /// What was mended in it; nothing, for most.
    mends: Vec<Mend>,
}

impl Record {
    pub(crate) fn clear(&mut self) {
        self.mends.clear();
        for value in &self.values {
            self.ends[value.field as usize] = Ends::NONE;
        }
        self.values.clear();
        self.text.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Notes that something was mended. Of one reason, the first counts and shows.
    pub(crate) fn mend(&mut self, reason: RefusalReason, field: &str, value: &str) {
        if let Some(known) = self.mends.iter_mut().find(|mend| mend.reason == reason) {
            known.count += 1;
            return;
        }
        let value = value.chars().take(MEND_CHARS).collect();
        self.mends.push(Mend { reason, count: 1, field: field.to_owned(), value });
    }

    /// What was mended.
    pub(crate) fn mends(&self) -> &[Mend] {
        &self.mends
    }

    /// Notes what was mended in a record that this one is made of.
    pub(crate) fn take_mends(&mut self, other: &Record) {
        self.mends.extend_from_slice(&other.mends);
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

    /// Bytes of text.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Adds the values of another record's member: `members` are the places of their own values there, one
    /// behind the other; what comes before and after them is common to all.
    pub(crate) fn copy_member(&mut self, whole: &Record, members: &[Range<usize>], member: usize) {
        let start = members.first().map_or(0, |first| first.start);
        let end = members.last().map_or(0, |last| last.end);
        let own = members.get(member).cloned().unwrap_or_default();
        for range in [0..start, own, end..whole.values.len()] {
            for value in &whole.values[range] {
                self.push(value.field, whole.slice(value));
            }
        }
    }

    /// Adds text that is not a value yet; gives where it begins. For [`Record::push_span`].
    pub(crate) fn append(&mut self, text: &str) -> usize {
        let start = self.text.len();
        self.text.push_str(text);
        start
    }

    /// Adds a value that lies in the text already.
    #[inline(always)]
    pub(crate) fn push_span(&mut self, field: u32, start: usize, end: usize) {
        self.push_trimmed(field, start, end, false);
    }

    /// As [`Record::push_span`], for a value that comes before the field's values that were added by other calls.
    pub(crate) fn push_preferred_span(&mut self, field: u32, start: usize, end: usize) {
        self.push_trimmed(field, start, end, true);
    }

    #[inline(always)]
    fn push_trimmed(&mut self, field: u32, start: usize, end: usize, preferred: bool) {
        if start >= end {
            return;
        }
        let bytes = self.text.as_bytes();
        // ASCII at both ends: they are ends of characters too.
        if is_solid(bytes[start]) && is_solid(bytes[end - 1]) {
            return self.link(field, start, end, preferred);
        }
        self.trim_and_link(field, start, end, preferred);
    }

    #[inline(never)]
    fn trim_and_link(&mut self, field: u32, start: usize, end: usize, preferred: bool) {
        let whole = &self.text[start..end];
        let rest = whole.trim_start();
        let start = start + whole.len() - rest.len();
        let end = start + rest.trim_end().len();
        if start < end {
            self.link(field, start, end, preferred);
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

    #[inline(always)]
    fn link(&mut self, field: u32, start: usize, end: usize, preferred: bool) {
        let place = self.values.len() as u32;
        let next = match self.ends.get_mut(field as usize) {
            Some(ends) if ends.first == NONE => {
                *ends = Ends { first: place, last: place };
                NONE
            }
            _ => self.next_of_further(field, place, preferred),
        };
        self.values.push(Value { field, start: start as u32, end: end as u32, next, preferred });
    }

    /// What comes after a value at `place` of a field that is new, or has values.
    #[inline(never)]
    fn next_of_further(&mut self, field: u32, place: u32, preferred: bool) -> u32 {
        if self.ends.len() <= field as usize {
            self.ends.resize(field as usize + 1, Ends::NONE);
        }
        let ends = &mut self.ends[field as usize];
        if ends.first == NONE {
            *ends = Ends { first: place, last: place };
        } else if preferred && !self.values[ends.first as usize].preferred {
            return std::mem::replace(&mut ends.first, place);
        } else {
            self.values[ends.last as usize].next = place;
            ends.last = place;
        }
        NONE
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

    /// Whether a field has a value.
    pub(crate) fn has(&self, field: u32) -> bool {
        self.first_place(field).is_some()
    }

    /// A field's value, where it has one and no more.
    pub(crate) fn lone(&self, field: u32) -> Lone<'_> {
        match self.ends.get(field as usize) {
            Some(ends) if ends.first == NONE => Lone::None,
            Some(ends) if ends.first == ends.last => {
                Lone::One(self.slice(&self.values[ends.first as usize]))
            }
            Some(_) => Lone::Several,
            None => Lone::None,
        }
    }

    /// Whether a field has one value and no more.
    pub(crate) fn is_single(&self, field: u32) -> bool {
        let ends = self.ends.get(field as usize);
        ends.is_some_and(|ends| ends.first != NONE && ends.first == ends.last)
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
        self.all_of(|_| true)
    }

    /// As [`Record::all`], but only of the fields that are wanted.
    pub(crate) fn all_of(
        &self,
        is_wanted: impl Fn(u32) -> bool,
    ) -> impl Iterator<Item = (u32, &str)> {
        let values = self.values.iter().filter(move |value| is_wanted(value.field));
        values.map(|value| (value.field, self.slice(value)))
    }
}

/// A text without white space around it.
pub(crate) fn trimmed(text: &str) -> &str {
    match text.as_bytes() {
        [only] if is_solid(*only) => text,
        [first, .., last] if is_solid(*first) && is_solid(*last) => text,
        _ => text.trim(),
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
        let lone = [3, 0, 99].map(|field| record.lone(field));
        assert_eq!(lone, [Lone::Several, Lone::None, Lone::None]);
        record.clear();
        assert_eq!(record.first(3), None);
        record.push(3, "x");
        assert_eq!((record.first(3), record.lone(3)), (Some("x"), Lone::One("x")));
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

    proptest::proptest! {
        #[test]
        fn values_are_trimmed_as_text_is(text in "[ a\\t\u{a0}가]{0,6}") {
            let mut record = Record::default();
            let start = record.append("x ");
            record.append(&text);
            record.push_span(0, start + 2, start + 2 + text.len());
            let expected = Some(text.trim()).filter(|value| !value.is_empty());
            proptest::prop_assert_eq!(record.first(0), expected);
            proptest::prop_assert_eq!(trimmed(&text), text.trim());
        }
    }
}
