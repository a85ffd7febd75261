//! Issuing a run: its report is created by a conditional put, then its message is sent. Whoever loses the
//! put sends nothing.

use crate::pause::paused;
use feedfleet_catalog::{Catalog, CatalogError, feed_app_id};
use feedfleet_model::report::{RunState, Trigger};
use feedfleet_model::{Clock, CrawlJob, Job, PipeName, RunId, RunKey, RunReport};
use feedfleet_objects::{Objects, ReportError, Reports};
use feedfleet_queue::{NewMessage, Queue, QueueError};
use std::sync::Arc;

/// Why a run could not be issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The reports failed.
    #[error(transparent)]
    Reports(#[from] ReportError),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The table failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// An earlier run of the pipe has not ended.
    #[error("run {run} is {} and must end first; follow it with: feedfleet run {} --wait", .state.word(), .run.pipe)]
    Unfinished {
        /// That run.
        run: RunKey,
        /// Where it stands.
        state: RunState,
    },
    /// The pipe is paused.
    #[error("pipe '{pipe}' is paused {why}; to let it run again: feedfleet pipes resume {pipe}")]
    Paused {
        /// The pipe.
        pipe: PipeName,
        /// Since when, by whom and why.
        why: String,
    },
}

/// Creates a run's report and sends its message. False: the run existed already.
pub async fn issue(
    reports: &Reports,
    queue: &dyn Queue,
    clock: &dyn Clock,
    report: RunReport,
) -> Result<bool, IssueError> {
    if !reports.create(&report).await? {
        return Ok(false);
    }
    send(reports, queue, clock, &report.key).await?;
    Ok(true)
}

/// Sends the message of a run that has a report. Each sending is numbered, before it goes, so that
/// deduplication lets it pass; that the run happens once is not the queue's promise but the table's fence.
/// What the report calls sent is on the queue: a run without that word is sent again.
pub async fn send(
    reports: &Reports,
    queue: &dyn Queue,
    clock: &dyn Clock,
    key: &RunKey,
) -> Result<(), IssueError> {
    let now = clock.now();
    let report = reports
        .update(key, |report| {
            report.sendings += 1;
            report.updated_at = now;
        })
        .await?;
    let job =
        Job::Crawl(CrawlJob { pipe: key.pipe.clone(), run: key.run, attempt: report.sendings });
    let message = NewMessage { group: job.group(), dedup_id: job.dedup_id(), body: job.to_body() };
    queue.send(&[message]).await?;
    reports.update(key, |report| report.sent_at = Some(now)).await?;
    tracing::info!(run = %key, sending = report.sendings, "run sent");
    Ok(())
}

/// Issues a run that an operator asks for. `replay`: the run whose raw snapshot is to be read instead of
/// the source.
pub async fn issue_now(
    objects: &Arc<dyn Objects>,
    queue: &dyn Queue,
    catalog: &Catalog,
    clock: &dyn Clock,
    pipe: &PipeName,
    replay: Option<RunId>,
) -> Result<RunKey, IssueError> {
    if let Some(pause) = paused(objects.as_ref(), pipe).await? {
        return Err(IssueError::Paused { pipe: pipe.clone(), why: pause.to_string() });
    }
    let reports = &Reports::new(objects.clone());
    let last = reports.last_of(pipe).await?;
    if let Some(last) = last.as_ref().filter(|report| !report.state.is_final()) {
        return Err(IssueError::Unfinished { run: last.key.clone(), state: last.state });
    }
    let committed = match catalog.products().snapshot()? {
        Some(snapshot) => snapshot.fence(&feed_app_id(pipe))?.map(RunId),
        None => None,
    };
    let mut last_issued = last.map(|report| report.key.run);
    loop {
        let now = clock.now();
        let run = RunId::manual(now.timestamp(), committed, last_issued);
        let key = RunKey { pipe: pipe.clone(), run };
        let mut report = RunReport::new(key.clone(), Trigger::Operator, now);
        report.source.replayed_from = replay
            .map(|run| feedfleet_model::keys::raw(&RunKey { pipe: pipe.clone(), run }).to_string());
        if issue(reports, queue, clock, report).await? {
            return Ok(key);
        }
        last_issued = Some(run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, acme};
    use chrono::TimeDelta;
    use feedfleet_model::keys;

    /// Issues a run now; it commits, which the fence must allow, and ends.
    async fn run(world: &World) -> RunId {
        let deps = &world.deps;
        let (queue, clock) = (deps.crawl.as_ref(), deps.clock.as_ref());
        let issued = issue_now(&deps.objects, queue, &deps.catalog, clock, &acme(), None).await;
        let key = issued.unwrap();
        let picture = format!("of-{}", key.run);
        world.add_rows(key.run.0, &[picture.as_str()]);
        deps.reports().update(&key, |report| report.state = RunState::Done).await.unwrap();
        key.run
    }

    /// Promise 4: a clock that is an hour fast, and then an hour slow, changes neither the order of a pipe's runs
    /// nor what the fence lets in.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_clock_an_hour_off_changes_neither_order_nor_fence() {
        let world = World::new();
        world.pass(TimeDelta::hours(1));
        let fast = run(&world).await;
        assert_eq!(fast.0, world.now().timestamp());
        world.pass(TimeDelta::hours(-2));
        let slow = run(&world).await;
        assert_eq!(slow.0, fast.0 + 1, "it comes after the commit of the future");

        // Their reports expire; the table remembers.
        for expired in [fast, slow] {
            let report = keys::report(&RunKey { pipe: acme(), run: expired });
            world.deps.objects.delete(&report).await.unwrap();
        }
        assert_eq!(run(&world).await.0, slow.0 + 1);
    }
}
