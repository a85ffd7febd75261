//! Runs whose message is gone: created and never sent, or lost with a queue. They get their message again,
//! under the same run id. A run whose report cannot be read gets another report first.

use crate::age;
use crate::damaged;
use crate::deps::Deps;
use crate::issue::{IssueError, end_if_paused, send};
use feedfleet_model::report::RunState;
use feedfleet_model::{PipeName, RunKey};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A run whose report does not say that its message was sent gets it after this long: whoever created the
/// report has failed to send it, or died before.
const UNSENT_SILENCE: Duration = Duration::from_secs(10);
/// Runs of a pipe that are looked at, the newest first. Two may be unfinished, when they were asked for at one
/// moment.
const RUNS_LOOKED_AT: usize = 3;
/// Without a sign of life for this long, a run's message is sent again even if the queue has others.
const LONGEST_SILENCE: Duration = Duration::from_secs(6 * 3600);

/// Looks at the newest runs of every pipe that has any.
pub(crate) async fn resend_lost_runs(deps: &Deps) {
    if let Err(e) = try_resend(deps).await {
        tracing::warn!(error = %e, "could not look for lost runs, will try again");
    }
}

async fn try_resend(deps: &Deps) -> Result<(), IssueError> {
    let mut newest: BTreeMap<PipeName, VecDeque<RunKey>> = BTreeMap::new();
    for run in deps.reports().all_runs().await? {
        let runs = newest.entry(run.pipe.clone()).or_default();
        runs.push_back(run);
        if runs.len() > RUNS_LOOKED_AT {
            runs.pop_front();
        }
    }
    // The oldest first: so they go to their queue.
    look_at(deps, newest.into_values().flatten()).await;
    Ok(())
}

/// Looks at every run there is. A report may be damaged long after its run has ended; and if that is the newest run in
/// the table, it gets its message again, however many dead ones have come since.
pub(crate) async fn look_at_all(deps: &Deps) {
    match deps.reports().all_runs().await {
        Ok(runs) => look_at(deps, runs).await,
        Err(e) => tracing::warn!(error = %e, "could not look at all runs, will try again"),
    }
}

async fn look_at(deps: &Deps, runs: impl IntoIterator<Item = RunKey>) {
    for run in runs {
        if let Err(e) = resend_if_lost(deps, &run).await {
            // It keeps no other waiting.
            tracing::warn!(%run, error = %e, "could not look after a run, will try again");
        }
    }
}

/// Sends a run's message again if the run has lost it.
pub(crate) async fn resend_if_lost(deps: &Deps, run: &RunKey) -> Result<(), IssueError> {
    let report = match damaged::load(deps, run).await {
        Ok(Some(report)) if !report.state.is_final() => report,
        Ok(_) => return Ok(()),
        Err(e) => {
            deps.complain(&e.to_string());
            return Ok(());
        }
    };
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
        resend_lost_runs(&world.deps).await;
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
            resend_lost_runs(&world.deps).await;
            assert_eq!(world.deps.crawl.counts().await.unwrap().visible, messages);
        }
    }
}
