//! The part of a source's text that is in memory: readers of records look at it, ask for more, and give
//! back what they are done with.

use crate::encoding::TextReader;
use crate::error::FeedError;

/// A moving piece of the text.
pub(crate) struct Window {
    source: TextReader,
    text: String,
    start: usize,
    /// Bytes that came before `text`.
    dropped: u64,
    is_ended: bool,
}

impl Window {
    pub(crate) fn new(source: TextReader) -> Self {
        Self { source, text: String::new(), start: 0, dropped: 0, is_ended: false }
    }

    /// The text that is here and not consumed.
    pub(crate) fn rest(&self) -> &str {
        &self.text[self.start..]
    }

    /// Gives back the first bytes of the rest.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        debug_assert!(self.text.is_char_boundary(self.start));
    }

    /// Bytes of text before the rest, from the source's beginning.
    pub(crate) fn position(&self) -> u64 {
        self.dropped + self.start as u64
    }

    /// Whether nothing comes after the rest.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Why the source's text ends before the source does.
    pub(crate) fn cut(&self) -> Option<&str> {
        self.source.bytes().end().cut.as_deref()
    }

    /// Where the text comes from.
    pub(crate) fn source(&self) -> &TextReader {
        &self.source
    }

    /// Makes the rest longer. False: it can't be.
    pub(crate) fn fill(&mut self) -> Result<bool, FeedError> {
        if self.start > 0 {
            self.text.drain(..self.start);
            self.dropped += self.start as u64;
            self.start = 0;
        }
        let before = self.text.len();
        while !self.is_ended && self.text.len() == before {
            self.is_ended = !self.source.fill(&mut self.text)?;
        }
        Ok(self.text.len() > before)
    }

    /// Makes the rest about twice as long, so that looking at it again from its start stays cheap.
    pub(crate) fn grow(&mut self) -> Result<bool, FeedError> {
        let before = self.rest().len();
        while self.rest().len() < before * 2 + 1 {
            if !self.fill()? {
                break;
            }
        }
        Ok(self.rest().len() > before)
    }

    /// Consumes everything, so that checksums behind the last record are checked.
    pub(crate) fn drain(&mut self) -> Result<(), FeedError> {
        loop {
            let bytes = self.rest().len();
            self.consume(bytes);
            if !self.fill()? {
                return Ok(());
            }
        }
    }
}
