//! What can go wrong between a caller and its queue.

use std::error::Error as StdError;

use thiserror::Error;

/// An error of a queue operation. Each names the queue (and, for the embedded one, its file).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The receipt no longer holds its message: the lease ran out, the message was received
    /// again, or it was settled. Whoever holds this receipt must stop working on the message.
    #[error("queue {queue}: the receipt has expired or its message was settled")]
    ReceiptExpired {
        /// The queue's name and place.
        queue: String,
    },
    /// The caller asked for something the contract refuses, on any backend.
    #[error("queue {queue}: {what}")]
    Invalid {
        /// The queue's name and place.
        queue: String,
        /// What was refused, and the rule.
        what: String,
    },
    /// A message body is over the limit.
    #[error("queue {queue}: a body of {bytes} bytes is over the limit of {limit} bytes")]
    TooLarge {
        /// The queue's name and place.
        queue: String,
        /// Length of the body, in bytes of UTF-8.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The backend failed. Whether the operation took effect is unknown.
    #[error("queue {queue}: could not {action}: {cause}")]
    Backend {
        /// The queue's name and place.
        queue: String,
        /// What was being done, as in "could not ...".
        action: &'static str,
        /// The backend's own error.
        cause: Box<dyn StdError + Send + Sync>,
        /// Whether the same call may succeed a little later.
        retryable: bool,
    },
    /// The queue file was written by a newer version of this program, and is left untouched.
    #[error(
        "queue {queue}: the file has schema version {found}, and this program knows versions \
         up to {supported}: run the newer program"
    )]
    SchemaTooNew {
        /// The queue's name and place.
        queue: String,
        /// The file's schema version.
        found: i64,
        /// The newest version this program knows.
        supported: i64,
    },
}

impl QueueError {
    /// Whether the same call may succeed a little later. Sending again is safe within five
    /// minutes, since the deduplication id is the same.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Backend { retryable: true, .. })
    }

    /// Whether the receipt is dead: the work it stood for belongs to somebody else, or to nobody.
    pub fn is_receipt_expired(&self) -> bool {
        matches!(self, Self::ReceiptExpired { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(retryable: bool) -> QueueError {
        QueueError::Backend {
            queue: "crawl in var/queue.db".to_owned(),
            action: "send messages",
            cause: "the disk is on fire".into(),
            retryable,
        }
    }

    #[test]
    fn only_a_backend_error_that_says_so_is_retryable() {
        assert!(backend(true).is_retryable());
        assert!(!backend(false).is_retryable());
        assert!(!QueueError::ReceiptExpired { queue: "crawl".to_owned() }.is_retryable());
    }

    #[test]
    fn the_text_names_the_queue_and_the_cause() {
        let text = "queue crawl in var/queue.db: could not send messages: the disk is on fire";
        assert_eq!(backend(true).to_string(), text);
    }
}
