//! Whole sources, made up and real, and the pipes that come out.

mod formats;

use super::*;
use crate::settings::Settings;
use crate::testing::{gzip, zip_archive};
use feedfleet_config::{Format, Pipe, Secret, parse_pipe};
use feedfleet_model::PipeName;
use std::fs::{self, File};
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// What a source is found to be, and the pipe whose file that makes. The file is one that can be loaded.
fn found(data: impl Into<Vec<u8>>) -> (Detected, Pipe) {
    let location = Location::Http(Secret::new("https://shop.kr/feed"));
    let found = detect(Box::new(Cursor::new(data.into())), &Hints::default(), &location).unwrap();
    let pipe = loaded(&found);
    (found, pipe)
}

fn loaded(found: &Detected) -> Pipe {
    let name: PipeName = "shop".parse().unwrap();
    let text = found.to_toml("https://shop.kr/feed");
    let environment = BTreeMap::<String, String>::new();
    let pipe = parse_pipe(&name, &text, Path::new("/"), &environment);
    let pipe = pipe.unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
    Settings::of(&pipe).unwrap();
    pipe
}

fn lines(found: &Detected) -> Vec<(&str, &str)> {
    found.map.iter().map(|line| (line.column.as_str(), line.value.as_str())).collect()
}

#[track_caller]
fn assert_warns(found: &Detected, texts: &[&str]) {
    for text in texts {
        assert!(found.warnings.iter().any(|w| w.contains(text)), "{text}: {:?}", found.warnings);
    }
}

const SHOP: &str = "\
sku;name;price;stock;url;photo;category\n\
A-1;\"Enamel; mug\";12,50 EUR;40;https://shop.example/a 1;;Kitchen > Mugs\n\
A-2;Bread knife;34,00 EUR;7;https://shop.example/a-2;;Kitchen > Knives\n";

#[test]
fn a_shops_own_csv() {
    let (found, pipe) = found(gzip(SHOP.as_bytes()));
    assert_eq!((found.compression.as_slice(), found.encoding), (&["gzip"][..], "UTF-8"));
    assert_eq!((found.format, &found.preset, found.records), ("csv", &None, 2));
    assert_eq!((pipe.source.delimiter, pipe.source.quoting), (Some(b';'), None));
    let expected = [
        ("id", "\"sku\""),
        ("title", "\"name\""),
        ("link", "\"url\""),
        ("image_link", "\"photo\""),
        ("price", "\"price\""),
        ("stock_quantity", "\"stock\""),
        ("category", "\"category\""),
    ];
    assert_eq!(lines(&found), expected);
    assert_eq!((found.coverage["title"], found.coverage.get("image_link")), (1.0, None));
    assert_eq!(found.key, KeyFacts { usual: vec!["sku".to_owned()], ..KeyFacts::default() });
    assert_warns(&found, &["1 addresses in url have spaces", "image_link missing in 2 products"]);
    let toml = found.to_toml("https://a.example/?key=${KEY}");
    assert!(toml.contains("url = \"https://a.example/?key=${KEY}\"\n"), "{toml}");
    assert!(toml.contains("title = \"name\"   # 100.0 %\n"), "{toml}");
}

#[test]
fn an_id_that_is_not_unique() {
    let head = "id\ttitle\tdescription\tlink\timage_link\tavailability\tprice\tsize\n";
    let row = |id: u32, size: &str| {
        format!(
            "{id}\tShirt\tGood\thttps://s.example/{id}\thttps://i.example/{id}.jpg\tin_stock\t5 EUR\t{size}\n"
        )
    };
    let rows: String = (1..40).flat_map(|id| ["S", "M", "L"].map(|size| row(id, size))).collect();
    let (found, pipe) = found(format!("{head}{rows}"));
    assert_eq!((found.format, found.key.lost), ("google-tsv", 78));
    assert_eq!(pipe.source.key, ["id", "size"]);
    let warning = "id is no id: 78 of 117 records would be lost";
    assert_warns(&found, &[warning, "id and size are different in every record"]);
    assert!(!found.warnings.iter().any(|w| w.contains("refused")), "{:?}", found.warnings);
}

/// Rows of Google's required fields, 40 of them, with this title, description and price; `#` is the row's number.
fn google(delimiter: &str, title: &str, description: &str, price: &str) -> String {
    let row = |id: u32| {
        let link = format!("https://s.example/{id}");
        let id = id.to_string();
        let picture = format!("{link}.jpg");
        let cells =
            [id.as_str(), title, description, link.as_str(), picture.as_str(), "in_stock", price];
        cells.join(delimiter).replace('#', &id)
    };
    let head = ["id", "title", "description", "link", "image_link", "availability", "price"];
    let rows: Vec<String> = (10..50).map(row).collect();
    format!("{}\n{}\n", head.join(delimiter), rows.join("\n"))
}

/// What would be cut off, or refused, with quotes is whole without them.
#[test]
fn cells_that_begin_with_quotes_that_are_text() {
    for delimiter in ["\t", ","] {
        let text = google(delimiter, "\"Big\" pan #", "\"open", "#.00 EUR");
        let first = text.replacen("\"Big\" pan 10", "Pan", 1).replacen("\"open", "d", 1);
        let quotes = google(delimiter, "Pan #", "d", "#.00 EUR").replacen("Pan 17", "\"Pan", 1);
        for text in [text, first, quotes] {
            let (found, pipe) = found(text);
            let format = if delimiter == "," { "google-csv" } else { "google-tsv" };
            assert_eq!((found.format, found.records), (format, 40));
            assert_eq!(pipe.source.quoting, Some(Quoting::Off));
            assert_warns(&found, &["quoting = false is proposed"]);
            let lost = |w: &&String| w.contains("refused,") || w.contains("cut off");
            assert_eq!(found.warnings.iter().find(lost), None);
        }
    }
}

#[test]
fn amounts_with_a_decimal_comma() {
    let (commas, pipe) = found(google("\t", "Pan #", "d", "1.2#,01 EUR"));
    assert_eq!((commas.format, commas.coverage["price"]), ("google-tsv", 1.0));
    assert_eq!(lines(&commas), [("price", "{ field = \"price\", decimal = \",\" }")]);
    assert_eq!(pipe.map.len(), 1);
    assert_warns(&commas, &["amounts in price have a decimal comma"]);
    // Thousands, which a point as decimal mark leaves unreadable.
    let (thousands, _) = found(google("\t", "Pan #", "d", "1.234.5# KRW"));
    assert_eq!((thousands.map.len(), thousands.coverage["price"]), (1, 1.0));
    // One that is misspelt says nothing of the others.
    let typo = google("\t", "Pan #", "d", "12,000 KRW").replacen("12,000", "1200,0", 1);
    let (mostly_thousands, pipe) = found(typo);
    assert!(mostly_thousands.map.is_empty() && pipe.map.is_empty());
    for price in ["#.90 EUR", "1.2# EUR", "1,2#.00 EUR", "Rs.1,5#", "Rs. #.00", "12,0# kr."] {
        let (points, pipe) = found(google("\t", "Pan #", "d", price));
        assert!(points.map.is_empty() && pipe.map.is_empty(), "{price}");
    }
}

/// What is meant can't be told, and what is read may be a thousandth of it, or a thousand times as much.
#[test]
fn amounts_with_three_digits_behind_their_only_mark() {
    let told = |text: String| {
        let (found, pipe) = found(text);
        assert!(found.map.is_empty() && pipe.map.is_empty(), "{:?}", found.map);
        let warnings = found.warnings.into_iter();
        warnings.filter(|warning| warning.contains("three digits")).collect::<String>()
    };
    let tsv = |price: &str| google("\t", "Pan #", "d", price);
    let other = "price = { field = \"price\", decimal = \",\" } under [map]";
    for (price, reading) in [
        ("1.5# EUR", "1.500 is 1.50. If it is 1500: "),
        ("1.5# KRW", "1.500 is 1.50. If it is 1500: "),
        ("1,5# EUR", "1,500 is 1500. If it is 1.50: "),
        ("1,5# KWD", "1,500 is 1500. If it is 1.50: "),
    ] {
        let told = told(tsv(price));
        assert!(told.contains(&format!("{reading}{other}")), "{price}: {told}");
    }
    for price in ["1.5# KWD", "1,5# KRW", "1,5#.00 EUR", "1.5#0 EUR", "#0 EUR"] {
        assert_eq!(told(tsv(price)), "", "{price}");
    }
    // One that tells what its mark is tells it of the others.
    assert_eq!(told(tsv("1.5# EUR").replacen("1.510", "1.51", 1)), "");
    // What has no mark says nothing against a point, and that a comma is none of decimals.
    assert_ne!(told(tsv("1.5# EUR").replacen("1.510", "950", 1)), "");
    assert_eq!(told(tsv("1,5# EUR").replacen("1,510", "950", 1)), "");
}

/// Google's data with a column of this name behind the price, which has these values by turns.
fn with_column(price: &str, name: &str, values: [&str; 2]) -> String {
    let text = google("\t", "Pan #", "d", price);
    let cells = [name].into_iter().chain(values.into_iter().cycle());
    text.lines().zip(cells).map(|(line, cell)| format!("{line}\t{cell}\n")).collect()
}

/// A column says how many digits an amount has, as the amount itself may.
#[test]
fn amounts_with_three_digits_beside_their_currency() {
    let is_told = |found: Detected| found.warnings.iter().any(|w| w.contains("three digits"));
    for (price, values, expected) in [
        ("1.5#", ["KWD", "bhd"], false),
        ("1,5#", ["JPY", "KRW"], false),
        ("1.5#", ["KWD", "EUR"], true),
        ("1,5#", ["KWD", "KWD"], true),
        ("1.5#", ["JPY", "JPY"], true),
        // The amount's own counts.
        ("1.5# EUR", ["KWD", "KWD"], true),
    ] {
        let (found, _) = found(with_column(price, "currency", values));
        assert_eq!(is_told(found), expected, "{price} {values:?}");
    }
    // A field of the format's own.
    for (currency, expected) in [("KWD", false), ("EUR", true)] {
        let row =
            |id: u32| format!("https://www.awin.example/{id}|Pan {id}|{id}|12.5{id}|{currency}\n");
        let rows: String = (10..50).map(row).collect();
        let head = "aw_deep_link|product_name|aw_product_id|search_price|currency";
        let (found, _) = found(format!("{head}\n{rows}"));
        assert_eq!((found.format, is_told(found)), ("awin", expected), "{currency}");
    }
}

/// A column of reduced prices, by product, beside one of currencies.
fn reduced(sale: impl Fn(u32) -> String) -> Detected {
    let row = |n: u32| {
        let (link, sale) = (format!("https://s.example/{n}"), sale(n));
        format!("S{n}\tPan\tA pan\t{link}\t{link}.jpg\tin_stock\t{n}.50\t{sale}\tEUR\n")
    };
    let head =
        "id\ttitle\tdescription\tlink\timage_link\tavailability\tprice\tsale_price\tcurrency\n";
    found(format!("{head}{}", (10..50).map(row).collect::<String>())).0
}

/// One currency for the whole source would make euros of dollars.
#[test]
fn a_currency_beside_prices_that_name_none() {
    for name in ["currency", "Price Currency", "währung", "cur"] {
        let (two, _) = found(with_column("#.50", name, ["EUR", "USD"]));
        let quoted = format!("\"{name}\"");
        assert_eq!((two.format, lines(&two)), ("google-tsv", vec![("price_currency", &*quoted)]));
        assert_warns(&two, &["prices in several currencies: EUR 20, USD 20"]);
        assert!(!two.lacks_currency, "{:?}", two.warnings);
    }
    // The format's decimal mark is another line.
    let (commas, _) = found(with_column("1.2#,01", "currency", ["eur", "eur"]));
    let columns: Vec<&str> = lines(&commas).into_iter().map(|(column, _)| column).collect();
    assert_eq!(columns, ["price", "price_currency"]);
    assert_eq!(commas.currencies, BTreeMap::from([("EUR".to_owned(), 40)]));
    for values in [["EUR", "x"], ["EUR", ""]] {
        let (none, _) = found(with_column("#.50", "currency", values));
        assert!(none.map.is_empty() && none.lacks_currency, "{values:?}: {:?}", none.map);
    }
    let (named, _) = found(with_column("#.50 GBP", "currency", ["EUR", "USD"]));
    assert_eq!((named.map.len(), named.currencies.get("GBP")), (0, Some(&40)));
}

#[test]
fn a_currency_beside_a_reduced_price_is_that_ones_too() {
    let both = reduced(|n| format!("{n}.10"));
    let price = ("price_currency", "\"currency\"");
    let sale = ("sale_price_currency", "\"currency\"");
    assert_eq!((both.format, lines(&both)), ("google-tsv", vec![price, sale]));
    let its_own = reduced(|n| format!("{n}.10 USD"));
    assert_eq!(lines(&its_own), [price], "it says so itself");
    assert_eq!(lines(&reduced(|_| String::new())), [price], "there are none");
    // The column would make euros of the dollars.
    let some = reduced(|n| format!("{n}.10{}", if n < 20 { " USD" } else { "" }));
    assert_eq!(lines(&some), [price]);
    assert_warns(&some, &["30 amounts in sale_price name no currency: currency under [source]"]);
    for all in [&both, &its_own] {
        assert!(!all.warnings.iter().any(|w| w.contains("name no currency")), "{:?}", all.warnings);
    }
}

#[test]
fn a_currency_in_an_attribute_of_prices_that_name_none() {
    let item = |id: u32, attribute: &str| {
        let currency = if id.is_multiple_of(2) { "EUR" } else { "USD" };
        format!(
            "<item><g:id>{id}</g:id><g:title>Pan {id}</g:title><g:description>d</g:description>\
             <g:link>https://s.example/{id}</g:link><g:image_link>https://s.example/{id}.jpg</g:image_link>\
             <g:availability>in_stock</g:availability><g:price {attribute}='{currency}'>{id}.50</g:price></item>"
        )
    };
    for attribute in ["cur", "currency"] {
        let items: String = (10..50).map(|id| item(id, attribute)).collect();
        let text = format!(
            "<rss xmlns:g='http://base.google.com/ns/1.0'><channel><title>S</title>{items}</channel></rss>"
        );
        let (found, _) = found(text);
        let field = format!("\"price/@{attribute}\"");
        assert_eq!(
            (found.format, lines(&found)),
            ("google-xml", vec![("price_currency", &*field)])
        );
        assert_warns(&found, &["prices in several currencies: EUR 20, USD 20"]);
        assert!(!found.lacks_currency, "{:?}", found.warnings);
    }
}

/// The shipping's currency would make euros of dollars.
#[test]
fn a_currency_of_something_other_than_the_price() {
    let catalog = |price: &str| {
        let product = |id: u32| {
            format!(
                "<product><sku>{id}</sku><name>Pan {id}</name>{price}<shipping><currency>EUR</currency></shipping>\
                 </product>"
            )
        };
        format!("<catalog>{}</catalog>", (1..4).map(product).collect::<String>())
    };
    let (told, _) = found(catalog("<price currency=\"USD\">5</price>"));
    assert!(lines(&told).contains(&("price_currency", "\"price/@currency\"")), "{:?}", told.map);
    assert_eq!(told.currencies, BTreeMap::from([("USD".to_owned(), 3)]));
    let (untold, _) = found(catalog("<price>5</price>"));
    assert!(untold.lacks_currency && untold.currencies.is_empty(), "{:?}", untold.map);
}

#[test]
fn first_lines_that_are_no_header() {
    let text = google(";", "Pan #, steel", "d", "#.00 EUR");
    let (named, pipe) = found(format!("sep=;\r\n{}", text.replace('\n', "\r\n")));
    assert_eq!((named.records, named.coverage["title"]), (40, 1.0));
    // The format finds it in the first line.
    assert_eq!((named.format, named.delimiter.as_deref()), ("google-csv", Some(";")));
    assert_eq!(pipe.source.delimiter, None);
    let (comment, _) = found(format!("# export of today\n{}", google(",", "Pan #", "d", "5 EUR")));
    assert_warns(&comment, &["the first line seems to be a comment"]);
}

/// One repeated id is a mistake in one record: a key of addresses would rename all others.
#[test]
fn an_id_that_is_not_unique_but_for_few_stays_the_id() {
    let head = "id,title,description,link,image_link,availability,price\n";
    let row = |id: u32, page: u32| {
        format!(
            "{id},Shirt {id},Good,https://s.example/{page},https://i.example/{id}.jpg,in_stock,5 EUR\n"
        )
    };
    let rows: String = (0..300).map(|id| row(id, id)).collect();
    let (few, pipe) = found(format!("{head}{rows}{}", row(5, 1_000)));
    assert_eq!((few.key.lost, few.key.better.as_slice()), (1, &["link".to_owned()][..]));
    assert!(pipe.source.key.is_empty(), "{:?}", pipe.source.key);
    assert_warns(&few, &["id is no id: 1 of 301 records", "it stays the id"]);
    let toml = few.to_toml("https://shop.kr/feed");
    assert!(toml.contains("\n# key = [\"link\"]\n"), "{toml}");
    let repeats: String = (0..30).map(|id| row(id, 1_000 + id)).collect();
    let (many, pipe) = found(format!("{head}{rows}{repeats}"));
    assert_eq!((many.key.lost, pipe.source.key.as_slice()), (30, &["link".to_owned()][..]));
}

#[test]
fn naver_in_its_own_encoding() {
    let text = "id\ttitle\tprice_pc\tlink\timage_link\tcategory_name1\tshipping\n\
        p1\t겨울 코트 여성용 \"무료배송\"\t50007\thttps://s.kr/1\thttps://i.kr/1\t패션의류\t0\n\
        p2\t가방 이벤트 상품\t12000\thttps://s.kr/2\thttps://i.kr/2\t패션잡화\t2500\n";
    let (legacy, ..) = encoding_rs::EUC_KR.encode(text);
    let (found, pipe) = found(legacy.into_owned());
    assert_eq!((found.format, found.encoding), ("naver-ep", "EUC-KR"));
    assert!(pipe.map.is_empty() && pipe.source.quoting.is_none());
    assert_eq!(found.preset.map(|known| (known.required_found, known.required)), Some((7, 7)));
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
}

#[test]
fn google_xml_that_lacks_something() {
    let item = |id: u32, currency: &str| {
        format!(
            "<item><g:id>{id}</g:id><title>A</title><link>https://s.example/{id}</link>\
            <description>x</description><g:price>5 {currency}</g:price><g:availability>in stock</g:availability></item>"
        )
    };
    let items: String = (1..9).map(|id| item(id, if id < 3 { "USD" } else { "EUR" })).collect();
    let text = format!(
        "<?xml version='1.0'?><rss xmlns:g='http://base.google.com/ns/1.0'><channel><title>S</title>{items}</channel></rss>"
    );
    let (found, pipe) =
        found(zip_archive(&[("a.xml", text.as_bytes()), ("b.xml", b"<x/>")], false));
    assert_eq!((found.format, found.compression.as_slice()), ("google-xml", &["zip"][..]));
    assert_eq!((pipe.source.item, found.records), (None, 8));
    let texts =
        ["requires image_link", "several currencies: EUR 6, USD 2", "further files", "b.xml"];
    assert_warns(&found, &texts);
}

#[test]
fn an_archives_first_file_is_looked_at_whole() {
    // Its last line has no end.
    let first = "sku,name,price\n1,Cup,5.00 EUR\n2,Pot,6.00 EUR";
    let files: &[(&str, &[u8])] =
        &[("part1.csv", first.as_bytes()), ("part2.csv", b"sku\n3\n"), ("stock.csv", b"sku\n1\n")];
    let (found, _) = found(zip_archive(files, true));
    assert_eq!((found.format, found.records, found.is_whole), ("csv", 2, false));
    assert_eq!(found.coverage["title"], 1.0);
    assert!(found.warnings.iter().all(|w| !w.contains("refused")), "{:?}", found.warnings);
    assert_warns(&found, &["if they go on with it: part2.csv", "which are not read: stock.csv"]);
}

#[test]
fn xml_and_json_of_a_shop_of_its_own() {
    let xml = "<catalog><meta><a>1</a><b>2</b></meta><book><number>b1</number><name>Dune</name><price unit='GBP'>9.99</price></book>\
        <book><number>b2</number><name>Emma</name><price unit='GBP'>8.99</price></book></catalog>";
    let (one, pipe) = found(xml);
    assert_eq!((one.format, pipe.source.item.as_deref()), ("xml", Some("book")));
    let price = one.map.iter().find(|line| line.column == "price").map(|line| line.field.as_str());
    assert_eq!((pipe.source.key.as_slice(), price), (&["number".to_owned()][..], Some("price")));
    let json = r#"{"facets":[{"n":"x","c":1}],"data":{"products":[
        {"sku":"1","name":"Cup","price":"5 EUR","images":["https://i.example/1.jpg"]},
        {"sku":"2","name":"Pot","price":"6 EUR","images":["https://i.example/2.jpg"]}]}}"#;
    let (found, pipe) = found(json);
    assert_eq!((found.format, pipe.source.items.as_deref()), ("json", Some("/data/products")));
    let expected = [
        ("id", "\"sku\""),
        ("title", "\"name\""),
        ("image_link", "\"images\""),
        ("price", "\"price\""),
    ];
    assert_eq!(lines(&found), expected);
}

/// As a cut gzip is: what has an end, and lacks it, is not whole.
#[test]
fn what_ends_too_early_is_told() {
    let item = |id: u32| {
        format!(
            "<item><g:id>{id}</g:id><title>A</title><link>https://s.example/{id}</link><g:price>5 EUR</g:price></item>"
        )
    };
    let items: String = (1..5).map(item).collect();
    let xml =
        format!("<rss xmlns:g='http://base.google.com/ns/1.0'><channel>{items}</channel></rss>");
    let product = |id: u32| format!(r#"{{"sku":"p{id}","name":"Mug {id}","price":"12.50 EUR"}}"#);
    let products: Vec<String> = (1..5).map(product).collect();
    let json = format!("[{}]", products.join(","));
    let csv = "sku,name,price\n1,Cup,5.00 EUR\n2,Pot,6.00 EUR\n".to_owned();
    let says_so = |found: &Detected| found.warnings.iter().any(|w| w.contains("was cut off"));
    for (whole, cut_bytes) in [(xml, 50), (json, 20), (csv, 10)] {
        let cut = whole[..whole.len() - cut_bytes].to_owned();
        let (whole, _) = found(whole);
        assert!(!says_so(&whole), "{:?}", whole.warnings);
        let (cut, _) = found(cut);
        assert!(says_so(&cut), "{:?}", cut.warnings);
    }
    // What is behind the sample is not known.
    let line = |id: u32| format!("{id},A title of some length that repeats itself,{id}.50 EUR\n");
    let rows: String = (0..120_000).map(line).collect();
    let (beginning, _) = found(format!("id,name,price\n{rows}9"));
    assert!(!beginning.is_whole && !says_so(&beginning), "{:?}", beginning.warnings);
}

/// Ids are not mended: what the night before called `50007257.0` would be another product.
#[test]
fn ids_with_a_point_are_told() {
    let row = |id: &str| format!("{id}\tA\t9\thttps://s.kr/{id}\thttps://i.kr/1\tB\t0\n");
    let head = "id\ttitle\tprice_pc\tlink\timage_link\tcategory_name1\tshipping\n";
    let warning = "2 ids are whole numbers with a point, such as 50007257.0";
    let rows = [row("50007257.0"), row("50007258.0"), row("v1.0")].concat();
    let (pointed, pipe) = found(format!("{head}{rows}"));
    assert_eq!((pointed.format, pipe.source.key.len()), ("naver-ep", 0));
    assert_warns(&pointed, &[warning]);
    let (whole, _) = found(format!("{head}{}", rows.replace(".0\t", "\t")));
    assert!(whole.warnings.iter().all(|w| !w.contains("point")), "{:?}", whole.warnings);
}

#[test]
fn what_is_no_feed_is_refused() {
    let location = Location::File(PathBuf::from("x"));
    for (text, says) in [
        ("", "sent nothing"),
        ("<!doctype html><html><body>Hello</body></html>", "web page"),
        ("<error>no such feed</error>", "no element"),
    ] {
        let error = detect(Box::new(Cursor::new(text)), &Hints::default(), &location).unwrap_err();
        assert!(matches!(error, FeedError::NotAFeed { .. }), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn only_the_beginning_is_looked_at() {
    let line = |id: u32| format!("{id},A title of some length that repeats itself,{id}.50 EUR\n");
    let rows: String = (0..120_000).map(line).collect();
    let (found, _) = found(format!("id,name,price\n{rows}"));
    assert!(!found.is_whole && found.records == RECORDS, "{}", found.records);
    assert!(found.warnings.iter().all(|w| !w.contains("refused")), "{:?}", found.warnings);
}

/// A file of the optional real input; none, and a line that says so, where it is absent.
fn real(path: &str) -> Option<Detected> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(path);
    let Ok(file) = File::open(&path) else {
        eprintln!("SKIPPED: no {}", path.display());
        return None;
    };
    let found = detect(Box::new(file), &Hints::default(), &Location::File(path)).unwrap();
    loaded(&found);
    Some(found)
}

fn field_of<'d>(found: &'d Detected, column: &str) -> Option<&'d str> {
    found.map.iter().find(|line| line.column == column).map(|line| line.field.as_str())
}

#[test]
fn sunrise() {
    for night in ["products_f2f1afd.csv", "products_0719500.csv"] {
        let Some(found) = real(&format!("sunrise/data/{night}")) else { return };
        assert_eq!((found.format, found.delimiter.as_deref()), ("csv", Some(",")));
        // All variants of a product have one id: the rest would be lost.
        let key = if found.set_key.is_empty() { &found.key.usual } else { &found.set_key };
        assert_eq!(key, &["sku"], "{:?}", found.key);
        assert_eq!(field_of(&found, "brand"), Some("designer"));
        assert_eq!(field_of(&found, "color"), Some("color"));
        assert_eq!(field_of(&found, "size"), Some("size"));
        assert!(field_of(&found, "title").is_some_and(|name| name.starts_with("name.")));
    }
    let Some(stock) = real("sunrise/data/inventory.csv") else { return };
    assert_eq!(field_of(&stock, "stock_quantity"), Some("quantityOnStock"));
}

#[test]
fn shopify() {
    let Some(found) = real("shopify-csv/packt/Product-data.csv") else { return };
    assert_eq!(found.format, Format::ShopifyCsv.name());
    let known = found.preset.as_ref().unwrap();
    assert_eq!(known.required_found, known.required);
    assert!(found.set_key.is_empty(), "{:?}", found.key);
}

#[test]
fn shopifys_list_of_products() {
    let list = r#"{"products":[{"id":1,"title":"Shirt","handle":"shirt","vendor":"Acme","tags":["a"],
        "variants":[{"id":11,"title":"S","price":"10.00","available":true},
                    {"id":12,"title":"M","price":"11.00","available":false}],
        "images":[{"id":4,"src":"https://i.example/1.jpg"}]}]}"#;
    let (found, pipe) = found(list);
    assert_eq!((found.format, pipe.source.format), ("shopify-json", Format::ShopifyJson));
    assert!(found.is_paged && !found.is_whole && found.set_key.is_empty(), "{:?}", found.key);
    assert!(found.to_toml("https://shop.kr/products.json").contains("page after page"));
    // In a file there is all of it.
    let file = Location::File("list.json".into());
    let found = detect(Box::new(Cursor::new(list)), &Hints::default(), &file).unwrap();
    assert!(!found.is_paged && found.is_whole && found.format == "shopify-json");
    let address = Location::Http(Secret::new("https://shop.kr/products.json?limit=5"));
    let none = Box::new(Cursor::new(r#"{"products":[]}"#));
    let error = detect(none, &Hints::default(), &address).unwrap_err();
    assert!(error.to_string().contains("no record"), "{error}");
}

#[test]
fn bestbuy() {
    let Some(categories) = real("bestbuy/categories.json") else { return };
    assert_eq!((categories.format, field_of(&categories, "id")), ("json", Some("id")));
    assert_eq!(field_of(&categories, "title"), Some("name"));
    let Some(stores) = real("bestbuy/stores.json.gz") else { return };
    assert_eq!((stores.compression.as_slice(), stores.format), (&["gzip"][..], "json"));
    assert_eq!(field_of(&stores, "id"), Some("id"));
}

#[test]
fn csv_spectrum() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/csv-spectrum/csvs");
    let Ok(files) = fs::read_dir(&folder) else {
        eprintln!("SKIPPED: no {}", folder.display());
        return;
    };
    for file in files {
        let name = file.unwrap().file_name().into_string().unwrap();
        let Some(found) = real(&format!("csv-spectrum/csvs/{name}")) else { return };
        assert_eq!((found.format, found.delimiter.as_deref()), ("csv", Some(",")), "{name}");
        assert_eq!(found.quoting, Some("doubled"), "{name}");
    }
}

#[test]
fn a_list_of_changes_says_so() {
    let line = |id: u32, rest: &str| {
        format!(
            "{id}|Great Expectations|A{id}|books|Novels|https://click.example/{id}|https://i.example/{id}||Short|Long|0|\
             amount|19.95|29.95|01/01/2026||Penguin|4.00|Dickens|CU1|Pub|UPS|IN|788334995|10|USD||https://ad.example/p|\
             {rest}\n"
        )
    };
    let file = |ends: [&str; 3]| {
        let lines: String = (1..).zip(ends).map(|(id, end)| line(id, end)).collect();
        format!("HDR|1237|Shop.example|09/03/2026 00:02:32\n{lines}TRL|3\n")
    };
    let (changes, pipe) = found(file(["hardcover|Dickens|U", "D", "I"]));
    assert_eq!((changes.format, changes.changes_only), ("rakuten", true));
    assert!(pipe.source.changes_only && changes.key.lost == 0, "{:?}", changes.warnings);
    for ends in [["hardcover|Dickens", "", "paper|D"], ["U", "U", "x"]] {
        let (whole, pipe) = found(file(ends));
        assert!(!whole.changes_only && !pipe.source.changes_only, "{ends:?}");
    }
}

#[test]
fn the_products_of_a_document_that_is_larger_than_a_sample() {
    let product =
        |id: u32| format!(r#"{{"sku":"p{id}","name":"Enamel mug {id}","price":"12.50 EUR"}}"#);
    let products: Vec<String> = (0..100_000).map(product).collect();
    for before in ["", r#""facets":[{"name":"colour"}],"#] {
        let text = format!("{{{before}\"data\":{{\"items\":[{}]}}}}", products.join(","));
        assert!(text.len() > 5 << 20);
        let (found, pipe) = found(text);
        assert!(!found.is_whole && found.records > 1_000, "{}", found.records);
        assert_eq!((found.format, pipe.source.items.as_deref()), ("json", Some("/data/items")));
        assert!(lines(&found).contains(&("title", "\"name\"")), "{:?}", found.map);
    }
}
