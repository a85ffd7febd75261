//! The job queue.
//!
//! [`Queue`] is the interface and carries the whole contract: SQS FIFO's semantics, written so
//! that a worker needs to know no backend. [`SqliteQueue`] is the embedded backend: one file,
//! several named queues, several processes. With the feature `contract-suite` the module
//! `contract_suite` holds the checks that every backend has to pass.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod clock;
mod contract;
#[cfg(feature = "contract-suite")]
pub mod contract_suite;
mod error;
mod estimate;
mod limits;
mod sqlite;

pub use clock::{ManualClock, QueueClock, SystemClock};
pub use contract::{
    Counts, DeadMessage, MessageId, NewMessage, Queue, Receipt, Receive, Received, Sent,
};
pub use error::QueueError;
pub use estimate::GroupEstimate;
pub use limits::{
    DEDUP_WINDOW, MAX_BATCH, MAX_BODY_BYTES, MAX_NAME_BYTES, MAX_VISIBILITY, MAX_WAIT,
    validate_batch, validate_visibility,
};
pub use sqlite::{SqliteQueue, SqliteQueueOptions, SqliteSettings};
