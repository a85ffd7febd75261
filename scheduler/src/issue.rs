//! Issuing a run: its report is created by a conditional put, then its message is sent. Whoever loses the
//! put sends nothing.

use crate::damaged;
use crate::deps::Deps;
use crate::pause::{Pause, pause_over};
use crate::rescue::{Watch, resend_if_lost};
use chrono::{DateTime, Utc};
use feedfleet_catalog::{CatalogError, feed_app_id, rollback_app_id};
use feedfleet_model::report::{RunState, Trigger};
use feedfleet_model::{
    CrawlJob, Job, PipeName, Reason, ReasonClass, RunId, RunKey, RunReport, keys,
};
use feedfleet_objects::ReportError;
use feedfleet_queue::{NewMessage, QueueError};

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
    /// There is nothing to read again.
    #[error(
        "nothing was queued: the raw snapshot of run {run} is not there: it was never taken, or has expired (raw under \
         [keep] in fleet.toml); to read the source as it is now: feedfleet run {}", .run.pipe
    )]
    NoSnapshot {
        /// The run that was to be read again.
        run: RunKey,
    },
}

/// Creates a run's report and sends its message. False: the run existed already.
///
/// Nothing is issued behind a pause. A rollback writes the pause, then looks for runs; this creates the run, then looks
/// for the pause: one of the two sees the other.
pub(crate) async fn issue(deps: &Deps, report: &RunReport) -> Result<bool, IssueError> {
    if !deps.reports().create(report).await? {
        return Ok(false);
    }
    if let Some((whose, pause)) = end_if_paused(deps, &report.key).await? {
        return Err(IssueError::paused(whose, &pause));
    }
    send(deps, &report.key).await?;
    Ok(true)
}

/// Ends a run that nobody has begun to send, if its pipe is paused. The pause and whose it is, if the run has ended so.
/// Who sends a run for the first time asks this before, whoever created it.
pub(crate) async fn end_if_paused(
    deps: &Deps,
    key: &RunKey,
) -> Result<Option<(PipeName, Pause)>, ReportError> {
    let Some(pause) = pause_over(deps.objects.as_ref(), &key.pipe).await? else { return Ok(None) };
    let now = deps.clock.now();
    let text = "the pipe was paused as the run was issued, and the run was not sent";
    let report = deps
        .reports()
        .update(key, |report| {
            if report.state == RunState::Queued && report.sendings == 0 {
                report.state = RunState::Superseded;
                report.reason = Some(Reason::new(ReasonClass::Configuration, text));
                report.updated_at = now;
                report.finished_at = Some(now);
            }
        })
        .await?;
    Ok((report.state == RunState::Superseded).then_some(pause))
}

/// Sends the message of a run that has a report. Each sending is numbered, before it goes. A report in the place of a
/// damaged one does not know which numbers there have been: so the deduplication id says whose number it is, by the
/// time when the report was created, and one that the queue takes for a repetition all the same is passed over, where
/// the queue says so (SQS does not).
/// That the run happens once is not the queue's promise but the table's fence. What the report calls sent is on the
/// queue: a run without that word is sent again.
pub(crate) async fn send(deps: &Deps, key: &RunKey) -> Result<(), IssueError> {
    let reports = deps.reports();
    let now = deps.clock.now();
    let sending = loop {
        let count = |report: &mut RunReport| {
            report.sendings += 1;
            report.updated_at = now;
        };
        let report = reports.update(key, count).await?;
        let attempt = report.sendings;
        let job = Job::Crawl(CrawlJob { pipe: key.pipe.clone(), run: key.run, attempt });
        let dedup_id = dedup_id(&job, report.created_at);
        let message = NewMessage { group: job.group(), dedup_id, body: job.to_body() };
        let sent = deps.crawl.send(&[message]).await?;
        if !sent.iter().any(|sent| sent.duplicate) {
            break attempt;
        }
    };
    reports.update(key, |report| report.sent_at = Some(now)).await?;
    tracing::info!(run = %key, sending, "run sent");
    Ok(())
}

/// Names a sending of a run by a report that was created then.
fn dedup_id(job: &Job, created_at: DateTime<Utc>) -> String {
    format!("{}/{}", job.dedup_id(), created_at.timestamp_millis())
}

/// Issues a run that an operator asks for. `replay`: the run whose raw snapshot is to be read instead of
/// the source. There need not be a scheduler: if the pipe's newest run is unfinished and has lost its message, that one
/// is sent again, and the answer is [`IssueError::Unfinished`].
pub async fn issue_now(
    deps: &Deps,
    pipe: &PipeName,
    replay: Option<RunId>,
) -> Result<RunKey, IssueError> {
    if let Some((whose, pause)) = pause_over(deps.objects.as_ref(), pipe).await? {
        return Err(IssueError::paused(whose, &pause));
    }
    let replay = replay.map(|run| RunKey { pipe: pipe.clone(), run });
    if let Some(run) = &replay
        && deps.objects.get(&keys::raw_facts(run)).await.map_err(ReportError::from)?.is_none()
    {
        return Err(IssueError::NoSnapshot { run: run.clone() });
    }
    let last = damaged::last_of(deps, pipe).await?;
    if let Some(last) = last.as_ref().filter(|report| !report.state.is_final()) {
        resend_if_lost(deps, last, &Watch::of(&deps.fleet)).await?;
        return Err(IssueError::Unfinished { run: last.key.clone(), state: last.state });
    }
    let committed = match deps.catalog.products().snapshot()? {
        Some(snapshot) => {
            // A run whose number is below a rollback's counts as one that was rolled back.
            let rollback = snapshot.fence(&rollback_app_id(pipe))?;
            snapshot.fence(&feed_app_id(pipe))?.max(rollback).map(RunId)
        }
        None => None,
    };
    let mut last_issued = last.map(|report| report.key.run);
    loop {
        let now = deps.clock.now();
        let run = RunId::manual(now.timestamp(), committed, last_issued);
        let key = RunKey { pipe: pipe.clone(), run };
        let mut report = RunReport::new(key.clone(), Trigger::Operator, now);
        report.source.replayed_from = replay.as_ref().map(|run| keys::raw(run).to_string());
        if issue(deps, &report).await? {
            return Ok(key);
        }
        last_issued = Some(run);
    }
}

impl IssueError {
    fn paused(pipe: PipeName, pause: &Pause) -> Self {
        Self::Paused { pipe, why: pause.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pause::pause;
    use crate::rescue::resend_lost_runs;
    use crate::testing::{World, acme};
    use chrono::TimeDelta;
    use feedfleet_catalog::restore::restore;
    use feedfleet_catalog::retire::{Retirement, retire};
    use feedfleet_queue::MAX_NAME_BYTES;
    use std::collections::HashSet;

    async fn on_the_queue(world: &World) -> u64 {
        world.deps.crawl.counts().await.unwrap().visible
    }

    /// Issues a run now; it commits, which the fence must allow, and ends.
    async fn run(world: &World) -> RunId {
        let deps = &world.deps;
        let key = issue_now(deps, &acme(), None).await.unwrap();
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

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_read_again_is_not_queued() {
        let world = World::new();
        let of = RunKey { pipe: acme(), run: RunId(17) };
        let refused = issue_now(&world.deps, &acme(), Some(of.run)).await.unwrap_err();
        assert!(matches!(&refused, IssueError::NoSnapshot { run } if *run == of), "{refused}");
        assert_eq!(on_the_queue(&world).await, 0);
        assert!(world.deps.reports().runs_of(&acme()).await.unwrap().is_empty());

        world.put(&[keys::raw_facts(&of)]).await;
        let key = issue_now(&world.deps, &acme(), Some(of.run)).await.unwrap();
        let report = world.deps.reports().load(&key).await.unwrap().unwrap();
        assert_eq!(report.source.replayed_from, Some(keys::raw(&of).to_string()));
        assert_eq!(on_the_queue(&world).await, 1);
    }

    /// A report in the place of a damaged one counts its sendings anew, and a queue that swallows repetitions without a
    /// word must not take them for those before.
    #[test]
    fn sendings_by_another_report_are_no_repetitions() {
        let longest = CrawlJob {
            pipe: "x".repeat(64).parse().unwrap(),
            run: RunId(i64::MAX),
            attempt: u32::MAX,
        };
        let job = Job::Crawl(longest);
        let now = Utc::now();
        let [first, other] = [now, now + TimeDelta::milliseconds(1)].map(|at| dedup_id(&job, at));
        assert_ne!(first, other);
        assert!(first.len() <= MAX_NAME_BYTES, "{first}");
    }

    /// Rollbacks count up from the run that they found, each of them, also while the clock is behind that run. A run
    /// after them is not one that they took back, and its removals can be approved.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_run_comes_after_the_rollbacks_before_it() {
        let world = World::new();
        world.pass(TimeDelta::hours(1));
        let fast = run(&world).await;
        world.pass(TimeDelta::hours(-1));
        let table = world.deps.catalog.products();
        for _ in 0..2 {
            assert!(restore(table, &acme(), fast, &[]).unwrap().plan.is_empty());
        }
        let next = run(&world).await;
        let approved = retire(table, &acme(), next, &HashSet::new()).unwrap();
        assert!(matches!(approved, Retirement::Done { .. }), "{approved:?}");
    }

    /// A pipe that is paused right after somebody looked for that gets no run behind the pause: not from who issues it,
    /// and not from who finds it created and not sent.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_run_that_is_issued_as_its_pipe_is_paused_is_not_sent() {
        let world = World::new();
        let deps = &world.deps;
        let said = Pause { at: world.now(), by: "ada".into(), note: None, rolled_back: None };
        assert!(pause(deps.objects.as_ref(), &acme(), &said).await.unwrap());
        let report = |run| {
            let key = RunKey { pipe: acme(), run: RunId(run) };
            RunReport::new(key, Trigger::Schedule, world.now())
        };
        let refused = issue(deps, &report(1)).await.unwrap_err();
        assert!(matches!(&refused, IssueError::Paused { why, .. } if why.contains("ada")));
        // Its issuer died before it looked.
        assert!(deps.reports().create(&report(2)).await.unwrap());
        // It was sent before the pause, and goes on to its end.
        let sent = RunReport { sendings: 1, ..report(3) };
        assert!(deps.reports().create(&sent).await.unwrap());
        world.pass(TimeDelta::minutes(1));
        resend_lost_runs(deps, &Watch::default()).await;
        let mut states = Vec::new();
        for run in 1..=3 {
            states.push(deps.reports().load(&report(run).key).await.unwrap().unwrap().state);
        }
        assert_eq!(states, [RunState::Superseded, RunState::Superseded, RunState::Queued]);
        assert_eq!(on_the_queue(&world).await, 1);
    }

    /// A pipe is run by hand, without a scheduler, and its newest report is damaged.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_damaged_report_does_not_stop_who_asks_for_a_run() {
        let world = World::new();
        let deps = &world.deps;
        let damage = async |key: &RunKey| {
            deps.objects.put(&keys::report(key), "{".into()).await.unwrap();
        };
        // Not in the table: it is dead, and the next one begins.
        let lost = issue_now(deps, &acme(), None).await.unwrap();
        damage(&lost).await;
        let next = issue_now(deps, &acme(), None).await.unwrap();
        assert!(next.run > lost.run);
        assert_eq!(on_the_queue(&world).await, 2);
        // In the table: it is sent again, at once, to be ended by what its commit says.
        world.add_rows(next.run.0, &["a"]);
        damage(&next).await;
        let refused = issue_now(deps, &acme(), None).await.unwrap_err().to_string();
        assert!(
            refused.contains(&format!("run {next} is committed and must end first")),
            "{refused}"
        );
        assert_eq!(on_the_queue(&world).await, 3);
    }
}
