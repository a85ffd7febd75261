//! What partners send that is broken, and can be read all the same: it is mended, counted and shown.

use super::{decimal, extras, ids, read_again, reasons};
use crate::testing::{Whole, field, gzip, read, source, zip_archive};
use crate::{Completeness, Position, RefusalReason};
use feedfleet_config::{Format, Quoting};
use feedfleet_model::columns;
use std::collections::BTreeSet;

/// Reads CSV with the fields `id`, `title`, `link` and `gtin`.
fn read_csv(text: impl Into<Vec<u8>>) -> Whole {
    let map = [
        field(columns::ID, "id"),
        field(columns::TITLE, "title"),
        field(columns::LINK, "link"),
        field(columns::GTIN, "gtin"),
        field(columns::STOCK_QUANTITY, "stock"),
    ];
    read(&source(Format::Csv), &map, text)
}

/// What was told: reason, count, the first sample's position and value.
fn told(whole: &mut Whole) -> Vec<(RefusalReason, u64, Position, Option<String>)> {
    let one = |warning: crate::Warning| {
        let sample = warning.samples[0].clone();
        (warning.reason, warning.count, sample.position, sample.value)
    };
    whole.reader.take_warnings().into_iter().map(one).collect()
}

fn line(record: u64, line: u64, byte: u64) -> Position {
    Position { file: 0, record, line: Some(line), byte: Some(byte) }
}

#[test]
fn cells() {
    let text = "id,title,link,gtin,stock\n1,\"12\" pan\",https://a.example/a b,4006381333931.0,7.0\n2,\"x\"\n";
    let mut whole = read_csv(text);
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["1", "2"], vec![]));
    let row = &whole.rows[0].1;
    assert_eq!(row.text(columns::TITLE), Some("12\" pan"));
    assert_eq!(row.text(columns::LINK), Some("https://a.example/a%20b"));
    assert_eq!(row.text(columns::GTIN), Some("4006381333931"));
    assert_eq!(row.get(columns::STOCK_QUANTITY), feedfleet_model::ValueRef::Integer(7));
    let some = |text: &str| Some(text.to_owned());
    let first = line(1, 2, 25);
    let expected = [
        (RefusalReason::StrayQuote, 1, first, some("\"12\" pan\"")),
        (RefusalReason::ShortRecord, 1, line(2, 3, 79), some("2 of 5 cells")),
        (RefusalReason::LinkWithSpaces, 1, first, some("https://a.example/a b")),
        (RefusalReason::PointZero, 2, first, some("4006381333931.0")),
    ];
    assert_eq!(told(&mut whole), expected);
    // What was mended is told every night, so its record is mapped every night.
    assert!(whole.rows.iter().all(|(_, row)| row.source_hash().is_none()));
}

/// Nothing is mended here, but somebody may wonder where the other one went.
#[test]
fn a_name_that_the_header_has_twice() {
    let mut whole = read_csv("id,title,title,link,gtin,stock\n1,a,b,,,\n2,,b,,,\n");
    let titles: Vec<_> = whole.rows.iter().map(|(_, row)| row.text(columns::TITLE)).collect();
    assert_eq!(titles, [Some("a"), Some("b")]);
    assert_eq!(told(&mut whole), [(RefusalReason::RepeatedField, 1, Position::HEADER, None)]);
    let mut whole = read_csv("id,title,,,link,gtin,stock\n1,a,b,,,,\n");
    assert!(told(&mut whole).is_empty());
    // Where all values are taken, nothing is left out.
    let text = "id\ttitle\tadditional_image_link\tadditional_image_link\n1\ta\thttps://a.example/1\thttps://a.example/2\n";
    let mut whole = read(&source(Format::GoogleTsv), &[], text);
    assert!(reasons(&whole).is_empty());
    let told = told(&mut whole);
    assert!(told.iter().all(|(reason, ..)| *reason != RefusalReason::RepeatedField), "{told:?}");
}

/// A quote that is never closed costs its own line's cell a quote too many, and no record.
#[test]
fn a_quote_that_nobody_closed() {
    let text = "id,title,link,gtin,stock\n1,\"open,https://a.example/1,,3\n2,\"fine, x\",https://a.example/2,,4\n";
    let mut whole = read_csv(text);
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["1", "2"], vec![]));
    assert_eq!(whole.rows[0].1.text(columns::TITLE), Some("\"open"));
    assert_eq!(whole.rows[1].1.text(columns::TITLE), Some("fine, x"));
    let shown = Some("1,\"open,https://a.example/1,,3".to_owned());
    assert_eq!(told(&mut whole), [(RefusalReason::StrayQuote, 1, line(1, 2, 25), shown)]);
    assert!(whole.rows[0].1.source_hash().is_none() && whole.rows[1].1.source_hash().is_some());
}

/// Between tabs it costs nothing: its line has as many cells as the header.
#[test]
fn quotes_between_tabs_that_nobody_closed() {
    let map = [
        field(columns::ID, "id"),
        field(columns::TITLE, "title"),
        field(columns::DESCRIPTION, "note"),
    ];
    let head = "id\ttitle\tnote\tlink\n";
    let plain = "1\ta\tb\tc\n";
    let open = |id: u32| format!("{id}\t\"Big\" pan\t\"open\tc\n");
    let one = [head, plain, "2\ta\t\"open\tc\n", "3\ta\tb\tc\n"].concat();
    let many = [head, plain, &open(2), &open(3)].concat();
    for (text, count) in [(one, 1), (many, 4)] {
        let mut whole = read(&source(Format::Tsv), &map, text);
        assert_eq!((ids(&whole), reasons(&whole)), (vec!["1", "2", "3"], vec![]));
        assert!(matches!(whole.completeness, Completeness::Unproven(_)));
        assert_eq!(whole.rows[1].1.text(columns::DESCRIPTION), Some("\"open"));
        let told: Vec<_> = told(&mut whole).into_iter().map(|t| (t.0, t.1)).collect();
        assert_eq!(told, [(RefusalReason::StrayQuote, count)]);
    }
    // Half a line at the end, in quotes, is no text.
    let whole = read(&source(Format::Tsv), &map, [head, plain, "2\ta\t\"open\tc"].concat());
    assert!(matches!(whole.completeness, Completeness::Truncated(_)));
    // A text of two lines in the last cell.
    let text = format!("{head}{plain}2\ta\tb\t\"two\nlines\"\n");
    let whole = read(&source(Format::Tsv), &map, text);
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["1", "2"], vec![]));
}

/// Excel's own line is no header, and says what is between cells.
#[test]
fn a_first_line_that_names_the_delimiter() {
    for text in [
        "sep=;\nid;title;link\n1;a,b;\n",
        "\u{feff}sep=;\r\nid;title;link\r\n1;a,b;\r\n",
        "\"sep=;\"\nid;title;link\n1;a,b;\n",
    ] {
        let whole = read_csv(text);
        assert_eq!((ids(&whole), reasons(&whole)), (vec!["1"], vec![]), "{text:?}");
        assert_eq!(whole.rows[0].1.text(columns::TITLE), Some("a,b"));
    }
    let whole = read_csv("sep=;\nid;title\n1;a;b\n");
    let expected = Position { file: 0, record: 1, line: Some(3), byte: Some(15) };
    assert_eq!(whole.refused[0].position, expected);
    let files: &[(&str, &[u8])] =
        &[("a1.csv", b"sep=;\nid;title\n1;a\n"), ("a2.csv", b"sep=;\nid;title\n2;b\n")];
    assert_eq!(ids(&read_csv(zip_archive(files, false))), ["1", "2"]);
}

/// Presets have a point, but for amounts that can be read in one way only.
#[test]
fn amounts_with_another_mark() {
    let text = "id\ttitle\tprice\n1\ta\t1.201,01 EUR\n2\tb\t1.234.567 EUR\n3\tc\t1.201 EUR\n";
    let whole = read(&source(Format::GoogleTsv), &[], text);
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["3"], vec!["bad-price"; 2]));
    assert_eq!(decimal(&whole.rows[0].1, columns::PRICE), Some(12_010));
    for refused in &whole.refused {
        let message = &refused.message;
        assert!(message.contains("decimal = \",\" for price under [map]"), "{message}");
    }
}

#[test]
fn codes_that_spreadsheets_mark_as_text() {
    let mut whole = read_csv("id,title,link,gtin,stock\n'1,'2,,'4006381333931,\n2,b,,'A1,\n");
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["'1", "2"], vec![]));
    let row = &whole.rows[0].1;
    assert_eq!(row.text(columns::GTIN), Some("4006381333931"));
    // What is no code stays as it is.
    assert_eq!(row.text(columns::TITLE), Some("'2"));
    assert_eq!(whole.rows[1].1.text(columns::GTIN), Some("'A1"));
    let mark = (RefusalReason::TextMark, 1, line(1, 2, 25), Some("'4006381333931".to_owned()));
    assert_eq!(told(&mut whole), [mark]);
}

#[test]
fn characters() {
    let mut whole =
        read_csv(b"id,title\n1,a\0\x01b\n2,caf\xc3\xa9\xea \xc3\xa9\xc3\xa9\n".to_vec());
    assert_eq!(whole.rows[0].1.text(columns::TITLE), Some("ab"));
    let at = |byte| Position { byte: Some(byte), ..Position::default() };
    let told = told(&mut whole);
    let told: Vec<_> = told.into_iter().map(|(reason, count, at, _)| (reason, count, at)).collect();
    let missing = (RefusalReason::MissingField, 3, Position::HEADER);
    let expected = [
        missing,
        (RefusalReason::ControlCharacter, 2, at(12)),
        (RefusalReason::BrokenCharacter, 1, at(21)),
    ];
    assert_eq!(told, expected);
    // The text as a whole is told of without another look at its records.
    assert!(whole.rows[0].1.source_hash().is_some());
}

#[test]
fn a_line_of_the_mapping_without_its_field_is_told() {
    let map = [field(columns::COLOR, "nosuch"), field(columns::SIZE, "size")];
    let tsv = "id\ttitle\tsize\n1\ta\tM\n";
    let mut whole = read(&source(Format::GoogleTsv), &map, tsv);
    let warnings = whole.reader.take_warnings();
    let fields = warnings.iter().flat_map(|warning| &warning.samples);
    let fields: Vec<_> = fields.filter_map(|sample| sample.field.as_deref()).collect();
    assert_eq!(fields.iter().filter(|field| **field == "nosuch").count(), 1, "{fields:?}");
    assert!(!fields.contains(&"size") && whole.reader.absent_fields().is_empty(), "{fields:?}");
    assert_eq!(whole.reader.absent_names(), ["nosuch"]);
    // Without a header only the records can tell.
    let item = "<item><id>1</id><title>a</title><size>M</size></item>";
    let xml = format!("<rss><channel>{item}</channel></rss>");
    let whole = read(&source(Format::GoogleXml), &map, xml);
    let absent = whole.reader.absent_fields();
    let absent: Vec<_> = absent.iter().filter_map(|told| told.field.as_deref()).collect();
    assert_eq!(absent, ["nosuch"]);
    assert_eq!(whole.reader.absent_names(), ["nosuch"]);
}

/// What is taken out of a record is told every night, so it is mapped every night; others are known by their line.
#[test]
fn characters_in_escapes() {
    let two = "{\"id\":2,\"stock\":6}";
    let text = format!("{{\"id\":1,\"stock\":5,\"note\":\"a\\u0001b\"}}\n{two}\n");
    let mut known = BTreeSet::new();
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(read_again(Format::JsonLines, &mut known, &text), (ids(&["1", "2"]), 0));
    assert_eq!(read_again(Format::JsonLines, &mut known, &text), (ids(&["1"]), 1));
    for same in [two.to_owned(), format!("\n{two} \r\n")] {
        assert_eq!(read_again(Format::JsonLines, &mut known, &same), (ids(&[]), 1), "{same:?}");
    }
}

#[test]
fn quotes_with_backslashes() {
    let mut csv = source(Format::Csv);
    csv.quoting = Some(Quoting::Backslash);
    let map = [field(columns::ID, "id"), field(columns::TITLE, "title")];
    let text = "id,title\n1,\"12\\\" pan, \\\\ x\"\n2,\"y\nz\"\n";
    let mut whole = read(&csv, &map, text);
    assert_eq!(whole.rows[0].1.text(columns::TITLE), Some("12\" pan, \\ x"));
    assert_eq!(whole.rows[1].1.text(columns::TITLE), Some("y\nz"));
    assert!(whole.reader.take_warnings().is_empty());
}

/// Reads items of Google's.
fn read_items(items: &str) -> Whole {
    read(&source(Format::GoogleXml), &[], format!("<rss><channel>{items}</channel></rss>"))
}

#[test]
fn tags() {
    let item = |inside: &str| format!("<item><id>1</id>{inside}<brand>B</brand></item>");
    for (inside, title, description) in [
        // HTML that nobody escaped.
        ("<title>A</title><description>x<br>y<BR>z</description>", "A", "x y z"),
        ("<title>A</title><description><p>x<p>y</description>", "A", "x y"),
        ("<title>A</title><description>x <b>bold</description>", "A", "x  bold"),
        // An end without a start, and one too many.
        ("<title>A</b></title></title><description>x</description>", "A", "x"),
        // What begins no tag.
        (
            "<title>A < B & C</title><description>1 <2 and 3> 2</description>",
            "A < B & C",
            "1 <2 and 3> 2",
        ),
    ] {
        let mut whole = read_items(&item(inside));
        assert_eq!((ids(&whole), reasons(&whole)), (vec!["1"], vec![]), "{inside}");
        let row = &whole.rows[0].1;
        assert_eq!(row.text(columns::TITLE), Some(title), "{inside}");
        assert_eq!(row.text(columns::DESCRIPTION), Some(description), "{inside}");
        assert_eq!((row.text(columns::BRAND), extras(row)), (Some("B"), vec![]), "{inside}");
        let told = told(&mut whole);
        assert_eq!(told.len(), 1, "{inside}: {told:?}");
        assert_eq!((told[0].0, told[0].2.record), (RefusalReason::MendedMarkup, 1), "{inside}");
    }
    let many = format!("<title>A</title><description>{}</description>", "x<br>".repeat(1_000));
    assert_eq!(ids(&read_items(&item(&many))), ["1"]);
}

#[test]
fn items_without_an_end() {
    let whole =
        read_items("<item><id>1</id><title>A</title><item><id>2</id><title>B</title></item>");
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["1", "2"], vec![]));
    // Which field an open element swallowed can't be told.
    let whole = read_items("<item><id>1<title>A</title></item><item><id>2</id></item>");
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["2"], vec!["malformed-record"]));
    let shown = Some("<item><id>1<title>A</title></item>");
    assert_eq!((&whole.refused[0].field, whole.refused[0].value.as_deref()), (&None, shown));
    let whole = read_items("<item><id>1</id></item><item><id>2</id><title>A");
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["1"], vec!["malformed-record"]));
}

#[test]
fn archives_and_members() {
    let readme: &[u8] = b"Hello";
    let files: &[(&str, &[u8])] = &[
        ("README.txt", readme),
        ("out/feed.csv", b"id,title,link,gtin,stock\n1,a,,,\n"),
        ("out/more.csv", b"id\n2\n"),
    ];
    let mut whole = read_csv(zip_archive(files, true));
    assert_eq!(ids(&whole), ["1"]);
    assert!(matches!(&whole.completeness, Completeness::Unproven(why) if why.contains("more.csv")));
    let told = told(&mut whole);
    let expected =
        (RefusalReason::FurtherFiles, 1, Position::default(), Some("out/more.csv".into()));
    assert_eq!(told, [expected]);
    let members = [gzip(b"id,title,link,gtin,stock\n1,a,,"), gzip(b",\n2,b,,,\n")].concat();
    let mut whole = read_csv(members);
    assert_eq!(ids(&whole), ["1", "2"]);
    assert!(whole.reader.take_warnings().is_empty());
}

#[test]
fn an_archives_parts_are_one_feed() {
    let files: &[(&str, &[u8])] = &[
        ("part1.csv", b"id,title,link,gtin,stock\n1,a,,,\n2,b,,,"),
        ("part2.csv", b"\n\xef\xbb\xbfid,title,link,gtin,stock\r\n3,c,,,\r\n4,\"12\" d\",,,\r\n"),
        ("part_03.csv", b""),
        ("part4.txt", b"id,title,link,gtin,stock\n8,h,,,\n"),
        ("part5.csv", b"id,title,link,gtin\n9,i,,\n"),
        // The same products in another language, or of another day.
        ("part1_fr.csv", b"id,title,link,gtin,stock\n1,z,,,\n"),
        ("out/part1.csv", b"id,title,link,gtin,stock\n2,z,,,\n"),
        ("Part (6).CSV", b"id,title,link,gtin,stock\n5,e,,,,x\n6,f,,,\n"),
    ];
    for deferred in [false, true] {
        let mut whole = read_csv(zip_archive(files, deferred));
        assert_eq!(ids(&whole), ["1", "2", "3", "4", "6"]);
        let refused: Vec<_> = whole.refused.iter().map(|one| one.position.to_string()).collect();
        assert_eq!(refused, ["file 5, record 5, line 2"]);
        let why =
            "the archive has further files: part5.csv, part4.txt, part1_fr.csv, out/part1.csv";
        assert_eq!(whole.completeness, Completeness::Unproven(why.to_owned()));
        let stray = Position { file: 1, record: 4, line: Some(4), byte: Some(38) };
        let expected = [
            (RefusalReason::StrayQuote, 1, stray, Some("\"12\" d\"".to_owned())),
            (RefusalReason::FurtherFiles, 4, Position::default(), Some("part5.csv".to_owned())),
        ];
        assert_eq!(told(&mut whole), expected);
    }
    // Without others, the archive proves that all parts are there.
    let whole = read_csv(zip_archive(&files[..3], true));
    assert_eq!(ids(&whole), ["1", "2", "3", "4"]);
    assert_eq!(whole.completeness, Completeness::Proven("zip checksum and directory".to_owned()));
}

#[test]
fn parts_of_other_formats() {
    let map = [field(columns::ID, "id"), field(columns::TITLE, "title")];
    let lines: &[(&str, &[u8])] = &[
        ("products-1.jsonl", b"{\"id\":1}"),
        ("products-2.jsonl", b"{\"id\":2}\n3\n"),
        ("products-3.jsonl", b"[4]"),
        ("reviews-1.jsonl", b"{\"id\":1,\"title\":\"Good\"}"),
    ];
    let whole = read(&source(Format::JsonLines), &map, zip_archive(lines, true));
    assert_eq!((ids(&whole), reasons(&whole)), (vec!["1", "2"], vec!["malformed-record"]));
    assert_eq!(whole.refused[0].position.to_string(), "file 2, record 3, line 2");
    let why = "the archive has further files: products-3.jsonl, reviews-1.jsonl";
    assert_eq!(whole.completeness, Completeness::Unproven(why.to_owned()));

    let document = |id: &str| {
        let item = format!("<item><id>{id}</id></item>");
        format!("<?xml version='1.0'?><!-- <a> --><rss><channel>{item}</channel></rss>\n")
    };
    let (one, two) = (document("1"), document("2"));
    let documents: &[(&str, &[u8])] = &[
        ("a1.xml", one.as_bytes()),
        ("a2.xml", two.as_bytes()),
        ("a3.xml", b"<about><item><id>3</id></item></about>"),
    ];
    let google = source(Format::GoogleXml);
    let archive = zip_archive(&documents[..2], true);
    let whole = read(&google, &[], archive.clone());
    assert_eq!(ids(&whole), ["1", "2"]);
    assert_eq!(whole.completeness, Completeness::Proven("closing </rss>".to_owned()));
    let whole = read(&google, &[], zip_archive(documents, true));
    assert_eq!(ids(&whole), ["1", "2"]);
    assert!(matches!(&whole.completeness, Completeness::Unproven(why) if why.contains("a3.xml")));
    // Cut anywhere before the archive's directory, nobody knows how many documents there were.
    for end in archive.len() / 2..archive.len() - 24 {
        let whole = read(&google, &[], archive[..end].to_vec());
        assert!(matches!(whole.completeness, Completeness::Truncated(_)), "{end}");
    }
    // A part that was cut off before it was packed is not hidden by those behind it.
    let half = &one[..one.len() - 7];
    let whole = read(&google, &[], zip_archive(&[("a1.xml", half.as_bytes()), documents[1]], true));
    assert_eq!(ids(&whole), ["1", "2"]);
    assert_eq!(whole.completeness, Completeness::Truncated("no closing </rss>".to_owned()));
    // One document is all that JSON has.
    let whole = read(
        &source(Format::Json),
        &map,
        zip_archive(&[("a1.json", b"[{\"id\":1}]"), ("a2.json", b"[{\"id\":2}]")], true),
    );
    assert_eq!(ids(&whole), ["1"]);
    assert!(matches!(&whole.completeness, Completeness::Unproven(why) if why.contains("a2.json")));
}
