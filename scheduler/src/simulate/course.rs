//! What became of a night, as the engine leaves it.

use super::instances::Instance;
use super::requests::{Pipes, Requests};

/// What became of the night. Times are in milliseconds after the day's beginning.
pub(super) struct Course {
    /// Whether all was done.
    pub finished: bool,
    /// When the fleet was as small again as it may be, or the simulation gave up.
    pub ended: u64,
    /// When each pipe's run was done and its image jobs sent; none: it was not.
    pub runs_done: Vec<Option<u64>>,
    /// When the last picture was done.
    pub images_done: Option<u64>,
    /// When the table knew of the last picture.
    pub images_folded: Option<u64>,
    /// Pipes of the night.
    pub pipes: Pipes,
    /// How long runs were under way.
    pub crawling_ms: u64,
    /// Every instance there was.
    pub instances: Vec<Instance>,
    /// Most instances at once that were there to stay.
    pub peak: usize,
    /// What was done, and done again.
    pub tally: Tally,
    /// Requests to SQS and S3.
    pub requests: Requests,
    /// How it was at each tick.
    pub samples: Vec<Moment>,
}

/// What was done, and done again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub rows: u64,
    pub images: u64,
    pub interruptions: u64,
    pub rows_again: u64,
    pub bytes_again: u64,
    pub images_again: u64,
}

/// How it was at one tick.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub at: u64,
    pub desired: u32,
    pub workers: usize,
    pub busy: usize,
    pub crawls: u64,
    pub pictures: u64,
}
