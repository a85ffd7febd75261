//! Runs whose message is gone: created and never sent, or lost with a queue. They get their message again,
//! under the same run id. A run whose report cannot be read gets another report first.

use crate::age;
use crate::damaged;
use crate::deps::Deps;
use crate::issue::{IssueError, send};
use crate::seen::Seen;
use chrono::{DateTime, Utc};
use feedfleet_model::report::RunState;
use feedfleet_model::{PipeName, RunKey, keys};
use feedfleet_objects::ReportError;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// A run whose report does not say that its message was sent gets it after this long: whoever created the
/// report has failed to send it, or died before.
const UNSENT_SILENCE: Duration = Duration::from_secs(10);
/// Runs of a pipe that are looked at, the newest first. Two may be unfinished, when they were asked for at one
/// moment.
const RUNS_LOOKED_AT: usize = 3;
/// Without a sign of life for this long, a run's message is sent again even if the queue has others.
const LONGEST_SILENCE: Duration = Duration::from_secs(6 * 3600);

/// What the search for lost runs remembers. All reports are listed for it, a thousand with each request: that is
/// fewer requests than one for each pipe's newest, and still not for nothing.
#[derive(Default)]
pub(crate) struct Watch {
    /// Runs that have ended.
    finals: Seen<RunKey, ()>,
    /// While it is quiet, reports are listed once in so long.
    quiet_interval: Duration,
    /// When the last listing was, if all runs in it had ended, and nothing has been on the queue of crawls since.
    quiet_since: Mutex<Option<DateTime<Utc>>>,
}

impl Watch {
    /// For a store whose listings are paid for. By default they are not, and quiet changes nothing.
    pub(crate) fn with_quiet_interval(quiet_interval: Duration) -> Self {
        Self { quiet_interval, ..Self::default() }
    }

    /// Something is on the queue of crawls: it is not quiet.
    pub(crate) fn stir(&self) {
        self.set_quiet(None);
    }

    fn set_quiet(&self, since: Option<DateTime<Utc>>) {
        *self.quiet_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn is_quiet(&self, now: DateTime<Utc>) -> bool {
        let since = *self.quiet_since.lock().unwrap_or_else(PoisonError::into_inner);
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
    let mut newest: BTreeMap<PipeName, VecDeque<(RunKey, SystemTime)>> = BTreeMap::new();
    let listed = deps.objects.list(&format!("{}/", keys::REPORTS), None, usize::MAX).await;
    for entry in listed.map_err(ReportError::from)? {
        let Some(run) = keys::run_of_report(&entry.key) else { continue };
        let runs = newest.entry(run.pipe.clone()).or_default();
        runs.push_back((run, entry.modified));
        if runs.len() > RUNS_LOOKED_AT {
            runs.pop_front();
        }
    }
    let looked_at: BTreeSet<RunKey> =
        newest.values().flatten().map(|(run, _)| run.clone()).collect();
    watch.finals.keep(|run| looked_at.contains(run));
    if let Some(meters) = &deps.meters {
        meters.keep_runs(&looked_at);
    }
    let mut is_quiet = true;
    // The oldest first: so they go to their queue.
    for (run, written) in newest.into_values().flatten() {
        if watch.finals.get(&run, written, deps.clock.now()).is_none() {
            is_quiet = false;
            resend_if_lost(deps, &run, written, watch).await?;
        }
    }
    watch.set_quiet(is_quiet.then(|| deps.clock.now()));
    Ok(())
}

async fn resend_if_lost(
    deps: &Deps,
    run: &RunKey,
    written: SystemTime,
    watch: &Watch,
) -> Result<(), IssueError> {
    let reports = deps.reports();
    let report = match damaged::load(deps, run).await {
        Ok(Some(report)) => report,
        Ok(None) => return Ok(()),
        Err(e) => {
            deps.complain(&e.to_string());
            return Ok(());
        }
    };
    if let Some(meters) = &deps.meters {
        meters.note_run(&report);
    }
    if report.state.is_final() {
        watch.finals.note(run.clone(), written, deps.clock.now(), ());
        return Ok(());
    }
    let silent = age(deps.clock.now(), report.updated_at);
    let is_lost = if report.sent_at.is_none() {
        // A report in the place of a damaged one is nobody's who would be about to send it.
        silent >= UNSENT_SILENCE || report.state == RunState::Committed
    } else if silent < deps.fleet.leases.visibility * 2 {
        false
    } else {
        let counts = deps.crawl.counts().await?;
        let queue_is_empty = counts.visible == 0 && counts.in_flight == 0;
        queue_is_empty || silent > LONGEST_SILENCE
    };
    if is_lost {
        tracing::warn!(%run, silent_secs = silent.as_secs(), "a run lost its message");
        send(&reports, deps.crawl.as_ref(), deps.clock.as_ref(), run).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, acme, run};
    use chrono::TimeDelta;
    use feedfleet_model::{CrawlJob, Job, RunId, RunReport};
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

    /// Where listings are paid for, and every run has ended, reports are listed once in a while, or when a crawl is on
    /// its queue.
    #[tokio::test(flavor = "multi_thread")]
    async fn while_it_is_quiet_reports_are_listed_rarely() {
        let world = World::new();
        let watch = Watch::with_quiet_interval(Duration::from_secs(600));
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
