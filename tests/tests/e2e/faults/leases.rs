//! Leases that are lost, handed back or held for long.

use super::nights::{Nights, Shop, rows};
use super::support::{
    SOON, attempts, commits, failing_worker, fleet, group_worker, is_by, is_final, issue,
    killed_at, left, number, report, settled, status, stop, wait_until_stopped,
};
use feedfleet_tests::{Fleet, Gate, Reply, Server, eventually};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A server that sends its one feed drop by drop, in eighty seconds, while `slow`.
fn slow_server(nights: &Nights) -> (Server, Arc<AtomicBool>) {
    let body = nights.feed("http://shop.example", "acme");
    let slow = Arc::new(AtomicBool::new(true));
    let is_slow = Arc::clone(&slow);
    let server = Server::start(move |_, _| {
        let mut reply = Reply::ok(body.clone());
        if is_slow.load(Ordering::SeqCst) {
            reply.drip = Some((body.len() / 400, Duration::from_millis(200)));
        }
        reply
    });
    (server, slow)
}

fn write_pipe(fleet: &Fleet, server: &Server, pipe: &str) {
    let url = format!("{}/{pipe}.xml", server.base_url());
    fleet.pipe(
        pipe,
        &format!(
            "[source]\nurl = \"{url}\"\nformat = \"google-xml\"\n\
             [images]\nmirror = false\n"
        ),
    );
}

/// What a worker without its lease must leave as it is.
fn result_of(report: &Value) -> [Value; 4] {
    ["state", "finished_at", "table_version", "counts"].map(|field| report[field].clone())
}

/// Promise 4: a worker that was stopped before its commit, and goes on when its run has been done by another
/// and a newer run is in, changes neither the table nor the reports.
#[test]
fn a_worker_that_slept_past_its_lease_commits_nothing() {
    let (shop, fleet) = (Shop::open(), fleet("visibility = \"10s\"", "max = 2"));
    let mut nights = Nights::new(11, 40);
    shop.publish("acme", &nights);
    shop.write_pipe(&fleet, "acme", false);

    let first = issue(&fleet, "acme");
    let mut sleeper = failing_worker(&fleet, "crawl.before-commit=stop");
    wait_until_stopped(&sleeper);
    let mut other = fleet.spawn(&["worker"]);
    let first_report = settled(&fleet, "acme", first);
    assert_eq!(first_report["state"], "done", "{first_report:#}");
    assert!(is_by(&attempts(&first_report)[1], &other), "{first_report:#}");
    nights.committed(first);

    while nights.rows() == rows(&fleet.products("acme")) {
        nights.pass();
    }
    shop.publish("acme", &nights);
    let second = issue(&fleet, "acme");
    let second_report = settled(&fleet, "acme", second);
    assert_eq!(second_report["state"], "done", "{second_report:#}");
    nights.committed(second);
    let committed = commits(&fleet);
    assert_eq!(committed.iter().map(|c| c.run).collect::<Vec<_>>(), [first, second]);

    sleeper.signal_group("CONT");
    eventually(SOON, "the worker to give up its job", || {
        let told = sleeper.stderr();
        (told.contains("the lease was lost") || told.contains("the lease ran out")).then_some(())
    });
    stop(&mut sleeper);
    stop(&mut other);
    assert_eq!(commits(&fleet), committed);
    assert_eq!(rows(&fleet.products("acme")), nights.rows());
    assert_eq!(result_of(&report(&fleet, "acme", first)), result_of(&first_report));
    assert_eq!(report(&fleet, "acme", second), second_report);
    assert_eq!(left(&fleet, "crawl"), 0);
    assert_eq!(number(&status(&fleet), "crawl", "dead"), 0);
}

/// Promise 4: of two workers at one run, one slept before it wrote down what it would do, and the other did otherwise,
/// committed and died. Whoever ends the run, and whatever the sleeper writes when it goes on: the report says what
/// the table holds.
#[test]
fn a_worker_that_slept_past_its_lease_does_not_say_what_the_run_did() {
    let fleet = fleet("visibility = \"10s\"", "max = 2");
    let publish = |count: u32| {
        let lines: String = (0..count).map(|n| format!("{n:04},Product {n}\n")).collect();
        fleet.write("acme.csv", format!("sku,name\n{lines}"));
    };
    let write_pipe = |guard: &str| {
        let source = "[source]\nurl = \"acme.csv\"\nformat = \"csv\"\n";
        let map = "[map]\nid = \"sku\"\ntitle = \"name\"\n[images]\nmirror = false\n";
        fleet.pipe("acme", &format!("{source}{map}[guard]\n{guard}\n"));
    };
    write_pipe("");
    publish(10);
    assert_eq!(fleet.run_pipe("acme")["state"], "done");

    // The sleeper would hold six removals; while it sleeps they are allowed.
    publish(4);
    let run = issue(&fleet, "acme");
    let mut sleeper = failing_worker(&fleet, "crawl.before-lists=stop");
    wait_until_stopped(&sleeper);
    write_pipe("max_removed = \"100%\"");
    killed_at(&fleet, "crawl.committed");
    let version = commits(&fleet).last().map(|commit| commit.version);

    sleeper.signal_group("CONT");
    eventually(SOON, "the worker to give up its job", || {
        let told = sleeper.stderr();
        (told.contains("the lease was lost") || told.contains("the lease ran out")).then_some(())
    });
    let report = settled(&fleet, "acme", run);
    assert_eq!(report["state"], "done", "{report:#}");
    assert_eq!(report["table_version"].as_u64(), version, "{report:#}");
    for (name, count) in [("seen", 4), ("removed", 6), ("held", 0), ("live", 4)] {
        assert_eq!(report["counts"][name], count, "{name} in {report:#}");
    }
    assert_eq!(report["lists"]["held"], Value::Null, "{report:#}");
    assert_eq!(fleet.products("acme").len(), 4);
    stop(&mut sleeper);
}

/// Promise 4: a lease that is lost in the middle of a job cancels it, and the worker goes on to other jobs.
#[test]
fn a_lost_lease_cancels_its_job() {
    let fleet = fleet("visibility = \"10s\"", "max = 2");
    // Long enough to come slowly, and not too slowly for the crawl.
    let nights = Nights::new(12, 600);
    let (server, slow) = slow_server(&nights);
    write_pipe(&fleet, &server, "acme");

    let first = issue(&fleet, "acme");
    let mut sleeper = group_worker(&fleet);
    eventually(SOON, "the feed to be read", || (server.hits("/acme.xml") == 1).then_some(()));
    sleeper.signal_group("STOP");
    slow.store(false, Ordering::SeqCst);
    let mut other = fleet.spawn(&["worker"]);
    let done = settled(&fleet, "acme", first);
    assert_eq!(done["state"], "done", "{done:#}");
    stop(&mut other);

    sleeper.signal_group("CONT");
    // By itself the feed would go on for most of a minute.
    eventually(Duration::from_secs(30), "the job to be given up", || {
        sleeper.stderr().contains("the lease was lost, the message is left alone").then_some(())
    });
    let first_report = report(&fleet, "acme", first);
    assert!(attempts(&first_report)[0]["end"].is_null(), "it settled nothing: {first_report:#}");
    let second = issue(&fleet, "acme");
    let next = settled(&fleet, "acme", second);
    assert_eq!(next["state"], "done", "{next:#}");
    assert!(is_by(&attempts(&next)[0], &sleeper), "{next:#}");
    assert_eq!(result_of(&report(&fleet, "acme", first)), result_of(&done));
    assert_eq!(commits(&fleet).iter().map(|c| c.run).collect::<Vec<_>>(), [first, second]);
    stop(&mut sleeper);
}

/// Promise 9: told to stop in the middle of a slow feed, a worker is gone within seconds with exit code 0.
/// Its message can be received at once, and the interruption does not count as a failure.
#[test]
fn told_to_stop_in_the_middle_of_a_feed() {
    let fleet = fleet("visibility = \"10m\"\nmax_receives = 1", "max = 2");
    let mut nights = Nights::new(13, 60);
    let (server, slow) = slow_server(&nights);
    write_pipe(&fleet, &server, "acme");

    let run = issue(&fleet, "acme");
    let mut first = fleet.spawn(&["worker"]);
    eventually(SOON, "the feed to be read", || (server.hits("/acme.xml") == 1).then_some(()));
    slow.store(false, Ordering::SeqCst);
    first.signal("TERM");
    let ended = first.wait(SOON);
    assert!(ended.success(), "{ended}: {}", first.stderr());
    assert_eq!(number(&status(&fleet), "crawl", "visible"), 1, "the message is handed back");

    let mut second = fleet.spawn(&["worker"]);
    let report = settled(&fleet, "acme", run);
    assert_eq!(report["state"], "done", "{report:#}");
    let outcomes: Vec<_> = attempts(&report).iter().map(|a| &a["end"]["outcome"]).collect();
    assert_eq!(outcomes, ["interrupted", "done"], "{report:#}");
    assert!(is_by(&attempts(&report)[1], &second), "{report:#}");
    nights.committed(run);
    assert_eq!(rows(&fleet.products("acme")), nights.rows());
    stop(&mut second);
}

/// Promise 7: while one pipe's source hangs, fifty others are crawled by the same worker.
#[test]
fn one_hung_pipe_beside_fifty_healthy_ones() {
    let fleet = fleet("visibility = \"10s\"", "max = 1\ncrawl_slots = 4");
    let nights = Nights::new(14, 20);
    let feed = nights.feed("http://shop.example", "acme");
    let gate = Gate::shut();
    let hung = gate.clone();
    let server = Server::start(move |path, _| {
        if path == "/hung.xml" {
            hung.pass();
        }
        Reply::ok(feed.clone())
    });
    let healthy: Vec<String> = (1..=50).map(|n| format!("healthy-{n}")).collect();
    for pipe in healthy.iter().map(String::as_str).chain(["hung"]) {
        write_pipe(&fleet, &server, pipe);
    }

    let hung = issue(&fleet, "hung");
    let mut worker = fleet.spawn(&["worker"]);
    eventually(SOON, "the source to hang", || (server.hits("/hung.xml") == 1).then_some(()));
    let runs: Vec<i64> = healthy.iter().map(|pipe| issue(&fleet, pipe)).collect();
    for (pipe, run) in healthy.iter().zip(runs) {
        eventually(SOON, &format!("{pipe} to be done"), || {
            let report = report(&fleet, pipe, run);
            assert!(!is_final(&report) || report["state"] == "done", "{report:#}");
            is_final(&report).then_some(())
        });
    }
    assert_eq!(report(&fleet, "hung", hung)["state"], "running");
    gate.set(false);
    let report = settled(&fleet, "hung", hung);
    assert_eq!(report["state"], "done", "{report:#}");
    assert_eq!(attempts(&report).len(), 1, "{report:#}");
    stop(&mut worker);
}
