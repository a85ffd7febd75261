//! How long one attempt at a run takes, and what is left of it when it is cut off.
//!
//! A run streams: the partner sends, the worker reads as it comes, and the slower of the two sets the pace. What has
//! come is archived in parts; an attempt after an interruption reads those from the archive, at the worker's own pace,
//! and asks the partner for the rest only. Every row is read again. Once the run is committed, only its image jobs
//! may be left to send.

use super::night::PipeLoad;
use super::requests;
use super::settings::Settings;
use feedfleet_model::image_jobs::BATCH;
use feedfleet_queue::MAX_BATCH;

/// Bytes of a part of the archive; what is in an unfinished part comes again.
const PART_BYTES: f64 = requests::PART_BYTES as f64;
/// One request to the queue, which takes ten image jobs.
const SEND_SECS: f64 = 0.02;

/// What is durable of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Kept {
    /// Bytes in the archive.
    pub archived: f64,
    /// Whether the run is in the table.
    pub committed: bool,
}

/// One attempt, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Attempt {
    before: Kept,
    bytes: f64,
    rows: u64,
    /// Until the first row is read.
    open: f64,
    /// Reading what is archived already.
    again: f64,
    /// Reading what comes from the partner.
    fetch: f64,
    /// Sending image jobs, the run being committed.
    send: f64,
}

/// An attempt that was cut off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cut {
    /// What is durable now.
    pub kept: Kept,
    /// Rows that were read in vain.
    pub rows_in_vain: u64,
    /// Bytes that came in vain: the partner has to send them again.
    pub bytes_in_vain: u64,
}

impl Attempt {
    /// The attempt that follows what is durable. `speed`: the worker's, against the one that was measured.
    pub(super) fn new(pipe: &PipeLoad, before: Kept, settings: &Settings, speed: f64) -> Self {
        let open = pipe.overhead.unwrap_or(settings.speed.overhead).as_secs_f64();
        let jobs = pipe.images.div_ceil(BATCH as u64);
        let send = jobs.div_ceil(MAX_BATCH as u64) as f64 * SEND_SECS;
        let bytes = pipe.bytes as f64;
        let mut attempt =
            Self { before, bytes, rows: pipe.rows, open, again: 0.0, fetch: 0.0, send };
        if before.committed {
            return attempt;
        }
        // Crawl slots share their worker's cores, whether or not the others are busy.
        let slots = settings.workers.crawl_slots.max(1) as f64;
        let row_secs = settings.speed.row_secs(pipe.changed) * slots / speed.max(f64::EPSILON);
        let reading = pipe.rows as f64 * row_secs;
        if bytes <= 0.0 {
            attempt.fetch = reading;
            return attempt;
        }
        let pace = |source: f64| (reading / bytes).max(1.0 / source.max(1.0));
        attempt.again = before.archived * pace(settings.speed.archive_bytes_per_sec as f64);
        attempt.fetch = (bytes - before.archived).max(0.0) * pace(pipe.bytes_per_sec);
        attempt
    }

    /// How long it takes; no attempt takes no time.
    pub(super) fn millis(&self) -> u64 {
        let secs = self.open + self.again + self.fetch + self.send;
        ((secs * 1_000.0).round() as u64).max(1)
    }

    /// Whether its end brings the run into the table; an earlier attempt may have done so.
    pub(super) fn commits(&self) -> bool {
        !self.before.committed
    }

    /// What is left when it is cut off after so many milliseconds.
    pub(super) fn cut(&self, after_ms: u64) -> Cut {
        let (before, after) = (self.before, after_ms as f64 / 1_000.0);
        if before.committed {
            return Cut { kept: before, rows_in_vain: 0, bytes_in_vain: 0 };
        }
        if after >= self.open + self.again + self.fetch {
            let kept = Kept { archived: self.bytes, committed: true };
            return Cut { kept, rows_in_vain: 0, bytes_in_vain: 0 };
        }
        let part = |secs: f64, of: f64| if of > 0.0 { (secs / of).clamp(0.0, 1.0) } else { 0.0 };
        let again = part(after - self.open, self.again) * before.archived;
        let fetched =
            part(after - self.open - self.again, self.fetch) * (self.bytes - before.archived);
        let come = before.archived + fetched;
        let archived = ((come / PART_BYTES).floor() * PART_BYTES).max(before.archived);
        let read = if fetched > 0.0 { come } else { again };
        let share =
            if self.bytes > 0.0 { read / self.bytes } else { part(after - self.open, self.fetch) };
        Cut {
            kept: Kept { archived, committed: false },
            rows_in_vain: (share * self.rows as f64).round() as u64,
            bytes_in_vain: (come - archived).max(0.0).round() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    /// 100 MB at 10 MB/s, read in half a second; 3 s before that; two requests of image jobs after it.
    fn load() -> PipeLoad {
        PipeLoad { rows: 50_000, bytes: 100_000_000, images: 400, ..fixture::pipe("acme") }
    }

    fn settings() -> Settings {
        let mut settings = fixture::settings();
        settings.speed.rows.truncate(1);
        settings.speed.rows[0].per_sec = 100_000.0;
        settings.speed.archive_bytes_per_sec = 100_000_000;
        settings
    }

    fn attempt(before: Kept) -> Attempt {
        Attempt::new(&load(), before, &settings(), 1.0)
    }

    #[test]
    fn the_slower_of_partner_and_worker_sets_the_pace() {
        assert_eq!(attempt(Kept::default()).millis(), 3_000 + 10_000 + 40);
        let fast = PipeLoad { bytes_per_sec: 1e9, ..load() };
        let plan = |pipe: &PipeLoad, settings: &Settings, speed| {
            Attempt::new(pipe, Kept::default(), settings, speed).millis()
        };
        assert_eq!(plan(&fast, &settings(), 1.0), 3_000 + 500 + 40);
        assert_eq!(plan(&fast, &settings(), 2.0), 3_000 + 250 + 40);
        let mut two_slots = settings();
        two_slots.workers.crawl_slots = 2;
        assert_eq!(plan(&fast, &two_slots, 1.0), 3_000 + 1_000 + 40);
        let none = PipeLoad { rows: 0, bytes: 0, images: 0, ..load() };
        assert_eq!(plan(&none, &settings(), 1.0), 3_000);
    }

    #[test]
    fn what_is_archived_does_not_come_again() {
        let cut = attempt(Kept::default()).cut(3_000 + 5_000);
        let parts = (50_000_000.0_f64 / PART_BYTES).floor() * PART_BYTES;
        assert_eq!(cut.kept, Kept { archived: parts, committed: false });
        assert_eq!(cut.rows_in_vain, 25_000);
        assert_eq!(cut.bytes_in_vain, 50_000_000 - parts as u64);

        let next = attempt(cut.kept);
        let secs = 3.0 + parts / 1e8 + (1e8 - parts) / 1e7 + 0.04;
        assert_eq!(next.millis(), (secs * 1_000.0).round() as u64);
        let early = next.cut(3_100);
        assert_eq!(early.kept, cut.kept, "nothing new has come");
        assert_eq!((early.rows_in_vain, early.bytes_in_vain), (5_000, 0));
        assert_eq!(next.cut(1_000).rows_in_vain, 0, "not a row was read");
    }

    #[test]
    fn a_committed_run_is_not_read_again() {
        let cut = attempt(Kept::default()).cut(13_010);
        assert!(cut.kept.committed);
        assert_eq!((cut.rows_in_vain, cut.bytes_in_vain), (0, 0));
        let next = attempt(cut.kept);
        assert_eq!(next.millis(), 3_000 + 40);
        assert_eq!(next.cut(1).kept, cut.kept);
    }
}
