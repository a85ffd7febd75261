//! Cuts one record of delimited text into its cells, without copying.
//!
//! A quote counts only where a cell begins, so that `12" pan` in the middle of a line swallows nothing.
//! Text after a closing quote belongs to the cell as it is.

use memchr::{memchr, memchr_iter, memchr2};

/// Cells of one record that are kept; further ones are only counted.
const MAX_CELLS: usize = 10_000;

/// How text is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// The byte between cells.
    pub(crate) delimiter: u8,
    /// Whether `"` at a cell's start quotes it.
    pub(crate) quoting: bool,
    /// The byte that ends a record: a line feed, or a carriage return in old files.
    pub(crate) newline: u8,
}

/// Where a cell's text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The text has quotes that [`unescape`] must take out.
    pub(crate) is_escaped: bool,
}

/// What stands at the start of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Split {
    /// A record.
    Record {
        /// Its length with the line end.
        bytes: usize,
        /// Lines that it takes.
        lines: u64,
        /// Number of its cells.
        cells: usize,
    },
    /// A record that goes on after the text.
    More,
    /// A quote that the end of the source leaves open.
    Unclosed,
}

/// Finds the cells of the record at the start of `text`, which is not empty. `at_end`: nothing comes after.
pub(crate) fn split(text: &[u8], at_end: bool, dialect: Dialect, cells: &mut Vec<Cell>) -> Split {
    cells.clear();
    let mut count = 0;
    let mut lines = 1;
    let mut start = 0;
    loop {
        let mut cell = Cell { start, end: start, is_escaped: false };
        let mut closed = None;
        let mut from = start;
        if dialect.quoting && text.get(start) == Some(&b'"') {
            let Some((close, has_quotes)) = closing_quote(text, start + 1) else {
                return if at_end { Split::Unclosed } else { Split::More };
            };
            if close + 1 == text.len() && !at_end {
                // It may be the first half of a doubled quote.
                return Split::More;
            }
            lines += memchr_iter(dialect.newline, &text[start..close]).count() as u64;
            cell.is_escaped = has_quotes;
            closed = Some(close);
            from = close + 1;
        }
        let found = memchr2(dialect.delimiter, dialect.newline, &text[from..]);
        if found.is_none() && !at_end {
            return Split::More;
        }
        cell.end = found.map_or(text.len(), |offset| from + offset);
        if let Some(close) = closed
            && !cell.is_escaped
        {
            if text[from..cell.end].iter().all(u8::is_ascii_whitespace) {
                (cell.start, cell.end) = (start + 1, close);
            } else {
                cell.is_escaped = true;
            }
        }
        count += 1;
        if cells.len() < MAX_CELLS {
            cells.push(cell);
        }
        match found {
            Some(offset) if text[from + offset] != dialect.newline => start = from + offset + 1,
            Some(offset) => return Split::Record { bytes: from + offset + 1, lines, cells: count },
            None => return Split::Record { bytes: text.len(), lines, cells: count },
        }
    }
}

/// The place of the quote that closes a cell whose text begins at `at`, and whether doubled ones come
/// before it.
fn closing_quote(text: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let mut has_quotes = false;
    loop {
        let close = at + memchr(b'"', &text[at..])?;
        if text.get(close + 1) != Some(&b'"') {
            return Some((close, has_quotes));
        }
        has_quotes = true;
        at = close + 2;
    }
}

/// Appends the text of an escaped cell, `raw` from its opening quote to its end.
pub(crate) fn unescape(raw: &str, out: &mut String) {
    let mut rest = raw.strip_prefix('"').unwrap_or(raw);
    while let Some((text, after)) = rest.split_once('"') {
        out.push_str(text);
        let Some(inside) = after.strip_prefix('"') else {
            // The closing quote.
            rest = after;
            break;
        };
        out.push('"');
        rest = inside;
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: Dialect = Dialect { delimiter: b',', quoting: true, newline: b'\n' };

    fn records(text: &str, dialect: Dialect) -> Vec<Vec<String>> {
        let mut rest = text;
        let (mut all, mut cells) = (Vec::new(), Vec::new());
        while !rest.is_empty() {
            let Split::Record { bytes, .. } = split(rest.as_bytes(), true, dialect, &mut cells)
            else {
                panic!("no record in {rest:?}");
            };
            let text = |cell: &Cell| {
                let raw = &rest[cell.start..cell.end];
                let mut out = String::new();
                if cell.is_escaped {
                    unescape(raw, &mut out)
                } else {
                    out.push_str(raw)
                }
                out.trim_end_matches('\r').to_owned()
            };
            all.push(cells.iter().map(text).collect());
            rest = &rest[bytes..];
        }
        all
    }

    #[test]
    fn quoted_and_plain_cells() {
        assert_eq!(records("a,b\r\n1,2", CSV), [["a", "b"], ["1", "2"]]);
        assert_eq!(records("\"a,\nb\",\"say \"\"hi\"\"\"\r\n", CSV), [["a,\nb", "say \"hi\""]]);
        assert_eq!(records("\"\",\"\"\"\"\n,", CSV), [["", "\""], ["", ""]]);
    }

    #[test]
    fn stray_quotes_stay_in_their_cell() {
        assert_eq!(
            records("12\" pan,x\n\"12\" pan,y\n", CSV),
            [["12\" pan", "x"], ["12 pan", "y"]]
        );
        assert_eq!(records("\"a\" ,b\n", CSV), [["a", "b"]]);
        let plain = Dialect { quoting: false, delimiter: b'\t', ..CSV };
        assert_eq!(records("\"a\tb\"\n", plain), [["\"a", "b\""]]);
    }

    #[test]
    fn a_record_is_whole_or_not_there() {
        let text = b"\"a\"\"b\",c\n";
        let mut cells = Vec::new();
        for end in 1..text.len() {
            assert_eq!(split(&text[..end], false, CSV, &mut cells), Split::More, "{end}");
        }
        let whole = Split::Record { bytes: text.len(), lines: 1, cells: 2 };
        assert_eq!(split(text, false, CSV, &mut cells), whole);
        assert_eq!(split(b"a,\"b", true, CSV, &mut cells), Split::Unclosed);
        let two_lines = Split::Record { bytes: 6, lines: 2, cells: 1 };
        assert_eq!(split(b"\"a\nb\"\nc", false, CSV, &mut cells), two_lines);
    }

    #[test]
    fn commas_without_end_take_no_memory() {
        let mut cells = Vec::new();
        let text = vec![b','; MAX_CELLS * 3];
        let found = split(&text, true, CSV, &mut cells);
        assert_eq!(found, Split::Record { bytes: text.len(), lines: 1, cells: text.len() + 1 });
        assert_eq!(cells.len(), MAX_CELLS);
    }
}
