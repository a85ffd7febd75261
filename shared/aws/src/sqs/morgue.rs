//! Looking at the dead-letter queue, which SQS allows only by receiving from it.
//!
//! A look leases what it sees for half a minute, and this handle keeps the receipts as long: so whoever looks, and
//! then forgets some of what was seen, deletes each by one call, and does not search the whole queue for each.
//! Others do not see those letters meanwhile. SQS shows at most ten of one group at a time. Both are no
//! loss: the lasting dead letter is an object, and this list only its place in line.

use super::dead::to_dead;
use super::failure::SqsFailure;
use super::link::Link;
use super::receive::{Poll, poll_once};
use super::verbs;
use crate::error::AwsError;
use feedfleet_queue::{DeadMessage, MAX_BATCH, MessageId};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const CALL: &str = "DeleteMessage";
/// How long a look holds what it sees.
const HELD: Duration = Duration::from_secs(30);
/// How long one look goes on: the first of what it saw must still be held when it ends.
const LONGEST_LOOK: Duration = Duration::from_secs(20);
/// How long a look waits for the next letters before it takes the queue for empty.
const LOOK_WAIT: Duration = Duration::from_secs(1);
/// A look sees so many at least, so that it can put the longest dead first.
const FEWEST: usize = 100;
/// A search that found nothing is not made again so soon.
const SEARCH_PAUSE: Duration = Duration::from_secs(10);

/// The dead letters that this handle holds.
#[derive(Debug, Default)]
pub(super) struct Morgue {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: Vec<Held>,
    searched: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Held {
    letter: DeadMessage,
    receipt: String,
    until: Instant,
}

impl Morgue {
    /// Up to `limit` dead letters, the longest dead first.
    pub(super) async fn look(
        &self,
        link: &Link,
        limit: usize,
    ) -> Result<Vec<DeadMessage>, SqsFailure> {
        let want = limit.max(FEWEST);
        let started = Instant::now();
        while self.count() < want && started.elapsed() < LONGEST_LOOK {
            if self.receive(link, LOOK_WAIT).await? == 0 {
                break;
            }
        }
        let mut letters: Vec<DeadMessage> =
            self.lock().held.iter().map(|held| held.letter.clone()).collect();
        letters.sort_by(|a, b| (a.died_at_ms, &a.id).cmp(&(b.died_at_ms, &b.id)));
        letters.truncate(limit);
        Ok(letters)
    }

    /// Deletes the letter if it is held or comes by.
    pub(super) async fn forget(&self, link: &Link, id: &MessageId) -> Result<bool, SqsFailure> {
        if self.delete_held(link, id).await? {
            return Ok(true);
        }
        let searched = self.lock().searched;
        if searched.is_some_and(|at| at.elapsed() < SEARCH_PAUSE) {
            return Ok(false);
        }
        let started = Instant::now();
        while started.elapsed() < LONGEST_LOOK {
            if self.receive(link, Duration::ZERO).await? == 0 {
                break;
            }
            if self.delete_held(link, id).await? {
                return Ok(true);
            }
        }
        self.lock().searched = Some(Instant::now());
        Ok(false)
    }

    /// Deletes what is held under this id; whether there was any.
    async fn delete_held(&self, link: &Link, id: &MessageId) -> Result<bool, SqsFailure> {
        let receipts = self.receipts(id);
        let mut deleted = false;
        for receipt in receipts {
            match delete(link, &receipt).await {
                Ok(()) => deleted = true,
                // Held too long: it is on the queue again, and may come by.
                Err(SqsFailure::Expired) => {}
                Err(failure) => return Err(failure),
            }
            self.lock().held.retain(|held| held.receipt != receipt);
        }
        Ok(deleted)
    }

    /// Receives some; how many.
    async fn receive(&self, link: &Link, wait: Duration) -> Result<usize, SqsFailure> {
        let poll = Poll { max: MAX_BATCH, visibility: HELD, wait };
        let asked = Instant::now();
        let messages = poll_once(link, &link.dead_url, poll, true).await?;
        let came = messages.len();
        let mut state = self.lock();
        for message in messages {
            let Some(receipt) = message.receipt_handle.clone() else { continue };
            if let Some(letter) = to_dead(link, message) {
                state.held.push(Held { letter, receipt, until: asked + HELD });
            }
        }
        Ok(came)
    }

    fn receipts(&self, id: &MessageId) -> Vec<String> {
        let state = self.lock();
        let of_id = state.held.iter().filter(|held| held.letter.id == *id);
        of_id.map(|held| held.receipt.clone()).collect()
    }

    fn count(&self) -> usize {
        self.lock().held.len()
    }

    /// What is held no more is not in it.
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one step: whoever panicked left it whole.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        state.held.retain(|held| now < held.until);
        state
    }
}

async fn delete(link: &Link, receipt: &str) -> Result<(), SqsFailure> {
    let deleted = verbs::DELETE.run(|| {
        let call = link.client.delete_message().queue_url(&link.dead_url).receipt_handle(receipt);
        let call = call.customize().config_override(verbs::settling());
        async move { call.send().await.map(|_| ()).map_err(|error| AwsError::of(CALL, &error)) }
    });
    deleted.await.map_err(SqsFailure::from)
}
