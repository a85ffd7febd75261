//! CSV, TSV and their like: a header, then a record a line or more; or cells by place between a first and a
//! last line of their own.

use crate::diagnostics::{Position, Refusal, RefusalReason};
use crate::error::FeedError;
use crate::fields::{Names, Record};
use crate::header::display_name;
use crate::presets::Frame;
use crate::quotes::unescape;
use crate::records::{EndMark, Known, Read};
use crate::settings::DelimitedShape;
use crate::split::{
    Cell, Dialect, QuotedCell, RecordEnd, delimiter_of, first_line, named_delimiter, never_closed,
    record_end, split,
};
use crate::window::Window;
use feedfleet_config::Quoting;
use memchr::{memchr, memchr_iter};
use std::collections::{BTreeSet, HashSet};

/// Reads records by the header's places.
pub(crate) struct DelimitedReader {
    pub(crate) window: Window,
    dialect: Dialect,
    max_record_bytes: usize,
    /// The field of each column; none where the feed has too many.
    header: Vec<Option<u32>>,
    /// The header's names.
    columns: Vec<String>,
    /// Columns up to the last that has a name.
    named: usize,
    /// Whether each column has a field of its own, whose number is the column's place.
    is_by_place: bool,
    quoted: Vec<QuotedCell>,
    /// Whether the record in the window has a quote that opens a cell and that nobody closed.
    has_open_quote: bool,
    cells: Vec<Cell>,
    /// The line that the next record begins on.
    line: u64,
    record: u64,
    cut: Option<String>,
    /// Whether the last record so far ends with its line; none: there was none.
    pub(crate) last_line_ends: Option<bool>,
    frame: Option<&'static Frame>,
    /// Whether a record's last cell is the header's last column, whatever its place.
    ends_with_last: bool,
}

/// The next record in the window, not consumed yet.
enum Found {
    Record { bytes: usize, lines: u64 },
    Refused(Refusal),
    End,
}

impl DelimitedReader {
    /// Reads what comes before the first record.
    pub(crate) fn open_shape(
        window: Window,
        shape: &DelimitedShape,
        max_record_bytes: usize,
        names: &mut Names,
    ) -> Result<Self, FeedError> {
        let mut dialect = shape.dialect;
        let chosen = delimiter_of(window.rest(), shape.delimiters, dialect.quoting);
        dialect.delimiter = chosen.unwrap_or(dialect.delimiter);
        if shape.frame.is_none()
            && let Some((named, _)) = named_delimiter(window.rest())
        {
            dialect.delimiter = named;
        }
        if shape.has_quotes_between_commas && dialect.delimiter == b',' {
            dialect.quoting = Quoting::Doubled;
        }
        let Some(frame) = shape.frame else {
            return Self::open(window, dialect, max_record_bytes, names);
        };
        let mut reader = Self::new(window, dialect, max_record_bytes);
        reader.begin(frame)?;
        reader.frame = Some(frame);
        reader.ends_with_last = shape.ends_with_last;
        reader.header = frame.columns.iter().map(|name| names.intern(name)).collect();
        Ok(reader)
    }

    fn new(window: Window, mut dialect: Dialect, max_record_bytes: usize) -> Self {
        let text = window.rest().as_bytes();
        if memchr(b'\n', text).is_none() && memchr(b'\r', text).is_some() {
            dialect.newline = b'\r';
        }
        Self {
            window,
            dialect,
            max_record_bytes,
            header: Vec::new(),
            columns: Vec::new(),
            named: 0,
            is_by_place: false,
            quoted: Vec::new(),
            has_open_quote: false,
            cells: Vec::new(),
            line: 1,
            record: 0,
            cut: None,
            last_line_ends: None,
            frame: None,
            ends_with_last: false,
        }
    }

    /// Reads the header.
    fn open(
        window: Window,
        dialect: Dialect,
        max_record_bytes: usize,
        names: &mut Names,
    ) -> Result<Self, FeedError> {
        let mut reader = Self::new(window, dialect, max_record_bytes);
        let Some(columns) = reader.read_header()? else {
            return Err(FeedError::not_a_feed("the source has no header line"));
        };
        let mut places = columns.iter().enumerate();
        let last = places.rposition(|(place, name)| *name != display_name("", place));
        reader.named = last.map_or(0, |place| place + 1);
        reader.header = columns.iter().map(|name| names.intern(name)).collect();
        let mut fields = (0..).zip(&reader.header);
        reader.is_by_place = fields.all(|(place, field)| *field == Some(place));
        reader.dialect.columns = columns.len();
        reader.columns = columns;
        Ok(reader)
    }

    /// The names that several of the header's columns have.
    pub(crate) fn repeated(&self) -> BTreeSet<&str> {
        let mut seen = HashSet::new();
        self.columns.iter().map(String::as_str).filter(|name| !seen.insert(*name)).collect()
    }

    /// Goes past the header, and gives its names. None: there is no line that is not blank.
    fn read_header(&mut self) -> Result<Option<Vec<String>>, FeedError> {
        let rest = self.window.rest();
        if let Some((_, bytes)) = named_delimiter(rest) {
            let lines = memchr_iter(self.dialect.newline, &rest.as_bytes()[..bytes]).count();
            self.advance(bytes, lines as u64);
        }
        loop {
            match self.find()? {
                Found::Record { bytes, lines } => {
                    self.split(bytes);
                    let text = &self.window.rest()[..bytes];
                    let columns = column_names(text, &self.cells, self.dialect);
                    self.advance(bytes, lines);
                    if columns.is_some() {
                        return Ok(columns);
                    }
                }
                Found::Refused(refusal) => {
                    return Err(FeedError::not_a_feed(format!("the header: {}", refusal.message)));
                }
                Found::End => return Ok(None),
            }
        }
    }

    /// Goes on with the archive's next file that has the same header, behind that. False: there is none. What has a
    /// frame is a feed by itself.
    pub(crate) fn next_file(&mut self) -> Result<bool, FeedError> {
        let (dialect, columns, has_frame) = (self.dialect, &self.columns, self.frame.is_some());
        let is_part = |text: &str| {
            !has_frame && header_of(text, dialect).is_none_or(|header| header == *columns)
        };
        if !self.window.next_file(is_part)? {
            return Ok(false);
        }
        self.line = 1;
        self.read_header()?;
        Ok(true)
    }

    /// Goes past the first line of text whose columns have no names.
    fn begin(&mut self, frame: &Frame) -> Result<(), FeedError> {
        loop {
            let Found::Record { bytes, lines } = self.find()? else {
                return Err(FeedError::not_a_feed("the source has no first line"));
            };
            let line = self.window.rest()[..bytes].trim_start_matches('\u{feff}').trim();
            let first = line.split(char::from(self.dialect.delimiter)).next();
            let (is_blank, is_head) = (line.is_empty(), first == Some(frame.head));
            self.advance(bytes, lines);
            if is_head {
                return Ok(());
            }
            if !is_blank {
                let message = format!("the first line does not begin with {}", frame.head);
                return Err(FeedError::not_a_feed(message));
            }
        }
    }

    /// What the last line of text in a frame says, if the record of the window is that line.
    fn trailer(&self, frame: &Frame, bytes: usize) -> Option<EndMark> {
        let line = self.window.rest()[..bytes].trim_end_matches(['\r', '\n']);
        let mut cells = line.split(char::from(self.dialect.delimiter));
        if cells.next() != Some(frame.trailer) {
            return None;
        }
        let (name, there) = (frame.trailer, self.record);
        Some(match cells.next().and_then(|count| count.trim().parse::<u64>().ok()) {
            Some(count) if count > there => {
                EndMark::Cut(format!("{name} counts {count} records, and there are {there}"))
            }
            Some(count) if count == there => {
                EndMark::Closed(format!("{name} with {count} records"))
            }
            Some(_) => EndMark::Open("the last line counts fewer records than there are"),
            None => EndMark::Open("the last line does not count the records"),
        })
    }

    /// Fills `record` with the next record that is not blank, unless it is known.
    pub(crate) fn read(
        &mut self,
        record: &mut Record,
        mut known: Option<&mut Known<'_>>,
    ) -> Result<Read, FeedError> {
        loop {
            let at = self.position();
            let (bytes, lines) = match self.find()? {
                Found::Record { bytes, lines } => (bytes, lines),
                Found::Refused(refusal) => return Ok(Read::Refused(refusal)),
                Found::End => return Ok(Read::End(self.end_mark())),
            };
            if let Some(frame) = self.frame
                && let Some(mark) = self.trailer(frame, bytes)
            {
                self.advance(bytes, lines);
                return Ok(Read::End(mark));
            }
            let has_line_end = self.has_line_end(bytes);
            if let Some(known) = &mut known
                && known
                    .is_known(self.window.rest()[..bytes].trim_end_matches(['\r', '\n']).as_bytes())
            {
                self.record += 1;
                self.last_line_ends = Some(has_line_end);
                self.advance(bytes, lines);
                return Ok(Read::Known);
            }
            let cells = self.split(bytes);
            self.fill(record, bytes);
            if record.is_empty() && !self.has_surplus(bytes, cells) {
                if cells > 1 && !has_line_end {
                    // No blank line, but the beginning of a record.
                    self.last_line_ends = Some(false);
                }
                self.advance(bytes, lines);
                continue;
            }
            self.record += 1;
            self.last_line_ends = Some(has_line_end);
            let refusal = self.check(at, bytes, cells);
            self.note_mends(record, bytes, cells);
            self.advance(bytes, lines);
            return Ok(refusal.map_or(Read::Record(at), Read::Refused));
        }
    }

    /// Where the next record is.
    fn position(&self) -> Position {
        Position {
            file: self.window.file(),
            record: self.record + 1,
            line: Some(self.line),
            byte: Some(self.window.position()),
        }
    }

    fn advance(&mut self, bytes: usize, lines: u64) {
        self.window.consume(bytes);
        self.line += lines;
    }

    fn find(&mut self) -> Result<Found, FeedError> {
        self.has_open_quote = false;
        loop {
            if self.window.rest().is_empty() && !self.window.fill()? {
                return Ok(Found::End);
            }
            let rest = self.window.rest().as_bytes();
            let is_ended = self.window.is_ended();
            match record_end(rest, is_ended, self.dialect, &mut self.quoted) {
                RecordEnd::Found { bytes, lines } if bytes <= self.max_record_bytes => {
                    let has_line_end = rest[bytes - 1] == self.dialect.newline;
                    if !has_line_end && self.window.cut().is_some() {
                        // Half a record.
                        return Ok(Found::End);
                    }
                    if lines > 1
                        && let Some((line, quoted)) = never_closed(
                            &rest[..bytes],
                            self.columns.len(),
                            self.dialect,
                            &self.quoted,
                        )
                    {
                        self.quoted.truncate(quoted);
                        self.has_open_quote = true;
                        return Ok(Found::Record { bytes: line, lines: 1 });
                    }
                    return Ok(Found::Record { bytes, lines });
                }
                RecordEnd::More if rest.len() <= self.max_record_bytes => {
                    self.window.grow()?;
                }
                RecordEnd::Unclosed if self.window.cut().is_some() => return Ok(Found::End),
                RecordEnd::Unclosed => {
                    let message = "a quote that opens here is never closed";
                    self.cut.get_or_insert_with(|| format!("line {}: {message}", self.line));
                    return self.refuse_line(RefusalReason::MalformedRecord, message.to_owned());
                }
                RecordEnd::Found { .. } | RecordEnd::More => {
                    let max = self.max_record_bytes;
                    if let Some(bytes) = first_line(rest, self.dialect, &mut self.quoted)
                        && bytes <= max
                    {
                        return Ok(Found::Record { bytes, lines: 1 });
                    }
                    let message = format!("longer than {max} bytes; an open quote does that");
                    return self.refuse_line(RefusalReason::RecordTooLarge, message);
                }
            }
        }
    }

    /// Refuses the record that begins here, and goes on with the next line: whatever an open quote would
    /// swallow is read again.
    fn refuse_line(&mut self, reason: RefusalReason, message: String) -> Result<Found, FeedError> {
        let line = self.window.rest().split(char::from(self.dialect.newline)).next();
        let line = line.unwrap_or_default().trim_end_matches('\r');
        let refusal = Refusal::new(reason, self.position(), message).showing(line);
        self.record += 1;
        self.line += 1;
        self.last_line_ends = Some(false);
        loop {
            let rest = self.window.rest().as_bytes();
            if let Some(end) = memchr(self.dialect.newline, rest) {
                self.window.consume(end + 1);
                self.last_line_ends = Some(true);
                break;
            }
            let all = rest.len();
            self.window.consume(all);
            if !self.window.fill()? {
                break;
            }
        }
        Ok(Found::Refused(refusal))
    }

    /// Finds the cells of the record of the window; gives their number.
    fn split(&mut self, bytes: usize) -> usize {
        let record = &self.window.rest().as_bytes()[..bytes];
        split(record, self.dialect, &self.quoted, &mut self.cells)
    }

    /// Copies the record of the window.
    fn fill(&self, record: &mut Record, bytes: usize) {
        let text = &self.window.rest()[..bytes];
        if self.is_by_place {
            let cells = &self.cells[..self.cells.len().min(self.header.len())];
            record.fill_cells(text, cells, |raw, out| unescape(raw, self.dialect.quoting, out));
            return;
        }
        let base = record.append(text);
        let unescape = |cell: &Cell, out: &mut String| {
            unescape(&text[cell.start..cell.end], self.dialect.quoting, out);
        };
        let push = |record: &mut Record, cell: &Cell, field: u32| {
            if cell.is_escaped {
                record.push_with(field, |out| unescape(cell, out));
            } else {
                record.push_span(field, base + cell.start, base + cell.end);
            }
        };
        let last = self.cells.last().zip(self.header.last()).filter(|_| self.ends_with_last);
        let by_place = self.cells.len() - usize::from(last.is_some());
        for (cell, field) in self.cells[..by_place].iter().zip(&self.header) {
            if let &Some(field) = field {
                push(record, cell, field);
            }
        }
        if let Some((cell, &Some(field))) = last {
            push(record, cell, field);
        }
    }

    /// Notes what was mended in the record of the window.
    fn note_mends(&self, record: &mut Record, bytes: usize, cells: usize) {
        if cells < self.named {
            let value = format!("{cells} of {} cells", self.header.len());
            record.mend(RefusalReason::ShortRecord, "", &value);
        }
        if self.has_open_quote {
            let text = self.window.rest()[..bytes].trim_end_matches(['\r', '\n']);
            record.mend(RefusalReason::StrayQuote, "", text);
        }
        if !self.quoted.iter().any(QuotedCell::is_mended) {
            return;
        }
        for cell in self.cells.iter().filter(|cell| cell.is_mended) {
            let text = &self.window.rest()[..bytes];
            record.mend(RefusalReason::StrayQuote, "", &text[cell.start..cell.end]);
        }
    }

    /// Whether the record has text in columns that the header does not have.
    fn has_surplus(&self, bytes: usize, cells: usize) -> bool {
        let text = &self.window.rest()[..bytes];
        let surplus = self.cells.get(self.header.len()..).unwrap_or_default();
        surplus.iter().any(|cell| !text[cell.start..cell.end].trim().is_empty())
            || (cells > self.cells.len() && cells > self.header.len())
    }

    /// Whether the record of the window ends with its line.
    fn has_line_end(&self, bytes: usize) -> bool {
        self.window.rest().as_bytes()[bytes - 1] == self.dialect.newline
    }

    /// Compares the record of the window with the header.
    fn check(&mut self, at: Position, bytes: usize, cells: usize) -> Option<Refusal> {
        let columns = self.header.len();
        let is_last = self.window.is_ended() && bytes == self.window.rest().len();
        let message = if self.has_surplus(bytes, cells) {
            format!("{cells} fields where the header has {columns}")
        } else if is_last && !self.has_line_end(bytes) && cells < columns {
            let message = format!("the last line has {cells} of {columns} fields and no line end");
            self.cut.get_or_insert_with(|| message.clone());
            message
        } else {
            return None;
        };
        let text = self.window.rest()[..bytes].trim_end_matches(['\r', '\n']);
        Some(Refusal::new(RefusalReason::MalformedRecord, at, message).showing(text))
    }

    fn end_mark(&self) -> EndMark {
        match (&self.cut, self.frame) {
            (Some(reason), _) => EndMark::Cut(reason.clone()),
            (None, Some(frame)) => {
                EndMark::Cut(format!("no last line that begins with {}", frame.trailer))
            }
            (None, None) => EndMark::Open("delimited text has no end mark"),
        }
    }
}

/// The names in a record that was split; none when it is blank.
fn column_names(text: &str, cells: &[Cell], dialect: Dialect) -> Option<Vec<String>> {
    let name = |(place, cell): (usize, &Cell)| {
        let raw = &text[cell.start..cell.end];
        let mut name = String::new();
        if cell.is_escaped {
            unescape(raw, dialect.quoting, &mut name);
        } else {
            name.push_str(raw);
        }
        display_name(&name, place)
    };
    let is_blank = |cell: &Cell| text[cell.start..cell.end].trim().is_empty();
    if cells.iter().all(is_blank) {
        return None;
    }
    Some(cells.iter().enumerate().map(name).collect())
}

/// The names in the first line of a text that is not blank; none where all are.
fn header_of(text: &str, dialect: Dialect) -> Option<Vec<String>> {
    let named = named_delimiter(text).map_or(0, |(_, bytes)| bytes);
    let (mut rest, mut cells, mut quoted) = (&text[named..], Vec::new(), Vec::new());
    while !rest.is_empty() {
        let bytes = match record_end(rest.as_bytes(), true, dialect, &mut quoted) {
            RecordEnd::Found { bytes, .. } => bytes,
            RecordEnd::More | RecordEnd::Unclosed => {
                memchr(dialect.newline, rest.as_bytes()).map_or(rest.len(), |end| end + 1)
            }
        };
        let (record, after) = rest.split_at(bytes);
        split(record.as_bytes(), dialect, &quoted, &mut cells);
        let names = column_names(record, &cells, dialect);
        if names.is_some() {
            return names;
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests;
