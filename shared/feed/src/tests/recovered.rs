//! What another project's feeds say that should come out of them, in their first comment, held against what comes out:
//! title, link and id of items, of the feeds as they are and of the same feeds broken in ways that partners break them.

use super::entry;
use super::feedparser::{FILES, ITEMS, collect};
use crate::testing::source;
use crate::{FeedReader, Hints, Settings, Step};
use feedfleet_config::{Format, From as MapFrom, Target, Transform};
use feedfleet_model::{ColumnId, Row, columns};
use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::Path;

/// What is tested there is the work of a feed reader for people: HTML made safe, addresses made absolute, parts of a
/// text in base64, and a format that is none of items.
const OF_OTHERS: [&str; 4] = ["/sanitize/", "/base/", "base64", "/cdf/"];
/// Of the feeds with a usable expectation, the share that must meet it.
const LEAST_SHARE: f64 = 0.75;

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
    let mut xml = source(Format::Xml);
    xml.item = Some(item.to_owned());
    let text = |column, names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        entry(Target::Column(column), MapFrom::FirstOf(names), Transform::ByColumn)
    };
    let id = MapFrom::Constant("same".to_owned());
    let map = [
        entry(Target::Column(columns::ID), id, Transform::ByColumn),
        text(columns::TITLE, &["title"]),
        text(columns::PATTERN, &["link", "guid"]),
        text(columns::MODEL_NUMBER, &["id", "guid", "@about"]),
    ];
    Settings::from_source(&xml, &map).unwrap()
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
    let mut files = Vec::new();
    collect(Path::new(FILES), &mut files);
    if files.is_empty() {
        eprintln!("SKIPPED: no {FILES}");
        return;
    }
    let pipes = ITEMS.map(by_hand);
    let (mut rates, mut wrong) = (BTreeMap::new(), Vec::new());
    let (mut damaged, mut recovered) = (0_u64, 0_u64);
    for file in &files {
        let name = file.strip_prefix(FILES).unwrap_or(file).display().to_string();
        let bytes = fs::read(file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let Some(expected) = expected(&text) else { continue };
        if OF_OTHERS.iter().any(|part| name.contains(part)) {
            continue;
        }
        let kind = name.split('/').find(|part| !part.is_empty()).unwrap_or_default().to_owned();
        let (met, all) = rates.entry(kind).or_insert((0_u64, 0_u64));
        *all += 1;
        let got = found(&bytes, &expected, &pipes);
        if got.as_deref().map(str::trim) != Some(expected.text.trim()) {
            eprintln!("miss: {name}: expected {:?}, found {got:?}", expected.text);
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
    eprintln!("feedparser: {met} of {all} expectations met: {rates:?}");
    eprintln!("feedparser, broken on purpose: {recovered} of {damaged} items as before");
    let (met, all) = (met as f64, all as f64);
    assert!(met >= all * LEAST_SHARE, "{met} of {all}");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
