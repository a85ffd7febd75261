//! The offers of a product in structured data, and which of them is the page's.

use super::property::{items, number, text, texts, values};
use super::subject::Subject;
use crate::extract::normal;
use crate::item::{Item, Value};

/// How deep offers stand in offers, and amounts in objects.
const DEPTH: u32 = 3;
/// Most offers looked at.
const MAX_OFFERS: usize = 500;

/// An offer.
#[derive(Debug, Default)]
pub(super) struct Offer<'a> {
    /// What the buyer pays, in ten-thousandths.
    pub(super) price: Option<i64>,
    /// The price before a reduction, in ten-thousandths.
    pub(super) normal_price: Option<i64>,
    pub(super) currency: Option<&'static str>,
    pub(super) availability: Option<&'static str>,
    pub(super) condition: Option<&'static str>,
    pub(super) sku: Option<String>,
    pub(super) url: Option<&'a str>,
    /// The offer itself: for identifiers that shops give here rather than with the product.
    pub(super) item: Option<&'a Item>,
}

/// All offers of a product, those in an aggregate one by one where it lists them.
pub(super) fn offers(product: &Item) -> Vec<Offer<'_>> {
    let mut found = Vec::new();
    for offer in items(product, "offers") {
        collect(offer, DEPTH, &mut found);
    }
    found
}

/// The offer that is meant: the one at the page's address or with the product's number, else the cheapest that can
/// be had.
pub(super) fn choose<'o, 'i>(
    offers: &'o [Offer<'i>],
    sku: Option<&str>,
    subject: &Subject,
) -> Option<&'o Offer<'i>> {
    let priced = || offers.iter().filter(|offer| offer.price.is_some());
    let at_page: Vec<_> =
        priced().filter(|offer| offer.url.is_some_and(|url| subject.is_at(url))).collect();
    // Where all are at the page's address, it chooses none.
    if let [only] = at_page[..] {
        return Some(only);
    }
    let by_sku = |offer: &&Offer<'_>| sku.is_some() && offer.sku.as_deref() == sku;
    let cheapest = |available: bool| {
        priced()
            .filter(move |offer| !available || offer.availability != Some("out_of_stock"))
            .min_by_key(|offer| offer.price)
    };
    priced()
        .find(by_sku)
        .or_else(|| cheapest(true))
        .or_else(|| cheapest(false))
        .or_else(|| offers.iter().find(|offer| offer.availability.is_some()))
        .or_else(|| offers.first())
}

fn collect<'a>(item: &'a Item, depth: u32, found: &mut Vec<Offer<'a>>) {
    if found.len() >= MAX_OFFERS {
        return;
    }
    let before = found.len();
    if depth > 0 {
        for inner in items(item, "offers") {
            collect(inner, depth - 1, found);
        }
    }
    let has_inner_price = found[before..].iter().any(|offer| offer.price.is_some());
    if has_inner_price {
        // The aggregate's own word on what its offers leave open.
        let around = read(item);
        for offer in &mut found[before..] {
            offer.currency = offer.currency.or(around.currency);
            offer.availability = offer.availability.or(around.availability);
        }
    } else {
        found.truncate(before);
        found.push(read(item));
    }
}

fn read(item: &Item) -> Offer<'_> {
    let mut offer = Offer {
        currency: texts(item, "priceCurrency").find_map(normal::currency),
        availability: texts(item, "availability").find_map(normal::availability),
        condition: texts(item, "itemCondition").find_map(normal::condition),
        sku: number(item, "sku"),
        url: text(item, "url"),
        item: Some(item),
        ..Offer::default()
    };
    take_price(item, &["price"], &mut offer);
    for specification in items(item, "priceSpecification") {
        offer.currency = offer
            .currency
            .or_else(|| texts(specification, "priceCurrency").find_map(normal::currency));
        let kind = text(specification, "priceType").unwrap_or_default();
        let is_before = ["ListPrice", "StrikethroughPrice", "RegularPrice", "SRP", "MSRP"]
            .iter()
            .any(|name| kind.ends_with(name));
        let mut price = Offer { currency: offer.currency, ..Offer::default() };
        take_price(specification, &["price", "minPrice", "maxPrice"], &mut price);
        offer.currency = offer.currency.or(price.currency);
        if is_before {
            offer.normal_price = offer.normal_price.or(price.price);
        } else {
            offer.price = offer.price.or(price.price);
        }
    }
    if offer.price.is_none() {
        take_price(item, &["lowPrice", "highPrice"], &mut offer);
    }
    offer.normal_price = offer.normal_price.filter(|normal| Some(*normal) > offer.price);
    offer
}

/// The first of the properties that holds an amount.
fn take_price(item: &Item, names: &[&str], offer: &mut Offer<'_>) {
    for value in names.iter().flat_map(|name| values(item, name)) {
        let Some(written) = amount_in(value, DEPTH) else { continue };
        if let Some(money) = normal::price(written, offer.currency) {
            offer.price = Some(money.ten_thousandths);
            offer.currency = offer.currency.or(money.currency);
            return;
        }
    }
}

/// An amount as written; some shops put an object there.
fn amount_in(value: &Value, depth: u32) -> Option<&str> {
    match value {
        Value::Text(_) => value.text(),
        Value::Item(item) => ["price", "value", "decimalPrice", "amount"]
            .iter()
            .find_map(|name| text(item, name))
            .or_else(|| {
                let inner = item.properties.iter().flat_map(|(_, all)| all);
                let mut objects = inner.filter(|value| value.item().is_some());
                if depth == 0 {
                    None
                } else {
                    objects.find_map(|value| amount_in(value, depth - 1))
                }
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;
    use url::Url;

    /// The price, currency and availability that a product's JSON gives on a page of its own.
    fn chosen(product: &str) -> Option<(Option<i64>, Option<&'static str>, Option<&'static str>)> {
        let html = format!(r#"<script type="application/ld+json">{product}</script>"#);
        let url = Url::parse("https://shop.example/pan?v=2").unwrap();
        let document = Document::parse(&html, &url);
        let subject = Subject::of(&document, &document.open_graph());
        let read = document.json_ld();
        let item = &read.items[0];
        let sku = number(item, "sku");
        let offers = offers(item);
        choose(&offers, sku.as_deref(), &subject)
            .map(|offer| (offer.price, offer.currency, offer.availability))
    }

    #[test]
    fn the_page_comes_before_the_number_and_the_number_before_the_price() {
        let offers = r#"[{"price": 3, "availability": "SoldOut"}, {"price": 5, "sku": "b"},
            {"price": 7, "sku": "c", "url": "/pan?v=2"}, {"price": 4}]"#;
        let at = format!(r#"{{"@type": "Product", "sku": "b", "offers": {offers}}}"#);
        assert_eq!(chosen(&at), Some((Some(70_000), None, None)));
        let by_sku = at.replace("v=2", "v=3");
        assert_eq!(chosen(&by_sku), Some((Some(50_000), None, None)));
        let cheapest = by_sku.replace(r#""sku": "b", "offers""#, r#""offers""#);
        assert_eq!(chosen(&cheapest), Some((Some(40_000), None, None)));
    }

    #[test]
    fn aggregates_and_specifications_are_read() {
        for (offers, expected) in [
            (
                r#"{"@type": "AggregateOffer", "lowPrice": "12,50", "highPrice": 20, "priceCurrency": "EUR"}"#,
                (Some(125_000), Some("EUR"), None),
            ),
            (
                r#"{"@type": "AggregateOffer", "priceCurrency": "EUR", "lowPrice": 1,
                    "offers": [{"price": 2, "availability": "InStock"}]}"#,
                (Some(20_000), Some("EUR"), Some("in_stock")),
            ),
            (
                r#"{"priceSpecification": [{"price": 9, "priceCurrency": "CHF", "priceType": "https://schema.org/ListPrice"},
                    {"price": 7.5, "priceCurrency": "CHF"}]}"#,
                (Some(75_000), Some("CHF"), None),
            ),
            (
                r#"{"lowprice": {"sales": {"value": 3499, "currency": "ARS"}}}"#,
                (Some(34_990_000), None, None),
            ),
            (
                r#"{"price": "0", "priceCurrency": "ILS", "availability": "OutOfStock"}"#,
                (None, Some("ILS"), Some("out_of_stock")),
            ),
        ] {
            let product = format!(r#"{{"@type": "Product", "offers": {offers}}}"#);
            assert_eq!(chosen(&product), Some(expected), "{offers}");
        }
    }
}
