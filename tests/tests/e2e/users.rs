//! A new user's first ten minutes: what works, and what each likely mistake is told.

use feedfleet_tests::{Fleet, feedfleet};
use serde_json::Value;
use std::net::TcpListener;
use std::process::Command;

const CSV: &str = "sku,name,price,colour\n1,Lamp,9.90,red\n2,Chair,50,blue\n3,Table,120.5,oak\n";
const PIPE: &str = r#"
[source]
url = "products.csv"
format = "csv"
[map]
id = "sku"
title = "name"
price = { field = "price", as = "money", currency = "EUR" }
[guard]
max_removed = "50%"
"#;

/// A fleet with one pipe, `shop`, and its file.
fn shop() -> Fleet {
    shop_with(PIPE)
}

fn shop_with(pipe: &str) -> Fleet {
    let fleet = Fleet::new();
    fleet.write("products.csv", CSV);
    fleet.pipe("shop", pipe);
    fleet
}

/// The pipe with one of its lines replaced.
fn but(line: &str, instead: &str) -> String {
    assert!(PIPE.contains(line), "{line}");
    PIPE.replace(line, instead)
}

#[track_caller]
fn assert_counts(report: &Value, expected: &[(&str, u64)]) {
    for (name, count) in expected {
        assert_eq!(report["counts"][name], *count, "{name} in {report:#}");
    }
}

#[test]
fn an_empty_folder_is_told_what_belongs_there() {
    let fleet = Fleet::bare();
    let commands: [&[&str]; 5] = [
        &["pipes", "check"],
        &["pipes", "list"],
        &["up"],
        &["run", "shop", "--wait"],
        &["fleet", "status"],
    ];
    for command in commands {
        fleet.run(command).failed().says(&["fleet.toml", "pipes/NAME.toml", "--config"]);
    }
    assert!(fleet.files().is_empty(), "{:?}", fleet.files().keys());
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let fleet = Fleet::bare();
    let mut command = Command::new(feedfleet());
    command.arg("--config").arg(fleet.path("elsewhere")).args(["pipes", "list"]);
    fleet.finish(command).failed().says(&["elsewhere", "no such folder"]);
}

#[test]
fn the_first_nights_of_a_file() {
    let fleet = shop();
    fleet.run(&["pipes", "check"]).ok().says(&["pipes/shop.toml: ok", "no mistakes"]);
    fleet.run(&["run", "shop", "--wait"]).ok().says(&["done", "3 seen: 3 new", "3 live"]);
    let first = fleet.report("shop");
    assert_eq!(first["state"], "done", "{first:#}");
    assert_counts(&first, &[("seen", 3), ("new", 3), ("live", 3), ("refused", 0)]);
    let first_night = fleet.products("shop");
    let briefs: Vec<_> = first_night.iter().map(|p| p.brief()).collect();
    assert_eq!(briefs, [("1", "Lamp", 99_000), ("2", "Chair", 500_000), ("3", "Table", 1_205_000)]);
    assert_eq!(first_night[0].text("price_currency"), "EUR");
    assert_eq!(first_night[0].extra["colour"], "red");

    // One price is edited, one product goes, one comes.
    fleet.write(
        "products.csv",
        "sku,name,price,colour\n1,Lamp,11.90,red\n2,Chair,50,blue\n4,Shelf,80,oak\n",
    );
    let second = fleet.run_pipe("shop");
    let counts = [("new", 1), ("changed", 1), ("unchanged", 1), ("removed", 1), ("live", 3)];
    assert_counts(&second, &counts);
    let second_night = fleet.products("shop");
    let briefs: Vec<_> = second_night.iter().map(|p| p.brief()).collect();
    assert_eq!(briefs, [("1", "Lamp", 119_000), ("2", "Chair", 500_000), ("4", "Shelf", 800_000)]);
    // The product that stayed as it was is still the first night's row.
    assert_eq!(second_night[1], first_night[1]);
    assert_eq!(second_night[0].run, second["run"]);

    let third = fleet.run_pipe("shop");
    assert_eq!(third["state"], "done", "{third:#}");
    let counts = [("new", 0), ("changed", 0), ("unchanged", 3), ("removed", 0), ("live", 3)];
    assert_counts(&third, &counts);
    assert_eq!(third["bytes"]["written"], 0, "{third:#}");
    assert_eq!(fleet.products("shop"), second_night);

    // The first night's bytes again, as a run of their own.
    let replay =
        fleet.run(&["run", "shop", "--replay", &first["run"].to_string(), "--wait", "--json"]);
    let replay = replay.ok().json();
    assert!(replay["run"].as_i64() > third["run"].as_i64(), "{replay:#}");
    assert_eq!(replay["source"]["replayed_from"], first["source"]["raw_key"], "{replay:#}");
    assert_counts(&replay, &[("new", 1), ("changed", 1), ("removed", 1), ("live", 3)]);
    let replayed = fleet.products("shop");
    assert!(replayed.iter().map(|p| p.brief()).eq(first_night.iter().map(|p| p.brief())));

    let runs = fleet.run(&["runs", "list", "--json"]).ok().json();
    let ids: Vec<_> = runs.as_array().into_iter().flatten().map(|run| &run["run"]).collect();
    let expected = [&replay["run"], &third["run"], &second["run"], &first["run"]];
    assert_eq!(ids, expected, "newest first");
    let listed = fleet.run(&["pipes", "list", "--json"]).ok().json();
    assert_eq!(listed[0]["live"], 3, "{listed:#}");
    assert_eq!(listed[0]["last_state"], "done", "{listed:#}");
}

/// A dead night takes nothing away, and nothing that is shown afterwards says so.
#[test]
fn a_dead_run_leaves_the_products_that_are_listed() {
    let fleet = shop();
    fleet.run_pipe("shop");
    fleet.pipe("shop", &but("products.csv", "prodcts.csv"));
    let dead = fleet.run(&["run", "shop", "--wait"]).failed();
    dead.says(&["products       as they were: the run is not in the table"]);
    let listed = fleet.run(&["pipes", "list", "--json"]).ok().json();
    assert_eq!(listed[0]["live"], 3, "{listed:#}");
    assert_eq!(listed[0]["last_state"], "dead", "{listed:#}");
    // Its number may be ahead of the clock, to be greater than the last run's. It was not scheduled for later.
    assert_eq!(listed[0]["last_run"], fleet.report("shop")["created_at"], "{listed:#}");
}

#[test]
fn a_replay_of_a_run_that_never_was_says_so() {
    let fleet = shop();
    let last = fleet.run_pipe("shop");
    let before = fleet.products("shop");
    let run = fleet.run(&["run", "shop", "--replay", "17", "--wait"]).failed();
    run.says(&["raw snapshot", "is not there", "expired", "feedfleet run shop"]);
    assert_eq!(fleet.products("shop"), before);
    assert_eq!(fleet.report("shop")["run"], last["run"], "nothing was queued");
}

#[test]
fn looking_changes_nothing() {
    let fleet = shop();
    let before = fleet.files();
    let preview = fleet.run(&["pipes", "preview", "shop"]).ok();
    preview.says(&["Lamp", "120.5", "extra.colour", "3 records read", "nothing was written"]);
    let preview = fleet.run(&["pipes", "preview", "shop", "--json", "-n", "2"]).ok().json();
    assert_eq!(preview["rows"].as_array().map(Vec::len), Some(2), "{preview:#}");
    assert_eq!(preview["rows"][0]["price"], "9.9", "{preview:#}");
    fleet.run(&["pipes", "check"]).ok();
    assert_eq!(fleet.files(), before);
}

#[test]
fn before_the_first_run_every_list_says_what_to_do() {
    let fleet = shop();
    fleet.run(&["pipes", "list"]).ok().says(&["shop", "csv", "products.csv", "when asked"]);
    fleet.run(&["runs", "list"]).ok().says(&["no runs yet", "feedfleet run PIPE --wait"]);
    let none: &[&str] = &["no runs yet", "feedfleet run shop --wait"];
    fleet.run(&["runs", "show", "shop"]).failed().says(none);
    let unknown: &[&str] = &["run 17", "no report", "feedfleet runs list shop"];
    fleet.run(&["runs", "show", "shop", "17"]).failed().says(unknown);
    let idle: &[&str] = &["crawl", "image", "no scheduler", "no worker is running"];
    fleet.run(&["fleet", "status"]).ok().says(idle);
    let status = fleet.run(&["fleet", "status", "--json"]).ok().json();
    assert_eq!(status["scheduler"], Value::Null);
    assert_eq!(status["workers"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_wrong_path_is_named_with_the_setting_to_correct() {
    let fleet = shop_with(&but("products.csv", "prodcts.csv"));
    let check = fleet.run(&["pipes", "check"]).failed();
    check.says(&["pipes/shop.toml: there is no file", "prodcts.csv", "url under [source]"]);
    let told: &[&str] = &["source-refused", "prodcts.csv", "check the pipe's url"];
    fleet.run(&["pipes", "preview", "shop"]).failed().says(told);
    fleet.run(&["run", "shop", "--wait"]).failed().says(told).says(&["dead"]);
    assert!(fleet.products("shop").is_empty());
}

#[test]
fn a_wrong_column_of_the_table_is_answered_with_the_right_one() {
    let fleet = shop_with(&but("title = \"name\"", "titel = \"name\""));
    let told: &[&str] =
        &["pipes/shop.toml:7:1", "unknown column 'titel' in [map]", "did you mean 'title'?"];
    fleet.run(&["pipes", "check"]).failed().says(told);
    for command in
        [&["pipes", "preview", "shop"][..], &["run", "shop", "--wait"], &["pipes", "list"]]
    {
        fleet.run(command).failed().says(told);
    }
    // Of the pipe that was asked for, and of no other.
    fleet.pipe("other", &but("title = \"name\"", "prize = \"name\""));
    for command in [&["pipes", "preview", "shop"][..], &["run", "shop"]] {
        let output = fleet.run(command).failed().says(told);
        let all = output.all();
        assert!(!all.contains("prize") && !all.contains("there is no pipe"), "{all}");
    }
    let keyed = but("url = \"products.csv\"", "url = \"https://shop.example/${NOT_SET_HERE}\"");
    fleet.pipe("keyed", &keyed);
    let told: &[&str] = &["pipes/keyed.toml:3:", "variable NOT_SET_HERE is not set"];
    let all = fleet.run(&["run", "keyed", "--wait"]).failed().says(told).all();
    assert!(!all.contains("prize") && !all.contains("there is no pipe"), "{all}");
}

#[test]
fn a_supplement_that_the_pipe_does_not_have_is_no_sound_one() {
    let supplement = "[supplements.stock]\n\
        source = { url = 'stock.csv', format = 'csv' }\nmap = { id = 'sku', stock_quantity = 'qty' }\n";
    let fleet = shop_with(&format!("{PIPE}{supplement}"));
    fleet.write("stock.csv", "sku,qty\n1,5\n");
    fleet.run(&["pipes", "check", "shop.stock"]).ok().says(&["pipes/shop.toml: ok"]);
    let told: &[&str] = &["no supplement 'stok'", "did you mean 'shop.stock'?"];
    for command in [&["pipes", "check", "shop.stok"][..], &["run", "shop.stok"]] {
        let all = fleet.run(command).failed().says(told).all();
        assert!(!all.contains("shop.toml: ok"), "{all}");
    }
}

#[test]
fn a_field_that_no_record_has_is_told_by_the_preview() {
    let map = "[map]\nid = \"sku\"\ncolor = { field = \"nosuch\" }\n";
    let fleet = shop_with(&format!("[source]\nurl = \"a.json\"\nformat = \"json\"\n{map}"));
    fleet.write("a.json", "[{\"sku\": \"1\"}, {\"sku\": \"2\"}]");
    let told: &[&str] = &["noted: nosuch: ", "no record that was read has it"];
    fleet.run(&["pipes", "preview", "shop"]).ok().says(told);
}

#[test]
fn an_id_that_the_file_does_not_have_is_answered_with_the_columns_it_has() {
    let fleet = shop_with(&but("id = \"sku\"", "id = \"skuu\""));
    let told: &[&str] = &["configuration", "skuu", "sku, name, price, colour"];
    fleet.run(&["pipes", "preview", "shop"]).failed().says(told);
    let report = fleet.run_pipe_dead("shop");
    assert_eq!(report["reason"]["class"], "configuration", "{report:#}");
    assert!(fleet.products("shop").is_empty());
}

#[test]
fn a_file_with_another_delimiter_is_answered_with_the_setting() {
    let fleet = shop_with(PIPE);
    fleet.write("products.csv", CSV.replace(',', ";"));
    let told = "for cells between ';': delimiter = \";\" under [source]";
    fleet.run(&["pipes", "preview", "shop"]).failed().says(&["sku;name;price;colour", told]);
    fleet.pipe("shop", &but("format = \"csv\"", "format = \"csv\"\ndelimiter = \";\""));
    assert_counts(&fleet.run_pipe("shop"), &[("new", 3), ("live", 3)]);
}

#[test]
fn another_column_that_the_file_does_not_have_is_told() {
    let fleet = shop_with(&but("field = \"price\"", "field = \"cost\""));
    fleet.run(&["pipes", "preview", "shop"]).ok().says(&["cost"]);
    let report = fleet.run_pipe("shop");
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("missing-field") && warnings.contains("cost"), "{report:#}");
    assert_counts(&report, &[("new", 3), ("live", 3)]);
}

#[test]
fn a_bad_schedule_and_unknown_fields_are_told_at_once_with_their_lines() {
    let pipe = PIPE.replace("[guard]\n", "[guard]\nmax_remove = \"1%\"\n");
    let fleet = shop_with(&format!("schedule = \"0 25 * * *\"\nretries = 3{pipe}"));
    let check = fleet.run(&["pipes", "check"]).failed();
    check.says(&[
        "pipes/shop.toml:1:12: '0 25 * * *' is not a cron line",
        "hour (0-23)",
        "pipes/shop.toml:2:1: unknown field 'retries'",
        "unknown field 'max_remove' in [guard]; did you mean 'max_removed'?",
        "mistakes: 3",
    ]);
}

#[test]
fn a_broken_pipe_stops_only_itself_and_a_broken_fleet_stops_all() {
    let fleet = shop();
    fleet.pipe("broken", "[source]\nformat = \"csv\"\n");
    fleet.run(&["pipes", "check"]).failed().says(&["pipes/broken.toml", "pipes/shop.toml: ok"]);
    fleet.run(&["pipes", "check", "shop"]).ok().says(&["no mistakes"]);
    let report = fleet.run_pipe("shop");
    assert_eq!(report["state"], "done", "{report:#}");

    fleet.write("fleet.toml", "[worker]\nmax = 2\n");
    for command in [&["pipes", "check"][..], &["run", "shop", "--wait"], &["up"]] {
        let told: &[&str] =
            &["fleet.toml:1:2", "unknown field 'worker'", "did you mean 'workers'?"];
        fleet.run(command).failed().says(told);
    }
}

#[test]
fn an_unknown_pipe_is_answered_with_a_few_of_many() {
    let fleet = Fleet::new();
    for n in 10..22 {
        fleet.pipe(&format!("shop-{n}"), PIPE);
    }
    let told = &["did you mean 'shop-21'?", "shop-21", "and 7 more, see feedfleet pipes list"];
    fleet.run(&["pipes", "preview", "shopp-21"]).failed().says(told);
}

#[test]
fn an_unknown_pipe_is_answered_with_those_there_are() {
    let fleet = shop();
    let told: &[&str] = &["no pipe 'shpo'", "pipes/shpo.toml", "pipes here: shop"];
    for command in [
        &["run", "shpo"][..],
        &["run", "shpo", "--wait"],
        &["pipes", "preview", "shpo"],
        &["pipes", "check", "shpo"],
    ] {
        fleet.run(command).failed().says(told);
    }
    // Runs outlive their pipe, so this one only knows that there are none.
    fleet.run(&["runs", "show", "shpo"]).failed().says(&["'shpo'"]);
    let invalid =
        fleet.run(&["run", "My_Shop"]).says(&["'My_Shop' is not a pipe name", "a-z, 0-9"]);
    assert_eq!(invalid.code, Some(2));
    fleet.run(&["runs", "list"]).ok().says(&["no runs yet"]);
}

#[test]
fn a_port_in_use_is_told_with_the_way_out() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap();
    let fleet = Fleet::with_fleet_toml(&format!("[console]\nlisten = \"{address}\"\n"));
    fleet.run(&["up"]).failed().says(&[
        &format!("could not listen on {address}"),
        "another `feedfleet up` may be running",
        "listen under [console]",
    ]);
}

#[test]
fn sql_without_its_program_says_how_to_build_it() {
    let fleet = shop();
    // A second name of the binary, where no other program is beside it.
    let program = feedfleet();
    let folder = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
    let alone = folder.path().join("feedfleet");
    std::fs::hard_link(&program, &alone).unwrap();
    let mut command = fleet.command_of(&alone, &["sql", "SELECT 1"]);
    command.env("PATH", folder.path());
    let told: &[&str] = &["feedfleet-query is not", "cargo build --release -p feedfleet-query"];
    fleet.finish(command).failed().says(told);
}
