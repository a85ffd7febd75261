//! The local fleet: worker processes of the same binary.

use chrono::{DateTime, Utc};
use feedfleet_fleet::{Fleet, FleetError, FleetView, Member, MemberState};
use feedfleet_model::{Clock, keys};
use feedfleet_objects::Objects;
use feedfleet_objects::reports::from_json;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// A worker is stopped when it has been idle for this long, and is not needed.
const IDLE_BEFORE_STOP: Duration = Duration::from_secs(10);
/// A worker that ends by itself this soon after its start has a fault; the next start waits.
const FAULTY_LIFE: Duration = Duration::from_secs(5);
const LONGEST_START_PAUSE: Duration = Duration::from_secs(60);
/// Workers that have not gone by then are killed; their jobs are delivered again.
const STOP_WITHIN: Duration = Duration::from_secs(90);

/// Worker processes on this machine.
pub struct LocalFleet {
    program: PathBuf,
    arguments: Vec<OsString>,
    /// Where workers log; none: where this process does.
    log: Option<PathBuf>,
    objects: Arc<dyn Objects>,
    clock: Arc<dyn Clock>,
    host: String,
    children: Vec<Worker>,
    faults: u32,
    start_after: Instant,
}

struct Worker {
    child: Child,
    pid: u32,
    started: Instant,
    started_at: DateTime<Utc>,
    idle_since: Option<Instant>,
    stopping: bool,
}

/// The part of a worker's own word that is needed here.
#[derive(Deserialize)]
struct Busy {
    busy: Vec<String>,
}

impl LocalFleet {
    /// A fleet of `program arguments`, with no worker yet. Workers tell of themselves in `objects`.
    pub fn new(
        program: PathBuf,
        arguments: Vec<OsString>,
        log: Option<PathBuf>,
        objects: Arc<dyn Objects>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            program,
            arguments,
            log,
            objects,
            clock,
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            children: Vec::new(),
            faults: 0,
            start_after: Instant::now(),
        }
    }

    fn active(&self) -> usize {
        self.children.iter().filter(|w| !w.stopping).count()
    }

    fn reap(&mut self) {
        let mut faulty = false;
        self.children.retain_mut(|worker| match worker.child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) if worker.stopping => {
                tracing::info!(pid = worker.pid, %status, "worker stopped");
                false
            }
            Ok(Some(status)) => {
                tracing::warn!(pid = worker.pid, %status, "worker died and is replaced");
                faulty |= worker.started.elapsed() < FAULTY_LIFE;
                false
            }
            Err(e) => {
                tracing::warn!(pid = worker.pid, error = %e, "could not look at a worker");
                true
            }
        });
        if faulty {
            self.faults += 1;
            let pause = Duration::from_secs(1 << self.faults.min(6)).min(LONGEST_START_PAUSE);
            self.start_after = Instant::now() + pause;
        } else if self.children.iter().any(|w| w.started.elapsed() > FAULTY_LIFE) {
            self.faults = 0;
        }
    }

    fn start(&mut self) -> bool {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg("--parent").arg(std::process::id().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if let Some(log) = &self.log {
            match File::options().create(true).append(true).open(log) {
                Ok(file) => command.stderr(file),
                Err(e) => {
                    tracing::error!(log = %log.display(), error = %e, "could not open the workers' log");
                    return false;
                }
            };
        }
        // Ctrl-C in a terminal goes to the whole process group: workers are stopped by the scheduler.
        command.process_group(0);
        match command.spawn() {
            Ok(child) => {
                let pid = child.id().unwrap_or_default();
                tracing::info!(pid, "worker started");
                self.children.push(Worker {
                    child,
                    pid,
                    started: Instant::now(),
                    started_at: self.clock.now(),
                    idle_since: Some(Instant::now()),
                    stopping: false,
                });
                true
            }
            Err(e) => {
                tracing::error!(program = %self.program.display(), error = %e, "could not start a worker");
                self.start_after = Instant::now() + LONGEST_START_PAUSE;
                false
            }
        }
    }

    /// A worker that does not tell counts as busy.
    async fn note_idle(&mut self) {
        for worker in &mut self.children {
            let key = keys::worker_status(&format!("{}/{}", self.host, worker.pid));
            let told = match self.objects.get(&key).await {
                Ok(Some(object)) => from_json::<Busy>(&key, &object.bytes).ok(),
                _ => None,
            };
            let idle = told.is_some_and(|told| told.busy.is_empty());
            worker.idle_since = match worker.idle_since {
                _ if !idle => None,
                None => Some(Instant::now()),
                since => since,
            };
        }
    }

    fn stop_idle(&mut self, desired: usize) {
        let mut surplus = self.active().saturating_sub(desired);
        for worker in self.children.iter_mut().rev().filter(|w| !w.stopping) {
            if surplus == 0 {
                return;
            }
            if worker.idle_since.is_some_and(|since| since.elapsed() >= IDLE_BEFORE_STOP) {
                worker.terminate();
                surplus -= 1;
            }
        }
    }
}

#[async_trait::async_trait]
impl Fleet for LocalFleet {
    /// Replaces what died, starts what is missing, stops what is idle and not needed.
    async fn reconcile(&mut self, desired: u32) -> Result<FleetView, FleetError> {
        self.reap();
        self.note_idle().await;
        while self.active() < desired as usize && Instant::now() >= self.start_after {
            if !self.start() {
                break;
            }
        }
        self.stop_idle(desired as usize);
        let member = |worker: &Worker| Member {
            id: worker.pid.to_string(),
            since: worker.started_at,
            state: if worker.stopping { MemberState::Leaving } else { MemberState::InService },
            busy: worker.idle_since.is_none(),
        };
        Ok(FleetView {
            target: u32::try_from(self.active()).unwrap_or(u32::MAX),
            members: self.children.iter().map(member).collect(),
            short: 0,
        })
    }

    /// Asks every worker to stop, and waits until they have.
    async fn stop(&mut self) {
        for worker in &mut self.children {
            worker.terminate();
        }
        let deadline = tokio::time::Instant::now() + STOP_WITHIN;
        for worker in &mut self.children {
            if tokio::time::timeout_at(deadline, worker.child.wait()).await.is_err() {
                tracing::error!(pid = worker.pid, "a worker did not stop in time and is killed");
                if let Err(e) = worker.child.kill().await {
                    tracing::error!(pid = worker.pid, error = %e, "could not kill a worker");
                }
            }
        }
    }
}

impl Worker {
    fn terminate(&mut self) {
        self.stopping = true;
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        // A worker that has not been waited for keeps its process id: nobody else can be hit.
        if let Some(pid) = pid
            && let Err(e) = kill_process(pid, Signal::TERM)
        {
            tracing::warn!(pid = self.pid, error = %e, "could not ask a worker to stop");
        }
    }
}
