//! How a job ends.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The end of one attempt at a job. What becomes of its message follows from it and from nothing else.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The work is durable: acknowledge.
    Done,
    /// A newer run of the pipe is in the table already: acknowledge.
    Superseded,
    /// The run had ended before, and its message came again: nothing was done, acknowledge.
    Ended,
    /// A passing fault: hand the message back, not to be seen before this time has gone by. It costs
    /// the receive; past the limit it becomes a dead letter with this reason.
    RetryAfter(Duration, Reason),
    /// The worker must go, or its lease is gone: release at once. Not a failure of the job.
    Interrupted,
    /// The job has worked for as long as one lease may last, and saved what it has: send its continuation, then
    /// acknowledge. It costs no attempt.
    Continued,
    /// It cannot succeed however often it is tried: a dead letter with this reason.
    Dead(Reason),
}

impl Outcome {
    /// The word for it in logs and reports.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Superseded => "superseded",
            Outcome::Ended => "ended",
            Outcome::RetryAfter(..) => "retry",
            Outcome::Interrupted => "interrupted",
            Outcome::Continued => "continued",
            Outcome::Dead(_) => "dead",
        }
    }
}

/// Why a job failed: a class that operators filter by, and a sentence for them to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What kind of failure.
    pub class: ReasonClass,
    /// What happened, to what, and where.
    pub message: String,
}

impl Reason {
    /// A reason of this class.
    pub fn new(class: ReasonClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.message)
    }
}

/// The kinds of failure an operator tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonClass {
    /// The pipe's configuration is missing or wrong.
    Configuration,
    /// The source could not be reached, or answered with a server's error.
    SourceUnavailable,
    /// The source does not exist (404, 410) or refuses us (401, 403).
    SourceRefused,
    /// What came is not a feed: empty, a web page, another format.
    NotAFeed,
    /// The source went past a limit: bytes, inflated bytes, time, depth.
    LimitExceeded,
    /// The HTTP guard refused the address.
    AddressRefused,
    /// The table, the objects or the queue failed.
    Storage,
    /// The job ran past its deadline.
    Deadline,
    /// The job panicked.
    Panicked,
    /// The worker died under the job: killed, aborted, out of memory.
    WorkerLost,
    /// The message is not one of ours, or of a schema that nobody here knows.
    Unreadable,
}

impl fmt::Display for ReasonClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ReasonClass::Configuration => "configuration",
            ReasonClass::SourceUnavailable => "source-unavailable",
            ReasonClass::SourceRefused => "source-refused",
            ReasonClass::NotAFeed => "not-a-feed",
            ReasonClass::LimitExceeded => "limit-exceeded",
            ReasonClass::AddressRefused => "address-refused",
            ReasonClass::Storage => "storage",
            ReasonClass::Deadline => "deadline",
            ReasonClass::Panicked => "panicked",
            ReasonClass::WorkerLost => "worker-lost",
            ReasonClass::Unreadable => "unreadable",
        })
    }
}
