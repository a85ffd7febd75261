//! Upkeep beside the fleet's work: what it deletes, what it leaves alone, and what it brings back.

use crate::faults::nights::{Nights, Shop, rows};
use crate::faults::support::waiting_worker;
use feedfleet_tests::{Fleet, Running, eventually};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Long enough for a lease of ten seconds to run out, and the run to finish.
const SOON: Duration = Duration::from_secs(90);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A file with this content that was last written so long ago.
fn old_file(path: &Path, content: &[u8], age: Duration) {
    fs::write(path, content).expect("a temporary folder can be written");
    make_old(path, age);
}

fn make_old(path: &Path, age: Duration) {
    let file = File::options().write(true).open(path).expect("the file is there");
    file.set_modified(SystemTime::now() - age).expect("its owner may set its time");
}

/// Puts a run of the pipe on the queue; the run's number.
fn issue(fleet: &Fleet, pipe: &str) -> i64 {
    let report = fleet.run(&["run", pipe, "--json"]).ok().json();
    report["run"].as_i64().expect("a run has a number")
}

fn wait_for_state(fleet: &Fleet, pipe: &str, state: &str) {
    eventually(SOON, &format!("the run of {pipe} to be {state}"), || {
        (fleet.report(pipe)["state"] == state).then_some(())
    });
}

fn stop(mut running: Running) {
    running.signal("TERM");
    let status = running.wait(SOON);
    assert!(status.success(), "{status}: {}", running.stderr());
}

fn lose_queue(fleet: &Fleet) {
    for file in ["queue.db", "queue.db-wal", "queue.db-shm"] {
        let path = fleet.path("var").join(file);
        // The last two are there only while somebody has the queue open, or died with it.
        if path.exists() {
            fs::remove_file(path).expect("a file that is there can be removed");
        }
    }
}

/// The data files in a pipe's folder, whether the table refers to them or not.
fn data_files(fleet: &Fleet, pipe: &str) -> BTreeSet<PathBuf> {
    let folder = fleet.path(&format!("var/catalog/products/pipe={pipe}"));
    let entries = fs::read_dir(folder).expect("the pipe has been loaded");
    entries.map(|entry| entry.expect("a folder can be listed").path()).collect()
}

/// Whether the table's log has a commit of this application.
fn has_commit_of(fleet: &Fleet, app: &str) -> bool {
    let log = fs::read_dir(fleet.path("var/catalog/products/_delta_log"));
    let named = format!("\"{app}\"");
    log.expect("the table is there")
        .map(|entry| entry.expect("a folder can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .any(|path| fs::read_to_string(path).is_ok_and(|text| text.contains(&named)))
}

/// Promise 13: while a run has written its rows and not yet committed them, the pipe is compacted and the table
/// vacuumed. What a dead writer left two days ago goes; the run's file stays, and so do those that readers and
/// rollback need; the run is worked out anew and its rows are right.
#[test]
fn a_slow_writer_beside_compaction_and_vacuum() {
    let (shop, fleet) = (Shop::open(), Fleet::new());
    let mut nights = Nights::new(21, 60);
    shop.publish("acme", &nights);
    shop.write_pipe(&fleet, "acme", false);
    let first = fleet.run_pipe("acme");
    nights.committed(first["run"].as_i64().unwrap());
    // By the second night more than a quarter of the first one's rows are dead.
    for _ in 0..8 {
        nights.pass();
    }
    shop.publish("acme", &nights);
    let second = fleet.run_pipe("acme");
    nights.committed(second["run"].as_i64().unwrap());
    let of_both_nights = data_files(&fleet, "acme");

    while nights.rows() == rows(&fleet.products("acme")) {
        nights.pass();
    }
    shop.publish("acme", &nights);
    let third = issue(&fleet, "acme");
    let (writer, go_on) = waiting_worker(&fleet, "crawl.before-commit");
    eventually(SOON, "the run to be about to commit", || {
        writer.stderr().contains("crawl.before-commit").then_some(())
    });
    let in_progress: BTreeSet<PathBuf> =
        data_files(&fleet, "acme").difference(&of_both_nights).cloned().collect();
    assert_eq!(in_progress.len(), 1, "{in_progress:?}");
    let left_behind = fleet.path("var/catalog/products/pipe=acme/run-1-left-behind.parquet");
    old_file(&left_behind, b"PAR1 half a file", DAY * 2);

    let scheduler = fleet.spawn(&["scheduler"]);
    eventually(SOON, "the pipe to be compacted", || {
        has_commit_of(&fleet, "acme/compaction").then_some(())
    });
    eventually(SOON, "the table to be vacuumed", || (!left_behind.exists()).then_some(()));
    for file in in_progress.iter().chain(&of_both_nights) {
        assert!(file.is_file(), "{} is gone", file.display());
    }

    fs::write(&go_on, "").unwrap();
    wait_for_state(&fleet, "acme", "done");
    nights.committed(third);
    assert_eq!(rows(&fleet.products("acme")), nights.rows());
    assert!(of_both_nights.iter().all(|file| file.is_file()), "rollback needs them");
    stop(writer);
    stop(scheduler);
}

/// Promise 1: image jobs that were lost with their queue come back, though their run is done and nobody sends
/// them for it.
#[test]
fn image_jobs_lost_with_their_queue_come_back() {
    let (shop, fleet) = (Shop::open(), Fleet::new());
    let nights = Nights::new(22, 30);
    shop.publish("acme", &nights);
    shop.write_pipe(&fleet, "acme", true);
    shop.let_pictures_wait(true);
    issue(&fleet, "acme");
    let mut worker = fleet.spawn(&["worker"]);
    wait_for_state(&fleet, "acme", "done");
    worker.signal("KILL");
    worker.wait(SOON);
    lose_queue(&fleet);
    shop.let_pictures_wait(false);

    let products = fleet.products("acme");
    let keys: Vec<&str> =
        products.iter().map(|p| p.text("image_key")).filter(|key| !key.is_empty()).collect();
    assert!(!keys.is_empty());
    let is_there = |key: &&str| fleet.path("var/objects").join(key).is_file();
    assert!(!keys.iter().all(is_there), "the pictures were there before");
    let up = fleet.spawn(&["up"]);
    eventually(SOON, "all pictures to be there", || keys.iter().all(is_there).then_some(()));
    stop(up);
}

/// Promise 1: a run whose message was lost with its queue gets another, and is done under its own number.
#[test]
fn a_run_lost_with_its_queue_is_done() {
    let (shop, fleet) = (Shop::open(), Fleet::with_short_leases());
    let nights = Nights::new(23, 20);
    shop.publish("acme", &nights);
    shop.write_pipe(&fleet, "acme", false);
    let run = issue(&fleet, "acme");
    lose_queue(&fleet);
    let up = fleet.spawn(&["up"]);
    wait_for_state(&fleet, "acme", "done");
    assert_eq!(fleet.report("acme")["run"], run);
    assert_eq!(fleet.products("acme").len(), nights.items().len());
    stop(up);
}

/// The first night's raw snapshot and what a killed writer left are past their age; the second night's, the
/// reports, and a write that is under way are not.
#[test]
fn what_is_past_its_age_goes_and_nothing_else() {
    let fleet = Fleet::new();
    fleet.write("products.csv", "sku,name\n1,Lamp\n2,Chair\n");
    fleet.pipe(
        "shop",
        "[source]\nurl = \"products.csv\"\nformat = \"csv\"\n\
         [map]\nid = \"sku\"\ntitle = \"name\"\n",
    );
    let raw = |report: &serde_json::Value| -> Vec<PathBuf> {
        let run = format!("raw/shop/{:012}", report["run"].as_i64().unwrap());
        let files = fleet.files().into_keys();
        files.filter(|path| path.to_string_lossy().contains(&run)).collect()
    };
    let first = fleet.run_pipe("shop");
    fleet.write("products.csv", "sku,name\n1,Lamp\n2,Chair\n3,Table\n");
    let second = fleet.run_pipe("shop");
    let (first_raw, second_raw) = (raw(&first), raw(&second));
    assert!(!first_raw.is_empty() && !second_raw.is_empty());
    for path in &first_raw {
        make_old(path, DAY * 20);
    }
    let (abandoned, under_way) =
        (fleet.path("var/objects/.tmp/1-1-0"), fleet.path("var/objects/.tmp/2-2-0"));
    old_file(&abandoned, b"half", DAY * 2);
    old_file(&under_way, b"half", DAY / 2);

    let scheduler = fleet.spawn(&["scheduler"]);
    eventually(SOON, "the first night's snapshot to expire", || {
        first_raw.iter().all(|path| !path.exists()).then_some(())
    });
    eventually(SOON, "the abandoned write to go", || (!abandoned.exists()).then_some(()));
    stop(scheduler);
    assert!(under_way.is_file());
    assert!(second_raw.iter().all(|path| path.is_file()), "{second_raw:?}");
    assert_eq!(fleet.products("shop").len(), 3);
    let run = first["run"].to_string();
    fleet.run(&["runs", "show", "shop", &run]).ok().says(&["done"]);
    fleet.run(&["run", "shop", "--replay", &run, "--wait"]).failed().says(&["raw snapshot"]);
    assert_eq!(fleet.products("shop").len(), 3);
}
