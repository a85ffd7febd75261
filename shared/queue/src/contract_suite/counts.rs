//! Counts: visible, in flight, runnable groups, oldest age, dead.

use std::time::{Duration, Instant};

use super::bench::{Bench, Probe};
use crate::contract::Counts;

/// How late a service's counts may be, in real time; SQS says that they are right a minute after the last
/// change.
const LONGEST_LAG: Duration = Duration::from_secs(90);

pub(super) async fn counts_follow_the_messages(bench: Bench) {
    let queue = bench.queue().await;
    let empty = queue.counts().await.expect("counts");
    assert_eq!(empty, Counts::default());

    queue.put(&[("a", "a1"), ("a", "a2"), ("b", "b1")]).await;
    bench.pass(Duration::from_secs(1)).await;
    let sent = queue.counts().await.expect("counts");
    assert_eq!((sent.visible, sent.in_flight), (3, 0));
    assert_eq!(sent.runnable_groups, 2);
    let age = sent.oldest_age.expect("there are messages");
    assert!(age >= Duration::from_secs(1), "{age:?}");

    let one = queue.take_one("a1").await;
    let leased = queue.counts().await.expect("counts");
    assert_eq!((leased.visible, leased.in_flight), (2, 1));
    assert_eq!(leased.runnable_groups, 1, "a is blocked, a2 or not");

    bench.pass(bench.lease()).await;
    let expired = queue.counts().await.expect("counts");
    assert_eq!((expired.visible, expired.in_flight), (3, 0));
    assert_eq!(expired.runnable_groups, 2);

    let again = queue.take_one("a1").await;
    assert_ne!(again.receipt, one.receipt);
    let buried = queue.dead_letter(&again.receipt, "a test").await;
    buried.expect("dead-letter");
    for body in ["a2", "b1"] {
        let one = queue.take_one(body).await;
        queue.delete(&one.receipt).await.expect("delete");
    }
    let last = queue.counts().await.expect("counts");
    assert_eq!(last, Counts { dead: 1, ..Counts::default() });
}

pub(super) async fn counts_catch_up_with_the_messages(bench: Bench) {
    let queue = bench.queue().await;
    queue.put(&[("a", "a1"), ("a", "a2"), ("b", "b1")]).await;
    let sent = caught_up(&queue, (3, 0, 0)).await;
    let runnable = sent.runnable_groups;
    assert!((1..=3).contains(&runnable), "{runnable} groups of three messages");

    let one = queue.take_for(1, Duration::from_secs(3600)).await;
    caught_up(&queue, (2, 1, 0)).await;
    queue.dead_letter(&one[0].receipt, "a test").await.expect("dead-letter");
    caught_up(&queue, (2, 0, 1)).await;
}

/// The counts, once they show so many visible, in flight and dead.
async fn caught_up(queue: &Probe, expected: (u64, u64, u64)) -> Counts {
    let started = Instant::now();
    loop {
        let counts = queue.counts().await.expect("counts");
        if (counts.visible, counts.in_flight, counts.dead) == expected {
            return counts;
        }
        assert!(started.elapsed() < LONGEST_LAG, "{counts:?}, not {expected:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
