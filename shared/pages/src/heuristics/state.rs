//! The data that a shop's scripts carry: data layers, the state of a page that a browser builds, products in
//! attributes. Read without running anything: objects with names and values are picked out of the text, and those
//! that bear the product's name or number are the product's.

use super::page::Page;
use super::script::{Object, objects};
use crate::document::Document;
use crate::dom::{attribute, elements, is_json_ld};
use std::collections::HashMap;

/// Most text that is looked through, in bytes.
const MAX_BYTES: usize = 3_000_000;
/// Fewest characters of a name that tells a product.
const NAME_CHARS: usize = 6;
/// Fewest characters of a name that tells it by being the start of the page's, or the other way round.
const START_CHARS: usize = 10;
/// Keys of a product's name, in lower case.
const NAMES: &[&str] = &[
    "name",
    "title",
    "productname",
    "product_name",
    "item_name",
    "producttitle",
    "displayname",
    "ecomm_pname",
];
/// Keys of its number.
const NUMBERS: &[&str] = &[
    "sku",
    "id",
    "productid",
    "product_id",
    "item_id",
    "ecomm_prodid",
    "productsku",
    "itemid",
    "pid",
    "code",
    "asin",
];
/// Keys of its price.
const PRICES: &[&str] = &[
    "price",
    "saleprice",
    "sale_price",
    "currentprice",
    "current_price",
    "finalprice",
    "final_price",
    "sellingprice",
    "product_price",
    "productprice",
    "unit_price",
    "special_price",
    "specialprice",
    "offerprice",
    "price_amount",
    "salesprice",
    "ecomm_totalvalue",
];
/// Keys of a price within an object that is one.
const PRICES_WITHIN: &[&str] = &["value", "amount", "current", "decimalprice", "final"];
const CURRENCIES: &[&str] = &[
    "currency",
    "currencycode",
    "currency_code",
    "pricecurrency",
    "currencyiso",
    "price_currency",
];

/// What the scripts of a page say of its product: the objects that describe it.
#[derive(Debug, Default)]
pub(super) struct State {
    objects: Vec<HashMap<String, String>>,
    /// Objects within those, that hold their prices.
    prices: Vec<HashMap<String, String>>,
}

impl State {
    /// Looks through the scripts and attributes of a page for its product. `numbers`: the product's, as far as they
    /// are known.
    pub(super) fn of(document: &Document, page: &Page<'_>, numbers: &[&str]) -> Self {
        let mut names: Vec<String> = Vec::new();
        names.extend(page.anchor.map(|anchor| plain(&page.text(anchor))));
        names.extend(document.open_graph().first("og:title").map(plain));
        names.retain(|name| name.chars().count() >= NAME_CHARS);
        let mut state = Self::default();
        let mut left = MAX_BYTES;
        for text in texts(document) {
            let Some(rest) = left.checked_sub(text.len()) else { break };
            left = rest;
            state.add(objects(text), &names, numbers);
        }
        state
    }

    /// Whether anything was found.
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The values under any of some keys, given in lower case, the first key's first.
    pub(super) fn values<'a>(&'a self, keys: &'a [&str]) -> impl Iterator<Item = &'a str> {
        keys.iter().flat_map(move |key| {
            self.objects.iter().filter_map(move |object| object.get(*key)).map(String::as_str)
        })
    }

    /// What it says the product costs, as written, one a description.
    pub(super) fn prices(&self) -> impl Iterator<Item = &str> {
        let outer = self.objects.iter().filter_map(|object| first_of(object, PRICES));
        let inner = self.prices.iter().filter_map(|object| {
            first_of(object, PRICES).or_else(|| first_of(object, PRICES_WITHIN))
        });
        outer.chain(inner)
    }

    /// The currencies it names, as written.
    pub(super) fn currencies(&self) -> impl Iterator<Item = &str> {
        self.objects
            .iter()
            .chain(&self.prices)
            .flat_map(|object| CURRENCIES.iter().filter_map(|key| object.get(*key)))
            .map(String::as_str)
    }

    fn add(&mut self, objects: Vec<Object>, names: &[String], numbers: &[&str]) {
        let is_product: Vec<bool> =
            objects.iter().map(|object| object.is_product(names, numbers)).collect();
        for (object, is_own) in objects.into_iter().zip(&is_product) {
            let is_within = object.parent.is_some_and(|parent| is_product[parent]);
            let is_price = ["price", "offer"].iter().any(|word| object.key.contains(word));
            if *is_own {
                self.objects.push(object.values);
            } else if is_within && is_price {
                self.prices.push(object.values);
            }
        }
    }
}

impl Object {
    fn is_product(&self, names: &[String], numbers: &[&str]) -> bool {
        let own_names = NAMES.iter().filter_map(|key| self.values.get(*key));
        let has_name = own_names.map(|name| plain(name)).any(|own| {
            let is_long = own.chars().count() >= START_CHARS;
            names.iter().any(|name| {
                *name == own
                    || (is_long && (name.starts_with(&own) || own.starts_with(name.as_str())))
            })
        });
        let mut own_numbers = NUMBERS.iter().filter_map(|key| self.values.get(*key));
        let mut has_number = || own_numbers.any(|number| numbers.contains(&number.as_str()));
        has_name || (has_number() && PRICES.iter().any(|key| self.values.contains_key(*key)))
    }
}

/// The value under the first of some keys that there is.
fn first_of<'o>(object: &'o HashMap<String, String>, keys: &[&str]) -> Option<&'o str> {
    keys.iter().find_map(|key| object.get(*key)).map(String::as_str)
}

/// The words of a name, markup and punctuation aside.
fn plain(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut is_tag = false;
    for c in name.chars() {
        match c {
            '<' => is_tag = true,
            '>' => is_tag = false,
            c if !is_tag && c.is_alphanumeric() => text.extend(c.to_lowercase()),
            _ if !is_tag && !text.ends_with(' ') => text.push(' '),
            _ => {}
        }
    }
    text.trim().to_owned()
}

/// Scripts but JSON-LD, and attributes that hold JSON, where they speak of prices or brands.
fn texts(document: &Document) -> Vec<&str> {
    let speaks = |text: &str| {
        ["price", "Price", "brand", "Brand", "sku"].iter().any(|word| text.contains(word))
    };
    let mut texts = Vec::new();
    for element in elements(document.html.root_element()) {
        if element.value().name() == "script" {
            if attribute(element, "type").is_none_or(|kind| !is_json_ld(kind)) {
                texts.extend(element.text().filter(|text| speaks(text)));
            }
            continue;
        }
        let json = element.value().attrs().map(|(_, value)| value).filter(|value| {
            value.len() > 20
                && value.starts_with(['{', '['])
                && value.contains('"')
                && speaks(value)
        });
        texts.extend(json);
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use url::Url;

    fn state(body: &str) -> State {
        let html = format!("<title>Iron pan 28</title><h1>Iron pan 28</h1>{body}");
        let document = Document::parse(&html, &Url::parse("https://shop.example/").unwrap());
        State::of(&document, &Page::of(&document), &["P-1"])
    }

    #[test]
    fn the_products_objects_are_found_and_others_are_not() {
        let found = state(
            r#"<script>// it's a layer
            dataLayer.push({'event': 'view', ecommerce: {currencyCode: "EUR", detail: {products: [
                {name: 'Iron pan 28', brand: "De\u0020Buyer", 'price': '39.90', stock: n},
                {"name": "Wooden spoon", "price": 2}]}}});
            var p = {"sku": "P-1", "price": 41, "title": "x"};</script>
            <div data-product='{"name": "IRON PAN 28", "prices": {"amount": 12, "currency": "CHF"}}'></div>"#,
        );
        assert_eq!(found.prices().collect::<Vec<_>>(), ["39.90", "41", "12"]);
        assert_eq!(found.values(&["brand"]).collect::<Vec<_>>(), ["De Buyer"]);
        assert_eq!(found.currencies().collect::<Vec<_>>(), ["CHF"]);
        assert!(state("<script>var price = 3; f({price: 3})</script>").is_empty());
    }
}
