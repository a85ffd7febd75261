//! Messages on their way to the caller: given back if it is gone when they arrive.
//!
//! Not at once. Workers that leave together leave their polls open at SQS; a message that is visible at once goes to the
//! next of these, and so through all of them. Each costs it a receive, and too many are a dead letter.

use super::batcher::Batcher;
use super::leases::Leases;
use super::receive::whole_seconds;
use super::settle::ChangeVisibility;
use super::under_way::{Step, UnderWay};
use feedfleet_queue::{Receipt, Receive, Received};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// How much longer than a poll lasts it is until a message that was given back is seen: the answers have to come, too.
const AFTER_THE_POLLS: Duration = Duration::from_secs(2);

/// Leased messages without an owner yet.
pub(super) struct Delivery {
    received: Vec<Received>,
    give_back: GiveBack,
}

/// The way back.
#[derive(Clone)]
pub(super) struct GiveBack {
    pub(super) runtime: Handle,
    pub(super) leases: Arc<Leases>,
    pub(super) visibilities: Arc<Batcher<ChangeVisibility>>,
    pub(super) under_way: UnderWay,
    pub(super) label: String,
    /// Until what goes back is visible again.
    pub(super) unseen: Duration,
}

/// When the polls are over that others began when this one was begun. Not later than the lease would end by itself.
pub(super) fn unseen_after(request: &Receive) -> Duration {
    (request.wait + AFTER_THE_POLLS).min(request.visibility)
}

impl Delivery {
    pub(super) fn new(received: Vec<Received>, give_back: GiveBack) -> Self {
        Self { received, give_back }
    }

    /// The messages, now the caller's.
    pub(super) fn claim(mut self) -> Vec<Received> {
        std::mem::take(&mut self.received)
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        for unclaimed in std::mem::take(&mut self.received) {
            let give_back = self.give_back.clone();
            // Begun here: whoever waits for what is under way must not come before it.
            let step = give_back.under_way.begin();
            self.give_back.runtime.spawn(give_back.return_soon(unclaimed.receipt, step));
        }
    }
}

impl GiveBack {
    async fn return_soon(self, receipt: Receipt, _step: Step) {
        let seconds = whole_seconds(self.unseen);
        let ask = ChangeVisibility { receipt: receipt.as_str().to_owned(), seconds };
        if let Err(error) = self.visibilities.ask(ask).await {
            tracing::warn!(queue = %self.label, %error, "could not give back an unclaimed message");
        }
        self.leases.ended(&receipt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_back_is_seen_when_the_polls_are_over_or_the_lease_is() {
        let secs = Duration::from_secs;
        let unseen = |wait, visibility| {
            unseen_after(&Receive { max: 1, visibility: secs(visibility), wait: secs(wait) })
        };
        assert_eq!(unseen(10, 120), secs(12));
        assert_eq!(unseen(0, 120), secs(2));
        assert_eq!(unseen(10, 5), secs(5), "no later than by itself");
    }
}
