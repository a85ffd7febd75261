//! The readers of records behind one face: whatever the format, a record is values by field number.

use crate::delimited::DelimitedReader;
use crate::diagnostics::{Position, Refusal};
use crate::error::FeedError;
use crate::fields::{Names, Record};
use crate::json::JsonReader;
use crate::json_lines::JsonLinesReader;
use crate::tagged::TaggedReader;
use crate::window::Window;
use crate::xml::XmlReader;
use feedfleet_model::hash::seeded_hash;
use std::ops::Range;

/// Asks whether records are known, by their hash.
pub(crate) struct Known<'a> {
    /// Records are the same only under the same seed: the mapping's, and the header's.
    pub(crate) seed: u64,
    /// Who knows.
    pub(crate) ask: &'a mut dyn FnMut(u128) -> bool,
    /// The hash of the record that was asked about last; none when none was since the record began.
    pub(crate) hash: Option<u128>,
}

impl Known<'_> {
    pub(crate) fn is_known(&mut self, text: &[u8]) -> bool {
        let hash = seeded_hash(text, self.seed);
        self.hash = Some(hash);
        (self.ask)(hash)
    }
}

/// What a reader of records found.
pub(crate) enum Read {
    /// The record was filled.
    Record(Position),
    /// The record is one that the caller knows; it was passed over.
    Known,
    /// An item that can't be used; go on.
    Refused(Refusal),
    /// There are no more.
    End(EndMark),
}

/// What the format's own end says of completeness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EndMark {
    /// The end mark was there.
    Closed(String),
    /// The format has none.
    Open(&'static str),
    /// The end mark is missing, or the last record is broken.
    Cut(String),
}

/// A reader of records of one format.
pub(crate) enum Records {
    Delimited(DelimitedReader),
    Json(JsonReader),
    JsonLines(JsonLinesReader),
    Tagged(TaggedReader),
    Xml(Box<XmlReader>),
}

impl Records {
    /// Fills `record`, which is empty, with the next one. `known` may be asked whether a record, by the hash
    /// of its text, need not be filled.
    pub(crate) fn read(
        &mut self,
        record: &mut Record,
        names: &mut Names,
        mut known: Option<&mut Known<'_>>,
    ) -> Result<Read, FeedError> {
        loop {
            let read = match self {
                Self::Delimited(reader) => reader.read(record, known.as_deref_mut())?,
                Self::Json(reader) => reader.read(record, names)?,
                Self::JsonLines(reader) => reader.read(record, names, known.as_deref_mut())?,
                Self::Tagged(reader) => reader.read(record, names)?,
                Self::Xml(reader) => reader.read(record, names, known.as_deref_mut())?,
            };
            let Read::End(mark) = read else { return Ok(read) };
            if !self.next_file()? {
                let cut = self.window().earlier_cut().map(|reason| EndMark::Cut(reason.to_owned()));
                return Ok(Read::End(cut.unwrap_or(mark)));
            }
            if let EndMark::Cut(reason) = mark {
                self.window_mut().note_cut(&reason);
            }
        }
    }

    /// Goes on with the archive's next file that is a part of the feed. False: there is none. What is one document, or
    /// has records of several lines between marks, has no parts.
    fn next_file(&mut self) -> Result<bool, FeedError> {
        match self {
            Self::Delimited(reader) => reader.next_file(),
            Self::JsonLines(reader) => reader.next_file(),
            Self::Xml(reader) => reader.next_file(),
            Self::Json(_) | Self::Tagged(_) => self.window_mut().next_file(|_| false),
        }
    }

    /// Where in the record that was read last its members' own values are; none: it is one product.
    pub(crate) fn members(&self) -> &[Range<usize>] {
        match self {
            Self::Json(reader) => reader.members(),
            _ => &[],
        }
    }

    pub(crate) fn window(&self) -> &Window {
        match self {
            Self::Delimited(reader) => &reader.window,
            Self::Json(reader) => &reader.window,
            Self::JsonLines(reader) => &reader.window,
            Self::Tagged(reader) => &reader.window,
            Self::Xml(reader) => reader.window(),
        }
    }

    pub(crate) fn window_mut(&mut self) -> &mut Window {
        match self {
            Self::Delimited(reader) => &mut reader.window,
            Self::Json(reader) => &mut reader.window,
            Self::JsonLines(reader) => &mut reader.window,
            Self::Tagged(reader) => &mut reader.window,
            Self::Xml(reader) => reader.window_mut(),
        }
    }
}
