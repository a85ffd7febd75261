//! The settings under which a night is done: those of `fleet.toml`, and what is assumed of instances and of speed.

use super::random::Random;
use feedfleet_config::{Fleet, Hosts, Leases, Scheduler, Workers};
use std::time::Duration;

/// The 95th percentile of a normal distribution.
const NORMAL_P95: f64 = 1.644_854;

/// The fleet's settings, and what is assumed of its machines.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `[workers]`, as in `fleet.toml`.
    pub workers: Workers,
    /// `[scheduler]`, as in `fleet.toml`.
    pub scheduler: Scheduler,
    /// `[leases]`, as in `fleet.toml`.
    pub leases: Leases,
    /// `[hosts]`, as in `fleet.toml`.
    pub hosts: Hosts,
    /// What the queue can do.
    pub queue: QueueKind,
    /// `[machines]`: instances, as AWS gives and takes them.
    pub machines: Machines,
    /// `[speed]`: what a worker gets done.
    pub speed: Speed,
}

impl Settings {
    /// The settings of a fleet, with what is assumed where nothing is said: instances of type `kind`.
    pub fn of(fleet: &Fleet, kind: &str) -> Self {
        Self {
            workers: fleet.workers.clone(),
            scheduler: fleet.scheduler.clone(),
            leases: fleet.leases.clone(),
            hosts: fleet.hosts.clone(),
            queue: QueueKind::Sqs,
            machines: Machines::of(kind),
            speed: Speed::default(),
        }
    }

    /// The same work by so many workers of one type that are always there.
    pub(super) fn always_on(&self, workers: u32, kind: &str) -> Self {
        let mut settings = self.clone();
        (settings.workers.min, settings.workers.max) = (workers, workers);
        settings.machines = Machines {
            types: vec![kind.to_owned()],
            on_demand: 1.0,
            interruptions_per_hour: 0.0,
            ..settings.machines
        };
        settings
    }
}

/// What the scheduler can know of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueKind {
    /// SQS: groups that could run are estimated, and only the first messages are searched for one.
    Sqs,
    /// The embedded queue: groups are counted.
    Exact,
}

/// Instances, as AWS gives and takes them.
#[derive(Debug, Clone, PartialEq)]
pub struct Machines {
    /// Instance types, by their names in the prices; each start takes one of them by chance.
    pub types: Vec<String>,
    /// Share of them that is bought on demand, and never interrupted.
    pub on_demand: f64,
    /// Time from asking for an instance until its worker receives: the median.
    pub start: Duration,
    /// One start in twenty takes longer than this.
    pub start_p95: Duration,
    /// Interruptions of a spot instance in an hour, on average.
    pub interruptions_per_hour: f64,
}

impl Machines {
    fn of(kind: &str) -> Self {
        Self {
            types: vec![kind.to_owned()],
            on_demand: 0.0,
            start: Duration::from_secs(75),
            start_p95: Duration::from_secs(150),
            interruptions_per_hour: 0.02,
        }
    }

    /// How long a start takes: log-normally distributed.
    pub(super) fn start_ms(&self, random: &mut Random) -> u64 {
        let normal = random.normal();
        let (median, p95) = (self.start.as_secs_f64(), self.start_p95.as_secs_f64());
        if median <= 0.0 {
            return 0;
        }
        let sigma = (p95 / median).ln().max(0.0) / NORMAL_P95;
        (median * 1_000.0 * (sigma * normal).exp()).round() as u64
    }
}

/// What a worker of speed 1 gets done.
#[derive(Debug, Clone, PartialEq)]
pub struct Speed {
    /// Rows a second that one worker reads, compares and writes, by the share of them that is new or changed;
    /// ascending, one at least. Its crawl slots share it.
    pub rows: Vec<RowSpeed>,
    /// What a run takes besides: process, snapshot, commit, report.
    pub overhead: Duration,
    /// Bytes a second at which a run that is resumed reads its archived part.
    pub archive_bytes_per_sec: u64,
    /// Time until one picture has come from its host.
    pub image: Duration,
    /// Time of one core for one picture and its renditions.
    pub image_cpu: Duration,
    /// Renditions stored of each picture.
    pub renditions: u32,
}

/// One measured speed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowSpeed {
    /// Share of the rows that is new or changed.
    pub changed: f64,
    /// Rows a second.
    pub per_sec: f64,
}

impl Default for Speed {
    /// As measured by `scripts/bench/nightly` on two cores: 100 columns, 1.3 KB a row.
    fn default() -> Self {
        let row = |changed, per_sec| RowSpeed { changed, per_sec };
        Self {
            rows: vec![row(0.01, 181_995.0), row(0.1, 116_452.0), row(1.0, 28_934.0)],
            overhead: Duration::from_secs(3),
            archive_bytes_per_sec: 200_000_000,
            image: Duration::from_millis(250),
            image_cpu: Duration::from_millis(12),
            renditions: 1,
        }
    }
}

impl Speed {
    /// Seconds for one row. Between two measured shares, and beyond them, the time grows evenly with the share.
    pub(super) fn row_secs(&self, changed: f64) -> f64 {
        let points: Vec<(f64, f64)> =
            self.rows.iter().map(|row| (row.changed, 1.0 / row.per_sec.max(1.0))).collect();
        let (below, above) = match points.as_slice() {
            [] => return 0.0,
            [(_, secs)] => return *secs,
            points => {
                let above = points.partition_point(|(share, _)| *share < changed);
                let above = above.clamp(1, points.len() - 1);
                (points[above - 1], points[above])
            }
        };
        let slope = (above.1 - below.1) / (above.0 - below.0).max(f64::EPSILON);
        let least = points.iter().map(|(_, secs)| *secs).fold(f64::INFINITY, f64::min) / 2.0;
        (below.1 + slope * (changed - below.0)).max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Draw;
    use super::*;

    #[test]
    fn speeds_are_those_measured_and_between_them_those_between() {
        let speed = Speed::default();
        for row in &speed.rows {
            let per_sec = 1.0 / speed.row_secs(row.changed);
            assert!((per_sec - row.per_sec).abs() < 1.0, "{per_sec}");
        }
        let middle = speed.row_secs(0.055);
        let expected = (1.0 / 181_995.0 + 1.0 / 116_452.0) / 2.0;
        assert!((middle - expected).abs() < 1e-9);
        assert!(speed.row_secs(0.0) < speed.row_secs(0.01));
        assert!(speed.row_secs(0.0) > 0.0);
        let one = Speed { rows: vec![RowSpeed { changed: 0.5, per_sec: 10.0 }], ..speed };
        assert_eq!(one.row_secs(0.0), 0.1);
    }

    #[test]
    fn one_start_in_twenty_is_late() {
        let machines = Machines::of("any");
        let starts = |machines: &Machines, longer: u64| {
            let one = |n| machines.start_ms(&mut Random::of(1, Draw::Instance, n));
            (0..4_000).map(one).filter(|ms| *ms > longer).count()
        };
        let late = starts(&machines, 150_000);
        assert!((140..=260).contains(&late), "{late} of 4,000");
        let half = starts(&machines, 75_000);
        assert!((1_850..=2_150).contains(&half), "{half} of 4,000");
        let even = Machines { start_p95: machines.start, ..machines };
        assert_eq!(even.start_ms(&mut Random::of(1, Draw::Instance, 3)), 75_000);
    }
}
