//! Workers that are killed under a job, and jobs that panic, abort or run out of memory.

use super::nights::{Nights, Shop, rows};
use super::support::{
    SOON, attempts, commits, failing_worker, fleet, is_by, issue, killed_at, left, number, object,
    report, settled, status, stop,
};
use feedfleet_tests::{Fleet, Reply, Server, eventually};

const SHORT_LEASES: &str = "visibility = \"10s\"\nmax_receives = 5";
/// Pictures in one image message.
const BATCH: usize = 20;

/// A shop with 60 products, a fleet with one pipe that reads them, and a run of it on the queue.
struct Scene {
    shop: Shop,
    fleet: Fleet,
    nights: Nights,
    run: i64,
}

impl Scene {
    fn new(leases: &str, workers: &str) -> Self {
        let (shop, fleet) = (Shop::open(), fleet(leases, workers));
        let mut nights = Nights::new(7, 60);
        shop.publish("acme", &nights);
        shop.write_pipe(&fleet, "acme", true);
        let run = issue(&fleet, "acme");
        nights.committed(run);
        Self { shop, fleet, nights, run }
    }

    fn image_messages(&self) -> u64 {
        self.nights.image_paths("acme").len().div_ceil(BATCH) as u64
    }

    /// The table has the run once and its rows whole; every picture is there.
    fn assert_done(&self) {
        eventually(SOON, "the image queue to be empty", || {
            (left(&self.fleet, "image") == 0).then_some(())
        });
        let commits = commits(&self.fleet);
        assert_eq!(commits.len(), 1, "{commits:?}");
        assert_eq!((commits[0].app.as_str(), commits[0].run), ("acme/feed", self.run));
        let products = self.fleet.products("acme");
        assert_eq!(rows(&products), self.nights.rows());
        for key in products.iter().map(|p| p.text("image_key")).filter(|key| !key.is_empty()) {
            assert!(self.fleet.path("var/objects").join(key).is_file(), "{key} is not there");
        }
    }

    /// How often pictures were asked for: the least and the most wanted.
    fn image_requests(&self) -> (usize, usize) {
        let paths = self.nights.image_paths("acme");
        let hits: Vec<usize> = paths.iter().map(|path| self.shop.server.hits(path)).collect();
        (hits.iter().copied().min().unwrap_or(0), hits.iter().copied().max().unwrap_or(0))
    }
}

/// What is durable when a worker dies.
struct Durable {
    commit: bool,
    images_sent: bool,
    /// The run's own report knows that it is done.
    report: bool,
}

fn dies_at(point: &str, durable: Durable) {
    let scene = Scene::new(SHORT_LEASES, "max = 1");
    // The crawl shall fail, and no image job before it.
    scene.shop.let_pictures_wait(true);
    let first = killed_at(&scene.fleet, point);
    scene.shop.let_pictures_wait(false);
    assert_eq!(commits(&scene.fleet).len(), usize::from(durable.commit), "commits at {point}");
    let sent = if durable.images_sent { scene.image_messages() } else { 0 };
    assert_eq!(left(&scene.fleet, "image"), sent, "image messages at {point}");
    assert_eq!(left(&scene.fleet, "crawl"), 1, "the crawl's message is acknowledged last");

    let mut second = scene.fleet.spawn(&["worker"]);
    let report = settled(&scene.fleet, "acme", scene.run);
    assert_eq!(report["state"], "done", "{report:#}");
    let attempts = attempts(&report);
    assert!(is_by(&attempts[0], &first), "{report:#}");
    if durable.report {
        assert_eq!(attempts.len(), 1, "there was nothing left to do: {report:#}");
        assert_eq!(attempts[0]["end"]["outcome"], "done");
    } else {
        assert_eq!(attempts.len(), 2, "{report:#}");
        assert!(attempts[0]["end"].is_null(), "the lost attempt has no end: {report:#}");
        assert!(is_by(&attempts[1], &second), "{report:#}");
        assert_eq!(attempts[1]["end"]["outcome"], "done");
    }
    scene.assert_done();
    let images = scene.nights.image_paths("acme").len();
    assert_eq!(report["counts"]["images_queued"], images as u64, "{report:#}");
    // Messages that the dead worker had in hand are done twice; no others are.
    let most = if durable.images_sent { 2 } else { 1 };
    let (least_asked, most_asked) = scene.image_requests();
    assert!(least_asked == 1 && most_asked <= most, "asked {least_asked} to {most_asked} times");
    stop(&mut second);
}

/// Promise 2: killed before anything was done, the run is done by the next worker.
#[test]
fn killed_when_the_job_begins() {
    dies_at("job.begun", Durable { commit: false, images_sent: false, report: false });
}

/// Promise 2: killed with everything written but the commit, the table has nothing of it.
#[test]
fn killed_before_the_commit() {
    dies_at("crawl.before-commit", Durable { commit: false, images_sent: false, report: false });
}

/// Promise 2: killed right after the commit, the run is not done again, and its pictures are fetched.
#[test]
fn killed_after_the_commit() {
    dies_at("crawl.committed", Durable { commit: true, images_sent: false, report: false });
}

/// Promise 2: killed after the image messages were sent, they are not sent a second time.
#[test]
fn killed_after_the_images_were_sent() {
    dies_at("crawl.images-sent", Durable { commit: true, images_sent: true, report: false });
}

/// Promise 2: killed with everything done but the acknowledgement, only that is left to do.
#[test]
fn killed_before_the_acknowledgement() {
    dies_at("job.before-settle", Durable { commit: true, images_sent: true, report: true });
}

/// Promise 1: a worker that is killed when the report says that the run is dead, and before there is a letter, leaves
/// the letter to the next one: no run is dead without one.
#[test]
fn killed_before_the_letter_of_a_dead_run() {
    let fleet = fleet(SHORT_LEASES, "max = 1");
    let server = Server::start(|_, _| Reply::status(404));
    let url = server.base_url();
    let source = format!("[source]\nurl = \"{url}/feed\"\nformat = \"csv\"\n");
    fleet.pipe("acme", &format!("{source}[map]\nid = \"sku\"\ntitle = \"name\"\n"));
    let run = issue(&fleet, "acme");
    drop(killed_at(&fleet, "job.before-settle"));
    assert_eq!(report(&fleet, "acme", run)["state"], "dead");
    let letter = format!("dead/crawl-acme-{run}.json");
    assert!(!fleet.path("var/objects").join(&letter).exists(), "the letter comes last");

    let mut second = fleet.spawn(&["worker"]);
    settled(&fleet, "acme", run);
    let letter = object(&fleet, &letter);
    assert_eq!(letter["reason"]["class"], "source-refused", "{letter:#}");
    assert_eq!(letter["state"], "waiting", "{letter:#}");
    assert_eq!(number(&status(&fleet), "crawl", "dead"), 1);
    assert_eq!(server.hits("/feed"), 1, "a 404 is not asked for again");
    stop(&mut second);
}

/// Promise 6: a run whose worker died after the commit, in the last attempt that it had, is found in the table and
/// ends well, with its pictures.
#[test]
fn a_run_that_is_in_the_table_does_not_die() {
    let scene = Scene::new("visibility = \"10s\"\nmax_receives = 1", "max = 1");
    drop(killed_at(&scene.fleet, "crawl.committed"));
    assert_eq!(commits(&scene.fleet).len(), 1);
    let mut second = scene.fleet.spawn(&["worker"]);
    let report = settled(&scene.fleet, "acme", scene.run);
    assert_eq!(report["state"], "done", "{report:#}");
    scene.assert_done();
    assert_eq!(number(&status(&scene.fleet), "crawl", "dead"), 0);
    stop(&mut second);
}

/// Promise 6: so, too, where the job's own process dies after the commit, in the last attempt that it had, and its
/// worker lives.
#[test]
fn a_run_whose_job_dies_after_its_commit_does_not_die() {
    let scene = Scene::new("visibility = \"10s\"\nmax_receives = 1", "max = 1");
    let mut worker = failing_worker(&scene.fleet, "crawl.committed=abort");
    let report = settled(&scene.fleet, "acme", scene.run);
    assert_eq!(report["state"], "done", "{report:#}");
    let attempts = attempts(&report);
    assert_eq!(attempts.len(), 2, "{report:#}");
    assert_eq!(attempts[0]["end"]["reason"]["class"], "worker-lost", "{report:#}");
    assert_eq!(attempts[1]["end"]["outcome"], "done", "{report:#}");
    assert!(report["reason"].is_null(), "the attempt's reason is none of the run's: {report:#}");
    assert!(report["table_version"].is_u64(), "{report:#}");
    scene.assert_done();
    assert_eq!(number(&status(&scene.fleet), "crawl", "dead"), 0);
    stop(&mut worker);
}

/// What fails once the report knows of the commit, too, is told of its attempt, and not of the run.
#[test]
fn what_fails_after_the_commit_is_no_reason_of_the_run() {
    let scene = Scene::new(SHORT_LEASES, "max = 1");
    let mut first = failing_worker(&scene.fleet, "crawl.images-sent=abort");
    let waiting = eventually(SOON, "the first attempt to fail", || {
        let report = report(&scene.fleet, "acme", scene.run);
        let has_failed = report["attempts"][0]["end"].is_object();
        has_failed.then_some(report)
    });
    assert_eq!(waiting["state"], "committed", "{waiting:#}");
    assert!(waiting["reason"].is_null(), "{waiting:#}");
    stop(&mut first);

    let mut second = scene.fleet.spawn(&["worker"]);
    let done = settled(&scene.fleet, "acme", scene.run);
    assert_eq!(done["state"], "done", "{done:#}");
    let attempts = attempts(&done);
    assert_eq!(attempts[0]["end"]["reason"]["class"], "worker-lost", "{done:#}");
    assert!(done["reason"].is_null(), "{done:#}");
    scene.assert_done();
    stop(&mut second);
}

/// Promise 8: what kills its process after the commit, every time, is a dead letter too. The run is known to be in the
/// table, and a replay does what is left.
#[test]
fn a_run_whose_job_always_dies_after_its_commit() {
    let scene = Scene::new("visibility = \"10s\"\nmax_receives = 1", "max = 1");
    let [committed, sent] = ["crawl.committed=abort", "crawl.images-sent=abort"];
    let mut worker = scene.fleet.spawn(&["worker", "--failpoint", committed, "--failpoint", sent]);
    let dead = settled(&scene.fleet, "acme", scene.run);
    assert_eq!(dead["state"], "dead", "{dead:#}");
    assert!(dead["table_version"].is_u64(), "{dead:#}");
    assert_eq!(attempts(&dead).len(), 2, "one up to the commit, and one after it: {dead:#}");
    let letter = object(&scene.fleet, &format!("dead/crawl-acme-{}.json", scene.run));
    assert_eq!(letter["state"], "waiting", "{letter:#}");
    assert_eq!(letter["reason"]["class"], "worker-lost", "{letter:#}");
    stop(&mut worker);

    let id = letter["id"].as_str().expect("a letter has an id");
    scene.fleet.run(&["dlq", "replay", id]).ok();
    let mut second = scene.fleet.spawn(&["worker"]);
    let done = settled(&scene.fleet, "acme", scene.run);
    assert_eq!(done["state"], "done", "{done:#}");
    scene.assert_done();
    stop(&mut second);
}

/// Promise 5: a message that is delivered four times changes table and queue once.
#[test]
fn redelivered_three_times() {
    let scene = Scene::new(SHORT_LEASES, "max = 1");
    let mut first_commit = None;
    for delivery in 1..=3 {
        drop(killed_at(&scene.fleet, "crawl.images-sent"));
        let commits = commits(&scene.fleet);
        let first = first_commit.get_or_insert_with(|| commits.clone());
        assert_eq!((commits.len(), &commits), (1, &*first), "delivery {delivery}");
        assert_eq!(rows(&scene.fleet.products("acme")), scene.nights.rows());
        assert!(left(&scene.fleet, "image") <= scene.image_messages(), "delivery {delivery}");
    }
    let mut last = scene.fleet.spawn(&["worker"]);
    let report = settled(&scene.fleet, "acme", scene.run);
    assert_eq!(report["state"], "done", "{report:#}");
    let ends: Vec<bool> = attempts(&report).iter().map(|a| a["end"].is_null()).collect();
    assert_eq!(ends, [true, true, true, false], "{report:#}");
    scene.assert_done();
    let (least_asked, most_asked) = scene.image_requests();
    assert!(least_asked >= 1 && most_asked <= 2, "asked {least_asked} to {most_asked} times");
    stop(&mut last);
}

/// Promise 8: a job that panics costs its worker nothing, and itself one receive a time; past the limit it
/// is a dead letter that says so.
#[test]
fn a_job_that_panics() {
    let scene = Scene::new("visibility = \"60s\"\nmax_receives = 2", "max = 1");
    let mut worker = failing_worker(&scene.fleet, "job.begun=panic");
    let report = settled(&scene.fleet, "acme", scene.run);
    assert_eq!(report["state"], "dead", "{report:#}");
    assert_eq!(report["reason"]["class"], "panicked");
    let attempts = attempts(&report);
    assert_eq!(attempts.len(), 2, "{report:#}");
    for attempt in attempts {
        assert!(is_by(attempt, &worker), "the worker was replaced: {report:#}");
        assert_eq!(attempt["end"]["outcome"], "retry");
        assert_eq!(attempt["end"]["reason"]["class"], "panicked");
    }
    let letter = object(&scene.fleet, &format!("dead/crawl-acme-{}.json", scene.run));
    assert_eq!(letter["reason"]["class"], "panicked");
    assert_eq!(letter["receives"], 2, "{letter:#}");
    assert_eq!(number(&status(&scene.fleet), "crawl", "dead"), 1);
    assert!(worker.is_running(), "{}", worker.stderr());
    stop(&mut worker);
    assert!(commits(&scene.fleet).is_empty());
}

/// Promise 8: a job that aborts its process costs its worker nothing, and itself one receive a time; past the
/// limit it is a dead letter that says so.
#[test]
fn a_job_that_aborts() {
    let scene = Scene::new("visibility = \"60s\"\nmax_receives = 2", "max = 1");
    let mut worker = failing_worker(&scene.fleet, "crawl.before-commit=abort");
    let report = settled(&scene.fleet, "acme", scene.run);
    assert_eq!(report["state"], "dead", "{report:#}");
    let attempts = attempts(&report);
    assert_eq!(attempts.len(), 2, "{report:#}");
    for attempt in attempts {
        assert!(is_by(attempt, &worker), "the worker was replaced: {report:#}");
        assert_eq!(attempt["end"]["outcome"], "retry");
    }
    let letter = object(&scene.fleet, &format!("dead/crawl-acme-{}.json", scene.run));
    for reason in [&report["reason"], &letter["reason"], &attempts[0]["end"]["reason"]] {
        assert_eq!(reason["class"], "worker-lost", "{reason}");
        let message = reason["message"].as_str().expect("a reason has a message");
        assert!(message.contains("signal 6 (SIGABRT)"), "{message}");
    }
    assert!(worker.is_running(), "{}", worker.stderr());
    stop(&mut worker);
    assert!(commits(&scene.fleet).is_empty());
}

/// Promise 8: a job that takes all memory ends at its own limit, not at the worker's or the machine's; the
/// dead letter names limit and setting, and the worker lives.
#[test]
fn a_job_that_exhausts_memory() {
    let scene = Scene::new("visibility = \"60s\"\nmax_receives = 1", "memory = \"256MiB\"");
    let mut worker = failing_worker(&scene.fleet, "job.begun=exhaust");
    let report = settled(&scene.fleet, "acme", scene.run);
    assert_eq!(report["state"], "dead", "{report:#}");
    assert_eq!(attempts(&report).len(), 1, "it is not tried again: {report:#}");
    let told = worker.stderr();
    assert!(told.contains("memory allocation of 16777216 bytes failed"), "{told}");
    // A piece of 16 MiB each: it was stopped at its 128 MiB, and not only somewhere.
    let pieces = told.matches("taken_mib=").count();
    assert!((4..=8).contains(&pieces), "{pieces}: {told}");
    let letter = object(&scene.fleet, &format!("dead/crawl-acme-{}.json", scene.run));
    for reason in [&report["reason"], &letter["reason"]] {
        assert_eq!(reason["class"], "limit-exceeded", "{reason}");
        let message = reason["message"].as_str().expect("a reason has a message");
        for part in ["more than the 128.0 MiB", "memory in [workers]", "crawl_slots = 1"] {
            assert!(message.contains(part), "{message}");
        }
    }
    assert!(worker.is_running(), "{}", worker.stderr());
    stop(&mut worker);
}
