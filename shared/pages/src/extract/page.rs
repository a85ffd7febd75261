//! The extraction of a page at the least cost that gives the same: from its tags alone where that is enough, else from
//! its tree.

use super::{Extraction, Field, extract, extract_scan};
use crate::document::Document;
use crate::heuristics;
use crate::scan::Scan;
use crate::selectors::Selectors;
use url::Url;

/// The fields that what a page shows may correct.
const SHOWN: [Field; 4] = [Field::Price, Field::NormalPrice, Field::Currency, Field::Availability];

/// Extracts the products of a page that was found at `url`; `scan` is the scan of its `html`. Only a page whose JSON-LD
/// tells all that a catalogue needs, and which shows nothing that may contradict it, needs no tree. Where it does show
/// such a thing, price and availability are the tree's, and all else is what the tags told.
///
/// None: nobody knows which products the page has. It has more than `max_tree_bytes`, or its tree was cut
/// ([`Document::is_whole`]), and its JSON-LD leaves something open.
pub fn extract_page(
    html: &str,
    scan: &Scan<'_>,
    url: &Url,
    selectors: &Selectors,
    max_tree_bytes: u64,
) -> Option<Extraction> {
    let told = if selectors.is_empty() { extract_scan(scan, url) } else { None };
    if html.len() as u64 > max_tree_bytes {
        return told;
    }
    // What a page shows says nothing of one variant among several.
    let is_enough = told.as_ref().is_some_and(|told| match told.products.as_slice() {
        [only] => !heuristics::may_contradict(html, only),
        _ => true,
    });
    if is_enough {
        return told;
    }
    let document = Document::parse(html, url);
    // Of a page that was cut, a price, or other products, may be behind the cut.
    if !document.is_whole() {
        return told;
    }
    let shown = extract(&document, selectors);
    Some(match told {
        Some(told) => corrected(told, shown),
        None => shown,
    })
}

/// What the tags told of a page's one product, with price and stock as its tree has them. Nothing else that the tree
/// has is taken: numbers would come and go with the reduction.
fn corrected(mut told: Extraction, shown: Extraction) -> Extraction {
    if told.products.len() != 1 || shown.products.len() != 1 {
        return shown;
    }
    for (own, whole) in told.products.iter_mut().zip(shown.products) {
        own.fields.retain(|field, _| !SHOWN.contains(field));
        own.fields.extend(whole.fields.into_iter().filter(|(field, _)| SHOWN.contains(field)));
    }
    told
}
