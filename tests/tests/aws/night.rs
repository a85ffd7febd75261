//! A whole night with every component on AWS's interfaces: the queues and the figures at ministack, the group at moto,
//! the table and the objects at SeaweedFS, and one worker process for each instance that the group has.

#[path = "../e2e/faults/nights.rs"]
#[allow(dead_code, reason = "the tests here need a part of it")]
pub(crate) mod nights;

use feedfleet_aws::table_store;
use feedfleet_catalog::Location;
use feedfleet_model::{PipeName, keys};
use feedfleet_tests::aws::{
    AwsEnv, GROUP, Group, HOOK, Lifecycle, Ministack, Moto, Queues, Service, Weed, aws_at,
};
use feedfleet_tests::{Fleet, Reply, Server, products};
use nights::{Nights, PIXEL, rows};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;

const PIPES: usize = 12;
const PRODUCTS: u64 = 40;
const WORKERS: usize = 4;
const BUCKET: &str = "night";
const NAMESPACE: &str = "Feedfleet/Night";
/// Receives before a queue itself gives a message up: the limit of leases, and slack for interruptions.
const MAX_RECEIVES: u32 = 25;
/// Long enough for processes to start, and for a lease of 20 seconds to run out, on a busy machine.
const SOON: Duration = Duration::from_secs(90);
/// An idle worker keeps its protection for half a minute, and the group its size for a minute; figures come once a
/// minute.
const MINUTES: Duration = Duration::from_secs(300);
/// Parts of a feed while the shop is slow, and the pause after each: 20 seconds in all.
const PARTS: usize = 100;
const PAUSE: Duration = Duration::from_millis(200);

type Catalogues = Arc<Mutex<BTreeMap<String, Nights>>>;

/// The pipes' feeds, slow while `is_slow`, and their pictures.
fn shop(catalogues: &Catalogues, is_slow: &Arc<AtomicBool>) -> Server {
    let (catalogues, is_slow) = (Arc::clone(catalogues), Arc::clone(is_slow));
    Server::start(move |path, headers| {
        if path.starts_with("/picture/") {
            return Reply::ok(PIXEL).header("Content-Type", "image/png");
        }
        let host = headers.iter().find(|(name, _)| name == "host").map(|(_, host)| host.as_str());
        let base_url = format!("http://{}", host.unwrap_or_default());
        let pipe = path.trim_start_matches('/').trim_end_matches(".xml");
        let catalogues = catalogues.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(nights) = catalogues.get(pipe) else { return Reply::status(404) };
        let mut reply = Reply::ok(nights.feed(&base_url, pipe));
        if is_slow.load(Ordering::SeqCst) {
            reply.drip = Some((reply.body.len() / PARTS, PAUSE));
        }
        reply.header("Content-Type", "application/xml")
    })
}

/// Everything that a night needs, and what it left in the bucket.
struct World {
    runtime: Runtime,
    ministack: Ministack,
    weed: Weed,
    fleet: Fleet,
    env: AwsEnv,
}

impl World {
    fn new(ministack: Ministack, weed: Weed, lifecycle: &Lifecycle) -> Self {
        let runtime = Runtime::new().expect("a runtime can be made");
        let env = weed.env(ministack.env(AwsEnv::new())).at(Service::AutoScaling, lifecycle.url());
        let (crawl, image) = runtime.block_on(async {
            weed.bucket(BUCKET).await;
            let queues = Queues::new(&aws_at(&ministack.url()).await);
            (queues.pair(MAX_RECEIVES).await, queues.pair(MAX_RECEIVES).await)
        });
        let fleet = Fleet::with_fleet_toml(&format!(
            "[queue]\nbackend = \"sqs\"\n\
             crawl_url = \"{}\"\ncrawl_dead_url = \"{}\"\n\
             image_url = \"{}\"\nimage_dead_url = \"{}\"\n\
             [catalog]\nurl = \"s3://{BUCKET}/catalog\"\n\
             [objects]\nurl = \"s3://{BUCKET}/objects\"\n\
             [fleet]\nbackend = \"autoscaling\"\ngroup = \"{GROUP}\"\n\
             [metrics]\ncloudwatch = \"{NAMESPACE}\"\nworker_hour = 0.05\n\
             [leases]\nvisibility = \"20s\"\n\
             [workers]\nmax = {WORKERS}\nimage_slots = 2\n\
             [http]\nallow_private = [\"127.0.0.0/8\"]\n\
             [scheduler]\ntick = \"1s\"\ndrain_target = \"60s\"\n",
            crawl.url, crawl.dead_url, image.url, image.dead_url
        ));
        Self { runtime, ministack, weed, fleet, env }
    }

    fn write_pipe(&self, pipe: &str, base_url: &str) {
        // Due since the month began: the scheduler issues the run at once.
        self.fleet.pipe(
            pipe,
            &format!(
                "schedule = \"0 0 1 * *\"\n\
                 [source]\nurl = \"{base_url}/{pipe}.xml\"\nformat = \"google-xml\"\n\
                 [images]\nmirror = true\n"
            ),
        );
    }

    /// `feedfleet ARGS --json`, which must exit with 0.
    fn ask(&self, args: &[&str]) -> Value {
        let mut command = self.fleet.command(args);
        command.arg("--json");
        self.env.set(&mut command);
        self.fleet.finish(command).ok().json()
    }

    /// Keys below this prefix.
    fn keys(&self, prefix: &str) -> Vec<String> {
        self.runtime.block_on(async {
            let request = self.weed.client().await.list_objects_v2().bucket(BUCKET).prefix(prefix);
            let listed = request.send().await.expect("the bucket can be listed");
            assert_ne!(listed.is_truncated(), Some(true), "{prefix} has more than a page");
            listed.contents().iter().filter_map(|o| o.key().map(str::to_owned)).collect()
        })
    }

    /// The text of an object.
    fn text(&self, key: &str) -> String {
        self.runtime.block_on(async {
            let request = self.weed.client().await.get_object().bucket(BUCKET).key(key);
            let object = request.send().await.expect("a listed object can be read");
            let bytes = object.body.collect().await.expect("an object has a body").into_bytes();
            String::from_utf8(bytes.to_vec()).expect("this object is text")
        })
    }

    /// The report of each pipe's one run.
    fn reports(&self) -> BTreeMap<String, Value> {
        let mut reports = BTreeMap::new();
        for key in self.keys("objects/reports/") {
            let report: Value = serde_json::from_str(&self.text(&key)).expect("a report is JSON");
            let pipe = report["pipe"].as_str().expect("a report names its pipe").to_owned();
            assert!(reports.insert(pipe, report).is_none(), "{key} is a second run");
        }
        reports
    }

    /// What the table's log says of runs: application and run, as often as they are there.
    fn commits(&self) -> Vec<(String, i64)> {
        let keys = self.keys("catalog/products/_delta_log/");
        let entries = keys.iter().filter(|key| key.ends_with(".json")).map(|key| self.text(key));
        let mut commits = Vec::new();
        for line in entries.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()) {
            let action: Value = serde_json::from_str(&line).expect("a log entry is lines of JSON");
            if let Some(app) = action["txn"]["appId"].as_str()
                && app.ends_with("/feed")
            {
                let run = action["txn"]["version"].as_i64().expect("a txn has a version");
                commits.push((app.to_owned(), run));
            }
        }
        commits.sort();
        commits
    }

    fn catalog(&self) -> Location {
        let aws = self.runtime.block_on(aws_at(&self.weed.url()));
        let store = table_store(&aws, BUCKET).expect("the store can be named");
        let url = format!("s3://{BUCKET}/catalog").parse().expect("an address");
        Location::Store { url, store }
    }

    /// The sum of a metric over the last hour, and its greatest value. `dimension`: as name and value.
    fn figure(&self, name: &str, dimension: Option<(&str, &str)>) -> Option<(f64, f64)> {
        use aws_sdk_cloudwatch::primitives::DateTime;
        use aws_sdk_cloudwatch::types::{Dimension, Statistic};
        let dimension =
            dimension.map(|(name, value)| Dimension::builder().name(name).value(value).build());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
        let now = i64::try_from(now).expect("it is before the year 292 billion");
        self.runtime.block_on(async {
            let aws = aws_at(&self.ministack.url()).await;
            let request = aws_sdk_cloudwatch::Client::new(aws.config()).get_metric_statistics();
            let request = request.namespace(NAMESPACE).metric_name(name).period(60);
            let request = request.statistics(Statistic::Sum).statistics(Statistic::Maximum);
            let request = request.set_dimensions(dimension.map(|dimension| vec![dimension]));
            let request = request.start_time(DateTime::from_secs(now - 3600));
            let answer = request.end_time(DateTime::from_secs(now + 60)).send().await;
            let answer = answer.expect("ministack has statistics");
            let points = answer.datapoints();
            let most = points.iter().filter_map(|point| point.maximum()).reduce(f64::max)?;
            Some((points.iter().filter_map(|point| point.sum()).sum(), most))
        })
    }
}

fn is_final(report: &Value) -> bool {
    matches!(report["state"].as_str(), Some("done" | "held" | "superseded" | "dead"))
}

/// The attempts at any run by the worker of an instance, as outcomes; none of one that has no end.
fn outcomes(reports: &BTreeMap<String, Value>, instance: &str) -> Vec<Option<String>> {
    let prefix = format!("{instance}/");
    let attempts = reports.values().filter_map(|report| report["attempts"].as_array()).flatten();
    attempts
        .filter(|attempt| attempt["worker"].as_str().is_some_and(|name| name.starts_with(&prefix)))
        .map(|attempt| attempt["end"]["outcome"].as_str().map(str::to_owned))
        .collect()
}

/// From zero workers to four and back, with a spot interruption and a worker that is killed in the middle of a crawl:
/// every run is in the table once, every picture is there, nothing is left on a queue, and the figures say so.
#[test]
fn a_night_on_aws() {
    let (Some(ministack), Some(moto), Some(weed)) =
        (Ministack::start(), Moto::start(), Weed::start())
    else {
        return;
    };
    let lifecycle = Lifecycle::before(&moto.url(), GROUP, HOOK);
    let world = World::new(ministack, weed, &lifecycle);
    let catalogues: BTreeMap<String, Nights> = (0..PIPES)
        .map(|number| (format!("pipe-{number:02}"), Nights::new(100 + number as u64, PRODUCTS)))
        .collect();
    let pipes: Vec<String> = catalogues.keys().cloned().collect();
    let (catalogues, is_slow) = (Arc::new(Mutex::new(catalogues)), Arc::new(AtomicBool::new(true)));
    let shop = shop(&catalogues, &is_slow);
    for pipe in &pipes {
        world.write_pipe(pipe, &shop.base_url());
    }
    let max = i32::try_from(WORKERS).expect("four");
    let mut group =
        Group::create(&world.runtime, &moto, &lifecycle, &world.fleet, world.env.clone(), max);
    let mut scheduler = world.fleet.command(&["scheduler"]);
    world.env.set(&mut scheduler);
    let mut scheduler = world.fleet.start(scheduler);

    // From zero: each instance has a crawl in hand, and is protected.
    group.run_until(SOON, "four busy instances", |group| {
        let instances = group.instances();
        instances.len() == WORKERS && instances.iter().all(|id| lifecycle.was_protected(id))
    });
    let feeds = || pipes.iter().map(|pipe| shop.hits(&format!("/{pipe}.xml"))).sum::<usize>();
    group.run_until(SOON, "four crawls", |_| feeds() >= WORKERS);
    let first = group.instances();
    let (interrupted, killed) = (first[0].clone(), first[1].clone());
    let at_risk = first[2].clone();
    group.imds(&at_risk).recommend_rebalance();
    group.imds(&interrupted).interrupt();
    group.kill(&killed);
    group.run_until(SOON, "both to end", |group| group.ended.len() >= 2);
    is_slow.store(false, Ordering::SeqCst);

    let status = world.ask(&["fleet", "status"]);
    assert_eq!(status["scheduler"]["desired"], WORKERS, "{status:#}");
    assert!(status["scheduler"]["instances"].is_array(), "{status:#}");
    group.run_until(MINUTES, "all runs to end", |_| {
        let reports = world.reports();
        reports.len() == PIPES && reports.values().all(is_final)
    });
    // And back to zero.
    group.run_until(MINUTES, "the group to be empty", |group| {
        group.instances().is_empty() && group.ended.len() > 2
    });

    let reports = world.reports();
    assert!(outcomes(&reports, &interrupted).contains(&Some("interrupted".to_owned())));
    assert!(outcomes(&reports, &killed).contains(&None), "nobody knows how it ended");
    for ended in &group.ended {
        let id = &ended.instance;
        if *id == killed {
            assert_eq!(ended.status.signal(), Some(9), "{ended:?}");
            continue;
        }
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(ended.log.contains("crawls wait"), *id == at_risk, "{ended:?}");
        assert_eq!(ended.was_let_go, *id != interrupted, "{ended:?}");
        assert_eq!(lifecycle.is_completed(id), ended.was_let_go, "{ended:?}");
    }
    assert_eq!(group.most, WORKERS);
    assert!(group.ended.len() >= WORKERS + 2, "those that were lost were replaced");

    let mut expected_commits = Vec::new();
    let mut pictures = 0;
    let mut catalogues = catalogues.lock().unwrap_or_else(PoisonError::into_inner);
    for (pipe, nights) in catalogues.iter_mut() {
        let report = &reports[pipe];
        assert_eq!(report["state"], "done", "{report:#}");
        let run = report["run"].as_i64().expect("a run has a number");
        nights.committed(run);
        assert_eq!(rows(&products(world.catalog(), pipe)), nights.rows(), "{pipe}");
        expected_commits.push((format!("{pipe}/feed"), run));

        let name: PipeName = pipe.parse().expect("a pipe's name");
        let paths = nights.image_paths(pipe);
        let originals: BTreeSet<String> = paths
            .iter()
            .map(|path| keys::image_key(&name, &format!("{}{path}", shop.base_url())).to_string())
            .collect();
        let found = world.keys(&format!("objects/images/{pipe}/"));
        let found: BTreeSet<String> = found
            .iter()
            .filter(|key| key.ends_with("/original"))
            .filter_map(|key| key.strip_prefix("objects/").map(str::to_owned))
            .collect();
        assert_eq!(found, originals, "the pictures of {pipe}");
        pictures += originals.len();
    }
    assert_eq!(world.commits(), expected_commits, "each run is in once");
    let status = world.ask(&["fleet", "status"]);
    for queue in status["queues"].as_array().expect("a status lists its queues") {
        for field in ["visible", "in_flight", "dead"] {
            assert_eq!(queue[field], 0, "{field} in {status:#}");
        }
    }

    let rows = PIPES as f64 * PRODUCTS as f64;
    group.run_until(MINUTES, "the figures of the whole night", |_| {
        let sum = |name, of| world.figure(name, Some(of)).map_or(0.0, |(sum, _)| sum);
        sum("Rows", ("Change", "new")) == rows
            && sum("Images", ("Result", "stored")) == pictures as f64
    });
    for (name, most) in [
        ("SchedulerAlive", 1.0),
        ("Desired", WORKERS as f64),
        ("HeldRuns", 0.0),
        ("CapacityShort", 0.0),
    ] {
        assert_eq!(world.figure(name, None).map(|(_, most)| most), Some(most), "{name}");
    }
    assert!(world.figure("LateRuns", None).is_some(), "late by days, or on time");
    for (name, queue) in [("Visible", "crawl"), ("InFlight", "image"), ("Dead", "crawl")] {
        assert!(world.figure(name, Some(("Queue", queue))).is_some(), "{name} of {queue}");
    }
    let cost = world.figure("Cost", None).map_or(0.0, |(sum, _)| sum);
    assert!(cost > 0.0 && cost < 0.05 * WORKERS as f64, "{cost} dollars");

    scheduler.signal("TERM");
    let ended = scheduler.wait(SOON);
    assert!(ended.success(), "{ended}: {}", scheduler.stderr());
    assert!(lifecycle.requests("SetDesiredCapacity") >= 2, "up and down");
}
