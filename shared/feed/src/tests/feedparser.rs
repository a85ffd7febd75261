//! Two thousand feeds that another project collected, many of them broken on purpose, read as hostile XML:
//! each ends in rows or in a clear refusal, and soon.

use super::entry;
use crate::testing::source;
use crate::{FeedReader, Hints, Settings, Step};
use feedfleet_config::{Format, From as MapFrom, Target, Transform};
use feedfleet_model::{ColumnId, Row, columns};
use std::fs;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(super) const FILES: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/feedparser/tests");
/// The elements that are one product, in RSS and in Atom.
pub(super) const ITEMS: [&str; 2] = ["item", "entry"];
/// None of the files is larger than 160 kB.
const SOON: Duration = Duration::from_secs(1);

/// What became of a file, or of all of them.
#[derive(Debug, Default)]
struct Tally {
    files: u64,
    rows: u64,
    refused: u64,
    errors: u64,
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        self.files += other.files;
        self.rows += other.rows;
        self.refused += other.refused;
        self.errors += other.errors;
    }
}

#[test]
fn every_file_ends_in_rows_or_a_refusal() {
    let files = all_files();
    if files.is_empty() {
        return;
    }
    let pipes = ITEMS.map(by_hand);
    let (mut all, mut well_formed, mut wrong) = (Tally::default(), Tally::default(), Vec::new());
    for file in &files {
        let name = file.strip_prefix(FILES).unwrap_or(file);
        let bytes = fs::read(file).unwrap();
        let timed = || {
            let begun = Instant::now();
            (catch_unwind(AssertUnwindSafe(|| read(&bytes, &pipes))), begun.elapsed())
        };
        let (tally, mut took) = timed();
        // Not a machine that stood still.
        for _ in 0..2 {
            if took > SOON {
                took = took.min(timed().1);
            }
        }
        let Ok(tally) = tally else {
            wrong.push(format!("{}: panicked", name.display()));
            continue;
        };
        if took > SOON {
            wrong.push(format!("{}: took {took:?}", name.display()));
        }
        if has_item(&bytes) {
            let is_silent = tally.rows + tally.refused + tally.errors == 0;
            if is_silent || (name.starts_with("wellformed") && tally.rows + tally.refused == 0) {
                wrong.push(format!("{}: has an item, and gave {tally:?}", name.display()));
            }
            if name.starts_with("wellformed") {
                well_formed.add(&tally);
            }
        }
        all.add(&tally);
    }
    println!("all files:              {all:?}");
    println!("well-formed with items: {well_formed:?}");
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), files.len(), wrong.join("\n"));
    assert!(well_formed.rows >= well_formed.files, "a row each, and more: {well_formed:?}");
}

/// All of the files; none, said aloud, where they are absent.
pub(super) fn all_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(Path::new(FILES), &mut files);
    if files.is_empty() {
        eprintln!("SKIPPED: no {FILES}");
    }
    files
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "xml") {
            files.push(path);
        }
    }
    files.sort();
}

/// Each text column with the names of its fields.
type Texts<'a> = [(ColumnId, &'a [&'a str])];

/// What a shop's feed would have.
fn by_hand(item: &str) -> Settings {
    every_item(
        item,
        &[
            (columns::TITLE, &["title", "title/div"]),
            (columns::DESCRIPTION, &["description", "summary", "content", "encoded"]),
            (columns::LINK, &["link", "guid"]),
            (columns::AVAILABILITY_DATE, &["pubDate", "updated", "published", "date"]),
        ],
    )
}

/// XML of which every item that can be read is a row: these files are not about products.
pub(super) fn every_item(item: &str, texts: &Texts<'_>) -> Settings {
    let mut xml = source(Format::Xml);
    xml.item = Some(item.to_owned());
    let id = MapFrom::Constant("same".to_owned());
    let mut map = vec![entry(Target::Column(columns::ID), id, Transform::ByColumn)];
    map.extend(texts.iter().map(|(column, names)| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        entry(Target::Column(*column), MapFrom::FirstOf(names), Transform::ByColumn)
    }));
    Settings::from_source(&xml, &map).unwrap()
}

fn read(bytes: &[u8], pipes: &[Settings]) -> Tally {
    let mut tally = Tally { files: 1, ..Tally::default() };
    for settings in pipes {
        let input = Box::new(Cursor::new(bytes.to_vec()));
        let ended = FeedReader::open(input, settings, Hints::default()).and_then(|mut reader| {
            let mut row = Row::new();
            loop {
                match reader.next(&mut row)? {
                    Step::Row(_) => tally.rows += 1,
                    Step::Known => unreachable!("nothing is known"),
                    Step::Refused(refusal) => {
                        assert!(!refusal.message.is_empty(), "{refusal:?}");
                        tally.refused += 1;
                    }
                    Step::End => return Ok(()),
                }
            }
        });
        if let Err(error) = ended {
            assert!(!error.to_string().is_empty());
            tally.errors += 1;
        }
    }
    tally
}

/// Whether the text has the start tag of an item.
fn has_item(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    // The first comment says what should come out, in words that may look like tags.
    let text = text.split_once("-->").map_or(&*text, |(_, rest)| rest);
    let ends_a_name =
        |rest: &str| rest.starts_with(|c: char| c.is_whitespace() || ">/".contains(c));
    ITEMS.iter().any(|item| text.split(&format!("<{item}")).skip(1).any(ends_a_name))
}
