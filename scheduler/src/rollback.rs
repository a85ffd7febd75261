//! Rolling a pipe back: its rows become what they were after an earlier run, of the pipe or of one of its supplements,
//! by a new commit, and the pipe is paused with all its supplements, or the next run would bring back what was wrong.
//! Other pipes are untouched.

use crate::damaged;
use crate::deps::Deps;
use crate::desk::Decider;
use crate::issue::end_if_paused;
use crate::pause::{Pause, RolledBack, note_rollback, pause};
use feedfleet_catalog::restore::{RestoreError, RestorePlan, Restored, plan_restore, restore};
use feedfleet_catalog::{CatalogError, feed_app_id};
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::report::RunState;
use feedfleet_model::{PipeName, RunId, RunKey, SupplementState};
use feedfleet_objects::reports::from_json;
use feedfleet_objects::{ObjectError, ReportError};
use std::collections::BTreeMap;
use tokio::task::{JoinError, spawn_blocking};

/// What a rollback did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// Rows put back, taken out and untouched.
    pub plan: RestorePlan,
    /// The table's new version; none for a dry run.
    pub version: Option<u64>,
    /// A run that somebody issued while the pipe was not paused, since the pause was lifted meanwhile. It will load
    /// the source.
    pub issued_meanwhile: Option<RunKey>,
}

/// Why a pipe was not rolled back, or not to the end. What follows the pause says that the pipe is paused.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// A run of the pipe has not ended.
    #[error(
        "{}: run {run} is {} and must end first{}", unchanged_words(*.is_paused), .state.word(),
        paused_words(.run, *.is_paused)
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
    #[error("nothing was changed: {}{}", .0, where_to_look(.0))]
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
        why: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The rows are back, and what comes after that failed.
    #[error(
        "'{}' is as it was after run {} and stays paused, but not all of it could be noted: {why}; to have \
         that done: feedfleet runs rollback {} {}; once its source is right: feedfleet pipes resume {}",
        .run.pipe.pipe(), .run.run, .run.pipe, .run.run, .run.pipe.pipe()
    )]
    NotNoted {
        /// The run that the pipe was put back to.
        run: RunKey,
        /// Why.
        why: ReportError,
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
    /// The thread that worked on the table did not come to its end.
    #[error("the work on the table was cut off: {0}")]
    CutOff(#[from] JoinError),
}

impl RollbackError {
    /// The same, of a pipe that has been paused.
    fn of_paused(self, pipe: &PipeName) -> Self {
        let pipe = pipe.clone();
        match self {
            Self::Unfinished { .. } | Self::Failed { .. } | Self::NotNoted { .. } => self,
            Self::Impossible(why) => Self::Failed { pipe, why },
            Self::Catalog(_) | Self::Objects(_) | Self::Reports(_) | Self::CutOff(_) => {
                Self::Failed { pipe, why: Box::new(self) }
            }
        }
    }
}

fn unchanged_words(is_paused: bool) -> &'static str {
    if is_paused { "the pipe is paused, and no row was changed" } else { "nothing was changed" }
}

fn paused_words(run: &RunKey, is_paused: bool) -> String {
    if !is_paused {
        return String::new();
    }
    format!(
        "; no other follows: roll the pipe back then, or let it run as it is: feedfleet pipes resume {}",
        run.pipe.pipe()
    )
}

fn where_to_look(why: &RestoreError) -> String {
    match why {
        RestoreError::NotCommitted { pipe, .. } => format!("; see: feedfleet runs list {pipe}"),
        // The search for another looks at later runs alone.
        RestoreError::Gone { pipe, oldest: None, .. } => format!(
            "; an earlier run may be whole: feedfleet runs list {pipe}; feedfleet doctor says whether files \
             are missing"
        ),
        _ => String::new(),
    }
}

/// Puts a pipe back as it was after `run`, of its own or of a supplement, and pauses it. Who paused it before, and why,
/// stays on record.
pub async fn roll_back(
    deps: &Deps,
    run: &RunKey,
    decider: &Decider,
) -> Result<Rollback, RollbackError> {
    let (table, key) = (deps.catalog.products().clone(), run.clone());
    // What cannot be put back is told before anything is done.
    let plan = spawn_blocking(move || plan_restore(&table, &key.pipe, key.run)).await?;
    let plan = plan.map_err(impossible)?;
    if decider.dry_run {
        refuse_if_unfinished(deps, &run.pipe, false).await?;
        return Ok(Rollback { plan, version: None, issued_meanwhile: None });
    }
    // The pause comes before the look for unfinished runs: one that is issued after that look would load what
    // the rollback takes out.
    let said = Pause {
        at: deps.clock.now(),
        by: decider.by.clone(),
        note: decider.note.clone(),
        rolled_back: None,
    };
    let pipe = run.pipe.pipe();
    pause(deps.objects.as_ref(), &pipe, &said).await?;
    roll_back_paused(deps, run, decider).await.map_err(|why| why.of_paused(&pipe))
}

async fn roll_back_paused(
    deps: &Deps,
    run: &RunKey,
    decider: &Decider,
) -> Result<Rollback, RollbackError> {
    let newest = refuse_if_unfinished(deps, &run.pipe, true).await?;
    forget_last_reading(deps, run).await?;
    let (table, key, said) = (deps.catalog.products().clone(), run.clone(), said(run, decider));
    let restored = spawn_blocking(move || restore(&table, &key.pipe, key.run, &said)).await?;
    let Restored { plan, version } = restored.map_err(impossible)?;
    tracing::info!(
        run = %run, put_back = plan.put_back, taken_out = plan.taken_out, stays = plan.stays,
        "pipe rolled back and paused"
    );
    let did = RolledBack {
        at: deps.clock.now(),
        by: decider.by.clone(),
        note: decider.note.clone(),
        to: run.run,
        version: (!plan.is_empty()).then_some(version),
        put_back: plan.put_back,
        taken_out: plan.taken_out,
        live: plan.live_after(),
    };
    let noted = conclude(deps, &run.pipe, &did, &newest).await;
    let issued_meanwhile =
        noted.map_err(|why| RollbackError::NotNoted { run: run.clone(), why })?;
    Ok(Rollback { plan, version: Some(version), issued_meanwhile })
}

/// What the table's history says of a rollback; when, it says anyway. The pause says so too, and ends with the next
/// `feedfleet pipes resume`.
fn said(run: &RunKey, decider: &Decider) -> Vec<(&'static str, String)> {
    let mut said = vec![("rollbackTo", run.to_string()), ("by", decider.by.clone())];
    said.extend(decider.note.clone().map(|note| ("note", note)));
    said
}

/// Notes in the pause what was done. A run that was issued meanwhile, if there is one: since the pause was written
/// that takes somebody who has lifted it. Those that were only created, and never sent, end here.
async fn conclude(
    deps: &Deps,
    pipe: &PipeName,
    did: &RolledBack,
    newest: &[RunKey],
) -> Result<Option<RunKey>, ReportError> {
    note_rollback(deps.objects.as_ref(), &pipe.pipe(), did).await?;
    let newest_now = newest_of_each(&deps.reports().runs_of_sources(pipe).await?);
    let mut goes_on = None;
    for issued in newest_now.into_iter().filter(|now| !newest.contains(now)) {
        let ended = end_if_paused(deps, &issued).await;
        if !ended.is_ok_and(|ended| ended.is_some()) {
            goes_on = Some(issued);
        }
    }
    Ok(goes_on)
}

/// The newest run of a pipe, and those of its supplements.
fn newest_of_each(runs: &BTreeMap<PipeName, Vec<RunKey>>) -> Vec<RunKey> {
    runs.values().filter_map(|runs| runs.last().cloned()).collect()
}

fn impossible(why: RestoreError) -> RollbackError {
    RollbackError::Impossible(Box::new(why))
}

/// The newest run of each source of the pipe that was issued, if all that could still commit have ended. Of a pipe that
/// is paused they also stay so, as long as the pause does.
///
/// A dead run comes back to life when its dead letter is replayed. A replay loads the run's report, then looks for
/// a pause, then reopens the run by a conditional write, which fails if a rollback has passed the run over since
/// it was loaded. A rollback writes the pause, then passes each dead run over, by a conditional write too. One of
/// the two writes to the report is the first. If it is the reopening, what the passing over gets back is
/// unfinished, and the rollback is refused. If it is the passing over, the replay has loaded the report either
/// before that, and its reopening fails; or after it, and so it looks for a pause after the pause was written.
async fn refuse_if_unfinished(
    deps: &Deps,
    pipe: &PipeName,
    is_paused: bool,
) -> Result<Vec<RunKey>, RollbackError> {
    let reports = deps.reports();
    let now = deps.clock.now();
    let sources = reports.runs_of_sources(pipe).await?;
    for (source, runs) in &sources {
        let committed = deps.fence(feed_app_id(source)).await??.map(RunId);
        // What is older than the newest run in the table can change nothing.
        let recent = |run: &&RunKey| committed.is_none_or(|committed| run.run >= committed);
        for run in runs.iter().filter(recent) {
            let Some(mut report) = damaged::load(deps, run).await? else { continue };
            if is_paused && report.state == RunState::Dead {
                report = reports.update(run, |report| report.pass_over(now)).await?;
            }
            if !report.state.is_final() {
                let (run, state) = (run.clone(), report.state);
                return Err(RollbackError::Unfinished { run, state, is_paused });
            }
        }
    }
    Ok(newest_of_each(&sources))
}

/// Forgets what the newest run of each source saw of it: "not modified" would say nothing about the rows that are
/// put back, and nights without a product are counted anew. Before the rollback, since forgetting too much
/// costs one reading of the source, and too little would leave the table wrong.
///
/// Of a supplement that was wrong, what it said last is forgotten too: what the rows show that are put back counts
/// instead, until its next run. See [`forgets`].
async fn forget_last_reading(deps: &Deps, back_to: &RunKey) -> Result<(), RollbackError> {
    let pipe = back_to.pipe.pipe();
    deps.objects.delete(&keys::validators(&pipe)).await?;
    deps.delete_all(&keys::validators_of_supplements(&pipe)).await?;
    if let Some(run) = deps.fence(feed_app_id(&pipe)).await??.map(RunId) {
        deps.delete_all(&keys::absent_from(&RunKey { pipe, run })).await?;
    }
    if let Some(state) = said_after(deps, back_to).await? {
        deps.objects.delete(&state).await?;
    }
    Ok(())
}

/// Whether it would cost a supplement what it said last to put its pipe back to this run. Runs go on with what the rows
/// show that are put back, and these do not show all: not what the supplement said where the pipe's own source said the
/// same, nor, where it only fills, what it said where that source had a word.
pub async fn forgets(deps: &Deps, back_to: &RunKey) -> Result<bool, RollbackError> {
    Ok(said_after(deps, back_to).await?.is_some())
}

/// The state of the supplement's newest run, if what that says was not read by the run that is gone back to, or before it.
/// Runs that found the source as it was go on with the values of an earlier one.
async fn said_after(deps: &Deps, back_to: &RunKey) -> Result<Option<ObjectKey>, RollbackError> {
    if !back_to.pipe.is_supplement() {
        return Ok(None);
    }
    let newest = deps.fence(feed_app_id(&back_to.pipe)).await??.map(RunId);
    let Some(run) = newest.filter(|run| *run != back_to.run) else { return Ok(None) };
    let key = keys::supplement_state(&RunKey { pipe: back_to.pipe.clone(), run });
    let Some(object) = deps.objects.get(&key).await? else { return Ok(None) };
    let state = from_json::<SupplementState>(&key, &object.bytes).ok();
    let read_by = state.and_then(|state| keys::run_of_supplement_object(&state.key()?));
    let is_known_then = read_by.is_some_and(|of| of.pipe == back_to.pipe && of.run <= back_to.run);
    Ok((!is_known_then).then_some(key))
}

#[cfg(test)]
mod tests;
