//! One item of an XML feed while it is being read: the path to where the parser is, and the texts of the
//! elements that are open.
//!
//! Tags that are missing or too many are mended where it can be told what they are of: a tag of HTML's that is never
//! closed is no more than a break in a text, an element without its end ends with the one around it, and an end tag
//! without its start says nothing. An element of the item's own that swallowed others is beyond that.

use crate::diagnostics::RefusalReason;
use crate::entities::{push_reference, unescape};
use crate::fields::{Names, Record};
use crate::presets::Compound;
use quick_xml::events::BytesStart;

/// Levels below the item.
const MAX_DEPTH: usize = 128;
/// Attributes of one element.
const MAX_ATTRIBUTES: usize = 1_000;

/// Elements of HTML that texts have in them, and that are often left open.
const MARKUP: [&str; 22] = [
    "a", "b", "br", "center", "dd", "div", "dt", "em", "font", "h1", "h2", "h3", "hr", "i", "img",
    "li", "p", "span", "strong", "td", "tr", "u",
];

/// Those among them that hold no others of their kind, or nothing at all.
const FLAT_MARKUP: [&str; 4] = ["br", "hr", "li", "p"];

/// An open element below the item.
struct Frame {
    /// Length of the path without this element.
    path_bytes: usize,
    /// Where its own text begins.
    text_start: usize,
    has_prefix: bool,
    /// Whether elements were in it.
    has_children: bool,
}

/// What the parser collects for one item.
#[derive(Default)]
pub(crate) struct Item {
    /// The item element's local name.
    name: String,
    /// Local names from below the item, joined by `/`.
    path: String,
    frames: Vec<Frame>,
    texts: String,
    scratch: String,
    previous: Option<u32>,
    compounds: &'static [Compound],
    /// The compound that is open, and the texts of its parts.
    compound: Option<(&'static Compound, Vec<String>)>,
    /// Whether values of elements with a prefix come before those without.
    prefers_prefixed: bool,
    broken: Option<(RefusalReason, String)>,
    unknown_references: u64,
}

/// Where a record's values go.
pub(crate) struct Target<'a> {
    pub(crate) record: &'a mut Record,
    pub(crate) names: &'a mut Names,
}

impl Item {
    pub(crate) fn new(compounds: &'static [Compound], prefers_prefixed: bool) -> Self {
        Self { compounds, prefers_prefixed, ..Self::default() }
    }

    /// Begins a new item.
    pub(crate) fn begin(&mut self, name: &str) {
        self.name.clear();
        self.name.push_str(name);
        self.path.clear();
        self.frames.clear();
        self.texts.clear();
        self.previous = None;
        self.compound = None;
        self.broken = None;
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Levels that are open below the item.
    pub(crate) fn depth(&self) -> usize {
        self.frames.len()
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Gives the item up; the first reason counts.
    pub(crate) fn break_off(&mut self, reason: RefusalReason, message: impl Into<String>) {
        self.broken.get_or_insert_with(|| (reason, message.into()));
    }

    /// Why the item is given up.
    pub(crate) fn take_broken(&mut self) -> Option<(RefusalReason, String)> {
        self.broken.take()
    }

    /// References that nobody knows, over the whole feed.
    pub(crate) fn unknown_references(&self) -> u64 {
        self.unknown_references
    }

    /// Opens an element below the item.
    pub(crate) fn open(&mut self, tag: &BytesStart<'_>, to: &mut Target<'_>) {
        self.leave_flat(tag, to);
        if self.frames.len() >= MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} levels of elements");
            self.break_off(RefusalReason::TooDeep, message);
            return;
        }
        let (local, prefix) = tag.name().decompose();
        let local = local.into_inner();
        let path_bytes = self.path.len();
        if path_bytes > 0 {
            self.path.push('/');
        } else if let Some(compound) = self.compounds.iter().find(|c| c.name == local) {
            self.compound = Some((compound, vec![String::new(); compound.parts.len()]));
        }
        self.path.push_str(local);
        let text_start = self.texts.len();
        if let Some(parent) = self.frames.last_mut() {
            parent.has_children = true;
        }
        let has_prefix = prefix.is_some();
        self.frames.push(Frame { path_bytes, text_start, has_prefix, has_children: false });
        self.attributes(tag, to);
    }

    /// Ends an element of HTML's that lacks its end, where the next tag shows that.
    fn leave_flat(&mut self, tag: &BytesStart<'_>, to: &mut Target<'_>) {
        let place = self.frames.len().saturating_sub(1);
        if place == 0 {
            return;
        }
        let open = self.name_of(place);
        let is_flat = FLAT_MARKUP.iter().any(|flat| open.eq_ignore_ascii_case(flat));
        let is_empty = open.eq_ignore_ascii_case("br") || open.eq_ignore_ascii_case("hr");
        if is_flat && (is_empty || open.eq_ignore_ascii_case(tag.local_name().into_inner())) {
            self.unwind(place, to);
        }
    }

    /// Adds the attributes of the element at the path.
    pub(crate) fn attributes(&mut self, tag: &BytesStart<'_>, to: &mut Target<'_>) {
        if tag.attributes_raw().trim_ascii().is_empty() {
            return;
        }
        if tag.local_name().into_inner() == "link" && self.link(tag, to) {
            return;
        }
        let mut attributes = tag.html_attributes();
        attributes.with_checks(false);
        for (count, attribute) in attributes.enumerate() {
            if count >= MAX_ATTRIBUTES {
                let message = format!("an element with more than {MAX_ATTRIBUTES} attributes");
                self.break_off(RefusalReason::TooManyAttributes, message);
                return;
            }
            let Ok(attribute) = attribute else {
                continue;
            };
            let (local, prefix) = attribute.key.decompose();
            let local = local.into_inner();
            let is_namespace = match prefix {
                Some(prefix) => prefix.is_xmlns(),
                None => local == "xmlns",
            };
            if is_namespace {
                continue;
            }
            let path_bytes = self.path.len();
            if path_bytes > 0 {
                self.path.push('/');
            }
            self.path.push('@');
            self.path.push_str(local);
            self.scratch.clear();
            let unknown = unescape(&attribute.value, &mut self.scratch);
            self.unknown(unknown, &attribute.value, to);
            if let Some(field) = to.names.intern_after(self.previous, &self.path) {
                self.previous = Some(field);
                to.record.push(field, &self.scratch);
            }
            self.path.truncate(path_bytes);
        }
    }

    /// Atom's links: the address is an attribute, and `rel` says what it is of. True: it was one to the
    /// item itself.
    fn link(&mut self, tag: &BytesStart<'_>, to: &mut Target<'_>) -> bool {
        let mut address = None;
        let mut is_alternate = true;
        let mut attributes = tag.html_attributes();
        attributes.with_checks(false);
        for attribute in attributes.take(MAX_ATTRIBUTES).flatten() {
            match attribute.key.0 {
                "href" => address = Some(attribute.value),
                "rel" => is_alternate = attribute.value == "alternate",
                _ => {}
            }
        }
        let Some(address) = address.filter(|_| is_alternate) else {
            return false;
        };
        self.scratch.clear();
        let unknown = unescape(&address, &mut self.scratch);
        self.unknown(unknown, &address, to);
        if let Some(field) = to.names.intern_after(self.previous, &self.path) {
            self.previous = Some(field);
            to.record.push(field, &self.scratch);
        }
        true
    }

    /// Adds text to the element that is open.
    pub(crate) fn text(&mut self, text: &str) {
        if !self.frames.is_empty() && self.broken.is_none() {
            self.texts.push_str(text);
        }
    }

    /// Adds what `&name;` stands for.
    pub(crate) fn reference(&mut self, name: &str, to: &mut Target<'_>) {
        if !self.frames.is_empty() && self.broken.is_none() {
            let is_known = push_reference(name, &mut self.texts);
            self.unknown(u64::from(!is_known), name, to);
        }
    }

    /// Counts references that nobody knows.
    fn unknown(&mut self, count: u64, text: &str, to: &mut Target<'_>) {
        if count > 0 {
            self.unknown_references += count;
            to.record.mend(RefusalReason::UnknownReference, &self.path, text);
        }
    }

    /// Notes that the item is not well-formed, and goes on.
    pub(crate) fn mend(&self, what: &str, to: &mut Target<'_>) {
        to.record.mend(RefusalReason::MendedMarkup, &self.path, what);
    }

    /// Whether an element of this name is open below the item.
    pub(crate) fn has_open(&self, local: &str) -> bool {
        (0..self.frames.len()).any(|frame| self.name_of(frame) == local)
    }

    /// The local name of an open element.
    fn name_of(&self, frame: usize) -> &str {
        let start = self.frames[frame].path_bytes;
        let end = self.frames.get(frame + 1).map_or(self.path.len(), |next| next.path_bytes);
        let name = &self.path[start..end];
        name.strip_prefix('/').unwrap_or(name)
    }

    /// Closes the element of this name that was opened last, and with it those in it that are still open.
    pub(crate) fn close(&mut self, local: &str, to: &mut Target<'_>) {
        let found = (0..self.frames.len()).rev().find(|frame| self.name_of(*frame) == local);
        let Some(frame) = found else {
            self.mend(&format!("</{local}> without a start"), to);
            return;
        };
        self.unwind(frame + 1, to);
        if self.broken.is_none()
            && let Some(frame) = self.frames.pop()
        {
            self.value(&frame, local, to);
            self.texts.truncate(frame.text_start);
            self.path.truncate(frame.path_bytes);
        }
    }

    /// Closes all but so many of the open elements, though their end tags are missing.
    pub(crate) fn unwind(&mut self, remaining: usize, to: &mut Target<'_>) {
        while self.frames.len() > remaining && self.broken.is_none() {
            let place = self.frames.len() - 1;
            let name = self.name_of(place).to_owned();
            let is_markup = place > 0 && MARKUP.iter().any(|tag| name.eq_ignore_ascii_case(tag));
            self.mend(&format!("<{name}> without an end"), to);
            let Some(frame) = self.frames.pop() else { return };
            if is_markup {
                // Its text belongs to the element around it.
                self.texts.insert(frame.text_start, ' ');
            } else if place == 0 && frame.has_children {
                let message = format!("</{name}> is missing, and it can't be told where it is due");
                self.break_off(RefusalReason::MalformedRecord, message);
            } else {
                self.value(&frame, &name, to);
                self.texts.truncate(frame.text_start);
            }
            self.path.truncate(frame.path_bytes);
        }
    }

    /// Adds the value of the element that closes.
    fn value(&mut self, frame: &Frame, local: &str, to: &mut Target<'_>) {
        let text = self.texts[frame.text_start..].trim();
        let depth = self.frames.len();
        if depth == 1
            && let Some((compound, parts)) = &mut self.compound
            && let Some(place) = compound.parts.iter().position(|part| *part == local)
        {
            parts[place].clear();
            parts[place].push_str(text);
            return;
        }
        self.scratch.clear();
        self.scratch.push_str(text);
        if depth == 0
            && let Some((_, parts)) = self.compound.take()
            && parts.iter().any(|part| !part.is_empty())
        {
            self.scratch.clear();
            self.scratch.push_str(parts.join(":").trim_end_matches(':'));
        }
        if self.scratch.is_empty() {
            return;
        }
        let Some(field) = to.names.intern_after(self.previous, &self.path) else {
            return;
        };
        self.previous = Some(field);
        if self.prefers_prefixed && frame.has_prefix {
            to.record.push_preferred(field, &self.scratch);
        } else {
            to.record.push(field, &self.scratch);
        }
    }
}
