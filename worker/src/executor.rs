//! One message, from its receipt to its settlement.
//!
//! ```text
//!   received ── unreadable ───────────────────────────────────────────▶ dead letter
//!      │    └── its run is final already ──▶ deleted
//!      │    └── of a newer release ──▶ back to the queue
//!      │    └── too many attempts died ──────────────────────────────▶ dead letter
//!      ▼
//!   attempt noted ── done, superseded ──▶ deleted
//!      │          ├─ interrupted ───────▶ released at once
//!      │          ├─ continued ─────────▶ sent again as its continuation, then deleted
//!      │          ├─ retry after ───────▶ invisible for a while; past the limit ──▶ dead letter
//!      │          ├─ dead ─────────────────────────────────────────────▶ dead letter
//!      │          └─ lease lost ────────▶ left alone: somebody else has it
//!      └── worker died ──▶ delivered again when the lease runs out
//! ```

use crate::deps::Deps;
use crate::isolate::{self, Finished, Stop};
use crate::jobs::crawl::note_committed;
use crate::lease::{Heart, Lease};
use crate::{backoff, jobs};
use chrono::{DateTime, Utc};
use feedfleet_catalog::{CatalogError, feed_app_id};
use feedfleet_model::job::UnreadableJob;
use feedfleet_model::report::{Attempt, AttemptEnd, RunState};
use feedfleet_model::{CrawlJob, Job, Outcome, Reason, ReasonClass, RunKey, hash};
use feedfleet_objects::dead_letters::LetterState;
use feedfleet_objects::{DeadLetter, ReportError};
use feedfleet_queue::{NewMessage, Queue, QueueError, Received};
use feedfleet_telemetry::failpoint;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Receives that an image job may have beyond the limit: interruptions cost a receive too. The queue itself shall give
/// a message up only some receives later: dead letters that a worker writes carry a reason.
pub const RECEIVE_SLACK: u32 = 10;
/// What is left of a run that is in the table is little, and need not wait.
const GO_ON_DELAY: Duration = Duration::from_secs(1);
/// Tries to settle a message whose queue does not answer.
const SETTLE_TRIES: u32 = 5;

/// Does the job of a message that was received from `queue`, and settles the message. `interrupt` asks the
/// job to stop because the worker must go.
pub async fn execute(
    deps: &Deps,
    heart: &Heart,
    queue: Arc<dyn Queue>,
    message: Received,
    interrupt: CancellationToken,
) {
    let visibility = deps.fleet.leases.visibility;
    let lease = Lease::hold(heart, queue.clone(), message.receipt.clone(), visibility);
    let outcome = match Job::from_body(&message.body) {
        Ok(job) => attempt(deps, &message, &job, &lease, interrupt).await,
        Err(e @ UnreadableJob::NotAJob(_)) => {
            Outcome::Dead(Reason::new(ReasonClass::Unreadable, e.to_string()))
        }
        Err(e) => {
            // It waits for a worker of a release that knows it.
            let reason = Reason::new(ReasonClass::Unreadable, e.to_string());
            Outcome::RetryAfter(backoff::after_failures(message.receive_count), reason)
        }
    };
    failpoint::hit("job.before-settle");
    if lease.lost().is_cancelled() {
        tracing::warn!(message = %message.group, "the lease was lost, the message is left alone");
        return;
    }
    if matches!(outcome, Outcome::RetryAfter(..) | Outcome::Interrupted) {
        // These set the message's visibility, as a heartbeat does: the later one would count.
        drop(lease);
    }
    settle(deps, queue.as_ref(), &message, &outcome).await;
}

async fn attempt(
    deps: &Deps,
    message: &Received,
    job: &Job,
    lease: &Lease,
    interrupt: CancellationToken,
) -> Outcome {
    let begun = match job {
        Job::Crawl(crawl) => begin_crawl(deps, crawl).await,
        Job::Image(_) => begin_image(deps, message),
    };
    match begun {
        Ok(None) => {}
        Ok(Some(outcome)) => return outcome,
        Err(e) => return storage_failed(&e, message.receive_count),
    }
    let stop = Stop { lost: lease.lost(), interrupt: &interrupt };
    let finished = match (&deps.program, job) {
        (Some(program), Job::Crawl(_)) => {
            isolate::run_apart(program, &deps.fleet.workers, job, stop).await
        }
        _ => run_here(deps, job, stop, message.receive_count).await.into(),
    };
    if lease.lost().is_cancelled() {
        return Outcome::Interrupted;
    }
    match job {
        Job::Crawl(crawl) => end_crawl(deps, crawl, finished, message.receive_count).await,
        Job::Image(_) => {
            let max_receives = deps.fleet.leases.max_receives;
            let may_be_taken = deps.instance.is_some();
            end_image(max_receives, may_be_taken, message.receive_count, finished.outcome)
        }
    }
}

/// Does a job in this process. `receives`: how often its message has been received.
async fn run_here(deps: &Deps, job: &Job, stop: Stop<'_>, receives: u32) -> Outcome {
    let cancel = CancellationToken::new();
    let work = jobs::run_caught(deps, job, &cancel, receives);
    tokio::pin!(work);
    let finished = tokio::select! {
        outcome = &mut work => Some(outcome),
        () = stop.lost.cancelled() => None,
        () = stop.interrupt.cancelled() => None,
    };
    match finished {
        Some(outcome) => outcome,
        None => {
            cancel.cancel();
            work.await
        }
    }
}

/// Notes the attempt in the run's report. Some: there is nothing to do but this.
async fn begin_crawl(deps: &Deps, job: &CrawlJob) -> Result<Option<Outcome>, BeginError> {
    let key = RunKey { pipe: job.pipe.clone(), run: job.run };
    let reports = deps.reports();
    let Some(report) = reports.load(&key).await? else {
        let text = format!("run {key} has no report: it was never created, or has expired");
        return Ok(Some(Outcome::Dead(Reason::new(ReasonClass::Unreadable, text))));
    };
    if report.state == RunState::Dead && !has_letter(deps, job).await? {
        // The worker that wrote the report died before it wrote the dead letter.
        let unknown =
            || Reason::new(ReasonClass::WorkerLost, "the run is dead, it is not known why");
        return Ok(Some(Outcome::Dead(report.reason.unwrap_or_else(unknown))));
    }
    if report.state.is_final() {
        return Ok(Some(match report.state {
            RunState::Superseded => Outcome::Superseded,
            _ => Outcome::Ended,
        }));
    }
    let failed = report.failed_attempts();
    if failed >= deps.fleet.leases.max_receives as usize {
        let reason = lost_reason(report.counted_attempts(), failed);
        if report.state != RunState::Committed && is_in_table(deps, &key).await? {
            return Ok(Some(go_on(deps, &key, reason).await));
        }
        return Ok(Some(finish_dead(deps, &key, reason).await?));
    }
    let now = deps.clock.now();
    reports
        .update(&key, |report| {
            // It is there already where a write was done, its reply lost, and somebody else wrote since. Noted twice,
            // one of the two would have no end, and count as a failure.
            let is_noted =
                |a: &Attempt| a.worker == deps.worker && a.started_at == now && a.end.is_none();
            if !report.attempts.iter().any(is_noted) {
                report.attempts.push(Attempt {
                    worker: deps.worker.clone(),
                    started_at: now,
                    end: None,
                });
            }
            if report.state == RunState::Queued {
                report.state = RunState::Running;
            }
            report.updated_at = now;
        })
        .await?;
    Ok(None)
}

/// Whether the table has the run, though its report may not say so: its worker may have died in between.
async fn is_in_table(deps: &Deps, key: &RunKey) -> Result<bool, CatalogError> {
    let (products, app_id) = (deps.catalog.products().clone(), feed_app_id(&key.pipe));
    let fence = move || match products.snapshot()? {
        Some(snapshot) => snapshot.fence(&app_id),
        None => Ok(None),
    };
    let fence = match tokio::task::spawn_blocking(fence).await {
        Ok(fence) => fence?,
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    };
    Ok(fence == Some(key.run.0))
}

/// Whether a dead run's letter waits for an operator. Without one the run would be dead and nobody be told; one
/// too many costs an operator a look.
async fn has_letter(deps: &Deps, job: &CrawlJob) -> Result<bool, ReportError> {
    match deps.dead_letters().load(&Job::Crawl(job.clone()).id()).await {
        Ok(letter) => Ok(letter.is_some_and(|letter| letter.state == LetterState::Waiting)),
        // It is written anew.
        Err(ReportError::Unreadable { .. }) => Ok(false),
        Err(e) => Err(e),
    }
}

fn lost_reason(attempts: &[Attempt], failed: usize) -> Reason {
    let last = attempts.iter().rev().find_map(|a| a.end.as_ref()?.reason.clone());
    let died = attempts.iter().filter(|a| a.end.is_none()).count();
    match last {
        Some(reason) if died == 0 => reason,
        _ => {
            let worker = attempts.last().map_or("?", |a| a.worker.as_str());
            let text = format!(
                "{failed} attempts failed; in {died} of them the worker died under the job (killed, aborted \
                 or out of memory), the last on {worker}"
            );
            Reason::new(ReasonClass::WorkerLost, text)
        }
    }
}

/// Notes the attempt's end in the run's report; what becomes of the message, which was received so often.
async fn end_crawl(deps: &Deps, job: &CrawlJob, finished: Finished, receives: u32) -> Outcome {
    let key = RunKey { pipe: job.pipe.clone(), run: job.run };
    let now = deps.clock.now();
    let Finished { mut outcome, peak_memory_bytes } = finished;
    let max_failed = deps.fleet.leases.max_receives as usize;
    let mut repeated_after = None;
    let noted = deps
        .reports()
        .update(&key, |report| {
            let reason = match &outcome {
                Outcome::RetryAfter(_, reason) | Outcome::Dead(reason) => Some(reason.clone()),
                _ => None,
            };
            // This attempt is among them: it has no other end yet.
            let failed = report.failed_attempts();
            repeated_after = match &outcome {
                Outcome::RetryAfter(wait, _) if failed < max_failed => {
                    Some(wait_after(failed, *wait))
                }
                _ => None,
            };
            let next_at = repeated_after.map(|wait| now + wait);
            let word = outcome.word().to_owned();
            let mine = report.attempts.iter_mut().rev().find(|a| a.worker == deps.worker);
            if let Some(mine) = mine {
                let reason = reason.clone();
                mine.end = Some(AttemptEnd { at: now, outcome: word, reason, next_at });
            }
            report.updated_at = now;
            // A worker that slept past its lease must not undo what another has finished.
            if report.state.is_final() {
                return;
            }
            if let Some(bytes) = peak_memory_bytes {
                report.peak_memory_bytes = report.peak_memory_bytes.max(bytes);
            }
            match &outcome {
                Outcome::Superseded => {
                    report.state = RunState::Superseded;
                    report.finished_at = Some(now);
                }
                // What is left of a run that is in the table failed: its reason is what was said of it.
                Outcome::RetryAfter(..) if report.state != RunState::Committed => {
                    report.reason = reason;
                }
                _ => {}
            }
        })
        .await;
    let report = match noted {
        Ok(report) => report,
        Err(e) => return storage_failed(&e, receives),
    };
    if let Outcome::RetryAfter(_, reason) = outcome {
        outcome = match repeated_after {
            Some(wait) => Outcome::RetryAfter(wait, reason),
            None => Outcome::Dead(reason),
        };
    }
    let reason = match outcome {
        Outcome::Dead(reason) => reason,
        outcome => return outcome,
    };
    if !report.state.is_final() && report.state != RunState::Committed {
        match is_in_table(deps, &key).await {
            Ok(false) => {}
            Ok(true) => return go_on(deps, &key, reason).await,
            // Attempts end also where the table cannot be read. A replay, too, would find the run in it.
            Err(e) => tracing::warn!(run = %key, error = %e, "could not ask the table for a run"),
        }
    }
    finish_dead(deps, &key, reason).await.unwrap_or_else(|e| storage_failed(&e, receives))
}

/// How long a job waits that has failed so often, and asks for `wait` itself.
fn wait_after(failed: usize, wait: Duration) -> Duration {
    if failed <= 1 {
        return wait;
    }
    backoff::after_failures(u32::try_from(failed).unwrap_or(u32::MAX)).max(wait)
}

/// The attempt failed after its commit, and its report does not know of that: what is in the table is not dead. The
/// next attempts do what is left. If that fails for good, the run is dead, and known to be in the table.
async fn go_on(deps: &Deps, key: &RunKey, reason: Reason) -> Outcome {
    match note_committed(deps, key).await {
        Ok(()) => Outcome::RetryAfter(GO_ON_DELAY, reason),
        Err(failure) => match failure.into_outcome() {
            Outcome::Dead(reason) => Outcome::RetryAfter(backoff::after_failures(1), reason),
            outcome => outcome,
        },
    }
}

async fn finish_dead(deps: &Deps, key: &RunKey, reason: Reason) -> Result<Outcome, ReportError> {
    let now = deps.clock.now();
    deps.reports()
        .update(key, |report| {
            if report.state.is_final() {
                return;
            }
            report.state = RunState::Dead;
            report.reason = Some(reason.clone());
            report.updated_at = now;
            report.finished_at = Some(now);
        })
        .await?;
    Ok(Outcome::Dead(reason))
}

fn begin_image(deps: &Deps, message: &Received) -> Result<Option<Outcome>, BeginError> {
    let limit = deps.fleet.leases.max_receives.saturating_add(RECEIVE_SLACK);
    if message.receive_count <= limit {
        return Ok(None);
    }
    let text = format!(
        "received {} times without an end: each time its worker died, was told to go or could not settle it",
        message.receive_count
    );
    Ok(Some(Outcome::Dead(Reason::new(ReasonClass::WorkerLost, text))))
}

/// What becomes of a batch of pictures. From the second try on it waits longer and longer, and as long as its host asks at
/// least: one that says "in a second" each time would use the tries up in seconds. `may_be_taken`: workers' machines come and
/// go, and each interruption has cost the job a receive without a failure.
fn end_image(max_receives: u32, may_be_taken: bool, receives: u32, outcome: Outcome) -> Outcome {
    let slack = if may_be_taken { RECEIVE_SLACK } else { 0 };
    match outcome {
        Outcome::RetryAfter(_, reason) if receives >= max_receives.saturating_add(slack) => {
            Outcome::Dead(reason)
        }
        Outcome::RetryAfter(_, reason) if reason.class == ReasonClass::Storage => {
            Outcome::RetryAfter(backoff::after_failures(receives), reason)
        }
        Outcome::RetryAfter(wait, reason) if receives > 1 => {
            Outcome::RetryAfter(wait.max(backoff::after_failures(receives)), reason)
        }
        outcome => outcome,
    }
}

/// Why an attempt could not even begin.
#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error(transparent)]
    Reports(#[from] ReportError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// Each try costs a receive. They are spread over hours, so that an outage of the store does not use them up.
fn storage_failed(e: &dyn std::error::Error, receives: u32) -> Outcome {
    let reason = Reason::new(ReasonClass::Storage, e.to_string());
    Outcome::RetryAfter(backoff::after_failures(receives), reason)
}

/// Does with the message what follows from the outcome. The acknowledgement is repeated if the queue does
/// not answer; if it never does, the message comes again and its job finds its work done.
async fn settle(deps: &Deps, queue: &dyn Queue, message: &Received, outcome: &Outcome) {
    log(message, outcome);
    for round in 1..=SETTLE_TRIES {
        match try_settle(deps, queue, message, outcome).await {
            Ok(()) => return,
            Err(SettleError::Queue(e)) if e.is_receipt_expired() => {
                let what = match outcome {
                    // A release may have been made, and is not made again: the lease may be the next holder's.
                    Outcome::Interrupted => {
                        "the lease had ended, or it is not known whether the message was released: if not, it \
                         comes back when its lease ends"
                    }
                    Outcome::RetryAfter(..) => "the lease ran out before the message was settled",
                    // What a try deleted whose answer was lost, the next one finds gone.
                    _ => {
                        "the lease ran out, or it is not known that the message was deleted: if it was not, it comes again"
                    }
                };
                tracing::warn!(group = %message.group, "{what}");
                return;
            }
            Err(e) => {
                tracing::warn!(group = %message.group, round, error = %e, "could not settle a message");
                tokio::time::sleep(Duration::from_millis(200) * round).await;
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum SettleError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Objects(#[from] ReportError),
}

async fn try_settle(
    deps: &Deps,
    queue: &dyn Queue,
    message: &Received,
    outcome: &Outcome,
) -> Result<(), SettleError> {
    match outcome {
        Outcome::Done | Outcome::Superseded | Outcome::Ended => {
            queue.delete(&message.receipt).await?;
        }
        Outcome::Interrupted => queue.release(&message.receipt).await?,
        // The continuation first: a job that is there twice does its work once, one that is nowhere never does.
        Outcome::Continued => {
            queue.send(&[continuation(message)]).await?;
            failpoint::hit("job.continued");
            queue.delete(&message.receipt).await?;
        }
        Outcome::RetryAfter(delay, _) => queue.extend(&message.receipt, *delay).await?,
        Outcome::Dead(reason) => {
            deps.dead_letters().keep(&dead_letter(deps, queue, message, reason)).await?;
            queue.dead_letter(&message.receipt, &reason.to_string()).await?;
        }
    }
    Ok(())
}

/// The message under which a job goes on whose lease must end. Repeated, it is the same message.
fn continuation(message: &Received) -> NewMessage {
    let of = hash::hex(hash::bytes_hash(message.id.as_str().as_bytes()));
    NewMessage {
        group: message.group.clone(),
        dedup_id: format!("after-{of}"),
        body: message.body.clone(),
    }
}

fn dead_letter(deps: &Deps, queue: &dyn Queue, message: &Received, reason: &Reason) -> DeadLetter {
    let job = Job::from_body(&message.body).ok();
    // A body that is no job does not tell which queue it was on.
    let is_image = std::ptr::addr_eq(std::ptr::from_ref(queue), Arc::as_ptr(&deps.queues.image));
    DeadLetter {
        id: DeadLetter::id_of(job.as_ref(), message.id.as_str()),
        queue: if is_image { "image" } else { "crawl" }.to_owned(),
        group: message.group.clone(),
        body: message.body.clone(),
        job,
        reason: reason.clone(),
        worker: deps.worker.clone(),
        receives: message.receive_count,
        first_received_at: DateTime::<Utc>::from_timestamp_millis(message.first_received_at_ms)
            .unwrap_or_default(),
        died_at: deps.clock.now(),
        first_died_at: None,
        message_id: Some(message.id.as_str().to_owned()),
        state: LetterState::Waiting,
        history: Vec::new(),
    }
}

fn log(message: &Received, outcome: &Outcome) {
    let (group, receive, word) = (&message.group, message.receive_count, outcome.word());
    match outcome {
        Outcome::Done
        | Outcome::Superseded
        | Outcome::Ended
        | Outcome::Interrupted
        | Outcome::Continued => {
            tracing::info!(%group, receive, outcome = word, "job ended");
        }
        Outcome::RetryAfter(delay, reason) => {
            let wait_secs = delay.as_secs();
            tracing::warn!(%group, receive, outcome = word, wait_secs, %reason, "job failed");
        }
        Outcome::Dead(reason) => {
            tracing::error!(%group, receive, outcome = word, %reason, "job is dead");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_image_job_does_not_die_of_its_first_failure() {
        let failed =
            || Outcome::RetryAfter(Duration::ZERO, Reason::new(ReasonClass::Storage, "no answer"));
        let dies = |may_be_taken, receives| {
            matches!(end_image(5, may_be_taken, receives, failed()), Outcome::Dead(_))
        };
        assert!(!dies(false, 4) && dies(false, 5), "here every receive before was a failure");
        assert!(!dies(true, 5) && !dies(true, 14) && dies(true, 15));
        assert_eq!(end_image(5, true, 15, Outcome::Interrupted), Outcome::Interrupted);
    }

    #[test]
    fn an_image_job_waits_longer_with_each_try_and_as_long_as_its_host_asks() {
        let waits = |asked_secs, receives| {
            let busy = Reason::new(ReasonClass::SourceUnavailable, "answered 429");
            let asked = Outcome::RetryAfter(Duration::from_secs(asked_secs), busy);
            match end_image(5, false, receives, asked) {
                Outcome::RetryAfter(wait, _) => wait.as_secs(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((waits(1, 1), waits(600, 4)), (1, 600));
        assert!(waits(1, 2) > 20 && waits(1, 4) > 90);
    }
}
