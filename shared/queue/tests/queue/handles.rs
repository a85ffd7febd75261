//! Several handles on one file, and handles that come and go.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use feedfleet_queue::{
    ManualClock, Queue, QueueError, Receive, Received, Sent, SqliteQueue, SqliteQueueOptions,
};

use super::{START_MS, message, open};

const LEASE: Duration = Duration::from_secs(30);

const NOW: Receive = Receive { max: 10, visibility: LEASE, wait: Duration::ZERO };

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(START_MS))
}

fn bodies(received: &[Received]) -> Vec<&str> {
    received.iter().map(|one| one.body.as_str()).collect()
}

#[tokio::test]
async fn two_handles_share_leases_and_receipts() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("queue.db");
    let clock = clock();
    let first = open(&path, "crawl", 5, &clock);
    let second = open(&path, "crawl", 5, &clock);
    let batch = [message("a", "a1"), message("a", "a2"), message("b", "b1")];
    first.send(&batch).await.expect("send");

    let one = Receive { max: 1, ..NOW };
    let by_second = second.receive(one).await.expect("receive");
    assert_eq!(bodies(&by_second), ["a1"]);
    let by_first = first.receive(NOW).await.expect("receive");
    assert_eq!(bodies(&by_first), ["b1"], "the other handle holds a");

    // A receipt is the queue's, not the handle's.
    let deleted = first.delete(&by_second[0].receipt).await;
    deleted.expect("delete");
    let next = second.receive(NOW).await.expect("receive");
    assert_eq!(bodies(&next), ["a2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn handles_that_open_one_new_file_at_once_all_succeed() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("queue.db");
    let openers: Vec<_> = (0..6)
        .map(|n| {
            let path = path.clone();
            tokio::task::spawn_blocking(move || {
                let name = format!("queue-{}", n % 2);
                SqliteQueue::open(&path, &name, SqliteQueueOptions::new(5))
            })
        })
        .collect();
    for opener in openers {
        let queue = opener.await.expect("no panic").expect("open");
        let counts = queue.counts().await.expect("counts");
        assert_eq!(counts.visible, 0);
    }
}

#[tokio::test]
async fn a_waiting_receive_sees_what_another_handle_sends() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("queue.db");
    let clock = clock();
    let receiver = open(&path, "crawl", 5, &clock);
    let sender = open(&path, "crawl", 5, &clock);
    let waiting = Receive { wait: Duration::from_secs(20), ..NOW };
    let batch = [message("g", "1")];
    let (received, sent) = tokio::join!(receiver.receive(waiting), sender.send(&batch));
    sent.expect("send");
    assert_eq!(bodies(&received.expect("receive")), ["1"]);
}

#[tokio::test]
async fn everything_survives_the_handle() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("queue.db");
    let clock = clock();
    let batch = [message("g", "dies"), message("g", "lives")];
    let receipt = {
        let queue = open(&path, "crawl", 5, &clock);
        queue.send(&batch).await.expect("send");
        let received = queue.receive(NOW).await.expect("receive");
        let buried = queue.dead_letter(&received[0].receipt, "a test").await;
        buried.expect("dead-letter");
        received[1].receipt.clone()
    };

    let queue = open(&path, "crawl", 5, &clock);
    let counts = queue.counts().await.expect("counts");
    assert_eq!((counts.in_flight, counts.visible, counts.dead), (1, 0, 1));
    let sent = queue.send(&batch).await.expect("send");
    assert!(sent.iter().all(|one| one.duplicate), "ids are remembered");
    queue.extend(&receipt, LEASE).await.expect("still leased");
    queue.release(&receipt).await.expect("release");
    let again = queue.receive(NOW).await.expect("receive");
    assert_eq!(bodies(&again), ["lives"]);
    assert_eq!(again[0].receive_count, 2);
    let dead = queue.dead(10).await.expect("dead");
    assert_eq!(dead[0].body, "dies");
}

/// Dead letters remember the ids of messages, and workers hold receipts: when a file was lost, they must not stand for
/// messages of the next.
#[tokio::test]
async fn ids_and_receipts_of_one_file_stand_for_nothing_in_another() {
    let dir = tempfile::tempdir().expect("tempdir");
    let (lost, next) = (dir.path().join("lost.db"), dir.path().join("next.db"));
    let clock = clock();
    let batch = [message("a", "dies"), message("b", "lives")];
    let mut before: Option<(Vec<Sent>, Vec<Received>)> = None;
    for path in [lost, next] {
        let queue = open(&path, "crawl", 5, &clock);
        let sent = queue.send(&batch).await.expect("send");
        let received = queue.receive(NOW).await.expect("receive");
        queue.dead_letter(&received[0].receipt, "a test").await.expect("dead-letter");
        let (sent_before, received_before) = before.unwrap_or_default();
        for one in sent_before {
            assert!(!queue.forget_dead(&one.id).await.expect("forget"), "{}", one.id);
        }
        for one in received_before {
            let deleted = queue.delete(&one.receipt).await;
            assert!(matches!(deleted, Err(QueueError::ReceiptExpired { .. })), "{deleted:?}");
        }
        let counts = queue.counts().await.expect("counts");
        assert_eq!((counts.in_flight, counts.dead), (1, 1));
        assert_eq!(queue.dead(10).await.expect("dead")[0].id, sent[0].id);
        before = Some((sent, received));
    }
}

#[tokio::test]
async fn queues_of_one_file_know_nothing_of_each_other() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("queue.db");
    let clock = clock();
    let crawl = open(&path, "crawl", 5, &clock);
    let image = open(&path, "image", 5, &clock);
    let batch = [message("g", "1")];
    let sent = crawl.send(&batch).await.expect("send");
    assert!(image.receive(NOW).await.expect("receive").is_empty());
    assert_eq!(image.counts().await.expect("counts").visible, 0);
    let same = image.send(&batch).await.expect("send");
    assert!(!same[0].duplicate, "deduplication is the queue's own");

    let received = crawl.receive(NOW).await.expect("receive");
    assert_eq!(received[0].id, sent[0].id);
    let foreign = image.delete(&received[0].receipt).await;
    assert!(matches!(foreign, Err(QueueError::ReceiptExpired { .. })));
    let buried = crawl.dead_letter(&received[0].receipt, "a test").await;
    buried.expect("dead-letter");
    assert!(image.dead(10).await.expect("dead").is_empty());
    assert!(!image.forget_dead(&sent[0].id).await.expect("forget"));
    assert!(crawl.forget_dead(&sent[0].id).await.expect("forget"));
}

#[tokio::test]
async fn an_abandoned_receive_gives_its_messages_back() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("queue.db");
    let queue = open(&path, "crawl", 5, &clock());
    queue.send(&[message("g", "1")]).await.expect("send");
    let abandoned = tokio::time::timeout(Duration::ZERO, queue.receive(NOW)).await;
    // The clock stands still: only a release can bring the message back.
    let waiting = Receive { wait: Duration::from_secs(20), ..NOW };
    match abandoned {
        Err(_) => {
            let received = queue.receive(waiting).await.expect("receive");
            assert_eq!(bodies(&received), ["1"]);
        }
        Ok(received) => assert_eq!(received.expect("receive").len(), 1, "it was faster"),
    }
}

/// A process that has closed its queue may end at once: its thread has given back what a dropped receive had leased.
#[tokio::test]
async fn after_close_nothing_is_leased_to_nobody() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("queue.db");
    let [queue, other] = [(); 2].map(|()| open(&path, "crawl", 1000, &clock()));
    queue.send(&[message("g", "1")]).await.expect("send");
    for time in 0..50 {
        let dropped = tokio::time::timeout(Duration::ZERO, queue.receive(NOW)).await;
        queue.close().await;
        let received = match dropped {
            Err(_) => other.receive(NOW).await.expect("receive"),
            Ok(received) => received.expect("receive"),
        };
        assert_eq!(bodies(&received), ["1"], "{time}");
        other.release(&received[0].receipt).await.expect("release");
    }
}

#[tokio::test]
async fn a_backlog_is_drained_fairly_across_groups() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("queue.db");
    let queue = open(&path, "image", 5, &clock());
    for n in 0..30 {
        let batch: Vec<_> = (0..10)
            .map(|group| message(&format!("host-{group}"), &format!("{group}-{n}")))
            .collect();
        queue.send(&batch).await.expect("send");
    }
    // Each host's first message, then nobody has a host twice while ten are held.
    let mut groups = Vec::new();
    for _ in 0..10 {
        let one = Receive { max: 1, ..NOW };
        let received = queue.receive(one).await.expect("receive");
        groups.extend(received.into_iter().map(|one| one.group));
    }
    let expected: Vec<String> = (0..10).map(|group| format!("host-{group}")).collect();
    assert_eq!(groups, expected);
    assert!(queue.receive(NOW).await.expect("receive").is_empty());
}

#[test]
fn what_cannot_be_opened_says_which_queue_and_file() {
    let dir = tempfile::tempdir().expect("tempdir");
    let no_folder = dir.path().join("missing").join("queue.db");
    let error = open_error(&no_folder, "crawl", 5);
    assert!(matches!(error, QueueError::Backend { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("crawl in ") && text.contains("queue.db"), "{text}");

    let not_a_database = dir.path().join("notes.txt");
    std::fs::write(&not_a_database, "no database, and long enough. ".repeat(100)).expect("write");
    let error = open_error(&not_a_database, "crawl", 5);
    assert!(matches!(error, QueueError::Backend { .. }), "{error:?}");
    assert!(!error.is_retryable());

    let path = dir.path().join("queue.db");
    let error = open_error(&path, "crawl", 0);
    assert!(matches!(error, QueueError::Invalid { .. }), "{error:?}");
    let error = open_error(&path, "two words", 5);
    assert!(matches!(error, QueueError::Invalid { .. }), "{error:?}");
}

fn open_error(path: &Path, name: &str, max_receives: u32) -> QueueError {
    let opened = SqliteQueue::open(path, name, SqliteQueueOptions::new(max_receives));
    opened.expect_err("it can't be opened")
}
