//! One state machine over every backend: any sequence of operations is answered as the model answers it.
//!
//! Where the suite moves the clock, everything is compared after each step: counts, dead letters, times. Where
//! time is real, and a service may give less than there is, what cannot be known is left open: counts, the order
//! of groups, and whatever happens within a blink of a lease's end, before which the machine waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::Advance;
use super::model::{Dead, Message, Model, ModelReceipt, Outcome};
use super::steps::RECENT;
pub use super::steps::{Step, steps};
use crate::clock::{ManualClock, QueueClock};
use crate::contract::{MessageId, NewMessage, Queue, Receipt, Receive, Received};
use crate::error::QueueError;

/// Real time: the machine's clock and the service's may differ by so much about a lease's end.
const BLINK: Duration = Duration::from_millis(400);
/// No operation begins if a lease ends sooner than that.
const ROOM: Duration = Duration::from_millis(1_200);
/// How long a receive waits for what must be there.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes the steps on an empty queue whose messages may be received `max_receives` times, and compares. In real
/// time, at the end, what is left is received and deleted, and each message comes exactly once.
///
/// Returns how many steps were compared: fewer than there are if the machine was too slow to tell on which side
/// of a lease's end an operation fell.
///
/// # Errors
/// The first difference.
pub async fn run(
    queue: Arc<dyn Queue>,
    max_receives: u32,
    advance: &Advance,
    steps: &[Step],
) -> Result<usize, TestCaseError> {
    let time = match advance {
        Advance::Manual(clock) => Time::Manual(Arc::clone(clock)),
        Advance::Sleep { .. } => Time::Real(Instant::now()),
    };
    let start_ms = match &time {
        Time::Manual(clock) => clock.now_ms(),
        Time::Real(_) => 0,
    };
    let mut pair = Pair {
        queue,
        time,
        model: Model::new(start_ms, max_receives),
        ids: Vec::new(),
        receipts: Vec::new(),
        sends: 0,
    };
    for (number, step) in steps.iter().enumerate() {
        pair.settle_time().await;
        let taken = pair.take(step).await;
        if pair.was_slow() {
            return Ok(number);
        }
        taken?;
        if pair.is_exact() {
            let counts = pair.queue.counts().await.expect("counts");
            prop_assert_eq!(counts, pair.model.counts(), "after {:?}", step);
            pair.compare_dead().await?;
        }
    }
    if !pair.is_exact() {
        pair.drain().await?;
    }
    Ok(steps.len())
}

enum Time {
    Manual(Arc<ManualClock>),
    /// Since when the model's clock, which began with 0, has run.
    Real(Instant),
}

/// The queue and its model, and how the names of one map to those of the other.
struct Pair {
    queue: Arc<dyn Queue>,
    time: Time,
    model: Model,
    /// The queue's id of each message, by the model's number.
    ids: Vec<MessageId>,
    receipts: Vec<(Receipt, ModelReceipt)>,
    sends: usize,
}

impl Pair {
    fn is_exact(&self) -> bool {
        matches!(self.time, Time::Manual(_))
    }

    /// Real time: waits until no lease ends soon, or has ended just now, and tells the model how late it is.
    async fn settle_time(&mut self) {
        let Time::Real(began) = self.time else { return };
        loop {
            let now_ms = as_millis(began.elapsed());
            self.model.advance(now_ms - self.model.now_ms());
            let near = (now_ms - as_millis(BLINK))..(now_ms + as_millis(ROOM));
            let Some(end_ms) = self.model.lease_ends_ms().find(|end| near.contains(end)) else {
                return;
            };
            let rest_ms = end_ms + as_millis(BLINK) - now_ms + 1;
            tokio::time::sleep(Duration::from_millis(rest_ms.unsigned_abs())).await;
        }
    }

    /// Real time: whether a lease may have ended since the model's clock was set.
    fn was_slow(&self) -> bool {
        let Time::Real(began) = self.time else { return false };
        let since = self.model.now_ms()..(as_millis(began.elapsed()) + as_millis(BLINK));
        self.model.lease_ends_ms().any(|end_ms| since.contains(&end_ms))
    }

    async fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Send(ref messages) => return self.send(messages).await,
            Step::Receive { max, seconds } if self.is_exact() => {
                return self.receive(max, seconds).await;
            }
            Step::Receive { max, seconds } => {
                self.receive_some(max, seconds).await?;
            }
            Step::Advance { seconds } => match &self.time {
                Time::Manual(clock) => {
                    clock.advance(Duration::from_secs(seconds));
                    self.model.advance(millis(seconds));
                }
                Time::Real(_) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            },
            Step::ForgetDead { pick } => {
                let dead = self.model.dead();
                // A service finds a dead letter only if it comes by.
                if !dead.is_empty() && self.is_exact() {
                    let number = dead[pick % dead.len()].message.number;
                    let forgotten = self.queue.forget_dead(&self.ids[number]).await;
                    let expected = self.model.forget_dead(number);
                    prop_assert_eq!(forgotten.expect("forget"), expected);
                }
            }
            Step::Extend { pick, seconds } => {
                if let Some((receipt, known)) = self.pick(pick) {
                    let visibility = Duration::from_secs(seconds);
                    let got = self.queue.extend(&receipt, visibility).await;
                    let expected = self.model.extend(known, millis(seconds));
                    prop_assert_eq!(outcome(got), expected, "{:?}", step);
                }
            }
            Step::Release { pick } => {
                if let Some((receipt, known)) = self.pick(pick) {
                    let got = self.queue.release(&receipt).await;
                    prop_assert_eq!(outcome(got), self.model.release(known), "{:?}", step);
                }
            }
            Step::Delete { pick } => {
                if let Some((receipt, known)) = self.pick(pick) {
                    self.delete(&receipt, known).await?;
                }
            }
            Step::DeadLetter { pick } => {
                if let Some((receipt, known)) = self.pick(pick) {
                    let got = self.queue.dead_letter(&receipt, "a test").await;
                    let expected = self.model.dead_letter(known, "a test");
                    prop_assert_eq!(outcome(got), expected, "{:?}", step);
                }
            }
        }
        Ok(())
    }

    async fn delete(
        &mut self,
        receipt: &Receipt,
        known: ModelReceipt,
    ) -> Result<(), TestCaseError> {
        let was_gone = self.model.is_gone(known.number);
        let got = outcome(self.queue.delete(receipt).await);
        let expected = self.model.delete(known);
        // A second delete may be answered with either: the message is gone.
        if self.is_exact() || !was_gone {
            prop_assert_eq!(got, expected, "delete of {:?}", known);
        }
        Ok(())
    }

    async fn send(&mut self, messages: &[(u8, u8)]) -> Result<(), TestCaseError> {
        let mut batch = Vec::new();
        for (group, dedup_id) in messages {
            self.sends += 1;
            batch.push(NewMessage {
                group: format!("group-{group}"),
                dedup_id: format!("dedup-{dedup_id}"),
                body: format!("body-{}", self.sends),
            });
        }
        let sent = self.queue.send(&batch).await.expect("send");
        prop_assert_eq!(sent.len(), batch.len());
        for (message, sent) in batch.iter().zip(sent) {
            let NewMessage { group, dedup_id, body } = message;
            let (number, duplicate) = self.model.send(group, dedup_id, body);
            if self.is_exact() {
                prop_assert_eq!(sent.duplicate, duplicate);
            }
            if duplicate {
                prop_assert_eq!(&sent.id, &self.ids[number]);
            } else {
                self.ids.push(sent.id);
            }
        }
        Ok(())
    }

    async fn receive(&mut self, max: usize, seconds: u64) -> Result<(), TestCaseError> {
        let request =
            Receive { max, visibility: Duration::from_secs(seconds), wait: Duration::ZERO };
        let received = self.queue.receive(request).await.expect("receive");
        let expected = self.model.receive(max, millis(seconds));
        prop_assert_eq!(received.len(), expected.len());
        for (got, known) in received.into_iter().zip(expected) {
            prop_assert_eq!(got.sent_at_ms, known.sent_at_ms);
            prop_assert_eq!(got.first_received_at_ms, known.first_received_at_ms);
            self.compare(got, known)?;
        }
        Ok(())
    }

    /// Of what the model has, whatever the service chooses to give.
    async fn receive_some(&mut self, max: usize, seconds: u64) -> Result<usize, TestCaseError> {
        let runnable = self.model.counts().runnable_groups > 0;
        let wait = if runnable { PATIENCE } else { Duration::ZERO };
        let request = Receive { max, visibility: Duration::from_secs(seconds), wait };
        let received = self.queue.receive(request).await.expect("receive");
        prop_assert!(received.len() <= max);
        let given: Vec<String> = received.iter().map(|got| got.body.clone()).collect();
        let leased = self.model.lease(&given, millis(seconds));
        let leased = leased.map_err(TestCaseError::fail)?;
        for (got, known) in received.into_iter().zip(leased) {
            prop_assert!(got.first_received_at_ms >= got.sent_at_ms);
            self.compare(got, known)?;
        }
        Ok(given.len())
    }

    fn compare(&mut self, got: Received, known: Message) -> Result<(), TestCaseError> {
        prop_assert_eq!(&got.id, &self.ids[known.number]);
        prop_assert_eq!(got.group, known.group);
        prop_assert_eq!(got.body, known.body);
        prop_assert_eq!(got.receive_count, known.receive_count);
        let receipt = ModelReceipt { number: known.number, receive_count: known.receive_count };
        self.receipts.push((got.receipt, receipt));
        Ok(())
    }

    async fn compare_dead(&self) -> Result<(), TestCaseError> {
        let got = self.queue.dead(1_000).await.expect("dead");
        let expected = self.model.dead();
        prop_assert_eq!(got.len(), expected.len());
        for (letter, known) in got.into_iter().zip(expected) {
            let Dead { message, reason, died_at_ms } = known;
            prop_assert_eq!(&letter.id, &self.ids[message.number]);
            prop_assert_eq!(letter.group, message.group);
            prop_assert_eq!(letter.body, message.body);
            prop_assert_eq!(letter.receive_count, message.receive_count);
            prop_assert_eq!(letter.sent_at_ms, message.sent_at_ms);
            prop_assert_eq!(letter.reason, reason);
            prop_assert_eq!(letter.died_at_ms, died_at_ms);
        }
        Ok(())
    }

    /// Real time: gives back what is held, then takes all there is. Nothing is lost, nothing is there twice.
    async fn drain(&mut self) -> Result<(), TestCaseError> {
        for (receipt, known) in self.receipts.clone() {
            self.settle_time().await;
            let got = outcome(self.queue.release(&receipt).await);
            if self.was_slow() {
                return Ok(());
            }
            prop_assert_eq!(got, self.model.release(known), "releasing {:?}", known);
        }
        loop {
            let was_empty = self.model.is_empty();
            self.settle_time().await;
            // From an empty queue nothing comes: the model would not have it.
            let received = self.receive_some(10, 3_600).await?;
            if was_empty {
                break;
            }
            let held = self.receipts.split_off(self.receipts.len() - received);
            for (receipt, known) in held {
                self.delete(&receipt, known).await?;
            }
        }
        let brief = |group: &str, body: &str, reason: &str| format!("{group} {body} {reason}");
        let dead = self.queue.dead(100).await.expect("dead");
        let mut got: Vec<String> =
            dead.iter().map(|one| brief(&one.group, &one.body, &one.reason)).collect();
        let dead = self.model.dead();
        let mut expected: Vec<String> = dead
            .iter()
            .map(|one| brief(&one.message.group, &one.message.body, &one.reason))
            .collect();
        got.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(got, expected, "the dead letters");
        Ok(())
    }

    /// One of the recent receipts, counted from the latest.
    fn pick(&self, pick: usize) -> Option<(Receipt, ModelReceipt)> {
        let recent = self.receipts.len().min(RECENT);
        if recent == 0 {
            return None;
        }
        let back = pick % recent + 1;
        Some(self.receipts[self.receipts.len() - back].clone())
    }
}

fn outcome(result: Result<(), QueueError>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(QueueError::ReceiptExpired { .. }) => Outcome::ReceiptExpired,
        Err(QueueError::Invalid { .. }) => Outcome::Invalid,
        Err(other) => panic!("{other:?}"),
    }
}

fn millis(seconds: u64) -> i64 {
    as_millis(Duration::from_secs(seconds))
}

fn as_millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).expect("tests are short")
}
