//! How a queue is set up at SQS, and what is wrong with that.

use super::SqsQueue;
use super::look;
use feedfleet_queue::{MAX_BODY_BYTES, QueueError};
use std::time::Duration;

/// The longest time that SQS keeps a message; anything less may lose work over a long outage.
const LONGEST_RETENTION: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// A queue's attributes, as SQS tells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqsAttributes {
    /// The queue's name for policies.
    pub arn: String,
    /// Whether it is a FIFO queue.
    pub fifo: bool,
    /// `DeduplicationScope` is `messageGroup`.
    pub dedup_by_group: bool,
    /// `FifoThroughputLimit` is `perMessageGroupId`; with `dedup_by_group` it makes the high-throughput mode.
    pub throughput_by_group: bool,
    /// Whether a message without a deduplication id gets one from its body. Ours bring their own.
    pub content_dedup: bool,
    /// The redrive policy's limit of receives; `None` without a policy.
    pub max_receives: Option<u32>,
    /// The redrive policy's target.
    pub dead_letter_arn: Option<String>,
    /// How long a message is kept.
    pub retention: Option<Duration>,
    /// The visibility timeout of receives that name none. Ours do.
    pub visibility: Option<Duration>,
    /// How long a message waits before it can be received.
    pub delay: Option<Duration>,
    /// The longest message, in bytes.
    pub max_message_bytes: Option<u64>,
    /// Whether messages are encrypted at rest.
    pub encrypted: bool,
}

impl SqsQueue {
    /// The queue's attributes.
    ///
    /// # Errors
    /// [`QueueError::Backend`].
    pub async fn attributes(&self) -> Result<SqsAttributes, QueueError> {
        let link = self.link();
        self.run(
            "read the queue's attributes",
            async move { look::attributes(&link, &link.url).await },
        )
        .await
    }

    /// The attributes of the queue's dead-letter queue.
    ///
    /// # Errors
    /// [`QueueError::Backend`].
    pub async fn dead_attributes(&self) -> Result<SqsAttributes, QueueError> {
        let link = self.link();
        self.run("read the dead-letter queue's attributes", async move {
            look::attributes(&link, &link.dead_url).await
        })
        .await
    }
}

impl SqsAttributes {
    /// What keeps a queue with these attributes from being the queue of the contract; each fault says what to set.
    /// `max_receives`: how often a message must be deliverable; `dead`: the attributes of its dead-letter queue.
    pub fn faults(&self, max_receives: u32, dead: &SqsAttributes) -> Vec<String> {
        let mut faults = self.faults_of_any();
        if !self.dedup_by_group || !self.throughput_by_group {
            faults.push(
                "it is not in high-throughput mode: set DeduplicationScope = messageGroup and \
                 FifoThroughputLimit = perMessageGroupId"
                    .to_owned(),
            );
        }
        if self.content_dedup {
            faults.push(
                "it takes messages without an id of their own, and equal ones for one: set \
                 ContentBasedDeduplication = false"
                    .to_owned(),
            );
        }
        match self.max_receives {
            None => faults.push(
                "it has no redrive policy: a message that kills its workers would come back for ever"
                    .to_owned(),
            ),
            Some(found) if found < max_receives => faults.push(format!(
                "its redrive policy gives a message up after {found} receives, interruptions included: set \
                 maxReceiveCount = {max_receives}, or jobs die without a reason"
            )),
            Some(_) => {}
        }
        if let Some(target) = &self.dead_letter_arn
            && *target != dead.arn
        {
            faults.push(format!(
                "its redrive policy moves messages to {target}, and the configuration names {}",
                dead.arn
            ));
        }
        faults
            .extend(dead.faults_of_any().into_iter().map(|fault| format!("dead letters: {fault}")));
        faults
    }

    fn faults_of_any(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.fifo {
            faults.push("it is no FIFO queue: its name must end in .fifo".to_owned());
        }
        if self.delay.is_some_and(|delay| !delay.is_zero()) {
            faults.push("it delays each message: set DelaySeconds = 0".to_owned());
        }
        if self.retention.is_some_and(|retention| retention < LONGEST_RETENTION) {
            let fault = "it forgets messages early: set MessageRetentionPeriod = 1209600 (14 days)";
            faults.push(fault.to_owned());
        }
        if self.max_message_bytes.is_some_and(|bytes| bytes < MAX_BODY_BYTES as u64) {
            faults.push("it refuses long messages: set MaximumMessageSize = 1048576".to_owned());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(name: &str, policy: Option<(u32, &str)>) -> SqsAttributes {
        SqsAttributes {
            arn: name.to_owned(),
            fifo: true,
            dedup_by_group: true,
            throughput_by_group: true,
            content_dedup: false,
            max_receives: policy.map(|(receives, _)| receives),
            dead_letter_arn: policy.map(|(_, target)| target.to_owned()),
            retention: Some(LONGEST_RETENTION),
            visibility: Some(Duration::from_secs(120)),
            delay: Some(Duration::ZERO),
            max_message_bytes: Some(1 << 20),
            encrypted: true,
        }
    }

    #[test]
    fn a_queue_as_the_templates_make_it_has_no_faults() {
        let queue = good("arn:crawl", Some((25, "arn:dead")));
        assert!(queue.faults(25, &good("arn:dead", None)).is_empty());
    }

    #[test]
    fn each_fault_is_named_with_what_to_set() {
        let dead = good("arn:dead", None);
        let sound = good("arn:crawl", Some((25, "arn:dead")));
        let cases = [
            (SqsAttributes { fifo: false, ..sound.clone() }, "FIFO"),
            (SqsAttributes { dedup_by_group: false, ..sound.clone() }, "high-throughput"),
            (
                SqsAttributes { content_dedup: true, ..sound.clone() },
                "ContentBasedDeduplication = false",
            ),
            (good("arn:crawl", None), "no redrive policy"),
            (good("arn:crawl", Some((5, "arn:dead"))), "maxReceiveCount = 25"),
            (good("arn:crawl", Some((25, "arn:other"))), "arn:other"),
            (
                SqsAttributes { retention: Some(Duration::from_secs(60)), ..sound.clone() },
                "1209600",
            ),
            (
                SqsAttributes { max_message_bytes: Some(262_144), ..sound.clone() },
                "MaximumMessageSize",
            ),
            (
                SqsAttributes { delay: Some(Duration::from_secs(1)), ..sound.clone() },
                "DelaySeconds",
            ),
        ];
        for (queue, expected) in cases {
            let faults = queue.faults(25, &dead);
            assert_eq!(faults.len(), 1, "{expected}: {faults:?}");
            assert!(faults[0].contains(expected), "{faults:?}");
        }
        let standard = SqsAttributes { fifo: false, ..dead };
        assert!(sound.faults(25, &standard)[0].starts_with("dead letters:"));
    }
}
