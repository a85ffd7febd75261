//! Sending: batches that SQS takes, in an order that no failure can change.
//!
//! SQS answers for each entry of a batch. If it refuses one and takes a later one of the same group, their
//! order is lost, and nothing brings it back. So messages of one group go in calls one after the other, each
//! only when the one before is stored; different groups share calls. Where the order within a batch is of no
//! interest ([`Order::Any`]) the whole batch is one call: requests are billed by 64 KiB of payload, so
//! one full call costs no more than any other way of sending it, and mostly less.

use super::failure::SqsFailure;
use super::link::Link;
use super::verbs;
use crate::error::AwsError;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use feedfleet_queue::{MessageId, NewMessage, Sent};
use std::collections::HashMap;
use tokio::time::sleep;

const CALL: &str = "SendMessageBatch";
/// Most payload of one call, in bytes.
const MAX_CALL_BYTES: usize = 1 << 20;

/// What the caller needs of the order in which a batch's messages are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Those of one group stay in their order.
    ByGroup,
    /// None.
    Any,
}

/// Stores the whole batch, or says why not. The batch keeps to the contract's limits.
pub(super) async fn send(
    link: &Link,
    batch: &[NewMessage],
    order: Order,
) -> Result<Vec<Sent>, SqsFailure> {
    let mut ids: Vec<Option<MessageId>> = vec![None; batch.len()];
    for call in plan(batch, order) {
        store(link, batch, call, &mut ids).await?;
    }
    let sent = |id: Option<MessageId>| id.map(|id| Sent { id, duplicate: false });
    let all: Option<Vec<Sent>> = ids.into_iter().map(sent).collect();
    all.ok_or_else(|| AwsError::strange_answer(CALL, "an entry was not answered").into())
}

/// The batch's messages, by index, in the calls that send them.
fn plan(batch: &[NewMessage], order: Order) -> Vec<Vec<usize>> {
    let mut waves: Vec<Vec<usize>> = Vec::new();
    let mut of_group: HashMap<&str, usize> = HashMap::new();
    for (index, message) in batch.iter().enumerate() {
        let wave = match order {
            Order::Any => 0,
            Order::ByGroup => {
                let before = of_group.entry(message.group.as_str()).or_default();
                *before += 1;
                *before - 1
            }
        };
        if waves.len() <= wave {
            waves.push(Vec::new());
        }
        waves[wave].push(index);
    }
    waves.into_iter().flat_map(|wave| within_bytes(batch, wave)).collect()
}

/// The wave in calls of at most [`MAX_CALL_BYTES`]; a single message is never longer.
fn within_bytes(batch: &[NewMessage], wave: Vec<usize>) -> Vec<Vec<usize>> {
    let mut calls = Vec::new();
    let mut call: Vec<usize> = Vec::new();
    let mut call_bytes = 0;
    for index in wave {
        let bytes = batch[index].body.len();
        if !call.is_empty() && call_bytes + bytes > MAX_CALL_BYTES {
            calls.push(std::mem::take(&mut call));
            call_bytes = 0;
        }
        call.push(index);
        call_bytes += bytes;
    }
    if !call.is_empty() {
        calls.push(call);
    }
    calls
}

/// Makes one call, again for those entries that may yet be taken, until SQS has all of them.
async fn store(
    link: &Link,
    batch: &[NewMessage],
    call: Vec<usize>,
    ids: &mut [Option<MessageId>],
) -> Result<(), SqsFailure> {
    let mut waiting = call;
    let mut pauses = verbs::SEND.pauses();
    loop {
        let failure: SqsFailure = match attempt(link, batch, &waiting, ids).await {
            Ok(None) => {
                waiting.retain(|index| ids[*index].is_none());
                if waiting.is_empty() {
                    return Ok(());
                }
                AwsError::strange_answer(CALL, "an entry was not answered").into()
            }
            Ok(Some(refused)) => {
                waiting.retain(|index| ids[*index].is_none());
                refused
            }
            Err(failed) => failed,
        };
        if !failure.is_passing() {
            return Err(failure);
        }
        let Some(pause) = pauses.next() else { return Err(failure) };
        tracing::debug!(queue = %link.label, error = %failure, "will send again");
        sleep(pause).await;
    }
}

/// One call. The ids of what was taken are noted; the worst refusal of an entry is returned.
async fn attempt(
    link: &Link,
    batch: &[NewMessage],
    waiting: &[usize],
    ids: &mut [Option<MessageId>],
) -> Result<Option<SqsFailure>, SqsFailure> {
    let mut call = link.client.send_message_batch().queue_url(&link.url);
    for index in waiting {
        call = call.entries(entry(*index, &batch[*index])?);
    }
    let answered = call
        .customize()
        .config_override(verbs::sending())
        .send()
        .await
        .map_err(|error| SqsFailure::of(CALL, &error))?;
    for taken in answered.successful() {
        if let Ok(index) = taken.id().parse::<usize>()
            && let Some(id) = ids.get_mut(index)
        {
            *id = Some(MessageId::new(taken.message_id()));
        }
    }
    let refusals = answered.failed().iter().map(|entry| SqsFailure::of_entry(CALL, entry));
    // One that lasts decides: there is no use in waiting for the others.
    Ok(refusals.min_by_key(SqsFailure::is_passing))
}

fn entry(index: usize, message: &NewMessage) -> Result<SendMessageBatchRequestEntry, SqsFailure> {
    SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_group_id(&message.group)
        .message_deduplication_id(&message.dedup_id)
        .message_body(&message.body)
        .build()
        .map_err(|error| AwsError::never_sent(CALL, error.to_string()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(groups: &[&str], body_bytes: usize) -> Vec<NewMessage> {
        let message = |(index, group): (usize, &&str)| NewMessage {
            group: (*group).to_owned(),
            dedup_id: index.to_string(),
            body: "x".repeat(body_bytes),
        };
        groups.iter().enumerate().map(message).collect()
    }

    #[test]
    fn messages_of_one_group_never_share_a_call() {
        let mixed = batch(&["a", "a", "b", "c", "b", "a"], 10);
        assert_eq!(plan(&mixed, Order::ByGroup), [vec![0, 2, 3], vec![1, 4], vec![5]]);
        let apart = batch(&["a", "b", "c"], 10);
        assert_eq!(plan(&apart, Order::ByGroup), [[0, 1, 2]]);
    }

    #[test]
    fn without_an_order_a_batch_is_one_call() {
        assert_eq!(plan(&batch(&["a", "a", "a"], 10), Order::Any), [[0, 1, 2]]);
        assert!(plan(&[], Order::Any).is_empty());
    }

    #[test]
    fn a_call_stays_within_its_payload() {
        let third = MAX_CALL_BYTES / 3;
        let big = batch(&["a", "b", "c", "d", "e"], third);
        assert_eq!(plan(&big, Order::Any), [vec![0, 1, 2], vec![3, 4]]);
        let full = batch(&["a", "b"], MAX_CALL_BYTES);
        assert_eq!(plan(&full, Order::ByGroup), [[0], [1]]);
    }
}
