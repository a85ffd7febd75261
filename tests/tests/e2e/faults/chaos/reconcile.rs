//! What must be true when the chaos is over: reports, log, rows, snapshots, pictures, queues and objects tell
//! the same story.

use super::Aftermath;
use super::damage::is_torn;
use super::ledger::Ledger;
use super::leftovers;
use super::pictures;
use super::pipe::{Night, Pipe};
use super::tally::Tally;
use crate::faults::nights::{Row, rows};
use crate::faults::support::{attempts, commits, number, object, report, status};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{Decimal128Type, Int64Type};
use feedfleet_catalog::{Catalog, Table, read};
use feedfleet_tests::Fleet;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The rows that a pipe must show after a run, by the run's application and number.
type Expected = BTreeMap<(String, i64), Vec<Row>>;

/// Compares everything with everything else, and counts what happened.
pub(super) fn reconcile(aftermath: &mut Aftermath) {
    let Aftermath { fleet, partner, pipes, tally, .. } = aftermath;
    let catalog = Catalog::open(fleet.path("var/catalog")).expect("the catalog can be opened");
    let images = catalog.images().snapshot().expect("the table's log can be read");
    let images = images.expect("some pictures have been folded");
    let mut expected = Expected::new();
    for pipe in pipes.iter() {
        let (mut ledger, mut may_count_anew) = (Ledger::of(pipe), false);
        for night in &pipe.ended {
            check_run(fleet, pipe, night, &mut ledger, may_count_anew, tally);
            may_count_anew = night.has_lost_report || night.has_lost_list;
            expected.insert((format!("{}/feed", pipe.name), night.run), ledger.rows());
        }
        let reports = fs::read_dir(fleet.path("var/objects/reports").join(&pipe.name));
        assert_eq!(reports.expect("the pipe has reports").count(), pipe.ended.len());
        assert_eq!(rows(&fleet.products(&pipe.name)), ledger.rows(), "{}", pipe.name);
        if pipe.mirrors {
            let pictures = ledger.images();
            pictures::check(fleet, &partner.base_url(), &images, pipe, &pictures);
            tally.add_many("pictures", pictures.len() as u64);
        }
    }
    check_versions(fleet, catalog.products(), expected, tally);

    let status = status(fleet);
    for queue in ["crawl", "image"] {
        for field in ["visible", "in_flight", "dead"] {
            assert_eq!(number(&status, queue, field), 0, "{field} in {queue}");
        }
    }
    for (fault, times) in partner.met() {
        tally.add_many(&format!("partner: {fault}"), times);
    }
    for table in ["products", "images"] {
        count_upkeep(fleet, table, tally);
    }
    leftovers::check(aftermath);
}

/// The run has ended, as it had to, with all of its source in the archive.
fn check_run(
    fleet: &Fleet,
    pipe: &Pipe,
    night: &Night,
    ledger: &mut Ledger,
    may_count_anew: bool,
    tally: &mut Tally,
) {
    let now = report(fleet, &pipe.name, night.run);
    let report = if night.has_lost_report {
        check_report_instead(&now, &night.report, tally);
        &night.report
    } else {
        &now
    };
    let source = &report["source"];
    let may_be: &[&str] = if source["complete"] == true {
        ledger.load(night, may_count_anew);
        &["done"]
    } else {
        let cut = night.cut.unwrap_or_else(|| panic!("nobody cut it short: {report:#}"));
        match ledger.load_part(night, cut, may_count_anew) {
            0 => &["done"],
            // Half of it may have come: then it stays as it was, and is not held.
            1 => &["done", "held"],
            _ => &["held"],
        }
    };
    let state = report["state"].as_str().expect("a report has a state");
    assert!(may_be.contains(&state), "{may_be:?}: {report:#}");
    assert!(!report["finished_at"].is_null(), "{report:#}");
    if source["complete"] == true && source["not_modified"] == false {
        let folder = format!("var/objects/raw/{}/{:012}", pipe.name, night.run);
        if is_torn(&fleet.path(&format!("{folder}/facts.json"))) {
            // Another worker committed the run in the moment in which they were torn: nobody reads them again.
            tally.add("runs: facts torn as the run was committed");
        } else {
            assert_eq!(snapshot(fleet, pipe, night), night.body, "{report:#}");
        }
    }

    tally.add("runs");
    tally.add(&format!("runs: {state}"));
    if !source["resumed_at_bytes"].is_null() {
        tally.add("runs: resumed");
    }
    for attempt in attempts(report) {
        tally.add("attempts");
        let outcome = attempt["end"]["outcome"].as_str().unwrap_or("lost");
        tally.add(&format!("attempts: {outcome}"));
    }
}

/// A report in the place of one that was torn says what the commit says, also where a newer run was in the table by the
/// time that it was found: each run here is in the table, and in its log.
fn check_report_instead(report: &Value, lost: &Value, tally: &mut Tally) {
    assert_eq!(report["state"], lost["state"], "{report:#}\nin the place of {lost:#}");
    assert_eq!(report["lists"], lost["lists"], "{report:#}\nin the place of {lost:#}");
    for name in ["seen", "new", "changed", "unchanged", "removed", "held", "absent", "live"] {
        let (count, before) = (&report["counts"][name], &lost["counts"][name]);
        assert_eq!(count, before, "{name}: {report:#}\nin the place of {lost:#}");
    }
    tally.add("runs: report torn, and mended");
}

/// The bytes of a run's raw snapshot, which must be whole.
fn snapshot(fleet: &Fleet, pipe: &Pipe, night: &Night) -> Vec<u8> {
    let folder = format!("raw/{}/{:012}", pipe.name, night.run);
    let facts = object(fleet, &format!("{folder}/facts.json"));
    assert_eq!(facts["complete"], true, "{folder}: {facts:#}");
    let number = |value: &Value| value.as_u64().expect("facts have numbers");
    let mut bytes = Vec::new();
    for segment in facts["segments"].as_array().expect("facts list their segments") {
        for part in 0..number(&segment["parts"]) {
            let name = format!("{:04}-{part:08}", number(&segment["transfer"]));
            let part = fs::read(fleet.path("var/objects").join(&folder).join(name));
            bytes.extend(part.unwrap_or_else(|e| panic!("{folder}: {e}: {facts:#}")));
        }
    }
    bytes
}

/// Every run is in the table once. At each version, the pipe that it changed shows the rows that it had after
/// its newest run; a compaction changes none. There are no other versions.
fn check_versions(fleet: &Fleet, table: &Table, mut expected: Expected, tally: &mut Tally) {
    let all = commits(fleet);
    let fenced: BTreeSet<u64> = all.iter().map(|commit| commit.version).collect();
    let newest = table.snapshot().expect("the table's log can be read").expect("there is a table");
    // Version 0 is the table's creation.
    let nobodys: Vec<u64> = (1..=newest.version()).filter(|v| !fenced.contains(v)).collect();
    assert!(nobodys.is_empty(), "versions that no run and no compaction made: {nobodys:?}");
    let mut shown: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for commit in all {
        let (pipe, what) = commit.app.split_once('/').expect("an application is of a pipe");
        let pipe = pipe.to_owned();
        match what {
            "feed" => {
                let rows = expected.remove(&(commit.app.clone(), commit.run));
                let rows =
                    rows.unwrap_or_else(|| panic!("nobody asked for it, or twice: {commit:?}"));
                shown.insert(pipe.clone(), rows);
                tally.add("commits");
            }
            "compaction" => tally.add("compactions"),
            _ => panic!("nobody asked for it: {commit:?}"),
        }
        assert_eq!(Some(&rows_at(table, commit.version, &pipe)), shown.get(&pipe), "{commit:?}");
        tally.add("versions");
    }
    assert!(expected.is_empty(), "not in the table: {:?}", expected.keys());
}

fn rows_at(table: &Table, version: u64, pipe: &str) -> Vec<Row> {
    let snapshot = table.snapshot_at(version).expect("the table's log can be read");
    let snapshot = snapshot.expect("the version exists");
    let name = pipe.parse().expect("a pipe's name");
    let mut found = Vec::new();
    for file in snapshot.files(Some(&name)).expect("the table's log can be read") {
        let columns = ["id", "title", "price", "run"];
        read::for_each_batch(&snapshot, &file, Some(&columns), |rows| {
            let column = |name| rows.batch.column_by_name(name).expect("the file has the column");
            let (ids, titles) =
                (column("id").as_string::<i32>(), column("title").as_string::<i32>());
            let prices = column("price").as_primitive::<Decimal128Type>();
            let runs = column("run").as_primitive::<Int64Type>();
            for row in rows.live() {
                let price = prices.is_valid(row).then(|| prices.value(row) as i64);
                let (id, title) = (ids.value(row).to_owned(), titles.value(row).to_owned());
                found.push((id, title, price, runs.value(row)));
            }
            Ok(())
        })
        .expect("a data file can be read");
    }
    found.sort();
    found
}

/// Counts the checkpoints of a table and, of the one that is not looked at version by version, the commits.
fn count_upkeep(fleet: &Fleet, table: &str, tally: &mut Tally) {
    let folder = fleet.path(&format!("var/catalog/{table}/_delta_log"));
    for entry in fs::read_dir(folder).expect("the table is there").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".checkpoint.parquet") {
            tally.add("checkpoints");
        } else if table == "images" && name.ends_with(".json") {
            tally.add("commits: images");
        }
    }
}
