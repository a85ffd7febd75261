//! A feed that is interrupted is read on from what was archived, and not from its start.

use super::support::{
    SOON, attempts, commits, failing_worker, fleet, issue, object, report, settled, stop,
};
use feedfleet_tests::{Fleet, Reply, Running, Server, eventually};
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A part of a raw snapshot: what a killed worker may lose.
const PART_BYTES: u64 = 4 << 20;
/// Products of a feed that is long enough to be interrupted: 32 MiB, sent in six seconds and more.
const MANY: usize = 16 << 10;
/// Never a whole number of parts.
const DRIP: (usize, Duration) = (250_000, Duration::from_millis(50));

/// What the partner has, and how it answers.
#[derive(Clone)]
struct Answer {
    body: String,
    etag: &'static str,
    /// It answers a range request with the range.
    knows_ranges: bool,
    /// It sends a range only where `If-Range` names what it has.
    keeps_conditions: bool,
    slow: bool,
}

impl Answer {
    fn slow(body: String, etag: &'static str) -> Self {
        Self { body, etag, knows_ranges: true, keeps_conditions: true, slow: true }
    }

    fn reply(&self, from: Option<usize>, if_range: Option<&str>) -> Reply {
        let size = self.body.len();
        let is_met = if_range == Some(self.etag) || !self.keeps_conditions;
        let mut reply = match from {
            Some(from) if self.knows_ranges && from >= size => Reply::status(416),
            Some(from) if self.knows_ranges && is_met => {
                let range = format!("bytes {from}-{}/{size}", size - 1);
                let rest = Reply::ok(&self.body.as_bytes()[from..]);
                Reply { status: 206, ..rest }.header("Content-Range", range)
            }
            _ => Reply::ok(self.body.as_bytes()),
        };
        if self.slow {
            reply.drip = Some(DRIP);
        }
        reply.header("ETag", self.etag).header("Content-Type", "text/csv")
    }
}

/// A partner, a fleet with the pipe `shop`, and a run of it on the queue.
struct Scene {
    fleet: Fleet,
    server: Server,
    answer: Arc<Mutex<Answer>>,
    /// Where each request wanted to begin.
    asked: Arc<Mutex<Vec<Option<usize>>>>,
    run: i64,
}

impl Scene {
    fn new(answer: Answer) -> Self {
        let answer = Arc::new(Mutex::new(answer));
        let asked: Arc<Mutex<Vec<Option<usize>>>> = Arc::default();
        let (served, noted) = (Arc::clone(&answer), Arc::clone(&asked));
        let server = Server::start(move |_, headers| {
            let header = |name: &str| {
                headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
            };
            let from = header("range").and_then(|range| {
                range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok()
            });
            noted.lock().expect("no handler panics").push(from);
            let answer = served.lock().expect("no handler panics").clone();
            answer.reply(from, header("if-range"))
        });
        let fleet = fleet("visibility = \"10s\"", "max = 2");
        let url = server.base_url();
        fleet.pipe(
            "shop",
            &format!(
                "[source]\nurl = \"{url}/feed\"\nformat = \"csv\"\n\
                 [map]\nid = \"sku\"\ntitle = \"name\"\ndescription = \"text\"\n\
                 [images]\nmirror = false\n"
            ),
        );
        let run = issue(&fleet, "shop");
        Self { fleet, server, answer, asked, run }
    }

    /// Starts a worker, and ends it by a signal when it has archived two parts; the bytes of these.
    fn interrupt(&self, signal: &str) -> u64 {
        let mut worker = self.fleet.spawn(&["worker"]);
        eventually(SOON, "two parts in the archive", || {
            (self.archived_bytes() >= 2 * PART_BYTES).then_some(())
        });
        let archived = self.archived_bytes();
        worker.signal(signal);
        let status = worker.wait(SOON);
        assert_eq!(status.success(), signal == "TERM", "{status}: {}", worker.stderr());
        archived
    }

    /// Lets another worker do the run; its report.
    fn finish(&self) -> Value {
        let mut worker = self.fleet.spawn(&["worker"]);
        let report = settled(&self.fleet, "shop", self.run);
        assert_eq!(report["state"], "done", "{report:#}");
        assert_eq!(commits(&self.fleet).len(), 1);
        stop(&mut worker);
        report
    }

    fn change(&self, change: impl FnOnce(&mut Answer)) {
        change(&mut self.answer.lock().expect("no handler panics"));
    }

    fn asked(&self) -> Vec<Option<usize>> {
        self.asked.lock().expect("no handler panics").clone()
    }

    fn archived_bytes(&self) -> u64 {
        let folder = self.fleet.path(&format!("var/objects/raw/shop/{:012}", self.run));
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let parts = entries.filter(|entry| entry.file_name() != "facts.json");
        parts.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
    }

    fn facts(&self) -> Value {
        object(&self.fleet, &format!("raw/shop/{:012}/facts.json", self.run))
    }

    fn assert_titles(&self, prefix: &str, count: usize) {
        let products = self.fleet.products("shop");
        assert_eq!(products.len(), count);
        for product in &products {
            assert_eq!(product.title(), format!("{prefix} {}", product.id));
        }
    }

    /// The run began again where the archive ended, and the partner sent little twice.
    fn assert_resumed(&self, archived: u64) {
        let report = self.finish();
        let size = self.answer.lock().expect("no handler panics").body.len() as u64;
        let asked = self.asked();
        assert_eq!((asked.len(), asked[0]), (2, None), "{asked:?}");
        let from = asked[1].expect("the rest was asked for") as u64;
        assert!(from >= archived && from < size, "{from} of {size}, {archived} archived");
        assert_eq!(report["source"]["resumed_at_bytes"], from, "{report:#}");
        assert_eq!(report["bytes"]["fetched"], size - from, "{report:#}");
        assert_eq!(report["source"]["complete"], true, "{report:#}");
        let sent = self.server.sent_bytes();
        assert!(sent * 10 < size * 13, "{sent} bytes were sent of a feed of {size}");
        assert_eq!(self.archived_bytes(), size, "the archive is the feed");
        self.assert_titles("Product", MANY);
    }
}

/// A feed of two KiB a product.
fn feed(prefix: &str, count: usize) -> String {
    let text = "long ".repeat(400);
    let mut feed = "sku,name,text\n".to_owned();
    for n in 0..count {
        writeln!(feed, "{n},{prefix} {n},{text}").expect("text can be written");
    }
    feed
}

/// Promise 9: a worker that is told to stop keeps all that it has read of a feed, and the next one asks for the
/// rest only.
#[test]
fn told_to_stop_in_the_middle_of_a_long_feed() {
    let scene = Scene::new(Answer::slow(feed("Product", MANY), "\"v1\""));
    let archived = scene.interrupt("TERM");
    assert!(!scene.archived_bytes().is_multiple_of(PART_BYTES), "what was in memory is kept too");
    let archived = archived.max(scene.archived_bytes());
    scene.change(|answer| answer.slow = false);
    scene.assert_resumed(archived);
    let report = report(&scene.fleet, "shop", scene.run);
    assert_eq!(attempts(&report)[0]["end"]["outcome"], "interrupted", "{report:#}");
}

/// Promise 1: when a worker is killed in the middle of a feed, the next one asks for the rest only.
#[test]
fn killed_in_the_middle_of_a_long_feed() {
    let scene = Scene::new(Answer::slow(feed("Product", MANY), "\"v1\""));
    let archived = scene.interrupt("KILL");
    scene.change(|answer| answer.slow = false);
    scene.assert_resumed(archived);
}

/// Promise 3: a server that knows no ranges sends the whole again, and nothing of the first transfer is left.
#[test]
fn a_server_without_ranges_is_read_from_the_start() {
    let scene = Scene::new(Answer::slow(feed("Product", MANY), "\"v1\""));
    scene.interrupt("TERM");
    scene.change(|answer| (answer.slow, answer.knows_ranges) = (false, false));
    let report = scene.finish();
    assert!(scene.asked()[1].is_some(), "it was asked for the rest");
    assert_eq!(scene.asked().len(), 2);
    assert_eq!(report["source"]["resumed_at_bytes"], Value::Null, "{report:#}");
    assert_eq!(scene.archived_bytes(), feed("Product", MANY).len() as u64);
    scene.assert_titles("Product", MANY);
}

/// Promise 3: a feed that changed meanwhile is read whole; two versions are never mixed.
#[test]
fn a_feed_that_changed_meanwhile_is_read_from_the_start() {
    let scene = Scene::new(Answer::slow(feed("Product", MANY), "\"v1\""));
    scene.interrupt("TERM");
    let changed = feed("Changed", MANY / 2);
    let size = changed.len() as u64;
    scene.change(|answer| *answer = Answer { slow: false, ..Answer::slow(changed, "\"v2\"") });
    let report = scene.finish();
    assert_eq!(report["source"]["resumed_at_bytes"], Value::Null, "{report:#}");
    assert_eq!(report["source"]["etag"], "\"v2\"", "{report:#}");
    assert_eq!(scene.archived_bytes(), size);
    scene.assert_titles("Changed", MANY / 2);
}

/// Promise 3: a server that sends the rest of another version, whatever it was asked, mixes nothing in: the feed is
/// read from its start.
#[test]
fn the_rest_of_another_version_is_not_taken() {
    let scene = Scene::new(Answer::slow(feed("Product", MANY), "\"v1\""));
    scene.interrupt("TERM");
    // As long as the first one: only its ETag tells it apart.
    let changed = feed("Changed", MANY);
    let size = changed.len() as u64;
    scene.change(|answer| {
        let next = Answer::slow(changed, "\"v2\"");
        *answer = Answer { slow: false, keeps_conditions: false, ..next };
    });
    let report = scene.finish();
    assert!(scene.asked()[1].is_some(), "it was asked for the rest");
    assert_eq!(scene.asked().last(), Some(&None), "and then for the whole");
    assert_eq!(report["source"]["resumed_at_bytes"], Value::Null, "{report:#}");
    assert_eq!(report["source"]["etag"], "\"v2\"", "{report:#}");
    assert_eq!(scene.archived_bytes(), size);
    scene.assert_titles("Changed", MANY);
}

/// Promise 9: a feed that was archived whole before its worker died is not asked for again.
#[test]
fn a_feed_that_was_read_whole_is_not_fetched_again() {
    let scene = Scene::new(Answer { slow: false, ..Answer::slow(feed("Product", 50), "\"v1\"") });
    let mut first = failing_worker(&scene.fleet, "crawl.before-commit=abort");
    eventually(SOON, "the attempt to end", || has_died(&scene, &mut first).then_some(()));
    drop(first);
    assert!(commits(&scene.fleet).is_empty());
    assert_eq!(scene.facts()["complete"], true);

    let report = scene.finish();
    assert_eq!(scene.asked(), [None], "one request is enough");
    let size = feed("Product", 50).len();
    assert_eq!(report["source"]["resumed_at_bytes"], size, "{report:#}");
    assert_eq!(report["bytes"]["fetched"], 0, "{report:#}");
    assert_eq!(report["source"]["complete"], true, "{report:#}");
    scene.assert_titles("Product", 50);
}

/// Whether the failpoint has ended the worker, or the child that did the job for it.
fn has_died(scene: &Scene, worker: &mut Running) -> bool {
    let report = report(&scene.fleet, "shop", scene.run);
    !worker.is_running() || attempts(&report).first().is_some_and(|a| !a["end"].is_null())
}

/// Promise 12: what came of a feed that was cut short can be loaded, but a replay would take it for the whole.
#[test]
fn half_a_feed_is_not_replayed() {
    let body = feed("Product", 20);
    let size = body.len() + 100;
    let server = Server::start(move |_, _| {
        Reply::ok(body.as_bytes()).header("Content-Length", size.to_string())
    });
    let fleet = Fleet::new();
    let url = server.base_url();
    fleet.pipe(
        "shop",
        &format!(
            "[source]\nurl = \"{url}/feed\"\nformat = \"csv\"\n[map]\nid = \"sku\"\n\
             title = \"name\"\n[images]\nmirror = false\n"
        ),
    );
    let cut = fleet.run_pipe("shop");
    assert_eq!(cut["source"]["complete"], false, "{cut:#}");
    let run = cut["run"].to_string();
    let replay = fleet.run(&["run", "shop", "--replay", &run, "--wait"]).failed();
    replay.says(&["raw snapshot", "is not whole", "ended after"]);
    assert_eq!(fleet.products("shop").len(), 20);
}
