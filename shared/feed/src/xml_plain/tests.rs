//! The quick way and the parser read the same.

use crate::Settings;
use crate::bytes::{Bytes, CHUNK_BYTES};
use crate::encoding::{EncodingHints, TextReader};
use crate::fields::{Names, Record};
use crate::records::{Known, Read};
use crate::settings::Shape;
use crate::testing::{field, source};
use crate::window::Window;
use crate::xml::{XmlReader, XmlShape};
use feedfleet_config::{Compression, Format};
use feedfleet_model::columns;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::sample::select;
use std::collections::HashSet;
use std::io::Cursor;

/// More than nearly all documents here have in one item.
const MAX_RECORD_BYTES: usize = 400;

static NAMES: [&str; 12] = [
    "id", "title", "g:title", "price", "g:price", "tax", "g:tax", "country", "g:rate", "상품",
    "br", "rss",
];

/// Texts that plain items may have.
static TEXTS: [&str; 17] = [
    "",
    " \n",
    "x",
    " a b ",
    "가 나",
    "1 > 0 ]]>",
    "12.50 EUR",
    "a &amp; b",
    "&lt;b&gt;&#65;&#x20AC;",
    "&nbsp;",
    " &#32;",
    "a & b",
    "AT&T && &co",
    "<![CDATA[<b>x</b> & &lol; ]]>",
    "\n <![CDATA[ y ]]> \n",
    "<![CDATA[]]>",
    "\u{a0}z\u{a0}",
];

/// What the parser has to look at.
static ODD: [&str; 30] = [
    "&lol;",
    "<id>&lol;</id>",
    "<id>R&D and R; D</id>",
    "<id>&#0;</id>",
    "text",
    "<!-- c -->",
    "<!-- </item> -->",
    "<id><!-- c -->1</id>",
    "<?p i?>",
    "<id><![CDATA[a]]> b <![CDATA[c]]></id>",
    "<id><![CDATA[a </item> b]]></id>",
    "<id lang='en'>1</id>",
    "<link href='a &amp; b'/>",
    "<id >1</id>",
    "<id>1</id >",
    "<id a='</item>'>1</id>",
    "<g:id>1</id>",
    "<id>1",
    "</id>",
    "<br>",
    "<br />",
    "<title>a<br>b</title>",
    "<title>a < b</title>",
    "<title><b>a</b> b</title>",
    "<title><b><i>a</i></b></title>",
    "<related><item>1</item></related>",
    "<item>",
    "</item>",
    "<g:item><id>1</id></g:item>",
    "<![CDATA[",
];

static ITEM_TAGS: [(&str, &str); 6] = [
    ("<item>", "</item>"),
    ("<item a='1'>", "</item>"),
    ("<item>", ""),
    ("<item>", "</item >"),
    ("<g:item>", "</g:item>"),
    ("", "</item>"),
];

/// What there may be between items.
static BETWEEN: [&str; 6] = ["", "\n", "text", "<!-- <item> -->", "<title>T</title>", "<![CDATA["];

fn leaf() -> impl Strategy<Value = String> {
    let tag = |(name, text): (&str, &str)| match text {
        "" => format!("<{name}/>"),
        _ => format!("<{name}>{text}</{name}>"),
    };
    prop_oneof![
        8 => (select(&NAMES[..]), select(&TEXTS[..])).prop_map(tag),
        1 => select(&NAMES[..]).prop_map(|name| format!("<{name}></{name}>")),
    ]
}

/// An element of a plain item.
fn element() -> impl Strategy<Value = String> {
    let around = |(name, children): (&str, Vec<String>)| {
        format!("<{name}>\n {}</{name}>", children.join("\n "))
    };
    prop_oneof![
        3 => leaf(),
        1 => (select(&NAMES[..]), vec(leaf(), 1..5)).prop_map(around),
    ]
}

fn plain_item() -> impl Strategy<Value = String> {
    vec(element(), 0..8).prop_map(|elements| format!("<item>{}</item>", elements.join("\n ")))
}

fn any_item() -> impl Strategy<Value = String> {
    let part = prop_oneof![4 => element(), 1 => select(&ODD[..]).prop_map(str::to_owned)];
    let odd_item = (select(&ITEM_TAGS[..]), vec(part, 0..6))
        .prop_map(|((open, close), parts)| format!("{open}{}{close}", parts.concat()));
    prop_oneof![
        2 => plain_item(),
        2 => odd_item,
        1 => select(&BETWEEN[..]).prop_map(str::to_owned),
        1 => Just("<entry><id>1</id></entry>".to_owned()),
    ]
}

fn document(items: &[String]) -> String {
    format!("<?xml version='1.0'?>\n<rss><channel>{}</channel></rss>", items.join("\n"))
}

/// By preset and by hand.
fn shapes() -> [XmlShape; 2] {
    let mut by_hand = source(Format::Xml);
    by_hand.item = Some("item".to_owned());
    let map = [field(columns::ID, "id")];
    [
        Settings::from_source(&source(Format::GoogleXml), &[]).unwrap(),
        Settings::from_source(&by_hand, &map).unwrap(),
    ]
    .map(|settings| {
        let Shape::Xml(shape) = settings.shape else { panic!("no XML") };
        shape
    })
}

fn reader(shape: &XmlShape, text: &str, is_quick: bool) -> XmlReader {
    let input = Box::new(Cursor::new(text.as_bytes().to_vec()));
    let bytes = Bytes::open(input, Compression::None, 1 << 30).unwrap();
    let window = Window::new(TextReader::open(bytes, EncodingHints::default()).unwrap());
    let mut reader = XmlReader::new(window, shape.clone(), MAX_RECORD_BYTES);
    if !is_quick {
        reader.plain.turn_off();
    }
    reader
}

/// All that reading a document gives.
#[derive(Debug, PartialEq)]
struct Reading {
    /// Values, mended parts and positions of the records, refusals, the end.
    steps: Vec<String>,
    /// Fields in their order.
    names: Vec<String>,
    unknown_references: u64,
}

/// Reads a document; gives also how many items went the quick way.
fn read(shape: &XmlShape, text: &str, is_quick: bool) -> (Reading, u64) {
    let mut reader = reader(shape, text, is_quick);
    let (mut record, mut names, mut steps) = (Record::default(), Names::default(), Vec::new());
    loop {
        record.clear();
        match reader.read(&mut record, &mut names, None) {
            Ok(Read::Record(at)) => {
                let values: Vec<_> =
                    record.all().map(|(field, value)| (names.name(field), value)).collect();
                let by_field: Vec<Vec<_>> =
                    (0..names.len() as u32).map(|field| record.values(field).collect()).collect();
                let mends = record.mends();
                steps.push(format!("{at:?} {values:?} {by_field:?} {mends:?}"));
            }
            Ok(Read::Known) => unreachable!("nothing is known"),
            Ok(Read::Refused(refusal)) => steps.push(format!("{refusal:?}")),
            Ok(Read::End(mark)) => {
                steps.push(format!("{mark:?}"));
                break;
            }
            Err(error) => {
                steps.push(error.to_string());
                break;
            }
        }
    }
    let names = names.iter().map(str::to_owned).collect();
    let unknown_references = reader.unknown_references();
    (Reading { steps, names, unknown_references }, reader.plain.taken)
}

proptest::proptest! {
    #[test]
    fn plain_items_are_read_as_the_parser_reads_them(items in vec(plain_item(), 0..6)) {
        let text = document(&items);
        let are_short = items.iter().all(|item| item.len() <= MAX_RECORD_BYTES);
        for shape in &shapes() {
            let (quick, taken) = read(shape, &text, true);
            proptest::prop_assert!(!are_short || taken == items.len() as u64);
            proptest::prop_assert_eq!(quick, read(shape, &text, false).0);
        }
    }

    #[test]
    fn so_are_items_among_others(
        items in vec(any_item(), 0..8),
        end in proptest::option::weighted(0.2, 0_usize..2_000),
    ) {
        let mut text = document(&items);
        if let Some(end) = end {
            let end = (0..=end.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or_default());
        }
        for shape in &shapes() {
            proptest::prop_assert_eq!(read(shape, &text, true).0, read(shape, &text, false).0);
        }
    }
}

#[test]
fn the_quick_way_is_taken() {
    let [google, _] = shapes();
    for text in TEXTS {
        let items =
            [format!("<item><id>{text}</id><g:tax> <g:rate>{text}</g:rate></g:tax></item>")];
        let (quick, taken) = read(&google, &document(&items), true);
        assert_eq!((quick, taken), (read(&google, &document(&items), false).0, 1), "{text}");
    }
    for odd in ODD {
        let items = [format!("<item><id>0</id>{odd}</item>"), "<item><id>2</id></item>".to_owned()];
        let (quick, taken) = read(&google, &document(&items), true);
        // The end of an item twice leaves both as they are.
        let expected = match odd {
            "</item>" => 2,
            "<![CDATA[" => 0,
            _ => 1,
        };
        assert_eq!(taken, expected, "{odd}");
        assert_eq!(quick, read(&google, &document(&items), false).0, "{odd}");
    }
}

#[test]
fn values_of_every_kind() {
    let [google, by_hand] = shapes();
    let item = "<item><title>A</title><g:title>B</g:title><link></link><g:size/>\
        <g:shipping><g:country>US</g:country><g:price>1 &amp; 2</g:price><g:days>3</g:days></g:shipping>\
        <g:tax> US::5: </g:tax><img>a</img><img><![CDATA[b & c]]></img></item>";
    let text = document(&[item.to_owned()]);
    let (quick, taken) = read(&google, &text, true);
    let fields = ["title", "shipping/days", "shipping", "tax", "img"];
    assert_eq!((quick.names.as_slice(), taken), (fields.map(str::to_owned).as_slice(), 1));
    let values = r#"[["B", "A"], ["3"], ["US:::1 & 2"], ["US::5:"], ["a", "b & c"]]"#;
    assert!(quick.steps[0].contains(values), "{}", quick.steps[0]);
    assert!(quick.steps[0].contains("record: 1, line: None, byte: Some(36)"), "{}", quick.steps[0]);
    let (quick, _) = read(&by_hand, &text, true);
    let values = r#"[["A", "B"], ["US"], ["1 & 2"], ["3"], ["US::5:"], ["a", "b & c"]]"#;
    assert!(quick.steps[0].contains(values), "{}", quick.steps[0]);
}

/// Wherever the chunks of the source end, the same items go the quick way.
#[test]
fn chunks_change_nothing() {
    let [google, _] = shapes();
    let items = "\n<item><id>1</id><g:price>2 EUR</g:price></item>\n<item><!-- --><id>3</id></item>\
        \n<item><id>4</id></item>";
    let comment = format!("<!--{}-->", "x".repeat(293));
    for into in 0..items.len() {
        let before = CHUNK_BYTES - "<rss>".len() - into;
        let (comments, blank) = (comment.repeat(before / 300), " ".repeat(before % 300));
        let mut reader = reader(&google, &format!("<rss>{comments}{blank}{items}</rss>"), true);
        let (mut names, mut ids) = (Names::default(), Vec::new());
        loop {
            let mut record = Record::default();
            match reader.read(&mut record, &mut names, None).unwrap() {
                Read::Record(_) => ids.push(record.first(0).unwrap_or_default().to_owned()),
                Read::End(_) => break,
                Read::Known | Read::Refused(_) => panic!("a record is due"),
            }
        }
        assert_eq!((ids.join(" ").as_str(), reader.plain.taken), ("1 3 4", 2), "{into}");
    }
}

/// Reads a document with what is known of it; gives the hashes of what was not known, and how many were.
fn hashes(text: &str, known: &HashSet<u128>) -> (Vec<Option<u128>>, usize) {
    let [google, _] = shapes();
    let mut reader = reader(&google, text, true);
    let (mut names, mut hashes, mut passed) = (Names::default(), Vec::new(), 0);
    loop {
        let mut record = Record::default();
        let mut ask = |hash: u128| known.contains(&hash);
        let mut asked = Known { seed: 7, ask: &mut ask, hash: None };
        match reader.read(&mut record, &mut names, Some(&mut asked)).unwrap() {
            Read::Record(_) | Read::Refused(_) => hashes.push(asked.hash),
            Read::Known => {
                assert!(record.is_empty());
                passed += 1;
            }
            Read::End(_) => return (hashes, passed),
        }
    }
}

#[test]
fn known_items_are_passed_over() {
    let item = |id: u32| format!("<item><id>{id}</id><price>{id} EUR</price></item>");
    let text = document(&[item(1), item(2), item(3)]);
    let (first, passed) = hashes(&text, &HashSet::new());
    assert_eq!((first.len(), passed), (3, 0));
    let known: HashSet<u128> = first.into_iter().flatten().collect();
    assert_eq!(known.len(), 3);
    assert_eq!(hashes(&text, &known), (vec![], 3));
    let text = document(&[item(1), item(4), item(3)]);
    let (rest, passed) = hashes(&text, &known);
    assert_eq!((rest.len(), passed), (1, 2));
    assert!(rest[0].is_some_and(|hash| !known.contains(&hash)));
}

/// What begins as a known item does, up to the first end tag, and goes on differently.
#[test]
fn half_an_item_is_never_known() {
    let long = |price: u32| {
        let text = "<![CDATA[written as </item>]]>";
        document(&[format!("<item><id>1</id><title>{text}</title><price>{price}</price></item>")])
    };
    for two_items in [
        long(1),
        long(2),
        document(&["<item><id>1</id></item ><item><id>2</id></item>".to_owned()]),
        document(&["<item><id>1</id><item><id>2</id></item>".to_owned()]),
    ] {
        let (hashes, _) = hashes(&two_items, &HashSet::new());
        assert_eq!(hashes[0], None, "{two_items}");
    }
}
