//! What the fault tests share: issuing runs, looking at reports, queues and the table's log, and workers
//! that fail on purpose.

use feedfleet_tests::{Fleet, Running, eventually};
use serde_json::Value;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Long enough for a lease of ten seconds to run out, or a failed job to come again, and the run to finish,
/// on a machine that is busy with other tests.
pub(crate) const SOON: Duration = Duration::from_secs(45);

/// The signal that no process can withstand.
pub(crate) const SIGKILL: i32 = 9;

/// A fleet with these lines under `[leases]` and `[workers]`.
pub(crate) fn fleet(leases: &str, workers: &str) -> Fleet {
    Fleet::with_fleet_toml(&format!(
        "[leases]\n{leases}\n[workers]\n{workers}\n\
         [http]\nallow_private = [\"127.0.0.0/8\"]\n\
         [scheduler]\ntick = \"1s\"\n"
    ))
}

/// A worker that fails at a failpoint, such as `crawl.committed=abort`. It leads a process group.
pub(crate) fn failing_worker(fleet: &Fleet, failpoint: &str) -> Running {
    fleet.spawn(&["worker", "--failpoint", failpoint])
}

/// A worker that waits at a failpoint until the file is there that comes with it.
pub(crate) fn waiting_worker(fleet: &Fleet, point: &str) -> (Running, PathBuf) {
    let go_on = fleet.path("go-on");
    let failpoint = format!("{point}=wait:{}", go_on.display());
    let mut command = fleet.command(&["worker", "--failpoint", &failpoint]);
    command.env("FEEDFLEET_LOG", "info");
    (fleet.start(command), go_on)
}

/// A worker that leads a process group, as the local fleet's do: signals can reach its children too.
pub(crate) fn group_worker(fleet: &Fleet) -> Running {
    let mut command = fleet.command(&["worker"]);
    command.process_group(0);
    fleet.start(command)
}

/// A worker that is stopped at a failpoint, with all its children, and killed there.
pub(crate) fn killed_at(fleet: &Fleet, point: &str) -> Running {
    let mut worker = failing_worker(fleet, &format!("{point}=stop"));
    wait_until_stopped(&worker);
    kill_with_children(&mut worker);
    worker
}

/// Kills a worker, and waits until its children have ended too.
pub(crate) fn kill_with_children(worker: &mut Running) {
    let children = children(worker.pid());
    worker.signal("KILL");
    let status = worker.wait(SOON);
    assert_eq!(status.signal(), Some(SIGKILL), "{status}: {}", worker.stderr());
    eventually(SOON, &format!("{children:?} to end with their worker"), || {
        children.iter().all(|pid| has_ended(*pid)).then_some(())
    });
}

/// Waits until a process is stopped.
pub(crate) fn wait_until_stopped(worker: &Running) {
    eventually(SOON, "the worker to stop", || {
        (process_state(worker.pid()) == Some('T')).then_some(())
    });
}

/// The processes that this one has started.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let output = Command::new("ps").args(["-o", "pid=", "--ppid"]).arg(pid.to_string()).output();
    let output = output.expect("ps can be started");
    let pids = String::from_utf8_lossy(&output.stdout).into_owned();
    pids.split_whitespace().map(|pid| pid.parse().expect("ps prints process ids")).collect()
}

/// Tells a process to stop, which it must do with exit code 0.
pub(crate) fn stop(running: &mut Running) {
    running.signal("TERM");
    let status = running.wait(SOON);
    assert!(status.success(), "{status}: {}", running.stderr());
}

/// Puts a run of the pipe on the queue; the run's number.
pub(crate) fn issue(fleet: &Fleet, pipe: &str) -> i64 {
    let report = fleet.run(&["run", pipe, "--json"]).ok().json();
    report["run"].as_i64().expect("a run has a number")
}

/// A run's report, as it lies among the objects.
pub(crate) fn report(fleet: &Fleet, pipe: &str, run: i64) -> Value {
    object(fleet, &format!("reports/{pipe}/{run:012}.json"))
}

/// An object that is JSON.
pub(crate) fn object(fleet: &Fleet, key: &str) -> Value {
    let path = fleet.path("var/objects").join(key);
    let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Whether nothing more will happen to the run.
pub(crate) fn is_final(report: &Value) -> bool {
    matches!(report["state"].as_str(), Some("done" | "held" | "superseded" | "dead"))
}

/// Waits for the run's end, and until no crawl message is left; the run's report.
pub(crate) fn settled(fleet: &Fleet, pipe: &str, run: i64) -> Value {
    eventually(SOON, &format!("run {pipe}/{run} to end"), || {
        is_final(&report(fleet, pipe, run)).then_some(())
    });
    eventually(SOON, "the crawl queue to be empty", || (left(fleet, "crawl") == 0).then_some(()));
    report(fleet, pipe, run)
}

/// The attempts at a run.
pub(crate) fn attempts(report: &Value) -> &[Value] {
    report["attempts"].as_array().expect("a report lists its attempts")
}

/// Whether the attempt was this process's.
pub(crate) fn is_by(attempt: &Value, running: &Running) -> bool {
    let worker = attempt["worker"].as_str().expect("an attempt names its worker");
    worker.ends_with(&format!("/{}", running.pid()))
}

/// `feedfleet fleet status`.
pub(crate) fn status(fleet: &Fleet) -> Value {
    fleet.run(&["fleet", "status", "--json"]).ok().json()
}

/// One number of one queue, such as `in_flight` of `image`.
pub(crate) fn number(status: &Value, queue: &str, field: &str) -> u64 {
    let queues = status["queues"].as_array().expect("a status lists its queues");
    let queue = queues.iter().find(|q| q["name"] == queue).expect("there are two queues");
    queue[field].as_u64().expect("a queue's figures are numbers")
}

/// Messages of a queue that are not settled.
pub(crate) fn left(fleet: &Fleet, queue: &str) -> u64 {
    let status = status(fleet);
    number(&status, queue, "visible") + number(&status, queue, "in_flight")
}

/// A commit of a run to the product table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Commit {
    /// The table's version.
    pub(crate) version: u64,
    /// The application in the fence, such as `acme/feed`.
    pub(crate) app: String,
    /// Its run.
    pub(crate) run: i64,
}

/// What the table's log says of runs, by version. The log is read as text, not through the catalog.
pub(crate) fn commits(fleet: &Fleet) -> Vec<Commit> {
    let folder = fleet.path("var/catalog/products/_delta_log");
    let mut commits = Vec::new();
    // Before the first commit there is no log.
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(version) = name.strip_suffix(".json").and_then(|v| v.parse::<u64>().ok()) else {
            continue;
        };
        let text = fs::read_to_string(entry.path()).expect("a log entry can be read");
        for line in text.lines() {
            let action: Value = serde_json::from_str(line).expect("a log entry is lines of JSON");
            if let Some(txn) = action.get("txn") {
                let app = txn["appId"].as_str().expect("a txn names its application").to_owned();
                let run = txn["version"].as_i64().expect("a txn has a version");
                commits.push(Commit { version, app, run });
            }
        }
    }
    commits.sort();
    commits
}

/// What a process is doing, as `ps` tells: `T` stopped, `Z` dead and not waited for; none: gone.
pub(crate) fn process_state(pid: u32) -> Option<char> {
    let output = Command::new("ps").args(["-o", "stat=", "-p"]).arg(pid.to_string()).output();
    let output = output.expect("ps can be started");
    String::from_utf8_lossy(&output.stdout).trim().chars().next()
}

/// Whether a process has ended.
pub(crate) fn has_ended(pid: u32) -> bool {
    matches!(process_state(pid), None | Some('Z'))
}
