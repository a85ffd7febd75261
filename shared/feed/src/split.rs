//! Finds one record of delimited text, and cuts it into its cells, without copying.
//!
//! A quote counts only where a cell begins, so that `12" pan` in the middle of a line swallows nothing.

use crate::quotes::{Close, closing_quote};
use feedfleet_config::Quoting;
use memchr::{memchr, memchr_iter, memchr2};

/// Cells of one record that are kept; further ones are only counted.
const MAX_CELLS: usize = 10_000;
/// Bytes that are looked at together: a bit each.
const BLOCK_BYTES: usize = 64;
/// Multiplied by eight bytes that are 0 or 1, gives them as the highest eight bits, the first byte's lowest.
const GATHER: u64 = 0x0102_0408_1020_4080;

/// How text is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// The byte between cells.
    pub(crate) delimiter: u8,
    /// What `"` at a cell's start means.
    pub(crate) quoting: Quoting,
    /// The byte that ends a record: a line feed, or a carriage return in old files.
    pub(crate) newline: u8,
}

/// Where a cell's text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The text has quotes that [`unescape`](crate::quotes::unescape) must take out.
    pub(crate) is_escaped: bool,
    /// It has a quote that should have been escaped.
    pub(crate) is_mended: bool,
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

/// The delimiter among several that is most often in the first line that is not blank, outside of quotes; the
/// first of them where none is.
pub(crate) fn delimiter_of(text: &str, delimiters: &[u8], quoting: Quoting) -> Option<u8> {
    let text = text.trim_start();
    let line = text.split(['\n', '\r']).next().unwrap_or(text).as_bytes();
    let count = |delimiter: u8| {
        let mut is_quoted = false;
        let mut count = 0_usize;
        for byte in line {
            is_quoted ^= quoting != Quoting::Off && *byte == b'"';
            count += usize::from(*byte == delimiter && !is_quoted);
        }
        count
    };
    // Of equals, the last is found; so the usual one is asked last.
    delimiters.iter().copied().rev().max_by_key(|delimiter| count(*delimiter))
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
        let mark = if dialect.quoting != Quoting::Off {
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
            match closing_quote(text, from, at_end, dialect) {
                Close::At(close) => from = close.at + 1,
                Close::More => return RecordEnd::More,
                Close::Never if at_end => return RecordEnd::Unclosed,
                Close::Never => return RecordEnd::More,
            }
            has_quotes = true;
        }
    }
}

/// Finds the cells of a whole record; gives their number.
pub(crate) fn split(record: &[u8], dialect: Dialect, cells: &mut Vec<Cell>) -> usize {
    cells.clear();
    let mut marks = Marks::new(record, dialect);
    let mut count = 0;
    let mut start = 0;
    loop {
        let mut cell = Cell { start, end: start, is_escaped: false, is_mended: false };
        let mut closed = None;
        let mut from = start;
        if dialect.quoting != Quoting::Off
            && record.get(start) == Some(&b'"')
            && let Close::At(close) = closing_quote(record, start + 1, true, dialect)
        {
            cell.is_escaped = close.has_escapes;
            cell.is_mended = close.is_mended;
            closed = Some(close.at);
            from = close.at + 1;
        }
        let found = marks.find(from);
        cell.end = found.unwrap_or(record.len());
        if let Some(close) = closed {
            if !cell.is_escaped {
                if record[from..cell.end].iter().all(u8::is_ascii_whitespace) {
                    (cell.start, cell.end) = (start + 1, close);
                } else {
                    cell.is_escaped = true;
                }
            }
        } else if dialect.quoting == Quoting::Backslash {
            cell.is_escaped = memchr(b'\\', &record[start..cell.end]).is_some();
        }
        count += 1;
        if cells.len() < MAX_CELLS {
            cells.push(cell);
        }
        match found {
            Some(end) if record[end] != dialect.newline => start = end + 1,
            _ => return count,
        }
    }
}

/// Where cells of a record may end: at each delimiter and each line end. Looks at a block at a time, and once: cells are
/// short, and a search for each of them would cost more than what it finds.
struct Marks<'r> {
    record: &'r [u8],
    bytes: [u8; 2],
    /// Where the block begins.
    start: usize,
    /// A bit for each of the block's bytes.
    bits: u64,
}

impl<'r> Marks<'r> {
    fn new(record: &'r [u8], dialect: Dialect) -> Self {
        let bytes = [dialect.delimiter, dialect.newline];
        let mut marks = Self { record, bytes, start: 0, bits: 0 };
        marks.look();
        marks
    }

    /// The first mark from `from` on, which is not before that of the last call.
    #[inline]
    fn find(&mut self, from: usize) -> Option<usize> {
        self.find_in_block(from).or_else(|| self.find_further(from))
    }

    #[inline]
    fn find_in_block(&self, from: usize) -> Option<usize> {
        let bits = self.bits & u64::MAX.checked_shl((from - self.start) as u32)?;
        (bits != 0).then(|| self.start + bits.trailing_zeros() as usize)
    }

    /// As [`Marks::find`], where the block has none.
    #[inline(never)]
    fn find_further(&mut self, from: usize) -> Option<usize> {
        let skipped = (from - self.start) / BLOCK_BYTES;
        let mut start = self.start + BLOCK_BYTES * skipped.max(1);
        while start < self.record.len() {
            self.start = start;
            self.look();
            if let Some(found) = self.find_in_block(from.max(start)) {
                return Some(found);
            }
            start += BLOCK_BYTES;
        }
        None
    }

    /// Looks at the block at `start`.
    fn look(&mut self) {
        let rest = &self.record[self.start..];
        self.bits = match rest.first_chunk() {
            Some(block) => self.bits_of(block),
            None => {
                let mut block = [0; BLOCK_BYTES];
                block[..rest.len()].copy_from_slice(rest);
                self.bits_of(&block) & ((1 << rest.len()) - 1)
            }
        };
    }

    fn bits_of(&self, block: &[u8; BLOCK_BYTES]) -> u64 {
        let [a, b] = self.bytes;
        // The compiler makes this a few instructions for many bytes at once.
        let is_mark = block.map(|byte| u8::from(byte == a) | u8::from(byte == b));
        let (groups, _) = is_mark.as_chunks::<8>();
        let gathered =
            groups.iter().map(|group| u64::from_le_bytes(*group).wrapping_mul(GATHER) >> 56);
        gathered.rev().fold(0, |bits, eight| bits << 8 | eight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quotes::unescape;

    const CSV: Dialect = Dialect { delimiter: b',', quoting: Quoting::Doubled, newline: b'\n' };

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
                    unescape(raw, dialect.quoting, &mut out)
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
        // Only where another quote is the cell's last, on its line and before the next cell begins.
        assert_eq!(records("\"a\"b,\"c\"\n", CSV), [["ab", "c"]]);
        assert_eq!(records("\"a\"b,c\n\"d\",e\n", CSV), [["ab", "c"], ["d", "e"]]);
        assert_eq!(records("\"a \"b\" c\",\"\"\"d\"\"\"\n", CSV), [["a \"b\" c", "\"d\""]]);
        assert_eq!(records("\"a \"b\" c\" ,d\r\n", CSV), [["a \"b\" c", "d"]]);
        assert_eq!(records("\"a\" ,b\n", CSV), [["a", "b"]]);
        let plain = Dialect { quoting: Quoting::Off, delimiter: b'\t', ..CSV };
        assert_eq!(records("\"a\tb\"\n", plain), [["\"a", "b\""]]);
    }

    #[test]
    fn quotes_may_have_a_backslash_before_them() {
        let dialect = Dialect { quoting: Quoting::Backslash, ..CSV };
        let text = "\"12\\\" pan, \\\\ x\",5\\\" y\\n\n\"a\nb\",\"\"\n";
        assert_eq!(records(text, dialect), [["12\" pan, \\ x", "5\" y\\n"], ["a\nb", ""]]);
        assert_eq!(record_end(b"\"a\\\"", true, dialect), RecordEnd::Unclosed);
        assert_eq!(record_end(b"\"a\\", false, dialect), RecordEnd::More);
    }

    #[test]
    fn mended_cells_are_told() {
        let mut cells = Vec::new();
        for (text, mended) in [
            ("\"a \"b\" c\",x", [true, false]),
            ("\"a\"b,\"x\"", [true, false]),
            ("\"a\"\"b\",x\"y", [false, false]),
        ] {
            split(text.as_bytes(), CSV, &mut cells);
            assert_eq!(
                cells.iter().map(|cell| cell.is_mended).collect::<Vec<_>>(),
                mended,
                "{text}"
            );
        }
    }

    #[test]
    fn the_first_line_says_what_is_between_cells() {
        let chosen = |text| delimiter_of(text, b",;|\t", Quoting::Doubled).map(char::from);
        assert_eq!(chosen("\n\"a;b;c\",d,e\nx|y|z|w"), Some(','));
        assert_eq!(chosen("a;b,c;d\n"), Some(';'));
        assert_eq!(chosen("a\tb\tc"), Some('\t'));
        assert_eq!(chosen("a|b"), Some('|'));
        assert_eq!(chosen("id"), Some(','));
        assert_eq!(delimiter_of("a;b", b"", Quoting::Doubled), None);
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

    proptest::proptest! {
        /// Cells end where going from byte to byte finds their ends, in and across blocks, at the record's end too.
        #[test]
        fn short_and_long_cells_end_at_the_first_mark(
            text in "([-,\u{b}\nx가]{0,6}x{0,50}){0,8}",
            steps in proptest::collection::vec(0_usize..90, 1..40),
        ) {
            let record = text.as_bytes();
            let mut marks = Marks::new(record, CSV);
            let mut from = 0;
            for step in steps {
                let by_byte = record[from..].iter().position(|byte| b",\n".contains(byte));
                let expected = by_byte.map(|offset| from + offset);
                proptest::prop_assert_eq!(marks.find(from), expected, "{}", from);
                from = (expected.unwrap_or(from) + step).min(record.len());
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
