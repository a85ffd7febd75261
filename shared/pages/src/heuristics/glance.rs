//! A glance at what a page shows, without its tree: whether it may say something else of price or stock than its
//! structured data. It rather doubts once too often, which costs a tree, than believes what is out of date.

use super::availability::{AFTER, BEFORE, says_out};
use super::marks::Marks;
use crate::extract::{Field, Product};
use crate::tags::{self, Attributes};
use memchr::{memchr, memmem};
use std::cell::OnceCell;

/// Bytes of the longest text that is looked at: longer ones are sentences about something else.
const TEXT_BYTES: usize = 300;
/// How many of the tags that open before a text may be around it.
const TAGS: usize = 6;

/// Whether the page may show that its one product has been reduced, or can't be had, where its structured data says
/// otherwise: what [`super::complete`] would correct.
pub(crate) fn may_contradict(html: &str, product: &Product) -> bool {
    let is_in_stock = product.get(Field::Availability) == Some("in_stock");
    let price = product.get(Field::Price).unwrap_or_default();
    let whole_amount = price.split('.').next().unwrap_or_default();
    let glance = Glance::of(html);
    glance.texts().any(|(text, tags)| {
        let is_old = || names_amount(text, whole_amount) && tags.iter().any(Tag::is_of_old);
        (is_in_stock && says_out(&tags::unescaped(text))) || is_old()
    })
}

/// The short texts of a page.
#[derive(Default)]
struct Glance<'a> {
    /// Each with the number of tags that open before it.
    texts: Vec<(&'a str, usize)>,
    /// The tags that open.
    tags: Vec<Tag<'a>>,
    /// The texts that begin first-level headings, one of which is the product's name. They ascend.
    headings: Vec<usize>,
}

/// A tag that opens.
struct Tag<'a> {
    /// From its name on.
    text: &'a str,
    /// Found out when it is first asked for: a tag may be long, and have many texts behind it.
    is_of_old: OnceCell<bool>,
}

impl Tag<'_> {
    /// Whether what is in it may be a price that no longer holds.
    fn is_of_old(&self) -> bool {
        *self.is_of_old.get_or_init(|| is_of_old(self.text))
    }
}

impl<'a> Glance<'a> {
    fn of(html: &'a str) -> Self {
        let mut glance = Self::default();
        let mut at = 0;
        while let Some(offset) = memchr(b'<', &html.as_bytes()[at..]) {
            let start = at + offset + 1;
            glance.add_text(&html[at..start - 1]);
            let next = html.as_bytes().get(start).copied();
            at = match next {
                Some(byte) if byte.is_ascii_alphabetic() => glance.add_tag(html, start),
                Some(b'!' | b'?' | b'/') => tags::comment_end(html, start),
                // A less-than sign.
                _ => start,
            };
        }
        glance.add_text(&html[at..]);
        glance
    }

    fn add_text(&mut self, text: &'a str) {
        let text = text.trim();
        if !text.is_empty() && text.len() <= TEXT_BYTES {
            self.texts.push((text, self.tags.len()));
        }
    }

    /// Adds the tag whose name begins at a place; where what is in it begins, or where that ends, if it is not shown.
    fn add_tag(&mut self, html: &'a str, start: usize) -> usize {
        // An attribute with `>` in it ends too early: a little of it counts as text.
        let rest = html.as_bytes().get(start..).unwrap_or_default();
        let end = memchr(b'>', rest).map_or(html.len(), |end| start + end + 1);
        let tag = &html[start..end];
        let name = &tag[..tags::name_end(tag, 0)];
        // One that closes itself, as in drawings, has no content.
        if tags::is_raw(name) && !tag.ends_with("/>") {
            return tags::raw_end(html, end, name);
        }
        if name.eq_ignore_ascii_case("h1") {
            self.headings.push(self.texts.len());
        }
        self.tags.push(Tag { text: tag, is_of_old: OnceCell::new() });
        end
    }

    /// The texts around the page's headings, or all where it has none, each with the last tags that open before it.
    fn texts(&self) -> impl Iterator<Item = (&'a str, &[Tag<'a>])> {
        let is_near = move |place: usize| {
            let first = self.headings.partition_point(|heading| *heading + AFTER < place);
            let heading = self.headings.get(first);
            self.headings.is_empty() || heading.is_some_and(|heading| *heading <= place + BEFORE)
        };
        let near = self.texts.iter().enumerate().filter(move |(place, _)| is_near(*place));
        near.map(move |(_, (text, tags))| (*text, &self.tags[tags.saturating_sub(TAGS)..*tags]))
    }
}

/// Whether the digits of an amount before its decimals are in a text, however it writes them.
fn names_amount(text: &str, whole_amount: &str) -> bool {
    let mut digits = [0; TEXT_BYTES];
    let mut count = 0;
    for byte in text.bytes().filter(u8::is_ascii_digit).take(TEXT_BYTES) {
        digits[count] = byte;
        count += 1;
    }
    count > 0 && memmem::find(&digits[..count], whole_amount.as_bytes()).is_some()
}

/// Whether what is in a tag may be a price that no longer holds.
fn is_of_old(tag: &str) -> bool {
    let name_end = tags::name_end(tag, 0);
    if ["s", "del", "strike"].iter().any(|name| tag[..name_end].eq_ignore_ascii_case(name)) {
        return true;
    }
    let mut marks = Marks::default();
    for (name, value) in Attributes::new(tag, name_end) {
        if name.eq_ignore_ascii_case("style") && value.contains("line-through") {
            return true;
        }
        if ["class", "id"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
            marks.read(value);
        }
    }
    marks.has(Marks::OLD_PRICE) || (marks.has(Marks::OLD) && marks.has(Marks::PRICE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::Origin;
    use std::time::{Duration, Instant};

    fn doubts(body: &str) -> bool {
        doubts_page(&format!("<title>Sold out</title><h1>Pan</h1>{body}"))
    }

    fn doubts_page(html: &str) -> bool {
        let mut product = Product::default();
        product.set(Field::Price, "1249.5", Origin::JsonLd);
        product.set(Field::Availability, "in_stock", Origin::JsonLd);
        may_contradict(html, &product)
    }

    #[test]
    fn what_may_contradict_is_found() {
        for body in [
            "<p>Sold&nbsp;out</p>",
            "<div class=stock><b>Nicht auf Lager</b></div>",
            "<s>1.249,50 €</s> <b>999 €</b>",
            "<span class='price old'><span>€</span> <span>1 249.50</span></span>",
            "<span class='price compare-at strikethrough'>1,249.50</span>",
            "<i style='text-decoration: line-through'>1249.5</i>",
            "<svg><title/><style /></svg><p>Sold out</p>",
        ] {
            assert!(doubts(body), "{body}");
        }
    }

    #[test]
    fn what_agrees_needs_no_tree() {
        for body in [
            "",
            "<p class=price>1.249,50 €</p><p>In stock</p>",
            "<s>49,00 €</s>",
            "<script>if (a < b) say('sold out')</script><!-- sold out -->",
            "<svg><title>Sold out</title></svg>",
            "<p title='a > b'>1 < 2</p>",
            "<p",
        ] {
            assert!(!doubts(body), "{body}");
        }
        let far = format!("{}<p>Sold out</p>", "<p>x</p>".repeat(AFTER + 1));
        assert!(!doubts(&far), "of another product");
        assert!(doubts(&format!("{far}<h1>Pot</h1>")), "of one of two headings");
    }

    #[test]
    fn a_page_made_to_be_slow_is_not() {
        // Without a heading, all texts are looked at.
        let long_tag = format!("<b class='{}'>", "x ".repeat(1 << 19));
        for (slow, name) in [
            ("<h1>x".repeat(300_000), "headings"),
            (format!("{long_tag}{}", "</b>1249".repeat(100_000)), "a long tag"),
        ] {
            let began = Instant::now();
            assert!(!doubts_page(&slow), "{name}");
            assert!(began.elapsed() < Duration::from_secs(5), "{name}: {:?}", began.elapsed());
        }
    }
}
