//! Whole feeds on small literals, one format after the other.

mod damage;
mod feedparser;
mod groups;
mod mended;
mod presets;
mod prices;
mod recovered;

use crate::testing::{Whole, field, read, read_error, source};
use crate::{Change, Completeness, FeedError, FeedReader, Hints, RefusalReason, Settings, Step};
use feedfleet_config::{Format, From as MapFrom, Lookup, MapEntry, Target, Transform};
use feedfleet_model::{ColumnId, Row, columns};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

const GOOGLE_XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE rss [<!ENTITY lol "lollollol">]>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0">
<channel>
<title>A shop</title><link>https://shop.example/</link>
<item>
  <title>Plain</title><g:id> a-1 </g:id><g:title>Caf&eacute; &amp; bar &lol;</g:title>
  <link>https://shop.example/a 1</link>
  <description><![CDATA[<b>Good</b> & cheap]]></description>
  <g:price>1,299.00 USD</g:price><g:availability>In Stock</g:availability>
  <g:additional_image_link>https://i.example/1.jpg</g:additional_image_link>
  <g:additional_image_link>https://i.example/2.jpg</g:additional_image_link>
  <g:shipping><g:country>US</g:country><g:price>9.99 USD</g:price></g:shipping>
  <g:shipping><g:country>CA</g:country><g:service>Fast</g:service><g:price>20 USD</g:price></g:shipping>
  <g:product_type>Clothes &gt; Coats</g:product_type>
  <g:season lang="en">winter</g:season>
</item>
<item><g:id>a-2<g:price>5 USD</g:price></item>
<item><g:id>a-3</g:id><g:price>NaN</g:price></item>
<item><g:title>no id</g:title><g:price>5 USD</g:price></item>
<item><g:id>a-5</g:id>
<item><g:id>a-6</g:id><g:price>7 EUR</g:price></item>
</channel>
</rss>
"#;

fn decimal(row: &Row, column: ColumnId) -> Option<i64> {
    match row.get(column) {
        feedfleet_model::ValueRef::Integer(value) => Some(value),
        _ => None,
    }
}

fn ids(whole: &Whole) -> Vec<&str> {
    whole.rows.iter().map(|(_, row)| row.id()).collect()
}

fn reasons(whole: &Whole) -> Vec<&'static str> {
    whole.refused.iter().map(|refusal| refusal.reason.name()).collect()
}

fn extras(row: &Row) -> Vec<(&str, &str)> {
    row.extras().collect()
}

fn entry(target: Target, from: MapFrom, transform: Transform) -> MapEntry {
    MapEntry { target, from, transform, lookup: None, line: 1 }
}

#[test]
fn google_xml() {
    let mut whole = read(&source(Format::GoogleXml), &[], GOOGLE_XML);
    // The one that lacks nothing but its end is there, the one that lacks the end of its id is not.
    assert_eq!(ids(&whole), ["a-1", "a-5", "a-6"]);
    assert_eq!(reasons(&whole), ["malformed-record", "bad-price", "missing-id"]);
    assert_eq!(whole.refused[1].value.as_deref(), Some("NaN"));
    assert_eq!(whole.completeness, Completeness::Proven("closing </rss>".to_owned()));
    let row = &whole.rows[0].1;
    assert_eq!(row.text(columns::TITLE), Some("Café & bar &lol;"));
    assert_eq!(row.text(columns::LINK), Some("https://shop.example/a%201"));
    assert_eq!(row.text(columns::DESCRIPTION), Some("<b>Good</b> & cheap"));
    assert_eq!(decimal(row, columns::PRICE), Some(12_990_000));
    assert_eq!(row.text(columns::PRICE_CURRENCY), Some("USD"));
    assert_eq!(row.text(columns::AVAILABILITY), Some("in_stock"));
    assert_eq!(row.list(columns::ADDITIONAL_IMAGE_LINKS).count(), 2);
    let shipping: Vec<_> = row.list(columns::SHIPPING).collect();
    assert_eq!(shipping, ["US:::9.99 USD", "CA::Fast:20 USD"]);
    assert_eq!(row.text(columns::CATEGORY_2), Some("Coats"));
    assert_eq!(row.text(columns::PRODUCT_TYPE), Some("Clothes > Coats"));
    let expected = [("season", "winter"), ("season/@lang", "en"), ("title", "Plain")];
    assert_eq!(extras(row), expected);
    let stats = whole.reader.stats();
    assert_eq!((stats.records, stats.refused, stats.unknown_references), (6, 3, 1));
    let warnings = whole.reader.take_warnings();
    let told: Vec<_> = warnings.iter().map(|w| (w.reason.name(), w.count)).collect();
    assert_eq!(told, [("mended-markup", 1), ("unknown-reference", 1), ("link-with-spaces", 1)]);
    let lol = &warnings[1].samples[0];
    assert_eq!((lol.field.as_deref(), lol.value.as_deref()), (Some("title"), Some("lol")));
    assert_eq!(lol.position.record, 1);
}

#[test]
fn google_atom() {
    let atom = r#"<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0">
        <entry><id>tag:1</id><g:id>1</g:id><title>A</title><summary>Short</summary>
        <link rel="enclosure" href="https://shop.example/x.pdf"/>
        <link href="https://shop.example/1?a=1&amp;b=2"/></entry></feed>"#;
    let whole = read(&source(Format::GoogleXml), &[], atom);
    let row = &whole.rows[0].1;
    assert_eq!((row.id(), row.text(columns::DESCRIPTION)), ("1", Some("Short")));
    assert_eq!(row.text(columns::LINK), Some("https://shop.example/1?a=1&b=2"));
    assert!(extras(row).contains(&("link/@rel", "enclosure")));
    assert!(matches!(whole.completeness, Completeness::Proven(_)));
}

#[test]
fn xml_by_hand() {
    let mut xml = source(Format::Xml);
    xml.item = Some("product".to_owned());
    let map = [field(columns::ID, "@sku"), field(columns::TITLE, "x:name/x:de")];
    let text = r#"<products><products>1</products><product sku="1" xmlns="urn:x"><name><de>Eins</de>
        <en>One</en></name><related><product sku="9"/></related></product><product sku='2'/>
        <product sku="3"><name><de>Drei</name></product></products> trailing"#;
    let whole = read(&xml, &map, text);
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["1", "2", "3"], vec![]));
    let row = &whole.rows[0].1;
    assert_eq!(row.text(columns::TITLE), Some("Eins"));
    assert_eq!(extras(row), [("name/en", "One"), ("related/product/@sku", "9")]);
    assert_eq!(whole.rows[2].1.text(columns::TITLE), Some("Drei"));
    assert_eq!(whole.completeness, Completeness::Proven("closing </products>".to_owned()));
}

#[test]
fn google_tsv() {
    let text = "ID [id]\tTitle\timage link\tprice\tadult\tmine\tadditional image link\n\
        1\t12\" pan\thttps://i.example/1.jpg\t15,50 EUR\tno\tx\thttps://i.example/a,b.jpg,http://i.example/c d.jpg\n\
        2\t\"two\tcells\"\tftp://i.example/2.jpg\t-3 EUR\tmaybe\t\t\n\
        3\t\t//i.example/3.jpg\t3\tmaybe\t\t\n";
    let mut tsv = source(Format::GoogleTsv);
    tsv.currency = Some("CHF".to_owned());
    let mut whole = read(&tsv, &[], text);
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["1", "3"], vec!["bad-price"]));
    let row = &whole.rows[0].1;
    assert_eq!(row.text(columns::TITLE), Some("12\" pan"));
    assert_eq!(decimal(row, columns::PRICE), Some(155_000));
    assert_eq!(row.get(columns::ADULT), feedfleet_model::ValueRef::Boolean(false));
    let images: Vec<_> = row.image_links().collect();
    let expected =
        ["https://i.example/1.jpg", "https://i.example/a,b.jpg", "http://i.example/c%20d.jpg"];
    assert_eq!(images, expected);
    assert_eq!(extras(row), [("mine", "x")]);
    let row = &whole.rows[1].1;
    assert_eq!(row.text(columns::PRICE_CURRENCY), Some("CHF"));
    assert_eq!((row.text(columns::IMAGE_LINK), row.text(columns::TITLE)), (None, None));
    let warnings = whole.reader.take_warnings();
    let told: Vec<_> = warnings.iter().map(|w| (w.reason.name(), w.count)).collect();
    let expected =
        [("bad-boolean", 1), ("bad-link", 1), ("missing-field", 3), ("link-with-spaces", 1)];
    assert_eq!(told, expected);
    assert_eq!(warnings[1].samples[0].value.as_deref(), Some("//i.example/3.jpg"));
    assert!(matches!(whole.completeness, Completeness::Unproven(_)));
}

#[test]
fn pictures_with_long_addresses_are_kept_and_told_of() {
    let address = |bytes: usize| format!("https://i.example/{}", "x".repeat(bytes - 18));
    let (longest, long) = (address(4096), address(4097));
    let spaced = format!("{} y", address(4093));
    let text = format!(
        "id\tlink\timage link\tadditional image link\n\
         1\t{long}\t{longest}\t{long},{longest}\n\
         2\t\t{long}\t\n\
         3\t\t{spaced}\t\n"
    );
    let mut whole = read(&source(Format::GoogleTsv), &[], text);
    let links: Vec<_> = whole.rows[0].1.image_links().collect();
    assert_eq!(links, [&longest, &long, &longest]);
    assert_eq!(whole.rows[1].1.text(columns::IMAGE_LINK), Some(long.as_str()));
    let warnings = whole.reader.take_warnings();
    let told = warnings.iter().find(|warning| warning.reason == RefusalReason::LongLink).unwrap();
    let fields: Vec<_> = told.samples.iter().map(|s| s.field.as_deref().unwrap()).collect();
    assert_eq!(told.count, 3);
    assert_eq!(fields, ["additional_image_links", "image_link", "image_link"]);
    assert_eq!(told.samples[1].position.record, 2);
}

#[test]
fn naver_full() {
    let text = "id\ttitle\tprice_pc\tlink\timage_link\tcategory_name1\tcategory_name2\tshipping\tsearch_tag\timport_flag\tbarcode\r\n\
        p1\t겨울 코트 \"여성\"\t50007257.0\thttps://s.example/1\thttps://i.example/1\t패션의류\t코트\t-1\t코트|겨울||여성\tY\t8801234567890\r\n\
        p2\t가방\t12,000\thttps://s.example/2\thttps://i.example/2\t패션잡화\t\t2500\t\tN\t";
    let (legacy, _, _) = encoding_rs::EUC_KR.encode(text);
    let mut naver = source(Format::NaverEp);
    naver.encoding = Some("utf-8".to_owned());
    let whole = read(&naver, &[], legacy.into_owned());
    assert_eq!(ids(&whole), ["p1", "p2"]);
    let row = &whole.rows[0].1;
    assert_eq!(row.text(columns::TITLE), Some("겨울 코트 \"여성\""));
    assert_eq!(decimal(row, columns::PRICE), Some(500_072_570_000));
    assert_eq!(row.text(columns::PRICE_CURRENCY), Some("KRW"));
    assert_eq!(decimal(row, columns::SHIPPING_COST), Some(-10_000));
    assert_eq!(row.list(columns::SEARCH_TAG).collect::<Vec<_>>(), ["코트", "겨울", "여성"]);
    assert_eq!(row.text(columns::GTIN), Some("8801234567890"));
    assert_eq!(row.text(columns::CATEGORY_2), Some("코트"));
    assert_eq!(decimal(&whole.rows[1].1, columns::SHIPPING_COST), Some(25_000_000));
    let stats = whole.reader.stats();
    assert_eq!((stats.encoding, stats.wrong_encoding_label), ("EUC-KR", Some("UTF-8")));
}

#[test]
fn naver_summary() {
    let text = "id\ttitle\tprice_pc\tclass\tupdate_time\n\
        1\ta\t100\tI\t2026-01-02 03:04:05\n2\tb\tno price\tD\t\n3\tc\t100\tX\t\n4\td\t100\tu\t\n";
    let whole = read(&source(Format::NaverEpSummary), &[], text);
    let changes: Vec<_> = whole.rows.iter().map(|(change, row)| (*change, row.id())).collect();
    let expected = [(Change::Upsert, "1"), (Change::Delete, "2"), (Change::Upsert, "4")];
    assert_eq!(changes, expected);
    assert_eq!(reasons(&whole), ["bad-class"]);
    // 2026-01-01 18:04:05 UTC.
    let time = decimal(&whole.rows[0].1, columns::SOURCE_UPDATED_AT);
    assert_eq!(time, Some(1_767_290_645_000_000));
}

#[test]
fn csv_with_a_map() {
    let mut csv = source(Format::Csv);
    csv.delimiter = Some(b';');
    csv.key = vec!["sku".to_owned(), "size".to_owned()];
    let cents =
        Transform::Money { currency: Some("EUR".to_owned()), decimal: None, minor_units: 2 };
    let from = |name: &str| MapFrom::Field(name.to_owned());
    let lookup = Lookup {
        values: BTreeMap::from([("J".to_owned(), "in_stock".to_owned())]),
        default: Some("out_of_stock".to_owned()),
    };
    let mut stock = field(columns::AVAILABILITY, "stock");
    stock.lookup = Some(lookup);
    let map = [
        entry(
            Target::Column(columns::TITLE),
            MapFrom::Fields {
                names: vec!["brand".to_owned(), "name".to_owned()],
                join: " ".to_owned(),
            },
            Transform::ByColumn,
        ),
        entry(
            Target::Column(columns::DESCRIPTION),
            MapFrom::FirstOf(vec!["long".to_owned(), "name".to_owned()]),
            Transform::ByColumn,
        ),
        entry(Target::Column(columns::PRICE), from("cents"), cents),
        field(columns::PRICE_CURRENCY, "cur"),
        entry(
            Target::Column(columns::CONDITION),
            MapFrom::Constant("new".to_owned()),
            Transform::ByColumn,
        ),
        entry(Target::Category, from("cat"), Transform::Category { separator: "/".to_owned() }),
        entry(Target::Ignore, from("secret"), Transform::ByColumn),
        stock,
    ];
    let text = "sku;size;Brand;name;cents;cur;cat;secret;stock;long\n\
        1;M;Acme;Coat;1999;USD;A / B;s;J;\n1;;Acme;Coat;1999;;;;;\n2;L;;Hat;500;;;;N;A hat\n";
    let whole = read(&csv, &map, text);
    assert_eq!(ids(&whole), ["1:M", "2:L"]);
    assert_eq!(reasons(&whole), ["missing-id"]);
    assert_eq!(whole.refused[0].field.as_deref(), Some("size"));
    let row = &whole.rows[0].1;
    assert_eq!(row.text(columns::TITLE), Some("Acme Coat"));
    assert_eq!(row.text(columns::DESCRIPTION), Some("Coat"));
    assert_eq!(decimal(row, columns::PRICE), Some(199_900));
    assert_eq!(row.text(columns::PRICE_CURRENCY), Some("USD"));
    assert_eq!(row.text(columns::CATEGORY_2), Some("B"));
    assert_eq!(row.text(columns::CONDITION), Some("new"));
    assert_eq!(row.text(columns::AVAILABILITY), Some("in_stock"));
    assert!(extras(row).is_empty());
    let row = &whole.rows[1].1;
    assert_eq!(row.text(columns::PRICE_CURRENCY), Some("EUR"));
    assert_eq!(row.text(columns::AVAILABILITY), Some("out_of_stock"));
    // It lost to `long` in the description, but it is the title.
    assert!(extras(row).is_empty());
}

#[test]
fn csv_in_groups() {
    let mut csv = source(Format::Csv);
    csv.group = Some("Handle".to_owned());
    let map = [
        field(columns::ID, "Variant SKU"),
        field(columns::TITLE, "Title"),
        field(columns::ITEM_GROUP_ID, "Handle"),
    ];
    let text = "Handle,Title,Variant SKU,Image Src\n\
        coat,Coat,c-1,https://i.example/1\ncoat,,c-2,\ncoat,,,https://i.example/2\nhat,Hat,h-1,\n";
    let whole = read(&csv, &map, text);
    assert_eq!(ids(&whole), ["c-1", "c-2", "h-1"]);
    assert_eq!(whole.rows[1].1.text(columns::TITLE), Some("Coat"));
    assert_eq!(reasons(&whole), ["missing-id"]);
}

#[test]
fn a_row_of_a_group_has_its_own_values_once() {
    let mut csv = source(Format::Csv);
    csv.group = Some("Handle".to_owned());
    let map = [field(columns::ID, "SKU"), field(columns::TITLE, "Title")];
    let text = "Title,Handle,SKU,Note\nCoat,coat,c-1,n1\nCoat red,coat,c-2,\n";
    let whole = read(&csv, &map, text);
    assert_eq!(whole.rows[1].1.text(columns::TITLE), Some("Coat red"));
    let of_both = [("Handle", "coat"), ("Note", "n1")];
    for (_, row) in &whole.rows {
        assert_eq!(row.extras().collect::<Vec<_>>(), of_both);
    }
}

#[test]
fn an_empty_cell_leaves_what_another_field_says() {
    let category = MapEntry { target: Target::Category, ..field(columns::TITLE, "type") };
    let map = [field(columns::ID, "id"), category, field(columns::CATEGORY_1, "c1")];
    let whole = read(&source(Format::Csv), &map, "id,type,c1\n1,A > B,\n2,A > B,C\n");
    let categories = whole.rows.iter().map(|(_, row)| row.text(columns::CATEGORY_1));
    assert_eq!(categories.collect::<Vec<_>>(), [Some("A"), Some("C")]);
}

/// The text comes in chunks, and white space before a feed may move its beginning to the end of one.
#[test]
fn what_a_feed_is_does_not_depend_on_the_white_space_before_it() {
    let legacy = source(Format::NaverEpLegacy);
    let text =
        "Words of the shop\n<<<begin>>>\n<<<mapid>>>1\n<<<pname>>>A\n<<<price>>>5\n<<<ftend>>>\n";
    for shown in [0, 1, 12, 25] {
        let blank = " ".repeat(256 * 1024 - shown - 1);
        let whole = read(&legacy, &[], format!("{blank}\n{text}"));
        assert_eq!(ids(&whole), ["1"], "{shown}");
    }
}

#[test]
fn ids_too_long_are_refused() {
    let long = "x".repeat(256);
    let text = format!("id\n{long}\n{}\n", &long[1..]);
    let whole = read(&source(Format::Csv), &[field(columns::ID, "id")], text);
    assert_eq!((whole.rows.len(), reasons(&whole)), (1, vec!["id-too-long"]));
    assert_eq!(whole.refused[0].value.as_ref().map(String::len), Some(200));
}

const JSON: &str = r#"{"meta": {"pages": [1, 2], "none": []}, "data": {"products": [
    {"id": 7, "title": "A \"b\"", "price": {"amount": "12.50", "currency": "EUR"},
     "images": ["https://i.example/1", "https://i.example/2"], "variants": [{"sku": "x"}]},
    {"id": 8, "price": {"amount": 3}}, 9, {"id": }, {"id": "10"}
  ]}, "total": 3}"#;

fn json_map() -> [MapEntry; 4] {
    [
        field(columns::ID, "id"),
        field(columns::PRICE, "price.amount"),
        field(columns::IMAGE_LINK, "images[0]"),
        field(columns::ADDITIONAL_IMAGE_LINKS, "images"),
    ]
}

#[test]
fn json_documents() {
    let mut json = source(Format::Json);
    for pointer in [None, Some("/data/products".to_owned())] {
        json.items = pointer;
        let whole = read(&json, &json_map(), JSON);
        assert_eq!(ids(&whole), ["7", "8", "10"]);
        assert_eq!(reasons(&whole), ["malformed-record"; 2]);
        assert!(matches!(whole.completeness, Completeness::Proven(_)));
        let row = &whole.rows[0].1;
        assert_eq!(decimal(row, columns::PRICE), Some(125_000));
        assert_eq!(row.text(columns::IMAGE_LINK), Some("https://i.example/1"));
        assert_eq!(row.list(columns::ADDITIONAL_IMAGE_LINKS).count(), 2);
        let expected = [("price.currency", "EUR"), ("title", "A \"b\""), ("variants[0].sku", "x")];
        assert_eq!(extras(row), expected);
    }
    json.items = Some("/products".to_owned());
    let error = read_error(&json, &json_map(), JSON);
    assert!(matches!(error, FeedError::WrongFields { .. }), "{error}");
    json.items = None;
    let two = r#"{"a": [{"id": 1}], "b": [{"id": 2}]}"#;
    let error = read_error(&json, &json_map(), two);
    assert!(error.to_string().contains("/a and /b"), "{error}");
    let whole = read(&json, &json_map(), "[{\"id\": 1}, [3], {\"id\": 2}]");
    assert_eq!(ids(&whole), ["1", "2"]);
    assert_eq!(whole.refused[0].value.as_deref(), Some("[3]"));
}

#[test]
fn json_lines() {
    let text = "{\"id\": 1, \"price\": {\"amount\": 2}}\n\n[1]\n{\"id\": 2}\n{\"id\": 3";
    let whole = read(&source(Format::JsonLines), &json_map(), text);
    assert_eq!(ids(&whole), ["1", "2"]);
    assert_eq!(reasons(&whole), ["malformed-record"; 2]);
    assert_eq!(whole.refused[0].position.line, Some(3));
    let shown: Vec<_> = whole.refused.iter().map(|refusal| refusal.value.as_deref()).collect();
    assert_eq!(shown, [Some("[1]"), Some("{\"id\": 3")]);
    assert!(matches!(whole.completeness, Completeness::Truncated(_)));
}

#[test]
fn a_json_line_that_is_too_long_shows_its_beginning() {
    let mut lines = source(Format::JsonLines);
    lines.limits.max_record_bytes = 200;
    let long = format!("{{\"id\": 1, \"title\": \"{}\"}}", "x".repeat(150_000));
    let whole = read(&lines, &json_map(), format!("{long}\n{{\"id\": 2}}\n"));
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["2"], vec!["record-too-large"]));
    assert_eq!(whole.refused[0].value.as_deref(), Some(&long[..200]));
}

#[test]
fn refusals_say_where() {
    let text = "id,price\n1,1\n2,x\n";
    let map = [field(columns::ID, "id"), field(columns::PRICE, "price")];
    let whole = read(&source(Format::Csv), &map, text);
    let refusal = &whole.refused[0];
    assert_eq!(refusal.reason, RefusalReason::BadPrice);
    assert_eq!((refusal.field.as_deref(), refusal.value.as_deref()), (Some("price"), Some("x")));
    let at = refusal.position;
    assert_eq!((at.record, at.line, at.byte), (2, Some(3), Some(13)));
}

/// Reads a feed that was read before: the ids of records that had to be mapped, and how many were known.
/// What is mapped is known from then on.
fn read_again(format: Format, known: &mut BTreeSet<u128>, text: &str) -> (Vec<String>, usize) {
    let mut source = source(format);
    source.item = Some("item".to_owned());
    let map = [field(columns::ID, "id"), field(columns::STOCK_QUANTITY, "stock")];
    let settings = Settings::from_source(&source, &map).unwrap();
    let input = Box::new(Cursor::new(text.as_bytes().to_vec()));
    let mut reader = FeedReader::open(input, &settings, Hints::default()).unwrap();
    let (mut mapped, mut passed, mut row) = (Vec::new(), 0, Row::new());
    let before = known.clone();
    loop {
        match reader.next_unless(&mut row, &mut |hash| before.contains(&hash)).unwrap() {
            Step::Row(_) => {
                mapped.push(row.id().to_owned());
                known.extend(row.source_hash());
            }
            Step::Known => passed += 1,
            Step::Refused(refusal) => panic!("{refusal:?}"),
            Step::End => return (mapped, passed),
        }
    }
}

#[test]
fn records_that_are_known_are_not_mapped_again() {
    let nights = [
        (Format::Csv, ["id,stock\n1,5\n2,6\n3,x\n", "id,stock\r\n2,6\r\n1,9\r\n3,x\r\n"]),
        (
            Format::JsonLines,
            [
                "{\"id\":1,\"stock\":5}\n{\"id\":2,\"stock\":6}\n{\"id\":3,\"stock\":\"x\"}\n",
                "{\"id\":2,\"stock\":6}\n{\"id\":1,\"stock\":9}\n{\"id\":3,\"stock\":\"x\"}\n",
            ],
        ),
        (
            Format::Xml,
            [
                "<r><item><id>1</id><stock>5</stock></item><item><id>2</id><stock>6</stock></item>\
                 <item><id>3</id><stock>x</stock></item></r>",
                "<r> <item><id>2</id><stock>6</stock></item> <item><id>1</id><stock>9</stock></item>\
                 <item><id>3</id><stock>x</stock></item></r>",
            ],
        ),
    ];
    for (format, [first, second]) in nights {
        let mut known = BTreeSet::new();
        let all = ["1", "2", "3"].map(str::to_owned).to_vec();
        assert_eq!(read_again(format, &mut known, first), (all, 0), "{format:?}");
        assert_eq!(
            known.len(),
            2,
            "a record with a field that can't be read is mapped every night"
        );
        let mapped = ["1", "3"].map(str::to_owned).to_vec();
        assert_eq!(read_again(format, &mut known, second), (mapped, 1), "{format:?}");
    }
    let mut known = BTreeSet::new();
    read_again(Format::Csv, &mut known, "id,stock\n1,5\n");
    let (mapped, passed) = read_again(Format::Csv, &mut known, "stock,id\n1,5\n");
    assert_eq!(
        (mapped.len(), passed),
        (1, 0),
        "under another header the same text means something else"
    );
}
