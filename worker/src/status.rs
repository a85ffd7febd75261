//! What a worker is busy with, for `feedfleet fleet status` and for the scheduler, which stops idle workers
//! first. A hint, and never the ground of a decision about a job.

use crate::deps::Deps;
use chrono::{DateTime, Utc};
use feedfleet_model::keys;
use feedfleet_objects::reports::to_json;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// How often a worker tells that it is alive.
pub const BEACON: Duration = Duration::from_secs(5);

/// What a worker last told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Its name: machine and process.
    pub worker: String,
    /// Its process.
    pub pid: u32,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it told this.
    pub at: DateTime<Utc>,
    /// The message groups of the jobs in its hands.
    pub busy: Vec<String>,
    /// Its resident memory in bytes, that of its children included.
    pub memory_bytes: u64,
}

/// Where a worker writes down what it does.
pub struct StatusBoard {
    worker: String,
    started_at: DateTime<Utc>,
    busy: Mutex<Vec<String>>,
    changed: Notify,
    is_busy: watch::Sender<bool>,
}

/// A job in hand; dropping it takes it off the board.
pub struct Busy {
    board: Arc<StatusBoard>,
    group: String,
}

impl StatusBoard {
    /// An empty board.
    pub fn new(deps: &Deps) -> Self {
        Self::of(deps.worker.clone(), deps.clock.now())
    }

    /// An empty board of this worker.
    pub(crate) fn of(worker: String, started_at: DateTime<Utc>) -> Self {
        Self {
            worker,
            started_at,
            busy: Mutex::new(Vec::new()),
            changed: Notify::new(),
            is_busy: watch::Sender::new(false),
        }
    }

    /// Whether there is any job in hand, now and whenever that changes.
    pub fn is_busy(&self) -> watch::Receiver<bool> {
        self.is_busy.subscribe()
    }

    /// Changes the list of jobs in hand, and tells of it.
    fn change(&self, change: impl FnOnce(&mut Vec<String>)) {
        let mut busy = self.lock();
        change(&mut busy);
        // While the list is locked: whoever changes it next tells of it next.
        let is_busy = !busy.is_empty();
        self.is_busy.send_if_modified(|was| std::mem::replace(was, is_busy) != is_busy);
        drop(busy);
        self.changed.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a job in hand.
    pub fn busy(self: &Arc<Self>, group: &str) -> Busy {
        self.change(|busy| busy.push(group.to_owned()));
        Busy { board: self.clone(), group: group.to_owned() }
    }

    /// Publishes the board now and then until `shutdown`, then takes it away.
    pub async fn publish(self: Arc<Self>, deps: Deps, shutdown: CancellationToken) {
        let key = keys::worker_status(&self.worker);
        while !shutdown.is_cancelled() {
            let status = WorkerStatus {
                worker: self.worker.clone(),
                pid: std::process::id(),
                started_at: self.started_at,
                at: deps.clock.now(),
                busy: self.lock().clone(),
                memory_bytes: feedfleet_telemetry::memory::resident_bytes_with_children(),
            };
            if let Err(e) = deps.objects.put(&key, to_json(&status)).await {
                tracing::warn!(error = %e, "could not publish the worker's status");
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(BEACON) => {}
                () = self.changed.notified() => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
        if let Err(e) = deps.objects.delete(&key).await {
            tracing::warn!(error = %e, "could not take the worker's status away");
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.board.change(|busy| {
            if let Some(at) = busy.iter().position(|g| *g == self.group) {
                busy.swap_remove(at);
            }
        });
    }
}
