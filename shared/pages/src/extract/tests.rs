//! Pages of several kinds, extracted whole.

use super::*;
use crate::scan::scan;

fn read(html: &str, rules: &[(&str, &str, Option<&str>)]) -> Extraction {
    let url = Url::parse("https://shop.example/iron-pan-14347.html").unwrap();
    extract(&Document::parse(html, &url), &Selectors::compile(rules).unwrap())
}

fn told(product: &Product, field: Field) -> Option<(&str, Origin)> {
    product.fields.get(&field).map(|value| (value.text.as_str(), value.origin))
}

const FULL: &str = r#"<title>Iron pan | Shop</title><meta name=description content="For life">
    <script type="application/ld+json">{"@type": "Product", "name": "Iron pan", "sku": "P-1", "mpn": "P-1",
    "brand": "Acme", "image": "/1.jpg",
    "offers": {"price": "49.00", "priceCurrency": "EUR", "availability": "InStock"}}</script>
    <h1>Iron pan</h1><div class="price"><s>49,00 €</s> <span class="price sale">39,00 €</span></div>
    <button>Add to cart</button><p>EAN: 96385074</p>"#;

#[test]
fn what_the_page_shows_fills_in_and_corrects() {
    let found = read(FULL, &[]);
    assert_eq!(found.products.len(), 1);
    let product = &found.products[0];
    for (field, expected) in [
        (Field::Id, Some(("P-1", Origin::JsonLd))),
        (Field::Price, Some(("39", Origin::Heuristic))),
        (Field::NormalPrice, Some(("49", Origin::JsonLd))),
        (Field::Currency, Some(("EUR", Origin::JsonLd))),
        (Field::Gtin, Some(("96385074", Origin::Heuristic))),
        (Field::Mpn, None),
        (Field::Description, Some(("For life", Origin::OpenGraph))),
        (Field::Link, Some(("https://shop.example/iron-pan-14347.html", Origin::Heuristic))),
    ] {
        assert_eq!(told(product, field), expected, "{field}");
    }
}

#[test]
fn selectors_come_first() {
    let rules =
        [("price", ".price s", None), ("availability", "button", None), ("brand", "h1", None)];
    let found = read(&FULL.replace("Add to cart", "Sold out"), &rules);
    let product = &found.products[0];
    assert_eq!(told(product, Field::Price), Some(("49", Origin::Selector)));
    assert_eq!(told(product, Field::Availability), Some(("out_of_stock", Origin::Selector)));
    assert_eq!(told(product, Field::Brand), Some(("Iron pan", Origin::Selector)));
}

#[test]
fn a_page_without_structured_data_is_read() {
    let found = read(
        "<html lang=de><title>Eisenpfanne 28 cm - Laden</title><h1>Eisenpfanne 28 cm</h1>\
         <p>Hersteller: Acme</p><p class=preis>39,90 €</p><p>Sofort lieferbar</p>\
         <button>In den Warenkorb</button>",
        &[],
    );
    assert_eq!(found.products.len(), 1);
    let product = &found.products[0];
    for (field, expected) in [
        (Field::Title, "Eisenpfanne 28 cm"),
        (Field::Price, "39.90"),
        (Field::Currency, "EUR"),
        (Field::Availability, "in_stock"),
        (Field::Brand, "Acme"),
        (Field::Sku, "14347"),
    ] {
        assert_eq!(told(product, field), Some((expected, Origin::Heuristic)), "{field}");
    }
}

#[test]
fn other_pages_have_no_product() {
    for html in [
        "",
        "<title>About us</title><h1>About us</h1><p>We sell pans.</p>",
        "<title>Pans</title><h1>Pans</h1><ul><li><a href=/1>A</a><b>3 €</b></li><li><a href=/2>B</a><b>4 €</b></li>\
         <li><a href=/3>C</a><b>5 €</b></li></ul>",
    ] {
        assert!(read(html, &[]).products.is_empty(), "{html}");
    }
}

#[test]
fn a_syntax_fills_in_what_another_leaves_open() {
    let html = r#"<title>Iron pan</title>
        <script type="application/ld+json">{"@type": "Product", "name": "Iron pan"}</script>
        <div itemscope itemtype="https://schema.org/Product"><h1 itemprop="name">Iron pan</h1>
        <b itemprop="sku">P-1</b><div itemprop="offers" itemscope itemtype="https://schema.org/Offer">
        <meta itemprop="price" content="39.90"><meta itemprop="priceCurrency" content="EUR"></div></div>"#;
    let found = read(html, &[]);
    assert_eq!(found.products.len(), 1);
    assert_eq!(told(&found.products[0], Field::Title), Some(("Iron pan", Origin::JsonLd)));
    assert_eq!(told(&found.products[0], Field::Price), Some(("39.90", Origin::Microdata)));
}

#[test]
fn variants_share_what_the_page_says_as_a_whole() {
    let html = r#"<title>Shirt</title><meta property="og:image" content="/s.jpg">
        <script type="application/ld+json">{"@type": "ProductGroup", "name": "Shirt", "productGroupID": "G",
        "hasVariant": [{"@type": "Product", "sku": "1", "offers": {"price": 5, "priceCurrency": "EUR"}},
        {"@type": "Product", "sku": "2", "offers": {"price": 6, "priceCurrency": "EUR"}}]}</script>
        <h1>Shirt</h1><p>Brand: Acme</p>"#;
    let found = read(html, &[]);
    let rows: Vec<_> = found
        .products
        .iter()
        .map(|product| {
            [Field::Id, Field::Price, Field::GroupId, Field::Brand].map(|f| product.get(f))
        })
        .collect();
    assert_eq!(
        rows,
        [
            [Some("1"), Some("5"), Some("G"), Some("Acme")],
            [Some("2"), Some("6"), Some("G"), Some("Acme")],
        ]
    );
    assert!(found.products.iter().all(|product| product.get(Field::ImageLink).is_some()));
}

#[test]
fn a_scan_is_enough_where_json_ld_tells_all() {
    let url = Url::parse("https://shop.example/iron-pan").unwrap();
    let found = extract_scan(&scan(FULL), &url).unwrap();
    assert_eq!(told(&found.products[0], Field::Price), Some(("49", Origin::JsonLd)));
    assert_eq!(found.products[0].get(Field::Link), Some("https://shop.example/iron-pan"));
    assert_eq!(extract_scan(&scan(&FULL.replace("sku", "x")), &url), None);
}
