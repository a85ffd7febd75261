//! What a simulation found, for people and programs.

use super::bill::{Bill, instance_hours, instances_usd};
use super::course::{Course, Moment};
use super::night::{Night, PipeLoad};
use super::prices::Item;
use super::requests::Requests;
use super::settings::Settings;
use feedfleet_model::text;
use serde::Serialize;

/// Points of a timeline, at most.
const POINTS: usize = 500;
/// A timeline begins so long before the first run is due.
const BEFORE_MS: u64 = 60_000;

/// A night, tried with several fleets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Simulation {
    /// Pipes of the night.
    pub pipes: u64,
    /// Their runs: in a recorded night a pipe may have several.
    pub runs: u64,
    /// Products in their feeds.
    pub products: u64,
    /// Of these, new or changed.
    pub changed: u64,
    /// Pictures to be mirrored.
    pub images: u64,
    /// Bytes of the feeds.
    pub bytes: u64,
    /// The time of day at which the simulated day begins, in seconds since midnight.
    pub begin_secs: u64,
    /// When the first run is due, in seconds after that.
    pub first_due_secs: u64,
    /// How many such nights a month has.
    pub nights_a_month: f64,
    /// The seed of chance.
    pub seed: u64,
    /// Whose prices these are.
    pub prices: String,
    /// Fleets, this one first.
    pub outcomes: Vec<Outcome>,
    /// What others pay a month.
    pub compare: Vec<Item>,
}

/// How the night went with one fleet. Times are in seconds after the day's beginning.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// The fleet.
    pub name: String,
    /// Whether all was done; if not, the figures are those of a week.
    pub finished: bool,
    /// When the last run was done.
    pub runs_done_secs: u64,
    /// When the last picture was done.
    pub images_done_secs: u64,
    /// When the table `images` knew of the last picture.
    pub images_folded_secs: u64,
    /// When the fleet was as small as it may be again.
    pub fleet_down_secs: u64,
    /// Seconds from a pipe's being due to its run's being done, half of the pipes.
    pub pipe_p50_secs: u64,
    /// The same, 95 of 100 pipes.
    pub pipe_p95_secs: u64,
    /// Most workers at once.
    pub peak_workers: u32,
    /// Workers on average, from the first run's being due until all was done.
    pub average_workers: f64,
    /// Hours for which instances are paid.
    pub instance_hours: f64,
    /// Instances that were started.
    pub instances: u64,
    /// Interruptions by AWS.
    pub interruptions: u64,
    /// Rows that were loaded.
    pub rows: u64,
    /// Pictures that were mirrored.
    pub images: u64,
    /// Work that interruptions made in vain.
    pub again: Again,
    /// Requests that are paid for.
    pub requests: Requests,
    /// What is to be paid.
    pub bill: Bill,
    /// How it went.
    pub timeline: Vec<Point>,
}

/// Work that had to be done again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Again {
    /// Rows that were read again.
    pub rows: u64,
    /// Bytes that partners sent again.
    pub bytes: u64,
    /// Pictures that were asked for again, and had not changed.
    pub images: u64,
}

/// How it was at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// Seconds after the day's beginning.
    pub secs: u64,
    /// Workers there should be.
    pub desired: u32,
    /// Instances that are paid for.
    pub workers: u32,
    /// Of these, with work in hand.
    pub busy: u32,
    /// Crawls that wait.
    pub crawls: u64,
    /// Pictures that wait.
    pub pictures: u64,
    /// What the instances have cost so far, in US dollars.
    pub usd: f64,
}

impl Simulation {
    /// How many pipes there are, and how many runs where these are others.
    pub fn pipes_and_runs(&self) -> String {
        let pipes = text::count(self.pipes);
        if self.runs == self.pipes {
            format!("{pipes} pipes")
        } else {
            format!("{} runs of {pipes} pipes", text::count(self.runs))
        }
    }
}

impl Outcome {
    pub(super) fn new(
        name: &str,
        night: &Night,
        settings: &Settings,
        pipes: &[PipeLoad],
        course: &Course,
    ) -> Self {
        let mut taken: Vec<u64> = pipes
            .iter()
            .zip(&course.runs_done)
            .filter_map(|(pipe, done)| Some((*done)?.saturating_sub(pipe.due_ms)))
            .collect();
        taken.sort_unstable();
        let first_due = first_due_ms(pipes);
        let runs_done = course.runs_done.iter().flatten().copied().max().unwrap_or(first_due);
        let all_done = runs_done.max(course.images_done.unwrap_or(first_due));
        let tally = &course.tally;
        Self {
            name: name.to_owned(),
            finished: course.finished,
            runs_done_secs: secs(runs_done),
            images_done_secs: secs(course.images_done.unwrap_or(runs_done)),
            images_folded_secs: secs(course.images_folded.unwrap_or(runs_done)),
            fleet_down_secs: secs(course.ended),
            pipe_p50_secs: secs(percentile(&taken, 0.5)),
            pipe_p95_secs: secs(percentile(&taken, 0.95)),
            peak_workers: u32::try_from(course.peak).unwrap_or(u32::MAX),
            average_workers: average_workers(course, first_due, all_done),
            instance_hours: instance_hours(course),
            instances: course.instances.len() as u64,
            interruptions: tally.interruptions,
            rows: tally.rows,
            images: tally.images,
            again: Again {
                rows: tally.rows_again,
                bytes: tally.bytes_again,
                images: tally.images_again,
            },
            requests: course.requests,
            bill: Bill::of(course, settings, night),
            timeline: timeline(course, night, first_due),
        }
    }
}

/// When the first run is due.
pub(super) fn first_due_ms(pipes: &[PipeLoad]) -> u64 {
    pipes.iter().map(|pipe| pipe.due_ms).min().unwrap_or(0)
}

/// The value that so large a share of them does not exceed. They are in order.
fn percentile(sorted: &[u64], share: f64) -> u64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0)
}

fn average_workers(course: &Course, from: u64, until: u64) -> f64 {
    if until <= from {
        return 0.0;
    }
    let present = |at: u64| course.instances.iter().map(move |i| i.present_ms(at)).sum::<u64>();
    (present(until) - present(from)) as f64 / (until - from) as f64
}

fn timeline(course: &Course, night: &Night, first_due: u64) -> Vec<Point> {
    let from = first_due.saturating_sub(BEFORE_MS);
    let moments: Vec<&Moment> = course.samples.iter().filter(|m| m.at >= from).collect();
    let step = moments.len().div_ceil(POINTS).max(1);
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let last = moments.len().saturating_sub(1);
    let kept = moments.iter().enumerate().filter(|(n, _)| n % step == 0 || *n == last);
    kept.map(|(_, moment)| Point {
        secs: secs(moment.at),
        desired: moment.desired,
        workers: small(moment.workers),
        busy: small(moment.busy),
        crawls: moment.crawls,
        pictures: moment.pictures,
        usd: instances_usd(course, &night.prices, moment.at),
    })
    .collect()
}

fn secs(ms: u64) -> u64 {
    ms.div_ceil(1_000)
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_of_those_there_are() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!((percentile(&hundred, 0.5), percentile(&hundred, 0.95)), (50, 95));
        assert_eq!(percentile(&[7], 0.95), 7);
        assert_eq!(percentile(&[], 0.5), 0);
    }
}
