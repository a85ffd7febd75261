//! The dead letters' desk: what dies is listed with its reason, and an operator replays, drops or exports it.

use feedfleet_tests::{Fleet, Reply, Server, eventually};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Long enough for a worker to start and do a run, on a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(45);
const FEED: &str = "sku,name,price\n1,Lamp,9.90\n2,Chair,50\n3,Table,120.5\n";
const PAGE: &str = "<!DOCTYPE html><html><body>We'll be back soon</body></html>";

/// A partner whose answer the test changes, and a fleet with the pipes `shop` and `page`.
struct Scene {
    fleet: Fleet,
    server: Server,
    answer: Arc<Mutex<Reply>>,
}

impl Scene {
    /// `shop` is answered with 404, and `page` with a web page.
    fn broken() -> Self {
        let answer = Arc::new(Mutex::new(Reply::status(404)));
        let served = Arc::clone(&answer);
        let server = Server::start(move |path, _| match path {
            "/shop" => served.lock().expect("no test panics in here").clone(),
            _ => Reply::ok(PAGE).header("Content-Type", "text/html"),
        });
        let fleet = Fleet::new();
        for pipe in ["shop", "page"] {
            let url = format!("{}/{pipe}", server.base_url());
            fleet.pipe(
                pipe,
                &format!(
                    "[source]\nurl = \"{url}\"\nformat = \"csv\"\n[map]\nid = \"sku\"\ntitle = \"name\"\n\
                     price = {{ field = \"price\", as = \"money\", currency = \"EUR\" }}\n"
                ),
            );
        }
        Self { fleet, server, answer }
    }

    fn mend(&self) {
        *self.answer.lock().expect("no test panics in here") = Reply::ok(FEED);
    }

    /// Runs a pipe, which dies; the id of its letter and the run.
    fn dies(&self, pipe: &str) -> (String, i64) {
        let report = self.fleet.run_pipe_dead(pipe);
        let run = report["run"].as_i64().expect("a run has a number");
        (format!("crawl-{pipe}-{run}"), run)
    }

    fn dlq(&self, args: &[&str]) -> feedfleet_tests::Output {
        self.fleet.run(&[&["dlq"][..], args].concat())
    }

    fn letter(&self, id: &str) -> Value {
        self.dlq(&["show", id, "--json"]).ok().json()
    }

    fn report(&self, pipe: &str, run: i64) -> Value {
        self.fleet.run(&["runs", "show", pipe, &run.to_string(), "--json"]).ok().json()
    }

    /// One figure of the crawl queue.
    fn crawl_queue(&self, figure: &str) -> u64 {
        let status = self.fleet.run(&["fleet", "status", "--json"]).ok().json();
        let queues = status["queues"].as_array().expect("a status lists its queues").clone();
        let crawl = queues.iter().find(|q| q["name"] == "crawl").expect("there is a crawl queue");
        crawl[figure].as_u64().expect("a queue's figures are numbers")
    }

    /// The letters and reports, with their bytes.
    fn objects(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = self.fleet.files();
        let (dead, reports) =
            (self.fleet.path("var/objects/dead"), self.fleet.path("var/objects/reports"));
        files.retain(|path, _| path.starts_with(&dead) || path.starts_with(&reports));
        files
    }

    /// Starts a worker, waits until the run is in this state, and stops the worker.
    fn work_until(&self, pipe: &str, run: i64, state: &str) -> Value {
        let _worker = self.fleet.spawn(&["worker"]);
        eventually(SOON, &format!("run {pipe}/{run} to be {state}"), || {
            (self.report(pipe, run)["state"] == state).then_some(())
        });
        eventually(SOON, "the queue to be empty", || {
            (self.crawl_queue("visible") + self.crawl_queue("in_flight") == 0).then_some(())
        });
        self.report(pipe, run)
    }
}

/// Promise 1: a run whose source is broken for good is a dead letter at once, after one attempt, and done when the
/// letter is replayed. The record says who did it.
#[test]
fn a_broken_source_is_mended_and_its_run_replayed() {
    let scene = Scene::broken();
    scene.dlq(&["list"]).ok().says(&["no dead letter waits"]);
    let (id, run) = scene.dies("shop");
    let report = scene.report("shop", run);
    assert_eq!(report["attempts"].as_array().map(Vec::len), Some(1), "{report:#}");
    assert_eq!(scene.server.hits("/shop"), 1, "a 404 is not asked for again");

    let listed = scene.dlq(&["list", "--json"]).ok().json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed:#}");
    assert_eq!(listed[0]["pipe"], "shop", "{listed:#}");
    assert_eq!(listed[0]["class"], "source-refused", "{listed:#}");
    assert_eq!(listed[0]["count"], 1, "{listed:#}");
    scene.dlq(&["list"]).ok().says(&["shop", "source-refused", "404", "ago"]);
    scene.dlq(&["list", "--each"]).ok().says(&[&id, "source-refused"]);
    scene.dlq(&["show", &id]).ok().says(&[&id, "waiting", "404", "check the pipe's url"]);
    let letter = scene.letter(&id);
    assert_eq!(letter["state"], "waiting", "{letter:#}");
    assert_eq!(letter["receives"], 1, "{letter:#}");
    assert_eq!(scene.crawl_queue("dead"), 1);

    scene.mend();
    let args = ["replay", "--pipe", "shop", "--by", "ann", "--note", "the partner moved it back"];
    scene.dlq(&args).ok().says(&[&format!("{id} replayed"), "1 replayed"]);
    assert_eq!((scene.crawl_queue("dead"), scene.crawl_queue("visible")), (0, 1));
    let report = scene.work_until("shop", run, "done");
    assert_eq!(report["attempts"].as_array().map(Vec::len), Some(2), "{report:#}");
    // The one before the replay, and the one that committed: what was left after it had all attempts before it.
    assert_eq!(report["forgiven_attempts"], 2, "{report:#}");
    assert_eq!(scene.fleet.products("shop").len(), 3);

    let letter = scene.letter(&id);
    assert_eq!(letter["state"], "replayed", "{letter:#}");
    let entry = &letter["history"][0];
    assert_eq!(entry["by"], "ann", "{letter:#}");
    assert_eq!(entry["action"], "replayed", "{letter:#}");
    assert_eq!(entry["note"], "the partner moved it back");
    scene.dlq(&["show", &id]).ok().says(&["replayed by ann", "the partner moved it back"]);
    scene.dlq(&["list", "--json"]).ok().says(&["[]"]);
    let all = scene.dlq(&["list", "--all", "--json"]).ok().json();
    assert_eq!(all[0]["state"], "replayed", "{all:#}");
}

/// Promise 5: a letter is replayed once, however often it is asked for.
#[test]
fn replayed_twice_it_is_sent_once() {
    let scene = Scene::broken();
    let (id, run) = scene.dies("shop");
    scene.mend();
    scene.dlq(&["replay", &id, "--by", "ann"]).ok();
    scene.dlq(&["replay", &id]).failed().says(&["left", "it was replayed by ann"]);
    scene.dlq(&["replay", "--pipe", "shop"]).ok().says(&["no dead letter that waits"]);
    assert_eq!(scene.crawl_queue("visible"), 1);
    scene.work_until("shop", run, "done");
    assert_eq!(scene.fleet.products("shop").len(), 3);
}

/// Promise 8: a run that dies again after its replay is the same letter again, with its history.
#[test]
fn a_run_that_dies_again_waits_again() {
    let scene = Scene::broken();
    let (id, run) = scene.dies("shop");
    let first = scene.letter(&id);
    scene.dlq(&["replay", &id, "--by", "ann"]).ok();
    scene.work_until("shop", run, "dead");
    eventually(SOON, "the letter to wait again", || {
        (scene.letter(&id)["state"] == "waiting").then_some(())
    });
    let letter = scene.letter(&id);
    assert_eq!(letter["history"][0]["by"], "ann", "{letter:#}");
    assert_eq!(letter["first_died_at"], first["died_at"], "{letter:#}");
    assert_eq!(scene.dlq(&["list", "--json"]).ok().json()[0]["count"], 1);
}

#[test]
fn a_dry_run_changes_nothing() {
    let scene = Scene::broken();
    let (id, _) = scene.dies("shop");
    let before = scene.objects();
    let told: [&str; 2] = [&format!("{id} would be replayed"), "dry run, nothing was changed"];
    scene.dlq(&["replay", &id, "--dry-run"]).ok().says(&told);
    scene.dlq(&["drop", &id, "--dry-run"]).ok().says(&["would be dropped"]);
    assert_eq!(scene.objects(), before);
    assert_eq!((scene.crawl_queue("dead"), scene.crawl_queue("visible")), (1, 0));
}

/// Promise 1: a dead run that a newer night has made pointless is superseded, and not run again.
#[test]
fn a_newer_night_supersedes_a_dead_one() {
    let scene = Scene::broken();
    let (id, run) = scene.dies("shop");
    scene.mend();
    assert!(!scene.dlq(&["list"]).ok().stdout.contains("wait for nothing"));
    let newer = scene.fleet.run_pipe("shop");
    scene.dlq(&["list"]).ok().says(&["1 of these letters wait for nothing: a newer run"]);
    let newer = format!("run {} of the pipe is newer", newer["run"]);
    let told: [&str; 2] = [&format!("{id} would be superseded"), &newer];
    scene.dlq(&["replay", &id, "--dry-run"]).ok().says(&told);
    assert_eq!(scene.letter(&id)["state"], "waiting");
    scene.dlq(&["replay", &id, "--by", "ann"]).ok().says(&[&newer, "1 superseded"]);
    let letter = scene.letter(&id);
    assert_eq!(letter["state"], "superseded", "{letter:#}");
    assert_eq!(letter["history"][0]["by"], "ann", "{letter:#}");
    assert_eq!(scene.report("shop", run)["state"], "superseded");
    assert_eq!((scene.crawl_queue("dead"), scene.crawl_queue("visible")), (0, 0));
}

/// Promise 1: nobody needs to ask: the scheduler marks a dead run that a newer night has made pointless.
#[test]
fn the_scheduler_supersedes_a_dead_night() {
    let scene = Scene::broken();
    let (id, run) = scene.dies("shop");
    let (other, _) = scene.dies("page");
    scene.mend();
    scene.fleet.run_pipe("shop");
    let _scheduler = scene.fleet.spawn(&["scheduler"]);
    eventually(SOON, "the letter to be superseded", || {
        (scene.letter(&id)["state"] == "superseded").then_some(())
    });
    assert_eq!(scene.letter(&id)["history"][0]["by"], "scheduler");
    assert_eq!(scene.report("shop", run)["state"], "superseded");
    assert_eq!(scene.letter(&other)["state"], "waiting", "its pipe has no newer run");
    assert_eq!(scene.crawl_queue("dead"), 1, "wherever the queue's own list is by now");
    scene.dlq(&["replay", &other]).ok().says(&["1 replayed"]);
    assert_eq!(scene.crawl_queue("dead"), 0);
}

/// A dead run that its replay and a rollback want at the same time: whoever comes second is refused, and says why.
#[test]
fn a_replayed_run_and_a_rollback_wait_for_each_other() {
    let scene = Scene::broken();
    scene.mend();
    let good = scene.fleet.run_pipe("shop")["run"].to_string();
    *scene.answer.lock().expect("no test panics in here") = Reply::status(404);
    let (id, run) = scene.dies("shop");
    scene.dlq(&["replay", &id]).ok().says(&["1 replayed"]);
    let rollback = ["runs", "rollback", "shop", good.as_str()];
    let told = format!("run shop/{run} is queued and must end first");
    scene.fleet.run(&rollback).failed().says(&[&told, "feedfleet pipes resume shop"]);

    // It dies again, and the pipe is still paused.
    scene.work_until("shop", run, "dead");
    scene.dlq(&["replay", &id]).failed().says(&["left", "the pipe is paused"]);
    scene.fleet.run(&rollback).ok().says(&["as it was after run"]);
    scene.dlq(&["replay", &id]).failed().says(&["left", "the pipe is paused"]);
    assert_eq!(scene.report("shop", run)["state"], "dead");
    scene.fleet.run(&["pipes", "resume", "shop"]).ok();
    scene.dlq(&["replay", &id]).ok().says(&["1 replayed"]);
}

/// Promise 7: a pipe's runs end one after the other: a dead one is not replayed under an unfinished one.
#[test]
fn an_unfinished_newer_run_must_end_first() {
    let scene = Scene::broken();
    let (id, _) = scene.dies("shop");
    let newer = scene.fleet.run(&["run", "shop", "--json"]).ok().json();
    let told = format!("run {} of the pipe is queued and must end first", newer["run"]);
    scene.dlq(&["replay", &id]).failed().says(&["left", &told]);
    assert_eq!(scene.letter(&id)["state"], "waiting");
}

#[test]
fn letters_are_chosen_by_class_pipe_and_age() {
    let scene = Scene::broken();
    let (shop, _) = scene.dies("shop");
    let (page, _) = scene.dies("page");
    let listed = scene.dlq(&["list", "--json"]).ok().json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed:#}");
    let nothing = ["no dead letter that waits is like that"];
    scene.dlq(&["drop", "--older-than", "1h"]).ok().says(&nothing);
    scene.dlq(&["drop", "--class", "not-a-feed", "--pipe", "shop"]).ok().says(&nothing);

    let args =
        ["drop", "--class", "not-a-feed", "--newer-than", "1h", "--by", "ann", "--rate", "5"];
    scene.dlq(&args).ok().says(&[&format!("{page} dropped"), "1 dropped"]);
    assert_eq!(scene.letter(&page)["state"], "dropped");
    assert_eq!(scene.letter(&shop)["state"], "waiting");
    assert_eq!(scene.crawl_queue("dead"), 1);
    scene.dlq(&["replay", &page]).failed().says(&["it was dropped by ann"]);

    scene.dlq(&["drop", "--all-waiting"]).ok().says(&[&format!("{shop} dropped")]);
    assert_eq!(scene.crawl_queue("dead"), 0);
    scene.dlq(&["list"]).ok().says(&["no dead letter waits for a decision"]);
}

#[test]
fn decisions_keep_the_pace_that_was_asked_for() {
    let scene = Scene::broken();
    scene.dies("shop");
    scene.dies("page");
    let begun = Instant::now();
    scene.dlq(&["drop", "--all-waiting", "--rate", "0.4"]).ok().says(&["2 dropped"]);
    assert!(begun.elapsed() >= Duration::from_millis(2500), "{:?}", begun.elapsed());
}

#[test]
fn an_export_is_json_a_line() {
    let scene = Scene::broken();
    let mut ids = vec![scene.dies("shop").0, scene.dies("page").0];
    ids.sort();
    let read = |text: &str| -> Vec<Value> {
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    };
    let ids_of = |letters: &[Value]| -> Vec<String> {
        let mut ids: Vec<String> =
            letters.iter().map(|l| l["id"].as_str().unwrap_or_default().to_owned()).collect();
        ids.sort();
        ids
    };
    let printed = read(&scene.dlq(&["export"]).ok().stdout);
    assert_eq!(ids_of(&printed), ids);
    assert!(printed[0]["body"].as_str().is_some_and(|body| body.contains("\"kind\"")));

    let file = scene.fleet.path("letters.jsonl");
    let out = file.to_string_lossy();
    scene.dlq(&["export", "--out", &out]).ok().says(&["2 dead letters written to"]);
    let written = fs::read_to_string(&file).expect("the file was written");
    assert_eq!(read(&written), printed);
    scene.dlq(&["export", "--pipe", "shop", "--out", &out]).failed().says(&["is there already"]);
    assert_eq!(fs::read_to_string(&file).expect("it is there"), written);
    assert_eq!(read(&scene.dlq(&["export", "--out", "-"]).ok().stdout), printed);
    let of_shop = read(&scene.dlq(&["export", "--pipe", "shop"]).ok().stdout);
    assert_eq!(of_shop.len(), 1);
}

#[test]
fn mistakes_are_answered_with_what_to_do() {
    let scene = Scene::broken();
    for command in ["replay", "drop"] {
        let told: &[&str] = &["say which dead letters", "--pipe", "--class", "--all-waiting"];
        scene.dlq(&[command]).failed().says(told);
    }
    let unknown: &[&str] = &["no dead letter 'crawl-shop-17'", "feedfleet dlq list --each"];
    for command in ["show", "replay", "drop", "export"] {
        scene.dlq(&[command, "crawl-shop-17"]).failed().says(unknown);
    }
    scene.dlq(&["show", "../reports/shop/17"]).failed().says(&["no dead letter"]);
    for args in [&["list", "--pipe", "shpo"][..], &["replay", "--pipe", "shpo"]] {
        scene.dlq(args).failed().says(&["no pipe 'shpo'", "did you mean 'shop'?"]);
    }
    scene.dlq(&["list", "--pipe", "shop"]).ok().says(&["no dead letter that waits is like that"]);
    let class = scene.dlq(&["list", "--class", "404"]).says(&["source-refused", "not-a-feed"]);
    assert_eq!(class.code, Some(2));
    let told = ["ms, s, m, h or d, such as 2h"];
    let age = scene.dlq(&["list", "--older-than", "2 hours"]).says(&told);
    assert_eq!(age.code, Some(2));
}

/// A letter that cannot be read is named, and hides no other.
#[test]
fn a_damaged_letter_hides_no_other() {
    let scene = Scene::broken();
    let (id, _) = scene.dies("shop");
    scene.fleet.write("var/objects/dead/crawl-shop-1.json", "{");
    let told = ["crawl-shop-1.json", id.as_str()];
    scene.dlq(&["list", "--each"]).failed().says(&told);
    assert_eq!(scene.crawl_queue("dead"), 2);
    scene.dlq(&["drop", "--all-waiting"]).failed().says(&["crawl-shop-1.json", "1 dropped"]);
}
