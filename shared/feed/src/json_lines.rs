//! One JSON object a line.

use crate::diagnostics::{Position, Refusal, RefusalReason};
use crate::error::FeedError;
use crate::fields::{Names, Record};
use crate::flatten::{Members, flatten};
use crate::json::refuse;
use crate::records::{EndMark, Known, Read};
use crate::window::Window;
use memchr::memchr;

/// Reads the lines.
pub(crate) struct JsonLinesReader {
    pub(crate) window: Window,
    max_record_bytes: usize,
    line: u64,
    record: u64,
    path: String,
    members: Members,
    cut: Option<String>,
}

impl JsonLinesReader {
    pub(crate) fn new(window: Window, max_record_bytes: usize) -> Self {
        Self {
            window,
            max_record_bytes,
            line: 0,
            record: 0,
            path: String::new(),
            members: Members::default(),
            cut: None,
        }
    }

    /// Fills `record` with the next line that is not blank, unless it is known.
    pub(crate) fn read(
        &mut self,
        record: &mut Record,
        names: &mut Names,
        known: Option<&mut Known<'_>>,
    ) -> Result<Read, FeedError> {
        loop {
            let byte = self.window.position();
            let Some((bytes, has_end)) = self.find()? else {
                return Ok(Read::End(match &self.cut {
                    Some(reason) => EndMark::Cut(reason.clone()),
                    None => EndMark::Open("JSON lines have no end mark"),
                }));
            };
            self.line += 1;
            let at = Position {
                file: self.window.file(),
                record: self.record + 1,
                line: Some(self.line),
                byte: Some(byte),
            };
            if bytes > self.max_record_bytes {
                self.record += 1;
                let message = format!("longer than {} bytes", self.max_record_bytes);
                let refusal = Refusal::new(RefusalReason::RecordTooLarge, at, message);
                let refusal = refusal.showing(self.window.rest()[..bytes].trim_end());
                self.skip_line()?;
                return Ok(Read::Refused(refusal));
            }
            let line = &self.window.rest()[..bytes];
            let text = line.trim_end();
            if text.is_empty() {
                self.window.consume(bytes);
                continue;
            }
            self.record += 1;
            if let Some(known) = known
                && known.is_known(text.as_bytes())
            {
                self.window.consume(bytes);
                return Ok(Read::Known);
            }
            let read = match flatten(line, record, names, &mut self.path, &mut self.members) {
                Ok(()) => Read::Record(at),
                Err(error) => {
                    if !has_end {
                        self.cut = Some("the last line is no whole JSON object".to_owned());
                    }
                    Read::Refused(refuse(error, at, line))
                }
            };
            self.window.consume(bytes);
            return Ok(read);
        }
    }

    /// Goes on with the archive's next file, where it has lines of objects too. False: there is none.
    pub(crate) fn next_file(&mut self) -> Result<bool, FeedError> {
        self.line = 0;
        self.window.next_file(|text| {
            let text = text.trim_start();
            text.is_empty() || text.starts_with('{')
        })
    }

    /// The length of the next line, or more than the limit, and whether its end is there. None at the end
    /// of the source; half a line of a source that was cut does not count.
    fn find(&mut self) -> Result<Option<(usize, bool)>, FeedError> {
        loop {
            let rest = self.window.rest().as_bytes();
            if let Some(end) = memchr(b'\n', rest) {
                return Ok(Some((end + 1, true)));
            }
            if rest.len() > self.max_record_bytes {
                return Ok(Some((rest.len(), false)));
            }
            let bytes = rest.len();
            if !self.window.grow()? {
                let is_usable = bytes > 0 && self.window.cut().is_none();
                return Ok(is_usable.then_some((bytes, false)));
            }
        }
    }

    fn skip_line(&mut self) -> Result<(), FeedError> {
        loop {
            let rest = self.window.rest().as_bytes();
            if let Some(end) = memchr(b'\n', rest) {
                self.window.consume(end + 1);
                return Ok(());
            }
            let all = rest.len();
            self.window.consume(all);
            if !self.window.fill()? {
                return Ok(());
            }
        }
    }
}
