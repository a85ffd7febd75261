//! Bad input as a table: what a partner sends, what an address leads to, what lies on the queue, what stands
//! in the configuration; and for each what the operator reads about it. Whatever it is, the products that were
//! there before are still there.

mod addresses;
mod bodies;
mod configuration;
mod feeds;
mod payloads;

use feedfleet_tests::{Fleet, Product, eventually};
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// Long enough for a table's runs to be done, on a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(90);
/// What the workers of these tests may hold, their children included.
const MEMORY_BYTES: u64 = 512 << 20;
/// A worker that does two crawls at once, each with 160 MiB, and tries none of them a second time.
const WORKER: &str = "[leases]\nvisibility = \"60s\"\nmax_receives = 1\n\
                      [workers]\ncrawl_slots = 2\nmemory = \"512MiB\"\n";

/// One row of a table.
struct Case {
    /// Its name, and its pipe's.
    name: &'static str,
    /// How the run ends.
    state: &'static str,
    /// What the operator reads in the run's report.
    says: &'static [&'static str],
    /// What must hold of the products then, beside that those of before are there.
    products: fn(&[Product]),
}

impl Case {
    const fn new(name: &'static str, state: &'static str, says: &'static [&'static str]) -> Self {
        Self { name, state, says, products: |_| {} }
    }
}

/// Puts a run of each pipe on the queue and waits until all have ended.
fn night(fleet: &Fleet, pipes: &[&str]) {
    let issue = |&pipe: &&str| {
        let report = fleet.run(&["run", pipe, "--json"]).ok().json();
        let run = report["run"].as_i64().expect("a run has a number");
        fleet.path(&format!("var/objects/reports/{pipe}/{run:012}.json"))
    };
    let reports: Vec<_> = pipes.iter().map(issue).collect();
    for (path, pipe) in reports.iter().zip(pipes) {
        eventually(SOON, &format!("the run of {pipe} to end"), || {
            let report: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
            let is_final = matches!(report["state"].as_str(), Some("done" | "held" | "dead"));
            let is_noted = report["attempts"][0]["end"].is_object();
            (is_final && is_noted).then_some(())
        });
    }
}

/// The products of each pipe after a night that must have gone well.
fn good_night(fleet: &Fleet, pipes: &[&str]) -> Vec<Vec<Product>> {
    night(fleet, pipes);
    let products = |&pipe: &&str| {
        let report = fleet.report(pipe);
        assert_eq!(report["state"], "done", "{pipe}: {report:#}");
        let products = fleet.products(pipe);
        assert!(!products.is_empty(), "{pipe}");
        products
    };
    pipes.iter().map(products).collect()
}

/// A row's run has ended: it ended as it should, says why, kept the products, and stayed within its memory.
/// Gives what is wrong, so that one row hides no other.
fn check(fleet: &Fleet, case: &Case, before: &[Product]) -> Vec<String> {
    let name = case.name;
    let report = fleet.report(name);
    let shown = fleet.run(&["runs", "show", name]).ok().all();
    let mut wrong = Vec::new();
    if report["state"] != case.state {
        wrong.push(format!("{name} is {}, not {}", report["state"], case.state));
    }
    for text in case.says.iter().filter(|text| !shown.contains(**text)) {
        wrong.push(format!("{name} does not say {text:?}"));
    }
    // A run that went past its memory, or took its process along, is no answer to any input.
    for text in ["worker-lost", "panicked", "the job needed more than"] {
        if shown.contains(text) {
            wrong.push(format!("{name} says {text:?}"));
        }
    }
    if report["attempts"].as_array().map(Vec::len) != Some(1) {
        wrong.push(format!("{name} was tried more than once"));
    }
    let peak_bytes = report["peak_memory_bytes"].as_u64().unwrap_or_default();
    if peak_bytes == 0 {
        wrong.push(format!("{name} does not say how much memory it held"));
    }
    if peak_bytes >= MEMORY_BYTES {
        wrong.push(format!("{name} held {peak_bytes} bytes of memory"));
    }
    let after = fleet.products(name);
    for product in before {
        if !after.iter().any(|now| now.id == product.id) {
            wrong.push(format!("{name} lost the product {}", product.id));
        }
    }
    if case.state == "dead" && after != before {
        wrong.push(format!("{name} is dead, and changed products"));
    }
    if !wrong.is_empty() {
        wrong.push(shown);
    }
    (case.products)(&after);
    wrong
}

/// Checks every row of a table; `before` has the products of each.
fn check_all(fleet: &Fleet, cases: &[Case], before: &[Vec<Product>]) {
    let wrong: Vec<String> =
        cases.iter().zip(before).flat_map(|(case, before)| check(fleet, case, before)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
