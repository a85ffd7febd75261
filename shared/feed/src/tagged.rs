//! Tagged text: a field a line, as in `<<<pname>>>A chair`, with a tag before each product and one behind it.
//! Shops' software leaves out one or the other; a second id begins a product, too.

use crate::diagnostics::{Position, Refusal, RefusalReason};
use crate::error::FeedError;
use crate::fields::{Names, Record};
use crate::presets::Tags;
use crate::records::{EndMark, Read};
use crate::window::Window;
use memchr::memchr;

/// Reads products.
pub(crate) struct TaggedReader {
    pub(crate) window: Window,
    tags: &'static Tags,
    max_record_bytes: usize,
    /// Lines read.
    line: u64,
    record: u64,
    /// The number of products that the text says it has.
    announced: Option<u64>,
    has_end_tag: bool,
    /// The text of the field that is open.
    text: String,
}

/// What a line is to the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Begin,
    End,
    Count(Option<u64>),
    Id,
    Field,
    /// It goes on with the field above.
    More,
}

/// The product that is being read.
#[derive(Default)]
struct Product {
    /// Where it begins; none: it has not.
    at: Option<Position>,
    bytes: usize,
    has_id: bool,
    /// The field that is open.
    field: Option<u32>,
}

impl TaggedReader {
    pub(crate) fn new(window: Window, tags: &'static Tags, max_record_bytes: usize) -> Self {
        Self {
            window,
            tags,
            max_record_bytes,
            line: 0,
            record: 0,
            announced: None,
            has_end_tag: false,
            text: String::new(),
        }
    }

    /// Fills `record` with the next product.
    pub(crate) fn read(
        &mut self,
        record: &mut Record,
        names: &mut Names,
    ) -> Result<Read, FeedError> {
        let mut product = Product::default();
        self.text.clear();
        loop {
            let place = self.window.position();
            let Some(bytes) = self.find()? else {
                return Ok(Read::End(self.end_mark(product.at.is_some())));
            };
            let whole = &self.window.rest()[..bytes];
            let line = whole.trim_end_matches(['\r', '\n']);
            let (kind, name, text) = parse(self.tags, line);
            let is_other = match kind {
                Line::Begin => product.bytes > 0,
                Line::Id => product.has_id,
                _ => false,
            };
            if is_other {
                // The line belongs to the next product.
                return Ok(self.finish(record, &product));
            }
            let is_part = matches!(kind, Line::Begin | Line::Id | Line::Field);
            if is_part && product.at.is_none() {
                let (record, line) = (self.record + 1, Some(self.line + 1));
                product.at = Some(Position { file: 0, record, line, byte: Some(place) });
                // An end tag that a product follows on has not ended the text.
                self.has_end_tag = false;
            }
            match kind {
                Line::Begin | Line::End => {}
                Line::Count(count) => self.announced = count.or(self.announced),
                Line::Id | Line::Field => {
                    product.bytes += bytes;
                    product.has_id |= kind == Line::Id;
                    if let Some(field) = product.field.take() {
                        record.push(field, &self.text);
                    }
                    self.text.clear();
                    if product.bytes <= self.max_record_bytes {
                        self.text.push_str(text);
                        product.field = names.intern(name);
                    }
                }
                Line::More if product.field.is_some() => {
                    product.bytes += bytes;
                    if product.bytes <= self.max_record_bytes {
                        self.text.push('\n');
                        self.text.push_str(line);
                    }
                }
                Line::More => {}
            }
            self.window.consume(bytes);
            self.line += 1;
            if kind == Line::End {
                if product.bytes > 0 {
                    return Ok(self.finish(record, &product));
                }
                // None is open, or one without a field: that is no product.
                self.has_end_tag |= product.at.is_none();
                product = Product::default();
            }
        }
    }

    /// The product that is open, as it is.
    fn finish(&mut self, record: &mut Record, product: &Product) -> Read {
        self.record += 1;
        if let Some(field) = product.field {
            record.push(field, &self.text);
        }
        let at = product.at.unwrap_or_default();
        if product.bytes <= self.max_record_bytes {
            return Read::Record(at);
        }
        let message = format!("longer than {} bytes", self.max_record_bytes);
        Read::Refused(Refusal::new(RefusalReason::RecordTooLarge, at, message))
    }

    /// The length of the next line, or of a part of one that is longer than a product may be. None at the end
    /// of the source; half a line of a source that was cut does not count.
    fn find(&mut self) -> Result<Option<usize>, FeedError> {
        loop {
            let rest = self.window.rest().as_bytes();
            if let Some(end) = memchr(b'\n', rest) {
                return Ok(Some(end + 1));
            }
            let bytes = rest.len();
            if bytes > self.max_record_bytes {
                return Ok(Some(bytes));
            }
            if !self.window.grow()? {
                return Ok((bytes > 0 && self.window.cut().is_none()).then_some(bytes));
            }
        }
    }

    /// `is_open`: the text ends within a product.
    fn end_mark(&self, is_open: bool) -> EndMark {
        let there = self.record;
        if is_open {
            return EndMark::Cut("the last product has no end".to_owned());
        }
        match self.announced {
            Some(count) if count > there => {
                EndMark::Cut(format!("{count} products are announced, and there are {there}"))
            }
            Some(count) if count == there => {
                EndMark::Closed(format!("{count} products, as announced"))
            }
            _ if self.has_end_tag => EndMark::Closed("the tag that ends the text".to_owned()),
            _ => EndMark::Open("neither a tag nor a count shows where the text ends"),
        }
    }
}

/// A line's kind, its tag's name and the text behind the tag.
fn parse<'l>(tags: &Tags, line: &'l str) -> (Line, &'l str, &'l str) {
    let tagged = line.trim_start().strip_prefix(tags.open);
    let Some((name, text)) = tagged.and_then(|rest| rest.split_once(tags.close)) else {
        return (Line::More, "", line);
    };
    let name = name.trim();
    let is = |tag: &&str| name.eq_ignore_ascii_case(tag);
    let kind = if is(&tags.begin) {
        Line::Begin
    } else if tags.ends.iter().any(is) {
        Line::End
    } else if is(&tags.count) {
        Line::Count(text.trim().parse().ok())
    } else if tags.id.iter().any(is) {
        Line::Id
    } else {
        Line::Field
    };
    (kind, name, text)
}
