//! What is under way on a queue's thread that may lease messages, or gives them back: counted, so that its end can
//! be waited for though whoever began it has gone away.

use std::sync::Arc;
use tokio::sync::watch;

/// Counts what is under way. Clones share the count.
#[derive(Debug, Clone)]
pub(super) struct UnderWay(Arc<watch::Sender<usize>>);

/// One thing that is under way; it has ended when this is dropped.
#[derive(Debug)]
#[must_use = "it has ended when this is dropped"]
pub(super) struct Step(UnderWay);

impl UnderWay {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Begins something.
    pub(super) fn begin(&self) -> Step {
        self.0.send_modify(|steps| *steps += 1);
        Step(self.clone())
    }

    /// Waits until nothing is under way.
    pub(super) async fn over(&self) {
        // No error: the sender is here.
        self.0.subscribe().wait_for(|steps| *steps == 0).await.ok();
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.0.0.send_modify(|steps| *steps -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn the_end_of_the_last_step_is_waited_for() {
        let short = Duration::from_millis(20);
        let under_way = UnderWay::new();
        timeout(short, under_way.over()).await.expect("nothing has begun");
        let (one, other) = (under_way.begin(), under_way.clone().begin());
        drop(one);
        assert!(timeout(short, under_way.over()).await.is_err(), "the other has not ended");
        drop(other);
        timeout(short, under_way.over()).await.expect("both have ended");
    }
}
