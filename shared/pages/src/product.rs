//! From the items of structured data to products: which of the products on a page is its own, what an offer, a
//! group or a model adds to it, and its variants.

mod offer;
mod property;
mod subject;

pub(crate) use subject::{Subject, common_percent, words};

use crate::extract::normal;
use crate::extract::{Field, Origin, Product};
use crate::item::Item;
use crate::links::web_url;
use crate::open_graph::OpenGraph;
use property::{items, number, text, texts, urls};
use std::collections::HashSet;
use url::Url;

/// How deep a product may stand in a page's other items.
const DEPTH: u32 = 4;
/// Most variants taken from a page.
const MAX_VARIANTS: usize = 500;
/// Most pictures taken beside the main one.
const MAX_PICTURES: usize = 20;
/// In per cent: names with less in common with the page's titles are another product's, if there is a choice.
const CLOSE_PERCENT: u32 = 30;

/// The page's own product, or its variants, in the items of one syntax. `is_known`: another syntax has told the
/// page's product already, so one that has nothing to do with the page's titles is surely another.
pub(crate) fn products(
    items: &[Item],
    origin: Origin,
    subject: &Subject,
    is_known: bool,
) -> Vec<Product> {
    let mut candidates = Vec::new();
    for item in items {
        collect(item, DEPTH, &mut candidates);
    }
    let Some(main) = choose(&candidates, subject, is_known) else { return Vec::new() };
    let reader = Reader { origin, subject };
    let of_group: Vec<&Item> =
        property::items(main, "hasVariant").filter(|item| is_product(item)).collect();
    if !of_group.is_empty() {
        return of_group
            .into_iter()
            .take(MAX_VARIANTS)
            .map(|v| reader.read(v, Some(main)))
            .collect();
    }
    let name = text(main, "name").map(str::to_lowercase);
    let mut products = vec![reader.read(main, None)];
    let mut numbers: HashSet<String> = number(main, "sku").into_iter().collect();
    let same_name = |item: &&Item| {
        !std::ptr::eq(*item, main)
            && name.is_some()
            && text(item, "name").map(str::to_lowercase) == name
    };
    for twin in candidates.iter().copied().filter(same_name) {
        let read = reader.read(twin, None);
        match number(twin, "sku") {
            // Another number under the same name: a variant.
            Some(number) if !numbers.is_empty() => {
                if numbers.insert(number) && products.len() < MAX_VARIANTS {
                    products.push(read);
                }
            }
            // The same product told twice.
            _ => products[0].fill_from(&read),
        }
    }
    products
}

/// What Open Graph and the page's other meta elements say of its product.
pub(crate) fn from_open_graph(graph: &OpenGraph, subject: &Subject) -> Product {
    let origin = Origin::OpenGraph;
    let mut product = Product::default();
    let first = |names: &[&str]| names.iter().find_map(|name| graph.first(name));
    for (prices, currencies) in [
        (
            ["product:sale_price:amount", ""],
            ["product:sale_price:currency", "product:price:currency"],
        ),
        (
            ["product:price:amount", "og:price:amount"],
            ["product:price:currency", "og:price:currency"],
        ),
    ] {
        let currency = first(&currencies).and_then(normal::currency);
        let Some(written) = first(&prices) else { continue };
        let Some(money) = normal::price(written, currency) else { continue };
        let amount = normal::amount_text(money.ten_thousandths);
        if product.lacks(Field::Price) {
            product.set(Field::Price, amount, origin);
            product.fill(Field::Currency, currency.or(money.currency), origin);
        } else if product.get(Field::Price).and_then(normal::amount_of)
            < Some(money.ten_thousandths)
        {
            product.set(Field::NormalPrice, amount, origin);
        }
    }
    let availability = first(&["product:availability", "og:availability"]);
    product.fill(Field::Availability, availability.and_then(normal::availability), origin);
    let condition = first(&["product:condition", "og:condition"]);
    product.fill(Field::Condition, condition.and_then(normal::condition), origin);
    let brand = first(&["product:brand", "og:brand"]);
    product.fill(Field::Brand, brand.and_then(normal::brand), origin);
    let sku = first(&["product:retailer_item_id", "product:sku", "og:sku"]);
    product.fill(Field::Sku, sku.and_then(normal::number), origin);
    let mpn = first(&["product:mfr_part_no"]);
    product.fill(Field::Mpn, mpn.and_then(normal::number), origin);
    for name in ["product:gtin", "product:ean", "product:upc", "product:isbn"] {
        product.fill(Field::Gtin, graph.first(name).and_then(normal::gtin), origin);
    }
    let group = first(&["product:item_group_id"]);
    product.fill(Field::GroupId, group.and_then(normal::number), origin);
    product.fill(Field::Category, first(&["product:category"]), origin);
    product.fill(Field::Title, first(&["og:title", "twitter:title"]), origin);
    product.fill(Field::Description, first(&["og:description", "twitter:description"]), origin);
    let pictures = graph
        .properties
        .iter()
        .filter(|(name, _)| name == "og:image" || name == "og:image:secure_url")
        .map(|(_, value)| value.as_str());
    set_pictures(pictures, origin, subject, &mut product);
    product
}

/// Finds the products in an item, but not those of lists and recommendations, which are about other pages.
fn collect<'a>(item: &'a Item, depth: u32, found: &mut Vec<&'a Item>) {
    if is_product(item) {
        found.push(item);
        return;
    }
    if depth == 0 {
        return;
    }
    for name in ["mainEntity", "mainEntityOfPage", "about", "itemOffered", "@graph"] {
        for inner in items(item, name) {
            collect(inner, depth - 1, found);
        }
    }
}

fn is_product(item: &Item) -> bool {
    let is_offered = || item.properties.iter().any(|(name, _)| name.eq_ignore_ascii_case("offers"));
    item.types.iter().any(|name| {
        let short = name.rsplit(['/', '#', ':']).next().unwrap_or(name);
        match short.to_ascii_lowercase().as_str() {
            "product" | "productgroup" | "individualproduct" | "someproducts" | "productmodel"
            | "vehicle" | "car" | "motorcycle" => true,
            "book" | "movie" | "musicalbum" | "videogame" | "softwareapplication" | "game" => {
                is_offered()
            }
            _ => false,
        }
    })
}

/// The page's own product: close to its titles or at its address, then the one with an offer, then the first.
fn choose<'a>(candidates: &[&'a Item], subject: &Subject, is_known: bool) -> Option<&'a Item> {
    let rank = |item: &Item| {
        let closeness = text(item, "name").map_or(0, |name| subject.closeness(name));
        let is_here = text(item, "url").is_some_and(|url| subject.is_at(url));
        let has_offer =
            items(item, "offers").next().is_some() || items(item, "hasVariant").next().is_some();
        (closeness >= CLOSE_PERCENT || is_here, has_offer, closeness)
    };
    // `max_by_key` gives the last of equals; the first is wanted.
    let best = candidates.iter().copied().rev().max_by_key(|item| rank(item))?;
    let (is_close, _, closeness) = rank(best);
    let is_alone = candidates.len() == 1;
    let may_be_other = subject.has_titles() && text(best, "name").is_some();
    let is_listing = !is_alone && !is_close;
    let is_other = is_known && closeness == 0 && !is_close;
    (!may_be_other || !(is_listing || is_other)).then_some(best)
}

fn set_pictures<'a>(
    urls: impl Iterator<Item = &'a str>,
    origin: Origin,
    subject: &Subject,
    product: &mut Product,
) {
    let mut seen: Vec<String> = Vec::new();
    for url in urls {
        let Some(url) = web_url(&subject.base, url) else { continue };
        if seen.len() <= MAX_PICTURES && !seen.iter().any(|own| own == url.as_str()) {
            seen.push(url.into());
        }
    }
    let mut seen = seen.into_iter();
    if let Some(first) = seen.next() {
        product.set(Field::ImageLink, first, origin);
        product.set(Field::AdditionalImageLinks, seen.collect::<Vec<_>>().join("\n"), origin);
    }
}

/// Reads items into products.
struct Reader<'s> {
    origin: Origin,
    subject: &'s Subject,
}

impl Reader<'_> {
    /// A product with what its group, model or the group it names adds to it.
    fn read(&self, item: &Item, group: Option<&Item>) -> Product {
        let mut product = self.read_one(item);
        if group.is_some() && product.lacks(Field::Link) {
            // A variant's offer is at the variant's address, where that is said nowhere else.
            let offers = offer::offers(item);
            let chosen = offer::choose(&offers, product.get(Field::Sku), self.subject);
            let url = chosen.and_then(|offer| offer.url).and_then(|url| self.address(url));
            product.fill(Field::Link, url, self.origin);
        }
        for model in items(item, "model") {
            product.fill_from(&self.read_one(model));
        }
        let inline = items(item, "isVariantOf").next();
        if let Some(group) = group.or(inline) {
            let mut shared = self.read_one(group);
            let id = number(group, "productGroupID").or_else(|| number(group, "sku"));
            product.fill(Field::GroupId, id, self.origin);
            // A variant's numbers are its own.
            for own in [Field::Sku, Field::Gtin, Field::Mpn] {
                shared.fields.remove(&own);
            }
            product.fill_from(&shared);
        }
        product
    }

    fn read_one(&self, item: &Item) -> Product {
        let mut product = Product::default();
        let origin = self.origin;
        for (field, name) in [
            (Field::Title, "name"),
            (Field::Description, "description"),
            (Field::Color, "color"),
            (Field::Size, "size"),
            (Field::Material, "material"),
            (Field::Pattern, "pattern"),
            (Field::Category, "category"),
        ] {
            product.fill(field, text(item, name), origin);
        }
        product.fill(Field::GroupId, number(item, "inProductGroupWithID"), origin);
        let rating = items(item, "aggregateRating").next();
        let reviews = rating.and_then(|rating| text(rating, "reviewCount"));
        let reviews = reviews.filter(|count| count.bytes().all(|byte| byte.is_ascii_digit()));
        product.fill(Field::ReviewCount, reviews, origin);
        for name in ["brand", "manufacturer"] {
            product.fill(Field::Brand, texts(item, name).find_map(normal::brand), origin);
        }
        product.fill(Field::Link, text(item, "url").and_then(|url| self.address(url)), origin);
        set_pictures(urls(item, "image"), origin, self.subject, &mut product);
        self.add_numbers(item, &mut product);
        let condition = texts(item, "itemCondition").find_map(normal::condition);
        product.fill(Field::Condition, condition, origin);
        self.add_offer(item, &mut product);
        product
    }

    /// An address on the web, from one that may be relative to the page's.
    fn address(&self, written: &str) -> Option<Url> {
        web_url(&self.subject.base, written)
    }

    fn add_numbers(&self, item: &Item, product: &mut Product) {
        let origin = self.origin;
        product.fill(Field::Sku, number(item, "sku"), origin);
        for name in
            ["gtin13", "gtin", "gtin14", "gtin12", "gtin8", "ean", "upc", "isbn", "productID"]
        {
            product.fill(Field::Gtin, texts(item, name).find_map(normal::gtin), origin);
        }
        product.fill(Field::Mpn, number(item, "mpn"), origin);
        // A model's text is its number where there is a digit in it.
        let model =
            text(item, "model").filter(|model| model.contains(|c: char| c.is_ascii_digit()));
        product.fill(Field::Mpn, model.and_then(normal::number), origin);
    }

    fn add_offer(&self, item: &Item, product: &mut Product) {
        let origin = self.origin;
        let offers = offer::offers(item);
        if let Some(chosen) = offer::choose(&offers, product.get(Field::Sku), self.subject) {
            let price = chosen.price.map(normal::amount_text);
            product.fill(Field::Price, price, origin);
            product.fill(Field::NormalPrice, chosen.normal_price.map(normal::amount_text), origin);
            product.fill(Field::Currency, chosen.currency, origin);
            product.fill(Field::Availability, chosen.availability, origin);
            product.fill(Field::Condition, chosen.condition, origin);
            product.fill(Field::Sku, chosen.sku.as_deref(), origin);
            if let Some(offer) = chosen.item {
                self.add_numbers(offer, product);
            }
        }
        for name in ["productID", "identifier"] {
            product.fill(Field::Sku, number(item, name), origin);
        }
    }
}

#[cfg(test)]
mod tests;
