//! Dead letters: after too many receives, and by hand.

use std::time::Duration;

use super::bench::{Bench, assert_receipt_dead};

pub(super) async fn a_message_received_too_often_is_dead(bench: Bench) {
    let queue = bench.queue_dying_after(2).await;
    queue.put(&[("g", "poison"), ("g", "next")]).await;
    let mut sent_at_ms = 0;
    for _ in 0..2 {
        let one = queue.take_one("poison").await;
        sent_at_ms = one.sent_at_ms;
        queue.release(&one.receipt).await.expect("release");
    }
    let next = queue.take_one("next").await;
    assert_eq!(next.receive_count, 1, "the group goes on");
    let dead = queue.dead(10).await.expect("dead");
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].body, "poison");
    assert_eq!(dead[0].group, "g");
    assert_eq!(dead[0].receive_count, 2);
    assert!(!dead[0].reason.is_empty(), "a dead letter says why");
    assert!(dead[0].died_at_ms >= dead[0].sent_at_ms);
    // Either the time of sending is kept, or it is given as the time of death.
    let given = dead[0].sent_at_ms;
    assert!(given == sent_at_ms || given == dead[0].died_at_ms);
}

pub(super) async fn a_message_can_be_dead_lettered_with_a_reason(bench: Bench) {
    let queue = bench.queue().await;
    queue.put(&[("g", "unreadable"), ("g", "next")]).await;
    let one = queue.take_one("unreadable").await;
    let buried = queue.dead_letter(&one.receipt, "not a job of ours").await;
    buried.expect("dead-letter");
    assert_receipt_dead(queue.extend(&one.receipt, bench.lease()).await);
    queue.take_one("next").await;

    let dead = queue.dead(10).await.expect("dead");
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].body, "unreadable");
    assert_eq!(dead[0].group, "g");
    assert_eq!(dead[0].reason, "not a job of ours");
    assert_eq!(dead[0].receive_count, 1);

    let id = &dead[0].id;
    assert!(queue.forget_dead(id).await.expect("forget"));
    assert!(!queue.forget_dead(id).await.expect("forget"), "only once");
    assert!(queue.dead(10).await.expect("dead").is_empty());
}

pub(super) async fn the_longest_dead_come_first(bench: Bench) {
    let queue = bench.queue().await;
    queue.put(&[("a", "1"), ("b", "2"), ("c", "3")]).await;
    let one = queue.take_one("1").await;
    let two = queue.take_one("2").await;
    let three = queue.take_one("3").await;
    for dying in [&two, &three, &one] {
        let buried = queue.dead_letter(&dying.receipt, "a test").await;
        buried.expect("dead-letter");
        bench.pass(Duration::from_millis(20)).await;
    }
    let dead = queue.dead(2).await.expect("dead");
    let bodies: Vec<&str> = dead.iter().map(|letter| letter.body.as_str()).collect();
    assert_eq!(bodies, ["2", "3"]);

    // Those of the last look can be forgotten; then a look comes to the others.
    for letter in &dead {
        assert!(queue.forget_dead(&letter.id).await.expect("forget"));
    }
    let dead = queue.dead(2).await.expect("dead");
    let bodies: Vec<&str> = dead.iter().map(|letter| letter.body.as_str()).collect();
    assert_eq!(bodies, ["1"]);
}

pub(super) async fn a_dead_receipt_dead_letters_nothing(bench: Bench) {
    let queue = bench.queue().await;
    queue.put(&[("g", "1")]).await;
    let one = queue.take_one("1").await;
    bench.pass(bench.lease()).await;
    assert_receipt_dead(queue.dead_letter(&one.receipt, "too late").await);
    assert!(queue.dead(10).await.expect("dead").is_empty());
    queue.take_one("1").await;
}
