//! Finds one record of delimited text, and cuts it into its cells, without copying.
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

/// Where the record at the start of a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordEnd {
    /// Here.
    Found {
        /// The record's length with the line end.
        bytes: usize,
        /// Lines that it takes.
        lines: u64,
    },
    /// The record goes on after the text.
    More,
    /// The end of the source leaves a quote open.
    Unclosed,
}

/// Finds the end of the record at the start of `text`, which is not empty. `at_end`: nothing comes after.
pub(crate) fn record_end(text: &[u8], at_end: bool, dialect: Dialect) -> RecordEnd {
    let mut from = 0;
    let mut has_quotes = false;
    let found = |bytes: usize, has_quotes: bool| {
        // Only quoted cells have line ends inside.
        let inside = if has_quotes { &text[..bytes - 1] } else { &[] };
        let lines = 1 + memchr_iter(dialect.newline, inside).count() as u64;
        RecordEnd::Found { bytes, lines }
    };
    loop {
        let mark = if dialect.quoting {
            memchr2(b'"', dialect.newline, &text[from..])
        } else {
            memchr(dialect.newline, &text[from..])
        };
        let Some(offset) = mark else {
            return if at_end { found(text.len(), has_quotes) } else { RecordEnd::More };
        };
        let at = from + offset;
        from = at + 1;
        if text[at] == dialect.newline {
            return found(from, has_quotes);
        }
        let opens_a_cell = at == 0 || text[at - 1] == dialect.delimiter;
        if opens_a_cell {
            let Some((close, _)) = closing_quote(text, from) else {
                return if at_end { RecordEnd::Unclosed } else { RecordEnd::More };
            };
            if close + 1 == text.len() && !at_end {
                // It may be the first half of a doubled quote.
                return RecordEnd::More;
            }
            has_quotes = true;
            from = close + 1;
        }
    }
}

/// Finds the cells of a whole record; gives their number.
pub(crate) fn split(record: &[u8], dialect: Dialect, cells: &mut Vec<Cell>) -> usize {
    cells.clear();
    let mut count = 0;
    let mut start = 0;
    loop {
        let mut cell = Cell { start, end: start, is_escaped: false };
        let mut closed = None;
        let mut from = start;
        if dialect.quoting
            && record.get(start) == Some(&b'"')
            && let Some((close, has_quotes)) = closing_quote(record, start + 1)
        {
            cell.is_escaped = has_quotes;
            closed = Some(close);
            from = close + 1;
        }
        let found = memchr2(dialect.delimiter, dialect.newline, &record[from..]);
        cell.end = found.map_or(record.len(), |offset| from + offset);
        if let Some(close) = closed
            && !cell.is_escaped
        {
            if record[from..cell.end].iter().all(u8::is_ascii_whitespace) {
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
            Some(offset) if record[from + offset] != dialect.newline => start = from + offset + 1,
            _ => return count,
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
            let RecordEnd::Found { bytes, .. } = record_end(rest.as_bytes(), true, dialect) else {
                panic!("no record in {rest:?}");
            };
            split(&rest.as_bytes()[..bytes], dialect, &mut cells);
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
        for end in 1..text.len() {
            assert_eq!(record_end(&text[..end], false, CSV), RecordEnd::More, "{end}");
        }
        let whole = RecordEnd::Found { bytes: text.len(), lines: 1 };
        assert_eq!(record_end(text, false, CSV), whole);
        assert_eq!(record_end(b"a,\"b", true, CSV), RecordEnd::Unclosed);
        let two_lines = RecordEnd::Found { bytes: 6, lines: 2 };
        assert_eq!(record_end(b"\"a\nb\"\nc", false, CSV), two_lines);
    }

    proptest::proptest! {
        /// Finding a record's end and finding its cells are two walks; they agree on where it ends.
        #[test]
        fn a_record_ends_with_its_last_cell(text in "[a\",\n]{1,40}") {
            let mut cells = Vec::new();
            if let RecordEnd::Found { bytes, .. } = record_end(text.as_bytes(), true, CSV) {
                split(text.as_bytes(), CSV, &mut cells);
                let last = cells.last().map_or(0, |cell| cell.end);
                let ends = text[last..].find('\n').map_or(text.len(), |at| last + at + 1);
                proptest::prop_assert_eq!(ends, bytes);
            }
        }
    }

    #[test]
    fn commas_without_end_take_no_memory() {
        let mut cells = Vec::new();
        let text = vec![b','; MAX_CELLS * 3];
        assert_eq!(split(&text, CSV, &mut cells), text.len() + 1);
        assert_eq!(cells.len(), MAX_CELLS);
    }
}
