//! Feeds whose products lie within records, or across them: Shopify's.

use super::{decimal, extras, ids, reasons};
use crate::testing::{Whole, field, read, source};
use crate::{Change, Completeness};
use feedfleet_config::{Format, Location, Secret};
use feedfleet_model::{Row, columns};
use std::fs;
use std::path::Path;

const FIRST_HEADERS: &str = "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,\
    Option1 Value,Option2 Name,Option2 Value,Variant SKU,Variant Price,Variant Compare At Price,\
    Variant Barcode,Variant Inventory Qty,Image Src,Image Position,Variant Image,Status\n";
const SECOND_HEADERS: &str = "URL handle,Title,Description,Vendor,Type,Tags,\
    Published on online store,Option1 name,Option1 value,Option2 name,Option2 value,SKU,Price,\
    Compare-at price,Barcode,Inventory quantity,Product image URL,Image position,\
    Variant image URL,Status\n";
const ROWS: &str = "\
    shirt,Shirt,<p>Good</p>,Acme,Tops > Shirts,\"a, b\",true,Size,S,Color,Red,s-1,10.00,12.00,\
    4006381333931,5,https://i.example/1.jpg,1,,active\n\
    shirt,,,,,,,,M,,Red,,11.00,,,,https://i.example/2.jpg,2,https://i.example/m.jpg,\n\
    shirt,,,,,,,,,,,,,,,,https://i.example/3.jpg,3,,\n\
    hat,Hat,,Acme,Hats,,true,Title,Default Title,,,,5.00,,,,https://i.example/4.jpg,1,,draft\n\
    hat,,,,,,,,Other,,,,6.00,,,,,,,\n";

fn images(row: &Row) -> Vec<&str> {
    row.image_links().collect()
}

#[test]
fn shopify_csv_in_both_generations() {
    for headers in [FIRST_HEADERS, SECOND_HEADERS] {
        let mut whole = read(&source(Format::ShopifyCsv), &[], format!("{headers}{ROWS}"));
        assert!(whole.reader.take_warnings().is_empty());
        let changes: Vec<_> = whole.rows.iter().map(|(change, row)| (*change, row.id())).collect();
        let expected = [
            (Change::Upsert, "shirt:S:Red"),
            (Change::Upsert, "shirt:M:Red"),
            (Change::Delete, "hat:Default Title"),
            (Change::Delete, "hat:Other"),
        ];
        assert_eq!((changes, reasons(&whole)), (expected.to_vec(), vec![]));
        let row = &whole.rows[0].1;
        assert_eq!(decimal(row, columns::NORMAL_PRICE), Some(120_000));
        let all = ["https://i.example/1.jpg", "https://i.example/2.jpg", "https://i.example/3.jpg"];
        assert_eq!(images(row), all);
        assert_eq!(row.list(columns::SEARCH_TAG).collect::<Vec<_>>(), ["a", "b"]);
        // What the product has is the variant's, what another variant has is not.
        let row = &whole.rows[1].1;
        assert_eq!(row.text(columns::TITLE), Some("Shirt"));
        assert_eq!(row.text(columns::BRAND), Some("Acme"));
        assert_eq!(row.text(columns::CATEGORY_2), Some("Shirts"));
        assert_eq!(row.text(columns::ITEM_GROUP_ID), Some("shirt"));
        assert_eq!(decimal(row, columns::PRICE), Some(110_000));
        assert_eq!(decimal(row, columns::NORMAL_PRICE), None);
        assert_eq!(decimal(row, columns::STOCK_QUANTITY), None);
        assert_eq!((row.text(columns::MODEL_NUMBER), row.text(columns::GTIN)), (None, None));
        assert_eq!(images(row), [&["https://i.example/m.jpg"][..], &all].concat());
        assert_eq!(whole.reader.stats().records, 4);
    }
}

#[test]
fn shopify_csv_with_a_key_and_a_link_of_ones_own() {
    let mut csv = source(Format::ShopifyCsv);
    csv.key = vec!["Variant SKU".to_owned()];
    let mut link = field(columns::LINK, "");
    link.from = feedfleet_config::From::Template(vec![
        feedfleet_config::Piece::Text("https://s.example/products/".to_owned()),
        feedfleet_config::Piece::Field("Handle".to_owned()),
    ]);
    let whole = read(&csv, &[link], format!("{FIRST_HEADERS}{ROWS}"));
    assert_eq!(ids(&whole), ["s-1"]);
    assert_eq!(whole.rows[0].1.text(columns::LINK), Some("https://s.example/products/shirt"));
    // The draft is gone, and its variants have no SKU either.
    assert_eq!(reasons(&whole), ["missing-id"; 3]);
}

#[test]
fn a_row_that_cannot_be_read_does_not_part_its_group() {
    let broken = "shirt,x,,,,,,,,,,,,,,,,,,,,,one cell too many\n";
    let lines: Vec<&str> = ROWS.split_inclusive('\n').collect();
    let text = [FIRST_HEADERS, lines[0], broken, lines[1], lines[2]].concat();
    let whole = read(&source(Format::ShopifyCsv), &[], text);
    assert_eq!(ids(&whole), ["shirt:S:Red", "shirt:M:Red"]);
    assert_eq!(reasons(&whole), ["malformed-record"]);
    assert_eq!(whole.rows[1].1.text(columns::TITLE), Some("Shirt"));
}

#[test]
fn a_real_export() {
    const FILE: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/shopify-csv/packt/Product-data.csv"
    );
    let Ok(bytes) = fs::read(Path::new(FILE)) else {
        eprintln!("SKIPPED: no {FILE}");
        return;
    };
    let whole = read(&source(Format::ShopifyCsv), &[], bytes);
    assert_eq!(reasons(&whole), Vec::<&str>::new());
    let unique: std::collections::BTreeSet<_> = ids(&whole).into_iter().collect();
    assert_eq!((whole.rows.len(), unique.len()), (21, 21));
    for (change, row) in &whole.rows {
        assert_eq!(*change, Change::Upsert);
        assert!(row.text(columns::TITLE).is_some() && decimal(row, columns::PRICE).is_some());
        assert!(row.text(columns::IMAGE_LINK).is_some(), "{}", row.id());
    }
}

const PAGE: &str = r#"{"products":[
    {"id":1,"title":"Shirt","handle":"shirt","body_html":"<p>Good</p>","vendor":"Acme",
     "product_type":"Tops","tags":["a","b"],"updated_at":"2026-01-02T03:04:05Z",
     "variants":[
       {"id":11,"title":"S","option1":"S","sku":"s-1","price":"10.00","compare_at_price":"12.00",
        "available":true,"featured_image":null},
       {"id":12,"title":"M","option1":"M","sku":null,"price":"11.00","compare_at_price":null,
        "available":false,"featured_image":{"id":5,"src":"https://i.example/2.jpg"}}],
     "images":[{"id":4,"src":"https://i.example/1.jpg"},{"id":5,"src":"https://i.example/2.jpg"}],
     "options":[{"name":"Size","values":["S","M"]}]},
    {"id":2,"title":"Hat","handle":"hat","variants":[{"id":21,"price":"5.00","available":true}],
     "images":[]}]}"#;
const SHORT_PAGE: &str = r#"{"products":[{"id":3,"title":"Cup","handle":"cup",
    "variants":[{"id":31,"price":"2.00"}],"images":[]}]}"#;
const NO_PRODUCTS: &str = r#"{"products":[]}"#;

fn pages(pages: &[&str]) -> Whole {
    let mut json = source(Format::ShopifyJson);
    json.location = Location::Http(Secret::new("https://s.example/products.json"));
    read(&json, &[], pages.join("\n"))
}

#[test]
fn shopify_json() {
    let whole = pages(&[PAGE, NO_PRODUCTS]);
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["11", "12", "21"], vec![]));
    let row = &whole.rows[0].1;
    assert_eq!(row.text(columns::TITLE), Some("Shirt"));
    assert_eq!(row.text(columns::LINK), Some("https://s.example/products/shirt?variant=11"));
    assert_eq!(row.text(columns::ITEM_GROUP_ID), Some("1"));
    assert_eq!(row.text(columns::MODEL_NUMBER), Some("s-1"));
    assert_eq!(row.text(columns::AVAILABILITY), Some("in_stock"));
    assert_eq!(images(row), ["https://i.example/1.jpg", "https://i.example/2.jpg"]);
    assert_eq!(row.list(columns::SEARCH_TAG).collect::<Vec<_>>(), ["a", "b"]);
    assert!(extras(row).contains(&("variants.option1", "S")));
    let row = &whole.rows[1].1;
    assert_eq!(decimal(row, columns::PRICE), Some(110_000));
    assert_eq!(decimal(row, columns::NORMAL_PRICE), None);
    assert_eq!(row.text(columns::AVAILABILITY), Some("out_of_stock"));
    assert_eq!(images(row), ["https://i.example/2.jpg", "https://i.example/1.jpg"]);
    assert_eq!(row.text(columns::MODEL_NUMBER), None);
}

#[test]
fn shopify_json_is_whole_when_its_pages_end() {
    let whole = |list: &[&str]| match pages(list).completeness {
        Completeness::Proven(_) => "proven",
        Completeness::Unproven(_) => "unproven",
        Completeness::Truncated(_) => "truncated",
    };
    assert_eq!(whole(&[PAGE, PAGE, NO_PRODUCTS]), "proven");
    assert_eq!(whole(&[PAGE, SHORT_PAGE]), "proven");
    assert_eq!(whole(&[NO_PRODUCTS]), "proven");
    assert_eq!(whole(&[PAGE]), "truncated");
    assert_eq!(whole(&[PAGE, PAGE]), "truncated");
    assert_eq!(whole(&[PAGE, "<!doctype html>"]), "truncated");
    assert_eq!(whole(&[PAGE, r#"{"errors":"Not Found"}"#]), "truncated");
    assert_eq!(whole(&[PAGE, &SHORT_PAGE[..60]]), "truncated");
}
