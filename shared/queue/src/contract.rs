//! The queue's contract: the trait, its types, and what callers may rely on.
//!
//! The semantics are those of an SQS FIFO queue, so that the embedded queue and SQS can stand
//! in for each other. Every promise here is a check in the contract suite.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::QueueError;
#[cfg(doc)]
use crate::limits::{
    DEDUP_WINDOW, MAX_BATCH, MAX_BODY_BYTES, MAX_NAME_BYTES, MAX_VISIBILITY, MAX_WAIT,
};

/// A first-in-first-out queue with message groups, leases and dead letters.
///
/// # The life of a message
///
/// ```text
///  send ──> visible ──receive──> in flight ──delete──────> gone
///              ^                  │  │  └────dead_letter─> dead letters
///              │                  │  └─extend─> in flight, for longer or shorter
///              └──release, or the lease runs out
///
///  visible, and already received max_receives times ──next receive──> dead letters
/// ```
///
/// # Order and groups
///
/// Messages of one group are delivered in the order they were sent. While a message of a group
/// is in flight, the group yields nothing more. One receive may return several messages of one
/// group, in order; the group is then blocked until each of them is settled: deleted,
/// dead-lettered, released, or its lease run out. Releasing the first of several leaves the
/// others in flight and the group blocked, so nothing is ever delivered out of order.
///
/// Groups do not wait for each other. Among groups that are free, older messages come first.
///
/// # Deduplication
///
/// A message with the group and deduplication id of one sent less than [`DEDUP_WINDOW`] before
/// is accepted and never delivered, even if the first has been deleted since. A duplicate does
/// not prolong the window. The same id in another group is another message.
///
/// # Leases
///
/// A receive leases a message for the visibility timeout. Its [`Receipt`] is good until the
/// lease ends: at its last millisecond the message is visible again and the receipt is dead,
/// whether or not the message has been received again. Using a dead receipt fails with
/// [`QueueError::ReceiptExpired`] and changes nothing; so does the receipt of a message that
/// was settled (a backend may answer a second `delete` with `Ok`: the message is gone either
/// way). The holder keeps its lease alive by [`Queue::extend`]; the queue never does. One lease
/// can't last longer than [`MAX_VISIBILITY`] from its receive, however often it is extended.
///
/// Delivery is at least once: a holder that overran its lease and the next holder may both
/// believe they have the message, so the work itself has to be safe to repeat.
///
/// # Receive count and dead letters
///
/// Each receive adds one to the message's receive count, and a release does not take it back.
/// A message that would be received once more than the queue's `max_receives` is moved to the
/// dead letters instead, and its group goes on with the next message. A dead letter keeps body,
/// group and receive count (and the time of sending, where the backend can).
///
/// # Errors and cancellation
///
/// After [`QueueError::Backend`] it is unknown whether the operation took effect. Every
/// operation may then be repeated: a send is deduplicated, a settle answers with a dead receipt
/// if it had been done. A caller that drops the future of a `receive` gets nothing: messages it
/// may have leased are given back, or come back when their visibility timeout ends. Who drops one
/// and then ends waits for [`Queue::close`] in between.
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// Appends up to [`MAX_BATCH`] messages, in order, and returns one [`Sent`] for each, in
    /// the same order. `Ok` means that all of them are stored durably. An empty batch does
    /// nothing.
    ///
    /// # Errors
    /// [`QueueError::Invalid`] and [`QueueError::TooLarge`] before anything is sent;
    /// [`QueueError::Backend`], after which some of the batch may have been accepted: send the
    /// whole batch again.
    async fn send(&self, batch: &[NewMessage]) -> Result<Vec<Sent>, QueueError>;

    /// As [`Queue::send`], for messages whose order among themselves is of no interest: those of
    /// one group may be stored, and delivered, in another order than that of the batch. Backends
    /// that are billed by the request need fewer of them so.
    ///
    /// # Errors
    /// Those of [`Queue::send`].
    async fn send_unordered(&self, batch: &[NewMessage]) -> Result<Vec<Sent>, QueueError> {
        self.send(batch).await
    }

    /// Leases up to `request.max` messages and returns them in the order they were sent. Waits
    /// up to `request.wait` for a first message; an empty answer means there was none. May
    /// return fewer than there are.
    ///
    /// # Errors
    /// [`QueueError::Invalid`] if the request is out of its limits; [`QueueError::Backend`].
    async fn receive(&self, request: Receive) -> Result<Vec<Received>, QueueError>;

    /// Makes the lease end `visibility` from now, later or sooner than it would have. A worker
    /// prolongs its lease so, and delays a retry: the group stays blocked meanwhile. Zero
    /// releases.
    ///
    /// # Errors
    /// [`QueueError::ReceiptExpired`]; [`QueueError::Invalid`] if the lease would then last
    /// longer than [`MAX_VISIBILITY`] from its receive (it stays as it was);
    /// [`QueueError::Backend`].
    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError>;

    /// Ends the lease: the message is visible at once. Its receive stays counted.
    ///
    /// # Errors
    /// [`QueueError::ReceiptExpired`], also where it is not known whether the lease has ended: then
    /// the message may have its next holder, whose lease is not for a second try to end;
    /// [`QueueError::Backend`].
    async fn release(&self, receipt: &Receipt) -> Result<(), QueueError>;

    /// Acknowledges the message: it is gone for good.
    ///
    /// # Errors
    /// [`QueueError::ReceiptExpired`]; [`QueueError::Backend`].
    async fn delete(&self, receipt: &Receipt) -> Result<(), QueueError>;

    /// Puts the message among the dead letters with `reason`, a short text for people, and
    /// deletes it. Where a backend can't do both in one step it copies first, so that a crash
    /// in between leaves a dead letter and a message, never neither.
    ///
    /// # Errors
    /// [`QueueError::ReceiptExpired`]; [`QueueError::Backend`].
    async fn dead_letter(&self, receipt: &Receipt, reason: &str) -> Result<(), QueueError>;

    /// How much there is. Backends that can't count exactly give estimates.
    ///
    /// # Errors
    /// [`QueueError::Backend`].
    async fn counts(&self) -> Result<Counts, QueueError>;

    /// A look at up to `limit` dead letters, the longest dead first. Leases nothing. Fewer than `limit`: there were
    /// no more to be had. SQS shows ten of a group at most, and the rest of it once these are forgotten. Those of the
    /// last look can be forgotten, on every backend; so who forgets what was looked at comes to see all.
    ///
    /// # Errors
    /// [`QueueError::Backend`].
    async fn dead(&self, limit: usize) -> Result<Vec<DeadMessage>, QueueError>;

    /// Deletes one dead letter; `false` if there is none of this id. A backend that can't look a message up by
    /// its id (SQS) deletes it if it comes by, and otherwise answers `false`: it is gone when its retention ends.
    /// So a dead letter that matters is kept elsewhere, and this list is only its place in line.
    ///
    /// # Errors
    /// [`QueueError::Backend`].
    async fn forget_dead(&self, id: &MessageId) -> Result<bool, QueueError>;

    /// Waits until nothing of this handle's can lease a message to nobody any more: receives that were
    /// dropped have ended, and what they leased is given back: others see it soon, within little more
    /// than the wait of such a receive. For who receives no more, before its process ends. Takes no
    /// longer than a receive and its repeats do; what has not ended by then comes back when its
    /// visibility timeout ends.
    async fn close(&self) {}
}

/// Names a message within its queue, as the backend does; for logs and for dead letters. A job's
/// lasting name belongs in the body, since a message sent anew has a new id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(String);

impl MessageId {
    /// Wraps the backend's own id.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The backend's own id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The right to settle one delivery of one message. Dies with its lease.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receipt(String);

impl Receipt {
    /// Wraps the backend's own receipt handle.
    pub fn new(handle: impl Into<String>) -> Self {
        Self(handle.into())
    }

    /// The backend's own receipt handle.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// The message group: 1 to [`MAX_NAME_BYTES`] characters of printable ASCII, no space.
    pub group: String,
    /// The deduplication id; same limits as the group.
    pub dedup_id: String,
    /// The body: 1 to [`MAX_BODY_BYTES`] bytes of UTF-8, without control characters other than
    /// tab, line feed and carriage return, and without U+FFFE and U+FFFF (SQS refuses those).
    pub body: String,
}

/// What became of a sent message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The message's id; for a duplicate, that of the message it repeats.
    pub id: MessageId,
    /// The message was a duplicate and will not be delivered. Always `false` on a backend that
    /// does not tell.
    pub duplicate: bool,
}

/// What to receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receive {
    /// Most messages to return, 1 to [`MAX_BATCH`].
    pub max: usize,
    /// The visibility timeout: more than zero, at most [`MAX_VISIBILITY`]. Backends that count
    /// in seconds round up.
    pub visibility: Duration,
    /// How long to wait for a first message, at most [`MAX_WAIT`]; zero does not wait.
    pub wait: Duration,
}

/// A message, leased to the receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The message's id.
    pub id: MessageId,
    /// The message's group.
    pub group: String,
    /// The body, as sent.
    pub body: String,
    /// The right to settle this delivery.
    pub receipt: Receipt,
    /// How often the message has been received, this time included.
    pub receive_count: u32,
    /// When it was sent, milliseconds since 1970.
    pub sent_at_ms: i64,
    /// When it was received for the first time, milliseconds since 1970.
    pub first_received_at_ms: i64,
}

/// How much there is on a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages not in flight, those of blocked groups included.
    pub visible: u64,
    /// Messages in flight.
    pub in_flight: u64,
    /// Since when the oldest message that is neither deleted nor dead has been on the queue.
    /// `None` if there is no message, or the backend can't tell.
    pub oldest_age: Option<Duration>,
    /// Groups that have a visible message and none in flight: how many receivers could be busy.
    pub runnable_groups: u64,
    /// Dead letters.
    pub dead: u64,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadMessage {
    /// The id to forget it by.
    pub id: MessageId,
    /// The message's group.
    pub group: String,
    /// The body, as sent.
    pub body: String,
    /// Why it died, for people.
    pub reason: String,
    /// How often it had been received.
    pub receive_count: u32,
    /// When it was sent, milliseconds since 1970. A backend that loses this gives `died_at_ms`.
    pub sent_at_ms: i64,
    /// When it died, milliseconds since 1970.
    pub died_at_ms: i64,
}
