//! Settling: deletes and changes of visibility, in batches, each entry repeated while that may help.

use super::batcher::{Ask, Entry};
use super::failure::SqsFailure;
use super::link::Link;
use super::verbs;
use crate::error::AwsError;
use crate::retry::Retries;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const DELETE: &str = "DeleteMessageBatch";
const CHANGE: &str = "ChangeMessageVisibilityBatch";

/// Asks for a message to be deleted.
#[derive(Debug, Clone)]
pub(super) struct Delete {
    pub(super) receipt: String,
}

/// Asks for a lease to end so many seconds from now; 0 ends it.
#[derive(Debug, Clone)]
pub(super) struct ChangeVisibility {
    pub(super) receipt: String,
    pub(super) seconds: i32,
}

impl Ask for Delete {
    fn receipt(&self) -> &str {
        &self.receipt
    }
}

impl Ask for ChangeVisibility {
    fn receipt(&self) -> &str {
        &self.receipt
    }

    /// While the lease lasts that the first try may have made. After that, and after a release at once, the message
    /// may have its next holder, and SQS may take this receipt for that one's.
    fn may_be_repeated(&self, after: Duration) -> bool {
        after < Duration::from_secs(u64::from(self.seconds.unsigned_abs()))
    }
}

/// What SQS said to the entries of a batch, by their place in it. One that it did not mention is not in here.
type Outcomes = HashMap<usize, Result<(), SqsFailure>>;

/// Deletes, and answers every entry.
pub(super) async fn delete(link: Arc<Link>, entries: Vec<Entry<Delete>>) {
    flush(DELETE, verbs::DELETE, entries, |asks| delete_once(link.clone(), asks)).await;
}

/// Changes visibilities, and answers every entry.
pub(super) async fn change(link: Arc<Link>, entries: Vec<Entry<ChangeVisibility>>) {
    flush(CHANGE, verbs::VISIBILITY, entries, |asks| change_once(link.clone(), asks)).await;
}

async fn flush<A, Call, Answer>(
    name: &'static str,
    retries: Retries,
    mut entries: Vec<Entry<A>>,
    call: Call,
) where
    A: Ask,
    Call: Fn(Vec<A>) -> Answer,
    Answer: Future<Output = Result<Outcomes, SqsFailure>>,
{
    let mut pauses = retries.pauses();
    let begun = Instant::now();
    loop {
        entries.retain(|entry| !entry.is_abandoned());
        if entries.is_empty() {
            return;
        }
        let answered = call(entries.iter().map(|entry| entry.ask.clone()).collect()).await;
        let mut again = Vec::new();
        for (place, mut entry) in entries.into_iter().enumerate() {
            match outcome(name, place, &answered) {
                Err(failure) if failure.is_passing() => {
                    entry.may_be_done |= failure.may_have_happened();
                    if entry.may_be_done && !entry.ask.may_be_repeated(begun.elapsed()) {
                        // The receipt is no longer the caller's, as far as anybody can know.
                        entry.answer(Err(SqsFailure::Expired));
                    } else {
                        again.push((entry, failure));
                    }
                }
                outcome => entry.answer(outcome),
            }
        }
        let Some(pause) = pauses.next() else {
            for (entry, failure) in again {
                entry.answer(Err(failure));
            }
            return;
        };
        entries = again.into_iter().map(|(entry, _)| entry).collect();
        if !entries.is_empty() {
            sleep(pause).await;
        }
    }
}

fn outcome(
    name: &'static str,
    place: usize,
    answered: &Result<Outcomes, SqsFailure>,
) -> Result<(), SqsFailure> {
    match answered {
        Ok(outcomes) => outcomes.get(&place).cloned().unwrap_or_else(|| {
            Err(AwsError::strange_answer(name, "an entry was not answered").into())
        }),
        Err(failure) => Err(failure.clone()),
    }
}

/// Makes a batch call and reads its answer. A macro: the SDK's two calls, and their answers, have no type in common.
macro_rules! settle {
    ($name:expr, $call:expr) => {{
        let call = $call.customize().config_override(verbs::settling());
        let answered = call.send().await.map_err(|error| SqsFailure::of($name, &error))?;
        let done = answered.successful().iter().map(|entry| entry.id());
        Ok(outcomes($name, done, answered.failed()))
    }};
}

async fn delete_once(link: Arc<Link>, asks: Vec<Delete>) -> Result<Outcomes, SqsFailure> {
    let mut call = link.client.delete_message_batch().queue_url(&link.url);
    for (place, ask) in asks.into_iter().enumerate() {
        let entry = DeleteMessageBatchRequestEntry::builder()
            .id(place.to_string())
            .receipt_handle(ask.receipt)
            .build()
            .map_err(|error| AwsError::never_sent(DELETE, error.to_string()))?;
        call = call.entries(entry);
    }
    settle!(DELETE, call)
}

async fn change_once(link: Arc<Link>, asks: Vec<ChangeVisibility>) -> Result<Outcomes, SqsFailure> {
    let mut call = link.client.change_message_visibility_batch().queue_url(&link.url);
    for (place, ask) in asks.into_iter().enumerate() {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(place.to_string())
            .receipt_handle(ask.receipt)
            .visibility_timeout(ask.seconds)
            .build()
            .map_err(|error| AwsError::never_sent(CHANGE, error.to_string()))?;
        call = call.entries(entry);
    }
    settle!(CHANGE, call)
}

fn outcomes<'a>(
    name: &'static str,
    done: impl Iterator<Item = &'a str>,
    failed: &[BatchResultErrorEntry],
) -> Outcomes {
    let place = |id: &str| id.parse::<usize>().ok();
    let done = done.filter_map(|id| Some((place(id)?, Ok(()))));
    let failed = failed
        .iter()
        .filter_map(|entry| Some((place(entry.id())?, Err(SqsFailure::of_entry(name, entry)))));
    done.chain(failed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqs::batcher::Batcher;
    use std::sync::Mutex;
    use tokio::runtime::Handle;

    const QUICK: Retries = Retries::new(1, Duration::from_millis(1), Duration::from_millis(1));

    fn ask(receipt: &str) -> Delete {
        Delete { receipt: receipt.to_owned() }
    }

    /// Settles "lost" only when asked again, "never" not at all, and finds "dead" dead.
    async fn service(
        asked: Arc<Mutex<Vec<String>>>,
        asks: Vec<Delete>,
    ) -> Result<Outcomes, SqsFailure> {
        let mut outcomes = Outcomes::new();
        for (place, ask) in asks.into_iter().enumerate() {
            let before = asked.lock().unwrap().contains(&ask.receipt);
            let passing = Err(AwsError::of_entry("Call", "InternalError", None, false).into());
            let outcome = match ask.receipt.as_str() {
                "lost" if !before => passing,
                "never" => passing,
                "dead" => Err(SqsFailure::Expired),
                _ => Ok(()),
            };
            asked.lock().unwrap().push(ask.receipt);
            outcomes.insert(place, outcome);
        }
        Ok(outcomes)
    }

    #[tokio::test]
    async fn only_entries_that_may_yet_succeed_are_repeated() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let own = asked.clone();
        let batcher = Arc::new(Batcher::start(&Handle::current(), move |entries| {
            let asked = own.clone();
            flush("Call", QUICK, entries, move |asks| service(asked.clone(), asks))
        }));
        let mut asking = Vec::new();
        for receipt in ["good", "lost", "dead", "never"] {
            let batcher = batcher.clone();
            asking.push(tokio::spawn(async move { batcher.ask(ask(receipt)).await }));
        }
        let mut outcomes = Vec::new();
        for one in asking {
            outcomes.push(one.await.unwrap());
        }
        assert_eq!(outcomes[..3], [Ok(()), Ok(()), Err(SqsFailure::Expired)]);
        assert!(outcomes[3].as_ref().is_err_and(SqsFailure::is_passing), "the last error stands");
        let asked = asked.lock().unwrap();
        assert_eq!(*asked, ["good", "lost", "dead", "never", "lost", "never"]);
    }

    /// Asks once for a lease to end then; the first call fails so. What the caller hears, and the number of calls.
    async fn changed(seconds: i32, failure: AwsError) -> (Result<(), SqsFailure>, usize) {
        let calls = Arc::new(Mutex::new(0));
        let own = calls.clone();
        let batcher = Batcher::start(&Handle::current(), move |entries| {
            let (calls, failure) = (own.clone(), failure.clone());
            flush(CHANGE, QUICK, entries, move |asks: Vec<ChangeVisibility>| {
                let mut calls = calls.lock().unwrap();
                *calls += 1;
                let all_well = (0..asks.len()).map(|place| (place, Ok(()))).collect();
                let answer: Result<Outcomes, SqsFailure> =
                    if *calls == 1 { Err(failure.clone().into()) } else { Ok(all_well) };
                async move { answer }
            })
        });
        let outcome = batcher.ask(ChangeVisibility { receipt: "r".to_owned(), seconds }).await;
        let calls = *calls.lock().unwrap();
        (outcome, calls)
    }

    #[tokio::test]
    async fn a_release_that_may_have_happened_is_not_made_again() {
        let lost = AwsError::strange_answer(CHANGE, "cut off");
        let throttled = AwsError::of_entry(CHANGE, "RequestThrottled", None, true);
        assert_eq!(changed(0, lost.clone()).await, (Err(SqsFailure::Expired), 1));
        assert_eq!(changed(0, throttled).await, (Ok(()), 2), "SQS has refused it");
        assert_eq!(changed(120, lost).await, (Ok(()), 2), "the lease is held either way");
    }

    #[test]
    fn an_extension_may_be_repeated_while_it_would_last() {
        let extension = ChangeVisibility { receipt: "r".to_owned(), seconds: 2 };
        assert!(extension.may_be_repeated(Duration::from_millis(1_900)));
        assert!(!extension.may_be_repeated(Duration::from_secs(2)));
        assert!(ask("r").may_be_repeated(Duration::from_secs(3_600)), "what is gone stays gone");
    }

    #[test]
    fn an_entry_that_was_not_mentioned_is_asked_again() {
        let silent = outcome("Call", 0, &Ok(Outcomes::new()));
        assert!(silent.is_err_and(|failure| failure.is_passing()));
    }
}
