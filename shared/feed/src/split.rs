//! Finds one record of delimited text, and cuts it into its cells, without copying.
//!
//! A quote counts only where a cell begins, so that `12" pan` in the middle of a line swallows nothing.

use crate::quotes::{Close, Closing, closing_quote};
use feedfleet_config::Quoting;
use memchr::{memchr, memchr_iter, memchr2, memrchr};

/// Cells of one record that are kept; further ones are only counted.
const MAX_CELLS: usize = 10_000;
/// Columns of which it is no chance that lines have as many cells.
const SURE_COLUMNS: usize = 4;
/// Cells in quotes of a record, past which no further quote is looked at more closely.
const MAX_ASKED: usize = 64;
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
    /// Columns of the header, by which quotes between tabs are told to be text; 0: they are not known.
    pub(crate) columns: usize,
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

/// A cell in quotes, as [`record_end`] finds it on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QuotedCell {
    /// The quote that opens it.
    start: usize,
    closing: Closing,
}

impl QuotedCell {
    /// A cell that begins with a quote that is text: a quote that closes itself stands for it.
    fn text(start: usize) -> Self {
        Self { start, closing: Closing { at: start, has_escapes: false, is_mended: true } }
    }

    /// Whether it has a quote that should have been escaped.
    pub(crate) fn is_mended(&self) -> bool {
        self.closing.is_mended
    }
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

/// The delimiter that the first line of a text names, as in `sep=;`, which is Excel's own, and the bytes up to the next
/// line.
pub(crate) fn named_delimiter(text: &str) -> Option<(u8, usize)> {
    let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let (line, rest) = start.split_at(start.find(['\r', '\n'])?);
    let line = line.strip_prefix('"').and_then(|line| line.strip_suffix('"')).unwrap_or(line);
    if !line.get(..4)?.eq_ignore_ascii_case("sep=") {
        return None;
    }
    let &[delimiter] = &line.as_bytes()[4..] else { return None };
    let is_one = delimiter == b'\t' || (delimiter.is_ascii_punctuation() && delimiter != b'"');
    let rest = rest.strip_prefix("\r\n").unwrap_or(&rest[1..]);
    is_one.then_some((delimiter, text.len() - rest.len()))
}

/// Finds the end of the record at the start of `text`, which is not empty, and on the way its cells that are in quotes: none
/// where it has no end. `at_end`: nothing comes after.
pub(crate) fn record_end(
    text: &[u8],
    at_end: bool,
    dialect: Dialect,
    quoted: &mut Vec<QuotedCell>,
) -> RecordEnd {
    quoted.clear();
    let end = find_end(text, at_end, dialect, quoted);
    if !matches!(end, RecordEnd::Found { .. }) {
        quoted.clear();
    }
    end
}

fn find_end(
    text: &[u8],
    at_end: bool,
    dialect: Dialect,
    quoted: &mut Vec<QuotedCell>,
) -> RecordEnd {
    let mut from = 0;
    let mut lines = 1;
    loop {
        let mark = if dialect.quoting != Quoting::Off {
            memchr2(b'"', dialect.newline, &text[from..])
        } else {
            memchr(dialect.newline, &text[from..])
        };
        let Some(offset) = mark else {
            let bytes = text.len();
            return if at_end { RecordEnd::Found { bytes, lines } } else { RecordEnd::More };
        };
        let at = from + offset;
        from = at + 1;
        if text[at] == dialect.newline {
            return RecordEnd::Found { bytes: from, lines };
        }
        let opens_a_cell = at == 0 || text[at - 1] == dialect.delimiter;
        if opens_a_cell {
            match closing_quote(text, from, at_end, dialect) {
                Close::At(closing) => {
                    // Only cells in quotes have line ends inside.
                    let line_ends = memchr_iter(dialect.newline, &text[from..closing.at]);
                    let with_cell = line_ends.fold(lines, |lines, _| lines + 1);
                    // A quote that begins another cell closes none.
                    let is_next = closing.is_mended && text[closing.at - 1] == dialect.delimiter;
                    if with_cell > lines || is_next {
                        match is_text(text, at, Some(closing), at_end, dialect, quoted) {
                            Some(false) => {}
                            Some(true) => {
                                quoted.push(QuotedCell::text(at));
                                continue;
                            }
                            None => return RecordEnd::More,
                        }
                    }
                    lines = with_cell;
                    quoted.push(QuotedCell { start: at, closing });
                    from = closing.at + 1;
                }
                Close::Never if at_end => {
                    if is_text(text, at, None, at_end, dialect, quoted) != Some(true) {
                        return RecordEnd::Unclosed;
                    }
                    quoted.push(QuotedCell::text(at));
                }
                Close::More | Close::Never => return RecordEnd::More,
            }
        }
    }
}

/// Whether a quote that opens a cell between tabs, at `at`, and is not closed on its own line, is text: with it as text, its
/// line has as many cells as the header. One that `closing` closes on a later line, and one in the last cell of its line,
/// may be of a text of several lines: the line of a `closing` that closes as it should, or else the next one, must have as
/// many cells, too. `quoted` are the record's cells before it. None: that shows only in more text.
///
/// It asks before a quote is taken for one, and between tabs alone, where many write quotes as text: two columns are enough
/// where nothing on a later line closes it, else [`SURE_COLUMNS`]. [`never_closed`] asks of records that seem whole.
#[cold]
fn is_text(
    text: &[u8],
    at: usize,
    closing: Option<Closing>,
    at_end: bool,
    dialect: Dialect,
    quoted: &[QuotedCell],
) -> Option<bool> {
    let Dialect { delimiter, quoting, newline, columns } = dialect;
    let is_asked = delimiter == b'\t' && quoting == Quoting::Doubled && columns >= 2;
    // Each question costs a line; a record of quotes alone would ask one for each.
    if !is_asked || quoted.len() >= MAX_ASKED {
        return Some(false);
    }
    let line_end = match memchr(newline, &text[at..]) {
        Some(bytes) => at + bytes + 1,
        // It may be half a line.
        None if at_end => return Some(false),
        None => return None,
    };
    let mut cells = Vec::new();
    // What comes behind the quote is plain, and is not counted to its end where it has too many cells.
    let to_quote = split(&text[..at], dialect, quoted, &mut cells);
    let further = memchr_iter(delimiter, &text[at..line_end]).take(columns).count();
    if to_quote + further != columns {
        return Some(false);
    }
    let is_mended = closing.is_none_or(|closing| closing.is_mended);
    // No text of several lines, which may have quotes and tabs, too.
    let is_of_line = closing.is_none_or(|closing| closing.at < line_end);
    if is_mended && is_of_line && memchr(delimiter, &text[at..line_end]).is_some() {
        return Some(true);
    }
    if closing.is_some() && columns < SURE_COLUMNS {
        return Some(false);
    }
    let other = match closing {
        Some(closing) if !is_mended => {
            memrchr(newline, &text[..closing.at]).map_or(0, |end| end + 1)
        }
        _ => line_end,
    };
    let other_end = match memchr(newline, &text[other..]) {
        Some(bytes) => other + bytes + 1,
        None if at_end => text.len(),
        None => return None,
    };
    Some(split(&text[other..other_end], dialect, &[], &mut cells) == columns)
}

/// The length of the first line of `text`, where it is a record because a quote that opens a cell in it is text: asked of a
/// record that is too long, as if nothing came behind the next line. `quoted` then has its cells that are in quotes.
#[cold]
pub(crate) fn first_line(
    text: &[u8],
    dialect: Dialect,
    quoted: &mut Vec<QuotedCell>,
) -> Option<usize> {
    let line = memchr(dialect.newline, text)? + 1;
    let next = memchr(dialect.newline, &text[line..]).map_or(text.len(), |end| line + end + 1);
    match record_end(&text[..next], true, dialect, quoted) {
        RecordEnd::Found { bytes, lines: 1 } => Some(bytes),
        _ => None,
    }
}

/// Finds the cells of a record as [`record_end`] found it; gives their number.
pub(crate) fn split(
    record: &[u8],
    dialect: Dialect,
    quoted: &[QuotedCell],
    cells: &mut Vec<Cell>,
) -> usize {
    cells.clear();
    let record = record.strip_suffix(&[dialect.newline]).unwrap_or(record);
    let mut marks = Marks::new(record, dialect.delimiter);
    let (mut start, mut surplus) = (0, 0);
    for cell in quoted {
        start = marks.plain_cells(start, cell.start, cells, &mut surplus);
        // Marks in quotes end nothing.
        marks.skip_to(cell.closing.at + 1);
        let end = marks.next().unwrap_or(record.len());
        push(quoted_cell(record, start, end, cell.closing), cells, &mut surplus);
        start = end + 1;
    }
    if start <= record.len() {
        marks.plain_cells(start, usize::MAX, cells, &mut surplus);
    }
    if dialect.quoting == Quoting::Backslash {
        for cell in cells.iter_mut() {
            cell.is_escaped |= memchr(b'\\', &record[cell.start..cell.end]).is_some();
        }
    }
    cells.len() + surplus
}

/// Whether a record of several lines is several records, because nobody closed a quote that opens a cell on its first
/// line: the next quote begins another cell on a later line, and both lines have as many cells as the header, `columns`,
/// the first one with that quote as text. The first line's length, and how many of the cells in `quoted` are in it.
///
/// It asks whatever the delimiter, of quotes that [`is_text`] left as they are: texts of several lines are usual between
/// commas, and it takes four columns for two lines of as many cells to be no chance.
#[cold]
pub(crate) fn never_closed(
    record: &[u8],
    columns: usize,
    dialect: Dialect,
    quoted: &[QuotedCell],
) -> Option<(usize, usize)> {
    let is_mended = quoted.iter().any(QuotedCell::is_mended);
    if columns < SURE_COLUMNS || !is_mended || dialect.quoting != Quoting::Doubled {
        return None;
    }
    let line = memchr(dialect.newline, record)? + 1;
    // Only cells in quotes have line ends inside.
    let place = quoted.iter().position(|cell| cell.start < line && line <= cell.closing.at)?;
    if !quoted[place].is_mended() {
        return None;
    }
    let mut at = quoted[place].start + 1;
    let next = loop {
        let quote = at + memchr(b'"', record.get(at..)?)?;
        if record.get(quote + 1) != Some(&b'"') {
            break quote;
        }
        at = quote + 2;
    };
    let begins_a_cell = [dialect.delimiter, dialect.newline].contains(&record[next - 1]);
    if next < line || !begins_a_cell {
        return None;
    }
    let mut cells = Vec::new();
    if split(&record[..line], dialect, &quoted[..place], &mut cells) != columns {
        return None;
    }
    let (_, later) = record.split_at(memrchr(dialect.newline, &record[..next])? + 1);
    let mut inner = Vec::new();
    let RecordEnd::Found { bytes, lines: 1 } = record_end(later, true, dialect, &mut inner) else {
        return None;
    };
    (split(&later[..bytes], dialect, &inner, &mut cells) == columns).then_some((line, place))
}

/// Adds a cell, or counts it where there are too many.
#[inline(always)]
fn push(cell: Cell, cells: &mut Vec<Cell>, surplus: &mut usize) {
    if cells.len() < MAX_CELLS {
        cells.push(cell);
    } else {
        *surplus += 1;
    }
}

/// The cell from its opening quote to its end. Where nothing but white space follows the closing quote, and no quote comes
/// before it, its text is what is between the two.
fn quoted_cell(record: &[u8], start: usize, end: usize, closing: Closing) -> Cell {
    let Closing { at, has_escapes, is_mended } = closing;
    if at == start {
        // Text, as it is.
        return Cell { start, end, is_escaped: false, is_mended };
    }
    if !has_escapes && record[at + 1..end].iter().all(u8::is_ascii_whitespace) {
        return Cell { start: start + 1, end: at, is_escaped: false, is_mended };
    }
    Cell { start, end, is_escaped: true, is_mended }
}

/// Where cells of a record may end: at each delimiter. Looks at a block at a time, and once: cells are short, and a search
/// for each of them would cost more than what it finds.
struct Marks<'r> {
    record: &'r [u8],
    delimiter: u8,
    /// Where the block begins.
    start: usize,
    /// A bit for each of the block's bytes that is a mark and was not given yet.
    bits: u64,
}

impl<'r> Marks<'r> {
    fn new(record: &'r [u8], delimiter: u8) -> Self {
        let mut marks = Self { record, delimiter, start: 0, bits: 0 };
        marks.look();
        marks
    }

    /// Adds the cells from the one that begins at `start` up to the one that begins at `until`, or all; gives where the next
    /// one begins.
    fn plain_cells(
        &mut self,
        mut start: usize,
        until: usize,
        cells: &mut Vec<Cell>,
        surplus: &mut usize,
    ) -> usize {
        while start != until {
            let found = self.next();
            let end = found.unwrap_or(self.record.len());
            push(Cell { start, end, is_escaped: false, is_mended: false }, cells, surplus);
            start = end + 1;
            if found.is_none() {
                break;
            }
        }
        start
    }

    /// The next mark.
    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        while self.bits == 0 {
            if self.record.len() - self.start <= BLOCK_BYTES {
                return None;
            }
            self.start += BLOCK_BYTES;
            self.look();
        }
        let at = self.start + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(at)
    }

    /// Leaves out the marks before `from`, which is not before the last one given.
    fn skip_to(&mut self, from: usize) {
        let from = from.min(self.record.len());
        let skipped = (from - self.start) / BLOCK_BYTES;
        if skipped > 0 {
            self.start += BLOCK_BYTES * skipped;
            self.look();
        }
        self.bits &= u64::MAX << (from - self.start);
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
        // The compiler makes this a few instructions for many bytes at once.
        let is_mark = block.map(|byte| u8::from(byte == self.delimiter));
        let (groups, _) = is_mark.as_chunks::<8>();
        let gathered =
            groups.iter().map(|group| u64::from_le_bytes(*group).wrapping_mul(GATHER) >> 56);
        gathered.rev().fold(0, |bits, eight| bits << 8 | eight)
    }
}

#[cfg(test)]
mod tests;
