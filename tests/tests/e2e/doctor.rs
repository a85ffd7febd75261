//! `feedfleet doctor`: what it finds, what it says to do, and that it leaves nothing behind.

use feedfleet_tests::{Fleet, Reply, Server, eventually};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

const SECRET: &str = "open-sesame-2209";
const MAP: &str = "[map]\nid = \"sku\"\ntitle = \"name\"\n";

fn pipe(url: &str) -> String {
    format!("[source]\nurl = \"{url}\"\nformat = \"csv\"\n{MAP}")
}

/// A feed of this many products.
fn feed(count: u32) -> String {
    let mut feed = "sku,name\n".to_owned();
    for n in 0..count {
        writeln!(feed, "{n:03},Product {n}").expect("text can be written");
    }
    feed
}

/// A fleet with one pipe, `shop`, and its file of ten products.
fn shop() -> Fleet {
    let fleet = Fleet::new();
    fleet.write("products.csv", feed(10));
    fleet.pipe("shop", &pipe("products.csv"));
    fleet
}

/// The findings of `feedfleet doctor --offline --json`; `code` is what it must exit with.
#[track_caller]
fn offline(fleet: &Fleet, code: i32) -> Value {
    let output = fleet.run(&["doctor", "--offline", "--json"]);
    assert_eq!(output.code, Some(code), "{}", output.all());
    output.json()
}

/// The only finding of a check.
#[track_caller]
fn finding<'a>(findings: &'a Value, check: &str) -> &'a Value {
    let list = findings.as_array().expect("findings are a list");
    let found: Vec<_> = list.iter().filter(|f| f["check"] == check).collect();
    assert_eq!(found.len(), 1, "{check} in {findings:#}");
    found[0]
}

/// Asserts a finding's state, and that these texts are in what was found or in the remedy.
#[track_caller]
fn assert_finding(findings: &Value, check: &str, state: &str, texts: &[&str]) {
    let finding = finding(findings, check);
    assert_eq!(finding["state"], state, "{finding:#}");
    assert_eq!(finding["remedy"].is_null(), state == "ok", "{finding:#}");
    let told = format!("{} {}", finding["found"], finding["remedy"]).replace("\\\"", "\"");
    for text in texts {
        assert!(told.contains(text), "expected {text:?} in {finding:#}");
    }
}

/// What lies in the catalog's and the objects' folder.
fn stored(fleet: &Fleet) -> BTreeMap<PathBuf, Vec<u8>> {
    let (catalog, objects) = (fleet.path("var/catalog"), fleet.path("var/objects"));
    let files = fleet.files().into_iter();
    files.filter(|(path, _)| path.starts_with(&catalog) || path.starts_with(&objects)).collect()
}

/// Names in a folder, hidden ones included.
fn names(fleet: &Fleet, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(fleet.path(folder)).expect("a folder of the fleet can be read");
    let mut names: Vec<String> = entries
        .map(|e| e.expect("it can be read").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_fresh_fleet_is_well_and_left_as_it_was() {
    let fleet = shop();
    let before = fleet.files();
    let findings = offline(&fleet, 0);
    assert_finding(&findings, "configuration", "ok", &["fleet.toml and 1 sound pipes"]);
    assert_finding(&findings, "queue", "ok", &["journal WAL, synchronous FULL"]);
    assert_finding(&findings, "objects", "ok", &["conditional put", "fsync", "first run"]);
    assert_finding(&findings, "catalog", "ok", &["rename and fsync work"]);
    assert_finding(&findings, "table products", "ok", &["not there yet"]);
    assert_finding(&findings, "dead letters", "ok", &["none"]);
    assert_finding(&findings, "clock", "ok", &["UTC"]);
    assert_finding(&findings, "worker program", "ok", &["starts; version"]);
    assert_finding(&findings, "scheduler", "warning", &["feedfleet up"]);
    assert_finding(&findings, "pipe shop", "ok", &["runs when asked"]);
    assert_finding(&findings, "source shop", "ok", &["products.csv"]);
    for check in ["disk", "memory", "file limits", "query program"] {
        assert_ne!(finding(&findings, check)["state"], "broken", "{findings:#}");
    }
    assert_eq!(fleet.files(), before);
    assert!(!fleet.path("var").exists());
    assert_eq!(names(&fleet, "."), ["fleet.toml", "pipes", "products.csv"]);

    let text = fleet.run(&["doctor", "--offline"]).ok();
    assert!(text.stdout.lines().any(|l| l.starts_with("ok       queue ")), "{}", text.stdout);
    let lines: Vec<_> = text.stdout.lines().filter(|l| l.starts_with("warning ")).collect();
    assert!(lines.iter().all(|l| l.contains("; remedy: ")), "{lines:?}");
    assert!(text.stdout.trim_end().ends_with("broken: 0"), "{}", text.stdout);
}

#[test]
fn a_fleet_in_use_is_measured_and_left_as_it_was() {
    let fleet = shop();
    fleet.run_pipe("shop");
    let before = stored(&fleet);
    let folders = [".", "var", "var/objects", "var/catalog", "var/catalog/products/_delta_log"];
    let listed = folders.map(|folder| names(&fleet, folder));
    let findings = offline(&fleet, 0);
    assert_finding(&findings, "queue", "ok", &["crawl: 0 waiting, 0 in hand"]);
    let told = ["10 rows of 1 pipes in 1 files", "the schema is this release's"];
    assert_finding(&findings, "table products", "ok", &told);
    assert_finding(&findings, "clock", "ok", &["was written"]);
    assert_finding(&findings, "pipe shop", "ok", &["done"]);
    assert_eq!(stored(&fleet), before);
    // SQLite's side files come and go with whoever has the queue open.
    let beside_queue = |names: &Vec<String>| -> Vec<String> {
        names.iter().filter(|n| !n.starts_with("queue.db")).cloned().collect()
    };
    for (folder, before) in folders.iter().zip(&listed) {
        assert_eq!(beside_queue(&names(&fleet, folder)), beside_queue(before), "{folder}");
    }
    // Its scratch queue is gone: the fleet works on.
    assert_eq!(fleet.run_pipe("shop")["counts"]["unchanged"], 10);
}

#[test]
fn a_folder_that_cannot_be_written_is_named_with_its_setting() {
    let text = "[queue]\npath = \"file/queue.db\"\n[catalog]\nurl = \"file/catalog\"\n\
                [objects]\nurl = \"file/objects\"\n";
    let fleet = Fleet::with_fleet_toml(text);
    // Below a file nobody can write, whatever the permissions: tests may run as root.
    fleet.write("file", "");
    fleet.write("products.csv", feed(3));
    fleet.pipe("shop", &pipe("products.csv"));
    let findings = offline(&fleet, 1);
    for check in ["queue", "catalog", "objects"] {
        let section = format!("under [{check}] in fleet.toml");
        assert_finding(&findings, check, "broken", &["could not make a folder in", &section]);
    }
    // The others are checked all the same.
    for check in ["configuration", "clock", "worker program", "source shop"] {
        assert_finding(&findings, check, "ok", &[]);
    }
    fleet.run(&["doctor", "--offline"]).failed().says(&["broken   queue", "broken: 3"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let fleet = shop();
    fleet.pipe("lost", &pipe("prodcts.csv"));
    let findings = offline(&fleet, 1);
    let told = ["prodcts.csv", "correct url under [source] in", "lost.toml"];
    assert_finding(&findings, "source lost", "broken", &told);
    assert_finding(&findings, "source shop", "ok", &[]);
}

#[test]
fn a_mapping_that_the_source_contradicts_is_told() {
    let fleet = shop();
    let by_id = |id: &str| pipe("products.csv").replace("\"sku\"", &format!("\"{id}\""));
    fleet.pipe("idless", &by_id("nr"));
    fleet.pipe("lacking", &format!("{}brand = \"maker\"\n", pipe("products.csv")));
    fleet.write("page.csv", "<!doctype html><title>Log in</title>");
    fleet.pipe("page", &pipe("page.csv"));
    fleet.write("list.json", "[{\"sku\": \"1\"}, {\"sku\": \"2\"}]");
    let list = by_id("nr").replace("products.csv", "list.json").replace("\"csv\"", "\"json\"");
    fleet.pipe("list", &list);
    let stock = "[supplements.stock]\n\
        source = { url = 'products.csv', format = 'csv' }\nmap = { id = 'sku', stock_quantity = 'qty' }\n";
    fleet.pipe("more", &format!("{}{stock}", pipe("products.csv")));
    let findings = offline(&fleet, 1);
    let told = ["configuration: ", "the id comes from nr", "it has sku, name", "idless.toml"];
    assert_finding(&findings, "source idless", "broken", &told);
    let told = ["the mapping names maker", "first 10 records", "feedfleet pipes preview lacking"];
    assert_finding(&findings, "source lacking", "warning", &told);
    let told = ["not-a-feed: ", "a web page", "correct url or format"];
    assert_finding(&findings, "source page", "broken", &told);
    let told = ["all of the first 2 records would be refused", "missing-id"];
    assert_finding(&findings, "source list", "broken", &told);
    assert_finding(&findings, "source more", "ok", &[]);
    assert_finding(&findings, "source more.stock", "broken", &["the mapping names qty"]);
    assert_finding(&findings, "source shop", "ok", &[]);

    fleet.write("shop.xml", "<shop><p><sku>1</sku></p></shop>");
    fleet.pipe(
        "itemless",
        "[source]\nurl = \"shop.xml\"\nformat = \"xml\"\nitem = \"product\"\n[map]\nid = \"sku\"\n",
    );
    let told = ["it has no records", "correct item", "feedfleet pipes detect --pipe itemless"];
    assert_finding(&offline(&fleet, 1), "source itemless", "warning", &told);
    fleet.run(&["pipes", "preview", "itemless"]).failed().says(&told);

    // The preview says the same.
    for name in ["idless", "page"] {
        let found = finding(&findings, &format!("source {name}"))["found"].as_str();
        let (_, reason) = found.and_then(|f| f.split_once("; ")).expect("a reason is told");
        fleet.run(&["pipes", "preview", name]).failed().says(&[reason]);
    }
}

#[test]
fn only_the_beginning_of_a_source_is_fetched() {
    // More than waits anywhere on its way.
    let server = Server::of(format!("sku,name\n{}", "1,Lamp\n".repeat(5 << 20)));
    let fleet = Fleet::new();
    for (name, id) in [("sound", "sku"), ("wrong", "nr")] {
        let text = pipe(&format!("{}/{name}?key=${{TOKEN}}", server.base_url()));
        fleet.pipe(name, &text.replace("\"sku\"", &format!("\"{id}\"")));
    }
    let mut command = fleet.command(&["--log", "trace", "doctor", "--json"]);
    command.env("TOKEN", SECRET);
    let output = fleet.finish(command).failed();
    assert!(!output.all().contains(SECRET), "{}", output.all());
    let findings = output.json();
    assert_finding(&findings, "source sound", "ok", &["200 OK"]);
    assert_finding(&findings, "source wrong", "broken", &["200 OK", "the id comes from nr"]);
    for name in ["sound", "wrong"] {
        assert_eq!(server.hits(&format!("/{name}?key={SECRET}")), 1, "{name}");
    }
    assert_eq!(server.sent_bytes(), 0, "a whole body was sent");
}

/// Promise 14: nothing connects to a non-public address unless the configuration allows it, and the doctor
/// says how it would.
#[test]
fn a_private_address_is_refused_with_the_setting_that_allows_it() {
    let server = Server::of(feed(3));
    let fleet = Fleet::with_fleet_toml("[leases]\nvisibility = \"10s\"\n");
    fleet.pipe("shop", &pipe(&format!("{}/feed", server.base_url())));
    let findings = fleet.run(&["doctor", "--json"]).failed().json();
    let told = ["not a public address", "allow_private = [\"127.0.0.1/32\"]", "[http]"];
    assert_finding(&findings, "source shop", "broken", &told);
    assert_eq!(server.hits("/feed"), 0);
    let findings = offline(&fleet, 0);
    let list = findings.as_array().expect("findings are a list");
    assert!(list.iter().all(|f| f["check"] != "source shop"), "{findings:#}");
}

#[test]
fn each_source_is_asked_once_and_its_answer_named_without_secrets() {
    let server = Server::start(|path, headers| {
        let knows = headers.contains(&("authorization".into(), format!("Bearer {SECRET}")));
        match path.split_once('?').map_or(path, |(path, _)| path) {
            "/feed" if knows => Reply::ok(feed(3)).header("Content-Type", "text/csv"),
            "/denied" => Reply::status(401),
            "/busy" => Reply::status(503),
            _ => Reply::status(404),
        }
    });
    let fleet = Fleet::new();
    let names = ["feed", "denied", "busy", "gone"];
    for name in names {
        let url = format!("{}/{name}?key=${{TOKEN}}", server.base_url());
        let headers = "headers = { Authorization = \"Bearer ${TOKEN}\" }";
        fleet.pipe(name, &pipe(&url).replace("[map]", &format!("{headers}\n[map]")));
    }
    let mut command = fleet.command(&["--log", "trace", "doctor", "--json"]);
    command.env("TOKEN", SECRET);
    let output = fleet.finish(command).failed();
    assert!(!output.all().contains(SECRET), "{}", output.all());
    let findings = output.json();
    assert_finding(&findings, "source feed", "ok", &["200 OK", "text/csv", "51 B"]);
    assert_finding(&findings, "source denied", "broken", &["401", "headers under [source]"]);
    assert_finding(&findings, "source gone", "broken", &["404", "correct url"]);
    assert_finding(&findings, "source busy", "warning", &["503", "try again"]);
    for name in names {
        assert_eq!(server.hits(&format!("/{name}?key={SECRET}")), 1, "{name}");
    }
}

#[test]
fn a_host_that_nobody_knows_is_broken() {
    let fleet = Fleet::new();
    fleet.pipe("shop", &pipe("http://no-such-host.invalid/feed"));
    let findings = fleet.run(&["doctor", "--json"]).failed().json();
    assert_finding(&findings, "source shop", "broken", &["url under [source] in"]);
}

#[test]
fn mistakes_are_told_with_their_lines_and_stop_no_other_check() {
    let fleet = shop();
    fleet.pipe("broken", &pipe("products.csv").replace("title", "titel"));
    let findings = offline(&fleet, 1);
    let list = findings.as_array().expect("findings are a list");
    let mistake = list.iter().find(|f| f["check"] == "configuration" && f["state"] == "broken");
    let mistake = mistake.expect("the mistake is told").to_string();
    assert!(mistake.contains("pipes/broken.toml:6:1"), "{mistake}");
    assert!(mistake.contains("did you mean 'title'?"), "{mistake}");
    assert_finding(&findings, "source shop", "ok", &[]);

    fleet.write("fleet.toml", "[worker]\nmax = 2\n");
    let findings = offline(&fleet, 1);
    let told = ["fleet.toml:1:2", "did you mean 'workers'?"];
    assert_finding(&findings, "configuration", "broken", &told);
    assert_finding(&findings, "worker program", "ok", &[]);

    let empty = Fleet::bare();
    let findings = offline(&empty, 1);
    assert_finding(&findings, "configuration", "broken", &["pipes/NAME.toml", "--config"]);
    assert!(names(&empty, ".").is_empty());

    let without_pipes = Fleet::new();
    let findings = offline(&without_pipes, 0);
    assert_finding(&findings, "configuration", "warning", &["pipes/NAME.toml"]);
}

#[test]
fn a_variable_that_is_not_set_is_named_where_the_pipe_is_told_of() {
    let fleet = shop();
    fleet.pipe("secret", &pipe("https://acme.example/feed?key=${NEVER_SET_4711}"));
    let findings = offline(&fleet, 1);
    assert_finding(&findings, "pipe secret", "warning", &["lacks variables", "set NEVER_SET_4711"]);
    assert_finding(&findings, "pipe shop", "ok", &[]);
}

#[test]
fn a_queue_that_is_damaged_can_be_moved_away() {
    let fleet = shop();
    fleet.run_pipe("shop");
    for side in ["-wal", "-shm"] {
        fs::remove_file(fleet.path(&format!("var/queue.db{side}"))).ok();
    }
    fleet.write("var/queue.db", "garbage ".repeat(1024));
    let findings = offline(&fleet, 1);
    assert_finding(&findings, "queue", "broken", &["move it away", "get their message again"]);
    fs::remove_file(fleet.path("var/queue.db")).expect("a file of this test can be removed");
    assert_eq!(fleet.run_pipe("shop")["state"], "done");
}

/// What the doctor says to do about a damaged log mends it.
#[test]
fn a_damaged_log_entry_can_be_moved_away() {
    let fleet = shop();
    fleet.run_pipe("shop");
    fleet.write("products.csv", feed(12));
    assert_eq!(fleet.run_pipe("shop")["counts"]["new"], 2);
    let log = fleet.path("var/catalog/products/_delta_log");
    let entries: Vec<_> = fleet.files().into_keys().filter(|p| p.starts_with(&log)).collect();
    let newest = entries.iter().rfind(|p| p.extension().is_some_and(|e| e == "json"));
    let newest = newest.expect("the log has an entry");
    let text = fs::read(newest).expect("a log entry can be read");
    fs::write(newest, &text[..300]).expect("a file of this test can be written");
    let name = newest.file_name().expect("it has a name").to_string_lossy();

    let mut command = fleet.command(&["doctor", "--offline", "--json"]);
    command.env("RUST_BACKTRACE", "1");
    let findings = fleet.finish(command).failed().json();
    let told = [&*name, "newest", "_delta_log", "while no process", "feedfleet run PIPE"];
    assert_finding(&findings, "table products", "broken", &told);
    let finding = finding(&findings, "table products").to_string();
    assert!(!finding.contains("rollback") && !finding.contains("\\n"), "{finding}");

    // Readers take an empty one for a commit of nothing, and do not fail.
    fs::write(newest, "").expect("a file of this test can be written");
    let told = [&*name, "is empty", "newest", "while no process", "feedfleet run PIPE"];
    assert_finding(&offline(&fleet, 1), "table products", "broken", &told);

    fs::remove_file(newest).expect("a file of this test can be removed");
    assert_finding(&offline(&fleet, 0), "table products", "ok", &["10 rows of 1 pipes"]);
    assert_eq!(fleet.run_pipe("shop")["counts"]["new"], 2);
}

/// What the doctor says to do about a lost file mends the table: a rollback, and, where no run is whole, a new table.
#[test]
fn a_table_that_lost_a_file_is_broken() {
    let fleet = shop();
    let folder = fleet.path("var/catalog/products");
    let data = || -> BTreeSet<PathBuf> {
        let files = fleet.files().into_keys().filter(|path| path.starts_with(&folder));
        files.filter(|path| path.extension().is_some_and(|e| e == "parquet")).collect()
    };
    let first = fleet.run_pipe("shop")["run"].to_string();
    let before = data();
    fleet.write("products.csv", feed(12));
    fleet.run_pipe("shop");
    for lost in data().difference(&before) {
        fs::remove_file(lost).expect("a file of this test can be removed");
    }
    let findings = offline(&fleet, 1);
    let told = ["1 of 2 data files", "parquet: is missing", "runs rollback", "pipes resume"];
    assert_finding(&findings, "table products", "broken", &told);
    assert_finding(&findings, "table images", "ok", &[]);

    fleet.run(&["runs", "rollback", "shop", &first]).ok();
    assert_finding(&offline(&fleet, 0), "table products", "ok", &["10 rows of 1 pipes"]);
    fleet.run(&["pipes", "resume", "shop"]).ok();
    assert_eq!(fleet.run_pipe("shop")["counts"]["new"], 2);

    for lost in data() {
        fs::remove_file(lost).expect("a file of this test can be removed");
    }
    let told = ["move", "var/catalog/products away", "while no process"];
    assert_finding(&offline(&fleet, 1), "table products", "broken", &told);
    fs::remove_dir_all(&folder).expect("a folder of this test can be removed");
    assert_eq!(fleet.run_pipe("shop")["counts"]["new"], 12);
    assert_finding(&offline(&fleet, 0), "table products", "ok", &["12 rows of 1 pipes"]);
}

#[test]
fn a_scheduler_that_starts_no_workers_is_known() {
    const SOON: Duration = Duration::from_secs(60);
    let fleet = shop();
    fleet.run_pipe("shop");
    let mut scheduler = fleet.spawn(&["scheduler"]);
    eventually(SOON, "the scheduler to tell of itself", || {
        let status = fleet.run(&["fleet", "status", "--json"]).ok().json();
        (status["scheduler"]["scheduler_pid"] == scheduler.pid()).then_some(())
    });
    assert_finding(&offline(&fleet, 0), "scheduler", "ok", &["starts no workers"]);
    fleet.run(&["fleet", "status"]).ok().says(&["starts no workers"]);
    // Whoever waits for a run starts a worker, as without a scheduler.
    assert_eq!(fleet.run_pipe("shop")["counts"]["unchanged"], 10);
    scheduler.signal("TERM");
    assert!(scheduler.wait(SOON).success());
    assert_finding(&offline(&fleet, 0), "scheduler", "warning", &["no scheduler is running"]);
}

#[test]
fn a_commit_of_the_future_is_a_warning() {
    let fleet = shop();
    fleet.run_pipe("shop");
    let log = fleet.path("var/catalog/products/_delta_log");
    let entries: Vec<_> = fleet.files().into_keys().filter(|p| p.starts_with(&log)).collect();
    let newest = entries.iter().rfind(|p| p.extension().is_some_and(|e| e == "json"));
    let newest = newest.expect("the log has an entry");
    let mut ahead = String::new();
    for line in fs::read_to_string(newest).expect("a log entry can be read").lines() {
        let mut action: Value = serde_json::from_str(line).expect("a log entry is lines of JSON");
        if let Some(at) = action["commitInfo"]["timestamp"].as_i64() {
            action["commitInfo"]["timestamp"] = (at + 3_600_000).into();
        }
        writeln!(ahead, "{action}").expect("text can be written");
    }
    fs::write(newest, ahead).expect("a file of this test can be written");
    let findings = offline(&fleet, 0);
    let told = ["table products", "another machine's is ahead", "NTP"];
    assert_finding(&findings, "clock", "warning", &told);
}

#[test]
fn what_waits_for_an_operator_is_a_warning_with_its_command() {
    let fleet = shop();
    fleet.run_pipe("shop");
    fleet.write("products.csv", feed(3));
    let held = fleet.run_pipe("shop");
    assert_eq!(held["state"], "held", "{held:#}");
    fleet.write("gone.csv", feed(3));
    fleet.pipe("gone", &pipe("gone.csv"));
    fs::remove_file(fleet.path("gone.csv")).expect("a file of this test can be removed");
    fleet.run_pipe_dead("gone");
    // Written after the run, so that nothing is broken but what the run met.
    fleet.write("gone.csv", feed(3));
    let findings = offline(&fleet, 0);
    let command = format!("feedfleet runs approve shop {}", held["run"]);
    assert_finding(&findings, "pipe shop", "warning", &["7 removals wait", &command]);
    assert_finding(&findings, "pipe gone", "warning", &["dead", "feedfleet runs show gone"]);
    assert_finding(&findings, "dead letters", "warning", &["1 wait", "feedfleet dlq list"]);

    // A newer run that died has changed nothing, and what was held can be approved as before.
    fs::remove_file(fleet.path("products.csv")).expect("a file of this test can be removed");
    let dead = fleet.run_pipe_dead("shop");
    fleet.write("products.csv", feed(3));
    let show = format!("feedfleet runs show shop {}", dead["run"]);
    let told = ["dead", &show, "7 removals wait", &command];
    assert_finding(&offline(&fleet, 0), "pipe shop", "warning", &told);
    fleet.run(&["runs", "approve", "shop", &held["run"].to_string()]).ok();
}

#[test]
fn a_schedule_shows_its_next_run() {
    let fleet = shop();
    fleet.pipe("nightly", &format!("schedule = \"0 2 * * *\"\n{}", pipe("products.csv")));
    let findings = offline(&fleet, 0);
    assert_finding(&findings, "pipe nightly", "ok", &["next run 20", "(in "]);
}
