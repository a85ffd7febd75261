//! Other people's readers see the same table as ours: the Python package deltalake and DuckDB, after nights
//! that add, change and remove products, and so leave files with deletion vectors.

use crate::faults::nights::{Nights, Shop, rows};
use feedfleet_tests::Fleet;
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

const NIGHTS: u32 = 10;
/// The status of scripts/check_readers.py when a reader is not installed.
const NOT_AVAILABLE: i32 = 3;

/// What two pipes hold after each of ten nights is what every reader of the table finds.
#[test]
fn other_readers_see_the_same_rows() {
    let Some(python) = python() else { return };
    let (shop, fleet) = (Shop::open(), Fleet::new());
    let mut pipes = BTreeMap::from([("alpha", Nights::new(31, 80)), ("beta", Nights::new(32, 30))]);
    for pipe in pipes.keys() {
        shop.write_pipe(&fleet, pipe, false);
    }
    for night in 1..=NIGHTS {
        for (pipe, nights) in &mut pipes {
            if night > 1 {
                nights.pass();
            }
            shop.publish(pipe, nights);
            let report = fleet.run_pipe(pipe);
            nights.committed(report["run"].as_i64().expect("a run has a number"));
            assert_eq!(rows(&fleet.products(pipe)), nights.rows(), "{pipe}, night {night}");
        }
        fleet.write("expected.jsonl", expected(&pipes));
        if !ask_readers(&python, &fleet, night) {
            return;
        }
    }
}

/// The interpreter that scripts/test sets up.
fn python() -> Option<OsString> {
    let python = std::env::var_os("FEEDFLEET_PYTHON");
    if python.is_none() {
        skipped("FEEDFLEET_PYTHON names no interpreter; scripts/test sets one up");
    }
    python
}

/// The rows as scripts/check_readers.py wants them; all from the model, none from the table.
fn expected(pipes: &BTreeMap<&str, Nights>) -> String {
    let mut lines = String::new();
    for (pipe, nights) in pipes {
        for (id, item) in nights.items() {
            let price = item.price_cents.map(|cents| format!("{}.{:02}", cents / 100, cents % 100));
            let row = json!({
                "pipe": pipe, "id": id, "title": item.title, "price": price, "run": item.run,
            });
            lines.push_str(&format!("{row}\n"));
        }
    }
    lines
}

/// Panics when a reader sees other rows. False: one is not installed, which was said.
fn ask_readers(python: &OsStr, fleet: &Fleet, night: u32) -> bool {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/check_readers.py");
    let mut command = Command::new(python);
    command.arg(script).arg(fleet.path("var/catalog/products")).arg(fleet.path("expected.jsonl"));
    let output = command.output().expect("the interpreter of FEEDFLEET_PYTHON can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    let code = output.status.code();
    if code == Some(NOT_AVAILABLE) {
        skipped(said.trim());
        return false;
    }
    assert_eq!(code, Some(0), "after night {night}:\n{said}");
    println!("night {night}: {}", said.trim().replace('\n', ", "));
    true
}

/// Says aloud what was not tested; fails where readers are required.
fn skipped(why: &str) {
    let required = std::env::var_os("FEEDFLEET_REQUIRE_READERS").is_some_and(|v| v == "1");
    assert!(!required, "readers are required: {why}");
    // Not through `println`, which the test harness keeps to itself when a test passes.
    let line = format!("SKIPPED other readers of the table: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error can be written");
}
