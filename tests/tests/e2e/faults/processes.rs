//! Processes that are killed or told to stop, and schedulers that do the same work at once.

use super::nights::{Nights, Shop, rows};
use super::support::{
    SOON, attempts, commits, fleet, has_ended, issue, number, object, report, settled, status,
    stop, waiting_worker,
};
use feedfleet_tests::{Fleet, Running, eventually};
use std::fs;
use std::process::Command;

/// `feedfleet up` with two workers, and the workers' process ids.
fn up() -> (Fleet, Running, Vec<u32>) {
    let fleet = fleet("visibility = \"10s\"", "min = 2\nmax = 2");
    let up = fleet.spawn(&["up"]);
    let workers = workers_but(&fleet, &[]);
    (fleet, up, workers)
}

/// Waits until the scheduler tells of two workers, none of which is one of `but`.
fn workers_but(fleet: &Fleet, but: &[u32]) -> Vec<u32> {
    eventually(SOON, "two workers", || {
        let status = status(fleet);
        let workers = status["scheduler"]["workers"].as_array()?;
        let pid = |worker: &serde_json::Value| u32::try_from(worker[0].as_u64()?).ok();
        let pids: Vec<u32> = workers.iter().filter_map(pid).collect();
        (pids.len() == 2 && pids.iter().all(|pid| !but.contains(pid))).then_some(pids)
    })
}

fn kill(pid: u32) {
    let killed = Command::new("kill").args(["-s", "KILL"]).arg(pid.to_string()).status();
    assert!(killed.expect("kill can be started").success(), "could not kill {pid}");
}

fn wait_until_ended(workers: &[u32]) {
    eventually(SOON, "the workers to end", || {
        workers.iter().all(|pid| has_ended(*pid)).then_some(())
    });
}

/// Workers that are killed are replaced. Told to stop, the fleet stops its workers and exits with 0.
#[test]
fn killed_workers_are_replaced_and_a_stopped_fleet_leaves_none() {
    let (fleet, mut up, workers) = up();
    kill(workers[0]);
    kill(workers[1]);
    let new = workers_but(&fleet, &workers);
    stop(&mut up);
    assert!(new.iter().all(|pid| has_ended(*pid)), "{new:?} outlived their fleet");
    assert!(status(&fleet)["scheduler"].is_null(), "a fleet that stopped tells so");
}

/// Promise 9: a worker that is idle and not needed any more is stopped, and goes in good order.
#[test]
fn an_idle_fleet_stops_its_worker() {
    let (shop, fleet) = (Shop::open(), fleet("visibility = \"10s\"", "min = 0\nmax = 1"));
    let nights = Nights::new(22, 10);
    shop.publish("acme", &nights);
    shop.write_pipe(&fleet, "acme", false);
    let mut command = fleet.command(&["up"]);
    command.env("FEEDFLEET_LOG", "info");
    let mut up = fleet.start(command);
    let run = issue(&fleet, "acme");
    let report = settled(&fleet, "acme", run);
    assert_eq!(report["state"], "done", "{report:#}");
    let told = report["attempts"][0]["worker"].as_str().expect("an attempt names its worker");
    let worker = told.rsplit('/').next().and_then(|pid| pid.parse().ok());
    let worker: u32 = worker.unwrap_or_else(|| panic!("no process in {told}"));
    eventually(SOON, "the fleet to have no worker", || {
        let status = status(&fleet);
        let workers = status["scheduler"]["workers"].as_array()?;
        (workers.is_empty() && status["scheduler"]["desired"] == 0).then_some(())
    });
    assert!(has_ended(worker), "{worker} is still there");
    let log = up.stderr();
    // The worker says that it stopped, and so does the fleet, with its status.
    assert!(log.contains("status=exit status: 0"), "{log}");
    assert!(!log.contains("worker died"), "{log}");
    stop(&mut up);
}

/// A command that brings a worker of its own says why it goes on after its run has ended, and can be told to stop.
#[test]
fn a_run_that_is_waited_for_says_that_pictures_wait() {
    let (shop, fleet) = (Shop::open(), fleet("visibility = \"10m\"", "max = 1"));
    let nights = Nights::new(7, 60);
    for (pipe, images) in [("plain", false), ("acme", true)] {
        shop.publish(pipe, &nights);
        shop.write_pipe(&fleet, pipe, images);
    }
    let plain = fleet.run(&["run", "plain", "--wait"]).ok();
    assert!(!plain.stderr.contains("pictures that wait"), "{}", plain.all());

    shop.let_pictures_wait(true);
    let mut waited_for = fleet.spawn(&["run", "acme", "--wait"]);
    eventually(SOON, "the pictures to be told of", || {
        waited_for.stderr().contains("batches of pictures that wait").then_some(())
    });
    waited_for.signal("INT");
    shop.let_pictures_wait(false);
    let ended = waited_for.wait(SOON);
    assert!(ended.success(), "{ended}: {}", waited_for.stderr());
    assert!(waited_for.stdout().contains("done"), "{}", waited_for.stdout());
    assert_eq!(
        waited_for.stderr().matches("pictures that wait").count(),
        1,
        "{}",
        waited_for.stderr()
    );
}

/// So does one whose run nobody takes.
#[test]
fn a_run_that_waits_for_a_worker_says_so() {
    let (shop, fleet) = (Shop::open(), fleet("visibility = \"10m\"", "max = 1\ncrawl_slots = 1"));
    for pipe in ["first", "second"] {
        shop.publish(pipe, &Nights::new(29, 10));
        shop.write_pipe(&fleet, pipe, false);
    }
    let first = issue(&fleet, "first");
    let (mut worker, go_on) = waiting_worker(&fleet, "crawl.before-commit");
    eventually(SOON, "the worker to have the first run", || {
        (!attempts(&report(&fleet, "first", first)).is_empty()).then_some(())
    });
    let mut second = fleet.spawn(&["run", "second", "--wait"]);
    eventually(SOON, "the wait to be told", || {
        second
            .stderr()
            .contains("waits for a worker; crawls that are under way or wait for another try: 1")
            .then_some(())
    });
    fs::write(go_on, "").expect("the fleet's folder can be written");
    let ended = second.wait(SOON);
    assert!(ended.success(), "{ended}: {}", second.stderr());
    assert_eq!(settled(&fleet, "first", first)["state"], "done");
    stop(&mut worker);
}

/// A collector of logs that goes away, or a `| head`, takes no process along.
#[test]
fn a_log_that_nobody_reads_ends_nothing() {
    let (shop, fleet) = (Shop::open(), fleet("visibility = \"10s\"", "max = 1"));
    shop.publish("acme", &Nights::new(23, 10));
    shop.write_pipe(&fleet, "acme", false);
    // What is told about this one goes nowhere, too.
    fleet.pipe("broken", "[source]\nformat = \"csv\"\n");
    for format in ["text", "json"] {
        let logs = ["--log", "info", "--log-format", format];
        let mut run = fleet.spawn_unread(&[&logs[..], &["run", "acme", "--wait"]].concat());
        let status = run.wait(SOON);
        assert!(status.success(), "{format}: {status}: {}", run.stdout());
        let report = fleet.report("acme");
        assert_eq!(report["state"], "done", "{report:#}");
        assert_eq!(attempts(&report).len(), 1, "{report:#}");
    }
    let mut list = fleet.spawn_unread(&["pipes", "list"]);
    let status = list.wait(SOON);
    assert_eq!(status.code(), Some(1), "as where somebody reads of the mistake");
    assert!(list.stdout().contains("acme"), "{}", list.stdout());

    let mut up = fleet.spawn_unread(&["--log", "info", "up"]);
    let run = issue(&fleet, "acme");
    let report = settled(&fleet, "acme", run);
    assert_eq!(report["state"], "done", "{report:#}");
    assert_eq!(attempts(&report).len(), 1, "{report:#}");
    stop(&mut up);
}

/// When the fleet itself is killed, its workers stop by themselves within seconds.
#[test]
fn workers_do_not_outlive_a_killed_fleet() {
    let (_fleet, up, workers) = up();
    up.signal("KILL");
    wait_until_ended(&workers);
}

/// Two schedulers at once issue each due run once, and it is done once.
#[test]
fn two_schedulers_issue_a_due_run_once() {
    let (shop, fleet) = (Shop::open(), fleet("visibility = \"10s\"", "max = 1"));
    let mut nights = Nights::new(21, 10);
    let pipes: Vec<String> = (1..=8).map(|n| format!("acme-{n}")).collect();
    for pipe in &pipes {
        shop.publish(pipe, &nights);
        shop.write_pipe(&fleet, pipe, false);
        let path = format!("pipes/{pipe}.toml");
        let toml = fs::read_to_string(fleet.path(&path)).expect("the pipe was written");
        // Due since New Year, and not again before the next.
        fleet.write(&path, format!("schedule = \"0 0 1 1 *\"\n{toml}"));
    }
    let mut schedulers = [fleet.spawn(&["scheduler"]), fleet.spawn(&["scheduler"])];
    let runs = eventually(SOON, "eight runs on the queue", || {
        (number(&status(&fleet), "crawl", "visible") == 8)
            .then(|| pipes.iter().flat_map(|pipe| runs_of(&fleet, pipe)).collect::<Vec<i64>>())
    });
    assert_eq!(runs, [runs[0]; 8], "all are due at the same time");

    let mut worker = fleet.spawn(&["worker"]);
    nights.committed(runs[0]);
    for pipe in &pipes {
        let report = settled(&fleet, pipe, runs[0]);
        assert_eq!(report["state"], "done", "{report:#}");
        assert_eq!(report["sendings"], 1, "{report:#}");
        assert_eq!(attempts(&report).len(), 1, "{report:#}");
        assert_eq!(report["trigger"], "schedule");
        assert_eq!(runs_of(&fleet, pipe), [runs[0]]);
        assert_eq!(rows(&fleet.products(pipe)), nights.rows());
    }
    assert_eq!(commits(&fleet).len(), pipes.len());
    for running in schedulers.iter_mut().chain([&mut worker]) {
        stop(running);
    }
}

/// The runs of a pipe that have a report.
fn runs_of(fleet: &Fleet, pipe: &str) -> Vec<i64> {
    let folder = fleet.path("var/objects/reports").join(pipe);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let runs = names.map(|name| object(fleet, &format!("reports/{pipe}/{name}"))["run"].as_i64());
    runs.map(|run| run.expect("a run has a number")).collect()
}
