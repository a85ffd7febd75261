//! The extraction of a page's products. In the order of trust: the pipe's own selectors, JSON-LD, microdata, RDFa,
//! Open Graph, and what the page shows. Each field says which of them it comes from.

mod field;
pub(crate) mod normal;
mod page;

pub use field::{Field, FieldValue, Origin, Product};
pub use page::extract_page;

use crate::document::Document;
use crate::heuristics;
use crate::product::{self, Subject};
use crate::scan::Scan;
use crate::selectors::Selectors;
use feedfleet_model::hash::{bytes_hash, hex};
use url::Url;

/// Bytes of the longest id that the product table takes.
const MAX_ID_BYTES: usize = 255;
/// Hexadecimal digits of a hash that stands in an id for what is too long.
const HASH_DIGITS: usize = 16;

/// What a page must say by JSON-LD alone to need no tree.
const COMPLETE: &[Field] = &[
    Field::Title,
    Field::Price,
    Field::Currency,
    Field::Availability,
    Field::Sku,
    Field::Brand,
    Field::ImageLink,
];

/// What a page gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extraction {
    /// The page's product, or its variants, each one; none where the page is not a product's.
    pub products: Vec<Product>,
    /// JSON-LD scripts that could not be read at all.
    pub broken_json_ld: usize,
}

/// Extracts the products of a page. A listing of products has none of its own.
pub fn extract(document: &Document, selectors: &Selectors) -> Extraction {
    read(document, selectors, true)
}

/// Extracts the products of a page as its structured data alone tells them: nothing that it shows corrects or fills in.
/// For measuring what the rest adds to that.
pub fn extract_structured(document: &Document) -> Extraction {
    read(document, &Selectors::default(), false)
}

fn read(document: &Document, selectors: &Selectors, reads_what_is_shown: bool) -> Extraction {
    let graph = document.open_graph();
    let subject = Subject::of(document, &graph);
    let json_ld = document.json_ld();
    let mut products = product::products(&json_ld.items, Origin::JsonLd, &subject, false);
    let (microdata, rdfa) = (document.microdata(), document.rdfa());
    for (items, origin) in [(&microdata, Origin::Microdata), (&rdfa, Origin::Rdfa)] {
        let more = product::products(items, origin, &subject, !products.is_empty());
        merge(&mut products, more);
    }
    let of_graph = product::from_open_graph(&graph, &subject);
    let selected = selectors.read(document);
    let is_told = !products.is_empty() || is_of_product(&of_graph) || is_of_product(&selected);

    // What concerns the page as a whole is found on a product of its own, and given to all variants.
    let has_variants = products.len() > 1;
    let mut whole =
        if has_variants { Product::default() } else { products.pop().unwrap_or_default() };
    overrule(&mut whole, &selected);
    whole.fill_from(&of_graph);
    let is_shown = reads_what_is_shown && heuristics::complete(document, &mut whole);
    add_head(document, &mut whole);
    if has_variants {
        for variant in &mut products {
            overrule(variant, &selected);
            variant.fill_shared_from(&whole);
            let group = heuristics::number_in_url(document.url());
            variant.fill(Field::GroupId, group, Origin::Heuristic);
        }
    } else if is_told || is_shown {
        products.push(whole);
    }
    products.iter_mut().for_each(finish);
    tell_apart(&mut products);
    Extraction { products, broken_json_ld: json_ld.broken }
}

/// Extracts the products of a page from its tags alone, at a fraction of the cost, if its JSON-LD tells all that a
/// catalogue needs of each. None: parse the page into a [`Document`] and [`extract`]. `url` is where the page was
/// found. A pipe with selectors needs the document in any case.
///
/// What the page shows is not looked at, so a price or availability that it contradicts stays: see [`extract_page`].
pub fn extract_scan(scan: &Scan<'_>, url: &Url) -> Option<Extraction> {
    let json_ld = scan.items();
    let graph = scan.open_graph();
    let mut addresses = vec![url.clone()];
    addresses.extend(scan.canonical_url(url));
    let subject = Subject::new(scan.base_url(url), addresses, &graph, scan.title.as_deref());
    let mut products = product::products(&json_ld.items, Origin::JsonLd, &subject, false);
    let of_graph = product::from_open_graph(&graph, &subject);
    let description = scan.metas.iter().find(|(name, _)| name.eq_ignore_ascii_case("description"));
    let description = description.map(|(_, content)| &**content);
    let has_variants = products.len() > 1;
    let group = if has_variants { heuristics::number_in_url(url) } else { None };
    for product in &mut products {
        product.fill_shared_from(&of_graph);
        product.fill(Field::Description, description, Origin::OpenGraph);
        product.fill(Field::GroupId, group.as_deref(), Origin::Heuristic);
        let link = subject.addresses.last().cloned();
        product.fill(Field::Link, link, Origin::Heuristic);
        finish(product);
    }
    let is_complete = |product: &Product| COMPLETE.iter().all(|field| !product.lacks(*field));
    (!products.is_empty() && products.iter().all(is_complete))
        .then_some(Extraction { products, broken_json_ld: json_ld.broken })
}

/// Adds another syntax's description of the same products.
fn merge(products: &mut Vec<Product>, more: Vec<Product>) {
    if products.is_empty() {
        *products = more;
        return;
    }
    if let ([own], [other]) = (products.as_mut_slice(), more.as_slice()) {
        own.fill_from(other);
        return;
    }
    for product in products {
        let same = more.iter().find(|other| {
            product.get(Field::Sku).is_some() && product.get(Field::Sku) == other.get(Field::Sku)
        });
        if let Some(same) = same {
            product.fill_from(same);
        } else if let Some(first) = more.first() {
            product.fill_shared_from(first);
        }
    }
}

/// Whether a description has what only a product has.
fn is_of_product(product: &Product) -> bool {
    [Field::Price, Field::Sku, Field::Gtin, Field::Id, Field::Availability]
        .iter()
        .any(|field| !product.lacks(*field))
}

/// What the pipe's selectors found comes before all else.
fn overrule(product: &mut Product, selected: &Product) {
    if !selected.lacks(Field::Price) {
        // Of another price.
        product.fields.remove(&Field::NormalPrice);
    }
    for (field, value) in &selected.fields {
        product.fields.insert(*field, value.clone());
    }
}

/// What the page's head says, where nothing better does.
fn add_head(document: &Document, product: &mut Product) {
    let origin = Origin::OpenGraph;
    product.fill(Field::Title, document.title(), origin);
    let description = document
        .metas()
        .find(|(name, _)| name.eq_ignore_ascii_case("description"))
        .map(|(_, content)| content);
    product.fill(Field::Description, description, origin);
    let canonical = document.canonical();
    product.fill(Field::Link, canonical, Origin::Heuristic);
    product.fill(Field::Link, Some(document.url().as_str()), Origin::Heuristic);
}

/// The id, and the last doubts.
fn finish(product: &mut Product) {
    // A shop that writes its own number as the manufacturer's doesn't know that one.
    let is_own =
        product.get(Field::Mpn).is_some() && product.get(Field::Mpn) == product.get(Field::Sku);
    if is_own && product.fields[&Field::Mpn].origin != Origin::Selector {
        product.fields.remove(&Field::Mpn);
    }
    if product.lacks(Field::Price) {
        product.fields.remove(&Field::Currency);
    }
    let id = [Field::Sku, Field::Gtin, Field::Mpn, Field::Link]
        .iter()
        .find_map(|field| product.fields.get(field).cloned());
    if let Some(id) = id {
        product.fields.entry(Field::Id).or_insert(id);
    }
}

/// Variants without any number, on one page, have what they differ in for the end of their ids, or a hash of it where
/// that would be too long for an id.
fn tell_apart(products: &mut [Product]) {
    let links: Vec<Option<String>> =
        products.iter().map(|product| product.get(Field::Link).map(str::to_owned)).collect();
    for product in products {
        let link = product.get(Field::Link).map(str::to_owned);
        let Some(mut id) = product.fields.get(&Field::Id).cloned() else { continue };
        let is_shared = links.iter().filter(|other| **other == link).nth(1).is_some();
        if !is_shared || link.as_deref() != Some(id.text.as_str()) {
            continue;
        }
        let traits = [Field::Color, Field::Size, Field::Material, Field::Pattern];
        let traits: Vec<&str> =
            traits.iter().filter_map(|field| product.get(*field)).map(str::trim).collect();
        let own = if traits.is_empty() { product.get(Field::Title) } else { None };
        let own = own.map_or_else(|| traits.join("/"), str::to_owned);
        if !own.is_empty() {
            let own = own.split_whitespace().collect::<Vec<_>>().join("-").to_lowercase();
            let hash = hex(bytes_hash(own.as_bytes()));
            let longest_first =
                [format!("{}#{own}", id.text), format!("{}#{}", id.text, &hash[..HASH_DIGITS])];
            if let Some(text) = longest_first.into_iter().find(|id| id.len() <= MAX_ID_BYTES) {
                id.text = text;
                product.fields.insert(Field::Id, id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
