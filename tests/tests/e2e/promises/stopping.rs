//! A worker that is told to stop, at every step of its work.

use crate::faults::nights::{Nights, PIXEL, Shop, rows};
use crate::faults::support::{
    SOON, attempts, commits, fleet, issue, left, number, report, settled, status, stop,
    waiting_worker,
};
use chrono::{DateTime, TimeDelta, Utc};
use feedfleet_tests::{Fleet, Gate, Reply, Running, Server, eventually};
use serde_json::Value;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The promise is 100 s, for jobs that take long to stop. These do not.
const GONE_WITHIN: Duration = Duration::from_secs(20);
/// Within it the worker has left both queues alone, by its own clock, and receives nothing from then on.
const NO_NEW_WORK_AFTER: TimeDelta = TimeDelta::seconds(1);
/// So long it is watched, with hands free and work to be had.
const WATCHED_FOR: Duration = Duration::from_secs(2);

/// Whether the worker receives no more, from either queue.
fn has_stopped(worker: &Running) -> Option<()> {
    (worker.stderr().matches("receives no more").count() == 2).then_some(())
}

/// When the worker last said this.
fn moment(worker: &Running, what: &str) -> DateTime<Utc> {
    let log = worker.stderr();
    let line = log.lines().rfind(|line| line.contains(what)).expect("it said so");
    let moment = line.split_whitespace().find_map(|word| word.parse().ok());
    moment.unwrap_or_else(|| panic!("no time in {line}"))
}

/// How each attempt at a run ended.
fn outcomes(report: &Value) -> Vec<&Value> {
    attempts(report).iter().map(|attempt| &attempt["end"]["outcome"]).collect()
}

/// A partner whose pictures wait and whose feed `/slow.xml` comes drop by drop, in forty seconds, while it is busy.
fn busy_partner(nights: &Arc<Nights>) -> (Server, Gate) {
    let busy = Gate::shut();
    let (nights, is_busy) = (Arc::clone(nights), busy.clone());
    let server = Server::start(move |path, headers| {
        if path.starts_with("/picture/") {
            is_busy.pass();
            return Reply::ok(PIXEL).header("Content-Type", "image/png");
        }
        let host = headers.iter().find(|(name, _)| name == "host").map(|(_, host)| host.as_str());
        let base_url = format!("http://{}", host.unwrap_or_default());
        let pipe = path.trim_start_matches('/').trim_end_matches(".xml");
        let mut reply = Reply::ok(nights.feed(&base_url, pipe));
        if pipe == "slow" && is_busy.is_shut() {
            reply.drip = Some((reply.body.len() / 400, Duration::from_millis(100)));
        }
        reply
    });
    (server, busy)
}

fn write_pipe(fleet: &Fleet, server: &Server, pipe: &str, images: bool) {
    let url = format!("{}/{pipe}.xml", server.base_url());
    fleet.pipe(
        pipe,
        &format!(
            "[source]\nurl = \"{url}\"\nformat = \"google-xml\"\n[images]\nmirror = {images}\n"
        ),
    );
}

/// Promise 9: told to stop with crawls and image jobs in hand and more of both waiting, a worker receives nothing
/// more from one second on, though it has hands free and goes on for seconds; and what it received before that is
/// begun by nobody. What it had is back on the queue, what it could finish is done, and the next worker does the rest.
#[test]
fn told_to_stop_with_its_hands_full() {
    let slots = "max = 1\ncrawl_slots = 2\nimage_slots = 2";
    // Leases are so long that only what is handed back is visible.
    let fleet = fleet("visibility = \"10m\"", slots);
    let nights = Arc::new(Nights::new(41, 120));
    let (server, busy) = busy_partner(&nights);
    let pipes = ["pictures", "slow", "asleep", "later", "sent"];
    for pipe in pipes {
        write_pipe(&fleet, &server, pipe, pipe == "pictures");
    }
    let pictures = issue(&fleet, "pictures");
    let mut first = fleet.spawn(&["worker"]);
    settled(&fleet, "pictures", pictures);
    let in_hand = || {
        let status = status(&fleet);
        (number(&status, "crawl", "in_flight"), number(&status, "image", "in_flight"))
    };
    let two_image_jobs = || {
        eventually(SOON, "two image jobs in hand", || {
            let now = in_hand();
            if now != (0, 2) {
                eprintln!("crawls and image jobs in hand: {now:?}");
            }
            (now == (0, 2)).then_some(())
        });
    };
    // With its hands full it is about to receive nothing that its end would leave on lease.
    two_image_jobs();
    stop(&mut first);
    let image_jobs = number(&status(&fleet), "image", "visible");
    assert!(image_jobs > 2, "{image_jobs} image jobs wait");

    let (mut worker, go_on) = waiting_worker(&fleet, "crawl.before-commit");
    two_image_jobs();
    let slow = issue(&fleet, "slow");
    eventually(SOON, "the slow feed", || (server.hits("/slow.xml") == 1).then_some(()));
    let asleep = issue(&fleet, "asleep");
    eventually(SOON, "a crawl before its commit", || {
        worker.stderr().contains("crawl.before-commit").then_some(())
    });
    let later = issue(&fleet, "later");
    assert_eq!(in_hand(), (2, 2));

    worker.signal("TERM");
    let told = Instant::now();
    eventually(SOON, "both queues to be left alone", || has_stopped(&worker));
    let took = moment(&worker, "receives no more") - moment(&worker, "told to stop");
    assert!(took <= NO_NEW_WORK_AFTER, "{took}: {}", worker.stderr());
    let sent = issue(&fleet, "sent");
    let (mut last, mut has_free_hands) = (in_hand(), None);
    while worker.is_running() {
        let now = in_hand();
        assert!(now.0 <= last.0 && now.1 <= last.1, "{last:?} in hand, and then {now:?}");
        last = now;
        // The crawl that cannot be handed back, and nothing else.
        if now == (1, 0) && !go_on.exists() {
            has_free_hands.get_or_insert_with(Instant::now);
        }
        if has_free_hands.is_some_and(|since| since.elapsed() > WATCHED_FOR) {
            fs::write(&go_on, "").expect("a file can be written");
        }
        assert!(told.elapsed() < GONE_WITHIN, "{}", worker.stderr());
    }
    assert!(go_on.exists(), "it was gone before it was watched for long enough");
    let ended = worker.wait(GONE_WITHIN);
    assert!(ended.success(), "{ended}: {}", worker.stderr());

    let after = status(&fleet);
    assert_eq!(in_hand(), (0, 0));
    assert_eq!(number(&after, "crawl", "visible"), 3, "slow, later and sent");
    assert_eq!(number(&after, "image", "visible"), image_jobs);
    assert_eq!(outcomes(&report(&fleet, "slow", slow)), ["interrupted"]);
    assert_eq!(outcomes(&report(&fleet, "asleep", asleep)), ["done"]);
    for (pipe, run) in [("later", later), ("sent", sent)] {
        assert!(attempts(&report(&fleet, pipe, run)).is_empty(), "{pipe} was begun");
    }

    busy.set(false);
    let mut last = fleet.spawn(&["worker"]);
    for (pipe, run) in [("slow", slow), ("later", later), ("sent", sent)] {
        let report = settled(&fleet, pipe, run);
        assert_eq!(report["state"], "done", "{report:#}");
    }
    assert_eq!(outcomes(&report(&fleet, "slow", slow)), ["interrupted", "done"]);
    eventually(SOON, "the pictures", || (left(&fleet, "image") == 0).then_some(()));
    for path in nights.image_paths("pictures") {
        assert!(server.hits(&path) > 0, "{path} was never asked for");
    }
    stop(&mut last);
    assert_eq!(commits(&fleet).len(), pipes.len(), "each run is in once");
    for pipe in pipes {
        assert_eq!(fleet.products(pipe).len(), nights.items().len(), "{pipe}");
    }
}

/// A worker that is told to stop while it is at this point is gone in time and leaves nothing in hand; the run is
/// done once, by it or by the next worker, and so are its pictures.
fn told_to_stop_at(point: &str) {
    let (shop, fleet) = (Shop::open(), fleet("visibility = \"10m\"", "max = 1"));
    let mut nights = Nights::new(42, 40);
    shop.publish("acme", &nights);
    shop.write_pipe(&fleet, "acme", true);
    let run = issue(&fleet, "acme");
    // No image job shall be begun before the signal comes.
    shop.let_pictures_wait(true);
    let (mut first, go_on) = waiting_worker(&fleet, point);
    eventually(SOON, &format!("the worker to come to {point}"), || {
        first.stderr().contains(point).then_some(())
    });
    first.signal("TERM");
    eventually(SOON, "both queues to be left alone", || has_stopped(&first));
    fs::write(&go_on, "").expect("a file can be written");
    let ended = first.wait(GONE_WITHIN);
    assert!(ended.success(), "{ended}: {}", first.stderr());
    let after = status(&fleet);
    assert_eq!(number(&after, "crawl", "in_flight"), 0, "{after:#}");
    assert_eq!(number(&after, "image", "in_flight"), 0, "{after:#}");

    shop.let_pictures_wait(false);
    let mut second = fleet.spawn(&["worker"]);
    let report = settled(&fleet, "acme", run);
    assert_eq!(report["state"], "done", "{report:#}");
    let outcomes = outcomes(&report);
    let (last, before) = outcomes.split_last().expect("there was an attempt");
    assert_eq!(*last, "done", "{report:#}");
    assert!(before.iter().all(|outcome| *outcome == "interrupted"), "{report:#}");
    eventually(SOON, "the pictures", || (left(&fleet, "image") == 0).then_some(()));
    stop(&mut second);
    let runs: Vec<i64> = commits(&fleet).iter().map(|commit| commit.run).collect();
    assert_eq!(runs, [run], "the run is in once");
    nights.committed(run);
    assert_eq!(rows(&fleet.products("acme")), nights.rows());
    // Only those that the first worker had in hand are asked for again.
    for path in nights.image_paths("acme") {
        assert!((1..=2).contains(&shop.server.hits(&path)), "{path}");
    }
}

/// Promise 9: told to stop before anything is done, a worker hands its message back.
#[test]
fn told_to_stop_when_the_job_begins() {
    told_to_stop_at("job.begun");
}

/// Promise 9: told to stop with everything written but the commit, a worker leaves the run done or handed back.
#[test]
fn told_to_stop_before_the_commit() {
    told_to_stop_at("crawl.before-commit");
}

/// Promise 9: told to stop right after the commit, a worker still sends the image jobs, or leaves that to the next.
#[test]
fn told_to_stop_after_the_commit() {
    told_to_stop_at("crawl.committed");
}

/// Promise 9: told to stop after the image jobs were sent, a worker sends none of them twice.
#[test]
fn told_to_stop_after_the_images_were_sent() {
    told_to_stop_at("crawl.images-sent");
}

/// Promise 9: told to stop with everything done but the acknowledgement, a worker acknowledges.
#[test]
fn told_to_stop_before_the_acknowledgement() {
    told_to_stop_at("job.before-settle");
}
