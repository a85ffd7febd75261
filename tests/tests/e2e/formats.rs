//! Every format, compression and encoding over HTTP, from bytes to products.

use encoding_rs::EUC_KR;
use feedfleet_tests::{Fleet, Product, Reply, Server};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::io::{Cursor, Write};
use std::sync::{Arc, Mutex};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// One run of a pipe whose source is `reply`. `settings` follow `url` in `[source]`.
fn crawl(settings: &str, reply: Reply) -> (Value, Vec<Product>) {
    let server = Server::start(move |_, _| reply.clone());
    let fleet = Fleet::new();
    fleet.pipe("shop", &pipe(&server, settings));
    let report = fleet.run_pipe("shop");
    assert_eq!(report["state"], "done", "{report:#}");
    assert_eq!(report["counts"]["refused"], 0, "{report:#}");
    assert_eq!(report["warnings"], Value::Array(Vec::new()), "{report:#}");
    (report, fleet.products("shop"))
}

fn pipe(server: &Server, settings: &str) -> String {
    let url = server.base_url();
    format!("[images]\nmirror = false\n[source]\nurl = \"{url}/feed\"\n{settings}\n")
}

#[track_caller]
fn assert_briefs(products: &[Product], expected: &[(&str, &str, i64)]) {
    let briefs: Vec<_> = products.iter().map(|p| p.brief()).collect();
    assert_eq!(briefs, expected);
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

fn zipped(name: &str, text: &str) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file(name, SimpleFileOptions::default()).expect("memory can be written");
    archive.write_all(text.as_bytes()).expect("memory can be written");
    archive.finish().expect("memory can be written").into_inner()
}

const RSS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel>
<title>Outdoor</title><link>http://shop.example/</link><description>All we have</description>
<item>
  <g:id>t1</g:id><title>Tent &amp; pegs</title><link>http://shop.example/t1</link>
  <g:price>1,299.00 USD</g:price><g:availability>in stock</g:availability>
  <g:additional_image_link>http://shop.example/1a.jpg</g:additional_image_link>
  <g:additional_image_link>http://shop.example/1b.jpg</g:additional_image_link>
  <g:shipping><g:country>US</g:country><g:price>5 USD</g:price></g:shipping>
  <g:colour_of_the_year>olive</g:colour_of_the_year>
</item>
<item>
  <g:id>t2</g:id><g:title><![CDATA[Stove <2>]]></g:title><g:price>15.00 USD</g:price>
  <g:product_type>Camp &gt; Cook</g:product_type>
</item>
</channel></rss>"#;

#[test]
fn google_rss_gzipped() {
    let (report, products) = crawl("format = \"google-xml\"", Reply::ok(gzip(RSS)));
    assert_eq!(report["source"]["compression"], "gzip", "{report:#}");
    assert_eq!(report["source"]["complete"], true, "{report:#}");
    assert_briefs(&products, &[("t1", "Tent & pegs", 12_990_000), ("t2", "Stove <2>", 150_000)]);
    let (tent, stove) = (&products[0], &products[1]);
    assert_eq!(tent.text("price_currency"), "USD");
    assert_eq!(tent.text("availability"), "in_stock");
    let pictures = ["http://shop.example/1a.jpg", "http://shop.example/1b.jpg"];
    assert_eq!(tent.lists["additional_image_links"], pictures);
    assert_eq!(tent.lists["shipping"], ["US:::5 USD"]);
    assert_eq!(tent.extra.values().collect::<Vec<_>>(), ["olive"]);
    assert_eq!((stove.text("category_1"), stove.text("category_2")), ("Camp", "Cook"));
}

#[test]
fn google_atom() {
    let feed = r#"<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0">
<title>Prints</title><updated>2026-01-01T00:00:00Z</updated>
<entry><g:id>p1</g:id><g:title>Print one</g:title><link href="http://shop.example/1"/>
<g:price>15.00 USD</g:price></entry>
<entry><g:id>p2</g:id><title>Print two</title><g:price>7,50 EUR</g:price></entry>
</feed>"#;
    let (_, products) = crawl("format = \"google-xml\"", Reply::ok(feed));
    assert_briefs(&products, &[("p1", "Print one", 150_000), ("p2", "Print two", 75_000)]);
    assert_eq!(products[0].text("link"), "http://shop.example/1");
    assert_eq!(products[1].text("price_currency"), "EUR");
}

#[test]
fn google_tsv() {
    let feed = "id\ttitle\tdescription\tlink\timage link\tprice\tavailability\tadditional image link\n\
                1\t12\" pan\t\thttp://shop.example/1\t\t15.00 USD\tout of stock\t\
                http://shop.example/a.jpg,http://shop.example/b.jpg\n\
                2\tPot\t\thttp://shop.example/2\t\tEUR 7.5\tin_stock\t\n";
    let (_, products) = crawl("format = \"google-tsv\"", Reply::ok(feed));
    assert_briefs(&products, &[("1", "12\" pan", 150_000), ("2", "Pot", 75_000)]);
    assert_eq!(products[0].text("availability"), "out_of_stock");
    assert_eq!(products[0].lists["additional_image_links"].len(), 2);
}

#[test]
fn naver_ep_in_cp949() {
    let feed = "id\ttitle\tprice_pc\tlink\timage_link\tcategory_name1\tshipping\tsearch_tag\r\n\
                A1\t원목 의자\t129,000\thttp://shop.kr/1\thttp://shop.kr/1.jpg\t가구\t0\t나무|의자\r\n\
                A2\t똠방각하 컵\t8500\thttp://shop.kr/2\thttp://shop.kr/2.jpg\t주방\t-1\t컵";
    let (bytes, _, unmappable) = EUC_KR.encode(feed);
    assert!(!unmappable);
    let (report, products) = crawl("format = \"naver-ep\"", Reply::ok(bytes.into_owned()));
    assert_eq!(report["source"]["encoding"], "EUC-KR", "{report:#}");
    let expected = [("A1", "원목 의자", 1_290_000_000), ("A2", "똠방각하 컵", 85_000_000)];
    assert_briefs(&products, &expected);
    assert_eq!(products[0].text("price_currency"), "KRW");
    assert_eq!(products[0].lists["search_tag"], ["나무", "의자"]);
    assert_eq!(products[1].decimals["shipping_cost"], -10_000);
}

#[test]
fn naver_summary_inserts_updates_and_deletes() {
    const HEAD: &str =
        "id\ttitle\tprice_pc\tlink\timage_link\tcategory_name1\tshipping\tclass\tupdate_time\n";
    let line = |id: &str, title: &str, price: u32, class: &str| {
        format!(
            "{id}\t{title}\t{price}\thttp://shop.kr/{id}\thttp://shop.kr/{id}.jpg\t가구\t0\t{class}\t\
             2026-01-01 10:00:00\n"
        )
    };
    let first =
        [line("A1", "의자", 1_000, "I"), line("A2", "컵", 2_000, "I"), line("A3", "책", 9, "I")];
    let second =
        [line("A1", "의자", 1_500, "U"), line("A2", "컵", 2_000, "D"), line("A4", "상", 3, "I")];
    let body = Arc::new(Mutex::new(format!("{HEAD}{}", first.concat())));
    let served = Arc::clone(&body);
    let server = Server::start(move |_, _| Reply::ok(served.lock().unwrap().as_bytes()));
    let fleet = Fleet::new();
    fleet.pipe("shop", &pipe(&server, "format = \"naver-ep-summary\""));
    let report = fleet.run_pipe("shop");
    assert_eq!(report["counts"]["new"], 3, "{report:#}");

    *body.lock().unwrap() = format!("{HEAD}{}", second.concat());
    let report = fleet.run_pipe("shop");
    assert_eq!(report["state"], "done", "{report:#}");
    for (name, count) in [("new", 1), ("changed", 1), ("removed", 1), ("live", 3)] {
        assert_eq!(report["counts"][name], count, "{name} in {report:#}");
    }
    let expected = [("A1", "의자", 15_000_000), ("A3", "책", 90_000), ("A4", "상", 30_000)];
    assert_briefs(&fleet.products("shop"), &expected);
}

#[test]
fn awin_by_its_name_alone() {
    let feed = "aw_deep_link|product_name|aw_product_id|search_price|currency|in_stock\n\
                http://click.example/1|\"A \"\"coat\"\" | long\"|71|99.90|GBP|1\n\
                http://click.example/2|Hat|72|5|GBP|0\n";
    let (report, products) = crawl("format = \"awin\"", Reply::ok(zipped("datafeed.csv", feed)));
    assert_eq!(report["source"]["compression"], "zip", "{report:#}");
    let expected = [("71", "A \"coat\" | long", 999_000), ("72", "Hat", 50_000)];
    assert_briefs(&products, &expected);
    assert_eq!(products[0].text("price_currency"), "GBP");
    assert_eq!(products[1].text("availability"), "out_of_stock");
}

#[test]
fn shopifys_variants_are_products() {
    let feed = "Handle,Title,Option1 Name,Option1 Value,Variant Price,Image Src,Status\n\
                coat,Coat,Size,S,10.00,http://shop.example/1.jpg,active\n\
                coat,,,M,11.00,,\n\
                coat,,,,,http://shop.example/2.jpg,\n\
                hat,Hat,Title,Default Title,5.00,,draft\n";
    let settings = "format = \"shopify-csv\"\n[map]\n\
                    link = { template = \"http://shop.example/products/{Handle}\" }";
    let (_, products) = crawl(settings, Reply::ok(feed));
    assert_briefs(&products, &[("coat:M", "Coat", 110_000), ("coat:S", "Coat", 100_000)]);
    assert_eq!(products[0].text("link"), "http://shop.example/products/coat");
    assert_eq!(products[0].text("image_link"), "http://shop.example/1.jpg");
    assert_eq!(products[1].lists["additional_image_links"], ["http://shop.example/2.jpg"]);
}

/// Promise 12: an export in which nothing is for sale any more empties no pipe.
#[test]
fn a_shop_that_unpublishes_everything_has_its_removals_held() {
    let feed = |status: &str| {
        let row = |id: u32| format!("p{id},Pot {id},5.00,{status}\n");
        let rows: String = (0..40).map(row).collect();
        format!("Handle,Title,Variant Price,Status\n{rows}")
    };
    let fleet = Fleet::new();
    let pipe = "[images]\nmirror = false\n[source]\nurl = \"feed.csv\"\nformat = \"shopify-csv\"\n";
    fleet.pipe("shop", pipe);
    fleet.write("feed.csv", feed("active"));
    assert_eq!(fleet.run_pipe("shop")["counts"]["new"], 40);
    fleet.write("feed.csv", feed("draft"));
    let report = fleet.run(&["run", "shop", "--wait", "--json"]).json();
    assert_eq!(report["state"], "held", "{report:#}");
    assert_eq!(report["counts"]["held"], 40, "{report:#}");
    assert_eq!(fleet.products("shop").len(), 40);
}

#[test]
fn rakutens_last_line_proves_that_all_came() {
    let line = |id: u32| {
        format!(
            "{id}|Pot {id}|A{id}|home||http://click.example/{id}|||Short||||9.95|19.95|||||||||IN||10|USD|||\n"
        )
    };
    let feed = format!("HDR|7|Shop|01/02/2026 03:04:05\n{}{}TRL|2\n", line(1), line(2));
    let (report, products) = crawl("format = \"rakuten\"", Reply::ok(feed));
    assert_eq!(report["source"]["complete"], true, "{report:#}");
    assert_briefs(&products, &[("1", "Pot 1", 199_500), ("2", "Pot 2", 199_500)]);
}

#[test]
fn json_below_a_pointer() {
    let feed = r#"{"page": 1, "data": {"products": [
        {"sku": "j1", "name": "Lamp", "price": {"amount": "9.90"}, "stock": 4, "sold": false,
         "images": ["http://shop.example/1.jpg", "http://shop.example/2.jpg"]},
        {"sku": "j2", "name": "Caf\u00e9 \"cup\"", "price": {"amount": 3}, "stock": null}
    ]}}"#;
    let settings = r#"format = "json"
items = "/data/products"
[map]
id = "sku"
title = "name"
stock_quantity = "stock"
image_link = "images[0]"
price = { field = "price.amount", as = "money", currency = "EUR" }"#;
    let (_, products) = crawl(settings, Reply::ok(feed));
    assert_briefs(&products, &[("j1", "Lamp", 99_000), ("j2", "Café \"cup\"", 30_000)]);
    assert_eq!(products[0].integers["stock_quantity"], 4);
    assert_eq!(products[0].text("image_link"), "http://shop.example/1.jpg");
    assert_eq!(products[0].extra["sold"], "false");
}

#[test]
fn json_lines_in_zstandard() {
    let feed = concat!(
        r#"{"sku": "a", "name": "Cup", "cents": 1250, "tags": ["x", "y"]}"#,
        "\n",
        r#"{"sku": "b", "name": "Pot", "cents": 300, "tags": []}"#,
        "\n"
    );
    let settings = r#"format = "jsonl"
[map]
id = "sku"
title = "name"
search_tag = "tags"
price = { field = "cents", minor_units = 2, currency = "EUR" }"#;
    let body = zstd::encode_all(feed.as_bytes(), 3).unwrap();
    let (report, products) = crawl(settings, Reply::ok(body));
    assert_eq!(report["source"]["compression"], "zstd", "{report:#}");
    assert_briefs(&products, &[("a", "Cup", 125_000), ("b", "Pot", 30_000)]);
    assert_eq!(products[0].lists["search_tag"], ["x", "y"]);
}

const CSV_SETTINGS: &str = r#"format = "csv"
delimiter = ";"
[map]
id = "sku"
title = "name"
price = { field = "price", as = "money", decimal = ",", currency = "EUR" }"#;

#[test]
fn csv_in_a_zip() {
    let feed = "sku;name;price\n1;\"Lamp; big\";1.234,50\n2;\"A \"\"chair\"\"\";50\n";
    let (report, products) = crawl(CSV_SETTINGS, Reply::ok(zipped("products.csv", feed)));
    assert_eq!(report["source"]["compression"], "zip", "{report:#}");
    assert_briefs(&products, &[("1", "Lamp; big", 12_345_000), ("2", "A \"chair\"", 500_000)]);
}

#[test]
fn csv_in_utf_16() {
    let feed = "\u{feff}sku;name;price\r\n1;Größe;9,90\r\n2;椅子;50\r\n";
    for (name, bytes) in [
        ("UTF-16LE", feed.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()),
        ("UTF-16BE", feed.encode_utf16().flat_map(u16::to_be_bytes).collect()),
    ] {
        let (report, products) = crawl(CSV_SETTINGS, Reply::ok(bytes));
        assert_eq!(report["source"]["encoding"], name, "{report:#}");
        assert_briefs(&products, &[("1", "Größe", 99_000), ("2", "椅子", 500_000)]);
    }
}

#[test]
fn csv_in_the_encoding_that_the_answer_names() {
    let mut feed = b"sku;name;price\n1;Gr".to_vec();
    feed.extend([0xf6, 0xdf]);
    feed.extend(b"e;9,90\n");
    let reply = Reply::ok(feed).header("Content-Type", "text/csv; charset=iso-8859-1");
    let (_, products) = crawl(CSV_SETTINGS, reply);
    assert_briefs(&products, &[("1", "Größe", 99_000)]);
}

#[test]
fn xml_of_a_shop_of_its_own() {
    let feed = r#"<?xml version="1.0"?>
<catalog made="today">
  <book lang="en"><number>b1</number><name>Dune &amp; Co</name>
    <price unit="GBP">9.99</price><tag>a</tag><tag>b</tag></book>
  <book><number>b2</number><name><![CDATA[A < B]]></name><price>12</price></book>
</catalog>"#;
    let settings = r#"format = "xml"
item = "book"
[map]
id = "number"
title = "name"
search_tag = "tag"
price = { field = "price", as = "money", currency = "GBP" }"#;
    let (report, products) = crawl(settings, Reply::ok(feed));
    assert_eq!(report["source"]["complete"], true, "{report:#}");
    assert_briefs(&products, &[("b1", "Dune & Co", 99_900), ("b2", "A < B", 120_000)]);
    assert_eq!(products[0].lists["search_tag"], ["a", "b"]);
    assert_eq!(products[0].extra["@lang"], "en");
}
