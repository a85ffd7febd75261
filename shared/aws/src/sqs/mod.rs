//! The queue on SQS FIFO in high-throughput mode.
//!
//! The mode is an attribute of the queues (`infra/` sets it, [`SqsQueue::attributes`] shows it): throughput
//! and deduplication are then by message group. Each handle has a thread of its own ([`io`]) on which its
//! calls run; [`verbs`] says how long each call may take and when it is repeated. What SQS lacks of the contract is
//! added: dead receipts that surely fail ([`leases`]), order that no refusal can change ([`send`]), dead letters
//! with a reason ([`dead`]).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
pub use feedfleet_queue::GroupEstimate;
use feedfleet_queue::{
    Counts, DeadMessage, MessageId, NewMessage, Queue, QueueError, Receipt, Receive, Received,
    Sent, validate_batch, validate_visibility,
};
use tokio::sync::oneshot;
use tokio::time::timeout;

pub use self::attributes::SqsAttributes;
use self::batcher::Batcher;
use self::delivery::{Delivery, GiveBack, unseen_after};
use self::failure::SqsFailure;
use self::io::Io;
use self::leases::Leases;
use self::link::Link;
use self::morgue::Morgue;
use self::receive::whole_seconds;
use self::send::Order;
use self::settle::{ChangeVisibility, Delete};
use self::under_way::UnderWay;
use crate::client::{Aws, http_client};
use crate::error::AwsError;

mod attributes;
mod batcher;
mod dead;
mod delivery;
mod failure;
mod io;
mod leases;
mod link;
mod look;
mod morgue;
mod receive;
mod send;
mod settle;
#[cfg(test)]
mod tests;
mod under_way;
mod verbs;

/// How long a queue that is closed waits for what is under way: a receive of ten seconds with all its repeats, and a
/// message that goes back. As a rule it is the rest of one wait.
const LAST_CALL: Duration = Duration::from_secs(40);
/// The lease that a message gets at least while it is copied to the dead letters and deleted: with every try and every
/// pause of both that takes two minutes.
const COPY_LEASE: Duration = Duration::from_secs(180);

/// How a queue behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqsOptions {
    /// How often a message may be received before SQS moves it to the dead letters: `maxReceiveCount` of the
    /// queue's redrive policy, which does it.
    pub max_receives: u32,
    /// How [`Counts::runnable_groups`] is estimated.
    pub groups: GroupEstimate,
}

/// One queue at SQS, with its dead-letter queue.
pub struct SqsQueue {
    link: Arc<Link>,
    groups: GroupEstimate,
    leases: Arc<Leases>,
    morgue: Arc<Morgue>,
    deletes: Batcher<Delete>,
    visibilities: Arc<Batcher<ChangeVisibility>>,
    under_way: UnderWay,
    // The last field: what runs there goes after those who feed it.
    io: Io,
}

impl SqsQueue {
    /// Opens the queue at `url`, whose dead-letter queue is at `dead_url`. `name` is for errors and logs. Asks
    /// nothing of SQS.
    ///
    /// # Errors
    /// [`QueueError::Invalid`] for zero `max_receives`; [`QueueError::Backend`] if its thread can't be started.
    pub fn open(
        aws: &Aws,
        name: &str,
        url: &str,
        dead_url: &str,
        options: SqsOptions,
    ) -> Result<Self, QueueError> {
        let label = format!("{name} at {url}");
        if options.max_receives == 0 {
            let what = "max_receives is at least 1".to_owned();
            return Err(QueueError::Invalid { queue: label, what });
        }
        let io = Io::start(name).map_err(|error| {
            SqsFailure::from(AwsError::never_sent("SQS", error.to_string()))
                .about(&label, "start its thread")
        })?;
        // Connections of its own, worked by its own thread.
        let config =
            aws_sdk_sqs::config::Builder::from(aws.config()).http_client(http_client()).build();
        let link = Arc::new(Link {
            client: aws_sdk_sqs::Client::from_conf(config),
            label,
            url: url.to_owned(),
            dead_url: dead_url.to_owned(),
            max_receives: options.max_receives,
        });
        let (deleting, changing) = (link.clone(), link.clone());
        Ok(Self {
            groups: options.groups,
            leases: Arc::new(Leases::new()),
            morgue: Arc::new(Morgue::default()),
            deletes: Batcher::start(io.handle(), move |entries| {
                settle::delete(deleting.clone(), entries)
            }),
            visibilities: Arc::new(Batcher::start(io.handle(), move |entries| {
                settle::change(changing.clone(), entries)
            })),
            under_way: UnderWay::new(),
            link,
            io,
        })
    }

    fn link(&self) -> Arc<Link> {
        self.link.clone()
    }

    async fn run<T, Work>(&self, action: &'static str, work: Work) -> Result<T, QueueError>
    where
        T: Send + 'static,
        Work: Future<Output = Result<T, SqsFailure>> + Send + 'static,
    {
        let done = self.io.run(work).await.unwrap_or_else(|closed| Err(closed.into()));
        done.map_err(|failure| failure.about(&self.link.label, action))
    }

    async fn send_in(&self, batch: &[NewMessage], order: Order) -> Result<Vec<Sent>, QueueError> {
        validate_batch(&self.link.label, batch)?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let (link, batch) = (self.link(), batch.to_vec());
        self.run("send messages", async move { send::send(&link, &batch, order).await }).await
    }

    /// Makes the lease end in whole seconds from now.
    async fn change(&self, receipt: &Receipt, visibility: Duration) -> Result<(), SqsFailure> {
        let seconds = whole_seconds(visibility);
        let visibility = Duration::from_secs(u64::from(seconds.unsigned_abs()));
        self.leases.extending(receipt, visibility)?;
        let ask = ChangeVisibility { receipt: receipt.as_str().to_owned(), seconds };
        let changed = self.visibilities.ask(ask).await;
        match &changed {
            Ok(()) if seconds == 0 => self.leases.ended(receipt),
            Ok(()) => self.leases.extended(receipt, visibility),
            Err(SqsFailure::Expired) => self.leases.ended(receipt),
            Err(_) => {}
        }
        changed
    }

    async fn acknowledge(&self, receipt: &Receipt) -> Result<(), SqsFailure> {
        self.leases.check(receipt)?;
        let ask = Delete { receipt: receipt.as_str().to_owned() };
        let deleted = self.deletes.ask(ask).await;
        if matches!(deleted, Ok(()) | Err(SqsFailure::Expired)) {
            self.leases.ended(receipt);
        }
        deleted
    }

    /// Copies, then deletes. The lease is made certain before, and outlasts the copying.
    async fn bury(&self, receipt: &Receipt, reason: &str) -> Result<(), SqsFailure> {
        let message = self.leases.message(receipt)?;
        match self.change(receipt, COPY_LEASE.max(self.leases.left(receipt))).await {
            // Near its ceiling it can't be made longer, but SQS has not called the receipt dead.
            Ok(()) | Err(SqsFailure::PastCeiling) => {}
            Err(failure) => return Err(failure),
        }
        let (link, reason) = (self.link(), reason.to_owned());
        let copied = self.io.run(async move { dead::copy(&link, &message, &reason).await }).await;
        copied.unwrap_or_else(|closed| Err(closed.into()))?;
        self.acknowledge(receipt).await
    }

    fn about(&self, action: &'static str) -> impl Fn(SqsFailure) -> QueueError {
        let label = self.link.label.clone();
        move |failure| failure.about(&label, action)
    }
}

impl fmt::Debug for SqsQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsQueue").field("queue", &self.link.label).finish_non_exhaustive()
    }
}

#[async_trait]
impl Queue for SqsQueue {
    async fn send(&self, batch: &[NewMessage]) -> Result<Vec<Sent>, QueueError> {
        self.send_in(batch, Order::ByGroup).await
    }

    async fn send_unordered(&self, batch: &[NewMessage]) -> Result<Vec<Sent>, QueueError> {
        self.send_in(batch, Order::Any).await
    }

    async fn receive(&self, request: Receive) -> Result<Vec<Received>, QueueError> {
        request.validate(&self.link.label)?;
        let give_back = GiveBack {
            runtime: self.io.handle().clone(),
            leases: self.leases.clone(),
            visibilities: self.visibilities.clone(),
            under_way: self.under_way.clone(),
            label: self.link.label.clone(),
            unseen: unseen_after(&request),
        };
        let (answer, answered) = oneshot::channel();
        let (link, step) = (self.link(), self.under_way.begin());
        let receiving = self.run("receive messages", async move {
            let outcome = receive::receive(&link, &request, || !answer.is_closed()).await;
            let delivery = outcome.map(|received| {
                let lease = whole_seconds(request.visibility).unsigned_abs();
                give_back.leases.hold(&received, Duration::from_secs(u64::from(lease)));
                Delivery::new(received, give_back)
            });
            // A delivery that cannot be handed over is dropped here, and gives its messages back.
            answer.send(delivery).ok();
            drop(step);
            Ok(())
        });
        receiving.await?;
        let delivery = answered.await.unwrap_or_else(|_| Err(io::Closed.into()));
        delivery.map(Delivery::claim).map_err(self.about("receive messages"))
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        validate_visibility(&self.link.label, visibility)?;
        self.change(receipt, visibility).await.map_err(self.about("extend a lease"))
    }

    async fn release(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.change(receipt, Duration::ZERO).await.map_err(self.about("release a message"))
    }

    async fn delete(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.acknowledge(receipt).await.map_err(self.about("delete a message"))
    }

    async fn dead_letter(&self, receipt: &Receipt, reason: &str) -> Result<(), QueueError> {
        self.bury(receipt, reason).await.map_err(self.about("dead-letter a message"))
    }

    async fn counts(&self) -> Result<Counts, QueueError> {
        let (link, groups) = (self.link(), self.groups);
        self.run("count messages", async move { look::counts(&link, groups).await }).await
    }

    async fn dead(&self, limit: usize) -> Result<Vec<DeadMessage>, QueueError> {
        let (link, morgue) = (self.link(), self.morgue.clone());
        self.run("read the dead letters", async move { morgue.look(&link, limit).await }).await
    }

    async fn forget_dead(&self, id: &MessageId) -> Result<bool, QueueError> {
        let (link, morgue, id) = (self.link(), self.morgue.clone(), id.clone());
        self.run("forget a dead letter", async move { morgue.forget(&link, &id).await }).await
    }

    async fn close(&self) {
        if timeout(LAST_CALL, self.under_way.over()).await.is_err() {
            tracing::warn!(
                queue = %self.link.label,
                "a receive has not ended: what it leased comes back when its lease ends"
            );
        }
    }
}
