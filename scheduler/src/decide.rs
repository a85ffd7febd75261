//! An operator's word on removals that a run held. Approving carries out exactly those that were held, and
//! only while the pipe is as that run left it; rejecting keeps the products. Both end in the run's report, and
//! both may be repeated.

use crate::damaged;
use crate::deps::Deps;
use crate::desk::Decider;
use feedfleet_catalog::retire::{Retirement, retire};
use feedfleet_catalog::{CatalogError, approval_app_id, feed_app_id, rollback_app_id};
use feedfleet_model::hash::id_hash;
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::report::{Decision, RunState};
use feedfleet_model::{RunId, RunKey, RunReport};
use feedfleet_objects::{ObjectError, ReportError, read_absences};
use std::collections::HashSet;
use tokio::task::{JoinError, spawn_blocking};

/// How an approval ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approval {
    /// The products are gone.
    Applied {
        /// So many.
        removed: u64,
        /// Live products now.
        live: u64,
        /// The table's version that says so; none when an earlier try had come that far.
        version: Option<u64>,
    },
    /// They would go: nothing was changed.
    Would {
        /// So many.
        remove: u64,
    },
    /// It had been approved before.
    Already(Decision),
}

/// How a rejection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// The products stay.
    Kept(u64),
    /// They would stay: nothing was changed.
    Would(u64),
    /// It had been rejected before.
    Already(Decision),
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// There is no such run.
    #[error("run {} of '{}' has no report; see: feedfleet runs list {}", .0.run, .0.pipe, .0.pipe)]
    NoReport(RunKey),
    /// The run held nothing.
    #[error("run {run} is {}: it holds nothing that could be decided on", .state.word())]
    NotHeld {
        /// The run.
        run: RunKey,
        /// Where it stands.
        state: RunState,
    },
    /// It was decided otherwise.
    #[error("run {run} was {} by {} already", .decision.word(), .decision.by)]
    Decided {
        /// The run.
        run: RunKey,
        /// What was decided.
        decision: Decision,
    },
    /// An approval was interrupted after it had been carried out.
    #[error(
        "the removals of run {0} have been carried out: approve it again, to note that in its report"
    )]
    CarriedOut(RunKey),
    /// A newer run is in the table.
    #[error(
        "nothing was removed: '{}' has moved on to run {by}, whose own report says what is absent now; \
         see: feedfleet runs show {} {by}", .run.pipe, .run.pipe
    )]
    MovedOn {
        /// The run that held.
        run: RunKey,
        /// The newer one.
        by: RunId,
    },
    /// The pipe was rolled back.
    #[error(
        "nothing was removed: '{}' was rolled back after run {}, so what that run held counts no more",
        .0.pipe, .0.run
    )]
    RolledBack(RunKey),
    /// The run's commit is not in the table.
    #[error("nothing was removed: run {0} is not in the table")]
    NotCommitted(RunKey),
    /// The list of what was held is not the one that the report names.
    #[error(
        "nothing was removed: the list of what run {run} held ('{list}') is not the one that the run wrote: it \
         has {listed} of {held} products; to have them worked out anew: feedfleet run {}", .run.pipe
    )]
    WrongList {
        /// The run.
        run: RunKey,
        /// The list's key, or what stands in its place.
        list: String,
        /// Products in the list; 0 where there is no list.
        listed: u64,
        /// Products held by the report.
        held: u64,
    },
    /// The table failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The objects failed.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// The reports failed.
    #[error(transparent)]
    Reports(#[from] ReportError),
    /// The thread that worked on the table or the objects did not come to its end.
    #[error("the work was cut off: {0}")]
    CutOff(#[from] JoinError),
}

/// Carries out the removals that a run held.
pub async fn approve(
    deps: &Deps,
    run: &RunKey,
    decider: &Decider,
) -> Result<Approval, DecideError> {
    let report = load(deps, run).await?;
    match report.decision {
        // Still held: an approval was interrupted, and is finished now.
        Some(decision) if decision.approved && report.state != RunState::Held => {
            return Ok(Approval::Already(decision));
        }
        Some(decision) if !decision.approved => {
            return Err(DecideError::Decided { run: run.clone(), decision });
        }
        None if report.state != RunState::Held => {
            return Err(DecideError::NotHeld { run: run.clone(), state: report.state });
        }
        _ => {}
    }
    let ids = held_ids(deps, run, report.lists.held, report.counts.held).await?;
    let listed = ids.len() as u64;
    if decider.dry_run {
        refuse_if_moved_on(deps, run).await?;
        return Ok(Approval::Would { remove: listed });
    }
    claim(deps, run, decider).await?;
    let (table, key) = (deps.catalog.products().clone(), run.clone());
    let retired = spawn_blocking(move || retire(&table, &key.pipe, key.run, &ids)).await??;
    let refused = match retired {
        Retirement::Done { removed, version } => {
            return applied(deps, run, removed, Some(version)).await;
        }
        // Carried out by a try that did not get as far as the report: all that was listed has gone.
        Retirement::AlreadyIn => return applied(deps, run, listed, None).await,
        Retirement::MovedOn { by } => DecideError::MovedOn { run: run.clone(), by },
        Retirement::RolledBack => DecideError::RolledBack(run.clone()),
        Retirement::NotCommitted => DecideError::NotCommitted(run.clone()),
    };
    withdraw(deps, run).await?;
    Err(refused)
}

/// Notes that an approval has been carried out.
async fn applied(
    deps: &Deps,
    run: &RunKey,
    removed: u64,
    version: Option<u64>,
) -> Result<Approval, DecideError> {
    let now = deps.clock.now();
    let report = deps
        .reports()
        .update(run, move |report| {
            if report.state == RunState::Held {
                report.state = RunState::Done;
                report.counts.removed += removed;
                report.counts.live = report.counts.live.saturating_sub(removed);
                report.updated_at = now;
            }
        })
        .await?;
    tracing::info!(run = %run, removed, "held removals approved");
    Ok(Approval::Applied { removed, live: report.counts.live, version })
}

/// Keeps the products whose removal a run held.
pub async fn reject(
    deps: &Deps,
    run: &RunKey,
    decider: &Decider,
) -> Result<Rejection, DecideError> {
    let report = load(deps, run).await?;
    match report.decision {
        Some(decision) if !decision.approved => return Ok(Rejection::Already(decision)),
        Some(decision) => return Err(DecideError::Decided { run: run.clone(), decision }),
        None if report.state != RunState::Held => {
            return Err(DecideError::NotHeld { run: run.clone(), state: report.state });
        }
        None => {}
    }
    if deps.fence(approval_app_id(&run.pipe)).await?? == Some(run.run.0) {
        return Err(DecideError::CarriedOut(run.clone()));
    }
    if decider.dry_run {
        return Ok(Rejection::Would(report.counts.held));
    }
    let decision = decision(deps, decider, false);
    let now = decision.at;
    let mine = decision.clone();
    let report = deps
        .reports()
        .update(run, move |report| {
            if report.decision.is_none() {
                report.state = RunState::Done;
                report.decision = Some(mine.clone());
                report.updated_at = now;
            }
        })
        .await?;
    if let Some(earlier) = report.decision.filter(|found| *found != decision) {
        return Err(DecideError::Decided { run: run.clone(), decision: earlier });
    }
    tracing::info!(run = %run, held = report.counts.held, "held removals rejected");
    Ok(Rejection::Kept(report.counts.held))
}

async fn load(deps: &Deps, run: &RunKey) -> Result<RunReport, DecideError> {
    damaged::load(deps, run).await?.ok_or_else(|| DecideError::NoReport(run.clone()))
}

/// The ids whose removal a run held, hashed: those of the list that its report names, which has its content in its
/// name.
async fn held_ids(
    deps: &Deps,
    run: &RunKey,
    list: Option<String>,
    held: u64,
) -> Result<HashSet<u128>, DecideError> {
    let list = list.unwrap_or_else(|| "none".to_owned());
    let (objects, key) = (deps.objects.clone(), ObjectKey::parse(&list));
    let (ids, content) = spawn_blocking(move || {
        let mut ids = HashSet::new();
        let content = match key {
            Some(key) => read_absences(objects.as_ref(), &key, |id, _| {
                ids.insert(id_hash(id));
            })?,
            None => None,
        };
        Ok::<_, ObjectError>((ids, content))
    })
    .await??;
    let listed = ids.len() as u64;
    if listed == held && content.is_some_and(|content| keys::held(run, content).as_str() == list) {
        return Ok(ids);
    }
    Err(DecideError::WrongList { run: run.clone(), list, listed, held })
}

/// What [`retire`] would refuse, for a dry run.
async fn refuse_if_moved_on(deps: &Deps, run: &RunKey) -> Result<(), DecideError> {
    let (table, pipe) = (deps.catalog.products().clone(), run.pipe.clone());
    let fences = spawn_blocking(move || {
        let Some(snapshot) = table.snapshot()? else { return Ok((None, None)) };
        let feed = snapshot.fence(&feed_app_id(&pipe))?;
        Ok::<_, CatalogError>((feed, snapshot.fence(&rollback_app_id(&pipe))?))
    });
    let this = Some(run.run.0);
    match fences.await?? {
        (_, rollback) if rollback > this => Err(DecideError::RolledBack(run.clone())),
        (Some(by), _) if by > run.run.0 => {
            Err(DecideError::MovedOn { run: run.clone(), by: RunId(by) })
        }
        (feed, _) if feed < this => Err(DecideError::NotCommitted(run.clone())),
        _ => Ok(()),
    }
}

/// Writes the approval into the report before anything is removed: of two operators who decide at once, the
/// first one's word stands.
async fn claim(deps: &Deps, run: &RunKey, decider: &Decider) -> Result<(), DecideError> {
    let mine = decision(deps, decider, true);
    let report = deps
        .reports()
        .update(run, move |report| {
            if report.decision.is_none() {
                report.decision = Some(mine.clone());
            }
        })
        .await?;
    match report.decision {
        Some(decision) if !decision.approved => {
            Err(DecideError::Decided { run: run.clone(), decision })
        }
        _ => Ok(()),
    }
}

/// Takes an approval back that could not be carried out.
async fn withdraw(deps: &Deps, run: &RunKey) -> Result<(), DecideError> {
    deps.reports()
        .update(run, |report| {
            if report.state == RunState::Held {
                report.decision = None;
            }
        })
        .await?;
    Ok(())
}

fn decision(deps: &Deps, decider: &Decider, approved: bool) -> Decision {
    let (by, note) = (decider.by.clone(), decider.note.clone());
    Decision { approved, by, at: deps.clock.now(), note }
}
