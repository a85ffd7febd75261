//! An operator's word on removals that a run held. Approving carries out exactly those that were held, and
//! only while the pipe is as that run left it; rejecting keeps the products. Both end in the run's report, and
//! both may be repeated.

use crate::damaged;
use crate::deps::Deps;
use crate::desk::Decider;
use feedfleet_catalog::retire::{Retirement, refused, retire};
use feedfleet_catalog::{Catalog, CatalogError};
use feedfleet_model::hash::id_hash;
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::report::{Decision, RunState};
use feedfleet_model::{RunKey, RunReport};
use feedfleet_objects::{ObjectError, ReportError, read_absences};
use std::collections::HashSet;
use std::fmt;
use std::io;
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
        /// Somebody's earlier word, which stands in the report; none where it is this one.
        earlier: Option<Decision>,
    },
    /// They would go: nothing was changed.
    Would {
        /// So many.
        remove: u64,
        /// Of so many that are live.
        live: u64,
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
    /// The run waits for nobody any more. What becomes of its products was not its own to say.
    Closed(Overtaken),
    /// It would be closed so: nothing was changed.
    WouldClose(Overtaken),
    /// It had been rejected before.
    Already(Decision),
}

/// Why removals that a run held cannot be approved any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overtaken {
    /// This newer run is in the table.
    MovedOn(RunKey),
    /// The pipe was rolled back after the run.
    RolledBack,
    /// The run's commit is not in the table.
    NotCommitted,
}

impl Overtaken {
    fn of(refused: Retirement, run: &RunKey) -> Option<Self> {
        match refused {
            Retirement::Done { .. } | Retirement::AlreadyIn => None,
            Retirement::MovedOn { by } => {
                Some(Self::MovedOn(RunKey { pipe: run.pipe.clone(), run: by }))
            }
            Retirement::RolledBack => Some(Self::RolledBack),
            Retirement::NotCommitted => Some(Self::NotCommitted),
        }
    }
}

/// To follow a mention of the run.
impl fmt::Display for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MovedOn(RunKey { pipe, run }) => write!(
                f,
                "'{pipe}' has moved on to run {run}, which decides about what is absent; see: feedfleet runs \
                 show {pipe} {run}"
            ),
            Self::RolledBack => {
                f.write_str("the pipe was rolled back after it, so what it held counts no more")
            }
            Self::NotCommitted => f.write_str("it is not in the table"),
        }
    }
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
    /// It was approved, which has not come to its end: somebody is at it, or was cut off.
    #[error(
        "run {run} was approved by {} already, but not all of that is done: if it was cut off, approve it again",
        .decision.by
    )]
    Begun {
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
    /// What the run held counts no more.
    #[error(
        "nothing was removed of what run {run} held: {why}; to close it: feedfleet runs reject {} {}",
        .run.pipe, .run.run
    )]
    Overtaken {
        /// The run that held.
        run: RunKey,
        /// Why.
        why: Overtaken,
    },
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
        return match overtaken(&deps.catalog, run).await? {
            Some(why) => Err(DecideError::Overtaken { run: run.clone(), why }),
            None => Ok(Approval::Would { remove: listed, live: report.counts.live }),
        };
    }
    let earlier = claim(deps, run, decider).await?;
    let (table, key) = (deps.catalog.products().clone(), run.clone());
    let retired = spawn_blocking(move || retire(&table, &key.pipe, key.run, &ids)).await??;
    if let Some(why) = Overtaken::of(retired, run) {
        withdraw(deps, run).await?;
        return Err(DecideError::Overtaken { run: run.clone(), why });
    }
    match retired {
        Retirement::Done { removed, version } => {
            let live = applied(deps, run, removed).await?;
            Ok(Approval::Applied { removed, live, version: Some(version), earlier })
        }
        // Carried out by a try that did not get as far as the report, or by somebody at the same time: all that was
        // listed has gone.
        _ => {
            let live = applied(deps, run, listed).await?;
            let mine = Approval::Applied { removed: listed, live, version: None, earlier: None };
            Ok(earlier.map_or(mine, Approval::Already))
        }
    }
}

/// Notes that an approval has been carried out; live products now.
async fn applied(deps: &Deps, run: &RunKey, removed: u64) -> Result<u64, DecideError> {
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
    Ok(report.counts.live)
}

/// Keeps the products whose removal a run held. A run that was overtaken is closed: others decide about its products.
pub async fn reject(
    deps: &Deps,
    run: &RunKey,
    decider: &Decider,
) -> Result<Rejection, DecideError> {
    let report = load(deps, run).await?;
    let begun = match report.decision {
        Some(decision) if !decision.approved => return Ok(Rejection::Already(decision)),
        // Still held: an approval was interrupted.
        Some(decision) if report.state == RunState::Held => Some(decision),
        Some(decision) => return Err(DecideError::Decided { run: run.clone(), decision }),
        None if report.state != RunState::Held => {
            return Err(DecideError::NotHeld { run: run.clone(), state: report.state });
        }
        None => None,
    };
    let refused = refusal(&deps.catalog, run).await?;
    if refused == Some(Retirement::AlreadyIn) {
        return Err(DecideError::CarriedOut(run.clone()));
    }
    let overtaken = refused.and_then(|refused| Overtaken::of(refused, run));
    let is_begun = begun.is_some();
    if let Some(decision) = begun.filter(|_| overtaken.is_none()) {
        return Err(DecideError::Begun { run: run.clone(), decision });
    }
    if decider.dry_run {
        let would = Rejection::Would(report.counts.held);
        return Ok(overtaken.map_or(would, Rejection::WouldClose));
    }
    if is_begun {
        // It can't be carried out any more, whoever is at it.
        withdraw(deps, run).await?;
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
    Ok(overtaken.map_or(Rejection::Kept(report.counts.held), Rejection::Closed))
}

/// Why the removals that a run held cannot be approved any more; none where they can.
pub async fn overtaken(catalog: &Catalog, run: &RunKey) -> Result<Option<Overtaken>, DecideError> {
    let refused = refusal(catalog, run).await?;
    Ok(refused.and_then(|refused| Overtaken::of(refused, run)))
}

/// What [`retire`] would refuse.
async fn refusal(catalog: &Catalog, run: &RunKey) -> Result<Option<Retirement>, DecideError> {
    let (table, key) = (catalog.products().clone(), run.clone());
    Ok(spawn_blocking(move || refused(&table, &key.pipe, key.run)).await??)
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
        let read = key.map(|key| {
            read_absences(objects.as_ref(), &key, |id, _| {
                ids.insert(id_hash(id));
            })
        });
        match read.transpose() {
            Ok(content) => Ok((ids, content.flatten())),
            // It is not the list that the run wrote.
            Err(e) if e.source.kind() == io::ErrorKind::InvalidData => Ok((ids, None)),
            Err(e) => Err(e),
        }
    })
    .await??;
    let listed = ids.len() as u64;
    if listed == held && content.is_some_and(|content| keys::held(run, content).as_str() == list) {
        return Ok(ids);
    }
    Err(DecideError::WrongList { run: run.clone(), list, listed, held })
}

/// Writes the approval into the report before anything is removed: of two operators who decide at once, the
/// first one's word stands. That word, where it is not this one.
async fn claim(
    deps: &Deps,
    run: &RunKey,
    decider: &Decider,
) -> Result<Option<Decision>, DecideError> {
    let decision = decision(deps, decider, true);
    let mine = decision.clone();
    let report = deps
        .reports()
        .update(run, move |report| {
            if report.decision.is_none() {
                report.decision = Some(mine.clone());
            }
        })
        .await?;
    match report.decision {
        Some(found) if !found.approved => {
            Err(DecideError::Decided { run: run.clone(), decision: found })
        }
        found => Ok(found.filter(|found| *found != decision)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, run};

    fn decider(by: &str, dry_run: bool) -> Decider {
        Decider { by: by.into(), note: None, dry_run }
    }

    /// The first run is in the table and holds a removal. Ada's approval wrote its claim, and was cut off.
    async fn claimed() -> World {
        let world = World::new();
        world.add_rows(1, &["a"]);
        let claim = decision(&world.deps, &decider("ada", false), true);
        let held = |report: &mut RunReport| {
            report.counts.held = 1;
            report.decision = Some(claim);
        };
        world.report(1, RunState::Held, held).await;
        world
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_approval_that_was_cut_off_stands_in_no_way_once_the_run_was_overtaken() {
        let world = claimed().await;
        world.add_rows(2, &["b"]);
        let overtaken = Overtaken::MovedOn(run(2));
        let before = load(&world.deps, &run(1)).await.unwrap();
        let would = reject(&world.deps, &run(1), &decider("bob", true)).await.unwrap();
        assert_eq!(would, Rejection::WouldClose(overtaken.clone()));
        assert_eq!(load(&world.deps, &run(1)).await.unwrap(), before);

        let rejected = reject(&world.deps, &run(1), &decider("bob", false)).await.unwrap();
        assert_eq!(rejected, Rejection::Closed(overtaken));
        let report = load(&world.deps, &run(1)).await.unwrap();
        let decision = report.decision.unwrap();
        assert_eq!((report.state, decision.approved), (RunState::Done, false));
        assert_eq!(decision.by, "bob");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_approvals_at_once_the_first_ones_word_stands_and_the_others_learn_it() {
        let world = World::new();
        world.add_rows(1, &["a"]);
        world.report(1, RunState::Held, |report| report.counts.held = 1).await;
        assert_eq!(claim(&world.deps, &run(1), &decider("ada", false)).await.unwrap(), None);
        let earlier = claim(&world.deps, &run(1), &decider("bob", false)).await.unwrap();
        assert_eq!(earlier.map(|decision| decision.by), Some("ada".to_owned()));
        let report = load(&world.deps, &run(1)).await.unwrap();
        assert_eq!(report.decision.unwrap().by, "ada");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_approval_that_was_cut_off_and_can_be_finished_is_named() {
        let world = claimed().await;
        let before = load(&world.deps, &run(1)).await.unwrap();
        for dry_run in [true, false] {
            let e = reject(&world.deps, &run(1), &decider("bob", dry_run)).await.unwrap_err();
            assert!(matches!(e, DecideError::Begun { .. }), "{e}");
            let told = e.to_string();
            let names = ["approved by ada already", "approve it again"];
            assert!(names.iter().all(|name| told.contains(name)), "{told}");
        }
        assert_eq!(load(&world.deps, &run(1)).await.unwrap(), before);
    }
}
