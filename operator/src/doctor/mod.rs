//! `feedfleet doctor`: tries what the fleet depends on, in the places that the configuration names, and
//! says of each what was found and what to do about it. Nothing is assumed and nothing is left behind: a
//! check works on names of its own, and on the fleet's folders only where they are there already.
//!
//! The checks run side by side. One that panics or hangs is a finding of its own and stops no other.

mod catalog;
mod clock;
#[cfg_attr(not(feature = "aws"), path = "no_cloud.rs")]
mod cloud;
mod configuration;
mod finding;
mod machine;
mod objects;
mod processes;
mod queue;
mod schedules;
pub mod scratch;
mod sources;

pub use finding::{Finding, State};

use crate::context::Context;
use feedfleet_config::{Fleet, FleetBackend, Place, QueueBackend};
use feedfleet_http::HostGate;
use feedfleet_model::text;
use schedules::LastRuns;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// A check that has not ended by then has met something that hangs.
const LIMIT: Duration = Duration::from_secs(15);
/// What to look at should the machine not tell of itself.
const MACHINE: &str = "look at /proc and /sys";
/// What to look at should AWS not answer.
const NETWORK: &str = "look at the way from this machine to AWS: routes, security groups, VPC endpoints, and \
                       AWS_ENDPOINT_URL if it is set";
/// Sources asked at the same time.
const SOURCES_AT_ONCE: usize = 8;

/// Examines the fleet of a configuration's folder. `offline`: sources on the network are not asked.
pub async fn examine(folder: &Path, offline: bool) -> Vec<Finding> {
    let (context, mut findings) = configuration::check(folder);
    let mut checks = Checks::within(LIMIT);
    let context = context.map(Arc::new);
    let last_runs = Arc::new(LastRuns::default());
    if let Some(context) = &context {
        begin_with_places(&mut checks, context, &last_runs);
    }
    checks.begin("file limits", MACHINE, async { vec![machine::file_limits()] });
    let suspect = "look at the disk that the programs are on";
    checks.begin("programs", suspect, processes::programs(context.clone()));
    if let Some(context) = &context {
        begin_with_pipes(&mut checks, context, &last_runs, offline);
    }
    findings.extend(checks.end().await);
    findings
}

fn begin_with_places(checks: &mut Checks, context: &Arc<Context>, last_runs: &Arc<LastRuns>) {
    let fleet = &context.config.fleet;
    if is_on_aws(fleet) {
        checks.begin("aws", NETWORK, cloud::identity(context.clone()));
    }
    let suspect = match &fleet.queue.backend {
        QueueBackend::Sqlite { path } => {
            format!("{}, and for a process that keeps the file locked", hung(path))
        }
        QueueBackend::Sqs { .. } => NETWORK.to_owned(),
    };
    checks.begin("queue", suspect, queue::check(context.clone()));
    let suspect = suspect_of(&fleet.objects.place);
    checks.begin("objects", suspect.clone(), objects::check(context.clone()));
    checks.begin("dead letters", suspect, schedules::dead_letters(context.clone()));
    let suspect = suspect_of(&fleet.catalog.place);
    checks.begin("catalog", suspect.clone(), catalog::check(context.clone()));
    let settings = fleet.clone();
    checks.begin("disk", suspect.clone(), blocking(move || machine::disk(&settings)));
    match &fleet.fleet {
        FleetBackend::Processes => {
            let workers = fleet.workers.clone();
            checks.begin("memory", MACHINE, blocking(move || vec![machine::memory(&workers)]));
        }
        // The workers' memory is on other machines.
        FleetBackend::AutoScaling { .. } => {
            checks.begin("group", NETWORK, cloud::group(context.clone()));
        }
    }
    checks.begin("clock", suspect, clock::check(context.clone(), last_runs.clone()));
}

/// Whether AWS is needed.
fn is_on_aws(fleet: &Fleet) -> bool {
    matches!(fleet.queue.backend, QueueBackend::Sqs { .. })
        || fleet.catalog.place.folder().is_none()
        || fleet.objects.place.folder().is_none()
        || fleet.fleet != FleetBackend::Processes
        || fleet.metrics.cloudwatch.is_some()
}

fn hung(place: &Path) -> String {
    format!("look at the disk or the mount of {}", place.display())
}

/// What to look at should a place not answer.
fn suspect_of(place: &Place) -> String {
    place.folder().map_or_else(|| NETWORK.to_owned(), hung)
}

fn begin_with_pipes(
    checks: &mut Checks,
    context: &Arc<Context>,
    last_runs: &Arc<LastRuns>,
    offline: bool,
) {
    let fleet = &context.config.fleet;
    let suspect = suspect_of(&fleet.objects.place);
    checks.begin(
        "scheduler",
        suspect.clone(),
        processes::scheduler(context.clone(), last_runs.clone()),
    );
    checks.begin("schedules", suspect, schedules::check(context.clone(), last_runs.clone()));
    let http = match context.http() {
        Ok(http) => http,
        Err(e) => {
            let found = format!("no HTTP client could be made: {e:#}");
            let told = vec![Finding::broken("sources", found, "correct [http] in fleet.toml")];
            checks.begin("sources", "", std::future::ready(told));
            return;
        }
    };
    let remote = context.remote();
    let slots = Arc::new(Semaphore::new(SOURCES_AT_ONCE));
    let concurrency = NonZeroUsize::new(fleet.hosts.concurrency).unwrap_or(NonZeroUsize::MIN);
    let gate = HostGate::new(concurrency);
    for pipe in context.config.sources() {
        let host = sources::host(pipe);
        if offline && host.is_some() {
            continue;
        }
        let (slots, gate) = (slots.clone(), gate.clone());
        // A place at the host first: pipes that wait for a busy host keep no others waiting.
        let turn = async move {
            let place = match host {
                Some(host) => Some(gate.acquire(&host).await),
                None => None,
            };
            (place, slots.acquire_owned().await)
        };
        let suspect = format!("look at url under [source] in {}", pipe.file.display());
        let check = format!("source {}", pipe.name);
        let had_records =
            schedules::had_records(context.clone(), last_runs.clone(), pipe.name.clone());
        let asking = sources::check(http.clone(), remote.clone(), pipe.clone(), had_records);
        checks.begin_after(turn, check, suspect, asking);
    }
}

/// Checks under way, in the order in which they will be told.
struct Checks {
    limit: Duration,
    running: Vec<(String, JoinHandle<Vec<Finding>>)>,
}

impl Checks {
    /// None yet; each will have so long.
    fn within(limit: Duration) -> Self {
        Self { limit, running: Vec::new() }
    }

    /// Begins a check. `suspect`: what to look at should it not end.
    fn begin(
        &mut self,
        check: impl Into<String>,
        suspect: impl Into<String>,
        work: impl Future<Output = Vec<Finding>> + Send + 'static,
    ) {
        self.begin_after(std::future::ready(()), check, suspect, work);
    }

    /// As [`Checks::begin`], once its turn has come; waiting does not count. What `turn` gave is kept until
    /// the check has ended.
    fn begin_after<T: Send + 'static>(
        &mut self,
        turn: impl Future<Output = T> + Send + 'static,
        check: impl Into<String>,
        suspect: impl Into<String>,
        work: impl Future<Output = Vec<Finding>> + Send + 'static,
    ) {
        let (check, suspect) = (check.into(), suspect.into());
        let (name, limit) = (check.clone(), self.limit);
        let task = tokio::spawn(async move {
            let _kept = turn.await;
            let Ok(findings) = tokio::time::timeout(limit, work).await else {
                let found = format!("it did not end within {}", text::duration(limit));
                return vec![Finding::broken(name, found, suspect)];
            };
            findings
        });
        self.running.push((check, task));
    }

    /// Waits for all of them.
    async fn end(self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (check, task) in self.running {
            match task.await {
                Ok(found) => findings.extend(found),
                Err(e) => findings.push(Finding::broken(
                    check,
                    format!("the check itself failed: {e}"),
                    "this is a fault of feedfleet: report it with this line",
                )),
            }
        }
        findings
    }
}

/// Does what blocks on a thread of its own, so that a check that hangs can be given up.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        // Nobody cancels it, so it panicked: the check has.
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    }
}

/// An error whose text tells its source already.
fn plain(e: impl std::fmt::Display) -> anyhow::Error {
    anyhow::Error::msg(e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn faulty() -> Vec<Finding> {
        panic!("a bug")
    }

    #[tokio::test]
    async fn a_check_that_panics_or_hangs_stops_no_other() {
        let mut checks = Checks::within(Duration::from_millis(50));
        checks.begin("first", "", faulty());
        checks.begin("second", "look at the mount", std::future::pending());
        checks.begin("third", "", async { vec![Finding::ok("third", "well")] });
        let findings = checks.end().await;
        let states: Vec<_> = findings.iter().map(|f| f.state).collect();
        assert_eq!(states, [State::Broken, State::Broken, State::Ok]);
        assert!(findings[0].found.contains("a bug"), "{findings:?}");
        assert!(findings[1].found.contains("did not end within 50 ms"), "{findings:?}");
        assert_eq!(findings[1].remedy.as_deref(), Some("look at the mount"));
    }

    #[tokio::test]
    async fn waiting_for_a_turn_does_not_count() {
        let limit = Duration::from_millis(50);
        let mut checks = Checks::within(limit);
        let turn = tokio::time::sleep(limit * 3);
        checks.begin_after(turn, "late", "", async { vec![Finding::ok("late", "well")] });
        assert_eq!(checks.end().await[0].state, State::Ok);
    }
}
