use super::*;
use crate::bytes::Bytes;
use crate::encoding::{EncodingHints, TextReader};
use feedfleet_config::Compression;
use feedfleet_model::hash::seeded_hash;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

const CSV: Dialect =
    Dialect { delimiter: b',', quoting: Quoting::Doubled, newline: b'\n', columns: 0 };

fn window(text: &[u8]) -> Window {
    let input = Box::new(Cursor::new(text.to_vec()));
    let bytes = Bytes::open(input, Compression::None, 1 << 30).unwrap();
    let mut window = Window::new(TextReader::open(bytes, EncodingHints::default()).unwrap());
    window.fill().unwrap();
    window
}

type Rows = Vec<BTreeMap<String, String>>;

fn read(text: &[u8], max: usize) -> (Rows, Vec<Refusal>, EndMark) {
    read_as(CSV, text, max)
}

fn read_as(dialect: Dialect, text: &[u8], max: usize) -> (Rows, Vec<Refusal>, EndMark) {
    let (mut names, mut record) = (Names::default(), Record::default());
    let mut reader = DelimitedReader::open(window(text), dialect, max, &mut names).unwrap();
    let (mut rows, mut refused) = (Vec::new(), Vec::new());
    loop {
        record.clear();
        match reader.read(&mut record, None).unwrap() {
            Read::Record(_) => rows.push(
                record
                    .all()
                    .map(|(field, value)| (names.name(field).to_owned(), value.to_owned()))
                    .collect(),
            ),
            Read::Known => unreachable!("nothing is known"),
            Read::Refused(refusal) => refused.push(refusal),
            Read::End(end) => return (rows, refused, end),
        }
    }
}

#[test]
fn a_quote_that_nobody_closed_swallows_no_record() {
    let head = "id,title,link,price\n";
    let open = "1,\"open,https://a.example/1,5\n";
    let fine = "2,\"fine, x\",https://a.example/2,6\n";
    for (between, line_end) in [("", "\n"), ("3,plain,,7\n3,\"\",,7\n", "\n"), ("", "\r\n")] {
        let text = format!("{head}{open}{between}{fine}4,y,,8\n").replace('\n', line_end);
        let (rows, refused, _) = read(text.as_bytes(), 1000);
        assert!(refused.is_empty(), "{refused:?}");
        assert_eq!(rows.len(), 3 + between.lines().count(), "{rows:?}");
        let shown = |row: usize| [&rows[row]["id"], &rows[row]["title"], &rows[row]["price"]];
        assert_eq!(shown(0), ["1", "\"open", "5"]);
        assert_eq!(shown(rows.len() - 2), ["2", "fine, x", "6"]);
        assert_eq!(shown(rows.len() - 1), ["4", "y", "8"]);
    }
    // A text of several lines with quotes in it, whose lines do not come out as records.
    let text = format!("{head}1,t,l,\"Great pan\n\"Best ever\" said Bob\"\n2,a \"b\",c,d\n");
    let (rows, refused, _) = read(text.as_bytes(), 1000);
    assert_eq!((rows.len(), refused.len()), (2, 0));
    assert_eq!(rows[0]["price"], "Great pan\n\"Best ever\" said Bob");
    // Too few columns to be sure.
    let (rows, ..) = read(b"id,title\n1,\"open\n2,\"fine, x\"\n", 1000);
    assert_eq!(rows.len(), 1);
}

#[test]
fn ragged_and_blank_rows() {
    let text = b"\n a ,b,\n\n1,2\n,,\n1,2,,,\n1,2,,x\n  \n3\n4,5,6";
    let (rows, refused, end) = read(text, 1000);
    let firsts: Vec<_> = rows.iter().map(|row| row["a"].as_str()).collect();
    assert_eq!(firsts, ["1", "1", "3", "4"]);
    assert_eq!(rows[3]["column_3"], "6");
    assert_eq!(refused.len(), 1);
    assert_eq!(*refused[0].message, *"4 fields where the header has 3");
    assert_eq!((refused[0].position.line, refused[0].position.record), (Some(7), 3));
    assert_eq!((refused[0].field.as_deref(), refused[0].value.as_deref()), (None, Some("1,2,,x")));
    assert!(matches!(end, EndMark::Open(_)));
}

#[test]
fn what_was_mended_is_noted() {
    let text = b"id,title,,\n1,\"12\" pan\",,\n2\n3,x\n";
    let (mut names, mut record) = (Names::default(), Record::default());
    let mut reader = DelimitedReader::open(window(text), CSV, 1000, &mut names).unwrap();
    let mut mends = Vec::new();
    loop {
        record.clear();
        let Read::Record(_) = reader.read(&mut record, None).unwrap() else { break };
        let noted = record.mends().iter();
        mends.push(noted.map(|m| (m.reason.name(), m.value.clone())).collect::<Vec<_>>());
    }
    // Columns without a name need no cell.
    let quote = ("stray-quote", "\"12\" pan\"".to_owned());
    let short = ("short-record", "1 of 4 cells".to_owned());
    assert_eq!(mends, [vec![quote], vec![short], vec![]]);
}

#[test]
fn an_open_quote_costs_its_line_only() {
    let text = b"id,title\n1,\"open\n2,x\n3,y\n";
    let (rows, refused, end) = read(text, 1000);
    assert_eq!(rows.iter().map(|row| row["id"].as_str()).collect::<Vec<_>>(), ["2", "3"]);
    assert_eq!(refused[0].position.line, Some(2));
    assert_eq!(refused[0].value.as_deref(), Some("1,\"open"));
    assert!(matches!(end, EndMark::Cut(_)));
    let long = [&text[..], "4,z\n".repeat(200_000).as_bytes(), b"5,\"\n"].concat();
    let (rows, refused, _) = read(&long, 1000);
    assert_eq!(rows.len(), 200_002);
    assert_eq!(refused[0].reason, RefusalReason::RecordTooLarge);
}

/// What is text in a small source is so in a large one, too.
#[test]
fn between_tabs_an_open_quote_far_from_the_next_one_is_text() {
    let tsv = Dialect { delimiter: b'\t', ..CSV };
    let head = "id\ttitle\tlink\tprice\n";
    let rest = "8\tx\ty\t9\n".repeat(50_000);
    for (line, title, price) in
        [("7\t\"Big pan\tl\t5\n", "\"Big pan", "5"), ("7\tx\tl\t\"5\n", "x", "\"5")]
    {
        // Without another quote; behind so many rows that the record would be too long.
        for end in ["", "9\t12\" pan\tl\t5\n"] {
            let text = format!("{head}{line}{rest}{line}{rest}{end}");
            let (rows, refused, mark) = read_as(tsv, text.as_bytes(), 1000);
            assert!(refused.is_empty(), "{refused:?}");
            assert_eq!(rows.len(), 100_002 + end.lines().count());
            for row in [&rows[0], &rows[50_001]] {
                assert_eq!((row["title"].as_str(), row["price"].as_str()), (title, price));
            }
            assert!(matches!(mark, EndMark::Open(_)));
        }
    }
    // A text of several lines stays whole, and one that is too long is refused.
    let whole = "7\t\"Size:\tL\tXL\nfits 12\" pans\"\tl\t5\n";
    let (rows, refused, _) = read_as(tsv, format!("{head}{rest}{whole}{rest}").as_bytes(), 1000);
    assert_eq!((rows.len(), refused.len()), (100_001, 0));
    assert_eq!(rows[50_000]["title"], "Size:\tL\tXL\nfits 12\" pans");
    let long = format!("{head}7\t\"Size:\n{}\"\tl\t5\n{rest}", "L\n".repeat(1000));
    let (_, refused, _) = read_as(tsv, long.as_bytes(), 1000);
    assert_eq!(refused[0].reason, RefusalReason::RecordTooLarge);
    assert_eq!(refused[0].value.as_deref(), Some("7\t\"Size:"));
}

#[test]
fn a_long_line_is_left_out() {
    let text = [&b"id,title\n1,"[..], &vec![b'x'; 900_000], b"\n2,y\n"].concat();
    let (rows, refused, _) = read(&text, 1000);
    assert_eq!(rows[0]["id"], "2");
    assert_eq!((refused.len(), refused[0].reason.name()), (1, "record-too-large"));
}

#[test]
fn a_last_line_without_its_end_shows_the_cut() {
    let (rows, refused, end) = read(b"id,title,price\n1,a,2\n2,b", 1000);
    assert_eq!((rows.len(), refused.len()), (1, 1));
    assert!(matches!(end, EndMark::Cut(_)));
}

#[test]
fn whether_the_last_line_has_its_end_is_known() {
    let blank = ["  ", ","].map(|line| seeded_hash(line.as_bytes(), 0));
    for (text, ends) in [
        ("id,title\n1,a\n2,b\n", Some(true)),
        ("id,title\n1,a\n2,b", Some(false)),
        ("id,title\r\n1,a\r\n2,b\r", Some(false)),
        ("id,title\r1,a\r2,b\r", Some(true)),
        // Of a record, and not of white space behind it.
        ("id,title\n1,a\n2,b\n  ", Some(true)),
        ("id,title\n1,a\n2,b\n,", Some(false)),
        ("id,title\n1,a\n2,b\n,\n", Some(true)),
        ("id,title\n1,a\n2,b,c,d", Some(false)),
        ("id,title\n1,a\n2,\"open\n", Some(true)),
        ("id,title\n", None),
    ] {
        for is_known in [false, true] {
            let (mut names, mut record) = (Names::default(), Record::default());
            let mut reader =
                DelimitedReader::open(window(text.as_bytes()), CSV, 1000, &mut names).unwrap();
            let ask = &mut |hash: u128| is_known && !blank.contains(&hash);
            let mut known = Known { seed: 0, ask, hash: None };
            loop {
                record.clear();
                if let Read::End(_) = reader.read(&mut record, Some(&mut known)).unwrap() {
                    break;
                }
            }
            assert_eq!(reader.last_line_ends, ends, "{text:?}");
        }
    }
}

#[test]
fn carriage_returns_alone_end_lines_too() {
    let (rows, _, _) = read(b"id,title\r1,a\r2,b\r", 1000);
    assert_eq!(rows[1]["title"], "b");
}

#[test]
fn records_may_lie_across_chunks() {
    let line = "1,\"a \"\"quoted\"\" title\nof two lines, 가나다\",x\n";
    let text = ["id,title,more\n", &line.repeat(20_000)].concat();
    let (rows, refused, _) = read(text.as_bytes(), 1000);
    assert_eq!((rows.len(), refused.len()), (20_000, 0));
    assert!(rows.iter().all(|row| row["title"] == "a \"quoted\" title\nof two lines, 가나다"));
}

/// A public set of CSV files with their answers in JSON.
#[test]
fn csv_spectrum() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/csv-spectrum");
    let Ok(files) = std::fs::read_dir(folder.join("csvs")) else {
        println!("SKIPPED: no {}", folder.display());
        return;
    };
    for file in files {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if name == "location_coordinates" {
            // Its answer is of another record.
            continue;
        }
        let answer = std::fs::read(folder.join(format!("json/{name}.json"))).unwrap();
        let mut answer: Rows = serde_json::from_slice(&answer).unwrap();
        let (mut rows, refused, _) = read(&std::fs::read(&path).unwrap(), 1 << 20);
        for row in answer.iter_mut().chain(&mut rows) {
            row.retain(|_, value| !value.is_empty());
            row.values_mut().for_each(|value| *value = value.replace('\r', ""));
        }
        assert_eq!((rows, refused), (answer, Vec::new()), "{name}");
    }
}
