//! Sitemaps as a stream of entries: XML lists and indexes, plain text, and RSS and Atom feeds, which sites offer
//! as sitemaps too.
//!
//! Bounds that the protocol sets (50,000 entries, 50 MB) are counted and reported; more is read nevertheless.
//! What is broken is left out and counted, and a document without an end is told from a whole one.

mod dates;
mod item;
mod report;
mod text;

pub use self::report::{
    PROTOCOL_BYTES, PROTOCOL_ENTRIES, SitemapEntry, SitemapError, SitemapKind, SitemapReport,
};

use self::item::Item;
use self::text::TextInput;
use quick_xml::errors::Error as XmlError;
use quick_xml::events::Event;
use quick_xml::reader::Reader;
use std::io::{BufRead, Read};

/// Bytes that are read of one sitemap in any case.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;

enum Input<R: Read> {
    Xml(Reader<TextInput<R>>),
    Text(TextInput<R>),
    Ended,
}

/// Reads a sitemap, already decompressed. After an error there are no more entries.
pub struct SitemapReader<R: Read> {
    input: Input<R>,
    buffer: Vec<u8>,
    item: Item,
    root: Option<String>,
    is_closed: bool,
    /// Where the parser last gave up.
    last_error: Option<u64>,
    report: SitemapReport,
}

impl<R: Read> Iterator for SitemapReader<R> {
    type Item = Result<SitemapEntry, SitemapError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = match &self.input {
            Input::Ended => return None,
            Input::Xml(_) => self.next_item(),
            Input::Text(_) => self.next_line(),
        };
        self.report.unknown_references = self.item.unknown_references();
        if let Ok(Some(_)) = &read {
            self.report.entries += 1;
        } else {
            self.input = Input::Ended;
        }
        read.transpose()
    }
}

impl<R: Read> SitemapReader<R> {
    /// Reads the first bytes.
    pub fn open(source: R) -> Result<Self, SitemapError> {
        let mut text = TextInput::open(source).map_err(SitemapError::io)?;
        while text.rest().trim_start().is_empty() {
            let blank = text.rest().len();
            text.consume(blank);
            if !text.fill().map_err(SitemapError::io)? {
                return Err(SitemapError::not_a_sitemap("it is empty"));
            }
        }
        text.begin_piece();
        let mut report = SitemapReport { bytes: text.bytes_read(), ..SitemapReport::default() };
        let input = if text.rest().trim_start().starts_with('<') {
            Input::Xml(parser(text))
        } else {
            report.kind = Some(SitemapKind::Text);
            Input::Text(text)
        };
        Ok(Self {
            input,
            buffer: Vec::new(),
            item: Item::default(),
            root: None,
            is_closed: false,
            last_error: None,
            report,
        })
    }

    /// What the sitemap turned out to be, so far.
    pub fn report(&self) -> &SitemapReport {
        &self.report
    }

    fn next_line(&mut self) -> Result<Option<SitemapEntry>, SitemapError> {
        let Input::Text(text) = &mut self.input else { return Ok(None) };
        let mut line = String::new();
        while text.line(&mut line).map_err(SitemapError::io)? {
            self.report.bytes = text.bytes_read();
            if self.report.bytes > MAX_BYTES {
                self.report.cut = Some(format!("only {MAX_BYTES} bytes were read"));
                return Ok(None);
            }
            let location = line.trim();
            if location.starts_with("http://") || location.starts_with("https://") {
                let location = location.to_owned();
                return Ok(Some(SitemapEntry {
                    location,
                    is_sitemap: false,
                    modified: None,
                    images: Vec::new(),
                }));
            }
            self.report.without_location += u64::from(!location.is_empty());
        }
        if self.report.entries == 0 {
            return Err(SitemapError::not_a_sitemap("text without a URL at a line's start"));
        }
        Ok(None)
    }

    fn next_item(&mut self) -> Result<Option<SitemapEntry>, SitemapError> {
        while !self.is_closed {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            let Input::Xml(reader) = &mut self.input else { return Ok(None) };
            reader.get_mut().begin_piece();
            self.report.bytes = reader.get_ref().bytes_read();
            let step = match reader.read_event_into(&mut buffer) {
                Ok(event) => self.event(event)?,
                Err(error) => self.recover(&error)?,
            };
            self.buffer = buffer;
            match step {
                Step::On => {}
                Step::Entry(entry) => return Ok(Some(entry)),
                Step::End => break,
            }
        }
        if self.kind() == SitemapKind::Other && self.report.entries == 0 {
            let root = self.root.as_deref().unwrap_or_default();
            return Err(SitemapError::not_a_sitemap(&format!("a <{root}> without an entry")));
        }
        Ok(None)
    }

    fn event(&mut self, event: Event<'_>) -> Result<Step, SitemapError> {
        match event {
            Event::Start(tag) if self.root.is_none() => {
                self.root(tag.local_name().into_inner())?;
            }
            Event::Empty(tag) if self.root.is_none() => {
                self.root(tag.local_name().into_inner())?;
                self.is_closed = true;
            }
            Event::Start(tag) => {
                let local = tag.local_name().into_inner();
                if self.is_item(local) {
                    // One that is open lacks its end tag.
                    let last = self.end_item();
                    self.item.begin(local);
                    return Ok(last);
                }
                if self.item.name().is_some() {
                    self.item.open(&tag);
                }
            }
            Event::Empty(tag) if self.item.name().is_some() => {
                self.item.open(&tag);
                self.item.close();
            }
            Event::End(tag) => return Ok(self.close(tag.local_name().into_inner())),
            Event::Text(text) if self.item.name().is_some() => self.item.text(&text),
            Event::CData(text) if self.item.name().is_some() => self.item.text(&text),
            Event::GeneralRef(reference) if self.item.name().is_some() => {
                self.item.reference(&reference);
            }
            Event::DocType(text)
                if text.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("html")) =>
            {
                return Err(SitemapError::not_a_sitemap("a web page"));
            }
            Event::Eof => return self.end_of_text(),
            _ => {}
        }
        if self.report.bytes > MAX_BYTES {
            self.report.cut = Some(format!("only {MAX_BYTES} bytes were read"));
            return Ok(Step::End);
        }
        Ok(Step::On)
    }

    fn root(&mut self, local: &str) -> Result<(), SitemapError> {
        let kind = match local {
            "urlset" => SitemapKind::Pages,
            "sitemapindex" => SitemapKind::Index,
            "rss" | "RDF" => SitemapKind::Rss,
            "feed" => SitemapKind::Atom,
            _ if local.eq_ignore_ascii_case("html") => {
                return Err(SitemapError::not_a_sitemap("a web page"));
            }
            _ => SitemapKind::Other,
        };
        self.report.kind = Some(kind);
        self.root = Some(local.to_owned());
        // A list that lost its root.
        if self.is_item(local) {
            self.item.begin(local);
        }
        Ok(())
    }

    fn kind(&self) -> SitemapKind {
        self.report.kind.unwrap_or(SitemapKind::Other)
    }

    /// Whether an element is an item: a feed's pictures have a `url` too.
    fn is_item(&self, local: &str) -> bool {
        match self.kind() {
            SitemapKind::Pages | SitemapKind::Index => matches!(local, "url" | "sitemap"),
            SitemapKind::Rss => local == "item",
            SitemapKind::Atom => local == "entry",
            SitemapKind::Other => matches!(local, "url" | "sitemap" | "item" | "entry"),
            SitemapKind::Text => false,
        }
    }

    fn close(&mut self, local: &str) -> Step {
        let is_root = self.root.as_deref() == Some(local);
        if self.item.name() == Some(local) {
            return self.end_item();
        }
        if is_root {
            // It may close around an item that never did.
            self.is_closed = true;
            return self.end_item();
        }
        self.item.close();
        Step::On
    }

    fn end_item(&mut self) -> Step {
        if self.item.name().is_none() {
            return Step::On;
        }
        match self.item.end() {
            Some(entry) => Step::Entry(entry),
            None => {
                self.report.without_location += 1;
                Step::On
            }
        }
    }

    /// Goes on after an error of the parser, if there is anything to go on with.
    fn recover(&mut self, error: &XmlError) -> Result<Step, SitemapError> {
        self.report.errors += 1;
        let Input::Xml(reader) = &mut self.input else { return Ok(Step::End) };
        if let Some(source) = reader.get_mut().take_failure() {
            return Err(SitemapError::io(source));
        }
        if reader.get_mut().take_over() {
            self.item.clear();
        }
        if matches!(error, XmlError::IllFormed(_)) {
            return Ok(Step::On);
        }
        // The parser gives up; another one goes on where it stopped.
        let Input::Xml(reader) = std::mem::replace(&mut self.input, Input::Ended) else {
            return Ok(Step::End);
        };
        let mut text = reader.into_inner();
        text.begin_piece();
        if self.last_error == Some(text.consumed()) {
            text.skip_character();
        }
        self.last_error = Some(text.consumed());
        self.input = Input::Xml(parser(text));
        Ok(Step::On)
    }

    fn end_of_text(&mut self) -> Result<Step, SitemapError> {
        if self.report.kind.is_none() {
            return Err(SitemapError::not_a_sitemap("there is no element in it"));
        }
        let root = self.root.as_deref().unwrap_or_default();
        self.report.cut = Some(format!("no closing </{root}>"));
        self.is_closed = true;
        Ok(self.item.end_cut().map_or(Step::End, Step::Entry))
    }
}

enum Step {
    On,
    Entry(SitemapEntry),
    End,
}

fn parser<R: Read>(text: TextInput<R>) -> Reader<TextInput<R>> {
    let mut reader = Reader::from_reader(text);
    let config = reader.config_mut();
    // Ends are compared here, where it is known what can be done about one that is wrong.
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    reader
}
