//! A page of a site, as bytes: what its tags alone and what its tree give. Nothing is expected of it, but that it comes to
//! an end, gives the same each time, and that no product has a field with nothing in it.
#![no_main]

use feedfleet_pages::{Document, Extraction, Selectors, extract, extract_scan, scan, web_url};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use url::Url;

static PAGE: LazyLock<Url> = LazyLock::new(|| {
    Url::parse("https://shop.example/p/mug-17?color=red").expect("this is an address")
});

static SELECTORS: LazyLock<Selectors> = LazyLock::new(|| {
    let rules = [("title", "h1", None), ("image_link", "img", Some("src"))];
    Selectors::compile(&rules).expect("these are selectors")
});

fuzz_target!(|data: &[u8]| {
    let html = String::from_utf8_lossy(data);
    let tags = scan(&html);
    let told = extract_scan(&tags, &PAGE);
    assert_eq!(told, extract_scan(&scan(&html), &PAGE));
    told.iter().for_each(check);
    let base = tags.base_url(&PAGE);
    tags.links.iter().filter_map(|link| web_url(&base, &link.href)).for_each(drop);
    tags.robots_meta();

    let document = Document::parse(&html, &PAGE);
    document.links().filter_map(|link| web_url(document.base(), &link.href)).for_each(drop);
    document.canonical();
    document.robots_meta();
    let shown = extract(&document, &Selectors::default());
    assert_eq!(shown, extract(&Document::parse(&html, &PAGE), &Selectors::default()));
    check(&shown);
    check(&extract(&document, &SELECTORS));
});

fn check(extraction: &Extraction) {
    for (field, value) in extraction.products.iter().flat_map(|product| &product.fields) {
        assert!(!value.text.trim().is_empty(), "{}", field.name());
    }
}
