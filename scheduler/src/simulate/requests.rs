//! Requests that are paid for: how many a night makes.
//!
//! The numbers are those of the code: what a run reads and writes besides its rows, what a picture does, how often
//! an idle worker asks. Where the number depends on the table's state they are what is usual.

use super::night::DAY;
use super::settings::Settings;
use feedfleet_queue::MAX_BATCH;
use serde::Serialize;
use std::time::Duration;

/// How long a receive waits for a message (`worker/src/consumer.rs`).
const POLL_WAIT_MS: u64 = 2_000;
/// How often a worker tells of itself (`worker/src/status.rs`), and a run of its progress (`worker/src/jobs/crawl`).
const BEACON_MS: u64 = 5_000;
const PROGRESS_MS: u64 = 2_000;
/// A part of the archive.
const PART_BYTES: u64 = 4 * 1024 * 1024;
/// A run's report from created to done, its archive's facts, its files, its entry in the log, its validators.
const PUTS_A_CRAWL: u64 = 16;
/// The same read, the log since its checkpoint, and the index columns of the pipe's files.
const GETS_A_CRAWL: u64 = 60;
/// The original and its facts; renditions come on top.
const PUTS_A_PICTURE: u64 = 2;
/// Its facts, which may not be there.
const GETS_A_PICTURE: u64 = 1;
/// At each tick the scheduler asks both queues and both dead-letter queues, and writes down how the fleet is.
const LOOKS_A_TICK: u64 = 4;
/// Listings of receipts, each counted as a write (`FOLD_INTERVAL` in `scheduler/src/lib.rs`).
const FOLD_SECS: u64 = 5;
/// Listings of reports, of a page each, as often as runs are under way (`CLUSTER_RESCUE_INTERVAL`).
const RESCUE_SECS: u64 = 60;

/// How many requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// To SQS.
    pub sqs: u64,
    /// To S3, that write or list.
    pub s3_put: u64,
    /// To S3, that read.
    pub s3_get: u64,
}

impl Requests {
    /// What the scheduler asks in a day, whatever happens in it.
    pub(super) fn of_scheduler_a_day(settings: &Settings) -> Self {
        let day_secs = DAY.as_secs();
        let ticks = day_secs * 1_000 / (settings.scheduler.tick.as_millis() as u64).max(1);
        Self {
            sqs: ticks * LOOKS_A_TICK,
            s3_put: ticks + day_secs / FOLD_SECS + day_secs / RESCUE_SECS,
            s3_get: 0,
        }
    }

    pub(super) fn crawl_sent(&mut self) {
        self.sqs += 1;
    }

    /// A receive, heartbeats, a delete or a release; what every attempt reads and writes.
    pub(super) fn crawl_attempt(&mut self, millis: u64, beat: Duration) {
        self.sqs += 2 + beats(millis, beat);
        self.s3_put += PUTS_A_CRAWL + millis / PROGRESS_MS;
        self.s3_get += GETS_A_CRAWL + millis / PROGRESS_MS;
    }

    /// The parts of a feed.
    pub(super) fn crawl_archived(&mut self, bytes: u64) {
        self.s3_put += bytes.div_ceil(PART_BYTES);
    }

    /// Image jobs, ten to a request.
    pub(super) fn images_sent(&mut self, messages: u64) {
        self.sqs += messages.div_ceil(MAX_BATCH as u64);
    }

    /// An image job is received and settled; its receipt is written and read, and each picture's facts are read.
    pub(super) fn image_attempt(&mut self, pictures: u64, millis: u64, beat: Duration) {
        self.sqs += 2 + beats(millis, beat);
        self.s3_put += 1;
        self.s3_get += 1 + pictures * GETS_A_PICTURE;
    }

    /// Pictures that are stored.
    pub(super) fn images_stored(&mut self, pictures: u64, renditions: u32) {
        self.s3_put += pictures * (PUTS_A_PICTURE + u64::from(renditions));
    }

    /// What workers ask and write while they are there.
    pub(super) fn workers(&mut self, polling_ms: u64, present_ms: u64) {
        self.sqs += polling_ms / POLL_WAIT_MS;
        self.s3_put += present_ms / BEACON_MS;
    }
}

fn beats(millis: u64, beat: Duration) -> u64 {
    millis / (beat.as_millis() as u64).max(1)
}
