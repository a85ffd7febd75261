//! What a fleet of workers does with a queue besides the work itself: receive, lease, acknowledge.

use feedfleet_queue::{NewMessage, Queue, Receive};
use feedfleet_worker::lease::{Heart, Lease};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// As the configuration has it by default.
const VISIBILITY: Duration = Duration::from_secs(120);
/// A message at a time, as workers take them.
const REQUEST: Receive = Receive { max: 1, visibility: VISIBILITY, wait: Duration::from_secs(1) };
/// About as long as a job.
const BODY_BYTES: usize = 300;

/// A queue that was emptied.
#[derive(Debug)]
pub struct Drained {
    /// From the first receive to the last acknowledgement.
    pub time: Duration,
    /// The bodies in the order in which they were received.
    pub bodies: Vec<String>,
}

/// Sends so many messages, each with a body of its own, to so many groups in turn.
pub async fn fill(queue: &dyn Queue, messages: usize, groups: usize) {
    let all: Vec<usize> = (0..messages).collect();
    for part in all.chunks(feedfleet_queue::MAX_BATCH) {
        let batch: Vec<NewMessage> = part
            .iter()
            .map(|number| NewMessage {
                group: format!("group-{}", number % groups),
                dedup_id: number.to_string(),
                body: format!("{number:x<BODY_BYTES$}"),
            })
            .collect();
        queue.send(&batch).await.expect("the queue takes messages");
    }
}

/// Empties a queue of `messages` messages with a worker for each of these handles on it.
pub async fn drain(handles: Vec<Arc<dyn Queue>>, messages: usize) -> Drained {
    let shared = Arc::new(Shared {
        left: AtomicUsize::new(messages),
        bodies: Mutex::default(),
        done: Notify::new(),
    });
    let hearts: Vec<Heart> =
        handles.iter().map(|_| Heart::start().expect("a thread can be started")).collect();
    let began = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for (queue, heart) in handles.into_iter().zip(hearts) {
        workers.spawn(work(queue, heart, Arc::clone(&shared)));
    }
    tokio::select! {
        () = shared.done.notified() => {}
        // Workers end only by a failure.
        ended = workers.join_next() => panic!("a worker has ended: {ended:?}"),
    }
    let time = began.elapsed();
    workers.shutdown().await;
    let bodies = std::mem::take(&mut *shared.bodies.lock().unwrap_or_else(PoisonError::into_inner));
    Drained { time, bodies }
}

struct Shared {
    left: AtomicUsize,
    bodies: Mutex<Vec<String>>,
    done: Notify,
}

async fn work(queue: Arc<dyn Queue>, heart: Heart, shared: Arc<Shared>) {
    loop {
        for message in queue.receive(REQUEST).await.expect("the queue gives messages") {
            let lease =
                Lease::hold(&heart, Arc::clone(&queue), message.receipt.clone(), VISIBILITY);
            shared.bodies.lock().unwrap_or_else(PoisonError::into_inner).push(message.body);
            queue.delete(&message.receipt).await.expect("the lease is held");
            drop(lease);
            if shared.left.fetch_sub(1, Ordering::SeqCst) == 1 {
                shared.done.notify_one();
            }
        }
    }
}
