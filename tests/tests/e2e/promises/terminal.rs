//! What partners write reaches a terminal and a spreadsheet as text, and as nothing else.

use super::skipped;
use crate::faults::support::fleet;
use feedfleet_tests::{Fleet, feedfleet};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Write};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Clears the screen, sets the window's title, rings; the same sequence begun by one 8-bit character; characters
/// that reorder text; and an end of line, with what would look like a line of the program's own.
const HOSTILE: &str =
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}gpj.exe\u{2066}\u{61c}\u{7f}\r\nforged";
/// A part of it, as it is shown: control characters below 32 are taken out of feeds, this one is not.
const SHOWN: &str = "\\u{9b}31m";
/// The same in JSON.
const SHOWN_IN_JSON: &str = "\\u009b31m";
/// A night to simulate.
const NIGHT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/simulate/migration.toml");
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
    assert_harmless(&format!("{args:?}"), &said);
    said
}

fn assert_harmless(whose: &str, said: &str) {
    let found: Vec<char> = said.chars().filter(|c| steers(*c)).collect();
    assert!(found.is_empty(), "{whose} prints {found:?} in {said:?}");
    let forged = said.lines().find(|line| line.trim_start().starts_with("forged"));
    assert!(forged.is_none(), "{whose} prints a line of the partner's:\n{said}");
}

/// As [`look`], of what must show the partner's text.
fn look_at_text(fleet: &Fleet, args: &[&str]) {
    let said = look(fleet, args);
    assert!(said.contains(SHOWN), "{args:?} does not show the text:\n{said}");
}

/// As [`look`], of JSON, unless the command fails and prints none. `has_text`: whether it must show the partner's.
fn look_at_json(fleet: &Fleet, args: &[&str], has_text: bool) {
    let output = fleet.run(args);
    let said = output.all();
    assert_harmless(&format!("{args:?}"), &said);
    if !output.stdout.is_empty() {
        output.json();
    }
    // Errors are texts, and some reasons quote the text as it is shown.
    let is_shown = said.contains(SHOWN_IN_JSON) || said.contains(SHOWN);
    assert!(!has_text || is_shown, "{args:?} does not show the text:\n{said}");
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
    let fleet = fleet("visibility = \"60s\"\nmax_receives = 1", "max = 1");
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

/// The file that a pipe reads.
fn source(fleet: &Fleet, pipe: &str) -> String {
    let files = ["csv", "json", "zip", "xml"].map(|ending| fleet.path(&format!("{pipe}.{ending}")));
    let file = files.into_iter().find(|file| file.exists()).expect("a pipe has a file");
    file.display().to_string()
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
        look(&fleet, &["pipes", "detect", &source(&fleet, pipe)]);
        look_at_text(&fleet, &["run", pipe, "--wait"]);
        look_at_text(&fleet, &["runs", "show", pipe]);
        look(&fleet, &["pipes", "diagnose", pipe]);
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

/// What has `--json` among a command and those below it, as its help tells.
fn commands_with_json(fleet: &Fleet, command: &[&str]) -> BTreeSet<String> {
    let mut asked = command.to_vec();
    asked.push("--help");
    let help = fleet.run(&asked).ok().stdout;
    let mut found = BTreeSet::new();
    if help.contains("--json") {
        found.insert(command.join(" "));
    }
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    for line in listed.take_while(|line| !line.is_empty()) {
        // What is indented further goes on with a description.
        let name = line.strip_prefix("  ").and_then(|line| line.split(' ').next());
        if let Some(name) = name.filter(|name| !name.is_empty() && *name != "help") {
            let mut below = command.to_vec();
            below.push(name);
            found.extend(commands_with_json(fleet, &below));
        }
    }
    found
}

/// Promise 17: the same of every command that prints JSON: what it says is the partner's text, and what it prints
/// steers no terminal.
#[test]
fn no_json_passes_control_characters_on() {
    let fleet = hostile_fleet();
    let mut looked = BTreeSet::new();
    let mut look_at = |command: &str, args: &[&str], has_text: bool| {
        let args: Vec<&str> = command.split(' ').chain(args.iter().copied()).collect();
        look_at_json(&fleet, &args, has_text);
        looked.insert(command.to_owned());
    };
    for (pipe, is_previewed) in PIPES {
        look_at("pipes preview", &[pipe, "-n", "20", "--json"], is_previewed);
        look_at("run", &[pipe, "--wait", "--json"], true);
        look_at("runs show", &[pipe, "--json"], true);
        look_at("pipes diagnose", &[pipe, "--json"], pipe == "table");
        look_at("pipes detect", &[&source(&fleet, pipe), "--json"], pipe == "table");
    }
    look_at("pipes list", &["--json"], false);
    look_at("runs list", &["--json"], true);
    look_at("fleet status", &["--json"], false);
    look_at("fleet simulate", &[NIGHT, "--json"], false);
    look_at("doctor", &["--offline", "--json"], false);
    look_at("dlq list", &["--json"], true);
    look_at("dlq list", &["--each", "--json"], true);
    let letters = fleet.run(&["dlq", "list", "--each", "--json"]).ok().json();
    let letters = letters.as_array().expect("letters are a list");
    assert_eq!(letters.len(), DEAD.len(), "{letters:#?}");
    let reason = |letter: &Value| letter["reason"]["message"].to_string();
    let is_said = letters.iter().any(|letter| reason(letter).contains("\u{9b}31m"));
    assert!(is_said, "what is read is not the partner's text: {letters:#?}");
    for letter in letters {
        let id = letter["id"].as_str().expect("a letter has an id");
        look_at("dlq show", &[id, "--json"], true);
    }
    assert_eq!(looked, commands_with_json(&fleet, &[]));

    let printed = look(&fleet, &["dlq", "export"]);
    let file = fleet.path("letters.jsonl");
    let path = file.to_str().expect("the path of a temporary folder is text");
    look(&fleet, &["dlq", "export", "--out", path]);
    let written = fs::read_to_string(&file).expect("the letters were exported");
    assert_eq!(written, printed);
    let exported = written.lines().map(|line| serde_json::from_str(line).expect("a line is JSON"));
    assert_eq!(exported.collect::<Vec<Value>>(), *letters);
}

/// Promise 17: logs in JSON steer no terminal either, and the workers of a command log as it does.
#[test]
fn no_log_in_json_passes_control_characters_on() {
    let fleet = hostile_fleet();
    for (pipe, _) in PIPES {
        let args = ["--log", "debug", "--log-format", "json", "run", pipe, "--wait", "--json"];
        let output = fleet.run(&args);
        assert_harmless(&format!("{args:?}"), &output.all());
        let log = |line: &str| -> Value {
            serde_json::from_str(line)
                .unwrap_or_else(|e| panic!("a line of the log is no JSON, {e}: {line}"))
        };
        let logs: Vec<Value> = output.stderr.lines().map(log).collect();
        let whose = |part: &str| {
            logs.iter().any(|log| log["target"].as_str().is_some_and(|t| t.contains(part)))
        };
        assert!(whose("feedfleet_scheduler") && whose("feedfleet_worker"), "{logs:#?}");
    }
}

/// Promise 17: SQL's answers are harmless as a table, as JSON and as CSV; in CSV, no text begins as a formula does, and
/// every text stays in its cell.
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
    look_at_json(&fleet, &["sql", query, "--format", "json"], true);
    look(&fleet, &["sql", "SELECT * FROM runs"]);
    look_at_json(&fleet, &["sql", "SELECT * FROM runs", "--format", "json"], false);

    let csv = fleet.run(&["sql", query, "--format", "csv"]).ok().stdout;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<csv::StringRecord> =
        reader.records().map(|row| row.expect("every row has its cells")).collect();
    assert!(csv.contains(SHOWN_IN_JSON), "{csv:?} does not show the text");
    // A mark that Arabic needs is in the file.
    let steering: Vec<char> = csv.chars().filter(|c| steers(*c) && *c != '\u{61c}').collect();
    assert!(steering.is_empty(), "{steering:?} in {csv:?}");
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
