//! Putting a message among the dead letters: SQS has no such verb, so it is copied, then deleted.
//!
//! First the lease is made certain by a change of visibility, so that a receipt that has died copies nothing.
//! The copy's deduplication id is the message's id, as in a move of SQS's own: a copy that is made
//! again within five minutes, since the deletion did not come through, is swallowed.

use super::failure::SqsFailure;
use super::link::Link;
use super::receive::{number, system_attribute};
use super::verbs;
use crate::error::AwsError;
use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName as Attribute};
use feedfleet_queue::{DeadMessage, MAX_BODY_BYTES, MessageId, Received};

const CALL: &str = "SendMessage";

/// The copy's attributes, the most important first: a body of nearly 1 MiB leaves no room for all.
const REASON: &str = "reason";
const MESSAGE_ID: &str = "message_id";
const RECEIVES: &str = "receives";
const SENT_AT_MS: &str = "sent_at_ms";
const FIRST_RECEIVED_AT_MS: &str = "first_received_at_ms";

const TEXT: &str = "String";
const NUMBER: &str = "Number";

/// Longest reason, in characters. The whole of it is in the lasting dead letter.
const MAX_REASON: usize = 1_000;

/// Copies the message to the dead-letter queue, with its group.
pub(super) async fn copy(link: &Link, message: &Received, reason: &str) -> Result<(), SqsFailure> {
    let attributes = attributes(message, reason)
        .map_err(|error| AwsError::never_sent(CALL, error.to_string()))?;
    let copied = verbs::SEND.run(|| {
        let mut call = link
            .client
            .send_message()
            .queue_url(&link.dead_url)
            .message_group_id(&message.group)
            .message_deduplication_id(message.id.as_str())
            .message_body(&message.body);
        for (name, value) in &attributes {
            call = call.message_attributes(*name, value.clone());
        }
        let call = call.customize().config_override(verbs::sending());
        async move {
            let sent = call.send().await;
            sent.map(|_| ()).map_err(|error| AwsError::of(CALL, &error))
        }
    });
    copied.await.map_err(SqsFailure::from)
}

type Attributes = Vec<(&'static str, MessageAttributeValue)>;

fn attributes(
    message: &Received,
    reason: &str,
) -> Result<Attributes, aws_sdk_sqs::error::BuildError> {
    let values = [
        (REASON, TEXT, readable(reason)),
        (MESSAGE_ID, TEXT, message.id.as_str().to_owned()),
        (RECEIVES, NUMBER, message.receive_count.to_string()),
        (SENT_AT_MS, NUMBER, message.sent_at_ms.to_string()),
        (FIRST_RECEIVED_AT_MS, NUMBER, message.first_received_at_ms.to_string()),
    ];
    let mut bytes = message.body.len();
    let mut attributes = Vec::new();
    for (name, data_type, value) in values {
        let more = name.len() + data_type.len() + value.len();
        if bytes + more > MAX_BODY_BYTES {
            continue;
        }
        bytes += more;
        let value =
            MessageAttributeValue::builder().data_type(data_type).string_value(value).build()?;
        attributes.push((name, value));
    }
    Ok(attributes)
}

/// The reason in characters that SQS takes, and never empty.
fn readable(reason: &str) -> String {
    let is_refused = |c: char| c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}');
    let text: String =
        reason.chars().take(MAX_REASON).map(|c| if is_refused(c) { ' ' } else { c }).collect();
    if text.trim().is_empty() { "no reason was given".to_owned() } else { text }
}

/// The dead letter that a message of the dead-letter queue is, or `None` if it is no message of a queue of ours.
/// One that SQS moved there by itself has no reason; it has been received as often as the redrive policy allows. SQS
/// says of those, and not of copies, from which queue it moved them. What such a message says of itself is of an
/// earlier death: it was a copy once, which the redrive task brought back.
pub(super) fn to_dead(link: &Link, message: Message) -> Option<DeadMessage> {
    let is_moved = system_attribute(&message, Attribute::DeadLetterQueueSourceArn).is_some();
    let own = |name: &str| {
        let attributes = message.message_attributes().filter(|_| !is_moved)?;
        attributes.get(name)?.string_value()
    };
    let own_number = |name: &str| own(name)?.parse::<i64>().ok();
    let died_at_ms = number(&message, Attribute::SentTimestamp)?;
    let group = system_attribute(&message, Attribute::MessageGroupId)?.to_owned();
    let receives = own_number(RECEIVES).and_then(|receives| u32::try_from(receives).ok());
    // Copies keep the id under which the message was known; moves keep it anyway.
    let id =
        own(MESSAGE_ID).map_or_else(|| message.message_id.clone(), |id| Some(id.to_owned()))?;
    let moved =
        || format!("received {} times without being settled; moved by SQS", link.max_receives);
    let reason = own(REASON).map_or_else(moved, str::to_owned);
    let sent_at_ms = own_number(SENT_AT_MS).unwrap_or(died_at_ms);
    Some(DeadMessage {
        id: MessageId::new(id),
        group,
        reason,
        receive_count: receives.unwrap_or(link.max_receives),
        sent_at_ms,
        died_at_ms,
        body: message.body?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqs::tests::nowhere;
    use feedfleet_queue::Receipt;
    use std::collections::HashMap;

    fn received(body: String) -> Received {
        Received {
            id: MessageId::new("5fea7756-0ea4-451a-a703-a558b933e274"),
            group: "acme".to_owned(),
            body,
            receipt: Receipt::new("receipt"),
            receive_count: 3,
            sent_at_ms: 1_000,
            first_received_at_ms: 2_000,
        }
    }

    fn in_dead_letter_queue(body: &str, own: Attributes) -> Message {
        let own: HashMap<String, MessageAttributeValue> =
            own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Message::builder()
            .message_id("id of the copy")
            .body(body)
            .attributes(Attribute::MessageGroupId, "acme")
            .attributes(Attribute::SentTimestamp, "9000")
            .set_message_attributes(Some(own))
            .build()
    }

    #[test]
    fn a_copy_tells_what_the_message_was() {
        let message = received("{}".to_owned());
        let own = attributes(&message, "not\u{1b}a job").unwrap();
        let dead = to_dead(&nowhere(), in_dead_letter_queue("{}", own)).unwrap();
        assert_eq!(dead.id, message.id);
        assert_eq!((dead.group.as_str(), dead.body.as_str()), ("acme", "{}"));
        assert_eq!(dead.reason, "not a job");
        assert_eq!((dead.receive_count, dead.sent_at_ms, dead.died_at_ms), (3, 1_000, 9_000));
    }

    #[test]
    fn a_message_that_sqs_moved_is_a_dead_letter_too() {
        let dead = to_dead(&nowhere(), in_dead_letter_queue("{}", Vec::new())).unwrap();
        assert_eq!(dead.id, MessageId::new("id of the copy"));
        assert!(dead.reason.starts_with("received 25 times"), "{}", dead.reason);
        assert_eq!((dead.receive_count, dead.sent_at_ms, dead.died_at_ms), (25, 9_000, 9_000));
    }

    #[test]
    fn a_copy_that_was_brought_back_and_died_again_tells_of_its_own_death() {
        let own = attributes(&received("{}".to_owned()), "not a job").unwrap();
        let mut message = in_dead_letter_queue("{}", own);
        let arn = "arn:aws:sqs:eu-north-1:000000000000:crawl.fifo".to_owned();
        let system = message.attributes.get_or_insert_default();
        system.insert(Attribute::DeadLetterQueueSourceArn, arn);
        let dead = to_dead(&nowhere(), message).unwrap();
        assert_eq!(dead.id, MessageId::new("id of the copy"), "not that of the message before");
        assert!(dead.reason.starts_with("received 25 times"), "{}", dead.reason);
        assert_eq!((dead.receive_count, dead.sent_at_ms, dead.died_at_ms), (25, 9_000, 9_000));
    }

    #[test]
    fn a_body_at_the_limit_leaves_the_reason_out_and_one_below_it_the_rest() {
        let full = received("x".repeat(MAX_BODY_BYTES));
        assert!(attributes(&full, "why").unwrap().is_empty());
        let nearly = received("x".repeat(MAX_BODY_BYTES - 20));
        let names: Vec<&str> =
            attributes(&nearly, "why").unwrap().iter().map(|(name, _)| *name).collect();
        assert_eq!(names, [REASON]);
    }

    #[test]
    fn a_reason_is_never_empty_nor_endless() {
        assert_eq!(readable(" \n"), "no reason was given");
        assert_eq!(readable(&"x".repeat(5_000)).len(), MAX_REASON);
    }
}
