//! What needs no service: how a queue is opened, and what is refused before anything is asked.

use super::link::Link;
use super::*;
use aws_sdk_sqs::config::{BehaviorVersion, Config, Region};
use feedfleet_queue::MAX_BATCH;

const URL: &str = "http://127.0.0.1:9/000000000000/crawl.fifo";
const OPTIONS: SqsOptions = SqsOptions { max_receives: 25, groups: GroupEstimate::EachItsOwn };

/// A link that leads to no service.
pub(super) fn nowhere() -> Link {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-north-1"))
        .build();
    Link {
        client: aws_sdk_sqs::Client::from_conf(config),
        label: "crawl".to_owned(),
        url: URL.to_owned(),
        dead_url: URL.to_owned(),
        max_receives: 25,
    }
}

async fn queue() -> SqsQueue {
    let aws = Aws::load(Some("eu-north-1".to_owned())).await;
    SqsQueue::open(&aws, "crawl", URL, URL, OPTIONS).unwrap()
}

#[tokio::test]
async fn a_queue_is_opened_and_dropped_without_a_service() {
    let queue = queue().await;
    assert!(format!("{queue:?}").contains("crawl at http://"));
    drop(queue);
    let aws = Aws::load(Some("eu-north-1".to_owned())).await;
    let refused = SqsOptions { max_receives: 0, ..OPTIONS };
    assert!(SqsQueue::open(&aws, "crawl", URL, URL, refused).is_err());
}

#[tokio::test]
async fn what_the_contract_refuses_is_refused_before_any_call() {
    let queue = queue().await;
    assert!(queue.send(&[]).await.unwrap().is_empty());
    let message = NewMessage { group: "g".into(), dedup_id: "d".into(), body: "b".into() };
    let too_many = vec![message.clone(); MAX_BATCH + 1];
    let refused = |outcome: Result<Vec<Sent>, QueueError>| {
        assert!(matches!(outcome, Err(QueueError::Invalid { .. })), "{outcome:?}");
    };
    refused(queue.send(&too_many).await);
    refused(queue.send_unordered(&too_many).await);
    let spaced = NewMessage { group: "a b".into(), ..message };
    refused(queue.send(&[spaced]).await);
    let nothing = Receive { max: 0, visibility: Duration::from_secs(1), wait: Duration::ZERO };
    assert!(matches!(queue.receive(nothing).await, Err(QueueError::Invalid { .. })));
}

#[tokio::test]
async fn a_receipt_of_another_handle_cannot_be_copied_to_the_dead_letters() {
    let outcome = queue().await.dead_letter(&Receipt::new("foreign"), "why").await;
    assert!(outcome.is_err_and(|error| error.is_receipt_expired()));
}
