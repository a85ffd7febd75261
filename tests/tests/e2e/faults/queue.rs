//! A queue that does not answer for longer than anybody waits for it: another process holds its file.

use super::nights::{Nights, Shop, rows};
use super::support::{
    SOON, attempts, commits, fleet, issue, number, report, settled, status, stop,
    wait_until_stopped,
};
use feedfleet_tests::{Fleet, Gate, Reply, Server, eventually};
use rusqlite::Connection;

/// Leases so long that none runs out, or is even extended, while the queue is held.
const LONG_LEASES: &str = "visibility = \"60s\"";

/// Takes the queue for itself, until the connection is dropped: nobody else can write to it.
fn hold_queue(fleet: &Fleet) -> Connection {
    let queue = Connection::open(fleet.path("var/queue.db")).expect("the queue is a file");
    queue.busy_timeout(SOON).expect("a connection has a time-out");
    queue.execute_batch("BEGIN EXCLUSIVE").expect("nobody holds the queue for long");
    queue
}

/// Promise 2: a queue that is held when a crawl ends costs it nothing: what it did is durable, the acknowledgement
/// is repeated until it gets through, and nothing is done twice.
#[test]
fn a_queue_that_is_held_costs_a_crawl_no_attempt() {
    let fleet = fleet(LONG_LEASES, "max = 1");
    let mut nights = Nights::new(61, 40);
    let (feed, gate) = (nights.feed("http://shop.example", "acme"), Gate::shut());
    let shut = gate.clone();
    let server = Server::start(move |_, _| {
        shut.pass();
        Reply::ok(feed.clone())
    });
    let url = server.base_url();
    fleet.pipe(
        "acme",
        &format!(
            "[source]\nurl = \"{url}/acme.xml\"\nformat = \"google-xml\"\n\
             [images]\nmirror = false\n"
        ),
    );
    let run = issue(&fleet, "acme");
    nights.committed(run);
    let mut worker = fleet.spawn(&["worker"]);
    eventually(SOON, "the feed to be asked for", || (server.hits("/acme.xml") == 1).then_some(()));
    let held = hold_queue(&fleet);
    gate.set(false);
    eventually(SOON, "the acknowledgement to fail", || {
        worker.stderr().contains("could not settle a message").then_some(())
    });
    let before = report(&fleet, "acme", run);
    assert_eq!(before["state"], "done", "{before:#}");
    assert_eq!(rows(&fleet.products("acme")), nights.rows());

    drop(held);
    let after = settled(&fleet, "acme", run);
    assert_eq!(after, before);
    assert_eq!(attempts(&after).len(), 1, "{after:#}");
    assert_eq!(attempts(&after)[0]["end"]["outcome"], "done", "{after:#}");
    assert_eq!(server.hits("/acme.xml"), 1);
    assert_eq!(commits(&fleet).len(), 1);
    assert_eq!(number(&status(&fleet), "crawl", "dead"), 0);
    stop(&mut worker);
}

/// Promise 1: a worker that cannot receive because the queue is held asks again, and does the run when it can.
#[test]
fn a_queue_that_is_held_is_asked_again() {
    let (shop, fleet) = (Shop::open(), fleet(LONG_LEASES, "max = 1"));
    let mut nights = Nights::new(62, 40);
    shop.publish("acme", &nights);
    shop.write_pipe(&fleet, "acme", false);
    let mut command = fleet.command(&["worker"]);
    command.env("FEEDFLEET_LOG", "info");
    let mut worker = fleet.start(command);
    eventually(SOON, "the worker to be ready", || {
        worker.stderr().contains("worker started").then_some(())
    });
    // Between the sending of the message and the moment in which the queue is held it must not receive.
    worker.signal("STOP");
    wait_until_stopped(&worker);
    let run = issue(&fleet, "acme");
    nights.committed(run);
    let held = hold_queue(&fleet);
    worker.signal("CONT");
    eventually(SOON, "a receive to fail", || {
        worker.stderr().contains("could not receive").then_some(())
    });
    let before = report(&fleet, "acme", run);
    assert_eq!(before["state"], "queued", "{before:#}");
    assert!(attempts(&before).is_empty(), "{before:#}");
    let way_out = ["database is locked", "another process holds the queue's file", "try again"];
    shop.publish("other", &nights);
    shop.write_pipe(&fleet, "other", false);
    fleet.run(&["run", "other"]).failed().says(&way_out);
    // Who only looks waits for nobody.
    fleet.run(&["fleet", "status"]).ok();

    drop(held);
    let after = settled(&fleet, "acme", run);
    assert_eq!(after["state"], "done", "{after:#}");
    assert_eq!(attempts(&after).len(), 1, "{after:#}");
    assert_eq!(rows(&fleet.products("acme")), nights.rows());
    stop(&mut worker);
}
