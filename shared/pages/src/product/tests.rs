//! Structured data of several shapes, read into products.

use super::*;
use crate::Document;
use url::Url;

fn read(head: &str, json: &str) -> Vec<Product> {
    let html = format!(r#"{head}<script type="application/ld+json">{json}</script>"#);
    let document = Document::parse(&html, &Url::parse("https://shop.example/pan").unwrap());
    let subject = Subject::of(&document, &document.open_graph());
    products(&document.json_ld().items, Origin::JsonLd, &subject, false)
}

fn get<'a>(product: &'a Product, fields: &[Field]) -> Vec<&'a str> {
    fields.iter().map(|field| product.get(*field).unwrap_or("-")).collect()
}

#[test]
fn a_plain_product_is_read() {
    let found = read(
        "",
        r#"{"@type": "Product", "name": "Iron pan", "sku": "P-1", "gtin13": "7610186303159",
            "brand": {"@type": "Brand", "name": "De Buyer"}, "image": ["/1.jpg", {"url": "/2.jpg"}, "/1.jpg"],
            "aggregateRating": {"reviewCount": 12}, "itemCondition": "NewCondition",
            "offers": {"price": 39.9, "priceCurrency": "eur", "availability": "https://schema.org/InStock"}}"#,
    );
    assert_eq!(found.len(), 1);
    let fields = [
        Field::Sku,
        Field::Gtin,
        Field::Brand,
        Field::Price,
        Field::Currency,
        Field::Availability,
        Field::ReviewCount,
        Field::Condition,
        Field::ImageLink,
        Field::AdditionalImageLinks,
    ];
    assert_eq!(
        get(&found[0], &fields),
        [
            "P-1",
            "7610186303159",
            "De Buyer",
            "39.90",
            "EUR",
            "in_stock",
            "12",
            "new",
            "https://shop.example/1.jpg",
            "https://shop.example/2.jpg",
        ]
    );
}

#[test]
fn the_variants_of_a_group_inherit_from_it() {
    let found = read(
        "",
        r#"{"@type": "ProductGroup", "name": "Shirt", "productGroupID": "G", "sku": "G0",
            "brand": "Acme", "hasVariant": [
              {"@type": "Product", "sku": "G1", "size": "S", "offers": {"price": 10, "priceCurrency": "EUR"}},
              {"@type": "Product", "size": "M", "offers": {"price": 12, "priceCurrency": "EUR"}}]}"#,
    );
    let fields =
        [Field::Title, Field::GroupId, Field::Brand, Field::Sku, Field::Size, Field::Price];
    let rows: Vec<_> = found.iter().map(|product| get(product, &fields)).collect();
    assert_eq!(
        rows,
        [["Shirt", "G", "Acme", "G1", "S", "10"], ["Shirt", "G", "Acme", "-", "M", "12"]]
    );
}

/// As in Google's examples, where each variant's address stands with its offer.
#[test]
fn a_variant_is_where_its_offer_is() {
    let found = read(
        "",
        r#"{"@type": "ProductGroup", "name": "Shirt", "url": "/shirt", "hasVariant": [
              {"@type": "Product", "sku": "1", "offers": {"price": 5, "url": "/shirt?c=red"}},
              {"@type": "Product", "sku": "2", "url": "/own", "offers": {"price": 5, "url": "/shirt?c=blue"}},
              {"@type": "Product", "sku": "3", "offers": {"price": 5, "url": "mailto:shop"}}]}"#,
    );
    let links: Vec<_> = found.iter().map(|product| product.get(Field::Link)).collect();
    let place = |path: &str| format!("https://shop.example/{path}");
    let expected = [place("shirt?c=red"), place("own"), place("shirt")];
    assert_eq!(links, expected.iter().map(|link| Some(link.as_str())).collect::<Vec<_>>());
    // A product's own offers may be at the address of any of its variants, or of a shop that sells it.
    let alone =
        read("", r#"{"@type": "Product", "name": "Shirt", "offers": {"price": 5, "url": "/x"}}"#);
    assert!(alone[0].lacks(Field::Link));
}

#[test]
fn products_of_one_name_are_variants_or_one_told_twice() {
    let shirts = r#"[{"@type": "Product", "name": "Shirt", "sku": "1", "offers": {"price": 5}},
        {"@type": "Product", "name": "shirt", "sku": "2", "offers": {"price": 6}},
        {"@type": "Product", "name": "Shirt", "color": "red"}]"#;
    let found = read("<h1>Shirt</h1>", shirts);
    let fields = [Field::Sku, Field::Price, Field::Color];
    let rows: Vec<_> = found.iter().map(|product| get(product, &fields)).collect();
    assert_eq!(rows, [["1", "5", "red"], ["2", "6", "-"]]);
}

#[test]
fn the_pages_own_product_is_told_from_others() {
    let two = r#"{"@graph": [{"@type": "Product", "name": "Wooden spoon", "offers": {"price": 2}},
        {"@type": "ItemPage", "mainEntity": {"@type": "Product", "name": "Iron pan", "offers": {"price": 40}}}]}"#;
    let found = read("<title>Iron pan | Shop</title>", two);
    assert_eq!(get(&found[0], &[Field::Title, Field::Price]), ["Iron pan", "40"]);
}

#[test]
fn a_listing_has_no_product_of_its_own() {
    let list = r#"{"@type": "ItemList", "itemListElement": [{"@type": "ListItem",
        "item": {"@type": "Product", "name": "Iron pan"}}]}"#;
    assert!(read("<h1>Pans</h1>", list).is_empty());
    let several =
        r#"[{"@type": "Product", "name": "Iron skillet 28"}, {"@type": "Product", "name": "Wok"}]"#;
    assert!(read("<h1>Everything for the kitchen</h1>", several).is_empty());
}

#[test]
fn open_graph_tells_the_reduced_price_from_the_normal_one() {
    let metas = [
        ("og:title", "Panel"),
        ("og:image", "/a.jpg"),
        ("product:price:amount", "36.49"),
        ("product:price:currency", "PLN"),
        ("product:sale_price:amount", "32.00"),
        ("product:availability", "in stock"),
    ];
    let graph = OpenGraph::from_metas(metas.into_iter());
    let document = Document::parse("", &Url::parse("https://shop.example/").unwrap());
    let product = from_open_graph(&graph, &Subject::of(&document, &graph));
    let fields = [Field::Price, Field::NormalPrice, Field::Currency, Field::Availability];
    assert_eq!(get(&product, &fields), ["32", "36.49", "PLN", "in_stock"]);
    assert_eq!(product.get(Field::ImageLink), Some("https://shop.example/a.jpg"));
}
