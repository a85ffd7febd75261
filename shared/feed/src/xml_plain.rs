//! The quick way through the items of nearly all feeds: elements without attributes, with a text, a CDATA section or,
//! one level deep, such elements in them. An item of this kind is read where it lies, without the parser.
//!
//! Anything else (attributes, comments, unknown references, ends that are missing or wrong) is not judged here: nothing
//! is consumed or kept of such an item, and the parser reads it from its start. What is read here is what the parser
//! would have read.

use crate::entities::unescape_known;
use crate::error::FeedError;
use crate::records::Known;
use crate::window::Window;
use crate::xml::XmlShape;
use crate::xml_find::{ItemFinder, skip_blank};
use crate::xml_item::Target;
use crate::xml_tags::{ITEM, Tags};
use memchr::memmem::Finder;
use memchr::{memchr, memchr2};
use std::ops::Range;

const CDATA: &[u8] = b"<![CDATA[";
const CDATA_END: &[u8] = b"]]>";

/// An item that was read here.
pub(crate) struct PlainItem {
    /// Where it begins, as [`Window::position`] counts.
    pub(crate) place: u64,
    /// Whether it is known, so that the record was not filled.
    pub(crate) is_known: bool,
}

/// Reads plain items.
pub(crate) struct PlainItems {
    finder: ItemFinder,
    tags: Tags,
    /// Whether values of elements with a prefix come before those without.
    prefers_prefixed: bool,
    /// The values of the item, in the order in which their elements end.
    values: Vec<Value>,
    /// Texts that are not in the item as they are.
    apart: String,
    joined: String,
    cdata_end: Finder<'static>,
    /// Items read here.
    #[cfg(test)]
    pub(crate) taken: u64,
}

/// An element's text.
#[derive(Clone, Copy)]
struct Value {
    tag: usize,
    start: usize,
    end: usize,
    /// Whether it lies in [`PlainItems::apart`], and not in the item.
    is_apart: bool,
}

impl Value {
    fn text<'a>(&self, item: &'a str, apart: &'a str) -> &'a str {
        let text = if self.is_apart { apart } else { item };
        &text[self.start..self.end]
    }
}

impl PlainItems {
    pub(crate) fn new(shape: &XmlShape, max_record_bytes: usize) -> Self {
        Self {
            finder: ItemFinder::new(&shape.items, max_record_bytes),
            tags: Tags::new(shape.items.clone(), shape.compounds),
            prefers_prefixed: shape.is_google,
            values: Vec::new(),
            apart: String::new(),
            joined: String::new(),
            cdata_end: Finder::new(CDATA_END),
            #[cfg(test)]
            taken: 0,
        }
    }

    /// Leaves every item to the parser.
    #[cfg(test)]
    pub(crate) fn turn_off(&mut self) {
        self.finder = ItemFinder::new(&[], 0);
    }

    /// Reads and consumes the item that comes next, if a plain one does, unless it is known. None: nothing was
    /// consumed, and nothing changed.
    pub(crate) fn read(
        &mut self,
        window: &mut Window,
        to: &mut Target<'_>,
        mut known: Option<&mut Known<'_>>,
    ) -> Result<Option<PlainItem>, FeedError> {
        let Some(found) = self.finder.find(window)? else { return Ok(None) };
        let rest = window.rest();
        let is_known = match &mut known {
            Some(known) => known.is_known(&rest.as_bytes()[found.whole.clone()]),
            None => false,
        };
        if !is_known {
            let item = &rest[found.inside];
            if self.split(item).is_none() {
                // Its end tag may be part of a text, and the item longer than what was hashed. Only hashes of plain
                // items are ever remembered: so one that is known needs no second look.
                if let Some(known) = known {
                    known.hash = None;
                }
                return Ok(None);
            }
            self.fill(item, to);
        }
        let place = window.position() + found.whole.start as u64;
        window.consume(found.whole.end);
        #[cfg(test)]
        {
            self.taken += 1;
        }
        Ok(Some(PlainItem { place, is_known }))
    }

    /// Finds the values in what is between an item's tags. None: it is not plain.
    fn split(&mut self, item: &str) -> Option<()> {
        self.values.clear();
        self.apart.clear();
        let bytes = item.as_bytes();
        let (mut at, mut previous) = (skip_blank(bytes, 0), ITEM);
        while at < bytes.len() {
            let (end, tag) = self.element(item, at, ITEM, previous)?;
            at = skip_blank(bytes, end);
            previous = tag;
        }
        Some(())
    }

    /// Reads the element that begins at `at`; gives where it ends, and its tag.
    fn element(
        &mut self,
        item: &str,
        at: usize,
        parent: usize,
        previous: usize,
    ) -> Option<(usize, usize)> {
        let bytes = item.as_bytes();
        let tag = match self.tags.guess(parent, previous, &bytes[at..]) {
            Some(tag) => tag,
            None => self.tags.look_up(parent, previous, tag_name(&item[at..])?)?,
        };
        let name_end = at + self.tags.open_bytes(tag);
        if bytes[name_end] != b'>' {
            // A part of a compound may be taken back by an empty one.
            self.keep(item, tag, name_end..name_end, false)?;
            return bytes[name_end..].starts_with(b"/>").then_some((name_end + 2, tag));
        }
        let start = name_end + 1;
        let mut end = start + memchr2(b'<', b'&', &bytes[start..])?;
        let has_reference = bytes[end] == b'&';
        if has_reference {
            end += memchr(b'<', &bytes[end..])?;
        }
        if let Some(after) = self.tags.close(tag, bytes, end) {
            self.keep(item, tag, start..end, has_reference)?;
            return Some((after, tag));
        }
        if has_reference || skip_blank(bytes, start) < end {
            return None;
        }
        if bytes[end..].starts_with(CDATA) {
            let start = end + CDATA.len();
            let end = start + self.cdata_end.find(&bytes[start..])?;
            let close = skip_blank(bytes, end + CDATA_END.len());
            let after = self.tags.close(tag, bytes, close)?;
            self.keep(item, tag, start..end, false)?;
            return Some((after, tag));
        }
        if parent != ITEM {
            return None;
        }
        let after = self.children(item, end, tag)?;
        Some((after, tag))
    }

    /// Reads the elements in `parent`, of which the first begins at `at`; gives where `parent` ends.
    fn children(&mut self, item: &str, mut at: usize, parent: usize) -> Option<usize> {
        let bytes = item.as_bytes();
        let first = self.values.len();
        let mut previous = parent;
        loop {
            let (end, tag) = self.element(item, at, parent, previous)?;
            at = skip_blank(bytes, end);
            previous = tag;
            if let Some(after) = self.tags.close(parent, bytes, at) {
                self.join(item, parent, first);
                return Some(after);
            }
            if at == bytes.len() {
                return None;
            }
        }
    }

    /// Adds the value that the parts of a compound become: those among the values from `first` on.
    fn join(&mut self, item: &str, parent: usize, first: usize) {
        let Some(compound) = self.tags.get(parent).compound else { return };
        self.joined.clear();
        for place in 0..compound.parts.len() {
            if place > 0 {
                self.joined.push(':');
            }
            // The last one counts.
            let mut parts = self.values[first..].iter().rev();
            if let Some(part) = parts.find(|value| self.tags.get(value.tag).part == Some(place)) {
                self.joined.push_str(part.text(item, &self.apart).trim());
            }
        }
        let start = self.apart.len();
        self.apart.push_str(self.joined.trim_end_matches(':'));
        self.values.push(Value { tag: parent, start, end: self.apart.len(), is_apart: true });
    }

    /// Keeps an element's text. None: it refers to what nobody knows.
    fn keep(
        &mut self,
        item: &str,
        tag: usize,
        text: Range<usize>,
        has_reference: bool,
    ) -> Option<()> {
        let Range { mut start, mut end } = text;
        if has_reference {
            let text = &item[start..end];
            start = self.apart.len();
            unescape_known(text, &mut self.apart)?;
            end = self.apart.len();
        }
        self.values.push(Value { tag, start, end, is_apart: has_reference });
        Some(())
    }

    /// Fills the record with the values.
    fn fill(&mut self, item: &str, to: &mut Target<'_>) {
        let base = to.record.append(item);
        for value in &self.values {
            let tag = self.tags.get_mut(value.tag);
            if value.start == value.end || tag.part.is_some() {
                continue;
            }
            let field = match tag.field {
                Some(field) => field,
                None => {
                    // A name counts from its first value on.
                    if value.text(item, &self.apart).trim().is_empty() {
                        continue;
                    }
                    let Some(field) = to.names.intern(&tag.path) else { continue };
                    tag.field = Some(field);
                    field
                }
            };
            let (start, end) = (base + value.start, base + value.end);
            match (value.is_apart, self.prefers_prefixed && tag.has_prefix) {
                (false, false) => to.record.push_span(field, start, end),
                (false, true) => to.record.push_preferred_span(field, start, end),
                (true, false) => to.record.push(field, value.text(item, &self.apart)),
                (true, true) => to.record.push_preferred(field, value.text(item, &self.apart)),
            }
        }
    }
}

/// What is in the tag that `text` begins with, but for the `/` of an empty one.
fn tag_name(text: &str) -> Option<&str> {
    let tag = text.strip_prefix('<')?;
    let name = &tag[..memchr(b'>', tag.as_bytes())?];
    Some(name.strip_suffix('/').unwrap_or(name))
}

#[cfg(test)]
mod tests;
