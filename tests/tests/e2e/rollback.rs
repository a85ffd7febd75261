//! Rolling a pipe back, and pausing it: what comes back, what is left alone, and what is refused.

use crate::faults::support::{
    self, failing_worker, issue, left, report, settled, stop, wait_until_stopped,
};
use feedfleet_tests::{Fleet, Product, Reply, Server, eventually};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Long enough for a worker or a scheduler to start and a run to finish, on a busy machine.
const SOON: Duration = Duration::from_secs(45);

/// A partner that serves the present night and knows when it has been seen, and a fleet with the pipes `shop`
/// and `other`, which both read it.
struct Partner {
    fleet: Fleet,
    server: Server,
    present: Arc<Mutex<(u32, String)>>,
}

impl Partner {
    fn new() -> Self {
        Self::of(Fleet::new())
    }

    fn of(fleet: Fleet) -> Self {
        let present = Arc::new(Mutex::new((0, String::new())));
        let served = Arc::clone(&present);
        let server = Server::start(move |_, headers| {
            let (night, feed) = served.lock().expect("no test panics in here").clone();
            let etag = format!("\"{night}\"");
            let known = headers.iter().any(|(name, tag)| name == "if-none-match" && *tag == etag);
            let reply = if known { Reply::status(304) } else { Reply::ok(feed) };
            reply.header("ETag", etag)
        });
        for pipe in ["shop", "other"] {
            fleet.pipe(
                pipe,
                &format!(
                    "schedule = \"@daily\"\n[source]\nurl = \"{}/{pipe}\"\nformat = \"csv\"\n\
                     [map]\nid = \"sku\"\ntitle = \"name\"\n\
                     price = {{ field = \"price\", as = \"money\", currency = \"EUR\" }}\n\
                     [images]\nmirror = false\n[guard]\nmin_records = \"0%\"\n",
                    server.base_url()
                ),
            );
        }
        Self { fleet, server, present }
    }

    /// Serves products `from` to `to`, each at this price.
    fn publish(&self, from: u32, to: u32, price: u32) {
        let mut feed = "sku,name,price\n".to_owned();
        for n in from..to {
            writeln!(feed, "{n:03},Product {n},{price}").expect("text can be written");
        }
        let mut present = self.present.lock().expect("no handler panics");
        *present = (present.0 + 1, feed);
    }

    /// Publishes, and runs `shop`.
    fn night(&self, from: u32, to: u32, price: u32) -> Value {
        self.publish(from, to, price);
        self.fleet.run_pipe("shop")
    }

    /// Ten products; then other prices, and some that come and go; then one price for all.
    fn three_nights(&self) -> [(String, Vec<Product>); 3] {
        [(0, 10, 5), (2, 12, 6), (2, 12, 1)].map(|(from, to, price)| {
            let report = self.night(from, to, price);
            assert_eq!(report["state"], "done", "{report:#}");
            (report["run"].to_string(), self.fleet.products("shop"))
        })
    }

    fn is_paused(&self, pipe: &str) -> bool {
        let listed = self.fleet.run(&["pipes", "list", "--json"]).ok().json();
        let pipes = listed.as_array().expect("a list").clone();
        let pipe = pipes.iter().find(|view| view["pipe"] == pipe).expect("the pipe is listed");
        !pipe["paused"].is_null()
    }
}

/// What a refused command, or one that only looks, must leave as it is.
fn files(fleet: &Fleet) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = fleet.files();
    files.retain(|path, _| !path.to_string_lossy().contains("queue.db"));
    files
}

#[test]
fn a_pipe_is_put_back_as_it_was_after_a_run() {
    let partner = Partner::new();
    let fleet = &partner.fleet;
    let [(first, first_night), _, (_, third_night)] = partner.three_nights();
    fleet.run_pipe("other");
    let other = fleet.products("other");

    let before = files(fleet);
    let dry = fleet.run(&["runs", "rollback", "shop", &first, "--dry-run"]).ok();
    let told = ["would be paused", "feedfleet pipes resume shop", "nothing was changed"];
    dry.says(&["would mean", "10 rows put back, 10 taken out"]).says(&told);
    assert_eq!(files(fleet), before);

    let rollback = ["runs", "rollback", "shop", &first, "--by", "ada", "--note", "all cost 1"];
    let done = fleet.run(&rollback).ok();
    done.says(&["10 rows put back", "paused", "feedfleet pipes resume shop", "table version"]);
    assert_eq!(fleet.products("shop"), first_night);
    assert_eq!(fleet.products("other"), other);

    // It stays so until somebody lets it run again.
    let told: &[&str] =
        &["'shop' is paused", "by ada", "all cost 1", "feedfleet pipes resume shop"];
    fleet.run(&["run", "shop", "--wait"]).failed().says(told);
    assert!(partner.is_paused("shop") && !partner.is_paused("other"));
    fleet.run(&["pipes", "list"]).ok().says(&["shop is paused", "by ada"]);
    assert_eq!(fleet.run_pipe("other")["state"], "done");

    let again = fleet.run(&["runs", "rollback", "shop", &first]).ok();
    again.says(&["0 rows put back, 0 taken out, 10 untouched"]);
    assert_eq!(fleet.products("shop"), first_night);

    // The source is as it was on the third night, and must be read all the same.
    fleet.run(&["pipes", "resume", "shop"]).ok().says(&["runs again"]);
    let asked = partner.server.hits("/shop");
    let report = fleet.run_pipe("shop");
    assert_eq!(partner.server.hits("/shop"), asked + 1);
    assert_eq!(report["source"]["not_modified"], false, "{report:#}");
    assert_eq!(report["counts"]["changed"], 8, "{report:#}");
    let briefs = |products: &[Product]| -> Vec<(String, Option<i64>)> {
        products.iter().map(|p| (p.id.clone(), p.price)).collect()
    };
    assert_eq!(briefs(&fleet.products("shop")), briefs(&third_night));
}

/// Promise 1: no run is lost to a rollback; one that has not ended must end first.
#[test]
fn a_rollback_waits_for_the_run_that_is_under_way() {
    let partner = Partner::new();
    let fleet = &partner.fleet;
    let [(first, first_night), _, (_, third_night)] = partner.three_nights();
    let queued = fleet.run(&["run", "shop", "--json"]).ok().json();
    let rollback = ["runs", "rollback", "shop", &first];
    let named = format!("run shop/{} is queued and must end first", queued["run"]);
    let dry = [&rollback[..], &["--dry-run"]].concat();
    fleet.run(&dry).failed().says(&["nothing was changed", &named]);
    assert!(!partner.is_paused("shop"));
    let paused = ["the pipe is paused", "feedfleet pipes resume shop"];
    fleet.run(&rollback).failed().says(&["no row was changed", &named]).says(&paused);
    assert_eq!(fleet.products("shop"), third_night);
    assert!(partner.is_paused("shop"));

    // A run that was issued before the pause goes on to its end.
    let worker = fleet.spawn(&["worker"]);
    eventually(SOON, "the run to end", || (fleet.report("shop")["state"] == "done").then_some(()));
    drop(worker);
    fleet.run(&rollback).ok().says(&["as it was after run"]);
    assert_eq!(fleet.products("shop"), first_night);
}

#[test]
fn what_cannot_be_gone_back_to_is_told_before_anything_is_done() {
    let partner = Partner::new();
    let fleet = &partner.fleet;
    partner.three_nights();
    let products = fleet.products("shop");
    let before = files(fleet);
    for flags in [&["--dry-run"][..], &[]] {
        let rollback = [&["runs", "rollback", "shop", "17"][..], flags].concat();
        let told =
            ["nothing was changed", "run 17", "not in the table", "feedfleet runs list shop"];
        fleet.run(&rollback).failed().says(&told);
    }
    assert_eq!(files(fleet), before);
    assert!(!partner.is_paused("shop"), "a rollback that did not begin pauses nothing");
    assert_eq!(fleet.products("shop"), products);
}

#[test]
fn a_pipe_that_is_not_there_is_told_with_the_nearest() {
    let partner = Partner::new();
    let fleet = &partner.fleet;
    partner.night(0, 3, 5);
    let before = files(fleet);
    for command in ["rollback", "approve", "reject"] {
        let told = ["no pipe 'nope'", "pipes/nope.toml", "other, shop"];
        fleet.run(&["runs", command, "nope", "3"]).failed().says(&told);
        let told = ["no pipe 'shpo'", "did you mean 'shop'?"];
        fleet.run(&["runs", command, "shpo", "3"]).failed().says(&told);
    }
    assert_eq!(files(fleet), before);
}

#[test]
fn who_paused_the_pipe_before_its_rollback_stays_on_record() {
    let partner = Partner::new();
    let fleet = &partner.fleet;
    let [(first, first_night), ..] = partner.three_nights();
    let pause = ["pipes", "pause", "shop", "--by", "bob", "--note", "new feed on Monday"];
    fleet.run(&pause).ok();
    let rollback = ["runs", "rollback", "shop", &first, "--by", "ada", "--note", "all cost 1"];
    fleet.run(&rollback).ok().says(&["10 rows put back"]);
    assert_eq!(fleet.products("shop"), first_night);
    let told = ["by bob (new feed on Monday), rolled back to run", "by ada (all cost 1)"];
    fleet.run(&["pipes", "list"]).ok().says(&told);
}

/// Promise 12: what a run held counts no more once the pipe was rolled back. Nobody is told to approve it then.
#[test]
fn approving_after_a_rollback_is_refused() {
    let partner = Partner::new();
    let fleet = &partner.fleet;
    let first = partner.night(0, 10, 5);
    let first_night = fleet.products("shop");
    let held = partner.night(0, 4, 6);
    assert_eq!(held["state"], "held", "{held:#}");
    let (first, held) = (first["run"].to_string(), held["run"].to_string());
    fleet.run(&["runs", "rollback", "shop", &first]).ok();
    for flags in [&["--dry-run"][..], &[]] {
        let approve = [&["runs", "approve", "shop", held.as_str()][..], flags].concat();
        fleet.run(&approve).failed().says(&["nothing was removed", "was rolled back"]);
    }
    let reject = format!("feedfleet runs reject shop {held}");
    for look in [&["doctor", "--offline"][..], &["runs", "show", "shop"]] {
        let told = fleet.run(look).all();
        assert!(told.contains("the pipe was rolled back after it"), "{told}");
        assert!(told.contains(&reject) && !told.contains("runs approve"), "{told}");
    }
    fleet.run(&["runs", "reject", "shop", &held]).ok().says(&["is rejected", "was rolled back"]);
    let told = fleet.run(&["doctor", "--offline"]).all();
    assert!(!told.contains("runs reject"), "{told}");
    assert_eq!(fleet.products("shop"), first_night);
}

/// Promise 12: so, too, where the run did nothing but hold, and the rollback finds nothing to do.
#[test]
fn approving_after_a_rollback_that_found_nothing_to_do_is_refused() {
    let partner = Partner::new();
    let fleet = &partner.fleet;
    let first = partner.night(0, 10, 5)["run"].to_string();
    let first_night = fleet.products("shop");
    let held = partner.night(0, 4, 5);
    assert_eq!(held["state"], "held", "{held:#}");
    assert_eq!(held["counts"]["changed"], 0, "{held:#}");
    let done = fleet.run(&["runs", "rollback", "shop", &first]).ok();
    done.says(&["0 rows put back, 0 taken out, 10 untouched", "table version"]);
    let held = held["run"].to_string();
    let approve = ["runs", "approve", "shop", held.as_str()];
    fleet.run(&approve).failed().says(&["nothing was removed", "was rolled back"]);
    assert_eq!(fleet.products("shop"), first_night);
}

/// What the operator approved does not come back with the rows that were right.
#[test]
fn a_run_that_was_approved_is_gone_back_to_with_its_approval() {
    let partner = Partner::new();
    let fleet = &partner.fleet;
    partner.night(0, 10, 5);
    let held = partner.night(0, 4, 6);
    assert_eq!(held["state"], "held", "{held:#}");
    let held = held["run"].to_string();
    let approve = ["runs", "approve", "shop", held.as_str()];
    fleet.run(&approve).ok().says(&["6 products removed", "4 live"]);
    let approved = fleet.products("shop");
    assert_eq!(approved.len(), 4);
    let wrong = partner.night(0, 4, 1);
    assert_eq!(wrong["state"], "done", "{wrong:#}");

    let rollback = ["runs", "rollback", "shop", held.as_str()];
    let rows = "4 rows put back, 4 taken out, 0 untouched; 4 live";
    let dry = [&rollback[..], &["--dry-run"]].concat();
    fleet.run(&dry).ok().says(&["would mean", rows]);
    fleet.run(&rollback).ok().says(&[rows]);
    assert_eq!(fleet.products("shop"), approved);
    fleet.run(&approve).ok().says(&["approved by", "already"]);
    assert_eq!(fleet.products("shop"), approved);
}

/// Promise 4: a worker sleeps before its commit until its run is dead and the pipe was rolled back, though there was
/// nothing to put back. When it goes on, the rows stay as the rollback said; a replay of the run goes in.
#[test]
fn what_a_rollback_counted_on_stays_so_when_a_sleeper_wakes() {
    let partner = Partner::of(support::fleet("visibility = \"10s\"\nmax_receives = 1", "max = 2"));
    let fleet = &partner.fleet;
    let first = partner.night(0, 10, 5)["run"].to_string();
    let first_night = fleet.products("shop");

    partner.publish(0, 10, 6);
    let run = issue(fleet, "shop");
    let mut sleeper = failing_worker(fleet, "crawl.before-commit=stop");
    wait_until_stopped(&sleeper);
    let mut other = fleet.spawn(&["worker"]);
    assert_eq!(settled(fleet, "shop", run)["state"], "dead");
    let done = fleet.run(&["runs", "rollback", "shop", &first]).ok();
    done.says(&["0 rows put back, 0 taken out, 10 untouched", "table version"]);

    sleeper.signal_group("CONT");
    // It has no more than this to do: its child gives the run up, and it stops.
    stop(&mut sleeper);
    assert_eq!(fleet.products("shop"), first_night);
    assert_eq!(report(fleet, "shop", run)["state"], "dead");
    assert_eq!(left(fleet, "crawl"), 0);

    fleet.run(&["pipes", "resume", "shop"]).ok();
    fleet.run(&["dlq", "replay", "--all-waiting"]).ok();
    let replayed = settled(fleet, "shop", run);
    assert_eq!(replayed["state"], "done", "{replayed:#}");
    assert!(fleet.products("shop").iter().all(|product| product.price == Some(60_000)));
    stop(&mut other);
}

#[test]
fn a_paused_pipe_is_passed_over_by_its_schedule() {
    let partner = Partner::new();
    let fleet = &partner.fleet;
    partner.publish(0, 3, 5);
    let pause = ["pipes", "pause", "shop", "--by", "ada", "--note", "new feed on Monday"];
    fleet.run(&pause).ok().says(&["'shop' is paused", "feedfleet pipes resume shop"]);
    fleet.run(&pause).ok().says(&["paused already", "by ada", "new feed on Monday"]);
    let listed = fleet.run(&["pipes", "list"]).ok();
    listed.says(&["shop is paused", "new feed on Monday"]);
    fleet.run(&["pipes", "pause", "shpo"]).failed().says(&["no pipe 'shpo'", "other, shop"]);

    let mut up = fleet.spawn(&["up"]);
    // Both are due at the same tick, and the pipes are looked at one after the other.
    eventually(SOON, "the other pipe's run", || (fleet.products("other").len() == 3).then_some(()));
    fleet.run(&["runs", "show", "shop"]).failed().says(&["no runs yet"]);
    assert!(fleet.products("shop").is_empty());
    fleet.run(&["pipes", "resume", "shop"]).ok().says(&["runs again"]);
    eventually(SOON, "the pipe's run", || (fleet.products("shop").len() == 3).then_some(()));
    fleet.run(&["pipes", "resume", "shop"]).ok().says(&["was not paused"]);
    fleet.run(&["pipes", "resume", "shpo"]).failed().says(&["no pipe 'shpo'"]);
    up.signal("TERM");
    assert!(up.wait(SOON).success());
}
