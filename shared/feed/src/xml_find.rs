//! Where the next item of a document lies, as far as its tags tell: from a start tag without attributes to the first
//! end tag of its name. Whether that is an item, only reading what is between them shows.

use crate::error::FeedError;
use crate::window::Window;
use memchr::memmem::Finder;
use std::ops::Range;

/// White space between two items.
const MAX_BLANK_BYTES: usize = 64 * 1024;

/// Finds items.
pub(crate) struct ItemFinder {
    tags: Vec<ItemTag>,
    max_record_bytes: usize,
}

struct ItemTag {
    open: String,
    close: Finder<'static>,
    /// Up to where the end tag was looked for, as [`Window::position`] counts: of those to come, none begins before.
    searched: u64,
}

/// Places in the window's rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) whole: Range<usize>,
    /// What is between the tags.
    pub(crate) inside: Range<usize>,
}

impl ItemFinder {
    /// Finds elements of these names.
    pub(crate) fn new(items: &[String], max_record_bytes: usize) -> Self {
        let tag = |name: &String| ItemTag {
            open: format!("<{name}>"),
            close: Finder::new(format!("</{name}>").as_bytes()).into_owned(),
            searched: 0,
        };
        Self { tags: items.iter().map(tag).collect(), max_record_bytes }
    }

    /// Finds the item that comes next, if nothing but white space comes before it and it keeps the limit. What is
    /// found depends on the text alone, and not on how much of it was in the window.
    pub(crate) fn find(&mut self, window: &mut Window) -> Result<Option<Found>, FeedError> {
        let max_blank_bytes = MAX_BLANK_BYTES.min(self.max_record_bytes.saturating_sub(1));
        loop {
            let rest = window.rest().as_bytes();
            let start = skip_blank(rest, 0);
            if start > max_blank_bytes {
                return Ok(None);
            }
            let text = &rest[start..];
            let is_here = |tag: &ItemTag| text.starts_with(tag.open.as_bytes());
            if let Some(tag) = self.tags.iter().position(is_here) {
                return self.find_end(window, start, tag);
            }
            let may_come = self.tags.iter().any(|tag| tag.open.as_bytes().starts_with(text));
            if !may_come || !window.fill()? {
                return Ok(None);
            }
        }
    }

    fn find_end(
        &mut self,
        window: &mut Window,
        start: usize,
        tag: usize,
    ) -> Result<Option<Found>, FeedError> {
        let tag = &mut self.tags[tag];
        let place = window.position() + start as u64;
        let (open_bytes, close_bytes) = (tag.open.len(), tag.close.needle().len());
        loop {
            let text = &window.rest().as_bytes()[start..];
            let from = open_bytes.max(tag.searched.saturating_sub(place) as usize);
            if let Some(at) = text.get(from..).and_then(|text| tag.close.find(text)) {
                let inside_end = from + at;
                tag.searched = place + inside_end as u64;
                let end = inside_end + close_bytes;
                let found = Found {
                    whole: start..start + end,
                    inside: start + open_bytes..start + inside_end,
                };
                return Ok((end <= self.max_record_bytes).then_some(found));
            }
            let searched = from.max((text.len() + 1).saturating_sub(close_bytes));
            tag.searched = place + searched as u64;
            if text.len() >= self.max_record_bytes || !window.fill()? {
                return Ok(None);
            }
        }
    }
}

/// Where white space ends that begins at `from`, if it does.
pub(crate) fn skip_blank(bytes: &[u8], from: usize) -> usize {
    let rest = &bytes[from..];
    from + rest.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{Bytes, CHUNK_BYTES};
    use crate::encoding::{EncodingHints, TextReader};
    use feedfleet_config::Compression;
    use std::io::Cursor;

    fn window(text: &str) -> Window {
        let input = Box::new(Cursor::new(text.as_bytes().to_vec()));
        let bytes = Bytes::open(input, Compression::None, 1 << 30).unwrap();
        Window::new(TextReader::open(bytes, EncodingHints::default()).unwrap())
    }

    fn finder(max_record_bytes: usize) -> ItemFinder {
        ItemFinder::new(&["item".to_owned(), "entry".to_owned()], max_record_bytes)
    }

    #[test]
    fn items_within_the_limit() {
        let text = " \n<entry><id>1</id></entry><item>";
        let expected = Found { whole: 2..27, inside: 9..19 };
        assert_eq!(finder(25).find(&mut window(text)).unwrap(), Some(expected));
        assert_eq!(finder(24).find(&mut window(text)).unwrap(), None);
        let no_items = ["", " ", "x<item></item>", "<item a='b'></item>", "<item></item", "<ite"];
        for text in no_items {
            assert_eq!(finder(1 << 20).find(&mut window(text)).unwrap(), None, "{text}");
        }
    }

    /// However the chunks of the source fall.
    #[test]
    fn items_across_chunks() {
        let item = " <item><id>1</id></item>";
        for into in 0..item.len() {
            let blank = "x".repeat(CHUNK_BYTES - into);
            let mut window = window(&format!("{blank}{item}"));
            window.fill().unwrap();
            window.consume(blank.len());
            let expected = Found { whole: 1..item.len(), inside: 7..item.len() - 7 };
            assert_eq!(finder(1 << 20).find(&mut window).unwrap(), Some(expected), "{into}");
        }
        let far = format!("{}<item></item>", " ".repeat(MAX_BLANK_BYTES + 1));
        assert_eq!(finder(1 << 20).find(&mut window(&far)).unwrap(), None);
        assert!(finder(1 << 20).find(&mut window(&far[1..])).unwrap().is_some());
    }

    #[test]
    fn nothing_is_searched_twice() {
        let (mut finder, item) = (finder(1 << 20), "<item>1</item >");
        let mut window = window(&format!("{item}{item}<item>3</item>"));
        let end = 3 * item.len() - 8;
        for number in 0..3 {
            let found = finder.find(&mut window).unwrap();
            assert_eq!(found.map(|found| found.inside.end + number * item.len()), Some(end));
            assert_eq!(finder.tags[0].searched, end as u64);
            if number < 2 {
                window.consume(item.len());
            }
        }
    }
}
