//! The worker's process: receives while it has free slots, until it is told to stop; then drains.

use crate::deps::Deps;
use crate::executor;
use crate::instance::Machine;
use crate::lease::Heart;
use crate::status::StatusBoard;
use feedfleet_config::QueueBackend;
use feedfleet_queue::{Queue, Receive};
use futures::future::BoxFuture;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long one receive waits for a message, on a queue that costs nothing to ask.
const POLL_WAIT: Duration = Duration::from_secs(2);
/// The same, where each receive is paid for. A worker that stops while it has nothing in hand is there for so long.
const PAID_POLL_WAIT: Duration = Duration::from_secs(10);
/// Pause after a receive that failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// Works until `shutdown`, or until its machine says that it has to go: then receives nothing more, asks the jobs in
/// hand to stop, and returns when they have settled their messages.
///
/// In a box, so that all of it is compiled with this crate, and not by each that waits for it.
pub fn run(deps: Deps, shutdown: CancellationToken) -> BoxFuture<'static, io::Result<()>> {
    Box::pin(work(deps, shutdown))
}

async fn work(deps: Deps, shutdown: CancellationToken) -> io::Result<()> {
    let heart = Arc::new(Heart::start()?);
    let board = Arc::new(StatusBoard::new(&deps));
    let beacon = tokio::spawn(board.clone().publish(deps.clone(), shutdown.clone()));
    let machine = deps.instance.clone().map(|instance| Machine::watch(instance, &board, &shutdown));
    let workers = &deps.fleet.workers;
    let crawl = Line {
        name: "crawl",
        queue: deps.queues.crawl.clone(),
        slots: workers.crawl_slots,
        hold: machine.as_ref().map(Machine::hold),
    };
    let image = Line {
        name: "image",
        queue: deps.queues.image.clone(),
        slots: workers.image_slots,
        hold: None,
    };
    tracing::info!(worker = %deps.worker, crawl_slots = crawl.slots, image_slots = image.slots, "worker started");
    tokio::join!(
        crawl.consume(&deps, &heart, &board, &shutdown),
        image.consume(&deps, &heart, &board, &shutdown),
    );
    tokio::join!(crawl.queue.close(), image.queue.close());
    beacon.await.ok();
    if let Some(machine) = machine {
        machine.leave().await;
    }
    tracing::info!(worker = %deps.worker, "worker stopped");
    Ok(())
}

/// One queue, and how many of its jobs the worker does at once.
struct Line {
    name: &'static str,
    queue: Arc<dyn Queue>,
    slots: usize,
    /// While true, no new job is begun.
    hold: Option<watch::Receiver<bool>>,
}

impl Line {
    async fn consume(
        &self,
        deps: &Deps,
        heart: &Arc<Heart>,
        board: &Arc<StatusBoard>,
        shutdown: &CancellationToken,
    ) {
        let slots = Arc::new(Semaphore::new(self.slots));
        let mut jobs = JoinSet::new();
        let wait = match deps.fleet.queue.backend {
            QueueBackend::Sqlite { .. } => POLL_WAIT,
            QueueBackend::Sqs { .. } => PAID_POLL_WAIT,
        };
        while self.slots > 0 && !shutdown.is_cancelled() {
            let permit = tokio::select! {
                permit = slots.clone().acquire_owned() => permit,
                () = shutdown.cancelled() => break,
            };
            if let Some(mut hold) = self.hold.clone() {
                tokio::select! {
                    // An error: nobody is watching any more, because it is time to stop.
                    _ = hold.wait_for(|held| !*held) => {}
                    () = shutdown.cancelled() => break,
                }
            }
            let request = Receive { max: 1, visibility: deps.fleet.leases.visibility, wait };
            // In this order: a receive that is begun only to be dropped may cost a message a receive.
            let received = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = self.held() => continue,
                received = self.queue.receive(request) => received,
            };
            match received {
                Ok(messages) => {
                    if let Some(message) = messages.into_iter().next() {
                        let (deps, heart, board) = (deps.clone(), heart.clone(), board.clone());
                        let (queue, interrupt) = (self.queue.clone(), shutdown.clone());
                        jobs.spawn(async move {
                            let busy = board.busy(&message.group);
                            executor::execute(&deps, &heart, queue, message, interrupt).await;
                            drop(busy);
                            drop(permit);
                        });
                    }
                }
                Err(e) => {
                    tracing::warn!(error = %e, "could not receive");
                    tokio::select! {
                        () = tokio::time::sleep(FAILURE_PAUSE) => {}
                        () = shutdown.cancelled() => break,
                    }
                }
            }
            // Ended jobs are taken out, so that the set does not grow.
            while jobs.try_join_next().is_some() {}
        }
        // Those too that ended during the last receive: they are in nobody's hands.
        while jobs.try_join_next().is_some() {}
        tracing::info!(worker = %deps.worker, queue = self.name, in_hand = jobs.len(), "receives no more");
        while jobs.join_next().await.is_some() {}
    }

    /// Returns when no new job is to be begun; never, where none is held.
    async fn held(&self) {
        let Some(mut hold) = self.hold.clone() else { return std::future::pending().await };
        let is_held = hold.wait_for(|held| *held).await.is_ok();
        let is_watched = hold.has_changed().is_ok();
        if !(is_held && is_watched) {
            // Nobody will ever let go of it.
            std::future::pending::<()>().await;
        }
    }
}
