//! The readers of records behind one face: whatever the format, a record is values by field number.

use crate::delimited::DelimitedReader;
use crate::diagnostics::{Position, Refusal};
use crate::error::FeedError;
use crate::fields::{Names, Record};
use crate::json::JsonReader;
use crate::json_lines::JsonLinesReader;
use crate::window::Window;
use crate::xml::XmlReader;

/// What a reader of records found.
pub(crate) enum Read {
    /// The record was filled.
    Record(Position),
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
    Xml(Box<XmlReader>),
}

impl Records {
    /// Fills `record`, which is empty, with the next one.
    pub(crate) fn read(
        &mut self,
        record: &mut Record,
        names: &mut Names,
    ) -> Result<Read, FeedError> {
        match self {
            Self::Delimited(reader) => reader.read(record),
            Self::Json(reader) => reader.read(record, names),
            Self::JsonLines(reader) => reader.read(record, names),
            Self::Xml(reader) => reader.read(record, names),
        }
    }

    pub(crate) fn window(&self) -> &Window {
        match self {
            Self::Delimited(reader) => &reader.window,
            Self::Json(reader) => &reader.window,
            Self::JsonLines(reader) => &reader.window,
            Self::Xml(reader) => reader.window(),
        }
    }

    pub(crate) fn window_mut(&mut self) -> &mut Window {
        match self {
            Self::Delimited(reader) => &mut reader.window,
            Self::Json(reader) => &mut reader.window,
            Self::JsonLines(reader) => &mut reader.window,
            Self::Xml(reader) => reader.window_mut(),
        }
    }
}
