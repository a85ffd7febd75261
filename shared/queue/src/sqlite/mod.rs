//! The embedded queue: named queues in one SQLite file, shared by any number of processes.
//!
//! Every handle has one connection, owned by one thread ([`thread`]). Each operation is one
//! transaction, so a crash leaves a message either as it was or as it was meant to become, and
//! with `synchronous = FULL` what was answered with `Ok` survives a power cut. The tables are
//! in [`schema`].

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

pub use self::checkup::SqliteSettings;
use self::failure::OpError;
use self::receive::Delivery;
use self::scope::Scope;
use self::thread::{DatabaseThread, ThreadGone};
use crate::clock::{QueueClock, SystemClock};
use crate::contract::{
    Counts, DeadMessage, MessageId, NewMessage, Queue, Receipt, Receive, Received, Sent,
};
use crate::error::QueueError;
use crate::limits::{validate_batch, validate_name, validate_visibility};

mod checkup;
mod failure;
mod look;
#[cfg(test)]
mod plans;
mod receive;
mod schema;
mod scope;
mod send;
mod settle;
mod thread;

/// First and longest pause between two looks of a waiting receive. A look costs two index
/// probes and writes nothing, so an idle fleet does not wear out the disk.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// How long [`Queue::close`] waits: for two operations that both wait for other processes.
const LAST_CALL: Duration = Duration::from_secs(15);

/// How a queue behaves. All handles of one queue should agree.
#[derive(Clone)]
pub struct SqliteQueueOptions {
    /// How often a message may be received, at least 1. The next receive finds it dead. Leave
    /// slack: an interrupted job costs a receive too.
    pub max_receives: u32,
    /// The clock leases and deduplication go by.
    pub clock: Arc<dyn QueueClock>,
}

impl SqliteQueueOptions {
    /// Options with the machine's clock.
    pub fn new(max_receives: u32) -> Self {
        Self { max_receives, clock: Arc::new(SystemClock) }
    }
}

impl fmt::Debug for SqliteQueueOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteQueueOptions")
            .field("max_receives", &self.max_receives)
            .finish_non_exhaustive()
    }
}

/// One named queue in a SQLite file.
pub struct SqliteQueue {
    scope: Arc<Scope>,
    thread: DatabaseThread,
}

impl SqliteQueue {
    /// Opens the queue `name` in the file at `path`; makes file and queue if they are missing,
    /// but not the folder. Blocks while it does.
    ///
    /// # Errors
    /// [`QueueError::Invalid`] for a bad name or zero `max_receives`;
    /// [`QueueError::SchemaTooNew`]; [`QueueError::Backend`] if the file can't be opened.
    pub fn open(path: &Path, name: &str, options: SqliteQueueOptions) -> Result<Self, QueueError> {
        let label = format!("{name} in {}", path.display());
        validate_name(&label, "a queue's name", name)?;
        if options.max_receives == 0 {
            let what = "max_receives is at least 1".to_owned();
            return Err(QueueError::Invalid { queue: label, what });
        }
        let opened = schema::open(path, name).map_err(|error| error.about(&label, "open"))?;
        let thread = DatabaseThread::start(opened.connection, name)
            .map_err(|error| failure::thread_error(&label, "start its thread", error))?;
        let scope = Scope {
            queue_id: opened.queue_id,
            label,
            max_receives: options.max_receives,
            clock: options.clock,
        };
        Ok(Self { scope: Arc::new(scope), thread })
    }

    async fn run<T, F>(&self, action: &'static str, op: F) -> Result<T, QueueError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection, &Arc<Scope>) -> Result<T, OpError> + Send + 'static,
    {
        let scope = Arc::clone(&self.scope);
        let answer = self.thread.run(move |conn| op(conn, &scope)).await;
        match answer {
            Ok(result) => result.map_err(|error| error.about(&self.scope.label, action)),
            Err(gone) => Err(failure::thread_error(&self.scope.label, action, gone)),
        }
    }

    async fn receive_now(&self, request: Receive) -> Result<Vec<Received>, QueueError> {
        let thread = self.thread.clone();
        let delivery = self
            .run("receive messages", move |conn, scope| {
                let received = receive::receive(conn, scope, &request)?;
                Ok(Delivery::new(received, thread, Arc::clone(scope)))
            })
            .await?;
        Ok(delivery.claim())
    }
}

impl fmt::Debug for SqliteQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteQueue").field("queue", &self.scope.label).finish_non_exhaustive()
    }
}

#[async_trait]
impl Queue for SqliteQueue {
    async fn send(&self, batch: &[NewMessage]) -> Result<Vec<Sent>, QueueError> {
        validate_batch(&self.scope.label, batch)?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let batch = batch.to_vec();
        self.run("send messages", move |conn, scope| send::send(conn, scope, &batch)).await
    }

    async fn receive(&self, request: Receive) -> Result<Vec<Received>, QueueError> {
        request.validate(&self.scope.label)?;
        let deadline = Instant::now() + request.wait;
        let mut pause = FIRST_PAUSE;
        loop {
            let received = self.receive_now(request).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            if !received.is_empty() || left.is_zero() {
                return Ok(received);
            }
            sleep(pause.min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        validate_visibility(&self.scope.label, visibility)?;
        let receipt = receipt.clone();
        self.run("extend a lease", move |conn, scope| {
            settle::extend(conn, scope, &receipt, visibility)
        })
        .await
    }

    async fn release(&self, receipt: &Receipt) -> Result<(), QueueError> {
        let receipt = receipt.clone();
        self.run("release a message", move |conn, scope| settle::release(conn, scope, &receipt))
            .await
    }

    async fn delete(&self, receipt: &Receipt) -> Result<(), QueueError> {
        let receipt = receipt.clone();
        self.run("delete a message", move |conn, scope| settle::delete(conn, scope, &receipt)).await
    }

    async fn dead_letter(&self, receipt: &Receipt, reason: &str) -> Result<(), QueueError> {
        let receipt = receipt.clone();
        let reason = reason.to_owned();
        self.run("dead-letter a message", move |conn, scope| {
            settle::dead_letter(conn, scope, &receipt, &reason)
        })
        .await
    }

    async fn counts(&self) -> Result<Counts, QueueError> {
        self.run("count messages", |conn, scope| look::counts(conn, scope)).await
    }

    async fn dead(&self, limit: usize) -> Result<Vec<DeadMessage>, QueueError> {
        self.run("read the dead letters", move |conn, scope| look::dead(conn, scope, limit)).await
    }

    async fn forget_dead(&self, id: &MessageId) -> Result<bool, QueueError> {
        let id = id.clone();
        self.run("forget a dead letter", move |conn, scope| look::forget_dead(conn, scope, &id))
            .await
    }

    async fn close(&self) {
        let done = async {
            // What a dropped receive has leased is given back behind what was posted by then.
            for _ in 0..2 {
                self.thread.run(|_| ()).await?;
            }
            Ok::<_, ThreadGone>(())
        };
        if timeout(LAST_CALL, done).await.is_err() {
            let queue = &self.scope.label;
            warn!(%queue, "a receive has not ended: what it leased comes back when its lease ends");
        }
    }
}
