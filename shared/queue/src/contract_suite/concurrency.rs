//! Many consumers at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::bench::{Bench, Probe};
use crate::contract::Receive;

const CONSUMERS: usize = 8;
const GROUPS: usize = 6;
const MESSAGES_OF_GROUP: usize = 15;
const ALL: usize = GROUPS * MESSAGES_OF_GROUP;

/// Longer than the check takes, so that no message comes twice.
const LEASE: Duration = Duration::from_secs(600);
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// What was received, as (group, body), in the order of receiving.
type Log = Arc<Mutex<Vec<(String, String)>>>;

pub(super) async fn many_consumers_get_each_message_once_and_in_order(bench: Bench) {
    let queue = bench.queue().await;
    let mut expected = BTreeMap::new();
    for group in 0..GROUPS {
        let group = format!("group-{group}");
        let bodies: Vec<String> =
            (0..MESSAGES_OF_GROUP).map(|n| format!("{group}-message-{n}")).collect();
        for part in bodies.chunks(10) {
            let batch: Vec<(&str, &str)> =
                part.iter().map(|body| (group.as_str(), body.as_str())).collect();
            queue.put(&batch).await;
        }
        expected.insert(group, bodies);
    }

    let log = Log::default();
    let consumers: Vec<_> = (0..CONSUMERS)
        .map(|n| tokio::spawn(consume(queue.clone(), n % 3 + 1, Arc::clone(&log))))
        .collect();
    for consumer in consumers {
        let ended = tokio::time::timeout(TIME_LIMIT, consumer).await;
        ended.expect("drained in time").expect("no consumer fails");
    }

    let log = log.lock().unwrap_or_else(PoisonError::into_inner);
    let mut got: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (group, body) in log.iter() {
        got.entry(group.clone()).or_default().push(body.clone());
    }
    assert_eq!(got, expected);
}

/// Receives and deletes until all messages are in the log.
async fn consume(queue: Probe, max: usize, log: Log) {
    let request = Receive { max, visibility: LEASE, wait: Duration::from_secs(1) };
    while logged(&log) < ALL {
        for one in queue.receive(request).await.expect("receive") {
            // Before the delete: until then nobody else can receive of this group.
            log.lock().unwrap_or_else(PoisonError::into_inner).push((one.group, one.body));
            queue.delete(&one.receipt).await.expect("delete");
        }
    }
}

fn logged(log: &Log) -> usize {
    log.lock().unwrap_or_else(PoisonError::into_inner).len()
}
