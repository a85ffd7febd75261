//! A product table as a fleet makes it night after night, until it has all that a reader must cope with: dead rows
//! in files of runs and of compactions, and a log that begins with a checkpoint. Whenever it has changed, every
//! reader sees the rows of the model and no others.

use super::nights::{Nights, Shop, rows};
use feedfleet_catalog::vacuum::{VacuumLimits, vacuum};
use feedfleet_catalog::{Catalog, DataFile, Location, Snapshot};
use feedfleet_tests::aws::AwsEnv;
use feedfleet_tests::{Fleet, Readers, eventually, products};
use serde_json::json;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, SystemTime};

/// Commits after which upkeep writes a checkpoint.
const COMMITS: u64 = 20;
/// Far more than any part of the test needs.
const MOST_NIGHTS: u32 = 40;
const SOON: Duration = Duration::from_secs(90);

/// Where a fleet keeps its tables.
pub(crate) struct Place {
    /// The product table, as other people's readers are told it: a folder, or an address in a bucket.
    pub(crate) products: String,
    /// The catalog, as ours is told it.
    pub(crate) catalog: Location,
    /// What a process needs in order to get there.
    pub(crate) env: AwsEnv,
}

/// Grows the table, and has it read after each step.
pub(crate) fn grow_and_read(readers: &Readers, fleet: &Fleet, place: Place) {
    let pipes = [("alpha", 31, 80), ("beta", 32, 30), ("gamma", 33, 50), ("delta", 34, 20)];
    let pipes = pipes.map(|(pipe, seed, size)| (pipe, Nights::new(seed, size)));
    let shop = Shop::open();
    for (pipe, _) in &pipes {
        shop.write_pipe(fleet, pipe, false);
    }
    let mut table = Growing { readers, fleet, place, shop, pipes: pipes.into(), night: 0 };
    table.pass_nights_until(|newest| newest.version() >= COMMITS);
    table.keep_up();
    table.read("after upkeep", false);
    table.pass_nights_until(|newest| files(newest).iter().any(|f| is_compacted(f) && is_dirty(f)));
    table.forget_the_past();
    table.read("after a vacuum", true);
}

struct Growing<'a> {
    readers: &'a Readers,
    fleet: &'a Fleet,
    place: Place,
    shop: Shop,
    pipes: BTreeMap<&'static str, Nights>,
    night: u32,
}

impl Growing<'_> {
    fn pass_nights_until(&mut self, is_enough: impl Fn(&Snapshot) -> bool) {
        loop {
            self.night += 1;
            assert!(self.night <= MOST_NIGHTS, "the table is not as it should be after all nights");
            for (&pipe, nights) in &mut self.pipes {
                if self.night > 1 {
                    nights.pass();
                }
                self.shop.publish(pipe, nights);
                let run = command(self.fleet, &self.place, &["run", pipe, "--wait", "--json"]);
                let report = self.fleet.finish(run).ok().json();
                nights.committed(report["run"].as_i64().expect("a run has a number"));
            }
            self.read(&format!("after night {}", self.night), false);
            if is_enough(&self.newest()) {
                return;
            }
        }
    }

    /// Has the table read by ours, and by all others.
    fn read(&self, when: &str, limits: bool) {
        let mut expected = String::new();
        for (&pipe, nights) in &self.pipes {
            let found = products(self.place.catalog.clone(), pipe);
            assert_eq!(rows(&found), nights.rows(), "{pipe}, {when}");
            for (id, item) in nights.items() {
                let price =
                    item.price_cents.map(|cents| format!("{}.{:02}", cents / 100, cents % 100));
                let row = json!({
                    "pipe": pipe, "id": id, "title": item.title, "price": price, "run": item.run,
                });
                expected.push_str(&format!("{row}\n"));
            }
        }
        self.fleet.write("expected.jsonl", expected);
        // The test's output tells at which step a reader went wrong.
        println!("{when}:");
        let expected = self.fleet.path("expected.jsonl");
        self.readers.check(&self.place.products, &expected, limits, &self.place.env);
    }

    /// The fleet's own upkeep, until it has written a checkpoint and compacted a pipe.
    fn keep_up(&self) {
        let mut scheduler = self.fleet.start(command(self.fleet, &self.place, &["scheduler"]));
        eventually(SOON, "upkeep to write a checkpoint and to compact a pipe", || {
            let newest = self.newest();
            let has_checkpoint = newest.commits_since_checkpoint() < newest.version();
            (has_checkpoint && files(&newest).iter().any(is_compacted)).then_some(())
        });
        scheduler.signal("TERM");
        let status = scheduler.wait(SOON);
        assert!(status.success(), "{status}: {}", scheduler.stderr());
    }

    /// What upkeep does a month later: files that no live version needs are gone, and so is the log before the
    /// checkpoint, with which every reader must begin from now on.
    fn forget_the_past(&self) {
        let day = VacuumLimits::GRACE;
        let limits = VacuumLimits { keep: day, grace: day };
        let in_a_month = SystemTime::now() + day * 30;
        let gone = vacuum(self.catalog().products(), limits, in_a_month, false);
        let gone = gone.expect("the table can be vacuumed");
        assert!(gone.files > 0 && gone.log_entries >= COMMITS, "{gone:?}");
    }

    fn catalog(&self) -> Catalog {
        Catalog::open(self.place.catalog.clone()).expect("the catalog can be opened")
    }

    fn newest(&self) -> Snapshot {
        let snapshot = self.catalog().products().snapshot().expect("the log can be read");
        snapshot.expect("the table is there")
    }
}

/// `feedfleet ARGS`, able to reach the place.
fn command(fleet: &Fleet, place: &Place, args: &[&str]) -> Command {
    let mut command = fleet.command(args);
    place.env.set(&mut command);
    command
}

fn files(snapshot: &Snapshot) -> Vec<DataFile> {
    snapshot.files(None).expect("the log can be read")
}

fn is_compacted(file: &DataFile) -> bool {
    file.path.contains("/compacted-")
}

fn is_dirty(file: &DataFile) -> bool {
    file.dead_rows() > 0
}
