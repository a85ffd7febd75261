//! Messages on the crawl queue that are no jobs of ours, or of another release.

use super::{SOON, WORKER, night, payloads};
use feedfleet_queue::{NewMessage, Queue, SqliteQueue, SqliteQueueOptions};
use feedfleet_tests::{Fleet, eventually};

/// Bodies that can never be done, and what the operator reads in the list of dead letters.
const DEAD: &[(&str, &str)] = &[
    ("hello", "the message body is not a job"),
    ("{\"Records\": [{\"eventName\": \"ObjectCreated:Put\"}]}", "missing field `schema`"),
    ("{\"schema\":1,\"kind\":\"crawl\",\"id\":\"x\"}", "missing field `pipe`"),
    (
        "{\"schema\":1,\"kind\":\"crawl\",\"id\":\"x\",\"pipe\":\"../etc\",\"run\":1,\"attempt\":1}",
        "'../etc' is not a pipe name",
    ),
    (
        "{\"schema\":1,\"kind\":\"crawl\",\"id\":\"x\",\"pipe\":\"shop\",\"run\":1e99,\"attempt\":1}",
        "the message body is not a job",
    ),
    (
        "{\"schema\":1,\"kind\":\"crawl\",\"id\":\"x\",\"pipe\":\"ghost\",\"run\":5,\"attempt\":1}",
        "run ghost/5 has no report",
    ),
];
/// Bodies that another release may know, and what the worker's log says of them.
const RETURNED: &[(&str, &str)] = &[
    ("{\"schema\":3,\"kind\":\"crawl\",\"id\":\"x\"}", "the job has schema 3"),
    ("{\"schema\":1,\"kind\":\"rank\",\"id\":\"x\"}", "no job of kind 'rank'"),
];

/// Promise 8: what is no job becomes a dead letter with its reason at once; what a newer release wrote goes
/// back to the queue and waits for it; the worker and the jobs beside them live.
#[test]
fn bad_bodies() {
    let fleet = Fleet::with_fleet_toml(WORKER);
    fleet.write("products.csv", payloads::csv(3));
    fleet.pipe(
        "shop",
        "[source]\nurl = \"products.csv\"\nformat = \"csv\"\n[map]\nid = \"sku\"\ntitle = \"name\"\n",
    );
    let mut worker = fleet.spawn(&["worker"]);
    night(&fleet, &["shop"]);
    let before = fleet.products("shop");
    assert_eq!(before.len(), 3);

    let bodies = DEAD.iter().chain(RETURNED).map(|(body, _)| *body);
    send(&fleet, bodies);
    let count = |figure: &str| {
        let status = fleet.run(&["fleet", "status", "--json"]).ok().json();
        let queues = status["queues"].as_array().cloned().unwrap_or_default();
        let crawl = queues.iter().find(|queue| queue["name"] == "crawl");
        crawl.and_then(|queue| queue[figure].as_u64()).unwrap_or_default()
    };
    eventually(SOON, "every message to be taken", || {
        let is_dead = count("dead") == DEAD.len() as u64;
        let is_told = RETURNED.iter().all(|(_, says)| worker.stderr().contains(says));
        // A letter is written before its message leaves the queue.
        let left = count("visible") + count("in_flight");
        (is_dead && is_told && left <= RETURNED.len() as u64).then_some(())
    });
    let told: Vec<&str> = DEAD.iter().map(|(_, says)| *says).collect();
    let listed = fleet.run(&["dlq", "list", "--each", "--json"]).ok();
    listed.says(&told).says(&["\"unreadable\""]);
    let waiting = count("visible") + count("in_flight");
    assert_eq!(waiting, RETURNED.len() as u64, "what may be a newer release's is never deleted");

    night(&fleet, &["shop"]);
    assert_eq!(fleet.products("shop"), before);
    assert!(worker.is_running(), "{}", worker.stderr());
}

/// Puts messages on the crawl queue, each in a group of its own.
fn send<'a>(fleet: &Fleet, bodies: impl Iterator<Item = &'a str>) {
    let batch: Vec<NewMessage> = bodies
        .enumerate()
        .map(|(place, body)| NewMessage {
            group: format!("bad-{place}"),
            dedup_id: format!("bad-{place}"),
            body: body.to_owned(),
        })
        .collect();
    let path = fleet.path("var/queue.db");
    let queue = SqliteQueue::open(&path, "crawl", SqliteQueueOptions::new(10))
        .expect("the queue is there since the first night");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let sent = runtime.block_on(queue.send(&batch)).expect("the queue can be written");
    assert_eq!(sent.len(), batch.len());
}
