//! The part of a source's text that is in memory: readers of records look at it, ask for more, and give
//! back what they are done with.

use crate::encoding::TextReader;
use crate::error::FeedError;
use crate::zip::MAX_OTHERS;

/// A moving piece of the text.
pub(crate) struct Window {
    source: TextReader,
    text: String,
    start: usize,
    /// Bytes that came before `text`.
    dropped: u64,
    is_ended: bool,
    /// Files of an archive that turned out to be no part of the feed.
    left_out: Vec<String>,
    /// What shows that an earlier file of the archive was cut off.
    earlier_cut: Option<String>,
}

impl Window {
    pub(crate) fn new(source: TextReader) -> Self {
        Self {
            source,
            text: String::new(),
            start: 0,
            dropped: 0,
            is_ended: false,
            left_out: Vec::new(),
            earlier_cut: None,
        }
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

    /// Bytes of text before the rest, from the beginning of the source, or of the archive's file.
    pub(crate) fn position(&self) -> u64 {
        self.dropped + self.start as u64
    }

    /// Whether nothing comes after the rest, but for further files of an archive.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Why the source's text ends before the source does.
    pub(crate) fn cut(&self) -> Option<&str> {
        self.source.bytes().end().cut.as_deref()
    }

    /// The file of an archive that the text is of, from 0.
    pub(crate) fn file(&self) -> u32 {
        self.source.file()
    }

    /// Goes on to the archive's next file whose beginning is wanted. What is left of this one is dropped; those that are
    /// not wanted are taken note of. False: there is none.
    pub(crate) fn next_file(
        &mut self,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<bool, FeedError> {
        loop {
            self.drain()?;
            let Some(name) = self.source.next_file()? else { return Ok(false) };
            self.dropped = 0;
            self.is_ended = false;
            self.fill()?;
            if is_wanted(self.rest()) {
                return Ok(true);
            }
            if self.left_out.len() < MAX_OTHERS {
                self.left_out.push(name);
            }
        }
    }

    /// Files of the archive that were not read.
    pub(crate) fn others(&self) -> Vec<String> {
        [&self.left_out[..], &self.source.bytes().end().others[..]].concat()
    }

    /// Remembers that a file of the archive was cut off, though others follow; the first reason counts.
    pub(crate) fn note_cut(&mut self, reason: &str) {
        self.earlier_cut.get_or_insert_with(|| reason.to_owned());
    }

    /// What shows that an earlier file of the archive was cut off.
    pub(crate) fn earlier_cut(&self) -> Option<&str> {
        self.earlier_cut.as_deref()
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
