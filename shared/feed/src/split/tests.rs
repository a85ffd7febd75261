use super::*;
use crate::quotes::unescape;
use proptest::test_runner::TestCaseError;
use proptest::{prop_assert_eq, proptest};

const CSV: Dialect =
    Dialect { delimiter: b',', quoting: Quoting::Doubled, newline: b'\n', columns: 0 };
const TSV: Dialect = Dialect { delimiter: b'\t', columns: 4, ..CSV };

fn records(text: &str, dialect: Dialect) -> Vec<Vec<String>> {
    let mut rest = text;
    let (mut all, mut cells, mut quoted) = (Vec::new(), Vec::new(), Vec::new());
    while !rest.is_empty() {
        let end = record_end(rest.as_bytes(), true, dialect, &mut quoted);
        let RecordEnd::Found { bytes, .. } = end else {
            panic!("no record in {rest:?}");
        };
        split(&rest.as_bytes()[..bytes], dialect, &quoted, &mut cells);
        let text = |cell: &Cell| {
            let raw = &rest[cell.start..cell.end];
            let mut out = String::new();
            if cell.is_escaped {
                unescape(raw, dialect.quoting, &mut out)
            } else {
                out.push_str(raw)
            }
            out.trim_end_matches('\r').to_owned()
        };
        all.push(cells.iter().map(text).collect());
        rest = &rest[bytes..];
    }
    all
}

fn end_of(text: &str, at_end: bool, dialect: Dialect) -> RecordEnd {
    record_end(text.as_bytes(), at_end, dialect, &mut Vec::new())
}

#[test]
fn quoted_and_plain_cells() {
    assert_eq!(records("a,b\r\n1,2", CSV), [["a", "b"], ["1", "2"]]);
    assert_eq!(records("\"a,\nb\",\"say \"\"hi\"\"\"\r\n", CSV), [["a,\nb", "say \"hi\""]]);
    assert_eq!(records("\"\",\"\"\"\"\n,", CSV), [["", "\""], ["", ""]]);
}

#[test]
fn stray_quotes_stay_in_their_cell() {
    assert_eq!(records("12\" pan,x\n\"12\" pan,y\n", CSV), [["12\" pan", "x"], ["12 pan", "y"]]);
    // Only where another quote is the cell's last, on its line and before the next cell begins.
    assert_eq!(records("\"a\"b,\"c\"\n", CSV), [["ab", "c"]]);
    assert_eq!(records("\"a\"b,c\n\"d\",e\n", CSV), [["ab", "c"], ["d", "e"]]);
    assert_eq!(records("\"a \"b\" c\",\"\"\"d\"\"\"\n", CSV), [["a \"b\" c", "\"d\""]]);
    assert_eq!(records("\"a \"b\" c\" ,d\r\n", CSV), [["a \"b\" c", "d"]]);
    assert_eq!(records("\"a\" ,b\n", CSV), [["a", "b"]]);
    let plain = Dialect { quoting: Quoting::Off, delimiter: b'\t', ..CSV };
    assert_eq!(records("\"a\tb\"\n", plain), [["\"a", "b\""]]);
}

#[test]
fn quotes_may_have_a_backslash_before_them() {
    let dialect = Dialect { quoting: Quoting::Backslash, ..CSV };
    let text = "\"12\\\" pan, \\\\ x\",5\\\" y\\n\n\"a\nb\",\"\"\n";
    assert_eq!(records(text, dialect), [["12\" pan, \\ x", "5\" y\\n"], ["a\nb", ""]]);
    assert_eq!(end_of("\"a\\\"", true, dialect), RecordEnd::Unclosed);
    assert_eq!(end_of("\"a\\", false, dialect), RecordEnd::More);
}

#[test]
fn between_tabs_a_quote_that_its_line_does_not_close_is_text() {
    // It is never closed; by one that opens a cell; by one that ends one.
    for later in ["2\tx\ty\tz", "2\tx\t\"y\tz", "2\t12\" pan\t6\"\tz"] {
        let text = format!("1\t\"Big pan\t\"open\tz\n{later}\n");
        let found = records(&text, TSV);
        assert_eq!(found[0], ["1", "\"Big pan", "\"open", "z"], "{text}");
        assert_eq!(found[1], later.split('\t').collect::<Vec<_>>(), "{text}");
    }
    // In the last cell, if the next line is a record.
    let found = records("1\tx\ty\t\"open\n2\tx\ty\tz\n", TSV);
    assert_eq!(found, [["1", "x", "y", "\"open"], ["2", "x", "y", "z"]]);
    assert_eq!(end_of("1\tx\ty\t\"one\ntwo\n", true, TSV), RecordEnd::Unclosed);
    // Texts of several lines, with stray quotes too.
    for cell in ["\"one\ntwo\"", "\"one\n\"two\" three\""] {
        let whole = format!("1\tx\ty\t{cell}\n");
        let end = RecordEnd::Found { bytes: whole.len(), lines: 2 };
        assert_eq!(end_of(&whole, true, TSV), end, "{whole}");
        let whole = format!("1\t{cell}\ty\tz\n");
        let end = RecordEnd::Found { bytes: whole.len(), lines: 2 };
        assert_eq!(end_of(&whole, true, TSV), end, "{whole}");
    }
    // Half a line; between commas.
    assert_eq!(end_of("1\t\"x\ty\tz", true, TSV), RecordEnd::Unclosed);
    let commas = Dialect { columns: 4, ..CSV };
    assert_eq!(end_of("1,\"x,y,z\n", true, commas), RecordEnd::Unclosed);
}

#[test]
fn texts_of_several_lines_with_stray_quotes_and_tabs_stay_whole() {
    let found = records("1\tLamp\t\"Size:\tL\nfits 12\" pans\"\thttps://x\n2\ta\tb\tc\n", TSV);
    assert_eq!(found[0], ["1", "Lamp", "Size:\tL\nfits 12\" pans", "https://x"]);
    let two = Dialect { columns: 2, ..TSV };
    assert_eq!(records("1\t\"Specs:\nW\t12\" wide\"\n", two), [["1", "Specs:\nW\t12\" wide"]]);
}

/// Asked about each of its quotes, a line of many would be read once for each.
#[test]
fn a_line_of_quotes_is_asked_about_few() {
    let text = format!("{}\n", "\t\"a".repeat(2 * MAX_ASKED));
    let dialect = Dialect { columns: 2 * MAX_ASKED + 1, ..TSV };
    let mut quoted = Vec::new();
    let end = record_end(text.as_bytes(), true, dialect, &mut quoted);
    assert_eq!(end, RecordEnd::Found { bytes: text.len(), lines: 1 });
    let is_text = |cell: &&QuotedCell| cell.closing.at == cell.start;
    assert_eq!(quoted.iter().filter(is_text).count(), MAX_ASKED);
    // Of the others, each is closed by the next one.
    assert_eq!(quoted.len(), MAX_ASKED + MAX_ASKED / 2);
}

#[test]
fn a_first_line_may_be_a_record_for_itself() {
    let line = |text: &str, dialect| first_line(text.as_bytes(), dialect, &mut Vec::new());
    let open = "1\t\"a\tb\tc\n";
    assert_eq!(line(&format!("{open}2\tx\ty"), TSV), Some(open.len()));
    let second = "1\t\"x\"\t\"a\tc\n";
    assert_eq!(line(&format!("{second}{open}"), TSV), Some(second.len()));
    let last = "1\ta\tb\t\"c\n";
    assert_eq!(line(&format!("{last}2\tx\ty\tz\n3"), TSV), Some(last.len()));
    for text in
        ["1\t\"a\tb\tc", "1\t\"a\tb\n2\tx\ty\tz\n", "1\ta\tb\t\"c\nd\n", "1\t\"a\nb\"\tx\ty\n"]
    {
        assert_eq!(line(text, TSV), None, "{text}");
    }
    let commas = Dialect { columns: 4, ..CSV };
    assert_eq!(line("1,\"a,b,c\n2,x,y,z\n", commas), None);
}

#[test]
fn excel_says_what_is_between_cells() {
    for (text, named) in [
        ("sep=;\nid;a\n", Some((b';', 6))),
        ("\u{feff}SEP=,\r\nid,a\r\n", Some((b',', 10))),
        ("\"sep=\t\"\rid\ta\r", Some((b'\t', 8))),
        ("sep=;", None),
        ("sep=\nx\n", None),
        ("sep=;;\nx\n", None),
        ("sep=a\nx\n", None),
        ("id;sep=;\n", None),
        ("가\n", None),
    ] {
        assert_eq!(named_delimiter(text), named, "{text:?}");
    }
}

#[test]
fn mended_cells_are_told() {
    let (mut cells, mut quoted) = (Vec::new(), Vec::new());
    for (text, mended) in [
        ("\"a \"b\" c\",x", [true, false]),
        ("\"a\"b,\"x\"", [true, false]),
        ("\"a\"\"b\",x\"y", [false, false]),
    ] {
        record_end(text.as_bytes(), true, CSV, &mut quoted);
        split(text.as_bytes(), CSV, &quoted, &mut cells);
        assert_eq!(cells.iter().map(|cell| cell.is_mended).collect::<Vec<_>>(), mended, "{text}");
    }
}

#[test]
fn the_first_line_says_what_is_between_cells() {
    let chosen = |text| delimiter_of(text, b",;|\t", Quoting::Doubled).map(char::from);
    assert_eq!(chosen("\n\"a;b;c\",d,e\nx|y|z|w"), Some(','));
    assert_eq!(chosen("a;b,c;d\n"), Some(';'));
    assert_eq!(chosen("a\tb\tc"), Some('\t'));
    assert_eq!(chosen("a|b"), Some('|'));
    assert_eq!(chosen("id"), Some(','));
    assert_eq!(delimiter_of("a;b", b"", Quoting::Doubled), None);
}

#[test]
fn a_record_is_whole_or_not_there() {
    let text = "\"a\"\"b\",c\n";
    for end in 1..text.len() {
        assert_eq!(end_of(&text[..end], false, CSV), RecordEnd::More, "{end}");
    }
    let whole = RecordEnd::Found { bytes: text.len(), lines: 1 };
    assert_eq!(end_of(text, false, CSV), whole);
    assert_eq!(end_of("a,\"b", true, CSV), RecordEnd::Unclosed);
    let mut quoted = Vec::new();
    record_end(b"\"a\nb\",\"c\n", true, CSV, &mut quoted);
    assert!(quoted.is_empty(), "of a record without an end");
    let two_lines = RecordEnd::Found { bytes: 6, lines: 2 };
    assert_eq!(end_of("\"a\nb\"\nc", false, CSV), two_lines);
}

/// Finding a record's end and finding its cells are two walks; they agree on where it ends.
fn ends_with_its_last_cell(text: &str, dialect: Dialect) -> Result<(), TestCaseError> {
    let (mut cells, mut quoted) = (Vec::new(), Vec::new());
    if let RecordEnd::Found { bytes, .. } = record_end(text.as_bytes(), true, dialect, &mut quoted)
    {
        split(&text.as_bytes()[..bytes], dialect, &quoted, &mut cells);
        let last = cells.last().map_or(0, |cell| cell.end);
        let ends = text[last..].find('\n').map_or(text.len(), |at| last + at + 1);
        prop_assert_eq!(ends, bytes);
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_record_ends_with_its_last_cell(text in "[a\",\n]{1,40}") {
        ends_with_its_last_cell(&text, CSV)?;
    }

    #[test]
    fn a_record_between_tabs_ends_with_its_last_cell(text in "[a\"\t\n]{1,40}") {
        ends_with_its_last_cell(&text, Dialect { columns: 3, ..TSV })?;
    }

    /// Cells end where going from byte to byte finds their ends, in and across blocks, at the record's end too.
    #[test]
    fn short_and_long_cells_end_at_the_first_mark(
        text in "([-,\u{b}x가]{0,6}x{0,50}){0,8}",
        steps in proptest::collection::vec(0_usize..90, 1..40),
    ) {
        let record = text.as_bytes();
        let mut marks = Marks::new(record, b',');
        let mut from = 0;
        for step in steps {
            let by_byte = record[from..].iter().position(|byte| *byte == b',');
            let expected = by_byte.map(|offset| from + offset);
            prop_assert_eq!(marks.next(), expected, "{}", from);
            let Some(found) = expected else { break };
            from = (found + 1 + step).min(record.len());
            if step > 0 {
                marks.skip_to(from);
            }
        }
    }
}

#[test]
fn commas_without_end_take_no_memory() {
    let mut cells = Vec::new();
    let text = vec![b','; MAX_CELLS * 3];
    assert_eq!(split(&text, CSV, &[], &mut cells), text.len() + 1);
    assert_eq!(cells.len(), MAX_CELLS);
}
