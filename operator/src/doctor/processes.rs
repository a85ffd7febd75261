//! Whether the fleet's programs can be started, and whether a scheduler is running.

use super::Finding;
use super::objects::existing;
use super::schedules::{LITTLE_TIME, LastRuns};
use crate::commands::{fleet, sql};
use crate::context::Context;
use crate::view;
use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use feedfleet_config::FleetBackend;
use feedfleet_model::{RunReport, text};
use feedfleet_scheduler::FleetStatus;
use std::fmt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Command;

const WORKER: &str = "worker program";
const QUERY: &str = "query program";
const SCHEDULER: &str = "scheduler";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// A run that waits for longer, while no worker runs, waits in vain: a local fleet has its first worker within seconds,
/// and a group that begins with none has its first instance at work within two or three minutes.
const UNATTENDED: Duration = Duration::from_secs(5 * 60);

/// Starts this program, as the scheduler starts workers, and the one that `feedfleet sql` hands over to.
pub async fn programs(context: Option<Arc<Context>>) -> Vec<Finding> {
    let build = match &context {
        Some(context) => sql::build(&context.config.fleet),
        None => format!("cargo build --release -p {}", sql::PROGRAM),
    };
    vec![worker_program().await, query_program(&build).await]
}

async fn worker_program() -> Finding {
    let remedy =
        "install feedfleet where it may be executed, and let it stay there while the fleet runs";
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(e) => {
            return Finding::broken(
                WORKER,
                format!("its own file is not to be found: {e}"),
                remedy,
            );
        }
    };
    match version_of(&program).await {
        Ok(version) if version == VERSION => {
            Finding::ok(WORKER, format!("{} starts; version {version}", program.display()))
        }
        Ok(version) => {
            let found =
                format!("{} is version {version} by now, and this is {VERSION}", program.display());
            Finding::warning(WORKER, found, "restart what runs: feedfleet up, scheduler, worker")
        }
        Err(e) => {
            Finding::broken(WORKER, format!("could not start {}: {e:#}", program.display()), remedy)
        }
    }
}

async fn query_program(build: &str) -> Finding {
    let program = sql::program();
    let build = format!("build it, which SQL alone needs: {build}");
    match version_of(&program).await {
        Ok(version) if version == VERSION => {
            Finding::ok(QUERY, format!("{} starts; version {version}", program.display()))
        }
        Ok(version) => {
            let found =
                format!("{} is version {version}, and this is {VERSION}", program.display());
            Finding::warning(QUERY, found, build)
        }
        Err(e) => {
            Finding::warning(QUERY, format!("could not start {}: {e:#}", program.display()), build)
        }
    }
}

/// The last word of what `PROGRAM --version` prints.
async fn version_of(program: &Path) -> Result<String> {
    let mut command = Command::new(program);
    let output = command.arg("--version").stdin(Stdio::null()).kill_on_drop(true).output().await?;
    if !output.status.success() {
        bail!("it ended with {}", output.status);
    }
    let told = String::from_utf8_lossy(&output.stdout);
    Ok(told.split_whitespace().last().unwrap_or("none").to_owned())
}

/// Whether a scheduler has told of itself lately, and whether jobs wait that no worker does.
pub async fn scheduler(context: Arc<Context>, last_runs: Arc<LastRuns>) -> Vec<Finding> {
    let status = match look(&context).await {
        Ok(status) => status,
        Err(e) => {
            let found = format!("whether one is running cannot be told: {}", view::told(&e));
            return vec![Finding::warning(SCHEDULER, found, "see to the objects first")];
        }
    };
    let now = context.clock.now();
    let last_runs = last_runs.get_within(LITTLE_TIME, &context).await;
    let waiting = last_runs.and_then(|newest| waiting(newest.values().flatten().flatten(), now));
    let unattended = match waiting {
        Some(waiting) if !has_worker(&context, now).await => Some(waiting),
        _ => None,
    };
    vec![judged(status.as_ref(), unattended.as_ref(), &context.config.fleet.fleet, now)]
}

/// Runs whose message waits on the queue of crawls.
struct Waiting {
    runs: u64,
    /// For how long, the oldest.
    longest: Duration,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = text::duration(self.longest);
        match self.runs {
            1 => write!(f, "1 run waits, for {longest}, and no worker is running"),
            runs => write!(
                f,
                "{} runs wait, the oldest for {longest}, and no worker is running",
                text::count(runs)
            ),
        }
    }
}

/// The runs that a worker could have begun, or gone on with. None: none has waited for long.
fn waiting<'a>(newest: impl Iterator<Item = &'a RunReport>, now: DateTime<Utc>) -> Option<Waiting> {
    // A time to come is none that it has waited.
    let waits = newest.filter_map(|report| (now - ready_since(report)?).to_std().ok());
    let (mut runs, mut longest) = (0, Duration::ZERO);
    for wait in waits {
        runs += 1;
        longest = longest.max(wait);
    }
    (longest >= UNATTENDED).then_some(Waiting { runs, longest })
}

/// Since when a worker could have begun with a run, or gone on with it; where it was in the hands of one, since that
/// one's last sign of life. Not asked of the queue: one on SQS cannot tell.
fn ready_since(report: &RunReport) -> Option<DateTime<Utc>> {
    if report.state.is_final() {
        return None;
    }
    let sent = report.sent_at?;
    let since = match report.attempts.last().map(|attempt| attempt.end.as_ref()) {
        None => sent,
        Some(None) => report.updated_at,
        Some(Some(end)) => end.next_at.unwrap_or(end.at),
    };
    Some(since.max(sent))
}

/// Whether a worker has told of itself lately, or that cannot be told: the check of the objects says so.
async fn has_worker(context: &Context, now: DateTime<Utc>) -> bool {
    let Ok(Some(objects)) = existing(context) else { return true };
    !matches!(fleet::workers(&objects, now).await, Ok(workers) if workers.is_empty())
}

/// Whether workers are on their way, so that none has told of itself yet. A group that has got no further for minutes is
/// short. The scheduler's own processes never are: they are there at once, unless they end.
fn are_coming(status: &FleetStatus, backend: &FleetBackend, now: DateTime<Utc>) -> bool {
    let workers = status.workers.iter().map(|(_, since)| *since);
    let newest = workers.chain(status.instances.iter().map(|instance| instance.since)).max();
    let is_early = match newest {
        // A time to come is none that it has had.
        Some(since) => (now - since).to_std().ok().is_none_or(|age| age < UNATTENDED),
        None => matches!(backend, FleetBackend::AutoScaling { .. }),
    };
    status.desired > 0 && status.short == 0 && is_early
}

/// `unattended`: what waits, where no worker runs.
fn judged(
    status: Option<&FleetStatus>,
    unattended: Option<&Waiting>,
    backend: &FleetBackend,
    now: DateTime<Utc>,
) -> Finding {
    let is_coming = status.is_some_and(|status| are_coming(status, backend, now));
    let unattended = unattended.filter(|_| !is_coming);
    let more = unattended.map(|waiting| format!("; {waiting}")).unwrap_or_default();
    let Some(status) = status else {
        let remedy = "feedfleet up, or feedfleet scheduler; until then nothing runs by itself";
        return Finding::warning(SCHEDULER, format!("no scheduler is running{more}"), remedy);
    };
    let (pid, told) = (status.scheduler_pid, view::distance(now, status.at));
    let (found, remedy) = if status.has_fleet() {
        let (least, most) = status.bounds;
        let found = format!(
            "process {pid} told of itself {told}; {} workers run, {} are wanted (of {least} to {most})",
            status.present(),
            status.desired
        );
        let remedy = match backend {
            FleetBackend::Processes => "see in the log of feedfleet up why its workers end",
            FleetBackend::AutoScaling { .. } => {
                "feedfleet fleet status; see why the group's instances do not start, or what the workers on them say"
            }
        };
        (found, remedy)
    } else {
        let found = format!("process {pid} told of itself {told}; it starts no workers");
        (found, "feedfleet worker beside it, or feedfleet up in its place")
    };
    match unattended {
        None => Finding::ok(SCHEDULER, found),
        Some(_) => Finding::warning(SCHEDULER, format!("{found}{more}"), remedy),
    }
}

/// None where there is no store yet: looking makes none.
async fn look(context: &Context) -> Result<Option<FleetStatus>> {
    let Some(objects) = existing(context)? else { return Ok(None) };
    fleet::scheduler(objects.as_ref(), context.clock.now()).await
}

#[cfg(test)]
mod tests {
    use super::super::scratch::Scratch;
    use super::super::{State, configuration};
    use super::*;
    use chrono::TimeDelta;
    use feedfleet_model::report::{Attempt, AttemptEnd, RunState, Trigger};
    use feedfleet_model::{RunId, RunKey, keys};
    use feedfleet_objects::reports::to_json;
    use feedfleet_worker::status::WorkerStatus;
    use std::slice;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    /// A run that was sent when the clock began.
    fn run(state: RunState) -> RunReport {
        let key = RunKey { pipe: "shop".parse().unwrap(), run: RunId(7) };
        let report = RunReport::new(key, Trigger::Schedule, at(0));
        RunReport { state, sent_at: Some(at(0)), ..report }
    }

    fn attempted(end: Option<(i64, Option<i64>)>) -> RunReport {
        let end = end.map(|(ended, next)| AttemptEnd {
            at: at(ended),
            outcome: "retry".to_owned(),
            reason: None,
            next_at: next.map(at),
        });
        let attempt = Attempt { worker: "host/1".to_owned(), started_at: at(1), end };
        RunReport { attempts: vec![attempt], updated_at: at(3), ..run(RunState::Running) }
    }

    #[test]
    fn a_run_waits_while_a_worker_could_be_at_it() {
        let told = |reports: &[RunReport], minute| {
            waiting(reports.iter(), at(minute)).map(|waiting| waiting.to_string())
        };
        let queued = run(RunState::Queued);
        assert_eq!(told(slice::from_ref(&queued), 4), None, "a worker may be on its way");
        let one = told(slice::from_ref(&queued), 22).unwrap();
        assert!(one.starts_with("1 run waits, for 22 min"), "{one}");
        assert_eq!(told(&[run(RunState::Done), run(RunState::Dead)], 22), None);
        let unsent = RunReport { sent_at: None, ..queued.clone() };
        assert_eq!(told(&[unsent], 22), None);

        // In the hands of a worker that has gone; to be repeated at once, at a time, and at a time to come.
        for (report, minutes) in [
            (attempted(None), Some("19 min")),
            (attempted(Some((10, None))), Some("12 min")),
            (attempted(Some((2, Some(15)))), Some("7 min")),
            (attempted(Some((2, Some(30)))), None),
        ] {
            let found = told(&[report], 22);
            match minutes {
                Some(minutes) => assert!(found.unwrap().contains(minutes), "{minutes}"),
                None => assert_eq!(found, None),
            }
        }
        let both = told(&[queued, attempted(None), run(RunState::Done)], 22).unwrap();
        assert!(both.starts_with("2 runs wait, the oldest for 22 min"), "{both}");
    }

    #[test]
    fn runs_that_nobody_does_are_a_warning_whoever_is_there() {
        let status = |most| FleetStatus {
            at: at(22),
            scheduler_pid: 17,
            desired: 1,
            bounds: (0, most),
            workers: Vec::new(),
            instances: Vec::new(),
            short: 0,
        };
        let (alone, with_fleet) = (status(0), status(4));
        let unattended = Waiting { runs: 1, longest: Duration::from_secs(22 * 60) };
        let look =
            |status, unattended| judged(status, unattended, &FleetBackend::Processes, at(22));
        for status in [&alone, &with_fleet] {
            let finding = look(Some(status), None);
            assert_eq!(finding.state, State::Ok, "{finding}");
        }
        for (status, remedy) in [
            (None, "feedfleet up"),
            (Some(&alone), "feedfleet worker beside it"),
            (Some(&with_fleet), "the log of feedfleet up"),
        ] {
            let finding = look(status, Some(&unattended));
            assert_eq!(finding.state, State::Warning, "{finding}");
            assert!(finding.found.contains("1 run waits"), "{finding}");
            assert!(finding.remedy.unwrap_or_default().contains(remedy), "{remedy}");
        }
    }

    #[test]
    fn runs_that_workers_are_on_their_way_to_are_no_warning() {
        let unattended = Waiting { runs: 1, longest: Duration::from_secs(22 * 60) };
        let group = FleetBackend::AutoScaling { group: "shop-workers".to_owned() };
        // Missing workers, since when the only one there is runs, and what is told of it.
        for (backend, short, since, remedy) in [
            (&FleetBackend::Processes, 0, Some(22), None),
            (&FleetBackend::Processes, 0, Some(16), Some("the log of feedfleet up")),
            (&FleetBackend::Processes, 0, None, Some("the log of feedfleet up")),
            (&group, 0, None, None),
            (&group, 0, Some(20), None),
            (&group, 0, Some(16), Some("what the workers on them say")),
            (&group, 1, None, Some("why the group's instances do not start")),
        ] {
            let status = FleetStatus {
                at: at(22),
                scheduler_pid: 17,
                desired: 1,
                bounds: (0, 4),
                workers: since.map(|since| (18, at(since))).into_iter().collect(),
                instances: Vec::new(),
                short,
            };
            let finding = judged(Some(&status), Some(&unattended), backend, at(22));
            match remedy {
                None => assert_eq!(finding.state, State::Ok, "{finding}"),
                Some(remedy) => {
                    assert_eq!(finding.state, State::Warning, "{finding}");
                    assert!(finding.remedy.unwrap_or_default().contains(remedy), "{remedy}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_worker_is_there_that_has_told_of_itself_lately() {
        let scratch = Scratch::within(&std::env::temp_dir()).unwrap();
        let context = configuration::sound(scratch.path());
        assert!(has_worker(&context, at(22)).await, "without a store it cannot be told");
        let objects = context.objects().unwrap();
        assert!(!has_worker(&context, at(22)).await);
        let status = WorkerStatus {
            worker: "host/1".to_owned(),
            pid: 1,
            started_at: at(1),
            at: at(22),
            busy: Vec::new(),
            memory_bytes: 0,
            beacon_secs: 5,
        };
        objects.put(&keys::worker_status(&status.worker), to_json(&status)).await.unwrap();
        assert!(has_worker(&context, at(22)).await);
        assert!(!has_worker(&context, at(23)).await, "it has gone");
    }
}
