//! What another project's feeds say that should come out of them, in their first comment, held against what comes out:
//! title, link and id of items, of the feeds as they are and of the same feeds broken in ways that partners break them.

use super::feedparser::{FILES, ITEMS, all_files, every_item};
use crate::{Completeness, FeedReader, Hints, Settings, Step};
use encoding_rs::Encoding;
use feedfleet_model::{ColumnId, Row, columns};
use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;

/// What is tested there is the work of a feed reader for people: HTML made safe, addresses made absolute, parts of a
/// text in base64, and a format that is none of items.
const OF_OTHERS: [&str; 4] = ["/sanitize/", "/base/", "base64", "/cdf/"];
/// Where the feeds are that are not well-formed, or do not say their encoding.
const ILL_FORMED: &str = "/illformed/";
/// What is read otherwise than expected, and why: a part of the file's name, and the reason.
const KNOWN_MISSES: [(&str, &str); 7] = [
    ("atom/entry_title_inline_markup.xml", MARKUP),
    ("atom/entry_title_inline_markup_2.xml", MARKUP),
    ("atom/entry_title_naked_markup.xml", MARKUP),
    ("atom10/entry_title_inline_markup.xml", MARKUP),
    ("atom10/entry_title_inline_markup_2.xml", MARKUP),
    ("media-rss/item_media_title2.xml", "of two titles, the first is taken, whatever its prefix"),
    ("rss/entity_in_doctype.xml", "an entity that the document declares itself is never expanded"),
];
const MARKUP: &str = "text in elements within a title is theirs, and not the title's";
/// The same of the feeds that are not well-formed.
const ILL_FORMED_MISSES: [(&str, &str); 3] = [
    ("/illformed/always_strip_doctype.xml", "that it has no items is told"),
    ("/illformed/chardet/koi8r.xml", "taken for KOI8-U, which has the same Russian letters"),
    ("/illformed/undeclared_namespace.xml", "a prefix that nobody declared is no fault here"),
];
/// Those whose expectation is of no field that products have.
const ILL_FORMED_OF_OTHERS: [(&str, &str); 4] = [
    ("/illformed/geo/georss_point_no_coords.xml", "a place on the map"),
    ("/illformed/geo/georss_polygon_insufficient_coords.xml", "a place on the map"),
    ("/illformed/geo/gml_point.xml", "a place on the map"),
    ("/illformed/http_high_bit_date.xml", "that it can be read, no more"),
];

/// A field of one item, and the text that it should have.
struct Expected {
    item: usize,
    column: ColumnId,
    text: String,
}

/// Reads an expectation of the form `entries[0]['title'] == 'text'`; none for all others.
fn expected(feed: &str) -> Option<Expected> {
    let line = feed.split_once("Expect:")?.1.split("-->").next()?.lines().next()?.trim();
    let line = line.strip_prefix("not bozo and ").unwrap_or(line);
    let (item, rest) = line.strip_prefix("entries[")?.split_once(']')?;
    let (field, literal) = rest.split_once(" == ")?;
    let column = match field.trim_matches(['[', ']', '\'', '.']) {
        "title" => columns::TITLE,
        "link" => columns::PATTERN,
        "id" | "guid" => columns::MODEL_NUMBER,
        _ => return None,
    };
    Some(Expected { item: item.parse().ok()?, column, text: python_text(literal.trim())? })
}

/// The text of a literal of Python's, where that is all there is.
fn python_text(literal: &str) -> Option<String> {
    let literal = literal.strip_prefix('u').unwrap_or(literal);
    let quote = literal.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut rest = literal[1..].chars();
    let mut text = String::new();
    loop {
        match rest.next()? {
            c if c == quote => return rest.as_str().trim().is_empty().then_some(text),
            '\\' => {
                let digits = match rest.next()? {
                    'x' => 2,
                    'u' => 4,
                    'n' => {
                        text.push('\n');
                        continue;
                    }
                    c => {
                        text.push(c);
                        continue;
                    }
                };
                let number: String = rest.by_ref().take(digits).collect();
                text.push(char::from_u32(u32::from_str_radix(&number, 16).ok()?)?);
            }
            c => text.push(c),
        }
    }
}

/// Every item's title, link and id as they are.
fn by_hand(item: &str) -> Settings {
    every_item(
        item,
        &[
            (columns::TITLE, &["title"]),
            (columns::PATTERN, &["link", "guid"]),
            (columns::MODEL_NUMBER, &["id", "guid", "@about"]),
        ],
    )
}

/// What an item has in a column; none where there is no such item.
fn found(feed: &[u8], expected: &Expected, pipes: &[Settings]) -> Option<String> {
    for settings in pipes {
        let input = Box::new(Cursor::new(feed.to_vec()));
        let Ok(mut reader) = FeedReader::open(input, settings, Hints::default()) else { continue };
        let (mut row, mut item) = (Row::new(), 0);
        while let Ok(step) = reader.next(&mut row) {
            match step {
                Step::End => break,
                Step::Row(_) if item == expected.item => {
                    return Some(row.text(expected.column).unwrap_or_default().to_owned());
                }
                Step::Row(_) | Step::Refused(_) | Step::Known => item += 1,
            }
        }
    }
    None
}

/// The feed, broken in ways that leave its items as they are.
fn broken(feed: &str) -> Vec<(&'static str, String)> {
    let ends = ITEMS.iter().find_map(|item| {
        let end = format!("</{item}>");
        feed.contains(&end).then_some(end)
    });
    let Some(end) = ends else { return Vec::new() };
    let last = feed.rfind(&end).unwrap_or_default() + end.len();
    vec![
        ("cut behind the last item", feed[..last].to_owned()),
        ("with an end tag too many", feed.replace(&end, &format!("</b>{end}"))),
        ("with an entity nobody declared", feed.replace(&end, &format!("<x>&nosuch;</x>{end}"))),
        ("with HTML in a text", feed.replace(&end, &format!("<x>a<br>b <b>c</x>{end}"))),
        ("with a lone &", feed.replace(&end, &format!("<x>a & b</x>{end}"))),
        ("with a lone <", feed.replace(&end, &format!("<x>1 < 2</x>{end}"))),
        ("with control characters", feed.replace(&end, &format!("<x>a\u{1}\u{1f}</x>{end}"))),
    ]
}

#[test]
fn items_say_what_their_files_expect() {
    let files = all_files();
    if files.is_empty() {
        return;
    }
    let pipes = ITEMS.map(by_hand);
    let (mut rates, mut wrong, mut misses) = (BTreeMap::new(), Vec::new(), Vec::new());
    let (mut without, mut of_others) = (0, 0);
    let (mut damaged, mut recovered) = (0_u64, 0_u64);
    for file in &files {
        let name = file.strip_prefix(FILES).unwrap_or(file).display().to_string();
        let bytes = fs::read(file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let Some(expected) = expected(&text) else {
            without += 1;
            continue;
        };
        if OF_OTHERS.iter().any(|part| name.contains(part)) {
            of_others += 1;
            continue;
        }
        let kind = name.split('/').find(|part| !part.is_empty()).unwrap_or_default().to_owned();
        let (met, all) = rates.entry(kind).or_insert((0_u64, 0_u64));
        *all += 1;
        let got = found(&bytes, &expected, &pipes);
        if got.as_deref().map(str::trim) != Some(expected.text.trim()) {
            let known = KNOWN_MISSES.iter().find(|(part, _)| name.ends_with(part));
            let reason = known.map_or("NOT EXPLAINED", |(_, reason)| *reason);
            misses.push((name, format!("expected {:?}, found {got:?}: {reason}", expected.text)));
            continue;
        }
        *met += 1;
        let Ok(text) = String::from_utf8(bytes) else { continue };
        for (how, feed) in broken(&text) {
            damaged += 1;
            let again = found(feed.as_bytes(), &expected, &pipes);
            if again == got {
                recovered += 1;
            } else {
                wrong.push(format!("{name} {how}: {again:?} where {got:?} is due"));
            }
        }
    }
    let (met, all) = rates.values().fold((0, 0), |sum, rate| (sum.0 + rate.0, sum.1 + rate.1));
    println!("feedparser: {met} of {all} expectations met: {rates:?}");
    println!(
        "  left out: {without} that expect no item's title, link or id; {of_others} of {OF_OTHERS:?}"
    );
    misses.iter().for_each(|(name, miss)| println!("  {name}: {miss}"));
    println!("feedparser, broken on purpose: {recovered} of {damaged} items as before");
    explained(&misses, &KNOWN_MISSES);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Fails unless the misses are those that have a reason, and no fewer.
fn explained(misses: &[(String, String)], known: &[(&str, &str)]) {
    let is_of = |name: &str, part: &str| name.ends_with(part);
    let unexplained: Vec<_> = misses
        .iter()
        .filter(|(name, _)| !known.iter().any(|(part, _)| is_of(name, part)))
        .collect();
    let mended: Vec<_> = known
        .iter()
        .filter(|(part, _)| !misses.iter().any(|(name, _)| is_of(name, part)))
        .collect();
    assert!(
        unexplained.is_empty() && mended.is_empty(),
        "misses without a reason: {unexplained:#?}\nno misses any more: {mended:#?}"
    );
}

/// What is read of a file, by all pipes.
#[derive(Debug, Default)]
struct Recovered {
    rows: usize,
    refused: usize,
    encoding: &'static str,
    /// Whether something is said to be wrong with it.
    is_noticed: bool,
}

fn recover(feed: &[u8], pipes: &[Settings]) -> Recovered {
    let mut all = Recovered::default();
    for settings in pipes {
        let input = Box::new(Cursor::new(feed.to_vec()));
        let Ok(mut reader) = FeedReader::open(input, settings, Hints::default()) else {
            all.is_noticed = true;
            continue;
        };
        let mut row = Row::new();
        loop {
            match reader.next(&mut row) {
                Ok(Step::Row(_)) => all.rows += 1,
                Ok(Step::Refused(_)) => all.refused += 1,
                Ok(Step::Known) => unreachable!("nothing is known"),
                Ok(Step::End) => break,
                Err(_) => {
                    all.is_noticed = true;
                    break;
                }
            }
        }
        all.encoding = reader.stats().encoding;
        all.is_noticed |= !matches!(reader.completeness(), Completeness::Proven(_));
    }
    all.is_noticed |= all.refused > 0;
    all
}

/// The files that are not well-formed, or do not say their encoding: each item that has its end must be a row, and what
/// the file expects must be met.
#[test]
fn ill_formed_feeds_give_what_is_whole_in_them() {
    let files = all_files();
    if files.is_empty() {
        return;
    }
    let pipes = ITEMS.map(by_hand);
    let (mut rows, mut items, mut met, mut all) = (0, 0, 0, 0);
    let (mut lost, mut misses, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for file in &files {
        let name = file.strip_prefix(FILES).unwrap_or(file).display().to_string();
        let name = format!("/{}", name.trim_start_matches('/'));
        if !name.starts_with(ILL_FORMED) {
            continue;
        }
        let bytes = fs::read(file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let (head, feed) = text.split_once("-->").unwrap_or(("", &*text));
        let ends: usize =
            ITEMS.iter().map(|item| feed.matches(&format!("</{item}>")).count()).sum();
        let read = recover(&bytes, &pipes);
        println!("  {name}: {} of {ends} items, {read:?}", read.rows);
        (rows, items) = (rows + read.rows, items + ends);
        if read.rows != ends {
            lost.push(name.clone());
        }
        let line = head.split_once("Expect:").map_or("", |(_, rest)| rest);
        let line = line.lines().next().unwrap_or_default().trim();
        let is_met = if let Some((_, label)) = line.split_once("encoding == ") {
            let label = label.trim_matches('\'').as_bytes();
            Encoding::for_label(label).is_some_and(|encoding| encoding.name() == read.encoding)
        } else if line == "bozo" {
            read.is_noticed
        } else if line.starts_with("not bozo and feed") {
            !read.is_noticed
        } else if let Some(expected) = expected(&text) {
            let got = found(&bytes, &expected, &pipes);
            got.as_deref().map(str::trim) == Some(expected.text.trim())
        } else {
            left_out.push((name, line.to_owned()));
            continue;
        };
        all += 1;
        if is_met {
            met += 1;
        } else {
            misses.push((name, format!("{line}: {read:?}")));
        }
    }
    println!("feedparser, ill-formed: {rows} of {items} items, {met} of {all} expectations met");
    for (name, reason) in ILL_FORMED_MISSES.iter().chain(&ILL_FORMED_OF_OTHERS) {
        println!("  {name}: {reason}");
    }
    assert!(lost.is_empty(), "items lost, or made up: {lost:#?}");
    explained(&misses, &ILL_FORMED_MISSES);
    explained(&left_out, &ILL_FORMED_OF_OTHERS);
}
