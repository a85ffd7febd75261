//! Collects what callers ask for at about the same time, so that up to ten of them share one request.
//!
//! A worker that drains gives all its messages back in the same instant, and many slots acknowledge at a good
//! pace: those share requests. A caller alone waits a few milliseconds, after a job of seconds. Each batch
//! goes on its way by itself, so that one whose answer is late delays no other.

use super::failure::SqsFailure;
use super::io::Closed;
use feedfleet_queue::MAX_BATCH;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

/// How long the first of a batch waits for others.
const LINGER: Duration = Duration::from_millis(5);
/// Callers that wait to be collected; more of them wait to wait.
const WAITING: usize = 64;

/// Something asked for a receipt.
pub(super) trait Ask: Clone + Send + Sync + 'static {
    /// The receipt handle.
    fn receipt(&self) -> &str;

    /// Whether it may be asked for again, so long after a try that may have been done.
    fn may_be_repeated(&self, _after: Duration) -> bool {
        true
    }
}

/// One caller's share of a batch.
#[derive(Debug)]
pub(super) struct Entry<A> {
    /// What is asked for.
    pub(super) ask: A,
    /// Whether it may be done already: an answer was lost.
    pub(super) may_be_done: bool,
    answer: oneshot::Sender<Result<(), SqsFailure>>,
}

impl<A> Entry<A> {
    /// Tells the caller. One that has gone away does not need to know.
    pub(super) fn answer(self, outcome: Result<(), SqsFailure>) {
        self.answer.send(outcome).ok();
    }

    /// Whether the caller has gone away: what it asked for may not be what is wanted now.
    pub(super) fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }
}

/// The way into the batches.
#[derive(Debug)]
pub(super) struct Batcher<A> {
    entries: mpsc::Sender<Entry<A>>,
}

impl<A: Ask> Batcher<A> {
    /// Collects on this runtime, until this is dropped. `flush` answers every entry it is given.
    pub(super) fn start<Flush, Flushing>(runtime: &Handle, flush: Flush) -> Self
    where
        Flush: Fn(Vec<Entry<A>>) -> Flushing + Send + 'static,
        Flushing: Future<Output = ()> + Send + 'static,
    {
        let (entries, incoming) = mpsc::channel(WAITING);
        runtime.spawn(collect(incoming, flush));
        Self { entries }
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&self, ask: A) -> Result<(), SqsFailure> {
        let (answer, answered) = oneshot::channel();
        let entry = Entry { ask, may_be_done: false, answer };
        self.entries.send(entry).await.map_err(|_| Closed)?;
        answered.await.map_err(|_| Closed)?
    }
}

async fn collect<A, Flush, Flushing>(mut incoming: mpsc::Receiver<Entry<A>>, flush: Flush)
where
    A: Ask,
    Flush: Fn(Vec<Entry<A>>) -> Flushing,
    Flushing: Future<Output = ()> + Send + 'static,
{
    while let Some(first) = incoming.recv().await {
        let mut batch = vec![first];
        let mut later = None;
        let until = Instant::now() + LINGER;
        while batch.len() < MAX_BATCH {
            match timeout_at(until, incoming.recv()).await {
                Ok(Some(entry)) => {
                    if batch.iter().any(|other| other.ask.receipt() == entry.ask.receipt()) {
                        later = Some(entry);
                        break;
                    }
                    batch.push(entry);
                }
                Ok(None) | Err(_) => break,
            }
        }
        let flushing = tokio::spawn(flush(batch));
        if let Some(entry) = later {
            // The later word on a receipt must not overtake the earlier one. Others do not wait for that.
            let later = flush(vec![entry]);
            tokio::spawn(async move {
                flushing.await.ok();
                later.await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Debug, Clone)]
    struct Named(String);

    impl Ask for Named {
        fn receipt(&self) -> &str {
            &self.0
        }
    }

    type Log = Arc<Mutex<Vec<Vec<String>>>>;

    /// A batcher that writes down its batches, and refuses what is called "bad".
    fn logging(log: &Log) -> Batcher<Named> {
        let log = log.clone();
        Batcher::start(&Handle::current(), move |batch: Vec<Entry<Named>>| {
            log.lock().unwrap().push(batch.iter().map(|entry| entry.ask.0.clone()).collect());
            async move {
                for entry in batch {
                    let bad = entry.ask.0 == "bad";
                    entry.answer(if bad { Err(SqsFailure::Expired) } else { Ok(()) });
                }
            }
        })
    }

    async fn ask_all(batcher: &Arc<Batcher<Named>>, names: &[&str]) -> Vec<Result<(), SqsFailure>> {
        let mut asking = Vec::new();
        for name in names {
            let (batcher, ask) = (batcher.clone(), Named((*name).to_owned()));
            asking.push(tokio::spawn(async move { batcher.ask(ask).await }));
        }
        let mut outcomes = Vec::new();
        for one in asking {
            outcomes.push(one.await.unwrap());
        }
        outcomes
    }

    #[tokio::test]
    async fn those_who_ask_together_share_a_request_and_get_their_own_answers() {
        let log = Log::default();
        let batcher = Arc::new(logging(&log));
        let outcomes = ask_all(&batcher, &["a", "bad", "c"]).await;
        assert_eq!(outcomes, [Ok(()), Err(SqsFailure::Expired), Ok(())]);
        assert_eq!(*log.lock().unwrap(), [["a", "bad", "c"]]);
    }

    #[tokio::test]
    async fn a_batch_holds_ten() {
        let log = Log::default();
        let batcher = Arc::new(logging(&log));
        let names: Vec<String> = (0..23).map(|n| n.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(ask_all(&batcher, &names).await.iter().all(Result::is_ok));
        let sizes: Vec<usize> = log.lock().unwrap().iter().map(Vec::len).collect();
        assert_eq!(sizes, [10, 10, 3]);
    }

    #[tokio::test]
    async fn two_words_on_one_receipt_go_one_after_the_other() {
        let log = Log::default();
        let batcher = Arc::new(logging(&log));
        ask_all(&batcher, &["a", "b", "a"]).await;
        assert_eq!(*log.lock().unwrap(), [vec!["a", "b"], vec!["a"]]);
    }
}
