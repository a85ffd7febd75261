//! Looking at a queue without receiving: how much there is, and how it is set up.

use super::failure::SqsFailure;
use super::link::Link;
use super::verbs;
use super::{GroupEstimate, SqsAttributes};
use crate::error::AwsError;
use aws_sdk_sqs::types::QueueAttributeName as Name;
use feedfleet_queue::Counts;
use serde::Deserialize;
use std::collections::HashMap;
use std::time::Duration;

const CALL: &str = "GetQueueAttributes";

/// How many there are, as far as SQS says: its numbers lag by seconds, at times by a minute.
pub(super) async fn counts(link: &Link, groups: GroupEstimate) -> Result<Counts, SqsFailure> {
    let (queue, dead) =
        tokio::try_join!(Numbers::of(link, &link.url), Numbers::of(link, &link.dead_url))?;
    Ok(Counts {
        visible: queue.visible,
        in_flight: queue.in_flight,
        // Only CloudWatch knows (ApproximateAgeOfOldestMessage), minutes late.
        oldest_age: None,
        runnable_groups: groups.runnable(queue.visible, queue.in_flight),
        dead: dead.visible + dead.in_flight,
    })
}

/// The queue's attributes, or those of its dead-letter queue.
pub(super) async fn attributes(link: &Link, url: &str) -> Result<SqsAttributes, SqsFailure> {
    let all = get(link, url, &[Name::All]).await?;
    let text = |name: Name| all.get(&name).cloned();
    let seconds = |name: Name| number(&all, name).map(Duration::from_secs);
    let redrive = text(Name::RedrivePolicy)
        .and_then(|policy| serde_json::from_str::<RedrivePolicy>(&policy).ok());
    let is = |name: Name, value: &str| text(name).is_some_and(|own| own == value);
    Ok(SqsAttributes {
        arn: text(Name::QueueArn).unwrap_or_default(),
        fifo: is(Name::FifoQueue, "true"),
        dedup_by_group: is(Name::DeduplicationScope, "messageGroup"),
        throughput_by_group: is(Name::FifoThroughputLimit, "perMessageGroupId"),
        content_dedup: is(Name::ContentBasedDeduplication, "true"),
        max_receives: redrive.as_ref().and_then(|policy| policy.max_receives()),
        dead_letter_arn: redrive.map(|policy| policy.target),
        retention: seconds(Name::MessageRetentionPeriod),
        visibility: seconds(Name::VisibilityTimeout),
        delay: seconds(Name::DelaySeconds),
        max_message_bytes: number(&all, Name::MaximumMessageSize),
        encrypted: is(Name::SqsManagedSseEnabled, "true") || text(Name::KmsMasterKeyId).is_some(),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Numbers {
    visible: u64,
    in_flight: u64,
}

impl Numbers {
    async fn of(link: &Link, url: &str) -> Result<Self, SqsFailure> {
        let names = [
            Name::ApproximateNumberOfMessages,
            Name::ApproximateNumberOfMessagesDelayed,
            Name::ApproximateNumberOfMessagesNotVisible,
        ];
        let got = get(link, url, &names).await?;
        let [visible, delayed, in_flight] =
            names.map(|name| number(&got, name).unwrap_or_default());
        Ok(Self { visible: visible + delayed, in_flight })
    }
}

type Got = HashMap<Name, String>;

async fn get(link: &Link, url: &str, names: &[Name]) -> Result<Got, SqsFailure> {
    let got = verbs::LOOK.run(|| {
        let mut call = link.client.get_queue_attributes().queue_url(url);
        for name in names {
            call = call.attribute_names(name.clone());
        }
        let call = call.customize().config_override(verbs::looking());
        async move { call.send().await.map_err(|error| AwsError::of(CALL, &error)) }
    });
    let got = got.await?;
    Ok(got.attributes().cloned().unwrap_or_default())
}

fn number(got: &Got, name: Name) -> Option<u64> {
    got.get(&name)?.parse().ok()
}

#[derive(Debug, Deserialize)]
struct RedrivePolicy {
    #[serde(rename = "deadLetterTargetArn")]
    target: String,
    #[serde(rename = "maxReceiveCount")]
    max_receives: serde_json::Value,
}

impl RedrivePolicy {
    /// SQS writes a number; who set the policy may have written a text.
    fn max_receives(&self) -> Option<u32> {
        let number = self.max_receives.as_u64();
        let number = number.or_else(|| self.max_receives.as_str()?.parse().ok());
        number.and_then(|number| u32::try_from(number).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_policy_is_read_in_either_spelling() {
        for count in ["25", "\"25\""] {
            let text = format!(r#"{{"deadLetterTargetArn":"arn:d","maxReceiveCount":{count}}}"#);
            let policy: RedrivePolicy = serde_json::from_str(&text).unwrap();
            assert_eq!((policy.target.as_str(), policy.max_receives()), ("arn:d", Some(25)));
        }
    }
}
