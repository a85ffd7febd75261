//! What a worker is busy with, for `feedfleet fleet status` and for the scheduler, which stops idle workers
//! first. A hint, and never the ground of a decision about a job.

use crate::deps::Deps;
use chrono::{DateTime, Utc};
use feedfleet_config::Place;
use feedfleet_model::keys;
use feedfleet_objects::reports::to_json;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// How often a worker tells that it is alive, where that costs nothing.
pub const BEACON: Duration = Duration::from_secs(5);
/// How often it does where each word is paid for.
pub const PAID_BEACON: Duration = Duration::from_secs(20);
/// Changes within so much of each other are one word.
const LINGER: Duration = Duration::from_millis(500);
/// The same, where each word is paid for.
const PAID_LINGER: Duration = Duration::from_secs(2);
/// A worker that has missed so many words is taken for gone.
const MISSED: u32 = 3;
/// How long taking a worker's status away may take.
const LAST_WORD: Duration = Duration::from_secs(5);

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
    /// It tells the next time after so many seconds at the latest.
    #[serde(default = "beacon_secs")]
    pub beacon_secs: u64,
}

/// What a status says that was written before it said so.
fn beacon_secs() -> u64 {
    BEACON.as_secs()
}

impl WorkerStatus {
    /// Whether the worker may be taken to be alive: it has told of itself lately, for its own pace.
    pub fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        let limit = Duration::from_secs(self.beacon_secs).saturating_mul(MISSED);
        // A clock behind the worker's is no sign of age.
        self.at > now || (now - self.at).to_std().is_ok_and(|age| age <= limit)
    }
}

/// When a worker tells of itself.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// So often at least.
    beacon: Duration,
    /// So long after a change, with what changes in between.
    linger: Duration,
    /// Of changes, only those from busy to idle and back. With many image jobs there are several others a second.
    only_flips: bool,
}

impl Pace {
    /// For statuses that are kept there.
    fn at(place: &Place) -> Self {
        match place {
            Place::Folder(_) => Self { beacon: BEACON, linger: LINGER, only_flips: false },
            Place::S3 { .. } => Self { beacon: PAID_BEACON, linger: PAID_LINGER, only_flips: true },
        }
    }
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
        let pace = Pace::at(&deps.fleet.objects.place);
        while !shutdown.is_cancelled() {
            let status = WorkerStatus {
                worker: self.worker.clone(),
                pid: std::process::id(),
                started_at: self.started_at,
                at: deps.clock.now(),
                busy: self.lock().clone(),
                memory_bytes: feedfleet_telemetry::memory::resident_bytes_with_children(),
                beacon_secs: pace.beacon.as_secs(),
            };
            let told_busy = !status.busy.is_empty();
            // A store that does not answer holds up nobody who has to go.
            let put = tokio::select! {
                put = deps.objects.put(&key, to_json(&status)) => put,
                () = shutdown.cancelled() => break,
            };
            if let Err(e) = put {
                tracing::warn!(error = %e, "could not publish the worker's status");
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(pace.beacon) => {}
                () = self.news(pace, told_busy) => {}
            }
        }
        // One that stays is taken for gone by its age.
        match tokio::time::timeout(LAST_WORD, deps.objects.delete(&key)).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::warn!(error = %e, "could not take the worker's status away"),
            Err(_) => tracing::warn!("could not take the worker's status away in time"),
        }
    }

    /// Waits for something to tell, and for what comes with it. `told_busy`: what was told last.
    async fn news(&self, pace: Pace, told_busy: bool) {
        if pace.only_flips {
            // No error: the sender is here.
            self.is_busy().wait_for(|is_busy| *is_busy != told_busy).await.ok();
        } else {
            self.changed.notified().await;
        }
        tokio::time::sleep(pace.linger).await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    /// What does not come within this time does not come.
    const SHORT: Duration = Duration::from_millis(20);
    const SOON: Duration = Duration::from_secs(20);

    fn pace(place: &Place) -> Pace {
        Pace { linger: Duration::ZERO, ..Pace::at(place) }
    }

    #[tokio::test]
    async fn where_words_are_paid_for_only_busy_and_idle_are_told_at_once() {
        let board = Arc::new(StatusBoard::of("w".to_owned(), Utc::now()));
        let paid = pace(&Place::S3 { bucket: "b".to_owned(), prefix: String::new() });
        assert!(timeout(SHORT, board.news(paid, false)).await.is_err(), "nothing has changed");
        let one = board.busy("a");
        timeout(SOON, board.news(paid, false)).await.expect("it is busy now");
        let other = board.busy("b");
        drop(one);
        assert!(timeout(SHORT, board.news(paid, true)).await.is_err(), "it is as busy as before");
        drop(other);
        timeout(SOON, board.news(paid, true)).await.expect("it is idle now");
    }

    #[tokio::test]
    async fn where_words_are_free_each_change_is_told() {
        let board = Arc::new(StatusBoard::of("w".to_owned(), Utc::now()));
        let free = pace(&Place::Folder("var/objects".into()));
        let _one = board.busy("a");
        timeout(SOON, board.news(free, false)).await.expect("a job has begun");
        assert!(timeout(SHORT, board.news(free, true)).await.is_err(), "that was all");
        let _other = board.busy("b");
        timeout(SOON, board.news(free, true)).await.expect("another one has");
    }

    #[test]
    fn a_worker_is_taken_for_gone_by_its_own_pace() {
        let at = Utc::now();
        let after = |secs| at + chrono::Duration::seconds(secs);
        // Of a release that told no pace.
        let told = serde_json::json!({
            "worker": "w", "pid": 7, "started_at": at, "at": at, "busy": [], "memory_bytes": 0
        });
        let status: WorkerStatus = serde_json::from_value(told).unwrap();
        assert_eq!(status.beacon_secs, 5);
        assert!(status.is_fresh(after(15)) && !status.is_fresh(after(16)));
        assert!(status.is_fresh(after(-60)), "clocks differ");
        let paid = WorkerStatus { beacon_secs: 20, ..status };
        assert!(paid.is_fresh(after(60)) && !paid.is_fresh(after(61)));
    }
}
