//! A small feed of each format that is known by name, as its documentation shows them, read with nothing but
//! the name. What has products within records is in `groups.rs`.

use super::{decimal, extras, ids, reasons};
use crate::testing::{Whole, read, read_error, source};
use crate::{Change, Completeness, FeedError, RefusalReason};
use feedfleet_config::Format;
use feedfleet_model::{Row, columns};

fn read_by_name(format: Format, text: &str) -> Whole {
    read(&source(format), &[], text)
}

#[track_caller]
fn assert_no_warnings(whole: &mut Whole) {
    let warnings = whole.reader.take_warnings();
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn google_csv_with_semicolons() {
    let text = "id;title;description;link;image link;availability;price;additional image link\n\
        1;\"A; B\";Good;https://s.example/1;https://i.example/1;in_stock;15,50 EUR;\
        https://i.example/2,https://i.example/3\n";
    let mut whole = read_by_name(Format::GoogleCsv, text);
    assert_no_warnings(&mut whole);
    let row = &whole.rows[0].1;
    assert_eq!((row.id(), row.text(columns::TITLE)), ("1", Some("A; B")));
    assert_eq!(decimal(row, columns::PRICE), Some(155_000));
    assert_eq!(row.list(columns::ADDITIONAL_IMAGE_LINKS).count(), 2);
}

/// In text a list is one cell; in XML each element is an item, commas and all.
#[test]
fn google_lists_are_cut_in_text_only() {
    let text = "id\ttitle\tproduct_highlight\tproduct_detail\tcertification\n\
        1\tLamp\t\"\"\"Fast, light\"\",Strong\"\tGeneral:Type:Lamp,General:Dimmable:Yes\tEC:EPREL:1,EC:EPREL:2\n";
    let whole = read_by_name(Format::GoogleTsv, text);
    let list = |row: &feedfleet_model::Row, column| {
        row.list(column).map(str::to_owned).collect::<Vec<_>>()
    };
    let row = &whole.rows[0].1;
    assert_eq!(list(row, columns::PRODUCT_HIGHLIGHT), ["Fast, light", "Strong"]);
    let details = ["General:Type:Lamp", "General:Dimmable:Yes"];
    assert_eq!(list(row, columns::PRODUCT_DETAIL), details);
    assert_eq!(list(row, columns::CERTIFICATION), ["EC:EPREL:1", "EC:EPREL:2"]);
    let xml = "<rss><channel><item><id>1</id><product_highlight>Fast, light</product_highlight>\
        <product_highlight>Strong</product_highlight></item></channel></rss>";
    let whole = read_by_name(Format::GoogleXml, xml);
    let highlights = list(&whole.rows[0].1, columns::PRODUCT_HIGHLIGHT);
    assert_eq!(highlights, ["Fast, light", "Strong"]);
}

#[test]
fn naver_with_misspelt_names_and_words_of_its_own() {
    let text = "id\ttitle\tprice_pc\tlink\timgae_link\tcatagory_name1\tshipping\tgender\tage_group\tcondition\n\
        1\t코트\t1000\thttps://s.example/1\thttps://i.example/1\t의류\t0\t여성\t청소년\t신상품\n";
    let mut whole = read_by_name(Format::NaverEp, text);
    let row = &whole.rows[0].1;
    assert_eq!(row.text(columns::IMAGE_LINK), Some("https://i.example/1"));
    assert_eq!(row.text(columns::CATEGORY_1), Some("의류"));
    assert_eq!(row.text(columns::GENDER), Some("female"));
    assert_eq!(row.text(columns::AGE_GROUP), Some("adult"));
    assert_eq!(row.text(columns::CONDITION), Some("new"));
    assert!(extras(row).is_empty());
    let warnings = whole.reader.take_warnings();
    assert_eq!((warnings[0].reason.name(), warnings[0].count), ("missing-field", 2));
    let sample = &warnings[0].samples[1];
    let told = (sample.field.as_deref(), sample.value.as_deref());
    assert_eq!(told, (Some("category_name1"), Some("catagory_name1")));
}

#[test]
fn naver_between_commas() {
    let text = "id,title,price_pc,link,image_link,category_name1,shipping\n\
        1,\"코트, 겨울\",1000,https://s.example/1,https://i.example/1,의류,0\n";
    let mut naver = source(Format::NaverEp);
    naver.quoting = Some(feedfleet_config::Quoting::Off);
    assert_eq!(reasons(&read(&naver, &[], text)), ["malformed-record"]);
    // As one would, with nothing said; between tabs quotes are text.
    let tabs = text.replace("코트, 겨울", "코트").replace(',', "\t");
    let whole = read_by_name(Format::NaverEp, &tabs);
    assert_eq!(whole.rows[0].1.text(columns::TITLE), Some("\"코트\""));
    let whole = read_by_name(Format::NaverEp, text);
    let row = &whole.rows[0].1;
    assert_eq!((row.id(), row.text(columns::TITLE)), ("1", Some("코트, 겨울")));
    assert_eq!(decimal(row, columns::PRICE), Some(10_000_000));
}

const LEGACY: &str = "<<<tocnt>>>2\r\n<<<begin>>>\r\n<<<mapid>>>A1\r\n<<<pname>>>원목 의자\r\n\
    <<<price>>>129,000\r\n<<<mpric>>>119000\r\n<<<pgurl>>>http://s.example/1\r\n\
    <<<igurl>>>http://i.example/1\r\n<<<cate1>>>가구\r\n<<<cate2>>>의자\r\n<<<caid1>>>77\r\n\
    <<<brand>>>\r\n<<<event>>>무료배송\r\n둘째 줄\r\n<<<deliv>>>-1\r\n<<<revct>>>3\r\n\
    <<<utime>>>20260102030405\r\n<<<ftend>>>\r\n\r\n\
    <<<begin>>>\r\n<<<pid>>>A2\r\n<<<pname>>>컵\r\n<<<class>>>D\r\n<<<ftend>>>\r\n";

#[test]
fn naver_legacy() {
    let (legacy, _, unmappable) = encoding_rs::EUC_KR.encode(LEGACY);
    assert!(!unmappable);
    let whole = read(&source(Format::NaverEpLegacy), &[], legacy.into_owned());
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["A1", "A2"], vec![]));
    assert_eq!((whole.rows[0].0, whole.rows[1].0), (Change::Upsert, Change::Delete));
    assert_eq!(whole.reader.stats().encoding, "EUC-KR");
    let row = &whole.rows[0].1;
    assert_eq!(row.text(columns::TITLE), Some("원목 의자"));
    assert_eq!(decimal(row, columns::PRICE), Some(1_290_000_000));
    assert_eq!(row.text(columns::PRICE_CURRENCY), Some("KRW"));
    assert_eq!(decimal(row, columns::MOBILE_PRICE), Some(1_190_000_000));
    assert_eq!(decimal(row, columns::SHIPPING_COST), Some(-10_000));
    assert_eq!(row.text(columns::CATEGORY_2), Some("의자"));
    assert_eq!(row.text(columns::EVENT_WORDS), Some("무료배송\n둘째 줄"));
    assert_eq!(decimal(row, columns::REVIEW_COUNT), Some(3));
    assert_eq!(decimal(row, columns::SOURCE_UPDATED_AT), Some(1_767_290_645_000_000));
    assert_eq!(row.text(columns::BRAND), None);
    assert_eq!(extras(row), [("caid1", "77")]);
    assert!(matches!(whole.completeness, Completeness::Proven(_)), "{:?}", whole.completeness);
}

/// Whether tagged text is taken for whole, and the ids in it.
fn read_tagged(text: &str) -> (String, String) {
    let whole = read_by_name(Format::NaverEpLegacy, text);
    let verdict = match &whole.completeness {
        Completeness::Proven(_) => "proven",
        Completeness::Unproven(_) => "unproven",
        Completeness::Truncated(_) => "truncated",
    };
    (ids(&whole).join(" "), verdict.to_owned())
}

#[test]
fn naver_legacy_in_its_dialects() {
    let one = "<<<begin>>>\n<<<mapid>>>1\n<<<pname>>>a\n";
    let two = "<<<begin>>>\n<<<mapid>>>2\n<<<pname>>>b\n";
    let end = "<<<ftend>>>\n";
    for (text, expected) in [
        (format!("{one}{end}{two}{end}"), ("1 2", "unproven")),
        (format!("<<<tocnt>>>2\n{one}{end}{two}{end}"), ("1 2", "proven")),
        (format!("{one}{end}{two}{end}<<<tocnt>>>2"), ("1 2", "proven")),
        // One is missing: the text was cut between two products.
        (format!("<<<tocnt>>>3\n{one}{end}{two}{end}"), ("1 2", "truncated")),
        (format!("<<<tocnt>>>2\n{one}{end}{two}"), ("1", "truncated")),
        // `<<<end>>>` behind each product, `<<<ftend>>>` once.
        (format!("{one}<<<end>>>\n{two}<<<end>>>\n{end}"), ("1 2", "proven")),
        // Both behind each product: cut between two of them, it looks the same.
        (format!("{one}<<<end>>>\n{end}{two}<<<end>>>\n"), ("1 2", "unproven")),
        // Products without an end, and without a beginning.
        (format!("{one}{two}{end}"), ("1 2", "unproven")),
        (format!("{one}<<<mapid>>>2\n<<<pname>>>b\n{end}"), ("1 2", "unproven")),
        // Beginnings and ends without a product.
        (format!("<<<begin>>>\n{one}{end}<<<begin>>>\n{end}{two}{end}"), ("1 2", "unproven")),
    ] {
        let (ids, verdict) = read_tagged(&text);
        assert_eq!((ids.as_str(), verdict.as_str()), expected, "{text}");
    }
    let error = read_error(&source(Format::NaverEpLegacy), &[], "id\ttitle\n1\ta\n");
    assert!(matches!(error, FeedError::NotAFeed { .. }), "{error}");
}

#[test]
fn a_tagged_product_may_be_too_long() {
    let mut legacy = source(Format::NaverEpLegacy);
    legacy.limits.max_record_bytes = 200;
    let long = "x".repeat(150_000);
    let text = format!(
        "<<<begin>>>\n<<<mapid>>>1\n<<<pname>>>{long}\n<<<ftend>>>\n<<<begin>>>\n<<<mapid>>>2\n\
         <<<ftend>>>\n"
    );
    let whole = read(&legacy, &[], text);
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["2"], vec!["record-too-large"]));
    assert_eq!(whole.refused_ids, ["1"]);
}

#[test]
fn meta_csv_with_parts_as_json_and_as_columns() {
    let text = "id,title,description,availability,condition,price,link,image_link,image,\
        image[0].url,image[1].url,brand\n\
        1,A,Good,available for order,used_good,9.99 USD,https://s.example/1,,\
        \"[{\"\"url\"\":\"\"https://i.example/a\"\",\"\"tag\"\":[\"\"x\"\"]},{\"\"url\"\":\"\"https://i.example/b\"\"}]\",,,Acme\n\
        2,B,Good,in stock,new,5 USD,https://s.example/2,https://i.example/m,,https://i.example/c,https://i.example/d,Acme\n";
    let mut whole = read_by_name(Format::MetaCsv, text);
    assert_no_warnings(&mut whole);
    let row = &whole.rows[0].1;
    assert_eq!(row.text(columns::AVAILABILITY), Some("backorder"));
    assert_eq!(row.text(columns::CONDITION), Some("used"));
    assert_eq!(row.text(columns::IMAGE_LINK), Some("https://i.example/a"));
    let images: Vec<_> = row.list(columns::ADDITIONAL_IMAGE_LINKS).collect();
    assert_eq!(images, ["https://i.example/b"]);
    assert_eq!(extras(row), [("image[0].tag", "x")]);
    let row = &whole.rows[1].1;
    assert_eq!(row.text(columns::IMAGE_LINK), Some("https://i.example/m"));
    let images: Vec<_> = row.list(columns::ADDITIONAL_IMAGE_LINKS).collect();
    assert_eq!(images, ["https://i.example/c", "https://i.example/d"]);
    assert!(extras(row).is_empty());
}

#[test]
fn meta_says_what_its_header_lacks() {
    let mut whole = read_by_name(Format::MetaTsv, "id\ttitle\tprice\n1\tA\t5 USD\n");
    let warnings = whole.reader.take_warnings();
    assert_eq!((warnings[0].reason.name(), warnings[0].count), ("missing-field", 6));
    let samples = &warnings[0].samples;
    assert_eq!(samples[0].field.as_deref(), Some("description"));
    assert_eq!(ids(&whole), ["1"]);
}

#[test]
fn meta_xml() {
    let rss = r#"<?xml version="1.0"?><rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel>
        <item><g:id>1</g:id><g:title>A</g:title><g:availability>in stock</g:availability>
        <g:price>9.99 USD</g:price><g:image_link>https://i.example/a</g:image_link>
        <g:additional_image_link>https://i.example/b</g:additional_image_link>
        <g:additional_image_link>https://i.example/c,https://i.example/a</g:additional_image_link>
        </item></channel></rss>"#;
    let whole = read_by_name(Format::MetaXml, rss);
    let row = &whole.rows[0].1;
    assert_eq!(row.text(columns::AVAILABILITY), Some("in_stock"));
    let images: Vec<_> = row.list(columns::ADDITIONAL_IMAGE_LINKS).collect();
    assert_eq!(images, ["https://i.example/b", "https://i.example/c"]);
    assert!(matches!(whole.completeness, Completeness::Proven(_)));
}

#[test]
fn woocommerce() {
    let text = "ID,Type,SKU,\"GTIN, UPC, EAN, or ISBN\",Name,Published,Description,In stock?,Stock,\
        Sale price,Regular price,Categories,Tags,Images,Parent,Attribute 1 name,Attribute 1 value(s),Meta: x\n\
        10,\"simple, virtual\",c-1,4006381333931,Coat,1,Warm,1,5,80,100,\"Clothing > Coats, Sale\",\
        \"a, b\",\"https://i.example/1.jpg, https://i.example/2.jpg\",,Color,Blue,y\n\
        11,variation,c-2,,Coat - M,1,,backorder,parent,,90,,,,id:10,,,\n\
        12,simple,,,Draft,-1,,0,,,5,,,,,,,\n";
    let mut whole = read_by_name(Format::WooCommerceCsv, text);
    assert_no_warnings(&mut whole);
    assert_eq!(ids(&whole), ["10", "11", "12"]);
    assert_eq!(whole.rows[2].0, Change::Delete);
    let row = &whole.rows[0].1;
    assert_eq!(decimal(row, columns::PRICE), Some(1_000_000));
    assert_eq!(decimal(row, columns::SALE_PRICE), Some(800_000));
    assert_eq!(row.text(columns::AVAILABILITY), Some("in_stock"));
    assert_eq!(row.text(columns::CATEGORY_2), Some("Coats"));
    assert_eq!(row.text(columns::PRODUCT_TYPE), Some("Clothing > Coats"));
    assert_eq!(row.text(columns::IMAGE_LINK), Some("https://i.example/1.jpg"));
    let images: Vec<_> = row.list(columns::ADDITIONAL_IMAGE_LINKS).collect();
    assert_eq!(images, ["https://i.example/2.jpg"]);
    assert_eq!(row.list(columns::SEARCH_TAG).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(row.text(columns::GTIN), Some("4006381333931"));
    assert!(extras(row).contains(&("Meta: x", "y")));
    let row = &whole.rows[1].1;
    assert_eq!(row.text(columns::ITEM_GROUP_ID), Some("id:10"));
    assert_eq!(row.text(columns::AVAILABILITY), Some("backorder"));
    assert_eq!(decimal(row, columns::STOCK_QUANTITY), None);
}

#[test]
fn awin_between_bars() {
    let text = "aw_deep_link|product_name|aw_product_id|merchant_product_id|merchant_image_url|description|\
        merchant_category|search_price|rrp_price|currency|delivery_cost|brand_name|ean|in_stock|stock_quantity|\
        alternate_image|Fashion:size|custom_1\n\
        https://www.awin.example/p?1|\"A \"\"coat\"\" | long\"|77|c-1|https://i.example/1|Warm|Clothes > Coats|\
        99.90|120.00|GBP|4.50|Acme|4006381333931|1|5|https://i.example/2|M|x\n";
    let mut whole = read_by_name(Format::Awin, text);
    assert_no_warnings(&mut whole);
    let row = &whole.rows[0].1;
    assert_eq!((row.id(), row.text(columns::TITLE)), ("77", Some("A \"coat\" | long")));
    assert_eq!(decimal(row, columns::PRICE), Some(999_000));
    assert_eq!(decimal(row, columns::NORMAL_PRICE), Some(1_200_000));
    assert_eq!(decimal(row, columns::SHIPPING_COST), Some(45_000));
    for column in
        [columns::PRICE_CURRENCY, columns::NORMAL_PRICE_CURRENCY, columns::SHIPPING_COST_CURRENCY]
    {
        assert_eq!(row.text(column), Some("GBP"), "{}", column.column().name);
    }
    assert_eq!(row.text(columns::AVAILABILITY), Some("in_stock"));
    assert_eq!(row.text(columns::CATEGORY_2), Some("Coats"));
    assert_eq!(row.text(columns::SIZE), Some("M"));
    let images: Vec<_> = row.image_links().collect();
    assert_eq!(images, ["https://i.example/1", "https://i.example/2"]);
    assert_eq!(extras(row), [("custom_1", "x"), ("merchant_product_id", "c-1")]);
}

#[test]
fn a_currency_is_that_of_the_amounts_that_are_there() {
    let head =
        "aw_product_id|product_name|aw_deep_link|search_price|rrp_price|delivery_cost|currency\n";
    let link = "https://www.awin.example/p";
    let rows = [
        format!("1|Coat|{link}|9.90||0|GBP\n"),
        format!("2|Hat|{link}|9.90|12.00||GBP\n"),
        format!("3|Tie|{link}|9.90|||sterling\n"),
    ];
    let mut whole = read_by_name(Format::Awin, &format!("{head}{}", rows.concat()));
    let currencies = |row: &Row| {
        [columns::PRICE_CURRENCY, columns::NORMAL_PRICE_CURRENCY, columns::SHIPPING_COST_CURRENCY]
            .map(|column| row.text(column).map(str::to_owned))
    };
    let gbp = || Some("GBP".to_owned());
    let found: Vec<_> = whole.rows.iter().map(|(_, row)| currencies(row)).collect();
    assert_eq!(found, [[gbp(), None, gbp()], [gbp(), gbp(), None], [None, None, None]]);
    let warnings = whole.reader.take_warnings();
    let warnings: Vec<_> = warnings.iter().map(|of| (of.reason, of.count)).collect();
    assert_eq!(warnings, [(RefusalReason::BadCurrency, 1)]);
}

#[test]
fn cj_as_text_and_as_xml() {
    let text = "PROGRAM_NAME,ID,TITLE,DESCRIPTION,LINK,IMAGE_LINK,PRICE,SALE_PRICE\n\
        Acme,1,\"A, B\",Good,https://cj.example/1,https://i.example/1,15.00 USD,12.00 USD\n";
    let mut whole = read_by_name(Format::CjCsv, text);
    assert_no_warnings(&mut whole);
    let row = &whole.rows[0].1;
    assert_eq!((row.id(), row.text(columns::TITLE)), ("1", Some("A, B")));
    assert_eq!(decimal(row, columns::SALE_PRICE), Some(120_000));
    assert_eq!(extras(row), [("PROGRAM_NAME", "Acme")]);
    let xml =
        "<catalog><product><ID>1</ID><TITLE>A</TITLE><PRICE>15.00 USD</PRICE></product></catalog>";
    let whole = read_by_name(Format::CjXml, xml);
    let row = &whole.rows[0].1;
    assert_eq!((row.id(), decimal(row, columns::PRICE)), ("1", Some(150_000)));
}

/// A line of Rakuten's, with what stands behind the first 28 cells.
fn rakuten_line(id: u32, rest: &str) -> String {
    format!(
        "{id}|Great Expectations|A1|books|Classics~~Novels|https://click.example/{id}|https://i.example/1|\
         |Short|Long \"text\"|0|amount|19.95|29.95|01/01/2026||Penguin|4.00|Dickens~~Novel|CU1|Pub|UPS|IN|\
         788334995|10|USD||https://ad.example/p|{rest}\n"
    )
}

#[test]
fn rakuten() {
    let head = "HDR|1237|Shop.example|09/03/2026 00:02:32\r\n";
    let full = [head, &rakuten_line(1, "hardcover|Dickens"), &rakuten_line(2, ""), "TRL|2\n"];
    let mut whole = read_by_name(Format::Rakuten, &full.concat());
    assert_no_warnings(&mut whole);
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["1", "2"], vec![]));
    assert!(matches!(whole.completeness, Completeness::Proven(_)), "{:?}", whole.completeness);
    let row = &whole.rows[0].1;
    assert_eq!(decimal(row, columns::PRICE), Some(299_500));
    assert_eq!(decimal(row, columns::SALE_PRICE), Some(199_500));
    assert_eq!(row.text(columns::PRICE_CURRENCY), Some("USD"));
    assert_eq!(row.text(columns::DESCRIPTION), Some("Long \"text\""));
    assert_eq!(row.text(columns::AVAILABILITY), Some("in_stock"));
    assert_eq!(row.text(columns::CATEGORY_2), Some("Classics"));
    assert_eq!(row.list(columns::SEARCH_TAG).collect::<Vec<_>>(), ["Dickens", "Novel"]);
    assert!(extras(row).contains(&("attribute_1", "hardcover")));

    let cut = [head, &rakuten_line(1, ""), "TRL|2\n"].concat();
    let whole = read_by_name(Format::Rakuten, &cut);
    assert!(matches!(whole.completeness, Completeness::Truncated(_)));
    let open = [head, &rakuten_line(1, "")].concat();
    let whole = read_by_name(Format::Rakuten, &open);
    assert!(matches!(whole.completeness, Completeness::Truncated(_)));
    let error = read_error(&source(Format::Rakuten), &[], rakuten_line(1, ""));
    assert!(matches!(error, FeedError::NotAFeed { .. }), "{error}");
}

#[test]
fn rakutens_changes_are_in_the_last_cell() {
    let mut delta = source(Format::Rakuten);
    delta.changes_only = true;
    let text = [
        "HDR|1237|Shop.example|09/03/2026 00:02:32\n",
        &rakuten_line(1, "hardcover|Dickens|U"),
        &rakuten_line(2, "D"),
        "TRL|2\n",
    ];
    let whole = read(&delta, &[], text.concat());
    let changes: Vec<_> = whole.rows.iter().map(|(change, row)| (*change, row.id())).collect();
    assert_eq!(changes, [(Change::Upsert, "1"), (Change::Delete, "2")]);
    assert!(extras(&whole.rows[0].1).contains(&("attribute_2", "Dickens")));
}

#[test]
fn products_of_pages() {
    let text = r#"{"id": "c-1", "title": "Coat", "link": "https://s.example/1", "price": "24.99", "currency": "EUR",
        "availability": "in_stock", "image_link": "https://i.example/1", "product_type": "Clothes > Coats",
        "additional_image_links": "https://i.example/2\nhttps://i.example/3", "sku": "x"}"#;
    let lines = format!(
        "{}\n{{\"link\": \"https://s.example/2\", \"price\": 5}}\n",
        text.replace('\n', " ")
    );
    let whole = read_by_name(Format::SchemaOrg, &lines);
    assert_eq!(ids(&whole), ["c-1", "https://s.example/2"]);
    let row = &whole.rows[0].1;
    assert_eq!(decimal(row, columns::PRICE), Some(249_900));
    assert_eq!(row.text(columns::PRICE_CURRENCY), Some("EUR"));
    assert_eq!(row.list(columns::ADDITIONAL_IMAGE_LINKS).count(), 2);
    assert_eq!(row.text(columns::CATEGORY_1), Some("Clothes"));
}
