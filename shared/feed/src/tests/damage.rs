//! What is done to feeds on their way, by accident and on purpose.

use super::{GOOGLE_XML, JSON, extras, ids, json_map, reasons};
use crate::testing::{field, gzip, read, read_error, source, zip_archive};
use crate::{Completeness, FeedError, FeedReader, Hints, Settings, Step};
use feedfleet_config::{Format, MapEntry, Source};
use feedfleet_model::{Row, columns};
use std::io::Cursor;

#[test]
fn xml_that_attacks() {
    let google = source(Format::GoogleXml);
    let wrap = |item: &str| format!("<rss><channel>{item}<item><id>2</id></item></channel></rss>");
    let deep = format!("<item><id>1</id>{}</item>", "<a>".repeat(100_000));
    let whole = read(&google, &[], wrap(&deep));
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["2"], vec!["too-deep"]));
    let wide = format!("<item><id>1</id><a {}/></item>", "b='c' ".repeat(100_000));
    let whole = read(&google, &[], wrap(&wide));
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["2"], vec!["too-many-attributes"]));
    let long = format!("<item><id>1</id><title>{}</title></item>", "x".repeat(3 << 20));
    let whole = read(&google, &[], wrap(&long));
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["2"], vec!["record-too-large"]));
    let whole = read(&google, &[], wrap("<item><id>1</id><!oops></item>"));
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["2"], vec!["malformed-record"]));
}

#[test]
fn a_refused_record_names_its_product() {
    let csv = source(Format::Csv);
    let map = [field(columns::ID, "id")];
    let whole = read(&csv, &map, "id,title\n1,a\n2,b,c,d\n,x,y\n3,c\n");
    assert_eq!((ids(&whole), whole.refused.len()), (vec!["1", "3"], 2));
    assert_eq!(whole.refused_ids, ["2"]);
}

#[test]
fn what_is_no_feed() {
    let page = "<!DOCTYPE HTML><html><body>Down for maintenance</body></html>";
    for format in [Format::GoogleXml, Format::GoogleTsv, Format::NaverEp] {
        let error = read_error(&source(format), &[], page);
        assert!(matches!(&error, FeedError::NotAFeed { .. }), "{error}");
        let error = read_error(&source(format), &[], " \n");
        assert!(matches!(error, FeedError::NotAFeed { .. }), "{error}");
    }
    let error = read_error(&source(Format::GoogleXml), &[], "<error>no such feed</error>");
    assert!(matches!(error, FeedError::NotAFeed { .. }), "{error}");
    let error = read_error(&source(Format::NaverEp), &[], "sku\tname\n1\tx\n");
    assert!(error.to_string().contains("it has sku, name"), "{error}");
}

#[test]
fn only_text_that_was_not_cut_off_tells_of_its_last_line() {
    let (csv, map) = (source(Format::Csv), [field(columns::ID, "id")]);
    let last_line = |text: &str| read(&csv, &map, text).reader.stats().last_line_ends;
    assert_eq!(last_line("id,title\n1,a\n2,b\n"), Some(true));
    assert_eq!(last_line("id,title\n1,a\n2,b"), Some(false));
    assert_eq!(last_line("id,title\n1,a\n2"), None);
}

#[test]
fn compression_proves_what_csv_can_not() {
    let csv = source(Format::Csv);
    let map = [field(columns::ID, "id")];
    let lines: String = (0..5_000).map(|id| format!("{id},title {id}\n")).collect();
    let text = format!("id,title\n{lines}");
    let packed = gzip(text.as_bytes());
    let whole = read(&csv, &map, packed.clone());
    assert_eq!(whole.completeness, Completeness::Proven("gzip trailer".to_owned()));
    assert_eq!(whole.rows.len(), 5_000);
    let zip = zip_archive(&[("a.csv", text.as_bytes()), ("b.csv", b"id\n2\n")], false);
    let whole = read(&csv, &map, zip);
    assert!(matches!(&whole.completeness, Completeness::Unproven(why) if why.contains("b.csv")));
    for end in [packed.len() - 4, packed.len() / 2, packed.len() / 3] {
        let whole = read(&csv, &map, packed[..end].to_vec());
        assert!(matches!(whole.completeness, Completeness::Truncated(_)));
        // The half record at the cut is no record.
        for (_, row) in &whole.rows {
            assert_eq!(extras(row), [("title", format!("title {}", row.id()).as_str())]);
        }
    }
    let error = read_error(&csv, &map, packed[..8].to_vec());
    assert!(matches!(error, FeedError::Truncated { .. }), "{error}");
}

/// Reads what may be anything; gives the ids and the completeness, if it was read to its end.
fn survive(source: &Source, map: &[MapEntry], data: &[u8]) -> Option<(Vec<String>, Completeness)> {
    let settings = Settings::from_source(source, map).unwrap();
    let input = Box::new(Cursor::new(data.to_vec()));
    let mut reader = FeedReader::open(input, &settings, Hints::default()).ok()?;
    let (mut ids, mut row) = (Vec::new(), Row::new());
    loop {
        match reader.next(&mut row).ok()? {
            Step::Row(_) => ids.push(row.id().to_owned()),
            Step::Refused(_) => {}
            Step::Known => {}
            Step::End => return Some((ids, reader.completeness())),
        }
    }
}

#[test]
fn a_feed_cut_anywhere_is_never_proven() {
    let mut json = source(Format::Json);
    json.items = Some("/data/products".to_owned());
    let google = source(Format::GoogleXml);
    let cases: [(&Source, &[MapEntry], &str); 2] =
        [(&google, &[], GOOGLE_XML.trim_end()), (&json, &json_map(), JSON)];
    for (source, map, text) in cases {
        let (whole, _) = survive(source, map, text.as_bytes()).unwrap();
        for end in 0..text.len() {
            if let Some((ids, completeness)) = survive(source, map, &text.as_bytes()[..end]) {
                assert!(!matches!(completeness, Completeness::Proven(_)), "{end}");
                assert!(whole.starts_with(&ids), "{end}: {ids:?}");
            }
        }
        let packed = gzip(text.as_bytes());
        for end in 0..packed.len() - 8 {
            if let Some((ids, completeness)) = survive(source, map, &packed[..end]) {
                // Without the trailer, but the closing tag may have come through.
                let is_proven = matches!(completeness, Completeness::Proven(_));
                assert!(whole.starts_with(&ids), "{end}: {ids:?}");
                assert!(!is_proven || ids == whole, "{end}: {ids:?}");
            }
        }
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let csv = source(Format::Csv);
    let map = [field(columns::ID, "id"), field(columns::PRICE, "price")];
    let text = "id,price,\"a \"\"b\"\"\"\n1,\"1,5 €\",가\n2,3,\"x\ny\"\n";
    let google = source(Format::GoogleXml);
    for byte in [b'"', b'<', b'>', b'&', b'\'', b',', b'\n', b'{', 0, 0xff, 0xea] {
        for place in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[place] = byte;
            survive(&csv, &map, &bytes);
        }
        for place in (0..GOOGLE_XML.len()).step_by(3) {
            let mut bytes = GOOGLE_XML.as_bytes().to_vec();
            bytes[place] = byte;
            survive(&google, &[], &bytes);
        }
    }
}
