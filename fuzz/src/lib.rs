//! What the fuzz targets share: pipes made from their text, what must hold of the mistakes in it, and feeds
//! read to their end, in one piece and in several.

use feedfleet_config::{ConfigErrors, Pipe, parse_pipe};
use feedfleet_feed::{Change, Completeness, FeedReader, Hints, ReadStats, Settings, Step};
use feedfleet_model::{ColumnId, Row};
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::path::Path;

/// Bytes that one feed may have once it is decompressed.
pub const MAX_INFLATED_BYTES: u64 = 8 << 20;
/// A `[map]` with every kind of value in it.
pub const MAP: &str = r#"
[map]
id = "id"
title = { first_of = ["title", "name"] }
brand = { fields = ["brand", "maker"], join = " " }
price = { field = "price", as = "money", currency = "EUR" }
sale_price = { field = "sale", as = "money", currency = "JPY", minor_units = 2 }
availability = "stock"
availability_date = { field = "date", as = "date", timezone = "Europe/Berlin" }
stock_quantity = { field = "quantity", as = "number" }
adult = "adult"
link = "link"
additional_image_links = { field = "images", split = "|" }
category = "category"
"#;

/// What `${SECRET}` stands for.
const SECRET: &str = "hunter2";
/// Bytes that the reader takes from a source at once. Were it another number, no target would fail, but no
/// feed would lie across two chunks either.
const CHUNK_BYTES: usize = 256 * 1024;
/// Bytes that the reader looks at to tell a feed from a web page, or from a file of another kind.
const TELLING_BYTES: usize = 40;
/// Bytes of a product's id.
const MAX_ID_BYTES: usize = 255;

/// What a feed gave, as far as it matters to whoever loads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What became of each record.
    pub found: Vec<Found>,
    /// How it ended.
    pub end: End,
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A product, by its content hash.
    Row(u128),
    /// A product to take out, by its id.
    Gone(String),
    /// It was refused, for the reason of this name.
    Refused(&'static str),
}

/// How a feed ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It proves that it is whole.
    Proven,
    /// It ended, without a proof.
    Unproven,
    /// It is cut off.
    Truncated,
    /// It can't be read, or not any further; the error's words before its details.
    Failed(String),
}

impl Reading {
    /// Whether nothing was wrong with any of it.
    pub fn is_clean(&self) -> bool {
        self.is_whole() && !self.found.iter().any(|found| matches!(found, Found::Refused(_)))
    }

    /// Whether it was read to an end that does not look cut off.
    pub fn is_whole(&self) -> bool {
        matches!(self.end, End::Proven | End::Unproven)
    }

    /// Whether it could not be read to any end.
    pub fn has_failed(&self) -> bool {
        matches!(self.end, End::Failed(_))
    }
}

/// A pipe, from the text of its file. Variables in it are not set.
///
/// # Errors
///
/// All that is wrong with the text.
pub fn pipe(text: &str) -> Result<Pipe, ConfigErrors> {
    let name = "fuzz".parse().expect("it is a pipe's name");
    parse_pipe(&name, text, Path::new("/fleet"), &BTreeMap::<String, String>::new())
}

/// The environment of a configuration whose mistakes are looked at: `SECRET` is set.
pub fn environment() -> BTreeMap<String, String> {
    BTreeMap::from([("SECRET".to_owned(), SECRET.to_owned())])
}

/// There are mistakes in a configuration of this text: each says where it is, and none shows a variable's value.
///
/// # Panics
///
/// When that is not so.
pub fn assert_told(mistakes: &ConfigErrors, text: &str) {
    assert!(!mistakes.is_empty());
    let told = mistakes.to_string();
    assert!(!told.contains(SECRET) || text.contains(SECRET), "{told}");
    let lines = text.lines().count() + 1;
    for mistake in mistakes {
        assert!(mistake.line <= lines, "line {} of {lines}", mistake.line);
    }
}

/// How to read feeds of a pipe with these lines in `[source]`, and this text behind it.
///
/// # Panics
///
/// When they are wrong: they are a target's own.
pub fn settings(source: &str, rest: &str) -> Settings {
    let text = format!(
        "[source]\nurl = \"feed\"\n{source}\n[source.limits]\nmax_inflated_bytes = \"{MAX_INFLATED_BYTES}B\"\n\
         max_record_bytes = \"1MiB\"\n{rest}\n"
    );
    let pipe = pipe(&text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    Settings::of(&pipe).unwrap_or_else(|error| panic!("{error}"))
}

/// Reads a feed to its end. Whatever it is, its rows are fit for the table.
pub fn read(
    input: impl Read + Send + 'static,
    settings: &Settings,
    hints: Hints,
) -> (Reading, Option<ReadStats>) {
    let mut found = Vec::new();
    let mut reader = match FeedReader::open(Box::new(input), settings, hints) {
        Ok(reader) => reader,
        Err(error) => return (Reading { found, end: failed(&error) }, None),
    };
    let (mut row, mut scratch) = (Row::new(), Vec::new());
    let end = loop {
        match reader.next(&mut row) {
            Ok(Step::Row(change)) => {
                assert_fit(&row);
                found.push(match change {
                    Change::Upsert => Found::Row(row.content_hash(&mut scratch)),
                    Change::Delete => Found::Gone(row.id().to_owned()),
                });
            }
            Ok(Step::Refused(refusal)) => {
                assert!(!refusal.message.is_empty(), "{refusal:?}");
                found.push(Found::Refused(refusal.reason.name()));
            }
            Ok(Step::Known) => unreachable!("nothing is known"),
            Ok(Step::End) => match reader.completeness() {
                Completeness::Proven(_) => break End::Proven,
                Completeness::Unproven(_) => break End::Unproven,
                Completeness::Truncated(_) => break End::Truncated,
            },
            Err(error) => break failed(&error),
        }
    };
    // As a run does for its report.
    reader.take_warnings();
    (Reading { found, end }, Some(reader.stats()))
}

fn failed(error: &feedfleet_feed::FeedError) -> End {
    let text = error.to_string();
    End::Failed(text.split(':').next().unwrap_or_default().to_owned())
}

/// Reads a feed that is not compressed; and again, if that must not change anything, in small pieces and so
/// that it lies across two of the reader's chunks.
pub fn read_twice(feed: &[u8], settings: &Settings) -> (Reading, Option<Reading>) {
    let (reading, _) = read(Cursor::new(feed.to_vec()), settings, Hints::default());
    // Every record takes a byte at least, and so does whatever is refused.
    assert!(reading.found.len() <= feed.len() + 2, "{} records", reading.found.len());
    let again = moved(feed).map(|feed| {
        let (again, _) = read(Pieces::new(feed, 997), settings, Hints::default());
        again
    });
    (reading, again)
}

/// The feed behind white space that makes it lie across two chunks. None: the white space could mean
/// something to it.
fn moved(feed: &[u8]) -> Option<Vec<u8>> {
    // Nothing to guess an encoding from, and a line end, if there is any, that is the usual one.
    let is_plain = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    if !feed.iter().all(is_plain) || (feed.contains(&b'\r') && !feed.contains(&b'\n')) {
        return None;
    }
    let start = feed.len() - feed.trim_ascii_start().len() + TELLING_BYTES;
    let room = feed.len().checked_sub(start).filter(|room| *room > 0)?;
    // Bytes of the feed in the first chunk; the last byte is as good a die as any.
    let first = start + usize::from(*feed.last()?) % room;
    let mut moved = vec![b' '; CHUNK_BYTES.checked_sub(first + 1)?];
    moved.push(b'\n');
    moved.extend_from_slice(feed);
    Some(moved)
}

/// What the table takes: an id of a length that it holds, and no control characters anywhere.
fn assert_fit(row: &Row) {
    let id = row.id();
    assert!((1..=MAX_ID_BYTES).contains(&id.len()), "an id of {} bytes", id.len());
    for column in ColumnId::from_source() {
        row.text(column).into_iter().chain(row.list(column)).for_each(assert_printable);
    }
    for (name, value) in row.extras() {
        assert_printable(name);
        assert_printable(value);
    }
}

fn assert_printable(text: &str) {
    let is_control = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    assert!(!text.bytes().any(is_control), "a control character in {text:?}");
}

/// Gives bytes a few at a time, as a slow connection does.
pub struct Pieces {
    bytes: Cursor<Vec<u8>>,
    piece_bytes: usize,
}

impl Pieces {
    /// These bytes, so many at a time, and one at least.
    pub fn new(bytes: Vec<u8>, piece_bytes: usize) -> Self {
        Self { bytes: Cursor::new(bytes), piece_bytes: piece_bytes.max(1) }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(self.piece_bytes);
        self.bytes.read(&mut buffer[..room])
    }
}
