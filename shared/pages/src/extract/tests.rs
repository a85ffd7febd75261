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

/// A page without Open Graph has nothing from there; the address it calls canonical is a part of what it shows.
#[test]
fn the_pages_address_is_no_open_graph() {
    let head = r#"<link rel="canonical" href="https://shop.example/pan">"#;
    let found = read(&format!("{head}{FULL}"), &[]);
    let link = Some(("https://shop.example/pan", Origin::Heuristic));
    assert_eq!(told(&found.products[0], Field::Link), link);
    let url = Url::parse("https://shop.example/iron-pan-14347.html").unwrap();
    let found = extract_scan(&scan(&format!("{head}{FULL}")), &url).unwrap();
    assert_eq!(told(&found.products[0], Field::Link), link);
    let found = extract_scan(&scan(FULL), &url).unwrap();
    assert_eq!(told(&found.products[0], Field::Link), Some((url.as_str(), Origin::Heuristic)));
}

/// Without a button, and under a heading that the title does not have, one thing is sure: a single price was struck, which
/// is the one told, and another put in its place.
#[test]
fn the_only_price_that_was_struck_is_the_products() {
    let page = |title: &str, body: &str| {
        let html = format!(
            r#"<title>{title}</title><script type="application/ld+json">{{"@type": "Product", "name": "Pan",
            "sku": "S1", "offers": {{"price": "30.00", "priceCurrency": "EUR"}}}}</script><h1>Pan</h1>{body}"#
        );
        let product = read(&html, &[]).products.remove(0);
        let normal = product.get(Field::NormalPrice).map(str::to_owned);
        (product.get(Field::Price).unwrap().to_owned(), normal)
    };
    let pair = "<p class=price><del>30.00 EUR</del> <ins>15.00 EUR</ins></p>";
    let reduced = ("15".to_owned(), Some("30".to_owned()));
    assert_eq!(page("struck", pair), reduced);
    let in_parts =
        "<p class=price><del><b>30.00</b> EUR</del><i>Now</i><ins><b>15.00</b> EUR</ins></p>";
    assert_eq!(page("struck", in_parts), reduced);
    for body in [
        // Another price than the one told, or another struck one.
        pair.replace("30.00", "31.00"),
        format!("{pair}<p><s>12.00 EUR</s></p>"),
        // Nothing is put in its place, something dearer, or two.
        pair.replace("ins>", "u>"),
        pair.replace("15.00", "35.00"),
        pair.replace("</ins>", "</ins> <ins>14.00 EUR</ins>"),
        // Far from the heading, under one of two, and in a link to another page.
        format!("{}{pair}", "<p>x</p>".repeat(60)),
        format!("<h1>Wok</h1>{pair}"),
        format!("<a href=/other>{pair}</a>"),
    ] {
        assert_eq!(page("struck", &body), ("30".to_owned(), None), "{body}");
    }
}

/// What stands beside a struck price is not always the one put in its place: not in another currency, nor what comes off,
/// nor a part of it. With a button and a name that fits it is no other.
#[test]
fn what_is_no_plain_price_replaces_none() {
    let shown = |title: &str, body: &str| {
        let html = format!(
            r#"<title>{title}</title><script type="application/ld+json">{{"@type": "Product", "name": "Iron pan",
            "sku": "S1", "offers": {{"price": "30.00", "priceCurrency": "EUR"}}}}</script><h1>Iron pan</h1><div
            class=product><p class=price>{body}</p><button
            class=add-to-cart>Add to cart</button></div>"#
        );
        let product = read(&html, &[]).products.remove(0);
        product.get(Field::Price).unwrap().to_owned()
    };
    let price = |title: &str, before: &str, inserted: &str, behind: &str| {
        shown(title, &format!("<del>{before}</del> <ins>{inserted}</ins>{behind}"))
    };
    for title in ["struck", "Iron pan"] {
        for beside in [
            "4 x <ins>7,50 €</ins>",
            "x4 <ins>7,50 €</ins>",
            "<ins>7,50 € x 4</ins>",
            "<ins>7,50 €</ins> × 4",
            "<ins>7,50 €</ins> (4x)",
            "<ins>7,50 € pro Rate</ins>",
            "<ins>7,50 €</ins> / Monat",
            "<ins>7,50 €</ins> per month",
            "<ins>5,00 €</ins> Anzahlung",
            "Anzahlung: <ins>5,00 €</ins>",
            "<ins>5,00 €</ins> Rabatt",
            "<b>Rabatt</b> <ins>5,00 €</ins>",
            "<ins>5,00 €</ins> sparen",
            "<ins>down payment 5,00 €</ins>",
            "<ins>25,00 €</ins> for members",
            "<ins>25,00 € mit Gutschein</ins>",
            "<ins>25,00 €</ins> with code SAVE10",
            "<ins>8,00 € refurbished</ins>",
            "Gebraucht: <ins>8,00 €</ins>",
            "<ins>ab 12,00 €</ins>",
            "ab <ins>EUR 12,00</ins>",
            "<ins>25,21 €</ins> sans TVA",
            "excl. VAT <ins>25,21 €</ins>",
            "<ins>5,00 €</ins> cashback",
            "Cashback: <ins>5,00 €</ins>",
            "Guthaben <ins>5,00 €</ins>",
            "Ihr Guthaben: EUR <ins>5,00</ins>",
            "<ins>5,00 €</ins> Gutscheinwert",
            "<ins>15,00 €</ins> with trade-in",
            "<ins>5,00 €</ins> de descuento",
            "<ins>5,00 € de réduction</ins>",
            "4 fois sans frais <ins>7,50 €</ins>",
            "4 fois <ins>7,50 €</ins>",
            "<ins>4 fois 7,50 €</ins>",
            "<ins>7,50 €</ins> per maand",
            "<ins>7,50 €</ins> per month, 0 % APR",
            "Per maand <ins>7,50 €</ins>",
            "<ins>25,00 €</ins> for students",
            "<ins>25,00 € for new customers</ins>",
            "For new customers: <ins>25,00 €</ins>",
            "<ins>25,00 €</ins> only with app",
            "App price <ins>25,00 €</ins>",
            "<ins>25,00 €</ins> on first order",
            "First order: <ins>25,00 €</ins>",
            "<ins>25,00 €</ins> im Abo",
            "Im Abo <ins>25,00 €</ins>",
            "<ins>25,00 €</ins> with subscription",
            "<ins>15,00 €/kg</ins>",
            "-<ins>15,00 €</ins>",
            "€ -<ins>15,00 €</ins>",
            "<b>-</b><ins>15,00 €</ins>",
            "(-<ins>15,00 €</ins>)",
        ] {
            let body = format!("<del>30,00 €</del> {beside}");
            assert_eq!(shown(title, &body), "30", "{title}: {beside}");
        }
        for beside in [
            "<ins>20,00 € zzgl. Versand</ins>",
            "<ins>20,00 € inkl. MwSt., zzgl. Versandkosten</ins>",
            "<ins>20,00 €</ins> zzgl. Versand",
            "- <ins>20,00 €</ins>",
            "Ab sofort <ins>20,00 €</ins>",
            "<b>33 % off</b> <ins>20,00 €</ins>",
            "<ins>20,00 €</ins> (28 x 30 cm)",
            "<ins>20,00 €</ins> (2 x 10,00 €)",
            "<ins>20,00 €</ins> Rabatt: 33 %",
            "<ins>20,00 €</ins> used from 8,00 €",
            "<ins>20,00 €</ins> today only",
            "Student pan, app included <ins>20,00 €</ins>",
            "<ins>20,00 €</ins> for a student kitchen",
            "<ins>20,00 €</ins> (4,00 €/kg)",
            "<ins>€20,00</ins> €4,00/kg",
            "Sale -<b>33 %</b> <ins>20,00 €</ins>",
            "<ins>20,00 €</ins> en 3 fois sans frais",
            "<ins>20,00 €</ins> en 3 cuotas sin interés",
            "<ins>20,00 €</ins> im Abo 10 % sparen",
            "<ins>20,00 €</ins> im Abo sparen",
            "<ins>20,00 €</ins> With subscription save 10%",
            "<ins>20,00 €</ins> First order 10% off",
            "<ins>20,00 €</ins> Primeira compra? Use OLA10",
            "<ins>20,00 €</ins> Trade-in available",
            "Trade-in available <ins>20,00 €</ins>",
            "<ins>20,00 €</ins> In der App öffnen",
            "<ins>20,00 €</ins> / l'unité",
            "<ins>20,00 €</ins> / l’ensemble",
            "<ins>20,00 € / l’heure</ins>",
            "<ins>20,00 €</ins>/kg",
            "Aktionspreis –<ins>20,00 €</ins>",
            "<b>Aktionspreis</b> –<ins>20,00 €</ins>",
            "Guthaben einlösen: <ins>20,00 €</ins>",
            "Cashback-Aktion! <ins>20,00 €</ins>",
            "<ins>20,00 €</ins> (im Abo -10 %)",
        ] {
            let body = format!("<del>30,00 €</del> {beside}");
            assert_eq!(shown(title, &body), "20", "{title}: {beside}");
        }
        for (before, inserted, behind) in [
            ("30.00 EUR", "10.00 USD", ""),
            ("30,00 €", "$10.00", ""),
            ("30.00 EUR", "£10.00", ""),
            ("30.00 EUR", "3 x 10.00 EUR", ""),
            ("30,00 €", "3 × 10,00 €", ""),
            ("30.00 EUR", "3 payments of 10.00 EUR", ""),
            ("30,00 €", "10,00 € off", ""),
            ("30,00 €", "10,00 €", " off"),
            ("30,00 €", "-10,00 €", ""),
            ("30,00 €", "€ -10,00", ""),
            ("30,00 €", "€ – 10,00", ""),
            ("30.00 EUR", "EUR −10.00", ""),
            ("30.00 EUR", "EUR – 10.00", ""),
            ("30.00 EUR", "EUR – 10.00 EUR", ""),
            ("30,00 €", "€ - 10,00 €", ""),
            ("30,00 €", "You save 10,00 €", ""),
            ("30,00 €", "Sie sparen 10,00 €", ""),
            ("30.00 EUR", "5.00 EUR", " deposit"),
            ("30,00 €", "5,00 € Pfand", ""),
            ("30.00 EUR", "25.21 EUR", " excl. VAT"),
            ("30,00 €", "25,21 €", " <small>zzgl. 19 % MwSt.</small>"),
            ("30,00 €", "25,21 € ohne MwSt.", ""),
            ("30,00 €", "25,00 €", " hors taxes"),
        ] {
            assert_eq!(price(title, before, inserted, behind), "30", "{title}: {inserted}{behind}");
        }
        for (before, inserted, behind) in [
            ("30.00 EUR", "15.00 EUR", ""),
            ("30,00 €", "Now 15,00 €", ""),
            ("30,00 €", "Now – 15,00 €", ""),
            ("30,00 €", "Sale! – 15,00 €", ""),
            ("30,00 €", "15,00 €", " inkl. MwSt. zzgl. Versand"),
            ("30,00 €", "15,00 €", " <b>50 % off</b>"),
            ("30,00 €", "15,00 €", " plus shipping"),
        ] {
            assert_eq!(price(title, before, inserted, behind), "15", "{title}: {inserted}{behind}");
        }
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
fn variants_without_numbers_are_told_apart() {
    let page = |variants: &str| {
        let html = format!(
            r#"<title>Shirt</title><script type="application/ld+json">{{"@type": "ProductGroup",
            "name": "Shirt", "hasVariant": [{variants}]}}</script><h1>Shirt</h1>"#
        );
        let found = read(&html, &[]);
        let ids = found.products.iter().map(|product| product.get(Field::Id).unwrap().to_owned());
        ids.collect::<Vec<String>>()
    };
    let variant = |rest: &str| {
        let offer = r#"{"price": 5, "priceCurrency": "EUR"}"#;
        format!(r#"{{"@type": "Product", {rest}, "offers": {offer}}}"#)
    };
    let dark = variant(r#""name": "Shirt", "color": "Dark Red", "size": "M""#);
    let large = variant(r#""name": "Shirt", "color": "Dark Red", "size": "L""#);
    let known = variant(r#""name": "Shirt", "color": "Blue", "sku": "7""#);
    let place = "https://shop.example/iron-pan-14347.html";
    let expected = [format!("{place}#dark-red/m"), format!("{place}#dark-red/l"), "7".to_owned()];
    assert_eq!(page(&[dark.clone(), large, known].join(",")), expected);
    let named = [variant(r#""name": "Shirt red""#), variant(r#""name": "Shirt blue""#)].join(",");
    assert_eq!(page(&named), [format!("{place}#shirt-red"), format!("{place}#shirt-blue")]);
    // Too long a name has a hash in its place, which is the same each night.
    let long = |end: &str| variant(&format!(r#""name": "{} {end}""#, "Shirt ".repeat(50)));
    let ids = page(&[long("red"), long("blue")].join(","));
    assert!(ids.iter().all(|id| id.len() == place.len() + 1 + HASH_DIGITS), "{ids:?}");
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.starts_with(place)), "{ids:?}");
    // Alone, it has the number in the page's address.
    assert_eq!(page(&dark), ["14347"]);
}

#[test]
fn a_scan_is_enough_where_json_ld_tells_all() {
    let url = Url::parse("https://shop.example/iron-pan").unwrap();
    let found = extract_scan(&scan(FULL), &url).unwrap();
    assert_eq!(told(&found.products[0], Field::Price), Some(("49", Origin::JsonLd)));
    assert_eq!(found.products[0].get(Field::Link), Some("https://shop.example/iron-pan"));
    assert_eq!(found.products[0].get(Field::Description), Some("For life"));
    assert_eq!(extract_scan(&scan(&FULL.replace("sku", "x")), &url), None);
}

#[test]
fn a_scan_of_a_listing_gives_no_product() {
    let product =
        |name: &str| FULL.lines().skip(1).take(3).collect::<String>().replace("Iron pan", name);
    let url = Url::parse("https://shop.example/pans").unwrap();
    let listing = format!("<title>All we sell</title>{}{}", product("Wok"), product("Pot"));
    assert_eq!(extract_scan(&scan(&listing), &url), None);
    let own = listing.replace("All we sell", "Pot");
    let found = extract_scan(&scan(&own), &url).unwrap();
    assert_eq!(found.products[0].get(Field::Title), Some("Pot"));
}

fn read_page(html: &str, max_tree_bytes: u64) -> Option<Extraction> {
    let url = Url::parse("https://shop.example/iron-pan").unwrap();
    extract_page(html, &scan(html), &url, &Selectors::default(), max_tree_bytes)
}

#[test]
fn a_page_that_shows_something_else_has_its_price_and_stock_from_there() {
    let price = |found: Option<Extraction>| {
        let found = found.unwrap();
        let product = &found.products[0];
        let normal = product.get(Field::NormalPrice).map(str::to_owned);
        (product.get(Field::Price).unwrap().to_owned(), normal)
    };
    let (reduced, full) = (("39".to_owned(), Some("49".to_owned())), ("49".to_owned(), None));
    assert_eq!(price(read_page(FULL, u64::MAX)), reduced);
    // Nothing speaks against the JSON-LD.
    let agreeing = FULL.replace("<s>49,00 €</s>", "49,00 €");
    assert_eq!(price(read_page(&agreeing, u64::MAX)), full);
    let sold_out = agreeing.replace("Add to cart", "<b class=stock>Sold out</b>");
    let found = read_page(&sold_out, u64::MAX).unwrap();
    assert_eq!(
        told(&found.products[0], Field::Availability),
        Some(("out_of_stock", Origin::Heuristic))
    );
    // All else is the same, whatever the page shows of price and stock: the GTIN, too, which only a tree has.
    let rest = |found: Option<Extraction>| {
        let mut fields = found.unwrap().products.remove(0).fields;
        for field in [Field::Price, Field::NormalPrice, Field::Currency, Field::Availability] {
            fields.remove(&field);
        }
        assert!(!fields.contains_key(&Field::Gtin));
        fields
    };
    let usual = rest(read_page(&agreeing, u64::MAX));
    assert_eq!(rest(read_page(FULL, u64::MAX)), usual);
    assert_eq!(rest(read_page(&sold_out, u64::MAX)), usual);
    // Where there can be no tree, the JSON-LD is better than nothing.
    assert_eq!(price(read_page(FULL, 10)), full);
    let deep = format!("{FULL}{}", "<div>".repeat(2_000));
    assert_eq!(price(read_page(&deep, u64::MAX)), full);
}

#[test]
fn a_page_that_was_cut_gives_nothing_half() {
    let deep = "<div>".repeat(2_000);
    let html = format!(
        "<meta property=og:type content=product><title>Pan</title><h1>Pan</h1><p>SKU: 123456</p>\
         {deep}<p class=price>9,00 €</p>"
    );
    assert_eq!(read_page(&html, u64::MAX), None);
    assert_eq!(read_page("<p>About us</p>", 10), None);
    assert_eq!(read_page("<p>About us</p>", 100), Some(Extraction::default()));
}

#[test]
fn structured_data_alone_is_neither_corrected_nor_filled_in() {
    let url = Url::parse("https://shop.example/iron-pan").unwrap();
    let found = extract_structured(&Document::parse(FULL, &url));
    let product = &found.products[0];
    assert_eq!(told(product, Field::Price), Some(("49", Origin::JsonLd)));
    assert!(product.lacks(Field::Gtin) && product.lacks(Field::NormalPrice));
    let shown =
        "<title>Pan</title><h1>Pan</h1><p class=price>9,00 €</p><button>Add to cart</button>";
    assert!(extract_structured(&Document::parse(shown, &url)).products.is_empty());
}
