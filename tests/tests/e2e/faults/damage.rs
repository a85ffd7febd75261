//! Objects that are damaged where they lie, and what a writer that was killed leaves in the table's log.

use super::nights::{Nights, Shop, rows};
use super::support::{SOON, commits, fleet, is_final, issue, object, settled, stop};
use feedfleet_tests::{Fleet, eventually};
use serde_json::Value;
use std::fs;

/// Promise 1: a run whose report is damaged is not lost. Its report says again what the commit says, the damaged one
/// is kept, and the pipe goes on.
#[test]
fn a_damaged_report_says_again_what_the_commit_says() {
    let (shop, fleet) = (Shop::open(), fleet("visibility = \"60s\"", "max = 1"));
    let mut nights = Nights::new(51, 40);
    shop.publish("acme", &nights);
    shop.write_pipe(&fleet, "acme", false);
    let mut worker = fleet.spawn(&["worker"]);
    let run = issue(&fleet, "acme");
    let before = settled(&fleet, "acme", run);
    assert_eq!(before["state"], "done", "{before:#}");
    nights.committed(run);

    let key = format!("reports/acme/{run:012}.json");
    let path = fleet.path("var/objects").join(&key);
    let whole = fs::read(&path).expect("the run has a report");
    let damaged = &whole[..whole.len() / 2];
    fleet.write(&format!("var/objects/{key}"), damaged);

    let mut scheduler = fleet.spawn(&["scheduler"]);
    let after = mended(&fleet, &key);
    for name in ["state", "table_version", "lists"] {
        assert_eq!(after[name], before[name], "{name}: {after:#}");
    }
    assert_eq!(after["counts"], before["counts"], "{after:#}");
    assert_eq!(after["reason"]["class"], "unreadable", "{after:#}");
    let told = after["reason"]["message"].as_str().expect("a reason has a message");
    let copy = told.rsplit('\'').nth(1).expect("it names the copy");
    let kept = fs::read(fleet.path("var/objects").join(copy));
    assert_eq!(kept.expect("the copy is there"), damaged);

    nights.pass();
    shop.publish("acme", &nights);
    let next = issue(&fleet, "acme");
    let report = settled(&fleet, "acme", next);
    assert_eq!(report["state"], "done", "{report:#}");
    nights.committed(next);
    assert_eq!(rows(&fleet.products("acme")), nights.rows());
    stop(&mut worker);
    stop(&mut scheduler);
}

/// Promise 1: so, too, where no scheduler runs, and somebody asks for the next run.
#[test]
fn a_damaged_report_is_mended_by_who_asks_for_a_run() {
    let (shop, fleet) = (Shop::open(), fleet("visibility = \"60s\"", "max = 1"));
    shop.publish("acme", &Nights::new(52, 40));
    shop.write_pipe(&fleet, "acme", false);
    let run = || fleet.run(&["run", "acme", "--wait", "--json"]).ok().json();
    let before = run();
    assert_eq!(before["state"], "done", "{before:#}");

    let number = before["run"].as_i64().expect("a run has a number");
    fleet.write(&format!("var/objects/reports/acme/{number:012}.json"), b"{\"schema\":1,");
    let after = run();
    for name in ["run", "state", "table_version", "counts", "lists"] {
        assert_eq!(after[name], before[name], "{name}: {after:#}");
    }
    assert_eq!(after["reason"]["class"], "unreadable", "{after:#}");
    let next = run();
    assert_eq!(next["state"], "done", "{next:#}");
    assert!(next["run"].as_i64() > Some(number), "{next:#}");
}

/// Promise 1: so, too, where the pipe's next run came before the worker that was to end this one: it is in the table.
#[test]
fn a_run_that_was_overtaken_after_its_commit_is_done() {
    let (shop, fleet) = (Shop::open(), fleet("visibility = \"60s\"", "max = 1"));
    let mut nights = Nights::new(54, 40);
    shop.publish("acme", &nights);
    shop.write_pipe(&fleet, "acme", false);
    let first = fleet.run_pipe("acme");
    nights.pass();
    shop.publish("acme", &nights);
    assert_eq!(fleet.run_pipe("acme")["state"], "done");

    // What a scheduler left of the first one's report, when it was damaged before the second one had committed.
    let number = first["run"].as_i64().expect("a run has a number");
    let key = format!("reports/acme/{number:012}.json");
    let mut report = object(&fleet, &key);
    report["state"] = "committed".into();
    for name in ["sent_at", "finished_at", "table_version"] {
        report[name] = Value::Null;
    }
    report["attempts"] = Value::Array(Vec::new());
    report["counts"]["new"] = 0.into();
    fleet.write(&format!("var/objects/{key}"), report.to_string());

    let mut scheduler = fleet.spawn(&["scheduler"]);
    let mut worker = fleet.spawn(&["worker"]);
    let after = settled(&fleet, "acme", number);
    for name in ["state", "table_version", "counts"] {
        assert_eq!(after[name], first[name], "{name}: {after:#}");
    }
    stop(&mut worker);
    stop(&mut scheduler);
}

/// Promise 1: a report that is damaged long after its run has ended is mended when a scheduler starts, however many
/// runs have come since.
#[test]
fn an_old_report_is_mended_too() {
    let (shop, fleet) = (Shop::open(), fleet("visibility = \"60s\"", "max = 1"));
    shop.publish("acme", &Nights::new(55, 40));
    shop.write_pipe(&fleet, "acme", false);
    let reports: Vec<Value> = (0..5).map(|_| fleet.run_pipe("acme")).collect();
    let oldest = reports[0]["run"].as_i64().expect("a run has a number");
    let key = format!("reports/acme/{oldest:012}.json");
    fleet.write(&format!("var/objects/{key}"), b"{\"half\":");
    let mut scheduler = fleet.spawn(&["scheduler"]);
    let after = mended(&fleet, &key);
    for name in ["state", "table_version", "counts"] {
        assert_eq!(after[name], reports[0][name], "{name}: {after:#}");
    }
    stop(&mut scheduler);
}

/// Promise 3: a worker that is killed while it writes the log entry of its commit leaves a part of it under another name
/// than the entry's. That is no version: the rows are those of the newest whole one, and the next run takes the number.
#[test]
fn half_a_log_entry_is_no_version() {
    let (shop, fleet) = (Shop::open(), fleet("visibility = \"60s\"", "max = 1"));
    let mut nights = Nights::new(53, 40);
    shop.publish("acme", &nights);
    shop.write_pipe(&fleet, "acme", false);
    let run = || {
        let report = fleet.run_pipe("acme");
        assert_eq!(report["state"], "done", "{report:#}");
        let number = report["run"].as_i64().expect("a run has a number");
        (number, report["table_version"].as_u64().expect("the run is in the table"))
    };
    let (number, version) = run();
    nights.committed(number);
    let before = commits(&fleet);

    let entry = |version: u64| format!("var/catalog/products/_delta_log/{version:020}.json");
    let whole = fs::read(fleet.path(&entry(version))).expect("the run has a log entry");
    let half = &whole[..whole.len() / 2];
    // As it is called until it is whole.
    let torn = "var/catalog/products/log_entry_0b7a6d1c-5e0f-4f3b-9a53-3a0a3a1f2b77.draft";
    fleet.write(torn, half);
    assert_eq!(commits(&fleet), before);
    assert_eq!(rows(&fleet.products("acme")), nights.rows());

    while nights.rows() == rows(&fleet.products("acme")) {
        nights.pass();
    }
    shop.publish("acme", &nights);
    let (number, next) = run();
    assert_eq!(next, version + 1);
    nights.committed(number);
    assert_eq!(rows(&fleet.products("acme")), nights.rows());
    assert_eq!(commits(&fleet).len(), before.len() + 1);
    assert_eq!(fs::read(fleet.path(torn)).expect("nobody needs its name"), half);
}

/// The run's report, once it has one again that says that the run has ended.
fn mended(fleet: &Fleet, key: &str) -> Value {
    let path = fleet.path("var/objects").join(key);
    let read = || serde_json::from_slice(&fs::read(&path).expect("it is never gone")).ok();
    eventually(SOON, "the run to have its report again", || read().filter(is_final))
}
