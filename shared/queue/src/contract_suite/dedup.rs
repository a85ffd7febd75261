//! Deduplication: five minutes, by group, whatever became of the first message.

use std::time::Duration;

use super::bench::{Bench, message};
use crate::limits::DEDUP_WINDOW;

pub(super) async fn a_duplicate_is_accepted_and_not_delivered(bench: Bench) {
    let queue = bench.queue().await;
    for body in ["first", "again"] {
        let sent = queue.send(&[message("g", "same", body)]).await;
        assert_eq!(sent.expect("accepted").len(), 1);
    }
    let first = queue.take_one("first").await;
    queue.delete(&first.receipt).await.expect("delete");
    queue.assert_silent().await;
}

pub(super) async fn duplicates_are_reported(bench: Bench) {
    let queue = bench.queue().await;
    let batch = [message("g", "same", "body")];
    let first = queue.send(&batch).await.expect("send");
    let again = queue.send(&batch).await.expect("send");
    assert!(!first[0].duplicate);
    assert!(again[0].duplicate);
    assert_eq!(first[0].id, again[0].id);
}

pub(super) async fn a_duplicate_in_one_batch_is_not_delivered(bench: Bench) {
    let queue = bench.queue().await;
    let batch = [message("g", "same", "1"), message("g", "same", "2"), message("g", "other", "3")];
    assert_eq!(queue.send(&batch).await.expect("send").len(), 3);
    for body in ["1", "3"] {
        let one = queue.take_one(body).await;
        queue.delete(&one.receipt).await.expect("delete");
    }
    queue.assert_silent().await;
}

pub(super) async fn deduplication_is_per_group(bench: Bench) {
    let queue = bench.queue().await;
    let batch = [message("a", "same", "in a"), message("b", "same", "in b")];
    queue.send(&batch).await.expect("send");
    queue.take_one("in a").await;
    queue.take_one("in b").await;
}

pub(super) async fn deduplication_outlives_the_message(bench: Bench) {
    let queue = bench.queue().await;
    let batch = [message("g", "same", "body")];
    queue.send(&batch).await.expect("send");
    let one = queue.take_one("body").await;
    queue.delete(&one.receipt).await.expect("delete");
    queue.send(&batch).await.expect("send");
    queue.assert_silent().await;
}

pub(super) async fn deduplication_ends_after_five_minutes(bench: Bench) {
    let queue = bench.queue().await;
    let nearly = DEDUP_WINDOW - Duration::from_secs(10);
    queue.send(&[message("g", "same", "1")]).await.expect("send");
    bench.pass(nearly).await;
    queue.send(&[message("g", "same", "2")]).await.expect("send");
    bench.pass(Duration::from_secs(11)).await;
    // Counted from the first: the duplicate in between has not prolonged the window.
    queue.send(&[message("g", "same", "3")]).await.expect("send");
    for body in ["1", "3"] {
        let one = queue.take_one(body).await;
        queue.delete(&one.receipt).await.expect("delete");
    }
    queue.assert_silent().await;
}
