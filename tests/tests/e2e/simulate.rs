//! `feedfleet fleet simulate`: the examples, mistakes in a night's file, and a night that was.

use feedfleet_tests::{Fleet, Output};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/simulate").join(name)
}

/// `feedfleet fleet simulate FILE arguments…`
fn simulate(fleet: &Fleet, file: &Path, arguments: &[&str]) -> Output {
    let mut command = fleet.command(&["fleet", "simulate"]);
    command.arg(file).args(arguments);
    fleet.finish(command)
}

fn outcome<'a>(simulation: &'a Value, name: &str) -> &'a Value {
    let outcomes = simulation["outcomes"].as_array().expect("outcomes are a list");
    let found = outcomes.iter().find(|o| o["name"].as_str().is_some_and(|n| n.starts_with(name)));
    found.unwrap_or_else(|| panic!("no outcome is called {name}"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// What a month costs, in US dollars.
fn month(outcome: &Value) -> f64 {
    number(&outcome["bill"]["month_usd"])
}

#[test]
fn a_thousand_pipes_are_simulated_in_seconds() {
    let fleet = Fleet::bare();
    let svg = fleet.path("night.svg");
    let svg_name = svg.to_str().expect("a temporary folder has a plain name");
    let start = Instant::now();
    let output = simulate(&fleet, &example("thousand-pipes.toml"), &["--json", "--svg", svg_name]);
    let taken = start.elapsed();
    let simulation = output.ok().json();
    assert_eq!(simulation["pipes"], 1_000);
    assert_eq!(simulation["products"], 100_000_000);
    assert_eq!(simulation["images"], 10_000_000);
    for outcome in simulation["outcomes"].as_array().expect("outcomes are a list") {
        assert_eq!(outcome["finished"], true, "{}", outcome["name"]);
        assert_eq!(outcome["rows"], 100_000_000, "{}", outcome["name"]);
        assert_eq!(outcome["images"], 10_000_000, "{}", outcome["name"]);
    }
    let (own, always) = (outcome(&simulation, "this fleet"), outcome(&simulation, "always on"));
    assert_eq!(own["peak_workers"], 60, "as many as it may have");
    assert_eq!(always["peak_workers"], own["peak_workers"]);
    assert!(month(own) < month(always));
    let last = own["timeline"].as_array().and_then(|points| points.last()).expect("a timeline");
    assert_eq!((&last["workers"], &last["pictures"]), (&0.into(), &0.into()), "to zero again");
    let drawn = fs::read_to_string(svg).expect("the picture was drawn");
    assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"));
    // Five fleets; on a machine with other work.
    assert!(taken < Duration::from_secs(60), "it took {taken:?}");
}

#[test]
fn the_migration_costs_less_than_the_servers_it_replaced() {
    let fleet = Fleet::bare();
    let simulation = simulate(&fleet, &example("migration.toml"), &["--json"]).ok().json();
    let own = outcome(&simulation, "this fleet");
    assert_eq!((&own["finished"], &own["rows"]), (&true.into(), &30_000_000.into()));
    let before = simulation["compare"].as_array().expect("others' costs are a list");
    assert_eq!(before[0]["usd"], 5_750.93);
    assert!(month(own) < 5_750.93 / 5.0, "{}", own["bill"]);
    // The upsert alone took two hours.
    let taken = number(&own["runs_done_secs"]) - number(&simulation["first_due_secs"]);
    assert!(taken < 1_800.0, "{taken}");
    let shown = simulate(&fleet, &example("migration.toml"), &["--set", "workers.max=3"]);
    shown.ok().says(&[
        "30,000,000 products",
        "workers.max=3",
        "most workers",
        "spot instances",
        "S3 requests",
        "the servers before the migration, always on: $5,750.93",
    ]);
}

/// docs/simulate.md shows what is printed today.
#[test]
fn the_documents_show_what_is_printed() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/simulate.md");
    let document = fs::read_to_string(document).expect("the document is there");
    let fleet = Fleet::bare();
    for name in ["thousand-pipes.toml", "migration.toml"] {
        let printed = simulate(&fleet, &example(name), &[]).ok().stdout;
        let lines: Vec<&str> = printed.trim_end().lines().map(str::trim_end).collect();
        let lines = lines.join("\n");
        assert!(
            document.contains(&lines),
            "docs/simulate.md does not show what {name} gives:\n{lines}"
        );
    }
}

#[test]
fn mistakes_are_told_with_file_line_and_what_was_expected() {
    let fleet = Fleet::bare();
    fleet.write("prices.toml", fs::read(example("prices.toml")).expect("the example is there"));
    let night = "prices = \"prices.toml\"\n[[pipes]]\nproducts = 1000\nproduct = \"400B\"\n\
                 changed = \"5\"\nspeed = \"10MB\"\nat = \"01:00\"\nimagse = \"1%\"\n";
    fleet.write("night.toml", night);
    let file = fleet.path("night.toml");
    simulate(&fleet, &file, &[]).failed().says(&[
        "night.toml:5:11: '5' is not a percentage; expected '0%' to '100%'",
        "night.toml:8:1: unknown field 'imagse' in [pipes]; did you mean 'images'?",
    ]);
    fleet.write("night.toml", night.replace("\"5\"", "\"5%\"").replace("imagse", "images"));
    simulate(&fleet, &file, &["--set", "workers.max=many"])
        .failed()
        .says(&["--set:1:", "max in [workers] is a text; expected a whole number"]);
    simulate(&fleet, &fleet.path("no.toml"), &[]).failed().says(&["could not read", "no.toml"]);
    simulate(&fleet, &file, &["--set", "workers.max=2"]).ok().says(&["this fleet", "$"]);
}

#[test]
fn a_recorded_night_is_simulated() {
    let fleet = Fleet::new();
    fleet.write("shop.csv", "sku,name\n1,Lamp\n2,Chair\n3,Table\n");
    fleet.pipe(
        "shop",
        "[source]\nurl = \"shop.csv\"\nformat = \"csv\"\n[map]\nid = \"sku\"\ntitle = \"name\"\n",
    );
    let report = fleet.run_pipe("shop");
    let epoch = report["run"].as_i64().expect("a run is named by its time");
    let day = Command::new("date").args(["-u", "+%F", "-d", &format!("@{epoch}")]).output();
    let day = String::from_utf8(day.expect("date can be started").stdout).expect("it is a date");
    let prices = example("prices.toml");
    fleet.write("night.toml", format!("prices = \"{}\"\n", prices.display()));
    let file = fleet.path("night.toml");
    let simulation = simulate(&fleet, &file, &["--recorded", day.trim(), "--json"]).ok().json();
    assert_eq!((&simulation["pipes"], &simulation["products"]), (&1.into(), &3.into()));
    assert_eq!(simulation["first_due_secs"], epoch.rem_euclid(86_400));
    assert_eq!(outcome(&simulation, "this fleet")["rows"], 3);
    simulate(&fleet, &file, &["--recorded", "2001-01-01"])
        .failed()
        .says(&["of 2001-01-01 (UTC) no run is recorded", "feedfleet runs list"]);
    simulate(&fleet, &file, &[]).failed().says(&["the file describes no pipes"]);
}
