//! What the checks work with: fresh queues, passing time, and short ways to send and receive.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::{Advance, Backend};
use crate::clock::QueueClock;
use crate::contract::{NewMessage, Queue, Receive, Received};
use crate::error::QueueError;

/// Receives before a message dies, where a check does not care.
const PLENTY_OF_RECEIVES: u32 = 50;

/// How long a receive that expects a message waits for it: services are eventually consistent.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) struct Bench {
    backend: Arc<dyn Backend>,
}

impl Bench {
    pub(super) fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    pub(super) async fn queue(&self) -> Probe {
        self.queue_dying_after(PLENTY_OF_RECEIVES).await
    }

    pub(super) async fn queue_dying_after(&self, max_receives: u32) -> Probe {
        Probe { queue: self.backend.fresh(max_receives).await, lease: self.lease() }
    }

    /// The visibility timeout of the checks: short where it has to be slept through.
    pub(super) fn lease(&self) -> Duration {
        match self.backend.advance() {
            Advance::Manual(_) => Duration::from_secs(30),
            Advance::Sleep { .. } => Duration::from_secs(6),
        }
    }

    /// Lets `time` pass, and not much more.
    pub(super) async fn pass(&self, time: Duration) {
        match self.backend.advance() {
            Advance::Manual(clock) => clock.advance(time),
            Advance::Sleep { .. } => tokio::time::sleep(time).await,
        }
    }

    pub(super) fn can_pass(&self, time: Duration) -> bool {
        match self.backend.advance() {
            Advance::Manual(_) => true,
            Advance::Sleep { longest } => time <= longest,
        }
    }

    /// The backend's time if the suite moves it.
    pub(super) fn now_ms(&self) -> Option<i64> {
        match self.backend.advance() {
            Advance::Manual(clock) => Some(clock.now_ms()),
            Advance::Sleep { .. } => None,
        }
    }
}

/// A queue under test.
#[derive(Clone)]
pub(super) struct Probe {
    queue: Arc<dyn Queue>,
    lease: Duration,
}

impl Deref for Probe {
    type Target = dyn Queue;

    fn deref(&self) -> &Self::Target {
        &*self.queue
    }
}

impl Probe {
    /// Sends `(group, body)` pairs in one batch. The body is the deduplication id too.
    pub(super) async fn put(&self, messages: &[(&str, &str)]) {
        let batch: Vec<NewMessage> =
            messages.iter().map(|(group, body)| message(group, body, body)).collect();
        let sent = self.send(&batch).await.expect("send");
        assert_eq!(sent.len(), batch.len(), "one answer for each message");
    }

    /// Receives up to `max` messages, waiting for the first.
    pub(super) async fn take(&self, max: usize) -> Vec<Received> {
        self.take_for(max, self.lease).await
    }

    pub(super) async fn take_for(&self, max: usize, visibility: Duration) -> Vec<Received> {
        let request = Receive { max, visibility, wait: PATIENCE };
        let received = self.receive(request).await.expect("receive");
        assert!(received.len() <= max, "no more than asked for");
        received
    }

    /// Receives the next message, which has to be `body`.
    pub(super) async fn take_one(&self, body: &str) -> Received {
        let mut received = self.take(1).await;
        let one = received.pop();
        let one = one.unwrap_or_else(|| panic!("{body} should be delivered"));
        assert_eq!(one.body, body);
        one
    }

    /// Nothing can be received now.
    pub(super) async fn assert_silent(&self) {
        let request = Receive { max: 10, visibility: self.lease, wait: Duration::ZERO };
        let received = self.receive(request).await.expect("receive");
        assert!(received.is_empty(), "unexpected: {received:?}");
    }
}

pub(super) fn message(group: &str, dedup_id: &str, body: &str) -> NewMessage {
    NewMessage { group: group.to_owned(), dedup_id: dedup_id.to_owned(), body: body.to_owned() }
}

pub(super) fn bodies(received: &[Received]) -> Vec<&str> {
    received.iter().map(|one| one.body.as_str()).collect()
}

pub(super) fn assert_receipt_dead(outcome: Result<(), QueueError>) {
    match outcome {
        Err(QueueError::ReceiptExpired { .. }) => {}
        other => panic!("the receipt should be dead: {other:?}"),
    }
}

pub(super) fn assert_invalid<T: std::fmt::Debug>(outcome: Result<T, QueueError>) {
    match outcome {
        Err(QueueError::Invalid { .. }) => {}
        other => panic!("should be refused as invalid: {other:?}"),
    }
}
