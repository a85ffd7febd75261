//! The worker: takes jobs from the queues, keeps their leases alive, does them, and settles their messages.
//!
//! [`run`] is the process. [`executor`] turns one message into one [`feedfleet_model::Outcome`] and does
//! with the message what follows from it; [`lease`] keeps it alive meanwhile; [`jobs`] has one folder a kind
//! of job. What may abort or exhaust a process is done in children: see [`isolate`]. A worker whose machine may be
//! taken away listens to it, hands its work back in time, and says so.

mod backoff;
pub mod consumer;
pub mod deps;
pub mod detect;
pub mod executor;
mod instance;
pub mod isolate;
pub mod jobs;
pub mod lease;
pub mod preview;
pub mod remote;
pub mod room;
pub mod status;

pub use consumer::run;
pub use deps::{Deps, Queues, transfers};
pub use isolate::Program;
