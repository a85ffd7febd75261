//! What a worker is busy with, for `feedfleet fleet status` and for the scheduler, which stops idle workers
//! first. A hint, and never the ground of a decision about a job.

use crate::deps::Deps;
use chrono::{DateTime, Utc};
use feedfleet_model::keys;
use feedfleet_objects::reports::to_json;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often a worker tells that it is alive.
pub const BEACON: Duration = Duration::from_secs(5);

/// How long changes gather before they are told.
const SETTLING: Duration = Duration::from_millis(500);

/// What a worker last told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Its name: host and process.
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
}

/// A job in hand; dropping it takes it off the board.
pub struct Busy {
    board: Arc<StatusBoard>,
    group: String,
}

impl StatusBoard {
    /// An empty board.
    pub fn new(deps: &Deps) -> Self {
        Self {
            worker: deps.worker.clone(),
            started_at: deps.clock.now(),
            busy: Mutex::new(Vec::new()),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a job in hand.
    pub fn busy(self: &Arc<Self>, group: &str) -> Busy {
        self.lock().push(group.to_owned());
        self.changed.notify_one();
        Busy { board: self.clone(), group: group.to_owned() }
    }

    /// Publishes the board now and then until `shutdown`, then takes it away.
    pub async fn publish(self: Arc<Self>, deps: Deps, shutdown: CancellationToken) {
        let key = keys::worker_status(std::process::id());
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
            let due = async {
                tokio::select! {
                    () = tokio::time::sleep(BEACON) => {}
                    () = self.changed.notified() => tokio::time::sleep(SETTLING).await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = due => {}
            }
        }
        if let Err(e) = deps.objects.delete(&key).await {
            tracing::warn!(error = %e, "could not take the worker's status away");
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut busy = self.board.lock();
        if let Some(at) = busy.iter().position(|g| *g == self.group) {
            busy.swap_remove(at);
        }
        self.board.changed.notify_one();
    }
}
