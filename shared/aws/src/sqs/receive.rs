//! Receiving: long polls, one after the other until a message has come or the wait is over.

use super::failure::SqsFailure;
use super::link::Link;
use super::verbs;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName as Attribute};
use feedfleet_queue::{MessageId, Receipt, Receive, Received};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

const CALL: &str = "ReceiveMessage";
/// Less than this of a wait is no more worth a call.
const WAIT_REST: Duration = Duration::from_millis(100);
/// Between two polls that do not wait at SQS.
const SHORT_POLL_PAUSE: Duration = Duration::from_millis(250);

/// One poll: what is asked of SQS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Poll {
    /// Most messages, 1 to 10.
    pub(super) max: usize,
    /// The visibility timeout.
    pub(super) visibility: Duration,
    /// How long SQS waits for a first message; whole seconds are asked for.
    pub(super) wait: Duration,
}

/// Leases messages, waiting for the first up to `request.wait`. A poll goes on to its end also when it is not `is_wanted`
/// any more: SQS gives messages to a poll that it holds open though its asker has gone, and they would be leased to
/// nobody. Only no further one is begun.
pub(super) async fn receive(
    link: &Link,
    request: &Receive,
    is_wanted: impl Fn() -> bool,
) -> Result<Vec<Received>, SqsFailure> {
    let deadline = Instant::now() + request.wait;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = left.min(longest_wait(request.visibility));
        let poll = Poll { max: request.max, visibility: request.visibility, wait };
        let messages = poll_once(link, &link.url, poll, false).await?;
        let received: Vec<Received> = messages.into_iter().filter_map(to_received).collect();
        let left = deadline.saturating_duration_since(Instant::now());
        if !received.is_empty() || left < WAIT_REST || !is_wanted() {
            return Ok(received);
        }
        if wait.is_zero() {
            sleep(SHORT_POLL_PAUSE.min(left)).await;
        }
    }
}

/// One poll of the queue at `url`, repeated if its answer is lost. `with_own`: with the attributes that the
/// sender gave the messages, and with the queue that SQS moved them from.
pub(super) async fn poll_once(
    link: &Link,
    url: &str,
    poll: Poll,
    with_own: bool,
) -> Result<Vec<Message>, SqsFailure> {
    // The same for every try once an answer may be lost: it is what makes them one receive.
    let mut attempt_id = Uuid::new_v4().simple().to_string();
    let mut may_be_leased = false;
    let deadline = Instant::now() + poll.wait;
    let mut pauses = verbs::RECEIVE.pauses();
    let mut wait = poll.wait;
    loop {
        let mut call = link
            .client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(i32::try_from(poll.max).unwrap_or(10))
            .visibility_timeout(whole_seconds(poll.visibility))
            .wait_time_seconds(whole_seconds(wait))
            .message_system_attribute_names(Attribute::ApproximateFirstReceiveTimestamp)
            .message_system_attribute_names(Attribute::ApproximateReceiveCount)
            .message_system_attribute_names(Attribute::MessageGroupId)
            .message_system_attribute_names(Attribute::SentTimestamp)
            .receive_request_attempt_id(&attempt_id);
        if with_own {
            call = call
                .message_attribute_names("All")
                .message_system_attribute_names(Attribute::DeadLetterQueueSourceArn);
        }
        let at_sqs = Duration::from_secs(u64::from(whole_seconds(wait).unsigned_abs()));
        let time_outs = verbs::receiving(at_sqs, margin(poll.visibility));
        let failure = match call.customize().config_override(time_outs).send().await {
            Ok(answered) => return Ok(answered.messages.unwrap_or_default()),
            Err(error) => SqsFailure::of(CALL, &error),
        };
        let pause = pauses.next().filter(|_| failure.is_passing() || failure.is_of_attempt());
        let Some(pause) = pause else { return Err(failure) };
        tracing::debug!(queue = %url, error = %failure, "will receive again");
        may_be_leased |= failure.may_have_happened();
        // SQS does not take the id of a receive that it has throttled once more. Where nothing was leased, none is needed.
        if failure.is_of_attempt() || !may_be_leased {
            attempt_id = Uuid::new_v4().simple().to_string();
            may_be_leased = false;
        }
        sleep(pause).await;
        // Messages that were leased for the lost answer come at once.
        wait = deadline.saturating_duration_since(Instant::now());
    }
}

/// The longest wait of one poll. With its margin it ends before a lease would that began with it, so that no
/// message arrives whose lease is over.
fn longest_wait(visibility: Duration) -> Duration {
    let spare = visibility.saturating_sub(margin(visibility) * 2);
    Duration::from_secs(spare.as_secs())
}

/// How late an answer may be.
fn margin(visibility: Duration) -> Duration {
    (visibility / 3).min(verbs::RECEIVE_MARGIN)
}

/// Seconds for SQS, rounded up: no lease ends before the time that was asked for.
pub(super) fn whole_seconds(duration: Duration) -> i32 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

/// A message without receipt or body would be none that SQS has sent; it is left to come back.
fn to_received(message: Message) -> Option<Received> {
    let number = |name| number(&message, name);
    let sent_at_ms = number(Attribute::SentTimestamp)?;
    let receive_count = number(Attribute::ApproximateReceiveCount)?;
    let first_received_at_ms = number(Attribute::ApproximateFirstReceiveTimestamp);
    let group = system_attribute(&message, Attribute::MessageGroupId)?.to_owned();
    Some(Received {
        id: MessageId::new(message.message_id?),
        group,
        body: message.body?,
        receipt: Receipt::new(message.receipt_handle?),
        receive_count: u32::try_from(receive_count).unwrap_or(u32::MAX),
        sent_at_ms,
        first_received_at_ms: first_received_at_ms.unwrap_or(sent_at_ms),
    })
}

/// An attribute that SQS gives a message.
pub(super) fn system_attribute(message: &Message, name: Attribute) -> Option<&str> {
    message.attributes()?.get(&name).map(String::as_str)
}

/// A number that SQS gives a message.
pub(super) fn number(message: &Message, name: Attribute) -> Option<i64> {
    system_attribute(message, name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!(whole_seconds(Duration::ZERO), 0);
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(secs(2)), 2);
        assert_eq!(whole_seconds(Duration::from_millis(2_001)), 3);
    }

    #[test]
    fn an_answer_never_takes_longer_than_the_lease_it_brings() {
        assert_eq!(longest_wait(secs(120)), secs(110));
        assert_eq!(longest_wait(secs(30)), secs(20));
        assert_eq!(longest_wait(secs(3)), secs(1));
        assert_eq!(longest_wait(secs(1)), Duration::ZERO);
        for visibility in 1..200 {
            let visibility = secs(visibility);
            assert!(longest_wait(visibility) + margin(visibility) < visibility);
        }
    }

    #[test]
    fn a_message_is_read_with_what_sqs_says_of_it() {
        let message = Message::builder()
            .message_id("id")
            .receipt_handle("receipt")
            .body("body")
            .attributes(Attribute::MessageGroupId, "acme")
            .attributes(Attribute::SentTimestamp, "1767225600000")
            .attributes(Attribute::ApproximateReceiveCount, "2")
            .attributes(Attribute::ApproximateFirstReceiveTimestamp, "1767225600500");
        let received = to_received(message.clone().build()).unwrap();
        assert_eq!((received.group.as_str(), received.receive_count), ("acme", 2));
        assert_eq!(received.sent_at_ms, 1_767_225_600_000);
        assert_eq!(received.first_received_at_ms, 1_767_225_600_500);
        assert_eq!(to_received(message.set_receipt_handle(None).build()), None);
    }
}
