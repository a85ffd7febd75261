//! The window as the XML parser wants it, with a limit on what one tag, comment or text may hold: the
//! parser keeps each of them in memory as a whole.

use crate::error::FeedError;
use crate::window::Window;
use quick_xml::reader::Reader;
use std::io::{self, BufRead, Read};

/// Feeds the parser.
pub(crate) struct XmlInput {
    pub(crate) window: Window,
    max_piece_bytes: usize,
    allowance: usize,
    is_over: bool,
    failure: Option<FeedError>,
}

impl XmlInput {
    pub(crate) fn new(window: Window, max_piece_bytes: usize) -> Self {
        let allowance = max_piece_bytes;
        Self { window, max_piece_bytes, allowance, is_over: false, failure: None }
    }

    /// Says that a new piece begins.
    pub(crate) fn begin_piece(&mut self) {
        self.allowance = self.max_piece_bytes;
    }

    /// Whether the parser stopped because a piece is too long. Forgets it.
    pub(crate) fn take_over(&mut self) -> bool {
        std::mem::take(&mut self.is_over)
    }

    /// The error of the source that stopped the parser.
    pub(crate) fn take_failure(&mut self) -> Option<FeedError> {
        self.failure.take()
    }
}

/// A parser that takes documents as they come.
pub(crate) fn parser(input: XmlInput) -> Reader<XmlInput> {
    let mut reader = Reader::from_reader(input);
    let config = reader.config_mut();
    // Ends are compared here, where it is known what can be done about one that is wrong.
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    reader
}

impl BufRead for XmlInput {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.allowance == 0 {
            self.is_over = true;
            return Err(io::Error::other("a piece of the document is too long"));
        }
        if self.window.rest().is_empty()
            && let Err(error) = self.window.fill()
        {
            self.failure = Some(error);
            return Err(io::Error::other("the source failed"));
        }
        Ok(self.window.rest().as_bytes())
    }

    fn consume(&mut self, bytes: usize) {
        self.window.consume(bytes);
        self.allowance = self.allowance.saturating_sub(bytes);
    }
}

impl Read for XmlInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let read = available.len().min(buffer.len());
        buffer[..read].copy_from_slice(&available[..read]);
        self.consume(read);
        Ok(read)
    }
}
