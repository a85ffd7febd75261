//! What SQS's refusals mean to the queue's contract.

use super::io::Closed;
use crate::error::AwsError;
use aws_sdk_sqs::error::SdkError;
use aws_sdk_sqs::types::BatchResultErrorEntry;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use feedfleet_queue::QueueError;
use std::error::Error;
use thiserror::Error as ThisError;

/// Why an operation failed, before it is known which queue to name.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub(super) enum SqsFailure {
    /// The receipt is dead.
    #[error("the receipt has expired")]
    Expired,
    /// The lease would last longer than SQS allows.
    #[error("a lease ends at most 12 hours after its receive")]
    PastCeiling,
    /// Anything else.
    #[error(transparent)]
    Call(AwsError),
}

impl SqsFailure {
    /// What an error of `call` means.
    pub(super) fn of<E>(call: &'static str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        AwsError::of(call, error).into()
    }

    /// What the refusal of one entry of a batch means.
    pub(super) fn of_entry(call: &'static str, entry: &BatchResultErrorEntry) -> Self {
        let (code, message) = (entry.code(), entry.message());
        AwsError::of_entry(call, code, message, entry.sender_fault()).into()
    }

    /// Whether the same call may succeed a little later.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Call(error) if error.is_passing())
    }

    /// Whether a receive was refused for its attempt id, as one that cannot be repeated: "The receiveRequestAttemptId is not
    /// valid anymore since the receive call is not retryable". One with another id can be made.
    pub(super) fn is_of_attempt(&self) -> bool {
        let Self::Call(error) = self else { return false };
        let message = error.message().unwrap_or_default().to_lowercase();
        error.code().is_some_and(|code| code.contains("InvalidParameterValue"))
            && message.contains("receiverequestattemptid")
    }

    /// Whether the call may have taken effect all the same: the answer is what went missing.
    pub(super) fn may_have_happened(&self) -> bool {
        matches!(self, Self::Call(error) if error.may_have_happened())
    }

    /// The error a caller sees: `label` names the queue, `action` what was tried.
    pub(super) fn about(self, label: &str, action: &'static str) -> QueueError {
        let queue = label.to_owned();
        match self {
            Self::Expired => QueueError::ReceiptExpired { queue },
            Self::PastCeiling => QueueError::Invalid { queue, what: self.to_string() },
            Self::Call(error) => QueueError::Backend {
                queue,
                action,
                retryable: error.is_passing(),
                cause: Box::new(error),
            },
        }
    }
}

impl From<AwsError> for SqsFailure {
    /// SQS has three ways of saying that a receipt is dead, one of them in words only: FIFO queues answer
    /// `InvalidParameterValue`, "Value … for parameter ReceiptHandle is invalid. Reason: The receipt handle has
    /// expired." (or "Message does not exist or is not available for visibility timeout change."). The same
    /// code, about `VisibilityTimeout`, is "beyond the limit [43200 seconds]".
    fn from(error: AwsError) -> Self {
        let is_dead = ["ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidIdFormat"]
            .iter()
            .any(|code| error.has_code(code));
        if is_dead {
            return Self::Expired;
        }
        if error.code().is_some_and(|code| code.contains("InvalidParameterValue")) {
            let message = error.message().unwrap_or_default().to_lowercase();
            if message.contains("beyond the limit") {
                return Self::PastCeiling;
            }
            if message.contains("receipthandle") || message.contains("receipt handle") {
                return Self::Expired;
            }
        }
        Self::Call(error)
    }
}

impl From<Closed> for SqsFailure {
    fn from(closed: Closed) -> Self {
        Self::Call(AwsError::never_sent("SQS", closed.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(code: &str, message: &str) -> SqsFailure {
        AwsError::of_entry("Call", code, Some(message), true).into()
    }

    #[test]
    fn dead_receipts_are_known_in_every_wording() {
        let cases = [
            ("ReceiptHandleIsInvalid", "The input receipt handle is invalid."),
            ("AWS.SimpleQueueService.MessageNotInflight", ""),
            (
                "InvalidParameterValue",
                "Value AQEB for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.",
            ),
            (
                "InvalidParameterValueException",
                "Value AQEB for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not \
                 available for visibility timeout change.",
            ),
        ];
        for (code, message) in cases {
            assert_eq!(meaning(code, message), SqsFailure::Expired, "{code}: {message}");
        }
    }

    #[test]
    fn a_receive_that_cannot_be_repeated_is_known() {
        let text = "Value 4f1a for parameter ReceiveRequestAttemptId is invalid. Reason: The receiveRequestAttemptId is not \
                    valid anymore since the receive call is not retryable";
        assert!(meaning("InvalidParameterValue", text).is_of_attempt());
        assert!(
            !meaning("InvalidParameterValue", "Value 0 for parameter WaitTimeSeconds")
                .is_of_attempt()
        );
        assert!(!meaning("RequestThrottled", text).is_of_attempt());
    }

    #[test]
    fn the_ceiling_is_the_callers_mistake_and_the_rest_is_the_backends() {
        let text = "Value 43200 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for \
                    the message is beyond the limit [43200 seconds]";
        let past = meaning("InvalidParameterValue", text);
        assert_eq!(past, SqsFailure::PastCeiling);
        assert!(matches!(past.about("q", "extend a lease"), QueueError::Invalid { .. }));

        let gone = meaning("AWS.SimpleQueueService.NonExistentQueue", "The queue does not exist.");
        let error = gone.about("crawl at URL", "send messages");
        assert!(!error.is_retryable());
        assert!(error.to_string().contains("crawl at URL"), "{error}");
        assert!(meaning("RequestThrottled", "").about("q", "receive").is_retryable());
    }
}
