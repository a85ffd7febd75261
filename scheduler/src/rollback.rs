//! Rolling a pipe back: its rows become what they were after an earlier run, by a new commit, and the pipe is
//! paused, or its next run would bring back what was wrong. Other pipes are untouched.

use crate::decide::blocking;
use crate::deps::Deps;
use crate::desk::Decider;
use crate::pause::{Pause, RolledBack, pause, resume};
use feedfleet_catalog::restore::{RestoreError, RestorePlan, plan_restore, restore};
use feedfleet_catalog::{CatalogError, feed_app_id};
use feedfleet_model::report::RunState;
use feedfleet_model::{PipeName, RunId, RunKey, keys};
use feedfleet_objects::reports::to_json;
use feedfleet_objects::{ObjectError, ReportError};

/// What a rollback did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// Rows put back, taken out and untouched.
    pub plan: RestorePlan,
    /// The table's new version; none where nothing was to do, or for a dry run.
    pub version: Option<u64>,
    /// A run that somebody issued just before the pipe was paused. It will load the source.
    pub issued_meanwhile: Option<RunKey>,
}

/// Why a pipe was not rolled back.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// A run of the pipe has not ended.
    #[error(
        "nothing was changed: run {run} is {} and must end first{}", .state.word(), paused_words(*.is_paused)
    )]
    Unfinished {
        /// That run.
        run: RunKey,
        /// Where it stands.
        state: RunState,
        /// Whether the pipe is paused, so that no other follows.
        is_paused: bool,
    },
    /// The run cannot be gone back to.
    #[error("nothing was changed: {0}")]
    Impossible(Box<RestoreError>),
    /// It failed in the middle.
    #[error(
        "the rollback of '{pipe}' failed, and the pipe stays paused: {why}; try again, or let it run as \
         it is: feedfleet pipes resume {pipe}"
    )]
    Failed {
        /// The pipe.
        pipe: PipeName,
        /// Why.
        why: Box<RestoreError>,
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
}

fn paused_words(is_paused: bool) -> &'static str {
    if is_paused { "; the pipe is paused, so no other follows: roll it back then" } else { "" }
}

/// Puts a pipe back as it was after `run`, and pauses it.
pub async fn roll_back(
    deps: &Deps,
    run: &RunKey,
    decider: &Decider,
) -> Result<Rollback, RollbackError> {
    let RunKey { pipe, run: to } = run;
    if decider.dry_run {
        refuse_if_unfinished(deps, pipe, false).await?;
        let plan = plan(deps, run).await.map_err(impossible)?;
        return Ok(Rollback { plan, version: None, issued_meanwhile: None });
    }
    let objects = deps.objects.as_ref();
    // The pause comes first: a run that is issued after the look for unfinished ones would load what the
    // rollback takes out.
    let said = Pause {
        at: deps.clock.now(),
        by: decider.by.clone(),
        note: decider.note.clone(),
        rolled_back: None,
    };
    let newly_paused = pause(objects, pipe, &said).await?;
    let newest = refuse_if_unfinished(deps, pipe, true).await?;
    if let Err(why) = plan(deps, run).await {
        if newly_paused {
            resume(objects, pipe).await?;
        }
        return Err(impossible(why));
    }
    forget_last_reading(deps, pipe).await?;
    let (table, name, to) = (deps.catalog.products().clone(), pipe.clone(), *to);
    let restored = blocking(move || restore(&table, &name, to)).await;
    let restored =
        restored.map_err(|why| RollbackError::Failed { pipe: pipe.clone(), why: Box::new(why) })?;
    let plan = restored.plan;
    let done = RolledBack {
        to,
        version: restored.version,
        put_back: plan.put_back,
        taken_out: plan.taken_out,
        live: plan.live_after(),
    };
    let said = Pause { rolled_back: Some(done), ..said };
    objects.put(&keys::paused(pipe), to_json(&said)).await?;
    tracing::info!(
        run = %run, put_back = plan.put_back, taken_out = plan.taken_out, stays = plan.stays,
        "pipe rolled back and paused"
    );
    let issued_meanwhile =
        newest_issued(deps, pipe).await?.filter(|now| Some(now) != newest.as_ref());
    Ok(Rollback { plan, version: restored.version, issued_meanwhile })
}

fn impossible(why: RestoreError) -> RollbackError {
    RollbackError::Impossible(Box::new(why))
}

/// What would be done, or why it cannot be. Changes nothing.
async fn plan(deps: &Deps, run: &RunKey) -> Result<RestorePlan, RestoreError> {
    let (table, key) = (deps.catalog.products().clone(), run.clone());
    blocking(move || plan_restore(&table, &key.pipe, key.run)).await
}

/// The newest run that was issued, if all that could still commit have ended.
async fn refuse_if_unfinished(
    deps: &Deps,
    pipe: &PipeName,
    is_paused: bool,
) -> Result<Option<RunKey>, RollbackError> {
    let reports = deps.reports();
    let committed = committed(deps, pipe).await?;
    let runs = reports.runs_of(pipe).await?;
    // What is older than the newest run in the table can change nothing.
    for run in runs.iter().filter(|run| committed.is_none_or(|committed| run.run >= committed)) {
        if let Some(report) = reports.load(run).await?.filter(|r| !r.state.is_final()) {
            let (run, state) = (run.clone(), report.state);
            return Err(RollbackError::Unfinished { run, state, is_paused });
        }
    }
    Ok(runs.last().cloned())
}

async fn newest_issued(deps: &Deps, pipe: &PipeName) -> Result<Option<RunKey>, ReportError> {
    Ok(deps.reports().runs_of(pipe).await?.pop())
}

/// The pipe's newest run in the table.
async fn committed(deps: &Deps, pipe: &PipeName) -> Result<Option<RunId>, CatalogError> {
    let (table, app_id) = (deps.catalog.products().clone(), feed_app_id(pipe));
    let fence = blocking(move || match table.snapshot()? {
        Some(snapshot) => snapshot.fence(&app_id),
        None => Ok(None),
    });
    Ok(fence.await?.map(RunId))
}

/// Forgets what the newest run saw of its source: "not modified" would say nothing about the rows that are
/// put back, and nights without a product are counted anew. Before the rollback, since forgetting too much
/// costs one reading of the source, and too little would leave the table wrong.
async fn forget_last_reading(deps: &Deps, pipe: &PipeName) -> Result<(), RollbackError> {
    deps.objects.delete(&keys::validators(pipe)).await?;
    if let Some(run) = committed(deps, pipe).await? {
        deps.objects.delete(&keys::absent(&RunKey { pipe: pipe.clone(), run })).await?;
    }
    Ok(())
}
