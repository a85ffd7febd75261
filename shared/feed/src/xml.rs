//! XML as a stream of items. Nothing is expanded or fetched; an item that is not well-formed is refused,
//! and reading goes on with the next one.

use crate::diagnostics::{Position, Refusal, RefusalReason};
use crate::error::FeedError;
use crate::fields::{Names, Record};
use crate::presets::Compound;
use crate::records::{EndMark, Read};
use crate::window::Window;
use crate::xml_input::XmlInput;
use crate::xml_item::{Item, Target};
use quick_xml::errors::Error as XmlError;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

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
    end: Option<EndMark>,
}

impl XmlReader {
    pub(crate) fn new(window: Window, shape: XmlShape, max_record_bytes: usize) -> Self {
        Self {
            reader: Some(parser(XmlInput::new(window, max_record_bytes))),
            buffer: Vec::new(),
            item: Item::new(shape.compounds, shape.is_google),
            shape,
            max_record_bytes,
            is_in_item: false,
            pending: None,
            root: None,
            outer: 0,
            record: 0,
            item_start: 0,
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

    /// Fills `record` with the next item.
    pub(crate) fn read(
        &mut self,
        record: &mut Record,
        names: &mut Names,
    ) -> Result<Read, FeedError> {
        let mut to = Target { record, names };
        if let Some((tag, place)) = self.pending.take() {
            self.begin(&tag, place, &mut to);
        }
        loop {
            if let Some(end) = &self.end {
                return Ok(Read::End(end.clone()));
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

    fn event(
        &mut self,
        event: Event<'_>,
        place: u64,
        to: &mut Target<'_>,
    ) -> Result<Option<Read>, FeedError> {
        if self.is_in_item {
            self.check_size(place);
        }
        match event {
            Event::Start(tag) => return self.start(&tag, place, false, to),
            Event::Empty(tag) => return self.start(&tag, place, true, to),
            Event::End(tag) => {
                let local = tag.local_name().into_inner();
                return self.close(local, to);
            }
            Event::Text(text) if self.is_in_item => self.item.text(&text),
            Event::CData(text) if self.is_in_item => self.item.text(&text),
            Event::GeneralRef(reference) if self.is_in_item => self.item.reference(&reference),
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
            self.item.break_off(
                RefusalReason::MalformedRecord,
                format!("no </{}> before the next item", self.item.name()),
            );
            self.is_in_item = false;
            self.pending = Some((tag.to_owned(), place));
            // An item without content has nothing to wait for.
            if is_empty {
                self.pending = None;
            }
            return Ok(Some(self.refusal()));
        } else if !self.item.is_broken() {
            self.item.open(tag, to);
        }
        if is_empty {
            return self.close(local, to);
        }
        Ok(None)
    }

    /// Whether a start tag of an item, while one is open, means that the open one lacks its end.
    fn is_next_item(&self) -> bool {
        self.shape.is_google || self.item.is_broken() || self.item.depth() == 0
    }

    fn begin(&mut self, tag: &BytesStart<'_>, place: u64, to: &mut Target<'_>) {
        self.is_in_item = true;
        self.record += 1;
        self.item_start = place;
        self.item.begin(tag.local_name().into_inner());
        self.item.attributes(tag, to);
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
        let is_end = self.item.depth() == 0 && local == self.item.name();
        if !is_end && !self.item.is_broken() {
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
        Position { record: self.record, line: None, byte: Some(self.item_start) }
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
        Read::Refused(Refusal::new(reason, self.position(), message))
    }

    /// Goes on after an error of the parser, if there is anything to go on with.
    fn recover(&mut self, error: &XmlError, place: u64) -> Result<Option<Read>, FeedError> {
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

    fn end_of_text(&mut self) -> Result<Option<Read>, FeedError> {
        let root = self.root.as_deref().ok_or_else(|| FeedError::not_a_feed("there is no XML"))?;
        self.end = Some(EndMark::Cut(format!("no closing </{root}>")));
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

fn parser(input: XmlInput) -> Reader<XmlInput> {
    let mut reader = Reader::from_reader(input);
    let config = reader.config_mut();
    // Ends are compared here, where it is known what can be done about one that is wrong.
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    reader
}

fn web_page() -> FeedError {
    FeedError::not_a_feed("the source sent a web page")
}
