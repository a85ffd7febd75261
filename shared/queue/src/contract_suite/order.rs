//! Order within a group, and groups that stay out of each other's way.

use super::bench::{Bench, bodies, message};

pub(super) async fn a_group_is_delivered_in_the_order_sent(bench: Bench) {
    let queue = bench.queue().await;
    queue.put(&[("g", "1"), ("g", "2"), ("g", "3")]).await;
    queue.put(&[("g", "4"), ("g", "5")]).await;
    for body in ["1", "2", "3", "4", "5"] {
        let one = queue.take_one(body).await;
        assert_eq!(one.group, "g");
        queue.delete(&one.receipt).await.expect("delete");
    }
    queue.assert_silent().await;
}

pub(super) async fn a_group_in_flight_yields_nothing_more(bench: Bench) {
    let queue = bench.queue().await;
    queue.put(&[("a", "a1"), ("a", "a2"), ("b", "b1")]).await;
    let first = queue.take_one("a1").await;
    let other = queue.take(10).await;
    assert_eq!(bodies(&other), ["b1"], "only the free group");
    queue.assert_silent().await;
    queue.delete(&first.receipt).await.expect("delete");
    queue.take_one("a2").await;
}

pub(super) async fn one_receive_may_return_several_of_a_group(bench: Bench) {
    let queue = bench.queue().await;
    let sent = ["1", "2", "3"];
    queue.put(&sent.map(|body| ("g", body))).await;
    let mut got = Vec::new();
    while got.len() < sent.len() {
        let batch = queue.take(10).await;
        assert!(!batch.is_empty(), "after {got:?}");
        // Whatever the batch holds, it blocks the group until all of it is settled.
        for one in batch {
            queue.assert_silent().await;
            got.push(one.body);
            queue.delete(&one.receipt).await.expect("delete");
        }
    }
    assert_eq!(got, sent);
}

pub(super) async fn releasing_the_first_of_several_keeps_the_order(bench: Bench) {
    let queue = bench.queue().await;
    queue.put(&[("g", "1"), ("g", "2"), ("g", "3")]).await;
    let batch = queue.take(2).await;
    assert_eq!(bodies(&batch), ["1", "2"]);
    queue.release(&batch[0].receipt).await.expect("release");
    // 2 is still in flight: neither 1 nor 3 may overtake it.
    queue.assert_silent().await;
    queue.delete(&batch[1].receipt).await.expect("delete");
    let again = queue.take_one("1").await;
    queue.delete(&again.receipt).await.expect("delete");
    queue.take_one("3").await;
}

pub(super) async fn a_long_group_does_not_starve_a_later_one(bench: Bench) {
    let queue = bench.queue().await;
    let long: Vec<String> = (0..20).map(|n| format!("long-{n}")).collect();
    for part in long.chunks(10) {
        let batch: Vec<(&str, &str)> = part.iter().map(|body| ("long", body.as_str())).collect();
        queue.put(&batch).await;
    }
    queue.put(&[("short", "short-0")]).await;
    queue.take_one("long-0").await;
    queue.take_one("short-0").await;
}

pub(super) async fn a_batch_without_order_is_delivered_whole(bench: Bench) {
    let queue = bench.queue().await;
    let batch: Vec<_> = (0..10)
        .map(|n: u32| message(&format!("g{}", n % 3), &format!("{n}"), &format!("{n}")))
        .collect();
    for _ in 0..2 {
        let sent = queue.send_unordered(&batch).await.expect("send");
        assert_eq!(sent.len(), batch.len(), "one answer for each message");
    }
    let mut got = Vec::new();
    while got.len() < batch.len() {
        let received = queue.take(10).await;
        assert!(!received.is_empty(), "after {got:?}");
        for one in received {
            queue.delete(&one.receipt).await.expect("delete");
            got.push(one.body);
        }
    }
    got.sort();
    let expected: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    assert_eq!(got, expected);
    queue.assert_silent().await;
}
