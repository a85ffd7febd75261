//! Queues with the attributes that infra/ gives them, under names of their own.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use feedfleet_aws::{Aws, GroupEstimate, SqsOptions, SqsQueue};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// As infra/ sets it.
const VISIBILITY: Duration = Duration::from_secs(120);
/// The longest that SQS keeps a message.
const RETENTION: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// A queue and its dead letters.
#[derive(Debug, Clone)]
pub struct QueuePair {
    /// The queue's name, without `.fifo`.
    pub name: String,
    /// The queue.
    pub url: String,
    /// Its dead-letter queue.
    pub dead_url: String,
    /// How often its messages may be received.
    pub max_receives: u32,
}

impl QueuePair {
    /// A handle on it, as a process of the fleet has one.
    pub fn open(&self, aws: &Aws) -> SqsQueue {
        let options =
            SqsOptions { max_receives: self.max_receives, groups: GroupEstimate::EachItsOwn };
        SqsQueue::open(aws, &self.name, &self.url, &self.dead_url, options)
            .unwrap_or_else(|e| panic!("{} cannot be opened: {e}", self.name))
    }
}

/// Makes queues at one endpoint, and deletes them.
pub struct Queues {
    client: Client,
    made: Mutex<Vec<String>>,
}

impl Queues {
    /// Queues of the account that this gives access to.
    pub fn new(aws: &Aws) -> Self {
        Self { client: Client::new(aws.config()), made: Mutex::default() }
    }

    /// A queue whose messages may be received `max_receives` times, and its dead-letter queue.
    pub async fn pair(&self, max_receives: u32) -> QueuePair {
        let name = unique_name();
        let dead_url = self.make(&format!("{name}-dead"), None).await;
        let arn = self.attribute(&dead_url, QueueAttributeName::QueueArn).await;
        let redrive =
            format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"{max_receives}"}}"#);
        let url = self.make(&name, Some(redrive)).await;
        QueuePair { name, url, dead_url, max_receives }
    }

    /// One attribute of a queue.
    pub async fn attribute(&self, url: &str, name: QueueAttributeName) -> String {
        let request = self.client.get_queue_attributes().queue_url(url);
        let answer = request.attribute_names(name.clone()).send().await;
        let answer = answer.unwrap_or_else(|e| panic!("no attributes of {url}: {e:?}"));
        let value = answer.attributes().and_then(|attributes| attributes.get(&name));
        value.unwrap_or_else(|| panic!("{url} has no {name}")).clone()
    }

    /// A client of the same account, for what the code under test must not do.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Deletes what was made here. Not needed where the stand-in goes with the test.
    pub async fn delete_all(&self) {
        let made = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        for url in made {
            if let Err(e) = self.client.delete_queue().queue_url(&url).send().await {
                eprintln!("{url} is left over: {e:?}");
            }
        }
    }

    async fn make(&self, name: &str, redrive: Option<String>) -> String {
        let mut attributes = HashMap::from([
            (QueueAttributeName::FifoQueue, "true".to_owned()),
            (QueueAttributeName::ContentBasedDeduplication, "false".to_owned()),
            (QueueAttributeName::DeduplicationScope, "messageGroup".to_owned()),
            (QueueAttributeName::FifoThroughputLimit, "perMessageGroupId".to_owned()),
            (QueueAttributeName::VisibilityTimeout, VISIBILITY.as_secs().to_string()),
            (QueueAttributeName::MessageRetentionPeriod, RETENTION.as_secs().to_string()),
        ]);
        if let Some(redrive) = redrive {
            attributes.insert(QueueAttributeName::RedrivePolicy, redrive);
        }
        let request = self.client.create_queue().queue_name(format!("{name}.fifo"));
        let made = request.set_attributes(Some(attributes)).send().await;
        let made = made.unwrap_or_else(|e| panic!("the queue {name} cannot be made: {e:?}"));
        let url = made.queue_url().expect("a new queue has a URL").to_owned();
        self.made.lock().unwrap_or_else(PoisonError::into_inner).push(url.clone());
        url
    }
}

/// Names are taken for a minute after their queue is gone, and an account may be shared.
fn unique_name() -> String {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    format!("feedfleet-test-{:x}-{:x}-{number}", now.as_nanos(), std::process::id())
}
