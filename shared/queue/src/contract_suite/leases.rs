//! Leases and receipts: when a message comes back, and who may settle it.

use std::time::Duration;

use super::bench::{Bench, assert_invalid, assert_receipt_dead};
use crate::error::QueueError;
use crate::limits::MAX_VISIBILITY;

pub(super) async fn a_lease_that_runs_out_redelivers(bench: Bench) {
    let queue = bench.queue().await;
    queue.put(&[("g", "1"), ("g", "2")]).await;
    let first = queue.take_one("1").await;
    assert_eq!(first.receive_count, 1);
    queue.assert_silent().await;
    bench.pass(bench.lease()).await;
    let again = queue.take_one("1").await;
    assert_eq!(again.receive_count, 2);
    assert_eq!(again.id, first.id);
    assert_ne!(again.receipt, first.receipt);
    queue.delete(&again.receipt).await.expect("delete");
    queue.take_one("2").await;
}

pub(super) async fn an_extended_lease_lasts_from_the_extension(bench: Bench) {
    let queue = bench.queue().await;
    queue.put(&[("g", "1")]).await;
    let first = queue.take_one("1").await;
    let most_of_it = bench.lease() * 2 / 3;
    bench.pass(most_of_it).await;
    let extended = queue.extend(&first.receipt, bench.lease()).await;
    extended.expect("extend");
    bench.pass(most_of_it).await;
    queue.assert_silent().await;
    bench.pass(most_of_it).await;
    let again = queue.take_one("1").await;
    assert_eq!(again.receive_count, 2);
}

pub(super) async fn an_extension_may_shorten_and_delays_a_retry(bench: Bench) {
    let queue = bench.queue().await;
    queue.put(&[("g", "1"), ("g", "2")]).await;
    let long = queue.take_for(1, Duration::from_secs(3600)).await;
    let shortened = queue.extend(&long[0].receipt, bench.lease()).await;
    shortened.expect("extend");
    queue.assert_silent().await;
    bench.pass(bench.lease()).await;
    queue.take_one("1").await;
}

pub(super) async fn an_extension_by_zero_releases(bench: Bench) {
    let queue = bench.queue().await;
    queue.put(&[("g", "1")]).await;
    let first = queue.take_one("1").await;
    let released = queue.extend(&first.receipt, Duration::ZERO).await;
    released.expect("extend by zero");
    queue.take_one("1").await;
}

pub(super) async fn a_released_message_is_visible_at_once(bench: Bench) {
    let queue = bench.queue().await;
    queue.put(&[("g", "1"), ("g", "2")]).await;
    let first = queue.take_one("1").await;
    queue.release(&first.receipt).await.expect("release");
    let again = queue.take_one("1").await;
    assert_eq!(again.receive_count, 2, "a release costs its receive");
}

pub(super) async fn each_receive_is_counted(bench: Bench) {
    let queue = bench.queue().await;
    let sent_at_ms = bench.now_ms();
    queue.put(&[("g", "1")]).await;
    bench.pass(Duration::from_millis(1_500)).await;
    let first = queue.take_one("1").await;
    queue.release(&first.receipt).await.expect("release");
    for receive_count in 2..=4 {
        bench.pass(Duration::from_millis(10)).await;
        let again = queue.take_one("1").await;
        assert_eq!(again.receive_count, receive_count);
        assert_eq!(again.sent_at_ms, first.sent_at_ms);
        assert_eq!(again.first_received_at_ms, first.first_received_at_ms);
        queue.release(&again.receipt).await.expect("release");
    }
    assert!(first.first_received_at_ms > first.sent_at_ms);
    if let Some(sent_at_ms) = sent_at_ms {
        assert_eq!(first.sent_at_ms, sent_at_ms);
        assert_eq!(first.first_received_at_ms, sent_at_ms + 1_500);
    }
}

pub(super) async fn an_expired_receipt_is_dead(bench: Bench) {
    let queue = bench.queue().await;
    queue.put(&[("g", "1")]).await;
    let first = queue.take_one("1").await;
    bench.pass(bench.lease()).await;
    // Nobody has received it since: the lease alone decides.
    assert_receipt_dead(queue.extend(&first.receipt, bench.lease()).await);
    assert_receipt_dead(queue.release(&first.receipt).await);
    assert_receipt_dead(queue.delete(&first.receipt).await);
    queue.take_one("1").await;
}

pub(super) async fn an_earlier_receipt_is_dead(bench: Bench) {
    let queue = bench.queue().await;
    queue.put(&[("g", "1"), ("g", "2")]).await;
    let first = queue.take_one("1").await;
    queue.release(&first.receipt).await.expect("release");
    let second = queue.take_one("1").await;
    assert_receipt_dead(queue.delete(&first.receipt).await);
    assert_receipt_dead(queue.release(&first.receipt).await);
    assert_receipt_dead(queue.extend(&first.receipt, bench.lease()).await);
    queue.assert_silent().await;
    queue.delete(&second.receipt).await.expect("delete");
    queue.take_one("2").await;
}

pub(super) async fn a_deleted_message_stays_deleted(bench: Bench) {
    let queue = bench.queue().await;
    queue.put(&[("g", "1")]).await;
    let first = queue.take_one("1").await;
    queue.delete(&first.receipt).await.expect("delete");
    // Backends answer a second delete with either; the message is gone.
    let second = queue.delete(&first.receipt).await;
    assert!(matches!(second, Ok(()) | Err(QueueError::ReceiptExpired { .. })));
    assert_receipt_dead(queue.extend(&first.receipt, bench.lease()).await);
    bench.pass(bench.lease()).await;
    queue.assert_silent().await;
}

pub(super) async fn a_lease_ends_within_twelve_hours(bench: Bench) {
    let queue = bench.queue().await;
    queue.put(&[("g", "1")]).await;
    let one = queue.take_one("1").await;
    let over = MAX_VISIBILITY + Duration::from_secs(1);
    assert_invalid(queue.extend(&one.receipt, over).await);
    let used = Duration::from_secs(2);
    bench.pass(used).await;
    assert_invalid(queue.extend(&one.receipt, MAX_VISIBILITY).await);
    // A refused extension leaves the lease as it was; one within the ceiling is granted.
    let rest = MAX_VISIBILITY - used - Duration::from_secs(60);
    queue.extend(&one.receipt, rest).await.expect("extend");
    queue.delete(&one.receipt).await.expect("delete");
}
