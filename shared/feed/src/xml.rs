//! XML as a stream of items. Nothing is expanded or fetched; an item that is not well-formed is mended where its
//! fields can be told all the same, and refused otherwise; reading goes on with the next one.

use crate::diagnostics::{Position, Refusal, RefusalReason, SHOWN_CHARS};
use crate::error::FeedError;
use crate::fields::{Names, Record};
use crate::presets::Compound;
use crate::records::{EndMark, Known, Read};
use crate::window::Window;
use crate::xml_input::{XmlInput, parser};
use crate::xml_item::{Item, Target};
use crate::xml_plain::PlainItems;
use quick_xml::errors::Error as XmlError;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// Bytes of an item's beginning that are kept, to be shown if it is refused: as many characters, whatever they are.
const HEAD_BYTES: usize = SHOWN_CHARS * 4;

/// What the items of a document look like.
#[derive(Debug, Clone)]
pub(crate) struct XmlShape {
    /// Local names of the elements that are one product.
    pub(crate) items: Vec<String>,
    /// Roots that the format allows; none: any.
    pub(crate) roots: &'static [&'static str],
    /// Elements whose parts become one text.
    pub(crate) compounds: &'static [Compound],
    /// Whether an element with a prefix outdoes its namesake without one, and items never nest.
    pub(crate) is_google: bool,
}

/// Reads items.
pub(crate) struct XmlReader {
    /// Only absent inside of [`XmlReader::restart`].
    reader: Option<Reader<XmlInput>>,
    buffer: Vec<u8>,
    /// Reads the items that need no parser.
    pub(crate) plain: PlainItems,
    /// Whether the parser is behind a tag or its like, and not at the end of a text: only there it does not notice
    /// when text is consumed without it.
    is_after_tag: bool,
    shape: XmlShape,
    max_record_bytes: usize,
    item: Item,
    is_in_item: bool,
    /// The start tag of an item that came before the last one had ended, and where it was.
    pending: Option<(BytesStart<'static>, u64)>,
    root: Option<String>,
    /// Elements open around the items, by their tags; wrong by some where tags are missing.
    outer: i64,
    record: u64,
    item_start: u64,
    /// The text that the item begins with, as far as it is in memory, and what follows it if it is short.
    head: String,
    end: Option<EndMark>,
}

impl XmlReader {
    pub(crate) fn new(window: Window, shape: XmlShape, max_record_bytes: usize) -> Self {
        Self {
            reader: Some(parser(XmlInput::new(window, max_record_bytes))),
            buffer: Vec::new(),
            plain: PlainItems::new(&shape, max_record_bytes),
            is_after_tag: false,
            item: Item::new(shape.compounds, shape.is_google),
            shape,
            max_record_bytes,
            is_in_item: false,
            pending: None,
            root: None,
            outer: 0,
            record: 0,
            item_start: 0,
            head: String::new(),
            end: None,
        }
    }

    fn reader(&self) -> &Reader<XmlInput> {
        self.reader.as_ref().expect("a parser is there except while it is replaced")
    }

    fn reader_mut(&mut self) -> &mut Reader<XmlInput> {
        self.reader.as_mut().expect("a parser is there except while it is replaced")
    }

    pub(crate) fn window(&self) -> &Window {
        &self.reader().get_ref().window
    }

    pub(crate) fn window_mut(&mut self) -> &mut Window {
        &mut self.reader_mut().get_mut().window
    }

    /// References that nobody knows.
    pub(crate) fn unknown_references(&self) -> u64 {
        self.item.unknown_references()
    }

    /// Fills `record` with the next item. `known` is asked about those whose text is whole without doubt.
    pub(crate) fn read(
        &mut self,
        record: &mut Record,
        names: &mut Names,
        mut known: Option<&mut Known<'_>>,
    ) -> Result<Read, FeedError> {
        let mut to = Target { record, names };
        if let Some((tag, place)) = self.pending.take() {
            self.begin(&tag, place, &mut to);
        }
        loop {
            if let Some(end) = &self.end {
                return Ok(Read::End(end.clone()));
            }
            if let Some(read) = self.read_plain(&mut to, known.as_deref_mut())? {
                return Ok(read);
            }
            let place = self.window().position();
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            let reader = self.reader_mut();
            reader.get_mut().begin_piece();
            let read = match reader.read_event_into(&mut buffer) {
                Ok(event) => self.event(event, place, &mut to)?,
                Err(error) => self.recover(&error, place)?,
            };
            self.buffer = buffer;
            if let Some(read) = read {
                return Ok(read);
            }
        }
    }

    /// Reads the item that comes next without the parser, if it can be.
    fn read_plain(
        &mut self,
        to: &mut Target<'_>,
        known: Option<&mut Known<'_>>,
    ) -> Result<Option<Read>, FeedError> {
        if !self.is_after_tag || self.is_in_item || self.root.is_none() {
            return Ok(None);
        }
        let reader = self.reader.as_mut().expect("a parser is there except while it is replaced");
        let Some(item) = self.plain.read(&mut reader.get_mut().window, to, known)? else {
            return Ok(None);
        };
        self.record += 1;
        self.item_start = item.place;
        Ok(Some(if item.is_known { Read::Known } else { Read::Record(self.position()) }))
    }

    fn event(
        &mut self,
        event: Event<'_>,
        place: u64,
        to: &mut Target<'_>,
    ) -> Result<Option<Read>, FeedError> {
        self.is_after_tag = !matches!(event, Event::Text(_));
        if self.is_in_item {
            self.check_size(place);
        }
        match event {
            Event::Start(tag) | Event::Empty(tag) if !begins_name(&tag) => {
                return self.stray(&tag, place, to);
            }
            Event::Start(tag) => return self.start(&tag, place, false, to),
            Event::Empty(tag) => return self.start(&tag, place, true, to),
            Event::End(tag) => {
                let local = tag.local_name().into_inner();
                return self.close(local, to);
            }
            Event::Text(text) if self.is_in_item => self.item.text(&text),
            Event::CData(text) if self.is_in_item => self.item.text(&text),
            Event::GeneralRef(reference) if self.is_in_item => {
                self.item.reference(&reference, to);
            }
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => {}
            Event::DocType(text) => {
                if text.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("html")) {
                    return Err(web_page());
                }
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => return self.end_of_text(),
        }
        Ok(None)
    }

    fn start(
        &mut self,
        tag: &BytesStart<'_>,
        place: u64,
        is_empty: bool,
        to: &mut Target<'_>,
    ) -> Result<Option<Read>, FeedError> {
        let local = tag.local_name().into_inner();
        if self.root.is_none() {
            if local.eq_ignore_ascii_case("html") {
                return Err(web_page());
            }
            self.root = Some(local.to_owned());
        }
        let is_item = self.shape.items.iter().any(|item| item == local);
        if !self.is_in_item {
            if is_item {
                self.begin(tag, place, to);
            } else {
                self.outer += 1;
            }
        } else if is_item && self.is_next_item() {
            self.is_in_item = false;
            // An item without content has nothing to wait for.
            self.pending = (!is_empty).then(|| (tag.to_owned(), place));
            if self.item.depth() == 0 && !self.item.is_broken() {
                // Every element in it is closed: its own end is all that it lacks.
                let what = format!("no </{}> before the next item", self.item.name());
                self.item.mend(&what, to);
                return Ok(Some(Read::Record(self.position())));
            }
            self.item.break_off(
                RefusalReason::MalformedRecord,
                format!("no </{}> before the next item", self.item.name()),
            );
            return Ok(Some(self.refusal()));
        } else if !self.item.is_broken() {
            self.item.open(tag, to);
        }
        if is_empty {
            return self.close(local, to);
        }
        Ok(None)
    }

    /// Reads a `<` that begins no tag, and what the parser took for the rest of one.
    fn stray(
        &mut self,
        content: &str,
        place: u64,
        to: &mut Target<'_>,
    ) -> Result<Option<Read>, FeedError> {
        if self.is_in_item {
            self.item.mend("< that begins no tag", to);
        }
        let mut rest = content;
        loop {
            self.stray_text("<");
            let Some(at) = rest.find('<') else {
                self.stray_text(rest);
                self.stray_text(">");
                return Ok(None);
            };
            self.stray_text(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(name) = rest.strip_prefix('/') {
                let name = name.trim();
                return self.close(name.rsplit(':').next().unwrap_or(name), to);
            }
            if begins_name(rest) {
                let name = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
                return self.start(&BytesStart::from_content(rest, name), place, false, to);
            }
        }
    }

    fn stray_text(&mut self, text: &str) {
        if self.is_in_item {
            self.item.text(text);
        }
    }

    /// Whether a start tag of an item, while one is open, means that the open one lacks its end.
    fn is_next_item(&self) -> bool {
        self.shape.is_google || self.item.is_broken() || self.item.depth() == 0
    }

    fn begin(&mut self, tag: &BytesStart<'_>, place: u64, to: &mut Target<'_>) {
        self.is_in_item = true;
        self.record += 1;
        self.item_start = place;
        self.keep_head(tag);
        self.item.begin(tag.local_name().into_inner());
        self.item.attributes(tag, to);
    }

    /// Keeps the beginning of the item whose start tag was read last.
    fn keep_head(&mut self, tag: &str) {
        let mut head = std::mem::take(&mut self.head);
        head.clear();
        head.push('<');
        head.push_str(tag);
        head.push('>');
        let rest = self.window().rest();
        let mut end = rest.len().min(HEAD_BYTES);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        head.push_str(&rest[..end]);
        self.head = head;
    }

    /// The beginning of the open item.
    fn head(&self) -> &str {
        let bytes = self.window().position().saturating_sub(self.item_start);
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.head.get(..bytes).unwrap_or(&self.head).trim_end()
    }

    fn close(&mut self, local: &str, to: &mut Target<'_>) -> Result<Option<Read>, FeedError> {
        let is_root = self.root.as_deref() == Some(local);
        if !self.is_in_item {
            self.outer -= 1;
            if is_root && self.outer <= 0 {
                self.end = Some(self.closed()?);
            }
            return Ok(None);
        }
        let is_open = self.item.has_open(local);
        if self.item.is_broken() {
            // Only its end, or that of the document, counts.
        } else if local == self.item.name() && !is_open {
            self.item.unwind(0, to);
        } else if is_root && !is_open {
            let message = format!("no </{}> before the end of the document", self.item.name());
            self.item.break_off(RefusalReason::MalformedRecord, message);
        } else {
            self.item.close(local, to);
            if !self.item.is_broken() {
                return Ok(None);
            }
        }
        if local == self.item.name() {
            let place = self.window().position();
            self.check_size(place);
            if is_root && self.outer == 0 {
                self.end = Some(self.closed()?);
            }
        } else if !is_root {
            return Ok(None);
        }
        // Also when the document closes around an item that never did.
        self.is_in_item = false;
        if self.item.is_broken() {
            return Ok(Some(self.refusal()));
        }
        Ok(Some(Read::Record(self.position())))
    }

    fn position(&self) -> Position {
        let (file, byte) = (self.window().file(), Some(self.item_start));
        Position { file, record: self.record, line: None, byte }
    }

    fn check_size(&mut self, place: u64) {
        let max = self.max_record_bytes;
        if place - self.item_start > max as u64 {
            self.item.break_off(RefusalReason::RecordTooLarge, format!("longer than {max} bytes"));
        }
    }

    /// The open item's refusal.
    fn refusal(&mut self) -> Read {
        let unknown = || (RefusalReason::MalformedRecord, "not well-formed".to_owned());
        let (reason, message) = self.item.take_broken().unwrap_or_else(unknown);
        Read::Refused(Refusal::new(reason, self.position(), message).showing(self.head()))
    }

    /// Goes on after an error of the parser, if there is anything to go on with.
    fn recover(&mut self, error: &XmlError, place: u64) -> Result<Option<Read>, FeedError> {
        self.is_after_tag = false;
        let input = self.reader_mut().get_mut();
        if let Some(failure) = input.take_failure() {
            return Err(failure);
        }
        let (reason, message) = if input.take_over() {
            let message = format!("one piece is longer than {} bytes", self.max_record_bytes);
            (RefusalReason::RecordTooLarge, message)
        } else {
            (RefusalReason::MalformedRecord, error.to_string())
        };
        if !matches!(error, XmlError::IllFormed(_)) {
            // The parser gives up; another one goes on where it stopped.
            self.restart();
            if self.window().rest().is_empty() && !self.window_mut().fill()? {
                return self.end_of_text();
            }
        }
        if self.is_in_item {
            self.item.break_off(reason, message);
            return Ok(None);
        }
        self.record += 1;
        self.item_start = place;
        Ok(Some(Read::Refused(Refusal::new(reason, self.position(), message))))
    }

    fn restart(&mut self) {
        let old = self.reader.take().expect("a parser is there except while it is replaced");
        let mut input = old.into_inner();
        input.begin_piece();
        self.reader = Some(parser(input));
    }

    /// Goes on with the archive's next document that has the same root. False: there is none.
    pub(crate) fn next_file(&mut self) -> Result<bool, FeedError> {
        let root = self.root.clone();
        let is_part = |text: &str| root_of(text).is_some_and(|name| root.as_deref() == Some(name));
        if !self.window_mut().next_file(is_part)? {
            return Ok(false);
        }
        self.restart();
        // It remembers places in the text.
        self.plain = PlainItems::new(&self.shape, self.max_record_bytes);
        self.is_after_tag = false;
        self.is_in_item = false;
        self.pending = None;
        self.root = None;
        self.outer = 0;
        self.end = None;
        Ok(true)
    }

    fn end_of_text(&mut self) -> Result<Option<Read>, FeedError> {
        let reason = match self.root.as_deref() {
            Some(root) => format!("no closing </{root}>"),
            None if self.window().file() > 0 => "a file of the archive ends early".to_owned(),
            None => return Err(FeedError::not_a_feed("there is no XML")),
        };
        self.end = Some(EndMark::Cut(reason));
        Ok(None)
    }

    fn closed(&self) -> Result<EndMark, FeedError> {
        let root = self.root.as_deref().unwrap_or_default();
        let is_known = self.shape.roots.is_empty()
            || self.shape.roots.iter().any(|known| known.eq_ignore_ascii_case(root));
        if self.record == 0 && !is_known {
            let message = format!("the document is a <{root}> without a product");
            return Err(FeedError::not_a_feed(message));
        }
        Ok(EndMark::Closed(format!("closing </{root}>")))
    }
}

/// Whether what is in a tag begins as a name does.
fn begins_name(content: &str) -> bool {
    content.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | ':'))
}

/// The local name of the first element in a text.
fn root_of(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        rest = &rest[rest.find('<')?..];
        let end = if rest.starts_with("<!--") {
            "-->"
        } else if rest.starts_with("<?") {
            "?>"
        } else if !rest.starts_with("<!") {
            break;
        } else if rest[..rest.find('>')?].contains('[') {
            // What stands between a document type's brackets begins with `<!` too.
            "["
        } else {
            ">"
        };
        rest = &rest[rest.find(end)? + end.len()..];
    }
    let tag = &rest[1..];
    let name = &tag[..tag.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/'))?];
    Some(name.rsplit(':').next().unwrap_or(name))
}

fn web_page() -> FeedError {
    FeedError::not_a_feed("the source sent a web page")
}
