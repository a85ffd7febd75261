//! What kind of text a sample is, and how delimited text is cut.

use crate::split::{Dialect, RecordEnd, named_delimiter, record_end, split};
use feedfleet_config::{Quoting, TextKind};

/// Delimiters that occur, the usual one first.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// Records that are looked at.
const RECORDS: usize = 2_000;
/// Share of the records that must have as many cells as the header.
const LEAST_EVEN: f64 = 0.5;
/// Quotes without an end that are looked at: each search for one goes to the sample's end.
const MAX_UNCLOSED: usize = 300;

/// What kind of text it is. None: a web page.
pub(super) fn kind(text: &str) -> Option<TextKind> {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let begins =
        |with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    if begins("<!doctype html") || begins("<html") {
        return None;
    }
    if ["<<<begin>>>", "<<<mapid>>>", "<<<pid>>>", "<<<tocnt>>>"].iter().any(|tag| begins(tag)) {
        return Some(TextKind::Tagged);
    }
    Some(match text.chars().next() {
        Some('<') => TextKind::Xml,
        Some('[') => TextKind::Json,
        Some('{') if is_lines(text) => TextKind::JsonLines,
        Some('{') => TextKind::Json,
        _ => TextKind::Delimited,
    })
}

/// Whether each line is an object of its own; one that has lists of objects in it, and is alone, is a document.
fn is_lines(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let Some(first) = lines.next() else { return false };
    let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(first);
    let Ok(object) = object else { return false };
    if let Some(second) = lines.next() {
        return second.starts_with('{');
    }
    let is_objects = |value: &serde_json::Value| {
        value.as_array().is_some_and(|items| items.iter().any(serde_json::Value::is_object))
    };
    !object.values().any(is_objects)
}

/// How a text is cut into cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) delimiter: u8,
    pub(super) quoting: Quoting,
    /// Whether that makes a difference in the sample.
    pub(super) has_quotes: bool,
    pub(super) columns: usize,
}

/// Finds out how delimited text is cut. `is_whole`: nothing comes after it.
pub(super) fn cut(text: &str, is_whole: bool) -> Cut {
    let text = text.trim_start_matches('\u{feff}');
    let newline = if text.contains('\n') || !text.contains('\r') { b'\n' } else { b'\r' };
    let named = named_delimiter(text);
    let text = named.map_or(text, |(_, bytes)| &text[bytes..]);
    let dialect = |delimiter, quoting| Dialect { delimiter, quoting, newline, columns: 0 };
    let rate = |delimiter: &u8| {
        let ways = [Quoting::Doubled, Quoting::Off];
        let rates = ways.map(|way| measure(text, is_whole, dialect(*delimiter, way)).rate());
        rates[0].max(rates[1])
    };
    let mut best = (DELIMITERS[0], 0.0);
    for delimiter in DELIMITERS {
        let rate = rate(&delimiter);
        if rate > best.1 {
            best = (delimiter, rate);
        }
    }
    let delimiter = named.map_or(best.0, |(delimiter, _)| delimiter);
    // Of those that are as good as each other, the first: it is the usual one, which mends stray quotes.
    let ways = [Quoting::Doubled, Quoting::Backslash, Quoting::Off];
    let measures = ways.map(|quoting| measure(text, is_whole, dialect(delimiter, quoting)));
    let is_quoted = measures.iter().any(|measure| measure.quoted > 0);
    let [doubled, backslash, off] = measures;
    let has_quotes = is_quoted || doubled.unclosed > 0;
    // With quotes, no record would be left.
    let is_lost = doubled.records == 0 && doubled.unclosed > 0;
    let may_be_text = doubled.opens_as_text(delimiter);
    let mut chosen = (Quoting::Doubled, doubled);
    if text.contains("\\\"") && backslash.faults() < chosen.1.faults() {
        chosen = (Quoting::Backslash, backslash);
    }
    // Where quotes are text, what looks mended was cut in the wrong place.
    let is_better = may_be_text && off.faults() < chosen.1.faults() + chosen.1.mended;
    if is_better || (is_lost && off.records > 0) {
        chosen = (Quoting::Off, off);
    }
    Cut { delimiter, quoting: chosen.0, has_quotes, columns: chosen.1.columns }
}

/// Whether delimited text begins with a comment: a line behind a `#` that has fewer cells than the first line that is none,
/// as the text from there is cut.
pub(super) fn has_comment(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let Some((first, rest)) = text.split_once('\n').filter(|_| text.starts_with('#')) else {
        return false;
    };
    let is_passed = |line: &str| line.trim().is_empty() || line.starts_with('#');
    let passed = rest.split_inclusive('\n').take_while(|line| is_passed(line));
    let passed: usize = passed.map(str::len).sum();
    let Cut { delimiter, quoting, columns, .. } = cut(&rest[passed..], true);
    let dialect = Dialect { delimiter, quoting, newline: b'\n', columns: 0 };
    let (mut cells, mut quoted) = (Vec::new(), Vec::new());
    record_end(first.as_bytes(), true, dialect, &mut quoted);
    split(first.as_bytes(), dialect, &quoted, &mut cells) < columns
}

/// How well a text can be cut in one way.
#[derive(Debug, Default)]
struct Measure {
    columns: usize,
    records: usize,
    /// With as many cells as the first.
    even: usize,
    /// Cells that begin and end with a quote that is taken for text, and escapes that are taken for text.
    literal: usize,
    /// Cells with a quote that should have been escaped.
    mended: usize,
    unclosed: usize,
    /// Cells that begin with a quote.
    quoted: usize,
    /// Of these, those whose first quote seems to be text: more text comes behind the one that closes it, or that one is
    /// a stray one on another line.
    loose: usize,
}

impl Measure {
    /// How likely the delimiter is; 0 when it is none.
    fn rate(&self) -> f64 {
        if self.columns < 2 {
            return 0.0;
        }
        let even = if self.records == 0 { 1.0 } else { self.even as f64 / self.records as f64 };
        if even < LEAST_EVEN { 0.0 } else { even * (self.columns as f64).ln_1p() }
    }

    fn faults(&self) -> usize {
        let uneven = self.records - self.even;
        uneven + self.literal + 10 * self.unclosed
    }

    /// Whether most quotes that cells begin with are text, or are never closed; between tabs, where quotes often are
    /// text, whether any is.
    fn opens_as_text(&self, delimiter: u8) -> bool {
        let as_text = self.loose + self.unclosed;
        as_text > self.quoted - self.loose || (delimiter == b'\t' && as_text > 0)
    }
}

fn measure(text: &str, is_whole: bool, dialect: Dialect) -> Measure {
    let mut measure = Measure::default();
    let (mut cells, mut quoted) = (Vec::new(), Vec::new());
    let mut rest = text;
    while !rest.is_empty() && measure.records < RECORDS && measure.unclosed < MAX_UNCLOSED {
        let bytes = match record_end(rest.as_bytes(), is_whole, dialect, &mut quoted) {
            RecordEnd::Found { bytes, .. } => bytes,
            RecordEnd::More => {
                // A quote that swallows the rest of the sample.
                let is_lost =
                    rest.len() * 2 > text.len() && rest.contains(char::from(dialect.newline));
                measure.unclosed += usize::from(is_lost);
                break;
            }
            RecordEnd::Unclosed => {
                measure.unclosed += 1;
                match rest.find(char::from(dialect.newline)) {
                    Some(end) => {
                        rest = &rest[end + 1..];
                        continue;
                    }
                    None => break,
                }
            }
        };
        let (record, after) = rest.split_at(bytes);
        rest = after;
        let count = split(record.as_bytes(), dialect, &quoted, &mut cells);
        let record = record.trim_end_matches(['\r', '\n']);
        if record.trim().is_empty() {
            continue;
        }
        if measure.columns == 0 {
            measure.columns = count;
        } else {
            measure.records += 1;
            measure.even += usize::from(count == measure.columns);
        }
        for cell in &cells {
            let raw = record.get(cell.start..cell.end.min(record.len())).unwrap_or_default().trim();
            measure.mended += usize::from(cell.is_mended);
            let is_wrapped = raw.len() > 1 && raw.starts_with('"') && raw.ends_with('"');
            let is_quoted = is_wrapped || cell.is_escaped || is_unwrapped(record, cell.start);
            let has_line_end = raw.contains(char::from(dialect.newline));
            let is_loose = cell.is_mended && (!is_wrapped || has_line_end);
            measure.quoted += usize::from(is_quoted);
            measure.loose += usize::from(is_quoted && is_loose);
            let is_literal = match dialect.quoting {
                Quoting::Off => is_wrapped,
                Quoting::Doubled => raw.contains("\\\""),
                Quoting::Backslash => raw.contains("\"\"") && raw.len() > 2,
            };
            measure.literal += usize::from(is_literal);
        }
    }
    measure
}

/// Whether a cell's text begins behind a quote.
fn is_unwrapped(record: &str, start: usize) -> bool {
    start > 0 && record.as_bytes().get(start - 1) == Some(&b'"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> (char, Quoting, bool) {
        let cut = cut(text, true);
        (char::from(cut.delimiter), cut.quoting, cut.has_quotes)
    }

    #[test]
    fn text_is_told_by_its_beginning() {
        for (text, expected) in [
            ("\u{feff}\n<?xml version='1.0'?><rss/>", Some(TextKind::Xml)),
            ("<!DOCTYPE html><html>", None),
            ("<<<begin>>>\n<<<mapid>>>1\n", Some(TextKind::Tagged)),
            ("[{\"a\":1}]", Some(TextKind::Json)),
            ("{\"a\":1}\n{\"a\":2}\n", Some(TextKind::JsonLines)),
            ("{\"products\":[{\"a\":1}]}\n", Some(TextKind::Json)),
            ("{\"a\":1}\n", Some(TextKind::JsonLines)),
            ("{\n\"products\": []}", Some(TextKind::Json)),
            ("id,title\n1,a\n", Some(TextKind::Delimited)),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    #[test]
    fn delimiters_and_quotes_are_told_by_what_comes_out_even() {
        for (text, expected) in [
            ("a,b\n1,2\n", (',', Quoting::Doubled, false)),
            ("a;b\n1,5;2,5\n3,5;4\n", (';', Quoting::Doubled, false)),
            ("a\tb\tc\n1\tx, y\tz\n", ('\t', Quoting::Doubled, false)),
            ("a|b\n\"1|2\"|3\n", ('|', Quoting::Doubled, true)),
            // 12 inches, as text.
            ("id\ttitle\n1\t\"Best\" pan\n2\t\"Top\n3\tx\n", ('\t', Quoting::Off, true)),
            ("id,title\n1,\"12\\\" pan, big\"\n2,\"a \\\\ b\"\n", (',', Quoting::Backslash, true)),
            ("id,title\n1,\"say \"\"hi\"\", he said\"\n", (',', Quoting::Doubled, true)),
            // Stray quotes, which the usual way mends, and no backslash.
            (
                "id,title,note\n1,\"12\" pan\",x\n2,\"a \"quoted\" word\",x\n3,12\" pan,x\n4,\"two\nlines\",x\n",
                (',', Quoting::Doubled, true),
            ),
            // One that is never closed.
            (
                "id,title,note\n1,\"12\" pan, steel\",x\n2,\"a \"quoted\" word\",x\n3,b,x\n4,\"open,x\n5,c,x\n6,d,x\n",
                (',', Quoting::Doubled, true),
            ),
            ("id\ttitle\n1\t\"Best\"\n2\t\"Good\"\n3\t\"Top\n", ('\t', Quoting::Off, true)),
            // A backslash that escapes nothing.
            ("id,title\n1,\"12\" pan\"\n2,C:\\x\n", (',', Quoting::Doubled, true)),
            ("only\n1\n2\n", (',', Quoting::Doubled, false)),
            // What begins with quotes and never closes one.
            ("id\ttitle\n1\t\"Big\n2\tx\n", ('\t', Quoting::Off, true)),
            (
                "id,a,b\n1,\"Big\" x,\"open\n2,\"Big\" x,\"open\n3,\"Big\" x,\"open\n",
                (',', Quoting::Off, true),
            ),
            // Excel's line, against what comes out even.
            ("sep=;\na,1;b,2\nc,3;d,4\n", (';', Quoting::Doubled, false)),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn a_comment_before_the_header_is_told() {
        for (text, expected) in [
            ("# export of today\nid,title\n1,a\n", true),
            ("\u{feff}\n# export, of today\n# x\nid\ttitle\tlink\n", true),
            ("# a \"quoted, export\n\nid,title,link\n", true),
            ("#id,title\n1,a\n", false),
            ("#,name,price\n1,\"Pan, steel\",5\n2,Pot,6\n", false),
            ("#;name\n1;\"a, b, c\"\n2;d\n", false),
            ("id,title\n# a\n", false),
            ("# only\n", false),
        ] {
            assert_eq!(has_comment(text), expected, "{text}");
        }
    }
}
