//! What a power cut may not take: seen from outside, as calls to the system.

use super::trace::{Kind, Trace, killed_at_naming};
use feedfleet_tests::Fleet;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// On the second night one product is changed, one goes and one comes: rows of the first night's file die.
const NIGHTS: [&str; 2] =
    ["sku,name\n1,Lamp\n2,Chair\n3,Desk\n", "sku,name\n1,Lamp\n2,Sofa\n4,Shelf\n"];

const RUN: [&str; 4] = ["run", "shop", "--wait", "--json"];

/// A fleet with one pipe. Leases are so long that nothing but the message itself is written to the queue.
fn shop() -> Fleet {
    shop_of("[leases]\nvisibility = \"10m\"\n[workers]\nmax = 1\n")
}

fn shop_of(fleet_toml: &str) -> Fleet {
    let fleet = Fleet::with_fleet_toml(fleet_toml);
    fleet.pipe(
        "shop",
        "[source]\nurl = \"products.csv\"\nformat = \"csv\"\n[map]\nid = \"sku\"\ntitle = \"name\"\n\
         [guard]\nmax_removed = \"50%\"\n[images]\nmirror = false\n",
    );
    fleet
}

/// The files of the product table with this ending.
fn table_files(fleet: &Fleet, ending: &str) -> BTreeSet<PathBuf> {
    let table = fleet.path("var/catalog/products");
    let is_one = |path: &PathBuf| {
        path.starts_with(&table) && path.extension().is_some_and(|extension| extension == ending)
    };
    fleet.files().into_keys().filter(is_one).collect()
}

/// Promise 11: data and deletion vectors are on the disk before there is a log entry that names them; they, the
/// log entry and the report, each with its folder, before the message is acknowledged. The log entry gets its name when
/// it is on the disk: a power cut leaves none that is empty.
#[test]
fn all_is_synced_before_the_acknowledgement() {
    let fleet = shop();
    let endings = ["parquet", "bin", "json"];
    for (vectors, feed) in NIGHTS.into_iter().enumerate() {
        let before = endings.map(|ending| table_files(&fleet, ending));
        fleet.write("products.csv", feed);
        let Some(trace) = Trace::of(&fleet, &RUN) else { return };
        let mut after = endings.map(|ending| table_files(&fleet, ending));
        for (after, before) in after.iter_mut().zip(&before) {
            after.retain(|path| !before.contains(path));
        }
        let [data, dead, entries] = &after;
        assert_eq!((data.len(), dead.len()), (1, vectors), "new files: {after:#?}");
        let entry = entries.last().expect("a run that brings products has a log entry");

        let committed = trace.placed(entry, usize::MAX);
        assert_eq!(committed.kind, Kind::Name, "it could be seen half written: {committed:?}");
        assert!(trace.is_whole(committed), "a power cut could empty it: {committed:?}");
        let acknowledged = trace.synced_after(&fleet.path("var/queue.db-wal"), committed.ended);
        for file in data.iter().chain(dead) {
            trace.assert_durable(file, committed.begun);
        }
        for entry in entries {
            trace.assert_durable(entry, acknowledged.begun);
        }
        let report = fleet.report("shop");
        assert_eq!(report["state"], "done", "{report:#}");
        let run = report["run"].as_i64().expect("a run has a number");
        let file = fleet.path(&format!("var/objects/reports/shop/{run:012}.json"));
        let reported = trace.assert_durable(&file, acknowledged.begun);
        assert!(reported.begun > committed.ended, "the report was not written after the commit");
    }
}

/// Promise 11: on the first night of a new fleet every folder that was made is on the disk too, in the one that holds
/// it, before the message is acknowledged.
#[test]
fn new_folders_are_synced_before_the_acknowledgement() {
    let fleet = shop();
    fleet.write("products.csv", NIGHTS[0]);
    let Some(trace) = Trace::of(&fleet, &RUN) else { return };
    let entries = table_files(&fleet, "json");
    let entry = entries.last().expect("a run that brings products has a log entry");
    let committed = trace.placed(entry, usize::MAX);
    let acknowledged = trace.synced_after(&fleet.path("var/queue.db-wal"), committed.ended);
    let is_made =
        |kind: Kind, path: &Path| kind == Kind::MakeFolder && path.starts_with(fleet.folder.path());
    let made: Vec<_> = trace.calls().iter().filter(|call| is_made(call.kind, &call.path)).collect();
    assert!(made.len() > 5, "{made:#?}");
    for call in made.into_iter().filter(|call| call.ended < acknowledged.begun) {
        let folder = call.path.parent().expect("a folder of the fleet is in another");
        let is_synced = trace.is_synced(folder, call.ended, acknowledged.begun);
        assert!(is_synced, "{} is not durable in its folder", call.path.display());
    }
}

/// A writer that is killed right before it names the first entry of a table leaves nothing that keeps others from making
/// the table.
#[test]
fn a_writer_killed_in_the_first_commit_stands_in_no_way() {
    let fleet = shop_of("[leases]\nmax_receives = 1\n[workers]\nmax = 1\n");
    fleet.write("products.csv", NIGHTS[0]);
    let table = fleet.path("var/catalog/products");
    let entry = table.join("_delta_log/00000000000000000000.json");
    let Some(killed) = killed_at_naming(&fleet, &RUN, &entry) else { return };
    killed.failed().says(&["worker-lost"]);
    assert!(!entry.exists());
    assert_eq!(table_files(&fleet, "draft").len(), 1, "it was killed too early or too late");

    assert_eq!(fleet.run_pipe("shop")["state"], "done");
    assert_eq!(fleet.products("shop").len(), 3);
}
