//! The hash by which a row is found to be as it was before.

use super::{Row, Slot, Span};
use crate::columns::{COLUMNS, ColumnType};
use crate::hash::bytes_hash;

/// Bytes that are copied at once where a text is not longer: quicker than a copy of just its bytes.
const BLOCK_BYTES: usize = 32;
/// A mark and a number, and what a copy of eight bytes writes beyond them.
const MARKED_BYTES: usize = 8;
/// What a value needs at most beside a long text: its name, marks and numbers, and what is copied beyond each.
const ROOM_BYTES: usize = 2 * BLOCK_BYTES + 2 * MARKED_BYTES;

/// By column: its name and the mark of its values, in a block of their own, and the length of both.
static HEADS: [([u8; BLOCK_BYTES], u8); COLUMNS.len()] = heads();

const fn heads() -> [([u8; BLOCK_BYTES], u8); COLUMNS.len()] {
    let mut blocks = [([0; BLOCK_BYTES], 0); COLUMNS.len()];
    let mut column = 0;
    while column < COLUMNS.len() {
        let name = COLUMNS[column].name.as_bytes();
        assert!(name.len() < BLOCK_BYTES, "BLOCK_BYTES must have room for every column's name");
        let mut place = 0;
        while place < name.len() {
            blocks[column].0[place] = name[place];
            place += 1;
        }
        blocks[column].0[place] = match COLUMNS[column].kind {
            ColumnType::Text => 1,
            ColumnType::Integer | ColumnType::Decimal | ColumnType::Timestamp => 2,
            ColumnType::Boolean => 3,
            ColumnType::TextList => 4,
            // Never in a slot.
            ColumnType::Binary | ColumnType::TextMap => 0,
        };
        blocks[column].1 = place as u8 + 1;
        column += 1;
    }
    blocks
}

impl Row {
    /// The hash of all that the source filled, and its supplements, whatever order it came in. Columns are told
    /// apart by name, so that a column added to the schema later changes no row that does not use it. Call
    /// [`Row::settle_extra`] before. `scratch` is working memory, which grows to what the row needs.
    pub fn content_hash(&self, scratch: &mut Vec<u8>) -> u128 {
        let bytes = self.write(scratch);
        bytes_hash(&scratch[..bytes])
    }

    /// Writes what is hashed to the beginning of `scratch`; gives its length.
    fn write(&self, scratch: &mut Vec<u8>) -> usize {
        // The hash is kept in tables: what is written here must stay as it is, to the byte.
        let own = self.text.as_bytes();
        let mut out = Writer { bytes: scratch, at: 0 };
        for (slot, (head, head_bytes)) in self.slots.iter().zip(&HEADS) {
            if *slot == Slot::Null {
                continue;
            }
            out.make_room(0);
            out.block(head, usize::from(*head_bytes));
            match *slot {
                Slot::Null => {}
                Slot::Text(span) => out.counted(own, span),
                Slot::Integer(value) => out.block(&value.to_le_bytes(), 8),
                Slot::Boolean(value) => out.block(&[u8::from(value)], 1),
                Slot::List(list) => {
                    out.block(&(list.end - list.start).to_le_bytes(), 4);
                    for &item in &self.lists[list.start as usize..list.end as usize] {
                        out.make_room(0);
                        out.counted(own, item);
                    }
                }
            }
        }
        for &(name, value) in &self.extra {
            out.make_room(0);
            out.marked(5, name.end - name.start);
            out.span(own, name);
            out.make_room(0);
            out.counted(own, value);
        }
        for &(column, value) in &self.source_values {
            let (head, head_bytes) = &HEADS[usize::from(column.0)];
            let name_bytes = *head_bytes - 1;
            out.make_room(0);
            out.marked(6, u32::from(name_bytes));
            out.block(head, usize::from(name_bytes));
            out.counted(own, value);
        }
        out.at
    }
}

/// Writes one thing behind the other. What follows [`Writer::make_room`] finds its room there: a name's block, a mark with
/// its number, and a short text.
struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
    at: usize,
}

impl Writer<'_> {
    /// Makes room for a value whose text has so many bytes, with all that belongs to it.
    #[inline(always)]
    fn make_room(&mut self, text: usize) {
        let needed = self.at + text + ROOM_BYTES;
        if self.bytes.len() < needed {
            self.grow(needed);
        }
    }

    #[cold]
    fn grow(&mut self, needed: usize) {
        self.bytes.resize(2 * needed, 0);
    }

    /// Writes a block of which so many bytes count.
    #[inline(always)]
    fn block<const BYTES: usize>(&mut self, block: &[u8; BYTES], bytes: usize) {
        self.bytes[self.at..self.at + BYTES].copy_from_slice(block);
        self.at += bytes;
    }

    /// Writes a mark and a number.
    #[inline(always)]
    fn marked(&mut self, mark: u8, number: u32) {
        let both = u64::from(mark) | u64::from(number) << 8;
        self.block::<MARKED_BYTES>(&both.to_le_bytes(), 5);
    }

    /// Writes a text.
    #[inline(always)]
    fn span(&mut self, source: &[u8], span: Span) {
        let (start, bytes) = (span.start as usize, (span.end - span.start) as usize);
        let rest = &source[start..];
        match rest.first_chunk::<BLOCK_BYTES>() {
            Some(block) if bytes <= BLOCK_BYTES => self.block(block, bytes),
            _ => self.long(&rest[..bytes]),
        }
    }

    #[inline(never)]
    fn long(&mut self, text: &[u8]) {
        self.make_room(text.len());
        self.bytes[self.at..self.at + text.len()].copy_from_slice(text);
        self.at += text.len();
    }

    /// Writes the length of a text, and the text.
    #[inline(always)]
    fn counted(&mut self, source: &[u8], span: Span) {
        self.block(&(span.end - span.start).to_le_bytes(), 4);
        self.span(source, span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::{self, ColumnType};
    use crate::{ColumnId, ValueRef};

    fn hash(row: &mut Row) -> u128 {
        row.settle_extra();
        row.content_hash(&mut Vec::new())
    }

    /// What is hashed, written in the plainest way.
    fn written_out(row: &Row) -> Vec<u8> {
        let text = |text: &str| [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
        let mut out = Vec::new();
        for place in 0..COLUMNS.len() {
            let column = ColumnId(place as u16);
            let value = match row.get(column) {
                ValueRef::Null => continue,
                ValueRef::Text(value) => [vec![1], text(value)].concat(),
                ValueRef::Integer(value) => [vec![2], value.to_le_bytes().to_vec()].concat(),
                ValueRef::Boolean(value) => vec![3, u8::from(value)],
                ValueRef::List(items) => {
                    let count = (items as u32).to_le_bytes().to_vec();
                    let items: Vec<u8> = row.list(column).flat_map(text).collect();
                    [vec![4], count, items].concat()
                }
            };
            out.extend_from_slice(column.column().name.as_bytes());
            out.extend_from_slice(&value);
        }
        for (name, value) in row.extras() {
            out.extend([vec![5], text(name), text(value)].concat());
        }
        for (name, value) in row.source_values() {
            out.extend([vec![6], text(name), text(value)].concat());
        }
        out
    }

    #[test]
    fn what_is_hashed_is_the_same_to_the_byte() {
        let long = "가나다 abc ".repeat(20);
        let texts = (0..=long.len()).filter_map(|end| long.get(..end));
        let mut scratch = Vec::new();
        for (number, text) in texts.enumerate() {
            let mut row = Row::new();
            for (place, column) in ColumnId::from_source().enumerate() {
                match column.column().kind {
                    _ if (place + number).is_multiple_of(3) => {}
                    ColumnType::Text => row.set_text(column, text),
                    ColumnType::TextList => row.set_list(column, ["a", text, "가"]),
                    ColumnType::Boolean => row.set_boolean(column, place.is_multiple_of(2)),
                    ColumnType::Integer => row.set_integer(column, number as i64 - 7),
                    ColumnType::Decimal => row.set_decimal(column, number as i64),
                    ColumnType::Timestamp => row.set_timestamp(column, place as i64),
                    ColumnType::Binary | ColumnType::TextMap => {}
                }
            }
            row.push_extra("season", text);
            row.push_extra(text, "winter");
            row.settle_extra();
            row.keep_source_value(columns::TITLE, text);
            row.keep_source_value(columns::PRICE, "1");
            assert_eq!(row.content_hash(&mut scratch), bytes_hash(&written_out(&row)));
            let bytes = row.write(&mut scratch);
            assert_eq!(&scratch[..bytes], written_out(&row));
        }
    }

    #[test]
    fn the_content_hash_ignores_order_and_sees_every_value() {
        let mut a = Row::new();
        a.set_text(columns::ID, "1");
        a.push_extra("x", "1");
        a.push_extra("y", "2");
        let mut b = Row::new();
        b.push_extra("y", "2");
        b.push_extra("x", "1");
        b.set_text(columns::ID, "1");
        assert_eq!(hash(&mut a), hash(&mut b));
        b.set_boolean(columns::ADULT, false);
        assert_ne!(hash(&mut a), hash(&mut b));
    }

    #[test]
    fn neighbours_do_not_run_together() {
        let mut a = Row::new();
        a.set_list(columns::SEARCH_TAG, ["ab", "c"]);
        let mut b = Row::new();
        b.set_list(columns::SEARCH_TAG, ["a", "bc"]);
        assert_ne!(hash(&mut a), hash(&mut b));
    }
}
