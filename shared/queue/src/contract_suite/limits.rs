//! Waiting, and what is refused.

use std::time::{Duration, Instant};

use super::bench::{Bench, assert_invalid, message};
use crate::contract::Receive;
use crate::error::QueueError;
use crate::limits::{MAX_BATCH, MAX_BODY_BYTES, MAX_NAME_BYTES, MAX_VISIBILITY, MAX_WAIT};

pub(super) async fn an_empty_receive_waits_and_returns_empty(bench: Bench) {
    let queue = bench.queue().await;
    let wait = Duration::from_secs(1);
    let request = Receive { max: 1, visibility: bench.lease(), wait };
    let started = Instant::now();
    let received = queue.receive(request).await.expect("receive");
    let waited = started.elapsed();
    assert!(received.is_empty());
    // A server's clock may be a little ahead of ours.
    assert!(waited >= wait * 9 / 10, "only {waited:?}");
    assert!(waited < wait * 10, "{waited:?}");
}

pub(super) async fn a_waiting_receive_wakes_for_a_message(bench: Bench) {
    let queue = bench.queue().await;
    let request = Receive { max: 1, visibility: bench.lease(), wait: MAX_WAIT };
    let started = Instant::now();
    let waiting = queue.clone();
    let receiver = tokio::spawn(async move { waiting.receive(request).await });
    queue.put(&[("g", "1")]).await;
    let received = receiver.await.expect("the receiver lives");
    assert_eq!(received.expect("receive").len(), 1);
    assert!(started.elapsed() < MAX_WAIT / 2, "it did not wake");
}

pub(super) async fn a_receive_that_is_dropped_loses_nothing(bench: Bench) {
    let queue = bench.queue().await;
    let request = Receive { max: 1, visibility: bench.lease(), wait: MAX_WAIT };
    begin_and_drop(queue.receive(request)).await;
    queue.put(&[("g", "1")]).await;
    // It is given back, or comes back when its lease would have ended.
    let patience = Receive { wait: MAX_WAIT, ..request };
    let mut received = queue.receive(patience).await.expect("receive");
    if received.is_empty() {
        bench.pass(bench.lease()).await;
        received = queue.receive(patience).await.expect("receive");
    }
    assert_eq!(received.len(), 1, "the message is lost");
}

pub(super) async fn a_closed_queue_has_leased_nothing_to_nobody(bench: Bench) {
    let queue = bench.queue().await;
    // Nobody here waits for the end of such a lease.
    let visibility = MAX_VISIBILITY / 12;
    let request = Receive { max: 1, visibility, wait: Duration::from_secs(3) };
    begin_and_drop(queue.receive(request)).await;
    queue.put(&[("g", "1")]).await;
    queue.close().await;
    let patience = Receive { wait: MAX_WAIT, ..request };
    let received = queue.receive(patience).await.expect("receive");
    assert_eq!(received.len(), 1, "the message is leased to nobody");
}

/// Drops it while it waits; it has begun.
async fn begin_and_drop(receiving: impl Future) {
    let waited = tokio::time::timeout(Duration::ZERO, receiving).await;
    assert!(waited.is_err(), "it did not wait");
}

pub(super) async fn batches_are_limited(bench: Bench) {
    let queue = bench.queue().await;
    assert!(queue.send(&[]).await.expect("nothing to send").is_empty());
    let mut batch: Vec<_> = (0..=MAX_BATCH).map(|n| message("g", &n.to_string(), "body")).collect();
    assert_invalid(queue.send(&batch).await);
    queue.assert_silent().await;
    batch.truncate(MAX_BATCH);
    let sent = queue.send(&batch).await.expect("a full batch");
    assert_eq!(sent.len(), MAX_BATCH);

    let good = Receive { max: 1, visibility: bench.lease(), wait: Duration::ZERO };
    let second = Duration::from_secs(1);
    let bad = [
        Receive { max: 0, ..good },
        Receive { max: MAX_BATCH + 1, ..good },
        Receive { visibility: Duration::ZERO, ..good },
        Receive { visibility: MAX_VISIBILITY + second, ..good },
        Receive { wait: MAX_WAIT + second, ..good },
    ];
    for request in bad {
        assert_invalid(queue.receive(request).await);
    }
}

pub(super) async fn names_are_limited(bench: Bench) {
    let queue = bench.queue().await;
    let longest = "x".repeat(MAX_NAME_BYTES);
    let fits = [message(&longest, &longest, "longest")];
    queue.send(&fits).await.expect("the longest names");
    assert_eq!(queue.take_one("longest").await.group, longest);
    let too_long = "x".repeat(MAX_NAME_BYTES + 1);
    for name in ["", "with space", "größe", too_long.as_str()] {
        assert_invalid(queue.send(&[message(name, "d", "body")]).await);
        assert_invalid(queue.send(&[message("g", name, "body")]).await);
    }
}

pub(super) async fn bodies_are_limited(bench: Bench) {
    let queue = bench.queue().await;
    assert_invalid(queue.send(&[message("g", "empty", "")]).await);
    assert_invalid(queue.send(&[message("g", "control", "\u{1}")]).await);
    let over = "x".repeat(MAX_BODY_BYTES + 1);
    // One bad message refuses the batch, the good one before it included.
    let batch = [message("g", "good", "good"), message("g", "over", &over)];
    match queue.send(&batch).await {
        Err(QueueError::TooLarge { bytes, limit, .. }) => {
            assert_eq!((bytes, limit), (MAX_BODY_BYTES + 1, MAX_BODY_BYTES));
        }
        other => panic!("should be too large: {other:?}"),
    }
    queue.assert_silent().await;
}

pub(super) async fn the_largest_body_comes_back_whole(bench: Bench) {
    let queue = bench.queue().await;
    let body = "ä".repeat(MAX_BODY_BYTES / 2);
    let batch = [message("g", "largest", &body)];
    queue.send(&batch).await.expect("the largest body");
    let received = queue.take(1).await;
    assert_eq!(received.len(), 1);
    assert!(received[0].body == body, "the body has changed");
}
