//! Messages on their way to the caller: given back if it is gone when they arrive.

use super::batcher::Batcher;
use super::leases::Leases;
use super::settle::ChangeVisibility;
use super::under_way::{Step, UnderWay};
use feedfleet_queue::{Receipt, Received};
use std::sync::Arc;
use tokio::runtime::Handle;

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
            self.give_back.runtime.spawn(give_back.release(unclaimed.receipt, step));
        }
    }
}

impl GiveBack {
    async fn release(self, receipt: Receipt, _step: Step) {
        let ask = ChangeVisibility { receipt: receipt.as_str().to_owned(), seconds: 0 };
        if let Err(error) = self.visibilities.ask(ask).await {
            tracing::warn!(queue = %self.label, %error, "could not give back an unclaimed message");
        }
        self.leases.ended(&receipt);
    }
}
