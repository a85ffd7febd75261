//! The record between the readers of formats and the mapping: values by field number.
//!
//! Names are looked up once a feed (headers) or once a new name (XML, JSON); after that a field is a
//! number, and the mapping indexes by it.

use crate::diagnostics::RefusalReason;
use crate::split::Cell;
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

/// Where a value is in the record's text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// Whether there is no value.
    pub(crate) fn is_empty(self) -> bool {
        self.start >= self.end
    }
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
    /// Of a line of cells: by field number, the one value of each; there are no others then. Half the work for records that
    /// have nothing more to them.
    cells: Vec<Span>,
    /// How many of the cells have a value.
    filled: usize,
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
        self.cells.clear();
        self.filled = 0;
        self.text.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty() && self.filled == 0
    }

    /// Fills the record, which is empty, with the cells of a line: those of the fields 0, 1, 2 and so on.
    pub(crate) fn fill_cells(
        &mut self,
        line: &str,
        cells: &[Cell],
        unescape: impl Fn(&str, &mut String),
    ) {
        let Self { text, cells: spans, .. } = self;
        // A line of blank cells may have been there.
        text.clear();
        spans.clear();
        text.push_str(line);
        let mut filled = 0;
        spans.extend(cells.iter().map(|cell| {
            let span = if cell.is_escaped {
                let start = text.len();
                unescape(&line[cell.start..cell.end], text);
                trimmed_span(text, start, text.len())
            } else {
                trimmed_span(line, cell.start, cell.end)
            };
            filled += usize::from(!span.is_empty());
            span
        }));
        self.filled = filled;
    }

    /// The cells of a line, by field number, in [`Record::text`]; none of a record that is no such line.
    pub(crate) fn cells(&self) -> &[Span] {
        &self.cells
    }

    /// The text that cells are in.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Makes values of the cells, so that others can join them.
    #[cold]
    fn link_cells(&mut self) {
        let mut cells = std::mem::take(&mut self.cells);
        self.filled = 0;
        for (field, cell) in (0..).zip(cells.drain(..)).filter(|(_, cell)| !cell.is_empty()) {
            self.link(field, cell.start as usize, cell.end as usize, false);
        }
        self.cells = cells;
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
        for (field, text) in self.all() {
            out.extend_from_slice(names.name(field).as_bytes());
            out.push(0);
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.values.len() + self.filled
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
        let span = trimmed_span(&self.text, start, end);
        if !span.is_empty() {
            self.link(field, span.start as usize, span.end as usize, preferred);
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
        if !self.cells.is_empty() {
            self.link_cells();
        }
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

    /// The value of a cell.
    pub(crate) fn cell_text(&self, cell: Span) -> &str {
        &self.text[cell.start as usize..cell.end as usize]
    }

    /// The value of a field that is in a cell.
    fn cell(&self, field: u32) -> Option<&str> {
        let cell = self.cells.get(field as usize).filter(|cell| !cell.is_empty());
        cell.map(|cell| self.cell_text(*cell))
    }

    fn first_place(&self, field: u32) -> Option<u32> {
        self.ends.get(field as usize).map(|ends| ends.first).filter(|place| *place != NONE)
    }

    /// A field's first value.
    pub(crate) fn first(&self, field: u32) -> Option<&str> {
        let linked = || self.first_place(field).map(|place| &self.values[place as usize]);
        self.cell(field).or_else(|| linked().map(|value| self.slice(value)))
    }

    /// Whether a field has a value.
    pub(crate) fn has(&self, field: u32) -> bool {
        self.cell(field).is_some() || self.first_place(field).is_some()
    }

    /// A field's value, where it has one and no more.
    pub(crate) fn lone(&self, field: u32) -> Lone<'_> {
        match self.ends.get(field as usize) {
            Some(ends) if ends.first == NONE => self.cell(field).map_or(Lone::None, Lone::One),
            Some(ends) if ends.first == ends.last => {
                Lone::One(self.slice(&self.values[ends.first as usize]))
            }
            Some(_) => Lone::Several,
            None => self.cell(field).map_or(Lone::None, Lone::One),
        }
    }

    /// Whether a field has one value and no more.
    pub(crate) fn is_single(&self, field: u32) -> bool {
        matches!(self.lone(field), Lone::One(_))
    }

    /// Whether a field had a value when the record had this many.
    pub(crate) fn had(&self, field: u32, values: usize) -> bool {
        self.cell(field).is_some()
            || self.first_place(field).is_some_and(|place| (place as usize) < values)
    }

    /// A field's values.
    pub(crate) fn values(&self, field: u32) -> impl Iterator<Item = &str> {
        let mut place = self.first_place(field);
        let linked = std::iter::from_fn(move || {
            let value = &self.values[place? as usize];
            place = Some(value.next).filter(|next| *next != NONE);
            Some(self.slice(value))
        });
        self.cell(field).into_iter().chain(linked)
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
        let cells = (0..).zip(&self.cells).filter(|(_, cell)| !cell.is_empty());
        let cells = cells.map(|(field, cell)| (field, self.cell_text(*cell)));
        let values = self.values.iter().map(|value| (value.field, self.slice(value)));
        cells.chain(values).filter(move |(field, _)| is_wanted(*field))
    }
}

/// Where a part of a text is without white space around it.
#[inline(always)]
fn trimmed_span(text: &str, start: usize, end: usize) -> Span {
    let bytes = text.as_bytes();
    let is_solid_at = |place: usize| bytes.get(place).is_some_and(|byte| is_solid(*byte));
    // ASCII at both ends: they are ends of characters too. No `&&`: about every other cell is empty, and nobody can guess
    // which.
    if (start >= end) | (is_solid_at(start) & is_solid_at(end.wrapping_sub(1))) {
        return Span { start: start as u32, end: end as u32 };
    }
    trim_span(text, start, end)
}

#[inline(never)]
fn trim_span(text: &str, start: usize, end: usize) -> Span {
    let whole = &text[start..end];
    let rest = whole.trim_start();
    let start = start + whole.len() - rest.len();
    Span { start: start as u32, end: (start + rest.trim_end().len()) as u32 }
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

    #[test]
    fn cells_of_a_line_are_values_and_others_may_join_them() {
        let line = " a,,\"b\"\"\",\u{a0}";
        let cell = |start, end, is_escaped| Cell { start, end, is_escaped, is_mended: false };
        let cells = [cell(0, 2, false), cell(3, 3, false), cell(4, 9, true), cell(10, 12, false)];
        let unescape = |raw: &str, out: &mut String| {
            assert_eq!(raw, "\"b\"\"\"");
            out.push_str("b\" ");
        };
        let mut record = Record::default();
        record.fill_cells(" ", &[cell(0, 1, false)], unescape);
        assert!(record.is_empty());
        record.fill_cells(line, &cells, unescape);
        let filled = [(0, "a"), (2, "b\"")];
        assert_eq!(record.all().collect::<Vec<_>>(), filled);
        assert_eq!((record.len(), record.is_empty()), (2, false));
        let fields = [0, 1, 2, 3, 9];
        assert_eq!(
            fields.map(|field| record.first(field)),
            [Some("a"), None, Some("b\""), None, None]
        );
        assert_eq!(fields.map(|field| record.has(field)), [true, false, true, false, false]);
        assert_eq!(fields.map(|field| record.values(field).count()), [1, 0, 1, 0, 0]);
        assert_eq!((record.lone(2), record.lone(3)), (Lone::One("b\""), Lone::None));
        assert!(record.is_single(0) && !record.is_single(1));
        record.push(5, "c");
        record.push(0, "d");
        assert_eq!(record.all().collect::<Vec<_>>(), [(0, "a"), (2, "b\""), (5, "c"), (0, "d")]);
        assert_eq!((record.lone(0), record.lone(2)), (Lone::Several, Lone::One("b\"")));
        record.clear();
        assert!(record.is_empty() && record.cells().is_empty());
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
