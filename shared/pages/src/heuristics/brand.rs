//! The brand that a page shows: beside a label, in a line by the name, in an element whose class or link says so.

use super::labels::{Kind, Labelled, kind_of};
use super::marks::Marks;
use super::page::{Page, Tag};
use super::state::State;
use crate::document::Document;
use crate::dom::attribute;
use crate::extract::normal;
use crate::product::words;
use std::collections::HashSet;

/// Longest text that is looked at, in characters.
const MAX_CHARS: usize = 50;
/// Longest brand in an element by its class or link, in characters.
const BRAND_CHARS: usize = 35;
/// How many texts before and after the product's name a line by it stands.
const BYLINE: (i64, i64) = (-6, 25);
/// The same of an element whose class or link says that it is a brand.
const NEAR: (i64, i64) = (-15, 60);
/// What a line says around the brand, in lower case: `Visit the Acme Store`.
const BYLINES: &[(&str, &str)] = &[
    ("visit the ", " store"),
    ("besuche den ", "-store"),
    ("besuchen sie den ", "-store"),
    ("visita lo store di ", ""),
    ("visitez la boutique ", ""),
    ("visita la tienda de ", ""),
    ("visite a loja ", ""),
    ("bezoek de ", "-winkel"),
    ("odwiedź sklep ", ""),
    ("by ", ""),
    ("von ", ""),
    ("par ", ""),
    ("di ", ""),
    ("brand ", ""),
];
/// Keys of a brand in scripts.
const KEYS: &[&str] =
    &["brand", "brandname", "manufacturer", "vendor", "product_brand", "brand_name", "item_brand"];

/// The brand of the page's product.
pub(super) fn brand(
    document: &Document,
    page: &Page<'_>,
    labelled: &[Labelled],
    state: &State,
) -> Option<String> {
    let center = page.anchor.map_or(0, |anchor| page.tags[anchor].first);
    let beside_label = labelled
        .iter()
        .filter(|found| found.kind == Kind::Brand && found.is_sure)
        .filter_map(|found| Some((normal::brand(&found.value)?, found.run.abs_diff(center))))
        .filter(|(name, _)| is_name(name))
        .min_by_key(|(_, distance)| *distance);
    // A line by the name is the surest, then a label.
    page.tags
        .iter()
        .find_map(|tag| byline(page, tag))
        .or(beside_label.map(|(name, _)| name))
        .or_else(|| state.values(KEYS).filter_map(normal::brand).find(|name| is_name(name)))
        .or_else(|| by_class(document, page))
}

/// `Visit the Acme Store`, `by Acme`: a link close to the product's name.
fn byline(page: &Page<'_>, tag: &Tag<'_>) -> Option<String> {
    if tag.name() != "a" || tag.is_aside || !is_within(page, tag, BYLINE) {
        return None;
    }
    let text = short_text(page, tag)?;
    let lower = text.to_lowercase();
    // Lengths differ where lower case does; such a text is none of these.
    if lower.len() != text.len() {
        return None;
    }
    BYLINES.iter().find_map(|(before, after)| {
        let name = lower.strip_prefix(*before)?.strip_suffix(*after)?;
        normal::brand(&text[before.len()..before.len() + name.len()])
    })
}

/// An element whose class or link says that it is a brand, if the page's titles have its words.
fn by_class(document: &Document, page: &Page<'_>) -> Option<String> {
    let anchor = page.anchor?;
    let graph = document.open_graph();
    let mut known: HashSet<String> = words(&page.text(anchor)).into_iter().collect();
    for text in
        [document.title().as_deref(), graph.first("og:title"), graph.first("og:description")]
    {
        known.extend(words(text.unwrap_or_default()));
    }
    let is_title = |text: &str| text == page.text(anchor);
    page.tags.iter().find_map(|tag| {
        let is_brand = tag.marks.has(Marks::BRAND) || is_brand_link(tag);
        if !is_brand || tag.is_aside || tag.end - tag.first > 2 || !is_within(page, tag, NEAR) {
            return None;
        }
        let text = short_text(page, tag)?;
        let is_brand = text.chars().count() <= BRAND_CHARS
            && !text.contains(':')
            && kind_of(&text).is_none()
            && !is_title(&text)
            && words(&text).iter().all(|word| known.contains(word));
        if is_brand { normal::brand(&text).filter(|name| is_name(name)) } else { None }
    })
}

/// Whether a link's address has a segment for brands.
fn is_brand_link(tag: &Tag<'_>) -> bool {
    let Some(href) = attribute(tag.element, "href").filter(|_| tag.name() == "a") else {
        return false;
    };
    href.to_ascii_lowercase().split(['/', '?', '&', '=', '-', '_']).any(|word| {
        matches!(
            word,
            "brand"
                | "brands"
                | "marca"
                | "marcas"
                | "marque"
                | "marques"
                | "marke"
                | "marken"
                | "manufacturer"
                | "manufacturers"
                | "hersteller"
                | "merk"
                | "merken"
                | "znacka"
                | "znacky"
                | "proizvoditel"
                | "brend"
        )
    })
}

fn is_within(page: &Page<'_>, tag: &Tag<'_>, (before, after): (i64, i64)) -> bool {
    let Some(anchor) = page.anchor else { return false };
    let distance = tag.first as i64 - page.tags[anchor].first as i64;
    (before..=after).contains(&distance)
}

fn short_text(page: &Page<'_>, tag: &Tag<'_>) -> Option<String> {
    let text = page.text_between(tag.first, tag.end, MAX_CHARS * 4);
    (!text.is_empty() && text.chars().nth(MAX_CHARS).is_none()).then_some(text)
}

/// A brand has a letter, and is not a label itself.
fn is_name(name: &str) -> bool {
    name.contains(char::is_alphabetic) && kind_of(name).is_none() && name.chars().count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heuristics::labels::labelled;
    use url::Url;

    fn read(body: &str) -> Option<String> {
        let html = format!("<title>De Buyer iron pan 28 | Shop</title>{body}");
        let document = Document::parse(&html, &Url::parse("https://shop.example/").unwrap());
        let page = Page::of(&document);
        let state = State::of(&document, &page, &[]);
        brand(&document, &page, &labelled(&page), &state)
    }

    #[test]
    fn brands_are_found_in_labels_lines_classes_and_links() {
        for (body, expected) in [
            ("<h1>Iron pan 28</h1><table><tr><td>Hersteller<td>De Buyer</table>", Some("De Buyer")),
            (
                "<h1>Iron pan 28</h1><a href=/s>Visit the De Buyer Store</a><p>Brand: Buyer</p>",
                Some("De Buyer"),
            ),
            ("<h1>Iron pan 28</h1><span class=product-brand>De Buyer</span>", Some("De Buyer")),
            ("<h1>Iron pan 28</h1><a href=/brands/de-buyer>De Buyer</a>", Some("De Buyer")),
            ("<h1>Iron pan 28</h1><a href=/brands/>All brands</a>", None),
            ("<h1>Iron pan 28</h1><p>Brand: Unbranded</p>", None),
            (
                "<h1>Iron pan 28</h1><script>p={name:'Iron pan 28',brand:'Acme'}</script>",
                Some("Acme"),
            ),
        ] {
            assert_eq!(read(body).as_deref(), expected, "{body}");
        }
    }
}
