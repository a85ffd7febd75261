//! Property: after any sequence of operations the SQLite queue has answered as the model did.

use std::sync::Arc;
use std::time::Duration;

use feedfleet_queue::{
    ManualClock, MessageId, NewMessage, Queue, QueueError, Receipt, Receive, SqliteQueue,
};
use proptest::prelude::*;

use super::model::{Dead, Model, ModelReceipt, Outcome};
use super::{START_MS, open};

const MAX_RECEIVES: u32 = 3;

/// How far back operations reach for receipts: present ones mostly, dead ones often.
const RECENT: usize = 6;

/// One operation. `pick` chooses among the recent receipts or the dead letters.
#[derive(Debug, Clone)]
enum Step {
    Send(Vec<(u8, u8)>),
    Receive { max: usize, seconds: u64 },
    Extend { pick: usize, seconds: u64 },
    Release { pick: usize },
    Delete { pick: usize },
    DeadLetter { pick: usize },
    ForgetDead { pick: usize },
    Advance { seconds: u64 },
}

/// Few different lengths, so that leases and windows end exactly when something happens.
fn seconds() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![1, 10, 30, 299, 300, 3_600, 43_200])
}

fn step() -> impl Strategy<Value = Step> {
    let pick = || 0..RECENT;
    let message = (0..3u8, 0..6u8);
    prop_oneof![
        4 => prop::collection::vec(message, 1..5).prop_map(Step::Send),
        6 => (1..=10usize, seconds()).prop_map(|(max, seconds)| Step::Receive { max, seconds }),
        2 => (pick(), seconds()).prop_map(|(pick, seconds)| Step::Extend { pick, seconds }),
        1 => pick().prop_map(|pick| Step::Extend { pick, seconds: 0 }),
        3 => pick().prop_map(|pick| Step::Release { pick }),
        4 => pick().prop_map(|pick| Step::Delete { pick }),
        1 => pick().prop_map(|pick| Step::DeadLetter { pick }),
        1 => pick().prop_map(|pick| Step::ForgetDead { pick }),
        4 => seconds().prop_map(|seconds| Step::Advance { seconds }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        // Every step is a durable write: more cases cost minutes on a slow disk.
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_sqlite_queue_answers_as_the_model(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("runtime");
        runtime.block_on(run(&steps))?;
    }
}

async fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().expect("tempdir");
    let clock = Arc::new(ManualClock::new(START_MS));
    let path = dir.path().join("queue.db");
    let mut pair = Pair {
        queue: open(&path, "crawl", MAX_RECEIVES, &clock),
        clock,
        model: Model::new(START_MS, MAX_RECEIVES),
        ids: Vec::new(),
        receipts: Vec::new(),
        sends: 0,
    };
    for step in steps {
        pair.take(step).await?;
        let counts = pair.queue.counts().await.expect("counts");
        prop_assert_eq!(counts, pair.model.counts(), "after {:?}", step);
        pair.compare_dead().await?;
    }
    Ok(())
}

/// The queue and its model, and how the names of one map to those of the other.
struct Pair {
    queue: SqliteQueue,
    clock: Arc<ManualClock>,
    model: Model,
    /// The queue's id of each message, by the model's number.
    ids: Vec<MessageId>,
    receipts: Vec<(Receipt, ModelReceipt)>,
    sends: usize,
}

impl Pair {
    async fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Send(ref messages) => return self.send(messages).await,
            Step::Receive { max, seconds } => return self.receive(max, seconds).await,
            Step::Advance { seconds } => {
                self.clock.advance(Duration::from_secs(seconds));
                self.model.advance(millis(seconds));
            }
            Step::ForgetDead { pick } => {
                let dead = self.model.dead();
                if !dead.is_empty() {
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
                    let got = self.queue.delete(&receipt).await;
                    prop_assert_eq!(outcome(got), self.model.delete(known), "{:?}", step);
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
            prop_assert_eq!(sent.duplicate, duplicate);
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
            prop_assert_eq!(&got.id, &self.ids[known.number]);
            prop_assert_eq!(got.group, known.group);
            prop_assert_eq!(got.body, known.body);
            prop_assert_eq!(got.receive_count, known.receive_count);
            prop_assert_eq!(got.sent_at_ms, known.sent_at_ms);
            prop_assert_eq!(got.first_received_at_ms, known.first_received_at_ms);
            let receipt = ModelReceipt { number: known.number, receive_count: known.receive_count };
            self.receipts.push((got.receipt, receipt));
        }
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
    i64::try_from(seconds * 1_000).expect("few seconds")
}
