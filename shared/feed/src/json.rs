//! A JSON document of any size: finds the array of products, then reads it element by element. Where the whole
//! comes in pages, document follows on document.

use crate::diagnostics::{Position, Refusal, RefusalReason};
use crate::error::FeedError;
use crate::fields::{Names, Record};
use crate::flatten::{FlattenError, Members, flatten};
use crate::json_scan::{ValueEnd, Whole, peek, whole_value};
use crate::records::{EndMark, Read};
use crate::settings::JsonShape;
use crate::window::Window;
use std::ops::Range;

/// Levels of objects that are searched for the array.
const MAX_SEARCH_DEPTH: usize = 16;
/// Bytes of a key on the way to the array.
const MAX_KEY_BYTES: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    /// In objects on the way to the array, or behind it.
    Objects,
    Array,
}

/// Reads the elements of an array.
pub(crate) struct JsonReader {
    pub(crate) window: Window,
    /// Where the array is, as a JSON pointer; none: at the top, or the only array of objects.
    pointer: Option<String>,
    max_record_bytes: usize,
    place: Place,
    /// The keys of the open objects.
    keys: Vec<String>,
    /// Where the array that was read is.
    found: Option<String>,
    saw_empty_array: bool,
    record: u64,
    path: String,
    members: Members,
    /// How many products the pages that were read have; none where there are no pages.
    pages: Option<Vec<u64>>,
    end: Option<EndMark>,
}

/// What comes next on the way to the array.
enum Step {
    Array,
    Closed,
    Cut,
}

impl JsonReader {
    pub(crate) fn new(window: Window, shape: JsonShape, max_record_bytes: usize) -> Self {
        let pointer =
            shape.pointer.map(|pointer| if pointer == "/" { String::new() } else { pointer });
        Self {
            window,
            pointer,
            max_record_bytes,
            place: Place::Start,
            keys: Vec::new(),
            found: None,
            saw_empty_array: false,
            record: 0,
            path: String::new(),
            members: Members::new(shape.lists),
            pages: shape.is_paged.then(Vec::new),
            end: None,
        }
    }

    /// Where the members of the element that was read last have their values.
    pub(crate) fn members(&self) -> &[Range<usize>] {
        &self.members.ranges
    }

    /// Fills `record` with the next element.
    pub(crate) fn read(
        &mut self,
        record: &mut Record,
        names: &mut Names,
    ) -> Result<Read, FeedError> {
        loop {
            if let Some(end) = &self.end {
                return Ok(Read::End(end.clone()));
            }
            let step = match self.place {
                Place::Start => self.start()?,
                Place::Objects => self.search()?,
                Place::Array => match self.element(record, names)? {
                    Some(read) => return Ok(read),
                    None => continue,
                },
            };
            match step {
                Step::Array => self.place = Place::Array,
                Step::Closed => self.close()?,
                Step::Cut => self.end = Some(self.cut()),
            }
        }
    }

    fn start(&mut self) -> Result<Step, FeedError> {
        match peek(&mut self.window)? {
            Some(b'[') if self.pointer.as_deref().unwrap_or_default().is_empty() => {
                self.window.consume(1);
                self.found = Some(String::new());
                Ok(Step::Array)
            }
            Some(b'[') => Err(FeedError::wrong_fields(format!(
                "the document is an array, so that there is no {}",
                self.pointer.as_deref().unwrap_or_default()
            ))),
            Some(b'{') => {
                self.window.consume(1);
                self.place = Place::Objects;
                self.search()
            }
            Some(_) => Err(FeedError::not_a_feed("the source sent no JSON object or array")),
            None => Err(FeedError::not_a_feed("the source sent nothing")),
        }
    }

    /// Goes through the members of the open objects to the array, or to the end of the document.
    fn search(&mut self) -> Result<Step, FeedError> {
        loop {
            match peek(&mut self.window)? {
                None => return Ok(Step::Cut),
                Some(b',') => self.window.consume(1),
                Some(b'}') => {
                    self.window.consume(1);
                    if self.keys.pop().is_none() {
                        return Ok(Step::Closed);
                    }
                }
                Some(b'"') => {
                    if let Some(step) = self.member()? {
                        return Ok(step);
                    }
                }
                Some(_) => return Err(self.broken()),
            }
        }
    }

    /// Goes past one member, or into it.
    fn member(&mut self) -> Result<Option<Step>, FeedError> {
        let bytes = match whole_value(&mut self.window, MAX_KEY_BYTES)? {
            Whole::Bytes(bytes) => bytes,
            Whole::TooLong(_) => return Err(self.broken()),
            Whole::Cut => return Ok(Some(Step::Cut)),
        };
        let key: Result<String, _> = serde_json::from_str(&self.window.rest()[..bytes]);
        let Ok(key) = key else {
            return Err(self.broken());
        };
        self.window.consume(bytes);
        match peek(&mut self.window)? {
            Some(b':') => self.window.consume(1),
            Some(_) => return Err(self.broken()),
            None => return Ok(Some(Step::Cut)),
        }
        let Some(first) = peek(&mut self.window)? else {
            return Ok(Some(Step::Cut));
        };
        self.keys.push(key);
        if first == b'{' && self.may_descend() {
            // The key stays until the object closes.
            self.window.consume(1);
            return Ok(None);
        }
        if first == b'[' && self.may_be_here() {
            self.window.consume(1);
            match peek(&mut self.window)? {
                None => return Ok(Some(Step::Cut)),
                Some(b'{') => return self.enter_array().map(Some),
                Some(b']') => {
                    self.window.consume(1);
                    self.saw_empty_array = true;
                    self.keys.pop();
                    return Ok(None);
                }
                Some(_) if self.pointer.is_some() => return self.enter_array().map(Some),
                // A list of plain values is no list of products.
                Some(_) => {}
            }
            if !ValueEnd::inside(1).skip(&mut self.window)? {
                return Ok(Some(Step::Cut));
            }
        } else if !ValueEnd::default().skip(&mut self.window)? {
            return Ok(Some(Step::Cut));
        }
        self.keys.pop();
        Ok(None)
    }

    fn enter_array(&mut self) -> Result<Step, FeedError> {
        let here = self.here();
        if let Some(found) = &self.found {
            return Err(FeedError::configuration(format!(
                "the document has several arrays of objects, {found} and {here}: set items in [source]"
            )));
        }
        self.found = Some(here);
        Ok(Step::Array)
    }

    /// The pointer to the member whose key was read last.
    fn here(&self) -> String {
        self.keys
            .iter()
            .map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1")))
            .collect()
    }

    fn may_be_here(&self) -> bool {
        self.pointer.as_ref().is_none_or(|pointer| *pointer == self.here())
    }

    fn may_descend(&self) -> bool {
        match &self.pointer {
            None => self.keys.len() < MAX_SEARCH_DEPTH,
            Some(pointer) => pointer.starts_with(&format!("{}/", self.here())),
        }
    }

    /// Reads the array's next element; none at its end.
    fn element(
        &mut self,
        record: &mut Record,
        names: &mut Names,
    ) -> Result<Option<Read>, FeedError> {
        match peek(&mut self.window)? {
            None => {
                self.end = Some(self.cut());
                return Ok(None);
            }
            Some(b',') => {
                self.window.consume(1);
                return Ok(None);
            }
            Some(b']') => {
                self.window.consume(1);
                self.place = Place::Objects;
                if self.keys.pop().is_none() {
                    self.close()?;
                }
                return Ok(None);
            }
            Some(_) => {}
        }
        self.record += 1;
        let byte = Some(self.window.position());
        let at = Position { record: self.record, byte, ..Position::default() };
        let bytes = match whole_value(&mut self.window, self.max_record_bytes)? {
            Whole::Bytes(bytes) => bytes,
            Whole::Cut => {
                self.end = Some(self.cut());
                return Ok(None);
            }
            Whole::TooLong(rest) => {
                let is_whole = rest.skip(&mut self.window)?;
                if !is_whole {
                    self.end = Some(self.cut());
                }
                let message = format!("longer than {} bytes", self.max_record_bytes);
                let refusal = Refusal::new(RefusalReason::RecordTooLarge, at, message);
                return Ok(Some(Read::Refused(refusal)));
            }
        };
        let text = &self.window.rest()[..bytes];
        let read = match flatten(text, record, names, &mut self.path, &mut self.members) {
            Ok(()) => Read::Record(at),
            Err(error) => Read::Refused(refuse(error, at, text)),
        };
        // A stray closing brace has no length; go past it all the same.
        self.window.consume(bytes.max(1));
        Ok(Some(read))
    }

    fn broken(&self) -> FeedError {
        FeedError::not_a_feed(format!("no valid JSON at byte {}", self.window.position()))
    }

    fn cut(&self) -> EndMark {
        EndMark::Cut("the JSON document is not closed".to_owned())
    }

    /// Goes on to the next page behind a document that closes, or to the end.
    fn close(&mut self) -> Result<(), FeedError> {
        let closed = self.closed();
        let Some(pages) = &mut self.pages else {
            self.end = Some(closed?);
            return Ok(());
        };
        if closed.is_err() && !pages.is_empty() {
            let page = pages.len() + 1;
            self.end = Some(EndMark::Cut(format!("page {page} has no list of products")));
            return Ok(());
        }
        closed?;
        let before: u64 = pages.iter().sum();
        let last = pages.last().copied();
        let items = self.record - before;
        pages.push(items);
        let page = pages.len();
        self.end = match peek(&mut self.window)? {
            Some(b'{') => None,
            Some(_) => Some(EndMark::Cut(format!("behind page {page} comes something else"))),
            None if items == 0 => Some(EndMark::Closed("a page without products".to_owned())),
            None if last.is_some_and(|last| items < last) => {
                Some(EndMark::Closed("a last page that is not full".to_owned()))
            }
            None => Some(EndMark::Cut(format!("page {page} is full, and there may be more"))),
        };
        self.found = None;
        self.saw_empty_array = false;
        self.place = Place::Start;
        Ok(())
    }

    fn closed(&self) -> Result<EndMark, FeedError> {
        if self.found.is_none() && !self.saw_empty_array {
            let place = self.pointer.as_deref().unwrap_or("any key");
            let message = format!("the document has no array of objects at {place}");
            return Err(FeedError::wrong_fields(message));
        }
        Ok(EndMark::Closed("the end of the JSON document".to_owned()))
    }
}

/// What becomes of an element, with this text, that is no record.
pub(crate) fn refuse(error: FlattenError, at: Position, text: &str) -> Refusal {
    let reason =
        if error.is_too_deep { RefusalReason::TooDeep } else { RefusalReason::MalformedRecord };
    Refusal::new(reason, at, error.message).showing(text.trim())
}
