//! Where a queue is, and the client that reaches it.

use aws_sdk_sqs::Client;

/// A queue and its dead-letter queue at SQS.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) client: Client,
    /// Name and URL, for errors and logs.
    pub(super) label: String,
    pub(super) url: String,
    pub(super) dead_url: String,
    /// As the queue's redrive policy has it.
    pub(super) max_receives: u32,
}
