//! Requests that are paid for: how many a night makes.
//!
//! The numbers are those of the code: what a run reads and writes besides its rows, what a picture does, how often
//! an idle worker asks. Where the number depends on the table's state they are what is usual.

use super::night::DAY;
use super::settings::Settings;
use crate::store::StoreUse;
use feedfleet_queue::MAX_BATCH;
use serde::Serialize;
use std::time::Duration;

/// How long a receive waits for a message (`PAID_POLL_WAIT` in `worker/src/consumer.rs`).
pub(super) const POLL_WAIT_MS: u64 = 10_000;
/// How often a worker tells of itself, besides whenever it gets busy or idle (`PAID_BEACON` in
/// `worker/src/status.rs`), and a run of its progress (`PAID_PROGRESS` in `worker/src/jobs/crawl/mod.rs`).
pub(super) const BEACON_MS: u64 = 20_000;
pub(super) const PROGRESS_MS: u64 = 20_000;
/// A part of the archive (`worker/src/jobs/crawl/raw.rs`).
pub(super) const PART_BYTES: u64 = 4 * 1024 * 1024;
/// A run's report from created to done, its archive's facts, its files, its entry in the log, its validators.
const PUTS_A_CRAWL: u64 = 16;
/// The same read, the log since its checkpoint, and the index columns of the pipe's files.
const GETS_A_CRAWL: u64 = 60;
/// The original and its facts; renditions come on top.
const PUTS_A_PICTURE: u64 = 2;
/// Its facts, which may not be there.
const GETS_A_PICTURE: u64 = 1;
/// One commit to the table `images`: two listings of its log, a file, a deletion vector, an entry of the log.
const PUTS_A_FOLD: u64 = 5;
/// The log since its checkpoint, and the keys of the pipe's files.
const GETS_A_FOLD: u64 = 60;
/// At each tick the scheduler asks both queues and both dead-letter queues, and writes down how the fleet is.
const LOOKS_A_TICK: u64 = 4;
/// A turn of upkeep (`TURN` in `scheduler/src/upkeep.rs`): the claim to it is read and written, and each table asked
/// whether there is a newer version; once in the same time the dead letters are listed.
pub(super) const TURN_SECS: u64 = 60;
const PUTS_A_TURN: u64 = 2;
const GETS_A_TURN: u64 = 7;
/// While there are newer versions, both logs are read: listed, the last checkpoint, and what came since.
const PUTS_A_TURN_AT_WORK: u64 = 2;
const GETS_A_TURN_AT_WORK: u64 = 50;
/// A look for missing pictures (`MISSING_INTERVAL` in `scheduler/src/upkeep.rs`) while all is quiet: receipts and dead
/// letters listed, each table asked for its version.
pub(super) const MISSING_SECS: u64 = 600;
const PUTS_A_LOOK: u64 = 2;
const GETS_A_LOOK: u64 = 4;
/// Such a look at a pipe that has changed: its reports listed; the last one, the links of its files, and its entries in
/// the table `images`.
const PUTS_A_PIPE_LOOKED_AT: u64 = 1;
const GETS_A_PIPE_LOOKED_AT: u64 = 31;
/// Once a week a pipe's pictures are compared with what its rows show: a listing for each first byte of their names,
/// of one page as a rule, and one of its reports (`scheduler/src/pictures.rs`).
const PUTS_A_PIPE_SWEPT: u64 = 257;
/// Objects in one page of a listing.
const PAGE: u64 = 1_000;
/// Reports are kept for so many nights.
const REPORTS_A_PIPE: u64 = 90;

/// How many pipes there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pipes {
    pub all: u64,
    /// With pictures to be mirrored.
    pub with_images: u64,
}

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
    /// What the scheduler asks in a day, whatever happens in it. Reports are listed more often while runs are under
    /// way, which is for `crawling`.
    pub(super) fn of_scheduler_a_day(
        settings: &Settings,
        pipes: Pipes,
        crawling: Duration,
    ) -> Self {
        let day_secs = DAY.as_secs();
        let ticks = day_secs * 1_000 / (settings.scheduler.tick.as_millis() as u64).max(1);
        let crawling_secs = crawling.as_secs().min(day_secs);
        let store = StoreUse::BUCKET;
        let listings = crawling_secs / store.rescue_interval.as_secs()
            + (day_secs - crawling_secs) / store.quiet_rescue_interval.as_secs();
        let pages = (pipes.all * REPORTS_A_PIPE).div_ceil(PAGE).max(1);
        let (turns, looks) = (day_secs / TURN_SECS, day_secs / MISSING_SECS);
        Self {
            sqs: ticks * LOOKS_A_TICK,
            s3_put: ticks
                + day_secs / store.fold_interval.as_secs()
                + listings * pages
                + turns * PUTS_A_TURN
                + looks * PUTS_A_LOOK
                + pipes.with_images * PUTS_A_PIPE_SWEPT / store.between_sweeps.num_days() as u64,
            s3_get: turns * GETS_A_TURN + looks * GETS_A_LOOK,
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

    /// So many receipts are listed and, in so many commits, folded. Deletes are free, and their reads are counted with
    /// their jobs.
    pub(super) fn folded(&mut self, receipts: u64, commits: u64) {
        self.s3_put += receipts / PAGE + commits * PUTS_A_FOLD;
        self.s3_get += commits * GETS_A_FOLD;
    }

    /// The pictures of a pipe that has changed are compared with those that were mirrored.
    pub(super) fn looked_for_missing(&mut self) {
        self.s3_put += PUTS_A_PIPE_LOOKED_AT;
        self.s3_get += GETS_A_PIPE_LOOKED_AT;
    }

    /// Upkeep keeps up with what is committed in so long a time.
    pub(super) fn kept_up(&mut self, working_ms: u64) {
        let turns = working_ms / 1_000 / TURN_SECS;
        self.s3_put += turns * PUTS_A_TURN_AT_WORK;
        self.s3_get += turns * GETS_A_TURN_AT_WORK;
    }

    /// What workers ask and write while they are there. `flips`: how often one got busy or idle.
    pub(super) fn workers(&mut self, polling_ms: u64, present_ms: u64, flips: u64) {
        self.sqs += polling_ms / POLL_WAIT_MS;
        self.s3_put += present_ms / BEACON_MS + flips;
    }
}

fn beats(millis: u64, beat: Duration) -> u64 {
    millis / (beat.as_millis() as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn a_scheduler_that_rests_asks_little_and_reports_are_listed_by_the_page() {
        let settings = fixture::settings();
        let day = |all, hours: u64| {
            let crawling = Duration::from_secs(hours * 3_600);
            Requests::of_scheduler_a_day(&settings, Pipes { all, with_images: 0 }, crawling)
        };
        let (small, large) = (day(10, 0), day(1_000, 0));
        assert_eq!((small.sqs, small.s3_get), (large.sqs, large.s3_get), "whatever there is");
        // 720 listings, of 90 pages in place of one.
        assert_eq!(large.s3_put - small.s3_put, 720 * 89);
        assert_eq!(day(10, 6).s3_put - small.s3_put, 360 - 180, "twice as many for six hours");
        assert_eq!(day(10, 48), day(10, 24));
        let pictures = Pipes { all: 10, with_images: 10 };
        let swept = Requests::of_scheduler_a_day(&settings, pictures, Duration::ZERO);
        assert_eq!(swept.s3_put - small.s3_put, 10 * PUTS_A_PIPE_SWEPT / 7);
    }
}
