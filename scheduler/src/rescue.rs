//! Runs whose message is gone: created and never sent, or lost with a queue. They get their message again,
//! under the same run id. A run whose report cannot be read gets another report first.

use crate::age;
use crate::damaged;
use crate::deps::Deps;
use crate::issue::{IssueError, end_if_paused, send};
use crate::metrics::Meters;
use crate::seen::Seen;
use crate::store::StoreUse;
use chrono::{DateTime, TimeDelta, Utc};
use feedfleet_config::{Fleet, QueueBackend};
use feedfleet_model::report::RunState;
use feedfleet_model::{PipeName, RunKey, RunReport, keys};
use feedfleet_objects::ReportError;
use feedfleet_queue::Counts;
use futures::stream::{self, StreamExt};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// A run whose report does not say that its message was sent gets it after this long: whoever created the
/// report has failed to send it, or died before.
const UNSENT_SILENCE: Duration = Duration::from_secs(10);
/// Runs of a pipe that are looked at, the newest first. Two may be unfinished, when they were asked for at one
/// moment.
const RUNS_LOOKED_AT: usize = 3;
/// Without a sign of life for this long, a run's message is sent again even if the queue has others.
const LONGEST_SILENCE: Duration = Duration::from_secs(6 * 3600);
/// A sign of life that is further ahead of the clock than this was given by a clock that is wrong.
const MOST_AHEAD: TimeDelta = TimeDelta::days(1);
/// Reports that are asked for in one go where all are looked at.
const REPORTS_IN_HAND: usize = 1000;
/// SQS's counts may lag by a minute: a queue is taken for empty that has been so in two looks, this long apart at least.
const COUNTS_LAG: Duration = Duration::from_secs(60);

/// What the search for lost runs remembers. All reports are listed for it, a thousand with each request: that is
/// fewer requests than one for each pipe's newest, and still not for nothing.
#[derive(Default)]
pub(crate) struct Watch {
    /// Runs that have ended.
    finals: Seen<RunKey, ()>,
    /// While it is quiet, reports are listed once in so long.
    quiet_interval: Duration,
    /// How far the queue's counts may be behind.
    counts_lag: Duration,
    seen: Mutex<LastSeen>,
}

/// What was seen last.
#[derive(Default)]
struct LastSeen {
    /// When the last listing was, if all runs in it had ended, and nothing has stirred since it began.
    quiet_since: Option<DateTime<Utc>>,
    /// How often something has stirred.
    stirs: u64,
    /// Since when nothing has been seen on the queue of crawls.
    empty_since: Option<DateTime<Utc>>,
}

impl Watch {
    /// By default looks cost nothing and counts are exact.
    pub(crate) fn of(fleet: &Fleet) -> Self {
        let counts_lag = match fleet.queue.backend {
            QueueBackend::Sqlite { .. } => Duration::ZERO,
            QueueBackend::Sqs { .. } => COUNTS_LAG,
        };
        let quiet_interval = StoreUse::of(&fleet.objects.place).quiet_rescue_interval;
        Self { quiet_interval, counts_lag, ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, LastSeen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There may be a new run: it is not quiet.
    pub(crate) fn stir(&self) {
        let mut seen = self.lock();
        seen.quiet_since = None;
        seen.stirs += 1;
    }

    /// This was seen on the queue of crawls. True: it has been empty for so long that it surely is.
    pub(crate) fn note_crawls(&self, counts: &Counts, now: DateTime<Utc>) -> bool {
        if counts.visible > 0 || counts.in_flight > 0 {
            self.lock().empty_since = None;
            self.stir();
            return false;
        }
        let mut seen = self.lock();
        // A time from the future was noted by a clock that was wrong.
        let since = seen.empty_since.filter(|since| *since <= now).unwrap_or(now);
        seen.empty_since = Some(since);
        age(now, since) >= self.counts_lag
    }

    fn stirs(&self) -> u64 {
        self.lock().stirs
    }

    /// A listing ends that began after so many stirs: whatever has stirred since may not be in it.
    fn note_listing(&self, stirs: u64, all_ended: bool, now: DateTime<Utc>) {
        let mut seen = self.lock();
        let is_quiet = all_ended && seen.stirs == stirs;
        seen.quiet_since = is_quiet.then_some(now);
    }

    fn is_quiet(&self, now: DateTime<Utc>) -> bool {
        let since = self.lock().quiet_since.filter(|since| *since <= now);
        since.is_some_and(|since| age(now, since) < self.quiet_interval)
    }
}

/// Looks at the newest runs of every pipe that has any, but for those that are known to have ended.
pub(crate) async fn resend_lost_runs(deps: &Deps, watch: &Watch) {
    if watch.is_quiet(deps.clock.now()) {
        return;
    }
    if let Err(e) = try_resend(deps, watch).await {
        tracing::warn!(error = %e, "could not look for lost runs, will try again");
    }
}

async fn try_resend(deps: &Deps, watch: &Watch) -> Result<(), IssueError> {
    let stirs = watch.stirs();
    let listed = deps.objects.list(&format!("{}/", keys::REPORTS), None, usize::MAX).await;
    let listed = listed.map_err(ReportError::from)?;
    // Figures tell of a held run until it is decided on, however many have died since.
    let held = deps.meters.as_ref().map(Meters::held_runs).unwrap_or_default();
    let mut chosen = Vec::new();
    let mut newest: BTreeMap<PipeName, VecDeque<(RunKey, SystemTime)>> = BTreeMap::new();
    for entry in listed {
        let Some(run) = keys::run_of_report(&entry.key) else { continue };
        let runs = newest.entry(run.pipe.clone()).or_default();
        runs.push_back((run, entry.modified));
        if runs.len() > RUNS_LOOKED_AT {
            let older = runs.pop_front();
            chosen.extend(older.filter(|(run, _)| held.contains(run)));
        }
    }
    chosen.extend(newest.into_values().flatten());
    let looked_at: BTreeSet<RunKey> = chosen.iter().map(|(run, _)| run.clone()).collect();
    watch.finals.keep(|run| looked_at.contains(run));
    if let Some(meters) = &deps.meters {
        meters.keep_runs(&looked_at);
    }
    let mut all_ended = true;
    // The oldest first: so they go to their queue.
    for (run, written) in chosen {
        if watch.finals.get(&run, written, deps.clock.now()).is_some() {
            continue;
        }
        all_ended = false;
        let Some(report) = load(deps, &run).await else { continue };
        // Here alone: of the runs that are looked at, and of no others, it is known how much has been counted.
        if let Some(meters) = &deps.meters {
            meters.note_run(&report);
        }
        if report.state.is_final() {
            watch.finals.note(run, written, deps.clock.now(), ());
        } else {
            look_after(deps, &report, watch).await;
        }
    }
    watch.note_listing(stirs, all_ended, deps.clock.now());
    Ok(())
}

/// Looks at every run there is. A report may be damaged long after its run has ended; and if that is the newest run in
/// the table, it gets its message again, however many dead ones have come since.
pub(crate) async fn look_at_all(deps: &Deps, watch: &Watch) {
    let runs = match deps.reports().all_runs().await {
        Ok(runs) => runs,
        Err(e) => {
            tracing::warn!(error = %e, "could not look at all runs, will try again");
            return;
        }
    };
    let mut in_the_table: BTreeMap<PipeName, RunReport> = BTreeMap::new();
    let at_once = StoreUse::of(&deps.fleet.objects.place).at_once;
    for some in runs.chunks(REPORTS_IN_HAND) {
        let loads: Vec<_> = some.iter().map(|run| load(deps, run)).collect();
        let mut loads = stream::iter(loads).buffered(at_once);
        while let Some(report) = loads.next().await {
            let Some(report) = report else { continue };
            look_after(deps, &report, watch).await;
            // They come by time: a pipe's newest stays.
            if matches!(report.state, RunState::Done | RunState::Held) {
                in_the_table.insert(report.key.pipe.clone(), report);
            }
        }
    }
    // It may be held, and an earlier scheduler have known of that.
    if let Some(meters) = &deps.meters {
        in_the_table.values().for_each(|report| meters.note_in_table(report));
    }
}

/// A run's report. One that cannot be had keeps no other run waiting.
async fn load(deps: &Deps, run: &RunKey) -> Option<RunReport> {
    damaged::load(deps, run).await.unwrap_or_else(|e| {
        deps.complain(&e.to_string());
        None
    })
}

/// As [`resend_if_lost`]. A run that cannot be looked after keeps no other waiting.
async fn look_after(deps: &Deps, report: &RunReport, watch: &Watch) {
    if let Err(e) = resend_if_lost(deps, report, watch).await {
        let run = &report.key;
        tracing::warn!(%run, error = %e, "could not look after a run, will try again");
    }
}

/// Sends a run's message again if the run, whose report was just read, has lost it.
pub(crate) async fn resend_if_lost(
    deps: &Deps,
    report: &RunReport,
    watch: &Watch,
) -> Result<(), IssueError> {
    let run = &report.key;
    if report.state.is_final() {
        return Ok(());
    }
    let now = deps.clock.now();
    let silent = age(now, report.updated_at);
    // Then nobody knows for how long.
    let is_ahead = report.updated_at > now + MOST_AHEAD;
    let is_lost = if report.sent_at.is_none() {
        // A report in the place of a damaged one is nobody's who would be about to send it.
        silent >= UNSENT_SILENCE || is_ahead || report.state == RunState::Committed
    } else if silent < deps.fleet.leases.visibility * 2 && !is_ahead {
        false
    } else {
        let counts = deps.crawl.counts().await?;
        let queue_is_empty = watch.note_crawls(&counts, deps.clock.now());
        queue_is_empty || silent > LONGEST_SILENCE
    };
    if !is_lost || (report.sent_at.is_none() && end_if_paused(deps, run).await?.is_some()) {
        return Ok(());
    }
    tracing::warn!(%run, silent_secs = silent.as_secs(), "a run lost its message");
    send(deps, run).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, acme, run};
    use feedfleet_model::{CrawlJob, Job, RunId};
    use feedfleet_queue::{NewMessage, Receive};

    /// Takes a job from the crawl queue, and with it all that the queue knows of it.
    async fn take(world: &World) -> Option<Job> {
        let request = Receive { max: 1, visibility: Duration::from_secs(30), wait: Duration::ZERO };
        let message = world.deps.crawl.receive(request).await.unwrap().pop()?;
        world.deps.crawl.delete(&message.receipt).await.unwrap();
        Some(Job::from_body(&message.body).unwrap())
    }

    /// What a look after this time puts on the queue.
    async fn look(world: &World, after: TimeDelta) -> Option<Job> {
        world.pass(after);
        resend_lost_runs(&world.deps, &Watch::default()).await;
        take(world).await
    }

    fn sending(attempt: u32) -> Option<Job> {
        Some(Job::Crawl(CrawlJob { pipe: acme(), run: RunId(1), attempt }))
    }

    /// Promise 1: a run that was created and never sent is sent; one whose message has gone with its queue is sent
    /// again, under its own number; one that has ended is left alone.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_run_that_lost_its_message_gets_another() {
        let world = World::new();
        world.report(1, RunState::Queued, |_| ()).await;
        assert_eq!(look(&world, TimeDelta::seconds(9)).await, None, "it may be about to be sent");
        assert_eq!(look(&world, TimeDelta::seconds(2)).await, sending(1));

        // Taken from the queue, and nobody has it: two leases without a sign of life.
        let silence = TimeDelta::from_std(world.deps.fleet.leases.visibility * 2).unwrap();
        assert_eq!(look(&world, silence - TimeDelta::seconds(1)).await, None);
        assert_eq!(look(&world, TimeDelta::seconds(2)).await, sending(2));

        let end = |report: &mut RunReport| report.state = RunState::Dead;
        world.deps.reports().update(&run(1), end).await.unwrap();
        assert_eq!(look(&world, TimeDelta::days(1)).await, None);
    }

    /// A clock that was a year ahead has not the last word for a year.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_sign_of_life_from_the_future_is_none() {
        let world = World::new();
        let ahead = world.now() + TimeDelta::days(365);
        world.report(1, RunState::Queued, |report| report.updated_at = ahead).await;
        assert_eq!(look(&world, TimeDelta::zero()).await, sending(1));
        assert_eq!(look(&world, TimeDelta::zero()).await, None, "it was sent just now");

        let running = |report: &mut RunReport| {
            report.state = RunState::Running;
            report.updated_at = ahead;
        };
        world.deps.reports().update(&run(1), running).await.unwrap();
        assert_eq!(look(&world, TimeDelta::zero()).await, sending(2), "no crawl is on the queue");
    }

    /// Where listings are paid for, and every run has ended, reports are listed once in a while, or when a crawl is on
    /// its queue.
    #[tokio::test(flavor = "multi_thread")]
    async fn while_it_is_quiet_reports_are_listed_rarely() {
        let world = World::new();
        let watch = Watch { quiet_interval: Duration::from_secs(600), ..Watch::default() };
        resend_lost_runs(&world.deps, &watch).await;
        world.report(1, RunState::Queued, |_| ()).await;
        world.pass(TimeDelta::seconds(11));
        resend_lost_runs(&world.deps, &watch).await;
        assert_eq!(take(&world).await, None);
        watch.stir();
        resend_lost_runs(&world.deps, &watch).await;
        assert_eq!(take(&world).await, sending(1));
        // A run that has not ended is no quiet.
        world.pass(TimeDelta::days(1));
        resend_lost_runs(&world.deps, &watch).await;
        assert_eq!(take(&world).await, sending(2));

        let end = |report: &mut RunReport| report.state = RunState::Dead;
        world.deps.reports().update(&run(1), end).await.unwrap();
        for _ in 0..2 {
            resend_lost_runs(&world.deps, &watch).await;
        }
        assert!(watch.is_quiet(world.now()));
        world.pass(TimeDelta::seconds(600));
        assert!(!watch.is_quiet(world.now()));
    }

    /// A run may have been created after the listing that sees all of them ended.
    #[test]
    fn what_stirs_during_a_listing_is_no_quiet() {
        let watch = Watch { quiet_interval: Duration::from_secs(600), ..Watch::default() };
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let before = watch.stirs();
        watch.stir();
        watch.note_listing(before, true, now);
        assert!(!watch.is_quiet(now));
        watch.note_listing(watch.stirs(), false, now);
        assert!(!watch.is_quiet(now), "one has not ended");
        watch.note_listing(watch.stirs(), true, now);
        assert!(watch.is_quiet(now));
        assert!(!watch.is_quiet(now - TimeDelta::hours(1)), "the clock was wrong");
        watch.note_crawls(&Counts { in_flight: 1, ..Counts::default() }, now);
        assert!(!watch.is_quiet(now));
    }

    /// Where counts lag, one look that finds the queue empty says nothing: what was just sent is not counted yet.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_queue_whose_counts_lag_is_empty_after_two_looks() {
        let world = World::new();
        let watch = Watch { counts_lag: COUNTS_LAG, ..Watch::default() };
        let now = world.now();
        world.report(1, RunState::Running, |report| report.sent_at = Some(now)).await;
        for (secs, sent) in [(3600, None), (59, None), (1, sending(1))] {
            world.pass(TimeDelta::seconds(secs));
            resend_lost_runs(&world.deps, &watch).await;
            assert_eq!(take(&world).await, sent, "{secs}");
        }

        // Something between two looks begins the wait anew.
        let busy = Counts { visible: 1, ..Counts::default() };
        assert!(!watch.note_crawls(&busy, world.now()));
        assert!(!watch.note_crawls(&Counts::default(), world.now()));
        world.pass(TimeDelta::seconds(-30));
        assert!(!watch.note_crawls(&Counts::default(), world.now()));
        world.pass(TimeDelta::seconds(59));
        assert!(!watch.note_crawls(&Counts::default(), world.now()));
        world.pass(TimeDelta::seconds(1));
        assert!(watch.note_crawls(&Counts::default(), world.now()));
    }

    /// While the queue has messages one of them may be the run's: it is sent again only after hours.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_queue_with_messages_may_have_the_runs() {
        let world = World::new();
        let now = world.now();
        world.report(1, RunState::Running, |report| report.sent_at = Some(now)).await;
        let other = NewMessage { group: "g".into(), dedup_id: "d".into(), body: "b".into() };
        world.deps.crawl.send(&[other]).await.unwrap();
        for (hours, messages) in [(5, 1), (2, 2)] {
            world.pass(TimeDelta::hours(hours));
            resend_lost_runs(&world.deps, &Watch::default()).await;
            assert_eq!(world.deps.crawl.counts().await.unwrap().visible, messages);
        }
    }
}
