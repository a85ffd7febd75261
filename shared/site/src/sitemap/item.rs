//! One `url`, `sitemap`, `item` or `entry` while it is being read.
//!
//! Only local names count: namespaces are wrong or missing in real sitemaps. An element of an extension (videos,
//! news, alternates) is passed over with all that is in it; only pictures are kept.

use super::SitemapEntry;
use super::dates;
use quick_xml::events::{BytesRef, BytesStart};

/// Pictures of one page; Google's limit.
const MAX_IMAGES: usize = 1_000;

/// What an open element means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    Location,
    Date,
    Image,
    ImageLocation,
    /// A feed's id of an item, which may be its address.
    Guid,
    Other,
}

/// What the parser collects for one item.
#[derive(Debug, Default)]
pub(super) struct Item {
    /// Local name of the item's element; empty between items.
    name: String,
    path: Vec<Element>,
    /// The text of the innermost element that means something.
    text: String,
    /// Text that stands in the item itself: some indexes have no `loc`.
    own_text: String,
    location: Option<String>,
    guid: Option<String>,
    /// Whether `location` is an Atom link that says nothing else than that.
    is_plain_link: bool,
    date: Option<String>,
    images: Vec<String>,
    unknown_references: u64,
}

impl Item {
    /// The local name of the item that is open.
    pub(super) fn name(&self) -> Option<&str> {
        (!self.name.is_empty()).then_some(self.name.as_str())
    }

    /// References that nobody knows, over the whole sitemap.
    pub(super) fn unknown_references(&self) -> u64 {
        self.unknown_references
    }

    /// Begins a new item.
    pub(super) fn begin(&mut self, name: &str) {
        self.clear();
        self.name.push_str(name);
    }

    /// Forgets the item that is open.
    pub(super) fn clear(&mut self) {
        *self = Self { unknown_references: self.unknown_references, ..Self::default() };
    }

    /// Opens an element below the item.
    pub(super) fn open(&mut self, tag: &BytesStart<'_>) {
        let local = tag.local_name().into_inner();
        let element = match (self.path.last(), local) {
            (None, "loc") => Element::Location,
            (None, "lastmod" | "pubDate" | "updated" | "modified" | "date") => Element::Date,
            (None, "image") => Element::Image,
            (None, "guid") => Element::Guid,
            (None, "link") if self.name == "item" => Element::Location,
            (None, "link") if self.name == "entry" => {
                self.atom_link(tag);
                Element::Other
            }
            (Some(Element::Image), "loc") => Element::ImageLocation,
            _ => Element::Other,
        };
        self.path.push(element);
        self.text.clear();
    }

    /// An Atom entry's link: the first one, unless a later one is the plain one (no `rel`, or `alternate`).
    fn atom_link(&mut self, tag: &BytesStart<'_>) {
        let mut attributes = tag.html_attributes();
        attributes.with_checks(false);
        let (mut href, mut is_plain) = (None, true);
        for attribute in attributes.flatten() {
            match attribute.key.local_name().into_inner() {
                "href" => {
                    let value = quick_xml::escape::unescape(&attribute.value);
                    href = Some(value.map_or_else(|_| attribute.value.to_string(), String::from));
                }
                "rel" => is_plain = attribute.value == "alternate",
                _ => {}
            }
        }
        let href = href.map(|href| href.trim().to_owned()).filter(|href| !href.is_empty());
        if href.is_some() && (self.location.is_none() || (is_plain && !self.is_plain_link)) {
            self.location = href;
            self.is_plain_link = is_plain;
        }
    }

    /// Adds text.
    pub(super) fn text(&mut self, text: &str) {
        match self.path.last() {
            None => self.own_text.push_str(text),
            Some(Element::Other | Element::Image) => {}
            Some(_) => self.text.push_str(text),
        }
    }

    /// Adds what a reference stands for; one that nobody knows as it is written.
    pub(super) fn reference(&mut self, reference: &BytesRef<'_>) {
        let mut utf8 = [0; 4];
        let name: &str = reference;
        let known = match name {
            "amp" => Some("&"),
            "lt" => Some("<"),
            "gt" => Some(">"),
            "quot" => Some("\""),
            "apos" => Some("'"),
            _ => match reference.resolve_char_ref() {
                Ok(Some(character)) => Some(&*character.encode_utf8(&mut utf8)),
                _ => None,
            },
        };
        match known {
            Some(text) => self.text(text),
            None => {
                self.unknown_references += 1;
                self.text(&format!("&{name};"));
            }
        }
    }

    /// Closes the innermost element below the item.
    pub(super) fn close(&mut self) {
        let Some(element) = self.path.pop() else { return };
        let text = self.text.trim();
        if text.is_empty() {
            return;
        }
        match element {
            Element::Location => _ = self.location.get_or_insert_with(|| text.to_owned()),
            Element::Date => _ = self.date.get_or_insert_with(|| text.to_owned()),
            Element::Guid => _ = self.guid.get_or_insert_with(|| text.to_owned()),
            Element::ImageLocation if self.images.len() < MAX_IMAGES => {
                self.images.push(text.to_owned());
            }
            Element::ImageLocation | Element::Image | Element::Other => {}
        }
        self.text.clear();
    }

    /// Ends the item. None: it has no address.
    pub(super) fn end(&mut self) -> Option<SitemapEntry> {
        // An element without an end tag ends with its item.
        while !self.path.is_empty() {
            self.close();
        }
        self.finish()
    }

    /// Ends an item in whose middle the document broke off: an address without its end tag may be half of one.
    pub(super) fn end_cut(&mut self) -> Option<SitemapEntry> {
        self.own_text.clear();
        self.finish()
    }

    fn finish(&mut self) -> Option<SitemapEntry> {
        let is_url = |text: &str| text.starts_with("http://") || text.starts_with("https://");
        let guid = self.guid.take().filter(|guid| is_url(guid));
        let own = Some(self.own_text.trim()).filter(|text| is_url(text)).map(str::to_owned);
        let location = self.location.take().or(guid).or(own);
        let entry = location.map(|location| SitemapEntry {
            location,
            is_sitemap: self.name == "sitemap",
            modified: self.date.as_deref().and_then(dates::parse),
            images: std::mem::take(&mut self.images),
        });
        self.clear();
        entry
    }
}
