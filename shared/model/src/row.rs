//! One product, mapped to the table's columns, in memory that is used again for the next one.

use crate::columns::{self, COLUMNS, ColumnId, ColumnType};

mod content_hash;
mod source_values;

/// A place in the row's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Null,
    Text(Span),
    Integer(i64),
    Boolean(bool),
    /// Places `start..end` in `lists`.
    List(Span),
}

/// A product's values by column. Cheap to clear and fill again: one text buffer holds all text.
#[derive(Debug, Clone)]
pub struct Row {
    text: String,
    slots: Vec<Slot>,
    lists: Vec<Span>,
    extra: Vec<(Span, Span)>,
    /// What the pipe's own source says of columns that a supplement has filled, in the columns' order.
    source_values: Vec<(ColumnId, Span)>,
    source_hash: Option<u128>,
}

/// A value of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueRef<'a> {
    /// Nothing.
    Null,
    /// Of a [`ColumnType::Text`] column.
    Text(&'a str),
    /// Of an integer column, a decimal one (in ten-thousandths) or a timestamp (in microseconds).
    Integer(i64),
    /// Of a boolean column.
    Boolean(bool),
    /// Of a list column: its number of items; [`Row::list`] has them.
    List(usize),
}

impl Default for Row {
    fn default() -> Self {
        Self::new()
    }
}

impl Row {
    /// A row in which every column is null.
    pub fn new() -> Self {
        Self {
            text: String::with_capacity(2048),
            slots: vec![Slot::Null; COLUMNS.len()],
            lists: Vec::new(),
            extra: Vec::new(),
            source_values: Vec::new(),
            source_hash: None,
        }
    }

    /// Makes every column null again and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.slots.fill(Slot::Null);
        self.lists.clear();
        self.extra.clear();
        self.source_values.clear();
        self.source_hash = None;
    }

    /// Sets the hash of the record that the row is made of; see [`columns::SOURCE_HASH`].
    pub fn set_source_hash(&mut self, hash: Option<u128>) {
        self.source_hash = hash;
    }

    /// The hash of the record that the row is made of.
    pub fn source_hash(&self) -> Option<u128> {
        self.source_hash
    }

    #[inline]
    fn push(&mut self, text: &str) -> Span {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        Span { start, end: self.text.len() as u32 }
    }

    fn slice(&self, span: Span) -> &str {
        &self.text[span.start as usize..span.end as usize]
    }

    fn slot(&self, column: ColumnId) -> Slot {
        self.slots[usize::from(column.0)]
    }

    #[inline]
    fn set(&mut self, column: ColumnId, slot: Slot) {
        self.slots[usize::from(column.0)] = slot;
    }

    /// Sets a text column. Empty text is null: feeds write "nothing" in both ways.
    #[inline]
    pub fn set_text(&mut self, column: ColumnId, text: &str) {
        debug_assert_eq!(column.column().kind, ColumnType::Text);
        let slot = if text.is_empty() { Slot::Null } else { Slot::Text(self.push(text)) };
        self.set(column, slot);
    }

    /// Takes over a text that has values of text columns in it: [`Row::set_adopted`] says where. The row must have been
    /// cleared.
    #[inline]
    pub fn adopt(&mut self, text: &str) {
        debug_assert!(self.text.is_empty());
        self.text.push_str(text);
    }

    /// Sets a text column to a part of the text that the row took over. None of it is null.
    ///
    /// # Panics
    ///
    /// The row's values cannot be read where it is no part of the text, or cuts a character.
    #[inline]
    pub fn set_adopted(&mut self, column: ColumnId, start: u32, end: u32) {
        debug_assert_eq!(column.column().kind, ColumnType::Text);
        debug_assert!(self.text.get(start as usize..end as usize).is_some());
        let slot = if start == end { Slot::Null } else { Slot::Text(Span { start, end }) };
        self.set(column, slot);
    }

    /// Sets an integer column.
    pub fn set_integer(&mut self, column: ColumnId, value: i64) {
        debug_assert_eq!(column.column().kind, ColumnType::Integer);
        self.set(column, Slot::Integer(value));
    }

    /// Sets a decimal column to a number of ten-thousandths.
    pub fn set_decimal(&mut self, column: ColumnId, ten_thousandths: i64) {
        debug_assert_eq!(column.column().kind, ColumnType::Decimal);
        self.set(column, Slot::Integer(ten_thousandths));
    }

    /// Sets a timestamp column, in microseconds since the epoch, UTC.
    pub fn set_timestamp(&mut self, column: ColumnId, micros: i64) {
        debug_assert_eq!(column.column().kind, ColumnType::Timestamp);
        self.set(column, Slot::Integer(micros));
    }

    /// Sets a boolean column.
    pub fn set_boolean(&mut self, column: ColumnId, value: bool) {
        debug_assert_eq!(column.column().kind, ColumnType::Boolean);
        self.set(column, Slot::Boolean(value));
    }

    /// Sets a list column to the items that are not empty. No items is null.
    pub fn set_list<'a>(&mut self, column: ColumnId, items: impl IntoIterator<Item = &'a str>) {
        debug_assert_eq!(column.column().kind, ColumnType::TextList);
        let start = self.lists.len() as u32;
        for item in items.into_iter().filter(|item| !item.is_empty()) {
            let span = self.push(item);
            self.lists.push(span);
        }
        let end = self.lists.len() as u32;
        self.set(column, if start == end { Slot::Null } else { Slot::List(Span { start, end }) });
    }

    /// Adds an item to a list column, behind those that it has. Empty ones are nothing.
    pub fn push_item(&mut self, column: ColumnId, item: &str) {
        debug_assert_eq!(column.column().kind, ColumnType::TextList);
        if item.is_empty() {
            return;
        }
        let end = self.lists.len() as u32;
        let start = match self.slot(column) {
            Slot::List(own) if own.end == end => own.start,
            Slot::List(own) => {
                // Another list was filled since; a list's items are side by side.
                self.lists.extend_from_within(own.start as usize..own.end as usize);
                end
            }
            _ => end,
        };
        let span = self.push(item);
        self.lists.push(span);
        self.set(column, Slot::List(Span { start, end: self.lists.len() as u32 }));
    }

    /// Keeps a field that no column is for. A name given twice keeps both values; empty values are dropped.
    pub fn push_extra(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            let name = self.push(name);
            let value = self.push(value);
            self.extra.push((name, value));
        }
    }

    /// Puts the extra fields in order of their names, and joins values of one name by a line feed. The map
    /// column must not have a key twice, and the content hash must not depend on the partner's order.
    pub fn settle_extra(&mut self) {
        let text = &self.text;
        let of = |s: &Span| &text[s.start as usize..s.end as usize];
        self.extra.sort_by(|a, b| (of(&a.0), of(&a.1)).cmp(&(of(&b.0), of(&b.1))));
        let repeats = self.extra.windows(2).any(|pair| of(&pair[0].0) == of(&pair[1].0));
        if !repeats {
            return;
        }
        let mut merged: Vec<(String, String)> = Vec::new();
        for (name, value) in self.extras() {
            match merged.last_mut().filter(|(last, _)| last == name) {
                Some((_, joined)) => {
                    joined.push('\n');
                    joined.push_str(value);
                }
                None => merged.push((name.to_owned(), value.to_owned())),
            }
        }
        self.extra.clear();
        for (name, value) in merged {
            self.push_extra(&name, &value);
        }
    }

    /// The value of a column.
    pub fn get(&self, column: ColumnId) -> ValueRef<'_> {
        match self.slot(column) {
            Slot::Null => ValueRef::Null,
            Slot::Text(span) => ValueRef::Text(self.slice(span)),
            Slot::Integer(value) => ValueRef::Integer(value),
            Slot::Boolean(value) => ValueRef::Boolean(value),
            Slot::List(span) => ValueRef::List((span.end - span.start) as usize),
        }
    }

    /// A text column's value.
    pub fn text(&self, column: ColumnId) -> Option<&str> {
        match self.slot(column) {
            Slot::Text(span) => Some(self.slice(span)),
            _ => None,
        }
    }

    /// A list column's items; none when it is null.
    pub fn list(&self, column: ColumnId) -> impl Iterator<Item = &str> {
        let span = match self.slot(column) {
            Slot::List(span) => span,
            _ => Span { start: 0, end: 0 },
        };
        self.lists[span.start as usize..span.end as usize].iter().map(|&item| self.slice(item))
    }

    /// The extra fields.
    pub fn extras(&self) -> impl Iterator<Item = (&str, &str)> {
        self.extra.iter().map(|&(name, value)| (self.slice(name), self.slice(value)))
    }

    /// The product's id; empty when the row has none yet.
    pub fn id(&self) -> &str {
        self.text(columns::ID).unwrap_or_default()
    }

    /// Every picture address of the row: the main one first.
    pub fn image_links(&self) -> impl Iterator<Item = &str> {
        self.text(columns::IMAGE_LINK).into_iter().chain(self.list(columns::ADDITIONAL_IMAGE_LINKS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_gives_back_what_was_set() {
        let mut row = Row::new();
        row.set_text(columns::ID, "42");
        row.set_text(columns::TITLE, "");
        row.set_decimal(columns::PRICE, 150_000);
        row.set_list(columns::SEARCH_TAG, ["a", "", "b"]);
        assert_eq!(row.id(), "42");
        assert_eq!(row.get(columns::TITLE), ValueRef::Null);
        assert_eq!(row.get(columns::PRICE), ValueRef::Integer(150_000));
        assert_eq!(row.list(columns::SEARCH_TAG).collect::<Vec<_>>(), ["a", "b"]);
        row.clear();
        assert_eq!(row.get(columns::PRICE), ValueRef::Null);
        assert_eq!(row.list(columns::SEARCH_TAG).count(), 0);
    }

    #[test]
    fn parts_of_a_text_are_values() {
        let mut row = Row::new();
        row.adopt("42,가 b,");
        row.set_text(columns::LINK, "x");
        row.set_adopted(columns::ID, 0, 2);
        row.set_adopted(columns::TITLE, 3, 8);
        row.set_adopted(columns::BRAND, 9, 9);
        assert_eq!((row.id(), row.text(columns::TITLE)), ("42", Some("가 b")));
        assert_eq!((row.text(columns::LINK), row.text(columns::BRAND)), (Some("x"), None));
        let mut same = Row::new();
        for column in [columns::TITLE, columns::ID, columns::LINK] {
            same.set_text(column, row.text(column).unwrap());
        }
        assert_eq!(row.content_hash(&mut Vec::new()), same.content_hash(&mut Vec::new()));
        row.clear();
        row.adopt("");
    }

    #[test]
    fn lists_can_be_filled_by_turns() {
        let (tags, details) = (columns::SEARCH_TAG, columns::PRODUCT_DETAIL);
        let mut row = Row::new();
        row.push_item(tags, "");
        assert_eq!(row.get(tags), ValueRef::Null);
        row.push_item(tags, "a");
        row.push_item(tags, "b");
        row.push_item(details, "x");
        row.push_item(tags, "c");
        row.push_item(details, "y");
        assert_eq!(row.list(tags).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(row.list(details).collect::<Vec<_>>(), ["x", "y"]);
        row.set_list(tags, []);
        assert_eq!((row.get(tags), row.get(details)), (ValueRef::Null, ValueRef::List(2)));
    }

    #[test]
    fn an_extra_name_given_twice_is_one_key() {
        let mut row = Row::new();
        row.push_extra("b", "2");
        row.push_extra("a", "x");
        row.push_extra("b", "1");
        row.settle_extra();
        assert_eq!(row.extras().collect::<Vec<_>>(), [("a", "x"), ("b", "1\n2")]);
    }
}
