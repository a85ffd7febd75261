//! The verbs: how long each waits for its answer, how often it is repeated, and why that is safe.

use crate::client::timeouts;
use crate::retry::Retries;
use aws_sdk_sqs::config::Builder;
use std::time::Duration;

/// Sending is repeated freely: the deduplication ids stay the same, and SQS swallows for five minutes what it
/// has already. All tries together end well within that, so a lost answer never makes a second message.
pub(super) const SEND: Retries =
    Retries::new(4, Duration::from_millis(200), Duration::from_secs(3));
/// A batch of a full MiB on a slow line.
const SEND_ANSWER: Duration = Duration::from_secs(10);

/// Receiving is repeated under the same `ReceiveRequestAttemptId`: SQS then gives the messages again that it
/// leased for an answer that was lost, with the same receipts and a fresh lease, for five minutes and as long as
/// nothing else was done with them. Without the id they would be out of reach until their lease ends. Few
/// tries: the caller asks again anyway.
pub(super) const RECEIVE: Retries =
    Retries::new(2, Duration::from_millis(100), Duration::from_secs(1));
/// What a long poll's answer may take beyond the wait it asked for.
pub(super) const RECEIVE_MARGIN: Duration = Duration::from_secs(5);

/// Deleting is repeated: a message that is gone stays gone. If the answer to the first try was lost, the second
/// may find the receipt dead: reported as such, since the lease may as well have run out, and in both
/// cases there is nothing more to do. Many tries: each message acknowledged is work not done twice.
pub(super) const DELETE: Retries =
    Retries::new(4, Duration::from_millis(200), Duration::from_secs(2));

/// A change of visibility is repeated: the time counts from the try that arrives, so the lease only ends later. But
/// not once the lease that a lost try may have made is over, and so a release, which makes none, is repeated only
/// if SQS has refused it: the message may have its next holder by then. Few tries, soon one after the other: the
/// heartbeat has its own deadline, and asks again until then. Not repeated once the caller has gone away, so that a
/// late extension does not hide what was released.
pub(super) const VISIBILITY: Retries =
    Retries::new(2, Duration::from_millis(100), Duration::from_millis(500));
const SETTLE_ANSWER: Duration = Duration::from_secs(5);

/// Looking changes nothing.
pub(super) const LOOK: Retries =
    Retries::new(2, Duration::from_millis(200), Duration::from_secs(1));
const LOOK_ANSWER: Duration = Duration::from_secs(5);

/// The time-outs of a send.
pub(super) fn sending() -> Builder {
    within(SEND_ANSWER)
}

/// The time-outs of a receive that waits so long at SQS: a little more than that, and `visibility` at most, or
/// messages might arrive whose lease has ended on the way.
pub(super) fn receiving(wait: Duration, margin: Duration) -> Builder {
    within(wait + margin)
}

/// The time-outs of a delete or a change of visibility.
pub(super) fn settling() -> Builder {
    within(SETTLE_ANSWER)
}

/// The time-outs of a look.
pub(super) fn looking() -> Builder {
    within(LOOK_ANSWER)
}

fn within(answer: Duration) -> Builder {
    Builder::default().timeout_config(timeouts(answer))
}
