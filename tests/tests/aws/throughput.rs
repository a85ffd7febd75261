//! What the queue costs beside the work itself; `scripts/bench/queue` measures it beside a peer.

use feedfleet_queue::Queue;
use feedfleet_tests::aws::{Ministack, Queues, aws_at, drain};
use std::collections::BTreeSet;
use std::sync::Arc;

const MESSAGES: usize = 400;
const GROUPS: usize = 40;
const WORKERS: usize = 4;
/// Far below what any machine reaches: a pause in the path of each message would be seen.
const LEAST_PER_SECOND: f64 = 20.0;

/// Four workers, each with a handle of its own, take each message once and acknowledge it, without waiting for
/// anything but the queue.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_workers_empty_a_queue_at_pace() {
    let Some(ministack) = Ministack::start() else { return };
    let aws = aws_at(&ministack.url()).await;
    let pair = Queues::new(&aws).pair(5).await;
    let handles: Vec<Arc<dyn Queue>> =
        (0..WORKERS).map(|_| Arc::new(pair.open(&aws)) as Arc<dyn Queue>).collect();
    drain::fill(&*handles[0], MESSAGES, GROUPS).await;
    let drained = drain::drain(handles, MESSAGES).await;
    let different: BTreeSet<&String> = drained.bodies.iter().collect();
    assert_eq!((drained.bodies.len(), different.len()), (MESSAGES, MESSAGES));
    let per_second = MESSAGES as f64 / drained.time.as_secs_f64();
    println!("{per_second:.0} messages a second");
    assert!(per_second > LEAST_PER_SECOND, "only {per_second:.1} messages a second");
}
