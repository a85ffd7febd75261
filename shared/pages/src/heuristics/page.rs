//! A page as rules of thumb look at it: its elements and its pieces of text in their order, with what is known of
//! each; where the product's name stands; and what belongs to other products.

mod others;
mod subject;
mod walk;

use super::marks::Marks;
use crate::document::Document;
use scraper::ElementRef;

/// Longest text of an element that is looked at, in bytes.
pub(super) const TEXT_BYTES: usize = 400;

/// An element.
#[derive(Debug)]
pub(super) struct Tag<'a> {
    pub(super) element: ElementRef<'a>,
    pub(super) parent: Option<usize>,
    pub(super) depth: usize,
    pub(super) marks: Marks,
    /// The texts in it: `runs[first..end]`.
    pub(super) first: usize,
    pub(super) end: usize,
    /// The place after the last element in it.
    pub(super) last: usize,
    /// It is not shown.
    pub(super) is_hidden: bool,
    /// It is struck through.
    pub(super) is_struck: bool,
    /// By its class, a price that no longer holds.
    pub(super) is_old: bool,
    /// It belongs to other products or to the shop.
    pub(super) is_aside: bool,
    /// It leads to another page.
    pub(super) is_link: bool,
}

impl<'a> Tag<'a> {
    pub(super) fn name(&self) -> &'a str {
        self.element.value().name()
    }
}

/// A piece of text between two tags.
#[derive(Debug)]
pub(super) struct Run {
    /// The text, trimmed, with single spaces.
    pub(super) text: String,
    /// The element that it stands in.
    pub(super) tag: usize,
    /// Whether white space or a block's border is before it.
    pub(super) has_gap: bool,
    /// Whether it stands raised or in a class for decimals.
    is_cents: bool,
}

/// A page.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub(super) tags: Vec<Tag<'a>>,
    pub(super) runs: Vec<Run>,
    /// The element with the product's name.
    pub(super) anchor: Option<usize>,
}

impl<'a> Page<'a> {
    /// Looks at all that a page shows.
    pub(super) fn of(document: &'a Document) -> Self {
        let root = document.html.root_element();
        let mut page = Self { tags: Vec::new(), runs: Vec::new(), anchor: None };
        page.walk(root);
        page.anchor = page.find_name(document);
        page.mark_others();
        page
    }

    /// The text of an element, up to [`TEXT_BYTES`].
    pub(super) fn text(&self, tag: usize) -> String {
        self.text_between(self.tags[tag].first, self.tags[tag].end, TEXT_BYTES)
    }

    /// The text of `runs[first..end]`, up to a length and the run that exceeds it. Decimals set apart get their
    /// mark: `$229` and a raised `99` are `$229.99`.
    pub(super) fn text_between(&self, first: usize, end: usize, limit: usize) -> String {
        let mut text = String::new();
        let mut before: Option<&Run> = None;
        for run in &self.runs[first..end.max(first)] {
            if let Some(before) = before {
                if run.has_gap {
                    text.push(' ');
                } else if run.is_decimals_of(before) {
                    text.extend(mark_after(&text));
                }
            }
            text.push_str(&run.text);
            before = Some(run);
            if text.len() > limit {
                break;
            }
        }
        text
    }

    /// Whether an element's text is longer than a limit in bytes.
    pub(super) fn is_longer(&self, tag: usize, limit: usize) -> bool {
        let mut length = 0;
        self.runs[self.tags[tag].first..self.tags[tag].end].iter().any(|run| {
            length += run.text.len() + 1;
            length > limit
        })
    }

    /// How many levels the deeper of two elements is below what has both in it.
    pub(super) fn distance(&self, one: usize, other: usize) -> usize {
        let deepest = self.tags[one].depth.max(self.tags[other].depth);
        let (mut one, mut other) = (one, other);
        // A parent comes before its children.
        while one != other {
            let lower = if one > other { &mut one } else { &mut other };
            match self.tags[*lower].parent {
                Some(parent) => *lower = parent,
                None => break,
            }
        }
        deepest - self.tags[one].depth.min(deepest)
    }

    /// The element and those around it, from the inside.
    pub(super) fn around(&self, tag: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(tag), move |tag| self.tags[*tag].parent)
    }

    /// The block that an element stands in: itself, if it is one.
    pub(super) fn block(&self, tag: usize) -> usize {
        self.around(tag).find(|tag| is_block(self.tags[*tag].name())).unwrap_or(tag)
    }
}

impl Run {
    fn is_decimals_of(&self, before: &Run) -> bool {
        let is_number = self.text.starts_with(|c: char| c.is_ascii_digit());
        let is_two_digits = self.text.len() == 2 && self.text.bytes().all(|b| b.is_ascii_digit());
        is_number && (self.is_cents || (is_two_digits && self.tag != before.tag))
    }
}

/// The decimal mark that a whole amount at the end of a text wants; none where there is no whole amount.
fn mark_after(text: &str) -> Option<char> {
    let before = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = text.len() - before.len();
    match before.chars().next_back() {
        _ if digits == 0 => None,
        Some('.') if digits == 3 => Some(','),
        Some(',') if digits == 3 => Some('.'),
        Some('.' | ',') => None,
        _ => Some('.'),
    }
}

/// Whether an element's text stands apart from the text around it.
fn is_block(name: &str) -> bool {
    !matches!(
        name,
        "a" | "abbr"
            | "b"
            | "bdi"
            | "bdo"
            | "big"
            | "cite"
            | "code"
            | "data"
            | "del"
            | "em"
            | "font"
            | "i"
            | "ins"
            | "mark"
            | "meta"
            | "s"
            | "small"
            | "span"
            | "strike"
            | "strong"
            | "sub"
            | "sup"
            | "time"
            | "tt"
            | "u"
            | "wbr"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use url::Url;

    fn document(html: &str) -> Document {
        Document::parse(html, &Url::parse("https://shop.example/").unwrap())
    }

    #[test]
    fn texts_are_joined_as_they_are_shown() {
        for (body, expected) in [
            ("<p>a<b>b</b> <i>c</i></p><p>d</p>", "ab c d"),
            ("<p>$229<sup>99</sup></p>", "$229.99"),
            ("<p>1.299<span class=cents>5</span></p>", "1.299,5"),
            ("<p>12.50<b>99</b></p>", "12.5099"),
            ("<p>a<script>b</script><br>c</p>", "a c"),
        ] {
            let document = document(body);
            let page = Page::of(&document);
            assert_eq!(page.text(0), expected, "{body}");
        }
    }

    #[test]
    fn the_name_is_the_heading_closest_to_the_titles() {
        for (html, expected) in [
            ("<title>Iron pan | Shop</title><h1>Welcome</h1><h1>Iron pan</h1>", Some("Iron pan")),
            (
                "<title>Iron pan</title><div class=product-name>Iron pan</div><h1>Shop</h1>",
                Some("Iron pan"),
            ),
            ("<title>Iron pan</title><p>Iron pan</p><p>Pan</p>", Some("Iron pan")),
            ("<title>Iron pan</title><h1>Welcome</h1>", None),
        ] {
            let document = document(html);
            let page = Page::of(&document);
            assert_eq!(page.anchor.map(|anchor| page.text(anchor)).as_deref(), expected, "{html}");
        }
    }

    #[test]
    fn distance_is_counted_from_what_has_both() {
        let document = document("<div><p><b>x</b></p><i>y</i></div>");
        let page = Page::of(&document);
        let find = |name: &str| page.tags.iter().position(|tag| tag.name() == name).unwrap();
        assert_eq!(page.distance(find("b"), find("i")), 2);
        assert_eq!(page.distance(find("i"), find("b")), 2);
        assert_eq!(page.distance(find("b"), find("b")), 0);
    }
}
