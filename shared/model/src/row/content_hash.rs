//! The hash by which a row is found to be as it was before.

use super::{Row, Slot, Span};
use crate::columns::COLUMNS;
use crate::hash::bytes_hash;

/// Bytes that are copied at once where a text is not longer: quicker than a copy of just its bytes.
const BLOCK_BYTES: usize = 32;

/// By column: its name, in a block of its own.
static NAMES: [[u8; BLOCK_BYTES]; COLUMNS.len()] = name_blocks();

const fn name_blocks() -> [[u8; BLOCK_BYTES]; COLUMNS.len()] {
    let mut blocks = [[0; BLOCK_BYTES]; COLUMNS.len()];
    let mut column = 0;
    while column < COLUMNS.len() {
        let name = COLUMNS[column].name.as_bytes();
        assert!(name.len() <= BLOCK_BYTES, "BLOCK_BYTES must have room for every column's name");
        let mut place = 0;
        while place < name.len() {
            blocks[column][place] = name[place];
            place += 1;
        }
        column += 1;
    }
    blocks
}

impl Row {
    /// The hash of all that the source filled, and its supplements, whatever order it came in. Columns are told
    /// apart by name, so that a column added to the schema later changes no row that does not use it. Call
    /// [`Row::settle_extra`] before. `scratch` is cleared and used as working memory.
    pub fn content_hash(&self, scratch: &mut Vec<u8>) -> u128 {
        // The hash is kept in tables: what is written here must stay as it is, to the byte.
        scratch.clear();
        let own = self.text.as_bytes();
        for (place, slot) in self.slots.iter().enumerate() {
            if *slot == Slot::Null {
                continue;
            }
            push_bytes(scratch, &NAMES[place], 0, COLUMNS[place].name.len());
            match *slot {
                Slot::Null => {}
                Slot::Text(span) => {
                    push_marked(scratch, 1, span.end - span.start);
                    push_span(scratch, own, span);
                }
                Slot::Integer(value) => {
                    scratch.push(2);
                    scratch.extend_from_slice(&value.to_le_bytes());
                }
                Slot::Boolean(value) => scratch.extend_from_slice(&[3, u8::from(value)]),
                Slot::List(list) => {
                    push_marked(scratch, 4, list.end - list.start);
                    for &item in &self.lists[list.start as usize..list.end as usize] {
                        push_counted(scratch, own, item);
                    }
                }
            }
        }
        for &(name, value) in &self.extra {
            push_marked(scratch, 5, name.end - name.start);
            push_span(scratch, own, name);
            push_counted(scratch, own, value);
        }
        for &(column, value) in &self.source_values {
            let name = column.column().name.as_bytes();
            push_marked(scratch, 6, name.len() as u32);
            scratch.extend_from_slice(name);
            push_counted(scratch, own, value);
        }
        bytes_hash(scratch)
    }
}

/// Appends a mark and a number.
fn push_marked(out: &mut Vec<u8>, mark: u8, number: u32) {
    let [a, b, c, d] = number.to_le_bytes();
    out.extend_from_slice(&[mark, a, b, c, d]);
}

/// Appends the length of a text, and the text.
fn push_counted(out: &mut Vec<u8>, source: &[u8], span: Span) {
    out.extend_from_slice(&(span.end - span.start).to_le_bytes());
    push_span(out, source, span);
}

fn push_span(out: &mut Vec<u8>, source: &[u8], span: Span) {
    push_bytes(out, source, span.start as usize, (span.end - span.start) as usize);
}

/// Appends so many bytes of the source.
fn push_bytes(out: &mut Vec<u8>, source: &[u8], start: usize, bytes: usize) {
    let rest = &source[start..];
    match rest.first_chunk::<BLOCK_BYTES>() {
        Some(block) if bytes <= BLOCK_BYTES => {
            let end = out.len() + bytes;
            out.extend_from_slice(block);
            out.truncate(end);
        }
        _ => out.extend_from_slice(&rest[..bytes]),
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
            assert_eq!(scratch, written_out(&row));
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
