//! What partners write reaches a terminal and a spreadsheet as text, and as nothing else.

use super::skipped;
use crate::faults::support::fleet;
use feedfleet_tests::{Fleet, feedfleet};
use serde_json::json;
use std::io::{Cursor, Write};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Clears the screen, sets the window's title, rings; the same sequence begun by one 8-bit character; characters
/// that reorder text; and an end of line, with what would look like a line of the program's own.
const HOSTILE: &str =
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}gpj.exe\u{2066}\u{61c}\u{7f}\r\nforged";
/// A part of it, as it is shown: control characters below 32 are taken out of feeds, this one is not.
const SHOWN: &str = "\\u{9b}31m";
/// What a spreadsheet would run.
const FORMULAS: [&str; 4] = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)"];

/// Whether a character changes what a terminal shows elsewhere, or the order in which it shows text. Bytes that are
/// no UTF-8 come as U+FFFD.
fn steers(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffd}')
}

/// What a command prints on either output, which must be harmless.
fn look(fleet: &Fleet, args: &[&str]) -> String {
    let said = fleet.run(args).all();
    let found: Vec<char> = said.chars().filter(|c| steers(*c)).collect();
    assert!(found.is_empty(), "{args:?} prints {found:?} in {said:?}");
    let forged = said.lines().find(|line| line.trim_start().starts_with("forged"));
    assert!(forged.is_none(), "{args:?} prints a line of the partner's:\n{said}");
    said
}

/// As [`look`], of what must show the partner's text.
fn look_at_text(fleet: &Fleet, args: &[&str]) {
    let said = look(fleet, args);
    assert!(said.contains(SHOWN), "{args:?} does not show the text:\n{said}");
}

fn csv_line(cells: &[&str]) -> String {
    let quoted = |cell: &&str| format!("\"{}\"", cell.replace('"', "\"\""));
    let quoted: Vec<String> = cells.iter().map(quoted).collect();
    format!("{}\n", quoted.join(","))
}

/// Products whose every text is hostile, one of them refused and one without its link.
fn table() -> String {
    let text = |before: &str| format!("{before}{HOSTILE}");
    let mut csv = csv_line(&["sku", "name", "brand", "link", "price", &text("shade")]);
    for formula in FORMULAS {
        let (all, link) = (text(formula), text("http://shop.example/"));
        csv.push_str(&csv_line(&[formula, &all, formula, &link, "1.50", &all]));
    }
    csv.push_str(&csv_line(&[&text("a"), "Lamp", "", "", &text("9"), ""]));
    csv.push_str(&csv_line(&[&text("b"), "Lamp", "", &text("javascript:alert(1)"), "1.50", ""]));
    csv
}

/// Names of fields that are hostile too.
fn nested() -> String {
    let name = format!("shade{HOSTILE}");
    let products = json!([
        { "sku": "1", "name": HOSTILE, "price": "1.50", (name): HOSTILE },
        { "sku": "2", "name": HOSTILE, "price": format!("NaN{HOSTILE}") },
    ]);
    products.to_string()
}

/// Two files with hostile names, of which the first is the feed.
fn archive() -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in [("a", "sku,name,price\n1,Lamp,1\n"), ("b", "sku,name,price\n2,Chair,1\n")]
    {
        let name = format!("{name}{HOSTILE}.csv");
        archive.start_file(name, SimpleFileOptions::default()).expect("memory can be written");
        archive.write_all(text.as_bytes()).expect("memory can be written");
    }
    archive.finish().expect("memory can be written").into_inner()
}

/// The same, marked as encrypted: its name stands in the error.
fn locked() -> Vec<u8> {
    let mut archive = archive();
    // The flags of the first file's header.
    archive[6] |= 1;
    archive
}

/// The pipes, and whether a preview shows hostile text; a run's report does in every case.
const PIPES: [(&str, bool); 6] = [
    ("table", true),
    ("nested", true),
    ("header", true),
    ("archive", false),
    ("locked", true),
    ("element", true),
];
/// Those that end as dead letters.
const DEAD: [&str; 3] = ["header", "locked", "element"];

fn hostile_fleet() -> Fleet {
    let fleet = fleet("visibility = \"10s\"\nmax_receives = 1", "max = 1");
    let map = "[map]\nid = \"sku\"\ntitle = \"name\"\nlink = \"link\"\nbrand = \"brand\"\n\
               price = { field = \"price\", as = \"money\", currency = \"EUR\" }\n";
    let write = |pipe: &str, ending: &str, format: &str, bytes: Vec<u8>| {
        let file = format!("{pipe}.{ending}");
        fleet.write(&file, bytes);
        let map = if format == "google-xml" { "" } else { map };
        fleet.pipe(
            pipe,
            &format!(
                "[source]\nurl = \"{file}\"\nformat = \"{format}\"\n{map}[images]\nmirror = false\n"
            ),
        );
    };
    write("table", "csv", "csv", table().into_bytes());
    write("nested", "json", "json", nested().into_bytes());
    let header = csv_line(&[&format!("=a{HOSTILE}"), &format!("b{HOSTILE}"), "c"]);
    write("header", "csv", "csv", format!("{header}1,2,3\n").into_bytes());
    write("archive", "zip", "csv", archive());
    write("locked", "zip", "csv", locked());
    write("element", "xml", "google-xml", format!("<oops{HOSTILE}>{HOSTILE}</oops>").into_bytes());
    fleet
}

/// Promise 17: ids, titles, links, names of fields and of files in archives, values that are refused and the texts
/// of errors, full of control characters: no command passes one on to the terminal.
#[test]
fn no_command_passes_control_characters_on() {
    let fleet = hostile_fleet();
    for (pipe, is_previewed) in PIPES {
        let preview = ["pipes", "preview", pipe, "-n", "20"];
        if is_previewed {
            look_at_text(&fleet, &preview);
        } else {
            look(&fleet, &preview);
        }
        look_at_text(&fleet, &["run", pipe, "--wait"]);
        look_at_text(&fleet, &["runs", "show", pipe]);
        let state = if DEAD.contains(&pipe) { "dead" } else { "done" };
        let report = fleet.report(pipe);
        assert_eq!(report["state"], state, "{report:#}");
    }
    look(&fleet, &["pipes", "list"]);
    look(&fleet, &["runs", "list"]);
    look_at_text(&fleet, &["dlq", "list"]);
    look_at_text(&fleet, &["dlq", "list", "--each"]);
    let letters = fleet.run(&["dlq", "list", "--each", "--json"]).ok().json();
    let letters = letters.as_array().expect("letters are a list");
    assert_eq!(letters.len(), DEAD.len(), "{letters:#?}");
    for letter in letters {
        let id = letter["id"].as_str().expect("a letter has an id");
        look_at_text(&fleet, &["dlq", "show", id]);
    }
}

/// Promise 17: in a table, SQL's answers are shown harmless; in CSV, no text begins as a formula does, and every
/// text stays in its cell.
#[test]
fn sql_shows_crawled_text_as_text() {
    if !feedfleet().with_file_name("feedfleet-query").is_file() {
        skipped("crawled text in SQL's answers", "feedfleet-query is not beside feedfleet");
        return;
    }
    let fleet = hostile_fleet();
    for pipe in ["table", "nested"] {
        fleet.run_pipe(pipe);
    }
    let query = "SELECT id, title, brand, link, extra FROM products ORDER BY id";
    look_at_text(&fleet, &["sql", query]);
    look(&fleet, &["sql", "SELECT * FROM runs"]);

    let csv = fleet.run(&["sql", query, "--format", "csv"]).ok().stdout;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<csv::StringRecord> =
        reader.records().map(|row| row.expect("every row has its cells")).collect();
    let products = fleet.products("table").len() + fleet.products("nested").len();
    assert_eq!(rows.len(), products, "{csv:?}");
    for cell in rows.iter().flatten() {
        let runs = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        assert!(!runs, "a spreadsheet would run {cell:?}");
    }
    for formula in FORMULAS {
        let disarmed = format!("'{formula}");
        let row = rows.iter().find(|row| row.get(0) == Some(disarmed.as_str()));
        let row = row.unwrap_or_else(|| panic!("{formula} has no row in {csv:?}"));
        assert!(row.get(1).is_some_and(|title| title.starts_with(&disarmed)), "{row:?}");
    }
}
