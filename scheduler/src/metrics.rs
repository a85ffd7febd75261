//! Figures for alarms and dashboards, once a minute.
//!
//! Nothing is read for them that the other duties do not read anyway: the tick looks at queues and fleet, the
//! search for lost runs reads the reports that change, the desk knows the dead letters that wait, and the folding of
//! receipts sees every picture. Each notes what it saw in the [`Meters`], and a publication takes it from there.
//!
//! Two schedulers at once publish both: levels are the same twice, and counts are double while it lasts.

use crate::deps::Deps;
use crate::fleet::Look;
use crate::load_config;
use chrono::{DateTime, TimeDelta, Utc};
use feedfleet_config::Config;
use feedfleet_fleet::{Datum, Metrics, Unit, names};
use feedfleet_model::image::ImageStatus;
use feedfleet_model::report::{Attempt, RunState};
use feedfleet_model::{PipeName, ReasonClass, RunKey, RunReport};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Between publications: custom metrics are kept by the minute.
pub(crate) const INTERVAL: Duration = Duration::from_secs(60);
/// A run that has not ended by the pipe's next due time is late, and so is one that has taken this long: a night's
/// work is done by the morning.
const LATE_AFTER: TimeDelta = TimeDelta::hours(6);
/// Without a tick for so many of its intervals, and for a minute at least, the scheduler does not call itself alive.
const TICKS_MISSED: u32 = 3;
/// Values of one metric in one publication, as many as CloudWatch takes.
const MAX_VALUES: usize = 150;
/// The queues, as figures name them.
const QUEUES: [&str; 2] = ["crawl", "image"];
/// What lies between two ticks is paid for; a longer gap is one in which the machine slept.
const LONGEST_TICK: TimeDelta = TimeDelta::minutes(5);

/// Where figures go, and what has been noted for them. Clones share both.
#[derive(Clone)]
pub struct Meters {
    sink: Arc<dyn Metrics>,
    worker_hour: f64,
    ledger: Arc<Mutex<Ledger>>,
}

impl Meters {
    /// Figures for `sink`. Of runs only what happens from `now` on is counted: an earlier scheduler has counted the
    /// rest. `worker_hour`: US dollars that a worker costs in an hour; 0 where that is not known.
    pub fn new(sink: Arc<dyn Metrics>, worker_hour: f64, now: DateTime<Utc>) -> Self {
        Self { sink, worker_hour, ledger: Arc::new(Mutex::new(Ledger::new(now))) }
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tick has passed, and this is what it saw.
    pub(crate) fn note_tick(&self, now: DateTime<Utc>, look: Option<Look>) {
        self.lock().note_tick(now, look);
    }

    /// The report of a run of those that are kept, whenever it is read.
    pub(crate) fn note_run(&self, report: &RunReport) {
        self.lock().note_run(report);
    }

    /// The newest run of a pipe that is in the table, however many have died since. Nothing of it is counted.
    pub(crate) fn note_in_table(&self, report: &RunReport) {
        let mut ledger = self.lock();
        let began = ledger.began;
        ledger.runs.entry(report.key.clone()).or_insert_with(|| Seen::first(report, began));
    }

    /// The runs that hold removals for an operator.
    pub(crate) fn held_runs(&self) -> BTreeSet<RunKey> {
        self.lock().held()
    }

    /// Of what was noted of runs, only these matter from now on.
    pub(crate) fn keep_runs(&self, runs: &BTreeSet<RunKey>) {
        self.lock().runs.retain(|run, _| runs.contains(run));
    }

    /// Dead letters that wait for a decision, by the queue that their job was on.
    pub(crate) fn note_dead(&self, waiting: &BTreeMap<String, u64>) {
        self.lock().dead = Some(waiting.clone());
    }

    /// Pictures that were looked at, once their receipts are folded.
    pub(crate) fn note_images(&self, results: &[ImageStatus]) {
        let mut ledger = self.lock();
        for result in results {
            *ledger.counters.images.entry(result.word()).or_default() += 1;
        }
    }
}

/// Publishes what has been noted. Counts that are not taken are kept for the next time.
pub(crate) async fn publish(deps: &Deps) {
    let Some(meters) = &deps.meters else { return };
    let config = load_config(deps);
    let now = deps.clock.now();
    let alive_within = INTERVAL.max(deps.fleet.scheduler.tick * TICKS_MISSED);
    let (data, counters) = {
        let mut ledger = meters.lock();
        if ledger.ticked_at.is_none() {
            // It has only just begun: nothing held, late or waiting would be said of what was not looked at.
            return;
        }
        let data = ledger.data(now, config.as_ref(), alive_within, meters.worker_hour);
        (data, std::mem::take(&mut ledger.counters))
    };
    if let Err(e) = meters.sink.publish(&data).await {
        tracing::warn!(error = %e, "could not publish figures, will try again");
        meters.lock().counters.add(counters);
    }
}

/// What has been noted.
struct Ledger {
    began: DateTime<Utc>,
    ticked_at: Option<DateTime<Utc>>,
    /// The last tick that saw the queues. A scheduler that cannot look at them leads nobody, and is as good as gone.
    looked_at: Option<DateTime<Utc>>,
    /// Workers that are paid for since then.
    workers: usize,
    /// What the ticks since the last figures saw.
    levels: BTreeMap<Level, Vec<f64>>,
    /// What the last tick saw, for a minute without one.
    last: Vec<(Level, f64)>,
    runs: BTreeMap<RunKey, Seen>,
    /// Dead letters that wait; none before the desk was looked at.
    dead: Option<BTreeMap<String, u64>>,
    counters: Counters,
}

/// A metric that is looked at, and the queue it is of.
type Level = (&'static str, Option<&'static str>);

/// The levels that a tick saw.
fn levels(look: &Look) -> Vec<(Level, f64)> {
    let mut levels = vec![((names::DESIRED, None), f64::from(look.desired))];
    for (queue, counts) in QUEUES.into_iter().zip([&look.crawl, &look.image]) {
        let mut level = |name, value: f64| levels.push(((name, Some(queue)), value));
        level(names::VISIBLE, counts.visible as f64);
        level(names::IN_FLIGHT, counts.in_flight as f64);
        level(names::RUNNABLE_GROUPS, counts.runnable_groups as f64);
        if let Some(age) = counts.oldest_age {
            level(names::OLDEST_AGE, age.as_secs_f64());
        }
    }
    if let Some(view) = &look.view {
        levels.push(((names::IN_SERVICE, None), f64::from(view.in_service())));
        levels.push(((names::BUSY, None), f64::from(view.busy())));
        levels.push(((names::CAPACITY_SHORT, None), f64::from(view.short)));
    }
    levels
}

/// What is known of one run, and how much of it has been counted.
struct Seen {
    state: RunState,
    scheduled_at: DateTime<Utc>,
    sent_at: Option<DateTime<Utc>>,
    attempts: usize,
    has_rows: bool,
}

/// Whether a run's rows are in the table, as far as its state tells.
fn is_in_table(state: RunState) -> bool {
    matches!(state, RunState::Done | RunState::Held)
}

/// What grows from publication to publication.
#[derive(Default)]
struct Counters {
    rows: BTreeMap<&'static str, u64>,
    images: BTreeMap<&'static str, u64>,
    failures: BTreeMap<ReasonClass, u64>,
    worker_secs: f64,
}

impl Counters {
    fn add(&mut self, other: Self) {
        for (change, count) in other.rows {
            *self.rows.entry(change).or_default() += count;
        }
        for (result, count) in other.images {
            *self.images.entry(result).or_default() += count;
        }
        for (class, count) in other.failures {
            *self.failures.entry(class).or_default() += count;
        }
        self.worker_secs += other.worker_secs;
    }
}

impl Seen {
    /// A run that is seen for the first time by a scheduler that began at `began`.
    fn first(report: &RunReport, began: DateTime<Utc>) -> Self {
        let attempts = &report.attempts;
        let is_old = |(number, attempt): &(usize, &Attempt)| match &attempt.end {
            Some(end) => end.at < began,
            // The last one may be under way.
            None => number + 1 < attempts.len() && attempt.started_at < began,
        };
        Self {
            state: report.state,
            scheduled_at: report.scheduled_at(),
            sent_at: report.sent_at,
            attempts: attempts.iter().enumerate().take_while(is_old).count(),
            // One that died has brought none, and may yet be replayed.
            has_rows: is_in_table(report.state) && report.finished_at.is_some_and(|at| at < began),
        }
    }

    fn is_late(&self, key: &RunKey, now: DateTime<Utc>, config: Option<&Config>) -> bool {
        let pipe = config.and_then(|config| config.sources().find(|p| p.name == key.pipe));
        let next_due = pipe.and_then(|pipe| pipe.next_run_after(self.scheduled_at));
        let latest = self.scheduled_at + LATE_AFTER;
        !self.state.is_final() && now > next_due.map_or(latest, |next| next.min(latest))
    }
}

impl Ledger {
    fn new(now: DateTime<Utc>) -> Self {
        Self {
            began: now,
            ticked_at: None,
            looked_at: None,
            workers: 0,
            levels: BTreeMap::new(),
            last: Vec::new(),
            runs: BTreeMap::new(),
            dead: None,
            counters: Counters::default(),
        }
    }

    fn note_tick(&mut self, now: DateTime<Utc>, look: Option<Look>) {
        let passed = self.ticked_at.map_or(TimeDelta::zero(), |then| now - then);
        let secs = passed.clamp(TimeDelta::zero(), LONGEST_TICK).num_milliseconds() as f64 / 1000.0;
        self.counters.worker_secs += self.workers as f64 * secs;
        // Who cannot be asked about is paid for all the same.
        if let Some(view) = look.as_ref().and_then(|look| look.view.as_ref()) {
            self.workers = view.members.len();
        }
        self.ticked_at = Some(now);
        if look.is_some() {
            self.looked_at = Some(now);
        }
        self.last = look.as_ref().map(levels).unwrap_or_default();
        for (level, value) in &self.last {
            let values = self.levels.entry(*level).or_default();
            if values.len() < MAX_VALUES {
                values.push(*value);
            }
        }
    }

    fn note_run(&mut self, report: &RunReport) {
        let began = self.began;
        let seen =
            self.runs.entry(report.key.clone()).or_insert_with(|| Seen::first(report, began));
        seen.state = report.state;
        seen.sent_at = report.sent_at;
        let counters = &mut self.counters;
        while let Some(attempt) = report.attempts.get(seen.attempts) {
            let class = match &attempt.end {
                Some(end) => end.reason.as_ref().map(|reason| reason.class),
                // Somebody else has begun since, or nobody will: the worker died under it.
                None if seen.attempts + 1 < report.attempts.len() || report.state.is_final() => {
                    Some(ReasonClass::WorkerLost)
                }
                None => break,
            };
            if let Some(class) = class {
                *counters.failures.entry(class).or_default() += 1;
            }
            seen.attempts += 1;
        }
        if is_in_table(report.state) && !seen.has_rows {
            seen.has_rows = true;
            let counts = &report.counts;
            for (change, rows) in
                [("new", counts.new), ("changed", counts.changed), ("removed", counts.removed)]
            {
                *counters.rows.entry(change).or_default() += rows;
            }
        }
    }

    /// Of each pipe the newest run that is in the table, if it is held: an older one can't be decided on any more,
    /// and one that died changes nothing.
    fn held(&self) -> BTreeSet<RunKey> {
        let mut newest: BTreeMap<&PipeName, (&RunKey, RunState)> = BTreeMap::new();
        for (key, seen) in &self.runs {
            if is_in_table(seen.state) {
                newest.insert(&key.pipe, (key, seen.state));
            }
        }
        let held = newest.into_values().filter(|(_, state)| *state == RunState::Held);
        held.map(|(key, _)| key.clone()).collect()
    }

    /// How long ago the message of the oldest run that has not ended was sent, in seconds: it is on its queue until then.
    fn oldest_crawl_secs(&self, now: DateTime<Utc>) -> Option<f64> {
        let open = self.runs.values().filter(|seen| !seen.state.is_final());
        let oldest = open.filter_map(|seen| seen.sent_at).min()?;
        Some(crate::age(now, oldest).as_secs_f64())
    }

    /// All figures of the moment. What the ticks saw is forgotten with that.
    fn data(
        &mut self,
        now: DateTime<Utc>,
        config: Option<&Config>,
        alive_within: Duration,
        worker_hour: f64,
    ) -> Vec<Datum> {
        let mut data = Data { at: now, data: Vec::new() };
        let mut levels = std::mem::take(&mut self.levels);
        if self.looked_at.is_some_and(|then| crate::age(now, then) <= alive_within) {
            data.level(names::SCHEDULER_ALIVE, 1.0);
            if levels.is_empty() {
                levels = self.last.iter().map(|(level, value)| (*level, vec![*value])).collect();
            }
        }
        // Where the queue does not tell, the reports do.
        if let Some(secs) = self.oldest_crawl_secs(now) {
            levels.entry((names::OLDEST_AGE, Some(QUEUES[0]))).or_insert_with(|| vec![secs]);
        }
        for ((name, queue), values) in levels {
            let dimension = queue.map(|queue| (names::QUEUE, queue.to_owned()));
            let unit = if name == names::OLDEST_AGE { Unit::Seconds } else { Unit::Count };
            data.push(name, dimension, values, unit);
        }
        if let Some(waiting) = &self.dead {
            for queue in QUEUES {
                let dead = waiting.get(queue).copied().unwrap_or_default();
                let dimension = Some((names::QUEUE, queue.to_owned()));
                data.push(names::DEAD, dimension, vec![dead as f64], Unit::Count);
            }
        }
        let late = self.runs.iter().filter(|(key, seen)| seen.is_late(key, now, config)).count();
        data.level(names::HELD_RUNS, self.held().len() as f64);
        data.level(names::LATE_RUNS, late as f64);
        let counters = &self.counters;
        for (change, rows) in &counters.rows {
            data.count(names::ROWS, names::CHANGE, *change, *rows);
        }
        for (result, images) in &counters.images {
            data.count(names::IMAGES, names::RESULT, *result, *images);
        }
        for (class, failures) in &counters.failures {
            data.count(names::FAILURES, names::CLASS, class, *failures);
        }
        if worker_hour > 0.0 {
            let dollars = counters.worker_secs / 3600.0 * worker_hour;
            data.push(names::COST, None, vec![dollars], Unit::Other);
        }
        data.data
    }
}

/// Figures of one moment.
struct Data {
    at: DateTime<Utc>,
    data: Vec<Datum>,
}

impl Data {
    fn push(
        &mut self,
        name: &'static str,
        dimension: Option<(&'static str, String)>,
        values: Vec<f64>,
        unit: Unit,
    ) {
        self.data.push(Datum { name, dimension, values, unit, at: self.at });
    }

    fn level(&mut self, name: &'static str, value: f64) {
        self.push(name, None, vec![value], Unit::Count);
    }

    /// What did not happen is not told: a metric costs money for each hour in which it has a value.
    fn count(
        &mut self,
        name: &'static str,
        dimension: &'static str,
        of: impl std::fmt::Display,
        count: u64,
    ) {
        if count > 0 {
            self.push(name, Some((dimension, of.to_string())), vec![count as f64], Unit::Count);
        }
    }
}

#[cfg(test)]
mod tests;
