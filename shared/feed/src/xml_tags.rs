//! The elements that plain items are made of, by their start tags: each is looked up once a feed. Items repeat
//! themselves, so the next tag is guessed from what came next before, and a comparison proves the guess.

use crate::presets::Compound;
use quick_xml::name::QName;
use std::collections::HashMap;

/// The place of the item itself, which is around all its elements.
pub(crate) const ITEM: usize = 0;
/// Different elements that one feed may have in plain items.
const MAX_TAGS: usize = 10_000;
/// Bytes of an element's name.
const MAX_NAME_BYTES: usize = 512;
/// How many of the elements that came next before are compared.
const MAX_GUESSES: usize = 8;
/// No tag.
const NONE: u32 = u32::MAX;

/// An element, by its place below the item.
pub(crate) struct Tag {
    /// `<` and the name as written.
    open: Box<str>,
    /// Local names from below the item, joined by `/`.
    pub(crate) path: Box<str>,
    pub(crate) has_prefix: bool,
    /// The number of `path` among the feed's fields, once one had a value.
    pub(crate) field: Option<u32>,
    /// What its parts become.
    pub(crate) compound: Option<&'static Compound>,
    /// Its place among the parts of the compound around it.
    pub(crate) part: Option<usize>,
    /// The first element in it, the last time that this was looked up.
    first: u32,
    /// The element after it, likewise.
    next: u32,
}

impl Tag {
    /// Whether `text` begins with the tag's start, up to where the name ends.
    fn begins(&self, text: &[u8]) -> bool {
        let open = self.open.as_bytes();
        text.starts_with(open) && matches!(text.get(open.len()), Some(b'>' | b'/'))
    }
}

/// All elements seen so far.
pub(crate) struct Tags {
    tags: Vec<Tag>,
    /// By the tags from below the item, one behind the other.
    numbers: HashMap<Box<str>, u32>,
    key: String,
    /// Local names of the elements that are one product: none of them is in a plain item.
    items: Vec<String>,
    compounds: &'static [Compound],
}

impl Tags {
    pub(crate) fn new(items: Vec<String>, compounds: &'static [Compound]) -> Self {
        let item = Tag {
            open: Box::default(),
            path: Box::default(),
            has_prefix: false,
            field: None,
            compound: None,
            part: None,
            first: NONE,
            next: NONE,
        };
        let (numbers, key) = (HashMap::new(), String::new());
        Self { tags: vec![item], numbers, key, items, compounds }
    }

    pub(crate) fn get(&self, tag: usize) -> &Tag {
        &self.tags[tag]
    }

    pub(crate) fn get_mut(&mut self, tag: usize) -> &mut Tag {
        &mut self.tags[tag]
    }

    /// Bytes of the start tag, up to where the name ends.
    pub(crate) fn open_bytes(&self, tag: usize) -> usize {
        self.tags[tag].open.len()
    }

    /// The element in `parent` whose start tag `text` begins with, after `previous` (`parent` itself: as the
    /// first), if that can be guessed.
    pub(crate) fn guess(&self, parent: usize, previous: usize, text: &[u8]) -> Option<usize> {
        let next = self.follower(parent, previous);
        let is_here = |tag: u32| self.tags.get(tag as usize).is_some_and(|tag| tag.begins(text));
        if is_here(next) {
            return Some(next as usize);
        }
        // Fields of several values repeat themselves, and nothing is learned of that.
        if previous != parent && self.tags[previous].begins(text) {
            return Some(previous);
        }
        let mut guess = next;
        for _ in 1..MAX_GUESSES {
            guess = self.tags.get(guess as usize)?.next;
            if is_here(guess) {
                return Some(guess as usize);
            }
        }
        None
    }

    /// The element of this name in `parent`, to be guessed after `previous` from now on. None: an item with it
    /// is not plain.
    pub(crate) fn look_up(&mut self, parent: usize, previous: usize, name: &str) -> Option<usize> {
        self.key.clear();
        self.key.push_str(&self.tags[parent].open);
        self.key.push('<');
        self.key.push_str(name);
        let before = self.follower(parent, previous);
        let tag = match self.numbers.get(self.key.as_str()) {
            Some(tag) => *tag,
            None => self.add(parent, name, before)?,
        };
        if previous == parent {
            self.tags[parent].first = tag;
        } else {
            self.tags[previous].next = tag;
        }
        Some(tag as usize)
    }

    /// Where the end tag that begins at `at` ends, if it is that of this element.
    pub(crate) fn close(&self, tag: usize, text: &[u8], at: usize) -> Option<usize> {
        let name = &self.tags[tag].open.as_bytes()[1..];
        let rest = text.get(at..)?.strip_prefix(b"</")?.strip_prefix(name)?;
        rest.starts_with(b">").then_some(at + name.len() + 3)
    }

    fn follower(&self, parent: usize, previous: usize) -> u32 {
        if previous == parent { self.tags[parent].first } else { self.tags[previous].next }
    }

    /// Adds the element that the key names, in front of `next`: that comes after it when this one is missing.
    fn add(&mut self, parent: usize, name: &str, next: u32) -> Option<u32> {
        let (local, prefix) = QName(name).decompose();
        let local = local.into_inner();
        let is_item = self.items.iter().any(|item| item == local);
        if is_item || local.is_empty() || !is_name(name) || self.tags.len() >= MAX_TAGS {
            return None;
        }
        let around = &self.tags[parent];
        let (path, compound): (Box<str>, _) = if parent == ITEM {
            (local.into(), self.compounds.iter().find(|compound| compound.name == local))
        } else {
            (format!("{}/{local}", around.path).into(), None)
        };
        let part = around
            .compound
            .and_then(|compound| compound.parts.iter().position(|part| *part == local));
        let tag = self.tags.len() as u32;
        self.tags.push(Tag {
            open: format!("<{name}").into(),
            path,
            has_prefix: prefix.is_some(),
            field: None,
            compound,
            part,
            first: NONE,
            next,
        });
        self.numbers.insert(self.key.as_str().into(), tag);
        Some(tag)
    }
}

/// Whether this is a name and nothing else. Others are looked at by the parser.
fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':') || byte >= 0x80
    };
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.len() <= MAX_NAME_BYTES
        && name.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags() -> Tags {
        Tags::new(vec!["item".to_owned()], &[])
    }

    /// Reads the tags of one item; gives how many had to be looked up.
    fn read(tags: &mut Tags, names: &[&str]) -> usize {
        let (mut previous, mut looked_up) = (ITEM, 0);
        for name in names {
            let text = format!("<{name}>");
            previous = tags.guess(ITEM, previous, text.as_bytes()).unwrap_or_else(|| {
                looked_up += 1;
                tags.look_up(ITEM, previous, name).unwrap()
            });
            assert_eq!(&*tags.get(previous).open, format!("<{name}").as_str());
        }
        looked_up
    }

    #[test]
    fn what_was_seen_once_is_guessed() {
        let mut tags = tags();
        assert_eq!(read(&mut tags, &["id", "g:price", "link", "link", "size"]), 4);
        assert_eq!(read(&mut tags, &["id", "g:price", "link", "link", "link", "size"]), 0);
        assert_eq!(read(&mut tags, &["id", "size"]), 0);
        // A new one takes its place between the others.
        assert_eq!(read(&mut tags, &["id", "price", "link"]), 1);
        assert_eq!(read(&mut tags, &["id", "price", "g:price", "link", "size"]), 0);
        assert_eq!(read(&mut tags, &["id", "g:price", "size"]), 0);
        // Out of order, which the next record is likely to be as well.
        assert_eq!(read(&mut tags, &["size", "id", "link"]), 1);
        assert_eq!(read(&mut tags, &["size", "id", "link"]), 0);
    }

    #[test]
    fn names_end_where_they_end() {
        let mut tags = tags();
        let price = tags.look_up(ITEM, ITEM, "g:price").unwrap();
        assert_eq!(tags.guess(ITEM, ITEM, b"<g:price>1"), Some(price));
        assert_eq!(tags.guess(ITEM, ITEM, b"<g:price/>"), Some(price));
        assert_eq!(tags.guess(ITEM, ITEM, b"<g:price_old>"), None);
        assert_eq!(tags.close(price, b"1</g:price><", 1), Some(11));
        for end in ["</price>", "</g:price >", "</g:prices>", "</g:price", "<g:price>", ""] {
            assert_eq!(tags.close(price, end.as_bytes(), 0), None, "{end}");
        }
    }

    #[test]
    fn what_is_no_plain_element() {
        let mut tags = tags();
        for name in ["item", "g:item", "", "g:", ":a", "1a", "a b", "a='b'", "!--", "?p", "a/"] {
            assert_eq!(tags.look_up(ITEM, ITEM, name), None, "{name}");
        }
        assert_eq!(tags.look_up(ITEM, ITEM, &"x".repeat(MAX_NAME_BYTES + 1)), None);
        let around = tags.look_up(ITEM, ITEM, "g:상품").unwrap();
        let inner = tags.look_up(around, around, "a.b").unwrap();
        assert_eq!((&*tags.get(inner).path, tags.get(inner).has_prefix), ("상품/a.b", false));
    }
}
