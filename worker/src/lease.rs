//! The lease: a worker's hold on a message, kept alive while the job runs.
//!
//! Heartbeats have a thread and a runtime of their own: no CPU work on the worker's runtime can starve them.
//! A lease that cannot be kept cancels its job; dropping the handle stops the heartbeat.

use feedfleet_queue::{Queue, QueueError, Receipt};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Heartbeats in one visibility timeout.
const BEATS_PER_VISIBILITY: u32 = 3;
/// Part of the visibility timeout before whose end the lease is given up, if no heartbeat got through: the
/// job must have stopped when somebody else gets the message.
const MARGIN: u32 = 6;
/// Between attempts to extend after a failure of the queue.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// The thread on which all leases of a worker are kept; it ends when this is dropped.
pub struct Heart {
    runtime: tokio::runtime::Handle,
    _stop: DropGuard,
}

impl Heart {
    /// Starts the thread.
    pub fn start() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        std::thread::Builder::new()
            .name("heartbeat".into())
            .spawn(move || runtime.block_on(stopped.cancelled()))?;
        Ok(Self { runtime: handle, _stop: stop.drop_guard() })
    }
}

/// A message held. Dropping it stops the heartbeat; the lease then runs out by itself.
pub struct Lease {
    lost: CancellationToken,
    _heartbeat: DropGuard,
}

impl Lease {
    /// Holds a message that has just been received with this visibility timeout.
    pub fn hold(
        heart: &Heart,
        queue: Arc<dyn Queue>,
        receipt: Receipt,
        visibility: Duration,
    ) -> Self {
        let lost = CancellationToken::new();
        let stop = CancellationToken::new();
        let (signal, stopped) = (lost.clone(), stop.clone());
        heart.runtime.spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = keep(queue, receipt, visibility) => signal.cancel(),
            }
        });
        Self { lost, _heartbeat: stop.drop_guard() }
    }

    /// Cancelled when the lease is gone: the job must stop, and settle nothing.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }
}

/// Extends the lease again and again; returns when it is lost.
async fn keep(queue: Arc<dyn Queue>, receipt: Receipt, visibility: Duration) {
    let mut held_until = Instant::now() + visibility;
    loop {
        tokio::time::sleep(visibility / BEATS_PER_VISIBILITY).await;
        loop {
            let asked = Instant::now();
            let give_up = held_until - visibility / MARGIN;
            let extended =
                tokio::time::timeout_at(give_up, queue.extend(&receipt, visibility)).await;
            match extended {
                Ok(Ok(())) => {
                    held_until = asked + visibility;
                    break;
                }
                // Only the queue's word on the receipt ends the lease. A refusal of another kind is none: a role or a key
                // that is being changed is settled well before the lease is over.
                Ok(Err(e @ QueueError::Backend { .. }))
                    if Instant::now() + RETRY_PAUSE < give_up =>
                {
                    tracing::warn!(error = %e, "could not extend a lease, trying again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                Ok(Err(e)) => {
                    tracing::warn!(error = %e, "a lease is lost");
                    return;
                }
                Err(_) => {
                    tracing::warn!("a lease is lost: the queue did not answer in time");
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_queue::{NewMessage, Receive, SqliteQueue, SqliteQueueOptions};

    const VISIBILITY: Duration = Duration::from_secs(6);

    async fn one_message(queue: &SqliteQueue) -> Receipt {
        let message = NewMessage { group: "g".into(), dedup_id: "d".into(), body: "b".into() };
        queue.send(&[message]).await.unwrap();
        let request = Receive { max: 1, visibility: VISIBILITY, wait: Duration::ZERO };
        queue.receive(request).await.unwrap().remove(0).receipt
    }

    #[tokio::test]
    async fn a_lease_outlives_its_visibility_even_when_the_runtime_is_busy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.db");
        let queue = Arc::new(SqliteQueue::open(&path, "q", SqliteQueueOptions::new(5)).unwrap());
        let receipt = one_message(&queue).await;
        let heart = Heart::start().unwrap();
        let lease = Lease::hold(&heart, queue.clone(), receipt.clone(), VISIBILITY);
        // CPU work that never yields, on the only thread of this test's runtime.
        std::thread::sleep(VISIBILITY * 3 / 2);
        assert!(!lease.lost().is_cancelled());
        queue.delete(&receipt).await.unwrap();
    }

    #[tokio::test]
    async fn a_receipt_that_died_cancels_the_job() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.db");
        let queue = Arc::new(SqliteQueue::open(&path, "q", SqliteQueueOptions::new(5)).unwrap());
        let receipt = one_message(&queue).await;
        queue.release(&receipt).await.unwrap();
        let heart = Heart::start().unwrap();
        let lease = Lease::hold(&heart, queue, receipt, VISIBILITY);
        let lost = lease.lost().cancelled();
        tokio::time::timeout(Duration::from_secs(60), lost).await.unwrap();
    }
}
